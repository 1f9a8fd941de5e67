create type mood as enum ('sad', 'ok', 'happy');
create table items (id int primary key, name text not null, price numeric(8,2), tags jsonb, made date, feeling mood default 'ok', bought boolean not null default false);
insert into items values (1, 'pen', 1.50, '["a"]', '2024-01-01', 'sad', true), (2, 'cup', 7.25, null, '2024-02-01', 'happy', false), (3, 'hat', null, '{"k":2}', null, null, false);
create table lines (id int primary key, item_id int references items (id), quantity int check (quantity > 0));
insert into lines values (1, 1, 2), (2, 2, 1);
create sequence numbers;

create function add(a int, b int) returns int language plpgsql as $$ begin return a + b; end $$;
create function half(n numeric) returns int language plpgsql as $$ begin return n / 2; end $$;
create function cut(t text) returns varchar language plpgsql as $$ declare v varchar(3) := t; begin return v; end $$;
create function to_int(t text) returns int language plpgsql as $$ declare n int; begin n := t; return n; end $$;
create function to_text(b boolean) returns text language plpgsql as $$ begin return b; end $$;
create function defaults() returns text language plpgsql as $$
declare a int; b int default 4; c constant text := 'c'; d numeric(5,1) = 2.25; e text := b || c; m mood := 'happy';
begin return concat_ws(',', a, b, c, d, e, m, a is null); end $$;
create function grade(n int) returns text language plpgsql as $$
begin
  if n is null then return 'none'; elsif n >= 90 then return 'A'; elsif n >= 80 then return 'B'; else return 'C'; end if;
end $$;
create function day_name(n int) returns text language plpgsql as $$
begin case n when 1 then return 'one'; when 2, 3 then return 'few'; else return 'many'; end case; end $$;
create function strict_case(n int) returns text language plpgsql as $$
begin case when n > 0 then return 'plus'; when n < 0 then return 'minus'; end case; end $$;
create function sum_to(n int) returns int language plpgsql as $$
declare total int := 0; begin for i in 1..n loop total := total + i; end loop; return total; end $$;
create function down(n int, s int) returns text language plpgsql as $$
declare t text := ''; begin for i in reverse n..1 by s loop t := t || i; end loop; return t || found; end $$;
create function bounds(a int, b int) returns text language plpgsql as $$
declare t text := ''; begin for i in a..b loop t := t || i; continue when i = 2; exit when i > 3; t := t || ','; end loop; return t || found; end $$;
create function primes(n int) returns text language plpgsql as $$
declare found_one boolean; t text := ''; i int := 2; j int;
begin
  <<outer>> while i <= n loop
    j := 2;
    loop
      exit when j * j > i;
      if i % j = 0 then i := i + 1; continue outer; end if;
      j := j + 1;
    end loop;
    t := t || i || ' ';
    i := i + 1;
  end loop outer;
  return trim(t);
end $$;
create function labelled() returns text language plpgsql as $$
<<top>> declare x text := 'outer';
begin
  declare x text := 'inner';
  begin
    return top.x || ' ' || x || ' ' || labelled.found;
  end;
end $$;
create function names(p_bought boolean) returns text language plpgsql as $$
declare r record; t text := '';
begin
  for r in select id, name from items where bought = p_bought order by id loop t := t || r.id || ':' || r.name || ';'; end loop;
  return t || found;
end $$;
create function pair(i int) returns text language plpgsql as $$
declare n text; p items.price%type;
begin select name, price into n, p from items where id = i; return n || '=' || coalesce(p::text, '?') || found; end $$;
create function only_one(i int) returns text language plpgsql as $$
declare n text; begin select name into strict n from items where id >= i; return n; end $$;
create function first_of() returns text language plpgsql as $$
declare n text; begin select name into n from items order by id desc; return n; end $$;
create function whole(i int) returns text language plpgsql as $$
declare r items%rowtype; begin select * into r from items where id = i; return r.name || r.bought || (r.made is null) || (r is null); end $$;
create function rec(i int) returns text language plpgsql as $$
declare r record; begin select name, price * 2 as double into r from items where id = i; return coalesce(r.name, 'nobody') || coalesce(r.double, 0); end $$;
create function rec_json(i int) returns jsonb language plpgsql as $$
declare r record; begin select id, name, bought into r from items where id = i; return to_jsonb(r); end $$;
create function rec_field() returns text language plpgsql as $$
declare r record; begin select 1 as a into r; return r.b; end $$;
create function rec_unset() returns text language plpgsql as $$
declare r record; begin return r.a; end $$;
create function rec_set() returns text language plpgsql as $$
declare r record; s record; begin select 1 as a, 'x'::text as b into r; s := r; s.b := 'y'; r.a := r.a + 41; return r.a || r.b || s.a || s.b; end $$;
create function row_type() returns text language plpgsql as $$
declare r items; begin r.id := 5; r.name := 'new'; r.price := 3.14159; return r.id || r.name || r.price || (r.made is null); end $$;
create function ambiguous(name text) returns text language plpgsql as $$
declare n int; begin select id into n from items where name = name; return n; end $$;
create function qualified(name text) returns int language plpgsql as $$
declare n int; begin select i.id into n from items i where i.name = qualified.name; return n; end $$;
create function column_or_variable(id int) returns text language plpgsql as $$
declare t text; begin select i.name into t from items i where i.id = column_or_variable.id; return t; end $$;
create function no_such_table() returns int language plpgsql as $$ begin return (select count(*) from nosuch); end $$;
create function no_such_name() returns int language plpgsql as $$ begin return nosuch; end $$;
create function no_destination() returns int language plpgsql as $$ begin select 1; return 1; end $$;
create function no_return(a int) returns int language plpgsql as $$ begin if a > 0 then return a; end if; end $$;
create function nothing() returns void language plpgsql as $$ begin perform 1; end $$;
create function not_null() returns int language plpgsql as $$ declare n int not null := 1; begin n := null; return n; end $$;
create function two_columns() returns int language plpgsql as $$ declare n int; begin n := 1, 2; return n; end $$;
create function from_table() returns text language plpgsql as $$
declare n int; t text; begin n := count(*) from items; t := name from items where id = 2; if count(*) > 2 from items then t := t || '!'; end if; return n || t; end $$;
create function many_rows() returns text language plpgsql as $$ declare t text; begin t := (select name from items); return t; end $$;
create function buy(p_id int) returns text language plpgsql as $$
declare n int; c text;
begin
  update items set bought = true where items.id = p_id and not bought;
  get diagnostics n = row_count;
  if not found then return 'nothing ' || n; end if;
  insert into lines (id, item_id, quantity) values (10 + p_id, p_id, 1) returning quantity || 'x' into c;
  delete from lines where lines.id = 10 + p_id and quantity = 1;
  return n || c || found;
end $$;
create function many_returning() returns int language plpgsql as $$ declare n int; begin update items set bought = true returning id into n; return n; end $$;
create function next_number() returns bigint language plpgsql as $$ declare n bigint; begin n := nextval('numbers'); n := nextval('numbers'); return n; end $$;
create function divide(a int, b int) returns text language plpgsql as $$
begin return a / b; exception when division_by_zero then return 'zero ' || sqlstate || ' ' || sqlerrm; end $$;
create function handled(k text) returns text language plpgsql as $$
declare m text; s text; d text; h text; c text; t text;
begin
  begin
    insert into lines values (50, 1, 1);
    case k
      when 'unique' then insert into items (id, name) values (1, 'again');
      when 'check' then insert into lines values (51, 1, 0);
      when 'null' then insert into items (id) values (9);
      when 'raise' then raise exception 'own %', k using detail = 'd', hint = 'h', errcode = 'ZZ001';
      when 'named' then raise foreign_key_violation using constraint = 'kk', table = 'tt';
      when 'assert' then assert false, 'no';
      when 'number' then s := 'x'; s := s::int;
      else null;
    end case;
  exception
    when unique_violation or check_violation or not_null_violation then
      get stacked diagnostics m = message_text, s = returned_sqlstate, c = constraint_name, t = table_name;
      return s || '|' || m || '|' || c || '|' || t || '|' || (select count(*) from lines);
    when sqlstate 'ZZ001' then
      get stacked diagnostics m = message_text, d = pg_exception_detail, h = pg_exception_hint;
      return 'own|' || m || '|' || d || '|' || h;
    when others then
      return 'other|' || sqlstate || '|' || sqlerrm || '|' || (select count(*) from lines);
  end;
  return 'fine ' || (select count(*) from lines);
end $$;
create function again() returns int language plpgsql as $$ begin raise exception 'first' using errcode = '22023'; exception when others then raise; end $$;
create function nested() returns text language plpgsql as $$
declare t text := '';
begin
  begin
    begin raise exception 'one'; exception when others then t := t || sqlerrm; raise exception 'two'; end;
  exception when others then t := t || sqlerrm;
  end;
  begin perform 1 / 0; exception when unique_violation then t := t || 'wrong'; end;
  return t;
exception when division_by_zero then return t || 'zero';
end $$;
create function lone_raise() returns int language plpgsql as $$ begin raise; return 1; end $$;
create function formats(a text, b int) returns int language plpgsql as $$ begin raise exception '% and % (100%%) %', a, b, null::text; end $$;
create function raise_twice() returns int language plpgsql as $$ begin raise exception 'a' using message = 'b'; end $$;
create function raise_null() returns int language plpgsql as $$ begin raise exception using message = null; end $$;
create function raise_code() returns int language plpgsql as $$ begin raise exception using errcode = 'nosuch'; end $$;
create function raise_named() returns int language plpgsql as $$ begin raise division_by_zero; end $$;
create function raise_state() returns int language plpgsql as $$ begin raise sqlstate 'XY123'; end $$;
create function quiet() returns int language plpgsql as $$ begin raise notice 'n %', 1; raise warning 'w'; raise debug 'd'; return 1; end $$;
create function asserts(n int) returns int language plpgsql as $$ begin assert n > 0, 'n is ' || n; assert n < 10; return n; end $$;
create function up_to(n int) returns setof int language plpgsql as $$ begin for i in 1..n loop return next i * i; end loop; return; end $$;
create function cheap(most numeric) returns table (label text, cost numeric) language plpgsql as $$
begin return query select i.name, i.price from items i where i.price <= most order by i.id; if not found then label := 'none'; cost := 0; return next; end if; end $$;
create function wrong_query() returns setof int language plpgsql as $$ begin return query select name from items; end $$;
create function item_rows() returns setof items language plpgsql as $$
declare r items; begin for r in select * from items order by id loop r.name := upper(r.name); return next r; end loop; end $$;
create function outs(a int, out b int, out c text) language plpgsql as $$ begin b := a + 1; c := 'c' || a; end $$;
create function doubled(inout a int) language plpgsql as $$ begin a := a * 2; end $$;
create function fact(n int) returns bigint language plpgsql as $$ begin if n <= 1 then return 1; end if; return n * fact(n - 1); end $$;
create function who() returns text language plpgsql security definer as $$ begin return current_user; end $$;
create function strict_one(a int) returns int language plpgsql strict as $$ begin return a + 1; end $$;
create function reads(i int) returns text language plpgsql stable as $$ begin return (select name from items where id = i); end $$;
create function dates(d date) returns text language plpgsql immutable as $$
declare n date := d + 1; t timestamp := d; begin return n || ' ' || t || ' ' || (n - d) || ' ' || (d > '2024-01-01'); end $$;
create function json_read(j jsonb) returns text language plpgsql as $$
declare k text; v jsonb; begin v := j -> 'a'; k := j ->> 'b'; if v @> '[1]' then k := k || '!'; end if; return k || v; end $$;
create function moods(m mood) returns mood language plpgsql as $$ declare n mood; begin if m < 'happy' then n := 'happy'; else n := 'sad'; end if; return n; end $$;
create function wrong_mood() returns mood language plpgsql as $$ begin return 'nosuch'; end $$;
create function shadow() returns int language plpgsql as $$ declare x int := 1; begin declare x int := 2; begin x := 3; end; return x; end $$;
create function endless() returns int language plpgsql as $$ begin return endless(); end $$;
create function window_expr() returns int language plpgsql as $$ begin return max(id) from items; end $$;
create function tr() returns trigger language plpgsql as $$ begin return new; end $$;
create function conflict_variable(name text) returns bigint language plpgsql as $$
#variable_conflict use_variable
begin return (select count(*) from items where name = 'pen'); end $$;
create function conflict_column(name text) returns bigint language plpgsql as $$
#variable_conflict use_column
declare id int := 5; begin return (select count(*) from items where name = 'pen' and id < 1000); end $$;
create function conflict_error(name text) returns bigint language plpgsql as $$
#variable_conflict use_column
#variable_conflict error
begin return (select count(*) from items where name = 'pen'); end $$;
create function conflict_rows(name text, id int) returns table (id2 int, price2 text) language plpgsql as $$
#variable_conflict use_variable
begin return query select items.id, name from items order by items.id limit 2; end $$;

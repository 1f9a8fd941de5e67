-- Functions in PL/pgSQL that applications call, and DO blocks as migrations have them.
do $$
begin
  create type order_state as enum ('open', 'paid', 'sent');
exception
  when duplicate_object then null;
end $$;

do $$ begin
  create type order_state as enum ('open', 'paid', 'sent');
exception
  when duplicate_object then null;
end $$;

do $$
begin
  if not exists (select 1 from pg_type where typname = 'order_state') then
    create type order_state as enum ('other');
  end if;
  if not exists (select 1 from information_schema.tables where table_schema = 'public' and table_name = 'purchases') then
    create table purchases (id int primary key, customer text not null, state order_state not null default 'open', total numeric(10,2) not null default 0);
  end if;
end
$$ language plpgsql;

create table purchase_lines (purchase_id int not null references purchases on delete cascade, place int, price numeric(10,2) not null, quantity int not null default 1, primary key (purchase_id, place));

do $$
declare
  i int;
  r record;
begin
  for i in 1..3 loop
    insert into purchases (id, customer) values (i, 'customer ' || i);
    insert into purchase_lines values (i, 1, i * 2.5, 1), (i, 2, 1.25, i);
  end loop;
  for r in select purchase_id, sum(price * quantity) as total from purchase_lines group by purchase_id loop
    update purchases set total = r.total where id = r.purchase_id;
  end loop;
  begin
    insert into purchases (id, customer) values (1, 'again');
    raise exception 'unreachable';
  exception when unique_violation then
    raise notice 'purchase 1 is there already';
  end;
end $$;

do $$
begin
  begin
    create table half_done (id int);
    raise exception 'undo it';
  exception when raise_exception then
    null;
  end;
  alter table purchases add column note text;
  update purchases set note = 'n' || id;
end $$;
-- Only possible because the one in the block above is gone again.
create table half_done (id int primary key, done boolean);

create function pay(p_id int, p_amount numeric) returns text language plpgsql as $$
declare
  p purchases;
begin
  select * into p from purchases where id = p_id;
  if not found then
    raise exception 'no purchase %', p_id using errcode = 'PT404', hint = 'Look again.';
  end if;
  if p.state <> 'open' then
    raise exception 'purchase % is %', p_id, p.state using errcode = '55000', detail = 'state ' || p.state;
  elsif p_amount < p.total then
    raise sqlstate 'PT402' using message = 'not enough', detail = (p.total - p_amount)::text || ' missing';
  end if;
  update purchases set state = 'paid' where id = p_id;
  return 'paid ' || p.total;
end $$;

create function open_purchases(low numeric default 0) returns setof purchases language plpgsql stable as $$
begin
  return query select * from purchases where state = 'open' and total >= low order by id;
  return;
end $$;

create function summary() returns table (state order_state, purchases bigint, total numeric) language plpgsql stable as $$
declare
  s order_state;
begin
  for s in select distinct p.state from purchases p order by 1 loop
    select s, count(*), sum(p.total) into state, purchases, total from purchases p where p.state = s;
    return next;
  end loop;
end $$;

create function new_purchase(who text, prices numeric[]) returns int language plpgsql security definer as $$
declare
  made int;
  price numeric;
  place int := 0;
begin
  select max(id) + 1 into made from purchases;
  insert into purchases (id, customer) values (made, who);
  foreach price in array prices loop
    place := place + 1;
    insert into purchase_lines (purchase_id, place, price) values (made, place, price);
  end loop;
  update purchases p set total = (select coalesce(sum(l.price), 0) from purchase_lines l where l.purchase_id = p.id) where p.id = made;
  return made;
end $$;

create function wipe(p_id int) returns void language plpgsql as $$
begin
  delete from purchases where id = p_id;
  if not found then
    raise no_data_found using message = 'nothing to wipe';
  end if;
end $$;

create function describe(p_id int, out customer text, out lines bigint, out state order_state) language plpgsql stable as $$
begin
  select p.customer, count(l.place), p.state into customer, lines, state
  from purchases p left join purchase_lines l on l.purchase_id = p.id where p.id = p_id group by p.id;
end $$;

create function whoami() returns jsonb language plpgsql stable as $$
begin
  return jsonb_build_object('user', current_user, 'sub', auth.uid());
end $$;

create function spin() returns int language plpgsql stable as $$
declare i int := 0;
begin
  loop
    i := i + 1;
    exit when i >= 100000;
  end loop;
  return i;
end $$;

create function writes_in_a_read() returns int language plpgsql stable as $$
begin
  update purchases set note = 'x';
  return 1;
end $$;

grant select, insert, update, delete on purchases, purchase_lines to anon, service_role;
grant execute on all functions in schema public to anon;
revoke execute on function wipe(int) from public, anon;
grant execute on function wipe(int) to service_role;

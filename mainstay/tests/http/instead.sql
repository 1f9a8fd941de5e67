-- Views whose INSTEAD OF triggers write what is behind them.

create table owners (id int primary key, name text not null unique);
create table pets (id int primary key, owner int not null references owners, name text not null, secret text);
create table sightings (id int primary key, pet int references pets, place text);

-- A join: one row in, two tables written.
create view owned as
  select pets.id, pets.name, owners.name as owner_name, pets.owner from pets join owners on owners.id = pets.owner;
create function keep_owned() returns trigger language plpgsql security definer as $$
declare
  who int;
begin
  if tg_op = 'DELETE' then
    delete from pets where id = old.id;
    if not found then return null; end if;
    return old;
  end if;
  if new.name is null then
    raise exception 'a pet needs a name' using errcode = 'check_violation', detail = tg_op, hint = 'Give it one.';
  end if;
  if new.name = 'nobody' then return null; end if;
  select id into who from owners where name = new.owner_name;
  if not found then
    insert into owners select coalesce(max(id), 0) + 1, new.owner_name from owners returning id into who;
  end if;
  new.owner := who;
  if tg_op = 'INSERT' then
    insert into pets values (new.id, who, new.name);
  else
    update pets set name = new.name, owner = who where id = old.id;
  end if;
  return new;
end $$;
create trigger keep_owned instead of insert or update or delete on owned for each row execute function keep_owned();

-- An aggregate, which only INSERT reaches.
create view counted as select owner, count(*) as pets from pets group by owner;
create function spread_counted() returns trigger language plpgsql as $$
begin
  for i in 1 .. new.pets loop
    insert into pets select coalesce(max(id), 0) + 1, new.owner, 'pet ' || i from pets;
  end loop;
  return new;
end $$;
create trigger spread_counted instead of insert on counted for each row execute function spread_counted();

-- A plain view over the join, with a check option.
create view anns as select id, name, owner_name from owned where owner_name = 'Ann' with check option;

-- Whose rights: the owner's, or the caller's.
create table notes (id int primary key, owner text, body text);
alter table notes enable row level security;
create policy own on notes using (owner = current_user);
create view all_notes as select * from notes;
create view my_notes with (security_invoker = true) as select * from notes;
create table seen (n serial primary key, said text);
create function say() returns trigger language plpgsql security definer as $$
begin
  insert into seen (said) values (tg_table_name || ' ' || tg_op || ' ' || tg_when || ' ' || tg_level || ' ' || case when tg_op = 'INSERT' then to_jsonb(new)::text else to_jsonb(old)::text end);
  if tg_op = 'DELETE' then return old; end if;
  return new;
end $$;
create function say_statement() returns trigger language plpgsql security definer as $$
begin
  insert into seen (said) values (tg_name || ' ' || tg_when || ' ' || tg_level);
  return null;
end $$;
create trigger say instead of insert or update or delete on all_notes for each row execute function say();
create trigger say instead of insert or update or delete on my_notes for each row execute function say();
create trigger first before insert or update or delete on all_notes execute function say_statement();
create trigger last after insert or update or delete on all_notes execute function say_statement();
insert into notes values (1, 'anon', 'a'), (2, 'postgres', 'b'), (3, 'anon', 'c');

-- What the caller may do.
create view hidden as select * from notes;
create trigger say instead of insert or update or delete on hidden for each row execute function say();

grant select, insert, update, delete on owned, counted, anns, all_notes, my_notes, notes, pets, owners, sightings to anon;
grant select on seen to anon;
revoke all on hidden from anon;
grant select (id), insert (id), update (body) on hidden to anon;

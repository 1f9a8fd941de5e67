-- Triggers that applications have, each on tables of its own.

-- updated_at.
create function touch() returns trigger language plpgsql as $$
begin
  new.updated_at := '2024-05-01 12:00:00+00'::timestamptz;
  return new;
end $$;
create table notes (id int primary key, body text not null, updated_at timestamptz, version int not null default 1);
create trigger notes_touch before update on notes for each row execute function touch();

-- Row versions, kept in a history table.
create table notes_history (id int, body text, version int, gone boolean not null default false, primary key (id, version, gone));
create function keep_version() returns trigger language plpgsql as $$
begin
  if tg_op = 'DELETE' then
    insert into notes_history (id, body, version, gone) values (old.id, old.body, old.version, true);
    return old;
  end if;
  if new.body is distinct from old.body then
    insert into notes_history values (old.id, old.body, old.version);
    new.version = old.version + 1;
  end if;
  return new;
end;
$$;
create trigger notes_versions before update or delete on notes for each row execute procedure keep_version();

-- A profile for each user.
create table users (id uuid primary key, email text unique, raw_user_meta_data jsonb);
create table profiles (id uuid primary key references users on delete cascade, name text, email text);
create function handle_new_user() returns trigger language plpgsql security definer set search_path = public as $$
begin
  insert into public.profiles (id, name, email)
  values (new.id, coalesce(new.raw_user_meta_data ->> 'full_name', split_part(new.email, '@', 1)), new.email);
  return new;
end;
$$;
create trigger on_auth_user_created after insert on users for each row execute procedure public.handle_new_user();

-- An audit log that any table can have.
create table audit (seq int primary key, relation text not null, operation text not null, was jsonb, became jsonb, by_role text);
create function audited() returns trigger language plpgsql security definer as $$
declare
  next int;
  row_before jsonb;
  row_after jsonb;
begin
  select coalesce(max(seq), 0) + 1 into next from audit;
  if tg_op in ('UPDATE', 'DELETE') then row_before := to_jsonb(old); end if;
  if tg_op <> 'DELETE' then row_after := to_jsonb(new); end if;
  insert into audit values (next, tg_table_schema || '.' || tg_table_name, tg_op, row_before, row_after, current_user);
  if tg_op = 'DELETE' then
    return old;
  else
    return new;
  end if;
end $$;
create table accounts (id int primary key, owner text, balance numeric(10,2) not null default 0, doubled numeric generated always as (balance * 2) stored);
create trigger accounts_audit after insert or update or delete on accounts for each row execute function audited();

-- Counters.
create table posts (id int primary key, title text not null, slug text unique, comment_count int not null default 0);
create table comments (id int primary key, post_id int not null references posts (id) on delete cascade, body text);
create function count_comments() returns trigger as $$
begin
  if (tg_op = 'INSERT') then
    update posts set comment_count = comment_count + 1 where id = new.post_id;
  elsif (tg_op = 'DELETE') then
    update posts set comment_count = comment_count - 1 where id = old.post_id;
  elsif new.post_id <> old.post_id then
    update posts set comment_count = comment_count - 1 where id = old.post_id;
    update posts set comment_count = comment_count + 1 where id = new.post_id;
  end if;
  return null;
end;
$$ language plpgsql;
create trigger comments_count after insert or update or delete on comments for each row execute function count_comments();
create table gone_comments (id int primary key, post_id int, parent_there boolean, as_role text);
create function note_gone() returns trigger as $$
begin
  insert into gone_comments values (old.id, old.post_id, exists (select 1 from posts p where p.id = old.post_id), current_user);
  return old;
end;
$$ language plpgsql;
create trigger comments_gone before delete on comments for each row execute function note_gone();

-- Slugs, made unique.
create function make_slug() returns trigger language plpgsql as $$
declare
  base text;
  candidate text;
  counter integer := 0;
begin
  if new.slug is not null and new.slug <> '' then
    return new;
  end if;
  base := trim(both '-' from regexp_replace(lower(new.title), '[^a-z0-9]+', '-', 'g'));
  candidate := base;
  while exists (select 1 from posts where slug = candidate and id <> new.id) loop
    counter := counter + 1;
    candidate := base || '-' || counter;
  end loop;
  new.slug := candidate;
  return new;
end;
$$;
create trigger posts_slug before insert or update of title on posts for each row execute function make_slug();

-- Deletes that only mark.
create table documents (id int primary key, title text, deleted_at timestamptz);
create function soft_delete() returns trigger language plpgsql as $$
begin
  update documents set deleted_at = '2024-01-01 00:00:00+00' where id = old.id and deleted_at is null;
  return null;
end $$;
create trigger documents_soft before delete on documents for each row when (old.deleted_at is null) execute function soft_delete();

-- Stock that may not go below zero.
create table products (id int primary key, name text not null, stock int not null, primary_price numeric(8,2));
create table orders (id int primary key, product_id int references products, quantity int not null check (quantity > 0));
create function take_stock() returns trigger language plpgsql as $$
declare
  available products.stock%type;
  p products%rowtype;
begin
  select * into strict p from products where id = new.product_id;
  available := p.stock;
  if available < new.quantity then
    raise exception 'not enough % in stock: % of % left', p.name, available, new.quantity
      using errcode = 'check_violation', hint = 'Order fewer.', detail = format('product %s', p.id);
  end if;
  update products set stock = stock - new.quantity where id = new.product_id;
  return new;
exception
  when no_data_found then
    raise exception 'no product %', new.product_id using errcode = 'P0404';
end $$;
create trigger orders_stock before insert on orders for each row execute function take_stock();

-- Addresses in one form, or refused.
create table subscribers (id int primary key, email text not null unique, source text);
create function normalise() returns trigger language plpgsql as $$
begin
  new.email := lower(trim(new.email));
  if new.email !~ '^[^@ ]+@[^@ ]+$' then
    raise exception using message = 'invalid e-mail address: ' || new.email, errcode = '22000';
  end if;
  new.source := coalesce(new.source, tg_argv[0]);
  return new;
end $$;
create trigger subscribers_normal before insert or update on subscribers for each row execute function normalise('web', 2);

-- A column that stays as it is.
create function keep_owner() returns trigger language plpgsql as $$
begin
  if new.owner is distinct from old.owner then
    raise exception 'owner of % cannot change', tg_table_name;
  end if;
  return new;
end $$;
create trigger accounts_owner before update on accounts for each row execute function keep_owner();

-- A path in a tree, and everything below it.
create table folders (id int primary key, parent_id int references folders (id) on delete cascade, name text not null, path text);
create function set_path() returns trigger language plpgsql as $$
begin
  if new.parent_id is null then
    new.path := '/' || new.name;
  else
    select f.path || '/' || new.name into new.path from folders f where f.id = new.parent_id;
  end if;
  return new;
end $$;
create function move_children() returns trigger language plpgsql as $$
begin
  if new.path is distinct from old.path then
    update folders set name = name where parent_id = new.id;
  end if;
  return null;
end $$;
create trigger folders_path before insert or update on folders for each row execute function set_path();
create trigger folders_move after update on folders for each row execute function move_children();

-- A queue, in place of NOTIFY.
create table outbox (id int primary key, topic text not null, payload jsonb);
create function enqueue() returns trigger language plpgsql as $$
begin
  insert into outbox (id, topic, payload)
  select coalesce(max(id), 0) + 1, tg_argv[0], jsonb_build_object('op', lower(tg_op), 'id', new.id) from outbox;
  return null;
end $$;
create trigger orders_queue after insert or update on orders for each row execute function enqueue('orders');
create table statement_log (n int primary key, what text);
create function log_statement() returns trigger language plpgsql as $$
begin
  insert into statement_log select count(*) + 1, tg_when || ' ' || tg_level || ' ' || tg_op || ' ' || tg_name || ' ' || tg_nargs from statement_log;
  return null;
end $$;
create trigger a_before before insert or update or delete on subscribers for each statement execute function log_statement();
create trigger z_after after insert or update or delete on subscribers for each statement execute function log_statement('x', 'y');

-- A text to search in.
create table articles (id int primary key, title text, body text, tags text, search text);
create function search_text() returns trigger language plpgsql as $$
begin
  new.search := lower(concat_ws(' ', new.title, new.body, new.tags));
  return new;
end $$;
create trigger articles_search before insert or update of title, body, tags on articles for each row
  when (new.title is not null) execute function search_text();

-- Foreign keys that set null or a default, with triggers on both sides.
create table teams (id int primary key, name text);
create table members (id int primary key, team_id int default 1 references teams (id) on delete set null on update cascade, name text, updated_at timestamptz);
create table guests (id int primary key, team_id int default 1 references teams (id) on delete set default, seen int not null default 0);
create trigger members_touch before update on members for each row execute function touch();
create function bump() returns trigger language plpgsql as $$ begin new.seen := new.seen + 1; return new; end $$;
create trigger guests_bump before update on guests for each row execute function bump();
create trigger members_audit after update or delete on members for each row execute function audited();

-- Row security sees what BEFORE triggers leave.
create table secrets (id int primary key, owner text not null default 'nobody', body text);
alter table secrets enable row level security;
create policy own on secrets using (owner = current_user) with check (owner = current_user);
create function own_it() returns trigger language plpgsql as $$ begin new.owner := current_user; return new; end $$;
create trigger secrets_own before insert on secrets for each row execute function own_it();
create table locked (id int primary key, owner text not null);
alter table locked enable row level security;
create policy open_all on locked for all using (true) with check (owner = 'me');
create function steal() returns trigger language plpgsql as $$ begin new.owner := 'them'; return new; end $$;
create trigger locked_steal before insert or update on locked for each row execute function steal();

-- A BEFORE trigger that changes its own row behind the statement's back.
create table loops (id int primary key, n int not null default 0);
create function meddle() returns trigger language plpgsql as $$
begin
  update loops set n = n + 10 where id = old.id and n < 10;
  return new;
end $$;
create trigger loops_meddle before update on loops for each row when (new.n = 5) execute function meddle();

create extension if not exists moddatetime schema extensions;
create table stamps (id int primary key, body text, changed timestamptz not null default '2000-01-01');
create trigger stamps_changed before update on stamps for each row execute procedure extensions.moddatetime(changed);
create table quiet (id int primary key, body text, times int not null default 0);
create trigger a_quiet before update on quiet for each row execute function suppress_redundant_updates_trigger();
create function times() returns trigger language plpgsql as $$ begin new.times := old.times + 1; return new; end $$;
create trigger b_times before update on quiet for each row execute function times();

-- Whole rows compared and copied.
create table pairs (id int primary key, b text, c int);
create table pair_copies (id int, b text, c int, copy int primary key);
create function copy_pair() returns trigger language plpgsql as $$
begin
  if tg_op = 'UPDATE' and new is not distinct from old then
    return new;
  end if;
  insert into pair_copies select new.*, (select count(*) from pair_copies);
  insert into pair_copies values (old.*, 100 + (select count(*) from pair_copies));
  return new;
end $$;
create trigger pairs_copy after insert or update on pairs for each row execute function copy_pair();
create trigger pairs_changed after update on pairs for each row when (old.* is distinct from new.*) execute function enqueue('pairs');

-- A profile for each user of the platform.
create table public.members_of (id uuid primary key references auth.users on delete cascade, email text, joined timestamptz);
create function public.handle_auth_user() returns trigger language plpgsql security definer set search_path = '' as $$
begin
  insert into public.members_of (id, email, joined) values (new.id, new.email, new.created_at);
  return new;
end;
$$;
create trigger on_auth_user_created after insert on auth.users for each row execute procedure public.handle_auth_user();
insert into auth.users (id, email, created_at) values ('c0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', 'cy@example.org', '2024-01-02 03:04:05+00');
grant select on members_of to anon, service_role;
grant select, insert, update, delete on pairs, pair_copies to anon, service_role;

grant select, insert, update, delete on notes, notes_history, users, profiles, accounts, posts, comments, gone_comments,
  documents, products, orders, subscribers, folders, outbox, statement_log, articles, teams, members, guests, secrets,
  locked, loops, stamps, quiet to anon, service_role;
grant select on audit to anon, service_role;

create table teams (id int primary key, name text not null, founded date);
create table people (
    id int primary key,
    team_id int references teams (id),
    name text not null,
    score numeric(10, 2),
    points int,
    big bigint,
    weight double precision,
    born date,
    is_active boolean,
    meta jsonb
);
create index on people (team_id);
insert into teams values (1, 'red', '2001-02-03'), (2, 'blue', null), (3, 'empty', '1999-01-01');
insert into people values
    (1, 1, 'ann', 1.50, 10, 9007199254740993, 0.1, '1990-01-01', true, '{"kind": "a", "n": 1}'),
    (2, 1, 'bob', 1.5, 20, 9223372036854775807, 0.2, '1991-01-01', false, '{"kind": "b", "n": 2}'),
    (3, 2, 'cat', null, null, null, null, null, null, null),
    (4, 2, 'dan', 2.25, 5, 1, 1e300, '1980-05-05', true, '{"kind": "a", "n": "x"}'),
    (5, null, 'eve', 0.00, 0, 0, -0.5, '2000-12-31', true, '{"kind": "b"}');

alter table people enable row level security;
create policy "all but eve" on people for select to anon using (name <> 'eve');
grant select on teams, people to anon;

create domain "text/html" as text;
create domain "application/octet-stream" as bytea;
create function page(title text) returns "text/html" language sql stable as $$ select ('<h1>' || title || '</h1>')::"text/html" $$;
create function bytes() returns "application/octet-stream" language sql stable as $$ select '\x00ff41'::bytea::"application/octet-stream" $$;
create function nothing() returns "text/html" language sql stable as $$ select null::"text/html" $$;
create function first_people(n int) returns setof people language sql stable as $$ select * from people order by id limit n $$;
create sequence counter;
create function next_count() returns bigint language sql volatile as $$ select nextval('counter') $$;
create table moments (id int primary key, at timestamptz);
insert into moments values (1, '2023-10-18 12:37:59.611+00'), (2, '2024-07-01 10:00:00+00');
grant select, delete on moments to anon;
create function drop_moments() returns setof moments language sql volatile as $$ delete from moments returning * $$;
grant usage on sequence counter to anon;

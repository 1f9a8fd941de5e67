create role anon nologin;
create type mood as enum ('sad', 'ok', 'happy');
create table t (
  id integer primary key,
  s smallint,
  b bigint,
  n numeric(10, 2),
  f double precision,
  r real,
  txt text not null,
  v varchar(10),
  flag boolean,
  u uuid,
  d date,
  ti time,
  ts timestamp,
  tz timestamptz(3),
  j json,
  jb jsonb,
  ba bytea,
  m mood
);
create table o (
  id bigint generated always as identity primary key,
  t_id integer references t (id),
  qty integer not null,
  price numeric(12, 2),
  note text unique,
  made timestamptz default now()
);
create table two (a integer, b integer, c text, unique (a, b));
create view vw as select id, txt as label, n + 1 as more from t;
create view vv as select label, id as "Key" from vw;
create sequence counter;
create function smoke_total(min_qty integer default 0) returns numeric language sql stable
  as $$ select coalesce(sum(o.qty * o.price), 0) from o where o.qty >= min_qty $$;
create function add_one(x integer) returns bigint language sql immutable strict as $$ select x + 1 $$;
create function id(id integer) returns integer language sql stable as $$ select t.id from t where t.id = id $$;

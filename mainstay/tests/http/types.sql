create type mood as enum ('sad', 'ok', 'happy');
create table everything (
  id int primary key,
  b boolean,
  i2 smallint,
  i8 bigint,
  f4 real,
  f8 double precision,
  n numeric,
  price numeric(10, 2),
  t text,
  v varchar(5),
  u uuid,
  ts timestamp,
  tz timestamptz,
  d date,
  tm time,
  j json,
  jb jsonb,
  by bytea,
  m mood
);
create table parents (id int primary key, name text not null, note text);
create table children (
  id int primary key,
  parent_id int references parents (id) on delete cascade,
  second_parent int references parents (id),
  rank int not null default 0,
  label text default 'none',
  amount numeric(8, 2),
  unique (parent_id, label)
);
create table tags (id int primary key, name text unique);
create table child_tags (
  child_id int references children (id),
  tag_id int references tags (id),
  primary key (child_id, tag_id)
);
create table serials (id serial primary key, name text not null, at timestamptz);
create table identities (id bigint generated always as identity primary key, name text);
create view parent_names as select id, name from parents;
create view child_counts as
  select p.id, p.name, count(c.id) as children, sum(c.amount) as amount
  from parents p left join children c on c.parent_id = p.id group by p.id, p.name;
create table nodes (id int primary key, up int references nodes (id), name text);

grant select, insert, update, delete on everything, parents, children, tags, child_tags, serials, identities, nodes
  to anon, authenticated, service_role;
grant select on child_counts, parent_names to anon, authenticated, service_role;
grant usage on sequence serials_id_seq to anon, authenticated, service_role;

insert into everything values
  (1, true, 1, 9007199254740993, 1.5, 0.1, 1.50, 10.00, 'plain', 'abc', 'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11',
   '2024-03-01 12:00:00', '2024-03-01 12:00:00.5+02', '2024-03-01', '12:30:00', '{"b": 1,  "a": [1, 2]}', '{"b": 1,  "a": [1, 2]}', '\xdeadbeef', 'happy'),
  (2, false, -32768, -9223372036854775808, 1e10, 1e300, 0.000001, 0.05, 'O''Hara "q" \ , (x) é', '', '00000000-0000-0000-0000-000000000000',
   '1999-12-31 23:59:59.999999', '1999-12-31 23:59:59.999999+00', '0001-01-01', '23:59:59.5', '[]', '{"z":null,"aa":{"x":"y"},"b":1.0}', '', 'sad'),
  (3, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null),
  (4, true, 32767, 9223372036854775807, 3.4028235e38, 1e-7, 123456789012345678901234567890.123456789, 99999999.99, '', 'É', 'ffffffff-ffff-ffff-ffff-ffffffffffff',
   '2024-02-29 00:00:00', '2024-02-29 00:00:00Z', '9999-12-31', '00:00:00', '"text"', '"text"', '\x00ff', 'ok');
insert into parents values (1, 'one', null), (2, 'two', 'n'), (3, 'three', '');
insert into children values
  (1, 1, 2, 3, 'a', 1.10), (2, 1, null, 1, 'b', 2.20), (3, 2, 1, 2, 'a', null), (4, null, null, 5, 'z', 10.00), (5, 1, 3, 2, null, 0.05);
insert into tags values (1, 'red'), (2, 'green'), (3, 'blue');
insert into child_tags values (1, 1), (1, 2), (2, 2), (3, 3);
insert into nodes values (1, null, 'root'), (2, 1, 'left'), (3, 1, 'right'), (4, 2, 'leaf');

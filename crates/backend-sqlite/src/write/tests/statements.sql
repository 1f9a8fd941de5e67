-- The schema of the statement scenarios; the same text runs on both engines.
create type mood as enum ('sad', 'ok', 'happy');
create table people (
  id int generated always as identity primary key, name text not null, mood mood default 'ok', born date,
  height numeric(5,2), weight float8, active boolean not null default true, tags jsonb, seen timestamptz, nick varchar(5)
);
create table orders (
  id serial primary key, person int references people (id) on delete cascade, total numeric(10,2) not null default 0,
  placed timestamptz, status text not null default 'new' check (status in ('new', 'paid', 'void')),
  quantity smallint, big bigint, full_total numeric(12,2) generated always as (total * 2) stored
);
create table tree (id int primary key, parent int references tree (id), label text);
create table keyed (a int, b text, v int, primary key (a, b));
create table empty (id int primary key, x text);
create view paid as select o.id, o.total, p.name from orders o join people p on p.id = o.person where o.status = 'paid';
insert into people (name, mood, born, height, weight, active, tags, seen, nick) values
  ('Ann', 'happy', '1990-01-31', 1.70, 61.5, true, '{"a": 1, "b": [1, 2]}', '2024-03-01 10:00:00+00', 'an'),
  ('Bob', 'sad', '1985-12-05', 1.8, 80, false, '{"a": 1.0}', '2024-03-01 12:30:00.25+02', null),
  ('Cid', null, null, null, null, true, null, null, 'cid'),
  ('ann', 'ok', '2000-02-29', 10.00, 0.1, true, '[]', '2023-12-31 23:59:59+00', 'x');
insert into orders (person, total, placed, status, quantity, big) values
  (1, 10.50, '2024-01-01 00:00:00+00', 'paid', 1, 9000000000),
  (1, 9.00, '2024-01-02 00:00:00+00', 'new', 2, 1),
  (2, 100, '2024-01-03 00:00:00+00', 'paid', null, null),
  (2, 9, '2024-01-04 00:00:00+00', 'void', 5, 5),
  (null, 0.10, null, 'new', 3, 3);
insert into tree values (1, null, 'root'), (2, 1, 'left'), (3, 1, 'right'), (4, 3, 'leaf');
insert into keyed values (1, 'x', 1), (1, 'y', 2), (2, 'x', 3);

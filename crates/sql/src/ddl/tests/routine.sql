-- One statement a line, in an empty schema. Answers: routine.txt.
create table t (id int, body text)
create function a1(out x int, out y text) language sql as $$ select 1 $$
create function a2(out x int, out y text) language sql as $$ select 1, 2, 3 $$
create function a3(out x int, out y text) language sql as $$ select 1, 2 $$
create function a4(out x int, out y text) returns int language sql as $$ select 1, 2 $$
create function a5(out x int) returns text language sql as $$ select 1 $$
create function a6() returns t language sql as $$ select 1 $$
create function a7() returns t language sql as $$ select 1, 2.5 $$
create function a8() returns setof t language sql as $$ select 'x'::text, 'y'::text $$
create function a9() returns setof t language sql as $$ select 1,'y'::text,3 $$
create function b2(variadic a int) returns int language sql as 'select 1'
create function b3(out a int default 3) language sql as 'select 1'
create function b4(a int, a int) returns int language sql as 'select 1'
create function b5(a int, out a int) language sql as 'select 1'
create function b6(inout a int, out a int) language sql as 'select 1,2'
create function b7(a int) returns table(a int) language sql as 'select 1'
create function b8(inout a int) returns table(x int) language sql as 'select 1'
create function b9() language sql as 'select 1'
create function c1() returns int language sql as 'insert into t values (1)'
create function c2() returns int language sql as 'insert into t values (1) returning id'
create function c3() returns int language sql as 'select 1; delete from t'
create function c4() returns int language sql as ''
create function c5() returns void language sql as ''
create function c6() returns void language sql as 'select 1'
create function d1() returns trigger language sql as 'select 1'
create function d2() returns int language sql as 'select nosuch'
create function d3() returns int language sql as 'select * from nosuch'
create function d6(a int default 1, b int) returns int language sql as 'select 1'
create function d7(a int default 'x') returns int language sql as 'select 1'
create function d8(a int) returns int language sql as 'select $2'
create function d9(a int) returns setof int language sql as 'select a union all select a + 1'
create or replace function d9(a int) returns int language sql as 'select a'
create or replace function d9(b int) returns setof int language sql as 'select b'
create function e1(out x int, out y text) language sql as $$ select 1, 'a' $$
create or replace function e1(out x int, out z text) language sql as $$ select 1, 'a' $$
create or replace function e1(out x int, out y int) language sql as $$ select 1, 2 $$
create function e4() returns nosuch language sql as 'select 1'
create function e7() returns t language sql as 'select row(1,''a'')'
create function e8() returns t language sql as 'select null'
create function f1() returns int language sql return 1
create function f2() returns int language sql begin atomic select 1; select 2; end
create function f3() returns int begin atomic insert into t values (1); select 2; end
create function f4() returns int language sql as 'select 1' return 2
create function f5(a int) returns table (x int, x int) language sql as 'select 1,2'
create function f6(int, text) returns int language sql as 'select $1'
create function f7() returns int language sql as 'values (1)'
create function f8() returns int language sql as 'select 1 as a order by 1 limit 1'
create function f9() returns varchar(3) language sql as 'select ''abcdef'''
create function g1() returns int language sql as 'select 1.5'
create function g2() returns int language sql as 'select ''5'''
create function g3() returns int language sql as 'select ''5''::text'
create function g5() returns int language sql strict strict as 'select 1'
create function g6() returns int as 'select 1'
create function g7() returns int language sql
alter function nosuch() stable
alter function f1() rename to f2
drop function f1(int)
drop function nosuch
drop function f6(int, text)
create function h1(a int) returns int language sql as 'select a'
create function h1(a text) returns int language sql as 'select 1'
drop function h1
create function k1(a int, variadic b text[]) returns int language sql as 'select 1'
create function k2(a int default 5, variadic b text[] default '{}') returns int language sql as 'select 1'
create or replace function d9(a int, b int) returns setof int language sql as 'select a'
alter function d9(int) immutable strict security definer set search_path = public
alter function d9(int) reset search_path
alter function d9(text) immutable
alter function d9 immutable
drop function d9(int), d9(int, int)
create function d9(a int) returns setof int language sql as 'select a'
drop function if exists nosuch(int)
create or replace function f1() returns bigint language sql as 'select 1::bigint'
create or replace function h1(a int default 3) returns int language sql as 'select a'
create or replace function h1(a int) returns int language sql as 'select a'
create function one_col(out a int) language sql as 'select 1'
create or replace function one_col(out b int) language sql as 'select 1'
create or replace function one_col() returns int language sql as 'select 1'
create function w1() returns t language sql as 'insert into t values (1, ''a'') returning *'
create function w2() returns setof int language sql as 'update t set id = 1 returning id, body'
create function w3() returns text language sql as 'delete from t returning id'
create function w4() returns int language sql as 'insert into t (nosuch) values (1) returning id'
create function w5() returns void language sql as 'delete from t; select 1, 2'
create function w6() returns date language sql as 'select now()'
create function w7() returns uuid language sql as 'select gen_random_uuid()'
create function w8() returns uuid language sql as 'select ''x'''
create function w9(mood_of text) returns int language sql immutable as 'select nosuch(1)'
create function x1(a int) returns int language sql as 'select nosuch.a from t'
create function x2(a int) returns int language sql as 'select x2.a'
create function x3(a int) returns int language sql begin atomic select x3.a; end
create function x4(a int, out b int, out c int) returns record language sql as 'select a, a'
create function x5(a int, out b int, out c int) returns setof record language sql as 'select a, a'
set check_function_bodies = off
create function y1() returns int language sql as 'select * from not_yet'
create function y2() returns int language sql as 'select ''a''::text'
set check_function_bodies = on
create function y3() returns int language sql as 'select * from not_yet'

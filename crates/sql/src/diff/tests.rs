//! Differences of small schemas, statement by statement. Random pairs on both engines are `mainstay`'s tests.

use std::collections::BTreeMap;

use mainstay_core::definition::Definitions;

use super::between;
use crate::ddl::{self, DefaultGrants};
use crate::define;
use crate::dump::platform::Selection;
use crate::dump::{after_rows, before_rows};
use crate::parse;
use crate::session::Session;

fn made(sql: &str) -> Definitions {
    let mut catalog = ddl::initial_catalog(DefaultGrants::Closed);
    let mut session = Session::default();
    for statement in parse::parse(sql).unwrap() {
        ddl::apply(&mut catalog, &mut session, &statement).unwrap();
    }
    Selection::default().apply(define::of_catalog(&catalog, BTreeMap::new()))
}

/// The statements from one schema to the other; those with a warning end in `!`.
fn steps(from: &str, to: &str) -> Vec<String> {
    between(&made(from), &made(to))
        .into_iter()
        .map(|step| [step.sql.as_str(), if step.warning.is_some() { "!" } else { "" }].concat())
        .collect()
}

#[test]
fn labels_are_added_where_they_stand() {
    assert_eq!(
        steps(
            "create type mood as enum ('b', 'd');",
            "create type mood as enum ('a', 'b', 'c', 'd', 'e');"
        ),
        [
            "ALTER TYPE public.mood ADD VALUE 'a' BEFORE 'b'",
            "ALTER TYPE public.mood ADD VALUE 'c' AFTER 'b'",
            "ALTER TYPE public.mood ADD VALUE 'e'",
        ]
    );
}

#[test]
fn a_label_that_goes_moves_the_columns_to_a_new_type() {
    assert_eq!(
        steps(
            "create type mood as enum ('a', 'b'); create table t (m mood default 'a'); create view v as select m from t;",
            "create type mood as enum ('a'); create table t (m mood default 'a'); create view v as select m from t;",
        ),
        [
            "DROP VIEW public.v",
            "ALTER TYPE public.mood RENAME TO mood_replaced",
            "CREATE TYPE public.mood AS ENUM ('a')",
            "ALTER TABLE public.t ALTER COLUMN m DROP DEFAULT",
            "ALTER TABLE public.t ALTER COLUMN m TYPE public.mood USING m::text::public.mood!",
            "DROP TYPE public.mood_replaced",
            "ALTER TABLE public.t ALTER COLUMN m SET DEFAULT 'a'",
            "CREATE VIEW public.v (m) AS\nSELECT m FROM public.t",
        ]
    );
}

#[test]
fn what_names_a_column_makes_way_for_its_new_type() {
    let rest =
        "create view v as select a from t; create view w as select a from v; create view other as select b from t;
        alter table t enable row level security; create policy p on t using (a is not null);";
    assert_eq!(
        steps(
            &["create table t (a integer, b text);", rest].concat(),
            &["create table t (a text, b text);", rest].concat()
        ),
        [
            "DROP POLICY p ON public.t",
            "DROP VIEW public.w",
            "DROP VIEW public.v",
            "ALTER TABLE public.t ALTER COLUMN a TYPE text USING a::text!",
            "CREATE VIEW public.v (a) AS\nSELECT a FROM public.t",
            "CREATE VIEW public.w (a) AS\nSELECT a FROM public.v",
            "CREATE POLICY p ON public.t USING (a IS NOT NULL)",
        ]
    );
}

#[test]
fn a_view_that_is_made_anew_gets_its_triggers_back() {
    let rest = "create function f() returns trigger language plpgsql as $$begin return new; end$$;
        create view v as select a from t;
        create trigger i instead of insert or update on v for each row execute function f();
        comment on trigger i on v is 'x';";
    assert_eq!(
        steps(
            &["create table t (a integer, b text);", rest].concat(),
            &["create table t (a text, b text);", rest].concat()
        ),
        [
            "DROP TRIGGER i ON public.v",
            "DROP VIEW public.v",
            "ALTER TABLE public.t ALTER COLUMN a TYPE text USING a::text!",
            "CREATE VIEW public.v (a) AS\nSELECT a FROM public.t",
            "CREATE TRIGGER i INSTEAD OF INSERT OR UPDATE ON public.v FOR EACH ROW EXECUTE FUNCTION public.f()",
            "COMMENT ON TRIGGER i ON public.v IS 'x'",
        ]
    );
}

#[test]
fn a_right_on_the_table_that_goes_leaves_those_on_columns() {
    let table = "create table t (a integer, b integer);";
    assert_eq!(
        steps(
            &[
                table,
                "grant select, update on t to anon; grant select (a) on t to anon;"
            ]
            .concat(),
            &[table, "grant select (a) on t to anon;"].concat()
        ),
        [
            "REVOKE SELECT, UPDATE ON TABLE public.t FROM anon",
            "GRANT SELECT (a) ON TABLE public.t TO anon",
        ]
    );
}

#[test]
fn what_is_new_begins_with_the_rights_that_are_given_by_themselves() {
    let rights = "alter default privileges in schema public grant select on tables to anon;";
    assert_eq!(
        steps(
            rights,
            &[
                rights,
                "create table t (a integer); revoke all on t from anon; grant insert on t to anon;"
            ]
            .concat()
        ),
        [
            "CREATE TABLE public.t (\n    a integer\n)",
            "REVOKE SELECT ON TABLE public.t FROM anon",
            "GRANT INSERT ON TABLE public.t TO anon",
        ]
    );
}

#[test]
fn turning_row_security_off_is_warned_of() {
    assert_eq!(
        steps(
            "create table t (a integer); alter table t enable row level security;",
            "create table t (a integer);"
        ),
        ["ALTER TABLE public.t DISABLE ROW LEVEL SECURITY!"]
    );
}

#[test]
fn keys_that_lead_in_circles_come_after_the_rows() {
    let made = made(
        "create table a (id integer primary key, b integer); create table b (id integer primary key, a integer references a);
         alter table a add foreign key (b) references b;",
    );
    assert!(
        !before_rows(&made)
            .iter()
            .any(|statement| statement.contains("FOREIGN KEY"))
    );
    let keys: Vec<String> = after_rows(&made)
        .into_iter()
        .filter(|statement| statement.contains("FOREIGN KEY"))
        .collect();
    assert_eq!(
        keys,
        [
            "ALTER TABLE public.a ADD CONSTRAINT a_b_fkey FOREIGN KEY (b) REFERENCES public.b(id)",
            "ALTER TABLE public.b ADD CONSTRAINT b_a_fkey FOREIGN KEY (a) REFERENCES public.a(id)",
        ]
    );
}

#[test]
fn what_a_default_calls_comes_before_its_table() {
    let made = made(
        "create function z() returns integer language sql immutable as 'select 1'; create table a (n integer default z());
         create function b() returns bigint language sql stable as 'select count(*) from a';",
    );
    let order: Vec<&str> = ["FUNCTION public.z", "TABLE public.a", "FUNCTION public.b"].to_vec();
    let statements = before_rows(&made);
    let places: Vec<usize> = order
        .iter()
        .map(|name| {
            statements
                .iter()
                .position(|statement| statement.contains(name))
                .unwrap()
        })
        .collect();
    assert!(places.is_sorted(), "{statements:#?}");
}

#[test]
fn the_types_of_extensions_have_their_schema() {
    let made = made(
        "create extension vector schema extensions; create extension citext;
        create domain mail as citext check (value <> ''::citext);
        create table t (id int primary key, v vector(3) default '[1,2,3]'::extensions.vector, c citext default 'x'::citext,
            m mail);
        create function near(v extensions.vector) returns setof citext language sql as 'select c from t';",
    );
    let mut statements = before_rows(&made);
    statements.extend(after_rows(&made));
    let text = statements.join(";\n");
    for spelled in [
        "v extensions.vector(3) DEFAULT '[1,2,3]'::extensions.vector",
        "c public.citext DEFAULT 'x'::public.citext",
        "AS public.citext",
        "near(v extensions.vector)",
        "SETOF public.citext",
        "''::public.citext",
    ] {
        assert!(text.contains(spelled), "{spelled}: {text}");
    }
}

//! DDL against what PostgreSQL 15 says: names, codes, messages, details and hints were recorded from a server.

mod alter;
mod routine;

use mainstay_core::catalog::{Catalog, ConstraintKind};
use mainstay_core::error::DatabaseError;
use mainstay_core::name::{Ident, QualifiedName};

use super::{Change, DefaultGrants, apply, initial_catalog};
use crate::ast::Statement;
use crate::parse;
use crate::session::Session;

/// A catalog that statements are applied to one after the other, as a migration does.
pub(super) struct Schema {
    pub(super) catalog: Catalog,
    session: Session,
    pub(super) changes: Vec<Change>,
}

impl Schema {
    pub(super) fn new() -> Self {
        Schema {
            catalog: initial_catalog(DefaultGrants::Closed),
            session: Session::default(),
            changes: Vec::new(),
        }
    }

    /// Applies every statement; each error leaves the catalog as it was, like a savepoint.
    pub(super) fn run(&mut self, text: &str) -> Result<(), DatabaseError> {
        for statement in parse::parse(text)? {
            if !matches!(
                statement.ast,
                Statement::Ddl(_) | Statement::Set(_) | Statement::Unsupported(_)
            ) {
                continue;
            }
            let mut catalog = self.catalog.clone();
            let mut session = self.session.clone();
            self.changes.extend(apply(&mut catalog, &mut session, &statement)?);
            self.catalog = catalog;
            self.session = session;
        }
        Ok(())
    }

    pub(super) fn of(text: &str) -> Self {
        let mut schema = Schema::new();
        schema.run(text).unwrap();
        schema
    }

    /// The error of a statement as psql shows it: code, message, detail, hint.
    fn error(&mut self, text: &str) -> String {
        let error = self.run(text).expect_err(text);
        let mut shown = format!("{}: {}", error.sqlstate, error.message);
        for (label, part) in [("DETAIL", &error.detail), ("HINT", &error.hint)] {
            if let Some(part) = part {
                shown.push_str(&format!("\n{label}: {part}"));
            }
        }
        shown
    }

    fn notices(&mut self, text: &str) -> Vec<String> {
        self.changes.clear();
        self.run(text).unwrap();
        self.changes
            .iter()
            .filter_map(|change| match change {
                Change::Notice(notice) => Some(notice.message.clone()),
                _ => None,
            })
            .collect()
    }

    fn constraints(&self, table: &str) -> Vec<String> {
        let relation = &self.catalog.relations[&QualifiedName::new("public", table)];
        relation
            .constraints
            .iter()
            .map(|constraint| constraint.name.to_string())
            .collect()
    }

    fn indexes(&self, table: &str) -> Vec<String> {
        let relation = &self.catalog.relations[&QualifiedName::new("public", table)];
        relation.indexes.iter().map(|index| index.name.to_string()).collect()
    }
}

#[test]
fn the_portable_fixture_applies() {
    let Some(text) = shared("conformance/postgrest/fixtures/portable.sql") else {
        return;
    };
    let roles = shared("conformance/postgrest/fixtures/portable-roles.sql").unwrap();
    let grants = shared("conformance/postgrest/fixtures/portable-grants.sql").unwrap();
    let mut schema = Schema::new();
    for part in [roles, text, grants] {
        for statement in parse::parse(&part).unwrap() {
            if matches!(
                statement.ast,
                Statement::Ddl(_) | Statement::Set(_) | Statement::Unsupported(_)
            ) {
                let done = apply(&mut schema.catalog, &mut schema.session, &statement);
                assert!(done.is_ok(), "line {}: {:?}\n{}", statement.line, done, statement.text);
            }
        }
    }
    assert!(schema.catalog.relations.len() > 100);
    let key = &schema.catalog.relations[&QualifiedName::new("test", "contract")].constraints[0];
    assert!(matches!(&key.kind, ConstraintKind::ForeignKey(key) if key.columns.len() == 4));
    assert!(
        schema
            .catalog
            .sequences
            .contains_key(&QualifiedName::new("test", "items_id_seq"))
    );
    let anonymous = Ident::new("postgrest_test_anonymous");
    let hidden = &schema.catalog.relations[&QualifiedName::new("test", "authors_only")];
    assert!(
        !hidden
            .acl
            .iter()
            .any(|entry| entry.grantee == mainstay_core::catalog::Grantee::Role(anonymous.clone()))
    );
}

/// A file beside the repository; `None`, with one line to say so, where it is not.
fn shared(path: &str) -> Option<String> {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../../shared")
        .join(path);
    let text = std::fs::read_to_string(&root).ok();
    if text.is_none() {
        assert!(std::env::var("CI").is_err(), "../shared/{path} is missing");
        println!("skipped: ../shared/{path} is not here");
    }
    text
}

#[test]
fn names_are_those_that_postgresql_gives() {
    let schema = Schema::of(
        "create table t (id serial primary key, a int unique, b int check (b > 0), c int,
            check (a > b), unique (a, b), check (a < c), constraint x check (c > 0));
         create table u (id int primary key references t, t_id int references t, foreign key (id, t_id) references t (a, b));
         create index on t (a); create index on t (a); create index on t ((a + b), (b + a)); create index on t (lower(a::text), a);
         create unique index on t (c) where c > 1;",
    );
    assert_eq!(
        schema.constraints("t"),
        [
            "t_b_check",
            "t_check",
            "t_check1",
            "x",
            "t_pkey",
            "t_a_key",
            "t_a_b_key"
        ]
    );
    assert_eq!(
        schema.constraints("u"),
        ["u_pkey", "u_id_fkey", "u_t_id_fkey", "u_id_t_id_fkey"]
    );
    assert_eq!(
        schema.indexes("t"),
        ["t_a_idx", "t_a_idx1", "t_expr_expr1_idx", "t_lower_a_idx", "t_c_idx"]
    );
    assert!(
        schema
            .catalog
            .sequences
            .contains_key(&QualifiedName::new("public", "t_id_seq"))
    );
}

/// Statements that fail on PostgreSQL 15, with what it says.
const ERRORS: &[(&str, &str)] = &[
    ("create table t (id int)", "42P07: relation \"t\" already exists"),
    (
        "create table d (a int, a int)",
        "42701: column \"a\" specified more than once",
    ),
    (
        "create table d (a int primary key, b int primary key)",
        "42P16: multiple primary keys for table \"d\" are not allowed",
    ),
    (
        "create table d (a int, primary key (z))",
        "42703: column \"z\" named in key does not exist",
    ),
    (
        "create table d (a int, primary key (a, a))",
        "42701: column \"a\" appears twice in primary key constraint",
    ),
    (
        "create table d (a int, unique (a, a))",
        "42701: column \"a\" appears twice in unique constraint",
    ),
    ("create table d (a foo)", "42704: type \"foo\" does not exist"),
    ("create table d (a nope.foo)", "3F000: schema \"nope\" does not exist"),
    ("create table nope.d (a int)", "3F000: schema \"nope\" does not exist"),
    (
        "create table d (a int references nope)",
        "42P01: relation \"nope\" does not exist",
    ),
    (
        "create table d (a int, foreign key (z) references t (id))",
        "42703: column \"z\" referenced in foreign key constraint does not exist",
    ),
    (
        "create table d (a text references t (id))",
        "42804: foreign key constraint \"d_a_fkey\" cannot be implemented\n\
         DETAIL: Key columns \"a\" and \"id\" are of incompatible types: text and integer.",
    ),
    (
        "create table d (a int references t (c))",
        "42830: there is no unique constraint matching given keys for referenced table \"t\"",
    ),
    (
        "create table d (a int, b int, foreign key (a, b) references t (id))",
        "42830: number of referencing and referenced columns for foreign key disagree",
    ),
    (
        "create table d (a int references v (id))",
        "42809: referenced relation \"v\" is not a table",
    ),
    (
        "create table d (a int references np)",
        "42704: there is no primary key for referenced table \"np\"",
    ),
    (
        "create table d (a int not null null)",
        "42601: conflicting NULL/NOT NULL declarations for column \"a\" of table \"d\"",
    ),
    (
        "create table d (a int default 1 default 2)",
        "42601: multiple default values specified for column \"a\" of table \"d\"",
    ),
    (
        "create table d (a int default 'x')",
        "22P02: invalid input syntax for type integer: \"x\"",
    ),
    (
        "create table d (a int default now())",
        "42804: column \"a\" is of type integer but default expression is of type timestamp with time zone\n\
         HINT: You will need to rewrite or cast the expression.",
    ),
    (
        "create table d (a int default b, b int)",
        "0A000: cannot use column reference in DEFAULT expression",
    ),
    (
        "create table d (a int check (a + 1))",
        "42804: argument of CHECK must be type boolean, not type integer",
    ),
    (
        "create table d (a int check (b > 1))",
        "42703: column \"b\" does not exist",
    ),
    (
        "create table d (a int check ((select 1) > 1))",
        "0A000: cannot use subquery in check constraint",
    ),
    (
        "create table d (a int constraint y check (a > 1), constraint y check (a > 2))",
        "42710: check constraint \"y\" already exists",
    ),
    (
        "create table d (a int constraint y unique, b int constraint y unique)",
        "42P07: relation \"y\" already exists",
    ),
    (
        "create table d (a json primary key)",
        "42704: data type json has no default operator class for access method \"btree\"\n\
         HINT: You must specify an operator class for the index or define a default operator class for the data type.",
    ),
    (
        "create table d (a float8 generated always as (random()) stored)",
        "42P17: generation expression is not immutable",
    ),
    (
        "create table d (a int, b int generated always as (a + 1) stored default 3)",
        "42601: both default and generation expression specified for column \"b\" of table \"d\"",
    ),
    (
        "create table d (a int generated always as identity default 3)",
        "42601: both default and identity specified for column \"a\" of table \"d\"",
    ),
    (
        "create table d (a text generated always as identity)",
        "22023: identity column type must be smallint, integer, or bigint",
    ),
    (
        "create table d (a varchar(0))",
        "22023: length for type varchar must be at least 1",
    ),
    (
        "create table d (a numeric(0))",
        "22023: NUMERIC precision 0 must be between 1 and 1000",
    ),
    (
        "create table d (a numeric(5, 1001))",
        "22023: NUMERIC scale 1001 must be between -1000 and 1000",
    ),
    (
        "create index t_a_idx on t (b)",
        "42P07: relation \"t_a_idx\" already exists",
    ),
    ("create index on t (zz)", "42703: column \"zz\" does not exist"),
    (
        "create index on v (a)",
        "42809: cannot create index on relation \"v\"\nDETAIL: This operation is not supported for views.",
    ),
    (
        "create index on t ((now()))",
        "42P17: functions in index expression must be marked IMMUTABLE",
    ),
    (
        "create index on t (a) where random() > 1",
        "42P17: functions in index predicate must be marked IMMUTABLE",
    ),
    ("create type e as enum ('a')", "42710: type \"e\" already exists"),
    (
        "create table e (a int)",
        "42710: type \"e\" already exists\nHINT: A relation has an associated type of the same name, so you must use a name that doesn't conflict with any existing type.",
    ),
    ("create view v as select 1 as a", "42P07: relation \"v\" already exists"),
    (
        "create or replace view v as select 1 as id",
        "42P16: cannot drop columns from view",
    ),
    (
        "create or replace view v as select id as x, a from t",
        "42P16: cannot change name of view column \"id\" to \"x\"\n\
         HINT: Use ALTER VIEW ... RENAME COLUMN ... to change name of view column instead.",
    ),
    (
        "create or replace view v as select id::text, a from t",
        "42P16: cannot change data type of view column \"id\" from integer to text",
    ),
    (
        "create view w (a, b, c) as select 1 as x",
        "42601: CREATE VIEW specifies more column names than columns",
    ),
    (
        "create view w as select 1 as x, 2 as x",
        "42701: column \"x\" specified more than once",
    ),
    (
        "create or replace view np as select 1 as a",
        "42809: \"np\" is not a view",
    ),
    (
        "create policy q on t for select using (a)",
        "42804: argument of POLICY must be type boolean, not type integer",
    ),
    (
        "create policy q on t for select with check (true)",
        "42601: WITH CHECK cannot be applied to SELECT or DELETE",
    ),
    (
        "create policy q on t for insert using (true)",
        "42601: only WITH CHECK expression allowed for INSERT",
    ),
    ("create policy q on v using (true)", "42809: \"v\" is not a table"),
    (
        "create policy q on t using (zz > 1)",
        "42703: column \"zz\" does not exist",
    ),
    (
        "create policy q on t to nobody using (true)",
        "42704: role \"nobody\" does not exist",
    ),
    (
        "create policy p on t using (true)",
        "42710: policy \"p\" for table \"t\" already exists",
    ),
    (
        "drop policy q on t",
        "42704: policy \"q\" for table \"t\" does not exist",
    ),
    ("drop policy p on nope", "42P01: relation \"nope\" does not exist"),
    (
        "alter policy q on t using (true)",
        "42704: policy \"q\" for table \"t\" does not exist",
    ),
    ("create role anon", "42710: role \"anon\" already exists"),
    ("grant anon to nobody", "42704: role \"nobody\" does not exist"),
    ("drop role nobody", "42704: role \"nobody\" does not exist"),
    (
        "grant select on nope to anon",
        "42P01: relation \"nope\" does not exist",
    ),
    ("grant select on t to nobody", "42704: role \"nobody\" does not exist"),
    (
        "grant select (zz) on t to anon",
        "42703: column \"zz\" of relation \"t\" does not exist",
    ),
    (
        "grant usage on schema nope to anon",
        "3F000: schema \"nope\" does not exist",
    ),
    (
        "grant usage on t to anon",
        "0LP01: invalid privilege type USAGE for table",
    ),
    (
        "grant execute on function nofn() to anon",
        "42883: function nofn() does not exist",
    ),
    (
        "grant select on all tables in schema nope to anon",
        "3F000: schema \"nope\" does not exist",
    ),
    ("drop table nope", "42P01: table \"nope\" does not exist"),
    (
        "drop table v",
        "42809: \"v\" is not a table\nHINT: Use DROP VIEW to remove a view.",
    ),
    (
        "drop view t",
        "42809: \"t\" is not a view\nHINT: Use DROP TABLE to remove a table.",
    ),
    ("drop view nope", "42P01: view \"nope\" does not exist"),
    ("drop index nope", "42704: index \"nope\" does not exist"),
    (
        "drop index t",
        "42809: \"t\" is not an index\nHINT: Use DROP TABLE to remove a table.",
    ),
    ("drop type nope", "42704: type \"nope\" does not exist"),
    ("drop schema nope", "3F000: schema \"nope\" does not exist"),
    ("drop function nope()", "42883: function nope() does not exist"),
    ("drop function nope", "42883: could not find a function named \"nope\""),
    ("drop sequence nope", "42P01: sequence \"nope\" does not exist"),
    (
        "drop table t",
        "2BP01: cannot drop table t because other objects depend on it\n\
         DETAIL: view v depends on table t\nview v2 depends on view v\n\
         constraint ch_t_id_fkey on table ch depends on table t\n\
         HINT: Use DROP ... CASCADE to drop the dependent objects too.",
    ),
    (
        "drop view v",
        "2BP01: cannot drop view v because other objects depend on it\nDETAIL: view v2 depends on view v\n\
         HINT: Use DROP ... CASCADE to drop the dependent objects too.",
    ),
    (
        "alter table t drop column a",
        "2BP01: cannot drop column a of table t because other objects depend on it\n\
         DETAIL: view v depends on column a of table t\nview v2 depends on view v\n\
         HINT: Use DROP ... CASCADE to drop the dependent objects too.",
    ),
    (
        "alter table t drop column zz",
        "42703: column \"zz\" of relation \"t\" does not exist",
    ),
    (
        "alter table t add column a int",
        "42701: column \"a\" of relation \"t\" already exists",
    ),
    (
        "alter table nope add column a int",
        "42P01: relation \"nope\" does not exist",
    ),
    (
        "alter table t rename column zz to yy",
        "42703: column \"zz\" does not exist",
    ),
    (
        "alter table t rename column a to b",
        "42701: column \"b\" of relation \"t\" already exists",
    ),
    ("alter table t rename to ch", "42P07: relation \"ch\" already exists"),
    (
        "alter table t add constraint x check (a > 1)",
        "42710: constraint \"x\" for relation \"t\" already exists",
    ),
    (
        "alter table t drop constraint zz",
        "42704: constraint \"zz\" of relation \"t\" does not exist",
    ),
    (
        "alter table t alter column zz set default 1",
        "42703: column \"zz\" of relation \"t\" does not exist",
    ),
    (
        "alter table t alter column a set default 'x'",
        "22P02: invalid input syntax for type integer: \"x\"",
    ),
    (
        "alter table t alter column zz set not null",
        "42703: column \"zz\" of relation \"t\" does not exist",
    ),
    (
        "alter table t alter column id drop not null",
        "42P16: column \"id\" is in a primary key",
    ),
    (
        "alter table t add primary key (a)",
        "42P16: multiple primary keys for table \"t\" are not allowed",
    ),
    (
        "alter table t drop constraint t_pkey",
        "2BP01: cannot drop constraint t_pkey on table t because other objects depend on it\n\
         DETAIL: constraint ch_t_id_fkey on table ch depends on index t_pkey\n\
         HINT: Use DROP ... CASCADE to drop the dependent objects too.",
    ),
    (
        "drop sequence t_id_seq",
        "2BP01: cannot drop sequence t_id_seq because other objects depend on it\n\
         DETAIL: default value for column id of table t depends on sequence t_id_seq\n\
         HINT: Use DROP ... CASCADE to drop the dependent objects too.",
    ),
    (
        "drop table ch, t",
        "2BP01: cannot drop desired object(s) because other objects depend on them\n\
         DETAIL: view v depends on table t\nview v2 depends on view v\n\
         HINT: Use DROP ... CASCADE to drop the dependent objects too.",
    ),
    ("create schema public", "42P06: schema \"public\" already exists"),
    (
        "create function f(a int) returns int language sql as $$ select a $$",
        "42723: function \"f\" already exists with same argument types",
    ),
    (
        "create or replace function f(a int) returns text language sql as $$ select 'x' $$",
        "42P13: cannot change return type of existing function\nHINT: Use DROP FUNCTION f(integer) first.",
    ),
    ("create sequence q increment 0", "22023: INCREMENT must not be zero"),
    (
        "create sequence q minvalue 5 maxvalue 2",
        "22023: MINVALUE (5) must be less than MAXVALUE (2)",
    ),
    (
        "alter sequence t_id_seq restart with 0",
        "22023: RESTART value (0) cannot be less than MINVALUE (1)",
    ),
];

const BASE: &str = "create table t (id serial primary key, a int unique, b int, c int, constraint x check (c > 0));
    create index on t (a);
    create table np (a int);
    create view v as select id, a from t;
    create view v2 as select a from v;
    create table ch (t_id int references t, x int default 5);
    create type e as enum ('a', 'b');
    create policy p on t using (true);
    create function f(a int) returns int language sql as $$ select a $$;";

#[test]
fn errors_are_those_of_postgresql() {
    let mut schema = Schema::of(BASE);
    let mut different = Vec::new();
    for (statement, expected) in ERRORS {
        let shown = match schema.run(statement) {
            Ok(()) => {
                schema = Schema::of(BASE);
                "no error".to_owned()
            }
            Err(_) => schema.error(statement),
        };
        if shown != *expected {
            different.push(format!("{statement}\n  expected {expected}\n  got      {shown}"));
        }
    }
    assert!(
        different.is_empty(),
        "{} differ:\n{}",
        different.len(),
        different.join("\n")
    );
}

#[test]
fn what_only_postgresql_has_is_refused_with_object_and_line() {
    let mut schema = Schema::of(BASE);
    for (statement, expected) in [
        (
            "create table d (\n  a char(3)\n)",
            "0A000: not available on the embedded engine: char(n) (d.a, line 2); use PostgreSQL, or text or varchar",
        ),
        (
            "create table d (a int[][])",
            "0A000: not available on the embedded engine: arrays of more than one dimension (d.a, line 1); use PostgreSQL, or jsonb",
        ),
        (
            "\ncreate table \"a.b\" (a int)",
            "0A000: not available on the embedded engine: names with a dot (a.b, line 2); use PostgreSQL, or an underscore",
        ),
        (
            "create table \"T\" (a int)",
            "0A000: not available on the embedded engine: names that differ only by case (\"t\") (T, line 1); use PostgreSQL, or another name",
        ),
        (
            "create temp table d (a int)",
            "0A000: not available on the embedded engine: temporary tables (d, line 1); use PostgreSQL, or a table that stays",
        ),
        (
            "create role r login",
            "0A000: not available on the embedded engine: login roles (r, line 1); use PostgreSQL, or CREATE ROLE … NOLOGIN",
        ),
        (
            "create function g() returns int language plpgsql as $$ begin execute 'x'; end $$",
            "0A000: not available on the embedded engine: EXECUTE of a computed statement (g, line 1); use PostgreSQL, or the statement itself",
        ),
        (
            "create table d (a numeric primary key); create table d2 (a numeric references d)",
            "0A000: not available on the embedded engine: foreign keys over numeric columns (d2_a_fkey, line 1); use PostgreSQL, or a bigint or uuid key",
        ),
        (
            "do $$ begin null; end $$ language plperl",
            "0A000: not available on the embedded engine: DO in language plperl (line 1); use PostgreSQL, or plpgsql",
        ),
        (
            "create table d (a int unique nulls not distinct)",
            "0A000: not available on the embedded engine: UNIQUE NULLS NOT DISTINCT (d, line 1); use PostgreSQL, or a unique index over coalesce(…)",
        ),
    ] {
        assert_eq!(schema.error(statement), expected);
    }
}

#[test]
fn notices_are_those_of_postgresql() {
    let mut schema = Schema::of(BASE);
    for (statement, expected) in [
        (
            "create table if not exists t (id int)",
            "relation \"t\" already exists, skipping",
        ),
        ("drop table if exists nope", "table \"nope\" does not exist, skipping"),
        (
            "drop policy if exists q on t",
            "policy \"q\" for relation \"t\" does not exist, skipping",
        ),
        (
            "alter table t add column if not exists a int",
            "column \"a\" of relation \"t\" already exists, skipping",
        ),
        (
            "alter table t drop constraint if exists zz",
            "constraint \"zz\" of relation \"t\" does not exist, skipping",
        ),
        (
            "create schema if not exists public",
            "schema \"public\" already exists, skipping",
        ),
        ("drop role if exists nobody", "role \"nobody\" does not exist, skipping"),
        ("drop table t cascade", "drop cascades to 3 other objects"),
    ] {
        assert_eq!(schema.notices(statement), [expected], "{statement}");
    }
    assert!(
        !schema
            .catalog
            .relations
            .contains_key(&QualifiedName::new("public", "v2"))
    );
    assert!(schema.constraints("ch").is_empty());
}

#[test]
fn a_view_keeps_the_columns_that_its_star_had() {
    let schema = Schema::of(
        "create table t (id int, \"Big\" text);
         create view v as select * from t;
         create view w (a, b, c, d, e) as select x.*, 1 as one, y.* from t x join (select * from v) y using (id);
         alter table t add column late int;",
    );
    let definition = |name: &str| {
        let relation = &schema.catalog.relations[&QualifiedName::new("public", name)];
        relation.view.as_ref().unwrap().definition.clone()
    };
    assert_eq!(definition("v"), "SELECT t.id, t.\"Big\" FROM public.t");
    assert_eq!(
        definition("w"),
        "SELECT x.id, x.\"Big\", 1 AS one, y.id, y.\"Big\" FROM public.t x JOIN (SELECT v.id, v.\"Big\" FROM public.v) y USING (id)"
    );
}

#[test]
fn revoking_the_admin_option_leaves_the_membership() {
    let mut schema = Schema::new();
    let is_member = |schema: &Schema| {
        schema
            .catalog
            .memberships(&Ident::new("clerk"))
            .contains(&Ident::new("staff"))
    };
    for (statement, member) in [
        ("create role staff", false),
        ("create role clerk", false),
        ("grant staff to clerk with admin option", true),
        ("revoke admin option for staff from clerk", true),
        ("revoke staff from clerk", false),
    ] {
        schema.run(statement).unwrap();
        let is_there = schema.catalog.roles.contains_key("clerk");
        assert_eq!(is_there && is_member(&schema), member, "{statement}");
    }
}

//! Migrations on a file in memory: what stands in the file afterwards, and that a failure leaves no trace.

mod alter;

use std::sync::Arc;

use mainstay_core::backend::{Migration, MigrationError};
use mainstay_core::catalog::{Catalog, Grantee, Privilege};
use mainstay_core::name::{Ident, QualifiedName};
use rusqlite::Connection;

use super::{DefaultGrants, check, is_empty, load_catalog, migrate, migrations, open_with, reset};
use crate::connection::{self, Options, Purpose};

/// A new file with everything that a real connection has.
struct File {
    _folder: tempfile::TempDir,
    conn: Connection,
    catalog: Arc<Catalog>,
    applied: u32,
}

impl File {
    fn new(grants: DefaultGrants) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let options = Options::at(folder.path().join("data.db"));
        let mut conn = connection::open(&options, Purpose::Write, &Arc::default()).unwrap();
        let catalog = open_with(&mut conn, Some(grants)).unwrap();
        File {
            _folder: folder,
            conn,
            catalog: Arc::new(catalog),
            applied: 0,
        }
    }

    fn of(sql: &str) -> Self {
        let mut file = File::new(DefaultGrants::Closed);
        file.migrate(sql).unwrap();
        file
    }

    fn migrate(&mut self, sql: &str) -> Result<(), MigrationError> {
        self.applied += 1;
        let migration = Migration {
            version: format!("{:014}", self.applied),
            name: "test".into(),
            sql: sql.to_owned(),
        };
        self.catalog = Arc::new(migrate(&mut self.conn, &self.catalog, &migration)?);
        self.check_consistency();
        Ok(())
    }

    /// The file is whole, and the stored catalog is the one in memory.
    fn check_consistency(&self) {
        let whole: String = self
            .conn
            .query_row("PRAGMA integrity_check", [], |row| row.get(0))
            .unwrap();
        assert_eq!(whole, "ok");
        let broken: i64 = self
            .conn
            .query_row("SELECT count(*) FROM pragma_foreign_key_check", [], |row| row.get(0))
            .unwrap();
        assert_eq!(broken, 0);
        let stored = load_catalog(&self.conn).unwrap();
        assert_eq!(stored.version, self.catalog.version);
        assert_eq!(stored.relations.len(), self.catalog.relations.len());
        for (name, relation) in &self.catalog.relations {
            assert_eq!(format!("{:?}", stored.relations[name]), format!("{relation:?}"));
        }
    }

    /// `code: message` of a migration that fails; the file must be as it was.
    fn error(&mut self, sql: &str) -> (usize, u32, String) {
        let before = self.dump();
        let error = self.migrate(sql).expect_err(sql);
        assert_eq!(self.dump(), before, "{sql}");
        match error {
            MigrationError::Statement { statement, line, error } => {
                let detail = error.detail.map(|detail| format!(" / {detail}")).unwrap_or_default();
                (
                    statement,
                    line,
                    format!("{}: {}{detail}", error.sqlstate, error.message),
                )
            }
            MigrationError::Backend(error) => panic!("{error:?}"),
        }
    }

    /// Everything in the file.
    fn dump(&self) -> Vec<String> {
        let tables = self.column("SELECT name FROM sqlite_schema WHERE type = 'table' AND sql IS NOT NULL ORDER BY 1");
        let mut lines = self.column("SELECT coalesce(sql, name) FROM sqlite_schema ORDER BY name");
        for table in tables {
            let mut statement = self
                .conn
                .prepare(&format!("SELECT * FROM \"{}\"", table.replace('"', "\"\"")))
                .unwrap();
            let count = statement.column_count();
            let rows = statement
                .query_map([], |row| {
                    Ok((0..count)
                        .map(|index| format!("{:?}", row.get_ref(index).unwrap()))
                        .collect::<Vec<_>>())
                })
                .unwrap();
            lines.extend(rows.map(|row| format!("{table}: {}", row.unwrap().join("|"))));
        }
        lines
    }

    fn column(&self, sql: &str) -> Vec<String> {
        let mut statement = self.conn.prepare(sql).unwrap();
        let rows = statement
            .query_map([], |row| row.get::<_, rusqlite::types::Value>(0))
            .unwrap();
        rows.map(|value| match value.unwrap() {
            rusqlite::types::Value::Text(text) => text,
            rusqlite::types::Value::Integer(number) => number.to_string(),
            rusqlite::types::Value::Null => "null".into(),
            other => format!("{other:?}"),
        })
        .collect()
    }

    fn definition(&self, name: &str) -> String {
        self.conn
            .query_row("SELECT sql FROM sqlite_schema WHERE name = ?1", [name], |row| {
                row.get(0)
            })
            .unwrap()
    }
}

#[test]
fn a_table_is_strict_with_named_checks_and_keys_beside_it() {
    let file = File::of(
        "create type mood as enum ('sad', 'ok');
         create table authors (id bigint generated by default as identity primary key);
         create table books (
            id uuid primary key, title varchar(20) not null unique, price numeric(10,2) check (price >= 0),
            mood mood default 'ok', stock smallint, sold boolean, author bigint references authors on delete cascade
         );
         create index on books (price desc, title) where price > 1;",
    );
    assert_eq!(
        file.definition("books"),
        r#"CREATE TABLE "books" (
  "id" TEXT NOT NULL,
  "title" TEXT NOT NULL CONSTRAINT "_ms_type:title" CHECK (length("title") <= 20),
  "price" TEXT,
  "mood" TEXT CONSTRAINT "_ms_type:mood" CHECK ("mood" IN ('sad', 'ok')),
  "stock" INTEGER CONSTRAINT "_ms_type:stock" CHECK ("stock" BETWEEN -32768 AND 32767),
  "sold" INTEGER CONSTRAINT "_ms_type:sold" CHECK ("sold" IN (0, 1)),
  "author" INTEGER,
  CONSTRAINT "books_price_check" CHECK (("price" COLLATE "pg_numeric" >= '0')),
  CONSTRAINT "books_author_fkey" FOREIGN KEY ("author") REFERENCES "authors" ("id") ON DELETE CASCADE
) STRICT"#
    );
    assert_eq!(
        file.column("SELECT name FROM sqlite_schema WHERE type = 'index' AND tbl_name = 'books' ORDER BY 1"),
        [
            "_ms_fk:books:books_author_fkey",
            "books_pkey",
            "books_price_title_idx",
            "books_title_key"
        ]
    );
    assert!(
        file.definition("authors")
            .contains(r#""id" INTEGER NOT NULL PRIMARY KEY"#)
    );
}

#[test]
fn a_row_is_judged_without_a_table_in_memory() {
    let mut file = File::of(
        "create type state as enum ('new', 'paid', 'sent');
         create table orders (
            id bigint primary key, state state, kind text check (kind in ('a', 'b', 'c')),
            lane text check (lane not in ('x', 'y', 'z'))
         );
         insert into orders values (1, 'paid', 'b', 'w'), (2, null, null, null);",
    );
    let steps: Vec<String> = {
        let insert = "EXPLAIN INSERT INTO orders VALUES (9, 'new', 'a', 'w')";
        let mut steps = file.conn.prepare(insert).unwrap();
        let steps = steps.query_map([], |row| row.get("opcode")).unwrap();
        steps.map(Result::unwrap).collect()
    };
    assert!(steps.iter().any(|step| step == "Insert"), "{steps:?}");
    assert!(!steps.iter().any(|step| step == "OpenEphemeral"), "{steps:?}");
    for (row, constraint) in [("'d', 'w'", "orders_kind_check"), ("'a', 'y'", "orders_lane_check")] {
        let (_, _, error) = file.error(&format!("insert into orders values (3, 'new', {row})"));
        assert!(error.starts_with("23514: ") && error.contains(constraint), "{error}");
    }
    let told = file
        .conn
        .execute("INSERT INTO orders VALUES (4, 'lost', NULL, NULL)", [])
        .unwrap_err();
    assert!(told.to_string().contains("_ms_type:state"), "{told}");
}

#[test]
fn a_numeric_key_compares_values() {
    let mut file = File::of("create table prices (amount numeric primary key); insert into prices values (10.5);");
    let (_, _, error) = file.error("insert into prices values (10.50)");
    assert_eq!(
        error,
        "23505: duplicate key value violates unique constraint \"prices_pkey\" / Key (amount)=(10.50) already exists."
    );
}

#[test]
fn a_failing_statement_is_named_and_leaves_nothing() {
    let mut file = File::of("create table t (id int primary key, a int)");
    let (statement, line, error) =
        file.error("create table u (id int);\n\ninsert into u values (1);\ncreate table t (a int);");
    assert_eq!(
        (statement, line, error.as_str()),
        (3, 4, "42P07: relation \"t\" already exists")
    );
    let (statement, line, error) = file.error("create table u (id int);\nselect from where;");
    assert_eq!((statement, line), (2, 2));
    assert!(error.starts_with("42601: syntax error"), "{error}");
    let (_, _, error) = file.error("create table c (t_id int references t); insert into c values (9);");
    assert_eq!(
        error,
        "23503: insert or update on table \"c\" violates foreign key constraint \"c_t_id_fkey\" / \
         Key (t_id)=(9) is not present in table \"t\"."
    );
}

#[test]
fn a_statement_that_cannot_be_read_is_found_in_its_file() {
    let mut file = File::new(DefaultGrants::Closed);
    let (statement, line, error) =
        file.error("-- a\nCREATE TABLE t (a int);\n\n-- b\nCREATE UNLOGGED TABLE u (a int);");
    assert_eq!((statement, line), (2, 5), "{error}");
    let (statement, line, error) = file.error("CREATE TABLE t (a int);\nCREATE TABEL u (a int);");
    assert_eq!((statement, line), (2, 2), "{error}");
    assert!(file.catalog.find_relation(&[Ident::new("public")], "t").is_none());
}

#[test]
fn new_constraints_look_at_the_rows() {
    let mut file = File::of(
        "create table p (id int primary key);
         create table t (id int, a int, b text);
         insert into t values (1, 1, null), (1, 2, 'x');",
    );
    for (sql, expected) in [
        (
            "alter table t alter column b set not null",
            "23502: column \"b\" of relation \"t\" contains null values",
        ),
        (
            "alter table t add check (a > 1)",
            "23514: check constraint \"t_a_check\" of relation \"t\" is violated by some row",
        ),
        (
            "alter table t add unique (id)",
            "23505: could not create unique index \"t_id_key\" / Key (id)=(1) is duplicated.",
        ),
        (
            "alter table t add primary key (id)",
            "23505: could not create unique index \"t_pkey\" / Key (id)=(1) is duplicated.",
        ),
        (
            "alter table t add foreign key (a) references p",
            "23503: insert or update on table \"t\" violates foreign key constraint \"t_a_fkey\" / \
             Key (a)=(1) is not present in table \"p\".",
        ),
        (
            "alter table t add column c int not null",
            "23502: column \"c\" of relation \"t\" contains null values",
        ),
    ] {
        assert_eq!(file.error(sql).2, expected, "{sql}");
    }
    file.migrate(
        "insert into p values (1), (2);
         alter table t add foreign key (a) references p on delete cascade, add check (a > 0), alter column a set not null,
            add primary key (a), add column c int not null default 7, add column d serial;
         delete from p where id = 2;",
    )
    .unwrap();
    assert_eq!(file.column("SELECT a || ',' || c || ',' || d FROM t"), ["1,7,1"]);
}

#[test]
fn columns_and_tables_can_be_renamed_and_dropped_under_their_dependants() {
    let mut file = File::of(
        "create table p (id int primary key, name text unique, extra int);
         create table c (p_id int references p on delete cascade, n int generated always as (p_id + 1) stored, note text);
         create view v with (security_invoker = true) as select id, p.name from p where name <> '';
         alter table c enable row level security;
         create policy own on c using (exists (select 1 from p where p.id = c.p_id and name is not null));
         insert into p values (1, 'a', 5), (2, 'b', 6);
         insert into c (p_id, note) values (1, 'x'), (2, 'y');",
    );
    file.migrate(
        "alter table p rename column name to title;
         alter table p rename to parents;
         alter table c rename to children;
         alter table parents drop column extra;
         alter table children drop column note;",
    )
    .unwrap();
    let view = file.catalog.relations[&QualifiedName::new("public", "v")]
        .view
        .clone()
        .unwrap();
    assert_eq!(
        view.definition,
        "SELECT id, p.title AS name FROM public.parents AS p WHERE title <> ''"
    );
    let policy = &file.catalog.relations[&QualifiedName::new("public", "children")].policies[0];
    assert_eq!(
        policy.using.as_deref(),
        Some("EXISTS (SELECT 1 FROM public.parents AS p WHERE p.id = children.p_id AND title IS NOT NULL)")
    );
    assert_eq!(
        file.column("SELECT p_id || ',' || n FROM children ORDER BY 1"),
        ["1,2", "2,3"]
    );
    file.migrate("delete from parents where id = 1").unwrap();
    assert_eq!(file.column("SELECT p_id FROM children"), ["2"]);
    // The key's column is the row's own id: dropping it copies the table, and no child may be lost by that.
    file.migrate("alter table children drop constraint c_p_id_fkey; alter table parents drop column id cascade;")
        .unwrap();
    assert_eq!(file.column("SELECT title FROM parents"), ["b"]);
    assert_eq!(file.column("SELECT count(*) FROM children"), ["1"]);
}

#[test]
fn rebuilding_a_parent_keeps_its_children() {
    let mut file = File::of(
        "create table p (id int primary key, a int);
         create table c (id int primary key, p_id int references p (id) on delete cascade, up int references c);
         insert into p values (1, 1), (2, 2);
         insert into c values (1, 1, null), (2, 2, 1);",
    );
    file.migrate("alter table p add column twice int generated always as (a * 2) stored")
        .unwrap();
    assert_eq!(
        file.column("SELECT id || ':' || twice FROM p ORDER BY 1"),
        ["1:2", "2:4"]
    );
    assert_eq!(file.column("SELECT count(*) FROM c"), ["2"]);
    file.migrate("alter table c add column d int generated always as (id + 1) stored; delete from p where id = 2")
        .unwrap();
    assert_eq!(file.column("SELECT id || ',' || d FROM c"), ["1,2"]);
}

#[test]
fn classic_grants_open_what_is_new_and_closed_grants_do_not() {
    for (grants, expected) in [(DefaultGrants::Classic, true), (DefaultGrants::Closed, false)] {
        let mut file = File::new(grants);
        file.migrate("create table t (id int)").unwrap();
        let acl = &file.catalog.relations[&QualifiedName::new("public", "t")].acl;
        let open = acl
            .iter()
            .any(|entry| entry.grantee == Grantee::Role(Ident::new("anon")) && entry.privilege == Privilege::Select);
        assert_eq!(open, expected);
    }
}

#[test]
fn migrations_are_recorded_with_their_text_and_reset_forgets_them() {
    let mut file = File::new(DefaultGrants::Classic);
    file.migrate("create table t (id serial primary key);\n-- a remark\n")
        .unwrap();
    let recorded = migrations(&file.conn).unwrap();
    assert_eq!(recorded.len(), 1);
    assert_eq!(
        recorded[0].sql.as_deref(),
        Some("create table t (id serial primary key);\n-- a remark\n")
    );
    assert!(is_empty(&file.conn, &file.catalog).unwrap());
    file.migrate("insert into t default values; insert into t default values;")
        .unwrap();
    assert!(!is_empty(&file.conn, &file.catalog).unwrap());
    assert_eq!(file.column("SELECT id FROM t"), ["1", "2"]);
    file.migrate("alter sequence t_id_seq restart with 10; insert into t default values;")
        .unwrap();
    assert_eq!(file.column("SELECT max(id) FROM t"), ["10"]);
    let version = file.catalog.version;
    file.catalog = Arc::new(reset(&mut file.conn, &file.catalog).unwrap());
    file.check_consistency();
    assert!(file.catalog.version > version);
    assert!(migrations(&file.conn).unwrap().is_empty());
    assert!(!file.catalog.relations.contains_key(&QualifiedName::new("public", "t")));
}

#[test]
fn a_dry_run_tells_everything_and_keeps_nothing() {
    let file = File::new(DefaultGrants::Closed);
    let migration = |version: &str, sql: &str| Migration {
        version: version.into(),
        name: "x".into(),
        sql: sql.into(),
    };
    let checked = check(
        &file.catalog,
        &[
            migration(
                "1",
                "create table t (id int primary key, tags text[]);\ncreate table u (a money);\ncreate index on t using gin (tags);",
            ),
            migration(
                "2",
                "select nope from t;\ninsert into t values ('x');\nalter table t add column b int;",
            ),
        ],
    );
    assert_eq!(checked[0].problems.len(), 1);
    assert_eq!(checked[0].problems[0].line, 2);
    assert_eq!(checked[0].notices.len(), 1);
    let codes: Vec<&str> = checked[1]
        .problems
        .iter()
        .map(|problem| problem.error.sqlstate.as_str())
        .collect();
    assert_eq!(codes, ["42703", "22P02"]);
    assert_eq!(
        load_catalog(&file.conn).unwrap().relations.len(),
        file.catalog.relations.len()
    );
}

#[test]
fn the_shared_fixtures_and_the_shop_load() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut file = File::new(DefaultGrants::Classic);
    for name in ["20260105090000_shop.sql", "20260105090100_access.sql"] {
        let path = root.join("examples/shop/supabase/migrations").join(name);
        file.migrate(&std::fs::read_to_string(path).unwrap()).unwrap();
    }
    file.migrate(&std::fs::read_to_string(root.join("examples/shop/supabase/seed.sql")).unwrap())
        .unwrap();
    assert_eq!(file.column("SELECT count(*) FROM customers"), ["10"]);

    let shared = root.join("../shared/conformance");
    if !shared.exists() {
        assert!(std::env::var("CI").is_err(), "../shared is missing");
        println!("skipped: ../shared is not here");
        return;
    }
    let mut file = File::new(DefaultGrants::Closed);
    let mut text = String::new();
    for part in ["portable-roles.sql", "portable.sql", "portable-grants.sql"] {
        text.push_str(&std::fs::read_to_string(shared.join("postgrest/fixtures").join(part)).unwrap());
        text.push('\n');
    }
    file.migrate(&text).unwrap();
    assert_eq!(file.column("SELECT count(*) FROM \"test.items\""), ["15"]);
    let mut file = File::new(DefaultGrants::Classic);
    let smoke = std::fs::read_to_string(shared.join("supabase/smoke.sql")).unwrap();
    let (head, _) = smoke.split_once("-- realtime:").unwrap();
    file.migrate(head).unwrap();
    file.migrate(head).unwrap();
    assert_eq!(
        file.column("SELECT price FROM smoke_products ORDER BY id"),
        ["1.50", "3.00", "7.25"]
    );
}

#[test]
fn what_a_migration_says_of_default_privileges_outlives_a_restart() {
    let mut file = File::new(DefaultGrants::Classic);
    file.migrate("alter default privileges in schema public revoke all on tables from anon")
        .unwrap();
    let open_to_anon = |file: &mut File, grants| {
        file.catalog = Arc::new(open_with(&mut file.conn, Some(grants)).unwrap());
        file.migrate(&format!("create table t{} (id int)", file.applied))
            .unwrap();
        let name = QualifiedName::new("public", format!("t{}", file.applied - 1));
        let acl = &file.catalog.relations[&name].acl;
        acl.iter()
            .any(|entry| entry.grantee == Grantee::Role(Ident::new("anon")))
    };
    assert!(!open_to_anon(&mut file, DefaultGrants::Classic));
    assert!(!open_to_anon(&mut file, DefaultGrants::Closed));
    assert!(open_to_anon(&mut file, DefaultGrants::Classic));
}

#[test]
fn a_dump_that_empties_the_search_path_loads() {
    let file = File::of(
        "SET statement_timeout = 0; SET client_encoding = 'UTF8'; SET row_security = off;
         SELECT pg_catalog.set_config('search_path', '', false);
         CREATE TYPE public.mood AS ENUM ('sad', 'ok');
         CREATE TABLE public.people (id integer NOT NULL, mood public.mood DEFAULT 'ok'::public.mood);
         CREATE SEQUENCE public.people_id_seq AS integer START WITH 1 INCREMENT BY 1 NO MINVALUE NO MAXVALUE CACHE 1;
         ALTER SEQUENCE public.people_id_seq OWNED BY public.people.id;
         ALTER TABLE ONLY public.people ALTER COLUMN id SET DEFAULT nextval('public.people_id_seq'::regclass);
         ALTER TABLE ONLY public.people ADD CONSTRAINT people_pkey PRIMARY KEY (id);
         ALTER TABLE public.people OWNER TO postgres;
         INSERT INTO public.people DEFAULT VALUES;
         SELECT pg_catalog.setval('public.people_id_seq', 7, true);
         SELECT setval('public.people_id_seq', (SELECT max(id) + 6 FROM public.people));
         INSERT INTO public.people DEFAULT VALUES;",
    );
    assert_eq!(file.column("SELECT id FROM people ORDER BY 1"), ["1", "8"]);
}

/// What a Supabase project's migrations name without making it.
const ON_THE_PLATFORM: &str = "
    create table public.profiles (id uuid primary key references auth.users on delete cascade, email text);
    insert into auth.users (id, email, raw_user_meta_data)
        values ('6b1a7c1e-0000-4000-8000-000000000001', 'a@example.com', '{\"name\":\"A\"}');
    insert into public.profiles select id, email from auth.users;
    insert into storage.buckets (id, name, public) values ('avatars', 'avatars', true) on conflict do nothing;
    create policy \"see\" on storage.objects for select using (bucket_id = 'avatars' and storage.extension(name) = 'png');
    create policy \"listen\" on realtime.messages for select to authenticated using (realtime.topic() = 'room');
    grant select on public.profiles to supabase_auth_admin, dashboard_user;
    alter table public.profiles owner to postgres;
    create extension if not exists pg_cron with schema pg_catalog;
    grant usage on schema cron to postgres;
    create extension if not exists \"uuid-ossp\" with schema extensions;
    comment on extension \"uuid-ossp\" is 'ids';
    alter table storage.objects enable row level security;";

#[test]
fn the_platform_is_there_once_and_after_a_reset() {
    let mut file = File::new(DefaultGrants::Classic);
    let tables = file.catalog.relations.len();
    file.migrate(ON_THE_PLATFORM).unwrap();
    assert_eq!(file.column("SELECT email FROM profiles"), ["a@example.com"]);
    assert_eq!(migrations(&file.conn).unwrap().len(), 1);
    // Nothing of schema auth is granted to the roles of requests.
    for relation in file
        .catalog
        .relations
        .values()
        .filter(|relation| relation.name.schema == *"auth")
    {
        assert!(
            relation.acl.is_empty() && relation.row_security.enabled,
            "{}",
            relation.name
        );
    }
    let version = file.catalog.version;
    file.catalog = Arc::new(open_with(&mut file.conn, None).unwrap());
    assert_eq!(file.catalog.version, version);
    file.catalog = Arc::new(reset(&mut file.conn, &file.catalog).unwrap());
    file.check_consistency();
    assert_eq!(file.catalog.relations.len(), tables);
    assert_eq!(file.column("SELECT count(*) FROM \"auth.users\""), ["0"]);
    file.applied = 0;
    file.migrate(ON_THE_PLATFORM).unwrap();
}

#[test]
fn an_older_file_gets_the_platform_and_keeps_its_own_tables() {
    let mut file = File::new(DefaultGrants::Classic);
    // As a program without the platform would have left it, with a stand-in that a user's migration made.
    file.migrate(
        "drop table realtime.messages; drop table storage.objects; drop table storage.buckets;
         drop table _mainstay.second_factors, _mainstay.totp_steps, _mainstay.recovery_codes, _mainstay.recovery_code_sets,
           _mainstay.page_sessions, _mainstay.page_flows, _mainstay.redeemed_codes;
         drop table auth.one_time_tokens, auth.flow_state, auth.oauth_client_states, auth.oauth_authorizations,
           auth.oauth_consents, auth.mfa_challenges, auth.webauthn_credentials, auth.webauthn_challenges;
         drop table auth.identities, auth.mfa_factors, auth.mfa_amr_claims, auth.refresh_tokens, auth.sessions, auth.users,
           auth.oauth_clients;
         create table auth.users (id uuid primary key, nickname text);",
    )
    .unwrap();
    file.conn
        .execute("DELETE FROM _ms_meta WHERE name = 'platform_steps'", [])
        .unwrap();
    file.catalog = Arc::new(open_with(&mut file.conn, None).unwrap());
    file.check_consistency();
    let users = &file.catalog.relations[&QualifiedName::new("auth", "users")];
    assert_eq!(users.columns.len(), 2);
    for (schema, name) in [("storage", "buckets"), ("storage", "objects"), ("realtime", "messages")] {
        assert!(file.catalog.relations.contains_key(&QualifiedName::new(schema, name)));
    }
    // There is no sign-in to add to.
    for (schema, name) in [("auth", "flow_state"), ("_mainstay", "second_factors")] {
        assert!(!file.catalog.relations.contains_key(&QualifiedName::new(schema, name)));
    }
}

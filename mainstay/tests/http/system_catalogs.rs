//! What scripts ask of the system catalogs, on both engines.

use mainstay_testing::{Project, Server, engines};

use crate::both::PROGRAM;

const SCHEMA: &str = "
    CREATE TYPE mood AS ENUM ('sad', 'ok', 'happy');
    CREATE TABLE owners (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, email text NOT NULL UNIQUE);
    CREATE TABLE pets (
        id serial PRIMARY KEY,
        owner bigint NOT NULL REFERENCES owners ON DELETE CASCADE,
        name varchar(40) DEFAULT 'Rex',
        feels mood DEFAULT 'ok',
        weight numeric(6, 2) CHECK (weight > 0),
        born timestamptz DEFAULT now(),
        doubled int GENERATED ALWAYS AS (2 * 21) STORED,
        UNIQUE (owner, name)
    );
    CREATE INDEX pets_by_weight ON pets (weight) WHERE weight > 10;
    ALTER TABLE pets ENABLE ROW LEVEL SECURITY;
    CREATE POLICY mine ON pets FOR SELECT TO anon, authenticated USING (weight > 1);
    CREATE POLICY nobody ON pets AS RESTRICTIVE USING (false) WITH CHECK (true);
    CREATE VIEW heavy AS SELECT id, name FROM pets WHERE weight > 10;
    CREATE FUNCTION answer() RETURNS integer LANGUAGE sql IMMUTABLE AS 'SELECT 42';
    CREATE SEQUENCE tickets START 5;
    CREATE SCHEMA private;
    CREATE TABLE private.notes (id int);";

/// Each asks of the objects above alone.
const QUESTIONS: &[&str] = &[
    "SELECT EXISTS (SELECT 1 FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace
        WHERE t.typname = 'mood' AND n.nspname = 'public') AS found",
    "SELECT count(*) FROM pg_catalog.pg_type WHERE typname = 'nosuch'",
    "SELECT typname, typtype FROM pg_type WHERE typname IN ('mood', 'text', 'int4', 'pets', 'heavy') ORDER BY typname",
    "SELECT e.enumlabel, e.enumsortorder FROM pg_enum e JOIN pg_type t ON t.oid = e.enumtypid
        WHERE t.typname = 'mood' ORDER BY e.enumsortorder",
    "SELECT c.relname, c.relkind, c.relnatts, c.relrowsecurity, n.nspname, r.rolname FROM pg_class c
        JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_roles r ON r.oid = c.relowner
        WHERE n.nspname IN ('public', 'private') ORDER BY c.relname, c.relkind",
    "SELECT attname, attnum, attnotnull, atthasdef, attidentity, attgenerated, t.typname FROM pg_attribute a
        JOIN pg_type t ON t.oid = a.atttypid
        WHERE attrelid = 'public.pets'::regclass AND attnum > 0 AND NOT attisdropped ORDER BY attnum",
    "SELECT proname, prokind, prosecdef, provolatile, pronargs, prosrc FROM pg_proc WHERE proname = 'answer'",
    "SELECT conname, contype, confdeltype, confupdtype, condeferrable FROM pg_constraint
        WHERE conrelid IN ('pets'::regclass, 'owners'::regclass) ORDER BY conname",
    "SELECT polname, polcmd, polpermissive FROM pg_policy WHERE polrelid = 'pets'::regclass ORDER BY polname",
    "SELECT policyname, permissive, cmd FROM pg_policies
        WHERE schemaname = 'public' AND tablename = 'pets' ORDER BY policyname",
    "SELECT schemaname, tablename, hasindexes, rowsecurity FROM pg_tables WHERE schemaname IN ('public', 'private')
        ORDER BY tablename",
    "SELECT viewname FROM pg_views WHERE schemaname = 'public'",
    "SELECT tablename, indexname FROM pg_indexes WHERE schemaname = 'public' ORDER BY indexname",
    "SELECT sequencename, start_value, increment_by FROM pg_sequences WHERE schemaname = 'public' ORDER BY sequencename",
    "SELECT rolname, rolsuper, rolbypassrls, rolcanlogin FROM pg_roles WHERE rolname IN ('anon', 'service_role')
        ORDER BY rolname",
    "SELECT table_name, table_type, is_insertable_into FROM information_schema.tables
        WHERE table_schema = 'public' ORDER BY table_name",
    "SELECT column_name, ordinal_position, is_nullable, data_type, character_maximum_length,
            numeric_precision, numeric_scale, udt_schema, udt_name, is_identity, identity_generation, is_generated
        FROM information_schema.columns WHERE table_schema = 'public' AND table_name IN ('pets', 'owners', 'heavy')
        ORDER BY table_name, ordinal_position",
    "SELECT constraint_name, constraint_type, is_deferrable FROM information_schema.table_constraints
        WHERE table_schema = 'public' AND constraint_name NOT LIKE '%not_null' ORDER BY constraint_name",
    "SELECT k.constraint_name, k.column_name, k.ordinal_position FROM information_schema.key_column_usage k
        WHERE k.table_schema = 'public' ORDER BY 1, 3",
    "SELECT c.table_name, c.column_name, c.constraint_name FROM information_schema.constraint_column_usage c
        JOIN information_schema.referential_constraints r USING (constraint_name) WHERE c.table_schema = 'public'",
    "SELECT constraint_name, match_option, update_rule, delete_rule FROM information_schema.referential_constraints
        WHERE constraint_schema = 'public'",
    "SELECT table_name, check_option, is_updatable, is_insertable_into FROM information_schema.views
        WHERE table_schema = 'public'",
    "SELECT routine_name, routine_type, external_language, security_type FROM information_schema.routines
        WHERE routine_schema = 'public'",
    "SELECT to_regclass('public.pets') IS NOT NULL AS a, to_regclass('private.notes') IS NULL AS b, to_regclass('nosuch') IS NULL AS c",
    "SELECT 'nosuch'::regclass = 5",
];

#[tokio::test]
async fn questions_about_the_schema_are_answered_alike() {
    let mut answers: Vec<Vec<String>> = Vec::new();
    for engine in engines() {
        let mut server = Server::start(PROGRAM, engine, Project::of(SCHEMA)).await;
        server.kill();
        let ask = |question: &&str| {
            let output = server.command(&["db", "query", "--json", question]).output().unwrap();
            format!(
                "{}{}",
                String::from_utf8_lossy(&output.stdout).trim(),
                String::from_utf8_lossy(&output.stderr)
                    .lines()
                    .next()
                    .unwrap_or_default()
            )
        };
        answers.push(QUESTIONS.iter().map(ask).collect());
    }
    if let [sqlite, postgres] = answers.as_slice() {
        let mut differences = Vec::new();
        for (question, (ours, theirs)) in QUESTIONS.iter().zip(sqlite.iter().zip(postgres)) {
            if ours != theirs {
                differences.push(format!("{question}\n embedded:   {ours}\n PostgreSQL: {theirs}"));
            }
        }
        assert!(differences.is_empty(), "{}", differences.join("\n"));
    }
}

#[tokio::test]
async fn what_is_not_listed_is_refused_by_name() {
    let mut server = Server::start(PROGRAM, mainstay_testing::Engine::Sqlite, Project::of(SCHEMA)).await;
    server.kill();
    for (question, refused) in [
        (
            "SELECT reltuples FROM pg_class",
            "column reltuples of pg_catalog.pg_class",
        ),
        (
            "SELECT * FROM pg_stat_activity",
            "the system catalogs (pg_stat_activity",
        ),
        (
            "SELECT 1 FROM information_schema.domains",
            "this system catalog (information_schema.domains",
        ),
        ("SELECT 'pets'::regclass", "type regclass"),
        ("SELECT to_regclass('pets')", "function to_regclass"),
    ] {
        let output = server.command(&["db", "query", question]).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout);
        assert!(
            said.contains("not available on the embedded engine") && said.contains(refused),
            "{question}: {said}"
        );
    }
}

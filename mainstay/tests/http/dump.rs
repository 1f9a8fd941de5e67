//! `db dump` and `db diff` on both engines.

use std::io::Write;
use std::process::{Command, Output, Stdio};

use mainstay_testing::{Engine, Project, Server, engines};

use crate::both::PROGRAM;

const OBJECTS: &str = include_str!("objects.sql");

/// Runs a command line to its end with `input` on standard input.
fn fed(command: Command, input: &str) -> Output {
    fed_process(command, input).1
}

/// The same with the process's id.
fn fed_process(mut command: Command, input: &str) -> (u32, Output) {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let id = child.id();
    let mut pipe = child.stdin.take().unwrap();
    let input = input.to_owned();
    let writer = std::thread::spawn(move || {
        // A program that fails early closes the pipe.
        let _ = pipe.write_all(input.as_bytes());
    });
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    (id, output)
}

/// What a command that must succeed prints.
fn printed(server: &Server, arguments: &[&str], input: &str) -> String {
    let output = fed(server.command(arguments), input);
    assert!(
        output.status.success(),
        "{arguments:?}: {}\n{}",
        String::from_utf8_lossy(&output.stderr),
        String::from_utf8_lossy(&output.stdout)
    );
    String::from_utf8(output.stdout).unwrap()
}

fn dump(server: &Server) -> String {
    // Roles belong to the whole server, which other tests use too.
    printed(server, &["db", "dump", "--no-roles"], "")
}

/// A database of its own, whose server has stopped.
async fn database(engine: Engine, project: Project) -> Server {
    let mut server = Server::start(PROGRAM, engine, project).await;
    server.kill();
    server
}

/// The rows alone, and where the sequences stand.
fn rows_of(server: &Server) -> String {
    printed(server, &["db", "dump", "--data-only"], "")
}

#[track_caller]
fn assert_same(left: &str, right: &str) {
    for (line, (a, b)) in left.lines().zip(right.lines()).enumerate() {
        assert_eq!(a, b, "line {}", line + 1);
    }
    assert_eq!(left.len(), right.len());
}

#[tokio::test]
async fn a_dump_that_is_loaded_dumps_the_same_again() {
    for sql in [OBJECTS, include_str!("types.sql"), include_str!("policies.sql")] {
        let mut dumps = Vec::new();
        for engine in engines() {
            let source = database(engine, Project::of(sql)).await;
            let first = dump(&source);
            let copy = database(engine, Project::new()).await;
            printed(&copy, &["db", "query", "-", "--write"], &first);
            assert_same(&first, &dump(&copy));
            dumps.push((engine, first, rows_of(&source)));
        }
        // What one engine dumped, the other loads; the rows are the same to the byte.
        if let [(_, embedded, rows), (_, postgres, others)] = dumps.as_slice() {
            assert_same(rows, others);
            let copy = database(Engine::Postgres, Project::new()).await;
            printed(&copy, &["db", "query", "-", "--write"], embedded);
            // PostgreSQL reads out of the embedded engine's text what it read out of the migration itself.
            assert_same(postgres, &dump(&copy));
            let copy = database(Engine::Sqlite, Project::new()).await;
            printed(&copy, &["db", "query", "-", "--write"], postgres);
            assert_same(rows, &rows_of(&copy));
        }
    }
}

#[tokio::test]
async fn parts_of_a_dump_are_dumped_alone() {
    for engine in engines() {
        let server = database(engine, Project::of(OBJECTS)).await;
        let schema = printed(&server, &["db", "dump", "--schema-only"], "");
        assert!(
            !schema.contains("INSERT INTO") && !schema.contains("setval"),
            "{schema}"
        );
        let data = printed(&server, &["db", "dump", "--data-only"], "");
        assert!(
            !data.contains("CREATE ") && data.contains("INSERT INTO app.people"),
            "{data}"
        );
        assert!(!data.contains("loud"), "a generated column was written: {data}");
        let one = printed(&server, &["db", "dump", "--schema", "Odd one"], "");
        assert!(one.contains("\"Odd one\".\"select\"") && !one.contains("app."), "{one}");
        assert!(!one.contains("PUBLICATION") && !one.contains("EXTENSION"), "{one}");
        let output = fed(server.command(&["db", "dump", "--schema", "nosuch"]), "");
        assert!(!output.status.success());
    }
}

/// What the closed database of a dump grants to nobody stays closed where everything is granted by itself.
#[tokio::test]
async fn a_dump_opens_nothing_where_it_is_loaded() {
    let open = "project_id = \"test\"\n[mainstay]\ngrants = \"classic\"\n";
    for engine in engines() {
        let closed = Project::of("create table public.secret (a integer); grant select on secret to service_role;");
        let text = dump(&database(engine, closed).await);
        let copy = database(engine, Project::new().file("supabase/config.toml", open)).await;
        printed(&copy, &["db", "query", "-", "--write"], &text);
        let after = dump(&copy);
        let granted: Vec<&str> = after
            .lines()
            .filter(|line| line.contains("GRANT") && !line.contains("ON SCHEMA"))
            .collect();
        assert_eq!(granted, ["GRANT SELECT ON TABLE public.secret TO service_role;"]);
    }
}

const BEFORE: &str = "
create type mood as enum ('sad', 'happy');
create table teams (id integer primary key, name text not null);
create table people (id bigint generated always as identity primary key, name text default 'x', mood mood,
    team integer references teams (id), old text, age integer check (age > 0));
create index people_name on people (name);
create view adults as select id, name from people where age > 17;
create function f(a integer) returns integer language sql immutable as 'select a';
alter table people enable row level security;
create policy own on people for select to authenticated using (name = 'x');
grant select on people to authenticated, anon;
";

const CHANGES: &str = "
create table notes (id serial primary key, person bigint not null references people (id) on delete cascade,
    body text default 'none' check (body <> ''));
alter table people drop column old;
alter table people add column email text unique;
alter table people alter column name set not null;
alter table people alter column name drop default;
alter table people add constraint grown check (age < 200);
alter table teams drop column name;
drop view adults;
create view adults as select id, name, age from people where age > 20;
create view grown_ups as select name from adults;
drop policy own on people;
create policy own on people for select to authenticated using (name = 'y');
create policy any_note on notes using (true);
alter table notes enable row level security;
revoke select on people from anon;
grant insert (name), update (name) on people to authenticated;
drop index people_name;
create index people_name on people (name, age desc);
drop function f(integer);
create function f(a integer, b integer default 1) returns integer language sql immutable as 'select a + b';
comment on table people is 'Those who are here';
comment on column people.email is 'Where they are reached';
alter default privileges in schema public grant select on tables to authenticated;
";

#[tokio::test]
async fn a_difference_becomes_a_migration_that_makes_it() {
    for engine in engines() {
        let server = database(engine, Project::of(BEFORE)).await;
        assert!(printed(&server, &["db", "diff"], "").starts_with("No difference"));
        assert!(printed(&server, &["db", "diff", "--check"], "").starts_with("No difference"));
        printed(&server, &["db", "query", "-", "--write"], CHANGES);

        let text = printed(&server, &["db", "diff"], "");
        assert!(
            text.contains("-- careful: loses the column's values; a rename is not recognised\nALTER TABLE public.people DROP COLUMN old;"),
            "{text}"
        );
        let checked = fed(server.command(&["db", "diff", "--check"]), "");
        assert_eq!(checked.status.code(), Some(1), "{checked:?}");

        let path = printed(&server, &["db", "diff", "--use-migration", "--file", "from live"], "");
        assert!(path.contains("_from_live.sql"), "{path}");
        // The migrations with the new one make what the database is, and it counts as applied.
        assert!(printed(&server, &["db", "diff", "--check"], "").starts_with("No difference"));
        assert!(printed(&server, &["migrate", "up"], "").starts_with("Nothing to apply"));
    }
}

#[tokio::test]
async fn a_failing_migration_leaves_no_database_behind() {
    let Some(engine) = engines().into_iter().find(|engine| *engine == Engine::Postgres) else {
        return;
    };
    let mut server = database(engine, Project::of("create table t (a integer);")).await;
    let again = std::mem::take(&mut server.project).migration("create table t (a integer);");
    server.project = again;
    let (id, failed) = fed_process(server.command(&["db", "diff"]), "");
    assert!(!failed.status.success());
    let asked = format!("select count(*) from pg_database where datname like 'mainstay\\_shadow\\_{id}\\_%'");
    let left = printed(&server, &["db", "query", &asked, "--json"], "");
    assert!(left.contains("\"0\""), "{left}");
}

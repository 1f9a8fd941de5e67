//! The command line, settings, health and stopping.

use std::process::{Command, Output};
use std::time::Duration;

use http::Method;
use mainstay_testing::{Engine, Project, Server, engines};

use crate::both::PROGRAM;

fn run(arguments: &[&str]) -> Output {
    Command::new(PROGRAM).args(arguments).output().unwrap()
}

fn out(output: &Output) -> String {
    format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

fn path(project: &Project) -> &str {
    project.path().to_str().unwrap()
}

const TABLE: &str =
    "create table t (id int primary key, name text not null);\ngrant select, insert on t to anon, service_role;\n";

#[test]
fn help_teaches_with_examples() {
    let help = out(&run(&["--help"]));
    for word in [
        "init",
        "dev",
        "serve",
        "migrate",
        "db",
        "keys",
        "types",
        "doctor",
        "grow",
        "import",
        "Examples:",
        "postgres://",
    ] {
        assert!(help.contains(word), "{word} is not in:\n{help}");
    }
}

#[test]
fn init_makes_a_project_that_is_not_made_twice() {
    let dir = tempfile::tempdir().unwrap();
    for (name, template, file) in [
        ("plain", "empty", "supabase/config.toml"),
        ("shop", "shop", "public/index.html"),
    ] {
        let target = dir.path().join(name);
        let target = target.to_str().unwrap();
        let made = run(&["init", target, "--template", template]);
        assert!(made.status.success(), "{}", out(&made));
        assert!(std::path::Path::new(target).join(file).exists());
        assert!(!run(&["init", target]).status.success());
        assert!(run(&["migrate", "up", target]).status.success());
        assert!(run(&["migrate", "check", target]).status.success());
    }
}

#[test]
fn migrations_are_listed_applied_and_guarded() {
    let project = Project::of(TABLE).migration("create table u (id int primary key);");
    let path = path(&project);
    assert_eq!(out(&run(&["migrate", "status", path])).matches("pending").count(), 2);
    assert!(out(&run(&["migrate", "up", path])).contains("Applied 2"));
    assert!(out(&run(&["migrate", "up", path])).contains("up to date"));
    assert_eq!(out(&run(&["migrate", "status", path])).matches("applied").count(), 2);
    let project = project.file(
        "supabase/migrations/20240101000001_m.sql",
        "create table t (id int primary key);",
    );
    let path = self::path(&project);
    assert!(out(&run(&["migrate", "status", path])).contains("EDITED"));
    let refused = run(&["migrate", "up", path]);
    assert!(
        !refused.status.success() && out(&refused).contains("MS-SCHEMA-004"),
        "{}",
        out(&refused)
    );
    std::fs::remove_file(project.path().join("supabase/migrations/20240101000001_m.sql")).unwrap();
    assert!(out(&run(&["migrate", "status", path])).contains("MISSING"));
    let made = out(&run(&["migrate", "new", "Add a thing!", path]));
    assert!(made.trim().ends_with("_add_a_thing_.sql"), "{made}");
}

#[test]
fn a_failed_migration_changes_nothing_and_names_its_line() {
    let project = Project::of(TABLE).migration("create table kept (id int);\n\ncreate table t (id int);\n");
    let failed = run(&["migrate", "up", path(&project)]);
    let text = out(&failed);
    assert!(!failed.status.success());
    assert!(
        text.contains("line 3") && text.contains("already exists") && text.contains("42P07"),
        "{text}"
    );
    let rows = out(&run(&["db", "query", "select count(*) from t", path(&project)]));
    assert!(rows.contains("(1 rows)"), "{rows}");
    assert!(out(&run(&["db", "query", "select 1 from kept", path(&project)])).contains("42P01"));
}

#[test]
fn what_the_engine_lacks_is_refused_by_name_and_line() {
    let project = Project::of("create table a (id int);\ncreate table b (id int, place point);\n");
    for command in [vec!["migrate", "check"], vec!["migrate", "up"]] {
        let refused = run(&[command.as_slice(), &[path(&project)]].concat());
        let text = out(&refused);
        assert!(!refused.status.success());
        assert!(
            text.contains("not available on the embedded engine") && text.contains("line 2"),
            "{text}"
        );
        assert!(text.contains("use PostgreSQL"), "{text}");
    }
}

#[test]
fn queries_read_unless_told_to_write() {
    let project = Project::of(TABLE);
    let path = path(&project);
    assert!(run(&["migrate", "up", path]).status.success());
    assert!(
        !run(&["db", "query", "insert into t values (1, 'x')", path])
            .status
            .success()
    );
    let written = run(&["db", "query", "--write", "insert into t values (1, 'x')", path]);
    assert!(out(&written).contains("INSERT 0 1"), "{}", out(&written));
    assert_eq!(
        out(&run(&["db", "query", "--json", "select * from t", path])).trim(),
        r#"[{"id":"1","name":"x"}]"#
    );
    assert!(run(&["db", "reset", "--yes", path]).status.success());
    assert_eq!(
        out(&run(&["db", "query", "--json", "select * from t", path])).trim(),
        "[]"
    );
}

#[test]
fn a_seed_may_set_sequences() {
    let project = Project::of("create table t (id serial primary key, name text);").file(
        "supabase/seed.sql",
        "insert into t values (40, 'x');\nselect setval('t_id_seq', 40);\n",
    );
    let path = path(&project);
    let reset = run(&["db", "reset", "--yes", path]);
    assert!(reset.status.success(), "{}", out(&reset));
    assert!(
        run(&["db", "query", "--write", "insert into t (name) values ('y')", path])
            .status
            .success()
    );
    let rows = out(&run(&["db", "query", "--json", "select id from t order by id", path]));
    assert_eq!(rows.trim(), r#"[{"id":"40"},{"id":"41"}]"#);
}

#[test]
fn settings_of_a_supabase_project_are_taken_and_unknown_keys_named() {
    let project = Project::of(TABLE).config("typo_here = 1\n[auth.email]\nenable_signup = true\n[nonsense]\na = 1");
    let text = out(&run(&["doctor", path(&project)]));
    assert!(
        text.contains("`mainstay.typo_here`") && text.contains("`nonsense`"),
        "{text}"
    );
    assert!(!text.contains("auth.email"), "{text}");
}

#[tokio::test]
async fn health_and_metrics_answer() {
    for engine in engines() {
        let server = Server::start(PROGRAM, engine, Project::of(TABLE)).await;
        let anonymous = server.anonymous();
        assert_eq!(anonymous.send(Method::GET, "/health/live", &[], "").await.status, 200);
        assert_eq!(anonymous.send(Method::GET, "/health/ready", &[], "").await.status, 200);
        anonymous.get("t").await;
        let metrics = anonymous.send(Method::GET, "/metrics", &[], "").await.text();
        assert!(
            metrics.contains("mainstay_http_requests_total{room=\"Rest\",status=\"2xx\"} 1"),
            "{metrics}"
        );
        // What a proxy on this machine passes on does not come from this machine.
        for header in ["x-forwarded-for", "forwarded", "x-real-ip"] {
            let passed_on = [(header, "203.0.113.7")];
            let answer = anonymous.send(Method::GET, "/metrics", &passed_on, "").await;
            assert_eq!(answer.status, 403, "{header}");
            let answer = server.service().send(Method::GET, "/metrics", &passed_on, "").await;
            assert_eq!(answer.status, 200, "{header}");
        }
        assert_eq!(anonymous.send(Method::POST, "/health/live", &[], "").await.status, 405);
    }
}

#[tokio::test]
async fn serve_refuses_a_database_that_lacks_migrations() {
    let project = Project::of(TABLE);
    let refused = run(&["serve", path(&project), "--listen", "127.0.0.1:0"]);
    assert!(!refused.status.success());
    assert!(out(&refused).contains("MS-SCHEMA-008"), "{}", out(&refused));
}

#[cfg(unix)]
#[tokio::test]
async fn stopping_lets_requests_finish() {
    let mut server = Server::start(PROGRAM, Engine::Sqlite, Project::of(TABLE)).await;
    let mut sent = Vec::new();
    for id in 0..50 {
        let client = server.anonymous();
        sent.push(tokio::spawn(async move {
            let body = format!(r#"{{"id":{id},"name":"x"}}"#);
            client
                .try_send(
                    Method::POST,
                    "/rest/v1/t",
                    &[("content-type", "application/json")],
                    body,
                )
                .await
        }));
    }
    tokio::time::sleep(Duration::from_millis(5)).await;
    assert!(
        Command::new("kill")
            .args(["-TERM", &server.process_id().to_string()])
            .status()
            .unwrap()
            .success()
    );
    let mut acknowledged = 0;
    for request in sent {
        if let Ok(answer) = request.await.unwrap() {
            assert_eq!(answer.status, 201, "{}", answer.text());
            acknowledged += 1;
        }
    }
    for _ in 0..100 {
        if !server.is_running() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(!server.is_running(), "SIGTERM does not stop it");
    server.run().unwrap();
    let rows = server.service().get("t?select=id").await.json();
    assert!(
        rows.as_array().unwrap().len() >= acknowledged,
        "{acknowledged} acknowledged, stored {rows}"
    );
}

#[tokio::test]
async fn http_2_without_tls_and_compression_work() {
    let project = Project::of(TABLE).migration(
        "insert into t select 1, 'a long name that is worth compressing, a long name that is worth compressing';",
    );
    let server = Server::start(PROGRAM, Engine::Sqlite, project).await;
    let many = (2..200)
        .map(|id| format!(r#"{{"id":{id},"name":"the same name again and again"}}"#))
        .collect::<Vec<_>>();
    let json = [("content-type", "application/json")];
    let body = format!("[{}]", many.join(","));
    assert_eq!(
        server
            .anonymous()
            .send(Method::POST, "/rest/v1/t", &json, body)
            .await
            .status,
        201
    );
    let plain = server.anonymous().get("t").await;
    let small = server.anonymous().with("accept-encoding", "gzip").get("t").await;
    assert_eq!(small.header("content-encoding"), "gzip");
    assert!(small.body.len() * 3 < plain.body.len());
    let http2 = Command::new("curl")
        .args([
            "--http2-prior-knowledge",
            "-s",
            "-o",
            "/dev/null",
            "-w",
            "%{http_version} %{http_code}",
        ])
        .arg(format!("{}/rest/v1/t?limit=1", server.url))
        .output();
    if let Ok(output) = http2 {
        assert_eq!(String::from_utf8_lossy(&output.stdout), "2 200");
    }
}

#[tokio::test]
async fn dev_applies_a_migration_when_it_is_saved() {
    use std::io::{BufRead, BufReader};
    let project = Project::of(TABLE);
    let mut child = Command::new(PROGRAM)
        .args(["dev", path(&project), "--listen", "127.0.0.1:0"])
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let ready = lines.next().unwrap().unwrap();
    let client = mainstay_testing::Client::new(ready.strip_prefix("Mainstay is ready at ").unwrap());
    assert_eq!(client.get("saved").await.status, 404);
    let project = project.migration("create table saved (id int primary key); grant select on saved to anon;");
    // The server looks when the file system tells it of the change; until then the table is missing.
    let mut status = 404;
    for _ in 0..200 {
        status = client.get("saved").await.status.as_u16();
        if status != 404 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let _ = child.kill();
    let _ = child.wait();
    drop(project);
    assert_eq!(status, 200);
}

#[test]
fn a_migration_that_was_just_begun_waits() {
    let project = Project::of(TABLE);
    let made = out(&run(&["migrate", "new", "notes", path(&project)]));
    let file = made.trim();
    let again = out(&run(&["migrate", "new", "more notes", path(&project)]));
    assert_ne!(made, again);
    let up = out(&run(&["migrate", "up", path(&project)]));
    assert!(up.starts_with("Applied 1 migration(s)"), "{up}");
    let status = out(&run(&["migrate", "status", path(&project)]));
    assert_eq!(status.matches("empty: nothing to apply yet").count(), 2, "{status}");
    std::fs::write(file, "-- notes\ncreate table notes (id int);\n").unwrap();
    let up = out(&run(&["migrate", "up", path(&project)]));
    assert!(up.starts_with("Applied 1 migration(s)"), "{up}");
    let nameless = run(&["migrate", "new", " ", path(&project)]);
    assert!(!nameless.status.success());
}

#[test]
fn doctor_names_functions_that_give_their_owner_s_rights_to_everybody() {
    let project = Project::of(
        "create table secrets (a int); alter table secrets enable row level security;
         create function all_secrets() returns setof secrets language sql security definer as 'select * from secrets';
         create function kept() returns setof secrets language sql security definer as 'select * from secrets';
         revoke execute on function kept from public, anon;
         create function mine() returns setof secrets language sql as 'select * from secrets';",
    );
    out(&run(&["migrate", "up", path(&project)]));
    let text = out(&run(&["doctor", path(&project)]));
    assert!(
        text.contains("function public.all_secrets runs with its owner's rights"),
        "{text}"
    );
    assert!(!text.contains("public.kept") && !text.contains("public.mine"), "{text}");
}

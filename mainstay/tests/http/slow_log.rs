//! The log of slow statements: with a threshold of nothing every shape is slow.

use std::time::{Duration, Instant};

use mainstay_testing::{Project, Server, engines};
use serde_json::Value;

use crate::both::{Ask, PROGRAM};

const SCHEMA: &str = "
    create table people (id int primary key, name text not null, note text, born date);
    create table pets (id int primary key, owner int references people (id), name text);
    create index on people (note);
    insert into people values (1, 'a secret name', 'n', '2000-01-01');
    grant select, update on people to anon, service_role;
    grant select on pets to anon, service_role;
";

/// How long the log may take to be written.
const DEADLINE: Duration = Duration::from_secs(30);

/// The lines of slow statements, once there is one about `relation`.
async fn lines(server: &Server, relation: &str) -> Vec<Value> {
    let end = Instant::now() + DEADLINE;
    loop {
        let log = server.log();
        let slow: Vec<Value> = log
            .lines()
            .filter_map(|line| serde_json::from_str(line).ok())
            .filter(|line: &Value| line["message"] == "a slow statement")
            .collect();
        if slow.iter().any(|line| line["relation"] == relation) {
            assert!(!log.contains("secret"), "a value was logged: {log}");
            return slow;
        }
        assert!(Instant::now() < end, "nothing about {relation} in: {log}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn a_shape_is_logged_once_without_values_and_with_advice() {
    for engine in engines() {
        let project = Project::of(SCHEMA).config("slow_query_ms = 0");
        let server = Server::start(PROGRAM, engine, project).await;
        let anonymous = server.anonymous();
        for value in ["a%20secret%20name", "another%20secret"] {
            let answer = anonymous
                .get(&format!("people?select=id&name=eq.{value}&order=born.desc"))
                .await;
            assert_eq!(answer.status, 200, "{}", answer.text());
        }
        let refused = Ask::new("PATCH /people?note=eq.secret")
            .json(r#"{"born":"no secret"}"#)
            .send(&anonymous)
            .await;
        assert_eq!(refused.code(), "22007", "{}", refused.text());
        assert_eq!(anonymous.get("people?select=pets(id)&id=eq.1").await.status, 200);
        assert_eq!(anonymous.get("pets?select=id&id=eq.1").await.status, 200);

        let slow = lines(&server, "public.pets").await;
        let [named, patched, embedded, pets] = slow.as_slice() else {
            panic!("not one line per shape: {slow:#?}");
        };
        assert_eq!(named["action"], "read");
        assert_eq!(named["role"], "anon");
        assert_eq!(named["level"], "WARN");
        assert_eq!(named["rows"], 1);
        assert!(named["ms"].is_u64());
        assert!(named["statement"].as_str().unwrap().contains("name"), "{named}");
        let plan = named["plan"].as_str().unwrap().to_lowercase();
        assert!(plan.contains("scan"), "{named}");
        assert_eq!(named["advice"], "create index on public.people (name, born desc);");
        assert_eq!(patched["action"], "update");
        assert_eq!(patched["code"], "22007");
        assert_eq!(patched["advice"], "", "an index leads with the column");
        assert_eq!(embedded["advice"], "create index on public.pets (owner);");
        assert_eq!(pets["advice"], "", "the key leads with the column");
    }
}

#[tokio::test]
async fn a_column_that_a_policy_compares_is_advised() {
    let schema = "
        create table notes (id int primary key, owner uuid, org int, at timestamptz);
        alter table notes enable row level security;
        grant select, delete on notes to authenticated, service_role;
        create policy own on notes to authenticated using (owner = (select auth.uid()) and at is not null);
        create policy mine on notes for delete to authenticated using (org = 7 or notes.owner = auth.uid());
    ";
    for engine in engines() {
        let project = Project::of(schema).config("slow_query_ms = 0");
        let server = Server::start(PROGRAM, engine, project).await;
        let user = server.user("00000001-0000-4000-8000-000000000001");
        assert_eq!(user.get("notes?select=id&order=at.desc").await.status, 200);
        assert_eq!(
            server.service().get("notes?select=id,org&order=at.desc").await.status,
            200
        );
        let delete = Ask::new("DELETE /notes?org=eq.1").send(&user).await;
        assert_eq!(delete.status, 204, "{}", delete.text());
        let keyed = Ask::new("DELETE /notes?id=eq.1").send(&user).await;
        assert_eq!(keyed.status, 204, "{}", keyed.text());
        let end = Instant::now() + DEADLINE;
        let slow = loop {
            let slow = lines(&server, "public.notes").await;
            if slow.len() == 4 {
                break slow;
            }
            assert!(Instant::now() < end, "{slow:#?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        };
        let advice: Vec<&Value> = slow.iter().map(|line| &line["advice"]).collect();
        assert_eq!(
            advice,
            [
                "create index on public.notes (owner, at desc);",
                "create index on public.notes (at desc);",
                "create index on public.notes (org, owner);",
                "",
            ]
        );
    }
}

#[tokio::test]
async fn nothing_is_logged_where_it_is_off() {
    for engine in engines() {
        let project = Project::of(SCHEMA).config("slow_query_ms = \"off\"");
        let server = Server::start(PROGRAM, engine, project).await;
        server.anonymous().get("people?select=id").await;
        server.anonymous().get("people?select=marker").await;
        // The log is written in order: once the later request is in it, the earlier one would be.
        let end = Instant::now() + DEADLINE;
        while server.log().matches("/rest/v1/people").count() < 2 {
            assert!(Instant::now() < end, "{}", server.log());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        assert!(!server.log().contains("a slow statement"), "{}", server.log());
    }
}

#[test]
fn a_threshold_that_is_no_number_is_refused() {
    let project = Project::of(SCHEMA).config("slow_query_ms = \"soon\"");
    let output = std::process::Command::new(PROGRAM)
        .arg("doctor")
        .arg(project.path())
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(
        !output.status.success() && text.contains("mainstay.slow_query_ms"),
        "{text}"
    );
}

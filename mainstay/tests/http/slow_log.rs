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

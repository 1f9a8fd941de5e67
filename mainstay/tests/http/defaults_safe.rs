//! A fresh install is closed: no default key, no open table, nothing but loopback.

use std::process::Command;

use mainstay_testing::{Client, Engine, Project, Server, token};

use crate::both::PROGRAM;

/// The keys and the secret that the Supabase command line publishes.
const DEMO_SECRET: &str = "super-secret-jwt-token-with-at-least-32-characters-long";
const DEMO_SECRET_KEY: &str = "sb_secret_N7UND0UgjKTVK-Uodkm0Hg_xSvEMPvz";

const OPEN: &str = "create table t (id int primary key); insert into t values (1);";

#[tokio::test]
async fn a_new_table_is_closed() {
    let server = Server::start(PROGRAM, Engine::Sqlite, Project::of(OPEN)).await;
    assert_eq!(server.anonymous().get("t").await.status, 401);
    assert_eq!(server.user("x").get("t").await.status, 403);
    assert_eq!(server.service().get("t").await.status, 403);
}

#[tokio::test]
async fn published_keys_open_nothing() {
    let server = Server::start_with(PROGRAM, Engine::Sqlite, Project::of(OPEN), &[("PGRST_JWT_SECRET", "")]).await;
    let demo = jsonwebtoken::encode(
        &jsonwebtoken::Header::default(),
        &serde_json::json!({"role": "service_role"}),
        &jsonwebtoken::EncodingKey::from_secret(DEMO_SECRET.as_bytes()),
    )
    .unwrap();
    for key in [
        DEMO_SECRET_KEY,
        "sb_publishable_ACJWlzQHlZjBrEguHvfOxg_3BJgxAaH",
        demo.as_str(),
    ] {
        assert_eq!(
            server.anonymous().with("apikey", key).get("t").await.status,
            401,
            "{key}"
        );
    }
}

#[test]
fn the_demo_secret_must_be_asked_for() {
    let project = Project::of(OPEN);
    let run = |project: &Project| {
        let output = Command::new(PROGRAM)
            .arg("keys")
            .arg(project.path())
            .env("PGRST_JWT_SECRET", DEMO_SECRET)
            .output();
        output.unwrap()
    };
    let refused = run(&project);
    assert!(!refused.status.success());
    assert!(String::from_utf8_lossy(&refused.stderr).contains("allow_demo_secret"));
    let project = project.config("allow_demo_secret = true");
    assert!(run(&project).status.success());
}

#[cfg(unix)]
#[test]
fn keys_are_made_once_and_are_private() {
    use std::os::unix::fs::PermissionsExt;
    let project = Project::of(OPEN);
    let keys = || {
        Command::new(PROGRAM)
            .args(["keys", "--json"])
            .arg(project.path())
            .output()
            .unwrap()
            .stdout
    };
    let (first, second) = (keys(), keys());
    assert!(!first.is_empty());
    assert_eq!(first, second);
    let mode = std::fs::metadata(project.path().join(".mainstay/keys.json"))
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
    assert_eq!(
        std::fs::read_to_string(project.path().join(".mainstay/.gitignore")).unwrap(),
        "*\n"
    );
}

#[tokio::test]
async fn the_server_listens_on_loopback_and_production_has_no_development_routes() {
    let server = Server::start(PROGRAM, Engine::Sqlite, Project::of(OPEN)).await;
    assert!(server.url.starts_with("http://127.0.0.1:"), "{}", server.url);
    let dev = Client::new(&server.url);
    assert_eq!(
        dev.send(http::Method::POST, "/dev/v1/token", &[], r#"{"sub":"x"}"#)
            .await
            .status,
        404
    );
    assert_eq!(dev.send(http::Method::GET, "/dev/v1/config", &[], "").await.status, 404);
}

#[tokio::test]
async fn origins_may_read_without_credentials_only() {
    let server = Server::start(PROGRAM, Engine::Sqlite, Project::of(OPEN)).await;
    let answer = server
        .anonymous()
        .send(
            http::Method::GET,
            "/rest/v1/t",
            &[("origin", "http://evil.example")],
            "",
        )
        .await;
    assert_eq!(answer.header("access-control-allow-origin"), "*");
    assert_eq!(answer.header("access-control-allow-credentials"), "");
}

#[tokio::test]
async fn no_secret_reaches_the_log() {
    let server = Server::start(PROGRAM, Engine::Sqlite, Project::of(OPEN)).await;
    let token = token::user("aaaaaaaa-0000-4000-8000-000000000001");
    let path = format!("/rest/v1/t?apikey={token}&id=eq.canary");
    server
        .anonymous()
        .send(
            http::Method::GET,
            &path,
            &[("authorization", &format!("Bearer {token}"))],
            "",
        )
        .await;
    server.service().get("t?id=eq.canary").await;
    tokio::time::sleep(std::time::Duration::from_millis(300)).await;
    let log = server.log();
    assert!(log.contains("/rest/v1/t"), "{log}");
    for secret in [token.as_str(), token::SECRET, "canary"] {
        assert!(!log.contains(secret), "the log holds {secret}");
    }
}

//! No answer says which version, engine or library is behind it, whatever is asked for, found or broken. Who holds the
//! secret key may read the version in the OpenAPI document.

use http::Method;
use mainstay_testing::{Answer, Client, Project, Server, engines};

use crate::both::PROGRAM;

/// The version of this workspace, which is the program's.
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// What names a part of the program, in lower case.
const TELLING: [&str; 18] = [
    VERSION,
    "sqlite",
    "rusqlite",
    "hyper",
    "tokio",
    "rustls",
    "rustc",
    "axum",
    "tower",
    ".rs:",
    "/src/",
    "panicked",
    "stack backtrace",
    "/home/",
    "/root/",
    "/tmp/",
    ".mainstay",
    "postgresql 1",
];

/// Headers that servers boast with.
const BOASTING: [&str; 5] = ["server", "x-powered-by", "via", "x-aspnet-version", "x-runtime"];

fn project() -> Project {
    Project::of(
        "create table t (id int primary key, name text not null, n int check (n > 0), d date, j jsonb);
         create table child (id int primary key, t int references t (id));
         create table closed (id int primary key);
         create function fails() returns int language plpgsql as $$ begin return 1 / 0; end $$;
         create function raises() returns int language plpgsql as $$ begin raise exception 'no'; end $$;
         insert into t values (1, 'a', 1, '2020-01-01', '{}');
         grant select, insert, update, delete on t, child to anon, authenticated, service_role;",
    )
    .file("public/index.html", "<!doctype html><title>x</title>")
}

/// Everything that may go right or wrong, by method and path.
fn asks() -> Vec<(Method, String, &'static str, &'static str)> {
    let mut asks: Vec<(Method, String, &str, &str)> = Vec::new();
    let paths = [
        "/",
        "/index.html",
        "/nothing",
        "/rest",
        "/rest/",
        "/rest/v1",
        "/rest/v1/",
        "/rest/v2/t",
        "/rest/v1/t",
        "/rest/v1/openapi.json",
        "/rest/v1/t/1",
        "/rest/v1/nothing",
        "/rest/v1/closed",
        "/rest/v1/t?select=*,child(*)",
        "/rest/v1/t?select=nothing",
        "/rest/v1/t?nothing=eq.1",
        "/rest/v1/t?id=eq.x",
        "/rest/v1/t?id=x.1",
        "/rest/v1/t?name=match.(",
        "/rest/v1/t?d=eq.never",
        "/rest/v1/t?j=cs.{",
        "/rest/v1/t?name=eq.%00",
        "/rest/v1/t?select=((",
        "/rest/v1/t?select=count()",
        "/rest/v1/t?limit=x",
        "/rest/v1/t?order=j,nothing",
        "/rest/v1/t?id=eq.99999999999999999999",
        "/rest/v1/rpc/fails",
        "/rest/v1/rpc/raises",
        "/rest/v1/rpc/nothing",
        "/rest/v1/rpc/version",
        "/rest/v1/pg_settings",
        "/rest/v1/sqlite_master",
        "/rest/v1/_ms_catalog",
        "/rest/v1/batch",
        "/auth/v1",
        "/auth/v1/health",
        "/auth/v1/settings",
        "/auth/v1/user",
        "/auth/v1/nothing",
        "/auth/v1/token?grant_type=password",
        "/auth/v1/signup",
        "/storage/v1",
        "/realtime/v1",
        "/functions/v1/x",
        "/health",
        "/health/live",
        "/health/ready",
        "/health/nothing",
        "/dev/v1/config",
        "/_/",
        "/.env",
        "/.git/config",
        "/.mainstay/keys.json",
        "/supabase/config.toml",
        "/server-status",
        "/admin",
        "/graphql/v1",
        "/%00",
        "/%",
    ];
    for path in paths {
        for method in [
            Method::GET,
            Method::HEAD,
            Method::POST,
            Method::PATCH,
            Method::DELETE,
            Method::OPTIONS,
        ] {
            let body = match method {
                Method::POST | Method::PATCH => r#"{"id":1,"name":null,"nothing":2}"#,
                _ => "",
            };
            asks.push((method, path.to_owned(), "application/json", body));
        }
    }
    for (kind, body) in [
        ("application/json", "{"),
        ("application/json", r#"{"id":2}"#),
        ("application/json", r#"{"id":2,"name":"b","n":0}"#),
        ("application/json", r#"{"id":1,"name":"b"}"#),
        ("application/json", r#"{"id":2,"name":"b","d":"never"}"#),
        ("text/csv", "id,name\n\"2"),
        ("application/xml", "<a/>"),
        ("application/octet-stream", "\u{1}"),
    ] {
        asks.push((Method::POST, "/rest/v1/t".into(), kind, body));
        asks.push((Method::PUT, "/rest/v1/t?id=eq.2".into(), kind, body));
        asks.push((Method::POST, "/rest/v1/batch".into(), kind, body));
        asks.push((Method::POST, "/auth/v1/signup".into(), kind, body));
    }
    asks.push((Method::TRACE, "/rest/v1/t".into(), "", ""));
    asks.push((Method::from_bytes(b"BREW").unwrap(), "/rest/v1/t".into(), "", ""));
    asks
}

fn told(answer: &Answer) -> String {
    let headers: Vec<String> = answer
        .headers
        .iter()
        .map(|(name, value)| format!("{name}: {}", String::from_utf8_lossy(value.as_bytes())))
        .collect();
    format!("{}\n\n{}", headers.join("\n"), answer.text())
}

async fn is_quiet(server: &Server, client: &Client, who: &str) {
    for (method, path, kind, body) in asks() {
        let headers: &[(&str, &str)] = match kind.is_empty() {
            true => &[],
            false => &[("content-type", kind)],
        };
        let answer = client.send(method.clone(), &path, headers, body).await;
        let context = format!("{:?}: {who} {method} {path} {body}: {}", server.engine, answer.status);
        for name in BOASTING {
            assert!(!answer.headers.contains_key(name), "{context}: {name}");
        }
        let text = told(&answer);
        // What was asked for may be named in the refusal.
        let heard = text.replace("sqlite_master", "").to_lowercase();
        for word in TELLING {
            let asked = path.contains(word);
            assert!(asked || !heard.contains(word), "{context}: says {word:?}\n{text}");
        }
    }
}

#[tokio::test]
async fn no_answer_names_a_version_or_a_part() {
    for engine in engines() {
        let server = Server::start(PROGRAM, engine, project()).await;
        is_quiet(&server, &server.anonymous(), "anon").await;
        is_quiet(&server, &server.user("aaaaaaaa-0000-4000-8000-000000000001"), "a user").await;
        is_quiet(&server, &server.anonymous().bearer("broken"), "a broken token").await;
    }
}

#[tokio::test]
async fn the_document_names_the_version_to_the_secret_key_alone() {
    for engine in engines() {
        let server = Server::start(PROGRAM, engine, project()).await;
        let version = |answer: Answer| answer.json()["info"]["version"].as_str().map(str::to_owned);
        for document in ["", "openapi.json"] {
            assert_eq!(version(server.service().get(document).await).as_deref(), Some(VERSION));
            let shown = version(server.anonymous().get(document).await).unwrap();
            assert_ne!(shown, VERSION);
        }
    }
}

#[tokio::test]
async fn paths_that_are_not_there_answer_alike() {
    for engine in engines() {
        let server = Server::start(PROGRAM, engine, Project::new()).await;
        let mut answers = Vec::new();
        for path in [
            "/",
            "/nothing",
            "/.env",
            "/.git/config",
            "/.mainstay/data.db",
            "/rest",
            "/rest/v2",
            "/admin",
            "/_/",
        ] {
            let answer = server.anonymous().send(Method::GET, path, &[], "").await;
            assert_eq!(answer.status, 404, "{path}");
            answers.push((path, answer.comparable()));
        }
        for (path, answer) in &answers {
            assert_eq!(answer, &answers[0].1, "{path}");
        }
    }
}

//! Limits on how often one caller may ask. Windows are days, so that nothing is refilled while a test runs; that buckets
//! refill is tested beside them, with a clock that moves.

use std::time::{Duration, Instant};

use http::Method;
use mainstay_testing::database::run_at;
use mainstay_testing::{Answer, Client, Engine, Project, Server, engines, token};
use serde_json::json;

use crate::both::{Ask, Both, PROGRAM};

const SCHEMA: &str = "
    create table notes (id int primary key, body text);
    grant select, insert on notes to anon, authenticated, service_role;
    insert into notes values (1, 'a');
";

/// How long the log may take to be written.
const DEADLINE: Duration = Duration::from_secs(30);

fn project(limits: &str) -> Project {
    Project::of(SCHEMA).config(&format!("[mainstay.limits]\n{limits}"))
}

/// The statuses of `count` reads.
async fn statuses(client: &Client, count: usize) -> Vec<u16> {
    let mut found = Vec::new();
    for _ in 0..count {
        found.push(client.get("notes").await.status.as_u16());
    }
    found
}

fn is_refusal(answer: &Answer) {
    assert_eq!(answer.status, 429, "{}", answer.text());
    assert_eq!(answer.code(), "MS-HTTP-011");
    let wait: u64 = answer.header("retry-after").parse().unwrap();
    assert!((1..=86_400).contains(&wait), "{wait}");
    assert!(answer.header("ratelimit").contains(";r=0;"), "{:?}", answer.headers);
}

#[tokio::test]
async fn a_stranger_is_refused_over_the_limit_and_told_when_to_come_back() {
    let both = Both::start(|| project("per_address = \"3/day\"")).await;
    for server in &both.servers {
        let anonymous = server.anonymous();
        for left in [2, 1, 0] {
            let answer = anonymous.get("notes").await;
            assert_eq!(answer.status, 200);
            let shown = answer.header("ratelimit").to_owned();
            assert!(shown.starts_with(&format!("\"address\";r={left};t=")), "{shown}");
            assert_eq!(answer.header("ratelimit-policy"), "\"address\";q=3;w=86400");
        }
        let refused = anonymous.get("notes").await;
        is_refusal(&refused);
        assert!(refused.json()["hint"].as_str().unwrap().starts_with("Try again in "));
        let exposed: Vec<&str> = refused
            .headers
            .get_all("access-control-expose-headers")
            .iter()
            .filter_map(|value| value.to_str().ok())
            .collect();
        assert!(exposed.concat().contains("RateLimit, RateLimit-Policy"), "{exposed:?}");
        // Nothing is done for who is refused.
        is_refusal(&anonymous.insert("notes", &json!({"id": 2})).await);
        assert_eq!(server.service().get("notes?select=id").await.text(), "[{\"id\":1}]");
    }
}

#[tokio::test]
async fn broken_credentials_are_a_strangers_requests() {
    for engine in engines() {
        let server = Server::start(PROGRAM, engine, project("per_address = \"2/day\"")).await;
        for broken in ["nonsense", "a.b.c"] {
            let answer = server.anonymous().bearer(broken).get("notes").await;
            assert_eq!(answer.status, 401);
            assert!(answer.header("ratelimit").starts_with("\"address\";r="));
        }
        is_refusal(&server.anonymous().bearer("other.non.sense").get("notes").await);
        is_refusal(&server.anonymous().get("notes").await);
        let sign_in = "/auth/v1/token?grant_type=password";
        is_refusal(&server.anonymous().send(Method::POST, sign_in, &[], "{}").await);
        // A user's limit is another, and so is that of a secret key.
        assert_eq!(server.user("ann").get("notes").await.status, 200);
        assert_eq!(server.service().get("notes").await.status, 200);
    }
}

#[tokio::test]
async fn a_user_has_one_limit_with_whatever_token() {
    for engine in engines() {
        let server = Server::start(PROGRAM, engine, project("per_user = \"2/day\"")).await;
        let other = token::sign(&json!({"role": "authenticated", "sub": "ann", "exp": token::now() + 60, "n": 1}));
        assert_eq!(server.user("ann").get("notes").await.status, 200);
        assert_eq!(server.anonymous().bearer(&other).get("notes").await.status, 200);
        is_refusal(&server.user("ann").get("notes").await);
        is_refusal(&server.anonymous().bearer(&other).get("notes").await);
        assert_eq!(statuses(&server.user("bob"), 3).await, [200, 200, 429]);
        assert_eq!(statuses(&server.anonymous(), 4).await, [200; 4]);
        assert!(server.anonymous().get("notes").await.header("ratelimit").is_empty());
    }
}

#[tokio::test]
async fn a_key_has_one_limit_from_every_address() {
    for engine in engines() {
        let limits = "per_key = \"2/day\"\ntrusted_proxies = [\"127.0.0.1\"]";
        let server = Server::start(PROGRAM, engine, project(limits)).await;
        let from = |address: &str| server.service().with("x-forwarded-for", address);
        assert_eq!(statuses(&from("192.0.2.1"), 1).await, [200]);
        assert_eq!(statuses(&from("192.0.2.2"), 2).await, [200, 429]);
        assert_eq!(statuses(&server.anonymous(), 3).await, [200, 200, 429]);
        assert_eq!(statuses(&server.user("ann"), 3).await, [200; 3]);
    }
}

#[tokio::test]
async fn only_a_trusted_proxy_says_for_whom_it_asks() {
    for engine in engines() {
        let server = Server::start(PROGRAM, engine, project("per_address = \"2/day\"")).await;
        let from = |server: &Server, address: &str| server.anonymous().with("x-forwarded-for", address);
        for address in ["192.0.2.1", "192.0.2.2"] {
            assert_eq!(from(&server, address).get("notes").await.status, 200);
        }
        is_refusal(&from(&server, "192.0.2.3").get("notes").await);
        // The log is written in order: the lines of the three requests come after what they made known.
        let end = Instant::now() + DEADLINE;
        while server.log().matches("/rest/v1/notes").count() < 3 {
            assert!(Instant::now() < end, "{}", server.log());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        assert_eq!(
            server.log().matches("limits.trusted_proxies").count(),
            1,
            "{}",
            server.log()
        );

        let limits = "per_address = \"2/day\"\ntrusted_proxies = [\"127.0.0.0/8\"]";
        let server = Server::start(PROGRAM, engine, project(limits)).await;
        for address in ["192.0.2.1", "192.0.2.2", "2001:db8::1"] {
            assert_eq!(statuses(&from(&server, address), 3).await, [200, 200, 429], "{address}");
        }
        is_refusal(&from(&server, "198.51.100.1, 192.0.2.1").get("notes").await);
    }
}

#[tokio::test]
async fn a_batch_counts_as_the_requests_in_it() {
    for engine in engines() {
        let server = Server::start(PROGRAM, engine, project("per_user = \"10/day\"")).await;
        let ann = server.user("ann");
        let requests: Vec<_> = (0..9).map(|_| json!({"method": "GET", "path": "/notes"})).collect();
        let answer = ann
            .write(Method::POST, "batch", &[], &json!({"requests": requests}))
            .await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert!(
            answer.header("ratelimit").starts_with("\"user\";r=1;"),
            "{:?}",
            answer.headers
        );
        assert_eq!(statuses(&ann, 2).await, [200, 429]);
    }
}

#[tokio::test]
async fn exempt_addresses_health_and_preflights_are_not_counted() {
    for engine in engines() {
        let limits = "per_address = \"1/day\"\nexempt = [\"127.0.0.1\"]";
        let server = Server::start(PROGRAM, engine, project(limits)).await;
        assert_eq!(statuses(&server.anonymous(), 3).await, [200; 3]);

        let server = Server::start(PROGRAM, engine, project("per_address = \"1/day\"")).await;
        let preflight = [("origin", "http://a.example"), ("access-control-request-method", "GET")];
        for _ in 0..3 {
            let health = server.anonymous().send(Method::GET, "/health/live", &[], "").await;
            assert_eq!(health.status, 200);
            let asked = server
                .anonymous()
                .send(Method::OPTIONS, "/rest/v1/notes", &preflight, "")
                .await;
            assert_eq!(asked.status, 200);
        }
        assert_eq!(statuses(&server.anonymous(), 2).await, [200, 429]);
        let metrics = server.anonymous().send(Method::GET, "/metrics", &[], "").await.text();
        assert!(
            metrics.contains("mainstay_http_requests_limited_total 1\n"),
            "{metrics}"
        );
    }
}

#[tokio::test]
async fn without_a_limit_no_answer_speaks_of_one() {
    for engine in engines() {
        let server = Server::start(PROGRAM, engine, Project::of(SCHEMA)).await;
        let answer = server.anonymous().get("notes").await;
        assert!(!answer.headers.contains_key("ratelimit"));
        assert!(!answer.headers.contains_key("ratelimit-policy"));
        assert!(!answer.header("access-control-expose-headers").contains("RateLimit"));
    }
}

const LARGE: &str = "
    create table large (id int primary key, name text, n int);
    create table small (id int primary key, large int references large (id));
    insert into large select g, 'name ' || g, g from generate_series(1, 20000) g;
    insert into small select g, g from generate_series(1, 20) g;
    create index on large (n);
    grant select, insert, update, delete on large, small to anon, authenticated, service_role;
";

/// A costly request of each kind, and a cheap one.
fn costly_and_cheap() -> Vec<(Ask, Ask)> {
    let ask = Ask::new;
    let batch =
        |path: &str| Ask::new("POST /batch").json(&format!(r#"{{"requests":[{{"method":"GET","path":"{path}"}}]}}"#));
    vec![
        (ask("GET /large?name=eq.x"), ask("GET /large?n=eq.7")),
        (
            ask("GET /large?name=like.*9&limit=1&order=name"),
            ask("GET /large?limit=3"),
        ),
        (
            ask("GET /large?or=(name.eq.x,n.eq.1)&limit=1").prefer("count=exact"),
            ask("GET /large?id=eq.1").prefer("count=exact"),
        ),
        (
            ask("GET /large?select=id&id=gt.0&limit=1").prefer("count=exact"),
            ask("GET /large?select=id&n=lt.4").prefer("count=exact"),
        ),
        (
            ask("GET /large?select=id,small(id)&name=eq.x"),
            ask("GET /small?select=id,large(name)&id=eq.3"),
        ),
        (
            ask("PATCH /large?name=eq.name 9").json(r#"{"n":0}"#),
            ask("PATCH /large?id=eq.9").json(r#"{"n":9}"#),
        ),
        (
            ask("PATCH /large?name=eq.name 9")
                .json(r#"{"n":0}"#)
                .header("idempotency-key", "a"),
            ask("PATCH /large?id=eq.9")
                .json(r#"{"n":9}"#)
                .header("idempotency-key", "b"),
        ),
        (
            ask("PATCH /large?name=eq.name 9")
                .json(r#"{"n":0}"#)
                .prefer("max-affected=1, handling=strict"),
            ask("PATCH /large?id=eq.9")
                .json(r#"{"n":9}"#)
                .prefer("max-affected=1, handling=strict"),
        ),
        (ask("DELETE /large?name=eq.name 9"), ask("DELETE /large?id=eq.20001")),
        (batch("/large?name=eq.x"), batch("/large?n=eq.7")),
        (
            batch("/large?name=eq.x"),
            ask("POST /large").json(r#"[{"id":30001},{"id":30002}]"#),
        ),
    ]
}

#[tokio::test]
async fn what_costs_too_much_is_refused_to_roles_with_a_limit() {
    let limits =
        "query_cost_max = 100\n[mainstay.limits.query_cost_by_role]\nauthenticated = \"off\"\nservice_role = \"off\"";
    for engine in engines() {
        let project = Project::of(LARGE).config(&format!("[mainstay.limits]\n{limits}"));
        let server = Server::start(PROGRAM, engine, project).await;
        if let Some(url) = server.database_url() {
            run_at(&url, "analyze").await;
        }
        let (anonymous, user) = (server.anonymous(), server.user("ann"));
        for (costly, cheap) in costly_and_cheap() {
            for _ in 0..2 {
                let refused = costly.send(&anonymous).await;
                assert_eq!(
                    (refused.status.as_u16(), refused.code().as_str()),
                    (400, "MS-DATA-016"),
                    "{engine:?} {costly:?}: {}",
                    refused.text()
                );
            }
            assert_eq!(
                server.service().get("large?select=n&id=eq.9").await.text(),
                "[{\"n\":9}]",
                "{engine:?} {costly:?}"
            );
            let answer = cheap.send(&anonymous).await;
            assert!(answer.status.is_success(), "{engine:?} {cheap:?}: {}", answer.text());
        }
        for (costly, _) in costly_and_cheap()
            .into_iter()
            .filter(|(ask, _)| ask.method == Method::GET)
        {
            let answer = costly.send(&user).await;
            assert!(answer.status.is_success(), "{engine:?} {costly:?}: {}", answer.text());
        }
        // What is wrong with a statement is said as ever.
        let wrong = anonymous.get("large?id=eq.x").await;
        assert_eq!(wrong.code(), "22P02", "{}", wrong.text());
    }
}

#[tokio::test]
async fn a_role_may_have_less_time_than_others() {
    // A role's settings are the whole cluster's on PostgreSQL, whose own tests make them for one database.
    let project = Project::of(&format!(
        "{LARGE}
         create view slow with (security_invoker = true) as select count(*) as n from large, small where large.n <> small.large;
         grant select on slow to anon, authenticated;
         alter role anon set statement_timeout = '1ms';"
    ));
    let server = Server::start(PROGRAM, Engine::Sqlite, project).await;
    let refused = server.anonymous().get("slow").await;
    assert_eq!(refused.code(), "57014", "{}", refused.text());
    assert_eq!(server.user("ann").get("slow").await.text(), "[{\"n\":399980}]");
}

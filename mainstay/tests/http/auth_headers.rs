//! Headers of sign-in's answers: nothing is kept by caches, guessed by browsers or shown to other origins with credentials.

use http::Method;
use mainstay_testing::{Answer, Project, token};
use serde_json::{Value, json};

use crate::auth::{Auth, PASSWORD, on_each_engine};

fn held(answer: &Answer, what: &str) {
    assert_eq!(answer.header("cache-control"), "no-store", "{what}");
    assert_eq!(answer.header("x-content-type-options"), "nosniff", "{what}");
    assert_eq!(answer.header("referrer-policy"), "no-referrer", "{what}");
    for name in [
        "set-cookie",
        "server",
        "x-powered-by",
        "access-control-allow-credentials",
    ] {
        assert_eq!(answer.header(name), "", "{what}: {name}");
    }
    if !answer.body.is_empty() {
        assert_eq!(answer.header("content-type"), "application/json", "{what}");
    }
    assert_eq!(answer.header("access-control-allow-origin"), "*", "{what}");
}

#[tokio::test]
async fn every_answer_is_for_its_caller_alone() {
    on_each_engine(Project::new, async |_, auth: Auth| {
        let ann = auth.sign_up("ann@example.com").await;
        let service = token::role("service_role");
        let user = format!("/admin/users/{}", ann.id());
        let (nobody, own, admin) = (None, Some(ann.access_token.as_str()), Some(service.as_str()));
        for (method, path, bearer, body) in [
            (Method::GET, "/health", nobody, Value::Null),
            (Method::GET, "/settings", nobody, Value::Null),
            (
                Method::POST,
                "/signup",
                nobody,
                json!({"email": "bob@example.com", "password": PASSWORD}),
            ),
            (
                Method::POST,
                "/signup",
                nobody,
                json!({"email": "ann@example.com", "password": PASSWORD}),
            ),
            (Method::POST, "/signup", nobody, json!([])),
            (
                Method::POST,
                "/token?grant_type=password",
                nobody,
                json!({"email": "ann@example.com", "password": PASSWORD}),
            ),
            (
                Method::POST,
                "/token?grant_type=password",
                nobody,
                json!({"email": "ann@example.com", "password": "wrong"}),
            ),
            (
                Method::POST,
                "/token?grant_type=refresh_token",
                nobody,
                json!({"refresh_token": ann.refresh_token}),
            ),
            (Method::GET, "/user", own, Value::Null),
            (Method::GET, "/user", nobody, Value::Null),
            (Method::PUT, "/user", own, json!({"data": {"a": 1}})),
            (Method::GET, "/admin/users", admin, Value::Null),
            (Method::GET, user.as_str(), admin, Value::Null),
            (Method::GET, "/admin/audit", admin, Value::Null),
            (Method::GET, "/admin/users", own, Value::Null),
            (Method::GET, "/nowhere", nobody, Value::Null),
            (Method::DELETE, "/signup", nobody, Value::Null),
            (Method::POST, "/logout", own, Value::Null),
        ] {
            let answer = auth.ask(method.clone(), path, bearer, body.clone()).await;
            held(&answer, &format!("{method} {path} {}", answer.status));
        }
        // Public keys are for everybody, and may be kept.
        let keys = auth.ask(Method::GET, "/.well-known/jwks.json", None, Value::Null).await;
        assert_eq!(keys.header("cache-control"), "public, max-age=600");
        assert_eq!(keys.header("x-content-type-options"), "nosniff");
    })
    .await;
    let project = || Project::new().config("[rest]\nserver_cors_allowed_origins = \"https://app.example\"");
    on_each_engine(project, async |_, auth: Auth| {
        let client = auth.client(None);
        for (origin, allowed) in [
            ("https://app.example", "https://app.example"),
            ("https://evil.example", ""),
        ] {
            let answer = client
                .send(Method::GET, "/auth/v1/settings", &[("origin", origin)], "")
                .await;
            assert_eq!(answer.header("access-control-allow-origin"), allowed);
            assert!(answer.header("vary").to_ascii_lowercase().contains("origin"));
        }
    })
    .await;
}

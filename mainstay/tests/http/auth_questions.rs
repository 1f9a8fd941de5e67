//! Questions to sign-in of every kind: good, wrong, unknown, of somebody else, unreadable.

use http::Method;
use serde_json::{Value, json};

use crate::auth::PASSWORD;

const GETS: &[&str] = &[
    "/user",
    "/settings",
    "/health",
    "/reauthenticate",
    "/user/identities/authorize?provider=nobody",
    "/factors/recovery-codes",
    "/admin/users",
    "/admin/users/nonsense",
    "/admin/audit",
    "/authorize?provider=nobody",
    "/verify?type=nothing",
    "/token",
    "/passkeys",
    "/user/oauth/grants",
    "/oauth/authorizations/nonsense",
    "/oauth/userinfo",
    "/admin/oauth/clients",
];

/// All of them, `ann` being the id of the user who is there.
pub fn questions(ann: &str) -> Vec<(Method, String, Value)> {
    let post = |path: &str, body: Value| (Method::POST, path.to_owned(), body);
    let gets = GETS.iter().map(|path| (Method::GET, (*path).to_owned(), Value::Null));
    let of_ann = ["", "/factors", "/passkeys"].map(|what| format!("/admin/users/{ann}{what}"));
    let of_ann = of_ann.into_iter().map(|path| (Method::GET, path, Value::Null));
    let posts = vec![
        post(
            "/token?grant_type=password",
            json!({"email": "ann@example.com", "password": "wrong"}),
        ),
        post(
            "/token?grant_type=password",
            json!({"email": "nobody@example.com", "password": "wrong"}),
        ),
        post("/token?grant_type=password", json!({"email": 1})),
        post(
            "/token?grant_type=password",
            json!({"email": "ann@example.com", "phone": "4799999991", "password": "x"}),
        ),
        post("/token?grant_type=refresh_token", json!({"refresh_token": "unknown"})),
        post(
            "/token?grant_type=pkce",
            json!({"auth_code": "x", "code_verifier": "x".repeat(43)}),
        ),
        post("/token?grant_type=nothing", json!({})),
        post("/token", json!({})),
        post("/signup", json!({"email": "ann@example.com", "password": PASSWORD})),
        post("/signup", json!({"email": "new@example.com", "password": "x"})),
        post("/signup", json!({"email": "nonsense", "password": PASSWORD})),
        post("/signup", json!({})),
        post("/otp", json!({})),
        post(
            "/otp",
            json!({"email": "nobody@example.com", "create_user": false, "channel": "sms"}),
        ),
        post("/recover", json!({})),
        post("/resend", json!({"type": "nothing", "email": "ann@example.com"})),
        post("/verify", json!({"type": "email", "token_hash": "x"})),
        post("/verify", json!({"type": "nothing", "token_hash": "x"})),
        post("/factors", json!({"factor_type": "nothing"})),
        post("/logout?scope=nothing", json!({})),
        post("/invite", json!({"email": "x@example.com"})),
        post("/admin/users", json!({"email": "ann@example.com"})),
        post("/admin/generate_link", json!({"type": "nothing"})),
        post("/oauth/clients/register", json!({"redirect_uris": []})),
        post("/nowhere", json!({})),
        post(
            "/token?grant_type=id_token",
            json!({"provider": "nobody", "id_token": "x"}),
        ),
        post(
            "/token?grant_type=web3",
            json!({"chain": "bitcoin", "message": "x", "signature": "x"}),
        ),
        post(
            "/token?grant_type=web3",
            json!({"chain": "solana", "message": "x", "signature": "x"}),
        ),
        post("/factors", json!({"factor_type": "phone", "phone": "nonsense"})),
        post("/factors/nonsense/challenge", json!({})),
        post("/factors/recovery-codes/verify", json!({"code": "x"})),
        post(
            "/passkeys/registration/verify",
            json!({"challenge_id": "x", "credential": {}}),
        ),
        post("/passkeys/authentication/options", json!({})),
        post(
            "/passkeys/authentication/verify",
            json!({"challenge_id": "x", "credential": {}}),
        ),
        post("/oauth/authorizations/nonsense/consent", json!({"action": "approve"})),
        (
            Method::PATCH,
            "/passkeys/nonsense".into(),
            json!({"friendly_name": "x"}),
        ),
        (Method::DELETE, "/passkeys/nonsense".into(), Value::Null),
        (Method::DELETE, "/user/oauth/grants?client_id=x".into(), Value::Null),
        (Method::PUT, "/user".into(), json!({"email": "nonsense"})),
        (Method::PUT, "/user".into(), json!({"app_metadata": {}})),
        (
            Method::PUT,
            format!("/admin/users/{ann}"),
            json!({"role": "x".repeat(64)}),
        ),
        (
            Method::DELETE,
            "/admin/users/00000000-0000-4000-8000-000000000000".into(),
            json!({}),
        ),
        (Method::DELETE, "/factors/nonsense".into(), Value::Null),
    ];
    posts.into_iter().chain(gets).chain(of_ann).collect()
}

//! A schema `auth` that Supabase Auth has made and filled is used as it is.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use base64::Engine;
use http::{HeaderMap, HeaderValue, Method, header};
use mainstay::config::Config;
use mainstay::engine::{self, Database};
use mainstay_auth::{AuthRoom, From};
use mainstay_core::backend::QueryMode;
use mainstay_core::name::Ident;
use mainstay_http::keys::ApiKeys;
use mainstay_http::signing::{Signer, SigningAlgorithm, SigningKey};
use mainstay_http::{Authenticator, Request, Verifying};
use mainstay_testing::{Project, postgres_url};
use serde_json::{Value, json};

use crate::authenticator::App;

/// The tables as they are there: with an address type, generated columns, checks, and columns that this version does not
/// know; owned by a role of Supabase's, so that nothing is made in the database.
const SCHEMA: &str = include_str!("auth_supabase.sql");
/// bcrypt of `U*U`, cost 5: a published test vector of the algorithm.
const PASSWORD: &str = "U*U";
const USER: &str = "aaaaaaaa-0000-4000-8000-000000000001";
const SESSION: &str = "bbbbbbbb-0000-4000-8000-000000000001";

struct Served {
    room: AuthRoom,
    authenticator: Authenticator,
}

impl Served {
    async fn ask(
        &self,
        method: Method,
        path: &str,
        query: Option<&str>,
        token: Option<&str>,
        body: Value,
    ) -> (u16, Value) {
        let mut headers = HeaderMap::new();
        headers.insert("x-supabase-api-version", HeaderValue::from_static("2024-01-01"));
        headers.insert(header::USER_AGENT, HeaderValue::from_static("a test"));
        if let Some(token) = token {
            headers.insert(header::AUTHORIZATION, format!("Bearer {token}").parse().unwrap());
        }
        let who = self
            .authenticator
            .authenticate(&headers, None, mainstay_testing::token::now());
        let request = Request {
            method,
            path: path.into(),
            query: query.map(str::to_owned),
            headers,
            body: if body.is_null() {
                Default::default()
            } else {
                body.to_string().into()
            },
            authentication: Duration::ZERO,
        };
        let from = From {
            address: IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)),
            is_counted: false,
        };
        let answer = self.room.handle(&who, &request, from).await;
        let body = serde_json::from_slice(&answer.body).unwrap_or(Value::Null);
        (answer.status.as_u16(), body)
    }
}

/// A second factor in its tables: addresses are of another type there, and what only Mainstay knows of is made when it is
/// needed. Returns the raised session's access token.
async fn second_factor(served: &Served, token: &str) -> String {
    let ask = async |method: Method, path: &str, body: Value| {
        let (status, body) = served.ask(method, path, None, Some(token), body).await;
        assert_eq!(status, 200, "{path}: {body}");
        body
    };
    let body = json!({"factor_type": "totp", "friendly_name": "phone"});
    let app = App::of(&ask(Method::POST, "/factors", body).await);
    let challenge = ask(Method::POST, &format!("/factors/{}/challenge", app.id), Value::Null).await;
    let body = json!({"challenge_id": challenge["id"], "code": app.code(0)});
    let raised = ask(Method::POST, &format!("/factors/{}/verify", app.id), body).await;
    raised["access_token"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn its_users_sign_in_and_its_sessions_go_on() {
    if postgres_url().is_none() {
        return;
    }
    let database = mainstay_testing::Database::create().await;
    database.run(SCHEMA).await;
    let project = Project::new();
    let config = Config::load(project.path()).unwrap();
    let backend = engine::open(&Database::Postgres(database.url()), &config)
        .await
        .unwrap();
    let signer = || {
        let key = SigningKey::generate(SigningAlgorithm::Es256, 0).unwrap();
        Signer::of_keys(vec![key])
    };
    let signer = signer();
    let served = Served {
        authenticator: Authenticator {
            foreign: std::sync::Arc::default(),
            verifier: Verifying::new(signer.verifier().unwrap()),
            keys: Some(ApiKeys::generate(0).unwrap()),
            anon_role: Some(Ident::new("anon")),
            role_claim: vec!["role".into()],
            require_key: false,
        },
        room: AuthRoom::new(backend.clone(), config.auth.unwrap(), signer),
    };
    served.room.check().await.unwrap();
    let password = |password: &str| json!({"email": "ann@example.com", "password": password});

    // A session that was begun there goes on here.
    let (status, next) = served
        .ask(
            Method::POST,
            "/token",
            Some("grant_type=refresh_token"),
            None,
            json!({"refresh_token": "abcdefghij12"}),
        )
        .await;
    assert_eq!(status, 200, "{next}");
    let (status, user) = served
        .ask(Method::GET, "/user", None, next["access_token"].as_str(), Value::Null)
        .await;
    assert_eq!(
        (status, &user["id"], &user["user_metadata"]["name"]),
        (200, &json!(USER), &json!("Ann"))
    );
    assert_eq!(user["identities"][0]["email"], "ann@example.com");

    let (status, wrong) = served
        .ask(
            Method::POST,
            "/token",
            Some("grant_type=password"),
            None,
            password("U*V"),
        )
        .await;
    assert_eq!((status, &wrong["code"]), (400, &json!("invalid_credentials")));
    let (status, signed) = served
        .ask(
            Method::POST,
            "/token",
            Some("grant_type=password"),
            None,
            password(PASSWORD),
        )
        .await;
    assert_eq!((status, &signed["user"]["id"]), (200, &json!(USER)), "{signed}");

    let (status, bob) = served
        .ask(
            Method::POST,
            "/signup",
            None,
            None,
            json!({"email": "bob@example.com", "password": "correct horse 7 battery"}),
        )
        .await;
    assert_eq!(
        (status, &bob["user"]["email"]),
        (200, &json!("bob@example.com")),
        "{bob}"
    );
    let (status, _) = served
        .ask(
            Method::POST,
            "/logout",
            Some("scope=others"),
            signed["access_token"].as_str(),
            Value::Null,
        )
        .await;
    assert_eq!(status, 204);
    let token = second_factor(&served, signed["access_token"].as_str().unwrap()).await;
    let claims: Value = serde_json::from_slice(
        &base64::engine::general_purpose::URL_SAFE_NO_PAD
            .decode(token.split('.').nth(1).unwrap())
            .unwrap(),
    )
    .unwrap();
    assert_eq!(claims["aal"], "aal2");
    let left = format!(
        "select (select count(*) from auth.sessions where id = '{SESSION}'), \
         (select string_agg(host(ip) || ' ' || user_agent, ',') from auth.sessions where user_id = '{USER}'), \
         (select encrypted_password like '$argon2id$%' from auth.users where id = '{USER}'), \
         (select count(*) from public.profiles)"
    );
    let left = backend.query(None, &left, QueryMode::ReadOnly).await.unwrap();
    let cells: Vec<&str> = left.rows[0].iter().map(|cell| cell.as_deref().unwrap()).collect();
    assert_eq!(cells, ["0", "192.0.2.1 a test", "t", "1"]);
    backend.close().await;
}

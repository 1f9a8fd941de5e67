//! Sign-in over HTTP: what the tests of its topics share.

use std::sync::atomic::{AtomicU32, Ordering};

use bytes::Bytes;
use http::{Method, StatusCode};
use mainstay_testing::{Answer, Client, Engine, Project, Server, engines, token};
use serde_json::{Value, json};

use crate::both::PROGRAM;

pub const PASSWORD: &str = "correct horse 7 battery";

/// A server for each engine, one after the other.
pub async fn on_each_engine(project: impl Fn() -> Project, test: impl AsyncFn(Engine, Auth)) {
    for engine in engines() {
        test(engine, Auth::start(engine, project()).await).await;
    }
}

/// A server and what asks it.
pub struct Auth {
    pub server: Server,
}

impl Auth {
    pub async fn start(engine: Engine, project: Project) -> Self {
        Auth {
            server: Server::start(PROGRAM, engine, project).await,
        }
    }

    /// A request below `/auth/v1` as the current clients make it.
    pub async fn ask(&self, method: Method, path: &str, token: Option<&str>, body: Value) -> Answer {
        let client = self.client(token);
        send(&client, method, path, body).await
    }

    /// The log with the lines of all that was answered so far: they are written behind the answers, but keep their order,
    /// so those of a last request come after them.
    pub async fn log(&self) -> String {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let path = format!("/end-of-log-{}.", NEXT.fetch_add(1, Ordering::Relaxed));
        self.ask(Method::GET, &path, None, Value::Null).await;
        let log = self.server.log_with(&path).await;
        assert!(log.contains(&path), "{log}");
        log
    }

    pub fn client(&self, token: Option<&str>) -> Client {
        let client = self.server.anonymous().with("x-supabase-api-version", "2024-01-01");
        match token {
            Some(token) => client.bearer(token),
            None => client,
        }
    }

    pub async fn post(&self, path: &str, body: Value) -> Answer {
        self.ask(Method::POST, path, None, body).await
    }

    pub async fn user(&self, token: &str) -> Answer {
        self.ask(Method::GET, "/user", Some(token), Value::Null).await
    }

    pub async fn try_sign_up(&self, email: &str, data: Value) -> Answer {
        self.post("/signup", json!({"email": email, "password": PASSWORD, "data": data}))
            .await
    }

    /// Signs a new user up. The answer is the session.
    pub async fn sign_up(&self, email: &str) -> Session {
        session(&self.try_sign_up(email, json!({"name": "Ann"})).await)
    }

    pub async fn try_sign_in(&self, email: &str, password: &str) -> Answer {
        self.post(
            "/token?grant_type=password",
            json!({"email": email, "password": password}),
        )
        .await
    }

    pub async fn sign_in(&self, email: &str) -> Session {
        session(&self.try_sign_in(email, PASSWORD).await)
    }

    pub async fn refresh(&self, refresh_token: &str) -> Answer {
        self.post(
            "/token?grant_type=refresh_token",
            json!({"refresh_token": refresh_token}),
        )
        .await
    }

    /// Runs a function of the test's migrations with the secret key.
    pub async fn call(&self, function: &str, arguments: Value) -> Value {
        let answer = self
            .server
            .service()
            .write(Method::POST, &format!("rpc/{function}"), &[], &arguments)
            .await;
        assert!(answer.status.is_success(), "{function}: {}", answer.text());
        serde_json::from_slice(&answer.body).unwrap_or(Value::Null)
    }
}

pub async fn send(client: &Client, method: Method, path: &str, body: Value) -> Answer {
    let bytes = match body {
        Value::Null => Bytes::new(),
        body => Bytes::from(body.to_string()),
    };
    let headers = [("content-type", "application/json")];
    client.send(method, &format!("/auth/v1{path}"), &headers, bytes).await
}

/// A session as it was answered.
#[derive(Clone, Debug)]
pub struct Session {
    pub access_token: String,
    pub refresh_token: String,
    pub user: Value,
}

impl Session {
    pub fn id(&self) -> &str {
        self.user["id"].as_str().unwrap()
    }

    pub fn claims(&self) -> Value {
        use base64::Engine;
        let payload = self.access_token.split('.').nth(1).unwrap();
        let bytes = base64::engine::general_purpose::URL_SAFE_NO_PAD
            .decode(payload)
            .unwrap();
        serde_json::from_slice(&bytes).unwrap()
    }
}

/// What `serve` says as it refuses to start on a project.
pub async fn refused_start(project: Project, environment: &[(&str, &str)]) -> String {
    let started = Server::try_start(PROGRAM, Engine::Sqlite, project, environment).await;
    started.err().expect("it started")
}

/// Reads an answer that must be a session.
pub fn session(answer: &Answer) -> Session {
    let session = session_by_any_clock(answer);
    let expires = answer.json()["expires_at"].as_i64().unwrap();
    assert!((token::now() + 3500..=token::now() + 3601).contains(&expires));
    session
}

/// The same of a server whose clock is not the test's.
pub fn session_by_any_clock(answer: &Answer) -> Session {
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
    let body = answer.json();
    assert_eq!(body["token_type"], "bearer");
    assert_eq!(body["expires_in"], 3600);
    Session {
        access_token: body["access_token"].as_str().unwrap().into(),
        refresh_token: body["refresh_token"].as_str().unwrap().into(),
        user: body["user"].clone(),
    }
}

/// Status and published code of a refusal.
pub fn refusal(answer: &Answer) -> (u16, String) {
    (answer.status.as_u16(), answer.code())
}

pub fn refused(status: u16, code: &str) -> (u16, String) {
    (status, code.to_owned())
}

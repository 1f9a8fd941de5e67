//! Sign-up where addresses must be confirmed, asked of the room itself.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, Method};
use mainstay_auth::messages::catcher::Catcher;
use mainstay_auth::{AuthRoom, Config, From};
use mainstay_core::backend::Backend;
use mainstay_core::caller::Caller;
use mainstay_core::plan::Input;
use mainstay_http::signing::{Signer, SigningAlgorithm, SigningKey};
use mainstay_http::{Request, Response};
use serde_json::{Value, json};

use crate::auth::PASSWORD;
use crate::own_statements::on_each_database;

pub async fn post(room: &AuthRoom, path: &str, query: Option<&str>, body: Value) -> Response {
    let mut headers = HeaderMap::new();
    headers.insert("x-supabase-api-version", "2024-01-01".parse().unwrap());
    let request = Request {
        method: Method::POST,
        path: path.into(),
        query: query.map(str::to_owned),
        headers,
        body: body.to_string().into(),
        authentication: Duration::ZERO,
    };
    let from = From {
        address: IpAddr::V4(Ipv4Addr::LOCALHOST),
        is_counted: false,
    };
    // Whoever has no key at all, where none is needed.
    let who = Err(mainstay_http::Error::TokenRequired);
    room.handle(&who, &request, from).await
}

pub fn room_on(backend: &Arc<dyn Backend>, settings: Config) -> AuthRoom {
    let key = SigningKey::generate(SigningAlgorithm::Es256, 0).unwrap();
    AuthRoom::new(backend.clone(), settings, Signer::of_keys(vec![key]))
}

pub fn json_of(response: &Response) -> Value {
    serde_json::from_slice(&response.body).unwrap()
}

fn members(value: &Value) -> Vec<String> {
    value.as_object().unwrap().keys().cloned().collect()
}

#[tokio::test]
async fn a_sign_up_waits_for_confirmation_and_tells_nobody_who_is_there() {
    on_each_database("select 1", async |backend, config| {
        let mut settings = config.auth.unwrap();
        settings.confirmations = true;
        settings.mail.pause = jiff::SignedDuration::ZERO;
        let room = room_on(&backend, settings).with_mail(Arc::<Catcher>::default());
        let sign_up = async |email: &str| {
            let body = json!({"email": email, "password": PASSWORD, "data": {"name": "Ann", "z": {"bb": 1, "a": [{"yy": 1, "x": 2}]}}});
            post(&room, "/signup", None, body).await
        };
        let first = sign_up("ann@example.com").await;
        assert_eq!(first.status, 200);
        let ann = json_of(&first);
        // The user itself, no session.
        assert_eq!(ann["email"], "ann@example.com");
        for absent in [
            "access_token",
            "refresh_token",
            "user",
            "email_confirmed_at",
            "confirmed_at",
            "last_sign_in_at",
        ] {
            assert!(ann.get(absent).is_none(), "{absent}");
        }
        assert_eq!(ann["identities"][0]["provider"], "email");

        let sign_in = async |password: &str| {
            let body = json!({"email": "ann@example.com", "password": password});
            let answer = post(&room, "/token", Some("grant_type=password"), body).await;
            (
                answer.status.as_u16(),
                json_of(&answer)["code"].as_str().unwrap().to_owned(),
            )
        };
        assert_eq!(sign_in(PASSWORD).await, (400, "email_not_confirmed".into()));
        assert_eq!(sign_in("wrong").await, (400, "invalid_credentials".into()));
        // Nobody has proved the address: the last sign-up counts, and looks like the first.
        let again = json_of(&sign_up("Ann@example.com").await);
        assert_eq!(members(&again), members(&ann));
        assert_eq!(again["user_metadata"], ann["user_metadata"]);
        let confirm = backend.own("UPDATE auth.users SET email_confirmed_at = now()").unwrap();
        backend
            .run(&Caller::system(), &confirm, Input::default())
            .await
            .unwrap();

        // Somebody who signs up with an address that is confirmed gets a user who is nobody: the same members, another id, no identity.
        let again = json_of(&sign_up("Ann@example.com").await);
        assert_eq!(members(&again), members(&ann));
        assert_ne!(again["id"], ann["id"]);
        assert_eq!(again["identities"], json!([]));
        for same in ["aud", "role", "email", "phone", "app_metadata", "is_anonymous"] {
            assert_eq!(again[same], ann[same], "{same}");
        }
        // To the letter, but for the id.
        let told = |user: &Value| user["user_metadata"].to_string().replace(user["id"].as_str().unwrap(), "id");
        assert_eq!(told(&again), told(&ann));

        let count = backend.own("SELECT (SELECT count(*) FROM auth.users u), (SELECT count(*) FROM auth.sessions s)");
        let counted = backend
            .run(&Caller::system(), &count.unwrap(), Input::default())
            .await
            .unwrap();
        assert_eq!(counted.cells, [[Some("1".to_owned()), Some("0".to_owned())]]);
    })
    .await;
}

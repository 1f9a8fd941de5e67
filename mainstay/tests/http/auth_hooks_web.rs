//! Hooks by HTTP: signed as Standard Webhooks has it, and closed when the hook is away.

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use mainstay_testing::{Engine, Project};
use serde_json::{Value, json};

use crate::auth::{Auth, PASSWORD, refusal, refused, session};
use crate::listener::{Heard, Listener};

pub const SECRET: &str = "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const OLD_SECRET: &str = "C2FVsBQIhrscChlQIMV+b5sSYspob7oD";
const JSON: &str = "application/json";

/// Decides by what it is asked: an address, or a claim.
fn answer(heard: &Heard) -> (u16, &'static str, String) {
    let event: Value = serde_json::from_str(&heard.body).unwrap();
    let name = event["metadata"]["name"].as_str().unwrap();
    let email = match name {
        "before-user-created" => event["user"]["email"].as_str().unwrap(),
        _ => event["claims"]["email"].as_str().unwrap(),
    };
    let who = email.split('@').next().unwrap();
    let body = match (name, who) {
        (_, "refused") => json!({"error": {"http_code": 403, "message": "Not you."}}),
        ("before-user-created", "nothing") => return (204, JSON, String::new()),
        ("before-user-created", "html") => return (200, "text/html", "<p>".into()),
        ("before-user-created", "unauthorized") => return (401, JSON, "{}".into()),
        ("before-user-created", "teapot") => return (418, JSON, "{}".into()),
        ("before-user-created", "busy") => return (503, JSON, "{}".into()),
        ("before-user-created", "moved") => return (302, JSON, "{}".into()),
        ("before-user-created", "long") => json!({"x": "x".repeat(300_000)}),
        ("before-user-created", "gone") => return (0, JSON, String::new()),
        ("before-user-created", _) => json!({}),
        (_, "late") => json!({"error": {"http_code": 402, "message": "Pay first."}}),
        _ => {
            let mut claims = event["claims"].clone();
            claims["plan"] = json!("gold");
            json!({ "claims": claims })
        }
    };
    (200, "application/json; charset=utf-8", body.to_string())
}

/// One of the header's signatures is of the secret.
pub fn is_signed(heard: &Heard, secret: &str) -> bool {
    let key = hmac::Key::new(hmac::HMAC_SHA256, &STANDARD.decode(secret).unwrap());
    let text = format!(
        "{}.{}.{}",
        heard.headers["webhook-id"], heard.headers["webhook-timestamp"], heard.body
    );
    heard.headers["webhook-signature"].split(' ').any(|signature| {
        let tag = STANDARD.decode(signature.strip_prefix("v1,").unwrap()).unwrap();
        hmac::verify(&key, text.as_bytes(), &tag).is_ok()
    })
}

fn project(url: &str, allow: &str) -> Project {
    let hook = |name: &str| {
        format!(
            "[auth.hook.{name}]\nenabled = true\nuri = \"{url}/hook\"\nsecrets = \"v1,whsec_{SECRET}|v1,whsec_{OLD_SECRET}\"\n"
        )
    };
    Project::new().config(&format!(
        "{}{}[mainstay.outgoing]\nallow = [{allow}]",
        hook("before_user_created"),
        hook("custom_access_token")
    ))
}

#[tokio::test]
async fn a_hook_by_http_is_signed_and_has_its_say() {
    let hook = Listener::start(answer).await;
    let auth = Auth::start(Engine::Sqlite, project(&hook.url, "\"127.0.0.1\"")).await;
    for (who, status, code, message) in [
        ("refused", 403, "unknown", "Not you."),
        ("html", 400, "hook_payload_invalid_content_type", "application/json"),
        (
            "unauthorized",
            500,
            "unexpected_failure",
            "Hook requires authorization token",
        ),
        (
            "teapot",
            500,
            "unexpected_failure",
            "Unexpected status code returned from hook: 418",
        ),
        (
            "moved",
            500,
            "unexpected_failure",
            "Unexpected status code returned from hook: 302",
        ),
        (
            "busy",
            500,
            "unexpected_failure",
            "Service currently unavailable due to hook",
        ),
        ("long", 422, "hook_payload_over_size_limit", "204800"),
        ("gone", 422, "hook_timeout_after_retry", "maximum retries"),
    ] {
        let email = format!("{who}@example.com");
        let answer = auth.try_sign_up(&email, json!({})).await;
        assert_eq!(refusal(&answer), refused(status, code), "{who}: {}", answer.text());
        assert!(answer.text().contains(message), "{who}: {}", answer.text());
        assert_eq!(auth.try_sign_in(&email, PASSWORD).await.code(), "invalid_credentials");
    }
    let gone: Vec<Heard> = hook
        .heard()
        .into_iter()
        .filter(|heard| heard.body.contains("gone@"))
        .collect();
    assert_eq!(gone.len(), 3);
    // It is one message, however often it is sent.
    assert!(
        gone.iter()
            .all(|heard| heard.headers["webhook-id"] == gone[0].headers["webhook-id"])
    );

    let ann = session(&auth.try_sign_up("nothing@example.com", json!({})).await);
    assert_eq!(ann.claims()["plan"], "gold");
    assert_eq!(auth.user(&ann.access_token).await.status, 200);
    let next = session(&auth.refresh(&ann.refresh_token).await);
    assert_eq!(next.claims()["plan"], "gold");
    let last = hook.heard().pop().unwrap();
    assert_eq!(last.line, "POST /hook");
    assert!(last.body.contains("\"authentication_method\":\"token_refresh\""));
    for heard in hook.heard() {
        assert!(is_signed(&heard, SECRET) && is_signed(&heard, OLD_SECRET));
        assert!(!is_signed(&heard, "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"));
        assert!(!heard.body.contains(PASSWORD));
    }
    // The user is made, but no session is left that nobody was told of.
    let late = auth.try_sign_up("late@example.com", json!({})).await;
    assert_eq!(refusal(&late), refused(402, "unknown"));
    assert_eq!(auth.try_sign_in("late@example.com", PASSWORD).await.code(), "unknown");
    let log = auth.log().await;
    assert!(!log.contains(SECRET) && !log.contains(PASSWORD), "{log}");
}

#[tokio::test]
async fn a_hook_in_a_network_that_is_not_allowed_is_not_asked() {
    let hook = Listener::start(answer).await;
    let auth = Auth::start(Engine::Sqlite, project(&hook.url, "")).await;
    let answer = auth.try_sign_up("ann@example.com", json!({})).await;
    assert_eq!(refusal(&answer), refused(422, "hook_timeout_after_retry"));
    assert!(hook.heard().is_empty());
}

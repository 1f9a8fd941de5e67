//! Captchas and leaked passwords: the services that are asked are the test's own.

use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};

use http::Method;
use mainstay_testing::{Engine, Project, token};
use serde_json::json;

use crate::auth::{Auth, PASSWORD, on_each_engine, refusal, refused, send, session};
use crate::listener::{Heard, Listener};

const JSON: &str = "application/json";

/// Good for the token `person`, out of order for `down` and `bent`.
fn captcha(heard: &Heard) -> (u16, &'static str, String) {
    match heard.body.split('&').find_map(|pair| pair.strip_prefix("response=")) {
        Some("person") => (200, JSON, json!({"success": true}).to_string()),
        Some("down") => (500, "text/plain", "out of order".into()),
        Some("bent") => (200, JSON, json!({"ok": "yes"}).to_string()),
        _ => {
            let codes = ["invalid-input-response", "<script>", "timeout-or-duplicate"];
            (200, JSON, json!({"success": false, "error-codes": codes}).to_string())
        }
    }
}

#[tokio::test]
async fn a_captcha_stands_before_what_machines_would_do() {
    let service = Listener::start(captcha).await;
    let project = || {
        Project::new().config(&format!(
            "[auth.captcha]\nenabled = true\nprovider = \"turnstile\"\nsecret = \"captcha-secret-7\"\n\
             [mainstay.captcha]\nurl = \"{}/siteverify\"\n[mainstay.outgoing]\nallow = [\"127.0.0.1\"]",
            service.url
        ))
    };
    on_each_engine(project, async |_, auth: Auth| {
        let with = |captcha: &str, email: &str| {
            json!({"email": email, "password": PASSWORD, "gotrue_meta_security": {"captcha_token": captcha}})
        };
        let before = service.heard().len();
        for path in ["/signup", "/token?grant_type=password"] {
            for (body, status, code, message) in [
                (json!({"email": "ann@example.com", "password": PASSWORD}), 400, "captcha_failed", "(no captcha_token found)"),
                (with(" ", "ann@example.com"), 400, "captcha_failed", "(no captcha_token found)"),
                (
                    with("machine", "ann@example.com"),
                    400,
                    "captcha_failed",
                    "captcha protection: request disallowed (invalid-input-response, timeout-or-duplicate)",
                ),
                (with("down", "ann@example.com"), 500, "unexpected_failure", "captcha verification process failed"),
                (with("bent", "ann@example.com"), 400, "captcha_failed", "()"),
            ] {
                let answer = auth.post(path, body.clone()).await;
                assert_eq!(refusal(&answer), refused(status, code), "{path} {body}");
                assert!(answer.text().contains(message), "{}", answer.text());
            }
        }
        assert_eq!(service.heard().len() - before, 6);
        for path in ["/signup", "/otp", "/token?grant_type=password", "/resend"] {
            let body = json!({"phone": "4799999991", "password": PASSWORD, "type": "sms"});
            assert_eq!(refusal(&auth.post(path, body).await), refused(400, "captcha_failed"), "{path}");
        }
        assert_eq!(auth.post("/token?grant_type=password", with("person", "ann@example.com")).await.code(), "invalid_credentials");
        let ann = session(&auth.post("/signup", with("person", "ann@example.com")).await);
        session(&auth.post("/token?grant_type=password", with("person", "ann@example.com")).await);
        let heard = service.heard().pop().unwrap();
        assert_eq!(heard.line, "POST /siteverify");
        assert_eq!(heard.body, "secret=captcha-secret-7&response=person&remoteip=127.0.0.1");
        // What stands on something proved, and who has the secret key, is not asked.
        let asked = service.heard().len();
        session(&auth.refresh(&ann.refresh_token).await);
        let admin = auth.client(Some(&token::role("service_role")));
        let body = json!({"email": "bob@example.com", "password": PASSWORD});
        session(&send(&admin, Method::POST, "/signup", body).await);
        assert_eq!(service.heard().len(), asked);
        assert!(!auth.log().await.contains("captcha-secret-7"));
    })
    .await;
}

#[tokio::test]
async fn leaked_passwords_are_asked_for_by_five_digits_and_not_taken() {
    let status = Arc::new(AtomicU16::new(200));
    let answering = status.clone();
    let service = Listener::start(move |heard| {
        let mut body = String::from("0018A45C4D1DEF81644B54AB7F969B88D65:0\r\n");
        if heard.line.ends_with(&LEAKED[..5]) {
            body.push_str(&format!("{}:7\r\n", &LEAKED[5..]));
        }
        (answering.load(Ordering::SeqCst), "text/plain", body)
    })
    .await;
    let project = |closed: bool| {
        Project::new().config(&format!(
            "[mainstay.passwords]\nhibp = true\nrefuse_common = true\nhibp_url = \"{}/range\"\nhibp_fail_closed = {closed}\n\
             [mainstay.outgoing]\nallow = [\"127.0.0.1\"]",
            service.url
        ))
    };
    let sign_up = async |auth: &Auth, email: &str, password: &str| {
        auth.post("/signup", json!({"email": email, "password": password}))
            .await
    };
    let auth = Auth::start(Engine::Sqlite, project(false)).await;
    for (password, reasons) in [
        ("leaked horse 1 battery", json!(["pwned"])),
        ("PASSWORD", json!(["pwned"])),
        ("1234567890", json!(["pwned"])),
        ("12345", json!(["length"])),
    ] {
        let answer = sign_up(&auth, "ann@example.com", password).await;
        assert_eq!(refusal(&answer), refused(422, "weak_password"), "{password}");
        assert_eq!(answer.json()["weak_password"]["reasons"], reasons);
    }
    let ann = session(&sign_up(&auth, "ann@example.com", PASSWORD).await);
    for heard in service.heard() {
        let digits = heard.line.strip_prefix("GET /range/").unwrap();
        assert_eq!(digits.len(), 5);
        assert_eq!(heard.headers["add-padding"], "true");
    }
    let change = async |auth: &Auth| {
        let body = json!({"password": "leaked horse 1 battery"});
        auth.ask(Method::PUT, "/user", Some(&ann.access_token), body).await
    };
    assert_eq!(refusal(&change(&auth).await), refused(422, "weak_password"));
    // A service that does not answer keeps nobody out, unless it is meant to.
    status.store(500, Ordering::SeqCst);
    session(&sign_up(&auth, "bob@example.com", "leaked horse 1 battery").await);
    let log = auth.server.log_with("could not be asked").await;
    assert!(
        log.contains("could not be asked") && !log.contains("leaked horse"),
        "{log}"
    );
    let strict = Auth::start(Engine::Sqlite, project(true)).await;
    let answer = sign_up(&strict, "bob@example.com", "leaked horse 1 battery").await;
    assert_eq!(refusal(&answer), refused(500, "unexpected_failure"));
    status.store(200, Ordering::SeqCst);
    session(&sign_up(&strict, "bob@example.com", PASSWORD).await);
}

/// `printf 'leaked horse 1 battery' | sha1sum`.
const LEAKED: &str = "330336E84D91E7B8B939C292EB4B50503252CF0B";

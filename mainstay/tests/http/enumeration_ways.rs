//! Security suite `timing_enumeration`, continued: ready pages, passkeys and applications tell nothing of who is there.

use mainstay_testing::{Answer, Project};
use serde_json::{Value, json};

use crate::auth::{Auth, PASSWORD, on_each_engine};
use crate::auth_mail::{CLOCK, CONFIRMATIONS, SETTINGS, on_each_engine_in_dev};
use crate::auth_passkeys;
use crate::oauth_provider::encoded;
use crate::page_browser::Browser;
use crate::security_key::{SecurityKey, with_client_data};
use crate::timing_enumeration::hashes;

/// A page without what is its browser's own, or the address that was sent.
fn seen(browser: &Browser<'_>, answer: &Answer, email: &str) -> (u16, String) {
    let text = answer.text().replace(email, "the address");
    let token = match text.contains("name=\"form_token\"") {
        true => browser.form_token(),
        false => String::new(),
    };
    let text = match token.is_empty() {
        true => text,
        false => text.replace(&token, "the token"),
    };
    (answer.status.as_u16(), text)
}

#[tokio::test]
async fn no_page_tells_whether_an_address_has_an_account() {
    let project = || Project::of(CLOCK).config(&format!("{SETTINGS}{CONFIRMATIONS}"));
    on_each_engine_in_dev(project, async |engine, auth: Auth| {
        let make = async |email: &str, confirmed: bool| {
            let body = json!({"email": email, "password": PASSWORD, "email_confirm": confirmed});
            let made = auth.admin(http::Method::POST, "/admin/users", body).await;
            assert_eq!(made.status, 200, "{}", made.text());
            made.json()["id"].as_str().unwrap().to_owned()
        };
        make("known@example.com", true).await;
        make("waiting@example.com", false).await;
        let banned = make("banned@example.com", true).await;
        let path = format!("/admin/users/{banned}");
        auth.admin(http::Method::PUT, &path, json!({"ban_duration": "1h"}))
            .await;
        for (page, fields, costs) in [
            ("sign-in", vec![("password", "a wrong horse")], 1),
            ("sign-in?by=mail", vec![("action", "link")], 0),
            ("sign-in", vec![("action", "resend")], 0),
            ("sign-up", vec![("name", "N"), ("password", "another horse 8")], 1),
            ("reset", vec![], 0),
        ] {
            let mut first: Option<(u16, String)> = None;
            for email in [
                "nobody@example.com",
                "known@example.com",
                "banned@example.com",
                "waiting@example.com",
            ] {
                let mut browser = Browser::new(&auth);
                browser.open(page).await;
                let mut all = vec![("email", email)];
                all.extend(fields.iter().copied());
                let before = hashes(&auth).await;
                let answer = browser.submit(page, &all).await;
                assert_eq!(hashes(&auth).await - before, costs, "{engine:?} {page} {email}");
                let seen = seen(&browser, &answer, email);
                match &first {
                    None => first = Some(seen),
                    Some(first) => assert_eq!(*first, seen, "{engine:?} {page} {fields:?} {email}"),
                }
            }
        }
    })
    .await;
}

#[tokio::test]
async fn no_answer_to_a_passkey_tells_whether_it_is_anybodys() {
    on_each_engine(auth_passkeys::project, async |engine, auth: Auth| {
        let ann = auth.sign_up("ann@example.com").await;
        let mut known = SecurityKey::new();
        auth.add_passkey(&ann, &mut known).await;
        // Of somebody who was here, and of somebody who is banned.
        let bob = auth.sign_up("bob@example.com").await;
        let mut gone = SecurityKey::new();
        auth.add_passkey(&bob, &mut gone).await;
        let path = format!("/admin/users/{}", bob.id());
        auth.admin(http::Method::DELETE, &path, json!({})).await;
        let eve = auth.sign_up("eve@example.com").await;
        let mut banned = SecurityKey::new();
        auth.add_passkey(&eve, &mut banned).await;
        let path = format!("/admin/users/{}", eve.id());
        auth.admin(http::Method::PUT, &path, json!({"ban_duration": "1h"}))
            .await;
        let mut told = Vec::new();
        for (key, is_bent) in [(&mut gone, false), (&mut known, true), (&mut banned, true)] {
            let asked = auth.ask_to_sign_in().await;
            let mut signed = key.sign(&asked["options"]).await;
            if is_bent {
                signed = with_client_data(&signed, "type", json!("webauthn.create"));
            }
            let answer = auth.answer_passkey(&asked["challenge_id"], &signed).await;
            told.push(answer.comparable());
        }
        assert_eq!(told[0].0, 400, "{told:?}");
        assert!(told.iter().all(|answer| *answer == told[0]), "{engine:?}: {told:?}");
        // What is asked of everybody names nobody.
        let asked = auth.ask_to_sign_in().await;
        assert_eq!(asked["options"]["allowCredentials"], json!([]));
        for name in ["email", "user", "user_id"] {
            let named = auth
                .post("/passkeys/authentication/options", json!({name: "ann@example.com"}))
                .await;
            assert!(!named.text().contains("ann"), "{}", named.text());
            assert_eq!(named.json()["options"]["allowCredentials"], json!([]), "{name}");
        }
    })
    .await;
}

#[tokio::test]
async fn no_refusal_tells_whether_there_is_an_application() {
    let project = || {
        Project::new().config(
            "[auth.oauth_server]\nenabled = true\nallow_dynamic_registration = true\nauthorization_url_path = \"/consent\"\n",
        )
    };
    on_each_engine(project, async |engine, auth: Auth| {
        let made = async |more: Value| {
            let mut body = json!({"redirect_uris": ["https://app.example/"]});
            for (name, value) in more.as_object().unwrap() {
                body[name] = value.clone();
            }
            let made = auth.post("/oauth/clients/register", body).await.json();
            made["client_id"].as_str().unwrap().to_owned()
        };
        let kept = made(json!({"token_endpoint_auth_method": "client_secret_post"})).await;
        let deleted = made(json!({"token_endpoint_auth_method": "client_secret_post"})).await;
        auth.admin(
            http::Method::DELETE,
            &format!("/admin/oauth/clients/{deleted}"),
            Value::Null,
        )
        .await;
        let unknown = "00000000-0000-4000-8000-000000000000";
        for path in ["/oauth/token", "/oauth/introspect", "/oauth/revoke"] {
            let mut told = Vec::new();
            for id in [unknown, "nonsense", &kept, &deleted] {
                let fields = [
                    ("grant_type", "authorization_code"),
                    ("code", "x"),
                    ("token", "x"),
                    ("code_verifier", "x"),
                    ("redirect_uri", "https://app.example/"),
                    ("client_id", id),
                    ("client_secret", "a wrong secret"),
                ];
                let fields = fields.map(|(name, value)| (name.to_owned(), value.to_owned()));
                let headers = [("content-type", "application/x-www-form-urlencoded")];
                let client = auth.server.anonymous();
                let answer = client
                    .send(
                        http::Method::POST,
                        &format!("/auth/v1{path}"),
                        &headers,
                        encoded(&fields),
                    )
                    .await;
                assert!(answer.status.is_client_error(), "{path} {id}: {}", answer.text());
                told.push(answer.comparable());
            }
            assert!(
                told.iter().all(|answer| *answer == told[0]),
                "{engine:?} {path}: {told:?}"
            );
        }
        // The same of an administrator's: nobody else's question is answered.
        let ann = auth.sign_up("ann@example.com").await;
        let mut told = Vec::new();
        for id in [unknown, &kept] {
            let path = format!("/user/oauth/grants?client_id={id}");
            let answer = auth.as_user(&ann, http::Method::DELETE, &path, Value::Null).await;
            told.push(answer.comparable());
        }
        assert_eq!(told[0], told[1], "{engine:?}");
    })
    .await;
}

//! Security suite `order_of_checks` over sign-in: who asks is settled before what they ask for is looked at. For every
//! route of the table, every caller who may not ask gets one answer, whatever the path's ids and the body are, and nothing
//! has happened.

use bytes::Bytes;
use http::Method;
use mainstay::config::BODY_BYTES_MAX;
use mainstay_auth::Access;
use mainstay_testing::{Client, Project, token};
use serde_json::{Value, json};

use crate::auth::{Auth, PASSWORD, Session, on_each_engine, session};
use crate::auth_passkeys::SETTINGS;
use crate::oauth_provider::encoded;
use crate::page_browser::{Browser, sent_to};
use crate::security_key::SecurityKey;

const MISSING: &str = "00000000-0000-4000-8000-000000000000";

/// How many rows of everything that sign-in writes.
const LOOK: &str = "
    create function public.written() returns jsonb language sql security definer set search_path = '' as $$
        select jsonb_build_object('users', (select count(*) from auth.users),
            'identities', (select count(*) from auth.identities), 'sessions', (select count(*) from auth.sessions),
            'refresh', (select count(*) from auth.refresh_tokens), 'factors', (select count(*) from auth.mfa_factors),
            'challenges', (select count(*) from auth.mfa_challenges), 'log', (select count(*) from auth.audit_log_entries),
            'tokens', (select count(*) from auth.one_time_tokens), 'flows', (select count(*) from auth.flow_state),
            'states', (select count(*) from auth.oauth_client_states), 'clients', (select count(*) from auth.oauth_clients),
            'questions', (select count(*) from auth.oauth_authorizations),
            'consents', (select count(*) from auth.oauth_consents), 'messages', (select count(*) from _mainstay.messages),
            'failures', (select count(*) from _mainstay.second_factors),
            'passkeys', (select count(*) from auth.webauthn_credentials),
            'asked', (select count(*) from auth.webauthn_challenges),
            'users_at', (select max(u.updated_at)::text from auth.users u),
            'sessions_at', (select max(s.updated_at)::text from auth.sessions s))
    $$;
    grant execute on function public.written to service_role;";

fn project() -> Project {
    Project::of(LOOK).config(SETTINGS).config(
        "[auth]\nenable_manual_linking = true\n[auth.oauth_server]\nenabled = true\nallow_dynamic_registration = true\nauthorization_url_path = \"/consent\"\n",
    )
}

/// What may stand in a path's places for ids: what is there, what is not, and what is no id.
fn paths(pattern: &str, there: &str) -> Vec<String> {
    let with = |id: &str| pattern.replace("{id}", id);
    match pattern.contains("{id}") {
        true => [there, MISSING, "nonsense", "%00", "..%2f..", "'"].map(with).into(),
        false => vec![pattern.to_owned()],
    }
}

/// Bodies from good to none at all.
fn bodies() -> Vec<Bytes> {
    let good = json!({"email": "ann@example.com", "password": PASSWORD, "factor_type": "totp", "code": "123456",
        "challenge_id": MISSING, "action": "approve", "redirect_uris": ["https://app.example/"], "type": "magiclink",
        "data": {}, "ban_duration": "24h", "friendly_name": "x", "users": [{"email": "x@example.com"}]});
    vec![
        Bytes::from(good.to_string()),
        Bytes::from_static(b""),
        Bytes::from_static(b"{"),
        Bytes::from_static(b"[]"),
        Bytes::from_static(b"\xff\xfe"),
        Bytes::from_static(b"{\"email\":1,\"users\":{}}"),
    ]
}

/// Who may not ask a route of the access, by name.
fn strangers(auth: &Auth, ann: &Session, access: Access) -> Vec<(&'static str, Client)> {
    let ended = json!({"role": "authenticated", "sub": ann.id(), "aud": "authenticated", "exp": 1});
    let of_nobody = json!({"role": "authenticated", "sub": MISSING, "exp": token::now() + 600});
    let elsewhere = json!({"role": "authenticated", "sub": ann.id(), "session_id": MISSING, "exp": token::now() + 600});
    let no_id = json!({"role": "authenticated", "sub": "nobody", "exp": token::now() + 600});
    let with = |claims: &Value| auth.client(Some(&token::sign(claims)));
    let mut all = vec![
        ("nobody", auth.client(None)),
        ("broken", auth.client(Some("broken"))),
        ("ended", with(&ended)),
        ("forged", auth.client(Some(&format!("{}x", ann.access_token)))),
    ];
    let without_session = [
        ("anon", auth.client(Some(&token::role("anon")))),
        ("of nobody", with(&of_nobody)),
        ("of another session", with(&elsewhere)),
        ("without an id", with(&no_id)),
    ];
    match access {
        Access::Open | Access::Key => all.clear(),
        Access::User => all.extend(without_session),
        Access::Admin => {
            all.extend(without_session);
            all.push(("ann", auth.client(Some(&ann.access_token))));
            let mut authenticated = json!({"role": "authenticator", "exp": token::now() + 600});
            all.push(("the connection's role", with(&authenticated)));
            authenticated["role"] = json!("postgres");
            all.push(("a superuser's role", with(&authenticated)));
        }
    }
    all
}

#[tokio::test]
async fn who_may_not_ask_gets_one_answer_whatever_they_ask() {
    on_each_engine(project, async |engine, auth: Auth| {
        let ann = auth.sign_up("ann@example.com").await;
        let app = auth.enroll(&ann, "phone").await;
        let before = auth.call("written", json!({})).await;
        let mut asked = 0;
        for (method, pattern, access) in mainstay_auth::table() {
            let there = if pattern.starts_with("/factors") {
                &app.id
            } else {
                ann.id()
            };
            for (name, client) in strangers(&auth, &ann, access) {
                let mut first = None;
                for path in paths(pattern, there) {
                    for body in bodies() {
                        let headers = [("content-type", "application/json")];
                        let path = format!("/auth/v1{path}");
                        let answer = client.send(method.clone(), &path, &headers, body.clone()).await;
                        asked += 1;
                        assert!(
                            matches!(answer.status.as_u16(), 401 | 403),
                            "{engine:?} {name} {method} {path}: {} {}",
                            answer.status,
                            answer.text()
                        );
                        let answer = answer.comparable();
                        match &first {
                            None => first = Some(answer),
                            Some(first) => assert_eq!(*first, answer, "{engine:?} {name} {method} {path} {body:?}"),
                        }
                    }
                }
            }
        }
        assert!(asked > 5_000, "{asked}");
        assert_eq!(auth.call("written", json!({})).await, before);
        assert_eq!(auth.user(&ann.access_token).await.status, 200);
    })
    .await;
}

#[tokio::test]
async fn a_body_that_nobody_may_send_is_not_waited_for() {
    on_each_engine(project, async |_, auth: Auth| {
        let ann = auth.sign_up("ann@example.com").await;
        let mut asked = 0;
        for (method, pattern, access) in mainstay_auth::table() {
            for (name, client) in strangers(&auth, &ann, access) {
                // Whose token is a user's, for all that one sees without the database, may be one.
                let is_passed_on = access == Access::User && !matches!(name, "nobody" | "broken" | "ended" | "forged");
                if method == Method::GET || is_passed_on {
                    continue;
                }
                let path = format!("/auth/v1{}", pattern.replace("{id}", MISSING));
                let answer = client
                    .send_head(method.clone(), &path, &[], BODY_BYTES_MAX as u64 + 1)
                    .await;
                asked += 1;
                assert!(
                    matches!(answer.status.as_u16(), 401 | 403),
                    "{name} {method} {path}: {} {}",
                    answer.status,
                    answer.text()
                );
            }
        }
        assert!(asked > 100, "{asked}");
    })
    .await;
}

#[tokio::test]
async fn what_is_another_users_answers_as_if_it_were_not_there() {
    on_each_engine(project, async |engine, auth: Auth| {
        let ann = auth.sign_up("ann@example.com").await;
        let bob = auth.sign_up("bob@example.com").await;
        let factor = auth.enroll(&bob, "phone").await;
        let passkey = auth.add_passkey(&bob, &mut SecurityKey::new()).await;
        let passkey = passkey["id"].as_str().unwrap().to_owned();
        let identity = bob.user["identities"][0]["identity_id"].as_str().unwrap().to_owned();
        let client = auth
            .post("/oauth/clients/register", json!({"redirect_uris": ["https://app.example/"], "token_endpoint_auth_method": "none"}))
            .await
            .json();
        let challenge = crate::oauth::CHALLENGE;
        let question = auth
            .ask(
                Method::GET,
                &format!(
                    "/oauth/authorize?client_id={}&redirect_uri=https%3A%2F%2Fapp.example%2F&scope=email&response_type=code\
                     &code_challenge={challenge}&code_challenge_method=S256",
                    client["client_id"].as_str().unwrap()
                ),
                None,
                Value::Null,
            )
            .await;
        let question = crate::oauth_provider::query(question.header("location"))["authorization_id"].clone();
        // Bob looks at it first: it is his from now on.
        let seen = auth
            .as_user(&bob, Method::GET, &format!("/oauth/authorizations/{question}"), Value::Null)
            .await;
        assert_eq!(seen.status, 200, "{}", seen.text());
        let before = auth.call("written", json!({})).await;
        let mut compared = 0;
        for (method, pattern, access) in mainstay_auth::table() {
            if access != Access::User || !pattern.contains("{id}") {
                continue;
            }
            let (theirs, missing) = match pattern {
                pattern if pattern.starts_with("/factors") => (factor.id.clone(), MISSING.to_owned()),
                pattern if pattern.starts_with("/passkeys") => (passkey.clone(), MISSING.to_owned()),
                pattern if pattern.starts_with("/user/identities") => (identity.clone(), MISSING.to_owned()),
                pattern if pattern.starts_with("/oauth/authorizations") => (question.clone(), "A".repeat(question.len())),
                _ => (bob.id().to_owned(), MISSING.to_owned()),
            };
            for body in bodies() {
                let mut answers = Vec::new();
                for id in [&theirs, &missing] {
                    let path = format!("/auth/v1{}", pattern.replace("{id}", id));
                    let client = auth.client(Some(&ann.access_token));
                    let answer = client.send(method.clone(), &path, &[], body.clone()).await;
                    assert!(answer.status.is_client_error(), "{method} {path}: {}", answer.text());
                    answers.push(answer.comparable());
                }
                assert_eq!(answers[0], answers[1], "{engine:?} {method} {pattern} {body:?}");
                compared += 1;
            }
        }
        assert!(compared > 20, "{compared}");
        assert_eq!(auth.call("written", json!({})).await, before);
        // And bob's are as they were.
        session(&auth.verify(&bob, &factor, &factor.code(0)).await);
    })
    .await;
}

/// The ready pages, and what their buttons ask for.
const PAGES: [&str; 7] = ["sign-in", "sign-up", "reset", "reset/new", "mfa", "consent", "account"];
const BUTTONS: [&str; 10] = [
    "password",
    "link",
    "email",
    "name",
    "codes",
    "add-factor",
    "end-others",
    "sign-out-everywhere",
    "continue",
    "approve",
];

#[tokio::test]
async fn a_page_does_nothing_that_its_own_browser_has_not_sent() {
    let with_pages = || project().config("[mainstay.pages]\nenabled = true\n");
    on_each_engine(with_pages, async |engine, auth: Auth| {
        auth.sign_up("ann@example.com").await;
        let mut own = Browser::new(&auth);
        let signed = own.sign_in("?next=account", "ann@example.com", PASSWORD).await;
        assert_eq!(signed.status, 303, "{}", signed.text());
        assert_eq!(own.open("account").await.status, 200);
        let (cookie, token) = (own.cookie.clone().unwrap(), own.form_token());
        let strange = "A".repeat(cookie.len());
        let before = auth.call("written", json!({})).await;
        for (cookie, headers, token) in [
            (None, ("sec-fetch-site", "same-origin"), token.as_str()),
            (Some(&strange), ("sec-fetch-site", "same-origin"), &token),
            (Some(&cookie), ("sec-fetch-site", "same-origin"), ""),
            (Some(&cookie), ("sec-fetch-site", "same-origin"), &strange),
            (Some(&cookie), ("sec-fetch-site", "cross-site"), &token),
            (Some(&cookie), ("sec-fetch-site", "same-site"), &token),
            (Some(&cookie), ("sec-fetch-site", "none"), &token),
            (Some(&cookie), ("origin", "https://evil.example"), &token),
        ] {
            for page in PAGES {
                for button in BUTTONS {
                    let fields = [
                        ("form_token", token),
                        ("action", button),
                        ("email", "ann@example.com"),
                        ("password", "another horse 8 battery"),
                        ("name", "Eve"),
                        ("code", "000000"),
                    ];
                    let fields = fields.map(|(name, value)| (name.to_owned(), value.to_owned()));
                    let mut browser = Browser::new(&auth);
                    browser.cookie = cookie.cloned();
                    let answer = browser.send(Method::POST, page, &[headers], &encoded(&fields)).await;
                    // To the sign-in page, or from a page on which its own browser has nothing to do.
                    let is_sent_on =
                        answer.status == 303 && ["sign-in", "account"].contains(&sent_to(&answer).as_str());
                    assert!(
                        answer.status.is_client_error() || is_sent_on,
                        "{engine:?} {page} {button} {headers:?}: {} {}",
                        answer.status,
                        answer.header("location")
                    );
                }
            }
        }
        // Nor does looking at a page.
        for page in PAGES {
            own.open(page).await;
            Browser::new(&auth).open(page).await;
        }
        assert_eq!(auth.call("written", json!({})).await, before);
        assert_eq!(own.open("account").await.status, 200);
    })
    .await;
}

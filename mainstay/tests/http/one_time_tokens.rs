//! Security suite `one_time_tokens`: a token is redeemed once, by whoever it was sent to, for what it was sent.

use futures_util::future::join_all;
use http::Method;
use mainstay_testing::token;
use serde_json::{Value, json};

use crate::auth::{Auth, refusal, refused, session};
use crate::auth_mail::{CLOCK, CONFIRMATIONS, SETTINGS, on_each_engine_in_dev, project};

const REDEEMERS: usize = 50;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_at_once_one_redeems() {
    on_each_engine_in_dev(project, async |_, auth: Auth| {
        auth.sign_up("ann@example.com").await;
        for by in ["token", "token_hash", "form"] {
            auth.post("/otp", json!({"email": "ann@example.com"})).await;
            let mail = auth.mail("ann@example.com").await;
            let before = auth.counts().await["sessions"].as_i64().unwrap();
            let form = format!("token={}&type=magiclink", mail.token());
            let body = match by {
                "token" => json!({"type": "email", "email": "ann@example.com", "token": mail.code()}),
                _ => json!({"type": "email", "token_hash": mail.token()}),
            };
            let redeemed = join_all((0..REDEEMERS).map(|_| async {
                match by {
                    "form" => auth.press(&form).await.header("location").contains("access_token="),
                    _ => auth.prove(body.clone()).await.status == 200,
                }
            }))
            .await;
            assert_eq!(redeemed.iter().filter(|redeemed| **redeemed).count(), 1, "{by}");
            assert_eq!(auth.counts().await["sessions"].as_i64().unwrap(), before + 1, "{by}");
            // Wrong codes of the other redeemers were counted: the account waits for its owner, not for them.
            if by == "token" {
                let body = json!({"type": "email", "email": "ann@example.com", "token": "000000"});
                assert_eq!(
                    refusal(&auth.prove(body).await),
                    refused(429, "over_request_rate_limit")
                );
            }
        }
    })
    .await;
}

#[tokio::test]
async fn whoever_looks_at_a_link_redeems_nothing() {
    on_each_engine_in_dev(project, async |_, auth: Auth| {
        auth.sign_up("ann@example.com").await;
        auth.post("/otp", json!({"email": "ann@example.com"})).await;
        let mail = auth.mail("ann@example.com").await;
        let before = auth.counts().await;
        let (_, query) = mail
            .link()
            .split_once('?')
            .map(|(a, b)| (a.to_owned(), b.to_owned()))
            .unwrap();
        for method in [Method::GET, Method::HEAD, Method::GET] {
            let page = auth
                .server
                .anonymous()
                .send(method, &format!("/auth/v1/verify?{query}"), &[], "")
                .await;
            assert_eq!(page.status, 200);
            assert_eq!(page.header("location"), "");
            assert_eq!(page.header("cache-control"), "no-store");
            assert!(page.header("content-security-policy").contains("default-src 'none'"));
            assert!(
                page.header("content-security-policy")
                    .contains("frame-ancestors 'none'")
            );
            assert!(!page.text().contains("<script"));
        }
        assert_eq!(auth.counts().await, before);
        // What is no token gets the same page: it tells nothing.
        let real = page_of(&auth, &query).await;
        let unreal = page_of(&auth, &query.replace(&mail.token(), &"0".repeat(56))).await;
        assert_eq!(real.replace(&mail.token(), ""), unreal.replace(&"0".repeat(56), ""));
        assert!(auth.follow(&mail).await.fragment("access_token").is_some());
        for bad in ["", "type=signup", "token=x", "token=x&type=nothing", "token=x&type=sms"] {
            let answer = auth
                .server
                .anonymous()
                .with("x-supabase-api-version", "2024-01-01")
                .send(Method::GET, &format!("/auth/v1/verify?{bad}"), &[], "")
                .await;
            assert_eq!(refusal(&answer), refused(400, "validation_failed"), "{bad}");
        }
    })
    .await;
}

async fn page_of(auth: &Auth, query: &str) -> String {
    auth.server
        .anonymous()
        .send(Method::GET, &format!("/auth/v1/verify?{query}"), &[], "")
        .await
        .text()
}

#[tokio::test]
async fn a_token_is_good_for_its_address_its_purpose_and_its_time() {
    let project = || mainstay_testing::Project::of(CLOCK).config(&format!("{SETTINGS}{CONFIRMATIONS}"));
    on_each_engine_in_dev(project, async |_, auth: Auth| {
        let confirm = async |email: &str| {
            auth.try_sign_up(email, json!({})).await;
            let mail = auth.mail(email).await;
            session(
                &auth
                    .prove(json!({"type": "signup", "email": email, "token": mail.code()}))
                    .await,
            )
        };
        let ann = confirm("ann@example.com").await;
        confirm("bob@example.com").await;
        auth.post("/recover", json!({"email": "ann@example.com"})).await;
        let mail = auth.mail("ann@example.com").await;
        let (code, hash) = (mail.code(), mail.token());
        let refusals = [
            // Of somebody else.
            json!({"type": "recovery", "email": "bob@example.com", "token": code}),
            json!({"type": "recovery", "email": "nobody@example.com", "token": code}),
            // For something else.
            json!({"type": "signup", "email": "ann@example.com", "token": code}),
            json!({"type": "invite", "email": "ann@example.com", "token": code}),
            json!({"type": "email_change", "email": "ann@example.com", "token": code}),
            json!({"type": "signup", "token_hash": hash}),
            json!({"type": "email_change", "token_hash": hash}),
            json!({"type": "recovery", "token_hash": format!("pkce_{hash}")}),
            json!({"type": "recovery", "token_hash": hash.to_uppercase()}),
            json!({"type": "recovery", "token_hash": code}),
            json!({"type": "recovery", "token_hash": "x".repeat(300)}),
        ];
        for body in refusals {
            assert_eq!(
                refusal(&auth.prove(body.clone()).await),
                refused(403, "otp_expired"),
                "{body}"
            );
        }
        // What is kept redeems nothing.
        let kept = auth.call("kept", json!({})).await;
        for digest in kept.as_array().unwrap() {
            let body = json!({"type": "recovery", "token_hash": digest});
            assert_eq!(refusal(&auth.prove(body).await), refused(403, "otp_expired"));
        }
        // Not what a token is.
        for body in [
            json!({"type": "recovery", "token_hash": [hash]}),
            json!({"type": "recovery", "token_hash": {"eq": hash}}),
            json!({"type": "recovery", "email": "ann@example.com", "token": 123_456}),
            json!({"type": ["recovery"], "token_hash": hash}),
        ] {
            assert_eq!(
                refusal(&auth.prove(body.clone()).await),
                refused(400, "bad_json"),
                "{body}"
            );
        }
        for body in [
            json!({"type": "recovery"}),
            json!({"token_hash": hash}),
            json!({"type": "recovery", "token": code}),
            json!({"type": "recovery", "token": code, "token_hash": hash}),
            json!({"type": "recovery", "email": "ann@example.com", "token_hash": hash}),
            json!({"type": "recovery", "email": "ann@example.com", "phone": "4799999999", "token": code}),
            json!({"type": "sms", "email": "ann@example.com", "token": code}),
            json!({"type": "reauthentication", "token_hash": hash}),
        ] {
            assert_eq!(
                refusal(&auth.prove(body.clone()).await),
                refused(400, "validation_failed"),
                "{body}"
            );
        }
        // None of it used the token up. A new one does.
        auth.post("/otp", json!({"email": "ann@example.com"})).await;
        let newer = auth.mail("ann@example.com").await;
        for body in [
            json!({"type": "recovery", "email": "ann@example.com", "token": code}),
            json!({"type": "recovery", "token_hash": hash}),
        ] {
            assert_eq!(refusal(&auth.prove(body).await), refused(403, "otp_expired"));
        }
        session(
            &auth
                .prove(json!({"type": "magiclink", "token_hash": newer.token()}))
                .await,
        );
        // Time.
        for seconds in [3_590, 20] {
            if seconds == 3_590 {
                auth.post("/recover", json!({"email": "ann@example.com"})).await;
            }
            auth.call("age", json!({"seconds": seconds})).await;
        }
        let late = auth.mail("ann@example.com").await;
        assert_eq!(
            auth.follow(&late).await.fragment("error_code").as_deref(),
            Some("otp_expired")
        );
        // A password, an address, a ban: what was sent before does not hold any more.
        let admin = token::role("service_role");
        for (change, code) in [
            (json!({"password": "another horse 8"}), "otp_expired"),
            (json!({"email": "anna@example.com"}), "otp_expired"),
            (json!({"ban_duration": "24h"}), "user_banned"),
        ] {
            let email = auth.server_email(ann.id(), &admin).await;
            auth.post("/otp", json!({"email": email})).await;
            let mail = auth.mail(&email).await;
            let path = format!("/admin/users/{}", ann.id());
            assert_eq!(auth.ask(Method::PUT, &path, Some(&admin), change).await.status, 200);
            let answer = auth.prove(json!({"type": "email", "token_hash": mail.token()})).await;
            assert_eq!(refusal(&answer), refused(403, code));
        }
    })
    .await;
}

impl Auth {
    async fn server_email(&self, id: &str, admin: &str) -> String {
        let answer = self
            .ask(Method::GET, &format!("/admin/users/{id}"), Some(admin), Value::Null)
            .await;
        answer.json()["email"].as_str().unwrap().to_owned()
    }
}

#[tokio::test]
async fn codes_are_guessed_a_few_times_with_and_without_a_user() {
    on_each_engine_in_dev(project, async |_, auth: Auth| {
        auth.sign_up("ann@example.com").await;
        auth.post("/otp", json!({"email": "ann@example.com"})).await;
        let mail = auth.mail("ann@example.com").await;
        let wrong = if mail.code() == "000000" { "000001" } else { "000000" };
        for email in ["ann@example.com", "nobody@example.com"] {
            let mut told = Vec::new();
            for _ in 0..22 {
                let answer = auth
                    .prove(json!({"type": "email", "email": email, "token": wrong}))
                    .await;
                told.push((answer.status.as_u16(), answer.json()["message"].clone()));
            }
            assert_eq!(told[19], (403, json!("Token has expired or is invalid")), "{email}");
            assert_eq!(told[20], (429, json!("Request rate limit reached")), "{email}");
        }
        let right = json!({"type": "email", "email": "ann@example.com", "token": mail.code()});
        assert_eq!(
            refusal(&auth.prove(right).await),
            refused(429, "over_request_rate_limit")
        );
        // Nobody guesses a link, so its owner gets in.
        assert!(auth.follow(&mail).await.fragment("access_token").is_some());
    })
    .await;
}

#[tokio::test]
async fn who_signs_up_with_an_address_of_somebody_else_gets_nothing_of_it() {
    let project = || mainstay_testing::Project::of(CLOCK).config(&format!("{SETTINGS}{CONFIRMATIONS}"));
    on_each_engine_in_dev(project, async |_, auth: Auth| {
        // Mallory signs up with Ann's address; Ann comes later, by each way there is.
        let as_mallory =
            |email: &str| json!({"email": email, "password": "mallorys own 1", "data": {"name": "Mallory"}});
        let mallory_signs_in = async |email: &str| refusal(&auth.try_sign_in(email, "mallorys own 1").await);
        for way in ["otp", "recover"] {
            let email = format!("{way}@example.com");
            auth.post("/signup", as_mallory(&email)).await;
            auth.post(&format!("/{way}"), json!({"email": email})).await;
            let mail = auth.mail(&email).await;
            assert!(auth.follow(&mail).await.fragment("access_token").is_some(), "{way}");
            assert_eq!(
                mallory_signs_in(&email).await,
                refused(400, "invalid_credentials"),
                "{way}"
            );
        }
        auth.post("/signup", as_mallory("ann@example.com")).await;
        let mallorys = auth.mail("ann@example.com").await;
        auth.try_sign_up("ann@example.com", json!({"name": "Ann"})).await;
        let anns = auth.mail("ann@example.com").await;
        assert_eq!(
            auth.follow(&mallorys).await.fragment("error_code").as_deref(),
            Some("otp_expired")
        );
        let token = auth.follow(&anns).await.fragment("access_token").unwrap();
        assert_eq!(auth.user(&token).await.json()["user_metadata"]["name"], "Ann");
        assert_eq!(
            mallory_signs_in("ann@example.com").await,
            refused(400, "invalid_credentials")
        );
        auth.sign_in("ann@example.com").await;
    })
    .await;
}

#[tokio::test]
async fn nothing_tells_whether_an_address_has_a_user() {
    on_each_engine_in_dev(project, async |_, auth: Auth| {
        auth.sign_up("there@example.com").await;
        for (path, more) in [
            ("/otp", json!({"create_user": false})),
            ("/recover", json!({})),
            ("/resend", json!({"type": "signup"})),
            ("/resend", json!({"type": "email_change"})),
        ] {
            let mut told = Vec::new();
            for email in ["there@example.com", "nobody@example.com"] {
                let mut body = more.clone();
                body["email"] = json!(email);
                told.push(auth.post(path, body).await.comparable());
            }
            assert_eq!(told[0], told[1], "{path} {more}");
        }
        let mails = auth.mails().await;
        assert!(mails.iter().all(|mail| mail.to == "there@example.com"), "{mails:?}");
        assert_eq!(mails.len(), 2);
        assert_eq!(auth.counts().await["users"], 1);
    })
    .await;
}

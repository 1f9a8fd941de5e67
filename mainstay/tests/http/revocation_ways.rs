//! Security suite `revocation_live`, continued: however a session began, what ends it ends its token in every room.

use http::Method;
use mainstay_testing::{Answer, Project};
use serde_json::{Value, json};

use crate::auth::{Auth, PASSWORD, Session, session};
use crate::auth_crash_flows::{Ask, callback};
use crate::auth_mail::{CLOCK, SETTINGS, on_each_engine_in_dev};
use crate::auth_other_ways::OF_OTHER_WAYS;
use crate::oauth::VERIFIER;
use crate::oauth_provider::{Person, Provider, fragment};
use crate::oauth_server;
use crate::page_browser::{Browser, given, sent_to, to_app};
use crate::revocation_live::{BANNED, ENDED, NOTES, admin, expect};
use crate::security_key::SecurityKey;
use crate::wallet::Wallet;

fn project(provider: &Provider) -> Project {
    let open = "[auth]\nenable_anonymous_sign_ins = true\n";
    let settings = SETTINGS.replacen("[auth]\n", open, 1);
    Project::of(CLOCK).migration(NOTES).config(&format!(
        "{}{settings}{OF_OTHER_WAYS}[auth.oauth_server]\nenabled = true\nallow_dynamic_registration = true\n\
         authorization_url_path = \"/start/oauth/consent\"\n",
        provider.settings()
    ))
}

/// The session of tokens that came without their user.
async fn session_of(auth: &Auth, access_token: &str, refresh_token: &str) -> Session {
    let user = auth.user(access_token).await;
    assert_eq!(user.status, 200, "{}", user.text());
    Session {
        access_token: access_token.to_owned(),
        refresh_token: refresh_token.to_owned(),
        user: user.json(),
    }
}

/// One session by each way that is not by an address and its password or mail.
async fn begun(auth: &Auth, provider: &Provider) -> Vec<(&'static str, Session)> {
    let mut all = Vec::new();
    all.push(("nobody", session(&auth.post("/signup", json!({"data": {}})).await)));

    let phone = "4799999991";
    auth.post("/otp", json!({"phone": phone})).await;
    let code = auth.mail(phone).await.html.split(' ').next().unwrap().to_owned();
    let proof = json!({"type": "sms", "phone": phone, "token": code});
    all.push(("a number", session(&auth.prove(proof).await)));

    let away = Ask::get("/authorize?provider=custom:acme");
    let away = away.send(&auth.client(None)).await.unwrap();
    let back = callback(&away, provider, &Person::new("eve-1", "eve@example.com", true));
    let told = back.send(&auth.client(None)).await.unwrap();
    let told = fragment(told.header("location"));
    all.push((
        "a provider",
        session_of(auth, &told["access_token"], &told["refresh_token"]).await,
    ));

    let wallet = Wallet::ethereum();
    let body = wallet.body(&wallet.message(0));
    all.push(("a wallet", session(&auth.post("/token?grant_type=web3", body).await)));

    let keeper = auth.sign_up("keeper@example.com").await;
    let mut key = SecurityKey::new();
    auth.add_passkey(&keeper, &mut key).await;
    all.push(("a passkey", session(&auth.sign_in_by(&mut key).await)));

    auth.sign_up("nora@example.com").await;
    let mut browser = Browser::new(auth);
    let sent = browser.sign_in(&to_app(&[]), "nora@example.com", PASSWORD).await;
    all.push(("a page", given(auth, &sent).await));
    all
}

#[tokio::test]
async fn however_a_session_began_a_ban_and_a_sign_out_end_it_everywhere() {
    let provider = Provider::start().await;
    on_each_engine_in_dev(
        || project(&provider),
        async |_, auth: Auth| {
            for (way, of) in begun(&auth, &provider).await {
                println!("{way}");
                expect(&auth, &of, None).await;
                admin(&auth, Method::PUT, of.id(), json!({"ban_duration": "1h"})).await;
                expect(&auth, &of, BANNED).await;
                admin(&auth, Method::PUT, of.id(), json!({"ban_duration": "none"})).await;
                expect(&auth, &of, None).await;
                let out = auth
                    .ask(Method::POST, "/logout", Some(&of.access_token), Value::Null)
                    .await;
                assert_eq!(out.status, 204);
                expect(&auth, &of, ENDED).await;
                assert_ne!(auth.refresh(&of.refresh_token).await.status, 200, "{way}");
            }
            // What signs in is not what has signed in: a passkey that goes leaves the session, as a password does.
            let ann = auth.sign_up("ann@example.com").await;
            let mut key = SecurityKey::new();
            let passkey = auth.add_passkey(&ann, &mut key).await;
            let by_key = session(&auth.sign_in_by(&mut key).await);
            let path = format!("/passkeys/{}", passkey["id"].as_str().unwrap());
            assert_eq!(auth.as_user(&ann, Method::DELETE, &path, Value::Null).await.status, 204);
            expect(&auth, &by_key, None).await;
        },
    )
    .await;
}

#[tokio::test]
async fn a_page_and_the_application_that_it_signed_in_to_end_each_other() {
    let provider = Provider::start().await;
    on_each_engine_in_dev(
        || project(&provider),
        async |_, auth: Auth| {
            auth.sign_up("ann@example.com").await;
            let mut browser = Browser::new(&auth);
            let first = given(&auth, &browser.sign_in(&to_app(&[]), "ann@example.com", PASSWORD).await).await;
            expect(&auth, &first, None).await;
            browser.open("account").await;
            let out = browser.submit("account", &[("action", "sign-out")]).await;
            assert_eq!(sent_to(&out), "sign-in");
            expect(&auth, &first, ENDED).await;

            let second = given(&auth, &browser.sign_in(&to_app(&[]), "ann@example.com", PASSWORD).await).await;
            admin(&auth, Method::PUT, second.id(), json!({"ban_duration": "1h"})).await;
            assert_eq!(sent_to(&browser.open("account").await), "sign-in");
            admin(&auth, Method::PUT, second.id(), json!({"ban_duration": "none"})).await;
            assert_eq!(browser.open("account").await.status, 200);
            let out = auth
                .ask(Method::POST, "/logout", Some(&second.access_token), Value::Null)
                .await;
            assert_eq!(out.status, 204);
            assert_eq!(sent_to(&browser.open("account").await), "sign-in");
        },
    )
    .await;
}

#[tokio::test]
async fn what_an_application_was_given_ends_with_the_grant_the_user_and_the_application() {
    let provider = Provider::start().await;
    on_each_engine_in_dev(
        || project(&provider),
        async |_, auth: Auth| {
            let ann = auth.sign_up("ann@example.com").await;
            let granted = async || {
                let app = oauth_server::public(&auth).await;
                let code = oauth_server::code(&auth, &app, &ann, &[]).await;
                let told: Answer = oauth_server::redeem(&auth, &app, &code, VERIFIER).await;
                let told = told.json();
                let get = |name: &str| told[name].as_str().unwrap().to_owned();
                let acting = session_of(&auth, &get("access_token"), &get("refresh_token")).await;
                expect(&auth, &acting, None).await;
                (app, acting)
            };
            let dead = async |app: &oauth_server::App, acting: &Session, reason: Option<&str>| {
                expect(&auth, acting, reason).await;
                let next = oauth_server::refresh(&auth, app, &acting.refresh_token).await;
                assert_ne!(next.status, 200, "{}", next.text());
            };
            let (app, acting) = granted().await;
            let path = format!("/user/oauth/grants?client_id={}", app.id);
            let taken = auth.as_user(&ann, Method::DELETE, &path, Value::Null).await;
            assert!(taken.status.is_success(), "{}", taken.text());
            dead(&app, &acting, ENDED).await;

            let (app, acting) = granted().await;
            let path = format!("/admin/oauth/clients/{}", app.id);
            let gone = auth.admin(Method::DELETE, &path, Value::Null).await;
            assert!(gone.status.is_success(), "{}", gone.text());
            dead(&app, &acting, ENDED).await;

            let (app, acting) = granted().await;
            admin(&auth, Method::PUT, ann.id(), json!({"ban_duration": "1h"})).await;
            dead(&app, &acting, BANNED).await;
            admin(&auth, Method::PUT, ann.id(), json!({"ban_duration": "none"})).await;
            let path = format!("/admin/users/{}/logout", ann.id());
            assert!(auth.admin(Method::POST, &path, json!({})).await.status.is_success());
            dead(&app, &acting, ENDED).await;
        },
    )
    .await;
}

//! Security suite `secrets_nowhere`, continued: what mails, apps, providers and applications are given, and the settings'
//! own secrets, are in no line of the log at its most talkative and in no refusal; what need not be read again is in no file.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::Method;
use mainstay_testing::{Answer, Engine, MailServer, Project, Server, engines};
use serde_json::{Value, json};

use crate::auth::{Auth, PASSWORD, session};
use crate::auth_crash_flows::{Ask, has_landed, parameter};
use crate::auth_mail::pair;
use crate::authenticator::App;
use crate::both::PROGRAM;
use crate::oauth::{CHALLENGE, VERIFIER};
use crate::oauth_provider::{CLIENT_SECRET, Person, Provider, encoded, query};
use crate::oauth_server;
use crate::secrets_nowhere::{files, holds};

const SMTP_SECRET: &str = "canary-of-the-mail-server-1";
const SEAL: [u8; 32] = *b"canary of what seals the secrets";

fn project(mail: &MailServer, provider: &Provider) -> Project {
    Project::new().config(&format!(
        "{}[mainstay.encryption]\nkey_id = \"one\"\n[mainstay.encryption.keys]\none = \"{}\"\n\
         [auth]\nsite_url = \"https://shop.example/start\"\n[auth.rate_limit]\nemail_sent = 1000\n\
         [auth.oauth_server]\nenabled = true\nallow_dynamic_registration = true\nauthorization_url_path = \"/oauth/consent\"\n\
         [auth.email]\nmax_frequency = \"0s\"\nenable_confirmations = true\n\
         [auth.email.smtp]\nhost = \"127.0.0.1\"\nport = {}\nuser = \"u\"\npass = \"{SMTP_SECRET}\"\n\
         admin_email = \"shop@example.com\"\n",
        provider.settings(),
        URL_SAFE_NO_PAD.encode(SEAL),
        mail.port()
    ))
}

/// Secrets that were given out, and the refusals of their second use.
#[derive(Default)]
struct Found {
    /// In no log and no refusal.
    secrets: Vec<String>,
    /// In no file either.
    unkept: Vec<String>,
    refusals: Vec<Answer>,
}

async fn mailed(mail: &MailServer, to: &str, before: usize) -> String {
    let own = |mail: &MailServer| -> Vec<String> {
        let received = mail.received();
        let own = received[before..]
            .iter()
            .filter(|mail| mail.to.iter().any(|own| own == to));
        own.map(|mail| mail.text()).collect()
    };
    mail.wait(|mail| !own(mail).is_empty()).await;
    own(mail).remove(0)
}

async fn walk(auth: &Auth, mail: &MailServer, provider: &Provider, found: &mut Found) {
    // Mails: tokens of links, and a flow's code.
    for (path, kind, body) in [
        (
            "/signup",
            "signup",
            json!({"email": "ann@example.com", "password": PASSWORD}),
        ),
        ("/otp", "email", json!({"email": "ann@example.com"})),
        ("/recover", "recovery", json!({"email": "ann@example.com"})),
    ] {
        let before = mail.received().len();
        assert_eq!(auth.post(path, body).await.status, 200, "{path}");
        let token = parameter(&mailed(mail, "ann@example.com", before).await, "token");
        let proof = json!({"type": kind, "token_hash": token});
        session(&auth.prove(proof.clone()).await);
        found.refusals.push(auth.prove(proof).await);
        found.secrets.push(token);
    }
    let before = mail.received().len();
    let body = json!({"email": "ann@example.com", "code_challenge": CHALLENGE, "code_challenge_method": "s256"});
    auth.post("/otp", body).await;
    let token = parameter(&mailed(mail, "ann@example.com", before).await, "token");
    let link = Ask::form("/verify", &[("token", &token), ("type", "magiclink")]).worked(has_landed);
    let landed = link.send(&auth.client(None)).await.unwrap();
    let code = query(landed.header("location"))["code"].clone();
    let body = json!({"auth_code": code, "code_verifier": VERIFIER});
    let ann = session(&auth.post("/token?grant_type=pkce", body.clone()).await);
    found.refusals.push(auth.post("/token?grant_type=pkce", body).await);
    found.secrets.extend([token, code, VERIFIER.to_owned()]);

    // A provider: its code, its tokens, and what proves this server to it.
    let away = Ask::get("/authorize?provider=custom:acme")
        .send(&auth.client(None))
        .await
        .unwrap();
    let cookie = away.header("set-cookie").split(';').next().unwrap().to_owned();
    let back = provider.consent(away.header("location"), &Person::new("eve-1", "eve@example.com", true));
    let callback = Ask::get(&format!("/callback?{}", encoded(&back))).with("cookie", &cookie);
    let landed = callback.send(&auth.client(None)).await.unwrap();
    let fragment = landed.header("location").split_once('#').unwrap().1.to_owned();
    found.refusals.push(callback.send(&auth.client(None)).await.unwrap());
    for name in [
        "access_token",
        "refresh_token",
        "provider_token",
        "provider_refresh_token",
    ] {
        found.secrets.push(pair(&fragment, name).unwrap());
    }
    found
        .secrets
        .extend([back[0].1.clone(), cookie.split_once('=').unwrap().1.to_owned()]);

    // A second factor, and codes for the day on which it is lost.
    let enrolled = auth
        .as_user(
            &ann,
            Method::POST,
            "/factors",
            json!({"factor_type": "totp", "friendly_name": "phone"}),
        )
        .await;
    let app = App::of(&enrolled.json());
    let high = session(&auth.verify(&ann, &app, &app.code(0)).await);
    found.refusals.push(auth.verify(&high, &app, &app.code(0)).await);
    found.unkept.push(app.secret.clone());
    let made = auth
        .as_user(&high, Method::POST, "/factors/recovery-codes", Value::Null)
        .await
        .json();
    let codes: Vec<String> = made["codes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|code| code.as_str().unwrap().into())
        .collect();
    let path = "/factors/recovery-codes/verify";
    let body = json!({"code": codes[0]});
    let low = auth.sign_in("ann@example.com").await;
    session(&auth.as_user(&low, Method::POST, path, body.clone()).await);
    let low = auth.sign_in("ann@example.com").await;
    found.refusals.push(auth.as_user(&low, Method::POST, path, body).await);
    found.unkept.extend(codes);

    // An application: its secret, its code, its tokens.
    let body = json!({"redirect_uris": ["https://app.example/callback"]});
    let made = auth.post("/oauth/clients/register", body).await.json();
    let keeper = oauth_server::App {
        id: made["client_id"].as_str().unwrap().into(),
        secret: made["client_secret"].as_str().map(str::to_owned),
    };
    let code = oauth_server::code(auth, &keeper, &high, &[]).await;
    let granted = oauth_server::redeem(auth, &keeper, &code, VERIFIER).await.json();
    found
        .refusals
        .push(oauth_server::redeem(auth, &keeper, &code, VERIFIER).await);
    let wrong = oauth_server::App {
        secret: Some(format!("{}x", keeper.secret.as_ref().unwrap())),
        ..keeper.clone()
    };
    found
        .refusals
        .push(oauth_server::redeem(auth, &wrong, &code, VERIFIER).await);
    found.unkept.extend([keeper.secret.unwrap(), code]);
    for name in ["access_token", "id_token"] {
        found.unkept.push(granted[name].as_str().unwrap().to_owned());
    }
    found
        .secrets
        .push(granted["refresh_token"].as_str().unwrap().to_owned());
}

#[tokio::test]
async fn what_is_given_out_once_is_found_nowhere() {
    let provider = Provider::start().await;
    for engine in engines() {
        let mail = MailServer::start().await;
        let project = project(&mail, &provider);
        let server = Server::start_with(PROGRAM, engine, project, &[("RUST_LOG", "trace")]).await;
        let auth = Auth { server };
        let mut found = Found::default();
        walk(&auth, &mail, &provider, &mut found).await;
        let log = auth.log().await;
        assert!(
            log.contains("TRACE") || log.contains("DEBUG"),
            "the log says too little"
        );
        let settings = [CLIENT_SECRET, SMTP_SECRET, std::str::from_utf8(&SEAL).unwrap()].map(str::to_owned);
        let sealed = URL_SAFE_NO_PAD.encode(SEAL);
        for secret in found
            .secrets
            .iter()
            .chain(&found.unkept)
            .chain(&settings)
            .chain([&sealed])
        {
            assert!(secret.len() > 10, "{secret} may be anywhere");
            // What a token says is nobody's secret, but its signature is.
            let part = secret.rsplit('.').next().unwrap();
            let line = log.lines().find(|line| line.contains(part));
            assert_eq!(line, None, "{engine:?}: the log has {secret}");
            for refusal in &found.refusals {
                assert!(!refusal.text().contains(part), "{}", refusal.text());
                assert!(refusal.headers.values().all(|value| !holds(value.as_bytes(), part)));
            }
        }
        for refusal in &found.refusals {
            let is_sent_on = refusal.status == 303 && refusal.header("location").contains("error_code=");
            assert!(refusal.status.as_u16() >= 400 || is_sent_on, "{}", refusal.text());
        }
        if engine == Engine::Sqlite {
            for (name, bytes) in files(&auth.server.project.path().join(".mainstay")) {
                for secret in &found.unkept {
                    assert!(!holds(&bytes, secret), "{name} has {secret}");
                }
            }
        }
    }
}

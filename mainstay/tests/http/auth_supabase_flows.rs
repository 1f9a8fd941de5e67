//! The program on a database whose schema `auth` is Supabase's own: every way to sign in works on its tables, with its
//! checks, and what was half done there is finished here.

use http::Method;
use mainstay_testing::{Database, Engine, MailServer, Project, Server, database, postgres_url, token};
use serde_json::{Value, json};

use crate::auth::{Auth, PASSWORD, Session, refusal, refused, session};
use crate::auth_mail::CLOCK;
use crate::authenticator::App;
use crate::both::PROGRAM;
use crate::oauth::{Browser, VERIFIER, exchange, implicit, landed, pkce};
use crate::oauth_provider::{Person, Provider};
use crate::oauth_server::{self, look};

const SCHEMA: &str = concat!(
    include_str!("auth_supabase.sql"),
    include_str!("auth_supabase_flows.sql")
);
/// bcrypt of it stands in the schema's row of Ann.
const ANNS: &str = "U*U";
const ANN: &str = "aaaaaaaa-0000-4000-8000-000000000001";

async fn serve(provider: &Provider) -> Auth {
    let project = Project::of(CLOCK).config(&format!(
        "{}[auth]\nsite_url = \"https://shop.example/start\"\nenable_manual_linking = true\n\
         additional_redirect_urls = [\"https://shop.example/**\"]\n\
         [auth.email]\nmax_frequency = \"0s\"\nenable_confirmations = true\n\
         [auth.oauth_server]\nenabled = true\nallow_dynamic_registration = true\n\
         authorization_url_path = \"/oauth/consent\"\n",
        provider.settings()
    ));
    let server = Server::start_dev_after(PROGRAM, project, SCHEMA).await;
    Auth { server }
}

async fn sign_in_as_ann(auth: &Auth) -> Session {
    session(&auth.try_sign_in("ann@example.com", ANNS).await)
}

#[tokio::test]
async fn every_way_works_on_its_tables() {
    if postgres_url().is_none() {
        return;
    }
    let provider = Provider::start().await;
    let auth = serve(&provider).await;
    let service = token::role("service_role");

    // What was begun there is finished here: a flow's code, a session, a factor, a consent.
    let body = json!({"auth_code": "ffffffff-0000-4000-8000-000000000001", "code_verifier": VERIFIER});
    let flow = session(&auth.post("/token?grant_type=pkce", body.clone()).await);
    assert_eq!(
        (flow.id(), &flow.claims()["amr"][0]["method"]),
        (ANN, &json!("magiclink"))
    );
    let again = auth.post("/token?grant_type=pkce", body).await;
    assert_eq!(refusal(&again), refused(404, "flow_state_not_found"));
    let there = session(&auth.refresh("abcdefghij12").await);
    assert_eq!(there.id(), ANN);
    let low = sign_in_as_ann(&auth).await;
    let app = App {
        id: "cccccccc-0000-4000-8000-0000000000cc".into(),
        secret: "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP".into(),
    };
    let ann = session(&auth.verify(&low, &app, &app.code(0)).await);
    assert_eq!(ann.claims()["aal"], "aal2");
    let application = oauth_server::App {
        id: "cccccccc-0000-4000-8000-0000000000aa".into(),
        secret: None,
    };
    let code = oauth_server::code(&auth, &application, &ann, &[]).await;
    let granted = oauth_server::redeem(&auth, &application, &code, VERIFIER).await;
    assert_eq!(granted.status, 200, "{}", granted.text());

    // Mails: sign-up, link, recovery, both halves of a change, a code to reauthenticate.
    auth.try_sign_up("bob@example.com", json!({"name": "Bob"})).await;
    let landing = auth.follow(&auth.mail("bob@example.com").await).await;
    let token = landing.told("access_token");
    assert_eq!(auth.user(&token).await.json()["email"], "bob@example.com");
    auth.post("/otp", json!({"email": "bob@example.com"})).await;
    let body = json!({"type": "email", "email": "bob@example.com", "token": auth.mail("bob@example.com").await.code()});
    session(&auth.prove(body).await);
    auth.post("/recover", json!({"email": "bob@example.com"})).await;
    let body = json!({"type": "recovery", "token_hash": auth.mail("bob@example.com").await.token()});
    let bob = session(&auth.prove(body).await);
    let change = json!({"password": "another horse 8", "data": {"nick": "b"}});
    assert_eq!(auth.as_user(&bob, Method::PUT, "/user", change).await.status, 200);
    let change = json!({"email": "robert@example.com"});
    let asked = auth.as_user(&bob, Method::PUT, "/user", change).await;
    assert_eq!(asked.json()["new_email"], "robert@example.com", "{}", asked.text());
    let mails = auth.mails().await;
    for mail in &mails[..2] {
        let body = json!({"type": "email_change", "token_hash": mail.token()});
        assert_eq!(auth.prove(body).await.status, 200);
    }
    let bob = session(&auth.try_sign_in("robert@example.com", "another horse 8").await);
    assert_eq!(
        bob.user["identities"][0]["identity_data"]["email"],
        "robert@example.com"
    );
    let asked = auth.as_user(&bob, Method::GET, "/reauthenticate", Value::Null).await;
    assert_eq!(asked.status, 200, "{}", asked.text());

    // Flows with a challenge, by link and by provider; identities linked and unlinked.
    let mut browser = Browser::default();
    let person = Person::new("eve-1", "eve@example.com", true);
    let end = browser.sign_in(&auth, &provider, &implicit("github"), &person).await;
    let eve = landed(&auth, &end).await;
    let end = browser.sign_in(&auth, &provider, &pkce("custom:acme"), &person).await;
    let same = session(&exchange(&auth, &end, VERIFIER).await);
    assert_eq!(same.id(), eve.id());
    let path =
        "/user/identities/authorize?provider=discord&skip_http_redirect=true&redirect_to=https://shop.example/welcome";
    let away = auth.as_user(&eve, Method::GET, path, Value::Null).await.json();
    let back = provider.consent(
        away["url"].as_str().unwrap(),
        &Person::new("eve-2", "eve@example.org", true),
    );
    browser.come_back(&auth, &back).await;
    let user = auth.user(&eve.access_token).await.json();
    let identities = user["identities"].as_array().unwrap();
    assert_eq!(identities.len(), 3, "{user}");
    let path = format!("/user/identities/{}", identities[0]["identity_id"].as_str().unwrap());
    assert_eq!(auth.as_user(&eve, Method::DELETE, &path, Value::Null).await.status, 200);

    // Factors and codes for the day on which they are lost.
    let (carol, carols) = {
        let body = json!({"email": "carol@example.com", "password": PASSWORD, "email_confirm": true});
        let made = auth.ask(Method::POST, "/admin/users", Some(&service), body).await;
        assert_eq!(made.status, 200, "{}", made.text());
        let carol = auth.sign_in("carol@example.com").await;
        let app = auth.enroll(&carol, "phone").await;
        (session(&auth.verify(&carol, &app, &app.code(0)).await), app)
    };
    let made = auth
        .as_user(&carol, Method::POST, "/factors/recovery-codes", Value::Null)
        .await;
    let low = auth.sign_in("carol@example.com").await;
    let body = json!({"code": made.json()["codes"][0]});
    let high = session(
        &auth
            .as_user(&low, Method::POST, "/factors/recovery-codes/verify", body)
            .await,
    );
    assert_eq!(high.claims()["aal"], "aal2");
    let path = format!("/factors/{}", carols.id);
    assert_eq!(
        auth.as_user(&high, Method::DELETE, &path, Value::Null).await.status,
        200
    );

    // An application from its registration to its end.
    let app = oauth_server::public(&auth).await;
    let code = oauth_server::code(&auth, &app, &bob, &[("nonce", "n")]).await;
    let granted = oauth_server::redeem(&auth, &app, &code, VERIFIER).await;
    assert_eq!(granted.status, 200, "{}", granted.text());
    let refresh = granted.json()["refresh_token"].as_str().unwrap().to_owned();
    let next = oauth_server::refresh(&auth, &app, &refresh).await;
    assert_eq!(next.status, 200, "{}", next.text());
    let acting = next.json()["access_token"].as_str().unwrap().to_owned();
    let told = auth
        .ask(Method::GET, "/oauth/userinfo", Some(&acting), Value::Null)
        .await;
    assert_eq!(told.json()["email"], "robert@example.com", "{}", told.text());
    let grants = auth.as_user(&bob, Method::GET, "/user/oauth/grants", Value::Null).await;
    assert_eq!(grants.json().as_array().map(Vec::len), Some(1), "{}", grants.text());
    let path = format!("/user/oauth/grants?client_id={}", app.id);
    let revoked = auth.as_user(&bob, Method::DELETE, &path, Value::Null).await;
    assert!(revoked.status.is_success(), "{}", revoked.text());
    let last = next.json();
    let last = last["refresh_token"].as_str().unwrap();
    assert_ne!(oauth_server::refresh(&auth, &app, last).await.status, 200);
    // Asked again after it was revoked, and refused this time.
    let question = oauth_server::question(&auth, &app, &[]).await;
    assert!(look(&auth, &bob, &question).await.json()["redirect_url"].is_null());
    assert_eq!(oauth_server::decide(&auth, &bob, &question, "deny").await.status, 200);

    // Administration, and what has happened.
    for (method, path, body) in [
        (
            Method::PUT,
            format!("/admin/users/{}", bob.id()),
            json!({"ban_duration": "24h", "app_metadata": {"a": 1}}),
        ),
        (Method::POST, format!("/admin/users/{}/logout", bob.id()), Value::Null),
        (Method::GET, format!("/admin/users/{ANN}/factors"), Value::Null),
        (
            Method::DELETE,
            format!("/admin/users/{}", eve.id()),
            json!({"should_soft_delete": true}),
        ),
        (Method::DELETE, format!("/admin/users/{}", bob.id()), json!({})),
        (Method::GET, "/admin/oauth/clients".into(), Value::Null),
        (Method::GET, "/admin/audit".into(), Value::Null),
        (Method::GET, "/admin/users".into(), Value::Null),
        (
            Method::POST,
            "/admin/users/import".into(),
            json!({"users": [{"email": "old@example.com", "identities": [{"provider": "github", "provider_id": "9"}]}]}),
        ),
    ] {
        let answer = auth.ask(method.clone(), &path, Some(&service), body).await;
        assert!(answer.status.is_success(), "{method} {path}: {}", answer.text());
    }
    let log = auth.log().await;
    assert!(!log.contains("panicked") && !log.contains("nothing was swept"), "{log}");
}

/// What Supabase's services do not know of is made before anything is carried there, so that mails that wait go along.
#[tokio::test]
async fn mails_that_wait_move_there() {
    if postgres_url().is_none() {
        return;
    }
    let mail = MailServer::start().await;
    mail.refuse(usize::MAX);
    let project = Project::new().config(&format!(
        "[auth.email]\nenable_confirmations = true\n[auth.email.smtp]\nhost = \"127.0.0.1\"\nport = {}\nuser = \"u\"\n\
         pass = \"p\"\nadmin_email = \"shop@example.com\"\n",
        mail.port()
    ));
    let mut auth = Auth::start(Engine::Sqlite, project).await;
    auth.try_sign_up("ann@example.com", json!({})).await;
    mail.wait(|mail| mail.refused() > 0).await;
    auth.server.kill();
    let target = Database::create().await;
    target.run(SCHEMA).await;
    // Nobody lives there yet.
    target
        .run("drop trigger on_auth_user_created on auth.users; drop function public.handle_new_user; drop table public.profiles;
              truncate auth.users, auth.oauth_clients, auth.flow_state cascade;")
        .await;
    let output = std::process::Command::new(PROGRAM)
        .args([
            "grow",
            auth.server.project.path().to_str().unwrap(),
            "--to",
            &target.url(),
        ])
        .output()
        .unwrap();
    let said = format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(output.status.success(), "{said}");
    for (sql, count) in [
        ("select count(*)::text from _mainstay.messages", "1"),
        (
            "select count(*)::text from auth.users where email = 'ann@example.com'",
            "1",
        ),
        ("select count(*)::text from auth.one_time_tokens", "1"),
    ] {
        assert_eq!(
            database::postgres_value(&target.url(), sql).await.as_deref(),
            Some(count),
            "{sql}: {said}"
        );
    }
}

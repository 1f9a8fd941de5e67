//! Being a provider: what an application may, and everything by which it could get more.

use bytes::Bytes;
use http::Method;
use mainstay_testing::{Answer, Project, token};
use serde_json::{Value, json};

use crate::auth::{Auth, Session, on_each_engine, refusal, refused};
use crate::oauth::{CHALLENGE, VERIFIER};
use crate::oauth_provider::{Person, Provider, encoded, query};

const HOME: &str = "https://app.example/callback";

fn project() -> Project {
    with("allow_dynamic_registration = true\n")
}

fn with(more: &str) -> Project {
    Project::of("create table notes (id int primary key);").config(&format!(
        "[auth]\nsite_url = \"https://shop.example/start\"\nenable_manual_linking = true\n[auth.oauth_server]\nenabled = true\n\
         authorization_url_path = \"/oauth/consent\"\n{more}"
    ))
}

/// An application that was registered.
#[derive(Clone)]
pub struct App {
    pub id: String,
    pub secret: Option<String>,
}

async fn register(auth: &Auth, body: Value) -> App {
    let made = auth.post("/oauth/clients/register", body).await;
    assert_eq!(made.status, 201, "{}", made.text());
    let body = made.json();
    App {
        id: body["client_id"].as_str().unwrap().into(),
        secret: body["client_secret"].as_str().map(str::to_owned),
    }
}

pub async fn public(auth: &Auth) -> App {
    register(
        auth,
        json!({"redirect_uris": [HOME, "http://127.0.0.1/cb"], "token_endpoint_auth_method": "none"}),
    )
    .await
}

fn pair(name: &str, value: &str) -> (String, String) {
    (name.to_owned(), value.to_owned())
}

/// Goes to the page on which users are asked, or wherever the browser is sent.
async fn begin(auth: &Auth, app: &App, more: &[(&str, &str)]) -> Answer {
    let mut asked = vec![
        pair("client_id", &app.id),
        pair("redirect_uri", HOME),
        pair("code_challenge", CHALLENGE),
        pair("code_challenge_method", "S256"),
        pair("state", "the state"),
        pair("scope", "openid email"),
    ];
    for (name, value) in more {
        asked.retain(|(known, _)| known != name);
        if !value.is_empty() {
            asked.push(pair(name, value));
        }
    }
    let path = format!("/oauth/authorize?{}", encoded(&asked));
    auth.ask(Method::GET, &path, None, Value::Null).await
}

/// The id of the question that was asked.
pub async fn question(auth: &Auth, app: &App, more: &[(&str, &str)]) -> String {
    let sent = begin(auth, app, more).await;
    let to = sent.header("location");
    assert_eq!(sent.status, 302, "{}", sent.text());
    assert!(
        to.starts_with("https://shop.example/start/oauth/consent?authorization_id="),
        "{to}"
    );
    query(to)["authorization_id"].clone()
}

pub async fn look(auth: &Auth, user: &Session, id: &str) -> Answer {
    let path = format!("/oauth/authorizations/{id}");
    auth.ask(Method::GET, &path, Some(&user.access_token), Value::Null)
        .await
}

pub async fn decide(auth: &Auth, user: &Session, id: &str, action: &str) -> Answer {
    let path = format!("/oauth/authorizations/{id}/consent");
    auth.ask(Method::POST, &path, Some(&user.access_token), json!({"action": action}))
        .await
}

/// The code that the user's agreement gives.
pub async fn code(auth: &Auth, app: &App, user: &Session, more: &[(&str, &str)]) -> String {
    let id = question(auth, app, more).await;
    let seen = look(auth, user, &id).await;
    assert_eq!(seen.status, 200, "{}", seen.text());
    let to = match seen.json()["redirect_url"].as_str() {
        Some(to) => to.to_owned(),
        None => decide(auth, user, &id, "approve").await.json()["redirect_url"]
            .as_str()
            .unwrap()
            .to_owned(),
    };
    assert_eq!(query(&to)["state"], "the state");
    query(&to)["code"].clone()
}

async fn post(auth: &Auth, path: &str, app: &App, fields: &[(&str, &str)]) -> Answer {
    let mut form: Vec<(String, String)> = fields.iter().map(|(name, value)| pair(name, value)).collect();
    let mut headers = vec![("content-type", "application/x-www-form-urlencoded")];
    use base64::Engine;
    let basic = app.secret.as_ref().map(|secret| {
        format!(
            "Basic {}",
            base64::engine::general_purpose::STANDARD.encode(format!("{}:{secret}", app.id))
        )
    });
    match &basic {
        Some(basic) => headers.push(("authorization", basic)),
        None => form.push(pair("client_id", &app.id)),
    }
    let client = auth.server.anonymous();
    client
        .send(
            Method::POST,
            &format!("/auth/v1{path}"),
            &headers,
            Bytes::from(encoded(&form)),
        )
        .await
}

pub async fn redeem(auth: &Auth, app: &App, code: &str, verifier: &str) -> Answer {
    let fields = [
        ("grant_type", "authorization_code"),
        ("code", code),
        ("code_verifier", verifier),
        ("redirect_uri", HOME),
    ];
    post(auth, "/oauth/token", app, &fields).await
}

pub async fn refresh(auth: &Auth, app: &App, token: &str) -> Answer {
    post(
        auth,
        "/oauth/token",
        app,
        &[("grant_type", "refresh_token"), ("refresh_token", token)],
    )
    .await
}

fn oauth_error(answer: &Answer) -> (u16, String) {
    (
        answer.status.as_u16(),
        answer.json()["error"].as_str().unwrap_or_default().to_owned(),
    )
}

fn invalid_grant() -> (u16, String) {
    (400, "invalid_grant".into())
}

#[tokio::test]
async fn an_application_gets_what_the_user_agreed_to_and_no_more() {
    on_each_engine(project, async |_, auth: Auth| {
        let ann = auth.sign_up("ann@example.com").await;
        let app = public(&auth).await;
        let granted = redeem(
            &auth,
            &app,
            &code(&auth, &app, &ann, &[("nonce", "n-1")]).await,
            VERIFIER,
        )
        .await;
        assert_eq!(granted.status, 200, "{}", granted.text());
        assert_eq!(granted.header("cache-control"), "no-store");
        let body = granted.json();
        let text = |name: &str| body[name].as_str().unwrap().to_owned();
        let acting = Session {
            access_token: text("access_token"),
            refresh_token: text("refresh_token"),
            user: ann.user.clone(),
        };
        let claims = acting.claims();
        assert_eq!(
            (&claims["client_id"], &claims["scope"]),
            (&json!(app.id), &json!("openid email"))
        );
        assert_eq!(
            (&claims["role"], &claims["sub"]),
            (&json!("authenticated"), &json!(ann.id()))
        );
        assert_eq!(claims["amr"][0]["method"], "oauth_provider/authorization_code");
        let told = Session {
            access_token: text("id_token"),
            ..acting.clone()
        }
        .claims();
        assert_eq!(
            (&told["aud"], &told["nonce"], &told["email"]),
            (&json!(app.id), &json!("n-1"), &json!("ann@example.com"))
        );
        assert!(told.get("name").is_none() && told.get("role").is_none(), "{told}");

        // The account is the user's own affair.
        let as_app = Some(acting.access_token.as_str());
        for (method, path, body) in [
            (Method::PUT, "/user", json!({"password": "another password"})),
            (Method::POST, "/logout?scope=global", Value::Null),
            (Method::GET, "/user/oauth/grants", Value::Null),
            (
                Method::DELETE,
                "/user/identities/aaaaaaaa-0000-4000-8000-000000000001",
                Value::Null,
            ),
            (Method::GET, "/user/identities/authorize?provider=github", Value::Null),
        ] {
            let answer = auth.ask(method, path, as_app, body).await;
            assert_eq!(refusal(&answer), refused(403, "no_authorization"), "{path}");
        }
        let id = question(&auth, &app, &[]).await;
        assert_eq!(look(&auth, &acting, &id).await.status, 403);
        assert_eq!(decide(&auth, &acting, &id, "approve").await.status, 403);
        assert_eq!(auth.user(&acting.access_token).await.status, 200);

        // The users' own way of refreshing is not an application's, and the other way round.
        assert_eq!(
            refusal(&auth.refresh(&acting.refresh_token).await),
            refused(400, "refresh_token_not_found")
        );
        assert_eq!(
            oauth_error(&refresh(&auth, &app, &ann.refresh_token).await),
            invalid_grant()
        );
        let next = refresh(&auth, &app, &acting.refresh_token).await;
        assert_eq!(next.status, 200, "{}", next.text());
        assert!(next.json().get("user").is_none());
        assert_eq!(
            auth.user(&ann.access_token).await.status,
            200,
            "the user's own session goes on"
        );
    })
    .await;
}

#[tokio::test]
async fn nobody_is_sent_to_an_address_that_is_not_registered() {
    on_each_engine(project, async |_, auth: Auth| {
        let app = public(&auth).await;
        for to in [
            "https://evil.example/",
            "https://app.example/callback/",
            "https://app.example/callback?x=1",
            "https://app.example.evil.example/callback",
            "http://127.0.0.1:5555/other",
            "http://localhost/cb",
            "javascript:alert(1)",
        ] {
            let answer = begin(&auth, &app, &[("redirect_uri", to)]).await;
            assert_eq!(refusal(&answer), refused(400, "validation_failed"), "{to}");
            assert!(answer.headers.get("location").is_none());
        }
        assert_eq!(
            begin(&auth, &app, &[("redirect_uri", "http://127.0.0.1:5555/cb")])
                .await
                .status,
            302
        );
        for id in ["x", "00000000-0000-4000-8000-000000000000"] {
            let answer = begin(&auth, &app, &[("client_id", id)]).await;
            assert_eq!(refusal(&answer), refused(400, "oauth_client_not_found"), "{id}");
        }
        // What else is wrong is told to the application.
        for (more, error) in [
            (("code_challenge", ""), "invalid_request"),
            (("code_challenge_method", ""), "invalid_request"),
            (("code_challenge_method", "plain"), "invalid_request"),
            (("code_challenge", "short"), "invalid_request"),
            (("response_type", "token"), "unsupported_response_type"),
            (("scope", "admin"), "invalid_scope"),
            (("resource", "relative"), "invalid_target"),
            (("request", "x.y.z"), "request_not_supported"),
        ] {
            let answer = begin(&auth, &app, &[more]).await;
            let to = answer.header("location").to_owned();
            assert!(to.starts_with(HOME), "{more:?}: {to} {}", answer.text());
            let told = query(&to);
            assert_eq!(
                (told["error"].as_str(), told["state"].as_str()),
                (error, "the state"),
                "{more:?}"
            );
            assert_eq!(told["iss"], "http://127.0.0.1:54321/auth/v1");
        }
        for addresses in [
            json!([]),
            json!(["http://app.example/cb"]),
            json!(["https://app.example/#x"]),
            json!(["javascript:alert(1)"]),
            json!(["https://app.example/a,https://evil.example/"]),
            json!(vec!["https://app.example/"; 11]),
        ] {
            let answer = auth
                .post("/oauth/clients/register", json!({"redirect_uris": addresses}))
                .await;
            assert_eq!(refusal(&answer), refused(400, "validation_failed"), "{addresses}");
        }
    })
    .await;
}

#[tokio::test]
async fn a_code_is_its_applications_and_its_askers_alone_and_redeemed_once() {
    on_each_engine(project, async |_, auth: Auth| {
        let ann = auth.sign_up("ann@example.com").await;
        let app = public(&auth).await;
        let keeper = register(&auth, json!({"redirect_uris": [HOME]})).await;
        let stolen = code(&auth, &app, &ann, &[]).await;
        // By another application, without the verifier, with another one, at another address.
        assert_eq!(
            oauth_error(&redeem(&auth, &keeper, &stolen, VERIFIER).await),
            invalid_grant()
        );
        for verifier in ["", &VERIFIER.replace('d', "e"), CHALLENGE] {
            assert_eq!(
                oauth_error(&redeem(&auth, &app, &stolen, verifier).await),
                invalid_grant()
            );
        }
        let elsewhere = [
            ("grant_type", "authorization_code"),
            ("code", &stolen),
            ("code_verifier", VERIFIER),
            ("redirect_uri", "http://127.0.0.1/cb"),
        ];
        assert_eq!(
            oauth_error(&post(&auth, "/oauth/token", &app, &elsewhere).await),
            invalid_grant()
        );
        // Fifty at once: one.
        let came = futures_util::future::join_all((0..50).map(|_| redeem(&auth, &app, &stolen, VERIFIER))).await;
        let good = came.iter().filter(|answer| answer.status == 200).count();
        assert_eq!(good, 1);
        assert!(
            came.iter()
                .filter(|answer| answer.status != 200)
                .all(|answer| oauth_error(answer) == invalid_grant())
        );

        // Who does not prove who they are gets nothing.
        let wrong = App {
            id: keeper.id.clone(),
            secret: Some("wrong".into()),
        };
        let bare = App {
            id: keeper.id.clone(),
            secret: None,
        };
        let claiming = App {
            id: app.id.clone(),
            secret: Some("any".into()),
        };
        for impostor in [&wrong, &bare, &claiming] {
            let answer = redeem(&auth, impostor, "x", VERIFIER).await;
            assert_eq!(oauth_error(&answer), (401, "invalid_client".into()));
            assert!(answer.header("www-authenticate").starts_with("Basic"));
        }
        assert_eq!(
            oauth_error(&post(&auth, "/oauth/introspect", &app, &[("token", "x")]).await),
            (401, "invalid_client".into())
        );
        let unknown = post(&auth, "/oauth/introspect", &keeper, &[("token", &ann.access_token)]).await;
        assert_eq!(
            unknown.text(),
            r#"{"active":false}"#,
            "a user's own token is no application's affair"
        );
        let revoked = post(&auth, "/oauth/revoke", &keeper, &[("token", &ann.refresh_token)]).await;
        assert_eq!(revoked.status, 200);
        assert_eq!(
            auth.user(&ann.access_token).await.status,
            200,
            "and not to be ended by it"
        );
    })
    .await;
}

#[tokio::test]
async fn a_question_is_answered_by_the_user_who_was_asked() {
    on_each_engine(project, async |_, auth: Auth| {
        let ann = auth.sign_up("ann@example.com").await;
        let mallory = auth.sign_up("mallory@example.com").await;
        let app = public(&auth).await;
        let id = question(&auth, &app, &[]).await;
        let unseen = decide(&auth, &ann, &id, "approve").await;
        assert_eq!(
            refusal(&unseen),
            refused(404, "oauth_authorization_not_found"),
            "nobody has seen it"
        );
        assert_eq!(look(&auth, &ann, &id).await.json()["client"]["id"], json!(app.id));
        for answer in [
            look(&auth, &mallory, &id).await,
            decide(&auth, &mallory, &id, "approve").await,
        ] {
            assert_eq!(refusal(&answer), refused(404, "oauth_authorization_not_found"));
        }
        assert_eq!(
            refusal(&decide(&auth, &ann, &id, "maybe").await),
            refused(400, "validation_failed")
        );
        // Another page asks in the user's name.
        let client = auth
            .client(Some(&ann.access_token))
            .with("origin", "https://evil.example");
        let path = format!("/oauth/authorizations/{id}/consent");
        let answer = crate::auth::send(&client, Method::POST, &path, json!({"action": "approve"})).await;
        assert_eq!(refusal(&answer), refused(400, "validation_failed"));
        let denied = decide(&auth, &ann, &id, "deny").await.json()["redirect_url"]
            .as_str()
            .unwrap()
            .to_owned();
        assert_eq!(query(&denied)["error"], "access_denied");
        assert_eq!(
            refusal(&decide(&auth, &ann, &id, "approve").await),
            refused(400, "validation_failed")
        );

        // More than was agreed to is asked for again; less is not.
        code(&auth, &app, &ann, &[]).await;
        let less = question(&auth, &app, &[("scope", "email")]).await;
        assert!(look(&auth, &ann, &less).await.json()["redirect_url"].is_string());
        let more = question(&auth, &app, &[("scope", "openid email phone")]).await;
        assert!(look(&auth, &ann, &more).await.json()["redirect_url"].is_null());

        // Banned between the agreement and the code.
        let code = code(&auth, &app, &mallory, &[]).await;
        let ban = json!({"ban_duration": "24h"});
        let path = format!("/admin/users/{}", mallory.id());
        auth.ask(Method::PUT, &path, Some(&token::role("service_role")), ban)
            .await;
        assert_eq!(
            oauth_error(&redeem(&auth, &app, &code, VERIFIER).await),
            invalid_grant()
        );
    })
    .await;
}

#[tokio::test]
async fn what_is_switched_off_is_not_there() {
    on_each_engine(
        || with(""),
        async |_, auth: Auth| {
            let answer = auth
                .post("/oauth/clients/register", json!({"redirect_uris": [HOME]}))
                .await;
            assert_eq!(
                refusal(&answer),
                refused(403, "oauth_dynamic_client_registration_disabled")
            );
            let described = auth
                .ask(Method::GET, "/.well-known/openid-configuration", None, Value::Null)
                .await
                .json();
            assert!(described.get("registration_endpoint").is_none());
            assert_eq!(described["code_challenge_methods_supported"], json!(["S256"]));
            let before = auth.server.anonymous();
            let before = before
                .send(
                    Method::GET,
                    "/.well-known/oauth-authorization-server/auth/v1",
                    &[],
                    Bytes::new(),
                )
                .await;
            assert_eq!(before.json(), described);
            // Applications are made with the secret key alone, and their secrets are told once.
            let body = json!({"redirect_uris": [HOME], "client_name": "Ours"});
            assert_eq!(
                refusal(&auth.post("/admin/oauth/clients", body.clone()).await),
                refused(401, "no_authorization")
            );
            let service = token::role("service_role");
            let made = auth
                .ask(Method::POST, "/admin/oauth/clients", Some(&service), body)
                .await;
            assert_eq!(made.status, 201, "{}", made.text());
            let path = format!("/admin/oauth/clients/{}", made.json()["client_id"].as_str().unwrap());
            let shown = auth.ask(Method::GET, &path, Some(&service), Value::Null).await.json();
            assert!(
                shown.get("client_secret").is_none() && !shown.to_string().contains("hash"),
                "{shown}"
            );
        },
    )
    .await;
    on_each_engine(
        || Project::of("create table notes (id int primary key);"),
        async |_, auth: Auth| {
            for (method, path) in [
                (Method::GET, "/oauth/authorize"),
                (Method::POST, "/oauth/token"),
                (Method::POST, "/oauth/clients/register"),
                (Method::GET, "/.well-known/oauth-authorization-server"),
            ] {
                let answer = auth.ask(method, path, None, Value::Null).await;
                assert_eq!(refusal(&answer), refused(404, "feature_disabled"), "{path}");
            }
        },
    )
    .await;
}

/// Switching it off is what an operator does when something is wrong: then an application must not become the user.
#[tokio::test]
async fn an_application_is_no_user_once_the_server_for_applications_is_switched_off() {
    on_each_engine(project, async |_, mut auth: Auth| {
        let ann = auth.sign_up("ann@example.com").await;
        let app = public(&auth).await;
        let granted = redeem(&auth, &app, &code(&auth, &app, &ann, &[]).await, VERIFIER).await;
        let token = granted.json()["refresh_token"].as_str().unwrap().to_owned();
        assert_eq!(
            refusal(&auth.refresh(&token).await),
            refused(400, "refresh_token_not_found")
        );
        auth.server.kill();
        let path = auth.server.project.path().join("supabase/config.toml");
        let settings = std::fs::read_to_string(&path).unwrap();
        std::fs::write(
            &path,
            settings.replace(
                "[auth.oauth_server]\nenabled = true",
                "[auth.oauth_server]\nenabled = false",
            ),
        )
        .unwrap();
        auth.server.run().unwrap();
        assert_eq!(
            refusal(&auth.refresh(&token).await),
            refused(400, "refresh_token_not_found")
        );
        assert_eq!(oauth_error(&refresh(&auth, &app, &token).await).0, 404);
        crate::auth::session(&auth.refresh(&ann.refresh_token).await);
        // Switched on again, the application goes on where it was.
        auth.server.kill();
        std::fs::write(&path, settings).unwrap();
        auth.server.run().unwrap();
        assert_eq!(refresh(&auth, &app, &token).await.status, 200);
    })
    .await;
}

/// What is linked to an account opens it: by no route does an application link anything.
#[tokio::test]
async fn an_application_links_nothing_to_its_users_account() {
    let provider = Provider::start().await;
    let project = || project().config(&provider.settings());
    on_each_engine(project, async |_, auth: Auth| {
        let ann = auth.sign_up("ann@example.com").await;
        let app = public(&auth).await;
        let granted = redeem(&auth, &app, &code(&auth, &app, &ann, &[]).await, VERIFIER).await;
        let acting = granted.json()["access_token"].as_str().unwrap().to_owned();
        let token = provider.id_token(&Person::new("mallory", "mallory@example.com", true), None, None);
        let link = json!({"provider": "custom:acme", "id_token": token, "link_identity": true});
        let path = "/token?grant_type=id_token";
        let answer = auth.ask(Method::POST, path, Some(&acting), link.clone()).await;
        assert_eq!(refusal(&answer), refused(403, "no_authorization"));
        let identities = auth.user(&ann.access_token).await.json()["identities"].clone();
        assert_eq!(identities.as_array().unwrap().len(), 1, "{identities}");
        // The user may.
        let answer = auth.ask(Method::POST, path, Some(&ann.access_token), link).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
    })
    .await;
}

#[tokio::test]
async fn a_code_that_comes_again_ends_what_it_gave_and_nothing_else() {
    on_each_engine(project, async |_, auth: Auth| {
        let ann = auth.sign_up("ann@example.com").await;
        let (app, other) = (public(&auth).await, public(&auth).await);
        let (first, second) = (code(&auth, &app, &ann, &[]).await, code(&auth, &app, &ann, &[]).await);
        let given = redeem(&auth, &app, &first, VERIFIER).await.json();
        let kept = redeem(&auth, &app, &second, VERIFIER).await.json();
        let works = async |tokens: &Value| {
            let path = "/oauth/userinfo";
            auth.ask(Method::GET, path, tokens["access_token"].as_str(), Value::Null)
                .await
                .status
                == 200
        };
        // Not by another application, and not by a code that nobody has.
        assert_eq!(
            oauth_error(&redeem(&auth, &other, &first, VERIFIER).await),
            invalid_grant()
        );
        assert_eq!(
            oauth_error(&redeem(&auth, &app, "nothing", VERIFIER).await),
            invalid_grant()
        );
        assert!(works(&given).await && works(&kept).await);
        assert_eq!(
            oauth_error(&redeem(&auth, &app, &first, VERIFIER).await),
            invalid_grant()
        );
        assert!(!works(&given).await);
        let refresh = [
            ("grant_type", "refresh_token"),
            ("refresh_token", given["refresh_token"].as_str().unwrap()),
        ];
        assert_eq!(
            oauth_error(&post(&auth, "/oauth/token", &app, &refresh).await),
            invalid_grant()
        );
        // The user's other sessions go on, of this application and their own.
        assert!(works(&kept).await);
        assert_eq!(auth.user(&ann.access_token).await.status, 200);
    })
    .await;
}

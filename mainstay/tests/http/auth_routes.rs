//! Every route of sign-in: who may ask, what garbage does, and what a change of the schema does not.

use bytes::Bytes;
use http::Method;
use mainstay_auth::Access;
use mainstay_core::backend::Migration;
use mainstay_testing::{Client, Project, token};
use serde_json::{Value, json};

use crate::auth::{Auth, PASSWORD, on_each_engine, refusal, refused, send, session};
use crate::auth_confirmations::{json_of, post, room_on};
use crate::own_statements::on_each_database;

const CLIENT: &str = "aaaaaaaa-0000-4000-8000-000000000002";
/// Routes that are off without it.
const SWITCHED_ON: &str = "[auth.oauth_server]\nenabled = true\nallow_dynamic_registration = true\n\
     authorization_url_path = \"/consent\"\n[auth.passkey]\nenabled = true\n[mainstay.pages]\nenabled = true\n";
const ID: &str = "/admin/users/aaaaaaaa-0000-4000-8000-000000000001";
const PASSKEY: &str = "/passkeys/aaaaaaaa-0000-4000-8000-000000000002";
const FACTOR: &str = "/factors/aaaaaaaa-0000-4000-8000-000000000002";

/// Every route with the least that it takes: who may ask.
fn routes() -> Vec<(Method, String, Who)> {
    let own = |path: &str| path.to_owned();
    vec![
        (Method::GET, own("/health"), Who::Anybody),
        (Method::GET, own("/.well-known/jwks.json"), Who::Anybody),
        (Method::GET, own("/settings"), Who::Key),
        (Method::POST, own("/signup"), Who::Key),
        (Method::POST, own("/token?grant_type=password"), Who::Key),
        (Method::POST, own("/token?grant_type=refresh_token"), Who::Key),
        (Method::GET, own("/user"), Who::User),
        (Method::PUT, own("/user"), Who::User),
        (Method::POST, own("/logout"), Who::User),
        (Method::POST, own("/otp"), Who::Key),
        (Method::POST, own("/magiclink"), Who::Key),
        (Method::POST, own("/recover"), Who::Key),
        (Method::POST, own("/resend"), Who::Key),
        (Method::POST, own("/token?grant_type=pkce"), Who::Key),
        (Method::GET, own("/reauthenticate"), Who::User),
        (Method::GET, own("/verify?token=x&type=signup"), Who::Anybody),
        (Method::POST, own("/verify"), Who::Anybody),
        (Method::POST, own("/invite"), Who::Admin),
        (Method::POST, own("/admin/generate_link"), Who::Admin),
        (Method::GET, own("/authorize?provider=nobody"), Who::Anybody),
        (Method::GET, own("/callback"), Who::Anybody),
        (Method::POST, own("/callback"), Who::Anybody),
        (Method::GET, own("/user/identities/authorize"), Who::User),
        (Method::DELETE, own(&format!("/user/identities/{CLIENT}")), Who::User),
        (Method::GET, own("/.well-known/openid-configuration"), Who::Anybody),
        (
            Method::GET,
            own("/.well-known/oauth-authorization-server"),
            Who::Anybody,
        ),
        (Method::GET, own("/oauth/authorize"), Who::Anybody),
        (Method::POST, own("/oauth/clients/register"), Who::Anybody),
        (Method::GET, own("/oauth/userinfo"), Who::User),
        (Method::GET, own("/oauth/authorizations/x"), Who::User),
        (Method::POST, own("/oauth/authorizations/x/consent"), Who::User),
        (Method::GET, own("/user/oauth/grants"), Who::User),
        (Method::DELETE, own("/user/oauth/grants"), Who::User),
        (Method::GET, own("/admin/oauth/clients"), Who::Admin),
        (Method::POST, own("/admin/oauth/clients"), Who::Admin),
        (Method::GET, own(&format!("/admin/oauth/clients/{CLIENT}")), Who::Admin),
        (Method::PUT, own(&format!("/admin/oauth/clients/{CLIENT}")), Who::Admin),
        (
            Method::DELETE,
            own(&format!("/admin/oauth/clients/{CLIENT}")),
            Who::Admin,
        ),
        (
            Method::POST,
            own(&format!("/admin/oauth/clients/{CLIENT}/regenerate_secret")),
            Who::Admin,
        ),
        (Method::POST, own("/oauth/userinfo"), Who::User),
        (Method::POST, own("/oauth/token"), Who::Anybody),
        (Method::POST, own("/oauth/introspect"), Who::Anybody),
        (Method::POST, own("/oauth/revoke"), Who::Anybody),
        (Method::GET, own("/pages/sign-in"), Who::Anybody),
        (Method::POST, own("/pages/sign-in"), Who::Anybody),
        (Method::GET, own("/pages/reset/new"), Who::Anybody),
        (Method::POST, own("/pages/reset/new"), Who::Anybody),
        (Method::GET, own("/admin/audit"), Who::Admin),
        (Method::POST, own("/admin/users/import"), Who::Admin),
        (Method::POST, own(ID) + "/logout", Who::Admin),
        (Method::GET, own("/admin/users"), Who::Admin),
        (Method::POST, own("/admin/users"), Who::Admin),
        (Method::GET, own(ID), Who::Admin),
        (Method::PUT, own(ID), Who::Admin),
        (Method::DELETE, own(ID), Who::Admin),
        (Method::POST, own("/factors"), Who::User),
        (Method::GET, own("/factors/recovery-codes"), Who::User),
        (Method::POST, own("/factors/recovery-codes"), Who::User),
        (Method::POST, own("/factors/recovery-codes/regenerate"), Who::User),
        (Method::POST, own("/factors/recovery-codes/verify"), Who::User),
        (Method::DELETE, own("/factors/recovery-codes"), Who::User),
        (Method::POST, own(FACTOR) + "/challenge", Who::User),
        (Method::POST, own(FACTOR) + "/verify", Who::User),
        (Method::DELETE, own(FACTOR), Who::User),
        (Method::GET, own(ID) + "/factors", Who::Admin),
        (Method::PUT, own(ID) + FACTOR, Who::Admin),
        (Method::DELETE, own(ID) + FACTOR, Who::Admin),
        (Method::POST, own("/passkeys/registration/options"), Who::User),
        (Method::POST, own("/passkeys/registration/verify"), Who::User),
        (Method::POST, own("/passkeys/authentication/options"), Who::Key),
        (Method::POST, own("/passkeys/authentication/verify"), Who::Key),
        (Method::GET, own("/passkeys"), Who::User),
        (Method::PATCH, own(PASSKEY), Who::User),
        (Method::DELETE, own(PASSKEY), Who::User),
        (Method::GET, own(ID) + "/passkeys", Who::Admin),
        (Method::DELETE, own(ID) + PASSKEY, Who::Admin),
    ]
}

/// True for a path of the pattern.
fn is_of(pattern: &str, path: &str) -> bool {
    let path = path.split('?').next().unwrap();
    let (wanted, given): (Vec<_>, Vec<_>) = (pattern.split('/').collect(), path.split('/').collect());
    let mut parts = wanted.iter().zip(&given);
    wanted.len() == given.len() && parts.all(|(wanted, given)| *wanted == "{id}" || wanted == given)
}

#[test]
fn who_may_ask_is_said_of_every_route() {
    let said = routes();
    for (method, pattern, access) in mainstay_auth::table() {
        let whose = match access {
            Access::Open => Who::Anybody,
            Access::Key => Who::Key,
            Access::User => Who::User,
            Access::Admin => Who::Admin,
        };
        // `/factors/recovery-codes` is of the pattern `/factors/{id}`, too: it is enough that one of the paths is the route's.
        let mut own = said
            .iter()
            .filter(|(known, path, _)| known == method && is_of(pattern, path));
        assert!(own.any(|(_, _, said)| *said == whose), "{method} {pattern}");
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Who {
    Anybody,
    Key,
    User,
    Admin,
}

#[tokio::test]
async fn every_route_knows_who_may_ask() {
    let strict = || Project::new().config(&format!("require_key = true\n{SWITCHED_ON}"));
    on_each_engine(strict, async |_, auth: Auth| {
        let keys = auth.server.keys();
        let key = |name: &str| keys[name].as_str().unwrap().to_owned();
        let with = |name: &str| auth.client(None).with("apikey", &key(name));
        let body = json!({"email": "ann@example.com", "password": PASSWORD});
        let ann = session(&send(&with("publishable_key"), Method::POST, "/signup", body).await);
        let user = with("publishable_key").bearer(&ann.access_token);
        let bare = |name: &str| auth.client(Some(&key(name)));
        // Client, and up to which routes it gets.
        let clients: [(&str, Client, &[Who]); 7] = [
            ("nobody", auth.client(None), &[Who::Anybody]),
            (
                "a wrong key",
                auth.client(None).with("apikey", "sb_secret_wrong"),
                &[Who::Anybody],
            ),
            ("publishable", with("publishable_key"), &[Who::Anybody, Who::Key]),
            ("anon", bare("anon_key"), &[Who::Anybody, Who::Key]),
            ("ann", user, &[Who::Anybody, Who::Key, Who::User]),
            ("secret", with("secret_key"), &[Who::Anybody, Who::Key, Who::Admin]),
            (
                "service_role",
                bare("service_role_key"),
                &[Who::Anybody, Who::Key, Who::Admin],
            ),
        ];
        for (method, path, whose) in routes() {
            // Last, for it ends the session.
            if path == "/logout" {
                continue;
            }
            for (name, client, gets) in &clients {
                let answer = send(client, method.clone(), &path, json!({})).await;
                let code = answer.code();
                let known = ["MS-HTTP-001", "MS-HTTP-002", "no_authorization", "bad_jwt", "not_admin"];
                // Whoever is let in may still need the second factor, an application's secret or a form of the page.
                let is_other = whose == Who::Anybody && !known.contains(&code.as_str());
                let kept_out = matches!(answer.status.as_u16(), 401 | 403) && code != "insufficient_aal" && !is_other;
                assert_eq!(
                    !kept_out,
                    gets.contains(&whose),
                    "{name} {method} {path}: {}",
                    answer.text()
                );
                if kept_out {
                    assert!(
                        known.contains(&code.as_str()),
                        "{name} {method} {path}: {}",
                        answer.text()
                    );
                }
                assert!(answer.status.as_u16() < 500, "{}", answer.text());
            }
        }
        for (name, client, gets) in &clients {
            let answer = send(client, Method::POST, "/logout", Value::Null).await;
            assert_eq!(
                answer.status == 204,
                gets.contains(&Who::User),
                "{name}: {}",
                answer.text()
            );
        }
    })
    .await;
}

#[tokio::test]
async fn garbage_is_a_clients_mistake_and_the_server_stays() {
    let project = || Project::new().config(SWITCHED_ON);
    on_each_engine(project, async |_, mut auth: Auth| {
        let ann = auth.sign_up("ann@example.com").await;
        let deep = format!("{}{}", "[".repeat(10_000), "]".repeat(10_000));
        let nul = json!({"email": "a\u{0}b@example.com", "password": "\u{0}", "data": {"\u{0}": "\u{0}"},
                         "refresh_token": "\u{0}", "user_metadata": {"a": "\u{0}"}});
        let bodies: Vec<Bytes> = vec![
            Bytes::from_static(b""),
            Bytes::from_static(b"{"),
            Bytes::from_static(b"\xff\xfe\x00"),
            Bytes::from_static(b"null"),
            Bytes::from_static(b"[]"),
            Bytes::from_static(b"0"),
            Bytes::from(format!("{{\"data\":{deep}}}")),
            Bytes::from(nul.to_string()),
            Bytes::from(json!({"email": "\u{1f600}@example.com", "password": "\u{1f600}".repeat(10)}).to_string()),
            Bytes::from(json!({"email": format!("{}@x", "a".repeat(100_000)), "password": PASSWORD}).to_string()),
            Bytes::from(json!({"email": "b@x.y", "password": PASSWORD, "data": {"n": 1e308, "m": -0.0}}).to_string()),
            Bytes::from(vec![b' '; 2 * 1024 * 1024]),
            Bytes::from_static(b"email=a&password=b"),
        ];
        let service = token::role("service_role");
        for (method, path, whose) in routes() {
            // The page of a link is no JSON, and reads no body; a way back from a provider ends in a redirect. The ready
            // pages have a test of their own.
            let is_page = path.starts_with("/verify?") || path == "/callback" || path.starts_with("/pages/");
            if path == "/logout" || method == Method::DELETE || is_page {
                continue;
            }
            let client = match whose {
                Who::User => auth.client(Some(&ann.access_token)),
                Who::Admin => auth.client(Some(&service)),
                Who::Anybody | Who::Key => auth.client(None),
            };
            for body in &bodies {
                let answer = client
                    .send(method.clone(), &format!("/auth/v1{path}"), &[], body.clone())
                    .await;
                let shown = String::from_utf8_lossy(&body[..body.len().min(60)]).into_owned();
                assert!(
                    answer.status.as_u16() < 500,
                    "{method} {path} {shown}: {}",
                    answer.text()
                );
                let body = answer.json();
                assert!(body.is_object() || body.is_array(), "{method} {path} {shown}");
            }
        }
        for path in [
            "sign-in",
            "sign-up",
            "reset",
            "reset/new",
            "mfa",
            "consent",
            "account",
            "style.css",
        ] {
            for body in &bodies {
                let headers = [("content-type", "application/x-www-form-urlencoded")];
                let path = format!("/auth/v1/pages/{path}");
                let page = auth
                    .client(None)
                    .send(Method::POST, &path, &headers, body.clone())
                    .await;
                assert!(page.status.as_u16() < 500, "{path}: {}", page.text());
            }
        }
        for path in [
            "/admin/users/%00",
            "/admin/users/..%2f..",
            "/user/%ff",
            "/signup/../token",
            "//",
            "/%",
        ] {
            let answer = auth.ask(Method::GET, path, Some(&service), Value::Null).await;
            assert!(
                (400..500).contains(&answer.status.as_u16()),
                "{path}: {}",
                answer.text()
            );
        }
        assert!(auth.server.is_running());
        assert_eq!(auth.user(&ann.access_token).await.status, 200);
        let log = auth.log().await;
        assert!(!log.contains("panicked"), "{log}");
    })
    .await;
}

#[tokio::test]
async fn a_room_goes_on_when_the_schema_changes_under_it() {
    on_each_database("create table seen (who text)", async |backend, config| {
        let room = room_on(&backend, config.auth.unwrap());
        let sign = async |path: &str, query: Option<&str>, email: &str| {
            let body = json!({"email": email, "password": PASSWORD});
            let answer = post(&room, path, query, body).await;
            (answer.status.as_u16(), json_of(&answer))
        };
        let password = Some("grant_type=password");
        assert_eq!(sign("/signup", None, "ann@example.com").await.0, 200);
        assert_eq!(sign("/token", password, "ann@example.com").await.0, 200);
        for (version, sql) in [
            ("20240101000001", "create table other (id int primary key)"),
            (
                "20240101000002",
                "create function noted() returns trigger language plpgsql security definer set search_path = '' as $$
                 begin insert into public.seen values (new.email); return new; end; $$;
                 create trigger noted after insert on auth.users for each row execute function noted()",
            ),
            (
                "20240101000003",
                "alter table seen add column at timestamptz default now()",
            ),
        ] {
            let migration = Migration {
                version: version.into(),
                name: "m".into(),
                sql: sql.into(),
            };
            backend.migrate(&migration).await.unwrap();
            let (status, signed) = sign("/token", password, "ann@example.com").await;
            assert_eq!(status, 200, "{signed}");
            let refresh = json!({"refresh_token": signed["refresh_token"]});
            let answer = post(&room, "/token", Some("grant_type=refresh_token"), refresh).await;
            assert_eq!(answer.status, 200);
            let email = format!("u{version}@example.com");
            assert_eq!(sign("/signup", None, &email).await.0, 200);
        }
        let seen = backend
            .query(
                None,
                "select who from seen order by who",
                mainstay_core::backend::QueryMode::ReadOnly,
            )
            .await
            .unwrap();
        let seen: Vec<&str> = seen.rows.iter().map(|row| row[0].as_deref().unwrap()).collect();
        assert_eq!(seen, ["u20240101000002@example.com", "u20240101000003@example.com"]);
        // What a trigger cannot do any more is no sign-up; who is there goes on.
        let broken = Migration {
            version: "20240101000004".into(),
            name: "m".into(),
            sql: "drop table seen".into(),
        };
        backend.migrate(&broken).await.unwrap();
        let (status, answer) = sign("/signup", None, "late@example.com").await;
        assert_eq!(
            (status, &answer["message"]),
            (500, &json!("Database error saving new user"))
        );
        assert_eq!(sign("/token", password, "ann@example.com").await.0, 200);
    })
    .await;
}

#[tokio::test]
async fn an_answer_is_kept_by_nobody() {
    on_each_engine(Project::new, async |_, auth: Auth| {
        let ann = auth.sign_up("ann@example.com").await;
        for (method, path) in [(Method::GET, "/user"), (Method::GET, "/settings")] {
            let answer = auth.ask(method, path, Some(&ann.access_token), Value::Null).await;
            assert_eq!(answer.header("cache-control"), "no-store", "{path}");
        }
        let refused_answer = auth.try_sign_in("ann@example.com", "wrong").await;
        assert_eq!(refusal(&refused_answer), refused(400, "invalid_credentials"));
        assert_eq!(refused_answer.header("cache-control"), "no-store");
    })
    .await;
}

//! Security suite `ssrf` over the whole program: everything that the server asks for by itself, at every spelling of an
//! address that is not the internet's. Nothing is asked unless the settings allow it, and the answer is an error with a
//! code that says nothing of what is there. The guard itself: `crates/http/src/outgoing`.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::Method;
use mainstay_testing::{Answer, Engine, Project, Server, token};
use serde_json::{Value, json};

use crate::auth::{Auth, PASSWORD, on_each_engine, session};
use crate::auth_hooks_web::SECRET;
use crate::auth_mail::CLOCK;
use crate::both::PROGRAM;
use crate::listener::Listener;

const JSON: &str = "application/json";
/// What operators read of an address that is not asked.
const REFUSED: &str = "the address may not be asked";

/// This machine, spelt otherwise. `{port}` is where the listener is; a name is one that resolves to it.
const SPELLINGS: &[&str] = &[
    "127.0.0.1:{port}",
    "127.1:{port}",
    "2130706433:{port}",
    "0x7f000001:{port}",
    "0177.0.0.1:{port}",
    "0.0.0.0:{port}",
    "localhost:{port}",
    "LOCALHOST.:{port}",
    "[::1]:{port}",
    "[::ffff:127.0.0.1]:{port}",
    "[::ffff:7f00:1]:{port}",
    "[::127.0.0.1]:{port}",
    "[64:ff9b::7f00:1]:{port}",
    "user@127.0.0.1:{port}",
];

/// Where nobody on the internet is: clouds' secrets and networks behind the server. Nothing answers there, so that each
/// refusal must come at once.
const INSIDE: &[&str] = &["169.254.169.254", "10.0.0.1", "[fd00:ec2::254]"];

/// A way to make the server ask: its settings for an address, and the request that leads there.
struct Way {
    name: &'static str,
    settings: fn(&str) -> String,
    /// Of the address.
    ask: fn(&str) -> (Method, &'static str, Value),
}

fn issuer(url: &str) -> String {
    format!("[mainstay.external.acme]\nenabled = true\nclient_id = \"x\"\nsecret = \"x\"\nissuer = \"{url}\"\n")
}

fn hook(name: &str, url: &str) -> String {
    format!("[auth.hook.{name}]\nenabled = true\nuri = \"{url}/hook\"\nsecrets = \"v1,whsec_{SECRET}\"\n")
}

/// A token that only the keys of `issuer` could verify.
fn token_of(issuer: &str) -> String {
    let part = |json: Value| URL_SAFE_NO_PAD.encode(json.to_string());
    let header = part(json!({"alg": "ES256", "kid": "k"}));
    let claims = part(json!({"iss": issuer, "sub": "x", "aud": "x", "exp": token::now() + 600}));
    format!("{header}.{claims}.AAAA")
}

fn sign_up(_: &str) -> (Method, &'static str, Value) {
    let body = json!({"email": "ann@example.com", "password": PASSWORD,
        "gotrue_meta_security": {"captcha_token": "x"}});
    (Method::POST, "/signup", body)
}

const WAYS: &[Way] = &[
    Way {
        name: "discovery of an issuer",
        settings: issuer,
        ask: |_| (Method::GET, "/authorize?provider=custom:acme", Value::Null),
    },
    Way {
        name: "keys of an issuer",
        settings: issuer,
        ask: |url| {
            let body = json!({"provider": "custom:acme", "id_token": token_of(url)});
            (Method::POST, "/token?grant_type=id_token", body)
        },
    },
    Way {
        name: "a hook before a sign-up",
        settings: |url| hook("before_user_created", url),
        ask: sign_up,
    },
    Way {
        name: "a hook on tokens",
        settings: |url| hook("custom_access_token", url),
        ask: sign_up,
    },
    Way {
        name: "a captcha's service",
        settings: |url| {
            format!(
                "[auth.captcha]\nenabled = true\nprovider = \"turnstile\"\nsecret = \"x\"\n\
                 [mainstay.captcha]\nurl = \"{url}/siteverify\"\n"
            )
        },
        ask: sign_up,
    },
    Way {
        name: "leaked passwords",
        settings: |url| {
            format!("[mainstay.passwords]\nhibp = true\nhibp_fail_closed = true\nhibp_url = \"{url}/range\"\n")
        },
        ask: sign_up,
    },
];

fn project(way: &Way, address: &str, allow: &str) -> Project {
    let url = format!("http://{address}");
    Project::new().config(&format!(
        "{}[mainstay.outgoing]\nallow = [{allow}]\n",
        (way.settings)(&url)
    ))
}

async fn asked(auth: &Auth, way: &Way, address: &str) -> Answer {
    let (method, path, body) = (way.ask)(&format!("http://{address}"));
    auth.ask(method, path, None, body).await
}

/// The code of an error, by either protocol.
fn code(answer: &Answer) -> String {
    let body = answer.json();
    let code = body["code"].as_str().or(body["error"].as_str());
    code.unwrap_or_default().to_owned()
}

#[tokio::test]
async fn no_spelling_of_this_machine_is_asked() {
    let listener = Listener::start(|_| (200, JSON, "{}".into())).await;
    let port = listener.url.rsplit(':').next().unwrap().to_owned();
    for way in WAYS {
        let mut refusals = std::collections::BTreeSet::new();
        for spelling in SPELLINGS {
            let address = spelling.replace("{port}", &port);
            let project = project(way, &address, "");
            let started = Server::try_start(PROGRAM, Engine::Sqlite, project, &[]).await;
            // Settings that name no server are refused at the start.
            let Ok(server) = started else { continue };
            let auth = Auth { server };
            let answer = asked(&auth, way, &address).await;
            assert!(
                answer.status.is_client_error() || answer.status.is_server_error(),
                "{} at {address}: {} {}",
                way.name,
                answer.status,
                answer.text()
            );
            assert!(!code(&answer).is_empty(), "{}: {}", way.name, answer.text());
            assert!(!answer.text().contains(&port), "{}: {}", way.name, answer.text());
            refusals.insert((answer.status.as_u16(), code(&answer)));
        }
        assert!(!refusals.is_empty(), "{}: nothing was asked", way.name);
        assert_eq!(refusals.len(), 1, "{}: {refusals:?}", way.name);
        assert!(listener.heard().is_empty(), "{}: {:?}", way.name, listener.heard());
    }
}

#[tokio::test]
async fn networks_behind_the_server_are_not_asked() {
    for way in WAYS {
        for address in INSIDE {
            let auth = Auth::start(Engine::Sqlite, project(way, address, "")).await;
            let answer = asked(&auth, way, address).await;
            assert!(
                answer.status.as_u16() >= 400 && !code(&answer).is_empty(),
                "{} at {address}: {}",
                way.name,
                answer.text()
            );
            // It was refused, and not waited for: the reason that operators read says so.
            auth.server.log_with(REFUSED).await;
            let log = auth.log().await;
            assert!(log.contains(REFUSED), "{} at {address}: {log}", way.name);
            assert!(!log.contains("panicked"), "{log}");
        }
    }
}

#[tokio::test]
async fn the_same_address_is_asked_once_the_settings_allow_it() {
    for way in WAYS {
        let listener = Listener::start(|_| (200, JSON, "{}".into())).await;
        let address = listener.url.trim_start_matches("http://").to_owned();
        let auth = Auth::start(Engine::Sqlite, project(way, &address, "\"127.0.0.1\"")).await;
        asked(&auth, way, &address).await;
        assert!(!listener.heard().is_empty(), "{}: the test asks nothing", way.name);
    }
}

#[tokio::test]
async fn a_redirect_is_an_answer_and_leads_nowhere() {
    // Allowed is the first; the second, on the same machine, hears what follows a redirect.
    let second = Listener::start(|_| (200, JSON, json!({"success": true}).to_string())).await;
    let to = second.url.clone();
    for status in [302, 307] {
        let to = to.clone();
        let first = Listener::start(move |_| (status, "text/html", format!("<a href=\"{to}\">there</a>"))).await;
        let address = first.url.trim_start_matches("http://").to_owned();
        for way in WAYS {
            let auth = Auth::start(Engine::Sqlite, project(way, &address, "\"127.0.0.1\"")).await;
            let answer = asked(&auth, way, &address).await;
            assert!(
                answer.status.as_u16() >= 400,
                "{} {status}: {} {}",
                way.name,
                answer.status,
                answer.text()
            );
        }
        assert!(!first.heard().is_empty());
    }
    assert!(second.heard().is_empty(), "{:?}", second.heard());
}

/// What an issuer describes is a stranger's word: its addresses are judged as any other, also where the issuer itself is
/// allowed.
#[tokio::test]
async fn what_an_issuer_points_to_is_judged_for_itself() {
    let inside = Listener::start(|_| (200, JSON, "{}".into())).await;
    let port = inside.url.rsplit(':').next().unwrap().to_owned();
    let signer = crate::oauth_provider::key();
    // `[::1]` is not `127.0.0.1`, which is allowed for the issuer's sake; a name that has an allowed address may be asked.
    for (pointed, said) in [
        (format!("http://[::1]:{port}"), REFUSED),
        (format!("http://localhost:{port}"), ""),
        ("http://169.254.169.254/latest/meta-data".to_owned(), REFUSED),
        ("file:///etc/passwd".to_owned(), "the URL cannot be asked"),
        ("gopher://127.0.0.1/".to_owned(), "the URL cannot be asked"),
    ] {
        for endpoint in ["jwks_uri", "token_endpoint"] {
            let what = format!("{endpoint} at {pointed}");
            let described = std::sync::Arc::new(std::sync::Mutex::new(Value::Null));
            let (own, keys) = (described.clone(), signer.jwks());
            let listener = Listener::start(move |heard| {
                let body = match heard.line.as_str() {
                    "GET /keys" => keys.to_string(),
                    _ => own.lock().unwrap().to_string(),
                };
                (200, JSON, body)
            })
            .await;
            let url = &listener.url;
            let mut description = json!({"issuer": url, "authorization_endpoint": format!("{url}/authorize"),
                "token_endpoint": format!("{url}/token"), "jwks_uri": format!("{url}/keys"),
                "code_challenge_methods_supported": ["S256"]});
            description[endpoint] = json!(format!("{pointed}/there"));
            *described.lock().unwrap() = description;
            let settings = format!("{}[mainstay.outgoing]\nallow = [\"127.0.0.1\"]\n", issuer(url));
            let before = inside.heard().len();
            let auth = Auth::start(Engine::Sqlite, Project::new().config(&settings)).await;
            let mut browser = crate::oauth::Browser::default();
            let away = browser.get(&auth, "/authorize?provider=custom:acme").await;
            // Keys are read with the description, tokens are asked for by whoever comes back.
            if endpoint == "token_endpoint" {
                assert_eq!(away.status, 302, "{what}: {}", away.text());
                let state = crate::oauth_provider::query(away.header("location"))["state"].clone();
                let back = [("code".to_owned(), "x".to_owned()), ("state".to_owned(), state)];
                let end = browser.come_back(&auth, &back).await;
                assert!(!end.contains("access_token"), "{what}: {end}");
            } else {
                assert_eq!(away.status, 500, "{what}: {}", away.text());
            }
            let log = auth.log().await;
            assert!(log.contains(said), "{what}: {log}");
            let is_asked = inside.heard().len() > before;
            assert_eq!(is_asked, said.is_empty(), "{what}: {:?} {log}", inside.heard());
        }
    }
}

#[tokio::test]
async fn a_sender_of_messages_inside_is_not_asked_and_nobody_waits_for_it() {
    let listener = Listener::start(|_| (201, JSON, "{}".into())).await;
    let sms = "[auth.sms]\nenable_signup = true\nenable_confirmations = true\nmax_frequency = \"0s\"\n\
        [auth.sms.twilio]\nenabled = true\naccount_sid = \"AC1\"\nmessage_service_sid = \"MG1\"\nauth_token = \"t\"\n";
    for (allow, is_asked) in [("", false), ("\"127.0.0.1\"", true)] {
        let project = Project::of(CLOCK).config(&format!("{sms}[mainstay.outgoing]\nallow = [{allow}]\n"));
        let text = std::fs::read_to_string(project.path().join("supabase/config.toml")).unwrap();
        let url = format!("[mainstay]\nsms_url = \"{}\"\n", listener.url);
        let project = project.file("supabase/config.toml", &text.replacen("[mainstay]\n", &url, 1));
        let auth = Auth::start(Engine::Sqlite, project).await;
        let answer = auth.post("/otp", json!({"phone": "4799999991"})).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        match is_asked {
            true => {
                for _ in 0..1_000 {
                    if !listener.heard().is_empty() {
                        break;
                    }
                    tokio::time::sleep(std::time::Duration::from_millis(10)).await;
                }
                assert_eq!(listener.heard().len(), 1);
            }
            false => {
                // The failure is said once it has been tried.
                let log = auth.server.log_with("could not be").await;
                assert!(listener.heard().is_empty(), "{log}");
            }
        }
    }
}

#[tokio::test]
async fn keys_of_a_third_party_inside_are_not_asked() {
    let listener = Listener::start(|_| (200, JSON, "{}".into())).await;
    let project = || {
        Project::of("create table notes (id int primary key); grant select on notes to authenticated;").config(
            &format!(
                "[mainstay.third_party.abroad]\nissuer = \"{}\"\naudience = \"x\"\n",
                listener.url
            ),
        )
    };
    on_each_engine(project, async |_, auth: Auth| {
        let ann = session(&auth.try_sign_up("ann@example.com", json!({})).await);
        assert_eq!(auth.user(&ann.access_token).await.status, 200);
        let strange = token_of(&listener.url);
        for _ in 0..3 {
            let answer = auth.server.anonymous().bearer(&strange).get("notes").await;
            assert_eq!(answer.status, 401, "{}", answer.text());
        }
        let log = auth.server.log_with(REFUSED).await;
        assert!(log.contains(REFUSED), "{log}");
        assert!(listener.heard().is_empty(), "{:?}", listener.heard());
    })
    .await;
}

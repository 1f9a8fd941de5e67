//! Signing in by a provider: to it and back, in both flows, and everything that can go wrong on the way.

use bytes::Bytes;
use http::Method;
use mainstay_testing::{Answer, Project};
use serde_json::{Value, json};

use crate::auth::{Auth, Session, on_each_engine, refusal, refused, session};
use crate::oauth_provider::{Person, Provider, encoded, fragment, query};

/// RFC 7636, appendix B.
pub const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
pub const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
pub const APP: &str = "https://shop.example/welcome";

pub fn project(provider: &Provider, more: &str) -> Project {
    Project::of("create table notes (id int primary key);").config(&format!(
        "{}[auth]\nsite_url = \"https://shop.example\"\nenable_manual_linking = true\n\
         enable_anonymous_sign_ins = true\n{more}",
        provider.settings()
    ))
}

/// A browser: it keeps cookies and goes where it is sent.
#[derive(Default)]
pub struct Browser {
    cookies: Vec<(String, String)>,
}

impl Browser {
    pub async fn get(&mut self, auth: &Auth, path: &str) -> Answer {
        self.send(auth, Method::GET, path, "").await
    }

    pub async fn send(&mut self, auth: &Auth, method: Method, path: &str, body: &str) -> Answer {
        let cookies: Vec<String> = self
            .cookies
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        let cookies = cookies.join("; ");
        let mut headers = vec![("content-type", "application/x-www-form-urlencoded")];
        if !cookies.is_empty() {
            headers.push(("cookie", &cookies));
        }
        let client = auth.server.anonymous();
        let answer = client
            .send(
                method,
                &format!("/auth/v1{path}"),
                &headers,
                Bytes::from(body.to_owned()),
            )
            .await;
        for cookie in answer.headers.get_all("set-cookie") {
            let cookie = cookie.to_str().unwrap();
            assert!(cookie.contains("HttpOnly") && cookie.contains("SameSite="), "{cookie}");
            let (name, rest) = cookie.split_once('=').unwrap();
            self.cookies.retain(|(known, _)| known != name);
            let value = rest.split(';').next().unwrap();
            if !value.is_empty() {
                self.cookies.push((name.into(), value.into()));
            }
        }
        answer
    }

    /// Goes to the provider and comes back with what it says. Gives where the browser ends.
    pub async fn sign_in(&mut self, auth: &Auth, provider: &Provider, path: &str, person: &Person) -> String {
        let away = self.get(auth, path).await;
        assert_eq!(away.status, 302, "{}", away.text());
        let back = provider.consent(away.header("location"), person);
        self.come_back(auth, &back).await
    }

    pub async fn come_back(&mut self, auth: &Auth, back: &[(String, String)]) -> String {
        let end = self.get(auth, &format!("/callback?{}", encoded(back))).await;
        assert_eq!(end.status, 303, "{}", end.text());
        assert_eq!(end.header("cache-control"), "no-store");
        end.header("location").to_owned()
    }
}

pub fn implicit(provider: &str) -> String {
    format!("/authorize?provider={provider}&redirect_to={APP}")
}

pub fn pkce(provider: &str) -> String {
    format!(
        "{}&code_challenge={CHALLENGE}&code_challenge_method=s256",
        implicit(provider)
    )
}

/// The session that a browser brings home in its fragment.
pub async fn landed(auth: &Auth, location: &str) -> Session {
    assert!(location.starts_with(APP), "{location}");
    let found = fragment(location);
    let get = |name: &str| found.get(name).cloned().unwrap_or_else(|| panic!("{name}: {location}"));
    let user = auth.user(&get("access_token")).await;
    assert_eq!(user.status, 200, "{}", user.text());
    Session {
        access_token: get("access_token"),
        refresh_token: get("refresh_token"),
        user: user.json(),
    }
}

/// Exchanges the code of an address.
pub async fn exchange(auth: &Auth, location: &str, verifier: &str) -> Answer {
    let code = query(location).get("code").cloned().unwrap_or_default();
    auth.post(
        "/token?grant_type=pkce",
        json!({"auth_code": code, "code_verifier": verifier}),
    )
    .await
}

/// `error`, `error_code` of an address, the same in query and fragment.
pub fn failure(location: &str) -> (String, String) {
    let read = |found: std::collections::HashMap<String, String>| {
        let get = |name: &str| found.get(name).cloned().unwrap_or_default();
        assert!(!get("error_description").is_empty(), "{location}");
        assert!(
            !found.contains_key("access_token") && !found.contains_key("code"),
            "{location}"
        );
        (get("error"), get("error_code"))
    };
    assert_eq!(read(query(location)), read(fragment(location)));
    read(fragment(location))
}

pub fn failed(error: &str, code: &str) -> (String, String) {
    (error.into(), code.into())
}

#[tokio::test]
async fn somebody_comes_back_signed_in_and_is_known_the_next_time() {
    let provider = Provider::start().await;
    let ann = Person::new("ann-1", "Ann@Example.com", true);
    on_each_engine(
        || project(&provider, ""),
        async |_, auth: Auth| {
            for name in ["custom:acme", "github", "discord"] {
                let mut ann = ann.clone();
                ann.claims["sub"] = json!(format!("{name}-1"));
                ann.claims["email"] = json!(format!("{}@example.com", name.replace(':', "-")));
                let mut browser = Browser::default();
                let end = browser.sign_in(&auth, &provider, &implicit(name), &ann).await;
                let first = landed(&auth, &end).await;
                assert_eq!(first.user["email"], ann.claims["email"]);
                assert_eq!(
                    first.user["app_metadata"],
                    json!({"provider": name, "providers": [name]})
                );
                assert_eq!(first.claims()["amr"][0]["method"], "oauth");
                let identity = &first.user["identities"][0];
                assert_eq!(
                    (&identity["provider"], &identity["id"]),
                    (&json!(name), &ann.claims["sub"])
                );
                assert_eq!(identity["identity_data"]["email_verified"], true);
                let full = if name == "discord" { "ann" } else { "Ann" };
                assert_eq!(first.user["user_metadata"]["full_name"], full, "{name}");
                assert!(fragment(&end)["provider_token"].starts_with("access-"));
                assert!(fragment(&end)["provider_refresh_token"].starts_with("refresh-"));

                // With a challenge: a code, which only the verifier redeems, and once.
                let end = browser.sign_in(&auth, &provider, &pkce(name), &ann).await;
                assert!(end.starts_with(APP) && !end.contains('#'), "{end}");
                let wrong = exchange(&auth, &end, &VERIFIER.replace('d', "e")).await;
                assert_eq!(refusal(&wrong), refused(400, "bad_code_verifier"));
                let answer = exchange(&auth, &end, VERIFIER).await;
                let second = session(&answer);
                assert_eq!(second.id(), first.id(), "{name}");
                assert!(answer.json()["provider_token"].as_str().unwrap().starts_with("access-"));
                let again = exchange(&auth, &end, VERIFIER).await;
                assert_eq!(refusal(&again), refused(404, "flow_state_not_found"));
            }
        },
    )
    .await;
}

#[tokio::test]
async fn the_way_to_a_provider_carries_what_it_must_and_no_more() {
    let provider = Provider::start().await;
    on_each_engine(
        || project(&provider, ""),
        async |_, auth: Auth| {
            let mut browser = Browser::default();
            let path = format!(
                "{}&scopes=calendar%20files,files&prompt=consent&state=mine&redirect_uri=https://evil.example\
             &client_secret=x&nonce=mine&NONCE=mine&response_type=token",
                pkce("custom:acme")
            );
            let away = browser.get(&auth, &path).await;
            let location = away.header("location").to_owned();
            assert!(
                location.starts_with(&format!("{}/authorize?tenant=1&", provider.url())),
                "{location}"
            );
            let sent = query(&location);
            let get = |name: &str| sent.get(name).map(String::as_str);
            let callback = format!("{}/auth/v1/callback", auth.server.url);
            assert_eq!(get("redirect_uri"), Some(callback.as_str()));
            assert_eq!(get("scope"), Some("openid email profile calendar files"));
            assert_eq!(get("prompt"), Some("consent"));
            assert_eq!(get("response_type"), Some("code"));
            assert_eq!(get("code_challenge_method"), Some("S256"));
            assert_ne!(
                get("code_challenge"),
                Some(CHALLENGE),
                "the application's is not the provider's"
            );
            assert!(get("state") != Some("mine") && get("nonce") != Some("mine"));
            assert_eq!(get("NONCE"), None);
            assert!(!location.contains("evil") && get("client_secret").is_none());

            let settings = auth.ask(Method::GET, "/settings", None, Value::Null).await.json();
            assert_eq!(
                (&settings["external"]["github"], &settings["external"]["google"]),
                (&json!(true), &json!(false))
            );

            for (path, status, code) in [
                ("/authorize", 400, "validation_failed"),
                ("/authorize?provider=nobody", 400, "validation_failed"),
                ("/authorize?provider=google", 400, "validation_failed"),
                (
                    "/authorize?provider=github&code_challenge=short&code_challenge_method=s256",
                    400,
                    "validation_failed",
                ),
                (
                    "/authorize?provider=github&code_challenge_method=s256",
                    400,
                    "validation_failed",
                ),
            ] {
                let answer = auth.ask(Method::GET, path, None, Value::Null).await;
                assert_eq!(refusal(&answer), refused(status, code), "{path}");
            }
        },
    )
    .await;
}

#[tokio::test]
async fn a_state_comes_back_once_and_to_its_own_browser() {
    let provider = Provider::start().await;
    let ann = Person::new("ann-1", "ann@example.com", true);
    on_each_engine(
        || project(&provider, ""),
        async |_, auth: Auth| {
            let site = "https://shop.example";
            let mut browser = Browser::default();
            for (name, path) in [("implicit", implicit("custom:acme")), ("pkce", pkce("custom:acme"))] {
                let away = browser.get(&auth, &path).await;
                let location = away.header("location").to_owned();
                let back = provider.consent(&location, &ann);
                let again = provider.consent(&location, &ann);
                assert!(browser.come_back(&auth, &back).await.starts_with(APP), "{name}");
                let replayed = browser.come_back(&auth, &again).await;
                assert!(replayed.starts_with(site), "{replayed}");
                assert_eq!(failure(&replayed).1, "bad_oauth_state", "{name}");
            }
            for state in ["", "x", "00000000-0000-4000-8000-000000000000"] {
                let end = browser
                    .come_back(&auth, &[("code".into(), "x".into()), ("state".into(), state.into())])
                    .await;
                let code = if state.is_empty() {
                    "bad_oauth_callback"
                } else {
                    "bad_oauth_state"
                };
                assert_eq!(failure(&end), failed("invalid_request", code));
            }

            // Somebody sends a victim the end of their own flow: the victim must not end up as them.
            let away = browser.get(&auth, &implicit("custom:acme")).await;
            let back = provider.consent(away.header("location"), &ann);
            let mut victim = Browser::default();
            let end = victim.come_back(&auth, &back).await;
            assert_eq!(failure(&end), failed("invalid_request", "bad_oauth_state"));

            // The code of one flow in the state of another is no use: the proof towards the provider is the flow's own.
            let one = browser
                .get(&auth, &pkce("custom:acme"))
                .await
                .header("location")
                .to_owned();
            let other = browser
                .get(&auth, &pkce("custom:acme"))
                .await
                .header("location")
                .to_owned();
            let mut back = provider.consent(&one, &Person::new("mallory", "mallory@example.com", true));
            back[1].1 = query(&other)["state"].clone();
            let end = browser.come_back(&auth, &back).await;
            assert_eq!(failure(&end), failed("server_error", "unexpected_failure"));
        },
    )
    .await;
}

#[tokio::test]
async fn what_the_provider_refuses_or_gets_wrong_signs_nobody_in() {
    let provider = Provider::start().await;
    on_each_engine(
        || project(&provider, ""),
        async |_, auth: Auth| {
            let mut browser = Browser::default();
            for path in [implicit("custom:acme"), pkce("custom:acme")] {
                let away = browser.get(&auth, &path).await;
                let state = query(away.header("location"))["state"].clone();
                let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
                let back = [
                    pair("state", &state),
                    pair("error", "access_denied"),
                    pair("error_description", "The user said no"),
                ];
                let end = browser.come_back(&auth, &back).await;
                assert!(end.starts_with(APP), "{end}");
                assert_eq!(failure(&end).0, "access_denied");
                assert_eq!(fragment(&end)["error_description"], "The user said no");
            }
            let ann = Person::new("ann-1", "ann@example.com", true);
            let strange = Person {
                strange_key: true,
                ..ann.clone()
            };
            let forgeries = [
                ("nonce", ann.clone().forged(json!({"nonce": "another"}))),
                ("no nonce", ann.clone().forged(json!({"nonce": null}))),
                ("audience", ann.clone().forged(json!({"aud": "somebody else"}))),
                (
                    "audiences",
                    ann.clone().forged(json!({"aud": ["the shop", "somebody else"]})),
                ),
                ("issuer", ann.clone().forged(json!({"iss": "https://evil.example"}))),
                ("expired", ann.clone().forged(json!({"exp": 1_700_000_000}))),
                ("no expiry", ann.clone().forged(json!({"exp": null}))),
                ("text expiry", ann.clone().forged(json!({"exp": "9999999999"}))),
                ("future", ann.clone().forged(json!({"iat": 9_999_999_999_i64}))),
                (
                    "access token",
                    ann.clone().forged(json!({"at_hash": "AAAAAAAAAAAAAAAAAAAAAA"})),
                ),
                ("no subject", ann.clone().forged(json!({"sub": null}))),
                ("empty subject", ann.clone().forged(json!({"sub": ""}))),
                ("strange key", strange),
            ];
            for (name, person) in forgeries {
                let end = browser
                    .sign_in(&auth, &provider, &implicit("custom:acme"), &person)
                    .await;
                assert_eq!(failure(&end), failed("server_error", "unexpected_failure"), "{name}");
            }
            // A mix-up: the answer names another issuer, or none.
            for issuer in [Some("https://evil.example"), None] {
                let away = browser.get(&auth, &implicit("custom:acme")).await;
                let mut back = provider.consent(away.header("location"), &ann);
                back.retain(|(name, _)| name != "iss");
                back.extend(issuer.map(|issuer| ("iss".into(), issuer.into())));
                let before = provider.seen().iter().filter(|seen| *seen == "POST /token").count();
                let end = browser.come_back(&auth, &back).await;
                assert_eq!(failure(&end), failed("invalid_request", "bad_oauth_callback"));
                let after = provider.seen().iter().filter(|seen| *seen == "POST /token").count();
                assert_eq!(before, after, "its code went to nobody");
            }
            let users = auth
                .ask(
                    Method::GET,
                    "/admin/users",
                    Some(&mainstay_testing::token::role("service_role")),
                    Value::Null,
                )
                .await;
            assert_eq!(users.json()["users"], json!([]), "nobody was made");

            // A new key is looked for; the same person is then believed.
            provider.rotate();
            let end = browser.sign_in(&auth, &provider, &implicit("custom:acme"), &ann).await;
            assert_eq!(failure(&end).0, "server_error", "it was looked at a moment ago");

            let log = auth.log().await;
            for secret in ["code-", "access-", "refresh-", crate::oauth_provider::CLIENT_SECRET] {
                assert!(!log.contains(secret), "{secret} is in the log");
            }
        },
    )
    .await;
}

#[tokio::test]
async fn browsers_are_sent_nowhere_else() {
    let provider = Provider::start().await;
    let ann = Person::new("ann-1", "ann@example.com", true);
    on_each_engine(
        || project(&provider, ""),
        async |_, auth: Auth| {
            for to in [
                "https://evil.example",
                "//evil.example",
                "javascript:alert(1)",
                "https://shop.example@evil.example",
            ] {
                let to: String = to.bytes().map(|byte| format!("%{byte:02X}")).collect();
                let path = format!("/authorize?provider=github&redirect_to={to}");
                let mut browser = Browser::default();
                let end = browser.sign_in(&auth, &provider, &path, &ann).await;
                assert!(
                    end.starts_with("https://shop.example#") || end.starts_with("https://shop.example/#"),
                    "{end}"
                );
            }
            // Apple's way: the answer is a form.
            let mut browser = Browser::default();
            let away = browser.get(&auth, &implicit("github")).await;
            let back = provider.consent(away.header("location"), &ann);
            let end = browser.send(&auth, Method::POST, "/callback", &encoded(&back)).await;
            assert_eq!(end.status, 303);
            landed(&auth, end.header("location")).await;
        },
    )
    .await;
}

#[tokio::test]
async fn an_issuer_on_this_machine_is_not_asked_unless_the_settings_allow_it() {
    let provider = Provider::start().await;
    let strict = || {
        let settings = provider.settings().replace("allow = [\"127.0.0.1\"]", "allow = []");
        Project::of("create table notes (id int primary key);").config(&settings)
    };
    on_each_engine(strict, async |_, auth: Auth| {
        let answer = auth.ask(Method::GET, &implicit("custom:acme"), None, Value::Null).await;
        assert_eq!(refusal(&answer), refused(500, "unexpected_failure"));
        let token = provider.id_token(&Person::new("ann-1", "ann@example.com", true), None, None);
        let answer = auth
            .post(
                "/token?grant_type=id_token",
                json!({"provider": "custom:acme", "id_token": token}),
            )
            .await;
        assert_eq!(answer.status, 400, "{}", answer.text());
    })
    .await;
    assert_eq!(provider.seen(), Vec::<String>::new());
}

//! Security suite `transport_parity` over sign-in: the same question gets the same decision however it comes: under either
//! version of the protocol, with the key in either place, with `HEAD`, with another content type, by form or by JSON.

use bytes::Bytes;
use http::Method;
use mainstay_auth::Access;
use mainstay_testing::{Answer, Client, Project, token};
use serde_json::{Value, json};

use crate::auth::{Auth, PASSWORD, on_each_engine, session};
use crate::auth_mail::{CLOCK, CONFIRMATIONS, SETTINGS, on_each_engine_in_dev};
use crate::auth_questions::questions;
use crate::oauth_provider::{encoded, query};

const VERSION: &str = "x-supabase-api-version";

/// Status, and the code that clients act on, wherever the version puts it.
fn decision(answer: &Answer) -> (u16, String) {
    let body: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    let code = body["error_code"]
        .as_str()
        .or(body["code"].as_str())
        .or(body["error"].as_str());
    (answer.status.as_u16(), code.unwrap_or_default().to_owned())
}

fn bytes_of(body: &Value) -> Bytes {
    match body {
        Value::Null => Bytes::new(),
        body => Bytes::from(body.to_string()),
    }
}

fn project() -> Project {
    Project::new().config(
        "[auth.oauth_server]\nenabled = true\nallow_dynamic_registration = true\nauthorization_url_path = \"/consent\"\n\
         [auth.passkey]\nenabled = true\n[auth.web3.solana]\nenabled = true\n[auth.mfa.phone]\nenroll_enabled = true\n",
    )
}

#[tokio::test]
async fn either_version_either_place_of_the_key_and_any_content_type_decide_alike() {
    on_each_engine(project, async |engine, auth: Auth| {
        let ann = auth.sign_up("ann@example.com").await;
        let keys = auth.server.keys();
        let key = |name: &str| keys[name].as_str().unwrap().to_owned();
        let bare = auth.server.anonymous();
        // Who asks, and the ways in which the same may be brought.
        let service = token::role("service_role");
        let secret = key("secret_key");
        let callers: Vec<(&str, Vec<(Client, String)>)> = vec![
            (
                "nobody",
                vec![
                    (bare.clone(), String::new()),
                    (bare.with("authorization", "Basic eDp5"), String::new()),
                ],
            ),
            (
                "ann",
                vec![
                    (bare.bearer(&ann.access_token), String::new()),
                    (
                        bare.with("authorization", &format!("bearer {}", ann.access_token)),
                        String::new(),
                    ),
                    (
                        bare.bearer(&ann.access_token).with("apikey", &key("publishable_key")),
                        String::new(),
                    ),
                    (
                        bare.bearer(&ann.access_token).with("apikey", &key("anon_key")),
                        String::new(),
                    ),
                    (
                        bare.bearer(&ann.access_token),
                        format!("apikey={}", key("publishable_key")),
                    ),
                    // The token says who asks, whatever key came with it.
                    (bare.bearer(&ann.access_token).with("apikey", &secret), String::new()),
                ],
            ),
            (
                "secret",
                vec![
                    (bare.with("apikey", &secret), String::new()),
                    (bare.clone(), format!("apikey={secret}")),
                    (bare.bearer(&secret), String::new()),
                    (bare.bearer(&service), String::new()),
                    (bare.with("apikey", &key("service_role_key")), String::new()),
                    (bare.clone(), format!("apikey={}", key("service_role_key"))),
                    (bare.bearer(&secret).with("apikey", &secret), String::new()),
                ],
            ),
            (
                "a wrong key",
                vec![
                    (bare.with("apikey", "sb_secret_wrong"), String::new()),
                    (bare.clone(), "apikey=sb_secret_wrong".into()),
                    (bare.bearer("sb_secret_wrong"), String::new()),
                ],
            ),
        ];
        for (who, ways) in callers {
            for (method, path, body) in questions(ann.id()) {
                let mut first: Option<(u16, String)> = None;
                for (number, (client, pair)) in ways.iter().enumerate() {
                    let path = match (pair.is_empty(), path.contains('?')) {
                        (true, _) => format!("/auth/v1{path}"),
                        (false, true) => format!("/auth/v1{path}&{pair}"),
                        (false, false) => format!("/auth/v1{path}?{pair}"),
                    };
                    for version in ["", "2023-12-31", "2024-01-01", "2026-01-01", "nonsense"] {
                        for kind in ["application/json", "", "text/plain", "application/json; charset=utf-8"] {
                            // All versions and types by the first way, and one of them by the others: an account takes a
                            // bounded number of wrong passwords.
                            let is_first = number == 0 && (version.is_empty() || kind == "application/json");
                            if !is_first && (version, kind) != ("2024-01-01", "application/json") {
                                continue;
                            }
                            let mut headers = Vec::new();
                            if !kind.is_empty() {
                                headers.push(("content-type", kind));
                            }
                            if !version.is_empty() {
                                headers.push((VERSION, version));
                            }
                            let answer = client.send(method.clone(), &path, &headers, bytes_of(&body)).await;
                            let decided = decision(&answer);
                            assert!(decided.0 < 500, "{who} {method} {path}: {}", answer.text());
                            let expected = first.get_or_insert_with(|| decided.clone());
                            assert_eq!(
                                &decided,
                                expected,
                                "{engine:?} {who} {method} {path} {version} {kind}: {}",
                                answer.text()
                            );
                        }
                    }
                }
            }
        }
    })
    .await;
}

#[tokio::test]
async fn head_decides_as_get_does_and_no_header_makes_another_method_of_one() {
    on_each_engine(project, async |engine, auth: Auth| {
        let ann = auth.sign_up("ann@example.com").await;
        let service = token::role("service_role");
        for (method, pattern, access) in mainstay_auth::table() {
            let path = pattern.replace("{id}", ann.id());
            for bearer in [None, Some(ann.access_token.as_str()), Some(service.as_str())] {
                let client = auth.client(bearer);
                let send = async |method: Method, path: &str| {
                    let path = format!("/auth/v1{path}");
                    client.send(method, &path, &[], Bytes::new()).await
                };
                if method == Method::GET {
                    let (got, head) = (send(Method::GET, &path).await, send(Method::HEAD, &path).await);
                    assert_eq!(got.status, head.status, "{engine:?} {path}");
                    assert!(head.body.is_empty(), "{path}");
                    // A slash at the end is the same path.
                    let slash = send(Method::GET, &format!("{path}/")).await;
                    assert_eq!(decision(&slash), decision(&got), "{path}");
                    for other in [Method::PATCH, Method::TRACE] {
                        assert!(matches!(send(other, &path).await.status.as_u16(), 404 | 405), "{path}");
                    }
                }
                if method == Method::DELETE && access == Access::Admin {
                    for name in ["x-http-method-override", "x-method-override", "x-http-method"] {
                        client
                            .send(
                                Method::GET,
                                &format!("/auth/v1{path}"),
                                &[(name, "DELETE")],
                                Bytes::new(),
                            )
                            .await;
                    }
                }
            }
        }
        assert_eq!(auth.user(&ann.access_token).await.status, 200, "nothing was deleted");
        // Upper case is another path, and so is one with more slashes.
        for path in [
            "/USER", "//user", "/user//", "/./user", "/user;x", "/user%2f", "/%75ser",
        ] {
            let answer = auth
                .client(Some(&ann.access_token))
                .send(Method::GET, &format!("/auth/v1{path}"), &[], Bytes::new())
                .await;
            assert!(
                answer.status == 404 || (path == "/user//" && answer.status == 200),
                "{path}: {} {}",
                answer.status,
                answer.text()
            );
        }
    })
    .await;
}

#[tokio::test]
async fn a_member_that_comes_twice_and_a_form_are_no_way_around_a_body() {
    on_each_engine(project, async |_, auth: Auth| {
        auth.sign_up("ann@example.com").await;
        let client = auth.client(None);
        for (path, twice) in [
            (
                "/signup",
                r#"{"email":"a@x.example","email":"b@x.example","password":"correct horse 7"}"#,
            ),
            (
                "/token?grant_type=password",
                r#"{"email":"x@x.example","email":"ann@example.com","password":"x"}"#,
            ),
            (
                "/token?grant_type=password",
                r#"{"email":"ann@example.com","password":"x","pass\u0077ord":"y"}"#,
            ),
            ("/otp", r#"{"email":"a@x.example","email":"b@x.example"}"#),
            (
                "/otp",
                r#"{"email":"a@x.example","create_user":false,"create_user":true}"#,
            ),
            ("/recover", r#"{"email":"a@x.example","email":"ann@example.com"}"#),
            ("/verify", r#"{"type":"email","type":"recovery","token_hash":"x"}"#),
        ] {
            let headers = [("content-type", "application/json")];
            let answer = client
                .send(Method::POST, &format!("/auth/v1{path}"), &headers, twice.to_owned())
                .await;
            assert_eq!(
                decision(&answer),
                (400, "bad_json".to_owned()),
                "{path}: {}",
                answer.text()
            );
        }
        // A page of another site can post a form with its visitor's cookies, and no JSON: forms say nothing here.
        for path in ["/signup", "/token?grant_type=password", "/otp", "/recover", "/resend"] {
            for kind in ["application/x-www-form-urlencoded", "multipart/form-data; boundary=x"] {
                let form = format!(
                    "email=ann%40example.com&password={}&type=signup",
                    PASSWORD.replace(' ', "+")
                );
                let headers = [("content-type", kind)];
                let answer = client
                    .send(Method::POST, &format!("/auth/v1{path}"), &headers, form)
                    .await;
                assert_eq!(
                    decision(&answer),
                    (400, "bad_json".to_owned()),
                    "{path}: {}",
                    answer.text()
                );
            }
        }
    })
    .await;
}

#[tokio::test]
async fn a_link_decides_as_its_token_does() {
    let project = || Project::of(CLOCK).config(&format!("{SETTINGS}{CONFIRMATIONS}"));
    on_each_engine_in_dev(project, async |engine, auth: Auth| {
        let service = token::role("service_role");
        auth.try_sign_up("ann@example.com", json!({})).await;
        let confirmation = auth.mail("ann@example.com").await.token();
        let ann = session(&auth.prove(json!({"type": "signup", "token_hash": confirmation})).await);
        let fresh = async |path: &str| {
            auth.post(path, json!({"email": "ann@example.com"})).await;
            auth.mail("ann@example.com").await.token()
        };
        let ban = async |length: &str| {
            let path = format!("/admin/users/{}", ann.id());
            auth.ask(Method::PUT, &path, Some(&service), json!({"ban_duration": length}))
                .await
        };
        for (what, kind, ready) in [
            ("good", "magiclink", ""),
            ("good", "recovery", ""),
            ("of another kind", "signup", ""),
            ("of another kind", "email_change", ""),
            ("old", "magiclink", "age"),
            ("banned", "magiclink", "ban"),
            ("unknown", "recovery", "unknown"),
        ] {
            let mut decided = Vec::new();
            for by_link in [false, true] {
                let path = if kind == "recovery" { "/recover" } else { "/otp" };
                let mut token = fresh(path).await;
                match ready {
                    "age" => drop(auth.call("age", json!({"seconds": 3_700})).await),
                    "ban" => drop(ban("24h").await),
                    "unknown" => token = "0".repeat(token.len()),
                    _ => {}
                }
                decided.push(match by_link {
                    false => {
                        let answer = auth.prove(json!({"type": kind, "token_hash": token})).await;
                        (answer.status == 200, answer.code())
                    }
                    true => {
                        let form = encoded(&[("token".into(), token), ("type".into(), kind.to_owned())]);
                        let landed = auth.press(&form).await;
                        let found = crate::oauth_provider::fragment(landed.header("location"));
                        let get = |name: &str| found.get(name).cloned().unwrap_or_default();
                        assert!(query(landed.header("location")).is_empty());
                        (!get("access_token").is_empty(), get("error_code"))
                    }
                });
                ban("none").await;
            }
            assert_eq!(decided[0], decided[1], "{engine:?} {what} {kind}");
            assert_eq!(decided[0].0, what == "good", "{what} {kind}");
        }
    })
    .await;
}

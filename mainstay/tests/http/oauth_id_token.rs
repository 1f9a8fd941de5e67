//! Sign-in by an ID token that the application got from the provider itself.

use mainstay_testing::Answer;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::auth::{Auth, on_each_engine, refusal, refused, send, session};
use crate::oauth::project;
use crate::oauth_provider::{Person, Provider};

async fn ask(auth: &Auth, body: Value) -> Answer {
    auth.post("/token?grant_type=id_token", body).await
}

/// The members of an OAuth error.
fn oauth_error(answer: &Answer) -> (u16, String, String) {
    let body = answer.json();
    let text = |name: &str| body[name].as_str().unwrap_or_default().to_owned();
    (answer.status.as_u16(), text("error"), text("error_description"))
}

fn bad() -> (u16, String, String) {
    (400, "invalid request".into(), "Bad ID token".into())
}

#[tokio::test]
async fn a_token_signs_its_person_in() {
    let provider = Provider::start().await;
    let ann = Person::new("ann-1", "ann@example.com", true);
    let hashed: String = Sha256::digest(b"my nonce")
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    on_each_engine(
        || project(&provider, ""),
        async |_, auth: Auth| {
            let plain = provider.id_token(&ann, None, None);
            let first = session(&ask(&auth, json!({"provider": "custom:acme", "id_token": plain})).await);
            assert_eq!(first.user["email"], "ann@example.com");
            assert_eq!(first.claims()["amr"][0]["method"], "oauth");
            let by_issuer = json!({"issuer": provider.url(), "client_id": "the shop", "id_token": plain});
            assert_eq!(session(&ask(&auth, by_issuer).await).id(), first.id());

            let token = provider.id_token(&ann, Some(&hashed), Some("the access token"));
            let with = |more: Value| {
                let mut body = json!({"provider": "custom:acme", "id_token": token});
                body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
                body
            };
            let good = with(json!({"nonce": "my nonce", "access_token": "the access token"}));
            assert_eq!(session(&ask(&auth, good).await).id(), first.id());
            let both = "Passed nonce and nonce in id_token should either both exist or not.";
            let refused = (400, "invalid request".to_owned(), both.to_owned());
            assert_eq!(oauth_error(&ask(&auth, with(json!({}))).await), refused);
            let unasked = json!({"provider": "custom:acme", "id_token": plain, "nonce": "my nonce"});
            assert_eq!(oauth_error(&ask(&auth, unasked).await), refused);
            for nonce in [hashed.as_str(), "another"] {
                let answer = ask(&auth, with(json!({"nonce": nonce}))).await;
                assert_eq!(
                    oauth_error(&answer),
                    (400, "invalid nonce".into(), "Nonces mismatch".into())
                );
            }
            let other = with(json!({"nonce": "my nonce", "access_token": "another"}));
            assert_eq!(oauth_error(&ask(&auth, other).await), bad());
        },
    )
    .await;
}

#[tokio::test]
async fn a_token_that_does_not_hold_signs_nobody_in() {
    let provider = Provider::start().await;
    let ann = Person::new("ann-1", "ann@example.com", true);
    on_each_engine(
        || project(&provider, ""),
        async |_, auth: Auth| {
            let forged = |claims: Value| provider.id_token(&ann.clone().forged(claims), None, None);
            let audience = (
                400,
                "invalid request".to_owned(),
                "Unacceptable audience in id_token".to_owned(),
            );
            for (name, token, expected) in [
                ("audience", forged(json!({"aud": "another"})), audience),
                ("issuer", forged(json!({"iss": "https://evil.example"})), bad()),
                ("expired", forged(json!({"exp": 1})), bad()),
                ("endless", forged(json!({"exp": null})), bad()),
                (
                    "strange key",
                    provider.id_token(
                        &Person {
                            strange_key: true,
                            ..ann.clone()
                        },
                        None,
                        None,
                    ),
                    bad(),
                ),
                ("nonsense", "a.b.c".to_owned(), bad()),
                ("own token", auth.sign_up("bob@example.com").await.access_token, bad()),
            ] {
                let answer = ask(&auth, json!({"provider": "custom:acme", "id_token": token})).await;
                assert_eq!(oauth_error(&answer), expected, "{name}");
            }
            // Unsigned, and signed with the public key as if it were a secret.
            use base64::Engine;
            let part = |value: &Value| base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(value.to_string());
            let good = provider.id_token(&ann, None, None);
            let payload = good.split('.').nth(1).unwrap();
            for header in [json!({"alg": "none"}), json!({"alg": "HS256"})] {
                for signature in ["", "AAAA"] {
                    let token = format!("{}.{payload}.{signature}", part(&header));
                    let answer = ask(&auth, json!({"provider": "custom:acme", "id_token": token})).await;
                    assert_eq!(oauth_error(&answer), bad(), "{header}");
                }
            }
            for (body, status, code) in [
                (
                    json!({"provider": "nobody", "id_token": good}),
                    400,
                    "validation_failed",
                ),
                (
                    json!({"provider": "google", "id_token": good}),
                    400,
                    "provider_disabled",
                ),
                (
                    json!({"provider": "github", "id_token": good}),
                    400,
                    "validation_failed",
                ),
                (
                    json!({"issuer": "https://evil.example", "client_id": "x", "id_token": good}),
                    400,
                    "validation_failed",
                ),
                (json!({"provider": ["custom:acme"], "id_token": good}), 400, "bad_json"),
            ] {
                assert_eq!(
                    refusal(&ask(&auth, body.clone()).await),
                    refused(status, code),
                    "{body}"
                );
            }
            assert_eq!(
                oauth_error(&ask(&auth, json!({"provider": "custom:acme"})).await).2,
                "id_token required"
            );
            assert_eq!(
                oauth_error(&ask(&auth, json!({"id_token": good})).await).1,
                "invalid request"
            );
        },
    )
    .await;
}

#[tokio::test]
async fn a_token_links_to_the_user_who_is_signed_in() {
    let provider = Provider::start().await;
    on_each_engine(
        || project(&provider, ""),
        async |_, auth: Auth| {
            let ann = auth.sign_up("ann@example.com").await;
            let token = provider.id_token(&Person::new("ann-1", "elsewhere@example.com", true), None, None);
            let body = json!({"provider": "custom:acme", "id_token": token, "link_identity": true});
            assert_eq!(
                refusal(&ask(&auth, body.clone()).await),
                refused(401, "no_authorization")
            );
            let client = auth.client(Some(&ann.access_token));
            let path = "/token?grant_type=id_token";
            let linked = session(&send(&client, http::Method::POST, path, body.clone()).await);
            assert_eq!(linked.id(), ann.id());
            assert_eq!(
                linked.user["app_metadata"]["providers"],
                json!(["email", "custom:acme"])
            );
            let again = send(&client, http::Method::POST, path, body).await;
            assert_eq!(refusal(&again), refused(422, "identity_already_exists"));
        },
    )
    .await;
}

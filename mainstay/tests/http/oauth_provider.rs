//! An identity provider for tests: it is told whom to vouch for, and lies when it is told to.
//!
//! Speaks OpenID Connect (discovery, keys, tokens, user info) and, below `/api`, GitHub's and Discord's interfaces. It
//! checks what the server sends as a strict provider does. A provider that is not ours is asked in `e2e/oauth.mjs`.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex};

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use mainstay_http::signing::{Signer, SigningAlgorithm, SigningKey};
use mainstay_testing::token::now;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tokio::net::TcpListener;

pub const CLIENT_ID: &str = "the shop";
pub const CLIENT_SECRET: &str = "s3cret/with+signs";

/// What the provider says of somebody, and how it says it.
#[derive(Clone, Debug)]
pub struct Person {
    pub claims: Value,
    /// Claims of the ID token that are set after everything else; null takes one away.
    pub forged: Value,
    /// Signs with a key that it does not publish.
    pub strange_key: bool,
}

impl Person {
    pub fn new(subject: &str, email: &str, verified: bool) -> Self {
        Person {
            claims: json!({"sub": subject, "email": email, "email_verified": verified, "name": "Ann"}),
            forged: json!({}),
            strange_key: false,
        }
    }

    pub fn forged(mut self, claims: Value) -> Self {
        self.forged = claims;
        self
    }
}

/// What a browser brought to the provider, as far as it is the code's.
#[derive(Clone, Debug)]
struct Granted {
    person: Person,
    nonce: Option<String>,
    challenge: Option<String>,
    redirect_uri: String,
}

struct Inner {
    url: String,
    signer: Mutex<Signer>,
    stranger: Signer,
    codes: Mutex<HashMap<String, Granted>>,
    tokens: Mutex<HashMap<String, Person>>,
    seen: Mutex<Vec<String>>,
}

/// A provider that runs.
#[derive(Clone)]
pub struct Provider(Arc<Inner>);

/// A new key.
pub fn key() -> Signer {
    Signer::of_keys(vec![SigningKey::generate(SigningAlgorithm::Es256, 0).unwrap()])
}

impl Provider {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let provider = Provider(Arc::new(Inner {
            url: format!("http://{}", listener.local_addr().unwrap()),
            signer: Mutex::new(key()),
            stranger: key(),
            codes: Mutex::default(),
            tokens: Mutex::default(),
            seen: Mutex::default(),
        }));
        let served = provider.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let provider = served.clone();
                let service = service_fn(move |request| {
                    let provider = provider.clone();
                    async move { Ok::<_, Infallible>(provider.answer(request).await) }
                });
                tokio::spawn(
                    hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service),
                );
            }
        });
        provider
    }

    pub fn url(&self) -> &str {
        &self.0.url
    }

    /// The requests that it got: method and path.
    pub fn seen(&self) -> Vec<String> {
        self.0.seen.lock().unwrap().clone()
    }

    /// Signs with another key from now on.
    pub fn rotate(&self) {
        *self.0.signer.lock().unwrap() = key();
    }

    /// Settings that make the provider known as `custom:acme`, `github` and `discord`.
    pub fn settings(&self) -> String {
        let url = self.url();
        let section = |name: &str, place: &str| {
            format!(
                "[{name}]\nenabled = true\nclient_id = \"{CLIENT_ID}\"\nsecret = \"{CLIENT_SECRET}\"\n{place} = \"{url}\"\n"
            )
        };
        format!(
            "[mainstay.outgoing]\nallow = [\"127.0.0.1\"]\n{}{}{}",
            section("mainstay.external.acme", "issuer"),
            section("auth.external.github", "url"),
            section("auth.external.discord", "url"),
        )
    }

    /// What the person's browser is sent back with, having been sent here by `location`.
    pub fn consent(&self, location: &str, person: &Person) -> Vec<(String, String)> {
        let asked = query(location);
        let get = |name: &str| asked.get(name).cloned();
        assert_eq!(get("client_id").as_deref(), Some(CLIENT_ID));
        assert_eq!(get("response_type").as_deref(), Some("code"));
        let code = format!("code-{}", uuid());
        let granted = Granted {
            person: person.clone(),
            nonce: get("nonce"),
            challenge: get("code_challenge"),
            redirect_uri: get("redirect_uri").unwrap(),
        };
        self.0.codes.lock().unwrap().insert(code.clone(), granted);
        let mut answer = vec![("code".into(), code), ("state".into(), get("state").unwrap())];
        if location.starts_with(&format!("{}/authorize", self.url())) {
            answer.push(("iss".into(), self.url().to_owned()));
        }
        answer
    }

    /// An ID token for this client.
    pub fn id_token(&self, person: &Person, nonce: Option<&str>, access_token: Option<&str>) -> String {
        let mut claims = person.claims.clone();
        claims["iss"] = json!(self.url());
        claims["aud"] = json!(CLIENT_ID);
        claims["iat"] = json!(now());
        claims["exp"] = json!(now() + 300);
        if let Some(nonce) = nonce {
            claims["nonce"] = json!(nonce);
        }
        if let Some(token) = access_token {
            claims["at_hash"] = json!(URL_SAFE_NO_PAD.encode(&Sha256::digest(token.as_bytes())[..16]));
        }
        for (name, value) in person.forged.as_object().unwrap() {
            match value {
                Value::Null => drop(claims.as_object_mut().unwrap().remove(name)),
                value => claims[name] = value.clone(),
            }
        }
        let signed = match person.strange_key {
            true => self.0.stranger.sign(&claims, now()),
            false => self.0.signer.lock().unwrap().sign(&claims, now()),
        };
        signed.unwrap().expose().clone()
    }

    async fn answer(&self, request: Request<Incoming>) -> Response<Full<Bytes>> {
        let (parts, body) = request.into_parts();
        let path = parts.uri.path().to_owned();
        self.0.seen.lock().unwrap().push(format!("{} {path}", parts.method));
        let body = body.collect().await.unwrap().to_bytes();
        let authorization = parts
            .headers
            .get("authorization")
            .map(|value| value.to_str().unwrap().to_owned());
        let url = self.url();
        match (&parts.method, path.as_str()) {
            (&Method::GET, "/.well-known/openid-configuration") => answer(
                200,
                &json!({
                    "issuer": url,
                    "authorization_endpoint": format!("{url}/authorize?tenant=1"),
                    "token_endpoint": format!("{url}/token"),
                    "userinfo_endpoint": format!("{url}/userinfo"),
                    "jwks_uri": format!("{url}/keys"),
                    "code_challenge_methods_supported": ["S256"],
                    "authorization_response_iss_parameter_supported": true,
                }),
            ),
            (&Method::GET, "/keys") => answer(200, &self.0.signer.lock().unwrap().jwks()),
            (&Method::POST, "/token" | "/login/oauth/access_token" | "/api/oauth2/token") => {
                self.redeem(&path, &body, authorization)
            }
            (&Method::GET, _) => {
                let token = authorization.unwrap_or_default();
                let tokens = self.0.tokens.lock().unwrap();
                let Some(person) = token.strip_prefix("Bearer ").and_then(|token| tokens.get(token)) else {
                    return answer(401, &json!({"error": "invalid_token"}));
                };
                let claims = &person.claims;
                let (email, verified) = (&claims["email"], &claims["email_verified"]);
                match path.as_str() {
                    "/userinfo" => answer(200, claims),
                    "/api/v3/user" => answer(
                        200,
                        &json!({"id": claims["sub"], "login": "ann", "name": claims["name"], "email": "shown@example.com"}),
                    ),
                    "/api/v3/user/emails" => {
                        answer(200, &json!([{"email": email, "verified": verified, "primary": true}]))
                    }
                    "/api/users/@me" => answer(
                        200,
                        &json!({"id": claims["sub"], "username": "ann", "email": email, "verified": verified}),
                    ),
                    _ => answer(404, &json!({})),
                }
            }
            _ => answer(404, &json!({})),
        }
    }

    fn redeem(&self, path: &str, body: &[u8], authorization: Option<String>) -> Response<Full<Bytes>> {
        let refused = |error: &str| answer(400, &json!({"error": error, "error_description": "no"}));
        let sent = pairs(std::str::from_utf8(body).unwrap());
        let get = |name: &str| sent.get(name).map(String::as_str).unwrap_or_default();
        let is_client = match path {
            "/token" => authorization.and_then(|text| basic(&text)) == Some((CLIENT_ID.into(), CLIENT_SECRET.into())),
            _ => (get("client_id"), get("client_secret")) == (CLIENT_ID, CLIENT_SECRET),
        };
        if !is_client {
            return refused("invalid_client");
        }
        let Some(granted) = self.0.codes.lock().unwrap().remove(get("code")) else {
            return refused("invalid_grant");
        };
        let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(get("code_verifier").as_bytes()));
        if granted.redirect_uri != get("redirect_uri") || granted.challenge.is_some_and(|asked| asked != challenge) {
            return refused("invalid_grant");
        }
        let token = format!("access-{}", uuid());
        let mut given =
            json!({"access_token": token, "token_type": "Bearer", "refresh_token": format!("refresh-{}", uuid())});
        if path == "/token" {
            given["id_token"] = json!(self.id_token(&granted.person, granted.nonce.as_deref(), Some(&token)));
        }
        self.0.tokens.lock().unwrap().insert(token, granted.person);
        answer(200, &given)
    }
}

fn basic(text: &str) -> Option<(String, String)> {
    let bytes = STANDARD.decode(text.strip_prefix("Basic ")?).ok()?;
    let text = String::from_utf8(bytes).ok()?;
    let (name, password) = text.split_once(':')?;
    // RFC 6749 §2.3.1.
    Some((decoded(name), decoded(password)))
}

fn answer(status: u16, body: &Value) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(body.to_string())));
    *response.status_mut() = StatusCode::from_u16(status).unwrap();
    response
}

fn uuid() -> String {
    use std::hash::{BuildHasher, Hasher};
    format!("{:x}", std::hash::RandomState::new().build_hasher().finish())
}

fn decoded(text: &str) -> String {
    percent_encoding::percent_decode_str(&text.replace('+', " "))
        .decode_utf8()
        .unwrap()
        .into_owned()
}

/// Pairs of a query, a form or a fragment.
pub fn pairs(text: &str) -> HashMap<String, String> {
    text.split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .map(|(name, value)| (decoded(name), decoded(value)))
        .collect()
}

/// The pairs of an address' query.
pub fn query(address: &str) -> HashMap<String, String> {
    let bare = address.split('#').next().unwrap();
    pairs(bare.split_once('?').map_or("", |(_, query)| query))
}

/// The pairs of an address' fragment.
pub fn fragment(address: &str) -> HashMap<String, String> {
    pairs(address.split_once('#').map_or("", |(_, fragment)| fragment))
}

/// Pairs as a query has them.
pub fn encoded(pairs: &[(String, String)]) -> String {
    let encode =
        |text: &str| percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string();
    pairs
        .iter()
        .map(|(name, value)| format!("{}={}", encode(name), encode(value)))
        .collect::<Vec<_>>()
        .join("&")
}

//! What only `mainstay dev` has: tokens for the asking, to try policies with, and the mails that it has caught.
//!
//! All of it answers on loopback alone, to pages of this very server alone: a page on the web must not be able to
//! make itself a token through a developer's browser, by any origin or by a name that resolves to loopback.

pub mod mail;

use std::net::SocketAddr;

use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use mainstay_core::clock;
use mainstay_core::secret::Secret;
use mainstay_http::{Error, Request, Response, keys};
use serde::Deserialize;
use serde_json::json;

/// How long a development token is valid, in seconds.
const TOKEN_SECONDS: i64 = 3600;

/// The development routes.
pub struct Dev {
    pub jwt_secret: Secret<String>,
    pub anon_key: Secret<String>,
    /// `None`: mails are sent, or there are none.
    pub mail: Option<mail::CaughtMail>,
}

#[derive(Deserialize)]
struct TokenBody {
    sub: String,
    role: Option<String>,
    email: Option<String>,
}

impl Dev {
    /// Answers `GET /config`, `POST /token`, and what is below `/mail`.
    pub async fn answer(&self, peer: SocketAddr, request: &Request) -> Response {
        if !is_own(peer, &request.headers) {
            return Error::LoopbackOnly.response();
        }
        if let (Some(mail), Some(rest)) = (&self.mail, request.path.strip_prefix("/mail")) {
            return mail.answer(request, rest).await;
        }
        let mut response = match (&request.method, request.path.as_str()) {
            (&Method::GET, "/config") => {
                let body = json!({"url": "", "anon_key": self.anon_key.expose()});
                Response::body(StatusCode::OK, "application/json", body.to_string())
            }
            (&Method::POST, "/token") => self.token(request),
            (_, "/config" | "/token") => Error::MethodNotAllowed(request.method.to_string()).response(),
            _ => Error::NotFound.response(),
        };
        response
            .headers
            .insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        response
    }

    fn token(&self, request: &Request) -> Response {
        let Ok(body) = serde_json::from_slice::<TokenBody>(&request.body) else {
            return Error::BadHeader("body", r#"expected {"sub": "…", "role": "authenticated"}"#).response();
        };
        let now = clock::now_seconds();
        let role = body.role.unwrap_or_else(|| "authenticated".into());
        let mut claims = json!({
            "aud": "authenticated", "role": role, "sub": body.sub, "iat": now, "exp": now + TOKEN_SECONDS,
        });
        if let (Some(email), Some(claims)) = (body.email, claims.as_object_mut()) {
            claims.insert("email".into(), email.into());
        }
        match keys::sign(&self.jwt_secret, &claims) {
            Ok(token) => {
                let body = json!({"access_token": token, "expires_in": TOKEN_SECONDS});
                Response::body(StatusCode::OK, "application/json", body.to_string())
            }
            Err(error) => {
                tracing::error!(%error, "a development token could not be signed");
                Error::Internal.response()
            }
        }
    }
}

/// Headers in which a proxy says whom it speaks for.
const PROXY_HEADERS: [&str; 3] = ["x-forwarded-for", "forwarded", "x-real-ip"];

/// True if a program on this machine asks for itself: what a proxy or tunnel on it passes on comes from elsewhere.
pub fn is_from_here(peer: SocketAddr, headers: &HeaderMap) -> bool {
    peer.ip().is_loopback() && !PROXY_HEADERS.iter().any(|name| headers.contains_key(*name))
}

/// True if a program on this machine or a page of this very server asks.
pub fn is_own(peer: SocketAddr, headers: &HeaderMap) -> bool {
    is_from_here(peer, headers) && is_own_page(headers)
}

/// True if the request names this machine as its host and comes from no other origin.
fn is_own_page(headers: &HeaderMap) -> bool {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let Some(host) = text(header::HOST) else {
        return false;
    };
    let name = host
        .rsplit_once(':')
        .filter(|(_, port)| port.bytes().all(|b| b.is_ascii_digit()))
        .map_or(host, |(name, _)| name);
    let is_loopback = matches!(name, "localhost" | "127.0.0.1" | "[::1]");
    // What cannot be read is of nobody here.
    let origin = headers
        .get(header::ORIGIN)
        .map(|value| value.to_str().unwrap_or_default());
    let same_origin = origin.is_none_or(|origin| {
        origin
            .strip_prefix("http://")
            .or_else(|| origin.strip_prefix("https://"))
            == Some(host)
    });
    is_loopback && same_origin
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderMap;

    async fn ask(peer: &str, headers: &[(&'static str, &'static str)]) -> StatusCode {
        let dev = Dev {
            jwt_secret: Secret::new("x".repeat(32)),
            anon_key: Secret::new("k".into()),
            mail: None,
        };
        let headers: HeaderMap = headers
            .iter()
            .map(|(name, value)| (http::HeaderName::from_static(name), HeaderValue::from_static(value)))
            .collect();
        let request = Request {
            method: Method::POST,
            path: "/token".into(),
            query: None,
            headers,
            body: r#"{"sub":"a"}"#.into(),
            authentication: std::time::Duration::ZERO,
        };
        dev.answer(peer.parse().unwrap(), &request).await.status
    }

    #[tokio::test]
    async fn only_the_servers_own_pages_get_tokens() {
        let local = "127.0.0.1:9";
        assert_eq!(ask(local, &[("host", "localhost:1")]).await, StatusCode::OK);
        assert_eq!(
            ask(local, &[("host", "127.0.0.1:1"), ("origin", "http://127.0.0.1:1")]).await,
            StatusCode::OK
        );
        assert_eq!(
            ask(local, &[("host", "127.0.0.1:1"), ("origin", "http://evil.example")]).await,
            StatusCode::FORBIDDEN
        );
        assert_eq!(
            ask(local, &[("host", "rebound.example:1")]).await,
            StatusCode::FORBIDDEN
        );
        assert_eq!(ask(local, &[]).await, StatusCode::FORBIDDEN);
        assert_eq!(
            ask("192.0.2.1:9", &[("host", "localhost:1")]).await,
            StatusCode::FORBIDDEN
        );
    }
}

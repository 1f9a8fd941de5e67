//! Cross-origin requests (Fetch standard, "HTTP extensions").
//!
//! A preflight is answered by echoing the headers it asks for: clients add headers over time, and a fixed list breaks
//! them. Without configured origins every origin may read, without credentials.

use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};

use crate::limits::RATE_LIMIT;
use crate::message::Response;

/// Headers that scripts may read, on every answer.
const EXPOSED: &str = "Content-Encoding, Content-Location, Content-Range, Content-Type, Date, Location, Server, \
     Transfer-Encoding, Range-Unit, ETag, Link, Preference-Applied, Proxy-Status, Retry-After, Server-Timing, \
     X-Request-Id, X-Total-Count, X-Supabase-Api-Version, X-Relay-Error, Content-Disposition, \
     Idempotency-Replayed, Next-Cursor";

/// Those of answers that count against a limit.
const EXPOSED_OF_LIMITS: &str = "RateLimit, RateLimit-Policy";

const METHODS: &str = "GET, POST, PATCH, PUT, DELETE, OPTIONS, HEAD";

/// How long a browser may keep a preflight's answer, in seconds.
const MAX_AGE_SECONDS: &str = "86400";

/// Which origins may read answers.
#[derive(Clone, Debug, Default)]
pub struct Cors {
    /// Empty: any origin, without credentials. Otherwise these, with credentials.
    pub origins: Vec<String>,
}

impl Cors {
    /// The answer to a preflight, if the request is one.
    pub fn preflight(&self, method: &Method, headers: &HeaderMap) -> Option<Response> {
        if *method != Method::OPTIONS || !headers.contains_key(header::ACCESS_CONTROL_REQUEST_METHOD) {
            return None;
        }
        let mut response = Response::empty(StatusCode::OK);
        if !self.allow(headers, &mut response.headers) {
            return Some(response);
        }
        let asked = headers
            .get(header::ACCESS_CONTROL_REQUEST_HEADERS)
            .and_then(|value| value.to_str().ok())
            .map(|list| {
                list.split(',')
                    .map(str::trim)
                    .filter(|name| HeaderName::try_from(*name).is_ok())
            })
            .into_iter()
            .flatten();
        let mut names = vec!["Authorization"];
        names.extend(asked);
        names.extend(["Accept", "Accept-Language", "Content-Language"]);
        if let Ok(value) = HeaderValue::from_str(&names.join(", ")) {
            response.headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, value);
        }
        response
            .headers
            .insert(header::ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static(METHODS));
        response.headers.insert(
            header::ACCESS_CONTROL_MAX_AGE,
            HeaderValue::from_static(MAX_AGE_SECONDS),
        );
        Some(response)
    }

    /// Adds to an answer what its origin may see.
    pub fn apply(&self, request: &HeaderMap, answer: &mut HeaderMap) {
        if self.allow(request, answer) {
            answer.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static(EXPOSED));
            if answer.contains_key(RATE_LIMIT) {
                answer.append(
                    header::ACCESS_CONTROL_EXPOSE_HEADERS,
                    HeaderValue::from_static(EXPOSED_OF_LIMITS),
                );
            }
        }
    }

    fn allow(&self, request: &HeaderMap, answer: &mut HeaderMap) -> bool {
        if self.origins.is_empty() {
            answer.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
            return true;
        }
        answer.append(header::VARY, HeaderValue::from_static("Origin"));
        let origin = request.get(header::ORIGIN);
        match origin {
            Some(origin)
                if self
                    .origins
                    .iter()
                    .any(|allowed| allowed.as_bytes() == origin.as_bytes()) =>
            {
                answer.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
                answer.insert(
                    header::ACCESS_CONTROL_ALLOW_CREDENTIALS,
                    HeaderValue::from_static("true"),
                );
                true
            }
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
            .collect()
    }

    #[test]
    fn a_preflight_echoes_the_headers_it_asks_for() {
        let asked = headers(&[
            ("origin", "http://a.example"),
            ("access-control-request-method", "POST"),
            ("access-control-request-headers", "x-new, traceparent"),
        ]);
        let answer = Cors::default().preflight(&Method::OPTIONS, &asked).unwrap();
        assert_eq!(answer.headers["access-control-allow-origin"], "*");
        assert_eq!(
            answer.headers["access-control-allow-headers"],
            "Authorization, x-new, traceparent, Accept, Accept-Language, Content-Language"
        );
        assert!(!answer.headers.contains_key("access-control-allow-credentials"));
    }

    #[test]
    fn an_origin_off_the_list_sees_nothing() {
        let cors = Cors {
            origins: vec!["http://a.example".into()],
        };
        let mut answer = HeaderMap::new();
        cors.apply(&headers(&[("origin", "http://b.example")]), &mut answer);
        assert!(!answer.contains_key("access-control-allow-origin"));
        cors.apply(&headers(&[("origin", "http://a.example")]), &mut answer);
        assert_eq!(answer["access-control-allow-origin"], "http://a.example");
    }
}

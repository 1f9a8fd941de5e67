//! A request to send.

use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, USER_AGENT};
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use http_body_util::Full;
use mainstay_core::secret::Secret;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;

use super::checked;
use super::error::OutgoingError;

/// How long an answer may take, unless the call says otherwise.
const TIME_MAX: Duration = Duration::from_secs(10);
/// Bytes of an answer, unless the call says otherwise.
const BYTES_MAX: usize = 1024 * 1024;

/// What `application/x-www-form-urlencoded` leaves as it is.
const UNRESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'*');

/// One request. It prints nothing of itself: URL, headers and body may hold secrets.
pub struct Call {
    method: Method,
    url: String,
    headers: Result<HeaderMap, OutgoingError>,
    body: Bytes,
    pub(super) time_max: Duration,
    pub(super) bytes_max: usize,
}

impl Call {
    pub fn new(method: Method, url: &str) -> Self {
        let mut headers = HeaderMap::new();
        headers.insert(USER_AGENT, HeaderValue::from_static("Mainstay"));
        Call {
            method,
            url: url.to_owned(),
            headers: Ok(headers),
            body: Bytes::new(),
            time_max: TIME_MAX,
            bytes_max: BYTES_MAX,
        }
    }

    /// `GET`, asking for JSON.
    pub fn get(url: &str) -> Self {
        Call::new(Method::GET, url).header(ACCEPT, "application/json")
    }

    /// `POST` with a form, asking for JSON.
    pub fn post_form(url: &str, pairs: &[(&str, &str)]) -> Self {
        Call::new(Method::POST, url)
            .header(ACCEPT, "application/json")
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(form(pairs))
    }

    /// `POST` with JSON, asking for JSON.
    pub fn post_json(url: &str, body: &Value) -> Self {
        Call::new(Method::POST, url)
            .header(ACCEPT, "application/json")
            .header(CONTENT_TYPE, "application/json")
            .body(body.to_string())
    }

    /// Sets a header, in place of one that is there.
    pub fn header(mut self, name: HeaderName, value: &str) -> Self {
        match HeaderValue::from_str(value) {
            Ok(value) => {
                if let Ok(headers) = &mut self.headers {
                    headers.insert(name, value);
                }
            }
            Err(_) => self.headers = Err(OutgoingError::BadHeader),
        }
        self
    }

    /// Carries a token (RFC 6750 §2.1).
    pub fn bearer(self, token: &Secret<String>) -> Self {
        let value = format!("Bearer {}", token.expose());
        self.header(AUTHORIZATION, &value)
    }

    /// Names the caller and its password (RFC 7617).
    pub fn basic(self, name: &str, password: &Secret<String>) -> Self {
        use base64::Engine;
        let pair = format!("{name}:{}", password.expose());
        let value = format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(pair));
        self.header(AUTHORIZATION, &value)
    }

    pub fn body(mut self, body: impl Into<Bytes>) -> Self {
        self.body = body.into();
        self
    }

    /// How long the answer may take, connection included.
    pub fn within(mut self, time: Duration) -> Self {
        self.time_max = time;
        self
    }

    /// Bytes that the answer's body may have.
    pub fn at_most(mut self, bytes: usize) -> Self {
        self.bytes_max = bytes;
        self
    }

    pub(super) fn into_request(self) -> Result<http::Request<Full<Bytes>>, OutgoingError> {
        let uri = checked(&self.url)?;
        let mut request = http::Request::new(Full::new(self.body));
        *request.method_mut() = self.method;
        *request.uri_mut() = uri;
        *request.headers_mut() = self.headers?;
        Ok(request)
    }
}

/// Pairs as a form or a query has them.
pub fn form(pairs: &[(&str, &str)]) -> String {
    let encoded = |text: &str| utf8_percent_encode(text, UNRESERVED).to_string();
    pairs
        .iter()
        .map(|(name, value)| format!("{}={}", encoded(name), encoded(value)))
        .collect::<Vec<_>>()
        .join("&")
}

/// `url` with more parameters in its query, before its fragment.
pub fn with_query(url: &str, pairs: &[(&str, &str)]) -> String {
    if pairs.is_empty() {
        return url.to_owned();
    }
    let (bare, fragment) = match url.split_once('#') {
        Some((bare, fragment)) => (bare, Some(fragment)),
        None => (url, None),
    };
    let joint = match bare.split_once('?') {
        None => "?",
        Some((_, query)) if query.is_empty() || query.ends_with('&') => "",
        Some(_) => "&",
    };
    let fragment = fragment.map(|fragment| format!("#{fragment}")).unwrap_or_default();
    format!("{bare}{joint}{}{fragment}", form(pairs))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_grow_where_they_are() {
        let pairs = [("a", "1 2"), ("b", "x&y=é")];
        let more = "a=1%202&b=x%26y%3D%C3%A9";
        assert_eq!(with_query("https://h/p", &pairs), format!("https://h/p?{more}"));
        assert_eq!(with_query("https://h/p?", &pairs), format!("https://h/p?{more}"));
        assert_eq!(with_query("https://h/p?c=3", &pairs), format!("https://h/p?c=3&{more}"));
        assert_eq!(
            with_query("https://h/p?c=3#f", &pairs),
            format!("https://h/p?c=3&{more}#f")
        );
        assert_eq!(with_query("https://h/p", &[]), "https://h/p");
    }

    #[test]
    fn what_cannot_be_asked_is_refused() {
        for url in [
            "",
            "/path",
            "example.com",
            "ftp://example.com/",
            "file:///etc/passwd",
            "https://",
            "https:///x",
            "https://user@example.com/",
            "https://user:secret@example.com/",
            "https://exa mple.com/",
            "gopher://127.0.0.1/",
        ] {
            let refused = Call::get(url).into_request().err();
            assert!(matches!(refused, Some(OutgoingError::BadUrl(_))), "{url}: {refused:?}");
        }
        let split = Call::get("https://example.com/")
            .header(ACCEPT, "a\r\nx: y")
            .into_request();
        assert_eq!(split.err(), Some(OutgoingError::BadHeader));
    }
}

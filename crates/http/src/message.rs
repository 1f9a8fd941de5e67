//! A request read whole and a response to be written, as rooms see them.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use serde_json::json;

use mainstay_core::error::PublicError;

/// A request with its body read (within the body limit).
#[derive(Clone, Debug)]
pub struct Request {
    pub method: Method,
    /// The path below the room's prefix, beginning with `/`, still percent-encoded.
    pub path: String,
    /// The raw query without `?`.
    pub query: Option<String>,
    pub headers: HeaderMap,
    pub body: Bytes,
    /// What finding out who asks took.
    pub authentication: Duration,
}

impl Request {
    /// The first value of a header, if it is visible ASCII or UTF-8.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .get(name)
            .and_then(|value| std::str::from_utf8(value.as_bytes()).ok())
    }
}

/// A response. The server adds CORS, compression, `Content-Length` and the request id.
#[derive(Clone, Debug)]
pub struct Response {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
    /// Rows returned or affected, for the log.
    pub rows: Option<u64>,
    /// Requests that the answer is about: more than one for a batch.
    pub requests: u32,
}

impl Response {
    /// An empty response.
    pub fn empty(status: StatusCode) -> Self {
        Response {
            status,
            headers: HeaderMap::new(),
            body: Bytes::new(),
            rows: None,
            requests: 1,
        }
    }

    /// A response with a body of one media type.
    pub fn body(status: StatusCode, media_type: &'static str, body: impl Into<Bytes>) -> Self {
        let mut response = Response::empty(status);
        response
            .headers
            .insert(http::header::CONTENT_TYPE, HeaderValue::from_static(media_type));
        response.body = body.into();
        response
    }

    /// The wire shape of an error: `{code, message, details, hint}`, absent members null.
    pub fn error(status: StatusCode, error: &dyn PublicError) -> Self {
        let body = json!({
            "code": error.code().as_str(),
            "details": error.details(),
            "hint": error.hint(),
            "message": error.message(),
        });
        Response::body(status, "application/json; charset=utf-8", body.to_string())
    }
}

//! Answers: JSON, and errors in the two shapes that clients know.

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use jiff::Timestamp;
use mainstay_http::Response;
use serde_json::{Map, Value, json};

use crate::error::Error;

/// The version of the protocol that a request names, and the only one that changes anything.
pub const API_VERSION: &str = "2024-01-01";
const API_VERSION_HEADER: HeaderName = HeaderName::from_static("x-supabase-api-version");
const ERROR_CODE_HEADER: HeaderName = HeaderName::from_static("x-sb-error-code");

/// A JSON answer.
pub fn json(status: StatusCode, body: &Value) -> Response {
    Response::body(status, "application/json", body.to_string())
}

/// Says what holds for every answer of the room that does not say otherwise: no cache keeps it, no browser guesses what it is
/// or tells other sites where it was.
pub fn keep_private(headers: &mut HeaderMap) {
    for (name, value) in [
        (header::CACHE_CONTROL, "no-store"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
    ] {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    }
}

/// Nobody keeps the answer, and nobody is told where a browser came from.
pub fn private(response: &mut Response) {
    for (name, value) in [
        (http::header::CACHE_CONTROL, "no-store"),
        (http::header::REFERRER_POLICY, "no-referrer"),
    ] {
        response.headers.insert(name, HeaderValue::from_static(value));
    }
}

/// Sends a browser to another address. Errors: `Unexpected`: it cannot stand in a header.
pub fn redirect(status: StatusCode, to: &str) -> Result<Response, Error> {
    let location =
        HeaderValue::from_str(to).map_err(|_| Error::Unexpected("an address cannot stand in a header".into()))?;
    let mut response = Response::empty(status);
    response.headers.insert(header::LOCATION, location);
    private(&mut response);
    Ok(response)
}

/// 204.
pub fn nothing() -> Response {
    Response::empty(StatusCode::NO_CONTENT)
}

/// An error as the request's version of the protocol has it.
pub fn error(error: &Error, request: &HeaderMap) -> Response {
    error.log();
    let is_dated = request
        .get(API_VERSION_HEADER)
        .and_then(|value| value.to_str().ok())
        .is_some_and(is_dated);
    let status = error.status();
    let mut body = Map::new();
    if is_dated {
        body.insert("code".into(), json!(error.name()));
        body.insert("message".into(), json!(error.to_string()));
    } else {
        body.insert("code".into(), json!(status.as_u16()));
        body.insert("error_code".into(), json!(error.name()));
        body.insert("msg".into(), json!(error.to_string()));
    }
    let oauth = match error {
        Error::OAuth(kind, description) => Some((*kind, *description)),
        Error::InvalidClient => Some(("invalid_client", "Invalid client credentials")),
        _ => None,
    };
    if let Some((kind, description)) = oauth {
        body.clear();
        body.insert("error".into(), json!(kind));
        body.insert("error_description".into(), json!(description));
    }
    if let Error::WeakPassword { reasons, .. } = error {
        body.insert("weak_password".into(), json!({ "reasons": reasons }));
    }
    let mut response = json(status, &Value::Object(body));
    if let Some(seconds) = error.retry_seconds() {
        response
            .headers
            .insert(http::header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    if matches!(error, Error::InvalidClient) {
        // RFC 6749 §5.2.
        let challenge = HeaderValue::from_static("Basic realm=\"oauth\"");
        response.headers.insert(http::header::WWW_AUTHENTICATE, challenge);
    }
    if is_dated {
        // Clients read `code` only if the version comes back.
        response
            .headers
            .insert(API_VERSION_HEADER, HeaderValue::from_static(API_VERSION));
    }
    response
        .headers
        .insert(ERROR_CODE_HEADER, HeaderValue::from_static(error.name()));
    response
}

/// A date on or after the version's. Source: the protocol takes the latest version that is not after the named day.
fn is_dated(named: &str) -> bool {
    named.parse::<jiff::civil::Date>().is_ok() && named >= API_VERSION
}

/// A time as the protocol writes it: UTC, no more digits than there are.
pub fn time(time: Timestamp) -> Value {
    Value::String(time.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(version: Option<&'static str>, refused: &Error) -> (String, Option<String>, Option<String>) {
        let mut headers = HeaderMap::new();
        if let Some(version) = version {
            headers.insert(API_VERSION_HEADER, HeaderValue::from_static(version));
        }
        let response = error(refused, &headers);
        let header = |name: &HeaderName| {
            response
                .headers
                .get(name)
                .map(|value| value.to_str().unwrap().to_owned())
        };
        (
            String::from_utf8(response.body.to_vec()).unwrap(),
            header(&API_VERSION_HEADER),
            header(&ERROR_CODE_HEADER),
        )
    }

    #[test]
    fn errors_have_the_shape_of_the_version_that_is_named() {
        let dated = r#"{"code":"invalid_credentials","message":"Invalid login credentials"}"#;
        let undated = r#"{"code":400,"error_code":"invalid_credentials","msg":"Invalid login credentials"}"#;
        let code = Some("invalid_credentials".to_owned());
        let refused = Error::InvalidCredentials;
        assert_eq!(
            answer(Some("2024-01-01"), &refused),
            (dated.into(), Some("2024-01-01".into()), code.clone())
        );
        assert_eq!(answer(Some("2026-05-01"), &refused).0, dated);
        for version in [None, Some("2023-12-31"), Some("nonsense"), Some("")] {
            assert_eq!(
                answer(version, &refused),
                (undated.into(), None, code.clone()),
                "{version:?}"
            );
        }
    }

    #[test]
    fn a_weak_password_says_why() {
        let refused = Error::WeakPassword {
            message: "Too short.".into(),
            reasons: vec!["length"],
        };
        let (body, ..) = answer(Some("2024-01-01"), &refused);
        assert_eq!(
            body,
            r#"{"code":"weak_password","message":"Too short.","weak_password":{"reasons":["length"]}}"#
        );
    }
}

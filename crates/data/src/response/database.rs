//! Headers and status that the database itself set, through `response.headers` and `response.status`.

use http::{HeaderName, HeaderValue, StatusCode};
use mainstay_core::plan::Outcome;
use mainstay_http::Response;
use serde_json::{Map, Value as Json};

use crate::error::Error;

/// Applies what the database set over what we set.
///
/// Errors: `PGRST111`, `PGRST112`.
pub fn apply(mut response: Response, outcome: &Outcome) -> Result<Response, Error> {
    if let Some(status) = outcome.response_status.as_deref().filter(|status| !status.is_empty()) {
        let digits: String = status.chars().take_while(char::is_ascii_digit).collect();
        response.status = digits
            .parse()
            .ok()
            .and_then(|code: u16| StatusCode::from_u16(code).ok())
            .ok_or(Error::ResponseStatus)?;
    }
    let Some(headers) = outcome
        .response_headers
        .as_deref()
        .filter(|headers| !headers.is_empty())
    else {
        return Ok(response);
    };
    let headers: Vec<Map<String, Json>> = serde_json::from_str(headers).map_err(|_| Error::ResponseHeaders)?;
    let mut replaced: Vec<HeaderName> = Vec::new();
    for header in headers {
        let mut members = header.into_iter();
        let (Some((name, Json::String(value))), None) = (members.next(), members.next()) else {
            return Err(Error::ResponseHeaders);
        };
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| Error::ResponseHeaders)?;
        let value = HeaderValue::from_bytes(value.as_bytes()).map_err(|_| Error::ResponseHeaders)?;
        if !replaced.contains(&name) {
            response.headers.remove(&name);
            replaced.push(name.clone());
        }
        response.headers.append(name, value);
    }
    Ok(response)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn applied(status: Option<&str>, headers: Option<&str>) -> Result<Response, Error> {
        let outcome = Outcome {
            response_status: status.map(str::to_owned),
            response_headers: headers.map(str::to_owned),
            ..Outcome::default()
        };
        let mut response = Response::empty(StatusCode::OK);
        response.headers.insert("x-a", HeaderValue::from_static("ours"));
        apply(response, &outcome)
    }

    #[test]
    fn the_database_has_the_last_word() {
        let response = applied(
            Some("418"),
            Some(r#"[{"X-A":"1"},{"Set-Cookie":"a"},{"Set-Cookie":"b"}]"#),
        )
        .unwrap();
        assert_eq!(response.status.as_u16(), 418);
        assert_eq!(response.headers["x-a"], "1");
        assert_eq!(response.headers.get_all("set-cookie").iter().count(), 2);
    }

    #[test]
    fn what_it_says_must_make_sense() {
        assert!(matches!(applied(Some("x"), None), Err(Error::ResponseStatus)));
        assert!(matches!(applied(None, Some("{\"a\":1}")), Err(Error::ResponseHeaders)));
        assert!(matches!(
            applied(None, Some(r#"[{"a":"1","b":"2"}]"#)),
            Err(Error::ResponseHeaders)
        ));
        assert!(matches!(
            applied(None, Some(r#"[{"a":1}]"#)),
            Err(Error::ResponseHeaders)
        ));
    }
}

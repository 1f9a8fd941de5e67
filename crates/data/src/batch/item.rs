//! The requests of a batch as they are sent, and the references between them.
//!
//! A reference is `<id>.<step>.<step>…` into the JSON body of an earlier answer; a step is a member's name or an index.
//! In a body, `{"$ref": "…"}` stands for the value there; in a path, `${…}` for the scalar's text.
//! Values travel as the text they were written in, so that no number loses digits.

use std::borrow::Cow;
use std::collections::BTreeMap;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use mainstay_http::Request;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::error::Error;

/// Requests in one batch.
pub const REQUESTS_MAX: usize = 100;
/// How deep a body that holds references may be nested.
const DEPTH_MAX: usize = 64;

/// Headers that a request of a batch may bring. Whatever else rules read of a request is the batch's own: what a proxy
/// vouches for there must not be claimed here.
const HEADERS: [HeaderName; 7] = [
    header::ACCEPT,
    HeaderName::from_static("accept-profile"),
    HeaderName::from_static("content-profile"),
    header::CONTENT_TYPE,
    HeaderName::from_static("prefer"),
    header::RANGE,
    HeaderName::from_static("range-unit"),
];

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Sent {
    requests: Vec<SentItem>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SentItem {
    id: Option<String>,
    method: String,
    path: String,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    body: Option<Box<RawValue>>,
}

/// One request of a batch.
#[derive(Debug)]
pub struct Item {
    /// Its id, else its position from 0.
    pub id: String,
    method: Method,
    path: String,
    headers: HeaderMap,
    body: Option<Box<RawValue>>,
}

/// Reads the body of a batch. Errors: `MS-DATA-007`.
pub fn items(body: &[u8]) -> Result<Vec<Item>, Error> {
    let is_object = body.trim_ascii_start().starts_with(b"{");
    if !is_object {
        return Err(Error::Batch("a batch is an object, {\"requests\": […]}".into()));
    }
    let sent: Sent = serde_json::from_slice(body).map_err(|error| Error::Batch(error.to_string()))?;
    if sent.requests.is_empty() || sent.requests.len() > REQUESTS_MAX {
        return Err(Error::Batch(format!("a batch has 1 to {REQUESTS_MAX} requests")));
    }
    let mut items: Vec<Item> = Vec::with_capacity(sent.requests.len());
    for (position, sent) in sent.requests.into_iter().enumerate() {
        let id = sent.id.unwrap_or_else(|| position.to_string());
        if id.is_empty() || id.contains(['.', '}']) || items.iter().any(|item| item.id == id) {
            return Err(Error::Batch(format!(
                "request {position}: the id is used twice, empty, or holds `.` or `}}`"
            )));
        }
        let method = match sent.method.as_str() {
            "GET" => Method::GET,
            "POST" => Method::POST,
            "PATCH" => Method::PATCH,
            "PUT" => Method::PUT,
            "DELETE" => Method::DELETE,
            other => {
                return Err(Error::Batch(format!(
                    "request {position}: the method {other:?} is not taken in a batch"
                )));
            }
        };
        let mut headers = HeaderMap::new();
        for (name, value) in sent.headers {
            let known = HeaderName::from_bytes(name.as_bytes())
                .ok()
                .filter(|name| HEADERS.contains(name))
                .zip(HeaderValue::from_str(&value).ok());
            let Some((name, value)) = known else {
                return Err(Error::Batch(format!(
                    "request {position}: the header {name:?} is not taken in a batch"
                )));
            };
            headers.append(name, value);
        }
        items.push(Item {
            id,
            method,
            path: sent.path,
            headers,
            body: sent.body,
        });
    }
    Ok(items)
}

impl Item {
    /// The request with its references followed; what it does not bring itself is the batch's.
    pub fn request(&self, batch: &HeaderMap, answers: &Answers) -> Result<Request, Error> {
        let target = answers.text(&self.path)?;
        let target = target.strip_prefix("/rest/v1").unwrap_or(&target);
        if !target.starts_with('/') {
            return Err(Error::Batch(format!("the path {:?} does not begin with /", self.path)));
        }
        let (path, query) = match target.split_once('?') {
            Some((path, query)) => (path, Some(query.to_owned())),
            None => (target, None),
        };
        let mut headers = batch.clone();
        for name in HEADERS
            .iter()
            .chain(&[header::IF_MATCH, header::IF_NONE_MATCH, header::CONTENT_LENGTH])
        {
            headers.remove(name);
        }
        for (name, value) in &self.headers {
            headers.append(name, value.clone());
        }
        let is_json = headers.get(header::CONTENT_TYPE).is_none_or(|kind| {
            let kind = kind.as_bytes();
            kind.starts_with(b"application/") && kind.windows(4).any(|part| part == b"json")
        });
        let body = match &self.body {
            None => String::new(),
            Some(body) if is_json => answers.json(body, 0)?,
            // CSV and plain text stand in a JSON string.
            Some(body) => serde_json::from_str(body.get())
                .map_err(|_| Error::Batch("a body that is not JSON is a string".into()))?,
        };
        Ok(Request {
            method: self.method.clone(),
            path: path.to_owned(),
            query,
            headers,
            body: Bytes::from(body),
            authentication: std::time::Duration::ZERO,
        })
    }
}

/// The JSON bodies of the answers so far.
#[derive(Debug, Default)]
pub struct Answers {
    bodies: BTreeMap<String, Bytes>,
}

impl Answers {
    /// Adds the body of one answer.
    pub fn add(&mut self, id: &str, body: Bytes) {
        self.bodies.insert(id.to_owned(), body);
    }

    /// The JSON text at a reference. Errors: `MS-DATA-007`.
    fn at(&self, reference: &str) -> Result<String, Error> {
        let nowhere = || Error::Batch(format!("the reference {reference:?} leads nowhere"));
        let mut steps = reference.split('.');
        let body = steps.next().and_then(|id| self.bodies.get(id)).ok_or_else(nowhere)?;
        let mut value: &RawValue = serde_json::from_slice(body).map_err(|_| nowhere())?;
        for step in steps {
            value = match value.get().as_bytes().first() {
                Some(b'[') => {
                    let list: Vec<&RawValue> = serde_json::from_str(value.get()).map_err(|_| nowhere())?;
                    let index: usize = step.parse().map_err(|_| nowhere())?;
                    list.get(index).copied().ok_or_else(nowhere)?
                }
                Some(b'{') => {
                    let members = members(value).map_err(|_| nowhere())?;
                    members.get(step).copied().ok_or_else(nowhere)?
                }
                _ => return Err(nowhere()),
            };
        }
        Ok(value.get().to_owned())
    }

    /// A body with its references followed.
    fn json(&self, value: &RawValue, depth: usize) -> Result<String, Error> {
        if !value.get().contains("\"$ref\"") {
            return Ok(value.get().to_owned());
        }
        if depth > DEPTH_MAX {
            return Err(Error::TooDeep { what: "The body" });
        }
        let bad = |error: serde_json::Error| Error::Batch(error.to_string());
        match value.get().as_bytes().first() {
            Some(b'[') => {
                let list: Vec<&RawValue> = serde_json::from_str(value.get()).map_err(bad)?;
                let list: Result<Vec<String>, Error> = list.into_iter().map(|one| self.json(one, depth + 1)).collect();
                Ok(format!("[{}]", list?.join(",")))
            }
            Some(b'{') => {
                let members = members(value).map_err(bad)?;
                if let (1, Some(reference)) = (members.len(), members.get("$ref")) {
                    let reference: String = serde_json::from_str(reference.get())
                        .map_err(|_| Error::Batch("$ref is not a string".into()))?;
                    return self.at(&reference);
                }
                let mut text = String::from("{");
                for (name, one) in members {
                    if text.len() > 1 {
                        text.push(',');
                    }
                    text.push_str(&serde_json::to_string(&name).map_err(bad)?);
                    text.push(':');
                    text.push_str(&self.json(one, depth + 1)?);
                }
                text.push('}');
                Ok(text)
            }
            _ => Ok(value.get().to_owned()),
        }
    }

    /// A path with its references followed.
    fn text(&self, path: &str) -> Result<String, Error> {
        let mut text = String::with_capacity(path.len());
        let mut rest = path;
        while let Some((before, after)) = rest.split_once("${") {
            let (reference, after) = after
                .split_once('}')
                .ok_or_else(|| Error::Batch(format!("the path {path:?} has ${{ without }}")))?;
            text.push_str(before);
            let value = self.at(reference)?;
            let value: Cow<'_, str> = match value.as_bytes().first() {
                Some(b'"') => {
                    let plain: String =
                        serde_json::from_str(&value).map_err(|error| Error::Batch(error.to_string()))?;
                    Cow::Owned(plain)
                }
                Some(b'{' | b'[') => {
                    return Err(Error::Batch(format!("the reference {reference:?} is no single value")));
                }
                _ => Cow::Borrowed(&value),
            };
            text.extend(utf8_percent_encode(&value, NON_ALPHANUMERIC));
            rest = after;
        }
        text.push_str(rest);
        Ok(text)
    }
}

fn members(value: &RawValue) -> Result<BTreeMap<Cow<'_, str>, &RawValue>, serde_json::Error> {
    serde_json::from_str(value.get())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answers() -> Answers {
        let mut answers = Answers::default();
        let body = br#"[{"id":12345678901234567890.50,"name":"a b&c","tags":["x"],"at":null}]"#;
        answers.add("order", Bytes::from_static(body));
        answers
    }

    fn followed(body: &str) -> Result<String, Error> {
        answers().json(&RawValue::from_string(body.to_owned()).unwrap(), 0)
    }

    #[test]
    fn references_in_bodies_keep_their_text() {
        assert_eq!(
            followed(r#"{"a":{"$ref":"order.0.id"},"b":[{"$ref":"order.0.tags"},1.10]}"#).unwrap(),
            r#"{"a":12345678901234567890.50,"b":[["x"],1.10]}"#
        );
        assert_eq!(followed(r#"{"$ref":"order.0.at"}"#).unwrap(), "null");
        assert_eq!(followed(r#"{"$ref":1,"b":2}"#).unwrap(), r#"{"$ref":1,"b":2}"#);
        for bad in ["order.1.id", "order.x", "other.0", "order.0.id.y", ""] {
            assert!(followed(&format!(r#"{{"$ref":"{bad}"}}"#)).is_err(), "{bad}");
        }
        assert!(followed(r#"{"$ref":7}"#).is_err());
        let deep = format!("{}{{\"$ref\":\"order\"}}{}", "[".repeat(100), "]".repeat(100));
        assert!(followed(&deep).is_err());
    }

    #[test]
    fn references_in_paths_are_encoded() {
        let answers = answers();
        assert_eq!(
            answers.text("/t?id=eq.${order.0.id}&name=eq.${order.0.name}").unwrap(),
            "/t?id=eq.12345678901234567890%2E50&name=eq.a%20b%26c"
        );
        assert!(answers.text("/t?id=eq.${order.0").is_err());
        assert!(answers.text("/t?id=eq.${order.0.tags}").is_err());
    }

    #[test]
    fn what_is_no_batch_is_refused() {
        for bad in [
            "",
            "[]",
            r#"{"requests":[]}"#,
            r#"{"requests":[{"method":"TRACE","path":"/t"}]}"#,
            r#"{"requests":[{"method":"GET","path":"/t","headers":{"authorization":"x"}}]}"#,
            r#"{"requests":[{"method":"GET","path":"/t","headers":{"x-real-ip":"1.2.3.4"}}]}"#,
            r#"{"requests":[{"id":"a","method":"GET","path":"/t"},{"id":"a","method":"GET","path":"/t"}]}"#,
            r#"{"requests":[{"id":"a.b","method":"GET","path":"/t"}]}"#,
            r#"{"requests":[{"method":"GET","path":"/t","other":1}]}"#,
        ] {
            assert!(matches!(items(bad.as_bytes()), Err(Error::Batch(_))), "{bad}");
        }
        let many = vec![r#"{"method":"GET","path":"/t"}"#; REQUESTS_MAX + 1].join(",");
        assert!(items(format!(r#"{{"requests":[{many}]}}"#).as_bytes()).is_err());
    }
}

//! Conditional requests: entity tags of answers, `If-None-Match` on reads, `If-Match` on writes.
//!
//! A tag has two parts: a digest of the rows' bytes, and one of what else a client keeps with them (media type, range
//! and total). Both must be equal for 304. Before a write only the rows count: what is compared is what a `GET` of the
//! same query string would answer now.
//! Lives here: tags, the headers that carry them, and what answers are known to be still valid.
//! Not here: when an answer may have changed (`Backend::validity`), the transaction of a guarded write (`guard`).
//!
//! Source: RFC 9110, 8.8.3 (ETag), 13.1 (preconditions), 15.4.5 (304).

use std::sync::Arc;

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use mainstay_core::backend::Backend;
use mainstay_core::caller::Caller;
use mainstay_core::render;
use mainstay_http::{Request, Response};
use sha2::{Digest, Sha256};
use smallvec::SmallVec;
use twox_hash::XxHash3_128;

use crate::Prepared;
use crate::cache::Cache;
use crate::paging::NEXT_CURSOR;

/// Bytes of the rows' digest in a tag. 2^64 answers until two of them are likely to share one.
const ROWS_BYTES: usize = 16;
/// Bytes of the other digest.
const FORM_BYTES: usize = 6;
/// Characters of a tag.
const TAG_ROOM: usize = 2 * (ROWS_BYTES + FORM_BYTES) + 3;
/// Bytes of a media type and a range, as a rule.
const FORM_ROOM: usize = 96;
/// Tags that one header may name.
const TAGS_MAX: usize = 64;

/// Answers to signed-in callers are theirs alone, and are asked for again each time.
const PRIVATE: HeaderValue = HeaderValue::from_static("private, no-cache");

/// What a 304 repeats of the answer that it stands for.
const REPEATED: [HeaderName; 7] = [
    header::ETAG,
    header::CACHE_CONTROL,
    header::CONTENT_LOCATION,
    header::CONTENT_RANGE,
    header::LINK,
    NEXT_CURSOR,
    header::VARY,
];

/// XXH3, 128 bits. It tells versions of rows apart and guards nothing: who could make two versions share a tag may write
/// the row anyway. A cryptographic digest took a twelfth of a page's time.
fn digest(bytes: &[u8]) -> [u8; ROWS_BYTES] {
    XxHash3_128::oneshot(bytes).to_be_bytes()
}

/// The tag of rows that are answered with `headers`: `"<32 hex digits>.<12 hex digits>"`.
pub fn tag_of(rows: &[u8], headers: &HeaderMap) -> Option<HeaderValue> {
    let mut form = SmallVec::<[u8; FORM_ROOM]>::new();
    for name in [header::CONTENT_TYPE, header::CONTENT_RANGE] {
        if let Some(value) = headers.get(name) {
            form.extend_from_slice(value.as_bytes());
        }
        form.push(0xff);
    }
    let mut text = Vec::with_capacity(TAG_ROOM);
    text.push(b'"');
    render::hex(&mut text, &digest(rows));
    text.push(b'.');
    render::hex(&mut text, &digest(&form)[..FORM_BYTES]);
    text.push(b'"');
    HeaderValue::from_bytes(&text).ok()
}

/// A precondition header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Condition {
    /// `*`: whatever there is.
    Any,
    /// The tags' texts without quotes, and without what names a content coding.
    Tags(Vec<String>),
}

impl Condition {
    /// Reads `If-Match` or `If-None-Match`; several headers are one list. `Err`: it is no list of tags.
    pub fn read(headers: &HeaderMap, name: &HeaderName) -> Result<Option<Condition>, ()> {
        let mut tags = Vec::new();
        let mut is_there = false;
        for value in headers.get_all(name) {
            is_there = true;
            let text = value.to_str().map_err(|_| ())?.trim();
            if text == "*" {
                return Ok(Some(Condition::Any));
            }
            for tag in text.split(',').map(str::trim).filter(|tag| !tag.is_empty()) {
                // A weak tag comes from a proxy that compressed the answer; of the rows it says the same.
                let opaque = tag.strip_prefix("W/").unwrap_or(tag);
                let inner = opaque
                    .strip_prefix('"')
                    .and_then(|rest| rest.strip_suffix('"'))
                    .filter(|inner| !inner.contains('"'))
                    .ok_or(())?;
                tags.push(without_coding(inner).to_owned());
            }
        }
        match is_there {
            false => Ok(None),
            true if tags.is_empty() || tags.len() > TAGS_MAX => Err(()),
            true => Ok(Some(Condition::Tags(tags))),
        }
    }

    /// True if one of the tags is the answer's own, whole.
    pub fn names(&self, answer: &HeaderMap) -> bool {
        match self {
            Condition::Any => true,
            Condition::Tags(tags) => {
                let own = answer.get(header::ETAG).and_then(|tag| tag.to_str().ok());
                let own = own.map(|tag| tag.trim_matches('"'));
                own.is_some_and(|own| tags.iter().any(|tag| tag == own))
            }
        }
    }

    /// True if one of the tags was given to these rows, of which there are `count`.
    pub fn holds_for(&self, rows: &[u8], count: u64) -> bool {
        match self {
            Condition::Any => count > 0,
            Condition::Tags(tags) => {
                let mut own = Vec::with_capacity(TAG_ROOM);
                render::hex(&mut own, &digest(rows));
                tags.iter()
                    .filter_map(|tag| tag.split_once('.'))
                    .any(|(rows, _)| rows.as_bytes() == own)
            }
        }
    }
}

/// `abc-gzip` is `abc` as it was compressed for one client.
fn without_coding(tag: &str) -> &str {
    match tag.rsplit_once('-') {
        Some((plain, "gzip" | "br" | "deflate" | "zstd")) => plain,
        _ => tag,
    }
}

/// Gives the response to a read of `rows` its tag.
pub fn tagged(response: &mut Response, rows: &[u8]) {
    if let Some(tag) = tag_of(rows, &response.headers) {
        response.headers.insert(header::ETAG, tag);
        response.headers.entry(header::CACHE_CONTROL).or_insert(PRIVATE);
    }
}

/// The response, or 304 if the condition names its tag.
pub fn shortened(response: Response, condition: &Condition) -> Response {
    match response.status.is_success() && condition.names(&response.headers) {
        true => not_modified(&response.headers),
        false => response,
    }
}

/// The 304 that stands for an answer with these headers.
pub fn not_modified(headers: &HeaderMap) -> Response {
    let mut response = Response::empty(StatusCode::NOT_MODIFIED);
    for name in REPEATED {
        for value in headers.get_all(&name) {
            response.headers.append(name.clone(), value.clone());
        }
    }
    response.rows = Some(0);
    response
}

/// Answers that are known to be good until something is committed.
#[derive(Debug, Default)]
pub struct Known {
    answers: Cache<Answered>,
}

#[derive(Debug)]
struct Answered {
    prepared: Arc<Prepared>,
    validity: u64,
    headers: HeaderMap,
}

impl Known {
    /// What one caller's request is known by: everything that its answer depends on but the tables.
    pub fn key(caller: &Caller, request: &Request, catalog_version: u64) -> [u8; 32] {
        let mut digest = Sha256::new();
        let mut part = |bytes: &[u8]| {
            digest.update((bytes.len() as u64).to_le_bytes());
            digest.update(bytes);
        };
        part(&catalog_version.to_le_bytes());
        part(caller.role.as_bytes());
        part(caller.claims.as_bytes());
        part(request.method.as_str().as_bytes());
        part(request.path.as_bytes());
        part(request.query.as_deref().unwrap_or_default().as_bytes());
        for name in ["accept", "accept-profile", "prefer", "range", "range-unit"] {
            for value in request.headers.get_all(name) {
                part(value.as_bytes());
            }
            part(&[0xff]);
        }
        digest.finalize().into()
    }

    /// The 304 to a request whose tag is still good, without asking the database.
    pub fn still_good(&self, backend: &dyn Backend, key: &[u8], condition: &Condition) -> Option<Response> {
        let known = self.answers.get(key)?;
        let is_good =
            condition.names(&known.headers) && backend.validity(&known.prepared.statement) == Some(known.validity);
        is_good.then(|| not_modified(&known.headers))
    }

    /// Remembers an answer that was right at `validity`.
    pub fn remember(&self, key: &[u8], prepared: Arc<Prepared>, validity: u64, headers: &HeaderMap) {
        let answered = Answered {
            prepared,
            validity,
            headers: headers.clone(),
        };
        self.answers.insert(key, Arc::new(answered));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: HeaderName, values: &[&str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(name.clone(), value.parse().unwrap());
        }
        headers
    }

    fn read(values: &[&str]) -> Result<Option<Condition>, ()> {
        Condition::read(&headers(header::IF_MATCH, values), &header::IF_MATCH)
    }

    #[test]
    fn lists_of_tags() {
        let tags = |texts: &[&str]| Condition::Tags(texts.iter().map(|text| (*text).to_owned()).collect());
        assert_eq!(read(&[]), Ok(None));
        assert_eq!(read(&["*"]), Ok(Some(Condition::Any)));
        assert_eq!(read(&["\"a.b\""]), Ok(Some(tags(&["a.b"]))));
        assert_eq!(
            read(&["\"a\", W/\"b-gzip\"", "\"c-x\""]),
            Ok(Some(tags(&["a", "b", "c-x"])))
        );
        for bad in ["a", "\"a", "\"a\"b\"", "", ","] {
            assert_eq!(read(&[bad]), Err(()), "{bad}");
        }
        let many = vec!["\"a\""; TAGS_MAX + 1].join(",");
        assert_eq!(read(&[&many]), Err(()));
    }

    #[test]
    fn a_tag_tells_rows_and_form_apart() {
        let answer = |range: &str| {
            let mut headers = headers(header::CONTENT_RANGE, &[range]);
            let tag = tag_of(b"{\"id\":1}", &headers).unwrap();
            headers.insert(header::ETAG, tag);
            headers
        };
        let (plain, counted) = (answer("0-0/*"), answer("0-0/1"));
        let tag = counted[header::ETAG].to_str().unwrap();
        let condition = read(&[tag]).unwrap().unwrap();
        assert!(!condition.names(&plain));
        assert!(condition.names(&counted));
        let compressed = tag.replacen('"', "W/\"", 1).trim_end_matches('"').to_owned() + "-br\"";
        assert!(read(&[&compressed]).unwrap().unwrap().names(&counted));
        assert!(condition.holds_for(b"{\"id\":1}", 1));
        assert!(!condition.holds_for(b"{\"id\":2}", 1));
        assert!(Condition::Any.holds_for(b"{}", 1));
        assert!(!Condition::Any.holds_for(b"", 0));
    }

    #[test]
    fn what_differs_between_requests_differs_in_their_keys() {
        let caller = Caller::of_role("anon");
        let request = |query: &str, accept: &str| Request {
            method: http::Method::GET,
            path: "/t".into(),
            query: Some(query.into()),
            headers: headers(header::ACCEPT, &[accept]),
            body: bytes::Bytes::new(),
            authentication: std::time::Duration::ZERO,
        };
        let key = Known::key(&caller, &request("id=eq.1", "text/csv"), 1);
        assert_eq!(key, Known::key(&caller, &request("id=eq.1", "text/csv"), 1));
        assert_ne!(key, Known::key(&caller, &request("id=eq.2", "text/csv"), 1));
        assert_ne!(key, Known::key(&caller, &request("id=eq.1", "application/json"), 1));
        assert_ne!(key, Known::key(&caller, &request("id=eq.1", "text/csv"), 2));
        assert_ne!(
            key,
            Known::key(&Caller::of_role("other"), &request("id=eq.1", "text/csv"), 1)
        );
    }
}

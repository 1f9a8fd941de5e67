//! What rules in the database may read of the request: method, path, headers, cookies, search path.

use std::sync::Arc;

use http::header;
use mainstay_core::caller::{Caller, RequestContext};
use mainstay_core::name::Ident;
use mainstay_core::render;
use mainstay_http::Request;

/// The caller with its request's context; what is filled already is kept.
pub fn with_request(
    caller: &Caller,
    request: &Request,
    schema: &Ident,
    extra_search_path: &[Ident],
    time_zone: Option<Arc<str>>,
) -> Caller {
    let given = &caller.request;
    let mut search_path = Vec::with_capacity(1 + extra_search_path.len());
    search_path.push(schema.clone());
    search_path.extend(extra_search_path.iter().cloned());
    let context = RequestContext {
        method: if given.method.is_empty() {
            Arc::from(request.method.as_str())
        } else {
            given.method.clone()
        },
        path: if given.path.is_empty() {
            Arc::from(request.path.as_str())
        } else {
            given.path.clone()
        },
        headers: if given.headers.is_empty() {
            headers(request)
        } else {
            given.headers.clone()
        },
        cookies: if given.cookies.is_empty() {
            cookies(request)
        } else {
            given.cookies.clone()
        },
        search_path: search_path.into(),
        time_zone,
    };
    Caller {
        role: caller.role.clone(),
        claims: caller.claims.clone(),
        request: context,
    }
}

/// The headers as one JSON object; of several with one name the last counts, and cookies stand apart.
fn headers(request: &Request) -> Arc<str> {
    let mut json = vec![b'{'];
    for name in request.headers.keys().filter(|name| **name != header::COOKIE) {
        let Some(value) = request.headers.get_all(name).iter().next_back() else {
            continue;
        };
        member(&mut json, name.as_str(), &String::from_utf8_lossy(value.as_bytes()));
    }
    json.push(b'}');
    text(json)
}

fn cookies(request: &Request) -> Arc<str> {
    let mut json = vec![b'{'];
    let mut seen: Vec<String> = Vec::new();
    for header in request.headers.get_all(header::COOKIE) {
        let header = String::from_utf8_lossy(header.as_bytes());
        for pair in header.split(';') {
            let (name, value) = pair.trim().split_once('=').unwrap_or((pair.trim(), ""));
            if !name.is_empty() && !seen.iter().any(|known| known == name) {
                seen.push(name.to_owned());
                member(&mut json, name, value);
            }
        }
    }
    json.push(b'}');
    text(json)
}

fn member(json: &mut Vec<u8>, name: &str, value: &str) {
    if json.len() > 1 {
        json.push(b',');
    }
    render::json_string(json, name);
    json.push(b':');
    render::json_string(json, value);
}

fn text(json: Vec<u8>) -> Arc<str> {
    Arc::from(String::from_utf8_lossy(&json).as_ref())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_and_cookies_become_json() {
        let mut headers = http::HeaderMap::new();
        headers.insert("x-a", "1\"".parse().unwrap());
        headers.insert("cookie", "a=b; c=d; a=e".parse().unwrap());
        let request = Request {
            method: http::Method::GET,
            path: "/t".into(),
            query: None,
            headers,
            body: bytes::Bytes::new(),
            authentication: std::time::Duration::ZERO,
        };
        let caller = with_request(
            &Caller::of_role("anon"),
            &request,
            &Ident::new("test"),
            &[Ident::new("public")],
            None,
        );
        assert_eq!(&*caller.request.headers, r#"{"x-a":"1\""}"#);
        assert_eq!(&*caller.request.cookies, r#"{"a":"b","c":"d"}"#);
        assert_eq!(caller.request.search_path.len(), 2);
    }
}

//! Where users may be sent back to with a code.
//!
//! Source: RFC 6749 §3.1.2, RFC 8252 §7 (native applications), RFC 9700 §2.1 and §4.1 (exact comparison).

use url::{Host, Url};

use crate::redirect::{self, is_here};

/// Addresses of one application.
pub const ADDRESSES_MAX: usize = 10;
/// Bytes of one address.
const BYTES_MAX: usize = 2048;
/// Schemes of what no browser is sent to, besides those of every redirect.
const SCHEMES_REFUSED: &[&str] = &["ws", "wss", "ftp"];

/// Checks an address that an application registers. Errors: why it is none.
pub fn check(text: &str) -> Result<(), &'static str> {
    if text.is_empty() || text.len() > BYTES_MAX {
        return Err("it is empty or too long");
    }
    // Addresses are kept with commas between them, and compared as they are written.
    let is_odd = |letter: char| letter == ',' || letter == '\\' || letter == '"' || letter == '<' || letter == '>';
    if text
        .chars()
        .any(|letter| letter.is_control() || letter.is_whitespace() || is_odd(letter))
    {
        return Err("it has characters that must be encoded");
    }
    let url = Url::parse(text).map_err(|_| "it is no URL")?;
    if redirect::SCHEMES_REFUSED.contains(&url.scheme()) || SCHEMES_REFUSED.contains(&url.scheme()) {
        return Err("its scheme is not allowed");
    }
    if url.fragment().is_some() {
        return Err("it has a fragment");
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("it has a user's name");
    }
    match (url.scheme(), url.host()) {
        ("http", Some(host)) if !is_here(&host) => Err("http is for this very machine alone"),
        // RFC 8252 §7.1: a scheme that is a domain's name turned round, and one slash.
        (scheme, None) if scheme.contains('.') && url.path().starts_with('/') => Ok(()),
        (_, None | Some(Host::Domain(""))) => Err("it has no host"),
        _ => Ok(()),
    }
}

/// True if `asked` is one of the registered addresses: the same to the letter, but for the port on this very machine,
/// which a native application learns only when it starts.
pub fn is_registered(registered: &[String], asked: &str) -> bool {
    if registered.iter().any(|known| known == asked) {
        return true;
    }
    let Some(asked) = without_port(asked) else {
        return false;
    };
    registered
        .iter()
        .filter_map(|known| without_port(known))
        .any(|known| known == asked)
}

/// An address on this very machine, its port taken out.
fn without_port(text: &str) -> Option<String> {
    let url = Url::parse(text).ok()?;
    if url.scheme() != "http" || !is_here(&url.host()?) || check(text).is_err() {
        return None;
    }
    let (_, rest) = text.split_once("://")?;
    let (authority, path) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
    let host = match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
        _ => authority,
    };
    Some(format!("{host}{path}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_whole_and_safe() {
        for good in [
            "https://app.example/callback",
            "https://app.example/cb?tenant=1",
            "http://127.0.0.1:7777/cb",
            "http://127.0.0.1/cb",
            "http://[::1]/cb",
            "http://localhost:3000/cb",
            "cursor://anysphere.cursor-mcp/oauth/callback",
            "com.example.app:/oauth/cb",
        ] {
            assert_eq!(check(good), Ok(()), "{good}");
        }
        for bad in [
            "",
            "/cb",
            "app.example/cb",
            "http://app.example/cb",
            "http://127.0.0.1.evil.example/cb",
            "https://app.example/cb#x",
            "https://user@app.example/cb",
            "https://app.example/a,b",
            "https://app.example/a b",
            "https:\\\\app.example/",
            "javascript:alert(1)",
            "javascript://app.example/%0aalert(1)",
            "data:text/html,x",
            "file:///etc/passwd",
            "com.example.app:cb",
        ] {
            assert!(check(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn only_the_port_on_this_machine_may_differ() {
        let registered = ["https://app.example/cb", "http://127.0.0.1/cb", "http://localhost:1/cb"].map(str::to_owned);
        for good in [
            "https://app.example/cb",
            "http://127.0.0.1/cb",
            "http://127.0.0.1:5555/cb",
            "http://localhost:9/cb",
        ] {
            assert!(is_registered(&registered, good), "{good}");
        }
        for bad in [
            "https://app.example/cb/",
            "https://app.example/cb?x",
            "https://app.example:443/cb",
            "https://APP.example/cb",
            "https://app.example:8443/cb",
            "https://app.example.evil.example/cb",
            "http://127.0.0.1:5555/other",
            "http://127.0.0.1:5555/cb?x=1",
            "http://127.0.0.2:5555/cb",
            "http://127.0.0.1:5555@evil.example/cb",
            "http://127.0.0.1:x/cb",
            "https://127.0.0.1/cb",
            "http://[::1]:5555/cb",
        ] {
            assert!(!is_registered(&registered, bad), "{bad}");
        }
    }
}

//! Where a browser may be sent when it is done here.
//!
//! Lives here: the allow-list, and which of the addresses that a request names counts.
//! Not here: what is added to the address ([`landing`](crate::landing)).
//! Invariant: nobody is sent to an address that the settings do not allow. An address is looked at as browsers read it
//! (WHATWG URL), and it is that reading that they are sent to.
//!
//! Source: Supabase Auth's documented redirect rules; RFC 8252 §7.3 (any port on loopback).

use mainstay_http::Request;
use regex::Regex;
use url::{Host, Url};

use crate::request::parameter;

/// Bytes of an address, at most.
const BYTES_MAX: usize = 2048;
/// Bytes of a pattern, at most.
const PATTERN_BYTES_MAX: usize = 1024;
/// Schemes that run or show what the address itself says. No pattern allows them.
pub const SCHEMES_REFUSED: &[&str] = &[
    "javascript",
    "data",
    "vbscript",
    "blob",
    "file",
    "filesystem",
    "about",
    "view-source",
];

/// The addresses that are allowed.
#[derive(Clone, Debug)]
pub struct Redirects {
    site: Url,
    site_text: String,
    patterns: Vec<Regex>,
    /// The room's own page, on which sign-ins go on that messages and providers have been part of.
    page: Option<String>,
}

impl Redirects {
    /// `site_url`, and patterns as `additional_redirect_urls` lists them. Errors: what is wrong with one, for operators.
    pub fn new(site_url: &str, patterns: &[String]) -> Result<Self, String> {
        let site = Url::parse(site_url).map_err(|error| format!("`{site_url}` is no URL: {error}"))?;
        if SCHEMES_REFUSED.contains(&site.scheme()) {
            return Err(format!("`{site_url}` is nothing that a browser can be sent to"));
        }
        let patterns = patterns.iter().map(|pattern| glob(pattern)).collect::<Result<_, _>>()?;
        Ok(Redirects {
            site,
            site_text: site_url.to_owned(),
            patterns,
            page: None,
        })
    }

    /// Also allows a page of the room's own, with any query.
    #[must_use]
    pub fn and_page(mut self, page: &str) -> Self {
        self.page = Some(page.to_owned());
        self
    }

    /// The query of an address that leads to the room's own page.
    pub fn query_of_page<'a>(&self, text: &'a str) -> Option<&'a str> {
        let rest = text.strip_prefix(self.page.as_deref()?)?;
        match rest.is_empty() {
            true => Some(rest),
            false => rest.strip_prefix('?').filter(|query| !query.contains('#')),
        }
    }

    /// The application's own address.
    pub fn site(&self) -> &str {
        &self.site_text
    }

    /// Where the request wants to end: what it names in the header or query parameter `redirect_to`, else the page that
    /// it comes from, else the application's own address. What is not allowed counts as absent.
    pub fn of(&self, request: &Request) -> String {
        self.first([
            request.header("redirect_to").map(str::to_owned),
            parameter(request, "redirect_to"),
            request.header("referer").map(str::to_owned),
        ])
    }

    /// The same, and `wanted` comes first: what a body names.
    pub fn wanted(&self, wanted: &str, request: &Request) -> String {
        match self.allows(wanted) {
            true => wanted.to_owned(),
            false => self.of(request),
        }
    }

    fn first(&self, named: [Option<String>; 3]) -> String {
        let [header, query, referer] = named;
        let redirect_to = header.filter(|text| !text.is_empty()).or(query);
        [redirect_to, referer]
            .into_iter()
            .flatten()
            .find(|text| self.allows(text))
            .unwrap_or_else(|| self.site_text.clone())
    }

    /// True if a browser may be sent there.
    pub fn allows(&self, text: &str) -> bool {
        if text.is_empty() || text.len() > BYTES_MAX || text.chars().any(|letter| letter.is_control() || letter == '\\')
        {
            return false;
        }
        if self.query_of_page(text).is_some() {
            return true;
        }
        let Ok(url) = Url::parse(text) else { return false };
        if SCHEMES_REFUSED.contains(&url.scheme()) || !url.username().is_empty() || url.password().is_some() {
            return false;
        }
        if self.is_own(&url) {
            return true;
        }
        match url.host() {
            Some(host @ (Host::Ipv4(_) | Host::Ipv6(_))) => return is_http(&url) && is_here(&host),
            Some(Host::Domain(name)) if is_http(&url) && !is_plain_name(name) => return false,
            None if is_http(&url) => return false,
            _ => {}
        }
        let spellings = spellings(&url, text);
        self.patterns
            .iter()
            .any(|pattern| spellings.iter().any(|spelling| pattern.is_match(spelling)))
    }

    /// The application's own address: scheme, host and port, and on this very machine any port.
    fn is_own(&self, url: &Url) -> bool {
        let Some(host) = url.host() else { return false };
        let ports = (self.site.port_or_known_default(), url.port_or_known_default());
        let is_at_port = ports.0 == ports.1 || is_here(&host);
        self.site.scheme() == url.scheme() && self.site.host().as_ref() == Some(&host) && is_at_port
    }
}

/// True for this very machine: what is sent there crosses no network.
pub fn is_here(host: &Host<&str>) -> bool {
    match host {
        Host::Domain(name) => *name == "localhost",
        Host::Ipv4(address) => address.is_loopback(),
        Host::Ipv6(address) => address.is_loopback(),
    }
}

fn is_http(url: &Url) -> bool {
    matches!(url.scheme(), "http" | "https")
}

fn is_plain_name(name: &str) -> bool {
    name.bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-'))
        && !name.starts_with(['.', '-'])
        && !name.ends_with(['.', '-'])
}

/// The texts that patterns are compared with, none with a fragment: the address as browsers read it, with and without the
/// slash that stands for no path, and as it was written if its host is written plainly and ends where browsers end it.
fn spellings(url: &Url, text: &str) -> Vec<String> {
    let mut bare = url.clone();
    bare.set_fragment(None);
    let read = bare.as_str().to_owned();
    let written = text.split('#').next().unwrap_or_default();
    let authority = written.split_once("://").map_or("", |(_, rest)| rest);
    let (authority, after) = authority.split_at(authority.find(['/', '?']).unwrap_or(authority.len()));
    let is_plain = authority
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_' | b':'));
    let mut found = Vec::with_capacity(3);
    if is_plain && !after.starts_with('?') {
        found.push(written.to_owned());
    }
    if bare.path() == "/" && bare.query().is_none() {
        found.extend(read.strip_suffix('/').map(str::to_owned));
    }
    found.push(read);
    found
}

/// A pattern as an expression: `*` for anything without `.` and `/`, `**` for anything, `?` for one character that is
/// neither, `[a-z]`, `[!a-z]`, `{one,other}`, `\` before a character that means itself.
fn glob(pattern: &str) -> Result<Regex, String> {
    let bad = |why: &str| format!("`{pattern}` is no pattern of addresses: {why}");
    if pattern.len() > PATTERN_BYTES_MAX {
        return Err(bad("it is too long"));
    }
    let mut out = String::from(r"\A(?s:");
    let mut letters = pattern.chars().peekable();
    let mut depth = 0_usize;
    while let Some(letter) = letters.next() {
        match letter {
            '*' if letters.peek() == Some(&'*') => {
                while letters.next_if_eq(&'*').is_some() {}
                out.push_str(".*");
            }
            '*' => out.push_str("[^./]*"),
            '?' => out.push_str("[^./]"),
            '[' => {
                out.push('[');
                if letters.next_if_eq(&'!').is_some() {
                    out.push('^');
                }
                let mut is_closed = false;
                for letter in letters.by_ref() {
                    match letter {
                        ']' => {
                            is_closed = true;
                            break;
                        }
                        '-' => out.push('-'),
                        letter if letter.is_ascii_alphanumeric() => out.push(letter),
                        letter => out.push_str(&regex::escape(&letter.to_string())),
                    }
                }
                if !is_closed {
                    return Err(bad("a `[` is not closed"));
                }
                out.push(']');
            }
            '{' => {
                depth += 1;
                out.push_str("(?:");
            }
            ',' if depth > 0 => out.push('|'),
            '}' if depth > 0 => {
                depth -= 1;
                out.push(')');
            }
            '\\' => {
                let letter = letters.next().ok_or_else(|| bad("it ends in a `\\`"))?;
                out.push_str(&regex::escape(&letter.to_string()));
            }
            letter => out.push_str(&regex::escape(&letter.to_string())),
        }
    }
    if depth > 0 {
        return Err(bad("a `{` is not closed"));
    }
    out.push_str(r")\z");
    Regex::new(&out).map_err(|error| bad(&error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn redirects(site: &str, patterns: &[&str]) -> Redirects {
        let patterns: Vec<String> = patterns.iter().map(|pattern| (*pattern).to_owned()).collect();
        Redirects::new(site, &patterns).unwrap()
    }

    #[test]
    fn the_site_and_what_the_patterns_name_is_allowed() {
        let own = redirects(
            "https://shop.example/start",
            &[
                "http://localhost:3000",
                "https://*.preview.example/**",
                "https://app.example/callback?",
                "com.example.shop://**",
                "https://x.example/[a-c]{1,2}",
            ],
        );
        for good in [
            "https://shop.example",
            "https://shop.example/anywhere?a=b#c",
            "https://SHOP.example:443/",
            "http://localhost:3000",
            "http://localhost:3000/",
            "http://127.0.0.1:5173/x",
            "http://[::1]:9/",
            "https://one.preview.example/",
            "https://one.preview.example/a/b?c=d.e",
            "https://app.example/callbacks",
            "com.example.shop://signed-in/x",
            "https://x.example/b2",
        ] {
            assert!(own.allows(good), "{good}");
        }
    }

    #[test]
    fn nothing_else_is_allowed_however_it_is_written() {
        let own = redirects("https://shop.example", &["https://*.preview.example/**", "myapp://**"]);
        for bad in [
            "",
            "/relative",
            "//evil.example",
            "http://shop.example/",
            "https://shop.example:8443/",
            "https://shop.example.evil.example/",
            "https://evil.example/shop.example",
            "https://shop.example@evil.example/",
            "https://evil.example\\@shop.example/",
            "https://evil.example/\\.preview.example/",
            "https:evil.example",
            "https:///evil.example",
            "https://a.b.preview.example/",
            "https://evil.example/x.preview.example/",
            "https://evil?.preview.example/",
            "https://evil%2eexample?x.preview.example/",
            "https://evil#.preview.example/",
            "https://user@one.preview.example/",
            "https://one.preview.example.evil.example/",
            "https://10.0.0.1/",
            "https://2130706433.evil.example/",
            "https://preview.example/",
            "https://\tevil.example/",
            "javascript:alert(1)",
            "JaVaScRiPt://shop.example/%0aalert(1)",
            "data:text/html,x",
            "https://one_.evil.example/",
        ] {
            assert!(!own.allows(bad), "{bad}");
        }
        let open = redirects("https://shop.example", &["**"]);
        assert!(open.allows("https://anything.example/"));
        for bad in [
            "javascript:alert(1)",
            "data:text/html,x",
            " javascript:alert(1)",
            "https://8.8.8.8/",
            "file:///etc",
        ] {
            assert!(!open.allows(bad), "{bad}");
        }
    }

    #[test]
    fn patterns_that_cannot_be_read_are_named() {
        for bad in ["https://{a,b", "https://[a", "x\\", "[z-a]"] {
            let error = Redirects::new("https://a.example", &[bad.to_owned()]).unwrap_err();
            assert!(error.contains(bad), "{error}");
        }
        assert!(Redirects::new("shop", &[]).is_err());
        assert!(Redirects::new("javascript:alert(1)", &[]).is_err());
    }

    #[test]
    fn the_first_address_that_is_allowed_counts() {
        let own = redirects("https://shop.example", &["https://app.example/*"]);
        let request = |query: Option<&str>, headers: &[(&'static str, &'static str)]| Request {
            method: http::Method::GET,
            path: "/verify".into(),
            query: query.map(str::to_owned),
            headers: headers
                .iter()
                .map(|(name, value)| {
                    let name = http::HeaderName::from_static(name);
                    (name, http::HeaderValue::from_static(value))
                })
                .collect(),
            body: bytes::Bytes::new(),
            authentication: std::time::Duration::ZERO,
        };
        let (app, evil) = ("https://app.example/in", "https://evil.example/");
        assert_eq!(own.of(&request(None, &[])), "https://shop.example");
        let named = request(Some("redirect_to=https%3A%2F%2Fapp.example%2Fin"), &[("referer", evil)]);
        assert_eq!(own.of(&named), app);
        assert_eq!(
            own.of(&request(Some("redirect_to=https://evil.example/"), &[("referer", app)])),
            app
        );
        assert_eq!(own.of(&request(None, &[("redirect_to", app), ("referer", evil)])), app);
        assert_eq!(own.of(&request(None, &[("redirect_to", evil)])), "https://shop.example");
        assert_eq!(own.wanted(app, &request(None, &[])), app);
        assert_eq!(own.wanted(evil, &request(None, &[])), "https://shop.example");
    }
}

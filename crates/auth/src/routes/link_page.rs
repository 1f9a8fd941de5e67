//! The page that a link in a mail opens: what is about to happen, and a button.
//!
//! No script, nothing from elsewhere, and the button's form goes nowhere but here; from here the browser may be sent on
//! to the application alone.

use std::sync::LazyLock;

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderValue, StatusCode, header};
use mainstay_http::{Request, Response};
use url::Url;

use super::pages::{self, Destination, Page, Site, hidden};
use super::verify::{Link, Verification};
use crate::error::Error;
use crate::html::Html;
use crate::messages::template::escape;
use crate::room::AuthRoom;

const STYLE: &str = "body{font:1.1rem/1.5 system-ui,sans-serif;max-width:26rem;margin:15vh auto 0;padding:0 1.5rem;\
     color:#1c1c1c;background:#fff}h1{font-size:1.5rem}button{font:inherit;padding:.7rem 1.4rem;border:0;\
     border-radius:.4rem;background:#14532d;color:#fff;cursor:pointer}button:focus-visible{outline:3px solid #14532d;\
     outline-offset:3px}@media(prefers-color-scheme:dark){body{color:#eee;background:#1c1c1c}\
     button{background:#86efac;color:#111}button:focus-visible{outline-color:#86efac}}";

static STYLE_HASH: LazyLock<String> = LazyLock::new(|| STANDARD.encode(digest(&SHA256, STYLE.as_bytes())));

/// The page: in the frame of the ready pages, where there are any.
/// Errors: no random bytes.
pub fn show(room: &AuthRoom, request: &Request, link: &Link) -> Result<Response, Error> {
    match Site::of(room) {
        Some(site) => framed(&site, request, link),
        None => Ok(plain(link)),
    }
}

/// What the form holds.
fn fields(link: &Link) -> [(&'static str, &str); 3] {
    [
        ("token", link.token.expose()),
        ("type", link.verification.name()),
        ("redirect_to", &link.redirect_to),
    ]
}

/// A link that leads to a page signs its browser in there: its form is good for the browser alone in which it was opened,
/// so that no other site signs somebody in as somebody else.
fn framed(site: &Site<'_>, request: &Request, link: &Link) -> Result<Response, Error> {
    let (title, button) = words(link.verification);
    let destination = Destination::of_page(site.room(), &link.redirect_to);
    let cookie = match &destination {
        Some(_) => Some(pages::link_cookie(site.room(), request)?),
        None => None,
    };
    let body = Html::of(|html| {
        html.element("form", &[("method", "post"), ("action", "verify")], |html| {
            for (name, value) in fields(link) {
                hidden(html, name, value);
            }
            if let Some(cookie) = &cookie {
                hidden(html, pages::FIELD, &pages::form_token(cookie));
            }
            html.leaf("button", &[("type", "submit")], button);
        });
    });
    // Where the page goes on, the application comes after it.
    let page = Page::new(title, body).leading_to(&link.redirect_to);
    let mut response = match &destination {
        Some(destination) => page.leading_to(&destination.redirect_to).show(site),
        None => page.show(site),
    };
    if let Some(cookie) = &cookie {
        pages::set_link_cookie(site.room(), &mut response, cookie);
    }
    Ok(response)
}

fn plain(link: &Link) -> Response {
    let (title, button) = words(link.verification);
    let mut page = format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
         <meta name=\"robots\" content=\"noindex\"><title>{title}</title><style>{STYLE}</style></head>\
         <body><main><h1>{title}</h1><form method=\"post\" action=\"verify\">"
    );
    for (name, value) in fields(link) {
        page.push_str(&format!("<input type=\"hidden\" name=\"{name}\" value=\""));
        escape(&mut page, value);
        page.push_str("\">");
    }
    page.push_str(&format!(
        "<button type=\"submit\">{button}</button></form></main></body></html>"
    ));
    let mut response = Response::body(StatusCode::OK, "text/html; charset=utf-8", page);
    let mut put = |name, value: &str| {
        if let Ok(value) = HeaderValue::from_str(value) {
            response.headers.insert(name, value);
        }
    };
    put(
        header::CONTENT_SECURITY_POLICY,
        &format!(
            "default-src 'none'; style-src 'sha256-{}'; base-uri 'none'; frame-ancestors 'none'; form-action 'self' {}",
            *STYLE_HASH,
            source(&link.redirect_to)
        ),
    );
    put(header::CACHE_CONTROL, "no-store");
    put(header::REFERRER_POLICY, "no-referrer");
    put(header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    put(header::X_FRAME_OPTIONS, "DENY");
    response
}

/// What a policy calls the application: browsers ask it for every step that a form's answer leads to.
pub fn source(address: &str) -> String {
    let Ok(url) = Url::parse(address) else {
        return String::new();
    };
    match url.origin() {
        origin @ url::Origin::Tuple(..) => origin.ascii_serialization(),
        url::Origin::Opaque(_) => format!("{}:", url.scheme()),
    }
}

fn words(verification: Verification) -> (&'static str, &'static str) {
    match verification {
        Verification::Signup => ("Confirm your e-mail address", "Confirm the address"),
        Verification::Invite => ("You are invited", "Accept the invitation"),
        Verification::Recovery => ("Reset your password", "Go on"),
        Verification::EmailChange => ("Confirm the change of your e-mail address", "Confirm the change"),
        Verification::MagicLink | Verification::Email | Verification::Sms | Verification::PhoneChange => {
            ("Sign in", "Sign in")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::one_time_tokens::Token;

    #[test]
    fn a_link_says_nothing_but_what_it_is() {
        let link = Link {
            token: Token::read("\"><script>alert(1)</script>").unwrap(),
            verification: Verification::Signup,
            redirect_to: "com.example.app://in?a='b'".into(),
        };
        let response = plain(&link);
        let page = String::from_utf8(response.body.to_vec()).unwrap();
        assert!(!page.contains("<script") && page.contains("&#34;&gt;&lt;script&gt;"));
        assert!(page.contains("value=\"com.example.app://in?a=&#39;b&#39;\""));
        let policy = response.headers[header::CONTENT_SECURITY_POLICY].to_str().unwrap();
        assert!(policy.contains("default-src 'none'") && policy.ends_with("form-action 'self' com.example.app:"));
        assert_eq!(source("https://a.example:8443/x?y"), "https://a.example:8443");
        assert_eq!(response.headers[header::REFERRER_POLICY], "no-referrer");
        assert_eq!(response.headers[header::CACHE_CONTROL], "no-store");
    }
}

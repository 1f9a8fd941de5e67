//! Which browser it is, and that it means what it sends.
//!
//! The browser's cookie is a random value. Signed in, it stands for a page session, and it is another one after every
//! step that changes what the browser may do. Every form holds a digest of it, which nobody can make who does not know the
//! cookie. Who has put a cookie of their own choice there knows it (a page of a sister domain can), so a form must come
//! from a page of this server, too: another site can neither send a form nor choose who is signed in.
//!
//! Source: OWASP, "Cross-Site Request Forgery Prevention"; W3C, "Fetch Metadata Request Headers".

use aws_lc_rs::constant_time::verify_slices_are_equal;
use http::{HeaderValue, header};
use mainstay_core::clock;
use mainstay_core::secret::Secret;
use mainstay_http::{Request, Response};
use url::Url;

use super::super::{Signed, standing_user};
use crate::config::Config;
use crate::error::Error;
use crate::page_sessions::{self, PAGE_SECONDS};
use crate::request;
use crate::room::AuthRoom;
use crate::secrets;
use crate::sessions::{self, SessionId};

/// A cookie of ours.
#[derive(Clone, Copy, Debug)]
struct Cookie {
    name: &'static str,
    /// Browsers take a cookie of such a name from encrypted pages alone.
    secure_name: &'static str,
    /// The path below the room's that it is sent to.
    path: &'static str,
}

/// Which browser it is, on the pages.
const PAGES: Cookie = Cookie {
    name: "mainstay-pages",
    secure_name: "__Secure-mainstay-pages",
    path: "/pages",
};
/// In which browser a mail's link was opened that leads to a page.
const LINKS: Cookie = Cookie {
    name: "mainstay-links",
    secure_name: "__Secure-mainstay-links",
    path: "/verify",
};

impl Cookie {
    fn name(self, config: &Config) -> &'static str {
        match config.is_encrypted() {
            true => self.secure_name,
            false => self.name,
        }
    }

    fn read(self, room: &AuthRoom, request: &Request) -> Option<Secret<String>> {
        let value = request::cookie(request, self.name(&room.config))?;
        (value.len() == COOKIE_BYTES).then(|| Secret::new(value.to_owned()))
    }

    fn set(self, config: &Config, response: &mut Response, value: &Secret<String>, lifetime: &str) {
        let secure = match config.is_encrypted() {
            true => "; Secure",
            false => "",
        };
        let (name, value, path) = (self.name(config), value.expose(), config.path());
        let line = format!(
            "{name}={value}; Path={path}{}; HttpOnly; SameSite=Lax{secure}{lifetime}",
            self.path
        );
        if let Ok(line) = HeaderValue::from_str(&line) {
            response.headers.append(header::SET_COOKIE, line);
        }
    }
}

/// Bytes of the cookie's value: 256 bits in base64url.
const COOKIE_BYTES: usize = 43;
/// The hidden field of every form.
pub const FIELD: &str = "form_token";

/// The browser's cookie, if it has one of ours.
pub fn cookie(room: &AuthRoom, request: &Request) -> Option<Secret<String>> {
    PAGES.read(room, request)
}

/// Gives the browser a cookie. One that stands for nobody goes when the browser is closed.
pub fn set_cookie(room: &AuthRoom, response: &mut Response, cookie: &Secret<String>, is_signed: bool) {
    let lifetime = match is_signed {
        true => format!("; Max-Age={PAGE_SECONDS}"),
        false => String::new(),
    };
    PAGES.set(&room.config, response, cookie, &lifetime);
}

/// The cookie of the browser in which a mail's link is opened, another one if it has none yet: the link's form holds its
/// [`form_token`]. Errors: no random bytes.
pub fn link_cookie(room: &AuthRoom, request: &Request) -> Result<Secret<String>, Error> {
    LINKS.read(room, request).map_or_else(secrets::random, Ok)
}

/// Lets the browser keep it until it is closed.
pub fn set_link_cookie(room: &AuthRoom, response: &mut Response, cookie: &Secret<String>) {
    LINKS.set(&room.config, response, cookie, "");
}

/// Errors: `FormRefused`: it is not the form of a link that was opened in this browser.
pub fn check_link(room: &AuthRoom, request: &Request) -> Result<(), Error> {
    check(room, request, LINKS.read(room, request).as_ref())
}

/// What every form of the browser with this cookie holds.
pub fn form_token(cookie: &Secret<String>) -> String {
    secrets::sha256(&format!("form of {}", cookie.expose()))
}

/// Errors: `FormRefused`: the form was not made for this browser, or is sent by somebody else's page.
pub fn check(room: &AuthRoom, request: &Request, cookie: Option<&Secret<String>>) -> Result<(), Error> {
    is_from_here(room, request)?;
    let sent = request::form_field(request, FIELD).unwrap_or_default();
    let is_own =
        cookie.is_some_and(|cookie| verify_slices_are_equal(form_token(cookie).as_bytes(), sent.as_bytes()).is_ok());
    match is_own {
        true => Ok(()),
        false => Err(Error::FormRefused),
    }
}

/// Errors: `FormRefused`: a page of another site sends it. A browser that says neither whose page it is on nor where that
/// is passes.
fn is_from_here(room: &AuthRoom, request: &Request) -> Result<(), Error> {
    if let Some(site) = request.header("sec-fetch-site") {
        return match site == "same-origin" {
            true => Ok(()),
            false => Err(Error::FormRefused),
        };
    }
    // `null` is what browsers say of pages that do not want to be told of, as these.
    match request.header("origin").filter(|origin| *origin != "null") {
        Some(origin) if !is_own_origin(room, request, origin) => Err(Error::FormRefused),
        _ => Ok(()),
    }
}

fn is_own_origin(room: &AuthRoom, request: &Request, origin: &str) -> bool {
    let Ok(origin) = Url::parse(origin).map(|url| url.origin()) else {
        return false;
    };
    let is_of = |address: &str| Url::parse(address).is_ok_and(|url| url.origin() == origin);
    let asked = request.header("host").unwrap_or_default();
    is_of(&room.config.url)
        || ["http", "https"]
            .iter()
            .any(|scheme| is_of(&format!("{scheme}://{asked}/")))
}

/// Who is signed in by a session, if it has not ended.
pub async fn person(room: &AuthRoom, session: SessionId) -> Result<Option<Signed>, Error> {
    let (rules, now) = (&room.config.sessions, clock::now());
    let found = sessions::by_id(&room.store, session).await?;
    let Some(session) = found.filter(|found| found.ended(rules, now, None).is_none()) else {
        return Ok(None);
    };
    match standing_user(room, session.user).await {
        Ok(user) => Ok(Some(Signed {
            user,
            session: Some(session),
        })),
        Err(Error::TokenUserNotFound | Error::TokenUserBanned) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Who is signed in by a cookie.
pub async fn person_of(room: &AuthRoom, cookie: &Secret<String>) -> Result<Option<Signed>, Error> {
    match page_sessions::session(&room.store, cookie, clock::now()).await? {
        Some(session) => person(room, session).await,
        None => Ok(None),
    }
}

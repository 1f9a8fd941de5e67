//! Where a browser goes once its person is signed in, as it stands in the addresses of the pages.

use url::form_urlencoded::{Serializer, parse};

use crate::error::Error;
use crate::flow_state::Challenge;
use crate::room::AuthRoom;

/// Bytes of the id of what an application asks, at most.
const ID_BYTES_MAX: usize = 128;

/// What is done next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// The application gets the session.
    App,
    Account,
    /// A new password is chosen, then the application gets the session.
    Password,
    /// An application of somebody else's asks, by this id.
    Consent(String),
}

/// Where a browser goes. Whatever it holds is allowed.
#[derive(Clone, Debug)]
pub struct Destination {
    pub next: Next,
    /// The application's address.
    pub redirect_to: String,
    /// `None`: tokens stand in the application's address; else a code does.
    pub challenge: Option<Challenge>,
}

impl Destination {
    /// Reads a query. An address that is not allowed counts as absent: the application's own takes its place.
    /// Errors: `Validation`: the challenge is none.
    pub fn read(room: &AuthRoom, query: &str) -> Result<Self, Error> {
        let field = |wanted: &str| {
            let mut pairs = parse(query.as_bytes());
            let found = pairs.find_map(|(name, value)| (name == wanted).then(|| value.into_owned()));
            found.unwrap_or_default()
        };
        let redirects = &room.config.redirects;
        let redirect_to = field("redirect_to");
        // Pages do not take sessions from an address.
        let is_page = redirect_to.starts_with(&format!("{}/pages/", room.config.url));
        let is_allowed = redirects.allows(&redirect_to) && !is_page;
        let id = field("authorization_id");
        let next = match field("next").as_str() {
            _ if !id.is_empty() && id.len() <= ID_BYTES_MAX => Next::Consent(id),
            "account" => Next::Account,
            "password" => Next::Password,
            _ => Next::App,
        };
        Ok(Destination {
            next,
            challenge: Challenge::of(&field("code_challenge"), &field("code_challenge_method"))?,
            redirect_to: match is_allowed {
                true => redirect_to,
                false => redirects.site().to_owned(),
            },
        })
    }

    /// The same of an address that a message or a provider leads back to. `None`: it leads to an application.
    pub fn of_page(room: &AuthRoom, address: &str) -> Option<Self> {
        let query = room.config.redirects.query_of_page(address)?;
        Destination::read(room, query).ok()
    }

    /// The same with something else done next.
    pub fn then(&self, next: Next) -> Self {
        Destination { next, ..self.clone() }
    }

    /// The query that [`Destination::read`] reads, with a `?`; empty if nothing needs saying. `more` stands before it.
    pub fn query(&self, room: &AuthRoom, more: &[(&str, &str)]) -> String {
        let mut pairs = Serializer::for_suffix(String::from("?"), 1);
        pairs.extend_pairs(more);
        match &self.next {
            Next::App => {}
            Next::Account => _ = pairs.append_pair("next", "account"),
            Next::Password => _ = pairs.append_pair("next", "password"),
            Next::Consent(id) => _ = pairs.append_pair("authorization_id", id),
        }
        if self.redirect_to != room.config.redirects.site() {
            pairs.append_pair("redirect_to", &self.redirect_to);
        }
        if let Some(challenge) = &self.challenge {
            let (method, value) = challenge.columns();
            pairs.append_pair("code_challenge", value);
            pairs.append_pair("code_challenge_method", method);
        }
        let query = pairs.finish();
        match query.len() {
            1 => String::new(),
            _ => query,
        }
    }
}

//! Sends a browser back to the application, with what came of it in the address.
//!
//! An implicit flow brings its tokens in the fragment, which browsers send to nobody; a flow with a challenge brings a
//! code in the query. Errors stand in the fragment, and in the query too where a challenge was given.
//! Not here: which addresses are allowed ([`redirect`](crate::redirect)).
//!
//! Source: Supabase Auth's published redirects; RFC 6749 §4.1.2.1, §4.2.2.

use http::StatusCode;
use mainstay_core::secret::Secret;
use mainstay_http::Response;
use url::Url;
use url::form_urlencoded::Serializer;

use crate::error::Error;
use crate::response;
use crate::room::Tokens;

/// How an application asked to be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flow {
    Implicit,
    Pkce,
}

/// Signed in: tokens in the fragment. `more` stands beside them, such as `type`.
pub fn tokens(to: &str, tokens: &Tokens, more: &[(&str, &str)]) -> Result<Response, Error> {
    let (expires_at, expires_in) = (tokens.expires_at.to_string(), tokens.expires_in.to_string());
    let mut members = vec![
        ("access_token", tokens.access_token.expose().as_str()),
        ("expires_at", &expires_at),
        ("expires_in", &expires_in),
        ("refresh_token", tokens.refresh_token.expose()),
        ("sb", ""),
        ("token_type", "bearer"),
    ];
    members.extend_from_slice(more);
    members.sort_unstable();
    let mut url = parse(to)?;
    url.set_fragment(Some(&encoded(&members)));
    see_other(&url)
}

/// A code, in the query.
pub fn code(to: &str, code: &Secret<String>) -> Result<Response, Error> {
    let mut url = parse(to)?;
    set(&mut url, &[("code", code.expose())]);
    see_other(&url)
}

/// Half of it is done: a message.
pub fn message(to: &str, flow: Flow, message: &str) -> Result<Response, Error> {
    let mut url = parse(to)?;
    if flow == Flow::Pkce {
        set(&mut url, &[("message", message)]);
    }
    url.set_fragment(Some(&encoded(&[("message", message), ("sb", "")])));
    see_other(&url)
}

/// It came to nothing. What only an operator may know is logged.
pub fn error(to: &str, flow: Flow, error: &Error) -> Result<Response, Error> {
    error.log();
    let description = error.to_string();
    let mut members = Vec::with_capacity(4);
    if let Some(kind) = kind(error) {
        members.push(("error", kind));
    }
    members.push(("error_code", error.name()));
    members.push(("error_description", &description));
    let mut url = parse(to)?;
    if flow == Flow::Pkce {
        set(&mut url, &members);
    }
    members.push(("sb", ""));
    url.set_fragment(Some(&encoded(&members)));
    see_other(&url)
}

/// The kind of error that RFC 6749 has for a status.
fn kind(error: &Error) -> Option<&str> {
    match error {
        Error::ProviderRefused { error, .. } => return Some(error),
        Error::SignupDisabled | Error::ProviderEmailUnverified(_) => return Some("access_denied"),
        _ => {}
    }
    match error.status().as_u16() {
        400 => Some("invalid_request"),
        401 => Some("unauthorized_client"),
        403 => Some("access_denied"),
        500 => Some("server_error"),
        503 => Some("temporarily_unavailable"),
        _ => None,
    }
}

fn parse(to: &str) -> Result<Url, Error> {
    Url::parse(to).map_err(|_| Error::Unexpected("an address to be sent to is none".into()))
}

fn encoded(members: &[(&str, &str)]) -> String {
    Serializer::new(String::new()).extend_pairs(members).finish()
}

/// Puts members into the query, in the place of those of the same name.
fn set(url: &mut Url, members: &[(&str, &str)]) {
    let kept: Vec<(String, String)> = url
        .query_pairs()
        .filter(|(name, _)| !members.iter().any(|(own, _)| own == name))
        .map(|(name, value)| (name.into_owned(), value.into_owned()))
        .collect();
    url.query_pairs_mut().clear().extend_pairs(kept).extend_pairs(members);
}

/// 303: whatever the method was, the browser gets the address.
fn see_other(url: &Url) -> Result<Response, Error> {
    response::redirect(StatusCode::SEE_OTHER, url.as_str())
}

#[cfg(test)]
mod tests {
    use http::header;

    use super::*;

    fn location(response: Result<Response, Error>) -> String {
        let response = response.unwrap();
        assert_eq!(response.status, StatusCode::SEE_OTHER);
        response.headers[header::LOCATION].to_str().unwrap().to_owned()
    }

    #[test]
    fn what_came_of_it_stands_where_clients_look_for_it() {
        let given = Tokens {
            access_token: Secret::new("a.b.c".into()),
            refresh_token: Secret::new("r".into()),
            expires_at: 7,
            expires_in: 3600,
        };
        assert_eq!(
            location(tokens("https://a.example/x?y=1#old", &given, &[("type", "signup")])),
            "https://a.example/x?y=1#access_token=a.b.c&expires_at=7&expires_in=3600&refresh_token=r&sb=\
             &token_type=bearer&type=signup"
        );
        let issued = Secret::new("c-1".to_owned());
        assert_eq!(
            location(code("https://a.example/x?code=old&y=1", &issued)),
            "https://a.example/x?y=1&code=c-1"
        );
        assert_eq!(location(code("com.app://in", &issued)), "com.app://in?code=c-1");
        assert_eq!(
            location(error("https://a.example", Flow::Implicit, &Error::LinkExpired)),
            "https://a.example/#error=access_denied&error_code=otp_expired\
             &error_description=Email+link+is+invalid+or+has+expired&sb="
        );
        assert_eq!(
            location(error("https://a.example", Flow::Pkce, &Error::LinkExpired)),
            "https://a.example/?error=access_denied&error_code=otp_expired\
             &error_description=Email+link+is+invalid+or+has+expired#error=access_denied&error_code=otp_expired\
             &error_description=Email+link+is+invalid+or+has+expired&sb="
        );
        assert_eq!(
            location(message("https://a.example/", Flow::Implicit, "One & two")),
            "https://a.example/#message=One+%26+two&sb="
        );
    }
}

//! Signing a browser in, and sending it on with what it came for.

use mainstay_core::clock;
use mainstay_core::secret::Secret;
use mainstay_core::transaction::Decision;
use mainstay_http::{Request, Response};

use super::super::Signed;
use super::destination::{Destination, Next};
use super::shell::{self, Notice, Page, Problem};
use super::{Site, Visit, guard, mfa, see};
use crate::error::Error;
use crate::flow_state;
use crate::html::Html;
use crate::landing;
use crate::page_sessions;
use crate::room::{AuthRoom, Tokens};
use crate::secrets;
use crate::sessions::{self, Client, Granted, SessionId};

/// Somebody comes back by a message or a provider. `granted` is the session that began with it; `None`: none has, for
/// another address has to consent, too.
pub async fn arrive(
    room: &AuthRoom,
    request: &Request,
    client: &Client,
    destination: Destination,
    granted: Result<Option<Box<Granted>>, Error>,
) -> Result<Response, Error> {
    let site = Site::of(room).ok_or_else(|| Error::NotServed(request.path.clone()))?;
    let sent = guard::cookie(room, request);
    let visit = Visit {
        site,
        room,
        request,
        client,
        cookie: match sent {
            Some(cookie) => cookie,
            None => secrets::random()?,
        },
        person: None,
        destination,
    };
    let outcome = match granted {
        Ok(Some(granted)) => match room.tokens(&granted).await {
            Ok(tokens) => enter(&visit, granted.session, tokens).await,
            Err(error) => Err(error),
        },
        Ok(None) => Ok(half(&visit)),
        Err(error) => Err(error),
    };
    Ok(outcome.unwrap_or_else(|error| refused(&visit, &error)))
}

/// Somebody has linked an identity: on to the account page. The browser stays what it is there, signed in or not.
pub fn linked(room: &AuthRoom, destination: &Destination) -> Result<Response, Error> {
    let query = destination.then(Next::App).query(room, &[]);
    see(&format!("{}/pages/account{query}", room.config.path()))
}

fn half(visit: &Visit<'_>) -> Response {
    let body = Html::of(|html| {
        let text = "The other address has to confirm the change, too: open the link in the mail that went there.";
        html.leaf("p", &[], text);
        shell::link(html, &visit.page("sign-in"), "Go to the sign-in page");
    });
    Page::new("One more step", body).show(&visit.site)
}

fn refused(visit: &Visit<'_>, error: &Error) -> Response {
    let body = Html::of(|html| {
        shell::link(html, &visit.page("sign-in"), "Go to the sign-in page");
        shell::link(html, &visit.page("reset"), "Ask for a new link to reset the password");
    });
    let page = Page::new("That did not work", body);
    page.with(Some(Notice::Problem(Problem::of(error)))).show(&visit.site)
}

/// Signs the browser in by a session that has begun, or that may do more than before, and sends it on. The browser gets
/// another cookie.
pub async fn enter(visit: &Visit<'_>, session: SessionId, tokens: Tokens) -> Result<Response, Error> {
    let room = visit.room;
    let person = guard::person(room, session).await?.ok_or(Error::TokenSessionNotFound)?;
    let is_due = mfa::is_due(room, &person).await?;
    let is_given = !is_due && visit.destination.next == Next::App && visit.destination.challenge.is_none();
    let cookie = renew(visit, session, !is_given).await?;
    let mut response = send_on(visit, &person, is_due, tokens).await?;
    guard::set_cookie(room, &mut response, &cookie, true);
    Ok(response)
}

/// Gives the browser's page session another cookie. `is_kept`: nobody else has the session's tokens, so that it ends with
/// its page.
pub async fn renew(visit: &Visit<'_>, session: SessionId, is_kept: bool) -> Result<Secret<String>, Error> {
    let (cookie, before, now) = (secrets::random()?, visit.cookie.clone(), clock::now());
    let new = cookie.clone();
    visit
        .room
        .store
        .transact(move |tx| {
            let (new, before) = (new.clone(), before.clone());
            async move {
                page_sessions::begin(&tx, session, &new, &before, now).await?;
                if is_kept {
                    sessions::keep_until(&tx, session, Some(page_sessions::ends_at(now))).await?;
                }
                Ok(Decision::Commit(()))
            }
        })
        .await?;
    Ok(cookie)
}

/// Sends a browser that is signed in to where it goes next.
async fn send_on(visit: &Visit<'_>, person: &Signed, is_due: bool, tokens: Tokens) -> Result<Response, Error> {
    if is_due {
        return see(&visit.page("mfa"));
    }
    let with_app = visit.destination.then(Next::App).query(visit.room, &[]);
    match &visit.destination.next {
        Next::App => give(visit, person, Some(tokens)).await,
        Next::Account => see(&format!("{}{with_app}", visit.path("account"))),
        Next::Password => see(&format!("{}{with_app}", visit.path("reset/new"))),
        Next::Consent(_) => see(&visit.page("consent")),
    }
}

/// Gives the session to the application: by a code, where it has sent a challenge, else by tokens. Without `tokens` they
/// are made: whoever had the session's tokens before can refresh it no more.
pub async fn give(visit: &Visit<'_>, person: &Signed, tokens: Option<Tokens>) -> Result<Response, Error> {
    let (room, to) = (visit.room, visit.destination.redirect_to.as_str());
    let session = person.session.clone().ok_or(Error::TokenSessionNotFound)?;
    if let Some(challenge) = visit.destination.challenge.clone() {
        let code = room
            .store
            .transact(move |tx| {
                let (session, challenge) = (session.clone(), challenge.clone());
                async move {
                    let code = flow_state::hand_over(&tx, &session, &challenge).await?;
                    Ok(Decision::Commit(code))
                }
            })
            .await?;
        return landing::code(to, &code);
    }
    if let Some(tokens) = tokens {
        return landing::tokens(to, &tokens, &[]);
    }
    let token = sessions::refresh_token()?;
    let granted = room
        .store
        .transact(move |tx| {
            let (session, token) = (session.clone(), token.clone());
            async move {
                let Some(session) = sessions::lock(&tx, session.id).await? else {
                    return Ok(Decision::Rollback(None));
                };
                sessions::hand_over(&tx, &session, &token).await?;
                let granted = sessions::granted(&tx, session.user, session.id, token).await?;
                Ok(Decision::Commit(granted))
            }
        })
        .await?;
    let granted = granted.ok_or(Error::TokenSessionNotFound)?;
    landing::tokens(to, &room.tokens(&granted).await?, &[])
}

/// Ends the page session and shows the sign-in page.
pub fn signed_out(visit: &Visit<'_>) -> Result<Response, Error> {
    let mut response = see(&visit.page("sign-in"))?;
    guard::set_cookie(visit.room, &mut response, &secrets::random()?, false);
    Ok(response)
}

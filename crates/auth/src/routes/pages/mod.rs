//! The ready pages: people sign up, sign in, reset their passwords, prove second factors, agree to what applications ask
//! and look after their accounts, without a line of the application's own, and without a script.
//!
//! | module | what |
//! |---|---|
//! | [`guard`] | which browser it is, and that it means what it sends |
//! | [`destination`] | where it goes afterwards |
//! | [`arrival`] | signing a browser in, handing its session over |
//! | [`inner`] | asking the room's own routes |
//! | [`shell`] | frame, headers and fields |
//! | [`sign_in`] [`sign_up`] [`reset`] [`mfa`] [`consent`] [`account`] | the pages |
//!
//! Invariant: a page does nothing that a route of the protocol does not do; it asks that route.

mod account;
mod account_parts;
mod arrival;
mod consent;
mod destination;
mod guard;
mod inner;
mod mfa;
mod reset;
mod shell;
mod sign_in;
mod sign_up;

use std::borrow::Cow;

use http::{Method, StatusCode, header};
use mainstay_core::secret::Secret;
use mainstay_http::{Request, Response};
use url::Url;

use super::Signed;
use crate::config::{Config, Pages, Widget};
use crate::error::Error;
use crate::html::Html;
use crate::request;
use crate::response;
use crate::room::AuthRoom;
use crate::secrets;
use crate::sessions::Client;

pub use arrival::{arrive, linked};
pub use destination::Destination;
pub use guard::{FIELD, check_link, form_token, link_cookie, set_link_cookie};
pub use shell::{Page, hidden};

use destination::Next;
use shell::{Notice, Problem};

/// Where messages and providers lead back to.
pub fn url(config: &Config) -> String {
    format!("{}/pages/sign-in", config.url)
}

/// Where people are asked what an application may.
pub fn consent_url(config: &Config) -> String {
    format!("{}/pages/consent", config.url)
}

/// The pages by their names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Name {
    SignIn,
    SignUp,
    Reset,
    NewPassword,
    Mfa,
    Consent,
    Account,
}

impl Name {
    fn read(name: [&str; 2]) -> Option<Self> {
        Some(match name {
            ["sign-in", ""] => Name::SignIn,
            ["sign-up", ""] => Name::SignUp,
            ["reset", ""] => Name::Reset,
            ["reset", "new"] => Name::NewPassword,
            ["mfa", ""] => Name::Mfa,
            ["consent", ""] => Name::Consent,
            ["account", ""] => Name::Account,
            _ => return None,
        })
    }
}

/// The project whose pages they are.
#[derive(Clone, Copy)]
pub struct Site<'a> {
    room: &'a AuthRoom,
    pages: &'a Pages,
}

impl<'a> Site<'a> {
    /// `None`: there are no pages.
    pub fn of(room: &'a AuthRoom) -> Option<Self> {
        let pages = room.config.pages.as_ref()?;
        Some(Site { room, pages })
    }

    pub fn room(&self) -> &'a AuthRoom {
        self.room
    }

    /// The path of a page, as browsers see it.
    fn path(&self, page: &str) -> String {
        format!("{}/pages/{page}", self.room.config.path())
    }

    /// The widget by which people show that they are some. `None`: nobody is asked to.
    fn widget(&self) -> Option<&'a Widget> {
        let widget = self.pages.widget.as_ref();
        widget.filter(|_| self.room.config.captcha.is_some())
    }

    /// What the application is called.
    fn name(&self) -> Cow<'a, str> {
        match self.pages.name.is_empty() {
            false => Cow::Borrowed(self.pages.name.as_str()),
            true => Cow::Owned(host(self.room.config.redirects.site())),
        }
    }
}

/// A browser on a page.
pub struct Visit<'a> {
    site: Site<'a>,
    room: &'a AuthRoom,
    request: &'a Request,
    client: &'a Client,
    /// What the browser has, or is given with the answer.
    cookie: Secret<String>,
    /// Who is signed in.
    person: Option<Signed>,
    destination: Destination,
}

impl Visit<'_> {
    /// The path of a page, as browsers see it.
    fn path(&self, page: &str) -> String {
        self.site.path(page)
    }

    /// The same with the destination.
    fn page(&self, page: &str) -> String {
        self.page_with(page, &[])
    }

    /// The same with more parameters.
    fn page_with(&self, page: &str, more: &[(&str, &str)]) -> String {
        format!("{}{}", self.path(page), self.destination.query(self.room, more))
    }

    /// The address that a message leads back to, to go on to the destination.
    fn way_back(&self) -> String {
        format!("{}{}", url(&self.room.config), self.destination.query(self.room, &[]))
    }

    /// A field of the form that was sent; absent is the same as empty.
    fn field_named(&self, name: &str) -> String {
        request::form_field(self.request, name).unwrap_or_default()
    }

    /// What was asked for on the page, as its button says.
    fn action(&self) -> String {
        self.field_named("action")
    }

    fn is_post(&self) -> bool {
        self.request.method == Method::POST
    }
}

/// The host of an address, as people are shown it.
fn host(address: &str) -> String {
    let url = Url::parse(address).ok();
    let host = url.as_ref().and_then(Url::host_str).map(str::to_owned);
    host.unwrap_or_else(|| address.to_owned())
}

/// Sends the browser to another page, or to whatever `to` is.
fn see(to: &str) -> Result<Response, Error> {
    response::redirect(StatusCode::SEE_OTHER, to)
}

/// Answers what is asked of a page. Errors: `NotServed`, where there is no such page; everything else is a page.
pub async fn answer(room: &AuthRoom, request: &Request, name: [&str; 2], client: &Client) -> Result<Response, Error> {
    let not_served = || Error::NotServed(request.path.clone());
    let site = Site::of(room).ok_or_else(not_served)?;
    if name == ["style.css", ""] {
        return Ok(shell::style(site.pages));
    }
    let name = Name::read(name).ok_or_else(not_served)?;
    let sent = guard::cookie(room, request);
    let mut visit = Visit {
        site,
        room,
        request,
        client,
        cookie: match &sent {
            Some(cookie) => cookie.clone(),
            None => secrets::random()?,
        },
        person: None,
        destination: Destination {
            next: Next::App,
            redirect_to: room.config.redirects.site().to_owned(),
            challenge: None,
        },
    };
    let shown = match enter(&mut visit, sent.as_ref()).await {
        Ok(notice) => show(&visit, name, notice).await,
        Err(error) => Err(error),
    };
    let mut response = match shown {
        Ok(response) => response,
        Err(error) => failed(&visit, &error),
    };
    if sent.is_none() && !response.headers.contains_key(header::SET_COOKIE) {
        guard::set_cookie(room, &mut response, &visit.cookie, false);
    }
    Ok(response)
}

/// Finds out where the browser is to go and who is signed in. A form that is not this browser's is shown anew.
async fn enter(visit: &mut Visit<'_>, sent: Option<&Secret<String>>) -> Result<Option<Notice>, Error> {
    let query = visit.request.query.as_deref().unwrap_or_default();
    visit.destination = Destination::read(visit.room, query)?;
    if let Some(cookie) = sent {
        visit.person = guard::person_of(visit.room, cookie).await?;
    }
    match visit.is_post() {
        false => Ok(None),
        true => match guard::check(visit.room, visit.request, sent) {
            Ok(()) => Ok(None),
            Err(error) => Ok(Some(Notice::Problem(Problem::of(&error)))),
        },
    }
}

async fn show(visit: &Visit<'_>, name: Name, notice: Option<Notice>) -> Result<Response, Error> {
    // What is sent and refused already is looked at no further.
    let is_sent = visit.is_post() && notice.is_none();
    match (name, is_sent) {
        (Name::SignIn, false) => Ok(sign_in::show(visit, &visit.field_named("email"), notice)),
        (Name::SignIn, true) => sign_in::sent(visit).await,
        (Name::SignUp, false) => Ok(sign_up::show(visit, notice)),
        (Name::SignUp, true) => sign_up::sent(visit).await,
        (Name::Reset, false) => Ok(reset::show(visit, notice)),
        (Name::Reset, true) => reset::sent(visit).await,
        (Name::NewPassword | Name::Mfa | Name::Consent | Name::Account, _) => {
            let next = match name {
                Name::NewPassword => Next::Password,
                Name::Account => Next::Account,
                _ => visit.destination.next.clone(),
            };
            let Some(person) = &visit.person else {
                let query = visit.destination.then(next).query(visit.room, &[]);
                return see(&format!("{}{query}", visit.path("sign-in")));
            };
            if name != Name::Mfa && mfa::is_due(visit.room, person).await? {
                let query = visit.destination.then(next).query(visit.room, &[]);
                return see(&format!("{}{query}", visit.path("mfa")));
            }
            match (name, is_sent) {
                (Name::NewPassword, false) => Ok(reset::show_new(visit, notice)),
                (Name::NewPassword, true) => reset::sent_new(visit, person).await,
                (Name::Mfa, false) => mfa::show(visit, person, notice).await,
                (Name::Mfa, true) => mfa::sent(visit, person).await,
                (Name::Consent, false) => consent::show(visit, person, notice).await,
                (Name::Consent, true) => consent::sent(visit, person).await,
                (_, false) => account::show(visit, person, notice).await,
                (_, true) => account::sent(visit, person).await,
            }
        }
    }
}

/// A page that says what went wrong, where there is none to say it on.
fn failed(visit: &Visit<'_>, error: &Error) -> Response {
    let body = Html::of(|html| shell::link(html, &visit.page("sign-in"), "Go to the sign-in page"));
    let page = Page::new("That did not work", body);
    page.with(Some(Notice::Problem(Problem::of(error)))).show(&visit.site)
}

//! The account page: what a person changes of their own account, each by the route that clients use for it.

use mainstay_core::clock;
use mainstay_core::secret::Secret;
use mainstay_http::Response;
use serde::Deserialize;
use serde_json::{Map, Value as Json, json};
use uuid::Uuid;

use super::super::oauth::grants;
use super::super::{Signed, factors as routes, identities, logout, recovery_codes, user};
use super::account_parts::{self, Account};
use super::destination::Next;
use super::inner::{self, asking};
use super::mfa;
use super::shell::{Notice, Page, Problem, link};
use super::{Visit, arrival, guard, see, url};
use crate::error::Error;
use crate::factors::{self, Kind, recovery};
use crate::html::Html;
use crate::request;
use crate::sessions::{self, SessionId};
use crate::users::{self, User};

/// What was done, by its word in the page's address.
const DONE: &[(&str, &str)] = &[
    ("name", "Your name is changed."),
    (
        "password",
        "Your password is changed, and you are signed out everywhere else.",
    ),
    (
        "email",
        "We have sent you a mail: your address changes once you open its link.",
    ),
    (
        "factor",
        "From now on signing in takes a code, too. You are signed out everywhere else.",
    ),
    ("removed", "Your authenticator app is removed."),
    ("ended", "Signed out there."),
    ("unlinked", "The way of signing in is removed."),
    ("revoked", "The application may not use your account any more."),
];

/// How a user is called.
pub fn called(user: &User) -> &str {
    match (user.email.is_empty(), user.phone.is_empty()) {
        (false, _) => &user.email,
        (true, false) => &user.phone,
        (true, true) => "without an address",
    }
}

/// A grant, as its route lists it.
#[derive(Deserialize)]
pub struct Grant {
    pub client: Shown,
    pub scopes: Vec<String>,
}

/// An application, as its route shows it.
#[derive(Deserialize)]
pub struct Shown {
    pub id: String,
    #[serde(default)]
    pub name: String,
}

async fn look(visit: &Visit<'_>, person: &Signed) -> Result<Account, Error> {
    let room = visit.room;
    let profile = users::profile(&room.store, person.user.clone()).await?;
    let has_codes = profile.factors.iter().any(|factor| factor.kind == Kind::RecoveryCode);
    Ok(Account {
        codes_left: match has_codes {
            true => Some(recovery::left(&room.store, person.user.id).await?),
            false => None,
        },
        sessions: sessions::list(&room.store, person.user.id, &room.config.sessions, clock::now()).await?,
        // A database that Supabase Auth has made need not know applications.
        grants: match room.config.oauth_server {
            Some(_) => inner::answered(&grants::list(room, person.clone()).await?)?,
            None => Vec::new(),
        },
        profile,
        session: person.session.clone(),
    })
}

pub async fn show(visit: &Visit<'_>, person: &Signed, notice: Option<Notice>) -> Result<Response, Error> {
    let account = look(visit, person).await?;
    let done = request::parameter(visit.request, "done").filter(|_| notice.is_none());
    let text = DONE.iter().find(|(word, _)| Some(*word) == done.as_deref());
    let notice = notice.or(text.map(|(_, text)| Notice::Done(text)));
    let body = account_parts::body(visit, &account, notice.as_ref());
    let page = Page::new("Your account", body).with(notice);
    Ok(page.leading_to(&visit.destination.redirect_to).show(&visit.site))
}

fn done(visit: &Visit<'_>, word: &str) -> Result<Response, Error> {
    see(&visit.page_with("account", &[("done", word)]))
}

pub async fn sent(visit: &Visit<'_>, person: &Signed) -> Result<Response, Error> {
    match act(visit, person).await {
        Ok(response) => Ok(response),
        Err(error) => show(visit, person, Some(Notice::Problem(Problem::of(&error)))).await,
    }
}

async fn act(visit: &Visit<'_>, person: &Signed) -> Result<Response, Error> {
    let room = visit.room;
    match visit.action().as_str() {
        "continue" => arrival::give(visit, person, None).await,
        "sign-out" => sign_out(visit, person).await,
        "name" => {
            let name = request::label("The name", visit.field_named("name").trim())?;
            let data = Map::from_iter([("name".to_owned(), Json::from(name))]);
            change(visit, person, &[], json!({"data": data}), "name").await
        }
        "email" => {
            // An empty one would count as no change.
            let email = request::email(&visit.field_named("email"))?;
            let query = visit.destination.then(Next::Account).query(room, &[]);
            let back = format!("{}{query}", url(&room.config));
            change(
                visit,
                person,
                &[("redirect_to", &back)],
                json!({"email": email}),
                "email",
            )
            .await
        }
        "password" => {
            let password = Secret::new(visit.field_named("password"));
            if password.expose().is_empty() {
                return Err(Error::Validation("A password is needed".into()));
            }
            change(visit, person, &[], json!({"password": password.expose()}), "password").await
        }
        "end-session" => end_session(visit, person).await,
        "end-others" => {
            logout::logout(room, person.clone(), &asking(&[("scope", "others")], &json!({}))).await?;
            done(visit, "ended")
        }
        "add-factor" => add_factor(visit, person).await,
        "confirm-factor" => confirm_factor(visit, person).await,
        "remove-factor" => {
            routes::unenroll(room, person.clone(), &visit.field_named("factor")).await?;
            done(visit, "removed")
        }
        "codes" => codes(visit, person).await,
        "unlink" => {
            identities::unlink(room, person.clone(), &visit.field_named("identity")).await?;
            done(visit, "unlinked")
        }
        "revoke" => {
            let client = visit.field_named("client");
            grants::revoke(room, person.clone(), &asking(&[("client_id", &client)], &json!({}))).await?;
            done(visit, "revoked")
        }
        _ => Err(Error::Validation("There is no such button".into())),
    }
}

/// Ends the session in which the page is looked at. The browser forgets who it was.
pub async fn sign_out(visit: &Visit<'_>, person: &Signed) -> Result<Response, Error> {
    logout::logout(visit.room, person.clone(), &asking(&[("scope", "local")], &json!({}))).await?;
    arrival::signed_out(visit)
}

async fn change(
    visit: &Visit<'_>,
    person: &Signed,
    query: &[(&str, &str)],
    body: Json,
    word: &'static str,
) -> Result<Response, Error> {
    user::update(visit.room, person.clone(), &asking(query, &body), visit.client).await?;
    done(visit, word)
}

/// Ends one of the user's own sessions. Somebody else's is none.
async fn end_session(visit: &Visit<'_>, person: &Signed) -> Result<Response, Error> {
    let id: Option<Uuid> = visit.field_named("session").parse().ok();
    let id = id.ok_or(Error::TokenSessionNotFound)?;
    let found = sessions::by_id(&visit.room.store, SessionId(id)).await?;
    let found = found.filter(|found| found.user == person.user.id);
    let other = Signed {
        user: person.user.clone(),
        session: Some(found.ok_or(Error::TokenSessionNotFound)?),
    };
    let is_this = person.session.as_ref().is_some_and(|own| own.id == SessionId(id));
    if is_this {
        return sign_out(visit, person).await;
    }
    logout::logout(visit.room, other, &asking(&[("scope", "local")], &json!({}))).await?;
    done(visit, "ended")
}

async fn add_factor(visit: &Visit<'_>, person: &Signed) -> Result<Response, Error> {
    let name = visit.field_named("name");
    let issuer = visit.site.name();
    let body = json!({"factor_type": "totp", "friendly_name": name.trim(), "issuer": issuer});
    let answer = routes::enroll(visit.room, person.clone(), &asking(&[], &body)).await?;
    let enrolled: mfa::Enrolled = inner::answered(&answer)?;
    Ok(mfa::show_enrolment(visit, Some(&enrolled), &enrolled.id, None))
}

/// Proves the new factor. The session is raised, so nobody else has its tokens any more.
async fn confirm_factor(visit: &Visit<'_>, person: &Signed) -> Result<Response, Error> {
    let factor = visit.field_named("factor");
    let session = person.session.as_ref().ok_or(Error::TokenSessionNotFound)?.id;
    match mfa::prove(visit, person, &factor).await {
        Ok(_) => {
            let cookie = arrival::renew(visit, session, true).await?;
            let mut response = done(visit, "factor")?;
            guard::set_cookie(visit.room, &mut response, &cookie, true);
            Ok(response)
        }
        Err(error) => {
            let known = factors::of_user(&visit.room.store, person.user.id).await?;
            if !known.iter().any(|known| known.id.to_string() == factor) {
                return Err(error);
            }
            let notice = Some(Notice::Problem(Problem::of(&error)));
            Ok(mfa::show_enrolment(visit, None, &factor, notice))
        }
    }
}

/// Makes recovery codes, in place of those that are left, and shows them once.
async fn codes(visit: &Visit<'_>, person: &Signed) -> Result<Response, Error> {
    #[derive(Deserialize)]
    struct Made {
        codes: Vec<String>,
    }
    let room = visit.room;
    let known = recovery::set(&room.store, person.user.id).await?;
    let answer = match known {
        Some(_) => recovery_codes::remake(room, person.clone()).await?,
        None => recovery_codes::make(room, person.clone(), &asking(&[], &json!({}))).await?,
    };
    let made: Made = inner::answered(&answer)?;
    let body = Html::of(|html| {
        html.leaf(
            "p",
            &[],
            "Write these down and keep them where only you find them. Each works once, when your app is lost.",
        );
        html.element("ol", &[("class", "codes")], |html| {
            for code in &made.codes {
                html.leaf("li", &[], code);
            }
        });
        link(html, &visit.page("account"), "I have written them down");
    });
    Ok(Page::new("Your recovery codes", body).show(&visit.site))
}

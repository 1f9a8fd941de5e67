//! The pages for a password that was forgotten: asking for a link, and choosing another one.

use mainstay_core::secret::Secret;
use mainstay_http::Response;
use serde_json::json;

use super::super::{Signed, otp, user};
use super::destination::Next;
use super::inner::{asking, asking_as_person};
use super::shell::{Notice, Page, Problem, button, form, link};
use super::sign_in::{address, mail_sent, person};
use super::sign_up::new_password;
use super::{Visit, arrival, url};
use crate::error::Error;
use crate::html::Html;

/// What is said whether or not there is such an account.
const SENT: &str =
    "If there is an account with this address, a mail with a link to choose another password is on its way.";

pub fn show(visit: &Visit<'_>, notice: Option<Notice>) -> Response {
    let email = visit.field_named("email");
    let body = Html::of(|html| {
        html.leaf("p", &[], "We send you a link, by which you choose another one.");
        form(html, visit, &visit.page("reset"), |html| {
            address(html, &email, notice.as_ref());
            person(html, visit);
            button(html, "main", "send", "Send the link");
        });
        link(html, &visit.page("sign-in"), "Go to the sign-in page");
    });
    let mut page = Page::new("Forgot your password?", body).with(notice);
    page.wants_person = true;
    page.show(&visit.site)
}

pub async fn sent(visit: &Visit<'_>) -> Result<Response, Error> {
    let query = visit.destination.then(Next::Password).query(visit.room, &[]);
    let back = format!("{}{query}", url(&visit.room.config));
    let asked = async {
        let body = json!({"email": visit.field_named("email")});
        let request = asking_as_person(visit, &[("redirect_to", &back)], body).await?;
        otp::recover(visit.room, &request, visit.client).await
    };
    Ok(match asked.await {
        Ok(_) => mail_sent(visit, SENT),
        Err(error) => show(visit, Some(Notice::Problem(Problem::of(&error)))),
    })
}

pub fn show_new(visit: &Visit<'_>, notice: Option<Notice>) -> Response {
    let body = Html::of(|html| {
        form(html, visit, &visit.page("reset/new"), |html| {
            new_password(html, visit, notice.as_ref());
            button(html, "main", "save", "Save the password");
        });
    });
    let page = Page::new("Choose a password", body).with(notice);
    page.leading_to(&visit.destination.redirect_to).show(&visit.site)
}

pub async fn sent_new(visit: &Visit<'_>, person: &Signed) -> Result<Response, Error> {
    let password = Secret::new(visit.field_named("password"));
    if password.expose().is_empty() {
        let error = Error::Validation("A password is needed".into());
        return Ok(show_new(visit, Some(Notice::Problem(Problem::of(&error)))));
    }
    let request = asking(&[], &json!({"password": password.expose()}));
    match user::update(visit.room, person.clone(), &request, visit.client).await {
        Ok(_) => arrival::give(visit, person, None).await,
        Err(error) => Ok(show_new(visit, Some(Notice::Problem(Problem::of(&error))))),
    }
}

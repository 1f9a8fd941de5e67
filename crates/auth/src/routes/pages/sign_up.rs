//! The sign-up page.

use mainstay_core::secret::Secret;
use mainstay_http::Response;
use serde_json::json;

use super::super::sign_up;
use super::inner::{self, asking_as_person};
use super::shell::{Field, Notice, Page, Problem, button, field, form, link};
use super::sign_in::{address, mail_sent, person, providers};
use super::{Visit, arrival};
use crate::error::Error;
use crate::html::Html;
use crate::request;

/// What is said whether or not the address has an account already.
const SENT: &str = "Open the link in the mail that we have sent you, and you are in.";

pub fn show(visit: &Visit<'_>, notice: Option<Notice>) -> Response {
    let config = &visit.room.config;
    let (name, email) = (visit.field_named("name"), visit.field_named("email"));
    let body = Html::of(|html| {
        if !config.signup_enabled || !config.email_enabled {
            html.leaf("p", &[], "New accounts cannot be made here.");
        } else {
            form(html, visit, &visit.page("sign-up"), |html| {
                let called = Field {
                    name: "name",
                    label: "Your name (may be left out)",
                    kind: "text",
                    value: &name,
                    autocomplete: "name",
                    is_optional: true,
                    ..Field::default()
                };
                field(html, called, notice.as_ref());
                address(html, &email, notice.as_ref());
                new_password(html, visit, notice.as_ref());
                person(html, visit);
                button(html, "main", "sign-up", "Create the account");
            });
        }
        if config.signup_enabled {
            providers(html, visit);
        }
        link(html, &visit.page("sign-in"), "Sign in instead");
    });
    let mut page = Page::new("Create an account", body).with(notice);
    page.wants_person = true;
    page.leading_to(&visit.destination.redirect_to).show(&visit.site)
}

/// The field for a password that is chosen.
pub fn new_password(html: &mut Html, visit: &Visit<'_>, notice: Option<&Notice>) {
    let hint = format!("At least {} characters", visit.room.config.passwords.length_min);
    let password = Field {
        name: "password",
        label: "New password",
        kind: "password",
        autocomplete: "new-password",
        hint: Some(&hint),
        ..Field::default()
    };
    field(html, password, notice);
}

pub async fn sent(visit: &Visit<'_>) -> Result<Response, Error> {
    match begin(visit).await {
        Ok(Some(begun)) => arrival::enter(visit, begun.session, begun.tokens).await,
        Ok(None) => Ok(mail_sent(visit, SENT)),
        Err(error) => Ok(show(visit, Some(Notice::Problem(Problem::of(&error))))),
    }
}

async fn begin(visit: &Visit<'_>) -> Result<Option<inner::Begun>, Error> {
    let password = Secret::new(visit.field_named("password"));
    let name = request::label("The name", visit.field_named("name").trim())?;
    let data = match name.is_empty() {
        true => json!({}),
        false => json!({"name": name}),
    };
    let body = json!({"email": visit.field_named("email"), "password": password.expose(), "data": data});
    if visit.field_named("email").is_empty() {
        // Without an address somebody anonymous would be made.
        return Err(Error::EmailInvalid);
    }
    let back = visit.way_back();
    let request = asking_as_person(visit, &[("redirect_to", &back)], body).await?;
    inner::begun(&sign_up::sign_up(visit.room, &request, visit.client).await?)
}

//! The sign-in page: by password, by a link in a mail, by a provider.

use mainstay_core::secret::Secret;
use mainstay_http::Response;
use serde_json::json;

use super::super::{otp, sign_in};
use super::inner::{self, asking_as_person};
use super::shell::{self, Field, Notice, Page, Problem, button, field, form, link};
use super::{Visit, arrival};
use crate::error::Error;
use crate::html::Html;
use crate::request;

/// Asks for the form that has a link sent.
const BY_MAIL: &[(&str, &str)] = &[("by", "mail")];
/// What is said whether or not there is such an account.
const LINK_SENT: &str = "If there is an account with this address, a mail with a link is on its way.";

pub fn show(visit: &Visit<'_>, email: &str, notice: Option<Notice>) -> Response {
    let by_mail = request::parameter(visit.request, "by").is_some_and(|by| by == "mail");
    let body = match by_mail {
        true => by_mail_form(visit, email, notice.as_ref()),
        false => all_ways(visit, email, notice.as_ref()),
    };
    let mut page = Page::new("Sign in", body).with(notice);
    page.wants_person = true;
    page.leading_to(&visit.destination.redirect_to).show(&visit.site)
}

fn all_ways(visit: &Visit<'_>, email: &str, notice: Option<&Notice>) -> Html {
    let config = &visit.room.config;
    Html::of(|html| {
        if config.email_enabled {
            form(html, visit, &visit.page("sign-in"), |html| {
                address(html, email, notice);
                let password = Field {
                    name: "password",
                    label: "Password",
                    kind: "password",
                    autocomplete: "current-password",
                    ..Field::default()
                };
                field(html, password, notice);
                person(html, visit);
                button(html, "main", "password", "Sign in");
            });
            link(html, &visit.page("reset"), "Forgot your password?");
            if visit.room.needs_mail("a link").is_ok() {
                link(
                    html,
                    &visit.page_with("sign-in", BY_MAIL),
                    "Sign in by a link in a mail",
                );
            }
        }
        providers(html, visit);
        if config.signup_enabled {
            link(html, &visit.page("sign-up"), "Create an account");
        }
    })
}

fn by_mail_form(visit: &Visit<'_>, email: &str, notice: Option<&Notice>) -> Html {
    Html::of(|html| {
        form(html, visit, &visit.page_with("sign-in", BY_MAIL), |html| {
            address(html, email, notice);
            person(html, visit);
            button(html, "main", "link", "Send the link");
        });
        link(html, &visit.page("sign-in"), "Sign in by password");
    })
}

/// The field for the address by which people sign in.
pub fn address(html: &mut Html, email: &str, notice: Option<&Notice>) {
    let address = Field {
        name: "email",
        label: "E-mail address",
        kind: "email",
        value: email,
        autocomplete: "username",
        ..Field::default()
    };
    field(html, address, notice);
}

/// The captcha's widget, where one is asked for.
pub fn person(html: &mut Html, visit: &Visit<'_>) {
    if let Some(widget) = visit.site.widget() {
        html.leaf(
            "div",
            &[("class", widget.kind.class()), ("data-sitekey", &widget.site_key)],
            "",
        );
    }
}

/// Links to the providers that are switched on.
pub fn providers(html: &mut Html, visit: &Visit<'_>) {
    let room = visit.room;
    let usable: Vec<_> = room
        .config
        .external
        .iter()
        .filter(|provider| provider.has_secret())
        .collect();
    if usable.is_empty() {
        return;
    }
    html.leaf("p", &[("class", "or")], "or");
    for provider in usable {
        let query = url::form_urlencoded::Serializer::new(String::new())
            .append_pair("provider", &provider.name)
            .append_pair("redirect_to", &visit.way_back())
            .finish();
        let href = format!("{}/authorize?{query}", room.config.path());
        let text = format!("Continue with {}", spoken(&provider.name));
        html.leaf("a", &[("class", "button plain"), ("href", &href)], &text);
    }
}

/// A provider's name, as people know it.
pub fn spoken(name: &str) -> String {
    match name {
        "github" => "GitHub".into(),
        "gitlab" => "GitLab".into(),
        "linkedin" | "linkedin_oidc" => "LinkedIn".into(),
        "slack_oidc" => "Slack".into(),
        "azure" => "Microsoft".into(),
        "workos" => "WorkOS".into(),
        "email" => "E-mail and password".into(),
        name => {
            let bare = name.strip_prefix("custom:").unwrap_or(name);
            let mut letters = bare.chars();
            let first = letters.next().map(|first| first.to_uppercase().to_string());
            format!("{}{}", first.unwrap_or_default(), letters.as_str())
        }
    }
}

pub async fn sent(visit: &Visit<'_>) -> Result<Response, Error> {
    let email = visit.field_named("email");
    match visit.action().as_str() {
        "link" => by_link(visit, &email).await,
        "resend" => resend(visit, &email).await,
        _ => by_password(visit, &email).await,
    }
}

async fn by_password(visit: &Visit<'_>, email: &str) -> Result<Response, Error> {
    match begin(visit, email).await {
        Ok(Some(begun)) => arrival::enter(visit, begun.session, begun.tokens).await,
        Ok(None) => Err(Error::Unexpected("a sign-in without a session".into())),
        Err(error @ Error::EmailNotConfirmed) => Ok(not_confirmed(visit, email, &error)),
        Err(error) => Ok(show(visit, email, Some(Notice::Problem(Problem::of(&error))))),
    }
}

async fn begin(visit: &Visit<'_>, email: &str) -> Result<Option<inner::Begun>, Error> {
    let password = Secret::new(visit.field_named("password"));
    let body = json!({"email": email, "password": password.expose()});
    let request = asking_as_person(visit, &[("grant_type", "password")], body).await?;
    let nobody = Err(mainstay_http::Error::TokenRequired);
    inner::begun(&sign_in::token(visit.room, &nobody, &request, visit.client).await?)
}

/// The password is right, so its owner may learn that the address waits to be confirmed.
fn not_confirmed(visit: &Visit<'_>, email: &str, error: &Error) -> Response {
    let body = Html::of(|html| {
        html.leaf(
            "p",
            &[],
            "Open the link in the mail that we sent when you signed up, then sign in.",
        );
        form(html, visit, &visit.page("sign-in"), |html| {
            shell::hidden(html, "email", email);
            person(html, visit);
            button(html, "main", "resend", "Send the mail again");
        });
        link(html, &visit.page("sign-in"), "Go to the sign-in page");
    });
    let mut page = Page::new("Confirm your address", body).with(Some(Notice::Problem(Problem::of(error))));
    page.wants_person = true;
    page.show(&visit.site)
}

async fn resend(visit: &Visit<'_>, email: &str) -> Result<Response, Error> {
    let back = visit.way_back();
    let asked = async {
        let body = json!({"type": "signup", "email": email});
        let request = asking_as_person(visit, &[("redirect_to", &back)], body).await?;
        otp::resend(visit.room, &request, visit.client).await
    };
    Ok(match asked.await {
        Ok(_) => mail_sent(
            visit,
            "If the address waits to be confirmed, a mail with a link is on its way.",
        ),
        Err(error) => show(visit, email, Some(Notice::Problem(Problem::of(&error)))),
    })
}

async fn by_link(visit: &Visit<'_>, email: &str) -> Result<Response, Error> {
    let back = visit.way_back();
    let asked = async {
        let body = json!({"email": email, "create_user": false});
        let request = asking_as_person(visit, &[("redirect_to", &back)], body).await?;
        otp::otp(visit.room, &request, visit.client).await
    };
    Ok(match asked.await {
        Ok(_) => mail_sent(visit, LINK_SENT),
        Err(error) => show(visit, email, Some(Notice::Problem(Problem::of(&error)))),
    })
}

/// What is shown once a mail was asked for, whether or not one is sent.
pub fn mail_sent(visit: &Visit<'_>, text: &str) -> Response {
    let body = Html::of(|html| {
        html.leaf("p", &[("role", "status")], text);
        html.leaf(
            "p",
            &[("class", "quiet")],
            "Nothing there after a few minutes? Look among unwanted mail.",
        );
        link(html, &visit.page("sign-in"), "Go to the sign-in page");
    });
    Page::new("Look into your mail", body).show(&visit.site)
}

//! The page for the second step: a code of an authenticator app, or a recovery code.

use mainstay_core::secret::Secret;
use mainstay_http::Response;
use serde::Deserialize;
use serde_json::json;

use super::super::{Signed, factors as routes, recovery_codes};
use super::destination::Next;
use super::inner::{self, asking};
use super::shell::{self, Field, Notice, Page, Problem, button, field, form, link};
use super::{Visit, account, arrival, see};
use crate::error::{Error, MfaError};
use crate::factors::{self, Factor, Kind};
use crate::html::Html;
use crate::request;
use crate::room::AuthRoom;

/// Letters of the code as people type it.
const CODE_HINT: &str = "Six digits, as your authenticator app shows them now";

/// The verified factors of a user that this page can ask for.
async fn askable(room: &AuthRoom, person: &Signed) -> Result<Vec<Factor>, Error> {
    let mut known = factors::of_user(&room.store, person.user.id).await?;
    known.retain(|factor| factor.is_verified && factor.kind == Kind::Totp && room.config.mfa.totp.verify);
    Ok(known)
}

/// True if the user has a second factor that was not proved in this session.
pub async fn is_due(room: &AuthRoom, person: &Signed) -> Result<bool, Error> {
    Ok(!person.is_second_level() && !askable(room, person).await?.is_empty())
}

pub async fn show(visit: &Visit<'_>, person: &Signed, notice: Option<Notice>) -> Result<Response, Error> {
    let known = askable(visit.room, person).await?;
    if person.is_second_level() || known.is_empty() {
        return on(visit);
    }
    let by_recovery = request::parameter(visit.request, "by").is_some_and(|by| by == "recovery");
    let body = Html::of(|html| match by_recovery {
        true => recovery(html, visit, notice.as_ref()),
        false => code(html, visit, &known, notice.as_ref()),
    });
    let page = Page::new("One more step", body).with(notice);
    Ok(page.leading_to(&visit.destination.redirect_to).show(&visit.site))
}

/// Nothing is due: on to the page that was asked for. An application is given nothing by a look at a page.
fn on(visit: &Visit<'_>) -> Result<Response, Error> {
    match &visit.destination.next {
        Next::Consent(_) => see(&visit.page("consent")),
        Next::App | Next::Account | Next::Password => {
            let query = visit.destination.then(Next::App).query(visit.room, &[]);
            see(&format!("{}{query}", visit.path("account")))
        }
    }
}

fn code(html: &mut Html, visit: &Visit<'_>, known: &[Factor], notice: Option<&Notice>) {
    form(html, visit, &visit.page("mfa"), |html| {
        if let [_, _, ..] = known {
            html.element("div", &[("class", "field")], |html| {
                html.leaf("label", &[("for", "factor")], "Authenticator");
                html.element("select", &[("id", "factor"), ("name", "factor")], |html| {
                    for factor in known {
                        let name = match factor.name.is_empty() {
                            true => "Authenticator app",
                            false => factor.name.as_str(),
                        };
                        html.leaf("option", &[("value", &factor.id.to_string())], name);
                    }
                });
            });
        }
        code_field(html, notice);
        button(html, "main", "code", "Confirm");
    });
    if visit.room.config.mfa.recovery_codes.verify {
        link(
            html,
            &visit.page_with("mfa", &[("by", "recovery")]),
            "Use a recovery code",
        );
    }
    leave(html, visit);
}

/// The field for an authenticator app's code.
pub fn code_field(html: &mut Html, notice: Option<&Notice>) {
    let code = Field {
        name: "code",
        label: "Code",
        kind: "text",
        autocomplete: "one-time-code",
        hint: Some(CODE_HINT),
        ..Field::default()
    };
    field(html, code, notice);
}

fn recovery(html: &mut Html, visit: &Visit<'_>, notice: Option<&Notice>) {
    form(html, visit, &visit.page_with("mfa", &[("by", "recovery")]), |html| {
        let code = Field {
            name: "code",
            label: "Recovery code",
            kind: "text",
            autocomplete: "off",
            hint: Some("One of those that you wrote down; each works once"),
            ..Field::default()
        };
        field(html, code, notice);
        button(html, "main", "recovery", "Confirm");
    });
    link(html, &visit.page("mfa"), "Use your authenticator app");
    leave(html, visit);
}

fn leave(html: &mut Html, visit: &Visit<'_>) {
    form(html, visit, &visit.page("mfa"), |html| {
        button(html, "plain", "sign-out", "Sign in as somebody else");
    });
}

pub async fn sent(visit: &Visit<'_>, person: &Signed) -> Result<Response, Error> {
    let proved = match visit.action().as_str() {
        "sign-out" => return account::sign_out(visit, person).await,
        "recovery" => {
            let code = Secret::new(visit.field_named("code"));
            let request = asking(&[], &json!({"code": code.expose()}));
            recovery_codes::redeem(visit.room, person.clone(), &request, visit.client).await
        }
        _ => by_code(visit, person).await,
    };
    let begun = match proved.and_then(|response| inner::begun(&response)) {
        Ok(begun) => begun.ok_or_else(|| Error::Unexpected("a second step without a session".into()))?,
        Err(error) => return show(visit, person, Some(Notice::Problem(Problem::of(&error)))).await,
    };
    arrival::enter(visit, begun.session, begun.tokens).await
}

async fn by_code(visit: &Visit<'_>, person: &Signed) -> Result<Response, Error> {
    let known = askable(visit.room, person).await?;
    let named = visit.field_named("factor");
    let chosen = match named.is_empty() {
        true => known.first(),
        false => known.iter().find(|factor| factor.id.to_string() == named),
    };
    let factor = chosen.ok_or(MfaError::FactorNotFound)?.id.to_string();
    prove(visit, person, &factor).await
}

/// Answers a challenge of the factor with the code that was sent.
pub async fn prove(visit: &Visit<'_>, person: &Signed, factor: &str) -> Result<Response, Error> {
    #[derive(Deserialize)]
    struct Challenge {
        id: String,
    }
    let (room, client) = (visit.room, visit.client);
    let nothing = asking(&[], &json!({}));
    let made = routes::challenge(room, person.clone(), factor, &nothing, client).await?;
    let challenge: Challenge = inner::answered(&made)?;
    let code = Secret::new(visit.field_named("code").replace(' ', ""));
    let request = asking(&[], &json!({"challenge_id": challenge.id, "code": code.expose()}));
    routes::verify(room, person.clone(), factor, &request, client).await
}

/// Shows how a new factor gets into an app. Shown once: whoever comes back gets another one.
pub fn show_enrolment(
    visit: &Visit<'_>,
    enrolled: Option<&Enrolled>,
    factor: &str,
    notice: Option<Notice>,
) -> Response {
    let body = Html::of(|html| {
        match enrolled {
            Some(enrolled) => {
                html.leaf("p", &[], "Scan this with your authenticator app:");
                let alt = "QR code of the secret below";
                html.void(
                    "img",
                    &[("class", "picture"), ("src", &enrolled.picture()), ("alt", alt)],
                );
                html.element("p", &[], |html| {
                    html.text("Or type this secret: ");
                    html.leaf("code", &[], &enrolled.totp.secret);
                });
            }
            None => html.leaf(
                "p",
                &[],
                "Your app goes on showing codes of this account: send the one that it shows now.",
            ),
        }
        form(html, visit, &visit.page("account"), |html| {
            shell::hidden(html, "factor", factor);
            code_field(html, notice.as_ref());
            button(html, "main", "confirm-factor", "Confirm");
        });
        link(html, &visit.page("account"), "Not now");
    });
    Page::new("Add an authenticator app", body)
        .with(notice)
        .show(&visit.site)
}

/// A factor that is being enrolled, as its route answers it.
#[derive(Deserialize)]
pub struct Enrolled {
    pub id: String,
    totp: Totp,
}

#[derive(Deserialize)]
struct Totp {
    qr_code: String,
    secret: String,
}

impl Enrolled {
    /// The picture as an address: SVG in base64.
    fn picture(&self) -> String {
        use base64::Engine;
        let svg = base64::engine::general_purpose::STANDARD.encode(&self.totp.qr_code);
        format!("data:image/svg+xml;base64,{svg}")
    }
}

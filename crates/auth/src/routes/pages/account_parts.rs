//! The parts of the account page.

use jiff::Timestamp;

use super::account::{Grant, called};
use super::shell::{self, Field, Notice, button, field, form, link};
use super::sign_in::spoken;
use super::sign_up::new_password;
use super::{Visit, host};
use crate::factors::{Factor, Kind};
use crate::html::Html;
use crate::sessions::{Listed, Session};
use crate::users::Profile;

/// Letters of a browser's own name that are shown.
const AGENT_CHARS_MAX: usize = 120;

/// What the page shows.
pub struct Account {
    pub profile: Profile,
    /// The one in which the page is looked at.
    pub session: Option<Session>,
    pub sessions: Vec<Listed>,
    /// `None`: there are no recovery codes.
    pub codes_left: Option<i64>,
    pub grants: Vec<Grant>,
}

pub fn body(visit: &Visit<'_>, account: &Account, notice: Option<&Notice>) -> Html {
    Html::of(|html| {
        html.element("p", &[], |html| {
            html.text("Signed in as ");
            html.leaf("strong", &[], called(&account.profile.user));
            html.text(".");
        });
        back(html, visit, account);
        person(html, visit, account, notice);
        password(html, visit, account, notice);
        second_step(html, visit, account);
        identities(html, visit, account);
        sessions(html, visit, account);
        grants(html, visit, account);
    })
}

/// The way back. Where nobody has the session's tokens, the application is given them.
fn back(html: &mut Html, visit: &Visit<'_>, account: &Account) {
    let to = &visit.destination.redirect_to;
    let text = format!("Go to {}", host(to));
    let is_kept = account
        .session
        .as_ref()
        .is_some_and(|session| session.not_after.is_some());
    match is_kept {
        false => link(html, to, &text),
        true => form(html, visit, &visit.page("account"), |html| {
            button(html, "plain", "continue", &text)
        }),
    }
}

fn person(html: &mut Html, visit: &Visit<'_>, account: &Account, notice: Option<&Notice>) {
    let user = &account.profile.user;
    let name = user.user_metadata.get("name").and_then(serde_json::Value::as_str);
    html.leaf("h2", &[], "You");
    form(html, visit, &visit.page("account"), |html| {
        let called = Field {
            name: "name",
            label: "Name",
            kind: "text",
            value: name.unwrap_or_default(),
            autocomplete: "name",
            is_optional: true,
            ..Field::default()
        };
        field(html, called, notice);
        button(html, "plain", "name", "Save the name");
    });
    let pending = format!("Waits to be confirmed: {}", user.new_email);
    form(html, visit, &visit.page("account"), |html| {
        let address = Field {
            name: "email",
            label: "E-mail address",
            kind: "email",
            value: &user.email,
            autocomplete: "email",
            hint: Some(pending.as_str()).filter(|_| !user.new_email.is_empty()),
            ..Field::default()
        };
        field(html, address, notice);
        button(html, "plain", "email", "Change the address");
    });
}

fn password(html: &mut Html, visit: &Visit<'_>, account: &Account, notice: Option<&Notice>) {
    let user = &account.profile.user;
    html.leaf("h2", &[], "Password");
    form(html, visit, &visit.page("account"), |html| {
        // Password managers look for whom the password is.
        let address = [
            ("type", "hidden"),
            ("name", "username"),
            ("autocomplete", "username"),
            ("value", &user.email),
        ];
        html.void("input", &address);
        new_password(html, visit, notice);
        let text = match user.password_hash.expose().is_empty() {
            true => "Set a password",
            false => "Change the password",
        };
        button(html, "plain", "password", text);
    });
}

fn second_step(html: &mut Html, visit: &Visit<'_>, account: &Account) {
    let rules = &visit.room.config.mfa;
    let is_app = |factor: &&Factor| factor.is_verified && factor.kind == Kind::Totp;
    let apps: Vec<&Factor> = account.profile.factors.iter().filter(is_app).collect();
    if apps.is_empty() && !rules.totp.enroll {
        return;
    }
    html.leaf("h2", &[], "Second step");
    if apps.is_empty() {
        html.leaf("p", &[], "Signing in takes a code of an app, too, once you add one.");
    }
    html.element("ul", &[("class", "list")], |html| {
        for app in &apps {
            let name = match app.name.is_empty() {
                true => "Authenticator app",
                false => app.name.as_str(),
            };
            entry(
                html,
                visit,
                ("factor", &app.id.to_string()),
                ("remove-factor", "Remove"),
                |html| {
                    html.leaf("p", &[], name);
                },
            );
        }
    });
    form(html, visit, &visit.page("account"), |html| {
        if rules.totp.enroll {
            shell::hidden(html, "name", &free_name(&account.profile.factors));
            button(html, "plain", "add-factor", "Add an authenticator app");
        }
        if rules.recovery_codes.enroll && !apps.is_empty() {
            let text = match account.codes_left {
                None => "Make recovery codes".to_owned(),
                Some(left) => format!("Make new recovery codes ({left} are left)"),
            };
            button(html, "plain", "codes", &text);
        }
    });
}

/// A name for another app. Two factors of one user do not share a name, whatever kind they are and proved or not.
fn free_name(known: &[Factor]) -> String {
    let is_free = |name: &String| known.iter().all(|factor| factor.name.trim() != name);
    let mut names = (1..).map(|number| format!("App {number}"));
    names.find(is_free).unwrap_or_default()
}

fn identities(html: &mut Html, visit: &Visit<'_>, account: &Account) {
    let known = &account.profile.identities;
    if known.iter().all(|identity| identity.provider == "email") {
        return;
    }
    html.leaf("h2", &[], "Ways to sign in");
    html.element("ul", &[("class", "list")], |html| {
        for identity in known {
            let email = identity.email.as_deref().unwrap_or_default();
            let write = |html: &mut Html| {
                html.leaf("p", &[], &spoken(&identity.provider));
                html.leaf("p", &[("class", "quiet")], email);
            };
            match visit.room.config.manual_linking && known.len() > 1 {
                true => entry(
                    html,
                    visit,
                    ("identity", &identity.id.to_string()),
                    ("unlink", "Remove"),
                    write,
                ),
                false => html.element("li", &[], write),
            }
        }
    });
}

fn sessions(html: &mut Html, visit: &Visit<'_>, account: &Account) {
    html.leaf("h2", &[], "Where you are signed in");
    html.element("ul", &[("class", "list")], |html| {
        for Listed {
            session,
            user_agent,
            address,
        } in &account.sessions
        {
            let is_this = account.session.as_ref().is_some_and(|own| own.id == session.id);
            let agent = user_agent.as_deref().unwrap_or("Unknown browser");
            let agent: String = agent.chars().take(AGENT_CHARS_MAX).collect();
            let since = session
                .refreshed_at
                .or(session.created_at)
                .map_or_else(String::new, day);
            let address = address.as_deref().unwrap_or_default();
            let write = |html: &mut Html| {
                html.leaf("p", &[], if is_this { "This browser" } else { agent.as_str() });
                html.leaf("p", &[("class", "quiet")], &format!("{since} {address}"));
            };
            match is_this {
                true => html.element("li", &[], write),
                false => entry(
                    html,
                    visit,
                    ("session", &session.id.to_string()),
                    ("end-session", "Sign out there"),
                    write,
                ),
            }
        }
    });
    form(html, visit, &visit.page("account"), |html| {
        button(html, "main", "sign-out", "Sign out");
        if account.sessions.len() > 1 {
            button(html, "plain", "end-others", "Sign out everywhere else");
        }
    });
}

fn grants(html: &mut Html, visit: &Visit<'_>, account: &Account) {
    if account.grants.is_empty() {
        return;
    }
    html.leaf("h2", &[], "Applications that may use your account");
    html.element("ul", &[("class", "list")], |html| {
        for grant in &account.grants {
            let name = match grant.client.name.is_empty() {
                true => grant.client.id.as_str(),
                false => grant.client.name.as_str(),
            };
            entry(
                html,
                visit,
                ("client", &grant.client.id),
                ("revoke", "Take it back"),
                |html| {
                    html.leaf("p", &[], name);
                    html.leaf("p", &[("class", "quiet")], &grant.scopes.join(", "));
                },
            );
        }
    });
}

/// An entry of a list, with a button that names it.
fn entry(
    html: &mut Html,
    visit: &Visit<'_>,
    (name, value): (&'static str, &str),
    (action, text): (&str, &str),
    write: impl FnOnce(&mut Html),
) {
    html.element("li", &[], |html| {
        write(html);
        form(html, visit, &visit.page("account"), |html| {
            shell::hidden(html, name, value);
            button(html, "plain", action, text);
        });
    });
}

fn day(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M UTC").to_string()
}

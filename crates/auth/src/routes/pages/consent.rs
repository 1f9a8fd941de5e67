//! The page on which somebody is asked what an application of somebody else's may do, where the project has none of its
//! own.

use mainstay_http::Response;
use serde::Deserialize;
use serde_json::json;

use super::super::Signed;
use super::super::oauth::authorize;
use super::destination::Next;
use super::inner::{self, asking};
use super::shell::{Notice, Page, button, form, link};
use super::{Visit, account, failed, host, see};
use crate::error::Error;
use crate::html::Html;

/// What is asked, or where to go, for that was agreed to before.
#[derive(Deserialize)]
#[serde(untagged)]
enum Asked {
    Agreed { redirect_url: String },
    Open(Question),
}

#[derive(Deserialize)]
struct Question {
    redirect_uri: String,
    client: Shown,
    scope: String,
}

#[derive(Deserialize)]
struct Shown {
    #[serde(default)]
    name: String,
}

#[derive(Deserialize)]
struct Answered {
    redirect_url: String,
}

/// The id of what is asked. Errors: the address names none.
fn id<'a>(visit: &'a Visit<'_>) -> Result<&'a str, Error> {
    match &visit.destination.next {
        Next::Consent(id) if visit.room.config.oauth_server.is_some() => Ok(id),
        Next::Consent(_) => Err(Error::OAuthServerDisabled),
        _ => Err(Error::AuthorizationNotFound),
    }
}

pub async fn show(visit: &Visit<'_>, person: &Signed, notice: Option<Notice>) -> Result<Response, Error> {
    let request = asking(&[], &json!({}));
    let found = authorize::question(visit.room, person.clone(), id(visit)?, &request).await;
    let asked = match found.and_then(|response| inner::answered(&response)) {
        Ok(asked) => asked,
        Err(error) => return Ok(failed(visit, &error)),
    };
    Ok(match asked {
        // By a page of its own: browsers ask the policy of the sign-in page for every step that its form leads to.
        Asked::Agreed { redirect_url } => {
            let body = Html::of(|html| link(html, &redirect_url, "Go on"));
            let mut page = Page::new("You agreed to this before", body);
            page.goes_to = Some(redirect_url);
            page.show(&visit.site)
        }
        Asked::Open(question) => {
            let page = Page::new("Allow access?", ask(visit, person, &question)).with(notice);
            page.leading_to(&question.redirect_uri).show(&visit.site)
        }
    })
}

fn ask(visit: &Visit<'_>, person: &Signed, question: &Question) -> Html {
    let name = match question.client.name.is_empty() {
        true => "An application without a name",
        false => question.client.name.as_str(),
    };
    Html::of(|html| {
        html.element("p", &[], |html| {
            html.leaf("strong", &[], name);
            html.text(" wants to use your account ");
            html.leaf("strong", &[], account::called(&person.user));
            html.text(&format!(" at {}. It will be able to:", visit.site.name()));
        });
        html.element("ul", &[], |html| {
            html.leaf("li", &[], "read and change what you may read and change");
            for scope in question.scope.split(' ').filter_map(spoken) {
                html.leaf("li", &[], scope);
            }
        });
        let to = host(&question.redirect_uri);
        html.leaf(
            "p",
            &[("class", "quiet")],
            &format!("You will be sent to {to}. You can take it back on your account page."),
        );
        form(html, visit, &visit.page("consent"), |html| {
            button(html, "main", "approve", "Allow");
            button(html, "plain", "deny", "Do not allow");
            button(html, "plain", "sign-out", "Sign in as somebody else");
        });
    })
}

/// What a scope means.
fn spoken(scope: &str) -> Option<&'static str> {
    Some(match scope {
        "openid" => "know which account is yours",
        "profile" => "see your name and picture",
        "email" => "see your e-mail address",
        "phone" => "see your phone number",
        "offline_access" => "do so while you are not there",
        _ => return None,
    })
}

pub async fn sent(visit: &Visit<'_>, person: &Signed) -> Result<Response, Error> {
    let action = visit.action();
    if action == "sign-out" {
        return account::sign_out(visit, person).await;
    }
    let request = asking(&[], &json!({"action": action}));
    match authorize::consent(visit.room, person.clone(), id(visit)?, &request).await {
        Ok(response) => see(&inner::answered::<Answered>(&response)?.redirect_url),
        Err(error) => Ok(failed(visit, &error)),
    }
}

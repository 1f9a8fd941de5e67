//! Mails that `mainstay dev` has caught, as a page and as JSON, for programs on this machine.
//!
//! | path below `/dev/v1/mail` | what |
//! |---|---|
//! | `GET /` | the page: a list |
//! | `GET /{number}` | one mail as its page, shown without scripts and without anything from elsewhere |
//! | `GET /messages` | all of it as JSON, newest first |
//! | `DELETE /messages` | forgets it |

use std::sync::Arc;

use http::{HeaderValue, Method, StatusCode, header};
use mainstay_auth::messages::catcher::{Catcher, Caught};
use mainstay_auth::messages::mail::plain;
use mainstay_auth::messages::postman::Postman;
use mainstay_auth::messages::template::escape;
use mainstay_http::{Error, Request, Response};
use serde_json::{Value as Json, json};

/// No script runs, and nothing is fetched.
const LIST_POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; \
     frame-ancestors 'none'";
/// A mail is somebody else's text: it is shown as if it came from nowhere. Its links open beside it.
const MAIL_POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; \
     form-action 'none'; frame-ancestors 'none'; \
     sandbox allow-popups allow-popups-to-escape-sandbox allow-top-navigation-by-user-activation";
const STYLE: &str = "body{font:1rem/1.5 system-ui,sans-serif;max-width:52rem;margin:2rem auto;padding:0 1rem}\
     table{width:100%;border-collapse:collapse}th,td{text-align:left;padding:.4rem .6rem;border-bottom:1px solid #8886}";

/// The mails, and who brings what still waits.
pub struct CaughtMail {
    pub catcher: Arc<Catcher>,
    pub postman: Postman,
}

impl CaughtMail {
    /// Answers what is below `/mail`.
    pub async fn answer(&self, request: &Request, path: &str) -> Response {
        // What was asked for before this request is here before its answer.
        if let Err(error) = self.postman.deliver_letters().await {
            tracing::warn!(%error, "messages wait: the queue cannot be read");
        }
        match (&request.method, path) {
            (&Method::GET | &Method::HEAD, "" | "/") => page(&list(&self.catcher.list()), LIST_POLICY),
            (&Method::GET | &Method::HEAD, "/messages") => {
                let all: Vec<Json> = self.catcher.list().iter().map(shown).collect();
                plain_json(&json!(all))
            }
            (&Method::DELETE, "/messages") => {
                self.catcher.clear();
                Response::empty(StatusCode::NO_CONTENT)
            }
            (&Method::GET | &Method::HEAD, number) => {
                let number = number.strip_prefix('/').and_then(|number| number.parse().ok());
                match number.and_then(|number| self.catcher.one(number)) {
                    Some(caught) => page(&caught.message.body, MAIL_POLICY),
                    None => Error::NotFound.response(),
                }
            }
            _ => Error::MethodNotAllowed(request.method.to_string()).response(),
        }
    }
}

fn shown(caught: &Caught) -> Json {
    let message = &caught.message;
    json!({
        "number": caught.number,
        "at": caught.at.to_string(),
        "kind": message.kind,
        "channel": message.channel.name(),
        "to": message.recipient,
        "subject": message.subject,
        "html": message.body,
        "text": plain(&message.body),
    })
}

fn list(caught: &[Caught]) -> String {
    let mut out = format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>Caught mail</title>\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"><style>{STYLE}</style></head>\
         <body><main><h1>Caught mail</h1>"
    );
    if caught.is_empty() {
        out.push_str("<p>Nothing has been sent yet.</p>");
    } else {
        out.push_str("<table><thead><tr><th>To</th><th>Subject</th><th>Time</th></tr></thead><tbody>");
        for one in caught {
            out.push_str("<tr><td>");
            escape(&mut out, &one.message.recipient);
            out.push_str(&format!("</td><td><a href=\"/dev/v1/mail/{}\">", one.number));
            escape(&mut out, &one.message.subject);
            out.push_str(&format!("</a></td><td>{}</td></tr>", one.at.strftime("%H:%M:%S")));
        }
        out.push_str("</tbody></table>");
    }
    out.push_str("</main></body></html>");
    out
}

fn page(text: &str, policy: &'static str) -> Response {
    let mut response = Response::body(StatusCode::OK, "text/html; charset=utf-8", text.to_owned());
    for (name, value) in [
        (header::CONTENT_SECURITY_POLICY, policy),
        (header::CACHE_CONTROL, "no-store"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ] {
        response.headers.insert(name, HeaderValue::from_static(value));
    }
    response
}

fn plain_json(body: &Json) -> Response {
    let mut response = Response::body(StatusCode::OK, "application/json", body.to_string());
    response
        .headers
        .insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

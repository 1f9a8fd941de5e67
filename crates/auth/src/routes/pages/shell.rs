//! What all pages have: their frame, their headers, the parts of their forms.
//!
//! A page needs no script, but for a captcha's widget; nothing of it comes from elsewhere, but for the project's logo.

use http::{HeaderName, HeaderValue, StatusCode, header};
use mainstay_http::Response;

use super::super::link_page::source;
use super::{Site, Visit, guard};
use crate::config::Pages;
use crate::error::{Error, MfaError};
use crate::html::Html;

const STYLE: &str = include_str!("style.css");
/// How long browsers keep the stylesheet.
const STYLE_LIFETIME: &str = "public, max-age=300";
/// The id of the text that says what is wrong.
const PROBLEM: &str = "problem";

/// What a page says above its content.
#[derive(Clone, Debug)]
pub enum Notice {
    Problem(Problem),
    Done(&'static str),
}

/// What is wrong with what was sent.
#[derive(Clone, Debug)]
pub struct Problem {
    pub status: StatusCode,
    message: String,
    retry_seconds: Option<u64>,
    /// Names of the fields that it is about.
    fields: &'static [&'static str],
}

impl Problem {
    /// What its reader may know of an error. The rest is logged.
    pub fn of(error: &Error) -> Self {
        error.log();
        let status = error.status();
        let fields: &[&str] = match error {
            Error::EmailInvalid | Error::EmailExists | Error::UserAlreadyExists => &["email"],
            Error::InvalidCredentials => &["email", "password"],
            Error::WeakPassword { .. } | Error::SamePassword => &["password"],
            Error::Mfa(MfaError::WrongCode | MfaError::WrongRecoveryCode) => &["code"],
            _ => &[],
        };
        Problem {
            status,
            message: match error {
                Error::FormRefused => "This form is too old, or cookies are switched off. Please send it again.".into(),
                Error::InvalidCredentials => "The address or the password is wrong.".into(),
                Error::Mfa(MfaError::WrongCode) => "The code is wrong, or was used already.".into(),
                Error::Mfa(MfaError::WrongRecoveryCode) => "The recovery code is wrong, or was used already.".into(),
                _ if status.is_server_error() => "Something went wrong here. Please try again later.".into(),
                error => error.to_string(),
            },
            retry_seconds: error.retry_seconds(),
            fields,
        }
    }

    pub fn is_about(&self, field: &str) -> bool {
        self.fields.contains(&field)
    }
}

/// A page that is about to be shown.
pub struct Page {
    pub title: String,
    pub status: StatusCode,
    pub notice: Option<Notice>,
    pub body: Html,
    /// Addresses that the answers to its forms lead to, beside this server.
    pub leads_to: Vec<String>,
    /// It shows the captcha's widget.
    pub wants_person: bool,
    /// Where the browser goes by itself.
    pub goes_to: Option<String>,
}

impl Page {
    pub fn new(title: impl Into<String>, body: Html) -> Self {
        Page {
            title: title.into(),
            status: StatusCode::OK,
            notice: None,
            body,
            leads_to: Vec::new(),
            wants_person: false,
            goes_to: None,
        }
    }

    /// Says what is wrong, if something is.
    #[must_use]
    pub fn with(mut self, notice: Option<Notice>) -> Self {
        if let Some(Notice::Problem(problem)) = &notice {
            self.status = problem.status;
        }
        self.notice = notice;
        self
    }

    /// The answers to its forms lead there.
    #[must_use]
    pub fn leading_to(mut self, address: &str) -> Self {
        self.leads_to.push(source(address));
        self
    }

    /// The page as an answer.
    pub fn show(&self, site: &Site<'_>) -> Response {
        let mut response = Response::body(self.status, "text/html; charset=utf-8", self.html(site).document());
        let widget = site.widget().filter(|_| self.wants_person);
        let mut policy = String::from(
            "default-src 'none'; base-uri 'none'; frame-ancestors 'none'; img-src 'self' https: data:; form-action 'self'",
        );
        for address in &self.leads_to {
            policy.push(' ');
            policy.push_str(address);
        }
        match widget.map(|widget| widget.kind.sources()) {
            None => policy.push_str("; style-src 'self'"),
            Some(own) => policy.push_str(&format!(
                "; style-src 'self' {own}; script-src {own}; frame-src {own}; connect-src {own}"
            )),
        }
        for (name, value) in [
            (header::CONTENT_SECURITY_POLICY, policy.as_str()),
            (header::CACHE_CONTROL, "no-store"),
            (header::REFERRER_POLICY, "no-referrer"),
            (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
            (header::X_FRAME_OPTIONS, "DENY"),
            (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
            (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
        ] {
            if let Ok(value) = HeaderValue::from_str(value) {
                response.headers.insert(name, value);
            }
        }
        if let Some(Notice::Problem(problem)) = &self.notice
            && let Some(seconds) = problem.retry_seconds
        {
            response.headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }

    fn html(&self, site: &Site<'_>) -> Html {
        let (pages, name) = (site.pages, site.name());
        Html::of(|html| {
            html.element("html", &[("lang", "en")], |html| {
                html.element("head", &[], |html| {
                    html.void("meta", &[("charset", "utf-8")]);
                    let viewport = "width=device-width, initial-scale=1";
                    html.void("meta", &[("name", "viewport"), ("content", viewport)]);
                    html.void("meta", &[("name", "robots"), ("content", "noindex")]);
                    html.void("meta", &[("name", "color-scheme"), ("content", "light dark")]);
                    // Without one browsers look for a file that is not there.
                    let icon = pages.logo_url.as_deref().unwrap_or("data:,");
                    html.void("link", &[("rel", "icon"), ("href", icon)]);
                    if let Some(to) = &self.goes_to {
                        let content = format!("0; url={to}");
                        html.void("meta", &[("http-equiv", "refresh"), ("content", &content)]);
                    }
                    html.leaf("title", &[], &format!("{} – {name}", self.title));
                    let style = site.path("style.css");
                    html.void("link", &[("rel", "stylesheet"), ("href", &style)]);
                    if let Some(widget) = site.widget().filter(|_| self.wants_person) {
                        html.leaf(
                            "script",
                            &[("src", widget.kind.script()), ("async", ""), ("defer", "")],
                            "",
                        );
                    }
                });
                html.element("body", &[], |html| {
                    html.element("header", &[], |html| match &pages.logo_url {
                        Some(logo) => html.void("img", &[("src", logo), ("alt", &name), ("class", "logo")]),
                        None => html.leaf("p", &[("class", "name")], &name),
                    });
                    html.element("main", &[], |html| {
                        html.leaf("h1", &[], &self.title);
                        self.say(html);
                        html.put(&self.body);
                    });
                });
            });
        })
    }

    fn say(&self, html: &mut Html) {
        match &self.notice {
            None => {}
            Some(Notice::Problem(problem)) => {
                let attributes = [("id", PROBLEM), ("class", "notice problem"), ("role", "alert")];
                html.leaf("p", &attributes, &problem.message);
            }
            Some(Notice::Done(text)) => html.leaf("p", &[("class", "notice done"), ("role", "status")], text),
        }
    }
}

/// The stylesheet: colours, the rules of the pages, the project's own.
pub fn style(pages: &Pages) -> Response {
    let text = format!(
        ":root{{--accent:{};--on-accent:{}}}\n{STYLE}\n{}",
        pages.accent.css(),
        pages.accent.text_css(),
        pages.stylesheet
    );
    let mut response = Response::body(StatusCode::OK, "text/css; charset=utf-8", text);
    let kept = HeaderValue::from_static(STYLE_LIFETIME);
    response.headers.insert(header::CACHE_CONTROL, kept);
    response
}

/// A field of a form.
#[derive(Clone, Copy, Debug, Default)]
pub struct Field<'a> {
    pub name: &'static str,
    pub label: &'a str,
    /// The type of the `input`.
    pub kind: &'static str,
    pub value: &'a str,
    pub autocomplete: &'static str,
    pub hint: Option<&'a str>,
    pub is_optional: bool,
}

/// Writes a field with its label. The notice marks it if it is about it.
pub fn field(html: &mut Html, field: Field<'_>, notice: Option<&Notice>) {
    let hint = format!("{}-hint", field.name);
    let is_wrong = matches!(notice, Some(Notice::Problem(problem)) if problem.is_about(field.name));
    html.element("div", &[("class", "field")], |html| {
        html.leaf("label", &[("for", field.name)], field.label);
        let mut attributes = vec![
            ("id", field.name),
            ("name", field.name),
            ("type", field.kind),
            ("value", field.value),
            ("autocomplete", field.autocomplete),
        ];
        if !field.is_optional {
            attributes.push(("required", ""));
        }
        if field.autocomplete == "one-time-code" {
            attributes.extend([
                ("inputmode", "numeric"),
                ("autocapitalize", "off"),
                ("spellcheck", "false"),
            ]);
        }
        match (is_wrong, field.hint) {
            (true, _) => attributes.extend([("aria-invalid", "true"), ("aria-describedby", PROBLEM)]),
            (false, Some(_)) => attributes.push(("aria-describedby", &hint)),
            (false, None) => {}
        }
        html.void("input", &attributes);
        if let Some(text) = field.hint {
            html.leaf("p", &[("id", &hint), ("class", "hint")], text);
        }
    });
}

/// A button that sends its form as `action`.
pub fn button(html: &mut Html, class: &str, action: &str, text: &str) {
    let attributes = [
        ("type", "submit"),
        ("name", "action"),
        ("value", action),
        ("class", class),
    ];
    html.leaf("button", &attributes, text);
}

/// A form that is posted to `path`, with what guards it.
pub fn form(html: &mut Html, visit: &Visit<'_>, path: &str, inner: impl FnOnce(&mut Html)) {
    html.element("form", &[("method", "post"), ("action", path)], |html| {
        hidden(html, guard::FIELD, &guard::form_token(&visit.cookie));
        inner(html);
    });
}

pub fn hidden(html: &mut Html, name: &'static str, value: &str) {
    html.void("input", &[("type", "hidden"), ("name", name), ("value", value)]);
}

/// A paragraph that is nothing but a link.
pub fn link(html: &mut Html, href: &str, text: &str) {
    html.element("p", &[], |html| html.leaf("a", &[("href", href)], text));
}

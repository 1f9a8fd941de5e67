//! A browser without scripts, on the ready pages.

use bytes::Bytes;
use http::Method;
use mainstay_testing::Answer;

use crate::auth::{Auth, Session};
use crate::auth_mail::Mail;
use crate::oauth_provider::{encoded, fragment};

pub const APP: &str = "https://app.example/welcome";

/// A browser: it keeps cookies, sends each where it belongs, and sends the forms of the page that it is on.
pub struct Browser<'a> {
    auth: &'a Auth,
    /// That of the pages.
    pub cookie: Option<String>,
    /// Others: name, value, path.
    pub others: Vec<[String; 3]>,
    pub page: String,
}

impl<'a> Browser<'a> {
    pub fn new(auth: &'a Auth) -> Self {
        Browser {
            auth,
            cookie: None,
            others: Vec::new(),
            page: String::new(),
        }
    }

    pub async fn send(&mut self, method: Method, path: &str, headers: &[(&str, &str)], form: &str) -> Answer {
        let path = match path.starts_with("/auth/") {
            true => path.to_owned(),
            false => format!("/auth/v1/pages/{path}"),
        };
        let cookies = self.cookies(&path);
        let mut all = headers.to_vec();
        if method == Method::POST {
            all.push(("content-type", "application/x-www-form-urlencoded"));
        }
        if !cookies.is_empty() {
            all.push(("cookie", &cookies));
        }
        let client = self.auth.server.anonymous();
        let answer = client.send(method, &path, &all, Bytes::from(form.to_owned())).await;
        for (name, value, rest) in set_cookies(&answer) {
            if name == "mainstay-pages" {
                self.cookie = Some(value);
                continue;
            }
            self.others.retain(|[known, ..]| *known != name);
            if !value.is_empty() {
                let path = between(&rest, "; Path=", ";").to_owned();
                self.others.push([name, value, path]);
            }
        }
        if answer.header("content-type").starts_with("text/html") {
            self.page = answer.text();
        }
        answer
    }

    fn cookies(&self, path: &str) -> String {
        let own = self
            .cookie
            .iter()
            .map(|value| ("mainstay-pages", value.as_str(), "/auth/v1/pages"));
        let others = self
            .others
            .iter()
            .map(|[name, value, path]| (name.as_str(), value.as_str(), path.as_str()));
        let sent: Vec<String> = own
            .chain(others)
            .filter(|(.., below)| path.starts_with(below))
            .map(|(name, value, _)| format!("{name}={value}"))
            .collect();
        sent.join("; ")
    }

    pub async fn open(&mut self, path: &str) -> Answer {
        self.send(Method::GET, path, &[], "").await
    }

    /// What the page's forms hold.
    pub fn form_token(&self) -> String {
        between(&self.page, "name=\"form_token\" value=\"", "\"").to_owned()
    }

    /// Sends a form of the page to `path`.
    pub async fn submit(&mut self, path: &str, fields: &[(&str, &str)]) -> Answer {
        let mut pairs = vec![("form_token".to_owned(), self.form_token())];
        pairs.extend(
            fields
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned())),
        );
        self.send(
            Method::POST,
            path,
            &[("sec-fetch-site", "same-origin")],
            &encoded(&pairs),
        )
        .await
    }

    /// Opens the sign-in page with `query` and signs in.
    pub async fn sign_in(&mut self, query: &str, email: &str, password: &str) -> Answer {
        let path = format!("sign-in{query}");
        assert_eq!(self.open(&path).await.status, 200);
        self.submit(&path, &[("email", email), ("password", password)]).await
    }

    /// Follows a mail's link and presses the button there.
    pub async fn follow(&mut self, mail: &Mail) -> Answer {
        let form = self.open_link(mail).await;
        let headers = [("sec-fetch-site", "same-origin")];
        self.send(Method::POST, "/auth/v1/verify", &headers, &form).await
    }

    /// Follows a mail's link, and gives the form that the button there sends.
    pub async fn open_link(&mut self, mail: &Mail) -> String {
        let path = mail.link().split_once("/auth/v1").unwrap().1.to_owned();
        let page = self.open(&format!("/auth/v1{path}")).await;
        assert_eq!(page.status, 200, "{}", page.text());
        let fields = self.page.split("<input type=\"hidden\" name=\"").skip(1);
        let pairs: Vec<(String, String)> = fields
            .map(|field| {
                let (name, rest) = field.split_once("\" value=\"").unwrap();
                let value = rest.split('"').next().unwrap();
                (name.to_owned(), value.replace("&amp;", "&"))
            })
            .collect();
        encoded(&pairs)
    }
}

/// Cookies that an answer sets: name, value, and the rest of the line. An empty value takes one away.
pub fn set_cookies(answer: &Answer) -> Vec<(String, String, String)> {
    let lines = answer.headers.get_all("set-cookie").iter();
    let lines = lines.map(|line| line.to_str().unwrap().split_once('=').unwrap());
    lines
        .map(|(name, rest)| {
            let value = rest.split(';').next().unwrap();
            (name.to_owned(), value.to_owned(), rest.to_owned())
        })
        .collect()
}

pub fn between<'t>(text: &'t str, before: &str, after: &str) -> &'t str {
    let (_, rest) = text
        .split_once(before)
        .unwrap_or_else(|| panic!("no {before} in {text}"));
    rest.split(after).next().unwrap()
}

/// A query that leads to the application.
pub fn to_app(more: &[(&str, &str)]) -> String {
    let mut pairs = vec![("redirect_to".to_owned(), APP.to_owned())];
    pairs.extend(
        more.iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned())),
    );
    format!("?{}", encoded(&pairs))
}

/// The session that an answer gives to the application in its address.
pub async fn given(auth: &Auth, answer: &Answer) -> Session {
    assert_eq!(answer.status, 303, "{}", answer.text());
    let to = answer.header("location");
    assert!(to.starts_with(&format!("{APP}#access_token=")), "{to}");
    let told = fragment(to);
    assert_eq!(told["token_type"], "bearer");
    let user = auth.user(&told["access_token"]).await;
    assert_eq!(user.status, 200, "{}", user.text());
    Session {
        access_token: told["access_token"].clone(),
        refresh_token: told["refresh_token"].clone(),
        user: user.json(),
    }
}

/// Where an answer sends a browser: the name of a page.
pub fn sent_to(answer: &Answer) -> String {
    assert_eq!(answer.status, 303, "{}", answer.text());
    let to = answer.header("location");
    let page = to
        .strip_prefix("/auth/v1/pages/")
        .unwrap_or_else(|| panic!("{to} is no page"));
    page.split('?').next().unwrap().to_owned()
}

pub fn encode(text: &str) -> String {
    percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string()
}

/// The address that messages and providers lead back to, to go on as `query` says.
pub fn page_url(auth: &Auth, query: &str) -> String {
    format!("{}/auth/v1/pages/sign-in{query}", auth.server.url)
}

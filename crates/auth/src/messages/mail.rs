//! Kinds of mails and what they say.
//!
//! Texts come from `[auth.email.template.*]`; those that are not there are the built-in ones below. What a template can
//! name is what Supabase Auth's can.

use serde_json::{Map, Value as Json, json};

use super::template::{Escape, Template};

/// Characters of a subject, at most.
const SUBJECT_CHARS_MAX: usize = 200;

/// What a mail is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Confirmation,
    Invite,
    Recovery,
    MagicLink,
    EmailChange,
    Reauthentication,
}

impl Kind {
    pub const ALL: [Kind; 6] = [
        Kind::Confirmation,
        Kind::Invite,
        Kind::Recovery,
        Kind::MagicLink,
        Kind::EmailChange,
        Kind::Reauthentication,
    ];

    /// As settings and logs name it.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Confirmation => "confirmation",
            Kind::Invite => "invite",
            Kind::Recovery => "recovery",
            Kind::MagicLink => "magic_link",
            Kind::EmailChange => "email_change",
            Kind::Reauthentication => "reauthentication",
        }
    }

    /// The `type` of its link.
    pub fn verification(self) -> &'static str {
        match self {
            Kind::Confirmation => "signup",
            Kind::Invite => "invite",
            Kind::Recovery => "recovery",
            Kind::MagicLink => "magiclink",
            Kind::EmailChange => "email_change",
            Kind::Reauthentication => "reauthentication",
        }
    }

    fn built_in(self) -> (&'static str, &'static str) {
        match self {
            Kind::Confirmation => (
                "Confirm your e-mail address",
                "<h2>Confirm your e-mail address</h2>\n\
                 <p>Somebody signed up at {{ .SiteURL }} with this address. If that was you, confirm it:</p>\n\
                 <p><a href=\"{{ .ConfirmationURL }}\">Confirm the address</a></p>\n\
                 <p>Or enter this code: <strong>{{ .Token }}</strong></p>\n\
                 <p>If it was not you, there is nothing to do.</p>\n",
            ),
            Kind::Invite => (
                "You are invited",
                "<h2>You are invited</h2>\n\
                 <p>There is an account for you at {{ .SiteURL }}. Accept the invitation to use it:</p>\n\
                 <p><a href=\"{{ .ConfirmationURL }}\">Accept the invitation</a></p>\n\
                 <p>Or enter this code: <strong>{{ .Token }}</strong></p>\n",
            ),
            Kind::Recovery => (
                "Reset your password",
                "<h2>Reset your password</h2>\n\
                 <p>Somebody asked to reset the password of your account at {{ .SiteURL }}. If that was you, go on here:</p>\n\
                 <p><a href=\"{{ .ConfirmationURL }}\">Reset the password</a></p>\n\
                 <p>Or enter this code: <strong>{{ .Token }}</strong></p>\n\
                 <p>If it was not you, there is nothing to do: your password stays as it is.</p>\n",
            ),
            Kind::MagicLink => (
                "Your sign-in link",
                "<h2>Sign in</h2>\n\
                 <p>With this link you sign in at {{ .SiteURL }}:</p>\n\
                 <p><a href=\"{{ .ConfirmationURL }}\">Sign in</a></p>\n\
                 <p>Or enter this code: <strong>{{ .Token }}</strong></p>\n\
                 <p>If you did not ask for it, there is nothing to do.</p>\n",
            ),
            Kind::EmailChange => (
                "Confirm the change of your e-mail address",
                "<h2>Confirm the change of your e-mail address</h2>\n\
                 <p>The address of your account at {{ .SiteURL }} is to change{{ if .Email }} from {{ .Email }}{{ end }} \
                 to {{ .NewEmail }}. If that is what you want, confirm it:</p>\n\
                 <p><a href=\"{{ .ConfirmationURL }}\">Confirm the change</a></p>\n\
                 <p>Or enter this code: <strong>{{ .Token }}</strong></p>\n\
                 <p>If you did not ask for it, do nothing and change your password.</p>\n",
            ),
            Kind::Reauthentication => (
                "Your verification code",
                "<h2>Is it you?</h2>\n\
                 <p>Enter this code to go on: <strong>{{ .Token }}</strong></p>\n\
                 <p>If you did not ask for it, change your password.</p>\n",
            ),
        }
    }
}

/// Subject and page of one kind.
#[derive(Clone, Debug)]
pub struct Text {
    pub subject: Template,
    pub page: Template,
}

impl Text {
    /// The kind's built-in text, and in its place what the settings have. Errors: what cannot be read.
    pub fn parse<E: From<String>>(
        kind: &str,
        built_in: (&str, &str),
        subject: Option<String>,
        page: Option<String>,
    ) -> Result<Self, E> {
        let parsed = |text: Option<String>, built_in: &str, what: &str| {
            Template::parse(text.as_deref().unwrap_or(built_in))
                .map_err(|problem| E::from(format!("{what} of `{kind}`: {problem}")))
        };
        Ok(Text {
            subject: parsed(subject, built_in.0, "subject")?,
            page: parsed(page, built_in.1, "content")?,
        })
    }
}

/// The texts of all kinds.
#[derive(Clone, Debug)]
pub struct Texts([Text; 6]);

impl Texts {
    /// The built-in ones, and in their place what `own` reads of the settings: subject and page. Errors: what cannot be
    /// read.
    pub fn read<E: From<String>>(
        mut own: impl FnMut(Kind) -> Result<(Option<String>, Option<String>), E>,
    ) -> Result<Self, E> {
        let mut read = |kind: Kind| {
            let (subject, page) = own(kind)?;
            Text::parse::<E>(kind.name(), kind.built_in(), subject, page)
        };
        let [one, two, three, four, five, six] = Kind::ALL;
        Ok(Texts([
            read(one)?,
            read(two)?,
            read(three)?,
            read(four)?,
            read(five)?,
            read(six)?,
        ]))
    }

    /// The built-in ones.
    pub fn built_in() -> Self {
        let read: Result<Self, String> = Texts::read(|_| Ok((None, None)));
        match read {
            Ok(texts) => texts,
            // A test reads them all.
            Err(_) => Texts(std::array::from_fn(|_| Text {
                subject: Template::default(),
                page: Template::default(),
            })),
        }
    }

    fn of(&self, kind: Kind) -> &Text {
        let at = Kind::ALL.iter().position(|own| *own == kind).unwrap_or_default();
        &self.0[at]
    }

    /// Subject and page of a mail.
    pub fn compose(&self, kind: Kind, values: &Values<'_>) -> (String, String) {
        let data = values.json();
        let text = self.of(kind);
        let subject = text.subject.render(&data, Escape::Nothing);
        (one_line(&subject), text.page.render(&data, Escape::Html))
    }
}

/// What a template can name.
#[derive(Clone, Copy, Debug)]
pub struct Values<'a> {
    pub site_url: &'a str,
    pub confirmation_url: &'a str,
    pub redirect_to: &'a str,
    pub code: &'a str,
    pub token: &'a str,
    pub email: &'a str,
    pub new_email: &'a str,
    pub sending_to: &'a str,
    pub data: &'a Map<String, Json>,
}

impl Values<'_> {
    fn json(&self) -> Json {
        json!({
            "SiteURL": self.site_url,
            "ConfirmationURL": self.confirmation_url,
            "RedirectTo": self.redirect_to,
            "Token": self.code,
            "TokenHash": self.token,
            "Email": self.email,
            "NewEmail": self.new_email,
            "SendingTo": self.sending_to,
            "Data": self.data,
        })
    }
}

/// A subject is one line, whatever its template and a user's data say.
pub fn one_line(text: &str) -> String {
    let words: Vec<&str> = text
        .split(|letter: char| letter.is_whitespace() || letter.is_control())
        .filter(|word| !word.is_empty())
        .collect();
    words.join(" ").chars().take(SUBJECT_CHARS_MAX).collect()
}

/// A page as plain text: tags are left out, and a link's address stands behind its text.
pub fn plain(page: &str) -> String {
    let mut out = String::with_capacity(page.len());
    let mut rest = page;
    let mut link: Option<String> = None;
    while let Some(at) = rest.find('<') {
        out.push_str(&one_run(&rest[..at]));
        let tag = &rest[at + 1..];
        let Some(end) = tag.find('>') else {
            rest = "";
            break;
        };
        let (tag, after) = (&tag[..end], &tag[end + 1..]);
        rest = after;
        let name = tag
            .split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '/')
            .next();
        match name.unwrap_or_default().to_ascii_lowercase().as_str() {
            "a" => link = attribute(tag, "href"),
            "/a" => {
                if let Some(link) = link.take() {
                    out.push_str(&format!(" ({link})"));
                }
            }
            "br" | "br/" | "/p" | "/div" | "/tr" | "/li" | "/h1" | "/h2" | "/h3" | "/table" => out.push('\n'),
            "style" | "script" | "head" | "title" => {
                let closing = format!("</{}", name.unwrap_or_default());
                rest = rest.find(&closing).map_or("", |at| &rest[at..]);
            }
            _ => {}
        }
    }
    out.push_str(&one_run(rest));
    let lines: Vec<String> = out
        .lines()
        .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
        .filter(|line| !line.is_empty())
        .collect();
    lines.join("\n\n")
}

fn attribute(tag: &str, name: &str) -> Option<String> {
    let at = tag.to_ascii_lowercase().find(&format!("{name}="))?;
    let value = &tag[at + name.len() + 1..];
    let quote = value.chars().next().filter(|letter| matches!(letter, '"' | '\''));
    let value = match quote {
        Some(quote) => value[1..].split(quote).next(),
        None => value.split_whitespace().next(),
    };
    value.map(unescaped)
}

/// Text between tags: a line's end in the source is a blank.
fn one_run(text: &str) -> String {
    unescaped(text).replace(['\n', '\r'], " ")
}

fn unescaped(text: &str) -> String {
    let mut out = text.to_owned();
    for (written, letter) in [
        ("&nbsp;", " "),
        ("&lt;", "<"),
        ("&gt;", ">"),
        ("&#34;", "\""),
        ("&quot;", "\""),
        ("&#39;", "'"),
        ("&#96;", "`"),
        // Last, so that nothing is read twice.
        ("&amp;", "&"),
    ] {
        if out.contains('&') {
            out = out.replace(written, letter);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(data: &Map<String, Json>) -> Values<'_> {
        Values {
            site_url: "https://shop.example",
            confirmation_url: "https://a.example/auth/v1/verify?token=t&type=signup",
            redirect_to: "https://shop.example/in",
            code: "123456",
            token: "t",
            email: "ann@example.com",
            new_email: "anna@example.com",
            sending_to: "anna@example.com",
            data,
        }
    }

    #[test]
    fn every_kind_has_a_text_with_its_code_and_its_link() {
        let texts = Texts::built_in();
        let data = Map::new();
        for kind in Kind::ALL {
            let (subject, page) = texts.compose(kind, &values(&data));
            assert!(!subject.is_empty() && page.contains("123456"), "{kind:?}");
            let link = "href=\"https://a.example/auth/v1/verify?token=t&amp;type=signup\"";
            assert_eq!(page.contains(link), kind != Kind::Reauthentication, "{kind:?}");
            assert!(plain(&page).contains("123456"));
        }
    }

    #[test]
    fn a_subject_is_one_line_whatever_a_user_is_called() {
        let texts: Result<Texts, String> = Texts::read(|_| {
            Ok((
                Some("Hello {{ .Data.name }}\n\n!".into()),
                Some("{{ .Data.name }}".into()),
            ))
        });
        let texts = texts.unwrap();
        let data = json!({"name": "Ann\r\nBcc: all@example.com\u{2028}\0<b>"});
        let (subject, page) = texts.compose(Kind::Invite, &values(data.as_object().unwrap()));
        assert_eq!(subject, "Hello Ann Bcc: all@example.com <b> !");
        assert!(page.contains("&lt;b&gt;") && !page.contains("<b>"));
        let broken: Result<Texts, String> = Texts::read(|_| Ok((Some("{{ if".into()), None)));
        assert!(broken.unwrap_err().contains("subject of `confirmation`"));
    }

    #[test]
    fn a_page_becomes_plain_text() {
        let page = "<head><title>x</title></head><h2>Hi &amp; bye</h2>\n<p>Go\n <a href=\"https://x/?a=1&amp;b=2\">here</a>.<br>Now</p><style>p{}</style>&lt;";
        assert_eq!(plain(page), "Hi & bye\n\nGo here (https://x/?a=1&b=2).\n\nNow\n\n<");
    }
}

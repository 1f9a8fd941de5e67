//! Notices: mails that tell a user what has changed of the account, so that somebody whose account another person is
//! changing learns of it. They prove nothing and have no link.
//!
//! Each is off unless `[auth.email.notification.*]` switches it on, and is written in the transaction of the change.
//! Not here: mails that prove an address ([`mail`](super::mail)).
//!
//! Source: Supabase Auth, "Security notification emails".

use jiff::{SignedDuration, Timestamp};
use mainstay_core::clock;
use mainstay_core::error::BackendError;
use serde_json::json;
use uuid::Uuid;

use super::mail::{Text, one_line};
use super::template::Escape;
use super::{Channel, Message};
use crate::hooks::{self, EmailData, Point, Telling};
use crate::store::Tx;
use crate::users::{self, UserId};

/// How long a notice is tried to be handed over.
const KEPT: SignedDuration = SignedDuration::from_hours(24);

/// What has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change<'a> {
    Password,
    /// Told to the address that the user had.
    Email {
        old: &'a str,
    },
    Phone {
        old: &'a str,
    },
    IdentityLinked {
        provider: &'a str,
    },
    /// Told to the address that the user had, which may have gone with the identity.
    IdentityUnlinked {
        provider: &'a str,
        old_email: &'a str,
    },
    FactorEnrolled {
        kind: &'a str,
    },
    FactorUnenrolled {
        kind: &'a str,
    },
}

impl Change<'_> {
    fn kind(self) -> Kind {
        match self {
            Change::Password => Kind::PasswordChanged,
            Change::Email { .. } => Kind::EmailChanged,
            Change::Phone { .. } => Kind::PhoneChanged,
            Change::IdentityLinked { .. } => Kind::IdentityLinked,
            Change::IdentityUnlinked { .. } => Kind::IdentityUnlinked,
            Change::FactorEnrolled { .. } => Kind::FactorEnrolled,
            Change::FactorUnenrolled { .. } => Kind::FactorUnenrolled,
        }
    }

    fn old_email(&self) -> &str {
        match self {
            Change::Email { old } | Change::IdentityUnlinked { old_email: old, .. } => old,
            _ => "",
        }
    }

    fn old_phone(&self) -> &str {
        match self {
            Change::Phone { old } => old,
            _ => "",
        }
    }

    fn provider(&self) -> &str {
        match self {
            Change::IdentityLinked { provider } | Change::IdentityUnlinked { provider, .. } => provider,
            _ => "",
        }
    }

    fn factor(&self) -> &str {
        match self {
            Change::FactorEnrolled { kind } | Change::FactorUnenrolled { kind } => kind,
            _ => "",
        }
    }
}

/// What a notice is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    PasswordChanged,
    EmailChanged,
    PhoneChanged,
    IdentityLinked,
    IdentityUnlinked,
    FactorEnrolled,
    FactorUnenrolled,
}

impl Kind {
    pub const ALL: [Kind; 7] = [
        Kind::PasswordChanged,
        Kind::EmailChanged,
        Kind::PhoneChanged,
        Kind::IdentityLinked,
        Kind::IdentityUnlinked,
        Kind::FactorEnrolled,
        Kind::FactorUnenrolled,
    ];

    /// As settings name it.
    pub fn name(self) -> &'static str {
        match self {
            Kind::PasswordChanged => "password_changed",
            Kind::EmailChanged => "email_changed",
            Kind::PhoneChanged => "phone_changed",
            Kind::IdentityLinked => "identity_linked",
            Kind::IdentityUnlinked => "identity_unlinked",
            Kind::FactorEnrolled => "mfa_factor_enrolled",
            Kind::FactorUnenrolled => "mfa_factor_unenrolled",
        }
    }

    /// As logs and hooks name it.
    fn action(self) -> &'static str {
        match self {
            Kind::PasswordChanged => "password_changed_notification",
            Kind::EmailChanged => "email_changed_notification",
            Kind::PhoneChanged => "phone_changed_notification",
            Kind::IdentityLinked => "identity_linked_notification",
            Kind::IdentityUnlinked => "identity_unlinked_notification",
            Kind::FactorEnrolled => "mfa_factor_enrolled_notification",
            Kind::FactorUnenrolled => "mfa_factor_unenrolled_notification",
        }
    }

    /// Subject and page.
    pub fn built_in(self) -> (&'static str, &'static str) {
        match self {
            Kind::PasswordChanged => (
                "Your password was changed",
                "<h2>Your password was changed</h2>\n\
                 <p>The password of your account at {{ .SiteURL }} is another one now.</p>\n\
                 <p>If it was not you who changed it, reset it at once, and tell us.</p>\n",
            ),
            Kind::EmailChanged => (
                "Your e-mail address was changed",
                "<h2>Your e-mail address was changed</h2>\n\
                 <p>The address of your account at {{ .SiteURL }} is no longer {{ .OldEmail }} but {{ .Email }}.</p>\n\
                 <p>If it was not you who changed it, tell us at once.</p>\n",
            ),
            Kind::PhoneChanged => (
                "Your phone number was changed",
                "<h2>Your phone number was changed</h2>\n\
                 <p>The number of your account at {{ .SiteURL }} is \
                 {{ if .OldPhone }}no longer {{ .OldPhone }} but {{ end }}{{ .Phone }}.</p>\n\
                 <p>If it was not you who changed it, tell us at once.</p>\n",
            ),
            Kind::IdentityLinked => (
                "There is a new way to sign in to your account",
                "<h2>There is a new way to sign in to your account</h2>\n\
                 <p>Your account at {{ .SiteURL }} can now be reached by {{ .Provider }}.</p>\n\
                 <p>If it was not you who added it, change your password, and tell us.</p>\n",
            ),
            Kind::IdentityUnlinked => (
                "A way to sign in to your account was removed",
                "<h2>A way to sign in to your account was removed</h2>\n\
                 <p>Your account at {{ .SiteURL }} can no longer be reached by {{ .Provider }}.</p>\n\
                 <p>If it was not you who removed it, change your password, and tell us.</p>\n",
            ),
            Kind::FactorEnrolled => (
                "A second factor was added to your account",
                "<h2>A second factor was added to your account</h2>\n\
                 <p>Your account at {{ .SiteURL }} has one more: {{ .FactorType }}.</p>\n\
                 <p>If it was not you who added it, tell us at once.</p>\n",
            ),
            Kind::FactorUnenrolled => (
                "A second factor was removed from your account",
                "<h2>A second factor was removed from your account</h2>\n\
                 <p>Your account at {{ .SiteURL }} has one less: {{ .FactorType }}.</p>\n\
                 <p>If it was not you who removed it, change your password, and tell us.</p>\n",
            ),
        }
    }
}

/// Which notices are sent, and what they say.
#[derive(Clone, Debug, Default)]
pub struct Notices {
    /// In the order of [`Kind::ALL`]. `None`: it is off.
    texts: [Option<Text>; Kind::ALL.len()],
    site_url: String,
    /// Where the room is reached, as hooks are told.
    url: String,
}

impl Notices {
    /// `own` reads of the settings: `None` for one that is off, else subject and page where they are not the built-in
    /// ones. Errors: what cannot be read.
    pub fn read<E: From<String>>(
        site_url: &str,
        url: &str,
        mut own: impl FnMut(Kind) -> Result<Option<(Option<String>, Option<String>)>, E>,
    ) -> Result<Self, E> {
        let mut notices = Notices {
            site_url: site_url.to_owned(),
            url: url.to_owned(),
            ..Notices::default()
        };
        for (kind, text) in Kind::ALL.into_iter().zip(&mut notices.texts) {
            if let Some((subject, page)) = own(kind)? {
                *text = Some(Text::parse(kind.name(), kind.built_in(), subject, page)?);
            }
        }
        Ok(notices)
    }

    fn of(&self, kind: Kind) -> Option<&Text> {
        let at = Kind::ALL.iter().position(|own| *own == kind)?;
        self.texts.get(at)?.as_ref()
    }
}

/// Tells the user of a change that was just written, if that is wanted and there is an address to tell it to.
pub async fn tell(tx: &Tx, user: UserId, change: Change<'_>) -> Result<(), BackendError> {
    let (notices, kind) = (tx.issuing().notices(), change.kind());
    let Some(text) = notices.of(kind) else {
        return Ok(());
    };
    let Some(user) = users::by_id_in(tx, user).await? else {
        return Ok(());
    };
    let to = match change {
        Change::Email { old } | Change::IdentityUnlinked { old_email: old, .. } => old,
        _ => user.email.as_str(),
    };
    if to.is_empty() {
        return Ok(());
    }
    let now = clock::now();
    let expires_at = now.checked_add(KEPT).unwrap_or(Timestamp::MAX);
    if tx.issuing().hooks().has(Point::SendEmail) {
        let data = EmailData {
            action: kind.action(),
            site_url: &notices.url,
            redirect_to: &notices.site_url,
            old_email: if kind == Kind::EmailChanged {
                change.old_email()
            } else {
                ""
            },
            old_phone: change.old_phone(),
            provider: change.provider(),
            factor_type: change.factor(),
            ..EmailData::default()
        };
        let telling = Telling {
            point: Point::SendEmail,
            kind: kind.action(),
            recipient: to,
            user: user.id,
            about: Some(("email_data", data.json())),
            expires_at,
        };
        return hooks::tell(tx, telling, now).await;
    }
    let data = json!({
        "SiteURL": notices.site_url,
        "Email": if kind == Kind::IdentityUnlinked { to } else { user.email.as_str() },
        "OldEmail": change.old_email(),
        "Phone": user.phone,
        "OldPhone": change.old_phone(),
        "Provider": change.provider(),
        "FactorType": change.factor(),
        "SendingTo": to,
        "Data": user.user_metadata,
    });
    let message = Message {
        id: Uuid::new_v4(),
        kind: kind.action().to_owned(),
        channel: Channel::Mail,
        recipient: to.to_owned(),
        subject: one_line(&text.subject.render(&data, Escape::Nothing)),
        body: text.page.render(&data, Escape::Html),
        expires_at,
    };
    super::put(tx, &message, now).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_notice_is_off_unless_it_is_switched_on_and_has_a_text() {
        let none: Result<Notices, String> = Notices::read("https://shop.example", "", |_| Ok(None));
        let none = none.unwrap();
        assert!(Kind::ALL.iter().all(|kind| none.of(*kind).is_none()));
        let all: Result<Notices, String> = Notices::read("https://shop.example", "", |_| Ok(Some((None, None))));
        let all = all.unwrap();
        for kind in Kind::ALL {
            let page = &all.of(kind).unwrap().page;
            let data = json!({"SiteURL": "https://shop.example", "FactorType": "totp"});
            assert!(
                page.render(&data, Escape::Html).contains("https://shop.example"),
                "{kind:?}"
            );
        }
        let bad: Result<Notices, String> = Notices::read("", "", |_| Ok(Some((Some("{{ if".into()), None))));
        assert!(bad.unwrap_err().contains("password_changed"));
    }
}

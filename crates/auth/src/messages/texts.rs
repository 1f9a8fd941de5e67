//! Codes by text message: made, kept and put into the queue in one transaction.
//!
//! The same invariant as of mails ([`dispatch`](crate::dispatch)): for a number without a user the same statements run, and
//! write nothing but a message to nobody.

use std::sync::Arc;

use jiff::Timestamp;
use mainstay_core::clock;
use mainstay_core::error::BackendError;
use mainstay_core::secret::Secret;
use serde_json::{Value as Json, json};
use uuid::Uuid;

use super::template::Escape;
use super::{Channel, Message};
use crate::config::PhoneRules;
use crate::dispatch::Letters;
use crate::error::Error;
use crate::hooks::{self, Point, Telling};
use crate::landing::Flow;
use crate::one_time_tokens::{self, TokenType};
use crate::store::{Tx, text};
use crate::users::UserId;

const SENT_CONFIRMATION: &str = "UPDATE auth.users SET confirmation_token = $2::text, \
     confirmation_sent_at = $3::timestamptz, updated_at = now() WHERE id = $1::uuid";
const SENT_SIGN_IN: &str = "UPDATE auth.users SET recovery_token = $2::text, recovery_sent_at = $3::timestamptz, \
     updated_at = now() WHERE id = $1::uuid";
const SENT_REAUTHENTICATION: &str = "UPDATE auth.users SET reauthentication_token = $2::text, \
     reauthentication_sent_at = $3::timestamptz, updated_at = now() WHERE id = $1::uuid";
const SENT_CHANGE: &str = "UPDATE auth.users SET phone_change_token = $2::text, \
     phone_change_sent_at = $3::timestamptz, phone_change = $4::text, updated_at = now() WHERE id = $1::uuid";

/// What a code is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Of the number that somebody signed up with.
    Confirmation,
    SignIn,
    Reauthentication,
    Change,
}

impl Purpose {
    /// As limits and logs name it.
    pub fn name(self) -> &'static str {
        match self {
            Purpose::Confirmation => "phone_confirmation",
            Purpose::SignIn => "phone_sign_in",
            Purpose::Reauthentication => "phone_reauthentication",
            Purpose::Change => "phone_change",
        }
    }
}

/// One text message that is asked for, with everything that chance decides.
#[derive(Clone)]
pub struct Texting {
    letters: Arc<Letters>,
    rules: Arc<PhoneRules>,
    pub purpose: Purpose,
    channel: Channel,
    code: Secret<String>,
    now: Timestamp,
}

impl Texting {
    /// Errors: `Unexpected`, without random bytes.
    pub fn new(
        letters: &Arc<Letters>,
        rules: &Arc<PhoneRules>,
        purpose: Purpose,
        channel: Channel,
    ) -> Result<Self, Error> {
        Ok(Texting {
            letters: Arc::clone(letters),
            rules: Arc::clone(rules),
            purpose,
            channel,
            code: letters.codes.fresh(rules.code_digits)?,
            now: clock::now(),
        })
    }

    /// Keeps the code's token and puts the message into the queue. The user's row is held. A number that the settings
    /// have a code for gets no message. `is_there`: false for a number without a user.
    pub async fn send(&self, tx: &Tx, user: UserId, phone: &str, is_there: bool) -> Result<(), BackendError> {
        let (sent, token_type) = match self.purpose {
            Purpose::Confirmation => (SENT_CONFIRMATION, TokenType::Confirmation),
            Purpose::SignIn => (SENT_SIGN_IN, TokenType::Recovery),
            Purpose::Reauthentication => (SENT_REAUTHENTICATION, TokenType::Reauthentication),
            Purpose::Change => (SENT_CHANGE, TokenType::PhoneChange),
        };
        let test_code = self.rules.test_codes.get(phone);
        let code = test_code.unwrap_or_else(|| self.code.expose());
        let token = self.letters.codes.token(phone, code, Flow::Implicit);
        let digest = one_time_tokens::put(tx, user, token_type, phone, &token, self.now).await?;
        let mut values = vec![text(user), text(digest), text(self.now)];
        if self.purpose == Purpose::Change {
            values.push(text(phone));
        }
        tx.run(sent, values).await?;
        let recipient = match is_there && test_code.is_none() {
            true => phone,
            false => "",
        };
        let expires_at = self.now.checked_add(self.rules.expiry).unwrap_or(Timestamp::MAX);
        let text = Text {
            kind: self.purpose.name(),
            channel: self.channel,
            recipient,
            user,
            about: json!({"otp": code, "phone": phone}),
            body: self.rules.text.render(&json!({"Code": code}), Escape::Nothing),
            expires_at,
        };
        put_text(tx, text, self.now).await
    }
}

/// A text message, or what the project's hook is told in its place.
pub struct Text<'a> {
    /// As logs name it.
    pub kind: &'static str,
    pub channel: Channel,
    /// A number. Empty: there is nobody.
    pub recipient: &'a str,
    pub user: UserId,
    /// `sms` of the hook's protocol.
    pub about: Json,
    pub body: String,
    pub expires_at: Timestamp,
}

/// Puts it into the queue, for the hook where there is one.
pub async fn put_text(tx: &Tx, text: Text<'_>, now: Timestamp) -> Result<(), BackendError> {
    if tx.issuing().hooks().has(Point::SendSms) {
        let telling = Telling {
            point: Point::SendSms,
            kind: text.kind,
            recipient: text.recipient,
            user: text.user,
            about: Some(("sms", text.about)),
            expires_at: text.expires_at,
        };
        return hooks::tell(tx, telling, now).await;
    }
    let message = Message {
        id: Uuid::new_v4(),
        kind: text.kind.to_owned(),
        channel: text.channel,
        recipient: text.recipient.to_owned(),
        subject: String::new(),
        body: text.body,
        expires_at: text.expires_at,
    };
    super::put(tx, &message, now).await
}

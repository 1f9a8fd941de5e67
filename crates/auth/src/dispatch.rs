//! Sends what proves an address: a code and a link, made, kept and put into the queue in one transaction.
//!
//! Lives here: which token a kind of mail has, the link in it, when a user was last written to.
//! Not here: what a token is good for (`routes::verify`), handing mails over ([`messages`](crate::messages)).
//! Invariant: the same statements run for an address without a user; they write nothing but a message to nobody, which is
//! removed unsent. So neither what is answered nor how long it takes says whether there is one.

use std::sync::Arc;

use jiff::Timestamp;
use mainstay_core::clock;
use mainstay_core::error::BackendError;
use mainstay_core::secret::Secret;
use serde_json::{Map, Value as Json};
use url::form_urlencoded::byte_serialize;
use uuid::Uuid;

use crate::config::MailRules;
use crate::error::Error;
use crate::flow_state::{self, Challenge};
use crate::hooks::{self, EmailData, Point, Telling};
use crate::landing::Flow;
use crate::messages::mail::{Kind, Values};
use crate::messages::{self, Channel, Message};
use crate::one_time_tokens::{self, Codes, Token, TokenType};
use crate::sessions::Method;
use crate::store::{Tx, text};
use crate::users::{self, User, UserId};

const SENT_CONFIRMATION: &str = "UPDATE auth.users SET confirmation_token = $2::text, \
     confirmation_sent_at = $3::timestamptz, updated_at = now() WHERE id = $1::uuid";
const SENT_INVITE: &str = "UPDATE auth.users SET confirmation_token = $2::text, \
     confirmation_sent_at = $3::timestamptz, invited_at = $3::timestamptz, updated_at = now() WHERE id = $1::uuid";
const SENT_RECOVERY: &str = "UPDATE auth.users SET recovery_token = $2::text, recovery_sent_at = $3::timestamptz, \
     updated_at = now() WHERE id = $1::uuid";
const SENT_REAUTHENTICATION: &str = "UPDATE auth.users SET reauthentication_token = $2::text, \
     reauthentication_sent_at = $3::timestamptz, updated_at = now() WHERE id = $1::uuid";
const SENT_EMAIL_CHANGE: &str = "UPDATE auth.users SET email_change = $2::text, email_change_token_new = $3::text, \
     email_change_token_current = $4::text, email_change_confirm_status = 0, email_change_sent_at = $5::timestamptz, \
     updated_at = now() WHERE id = $1::uuid";

const CHANGE_ASKED: &str = "UPDATE auth.users SET email_change = $2::text, email_change_confirm_status = 0, \
     email_change_sent_at = $3::timestamptz, updated_at = now() WHERE id = $1::uuid";

/// What every mail is made with.
pub struct Letters {
    pub rules: MailRules,
    pub codes: Codes,
    /// Where links lead, such as `https://api.example.com/auth/v1`.
    pub url: String,
    pub site_url: String,
}

/// One mail that is asked for, with everything that chance decides.
#[derive(Clone)]
pub struct Dispatch {
    pub letters: Arc<Letters>,
    pub kind: Kind,
    pub redirect_to: String,
    pub challenge: Option<Challenge>,
    code: Secret<String>,
    /// For the second address of a change.
    other_code: Secret<String>,
    pub now: Timestamp,
}

/// To whom.
#[derive(Clone, Debug)]
pub struct Recipient {
    pub id: UserId,
    pub email: String,
    pub data: Map<String, Json>,
    pub is_there: bool,
}

impl Recipient {
    pub fn of(user: &User) -> Self {
        Recipient {
            id: user.id,
            email: user.email.clone(),
            data: user.user_metadata.clone(),
            is_there: true,
        }
    }

    /// Of an address that has no user, or none that is to be written to.
    pub fn nobody(email: &str) -> Self {
        Recipient {
            id: UserId(Uuid::new_v4()),
            email: email.to_owned(),
            data: Map::new(),
            is_there: false,
        }
    }
}

/// A token with the code that it was made of.
pub struct Issued {
    pub code: Secret<String>,
    pub token: Token,
}

impl Dispatch {
    /// Errors: `Unexpected`, without random bytes.
    pub fn new(
        letters: &Arc<Letters>,
        kind: Kind,
        redirect_to: String,
        challenge: Option<Challenge>,
    ) -> Result<Self, Error> {
        let code = || letters.codes.fresh(letters.rules.code_digits);
        Ok(Dispatch {
            letters: Arc::clone(letters),
            kind,
            redirect_to,
            challenge,
            code: code()?,
            other_code: code()?,
            now: clock::now(),
        })
    }

    /// The same of another kind.
    #[must_use]
    pub fn of_kind(self, kind: Kind) -> Self {
        Dispatch { kind, ..self }
    }

    fn flow(&self) -> Flow {
        match self.challenge {
            Some(_) => Flow::Pkce,
            None => Flow::Implicit,
        }
    }

    /// Keeps the token and puts the mail into the queue. The user's row is held.
    pub async fn send(&self, tx: &Tx, to: &Recipient) -> Result<(), BackendError> {
        let issued = self.issue(tx, to).await?;
        match tx.issuing().hooks().has(Point::SendEmail) {
            true => self.tell(tx, to, &to.email, &issued, None).await,
            false => self.post(tx, to, &to.email, "", &issued).await,
        }
    }

    /// Keeps a token that is sent by nobody here: whoever asked for it gets it.
    pub async fn issue(&self, tx: &Tx, to: &Recipient) -> Result<Issued, BackendError> {
        let (sent, token_type) = match self.kind {
            Kind::Confirmation => (SENT_CONFIRMATION, TokenType::Confirmation),
            Kind::Invite => (SENT_INVITE, TokenType::Confirmation),
            Kind::Recovery | Kind::MagicLink => (SENT_RECOVERY, TokenType::Recovery),
            Kind::Reauthentication => (SENT_REAUTHENTICATION, TokenType::Reauthentication),
            Kind::EmailChange => return Err(BackendError::Internal("a change of address has two tokens".into())),
        };
        self.begin_flow(tx, to.id).await?;
        let token = self.letters.codes.token(&to.email, self.code.expose(), self.flow());
        let digest = one_time_tokens::put(tx, to.id, token_type, &to.email, &token, self.now).await?;
        tx.run(sent, vec![text(to.id), text(digest), text(self.now)]).await?;
        Ok(Issued {
            code: self.code.clone(),
            token,
        })
    }

    /// Asks for consent to a new address: there, and at the address that the user has, if both are asked.
    pub async fn send_change(&self, tx: &Tx, to: &Recipient, new_email: &str) -> Result<(), BackendError> {
        let (new, current) = self.issue_change(tx, to, new_email).await?;
        if tx.issuing().hooks().has(Point::SendEmail) {
            return self.tell(tx, to, new_email, &new, current.as_ref()).await;
        }
        self.post(tx, to, new_email, new_email, &new).await?;
        match current {
            Some(current) => self.post(tx, to, &to.email, new_email, &current).await,
            None => Ok(()),
        }
    }

    /// The tokens of a change of address: the new one's, and that of the address that the user has.
    pub async fn issue_change(
        &self,
        tx: &Tx,
        to: &Recipient,
        new_email: &str,
    ) -> Result<(Issued, Option<Issued>), BackendError> {
        self.begin_flow(tx, to.id).await?;
        let codes = &self.letters.codes;
        let new = codes.token(new_email, self.code.expose(), self.flow());
        let new_digest = one_time_tokens::put(tx, to.id, TokenType::EmailChangeNew, new_email, &new, self.now).await?;
        let mut current = None;
        let mut current_digest = String::new();
        if self.letters.rules.confirms_both && !to.email.is_empty() {
            let token = codes.token(&to.email, self.other_code.expose(), self.flow());
            current_digest =
                one_time_tokens::put(tx, to.id, TokenType::EmailChangeCurrent, &to.email, &token, self.now).await?;
            current = Some(Issued {
                code: self.other_code.clone(),
                token,
            });
        } else {
            one_time_tokens::clear(tx, to.id, TokenType::EmailChangeCurrent).await?;
        }
        let values = vec![
            text(to.id),
            text(new_email),
            text(new_digest),
            text(current_digest),
            text(self.now),
        ];
        tx.run(SENT_EMAIL_CHANGE, values).await?;
        let new = Issued {
            code: self.code.clone(),
            token: new,
        };
        Ok((new, current))
    }

    /// One of the two tokens of a change of address: the new one's, or that of the address that the user has. The other
    /// stays, unless it is of another change.
    pub async fn issue_half(
        &self,
        tx: &Tx,
        user: &User,
        new_email: &str,
        is_new: bool,
    ) -> Result<Issued, BackendError> {
        let (address, token_type) = match is_new {
            true => (new_email, TokenType::EmailChangeNew),
            false => (user.email.as_str(), TokenType::EmailChangeCurrent),
        };
        if user.new_email != new_email {
            one_time_tokens::clear(tx, user.id, TokenType::EmailChangeNew).await?;
            one_time_tokens::clear(tx, user.id, TokenType::EmailChangeCurrent).await?;
        }
        let token = self.letters.codes.token(address, self.code.expose(), self.flow());
        one_time_tokens::put(tx, user.id, token_type, address, &token, self.now).await?;
        let values = vec![text(user.id), text(new_email), text(self.now)];
        tx.run(CHANGE_ASKED, values).await?;
        Ok(Issued {
            code: self.code.clone(),
            token,
        })
    }

    async fn begin_flow(&self, tx: &Tx, user: UserId) -> Result<(), BackendError> {
        match &self.challenge {
            Some(challenge) => flow_state::begin(tx, user, method(self.kind), challenge).await,
            None => Ok(()),
        }
    }

    /// Has the project send it. Of a change that both addresses are asked about it is told once.
    async fn tell(
        &self,
        tx: &Tx,
        to: &Recipient,
        address: &str,
        issued: &Issued,
        current: Option<&Issued>,
    ) -> Result<(), BackendError> {
        let mut data = EmailData {
            action: self.kind.verification(),
            site_url: &self.letters.url,
            redirect_to: &self.redirect_to,
            token: issued.code.expose(),
            token_hash: issued.token.expose(),
            ..EmailData::default()
        };
        if let Some(current) = current {
            data.token = current.code.expose();
            data.token_new = issued.code.expose();
            data.token_hash_new = current.token.expose();
        }
        let telling = Telling {
            point: Point::SendEmail,
            kind: self.kind.name(),
            recipient: if to.is_there { address } else { "" },
            user: to.id,
            about: Some(("email_data", data.json())),
            expires_at: self.expires_at(),
        };
        hooks::tell(tx, telling, self.now).await
    }

    /// When what it proves ends.
    fn expires_at(&self) -> Timestamp {
        self.now
            .checked_add(self.letters.rules.expiry)
            .unwrap_or(Timestamp::MAX)
    }

    async fn post(
        &self,
        tx: &Tx,
        to: &Recipient,
        address: &str,
        new_email: &str,
        issued: &Issued,
    ) -> Result<(), BackendError> {
        let letters = &self.letters;
        let link = letters.link(self.kind.verification(), &issued.token, &self.redirect_to);
        let (subject, body) = letters.rules.texts.compose(
            self.kind,
            &Values {
                site_url: &letters.site_url,
                confirmation_url: &link,
                redirect_to: &self.redirect_to,
                code: issued.code.expose(),
                token: issued.token.expose(),
                email: &to.email,
                new_email,
                sending_to: address,
                data: &to.data,
            },
        );
        let message = Message {
            id: Uuid::new_v4(),
            kind: self.kind.name().to_owned(),
            channel: Channel::Mail,
            recipient: if to.is_there { address.to_owned() } else { String::new() },
            subject,
            body,
            expires_at: self.expires_at(),
        };
        messages::put(tx, &message, self.now).await
    }
}

impl Letters {
    /// The link of a token.
    pub fn link(&self, verification: &str, token: &Token, redirect_to: &str) -> String {
        let encoded = |text: &str| byte_serialize(text.as_bytes()).collect::<String>();
        format!(
            "{}/verify?token={}&type={verification}&redirect_to={}",
            self.url,
            encoded(token.expose()),
            encoded(redirect_to)
        )
    }

    /// True if the user was written to so lately that another mail is to wait.
    pub fn is_early(&self, sent_at: Option<Timestamp>, now: Timestamp) -> bool {
        sent_at.is_some_and(|sent| now.duration_since(sent) < self.rules.pause)
    }
}

/// The way of signing in that a mail's flow ends in.
pub fn method(kind: Kind) -> Method {
    match kind {
        Kind::Confirmation => Method::EmailSignup,
        Kind::Invite => Method::Invite,
        Kind::Recovery => Method::Recovery,
        Kind::MagicLink => Method::MagicLink,
        Kind::EmailChange => Method::EmailChange,
        Kind::Reauthentication => Method::Otp,
    }
}

/// When the user was last sent a mail of the kind.
pub fn sent_at(user: &User, kind: Kind) -> Option<Timestamp> {
    match kind {
        Kind::Confirmation | Kind::Invite => user.confirmation_sent_at,
        Kind::Recovery | Kind::MagicLink => user.recovery_sent_at,
        Kind::EmailChange => user.email_change_sent_at,
        Kind::Reauthentication => user.reauthentication_sent_at,
    }
}

/// Sends a mail of the kind to an address, if it has a user who is to get one; the address of nobody takes as long.
///
/// `chosen` looks at the user, once the row is held, and says which kind is right. `None`: there is nothing to send.
pub async fn to_address(
    tx: &Tx,
    dispatch: &Dispatch,
    user: Option<UserId>,
    email: &str,
    chosen: impl Fn(&User) -> Option<Kind>,
) -> Result<(), BackendError> {
    let nobody = Recipient::nobody(email);
    let id = user.unwrap_or(nobody.id);
    let found = users::lock(tx, id).await?.filter(|user| user.deleted_at.is_none());
    let kind = found.as_ref().and_then(&chosen);
    match (found, kind) {
        (Some(user), Some(kind)) if !dispatch.letters.is_early(sent_at(&user, kind), dispatch.now) => {
            dispatch.clone().of_kind(kind).send(tx, &Recipient::of(&user)).await
        }
        _ => dispatch.send(tx, &nobody).await,
    }
}

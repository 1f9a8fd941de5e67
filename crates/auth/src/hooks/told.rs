//! `send_email`, `send_sms` and `after_user_created`: hooks that are told of something that has happened.
//!
//! What they are told is a message like any other: it is written in the transaction of what it tells of, waits in the
//! queue, and is handed over again until the hook has taken it. No client waits meanwhile, so neither an answer nor its
//! time says whether there was anybody to write to.
//! Not here: the queue (`messages`), what a mail is about (`dispatch`).
//!
//! Source: Supabase Auth, "Send Email Hook", "Send SMS Hook", "After User Created Hook".

use jiff::{SignedDuration, Timestamp};
use mainstay_core::backend::BoxFuture;
use mainstay_core::clock;
use mainstay_core::error::BackendError;
use mainstay_http::Outgoing;
use serde_json::{Map, Value as Json, json};
use uuid::Uuid;

use super::{Hook, HookError, Object, Point, with_metadata};
use crate::messages::delivery::{Delivery, Undelivered};
use crate::messages::{self, Channel, Message};
use crate::store::{Store, Tx};
use crate::users::{self, UserId};
use crate::{factors, identities};

/// How long a hook may be away and is told of a new user all the same.
const NEW_USER_KEPT: SignedDuration = SignedDuration::from_hours(7 * 24);

/// What a hook is to be told.
#[derive(Clone, Debug)]
pub struct Telling<'a> {
    pub point: Point,
    /// What it is about, for logs.
    pub kind: &'a str,
    /// Address or number. Empty: there is nobody, and nothing is told.
    pub recipient: &'a str,
    pub user: UserId,
    /// Name and value of what the hook is told beside the user.
    pub about: Option<(&'static str, Json)>,
    pub expires_at: Timestamp,
}

/// Puts it into the queue; the user is shown as it stands in the transaction.
pub async fn tell(tx: &Tx, telling: Telling<'_>, now: Timestamp) -> Result<(), BackendError> {
    let user = match users::profile_in(tx, telling.user).await? {
        Some(profile) => profile.json(),
        None => {
            // What is read of somebody, so that nobody takes as long.
            identities::of_user_in(tx, telling.user).await?;
            factors::of_user_in(tx, telling.user).await?;
            Json::Null
        }
    };
    let mut event = Map::from_iter([("user".to_owned(), user)]);
    event.extend(telling.about.map(|(name, value)| (name.to_owned(), value)));
    let message = Message {
        id: Uuid::new_v4(),
        kind: telling.kind.to_owned(),
        channel: Channel::Hook(telling.point),
        recipient: telling.recipient.to_owned(),
        subject: String::new(),
        body: Json::Object(with_metadata(telling.point, tx.asked(), event)).to_string(),
        expires_at: telling.expires_at,
    };
    messages::put(tx, &message, now).await
}

/// Tells the project, if it wants to know, that there is a new user. Every way to become one ends here, in the
/// transaction that makes the user; users whom an administrator makes or imports are not told of.
pub async fn user_created(tx: &Tx, user: UserId) -> Result<(), BackendError> {
    let point = Point::AfterUserCreated;
    if !tx.issuing().hooks().has(point) {
        return Ok(());
    }
    let now = clock::now();
    let telling = Telling {
        point,
        kind: point.setting(),
        recipient: &user.to_string(),
        user,
        about: None,
        expires_at: now.checked_add(NEW_USER_KEPT).unwrap_or(Timestamp::MAX),
    };
    tell(tx, telling, now).await
}

/// What a mail has to prove, or tells of: `email_data` of the protocol. What it has nothing of is empty.
#[derive(Clone, Copy, Debug, Default)]
pub struct EmailData<'a> {
    pub action: &'a str,
    pub site_url: &'a str,
    pub redirect_to: &'a str,
    pub token: &'a str,
    pub token_hash: &'a str,
    /// Of a change that both addresses are asked about: the code for the new one; `token` is for the old one.
    pub token_new: &'a str,
    /// Belongs to `token`, and `token_hash` to `token_new`: the protocol has it crosswise.
    pub token_hash_new: &'a str,
    /// Of notices.
    pub old_email: &'a str,
    pub old_phone: &'a str,
    pub provider: &'a str,
    pub factor_type: &'a str,
}

impl EmailData<'_> {
    pub fn json(&self) -> Json {
        json!({
            "token": self.token,
            "token_hash": self.token_hash,
            "redirect_to": self.redirect_to,
            "email_action_type": self.action,
            "site_url": self.site_url,
            "token_new": self.token_new,
            "token_hash_new": self.token_hash_new,
            "old_email": self.old_email,
            "old_phone": self.old_phone,
            "provider": self.provider,
            "factor_type": self.factor_type,
        })
    }
}

/// Hands over what hooks are to be told.
pub struct Teller {
    pub store: Store,
    pub outgoing: Outgoing,
}

impl Teller {
    async fn told(&self, point: Point, message: &Message) -> Result<(), HookError> {
        let event: Object = serde_json::from_str(&message.body)
            .map_err(|_| HookError::BadAnswer("what the hook was to be told is broken".into()))?;
        match self.store.issuing().hooks().0.get(&point) {
            Some(Hook::Function(function)) => function.call_alone(&self.store, event).await.map(drop),
            Some(Hook::Web(web)) => web.call(&self.outgoing, message.id, &event).await.map(drop),
            // It was switched off meanwhile, and may be switched on again.
            None => Err(HookError::Unavailable),
        }
    }
}

impl Delivery for Teller {
    fn deliver<'a>(&'a self, message: &'a Message) -> BoxFuture<'a, Result<(), Undelivered>> {
        Box::pin(async move {
            let Channel::Hook(point) = message.channel else {
                return Err(Undelivered::Never("no hook takes messages of its channel".into()));
            };
            self.told(point, message).await.map_err(|error| {
                // The postman logs it.
                let reason = format!("hook {}: {}", point.setting(), error.logged());
                match error.is_final() {
                    true => Undelivered::Never(reason),
                    false => Undelivered::Later(reason),
                }
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn email_data_has_every_member_of_the_protocol() {
        let data = EmailData {
            action: "email_change",
            token: "111111",
            token_new: "222222",
            ..EmailData::default()
        };
        let json = data.json();
        let members: Vec<&str> = json.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(members.len(), 11, "{members:?}");
        assert!(json.as_object().unwrap().values().all(Json::is_string));
        assert_eq!(
            (&json["token"], &json["token_new"]),
            (&json!("111111"), &json!("222222"))
        );
    }
}

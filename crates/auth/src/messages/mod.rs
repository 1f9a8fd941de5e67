//! Mails and text messages: what they say, and the queue that they wait in.
//!
//! A message is a row of `_mainstay.messages`, written in the transaction of what it tells of: what is rolled back is told
//! to nobody, and what was acknowledged is told even if the process ends in that moment. [`postman`] hands messages over.
//!
//! | module | what |
//! |---|---|
//! | [`mail`] | kinds of mails, their texts |
//! | [`notices`] | mails that tell of a change of the account |
//! | [`texts`] | codes by text message |
//! | [`template`] | the language of the texts |
//! | [`lane`] | messages that wait for each other, and for no others |
//! | [`postman`] | the queue's other end: tries, and tries again |
//! | [`delivery`] | who takes a message: an SMTP server ([`smtp`]), a sender of text messages ([`twilio`]), the catcher, a hook |

pub mod catcher;
pub mod delivery;
pub mod lane;
pub mod mail;
pub mod notices;
pub mod postman;
pub mod smtp;
pub mod template;
pub mod texts;
pub mod twilio;

use jiff::Timestamp;
use mainstay_core::error::BackendError;
use uuid::Uuid;

use crate::hooks::Point;
use crate::store::{Tx, text};

const INSERT: &str = "INSERT INTO _mainstay.messages (id, kind, channel, recipient, subject, body, attempts, due_at, \
     expires_at) VALUES ($1::uuid, $2::text, $3::text, $4::text, $5::text, $6::text, 0, $7::timestamptz, \
     $8::timestamptz)";

/// The way a message takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Channel {
    Mail,
    Sms,
    WhatsApp,
    /// To the project itself: the body is the event that the hook is told.
    Hook(Point),
}

impl Channel {
    pub fn name(self) -> &'static str {
        match self {
            Channel::Mail => "mail",
            Channel::Sms => "sms",
            Channel::WhatsApp => "whatsapp",
            Channel::Hook(point) => point.setting(),
        }
    }

    /// All that there are.
    pub fn all() -> impl Iterator<Item = Self> {
        let ours = [Channel::Mail, Channel::Sms, Channel::WhatsApp];
        ours.into_iter().chain(Point::TOLD.map(Channel::Hook))
    }

    pub fn of_name(name: &str) -> Option<Self> {
        Channel::all().find(|channel| channel.name() == name)
    }
}

/// A message that is to be sent. Its text holds what proves an address, so it is shown nowhere.
#[derive(Clone)]
pub struct Message {
    pub id: Uuid,
    /// What it is about, for logs.
    pub kind: String,
    pub channel: Channel,
    /// Empty: there is nobody, and all that is left to do is to remove it.
    pub recipient: String,
    pub subject: String,
    /// A page for mails, JSON for hooks, text for others.
    pub body: String,
    /// After this it says nothing that still holds.
    pub expires_at: Timestamp,
}

impl std::fmt::Debug for Message {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Message")
            .field("kind", &self.kind)
            .field("channel", &self.channel)
            .finish_non_exhaustive()
    }
}

/// Puts a message into the queue. The postman is woken when the transaction has ended.
pub async fn put(tx: &Tx, message: &Message, now: Timestamp) -> Result<(), BackendError> {
    let values = vec![
        text(message.id),
        text(&message.kind),
        text(message.channel.name()),
        text(&message.recipient),
        text(&message.subject),
        text(&message.body),
        text(now),
        text(message.expires_at),
    ];
    tx.run(INSERT, values).await?;
    tx.posted(message.channel);
    Ok(())
}

//! Sends text messages by an HTTP interface of Twilio's kind.
//!
//! Source: Twilio, "Messages resource", version 2010-04-01.

use mainstay_core::backend::BoxFuture;
use mainstay_core::secret::Secret;
use mainstay_http::outgoing::{Call, Outgoing};
use serde_json::Value as Json;

use super::delivery::{Delivery, Undelivered};
use super::{Channel, Message};

/// Where messages are sent, unless the settings say otherwise.
pub const URL: &str = "https://api.twilio.com";

/// The account that sends.
#[derive(Clone, Debug)]
pub struct Settings {
    pub url: String,
    pub account: String,
    pub token: Secret<String>,
    /// A number, or a messaging service's id.
    pub sender: String,
}

/// Sends text messages.
pub struct Twilio {
    settings: Settings,
    outgoing: Outgoing,
}

impl Twilio {
    pub fn new(settings: Settings, outgoing: Outgoing) -> Self {
        Twilio { settings, outgoing }
    }
}

impl Delivery for Twilio {
    fn deliver<'a>(&'a self, message: &'a Message) -> BoxFuture<'a, Result<(), Undelivered>> {
        Box::pin(async move {
            let settings = &self.settings;
            let (mut to, mut sender) = (format!("+{}", message.recipient), settings.sender.clone());
            if message.channel == Channel::WhatsApp {
                to = format!("whatsapp:{to}");
                if !sender.starts_with("MG") {
                    sender = format!("whatsapp:{sender}");
                }
            }
            let from = if sender.starts_with("MG") {
                "MessagingServiceSid"
            } else {
                "From"
            };
            let url = format!(
                "{}/2010-04-01/Accounts/{}/Messages.json",
                settings.url.trim_end_matches('/'),
                settings.account
            );
            let call = Call::post_form(&url, &[("To", &to), (from, &sender), ("Body", &message.body)])
                .basic(&settings.account, &settings.token);
            let reply = self
                .outgoing
                .send(call)
                .await
                .map_err(|error| Undelivered::Later(error.to_string()))?;
            // Of its answer no more than numbers is told: its texts repeat the number.
            let code = reply.json::<Json>().ok().and_then(|body| body["code"].as_i64());
            let reason = match code {
                Some(code) => format!(
                    "the sender of text messages answered {} ({code})",
                    reply.status.as_u16()
                ),
                None => format!("the sender of text messages answered {}", reply.status.as_u16()),
            };
            match reply.status.as_u16() {
                200..=299 => Ok(()),
                // Credentials may be mended, and too many requests wait.
                401 | 403 | 408 | 429 | 500.. => Err(Undelivered::Later(reason)),
                _ => Err(Undelivered::Never(reason)),
            }
        })
    }
}

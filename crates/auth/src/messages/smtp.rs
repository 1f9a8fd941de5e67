//! Sends mails by SMTP.
//!
//! The connection is encrypted, from its beginning on port 465 and by STARTTLS on others, unless the settings or a server
//! on this very machine do without. Header fields are built from typed parts: no text of a user's begins a line of its own.
//!
//! Source: RFC 5321, RFC 8314, RFC 3834 (`Auto-Submitted`).

use std::time::Duration;

use lettre::message::header::{ContentType, HeaderName, HeaderValue};
use lettre::message::{Mailbox, MultiPart, SinglePart};
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Tls, TlsParameters};
use lettre::{Address, AsyncSmtpTransport, AsyncTransport, Tokio1Executor};
use mainstay_core::backend::BoxFuture;
use mainstay_core::secret::Secret;

use super::Message;
use super::delivery::{Delivery, Undelivered};

/// The port whose connections are encrypted from their beginning.
const IMPLICIT_TLS_PORT: u16 = 465;
/// How long one command may take.
const COMMAND_MAX: Duration = Duration::from_secs(20);

/// The server that takes mails.
#[derive(Clone, Debug)]
pub struct Settings {
    pub host: String,
    pub port: u16,
    pub user: Option<String>,
    pub password: Option<Secret<String>>,
    /// The address that mails come from.
    pub sender: String,
    pub sender_name: Option<String>,
    pub encryption: Encryption,
}

/// Whether the connection must be encrypted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encryption {
    Required,
    /// If the server offers it.
    Optional,
}

/// Sends mails.
pub struct Smtp {
    transport: AsyncSmtpTransport<Tokio1Executor>,
    sender: Mailbox,
}

impl Smtp {
    /// Errors: a setting that cannot be used, for an operator.
    pub fn new(settings: &Settings) -> Result<Self, String> {
        let address: Address = settings
            .sender
            .parse()
            .map_err(|error| format!("`admin_email` is no address: {error}"))?;
        let tls = || TlsParameters::new(settings.host.clone()).map_err(|error| format!("TLS cannot be used: {error}"));
        let is_here = matches!(settings.host.as_str(), "localhost" | "127.0.0.1" | "::1");
        let tls = match settings.encryption {
            _ if settings.port == IMPLICIT_TLS_PORT => Tls::Wrapper(tls()?),
            Encryption::Required if !is_here => Tls::Required(tls()?),
            _ => Tls::Opportunistic(tls()?),
        };
        let mut transport = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(&settings.host)
            .port(settings.port)
            .tls(tls)
            .timeout(Some(COMMAND_MAX));
        if let (Some(user), Some(password)) = (&settings.user, &settings.password) {
            transport = transport.credentials(Credentials::new(user.clone(), password.expose().clone()));
        }
        Ok(Smtp {
            transport: transport.build(),
            sender: Mailbox::new(settings.sender_name.clone(), address),
        })
    }

    fn compose(&self, message: &Message) -> Result<lettre::Message, String> {
        let to: Address = message
            .recipient
            .parse()
            .map_err(|_| "the recipient's address cannot be written in a mail".to_owned())?;
        let part = |kind, text: String| SinglePart::builder().header(kind).body(text);
        lettre::Message::builder()
            .from(self.sender.clone())
            .to(Mailbox::new(None, to))
            .subject(message.subject.as_str())
            .date_now()
            .message_id(None)
            .raw_header(HeaderValue::new(
                HeaderName::new_from_ascii_str("Auto-Submitted"),
                "auto-generated".into(),
            ))
            .multipart(
                MultiPart::alternative()
                    .singlepart(part(ContentType::TEXT_PLAIN, super::mail::plain(&message.body)))
                    .singlepart(part(ContentType::TEXT_HTML, message.body.clone())),
            )
            .map_err(|error| format!("the mail cannot be written: {error}"))
    }
}

impl Delivery for Smtp {
    fn deliver<'a>(&'a self, message: &'a Message) -> BoxFuture<'a, Result<(), Undelivered>> {
        Box::pin(async move {
            let composed = self.compose(message).map_err(Undelivered::Never)?;
            match self.transport.send(composed).await {
                Ok(_) => Ok(()),
                // 5yz of RFC 5321 §4.2.1: the same again comes to the same.
                Err(error) if error.is_permanent() => Err(Undelivered::Never(reason(&error))),
                Err(error) => Err(Undelivered::Later(reason(&error))),
            }
        })
    }
}

/// What the server said: its code. Its text may repeat the address.
fn reason(error: &lettre::transport::smtp::Error) -> String {
    match error.status() {
        Some(code) => format!("the mail server answered {code}"),
        None if error.is_timeout() => "the mail server does not answer in time".into(),
        None if error.is_tls() => format!("no encrypted connection with the mail server: {error}"),
        None => format!("no connection with the mail server: {error}"),
    }
}

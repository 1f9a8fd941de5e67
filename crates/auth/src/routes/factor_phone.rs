//! Phone factors: a number that codes are sent to, as a second factor.
//!
//! A challenge has a code of its own, of which a digest is kept with it. How often a code may be guessed is counted with
//! the answers of all other factors (`factors::attempts`).

use http::StatusCode;
use jiff::Timestamp;
use mainstay_core::clock;
use mainstay_core::secret::Secret;
use mainstay_core::transaction::Decision;
use mainstay_http::{Request, Response};
use serde_json::json;
use uuid::Uuid;

use super::factor_answers::challenged;
use super::factors::Outcome;
use super::phone;
use crate::config::CHALLENGE_LIFETIME;
use crate::error::{Error, MfaError};
use crate::factors::{Factor, NewFactor, challenges};
use crate::messages::Channel;
use crate::messages::template::Escape;
use crate::messages::texts::{self, Text};
use crate::request::{self, ChallengeBody};
use crate::response;
use crate::room::AuthRoom;
use crate::sessions::Client;
use crate::store::Tx;
use crate::users;

/// What logs and limits call its messages.
const KIND: &str = "phone_factor";

/// The number that a body names. Errors: `Validation`.
pub fn number(text: &str) -> Result<String, Error> {
    match text.is_empty() {
        true => Err(Error::Validation("Phone number required to enroll Phone factor".into())),
        false => request::phone(text),
    }
}

/// The answer to an enrolment; `sent` is the number as it was sent.
pub fn enrolled(factor: &NewFactor, sent: &str) -> Response {
    let body = json!({
        "id": factor.id.to_string(),
        "type": factor.kind.name(),
        "friendly_name": factor.name,
        "phone": sent,
    });
    response::json(StatusCode::OK, &body)
}

/// A code that is about to be sent.
#[derive(Clone)]
struct Sending {
    factor: Factor,
    challenge: Uuid,
    code: Secret<String>,
    /// As the code is kept.
    digest: String,
    channel: Channel,
    /// What the message says.
    body: String,
    pause: jiff::SignedDuration,
    client: Client,
    now: Timestamp,
}

/// `POST /factors/{id}/challenge` of a phone factor: sends a code.
pub async fn challenge(room: &AuthRoom, factor: Factor, request: &Request, client: &Client) -> Result<Response, Error> {
    let body: ChallengeBody = request::body(request)?;
    let channel = phone::channel(&body.channel)?;
    room.needs_texts("a text message")?;
    let codes = &room.config.mfa.phone_codes;
    room.limits.factor_text(client, KIND, &factor.phone, codes.pause)?;
    let (challenge, code) = (Uuid::new_v4(), room.letters.codes.fresh(codes.digits)?);
    let sending = Sending {
        digest: room.letters.codes.digest_of(&challenge.to_string(), code.expose()),
        body: codes.text.render(&json!({"Code": code.expose()}), Escape::Nothing),
        factor,
        challenge,
        code,
        channel,
        pause: codes.pause,
        client: client.clone(),
        now: clock::now(),
    };
    let kind = sending.factor.kind;
    let expires_at = room
        .store
        .transact(move |tx| send(tx, sending.clone()))
        .await
        .map_err(|error| Error::of_database("Database error creating challenge", error))??;
    let body = json!({"id": challenge.to_string(), "type": kind.name(), "expires_at": expires_at});
    Ok(response::json(StatusCode::OK, &body))
}

/// Challenge, digest and message, all or nothing.
async fn send(tx: Tx, sending: Sending) -> Outcome<i64> {
    let (factor, now) = (&sending.factor, sending.now);
    let refused = |error| Ok(Decision::Rollback(Err(error)));
    users::lock(&tx, factor.user).await?;
    let known = crate::factors::of_user_in(&tx, factor.user).await?;
    let Some(factor) = known.iter().find(|known| known.id == factor.id) else {
        return refused(MfaError::FactorNotFound.into());
    };
    // What this process has not counted: another one's messages, and those before a restart.
    if let Some(wait) = factor.wait_for_code(sending.pause, now) {
        return refused(Error::TextTooEarly { retry_seconds: wait });
    }
    let expires = challenged(&tx, factor, sending.challenge, sending.client.address, now).await?;
    challenges::keep_code(&tx, sending.challenge, &sending.digest).await?;
    let expires_at = now.checked_add(CHALLENGE_LIFETIME).unwrap_or(Timestamp::MAX);
    let text = Text {
        kind: KIND,
        channel: sending.channel,
        recipient: &factor.phone,
        user: factor.user,
        about: json!({"otp": sending.code.expose(), "sms_type": "mfa", "phone": factor.phone}),
        body: sending.body,
        expires_at,
    };
    texts::put_text(&tx, text, now).await?;
    Ok(Decision::Commit(Ok(expires)))
}

//! Hooks by HTTP: the event is posted, signed as Standard Webhooks has it, and the answer is the hook's.
//!
//! Source: Standard Webhooks specification 1.0 (headers, `v1` signatures); Supabase Auth, "Auth Hooks" (statuses).

use std::time::{Duration, Instant};

use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderName, StatusCode, header};
use mainstay_core::clock;
use mainstay_core::secret::Secret;
use mainstay_http::Outgoing;
use mainstay_http::outgoing::{Call, OutgoingError, Reply};
use serde_json::Value as Json;
use uuid::Uuid;

use super::{ANSWER_BYTES_MAX, HookError, Object};

/// How long a hook may take, all attempts together.
const TIME_MAX: Duration = Duration::from_secs(5);
/// Attempts, where the hook cannot be reached or asks to come again.
const ATTEMPTS: u32 = 3;
/// Between two of them.
const PAUSE: Duration = Duration::from_millis(500);

const ID: HeaderName = HeaderName::from_static("webhook-id");
const TIMESTAMP: HeaderName = HeaderName::from_static("webhook-timestamp");
const SIGNATURE: HeaderName = HeaderName::from_static("webhook-signature");

/// What a secret's text begins with.
const SECRET_PREFIX: &str = "v1,whsec_";
/// Bytes of a secret: what the specification recommends.
const SECRET_BYTES: std::ops::RangeInclusive<usize> = 24..=64;

/// A hook that is asked by HTTP.
#[derive(Clone, Debug)]
pub struct Web {
    url: String,
    /// The first is in force; the others are those before it.
    secrets: Vec<Secret<Vec<u8>>>,
}

impl Web {
    /// Reads a URL and its secrets, `v1,whsec_<base64>` with `|` between them. Errors: what is wrong, without a secret.
    pub fn new(url: &str, secrets: &str) -> Result<Self, String> {
        let mut read = Vec::new();
        for text in secrets.split('|').map(str::trim).filter(|text| !text.is_empty()) {
            let bytes = text
                .strip_prefix(SECRET_PREFIX)
                .and_then(|text| STANDARD.decode(text).ok());
            match bytes.filter(|bytes| SECRET_BYTES.contains(&bytes.len())) {
                Some(bytes) => read.push(Secret::new(bytes)),
                None => return Err(format!("a secret is {SECRET_PREFIX} and 24 to 64 bytes in base64")),
            }
        }
        match read.is_empty() {
            true => Err("a hook by HTTP needs `secrets`, with which it is signed".into()),
            false => Ok(Web {
                url: url.to_owned(),
                secrets: read,
            }),
        }
    }

    /// Asks. Nothing but an answer of the hook is taken for one. `id`: all attempts with one are one message, so that
    /// whoever has it already knows.
    pub(super) async fn call(&self, outgoing: &Outgoing, id: Uuid, event: &Object) -> Result<Object, HookError> {
        let (body, id) = (Json::Object(event.clone()).to_string(), id.to_string());
        let begun = Instant::now();
        let mut failed = HookError::OutOfTime;
        for attempt in 0..ATTEMPTS {
            if attempt > 0 {
                tokio::time::sleep(PAUSE).await;
            }
            let left = TIME_MAX.saturating_sub(begun.elapsed());
            if left.is_zero() {
                break;
            }
            match outgoing
                .send(self.signed(&id, clock::now().as_second(), &body).within(left))
                .await
            {
                Ok(reply) if wants_another(&reply) => failed = HookError::Unavailable,
                Ok(reply) => return read(&reply),
                Err(OutgoingError::TooLarge { .. }) => return Err(HookError::TooLarge),
                Err(OutgoingError::OutOfTime) => break,
                Err(error) => {
                    failed = HookError::OutOfAttempts {
                        reason: error.to_string(),
                    }
                }
            }
        }
        Err(failed)
    }

    fn signed(&self, id: &str, now: i64, body: &str) -> Call {
        let signatures: Vec<String> = self.secrets.iter().map(|secret| sign(secret, id, now, body)).collect();
        Call::new(http::Method::POST, &self.url)
            .header(header::CONTENT_TYPE, "application/json")
            .header(header::ACCEPT, "application/json")
            .header(ID, id)
            .header(TIMESTAMP, &now.to_string())
            .header(SIGNATURE, &signatures.join(" "))
            .at_most(ANSWER_BYTES_MAX)
            .body(body.to_owned())
    }

    /// Logs what came of asking it.
    pub(super) fn log(&self, error: &HookError) {
        tracing::error!(hook = self.url, reason = error.logged(), "auth: a hook failed");
    }
}

/// One `v1` signature: HMAC-SHA256 of id, time and body.
fn sign(secret: &Secret<Vec<u8>>, id: &str, now: i64, body: &str) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.expose());
    let tag = hmac::sign(&key, format!("{id}.{now}.{body}").as_bytes());
    format!("v1,{}", STANDARD.encode(tag.as_ref()))
}

/// The hook is busy, and says when it will not be.
fn wants_another(reply: &Reply) -> bool {
    matches!(
        reply.status,
        StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE
    ) && reply.headers.contains_key(header::RETRY_AFTER)
}

fn read(reply: &Reply) -> Result<Object, HookError> {
    let refused = |text: &str| {
        Err(HookError::BadStatus {
            status: reply.status,
            message: text.into(),
        })
    };
    match reply.status {
        StatusCode::NO_CONTENT => return Ok(Object::new()),
        StatusCode::OK | StatusCode::ACCEPTED => {}
        StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => return Err(HookError::Unavailable),
        StatusCode::BAD_REQUEST => return refused("Invalid payload sent to hook"),
        StatusCode::UNAUTHORIZED => return refused("Hook requires authorization token"),
        other => {
            return refused(&format!(
                "Unexpected status code returned from hook: {}",
                other.as_u16()
            ));
        }
    }
    let media = reply
        .headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok());
    let media = media.unwrap_or_default().split(';').next().unwrap_or_default().trim();
    if !media.eq_ignore_ascii_case("application/json") {
        return Err(HookError::NotJson);
    }
    super::answer(std::str::from_utf8(&reply.body).unwrap_or("not UTF-8"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_is_the_one_of_the_specification() {
        // The example of the specification's own libraries.
        let secret = Secret::new(STANDARD.decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap());
        let signature = sign(
            &secret,
            "msg_p5jXN8AQM9LWM0D4loKWxJek",
            1_614_265_330,
            r#"{"test": 2432232314}"#,
        );
        assert_eq!(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn secrets_are_read_and_never_told() {
        let good = "v1,whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
        assert_eq!(Web::new("https://a.example", good).unwrap().secrets.len(), 1);
        assert_eq!(
            Web::new("https://a.example", &format!("{good}|{good}"))
                .unwrap()
                .secrets
                .len(),
            2
        );
        for bad in [
            "",
            "|",
            "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
            "v1,whsec_abc",
            "v1,whsec_MfKQ",
            &format!("{good}|x"),
        ] {
            let error = Web::new("https://a.example", bad).unwrap_err();
            assert!(!error.contains("MfKQ"), "{error}");
        }
    }
}

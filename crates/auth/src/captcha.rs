//! Captchas: whether somebody who signs up, signs in by password or has a message sent is a person.
//!
//! The client's widget makes a token, which stands in the body as `gotrue_meta_security.captcha_token`; the service
//! says whether it is good, once. Whoever has the secret key is not asked.
//!
//! Source: Cloudflare Turnstile and hCaptcha, "Verify the response server side".

use std::time::Duration;

use mainstay_core::secret::Secret;
use mainstay_http::outgoing::Call;
use mainstay_http::{Outgoing, Request};
use serde::Deserialize;

use crate::asked::Asked;
use crate::error::Error;
use crate::request;

/// How long the service may take.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(10);
/// Bytes of its answer.
const ANSWER_BYTES_MAX: usize = 64 * 1024;
/// Bytes of a token, at most.
const TOKEN_BYTES_MAX: usize = 8 * 1024;
/// Reasons of the service that are told.
const REASONS_MAX: usize = 4;

/// The service that is asked.
#[derive(Clone, Debug)]
pub struct Captcha {
    /// Where it verifies.
    pub url: String,
    pub secret: Secret<String>,
}

impl Captcha {
    /// Where the provider of this name verifies; `None` for a name that nobody knows.
    pub fn url_of(provider: &str) -> Option<&'static str> {
        match provider {
            "hcaptcha" => Some("https://hcaptcha.com/siteverify"),
            "turnstile" => Some("https://challenges.cloudflare.com/turnstile/v0/siteverify"),
            _ => None,
        }
    }

    /// Asks about the request's token. Errors: `CaptchaFailed`; `CaptchaUnknown` if the service does not answer.
    pub async fn check(&self, request: &Request, outgoing: &Outgoing) -> Result<(), Error> {
        let body: Body = request::body(request)?;
        let token = body
            .gotrue_meta_security
            .unwrap_or_default()
            .captcha_token
            .unwrap_or_default();
        let token = token.trim();
        if token.is_empty() {
            return Err(Error::CaptchaFailed("no captcha_token found".into()));
        }
        if token.len() > TOKEN_BYTES_MAX {
            return Err(Error::CaptchaFailed("the captcha_token is too long".into()));
        }
        let address = Asked::now().address_text();
        let form = [
            ("secret", self.secret.expose().as_str()),
            ("response", token),
            ("remoteip", address.as_str()),
        ];
        let call = Call::post_form(&self.url, &form)
            .within(ANSWER_TIME_MAX)
            .at_most(ANSWER_BYTES_MAX);
        let verdict: Verdict = match outgoing.send(call).await.and_then(|reply| reply.json()) {
            Ok(verdict) => verdict,
            Err(error) => {
                tracing::error!(%error, "auth: the captcha's service does not answer");
                return Err(Error::CaptchaUnknown);
            }
        };
        match verdict.success {
            true => Ok(()),
            false => Err(Error::CaptchaFailed(told(&verdict.error_codes))),
        }
    }
}

/// The service's reasons, as far as they look like such.
fn told(reasons: &[String]) -> String {
    let is_reason = |reason: &&String| {
        reason.len() <= 64
            && reason
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
    };
    let reasons: Vec<&str> = reasons
        .iter()
        .filter(is_reason)
        .take(REASONS_MAX)
        .map(String::as_str)
        .collect();
    reasons.join(", ")
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Body {
    gotrue_meta_security: Option<Security>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Security {
    captcha_token: Option<String>,
}

/// What the service says; a success that is missing is none.
#[derive(Deserialize)]
struct Verdict {
    #[serde(default)]
    success: bool,
    #[serde(default, rename = "error-codes")]
    error_codes: Vec<String>,
}

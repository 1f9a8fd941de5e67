//! What OpenID Connect issuers publish: their endpoints, and the keys that their tokens are signed with.
//!
//! Read when it is first needed, kept for an hour; keys are read again when a token names one that is not among them,
//! but not more often than once a minute: strangers can make up names.
//! Invariant: what is kept under an issuer's name was published by that issuer, and says so itself.
//!
//! Source: OpenID Connect Discovery 1.0 §4; RFC 8414.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde::Deserialize;
use serde_json::Value as Json;

use crate::error::TokenError;
use crate::outgoing::{Call, Outgoing, OutgoingError};
use crate::token::{Verified, Verifier};

/// How long what was published is taken to hold.
const KEPT: Duration = Duration::from_secs(3600);
/// How long it is used on while the issuer cannot be reached.
const KEPT_UNREACHED: Duration = Duration::from_secs(24 * 3600);
/// The shortest time between two looks at an issuer.
const LOOKED_AGAIN: Duration = Duration::from_secs(60);
/// Bytes of a published document.
const DOCUMENT_BYTES_MAX: usize = 256 * 1024;
/// Issuers that are kept.
const ISSUERS_MAX: usize = 200;

/// Why an issuer cannot be used. For the log: callers learn that it could not.
#[derive(Clone, Debug, thiserror::Error)]
pub enum IssuerError {
    #[error("its description could not be read: {0}")]
    Description(#[source] OutgoingError),
    #[error("its description was answered with {0}")]
    Status(u16),
    #[error("its description is that of `{0}`")]
    Other(String),
    #[error("its keys could not be read: {0}")]
    Keys(#[source] OutgoingError),
    #[error("its keys cannot be used: {0}")]
    BadKeys(String),
    #[error("it was looked at a moment ago, in vain")]
    TooSoon,
    #[error("the token does not hold: {0}")]
    Token(String),
}

/// The members of a description that are used.
#[derive(Clone, Debug, Deserialize)]
pub struct Metadata {
    pub issuer: String,
    #[serde(default)]
    pub authorization_endpoint: String,
    #[serde(default)]
    pub token_endpoint: String,
    #[serde(default)]
    pub userinfo_endpoint: String,
    pub jwks_uri: String,
    #[serde(default)]
    pub code_challenge_methods_supported: Vec<String>,
    /// Absent: `client_secret_basic`.
    pub token_endpoint_auth_methods_supported: Option<Vec<String>>,
    /// Answers name their issuer (RFC 9207).
    #[serde(default)]
    pub authorization_response_iss_parameter_supported: bool,
}

impl Metadata {
    /// True if it takes a challenge of the kind that is made here.
    pub fn has_pkce(&self) -> bool {
        self.code_challenge_methods_supported
            .iter()
            .any(|method| method == "S256")
    }

    /// True if the client's secret belongs into the body.
    pub fn takes_secret_in_body(&self) -> bool {
        self.token_endpoint_auth_methods_supported
            .as_ref()
            .is_some_and(|methods| {
                let has = |name: &str| methods.iter().any(|method| method == name);
                has("client_secret_post") && !has("client_secret_basic")
            })
    }
}

/// An issuer, as it described itself.
pub struct Known {
    pub metadata: Metadata,
    keys: Verifier,
    read_at: Instant,
}

/// One issuer's place; held while it is looked at, so that it is looked at once.
#[derive(Default)]
struct Place {
    known: Option<Arc<Known>>,
    tried_at: Option<Instant>,
}

type Places = HashMap<String, Arc<tokio::sync::Mutex<Place>>>;

/// The issuers that were asked.
pub struct Issuers {
    outgoing: Outgoing,
    places: Mutex<Places>,
}

impl Issuers {
    pub fn new(outgoing: Outgoing) -> Self {
        Issuers {
            outgoing,
            places: Mutex::default(),
        }
    }

    fn place(&self, issuer: &str) -> Arc<tokio::sync::Mutex<Place>> {
        let mut places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        if places.len() >= ISSUERS_MAX && !places.contains_key(issuer) {
            // Many tenants: they are read again when they come again.
            places.clear();
        }
        places.entry(issuer.to_owned()).or_default().clone()
    }

    /// The issuer as it describes itself.
    pub async fn get(&self, issuer: &str) -> Result<Arc<Known>, IssuerError> {
        let place = self.place(issuer);
        let mut place = place.lock().await;
        if let Some(known) = &place.known
            && known.read_at.elapsed() < KEPT
        {
            return Ok(known.clone());
        }
        self.read(issuer, &mut place).await
    }

    async fn read(&self, issuer: &str, place: &mut Place) -> Result<Arc<Known>, IssuerError> {
        let still = place
            .known
            .clone()
            .filter(|known| known.read_at.elapsed() < KEPT_UNREACHED);
        if place.tried_at.is_some_and(|tried| tried.elapsed() < LOOKED_AGAIN) {
            return still.ok_or(IssuerError::TooSoon);
        }
        match self.fetch(issuer).await {
            Ok(known) => {
                let known = Arc::new(known);
                place.tried_at = Some(Instant::now());
                place.known = Some(known.clone());
                Ok(known)
            }
            Err(error) => {
                // A first look that failed may be repeated at once: nothing was told to anybody yet.
                place.tried_at = still.is_some().then(Instant::now);
                tracing::warn!(issuer, %error, "an issuer cannot be read");
                still.ok_or(error)
            }
        }
    }

    async fn fetch(&self, issuer: &str) -> Result<Known, IssuerError> {
        let url = format!("{}/.well-known/openid-configuration", issuer.trim_end_matches('/'));
        let call = Call::get(&url).at_most(DOCUMENT_BYTES_MAX);
        let reply = self.outgoing.send(call).await.map_err(IssuerError::Description)?;
        if !reply.status.is_success() {
            return Err(IssuerError::Status(reply.status.as_u16()));
        }
        let metadata: Metadata = reply.json().map_err(IssuerError::Description)?;
        if metadata.issuer.trim_end_matches('/') != issuer.trim_end_matches('/') {
            return Err(IssuerError::Other(metadata.issuer));
        }
        let call = Call::get(&metadata.jwks_uri).at_most(DOCUMENT_BYTES_MAX);
        let reply = self.outgoing.send(call).await.map_err(IssuerError::Keys)?;
        if !reply.status.is_success() {
            return Err(IssuerError::Keys(OutgoingError::Unreadable("the status is no success")));
        }
        let set: Json = reply.json().map_err(IssuerError::Keys)?;
        Ok(Known {
            metadata,
            keys: Verifier::from_published(&set).map_err(|error| IssuerError::BadKeys(error.to_string()))?,
            read_at: Instant::now(),
        })
    }

    /// The issuer's name as it writes it, and what verifies its tokens, read now.
    pub async fn read_again(&self, issuer: &str) -> Result<(String, Verifier), IssuerError> {
        let known = self.fetch(issuer).await?;
        Ok((known.metadata.issuer, known.keys))
    }

    /// Verifies signature and times of a token by the issuer's keys. Whose token it is and for whom is not looked at.
    pub async fn verify(&self, issuer: &str, token: &str, now: i64) -> Result<Arc<Verified>, IssuerError> {
        let known = self.get(issuer).await?;
        let first = known.keys.verify(token, now);
        let refused = match first {
            Ok(verified) => return Ok(verified),
            Err(error) => error,
        };
        if refused != TokenError::NoKey {
            return Err(IssuerError::Token(refused.to_string()));
        }
        // A key that was made since.
        let place = self.place(issuer);
        let mut place = place.lock().await;
        let is_newer = place.known.as_ref().is_some_and(|newer| newer.read_at > known.read_at);
        let known = match is_newer {
            true => place.known.clone().unwrap_or(known),
            false => self.read(issuer, &mut place).await?,
        };
        drop(place);
        known
            .keys
            .verify(token, now)
            .map_err(|error| IssuerError::Token(error.to_string()))
    }
}

//! Tokens that others issue and that count here: those of the identity services that the settings trust.
//!
//! What such an issuer publishes is read in the background and kept, so that verifying a token asks nobody. A key that is
//! not known yet is looked for soon, and the token that named it is refused until then.
//! Invariant: a foreign token is for an issuer that is trusted, has an end, and never gives a role that passes row
//! security.
//!
//! Source: OpenID Connect Discovery 1.0; the issuers' documentation of their access tokens.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};
use tokio::sync::Notify;

use crate::error::TokenError;
use crate::issuers::Issuers;
use crate::outgoing::Outgoing;
use crate::token::{TOKEN_BYTES_MAX, Verified, Verifier};

/// How often issuers are looked at.
const LOOKED_AT: Duration = Duration::from_secs(600);
/// How soon an issuer is looked at again that could not be read, or whose tokens name an unknown key.
const LOOKED_AGAIN: Duration = Duration::from_secs(61);

/// An issuer that the settings trust.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trusted {
    /// Without a slash at its end.
    pub issuer: String,
    /// For whom its tokens must be, where one issuer serves many projects.
    pub audience: Option<String>,
}

struct Place {
    trusted: Trusted,
    /// `None`: not read yet.
    verifier: RwLock<Option<Arc<Verifier>>>,
}

/// The issuers that are trusted, and their keys.
#[derive(Default)]
pub struct Foreign {
    places: Vec<Place>,
    wanted: Notify,
}

impl Foreign {
    pub fn new(trusted: Vec<Trusted>) -> Self {
        let place = |trusted| Place {
            trusted,
            verifier: RwLock::new(None),
        };
        Foreign {
            places: trusted.into_iter().map(place).collect(),
            wanted: Notify::new(),
        }
    }

    /// Verifies a token of one of the issuers. `None`: it is of none of them.
    pub fn verify(&self, token: &str, now: i64) -> Option<Result<Arc<Verified>, TokenError>> {
        if self.places.is_empty() || token.len() > TOKEN_BYTES_MAX {
            return None;
        }
        let issuer = unverified_issuer(token)?;
        let is_named = |place: &&Place| place.trusted.issuer == issuer.trim_end_matches('/');
        let place = self.places.iter().find(is_named)?;
        let verifier = place.verifier.read().unwrap_or_else(PoisonError::into_inner).clone();
        let Some(verifier) = verifier else {
            self.wanted.notify_one();
            return Some(Err(TokenError::NoKey));
        };
        let verified = verifier.verify(token, now);
        if verified == Err(TokenError::NoKey) {
            self.wanted.notify_one();
        }
        Some(verified.and_then(|verified| {
            check(&verified.claims, &place.trusted)?;
            Ok(verified)
        }))
    }

    /// Reads what the issuers publish from now on, until the runtime ends.
    pub fn follow(self: &Arc<Self>, outgoing: Outgoing) {
        if self.places.is_empty() {
            return;
        }
        let foreign = Arc::clone(self);
        let issuers = Issuers::new(outgoing);
        tokio::spawn(async move {
            loop {
                let are_read = foreign.read(&issuers).await;
                let again = if are_read { LOOKED_AT } else { LOOKED_AGAIN };
                tokio::select! {
                    () = tokio::time::sleep(again) => {}
                    () = foreign.wanted.notified(), if are_read => tokio::time::sleep(LOOKED_AGAIN).await,
                }
            }
        });
    }

    /// Reads every issuer; true if all could be read.
    async fn read(&self, issuers: &Issuers) -> bool {
        let mut are_read = true;
        for place in &self.places {
            match issuers.read_again(&place.trusted.issuer).await {
                Ok((issuer, verifier)) => {
                    let verifier = verifier.issuer(Some(issuer)).audience(place.trusted.audience.clone());
                    *place.verifier.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(verifier));
                }
                Err(error) => {
                    are_read = false;
                    tracing::warn!(issuer = place.trusted.issuer, %error, "tokens of a trusted issuer are refused or may be");
                }
            }
        }
        are_read
    }
}

/// What [`Verifier`] leaves open because the project's own tokens may: an end, and whom it is for.
fn check(claims: &Map<String, Value>, trusted: &Trusted) -> Result<(), TokenError> {
    if !claims.get("exp").is_some_and(Value::is_number) {
        return Err(TokenError::NotANumber("exp"));
    }
    if trusted.audience.is_some() && claims.get("aud").is_none_or(Value::is_null) {
        return Err(TokenError::Audience);
    }
    Ok(())
}

/// The issuer that a token names, before anything of it is believed: it says whose keys to look at.
pub fn unverified_issuer(token: &str) -> Option<String> {
    let payload = token.split('.').nth(1)?;
    let claims: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).ok()?).ok()?;
    Some(claims.get("iss")?.as_str()?.to_owned())
}

/// True for roles that no foreign token gives: they pass row security, or are the services' own.
pub fn is_reserved(role: &str) -> bool {
    matches!(
        role,
        "service_role" | "authenticator" | "postgres" | "dashboard_user" | "pgbouncer"
    ) || role.starts_with("supabase_")
        || role.starts_with("pg_")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::signing::{Signer, SigningAlgorithm, SigningKey};

    const NOW: i64 = 1_800_000_000;
    const ISSUER: &str = "https://issuer.example";

    fn signer() -> Signer {
        Signer::of_keys(vec![SigningKey::generate(SigningAlgorithm::Es256, NOW).unwrap()])
    }

    fn foreign(signer: &Signer, audience: Option<&str>) -> Foreign {
        let audience = audience.map(str::to_owned);
        let foreign = Foreign::new(vec![Trusted {
            issuer: ISSUER.into(),
            audience: audience.clone(),
        }]);
        let verifier = Verifier::from_published(&signer.jwks()).unwrap();
        let verifier = verifier.issuer(Some(format!("{ISSUER}/"))).audience(audience);
        *foreign.places[0].verifier.write().unwrap() = Some(Arc::new(verifier));
        foreign
    }

    #[test]
    fn only_whole_tokens_of_trusted_issuers_count() {
        let (own, stranger) = (signer(), signer());
        let foreign = foreign(&own, Some("project"));
        let claims = |more: Value| {
            let mut claims = json!({"iss": format!("{ISSUER}/"), "aud": "project", "sub": "x", "exp": NOW + 60});
            claims
                .as_object_mut()
                .unwrap()
                .extend(more.as_object().unwrap().clone());
            claims
        };
        let verdict = |signer: &Signer, more: Value| {
            let token = signer.sign(&claims(more), NOW).unwrap();
            foreign.verify(token.expose(), NOW).map(|verdict| verdict.map(drop))
        };
        assert_eq!(verdict(&own, json!({})), Some(Ok(())));
        assert_eq!(verdict(&own, json!({"iss": "https://other.example"})), None);
        assert_eq!(
            verdict(&own, json!({"iss": ISSUER})),
            Some(Err(TokenError::Issuer)),
            "as it is published"
        );
        assert_eq!(verdict(&stranger, json!({})), Some(Err(TokenError::NoKey)));
        assert_eq!(
            verdict(&own, json!({"aud": "another"})),
            Some(Err(TokenError::Audience))
        );
        assert_eq!(verdict(&own, json!({"aud": null})), Some(Err(TokenError::Audience)));
        assert_eq!(
            verdict(&own, json!({"exp": null})),
            Some(Err(TokenError::NotANumber("exp")))
        );
        assert_eq!(verdict(&own, json!({"exp": NOW - 60})), Some(Err(TokenError::Expired)));
        for nonsense in ["", "a.b", "a.b.c"] {
            assert!(foreign.verify(nonsense, NOW).is_none());
        }
        assert!(
            Foreign::default()
                .verify(own.sign(&claims(json!({})), NOW).unwrap().expose(), NOW)
                .is_none()
        );
    }

    #[test]
    fn an_issuer_that_was_not_read_yet_has_no_keys() {
        let own = signer();
        let foreign = Foreign::new(vec![Trusted {
            issuer: ISSUER.into(),
            audience: None,
        }]);
        let token = own.sign(&json!({"iss": ISSUER, "exp": NOW + 60}), NOW).unwrap();
        assert_eq!(foreign.verify(token.expose(), NOW), Some(Err(TokenError::NoKey)));
    }
}

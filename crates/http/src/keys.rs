//! The project's API keys: made once, at the first start, never a default.
//!
//! Two generations stand side by side: legacy keys are JWTs signed with the project's secret, new keys are opaque.
//!
//! Source: the Supabase command line's gateway rules, summarised in `docs/reference/keys.md`.

use aws_lc_rs::rand::{SecureRandom, SystemRandom};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use mainstay_core::secret::Secret;
use serde_json::json;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

/// How long a legacy key is valid: ten years, in seconds. It has no use for a shorter life: it is revoked by changing
/// the secret.
const LEGACY_KEY_SECONDS: i64 = 10 * 365 * 24 * 3600;

/// The secret that the Supabase command line uses for every local project. Refused unless asked for by name.
pub const DEMO_JWT_SECRET: &str = "super-secret-jwt-token-with-at-least-32-characters-long";

/// A project's keys.
#[derive(Clone, Debug)]
pub struct ApiKeys {
    pub jwt_secret: Secret<String>,
    /// A JWT with role `anon`.
    pub anon: Secret<String>,
    /// A JWT with role `service_role`.
    pub service_role: Secret<String>,
    /// `sb_publishable_…`: role `anon`.
    pub publishable: Secret<String>,
    /// `sb_secret_…`: role `service_role`.
    pub secret: Secret<String>,
}

/// The operating system gave no random bytes, or signing failed.
#[derive(Debug, thiserror::Error)]
#[error("keys could not be made: {0}")]
pub struct KeyMakingError(String);

impl KeyMakingError {
    pub(crate) fn new(reason: String) -> Self {
        KeyMakingError(reason)
    }
}

impl ApiKeys {
    /// Makes new keys. `now`: seconds since 1970.
    pub fn generate(now: i64) -> Result<Self, KeyMakingError> {
        let secret = Secret::new(random_text(36)?);
        ApiKeys::with_secret(secret, &opaque("publishable")?, &opaque("secret")?, now)
    }

    /// Derives the legacy keys from a given secret. The same secret and time give the same keys.
    pub fn with_secret(
        jwt_secret: Secret<String>,
        publishable: &str,
        secret: &str,
        now: i64,
    ) -> Result<Self, KeyMakingError> {
        Ok(ApiKeys {
            anon: Secret::new(legacy(&jwt_secret, "anon", now)?),
            service_role: Secret::new(legacy(&jwt_secret, "service_role", now)?),
            publishable: Secret::new(publishable.to_owned()),
            secret: Secret::new(secret.to_owned()),
            jwt_secret,
        })
    }

    /// The role that an opaque key stands for.
    pub fn role_of(&self, key: &str) -> Option<&'static str> {
        let same = |candidate: &Secret<String>| bool::from(candidate.expose().as_bytes().ct_eq(key.as_bytes()));
        if same(&self.secret) {
            Some("service_role")
        } else if same(&self.publishable) {
            Some("anon")
        } else {
            None
        }
    }
}

/// True for the new, opaque kind of key.
pub fn is_opaque(key: &str) -> bool {
    key.starts_with("sb_")
}

/// Signs a token with the project's secret (HS256).
pub fn sign(jwt_secret: &Secret<String>, claims: &serde_json::Value) -> Result<String, KeyMakingError> {
    jsonwebtoken::encode(
        &Header::new(Algorithm::HS256),
        claims,
        &EncodingKey::from_secret(jwt_secret.expose().as_bytes()),
    )
    .map_err(|error| KeyMakingError(error.to_string()))
}

fn legacy(jwt_secret: &Secret<String>, role: &str, now: i64) -> Result<String, KeyMakingError> {
    sign(
        jwt_secret,
        &json!({"iss": "mainstay", "role": role, "iat": now, "exp": now + LEGACY_KEY_SECONDS}),
    )
}

fn opaque(kind: &str) -> Result<String, KeyMakingError> {
    let body: String = random_text(24)?.chars().take(22).collect();
    let head = format!("sb_{kind}_{body}");
    let digest = URL_SAFE_NO_PAD.encode(Sha256::digest(head.as_bytes()));
    Ok(format!("{head}_{}", digest.chars().take(8).collect::<String>()))
}

fn random_text(bytes: usize) -> Result<String, KeyMakingError> {
    let mut buffer = vec![0_u8; bytes];
    SystemRandom::new()
        .fill(&mut buffer)
        .map_err(|_| KeyMakingError("no random bytes".into()))?;
    Ok(URL_SAFE_NO_PAD.encode(buffer))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_projects_never_share_a_key() {
        let (one, two) = (ApiKeys::generate(0).unwrap(), ApiKeys::generate(0).unwrap());
        assert_ne!(one.jwt_secret.expose(), two.jwt_secret.expose());
        assert_ne!(one.secret.expose(), two.secret.expose());
        assert!(one.publishable.expose().starts_with("sb_publishable_"));
        assert_eq!(one.role_of(one.secret.expose()), Some("service_role"));
        assert_eq!(one.role_of(one.publishable.expose()), Some("anon"));
        assert_eq!(one.role_of(two.secret.expose()), None);
        assert_eq!(one.role_of(""), None);
    }

    #[test]
    fn keys_do_not_print() {
        let keys = ApiKeys::generate(0).unwrap();
        let shown = format!("{keys:?}");
        assert!(
            !shown.contains(keys.secret.expose()) && !shown.contains("eyJ"),
            "{shown}"
        );
    }
}

//! Signs access tokens.
//!
//! Not here: what a token says (`auth`), keeping keys on disk (the binary), verifying ([`token`](crate::token)).

use base64::Engine;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use mainstay_core::secret::Secret;
use serde_json::Value;

use crate::keys::KeyMakingError;
use crate::token::KeyError;

/// One key with its algorithm.
pub struct Signer {
    header: Header,
    key: Secret<EncodingKey>,
}

impl Signer {
    /// HS256 with the project's secret. Errors: `NotBase64`.
    pub fn shared_secret(secret: &Secret<String>, is_base64: bool) -> Result<Self, KeyError> {
        let bytes = if is_base64 {
            let standard = secret
                .expose()
                .trim()
                .replace('-', "+")
                .replace('_', "/")
                .replace('.', "=");
            base64::engine::general_purpose::STANDARD
                .decode(standard)
                .map_err(|_| KeyError::NotBase64)?
        } else {
            secret.expose().as_bytes().to_vec()
        };
        Ok(Signer {
            header: Header::new(Algorithm::HS256),
            key: Secret::new(EncodingKey::from_secret(&bytes)),
        })
    }

    /// Signs claims.
    pub fn sign(&self, claims: &Value) -> Result<Secret<String>, KeyMakingError> {
        jsonwebtoken::encode(&self.header, claims, self.key.expose())
            .map(Secret::new)
            .map_err(|error| KeyMakingError::new(error.to_string()))
    }
}

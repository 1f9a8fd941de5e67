//! Tokens as a client would bring them.

use std::time::{SystemTime, UNIX_EPOCH};

use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::Value;

/// The secret that test servers verify with. Tests are the only place that knows it.
pub const SECRET: &str = "only-tests-know-this-secret-0123456789";

/// Seconds since 1970.
pub fn now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() as i64
}

/// Signs claims with [`SECRET`], HS256.
pub fn sign(claims: &Value) -> String {
    jsonwebtoken::encode(
        &Header::new(Algorithm::HS256),
        claims,
        &EncodingKey::from_secret(SECRET.as_bytes()),
    )
    .unwrap()
}

/// A token of a signed-in user, valid for an hour.
pub fn user(id: &str) -> String {
    sign(&serde_json::json!({"role": "authenticated", "sub": id, "aud": "authenticated", "exp": now() + 3600}))
}

/// A token of any role.
pub fn role(role: &str) -> String {
    sign(&serde_json::json!({"role": role, "exp": now() + 3600}))
}

//! What an ID token must hold before anybody is believed to be whom it names.
//!
//! Source: OpenID Connect Core 1.0 §3.1.3.7 (validation), §3.1.3.6 (`at_hash`).

use std::sync::Arc;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest::{SHA256, SHA384, SHA512, digest};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use mainstay_core::secret::Secret;
use mainstay_http::foreign;
use mainstay_http::token::Verified;
use serde_json::{Map, Value as Json};

use super::catalog::Discovered;
use super::settings::Provider;
use mainstay_http::issuers::Issuers;

/// Why a token is not taken. For the log: it holds nothing of the token.
#[derive(Debug, thiserror::Error)]
pub enum BadIdToken {
    #[error("it is no token")]
    Unreadable,
    #[error("its issuer is none that is taken")]
    Issuer,
    #[error("{0}")]
    Unverified(String),
    #[error("it lacks `{0}`")]
    Missing(&'static str),
    #[error("it is for somebody else")]
    Audience,
    #[error("its nonce is another")]
    Nonce,
    #[error("it was not issued with this access token")]
    AccessToken,
}

/// A token that holds.
pub struct Held {
    pub issuer: String,
    verified: Arc<Verified>,
}

impl Held {
    pub fn claims(&self) -> &Map<String, Json> {
        &self.verified.claims
    }

    pub fn text(&self, name: &str) -> &str {
        self.claims().get(name).and_then(Json::as_str).unwrap_or_default()
    }
}

/// Verifies `token` as one of `provider` for this project: issuer, signature, times, audience. The nonce is the caller's
/// to look at, who knows what was sent.
pub async fn verify(
    issuers: &Issuers,
    provider: &Provider,
    discovered: &Discovered,
    token: &Secret<String>,
    now: i64,
) -> Result<Held, BadIdToken> {
    let claimed = foreign::unverified_issuer(token.expose()).ok_or(BadIdToken::Unreadable)?;
    let issuer = provider.issuer(discovered, Some(&claimed)).ok_or(BadIdToken::Issuer)?;
    let same = |name: &str| name.trim_end_matches('/') == claimed.trim_end_matches('/');
    if !same(&issuer) && !discovered.also.iter().any(|also| same(also)) {
        return Err(BadIdToken::Issuer);
    }
    let verified = issuers
        .verify(&issuer, token.expose(), now)
        .await
        .map_err(|error| BadIdToken::Unverified(error.to_string()))?;
    let held = Held { issuer, verified };
    if held.text("sub").is_empty() {
        return Err(BadIdToken::Missing("sub"));
    }
    for name in ["exp", "iat"] {
        if !held.claims().get(name).is_some_and(Json::is_number) {
            return Err(BadIdToken::Missing(name));
        }
    }
    is_for(held.claims(), &provider.client_ids)?;
    Ok(held)
}

/// Errors: `Audience`, also where others are named and none of ours is the authorized party.
fn is_for(claims: &Map<String, Json>, clients: &[String]) -> Result<(), BadIdToken> {
    let named: Vec<&str> = match claims.get("aud") {
        Some(Json::String(one)) => vec![one],
        Some(Json::Array(many)) => many.iter().filter_map(Json::as_str).collect(),
        _ => return Err(BadIdToken::Missing("aud")),
    };
    let is_ours = |name: &str| !name.is_empty() && clients.iter().any(|client| client == name);
    let party = match claims.get("azp") {
        None => named.len() == 1,
        // Google's tokens for one client of a project name another, of the same project, as the party.
        Some(party) => party.as_str().is_some_and(is_ours) || named.len() == 1,
    };
    match named.iter().any(|name| is_ours(name)) && party {
        true => Ok(()),
        false => Err(BadIdToken::Audience),
    }
}

/// Compares nonces in constant time.
pub fn is_nonce(held: &Held, expected: &str) -> bool {
    !expected.is_empty() && verify_slices_are_equal(held.text("nonce").as_bytes(), expected.as_bytes()).is_ok()
}

/// A token that names the access token that it came with must have come with this one.
pub fn check_access_token(
    held: &Held,
    id_token: &Secret<String>,
    access_token: &Secret<String>,
) -> Result<(), BadIdToken> {
    let expected = held.text("at_hash");
    if expected.is_empty() {
        return Ok(());
    }
    let made = at_hash(id_token.expose(), access_token.expose()).ok_or(BadIdToken::AccessToken)?;
    verify_slices_are_equal(made.as_bytes(), expected.as_bytes()).map_err(|_| BadIdToken::AccessToken)
}

/// The left half of the access token's hash, by the hash of the algorithm that signed.
fn at_hash(id_token: &str, access_token: &str) -> Option<String> {
    let header = id_token.split('.').next()?;
    let header: Json = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(header).ok()?).ok()?;
    let algorithm = header.get("alg")?.as_str()?;
    let hash = match algorithm {
        _ if algorithm.ends_with("256") => &SHA256,
        _ if algorithm.ends_with("384") => &SHA384,
        // EdDSA with Ed25519 hashes with SHA-512.
        _ if algorithm.ends_with("512") || algorithm == "EdDSA" => &SHA512,
        _ => return None,
    };
    let hashed = digest(hash, access_token.as_bytes());
    let left = hashed.as_ref().get(..hashed.as_ref().len() / 2)?;
    Some(URL_SAFE_NO_PAD.encode(left))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_token_for_somebody_else_is_nobodys() {
        let clients = ["own".to_owned(), "ios".to_owned(), String::new()];
        let verdict = |claims: Json| is_for(claims.as_object().unwrap(), &clients).is_ok();
        assert!(verdict(json!({"aud": "own"})) && verdict(json!({"aud": ["ios"]})));
        assert!(verdict(json!({"aud": ["own", "other"], "azp": "own"})));
        assert!(verdict(json!({"aud": "own", "azp": "android"})));
        for bad in [
            json!({}),
            json!({"aud": ""}),
            json!({"aud": "other"}),
            json!({"aud": []}),
            json!({"aud": {"own": true}}),
            json!({"aud": ["other", "own"]}),
            json!({"aud": ["other", "own"], "azp": "other"}),
        ] {
            assert!(!verdict(bad.clone()), "{bad}");
        }
    }

    /// OpenID Connect Core, appendix A.3: the hash of the example's access token.
    #[test]
    fn the_hash_of_an_access_token_is_the_published_one() {
        let header = URL_SAFE_NO_PAD.encode(r#"{"alg":"RS256"}"#);
        let made = at_hash(&format!("{header}.x.y"), "jHkWEdUXMU1BwAsC4vtUsZwnNvTIxEl0z9K3vx5KF0Y");
        assert_eq!(made.as_deref(), Some("77QmUPtjPfzWtF2AnpK9RQ"));
        let none = URL_SAFE_NO_PAD.encode(r#"{"alg":"none"}"#);
        assert_eq!(at_hash(&format!("{none}.x."), "x"), None);
    }
}

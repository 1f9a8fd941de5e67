//! `mainstay keys`: the keys that clients need.

use std::path::Path;

use mainstay_core::clock;
use mainstay_http::signing::SigningAlgorithm;
use serde_json::json;

use super::CommandError;
use crate::cli::{KeyChange, Keys};
use crate::keyring;

/// Prints the keys, or changes the one that signs.
pub fn run(keys: &Keys) -> Result<(), CommandError> {
    match &keys.change {
        Some(KeyChange::Rotate { dir, now }) => rotate(dir, *now),
        None => show(keys),
    }
}

/// Makes a new signing key. A server that runs takes it up by itself.
fn rotate(dir: &Path, at_once: bool) -> Result<(), CommandError> {
    let config = super::load(dir)?;
    let made = keyring::rotate(&config, at_once)?;
    println!("New key {} ({})", made.id, made.algorithm.name());
    match at_once {
        true => println!("It signs access tokens from now on."),
        false => println!(
            "It is published now and signs access tokens in {} minutes.",
            mainstay_auth::JWKS_SECONDS / 60
        ),
    }
    println!("Tokens of the key before it stay valid until they expire.");
    Ok(())
}

/// Prints the keys. They are secrets: this is the one place that shows them.
fn show(keys: &Keys) -> Result<(), CommandError> {
    let config = super::load(&keys.dir)?;
    let made = keyring::load(&config)?;
    let now = clock::now_seconds();
    let signing = keyring::signing_keys(&config, now)?;
    if keys.json {
        let text = json!({
            "anon_key": made.anon.expose(),
            "service_role_key": made.service_role.expose(),
            "publishable_key": made.publishable.expose(),
            "secret_key": made.secret.expose(),
            "jwt_secret": made.jwt_secret.expose(),
            "signing_keys": signing
                .iter()
                .map(|key| json!({"kid": key.id, "alg": key.algorithm.name(), "signs_from": key.signs_from}))
                .collect::<Vec<_>>(),
        });
        println!("{text:#}");
        return Ok(());
    }
    println!("For browsers and apps (role anon, row security applies):");
    println!("  publishable key   {}", made.publishable.expose());
    println!("  anon key          {}", made.anon.expose());
    println!("For servers only (role service_role, passes row security):");
    println!("  secret key        {}", made.secret.expose());
    println!("  service_role key  {}", made.service_role.expose());
    println!("Verifies tokens, and signs those of your own servers (HS256):");
    println!("  JWT secret        {}", made.jwt_secret.expose());
    if config.auth.is_some() && config.signing_algorithm == SigningAlgorithm::Hs256 {
        println!("Access tokens are signed with the JWT secret.");
    } else if config.auth.is_some() {
        println!("Sign access tokens (public at /auth/v1/.well-known/jwks.json):");
        let current = signing.iter().rfind(|key| key.signs_from <= now).or(signing.first());
        for key in &signing {
            let state = match current {
                Some(current) if current.id == key.id => "signs",
                _ if key.signs_from > now => "is next",
                _ => "is verified with",
            };
            println!("  {}  {}  {state}", key.algorithm.name(), key.id);
        }
    }
    Ok(())
}

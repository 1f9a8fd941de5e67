//! `mainstay keys`: the keys that clients need.

use serde_json::json;

use super::CommandError;
use crate::cli::Keys;
use crate::keyring;

/// Prints the keys. They are secrets: this is the one place that shows them.
pub fn run(keys: &Keys) -> Result<(), CommandError> {
    let config = super::load(&keys.dir)?;
    let made = keyring::load(&config)?;
    if keys.json {
        let text = json!({
            "anon_key": made.anon.expose(),
            "service_role_key": made.service_role.expose(),
            "publishable_key": made.publishable.expose(),
            "secret_key": made.secret.expose(),
            "jwt_secret": made.jwt_secret.expose(),
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
    println!("Signs tokens (HS256):");
    println!("  JWT secret        {}", made.jwt_secret.expose());
    Ok(())
}

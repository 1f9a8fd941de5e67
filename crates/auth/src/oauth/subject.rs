//! What an application is told of a user, by scope.
//!
//! Source: OpenID Connect Core 1.0 §5.1, §5.4.

use serde_json::{Map, Value as Json, json};

use super::scopes::Scopes;
use crate::users::User;

/// The claims of a user. Nothing but the id without a scope that asks for it.
pub fn claims(user: &User, scopes: &Scopes) -> Map<String, Json> {
    let mut claims = Map::new();
    let mut put = |name: &str, value: Json| claims.insert(name.to_owned(), value);
    put("sub", json!(user.id.to_string()));
    let told = |names: &[&str]| {
        let texts = names.iter().filter_map(|name| user.user_metadata.get(*name)?.as_str());
        texts.into_iter().find(|text| !text.is_empty()).map(str::to_owned)
    };
    if scopes.has("email") && !user.email.is_empty() {
        put("email", json!(user.email));
        put("email_verified", json!(user.email_confirmed_at.is_some()));
    }
    if scopes.has("profile") {
        let name = told(&["name", "full_name"]).or_else(|| Some(user.email.clone()).filter(|email| !email.is_empty()));
        for (claim, value) in [
            ("name", name),
            ("picture", told(&["picture", "avatar_url"])),
            (
                "preferred_username",
                told(&["preferred_username", "username", "user_name"]),
            ),
        ] {
            if let Some(value) = value {
                put(claim, json!(value));
            }
        }
        if let Some(at) = user.updated_at {
            put("updated_at", json!(at.as_second()));
        }
    }
    if scopes.has("phone") && !user.phone.is_empty() {
        put("phone_number", json!(user.phone));
        put("phone_number_verified", json!(user.phone_confirmed_at.is_some()));
    }
    claims
}

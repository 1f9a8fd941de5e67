//! What everybody may know: that the room answers, its public keys, and its ways to sign in.

use http::{HeaderValue, StatusCode, header};
use mainstay_http::Response;
use serde_json::{Map, Value as Json, json};

use crate::response;
use crate::room::AuthRoom;

/// `GET /health`
pub fn health() -> Response {
    // No version: who may not sign in learns nothing of it.
    let body = json!({"version": "", "name": "GoTrue", "description": "Mainstay, users and sessions"});
    response::json(StatusCode::OK, &body)
}

/// How long the public keys may be kept, in seconds. A new key is published for as long before it signs.
pub const JWKS_SECONDS: i64 = 600;

/// `GET /.well-known/jwks.json`
pub fn jwks(room: &AuthRoom) -> Response {
    let mut response = response::json(StatusCode::OK, &room.signer().jwks());
    if let Ok(value) = HeaderValue::from_str(&format!("public, max-age={JWKS_SECONDS}")) {
        response.headers.insert(header::CACHE_CONTROL, value);
    }
    response
}

/// Providers that the protocol knows and this version has not.
const PROVIDERS: &[&str] = &[
    "apple",
    "azure",
    "bitbucket",
    "discord",
    "facebook",
    "figma",
    "fly",
    "github",
    "gitlab",
    "google",
    "kakao",
    "keycloak",
    "linkedin",
    "linkedin_oidc",
    "notion",
    "slack",
    "slack_oidc",
    "snapchat",
    "spotify",
    "twitch",
    "twitter",
    "workos",
    "x",
    "zoom",
];

/// `GET /settings`
pub fn settings(room: &AuthRoom) -> Response {
    let config = &room.config;
    let mut external: Map<String, Json> = PROVIDERS
        .iter()
        .map(|name| ((*name).to_owned(), json!(false)))
        .collect();
    for provider in &config.external {
        if external.contains_key(&provider.name) {
            external.insert(provider.name.clone(), json!(true));
        }
    }
    external.insert("email".into(), json!(config.email_enabled));
    external.insert("phone".into(), json!(config.phone.is_enabled));
    external.insert("anonymous_users".into(), json!(config.anonymous_enabled));
    let body = json!({
        "external": external,
        "disable_signup": !config.signup_enabled,
        "mailer_autoconfirm": !config.confirmations,
        "phone_autoconfirm": config.phone.is_enabled && !config.phone.confirmations,
        "sms_provider": config.phone.provider,
        "saml_enabled": false,
        "passkeys_enabled": config.passkeys.is_enabled,
    });
    response::json(StatusCode::OK, &body)
}

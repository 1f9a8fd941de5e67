//! `/.well-known/openid-configuration` and `/.well-known/oauth-authorization-server`: what clients need to know.
//!
//! Source: OpenID Connect Discovery 1.0 §3, RFC 8414 §2.

use http::{HeaderValue, StatusCode, header};
use mainstay_http::Response;
use serde_json::json;

use crate::oauth::scopes::SUPPORTED;
use crate::response;
use crate::room::AuthRoom;
use crate::routes::JWKS_SECONDS;

/// The description, the same for both.
pub fn show(room: &AuthRoom) -> Response {
    let at = |path: &str| format!("{}{path}", room.config.url);
    let mut body = json!({
        "issuer": room.config.issuer,
        "authorization_endpoint": at("/oauth/authorize"),
        "token_endpoint": at("/oauth/token"),
        "jwks_uri": at("/.well-known/jwks.json"),
        "userinfo_endpoint": at("/oauth/userinfo"),
        "introspection_endpoint": at("/oauth/introspect"),
        "revocation_endpoint": at("/oauth/revoke"),
        "scopes_supported": SUPPORTED,
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "grant_types_supported": ["authorization_code", "refresh_token"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": room.signer().algorithms(),
        "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post", "none"],
        "introspection_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post"],
        "revocation_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post", "none"],
        "code_challenge_methods_supported": ["S256"],
        "authorization_response_iss_parameter_supported": true,
        "claims_supported": ["sub", "aud", "iss", "exp", "iat", "auth_time", "nonce", "email", "email_verified",
            "phone_number", "phone_number_verified", "name", "picture", "preferred_username", "updated_at"],
    });
    if room
        .config
        .oauth_server
        .as_ref()
        .is_some_and(|server| server.dynamic_registration)
    {
        body["registration_endpoint"] = json!(at("/oauth/clients/register"));
    }
    let mut response = response::json(StatusCode::OK, &body);
    if let Ok(value) = HeaderValue::from_str(&format!("public, max-age={JWKS_SECONDS}")) {
        response.headers.insert(header::CACHE_CONTROL, value);
    }
    response
}

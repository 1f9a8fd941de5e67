//! What somebody is given with a session: everything an answer is made of, and what the access token says.

use mainstay_core::clock;
use mainstay_core::error::BackendError;
use mainstay_core::secret::Secret;
use serde_json::{Map, Value as Json, json};

use super::{BY_ID, METHODS, Session, SessionId, methods};
use crate::hooks;
use crate::store::{Tx, text};
use crate::users::{self, Profile, UserId};

/// A session that somebody is to be given: everything an answer is made of.
#[derive(Clone, Debug)]
pub struct Granted {
    pub profile: Profile,
    pub session: SessionId,
    pub aal: String,
    /// Newest first: method and time.
    pub methods: Vec<(String, i64)>,
    pub refresh_token: Secret<String>,
    /// Why the tokens are issued: how the user has just proved to be who it is, or `token_refresh`.
    pub method: String,
    /// What the access token says.
    pub claims: Map<String, Json>,
    /// Seconds since 1970.
    pub issued_at: i64,
    /// Seconds since 1970.
    pub expires_at: i64,
}

/// Why a token is issued at a refresh, as hooks are told.
pub const REFRESHED_BY: &str = "token_refresh";

/// The session as it now stands, for an answer, with what its access token says. `None`: the user or the session is gone.
pub async fn granted(
    tx: &Tx,
    user: UserId,
    session: SessionId,
    refresh_token: Secret<String>,
) -> Result<Option<Granted>, BackendError> {
    granted_by(tx, user, session, refresh_token, None).await
}

/// The same; `means` is why the token is issued, where that is not the session's newest method.
pub async fn granted_by(
    tx: &Tx,
    user: UserId,
    session: SessionId,
    refresh_token: Secret<String>,
    means: Option<&str>,
) -> Result<Option<Granted>, BackendError> {
    let Some(profile) = users::profile_in(tx, user).await? else {
        return Ok(None);
    };
    let Some(found) = tx.run(BY_ID, vec![text(session)]).await?.first(Session::read)? else {
        return Ok(None);
    };
    let issued_at = clock::now().as_second();
    let mut granted = Granted {
        profile,
        session,
        aal: found.aal,
        methods: methods(tx.run(METHODS, vec![text(session)]).await?)?,
        refresh_token,
        method: String::new(),
        claims: Map::new(),
        issued_at,
        expires_at: issued_at + tx.issuing().expiry_seconds,
    };
    let newest = granted.methods.first().map(|(method, _)| method.as_str());
    granted.method = means.or(newest).unwrap_or_default().to_owned();
    let claims = claims(&granted, &tx.issuing().issuer);
    granted.claims = hooks::customised(tx, user, claims, &granted.method).await?;
    Ok(Some(granted))
}

/// The claims of an access token.
fn claims(granted: &Granted, issuer: &str) -> Map<String, Json> {
    let user = &granted.profile.user;
    let methods: Vec<Json> = granted
        .methods
        .iter()
        .map(|(method, timestamp)| json!({"method": method, "timestamp": timestamp}))
        .collect();
    let mut claims = Map::new();
    let mut put = |name: &str, value: Json| {
        claims.insert(name.to_owned(), value);
    };
    put("iss", json!(issuer));
    put("sub", json!(user.id.to_string()));
    put("aud", json!(user.aud));
    put("exp", json!(granted.expires_at));
    put("iat", json!(granted.issued_at));
    put("email", json!(user.email));
    put("phone", json!(user.phone));
    put("app_metadata", Json::Object(user.app_metadata.clone()));
    put("user_metadata", Json::Object(user.user_metadata.clone()));
    put("role", json!(user.role));
    put("aal", json!(granted.aal));
    put("amr", Json::Array(methods));
    put("session_id", json!(granted.session.to_string()));
    put("is_anonymous", json!(user.is_anonymous));
    claims
}

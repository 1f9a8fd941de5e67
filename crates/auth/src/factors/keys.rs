//! Keys as second factors: what `auth.mfa_factors` and `auth.mfa_challenges` have of them beyond other kinds.

use mainstay_core::error::BackendError;
use serde_json::Value as Json;
use uuid::Uuid;

use super::FactorId;
use crate::store::{Row, Store, Tx, optional, text};
use crate::users::UserId;
use crate::webauthn::Credential;

const OF_FACTOR: &str = "SELECT f.web_authn_credential FROM auth.mfa_factors f WHERE f.id = $1::uuid";
const OF_USER: &str = "SELECT f.web_authn_credential FROM auth.mfa_factors f WHERE f.user_id = $1::uuid \
     AND f.factor_type = 'webauthn' AND f.status = 'verified'";
const KEEP: &str = "UPDATE auth.mfa_factors SET web_authn_credential = $2::jsonb, web_authn_aaguid = $3::uuid, \
     updated_at = now() WHERE id = $1::uuid";
const KEEP_STATE: &str = "UPDATE auth.mfa_challenges SET web_authn_session_data = $2::jsonb WHERE id = $1::uuid";
const STATE: &str = "SELECT c.web_authn_session_data FROM auth.mfa_challenges c WHERE c.id = $1::uuid";

fn read(row: &mut Row) -> Result<Option<Credential>, BackendError> {
    Ok(Credential::of_json(&Json::Object(row.object()?)))
}

/// The factor's key; none before one was made.
pub async fn of_factor(store: &Store, factor: FactorId) -> Result<Option<Credential>, BackendError> {
    let found = store.run(OF_FACTOR, vec![text(factor)]).await?.first(read)?;
    Ok(found.flatten())
}

/// The same in a transaction.
pub async fn of_factor_in(tx: &Tx, factor: FactorId) -> Result<Option<Credential>, BackendError> {
    let found = tx.run(OF_FACTOR, vec![text(factor)]).await?.first(read)?;
    Ok(found.flatten())
}

/// The keys of a user's verified factors.
pub async fn of_user(store: &Store, user: UserId) -> Result<Vec<Credential>, BackendError> {
    let found = store.run(OF_USER, vec![text(user)]).await?.all(read)?;
    Ok(found.into_iter().flatten().collect())
}

/// The same in a transaction.
pub async fn of_user_in(tx: &Tx, user: UserId) -> Result<Vec<Credential>, BackendError> {
    let found = tx.run(OF_USER, vec![text(user)]).await?.all(read)?;
    Ok(found.into_iter().flatten().collect())
}

/// Keeps the factor's key as it is now.
pub async fn keep(tx: &Tx, factor: FactorId, credential: &Credential) -> Result<(), BackendError> {
    let values = vec![text(factor), text(credential.json()), optional(credential.aaguid)];
    tx.run(KEEP, values).await.map(drop)
}

/// Keeps what the answer to a challenge is judged by.
pub async fn keep_state(tx: &Tx, challenge: Uuid, state: &Json) -> Result<(), BackendError> {
    tx.run(KEEP_STATE, vec![text(challenge), text(state)]).await.map(drop)
}

/// The same read again.
pub async fn state(tx: &Tx, challenge: Uuid) -> Result<Json, BackendError> {
    let found = tx.run(STATE, vec![text(challenge)]).await?.first(Row::object)?;
    Ok(found.map_or(Json::Null, Json::Object))
}

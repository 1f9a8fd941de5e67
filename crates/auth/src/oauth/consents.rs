//! What users have agreed to, and taking it back.

use jiff::Timestamp;
use mainstay_core::error::BackendError;
use uuid::Uuid;

use super::scopes::Scopes;
use crate::store::{Row, Store, Tx, text};
use crate::users::UserId;

const SCOPES: &str = "SELECT c.scopes FROM auth.oauth_consents c WHERE c.user_id = $1::uuid AND c.client_id = $2::uuid \
     AND c.revoked_at IS NULL";
const ANY: &str =
    "SELECT c.id FROM auth.oauth_consents c WHERE c.user_id = $1::uuid AND c.client_id = $2::uuid FOR UPDATE";
const INSERT: &str = "INSERT INTO auth.oauth_consents (id, user_id, client_id, scopes, granted_at) \
     VALUES ($1::uuid, $2::uuid, $3::uuid, $4::text, now())";
const RENEW: &str = "UPDATE auth.oauth_consents SET scopes = $2::text, granted_at = now(), revoked_at = NULL \
     WHERE id = $1::uuid";
const REVOKE: &str = "UPDATE auth.oauth_consents SET revoked_at = GREATEST(now(), granted_at) WHERE id = $1::uuid";
const END_SESSIONS: &str = "DELETE FROM auth.sessions WHERE user_id = $1::uuid AND oauth_client_id = $2::uuid";
const DROP_QUESTIONS: &str = "DELETE FROM auth.oauth_authorizations WHERE user_id = $1::uuid AND client_id = $2::uuid";
const OF_USER: &str = "SELECT c.client_id, c.scopes, c.granted_at FROM auth.oauth_consents c \
     JOIN auth.oauth_clients o ON o.id = c.client_id \
     WHERE c.user_id = $1::uuid AND c.revoked_at IS NULL AND o.deleted_at IS NULL ORDER BY c.granted_at DESC, c.id";

/// What a user has agreed to.
#[derive(Clone, Debug)]
pub struct Consent {
    pub client: Uuid,
    pub scopes: Scopes,
    pub granted_at: Option<Timestamp>,
}

/// The scopes that the application may have without asking again.
pub async fn granted(tx: &Tx, user: UserId, client: Uuid) -> Result<Option<Scopes>, BackendError> {
    tx.run(SCOPES, vec![text(user), text(client)])
        .await?
        .first(|row: &mut Row| Ok(Scopes::kept(&row.text()?)))
}

/// Remembers that the user agrees.
pub async fn grant(tx: &Tx, user: UserId, client: Uuid, scopes: &Scopes) -> Result<(), BackendError> {
    let known = tx.run(ANY, vec![text(user), text(client)]).await?.first(Row::uuid)?;
    match known {
        Some(id) => tx.run(RENEW, vec![text(id), text(scopes)]).await,
        None => {
            let values = vec![text(Uuid::new_v4()), text(user), text(client), text(scopes)];
            tx.run(INSERT, values).await
        }
    }
    .map(drop)
}

/// The user agrees no more: what the application does for the user ends. False: there was nothing.
pub async fn revoke(tx: &Tx, user: UserId, client: Uuid) -> Result<bool, BackendError> {
    if granted(tx, user, client).await?.is_none() {
        return Ok(false);
    }
    let known = tx.run(ANY, vec![text(user), text(client)]).await?.first(Row::uuid)?;
    if let Some(id) = known {
        tx.run(REVOKE, vec![text(id)]).await?;
    }
    tx.revoke(user.0);
    for statement in [END_SESSIONS, DROP_QUESTIONS] {
        tx.run(statement, vec![text(user), text(client)]).await?;
    }
    Ok(true)
}

/// Everything that the user has agreed to, newest first.
pub async fn of_user(store: &Store, user: UserId) -> Result<Vec<Consent>, BackendError> {
    store.run(OF_USER, vec![text(user)]).await?.all(|row| {
        Ok(Consent {
            client: row.uuid()?,
            scopes: Scopes::kept(&row.text()?),
            granted_at: row.time()?,
        })
    })
}

//! Sessions in which an application acts for a user.

use mainstay_core::error::BackendError;
use uuid::Uuid;

use super::scopes::Scopes;
use crate::sessions::SessionId;
use crate::store::{Row, Rows, Store, Tx, text};

const BIND: &str = "UPDATE auth.sessions SET oauth_client_id = $2::uuid, scopes = $3::text WHERE id = $1::uuid";
const BOUND: &str = "SELECT s.oauth_client_id, s.scopes FROM auth.sessions s WHERE s.id = $1::uuid \
     AND s.oauth_client_id IS NOT NULL";

/// Who acts, and how far.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Acting {
    pub client: Uuid,
    pub scopes: Scopes,
}

fn read(rows: Rows) -> Result<Option<Acting>, BackendError> {
    rows.first(|row: &mut Row| {
        Ok(Acting {
            client: row.uuid()?,
            scopes: Scopes::kept(&row.text()?),
        })
    })
}

/// The session is an application's.
pub async fn bind(tx: &Tx, session: SessionId, acting: &Acting) -> Result<(), BackendError> {
    let values = vec![text(session), text(acting.client), text(&acting.scopes)];
    tx.run(BIND, values).await.map(drop)
}

/// Whose the session is. `None`: its user's own.
pub async fn bound_in(tx: &Tx, session: SessionId) -> Result<Option<Acting>, BackendError> {
    read(tx.run(BOUND, vec![text(session)]).await?)
}

pub async fn bound(store: &Store, session: SessionId) -> Result<Option<Acting>, BackendError> {
    read(store.run(BOUND, vec![text(session)]).await?)
}

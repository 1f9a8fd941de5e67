//! What a request holds while it changes an account.

use mainstay_core::error::BackendError;

use crate::error::Error;
use crate::sessions::{self, Session, SessionId};
use crate::store::Tx;
use crate::users::{self, UserId};

/// Holds the user, and gives the session as it is while the user is held: it may have ended, or been lowered, since the
/// request began. Errors: `TokenUserNotFound`, `TokenSessionNotFound` for what is gone.
pub async fn held_session(tx: &Tx, user: UserId, session: SessionId) -> Result<Result<Session, Error>, BackendError> {
    if users::lock(tx, user).await?.is_none() {
        return Ok(Err(Error::TokenUserNotFound));
    }
    let session = sessions::lock(tx, session).await?;
    Ok(session.ok_or(Error::TokenSessionNotFound))
}

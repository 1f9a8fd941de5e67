//! `/user/identities`: what a user is known by, beside the way to a provider (`external`).

use http::StatusCode;
use mainstay_core::transaction::Decision;
use mainstay_http::Response;
use serde_json::json;
use uuid::Uuid;

use super::{Signed, user};
use crate::error::Error;
use crate::external::linking;
use crate::response;
use crate::room::AuthRoom;

/// Whoever links an identity has another way to come back, so it takes what changing the password takes.
/// Errors: `ManualLinkingDisabled`, `InsufficientAal`.
pub async fn may_link(room: &AuthRoom, signed: &Signed) -> Result<(), Error> {
    match room.config.manual_linking {
        true => user::check_level(room, signed).await,
        false => Err(Error::ManualLinkingDisabled),
    }
}

/// `DELETE /user/identities/{id}`
pub async fn unlink(room: &AuthRoom, signed: Signed, id: &str) -> Result<Response, Error> {
    may_link(room, &signed).await?;
    let identity: Uuid = id.parse().map_err(|_| Error::BadIdentityId)?;
    let (user, confirmations) = (signed.user.id, room.config.confirmations);
    room.store
        .transact(move |tx| async move {
            Ok(match linking::unlink(&tx, user, identity, confirmations).await? {
                Ok(()) => Decision::Commit(Ok(())),
                Err(error) => Decision::Rollback(Err(error)),
            })
        })
        .await
        .map_err(|error| Error::of_database("Database error deleting identity", error))??;
    Ok(response::json(StatusCode::OK, &json!({})))
}

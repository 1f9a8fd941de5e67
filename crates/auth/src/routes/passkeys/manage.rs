//! A user's passkeys: shown, renamed, deleted; by the user, and by whoever has the secret key.

use http::StatusCode;
use mainstay_core::error::BackendError;
use mainstay_core::transaction::Decision;
use mainstay_http::{Request, Response};
use serde_json::{Value as Json, json};
use uuid::Uuid;

use super::super::Signed;
use super::super::factors::{Outcome, owner};
use super::registration::still_manages;
use crate::audit::{self, Action, Actor};
use crate::error::{Error, PasskeyError};
use crate::passkeys::{self, Passkey, PasskeyId};
use crate::request::{self, NameBody};
use crate::response;
use crate::room::AuthRoom;
use crate::store::Tx;
use crate::users::{self, User, UserId};

/// The id of a path.
fn passkey_id(text: &str) -> Result<PasskeyId, Error> {
    let id: Uuid = text.parse().map_err(|_| PasskeyError::NotFound)?;
    Ok(PasskeyId(id))
}

/// `GET /passkeys`
pub async fn list(room: &AuthRoom, signed: Signed) -> Result<Response, Error> {
    show(room, signed.user.id).await
}

/// `GET /admin/users/{id}/passkeys`
pub async fn list_of(room: &AuthRoom, user: UserId) -> Result<Response, Error> {
    users::by_id(&room.store, user).await?.ok_or(Error::UserNotFound)?;
    show(room, user).await
}

async fn show(room: &AuthRoom, user: UserId) -> Result<Response, Error> {
    let passkeys = passkeys::of_user(&room.store, user)
        .await
        .map_err(|error| Error::of_database("Database error loading passkeys", error))?;
    let shown: Vec<Json> = passkeys.iter().map(Passkey::json).collect();
    let mut response = response::json(StatusCode::OK, &json!(shown));
    response.rows = Some(shown.len() as u64);
    Ok(response)
}

/// The user's own passkey. Somebody else's is none.
async fn own(tx: &Tx, user: UserId, id: PasskeyId) -> Result<Option<Passkey>, BackendError> {
    let found = passkeys::of_user_in(tx, user).await?;
    Ok(found.into_iter().find(|passkey| passkey.id == id))
}

fn about(id: PasskeyId) -> Json {
    json!({"passkey_id": id.to_string()})
}

/// `PATCH /passkeys/{id}`
pub async fn rename(room: &AuthRoom, signed: Signed, id: &str, request: &Request) -> Result<Response, Error> {
    let id = passkey_id(id)?;
    let body: NameBody = request::body(request)?;
    if body.friendly_name.is_empty() {
        return Err(Error::Validation("friendly_name is required".into()));
    }
    let name = request::label("friendly_name", &body.friendly_name)?;
    let user = signed.user;
    let renamed = room
        .store
        .transact(move |tx| rename_in(tx, user.clone(), id, name.clone()))
        .await
        .map_err(|error| Error::of_database("Database error updating passkey", error))??;
    Ok(response::json(StatusCode::OK, &renamed.json()))
}

async fn rename_in(tx: Tx, user: User, id: PasskeyId, name: String) -> Outcome<Passkey> {
    if users::lock(&tx, user.id).await?.is_none() {
        return Ok(Decision::Rollback(Err(Error::TokenUserNotFound)));
    }
    let Some(passkey) = own(&tx, user.id, id).await? else {
        return Ok(Decision::Rollback(Err(PasskeyError::NotFound.into())));
    };
    passkeys::rename(&tx, id, &name).await?;
    audit::record(&tx, &Actor::from(&user), Action::PasskeyUpdated, about(id)).await?;
    Ok(Decision::Commit(Ok(Passkey { name, ..passkey })))
}

/// `DELETE /passkeys/{id}`
pub async fn delete(room: &AuthRoom, signed: Signed, id: &str) -> Result<Response, Error> {
    let (user, session) = owner(signed)?;
    let id = passkey_id(id)?;
    room.store
        .transact(move |tx| {
            let (user, session) = (user.clone(), session.clone());
            async move {
                match still_manages(&tx, &user, &session).await? {
                    Err(error) => Ok(Decision::Rollback(Err(error))),
                    Ok(()) => remove(tx, user.id, id, Actor::from(&user), about(id)).await,
                }
            }
        })
        .await
        .map_err(|error| Error::of_database("Database error deleting passkey", error))??;
    Ok(response::nothing())
}

/// `DELETE /admin/users/{id}/passkeys/{passkey}`
pub async fn delete_of(room: &AuthRoom, admin: Actor, user: UserId, id: &str) -> Result<Response, Error> {
    users::by_id(&room.store, user).await?.ok_or(Error::UserNotFound)?;
    let id = passkey_id(id)?;
    room.store
        .transact(move |tx| {
            let mut about = about(id);
            about["user_id"] = json!(user.to_string());
            remove(tx, user, id, admin.clone(), about)
        })
        .await
        .map_err(|error| Error::of_database("Database error deleting passkey", error))??;
    Ok(response::nothing())
}

/// Deletes a passkey of the user's. Sessions that began with it go on.
async fn remove(tx: Tx, user: UserId, id: PasskeyId, actor: Actor, about: Json) -> Outcome<()> {
    if own(&tx, user, id).await?.is_none() {
        return Ok(Decision::Rollback(Err(PasskeyError::NotFound.into())));
    }
    passkeys::delete(&tx, id).await?;
    audit::record(&tx, &actor, Action::PasskeyDeleted, about).await?;
    Ok(Decision::Commit(Ok(())))
}

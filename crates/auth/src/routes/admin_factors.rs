//! `/admin/users/{id}/factors`: second factors as whoever has the secret key sees and removes them.

use http::StatusCode;
use mainstay_core::error::BackendError;
use mainstay_core::transaction::Decision;
use mainstay_http::{Request, Response};
use serde_json::{Value as Json, json};

use super::factors::{about, taken};
use crate::audit::{self, Action, Actor};
use crate::error::{Error, MfaError};
use crate::factors::{self, Factor, FactorId, Kind};
use crate::request::{self, NameBody};
use crate::room::AuthRoom;
use crate::store::Tx;
use crate::users::{self, UserId};
use crate::{response, sessions};

/// `GET /admin/users/{id}/factors`
pub async fn list(room: &AuthRoom, user: UserId) -> Result<Response, Error> {
    users::by_id(&room.store, user).await?.ok_or(Error::UserNotFound)?;
    let factors = factors::of_user(&room.store, user).await?;
    let factors: Vec<Json> = factors.iter().map(Factor::json).collect();
    let mut response = response::json(StatusCode::OK, &json!(factors));
    response.rows = Some(factors.len() as u64);
    Ok(response)
}

/// What becomes of the factor.
#[derive(Clone)]
enum Change {
    Rename(String),
    Delete,
}

/// `PUT /admin/users/{id}/factors/{factor}`: another name.
pub async fn change(
    room: &AuthRoom,
    admin: Actor,
    user: UserId,
    id: &str,
    request: &Request,
) -> Result<Response, Error> {
    let body: NameBody = request::body(request)?;
    let name = request::label("friendly_name", &body.friendly_name)?;
    apply(room, admin, user, id, Change::Rename(name)).await
}

/// `DELETE /admin/users/{id}/factors/{factor}`: the sessions that it raised are of the first level again.
pub async fn delete(room: &AuthRoom, admin: Actor, user: UserId, id: &str) -> Result<Response, Error> {
    apply(room, admin, user, id, Change::Delete).await
}

async fn apply(room: &AuthRoom, admin: Actor, user: UserId, id: &str, change: Change) -> Result<Response, Error> {
    let id = id.parse().map(FactorId).map_err(|_| MfaError::BadFactorId)?;
    let name = match &change {
        Change::Rename(name) => name.clone(),
        Change::Delete => String::new(),
    };
    let factor = room
        .store
        .transact(move |tx| apply_in(tx, admin.clone(), user, id, change.clone()))
        .await
        .map_err(|error| taken(error, &name))??;
    Ok(response::json(StatusCode::OK, &factor.json()))
}

/// What an entry of the audit log says: whose factor it was.
fn about_of(factor: &Factor) -> Json {
    let mut about = about(factor);
    about["user_id"] = json!(factor.user.to_string());
    about
}

async fn apply_in(
    tx: Tx,
    admin: Actor,
    user: UserId,
    id: FactorId,
    change: Change,
) -> Result<Decision<Result<Factor, Error>>, BackendError> {
    if users::lock(&tx, user).await?.is_none() {
        return Ok(Decision::Rollback(Err(Error::UserNotFound)));
    }
    let find = |factors: Vec<Factor>| factors.into_iter().find(|factor| factor.id == id);
    let Some(factor) = find(factors::of_user_in(&tx, user).await?) else {
        return Ok(Decision::Rollback(Err(MfaError::FactorNotFound.into())));
    };
    match change {
        Change::Rename(name) if !name.is_empty() && factor.kind != Kind::RecoveryCode => {
            factors::rename(&tx, id, &name).await?;
            audit::record(&tx, &admin, Action::FactorUpdated, about_of(&factor)).await?;
            let renamed = find(factors::of_user_in(&tx, user).await?);
            Ok(Decision::Commit(renamed.ok_or(MfaError::FactorNotFound.into())))
        }
        Change::Rename(_) => Ok(Decision::Rollback(Ok(factor))),
        Change::Delete => {
            for gone in factors::delete(&tx, &factor).await? {
                sessions::lower(&tx, &gone).await?;
                audit::record(&tx, &admin, Action::FactorDeleted, about_of(&gone)).await?;
            }
            Ok(Decision::Commit(Ok(factor)))
        }
    }
}

//! `/user/oauth/grants`: what the signed-in user has agreed to.

use http::StatusCode;
use mainstay_core::transaction::Decision;
use mainstay_http::{Request, Response};
use serde_json::{Value as Json, json};
use uuid::Uuid;

use super::super::Signed;
use crate::error::Error;
use crate::oauth::{clients, consents};
use crate::request;
use crate::response::{self, time};
use crate::room::AuthRoom;

/// `GET /user/oauth/grants`
pub async fn list(room: &AuthRoom, signed: Signed) -> Result<Response, Error> {
    let mut grants = Vec::new();
    for consent in consents::of_user(&room.store, signed.user.id).await? {
        if let Some(client) = clients::by_id(&room.store, consent.client).await? {
            grants.push(json!({
                "client": client.shown(),
                "scopes": consent.scopes.list(),
                "granted_at": consent.granted_at.map_or(Json::Null, time),
            }));
        }
    }
    Ok(response::json(StatusCode::OK, &Json::Array(grants)))
}

/// `DELETE /user/oauth/grants?client_id=`: the application's sessions end with the grant.
pub async fn revoke(room: &AuthRoom, signed: Signed, request: &Request) -> Result<Response, Error> {
    let id = request::parameter(request, "client_id").filter(|id| !id.is_empty());
    let id = id.ok_or_else(|| Error::Validation("client_id query parameter is required".into()))?;
    let client: Uuid = id
        .parse()
        .map_err(|_| Error::Validation("invalid client_id format".into()))?;
    let user = signed.user.id;
    let revoked = room
        .store
        .transact(move |tx| async move { Ok(Decision::Commit(consents::revoke(&tx, user, client).await?)) })
        .await?;
    match revoked {
        true => Ok(response::nothing()),
        false => Err(Error::ConsentNotFound),
    }
}

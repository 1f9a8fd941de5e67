//! `POST /logout`: ends sessions.

use mainstay_core::error::BackendError;
use mainstay_core::transaction::Decision;
use mainstay_http::{Request, Response};
use serde_json::Value as Json;

use super::Signed;
use crate::audit::{self, Action, Actor};
use crate::error::Error;
use crate::room::AuthRoom;
use crate::sessions::{self, Scope};
use crate::store::Tx;
use crate::users::UserId;
use crate::{request, response};

/// Ends the sessions that `scope` names: all of the user's, this one, or all but this one.
pub async fn logout(room: &AuthRoom, signed: Signed, request: &Request) -> Result<Response, Error> {
    let scope = request::parameter(request, "scope").unwrap_or_default();
    let own = signed.session.map(|session| session.id);
    let scope = match (scope.as_str(), own) {
        ("" | "global", _) => Scope::Global,
        ("local", Some(own)) => Scope::Local(own),
        ("others", Some(own)) => Scope::Others(own),
        // A token without a session is of none of them.
        ("local" | "others", None) => Scope::Global,
        (other, _) => return Err(Error::Validation(format!("Unsupported logout scope {other:?}"))),
    };
    let (user, actor) = (signed.user.id, Actor::from(&signed.user));
    room.store
        .transact(move |tx| end(tx, user, actor.clone(), scope))
        .await
        .map_err(|error| Error::of_database("Error logging out user", error))?;
    Ok(response::nothing())
}

async fn end(tx: Tx, user: UserId, actor: Actor, scope: Scope) -> Result<Decision<()>, BackendError> {
    audit::record(&tx, &actor, Action::Logout, Json::Null).await?;
    sessions::end(&tx, user, scope).await?;
    Ok(Decision::Commit(()))
}

//! `POST /logout`: ends sessions.

use mainstay_core::transaction::Decision;
use mainstay_http::{Request, Response};

use super::Signed;
use crate::error::Error;
use crate::room::AuthRoom;
use crate::sessions::{self, Scope};
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
    let user = signed.user.id;
    room.store
        .transact(move |tx| async move {
            sessions::end(&tx, user, scope).await?;
            Ok(Decision::Commit(()))
        })
        .await
        .map_err(|error| Error::of_database("Error logging out user", error))?;
    Ok(response::nothing())
}

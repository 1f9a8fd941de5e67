//! Somebody comes in by an identity that was proved within one request: an ID token, a wallet's message.

use mainstay_core::error::BackendError;
use mainstay_core::secret::Secret;
use mainstay_core::transaction::Decision;
use serde_json::Value as Json;

use super::external::{announce, is_taken};
use crate::audit::{self, Action};
use crate::error::Error;
use crate::external::linking::{self, Visitor};
use crate::room::AuthRoom;
use crate::sessions::{self, Client, Granted, Method};
use crate::store::Tx;
use crate::users::{self, UserId};
use crate::web3::used::Once;

/// Who comes in, and how.
#[derive(Clone)]
pub struct Entering {
    pub visitor: Visitor,
    /// Whose identity it becomes, if somebody who is signed in links it.
    pub linking: Option<UserId>,
    pub method: Method,
    /// What proved it, if that is good for one session.
    pub once: Option<Once>,
    /// What the audit log says of it.
    pub traits: Json,
    pub client: Client,
}

/// Finds or makes the account and begins a session, once more if somebody made the same account meanwhile.
pub async fn enter(room: &AuthRoom, entering: Entering) -> Result<Granted, Error> {
    if entering.linking.is_none() {
        announce(room, &entering.visitor).await?;
    }
    let token = sessions::refresh_token()?;
    let attempt = async || {
        let (entering, token) = (entering.clone(), token.clone());
        room.store
            .transact(move |tx| settle(tx, entering.clone(), token.clone()))
            .await
    };
    let entered = match attempt().await {
        Err(error) if is_taken(&error) => attempt().await,
        other => other,
    };
    entered.map_err(|error| Error::of_database("Database error saving new user", error))?
}

async fn settle(
    tx: Tx,
    entering: Entering,
    token: Secret<String>,
) -> Result<Decision<Result<Granted, Error>>, BackendError> {
    let refused = |error| Ok(Decision::Rollback(Err(error)));
    if let Some(once) = &entering.once
        && !once.redeem(&tx).await?
    {
        return refused(Error::OAuth("invalid_grant", "Signed message was used before"));
    }
    let outcome = match entering.linking {
        Some(user) => linking::link(&tx, &entering.visitor, user).await?,
        None => linking::sign_in(&tx, &entering.visitor).await?,
    };
    let user = match outcome {
        Ok(user) => user,
        Err(error) => return refused(error),
    };
    audit::record_own(&tx, user, Action::Login, entering.traits).await?;
    users::signed_in(&tx, user).await?;
    let session = sessions::begin(&tx, user, entering.method, &entering.client, &token).await?;
    match sessions::granted(&tx, user, session, token).await? {
        Some(granted) => Ok(Decision::Commit(Ok(granted))),
        None => refused(Error::UserNotFound),
    }
}

//! Somebody comes in by an identity that was proved: within one request, by an ID token or a wallet's message, or on a way
//! through a provider (`external`), which takes the same steps.

use mainstay_core::error::BackendError;
use mainstay_core::secret::Secret;
use mainstay_core::transaction::Decision;
use serde_json::Value as Json;

use crate::audit::{self, Action};
use crate::error::Error;
use crate::external::linking::{self, Visitor};
use crate::hooks::{self, Point};
use crate::room::AuthRoom;
use crate::sessions::{self, Client, Granted, Method};
use crate::store::{Tx, is_taken};
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

/// Finds or makes the account and begins a session.
pub async fn enter(room: &AuthRoom, entering: Entering) -> Result<Granted, Error> {
    if entering.linking.is_none() {
        announce(room, &entering.visitor).await?;
    }
    let token = sessions::refresh_token()?;
    settled(|| {
        let (entering, token) = (entering.clone(), token.clone());
        room.store
            .transact(move |tx| settle(tx, entering.clone(), token.clone()))
    })
    .await
}

/// Asks the project's hook whether the visitor may become a user, if it has one and they would.
pub async fn announce(room: &AuthRoom, visitor: &Visitor) -> Result<(), Error> {
    if !room.store.issuing().hooks().has(Point::BeforeUserCreated) {
        return Ok(());
    }
    let looked = visitor.clone();
    let prospect = room
        .store
        .transact(move |tx| {
            let visitor = looked.clone();
            async move { Ok(Decision::Rollback(linking::prospect(&tx, &visitor).await?)) }
        })
        .await?;
    match prospect {
        Some(user) => hooks::before_user_created(room, &user).await,
        None => Ok(()),
    }
}

/// What an attempt comes to, or another one if somebody made the same account meanwhile.
pub async fn settled<T, F>(attempt: impl Fn() -> F) -> Result<T, Error>
where
    F: Future<Output = Result<Result<T, Error>, BackendError>>,
{
    let settled = match attempt().await {
        Err(error) if is_taken(&error) => attempt().await,
        other => other,
    };
    settled.map_err(|error| Error::of_database("Database error saving new user", error))?
}

async fn settle(
    tx: Tx,
    entering: Entering,
    token: Secret<String>,
) -> Result<Decision<Result<Granted, Error>>, BackendError> {
    if let Some(once) = &entering.once
        && !once.redeem(&tx).await?
    {
        let error = Error::OAuth("invalid_grant", "Signed message was used before");
        return Ok(Decision::Rollback(Err(error)));
    }
    let user = match account(&tx, &entering.visitor, entering.linking).await? {
        Ok(user) => user,
        Err(error) => return Ok(Decision::Rollback(Err(error))),
    };
    begin(&tx, user, entering.method, entering.traits, &entering.client, token).await
}

/// The account that the visitor signs in to, or that of whoever links the visitor's identity.
pub async fn account(
    tx: &Tx,
    visitor: &Visitor,
    linking: Option<UserId>,
) -> Result<Result<UserId, Error>, BackendError> {
    match linking {
        Some(user) => linking::link(tx, visitor, user).await,
        None => linking::sign_in(tx, visitor).await,
    }
}

/// Begins the session of somebody who has come in. `traits`: what the audit log says of it.
pub async fn begin(
    tx: &Tx,
    user: UserId,
    method: Method,
    traits: Json,
    client: &Client,
    token: Secret<String>,
) -> Result<Decision<Result<Granted, Error>>, BackendError> {
    audit::record_own(tx, user, Action::Login, traits).await?;
    users::signed_in(tx, user).await?;
    let session = sessions::begin(tx, user, method, client, &token).await?;
    Ok(match sessions::granted(tx, user, session, token).await? {
        Some(granted) => Decision::Commit(Ok(granted)),
        None => Decision::Rollback(Err(Error::UserNotFound)),
    })
}

//! Making a passkey for whoever is signed in.

use http::StatusCode;
use mainstay_core::error::BackendError;
use mainstay_core::transaction::Decision;
use mainstay_http::{Request, Response};
use serde_json::json;
use uuid::Uuid;

use super::super::Signed;
use super::super::factors::{Outcome, owner};
use super::{answered, asked, party};
use crate::audit::{self, Action, Actor};
use crate::error::{Error, PasskeyError};
use crate::factors;
use crate::passkeys::challenges::{self, Purpose};
use crate::passkeys::{self, PasskeyId};
use crate::response;
use crate::room::AuthRoom;
use crate::sessions::{self, Client, Session};
use crate::store::Tx;
use crate::users::{self, User};
use crate::webauthn::{Credential, Made, name_of};

/// The user and the session that may change passkeys. Errors: somebody anonymous, an account of single sign-on, a session
/// of the first level where there is a second factor.
pub async fn manager(room: &AuthRoom, signed: Signed) -> Result<(User, Session), Error> {
    let (user, session) = owner(signed)?;
    let factors = factors::of_user(&room.store, user.id).await?;
    if factors.iter().any(|factor| factor.is_verified) && !session.is_second_level() {
        return Err(PasskeyError::NeedsAal2.into());
    }
    Ok((user, session))
}

async fn maker(room: &AuthRoom, signed: Signed) -> Result<(User, Session), Error> {
    match signed.user.is_sso {
        true => Err(PasskeyError::SsoManaged.into()),
        false => manager(room, signed).await,
    }
}

/// `POST /passkeys/registration/options`
pub async fn ask(room: &AuthRoom, signed: Signed, client: &Client) -> Result<Response, Error> {
    let (user, _) = maker(room, signed).await?;
    room.limits.passkey(client)?;
    let known = passkeys::of_user(&room.store, user.id).await?;
    if known.len() >= room.config.passkeys.per_user_max {
        return Err(PasskeyError::TooMany.into());
    }
    let known = known.into_iter().map(|passkey| passkey.credential.id).collect();
    let ceremony = party(room)?.ask_passkey(&user, known)?;
    let id = Uuid::new_v4();
    let expires_at = challenges::insert(&room.store, id, Purpose::Registration(user.id), &ceremony.state)
        .await
        .map_err(|error| Error::of_database("Database error storing challenge", error))?;
    Ok(response::json(StatusCode::OK, &asked(id, &ceremony, expires_at)))
}

/// `POST /passkeys/registration/verify`
pub async fn make(room: &AuthRoom, signed: Signed, request: &Request, client: &Client) -> Result<Response, Error> {
    let (user, session) = maker(room, signed).await?;
    room.limits.passkey_answer(client)?;
    let (id, answer) = answered(request)?;
    let challenge = challenges::take(&room.store, id, Purpose::Registration(user.id))
        .await
        .map_err(|error| Error::of_database("Database error consuming challenge", error))?;
    let challenge = challenge.ok_or(PasskeyError::ChallengeNotFound)?;
    if challenge.is_expired {
        return Err(PasskeyError::ChallengeExpired.into());
    }
    let made = Made::read(&answer).map_err(PasskeyError::from)?;
    let credential = party(room)?
        .made_passkey(&challenge.state, &made)
        .map_err(PasskeyError::from)?;
    let new = New {
        id: PasskeyId(Uuid::new_v4()),
        user: user.clone(),
        session,
        credential,
        most: room.config.passkeys.per_user_max,
    };
    let passkey = new.id;
    room.store
        .transact(move |tx| keep(tx, new.clone()))
        .await
        .map_err(taken)??;
    let kept = passkeys::of_user(&room.store, user.id).await?;
    let kept = kept.iter().find(|kept| kept.id == passkey);
    let kept = kept.ok_or(PasskeyError::NotFound)?;
    Ok(response::json(StatusCode::OK, &kept.json()))
}

/// A passkey that is about to be kept.
#[derive(Clone)]
struct New {
    id: PasskeyId,
    user: User,
    session: Session,
    credential: Credential,
    /// Passkeys that a user may have.
    most: usize,
}

/// Keeps the passkey, unless the user has too many by now, or may not any more.
async fn keep(tx: Tx, new: New) -> Outcome<()> {
    let refused = |error: Error| Ok(Decision::Rollback(Err(error)));
    if let Err(error) = still_manages(&tx, &new.user, &new.session).await? {
        return refused(error);
    }
    if passkeys::is_taken(&tx, &new.credential.id).await? {
        return refused(PasskeyError::Exists.into());
    }
    if passkeys::of_user_in(&tx, new.user.id).await?.len() >= new.most {
        return refused(PasskeyError::TooMany.into());
    }
    let name = name_of(new.credential.aaguid);
    passkeys::insert(&tx, new.id, new.user.id, name, &new.credential).await?;
    let about = json!({"passkey_id": new.id.to_string()});
    audit::record(&tx, &Actor::from(&new.user), Action::PasskeyCreated, about).await?;
    Ok(Decision::Commit(Ok(())))
}

/// Looks again while the user is held: the session may have ended, or a second factor have come, since.
pub async fn still_manages(tx: &Tx, user: &User, session: &Session) -> Result<Result<(), Error>, BackendError> {
    if users::lock(tx, user.id).await?.is_none() {
        return Ok(Err(Error::TokenUserNotFound));
    }
    let Some(session) = sessions::lock(tx, session.id).await? else {
        return Ok(Err(Error::TokenSessionNotFound));
    };
    let factors = factors::of_user_in(tx, user.id).await?;
    Ok(
        match factors.iter().any(|factor| factor.is_verified) && !session.is_second_level() {
            true => Err(PasskeyError::NeedsAal2.into()),
            false => Ok(()),
        },
    )
}

/// Two users may come with one credential at once.
fn taken(error: BackendError) -> Error {
    match &error {
        BackendError::Refused(refused) if refused.sqlstate == "23505" => PasskeyError::Exists.into(),
        _ => Error::of_database("Database error creating passkey", error),
    }
}

//! Making a passkey for whoever is signed in.

use http::StatusCode;
use mainstay_core::error::BackendError;
use mainstay_core::transaction::Decision;
use mainstay_http::{Request, Response};
use serde_json::json;
use uuid::Uuid;

use super::super::Signed;
use super::super::factors::{Outcome, owner};
use super::super::held::held_session;
use super::{answered, asked, party};
use crate::audit::{self, Action, Actor};
use crate::error::{Error, PasskeyError};
use crate::factors::{self, Factor};
use crate::passkeys::challenges::Purpose;
use crate::passkeys::{self, Passkey, PasskeyId};
use crate::response;
use crate::room::AuthRoom;
use crate::sessions::{Client, Session};
use crate::store::{Tx, is_taken};
use crate::users::User;
use crate::webauthn::{Credential, Made, name_of};

/// The user and the session that may make passkeys. Errors: somebody anonymous, an account of single sign-on, a session of
/// the first level where there is a second factor.
async fn maker(room: &AuthRoom, signed: Signed) -> Result<(User, Session), Error> {
    if signed.user.is_sso {
        return Err(PasskeyError::SsoManaged.into());
    }
    let (user, session) = owner(signed)?;
    let factors = factors::of_user(&room.store, user.id).await?;
    may_manage(&factors, &session)?;
    Ok((user, session))
}

fn may_manage(factors: &[Factor], session: &Session) -> Result<(), Error> {
    match factors::has_verified(factors) && !session.is_second_level() {
        true => Err(PasskeyError::NeedsAal2.into()),
        false => Ok(()),
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
    asked(room, Purpose::Registration(user.id), &ceremony).await
}

/// `POST /passkeys/registration/verify`
pub async fn make(room: &AuthRoom, signed: Signed, request: &Request, client: &Client) -> Result<Response, Error> {
    let (user, session) = maker(room, signed).await?;
    room.limits.passkey_answer(client)?;
    let (state, answer) = answered(room, Purpose::Registration(user.id), request).await?;
    let made = Made::read(&answer).map_err(PasskeyError::from)?;
    let credential = party(room)?.made_passkey(&state, &made).map_err(PasskeyError::from)?;
    let new = New {
        id: PasskeyId(Uuid::new_v4()),
        user,
        session,
        credential,
        most: room.config.passkeys.per_user_max,
    };
    let kept = room
        .store
        .transact(move |tx| keep(tx, new.clone()))
        .await
        .map_err(taken)??;
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
async fn keep(tx: Tx, new: New) -> Outcome<Passkey> {
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
    let kept = passkeys::of_user_in(&tx, new.user.id).await?;
    let kept = kept.into_iter().find(|kept| kept.id == new.id);
    Ok(Decision::Commit(kept.ok_or(PasskeyError::NotFound.into())))
}

/// Looks while the user is held: the session may have ended, or a second factor have come, since. Errors: those of whoever
/// makes passkeys.
pub async fn still_manages(tx: &Tx, user: &User, session: &Session) -> Result<Result<(), Error>, BackendError> {
    let session = match held_session(tx, user.id, session.id).await? {
        Ok(session) => session,
        Err(error) => return Ok(Err(error)),
    };
    let factors = factors::of_user_in(tx, user.id).await?;
    Ok(may_manage(&factors, &session))
}

/// Two users may come with one credential at once.
fn taken(error: BackendError) -> Error {
    match is_taken(&error) {
        true => PasskeyError::Exists.into(),
        false => Error::of_database("Database error creating passkey", error),
    }
}

//! `/factors/recovery-codes`: codes for the day on which the second factor is lost.

use http::StatusCode;
use mainstay_core::clock;
use mainstay_core::error::BackendError;
use mainstay_core::secret::Secret;
use mainstay_core::transaction::Decision;
use mainstay_http::{Request, Response};
use serde_json::json;
use uuid::Uuid;

use super::Signed;
use super::factor_answers::settle;
use super::factors::{Outcome, about, drop_factor, owner};
use super::held::held_session;
use crate::audit::{self, Action};
use crate::error::{Error, MfaError};
use crate::factors::attempts::{self, What};
use crate::factors::recovery::{self, CODES};
use crate::factors::{self, Factor, FactorId, Kind};
use crate::messages::notices::{self, Change};
use crate::request::{self, NameBody, RecoveryCodeBody};
use crate::response;
use crate::room::AuthRoom;
use crate::sessions::{Client, SessionId};
use crate::store::Tx;
use crate::users::UserId;

/// What a set is called, unless its user says otherwise.
const NAME: &str = "Recovery codes";
/// Bytes of a code, however it was typed.
const CODE_BYTES_MAX: usize = 256;

/// `GET /factors/recovery-codes`: how many there are.
pub async fn show(room: &AuthRoom, signed: Signed) -> Result<Response, Error> {
    let (user, _) = owner(signed)?;
    let set = recovery::set(&room.store, user.id)
        .await?
        .ok_or(MfaError::FactorNotFound)?;
    let body = json!({
        "id": set.id.to_string(),
        "type": set.kind.name(),
        "total": CODES,
        "remaining": recovery::left(&room.store, user.id).await?,
    });
    Ok(response::json(StatusCode::OK, &body))
}

/// A set with its codes: the only answer that has them.
fn told(set: &Factor, codes: &[Secret<String>]) -> Response {
    let codes: Vec<&String> = codes.iter().map(Secret::expose).collect();
    let body = json!({
        "id": set.id.to_string(),
        "type": set.kind.name(),
        "friendly_name": set.name,
        "total": CODES,
        "codes": codes,
    });
    response::json(StatusCode::OK, &body)
}

fn may_make(room: &AuthRoom) -> Result<(), MfaError> {
    match room.config.mfa.recovery_codes.enroll {
        true => Ok(()),
        false => Err(MfaError::EnrollDisabled(Kind::RecoveryCode)),
    }
}

/// `POST /factors/recovery-codes`: a first set.
pub async fn make(room: &AuthRoom, signed: Signed, request: &Request) -> Result<Response, Error> {
    let (user, session) = owner(signed)?;
    may_make(room)?;
    let body: NameBody = request::body(request)?;
    let name = match request::label("friendly_name", &body.friendly_name)? {
        empty if empty.is_empty() => NAME.to_owned(),
        name => name,
    };
    let codes = recovery::make()?;
    let kept = codes.clone();
    let set = room
        .store
        .transact(move |tx| keep(tx, user.id, session.id, name.clone(), kept.clone()))
        .await
        .map_err(saving)??;
    Ok(told(&set, &codes))
}

fn saving(error: BackendError) -> Error {
    Error::of_database("Database error saving recovery codes", error)
}

/// The user's factors, the user being held. Errors: the user or the session is gone, or is of the first level; `what` is
/// what was to be done.
async fn managed(
    tx: &Tx,
    user: UserId,
    session: SessionId,
    what: &'static str,
) -> Result<Result<Vec<Factor>, Error>, BackendError> {
    let session = match held_session(tx, user, session).await? {
        Ok(session) => session,
        Err(error) => return Ok(Err(error)),
    };
    let known = factors::of_user_in(tx, user).await?;
    if !session.is_second_level() {
        return Ok(Err(MfaError::RecoveryCodesNeedAal2(what).into()));
    }
    Ok(Ok(known))
}

fn set_among(known: Vec<Factor>) -> Option<Factor> {
    known.into_iter().find(|known| known.kind == Kind::RecoveryCode)
}

async fn keep(tx: Tx, user: UserId, session: SessionId, name: String, codes: Vec<Secret<String>>) -> Outcome<Factor> {
    let refused = |error| Ok(Decision::Rollback(Err(error)));
    let known = match managed(&tx, user, session, "generate").await? {
        Ok(known) => known,
        Err(error) => return refused(error),
    };
    if !factors::has_verified(&known) {
        return refused(MfaError::RecoveryCodesSole.into());
    }
    if known.iter().any(|known| known.name == name) {
        return refused(MfaError::NameTaken(name).into());
    }
    if set_among(known).is_some() {
        return refused(MfaError::RecoveryCodesExist.into());
    }
    recovery::insert(&tx, FactorId(Uuid::new_v4()), user, &name, &codes).await?;
    let Some(set) = recovery::set_in(&tx, user).await? else {
        return refused(MfaError::FactorNotFound.into());
    };
    audit::record_own(&tx, user, Action::FactorInProgress, about(&set)).await?;
    let kind = set.kind.name();
    notices::tell(&tx, user, Change::FactorEnrolled { kind }).await?;
    Ok(Decision::Commit(Ok(set)))
}

/// `POST /factors/recovery-codes/regenerate`: other codes in the place of those that are left.
pub async fn remake(room: &AuthRoom, signed: Signed) -> Result<Response, Error> {
    let (user, session) = owner(signed)?;
    may_make(room)?;
    let codes = recovery::make()?;
    let kept = codes.clone();
    let set = room
        .store
        .transact(move |tx| replace(tx, user.id, session.id, kept.clone()))
        .await
        .map_err(saving)??;
    Ok(told(&set, &codes))
}

async fn replace(tx: Tx, user: UserId, session: SessionId, codes: Vec<Secret<String>>) -> Outcome<Factor> {
    let known = match managed(&tx, user, session, "regenerate").await? {
        Ok(known) => known,
        Err(error) => return Ok(Decision::Rollback(Err(error))),
    };
    let Some(set) = set_among(known) else {
        return Ok(Decision::Rollback(Err(MfaError::FactorNotFound.into())));
    };
    attempts::passed(&tx, user, What::RecoveryCodes).await?;
    recovery::replace(&tx, user, &codes).await?;
    audit::record_own(&tx, user, Action::FactorUpdated, about(&set)).await?;
    Ok(Decision::Commit(Ok(set)))
}

/// `DELETE /factors/recovery-codes`
pub async fn delete(room: &AuthRoom, signed: Signed) -> Result<Response, Error> {
    let (user, session) = owner(signed)?;
    let id = room
        .store
        .transact(move |tx| remove(tx, user.id, session.id))
        .await
        .map_err(|error| Error::of_database("Database error deleting recovery codes", error))??;
    Ok(response::json(StatusCode::OK, &json!({"id": id.to_string()})))
}

async fn remove(tx: Tx, user: UserId, session: SessionId) -> Outcome<FactorId> {
    let known = match managed(&tx, user, session, "unenroll").await? {
        Ok(known) => known,
        Err(error) => return Ok(Decision::Rollback(Err(error))),
    };
    let Some(set) = set_among(known) else {
        return Ok(Decision::Rollback(Err(MfaError::FactorNotFound.into())));
    };
    drop_factor(&tx, &set).await?;
    Ok(Decision::Commit(Ok(set.id)))
}

/// `POST /factors/recovery-codes/verify`: the session at the second level, as after a factor's code.
pub async fn redeem(room: &AuthRoom, signed: Signed, request: &Request, client: &Client) -> Result<Response, Error> {
    let (user, session) = owner(signed)?;
    room.limits.challenge_answer(client)?;
    if !room.config.mfa.recovery_codes.verify {
        return Err(MfaError::VerifyDisabled(Kind::RecoveryCode).into());
    }
    let body: RecoveryCodeBody = request::body(request)?;
    if body.code.is_empty() {
        return Err(Error::Validation("Code needs to be non-empty".into()));
    }
    let code = Secret::new(body.code);
    let tried = room
        .store
        .transact(move |tx| judge(tx, user.id, session.id, code.clone()))
        .await
        .map_err(|error| Error::of_database("Database error verifying recovery code", error))??;
    settle(room, session.id, tried.set, tried.is_right, MfaError::WrongRecoveryCode).await
}

/// What came of a code.
struct Tried {
    set: Factor,
    is_right: bool,
}

async fn judge(tx: Tx, user: UserId, session: SessionId, code: Secret<String>) -> Outcome<Tried> {
    let refused = |error| Ok(Decision::Rollback(Err(error)));
    let now = clock::now();
    if let Err(error) = held_session(&tx, user, session).await? {
        return refused(error);
    }
    if let Some(retry_seconds) = attempts::wait_of(&tx, user, What::RecoveryCodes, now).await? {
        return refused(MfaError::RecoveryCodesLocked { retry_seconds }.into());
    }
    // Whoever has none learns what everybody learns of a wrong one.
    let set = set_among(factors::of_user_in(&tx, user).await?);
    let Some(set) = set.filter(|_| code.expose().len() <= CODE_BYTES_MAX) else {
        return refused(MfaError::WrongRecoveryCode.into());
    };
    let is_right = recovery::redeem(&tx, user, &code).await?;
    match is_right {
        true => attempts::passed(&tx, user, What::RecoveryCodes).await?,
        false => attempts::failed(&tx, user, What::RecoveryCodes, now).await?,
    }
    Ok(Decision::Commit(Ok(Tried { set, is_right })))
}

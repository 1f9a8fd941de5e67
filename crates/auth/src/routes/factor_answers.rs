//! `/factors/{id}/challenge` and `/factors/{id}/verify`: a factor is asked for, and proved.
//!
//! Lives here: codes of authenticator apps, and what every kind of factor does once its answer is judged.
//! Not here: numbers (`factor_phone`), keys (`key_factors`), recovery codes (`recovery_codes`).

use std::net::IpAddr;

use http::StatusCode;
use jiff::Timestamp;
use mainstay_core::clock;
use mainstay_core::error::BackendError;
use mainstay_core::secret::Secret;
use mainstay_core::transaction::Decision;
use mainstay_http::{Request, Response};
use serde_json::json;
use uuid::Uuid;

use super::factors::{Outcome, about, bad_kind, own, owner};
use super::held::held_session;
use super::{Signed, factor_phone, key_factors};
use crate::audit::{self, Action};
use crate::error::{Error, MfaError};
use crate::factors::attempts::{self, What};
use crate::factors::challenges::{self, Challenge};
use crate::factors::{self, Factor, Kind, totp};
use crate::hooks;
use crate::messages::notices::{self, Change};
use crate::request::{self, VerifyFactorBody};
use crate::response;
use crate::room::AuthRoom;
use crate::sessions::{self, Client, Granted, Session, SessionId};
use crate::store::Tx;

/// `POST /factors/{id}/challenge`
pub async fn challenge(
    room: &AuthRoom,
    signed: Signed,
    id: &str,
    request: &Request,
    client: &Client,
) -> Result<Response, Error> {
    let (user, _) = owner(signed)?;
    let factor = own(room, &user, id).await?;
    room.limits.challenge(client)?;
    if factor.kind == Kind::RecoveryCode {
        return Err(bad_kind());
    }
    check_verifiable(room, &factor)?;
    if factor.kind == Kind::Phone {
        return factor_phone::challenge(room, factor, request, client).await;
    }
    if factor.kind == Kind::WebAuthn {
        return key_factors::challenge(room, &user, factor, client).await;
    }
    let (made, from, kind) = (Uuid::new_v4(), client.address, factor.kind);
    let expires_at = room
        .store
        .transact(move |tx| {
            let factor = factor.clone();
            async move {
                let expires = challenged(&tx, &factor, made, from, clock::now()).await?;
                Ok(Decision::Commit(expires))
            }
        })
        .await
        .map_err(|error| Error::of_database("Database error creating challenge", error))?;
    let body = json!({"id": made.to_string(), "type": kind.name(), "expires_at": expires_at});
    Ok(response::json(StatusCode::OK, &body))
}

/// Makes a challenge of the factor. Returns when it expires, in seconds since 1970.
pub async fn challenged(
    tx: &Tx,
    factor: &Factor,
    id: Uuid,
    from: Option<IpAddr>,
    now: Timestamp,
) -> Result<i64, BackendError> {
    let expires = challenges::insert(tx, factor.id, id, from, now).await?;
    audit::record_own(tx, factor.user, Action::ChallengeCreated, about(factor)).await?;
    Ok(expires)
}

/// `POST /factors/{id}/verify`: the session at the second level, with new tokens.
pub async fn verify(
    room: &AuthRoom,
    signed: Signed,
    id: &str,
    request: &Request,
    client: &Client,
) -> Result<Response, Error> {
    let (user, session) = owner(signed)?;
    let factor = own(room, &user, id).await?;
    room.limits.challenge_answer(client)?;
    let body: VerifyFactorBody = request::body(request)?;
    if factor.kind == Kind::RecoveryCode {
        return Err(bad_kind());
    }
    if body.code.is_empty() && factor.kind != Kind::WebAuthn {
        return Err(Error::Validation("Code needs to be non-empty".into()));
    }
    check_verifiable(room, &factor)?;
    let challenge: Uuid = body
        .challenge_id
        .parse()
        .map_err(|_| Error::Validation("challenge_id must be an UUID".into()))?;
    if factor.kind == Kind::WebAuthn {
        return key_factors::verify(room, session.id, factor, challenge, body.webauthn, client).await;
    }
    let (proof, wrong) = match factor.kind {
        Kind::Phone => {
            let digest = room.letters.codes.digest_of(&challenge.to_string(), &body.code);
            (Proof::Text { digest }, MfaError::WrongPhoneCode)
        }
        _ => {
            let secret = room.config.seals.open(factor.id.0, &factor.secret)?;
            let code = Secret::new(body.code);
            (Proof::Totp { secret, code }, MfaError::WrongCode)
        }
    };
    let answer = Answer {
        session: session.id,
        factor: factor.clone(),
        proof,
        challenge,
        client: client.clone(),
        now: clock::now(),
    };
    let is_right = room
        .store
        .transact(move |tx| judge(tx, answer.clone()))
        .await
        .map_err(|error| Error::of_database("Database error verifying factor", error))??;
    settle(room, session.id, factor, is_right, wrong).await
}

/// An answer to a challenge.
#[derive(Clone)]
struct Answer {
    session: SessionId,
    factor: Factor,
    proof: Proof,
    challenge: Uuid,
    client: Client,
    now: Timestamp,
}

/// What an answer shows.
#[derive(Clone)]
enum Proof {
    /// A code, and the factor's secret, opened.
    Totp {
        secret: Secret<String>,
        code: Secret<String>,
    },
    /// The digest of a code that was sent.
    Text { digest: String },
}

/// Errors: `VerifyDisabled`, by the settings.
fn check_verifiable(room: &AuthRoom, factor: &Factor) -> Result<(), Error> {
    match room.config.mfa.of(factor.kind).verify {
        true => Ok(()),
        false => Err(MfaError::VerifyDisabled(factor.kind).into()),
    }
}

/// Checks the code and uses it up. The user's row is held: of two answers with one code the second is a replay.
async fn judge(tx: Tx, answer: Answer) -> Outcome<bool> {
    let refused = |error| Ok(Decision::Rollback(Err(error)));
    let (user, now) = (answer.factor.user, answer.now);
    let factor = match held(&tx, answer.session, &answer.factor).await? {
        Ok((_, factor)) => factor,
        Err(error) => return refused(error),
    };
    let challenge = match asked(&tx, &factor, answer.challenge, answer.client.address, now).await? {
        Ok(challenge) => challenge,
        Err(error) => return Ok(Decision::Commit(Err(error))),
    };
    let is_right = match &answer.proof {
        Proof::Text { digest } => challenges::has_code(&tx, challenge.id, digest).await?,
        Proof::Totp { secret, code } => {
            let seconds = u64::try_from(now.as_second()).unwrap_or(0);
            match totp::step(secret, code.expose(), seconds) {
                Ok(Some(step)) => attempts::use_step(&tx, &factor, step).await?,
                Ok(None) => false,
                Err(error) => return refused(error),
            }
        }
    };
    if !is_right {
        attempts::failed(&tx, user, What::Factors, now).await?;
        return Ok(Decision::Commit(Ok(false)));
    }
    attempts::passed(&tx, user, What::Factors).await?;
    challenges::answered(&tx, challenge.id).await?;
    Ok(Decision::Commit(Ok(true)))
}

/// The challenge that is answered. Errors: it is none of the factor's, its time is over, and then it is gone, or the user
/// has to wait.
pub async fn asked(
    tx: &Tx,
    factor: &Factor,
    id: Uuid,
    from: Option<IpAddr>,
    now: Timestamp,
) -> Result<Result<Challenge, Error>, BackendError> {
    let Some(challenge) = challenges::by_id(tx, id, factor, from).await? else {
        return Ok(Err(MfaError::ChallengeNotFound.into()));
    };
    if let Err(error) = challenge.check(now) {
        if matches!(error, MfaError::ChallengeExpired(_)) {
            challenges::delete(tx, challenge.id).await?;
        }
        return Ok(Err(error.into()));
    }
    let may_try = attempts::check(tx, factor.user, now).await?;
    Ok(may_try.map(|()| challenge))
}

/// The session and the factor as they are while the user is held. Errors: one of them is gone, or the factor cannot be
/// finished from a session of the first level.
pub async fn held(
    tx: &Tx,
    session: SessionId,
    factor: &Factor,
) -> Result<Result<(Session, Factor), Error>, BackendError> {
    let session = match held_session(tx, factor.user, session).await? {
        Ok(session) => session,
        Err(error) => return Ok(Err(error)),
    };
    let known = factors::of_user_in(tx, factor.user).await?;
    let has_another = factors::has_verified(&known);
    let Some(factor) = known.into_iter().find(|known| known.id == factor.id) else {
        return Ok(Err(MfaError::FactorNotFound.into()));
    };
    // Enrolled before there was another one, or it would have been refused then.
    if !factor.is_verified && has_another && !session.is_second_level() {
        return Ok(Err(MfaError::EnrollNeedsAal2.into()));
    }
    Ok(Ok((session, factor)))
}

/// Asks the project's hook about an answer that was judged, and raises the session if it was right.
pub async fn settle(
    room: &AuthRoom,
    session: SessionId,
    factor: Factor,
    is_right: bool,
    wrong: MfaError,
) -> Result<Response, Error> {
    hooks::factor_tried(room, factor.user, factor.id.0, factor.kind.name(), is_right).await?;
    if !is_right {
        return Err(wrong.into());
    }
    let token = sessions::refresh_token()?;
    let granted = room
        .store
        .transact(move |tx| raise(tx, session, factor.clone(), token.clone()))
        .await
        .map_err(|error| Error::of_database("Database error verifying factor", error))?;
    room.signed_in(&granted?).await
}

/// What every kind of factor does once it is proved.
async fn raise(tx: Tx, session: SessionId, factor: Factor, token: Secret<String>) -> Outcome<Granted> {
    let (session, factor) = match held(&tx, session, &factor).await? {
        Ok(found) => found,
        Err(error) => return Ok(Decision::Rollback(Err(error))),
    };
    if factor.kind != Kind::RecoveryCode {
        factors::verified(&tx, factor.id).await?;
        factors::delete_unverified(&tx, factor.user, factor.kind).await?;
    }
    if !factor.is_verified {
        let kind = factor.kind.name();
        notices::tell(&tx, factor.user, Change::FactorEnrolled { kind }).await?;
    }
    sessions::raise(&tx, &session, &factor, &token).await?;
    audit::record_own(&tx, factor.user, Action::VerificationAttempted, about(&factor)).await?;
    let granted = sessions::granted(&tx, factor.user, session.id, token).await?;
    Ok(Decision::Commit(granted.ok_or(Error::TokenSessionNotFound)))
}

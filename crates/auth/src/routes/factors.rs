//! `/factors`: a user's second factors.
//!
//! Not here: how they are asked for and proved (`factor_answers`).

use http::StatusCode;
use mainstay_core::clock;
use mainstay_core::error::BackendError;
use mainstay_core::transaction::Decision;
use mainstay_http::{Request, Response};
use serde_json::{Value as Json, json};
use uuid::Uuid;

pub use super::factor_answers::{challenge, verify};
use super::held::held_session;
use super::{Signed, factor_phone, key_factors};
use crate::audit::{self, Action, Actor};
use crate::config::{MfaRules, Switches};
use crate::error::{Error, MfaError};
use crate::factors::{self, Factor, FactorId, Kind, NewFactor, totp};
use crate::messages::notices::{self, Change};
use crate::request::{self, EnrollBody};
use crate::response;
use crate::room::AuthRoom;
use crate::sessions::{self, Session};
use crate::store::{Tx, is_taken};
use crate::users::User;

impl MfaRules {
    /// What may be done with factors of the kind.
    pub fn of(&self, kind: Kind) -> Switches {
        match kind {
            Kind::Totp => self.totp,
            Kind::Phone => self.phone,
            Kind::WebAuthn => self.webauthn,
            Kind::RecoveryCode => self.recovery_codes,
        }
    }
}

/// The user and the session that factors are asked of. Errors: somebody anonymous, a token without a session.
pub fn owner(signed: Signed) -> Result<(User, Session), Error> {
    if signed.user.is_anonymous {
        return Err(MfaError::Anonymous.into());
    }
    let session = signed.session.ok_or(Error::TokenSessionNotFound)?;
    Ok((signed.user, session))
}

/// The user's own factor with the id of a path. Somebody else's is none.
pub async fn own(room: &AuthRoom, user: &User, id: &str) -> Result<Factor, Error> {
    let id = id.parse().map(FactorId).map_err(|_| MfaError::BadFactorId)?;
    let factors = factors::of_user(&room.store, user.id).await?;
    let found = factors.into_iter().find(|factor| factor.id == id);
    Ok(found.ok_or(MfaError::FactorNotFound)?)
}

/// What came of a transaction: an answer, or why there is none.
pub type Outcome<T> = Result<Decision<Result<T, Error>>, BackendError>;

/// `POST /factors`: a new factor, unverified. The answer has its secret, once.
pub async fn enroll(room: &AuthRoom, signed: Signed, request: &Request) -> Result<Response, Error> {
    let (user, session) = owner(signed)?;
    let body: EnrollBody = request::body(request)?;
    let kind = Kind::of_name(&body.factor_type).filter(|kind| *kind != Kind::RecoveryCode);
    let kind = kind.ok_or_else(bad_kind)?;
    let rules = &room.config.mfa;
    if !rules.of(kind).enroll {
        return Err(MfaError::EnrollDisabled(kind).into());
    }
    let name = request::label("friendly_name", &body.friendly_name)?;
    if kind == Kind::WebAuthn {
        return key_factors::enroll(room, user, session, name).await;
    }
    if kind == Kind::Phone {
        let factor = NewFactor {
            id: FactorId(Uuid::new_v4()),
            name,
            kind,
            secret: None,
            phone: Some(factor_phone::number(&body.phone)?),
        };
        let sent = factor_phone::enrolled(&factor, &body.phone);
        return enrol(room, user, session, factor).await.map(|()| sent);
    }
    let issuer = match request::label("issuer", &body.issuer)? {
        empty if empty.is_empty() => rules.issuer.clone(),
        issuer => issuer,
    };
    let enrolment = totp::enroll(&issuer, &user.account())?;
    let id = Uuid::new_v4();
    let factor = NewFactor {
        id: FactorId(id),
        name: name.clone(),
        kind,
        secret: Some(room.config.seals.seal(id, &enrolment.secret)?),
        phone: None,
    };
    enrol(room, user, session, factor.clone()).await?;
    let body = json!({
        "id": factor.id.to_string(),
        "type": kind.name(),
        "friendly_name": name,
        "totp": {
            "qr_code": enrolment.picture.expose(),
            "secret": enrolment.secret.expose(),
            "uri": enrolment.uri.expose(),
        },
    });
    Ok(response::json(StatusCode::OK, &body))
}

/// Keeps a new factor. Errors: those of [`keep`].
pub async fn enrol(room: &AuthRoom, user: User, session: Session, factor: NewFactor) -> Result<(), Error> {
    let (name, most) = (factor.name.clone(), room.config.mfa.enrolled_max);
    room.store
        .transact(move |tx| keep(tx, user.clone(), session.clone(), factor.clone(), most))
        .await
        .map_err(|error| taken(error, &name))?
}

/// A kind that nobody may name there.
pub fn bad_kind() -> Error {
    Error::Validation("factor_type needs to be totp, phone, or webauthn".into())
}

/// Keeps the factor unless the user has too many, one of its name, or has to prove another one first.
async fn keep(tx: Tx, user: User, session: Session, factor: NewFactor, most: usize) -> Outcome<()> {
    let refused = |error: MfaError| Ok(Decision::Rollback(Err(error.into())));
    let session = match held_session(&tx, user.id, session.id).await? {
        Ok(session) => session,
        Err(error) => return Ok(Decision::Rollback(Err(error))),
    };
    factors::sweep(&tx, user.id, clock::now()).await?;
    let mut known = factors::of_user_in(&tx, user.id).await?;
    // A number is a factor once; an enrolment of it that was not finished gives way.
    if let Some(phone) = &factor.phone
        && let Some(at) = known.iter().position(|known| known.phone == *phone)
    {
        if known[at].is_verified {
            return refused(MfaError::PhoneFactorExists);
        }
        factors::delete(&tx, &known.remove(at)).await?;
    }
    if !factor.name.is_empty() && known.iter().any(|known| known.name == factor.name) {
        return refused(MfaError::NameTaken(factor.name));
    }
    if known.len() >= most {
        return refused(MfaError::TooManyFactors);
    }
    if factors::has_verified(&known) && !session.is_second_level() {
        return refused(MfaError::EnrollNeedsAal2);
    }
    factors::insert(&tx, user.id, &factor).await?;
    let about = json!({"factor_id": factor.id.to_string(), "factor_type": factor.kind.name()});
    audit::record(&tx, &Actor::from(&user), Action::FactorInProgress, about).await?;
    Ok(Decision::Commit(Ok(())))
}

/// The database's own rule on names looks at them without the blanks around them.
pub fn taken(error: BackendError, name: &str) -> Error {
    match is_taken(&error) {
        true => MfaError::NameTaken(name.to_owned()).into(),
        false => Error::of_database("Database error saving factor", error),
    }
}

/// What an entry of the audit log says of a factor.
pub fn about(factor: &Factor) -> Json {
    json!({"factor_id": factor.id.to_string(), "factor_type": factor.kind.name()})
}

/// `DELETE /factors/{id}`: a verified factor goes only from a session of the second level.
pub async fn unenroll(room: &AuthRoom, signed: Signed, id: &str) -> Result<Response, Error> {
    let (user, session) = owner(signed)?;
    let factor = own(room, &user, id).await?;
    let gone = factor.id;
    room.store
        .transact(move |tx| remove(tx, session.clone(), factor.clone()))
        .await
        .map_err(|error| Error::of_database("Database error deleting factor", error))??;
    Ok(response::json(StatusCode::OK, &json!({"id": gone.to_string()})))
}

async fn remove(tx: Tx, session: Session, factor: Factor) -> Outcome<()> {
    let refused = |error| Ok(Decision::Rollback(Err(error)));
    let session = match held_session(&tx, factor.user, session.id).await? {
        Ok(session) => session,
        Err(error) => return refused(error),
    };
    let known = factors::of_user_in(&tx, factor.user).await?;
    let Some(factor) = known.into_iter().find(|known| known.id == factor.id) else {
        return refused(MfaError::FactorNotFound.into());
    };
    if factor.is_verified && !session.is_second_level() {
        return refused(MfaError::UnenrollNeedsAal2.into());
    }
    drop_factor(&tx, &factor).await?;
    Ok(Decision::Commit(Ok(())))
}

/// Deletes a factor by its user's own hand, and what goes with it: the sessions that it raised are lowered, and the user
/// is told.
pub async fn drop_factor(tx: &Tx, factor: &Factor) -> Result<(), BackendError> {
    for gone in factors::delete(tx, factor).await? {
        sessions::lower(tx, &gone).await?;
        audit::record_own(tx, gone.user, Action::FactorUnenrolled, about(&gone)).await?;
        if gone.is_verified {
            let kind = gone.kind.name();
            notices::tell(tx, gone.user, Change::FactorUnenrolled { kind }).await?;
        }
    }
    Ok(())
}

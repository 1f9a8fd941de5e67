//! `/factors` of type `webauthn`: keys that sign, as second factors.
//!
//! A key's answer is judged between two transactions, for that is arithmetic: the first takes the challenge, whatever
//! comes of it, and the second keeps what has come of it.

use http::StatusCode;
use mainstay_core::clock;
use mainstay_core::transaction::Decision;
use mainstay_http::Response;
use serde_json::{Value as Json, json};
use uuid::Uuid;

use super::factor_answers::{asked, challenged, held, settle};
use super::factors::{Outcome, enrol};
use super::passkeys::party;
use crate::error::{Error, MfaError};
use crate::factors::attempts::{self, What};
use crate::factors::{Factor, FactorId, Kind, NewFactor, challenges, keys};
use crate::request::KeyBody;
use crate::response;
use crate::room::AuthRoom;
use crate::sessions::{Client, Session, SessionId};
use crate::store::Tx;
use crate::users::User;
use crate::webauthn::{Assertion, Credential, Made, Refused, Signed, goes_on};

/// A factor without a key, which is made by the answer to its first challenge.
pub async fn enroll(room: &AuthRoom, user: User, session: Session, name: String) -> Result<Response, Error> {
    let factor = NewFactor {
        id: FactorId(Uuid::new_v4()),
        name: name.clone(),
        kind: Kind::WebAuthn,
        secret: None,
        phone: None,
    };
    let id = factor.id.to_string();
    enrol(room, user, session, factor).await?;
    let body = json!({"id": id, "type": Kind::WebAuthn.name(), "friendly_name": name});
    Ok(response::json(StatusCode::OK, &body))
}

/// Asks for a key to be made, for a factor that is not verified, or to sign.
pub async fn challenge(room: &AuthRoom, user: &User, factor: Factor, client: &Client) -> Result<Response, Error> {
    let party = party(room)?;
    let (ceremony, asked) = match factor.is_verified {
        false => {
            let known = keys::of_user(&room.store, user.id).await?;
            let known = known.into_iter().map(|key| key.id).collect();
            ("create", party.ask_factor(user, known)?)
        }
        true => {
            let key = keys::of_factor(&room.store, factor.id).await?;
            let key = key.ok_or_else(|| Error::Unexpected("a factor's key cannot be read".into()))?;
            ("request", party.ask_key(&key)?)
        }
    };
    let (id, from, state) = (Uuid::new_v4(), client.address, asked.state);
    let expires_at = room
        .store
        .transact(move |tx| {
            let (factor, state) = (factor.clone(), state.clone());
            async move {
                let expires = challenged(&tx, &factor, id, from, clock::now()).await?;
                keys::keep_state(&tx, id, &state).await?;
                Ok(Decision::Commit(expires))
            }
        })
        .await
        .map_err(|error| Error::of_database("Database error creating challenge", error))?;
    let body = json!({
        "id": id.to_string(),
        "type": "webauthn",
        "expires_at": expires_at,
        "webauthn": {"type": ceremony, "credential_options": {"publicKey": asked.options}},
    });
    Ok(response::json(StatusCode::OK, &body))
}

/// What an authenticator has done.
enum Answer {
    Made(Made),
    Signed(Assertion),
}

impl Answer {
    /// Errors: `Validation` for what is neither, or not what the factor is asked for.
    fn read(body: Option<KeyBody>, factor: &Factor) -> Result<Self, Error> {
        let invalid = |message: &str| Error::Validation(message.to_owned());
        let body = body.ok_or_else(|| invalid("WebAuthn config required"))?;
        let is_creation = match body.ceremony.as_str() {
            "create" => true,
            "request" => false,
            _ => return Err(invalid("WebAuthn type must be create or request")),
        };
        let answer = body
            .credential_response
            .ok_or_else(|| invalid("credential_response required"))?;
        if is_creation == factor.is_verified {
            return Err(invalid("WebAuthn type must be that of the challenge"));
        }
        let read = match is_creation {
            true => Made::read(&answer).map(Answer::Made),
            false => Assertion::read(&answer).map(Answer::Signed),
        };
        read.map_err(|_| invalid("Invalid credential_response"))
    }
}

/// What has come of an answer.
#[derive(Clone, Debug)]
enum Judged {
    Made(Credential),
    Signed(Signed),
    Wrong,
}

/// Judges an answer. The session is raised if it is right.
pub async fn verify(
    room: &AuthRoom,
    session: SessionId,
    factor: Factor,
    challenge: Uuid,
    body: Option<KeyBody>,
    client: &Client,
) -> Result<Response, Error> {
    let answer = Answer::read(body, &factor)?;
    let failed = |error| Error::of_database("Database error verifying factor", error);
    let (asked, from) = (factor.clone(), client.address);
    let state = room
        .store
        .transact(move |tx| take(tx, session, asked.clone(), challenge, from))
        .await
        .map_err(failed)??;
    let party = party(room)?;
    let judged = match &answer {
        Answer::Made(made) => party.made_factor(&state, made).map(Judged::Made),
        // A key that says whose it is says so rightly.
        Answer::Signed(assertion) if assertion.names(factor.user) == Some(false) => Err(Refused::Wrong),
        Answer::Signed(assertion) => party.signed(&state, assertion).map(Judged::Signed),
    };
    let judged = judged.unwrap_or(Judged::Wrong);
    let asked = factor.clone();
    let is_right = room
        .store
        .transact(move |tx| keep(tx, session, asked.clone(), judged.clone()))
        .await
        .map_err(failed)??;
    settle(room, session, factor, is_right, MfaError::WrongKey).await
}

/// Takes the challenge, while the user is held: of two answers the second finds it answered.
async fn take(
    tx: Tx,
    session: SessionId,
    factor: Factor,
    challenge: Uuid,
    from: Option<std::net::IpAddr>,
) -> Outcome<Json> {
    let factor = match held(&tx, session, &factor).await? {
        Ok((_, factor)) => factor,
        Err(error) => return Ok(Decision::Rollback(Err(error))),
    };
    let challenge = match asked(&tx, &factor, challenge, from, clock::now()).await? {
        Ok(challenge) => challenge,
        Err(error) => return Ok(Decision::Commit(Err(error))),
    };
    let state = keys::state(&tx, challenge.id).await?;
    challenges::answered(&tx, challenge.id).await?;
    Ok(Decision::Commit(Ok(state)))
}

/// Keeps the key that was made, or its count; counts a wrong answer.
async fn keep(tx: Tx, session: SessionId, factor: Factor, judged: Judged) -> Outcome<bool> {
    let factor = match held(&tx, session, &factor).await? {
        Ok((_, factor)) => factor,
        Err(error) => return Ok(Decision::Rollback(Err(error))),
    };
    let kept = match judged {
        // Made twice for one user, one of them would vouch for the other.
        Judged::Made(key) if factor.is_verified || is_known(&tx, &factor, &key).await? => None,
        Judged::Made(key) => Some(key),
        Judged::Signed(signed) => keys::of_factor_in(&tx, factor.id)
            .await?
            .filter(|key| goes_on(key.sign_count, signed.sign_count))
            .map(|key| Credential {
                sign_count: signed.sign_count,
                backed_up: signed.backed_up,
                ..key
            }),
        Judged::Wrong => None,
    };
    match &kept {
        Some(key) => {
            keys::keep(&tx, factor.id, key).await?;
            attempts::passed(&tx, factor.user, What::Factors).await?;
        }
        None => attempts::failed(&tx, factor.user, What::Factors, clock::now()).await?,
    }
    Ok(Decision::Commit(Ok(kept.is_some())))
}

async fn is_known(tx: &Tx, factor: &Factor, key: &Credential) -> Result<bool, mainstay_core::error::BackendError> {
    let known = keys::of_user_in(tx, factor.user).await?;
    Ok(known.iter().any(|known| known.id == key.id))
}

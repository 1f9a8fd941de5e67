//! `/passkeys` and `/admin/users/{id}/passkeys`: keys that sign their users in.

mod authentication;
mod manage;
mod registration;

use http::StatusCode;
use mainstay_http::{Request, Response};
use serde_json::{Value as Json, json};
use uuid::Uuid;

use super::{Signed, admin, signed_in};
use crate::audit::Actor;
use crate::error::{Error, PasskeyError};
use crate::passkeys::challenges::{self, Purpose};
use crate::request::{self, PasskeyBody};
use crate::response;
use crate::room::{AuthRoom, Who};
use crate::sessions::Client;
use crate::webauthn::{Asked, Refused, RelyingParty};

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PasskeyRoute {
    AskToMake,
    Make,
    AskToSignIn,
    SignIn,
    List,
    Rename,
    Delete,
    ListOfUser,
    DeleteOfUser,
}

/// Answers a request. `ids`: what stands in the path's places for them. `admin`: who asks, of an administrator's route.
pub async fn answer(
    room: &AuthRoom,
    who: &Who,
    route: PasskeyRoute,
    [id, second]: [&str; 2],
    admin: Actor,
    request: &Request,
    client: &Client,
) -> Result<Response, Error> {
    match route {
        PasskeyRoute::ListOfUser => manage::list_of(room, admin::user_id(id)?).await,
        PasskeyRoute::DeleteOfUser => manage::delete_of(room, admin, admin::user_id(id)?, second).await,
        PasskeyRoute::AskToSignIn => {
            are_enabled(room)?;
            authentication::ask(room, client).await
        }
        PasskeyRoute::SignIn => {
            are_enabled(room)?;
            authentication::sign_in(room, request, client).await
        }
        PasskeyRoute::AskToMake => registration::ask(room, owner(room, who).await?, client).await,
        PasskeyRoute::Make => registration::make(room, owner(room, who).await?, request, client).await,
        PasskeyRoute::List => manage::list(room, owner(room, who).await?).await,
        PasskeyRoute::Rename => manage::rename(room, owner(room, who).await?, id, request).await,
        PasskeyRoute::Delete => manage::delete(room, owner(room, who).await?, id).await,
    }
}

fn are_enabled(room: &AuthRoom) -> Result<(), PasskeyError> {
    match room.config.passkeys.is_enabled {
        true => Ok(()),
        false => Err(PasskeyError::Disabled),
    }
}

/// Who asks. Whoever may not ask is not told whether there are passkeys.
async fn owner(room: &AuthRoom, who: &Who) -> Result<Signed, Error> {
    let signed = signed_in(room, who).await?;
    are_enabled(room)?;
    Ok(signed)
}

/// Who keys are made for. The settings have one wherever something asks for it.
pub fn party(room: &AuthRoom) -> Result<&RelyingParty, Error> {
    let party = room.config.relying_party.as_ref();
    party.ok_or_else(|| Error::Unexpected("there are no settings for keys".into()))
}

impl From<Refused> for PasskeyError {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Unreadable => PasskeyError::Unreadable,
            Refused::Wrong => PasskeyError::Wrong,
        }
    }
}

/// Keeps a challenge. The answer has a client ask its authenticator.
async fn asked(room: &AuthRoom, purpose: Purpose, asked: &Asked) -> Result<Response, Error> {
    let id = Uuid::new_v4();
    let expires_at = challenges::insert(&room.store, id, purpose, &asked.state)
        .await
        .map_err(|error| Error::of_database("Database error storing challenge", error))?;
    let body = json!({"challenge_id": id.to_string(), "options": asked.options, "expires_at": expires_at});
    Ok(response::json(StatusCode::OK, &body))
}

/// Takes the challenge that is answered: what is kept of its ceremony, and the authenticator's answer.
async fn answered(room: &AuthRoom, purpose: Purpose, request: &Request) -> Result<(Json, Json), Error> {
    let (id, answer) = answer_in(request)?;
    let challenge = challenges::take(&room.store, id, purpose)
        .await
        .map_err(|error| Error::of_database("Database error consuming challenge", error))?;
    let challenge = challenge.ok_or(PasskeyError::ChallengeNotFound)?;
    match challenge.is_expired {
        true => Err(PasskeyError::ChallengeExpired.into()),
        false => Ok((challenge.state, answer)),
    }
}

/// The id of the challenge, and the authenticator's answer.
fn answer_in(request: &Request) -> Result<(Uuid, Json), Error> {
    let invalid = |message: &str| Error::Validation(message.to_owned());
    let body: PasskeyBody = request::body(request)?;
    if body.challenge_id.is_empty() {
        return Err(invalid("challenge_id is required"));
    }
    let credential = body.credential.ok_or_else(|| invalid("credential is required"))?;
    let id = body.challenge_id.parse();
    let id = id.map_err(|_| invalid("challenge_id must be a valid UUID"))?;
    Ok((id, credential))
}

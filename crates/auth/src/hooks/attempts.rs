//! `password_verification_attempt` and `mfa_verification_attempt`: the project's word on a password or a code that has
//! just been tried.
//!
//! Both are asked whether the attempt was right or wrong, and of users who are there only.

use mainstay_core::transaction::Decision;
use serde_json::{Map, Value as Json, json};
use uuid::Uuid;

use super::{HookError, Object, Point};
use crate::error::Error;
use crate::room::AuthRoom;
use crate::sessions::{self, Scope};
use crate::users::UserId;

const PASSWORDS_REJECTED: &str = "Further password verification attempts will be rejected.";
const FACTORS_REJECTED: &str = "Further MFA verification attempts will be rejected.";

/// Asks about a password. Errors: `PasswordRejected` when the hook rejects it; the user is then signed out if the hook
/// wants that.
pub async fn password_tried(room: &AuthRoom, user: UserId, is_right: bool) -> Result<(), Error> {
    let event = Map::from_iter([
        ("user_id".to_owned(), json!(user.to_string())),
        ("valid".to_owned(), json!(is_right)),
    ]);
    let hooks = room.store.issuing().hooks();
    let Some(answer) = hooks.ask(room, Point::PasswordVerificationAttempt, event).await? else {
        return Ok(());
    };
    let Some(message) = rejection(&answer, PASSWORDS_REJECTED)? else {
        return Ok(());
    };
    if answer
        .get("should_logout_user")
        .and_then(Json::as_bool)
        .unwrap_or(false)
    {
        sign_out(room, user).await?;
    }
    Err(Error::Hook(HookError::PasswordRejected(message)))
}

/// Asks about a second factor. Errors: `FactorRejected` when the hook rejects it; the user is then signed out everywhere.
pub async fn factor_tried(
    room: &AuthRoom,
    user: UserId,
    factor: Uuid,
    factor_type: &str,
    is_right: bool,
) -> Result<(), Error> {
    let event = Map::from_iter([
        ("user_id".to_owned(), json!(user.to_string())),
        ("factor_id".to_owned(), json!(factor.to_string())),
        ("factor_type".to_owned(), json!(factor_type)),
        ("valid".to_owned(), json!(is_right)),
    ]);
    let hooks = room.store.issuing().hooks();
    let Some(answer) = hooks.ask(room, Point::MfaVerificationAttempt, event).await? else {
        return Ok(());
    };
    let Some(message) = rejection(&answer, FACTORS_REJECTED)? else {
        return Ok(());
    };
    sign_out(room, user).await?;
    Err(Error::Hook(HookError::FactorRejected(message)))
}

async fn sign_out(room: &AuthRoom, user: UserId) -> Result<(), Error> {
    let ended = room.store.transact(move |tx| async move {
        sessions::end(&tx, user, Scope::Global).await?;
        Ok(Decision::Commit(()))
    });
    ended.await.map_err(Error::from)
}

/// The hook's message, or `usual`, if it rejects. Errors: an answer that says neither: it is not taken for consent.
fn rejection(answer: &Object, usual: &str) -> Result<Option<String>, Error> {
    match answer.get("decision").and_then(Json::as_str) {
        Some("continue") => Ok(None),
        Some("reject") => {
            let message = answer
                .get("message")
                .and_then(Json::as_str)
                .filter(|text| !text.is_empty());
            Ok(Some(message.unwrap_or(usual).to_owned()))
        }
        _ => Err(Error::Hook(HookError::BadAnswer(
            "output decision is neither continue nor reject".into(),
        ))),
    }
}

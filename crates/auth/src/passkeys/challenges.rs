//! Challenges of passkeys: rows of `auth.webauthn_challenges`. Each is taken once, whatever comes of it.

use mainstay_core::clock;
use mainstay_core::error::BackendError;
use serde_json::Value as Json;
use uuid::Uuid;

use crate::config::CHALLENGE_LIFETIME;
use crate::store::{Store, optional, text};
use crate::users::UserId;

const INSERT: &str = "INSERT INTO auth.webauthn_challenges (id, user_id, challenge_type, session_data, created_at, \
     expires_at) VALUES ($1::uuid, $2::uuid, $3::text, $4::jsonb, now(), $5::timestamptz)";
const TAKE: &str = "DELETE FROM auth.webauthn_challenges WHERE id = $1::uuid AND challenge_type = $2::text \
     AND user_id = $3::uuid RETURNING session_data::text, expires_at";
const TAKE_ANYBODYS: &str = "DELETE FROM auth.webauthn_challenges WHERE id = $1::uuid AND challenge_type = $2::text \
     AND user_id IS NULL RETURNING session_data::text, expires_at";

/// What is to come of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// A passkey of this user's.
    Registration(UserId),
    /// A session of whoever has the passkey that signs.
    Authentication,
}

impl Purpose {
    fn name(self) -> &'static str {
        match self {
            Purpose::Registration(_) => "registration",
            Purpose::Authentication => "authentication",
        }
    }

    fn user(self) -> Option<UserId> {
        match self {
            Purpose::Registration(user) => Some(user),
            Purpose::Authentication => None,
        }
    }
}

/// A challenge that was taken.
#[derive(Clone, Debug)]
pub struct Challenge {
    /// What is kept of the ceremony.
    pub state: Json,
    pub is_expired: bool,
}

/// Keeps a challenge. Returns when it expires, in seconds since 1970.
pub async fn insert(store: &Store, id: Uuid, purpose: Purpose, state: &Json) -> Result<i64, BackendError> {
    let expires_at = clock::now() + CHALLENGE_LIFETIME;
    let values = vec![
        text(id),
        optional(purpose.user()),
        text(purpose.name()),
        text(state),
        text(expires_at),
    ];
    store.run(INSERT, values).await?;
    Ok(expires_at.as_second())
}

/// Takes the challenge away, so that nobody answers it again. `None`: there is none of this purpose.
pub async fn take(store: &Store, id: Uuid, purpose: Purpose) -> Result<Option<Challenge>, BackendError> {
    let mut values = vec![text(id), text(purpose.name())];
    let taken = match purpose.user() {
        Some(user) => {
            values.push(text(user));
            store.run(TAKE, values).await?
        }
        None => store.run(TAKE_ANYBODYS, values).await?,
    };
    let now = clock::now();
    taken.first(|row| {
        Ok(Challenge {
            state: Json::Object(row.object()?),
            is_expired: row.time()?.is_none_or(|end| now > end),
        })
    })
}

//! Refresh tokens: rows of `auth.refresh_tokens`. Each is used once, and followed by another.

use jiff::{SignedDuration, Timestamp};
use mainstay_core::error::BackendError;
use mainstay_core::secret::Secret;

use super::SessionId;
use crate::error::Error;
use crate::secrets;
use crate::store::{Row, Tx, optional, text};
use crate::users::UserId;

const INSERT_TOKEN: &str = "INSERT INTO auth.refresh_tokens (instance_id, token, user_id, revoked, created_at, \
     updated_at, parent, session_id) \
     VALUES ('00000000-0000-0000-0000-000000000000', $1::text, $2::text, false, now(), now(), $3::text, $4::uuid)";
const FORGET_TOKENS: &str = "DELETE FROM auth.refresh_tokens WHERE session_id = $1::uuid";
const TOKEN: &str = "SELECT t.id, t.token, t.revoked, t.updated_at, t.parent, t.session_id \
     FROM auth.refresh_tokens t WHERE t.token = $1::text";
const ACTIVE_TOKEN: &str = "SELECT t.id, t.token, t.revoked, t.updated_at, t.parent, t.session_id \
     FROM auth.refresh_tokens t WHERE t.session_id = $1::uuid AND t.revoked = false ORDER BY t.id DESC LIMIT 1";
const REVOKE_TOKEN: &str = "UPDATE auth.refresh_tokens SET revoked = true, updated_at = now() WHERE id = $1::bigint";
const REVOKE_FAMILY: &str = "UPDATE auth.refresh_tokens SET revoked = true, updated_at = now() \
     WHERE session_id = $1::uuid AND revoked = false";
const SWEEP: &str = "DELETE FROM auth.refresh_tokens WHERE session_id = $1::uuid AND revoked = true \
     AND updated_at < $2::timestamptz";

/// How long a used refresh token is remembered, so that a second use of it ends its family.
pub const USED_TOKENS_KEPT: SignedDuration = SignedDuration::from_hours(7 * 24);

/// A row of `auth.refresh_tokens`.
#[derive(Clone, Debug)]
pub struct RefreshToken {
    pub id: i64,
    pub token: Secret<String>,
    pub is_revoked: bool,
    pub updated_at: Option<Timestamp>,
    pub parent: Option<Secret<String>>,
    /// `None`: made before there were sessions.
    pub session: Option<SessionId>,
}

impl RefreshToken {
    fn read(row: &mut Row) -> Result<Self, BackendError> {
        Ok(RefreshToken {
            id: row.integer()?,
            token: Secret::new(row.text()?),
            is_revoked: row.flag()?,
            updated_at: row.time()?,
            parent: row.maybe()?.map(Secret::new),
            session: row.maybe_uuid()?.map(SessionId),
        })
    }
}

/// The refresh token as it is kept.
pub async fn token(tx: &Tx, token: &Secret<String>) -> Result<Option<RefreshToken>, BackendError> {
    tx.run(TOKEN, vec![text(token.expose())])
        .await?
        .first(RefreshToken::read)
}

/// The session's token that has not been used yet.
pub async fn active_token(tx: &Tx, session: SessionId) -> Result<Option<RefreshToken>, BackendError> {
    tx.run(ACTIVE_TOKEN, vec![text(session)])
        .await?
        .first(RefreshToken::read)
}

pub async fn revoke_token(tx: &Tx, token: &RefreshToken) -> Result<(), BackendError> {
    tx.run(REVOKE_TOKEN, vec![text(token.id)]).await.map(drop)
}

/// Nothing of the session can be refreshed any more.
pub async fn revoke_family(tx: &Tx, session: SessionId) -> Result<(), BackendError> {
    tx.run(REVOKE_FAMILY, vec![text(session)]).await.map(drop)
}

/// Keeps a new refresh token, the successor of `parent`.
pub async fn insert_token(
    tx: &Tx,
    user: UserId,
    session: SessionId,
    token: &Secret<String>,
    parent: Option<&str>,
) -> Result<(), BackendError> {
    let values = vec![text(token.expose()), text(user), optional(parent), text(session)];
    tx.run(INSERT_TOKEN, values).await.map(drop)
}

/// Forgets the session's tokens that were used long before `now`.
pub(super) async fn sweep(tx: &Tx, session: SessionId, now: Timestamp) -> Result<(), BackendError> {
    match now.checked_sub(USED_TOKENS_KEPT) {
        Ok(before) => tx.run(SWEEP, vec![text(session), text(before)]).await.map(drop),
        Err(_) => Ok(()),
    }
}

/// Forgets all tokens of the session.
pub(super) async fn forget_tokens(tx: &Tx, session: SessionId) -> Result<(), BackendError> {
    tx.run(FORGET_TOKENS, vec![text(session)]).await.map(drop)
}

/// Letters of a refresh token: 124 bits.
const TOKEN_LETTERS: usize = 24;

/// A new refresh token. Letters and digits, as clients may expect; longer than the protocol's own.
pub fn refresh_token() -> Result<Secret<String>, Error> {
    secrets::letters(b"abcdefghijklmnopqrstuvwxyz0123456789", TOKEN_LETTERS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refresh_tokens_are_letters_and_digits_and_differ() {
        let tokens: std::collections::HashSet<String> =
            (0..1000).map(|_| refresh_token().unwrap().expose().clone()).collect();
        assert_eq!(tokens.len(), 1000);
        for token in &tokens {
            assert_eq!(token.len(), TOKEN_LETTERS);
            assert!(
                token
                    .bytes()
                    .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
            );
        }
    }
}

//! Challenges: rows of `auth.mfa_challenges`. Each is answered once, from the address that asked for it.

use std::net::IpAddr;

use jiff::Timestamp;
use mainstay_core::error::BackendError;
use uuid::Uuid;

use super::{Factor, FactorId, challenged};
use crate::config::CHALLENGE_LIFETIME;
use crate::error::MfaError;
use crate::store::{Row, Tx, text};

const INSERT: &str = "INSERT INTO auth.mfa_challenges (id, factor_id, created_at, ip_address) \
     VALUES ($1::uuid, $2::uuid, $3::timestamptz, $4)";
/// The address has another type in Supabase Auth's own table: the database compares it.
const BY_ID: &str = "SELECT c.id, c.created_at, c.verified_at, c.ip_address = $3 \
     FROM auth.mfa_challenges c WHERE c.id = $1::uuid AND c.factor_id = $2::uuid";
const KEEP_CODE: &str = "UPDATE auth.mfa_challenges SET otp_code = $2::text WHERE id = $1::uuid";
const HAS_CODE: &str = "SELECT c.id FROM auth.mfa_challenges c WHERE c.id = $1::uuid AND c.otp_code = $2::text";
const VERIFIED: &str = "UPDATE auth.mfa_challenges SET verified_at = now() WHERE id = $1::uuid";
const DELETE: &str = "DELETE FROM auth.mfa_challenges WHERE id = $1::uuid";

/// A challenge.
#[derive(Clone, Debug)]
pub struct Challenge {
    pub id: Uuid,
    created_at: Timestamp,
    is_answered: bool,
    /// It was asked for from where it is answered.
    is_from_here: bool,
}

impl Challenge {
    fn read(row: &mut Row) -> Result<Self, BackendError> {
        let missing = || BackendError::Internal("a challenge has no time".into());
        Ok(Challenge {
            id: row.uuid()?,
            created_at: row.time()?.ok_or_else(missing)?,
            is_answered: row.time()?.is_some(),
            is_from_here: row.flag()?,
        })
    }

    /// Errors: it was answered, was asked for from elsewhere, or has expired.
    pub fn check(&self, now: Timestamp) -> Result<(), MfaError> {
        if self.is_answered || !self.is_from_here {
            return Err(MfaError::AddressMismatch);
        }
        match now.duration_since(self.created_at) <= CHALLENGE_LIFETIME {
            true => Ok(()),
            false => Err(MfaError::ChallengeExpired(self.id)),
        }
    }
}

/// The text of an address, which is also kept where there is none.
fn address(address: Option<IpAddr>) -> String {
    address
        .unwrap_or(IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED))
        .to_string()
}

/// Makes a challenge of the factor. Returns when it expires, in seconds since 1970.
pub async fn insert(
    tx: &Tx,
    factor: FactorId,
    id: Uuid,
    from: Option<IpAddr>,
    now: Timestamp,
) -> Result<i64, BackendError> {
    // First, for it holds the factor's row: a challenge refers to it, and two at once would wait for each other.
    challenged(tx, factor, now).await?;
    let values = vec![text(id), text(factor), text(now), text(address(from))];
    tx.run(INSERT, values).await?;
    Ok((now + CHALLENGE_LIFETIME).as_second())
}

/// The challenge, if it is one of the factor's.
pub async fn by_id(
    tx: &Tx,
    id: Uuid,
    factor: &Factor,
    from: Option<IpAddr>,
) -> Result<Option<Challenge>, BackendError> {
    let values = vec![text(id), text(factor.id), text(address(from))];
    tx.run(BY_ID, values).await?.first(Challenge::read)
}

/// Keeps the digest of the code that was sent for it.
pub async fn keep_code(tx: &Tx, id: Uuid, digest: &str) -> Result<(), BackendError> {
    tx.run(KEEP_CODE, vec![text(id), text(digest)]).await.map(drop)
}

/// True if the code of this digest was sent for it.
pub async fn has_code(tx: &Tx, id: Uuid, digest: &str) -> Result<bool, BackendError> {
    let found = tx.run(HAS_CODE, vec![text(id), text(digest)]).await?;
    Ok(found.first(|row| row.uuid())?.is_some())
}

/// It was answered, and cannot be again.
pub async fn answered(tx: &Tx, id: Uuid) -> Result<(), BackendError> {
    tx.run(VERIFIED, vec![text(id)]).await.map(drop)
}

pub async fn delete(tx: &Tx, id: Uuid) -> Result<(), BackendError> {
    tx.run(DELETE, vec![text(id)]).await.map(drop)
}

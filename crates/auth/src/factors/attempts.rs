//! How often a user's codes may be guessed, and that a code is used once.
//!
//! Kept in the database, in tables of ours: a restart, or another process, forgets no guess. After a few wrong codes in a
//! row the user waits, twice as long after each further one, for all factors alike. Only somebody who has the password
//! gets here, so this shuts nobody out for whom the first factor holds.
//! Invariant: the user's row is held while this is read and written.
//!
//! Source: RFC 6238 §5.2 (a code is used once); NIST SP 800-63B §5.2.2 (guesses are bounded).

use jiff::{SignedDuration, Timestamp};
use mainstay_core::error::BackendError;

use super::{Factor, FactorId};
use crate::error::Error;
use crate::store::{Tx, text};
use crate::users::UserId;

const FAILURES: &str = "SELECT s.failures, s.failed_at FROM _mainstay.second_factors s \
     WHERE s.user_id = $1::uuid AND s.what = $2::text";
const FAILED: &str = "INSERT INTO _mainstay.second_factors (user_id, what, failures, failed_at) \
     VALUES ($1::uuid, $2::text, 1, $3::timestamptz) ON CONFLICT (user_id, what) \
     DO UPDATE SET failures = second_factors.failures + 1, failed_at = excluded.failed_at";
const PASSED: &str = "DELETE FROM _mainstay.second_factors WHERE user_id = $1::uuid AND what = $2::text";
const FORGET_FAILURES: &str = "DELETE FROM _mainstay.second_factors WHERE user_id = $1::uuid";
const STEP: &str = "SELECT t.step FROM _mainstay.totp_steps t WHERE t.factor_id = $1::uuid";
const USED: &str = "INSERT INTO _mainstay.totp_steps (factor_id, user_id, step) VALUES ($1::uuid, $2::uuid, $3::bigint) \
     ON CONFLICT (factor_id) DO UPDATE SET step = excluded.step";
const FORGET_ALL: &str = "DELETE FROM _mainstay.totp_steps WHERE user_id = $1::uuid";
const FORGET: &str = "DELETE FROM _mainstay.totp_steps WHERE factor_id = $1::uuid";

/// What is guessed at. Each has a count of its own, so that guesses at one shut nobody out of the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// The codes and answers of all of a user's factors.
    Factors,
    RecoveryCodes,
}

impl What {
    fn name(self) -> &'static str {
        match self {
            What::Factors => "factors",
            What::RecoveryCodes => "recovery codes",
        }
    }
}

/// Wrong codes in a row that cost no waiting.
const FREE: i64 = 5;
/// The wait after the first one beyond those.
const WAIT: SignedDuration = SignedDuration::from_secs(30);
const WAIT_MAX: SignedDuration = SignedDuration::from_hours(1);

/// How long a user waits after so many wrong codes in a row.
fn wait(failures: i64) -> SignedDuration {
    if failures < FREE {
        return SignedDuration::ZERO;
    }
    let doublings = u32::try_from(failures - FREE).unwrap_or(u32::MAX).min(20);
    WAIT.saturating_mul(1 << doublings).min(WAIT_MAX)
}

/// How many seconds the user has to wait before the next try. `None`: none.
pub async fn wait_of(tx: &Tx, user: UserId, what: What, now: Timestamp) -> Result<Option<u64>, BackendError> {
    let known = tx
        .run(FAILURES, vec![text(user), text(what.name())])
        .await?
        .first(|row| Ok((row.integer()?, row.time()?)))?;
    let Some((failures, Some(failed_at))) = known else {
        return Ok(None);
    };
    // A clock that was set back makes nobody wait longer than the wait itself.
    let waited = now.duration_since(failed_at).max(SignedDuration::ZERO);
    let left = wait(failures) - waited;
    Ok(left.is_positive().then(|| left.as_secs().unsigned_abs() + 1))
}

/// Whether the user may try an answer of a factor now. Errors: `TooManyRequests`.
pub async fn check(tx: &Tx, user: UserId, now: Timestamp) -> Result<Result<(), Error>, BackendError> {
    let wait = wait_of(tx, user, What::Factors, now).await?;
    Ok(wait.map_or(Ok(()), |retry_seconds| Err(Error::TooManyRequests { retry_seconds })))
}

/// Counts a wrong code.
pub async fn failed(tx: &Tx, user: UserId, what: What, now: Timestamp) -> Result<(), BackendError> {
    tx.run(FAILED, vec![text(user), text(what.name()), text(now)])
        .await
        .map(drop)
}

/// A right code: the count begins anew.
pub async fn passed(tx: &Tx, user: UserId, what: What) -> Result<(), BackendError> {
    tx.run(PASSED, vec![text(user), text(what.name())]).await.map(drop)
}

/// Uses up the codes of this time step and of earlier ones. False: this one was used up before.
pub async fn use_step(tx: &Tx, factor: &Factor, step: u64) -> Result<bool, BackendError> {
    let last = tx.run(STEP, vec![text(factor.id)]).await?.first(|row| row.integer())?;
    if last.is_some_and(|last| u64::try_from(last).is_ok_and(|last| step <= last)) {
        return Ok(false);
    }
    let values = vec![text(factor.id), text(factor.user), text(step)];
    tx.run(USED, values).await?;
    Ok(true)
}

/// The user's factors are gone.
pub async fn forget_all(tx: &Tx, user: UserId) -> Result<(), BackendError> {
    tx.run(FORGET_FAILURES, vec![text(user)]).await?;
    tx.run(FORGET_ALL, vec![text(user)]).await.map(drop)
}

/// The factor is gone.
pub async fn forget(tx: &Tx, factor: FactorId) -> Result<(), BackendError> {
    tx.run(FORGET, vec![text(factor)]).await.map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wait_doubles_up_to_an_hour() {
        let seconds: Vec<i64> = [0, 4, 5, 6, 7, 11, 12, 13, 1_000_000, i64::MAX]
            .map(|failures| wait(failures).as_secs())
            .into();
        assert_eq!(seconds, [0, 0, 30, 60, 120, 1920, 3600, 3600, 3600, 3600]);
    }
}

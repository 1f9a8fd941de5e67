//! Recovery codes: what a user has written down for the day on which the second factor is lost.
//!
//! A user has one set of them, beside another factor and shown like one. A code has 80 random bits, so that a digest of
//! it is enough to keep; it is deleted when it is used. The rows are in tables of ours: older schemas of Supabase Auth
//! have no place for them.
//! Invariant: a set goes with its user's last other factor.
//!
//! Source: supabase-js, `auth.mfa.recoveryCodes`.

use mainstay_core::error::BackendError;
use mainstay_core::secret::Secret;

use super::{Factor, FactorId};
use crate::error::Error;
use crate::secrets;
use crate::store::{Rows, Store, Tx, text};
use crate::users::UserId;

const SET: &str = "SELECT s.id, s.user_id, s.friendly_name, s.created_at, s.updated_at \
     FROM _mainstay.recovery_code_sets s WHERE s.user_id = $1::uuid";
const SETS: &str = "SELECT s.id, s.user_id, s.friendly_name, s.created_at, s.updated_at \
     FROM _mainstay.recovery_code_sets s WHERE s.user_id = ANY ($1::uuid[])";
const INSERT_SET: &str = "INSERT INTO _mainstay.recovery_code_sets (id, user_id, friendly_name, created_at, updated_at) \
     VALUES ($1::uuid, $2::uuid, $3::text, now(), now())";
const TOUCH_SET: &str = "UPDATE _mainstay.recovery_code_sets SET updated_at = now() WHERE user_id = $1::uuid";
const DELETE_SET: &str = "DELETE FROM _mainstay.recovery_code_sets WHERE user_id = $1::uuid";
const INSERT: &str = "INSERT INTO _mainstay.recovery_codes (user_id, digest) VALUES ($1::uuid, $2::text)";
const USE: &str =
    "DELETE FROM _mainstay.recovery_codes WHERE user_id = $1::uuid AND digest = $2::text RETURNING digest";
const DELETE: &str = "DELETE FROM _mainstay.recovery_codes WHERE user_id = $1::uuid";
const LEFT: &str = "SELECT count(*) FROM _mainstay.recovery_codes c WHERE c.user_id = $1::uuid";

/// Codes that are made at once.
pub const CODES: usize = 10;
/// Random bytes of a code.
const CODE_BYTES: usize = 10;

/// Letters and digits that nobody takes for each other (Crockford's base 32).
const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

/// Makes codes such as `4xk29fmq0tbzh7ed`.
pub fn make() -> Result<Vec<Secret<String>>, Error> {
    (0..CODES)
        .map(|_| {
            let mut bytes = [0_u8; CODE_BYTES];
            secrets::fill(&mut bytes)?;
            Ok(Secret::new(spelled(&bytes)))
        })
        .collect()
}

/// Five bits to a letter.
fn spelled(bytes: &[u8; CODE_BYTES]) -> String {
    let mut wide = [0_u8; 16];
    wide[16 - CODE_BYTES..].copy_from_slice(bytes);
    let number = u128::from_be_bytes(wide);
    let letters = CODE_BYTES * 8 / 5;
    let places = (0..letters).rev();
    places
        .map(|place| char::from(ALPHABET[((number >> (5 * place)) & 31) as usize]))
        .collect()
}

/// What is kept of a code, however it was typed: case, dashes and blanks do not count, and letters that look like digits
/// count as those.
fn digest_of(user: UserId, code: &str) -> String {
    let bare: String = code
        .chars()
        .filter(char::is_ascii_alphanumeric)
        .map(|letter| match letter.to_ascii_lowercase() {
            'o' => '0',
            'i' | 'l' => '1',
            other => other,
        })
        .collect();
    secrets::sha256_hex(&format!("{user}:{bare}"))
}

fn read(rows: Rows) -> Result<Vec<Factor>, BackendError> {
    rows.all(|row| {
        let id = FactorId(row.uuid()?);
        Factor::recovery(id, UserId(row.uuid()?), row.text()?, row.time()?, row.time()?)
    })
}

/// The user's set as a factor, if there is one.
pub async fn set(store: &Store, user: UserId) -> Result<Option<Factor>, BackendError> {
    Ok(read(store.run(SET, vec![text(user)]).await?)?.pop())
}

/// The same in a transaction.
pub async fn set_in(tx: &Tx, user: UserId) -> Result<Option<Factor>, BackendError> {
    Ok(read(tx.run(SET, vec![text(user)]).await?)?.pop())
}

/// The sets of several users; `users` is an array's text.
pub async fn sets(store: &Store, users: &str) -> Result<Vec<Factor>, BackendError> {
    read(store.run(SETS, vec![text(users)]).await?)
}

/// Makes the user's set.
pub async fn insert(
    tx: &Tx,
    id: FactorId,
    user: UserId,
    name: &str,
    codes: &[Secret<String>],
) -> Result<(), BackendError> {
    tx.run(INSERT_SET, vec![text(id), text(user), text(name)]).await?;
    keep(tx, user, codes).await
}

/// Puts other codes in the place of those that are left.
pub async fn replace(tx: &Tx, user: UserId, codes: &[Secret<String>]) -> Result<(), BackendError> {
    tx.run(TOUCH_SET, vec![text(user)]).await?;
    tx.run(DELETE, vec![text(user)]).await?;
    keep(tx, user, codes).await
}

async fn keep(tx: &Tx, user: UserId, codes: &[Secret<String>]) -> Result<(), BackendError> {
    for code in codes {
        tx.run(INSERT, vec![text(user), text(digest_of(user, code.expose()))])
            .await?;
    }
    Ok(())
}

/// Uses a code up. False: it is none of the user's.
pub async fn redeem(tx: &Tx, user: UserId, code: &Secret<String>) -> Result<bool, BackendError> {
    let values = vec![text(user), text(digest_of(user, code.expose()))];
    let used = tx.run(USE, values).await?.first(|row| row.text())?;
    Ok(used.is_some())
}

/// Deletes the set and its codes.
pub async fn delete(tx: &Tx, user: UserId) -> Result<(), BackendError> {
    tx.run(DELETE, vec![text(user)]).await?;
    tx.run(DELETE_SET, vec![text(user)]).await.map(drop)
}

/// How many codes are left.
pub async fn left(store: &Store, user: UserId) -> Result<i64, BackendError> {
    let left = store.run(LEFT, vec![text(user)]).await?.first(|row| row.integer())?;
    Ok(left.unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_spelled_and_read_whatever_people_make_of_them() {
        assert_eq!(spelled(&[0; 10]), "0000000000000000");
        assert_eq!(spelled(&[255; 10]), "zzzzzzzzzzzzzzzz");
        assert_eq!(spelled(&[0, 0, 0, 0, 0, 0, 0, 0, 4, 35]), "0000000000000113");
        let user = UserId(uuid::Uuid::nil());
        let kept = digest_of(user, "4xk29fmq0tbz17ed");
        assert_eq!(digest_of(user, " 4XK2-9fmq OTBZ-i7ed "), kept);
        assert_ne!(digest_of(user, "4xk29fmq0tbz17ee"), kept);
        assert_ne!(digest_of(UserId(uuid::Uuid::max()), "4xk29fmq0tbz17ed"), kept);
        let made = make().unwrap();
        let distinct: std::collections::HashSet<&String> = made.iter().map(Secret::expose).collect();
        assert_eq!(distinct.len(), CODES);
    }
}

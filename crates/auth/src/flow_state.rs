//! Sign-ins that end in an application: the code that is handed over by an address, and the proof that whoever brings it
//! began the flow.
//!
//! A row of `auth.flow_state` is made when a flow begins. Its code is given out when the flow has come to its end, holds
//! for [`CODE_SECONDS`] from then on, and is redeemed once.
//! Not here: where browsers are sent with the code ([`landing`](crate::landing)), the way through a provider.
//!
//! Source: RFC 7636.

use aws_lc_rs::constant_time::verify_slices_are_equal;
use jiff::{SignedDuration, Timestamp};
use mainstay_core::error::BackendError;
use mainstay_core::secret::Secret;
use uuid::Uuid;

use crate::error::Error;
use crate::page_sessions;
use crate::secrets;
use crate::sessions::{self, Method, Session, SessionId};
use crate::store::{Row, Tx, text};
use crate::users::UserId;

/// How long a code holds once it was given out.
pub const CODE_SECONDS: i64 = 300;
/// Characters of a challenge and of a verifier (RFC 7636 §4.1, §4.2).
const CHALLENGE_CHARS: std::ops::RangeInclusive<usize> = 43..=128;

const INSERT: &str = "INSERT INTO auth.flow_state (id, user_id, auth_code, code_challenge_method, code_challenge, \
     provider_type, provider_access_token, provider_refresh_token, authentication_method, created_at, updated_at) \
     SELECT $1::uuid, u.id, $3::text, $4::auth.code_challenge_method, $5::text, $6::text, '', '', $7::text, now(), now() \
     FROM auth.users u WHERE u.id = $2::uuid";
const LATEST: &str = "SELECT f.id, f.auth_code FROM auth.flow_state f WHERE f.user_id = $1::uuid \
     AND f.authentication_method = $2::text AND f.auth_code_issued_at IS NULL AND f.code_challenge IS NOT NULL \
     ORDER BY f.created_at DESC, f.id LIMIT 1";
const ISSUE: &str = "UPDATE auth.flow_state SET auth_code_issued_at = now(), updated_at = now() WHERE id = $1::uuid";
const BY_CODE: &str = "SELECT f.id, f.user_id, f.code_challenge_method::text, f.code_challenge, \
     f.authentication_method, f.auth_code_issued_at, f.provider_access_token, f.provider_refresh_token, \
     f.provider_type FROM auth.flow_state f WHERE f.auth_code = $1::text FOR UPDATE";
const DELETE: &str = "DELETE FROM auth.flow_state WHERE id = $1::uuid";

/// Stands in a provider's place where a page hands over a session that has begun.
const BY_PAGE: &str = "page";

/// How a verifier becomes a challenge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChallengeMethod {
    S256,
    Plain,
}

/// What proves, in the end, that whoever brings a code began its flow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Challenge {
    method: ChallengeMethod,
    value: String,
}

impl Challenge {
    /// As requests name it. `None`: the flow is implicit. Errors: `Validation`.
    pub fn of(challenge: &str, method: &str) -> Result<Option<Self>, Error> {
        let invalid = |message: &str| Err(Error::Validation(message.into()));
        match (challenge.is_empty(), method.is_empty()) {
            (true, true) => return Ok(None),
            (false, false) => {}
            _ => return invalid("PKCE flow requires code_challenge_method and code_challenge"),
        }
        if !CHALLENGE_CHARS.contains(&challenge.len()) {
            return invalid("code challenge has to be between 43 and 128 characters");
        }
        if !challenge.bytes().all(is_unreserved) {
            return invalid(
                "code challenge can only contain alphanumeric characters, hyphens, periods, underscores and tildes",
            );
        }
        let method = match method.to_ascii_lowercase().as_str() {
            "s256" => ChallengeMethod::S256,
            "plain" => ChallengeMethod::Plain,
            _ => {
                return Err(Error::Validation(format!(
                    "unsupported code_challenge method {method:?}"
                )));
            }
        };
        Ok(Some(Challenge {
            method,
            value: challenge.to_owned(),
        }))
    }

    /// A challenge of the hashed kind. `None`: it is none.
    pub fn s256(challenge: &str) -> Option<Self> {
        Challenge::of(challenge, "S256").ok().flatten()
    }

    /// True if the challenge was made of this verifier.
    pub fn fits(&self, verifier: &str) -> bool {
        let made = match self.method {
            ChallengeMethod::S256 => secrets::sha256(verifier),
            ChallengeMethod::Plain => verifier.to_owned(),
        };
        verify_slices_are_equal(made.as_bytes(), self.value.as_bytes()).is_ok()
    }

    /// The method and the challenge as the columns have them.
    pub fn columns(&self) -> (&'static str, &str) {
        let method = match self.method {
            ChallengeMethod::S256 => "s256",
            ChallengeMethod::Plain => "plain",
        };
        (method, &self.value)
    }
}

fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}

/// A new code: 122 random bits.
pub fn code() -> Secret<String> {
    Secret::new(Uuid::new_v4().to_string())
}

/// Begins a flow that a link in a message ends. Nothing is written for a user who is not there.
pub async fn begin(tx: &Tx, user: UserId, method: Method, challenge: &Challenge) -> Result<(), BackendError> {
    let (challenge_method, challenge) = challenge.columns();
    let values = vec![
        text(Uuid::new_v4()),
        text(user),
        text(code().expose()),
        text(challenge_method),
        text(challenge),
        text(method.name()),
        text(method.name()),
    ];
    tx.run(INSERT, values).await.map(drop)
}

/// Gives out a code at once: it hands over a session that has begun.
pub async fn hand_over(tx: &Tx, session: &Session, challenge: &Challenge) -> Result<Secret<String>, BackendError> {
    let (id, code) = (Uuid::new_v4(), code());
    let (challenge_method, challenge) = challenge.columns();
    let values = vec![
        text(id),
        text(session.user),
        text(code.expose()),
        text(challenge_method),
        text(challenge),
        text(BY_PAGE),
        text(sessions::began_by(tx, session.id).await?.name()),
    ];
    tx.run(INSERT, values).await?;
    tx.run(ISSUE, vec![text(id)]).await?;
    page_sessions::hand_over_by(tx, id, session.id).await?;
    Ok(code)
}

/// Gives out the code of the flow that the user began last in this way. `None`: there is no such flow.
pub async fn issue(tx: &Tx, user: UserId, method: Method) -> Result<Option<Secret<String>>, BackendError> {
    let found = tx.run(LATEST, vec![text(user), text(method.name())]).await?;
    let Some((id, code)) = found.first(|row| Ok((row.uuid()?, row.text()?)))? else {
        return Ok(None);
    };
    tx.run(ISSUE, vec![text(id)]).await?;
    Ok(Some(Secret::new(code)))
}

/// What a code was redeemed for.
#[derive(Clone, Debug)]
pub struct Redeemed {
    pub user: UserId,
    pub method: Method,
    /// The session that the code hands over. `None`: one begins.
    pub session: Option<SessionId>,
    /// Tokens of the provider that the user came from.
    pub provider_token: Option<Secret<String>>,
    pub provider_refresh_token: Option<Secret<String>>,
}

struct Kept {
    id: Uuid,
    user: Option<UserId>,
    challenge: Option<Challenge>,
    method: Option<Method>,
    issued_at: Option<Timestamp>,
    provider_token: Option<Secret<String>>,
    provider_refresh_token: Option<Secret<String>>,
    is_by_page: bool,
}

impl Kept {
    fn read(row: &mut Row) -> Result<Self, BackendError> {
        let filled = |text: Option<String>| text.filter(|text| !text.is_empty()).map(Secret::new);
        let (id, user) = (row.uuid()?, row.maybe_uuid()?.map(UserId));
        let method = match row.text()?.as_str() {
            "s256" => Some(ChallengeMethod::S256),
            "plain" => Some(ChallengeMethod::Plain),
            _ => None,
        };
        let value = row.text()?;
        Ok(Kept {
            id,
            user,
            challenge: method
                .filter(|_| !value.is_empty())
                .map(|method| Challenge { method, value }),
            method: Method::of_name(&row.text()?),
            issued_at: row.time()?,
            provider_token: filled(row.maybe()?),
            provider_refresh_token: filled(row.maybe()?),
            is_by_page: row.text()? == BY_PAGE,
        })
    }
}

/// Redeems a code: what it stood for is gone with it. A wrong verifier leaves it.
///
/// Errors: `FlowStateNotFound`, `FlowStateExpired`, `BadCodeVerifier`.
pub async fn redeem(
    tx: &Tx,
    code: &Secret<String>,
    verifier: &Secret<String>,
    now: Timestamp,
) -> Result<Result<Redeemed, Error>, BackendError> {
    let found = tx.run(BY_CODE, vec![text(code.expose())]).await?.first(Kept::read)?;
    let Some(kept) = found else {
        return Ok(Err(Error::FlowStateNotFound));
    };
    let (Some(user), Some(challenge), Some(method), Some(issued)) =
        (kept.user, &kept.challenge, kept.method, kept.issued_at)
    else {
        // A flow that has not come to its end, or an implicit one.
        return Ok(Err(Error::FlowStateNotFound));
    };
    if now.duration_since(issued) > SignedDuration::from_secs(CODE_SECONDS) {
        return Ok(Err(Error::FlowStateExpired));
    }
    if !challenge.fits(verifier.expose()) {
        return Ok(Err(Error::BadCodeVerifier));
    }
    let mut session = None;
    if kept.is_by_page {
        session = page_sessions::take_over_by(tx, kept.id).await?;
        if session.is_none() {
            return Ok(Err(Error::FlowStateNotFound));
        }
    }
    tx.run(DELETE, vec![text(kept.id)]).await?;
    Ok(Ok(Redeemed {
        user,
        method,
        session,
        provider_token: kept.provider_token,
        provider_refresh_token: kept.provider_refresh_token,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 7636, appendix B.
    const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
    const S256: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

    #[test]
    fn a_challenge_fits_its_own_verifier() {
        let hashed = Challenge::of(S256, "S256").unwrap().unwrap();
        assert!(hashed.fits(VERIFIER) && !hashed.fits(S256) && !hashed.fits(""));
        let plain = Challenge::of(VERIFIER, "plain").unwrap().unwrap();
        assert!(plain.fits(VERIFIER) && !plain.fits(S256));
    }

    #[test]
    fn half_a_challenge_is_none() {
        assert_eq!(Challenge::of("", "").unwrap(), None);
        for (challenge, method) in [
            (S256, ""),
            ("", "s256"),
            (&S256[1..], "s256"),
            (S256, "s512"),
            (&"a".repeat(129), "s256"),
            (&"ä".repeat(43), "s256"),
            (&S256.replace('-', "+"), "s256"),
        ] {
            assert!(
                matches!(Challenge::of(challenge, method), Err(Error::Validation(_))),
                "{challenge} {method}"
            );
        }
    }
}

//! Sessions: who has proved to be whom, how, and until when.
//!
//! | module | what |
//! |---|---|
//! | [`method`] | ways to prove who one is |
//! | [`tokens`] | refresh tokens |
//! | [`granted`] | what an answer and an access token are made of |

mod granted;
mod method;
mod tokens;

pub use granted::{Granted, REFRESHED_BY, granted, granted_by};
pub use method::Method;
pub use tokens::{
    RefreshToken, USED_TOKENS_KEPT, active_token, insert_token, refresh_token, revoke_family, revoke_token, token,
};

use jiff::{SignedDuration, Timestamp};
use mainstay_core::error::BackendError;
use mainstay_core::secret::Secret;
use uuid::Uuid;

use crate::config::SessionRules;
use crate::factors::Factor;
use crate::store::{Row, Rows, Store, Tx, optional, text};
use crate::users::UserId;

/// A session's id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SessionId(pub Uuid);

impl std::fmt::Display for SessionId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

/// From where a session is used.
#[derive(Clone, Debug, Default)]
pub struct Client {
    pub address: Option<std::net::IpAddr>,
    /// The address's requests are counted.
    pub is_counted: bool,
    pub user_agent: Option<String>,
}

const INSERT: &str = "INSERT INTO auth.sessions (id, user_id, created_at, updated_at, aal, user_agent, ip) \
     VALUES ($1::uuid, $2::uuid, now(), now(), 'aal1', $3, $4)";
const INSERT_METHOD: &str = "INSERT INTO auth.mfa_amr_claims (id, session_id, created_at, updated_at, \
     authentication_method) VALUES ($1::uuid, $2::uuid, now(), now(), $3::text)";
const REPEAT_METHOD: &str = "INSERT INTO auth.mfa_amr_claims (id, session_id, created_at, updated_at, \
     authentication_method) VALUES ($1::uuid, $2::uuid, now(), now(), $3::text) \
     ON CONFLICT (session_id, authentication_method) DO UPDATE SET updated_at = excluded.updated_at";
const FORGET_METHOD: &str = "DELETE FROM auth.mfa_amr_claims WHERE authentication_method = $2::text \
     AND session_id IN (SELECT s.id FROM auth.sessions s WHERE s.user_id = $3::uuid AND s.factor_id = $1::uuid)";
const RAISE: &str = "UPDATE auth.sessions SET aal = 'aal2', factor_id = $2::uuid, updated_at = now() \
     WHERE id = $1::uuid";
const LOWER: &str = "UPDATE auth.sessions SET aal = 'aal1', factor_id = NULL, updated_at = now() \
     WHERE user_id = $2::uuid AND factor_id = $1::uuid";
const DELETE_LOWER: &str = "DELETE FROM auth.sessions WHERE user_id = $1::uuid AND id <> $2::uuid \
     AND (aal IS NULL OR aal = 'aal1')";
const BY_ID: &str = "SELECT s.id, s.user_id, s.created_at, s.not_after, s.refreshed_at, s.aal::text \
     FROM auth.sessions s WHERE s.id = $1::uuid";
const KEEP_UNTIL: &str = "UPDATE auth.sessions SET not_after = $2::timestamptz, updated_at = now() WHERE id = $1::uuid";
/// By how they began: a database that Supabase Auth has made need not have a column for applications.
const LIST: &str = "SELECT s.id, s.user_id, s.created_at, s.not_after, s.refreshed_at, s.aal::text, s.user_agent, \
     s.ip::text FROM auth.sessions s WHERE s.user_id = $1::uuid AND NOT EXISTS (SELECT 1 FROM auth.mfa_amr_claims c \
     WHERE c.session_id = s.id AND c.authentication_method = $2::text) ORDER BY s.created_at DESC, s.id";
const METHODS: &str = "SELECT c.authentication_method, c.updated_at FROM auth.mfa_amr_claims c \
     WHERE c.session_id = $1::uuid ORDER BY c.updated_at DESC, c.id";

const LOCK: &str = "SELECT s.id, s.user_id, s.created_at, s.not_after, s.refreshed_at, s.aal::text \
     FROM auth.sessions s WHERE s.id = $1::uuid FOR UPDATE";
const OF_USER: &str = "SELECT s.id, s.user_id, s.created_at, s.not_after, s.refreshed_at, s.aal::text \
     FROM auth.sessions s WHERE s.user_id = $1::uuid";
const REFRESHED: &str = "UPDATE auth.sessions SET refreshed_at = $2::timestamp, updated_at = now(), \
     user_agent = $3, ip = $4 WHERE id = $1::uuid";
const DELETE: &str = "DELETE FROM auth.sessions WHERE id = $1::uuid AND user_id = $2::uuid";
const DELETE_ALL: &str = "DELETE FROM auth.sessions WHERE user_id = $1::uuid";
const DELETE_OTHERS: &str = "DELETE FROM auth.sessions WHERE user_id = $1::uuid AND id <> $2::uuid";

/// A row of `auth.sessions`.
#[derive(Clone, Debug)]
pub struct Session {
    pub id: SessionId,
    pub user: UserId,
    pub created_at: Option<Timestamp>,
    pub not_after: Option<Timestamp>,
    pub refreshed_at: Option<Timestamp>,
    pub aal: String,
}

impl Session {
    fn read(row: &mut Row) -> Result<Self, BackendError> {
        Ok(Session {
            id: SessionId(row.uuid()?),
            user: UserId(row.uuid()?),
            created_at: row.time()?,
            not_after: row.time()?,
            refreshed_at: row.time()?,
            aal: row.maybe()?.unwrap_or_else(|| "aal1".into()),
        })
    }

    /// True if a second factor was proved in it.
    pub fn is_second_level(&self) -> bool {
        self.aal == "aal2"
    }

    /// When it was last used: refreshed, or its refresh token made, or begun.
    fn used_at(&self, token: Option<Timestamp>) -> Option<Timestamp> {
        self.refreshed_at.or_else(|| token.max(self.created_at))
    }

    /// Why the session has ended by itself, if it has. `token`: when its refresh token was last changed.
    pub fn ended(&self, rules: &SessionRules, now: Timestamp, token: Option<Timestamp>) -> Option<&'static str> {
        let past = |since: Option<Timestamp>, length: Option<SignedDuration>| match (since, length) {
            (Some(since), Some(length)) => now.duration_since(since) > length,
            _ => false,
        };
        if self.not_after.is_some_and(|end| now > end) || past(self.created_at, rules.timebox) {
            return Some("");
        }
        past(self.used_at(token), rules.inactivity_timeout).then_some(" (Inactivity)")
    }
}

/// Holds the session's row until the transaction ends.
pub async fn lock(tx: &Tx, id: SessionId) -> Result<Option<Session>, BackendError> {
    tx.run(LOCK, vec![text(id)]).await?.first(Session::read)
}

/// True if another session of the user that has not ended was used later than this one.
pub async fn is_superseded(
    tx: &Tx,
    session: &Session,
    token: &RefreshToken,
    rules: &SessionRules,
    now: Timestamp,
) -> Result<bool, BackendError> {
    let sessions = tx.run(OF_USER, vec![text(session.user)]).await?.all(Session::read)?;
    let used = session.used_at(token.updated_at);
    Ok(sessions
        .iter()
        .any(|other| other.id != session.id && other.ended(rules, now, None).is_none() && other.used_at(None) > used))
}

/// Remembers that the session was refreshed now, and from where; forgets tokens that were used long ago.
pub async fn refreshed(tx: &Tx, session: SessionId, now: Timestamp, client: &Client) -> Result<(), BackendError> {
    tokens::sweep(tx, session, now).await?;
    // The column has no zone: UTC by convention.
    let now = now.strftime("%Y-%m-%d %H:%M:%S%.6f").to_string();
    let values = vec![
        text(session),
        text(now),
        optional(client.user_agent.as_ref()),
        optional(client.address),
    ];
    tx.run(REFRESHED, values).await.map(drop)
}

/// Which sessions are to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    Global,
    Local(SessionId),
    Others(SessionId),
}

/// Ends sessions of a user; their refresh tokens go with them.
pub async fn end(tx: &Tx, user: UserId, scope: Scope) -> Result<(), BackendError> {
    tx.revoke(user.0);
    match scope {
        Scope::Global => tx.run(DELETE_ALL, vec![text(user)]).await,
        Scope::Local(session) => tx.run(DELETE, vec![text(session), text(user)]).await,
        Scope::Others(session) => tx.run(DELETE_OTHERS, vec![text(user), text(session)]).await,
    }
    .map(drop)
}

/// The session, if there is one.
pub async fn by_id(store: &Store, id: SessionId) -> Result<Option<Session>, BackendError> {
    store.run(BY_ID, vec![text(id)]).await?.first(Session::read)
}

/// A session as its user is shown it.
#[derive(Clone, Debug)]
pub struct Listed {
    pub session: Session,
    pub user_agent: Option<String>,
    pub address: Option<String>,
}

/// The user's own sessions that have not ended, the newest first: without those of applications that act for the user.
pub async fn list(
    store: &Store,
    user: UserId,
    rules: &SessionRules,
    now: Timestamp,
) -> Result<Vec<Listed>, BackendError> {
    let found = store
        .run(LIST, vec![text(user), text(Method::OAuthProvider.name())])
        .await?;
    let mut listed = found.all(|row| {
        Ok(Listed {
            session: Session::read(row)?,
            user_agent: row.maybe()?,
            address: row.maybe()?,
        })
    })?;
    listed.retain(|listed| listed.session.ended(rules, now, None).is_none());
    Ok(listed)
}

/// The session ends by itself at `until`. `None`: as the settings say.
pub async fn keep_until(tx: &Tx, session: SessionId, until: Option<Timestamp>) -> Result<(), BackendError> {
    tx.run(KEEP_UNTIL, vec![text(session), optional(until)]).await.map(drop)
}

/// Gives a session to whoever gets the token. Nobody else can refresh it any more, and it does not end with its page.
pub async fn hand_over(tx: &Tx, session: &Session, token: &Secret<String>) -> Result<(), BackendError> {
    keep_until(tx, session.id, None).await?;
    tokens::forget_tokens(tx, session.id).await?;
    insert_token(tx, session.user, session.id, token, None).await
}

/// How the session began.
pub async fn began_by(tx: &Tx, session: SessionId) -> Result<Method, BackendError> {
    let methods = methods(tx.run(METHODS, vec![text(session)]).await?)?;
    let first = methods.iter().rev().find_map(|(name, _)| Method::of_name(name));
    Ok(first.unwrap_or(Method::Otp))
}

/// Begins a session. The user's row was written or locked before.
pub async fn begin(
    tx: &Tx,
    user: UserId,
    method: Method,
    client: &Client,
    token: &Secret<String>,
) -> Result<SessionId, BackendError> {
    let id = SessionId(Uuid::new_v4());
    let values = vec![
        text(id),
        text(user),
        optional(client.user_agent.as_ref()),
        optional(client.address),
    ];
    tx.run(INSERT, values).await?;
    let values = vec![text(Uuid::new_v4()), text(id), text(method.name())];
    tx.run(INSERT_METHOD, values).await?;
    insert_token(tx, user, id, token, None).await?;
    Ok(id)
}

/// Raises a session to the second level, for a factor that its user has just proved to have.
///
/// None of its refresh tokens goes on but the new one: whoever holds one of the lower level gets no token of the higher.
/// The user's other sessions of the lower level end, as the protocol has it.
pub async fn raise(tx: &Tx, session: &Session, factor: &Factor, token: &Secret<String>) -> Result<(), BackendError> {
    let method = Method::from(factor.kind).name();
    tx.run(
        REPEAT_METHOD,
        vec![text(Uuid::new_v4()), text(session.id), text(method)],
    )
    .await?;
    tx.run(RAISE, vec![text(session.id), text(factor.id)]).await?;
    tokens::forget_tokens(tx, session.id).await?;
    insert_token(tx, session.user, session.id, token, None).await?;
    tx.revoke(session.user.0);
    tx.run(DELETE_LOWER, vec![text(session.user), text(session.id)])
        .await
        .map(drop)
}

/// Takes the second level from the sessions that a factor gave it to. The factor is gone.
pub async fn lower(tx: &Tx, factor: &Factor) -> Result<(), BackendError> {
    let method = Method::from(factor.kind).name();
    tx.run(FORGET_METHOD, vec![text(factor.id), text(method), text(factor.user)])
        .await?;
    tx.run(LOWER, vec![text(factor.id), text(factor.user)]).await.map(drop)
}

fn methods(rows: Rows) -> Result<Vec<(String, i64)>, BackendError> {
    rows.all(|row| {
        let name = row.text()?;
        Ok((name, row.time()?.map_or(0, Timestamp::as_second)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sessions_end_by_age_by_idleness_and_by_their_own_end() {
        let at = |second: i64| Some(Timestamp::from_second(second).unwrap());
        let session = Session {
            id: SessionId(Uuid::nil()),
            user: UserId(Uuid::nil()),
            created_at: at(1_000),
            not_after: None,
            refreshed_at: None,
            aal: "aal1".into(),
        };
        let rules = |timebox: Option<i64>, idle: Option<i64>| SessionRules {
            timebox: timebox.map(SignedDuration::from_secs),
            inactivity_timeout: idle.map(SignedDuration::from_secs),
            single_per_user: false,
        };
        let now = Timestamp::from_second(2_000).unwrap();
        let refreshed = Session {
            refreshed_at: at(1_900),
            ..session.clone()
        };
        let dated = Session {
            not_after: at(1_999),
            ..session.clone()
        };
        assert_eq!(session.ended(&rules(None, None), now, None), None);
        assert_eq!(session.ended(&rules(Some(1_000), None), now, None), None);
        assert_eq!(session.ended(&rules(Some(999), None), now, None), Some(""));
        assert_eq!(refreshed.ended(&rules(Some(999), None), now, None), Some(""));
        assert_eq!(session.ended(&rules(None, Some(500)), now, None), Some(" (Inactivity)"));
        assert_eq!(session.ended(&rules(None, Some(500)), now, at(1_600)), None);
        assert_eq!(refreshed.ended(&rules(None, Some(500)), now, None), None);
        assert_eq!(
            refreshed.ended(&rules(None, Some(99)), now, at(1_999)),
            Some(" (Inactivity)")
        );
        assert_eq!(dated.ended(&rules(None, None), now, None), Some(""));
    }
}

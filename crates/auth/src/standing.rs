//! Whose access tokens still hold: those of a session that has not ended, of a user who is there, is not banned and has
//! the role that the token says.
//!
//! Lives here: what this process has learnt of the sessions that use it, so that a request costs one look into memory.
//! Not here: what ends sessions (`sessions`, `users`); they say so through [`Tx::revoke`](crate::store::Tx::revoke).
//! Invariant: nothing that was read before a revocation is remembered after it.
//!
//! A session is looked up in the database when it is first seen, and again every second for as long as it is used: that
//! finds what other processes and other programs did. Decision 0007.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Instant;

use jiff::Timestamp;
use mainstay_core::clock;
use mainstay_core::error::BackendError;
use mainstay_http::{Authenticated, Credential, TokenError};
use uuid::Uuid;

use crate::store::{Rows, Store, text};

/// Sessions that are remembered, at most. What is beyond is looked up for each request.
const SESSIONS_MAX: usize = 65_536;
/// Sessions that are looked up again at once, at most: more take more seconds.
const AGAIN_MAX: usize = 2_000;
/// A session that was not used for so many seconds is forgotten.
const UNUSED_SECONDS_MAX: u64 = 60;

const LOOK_UP: &str = "SELECT s.id, s.user_id, u.role, u.banned_until, u.deleted_at FROM auth.sessions s \
     JOIN auth.users u ON u.id = s.user_id WHERE s.id = ANY ($1::uuid[])";

/// What a token says of its session.
#[derive(Clone, Copy, Debug)]
pub struct Claim<'a> {
    pub user: Uuid,
    pub session: Uuid,
    /// `None`: the role is not compared, for somebody else decides what the token says.
    pub role: Option<&'a str>,
}

impl<'a> Claim<'a> {
    /// `None`: the token belongs to no session of this room's. What another issuer calls a session is that issuer's affair.
    pub fn of(who: &'a Authenticated, compares_roles: bool) -> Option<Self> {
        if who.credential == Credential::ForeignToken {
            return None;
        }
        let claims = &who.verified.as_ref()?.claims;
        let claim = |name: &str| claims.get(name).and_then(serde_json::Value::as_str);
        Some(Claim {
            session: claim("session_id")?.parse().ok()?,
            user: claim("sub")?.parse().ok()?,
            role: compares_roles.then(|| claim("role").unwrap_or_default()),
        })
    }
}

/// What the database says of a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// There is no such session, or it is not this user's, or the user was deleted.
    Ended,
    Open {
        role: Box<str>,
        banned_until: Option<Timestamp>,
    },
}

impl State {
    fn admits(&self, claim: &Claim<'_>, now: Timestamp) -> Result<(), TokenError> {
        match self {
            State::Ended => Err(TokenError::SessionEnded),
            State::Open { banned_until, .. } if banned_until.is_some_and(|until| now < until) => {
                Err(TokenError::UserBanned)
            }
            State::Open { role, .. } if claim.role.is_some_and(|said| said != &**role) => Err(TokenError::RoleChanged),
            State::Open { .. } => Ok(()),
        }
    }
}

/// A session as it was last read.
#[derive(Debug)]
struct Seen {
    session: Uuid,
    state: State,
    /// Seconds since this process began to look.
    used_s: AtomicU64,
}

#[derive(Debug, Default)]
struct Known {
    by_user: HashMap<Uuid, Vec<Seen>>,
    /// Sessions in all.
    sessions: usize,
    /// Sessions that are still to be looked up again in this round: user and session.
    round: Vec<(Uuid, Uuid)>,
}

/// The sessions that this process has seen.
#[derive(Debug)]
pub struct Standing {
    known: RwLock<Known>,
    /// Revocations so far.
    revocations: AtomicU64,
    began: Instant,
}

impl Default for Standing {
    fn default() -> Self {
        Standing {
            known: RwLock::default(),
            revocations: AtomicU64::new(0),
            began: Instant::now(),
        }
    }
}

impl Standing {
    /// Says whether the token holds. Errors: why not; or that the database could not be asked.
    pub async fn admits(&self, store: &Store, claim: &Claim<'_>) -> Result<Result<(), TokenError>, BackendError> {
        let now = clock::now();
        if let Some(verdict) = self.remembered(claim, now) {
            return Ok(verdict);
        }
        let revocations = self.revocations();
        // In a box: most callers are remembered, and all of them carry this future.
        let found = states(Box::pin(look_up(store, std::iter::once(claim.session))).await?)?;
        let state = found.get(&(claim.user, claim.session)).unwrap_or(&State::Ended);
        let verdict = state.admits(claim, now);
        self.remember(claim, state.clone(), revocations);
        Ok(verdict)
    }

    fn revocations(&self) -> u64 {
        self.revocations.load(Ordering::Acquire)
    }

    fn remembered(&self, claim: &Claim<'_>, now: Timestamp) -> Option<Result<(), TokenError>> {
        let known = self.read();
        let seen = known.by_user.get(&claim.user)?;
        let seen = seen.iter().find(|seen| seen.session == claim.session)?;
        seen.used_s.store(self.began.elapsed().as_secs(), Ordering::Relaxed);
        Some(seen.state.admits(claim, now))
    }

    /// Remembers what was read after `revocations` revocations, if there was none since.
    fn remember(&self, claim: &Claim<'_>, state: State, revocations: u64) {
        let mut known = self.write();
        if self.revocations() != revocations || known.sessions >= SESSIONS_MAX {
            return;
        }
        let sessions = known.by_user.entry(claim.user).or_default();
        if sessions.iter().any(|seen| seen.session == claim.session) {
            return;
        }
        sessions.push(Seen {
            session: claim.session,
            state,
            used_s: AtomicU64::new(self.began.elapsed().as_secs()),
        });
        known.sessions += 1;
    }

    /// Forgets a user: something has just been committed that ends sessions, or rights.
    pub fn revoke(&self, user: Uuid) {
        let mut known = self.write();
        self.revocations.fetch_add(1, Ordering::Release);
        if let Some(gone) = known.by_user.remove(&user) {
            known.sessions -= gone.len();
        }
    }

    /// Looks sessions up again, those that have waited longest; forgets those that are not used, and those of which the
    /// database says something else now. To be called every second.
    pub async fn look_again(&self, store: &Store) -> Result<(), BackendError> {
        let due = self.due();
        if due.is_empty() {
            return Ok(());
        }
        let found = states(look_up(store, due.iter().map(|(_, session)| *session)).await?)?;
        let mut known = self.write();
        for (user, session) in due {
            let state = found.get(&(user, session)).unwrap_or(&State::Ended);
            // It is not put right but forgotten: what was read may be older than what is remembered.
            known.forget(user, |seen| seen.session == session && seen.state != *state);
        }
        Ok(())
    }

    fn due(&self) -> Vec<(Uuid, Uuid)> {
        if self.read().sessions == 0 {
            return Vec::new();
        }
        let mut known = self.write();
        if known.round.is_empty() {
            let now_s = self.began.elapsed().as_secs();
            let is_old = |seen: &Seen| now_s.saturating_sub(seen.used_s.load(Ordering::Relaxed)) > UNUSED_SECONDS_MAX;
            let users: Vec<Uuid> = known.by_user.keys().copied().collect();
            for user in users {
                known.forget(user, is_old);
            }
            let all = known
                .by_user
                .iter()
                .flat_map(|(user, sessions)| sessions.iter().map(|seen| (*user, seen.session)));
            known.round = all.collect();
        }
        let left = known.round.len().saturating_sub(AGAIN_MAX);
        known.round.split_off(left)
    }

    fn read(&self) -> RwLockReadGuard<'_, Known> {
        self.known.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Known> {
        self.known.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    /// Forgets those of a user's sessions of which `is_gone` is true.
    fn forget(&mut self, user: Uuid, is_gone: impl Fn(&Seen) -> bool) {
        let Some(sessions) = self.by_user.get_mut(&user) else {
            return;
        };
        let before = sessions.len();
        sessions.retain(|seen| !is_gone(seen));
        self.sessions -= before - sessions.len();
        if sessions.is_empty() {
            self.by_user.remove(&user);
        }
    }
}

async fn look_up(store: &Store, sessions: impl Iterator<Item = Uuid>) -> Result<Rows, BackendError> {
    let ids: Vec<String> = sessions.map(|id| id.to_string()).collect();
    store.run(LOOK_UP, vec![text(format!("{{{}}}", ids.join(",")))]).await
}

/// By user and session.
fn states(rows: Rows) -> Result<HashMap<(Uuid, Uuid), State>, BackendError> {
    let read = rows.all(|row| {
        let session = row.uuid()?;
        let user = row.uuid()?;
        let (role, banned_until, deleted_at) = (row.text()?, row.time()?, row.time()?);
        let state = match deleted_at {
            Some(_) => State::Ended,
            None => State::Open {
                role: role.into(),
                banned_until,
            },
        };
        Ok(((user, session), state))
    })?;
    Ok(read.into_iter().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open() -> State {
        State::Open {
            role: "authenticated".into(),
            banned_until: None,
        }
    }

    fn claim(user: u128, session: u128) -> Claim<'static> {
        Claim {
            user: Uuid::from_u128(user),
            session: Uuid::from_u128(session),
            role: Some("authenticated"),
        }
    }

    #[test]
    fn what_was_read_before_a_revocation_is_not_remembered() {
        let standing = Standing::default();
        let now = clock::now();
        let before = standing.revocations();
        standing.remember(&claim(1, 1), open(), before);
        standing.remember(&claim(1, 2), open(), before);
        standing.remember(&claim(2, 3), open(), before);
        assert_eq!(standing.remembered(&claim(1, 1), now), Some(Ok(())));
        standing.revoke(Uuid::from_u128(1));
        assert_eq!(standing.remembered(&claim(1, 1), now), None);
        assert_eq!(standing.remembered(&claim(1, 2), now), None);
        assert_eq!(standing.remembered(&claim(2, 3), now), Some(Ok(())));
        standing.remember(&claim(1, 1), open(), before);
        assert_eq!(standing.remembered(&claim(1, 1), now), None);
        assert_eq!(standing.read().sessions, 1);
    }

    #[test]
    fn a_state_admits_what_the_database_says() {
        let now = Timestamp::from_second(1_000).unwrap();
        let banned = |second| State::Open {
            role: "authenticated".into(),
            banned_until: Some(Timestamp::from_second(second).unwrap()),
        };
        let other = Claim {
            role: Some("manager"),
            ..claim(1, 1)
        };
        let any = Claim { role: None, ..other };
        for (state, claim, verdict) in [
            (State::Ended, claim(1, 1), Err(TokenError::SessionEnded)),
            (open(), claim(1, 1), Ok(())),
            (banned(1_001), claim(1, 1), Err(TokenError::UserBanned)),
            (banned(1_000), claim(1, 1), Ok(())),
            (open(), other, Err(TokenError::RoleChanged)),
            (open(), any, Ok(())),
        ] {
            assert_eq!(state.admits(&claim, now), verdict);
        }
    }

    #[test]
    fn it_stays_bounded_and_looks_at_all_in_rounds() {
        let standing = Standing::default();
        for number in 0..SESSIONS_MAX as u128 + 10 {
            standing.remember(&claim(number % 1_000, number), open(), 0);
        }
        assert_eq!(standing.read().sessions, SESSIONS_MAX);
        let mut looked = std::collections::HashSet::new();
        for _ in 0..SESSIONS_MAX.div_ceil(AGAIN_MAX) {
            let due = standing.due();
            assert!(!due.is_empty() && due.len() <= AGAIN_MAX);
            looked.extend(due);
        }
        assert_eq!(looked.len(), SESSIONS_MAX);
    }
}

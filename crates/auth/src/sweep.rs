//! Takes away what nobody can use any more: sessions that ended by themselves, refresh tokens that were used long ago,
//! codes and links that nobody has followed, challenges of second factors and passkeys, messages of wallets that were used,
//! sign-ins that went through a browser and never came back, questions of applications that nobody has answered, browsers
//! that were signed in on the ready pages.
//!
//! Users stay, whatever they are: unconfirmed, anonymous, banned.
//! What is to go is looked for on a reader and taken away a thousand rows at a time, so that nobody waits behind it.
//! Several processes may sweep one database at once.

use jiff::{SignedDuration, Timestamp};
use mainstay_core::error::BackendError;
use mainstay_core::plan::Value;

use crate::config::SessionRules;
use crate::sessions::USED_TOKENS_KEPT;
use crate::store::{Store, is_undefined_table, optional, text};

/// Rows that are taken away at once.
const BATCH: usize = 1_000;
/// Batches of one kind in one sweep, at most; the next sweep goes on.
const BATCHES_MAX: usize = 100;
/// How long an ended session is still told from one that never was.
const ENDED_SESSIONS_KEPT: SignedDuration = SignedDuration::from_hours(24);

const USED_TOKENS: &str = "SELECT t.id::text FROM auth.refresh_tokens t WHERE t.revoked = true \
     AND t.updated_at < $1::timestamptz LIMIT 1000";
const DELETE_TOKENS: &str = "DELETE FROM auth.refresh_tokens WHERE id = ANY ($1::bigint[]) AND revoked = true";
const ENDED_SESSIONS: &str = "SELECT s.id::text FROM auth.sessions s WHERE s.not_after < $1::timestamptz \
     OR s.created_at < $2::timestamptz OR s.refreshed_at < $3::timestamp \
     OR (s.refreshed_at IS NULL AND s.created_at < $4::timestamptz) LIMIT 1000";
// Whoever has used a session since it was looked at keeps it.
const DELETE_SESSIONS: &str = "DELETE FROM auth.sessions WHERE id = ANY ($1::uuid[]) \
     AND (not_after < $2::timestamptz OR created_at < $3::timestamptz OR refreshed_at < $4::timestamp \
     OR (refreshed_at IS NULL AND created_at < $5::timestamptz))";

/// How long codes, links and sign-ins under way are kept: longer than any of them is valid.
const UNFINISHED_KEPT: SignedDuration = SignedDuration::from_hours(48);

const OLD_CODES: &str = "SELECT t.id::text FROM auth.one_time_tokens t WHERE t.created_at < $1::timestamp LIMIT 1000";
const DELETE_CODES: &str =
    "DELETE FROM auth.one_time_tokens WHERE id = ANY ($1::uuid[]) AND created_at < $2::timestamp";
const OLD_FLOWS: &str = "SELECT f.id::text FROM auth.flow_state f WHERE f.created_at < $1::timestamptz LIMIT 1000";
const DELETE_FLOWS: &str = "DELETE FROM auth.flow_state WHERE id = ANY ($1::uuid[]) AND created_at < $2::timestamptz";
const OLD_STATES: &str =
    "SELECT s.id::text FROM auth.oauth_client_states s WHERE s.created_at < $1::timestamptz LIMIT 1000";
const DELETE_STATES: &str =
    "DELETE FROM auth.oauth_client_states WHERE id = ANY ($1::uuid[]) AND created_at < $2::timestamptz";
const OLD_QUESTIONS: &str =
    "SELECT a.id::text FROM auth.oauth_authorizations a WHERE a.expires_at < $1::timestamptz LIMIT 1000";
const DELETE_QUESTIONS: &str =
    "DELETE FROM auth.oauth_authorizations WHERE id = ANY ($1::uuid[]) AND expires_at < $2::timestamptz";
/// How long the challenge of a passkey is told to have expired, rather than not to be there.
const PASSKEY_CHALLENGES_KEPT: SignedDuration = SignedDuration::from_hours(1);

const PASSKEY_CHALLENGES: &str =
    "SELECT c.id::text FROM auth.webauthn_challenges c WHERE c.expires_at < $1::timestamptz LIMIT 1000";
const DELETE_PASSKEY_CHALLENGES: &str =
    "DELETE FROM auth.webauthn_challenges WHERE id = ANY ($1::uuid[]) AND expires_at < $2::timestamptz";

const OLD_CHALLENGES: &str =
    "SELECT c.id::text FROM auth.mfa_challenges c WHERE c.created_at < $1::timestamptz LIMIT 1000";
const DELETE_CHALLENGES: &str =
    "DELETE FROM auth.mfa_challenges WHERE id = ANY ($1::uuid[]) AND created_at < $2::timestamptz";
const USED_MESSAGES: &str =
    "SELECT m.digest FROM _mainstay.wallet_messages m WHERE m.expires_at < $1::timestamptz LIMIT 1000";
const DELETE_MESSAGES: &str =
    "DELETE FROM _mainstay.wallet_messages WHERE digest = ANY ($1::text[]) AND expires_at < $2::timestamptz";
const OLD_PAGE_SESSIONS: &str =
    "SELECT p.digest FROM _mainstay.page_sessions p WHERE p.expires_at < $1::timestamptz LIMIT 1000";
const DELETE_PAGE_SESSIONS: &str =
    "DELETE FROM _mainstay.page_sessions WHERE digest = ANY ($1::text[]) AND expires_at < $2::timestamptz";
// A flow goes with its code, or is swept: what it hands over need not be known any more.
const ENDED_PAGE_FLOWS: &str = "SELECT p.flow_id::text FROM _mainstay.page_flows p \
     LEFT JOIN auth.flow_state f ON f.id = p.flow_id WHERE f.id IS NULL LIMIT 1000";
const DELETE_PAGE_FLOWS: &str = "DELETE FROM _mainstay.page_flows WHERE flow_id = ANY ($1::uuid[])";

/// How many rows a sweep took away.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Swept {
    pub refresh_tokens: usize,
    pub sessions: usize,
    /// Codes, links, challenges, sign-ins under way, questions of applications, browsers on the pages.
    pub unfinished: usize,
}

/// Sweeps once.
pub async fn sweep(store: &Store, rules: &SessionRules, now: Timestamp) -> Result<Swept, BackendError> {
    let before = |kept: SignedDuration| optional(now.checked_sub(kept).ok());
    let refresh_tokens = take(store, USED_TOKENS, DELETE_TOKENS, vec![before(USED_TOKENS_KEPT)], 0).await?;
    let ended = |length: Option<SignedDuration>| match length.and_then(|length| length.checked_add(ENDED_SESSIONS_KEPT))
    {
        Some(length) => before(length),
        None => Value::Null,
    };
    let idle = ended(rules.inactivity_timeout);
    let bounds = vec![
        before(ENDED_SESSIONS_KEPT),
        ended(rules.timebox),
        without_zone(&idle),
        idle,
    ];
    let sessions = take(store, ENDED_SESSIONS, DELETE_SESSIONS, bounds.clone(), bounds.len()).await?;
    let old = before(UNFINISHED_KEPT);
    let mut unfinished = take(store, OLD_CODES, DELETE_CODES, vec![without_zone(&old)], 1).await?;
    for (find, delete) in [
        (OLD_FLOWS, DELETE_FLOWS),
        (OLD_STATES, DELETE_STATES),
        (OLD_QUESTIONS, DELETE_QUESTIONS),
        (OLD_CHALLENGES, DELETE_CHALLENGES),
        // Later than they are refused as too old, so that no clock that was set back makes one new.
        (USED_MESSAGES, DELETE_MESSAGES),
    ] {
        unfinished += take(store, find, delete, vec![old.clone()], 1).await?;
    }
    let expired = vec![before(PASSKEY_CHALLENGES_KEPT)];
    unfinished += take(store, PASSKEY_CHALLENGES, DELETE_PASSKEY_CHALLENGES, expired, 1).await?;
    unfinished += take(store, OLD_PAGE_SESSIONS, DELETE_PAGE_SESSIONS, vec![text(now)], 1).await?;
    unfinished += take(store, ENDED_PAGE_FLOWS, DELETE_PAGE_FLOWS, Vec::new(), 0).await?;
    Ok(Swept {
        refresh_tokens,
        sessions,
        unfinished,
    })
}

/// The same moment for a column without a zone, which is UTC by convention.
fn without_zone(time: &Value) -> Value {
    match time {
        Value::Text(time) => text(time.trim_end_matches('Z')),
        _ => Value::Null,
    }
}

/// Takes away what `find` finds for `bounds`. `delete` gets the ids, then the first `repeated` bounds.
async fn take(
    store: &Store,
    find: &'static str,
    delete: &'static str,
    bounds: Vec<Value>,
    repeated: usize,
) -> Result<usize, BackendError> {
    let mut taken = 0;
    for _ in 0..BATCHES_MAX {
        let found = match store.run(find, bounds.clone()).await {
            // Older schemas of Supabase Auth have no place for all of it.
            Err(error) if is_undefined_table(&error) => break,
            found => found?,
        };
        let ids = found.all(|row| row.text())?;
        if ids.is_empty() {
            break;
        }
        let mut values = vec![text(format!("{{{}}}", ids.join(",")))];
        values.extend_from_slice(&bounds[..repeated]);
        store.run(delete, values).await?;
        taken += ids.len();
        if ids.len() < BATCH {
            break;
        }
    }
    Ok(taken)
}

//! Sessions of the ready pages: which session of the user's a browser's cookie stands for, and giving that session away.
//!
//! A page session is the browser's name for a row of `auth.sessions` and ends with it, or after [`PAGE_SECONDS`]. A
//! session that no application has been given yet ends by itself with its page.
//! Not here: the cookie, and what guards its forms (`routes::pages`).

use jiff::{SignedDuration, Timestamp};
use mainstay_core::error::BackendError;
use mainstay_core::secret::Secret;
use uuid::Uuid;

use crate::secrets;
use crate::sessions::SessionId;
use crate::store::{Store, Tx, text};

/// How long a browser stays signed in on the pages, in seconds.
pub const PAGE_SECONDS: i64 = 3600;

const INSERT: &str = "INSERT INTO _mainstay.page_sessions (digest, session_id, expires_at) \
     VALUES ($1::text, $2::uuid, $3::timestamptz)";
const DELETE: &str = "DELETE FROM _mainstay.page_sessions WHERE digest = $1::text";
const BY_DIGEST: &str = "SELECT p.session_id FROM _mainstay.page_sessions p WHERE p.digest = $1::text \
     AND p.expires_at > $2::timestamptz";
const INSERT_FLOW: &str = "INSERT INTO _mainstay.page_flows (flow_id, session_id) VALUES ($1::uuid, $2::uuid)";
const TAKE_FLOW: &str = "DELETE FROM _mainstay.page_flows WHERE flow_id = $1::uuid RETURNING session_id";

/// The session that a cookie stands for.
pub async fn session(
    store: &Store,
    cookie: &Secret<String>,
    now: Timestamp,
) -> Result<Option<SessionId>, BackendError> {
    let values = vec![text(secrets::sha256(cookie.expose())), text(now)];
    store
        .run(BY_DIGEST, values)
        .await?
        .first(|row| Ok(SessionId(row.uuid()?)))
}

/// Gives a session a new cookie. The cookie that the browser had before stands for nothing any more.
pub async fn begin(
    tx: &Tx,
    session: SessionId,
    cookie: &Secret<String>,
    before: &Secret<String>,
    now: Timestamp,
) -> Result<(), BackendError> {
    tx.run(DELETE, vec![text(secrets::sha256(before.expose()))]).await?;
    let values = vec![
        text(secrets::sha256(cookie.expose())),
        text(session),
        text(ends_at(now)),
    ];
    tx.run(INSERT, values).await.map(drop)
}

/// When a page session that begins now ends.
pub fn ends_at(now: Timestamp) -> Timestamp {
    now.saturating_add(SignedDuration::from_secs(PAGE_SECONDS))
        .unwrap_or(now)
}

/// Remembers that the flow's code gives this session.
pub async fn hand_over_by(tx: &Tx, flow: Uuid, session: SessionId) -> Result<(), BackendError> {
    tx.run(INSERT_FLOW, vec![text(flow), text(session)]).await.map(drop)
}

/// The session that the flow's code gives, once. `None`: it has ended.
pub async fn take_over_by(tx: &Tx, flow: Uuid) -> Result<Option<SessionId>, BackendError> {
    let found = tx.run(TAKE_FLOW, vec![text(flow)]).await?;
    found.first(|row| Ok(SessionId(row.uuid()?)))
}

//! What an application asks a user for, from the question to the code that is redeemed.
//!
//! A question is open until its user answers it, and belongs to the first user who looks at it. Its code is kept hashed,
//! holds for [`CODE_SECONDS`] and is redeemed once: the row goes with it. What is left is which session the code gave, for
//! as long as that goes on: a code that comes again has been in other hands.

use jiff::Timestamp;
use mainstay_core::clock;
use mainstay_core::error::BackendError;
use mainstay_core::secret::Secret;
use uuid::Uuid;

use super::clients::OAuthClient;
use super::scopes::Scopes;
use crate::error::Error;
use crate::flow_state::Challenge;
use crate::secrets;
use crate::sessions::SessionId;
use crate::store::{Row, Store, Tx, optional, text};
use crate::users::UserId;

/// How long a user may take to answer, in seconds.
const ANSWER_SECONDS: i64 = 600;
/// How long a code holds, in seconds.
pub const CODE_SECONDS: i64 = 120;

macro_rules! columns {
    () => {
        "a.id, a.authorization_id, a.client_id, a.user_id, a.redirect_uri, a.scope, a.state, a.resource, \
         a.code_challenge, a.status::text, a.expires_at, a.nonce"
    };
}

const INSERT: &str = "INSERT INTO auth.oauth_authorizations (id, authorization_id, client_id, redirect_uri, scope, \
     state, resource, code_challenge, code_challenge_method, nonce, created_at, expires_at) \
     VALUES ($1::uuid, $2::text, $3::uuid, $4::text, $5::text, $6::text, $7::text, $8::text, 's256', $9::text, \
     $11::timestamptz, $10::timestamptz)";
const LOCK: &str = concat!(
    "SELECT ",
    columns!(),
    " FROM auth.oauth_authorizations a WHERE a.authorization_id = $1::text FOR UPDATE"
);
const LOCK_BY_CODE: &str = concat!(
    "SELECT ",
    columns!(),
    " FROM auth.oauth_authorizations a WHERE a.authorization_code = $1::text AND a.status = 'approved' FOR UPDATE"
);
const SET_USER: &str = "UPDATE auth.oauth_authorizations SET user_id = $2::uuid WHERE id = $1::uuid";
// A clock that was put back since must not make the code's end come before its beginning, which the table refuses.
const APPROVE: &str = "UPDATE auth.oauth_authorizations SET status = 'approved', authorization_code = $2::text, \
     approved_at = now(), expires_at = $3::timestamptz, \
     created_at = LEAST(created_at, $3::timestamptz - interval '1 second') WHERE id = $1::uuid";
const DENY: &str = "UPDATE auth.oauth_authorizations SET status = 'denied' WHERE id = $1::uuid";
const KEEP_REDEEMED: &str = "INSERT INTO _mainstay.redeemed_codes (digest, session_id) VALUES ($1::text, $2::uuid)";
const SESSION_OF_REDEEMED: &str = "SELECT s.id, s.user_id FROM _mainstay.redeemed_codes c \
     JOIN auth.sessions s ON s.id = c.session_id WHERE c.digest = $1::text AND s.oauth_client_id = $2::uuid";
const DELETE: &str = "DELETE FROM auth.oauth_authorizations WHERE id = $1::uuid";

/// What an application asks for.
#[derive(Clone, Debug)]
pub struct Question {
    pub redirect_uri: String,
    pub scopes: Scopes,
    pub state: Option<String>,
    pub resource: Option<String>,
    pub challenge: String,
    pub nonce: Option<String>,
}

/// A question that was asked.
#[derive(Clone, Debug)]
pub struct Authorization {
    id: Uuid,
    pub authorization_id: String,
    pub client: Uuid,
    pub user: Option<UserId>,
    pub redirect_uri: String,
    pub scopes: Scopes,
    pub state: Option<String>,
    pub resource: Option<String>,
    challenge: String,
    status: String,
    expires_at: Option<Timestamp>,
    pub nonce: Option<String>,
}

impl Authorization {
    fn read(row: &mut Row) -> Result<Self, BackendError> {
        Ok(Authorization {
            id: row.uuid()?,
            authorization_id: row.text()?,
            client: row.uuid()?,
            user: row.maybe_uuid()?.map(UserId),
            redirect_uri: row.text()?,
            scopes: Scopes::kept(&row.text()?),
            state: row.maybe()?,
            resource: row.maybe()?,
            challenge: row.text()?,
            status: row.text()?,
            expires_at: row.time()?,
            nonce: row.maybe()?,
        })
    }

    pub fn is_over(&self, now: Timestamp) -> bool {
        self.expires_at.is_none_or(|end| now > end)
    }

    pub fn is_open(&self) -> bool {
        self.status == "pending"
    }

    /// True if whoever brings the verifier asked the question (RFC 7636 §4.6).
    pub fn is_askers(&self, verifier: &Secret<String>) -> bool {
        Challenge::s256(&self.challenge).is_some_and(|challenge| challenge.fits(verifier.expose()))
    }
}

fn after(seconds: i64) -> Result<Timestamp, Error> {
    clock::now()
        .checked_add(jiff::SignedDuration::from_secs(seconds))
        .map_err(|_| Error::Unexpected("the clock is at its end".into()))
}

/// Keeps a question. Gives the id by which the user's page asks for it.
pub async fn ask(store: &Store, client: &OAuthClient, question: &Question) -> Result<String, Error> {
    let id = secrets::random()?.expose().clone();
    let values = vec![
        text(Uuid::new_v4()),
        text(&id),
        text(client.id),
        text(&question.redirect_uri),
        text(&question.scopes),
        optional(question.state.as_ref()),
        optional(question.resource.as_ref()),
        text(&question.challenge),
        optional(question.nonce.as_ref()),
        text(after(ANSWER_SECONDS)?),
        text(clock::now()),
    ];
    store.run(INSERT, values).await?;
    Ok(id)
}

/// Holds a question.
pub async fn lock(tx: &Tx, authorization_id: &str) -> Result<Option<Authorization>, BackendError> {
    tx.run(LOCK, vec![text(authorization_id)])
        .await?
        .first(Authorization::read)
}

/// Holds the question that a code answers.
pub async fn lock_by_code(tx: &Tx, code: &Secret<String>) -> Result<Option<Authorization>, BackendError> {
    tx.run(LOCK_BY_CODE, vec![text(secrets::sha256(code.expose()))])
        .await?
        .first(Authorization::read)
}

/// The question is this user's.
pub async fn set_user(tx: &Tx, authorization: &Authorization, user: UserId) -> Result<(), BackendError> {
    let values = vec![text(authorization.id), text(user)];
    tx.run(SET_USER, values).await.map(drop)
}

/// The user agrees: the code may be redeemed until then.
pub async fn approve(
    tx: &Tx,
    authorization: &Authorization,
    code: &Secret<String>,
    until: Timestamp,
) -> Result<(), BackendError> {
    let values = vec![
        text(authorization.id),
        text(secrets::sha256(code.expose())),
        text(until),
    ];
    tx.run(APPROVE, values).await.map(drop)
}

/// Until when a code that is given now holds.
pub fn code_until() -> Result<Timestamp, Error> {
    after(CODE_SECONDS)
}

/// The user does not agree.
pub async fn deny(tx: &Tx, authorization: &Authorization) -> Result<(), BackendError> {
    tx.run(DENY, vec![text(authorization.id)]).await.map(drop)
}

/// The code is redeemed, and has given this session.
pub async fn redeemed(
    tx: &Tx,
    authorization: &Authorization,
    code: &Secret<String>,
    session: SessionId,
) -> Result<(), BackendError> {
    tx.run(DELETE, vec![text(authorization.id)]).await?;
    let values = vec![text(secrets::sha256(code.expose())), text(session)];
    tx.run(KEEP_REDEEMED, values).await.map(drop)
}

/// The session that the code has given this application, and its user, if it was redeemed before and the session goes on.
pub async fn session_of(
    tx: &Tx,
    code: &Secret<String>,
    client: Uuid,
) -> Result<Option<(SessionId, UserId)>, BackendError> {
    let values = vec![text(secrets::sha256(code.expose())), text(client)];
    tx.run(SESSION_OF_REDEEMED, values)
        .await?
        .first(|row| Ok((SessionId(row.uuid()?), UserId(row.uuid()?))))
}

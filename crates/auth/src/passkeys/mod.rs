//! Passkeys: rows of `auth.webauthn_credentials`, and [`challenges`] that they are to sign.
//!
//! Not here: what makes a signature count (`webauthn`), who may do what (`routes::passkeys`).

pub mod challenges;

use jiff::Timestamp;
use mainstay_core::error::BackendError;
use serde_json::{Map, Value as Json, json};
use uuid::Uuid;

use crate::response::time;
use crate::secrets;
use crate::store::{Row, Store, Tx, optional, text};
use crate::users::UserId;
use crate::webauthn::{Credential, Signed};

/// A passkey's id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PasskeyId(pub Uuid);

impl std::fmt::Display for PasskeyId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

/// The columns of a [`Passkey`], in the order in which [`Passkey::read`] takes them.
macro_rules! columns {
    () => {
        "c.id, c.user_id, c.friendly_name, c.created_at, c.last_used_at, encode(c.credential_id, 'hex'), \
         encode(c.public_key, 'hex'), c.attestation_type, c.aaguid, c.sign_count, c.backup_eligible, c.backed_up"
    };
}

const OF_USER: &str = concat!(
    "SELECT ",
    columns!(),
    " FROM auth.webauthn_credentials c WHERE c.user_id = $1::uuid ORDER BY c.created_at, c.id"
);
const BY_CREDENTIAL: &str = concat!(
    "SELECT ",
    columns!(),
    " FROM auth.webauthn_credentials c WHERE c.credential_id = decode($1::text, 'hex')"
);
const INSERT: &str = "INSERT INTO auth.webauthn_credentials (id, user_id, credential_id, public_key, attestation_type, \
     aaguid, sign_count, transports, backup_eligible, backed_up, friendly_name, created_at, updated_at) \
     VALUES ($1::uuid, $2::uuid, decode($3::text, 'hex'), decode($4::text, 'hex'), $5::text, $6::uuid, $7::bigint, \
     $8::jsonb, $9::boolean, $10::boolean, $11::text, now(), now())";
/// Of two signatures with one count, the second is a copy's.
const USED: &str = "UPDATE auth.webauthn_credentials SET sign_count = $2::bigint, backed_up = $3::boolean, \
     last_used_at = now(), updated_at = now() \
     WHERE id = $1::uuid AND (sign_count < $2::bigint OR (sign_count = 0 AND $2::bigint = 0)) RETURNING id";
const RENAME: &str = "UPDATE auth.webauthn_credentials SET friendly_name = $2::text, updated_at = now() \
     WHERE id = $1::uuid";
const DELETE: &str = "DELETE FROM auth.webauthn_credentials WHERE id = $1::uuid";
const DELETE_ALL: &str = "DELETE FROM auth.webauthn_credentials WHERE user_id = $1::uuid";
const DELETE_CHALLENGES: &str = "DELETE FROM auth.webauthn_challenges WHERE user_id = $1::uuid";
/// Schemas that Supabase Auth made before it had passkeys have no place for them.
const IS_THERE: &str = "SELECT count(*) FROM information_schema.tables t \
     WHERE t.table_schema = 'auth' AND t.table_name = 'webauthn_credentials'";

/// A row of `auth.webauthn_credentials`.
#[derive(Clone, Debug)]
pub struct Passkey {
    pub id: PasskeyId,
    pub user: UserId,
    /// Empty: it has no name.
    pub name: String,
    pub created_at: Option<Timestamp>,
    pub last_used_at: Option<Timestamp>,
    pub credential: Credential,
}

impl Passkey {
    fn read(row: &mut Row) -> Result<Self, BackendError> {
        let broken = || BackendError::Internal("a passkey cannot be read".into());
        let bytes = |row: &mut Row| secrets::unhex(&row.text()?).ok_or_else(broken);
        Ok(Passkey {
            id: PasskeyId(row.uuid()?),
            user: UserId(row.uuid()?),
            name: row.text()?,
            created_at: row.time()?,
            last_used_at: row.time()?,
            credential: Credential {
                id: bytes(row)?,
                public_key: bytes(row)?,
                attestation: row.text()?,
                aaguid: row.maybe_uuid()?,
                sign_count: row.integer()?.try_into().map_err(|_| broken())?,
                // Of what is kept they are told to nobody.
                transports: Vec::new(),
                is_verified: true,
                backup_eligible: row.flag()?,
                backed_up: row.flag()?,
            },
        })
    }

    /// The passkey as the protocol shows it.
    pub fn json(&self) -> Json {
        let mut out = Map::new();
        out.insert("id".into(), json!(self.id.to_string()));
        if !self.name.is_empty() {
            out.insert("friendly_name".into(), json!(self.name));
        }
        out.insert("created_at".into(), self.created_at.map_or(Json::Null, time));
        if let Some(at) = self.last_used_at {
            out.insert("last_used_at".into(), time(at));
        }
        Json::Object(out)
    }
}

/// A user's passkeys, oldest first.
pub async fn of_user(store: &Store, user: UserId) -> Result<Vec<Passkey>, BackendError> {
    store.run(OF_USER, vec![text(user)]).await?.all(Passkey::read)
}

/// The same in a transaction.
pub async fn of_user_in(tx: &Tx, user: UserId) -> Result<Vec<Passkey>, BackendError> {
    tx.run(OF_USER, vec![text(user)]).await?.all(Passkey::read)
}

/// The passkey with this credential, whosever it is.
pub async fn by_credential(store: &Store, id: &[u8]) -> Result<Option<Passkey>, BackendError> {
    let values = vec![text(secrets::hex(id))];
    store.run(BY_CREDENTIAL, values).await?.first(Passkey::read)
}

/// True if somebody has a passkey with this credential.
pub async fn is_taken(tx: &Tx, id: &[u8]) -> Result<bool, BackendError> {
    let values = vec![text(secrets::hex(id))];
    Ok(tx.run(BY_CREDENTIAL, values).await?.first(Passkey::read)?.is_some())
}

/// Keeps a new passkey.
pub async fn insert(
    tx: &Tx,
    id: PasskeyId,
    user: UserId,
    name: &str,
    credential: &Credential,
) -> Result<(), BackendError> {
    let values = vec![
        text(id),
        text(user),
        text(secrets::hex(&credential.id)),
        text(secrets::hex(&credential.public_key)),
        text(&credential.attestation),
        optional(credential.aaguid),
        text(credential.sign_count),
        text(json!(credential.transports)),
        text(credential.backup_eligible),
        text(credential.backed_up),
        text(name),
    ];
    tx.run(INSERT, values).await.map(drop)
}

/// Remembers that it has signed. False: it is gone, or its count does not go on.
pub async fn used(tx: &Tx, id: PasskeyId, signed: Signed) -> Result<bool, BackendError> {
    let values = vec![text(id), text(signed.sign_count), text(signed.backed_up)];
    let found = tx.run(USED, values).await?.first(|row| row.uuid())?;
    Ok(found.is_some())
}

pub async fn rename(tx: &Tx, id: PasskeyId, name: &str) -> Result<(), BackendError> {
    tx.run(RENAME, vec![text(id), text(name)]).await.map(drop)
}

pub async fn delete(tx: &Tx, id: PasskeyId) -> Result<(), BackendError> {
    tx.run(DELETE, vec![text(id)]).await.map(drop)
}

/// Deletes all that a user has, and what is asked of the user for more.
pub async fn delete_all(tx: &Tx, user: UserId) -> Result<(), BackendError> {
    let tables = tx.run(IS_THERE, Vec::new()).await?.first(Row::integer)?;
    if tables == Some(0) {
        return Ok(());
    }
    tx.run(DELETE_CHALLENGES, vec![text(user)]).await?;
    tx.run(DELETE_ALL, vec![text(user)]).await.map(drop)
}

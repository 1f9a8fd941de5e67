//! Users: reading them, writing them, and how the protocol shows them ([`profile`](mod@profile)).

mod profile;

pub use profile::{Profile, page, profile, profile_in};

use jiff::Timestamp;
use mainstay_core::error::BackendError;
use mainstay_core::plan::Value;
use mainstay_core::secret::Secret;
use serde_json::{Map, Value as Json, json};
use uuid::Uuid;

use crate::factors;
use crate::identities;
use crate::one_time_tokens;
use crate::passkeys;
use crate::routes::Imported;
use crate::secrets;
use crate::store::{Row, Store, Tx, optional, text};

/// A user's id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct UserId(pub Uuid);

impl std::fmt::Display for UserId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

/// Who tokens are for.
pub const AUDIENCE: &str = "authenticated";
/// The role of users, unless an administrator gives another.
pub const ROLE: &str = "authenticated";
/// The columns of a [`User`], in the order in which [`User::read`] takes them.
macro_rules! columns {
    () => {
        "u.id, u.aud, u.role, u.email, u.encrypted_password, u.email_confirmed_at, u.invited_at, u.phone, \
         u.phone_confirmed_at, u.confirmation_sent_at, u.confirmed_at, u.recovery_sent_at, u.email_change, \
         u.email_change_sent_at, u.phone_change, u.phone_change_sent_at, u.reauthentication_sent_at, \
         u.last_sign_in_at, u.raw_app_meta_data, u.raw_user_meta_data, u.created_at, u.updated_at, u.banned_until, \
         u.deleted_at, u.is_anonymous, u.is_sso_user"
    };
}

use columns;

const BY_ID: &str = concat!("SELECT ", columns!(), " FROM auth.users u WHERE u.id = $1::uuid");
const BY_EMAIL: &str = concat!(
    "SELECT ",
    columns!(),
    " FROM auth.users u WHERE u.instance_id = '00000000-0000-0000-0000-000000000000' \
     AND lower(u.email::text) = $1::text AND u.aud = $2::text AND u.is_sso_user = false LIMIT 1"
);
const BY_PHONE: &str = concat!(
    "SELECT ",
    columns!(),
    " FROM auth.users u WHERE u.instance_id = '00000000-0000-0000-0000-000000000000' \
     AND u.phone = $1::text AND u.aud = $2::text AND u.is_sso_user = false LIMIT 1"
);
const LOCK: &str = concat!(
    "SELECT ",
    columns!(),
    " FROM auth.users u WHERE u.id = $1::uuid FOR UPDATE"
);
const INSERT: &str = "INSERT INTO auth.users (instance_id, id, aud, role, email, phone, encrypted_password, \
     confirmation_token, recovery_token, email_change_token_new, email_change, raw_app_meta_data, raw_user_meta_data, \
     is_sso_user, is_anonymous, created_at, updated_at) \
     VALUES ('00000000-0000-0000-0000-000000000000', $1::uuid, $2::text, $3::text, $4::text, $5::text, $6::text, \
     '', '', '', '', $7::jsonb, $8::jsonb, false, $9::boolean, now(), now())";
const CONFIRM_EMAIL: &str = "UPDATE auth.users SET confirmation_token = '', email_confirmed_at = now(), \
     updated_at = now() WHERE id = $1::uuid AND email_confirmed_at IS NULL";
const SET_USER_METADATA: &str =
    "UPDATE auth.users SET raw_user_meta_data = $2::jsonb, updated_at = now() WHERE id = $1::uuid";
const SET_HASH: &str = "UPDATE auth.users SET encrypted_password = $2::text WHERE id = $1::uuid";
const SIGNED_IN: &str = "UPDATE auth.users SET last_sign_in_at = now(), updated_at = now() WHERE id = $1::uuid";

const SET_PASSWORD: &str = "UPDATE auth.users SET encrypted_password = $2::text, confirmation_token = '', \
     confirmation_sent_at = NULL, recovery_token = '', recovery_sent_at = NULL, email_change_token_current = '', \
     email_change_token_new = '', email_change_sent_at = NULL, phone_change_token = '', phone_change_sent_at = NULL, \
     reauthentication_token = '', reauthentication_sent_at = NULL, updated_at = now() WHERE id = $1::uuid";
const SET_EMAIL: &str = "UPDATE auth.users SET email = $2::text, is_anonymous = false, updated_at = now() \
     WHERE id = $1::uuid";
const SET_APP_METADATA: &str =
    "UPDATE auth.users SET raw_app_meta_data = $2::jsonb, updated_at = now() WHERE id = $1::uuid";

const INSERT_IMPORTED: &str = "INSERT INTO auth.users (instance_id, id, aud, role, email, phone, encrypted_password, \
     confirmation_token, recovery_token, email_change_token_new, email_change, raw_app_meta_data, raw_user_meta_data, \
     is_sso_user, is_anonymous, email_confirmed_at, phone_confirmed_at, last_sign_in_at, banned_until, created_at, \
     updated_at) \
     VALUES ('00000000-0000-0000-0000-000000000000', $1::uuid, $2::text, $3::text, $4::text, $5::text, $6::text, \
     '', '', '', '', $7::jsonb, $8::jsonb, false, $9::boolean, $10::timestamptz, $11::timestamptz, $12::timestamptz, \
     $13::timestamptz, coalesce($14::timestamptz, now()), now())";
const IS_THERE: &str = "SELECT u.id FROM auth.users u WHERE u.id = $1::uuid \
     OR (u.email = $2::text AND u.is_sso_user = false) OR u.phone = $3::text LIMIT 1";

const SET_ROLE: &str = "UPDATE auth.users SET role = $2::text, updated_at = now() WHERE id = $1::uuid";
const SET_BAN: &str = "UPDATE auth.users SET banned_until = $2::timestamptz, updated_at = now() WHERE id = $1::uuid";
const SET_PHONE: &str = "UPDATE auth.users SET phone = $2::text, updated_at = now() WHERE id = $1::uuid";
const CONFIRM_PHONE: &str = "UPDATE auth.users SET confirmation_token = '', phone_confirmed_at = now(), \
     updated_at = now() WHERE id = $1::uuid AND phone_confirmed_at IS NULL";
const DELETE: &str = "DELETE FROM auth.users WHERE id = $1::uuid";
const BURY: &str = "UPDATE auth.users SET email = $2::text, phone = $3::text, encrypted_password = '', \
     email_change = '', phone_change = '', confirmation_token = '', recovery_token = '', \
     email_change_token_current = '', email_change_token_new = '', phone_change_token = '', \
     reauthentication_token = '', raw_user_meta_data = '{}', raw_app_meta_data = '{}', deleted_at = now(), \
     updated_at = now() WHERE id = $1::uuid AND deleted_at IS NULL";

/// A row of `auth.users`.
#[derive(Clone, Debug)]
pub struct User {
    pub id: UserId,
    pub aud: String,
    pub role: String,
    pub email: String,
    /// Empty: there is no password.
    pub password_hash: Secret<String>,
    pub email_confirmed_at: Option<Timestamp>,
    pub invited_at: Option<Timestamp>,
    pub phone: String,
    pub phone_confirmed_at: Option<Timestamp>,
    pub confirmation_sent_at: Option<Timestamp>,
    pub confirmed_at: Option<Timestamp>,
    pub recovery_sent_at: Option<Timestamp>,
    pub new_email: String,
    pub email_change_sent_at: Option<Timestamp>,
    pub new_phone: String,
    pub phone_change_sent_at: Option<Timestamp>,
    pub reauthentication_sent_at: Option<Timestamp>,
    pub last_sign_in_at: Option<Timestamp>,
    pub app_metadata: Map<String, Json>,
    pub user_metadata: Map<String, Json>,
    pub created_at: Option<Timestamp>,
    pub updated_at: Option<Timestamp>,
    pub banned_until: Option<Timestamp>,
    pub deleted_at: Option<Timestamp>,
    pub is_anonymous: bool,
    pub is_sso: bool,
}

/// What a new user begins with.
#[derive(Clone, Debug)]
pub struct NewUser {
    pub id: UserId,
    pub role: String,
    pub email: Option<String>,
    pub phone: Option<String>,
    pub password_hash: Option<Secret<String>>,
    pub app_metadata: Map<String, Json>,
    pub user_metadata: Map<String, Json>,
    pub is_anonymous: bool,
}

impl NewUser {
    /// As `INSERT` takes them.
    fn values(&self) -> Vec<Value> {
        let hash = self.password_hash.as_ref().map(|hash| hash.expose().as_str());
        vec![
            text(self.id),
            text(AUDIENCE),
            text(&self.role),
            optional(self.email.as_ref()),
            optional(self.phone.as_ref()),
            text(hash.unwrap_or_default()),
            object(&self.app_metadata),
            object(&self.user_metadata),
            text(self.is_anonymous),
        ]
    }
}

impl User {
    pub(crate) fn read(row: &mut Row) -> Result<Self, BackendError> {
        Ok(User {
            id: UserId(row.uuid()?),
            aud: row.text()?,
            role: row.text()?,
            email: row.text()?,
            password_hash: Secret::new(row.text()?),
            email_confirmed_at: row.time()?,
            invited_at: row.time()?,
            phone: row.text()?,
            phone_confirmed_at: row.time()?,
            confirmation_sent_at: row.time()?,
            confirmed_at: row.time()?,
            recovery_sent_at: row.time()?,
            new_email: row.text()?,
            email_change_sent_at: row.time()?,
            new_phone: row.text()?,
            phone_change_sent_at: row.time()?,
            reauthentication_sent_at: row.time()?,
            last_sign_in_at: row.time()?,
            app_metadata: row.object()?,
            user_metadata: row.object()?,
            created_at: row.time()?,
            updated_at: row.time()?,
            banned_until: row.time()?,
            deleted_at: row.time()?,
            is_anonymous: row.flag()?,
            is_sso: row.flag()?,
        })
    }

    /// How the account is called where its user sees it: by its address, its number, or its id.
    pub fn account(&self) -> String {
        let named = [&self.email, &self.phone].into_iter().find(|name| !name.is_empty());
        named.map_or_else(|| self.id.to_string(), String::clone)
    }

    pub fn is_banned(&self, now: Timestamp) -> bool {
        self.banned_until.is_some_and(|until| now < until)
    }
}

/// The user with this id.
pub async fn by_id(store: &Store, id: UserId) -> Result<Option<User>, BackendError> {
    store.run(BY_ID, vec![text(id)]).await?.first(User::read)
}

/// The user who signs in with this address, which is folded already.
pub async fn by_email(store: &Store, email: &str) -> Result<Option<User>, BackendError> {
    let values = vec![text(email), text(AUDIENCE)];
    store.run(BY_EMAIL, values).await?.first(User::read)
}

/// The user who signs in with this number: digits alone.
pub async fn by_phone(store: &Store, phone: &str) -> Result<Option<User>, BackendError> {
    let values = vec![text(phone), text(AUDIENCE)];
    store.run(BY_PHONE, values).await?.first(User::read)
}

/// The user with this id, in a transaction.
pub async fn by_id_in(tx: &Tx, id: UserId) -> Result<Option<User>, BackendError> {
    tx.run(BY_ID, vec![text(id)]).await?.first(User::read)
}

/// Holds the user's row until the transaction ends, and gives it as it is once it is held. `None`: there is no such user.
pub async fn lock(tx: &Tx, id: UserId) -> Result<Option<User>, BackendError> {
    tx.run(LOCK, vec![text(id)]).await?.first(User::read)
}

/// Makes a user; triggers on `auth.users` run here, within the transaction.
pub async fn insert(tx: &Tx, user: &NewUser) -> Result<(), BackendError> {
    tx.run(INSERT, user.values()).await.map(drop)
}

/// True if somebody has the id, the address or the number.
pub async fn is_there(tx: &Tx, id: UserId, email: Option<&str>, phone: Option<&str>) -> Result<bool, BackendError> {
    let found = tx
        .run(IS_THERE, vec![text(id), optional(email), optional(phone)])
        .await?;
    Ok(found.first(|row| row.uuid())?.is_some())
}

/// Makes a user as another system kept it.
pub async fn insert_imported(tx: &Tx, user: &Imported) -> Result<(), BackendError> {
    let mut values = user.new.values();
    values.extend([
        optional(user.email_confirmed_at),
        optional(user.phone_confirmed_at),
        optional(user.last_sign_in_at),
        optional(user.banned_until),
        optional(user.created_at),
    ]);
    tx.run(INSERT_IMPORTED, values).await.map(drop)
}

/// The user's address is the user's own.
pub async fn confirm_email(tx: &Tx, id: UserId, metadata: &Map<String, Json>) -> Result<(), BackendError> {
    tx.run(CONFIRM_EMAIL, vec![text(id)]).await?;
    let mut metadata = metadata.clone();
    metadata.insert("email_verified".into(), json!(true));
    set_user_metadata(tx, id, &metadata).await
}

pub async fn set_user_metadata(tx: &Tx, id: UserId, metadata: &Map<String, Json>) -> Result<(), BackendError> {
    tx.run(SET_USER_METADATA, vec![text(id), object(metadata)])
        .await
        .map(drop)
}

/// Puts a newer hash of the same password in the place of an old one.
pub async fn set_hash(tx: &Tx, id: UserId, hash: &Secret<String>) -> Result<(), BackendError> {
    tx.run(SET_HASH, vec![text(id), text(hash.expose())]).await.map(drop)
}

/// Gives the user another password. Whatever was sent under the old one is void.
pub async fn set_password(tx: &Tx, id: UserId, hash: &Secret<String>) -> Result<(), BackendError> {
    tx.run(SET_PASSWORD, vec![text(id), text(hash.expose())]).await?;
    one_time_tokens::clear_all(tx, id).await
}

/// Gives the user an address; whoever has one is not anonymous. Whatever was sent to another one is void.
pub async fn set_email(tx: &Tx, id: UserId, email: &str) -> Result<(), BackendError> {
    tx.run(SET_EMAIL, vec![text(id), text(email)]).await?;
    one_time_tokens::clear_all(tx, id).await
}

pub async fn set_app_metadata(tx: &Tx, id: UserId, metadata: &Map<String, Json>) -> Result<(), BackendError> {
    tx.run(SET_APP_METADATA, vec![text(id), object(metadata)])
        .await
        .map(drop)
}

pub async fn set_role(tx: &Tx, id: UserId, role: &str) -> Result<(), BackendError> {
    tx.revoke(id.0);
    tx.run(SET_ROLE, vec![text(id), text(role)]).await.map(drop)
}

/// Bans the user until then; `None`: not any more.
pub async fn set_ban(tx: &Tx, id: UserId, until: Option<Timestamp>) -> Result<(), BackendError> {
    tx.revoke(id.0);
    tx.run(SET_BAN, vec![text(id), optional(until)]).await.map(drop)
}

pub async fn set_phone(tx: &Tx, id: UserId, phone: &str) -> Result<(), BackendError> {
    tx.run(SET_PHONE, vec![text(id), text(phone)]).await?;
    one_time_tokens::clear_all(tx, id).await
}

pub async fn confirm_phone(tx: &Tx, id: UserId) -> Result<(), BackendError> {
    tx.run(CONFIRM_PHONE, vec![text(id)]).await.map(drop)
}

/// Deletes the user with everything that goes with it.
pub async fn delete(tx: &Tx, id: UserId) -> Result<(), BackendError> {
    tx.revoke(id.0);
    tx.run(DELETE, vec![text(id)]).await.map(drop)
}

/// Leaves a row that says nothing of whom it was, so that what refers to it may stay.
pub async fn bury(tx: &Tx, user: &User) -> Result<(), BackendError> {
    tx.revoke(user.id.0);
    let gone = |value: &str| (!value.is_empty()).then(|| obscure(user.id, value));
    let values = vec![text(user.id), optional(gone(&user.email)), optional(gone(&user.phone))];
    tx.run(BURY, values).await?;
    factors::delete_all(tx, user.id).await?;
    passkeys::delete_all(tx, user.id).await?;
    one_time_tokens::clear_all(tx, user.id).await?;
    identities::bury(tx, user.id).await
}

/// A value that nobody can read any more, and that stays unique.
pub fn obscure(user: UserId, value: &str) -> String {
    secrets::sha256_hex(&format!("{user}{value}"))
}

/// Remembers that the user has signed in now.
pub async fn signed_in(tx: &Tx, id: UserId) -> Result<(), BackendError> {
    tx.run(SIGNED_IN, vec![text(id)]).await.map(drop)
}

/// A JSON object as a value.
pub fn object(object: &Map<String, Json>) -> Value {
    Value::Text(Json::Object(object.clone()).to_string())
}

/// Merges members; null takes one away.
pub fn merge(into: &mut Map<String, Json>, changes: &Map<String, Json>) {
    for (name, value) in changes {
        match value {
            Json::Null => {
                into.remove(name);
            }
            value => {
                into.insert(name.clone(), value.clone());
            }
        }
    }
}

/// The same members in the order in which the database gives them back, so that what was stored and what was not look
/// alike.
pub fn in_stored_order(value: Json) -> Json {
    match value {
        Json::Object(object) => {
            let mut members: Vec<(String, Json)> = object.into_iter().collect();
            // As `jsonb` orders keys: by length, then by bytes.
            members.sort_by(|(one, _), (other, _)| (one.len(), one).cmp(&(other.len(), other)));
            Json::Object(
                members
                    .into_iter()
                    .map(|(name, value)| (name, in_stored_order(value)))
                    .collect(),
            )
        }
        Json::Array(items) => Json::Array(items.into_iter().map(in_stored_order).collect()),
        value => value,
    }
}

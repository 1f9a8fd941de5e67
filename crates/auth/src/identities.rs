//! Identities: by which provider a user is known, and as whom.

use std::collections::HashMap;

use jiff::Timestamp;
use mainstay_core::error::BackendError;
use serde_json::{Map, Value as Json, json};
use uuid::Uuid;

use crate::response::time;
use crate::store::{Rows, Store, Tx, text};
use crate::users::{UserId, object, obscure};

const OF_USER: &str = "SELECT i.id, i.provider_id, i.user_id, i.identity_data, i.provider, i.last_sign_in_at, \
     i.created_at, i.updated_at, i.email FROM auth.identities i WHERE i.user_id = $1::uuid ORDER BY i.created_at, i.id";
const INSERT: &str = "INSERT INTO auth.identities (id, provider_id, user_id, identity_data, provider, \
     last_sign_in_at, created_at, updated_at) \
     VALUES ($1::uuid, $2::text, $3::uuid, $4::jsonb, $5::text, now(), now(), now())";

const OF_USERS: &str = "SELECT i.id, i.provider_id, i.user_id, i.identity_data, i.provider, i.last_sign_in_at, \
     i.created_at, i.updated_at, i.email FROM auth.identities i WHERE i.user_id = ANY ($1::uuid[]) \
     ORDER BY i.created_at, i.id";
const SET_DATA: &str = "UPDATE auth.identities SET identity_data = $3::jsonb, updated_at = now() \
     WHERE user_id = $1::uuid AND provider = $2::text";
const BURY: &str = "UPDATE auth.identities SET provider_id = $2::text, identity_data = '{}', updated_at = now() \
     WHERE id = $1::uuid";

/// A row of `auth.identities`.
#[derive(Clone, Debug)]
pub struct Identity {
    pub id: Uuid,
    provider_id: String,
    user_id: Uuid,
    pub data: Map<String, Json>,
    pub provider: String,
    last_sign_in_at: Option<Timestamp>,
    created_at: Option<Timestamp>,
    updated_at: Option<Timestamp>,
    /// Folded.
    pub email: Option<String>,
}

impl Identity {
    /// The identity as the protocol shows it.
    pub fn json(&self) -> Json {
        let mut out = json!({
            "identity_id": self.id.to_string(),
            "id": self.provider_id,
            "user_id": self.user_id.to_string(),
            "identity_data": self.data,
            "provider": self.provider,
            "last_sign_in_at": self.last_sign_in_at.map(time),
            "created_at": self.created_at.map(time),
            "updated_at": self.updated_at.map(time),
        });
        if let (Some(email), Some(out)) = (&self.email, out.as_object_mut()) {
            out.insert("email".into(), json!(email));
        }
        out
    }
}

fn read(rows: Rows) -> Result<Vec<Identity>, BackendError> {
    rows.all(|row| {
        Ok(Identity {
            id: row.uuid()?,
            provider_id: row.text()?,
            user_id: row.uuid()?,
            data: row.object()?,
            provider: row.text()?,
            last_sign_in_at: row.time()?,
            created_at: row.time()?,
            updated_at: row.time()?,
            email: row.maybe()?,
        })
    })
}

/// A user's identities, oldest first.
pub async fn of_user(store: &Store, user: UserId) -> Result<Vec<Identity>, BackendError> {
    read(store.run(OF_USER, vec![text(user)]).await?)
}

/// The same in a transaction.
pub async fn of_user_in(tx: &Tx, user: UserId) -> Result<Vec<Identity>, BackendError> {
    read(tx.run(OF_USER, vec![text(user)]).await?)
}

/// What an identity by e-mail says of its user; also part of the user's own data.
pub fn email_data(user: UserId, email: &str) -> Map<String, Json> {
    let mut data = Map::new();
    data.insert("sub".into(), json!(user.to_string()));
    data.insert("email".into(), json!(email));
    data.insert("email_verified".into(), json!(false));
    data.insert("phone_verified".into(), json!(false));
    data
}

/// Makes an identity whose subject is the user itself.
pub async fn insert(tx: &Tx, user: UserId, provider: &str, data: &Map<String, Json>) -> Result<(), BackendError> {
    insert_as(tx, user, provider, &user.to_string(), data).await
}

/// Makes an identity whose subject is the provider's.
pub async fn insert_as(
    tx: &Tx,
    user: UserId,
    provider: &str,
    provider_id: &str,
    data: &Map<String, Json>,
) -> Result<(), BackendError> {
    let values = vec![
        text(Uuid::new_v4()),
        text(provider_id),
        text(user),
        object(data),
        text(provider),
    ];
    tx.run(INSERT, values).await.map(drop)
}

/// The identities of several users.
pub async fn of_users(
    store: &Store,
    users: impl Iterator<Item = UserId>,
) -> Result<HashMap<UserId, Vec<Identity>>, BackendError> {
    let ids: Vec<String> = users.map(|id| id.to_string()).collect();
    let found = read(
        store
            .run(OF_USERS, vec![text(format!("{{{}}}", ids.join(",")))])
            .await?,
    )?;
    let mut by_user: HashMap<UserId, Vec<Identity>> = HashMap::new();
    for identity in found {
        by_user.entry(UserId(identity.user_id)).or_default().push(identity);
    }
    Ok(by_user)
}

/// Says something else of the user's identity by `provider`, or makes the identity.
pub async fn set_data(
    tx: &Tx,
    user: UserId,
    provider: &str,
    known: &[Identity],
    changes: &Map<String, Json>,
) -> Result<(), BackendError> {
    let Some(identity) = known.iter().find(|identity| identity.provider == provider) else {
        return insert(tx, user, provider, changes).await;
    };
    let mut data = identity.data.clone();
    crate::users::merge(&mut data, changes);
    let values = vec![text(user), text(provider), object(&data)];
    tx.run(SET_DATA, values).await.map(drop)
}

/// Leaves rows that say nothing of whom they were.
pub async fn bury(tx: &Tx, user: UserId) -> Result<(), BackendError> {
    for identity in of_user_in(tx, user).await? {
        let values = vec![text(identity.id), text(obscure(user, &identity.provider_id))];
        tx.run(BURY, values).await?;
    }
    Ok(())
}

/// What an identity by phone says of its user.
pub fn phone_data(user: UserId, phone: &str) -> Map<String, Json> {
    let mut data = Map::new();
    data.insert("sub".into(), json!(user.to_string()));
    data.insert("phone".into(), json!(phone));
    data.insert("email_verified".into(), json!(false));
    data.insert("phone_verified".into(), json!(false));
    data
}

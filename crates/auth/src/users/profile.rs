//! Users as the protocol shows them: with identities and factors.

use jiff::Timestamp;
use mainstay_core::error::BackendError;
use serde_json::{Map, Value as Json, json};

use super::{AUDIENCE, User, UserId, by_id_in, columns};
use crate::factors::{self, Factor};
use crate::identities::{self, Identity};
use crate::response::time;
use crate::store::{Row, Store, Tx, text};

const PAGE: &str = concat!(
    "SELECT ",
    columns!(),
    " FROM auth.users u WHERE u.aud = $1::text ORDER BY u.created_at DESC, u.id LIMIT $2::bigint OFFSET $3::bigint"
);
const COUNT: &str = "SELECT count(*) FROM auth.users u WHERE u.aud = $1::text";
const PAGE_WITH: &str = concat!(
    "SELECT ",
    columns!(),
    " FROM auth.users u WHERE u.aud = $1::text AND (strpos(lower(u.email), $4::text) > 0 \
     OR strpos(lower(u.raw_user_meta_data ->> 'full_name'), $4::text) > 0) \
     ORDER BY u.created_at DESC, u.id LIMIT $2::bigint OFFSET $3::bigint"
);
const COUNT_WITH: &str = "SELECT count(*) FROM auth.users u WHERE u.aud = $1::text \
     AND (strpos(lower(u.email), $2::text) > 0 OR strpos(lower(u.raw_user_meta_data ->> 'full_name'), $2::text) > 0)";

/// A user with what the protocol shows beside the row.
#[derive(Clone, Debug)]
pub struct Profile {
    pub user: User,
    pub identities: Vec<Identity>,
    pub factors: Vec<Factor>,
}

impl Profile {
    /// The user as the protocol shows it.
    pub fn json(&self) -> Json {
        let user = &self.user;
        let mut out = Map::new();
        let mut put = |name: &str, value: Json| {
            out.insert(name.to_owned(), value);
        };
        let when = |at: Option<Timestamp>| at.map(time);
        let filled = |text: &str| (!text.is_empty()).then(|| json!(text));
        put("id", json!(user.id.to_string()));
        put("aud", json!(user.aud));
        put("role", json!(user.role));
        put("email", json!(user.email));
        for (name, value) in [
            ("email_confirmed_at", when(user.email_confirmed_at)),
            ("invited_at", when(user.invited_at)),
            ("phone", Some(json!(user.phone))),
            ("phone_confirmed_at", when(user.phone_confirmed_at)),
            ("confirmation_sent_at", when(user.confirmation_sent_at)),
            ("confirmed_at", when(user.confirmed_at)),
            ("recovery_sent_at", when(user.recovery_sent_at)),
            ("new_email", filled(&user.new_email)),
            ("email_change_sent_at", when(user.email_change_sent_at)),
            ("new_phone", filled(&user.new_phone)),
            ("phone_change_sent_at", when(user.phone_change_sent_at)),
            ("reauthentication_sent_at", when(user.reauthentication_sent_at)),
            ("last_sign_in_at", when(user.last_sign_in_at)),
        ] {
            if let Some(value) = value {
                put(name, value);
            }
        }
        put("app_metadata", Json::Object(user.app_metadata.clone()));
        put("user_metadata", Json::Object(user.user_metadata.clone()));
        if !self.factors.is_empty() {
            put("factors", Json::Array(self.factors.iter().map(Factor::json).collect()));
        }
        put(
            "identities",
            Json::Array(self.identities.iter().map(Identity::json).collect()),
        );
        put("created_at", when(user.created_at).unwrap_or(Json::Null));
        put("updated_at", when(user.updated_at).unwrap_or(Json::Null));
        for (name, value) in [
            ("banned_until", when(user.banned_until)),
            ("deleted_at", when(user.deleted_at)),
        ] {
            if let Some(value) = value {
                put(name, value);
            }
        }
        put("is_anonymous", json!(user.is_anonymous));
        Json::Object(out)
    }
}

/// The user with identities and factors.
pub async fn profile(store: &Store, user: User) -> Result<Profile, BackendError> {
    let identities = identities::of_user(store, user.id).await?;
    let factors = factors::of_user(store, user.id).await?;
    Ok(Profile {
        user,
        identities,
        factors,
    })
}

/// The user with this id and the same, in a transaction.
pub async fn profile_in(tx: &Tx, id: UserId) -> Result<Option<Profile>, BackendError> {
    let Some(user) = by_id_in(tx, id).await? else {
        return Ok(None);
    };
    Ok(Some(Profile {
        identities: identities::of_user_in(tx, id).await?,
        factors: factors::of_user_in(tx, id).await?,
        user,
    }))
}

/// One page of users, newest first, and how many there are in all. `word`: only those whose address or full name has it
/// in it, in any case.
pub async fn page(
    store: &Store,
    word: Option<&str>,
    limit: u64,
    offset: u64,
) -> Result<(Vec<Profile>, u64), BackendError> {
    let mut counted = vec![text(AUDIENCE)];
    let mut paged = vec![text(AUDIENCE), text(limit), text(offset)];
    let (count, page) = match word {
        None => (COUNT, PAGE),
        Some(word) => {
            let word = text(word.to_lowercase());
            counted.push(word.clone());
            paged.push(word);
            (COUNT_WITH, PAGE_WITH)
        }
    };
    let total = store.run(count, counted).await?.first(Row::integer)?;
    let users = store.run(page, paged).await?.all(User::read)?;
    let mut profiles = Vec::with_capacity(users.len());
    let mut identities = identities::of_users(store, users.iter().map(|user| user.id)).await?;
    let mut factors = factors::of_users(store, users.iter().map(|user| user.id)).await?;
    for user in users {
        profiles.push(Profile {
            identities: identities.remove(&user.id).unwrap_or_default(),
            factors: factors.remove(&user.id).unwrap_or_default(),
            user,
        });
    }
    Ok((profiles, total.and_then(|total| total.try_into().ok()).unwrap_or(0)))
}

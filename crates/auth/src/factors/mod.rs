//! Second factors: what users have beside their passwords.
//!
//! | module | what |
//! |---|---|
//! | [`challenges`] | challenges that were made of factors |
//! | [`attempts`] | wrong codes, and codes that were used |
//! | [`totp`] [`qr`] | secrets of authenticator apps, their codes, and how a secret gets into an app |
//! | [`keys`] | keys that sign |
//! | [`recovery`] | codes that were written down |
//!
//! Not here: what verifying a factor does to sessions (`sessions`), who may do what (`routes::factors`).

pub mod attempts;
pub mod challenges;
pub mod keys;
mod qr;
pub mod recovery;
pub mod totp;

use std::collections::HashMap;

use jiff::{SignedDuration, Timestamp};
use mainstay_core::error::BackendError;
use mainstay_core::secret::Secret;
use serde_json::{Map, Value as Json, json};
use uuid::Uuid;

use crate::response::time;
use crate::store::{Row, Rows, Store, Tx, optional, text};
use crate::users::UserId;

/// A factor's id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FactorId(pub Uuid);

impl std::fmt::Display for FactorId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

/// What a factor is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// An app that computes codes from a secret.
    Totp,
    /// A number that codes are sent to.
    Phone,
    /// A key that signs.
    WebAuthn,
    /// Codes that were written down.
    RecoveryCode,
}

impl Kind {
    /// The kind with this name, if there is one.
    pub fn of_name(name: &str) -> Option<Self> {
        [Kind::Totp, Kind::Phone, Kind::WebAuthn, Kind::RecoveryCode]
            .into_iter()
            .find(|kind| kind.name() == name)
    }

    /// As `auth.factor_type` has it.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Totp => "totp",
            Kind::Phone => "phone",
            Kind::WebAuthn => "webauthn",
            Kind::RecoveryCode => "recovery_code",
        }
    }

    /// As messages have it.
    pub fn spoken(self) -> &'static str {
        match self {
            Kind::Totp => "TOTP",
            Kind::Phone => "Phone",
            Kind::WebAuthn => "WebAuthn",
            Kind::RecoveryCode => "recovery codes",
        }
    }
}

/// The columns of a [`Factor`], in the order in which [`Factor::read`] takes them.
macro_rules! columns {
    () => {
        "f.id, f.user_id, f.friendly_name, f.factor_type::text, f.status::text, f.created_at, f.updated_at, f.secret, \
         f.phone, f.last_challenged_at, f.web_authn_aaguid"
    };
}

const OF_USER: &str = concat!(
    "SELECT ",
    columns!(),
    " FROM auth.mfa_factors f WHERE f.user_id = $1::uuid ORDER BY f.created_at, f.id"
);
const OF_USERS: &str = concat!(
    "SELECT ",
    columns!(),
    " FROM auth.mfa_factors f WHERE f.user_id = ANY ($1::uuid[]) ORDER BY f.created_at, f.id"
);
const INSERT: &str = "INSERT INTO auth.mfa_factors (id, user_id, friendly_name, factor_type, status, secret, phone, \
     created_at, updated_at) VALUES ($1::uuid, $2::uuid, $3::text, $4::auth.factor_type, 'unverified', $5::text, \
     $6::text, now(), now())";
const VERIFIED: &str = "UPDATE auth.mfa_factors SET status = 'verified', updated_at = now() \
     WHERE id = $1::uuid AND status <> 'verified'";
const CHALLENGED: &str = "UPDATE auth.mfa_factors SET last_challenged_at = $2::timestamptz WHERE id = $1::uuid";
const RENAME: &str = "UPDATE auth.mfa_factors SET friendly_name = $2::text, updated_at = now() WHERE id = $1::uuid";
const DELETE: &str = "DELETE FROM auth.mfa_factors WHERE id = $1::uuid AND user_id = $2::uuid";
const DELETE_ALL: &str = "DELETE FROM auth.mfa_factors WHERE user_id = $1::uuid";
const DELETE_UNVERIFIED: &str = "DELETE FROM auth.mfa_factors WHERE user_id = $1::uuid AND status = 'unverified' \
     AND factor_type = $2::auth.factor_type";
/// Enrolments that were given up: nobody has answered for five minutes, or at all for a day.
const SWEEP: &str = "DELETE FROM auth.mfa_factors f WHERE f.user_id = $1::uuid AND f.status = 'unverified' \
     AND (f.created_at < $3::timestamptz OR (f.created_at < $2::timestamptz AND NOT EXISTS \
     (SELECT 1 FROM auth.mfa_challenges c WHERE c.factor_id = f.id)))";

/// A row of `auth.mfa_factors`.
#[derive(Clone, Debug)]
pub struct Factor {
    pub id: FactorId,
    pub user: UserId,
    /// Empty: it has no name.
    pub name: String,
    pub kind: Kind,
    pub is_verified: bool,
    created_at: Option<Timestamp>,
    updated_at: Option<Timestamp>,
    /// Of an authenticator app: base 32.
    pub secret: Secret<String>,
    pub phone: String,
    last_challenged_at: Option<Timestamp>,
    /// What model of authenticator it is.
    aaguid: Option<Uuid>,
}

impl Factor {
    fn read(row: &mut Row) -> Result<Self, BackendError> {
        Ok(Factor {
            id: FactorId(row.uuid()?),
            user: UserId(row.uuid()?),
            name: row.text()?,
            kind: Kind::of_name(&row.text()?)
                .ok_or_else(|| BackendError::Internal("a second factor is of no known kind".into()))?,
            is_verified: row.text()? == "verified",
            created_at: row.time()?,
            updated_at: row.time()?,
            secret: Secret::new(row.text()?),
            phone: row.text()?,
            last_challenged_at: row.time()?,
            aaguid: row.maybe_uuid()?,
        })
    }

    /// A set of recovery codes, which is shown like a factor.
    fn recovery(
        id: FactorId,
        user: UserId,
        name: String,
        created_at: Option<Timestamp>,
        updated_at: Option<Timestamp>,
    ) -> Result<Self, BackendError> {
        Ok(Factor {
            id,
            user,
            name,
            kind: Kind::RecoveryCode,
            is_verified: true,
            created_at,
            updated_at,
            secret: Secret::new(String::new()),
            phone: String::new(),
            last_challenged_at: None,
            aaguid: None,
        })
    }

    /// How many seconds another code has to wait: one was sent less than `pause` ago. `None`: none.
    pub fn wait_for_code(&self, pause: SignedDuration, now: Timestamp) -> Option<u64> {
        // A clock that was set back makes nobody wait longer than the pause itself.
        let since = now.duration_since(self.last_challenged_at?).max(SignedDuration::ZERO);
        let left = pause - since;
        left.is_positive().then(|| left.as_secs().unsigned_abs() + 1)
    }

    /// The factor as the protocol shows it. Its secret is shown once, by the answer to its enrolment.
    pub fn json(&self) -> Json {
        let mut out = Map::new();
        let mut put = |name: &str, value: Json| {
            out.insert(name.to_owned(), value);
        };
        put("id", json!(self.id.to_string()));
        put("created_at", self.created_at.map_or(Json::Null, time));
        put("updated_at", self.updated_at.map_or(Json::Null, time));
        put(
            "status",
            json!(if self.is_verified { "verified" } else { "unverified" }),
        );
        if !self.name.is_empty() {
            put("friendly_name", json!(self.name));
        }
        put("factor_type", json!(self.kind.name()));
        put("phone", json!(self.phone));
        put("last_challenged_at", self.last_challenged_at.map_or(Json::Null, time));
        if let Some(aaguid) = self.aaguid {
            put("web_authn_aaguid", json!(aaguid.to_string()));
        }
        Json::Object(out)
    }
}

fn read(rows: Rows) -> Result<Vec<Factor>, BackendError> {
    rows.all(Factor::read)
}

/// True if one of them has been proved once: then some things need a second factor, and there may be recovery codes.
pub fn has_verified(factors: &[Factor]) -> bool {
    factors.iter().any(|factor| factor.is_verified)
}

/// A user's factors, oldest first, and the set of recovery codes, which nobody has without a verified factor.
pub async fn of_user(store: &Store, user: UserId) -> Result<Vec<Factor>, BackendError> {
    let mut factors = read(store.run(OF_USER, vec![text(user)]).await?)?;
    if has_verified(&factors) {
        factors.extend(recovery::set(store, user).await?);
    }
    Ok(factors)
}

/// The same in a transaction.
pub async fn of_user_in(tx: &Tx, user: UserId) -> Result<Vec<Factor>, BackendError> {
    let mut factors = read(tx.run(OF_USER, vec![text(user)]).await?)?;
    if has_verified(&factors) {
        factors.extend(recovery::set_in(tx, user).await?);
    }
    Ok(factors)
}

/// The factors of several users.
pub async fn of_users(
    store: &Store,
    users: impl Iterator<Item = UserId>,
) -> Result<HashMap<UserId, Vec<Factor>>, BackendError> {
    let ids: Vec<String> = users.map(|id| id.to_string()).collect();
    let array = format!("{{{}}}", ids.join(","));
    let mut found = read(store.run(OF_USERS, vec![text(&array)]).await?)?;
    if has_verified(&found) {
        found.extend(recovery::sets(store, &array).await?);
    }
    let mut by_user: HashMap<UserId, Vec<Factor>> = HashMap::new();
    for factor in found {
        by_user.entry(factor.user).or_default().push(factor);
    }
    Ok(by_user)
}

/// A factor that is about to be enrolled.
#[derive(Clone, Debug)]
pub struct NewFactor {
    pub id: FactorId,
    pub name: String,
    pub kind: Kind,
    pub secret: Option<Secret<String>>,
    pub phone: Option<String>,
}

/// Keeps a new factor, unverified.
pub async fn insert(tx: &Tx, user: UserId, factor: &NewFactor) -> Result<(), BackendError> {
    let secret = factor.secret.as_ref().map(|secret| secret.expose().as_str());
    let values = vec![
        text(factor.id),
        text(user),
        text(&factor.name),
        text(factor.kind.name()),
        optional(secret),
        optional(factor.phone.as_ref()),
    ];
    tx.run(INSERT, values).await.map(drop)
}

/// The user has proved to have it.
pub async fn verified(tx: &Tx, id: FactorId) -> Result<(), BackendError> {
    tx.run(VERIFIED, vec![text(id)]).await.map(drop)
}

/// Remembers that it was challenged. The time is another one for each factor, as the table has it.
async fn challenged(tx: &Tx, id: FactorId, at: Timestamp) -> Result<(), BackendError> {
    tx.run(CHALLENGED, vec![text(id), text(at)]).await.map(drop)
}

pub async fn rename(tx: &Tx, id: FactorId, name: &str) -> Result<(), BackendError> {
    tx.run(RENAME, vec![text(id), text(name)]).await.map(drop)
}

/// Deletes a factor and what was remembered of it; recovery codes go with the last one. Returns what is gone.
pub async fn delete(tx: &Tx, factor: &Factor) -> Result<Vec<Factor>, BackendError> {
    let mut gone = vec![factor.clone()];
    if factor.kind == Kind::RecoveryCode {
        recovery::delete(tx, factor.user).await?;
        return Ok(gone);
    }
    attempts::forget(tx, factor.id).await?;
    tx.run(DELETE, vec![text(factor.id), text(factor.user)]).await?;
    let left = read(tx.run(OF_USER, vec![text(factor.user)]).await?)?;
    if factor.is_verified && !has_verified(&left) {
        gone.extend(recovery::set_in(tx, factor.user).await?);
        recovery::delete(tx, factor.user).await?;
    }
    Ok(gone)
}

/// Deletes all that a user has.
pub async fn delete_all(tx: &Tx, user: UserId) -> Result<(), BackendError> {
    attempts::forget_all(tx, user).await?;
    recovery::delete(tx, user).await?;
    tx.run(DELETE_ALL, vec![text(user)]).await.map(drop)
}

/// Deletes the user's enrolments of this kind that were not finished.
pub async fn delete_unverified(tx: &Tx, user: UserId, kind: Kind) -> Result<(), BackendError> {
    tx.run(DELETE_UNVERIFIED, vec![text(user), text(kind.name())])
        .await
        .map(drop)
}

/// Deletes the user's enrolments that were given up.
pub async fn sweep(tx: &Tx, user: UserId, now: Timestamp) -> Result<(), BackendError> {
    let before = |seconds: i64| now - SignedDuration::from_secs(seconds);
    let values = vec![text(user), text(before(300)), text(before(24 * 3600))];
    tx.run(SWEEP, values).await.map(drop)
}

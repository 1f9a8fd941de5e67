//! The audit log: every event of sign-in as a row of `auth.audit_log_entries`, in the transaction of the event itself.
//!
//! Lives here: the published actions, the shape of their payload, reading the log in pages. Not here: when something is
//! recorded (`routes`).
//! Invariant: what has happened is recorded, and what is recorded has happened.
//!
//! Source: Supabase Auth, "Audit Logs".

use jiff::Timestamp;
use mainstay_core::error::BackendError;
use serde_json::{Map, Value as Json, json};
use uuid::Uuid;

use crate::response::time;
use crate::store::{Row, Store, Tx, text};
use crate::users::{User, UserId};

const INSERT: &str = "INSERT INTO auth.audit_log_entries (instance_id, id, payload, created_at, ip_address) \
     VALUES ('00000000-0000-0000-0000-000000000000', $1::uuid, $2::json, now(), $3::text)";

/// Defines the statements that read and count the log where `$condition` holds.
macro_rules! log {
    ($page:ident, $count:ident, $condition:literal) => {
        const $page: &str = concat!(
            "SELECT a.id, a.payload::text, a.created_at, a.ip_address FROM auth.audit_log_entries a WHERE ",
            $condition,
            " ORDER BY a.created_at DESC, a.id LIMIT $2::bigint OFFSET $3::bigint"
        );
        const $count: &str = concat!("SELECT count(*) FROM auth.audit_log_entries a WHERE ", $condition);
    };
}

log!(PAGE, COUNT, "$1::text IS NOT NULL");
log!(
    PAGE_BY_AUTHOR,
    COUNT_BY_AUTHOR,
    "(strpos(lower(a.payload ->> 'actor_username'), $1::text) > 0 \
      OR strpos(lower(a.payload ->> 'actor_name'), $1::text) > 0)"
);
log!(
    PAGE_BY_ACTION,
    COUNT_BY_ACTION,
    "strpos(lower(a.payload ->> 'action'), $1::text) > 0"
);
log!(
    PAGE_BY_TYPE,
    COUNT_BY_TYPE,
    "strpos(lower(a.payload ->> 'log_type'), $1::text) > 0"
);

/// What has happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    Login,
    Logout,
    SignedUp,
    ConfirmationRequested,
    RepeatedSignUp,
    Invited,
    Modified,
    UpdatedPassword,
    Deleted,
    IdentityLinked,
    IdentityUnlinked,
    TokenRefreshed,
    TokenRevoked,
    FactorInProgress,
    FactorUpdated,
    FactorUnenrolled,
    FactorDeleted,
    ChallengeCreated,
    VerificationAttempted,
    PasskeyCreated,
    PasskeyUpdated,
    PasskeyDeleted,
}

impl Action {
    /// The published name.
    fn name(self) -> &'static str {
        match self {
            Action::Login => "login",
            Action::Logout => "logout",
            Action::SignedUp => "user_signedup",
            Action::ConfirmationRequested => "user_confirmation_requested",
            Action::RepeatedSignUp => "user_repeated_signup",
            Action::Invited => "user_invited",
            Action::Modified => "user_modified",
            Action::UpdatedPassword => "user_updated_password",
            Action::Deleted => "user_deleted",
            Action::IdentityLinked => "identity_linked",
            Action::IdentityUnlinked => "identity_unlinked",
            Action::TokenRefreshed => "token_refreshed",
            Action::TokenRevoked => "token_revoked",
            Action::FactorInProgress => "factor_in_progress",
            Action::FactorUpdated => "factor_updated",
            Action::FactorUnenrolled => "factor_unenrolled",
            Action::FactorDeleted => "factor_deleted",
            Action::ChallengeCreated => "challenge_created",
            Action::VerificationAttempted => "verification_attempted",
            Action::PasskeyCreated => "passkey_created",
            Action::PasskeyUpdated => "passkey_updated",
            Action::PasskeyDeleted => "passkey_deleted",
        }
    }

    /// The published kind.
    fn log_type(self) -> &'static str {
        match self {
            Action::Login | Action::Logout => "account",
            Action::SignedUp | Action::Invited | Action::Deleted => "team",
            Action::TokenRefreshed | Action::TokenRevoked => "token",
            Action::ConfirmationRequested
            | Action::RepeatedSignUp
            | Action::Modified
            | Action::UpdatedPassword
            | Action::IdentityLinked
            | Action::IdentityUnlinked
            | Action::PasskeyCreated
            | Action::PasskeyUpdated
            | Action::PasskeyDeleted => "user",
            Action::FactorInProgress
            | Action::FactorUpdated
            | Action::FactorUnenrolled
            | Action::FactorDeleted
            | Action::ChallengeCreated
            | Action::VerificationAttempted => "factor",
        }
    }
}

/// Who did it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Actor {
    id: Uuid,
    username: String,
    name: Option<Json>,
    via_sso: bool,
}

impl Actor {
    /// Whoever has the secret key, or a command of an operator: known by a role's name only.
    pub fn role(role: &str) -> Self {
        Actor {
            id: Uuid::nil(),
            username: role.to_owned(),
            name: None,
            via_sso: false,
        }
    }
}

impl From<&User> for Actor {
    fn from(user: &User) -> Self {
        Actor {
            id: user.id.0,
            username: if user.phone.is_empty() {
                user.email.clone()
            } else {
                user.phone.clone()
            },
            name: user.user_metadata.get("full_name").cloned(),
            via_sso: user.is_sso,
        }
    }
}

/// What an event of an administrator's says of the user whom it was about.
pub fn about(user: &User) -> Json {
    json!({"user_id": user.id.to_string(), "user_email": user.email, "user_phone": user.phone})
}

/// By what the user is known.
pub fn by_provider(provider: &str) -> Json {
    json!({ "provider": provider })
}

/// Records what `actor` has done. `traits`: what else is to be said, `Null` for nothing.
pub async fn record(tx: &Tx, actor: &Actor, action: Action, traits: Json) -> Result<(), BackendError> {
    let mut payload = Map::new();
    payload.insert("action".into(), json!(action.name()));
    payload.insert("actor_id".into(), json!(actor.id.to_string()));
    if let Some(name) = &actor.name {
        payload.insert("actor_name".into(), name.clone());
    }
    payload.insert("actor_username".into(), json!(actor.username));
    payload.insert("actor_via_sso".into(), json!(actor.via_sso));
    payload.insert("log_type".into(), json!(action.log_type()));
    if !traits.is_null() {
        payload.insert("traits".into(), traits);
    }
    let values = vec![
        text(Uuid::new_v4()),
        text(Json::Object(payload)),
        text(tx.asked().address_text()),
    ];
    tx.run(INSERT, values).await.map(drop)
}

/// Records that the user did something itself. Nothing is recorded of a user who is not there.
pub async fn record_own(tx: &Tx, user: UserId, action: Action, traits: Json) -> Result<(), BackendError> {
    match crate::users::by_id_in(tx, user).await? {
        Some(user) => record(tx, &Actor::from(&user), action, traits).await,
        None => Ok(()),
    }
}

/// Which entries are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Filter {
    All,
    Author,
    Action,
    Type,
}

/// One page of the log, newest first, and how many entries there are in all. `word`: what the filter looks for, in any case.
pub async fn page(
    store: &Store,
    filter: Filter,
    word: &str,
    limit: u64,
    offset: u64,
) -> Result<(Vec<Json>, u64), BackendError> {
    let (page, count) = match filter {
        Filter::All => (PAGE, COUNT),
        Filter::Author => (PAGE_BY_AUTHOR, COUNT_BY_AUTHOR),
        Filter::Action => (PAGE_BY_ACTION, COUNT_BY_ACTION),
        Filter::Type => (PAGE_BY_TYPE, COUNT_BY_TYPE),
    };
    let word = word.to_lowercase();
    let total = store.run(count, vec![text(&word)]).await?.first(Row::integer)?;
    let entries = store.run(page, vec![text(&word), text(limit), text(offset)]).await?;
    let entries = entries.all(|row| {
        Ok(json!({
            "id": row.uuid()?.to_string(),
            "payload": row.object()?,
            "created_at": row.time()?.map_or_else(|| time(Timestamp::UNIX_EPOCH), time),
            "ip_address": row.text()?,
        }))
    })?;
    Ok((entries, total.and_then(|total| total.try_into().ok()).unwrap_or(0)))
}

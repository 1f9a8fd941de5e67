//! Sign-ins that are on their way to a provider and back.
//!
//! A flow is a row of `auth.flow_state`, whose id is the `state` that travels, and one of `auth.oauth_client_states`, whose
//! secret never does: the proof towards the provider (RFC 7636), the nonce of the ID token and the mark of the browser
//! that began the flow are made of it. Coming back uses the secret up, so a state comes back once.
//! Not here: what happens at the provider, whose account it is.

use aws_lc_rs::constant_time::verify_slices_are_equal;
use jiff::{SignedDuration, Timestamp};
use mainstay_core::error::BackendError;
use mainstay_core::secret::Secret;
use uuid::Uuid;

use crate::error::Error;
use crate::flow_state::{self, Challenge};
use crate::landing::Flow;
use crate::secrets;
use crate::sessions::Method;
use crate::store::{Row, Tx, optional, text};
use crate::users::UserId;

/// How long somebody may take at the provider, in seconds.
pub const FLOW_SECONDS: i64 = 600;

const INSERT_SECRET: &str = "INSERT INTO auth.oauth_client_states (id, provider_type, code_verifier, created_at) \
     VALUES ($1::uuid, $2::text, $3::text, now())";
const INSERT: &str = "INSERT INTO auth.flow_state (id, auth_code, code_challenge_method, code_challenge, provider_type, \
     provider_access_token, provider_refresh_token, authentication_method, created_at, updated_at, referrer, \
     oauth_client_state_id, linking_target_id, email_optional) \
     VALUES ($1::uuid, $2::text, $3::auth.code_challenge_method, $4::text, $5::text, '', '', $6::text, now(), now(), \
     $7::text, $8::uuid, $9::uuid, $10::boolean)";
const LOCK: &str = "SELECT f.id, f.auth_code, f.code_challenge, f.provider_type, f.created_at, f.referrer, \
     f.oauth_client_state_id, f.linking_target_id, f.user_id FROM auth.flow_state f \
     WHERE f.id = $1::uuid AND f.authentication_method = $2::text FOR UPDATE";
const SECRET: &str = "SELECT s.code_verifier FROM auth.oauth_client_states s \
     WHERE s.id = $1::uuid AND s.provider_type = $2::text";
const DELETE_SECRET: &str = "DELETE FROM auth.oauth_client_states WHERE id = $1::uuid";
const DELETE: &str = "DELETE FROM auth.flow_state WHERE id = $1::uuid";
const ARRIVED: &str = "UPDATE auth.flow_state SET user_id = $2::uuid, provider_access_token = $3::text, \
     provider_refresh_token = $4::text, auth_code_issued_at = now(), updated_at = now() WHERE id = $1::uuid";

/// The secret of a flow: 256 bits.
#[derive(Clone, Debug)]
pub struct FlowSecret(Secret<String>);

impl FlowSecret {
    /// Errors: no random bytes.
    pub fn new() -> Result<Self, Error> {
        secrets::random().map(FlowSecret)
    }

    /// The verifier that only the provider's token endpoint gets to see.
    pub fn verifier(&self) -> &Secret<String> {
        &self.0
    }

    /// What the provider is given at first (S256).
    pub fn challenge(&self) -> String {
        secrets::sha256(self.0.expose())
    }

    /// What the ID token must give back.
    pub fn nonce(&self) -> String {
        self.derived("nonce")
    }

    /// What the browser that began the flow keeps.
    pub fn mark(&self) -> String {
        self.derived("browser")
    }

    fn derived(&self, what: &str) -> String {
        secrets::sha256(&format!("{what} {}", self.0.expose()))
    }

    /// True if the browser's mark is this flow's.
    pub fn is_marked(&self, mark: &str) -> bool {
        verify_slices_are_equal(self.mark().as_bytes(), mark.as_bytes()).is_ok()
    }
}

/// A flow that begins.
#[derive(Clone, Debug)]
pub struct NewFlow {
    pub id: Uuid,
    pub secret: FlowSecret,
    pub provider: String,
    /// Where the application is told.
    pub redirect_to: String,
    pub challenge: Option<Challenge>,
    /// The user who links an identity; else somebody signs in.
    pub linking: Option<UserId>,
    pub email_optional: bool,
}

/// Keeps a flow until somebody comes back.
pub async fn begin(tx: &Tx, flow: &NewFlow) -> Result<(), BackendError> {
    let secret_id = Uuid::new_v4();
    let values = vec![
        text(secret_id),
        text(&flow.provider),
        text(flow.secret.verifier().expose()),
    ];
    tx.run(INSERT_SECRET, values).await?;
    let challenge = flow.challenge.as_ref().map(Challenge::columns);
    let code = flow.challenge.as_ref().map(|_| flow_state::code());
    let values = vec![
        text(flow.id),
        optional(code.as_ref().map(|code| code.expose().as_str())),
        optional(challenge.map(|(method, _)| method)),
        optional(challenge.map(|(_, challenge)| challenge)),
        text(&flow.provider),
        text(Method::OAuth.name()),
        text(&flow.redirect_to),
        text(secret_id),
        optional(flow.linking),
        text(flow.email_optional),
    ];
    tx.run(INSERT, values).await.map(drop)
}

/// A flow that somebody comes back from.
#[derive(Clone, Debug)]
pub struct Returned {
    pub id: Uuid,
    pub provider: String,
    /// `None`: made elsewhere, without one.
    pub redirect_to: Option<String>,
    pub secret: FlowSecret,
    pub linking: Option<UserId>,
    /// The code that ends it; `None` for an implicit flow.
    pub code: Option<Secret<String>>,
}

impl Returned {
    pub fn flow(&self) -> Flow {
        match self.code {
            Some(_) => Flow::Pkce,
            None => Flow::Implicit,
        }
    }
}

struct Kept {
    id: Uuid,
    code: Option<Secret<String>>,
    has_challenge: bool,
    provider: String,
    created_at: Option<Timestamp>,
    redirect_to: Option<String>,
    secret: Option<Uuid>,
    linking: Option<UserId>,
    user: Option<Uuid>,
}

impl Kept {
    fn read(row: &mut Row) -> Result<Self, BackendError> {
        Ok(Kept {
            id: row.uuid()?,
            code: row.maybe()?.filter(|code| !code.is_empty()).map(Secret::new),
            has_challenge: row.maybe()?.is_some_and(|challenge| !challenge.is_empty()),
            provider: row.text()?,
            created_at: row.time()?,
            redirect_to: row.maybe()?.filter(|to| !to.is_empty()),
            secret: row.maybe_uuid()?,
            linking: row.maybe_uuid()?.map(UserId),
            user: row.maybe_uuid()?,
        })
    }
}

/// Takes up a flow by its state, which is used up with that.
///
/// Errors: `BadOAuthState` for a state that is unknown, used, too old, or whose provider is another than its secret's.
pub async fn take(tx: &Tx, state: Uuid, now: Timestamp) -> Result<Result<Returned, Error>, BackendError> {
    let values = vec![text(state), text(Method::OAuth.name())];
    let Some(kept) = tx.run(LOCK, values).await?.first(Kept::read)? else {
        return Ok(Err(Error::BadOAuthState("OAuth state not found or expired")));
    };
    if kept.user.is_some() {
        return Ok(Err(Error::BadOAuthState("OAuth state has been used")));
    }
    let Some(secret_id) = kept.secret else {
        return Ok(Err(Error::BadOAuthState("OAuth state not found or expired")));
    };
    let found = tx.run(SECRET, vec![text(secret_id), text(&kept.provider)]).await?;
    let Some(secret) = found.first(Row::text)?.filter(|secret| !secret.is_empty()) else {
        return Ok(Err(Error::BadOAuthState("OAuth state has been used")));
    };
    tx.run(DELETE_SECRET, vec![text(secret_id)]).await?;
    let age = kept.created_at.map(|created| now.duration_since(created));
    if age.is_none_or(|age| age > SignedDuration::from_secs(FLOW_SECONDS)) {
        return Ok(Err(Error::BadOAuthState("OAuth state has expired")));
    }
    Ok(Ok(Returned {
        id: kept.id,
        provider: kept.provider,
        redirect_to: kept.redirect_to,
        secret: FlowSecret(Secret::new(secret)),
        linking: kept.linking,
        code: kept.code.filter(|_| kept.has_challenge),
    }))
}

/// The flow has come to its end as this user: its code may be redeemed, or there is none and it is over.
pub async fn arrive(
    tx: &Tx,
    flow: &Returned,
    user: UserId,
    tokens: &super::exchange::ProviderTokens,
) -> Result<(), BackendError> {
    if flow.code.is_none() {
        return tx.run(DELETE, vec![text(flow.id)]).await.map(drop);
    }
    let refresh = tokens.refresh.as_ref().map_or("", |token| token.expose().as_str());
    let values = vec![text(flow.id), text(user), text(tokens.access.expose()), text(refresh)];
    tx.run(ARRIVED, values).await.map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_travels_tells_the_secret_or_each_other() {
        let (one, other) = (FlowSecret::new().unwrap(), FlowSecret::new().unwrap());
        let all = |secret: &FlowSecret| {
            [
                secret.verifier().expose().clone(),
                secret.challenge(),
                secret.nonce(),
                secret.mark(),
            ]
        };
        let made: std::collections::HashSet<String> = all(&one).into_iter().chain(all(&other)).collect();
        assert_eq!(made.len(), 8);
        assert!(one.is_marked(&one.mark()) && !one.is_marked(&other.mark()) && !one.is_marked(""));
        assert!((43..=128).contains(&one.verifier().expose().len()));
    }
}

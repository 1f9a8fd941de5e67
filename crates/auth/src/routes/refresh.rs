//! `POST /token?grant_type=refresh_token`: the next tokens of a session.
//!
//! Every refresh token is used once and names its successor's parent. Two cases are no theft: the parent of the token
//! that is active now (its client never saw the answer) gets the active one again, and a token used a moment ago (two
//! tabs) gets another. Anything else ends the family.
//! Invariant: all of it happens while the session's row is held, so that two refreshes at once come one after the other.
//!
//! Source: RFC 9700 §4.14; the published protocol's rules of reuse.

use std::sync::Arc;

use jiff::Timestamp;
use mainstay_core::clock;
use mainstay_core::error::BackendError;
use mainstay_core::secret::Secret;
use mainstay_core::transaction::Decision;
use mainstay_http::{Request, Response};
use serde_json::Value as Json;
use uuid::Uuid;

use crate::audit::{self, Action, Actor};
use crate::config::Config;
use crate::error::Error;
use crate::oauth::acting;
use crate::request::{self, RefreshBody};
use crate::room::AuthRoom;
use crate::sessions::{self, Client, Granted, Method};
use crate::store::Tx;
use crate::users;

/// Bytes of a refresh token, at most: what the column takes.
const TOKEN_BYTES_MAX: usize = 255;

/// Refreshes.
pub async fn refresh(room: &AuthRoom, request: &Request, client: &Client) -> Result<Response, Error> {
    room.limits.refresh(client)?;
    let body: RefreshBody = request::body(request)?;
    if body.refresh_token.is_empty() {
        return Err(Error::Validation("refresh_token required".into()));
    }
    if body.refresh_token.len() > TOKEN_BYTES_MAX || !body.refresh_token.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(Error::Validation("Refresh token is not valid".into()));
    }
    let granted = next(room, Secret::new(body.refresh_token), client, None).await?;
    room.signed_in(&granted).await
}

/// The next tokens of a session, which must be `application`'s, or its user's own.
pub async fn next(
    room: &AuthRoom,
    token: Secret<String>,
    client: &Client,
    application: Option<Uuid>,
) -> Result<Granted, Error> {
    let asked = Asked {
        token,
        application,
        successor: sessions::refresh_token()?,
        client: client.clone(),
        config: room.config.clone(),
        now: clock::now(),
    };
    room.store.transact(move |tx| swap(tx, asked.clone())).await?
}

#[derive(Clone)]
struct Asked {
    token: Secret<String>,
    application: Option<Uuid>,
    successor: Secret<String>,
    client: Client,
    config: Arc<Config>,
    now: Timestamp,
}

type Swapped = Decision<Result<Granted, Error>>;

async fn swap(tx: Tx, asked: Asked) -> Result<Swapped, BackendError> {
    let refused = |error| Ok(Decision::Rollback(Err(error)));
    // Whose session it is, so that it can be held; what the token says is read again after that.
    let Some(found) = sessions::token(&tx, &asked.token).await? else {
        return refused(Error::RefreshTokenNotFound);
    };
    let Some(session) = found.session else {
        return refused(Error::RefreshSessionNotFound);
    };
    let Some(session) = sessions::lock(&tx, session).await? else {
        return refused(Error::RefreshSessionNotFound);
    };
    let Some(token) = sessions::token(&tx, &asked.token).await? else {
        return refused(Error::RefreshTokenNotFound);
    };
    if asked.config.oauth_server.is_some() {
        let acting = acting::bound_in(&tx, session.id).await?;
        if acting.map(|acting| acting.client) != asked.application {
            return refused(Error::RefreshTokenNotFound);
        }
    }
    let Some(user) = users::by_id_in(&tx, session.user).await? else {
        return refused(Error::RefreshSessionNotFound);
    };
    if user.is_banned(asked.now) || user.deleted_at.is_some() {
        return refused(Error::RefreshBanned);
    }
    let rules = &asked.config.sessions;
    if let Some(why) = session.ended(rules, asked.now, token.updated_at) {
        return refused(Error::SessionExpired(why));
    }
    if rules.single_per_user && sessions::is_superseded(&tx, &session, &token, rules, asked.now).await? {
        return refused(Error::SessionExpired(" (Revoked by Newer Login)"));
    }
    let mut issued = asked.successor.clone();
    let mut is_new = true;
    if token.is_revoked {
        let active = sessions::active_token(&tx, session.id).await?;
        let is_parent = active
            .as_ref()
            .and_then(|active| active.parent.as_ref())
            .is_some_and(|parent| parent.expose() == token.token.expose());
        let is_recent = token
            .updated_at
            // After a clock was put back everything lies ahead; that makes nothing recent.
            .is_some_and(|used| asked.now.duration_since(used).abs() <= asked.config.reuse_interval);
        match active {
            Some(active) if is_parent => (issued, is_new) = (active.token, false),
            Some(_) if is_recent => {}
            // A family that was ended stays so, however recently.
            active => {
                if active.is_some() && asked.config.rotation_enabled {
                    tracing::warn!(user = %user.id, session = %session.id, "a refresh token was used again: its family ends");
                    sessions::revoke_family(&tx, session.id).await?;
                }
                return Ok(Decision::Commit(Err(Error::RefreshTokenAlreadyUsed)));
            }
        }
    }
    let actor = Actor::from(&user);
    audit::record(&tx, &actor, Action::TokenRefreshed, Json::Null).await?;
    if is_new {
        if !token.is_revoked {
            audit::record(&tx, &actor, Action::TokenRevoked, Json::Null).await?;
            sessions::revoke_token(&tx, &token).await?;
        }
        sessions::insert_token(&tx, user.id, session.id, &issued, Some(token.token.expose())).await?;
    }
    sessions::refreshed(&tx, session.id, asked.now, &asked.client).await?;
    let granted = sessions::granted_by(&tx, user.id, session.id, issued, Some(sessions::REFRESHED_BY)).await?;
    // Also where the settings have no applications any more: what they were given is never a session of the user's own.
    let is_application = |granted: &Granted| {
        granted
            .methods
            .iter()
            .any(|(name, _)| *name == Method::OAuthProvider.name())
    };
    Ok(match granted {
        Some(granted) if is_application(&granted) == asked.application.is_some() => Decision::Commit(Ok(granted)),
        Some(_) => Decision::Rollback(Err(Error::RefreshTokenNotFound)),
        None => Decision::Commit(Err(Error::RefreshSessionNotFound)),
    })
}

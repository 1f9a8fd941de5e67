//! `POST /token?grant_type=pkce`: a session for the code of a flow.

use jiff::Timestamp;
use mainstay_core::clock;
use mainstay_core::error::BackendError;
use mainstay_core::secret::Secret;
use mainstay_core::transaction::Decision;
use mainstay_http::{Request, Response};
use serde_json::Value as Json;

use crate::audit::{self, Action};
use crate::config::SessionRules;
use crate::error::Error;
use crate::flow_state::{self, Redeemed};
use crate::request::{self, PkceBody};
use crate::room::AuthRoom;
use crate::sessions::{self, Client, Granted, Session};
use crate::store::Tx;
use crate::users;

/// Exchanges a code and its verifier for a session.
pub async fn exchange(room: &AuthRoom, request: &Request, client: &Client) -> Result<Response, Error> {
    let body: PkceBody = request::body(request)?;
    room.limits.sign_in(client)?;
    if body.auth_code.is_empty() || body.code_verifier.is_empty() {
        let message = "invalid request: both auth code and code verifier should be non-empty";
        return Err(Error::Validation(message.into()));
    }
    let asked = Asked {
        rules: room.config.sessions.clone(),
        code: Secret::new(body.auth_code),
        verifier: Secret::new(body.code_verifier),
        token: sessions::refresh_token()?,
        client: client.clone(),
        now: clock::now(),
    };
    let (granted, redeemed) = room.store.transact(move |tx| swap(tx, asked.clone())).await??;
    let more = [
        ("provider_token", redeemed.provider_token),
        ("provider_refresh_token", redeemed.provider_refresh_token),
    ];
    room.signed_in_with(&granted, more).await
}

#[derive(Clone)]
struct Asked {
    rules: SessionRules,
    code: Secret<String>,
    verifier: Secret<String>,
    token: Secret<String>,
    client: Client,
    now: Timestamp,
}

type Swapped = Decision<Result<(Granted, Redeemed), Error>>;

async fn swap(tx: Tx, asked: Asked) -> Result<Swapped, BackendError> {
    let refused = |error| Ok(Decision::Rollback(Err(error)));
    let redeemed = match flow_state::redeem(&tx, &asked.code, &asked.verifier, asked.now).await? {
        Ok(redeemed) => redeemed,
        Err(error) => return refused(error),
    };
    let id = redeemed.user;
    let Some(user) = users::lock(&tx, id).await?.filter(|user| user.deleted_at.is_none()) else {
        return refused(Error::FlowStateNotFound);
    };
    if user.is_banned(asked.now) {
        return refused(Error::TokenUserBanned);
    }
    let session = match redeemed.session {
        Some(session) => {
            let found = sessions::lock(&tx, session).await?;
            let goes_on = |found: &Session| found.user == id && found.ended(&asked.rules, asked.now, None).is_none();
            let Some(session) = found.filter(goes_on) else {
                return refused(Error::FlowStateNotFound);
            };
            sessions::hand_over(&tx, &session, &asked.token).await?;
            session.id
        }
        None => {
            audit::record_own(&tx, id, Action::Login, Json::Null).await?;
            users::signed_in(&tx, id).await?;
            sessions::begin(&tx, id, redeemed.method, &asked.client, &asked.token).await?
        }
    };
    let granted = sessions::granted(&tx, id, session, asked.token).await?;
    Ok(match granted {
        Some(granted) => Decision::Commit(Ok((granted, redeemed))),
        None => Decision::Rollback(Err(Error::FlowStateNotFound)),
    })
}

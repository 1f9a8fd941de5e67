//! Signing in by a passkey that the authenticator finds by itself.
//!
//! Nobody says who is to sign in, so that the question tells nothing of anybody; whoever answers has the key.

use mainstay_core::clock;
use mainstay_core::secret::Secret;
use mainstay_core::transaction::Decision;
use mainstay_http::{Request, Response};
use serde_json::json;

use super::super::factors::Outcome;
use super::{answered, asked, party};
use crate::audit::{self, Action, Actor};
use crate::error::{Error, PasskeyError};
use crate::passkeys::challenges::Purpose;
use crate::passkeys::{self, Passkey};
use crate::room::AuthRoom;
use crate::sessions::{self, Client, Granted, Method};
use crate::store::Tx;
use crate::users::{self, User};
use crate::webauthn::{Assertion, Signed};

/// `POST /passkeys/authentication/options`
pub async fn ask(room: &AuthRoom, client: &Client) -> Result<Response, Error> {
    room.limits.passkey(client)?;
    asked(room, Purpose::Authentication, &party(room)?.ask_anybody()?).await
}

/// `POST /passkeys/authentication/verify`
pub async fn sign_in(room: &AuthRoom, request: &Request, client: &Client) -> Result<Response, Error> {
    room.limits.passkey_answer(client)?;
    let (state, answer) = answered(room, Purpose::Authentication, request).await?;
    let assertion = Assertion::read(&answer).map_err(PasskeyError::from)?;
    let known = passkeys::by_credential(&room.store, assertion.credential_id()).await?;
    // Both say whose it is, or it is nobody's.
    let known = known.filter(|passkey| assertion.names(passkey.user) == Some(true));
    let passkey = known.ok_or(PasskeyError::Wrong)?;
    let signed = party(room)?
        .signed_in(&state, &assertion, &passkey.credential)
        .map_err(PasskeyError::from)?;
    let (token, client) = (sessions::refresh_token()?, client.clone());
    let granted = room
        .store
        .transact(move |tx| begin(tx, passkey.clone(), signed, token.clone(), client.clone()))
        .await?;
    room.signed_in(&granted?).await
}

/// Begins the session of the user, who is held: of two signatures with one count the second is a copy's.
async fn begin(tx: Tx, passkey: Passkey, signed: Signed, token: Secret<String>, client: Client) -> Outcome<Granted> {
    let refused = |error: Error| Ok(Decision::Rollback(Err(error)));
    let Some(user) = users::lock(&tx, passkey.user).await? else {
        return refused(PasskeyError::Wrong.into());
    };
    if let Err(error) = may_sign_in(&user) {
        return refused(error);
    }
    if !passkeys::used(&tx, passkey.id, signed).await? {
        tracing::warn!(passkey = %passkey.id, "auth: a passkey was deleted, or signed with a count that it had before");
        return refused(PasskeyError::Wrong.into());
    }
    users::signed_in(&tx, user.id).await?;
    let about = json!({"passkey_id": passkey.id.to_string()});
    audit::record(&tx, &Actor::from(&user), Action::Login, about).await?;
    let session = sessions::begin(&tx, user.id, Method::Passkey, &client, &token).await?;
    let granted = sessions::granted(&tx, user.id, session, token).await?;
    Ok(Decision::Commit(granted.ok_or(PasskeyError::Wrong.into())))
}

/// Said only to whoever has the key.
fn may_sign_in(user: &User) -> Result<(), Error> {
    if user.deleted_at.is_some() {
        return Err(PasskeyError::Wrong.into());
    }
    if !user.email.is_empty() && user.email_confirmed_at.is_none() {
        return Err(PasskeyError::EmailNotConfirmed.into());
    }
    if !user.phone.is_empty() && user.phone_confirmed_at.is_none() {
        return Err(PasskeyError::PhoneNotConfirmed.into());
    }
    match user.is_banned(clock::now()) {
        true => Err(Error::TokenUserBanned),
        false => Ok(()),
    }
}

//! `POST /token`: sessions for passwords; the other kinds of grant have modules of their own.

use mainstay_core::clock;
use mainstay_core::error::BackendError;
use mainstay_core::secret::Secret;
use mainstay_core::transaction::Decision;
use mainstay_http::{Request, Response};

use crate::audit::{self, Action, Actor};
use crate::error::Error;
use crate::hooks;
use crate::passwords::Verdict;
use crate::request::{self, PasswordBody};
use crate::room::{AuthRoom, Who};
use crate::sessions::{self, Client, Granted, Method};
use crate::store::Tx;
use crate::users::{self, User};

/// Answers by the kind of grant.
pub async fn token(room: &AuthRoom, who: &Who, request: &Request, client: &Client) -> Result<Response, Error> {
    match request::parameter(request, "grant_type").as_deref() {
        Some("password") => password(room, request, client).await,
        Some("pkce") => super::pkce::exchange(room, request, client).await,
        Some("id_token") => super::id_token::sign_in(room, who, request, client).await,
        Some("web3") => super::web3::sign_in(room, request, client).await,
        Some("refresh_token") => super::refresh::refresh(room, request, client).await,
        _ => Err(Error::UnsupportedGrant),
    }
}

/// Signs in by password.
///
/// An unknown address, a wrong password and a user without one are told apart by nothing: one read, one hash, one text.
async fn password(room: &AuthRoom, request: &Request, client: &Client) -> Result<Response, Error> {
    let body: PasswordBody = request::body(request)?;
    room.limits.sign_in(client)?;
    let mut address = body.email.trim().to_lowercase();
    let user = match (body.email.is_empty(), body.phone.is_empty()) {
        (false, false) => {
            let message = "Only an email address or phone number should be provided on login.";
            return Err(Error::Validation(message.into()));
        }
        (true, true) => return Err(Error::Validation("missing email or phone".into())),
        (true, false) if !room.config.phone.is_enabled => return Err(Error::PhoneDisabled("logins")),
        (true, false) => {
            // What is no number has no user; it is looked for all the same.
            address = request::phone(&body.phone).unwrap_or_default();
            room.limits.account(&address)?;
            users::by_phone(&room.store, &address).await?
        }
        (false, true) if !room.config.email_enabled => return Err(Error::EmailDisabled("logins")),
        // What is no address has no user; it is looked for all the same.
        (false, true) => {
            room.limits.account(&address)?;
            users::by_email(&room.store, &request::email(&address).unwrap_or_default()).await?
        }
    };
    let stored = user.as_ref().map(|user| user.password_hash.expose().as_str());
    let verdict = room.passwords.verify(&body.password, stored).await?;
    if let Some(user) = &user
        && user.deleted_at.is_none()
        && !user.password_hash.expose().is_empty()
    {
        hooks::password_tried(room, user.id, verdict != Verdict::Wrong)
            .await
            .inspect_err(|_| {
                room.limits.failed(&address);
            })?;
    }
    let Some(user) = user.filter(|user| verdict != Verdict::Wrong && user.deleted_at.is_none()) else {
        room.limits.failed(&address);
        return Err(Error::InvalidCredentials);
    };
    if user.is_banned(clock::now()) {
        return Err(Error::Banned);
    }
    if !body.email.is_empty() && user.email_confirmed_at.is_none() {
        return Err(Error::EmailNotConfirmed);
    }
    if body.email.is_empty() && user.phone_confirmed_at.is_none() {
        return Err(Error::PhoneNotConfirmed);
    }
    let renewed = match verdict {
        Verdict::RightButOld => Some(room.passwords.hash(&body.password).await?),
        _ => None,
    };
    let (token, client) = (sessions::refresh_token()?, client.clone());
    let granted = room
        .store
        .transact(move |tx| begin(tx, user.clone(), renewed.clone(), token.clone(), client.clone()))
        .await?;
    room.signed_in(&granted.ok_or(Error::InvalidCredentials)?).await
}

/// Begins the session, unless the password was changed since it was checked.
async fn begin(
    tx: Tx,
    user: User,
    renewed: Option<Secret<String>>,
    token: Secret<String>,
    client: Client,
) -> Result<Decision<Option<Granted>>, BackendError> {
    let now = users::lock(&tx, user.id).await?;
    if now.is_none_or(|now| now.password_hash.expose() != user.password_hash.expose()) {
        return Ok(Decision::Rollback(None));
    }
    if let Some(hash) = &renewed {
        users::set_hash(&tx, user.id, hash).await?;
    }
    users::signed_in(&tx, user.id).await?;
    audit::record(&tx, &Actor::from(&user), Action::Login, audit::by_provider("email")).await?;
    let session = sessions::begin(&tx, user.id, Method::Password, &client, &token).await?;
    let granted = sessions::granted(&tx, user.id, session, token).await?;
    Ok(Decision::Commit(granted))
}

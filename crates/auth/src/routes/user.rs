//! `/user`: the signed-in user.

use http::StatusCode;
use jiff::{SignedDuration, Timestamp};
use mainstay_core::clock;
use mainstay_core::error::BackendError;
use mainstay_core::secret::Secret;
use mainstay_core::transaction::Decision;
use mainstay_http::{Request, Response};
use serde_json::{Map, Value as Json, json};

use super::Signed;
use super::proofs;
use super::sign_up::{app_metadata, is_phone_taken, is_taken};
use crate::audit::{self, Action, Actor};
use crate::dispatch::{Dispatch, Recipient};
use crate::error::Error;
use crate::flow_state::Challenge;
use crate::landing::Flow;
use crate::messages::mail::Kind;
use crate::messages::notices::{self, Change};
use crate::messages::texts::{Purpose, Texting};
use crate::one_time_tokens::{self, Token, TokenType};
use crate::passwords::Verdict;
use crate::request::UpdateBody;
use crate::room::AuthRoom;
use crate::sessions::{Client, Scope, SessionId};
use crate::store::Tx;
use crate::users::{Profile, User, UserId};
use crate::{factors, identities, request, response, sessions, users};

/// How long after signing in a password may be changed, where that is asked for.
const SIGNED_IN_RECENTLY: SignedDuration = SignedDuration::from_hours(24);

/// `GET /user`
pub async fn get(room: &AuthRoom, signed: Signed) -> Result<Response, Error> {
    let profile = users::profile(&room.store, signed.user).await?;
    Ok(response::json(StatusCode::OK, &profile.json()))
}

/// Errors: `InsufficientAal`: the user has a second factor, and has not proved it in this session.
pub async fn check_level(room: &AuthRoom, signed: &Signed) -> Result<(), Error> {
    let known = factors::of_user(&room.store, signed.user.id).await?;
    match factors::has_verified(&known) && !signed.is_second_level() {
        true => Err(Error::InsufficientAal),
        false => Ok(()),
    }
}

/// `PUT /user`: data is merged, a new password ends the user's other sessions.
pub async fn update(room: &AuthRoom, signed: Signed, request: &Request, client: &Client) -> Result<Response, Error> {
    let body: UpdateBody = request::body(request)?;
    if body.app_metadata.is_some() {
        return Err(Error::AppMetadata);
    }
    let password = body.password.filter(|password| !password.is_empty());
    if let Some(password) = &password {
        room.check_password(password).await?;
    }
    let email = match body.email.is_empty() {
        true => None,
        false => Some(request::email(&body.email)?),
    };
    let user = &signed.user;
    let email = email.filter(|email| *email != user.email);
    let phone = match body.phone.is_empty() {
        true => None,
        false => Some(request::phone(&body.phone)?).filter(|phone| *phone != user.phone),
    };
    if phone.is_some() && !room.config.phone.is_enabled {
        return Err(Error::PhoneDisabled("signups"));
    }
    if user.is_sso && (password.is_some() || email.is_some() || phone.is_some()) {
        return Err(Error::SsoManaged);
    }
    if password.is_some() || email.is_some() || phone.is_some() {
        check_level(room, &signed).await?;
    }
    if user.is_anonymous && password.is_some() && email.is_none() && phone.is_none() {
        let message = "Updating password of an anonymous user without an email or phone is not allowed";
        return Err(Error::Validation(message.into()));
    }
    if let Some(email) = &email
        && users::by_email(&room.store, email).await?.is_some()
    {
        return Err(Error::EmailExists);
    }
    // Somebody who had no address takes one as at sign-up; one that is there is changed by mails.
    let is_taken_at_once = user.is_anonymous && !room.config.confirmations;
    let dispatch = match &email {
        Some(email) if !is_taken_at_once => {
            let challenge = Challenge::of(&body.code_challenge, &body.code_challenge_method)?;
            room.needs_mail("a new email address")?;
            room.limits.mail(client, Kind::EmailChange.name(), email)?;
            let redirect_to = room.config.redirects.of(request);
            Some(Dispatch::new(&room.letters, Kind::EmailChange, redirect_to, challenge)?)
        }
        _ => None,
    };
    let mut texting = None;
    if let Some(phone) = &phone {
        if users::by_phone(&room.store, phone).await?.is_some() {
            return Err(Error::PhoneExists);
        }
        if room.config.phone.confirmations {
            let channel = super::phone::channel(&body.channel)?;
            texting = Some(super::phone::texting(room, client, Purpose::Change, channel, phone)?);
        }
    }
    let (mut hash, mut nonce) = (None, None);
    if let Some(password) = &password {
        nonce = nonce_of(room, &signed, &body.nonce)?;
        hash = Some(new_password(room, &signed, password).await?);
    }
    let changes = Changes {
        user: user.id,
        session: signed.session.as_ref().map(|session| session.id),
        before: signed.user.password_hash.clone(),
        hash,
        nonce,
        oldest_nonce: clock::now().checked_sub(room.config.mail.expiry).unwrap_or_default(),
        email,
        dispatch,
        phone,
        texting,
        data: body.data,
    };
    let address = proved_by(&signed.user).to_owned();
    let changed = room.store.transact(move |tx| change(tx, changes.clone())).await;
    match changed {
        Ok(Err(error)) => {
            if matches!(error, Error::BadNonce) {
                room.limits.wrong_code(&address);
            }
            Err(error)
        }
        Ok(Ok(profile)) => Ok(response::json(StatusCode::OK, &profile.json())),
        Err(error) if is_taken(&error) => Err(Error::EmailExists),
        Err(error) if is_phone_taken(&error) => Err(Error::PhoneExists),
        Err(error) => Err(Error::of_database("Error updating user", error)),
    }
}

/// What has to be shown before the password may change, beside the session: the code that `/reauthenticate` sent, if the
/// user signed in long ago and the settings ask for it. Errors: `ReauthenticationNeeded`, `TooManyRequests`.
fn nonce_of(room: &AuthRoom, signed: &Signed, nonce: &str) -> Result<Option<Token>, Error> {
    let began = signed.session.as_ref().and_then(|session| session.created_at);
    let is_recent = began.is_some_and(|began| clock::now().duration_since(began) <= SIGNED_IN_RECENTLY);
    if !room.config.secure_password_change || is_recent {
        return Ok(None);
    }
    let nonce = nonce.trim();
    if nonce.is_empty() {
        return Err(Error::ReauthenticationNeeded);
    }
    let address = proved_by(&signed.user);
    room.limits.codes(address)?;
    Ok(Some(room.letters.codes.token(address, nonce, Flow::Implicit)))
}

/// Where a code to reauthenticate is sent.
fn proved_by(user: &User) -> &str {
    match user.email.is_empty() {
        true => &user.phone,
        false => &user.email,
    }
}

/// Hashes a new password. Errors: it is the old one.
async fn new_password(room: &AuthRoom, signed: &Signed, password: &str) -> Result<Secret<String>, Error> {
    let stored = signed.user.password_hash.expose();
    if !stored.is_empty() && room.passwords.verify(password, Some(stored)).await? != Verdict::Wrong {
        return Err(Error::SamePassword);
    }
    room.passwords.hash(password).await
}

#[derive(Clone)]
struct Changes {
    user: UserId,
    session: Option<SessionId>,
    /// The hash that the new password was compared with.
    before: Secret<String>,
    hash: Option<Secret<String>>,
    /// The token of the code that was shown.
    nonce: Option<Token>,
    /// A code that was sent before does not hold any more.
    oldest_nonce: Timestamp,
    email: Option<String>,
    /// The mails that ask for consent to the address. `None`: it is the user's at once.
    dispatch: Option<Dispatch>,
    phone: Option<String>,
    /// The message that asks for consent to the number. `None`: it is the user's at once.
    texting: Option<Texting>,
    data: Option<Map<String, Json>>,
}

async fn change(tx: Tx, changes: Changes) -> Result<Decision<Result<Profile, Error>>, BackendError> {
    let id = changes.user;
    let refused = |error| Ok(Decision::Rollback(Err(error)));
    let Some(mut user) = users::lock(&tx, id).await? else {
        return refused(Error::TokenUserNotFound);
    };
    if let Some(hash) = &changes.hash {
        if user.password_hash.expose() != changes.before.expose() {
            // Somebody else has just changed it, and with that ended this session.
            return refused(Error::TokenSessionNotFound);
        }
        if let Some(nonce) = &changes.nonce {
            let types = [TokenType::Reauthentication];
            let found = one_time_tokens::find(&tx, std::slice::from_ref(nonce), &types).await?;
            let holds = found.is_some_and(|kept| kept.user == id && kept.created_at >= Some(changes.oldest_nonce));
            if !holds {
                return refused(Error::BadNonce);
            }
        }
        users::set_password(&tx, id, hash).await?;
        let scope = changes.session.map_or(Scope::Global, Scope::Others);
        sessions::end(&tx, id, scope).await?;
        // With the password went what had been sent, and when.
        match users::by_id_in(&tx, id).await? {
            Some(changed) => user = changed,
            None => return refused(Error::TokenUserNotFound),
        }
    }
    if let Some(data) = &changes.data {
        users::merge(&mut user.user_metadata, data);
        if let Err(error) = request::metadata(&user.user_metadata) {
            return refused(error);
        }
    }
    if let (Some(email), None) = (&changes.email, &changes.dispatch) {
        let own = identities::email_data(id, email);
        users::set_email(&tx, id, email).await?;
        identities::insert(&tx, id, "email", &own).await?;
        users::merge(&mut user.app_metadata, &app_metadata(&["email"]));
        users::set_app_metadata(&tx, id, &user.app_metadata).await?;
        users::merge(&mut user.user_metadata, &own);
        user.user_metadata.insert("email_verified".into(), json!(true));
        users::confirm_email(&tx, id, &user.user_metadata).await?;
    } else if changes.data.is_some() {
        users::set_user_metadata(&tx, id, &user.user_metadata).await?;
    }
    match (&changes.phone, &changes.texting) {
        (None, _) => {}
        (Some(phone), Some(texting)) => texting.send(&tx, id, phone, true).await?,
        (Some(phone), None) => {
            user.new_phone = phone.clone();
            proofs::change_phone(&tx, &user).await?;
        }
    }
    if let (Some(email), Some(dispatch)) = (&changes.email, &changes.dispatch) {
        if dispatch.letters.is_early(user.email_change_sent_at, dispatch.now) {
            let wait = dispatch.letters.rules.pause.as_secs();
            return refused(Error::TooEarly {
                retry_seconds: u64::try_from(wait).unwrap_or_default(),
            });
        }
        dispatch.send_change(&tx, &Recipient::of(&user), email).await?;
    }
    match users::profile_in(&tx, id).await? {
        Some(profile) => {
            let actor = Actor::from(&profile.user);
            if changes.hash.is_some() {
                audit::record(&tx, &actor, Action::UpdatedPassword, Json::Null).await?;
                notices::tell(&tx, id, Change::Password).await?;
            }
            audit::record(&tx, &actor, Action::Modified, Json::Null).await?;
            Ok(Decision::Commit(Ok(profile)))
        }
        None => refused(Error::TokenUserNotFound),
    }
}

//! Numbers instead of addresses: signing up, signing in by a code, and codes sent anew.
//!
//! The same invariant as of [`otp`](super::otp): whether a number has a user is told by nothing here.

use http::StatusCode;
use mainstay_core::error::BackendError;
use mainstay_core::secret::Secret;
use mainstay_core::transaction::Decision;
use mainstay_http::Response;
use serde_json::{Map, Value as Json, json};
use uuid::Uuid;

use super::sign_up::{self, Begun, app_metadata, as_new, is_phone_taken};
use crate::audit::Action;
use crate::error::Error;
use crate::messages::Channel;
use crate::messages::texts::{Purpose, Texting};
use crate::request::{self, SendBody, SignUpBody};
use crate::room::AuthRoom;
use crate::sessions::{Client, Method};
use crate::store::Tx;
use crate::users::{self, NewUser, Profile, ROLE, User, UserId};
use crate::{audit, hooks, identities, response};

/// The number that a body names. Errors: `PhoneDisabled`, `Validation`.
pub fn number(room: &AuthRoom, phone: &str, what: &'static str) -> Result<String, Error> {
    match room.config.phone.is_enabled {
        true => request::phone(phone),
        false => Err(Error::PhoneDisabled(what)),
    }
}

/// The way that a body wants a message to take.
pub fn channel(name: &str) -> Result<Channel, Error> {
    match name {
        "" | "sms" => Ok(Channel::Sms),
        "whatsapp" => Ok(Channel::WhatsApp),
        _ => Err(Error::Validation(
            "Invalid channel, supported values are 'sms' or 'whatsapp'".into(),
        )),
    }
}

/// `POST /signup` with a number and a password.
pub async fn sign_up(room: &AuthRoom, body: SignUpBody, client: &Client) -> Result<Response, Error> {
    let phone = number(room, &body.phone, "signups")?;
    if !body.code_challenge.is_empty() {
        return Err(Error::Validation("PKCE not supported for phone signups".into()));
    }
    room.limits.sign_in(client)?;
    if body.password.is_empty() {
        return Err(Error::Validation("Signup requires a valid password".into()));
    }
    room.check_password(&body.password).await?;
    let channel = channel(&body.channel)?;
    let texting = match room.config.phone.confirmations {
        true => Some(texting(room, client, Purpose::Confirmation, channel, &phone)?),
        false => None,
    };
    let hash = room.passwords.hash(&body.password).await?;
    let new = newcomer(&phone, Some(hash), body.data.unwrap_or_default());
    let Some(texting) = texting else {
        if users::by_phone(&room.store, &phone).await?.is_some() {
            return Err(Error::UserAlreadyExists);
        }
        let own = identities::phone_data(new.id, &phone);
        let begun = Begun {
            user: new,
            own: Some(("phone", own)),
            method: Method::Password,
        };
        return sign_up::begin(room, begun, client).await.map_err(|error| match error {
            Error::PhoneExists => Error::UserAlreadyExists,
            error => error,
        });
    };
    let known = users::by_phone(&room.store, &phone).await?.map(|user| user.id);
    // Whoever has the number already is asked about alike: a refusal tells nothing.
    hooks::before_user_created(room, &new).await?;
    let shown = new.user_metadata.clone();
    let made = room
        .store
        .transact(move |tx| pend(tx, known, new.clone(), texting.clone()))
        .await;
    let profile = match made {
        Ok(profile) => profile,
        Err(error) if is_phone_taken(&error) => None,
        Err(error) => return Err(saving(error)),
    };
    Ok(match profile {
        Some(profile) => response::json(StatusCode::OK, &profile.json()),
        None => sign_up::taken("phone", &phone, shown),
    })
}

fn newcomer(phone: &str, hash: Option<Secret<String>>, data: Map<String, Json>) -> NewUser {
    let id = UserId(Uuid::new_v4());
    let mut user_metadata = data;
    users::merge(&mut user_metadata, &identities::phone_data(id, phone));
    NewUser {
        id,
        role: ROLE.into(),
        email: None,
        phone: Some(phone.to_owned()),
        password_hash: hash,
        app_metadata: app_metadata(&["phone"]),
        user_metadata,
        is_anonymous: false,
    }
}

/// User, identity and message; for a number that nobody has proved yet the last sign-up counts; for one that is proved
/// nothing is made and nothing is sent.
async fn pend(
    tx: Tx,
    known: Option<UserId>,
    mut new: NewUser,
    texting: Texting,
) -> Result<Decision<Option<Profile>>, BackendError> {
    let gone = || BackendError::Internal("a trigger took the new user away".into());
    let phone = new.phone.clone().unwrap_or_default();
    let Some(id) = known else {
        let id = new.id;
        users::insert(&tx, &new).await?;
        identities::insert(&tx, id, "phone", &identities::phone_data(id, &phone)).await?;
        audit::record_own(&tx, id, Action::ConfirmationRequested, audit::by_provider("phone")).await?;
        texting.send(&tx, id, &phone, true).await?;
        hooks::user_created(&tx, id).await?;
        let profile = users::profile_in(&tx, id).await?.ok_or_else(gone)?;
        return Ok(Decision::Commit(Some(profile)));
    };
    let found = users::lock(&tx, id).await?;
    audit::record_own(&tx, id, Action::RepeatedSignUp, audit::by_provider("phone")).await?;
    if found.is_none_or(|found| found.confirmed_at.is_some() || found.deleted_at.is_some()) {
        texting.send(&tx, new.id, &phone, false).await?;
        return Ok(Decision::Commit(None));
    }
    if let Some(hash) = &new.password_hash {
        users::set_hash(&tx, id, hash).await?;
    }
    users::merge(&mut new.user_metadata, &identities::phone_data(id, &phone));
    users::set_user_metadata(&tx, id, &new.user_metadata).await?;
    texting.send(&tx, id, &phone, true).await?;
    let profile = users::profile_in(&tx, id).await?.ok_or_else(gone)?;
    Ok(Decision::Commit(Some(as_new(profile, new))))
}

/// `POST /otp` with a number: a code to sign in with.
pub async fn otp(room: &AuthRoom, client: &Client, body: SendBody) -> Result<Response, Error> {
    let phone = number(room, &body.phone, "logins")?;
    if let Some(data) = &body.data {
        request::metadata(data)?;
    }
    let channel = channel(&body.channel)?;
    let texting = texting(room, client, Purpose::SignIn, channel, &phone)?;
    let user = users::by_phone(&room.store, &phone).await?;
    let may_be_made = body.create_user.unwrap_or(true) && room.config.signup_enabled;
    if user.is_none() && may_be_made {
        let new = newcomer(&phone, None, body.data.unwrap_or_default());
        hooks::before_user_created(room, &new).await?;
        let made = room
            .store
            .transact(move |tx| pend(tx, None, new.clone(), texting.clone()))
            .await;
        match made {
            Ok(_) => {}
            Err(error) if is_phone_taken(&error) => {}
            Err(error) => return Err(saving(error)),
        }
    } else {
        write_to(room, texting, user.map(|user| user.id), phone, |_| true).await?;
    }
    Ok(response::json(StatusCode::OK, &json!({})))
}

/// `POST /resend` of `sms` and `phone_change`.
pub async fn resend(room: &AuthRoom, client: &Client, body: SendBody) -> Result<Response, Error> {
    if body.phone.is_empty() {
        return Err(Error::Validation("Type provided requires a phone number".into()));
    }
    let phone = number(room, &body.phone, "logins")?;
    let is_change = body.verification == "phone_change";
    let purpose = match is_change {
        true => Purpose::Change,
        false => Purpose::Confirmation,
    };
    let texting = texting(room, client, purpose, Channel::Sms, &phone)?;
    let user = users::by_phone(&room.store, &phone).await?;
    match (is_change, user) {
        (true, Some(user)) if !user.new_phone.is_empty() => {
            let to = user.new_phone.clone();
            write_to(room, texting, Some(user.id), to.clone(), move |user| {
                user.new_phone == to
            })
            .await?;
        }
        (true, _) => write_to(room, texting, None, phone, |_| false).await?,
        (false, user) => {
            let user = user.map(|user| user.id);
            write_to(room, texting, user, phone, |user| user.phone_confirmed_at.is_none()).await?;
        }
    }
    Ok(response::json(StatusCode::OK, &json!({})))
}

/// A message to a number, counted. Errors: `NoTexts`, `TooManyRequests`, `TooManyTexts`, `TextTooEarly`, `Unexpected`.
pub fn texting(
    room: &AuthRoom,
    client: &Client,
    purpose: Purpose,
    channel: Channel,
    phone: &str,
) -> Result<Texting, Error> {
    if !room.config.phone.test_codes.contains_key(phone) {
        room.needs_texts("a text message")?;
    }
    room.limits.text(client, purpose.name(), phone)?;
    Texting::new(&room.letters, &room.phone_rules, purpose, channel)
}

/// Sends it to the user if `is_right` says so of the row, which is held; for a number of nobody it takes as long.
pub async fn write_to(
    room: &AuthRoom,
    texting: Texting,
    user: Option<UserId>,
    phone: String,
    is_right: impl Fn(&User) -> bool + Clone + Send + Sync + 'static,
) -> Result<(), Error> {
    let id = user.unwrap_or_else(|| UserId(Uuid::new_v4()));
    room.store
        .transact(move |tx| {
            let (texting, phone, is_right) = (texting.clone(), phone.clone(), is_right.clone());
            async move {
                let found = users::lock(&tx, id).await?;
                let is_there = found.is_some_and(|user| user.deleted_at.is_none() && is_right(&user));
                let to = if is_there { id } else { UserId(Uuid::new_v4()) };
                texting.send(&tx, to, &phone, is_there).await?;
                Ok(Decision::Commit(()))
            }
        })
        .await
        .map_err(|error| Error::of_database("Error sending text message", error))
}

fn saving(error: BackendError) -> Error {
    Error::of_database("Database error saving new user", error)
}

//! `/otp`, `/magiclink`, `/recover`, `/resend`, `/reauthenticate`: what proves an address is sent to it.
//!
//! Invariant: whether an address has a user is told by nothing here. Limits count addresses whether or not they have one,
//! the answer is the same, and the same statements run (see [`dispatch`](crate::dispatch)).

use http::StatusCode;
use mainstay_core::error::BackendError;
use mainstay_core::transaction::Decision;
use mainstay_http::{Request, Response};
use serde_json::{Map, Value as Json, json};
use uuid::Uuid;

use super::sign_up::{app_metadata, is_taken};
use super::{Signed, phone};
use crate::audit::{Action, Actor};
use crate::dispatch::{self, Dispatch, Recipient};
use crate::error::Error;
use crate::flow_state::Challenge;
use crate::messages::Channel;
use crate::messages::mail::Kind;
use crate::messages::texts::Purpose;
use crate::request::{self, SendBody};
use crate::room::AuthRoom;
use crate::sessions::Client;
use crate::store::Tx;
use crate::users::{self, NewUser, ROLE, User, UserId};
use crate::{audit, hooks, identities, response};

fn sent() -> Response {
    response::json(StatusCode::OK, &json!({}))
}

/// `POST /otp`: a code and a link to sign in with. Somebody new signs up by it, unless the body or the settings say no.
pub async fn otp(room: &AuthRoom, request: &Request, client: &Client) -> Result<Response, Error> {
    let body: SendBody = request::body(request)?;
    match (body.email.is_empty(), body.phone.is_empty()) {
        (false, false) => {
            let message = "Only an email address or phone number should be provided";
            return Err(Error::Validation(message.into()));
        }
        (true, true) => return Err(Error::Validation("One of email or phone must be set".into())),
        (true, false) => return phone::otp(room, client, body).await,
        (false, true) if !body.channel.is_empty() => {
            let message = "Channel should only be specified with Phone OTP";
            return Err(Error::Validation(message.into()));
        }
        (false, true) => {}
    }
    sign_in_by_mail(room, request, client, body).await
}

/// `POST /magiclink`: the same by its older name.
pub async fn magic_link(room: &AuthRoom, request: &Request, client: &Client) -> Result<Response, Error> {
    let body: SendBody = request::body(request)?;
    if body.email.is_empty() {
        return Err(Error::Validation("An email address is required".into()));
    }
    sign_in_by_mail(room, request, client, body).await
}

async fn sign_in_by_mail(
    room: &AuthRoom,
    request: &Request,
    client: &Client,
    body: SendBody,
) -> Result<Response, Error> {
    let challenge = Challenge::of(&body.code_challenge, &body.code_challenge_method)?;
    if let Some(data) = &body.data {
        request::metadata(data)?;
    }
    if !room.config.email_enabled {
        return Err(Error::EmailDisabled("logins"));
    }
    let email = request::email(&body.email)?;
    room.needs_mail("signing in by mail")?;
    room.limits.mail(client, "otp", &email)?;
    let dispatch = dispatch(room, request, Kind::MagicLink, challenge)?;
    let user = users::by_email(&room.store, &email).await?;
    let may_be_made = body.create_user.unwrap_or(true) && room.config.signup_enabled;
    if user.is_none() && may_be_made {
        let new = newcomer(&email, body.data.unwrap_or_default());
        hooks::before_user_created(room, &new).await?;
        // Where addresses need no confirmation, a link to sign in is all that somebody new expects.
        let kind = match room.config.confirmations {
            true => Kind::Confirmation,
            false => Kind::MagicLink,
        };
        let dispatch = dispatch.of_kind(kind);
        let made = room
            .store
            .transact(move |tx| sign_up(tx, new.clone(), dispatch.clone()))
            .await;
        match made {
            Ok(()) => {}
            // Somebody else was faster: then there is a user, who has just been written to.
            Err(error) if is_taken(&error) => {}
            Err(error) => return Err(Error::of_database("Database error saving new user", error)),
        }
    } else {
        let confirms = room.config.confirmations;
        write_to(room, dispatch, user.map(|user| user.id), email, move |user: &User| {
            // Somebody who signed up without a password has nothing but this link; to one who has a password, proving
            // the address by a link that anybody could have asked for must not give it back.
            let is_signing_up = user.confirmed_at.is_none() && user.password_hash.expose().is_empty();
            Some(match is_signing_up && confirms {
                true => Kind::Confirmation,
                false => Kind::MagicLink,
            })
        })
        .await?;
    }
    Ok(sent())
}

fn newcomer(email: &str, data: Map<String, Json>) -> NewUser {
    let id = UserId(Uuid::new_v4());
    let mut user_metadata = data;
    users::merge(&mut user_metadata, &identities::email_data(id, email));
    NewUser {
        id,
        role: ROLE.into(),
        email: Some(email.to_owned()),
        phone: None,
        password_hash: None,
        app_metadata: app_metadata(&["email"]),
        user_metadata,
        is_anonymous: false,
    }
}

async fn sign_up(tx: Tx, new: NewUser, dispatch: Dispatch) -> Result<Decision<()>, BackendError> {
    let id = new.id;
    let email = new.email.clone().unwrap_or_default();
    users::insert(&tx, &new).await?;
    identities::insert(&tx, id, "email", &identities::email_data(id, &email)).await?;
    // Triggers may have changed what was given.
    let made = users::by_id_in(&tx, id).await?;
    let made = made.ok_or_else(|| BackendError::Internal("a trigger took the new user away".into()))?;
    let actor = Actor::from(&made);
    audit::record(&tx, &actor, Action::ConfirmationRequested, audit::by_provider("email")).await?;
    dispatch.send(&tx, &Recipient::of(&made)).await?;
    hooks::user_created(&tx, id).await?;
    Ok(Decision::Commit(()))
}

/// `POST /recover`: a link to set a new password.
pub async fn recover(room: &AuthRoom, request: &Request, client: &Client) -> Result<Response, Error> {
    let body: SendBody = request::body(request)?;
    let challenge = Challenge::of(&body.code_challenge, &body.code_challenge_method)?;
    if body.email.is_empty() {
        return Err(Error::Validation("Password recovery requires an email".into()));
    }
    let email = request::email(&body.email)?;
    room.needs_mail("resetting a password")?;
    room.limits.mail(client, "recovery", &email)?;
    let dispatch = dispatch(room, request, Kind::Recovery, challenge)?;
    let user = users::by_email(&room.store, &email).await?;
    write_to(room, dispatch, user.map(|user| user.id), email, |_| {
        Some(Kind::Recovery)
    })
    .await?;
    Ok(sent())
}

/// `POST /resend`: what was sent before, anew. What was sent before is void.
pub async fn resend(room: &AuthRoom, request: &Request, client: &Client) -> Result<Response, Error> {
    let body: SendBody = request::body(request)?;
    let challenge = Challenge::of(&body.code_challenge, &body.code_challenge_method)?;
    let kind = match body.verification.as_str() {
        "signup" => Kind::Confirmation,
        "email_change" => Kind::EmailChange,
        "sms" | "phone_change" => return phone::resend(room, client, body).await,
        _ => {
            let message = "Missing one of these types: signup, email_change, sms, phone_change";
            return Err(Error::Validation(message.into()));
        }
    };
    if body.email.is_empty() {
        return Err(Error::Validation("Type provided requires an email address".into()));
    }
    if !room.config.email_enabled {
        return Err(Error::EmailDisabled("logins"));
    }
    let email = request::email(&body.email)?;
    room.needs_mail("sending a mail again")?;
    room.limits.mail(client, kind.name(), &email)?;
    let dispatch = dispatch(room, request, kind, challenge)?;
    let user = users::by_email(&room.store, &email).await?.map(|user| user.id);
    match kind {
        Kind::EmailChange => {
            let user = user.unwrap_or_else(|| Recipient::nobody(&email).id);
            room.store
                .transact(move |tx| change_again(tx, dispatch.clone(), user, email.clone()))
                .await
                .map_err(writing)?;
        }
        _ => {
            write_to(room, dispatch, user, email, |user: &User| {
                user.email_confirmed_at.is_none().then_some(Kind::Confirmation)
            })
            .await?;
        }
    }
    Ok(sent())
}

async fn change_again(tx: Tx, dispatch: Dispatch, user: UserId, email: String) -> Result<Decision<()>, BackendError> {
    let found = users::lock(&tx, user).await?.filter(|user| user.deleted_at.is_none());
    let waits = found.filter(|user| {
        !user.new_email.is_empty() && !dispatch.letters.is_early(user.email_change_sent_at, dispatch.now)
    });
    match waits {
        Some(user) => {
            dispatch
                .send_change(&tx, &Recipient::of(&user), &user.new_email)
                .await?
        }
        None => dispatch.send_change(&tx, &Recipient::nobody(&email), &email).await?,
    }
    Ok(Decision::Commit(()))
}

/// `GET /reauthenticate`: a code that allows the signed-in user to change the password.
pub async fn reauthenticate(
    room: &AuthRoom,
    signed: Signed,
    request: &Request,
    client: &Client,
) -> Result<Response, Error> {
    let user = signed.user;
    if user.email.is_empty() && !user.phone.is_empty() {
        if user.phone_confirmed_at.is_none() {
            return Err(Error::PhoneNotConfirmed);
        }
        let purpose = Purpose::Reauthentication;
        let texting = phone::texting(room, client, purpose, Channel::Sms, &user.phone)?;
        phone::write_to(room, texting, Some(user.id), user.phone, |_| true).await?;
        return Ok(sent());
    }
    if user.email.is_empty() {
        let message = "Reauthentication requires the user to have an email or a phone number";
        return Err(Error::Validation(message.into()));
    }
    if user.email_confirmed_at.is_none() {
        return Err(Error::VerifyFirst);
    }
    room.needs_mail("reauthentication")?;
    room.limits.mail(client, "reauthentication", &user.email)?;
    let dispatch = dispatch(room, request, Kind::Reauthentication, None)?;
    let (id, email) = (user.id, user.email);
    write_to(room, dispatch, Some(id), email, |_| Some(Kind::Reauthentication)).await?;
    Ok(sent())
}

fn dispatch(room: &AuthRoom, request: &Request, kind: Kind, challenge: Option<Challenge>) -> Result<Dispatch, Error> {
    let redirect_to = room.config.redirects.of(request);
    Dispatch::new(&room.letters, kind, redirect_to, challenge)
}

async fn write_to(
    room: &AuthRoom,
    dispatch: Dispatch,
    user: Option<UserId>,
    email: String,
    chosen: impl Fn(&User) -> Option<Kind> + Clone + Send + Sync + 'static,
) -> Result<(), Error> {
    room.store
        .transact(move |tx| {
            let (dispatch, email, chosen) = (dispatch.clone(), email.clone(), chosen.clone());
            async move {
                dispatch::to_address(&tx, &dispatch, user, &email, chosen).await?;
                Ok(Decision::Commit(()))
            }
        })
        .await
        .map_err(writing)
}

fn writing(error: BackendError) -> Error {
    Error::of_database("Error sending mail", error)
}

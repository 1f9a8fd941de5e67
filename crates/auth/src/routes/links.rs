//! `/admin/generate_link` and `/invite`: links that an administrator makes.

use http::StatusCode;
use mainstay_core::error::BackendError;
use mainstay_core::secret::Secret;
use mainstay_core::transaction::Decision;
use mainstay_http::{Request, Response};
use serde_json::{Map, Value as Json, json};
use uuid::Uuid;

use super::sign_up::{app_metadata, is_taken};
use crate::audit::{Action, Actor};
use crate::dispatch::{Dispatch, Issued, Recipient};
use crate::error::Error;
use crate::messages::mail::Kind;
use crate::request::{self, LinkBody};
use crate::room::AuthRoom;
use crate::store::Tx;
use crate::users::{self, NewUser, Profile, ROLE, User, UserId};
use crate::{audit, hooks, identities, response};

/// What a link is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wanted {
    Signup,
    Invite,
    MagicLink,
    Recovery,
    ChangeCurrent,
    ChangeNew,
}

impl Wanted {
    fn read(name: &str) -> Result<Self, Error> {
        Ok(match name {
            "signup" => Wanted::Signup,
            "invite" => Wanted::Invite,
            "magiclink" => Wanted::MagicLink,
            "recovery" => Wanted::Recovery,
            "email_change_current" => Wanted::ChangeCurrent,
            "email_change_new" => Wanted::ChangeNew,
            other => {
                return Err(Error::Validation(format!(
                    "Invalid email action link type requested: {other}"
                )));
            }
        })
    }

    fn kind(self) -> Kind {
        match self {
            Wanted::Signup => Kind::Confirmation,
            Wanted::Invite => Kind::Invite,
            Wanted::MagicLink => Kind::MagicLink,
            Wanted::Recovery => Kind::Recovery,
            Wanted::ChangeCurrent | Wanted::ChangeNew => Kind::EmailChange,
        }
    }

    /// As the answer names it.
    fn name(self) -> &'static str {
        match self {
            Wanted::ChangeCurrent => "email_change_current",
            Wanted::ChangeNew => "email_change_new",
            other => other.kind().verification(),
        }
    }
}

/// `POST /admin/generate_link`: code and link, to be sent by whoever asks. Nothing is sent from here.
pub async fn generate(room: &AuthRoom, request: &Request) -> Result<Response, Error> {
    let body: LinkBody = request::body(request)?;
    let mut wanted = Wanted::read(&body.verification)?;
    let email = request::email(&body.email)?;
    if let Some(data) = &body.data {
        request::metadata(data)?;
    }
    let redirect_to = room.config.redirects.wanted(&body.redirect_to, request);
    let user = users::by_email(&room.store, &email).await?;
    let mut hash = None;
    match (&user, wanted) {
        (None, Wanted::Recovery | Wanted::ChangeCurrent | Wanted::ChangeNew) => return Err(Error::AddressNotFound),
        // Somebody new signs up by it.
        (None, Wanted::MagicLink) => wanted = Wanted::Signup,
        (None, Wanted::Signup) => {
            if body.password.is_empty() {
                return Err(Error::Validation("Signup requires a valid password".into()));
            }
            room.check_password(&body.password).await?;
            hash = Some(room.passwords.hash(&body.password).await?);
        }
        _ => {}
    }
    let new_email = match wanted {
        Wanted::ChangeCurrent if !room.config.mail.confirms_both => {
            let message = "Enable secure email change to generate link for current email";
            return Err(Error::Validation(message.into()));
        }
        Wanted::ChangeCurrent | Wanted::ChangeNew => {
            let new = request::email(&body.new_email)?;
            if users::by_email(&room.store, &new).await?.is_some() {
                return Err(Error::EmailExists);
            }
            Some(new)
        }
        _ => None,
    };
    let dispatch = Dispatch::new(&room.letters, wanted.kind(), redirect_to.clone(), None)?;
    let asked = Asked {
        wanted,
        user: user.map(|user| user.id),
        email,
        new_email,
        hash,
        data: body.data.unwrap_or_default(),
        dispatch,
    };
    let made = room
        .store
        .transact(move |tx| issue(tx, asked.clone()))
        .await
        .map_err(saving)??;
    let link = room
        .letters
        .link(wanted.kind().verification(), &made.issued.token, &redirect_to);
    let mut answer = made.profile.json();
    for (name, value) in [
        ("action_link", link.as_str()),
        ("email_otp", made.issued.code.expose()),
        ("hashed_token", made.issued.token.expose()),
        ("verification_type", wanted.name()),
        ("redirect_to", &redirect_to),
    ] {
        answer[name] = json!(value);
    }
    Ok(response::json(StatusCode::OK, &answer))
}

#[derive(Clone)]
struct Asked {
    wanted: Wanted,
    user: Option<UserId>,
    email: String,
    new_email: Option<String>,
    hash: Option<Secret<String>>,
    data: Map<String, Json>,
    dispatch: Dispatch,
}

struct Made {
    profile: Profile,
    issued: Issued,
}

async fn issue(tx: Tx, asked: Asked) -> Result<Decision<Result<Made, Error>>, BackendError> {
    let refused = |error| Ok(Decision::Rollback(Err(error)));
    let user = match asked.user {
        None => newcomer(&tx, &asked.email, asked.hash.clone(), &asked.data).await?,
        Some(id) => match users::lock(&tx, id).await?.filter(|user| user.deleted_at.is_none()) {
            Some(user) => user,
            None => return refused(Error::AddressNotFound),
        },
    };
    if matches!(asked.wanted, Wanted::Signup | Wanted::Invite) && user.email_confirmed_at.is_some() {
        return refused(Error::EmailExists);
    }
    if asked.wanted == Wanted::Signup && asked.user.is_some() && !asked.data.is_empty() {
        let mut own = user.user_metadata.clone();
        users::merge(&mut own, &asked.data);
        if let Err(error) = request::metadata(&own) {
            return refused(error);
        }
        users::set_user_metadata(&tx, user.id, &own).await?;
    }
    let to = Recipient::of(&user);
    let issued = match &asked.new_email {
        None => asked.dispatch.issue(&tx, &to).await?,
        Some(new_email) => {
            let is_new = asked.wanted == Wanted::ChangeNew;
            asked.dispatch.issue_half(&tx, &user, new_email, is_new).await?
        }
    };
    match users::profile_in(&tx, user.id).await? {
        Some(profile) => Ok(Decision::Commit(Ok(Made { profile, issued }))),
        None => refused(Error::AddressNotFound),
    }
}

async fn newcomer(
    tx: &Tx,
    email: &str,
    hash: Option<Secret<String>>,
    data: &Map<String, Json>,
) -> Result<User, BackendError> {
    let id = UserId(Uuid::new_v4());
    let own = identities::email_data(id, email);
    let mut user_metadata = data.clone();
    users::merge(&mut user_metadata, &own);
    let new = NewUser {
        id,
        role: ROLE.into(),
        email: Some(email.to_owned()),
        phone: None,
        password_hash: hash,
        app_metadata: app_metadata(&["email"]),
        user_metadata,
        is_anonymous: false,
    };
    users::insert(tx, &new).await?;
    identities::insert(tx, id, "email", &own).await?;
    hooks::user_created(tx, id).await?;
    // Triggers may have changed what was given.
    let made = users::by_id_in(tx, id).await?;
    made.ok_or_else(|| BackendError::Internal("a trigger took the new user away".into()))
}

/// `POST /invite`: makes a user, unless there is one who has not come yet, and sends the invitation.
pub async fn invite(room: &AuthRoom, admin: &Actor, request: &Request) -> Result<Response, Error> {
    let body: LinkBody = request::body(request)?;
    let email = request::email(&body.email)?;
    if let Some(data) = &body.data {
        request::metadata(data)?;
    }
    room.needs_mail("an invitation")?;
    room.limits.one_mail()?;
    let redirect_to = room.config.redirects.wanted(&body.redirect_to, request);
    let dispatch = Dispatch::new(&room.letters, Kind::Invite, redirect_to, None)?;
    let user = users::by_email(&room.store, &email).await?.map(|user| user.id);
    let data = body.data.unwrap_or_default();
    let admin = admin.clone();
    let invited = room
        .store
        .transact(move |tx| send_invitation(tx, admin.clone(), user, email.clone(), data.clone(), dispatch.clone()))
        .await
        .map_err(saving)??;
    Ok(response::json(StatusCode::OK, &invited.json()))
}

async fn send_invitation(
    tx: Tx,
    admin: Actor,
    user: Option<UserId>,
    email: String,
    data: Map<String, Json>,
    dispatch: Dispatch,
) -> Result<Decision<Result<Profile, Error>>, BackendError> {
    let refused = |error| Ok(Decision::Rollback(Err(error)));
    let user = match user {
        None => newcomer(&tx, &email, None, &data).await?,
        Some(id) => match users::lock(&tx, id).await? {
            Some(user) if user.email_confirmed_at.is_none() => user,
            _ => return refused(Error::EmailExists),
        },
    };
    audit::record(&tx, &admin, Action::Invited, audit::about(&user)).await?;
    dispatch.send(&tx, &Recipient::of(&user)).await?;
    match users::profile_in(&tx, user.id).await? {
        Some(profile) => Ok(Decision::Commit(Ok(profile))),
        None => refused(Error::AddressNotFound),
    }
}

fn saving(error: BackendError) -> Error {
    match is_taken(&error) {
        true => Error::EmailExists,
        false => Error::of_database("Database error saving new user", error),
    }
}

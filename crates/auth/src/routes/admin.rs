//! `/admin/users`: users as whoever has the secret key sees and makes them.

use http::StatusCode;
use jiff::Timestamp;
use mainstay_core::clock;
use mainstay_core::error::BackendError;
use mainstay_core::secret::Secret;
use mainstay_core::transaction::Decision;
use mainstay_http::{Request, Response};
use serde_json::{Map, Value as Json, json};
use uuid::Uuid;

use super::paging::Page;
use super::sign_up::{app_metadata, is_phone_taken, is_taken};
use crate::audit::{self, Action, Actor};
use crate::error::Error;
use crate::request::{self, AdminBody, DeleteBody};
use crate::room::AuthRoom;
use crate::sessions::{self, Scope};
use crate::store::{Tx, taken_by};
use crate::users::{self, AUDIENCE, NewUser, Profile, ROLE, UserId};
use crate::{duration, identities, passwords, response};

/// The id in a path.
pub fn user_id(text: &str) -> Result<UserId, Error> {
    text.parse().map(UserId).map_err(|_| Error::BadUserId)
}

/// `GET /admin/users?page=&per_page=&filter=`
pub async fn list(room: &AuthRoom, request: &Request) -> Result<Response, Error> {
    let page = Page::of(request)?;
    let word = request::parameter(request, "filter").filter(|word| !word.is_empty());
    let (profiles, total) = users::page(&room.store, word.as_deref(), page.size, page.offset())
        .await
        .map_err(|error| Error::of_database("Database error finding users", error))?;
    let users: Vec<Json> = profiles.iter().map(Profile::json).collect();
    let mut response = response::json(StatusCode::OK, &json!({"users": users, "aud": AUDIENCE}));
    response.rows = Some(users.len() as u64);
    page.describe(&mut response, "/admin/users", total);
    Ok(response)
}

/// `GET /admin/users/{id}`
pub async fn show(room: &AuthRoom, id: UserId) -> Result<Response, Error> {
    let user = users::by_id(&room.store, id).await?.ok_or(Error::UserNotFound)?;
    let profile = users::profile(&room.store, user).await?;
    Ok(response::json(StatusCode::OK, &profile.json()))
}

/// What a body asks for, checked.
#[derive(Clone)]
struct Wanted {
    id: Option<UserId>,
    role: Option<String>,
    email: Option<String>,
    phone: Option<String>,
    hash: Option<Secret<String>>,
    confirms_email: bool,
    confirms_phone: bool,
    user_metadata: Option<Map<String, Json>>,
    app_metadata: Option<Map<String, Json>>,
    /// The ban that is to hold; `Some(None)`: none any more.
    ban: Option<Option<Timestamp>>,
}

async fn wanted(room: &AuthRoom, body: AdminBody) -> Result<Wanted, Error> {
    for metadata in [&body.user_metadata, &body.app_metadata].into_iter().flatten() {
        request::metadata(metadata)?;
    }
    let filled = |text: String| Some(text).filter(|text| !text.is_empty());
    let id = match filled(body.id) {
        None => None,
        Some(text) => {
            let id = text
                .parse()
                .ok()
                .filter(|id: &Uuid| !id.is_nil())
                .ok_or_else(|| Error::Validation("ID must conform to the uuid v4 format".into()))?;
            Some(UserId(id))
        }
    };
    let hash = match (filled(body.password), filled(body.password_hash)) {
        (Some(_), Some(_)) => {
            let message = "Only a password or a password hash should be provided";
            return Err(Error::Validation(message.into()));
        }
        (Some(password), None) => {
            passwords::check_length(&password)?;
            Some(room.passwords.hash(&password).await?)
        }
        (None, Some(hash)) if !passwords::is_importable(&hash) => {
            let message = "password_hash is neither bcrypt nor Argon2 nor Firebase's scrypt, or costs too much";
            return Err(Error::Validation(message.into()));
        }
        (None, Some(hash)) => Some(Secret::new(hash)),
        (None, None) => None,
    };
    let ban = match filled(body.ban_duration).as_deref() {
        None => None,
        Some("none") => Some(None),
        Some(text) => {
            let until = duration::parse(text).and_then(|length| clock::now().checked_add(length).ok());
            let bad = || Error::Validation(format!("invalid format for ban duration: {text:?}"));
            Some(Some(until.ok_or_else(bad)?))
        }
    };
    Ok(Wanted {
        id,
        role: filled(body.role).map(|role| request::role(&role)).transpose()?,
        email: filled(body.email).map(|email| request::email(&email)).transpose()?,
        phone: filled(body.phone).map(|phone| request::phone(&phone)).transpose()?,
        hash,
        confirms_email: body.email_confirm.unwrap_or(false),
        confirms_phone: body.phone_confirm.unwrap_or(false),
        user_metadata: body.user_metadata,
        app_metadata: body.app_metadata,
        ban,
    })
}

/// `POST /admin/users`
pub async fn create(room: &AuthRoom, admin: Actor, request: &Request) -> Result<Response, Error> {
    let body: AdminBody = request::body(request)?;
    let wanted = wanted(room, body).await?;
    let providers: Vec<&str> = [(&wanted.email, "email"), (&wanted.phone, "phone")]
        .iter()
        .filter_map(|(value, name)| value.as_ref().map(|_| *name))
        .collect();
    if providers.is_empty() {
        let message = "Cannot create a user without either an email or phone";
        return Err(Error::Validation(message.into()));
    }
    if let Some(email) = &wanted.email
        && users::by_email(&room.store, email).await?.is_some()
    {
        return Err(Error::EmailExists);
    }
    let mut app = app_metadata(&providers);
    users::merge(&mut app, wanted.app_metadata.as_ref().unwrap_or(&Map::new()));
    let user = NewUser {
        id: wanted.id.unwrap_or_else(|| UserId(Uuid::new_v4())),
        role: wanted.role.clone().unwrap_or_else(|| ROLE.into()),
        email: wanted.email.clone(),
        phone: wanted.phone.clone(),
        password_hash: wanted.hash.clone(),
        app_metadata: app,
        user_metadata: wanted.user_metadata.clone().unwrap_or_default(),
        is_anonymous: false,
    };
    let made = room
        .store
        .transact(move |tx| insert(tx, admin.clone(), user.clone(), wanted.clone()))
        .await
        .map_err(|error| unique(error, "Database error creating new user"))?;
    Ok(response::json(StatusCode::OK, &made.json()))
}

async fn insert(tx: Tx, admin: Actor, user: NewUser, wanted: Wanted) -> Result<Decision<Profile>, BackendError> {
    let id = user.id;
    users::insert(&tx, &user).await?;
    if let Some(email) = &user.email {
        identities::insert(&tx, id, "email", &identities::email_data(id, email)).await?;
    }
    if let Some(phone) = &user.phone {
        identities::insert(&tx, id, "phone", &identities::phone_data(id, phone)).await?;
    }
    if wanted.confirms_email && user.email.is_some() {
        let made = users::by_id_in(&tx, id).await?.ok_or_else(gone)?;
        users::confirm_email(&tx, id, &made.user_metadata).await?;
    }
    if wanted.confirms_phone && user.phone.is_some() {
        users::confirm_phone(&tx, id).await?;
    }
    if let Some(until) = wanted.ban {
        users::set_ban(&tx, id, until).await?;
    }
    let made = users::profile_in(&tx, id).await?.ok_or_else(gone)?;
    let mut traits = audit::about(&made.user);
    traits["provider"] = made.user.app_metadata.get("provider").cloned().unwrap_or_default();
    audit::record(&tx, &admin, Action::SignedUp, traits).await?;
    Ok(Decision::Commit(made))
}

fn gone() -> BackendError {
    BackendError::Internal("a trigger took the user away".into())
}

/// `PUT /admin/users/{id}`
pub async fn change(room: &AuthRoom, admin: Actor, id: UserId, request: &Request) -> Result<Response, Error> {
    let body: AdminBody = request::body(request)?;
    let user = users::by_id(&room.store, id).await?.ok_or(Error::UserNotFound)?;
    if !body.password.is_empty() {
        room.check_password(&body.password).await?;
    }
    let mut wanted = wanted(room, body).await?;
    wanted.email = wanted.email.filter(|email| *email != user.email);
    wanted.phone = wanted.phone.filter(|phone| *phone != user.phone);
    if let Some(email) = &wanted.email
        && users::by_email(&room.store, email).await?.is_some()
    {
        return Err(Error::EmailExists);
    }
    let changed = room
        .store
        .transact(move |tx| apply(tx, admin.clone(), id, wanted.clone()))
        .await
        .map_err(|error| unique(error, "Error updating user"))?;
    Ok(response::json(StatusCode::OK, &changed?.json()))
}

async fn apply(
    tx: Tx,
    admin: Actor,
    id: UserId,
    wanted: Wanted,
) -> Result<Decision<Result<Profile, Error>>, BackendError> {
    let refused = |error| Ok(Decision::Rollback(Err(error)));
    let Some(user) = users::lock(&tx, id).await? else {
        return refused(Error::UserNotFound);
    };
    let known = identities::of_user_in(&tx, id).await?;
    if let Some(role) = &wanted.role {
        users::set_role(&tx, id, role).await?;
    }
    if let Some(until) = wanted.ban {
        users::set_ban(&tx, id, until).await?;
    }
    if let Some(hash) = &wanted.hash {
        users::set_password(&tx, id, hash).await?;
        sessions::end(&tx, id, Scope::Global).await?;
    }
    let mut app = user.app_metadata.clone();
    if let Some(email) = &wanted.email {
        users::set_email(&tx, id, email).await?;
        identities::set_data(&tx, id, "email", &known, &identities::email_data(id, email)).await?;
    }
    if let Some(phone) = &wanted.phone {
        users::set_phone(&tx, id, phone).await?;
        identities::set_data(&tx, id, "phone", &known, &identities::phone_data(id, phone)).await?;
    }
    if let Some(changes) = &wanted.app_metadata {
        users::merge(&mut app, changes);
        if let Err(error) = request::metadata(&app) {
            return refused(error);
        }
        users::set_app_metadata(&tx, id, &app).await?;
    }
    let mut own = user.user_metadata.clone();
    if let Some(changes) = &wanted.user_metadata {
        users::merge(&mut own, changes);
        if let Err(error) = request::metadata(&own) {
            return refused(error);
        }
        users::set_user_metadata(&tx, id, &own).await?;
    }
    if wanted.confirms_email {
        users::confirm_email(&tx, id, &own).await?;
    }
    if wanted.confirms_phone {
        users::confirm_phone(&tx, id).await?;
    }
    match users::profile_in(&tx, id).await? {
        Some(profile) => {
            audit::record(&tx, &admin, Action::Modified, audit::about(&profile.user)).await?;
            Ok(Decision::Commit(Ok(profile)))
        }
        None => refused(Error::UserNotFound),
    }
}

/// `POST /admin/users/{id}/logout`: ends every session of the user.
pub async fn sign_out(room: &AuthRoom, admin: Actor, id: UserId) -> Result<Response, Error> {
    let found = room
        .store
        .transact(move |tx| end_all(tx, admin.clone(), id))
        .await
        .map_err(|error| Error::of_database("Error logging out user", error))?;
    match found {
        true => Ok(response::nothing()),
        false => Err(Error::UserNotFound),
    }
}

/// True if there is such a user.
async fn end_all(tx: Tx, admin: Actor, id: UserId) -> Result<Decision<bool>, BackendError> {
    let Some(user) = users::by_id_in(&tx, id).await? else {
        return Ok(Decision::Rollback(false));
    };
    sessions::end(&tx, id, Scope::Global).await?;
    audit::record(&tx, &admin, Action::Logout, audit::about(&user)).await?;
    Ok(Decision::Commit(true))
}

/// `DELETE /admin/users/{id}`
pub async fn delete(room: &AuthRoom, admin: Actor, id: UserId, request: &Request) -> Result<Response, Error> {
    let body: DeleteBody = request::body(request)?;
    let stays = body.should_soft_delete.unwrap_or(false);
    let found = room
        .store
        .transact(move |tx| remove(tx, admin.clone(), id, stays))
        .await
        .map_err(|error| Error::of_database("Database error deleting user", error))?;
    match found {
        true => Ok(response::json(StatusCode::OK, &json!({}))),
        false => Err(Error::UserNotFound),
    }
}

/// True if there was such a user.
async fn remove(tx: Tx, admin: Actor, id: UserId, stays: bool) -> Result<Decision<bool>, BackendError> {
    let Some(user) = users::lock(&tx, id).await? else {
        return Ok(Decision::Rollback(false));
    };
    if stays {
        users::bury(&tx, &user).await?;
        sessions::end(&tx, id, Scope::Global).await?;
    } else {
        users::delete(&tx, id).await?;
    }
    audit::record(&tx, &admin, Action::Deleted, audit::about(&user)).await?;
    Ok(Decision::Commit(true))
}

/// The address, the number or the id has a user already.
fn unique(error: BackendError, what: &'static str) -> Error {
    match taken_by(&error) {
        _ if is_taken(&error) => Error::EmailExists,
        _ if is_phone_taken(&error) => Error::PhoneExists,
        Some("users_pkey") => Error::Validation("A user with this ID already exists".into()),
        _ => Error::of_database(what, error),
    }
}

//! `POST /signup`: new users, by e-mail and password or anonymous.

use http::StatusCode;
use jiff::Timestamp;
use mainstay_core::error::BackendError;
use mainstay_core::transaction::Decision;
use mainstay_http::{Request, Response};
use serde_json::{Map, Value as Json, json};
use uuid::Uuid;

use crate::audit::{self, Action, Actor};
use crate::error::Error;
use crate::request::{self, SignUpBody};
use crate::room::AuthRoom;
use crate::sessions::{self, Client, Granted, Method};
use crate::store::Tx;
use crate::users::{self, AUDIENCE, NewUser, Profile, ROLE, UserId};
use crate::{hooks, identities, passwords, response};

/// Makes a user. With confirmations switched off the answer is a session, else the user alone.
pub async fn sign_up(room: &AuthRoom, request: &Request, client: &Client) -> Result<Response, Error> {
    if !room.config.signup_enabled {
        return Err(Error::SignupDisabled);
    }
    let body: SignUpBody = request::body(request)?;
    if let Some(data) = &body.data {
        request::metadata(data)?;
    }
    match (body.email.is_empty(), body.phone.is_empty()) {
        (true, true) => return anonymous(room, body, client).await,
        (false, false) => {
            let message = "Only an email address or phone number should be provided on signup.";
            return Err(Error::Validation(message.into()));
        }
        (true, false) => return Err(Error::PhoneDisabled("signups")),
        (false, true) => {}
    }
    if !room.config.email_enabled {
        return Err(Error::EmailDisabled("signups"));
    }
    room.limits.sign_in(client)?;
    if body.password.is_empty() {
        return Err(Error::Validation("Signup requires a valid password".into()));
    }
    let email = request::email(&body.email)?;
    passwords::check(&body.password, &room.config.passwords)?;
    // Whether or not the address is taken: the answer takes as long.
    let hash = room.passwords.hash(&body.password).await?;
    let data = body.data.unwrap_or_default();
    if users::by_email(&room.store, &email).await?.is_some() {
        return taken(room, &email, data);
    }
    let id = UserId(Uuid::new_v4());
    let own = identities::email_data(id, &email);
    let mut user_metadata = data.clone();
    users::merge(&mut user_metadata, &own);
    let user = NewUser {
        id,
        role: ROLE.into(),
        email: Some(email.clone()),
        phone: None,
        password_hash: Some(hash),
        app_metadata: app_metadata(&["email"]),
        user_metadata,
        is_anonymous: false,
    };
    hooks::before_user_created(room, &user).await?;
    if room.config.confirmations {
        let made = room
            .store
            .transact(move |tx| unconfirmed(tx, user.clone(), own.clone()))
            .await;
        return match made {
            Ok(profile) => Ok(response::json(StatusCode::OK, &profile.json())),
            Err(error) if is_taken(&error) => taken(room, &email, data),
            Err(error) => Err(saving(error)),
        };
    }
    let (token, client) = (sessions::refresh_token()?, client.clone());
    let begun = Begun {
        user,
        own: Some(own),
        method: Method::Password,
    };
    let granted = room
        .store
        .transact(move |tx| confirmed(tx, begun.clone(), token.clone(), client.clone()))
        .await;
    match granted {
        Ok(granted) => room.signed_in(&granted),
        Err(error) if is_taken(&error) => taken(room, &email, data),
        Err(error) => Err(saving(error)),
    }
}

/// Signs a user in of whom nothing is known.
async fn anonymous(room: &AuthRoom, body: SignUpBody, client: &Client) -> Result<Response, Error> {
    if !room.config.anonymous_enabled {
        return Err(Error::AnonymousDisabled);
    }
    room.limits.anonymous(client)?;
    let begun = Begun {
        user: NewUser {
            id: UserId(Uuid::new_v4()),
            role: ROLE.into(),
            email: None,
            phone: None,
            password_hash: None,
            app_metadata: Map::new(),
            user_metadata: body.data.unwrap_or_default(),
            is_anonymous: true,
        },
        own: None,
        method: Method::Anonymous,
    };
    hooks::before_user_created(room, &begun.user).await?;
    let (token, client) = (sessions::refresh_token()?, client.clone());
    let granted = room
        .store
        .transact(move |tx| confirmed(tx, begun.clone(), token.clone(), client.clone()))
        .await
        .map_err(saving)?;
    room.signed_in(&granted)
}

/// A user who is about to be made and signed in.
#[derive(Clone)]
struct Begun {
    user: NewUser,
    /// What the identity by e-mail says.
    own: Option<Map<String, Json>>,
    method: Method,
}

/// User, identity, confirmation and session, all or nothing.
async fn confirmed(
    tx: Tx,
    begun: Begun,
    token: mainstay_core::secret::Secret<String>,
    client: Client,
) -> Result<Decision<Granted>, BackendError> {
    let id = begun.user.id;
    users::insert(&tx, &begun.user).await?;
    if let Some(own) = &begun.own {
        identities::insert(&tx, id, "email", own).await?;
        // Triggers may have changed what was given.
        let made = users::profile_in(&tx, id).await?.ok_or_else(vanished)?;
        users::confirm_email(&tx, id, &made.user.user_metadata).await?;
    }
    users::signed_in(&tx, id).await?;
    let provider = if begun.own.is_some() { "email" } else { "anonymous" };
    for action in [Action::SignedUp, Action::Login] {
        audit::record_own(&tx, id, action, audit::by_provider(provider)).await?;
    }
    let session = sessions::begin(&tx, id, begun.method, &client, &token).await?;
    let granted = sessions::granted(&tx, id, session, token).await?.ok_or_else(vanished)?;
    Ok(Decision::Commit(granted))
}

/// User and identity.
async fn unconfirmed(tx: Tx, user: NewUser, own: Map<String, Json>) -> Result<Decision<Profile>, BackendError> {
    users::insert(&tx, &user).await?;
    identities::insert(&tx, user.id, "email", &own).await?;
    let made = users::profile_in(&tx, user.id).await?.ok_or_else(vanished)?;
    let actor = Actor::from(&made.user);
    audit::record(&tx, &actor, Action::ConfirmationRequested, audit::by_provider("email")).await?;
    Ok(Decision::Commit(made))
}

fn vanished() -> BackendError {
    BackendError::Internal("a trigger took the new user away".into())
}

/// What a user has of a provider.
pub fn app_metadata(providers: &[&str]) -> Map<String, Json> {
    let mut metadata = Map::new();
    metadata.insert("provider".into(), json!(providers.first()));
    metadata.insert("providers".into(), json!(providers));
    metadata
}

/// The address has a user already. With confirmations nobody learns of it: the answer is that of a new user.
fn taken(room: &AuthRoom, email: &str, data: Map<String, Json>) -> Result<Response, Error> {
    if !room.config.confirmations {
        return Err(Error::UserAlreadyExists);
    }
    let id = UserId(Uuid::new_v4());
    let mut user_metadata = data;
    users::merge(&mut user_metadata, &identities::email_data(id, email));
    let now = crate::response::time(Timestamp::now());
    let body = json!({
        "id": id.to_string(),
        "aud": AUDIENCE,
        "role": ROLE,
        "email": email,
        "phone": "",
        "app_metadata": app_metadata(&["email"]),
        "user_metadata": users::in_stored_order(Json::Object(user_metadata)),
        "identities": [],
        "created_at": now,
        "updated_at": now,
        "is_anonymous": false,
    });
    Ok(response::json(StatusCode::OK, &body))
}

/// True if the address was taken meanwhile.
pub fn is_taken(error: &BackendError) -> bool {
    let BackendError::Refused(error) = error else {
        return false;
    };
    let named = |name: &Option<mainstay_core::name::Ident>, begins: &str| {
        name.as_ref().is_some_and(|name| name.as_str().starts_with(begins))
    };
    error.sqlstate == "23505" && named(&error.constraint, "users_email")
}

fn saving(error: BackendError) -> Error {
    Error::of_database("Database error saving new user", error)
}

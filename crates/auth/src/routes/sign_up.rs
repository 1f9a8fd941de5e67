//! `POST /signup`: new users, by e-mail and password or anonymous.

use http::StatusCode;
use mainstay_core::clock;
use mainstay_core::error::BackendError;
use mainstay_core::secret::Secret;
use mainstay_core::transaction::Decision;
use mainstay_http::{Request, Response};
use serde_json::{Map, Value as Json, json};
use uuid::Uuid;

use crate::audit::{self, Action, Actor};
use crate::dispatch::{Dispatch, Recipient};
use crate::error::Error;
use crate::flow_state::Challenge;
use crate::messages::mail::Kind;
use crate::request::{self, SignUpBody};
use crate::room::AuthRoom;
use crate::sessions::{self, Client, Granted, Method};
use crate::store::{Tx, taken_by};
use crate::users::{self, AUDIENCE, NewUser, Profile, ROLE, User, UserId};
use crate::{hooks, identities, response};

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
        (true, false) => return super::phone::sign_up(room, body, client).await,
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
    room.check_password(&body.password).await?;
    let challenge = Challenge::of(&body.code_challenge, &body.code_challenge_method)?;
    let dispatch = match room.config.confirmations {
        false => None,
        true => {
            room.needs_mail("confirming an address")?;
            room.limits.mail(client, Kind::Confirmation.name(), &email)?;
            let redirect_to = room.config.redirects.of(request);
            Some(Dispatch::new(
                &room.letters,
                Kind::Confirmation,
                redirect_to,
                challenge,
            )?)
        }
    };
    // Whether or not the address is taken: the answer takes as long.
    let hash = room.passwords.hash(&body.password).await?;
    let data = body.data.unwrap_or_default();
    if room.config.confirmations {
        let pending = Pending {
            id: UserId(Uuid::new_v4()),
            email,
            hash,
            data,
            dispatch: dispatch.ok_or_else(|| Error::Unexpected("a sign-up without its mail".into()))?,
        };
        return to_be_confirmed(room, pending).await;
    }
    if users::by_email(&room.store, &email).await?.is_some() {
        return Err(Error::UserAlreadyExists);
    }
    let id = UserId(Uuid::new_v4());
    let own = identities::email_data(id, &email);
    let mut user_metadata = data;
    users::merge(&mut user_metadata, &own);
    let user = NewUser {
        id,
        role: ROLE.into(),
        email: Some(email),
        phone: None,
        password_hash: Some(hash),
        app_metadata: app_metadata(&["email"]),
        user_metadata,
        is_anonymous: false,
    };
    let begun = Begun {
        user,
        own: Some(("email", own)),
        method: Method::Password,
    };
    begin(room, begun, client).await
}

/// A sign-up whose address must be confirmed.
#[derive(Clone)]
struct Pending {
    id: UserId,
    email: String,
    hash: Secret<String>,
    data: Map<String, Json>,
    dispatch: Dispatch,
}

/// Makes a user who may not sign in yet, and sends the mail that changes it. For an address that is confirmed nothing is
/// made and nothing is sent; the answer is that of a new user.
async fn to_be_confirmed(room: &AuthRoom, pending: Pending) -> Result<Response, Error> {
    let (email, data) = (pending.email.clone(), pending.data.clone());
    let known = users::by_email(&room.store, &email).await?.map(|user| user.id);
    // Whoever has the address already is asked about alike: a refusal tells nothing.
    hooks::before_user_created(room, &pending.user(pending.id)).await?;
    let made = room.store.transact(move |tx| pend(tx, known, pending.clone())).await;
    let profile = match made {
        Ok(profile) => profile,
        Err(error) if is_taken(&error) => None,
        Err(error) => return Err(saving(error)),
    };
    Ok(match profile {
        Some(profile) => response::json(StatusCode::OK, &profile.json()),
        None => taken("email", &email, data),
    })
}

async fn pend(tx: Tx, known: Option<UserId>, pending: Pending) -> Result<Decision<Option<Profile>>, BackendError> {
    let Some(id) = known else {
        let id = pending.id;
        users::insert(&tx, &pending.user(id)).await?;
        identities::insert(&tx, id, "email", &identities::email_data(id, &pending.email)).await?;
        let made = users::by_id_in(&tx, id).await?.ok_or_else(vanished)?;
        let actor = Actor::from(&made);
        audit::record(&tx, &actor, Action::ConfirmationRequested, audit::by_provider("email")).await?;
        pending.dispatch.send(&tx, &Recipient::of(&made)).await?;
        hooks::user_created(&tx, id).await?;
        let profile = users::profile_in(&tx, id).await?.ok_or_else(vanished)?;
        return Ok(Decision::Commit(Some(profile)));
    };
    let found = users::lock(&tx, id).await?;
    audit::record_own(&tx, id, Action::RepeatedSignUp, audit::by_provider("email")).await?;
    let Some(found) = found.filter(|found| found.confirmed_at.is_none() && found.deleted_at.is_none()) else {
        pending.dispatch.send(&tx, &Recipient::nobody(&pending.email)).await?;
        return Ok(Decision::Commit(None));
    };
    // Nobody has proved the address yet. The last sign-up counts, for its mail is the one that can still be followed:
    // whoever follows it must not get the password of somebody who signed up with the address before.
    let new = pending.user(id);
    users::set_hash(&tx, id, &pending.hash).await?;
    users::set_user_metadata(&tx, id, &new.user_metadata).await?;
    let to = Recipient {
        data: new.user_metadata.clone(),
        ..Recipient::of(&found)
    };
    pending.dispatch.send(&tx, &to).await?;
    Ok(users::profile_in(&tx, id)
        .await?
        .map_or(Decision::Rollback(None), |profile| {
            Decision::Commit(Some(as_new(profile, new)))
        }))
}

/// What a user who has not proved the address yet is shown as: what was just sent, and no more.
pub fn as_new(profile: Profile, new: NewUser) -> Profile {
    let sent = profile.user.confirmation_sent_at;
    let user = User {
        role: new.role,
        email: new.email.unwrap_or_default(),
        phone: new.phone.unwrap_or_default(),
        invited_at: None,
        recovery_sent_at: None,
        last_sign_in_at: None,
        app_metadata: new.app_metadata.clone(),
        created_at: sent,
        updated_at: sent,
        banned_until: None,
        ..profile.user
    };
    let is_own = |identity: &identities::Identity| new.app_metadata["provider"] == json!(identity.provider);
    Profile {
        user,
        identities: profile.identities.into_iter().filter(is_own).collect(),
        factors: Vec::new(),
    }
}

impl Pending {
    fn user(&self, id: UserId) -> NewUser {
        let mut user_metadata = self.data.clone();
        users::merge(&mut user_metadata, &identities::email_data(id, &self.email));
        NewUser {
            id,
            role: ROLE.into(),
            email: Some(self.email.clone()),
            phone: None,
            password_hash: Some(self.hash.clone()),
            app_metadata: app_metadata(&["email"]),
            user_metadata,
            is_anonymous: false,
        }
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
    begin(room, begun, client).await
}

/// A user who is about to be made and signed in.
#[derive(Clone)]
pub struct Begun {
    pub user: NewUser,
    /// The identity's provider, and what it says.
    pub own: Option<(&'static str, Map<String, Json>)>,
    pub method: Method,
}

/// Makes the user and signs it in. Errors: `UserAlreadyExists`, `PhoneExists`.
pub async fn begin(room: &AuthRoom, begun: Begun, client: &Client) -> Result<Response, Error> {
    hooks::before_user_created(room, &begun.user).await?;
    let (token, client) = (sessions::refresh_token()?, client.clone());
    let granted = room
        .store
        .transact(move |tx| confirmed(tx, begun.clone(), token.clone(), client.clone()))
        .await;
    match granted {
        Ok(granted) => room.signed_in(&granted).await,
        Err(error) if is_taken(&error) => Err(Error::UserAlreadyExists),
        Err(error) if is_phone_taken(&error) => Err(Error::PhoneExists),
        Err(error) => Err(saving(error)),
    }
}

/// User, identity, confirmation and session, all or nothing.
async fn confirmed(
    tx: Tx,
    begun: Begun,
    token: Secret<String>,
    client: Client,
) -> Result<Decision<Granted>, BackendError> {
    let id = begun.user.id;
    users::insert(&tx, &begun.user).await?;
    if let Some((provider, own)) = &begun.own {
        identities::insert(&tx, id, provider, own).await?;
        // Triggers may have changed what was given.
        let made = users::profile_in(&tx, id).await?.ok_or_else(vanished)?;
        match *provider {
            "phone" => users::confirm_phone(&tx, id).await?,
            _ => users::confirm_email(&tx, id, &made.user.user_metadata).await?,
        }
    }
    users::signed_in(&tx, id).await?;
    let provider = begun.own.as_ref().map_or("anonymous", |(provider, _)| provider);
    for action in [Action::SignedUp, Action::Login] {
        audit::record_own(&tx, id, action, audit::by_provider(provider)).await?;
    }
    hooks::user_created(&tx, id).await?;
    let session = sessions::begin(&tx, id, begun.method, &client, &token).await?;
    let granted = sessions::granted(&tx, id, session, token).await?.ok_or_else(vanished)?;
    Ok(Decision::Commit(granted))
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

/// The address has a user already, and nobody learns of it: the answer is that of a new user.
pub fn taken(provider: &str, address: &str, data: Map<String, Json>) -> Response {
    let id = UserId(Uuid::new_v4());
    let mut user_metadata = data;
    let (email, phone, own) = match provider {
        "phone" => ("", address, identities::phone_data(id, address)),
        _ => (address, "", identities::email_data(id, address)),
    };
    users::merge(&mut user_metadata, &own);
    let now = crate::response::time(clock::now());
    let body = json!({
        "id": id.to_string(),
        "aud": AUDIENCE,
        "role": ROLE,
        "email": email,
        "phone": phone,
        "confirmation_sent_at": now,
        "app_metadata": app_metadata(&[provider]),
        "user_metadata": users::in_stored_order(Json::Object(user_metadata)),
        "identities": [],
        "created_at": now,
        "updated_at": now,
        "is_anonymous": false,
    });
    response::json(StatusCode::OK, &body)
}

/// True if the address was taken meanwhile.
pub fn is_taken(error: &BackendError) -> bool {
    taken_by(error).is_some_and(|name| name.starts_with("users_email"))
}

/// True if the number was taken meanwhile.
pub fn is_phone_taken(error: &BackendError) -> bool {
    taken_by(error).is_some_and(|name| name.starts_with("users_phone"))
}

fn saving(error: BackendError) -> Error {
    Error::of_database("Database error saving new user", error)
}

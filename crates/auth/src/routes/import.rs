//! `POST /admin/users/import`: users as another system kept them, with their ids, times, hashes and identities.
//!
//! Lives here: what such a user is, and its checks. Not here: reading other systems' files (the command line).
//! A request is one transaction; whoever is there already, by id, address or number, is left as is, so that an import may be
//! repeated.

use http::StatusCode;
use jiff::Timestamp;
use mainstay_core::error::BackendError;
use mainstay_core::secret::Secret;
use mainstay_core::transaction::Decision;
use mainstay_http::{Request, Response};
use serde::Deserialize;
use serde_json::{Map, Value as Json, json};
use uuid::Uuid;

use super::sign_up::app_metadata;
use crate::audit::{self, Action, Actor};
use crate::error::Error;
use crate::room::AuthRoom;
use crate::store::Tx;
use crate::users::{self, NewUser, ROLE, UserId};
use crate::{identities, passwords, request, response};

/// Users of one request, at most.
pub const USERS_MAX: usize = 1_000;

#[derive(Deserialize)]
struct Body {
    users: Vec<Json>,
}

/// A user as `auth.users` of the other system has it; null is the same as absent.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Given {
    id: Option<String>,
    role: Option<String>,
    email: Option<String>,
    phone: Option<String>,
    encrypted_password: Option<String>,
    email_confirmed_at: Option<String>,
    phone_confirmed_at: Option<String>,
    last_sign_in_at: Option<String>,
    banned_until: Option<String>,
    created_at: Option<String>,
    raw_app_meta_data: Option<Map<String, Json>>,
    raw_user_meta_data: Option<Map<String, Json>>,
    is_anonymous: Option<bool>,
    identities: Option<Vec<GivenIdentity>>,
}

/// By which provider the user was known there.
#[derive(Debug, Deserialize)]
struct GivenIdentity {
    provider: String,
    /// Of the provider's own.
    provider_id: String,
    #[serde(default)]
    identity_data: Map<String, Json>,
}

/// A user, checked.
#[derive(Clone, Debug)]
pub struct Imported {
    pub new: NewUser,
    pub email_confirmed_at: Option<Timestamp>,
    pub phone_confirmed_at: Option<Timestamp>,
    pub last_sign_in_at: Option<Timestamp>,
    pub banned_until: Option<Timestamp>,
    pub created_at: Option<Timestamp>,
    /// Provider, the provider's id, what it says.
    identities: Vec<(String, String, Map<String, Json>)>,
}

/// Imports; the answer says of each user in its order `imported`, `exists` or why it was refused.
pub async fn import(room: &AuthRoom, admin: Actor, request: &Request) -> Result<Response, Error> {
    let body: Body = request::body(request)?;
    if body.users.len() > USERS_MAX {
        return Err(Error::Validation(format!("more than {USERS_MAX} users at once")));
    }
    let checked: Vec<Result<Imported, String>> = body.users.into_iter().map(check).collect();
    let done = room
        .store
        .transact(move |tx| insert_all(tx, admin.clone(), checked.clone()))
        .await
        .map_err(|error| Error::of_database("Database error importing users", error))?;
    Ok(response::json(StatusCode::OK, &json!({ "users": done })))
}

async fn insert_all(
    tx: Tx,
    admin: Actor,
    checked: Vec<Result<Imported, String>>,
) -> Result<Decision<Vec<Json>>, BackendError> {
    let mut done = Vec::with_capacity(checked.len());
    for user in checked {
        done.push(match user {
            Err(reason) => json!({"status": "refused", "reason": reason}),
            Ok(user)
                if users::is_there(&tx, user.new.id, user.new.email.as_deref(), user.new.phone.as_deref()).await? =>
            {
                json!({"status": "exists", "id": user.new.id.to_string()})
            }
            Ok(user) => {
                users::insert_imported(&tx, &user).await?;
                for (provider, provider_id, data) in &user.identities {
                    identities::insert_as(&tx, user.new.id, provider, provider_id, data).await?;
                }
                if let Some(made) = users::by_id_in(&tx, user.new.id).await? {
                    audit::record(&tx, &admin, Action::SignedUp, audit::about(&made)).await?;
                }
                json!({"status": "imported", "id": user.new.id.to_string()})
            }
        });
    }
    Ok(Decision::Commit(done))
}

fn check(given: Json) -> Result<Imported, String> {
    // The error would repeat values.
    let given: Given = serde_json::from_value(given).map_err(|_| "a member has the wrong type".to_owned())?;
    let said = |error: Error| error.to_string();
    let filled = |text: Option<String>| text.filter(|text| !text.is_empty());
    let time = |text: Option<String>, name: &str| match filled(text) {
        None => Ok(None),
        Some(text) => match text.parse::<Timestamp>() {
            Ok(time) => Ok(Some(time)),
            Err(_) => Err(format!("{name} is no time")),
        },
    };
    let id = match filled(given.id) {
        None => Uuid::new_v4(),
        Some(text) => text
            .parse()
            .ok()
            .filter(|id: &Uuid| !id.is_nil())
            .ok_or("id is no UUID")?,
    };
    let id = UserId(id);
    let email = filled(given.email)
        .map(|text| request::email(&text))
        .transpose()
        .map_err(said)?;
    let phone = filled(given.phone)
        .map(|text| request::phone(&text))
        .transpose()
        .map_err(said)?;
    let is_anonymous = given.is_anonymous.unwrap_or(false);
    let mut identities: Vec<_> = given
        .identities
        .unwrap_or_default()
        .into_iter()
        .map(|identity| (identity.provider, identity.provider_id, identity.identity_data))
        .collect();
    if identities
        .iter()
        .any(|(provider, id, _)| provider.is_empty() || id.is_empty())
    {
        return Err("an identity has no provider or no provider_id".into());
    }
    if email.is_none() && phone.is_none() && identities.is_empty() && !is_anonymous {
        return Err("neither an address nor a number nor an identity".into());
    }
    let has = |identities: &[(String, String, Map<String, Json>)], name: &str| {
        identities.iter().any(|(provider, ..)| provider == name)
    };
    // Whoever signed in with a password or by a message is known by that; with another provider only, is not.
    let hash = filled(given.encrypted_password);
    if let Some(hash) = &hash
        && !passwords::is_importable(hash)
    {
        return Err("encrypted_password is neither bcrypt nor Argon2 nor Firebase's scrypt, or costs too much".into());
    }
    if let Some(email) = &email
        && !has(&identities, "email")
        && (hash.is_some() || identities.is_empty())
    {
        identities.push(("email".into(), id.to_string(), identities::email_data(id, email)));
    }
    if let Some(phone) = &phone
        && !has(&identities, "phone")
    {
        identities.push(("phone".into(), id.to_string(), identities::phone_data(id, phone)));
    }
    let mut app = given.raw_app_meta_data.unwrap_or_default();
    if !app.contains_key("provider") && !identities.is_empty() {
        let providers: Vec<&str> = identities.iter().map(|(provider, ..)| provider.as_str()).collect();
        app.extend(app_metadata(&providers));
    }
    let own = given.raw_user_meta_data.unwrap_or_default();
    for data in [&app, &own].into_iter().chain(identities.iter().map(|(.., data)| data)) {
        request::metadata(data).map_err(said)?;
    }
    Ok(Imported {
        new: NewUser {
            id,
            role: filled(given.role)
                .map(|text| request::role(&text))
                .transpose()
                .map_err(said)?
                .unwrap_or_else(|| ROLE.into()),
            email,
            phone,
            password_hash: hash.map(Secret::new),
            app_metadata: app,
            user_metadata: own,
            is_anonymous,
        },
        email_confirmed_at: time(given.email_confirmed_at, "email_confirmed_at")?,
        phone_confirmed_at: time(given.phone_confirmed_at, "phone_confirmed_at")?,
        last_sign_in_at: time(given.last_sign_in_at, "last_sign_in_at")?,
        banned_until: time(given.banned_until, "banned_until")?,
        created_at: time(given.created_at, "created_at")?,
        identities,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_is_taken_as_it_was_kept_or_refused_with_the_reason() {
        let whole = json!({
            "id": "aaaaaaaa-0000-4000-8000-000000000001", "email": "Ann@Example.com", "phone": null,
            "created_at": "2023-05-06 07:08:09.123+00", "email_confirmed_at": "2023-05-06T07:08:09Z", "role": "",
            "raw_user_meta_data": {"name": "Ann"},
            "identities": [{"provider": "google", "provider_id": "7", "identity_data": {"sub": "7"}}],
        });
        let user = check(whole.clone()).unwrap();
        assert_eq!(user.new.email.as_deref(), Some("ann@example.com"));
        assert_eq!(user.new.role, "authenticated");
        assert_eq!(user.created_at.unwrap().to_string(), "2023-05-06T07:08:09.123Z");
        // Known by Google only: nobody may set a password by the address alone.
        let providers: Vec<&str> = user.identities.iter().map(|(provider, ..)| provider.as_str()).collect();
        assert_eq!(providers, ["google"]);
        assert_eq!(user.new.app_metadata, app_metadata(&["google"]));
        for (name, value) in [
            ("id", json!("7")),
            ("email", json!("nobody")),
            ("email", json!(7)),
            ("created_at", json!("yesterday")),
            ("encrypted_password", json!("secret")),
            ("raw_app_meta_data", json!("text")),
            ("raw_user_meta_data", json!({"a": "x".repeat(6_000)})),
            ("identities", json!([{"provider": "google", "provider_id": ""}])),
        ] {
            let mut bent = whole.clone();
            bent[name] = value;
            assert!(check(bent).is_err(), "{name}");
        }
        assert!(check(json!({})).is_err());
        assert!(check(json!({"is_anonymous": true})).is_ok());
        let plain = check(json!({"email": "bob@example.com"})).unwrap();
        assert_eq!(plain.identities[0].0, "email");
    }
}

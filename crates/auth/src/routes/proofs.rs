//! What is written when an address was proved.

use mainstay_core::error::BackendError;
use mainstay_core::secret::Secret;
use serde_json::{Map, Value as Json, json};

use crate::messages::notices::{self, Change};
use crate::one_time_tokens::{self, TokenType};
use crate::passkeys;
use crate::sessions::{self, Scope};
use crate::store::{Tx, text};
use crate::users::{self, User, UserId};
use crate::{identities, request};

const HALF: &str = "UPDATE auth.users SET email_change_confirm_status = 1, updated_at = now() WHERE id = $1::uuid";
const STATUS: &str = "SELECT u.email_change_confirm_status FROM auth.users u WHERE u.id = $1::uuid";
const CHANGE_EMAIL: &str = "UPDATE auth.users SET email = $2::text, email_change = '', \
     email_change_token_current = '', email_change_token_new = '', email_change_confirm_status = 0, \
     is_anonymous = false, email_confirmed_at = coalesce(email_confirmed_at, now()), updated_at = now() WHERE id = $1::uuid";
const CHANGE_PHONE: &str = "UPDATE auth.users SET phone = $2::text, phone_change = '', phone_change_token = '', \
     is_anonymous = false, phone_confirmed_at = now(), updated_at = now() WHERE id = $1::uuid";
const RECOVERED: &str =
    "UPDATE auth.users SET confirmation_token = '', recovery_token = '', updated_at = now() WHERE id = $1::uuid";

/// What was brought.
#[derive(Clone, Copy, Debug)]
pub struct Proof {
    pub token_type: TokenType,
    pub is_by_phone: bool,
    pub confirms_both: bool,
}

/// Writes what the proof changes of the user, whose row is held. False: the other address has to consent, too.
pub async fn accept(tx: &Tx, user: &User, proof: Proof) -> Result<bool, BackendError> {
    match proof.token_type {
        TokenType::EmailChangeNew | TokenType::EmailChangeCurrent => {
            if proof.confirms_both && !user.email.is_empty() && !is_second(tx, user.id).await? {
                one_time_tokens::clear(tx, user.id, proof.token_type).await?;
                tx.run(HALF, vec![text(user.id)]).await?;
                return Ok(false);
            }
            change_email(tx, user).await?;
        }
        TokenType::PhoneChange => change_phone(tx, user).await?,
        token_type if proof.is_by_phone => {
            if token_type == TokenType::Recovery && user.confirmed_at.is_none() {
                disown(tx, user.id).await?;
            }
            users::confirm_phone(tx, user.id).await?;
            verified(tx, user, "phone", &verified_phone(&user.phone)).await?;
            used(tx, user.id).await?;
        }
        token_type => {
            if token_type == TokenType::Recovery && user.confirmed_at.is_none() {
                disown(tx, user.id).await?;
            }
            if user.email_confirmed_at.is_none() {
                users::confirm_email(tx, user.id, &user.user_metadata).await?;
            }
            verified(tx, user, "email", &verified_email(&user.email)).await?;
            used(tx, user.id).await?;
        }
    }
    Ok(true)
}

async fn is_second(tx: &Tx, user: UserId) -> Result<bool, BackendError> {
    let status = tx.run(STATUS, vec![text(user)]).await?;
    Ok(status.first(|row| row.maybe())?.flatten().as_deref() == Some("1"))
}

/// The tokens that prove the same address are used up.
async fn used(tx: &Tx, user: UserId) -> Result<(), BackendError> {
    one_time_tokens::clear(tx, user, TokenType::Confirmation).await?;
    one_time_tokens::clear(tx, user, TokenType::Recovery).await?;
    tx.run(RECOVERED, vec![text(user)]).await.map(drop)
}

/// Whoever signed up with the address without proving it keeps nothing of it: password and passkeys were theirs.
async fn disown(tx: &Tx, user: UserId) -> Result<(), BackendError> {
    passkeys::delete_all(tx, user).await?;
    users::set_hash(tx, user, &Secret::new(String::new())).await?;
    sessions::end(tx, user, Scope::Global).await
}

/// The identity by the provider says that its address was proved, if there is one.
async fn verified(tx: &Tx, user: &User, provider: &str, changes: &Map<String, Json>) -> Result<(), BackendError> {
    let known = identities::of_user_in(tx, user.id).await?;
    match known.iter().any(|identity| identity.provider == provider) {
        true => identities::set_data(tx, user.id, provider, &known, changes).await,
        false => Ok(()),
    }
}

fn verified_email(email: &str) -> Map<String, Json> {
    let mut data = Map::new();
    data.insert("email".into(), json!(email));
    data.insert("email_verified".into(), json!(true));
    data
}

fn verified_phone(phone: &str) -> Map<String, Json> {
    let mut data = Map::new();
    data.insert("phone".into(), json!(phone));
    data.insert("phone_verified".into(), json!(true));
    data
}

/// Gives the user the address that was asked for.
pub async fn change_email(tx: &Tx, user: &User) -> Result<(), BackendError> {
    let email = &user.new_email;
    let mut data = identities::email_data(user.id, email);
    users::merge(&mut data, &verified_email(email));
    tx.run(CHANGE_EMAIL, vec![text(user.id), text(email)]).await?;
    changed(tx, user, "email", &data).await?;
    match user.email == *email {
        true => Ok(()),
        false => notices::tell(tx, user.id, Change::Email { old: &user.email }).await,
    }
}

/// Gives the user the number that was asked for.
pub async fn change_phone(tx: &Tx, user: &User) -> Result<(), BackendError> {
    let phone = &user.new_phone;
    let mut data = identities::phone_data(user.id, phone);
    users::merge(&mut data, &verified_phone(phone));
    tx.run(CHANGE_PHONE, vec![text(user.id), text(phone)]).await?;
    let is_new = changed(tx, user, "phone", &data).await?;
    if !user.phone.is_empty() && user.phone != *phone {
        notices::tell(tx, user.id, Change::Phone { old: &user.phone }).await?;
    }
    match is_new {
        true => notices::tell(tx, user.id, Change::IdentityLinked { provider: "phone" }).await,
        false => Ok(()),
    }
}

/// Identity, providers and metadata follow; whatever was sent to the old address is void. True: the identity is a new one.
async fn changed(tx: &Tx, user: &User, provider: &str, data: &Map<String, Json>) -> Result<bool, BackendError> {
    let known = identities::of_user_in(tx, user.id).await?;
    let is_new = !known.iter().any(|identity| identity.provider == provider);
    identities::set_data(tx, user.id, provider, &known, data).await?;
    let mut app = user.app_metadata.clone();
    let mut providers: Vec<Json> = app
        .get("providers")
        .and_then(Json::as_array)
        .cloned()
        .unwrap_or_default();
    if !providers.contains(&json!(provider)) {
        providers.push(json!(provider));
        app.insert("providers".into(), Json::Array(providers));
        app.entry("provider").or_insert(json!(provider));
        users::set_app_metadata(tx, user.id, &app).await?;
    }
    let mut own = user.user_metadata.clone();
    let mut told = data.clone();
    told.remove(if provider == "email" {
        "phone_verified"
    } else {
        "email_verified"
    });
    users::merge(&mut own, &told);
    // What does not fit into a token any more is left as it was.
    if request::metadata(&own).is_ok() {
        users::set_user_metadata(tx, user.id, &own).await?;
    }
    one_time_tokens::clear_all(tx, user.id).await?;
    Ok(is_new)
}

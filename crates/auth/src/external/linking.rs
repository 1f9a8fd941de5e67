//! Whose account it is that somebody comes back to from a provider.
//!
//! Invariant: nobody gets at an account by an address that is not proved to be theirs, and nobody keeps an account by one
//! that was never proved to be theirs. A provider's word proves an address only if it says that it is the person's own;
//! an account's address is proved by such a word, by a message that was answered, or by an administrator. Whoever only
//! wrote an address into a form has proved nothing: when its owner comes by a provider, they get the account, and
//! password, sessions, factors, passkeys and other identities of whoever made it are gone.
//!
//! Source: RFC 9700; "Pre-hijacked accounts" (Sudhodanan, Paverd, USENIX Security 2022).

use mainstay_core::clock;
use mainstay_core::error::BackendError;
use serde_json::{Map, Value as Json, json};
use uuid::Uuid;

use super::person::{Address, Person};
use crate::audit::{self, Action};
use crate::error::Error;
use crate::factors;
use crate::hooks;
use crate::identities;
use crate::messages::notices::{self, Change};
use crate::passkeys;
use crate::request;
use crate::sessions::{self, Scope};
use crate::store::{Row, Tx, text};
use crate::users::{self, AUDIENCE, NewUser, ROLE, User, UserId};

const OWNER_OF_SUBJECT: &str =
    "SELECT i.user_id FROM auth.identities i WHERE i.provider_id = $1::text AND i.provider = $2::text";
/// Whose addresses a provider, or an answered message, has vouched for.
const PROVED_OWNERS: &str = "SELECT DISTINCT i.user_id FROM auth.identities i JOIN auth.users u ON u.id = i.user_id \
     WHERE i.email = $1::text AND i.identity_data ->> 'email_verified' = 'true' AND u.is_sso_user = false \
     AND u.deleted_at IS NULL LIMIT 2";
const HOLDER: &str = "SELECT u.id, u.email_confirmed_at FROM auth.users u \
     WHERE u.instance_id = '00000000-0000-0000-0000-000000000000' AND lower(u.email::text) = $1::text \
     AND u.aud = $2::text AND u.is_sso_user = false LIMIT 1";
const DISPOSSESS: &str = "UPDATE auth.users SET encrypted_password = '', phone = NULL, phone_confirmed_at = NULL, \
     phone_change = '', phone_change_token = '', email_change = '', email_change_token_new = '', \
     email_change_token_current = '', confirmation_token = '', recovery_token = '', reauthentication_token = '', \
     raw_user_meta_data = '{}', updated_at = now() WHERE id = $1::uuid";
const DELETE_TOKENS: &str = "DELETE FROM auth.one_time_tokens WHERE user_id = $1::uuid";
const DELETE_FLOWS: &str = "DELETE FROM auth.flow_state WHERE user_id = $1::uuid OR linking_target_id = $1::uuid";
const DELETE_IDENTITIES: &str = "DELETE FROM auth.identities WHERE user_id = $1::uuid";
const SEEN: &str = "UPDATE auth.identities SET identity_data = $3::jsonb, last_sign_in_at = now(), updated_at = now() \
     WHERE provider_id = $1::text AND provider = $2::text";
const NOT_ANONYMOUS: &str = "UPDATE auth.users SET is_anonymous = false, updated_at = now() WHERE id = $1::uuid";
const DELETE_IDENTITY: &str = "DELETE FROM auth.identities WHERE id = $1::uuid AND user_id = $2::uuid";
const NO_EMAIL: &str =
    "UPDATE auth.users SET email = NULL, email_confirmed_at = NULL, updated_at = now() WHERE id = $1::uuid";
const NO_PHONE: &str =
    "UPDATE auth.users SET phone = NULL, phone_confirmed_at = NULL, updated_at = now() WHERE id = $1::uuid";

/// What the settings say.
#[derive(Clone, Copy, Debug)]
pub struct Rules {
    pub signup_enabled: bool,
    /// Addresses must be proved before their users may sign in.
    pub confirmations: bool,
    /// Somebody without an address may sign in.
    pub email_optional: bool,
}

/// Somebody who comes from a provider.
#[derive(Clone, Debug)]
pub struct Visitor {
    /// Who the visitor becomes, if nobody knows them.
    pub new_id: UserId,
    pub provider: String,
    pub person: Person,
    pub rules: Rules,
}

type Outcome<T> = Result<Result<T, Error>, BackendError>;

/// Finds or makes the account that the visitor signs in to.
pub async fn sign_in(tx: &Tx, visitor: &Visitor) -> Outcome<UserId> {
    if let Some(id) = owner_of_subject(tx, visitor).await? {
        return return_to(tx, visitor, id).await;
    }
    for address in proved(&visitor.person) {
        match owner(tx, &address.email, visitor.rules).await? {
            Owner::Nobody => {}
            Owner::Several => return Ok(Err(Error::MultipleAccounts)),
            Owner::Proved(id) => return join(tx, visitor, id, address, true).await,
            Owner::Claimed(id) => return join(tx, visitor, id, address, false).await,
        }
    }
    create(tx, visitor).await
}

async fn owner_of_subject(tx: &Tx, visitor: &Visitor) -> Result<Option<UserId>, BackendError> {
    let values = vec![text(&visitor.person.subject), text(&visitor.provider)];
    tx.run(OWNER_OF_SUBJECT, values)
        .await?
        .first(|row| row.uuid().map(UserId))
}

/// The addresses that are the person's own, the main one first.
fn proved(person: &Person) -> Vec<&Address> {
    let mut addresses: Vec<&Address> = person.addresses.iter().filter(|address| address.is_verified).collect();
    addresses.sort_by_key(|address| !address.is_primary);
    addresses
}

enum Owner {
    Nobody,
    Proved(UserId),
    /// Somebody wrote the address into a form.
    Claimed(UserId),
    Several,
}

async fn owner(tx: &Tx, email: &str, rules: Rules) -> Result<Owner, BackendError> {
    let proved = tx
        .run(PROVED_OWNERS, vec![text(email)])
        .await?
        .all(|row| row.uuid().map(UserId))?;
    let holder = holder(tx, email).await?;
    Ok(match (proved.as_slice(), holder) {
        ([], None) => Owner::Nobody,
        // A message was answered, unless none are sent: then everybody counts as confirmed.
        ([], Some((id, is_confirmed))) if is_confirmed && rules.confirmations => Owner::Proved(id),
        ([], Some((id, _))) => Owner::Claimed(id),
        ([one], None) => Owner::Proved(*one),
        ([one], Some((id, _))) if *one == id => Owner::Proved(id),
        ([_], Some((_, true))) if rules.confirmations => Owner::Several,
        ([one], Some(_)) => Owner::Proved(*one),
        _ => Owner::Several,
    })
}

/// The user whose address it is on paper, and whether it counts as confirmed.
async fn holder(tx: &Tx, email: &str) -> Result<Option<(UserId, bool)>, BackendError> {
    tx.run(HOLDER, vec![text(email), text(AUDIENCE)])
        .await?
        .first(|row: &mut Row| Ok((UserId(row.uuid()?), row.time()?.is_some())))
}

/// A visitor whom the account knows already.
async fn return_to(tx: &Tx, visitor: &Visitor, id: UserId) -> Outcome<UserId> {
    let user = match held(tx, id).await? {
        Ok(user) => user,
        Err(error) => return Ok(Err(error)),
    };
    let values = vec![
        text(&visitor.person.subject),
        text(&visitor.provider),
        users::object(&visitor.person.claims),
    ];
    tx.run(SEEN, values).await?;
    let is_unconfirmed = user.email_confirmed_at.is_none() && user.phone_confirmed_at.is_none();
    if !user.email.is_empty() && is_unconfirmed {
        if !proved(&visitor.person)
            .iter()
            .any(|address| address.email == user.email)
        {
            return Ok(Err(Error::ProviderEmailUnverified(visitor.provider.clone())));
        }
        dispossess(tx, id).await?;
        add_identity(tx, visitor, id).await?;
        users::confirm_email(tx, id, &visitor.person.claims).await?;
        return finish(tx, id).await;
    }
    merge(tx, &user, &visitor.person.claims).await?;
    finish(tx, id).await
}

/// A visitor whose address is the account's.
async fn join(tx: &Tx, visitor: &Visitor, id: UserId, address: &Address, is_proved: bool) -> Outcome<UserId> {
    let mut user = match held(tx, id).await? {
        Ok(user) => user,
        Err(error) => return Ok(Err(error)),
    };
    // Somebody may have come for the same subject while the account was waited for.
    if let Some(owner) = owner_of_subject(tx, visitor).await? {
        return return_to(tx, visitor, owner).await;
    }
    if !is_proved {
        tracing::warn!(user = %id, provider = visitor.provider,
            "an account whose address was never proved goes to the address's owner");
        dispossess(tx, id).await?;
        user.user_metadata = Map::new();
    }
    add_identity(tx, visitor, id).await?;
    merge(tx, &user, &visitor.person.claims).await?;
    if user.email == address.email && user.email_confirmed_at.is_none() {
        let Some(now) = users::by_id_in(tx, id).await? else {
            return Ok(Err(Error::UserNotFound));
        };
        users::confirm_email(tx, id, &now.user_metadata).await?;
    }
    if is_proved {
        tell_linked(tx, visitor, id).await?;
    }
    finish(tx, id).await
}

/// The account is the visitor's from now on.
async fn add_identity(tx: &Tx, visitor: &Visitor, id: UserId) -> Result<(), BackendError> {
    let person = &visitor.person;
    identities::insert_as(tx, id, &visitor.provider, &person.subject, &person.claims).await?;
    audit::record_own(tx, id, Action::IdentityLinked, audit::by_provider(&visitor.provider)).await
}

/// Somebody who had the account before learns that there is another way to it.
async fn tell_linked(tx: &Tx, visitor: &Visitor, id: UserId) -> Result<(), BackendError> {
    let change = Change::IdentityLinked {
        provider: &visitor.provider,
    };
    notices::tell(tx, id, change).await
}

/// Holds the account. Errors: it is banned, or gone.
async fn held(tx: &Tx, id: UserId) -> Outcome<User> {
    let Some(user) = users::lock(tx, id).await?.filter(|user| user.deleted_at.is_none()) else {
        return Ok(Err(Error::UserNotFound));
    };
    if user.is_banned(clock::now()) {
        return Ok(Err(Error::TokenUserBanned));
    }
    Ok(Ok(user))
}

/// Takes away everything by which whoever made the account could come back to it.
async fn dispossess(tx: &Tx, id: UserId) -> Result<(), BackendError> {
    factors::delete_all(tx, id).await?;
    passkeys::delete_all(tx, id).await?;
    for statement in [DISPOSSESS, DELETE_TOKENS, DELETE_FLOWS, DELETE_IDENTITIES] {
        tx.run(statement, vec![text(id)]).await?;
    }
    sessions::end(tx, id, Scope::Global).await
}

/// Adds what the provider says to the user's own data, unless that grows too large for a token.
async fn merge(tx: &Tx, user: &User, claims: &Map<String, Json>) -> Result<(), BackendError> {
    let mut metadata = user.user_metadata.clone();
    users::merge(&mut metadata, claims);
    if user.email_confirmed_at.is_some() {
        metadata.insert("email_verified".into(), json!(true));
    }
    if request::metadata(&metadata).is_err() {
        return Ok(());
    }
    users::set_user_metadata(tx, user.id, &metadata).await
}

/// Notes by which providers the account is reached.
async fn finish(tx: &Tx, id: UserId) -> Outcome<UserId> {
    let Some(profile) = users::profile_in(tx, id).await? else {
        return Ok(Err(Error::UserNotFound));
    };
    let mut providers: Vec<&str> = Vec::new();
    for identity in &profile.identities {
        if !providers.contains(&identity.provider.as_str()) {
            providers.push(&identity.provider);
        }
    }
    let mut metadata = profile.user.app_metadata.clone();
    metadata.insert("provider".into(), json!(providers.first()));
    metadata.insert("providers".into(), json!(providers));
    if metadata != profile.user.app_metadata {
        users::set_app_metadata(tx, id, &metadata).await?;
    }
    Ok(Ok(id))
}

/// The user whom a visitor would become; `None` for one whom some account is waiting for, or who is refused.
pub async fn prospect(tx: &Tx, visitor: &Visitor) -> Result<Option<NewUser>, BackendError> {
    if owner_of_subject(tx, visitor).await?.is_some() {
        return Ok(None);
    }
    for address in proved(&visitor.person) {
        if !matches!(owner(tx, &address.email, visitor.rules).await?, Owner::Nobody) {
            return Ok(None);
        }
    }
    Ok(new_user(tx, visitor).await?.ok())
}

/// A visitor whom nobody knows.
async fn create(tx: &Tx, visitor: &Visitor) -> Outcome<UserId> {
    let user = match new_user(tx, visitor).await? {
        Ok(user) => user,
        Err(error) => return Ok(Err(error)),
    };
    let person = &visitor.person;
    users::insert(tx, &user).await?;
    identities::insert_as(tx, user.id, &visitor.provider, &person.subject, &person.claims).await?;
    if user.email.is_some() {
        // Triggers may have changed what was given.
        let Some(made) = users::by_id_in(tx, user.id).await? else {
            return Ok(Err(Error::UserNotFound));
        };
        users::confirm_email(tx, user.id, &made.user_metadata).await?;
    }
    audit::record_own(tx, user.id, Action::SignedUp, audit::by_provider(&visitor.provider)).await?;
    hooks::user_created(tx, user.id).await?;
    Ok(Ok(user.id))
}

/// The user whom a visitor becomes. Errors: `SignupDisabled`, `ProviderEmail`, `ProviderEmailUnverified`.
async fn new_user(tx: &Tx, visitor: &Visitor) -> Outcome<NewUser> {
    let (person, rules) = (&visitor.person, visitor.rules);
    if !rules.signup_enabled {
        return Ok(Err(Error::SignupDisabled));
    }
    let email = match person.address() {
        None if rules.email_optional => None,
        None => return Ok(Err(Error::ProviderEmail)),
        Some(address) => {
            let is_free = holder(tx, &address.email).await?.is_none();
            // Without confirmations an address is taken as it is written, here as at sign-up.
            if !address.is_verified && (rules.confirmations || !is_free) {
                return Ok(Err(Error::ProviderEmailUnverified(visitor.provider.clone())));
            }
            Some(address.email.clone())
        }
    };
    Ok(Ok(NewUser {
        id: visitor.new_id,
        role: ROLE.into(),
        email,
        phone: None,
        password_hash: None,
        app_metadata: crate::routes::app_metadata(&[&visitor.provider]),
        user_metadata: person.claims.clone(),
        is_anonymous: false,
    }))
}

/// Makes the visitor's identity one of `id`'s, who asked for it while signed in.
pub async fn link(tx: &Tx, visitor: &Visitor, id: UserId) -> Outcome<UserId> {
    let user = match held(tx, id).await? {
        Ok(user) => user,
        Err(error) => return Ok(Err(error)),
    };
    match owner_of_subject(tx, visitor).await? {
        Some(owner) if owner == id => return Ok(Err(Error::IdentityExists("Identity is already linked"))),
        Some(_) => return Ok(Err(Error::IdentityExists("Identity is already linked to another user"))),
        None => {}
    }
    let person = &visitor.person;
    add_identity(tx, visitor, id).await?;
    if user.email.is_empty()
        && let Some(address) = person.address()
        && (address.is_verified || !visitor.rules.confirmations)
    {
        if holder(tx, &address.email).await?.is_some() {
            return Ok(Err(Error::EmailExists));
        }
        users::set_email(tx, id, &address.email).await?;
        let Some(now) = users::by_id_in(tx, id).await? else {
            return Ok(Err(Error::UserNotFound));
        };
        users::confirm_email(tx, id, &now.user_metadata).await?;
    }
    if user.is_anonymous {
        tx.run(NOT_ANONYMOUS, vec![text(id)]).await?;
    }
    tell_linked(tx, visitor, id).await?;
    finish(tx, id).await
}

/// Takes an identity away from its user, but never the last.
pub async fn unlink(tx: &Tx, id: UserId, identity: Uuid, confirmations: bool) -> Outcome<()> {
    let user = match held(tx, id).await? {
        Ok(user) => user,
        Err(error) => return Ok(Err(error)),
    };
    let known = identities::of_user_in(tx, id).await?;
    if known.len() <= 1 {
        return Ok(Err(Error::SingleIdentity));
    }
    let Some(gone) = known.iter().find(|known| known.id == identity) else {
        return Ok(Err(Error::IdentityNotFound));
    };
    tx.run(DELETE_IDENTITY, vec![text(identity), text(id)]).await?;
    audit::record_own(tx, id, Action::IdentityUnlinked, audit::by_provider(&gone.provider)).await?;
    let left: Vec<&identities::Identity> = known.iter().filter(|known| known.id != identity).collect();
    if gone.provider == "phone" {
        tx.run(NO_PHONE, vec![text(id)]).await?;
    } else if !user.email.is_empty() && !left.iter().any(|left| left.email.as_deref() == Some(&user.email)) {
        // The account's address went with the identity: another one takes its place.
        let mut candidates: Vec<(&str, bool)> = left
            .iter()
            .filter_map(|left| {
                Some((
                    left.email.as_deref()?,
                    left.data.get("email_verified") == Some(&json!(true)),
                ))
            })
            .filter(|(_, is_verified)| *is_verified || !confirmations)
            .collect();
        candidates.sort_by_key(|(_, is_verified)| !is_verified);
        let mut found = None;
        for (email, _) in &candidates {
            if holder(tx, email).await?.is_none() {
                found = Some((*email).to_owned());
                break;
            }
        }
        match found {
            Some(email) => users::set_email(tx, id, &email).await?,
            None if candidates.is_empty() => tx.run(NO_EMAIL, vec![text(id)]).await.map(drop)?,
            None => return Ok(Err(Error::EmailConflict)),
        }
    }
    let change = Change::IdentityUnlinked {
        provider: &gone.provider,
        old_email: &user.email,
    };
    notices::tell(tx, id, change).await?;
    Ok(finish(tx, id).await?.map(drop))
}

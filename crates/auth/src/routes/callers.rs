//! Who asks: what a token or a key says, and whether it still holds.

use mainstay_core::clock;
use mainstay_http::{Credential, TokenError};
use serde_json::{Map, Value as Json};
use uuid::Uuid;

use super::Refused;
use crate::audit::Actor;
use crate::error::Error;
use crate::room::{AuthRoom, Who};
use crate::sessions::{self, Session, SessionId};
use crate::users::{self, User, UserId};

/// A key that is required or sent must be one of the project's. A token in its place may be old: whoever signs in anew
/// often still sends the last one.
pub fn key_holds(who: &Who) -> Result<(), Refused> {
    use mainstay_http::Error as Before;
    match who {
        Err(error @ (Before::KeyRequired | Before::BadKey | Before::BadHeader(..) | Before::SecretMissing)) => {
            Err(Refused::Before(error.clone()))
        }
        _ => Ok(()),
    }
}

/// Errors: an application acts for the user.
fn is_users_own(who: &Who) -> Result<(), Error> {
    match who.as_ref().ok().and_then(|who| who.verified.as_ref()) {
        Some(verified) if verified.claims.contains_key("client_id") => Err(Error::ClientMayNot),
        _ => Ok(()),
    }
}

/// Roles that may do everything here.
const ADMIN_ROLES: &[&str] = &["service_role", "supabase_admin"];

pub fn has_admin_role(who: &mainstay_http::Authenticated) -> bool {
    ADMIN_ROLES.contains(&who.caller.role.as_str())
}

/// Who it is, for the audit log. Errors: nobody, a broken token, one of an ended session, or somebody without the secret key.
pub async fn is_admin(room: &AuthRoom, who: &Who) -> Result<Actor, Refused> {
    claims(who)?;
    match who {
        Ok(who) if has_admin_role(who) => match room.admits(who).await {
            Err(mainstay_http::Error::Token(TokenError::UserBanned)) => Err(Error::TokenUserBanned.into()),
            Err(mainstay_http::Error::Token(_)) => Err(Error::TokenSessionNotFound.into()),
            Err(error) => Err(Refused::Before(error)),
            Ok(()) => Ok(Actor::role(who.caller.role.as_str())),
        },
        _ => Err(Error::NotAdmin.into()),
    }
}

/// A signed-in user and the session that the token belongs to.
#[derive(Clone, Debug)]
pub struct Signed {
    pub user: User,
    /// `None`: the token was made without a session.
    pub session: Option<Session>,
}

impl Signed {
    /// True if a second factor was proved in the session.
    pub fn is_second_level(&self) -> bool {
        self.session.as_ref().is_some_and(Session::is_second_level)
    }
}

/// The user who asks in person: the account is the user's own affair, whichever route changes it. Errors: those of
/// [`named`], or an application acts for the user.
pub async fn signed_in(room: &AuthRoom, who: &Who) -> Result<Signed, Error> {
    is_users_own(who)?;
    named(room, who).await
}

/// The user of the token, also where an application acts for the user: enough to read who that is. Errors: no token, a
/// broken one, its user or session gone, the user banned.
pub async fn named(room: &AuthRoom, who: &Who) -> Result<Signed, Error> {
    let claims = claims(who)?;
    let text = |name: &str| claims.get(name).and_then(Json::as_str).filter(|text| !text.is_empty());
    let Some(subject) = text("sub") else {
        return Err(Error::BadJwt("invalid claim: missing sub claim".into()));
    };
    let id: Uuid = subject
        .parse()
        .map_err(|_| Error::BadJwt("invalid claim: sub claim must be a UUID".into()))?;
    let user = standing_user(room, UserId(id)).await?;
    let session = match text("session_id") {
        None => None,
        Some(text) => {
            let id: Uuid = text
                .parse()
                .map_err(|_| Error::BadJwt("invalid claim: session_id claim must be a UUID".into()))?;
            let found = sessions::by_id(&room.store, SessionId(id)).await?;
            // Somebody else's session is none.
            let found = found.filter(|session| session.user == user.id);
            Some(found.ok_or(Error::TokenSessionNotFound)?)
        }
    };
    Ok(Signed { user, session })
}

/// A user who is there and not banned. Errors: `TokenUserNotFound`, `TokenUserBanned`.
pub async fn standing_user(room: &AuthRoom, id: UserId) -> Result<User, Error> {
    let user = users::by_id(&room.store, id).await?;
    let user = user
        .filter(|user| user.deleted_at.is_none())
        .ok_or(Error::TokenUserNotFound)?;
    match user.is_banned(clock::now()) {
        true => Err(Error::TokenUserBanned),
        false => Ok(user),
    }
}

/// The claims of the token that was sent.
pub fn claims(who: &Who) -> Result<Map<String, Json>, Error> {
    let who = match who {
        Ok(who) => who,
        Err(mainstay_http::Error::Token(error)) => {
            return Err(Error::BadJwt(format!(
                "invalid JWT: unable to parse or verify signature, {error}"
            )));
        }
        Err(_) => return Err(Error::NoAuthorization),
    };
    match who.credential {
        Credential::None => return Err(Error::NoAuthorization),
        // Whatever it calls its user, that is nobody who signs in here.
        Credential::ForeignToken => return Err(Error::BadJwt("invalid JWT: it was issued elsewhere".into())),
        Credential::ApiKey | Credential::Token => {}
    }
    serde_json::from_str(&who.caller.claims).map_err(|_| Error::BadJwt("invalid JWT: claims are no object".into()))
}

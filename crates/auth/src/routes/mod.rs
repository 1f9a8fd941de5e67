//! Paths to what answers them, and who may ask.
//!
//! Invariant: every route stands in [`TABLE`] with its [`Access`], which is settled before the body is read.

mod admin;
mod admin_factors;
mod audit;
mod entering;
mod external;
mod factor_phone;
mod factors;
mod held;
mod id_token;
mod identities;
mod import;
mod key_factors;
mod link_page;
mod links;
mod logout;
mod oauth;
mod otp;
mod pages;
mod paging;
mod passkeys;
mod phone;
mod pkce;
mod proofs;
mod recovery_codes;
mod refresh;
mod sign_in;
mod sign_up;
mod user;
mod verify;
mod web3;

pub(crate) use pages::url as page_url;
pub(crate) use sign_up::app_metadata;

use oauth::OAuthRoute;
use passkeys::PasskeyRoute;

use http::{HeaderValue, Method, StatusCode, header};
use mainstay_core::clock;
use mainstay_http::{Credential, Request, Response, TokenError};
use serde_json::{Map, Value as Json, json};
use tokio::time::Instant;
use uuid::Uuid;

use crate::audit::Actor;
use crate::beat;
use crate::error::Error;
use crate::limits::From;
use crate::request;
use crate::response;
use crate::room::{AuthRoom, Who};
use crate::sessions::{self, Client, Session, SessionId};
use crate::users::{self, User, UserId};

pub use import::Imported;

/// Why a request got no answer of a route's.
pub enum Refused {
    Here(Error),
    /// By the rules that all rooms share: the project's key.
    Before(mainstay_http::Error),
}

impl<E: Into<Error>> std::convert::From<E> for Refused {
    fn from(error: E) -> Self {
        Refused::Here(error.into())
    }
}

/// Who may ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Anybody, with or without a key: what browsers navigate to.
    Open,
    /// Whoever has the project's key, where keys are required.
    Key,
    /// A user with a token of a session that has not ended.
    User,
    /// Whoever has the secret key.
    Admin,
}

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Route {
    Health,
    Jwks,
    Settings,
    SignUp,
    Token,
    GetUser,
    UpdateUser,
    Logout,
    ListAudit,
    Authorize,
    Callback,
    AuthorizeLink,
    Unlink,
    OAuth(OAuthRoute),
    Otp,
    MagicLink,
    Recover,
    Resend,
    Reauthenticate,
    VerifyPage,
    Verify,
    /// A ready page, by its name.
    Page,
    Invite,
    GenerateLink,
    ListUsers,
    CreateUser,
    ImportUsers,
    SignOutUser,
    ShowUser,
    ChangeUser,
    DeleteUser,
    EnrollFactor,
    ChallengeFactor,
    VerifyFactor,
    UnenrollFactor,
    ShowRecoveryCodes,
    MakeRecoveryCodes,
    RemakeRecoveryCodes,
    DeleteRecoveryCodes,
    RedeemRecoveryCode,
    ListUserFactors,
    ChangeUserFactor,
    DeleteUserFactor,
    Passkey(PasskeyRoute),
}

/// Every route: method, path, access.
const TABLE: &[(Method, &str, Access, Route)] = &[
    (Method::GET, "/health", Access::Open, Route::Health),
    (Method::GET, "/.well-known/jwks.json", Access::Open, Route::Jwks),
    (Method::GET, "/settings", Access::Key, Route::Settings),
    (Method::POST, "/signup", Access::Key, Route::SignUp),
    (Method::POST, "/token", Access::Key, Route::Token),
    (Method::GET, "/user", Access::User, Route::GetUser),
    (Method::PUT, "/user", Access::User, Route::UpdateUser),
    (Method::POST, "/logout", Access::User, Route::Logout),
    (Method::GET, "/admin/audit", Access::Admin, Route::ListAudit),
    (Method::GET, "/authorize", Access::Open, Route::Authorize),
    (Method::GET, "/callback", Access::Open, Route::Callback),
    (Method::POST, "/callback", Access::Open, Route::Callback),
    (
        Method::GET,
        "/user/identities/authorize",
        Access::User,
        Route::AuthorizeLink,
    ),
    (Method::DELETE, "/user/identities/{id}", Access::User, Route::Unlink),
    (
        Method::GET,
        "/.well-known/openid-configuration",
        Access::Open,
        Route::OAuth(OAuthRoute::OpenId),
    ),
    (
        Method::GET,
        "/.well-known/oauth-authorization-server",
        Access::Open,
        Route::OAuth(OAuthRoute::Metadata),
    ),
    (
        Method::GET,
        "/oauth/authorize",
        Access::Open,
        Route::OAuth(OAuthRoute::Authorize),
    ),
    (
        Method::GET,
        "/oauth/authorizations/{id}",
        Access::User,
        Route::OAuth(OAuthRoute::Question),
    ),
    (
        Method::POST,
        "/oauth/authorizations/{id}/consent",
        Access::User,
        Route::OAuth(OAuthRoute::Consent),
    ),
    (
        Method::POST,
        "/oauth/token",
        Access::Open,
        Route::OAuth(OAuthRoute::Token),
    ),
    (
        Method::GET,
        "/oauth/userinfo",
        Access::User,
        Route::OAuth(OAuthRoute::UserInfo),
    ),
    (
        Method::POST,
        "/oauth/userinfo",
        Access::User,
        Route::OAuth(OAuthRoute::UserInfo),
    ),
    (
        Method::POST,
        "/oauth/introspect",
        Access::Open,
        Route::OAuth(OAuthRoute::Introspect),
    ),
    (
        Method::POST,
        "/oauth/revoke",
        Access::Open,
        Route::OAuth(OAuthRoute::Revoke),
    ),
    (
        Method::POST,
        "/oauth/clients/register",
        Access::Open,
        Route::OAuth(OAuthRoute::Register),
    ),
    (
        Method::GET,
        "/user/oauth/grants",
        Access::User,
        Route::OAuth(OAuthRoute::ListGrants),
    ),
    (
        Method::DELETE,
        "/user/oauth/grants",
        Access::User,
        Route::OAuth(OAuthRoute::RevokeGrant),
    ),
    (
        Method::GET,
        "/admin/oauth/clients",
        Access::Admin,
        Route::OAuth(OAuthRoute::ListClients),
    ),
    (
        Method::POST,
        "/admin/oauth/clients",
        Access::Admin,
        Route::OAuth(OAuthRoute::CreateClient),
    ),
    (
        Method::GET,
        "/admin/oauth/clients/{id}",
        Access::Admin,
        Route::OAuth(OAuthRoute::ShowClient),
    ),
    (
        Method::PUT,
        "/admin/oauth/clients/{id}",
        Access::Admin,
        Route::OAuth(OAuthRoute::ChangeClient),
    ),
    (
        Method::DELETE,
        "/admin/oauth/clients/{id}",
        Access::Admin,
        Route::OAuth(OAuthRoute::DeleteClient),
    ),
    (
        Method::POST,
        "/admin/oauth/clients/{id}/regenerate_secret",
        Access::Admin,
        Route::OAuth(OAuthRoute::RenewSecret),
    ),
    (Method::POST, "/otp", Access::Key, Route::Otp),
    (Method::POST, "/magiclink", Access::Key, Route::MagicLink),
    (Method::POST, "/recover", Access::Key, Route::Recover),
    (Method::POST, "/resend", Access::Key, Route::Resend),
    (Method::GET, "/reauthenticate", Access::User, Route::Reauthenticate),
    (Method::GET, "/verify", Access::Open, Route::VerifyPage),
    (Method::POST, "/verify", Access::Open, Route::Verify),
    (Method::GET, "/pages/{id}", Access::Open, Route::Page),
    (Method::POST, "/pages/{id}", Access::Open, Route::Page),
    (Method::GET, "/pages/{id}/{id}", Access::Open, Route::Page),
    (Method::POST, "/pages/{id}/{id}", Access::Open, Route::Page),
    (Method::POST, "/invite", Access::Admin, Route::Invite),
    (Method::POST, "/admin/generate_link", Access::Admin, Route::GenerateLink),
    (Method::GET, "/admin/users", Access::Admin, Route::ListUsers),
    (Method::POST, "/admin/users", Access::Admin, Route::CreateUser),
    (Method::POST, "/admin/users/import", Access::Admin, Route::ImportUsers),
    (
        Method::POST,
        "/admin/users/{id}/logout",
        Access::Admin,
        Route::SignOutUser,
    ),
    (Method::GET, "/admin/users/{id}", Access::Admin, Route::ShowUser),
    (Method::PUT, "/admin/users/{id}", Access::Admin, Route::ChangeUser),
    (Method::DELETE, "/admin/users/{id}", Access::Admin, Route::DeleteUser),
    (Method::POST, "/factors", Access::User, Route::EnrollFactor),
    (
        Method::GET,
        "/factors/recovery-codes",
        Access::User,
        Route::ShowRecoveryCodes,
    ),
    (
        Method::POST,
        "/factors/recovery-codes",
        Access::User,
        Route::MakeRecoveryCodes,
    ),
    (
        Method::DELETE,
        "/factors/recovery-codes",
        Access::User,
        Route::DeleteRecoveryCodes,
    ),
    (
        Method::POST,
        "/factors/recovery-codes/regenerate",
        Access::User,
        Route::RemakeRecoveryCodes,
    ),
    (
        Method::POST,
        "/factors/recovery-codes/verify",
        Access::User,
        Route::RedeemRecoveryCode,
    ),
    (
        Method::POST,
        "/factors/{id}/challenge",
        Access::User,
        Route::ChallengeFactor,
    ),
    (Method::POST, "/factors/{id}/verify", Access::User, Route::VerifyFactor),
    (Method::DELETE, "/factors/{id}", Access::User, Route::UnenrollFactor),
    (
        Method::GET,
        "/admin/users/{id}/factors",
        Access::Admin,
        Route::ListUserFactors,
    ),
    (
        Method::PUT,
        "/admin/users/{id}/factors/{id}",
        Access::Admin,
        Route::ChangeUserFactor,
    ),
    (
        Method::DELETE,
        "/admin/users/{id}/factors/{id}",
        Access::Admin,
        Route::DeleteUserFactor,
    ),
    (
        Method::POST,
        "/passkeys/registration/options",
        Access::User,
        Route::Passkey(PasskeyRoute::AskToMake),
    ),
    (
        Method::POST,
        "/passkeys/registration/verify",
        Access::User,
        Route::Passkey(PasskeyRoute::Make),
    ),
    (
        Method::POST,
        "/passkeys/authentication/options",
        Access::Key,
        Route::Passkey(PasskeyRoute::AskToSignIn),
    ),
    (
        Method::POST,
        "/passkeys/authentication/verify",
        Access::Key,
        Route::Passkey(PasskeyRoute::SignIn),
    ),
    (
        Method::GET,
        "/passkeys",
        Access::User,
        Route::Passkey(PasskeyRoute::List),
    ),
    (
        Method::PATCH,
        "/passkeys/{id}",
        Access::User,
        Route::Passkey(PasskeyRoute::Rename),
    ),
    (
        Method::DELETE,
        "/passkeys/{id}",
        Access::User,
        Route::Passkey(PasskeyRoute::Delete),
    ),
    (
        Method::GET,
        "/admin/users/{id}/passkeys",
        Access::Admin,
        Route::Passkey(PasskeyRoute::ListOfUser),
    ),
    (
        Method::DELETE,
        "/admin/users/{id}/passkeys/{id}",
        Access::Admin,
        Route::Passkey(PasskeyRoute::DeleteOfUser),
    ),
];

/// Every route: its method, its path with `{id}` where an id stands, and who may ask. For suites that must not miss one.
pub fn table() -> impl Iterator<Item = (&'static Method, &'static str, Access)> {
    TABLE.iter().map(|(method, path, access, _)| (method, *path, *access))
}

/// The texts that stand in a path's places for ids, in order; empty where it has fewer.
type Ids<'a> = [&'a str; 2];

/// A route with the ids of its path.
type Found<'a> = (Access, Route, Ids<'a>);

/// What stands in the path's places for ids, if it is one of the pattern's.
fn ids<'a>(pattern: &str, path: &'a str) -> Option<Ids<'a>> {
    let (mut wanted, mut given) = (pattern.split('/'), path.split('/'));
    let mut ids: Ids<'a> = [""; 2];
    let mut places = ids.iter_mut();
    loop {
        match (wanted.next(), given.next()) {
            (None, None) => return Some(ids),
            (Some("{id}"), Some(text)) if !text.is_empty() => *places.next()? = text,
            (Some(part), Some(text)) if part == text => {}
            _ => return None,
        }
    }
}

fn find<'a>(method: &Method, path: &'a str) -> Result<Found<'a>, Error> {
    let method = if method == Method::HEAD { &Method::GET } else { method };
    let mut known = false;
    for (own, at, access, route) in TABLE {
        if let Some(ids) = ids(at, path) {
            if own == method {
                return Ok((*access, *route, ids));
            }
            known = true;
        }
    }
    Err(match known {
        true => Error::MethodNotAllowed(method.to_string()),
        false => Error::NotServed(path.to_owned()),
    })
}

/// What is refused without a look at the database: paths that are no routes, and who brings nothing by which they could
/// ask. So nobody's megabytes are waited for. What passes is judged in full by [`answer`].
pub fn turned_away(who: &Who, method: &Method, path: &str) -> Result<(), Refused> {
    let (access, ..) = find(method, path.trim_end_matches('/'))?;
    if access != Access::Open {
        key_holds(who)?;
    }
    match access {
        Access::Open | Access::Key => Ok(()),
        Access::User | Access::Admin => {
            claims(who)?;
            match access == Access::User || who.as_ref().is_ok_and(has_admin_role) {
                true => Ok(()),
                false => Err(Error::NotAdmin.into()),
            }
        }
    }
}

/// Answers a request; one that names an account, on the beat.
pub async fn answer(room: &AuthRoom, who: &Who, request: &Request, from: From) -> Result<Response, Refused> {
    let begun = Instant::now();
    let found = find(&request.method, request.path.trim_end_matches('/'))?;
    let answered = answer_found(room, who, request, from, found).await;
    if names_account(found.1, request) {
        beat::wait(begun).await;
    }
    answered
}

async fn answer_found(
    room: &AuthRoom,
    who: &Who,
    request: &Request,
    from: From,
    (access, route, [id, second]): Found<'_>,
) -> Result<Response, Refused> {
    let client = Client {
        address: Some(from.address),
        is_counted: from.is_counted,
        user_agent: request::user_agent(&request.headers),
    };
    if access != Access::Open {
        key_holds(who)?;
    }
    let admin = match access {
        Access::Admin => is_admin(room, who).await?,
        _ => Actor::role(""),
    };
    if let Some(captcha) = &room.config.captcha
        && wants_person(route, request)
        && is_admin(room, who).await.is_err()
    {
        captcha.check(request, &room.outgoing).await?;
    }
    Ok(match route {
        Route::Health => health(),
        Route::Jwks => jwks(room),
        Route::Settings => settings(room),
        Route::SignUp => sign_up::sign_up(room, request, &client).await?,
        Route::Token => sign_in::token(room, who, request, &client).await?,
        Route::GetUser => user::get(room, named(room, who).await?).await?,
        Route::UpdateUser => user::update(room, signed_in(room, who).await?, request, &client).await?,
        Route::Logout => logout::logout(room, signed_in(room, who).await?, request).await?,
        Route::ListAudit => audit::list(room, request).await?,
        Route::Authorize => external::authorize(room, request, &client).await?,
        Route::Callback => external::callback(room, request, &client).await?,
        Route::AuthorizeLink => external::authorize_link(room, signed_in(room, who).await?, request, &client).await?,
        Route::Unlink => identities::unlink(room, signed_in(room, who).await?, id).await?,
        Route::OAuth(route) => oauth::answer(room, who, route, id, request, &client).await?,
        Route::Otp => otp::otp(room, request, &client).await?,
        Route::MagicLink => otp::magic_link(room, request, &client).await?,
        Route::Recover => otp::recover(room, request, &client).await?,
        Route::Resend => otp::resend(room, request, &client).await?,
        Route::Reauthenticate => otp::reauthenticate(room, signed_in(room, who).await?, request, &client).await?,
        Route::VerifyPage => verify::page(room, request)?,
        Route::Verify => verify::post(room, request, &client).await?,
        Route::Page => pages::answer(room, request, [id, second], &client).await?,
        Route::Invite => links::invite(room, &admin, request).await?,
        Route::GenerateLink => links::generate(room, request).await?,
        Route::ListUsers => admin::list(room, request).await?,
        Route::CreateUser => admin::create(room, admin, request).await?,
        Route::ImportUsers => import::import(room, admin, request).await?,
        Route::SignOutUser => admin::sign_out(room, admin, admin::user_id(id)?).await?,
        Route::ShowUser => admin::show(room, admin::user_id(id)?).await?,
        Route::ChangeUser => admin::change(room, admin, admin::user_id(id)?, request).await?,
        Route::DeleteUser => admin::delete(room, admin, admin::user_id(id)?, request).await?,
        Route::EnrollFactor => factors::enroll(room, signed_in(room, who).await?, request).await?,
        Route::ChallengeFactor => factors::challenge(room, signed_in(room, who).await?, id, request, &client).await?,
        Route::VerifyFactor => factors::verify(room, signed_in(room, who).await?, id, request, &client).await?,
        Route::UnenrollFactor => factors::unenroll(room, signed_in(room, who).await?, id).await?,
        Route::ShowRecoveryCodes => recovery_codes::show(room, signed_in(room, who).await?).await?,
        Route::MakeRecoveryCodes => recovery_codes::make(room, signed_in(room, who).await?, request).await?,
        Route::RemakeRecoveryCodes => recovery_codes::remake(room, signed_in(room, who).await?).await?,
        Route::DeleteRecoveryCodes => recovery_codes::delete(room, signed_in(room, who).await?).await?,
        Route::RedeemRecoveryCode => {
            recovery_codes::redeem(room, signed_in(room, who).await?, request, &client).await?
        }
        Route::ListUserFactors => admin_factors::list(room, admin::user_id(id)?).await?,
        Route::ChangeUserFactor => admin_factors::change(room, admin, admin::user_id(id)?, second, request).await?,
        Route::DeleteUserFactor => admin_factors::delete(room, admin, admin::user_id(id)?, second).await?,
        Route::Passkey(route) => passkeys::answer(room, who, route, [id, second], admin, request, &client).await?,
    })
}

/// True for what machines would do at scale: making users, trying passwords, having messages sent.
fn wants_person(route: Route, request: &Request) -> bool {
    match route {
        Route::SignUp | Route::Otp | Route::MagicLink | Route::Recover | Route::Resend => true,
        Route::Passkey(route) => route == PasskeyRoute::AskToSignIn,
        // Some grants stand on something that was proved before.
        Route::Token => !matches!(
            request::parameter(request, "grant_type").as_deref(),
            Some("refresh_token" | "pkce" | "id_token")
        ),
        _ => false,
    }
}

/// True where the answer says the same whether or not the address has a user, and must take as long.
fn names_account(route: Route, request: &Request) -> bool {
    match route {
        Route::SignUp | Route::Otp | Route::MagicLink | Route::Recover | Route::Resend => true,
        Route::Token => request::parameter(request, "grant_type").as_deref() == Some("password"),
        Route::Page => request.method == Method::POST,
        _ => false,
    }
}

/// A key that is required or sent must be one of the project's. A token in its place may be old: whoever signs in anew
/// often still sends the last one.
fn key_holds(who: &Who) -> Result<(), Refused> {
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

fn has_admin_role(who: &mainstay_http::Authenticated) -> bool {
    ADMIN_ROLES.contains(&who.caller.role.as_str())
}

/// Who it is, for the audit log. Errors: nobody, a broken token, one of an ended session, or somebody without the secret key.
async fn is_admin(room: &AuthRoom, who: &Who) -> Result<Actor, Refused> {
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
async fn signed_in(room: &AuthRoom, who: &Who) -> Result<Signed, Error> {
    is_users_own(who)?;
    named(room, who).await
}

/// The user of the token, also where an application acts for the user: enough to read who that is. Errors: no token, a
/// broken one, its user or session gone, the user banned.
async fn named(room: &AuthRoom, who: &Who) -> Result<Signed, Error> {
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
async fn standing_user(room: &AuthRoom, id: UserId) -> Result<User, Error> {
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
fn claims(who: &Who) -> Result<Map<String, Json>, Error> {
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

fn health() -> Response {
    // No version: who may not sign in learns nothing of it.
    let body = json!({"version": "", "name": "GoTrue", "description": "Mainstay, users and sessions"});
    response::json(StatusCode::OK, &body)
}

/// How long the public keys may be kept, in seconds. A new key is published for as long before it signs.
pub const JWKS_SECONDS: i64 = 600;

fn jwks(room: &AuthRoom) -> Response {
    let mut response = response::json(StatusCode::OK, &room.signer().jwks());
    if let Ok(value) = HeaderValue::from_str(&format!("public, max-age={JWKS_SECONDS}")) {
        response.headers.insert(header::CACHE_CONTROL, value);
    }
    response
}

/// Providers that the protocol knows and this version has not.
const PROVIDERS: &[&str] = &[
    "apple",
    "azure",
    "bitbucket",
    "discord",
    "facebook",
    "figma",
    "fly",
    "github",
    "gitlab",
    "google",
    "kakao",
    "keycloak",
    "linkedin",
    "linkedin_oidc",
    "notion",
    "slack",
    "slack_oidc",
    "snapchat",
    "spotify",
    "twitch",
    "twitter",
    "workos",
    "x",
    "zoom",
];

fn settings(room: &AuthRoom) -> Response {
    let config = &room.config;
    let mut external: Map<String, Json> = PROVIDERS
        .iter()
        .map(|name| ((*name).to_owned(), json!(false)))
        .collect();
    for provider in &config.external {
        if external.contains_key(&provider.name) {
            external.insert(provider.name.clone(), json!(true));
        }
    }
    external.insert("email".into(), json!(config.email_enabled));
    external.insert("phone".into(), json!(config.phone.is_enabled));
    external.insert("anonymous_users".into(), json!(config.anonymous_enabled));
    let body = json!({
        "external": external,
        "disable_signup": !config.signup_enabled,
        "mailer_autoconfirm": !config.confirmations,
        "phone_autoconfirm": config.phone.is_enabled && !config.phone.confirmations,
        "sms_provider": config.phone.provider,
        "saml_enabled": false,
        "passkeys_enabled": config.passkeys.is_enabled,
    });
    response::json(StatusCode::OK, &body)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_route_is_found_and_nothing_else_is() {
        for (method, path, access, route) in TABLE {
            let places = path.matches("{id}").count();
            let ids = [0, 1].map(|place| if place < places { "{id}" } else { "" });
            assert_eq!(find(method, path).ok(), Some((*access, *route, ids)));
            assert!(matches!(find(&Method::TRACE, path), Err(Error::MethodNotAllowed(_))));
        }
        for path in [
            "",
            "/",
            "/Signup",
            "/signup/x",
            "/admin",
            "/admin/users/",
            "/admin/users/a/b/c",
            "/admin/users//factors",
            "/factors/",
            "/factors//verify",
            "/factors/a/verify/b",
            "/user/../token",
        ] {
            assert!(matches!(find(&Method::GET, path), Err(Error::NotServed(_))), "{path}");
        }
        let open: Vec<&str> = TABLE
            .iter()
            .filter(|(_, _, access, _)| *access == Access::Open)
            .map(|(_, path, ..)| *path)
            .collect();
        assert_eq!(
            open,
            [
                "/health",
                "/.well-known/jwks.json",
                "/authorize",
                "/callback",
                "/callback",
                "/.well-known/openid-configuration",
                "/.well-known/oauth-authorization-server",
                "/oauth/authorize",
                "/oauth/token",
                "/oauth/introspect",
                "/oauth/revoke",
                "/oauth/clients/register",
                "/verify",
                "/verify",
                "/pages/{id}",
                "/pages/{id}",
                "/pages/{id}/{id}",
                "/pages/{id}/{id}"
            ]
        );
    }
}

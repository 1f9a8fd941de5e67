//! Every route: its method, its path, and who may ask.

use http::Method;

use super::oauth::OAuthRoute;
use super::passkeys::PasskeyRoute;
use crate::error::Error;
use Access::{Admin, Key, Open, User};

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
    (Method::GET, "/health", Open, Route::Health),
    (Method::GET, "/.well-known/jwks.json", Open, Route::Jwks),
    (Method::GET, "/settings", Key, Route::Settings),
    (Method::POST, "/signup", Key, Route::SignUp),
    (Method::POST, "/token", Key, Route::Token),
    (Method::GET, "/user", User, Route::GetUser),
    (Method::PUT, "/user", User, Route::UpdateUser),
    (Method::POST, "/logout", User, Route::Logout),
    (Method::GET, "/admin/audit", Admin, Route::ListAudit),
    (Method::GET, "/authorize", Open, Route::Authorize),
    (Method::GET, "/callback", Open, Route::Callback),
    (Method::POST, "/callback", Open, Route::Callback),
    (Method::GET, "/user/identities/authorize", User, Route::AuthorizeLink),
    (Method::DELETE, "/user/identities/{id}", User, Route::Unlink),
    (
        Method::GET,
        "/.well-known/openid-configuration",
        Open,
        Route::OAuth(OAuthRoute::OpenId),
    ),
    (
        Method::GET,
        "/.well-known/oauth-authorization-server",
        Open,
        Route::OAuth(OAuthRoute::Metadata),
    ),
    (
        Method::GET,
        "/oauth/authorize",
        Open,
        Route::OAuth(OAuthRoute::Authorize),
    ),
    (
        Method::GET,
        "/oauth/authorizations/{id}",
        User,
        Route::OAuth(OAuthRoute::Question),
    ),
    (
        Method::POST,
        "/oauth/authorizations/{id}/consent",
        User,
        Route::OAuth(OAuthRoute::Consent),
    ),
    (Method::POST, "/oauth/token", Open, Route::OAuth(OAuthRoute::Token)),
    (Method::GET, "/oauth/userinfo", User, Route::OAuth(OAuthRoute::UserInfo)),
    (
        Method::POST,
        "/oauth/userinfo",
        User,
        Route::OAuth(OAuthRoute::UserInfo),
    ),
    (
        Method::POST,
        "/oauth/introspect",
        Open,
        Route::OAuth(OAuthRoute::Introspect),
    ),
    (Method::POST, "/oauth/revoke", Open, Route::OAuth(OAuthRoute::Revoke)),
    (
        Method::POST,
        "/oauth/clients/register",
        Open,
        Route::OAuth(OAuthRoute::Register),
    ),
    (
        Method::GET,
        "/user/oauth/grants",
        User,
        Route::OAuth(OAuthRoute::ListGrants),
    ),
    (
        Method::DELETE,
        "/user/oauth/grants",
        User,
        Route::OAuth(OAuthRoute::RevokeGrant),
    ),
    (
        Method::GET,
        "/admin/oauth/clients",
        Admin,
        Route::OAuth(OAuthRoute::ListClients),
    ),
    (
        Method::POST,
        "/admin/oauth/clients",
        Admin,
        Route::OAuth(OAuthRoute::CreateClient),
    ),
    (
        Method::GET,
        "/admin/oauth/clients/{id}",
        Admin,
        Route::OAuth(OAuthRoute::ShowClient),
    ),
    (
        Method::PUT,
        "/admin/oauth/clients/{id}",
        Admin,
        Route::OAuth(OAuthRoute::ChangeClient),
    ),
    (
        Method::DELETE,
        "/admin/oauth/clients/{id}",
        Admin,
        Route::OAuth(OAuthRoute::DeleteClient),
    ),
    (
        Method::POST,
        "/admin/oauth/clients/{id}/regenerate_secret",
        Admin,
        Route::OAuth(OAuthRoute::RenewSecret),
    ),
    (Method::POST, "/otp", Key, Route::Otp),
    (Method::POST, "/magiclink", Key, Route::MagicLink),
    (Method::POST, "/recover", Key, Route::Recover),
    (Method::POST, "/resend", Key, Route::Resend),
    (Method::GET, "/reauthenticate", User, Route::Reauthenticate),
    (Method::GET, "/verify", Open, Route::VerifyPage),
    (Method::POST, "/verify", Open, Route::Verify),
    (Method::GET, "/pages/{id}", Open, Route::Page),
    (Method::POST, "/pages/{id}", Open, Route::Page),
    (Method::GET, "/pages/{id}/{id}", Open, Route::Page),
    (Method::POST, "/pages/{id}/{id}", Open, Route::Page),
    (Method::POST, "/invite", Admin, Route::Invite),
    (Method::POST, "/admin/generate_link", Admin, Route::GenerateLink),
    (Method::GET, "/admin/users", Admin, Route::ListUsers),
    (Method::POST, "/admin/users", Admin, Route::CreateUser),
    (Method::POST, "/admin/users/import", Admin, Route::ImportUsers),
    (Method::POST, "/admin/users/{id}/logout", Admin, Route::SignOutUser),
    (Method::GET, "/admin/users/{id}", Admin, Route::ShowUser),
    (Method::PUT, "/admin/users/{id}", Admin, Route::ChangeUser),
    (Method::DELETE, "/admin/users/{id}", Admin, Route::DeleteUser),
    (Method::POST, "/factors", User, Route::EnrollFactor),
    (Method::GET, "/factors/recovery-codes", User, Route::ShowRecoveryCodes),
    (Method::POST, "/factors/recovery-codes", User, Route::MakeRecoveryCodes),
    (
        Method::DELETE,
        "/factors/recovery-codes",
        User,
        Route::DeleteRecoveryCodes,
    ),
    (
        Method::POST,
        "/factors/recovery-codes/regenerate",
        User,
        Route::RemakeRecoveryCodes,
    ),
    (
        Method::POST,
        "/factors/recovery-codes/verify",
        User,
        Route::RedeemRecoveryCode,
    ),
    (Method::POST, "/factors/{id}/challenge", User, Route::ChallengeFactor),
    (Method::POST, "/factors/{id}/verify", User, Route::VerifyFactor),
    (Method::DELETE, "/factors/{id}", User, Route::UnenrollFactor),
    (Method::GET, "/admin/users/{id}/factors", Admin, Route::ListUserFactors),
    (
        Method::PUT,
        "/admin/users/{id}/factors/{id}",
        Admin,
        Route::ChangeUserFactor,
    ),
    (
        Method::DELETE,
        "/admin/users/{id}/factors/{id}",
        Admin,
        Route::DeleteUserFactor,
    ),
    (
        Method::POST,
        "/passkeys/registration/options",
        User,
        Route::Passkey(PasskeyRoute::AskToMake),
    ),
    (
        Method::POST,
        "/passkeys/registration/verify",
        User,
        Route::Passkey(PasskeyRoute::Make),
    ),
    (
        Method::POST,
        "/passkeys/authentication/options",
        Key,
        Route::Passkey(PasskeyRoute::AskToSignIn),
    ),
    (
        Method::POST,
        "/passkeys/authentication/verify",
        Key,
        Route::Passkey(PasskeyRoute::SignIn),
    ),
    (Method::GET, "/passkeys", User, Route::Passkey(PasskeyRoute::List)),
    (
        Method::PATCH,
        "/passkeys/{id}",
        User,
        Route::Passkey(PasskeyRoute::Rename),
    ),
    (
        Method::DELETE,
        "/passkeys/{id}",
        User,
        Route::Passkey(PasskeyRoute::Delete),
    ),
    (
        Method::GET,
        "/admin/users/{id}/passkeys",
        Admin,
        Route::Passkey(PasskeyRoute::ListOfUser),
    ),
    (
        Method::DELETE,
        "/admin/users/{id}/passkeys/{id}",
        Admin,
        Route::Passkey(PasskeyRoute::DeleteOfUser),
    ),
];

/// Every route: its method, its path with `{id}` where an id stands, and who may ask. For suites that must not miss one.
pub fn table() -> impl Iterator<Item = (&'static Method, &'static str, Access)> {
    TABLE.iter().map(|(method, path, access, _)| (method, *path, *access))
}

/// The texts that stand in a path's places for ids, in order; empty where it has fewer.
pub type Ids<'a> = [&'a str; 2];

/// A route with the ids of its path.
pub type Found<'a> = (Access, Route, Ids<'a>);

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

/// The route of a request. Errors: `NotServed`, `MethodNotAllowed`.
pub fn find<'a>(method: &Method, path: &'a str) -> Result<Found<'a>, Error> {
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

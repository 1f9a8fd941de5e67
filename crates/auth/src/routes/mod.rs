//! Paths to what answers them, and who may ask.
//!
//! Invariant: every route stands in the [`table`](mod@table) with its [`Access`], which is settled before the body is read.

mod admin;
mod admin_factors;
mod audit;
mod callers;
mod entering;
mod external;
mod factor_answers;
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
mod public;
mod recovery_codes;
mod refresh;
mod sign_in;
mod sign_up;
mod table;
mod user;
mod verify;
mod web3;

pub(crate) use pages::url as page_url;
pub(crate) use sign_up::app_metadata;

pub use import::Imported;
pub use public::JWKS_SECONDS;
pub use table::{Access, table};

use http::Method;
use mainstay_http::{Request, Response};
use tokio::time::Instant;

use crate::audit::Actor;
use crate::beat;
use crate::error::Error;
use crate::limits::From;
use crate::request;
use crate::room::{AuthRoom, Who};
use crate::sessions::Client;
use callers::{Signed, claims, has_admin_role, is_admin, key_holds, named, signed_in, standing_user};
use passkeys::PasskeyRoute;
use table::{Found, Route, find};

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
        Route::Health => public::health(),
        Route::Jwks => public::jwks(room),
        Route::Settings => public::settings(room),
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

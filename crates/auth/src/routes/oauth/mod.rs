//! Being a provider: `/oauth/*`, `/user/oauth/grants`, `/admin/oauth/clients` and the published description.

pub(super) mod authorize;
mod clients;
pub(super) mod grants;
mod metadata;
mod tokens;

use mainstay_http::{Request, Response};

use super::{named, signed_in};
use crate::config::OAuthServer;
use crate::error::Error;
use crate::room::{AuthRoom, Who};
use crate::sessions::Client;

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OAuthRoute {
    /// OpenID Connect's description, which also tells where the keys are: it is there whatever the settings say.
    OpenId,
    Metadata,
    Authorize,
    Question,
    Consent,
    Token,
    UserInfo,
    Introspect,
    Revoke,
    Register,
    ListGrants,
    RevokeGrant,
    ListClients,
    CreateClient,
    ShowClient,
    ChangeClient,
    DeleteClient,
    RenewSecret,
}

/// The settings. Errors: `OAuthServerDisabled`.
fn settings(room: &AuthRoom) -> Result<&OAuthServer, Error> {
    room.config.oauth_server.as_ref().ok_or(Error::OAuthServerDisabled)
}

/// Answers a request. `id` is what stands in the path's place for one.
pub async fn answer(
    room: &AuthRoom,
    who: &Who,
    route: OAuthRoute,
    id: &str,
    request: &Request,
    client: &Client,
) -> Result<Response, Error> {
    if route != OAuthRoute::OpenId {
        settings(room)?;
    }
    match route {
        OAuthRoute::OpenId | OAuthRoute::Metadata => Ok(metadata::show(room)),
        OAuthRoute::Authorize => authorize::begin(room, request, client).await,
        OAuthRoute::Question => authorize::question(room, signed_in(room, who).await?, id, request).await,
        OAuthRoute::Consent => authorize::consent(room, signed_in(room, who).await?, id, request).await,
        OAuthRoute::Token => tokens::token(room, request, client).await,
        OAuthRoute::UserInfo => tokens::user_info(room, named(room, who).await?).await,
        OAuthRoute::Introspect => tokens::introspect(room, request, client).await,
        OAuthRoute::Revoke => tokens::revoke(room, request, client).await,
        OAuthRoute::Register => clients::register(room, request, client).await,
        OAuthRoute::ListGrants => grants::list(room, signed_in(room, who).await?).await,
        OAuthRoute::RevokeGrant => grants::revoke(room, signed_in(room, who).await?, request).await,
        OAuthRoute::ListClients => clients::list(room, request).await,
        OAuthRoute::CreateClient => clients::create(room, request).await,
        OAuthRoute::ShowClient => clients::show(room, id).await,
        OAuthRoute::ChangeClient => clients::change(room, id, request).await,
        OAuthRoute::DeleteClient => clients::delete(room, id).await,
        OAuthRoute::RenewSecret => clients::renew_secret(room, id).await,
    }
}

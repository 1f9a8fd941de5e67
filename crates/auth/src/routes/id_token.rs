//! `POST /token?grant_type=id_token`: sign-in by an ID token that the application got from the provider itself.
//!
//! The nonce is compared hashed: the application sends the provider its SHA-256 in hexadecimal digits and keeps the text,
//! so that a token that was seen on its way is of no use to whoever saw it.
//!
//! Source: Supabase Auth's published interface; OpenID Connect Core 1.0 §3.1.3.7, §15.5.2.

use mainstay_core::clock;
use mainstay_core::secret::Secret;
use mainstay_http::{Request, Response};
use serde::Deserialize;
use uuid::Uuid;

use super::entering::{self, Entering};
use crate::audit;
use crate::error::Error;
use crate::external::catalog::{Discovered, Issuer, Kind};
use crate::external::id_token::{self, BadIdToken, Held};
use crate::external::linking::Visitor;
use crate::external::person::Person;
use crate::external::settings::{Provider, described};
use crate::request::{self, nullable};
use crate::room::{AuthRoom, Who};
use crate::secrets;
use crate::sessions::{Client, Method};
use crate::users::UserId;

/// The body.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct IdTokenBody {
    #[serde(deserialize_with = "nullable")]
    provider: String,
    #[serde(deserialize_with = "nullable")]
    issuer: String,
    #[serde(deserialize_with = "nullable")]
    id_token: String,
    #[serde(deserialize_with = "nullable")]
    access_token: String,
    #[serde(deserialize_with = "nullable")]
    nonce: String,
    link_identity: bool,
}

/// Signs in, or links an identity to the user who is signed in.
pub async fn sign_in(room: &AuthRoom, who: &Who, request: &Request, client: &Client) -> Result<Response, Error> {
    room.limits.sign_in(client)?;
    let body: IdTokenBody = request::body(request)?;
    if body.id_token.is_empty() {
        return Err(Error::OAuth("invalid request", "id_token required"));
    }
    if body.provider.is_empty() && body.issuer.is_empty() {
        return Err(Error::OAuth(
            "invalid request",
            "provider or client_id and issuer required",
        ));
    }
    let linking = match body.link_identity {
        false => None,
        true if !room.config.manual_linking => return Err(Error::ManualLinkingDisabled),
        true => {
            let signed = super::signed_in(room, who).await?;
            super::user::check_level(room, &signed).await?;
            Some(signed.user.id)
        }
    };
    let (provider, discovered) = provider(room, &body)?;
    let token = Secret::new(body.id_token);
    let now = clock::now().as_second();
    let held = id_token::verify(&room.issuers, provider, discovered, &token, now)
        .await
        .map_err(|bad| refused(provider, &bad))?;
    if !provider.skip_nonce_check {
        check_nonce(&held, &body.nonce)?;
    }
    if !body.access_token.is_empty() {
        id_token::check_access_token(&held, &token, &Secret::new(body.access_token))
            .map_err(|bad| refused(provider, &bad))?;
    }
    let person = Person::of_claims(provider.vouches(discovered), &held.issuer, held.claims())?;
    let entering = Entering {
        visitor: Visitor {
            new_id: UserId(Uuid::new_v4()),
            provider: provider.name.clone(),
            person,
            rules: room.rules(provider),
        },
        linking,
        method: Method::OAuth,
        once: None,
        traits: audit::by_provider(&provider.name),
        client: client.clone(),
    };
    let granted = entering::enter(room, entering).await?;
    room.signed_in(&granted).await
}

/// The provider that is named, or whose issuer is.
fn provider<'a>(room: &'a AuthRoom, body: &IdTokenBody) -> Result<(&'a Provider, &'static Discovered), Error> {
    let is_named = |provider: &&Provider| match body.provider.is_empty() {
        false => provider.name == body.provider.to_ascii_lowercase(),
        true => is_issuer(provider, &body.issuer),
    };
    let found = room.config.external.iter().find(is_named);
    match found.map(|provider| (provider, &provider.description.kind)) {
        Some((provider, Kind::Discovered(discovered))) => Ok((provider, discovered)),
        None if described(&body.provider.to_ascii_lowercase()).is_some() => Err(Error::ProviderDisabled),
        _ => Err(Error::Validation("Custom OIDC provider is not allowed".into())),
    }
}

fn is_issuer(provider: &Provider, issuer: &str) -> bool {
    let Kind::Discovered(discovered) = &provider.description.kind else {
        return false;
    };
    let own = match discovered.issuer {
        Issuer::Tenants => provider.issuer(discovered, Some(issuer)),
        _ => provider.issuer(discovered, None),
    };
    own.as_deref().map(|own| own.trim_end_matches('/')) == Some(issuer.trim_end_matches('/'))
        || discovered.also.contains(&issuer)
}

/// Why is for the log; callers learn of the audience, which is a setting more often than a forgery.
fn refused(provider: &Provider, bad: &BadIdToken) -> Error {
    tracing::info!(provider = provider.name, %bad, "auth: an ID token was refused");
    match bad {
        BadIdToken::Audience => Error::OAuth("invalid request", "Unacceptable audience in id_token"),
        BadIdToken::Missing("sub") => Error::OAuth("invalid request", "Missing sub claim in id_token"),
        _ => Error::OAuth("invalid request", "Bad ID token"),
    }
}

fn check_nonce(held: &Held, sent: &str) -> Result<(), Error> {
    match (held.text("nonce").is_empty(), sent.is_empty()) {
        (true, true) => Ok(()),
        (false, false) => match id_token::is_nonce(held, &secrets::sha256_hex(sent)) {
            true => Ok(()),
            false => Err(Error::OAuth("invalid nonce", "Nonces mismatch")),
        },
        _ => Err(Error::OAuth(
            "invalid request",
            "Passed nonce and nonce in id_token should either both exist or not.",
        )),
    }
}

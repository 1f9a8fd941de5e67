//! `/admin/oauth/clients` and `/oauth/clients/register`: applications, made and changed.

use http::{HeaderName, HeaderValue, StatusCode};
use mainstay_core::secret::Secret;
use mainstay_core::transaction::Decision;
use mainstay_http::{Request, Response};
use serde_json::{Value as Json, json};
use uuid::Uuid;

use super::settings;
use crate::error::Error;
use crate::oauth::clients::{self, ClientBody, OAuthClient};
use crate::request;
use crate::response;
use crate::room::AuthRoom;
use crate::sessions::Client;

/// Applications of a page, unless the request says otherwise, and at most.
const PAGE_CLIENTS: u64 = 50;
const PAGE_CLIENTS_MAX: u64 = 1_000;

const TOTAL_COUNT: HeaderName = HeaderName::from_static("x-total-count");

/// `POST /oauth/clients/register`: anybody's application, where the settings allow it.
pub async fn register(room: &AuthRoom, request: &Request, client: &Client) -> Result<Response, Error> {
    if !settings(room)?.dynamic_registration {
        return Err(Error::DynamicRegistrationDisabled);
    }
    room.limits.sign_in(client)?;
    make(room, request, "dynamic").await
}

/// `POST /admin/oauth/clients`
pub async fn create(room: &AuthRoom, request: &Request) -> Result<Response, Error> {
    make(room, request, "manual").await
}

async fn make(room: &AuthRoom, request: &Request, registration: &str) -> Result<Response, Error> {
    let body: ClientBody = request::body(request)?;
    let (made, secret) = clients::make(body, registration)?;
    clients::insert(&room.store, &made).await?;
    Ok(with_secret(StatusCode::CREATED, &made, secret.as_ref()))
}

/// The secret is told once.
fn with_secret(status: StatusCode, client: &OAuthClient, secret: Option<&Secret<String>>) -> Response {
    let mut body = client.json();
    if let Some(secret) = secret {
        body.insert("client_secret".into(), json!(secret.expose()));
        // RFC 7591 §3.2.1: it does not expire.
        body.insert("client_secret_expires_at".into(), json!(0));
    }
    response::json(status, &Json::Object(body))
}

/// `GET /admin/oauth/clients?page=&per_page=`
pub async fn list(room: &AuthRoom, request: &Request) -> Result<Response, Error> {
    let number = |name: &str, usual: u64| {
        let text = request::parameter(request, name).filter(|text| !text.is_empty());
        let bad = || Error::Validation(format!("Bad Pagination Parameters: {name} must be a number above 0"));
        match text {
            None => Ok(usual),
            Some(text) => text.parse().ok().filter(|number| *number > 0).ok_or_else(bad),
        }
    };
    let page = number("page", 1)?;
    let per_page = number("per_page", PAGE_CLIENTS)?.min(PAGE_CLIENTS_MAX);
    let offset = (page - 1).saturating_mul(per_page).min(i64::MAX as u64);
    let (found, total) = clients::page(&room.store, per_page, offset).await?;
    let found: Vec<Json> = found.iter().map(|client| Json::Object(client.json())).collect();
    let mut response = response::json(
        StatusCode::OK,
        &json!({"clients": found, "aud": crate::users::AUDIENCE}),
    );
    response.headers.insert(TOTAL_COUNT, HeaderValue::from(total));
    Ok(response)
}

async fn find(room: &AuthRoom, id: &str) -> Result<OAuthClient, Error> {
    let id: Uuid = id
        .parse()
        .map_err(|_| Error::Validation("invalid client_id format".into()))?;
    let found = clients::by_id(&room.store, id).await?;
    found.ok_or(Error::OAuthClientNotFound)
}

/// `GET /admin/oauth/clients/{id}`
pub async fn show(room: &AuthRoom, id: &str) -> Result<Response, Error> {
    let found = find(room, id).await?;
    Ok(response::json(StatusCode::OK, &Json::Object(found.json())))
}

/// `PUT /admin/oauth/clients/{id}`
pub async fn change(room: &AuthRoom, id: &str, request: &Request) -> Result<Response, Error> {
    let body: ClientBody = request::body(request)?;
    let mut found = find(room, id).await?;
    clients::change(&mut found, body)?;
    clients::update(&room.store, &found).await?;
    show(room, id).await
}

/// `POST /admin/oauth/clients/{id}/regenerate_secret`
pub async fn renew_secret(room: &AuthRoom, id: &str) -> Result<Response, Error> {
    let mut found = find(room, id).await?;
    let secret = clients::renew_secret(&mut found)?;
    clients::update(&room.store, &found).await?;
    Ok(with_secret(StatusCode::OK, &found, Some(&secret)))
}

/// `DELETE /admin/oauth/clients/{id}`
pub async fn delete(room: &AuthRoom, id: &str) -> Result<Response, Error> {
    let id = find(room, id).await?.id;
    room.store
        .transact(move |tx| async move {
            clients::delete(&tx, id).await?;
            Ok(Decision::Commit(()))
        })
        .await?;
    Ok(response::nothing())
}

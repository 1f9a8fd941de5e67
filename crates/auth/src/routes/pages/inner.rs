//! The pages ask as every client does: each form becomes the JSON request of the route that does the work, so what
//! guards the route (limits, captcha, hooks, audit) guards the page.

use http::{HeaderMap, Method};
use mainstay_core::secret::Secret;
use mainstay_http::{Request, Response};
use serde::Deserialize;
use serde_json::{Value as Json, json};
use url::form_urlencoded::Serializer;
use uuid::Uuid;

use super::Visit;
use crate::error::Error;
use crate::room::Tokens;
use crate::sessions::SessionId;

/// A request with a JSON body.
pub fn asking(query: &[(&str, &str)], body: &Json) -> Request {
    Request {
        method: Method::POST,
        path: String::new(),
        query: Some(Serializer::new(String::new()).extend_pairs(query).finish()),
        headers: HeaderMap::new(),
        body: body.to_string().into(),
        authentication: std::time::Duration::ZERO,
    }
}

/// The same of somebody who is not signed in: where a captcha is asked for, its token goes along and is checked.
pub async fn asking_as_person(visit: &Visit<'_>, query: &[(&str, &str)], mut body: Json) -> Result<Request, Error> {
    let Some(captcha) = &visit.room.config.captcha else {
        return Ok(asking(query, &body));
    };
    let token = visit.site.widget().map(|widget| visit.field_named(widget.kind.field()));
    body["gotrue_meta_security"] = json!({"captcha_token": token});
    let request = asking(query, &body);
    captcha.check(&request, &visit.room.outgoing).await?;
    Ok(request)
}

/// The body of an answer.
pub fn answered<T: for<'de> Deserialize<'de>>(response: &Response) -> Result<T, Error> {
    serde_json::from_slice(&response.body)
        .map_err(|_| Error::Unexpected("an answer of the room's own is misread".into()))
}

/// A session as a route has answered it.
pub struct Begun {
    pub session: SessionId,
    pub tokens: Tokens,
}

#[derive(Deserialize)]
struct Body {
    access_token: String,
    refresh_token: String,
    expires_at: i64,
    expires_in: i64,
}

/// The session in an answer. `None`: it has none, for an address is to be confirmed first.
pub fn begun(response: &Response) -> Result<Option<Begun>, Error> {
    let id = response
        .headers
        .get("sb-auth-session-id")
        .and_then(|id| id.to_str().ok());
    let Some(id) = id.and_then(|id| id.parse::<Uuid>().ok()) else {
        return Ok(None);
    };
    let body: Body = answered(response)?;
    Ok(Some(Begun {
        session: SessionId(id),
        tokens: Tokens {
            access_token: Secret::new(body.access_token),
            refresh_token: Secret::new(body.refresh_token),
            expires_at: body.expires_at,
            expires_in: body.expires_in,
        },
    }))
}

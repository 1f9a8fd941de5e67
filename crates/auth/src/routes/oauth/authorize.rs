//! `/oauth/authorize` and `/oauth/authorizations`: an application asks, the user's page shows it, the user answers.
//!
//! Until application and address are known to belong together nobody is sent anywhere: what is wrong is said here.

use http::StatusCode;
use jiff::Timestamp;
use mainstay_core::clock;
use mainstay_core::error::BackendError;
use mainstay_core::secret::Secret;
use mainstay_core::transaction::Decision;
use mainstay_http::outgoing::with_query;
use mainstay_http::{Request, Response};
use serde::Deserialize;
use serde_json::json;
use url::Url;
use uuid::Uuid;

use super::super::{Signed, pages};
use super::settings;
use crate::error::Error;
use crate::flow_state::Challenge;
use crate::oauth::authorizations::{self, Authorization, Question};
use crate::oauth::clients;
use crate::oauth::scopes::Scopes;
use crate::oauth::{consents, redirect_uris};
use crate::request;
use crate::response;
use crate::room::AuthRoom;
use crate::secrets;
use crate::sessions::Client;
use crate::store::Tx;
use crate::users::UserId;

/// Characters of what an application wants back, as the columns take them.
const STATE_CHARS_MAX: usize = 4096;
const NONCE_CHARS_MAX: usize = 255;
const RESOURCE_CHARS_MAX: usize = 2048;

/// `GET /oauth/authorize`: keeps the question and sends the browser to the application's page for it.
pub async fn begin(room: &AuthRoom, request: &Request, client: &Client) -> Result<Response, Error> {
    room.limits.sign_in(client)?;
    let own = settings(room)?.consent_page(room.config.redirects.site());
    let page = own.unwrap_or_else(|| pages::consent_url(&room.config));
    let parameter = |name: &str| request::parameter(request, name).filter(|text| !text.is_empty());
    let required = |name: &str| parameter(name).ok_or_else(|| Error::Validation(format!("{name} is required")));
    let (id, redirect_uri) = (required("client_id")?, required("redirect_uri")?);
    let id: Uuid = id
        .parse()
        .map_err(|_| Error::OAuthClientUnknown("invalid client_id format"))?;
    let application = clients::by_id(&room.store, id).await?;
    let application = application.ok_or(Error::OAuthClientUnknown("invalid client_id"))?;
    if !redirect_uris::is_registered(&application.redirect_uris, &redirect_uri) {
        return Err(Error::Validation("invalid redirect_uri".into()));
    }
    let state = parameter("state").filter(|state| state.chars().count() <= STATE_CHARS_MAX);
    match question_of(room, request, &redirect_uri, state.clone()) {
        Ok(question) => {
            let id = authorizations::ask(&room.store, &application, &question).await?;
            response::redirect(StatusCode::FOUND, &with_query(&page, &[("authorization_id", &id)]))
        }
        Err((kind, description)) => {
            let to = refusal(room, &redirect_uri, state.as_deref(), kind, description);
            response::redirect(StatusCode::FOUND, &to)
        }
    }
}

/// Reads what is asked for. Errors: in the words of RFC 6749 §4.1.2.1.
fn question_of(
    room: &AuthRoom,
    request: &Request,
    redirect_uri: &str,
    state: Option<String>,
) -> Result<Question, (&'static str, &'static str)> {
    let invalid = |description| Err(("invalid_request", description));
    let mut pairs: Vec<(String, String)> = request::parameters(request);
    pairs.retain(|(name, _)| name != "resource");
    let count = pairs.len();
    pairs.sort();
    pairs.dedup_by(|one, other| one.0 == other.0);
    if pairs.len() != count {
        return invalid("a parameter is given twice");
    }
    let parameter = |name: &str| request::parameter(request, name).filter(|text| !text.is_empty());
    if parameter("state").is_some() && state.is_none() {
        return invalid("state is too long");
    }
    if parameter("response_type").is_some_and(|kind| kind != "code") {
        return Err(("unsupported_response_type", "only response_type=code is supported"));
    }
    if parameter("response_mode").is_some_and(|mode| mode != "query") {
        return invalid("only response_mode=query is supported");
    }
    if parameter("request").is_some() {
        return Err(("request_not_supported", "request objects are not supported"));
    }
    let scopes = Scopes::read(&parameter("scope").unwrap_or_default()).map_err(|why| ("invalid_scope", why))?;
    if scopes.has("openid") && room.signer().algorithms().is_empty() {
        return Err(("invalid_scope", "ID tokens need keys of ES256 or RS256"));
    }
    if parameter("code_challenge_method").is_some_and(|method| method != "S256") {
        return invalid("code_challenge_method must be S256");
    }
    let challenge = parameter("code_challenge").unwrap_or_default();
    if parameter("code_challenge_method").is_none() || Challenge::s256(&challenge).is_none() {
        return invalid("PKCE flow requires both code_challenge and code_challenge_method");
    }
    let resource = parameter("resource");
    if resource.as_deref().is_some_and(|resource| !is_resource(resource)) {
        return Err((
            "invalid_target",
            "resource must be an absolute URI without query and fragment",
        ));
    }
    let nonce = parameter("nonce");
    if nonce
        .as_ref()
        .is_some_and(|nonce| nonce.chars().count() > NONCE_CHARS_MAX)
    {
        return invalid("nonce is too long");
    }
    let texts = [&state, &resource, &nonce];
    if texts
        .iter()
        .any(|text| text.as_ref().is_some_and(|text| text.contains('\0')))
    {
        return invalid("a parameter holds the character U+0000");
    }
    Ok(Question {
        redirect_uri: redirect_uri.to_owned(),
        scopes,
        state,
        resource,
        challenge,
        nonce,
    })
}

/// RFC 8707 §2.
fn is_resource(text: &str) -> bool {
    let url = Url::parse(text);
    text.chars().count() <= RESOURCE_CHARS_MAX && url.is_ok_and(|url| url.fragment().is_none() && url.query().is_none())
}

/// Where an application is told that it gets nothing.
fn refusal(room: &AuthRoom, to: &str, state: Option<&str>, kind: &str, description: &str) -> String {
    let mut pairs = vec![("error", kind), ("error_description", description)];
    pairs.extend(state.map(|state| ("state", state)));
    pairs.push(("iss", &room.config.issuer));
    with_query(to, &pairs)
}

/// Where an application gets its code.
fn success(room: &AuthRoom, authorization: &Authorization, code: &Secret<String>) -> String {
    let mut pairs = vec![("code", code.expose().as_str())];
    pairs.extend(authorization.state.as_deref().map(|state| ("state", state)));
    pairs.push(("iss", &room.config.issuer));
    with_query(&authorization.redirect_uri, &pairs)
}

/// Only pages of the application's own may ask: another page must not answer for the user who looks at it.
fn from_own_page(room: &AuthRoom, request: &Request) -> Result<(), Error> {
    match request.header("origin").filter(|origin| !origin.is_empty()) {
        Some(origin) if !room.config.redirects.allows(origin) => {
            Err(Error::Validation("unauthorized request origin".into()))
        }
        _ => Ok(()),
    }
}

/// What looking at a question comes to.
enum Seen {
    Open(Box<Authorization>),
    /// The user has agreed to as much before.
    Granted(Box<Authorization>),
}

/// `GET /oauth/authorizations/{id}`: what is asked, or where to go if the user has agreed before.
pub async fn question(room: &AuthRoom, signed: Signed, id: &str, request: &Request) -> Result<Response, Error> {
    from_own_page(room, request)?;
    let looking = Looking::new(id, &signed)?;
    let code = looking.code.clone();
    let seen = room
        .store
        .transact(move |tx| look(tx, looking.clone()))
        .await
        .map_err(|error| Error::of_database("error finding authorization", error))??;
    let authorization = match seen {
        Seen::Granted(authorization) => {
            let body = json!({"redirect_url": success(room, &authorization, &code)});
            return Ok(response::json(StatusCode::OK, &body));
        }
        Seen::Open(authorization) => authorization,
    };
    let application = clients::by_id(&room.store, authorization.client).await?;
    let application = application.ok_or(Error::AuthorizationNotFound)?;
    Ok(response::json(
        StatusCode::OK,
        &json!({
            "authorization_id": authorization.authorization_id,
            "redirect_uri": authorization.redirect_uri,
            "client": application.shown(),
            "user": {"id": signed.user.id.to_string(), "email": signed.user.email},
            "scope": authorization.scopes.to_string(),
        }),
    ))
}

#[derive(Clone)]
struct Looking {
    id: String,
    user: UserId,
    code: Secret<String>,
    until: Timestamp,
    now: Timestamp,
}

impl Looking {
    fn new(id: &str, signed: &Signed) -> Result<Self, Error> {
        Ok(Looking {
            id: id.to_owned(),
            user: signed.user.id,
            code: secrets::random()?,
            until: authorizations::code_until()?,
            now: clock::now(),
        })
    }
}

/// The question, if it is open and nobody else's.
async fn open(tx: &Tx, id: &str, user: UserId, now: Timestamp) -> Result<Result<Authorization, Error>, BackendError> {
    let found = authorizations::lock(tx, id).await?;
    let is_users = |found: &Authorization| found.user.is_none_or(|owner| owner == user);
    let Some(found) = found.filter(|found| !found.is_over(now) && is_users(found)) else {
        return Ok(Err(Error::AuthorizationNotFound));
    };
    match found.is_open() {
        true => Ok(Ok(found)),
        false => Ok(Err(Error::Validation(
            "authorization request cannot be processed".into(),
        ))),
    }
}

async fn look(tx: Tx, looking: Looking) -> Result<Decision<Result<Seen, Error>>, BackendError> {
    let authorization = match open(&tx, &looking.id, looking.user, looking.now).await? {
        Ok(authorization) => authorization,
        Err(error) => return Ok(Decision::Rollback(Err(error))),
    };
    if authorization.user.is_none() {
        authorizations::set_user(&tx, &authorization, looking.user).await?;
        let granted = consents::granted(&tx, looking.user, authorization.client).await?;
        if granted.is_some_and(|granted| granted.cover(&authorization.scopes)) {
            authorizations::approve(&tx, &authorization, &looking.code, looking.until).await?;
            return Ok(Decision::Commit(Ok(Seen::Granted(Box::new(authorization)))));
        }
    }
    Ok(Decision::Commit(Ok(Seen::Open(Box::new(authorization)))))
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct ConsentBody {
    #[serde(deserialize_with = "request::nullable")]
    action: String,
}

/// `POST /oauth/authorizations/{id}/consent`: the user's answer.
pub async fn consent(room: &AuthRoom, signed: Signed, id: &str, request: &Request) -> Result<Response, Error> {
    from_own_page(room, request)?;
    let body: ConsentBody = request::body(request)?;
    let agrees = match body.action.as_str() {
        "approve" => true,
        "deny" => false,
        _ => return Err(Error::Validation("action must be 'approve' or 'deny'".into())),
    };
    let looking = Looking::new(id, &signed)?;
    let code = looking.code.clone();
    let authorization = room
        .store
        .transact(move |tx| decide(tx, looking.clone(), agrees))
        .await
        .map_err(|error| Error::of_database("error storing consent", error))??;
    let to = match agrees {
        true => success(room, &authorization, &code),
        false => refusal(
            room,
            &authorization.redirect_uri,
            authorization.state.as_deref(),
            "access_denied",
            "User denied the request",
        ),
    };
    Ok(response::json(StatusCode::OK, &json!({"redirect_url": to})))
}

async fn decide(
    tx: Tx,
    looking: Looking,
    agrees: bool,
) -> Result<Decision<Result<Authorization, Error>>, BackendError> {
    let authorization = match open(&tx, &looking.id, looking.user, looking.now).await? {
        // It is answered by whoever has looked at it.
        Ok(authorization) if authorization.user.is_some() => authorization,
        Ok(_) => return Ok(Decision::Rollback(Err(Error::AuthorizationNotFound))),
        Err(error) => return Ok(Decision::Rollback(Err(error))),
    };
    if agrees {
        authorizations::approve(&tx, &authorization, &looking.code, looking.until).await?;
        consents::grant(&tx, looking.user, authorization.client, &authorization.scopes).await?;
    } else {
        authorizations::deny(&tx, &authorization).await?;
    }
    Ok(Decision::Commit(Ok(authorization)))
}

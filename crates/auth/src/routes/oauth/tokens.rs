//! `/oauth/token`, `/oauth/userinfo`, `/oauth/introspect`, `/oauth/revoke`.
//!
//! Source: OAuth 2.1 §3.2, §4.1.3, §4.3; RFC 7009; RFC 7662; OpenID Connect Core 1.0 §3.1.3, §5.3.

use http::{HeaderValue, StatusCode, header};
use jiff::Timestamp;
use mainstay_core::clock;
use mainstay_core::error::BackendError;
use mainstay_core::secret::Secret;
use mainstay_core::transaction::Decision;
use mainstay_http::{Request, Response};
use serde_json::{Map, Value as Json, json};
use uuid::Uuid;

use super::super::{Signed, refresh};
use crate::audit::{self, Action};
use crate::error::Error;
use crate::oauth::acting::{self, Acting};
use crate::oauth::authorizations;
use crate::oauth::clients::{self, OAuthClient, Proof};
use crate::oauth::subject;
use crate::request;
use crate::response;
use crate::room::AuthRoom;
use crate::sessions::{self, Client, Granted, Method, Scope, SessionId};
use crate::store::Tx;
use crate::users::{self, User};

/// Seconds that an ID token is valid.
const ID_TOKEN_SECONDS: i64 = 3600;

/// A form, or JSON with texts in it. Errors: `OAuth` for a field that is given twice.
fn fields(request: &Request) -> Result<Vec<(String, String)>, Error> {
    let is_json = request.header("content-type").is_some_and(|kind| kind.contains("json"));
    let fields = match is_json {
        false => request::form(&request.body),
        true => {
            let body: Map<String, Json> = request::body(request)?;
            let texts = body
                .into_iter()
                .filter_map(|(name, value)| Some((name, value.as_str()?.to_owned())));
            texts.collect()
        }
    };
    let mut names: Vec<&String> = fields.iter().map(|(name, _)| name).collect();
    names.sort();
    match names.windows(2).any(|pair| pair[0] == pair[1] && pair[0] != "resource") {
        true => Err(Error::OAuth("invalid_request", "a parameter is given twice")),
        false => Ok(fields),
    }
}

fn field<'a>(fields: &'a [(String, String)], name: &str) -> Option<&'a str> {
    let found = fields.iter().find(|(field, _)| field == name);
    found.map(|(_, value)| value.as_str()).filter(|value| !value.is_empty())
}

/// `POST /oauth/token`
pub async fn token(room: &AuthRoom, request: &Request, client: &Client) -> Result<Response, Error> {
    room.limits.refresh(client)?;
    let fields = fields(request)?;
    let application = clients::authenticate(&room.store, request, &fields).await?;
    let Some(grant) = field(&fields, "grant_type") else {
        return Err(Error::OAuth("invalid_request", "grant_type is required"));
    };
    if !application.grant_types.iter().any(|own| own == grant) {
        return Err(Error::OAuth(
            "unsupported_grant_type",
            "Client is not allowed to use this grant type",
        ));
    }
    match grant {
        "authorization_code" => code(room, &application, &fields, client).await,
        _ => next(room, &application, &fields, client).await,
    }
}

#[derive(Clone)]
struct Redeeming {
    application: OAuthClient,
    code: Secret<String>,
    verifier: Secret<String>,
    redirect_uri: Option<String>,
    resource: Option<String>,
    token: Secret<String>,
    client: Client,
    now: Timestamp,
}

struct Redeemed {
    granted: Granted,
    acting: Acting,
    nonce: Option<String>,
    signed_in_at: Option<Timestamp>,
}

/// Tokens for a code.
async fn code(
    room: &AuthRoom,
    application: &OAuthClient,
    fields: &[(String, String)],
    client: &Client,
) -> Result<Response, Error> {
    let Some(code) = field(fields, "code") else {
        return Err(Error::OAuth(
            "invalid_request",
            "code is required for authorization_code grant",
        ));
    };
    let redeeming = Redeeming {
        application: application.clone(),
        code: Secret::new(code.to_owned()),
        verifier: Secret::new(field(fields, "code_verifier").unwrap_or_default().to_owned()),
        redirect_uri: field(fields, "redirect_uri").map(str::to_owned),
        resource: field(fields, "resource").map(str::to_owned),
        token: sessions::refresh_token()?,
        client: client.clone(),
        now: clock::now(),
    };
    let redeemed = room
        .store
        .transact(move |tx| redeem(tx, redeeming.clone()))
        .await
        .map_err(|error| Error::of_database("Error exchanging authorization code", error))??;
    let mut granted = redeemed.granted;
    says(&mut granted, &redeemed.acting);
    let id_token = match redeemed.acting.scopes.has("openid") {
        false => None,
        true => {
            let begun = redeemed.signed_in_at.or(granted.profile.user.last_sign_in_at);
            Some(id_token(
                room,
                &granted.profile.user,
                &redeemed.acting,
                redeemed.nonce,
                begun,
            )?)
        }
    };
    answer(room, &granted, &redeemed.acting, id_token).await
}

async fn redeem(tx: Tx, redeeming: Redeeming) -> Result<Decision<Result<Redeemed, Error>>, BackendError> {
    let refused = |why| Ok(Decision::Rollback(Err(Error::OAuth("invalid_grant", why))));
    let found = authorizations::lock_by_code(&tx, &redeeming.code).await?;
    let Some(authorization) = found else {
        return replayed(&tx, &redeeming).await;
    };
    if authorization.client != redeeming.application.id {
        return refused("Authorization code was not issued for this client");
    }
    if authorization.is_over(redeeming.now) {
        return refused("Authorization code has expired");
    }
    if redeeming
        .redirect_uri
        .as_ref()
        .is_some_and(|to| *to != authorization.redirect_uri)
    {
        return refused("Invalid redirect_uri");
    }
    if redeeming.resource.is_some() && redeeming.resource != authorization.resource {
        return refused("Authorization code resource does not match the resource parameter");
    }
    if !authorization.is_askers(&redeeming.verifier) {
        return refused("PKCE verification failed");
    }
    let Some(id) = authorization.user else {
        return refused("Authorization code has no associated user");
    };
    let user = users::lock(&tx, id).await?.filter(|user| user.deleted_at.is_none());
    let Some(user) = user.filter(|user| !user.is_banned(redeeming.now)) else {
        return refused("The user may not sign in");
    };
    audit::record_own(
        &tx,
        id,
        Action::Login,
        audit::by_provider("oauth_provider_authorization_code"),
    )
    .await?;
    let acting = Acting {
        client: authorization.client,
        scopes: authorization.scopes.clone(),
    };
    let session = sessions::begin(&tx, id, Method::OAuthProvider, &redeeming.client, &redeeming.token).await?;
    acting::bind(&tx, session, &acting).await?;
    authorizations::redeemed(&tx, &authorization, &redeeming.code, session).await?;
    let Some(granted) = sessions::granted(&tx, id, session, redeeming.token).await? else {
        return refused("The user may not sign in");
    };
    Ok(Decision::Commit(Ok(Redeemed {
        granted,
        acting,
        nonce: authorization.nonce,
        signed_in_at: user.last_sign_in_at,
    })))
}

/// A code that nobody waits for. If it was redeemed before, somebody has it who should not: what it gave holds no more
/// (RFC 6749 §4.1.2).
async fn replayed(tx: &Tx, redeeming: &Redeeming) -> Result<Decision<Result<Redeemed, Error>>, BackendError> {
    let refused = Err(Error::OAuth("invalid_grant", "Invalid authorization code"));
    let given = authorizations::session_of(tx, &redeeming.code, redeeming.application.id).await?;
    let Some((session, user)) = given else {
        return Ok(Decision::Rollback(refused));
    };
    tracing::warn!(%user, client = %redeeming.application.id, "auth: an authorization code came twice: its session ends");
    sessions::end(tx, user, Scope::Local(session)).await?;
    Ok(Decision::Commit(refused))
}

/// The next tokens of an application's session.
async fn next(
    room: &AuthRoom,
    application: &OAuthClient,
    fields: &[(String, String)],
    client: &Client,
) -> Result<Response, Error> {
    let Some(token) = field(fields, "refresh_token") else {
        return Err(Error::OAuth(
            "invalid_request",
            "refresh_token is required for refresh_token grant",
        ));
    };
    let token = Secret::new(token.to_owned());
    let refreshed = refresh::next(room, token, client, Some(application.id)).await;
    let mut granted = refreshed.map_err(|error| match error {
        Error::Database { .. } | Error::Unavailable(_) | Error::WritesHeld | Error::Unexpected(_) => error,
        _ => Error::OAuth("invalid_grant", "The refresh token is not valid"),
    })?;
    let acting = acting::bound(&room.store, granted.session).await?;
    let acting = acting.ok_or(Error::OAuth("invalid_grant", "The refresh token is not valid"))?;
    says(&mut granted, &acting);
    answer(room, &granted, &acting, None).await
}

/// The access token says who acts.
fn says(granted: &mut Granted, acting: &Acting) {
    let claims = &mut granted.claims;
    claims.insert("client_id".into(), json!(acting.client.to_string()));
    claims.insert("scope".into(), json!(acting.scopes.to_string()));
}

async fn answer(
    room: &AuthRoom,
    granted: &Granted,
    acting: &Acting,
    id_token: Option<String>,
) -> Result<Response, Error> {
    let tokens = room.tokens(granted).await?;
    let mut body = json!({
        "access_token": tokens.access_token.expose(),
        "token_type": "bearer",
        "expires_in": tokens.expires_in,
        "refresh_token": tokens.refresh_token.expose(),
        "scope": acting.scopes.to_string(),
    });
    if let Some(token) = id_token {
        body["id_token"] = json!(token);
    }
    Ok(response::json(StatusCode::OK, &body))
}

/// Who has signed in, for the application to read (OpenID Connect Core §2).
fn id_token(
    room: &AuthRoom,
    user: &User,
    acting: &Acting,
    nonce: Option<String>,
    signed_in_at: Option<Timestamp>,
) -> Result<String, Error> {
    let now = clock::now().as_second();
    let mut claims = subject::claims(user, &acting.scopes);
    let mut put = |name: &str, value: Json| claims.insert(name.to_owned(), value);
    put("iss", json!(room.config.issuer));
    put("aud", json!(acting.client.to_string()));
    put("iat", json!(now));
    put("exp", json!(now + ID_TOKEN_SECONDS));
    put("auth_time", json!(signed_in_at.map_or(now, Timestamp::as_second)));
    if let Some(nonce) = nonce {
        put("nonce", json!(nonce));
    }
    let signed = room.signer().sign(&Json::Object(claims), now);
    let signed = signed.map_err(|error| Error::Unexpected(error.to_string()))?;
    Ok(signed.expose().clone())
}

/// `GET` and `POST /oauth/userinfo`
pub async fn user_info(room: &AuthRoom, signed: Signed) -> Result<Response, Error> {
    let acting = match &signed.session {
        Some(session) => acting::bound(&room.store, session.id).await?,
        None => None,
    };
    let claims = match acting {
        Some(acting) => subject::claims(&signed.user, &acting.scopes),
        // Nobody was asked what may be told.
        None => Map::from_iter([("sub".to_owned(), json!(signed.user.id.to_string()))]),
    };
    Ok(response::json(StatusCode::OK, &Json::Object(claims)))
}

/// What a token of an application's stands for.
enum Known {
    Access { claims: Map<String, Json> },
    Refresh,
}

/// The session of a token that this application was given, if it goes on.
async fn known(
    room: &AuthRoom,
    application: &OAuthClient,
    token: &str,
) -> Result<Option<(Known, SessionId, Acting)>, Error> {
    let (known, session) = match token.contains('.') {
        true => {
            let verifier = room
                .signer()
                .verifier()
                .map_err(|error| Error::Unexpected(error.to_string()))?;
            let Ok(verified) = verifier.verify(token, clock::now().as_second()) else {
                return Ok(None);
            };
            let id = verified.claims.get("session_id").and_then(Json::as_str);
            let Some(id) = id.and_then(|id| id.parse::<Uuid>().ok()) else {
                return Ok(None);
            };
            let claims = verified.claims.clone();
            (Known::Access { claims }, SessionId(id))
        }
        false => {
            let token = Secret::new(token.to_owned());
            let found = room
                .store
                .transact(move |tx| {
                    let token = token.clone();
                    async move { Ok(Decision::Commit(sessions::token(&tx, &token).await?)) }
                })
                .await?;
            let Some(found) = found.filter(|found| !found.is_revoked) else {
                return Ok(None);
            };
            match found.session {
                Some(session) => (Known::Refresh, session),
                None => return Ok(None),
            }
        }
    };
    let found = sessions::by_id(&room.store, session).await?;
    let rules = &room.config.sessions;
    let goes_on = found.is_some_and(|session| session.ended(rules, clock::now(), None).is_none());
    if !goes_on {
        return Ok(None);
    }
    let acting = acting::bound(&room.store, session).await?;
    Ok(acting
        .filter(|acting| acting.client == application.id)
        .map(|acting| (known, session, acting)))
}

/// `POST /oauth/introspect`: whether a token holds, for the application that it was given to.
pub async fn introspect(room: &AuthRoom, request: &Request, client: &Client) -> Result<Response, Error> {
    room.limits.refresh(client)?;
    let fields = fields(request)?;
    let application = clients::authenticate(&room.store, request, &fields).await?;
    if application.proof == Proof::None {
        // Whoever cannot prove who they are learns nothing of tokens.
        return Err(Error::InvalidClient);
    }
    let Some(token) = field(&fields, "token") else {
        return Err(Error::OAuth("invalid_request", "token is required"));
    };
    let mut body = json!({"active": false});
    if let Some((known, session, acting)) = known(room, &application, token).await? {
        let user = sessions::by_id(&room.store, session).await?.map(|session| session.user);
        let user = match user {
            Some(id) => users::by_id(&room.store, id).await?,
            None => None,
        };
        let now = clock::now();
        if let Some(user) = user.filter(|user| user.deleted_at.is_none() && !user.is_banned(now)) {
            body = json!({
                "active": true,
                "scope": acting.scopes.to_string(),
                "client_id": acting.client.to_string(),
                "sub": user.id.to_string(),
                "iss": room.config.issuer,
            });
            if let Known::Access { claims } = known {
                body["token_type"] = json!("Bearer");
                for name in ["exp", "iat", "aud"] {
                    body[name] = claims.get(name).cloned().unwrap_or(Json::Null);
                }
            }
        }
    }
    Ok(response::json(StatusCode::OK, &body))
}

/// `POST /oauth/revoke`: the session of a token ends. An unknown token is no error (RFC 7009 §2.2).
pub async fn revoke(room: &AuthRoom, request: &Request, client: &Client) -> Result<Response, Error> {
    room.limits.refresh(client)?;
    let fields = fields(request)?;
    let application = clients::authenticate(&room.store, request, &fields).await?;
    let Some(token) = field(&fields, "token") else {
        return Err(Error::OAuth("invalid_request", "token is required"));
    };
    if let Some((_, session, _)) = known(room, &application, token).await?
        && let Some(found) = sessions::by_id(&room.store, session).await?
    {
        let user = found.user;
        room.store
            .transact(move |tx| async move {
                sessions::end(&tx, user, Scope::Local(session)).await?;
                Ok(Decision::Commit(()))
            })
            .await?;
    }
    let mut response = Response::empty(StatusCode::OK);
    response
        .headers
        .insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}

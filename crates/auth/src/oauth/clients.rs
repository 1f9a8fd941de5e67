//! Applications of others, and how they prove who they are.
//!
//! Source: RFC 7591 (what is registered), RFC 6749 §2.3.1 (proofs).

use aws_lc_rs::constant_time::verify_slices_are_equal;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use mainstay_core::clock;
use mainstay_core::error::BackendError;
use mainstay_core::secret::Secret;
use mainstay_http::Request;
use serde::Deserialize;
use serde_json::{Map, Value as Json, json};
use url::Url;
use uuid::Uuid;

use super::redirect_uris;
use crate::error::Error;
use crate::request;
use crate::response::time;
use crate::secrets;
use crate::store::{Row, Store, Tx, optional, text};

macro_rules! columns {
    () => {
        "c.id, c.client_secret_hash, c.registration_type::text, c.redirect_uris, c.grant_types, c.client_name, \
         c.client_uri, c.logo_uri, c.created_at, c.updated_at, c.client_type::text, c.token_endpoint_auth_method"
    };
}

const BY_ID: &str = concat!(
    "SELECT ",
    columns!(),
    " FROM auth.oauth_clients c WHERE c.id = $1::uuid AND c.deleted_at IS NULL"
);
const PAGE: &str = concat!(
    "SELECT ",
    columns!(),
    " FROM auth.oauth_clients c WHERE c.deleted_at IS NULL ORDER BY c.created_at DESC, c.id \
     LIMIT $1::bigint OFFSET $2::bigint"
);
const COUNT: &str = "SELECT count(*) FROM auth.oauth_clients c WHERE c.deleted_at IS NULL";
const INSERT: &str = "INSERT INTO auth.oauth_clients (id, client_secret_hash, registration_type, redirect_uris, \
     grant_types, client_name, client_uri, logo_uri, client_type, token_endpoint_auth_method, created_at, updated_at) \
     VALUES ($1::uuid, $2::text, $3::auth.oauth_registration_type, $4::text, $5::text, $6::text, $7::text, $8::text, \
     $9::auth.oauth_client_type, $10::text, now(), now())";
const UPDATE: &str = "UPDATE auth.oauth_clients SET client_secret_hash = $2::text, redirect_uris = $3::text, \
     grant_types = $4::text, client_name = $5::text, client_uri = $6::text, logo_uri = $7::text, \
     token_endpoint_auth_method = $8::text, updated_at = now() WHERE id = $1::uuid AND deleted_at IS NULL";
const DELETE: &str = "UPDATE auth.oauth_clients SET deleted_at = now(), updated_at = now() WHERE id = $1::uuid \
     AND deleted_at IS NULL";
const USERS: &str = "SELECT DISTINCT s.user_id FROM auth.sessions s WHERE s.oauth_client_id = $1::uuid";
const DELETE_SESSIONS: &str = "DELETE FROM auth.sessions WHERE oauth_client_id = $1::uuid";
const DELETE_AUTHORIZATIONS: &str = "DELETE FROM auth.oauth_authorizations WHERE client_id = $1::uuid";

/// Characters of a name, as the column takes them.
const NAME_CHARS_MAX: usize = 1024;
/// Characters of an address that is shown.
const SHOWN_CHARS_MAX: usize = 2048;
const GRANTS: &[&str] = &["authorization_code", "refresh_token"];

/// How an application proves who it is where codes are redeemed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proof {
    Basic,
    Post,
    /// It cannot keep a secret.
    None,
}

impl Proof {
    pub fn name(self) -> &'static str {
        match self {
            Proof::Basic => "client_secret_basic",
            Proof::Post => "client_secret_post",
            Proof::None => "none",
        }
    }

    fn of_name(name: &str) -> Option<Self> {
        [Proof::Basic, Proof::Post, Proof::None]
            .into_iter()
            .find(|proof| proof.name() == name)
    }

    fn client_type(self) -> &'static str {
        match self {
            Proof::None => "public",
            Proof::Basic | Proof::Post => "confidential",
        }
    }
}

/// An application.
#[derive(Clone, Debug)]
pub struct OAuthClient {
    pub id: Uuid,
    /// SHA-256 in base64url; `None` for one that keeps no secret.
    secret_hash: Option<String>,
    registration: String,
    pub redirect_uris: Vec<String>,
    pub grant_types: Vec<String>,
    pub name: Option<String>,
    pub uri: Option<String>,
    pub logo_uri: Option<String>,
    created_at: Option<Timestamp>,
    updated_at: Option<Timestamp>,
    pub proof: Proof,
}

impl OAuthClient {
    fn read(row: &mut Row) -> Result<Self, BackendError> {
        let listed = |text: String| {
            let items = text.split(',').filter(|item| !item.is_empty());
            items.map(str::to_owned).collect::<Vec<_>>()
        };
        let client = OAuthClient {
            id: row.uuid()?,
            secret_hash: row.maybe()?.filter(|hash| !hash.is_empty()),
            registration: row.text()?,
            redirect_uris: listed(row.text()?),
            grant_types: listed(row.text()?),
            name: row.maybe()?,
            uri: row.maybe()?,
            logo_uri: row.maybe()?,
            created_at: row.time()?,
            updated_at: row.time()?,
            proof: Proof::None,
        };
        let is_public = row.text()? == "public";
        let proof = Proof::of_name(&row.text()?).unwrap_or(Proof::Basic);
        Ok(OAuthClient {
            proof: if is_public { Proof::None } else { proof },
            ..client
        })
    }

    /// The application as whoever administers it sees it.
    pub fn json(&self) -> Map<String, Json> {
        let mut out = Map::new();
        let mut put = |name: &str, value: Json| out.insert(name.to_owned(), value);
        put("client_id", json!(self.id.to_string()));
        put("client_type", json!(self.proof.client_type()));
        put("redirect_uris", json!(self.redirect_uris));
        put("token_endpoint_auth_method", json!(self.proof.name()));
        put("grant_types", json!(self.grant_types));
        put("response_types", json!(["code"]));
        let shown = [
            ("client_name", &self.name),
            ("client_uri", &self.uri),
            ("logo_uri", &self.logo_uri),
        ];
        for (name, value) in shown {
            if let Some(value) = value.as_ref().filter(|value| !value.is_empty()) {
                put(name, json!(value));
            }
        }
        put("registration_type", json!(self.registration));
        put("created_at", self.created_at.map_or(Json::Null, time));
        put("updated_at", self.updated_at.map_or(Json::Null, time));
        out
    }

    /// The application as users see it who are asked.
    pub fn shown(&self) -> Json {
        let mut out = Map::new();
        out.insert("id".into(), json!(self.id.to_string()));
        for (name, value) in [("name", &self.name), ("uri", &self.uri), ("logo_uri", &self.logo_uri)] {
            if let Some(value) = value.as_ref().filter(|value| !value.is_empty()) {
                out.insert(name.into(), json!(value));
            }
        }
        Json::Object(out)
    }

    /// True if the secret is the application's, compared in constant time.
    fn is_secret(&self, given: &Secret<String>) -> bool {
        let kept = self.secret_hash.as_deref().unwrap_or_default();
        verify_slices_are_equal(secrets::sha256(given.expose()).as_bytes(), kept.as_bytes()).is_ok()
    }
}

/// What registers or changes an application.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct ClientBody {
    redirect_uris: Option<Vec<String>>,
    client_type: Option<String>,
    token_endpoint_auth_method: Option<String>,
    grant_types: Option<Vec<String>>,
    client_name: Option<String>,
    client_uri: Option<String>,
    logo_uri: Option<String>,
}

impl ClientBody {
    /// Puts what the body says in the place of what is there. Errors: `Validation`.
    fn apply(self, client: &mut OAuthClient) -> Result<(), Error> {
        let bad = |what: &str| Err(Error::Validation(what.to_owned()));
        if let Some(addresses) = self.redirect_uris {
            if addresses.is_empty() {
                return bad("redirect_uris is required");
            }
            if addresses.len() > redirect_uris::ADDRESSES_MAX {
                return bad("redirect_uris cannot exceed 10 items");
            }
            for address in &addresses {
                redirect_uris::check(address)
                    .map_err(|why| Error::Validation(format!("invalid redirect_uri: {why}")))?;
            }
            client.redirect_uris = addresses;
        }
        if let Some(grants) = self.grant_types {
            if grants.is_empty() || grants.iter().any(|grant| !GRANTS.contains(&grant.as_str())) {
                return bad("grant_types must only contain 'authorization_code' and/or 'refresh_token'");
            }
            client.grant_types = grants;
        }
        if let Some(name) = self.client_name {
            if name.chars().count() > NAME_CHARS_MAX || name.chars().any(char::is_control) {
                return bad("client_name cannot exceed 1024 characters, or hold control characters");
            }
            client.name = Some(name);
        }
        if let Some(uri) = self.client_uri {
            client.uri = Some(shown("client_uri", uri)?);
        }
        if let Some(uri) = self.logo_uri {
            client.logo_uri = Some(shown("logo_uri", uri)?);
        }
        if let Some(method) = &self.token_endpoint_auth_method {
            let Some(proof) = Proof::of_name(method) else {
                return bad("token_endpoint_auth_method must be one of: client_secret_basic, client_secret_post, none");
            };
            client.proof = proof;
        }
        Ok(())
    }
}

/// An address that users are shown: nothing but the web.
fn shown(name: &str, uri: String) -> Result<String, Error> {
    let is_web = Url::parse(&uri).is_ok_and(|url| matches!(url.scheme(), "https" | "http") && url.host().is_some());
    match uri.is_empty() || is_web && uri.chars().count() <= SHOWN_CHARS_MAX && !uri.chars().any(char::is_control) {
        true => Ok(uri),
        false => Err(Error::Validation(format!("{name} must be a valid URL"))),
    }
}

/// A new application, and its secret if it keeps one. Errors: `Validation`.
pub fn make(body: ClientBody, registration: &str) -> Result<(OAuthClient, Option<Secret<String>>), Error> {
    let bad = |what: &str| Err(Error::Validation(what.to_owned()));
    let named = body.token_endpoint_auth_method.as_deref().and_then(Proof::of_name);
    let proof = match (body.client_type.as_deref(), named) {
        (None | Some("confidential"), None) => Proof::Basic,
        (Some("public"), None | Some(Proof::None)) | (None, Some(Proof::None)) => Proof::None,
        (None | Some("confidential"), Some(proof)) if proof != Proof::None => proof,
        (Some("public" | "confidential"), _) => {
            return bad("client_type is inconsistent with token_endpoint_auth_method");
        }
        _ => return bad("client_type must be 'public' or 'confidential'"),
    };
    let secret = match proof {
        Proof::None => None,
        _ => Some(secrets::random()?),
    };
    let mut client = OAuthClient {
        id: Uuid::new_v4(),
        secret_hash: secret.as_ref().map(|secret| secrets::sha256(secret.expose())),
        registration: registration.to_owned(),
        redirect_uris: Vec::new(),
        grant_types: GRANTS.iter().map(|grant| (*grant).to_owned()).collect(),
        name: None,
        uri: None,
        logo_uri: None,
        created_at: Some(clock::now()),
        updated_at: Some(clock::now()),
        proof,
    };
    body.apply(&mut client)?;
    if client.redirect_uris.is_empty() {
        return bad("redirect_uris is required");
    }
    Ok((client, secret))
}

/// Keeps a new application.
pub async fn insert(store: &Store, client: &OAuthClient) -> Result<(), BackendError> {
    let values = vec![
        text(client.id),
        optional(client.secret_hash.as_ref()),
        text(&client.registration),
        text(client.redirect_uris.join(",")),
        text(client.grant_types.join(",")),
        optional(client.name.as_ref()),
        optional(client.uri.as_ref()),
        optional(client.logo_uri.as_ref()),
        text(client.proof.client_type()),
        text(client.proof.name()),
    ];
    store.run(INSERT, values).await.map(drop)
}

/// Changes an application. Errors: `Validation`, also for a proof that would make a public one of it, or the other way.
pub fn change(client: &mut OAuthClient, body: ClientBody) -> Result<(), Error> {
    let before = client.proof.client_type();
    body.apply(client)?;
    match client.proof.client_type() == before {
        true => Ok(()),
        false => Err(Error::Validation(format!(
            "token_endpoint_auth_method is not valid for client_type '{before}'"
        ))),
    }
}

/// Gives the application another secret. Errors: it keeps none.
pub fn renew_secret(client: &mut OAuthClient) -> Result<Secret<String>, Error> {
    if client.proof == Proof::None {
        return Err(Error::Validation("Cannot regenerate secret for public client".into()));
    }
    let secret = secrets::random()?;
    client.secret_hash = Some(secrets::sha256(secret.expose()));
    Ok(secret)
}

/// Keeps what was changed.
pub async fn update(store: &Store, client: &OAuthClient) -> Result<(), BackendError> {
    let values = vec![
        text(client.id),
        optional(client.secret_hash.as_ref()),
        text(client.redirect_uris.join(",")),
        text(client.grant_types.join(",")),
        optional(client.name.as_ref()),
        optional(client.uri.as_ref()),
        optional(client.logo_uri.as_ref()),
        text(client.proof.name()),
    ];
    store.run(UPDATE, values).await.map(drop)
}

/// Takes the application away; whatever it does for users ends.
pub async fn delete(tx: &Tx, id: Uuid) -> Result<(), BackendError> {
    for user in tx.run(USERS, vec![text(id)]).await?.all(Row::uuid)? {
        tx.revoke(user);
    }
    for statement in [DELETE, DELETE_SESSIONS, DELETE_AUTHORIZATIONS] {
        tx.run(statement, vec![text(id)]).await?;
    }
    Ok(())
}

pub async fn by_id(store: &Store, id: Uuid) -> Result<Option<OAuthClient>, BackendError> {
    store.run(BY_ID, vec![text(id)]).await?.first(OAuthClient::read)
}

/// One page, newest first, and how many there are in all.
pub async fn page(store: &Store, limit: u64, offset: u64) -> Result<(Vec<OAuthClient>, u64), BackendError> {
    let total = store.run(COUNT, Vec::new()).await?.first(Row::integer)?;
    let clients = store
        .run(PAGE, vec![text(limit), text(offset)])
        .await?
        .all(OAuthClient::read)?;
    Ok((clients, total.and_then(|total| total.try_into().ok()).unwrap_or(0)))
}

/// What an application says that it is, where it proves it.
struct Claimed {
    id: String,
    secret: Option<Secret<String>>,
    proof: Proof,
}

/// Reads the proof: in the header, or in the form, not in both. Errors: `InvalidClient`.
fn claimed(request: &Request, form: &[(String, String)]) -> Result<Claimed, Error> {
    let field = |name: &str| {
        form.iter()
            .find(|(field, _)| field == name)
            .map(|(_, value)| value.clone())
    };
    let (id, secret) = (field("client_id").unwrap_or_default(), field("client_secret"));
    let header = request.header("authorization").and_then(|header| {
        let (scheme, rest) = header.split_once(' ')?;
        scheme.eq_ignore_ascii_case("basic").then(|| rest.trim().to_owned())
    });
    let Some(header) = header else {
        let proof = if secret.is_some() { Proof::Post } else { Proof::None };
        return Ok(Claimed {
            id,
            secret: secret.map(Secret::new),
            proof,
        });
    };
    let bytes = STANDARD.decode(header).map_err(|_| Error::InvalidClient)?;
    let pair = String::from_utf8(bytes).map_err(|_| Error::InvalidClient)?;
    let (name, password) = pair.split_once(':').ok_or(Error::InvalidClient)?;
    // RFC 6749 §2.3.1: both are encoded as in forms.
    let decoded = |text: &str| {
        let pairs = request::form(format!("x={text}").as_bytes());
        pairs.into_iter().next().map(|(_, value)| value).unwrap_or_default()
    };
    let name = decoded(name);
    if secret.is_some() || !id.is_empty() && id != name {
        return Err(Error::InvalidClient);
    }
    Ok(Claimed {
        id: name,
        secret: Some(Secret::new(decoded(password))),
        proof: Proof::Basic,
    })
}

/// The application that asks, proved as it was registered. Errors: `InvalidClient`.
pub async fn authenticate(store: &Store, request: &Request, form: &[(String, String)]) -> Result<OAuthClient, Error> {
    let claimed = claimed(request, form)?;
    let id: Uuid = claimed.id.parse().map_err(|_| Error::InvalidClient)?;
    let client = by_id(store, id).await?.ok_or(Error::InvalidClient)?;
    let holds = match (&claimed.secret, client.proof) {
        (None, Proof::None) => true,
        (Some(secret), Proof::Basic | Proof::Post) => client.is_secret(secret),
        _ => false,
    };
    match holds && claimed.proof == client.proof {
        true => Ok(client),
        false => Err(Error::InvalidClient),
    }
}

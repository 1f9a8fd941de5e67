//! `/authorize`, `/user/identities/authorize` and `/callback`: to a provider and back.

use http::header::SET_COOKIE;
use http::{HeaderValue, Method as HttpMethod, StatusCode};
use mainstay_core::clock;
use mainstay_core::error::BackendError;
use mainstay_core::secret::Secret;
use mainstay_core::transaction::Decision;
use mainstay_http::{Request, Response};
use serde::Deserialize;
use serde_json::json;
use uuid::Uuid;

use super::Signed;
use super::entering;
use super::identities;
use super::pages::{self, Destination};
use crate::audit;
use crate::error::Error;
use crate::external::exchange::{self, Arrival, Departure, ProviderTokens, Reach};
use crate::external::flows::{self, FLOW_SECONDS, FlowSecret, NewFlow, Returned};
use crate::external::linking::{Rules, Visitor};
use crate::external::settings::Provider;
use crate::flow_state::Challenge;
use crate::landing::{self, Flow};
use crate::request;
use crate::response;
use crate::room::AuthRoom;
use crate::sessions::{self, Client, Granted, Method};
use crate::store::Tx;
use crate::users::UserId;

/// Parameters that are ours, or the protocol's: applications do not pass them on to providers.
const RESERVED: &[&str] = &[
    "apikey",
    "client_id",
    "client_secret",
    "code_challenge",
    "code_challenge_method",
    "code_verifier",
    "grant_type",
    "invite_token",
    "nonce",
    "provider",
    "redirect_to",
    "redirect_uri",
    "request",
    "request_uri",
    "response_mode",
    "response_type",
    "scope",
    "scopes",
    "skip_http_redirect",
    "state",
];
/// Parameters that are passed on, and bytes of one.
const PASSED_MAX: usize = 20;
const PASSED_BYTES_MAX: usize = 512;
/// Scopes that an application asks for.
const SCOPES_MAX: usize = 50;
/// Bytes of a code that a provider gives.
const CODE_BYTES_MAX: usize = 4096;
/// What the name of the cookie begins with that marks the browser in which a flow began.
const COOKIE_PREFIX: &str = "mainstay-oauth-";

impl AuthRoom {
    fn reach(&self) -> Reach<'_> {
        Reach {
            outgoing: &self.outgoing,
            issuers: &self.issuers,
        }
    }

    /// Where providers send browsers back to.
    fn callback(&self) -> String {
        format!("{}/callback", self.config.url)
    }

    pub(crate) fn provider(&self, name: &str) -> Option<&Provider> {
        self.config.external.iter().find(|provider| provider.name == name)
    }

    pub(crate) fn rules(&self, provider: &Provider) -> Rules {
        Rules {
            signup_enabled: self.config.signup_enabled,
            confirmations: self.config.confirmations,
            email_optional: provider.email_optional,
        }
    }
}

/// `GET /authorize`: sends the browser to the provider.
pub async fn authorize(room: &AuthRoom, request: &Request, client: &Client) -> Result<Response, Error> {
    room.limits.sign_in(client)?;
    let begun = begin(room, request, None).await?;
    redirect(room, &begun)
}

/// `GET /user/identities/authorize`: the same for a user who links another identity.
pub async fn authorize_link(
    room: &AuthRoom,
    signed: Signed,
    request: &Request,
    client: &Client,
) -> Result<Response, Error> {
    identities::may_link(room, &signed).await?;
    room.limits.sign_in(client)?;
    let begun = begin(room, request, Some(signed.user.id)).await?;
    match request::parameter(request, "skip_http_redirect").as_deref() {
        Some("true") => Ok(response::json(StatusCode::OK, &json!({"url": begun.address}))),
        _ => redirect(room, &begun),
    }
}

/// A flow that is kept, and where its browser goes.
struct Begun {
    flow: NewFlow,
    address: String,
    is_form_post: bool,
}

async fn begin(room: &AuthRoom, request: &Request, linking: Option<UserId>) -> Result<Begun, Error> {
    let parameter = |name: &str| request::parameter(request, name).unwrap_or_default();
    let name = parameter("provider").to_ascii_lowercase();
    let Some(provider) = room.provider(&name) else {
        return Err(Error::UnsupportedProvider("provider is not enabled"));
    };
    if !provider.has_secret() {
        return Err(Error::UnsupportedProvider("missing OAuth secret"));
    }
    let challenge = Challenge::of(&parameter("code_challenge"), &parameter("code_challenge_method"))?;
    let flow = NewFlow {
        id: Uuid::new_v4(),
        secret: FlowSecret::new()?,
        provider: name,
        redirect_to: room.config.redirects.of(request),
        challenge,
        linking,
        email_optional: provider.email_optional,
    };
    let (state, callback) = (flow.id.to_string(), room.callback());
    let departure = Departure {
        state: &state,
        secret: &flow.secret,
        callback: &callback,
        scopes: scopes(&parameter("scopes")),
        parameters: passed(request),
    };
    let address = exchange::address(room.reach(), provider, &departure).await?;
    let kept = flow.clone();
    room.store
        .transact(move |tx| {
            let flow = kept.clone();
            async move {
                flows::begin(&tx, &flow).await?;
                Ok(Decision::Commit(()))
            }
        })
        .await
        .map_err(|error| Error::of_database("Error creating flow state", error))?;
    Ok(Begun {
        is_form_post: provider.description.is_form_post,
        flow,
        address,
    })
}

/// Scopes as applications write them, apart by blanks or commas.
fn scopes(text: &str) -> Vec<String> {
    let is_token = |scope: &&str| {
        scope
            .bytes()
            .all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\\'))
    };
    text.split([' ', ','])
        .filter(|scope| !scope.is_empty())
        .filter(is_token)
        .take(SCOPES_MAX)
        .map(str::to_owned)
        .collect()
}

/// Parameters that are the provider's affair.
fn passed(request: &Request) -> Vec<(String, String)> {
    request::parameters(request)
        .into_iter()
        .filter(|(name, value)| {
            !name.is_empty()
                && !RESERVED.contains(&name.to_ascii_lowercase().as_str())
                && name.len() + value.len() <= PASSED_BYTES_MAX
        })
        .take(PASSED_MAX)
        .collect()
}

/// Sends the browser off. An implicit flow has nothing else to prove that whoever comes back began it: a cookie does.
fn redirect(room: &AuthRoom, begun: &Begun) -> Result<Response, Error> {
    let mut response = response::redirect(StatusCode::FOUND, &begun.address)?;
    if begun.flow.challenge.is_none() {
        let mark = begun.flow.secret.mark();
        set_cookie(
            room,
            &mut response,
            begun.flow.id,
            &mark,
            FLOW_SECONDS,
            begun.is_form_post,
        );
    }
    Ok(response)
}

fn set_cookie(room: &AuthRoom, response: &mut Response, id: Uuid, value: &str, seconds: i64, is_form_post: bool) {
    let path = room.config.path();
    let is_encrypted = room.config.is_encrypted();
    let policy = match (is_form_post, is_encrypted) {
        // A form that another site posts brings no other cookies.
        (true, true) => "None; Secure",
        (false, true) => "Lax; Secure",
        _ => "Lax",
    };
    let cookie =
        format!("{COOKIE_PREFIX}{id}={value}; Path={path}/callback; Max-Age={seconds}; HttpOnly; SameSite={policy}");
    if let Ok(cookie) = HeaderValue::from_str(&cookie) {
        response.headers.append(SET_COOKIE, cookie);
    }
}

/// The mark that the browser keeps of the flow.
fn mark(request: &Request, id: Uuid) -> Option<String> {
    request::cookie(request, &format!("{COOKIE_PREFIX}{id}")).map(str::to_owned)
}

/// `GET` and `POST /callback`: somebody comes back.
pub async fn callback(room: &AuthRoom, request: &Request, client: &Client) -> Result<Response, Error> {
    let answer = Answer::read(request);
    let flow = match take(room, &answer).await {
        Ok(flow) => flow,
        Err(error @ (Error::Database { .. } | Error::Unavailable(_) | Error::WritesHeld)) => return Err(error),
        // Nobody knows where the browser belongs but the settings.
        Err(error) => return landing::error(room.config.redirects.site(), Flow::Pkce, &error),
    };
    let redirects = &room.config.redirects;
    let to = match &flow.redirect_to {
        Some(to) if redirects.allows(to) => to.as_str(),
        _ => redirects.site(),
    };
    let page = Destination::of_page(room, to);
    let mut response = match (end(room, request, &answer, &flow, page.as_ref(), client).await, page) {
        // The pages cannot redeem it: the application behind them has the verifier.
        (Ok(Ended::Code(code)), Some(page)) => landing::code(&page.redirect_to, &code)?,
        (Ok(Ended::Code(code)), None) => landing::code(to, &code)?,
        (Ok(Ended::Linked(page)), _) => pages::linked(room, &page)?,
        (Ok(Ended::Session(granted, _)), Some(page)) => {
            pages::arrive(room, request, client, page, Ok(Some(granted))).await?
        }
        (Ok(Ended::Session(granted, tokens)), None) => {
            let mut more = vec![("provider_token", tokens.access.expose().as_str())];
            if let Some(refresh) = &tokens.refresh {
                more.push(("provider_refresh_token", refresh.expose()));
            }
            landing::tokens(to, &room.tokens(&granted).await?, &more)?
        }
        (Err(error), Some(page)) => pages::arrive(room, request, client, page, Err(error)).await?,
        (Err(error), None) => landing::error(to, Flow::Pkce, &error)?,
    };
    if flow.flow() == Flow::Implicit {
        set_cookie(room, &mut response, flow.id, "", 0, false);
    }
    Ok(response)
}

/// What a provider's answer holds.
#[derive(Default)]
struct Answer {
    state: String,
    code: String,
    error: String,
    error_description: String,
    issuer: Option<String>,
    /// Apple's word on who it is, the first time.
    user: String,
}

impl Answer {
    fn read(request: &Request) -> Self {
        let mut answer = Answer::default();
        let pairs = match request.method {
            HttpMethod::POST => request::form(&request.body),
            _ => request::parameters(request),
        };
        for (name, value) in pairs {
            match name.as_str() {
                "state" => answer.state = value,
                "code" => answer.code = value,
                "error" => answer.error = value,
                "error_description" => answer.error_description = value,
                "iss" => answer.issuer = Some(value),
                "user" => answer.user = value,
                _ => {}
            }
        }
        answer
    }
}

async fn take(room: &AuthRoom, answer: &Answer) -> Result<Returned, Error> {
    if answer.state.is_empty() {
        return Err(Error::BadOAuthCallback("OAuth state parameter missing"));
    }
    let state: Uuid = answer
        .state
        .parse()
        .map_err(|_| Error::BadOAuthState("OAuth state parameter is invalid"))?;
    let now = clock::now();
    room.store
        .transact(move |tx| async move { Ok(Decision::Commit(flows::take(&tx, state, now).await?)) })
        .await
        .map_err(|error| Error::of_database("Error loading flow state", error))?
}

enum Ended {
    Code(Secret<String>),
    Session(Box<Granted>, ProviderTokens),
    /// Somebody has linked an identity and wants to see this page. It may be another browser that comes back than the one
    /// that began: no session begins, so none is opened there.
    Linked(Destination),
}

async fn end(
    room: &AuthRoom,
    request: &Request,
    answer: &Answer,
    flow: &Returned,
    page: Option<&Destination>,
    client: &Client,
) -> Result<Ended, Error> {
    // Whoever links was signed in when it began, by a request that no other site can make.
    let is_marked = || mark(request, flow.id).is_some_and(|mark| flow.secret.is_marked(&mark));
    if flow.flow() == Flow::Implicit && flow.linking.is_none() && !is_marked() {
        return Err(Error::BadOAuthState("OAuth flow was begun in another browser"));
    }
    if !answer.error.is_empty() {
        return Err(Error::provider_refused(&answer.error, &answer.error_description));
    }
    if answer.code.is_empty() || answer.code.len() > CODE_BYTES_MAX {
        return Err(Error::BadOAuthCallback(
            "OAuth callback with missing authorization code",
        ));
    }
    let provider = room
        .provider(&flow.provider)
        .ok_or(Error::UnsupportedProvider("provider is not enabled"))?;
    let callback = room.callback();
    let arrival = Arrival {
        code: &answer.code,
        issuer: answer.issuer.as_deref(),
        secret: &flow.secret,
        callback: &callback,
    };
    let now = clock::now().as_second();
    let (mut person, tokens) = exchange::person(room.reach(), provider, &arrival, now).await?;
    if provider.name == "apple" {
        person = named(person, &answer.user);
    }
    let linked = page.filter(|_| flow.linking.is_some());
    let ending = Ending {
        visitor: Visitor {
            new_id: UserId(Uuid::new_v4()),
            provider: provider.name.clone(),
            person,
            rules: room.rules(provider),
        },
        flow: flow.clone(),
        begins_session: flow.code.is_none() && linked.is_none(),
        tokens: tokens.clone(),
        refresh_token: sessions::refresh_token()?,
        client: client.clone(),
    };
    if flow.linking.is_none() {
        entering::announce(room, &ending.visitor).await?;
    }
    let settled = entering::settled(|| {
        let ending = ending.clone();
        room.store.transact(move |tx| settle(tx, ending.clone()))
    });
    match (settled.await?, &flow.code, linked) {
        (Some(granted), ..) => Ok(Ended::Session(Box::new(granted), tokens)),
        (None, Some(code), _) => Ok(Ended::Code(code.clone())),
        (None, None, Some(page)) => Ok(Ended::Linked(page.clone())),
        (None, None, None) => Err(Error::Unexpected("a flow ended in nothing".into())),
    }
}

/// Apple tells a name once, outside the token: it names nobody, it only names.
fn named(person: crate::external::person::Person, user: &str) -> crate::external::person::Person {
    #[derive(Default, Deserialize)]
    #[serde(default, rename_all = "camelCase")]
    struct Name {
        first_name: String,
        last_name: String,
    }
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct AppleUser {
        name: Name,
    }
    let told: AppleUser = serde_json::from_str(user).unwrap_or_default();
    person.named(&told.name.first_name, &told.name.last_name)
}

#[derive(Clone)]
struct Ending {
    visitor: Visitor,
    flow: Returned,
    begins_session: bool,
    tokens: ProviderTokens,
    refresh_token: Secret<String>,
    client: Client,
}

/// Finds the account and ends the flow there. `None`: no session begins with it.
async fn settle(tx: Tx, ending: Ending) -> Result<Decision<Result<Option<Granted>, Error>>, BackendError> {
    let user = match entering::account(&tx, &ending.visitor, ending.flow.linking).await? {
        Ok(user) => user,
        Err(error) => return Ok(Decision::Rollback(Err(error))),
    };
    flows::arrive(&tx, &ending.flow, user, &ending.tokens).await?;
    if !ending.begins_session {
        return Ok(Decision::Commit(Ok(None)));
    }
    let traits = audit::by_provider(&ending.visitor.provider);
    let begun = entering::begin(&tx, user, Method::OAuth, traits, &ending.client, ending.refresh_token);
    Ok(match begun.await? {
        Decision::Commit(granted) => Decision::Commit(granted.map(Some)),
        Decision::Rollback(granted) => Decision::Rollback(granted.map(Some)),
    })
}

//! The way to a provider and what is learnt there: an address to send browsers to, a code for tokens, tokens for a person.

use mainstay_core::secret::Secret;
use mainstay_http::Outgoing;
use mainstay_http::outgoing::{Call, OutgoingError, Reply, form, with_query};
use serde::Deserialize;
use serde_json::Value as Json;

use super::catalog::{ClientAuth, Described, Discovered, Issuer, Kind, Pkce, Quirk};
use super::flows::FlowSecret;
use super::id_token::{self, BadIdToken};
use super::person::Person;
use super::settings::Provider;
use crate::error::Error;
use crate::secrets;
use mainstay_http::issuers::{IssuerError, Issuers};

/// Bytes of a provider's answer.
const ANSWER_BYTES_MAX: usize = 512 * 1024;

/// What went wrong at a provider. For the log: nothing of codes, tokens or answers is in it.
#[derive(Debug, thiserror::Error)]
enum Failed {
    #[error("{0}")]
    Outgoing(#[from] OutgoingError),
    #[error("{0}")]
    Issuer(#[from] IssuerError),
    #[error("{what} was answered with {status}{error}")]
    Status {
        what: &'static str,
        status: u16,
        /// The provider's own short word, if it gave one (RFC 6749 §5.2).
        error: String,
    },
    #[error("there is no {0} in the answer")]
    Missing(&'static str),
    #[error("the ID token is not taken: {0}")]
    IdToken(#[from] BadIdToken),
}

/// Tokens of a provider's, which the application may use there.
#[derive(Clone, Debug)]
pub struct ProviderTokens {
    pub access: Secret<String>,
    pub refresh: Option<Secret<String>>,
}

/// Who sends requests, and what is known of issuers.
#[derive(Clone, Copy)]
pub struct Reach<'a> {
    pub outgoing: &'a Outgoing,
    pub issuers: &'a Issuers,
}

/// A provider's places.
struct Places {
    authorize: String,
    token: String,
    has_pkce: bool,
    client: ClientAuth,
    /// Answers must name their issuer, and this one.
    issuer: Option<String>,
}

async fn places(reach: Reach<'_>, provider: &Provider) -> Result<Places, Failed> {
    let description = provider.description;
    let discovered = match &description.kind {
        Kind::Described(described) => {
            return Ok(Places {
                authorize: provider.at(&described.authorize),
                token: provider.at(&described.token),
                has_pkce: description.pkce == Pkce::Always,
                client: described.client,
                issuer: None,
            });
        }
        Kind::Discovered(Discovered {
            issuer: Issuer::Tenants,
            ..
        }) => {
            return Ok(Places {
                authorize: provider.at_tenant("authorize"),
                token: provider.at_tenant("token"),
                has_pkce: description.pkce == Pkce::Always,
                client: ClientAuth::Body,
                issuer: None,
            });
        }
        Kind::Discovered(discovered) => discovered,
    };
    let issuer = provider.issuer(discovered, None).ok_or(IssuerError::TooSoon)?;
    let known = reach.issuers.get(&issuer).await?;
    let metadata = &known.metadata;
    if metadata.authorization_endpoint.is_empty() {
        return Err(Failed::Missing("authorization_endpoint"));
    }
    if metadata.token_endpoint.is_empty() {
        return Err(Failed::Missing("token_endpoint"));
    }
    Ok(Places {
        authorize: metadata.authorization_endpoint.clone(),
        token: metadata.token_endpoint.clone(),
        has_pkce: match description.pkce {
            Pkce::Always => true,
            Pkce::Never => false,
            Pkce::IfPublished => metadata.has_pkce(),
        },
        client: match metadata.takes_secret_in_body() {
            true => ClientAuth::Body,
            false => ClientAuth::Basic,
        },
        issuer: metadata
            .authorization_response_iss_parameter_supported
            .then(|| metadata.issuer.clone()),
    })
}

/// What a browser is sent to a provider with.
pub struct Departure<'a> {
    pub state: &'a str,
    pub secret: &'a FlowSecret,
    /// The room's own callback.
    pub callback: &'a str,
    /// Scopes that the application asks for.
    pub scopes: Vec<String>,
    /// Parameters of the application's own.
    pub parameters: Vec<(String, String)>,
}

/// The address that begins the flow at the provider. Errors: `ProviderUnreachable`.
pub async fn address(reach: Reach<'_>, provider: &Provider, departure: &Departure<'_>) -> Result<String, Error> {
    let places = places(reach, provider).await.map_err(|failed| {
        tracing::warn!(provider = provider.name, %failed, "auth: a provider cannot be used");
        Error::ProviderUnreachable
    })?;
    let description = provider.description;
    let mut scopes: Vec<&str> = description.scopes.to_vec();
    for scope in provider.scopes.iter().chain(&departure.scopes) {
        if !scopes.contains(&scope.as_str()) {
            scopes.push(scope);
        }
    }
    let (scopes, nonce, challenge) = (scopes.join(" "), departure.secret.nonce(), departure.secret.challenge());
    let mut query: Vec<(&str, &str)> = departure
        .parameters
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    query.extend([
        ("client_id", provider.client_id()),
        ("redirect_uri", redirect_uri(provider, departure.callback)),
        ("response_type", "code"),
        ("scope", &scopes),
        ("state", departure.state),
    ]);
    if matches!(&description.kind, Kind::Discovered(discovered) if discovered.has_nonce) {
        query.push(("nonce", &nonce));
    }
    if places.has_pkce {
        query.extend([
            ("code_challenge", challenge.as_str()),
            ("code_challenge_method", "S256"),
        ]);
    }
    if description.is_form_post {
        query.push(("response_mode", "form_post"));
    }
    Ok(with_query(&places.authorize, &query))
}

fn redirect_uri<'a>(provider: &'a Provider, callback: &'a str) -> &'a str {
    provider.redirect_uri.as_deref().unwrap_or(callback)
}

/// What a browser comes back with.
pub struct Arrival<'a> {
    pub code: &'a str,
    /// The issuer that the answer names (RFC 9207).
    pub issuer: Option<&'a str>,
    pub secret: &'a FlowSecret,
    pub callback: &'a str,
}

/// Redeems the code and asks who it is. Errors: `BadOAuthCallback`, `ProviderExchange`, `ProviderProfile`.
pub async fn person(
    reach: Reach<'_>,
    provider: &Provider,
    arrival: &Arrival<'_>,
    now: i64,
) -> Result<(Person, ProviderTokens), Error> {
    let failed = |error: Error| {
        move |failed: Failed| {
            tracing::warn!(provider = provider.name, %failed, "auth: a sign-in by a provider came to nothing");
            error
        }
    };
    let places = places(reach, provider).await.map_err(failed(Error::ProviderExchange))?;
    // An answer that another provider gave (a mix-up): this one must not get its code.
    let is_other = |expected: &String| arrival.issuer.is_none_or(|named| named != expected);
    if places.issuer.as_ref().is_some_and(is_other) {
        return Err(Error::BadOAuthCallback("OAuth callback from another issuer"));
    }
    let answer = redeem(reach.outgoing, provider, &places, arrival)
        .await
        .map_err(failed(Error::ProviderExchange))?;
    let person = match &provider.description.kind {
        Kind::Discovered(discovered) => of_token(reach, provider, discovered, arrival, &answer, now).await,
        Kind::Described(described) => of_interface(reach.outgoing, provider, described, &answer).await,
    };
    let person = person.map_err(failed(Error::ProviderProfile))?;
    let tokens = ProviderTokens {
        access: answer.access_token,
        refresh: answer.refresh_token,
    };
    Ok((person?, tokens))
}

/// The members of a token endpoint's answer that are used.
struct Answer {
    access_token: Secret<String>,
    refresh_token: Option<Secret<String>>,
    id_token: Option<Secret<String>>,
}

/// As the answer is read (RFC 6749 §5.1, §5.2).
#[derive(Deserialize)]
struct AnswerBody {
    access_token: Option<String>,
    refresh_token: Option<String>,
    id_token: Option<String>,
    error: Option<Json>,
}

async fn redeem(
    outgoing: &Outgoing,
    provider: &Provider,
    places: &Places,
    arrival: &Arrival<'_>,
) -> Result<Answer, Failed> {
    let mut pairs = vec![
        ("grant_type", "authorization_code"),
        ("code", arrival.code),
        ("redirect_uri", redirect_uri(provider, arrival.callback)),
    ];
    if places.has_pkce {
        pairs.push(("code_verifier", arrival.secret.verifier().expose()));
    }
    if places.client == ClientAuth::Body {
        pairs.extend([
            ("client_id", provider.client_id()),
            ("client_secret", provider.secret.expose()),
        ]);
    }
    let mut call = Call::post_form(&places.token, &pairs).at_most(ANSWER_BYTES_MAX);
    if places.client == ClientAuth::Basic {
        // RFC 6749 §2.3.1: both are encoded as in forms first.
        let encoded = |text: &str| form(&[("", text)]).trim_start_matches('=').to_owned();
        call = call.basic(
            &encoded(provider.client_id()),
            &Secret::new(encoded(provider.secret.expose())),
        );
    }
    let reply = outgoing.send(call).await?;
    let body: Option<AnswerBody> = reply.json().ok();
    let refused = body.as_ref().and_then(|body| body.error.as_ref());
    if !reply.status.is_success() || refused.is_some() {
        return Err(Failed::Status {
            what: "the code",
            status: reply.status.as_u16(),
            error: word(refused),
        });
    }
    let filled = |text: Option<String>| text.filter(|text| !text.is_empty()).map(Secret::new);
    let body = body.ok_or(Failed::Missing("JSON"))?;
    Ok(Answer {
        access_token: filled(body.access_token).ok_or(Failed::Missing("access token"))?,
        refresh_token: filled(body.refresh_token),
        id_token: filled(body.id_token),
    })
}

/// An error's name, if it is one: letters and underscores. Longer texts may repeat what was sent.
fn word(error: Option<&Json>) -> String {
    let name = error.and_then(Json::as_str).unwrap_or_default();
    let is_word =
        (1..=64).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    match is_word {
        true => format!(" ({name})"),
        false => String::new(),
    }
}

/// Out of the ID token, which must be of this flow.
async fn of_token(
    reach: Reach<'_>,
    provider: &Provider,
    discovered: &Discovered,
    arrival: &Arrival<'_>,
    answer: &Answer,
    now: i64,
) -> Result<Result<Person, Error>, Failed> {
    let id_token = answer.id_token.as_ref().ok_or(Failed::Missing("ID token"))?;
    let held = id_token::verify(reach.issuers, provider, discovered, id_token, now).await?;
    if discovered.has_nonce && !id_token::is_nonce(&held, &arrival.secret.nonce()) {
        return Err(BadIdToken::Nonce.into());
    }
    id_token::check_access_token(&held, id_token, &answer.access_token)?;
    let mut claims = held.claims().clone();
    if claims.get("email").is_none() && !matches!(discovered.issuer, Issuer::Tenants) {
        add_user_info(reach, provider, discovered, answer, &mut claims).await?;
    }
    Ok(Person::of_claims(provider.vouches(discovered), &held.issuer, &claims))
}

/// Adds what the issuer tells only when it is asked (OpenID Connect Core §5.3). The subject must be the token's.
async fn add_user_info(
    reach: Reach<'_>,
    provider: &Provider,
    discovered: &Discovered,
    answer: &Answer,
    claims: &mut serde_json::Map<String, Json>,
) -> Result<(), Failed> {
    let Some(issuer) = provider.issuer(discovered, None) else {
        return Ok(());
    };
    let known = reach.issuers.get(&issuer).await?;
    let url = &known.metadata.userinfo_endpoint;
    if url.is_empty() {
        return Ok(());
    }
    let call = Call::get(url).bearer(&answer.access_token).at_most(ANSWER_BYTES_MAX);
    let told: Json = read(&reach.outgoing.send(call).await?)?;
    let Json::Object(told) = told else {
        return Err(Failed::Missing("object"));
    };
    if told.get("sub") != claims.get("sub") {
        return Err(Failed::Missing("same subject"));
    }
    for (name, value) in told {
        // What was signed goes before what was said.
        claims.entry(name).or_insert(value);
    }
    Ok(())
}

/// Out of what the provider's own interface says.
async fn of_interface(
    outgoing: &Outgoing,
    provider: &Provider,
    described: &Described,
    answer: &Answer,
) -> Result<Result<Person, Error>, Failed> {
    let api = provider.api(described);
    let ask = async |path: &str| -> Result<Json, Failed> {
        let url = format!("{api}{path}");
        let call = match described.quirk {
            None => Call::get(&url),
            Some(Quirk::ClientIdHeader) => {
                Call::get(&url).header(http::HeaderName::from_static("client-id"), provider.client_id())
            }
            Some(Quirk::AppSecretProof) => {
                let proof = app_secret_proof(&provider.secret, &answer.access_token);
                Call::get(&with_query(&url, &[("appsecret_proof", &proof)]))
            }
        };
        read(
            &outgoing
                .send(call.bearer(&answer.access_token).at_most(ANSWER_BYTES_MAX))
                .await?,
        )
    };
    let user = ask(described.user).await?;
    let list = match &described.emails {
        Some(emails) => Some(ask(emails.path).await?),
        None => None,
    };
    Ok(Person::of_profile(described, &api, &user, list.as_ref()))
}

fn read(reply: &Reply) -> Result<Json, Failed> {
    if !reply.status.is_success() {
        return Err(Failed::Status {
            what: "the question who it is",
            status: reply.status.as_u16(),
            error: String::new(),
        });
    }
    Ok(reply.json()?)
}

/// The token's keyed hash, in hexadecimal digits.
fn app_secret_proof(secret: &Secret<String>, token: &Secret<String>) -> String {
    use aws_lc_rs::hmac::{HMAC_SHA256, Key, sign};
    let key = Key::new(HMAC_SHA256, secret.expose().as_bytes());
    let tag = sign(&key, token.expose().as_bytes());
    secrets::hex(tag.as_ref())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_word_of_an_answer_is_logged() {
        let word = |value: Json| word(Some(&value));
        assert_eq!(word("invalid_grant".into()), " (invalid_grant)");
        for long in ["code abc is wrong", "", "a\nb", &"a".repeat(65)] {
            assert_eq!(word(long.into()), "");
        }
        assert_eq!(word(serde_json::json!({"message": "x"})), "");
    }
}

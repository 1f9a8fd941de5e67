//! Finds out who is calling: which of the credentials counts, and what role it gives.
//!
//! A broken credential is an error, never less than nothing: it does not fall back to the anonymous role.
//!
//! Source: the order of credentials is the Supabase command line's gateway rule; role and claims as PostgREST,
//! "Authentication".

use std::sync::{Arc, PoisonError, RwLock};

use http::{HeaderMap, header};
use mainstay_core::caller::{Caller, RequestContext};
use mainstay_core::name::Ident;
use serde_json::{Map, Value};

use crate::error::{Error, TokenError};
use crate::foreign::{Foreign, is_reserved};
use crate::keys::{ApiKeys, is_opaque};
use crate::token::{Verified, Verifier};

/// In this header the holder of the secret key says for whom an answer is to be explained.
pub const STAND_IN: &str = "mainstay-as";
/// The role of the secret key.
const SECRET_ROLE: &str = "service_role";
/// The role of signed-in users.
const USER_ROLE: &str = "authenticated";

/// What the caller proved itself with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Credential {
    None,
    /// The project's publishable or legacy anonymous key, or its secret key.
    ApiKey,
    Token,
    /// A token of an issuer elsewhere: its subject is none of the project's users.
    ForeignToken,
}

/// A caller and how it was recognised.
#[derive(Clone, Debug)]
pub struct Authenticated {
    pub caller: Caller,
    pub credential: Credential,
    /// The token, where the caller came with one.
    pub verified: Option<Arc<Verified>>,
}

impl Authenticated {
    /// The user whom the token names.
    pub fn user(&self) -> Option<&str> {
        let subject = self.verified.as_ref()?.claims.get("sub")?.as_str()?;
        (!subject.is_empty()).then_some(subject)
    }

    /// True if the caller has the secret key. A user whose role is the key's has a session, which ends; the key does not.
    fn is_secret(&self) -> bool {
        let session = self.verified.as_ref().and_then(|token| token.claims.get("session_id"));
        self.caller.role == SECRET_ROLE && session.is_none()
    }
}

/// The verifier in force; another one may take its place at any time.
pub struct Verifying(RwLock<Arc<Verifier>>);

impl Verifying {
    pub fn new(verifier: Verifier) -> Self {
        Verifying(RwLock::new(Arc::new(verifier)))
    }

    /// The one in force. Cheap: a pointer is cloned.
    pub fn now(&self) -> Arc<Verifier> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Puts another one in its place.
    pub fn replace(&self, verifier: Verifier) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(verifier);
    }
}

/// The rules of who may call as what.
pub struct Authenticator {
    pub verifier: Verifying,
    /// Issuers elsewhere whose tokens count.
    pub foreign: Arc<Foreign>,
    pub keys: Option<ApiKeys>,
    /// The role of a request without a token; `None` refuses it.
    pub anon_role: Option<Ident>,
    /// Path to the role in the claims, `["role"]` by default (`jwt-role-claim-key`).
    pub role_claim: Vec<String>,
    /// Refuse requests without any key.
    pub require_key: bool,
}

impl Authenticator {
    /// Recognises the caller of a request at `now` (seconds since 1970). `query_key` is `?apikey=`, which counts like
    /// the header.
    pub fn authenticate(&self, headers: &HeaderMap, query_key: Option<&str>, now: i64) -> Result<Authenticated, Error> {
        let bearer = bearer(headers)?;
        let key = single(headers, "apikey")?.or(query_key).filter(|text| !text.is_empty());
        match (bearer, key) {
            (Some(token), _) if !is_opaque(token) => self.by_token(token, now),
            (_, Some(key)) if is_opaque(key) => self.by_key(key),
            (_, Some(key)) => self.by_token(key, now),
            (Some(opaque), None) => self.by_key(opaque),
            (None, None) if self.require_key => Err(Error::KeyRequired),
            (None, None) => self.anonymous(),
        }
    }

    /// True if the request carries the secret key (as key or as token).
    pub fn is_service(&self, headers: &HeaderMap, now: i64) -> bool {
        self.authenticate(headers, None, now).is_ok_and(|who| who.is_secret())
    }

    /// True if the request carries the secret key, beside a user's token or alone.
    pub fn holds_secret(&self, headers: &HeaderMap, now: i64) -> bool {
        let by_key = || {
            let key = single(headers, "apikey").ok()??;
            let who = match is_opaque(key) {
                true => self.by_key(key),
                false => self.by_token(key, now),
            };
            who.ok().filter(Authenticated::is_secret)
        };
        self.is_service(headers, now) || by_key().is_some()
    }

    /// The caller that whoever holds the secret key speaks of: a role's name, a user's id, claims as a JSON object, or a
    /// token. Errors: `MS-HTTP-007` for anything else, and those of tokens.
    pub fn stand_in(&self, text: &str, now: i64) -> Result<Caller, Error> {
        let bad = |problem| Error::BadHeader(STAND_IN, problem);
        let text = text.trim();
        if text.starts_with('{') {
            let claims: Map<String, Value> =
                serde_json::from_str(text).map_err(|_| bad("the claims are not a JSON object"))?;
            let role = match self.role_in(&claims)? {
                Some(role) => role,
                None if claims.contains_key("sub") => Ident::new(USER_ROLE),
                None => self.anon_role.clone().ok_or(Error::TokenRequired)?,
            };
            return Ok(with_claims(claims, role));
        }
        if text.bytes().filter(|byte| *byte == b'.').count() == 2 {
            return Ok(self.by_token(text, now)?.caller);
        }
        if is_uuid(text) {
            let claims = Map::from_iter([("sub".to_owned(), Value::from(text))]);
            return Ok(with_claims(claims, Ident::new(USER_ROLE)));
        }
        let is_name = !text.is_empty()
            && text
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte));
        match is_name && text != "none" {
            true => Ok(Caller::of_role(text)),
            false => Err(bad("it is neither a role, nor a user's id, nor claims, nor a token")),
        }
    }

    fn anonymous(&self) -> Result<Authenticated, Error> {
        let role = self.anon_role.clone().ok_or(Error::TokenRequired)?;
        Ok(Authenticated {
            caller: Caller::of_role(role),
            credential: Credential::None,
            verified: None,
        })
    }

    fn by_key(&self, key: &str) -> Result<Authenticated, Error> {
        let role = self
            .keys
            .as_ref()
            .and_then(|keys| keys.role_of(key))
            .ok_or(Error::BadKey)?;
        let role = match (role, &self.anon_role) {
            ("anon", Some(anonymous)) => anonymous.clone(),
            _ => Ident::new(role),
        };
        Ok(Authenticated {
            caller: Caller::of_role(role),
            credential: Credential::ApiKey,
            verified: None,
        })
    }

    fn by_token(&self, token: &str, now: i64) -> Result<Authenticated, Error> {
        let verifier = self.verifier.now();
        if verifier.is_empty() {
            return Err(Error::SecretMissing);
        }
        let (verified, credential) = match verifier.verify(token, now) {
            Err(TokenError::NoKey) => match self.foreign.verify(token, now) {
                Some(verified) => (verified, Credential::ForeignToken),
                None => (Err(TokenError::NoKey), Credential::Token),
            },
            verified => (verified, Credential::Token),
        };
        let verified = verified.map_err(Error::Token)?;
        let named = self.role_in(&verified.claims)?;
        if credential == Credential::ForeignToken && named.as_ref().is_some_and(|role| is_reserved(role.as_str())) {
            return Err(Error::Token(TokenError::Claims));
        }
        let role = match &named {
            Some(role) => role.clone(),
            None => self.anon_role.clone().ok_or(Error::TokenRequired)?,
        };
        let claims = match &named {
            Some(_) if matches!(self.role_claim.as_slice(), [only] if only == "role") => verified.text.clone(),
            _ => with_role(&verified, &role),
        };
        let caller = Caller {
            role,
            claims,
            request: RequestContext::default(),
        };
        Ok(Authenticated {
            caller,
            credential,
            verified: Some(verified),
        })
    }

    /// The role claim; a claim of another type than text is no role at all and refused.
    fn role_in(&self, claims: &Map<String, Value>) -> Result<Option<Ident>, Error> {
        let mut path = self.role_claim.iter();
        let mut found = path.next().and_then(|name| claims.get(name));
        for name in path {
            found = found.and_then(|value| match (value, name.parse::<usize>()) {
                (Value::Array(items), Ok(index)) => items.get(index),
                (other, _) => other.get(name),
            });
        }
        match found {
            None | Some(Value::Null) => Ok(None),
            // PostgreSQL takes the role `none` for the connection's own, which may be a superuser.
            Some(Value::String(role)) if !role.is_empty() && role != "none" && !role.contains('\0') => {
                Ok(Some(Ident::new(role)))
            }
            Some(_) => Err(Error::Token(TokenError::Claims)),
        }
    }
}

/// The claims' text, with the role in force as its member `role`.
fn with_role(verified: &Verified, role: &Ident) -> Arc<str> {
    if verified.claims.get("role").and_then(Value::as_str) == Some(role.as_str()) {
        return verified.text.clone();
    }
    let mut claims = verified.claims.clone();
    claims.insert("role".to_owned(), Value::String(role.to_string()));
    Arc::from(Value::Object(claims).to_string())
}

fn with_claims(mut claims: Map<String, Value>, role: Ident) -> Caller {
    claims.insert("role".to_owned(), Value::String(role.to_string()));
    Caller {
        role,
        claims: Arc::from(Value::Object(claims).to_string()),
        request: RequestContext::default(),
    }
}

/// `8-4-4-4-12` hexadecimal digits.
fn is_uuid(text: &str) -> bool {
    let groups: Vec<&str> = text.split('-').collect();
    let lengths: Vec<usize> = groups.iter().map(|group| group.len()).collect();
    lengths == [8, 4, 4, 4, 12] && groups.concat().bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// The token of `Authorization: Bearer …` (the scheme in any case); other schemes are none of ours.
fn bearer(headers: &HeaderMap) -> Result<Option<&str>, Error> {
    let Some(value) = single(headers, header::AUTHORIZATION.as_str())? else {
        return Ok(None);
    };
    let (scheme, token) = value.split_once(' ').unwrap_or((value, ""));
    if !scheme.eq_ignore_ascii_case("bearer") {
        return Ok(None);
    }
    let token = token.trim();
    if token.is_empty() {
        Err(Error::Token(TokenError::Empty))
    } else {
        Ok(Some(token))
    }
}

/// The one value of a header that must not be repeated.
fn single<'a>(headers: &'a HeaderMap, name: &'static str) -> Result<Option<&'a str>, Error> {
    let mut values = headers.get_all(name).iter();
    let Some(first) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(Error::BadHeader(name_of(name), "it is sent more than once"));
    }
    let text = first
        .to_str()
        .map_err(|_| Error::BadHeader(name_of(name), "it is not ASCII text"))?;
    Ok(Some(text.trim()))
}

fn name_of(name: &str) -> &'static str {
    if name.eq_ignore_ascii_case("apikey") {
        "apikey"
    } else {
        "authorization"
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::sign;
    use http::HeaderValue;
    use serde_json::json;

    const NOW: i64 = 1_800_000_000;

    fn authenticator() -> Authenticator {
        let keys = ApiKeys::generate(NOW).unwrap();
        Authenticator {
            verifier: Verifying::new(Verifier::from_secret(&keys.jwt_secret, false).unwrap()),
            foreign: Arc::default(),
            keys: Some(keys),
            anon_role: Some(Ident::new("anon")),
            role_claim: vec!["role".into()],
            require_key: false,
        }
    }

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| {
                (
                    http::HeaderName::from_static(name),
                    HeaderValue::from_str(value).unwrap(),
                )
            })
            .collect()
    }

    fn role(authenticator: &Authenticator, pairs: &[(&'static str, &str)]) -> Result<String, Error> {
        authenticator
            .authenticate(&headers(pairs), None, NOW)
            .map(|who| who.caller.role.to_string())
    }

    #[test]
    fn the_right_credential_counts() {
        let it = authenticator();
        let keys = it.keys.clone().unwrap();
        let user = sign(&keys.jwt_secret, &json!({"role": "authenticated", "sub": "x"})).unwrap();
        let bearer_user = format!("Bearer {user}");
        let bearer_secret = format!("Bearer {}", keys.secret.expose());
        let (publishable, secret) = (keys.publishable.expose().as_str(), keys.secret.expose().as_str());
        assert_eq!(role(&it, &[]).unwrap(), "anon");
        assert_eq!(role(&it, &[("apikey", publishable)]).unwrap(), "anon");
        assert_eq!(role(&it, &[("apikey", secret)]).unwrap(), "service_role");
        assert_eq!(
            role(&it, &[("apikey", secret), ("authorization", &bearer_user)]).unwrap(),
            "authenticated"
        );
        assert_eq!(
            role(&it, &[("apikey", publishable), ("authorization", &bearer_secret)]).unwrap(),
            "anon"
        );
        assert_eq!(role(&it, &[("authorization", &bearer_secret)]).unwrap(), "service_role");
        assert_eq!(
            role(&it, &[("apikey", keys.service_role.expose())]).unwrap(),
            "service_role"
        );
        assert_eq!(role(&it, &[("authorization", "Basic abc")]).unwrap(), "anon");
        let by_query = it.authenticate(&HeaderMap::new(), Some(secret), NOW).unwrap();
        assert_eq!(by_query.caller.role, "service_role");
    }

    #[test]
    fn a_broken_credential_is_never_anonymous() {
        let it = authenticator();
        for pairs in [
            vec![("authorization", "Bearer")],
            vec![("authorization", "Bearer ")],
            vec![("authorization", "Bearer nonsense")],
            vec![("apikey", "nonsense")],
            vec![("apikey", "sb_secret_nonsense")],
            vec![("authorization", "Bearer sb_secret_nonsense")],
            vec![("authorization", "Bearer a.b.c"), ("apikey", "sb_publishable_x")],
        ] {
            assert!(role(&it, &pairs).is_err(), "{pairs:?}");
        }
        let mut twice = headers(&[("authorization", "Bearer a.b.c")]);
        twice.append("authorization", HeaderValue::from_static("Bearer d.e.f"));
        assert!(it.authenticate(&twice, None, NOW).is_err());
    }

    #[test]
    fn a_role_that_is_not_text_is_refused() {
        let it = authenticator();
        let secret = it.keys.clone().unwrap().jwt_secret;
        for claim in [
            json!(1),
            json!(["service_role"]),
            json!({"a": 1}),
            json!(""),
            json!(true),
        ] {
            let token = format!("Bearer {}", sign(&secret, &json!({"role": claim})).unwrap());
            assert!(role(&it, &[("authorization", &token)]).is_err(), "{claim}");
        }
        let without = format!("Bearer {}", sign(&secret, &json!({"sub": "x"})).unwrap());
        assert_eq!(role(&it, &[("authorization", &without)]).unwrap(), "anon");
    }

    #[test]
    fn a_stand_in_is_a_role_a_user_claims_or_a_token() {
        let it = authenticator();
        let secret = it.keys.clone().unwrap().jwt_secret;
        let user = "00000001-0000-4000-8000-000000000001";
        let of = |text: &str| {
            it.stand_in(text, NOW)
                .map(|caller| (caller.role.to_string(), caller.claim("sub")))
        };
        let sub = Some(format!("\"{user}\""));
        assert_eq!(of("anon").unwrap(), ("anon".into(), None));
        assert_eq!(of(user).unwrap(), ("authenticated".into(), sub.clone()));
        assert_eq!(
            of(&json!({"sub": user, "role": "clerk"}).to_string()).unwrap(),
            ("clerk".into(), sub.clone())
        );
        assert_eq!(
            of(&json!({"sub": user}).to_string()).unwrap(),
            ("authenticated".into(), sub.clone())
        );
        assert_eq!(of("{}").unwrap(), ("anon".into(), None));
        let token = sign(&secret, &json!({"role": "authenticated", "sub": user})).unwrap();
        assert_eq!(of(&token).unwrap(), ("authenticated".into(), sub));
        for bad in ["", "none", "a b", "{", "[1]", "{\"role\": 1}", "a.b.c"] {
            assert!(of(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_secret_key_counts_beside_a_users_token() {
        let it = authenticator();
        let keys = it.keys.clone().unwrap();
        let user = sign(&keys.jwt_secret, &json!({"role": "authenticated", "sub": "x"})).unwrap();
        let user = format!("Bearer {user}");
        let holds = |pairs: &[(&'static str, &str)]| it.holds_secret(&headers(pairs), NOW);
        let (publishable, secret) = (keys.publishable.expose().as_str(), keys.secret.expose().as_str());
        assert!(holds(&[("apikey", secret)]));
        assert!(holds(&[("apikey", secret), ("authorization", &user)]));
        assert!(holds(&[
            ("apikey", keys.service_role.expose()),
            ("authorization", &user)
        ]));
        assert!(!holds(&[]));
        assert!(!holds(&[("authorization", &user)]));
        assert!(!holds(&[("apikey", publishable), ("authorization", &user)]));
        assert!(!holds(&[("apikey", "sb_secret_nonsense"), ("authorization", &user)]));
    }

    #[test]
    fn the_claims_always_name_the_role() {
        let it = authenticator();
        let secret = it.keys.clone().unwrap().jwt_secret;
        let token = format!("Bearer {}", sign(&secret, &json!({"sub": "x"})).unwrap());
        let who = it
            .authenticate(&headers(&[("authorization", &token)]), None, NOW)
            .unwrap();
        assert_eq!(who.caller.claim("role").as_deref(), Some("\"anon\""));
        assert_eq!(who.caller.claim("sub").as_deref(), Some("\"x\""));
    }
}

//! Verifies JSON Web Tokens: which key, which algorithm, and whether the claims hold now.
//!
//! Not here: issuing tokens (`auth`; only the project's own API keys are signed in [`keys`](crate::keys)).
//!
//! Source: RFC 7515, 7517, 7518, 7519, 8037; clock skew and error texts as PostgREST's "Authentication" page has them.

use std::str::FromStr;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::jwk::{Jwk, JwkSet};
use jsonwebtoken::{Algorithm, AlgorithmFamily, DecodingKey};
use mainstay_core::secret::Secret;
use serde::Deserialize;
use serde_json::Value;

use crate::error::TokenError;
use crate::recent::Recent;

/// How far clocks may differ, in seconds.
pub const CLOCK_SKEW_SECONDS: i64 = 30;

/// Longer tokens are refused unread, in bytes.
pub const TOKEN_BYTES_MAX: usize = 16 * 1024;

/// A key that tokens may be signed with.
struct Key {
    id: Option<String>,
    family: AlgorithmFamily,
    /// Named by the JWK; otherwise every algorithm of the family is accepted.
    algorithm: Option<Algorithm>,
    key: Secret<DecodingKey>,
}

/// Verifies tokens against a fixed set of keys.
pub struct Verifier {
    keys: Vec<Key>,
    /// Tokens whose signatures were good, under these keys.
    recent: Recent,
    audience: Option<String>,
    issuer: Option<String>,
}

/// Why a configured secret or key set cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    #[error("the JWT secret must be at least {SECRET_BYTES_MIN} bytes long")]
    SecretTooShort,
    #[error("the JWT secret is not valid base64")]
    NotBase64,
    #[error("the JSON Web Key cannot be used: {0}")]
    BadJwk(String),
}

/// RFC 7518 §3.2 wants 32 bytes for HS256; PostgREST refuses less as well.
pub const SECRET_BYTES_MIN: usize = 32;

/// Keys of a published set that are looked at.
const PUBLISHED_KEYS_MAX: usize = 64;

/// A verified token.
#[derive(Clone, Debug, PartialEq)]
pub struct Verified {
    /// The payload as it was signed, valid JSON.
    pub text: Arc<str>,
    pub claims: serde_json::Map<String, Value>,
    times: Times,
}

/// When a token's claims hold, in seconds since 1970.
#[derive(Clone, Debug, PartialEq)]
struct Times {
    expires: Result<Option<f64>, TokenError>,
    begins: Result<Option<f64>, TokenError>,
    issued: Result<Option<f64>, TokenError>,
}

impl Verified {
    /// What a payload says, whose signature is good.
    pub fn new(text: Arc<str>, claims: serde_json::Map<String, Value>) -> Self {
        let times = Times {
            expires: seconds(&claims, "exp"),
            begins: seconds(&claims, "nbf"),
            issued: seconds(&claims, "iat"),
        };
        Verified { text, claims, times }
    }
}

impl Times {
    /// Errors: one of them is no number; `Expired`, `NotYetValid`, `IssuedInFuture`.
    fn check(&self, now: i64) -> Result<(), TokenError> {
        if let Some(expires) = self.expires.clone()?
            && (now - CLOCK_SKEW_SECONDS) as f64 > expires
        {
            return Err(TokenError::Expired);
        }
        if let Some(begins) = self.begins.clone()?
            && ((now + CLOCK_SKEW_SECONDS) as f64) < begins
        {
            return Err(TokenError::NotYetValid);
        }
        if let Some(issued) = self.issued.clone()?
            && ((now + CLOCK_SKEW_SECONDS) as f64) < issued
        {
            return Err(TokenError::IssuedInFuture);
        }
        Ok(())
    }
}

#[derive(Deserialize)]
struct Header {
    alg: String,
    kid: Option<String>,
    crit: Option<Value>,
}

impl Verifier {
    /// A verifier without keys: every token is refused.
    pub fn without_keys() -> Self {
        Verifier {
            keys: Vec::new(),
            recent: Recent::default(),
            audience: None,
            issuer: None,
        }
    }

    /// Reads a secret as PostgREST's `jwt-secret` is read: a JWK, a JWK set, or the bytes of a symmetric key.
    pub fn from_secret(secret: &Secret<String>, is_base64: bool) -> Result<Self, KeyError> {
        let text = secret.expose();
        if let Ok(set) = serde_json::from_str::<JwkSet>(text) {
            return Verifier::from_jwks(&set.keys);
        }
        if let Ok(jwk) = serde_json::from_str::<Jwk>(text) {
            return Verifier::from_jwks(&[jwk]);
        }
        if text.trim_start().starts_with('{') {
            return Err(KeyError::BadJwk("not a key or a set of keys (RFC 7517)".into()));
        }
        let bytes = symmetric(secret, is_base64)?;
        if bytes.len() < SECRET_BYTES_MIN {
            return Err(KeyError::SecretTooShort);
        }
        let key = Key {
            id: None,
            family: AlgorithmFamily::Hmac,
            algorithm: None,
            key: Secret::new(DecodingKey::from_secret(&bytes)),
        };
        Ok(Verifier {
            keys: vec![key],
            recent: Recent::default(),
            audience: None,
            issuer: None,
        })
    }

    /// The keys that an issuer elsewhere publishes to verify its signatures with. Keys that nothing here can use, and
    /// keys for other uses, are left out; what is secret has no place in a published set and is left out too.
    ///
    /// Errors: `BadJwk` if nothing is left.
    pub fn from_published(set: &Value) -> Result<Self, KeyError> {
        let listed = set.get("keys").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        let keys: Vec<Key> = listed
            .iter()
            .take(PUBLISHED_KEYS_MAX)
            .filter(|key| key.get("use").and_then(Value::as_str).is_none_or(|used| used == "sig"))
            .filter_map(|key| Jwk::deserialize(key).ok())
            .filter_map(|jwk| key_of(&jwk).ok())
            .filter(|key| key.family != AlgorithmFamily::Hmac)
            .collect();
        if keys.is_empty() {
            return Err(KeyError::BadJwk("the published set has no key that verifies".into()));
        }
        Ok(Verifier {
            keys,
            ..Verifier::without_keys()
        })
    }

    fn from_jwks(jwks: &[Jwk]) -> Result<Self, KeyError> {
        let keys = jwks.iter().map(key_of).collect::<Result<Vec<_>, _>>()?;
        Ok(Verifier {
            keys,
            recent: Recent::default(),
            audience: None,
            issuer: None,
        })
    }

    /// Accepts another issuer's or an older key set beside the present keys.
    pub fn and(mut self, other: Verifier) -> Self {
        self.keys.extend(other.keys);
        self.recent = Recent::default();
        self
    }

    /// Demands that `aud`, where present, names `audience`.
    pub fn audience(mut self, audience: Option<String>) -> Self {
        self.audience = audience;
        self.recent = Recent::default();
        self
    }

    /// Demands that `iss` is `issuer`.
    pub fn issuer(mut self, issuer: Option<String>) -> Self {
        self.issuer = issuer;
        self.recent = Recent::default();
        self
    }

    /// True if no token can be verified.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// Verifies `token` at `now` (seconds since 1970). What was found good is not computed again; whether it is good at
    /// this time is asked each time.
    pub fn verify(&self, token: &str, now: i64) -> Result<Arc<Verified>, TokenError> {
        if let Some(verified) = self.recent.get(token) {
            verified.times.check(now)?;
            return Ok(verified);
        }
        let verified = Arc::new(self.verify_signature(token)?);
        verified.times.check(now)?;
        self.check_party(&verified.claims)?;
        self.recent.insert(token, verified.clone());
        Ok(verified)
    }

    fn verify_signature(&self, token: &str) -> Result<Verified, TokenError> {
        if token.is_empty() {
            return Err(TokenError::Empty);
        }
        let parts = token.split('.').count();
        let (Some((message, signature)), 3) = (token.rsplit_once('.'), parts) else {
            return Err(TokenError::Parts(parts));
        };
        let (Some((header, payload)), true) = (message.split_once('.'), token.len() <= TOKEN_BYTES_MAX) else {
            return Err(TokenError::Undecodable);
        };
        let header: Header = decode_json(header).ok_or(TokenError::Crypto)?;
        if header.crit.is_some() {
            return Err(TokenError::Algorithm("critical header parameters are not supported"));
        }
        if header.alg == "none" {
            return Err(TokenError::Algorithm(
                "JWT is unsecured but expected 'alg' was not 'none'",
            ));
        }
        let algorithm =
            Algorithm::from_str(&header.alg).map_err(|_| TokenError::Algorithm("the algorithm is not supported"))?;
        let verified = self
            .candidates(&header, algorithm)
            .any(|key| jsonwebtoken::crypto::verify(signature, message.as_bytes(), key, algorithm).unwrap_or(false));
        if !verified {
            return Err(TokenError::NoKey);
        }
        let bytes = URL_SAFE_NO_PAD.decode(payload).map_err(|_| TokenError::Undecodable)?;
        let text = String::from_utf8(bytes).map_err(|_| TokenError::Claims)?;
        let claims = serde_json::from_str(&text).map_err(|_| TokenError::Claims)?;
        Ok(Verified::new(text.into(), claims))
    }

    /// The keys to try: of the algorithm's family only, so that a public key is never taken for a shared secret. A key
    /// whose id the token names goes alone; an unknown id falls back to the keys without one.
    fn candidates<'a>(&'a self, header: &'a Header, algorithm: Algorithm) -> impl Iterator<Item = &'a DecodingKey> {
        let fits =
            move |key: &&Key| key.family == algorithm.family() && key.algorithm.is_none_or(|only| only == algorithm);
        let named = header.kid.is_some() && self.keys.iter().filter(fits).any(|key| key.id == header.kid);
        self.keys
            .iter()
            .filter(fits)
            .filter(move |key| {
                if named {
                    key.id == header.kid
                } else {
                    header.kid.is_none() || key.id.is_none()
                }
            })
            .map(|key| key.key.expose())
    }

    /// For whom a token is, and who has issued it.
    fn check_party(&self, claims: &serde_json::Map<String, Value>) -> Result<(), TokenError> {
        self.check_audience(claims.get("aud"))?;
        if let Some(issuer) = &self.issuer
            && claims.get("iss").and_then(Value::as_str) != Some(issuer)
        {
            return Err(TokenError::Issuer);
        }
        Ok(())
    }

    fn check_audience(&self, claim: Option<&Value>) -> Result<(), TokenError> {
        let named: Vec<&str> = match claim {
            None | Some(Value::Null) => return Ok(()),
            Some(Value::String(one)) => vec![one],
            Some(Value::Array(many)) => many
                .iter()
                .map(|entry| entry.as_str().ok_or(TokenError::AudienceType))
                .collect::<Result<_, _>>()?,
            Some(_) => return Err(TokenError::AudienceType),
        };
        match &self.audience {
            Some(_) if named.is_empty() => Ok(()),
            Some(audience) if !named.contains(&audience.as_str()) => Err(TokenError::Audience),
            _ => Ok(()),
        }
    }
}

/// The bytes of a symmetric key. Errors: `NotBase64`.
pub(crate) fn symmetric(secret: &Secret<String>, is_base64: bool) -> Result<Vec<u8>, KeyError> {
    let text = secret.expose();
    if !is_base64 {
        return Ok(text.as_bytes().to_vec());
    }
    let standard: String = text.trim().replace('-', "+").replace('_', "/").replace('.', "=");
    base64::engine::general_purpose::STANDARD
        .decode(standard)
        .map_err(|_| KeyError::NotBase64)
}

fn seconds(claims: &serde_json::Map<String, Value>, name: &'static str) -> Result<Option<f64>, TokenError> {
    match claims.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Number(number)) => number
            .as_f64()
            .filter(|value| value.is_finite())
            .map(Some)
            .ok_or(TokenError::NotANumber(name)),
        Some(_) => Err(TokenError::NotANumber(name)),
    }
}

fn decode_json<T: for<'de> Deserialize<'de>>(part: &str) -> Option<T> {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).ok()?).ok()
}

fn key_of(jwk: &Jwk) -> Result<Key, KeyError> {
    use jsonwebtoken::jwk::AlgorithmParameters;
    let family = match &jwk.algorithm {
        AlgorithmParameters::EllipticCurve(_) => AlgorithmFamily::Ec,
        AlgorithmParameters::RSA(_) => AlgorithmFamily::Rsa,
        AlgorithmParameters::OctetKey(_) => AlgorithmFamily::Hmac,
        AlgorithmParameters::OctetKeyPair(_) => AlgorithmFamily::Ed,
        #[allow(unreachable_patterns, reason = "the crate may add key types")]
        _ => return Err(KeyError::BadJwk("unknown key type".into())),
    };
    let algorithm = jwk
        .common
        .key_algorithm
        .and_then(|named| Algorithm::from_str(&named.to_string()).ok());
    let key = DecodingKey::from_jwk(jwk).map_err(|error| KeyError::BadJwk(error.to_string()))?;
    Ok(Key {
        id: jwk.common.key_id.clone(),
        family,
        algorithm,
        key: Secret::new(key),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use jsonwebtoken::{EncodingKey, encode};
    use serde_json::json;

    const SECRET: &str = "a secret that is long enough for HS256";
    const NOW: i64 = 1_800_000_000;

    fn verifier() -> Verifier {
        Verifier::from_secret(&Secret::new(SECRET.into()), false).unwrap()
    }

    fn sign(claims: Value) -> String {
        let header = jsonwebtoken::Header::new(Algorithm::HS256);
        encode(&header, &claims, &EncodingKey::from_secret(SECRET.as_bytes())).unwrap()
    }

    fn unsigned(header: Value, claims: Value) -> String {
        let part = |value: Value| URL_SAFE_NO_PAD.encode(value.to_string());
        format!("{}.{}.", part(header), part(claims))
    }

    #[test]
    fn claims_decide_after_the_signature() {
        let verdict = |claims: Value| verifier().verify(&sign(claims), NOW).map(|_| ());
        assert_eq!(verdict(json!({"role": "anon"})), Ok(()));
        assert_eq!(verdict(json!({"exp": NOW - 29})), Ok(()));
        assert_eq!(verdict(json!({"exp": NOW - 31})), Err(TokenError::Expired));
        assert_eq!(verdict(json!({"exp": 0.5})), Err(TokenError::Expired));
        assert_eq!(
            verdict(json!({"exp": "9999999999"})),
            Err(TokenError::NotANumber("exp"))
        );
        assert_eq!(verdict(json!({"nbf": NOW + 31})), Err(TokenError::NotYetValid));
        assert_eq!(verdict(json!({"iat": NOW + 31})), Err(TokenError::IssuedInFuture));
        assert_eq!(verdict(json!({"aud": {"a": 1}})), Err(TokenError::AudienceType));
        assert_eq!(verdict(json!({"aud": ["a", 1]})), Err(TokenError::AudienceType));
    }

    #[test]
    fn an_audience_must_match_where_one_is_named() {
        let verifier = verifier().audience(Some("us".into()));
        let verdict = |claims: Value| verifier.verify(&sign(claims), NOW).map(|_| ());
        assert_eq!(verdict(json!({"aud": "us"})), Ok(()));
        assert_eq!(verdict(json!({"aud": ["them", "us"]})), Ok(()));
        assert_eq!(verdict(json!({"aud": []})), Ok(()));
        assert_eq!(verdict(json!({})), Ok(()));
        assert_eq!(verdict(json!({"aud": ""})), Err(TokenError::Audience));
        assert_eq!(verdict(json!({"aud": ["them"]})), Err(TokenError::Audience));
    }

    #[test]
    fn forged_tokens_are_refused() {
        let verifier = verifier();
        let good = sign(json!({"role": "service_role"}));
        let claims = json!({"role": "service_role"});
        for header in [json!({"alg": "none"}), json!({"alg": "None"}), json!({"alg": "HS257"})] {
            let token = unsigned(header, claims.clone());
            assert!(
                matches!(verifier.verify(&token, NOW), Err(TokenError::Algorithm(_))),
                "{token}"
            );
        }
        for header in [
            json!({"alg": "RS256"}),
            json!({"alg": "ES256"}),
            json!({"alg": "HS256"}),
        ] {
            assert_eq!(
                verifier.verify(&unsigned(header, claims.clone()), NOW),
                Err(TokenError::NoKey)
            );
        }
        let critical = unsigned(json!({"alg": "HS256", "crit": ["b64"]}), claims);
        assert!(matches!(verifier.verify(&critical, NOW), Err(TokenError::Algorithm(_))));
        let mut changed = good.clone();
        changed.replace_range(good.len() - 4.., "AAAA");
        assert_eq!(verifier.verify(&changed, NOW), Err(TokenError::NoKey));
        assert_eq!(verifier.verify("", NOW), Err(TokenError::Empty));
        assert_eq!(verifier.verify("a.b", NOW), Err(TokenError::Parts(2)));
        assert_eq!(verifier.verify("a.b.c", NOW), Err(TokenError::Crypto));
    }

    #[test]
    fn a_public_key_is_never_taken_for_a_shared_secret() {
        // RFC 7517, appendix A.1: an EC public key.
        let jwk = r#"{"kty":"EC","crv":"P-256","kid":"1","x":"MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4","y":"4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM"}"#;
        let verifier = Verifier::from_secret(&Secret::new(jwk.into()), false).unwrap();
        let forged = encode(
            &jsonwebtoken::Header {
                kid: Some("1".into()),
                ..jsonwebtoken::Header::new(Algorithm::HS256)
            },
            &json!({"role": "service_role"}),
            &EncodingKey::from_secret(jwk.as_bytes()),
        )
        .unwrap();
        assert_eq!(verifier.verify(&forged, NOW), Err(TokenError::NoKey));
    }

    /// A private key in PKCS #8 with its public JWK, made for the test.
    fn key_pair(algorithm: Algorithm) -> (EncodingKey, Value) {
        use aws_lc_rs::encoding::AsDer;
        use aws_lc_rs::rand::SystemRandom;
        use aws_lc_rs::signature::{
            ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair, RsaKeyPair,
        };
        let encode = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        match algorithm {
            Algorithm::ES256 => {
                let document =
                    EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new()).unwrap();
                let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, document.as_ref()).unwrap();
                // SEC 1: 0x04, then x and y of 32 bytes each.
                let point = pair.public_key().as_ref();
                let jwk = json!({"kty": "EC", "crv": "P-256", "kid": "k", "alg": "ES256",
                    "x": encode(&point[1..33]), "y": encode(&point[33..65])});
                (EncodingKey::from_ec_der(document.as_ref()), jwk)
            }
            Algorithm::EdDSA => {
                let document = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).unwrap();
                let pair = Ed25519KeyPair::from_pkcs8(document.as_ref()).unwrap();
                let jwk = json!({"kty": "OKP", "crv": "Ed25519", "kid": "k", "alg": "EdDSA",
                    "x": encode(pair.public_key().as_ref())});
                (EncodingKey::from_ed_der(document.as_ref()), jwk)
            }
            _ => {
                let pair = RsaKeyPair::generate(aws_lc_rs::rsa::KeySize::Rsa2048).unwrap();
                let public = pair.public_key();
                let jwk = json!({"kty": "RSA", "kid": "k", "alg": "RS256",
                    "n": encode(public.modulus().big_endian_without_leading_zero()),
                    "e": encode(public.exponent().big_endian_without_leading_zero())});
                let body = base64::engine::general_purpose::STANDARD.encode(pair.as_der().unwrap().as_ref());
                // RFC 7468: lines of 64 characters.
                let lines: Vec<&str> = body
                    .as_bytes()
                    .chunks(64)
                    .map(|line| std::str::from_utf8(line).unwrap())
                    .collect();
                let pem = format!(
                    "-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n",
                    lines.join("\n")
                );
                (EncodingKey::from_rsa_pem(pem.as_bytes()).unwrap(), jwk)
            }
        }
    }

    #[test]
    fn every_asymmetric_algorithm_verifies_by_its_own_key_alone() {
        let algorithms = [Algorithm::RS256, Algorithm::ES256, Algorithm::EdDSA];
        let pairs: Vec<(EncodingKey, Value)> = algorithms.iter().map(|algorithm| key_pair(*algorithm)).collect();
        for (index, algorithm) in algorithms.iter().enumerate() {
            for (other, (_, jwk)) in pairs.iter().enumerate() {
                let set = json!({"keys": [jwk]}).to_string();
                let verifier = Verifier::from_secret(&Secret::new(set), false).unwrap();
                let header = jsonwebtoken::Header {
                    kid: Some("k".into()),
                    ..jsonwebtoken::Header::new(*algorithm)
                };
                let token = encode(&header, &json!({"role": "authenticated"}), &pairs[index].0).unwrap();
                let verdict = verifier.verify(&token, NOW).map(|_| ());
                assert_eq!(
                    verdict.is_ok(),
                    index == other,
                    "{algorithm:?} by key {other}: {verdict:?}"
                );
            }
            let (_, stranger) = key_pair(*algorithm);
            let verifier = Verifier::from_secret(&Secret::new(stranger.to_string()), false).unwrap();
            let token = encode(
                &jsonwebtoken::Header::new(*algorithm),
                &json!({"role": "x"}),
                &pairs[index].0,
            )
            .unwrap();
            assert_eq!(
                verifier.verify(&token, NOW).map(|_| ()),
                Err(TokenError::NoKey),
                "{algorithm:?}"
            );
        }
    }

    #[test]
    fn published_keys_verify_and_shared_ones_have_no_place_among_them() {
        let (pair, jwk) = key_pair(Algorithm::ES256);
        let shared = json!({"kty": "oct", "kid": "s", "alg": "HS256", "k": URL_SAFE_NO_PAD.encode(SECRET)});
        let encrypting = json!({"kty": "RSA", "kid": "e", "use": "enc", "n": "AQAB", "e": "AQAB"});
        let strange = json!({"kty": "new", "kid": "n"});
        let published = json!({"keys": [strange, shared, encrypting, jwk]});
        let verifier = Verifier::from_published(&published).unwrap();
        assert_eq!(verifier.keys.len(), 1);
        let header = jsonwebtoken::Header {
            kid: Some("k".into()),
            ..jsonwebtoken::Header::new(Algorithm::ES256)
        };
        let good = encode(&header, &json!({"sub": "x"}), &pair).unwrap();
        assert!(verifier.verify(&good, NOW).is_ok());
        assert_eq!(verifier.verify(&sign(json!({"sub": "x"})), NOW), Err(TokenError::NoKey));
        for nothing in [
            json!({}),
            json!({"keys": []}),
            json!({"keys": [shared]}),
            json!([]),
            json!({"keys": "x"}),
        ] {
            assert!(Verifier::from_published(&nothing).is_err(), "{nothing}");
        }
    }

    #[test]
    fn short_secrets_are_refused() {
        assert!(matches!(
            Verifier::from_secret(&Secret::new("short".into()), false),
            Err(KeyError::SecretTooShort)
        ));
    }
}

//! Keys that sign access tokens, and signing.
//!
//! A key has a time from which it signs. Before that, and as long as tokens that it signed may be valid after a newer one
//! has taken over, it is published and verified with: so keys change without anybody's token being refused.
//! Not here: what a token says (`auth`), keeping keys on disk (the binary), verifying ([`token`](crate::token)).
//!
//! Source: RFC 7517, 7518; the private keys' form of the Supabase command line's `signing_keys_path`.

use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::rsa::{KeyPairComponents, KeySize, PublicKeyComponents};
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair, RsaKeyPair};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use mainstay_core::secret::Secret;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::keys::KeyMakingError;
use crate::token::{KeyError, Verifier};

/// How access tokens may be signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SigningAlgorithm {
    Es256,
    Rs256,
    /// With the project's secret.
    Hs256,
}

impl SigningAlgorithm {
    /// The algorithm of this name (RFC 7518 §3.1).
    pub fn of_name(name: &str) -> Option<Self> {
        match name {
            "ES256" => Some(SigningAlgorithm::Es256),
            "RS256" => Some(SigningAlgorithm::Rs256),
            "HS256" => Some(SigningAlgorithm::Hs256),
            _ => None,
        }
    }

    pub fn name(self) -> &'static str {
        match self {
            SigningAlgorithm::Es256 => "ES256",
            SigningAlgorithm::Rs256 => "RS256",
            SigningAlgorithm::Hs256 => "HS256",
        }
    }
}

/// A key pair of the project's.
#[derive(Clone, Debug)]
pub struct SigningKey {
    /// `kid`.
    pub id: String,
    pub algorithm: SigningAlgorithm,
    /// Seconds since 1970.
    pub signs_from: i64,
    pkcs8: Secret<Vec<u8>>,
    encoding: Secret<EncodingKey>,
    /// The public JWK.
    public: Value,
}

impl SigningKey {
    /// Makes a key. Errors: for HS256, which has no key pair.
    pub fn generate(algorithm: SigningAlgorithm, signs_from: i64) -> Result<Self, KeyMakingError> {
        let failed = |what: &str| KeyMakingError::new(format!("a key for {} was not made: {what}", algorithm.name()));
        let pkcs8 = match algorithm {
            SigningAlgorithm::Es256 => {
                let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).map_err(|_| failed("no key"))?;
                let document = pair.to_pkcs8v1().map_err(|_| failed("no PKCS #8"))?;
                document.as_ref().to_vec()
            }
            SigningAlgorithm::Rs256 => {
                let pair = RsaKeyPair::generate(KeySize::Rsa2048).map_err(|_| failed("no key"))?;
                let document = pair.as_der().map_err(|_| failed("no PKCS #8"))?;
                document.as_ref().to_vec()
            }
            SigningAlgorithm::Hs256 => return Err(failed("it is the project's secret")),
        };
        let id = Uuid::new_v4().to_string();
        SigningKey::of_pkcs8(id, algorithm, Secret::new(pkcs8), signs_from)
            .map_err(|error| KeyMakingError::new(error.to_string()))
    }

    /// Reads a key as [`SigningKey::pkcs8`] gives it.
    pub fn from_pkcs8(id: String, algorithm: SigningAlgorithm, text: &str, signs_from: i64) -> Result<Self, KeyError> {
        let bytes = STANDARD
            .decode(text)
            .map_err(|_| KeyError::BadJwk("a signing key is not base64".into()))?;
        SigningKey::of_pkcs8(id, algorithm, Secret::new(bytes), signs_from)
    }

    /// The private key, PKCS #8 in base64.
    pub fn pkcs8(&self) -> Secret<String> {
        Secret::new(STANDARD.encode(self.pkcs8.expose()))
    }

    fn of_pkcs8(
        id: String,
        algorithm: SigningAlgorithm,
        pkcs8: Secret<Vec<u8>>,
        signs_from: i64,
    ) -> Result<Self, KeyError> {
        let bad = |what: &str| KeyError::BadJwk(format!("signing key {id}: {what}"));
        let encoded = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        let (encoding, parameters) = match algorithm {
            SigningAlgorithm::Es256 => {
                let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8.expose())
                    .map_err(|_| bad("it is no key of P-256"))?;
                // SEC 1: 0x04, then x and y of 32 bytes each.
                let point = pair.public_key().as_ref();
                let (Some(x), Some(y)) = (point.get(1..33), point.get(33..65)) else {
                    return Err(bad("it is no key of P-256"));
                };
                let parameters = json!({"kty": "EC", "crv": "P-256", "x": encoded(x), "y": encoded(y)});
                (EncodingKey::from_ec_der(pkcs8.expose()), parameters)
            }
            SigningAlgorithm::Rs256 => {
                let pair = RsaKeyPair::from_pkcs8(pkcs8.expose()).map_err(|_| bad("it is no RSA key"))?;
                let public = pair.public_key();
                let parameters = json!({
                    "kty": "RSA",
                    "n": encoded(public.modulus().big_endian_without_leading_zero()),
                    "e": encoded(public.exponent().big_endian_without_leading_zero()),
                });
                let encoding =
                    EncodingKey::from_rsa_pem(pem(pkcs8.expose()).as_bytes()).map_err(|_| bad("it is no RSA key"))?;
                (encoding, parameters)
            }
            SigningAlgorithm::Hs256 => return Err(bad("HS256 signs with the project's secret")),
        };
        let mut public = json!({"alg": algorithm.name(), "kid": id, "use": "sig", "key_ops": ["verify"]});
        if let (Some(public), Value::Object(parameters)) = (public.as_object_mut(), parameters) {
            public.extend(parameters);
        }
        Ok(SigningKey {
            id,
            algorithm,
            signs_from,
            pkcs8,
            encoding: Secret::new(encoding),
            public,
        })
    }

    /// Reads a private JWK of P-256 or RSA. Errors: another kind, parts missing or at odds.
    pub fn from_jwk(jwk: &Value, signs_from: i64) -> Result<Self, KeyError> {
        let part = |name: &str| jwk.get(name).and_then(Value::as_str);
        let id = part("kid").unwrap_or_default().to_owned();
        if id.is_empty() {
            return Err(KeyError::BadJwk("a signing key needs a `kid`".into()));
        }
        let bad = |what: &str| KeyError::BadJwk(format!("signing key {id}: {what}"));
        let bytes = |name: &str| {
            let text = part(name).ok_or_else(|| bad(&format!("`{name}` is missing")))?;
            URL_SAFE_NO_PAD
                .decode(text)
                .map_err(|_| bad(&format!("`{name}` is not base64url")))
        };
        match (part("kty"), part("alg")) {
            (Some("EC"), None | Some("ES256")) => {
                let mut point = vec![4];
                point.extend(bytes("x")?);
                point.extend(bytes("y")?);
                let pair = EcdsaKeyPair::from_private_key_and_public_key(
                    &ECDSA_P256_SHA256_FIXED_SIGNING,
                    &bytes("d")?,
                    &point,
                )
                .map_err(|_| bad("it is no key of P-256"))?;
                let document = pair.to_pkcs8v1().map_err(|_| bad("it is no key of P-256"))?;
                let pkcs8 = Secret::new(document.as_ref().to_vec());
                SigningKey::of_pkcs8(id.clone(), SigningAlgorithm::Es256, pkcs8, signs_from)
            }
            (Some("RSA"), None | Some("RS256")) => {
                let components = KeyPairComponents {
                    public_key: PublicKeyComponents {
                        n: bytes("n")?,
                        e: bytes("e")?,
                    },
                    d: bytes("d")?,
                    p: bytes("p")?,
                    q: bytes("q")?,
                    dP: bytes("dp")?,
                    dQ: bytes("dq")?,
                    qInv: bytes("qi")?,
                };
                let pair =
                    RsaKeyPair::from_components(&components).map_err(|_| bad("its parts do not make an RSA key"))?;
                let document = pair.as_der().map_err(|_| bad("it is no RSA key"))?;
                let pkcs8 = Secret::new(document.as_ref().to_vec());
                SigningKey::of_pkcs8(id.clone(), SigningAlgorithm::Rs256, pkcs8, signs_from)
            }
            _ => Err(bad("only ES256 and RS256 sign")),
        }
    }
}

/// RFC 7468: lines of 64 characters.
fn pem(der: &[u8]) -> String {
    let body = STANDARD.encode(der);
    let mut text = String::from("-----BEGIN PRIVATE KEY-----\n");
    let mut rest = body.as_str();
    while !rest.is_empty() {
        let (line, tail) = rest.split_at(rest.len().min(64));
        text.push_str(line);
        text.push('\n');
        rest = tail;
    }
    text.push_str("-----END PRIVATE KEY-----\n");
    text
}

/// Signs access tokens with the key whose time it is.
pub struct Signer {
    /// By the time from which they sign.
    keys: Vec<SigningKey>,
    /// Signs in the keys' stead; they go on being published.
    shared: Option<Secret<EncodingKey>>,
}

impl Signer {
    /// Signs with key pairs; at least one.
    pub fn of_keys(mut keys: Vec<SigningKey>) -> Self {
        keys.sort_by_key(|key| key.signs_from);
        Signer { keys, shared: None }
    }

    /// Signs with the project's secret (HS256). `keys` are published and verified with until their tokens are over.
    ///
    /// Errors: `NotBase64`.
    pub fn of_secret(secret: &Secret<String>, is_base64: bool, keys: Vec<SigningKey>) -> Result<Self, KeyError> {
        let bytes = crate::token::symmetric(secret, is_base64)?;
        Ok(Signer {
            shared: Some(Secret::new(EncodingKey::from_secret(&bytes))),
            ..Signer::of_keys(keys)
        })
    }

    /// Signs claims at `now` (seconds since 1970).
    pub fn sign(&self, claims: &Value, now: i64) -> Result<Secret<String>, KeyMakingError> {
        let failed = |error: jsonwebtoken::errors::Error| KeyMakingError::new(error.to_string());
        if let Some(shared) = &self.shared {
            let header = Header::new(Algorithm::HS256);
            return jsonwebtoken::encode(&header, claims, shared.expose())
                .map(Secret::new)
                .map_err(failed);
        }
        let key = self
            .keys
            .iter()
            .rfind(|key| key.signs_from <= now)
            .or(self.keys.first())
            .ok_or_else(|| KeyMakingError::new("there is no key to sign with".into()))?;
        let mut header = Header::new(match key.algorithm {
            SigningAlgorithm::Rs256 => Algorithm::RS256,
            _ => Algorithm::ES256,
        });
        header.kid = Some(key.id.clone());
        jsonwebtoken::encode(&header, claims, key.encoding.expose())
            .map(Secret::new)
            .map_err(failed)
    }

    /// The names of the algorithms that keys sign with, each once. The project's secret signs nothing that others verify.
    pub fn algorithms(&self) -> Vec<&'static str> {
        let mut names: Vec<&'static str> = self.keys.iter().map(|key| key.algorithm.name()).collect();
        names.sort_unstable();
        names.dedup();
        match self.shared {
            Some(_) => Vec::new(),
            None => names,
        }
    }

    /// The public keys as a JWK set.
    pub fn jwks(&self) -> Value {
        json!({ "keys": self.keys.iter().map(|key| &key.public).collect::<Vec<_>>() })
    }

    /// What verifies the tokens of the key pairs.
    pub fn verifier(&self) -> Result<Verifier, KeyError> {
        if self.keys.is_empty() {
            return Ok(Verifier::without_keys());
        }
        Verifier::from_secret(&Secret::new(self.jwks().to_string()), false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_800_000_000;

    fn key(algorithm: SigningAlgorithm, signs_from: i64) -> SigningKey {
        SigningKey::generate(algorithm, signs_from).unwrap()
    }

    fn kid(token: &Secret<String>) -> Option<String> {
        jsonwebtoken::decode_header(token.expose()).unwrap().kid
    }

    #[test]
    fn tokens_are_verified_by_the_published_keys_alone() {
        for algorithm in [SigningAlgorithm::Es256, SigningAlgorithm::Rs256] {
            let (own, other) = (key(algorithm, NOW), key(algorithm, NOW));
            let signer = Signer::of_keys(vec![own]);
            let token = signer.sign(&json!({"sub": "x"}), NOW).unwrap();
            assert!(signer.verifier().unwrap().verify(token.expose(), NOW).is_ok());
            let stranger = Signer::of_keys(vec![other]).verifier().unwrap();
            assert!(stranger.verify(token.expose(), NOW).is_err());
            let published = signer.jwks().to_string();
            for private in ["\"d\"", "\"p\"", "\"q\"", "\"k\""] {
                assert!(!published.contains(private), "{published}");
            }
        }
    }

    #[test]
    fn the_newest_key_whose_time_has_come_signs() {
        let (old, new) = (
            key(SigningAlgorithm::Es256, NOW - 100),
            key(SigningAlgorithm::Rs256, NOW + 100),
        );
        let ids = (Some(old.id.clone()), Some(new.id.clone()));
        let signer = Signer::of_keys(vec![new.clone(), old.clone()]);
        let claims = json!({"sub": "x"});
        let before = signer.sign(&claims, NOW).unwrap();
        let after = signer.sign(&claims, NOW + 100).unwrap();
        assert_eq!((kid(&before), kid(&after)), ids);
        let verifier = signer.verifier().unwrap();
        assert!(verifier.verify(before.expose(), NOW).is_ok() && verifier.verify(after.expose(), NOW).is_ok());
        // A clock that went back: better an early key than none.
        assert_eq!(kid(&signer.sign(&claims, 0).unwrap()), ids.0);
        assert!(Signer::of_keys(Vec::new()).sign(&claims, NOW).is_err());
    }

    #[test]
    fn keys_are_read_as_they_were_written() {
        for algorithm in [SigningAlgorithm::Es256, SigningAlgorithm::Rs256] {
            let made = key(algorithm, NOW);
            let read = SigningKey::from_pkcs8(made.id.clone(), algorithm, made.pkcs8().expose(), NOW).unwrap();
            assert_eq!(read.public, made.public);
            assert!(!format!("{made:?}").contains(made.pkcs8().expose().as_str()));
        }
        let made = key(SigningAlgorithm::Es256, NOW);
        let pkcs8 = made.pkcs8();
        assert!(SigningKey::from_pkcs8("x".into(), SigningAlgorithm::Rs256, pkcs8.expose(), NOW).is_err());
        assert!(SigningKey::from_pkcs8("x".into(), SigningAlgorithm::Es256, "!", NOW).is_err());
    }

    /// RFC 7517, appendix A.2: the private keys of the example.
    #[test]
    fn private_jwks_are_read() {
        let ec = json!({"kty": "EC", "crv": "P-256", "kid": "1",
            "x": "MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4", "y": "4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM",
            "d": "870MB6gfuTJ4HtUnUvYMyJpr5eUZNP4Bk43bVdj3eAE"});
        let read = SigningKey::from_jwk(&ec, NOW).unwrap();
        assert_eq!((read.id.as_str(), &read.public["x"]), ("1", &ec["x"]));
        let signer = Signer::of_keys(vec![read]);
        let token = signer.sign(&json!({}), NOW).unwrap();
        assert!(signer.verifier().unwrap().verify(token.expose(), NOW).is_ok());
        let without = |name: &str| {
            let mut jwk = ec.clone();
            jwk.as_object_mut().unwrap().remove(name);
            SigningKey::from_jwk(&jwk, NOW)
        };
        for name in ["kid", "kty", "x", "d"] {
            assert!(without(name).is_err(), "{name}");
        }
        let mut at_odds = ec.clone();
        at_odds["d"] = json!("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAE");
        assert!(SigningKey::from_jwk(&at_odds, NOW).is_err());
        assert!(SigningKey::from_jwk(&json!({"kty": "oct", "kid": "x", "k": "AAAA"}), NOW).is_err());
    }
}

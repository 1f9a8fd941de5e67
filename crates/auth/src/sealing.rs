//! Secrets that the database keeps and that have to be read again: sealed with a key that it has not.
//!
//! Lives here: Supabase Auth's form of such a value, so that what it has sealed is opened here and the other way round.
//! Where no key is set, values are kept as they are, as they are there.
//! Invariant: a value is bound to the row that it was sealed for.
//!
//! Source: RFC 5869 (HKDF), NIST SP 800-38D (AES-GCM).

use std::collections::BTreeMap;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::hkdf::{HKDF_SHA256, KeyType, Salt};
use aws_lc_rs::rand::{SecureRandom, SystemRandom};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use mainstay_core::secret::Secret;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::error::Error;

/// Bytes of a key.
const KEY_BYTES: usize = 32;
const ALGORITHM: &str = "aes-gcm-hkdf";

/// The keys.
#[derive(Clone, Debug, Default)]
pub struct Seals {
    /// By their names: all open, and one seals.
    keys: BTreeMap<String, Secret<[u8; KEY_BYTES]>>,
    sealing: Option<String>,
}

/// A sealed value as it is kept.
#[derive(Serialize, Deserialize)]
struct Sealed {
    key_id: String,
    alg: String,
    data: String,
    nonce: String,
}

/// How long a derived key is.
struct Length;

impl KeyType for Length {
    fn len(&self) -> usize {
        KEY_BYTES
    }
}

impl Seals {
    /// Keys by their names, 256 bits in base64url, and the name of the one that seals; none: nothing is sealed.
    /// Errors: what is wrong with them, for an operator.
    pub fn new(keys: &[(String, Secret<String>)], sealing: Option<String>) -> Result<Self, String> {
        let read = |(name, text): &(String, Secret<String>)| {
            let bytes = URL_SAFE_NO_PAD.decode(text.expose().trim_end_matches('=')).ok();
            let bytes: Option<[u8; KEY_BYTES]> = bytes.and_then(|bytes| bytes.try_into().ok());
            let bytes = bytes.ok_or_else(|| format!("key `{name}` is not 256 bits in base64url"))?;
            Ok((name.clone(), Secret::new(bytes)))
        };
        let keys: BTreeMap<_, _> = keys.iter().map(read).collect::<Result<_, String>>()?;
        match sealing.as_ref().filter(|name| !keys.contains_key(*name)) {
            Some(name) => Err(format!("there is no key `{name}`")),
            None => Ok(Seals { keys, sealing }),
        }
    }

    /// Seals `text` for the row `id`.
    pub fn seal(&self, id: Uuid, text: &Secret<String>) -> Result<Secret<String>, Error> {
        let Some((name, key)) = self.sealing.as_ref().and_then(|name| self.keys.get_key_value(name)) else {
            return Ok(text.clone());
        };
        let failed = |_| Error::Unexpected("a secret cannot be sealed".into());
        let mut nonce = [0; NONCE_LEN];
        SystemRandom::new().fill(&mut nonce).map_err(failed)?;
        let mut data = text.expose().as_bytes().to_vec();
        derived(key, id)?
            .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::empty(), &mut data)
            .map_err(failed)?;
        let sealed = Sealed {
            key_id: name.clone(),
            alg: ALGORITHM.into(),
            data: STANDARD.encode(data),
            nonce: STANDARD.encode(nonce),
        };
        let text =
            serde_json::to_string(&sealed).map_err(|_| Error::Unexpected("a sealed secret is not JSON".into()))?;
        Ok(Secret::new(text))
    }

    /// Opens what is kept in the row `id`. What was never sealed is given back as it is.
    /// Errors: the key is missing, or the value is another row's.
    pub fn open(&self, id: Uuid, kept: &Secret<String>) -> Result<Secret<String>, Error> {
        let sealed = serde_json::from_str::<Sealed>(kept.expose());
        let Some(sealed) = sealed.ok().filter(|sealed| sealed.alg == ALGORITHM) else {
            return Ok(kept.clone());
        };
        let key = self.keys.get(&sealed.key_id);
        let key = key.ok_or_else(|| Error::Unexpected(format!("there is no key `{}`", sealed.key_id)))?;
        self::open(key, id, &sealed)
            .map(Secret::new)
            .ok_or_else(|| Error::Unexpected(format!("a secret cannot be opened with key `{}`", sealed.key_id)))
    }
}

fn open(key: &Secret<[u8; KEY_BYTES]>, id: Uuid, sealed: &Sealed) -> Option<String> {
    let nonce: [u8; NONCE_LEN] = STANDARD.decode(&sealed.nonce).ok()?.try_into().ok()?;
    let mut data = STANDARD.decode(&sealed.data).ok()?;
    let nonce = Nonce::assume_unique_for_key(nonce);
    let opened = derived(key, id)
        .ok()?
        .open_in_place(nonce, Aad::empty(), &mut data)
        .ok()?;
    String::from_utf8(opened.to_vec()).ok()
}

/// The row's own key.
fn derived(key: &Secret<[u8; KEY_BYTES]>, id: Uuid) -> Result<LessSafeKey, Error> {
    let failed = |_| Error::Unexpected("a key cannot be derived".into());
    let id = id.to_string();
    let info = [id.as_bytes()];
    let extracted = Salt::new(HKDF_SHA256, &[]).extract(key.expose());
    let mut bytes = [0; KEY_BYTES];
    extracted
        .expand(&info, Length)
        .and_then(|okm| okm.fill(&mut bytes))
        .map_err(failed)?;
    UnboundKey::new(&AES_256_GCM, &bytes)
        .map(LessSafeKey::new)
        .map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROW: Uuid = Uuid::from_u128(0xaaaaaaaa_0000_4000_8000_000000000001);
    /// Computed by another implementation: OpenSSL's, in Node.js.
    const KEPT: &str = r#"{"key_id":"2026","alg":"aes-gcm-hkdf","data":"GlIYLNBc6BLnCeszBgcSc8DY1ZJ80p6Cu14Nla5gQwk=","nonce":"AAECAwQFBgcICQoL"}"#;
    const TEXT: &str = "GEZDGNBVGY3TQOJQ";

    fn seals(sealing: Option<&str>) -> Seals {
        let key = |name: &str, byte: u8| (name.to_owned(), Secret::new(URL_SAFE_NO_PAD.encode([byte; 32])));
        Seals::new(&[key("2026", 7), key("2027", 8)], sealing.map(str::to_owned)).unwrap()
    }

    fn opened(seals: &Seals, id: Uuid, kept: &str) -> Option<String> {
        let opened = seals.open(id, &Secret::new(kept.to_owned())).ok();
        opened.map(|text| text.expose().clone())
    }

    #[test]
    fn what_somebody_else_has_sealed_is_opened() {
        assert_eq!(opened(&seals(None), ROW, KEPT).as_deref(), Some(TEXT));
        // In another row, with another key, or bent, it is nothing.
        assert!(opened(&seals(None), Uuid::from_u128(1), KEPT).is_none());
        assert!(opened(&seals(None), ROW, &KEPT.replace("2026", "2027")).is_none());
        assert!(opened(&seals(None), ROW, &KEPT.replace("2026", "2028")).is_none());
        assert!(opened(&Seals::default(), ROW, KEPT).is_none());
    }

    #[test]
    fn a_value_is_sealed_for_its_row_and_only_where_there_is_a_key() {
        let text = Secret::new(TEXT.to_owned());
        let plain = seals(None).seal(ROW, &text).unwrap();
        assert_eq!(plain.expose(), TEXT);
        assert_eq!(opened(&seals(Some("2027")), ROW, TEXT).as_deref(), Some(TEXT));
        let (one, two) = (
            seals(Some("2027")).seal(ROW, &text),
            seals(Some("2027")).seal(ROW, &text),
        );
        let (one, two) = (one.unwrap(), two.unwrap());
        assert!(one.expose().contains("\"key_id\":\"2027\"") && !one.expose().contains(TEXT));
        assert_ne!(one.expose(), two.expose());
        assert_eq!(opened(&seals(Some("2026")), ROW, one.expose()).as_deref(), Some(TEXT));
        assert!(opened(&seals(None), Uuid::from_u128(1), one.expose()).is_none());
    }

    #[test]
    fn keys_that_are_none_are_named() {
        let short = [("a".to_owned(), Secret::new("AAAA".to_owned()))];
        assert!(Seals::new(&short, None).unwrap_err().contains("`a`"));
        assert!(Seals::new(&[], Some("b".into())).unwrap_err().contains("`b`"));
    }
}

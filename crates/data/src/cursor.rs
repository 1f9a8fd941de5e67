//! Cursors: the place in an order where a page ended, for the request of the next page.
//!
//! To clients a cursor is opaque: the last row's sort keys, encrypted, since they may be columns that the request does not
//! show, and bound to what was asked and as which role. Only whoever has the project's secret can make or read one. The
//! same place gives the same cursor (AES-256-GCM-SIV), so an answer that has not changed has not changed its headers.
//! Not here: the rows after the place (`core::keyset`).

use aws_lc_rs::aead::{AES_256_GCM_SIV, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::{hmac, rand};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use mainstay_core::error::BackendError;
use mainstay_core::secret::Secret;

use crate::error::Error;

/// Bytes of the sort keys that a cursor may hold: it travels in headers and addresses.
pub const KEYS_BYTES_MAX: usize = 2_048;

/// What the key is derived for; another form of cursors takes another.
const PURPOSE: &[u8] = b"mainstay data cursors 1";

/// Makes and reads cursors.
#[derive(Debug)]
pub struct Cursors {
    key: Option<LessSafeKey>,
}

impl Cursors {
    /// Cursors of a project. Without its secret they are good as long as the process runs.
    pub fn new(secret: Option<&Secret<String>>) -> Self {
        let mut own = [0; 32];
        let secret = match secret {
            Some(secret) => Some(secret.expose().as_bytes()),
            None => rand::fill(&mut own).ok().map(|()| &own[..]),
        };
        let key = secret.and_then(|secret| {
            let derived = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), PURPOSE);
            UnboundKey::new(&AES_256_GCM_SIV, derived.as_ref()).ok()
        });
        Cursors {
            key: key.map(LessSafeKey::new),
        }
    }

    /// The cursor for a place, given by the order's keys. Errors: `MS-DATA-015`.
    pub fn seal(&self, binding: &[u8], keys: &[Option<String>]) -> Result<String, Error> {
        let mut bytes = serde_json::to_vec(keys).map_err(|error| BackendError::Internal(error.to_string()))?;
        if bytes.len() > KEYS_BYTES_MAX {
            return Err(Error::CursorTooLong {
                bytes_max: KEYS_BYTES_MAX,
            });
        }
        let sealed = self
            .key()?
            .seal_in_place_append_tag(nonce(), Aad::from(binding), &mut bytes);
        sealed.map_err(|_| BackendError::Internal("a cursor cannot be sealed".into()))?;
        Ok(URL_SAFE_NO_PAD.encode(bytes))
    }

    /// The keys of the place that a cursor stands for. Errors: `MS-DATA-013`.
    pub fn open(&self, binding: &[u8], cursor: &str) -> Result<Vec<Option<String>>, Error> {
        let mut bytes = URL_SAFE_NO_PAD.decode(cursor).map_err(|_| Error::Cursor)?;
        let opened = self.key()?.open_in_place(nonce(), Aad::from(binding), &mut bytes);
        let keys = opened.map_err(|_| Error::Cursor)?;
        serde_json::from_slice(keys).map_err(|_| Error::Cursor)
    }

    fn key(&self) -> Result<&LessSafeKey, Error> {
        let missing = || BackendError::Internal("there is no key for cursors".into()).into();
        self.key.as_ref().ok_or_else(missing)
    }
}

/// Always the same: this cipher then gives away which cursors are equal, and nothing else (RFC 8452, 9).
fn nonce() -> Nonce {
    Nonce::assume_unique_for_key([0; NONCE_LEN])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cursors() -> Cursors {
        Cursors::new(Some(&Secret::new("a secret".to_owned())))
    }

    fn keys() -> Vec<Option<String>> {
        vec![Some("Köln, \"x\"".into()), None, Some(String::new())]
    }

    #[test]
    fn a_cursor_is_opaque_and_comes_back_whole() {
        let cursor = cursors().seal(b"t", &keys()).unwrap();
        assert_eq!(cursors().open(b"t", &cursor).unwrap(), keys());
        assert_eq!(cursor, cursors().seal(b"t", &keys()).unwrap());
        let bytes = URL_SAFE_NO_PAD.decode(&cursor).unwrap();
        assert!(!bytes.windows(3).any(|part| part == b"ln,"));
        assert!(!cursor.contains(['.', '=', '+', '/']));
    }

    #[test]
    fn what_was_not_made_here_for_this_is_refused() {
        let cursor = cursors().seal(b"t", &keys()).unwrap();
        let refused = |cursors: Cursors, binding: &[u8], cursor: &str| {
            assert!(matches!(cursors.open(binding, cursor), Err(Error::Cursor)), "{cursor}");
        };
        refused(cursors(), b"u", &cursor);
        refused(cursors(), b"", &cursor);
        refused(Cursors::new(Some(&Secret::new("another".into()))), b"t", &cursor);
        refused(Cursors::new(None), b"t", &cursor);
        for bad in ["", "a", "AAAA", "not base64!", &cursor[1..], &format!("{cursor}A")] {
            refused(cursors(), b"t", bad);
        }
        for position in 0..cursor.len() {
            let mut bytes = cursor.clone().into_bytes();
            bytes[position] = if bytes[position] == b'A' { b'B' } else { b'A' };
            let tampered = String::from_utf8(bytes).unwrap();
            // The last letter's low bits stand for nothing, and are refused by their own rule.
            refused(cursors(), b"t", &tampered);
        }
    }

    #[test]
    fn long_keys_make_no_cursor() {
        let long = vec![Some("x".repeat(KEYS_BYTES_MAX))];
        assert!(matches!(cursors().seal(b"t", &long), Err(Error::CursorTooLong { .. })));
    }
}

//! Random values, and digests as text.
//!
//! Not here: hashes of passwords (`passwords`), secrets that are kept encrypted (`sealing`).

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::rand::{SecureRandom, SystemRandom};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use mainstay_core::render;
use mainstay_core::secret::Secret;

use crate::error::Error;

/// Errors: no random bytes.
pub fn fill(bytes: &mut [u8]) -> Result<(), Error> {
    SystemRandom::new()
        .fill(bytes)
        .map_err(|_| Error::Unexpected("no random bytes".into()))
}

/// 256 random bits, in base64url. Errors: no random bytes.
pub fn random() -> Result<Secret<String>, Error> {
    let mut bytes = [0_u8; 32];
    fill(&mut bytes)?;
    Ok(Secret::new(URL_SAFE_NO_PAD.encode(bytes)))
}

/// As many letters of the alphabet, each as likely as any other. Errors: no random bytes.
pub fn letters(alphabet: &[u8], wanted: usize) -> Result<Secret<String>, Error> {
    // The largest multiple of the alphabet's size: bytes above it would favour some letters.
    let fair = 256 / alphabet.len() * alphabet.len();
    let mut text = String::with_capacity(wanted);
    let mut bytes = [0_u8; 48];
    while text.len() < wanted {
        fill(&mut bytes)?;
        let letters = bytes.iter().map(|byte| usize::from(*byte)).filter(|byte| *byte < fair);
        let missing = wanted - text.len();
        text.extend(
            letters
                .map(|byte| char::from(alphabet[byte % alphabet.len()]))
                .take(missing),
        );
    }
    Ok(Secret::new(text))
}

/// SHA-256 in base64url, as PKCE spells it (RFC 7636 §4.2).
pub fn sha256(text: &str) -> String {
    URL_SAFE_NO_PAD.encode(digest(&SHA256, text.as_bytes()))
}

/// SHA-256 in hex digits.
pub fn sha256_hex(text: &str) -> String {
    hex(digest(&SHA256, text.as_bytes()).as_ref())
}

/// Lower-case hex digits.
pub fn hex(bytes: &[u8]) -> String {
    let mut digits = Vec::with_capacity(2 * bytes.len());
    render::hex(&mut digits, bytes);
    digits.into_iter().map(char::from).collect()
}

/// The bytes of hex digits. `None`: they are none.
pub fn unhex(digits: &str) -> Option<Vec<u8>> {
    if !digits.len().is_multiple_of(2) || !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return None;
    }
    let pairs = (0..digits.len()).step_by(2);
    pairs
        .map(|at| u8::from_str_radix(&digits[at..at + 2], 16).ok())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_are_those_of_the_standards() {
        // RFC 7636, appendix B.
        let verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
        assert_eq!(sha256(verifier), "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM");
        // FIPS 180-2, appendix B.1.
        let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(sha256_hex("abc"), abc);
    }

    #[test]
    fn hex_digits_are_read_as_they_are_written() {
        assert_eq!(unhex(&hex(&[0, 10, 255])).as_deref(), Some(&[0, 10, 255][..]));
        assert_eq!(unhex("0A").as_deref(), Some(&[10][..]));
        for bad in ["0", "0g", "+1", "\u{e9}"] {
            assert_eq!(unhex(bad), None, "{bad}");
        }
    }

    #[test]
    fn every_letter_of_an_alphabet_comes_and_no_other() {
        for alphabet in [&b"0123456789"[..], b"abcdefghijklmnopqrstuvwxyz0123456789"] {
            let text = letters(alphabet, 4_000).unwrap();
            assert_eq!(text.expose().len(), 4_000);
            assert!(text.expose().bytes().all(|byte| alphabet.contains(&byte)));
            assert!(
                alphabet
                    .iter()
                    .all(|byte| text.expose().bytes().any(|own| own == *byte))
            );
        }
        assert_ne!(random().unwrap().expose(), random().unwrap().expose());
    }
}

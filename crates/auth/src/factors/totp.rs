//! Authenticator apps: secrets, how they get into an app, and the codes of a moment.
//!
//! Six digits, half a minute, HMAC-SHA-1: what every app can do. The code before and the one after are accepted too.
//!
//! Source: RFC 6238; the key URI format of Google Authenticator.

use mainstay_core::secret::Secret;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use totp_rs::{Algorithm, Builder};

use super::qr;
use crate::error::Error;
use crate::secrets;

/// Bytes of a secret: as many as the hash gives (RFC 4226 §4).
const SECRET_BYTES: usize = 20;
const DIGITS: u8 = 6;
/// Seconds.
const STEP: u64 = 30;
/// Steps that a clock may be off.
const SKEW: u16 = 1;

/// All but RFC 3986's unreserved characters.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// A new secret, as an app takes it.
#[derive(Clone, Debug)]
pub struct Enrolment {
    /// Base 32 without padding.
    pub secret: Secret<String>,
    /// `otpauth://totp/…`
    pub uri: Secret<String>,
    /// The address as a picture: SVG.
    pub picture: Secret<String>,
}

/// Makes a secret for `account`. Errors: the address is too long for a picture.
pub fn enroll(issuer: &str, account: &str) -> Result<Enrolment, Error> {
    let mut bytes = [0_u8; SECRET_BYTES];
    secrets::fill(&mut bytes)?;
    let secret = totp_rs::Secret::new_stack(bytes).to_base32();
    let uri = uri(&secret, issuer, account);
    let picture = qr::svg(&uri).ok_or_else(|| Error::Validation("issuer is too long".into()))?;
    Ok(Enrolment {
        secret: Secret::new(secret),
        uri: Secret::new(uri),
        picture: Secret::new(picture),
    })
}

fn uri(secret: &str, issuer: &str, account: &str) -> String {
    let escaped = |text: &str| utf8_percent_encode(text, ESCAPED).to_string();
    let (issuer, account) = (escaped(issuer), escaped(account));
    format!(
        "otpauth://totp/{issuer}:{account}?algorithm=SHA1&digits={DIGITS}&issuer={issuer}&period={STEP}&secret={secret}"
    )
}

/// The time step of which `code` is the code, if it is one of those around `now_s` (seconds since 1970).
///
/// Errors: the secret is none.
pub fn step(secret: &Secret<String>, code: &str, now_s: u64) -> Result<Option<u64>, Error> {
    // Secrets that were made elsewhere may be padded, and shorter than the RFC asks for.
    let bare = secret.expose().trim_end_matches('=');
    let secret = totp_rs::Secret::try_from_base32(bare)
        .map_err(|_| Error::Unexpected("the secret of a second factor is not base 32".into()))?;
    let totp = Builder::new()
        .with_algorithm(Algorithm::SHA1)
        .with_digits(DIGITS)
        .with_skew(SKEW)
        .with_step_duration(STEP)
        .with_secret(secret)
        .build_noncompliant();
    Ok(totp.check(code.trim(), now_s))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 6238 appendix B, of which the last six digits are ours: `12345678901234567890`.
    const SECRET: &str = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ";

    #[test]
    fn the_codes_are_those_of_the_rfc() {
        let secret = Secret::new(SECRET.to_owned());
        for (second, code) in [
            (59, "287082"),
            (1_111_111_109, "081804"),
            (1_111_111_111, "050471"),
            (1_234_567_890, "005924"),
            (2_000_000_000, "279037"),
            (20_000_000_000, "353130"),
        ] {
            assert_eq!(step(&secret, code, second).unwrap(), Some(second / 30), "{second}");
            // One step of skew on either side and no more.
            assert_eq!(step(&secret, code, second + 30).unwrap(), Some(second / 30));
            assert_eq!(step(&secret, code, second - 30).unwrap(), Some(second / 30));
            assert_eq!(step(&secret, code, second + 60).unwrap(), None);
            for bad in ["", "1", "28708", "2870820", "abcdef", "-87082", "２８７０８２", "\0"] {
                assert_eq!(step(&secret, bad, second).unwrap(), None, "{bad:?}");
            }
        }
        assert!(step(&Secret::new("not base 32!".into()), "287082", 59).is_err());
        assert_eq!(step(&secret, "755224", 0).unwrap(), Some(0), "RFC 4226 appendix D");
    }

    #[test]
    fn the_address_says_who_asks_and_for_whom() {
        let uri = uri("ABC", "A: shop/é", "ann+1@example.com");
        assert_eq!(
            uri,
            "otpauth://totp/A%3A%20shop%2F%C3%A9:ann%2B1%40example.com?algorithm=SHA1&digits=6\
             &issuer=A%3A%20shop%2F%C3%A9&period=30&secret=ABC"
        );
        let made = enroll("shop.example", "ann@example.com").unwrap();
        assert_eq!(made.secret.expose().len(), 32);
        assert_ne!(
            made.secret.expose(),
            enroll("shop.example", "ann@example.com").unwrap().secret.expose()
        );
        assert!(enroll(&"x".repeat(4_000), "ann@example.com").is_err());
    }
}

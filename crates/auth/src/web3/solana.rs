//! Addresses and signatures on Solana.
//!
//! Source: RFC 8032 (Ed25519); Solana, "Off-Chain Message Signing", and sRFC 38 (what hardware wallets sign).

use aws_lc_rs::signature::{ED25519, UnparsedPublicKey};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::error::Error;

const KEY_BYTES: usize = 32;
const SIGNATURE_BYTES: usize = 64;
/// What every off-chain message begins with, and no transaction.
const MARKER: &[u8] = b"\xffsolana offchain";
/// The application that asks, filled up with zeroes.
const APPLICATION_BYTES: usize = 32;
/// Letters of a key in base 58.
const ADDRESS_LETTERS: std::ops::RangeInclusive<usize> = 32..=44;

/// A key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Address([u8; KEY_BYTES]);

impl Address {
    /// Errors: what is wrong.
    pub fn read(text: &str) -> Result<Self, &'static str> {
        let bytes = match ADDRESS_LETTERS.contains(&text.len()) {
            true => bs58::decode(text).into_vec().ok(),
            false => None,
        };
        let bytes = bytes.and_then(|bytes| bytes.try_into().ok());
        bytes.map(Address).ok_or("wallet address is not a key in base58 format")
    }

    /// True if the signature is of this key, over the message itself or in one of the envelopes of off-chain messages, as
    /// hardware wallets sign it.
    pub fn has_signed(&self, domain: &str, message: &str, signature: &[u8; SIGNATURE_BYTES]) -> bool {
        let key = UnparsedPublicKey::new(&ED25519, &self.0);
        key.verify(message.as_bytes(), signature).is_ok()
            || self
                .off_chain(domain, message)
                .iter()
                .any(|wrapped| key.verify(wrapped, signature).is_ok())
    }

    /// The message in every envelope that a wallet may have put it into; there are none for one that is too long. All of
    /// them hold the whole text, so that it does not matter to its meaning which one was signed.
    ///
    /// The published lengths of formats 0 and 1 are not asked for: devices sign longer messages under both.
    fn off_chain(&self, domain: &str, message: &str) -> Vec<Vec<u8>> {
        let Ok(length) = u16::try_from(message.len()) else {
            return Vec::new();
        };
        let (length, text) = (length.to_le_bytes(), message.as_bytes());
        let mut application = [0; APPLICATION_BYTES];
        for (own, given) in application.iter_mut().zip(domain.bytes()) {
            *own = given;
        }
        let wrapped = |parts: &[&[u8]]| [MARKER, parts.concat().as_slice(), text].concat();
        let mut envelopes = Vec::new();
        for format in formats(message) {
            // Wallets that do not pass the site's domain on leave its place empty.
            for application in [&application, &[0; APPLICATION_BYTES]] {
                envelopes.push(wrapped(&[&[0], application, &[format, 1], &self.0, &length]));
            }
            // Devices from before there were domains and signers.
            envelopes.push(wrapped(&[&[0, format], &length]));
        }
        // Version 1 has neither domain nor format, and in its final form no length.
        envelopes.push(wrapped(&[&[1, 1], &self.0]));
        envelopes.push(wrapped(&[&[1, 1], &self.0, &length]));
        envelopes
    }
}

/// The formats that a message may be signed under: 0 for printable ASCII and line feeds, 1 and 2 for UTF-8.
fn formats(message: &str) -> std::ops::RangeInclusive<u8> {
    let is_printable = message.bytes().all(|byte| matches!(byte, b' '..=b'~' | b'\n'));
    u8::from(!is_printable)..=2
}

impl std::fmt::Display for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&bs58::encode(&self.0).into_string())
    }
}

/// Reads a signature in either alphabet of base 64, padded or not. Errors: `Validation`.
pub fn signature(text: &str) -> Result<[u8; SIGNATURE_BYTES], Error> {
    let bare = text.trim_end_matches('=').replace('+', "-").replace('/', "_");
    let bytes = URL_SAFE_NO_PAD.decode(bare).ok();
    bytes
        .and_then(|bytes| bytes.try_into().ok())
        .ok_or_else(|| Error::Validation("signature must be 64 bytes encoded as base64 with or without padding".into()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};

    fn key() -> (Ed25519KeyPair, Address) {
        let pair = Ed25519KeyPair::generate().unwrap();
        let address = Address(pair.public_key().as_ref().try_into().unwrap());
        (pair, address)
    }

    #[test]
    fn a_key_is_an_address_and_back() {
        let (_, address) = key();
        assert_eq!(Address::read(&address.to_string()), Ok(address));
        // The system program's: 32 zero bytes.
        assert_eq!(Address::read("11111111111111111111111111111111"), Ok(Address([0; 32])));
        for text in [
            "",
            "0OIl",
            "1111111111111111111111111111111",
            &"1".repeat(44),
            &"z".repeat(44),
        ] {
            assert!(Address::read(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_signature_is_of_one_key_and_one_message() {
        let (pair, address) = key();
        let plain: [u8; 64] = pair.sign(b"a message").as_ref().try_into().unwrap();
        assert!(address.has_signed("app.example", "a message", &plain));
        assert!(!address.has_signed("app.example", "another", &plain));
        assert!(!key().1.has_signed("app.example", "a message", &plain));
    }

    /// As the published layouts have it, written out once more.
    fn envelope(head: &[u8], address: &Address, tail: &[u8], message: &str) -> Vec<u8> {
        let mut bytes = b"\xffsolana offchain".to_vec();
        bytes.extend(head);
        bytes.extend(address.0);
        bytes.extend(tail);
        bytes.extend(message.bytes());
        bytes
    }

    #[test]
    fn hardware_wallets_sign_in_envelopes() {
        let (pair, address) = key();
        let signed = |bytes: &[u8]| -> [u8; 64] { pair.sign(bytes).as_ref().try_into().unwrap() };
        let domain = |name: &str| {
            let mut bytes = name.as_bytes().to_vec();
            bytes.resize(32, 0);
            bytes
        };
        for (message, formats) in [
            ("plain\ntext", &[0_u8, 1, 2][..]),
            ("gr\u{fc}\u{df} dich", &[1, 2][..]),
            ("tab\tstop", &[1, 2][..]),
        ] {
            let length = u16::try_from(message.len()).unwrap().to_le_bytes();
            let version_0 = |name: &str, format: u8| {
                let head = [&[0][..], &domain(name), &[format, 1]].concat();
                envelope(&head, &address, &length, message)
            };
            let legacy = |format: u8| {
                let mut bytes = b"\xffsolana offchain\0".to_vec();
                bytes.push(format);
                bytes.extend(length);
                bytes.extend(message.bytes());
                bytes
            };
            let holds = |bytes: &[u8]| address.has_signed("app.example", message, &signed(bytes));
            for format in 0..=3 {
                let fits = formats.contains(&format);
                for bytes in [version_0("app.example", format), version_0("", format), legacy(format)] {
                    assert_eq!(holds(&bytes), fits, "{message} {format}");
                }
                assert!(!holds(&version_0("evil.example", format)));
            }
            for tail in [&[][..], &length] {
                assert!(holds(&envelope(&[1, 1], &address, tail, message)));
                assert!(!holds(&envelope(&[2, 1], &address, tail, message)));
                assert!(!holds(&envelope(&[1, 1], &key().1, tail, message)));
            }
            let of_another = envelope(&[1, 1], &address, &[], "another");
            assert!(!holds(&of_another));
        }
        assert!(address.off_chain("app.example", &"x".repeat(70_000)).is_empty());
    }

    #[test]
    fn signatures_are_read_in_every_alphabet() {
        let bytes = [0xfb; 64];
        let standard = base64::engine::general_purpose::STANDARD.encode(bytes);
        let url = URL_SAFE_NO_PAD.encode(bytes);
        assert!(standard.contains('+') && url.contains('-'));
        for text in [&standard, &url] {
            assert_eq!(signature(text).unwrap(), bytes);
        }
        assert!(signature("").is_err() && signature(&url[1..]).is_err() && signature(&format!("{url}AA")).is_err());
    }
}

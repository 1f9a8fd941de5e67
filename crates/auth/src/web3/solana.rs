//! Addresses and signatures on Solana.
//!
//! Source: RFC 8032 (Ed25519); Solana, "Off-Chain Message Signing" (what hardware wallets sign).

use aws_lc_rs::signature::{ED25519, UnparsedPublicKey};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::error::Error;

const KEY_BYTES: usize = 32;
const SIGNATURE_BYTES: usize = 64;
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

    /// True if the signature is of this key, over the message itself or as hardware wallets sign it.
    pub fn has_signed(&self, domain: &str, message: &str, signature: &[u8; SIGNATURE_BYTES]) -> bool {
        let key = UnparsedPublicKey::new(&ED25519, &self.0);
        key.verify(message.as_bytes(), signature).is_ok()
            || self
                .off_chain(domain, message)
                .is_some_and(|wrapped| key.verify(&wrapped, signature).is_ok())
    }

    /// The message in the envelope of off-chain messages: marker, version, domain, format, signers, length.
    fn off_chain(&self, domain: &str, message: &str) -> Option<Vec<u8>> {
        let mut bytes = b"\xffsolana offchain\0".to_vec();
        let mut application = [0; 32];
        for (own, given) in application.iter_mut().zip(domain.bytes()) {
            *own = given;
        }
        bytes.extend(application);
        bytes.extend([0, 1]);
        bytes.extend(self.0);
        bytes.extend(u16::try_from(message.len()).ok()?.to_le_bytes());
        bytes.extend(message.bytes());
        Some(bytes)
    }
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
        let wrapped = address.off_chain("app.example", "a message").unwrap();
        assert_eq!(wrapped.len(), 16 + 1 + 32 + 1 + 1 + 32 + 2 + "a message".len());
        let hardware: [u8; 64] = pair.sign(&wrapped).as_ref().try_into().unwrap();
        assert!(address.has_signed("app.example", "a message", &hardware));
        assert!(!address.has_signed("evil.example", "a message", &hardware));
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

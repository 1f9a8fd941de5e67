//! Addresses and signatures on Ethereum.
//!
//! Keys of people alone: a contract's word (EIP-1271) could only be asked for on the chain itself.
//!
//! Source: EIP-55 (capitals of addresses), EIP-191 version 0x45 (`personal_sign`), SEC 1 §4.1.6 (recovering a key).

use k256::ecdsa::{RecoveryId, Signature, VerifyingKey};
use sha3::{Digest, Keccak256};

use crate::error::Error;
use crate::secrets;

/// Bytes of `r`, `s` and `v`.
const SIGNATURE_BYTES: usize = 65;
const ADDRESS_DIGITS: usize = 40;

/// The last 20 bytes of a key's digest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Address([u8; 20]);

impl Address {
    /// Capitals are a checksum, unless all letters are alike. Errors: what is wrong.
    pub fn read(text: &str) -> Result<Self, &'static str> {
        const NONE: &str = "wallet address is not a valid Ethereum address";
        let digits = text.strip_prefix("0x").ok_or(NONE)?;
        let bytes: [u8; 20] = secrets::unhex(digits)
            .filter(|_| digits.len() == ADDRESS_DIGITS)
            .and_then(|bytes| bytes.try_into().ok())
            .ok_or(NONE)?;
        let is_mixed = digits.bytes().any(|byte| byte.is_ascii_lowercase())
            && digits.bytes().any(|byte| byte.is_ascii_uppercase());
        if is_mixed && Address(bytes).checksummed() != digits {
            return Err("wallet address does not have the capitals of its checksum (EIP-55)");
        }
        Ok(Address(bytes))
    }

    /// The digits with capitals as EIP-55 has them.
    fn checksummed(self) -> String {
        let plain = secrets::hex(&self.0);
        let sum = Keccak256::digest(plain.as_bytes());
        let half = |at: usize| match at % 2 {
            0 => sum[at / 2] >> 4,
            _ => sum[at / 2] & 15,
        };
        plain
            .chars()
            .enumerate()
            .map(|(at, digit)| match half(at) >= 8 {
                true => digit.to_ascii_uppercase(),
                false => digit,
            })
            .collect()
    }

    /// True if the signature of the message is of this address's key.
    pub fn has_signed(self, message: &str, signature: &[u8; SIGNATURE_BYTES]) -> bool {
        signer(message, signature) == Some(self)
    }
}

impl std::fmt::Display for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "0x{}", secrets::hex(&self.0))
    }
}

/// Reads a signature as wallets give it. Errors: `Validation`.
pub fn signature(text: &str) -> Result<[u8; SIGNATURE_BYTES], Error> {
    let bytes = secrets::unhex(text.strip_prefix("0x").unwrap_or(text));
    bytes.and_then(|bytes| bytes.try_into().ok()).ok_or_else(|| {
        Error::Validation("signature must be 65 bytes long, encoded as a 130 character-long hexadecimal string".into())
    })
}

/// Whose key has signed. `None`: it is no signature of any.
fn signer(message: &str, signature: &[u8; SIGNATURE_BYTES]) -> Option<Address> {
    let (scalars, v) = signature.split_at(SIGNATURE_BYTES - 1);
    let v = match v {
        [v @ (0 | 1)] => *v,
        [v @ (27 | 28)] => *v - 27,
        _ => return None,
    };
    let key = VerifyingKey::recover_from_prehash(
        &digest(message),
        &Signature::from_slice(scalars).ok()?,
        RecoveryId::from_byte(v)?,
    );
    let point = key.ok()?.to_sec1_point(false);
    let sum = Keccak256::digest(point.as_bytes().get(1..)?);
    Some(Address(sum[12..].try_into().ok()?))
}

/// What `personal_sign` signs.
fn digest(message: &str) -> [u8; 32] {
    let mut hash = Keccak256::new();
    hash.update(format!("\x19Ethereum Signed Message:\n{}", message.len()).as_bytes());
    hash.update(message.as_bytes());
    hash.finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_the_standard_are_read_and_others_are_not() {
        // The examples of EIP-55.
        for text in [
            "0x52908400098527886E0F7030069857D2E4169EE7",
            "0x8617E340B3D01FA5F11F306F4090FD50E238070D",
            "0xde709f2102306220921060314715629080e2fb77",
            "0x27b1fdb04752bbc536007a920d24acb045561c26",
            "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed",
            "0xfB6916095ca1df60bB79Ce92cE3Ea74c37c5d359",
            "0xdbF03B407c01E7cD3CBea99509d93f8DDDC8C6FB",
            "0xD1220A0cf47c7B9Be7A2E6BA89F429762e7b9aDb",
        ] {
            assert_eq!(Address::read(text).unwrap().to_string(), text.to_lowercase());
        }
        for text in [
            "0x5aaeb6053F3E94C9b9A09f33669435E7Ef1BeAed",
            "5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed",
            "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAe",
            "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAedff",
            "0xgaAeb6053F3E94C9b9A09f33669435E7Ef1BeAed",
            "",
        ] {
            assert!(Address::read(text).is_err(), "{text}");
        }
    }

    /// The example of web3.js, `eth.accounts.sign("Some data", …)`, and of ethers for the same key and text.
    const SIGNED: &str = "0xb91467e570a6466aa9e9876cbcd013baba02900b8979d43fe208a4a4f339f5fd6007e74cd82e037b800186422fc2da167c747ef045e5d18a5f5d4300f8e1a0291c";
    const SIGNER: &str = "0x2c7536E3605D9C16a7a3D7b1898e529396a65c23";

    #[test]
    fn the_signer_of_a_published_signature_is_found() {
        let good = signature(SIGNED).unwrap();
        let address = Address::read(SIGNER).unwrap();
        assert!(address.has_signed("Some data", &good));
        assert_eq!(
            secrets::hex(&digest("Some data")),
            "1da44b586eb0729ff70a73c326926f6ed5a25f5b056e7f47fbc6e58d86871655"
        );
        assert!(!address.has_signed("Some data!", &good));
        for at in [0, 31, 32, 63] {
            let mut bent = good;
            bent[at] ^= 1;
            assert!(!address.has_signed("Some data", &bent), "{at}");
        }
        for v in [0, 2, 26, 27, 29, 255] {
            let mut bent = good;
            bent[64] = v;
            assert!(!address.has_signed("Some data", &bent), "{v}");
        }
        let mut bare = good;
        bare[64] = 1;
        assert!(address.has_signed("Some data", &bare));
        assert!(!address.has_signed("Some data", &[0; 65]) && !address.has_signed("Some data", &[255; 65]));
    }

    #[test]
    fn what_is_no_signature_is_refused() {
        for text in [
            "",
            "0x",
            &SIGNED[..SIGNED.len() - 2],
            &format!("{SIGNED}00"),
            &SIGNED.replace('b', "ä"),
        ] {
            assert!(signature(text).is_err(), "{text}");
        }
        assert!(signature(&SIGNED[2..]).is_ok());
    }
}

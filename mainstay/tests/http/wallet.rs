//! Wallets, computed by nothing of Mainstay's: keys made anew, and messages as wallets write them.

use aws_lc_rs::rand;
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use k256::ecdsa::SigningKey;
use serde_json::{Value, json};
use sha3::{Digest, Keccak256};

/// Who signs.
pub enum Wallet {
    Ethereum(SigningKey),
    Solana(Ed25519KeyPair),
}

impl Wallet {
    pub fn ethereum() -> Self {
        let mut bytes = [0_u8; 32];
        rand::fill(&mut bytes).unwrap();
        // Not zero, and not above the group's order, but once in 2^128 times.
        Wallet::Ethereum(SigningKey::from_slice(&bytes).unwrap())
    }

    pub fn solana() -> Self {
        Wallet::Solana(Ed25519KeyPair::generate().unwrap())
    }

    pub fn chain(&self) -> &'static str {
        match self {
            Wallet::Ethereum(_) => "ethereum",
            Wallet::Solana(_) => "solana",
        }
    }

    /// On Ethereum in lower case, as the published client writes it.
    pub fn address(&self) -> String {
        match self {
            Wallet::Ethereum(key) => {
                let point = key.verifying_key().to_sec1_point(false);
                format!("0x{}", hex(&Keccak256::digest(&point.as_bytes()[1..])[12..]))
            }
            Wallet::Solana(key) => bs58::encode(key.public_key().as_ref()).into_string(),
        }
    }

    /// The same with the capitals of EIP-55.
    pub fn checksummed(&self) -> String {
        let address = self.address();
        let sum = hex(&Keccak256::digest(&address.as_bytes()[2..]));
        let digits = address[2..]
            .chars()
            .zip(sum.chars())
            .map(|(digit, sum)| match sum >= '8' {
                true => digit.to_ascii_uppercase(),
                false => digit,
            });
        format!("0x{}", digits.collect::<String>())
    }

    /// A message that asks to sign in at the tests' site, issued `age` seconds ago.
    pub fn message(&self, age: i64) -> String {
        let issued = at(-age);
        let address = self.address();
        match self {
            Wallet::Ethereum(_) => format!(
                "shop.example wants you to sign in with your Ethereum account:\n{address}\n\nHello, Ann\n\n\
                 URI: https://shop.example/\nVersion: 1\nChain ID: 1\nNonce: {}\nIssued At: {issued}",
                nonce()
            ),
            Wallet::Solana(_) => format!(
                "shop.example wants you to sign in with your Solana account:\n{address}\n\nHello, Ann\n\n\
                 Version: 1\nURI: https://shop.example/\nIssued At: {issued}\nChain ID: solana:mainnet\nNonce: {}",
                nonce()
            ),
        }
    }

    pub fn sign(&self, message: &str) -> String {
        match self {
            Wallet::Ethereum(key) => {
                let text = format!("\x19Ethereum Signed Message:\n{}{message}", message.len());
                let (signature, recovery) = key.sign_prehash_recoverable(&Keccak256::digest(text.as_bytes()));
                format!("0x{}{:02x}", hex(&signature.to_bytes()), 27 + recovery.to_byte())
            }
            Wallet::Solana(key) => URL_SAFE_NO_PAD.encode(key.sign(message.as_bytes())),
        }
    }

    /// What a client sends.
    pub fn body(&self, message: &str) -> Value {
        json!({"chain": self.chain(), "message": message, "signature": self.sign(message)})
    }
}

/// RFC 3339, so many seconds from now.
pub fn at(seconds: i64) -> String {
    jiff::Timestamp::from_second(mainstay_testing::token::now() + seconds)
        .unwrap()
        .to_string()
}

fn nonce() -> String {
    let mut bytes = [0_u8; 8];
    rand::fill(&mut bytes).unwrap();
    hex(&bytes)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

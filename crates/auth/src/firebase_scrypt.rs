//! Passwords of users who come from Firebase: verified, and made anew at the next sign-in like all hashes from elsewhere.
//!
//! The form is `$fbscrypt$v=1,n=14,r=8,p=1,ss=<salt separator>,sk=<signer key>$<salt>$<hash>`, all of it Base64: scrypt
//! makes a key of the password, and that key encrypts the project's signer key, which is what is kept.
//!
//! Source: Firebase's own description of its scrypt; RFC 7914; the form is Supabase Auth's.

use aws_lc_rs::cipher::{AES_256, DecryptingKey, DecryptionContext, UnboundCipherKey};
use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::iv::FixedLength;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use scrypt::Params;

const PREFIX: &str = "$fbscrypt$";
/// Logarithm of the memory in blocks: with r = 8, 128 MiB.
const N_MAX: u8 = 17;
/// Blocks' size.
const R_MAX: u32 = 16;
const P_MAX: u32 = 4;
/// Bytes of the key that encrypts.
const KEY_BYTES: usize = 32;

/// A hash, read.
struct Parsed {
    parameters: Params,
    salt: Vec<u8>,
    signer_key: Vec<u8>,
    hash: Vec<u8>,
}

/// True if it is meant to be such a hash.
pub fn is_firebase(stored: &str) -> bool {
    stored.starts_with(PREFIX)
}

/// True if it can be verified, at a cost that is bounded.
pub fn is_valid(stored: &str) -> bool {
    parse(stored).is_some()
}

/// True if the password is the hash's.
pub fn verify(password: &str, stored: &str) -> bool {
    let Some(parsed) = parse(stored) else {
        return false;
    };
    let mut key = [0_u8; KEY_BYTES];
    if scrypt::scrypt(password.as_bytes(), &parsed.salt, &parsed.parameters, &mut key).is_err() {
        return false;
    }
    let mut text = parsed.signer_key;
    encrypt(&key, &mut text).is_some_and(|()| verify_slices_are_equal(&text, &parsed.hash).is_ok())
}

/// AES-256 in counter mode from zero, as Firebase has it. The mode is its own inverse, and only decryption takes a
/// counter that is given.
fn encrypt(key: &[u8], text: &mut [u8]) -> Option<()> {
    let key = UnboundCipherKey::new(&AES_256, key).ok()?;
    let counter = DecryptionContext::Iv128(FixedLength::from([0_u8; 16]));
    DecryptingKey::ctr(key).ok()?.decrypt(text, counter).ok().map(drop)
}

fn parse(stored: &str) -> Option<Parsed> {
    let mut parts = stored.strip_prefix(PREFIX)?.split('$');
    let (parameters, salt, hash) = (parts.next()?, parts.next()?, parts.next()?);
    if parts.next().is_some() {
        return None;
    }
    let (mut version, mut n, mut r, mut p) = (None, None, None, None);
    let (mut separator, mut signer_key) = (Vec::new(), Vec::new());
    for parameter in parameters.split(',') {
        // Base64 may end in the sign that parts names and values.
        let (name, value) = parameter.split_once('=')?;
        match name {
            "v" => version = Some(value),
            "n" => n = value.parse::<u8>().ok(),
            "r" => r = value.parse::<u32>().ok(),
            "p" => p = value.parse::<u32>().ok(),
            "ss" => separator = STANDARD.decode(value).ok()?,
            "sk" => signer_key = STANDARD.decode(value).ok()?,
            _ => return None,
        }
    }
    let (n, r, p) = (n?, r?, p?);
    let bounded = (1..=N_MAX).contains(&n) && (1..=R_MAX).contains(&r) && (1..=P_MAX).contains(&p);
    let hash = STANDARD.decode(hash).ok()?;
    if version != Some("1") || !bounded || signer_key.is_empty() || hash.len() != signer_key.len() {
        return None;
    }
    let mut salt = STANDARD.decode(salt).ok()?;
    salt.extend(separator);
    Some(Parsed {
        parameters: Params::new(n, r, p).ok()?,
        salt,
        signer_key,
        hash,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of `user1password`: the vector in Firebase's description.
    const HASH: &str = "$fbscrypt$v=1,n=14,r=8,p=1,ss=Bw==,\
        sk=jxspr8Ki0RYycVU8zykbdLGjFQ3McFUH0uiiTvC8pVMXAn210wjLNmdZJzxUECKbm0QsEmYUSDzZvpjeJ9WmXA==$42xEC+ixf3L2lw==$\
        lSrfV15cpx95/sZS2W9c9Kp6i/LVgQNDNC/qzrCnh1SAyZvqmZqAjTdn3aoItz+VHjoZilo78198JAdRuid5lQ==";

    #[test]
    fn the_published_vector_is_verified() {
        assert!(is_firebase(HASH) && is_valid(HASH));
        assert!(verify("user1password", HASH));
        assert!(!verify("user1passwore", HASH) && !verify("", HASH));
    }

    #[test]
    fn what_is_bent_or_too_dear_is_none() {
        for (from, to) in [
            ("v=1", "v=2"),
            ("n=14", "n=30"),
            ("n=14", "n=0"),
            ("r=8", "r=1000000"),
            ("p=1", "p=0"),
            ("p=1,", ""),
            ("ss=Bw==", "ss=*"),
            ("sk=jxsp", "sk=jxs"),
            ("sk=jxsp", "sk=AAAAjxsp"),
            ("ss=Bw==", "ss=Bw==,x=1"),
            ("$42x", "$42x$"),
        ] {
            let bent = HASH.replacen(from, to, 1);
            assert!(!is_valid(&bent) && !verify("user1password", &bent), "{bent}");
        }
    }
}

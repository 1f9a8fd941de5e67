//! `bytea`: stored as BLOB. Hex and escape input, hex output, `encode` and `decode`, digests.
//!
//! Source: PostgreSQL manual, 8.4 and 9.5; RFC 1321 (MD5).

use sha2::Digest as _;

use super::errors::{PgError, Result};

const HEX: &[u8; 16] = b"0123456789abcdef";
/// Base64 lines end after this many characters, as in RFC 2045.
const BASE64_LINE: usize = 76;

/// Reads `\x…` or the escape form. Errors: 22P02, 22023.
pub fn parse(text: &str) -> Result<Vec<u8>> {
    match text.strip_prefix("\\x") {
        Some(digits) => decode_hex(digits),
        None => decode_escape(text),
    }
}

/// Appends the digits of `bytes`.
pub fn write_hex(bytes: &[u8], out: &mut Vec<u8>) {
    out.reserve(bytes.len() * 2);
    for byte in bytes {
        out.push(HEX[usize::from(byte >> 4)]);
        out.push(HEX[usize::from(byte & 15)]);
    }
}

/// The digits of `bytes`.
pub fn hex(bytes: &[u8]) -> String {
    let mut out = Vec::new();
    write_hex(bytes, &mut out);
    String::from_utf8(out).unwrap_or_default()
}

/// PostgreSQL's output: `\x` and digits.
pub fn output(bytes: &[u8]) -> String {
    format!("\\x{}", hex(bytes))
}

fn decode_hex(text: &str) -> Result<Vec<u8>> {
    let mut out = Vec::with_capacity(text.len() / 2);
    let mut chars = text.chars();
    let digit = |c: char| {
        c.to_digit(16)
            .map(|value| value as u8)
            .ok_or_else(|| PgError::new("22023", format!("invalid hexadecimal digit: \"{c}\"")))
    };
    while let Some(c) = chars.next() {
        if matches!(c, ' ' | '\n' | '\t' | '\r') {
            continue;
        }
        let high = digit(c)?;
        let low = chars
            .next()
            .ok_or_else(|| PgError::new("22023", "invalid hexadecimal data: odd number of digits"))?;
        out.push(high << 4 | digit(low)?);
    }
    Ok(out)
}

fn decode_escape(text: &str) -> Result<Vec<u8>> {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        if *byte != b'\\' {
            out.push(*byte);
            at += 1;
            continue;
        }
        match bytes.get(at + 1..) {
            Some([b'\\', ..]) => {
                out.push(b'\\');
                at += 2;
            }
            Some([a @ b'0'..=b'3', b @ b'0'..=b'7', c @ b'0'..=b'7', ..]) => {
                out.push((a - b'0') << 6 | (b - b'0') << 3 | (c - b'0'));
                at += 4;
            }
            _ => return Err(PgError::new("22P02", "invalid input syntax for type bytea")),
        }
    }
    Ok(out)
}

/// `encode(bytes, format)` for `hex`, `base64` and `escape`. Errors: 22023.
pub fn encode(bytes: &[u8], format: &str) -> Result<String> {
    match format.to_ascii_lowercase().as_str() {
        "hex" => Ok(hex(bytes)),
        "base64" => {
            use base64::Engine as _;
            let flat = base64::engine::general_purpose::STANDARD.encode(bytes);
            let mut out = String::with_capacity(flat.len() + flat.len() / BASE64_LINE);
            for (index, c) in flat.chars().enumerate() {
                out.push(c);
                if index % BASE64_LINE == BASE64_LINE - 1 {
                    out.push('\n');
                }
            }
            Ok(out)
        }
        "escape" => {
            let mut out = String::new();
            for byte in bytes {
                match byte {
                    0 | 128.. => out.push_str(&format!("\\{byte:03o}")),
                    b'\\' => out.push_str("\\\\"),
                    _ => out.push(char::from(*byte)),
                }
            }
            Ok(out)
        }
        _ => Err(PgError::new("22023", format!("unrecognized encoding: \"{format}\""))),
    }
}

/// `decode(text, format)`. Errors: 22023, 22P02.
pub fn decode(text: &str, format: &str) -> Result<Vec<u8>> {
    match format.to_ascii_lowercase().as_str() {
        "hex" => decode_hex(text),
        "base64" => decode_base64(text),
        "escape" => decode_escape(text),
        _ => Err(PgError::new("22023", format!("unrecognized encoding: \"{format}\""))),
    }
}

fn decode_base64(text: &str) -> Result<Vec<u8>> {
    let mut out = Vec::with_capacity(text.len() / 4 * 3);
    let (mut group, mut count, mut padding) = (0u32, 0, 0);
    for c in text.chars() {
        let value = match c {
            ' ' | '\t' | '\n' | '\r' => continue,
            '=' => {
                if padding == 0 {
                    if count < 2 {
                        return Err(PgError::new("22023", "unexpected \"=\" while decoding base64 sequence"));
                    }
                    padding = if count == 2 { 1 } else { 2 };
                }
                0
            }
            'A'..='Z' => c as u32 - 'A' as u32,
            'a'..='z' => c as u32 - 'a' as u32 + 26,
            '0'..='9' => c as u32 - '0' as u32 + 52,
            '+' => 62,
            '/' => 63,
            _ => {
                return Err(PgError::new(
                    "22023",
                    format!("invalid symbol \"{c}\" found while decoding base64 sequence"),
                ));
            }
        };
        group = group << 6 | value;
        count += 1;
        if count == 4 {
            out.push((group >> 16) as u8);
            if padding == 0 || padding > 1 {
                out.push((group >> 8) as u8);
            }
            if padding == 0 || padding > 2 {
                out.push(group as u8);
            }
            (group, count) = (0, 0);
        }
    }
    if count != 0 {
        return Err(PgError::new("22023", "invalid base64 end sequence")
            .hint("Input data is missing padding, is truncated, or is otherwise corrupted."));
    }
    Ok(out)
}

/// `sha224`, `sha256`, `sha384`, `sha512` by name.
pub fn sha(name: &str, bytes: &[u8]) -> Option<Vec<u8>> {
    Some(match name {
        "sha224" => sha2::Sha224::digest(bytes).to_vec(),
        "sha256" => sha2::Sha256::digest(bytes).to_vec(),
        "sha384" => sha2::Sha384::digest(bytes).to_vec(),
        "sha512" => sha2::Sha512::digest(bytes).to_vec(),
        _ => return None,
    })
}

/// The MD5 digest, for `md5()`; not for secrets.
pub fn md5(bytes: &[u8]) -> [u8; 16] {
    const SHIFTS: [[u32; 4]; 4] = [[7, 12, 17, 22], [5, 9, 14, 20], [4, 11, 16, 23], [6, 10, 15, 21]];
    let mut state = [0x6745_2301u32, 0xefcd_ab89, 0x98ba_dcfe, 0x1032_5476];
    let mut message = bytes.to_vec();
    message.push(0x80);
    while message.len() % 64 != 56 {
        message.push(0);
    }
    message.extend_from_slice(&(bytes.len() as u64).wrapping_mul(8).to_le_bytes());
    for block in message.chunks_exact(64) {
        let mut words = [0u32; 16];
        for (word, chunk) in words.iter_mut().zip(block.chunks_exact(4)) {
            *word = u32::from_le_bytes([chunk[0], chunk[1], chunk[2], chunk[3]]);
        }
        let [mut a, mut b, mut c, mut d] = state;
        for step in 0..64usize {
            let (mixed, word) = match step / 16 {
                0 => ((b & c) | (!b & d), step),
                1 => ((d & b) | (!d & c), (5 * step + 1) % 16),
                2 => (b ^ c ^ d, (3 * step + 5) % 16),
                _ => (c ^ (b | !d), (7 * step) % 16),
            };
            // RFC 1321: the constants are the sines of the step numbers.
            let constant = (((step + 1) as f64).sin().abs() * 4_294_967_296.0) as u32;
            let sum = a.wrapping_add(mixed).wrapping_add(constant).wrapping_add(words[word]);
            (a, d, c) = (d, c, b);
            b = b.wrapping_add(sum.rotate_left(SHIFTS[step / 16][step % 4]));
        }
        for (slot, value) in state.iter_mut().zip([a, b, c, d]) {
            *slot = slot.wrapping_add(value);
        }
    }
    let mut digest = [0u8; 16];
    for (chunk, word) in digest.chunks_exact_mut(4).zip(state) {
        chunk.copy_from_slice(&word.to_le_bytes());
    }
    digest
}
/// pgcrypto's `digest`. Errors: 22023 for an algorithm that there is not.
pub fn digest(algorithm: &str, data: &[u8]) -> Result<Vec<u8>> {
    let name = algorithm.to_ascii_lowercase();
    let made = match name.as_str() {
        "md5" => Some(md5(data).to_vec()),
        "sha1" => Some(sha1(data).to_vec()),
        name => sha(name, data),
    };
    made.ok_or_else(|| {
        let message = format!("Cannot use \"{algorithm}\": No such hash algorithm");
        PgError::new("22023", message)
    })
}

/// pgcrypto's `hmac` (RFC 2104). Errors: as [`digest`].
pub fn hmac(algorithm: &str, key: &[u8], data: &[u8]) -> Result<Vec<u8>> {
    let block_bytes = match algorithm.to_ascii_lowercase().as_str() {
        "sha384" | "sha512" => 128,
        _ => 64,
    };
    let mut block = if key.len() > block_bytes {
        digest(algorithm, key)?
    } else {
        key.to_vec()
    };
    block.resize(block_bytes, 0);
    let padded = |pad: u8| -> Vec<u8> { block.iter().map(|byte| byte ^ pad).collect() };
    let inner = digest(algorithm, &[padded(0x36).as_slice(), data].concat())?;
    digest(algorithm, &[padded(0x5c).as_slice(), &inner].concat())
}

/// SHA-1 (FIPS 180-4).
fn sha1(data: &[u8]) -> [u8; 20] {
    let mut state: [u32; 5] = [0x6745_2301, 0xefcd_ab89, 0x98ba_dcfe, 0x1032_5476, 0xc3d2_e1f0];
    let mut message = data.to_vec();
    message.push(0x80);
    while message.len() % 64 != 56 {
        message.push(0);
    }
    message.extend_from_slice(&(data.len() as u64 * 8).to_be_bytes());
    for block in message.chunks_exact(64) {
        let mut words = [0u32; 80];
        for (word, bytes) in words.iter_mut().zip(block.chunks_exact(4)) {
            *word = u32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
        }
        for at in 16..80 {
            words[at] = (words[at - 3] ^ words[at - 8] ^ words[at - 14] ^ words[at - 16]).rotate_left(1);
        }
        let [mut a, mut b, mut c, mut d, mut e] = state;
        for (round, word) in words.into_iter().enumerate() {
            let (mixed, constant) = match round {
                0..20 => ((b & c) | (!b & d), 0x5a82_7999),
                20..40 => (b ^ c ^ d, 0x6ed9_eba1),
                40..60 => ((b & c) | (b & d) | (c & d), 0x8f1b_bcdc_u32),
                _ => (b ^ c ^ d, 0xca62_c1d6),
            };
            let next = a
                .rotate_left(5)
                .wrapping_add(mixed)
                .wrapping_add(e)
                .wrapping_add(constant)
                .wrapping_add(word);
            (a, b, c, d, e) = (next, a, b.rotate_left(30), c, d);
        }
        for (kept, added) in state.iter_mut().zip([a, b, c, d, e]) {
            *kept = kept.wrapping_add(added);
        }
    }
    let mut out = [0; 20];
    for (bytes, word) in out.chunks_exact_mut(4).zip(state) {
        bytes.copy_from_slice(&word.to_be_bytes());
    }
    out
}

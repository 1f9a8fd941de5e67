//! `uuid`: stored as 36 lower-case characters, whose byte order is the type's order.
//!
//! Source: PostgreSQL manual, 8.12: braces and hyphens after any four digits are optional on input.

use super::errors::{PgError, Result};

const DIGITS: usize = 32;

/// Reads any form PostgreSQL takes into the stored form. Errors: 22P02.
pub fn parse(text: &str) -> Result<String> {
    if is_stored_form(text) {
        return Ok(text.to_owned());
    }
    let bad = || PgError::syntax("uuid", text);
    let body = match text.strip_prefix('{') {
        Some(inner) => inner.strip_suffix('}').ok_or_else(bad)?,
        None => text,
    };
    let mut out = String::with_capacity(36);
    let mut digits = 0;
    for (index, byte) in body.bytes().enumerate() {
        if byte == b'-' {
            let after_four = digits > 0 && digits % 4 == 0 && digits < DIGITS;
            if !after_four || body.as_bytes().get(index - 1) == Some(&b'-') {
                return Err(bad());
            }
            continue;
        }
        if !byte.is_ascii_hexdigit() || digits == DIGITS {
            return Err(bad());
        }
        if matches!(digits, 8 | 12 | 16 | 20) {
            out.push('-');
        }
        out.push(char::from(byte.to_ascii_lowercase()));
        digits += 1;
    }
    if digits == DIGITS { Ok(out) } else { Err(bad()) }
}

/// `8-4-4-4-12` lower-case hexadecimal digits.
fn is_stored_form(text: &str) -> bool {
    text.len() == 36
        && text.bytes().enumerate().all(|(index, byte)| match index {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => matches!(byte, b'0'..=b'9' | b'a'..=b'f'),
        })
}

//! Writes values into response bodies. Both backends use it, so both engines give the same bytes.
//!
//! Source: the text PostgreSQL 15's `to_json` gives for each type; RFC 4180 for CSV.

use std::io::Write;

const HEX: &[u8; 16] = b"0123456789abcdef";

/// Writes `text` as a JSON string. Escapes what PostgreSQL escapes: `"`, `\` and U+0000–001F.
pub fn json_string(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    let bytes = text.as_bytes();
    let mut start = 0;
    for (index, &byte) in bytes.iter().enumerate() {
        if byte >= 0x20 && byte != b'"' && byte != b'\\' {
            continue;
        }
        out.extend_from_slice(&bytes[start..index]);
        start = index + 1;
        match byte {
            b'"' => out.extend_from_slice(b"\\\""),
            b'\\' => out.extend_from_slice(b"\\\\"),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            0x08 => out.extend_from_slice(b"\\b"),
            0x0c => out.extend_from_slice(b"\\f"),
            other => {
                out.extend_from_slice(b"\\u00");
                out.push(HEX[usize::from(other >> 4)]);
                out.push(HEX[usize::from(other & 15)]);
            }
        }
    }
    out.extend_from_slice(&bytes[start..]);
    out.push(b'"');
}

/// Writes an integer in decimal.
pub fn integer(out: &mut Vec<u8>, value: i64) {
    let mut digits = [0_u8; 20];
    let mut at = digits.len();
    let mut rest = value.unsigned_abs();
    loop {
        at -= 1;
        // The remainder is below ten, so it fits a byte.
        digits[at] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    if value < 0 {
        out.push(b'-');
    }
    out.extend_from_slice(&digits[at..]);
}

/// Writes a `double precision` as PostgreSQL prints it: the shortest text that reads back the same.
/// `NaN` and the infinities are written bare; JSON callers quote them.
pub fn float8(out: &mut Vec<u8>, value: f64) {
    if let Some(name) = special(value) {
        return out.extend_from_slice(name);
    }
    shortest(out, &format!("{value:e}"), 15);
}

/// Writes a `real` as PostgreSQL prints it.
pub fn float4(out: &mut Vec<u8>, value: f32) {
    if let Some(name) = special(f64::from(value)) {
        return out.extend_from_slice(name);
    }
    shortest(out, &format!("{value:e}"), 6);
}

/// Writes a float as a JSON value: a number, or a string for `NaN` and the infinities.
pub fn json_float8(out: &mut Vec<u8>, value: f64) {
    if value.is_finite() {
        return float8(out, value);
    }
    out.push(b'"');
    float8(out, value);
    out.push(b'"');
}

/// Writes `bytea` in hex form without quotes: `\xdeadbeef`. In JSON the backslash is doubled by the caller.
pub fn bytea_hex(out: &mut Vec<u8>, value: &[u8]) {
    out.extend_from_slice(b"\\x");
    hex(out, value);
}

/// Writes bytes as lower-case hex digits.
pub fn hex(out: &mut Vec<u8>, bytes: &[u8]) {
    for byte in bytes {
        out.push(HEX[usize::from(byte >> 4)]);
        out.push(HEX[usize::from(byte & 15)]);
    }
}

/// Writes one CSV cell, quoted where RFC 4180 and PostgreSQL's `COPY … CSV` quote it. A null is an empty cell, an empty
/// text is `""`.
pub fn csv_cell(out: &mut Vec<u8>, value: Option<&str>) {
    let Some(text) = value else { return };
    let quote = text.is_empty() || text.bytes().any(|byte| matches!(byte, b',' | b'"' | b'\n' | b'\r'));
    if !quote {
        return out.extend_from_slice(text.as_bytes());
    }
    out.push(b'"');
    for byte in text.bytes() {
        if byte == b'"' {
            out.push(b'"');
        }
        out.push(byte);
    }
    out.push(b'"');
}

fn special(value: f64) -> Option<&'static [u8]> {
    if value.is_nan() {
        Some(b"NaN")
    } else if value == f64::INFINITY {
        Some(b"Infinity")
    } else if value == f64::NEG_INFINITY {
        Some(b"-Infinity")
    } else {
        None
    }
}

/// Rewrites Rust's shortest exponent form (`-1.25e3`) in PostgreSQL's: positional while the exponent is at least -4
/// and below `positional_below`, else with a signed exponent of two digits or more.
fn shortest(out: &mut Vec<u8>, text: &str, positional_below: i32) {
    let (mantissa, exponent) = text.split_once('e').unwrap_or((text, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let (negative, mantissa) = match mantissa.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, mantissa),
    };
    if negative {
        out.push(b'-');
    }
    if exponent < -4 || exponent >= positional_below {
        out.extend_from_slice(mantissa.as_bytes());
        // Writing to a Vec cannot fail.
        let _ = write!(out, "e{}{:02}", if exponent < 0 { '-' } else { '+' }, exponent.abs());
        return;
    }
    let digits: Vec<u8> = mantissa.bytes().filter(u8::is_ascii_digit).collect();
    if exponent < 0 {
        out.extend_from_slice(b"0.");
        out.extend(std::iter::repeat_n(b'0', exponent.unsigned_abs() as usize - 1));
        return out.extend_from_slice(&digits);
    }
    let whole = exponent as usize + 1;
    if digits.len() <= whole {
        out.extend_from_slice(&digits);
        out.extend(std::iter::repeat_n(b'0', whole - digits.len()));
    } else {
        out.extend_from_slice(&digits[..whole]);
        out.push(b'.');
        out.extend_from_slice(&digits[whole..]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn float(value: f64) -> String {
        let mut out = Vec::new();
        float8(&mut out, value);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn floats_print_as_postgresql_prints_them() {
        for (value, text) in [
            (0.1 + 0.2, "0.30000000000000004"),
            (1e15, "1e+15"),
            (1e14, "100000000000000"),
            (1e-4, "0.0001"),
            (1e-5, "1e-05"),
            (-2.5, "-2.5"),
            (0.0, "0"),
            (-0.0, "-0"),
            (1.5e300, "1.5e+300"),
            (f64::NAN, "NaN"),
        ] {
            assert_eq!(float(value), text);
        }
    }

    #[test]
    fn strings_escape_only_what_postgresql_escapes() {
        let mut out = Vec::new();
        json_string(&mut out, "a\"b\\c\n\u{1}é\u{7f}");
        assert_eq!(String::from_utf8(out).unwrap(), "\"a\\\"b\\\\c\\n\\u0001é\u{7f}\"");
    }

    #[test]
    fn integers_print_to_their_limits() {
        for value in [0, -1, 7, i64::MAX, i64::MIN] {
            let mut out = Vec::new();
            integer(&mut out, value);
            assert_eq!(String::from_utf8(out).unwrap(), value.to_string());
        }
    }
}

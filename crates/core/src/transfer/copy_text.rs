//! The escapes of COPY's text format.
//!
//! Source: PostgreSQL 15 manual, COPY ("Text Format").

/// Appends what a field says. A server writes no octal and no hexadecimal escapes.
pub fn unescape(mut field: &[u8], out: &mut Vec<u8>) {
    while let Some(at) = field.iter().position(|byte| *byte == b'\\') {
        out.extend_from_slice(&field[..at]);
        match field.get(at + 1) {
            Some(b'b') => out.push(8),
            Some(b'f') => out.push(12),
            Some(b'n') => out.push(b'\n'),
            Some(b'r') => out.push(b'\r'),
            Some(b't') => out.push(b'\t'),
            Some(b'v') => out.push(11),
            Some(other) => out.push(*other),
            None => {}
        }
        field = field.get(at + 2..).unwrap_or_default();
    }
    out.extend_from_slice(field);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_escape_is_read_and_everything_else_stays() {
        let mut out = Vec::new();
        unescape("a\\tb\\nc\\\\d\\b\\f\\r\\v\\xä\\".as_bytes(), &mut out);
        assert_eq!(out, "a\tb\nc\\d\u{8}\u{c}\r\u{b}xä".as_bytes());
    }
}

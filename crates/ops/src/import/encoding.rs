//! Which encoding a text file has, and reading it as UTF-8.
//!
//! A byte order mark decides; else a file that is UTF-8 throughout is UTF-8; else it is taken for Windows-1252, which
//! spreadsheets still write.
//!
//! Source: Unicode Standard, 23.8 (byte order mark); WHATWG Encoding Standard, index windows-1252.

use std::io::{self, Read};

/// Bytes decoded at a time.
const CHUNK_BYTES: usize = 64 * 1024;

/// The encodings that are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    Utf8,
    Utf16Le,
    Utf16Be,
    Windows1252,
}

impl Encoding {
    /// The name for people.
    pub fn name(self) -> &'static str {
        match self {
            Encoding::Utf8 => "UTF-8",
            Encoding::Utf16Le | Encoding::Utf16Be => "UTF-16",
            Encoding::Windows1252 => "Windows-1252",
        }
    }
}

/// Reads all of `input` and says how it is encoded.
pub fn detect(input: &mut impl Read) -> io::Result<Encoding> {
    let mut chunk = vec![0; CHUNK_BYTES];
    // What was left of a character at the end of the last chunk.
    let mut kept = 0;
    let mut is_start = true;
    loop {
        let count = input.read(&mut chunk[kept..])?;
        let bytes = &chunk[..kept + count];
        if std::mem::take(&mut is_start) {
            match bytes {
                [0xFF, 0xFE, ..] => return Ok(Encoding::Utf16Le),
                [0xFE, 0xFF, ..] => return Ok(Encoding::Utf16Be),
                _ => {}
            }
        }
        match std::str::from_utf8(bytes) {
            Ok(_) if count == 0 => return Ok(Encoding::Utf8),
            Ok(_) => kept = 0,
            Err(error) if error.error_len().is_none() && count > 0 => {
                let from = error.valid_up_to();
                let end = bytes.len();
                kept = end - from;
                chunk.copy_within(from..end, 0);
            }
            Err(_) => return Ok(Encoding::Windows1252),
        }
    }
}

/// The characters of Windows-1252 from 0x80 to 0x9F; the five unassigned ones are control characters.
const WINDOWS_1252: [char; 32] = [
    '€', '\u{81}', '‚', 'ƒ', '„', '…', '†', '‡', 'ˆ', '‰', 'Š', '‹', 'Œ', '\u{8D}', 'Ž', '\u{8F}', '\u{90}', '‘', '’',
    '“', '”', '•', '–', '—', '˜', '™', 'š', '›', 'œ', '\u{9D}', 'ž', 'Ÿ',
];

/// Reads `input` as UTF-8, without its byte order mark.
pub struct Decoded<R> {
    input: R,
    encoding: Encoding,
    out: Vec<u8>,
    at: usize,
    /// A unit of UTF-16, or half of one, that waits for what follows.
    kept: Vec<u8>,
    is_start: bool,
}

impl<R: Read> Decoded<R> {
    /// Decodes from the beginning of a file.
    pub fn new(input: R, encoding: Encoding) -> Self {
        Decoded {
            input,
            encoding,
            out: Vec::new(),
            at: 0,
            kept: Vec::new(),
            is_start: true,
        }
    }

    fn refill(&mut self) -> io::Result<()> {
        let mut chunk = vec![0; CHUNK_BYTES];
        let count = self.input.read(&mut chunk)?;
        chunk.truncate(count);
        self.out.clear();
        self.at = 0;
        match self.encoding {
            Encoding::Utf8 => self.out = chunk,
            Encoding::Windows1252 => {
                let mut text = String::with_capacity(count + count / 4);
                text.extend(chunk.iter().map(|byte| match byte {
                    0x80..=0x9F => WINDOWS_1252[usize::from(byte - 0x80)],
                    other => char::from(*other),
                }));
                self.out = text.into_bytes();
            }
            Encoding::Utf16Le | Encoding::Utf16Be => self.utf16(&chunk, count == 0),
        }
        if std::mem::take(&mut self.is_start) && self.out.starts_with("\u{FEFF}".as_bytes()) {
            self.at = '\u{FEFF}'.len_utf8();
        }
        Ok(())
    }

    fn utf16(&mut self, chunk: &[u8], is_end: bool) {
        self.kept.extend_from_slice(chunk);
        let unit = |pair: &[u8]| match self.encoding {
            Encoding::Utf16Be => u16::from_be_bytes([pair[0], pair[1]]),
            _ => u16::from_le_bytes([pair[0], pair[1]]),
        };
        let mut units: Vec<u16> = self.kept.chunks_exact(2).map(unit).collect();
        // The first half of a pair waits for the second.
        let waits = !is_end && units.last().is_some_and(|unit| (0xD800..0xDC00).contains(unit));
        if waits {
            units.pop();
        }
        let used = units.len() * 2;
        let text: String = char::decode_utf16(units)
            .map(|decoded| decoded.unwrap_or(char::REPLACEMENT_CHARACTER))
            .collect();
        self.kept.drain(..used);
        self.out = text.into_bytes();
    }
}

impl<R: Read> Read for Decoded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.at == self.out.len() {
            self.refill()?;
            if self.out.is_empty() && !self.kept.is_empty() {
                self.refill()?;
            }
        }
        let rest = &self.out[self.at..];
        let count = rest.len().min(buffer.len());
        buffer[..count].copy_from_slice(&rest[..count]);
        self.at += count;
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decoded(bytes: &[u8]) -> (Encoding, String) {
        let encoding = detect(&mut &*bytes).unwrap();
        let mut text = String::new();
        Decoded::new(bytes, encoding).read_to_string(&mut text).unwrap();
        (encoding, text)
    }

    #[test]
    fn encodings_are_told_apart() {
        assert_eq!(decoded("käse €".as_bytes()), (Encoding::Utf8, "käse €".into()));
        assert_eq!(decoded(b"\xEF\xBB\xBFa"), (Encoding::Utf8, "a".into()));
        assert_eq!(decoded(b"k\xE4se \x80"), (Encoding::Windows1252, "käse €".into()));
        let utf16: Vec<u8> = "\u{FEFF}a😀".encode_utf16().flat_map(u16::to_le_bytes).collect();
        assert_eq!(decoded(&utf16), (Encoding::Utf16Le, "a😀".into()));
        let utf16: Vec<u8> = "\u{FEFF}ö".encode_utf16().flat_map(u16::to_be_bytes).collect();
        assert_eq!(decoded(&utf16), (Encoding::Utf16Be, "ö".into()));
        assert_eq!(decoded(b""), (Encoding::Utf8, String::new()));
    }

    #[test]
    fn a_character_across_two_chunks_is_one() {
        let text = "ä".repeat(CHUNK_BYTES);
        let shifted = format!("x{text}");
        assert_eq!(decoded(shifted.as_bytes()), (Encoding::Utf8, shifted));
    }
}

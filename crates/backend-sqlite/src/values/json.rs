//! JSON text: reading it as PostgreSQL does, escaping, and finding a part without building a tree.
//!
//! Lives here: the lexer with PostgreSQL's errors, validation of `json`, `->` and `#>` (which serve `json` and `jsonb`
//! alike, because both are kept as text). Not here: what only `jsonb` can do ([`jsonb`](super::jsonb)).
//!
//! Source: PostgreSQL manual, 8.14 and 9.16; RFC 8259.

use super::errors::{PgError, Result};
use super::jsonb::Json;
use super::numeric::Numeric;

/// How deep arrays and objects may nest.
pub const DEPTH_MAX: usize = 512;

/// For each byte: 0 when JSON takes it as it is, else what follows the backslash (`u` for `\u00XX`).
static ESCAPES: [u8; 256] = {
    let mut table = [0u8; 256];
    let mut byte = 0;
    while byte < 32 {
        table[byte] = b'u';
        byte += 1;
    }
    table[8] = b'b';
    table[9] = b't';
    table[10] = b'n';
    table[12] = b'f';
    table[13] = b'r';
    table[b'"' as usize] = b'"';
    table[b'\\' as usize] = b'\\';
    table
};

/// Where the first byte that must be escaped stands at or after `from`; eight bytes are looked at together.
#[inline]
fn next_escape(text: &[u8], from: usize) -> Option<usize> {
    const ONES: u64 = u64::MAX / 255;
    const HIGH: u64 = ONES << 7;
    let mut at = from;
    while let Some(chunk) = text.get(at..at + 8).and_then(|chunk| <[u8; 8]>::try_from(chunk).ok()) {
        let word = u64::from_le_bytes(chunk);
        // The high bit of a byte in each term is set where that byte is equal, or below a space. A borrow can only
        // mark a byte behind a true one, so the first mark is always right.
        let zero = |word: u64| word.wrapping_sub(ONES) & !word;
        let found = (zero(word ^ (ONES * u64::from(b'"')))
            | zero(word ^ (ONES * u64::from(b'\\')))
            | (word.wrapping_sub(ONES * 32) & !word))
            & HIGH;
        if found != 0 {
            return Some(at + found.trailing_zeros() as usize / 8);
        }
        at += 8;
    }
    text[at..]
        .iter()
        .position(|byte| ESCAPES[usize::from(*byte)] != 0)
        .map(|offset| at + offset)
}

/// Writes `text` as a JSON string, escaping only what PostgreSQL escapes.
#[inline]
pub fn write_string(text: &[u8], out: &mut Vec<u8>) {
    out.reserve(text.len() + 2);
    out.push(b'"');
    let mut from = 0;
    while let Some(at) = next_escape(text, from) {
        out.extend_from_slice(&text[from..at]);
        from = at + 1;
        match ESCAPES[usize::from(text[at])] {
            b'u' => {
                out.extend_from_slice(b"\\u00");
                super::bytea::write_hex(&text[at..=at], out);
            }
            escape => out.extend_from_slice(&[b'\\', escape]),
        }
    }
    out.extend_from_slice(&text[from..]);
    out.push(b'"');
}

/// `text` as a JSON string.
pub fn quote(text: &str) -> String {
    let mut out = Vec::with_capacity(text.len() + 2);
    write_string(text.as_bytes(), &mut out);
    String::from_utf8(out).unwrap_or_default()
}

/// What a token is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Token {
    Open(u8),
    Close(u8),
    Comma,
    Colon,
    String,
    Number,
    True,
    False,
    Null,
    End,
}

/// What the parser needed when it found something else.
#[derive(Clone, Copy)]
enum Expected {
    Value,
    KeyOrEnd,
    Key,
    Colon,
    CommaOrBracket,
    CommaOrBrace,
    End,
}

/// Whether the text becomes `json` (kept as it is) or `jsonb` (read into a tree).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Purpose {
    Validate,
    Build,
    /// As `Validate`, and escapes must stand for characters.
    TakeApart,
}

struct Parser<'a> {
    text: &'a str,
    bytes: &'a [u8],
    /// The current token.
    token: Token,
    start: usize,
    end: usize,
    purpose: Purpose,
    depth: usize,
}

fn refuse(detail: impl Into<String>) -> PgError {
    PgError::new("22P02", "invalid input syntax for type json").detail(detail)
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte >= 0x80
}

impl<'a> Parser<'a> {
    fn new(text: &'a str, purpose: Purpose) -> Self {
        Parser {
            text,
            bytes: text.as_bytes(),
            token: Token::End,
            start: 0,
            end: 0,
            purpose,
            depth: 0,
        }
    }

    fn source(&self) -> &'a str {
        self.text.get(self.start..self.end).unwrap_or_default()
    }

    fn invalid_token(&self) -> PgError {
        refuse(format!("Token \"{}\" is invalid.", self.source()))
    }

    fn unexpected(&self, expected: Expected) -> PgError {
        if self.token == Token::End {
            return refuse("The input string ended unexpectedly.");
        }
        let what = match expected {
            Expected::Value => "JSON value",
            Expected::KeyOrEnd => "string or \"}\"",
            Expected::Key => "string",
            Expected::Colon => "\":\"",
            Expected::CommaOrBracket => "\",\" or \"]\"",
            Expected::CommaOrBrace => "\",\" or \"}\"",
            Expected::End => "end of input",
        };
        refuse(format!("Expected {what}, but found \"{}\".", self.source()))
    }

    fn advance(&mut self) -> Result<()> {
        let mut at = self.end;
        while matches!(self.bytes.get(at), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            at += 1;
        }
        self.start = at;
        let Some(byte) = self.bytes.get(at) else {
            self.end = at;
            self.token = Token::End;
            return Ok(());
        };
        self.end = at + 1;
        self.token = match byte {
            b'{' | b'[' => Token::Open(*byte),
            b'}' | b']' => Token::Close(*byte),
            b',' => Token::Comma,
            b':' => Token::Colon,
            b'"' => {
                self.lex_string()?;
                Token::String
            }
            b'-' | b'0'..=b'9' => {
                self.lex_number()?;
                Token::Number
            }
            _ => {
                let word = self.bytes[at..].iter().take_while(|byte| is_word(**byte)).count();
                self.end = at + word.max(1);
                match self.source() {
                    "true" => Token::True,
                    "false" => Token::False,
                    "null" => Token::Null,
                    _ => return Err(self.invalid_token()),
                }
            }
        };
        Ok(())
    }

    fn lex_number(&mut self) -> Result<()> {
        let bytes = self.bytes;
        let digits = |from: usize| bytes[from..].iter().take_while(|byte| byte.is_ascii_digit()).count();
        let mut at = self.start + usize::from(bytes[self.start] == b'-');
        let mut good = true;
        match bytes.get(at) {
            Some(b'0') => at += 1,
            Some(b'1'..=b'9') => at += digits(at),
            _ => good = false,
        }
        if bytes.get(at) == Some(&b'.') {
            let count = digits(at + 1);
            good &= count > 0;
            at += 1 + count;
        }
        if matches!(bytes.get(at), Some(b'e' | b'E')) {
            at += 1;
            if matches!(bytes.get(at), Some(b'+' | b'-')) {
                at += 1;
            }
            let count = digits(at);
            good &= count > 0;
            at += count;
        }
        let rest = bytes[at..].iter().take_while(|byte| is_word(**byte)).count();
        self.end = at + rest;
        if good && rest == 0 {
            Ok(())
        } else {
            Err(self.invalid_token())
        }
    }

    fn lex_string(&mut self) -> Result<()> {
        let mut at = self.start + 1;
        let mut pending_high = false;
        loop {
            let Some(byte) = self.bytes.get(at) else {
                self.end = at;
                return Err(self.invalid_token());
            };
            let mut is_low = false;
            match byte {
                b'"' => {
                    if pending_high {
                        return Err(refuse("Unicode low surrogate must follow a high surrogate."));
                    }
                    self.end = at + 1;
                    return Ok(());
                }
                0..32 => {
                    return Err(refuse(format!("Character with value 0x{byte:02x} must be escaped.")));
                }
                b'\\' => {
                    at += 1;
                    match self.bytes.get(at) {
                        None => {
                            self.end = at;
                            return Err(self.invalid_token());
                        }
                        Some(b'u') => {
                            let code = self.hex4(at + 1)?;
                            at += 4;
                            if self.purpose != Purpose::Validate {
                                is_low = (0xdc00..0xe000).contains(&code);
                                let is_high = (0xd800..0xdc00).contains(&code);
                                if is_high && pending_high {
                                    return Err(refuse("Unicode high surrogate must not follow a high surrogate."));
                                }
                                if is_low != pending_high {
                                    return Err(refuse("Unicode low surrogate must follow a high surrogate."));
                                }
                                if code == 0 {
                                    return Err(null_escape());
                                }
                                if is_high {
                                    pending_high = true;
                                    at += 1;
                                    continue;
                                }
                            }
                        }
                        Some(_) if pending_high => {
                            return Err(refuse("Unicode low surrogate must follow a high surrogate."));
                        }
                        Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => {}
                        Some(_) => {
                            let c = self.text[at..].chars().next().unwrap_or(' ');
                            return Err(refuse(format!("Escape sequence \"\\{c}\" is invalid.")));
                        }
                    }
                }
                _ => {}
            }
            if pending_high && !is_low {
                return Err(refuse("Unicode low surrogate must follow a high surrogate."));
            }
            pending_high = false;
            at += 1;
        }
    }

    fn hex4(&mut self, from: usize) -> Result<u32> {
        let mut code = 0;
        for at in from..from + 4 {
            let Some(byte) = self.bytes.get(at) else {
                self.end = at;
                return Err(self.invalid_token());
            };
            let Some(digit) = char::from(*byte).to_digit(16) else {
                return Err(refuse("\"\\u\" must be followed by four hexadecimal digits."));
            };
            code = code * 16 + digit;
        }
        Ok(code)
    }

    fn document(mut self) -> Result<Json> {
        self.advance()?;
        let value = self.value(Expected::Value)?;
        if self.token == Token::End {
            Ok(value)
        } else {
            Err(self.unexpected(Expected::End))
        }
    }

    fn value(&mut self, expected: Expected) -> Result<Json> {
        let build = self.purpose == Purpose::Build;
        let value = match self.token {
            Token::Open(b'[') => return self.array(),
            Token::Open(_) => return self.object(),
            Token::String if build => Json::String(unescape(self.source())?),
            Token::Number if build => Json::Number(canonical_number(self.source())?),
            Token::True => Json::Bool(true),
            Token::False => Json::Bool(false),
            Token::Null | Token::String | Token::Number => Json::Null,
            _ => return Err(self.unexpected(expected)),
        };
        self.advance()?;
        Ok(value)
    }

    fn enter(&mut self) -> Result<()> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(PgError::new("54001", "stack depth limit exceeded"));
        }
        self.advance()
    }

    fn array(&mut self) -> Result<Json> {
        self.enter()?;
        let mut elements = Vec::new();
        if self.token != Token::Close(b']') {
            loop {
                let element = self.value(Expected::Value)?;
                if self.purpose == Purpose::Build {
                    elements.push(element);
                }
                match self.token {
                    Token::Comma => self.advance()?,
                    Token::Close(b']') => break,
                    _ => return Err(self.unexpected(Expected::CommaOrBracket)),
                }
            }
        }
        self.depth -= 1;
        self.advance()?;
        Ok(Json::Array(elements))
    }

    fn object(&mut self) -> Result<Json> {
        self.enter()?;
        let mut pairs = Vec::new();
        if self.token != Token::Close(b'}') {
            let mut expected = Expected::KeyOrEnd;
            loop {
                if self.token != Token::String {
                    return Err(self.unexpected(expected));
                }
                let key = if self.purpose == Purpose::Build {
                    unescape(self.source())?
                } else {
                    String::new()
                };
                self.advance()?;
                if self.token != Token::Colon {
                    return Err(self.unexpected(Expected::Colon));
                }
                self.advance()?;
                let value = self.value(Expected::Value)?;
                if self.purpose == Purpose::Build {
                    pairs.push((key, value));
                }
                match self.token {
                    Token::Comma => self.advance()?,
                    Token::Close(b'}') => break,
                    _ => return Err(self.unexpected(Expected::CommaOrBrace)),
                }
                expected = Expected::Key;
            }
        }
        self.depth -= 1;
        self.advance()?;
        Ok(Json::object(pairs))
    }
}

fn null_escape() -> PgError {
    PgError::new("22P05", "unsupported Unicode escape sequence").detail("\\u0000 cannot be converted to text.")
}

fn canonical_number(text: &str) -> Result<String> {
    let plain = !text.bytes().any(|byte| matches!(byte, b'e' | b'E'));
    let negative_zero = text.starts_with('-') && !text.bytes().any(|byte| matches!(byte, b'1'..=b'9'));
    if plain && !negative_zero && text.len() < 1000 {
        return Ok(text.to_owned());
    }
    Numeric::parse(text).map(|number| number.to_string())
}

/// The text behind a JSON string with its quotes. Errors: 22P05 for `\u0000`.
pub fn unescape(quoted: &str) -> Result<String> {
    let body = quoted.get(1..quoted.len().saturating_sub(1)).unwrap_or_default();
    if !body.contains('\\') {
        return Ok(body.to_owned());
    }
    let mut out = String::with_capacity(body.len());
    let mut rest = body;
    while let Some(at) = rest.find('\\') {
        out.push_str(&rest[..at]);
        let code = |from: usize| {
            rest.get(from..from + 4)
                .and_then(|hex| u32::from_str_radix(hex, 16).ok())
        };
        let mut used = at + 2;
        match rest.as_bytes().get(at + 1) {
            Some(b'b') => out.push('\u{8}'),
            Some(b'f') => out.push('\u{c}'),
            Some(b'n') => out.push('\n'),
            Some(b'r') => out.push('\r'),
            Some(b't') => out.push('\t'),
            Some(b'u') => {
                let mut point = code(at + 2).unwrap_or(0);
                used += 4;
                if (0xd800..0xdc00).contains(&point) {
                    let low = code(at + 8).filter(|low| (0xdc00..0xe000).contains(low));
                    let low = low.ok_or_else(|| refuse("Unicode low surrogate must follow a high surrogate."))?;
                    point = 0x1_0000 + ((point - 0xd800) << 10) + (low - 0xdc00);
                    used += 6;
                }
                if point == 0 {
                    return Err(null_escape());
                }
                out.push(
                    char::from_u32(point)
                        .ok_or_else(|| refuse("Unicode low surrogate must follow a high surrogate."))?,
                );
            }
            Some(other) => out.push(char::from(*other)),
            None => {}
        }
        rest = rest.get(used..).unwrap_or_default();
    }
    out.push_str(rest);
    Ok(out)
}

/// Accepts `text` as a value of type `json`. Errors: 22P02 with PostgreSQL's detail.
pub fn validate(text: &str) -> Result<()> {
    Parser::new(text, Purpose::Validate).document().map(drop)
}

/// Looks whether every escape in a value of type `json` stands for a character, as PostgreSQL does before it takes one
/// apart: the type itself takes any. Errors: 22P02, 22P05.
pub fn check_escapes(text: &str) -> Result<()> {
    if memchr::memmem::find(text.as_bytes(), b"\\u").is_none() {
        return Ok(());
    }
    Parser::new(text, Purpose::TakeApart).document().map(drop)
}

/// Reads `text` into a tree with `jsonb`'s rules. Errors: 22P02, 22P05, 22003.
pub fn parse(text: &str) -> Result<Json> {
    Parser::new(text, Purpose::Build).document()
}

/// What a JSON value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Object,
    Array,
    String,
    Number,
    Bool,
    Null,
}

impl Kind {
    /// As `jsonb_typeof` spells it.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Object => "object",
            Kind::Array => "array",
            Kind::String => "string",
            Kind::Number => "number",
            Kind::Bool => "boolean",
            Kind::Null => "null",
        }
    }
}

/// The kind of a valid document.
pub fn kind(text: &str) -> Kind {
    match text.as_bytes().get(skip_blank(text.as_bytes(), 0)) {
        Some(b'{') => Kind::Object,
        Some(b'[') => Kind::Array,
        Some(b'"') => Kind::String,
        Some(b't' | b'f') => Kind::Bool,
        Some(b'n') => Kind::Null,
        _ => Kind::Number,
    }
}

fn skip_blank(bytes: &[u8], mut at: usize) -> usize {
    while matches!(bytes.get(at), Some(b' ' | b'\t' | b'\n' | b'\r')) {
        at += 1;
    }
    at
}

/// The end of the string that begins at `at`.
fn string_end(bytes: &[u8], at: usize) -> usize {
    let mut at = at + 1;
    while let Some(step) = memchr::memchr2(b'"', b'\\', bytes.get(at..).unwrap_or_default()) {
        at += step;
        if bytes[at] == b'"' {
            return at + 1;
        }
        at += 2;
    }
    bytes.len()
}

/// The end of the value that begins at `at`, in a valid document.
fn value_end(bytes: &[u8], at: usize) -> usize {
    match bytes.get(at) {
        Some(b'"') => string_end(bytes, at),
        Some(b'{' | b'[') => {
            let mut depth = 0usize;
            let mut at = at;
            while let Some(byte) = bytes.get(at) {
                match byte {
                    b'"' => {
                        at = string_end(bytes, at);
                        continue;
                    }
                    b'{' | b'[' => depth += 1,
                    b'}' | b']' => {
                        depth -= 1;
                        if depth == 0 {
                            return at + 1;
                        }
                    }
                    _ => {}
                }
                at += 1;
            }
            bytes.len()
        }
        _ => {
            let rest = bytes.get(at..).unwrap_or_default();
            at + rest
                .iter()
                .position(|byte| matches!(byte, b',' | b'}' | b']' | b' ' | b'\t' | b'\n' | b'\r'))
                .unwrap_or(rest.len())
        }
    }
}

/// The elements of a valid array, as slices of it; nothing for other kinds.
pub fn elements(text: &str) -> Elements<'_> {
    let start = skip_blank(text.as_bytes(), 0);
    let at = if text.as_bytes().get(start) == Some(&b'[') {
        start + 1
    } else {
        text.len()
    };
    Elements { text, at }
}

/// See [`elements`].
#[derive(Clone, Debug)]
pub struct Elements<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Iterator for Elements<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        let bytes = self.text.as_bytes();
        let mut at = skip_blank(bytes, self.at);
        if bytes.get(at) == Some(&b',') {
            at = skip_blank(bytes, at + 1);
        }
        if matches!(bytes.get(at), None | Some(b']')) {
            self.at = bytes.len();
            return None;
        }
        let end = value_end(bytes, at);
        self.at = end;
        self.text.get(at..end)
    }
}

/// The pairs of a valid object, as slices: the key with its quotes, the value. Nothing for other kinds.
pub fn pairs(text: &str) -> Pairs<'_> {
    let start = skip_blank(text.as_bytes(), 0);
    let at = if text.as_bytes().get(start) == Some(&b'{') {
        start + 1
    } else {
        text.len()
    };
    Pairs { text, at }
}

/// See [`pairs`].
#[derive(Clone, Debug)]
pub struct Pairs<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Iterator for Pairs<'a> {
    type Item = (&'a str, &'a str);

    fn next(&mut self) -> Option<(&'a str, &'a str)> {
        let bytes = self.text.as_bytes();
        let mut at = skip_blank(bytes, self.at);
        if bytes.get(at) == Some(&b',') {
            at = skip_blank(bytes, at + 1);
        }
        if bytes.get(at) != Some(&b'"') {
            self.at = bytes.len();
            return None;
        }
        let key_end = string_end(bytes, at);
        let key = self.text.get(at..key_end)?;
        let colon = skip_blank(bytes, key_end);
        let value_at = skip_blank(bytes, colon + 1);
        let end = value_end(bytes, value_at);
        self.at = end;
        Some((key, self.text.get(value_at..end)?))
    }
}

fn key_is(quoted: &str, key: &str) -> bool {
    let body = &quoted[1..quoted.len() - 1];
    if body.contains('\\') {
        unescape(quoted).is_ok_and(|plain| plain == key)
    } else {
        body == key
    }
}

/// `json -> 'key'`; the last of equal keys wins.
pub fn field<'a>(text: &'a str, key: &str) -> Option<&'a str> {
    pairs(text)
        .filter(|(quoted, _)| key_is(quoted, key))
        .last()
        .map(|(_, value)| value)
}

/// `json -> index`; negative indexes count from the end.
pub fn element(text: &str, index: i64) -> Option<&str> {
    let index = if index < 0 {
        elements(text).count() as i64 + index
    } else {
        index
    };
    usize::try_from(index).ok().and_then(|index| elements(text).nth(index))
}

/// `json #> path`.
pub fn path<'a>(text: &'a str, steps: &[Option<String>]) -> Option<&'a str> {
    const BLANK: [char; 4] = [' ', '\t', '\n', '\r'];
    let mut here = text.trim_matches(BLANK);
    if steps.is_empty() && !here.starts_with(['{', '[']) {
        // PostgreSQL leaves the blanks before a scalar.
        return Some(text.trim_end_matches(BLANK));
    }
    for step in steps {
        let step = step.as_deref()?;
        here = match kind(here) {
            Kind::Object => field(here, step)?,
            Kind::Array => element(here, super::integer::INT4.parse(step).ok()?)?,
            _ => return None,
        };
    }
    Some(here)
}

/// A found value as `->>` gives it: strings without quotes, null as `None`. Errors: 22P05.
pub fn as_text(value: &str) -> Result<Option<String>> {
    match kind(value) {
        Kind::Null => Ok(None),
        Kind::String => unescape(value.trim_start()).map(Some),
        _ => Ok(Some(value.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_is_escaped_alike_at_every_place() {
        for code in 1..0x100u32 {
            let odd = char::from_u32(code).unwrap();
            for length in 0..20 {
                for place in 0..=length {
                    let text: String = (0..=length).map(|at| if at == place { odd } else { 'é' }).collect();
                    let expected: String = text
                        .chars()
                        .map(|c| match c {
                            '"' => "\\\"".to_owned(),
                            '\\' => "\\\\".to_owned(),
                            '\u{8}' => "\\b".to_owned(),
                            '\u{c}' => "\\f".to_owned(),
                            '\n' => "\\n".to_owned(),
                            '\r' => "\\r".to_owned(),
                            '\t' => "\\t".to_owned(),
                            c if c < ' ' => format!("\\u{:04x}", u32::from(c)),
                            c => c.to_string(),
                        })
                        .collect();
                    assert_eq!(quote(&text), format!("\"{expected}\""));
                }
            }
        }
    }

    #[test]
    fn deep_documents_are_refused() {
        let deep = "[".repeat(DEPTH_MAX + 1);
        assert_eq!(validate(&deep).unwrap_err().code(), "54001");
        let fine = format!("{}{}", "[".repeat(DEPTH_MAX), "]".repeat(DEPTH_MAX));
        assert!(validate(&fine).is_ok());
    }
}

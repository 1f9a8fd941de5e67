//! PL/pgSQL text → tokens, by the rules of PostgreSQL's own scanner.
//!
//! Lives here: words, quoted names, strings, numbers, operators, comments. Not here: which words mean what (`parse`).
//!
//! Source: PostgreSQL 15 manual, 4.1 (lexical structure).

use mainstay_core::error::DatabaseError;
use mainstay_core::name::Ident;

/// Characters that operators are made of.
const OPERATOR_CHARACTERS: &[u8] = b"~!@#^&|`?+-*/%<>=";

/// The longest identifier; PostgreSQL cuts what is longer.
const NAME_BYTES_MAX: usize = 63;

/// What a token is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum TokenKind {
    /// An unquoted name or keyword, in lower case.
    Word(Ident),
    /// A name in double quotes: never a keyword.
    Quoted(Ident),
    /// A string constant's value.
    Text(String),
    Number,
    /// `$1`
    Parameter,
    /// `:=`, `..`, `<<`, `>=`, `(` …
    Symbol,
    End,
}

/// One token and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Token {
    pub kind: TokenKind,
    /// Byte offsets in the body.
    pub start: usize,
    pub end: usize,
}

/// Reads the whole body. The last token is [`TokenKind::End`].
///
/// Errors: 42601 for what is not closed.
pub(super) fn tokens(text: &str) -> Result<Vec<Token>, DatabaseError> {
    let mut lexer = Lexer { text, at: 0 };
    let mut found = Vec::new();
    loop {
        let token = lexer.next()?;
        let is_end = token.kind == TokenKind::End;
        found.push(token);
        if is_end {
            return Ok(found);
        }
    }
}

struct Lexer<'a> {
    text: &'a str,
    at: usize,
}

impl Lexer<'_> {
    fn rest(&self) -> &[u8] {
        self.text.as_bytes().get(self.at..).unwrap_or_default()
    }

    fn unterminated(&self, what: &str, start: usize) -> DatabaseError {
        let near = self.text.get(start..).unwrap_or_default();
        DatabaseError::new("42601", format!("unterminated {what} at or near \"{near}\""))
    }

    fn next(&mut self) -> Result<Token, DatabaseError> {
        self.skip_blank()?;
        let start = self.at;
        let kind = match self.rest() {
            [] => TokenKind::End,
            [b'\'', ..] => TokenKind::Text(self.string(start, false)?),
            [b'e' | b'E', b'\'', ..] => {
                self.at += 1;
                TokenKind::Text(self.string(start, true)?)
            }
            [b'b' | b'B' | b'x' | b'X' | b'n' | b'N', b'\'', ..] => {
                self.at += 1;
                TokenKind::Text(self.string(start, false)?)
            }
            [b'u' | b'U', b'&', b'\'', ..] => {
                self.at += 2;
                TokenKind::Text(self.string(start, false)?)
            }
            [b'u' | b'U', b'&', b'"', ..] => {
                self.at += 2;
                TokenKind::Quoted(self.quoted_name(start)?)
            }
            [b'"', ..] => TokenKind::Quoted(self.quoted_name(start)?),
            [b'$', b'0'..=b'9', ..] => {
                self.at += 1;
                self.take_while(|byte| byte.is_ascii_digit());
                TokenKind::Parameter
            }
            [b'$', ..] => match self.dollar_string(start)? {
                Some(text) => TokenKind::Text(text),
                None => {
                    self.at += 1;
                    TokenKind::Symbol
                }
            },
            [b'0'..=b'9', ..] | [b'.', b'0'..=b'9', ..] => {
                self.number();
                TokenKind::Number
            }
            [first, ..] if is_name_start(*first) => {
                self.take_while(is_name_part);
                let word = self.text.get(start..self.at).unwrap_or_default();
                TokenKind::Word(Ident::new(cut(&word.to_ascii_lowercase())))
            }
            _ => {
                self.symbol();
                TokenKind::Symbol
            }
        };
        Ok(Token {
            kind,
            start,
            end: self.at,
        })
    }

    fn take_while(&mut self, test: impl Fn(u8) -> bool) {
        while self.rest().first().is_some_and(|byte| test(*byte)) {
            self.at += 1;
        }
    }

    fn skip_blank(&mut self) -> Result<(), DatabaseError> {
        loop {
            match self.rest() {
                [b' ' | b'\t' | b'\r' | b'\n' | 0x0B | 0x0C, ..] => self.at += 1,
                [b'-', b'-', ..] => self.take_while(|byte| byte != b'\n'),
                [b'/', b'*', ..] => self.block_comment()?,
                _ => return Ok(()),
            }
        }
    }

    fn block_comment(&mut self) -> Result<(), DatabaseError> {
        let start = self.at;
        let mut depth = 0_usize;
        loop {
            match self.rest() {
                [] => return Err(self.unterminated("/* comment", start)),
                [b'/', b'*', ..] => {
                    depth += 1;
                    self.at += 2;
                }
                [b'*', b'/', ..] => {
                    depth -= 1;
                    self.at += 2;
                    if depth == 0 {
                        return Ok(());
                    }
                }
                _ => self.at += 1,
            }
        }
    }

    /// A string in single quotes; `escapes`: backslashes mean something.
    fn string(&mut self, start: usize, escapes: bool) -> Result<String, DatabaseError> {
        self.at += 1;
        let mut value = Vec::new();
        loop {
            match self.rest() {
                [] => return Err(self.unterminated("quoted string", start)),
                [b'\'', b'\'', ..] => {
                    value.push(b'\'');
                    self.at += 2;
                }
                [b'\'', ..] => {
                    self.at += 1;
                    return Ok(String::from_utf8_lossy(&value).into_owned());
                }
                [b'\\', next, ..] if escapes => {
                    let next = *next;
                    self.at += 2;
                    match next {
                        b'n' => value.push(b'\n'),
                        b't' => value.push(b'\t'),
                        b'r' => value.push(b'\r'),
                        b'b' => value.push(8),
                        b'f' => value.push(12),
                        other => value.push(other),
                    }
                }
                [byte, ..] => {
                    value.push(*byte);
                    self.at += 1;
                }
            }
        }
    }

    /// `$tag$ … $tag$`; `None` if this is no such string.
    fn dollar_string(&mut self, start: usize) -> Result<Option<String>, DatabaseError> {
        let rest = self.text.get(start + 1..).unwrap_or_default();
        let Some(end) = rest.find('$') else { return Ok(None) };
        let tag = rest.get(..end).unwrap_or_default();
        let is_tag = tag.bytes().enumerate().all(|(index, byte)| {
            if index == 0 {
                is_name_start(byte)
            } else {
                is_name_start(byte) || byte.is_ascii_digit()
            }
        });
        if !is_tag {
            return Ok(None);
        }
        let mark = self.text.get(start..start + end + 2).unwrap_or_default();
        let from = start + mark.len();
        match self.text.get(from..).and_then(|inner| inner.find(mark)) {
            Some(length) => {
                self.at = from + length + mark.len();
                Ok(self.text.get(from..from + length).map(str::to_owned))
            }
            None => Err(self.unterminated("dollar-quoted string", start)),
        }
    }

    fn quoted_name(&mut self, start: usize) -> Result<Ident, DatabaseError> {
        self.at += 1;
        let mut name = String::new();
        loop {
            let Some(next) = self.text.get(self.at..).and_then(|rest| rest.chars().next()) else {
                return Err(self.unterminated("quoted identifier", start));
            };
            self.at += next.len_utf8();
            if next != '"' {
                name.push(next);
                continue;
            }
            if self.rest().first() != Some(&b'"') {
                break;
            }
            name.push('"');
            self.at += 1;
        }
        Ok(Ident::new(cut(&name)))
    }

    fn number(&mut self) {
        self.take_while(|byte| byte.is_ascii_digit());
        // `1..10` is a range, not a number with a point.
        if self.rest().first() == Some(&b'.') && self.rest().get(1) != Some(&b'.') {
            self.at += 1;
            self.take_while(|byte| byte.is_ascii_digit());
        }
        let exponent = match self.rest() {
            [b'e' | b'E', b'+' | b'-', b'0'..=b'9', ..] => 2,
            [b'e' | b'E', b'0'..=b'9', ..] => 1,
            _ => 0,
        };
        if exponent > 0 {
            self.at += exponent;
            self.take_while(|byte| byte.is_ascii_digit());
        }
    }

    fn symbol(&mut self) {
        let length = match self.rest() {
            [b':', b':', ..] | [b':', b'=', ..] | [b'.', b'.', ..] => 2,
            [b'<', b'<', ..] | [b'>', b'>', ..] => 2,
            [first, ..] if OPERATOR_CHARACTERS.contains(first) => {
                let mut length = 1;
                while self
                    .rest()
                    .get(length)
                    .is_some_and(|byte| OPERATOR_CHARACTERS.contains(byte))
                {
                    // A comment ends an operator.
                    let two = self.rest().get(length..length + 2);
                    if matches!(two, Some(b"--" | b"/*")) {
                        break;
                    }
                    length += 1;
                }
                // An operator only ends in `+` or `-` if it has one of the rarer characters.
                let rest = self.rest();
                let rare = |byte: &u8| b"~!@#^&|`?%".contains(byte);
                while length > 1 && matches!(rest[length - 1], b'+' | b'-') && !rest[..length].iter().any(rare) {
                    length -= 1;
                }
                length
            }
            _ => 1,
        };
        self.at += length;
        // Never within a character.
        while !self.text.is_char_boundary(self.at) {
            self.at += 1;
        }
    }
}

fn is_name_start(byte: u8) -> bool {
    byte.is_ascii_alphabetic() || byte == b'_' || byte >= 0x80
}

fn is_name_part(byte: u8) -> bool {
    is_name_start(byte) || byte.is_ascii_digit() || byte == b'$'
}

fn cut(name: &str) -> &str {
    let mut length = name.len().min(NAME_BYTES_MAX);
    while !name.is_char_boundary(length) {
        length -= 1;
    }
    &name[..length]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spelled(text: &str) -> Vec<&str> {
        tokens(text)
            .unwrap()
            .iter()
            .filter(|token| token.kind != TokenKind::End)
            .map(|token| &text[token.start..token.end])
            .collect()
    }

    #[test]
    fn ranges_are_not_numbers() {
        assert_eq!(spelled("FOR i IN 1..10"), ["FOR", "i", "IN", "1", "..", "10"]);
        assert_eq!(spelled("1.5e3 .5"), ["1.5e3", ".5"]);
    }

    #[test]
    fn operators_take_what_belongs_to_them() {
        assert_eq!(spelled("a:=-1"), ["a", ":=", "-", "1"]);
        assert_eq!(spelled("a<=-1"), ["a", "<=", "-", "1"]);
        assert_eq!(spelled("<<outer>>"), ["<<", "outer", ">>"]);
        assert_eq!(spelled("j->>'a' -- x\n@>b"), ["j", "->>", "'a'", "@>", "b"]);
    }

    #[test]
    fn strings_of_all_kinds_are_one_token() {
        let texts: Vec<TokenKind> = tokens("'it''s' E'a\\'b' $x$ ; $$ $x$ \"A\"\"b\"")
            .unwrap()
            .into_iter()
            .map(|token| token.kind)
            .collect();
        assert_eq!(
            texts,
            [
                TokenKind::Text("it's".into()),
                TokenKind::Text("a'b".into()),
                TokenKind::Text(" ; $$ ".into()),
                TokenKind::Quoted(Ident::new("A\"b")),
                TokenKind::End
            ]
        );
    }

    #[test]
    fn what_is_not_closed_is_said() {
        assert_eq!(
            tokens("x 'abc").unwrap_err().message,
            "unterminated quoted string at or near \"'abc\""
        );
    }
}

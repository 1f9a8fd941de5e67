//! One lexeme as `tsvector` and `tsquery` write it: a word, bare or in quotes, and in documents its positions.
//!
//! Source: PostgreSQL 15 manual, 8.11.

use super::super::errors::{PgError, Result};
use super::POSITION_MAX;
use super::letters::is_space;
use super::vector::Mark;

/// Whose syntax it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Syntax {
    Document,
    Query,
    /// `websearch_to_tsquery`: no quotes or escapes inside words.
    WebSearch,
}

/// One lexeme read.
#[derive(Debug, PartialEq, Eq)]
pub struct Entry {
    pub word: String,
    pub marks: Vec<Mark>,
    /// Where reading goes on, in bytes.
    pub end: usize,
}

/// True for the characters that are operators of a query.
pub fn is_operator(c: char) -> bool {
    matches!(c, '!' | '&' | '|' | '(' | ')' | '<')
}

/// What is being read.
#[derive(Clone, Copy)]
enum State {
    BeforeWord,
    InWord,
    InQuotes,
    /// Behind a quote that ends the word or is doubled.
    AfterQuote,
    /// Behind the closing quote of a document's word.
    AfterQuoted,
    Escaped {
        in_quotes: bool,
    },
    InPosition,
    AfterPosition,
}

/// Reads the lexeme that begins at or after `at`; `None` at the end. Errors name the whole text: 42601.
pub fn read(text: &str, at: usize, syntax: Syntax) -> Result<Option<Entry>> {
    let web = syntax == Syntax::WebSearch;
    let delimited = syntax != Syntax::Document;
    let kind = if delimited { "tsquery" } else { "tsvector" };
    let wrong = || PgError::new("42601", format!("syntax error in {kind}: \"{text}\""));
    let mut state = State::BeforeWord;
    let mut word = String::new();
    let mut marks: Vec<Mark> = Vec::new();
    let mut at = at;
    loop {
        let next = text[at..].chars().next();
        let ends = next.is_none_or(|c| is_space(c) || delimited && is_operator(c) || web && c == '"');
        let done = |word: String, marks: Vec<Mark>| Ok(Some(Entry { word, marks, end: at }));
        match state {
            State::BeforeWord => match next {
                None => return Ok(None),
                Some('\'') if !web => state = State::InQuotes,
                Some('\\') if !web => state = State::Escaped { in_quotes: false },
                Some(c) if delimited && is_operator(c) || web && c == '"' => return Err(wrong()),
                Some(c) if is_space(c) => {}
                Some(c) => {
                    word.push(c);
                    state = State::InWord;
                }
            },
            State::Escaped { in_quotes } => match next {
                None => {
                    return Err(PgError::new(
                        "42601",
                        format!("there is no escaped character: \"{text}\""),
                    ));
                }
                Some(c) => {
                    word.push(c);
                    state = if in_quotes { State::InQuotes } else { State::InWord };
                }
            },
            State::InWord => match next {
                Some('\\') if !web => state = State::Escaped { in_quotes: false },
                _ if ends => {
                    return if word.is_empty() {
                        Err(wrong())
                    } else {
                        done(word, marks)
                    };
                }
                Some(':') if word.is_empty() => return Err(wrong()),
                Some(':') if delimited => return done(word, marks),
                Some(':') => state = State::InPosition,
                Some(c) => word.push(c),
                None => return done(word, marks),
            },
            State::InQuotes => match next {
                None => return Err(wrong()),
                Some('\'') => state = State::AfterQuote,
                Some('\\') => state = State::Escaped { in_quotes: true },
                Some(c) => word.push(c),
            },
            State::AfterQuote if next == Some('\'') => {
                word.push('\'');
                state = State::InQuotes;
            }
            State::AfterQuote => {
                if word.is_empty() {
                    return Err(wrong());
                }
                if delimited {
                    return done(word, marks);
                }
                state = State::AfterQuoted;
                continue;
            }
            State::AfterQuoted => match next {
                Some(':') => state = State::InPosition,
                _ => return done(word, marks),
            },
            State::InPosition => {
                if !next.is_some_and(|c| c.is_ascii_digit()) {
                    return Err(wrong());
                }
                let digits = text[at..].bytes().take_while(u8::is_ascii_digit).count();
                let position = number(&text[at..at + digits]);
                if position == 0 {
                    let message = format!("wrong position info in tsvector: \"{text}\"");
                    return Err(PgError::new("42601", message));
                }
                marks.push(Mark::new(position, 0));
                state = State::AfterPosition;
            }
            State::AfterPosition => match next {
                Some(',') => state = State::InPosition,
                Some(c) if super::vector::weight_of(c).is_some() || c == '*' => {
                    let weight = super::vector::weight_of(c).unwrap_or(3);
                    let last = marks.last_mut().ok_or_else(wrong)?;
                    if last.weight() != 0 {
                        return Err(wrong());
                    }
                    *last = Mark::new(last.position(), weight);
                }
                None => return done(word, marks),
                Some(c) if is_space(c) => return done(word, marks),
                Some(c) if c.is_ascii_digit() => {}
                Some(_) => return Err(wrong()),
            },
        }
        at += next.map_or(0, char::len_utf8);
    }
}

/// A position, at most the last that is told apart. Like C's `atoi`, numbers beyond 32 bits wrap.
fn number(digits: &str) -> u16 {
    let value = digits.bytes().fold(0i64, |value, digit| {
        value.saturating_mul(10).saturating_add(i64::from(digit - b'0'))
    });
    let value = value as i32;
    // A negative number is cut to its lowest 14 bits where it is stored.
    if value >= i32::from(POSITION_MAX) {
        POSITION_MAX
    } else {
        (value as u32 & u32::from(POSITION_MAX)) as u16
    }
}

//! Text and JSON → lexemes with their positions: `to_tsvector` and what queries take from it.

use super::super::errors::Result;
use super::super::json;
use super::config::{Config, Outcome};
use super::parser::Parser;
use super::vector::{Lexeme, Mark, TsVector};
use super::{POSITION_MAX, POSITIONS_MAX, WORD_BYTES_MAX};

/// A lexeme and the place of its token among the tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    pub word: String,
    pub position: u32,
}

/// The lexemes of a text; `position` is that of the last token before it, and after it.
pub fn lexemes(config: Config, text: &str, position: &mut u32) -> Vec<Found> {
    let mut found = Vec::new();
    for token in Parser::new(text) {
        if token.text.len() > WORD_BYTES_MAX {
            continue;
        }
        match config.lexeme(token.kind, token.text) {
            Outcome::Unmapped => {}
            Outcome::Stop => *position += 1,
            Outcome::Lexeme(word) => {
                *position += 1;
                found.push(Found {
                    word,
                    position: *position,
                });
            }
        }
    }
    found
}

/// `to_tsvector(config, text)`. Errors: 54000 for too long a document.
pub fn text_to_vector(config: Config, text: &str) -> Result<TsVector> {
    document(lexemes(config, text, &mut 0))
}

/// `to_tsvector(config, json)`: the strings among the values, told apart by a gap in the positions.
pub fn json_to_vector(config: Config, document_text: &str) -> Result<TsVector> {
    let mut all = Vec::new();
    let mut position = 0;
    for string in strings(document_text)? {
        let found = lexemes(config, &string, &mut position);
        if !found.is_empty() {
            position += 1;
        }
        all.extend(found);
    }
    document(all)
}

/// The strings among a document's values, in its order.
fn strings(document_text: &str) -> Result<Vec<String>> {
    let mut found = Vec::new();
    let mut open = vec![document_text.trim()];
    while let Some(value) = open.pop() {
        match json::kind(value) {
            json::Kind::String => found.push(json::unescape(value)?),
            json::Kind::Array => {
                let below = open.len();
                open.extend(json::elements(value));
                open[below..].reverse();
            }
            json::Kind::Object => {
                let below = open.len();
                open.extend(json::pairs(value).map(|(_, value)| value));
                open[below..].reverse();
            }
            _ => {}
        }
    }
    Ok(found)
}

fn document(mut found: Vec<Found>) -> Result<TsVector> {
    found.sort_by(|a, b| a.word.cmp(&b.word).then(a.position.cmp(&b.position)));
    let mut words: Vec<Lexeme> = Vec::new();
    for Found { word, position } in found {
        let mark = Mark::new(position.min(u32::from(POSITION_MAX)) as u16, 0);
        match words.last_mut().filter(|last| last.word == word) {
            Some(last) => {
                let known = last.marks.last().copied();
                if last.marks.len() < POSITIONS_MAX - 1
                    && known
                        .is_some_and(|known| known.position() != POSITION_MAX && known.position() != mark.position())
                {
                    last.marks.push(mark);
                }
            }
            None => words.push(Lexeme {
                word,
                marks: vec![mark],
            }),
        }
    }
    TsVector::of(words).measured()
}

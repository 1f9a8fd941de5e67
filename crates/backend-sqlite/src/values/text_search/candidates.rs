//! Documents and queries as FTS5 reads them, for indexes that find candidates.
//!
//! A lexeme is one token: letters and digits of ASCII in lower case (the tokenizer folds them), everything else of ASCII
//! as `_`, all other characters as they are. Several lexemes may share a token; that only makes more candidates.
//!
//! Source: SQLite documentation, "FTS5" 3 (query syntax) and 4.3.2 (the `ascii` tokenizer).

use super::query::{Item, TsQuery};
use super::vector::TsVector;

/// The token that every document has.
const ANY: &str = "_";

/// Parts of a query that are looked up; one that has more takes every document for a candidate. FTS5 limits how deep its
/// expressions nest.
const PARTS_MAX: usize = 100;

fn token(word: &str, out: &mut String) {
    for c in word.chars() {
        out.push(if c.is_ascii() && !c.is_ascii_alphanumeric() {
            '_'
        } else {
            c
        });
    }
}

/// A document's tokens.
pub fn words(document: &TsVector) -> String {
    let mut out = String::from(ANY);
    for lexeme in document.words() {
        out.push(' ');
        token(&lexeme.word, &mut out);
    }
    out
}

/// What finds at least the documents that a query matches. Weights, distances and negations are left out.
pub fn expression(query: &TsQuery) -> String {
    if query.is_empty() {
        return format!("\"{ANY}\" NOT \"{ANY}\"");
    }
    if query.items().len() > PARTS_MAX {
        return format!("\"{ANY}\"");
    }
    // `None`: any document.
    let mut parts: Vec<Option<String>> = Vec::new();
    for item in query.items() {
        let part = match item {
            Item::Word(operand) => {
                let mut text = String::from("\"");
                token(&operand.word, &mut text);
                text.push('"');
                if operand.prefix {
                    text.push('*');
                }
                Some(text)
            }
            Item::Stop => None,
            Item::Not => {
                parts.pop();
                None
            }
            Item::And | Item::Phrase(_) => match (parts.pop().flatten(), parts.pop().flatten()) {
                (Some(right), Some(left)) => Some(format!("({left} AND {right})")),
                (one, other) => one.or(other),
            },
            Item::Or => match (parts.pop().flatten(), parts.pop().flatten()) {
                (Some(right), Some(left)) => Some(format!("({left} OR {right})")),
                _ => None,
            },
        };
        parts.push(part);
    }
    parts.pop().flatten().unwrap_or_else(|| format!("\"{ANY}\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_is_its_lexemes() {
        let document = TsVector::parse("'Ab-c':1A 'http://x.y/z':2 'über':3 'it''s' '_'").unwrap();
        assert_eq!(words(&document), "_ Ab_c _ http___x_y_z it_s über");
        assert_eq!(words(&TsVector::parse("").unwrap()), "_");
    }

    #[test]
    fn a_query_finds_at_least_what_it_matches() {
        let of = |text: &str| expression(&TsQuery::parse(text).unwrap());
        assert_eq!(of(""), "\"_\" NOT \"_\"");
        assert_eq!(of("cat"), "\"cat\"");
        assert_eq!(of("cat:A & dog:*"), "(\"cat\" AND \"dog\"*)");
        assert_eq!(of("cat <2> dog | !bird"), "\"_\"");
        assert_eq!(of("(cat | dog) & !bird"), "(\"cat\" OR \"dog\")");
        assert_eq!(of("!cat <-> dog"), "\"dog\"");
        assert_eq!(of("!(cat & dog)"), "\"_\"");
        assert_eq!(of("'a\"b' | 'c*'"), "(\"a_b\" OR \"c_\")");
        assert_eq!(of(&vec!["cat"; 60].join("|")), "\"_\"");
    }
}

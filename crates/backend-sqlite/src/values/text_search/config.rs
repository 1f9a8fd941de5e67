//! Configurations: which lexeme a token becomes.
//!
//! Source: PostgreSQL 15 manual, 12.5 to 12.7; the configurations that `initdb` makes.

use std::borrow::Cow;

use super::super::errors::{PgError, Result};
use super::super::text;
use super::states::TokenKind;
use super::stem::{self, Language};

/// A configuration of the schema `pg_catalog`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Config {
    Simple,
    Snowball(Language),
}

/// What becomes of a token.
#[derive(Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The configuration has nothing to do with such tokens: not even a position.
    Unmapped,
    /// A position without a lexeme.
    Stop,
    Lexeme(String),
}

impl Config {
    /// What `default_text_search_config` is where nobody sets it.
    pub const DEFAULT: Config = Config::Snowball(Language::English);

    /// By a name as `regconfig` takes it. Errors: 42704; 42602 for text that is no name.
    pub fn named(name: &str) -> Result<Config> {
        let missing = || PgError::new("42704", format!("text search configuration \"{name}\" does not exist"));
        let parts = identifiers(name).ok_or_else(|| PgError::new("42602", "invalid name syntax"))?;
        let plain = match parts.as_slice() {
            [plain] => plain,
            [schema, plain] if schema == "pg_catalog" => plain,
            [schema, _] if ["public", "extensions", "auth", "storage"].contains(&schema.as_str()) => {
                return Err(missing());
            }
            [schema, _] => {
                return Err(PgError::new("3F000", format!("schema \"{schema}\" does not exist")));
            }
            _ => return Err(missing()),
        };
        if plain == "simple" {
            return Ok(Config::Simple);
        }
        Language::named(plain).map(Config::Snowball).ok_or_else(missing)
    }

    /// The name as `regconfig` prints it.
    pub fn name(self) -> &'static str {
        match self {
            Config::Simple => "simple",
            Config::Snowball(language) => language.name(),
        }
    }

    /// The lexeme of a token.
    pub fn lexeme(self, kind: TokenKind, word: &str) -> Outcome {
        use TokenKind::*;
        let language = match (kind, self) {
            (Blank | Tag | Protocol | Entity, _) => return Outcome::Unmapped,
            (_, Config::Simple) => None,
            // Latin words in texts of another script are taken for English.
            (AsciiWord | AsciiHyphenPart | AsciiHyphenWord, Config::Snowball(Language::Hindi | Language::Russian)) => {
                Some(Language::English)
            }
            (AsciiWord | AsciiHyphenPart | AsciiHyphenWord | Word | HyphenPart | HyphenWord, Config::Snowball(own)) => {
                Some(own)
            }
            _ => None,
        };
        let lowered = text::lower(word);
        match language {
            Some(language) if lowered.is_empty() || language.stops_at(&lowered) => Outcome::Stop,
            Some(language) => Outcome::Lexeme(match stem::stem(language, &lowered) {
                Cow::Owned(stemmed) => stemmed,
                Cow::Borrowed(_) => lowered,
            }),
            None => Outcome::Lexeme(lowered),
        }
    }
}

/// The parts of a name with dots: in quotes as they stand, bare ones in lower case. `None`: it is no name.
fn identifiers(name: &str) -> Option<Vec<String>> {
    let mut parts = Vec::new();
    let mut rest = name.trim_start();
    loop {
        let mut part = String::new();
        if let Some(quoted) = rest.strip_prefix('"') {
            rest = quoted;
            loop {
                let end = rest.find('"')?;
                part.push_str(&rest[..end]);
                rest = &rest[end + 1..];
                match rest.strip_prefix('"') {
                    Some(more) => {
                        part.push('"');
                        rest = more;
                    }
                    None => break,
                }
            }
        } else {
            let end = rest
                .find(|c: char| c == '.' || c.is_ascii_whitespace())
                .unwrap_or(rest.len());
            part.push_str(&rest[..end].to_ascii_lowercase());
            rest = &rest[end..];
        }
        if part.is_empty() {
            return None;
        }
        parts.push(part);
        rest = rest.trim_start();
        match rest.strip_prefix('.') {
            Some(more) => rest = more.trim_start(),
            None if rest.is_empty() => return Some(parts),
            None => return None,
        }
    }
}

//! Full text search: `tsvector`, `tsquery` and PostgreSQL's way from text to both.
//!
//! Lives here: the default parser's tokens, configurations with their stemmers and stop lists, documents, queries,
//! matching, ranking, headlines. Not here: SQLite functions (`register`), which rows may match (`emit`, the index).
//! Invariant: values are kept in PostgreSQL's text form, and every function gives what PostgreSQL 15 gives for a
//! database whose `lc_ctype` is a UTF-8 one.
//!
//! | module | what |
//! |---|---|
//! | [`letters`] [`states`] [`table`] [`parser`] | text → tokens |
//! | [`stem`] [`config`] [`lexemes`] | tokens → lexemes with positions |
//! | [`vector`] | the document: input, output, what can be done to it |
//! | [`entry`] | the syntax of one lexeme, which documents and queries share |
//! | [`query`] [`query_input`] | the query: input, output, what can be done to it |
//! | [`sort`] | PostgreSQL's order of equal elements |
//! | [`matching`] [`sieve`] | does a document match |
//! | [`rank`] [`headline`] | how well, and where |
//!
//! Source: PostgreSQL 15 manual, chapter 12, 8.11 and 9.13.

pub mod candidates;
pub mod config;
mod entry;
pub mod headline;
mod letters;
pub mod lexemes;
pub mod matching;
mod parser;
pub mod query;
mod query_input;
pub mod rank;
pub mod sieve;
mod sort;
mod states;
mod stem;
mod table;
pub mod vector;

/// The longest word of a document or query, in bytes; longer tokens of a text are left out.
pub const WORD_BYTES_MAX: usize = 2046;
/// The bytes that the words and positions of one document take at most.
const VECTOR_BYTES_MAX: usize = (1 << 20) - 1;
/// The last position that is told apart; words further on share it.
const POSITION_MAX: u16 = 16_383;
/// Positions kept of one word; `to_tsvector` keeps one less.
const POSITIONS_MAX: usize = 256;

#[cfg(test)]
mod tests;

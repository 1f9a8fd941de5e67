//! PL/pgSQL: function bodies as trees.
//!
//! | module | what |
//! |---|---|
//! | [`tree`] | the shapes: blocks, statements, variables |
//! | [`lexer`] [`parse`] | text → tree, with PostgreSQL's errors |
//! | [`block`] | DO: a body that is run at once |
//! | [`names`] | scopes, and what an expression's analysis sees of the variables |
//! | [`conditions`] | condition names and SQLSTATEs |
//!
//! Not here: what a statement does (an engine's interpreter), expressions and SQL statements (`parse`, `analyse`).
//! Invariant: a body that parses has nothing in it that is outside the subset; that is refused here, by name.
//!
//! Source: PostgreSQL 15 manual, chapter 43; messages as the server words them.

mod block;
mod condition;
pub mod conditions;
mod lexer;
pub mod names;
mod parse;
mod raise;
mod statement;
pub mod tree;

/// What makes an expression a query.
pub const SELECT: &str = "SELECT ";

/// The name of the function that a DO block's body is.
pub const INLINE: &str = "inline_code_block";

pub use block::{block, schema_changes};
pub use condition::{NEW, OLD, condition};
pub use names::{Names, Shape};
pub use parse::{fields_of, is_trigger, parse};
pub use tree::Function;

#[cfg(test)]
mod tests;

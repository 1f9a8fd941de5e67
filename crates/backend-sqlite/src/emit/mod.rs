//! Typed trees → SQLite SQL, under a role.
//!
//! Lives here: what stands behind a placeholder ([`binds`]), the writer of SQL text ([`writer`]), expressions, queries,
//! policies and views compiled for the role that asks.
//! Not here: names and types (`mainstay-sql`), the functions that the SQL calls (`values`), reads of a plan (`read`),
//! checks and order of a write (`write`).
//! Invariant: request text is never in the SQL; it is a placeholder or a quoted identifier.
//!
//! Source: `portability.md` §§4, 6, 7 is the study this follows.

mod array;
pub mod binds;
mod call;
mod cast;
mod comparison;
pub mod compiled;
mod constant;
pub mod context;
pub mod documents;
mod domain;
pub mod emitter;
mod expression;
mod frame;
pub mod functions;
pub mod input;
pub mod privileges;
pub mod query;
mod record;
pub mod relation;
mod sequence;
mod shape;
mod subquery;
mod system;
pub mod types;
pub mod walk;
mod whole_row;
pub mod writer;

pub use emitter::{Emitter, Parameters, Rte};

/// True if what is asked of each row compares with each of so many values, rather than with a list: SQLite makes a table of
/// a list of more than two each time it is asked, which for a short list costs more than inserting the row.
pub(crate) fn is_compared_singly(values: usize) -> bool {
    (3..=32).contains(&values)
}

//! What conditions make of rows: asked of the engine to explain an answer, never to make one.
//!
//! Lives here: the question and its answer. Not here: how text is taken apart (`sql`), which conditions apply
//! ([`policy`](crate::policy)), what is made of it (rooms).

use std::sync::Arc;

use crate::catalog::Relation;
use crate::error::DatabaseError;

/// Conditions, and rows of their relation to try them on.
#[derive(Clone, Debug)]
pub struct Trial {
    pub relation: Arc<Relation>,
    /// PostgreSQL text, as a policy keeps it.
    pub conditions: Vec<String>,
    /// For each row the values of every column in its order, as PostgreSQL's text.
    pub rows: Vec<Vec<Option<String>>>,
}

/// What a condition makes of one row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// Errors: what the database says instead of a value.
    pub value: Result<Option<bool>, DatabaseError>,
    /// The members of its ANDs and ORs, from the left; empty where they could not be had.
    pub parts: Vec<Part>,
}

impl Verdict {
    /// True if the row passes: neither false nor null nor an error.
    pub fn passes(&self) -> bool {
        self.value == Ok(Some(true))
    }
}

/// A member of a condition with what it saw.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// PostgreSQL text.
    pub text: String,
    pub value: Option<bool>,
    /// Columns of the row and calls that are the same for every row, such as `auth.uid()`, with their values as text.
    pub saw: Vec<(String, Option<String>)>,
}

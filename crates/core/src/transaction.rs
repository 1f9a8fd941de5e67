//! Several statements in one transaction, each chosen with the outcomes of those before it in hand.
//!
//! Lives here: what a room hands to [`Backend::transact`](crate::backend::Backend::transact).
//! Not here: how an engine keeps a transaction open between statements (`backend-*`).

use crate::backend::Statement;
use crate::caller::Caller;
use crate::error::BackendError;
use crate::plan::{Input, Outcome};

/// What statements of one transaction see of others' commits.
///
/// Source: PostgreSQL manual, 13.2. The embedded engine is serialisable whatever is asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Isolation {
    #[default]
    ReadCommitted,
    /// One moment for all statements; a row that somebody else changed since cannot be written (40001).
    RepeatableRead,
}

/// One statement of a transaction.
#[derive(Clone, Debug)]
pub struct Step {
    pub caller: Caller,
    pub statement: Statement,
    pub input: Input,
}

/// What a transaction does next.
#[derive(Debug)]
pub enum Next {
    Run(Box<Step>),
    Commit,
    /// Nothing is kept, and that is no failure.
    Rollback,
}

/// Chooses the statements of a transaction.
///
/// Runs where the transaction does, on the embedded engine on its only writer: no I/O, no waiting.
pub trait Script: Send {
    /// The next step. `last` is the outcome of the step before. `None` stands at the beginning, and again when the
    /// engine begins anew after another write took its transaction down: whatever was gathered is then void.
    ///
    /// Errors: everything is rolled back and the error is [`transact`](crate::backend::Backend::transact)'s.
    fn next(&mut self, last: Option<Outcome>) -> Result<Next, BackendError>;
}

/// How a transaction ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    Committed,
    RolledBack,
}

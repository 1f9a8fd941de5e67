//! Several statements in one transaction, each chosen with the outcomes of those before it in hand.
//!
//! Lives here: what a room hands to [`Backend::transact`](crate::backend::Backend::transact), and the answers that a
//! transaction may keep and find again.
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
    /// Look for an answer that was kept under a key; only as a transaction's first step. The outcome has it as its body
    /// and one row, or no row.
    ///
    /// Errors: `lock_not_available` (55P03) while another transaction is about to keep one under the key.
    Recall(Recall),
    /// Keep an answer, with what the transaction has written. No row is affected if another transaction has kept one
    /// under the key since the recall: then nothing of this one may be committed.
    Keep(Box<Keep>),
    Commit,
    /// Nothing is kept, and that is no failure.
    Rollback,
}

/// What an answer is kept under: a digest, so that nobody reads in the database what clients sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct KeptKey(pub [u8; 32]);

/// A look for a kept answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Recall {
    pub key: KeptKey,
    /// Seconds since 1970. What expires now is not there any more.
    pub now_s: i64,
}

/// An answer to keep.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Keep {
    pub key: KeptKey,
    /// Only who keeps it knows what the bytes say.
    pub answer: Vec<u8>,
    /// Seconds since 1970.
    pub now_s: i64,
    /// Seconds since 1970.
    pub expires_s: i64,
}

/// Expired answers that are removed with each one that is kept: more than one, so that they become fewer.
pub const SWEPT_MAX: u32 = 8;

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

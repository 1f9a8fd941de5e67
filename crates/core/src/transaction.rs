//! Several statements in one transaction, each chosen with the outcomes of those before it in hand.
//!
//! Lives here: what a room hands to [`Backend::transact`](crate::backend::Backend::transact), the answers that a
//! transaction may keep and find again, and [`Written`], which makes a script of an `async` function.
//! Not here: how an engine keeps a transaction open between statements (`backend-*`).

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};

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

/// A transaction written down as an `async` function that awaits nothing but [`Steps::run`].
pub struct Written<T> {
    make: Box<dyn Fn(Steps) -> Running<T> + Send>,
    running: Option<(Steps, Running<T>)>,
    result: Option<T>,
}

/// The function on its way.
type Running<T> = Pin<Box<dyn Future<Output = Result<Decision<T>, BackendError>> + Send>>;

/// How a written transaction is to end, and what it comes to.
#[derive(Debug)]
pub enum Decision<T> {
    Commit(T),
    /// Nothing is kept, and that is no failure.
    Rollback(T),
}

/// Runs a written transaction's statements.
#[derive(Clone, Default)]
pub struct Steps(Arc<Mutex<Slot>>);

#[derive(Default)]
struct Slot {
    wanted: Option<Box<Step>>,
    outcome: Option<Outcome>,
}

impl Steps {
    fn slot(&self) -> std::sync::MutexGuard<'_, Slot> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs one statement. A refusal ends the whole transaction: the function does not come back from here.
    pub async fn run(&self, step: Step) -> Outcome {
        let mut step = Some(Box::new(step));
        std::future::poll_fn(|_| {
            let mut slot = self.slot();
            if let Some(step) = step.take() {
                slot.wanted = Some(step);
                return Poll::Pending;
            }
            match slot.outcome.take() {
                Some(outcome) => Poll::Ready(outcome),
                None => Poll::Pending,
            }
        })
        .await
    }
}

impl<T: Send> Written<T> {
    /// `make` begins the function; it may have to begin more than once.
    pub fn new<F>(make: impl Fn(Steps) -> F + Send + 'static) -> Self
    where
        F: Future<Output = Result<Decision<T>, BackendError>> + Send + 'static,
    {
        Written {
            make: Box::new(move |steps| Box::pin(make(steps))),
            running: None,
            result: None,
        }
    }

    /// What it came to, once the transaction has ended.
    pub fn take(&mut self) -> Option<T> {
        self.result.take()
    }
}

impl<T: Send> Script for Written<T> {
    fn next(&mut self, last: Option<Outcome>) -> Result<Next, BackendError> {
        let (steps, running) = match (last, &mut self.running) {
            (Some(outcome), Some(running)) => {
                running.0.slot().outcome = Some(outcome);
                running
            }
            (_, place) => {
                self.result = None;
                let steps = Steps::default();
                let running = (self.make)(steps.clone());
                place.insert((steps, running))
            }
        };
        // Only `Steps::run` is awaited, and its answer is there when it is asked again: nobody need be woken.
        match running.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Pending => match steps.slot().wanted.take() {
                Some(step) => Ok(Next::Run(step)),
                None => Err(BackendError::Internal(
                    "a written transaction waits for something that is no statement".into(),
                )),
            },
            Poll::Ready(Ok(Decision::Commit(value))) => {
                self.result = Some(value);
                self.running = None;
                Ok(Next::Commit)
            }
            Poll::Ready(Ok(Decision::Rollback(value))) => {
                self.result = Some(value);
                self.running = None;
                Ok(Next::Rollback)
            }
            Poll::Ready(Err(error)) => {
                self.running = None;
                Err(error)
            }
        }
    }
}

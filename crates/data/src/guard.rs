//! Writes that happen only if nobody changed the rows since they were read: `If-Match`.
//!
//! One transaction reads what a `GET` of the same query string would answer, compares it with the tags, and writes.
//! Where two transactions meet, the database lets one of them win; the other begins again and finds the rows changed.
//!
//! Source: RFC 9110, 13.1.1.

use std::sync::{Arc, Mutex, PoisonError};

use http::header;
use mainstay_core::backend::Statement;
use mainstay_core::caller::Caller;
use mainstay_core::error::BackendError;
use mainstay_core::name::Ident;
use mainstay_core::plan::{Input, Options, Outcome};
use mainstay_core::transaction::{Isolation, Next, Script, Step};

use crate::conditional::Condition;
use crate::error::Error;
use crate::planner::Planner;
use crate::request::shape::Shape;
use crate::request::{Action, Head};
use crate::{DataRoom, Exchange, Ready};

/// Tries of a transaction that met another one.
const TRIES_MAX: u32 = 8;

/// `serialization_failure` and `deadlock_detected`.
pub(crate) const CONFLICTS: [&str; 2] = ["40001", "40P01"];

impl Exchange<'_> {
    /// The condition of a write. Errors: `MS-DATA-004`, `MS-DATA-005`.
    pub(crate) fn guard(&self) -> Result<Option<Condition>, Error> {
        let headers = &self.request.headers;
        if !headers.contains_key(header::IF_MATCH) {
            return Ok(None);
        }
        match self.head.action {
            Action::Update | Action::Delete | Action::Put => {
                Condition::read(headers, &header::IF_MATCH).map_err(|()| Error::EntityTags("If-Match"))
            }
            Action::Create | Action::Call { .. } => Err(Error::NoCondition(self.request.method.to_string())),
            _ => Ok(None),
        }
    }
}

/// A write and what it depends on.
pub(crate) struct GuardedWrite<'a> {
    pub relation: &'a str,
    pub condition: &'a Condition,
    pub statement: &'a Statement,
    pub ready: Ready<'a>,
    /// Of the request's query string.
    pub shape: &'a Shape,
}

impl DataRoom {
    /// Plans a write that happens if `condition` holds. Errors: as of a read.
    pub(crate) fn guarded(
        &self,
        planner: &Planner<'_>,
        caller: &Caller,
        guarded: GuardedWrite<'_>,
    ) -> Result<Arc<Mutex<Guarded>>, Error> {
        let GuardedWrite {
            relation,
            condition,
            statement,
            ready,
            shape,
        } = guarded;
        let mut head = Head {
            action: Action::Read { head_only: false },
            ..planner.head.clone()
        };
        head.preferences.count = None;
        head.preferences.is_paged = false;
        let planned = Planner {
            head: &head,
            ..*planner
        }
        .read(relation, false)?;
        let look = self.backend.render(&planned.plan)?;
        let values = planned
            .template
            .fill(&shape.values, planner.windows, self.config.max_rows)?;
        let (write, rollback, caller) = match ready {
            Ready::Run { caller, input } => {
                let rollback = input.options.rollback;
                let caller = caller.into_owned();
                let step = Step {
                    caller: caller.clone(),
                    statement: statement.clone(),
                    input,
                };
                (Ok(step), rollback, caller)
            }
            Ready::Known(outcome) => (Err(outcome), false, caller.clone()),
        };
        let options = Options {
            read_only: true,
            pre_request: self.config.pre_request.clone(),
            ..Options::default()
        };
        Ok(Arc::new(Mutex::new(Guarded {
            condition: condition.clone(),
            look: Step {
                caller,
                statement: look,
                input: Input {
                    values,
                    payload: None,
                    options,
                },
            },
            write,
            rollback,
            stage: Stage::Begun,
        })))
    }

    /// Runs a guarded write. Errors: `MS-DATA-003`; as of a read and of the write.
    pub(crate) async fn run_guarded(&self, role: &Ident, guarded: &Arc<Mutex<Guarded>>) -> Result<Outcome, Error> {
        let mut tries_left = TRIES_MAX;
        loop {
            let script: Arc<Mutex<dyn Script>> = guarded.clone();
            tries_left -= 1;
            match self.backend.transact(role, Isolation::RepeatableRead, script).await {
                Err(BackendError::Refused(error)) if tries_left > 0 && CONFLICTS.contains(&error.sqlstate.as_str()) => {
                    continue;
                }
                ended => ended?,
            };
            break;
        }
        guarded.lock().unwrap_or_else(PoisonError::into_inner).outcome()
    }
}

/// How far a guarded write is.
#[derive(Debug)]
enum Stage {
    Begun,
    /// The rows are being read.
    Looking,
    Writing,
    /// They are not those of the condition.
    Changed,
    Written(Outcome),
}

/// Look, compare, write.
pub(crate) struct Guarded {
    condition: Condition,
    look: Step,
    /// The write, or what comes of it where nothing is to be written.
    write: Result<Step, Outcome>,
    rollback: bool,
    stage: Stage,
}

impl Guarded {
    /// What came of it, once. Errors: `MS-DATA-003`.
    pub fn outcome(&mut self) -> Result<Outcome, Error> {
        match std::mem::replace(&mut self.stage, Stage::Begun) {
            Stage::Written(outcome) => Ok(outcome),
            Stage::Changed => Err(Error::Changed),
            Stage::Begun | Stage::Looking | Stage::Writing => {
                Err(BackendError::Internal("a guarded write without an end".into()).into())
            }
        }
    }
}

impl Script for Guarded {
    fn next(&mut self, last: Option<Outcome>) -> Result<Next, BackendError> {
        let (stage, next) = match (last, &self.stage, &self.write) {
            (None, _, _) => (Stage::Looking, Next::Run(Box::new(self.look.clone()))),
            (Some(rows), Stage::Looking, _) if !self.condition.holds_for(&rows.body, rows.rows) => {
                (Stage::Changed, Next::Rollback)
            }
            (Some(_), Stage::Looking, Ok(step)) => (Stage::Writing, Next::Run(Box::new(step.clone()))),
            (Some(_), Stage::Looking, Err(known)) => (Stage::Written(known.clone()), Next::Rollback),
            (Some(outcome), _, _) if self.rollback => (Stage::Written(outcome), Next::Rollback),
            (Some(outcome), _, _) => (Stage::Written(outcome), Next::Commit),
        };
        self.stage = stage;
        Ok(next)
    }
}

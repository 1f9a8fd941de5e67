//! Several statements in one savepoint of the writer's transaction, each chosen by a [`Script`].
//!
//! Not here: the savepoint and its commit (`writer`), what a statement does (`read`, `write`).

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use mainstay_core::clock;
use mainstay_core::error::BackendError;
use mainstay_core::name::Ident;
use mainstay_core::plan::Outcome;
use mainstay_core::transaction::{Ended, Next, Script, Step};
use rusqlite::Connection;

use crate::backend::{Program, foreign, refusal};
use crate::connection::Allowance;
use crate::emit::binds::Sources;
use crate::emit::compiled::Compiled;
use crate::emit::context::Context;
use crate::engine::Engine;
use crate::read::prepared::Prepared;
use crate::read::program::ReadProgram;
use crate::read::run::{self, RunError};
use crate::shared::Shared;
use crate::{errors, foreign_keys, kept, routine, surroundings, write};

/// Runs the script's statements and answers when they are on disk, or when the script has given up.
pub async fn transact(
    engine: &Engine,
    role: &Ident,
    allowance: Allowance,
    script: Arc<Mutex<dyn Script>>,
) -> Result<Ended, BackendError> {
    let shared = Arc::clone(&engine.shared);
    let version = shared.catalog_version();
    let gave_up = Arc::new(AtomicBool::new(false));
    let rolled_back = Arc::clone(&gave_up);
    let work = Box::new(move |connection: &Connection| {
        let mut script = script.lock().unwrap_or_else(PoisonError::into_inner);
        let mut last = None;
        let broken = |error| errors::refusal(&shared.catalog(), None, "the kept answers", &error);
        loop {
            match script.next(last.take())? {
                Next::Run(next) => last = Some(step(connection, &shared, &next)?),
                Next::Recall(recall) => last = Some(kept::recall(connection, &recall).map_err(broken)?),
                Next::Keep(keep) => last = Some(kept::keep(connection, &keep).map_err(broken)?),
                Next::Commit => return Ok(Outcome::default()),
                Next::Rollback => {
                    rolled_back.store(true, Ordering::Release);
                    // Only an error undoes a request's savepoint and lets the others' commit; nobody sees this one.
                    return Err(BackendError::Internal("given up by its script".into()));
                }
            }
        }
    });
    let mut result = engine.write(version, allowance, false, work).await;
    if gave_up.load(Ordering::Acquire) && matches!(result, Err(BackendError::Internal(_))) {
        return Ok(Ended::RolledBack);
    }
    if let Err(BackendError::Refused(error)) = &mut result {
        foreign_keys::conceal(error, &engine.shared.catalog(), role);
    }
    result.map(|_| Ended::Committed)
}

fn step(connection: &Connection, shared: &Shared, step: &Step) -> Result<Outcome, BackendError> {
    let compiled = shared.compiled();
    let version = compiled.catalog().version;
    match step.statement.engine.downcast_ref::<Program>() {
        Some(Program::Read(program)) if program.catalog_version == version => {
            read(connection, shared, &compiled, program, step)
        }
        Some(Program::Write(program)) if program.catalog_version() == version => {
            let restrained = Restrained::new(connection, step.input.options.read_only)?;
            let outcome = write::execute(connection, &compiled, program, &step.caller, &step.input);
            drop(restrained);
            outcome
        }
        Some(Program::Own(own)) if own.catalog_version() == version => own.run(connection, &compiled, &step.input),
        Some(_) => Err(BackendError::StaleCatalog),
        None => Err(foreign()),
    }
}

fn read(
    connection: &Connection,
    shared: &Shared,
    compiled: &Compiled,
    program: &ReadProgram,
    step: &Step,
) -> Result<Outcome, BackendError> {
    let context = Context::of_caller(&step.caller, clock::now());
    let sources = Sources::of_request(&context, &step.input.values);
    let _restrained = Restrained::new(connection, program.runs_routine)?;
    surroundings::run(connection, compiled, &step.caller, &step.input.options, || {
        let done = routine::enter(connection, compiled, &context, || {
            let mut prepared = Prepared::new(connection, program).map_err(|error| RunError::Sqlite {
                error,
                sql: program.sql(),
            })?;
            run::run(program, &mut prepared, &sources, &step.input.options)
        });
        done.map_err(|error| match error {
            RunError::Backend(error) => error,
            RunError::Sqlite { error, sql } => refusal(shared, program.catalog_version, &sql, &error),
        })
    })
}

/// While it lives, nothing can be written on the connection.
struct Restrained<'c>(Option<&'c Connection>);

impl<'c> Restrained<'c> {
    fn new(connection: &'c Connection, wanted: bool) -> Result<Self, BackendError> {
        if !wanted {
            return Ok(Restrained(None));
        }
        connection
            .pragma_update(None, "query_only", true)
            .map_err(|error| BackendError::Internal(format!("PRAGMA query_only: {error}")))?;
        Ok(Restrained(Some(connection)))
    }
}

impl Drop for Restrained<'_> {
    fn drop(&mut self) {
        if let Some(connection) = self.0
            && let Err(error) = connection.pragma_update(None, "query_only", false)
        {
            tracing::error!(%error, "the writer stays read-only");
        }
    }
}

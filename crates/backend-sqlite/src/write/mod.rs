//! Writes: the checks and the order in which PostgreSQL makes them, then the table.
//!
//! | module | what |
//! |---|---|
//! | [`insert`] [`update`] [`delete`] [`call`] | a plan's actions: compile and execute |
//! | [`script`] | statements of migrations, seeds and the console |
//! | [`triggers`] [`triggered`] | which triggers fire; writing row by row for them |
//! | [`instead`] | INSTEAD OF triggers |
//! | [`target`] | the table behind an updatable view |
//! | [`checks`] | policies and check options over one row |
//! | [`conflict`] | `ON CONFLICT` |
//! | [`payload`] | a body's rows as stored values |
//! | [`defaults`] [`sequences`] | values that the table gives |
//! | [`witness`] | what may be given back of other tables |
//! | [`disclosure`] | what errors may show of a row |
//! | [`rows`] | the INSERT, not-null checks, what a row broke |
//!
//! Not here: the writer thread, savepoints, commits (`writer`), SQL of expressions (`emit`).
//! Invariant: everything is checked before anything is written, so policies see the table as before the statement.
//!
//! Source: `portability.md` §§7, 8.

pub mod call;
pub mod checks;
pub mod conflict;
pub mod defaults;
pub mod delete;
pub mod disclosure;
mod domains;
pub mod insert;
pub mod instead;
pub mod payload;
pub mod rows;
pub mod script;
mod script_insert;
mod script_update;
pub mod sequences;
pub mod statement;
pub mod target;
pub mod triggered;
pub mod triggers;
pub mod update;
pub mod witness;

pub use script::run_statement;

use mainstay_core::caller::Caller;
use mainstay_core::clock;
use mainstay_core::error::BackendError;
use mainstay_core::plan::{Action, Input, Options, Outcome, Plan};
use rusqlite::Connection;
use rusqlite::types::Value as Scalar;

use self::triggers::Env;
use self::witness::Reads;
use crate::emit::binds::Sources;
use crate::emit::compiled::Compiled;
use crate::emit::context::Context;
use crate::read::program::ReadProgram;
use crate::read::run::{RunError, run_returning, run_rows};
use crate::routine;
use crate::routine::cells::rows_text;
use crate::surroundings;

/// A compiled write.
pub struct Program {
    catalog_version: u64,
    action: Step,
    /// What the representation's embeds read.
    reads: Reads,
}

enum Step {
    Insert(Box<insert::InsertProgram>),
    Update(Box<update::UpdateProgram>),
    Delete(Box<delete::DeleteProgram>),
    Call(Box<call::CallProgram>),
}

/// Compiles a plan that writes, or calls a routine.
///
/// Errors: what the role may not do (42501), what the engine has not (0A000), recursion of policies (42P17).
pub fn compile(compiled: &Compiled, plan: &Plan) -> Result<Program, BackendError> {
    let action = match &plan.action {
        Action::Insert(insert) => Step::Insert(Box::new(insert::compile(compiled, plan, insert)?)),
        Action::Update(update) => Step::Update(Box::new(update::compile(compiled, plan, update)?)),
        Action::Delete(delete) => Step::Delete(Box::new(delete::compile(compiled, plan, delete)?)),
        Action::Call(call) => Step::Call(Box::new(call::compile(compiled, plan, call)?)),
        Action::Read(_) => return Err(BackendError::Internal("a read is no write".into())),
    };
    let shown = match &plan.action {
        Action::Insert(insert) => insert.returning.read.as_ref().map(|read| (read, &insert.source)),
        Action::Update(update) => update.returning.read.as_ref().map(|read| (read, &update.source)),
        // Those of a DELETE are read before anything is deleted.
        Action::Delete(delete) => delete.returning.read.as_ref().map(|read| (read, &delete.source)),
        Action::Call(_) | Action::Read(_) => None,
    };
    let reads = match shown {
        Some((read, source)) => Reads::of_embeds(compiled, read, &source.relation)?,
        None => Reads::default(),
    };
    Ok(Program {
        catalog_version: compiled.catalog().version,
        action,
        reads,
    })
}

/// Runs a compiled write inside the request's savepoint, which the caller rolls back on an error or on
/// [`Options::rollback`]. `compiled` is of the catalog that `program` was compiled for.
pub fn execute(
    conn: &Connection,
    compiled: &Compiled,
    program: &Program,
    caller: &Caller,
    input: &Input,
) -> Result<Outcome, BackendError> {
    let context = Context::of_caller(caller, clock::now());
    let sources = Sources::of_request(&context, &input.values);
    let step = || match &program.action {
        Step::Insert(program) => insert::execute(conn, compiled, program, &sources, input),
        Step::Update(program) => update::execute(conn, compiled, program, &sources, input),
        Step::Delete(program) => delete::execute(conn, compiled, program, &sources, input),
        Step::Call(program) => call::execute(conn, compiled, program, &sources, input),
    };
    surroundings::run(conn, compiled, caller, &input.options, || {
        routine::enter(conn, compiled, &context, || program.reads.watch(conn, step))
    })
}

impl Program {
    /// All statements, one per line, for snapshots and logs.
    pub fn sql(&self) -> String {
        match &self.action {
            Step::Insert(program) => program.sql(),
            Step::Update(program) => program.sql(),
            Step::Delete(program) => program.sql(),
            Step::Call(program) => program.sql(),
        }
    }

    /// The catalog that it was compiled for.
    pub fn catalog_version(&self) -> u64 {
        self.catalog_version
    }

    /// False for a call that only reads: it may run on a reader.
    pub fn needs_writer(&self) -> bool {
        match &self.action {
            Step::Call(program) => program.writes(),
            _ => true,
        }
    }

    /// True for a call that runs a routine, which takes more of a thread's stack and time than a query does.
    pub fn runs_routine(&self) -> bool {
        match &self.action {
            Step::Call(program) => program.runs_routine(),
            _ => false,
        }
    }
}

/// Errors: `TooManyAffected` above `Prefer: max-affected`.
fn affected_within(options: &Options, affected: u64) -> Result<(), BackendError> {
    match options.affected_max {
        Some(max) if affected > max => Err(BackendError::TooManyAffected { affected }),
        _ => Ok(()),
    }
}

/// Rows that were written.
#[derive(Clone, Copy)]
enum Rows<'a> {
    /// By their numbers in their table.
    Numbers(&'a [i64]),
    /// As INSTEAD OF triggers gave them back.
    Given(&'a [Vec<Scalar>]),
}

/// Adds the representation of the rows, if one is wanted.
///
/// Errors: `NotSingular` where exactly one row was asked for.
fn represent(
    conn: &Connection,
    compiled: &Compiled,
    returning: Option<&ReadProgram>,
    sources: &Sources<'_>,
    options: &Options,
    rows: Rows<'_>,
    mut outcome: Outcome,
) -> Result<Outcome, BackendError> {
    let count = match rows {
        Rows::Numbers(numbers) => numbers.len(),
        Rows::Given(rows) => rows.len(),
    };
    if options.singular && count != 1 {
        return Err(BackendError::NotSingular { rows: count as u64 });
    }
    if let Some(program) = returning {
        witness::check()?;
        let shown = match rows {
            Rows::Numbers(numbers) => run_returning(program, conn, sources, numbers),
            Rows::Given(rows) => run_rows(program, conn, sources, &rows_text(rows), &Options::default()),
        };
        let shown = shown.map_err(|error| match error {
            RunError::Backend(error) => error,
            RunError::Sqlite { error, sql } => crate::errors::refusal(compiled.catalog(), None, &sql, &error),
        })?;
        outcome.body = shown.body;
        outcome.rows = shown.rows;
    }
    Ok(outcome)
}

/// What a write through INSTEAD OF triggers answers with: the rows as the triggers gave them back. `outcome` has what is
/// known beside their number.
///
/// Errors: `TooManyAffected`, `NotSingular`.
fn represent_given(
    env: Env<'_>,
    returning: Option<&ReadProgram>,
    options: &Options,
    rows: &[Vec<Scalar>],
    outcome: Outcome,
) -> Result<Outcome, BackendError> {
    let outcome = Outcome {
        affected: rows.len() as u64,
        ..outcome
    };
    affected_within(options, outcome.affected)?;
    let Env {
        conn,
        compiled,
        sources,
    } = env;
    represent(conn, compiled, returning, sources, options, Rows::Given(rows), outcome)
}

#[cfg(test)]
pub(crate) mod tests;

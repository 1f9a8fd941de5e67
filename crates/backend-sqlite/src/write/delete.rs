//! Deletes of a request. What is given back is rendered before the rows go.

use std::sync::Arc;

use mainstay_core::catalog::{PolicyCommand, Privilege, Relation};
use mainstay_core::error::BackendError;
use mainstay_core::plan::{self, Input, Outcome, Plan};
use rusqlite::Connection;
use rusqlite::types::Value as Scalar;

use super::instead::Instead;
use super::statement::Prepared;
use super::target::Target;
use super::triggered::Triggered;
use super::triggers::{Env, Event};
use super::update::{json_list, matching, reads};
use super::{Rows, affected_within, represent, represent_given};
use crate::emit::binds::{Bind, Sources};
use crate::emit::compiled::Compiled;
use crate::emit::writer::SqlWriter;
use crate::errors;
use crate::read::compile::{compile_returning, compile_rows};
use crate::read::program::ReadProgram;

/// A compiled delete.
pub struct DeleteProgram {
    relation: Arc<Relation>,
    rows: Prepared,
    remove: Remove,
    triggered: Option<Triggered>,
    instead: Option<Instead>,
    returning: Option<ReadProgram>,
}

/// Compiles a delete for the role of `plan`.
pub fn compile(compiled: &Compiled, plan: &Plan, delete: &plan::Delete) -> Result<DeleteProgram, BackendError> {
    let role = delete.source.access.role();
    let target = Target::resolve(compiled, role, &delete.source.relation, Privilege::Delete, &[])?;
    let reads = delete.filter.is_some() || reads(&delete.returning);
    let commands: &[PolicyCommand] = if reads {
        &[PolicyCommand::Delete, PolicyCommand::Select]
    } else {
        &[PolicyCommand::Delete]
    };
    let rows = matching(
        compiled,
        &delete.source,
        delete.filter.as_ref(),
        &delete.returning,
        commands,
        &target,
    )?;
    let returning = match &delete.returning.read {
        Some(read) if target.is_instead() => Some(compile_rows(compiled, plan, read)?),
        Some(read) => Some(compile_returning(compiled, plan, read)?),
        None => None,
    };
    let remove = Remove::new(&target.relation);
    let instead = Instead::compile(compiled, &target, Event::Delete, &[])?;
    let triggered = match instead {
        Some(_) => None,
        None => Triggered::compile(compiled, &target, &[(Event::Delete, &[])], commands)?,
    };
    Ok(DeleteProgram {
        relation: target.relation,
        rows,
        remove,
        triggered,
        instead,
        returning,
    })
}

/// Runs a compiled delete inside the request's savepoint.
pub fn execute(
    conn: &Connection,
    compiled: &Compiled,
    program: &DeleteProgram,
    sources: &Sources<'_>,
    input: &Input,
) -> Result<Outcome, BackendError> {
    if let Some(instead) = &program.instead {
        return program.execute_instead(conn, compiled, sources, input, instead);
    }
    let numbers = program.rows.all(conn, sources, |row| {
        row.get(0).map_err(|error| program.rows.failed(&error))
    })?;
    if let Some(triggered) = &program.triggered {
        let env = Env {
            conn,
            compiled,
            sources,
        };
        let shows = program.returning.is_some();
        return triggered.delete_rows(env, &numbers, shows, |numbers| {
            let outcome = Outcome {
                affected: numbers.len() as u64,
                ..Outcome::default()
            };
            affected_within(&input.options, outcome.affected)?;
            represent(
                conn,
                compiled,
                program.returning.as_ref(),
                sources,
                &input.options,
                Rows::Numbers(numbers),
                outcome,
            )
        });
    }
    let outcome = Outcome {
        affected: numbers.len() as u64,
        ..Outcome::default()
    };
    affected_within(&input.options, outcome.affected)?;
    let outcome = represent(
        conn,
        compiled,
        program.returning.as_ref(),
        sources,
        &input.options,
        Rows::Numbers(&numbers),
        outcome,
    )?;
    program
        .remove
        .run(conn, compiled, &program.relation, sources, &numbers)?;
    Ok(outcome)
}

impl DeleteProgram {
    /// Gives the rows to the view's triggers.
    fn execute_instead(
        &self,
        conn: &Connection,
        compiled: &Compiled,
        sources: &Sources<'_>,
        input: &Input,
        instead: &Instead,
    ) -> Result<Outcome, BackendError> {
        let env = Env {
            conn,
            compiled,
            sources,
        };
        instead.delete(env, &self.rows, |rows| {
            let returning = self.returning.as_ref();
            represent_given(env, returning, &input.options, &rows, Outcome::default())
        })
    }

    /// All statements, one per line.
    pub fn sql(&self) -> String {
        let mut lines = vec![self.rows.sql().to_owned()];
        lines.extend(self.returning.as_ref().map(ReadProgram::sql));
        lines.push(self.remove.one.sql().to_owned());
        lines.join("\n")
    }
}

/// Removes rows by their numbers.
pub struct Remove {
    one: Prepared,
    several: Prepared,
}

impl Remove {
    /// Spells the DELETE.
    pub fn new(relation: &Relation) -> Self {
        let spelled = |several: bool| {
            let mut writer = SqlWriter::new();
            writer.sql("DELETE FROM ").object(&relation.name);
            if several {
                writer
                    .sql(" WHERE _rowid_ IN (SELECT value FROM json_each(")
                    .bind(Bind::Row(0))
                    .sql("))");
            } else {
                writer.sql(" WHERE _rowid_ = ").bind(Bind::Row(0));
            }
            Prepared::from(writer.finish())
        };
        Remove {
            one: spelled(false),
            several: spelled(true),
        }
    }

    /// Removes them in one statement, so that keys are checked at its end.
    pub fn run(
        &self,
        conn: &Connection,
        compiled: &Compiled,
        relation: &Relation,
        sources: &Sources<'_>,
        numbers: &[i64],
    ) -> Result<(), BackendError> {
        let (statement, bound) = match numbers {
            [] => return Ok(()),
            [number] => (&self.one, Scalar::Integer(*number)),
            _ => (&self.several, Scalar::Text(json_list(numbers))),
        };
        let row = [bound];
        let mut ready = statement.ready(conn, &sources.with_row(&row))?;
        ready
            .raw_execute()
            .map(|_| ())
            .map_err(|error| errors::refusal(compiled.catalog(), Some(relation), statement.sql(), &error))
    }
}

//! Writing a view through its INSTEAD OF triggers: what they return is what was written.
//!
//! Order, as PostgreSQL's: BEFORE STATEMENT, then for each row the INSTEAD OF triggers and the check options of the views
//! above, then AFTER STATEMENT. The view's rows are those before the statement, read whole before anything fires. A row
//! that joins with several of FROM's is given to the triggers once for each.
//! Not here: which view it is (`target`), firing (`triggers`).
//!
//! Source: PostgreSQL 15 manual, chapter 39 (overview of trigger behavior); CREATE VIEW (check options and triggers).

use std::sync::Arc;

use mainstay_core::catalog::{ColumnIndex, Relation, TriggerTiming};
use mainstay_core::error::{BackendError, DatabaseError};
use mainstay_sql::typed::RteId;
use rusqlite::types::Value as Scalar;

use super::checks::{Checks, Moment};
use super::disclosure::Disclosure;
use super::rows::texts;
use super::statement::{Prepared, scalars};
use super::target::Target;
use super::triggers::{Env, Event, Triggers};
use crate::emit::binds::Bind;
use crate::emit::compiled::Compiled;
use crate::emit::emitter::Alias;
use crate::emit::privileges::Uses;
use crate::emit::{Emitter, Rte, walk};
use crate::errors;
use crate::routine::cells::rows_text;

/// How a statement's rows are written.
pub enum Way<T> {
    Table(Box<T>),
    Instead(Box<Instead>),
}

/// How rows are given to one view's triggers.
pub struct Instead {
    view: Arc<Relation>,
    triggers: Arc<Triggers>,
    event: Event,
    /// The columns that an UPDATE sets.
    assigned: Vec<ColumnIndex>,
    /// The check options of the views above.
    checks: Option<Checks>,
    disclosure: Disclosure,
    /// The rows as the view that the statement names has them; `None`: as they are.
    shape: Option<Prepared>,
    /// Columns of the view that the statement names.
    width: usize,
}

/// A row on its way: as it was, as it is to be.
pub struct Proposed {
    pub old: Option<Vec<Scalar>>,
    pub new: Option<Vec<Scalar>>,
}

impl Proposed {
    /// A row to be inserted.
    pub fn insert(new: Vec<Scalar>) -> Self {
        Proposed {
            old: None,
            new: Some(new),
        }
    }

    /// A row in which columns get values.
    pub fn update(old: Vec<Scalar>, values: impl Iterator<Item = (ColumnIndex, Scalar)>) -> Self {
        let mut new = old.clone();
        for (column, value) in values {
            new[column] = value;
        }
        Proposed {
            old: Some(old),
            new: Some(new),
        }
    }

    /// A row to be deleted.
    fn delete(old: Vec<Scalar>) -> Self {
        Proposed {
            old: Some(old),
            new: None,
        }
    }
}

impl Instead {
    /// Compiles it; `None` where the target is a table.
    pub fn compile(
        compiled: &Compiled,
        target: &Target,
        event: Event,
        assigned: &[ColumnIndex],
    ) -> Result<Option<Self>, DatabaseError> {
        if !target.is_instead() {
            return Ok(None);
        }
        let relation = &target.relation;
        let triggers = match compiled.triggers(relation, &target.user)? {
            Some(triggers) => triggers,
            None => Arc::new(Triggers::compile(compiled, relation, &target.user)?),
        };
        let checks = match event {
            Event::Delete => None,
            _ => Checks::compile(compiled, target, Moment::Proposed, &[])?,
        };
        let shape = match target.written.name == relation.name {
            true => None,
            false => Some(shape(compiled, target)?),
        };
        Ok(Some(Instead {
            view: Arc::clone(relation),
            disclosure: target.disclosure.clone(),
            triggers,
            event,
            assigned: assigned.to_vec(),
            checks,
            shape,
            width: target.written.columns.len(),
        }))
    }

    /// Gives the triggers the view's rows that `old` reads, to be deleted; otherwise as [`Instead::perform`].
    pub fn delete<T>(
        &self,
        env: Env<'_>,
        old: &Prepared,
        show: impl FnOnce(Vec<Vec<Scalar>>) -> Result<T, BackendError>,
    ) -> Result<T, BackendError> {
        let width = self.view.columns.len();
        let rows = old.all(env.conn, env.sources, |row| {
            let values = scalars(row, 0, width).map_err(|error| old.failed(&error))?;
            Ok(Proposed::delete(values))
        })?;
        self.perform(env, rows, show)
    }

    /// Gives the rows to the triggers. `show` has what was written (of a DELETE, what was there) before the statement's
    /// AFTER triggers fire.
    pub fn perform<T>(
        &self,
        env: Env<'_>,
        rows: Vec<Proposed>,
        show: impl FnOnce(Vec<Vec<Scalar>>) -> Result<T, BackendError>,
    ) -> Result<T, BackendError> {
        let (event, assigned) = (self.event, &self.assigned);
        self.triggers.statement(env, TriggerTiming::Before, event, assigned)?;
        let mut written = Vec::with_capacity(rows.len());
        for Proposed { old, new } in rows {
            let timing = TriggerTiming::InsteadOf;
            let returned = self
                .triggers
                .before(env, timing, event, assigned, old.as_deref(), new)?;
            let Some(row) = returned else { continue };
            if let Some(checks) = &self.checks {
                checks
                    .run(env.conn, &env.sources.with_row(&row))
                    .map_err(|error| self.failed(error, &row))?;
            }
            written.push(row);
        }
        let shown = show(self.shaped(env, written)?)?;
        self.triggers.statement(env, TriggerTiming::After, event, assigned)?;
        Ok(shown)
    }

    /// A failed check option's error with the row, if it may be shown.
    fn failed(&self, error: BackendError, row: &[Scalar]) -> BackendError {
        match error {
            BackendError::Refused(mut error) if error.sqlstate == "44000" && self.disclosure.allows_row() => {
                error.detail = Some(errors::failing_row(&texts(&self.view, row)));
                BackendError::Refused(error)
            }
            other => other,
        }
    }

    /// The rows with the columns of the view that the statement names.
    fn shaped(&self, env: Env<'_>, rows: Vec<Vec<Scalar>>) -> Result<Vec<Vec<Scalar>>, BackendError> {
        let Some(shape) = &self.shape else { return Ok(rows) };
        let given = [Scalar::Text(rows_text(&rows))];
        shape.all(env.conn, &env.sources.with_row(&given), |row| {
            scalars(row, 0, self.width).map_err(|error| shape.failed(&error))
        })
    }
}

/// 42P10: a view has no keys of its own.
pub fn no_key() -> DatabaseError {
    let message = "there is no unique or exclusion constraint matching the ON CONFLICT specification";
    DatabaseError::new("42P10", message)
}

/// `SELECT columns of the written view FROM given rows`.
fn shape(compiled: &Compiled, target: &Target) -> Result<Prepared, DatabaseError> {
    let mut emitter = Emitter::new(compiled, &target.role).for_user(&target.user);
    let alias = emitter.fresh_alias();
    let rte = RteId(0);
    let row = Rte::Packed {
        alias,
        columns: target.relation.columns.len(),
    };
    emitter.declare(rte, target.row(row));
    emitter.writer().sql("SELECT ");
    for column in 0..target.written.columns.len() {
        if column > 0 {
            emitter.writer().sql(", ");
        }
        emitter.column(rte, column)?;
    }
    write_given(&mut emitter, alias);
    Ok(Prepared::from(emitter.finish()))
}

/// ` FROM` rows that are bound as one text.
pub fn write_given(emitter: &mut Emitter<'_>, alias: Alias) {
    emitter.writer().sql(" FROM json_each(").bind(Bind::Row(0)).sql(") AS ");
    emitter.alias(alias).writer().sql(" ORDER BY ");
    emitter.alias(alias).writer().sql(".key");
}

/// Writes every column of the view that has the triggers.
pub fn write_columns(emitter: &mut Emitter<'_>, relation: &Relation, alias: Alias) {
    for (index, column) in relation.columns.iter().enumerate() {
        if index > 0 {
            emitter.writer().sql(", ");
        }
        emitter.alias(alias).writer().sql(".").ident(&column.name);
    }
}

/// Writes what the views above ask of its rows. `first`: no condition stands before.
pub fn write_filters(
    emitter: &mut Emitter<'_>,
    target: &Target,
    alias: Alias,
    first: &mut bool,
) -> Result<(), DatabaseError> {
    let row = Rte::Relation {
        alias,
        relation: Arc::clone(&target.relation),
    };
    for (query, role, filter, scope) in target.view_filters(row) {
        emitter.under(&role, |emitter| {
            emitter.fragment(Default::default(), |emitter| {
                emitter.check_uses(&Uses::of(|visitor| walk::query(visitor, &query)))
            })?;
            let Some(filter) = filter else { return Ok(()) };
            emitter.writer().sql(if *first { " WHERE " } else { " AND " });
            *first = false;
            emitter.fragment(scope, |emitter| emitter.expr(&filter))
        })?;
    }
    Ok(())
}

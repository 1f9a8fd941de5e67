//! `UPDATE … FROM` and `DELETE … USING` of scripts.

use std::collections::HashSet;
use std::sync::Arc;

use mainstay_core::catalog::{ColumnIndex, PolicyCommand, Privilege, Relation};
use mainstay_core::error::{BackendError, DatabaseError};
use mainstay_core::name::Ident;
use mainstay_core::policy::{self, Needs};
use mainstay_sql::typed::{Assignment, Cte, Delete, Expr, ExprKind, FromItem, RteId, Update};
use rusqlite::Connection;
use rusqlite::types::Value as Scalar;

use super::checks::{Checks, Moment};
use super::delete::Remove;
use super::script::{Executed, Shown, declared, shown};
use super::script_insert::{columns_of, write_assigned};
use super::statement::{Prepared, scalars};
use super::target::Target;
use super::triggered::Triggered;
use super::triggers::{Env, Event};
use super::update::{Write, refuse_generated};
use crate::emit::binds::Sources;
use crate::emit::compiled::Compiled;
use crate::emit::privileges::Uses;
use crate::emit::relation::Wanted;
use crate::emit::{Emitter, walk};

/// A compiled `UPDATE`.
pub struct UpdateStatement {
    target: Target,
    columns: Vec<ColumnIndex>,
    /// Row number, then the new values.
    rows: Prepared,
    checks: Option<Checks>,
    write: Write,
    triggered: Option<Triggered>,
    returning: Option<Shown>,
}

/// A compiled `DELETE`.
pub struct DeleteStatement {
    relation: Arc<Relation>,
    rows: Prepared,
    remove: Remove,
    triggered: Option<Triggered>,
    returning: Option<Shown>,
}

/// Compiles an `UPDATE` for `role`.
pub fn compile_update<'c>(
    compiled: &'c Compiled,
    role: &Ident,
    update: &Update,
    emitter: &dyn Fn() -> Emitter<'c>,
) -> Result<UpdateStatement, DatabaseError> {
    let uses = Uses::of(|visitor| walk::update(visitor, update));
    emitter().check_uses(&uses)?;
    let written = columns_of(&update.assignments);
    let select = uses.columns_of(update.rte);
    let reads = !select.is_empty();
    let needs = Needs {
        select,
        update: Some(written.clone()),
        ..Needs::default()
    };
    policy::authorize(compiled.catalog(), role, &update.relation, &needs)?;
    let target = Target::resolve(compiled, role, &update.relation, Privilege::Update, &written)?;
    let columns: Vec<ColumnIndex> = written.iter().filter_map(|column| target.base(*column)).collect();
    for assignment in &update.assignments {
        if let Assignment::Single {
            value: Expr {
                kind: ExprKind::Default,
                ..
            },
            ..
        } = assignment
        {
            for column in columns_of(std::slice::from_ref(assignment)) {
                let column = target.base(column).map(|column| &target.relation.columns[column]);
                if let Some(column) = column.filter(|column| column.generated.is_some() || column.identity.is_some()) {
                    return Err(DatabaseError::unavailable(
                        "UPDATE of a generated or identity column to DEFAULT",
                        &format!("{}.{}", target.relation.name.name, column.name),
                        1,
                        Some("an UPDATE without it"),
                    ));
                }
            }
            continue;
        }
        for column in columns_of(std::slice::from_ref(assignment)) {
            target
                .base(column)
                .map_or(Ok(()), |column| refuse_generated(&target.relation, column))?;
        }
    }
    let commands: &[PolicyCommand] = if reads {
        &[PolicyCommand::Update, PolicyCommand::Select]
    } else {
        &[PolicyCommand::Update]
    };
    let rows = matching(
        emitter(),
        &Matched {
            ctes: &update.ctes,
            rte: update.rte,
            relation: &update.relation,
            from: &update.from,
            filter: update.filter.as_ref(),
            commands,
        },
        |emitter| write_assigned(emitter, &target, &update.assignments),
    )?
    .scanning(walk::runs_volatile(|visitor| walk::update(visitor, update)));
    let checks = Checks::compile(compiled, &target, Moment::Updated(&columns), commands)?;
    let returning = match &update.returning {
        Some(returning) => Some(Shown::compile(emitter(), &target, update.rte, returning)?),
        None => None,
    };
    let write = Write::new(compiled, &target, &columns)?;
    let triggered = Triggered::compile(compiled, &target, &[(Event::Update, &columns)], commands)?;
    Ok(UpdateStatement {
        target,
        columns,
        rows,
        checks,
        write,
        triggered,
        returning,
    })
}

/// Compiles a `DELETE` for `role`.
pub fn compile_delete<'c>(
    compiled: &'c Compiled,
    role: &Ident,
    delete: &Delete,
    emitter: &dyn Fn() -> Emitter<'c>,
) -> Result<DeleteStatement, DatabaseError> {
    let uses = Uses::of(|visitor| walk::delete(visitor, delete));
    emitter().check_uses(&uses)?;
    let select = uses.columns_of(delete.rte);
    let reads = !select.is_empty();
    let needs = Needs {
        select,
        delete: true,
        ..Needs::default()
    };
    policy::authorize(compiled.catalog(), role, &delete.relation, &needs)?;
    let target = Target::resolve(compiled, role, &delete.relation, Privilege::Delete, &[])?;
    let commands: &[PolicyCommand] = if reads {
        &[PolicyCommand::Delete, PolicyCommand::Select]
    } else {
        &[PolicyCommand::Delete]
    };
    let rows = matching(
        emitter(),
        &Matched {
            ctes: &delete.ctes,
            rte: delete.rte,
            relation: &delete.relation,
            from: &delete.from,
            filter: delete.filter.as_ref(),
            commands,
        },
        |_| Ok(()),
    )?
    .scanning(walk::runs_volatile(|visitor| walk::delete(visitor, delete)));
    let returning = match &delete.returning {
        Some(returning) => Some(Shown::compile(emitter(), &target, delete.rte, returning)?),
        None => None,
    };
    let remove = Remove::new(&target.relation);
    let triggered = Triggered::compile(compiled, &target, &[(Event::Delete, &[])], commands)?;
    Ok(DeleteStatement {
        relation: target.relation,
        rows,
        remove,
        triggered,
        returning,
    })
}

impl UpdateStatement {
    /// Runs it.
    pub fn run(&self, conn: &Connection, compiled: &Compiled, sources: &Sources<'_>) -> Result<Executed, BackendError> {
        let relation = &self.target.relation;
        let width = relation.columns.len();
        let count = self.columns.len();
        // A row that joins with several is changed once.
        let mut seen = HashSet::new();
        let mut rows = self.rows.all(conn, sources, |row| {
            let failed = |error: rusqlite::Error| self.rows.failed(&error);
            let number: i64 = row.get(0).map_err(failed)?;
            let mut values = vec![Scalar::Null; width];
            for (column, value) in self.columns.iter().zip(scalars(row, 1, count).map_err(failed)?) {
                values[*column] = value;
            }
            values.push(Scalar::Integer(number));
            Ok((number, values))
        })?;
        rows.retain(|(number, _)| seen.insert(*number));
        if let Some(triggered) = &self.triggered {
            return self.execute_triggered(conn, compiled, sources, triggered, &rows);
        }
        for (_, values) in &rows {
            if let Some(checks) = &self.checks {
                checks.run(conn, &sources.with_row(values))?;
            }
            let null = self
                .columns
                .iter()
                .find(|column| relation.columns[**column].not_null && values[**column] == Scalar::Null);
            if let Some(column) = null {
                return Err(self.write.null_in(conn, relation, sources, *column, values));
            }
        }
        let numbers = self.write_rows(conn, compiled, sources, rows)?;
        shown(conn, sources, self.returning.as_ref(), &numbers)
    }

    /// Its RETURNING.
    pub fn returning(&self) -> Option<&Shown> {
        self.returning.as_ref()
    }

    /// Writes row by row, as triggers ask for it.
    fn execute_triggered(
        &self,
        conn: &Connection,
        compiled: &Compiled,
        sources: &Sources<'_>,
        triggered: &Triggered,
        rows: &[(i64, Vec<Scalar>)],
    ) -> Result<Executed, BackendError> {
        let env = Env {
            conn,
            compiled,
            sources,
        };
        let numbers: Vec<i64> = rows.iter().map(|(number, _)| *number).collect();
        let scanned = triggered.scan(env, &numbers)?;
        let events: [(Event, &[ColumnIndex]); 1] = [(Event::Update, &self.columns)];
        triggered.perform(env, &events, rows.len(), |running| {
            let mut written = Vec::with_capacity(rows.len());
            for ((number, row), (_, values)) in scanned.iter().zip(rows) {
                written.extend(running.update(env, *number, row, values)?);
            }
            shown(conn, sources, self.returning.as_ref(), &written)
        })
    }

    fn write_rows(
        &self,
        conn: &Connection,
        compiled: &Compiled,
        sources: &Sources<'_>,
        rows: Vec<(i64, Vec<Scalar>)>,
    ) -> Result<Vec<i64>, BackendError> {
        let relation = &self.target.relation;
        let Some((_, first)) = rows.first() else {
            return Ok(Vec::new());
        };
        let width = relation.columns.len();
        let alike = rows.iter().all(|(_, values)| values[..width] == first[..width]);
        if alike {
            let numbers: Vec<i64> = rows.iter().map(|(number, _)| *number).collect();
            let mut values = first.clone();
            return self.write.run(conn, compiled, relation, sources, &mut values, &numbers);
        }
        let mut written = Vec::with_capacity(rows.len());
        for (number, mut values) in rows {
            written.extend(
                self.write
                    .run(conn, compiled, relation, sources, &mut values, &[number])?,
            );
        }
        Ok(written)
    }

    /// The statements, one per line.
    pub fn sql(&self) -> String {
        let mut lines = vec![self.rows.sql()];
        lines.extend(self.checks.as_ref().map(Checks::sql));
        lines.extend(self.returning.as_ref().map(Shown::sql));
        lines.join("\n")
    }
}

impl DeleteStatement {
    /// Runs it. What RETURNING shows is read before the rows go.
    pub fn run(&self, conn: &Connection, compiled: &Compiled, sources: &Sources<'_>) -> Result<Executed, BackendError> {
        let mut seen = HashSet::new();
        let mut numbers: Vec<i64> = self.rows.all(conn, sources, |row| {
            row.get(0).map_err(|error| self.rows.failed(&error))
        })?;
        numbers.retain(|number| seen.insert(*number));
        if let Some(triggered) = &self.triggered {
            let env = Env {
                conn,
                compiled,
                sources,
            };
            return triggered.delete_rows(env, &numbers, self.returning.is_some(), |numbers| {
                shown(conn, sources, self.returning.as_ref(), numbers)
            });
        }
        let result = shown(conn, sources, self.returning.as_ref(), &numbers)?;
        self.remove.run(conn, compiled, &self.relation, sources, &numbers)?;
        Ok(result)
    }

    /// Its RETURNING.
    pub fn returning(&self) -> Option<&Shown> {
        self.returning.as_ref()
    }

    /// The statements, one per line.
    pub fn sql(&self) -> String {
        let mut lines = vec![self.rows.sql()];
        lines.extend(self.returning.as_ref().map(Shown::sql));
        lines.join("\n")
    }
}

/// What finds the rows of an UPDATE or DELETE.
struct Matched<'a> {
    ctes: &'a [Cte],
    rte: RteId,
    relation: &'a Arc<Relation>,
    from: &'a [FromItem],
    filter: Option<&'a Expr>,
    commands: &'a [PolicyCommand],
}

/// `SELECT number, values FROM table, others WHERE filter`.
fn matching(
    mut emitter: Emitter<'_>,
    matched: &Matched<'_>,
    values: impl FnOnce(&mut Emitter<'_>) -> Result<(), DatabaseError>,
) -> Result<Prepared, DatabaseError> {
    emitter.ctes(matched.ctes)?;
    let alias = declared(&mut emitter, matched.rte, matched.relation);
    emitter.declare_from(matched.from);
    emitter.writer().sql("SELECT ");
    emitter.alias(alias).writer().sql("._rowid_");
    values(&mut emitter)?;
    emitter.writer().sql(" FROM ");
    emitter.secured_relation(
        matched.relation,
        matched.rte,
        Wanted {
            commands: matched.commands,
            rowid: true,
            ..crate::emit::relation::READ
        },
    )?;
    for item in matched.from {
        emitter.writer().sql(", ");
        emitter.from_item(item, true)?;
    }
    if let Some(filter) = matched.filter {
        emitter.writer().sql(" WHERE ");
        emitter.expr(filter)?;
    }
    Ok(Prepared::from(emitter.finish()))
}

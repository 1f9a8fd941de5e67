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

use super::checks::Checks;
use super::delete::Remove;
use super::instead::{self, Instead, Proposed, Way};
use super::script::{Executed, Shown, declared, shown, shown_rows};
use super::script_insert::{columns_of, write_assigned};
use super::statement::{Prepared, scalars};
use super::target::Target;
use super::triggered::Triggered;
use super::triggers::{Env, Event};
use super::update::{Table, Write, refuse_generated};
use crate::emit::binds::Sources;
use crate::emit::compiled::Compiled;
use crate::emit::privileges::Uses;
use crate::emit::relation::{READ, Wanted};
use crate::emit::{Emitter, Rte, walk};

/// A compiled `UPDATE`.
pub struct UpdateStatement {
    target: Target,
    columns: Vec<ColumnIndex>,
    /// Row number (of a view with INSTEAD OF triggers: its columns), then the new values.
    rows: Prepared,
    way: Way<Table>,
    returning: Option<Shown>,
}

/// A compiled `DELETE`.
pub struct DeleteStatement {
    relation: Arc<Relation>,
    /// Row number, or the columns of a view with INSTEAD OF triggers.
    rows: Prepared,
    remove: Remove,
    triggered: Option<Triggered>,
    instead: Option<Instead>,
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
            target: &target,
        },
        |emitter| write_assigned(emitter, &target, &update.assignments),
    )?
    .scanning(walk::runs_volatile(|visitor| walk::update(visitor, update)));
    let returning = match &update.returning {
        Some(returning) => Some(Shown::compile(emitter(), &target, update.rte, returning)?),
        None => None,
    };
    let way = Table::way(compiled, &target, &columns, commands)?;
    Ok(UpdateStatement {
        target,
        columns,
        rows,
        way,
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
            target: &target,
        },
        |_| Ok(()),
    )?
    .scanning(walk::runs_volatile(|visitor| walk::delete(visitor, delete)));
    let returning = match &delete.returning {
        Some(returning) => Some(Shown::compile(emitter(), &target, delete.rte, returning)?),
        None => None,
    };
    let remove = Remove::new(&target.relation);
    let instead = Instead::compile(compiled, &target, Event::Delete, &[])?;
    let triggered = match instead {
        Some(_) => None,
        None => Triggered::compile(compiled, &target, &[(Event::Delete, &[])], commands)?,
    };
    Ok(DeleteStatement {
        relation: target.relation,
        rows,
        remove,
        triggered,
        instead,
        returning,
    })
}

impl UpdateStatement {
    /// Runs it.
    pub fn run(&self, conn: &Connection, compiled: &Compiled, sources: &Sources<'_>) -> Result<Executed, BackendError> {
        let table = match &self.way {
            Way::Table(table) => table,
            Way::Instead(instead) => return self.run_instead(conn, compiled, sources, instead),
        };
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
        if let Some(triggered) = &table.triggered {
            return self.execute_triggered(conn, compiled, sources, triggered, &rows);
        }
        let mut refused = None;
        for (index, (_, values)) in rows.iter().enumerate() {
            if let Some(checks) = &table.checks {
                refused = checks.run_first(conn, &sources.with_row(values))?;
            }
            let null = self
                .columns
                .iter()
                .find(|column| relation.columns[**column].not_null && values[**column] == Scalar::Null);
            if let Some(column) = null {
                return Err(table.write.null_in(conn, relation, sources, *column, values));
            }
            if refused.is_some() {
                rows.truncate(index + 1);
                break;
            }
        }
        let last = refused.as_ref().and_then(|_| rows.last().cloned());
        let numbers = self.write_rows(conn, compiled, sources, &table.write, rows)?;
        if let (Some(error), Some((_, values))) = (refused, last) {
            return Err(table.write.refused(conn, relation, sources, &values, error));
        }
        shown(conn, sources, self.returning.as_ref(), &numbers)
    }

    /// Its RETURNING.
    pub fn returning(&self) -> Option<&Shown> {
        self.returning.as_ref()
    }

    /// Gives each row and what it is to be to the view's triggers.
    fn run_instead(
        &self,
        conn: &Connection,
        compiled: &Compiled,
        sources: &Sources<'_>,
        instead: &Instead,
    ) -> Result<Executed, BackendError> {
        let env = Env {
            conn,
            compiled,
            sources,
        };
        let width = self.target.relation.columns.len();
        let rows = self.rows.all(conn, sources, |row| {
            let failed = |error: rusqlite::Error| self.rows.failed(&error);
            let old = scalars(row, 0, width).map_err(failed)?;
            let values = scalars(row, width, self.columns.len()).map_err(failed)?;
            Ok(Proposed::update(old, self.columns.iter().copied().zip(values)))
        })?;
        instead.perform(env, rows, |rows| {
            shown_rows(conn, sources, self.returning.as_ref(), &rows)
        })
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
        write: &Write,
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
            return write.run(conn, compiled, relation, sources, &mut values, &numbers);
        }
        let mut written = Vec::with_capacity(rows.len());
        for (number, mut values) in rows {
            written.extend(write.run(conn, compiled, relation, sources, &mut values, &[number])?);
        }
        Ok(written)
    }

    /// The statements, one per line.
    pub fn sql(&self) -> String {
        let mut lines = vec![self.rows.sql()];
        if let Way::Table(table) = &self.way {
            lines.extend(table.checks.as_ref().map(Checks::sql));
        }
        lines.extend(self.returning.as_ref().map(Shown::sql));
        lines.join("\n")
    }
}

impl DeleteStatement {
    /// Runs it. What RETURNING shows is read before the rows go.
    pub fn run(&self, conn: &Connection, compiled: &Compiled, sources: &Sources<'_>) -> Result<Executed, BackendError> {
        if let Some(instead) = &self.instead {
            let env = Env {
                conn,
                compiled,
                sources,
            };
            return instead.delete(env, &self.rows, |rows| {
                shown_rows(conn, sources, self.returning.as_ref(), &rows)
            });
        }
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
    target: &'a Target,
}

/// `SELECT number, values FROM table, others WHERE filter`; of a view with INSTEAD OF triggers its columns stand for the
/// number.
fn matching(
    mut emitter: Emitter<'_>,
    matched: &Matched<'_>,
    values: impl FnOnce(&mut Emitter<'_>) -> Result<(), DatabaseError>,
) -> Result<Prepared, DatabaseError> {
    emitter.ctes(matched.ctes)?;
    let target = matched.target;
    let alias = declared(&mut emitter, matched.rte, matched.relation);
    if target.is_instead() {
        emitter.declare(
            matched.rte,
            target.row(Rte::Relation {
                alias,
                relation: Arc::clone(&target.relation),
            }),
        );
    }
    emitter.declare_from(matched.from);
    emitter.writer().sql("SELECT ");
    match target.is_instead() {
        true => instead::write_columns(&mut emitter, &target.relation, alias),
        false => drop(emitter.alias(alias).writer().sql("._rowid_")),
    }
    values(&mut emitter)?;
    emitter.writer().sql(" FROM ");
    match target.is_instead() {
        true => emitter.secured_as(&target.relation, alias, READ)?,
        false => {
            emitter.secured_relation(
                matched.relation,
                matched.rte,
                Wanted {
                    commands: matched.commands,
                    rowid: true,
                    ..READ
                },
            )?;
        }
    }
    for item in matched.from {
        emitter.writer().sql(", ");
        emitter.from_item(item, true)?;
    }
    let mut first = true;
    if target.is_instead() {
        instead::write_filters(&mut emitter, target, alias, &mut first)?;
    }
    if let Some(filter) = matched.filter {
        emitter.writer().sql(if first { " WHERE " } else { " AND " });
        emitter.expr(filter)?;
    }
    Ok(Prepared::from(emitter.finish()))
}

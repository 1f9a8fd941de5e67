//! `INSERT` of scripts: VALUES, SELECT, DEFAULT VALUES, ON CONFLICT, RETURNING.

use std::sync::Arc;

use mainstay_core::catalog::{Column, ColumnIndex, Identity, PolicyCommand, Privilege, Relation, Volatility};
use mainstay_core::error::{BackendError, DatabaseError};
use mainstay_core::name::{Ident, QualifiedName};
use mainstay_core::policy::{self, Needs};
use mainstay_sql::ast::Overriding;
use mainstay_sql::typed::{
    Assignment, ConflictAction, ConflictKey, Cte, Expr, ExprKind, FromItem, Insert, InsertSource, OnConflict, Query,
    SetExpression,
};
use rusqlite::Connection;
use rusqlite::types::Value as Scalar;

use super::checks::{Checks, Moment};
use super::conflict::Conflict;
use super::defaults::Fill;
use super::insert::{Table, refuse_generated};
use super::instead::{Instead, Proposed, Way, no_key};
use super::rows::RowWriter;
use super::script::{Executed, Shown, assigned, column_of_query, shown, shown_rows};
use super::sequences::Taking;
use super::statement::{Prepared, scalars};
use super::target::Target;
use super::triggered::{Plain, Triggered, UPDATE_COMMANDS, events};
use super::triggers::{Env, Event};
use crate::emit::binds::{Bind, Sources};
use crate::emit::compiled::Compiled;
use crate::emit::privileges::Uses;
use crate::emit::query::Names;
use crate::emit::{Emitter, Rte, walk};

/// A compiled `INSERT`.
pub struct InsertStatement {
    target: Target,
    /// The base table's columns in the order of the source's; `None`: the value is dropped (OVERRIDING USER VALUE).
    columns: Vec<Option<ColumnIndex>>,
    source: Source,
    fills: Vec<(ColumnIndex, Fill)>,
    way: Way<Table>,
    returning: Option<Shown>,
}

enum Source {
    Values(Vec<Vec<Fill>>),
    Query(Prepared),
    Default,
}

/// Compiles an `INSERT` for `role`.
pub fn compile<'c>(
    compiled: &'c Compiled,
    role: &Ident,
    insert: &Insert,
    emitter: &dyn Fn() -> Emitter<'c>,
) -> Result<InsertStatement, DatabaseError> {
    let uses = Uses::of(|visitor| walk::insert(visitor, insert));
    emitter().check_uses(&uses)?;
    let key = conflict_key(insert.on_conflict.as_ref());
    // The proposed row's columns are the table's own: to name them in DO UPDATE is reading.
    let proposed = match insert.on_conflict.as_ref().map(|conflict| &conflict.action) {
        Some(ConflictAction::Update { excluded, .. }) => uses.columns_of(*excluded),
        _ => Vec::new(),
    };
    let mut select = uses.columns_of(insert.rte);
    select.extend(&proposed);
    select.extend(key.iter().flat_map(|key| key.columns.iter().copied()));
    let needs = Needs {
        select,
        select_any: false,
        insert: Some(insert.columns.clone()),
        update: updated_columns(insert.on_conflict.as_ref()),
        delete: false,
    };
    policy::authorize(compiled.catalog(), role, &insert.relation, &needs)?;
    let target = Target::resolve(compiled, role, &insert.relation, Privilege::Insert, &insert.columns)?;
    // Under a view its base table asks for the same rights as the view does.
    let besides = |privilege, columns: &[ColumnIndex]| {
        Target::resolve_for(compiled, role, &insert.relation, privilege, columns, Privilege::Insert)
    };
    if let Some(key) = &key {
        besides(Privilege::Select, &key.columns)?;
    }
    if !needs.select.is_empty() {
        target.check_reading(&mut emitter())?;
    }
    if let Some(updated) = &needs.update {
        besides(Privilege::Select, &proposed)?;
        besides(Privilege::Update, updated)?;
    }
    let instead = Instead::compile(compiled, &target, Event::Insert, &[])?;
    if instead.is_some() && key.is_some() {
        return Err(no_key());
    }
    let relation = Arc::clone(&target.relation);
    let mut columns = Vec::with_capacity(insert.columns.len());
    for (place, column) in insert.columns.iter().enumerate() {
        let Some(at) = target.base(*column) else { continue };
        let declared = &relation.columns[at];
        if insert.overriding == Some(Overriding::User) && declared.identity.is_some() {
            columns.push(None);
            continue;
        }
        let system = insert.overriding == Some(Overriding::System) && declared.identity == Some(Identity::Always);
        if !system && !all_default(&insert.source, place) {
            refuse_generated(&relation, at)?;
        }
        columns.push(Some(at));
    }
    let fills = (0..relation.columns.len())
        .filter(|at| relation.columns[*at].generated.is_none() && !columns.contains(&Some(*at)))
        .map(|at| Ok((at, target.fill(compiled, at)?)))
        .collect::<Result<_, DatabaseError>>()?;
    let source = source(compiled, insert, &target, &columns, emitter)?;
    let way = match instead {
        Some(instead) => Way::Instead(Box::new(instead)),
        None => Way::Table(Box::new(table(
            compiled,
            insert,
            &target,
            !needs.select.is_empty(),
            emitter,
        )?)),
    };
    let returning = match &insert.returning {
        Some(returning) => Some(Shown::compile(emitter(), &target, insert.rte, returning)?),
        None => None,
    };
    Ok(InsertStatement {
        target,
        columns,
        source,
        fills,
        way,
        returning,
    })
}

fn table<'c>(
    compiled: &'c Compiled,
    insert: &Insert,
    target: &Target,
    reads: bool,
    emitter: &dyn Fn() -> Emitter<'c>,
) -> Result<Table, DatabaseError> {
    let commands: &[PolicyCommand] = if reads {
        &[PolicyCommand::Insert, PolicyCommand::Select]
    } else {
        &[PolicyCommand::Insert]
    };
    let checks = Checks::compile(compiled, target, Moment::Proposed, commands)?;
    let conflict = match &insert.on_conflict {
        Some(conflict) => Some(on_conflict(compiled, insert, conflict, target, emitter)?),
        None => None,
    };
    let writer = RowWriter::new(compiled, target)?;
    let events = events(conflict.as_ref());
    let triggered = Triggered::compile(compiled, target, &events, &UPDATE_COMMANDS)?;
    Ok(Table {
        checks,
        writer,
        conflict,
        triggered,
    })
}

impl InsertStatement {
    /// Runs it.
    pub fn run(&self, conn: &Connection, compiled: &Compiled, sources: &Sources<'_>) -> Result<Executed, BackendError> {
        let rows = self.rows(conn, sources)?;
        let env = Env {
            conn,
            compiled,
            sources,
        };
        match &self.way {
            Way::Table(table) => self.run_table(env, table, rows),
            Way::Instead(instead) => {
                let rows = rows.into_iter().map(Proposed::insert);
                instead.perform(env, rows.collect(), |rows| {
                    shown_rows(conn, sources, self.returning.as_ref(), &rows)
                })
            }
        }
    }

    fn run_table(&self, env: Env<'_>, table: &Table, rows: Vec<Vec<Scalar>>) -> Result<Executed, BackendError> {
        let Env {
            conn,
            compiled,
            sources,
        } = env;
        let relation = &self.target.relation;
        if let Some(triggered) = &table.triggered {
            let plain = Plain {
                checks: table.checks.as_ref(),
                writer: &table.writer,
                conflict: table.conflict.as_ref(),
            };
            let events = events(table.conflict.as_ref());
            return triggered.perform(env, &events, rows.len(), |running| {
                let written = running.insert_rows(env, &plain, rows)?;
                shown(conn, sources, self.returning.as_ref(), &written.numbers)
            });
        }
        let written = table.write(conn, compiled, relation, sources, rows)?;
        shown(conn, sources, self.returning.as_ref(), &written.numbers)
    }

    /// Its RETURNING.
    pub fn returning(&self) -> Option<&Shown> {
        self.returning.as_ref()
    }

    /// The statements, one per line.
    pub fn sql(&self) -> String {
        let mut lines = Vec::new();
        if let Source::Query(query) = &self.source {
            lines.push(query.sql());
        }
        if let Way::Table(table) = &self.way {
            lines.extend(table.checks.as_ref().map(Checks::sql));
            lines.push(table.writer.sql());
        }
        lines.extend(self.returning.as_ref().map(Shown::sql));
        lines.join("\n")
    }

    fn rows(&self, conn: &Connection, sources: &Sources<'_>) -> Result<Vec<Vec<Scalar>>, BackendError> {
        let width = self.target.relation.columns.len();
        let mut taking = Taking::new(conn);
        let mut memory = vec![None; self.fills.len()];
        let mut completed = |taking: &mut Taking<'_>, given: Vec<Scalar>| {
            let mut row = vec![Scalar::Null; width];
            for (column, value) in self.columns.iter().zip(given) {
                if let Some(column) = column {
                    row[*column] = value;
                }
            }
            for ((column, fill), memory) in self.fills.iter().zip(&mut memory) {
                row[*column] = fill.value(taking, sources, memory)?;
            }
            Ok::<_, BackendError>(row)
        };
        let mut rows = Vec::new();
        match &self.source {
            Source::Values(values) => {
                for row in values {
                    let given = row.iter().map(|fill| fill.value(&mut taking, sources, &mut None));
                    let given = given.collect::<Result<_, BackendError>>()?;
                    rows.push(completed(&mut taking, given)?);
                }
            }
            Source::Query(query) => {
                let all = query.all(conn, sources, |row| {
                    scalars(row, 0, self.columns.len()).map_err(|error| query.failed(&error))
                })?;
                for given in all {
                    rows.push(completed(&mut taking, given)?);
                }
            }
            Source::Default => rows.push(completed(&mut taking, Vec::new())?),
        }
        taking.put_back()?;
        Ok(rows)
    }
}

fn source<'c>(
    compiled: &'c Compiled,
    insert: &Insert,
    target: &Target,
    columns: &[Option<ColumnIndex>],
    emitter: &dyn Fn() -> Emitter<'c>,
) -> Result<Source, DatabaseError> {
    let of_query = |query: &Query| {
        let mut emitter = emitter();
        emitter.ctes(&insert.ctes)?;
        emitter.query(query, Names::Numbered)?;
        let scans = walk::runs_volatile(|visitor| walk::insert(visitor, insert))
            && walk::relations(|visitor| walk::insert(visitor, insert)) > 0;
        Ok(Source::Query(Prepared::from(emitter.finish()).scanning(scans)))
    };
    match &insert.source {
        InsertSource::Default => Ok(Source::Default),
        InsertSource::Query(query) => of_query(query),
        InsertSource::Values(rows) if !insert.ctes.is_empty() => of_query(&Query {
            ctes: Vec::new(),
            recursive: false,
            body: SetExpression::Values(rows.clone()),
            order: Vec::new(),
            limit: None,
            offset: None,
            columns: Vec::new(),
        }),
        InsertSource::Values(rows) => {
            let mut fills = Vec::with_capacity(rows.len());
            for row in rows {
                let cells: Result<Vec<Fill>, DatabaseError> = row
                    .iter()
                    .enumerate()
                    .map(
                        |(place, value)| match (&value.kind, columns.get(place).copied().flatten()) {
                            (ExprKind::Default, Some(column)) => target.fill(compiled, column),
                            (ExprKind::Default, None) => Ok(Fill::Constant(Scalar::Null)),
                            _ => Fill::of_expression(emitter(), value),
                        },
                    )
                    .collect();
                fills.push(cells?);
            }
            Ok(Source::Values(fills))
        }
    }
}

/// True if every row has DEFAULT in this place.
fn all_default(source: &InsertSource, place: usize) -> bool {
    match source {
        InsertSource::Values(rows) => rows.iter().all(|row| {
            row.get(place)
                .is_some_and(|value| matches!(value.kind, ExprKind::Default))
        }),
        _ => false,
    }
}

fn conflict_key(conflict: Option<&OnConflict>) -> Option<&ConflictKey> {
    conflict.and_then(|conflict| conflict.key.as_ref())
}

fn updated_columns(conflict: Option<&OnConflict>) -> Option<Vec<ColumnIndex>> {
    match &conflict?.action {
        ConflictAction::Nothing => None,
        ConflictAction::Update { assignments, .. } => Some(columns_of(assignments)),
    }
}

/// The columns that assignments set, in their order.
pub fn columns_of(assignments: &[Assignment]) -> Vec<ColumnIndex> {
    assignments
        .iter()
        .flat_map(|assignment| match assignment {
            Assignment::Single { column, .. } => vec![*column],
            Assignment::Multiple { columns, .. } => columns.clone(),
        })
        .collect()
}

/// Writes the new values in the order of [`columns_of`], each after a comma.
pub fn write_assigned(
    emitter: &mut Emitter<'_>,
    target: &Target,
    assignments: &[Assignment],
) -> Result<(), DatabaseError> {
    for assignment in assignments {
        match assignment {
            Assignment::Single { column, value } => {
                emitter.writer().sql(", ");
                if matches!(value.kind, ExprKind::Default) && target.written.kind.is_view() {
                    // The default of the view's own column, or NULL; that of the table does not count for it.
                    assigned(emitter, &target.written, *column, value)?;
                    continue;
                }
                let column = target.base(*column).unwrap_or(*column);
                if matches!(value.kind, ExprKind::Default) {
                    refuse_default(&target.relation.columns[column])?;
                }
                assigned(emitter, &target.relation, column, value)?;
            }
            Assignment::Multiple { columns, query } => {
                for place in 0..columns.len() {
                    emitter.writer().sql(", ");
                    column_of_query(emitter, query, place)?;
                }
            }
        }
    }
    Ok(())
}

/// Errors: 0A000 for a DEFAULT in UPDATE that is more than an expression.
fn refuse_default(column: &Column) -> Result<(), DatabaseError> {
    let what = if column.generated.is_some() {
        "DEFAULT for a generated column in UPDATE"
    } else if column.sequence.is_some() {
        "DEFAULT of a sequence in UPDATE"
    } else {
        return Ok(());
    };
    let way = Some("leave the column out, or give it a value");
    Err(DatabaseError::unavailable(
        what,
        &format!("column {}", column.name),
        1,
        way,
    ))
}

fn on_conflict<'c>(
    compiled: &'c Compiled,
    insert: &Insert,
    conflict: &OnConflict,
    target: &Target,
    emitter: &dyn Fn() -> Emitter<'c>,
) -> Result<Conflict, DatabaseError> {
    let relation = &target.relation;
    let key: Vec<ColumnIndex> = match &conflict.key {
        None => Vec::new(),
        Some(key) if key.expressions.is_empty() && key.filter.is_none() => {
            key.columns.iter().filter_map(|column| target.base(*column)).collect()
        }
        Some(_) => {
            return Err(DatabaseError::unavailable(
                "ON CONFLICT on an expression or partial index",
                &relation.name.to_string(),
                1,
                Some("a unique constraint"),
            ));
        }
    };
    let ConflictAction::Update {
        excluded,
        assignments,
        filter,
    } = &conflict.action
    else {
        return Conflict::ignore(compiled, target, key);
    };
    let columns: Vec<ColumnIndex> = columns_of(assignments)
        .into_iter()
        .filter_map(|column| target.base(column))
        .collect();
    let mut emitter = emitter();
    let alias = emitter.fresh_alias();
    let existing = Rte::Relation {
        alias,
        relation: Arc::clone(relation),
    };
    emitter.declare(insert.rte, target.row(existing));
    emitter.declare(
        *excluded,
        target.row(Rte::Bound {
            relation: Arc::clone(relation),
        }),
    );
    if names_cte(assignments, filter.as_ref()) {
        check_repeatable(&insert.ctes, &target.relation)?;
        emitter.ctes(&insert.ctes)?;
    }
    emitter.writer().sql("SELECT ");
    match filter {
        Some(filter) => emitter.expr(filter)?,
        None => {
            emitter.writer().sql("1");
        }
    }
    write_assigned(&mut emitter, target, assignments)?;
    emitter.writer().sql(" FROM ").object(&relation.name).sql(" AS ");
    emitter.alias(alias).writer().sql(" WHERE ");
    emitter
        .alias(alias)
        .writer()
        .sql("._rowid_ = ")
        .bind(Bind::Row(relation.columns.len()));
    let values = Prepared::from(emitter.finish());
    Conflict::update(compiled, target, key, columns, Some(values))
}

/// What a statement's WITH gives, looked for in what DO UPDATE computes for each row.
#[derive(Default)]
struct CteUses {
    names_cte: bool,
    varies: bool,
    relations: Vec<QualifiedName>,
}

impl walk::Visitor for CteUses {
    fn entry(&mut self, item: &FromItem) {
        match item {
            FromItem::Cte { .. } => self.names_cte = true,
            FromItem::Relation { relation, .. } => self.relations.push(relation.name.clone()),
            FromItem::Subquery { .. } | FromItem::Function { .. } | FromItem::Join { .. } => {}
        }
    }

    fn expr(&mut self, expr: &Expr) {
        self.varies |= match &expr.kind {
            ExprKind::Function { function, .. } => function.volatility == Volatility::Volatile,
            ExprKind::Sequence(_) | ExprKind::Run(_) => true,
            _ => false,
        };
    }
}

fn names_cte(assignments: &[Assignment], filter: Option<&Expr>) -> bool {
    let mut found = CteUses::default();
    for assignment in assignments {
        match assignment {
            Assignment::Single { value, .. } => walk::expr(&mut found, value),
            Assignment::Multiple { query, .. } => walk::query(&mut found, query),
        }
    }
    filter.into_iter().for_each(|filter| walk::expr(&mut found, filter));
    found.names_cte
}

/// DO UPDATE asks WITH anew for each row. Errors: 0A000 where that could give something else than the first time.
fn check_repeatable(ctes: &[Cte], relation: &Relation) -> Result<(), DatabaseError> {
    let mut found = CteUses::default();
    ctes.iter().for_each(|cte| walk::query(&mut found, &cte.query));
    if found.varies || found.relations.contains(&relation.name) {
        let way = Some("a subquery instead of WITH");
        let feature = "WITH over the written table, or of changing values, in DO UPDATE";
        return Err(DatabaseError::unavailable(feature, &relation.name.to_string(), 1, way));
    }
    Ok(())
}

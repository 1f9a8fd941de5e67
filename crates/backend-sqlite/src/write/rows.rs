//! Puts rows into a table: not-null checks, the INSERT itself, and PostgreSQL's words for what a row breaks.

use std::sync::Arc;

use mainstay_core::catalog::{Catalog, ColumnIndex, ConstraintKind, Relation};
use mainstay_core::error::{BackendError, DatabaseError};
use mainstay_sql::typed::{Expr, ExprKind, RteId};
use rusqlite::Connection;
use rusqlite::types::{Value as Scalar, ValueRef};

use super::disclosure::Disclosure;
use super::statement::{Prepared, scalars};
use super::target::Target;
use crate::emit::binds::Sources;
use crate::emit::compiled::Compiled;
use crate::emit::writer::SqlWriter;
use crate::emit::{Emitter, Rte};
use crate::errors::{self, FailedRow};
use crate::values::cast::{self, Kind};

/// How rows are inserted into one table.
#[derive(Debug)]
pub struct RowWriter {
    sql: String,
    /// The columns of the INSERT in order; generated ones are left to the table.
    columns: Vec<ColumnIndex>,
    not_null: Vec<ColumnIndex>,
    disclosure: Disclosure,
    generated: Option<Generated>,
    /// A row may refer to another of the same statement, which may come later.
    refers_to_itself: bool,
}

impl RowWriter {
    /// Spells the INSERT into the target's table.
    pub fn new(compiled: &Compiled, target: &Target) -> Result<Self, DatabaseError> {
        let relation = &target.relation;
        let columns: Vec<ColumnIndex> = (0..relation.columns.len())
            .filter(|column| relation.columns[*column].generated.is_none())
            .collect();
        let mut writer = SqlWriter::new();
        writer.sql("INSERT INTO ").object(&relation.name);
        if columns.is_empty() {
            writer.sql(" DEFAULT VALUES");
        } else {
            writer.sql(" (");
            names(&mut writer, relation, &columns);
            writer.sql(") VALUES (");
            for place in 0..columns.len() {
                writer.sql(if place > 0 { ", ?" } else { "?" }).number(place as i64 + 1);
            }
            writer.sql(")");
        }
        let not_null = columns
            .iter()
            .copied()
            .filter(|column| relation.columns[*column].not_null)
            .collect();
        Ok(RowWriter {
            sql: writer.finish().0,
            columns,
            not_null,
            disclosure: target.disclosure.clone(),
            generated: Generated::compile(compiled, relation)?,
            refers_to_itself: refers_to_itself(relation),
        })
    }

    /// The INSERT, for snapshots.
    pub fn sql(&self) -> &str {
        &self.sql
    }

    /// Errors: 23502 with the row.
    pub fn check_not_null(
        &self,
        conn: &Connection,
        relation: &Relation,
        sources: &Sources<'_>,
        row: &[Scalar],
    ) -> Result<(), BackendError> {
        match self.not_null.iter().find(|column| row[**column] == Scalar::Null) {
            Some(column) => {
                let row = completed(self.generated.as_ref(), conn, sources, row.to_vec());
                Err(null_in(relation, &self.disclosure, *column, &row))
            }
            None => Ok(()),
        }
    }

    /// What a view refuses of `row`, with the row as far as the role may see it.
    pub fn refused(
        &self,
        conn: &Connection,
        relation: &Relation,
        sources: &Sources<'_>,
        row: &[Scalar],
        error: BackendError,
    ) -> BackendError {
        let row = completed(self.generated.as_ref(), conn, sources, row.to_vec());
        with_failing_row(relation, &self.disclosure, &row, error)
    }

    /// Inserts `rows` and gives their numbers.
    ///
    /// Errors: 23505, 23503, 23514 … with the row that broke the rule.
    pub fn insert(
        &self,
        conn: &Connection,
        catalog: &Catalog,
        relation: &Relation,
        sources: &Sources<'_>,
        rows: &[Vec<Scalar>],
    ) -> Result<Vec<i64>, BackendError> {
        if self.refers_to_itself && rows.len() > 1 {
            return self.insert_together(conn, catalog, relation, rows);
        }
        let refused = |row: &[Scalar], error: &rusqlite::Error| {
            let row = completed(self.generated.as_ref(), conn, sources, row.to_vec());
            let row = Failing {
                relation,
                disclosure: &self.disclosure,
                row: &row,
            };
            errors::refusal_of_row(catalog, Some(relation), Some(&row), &self.sql, error)
        };
        let mut numbers = Vec::with_capacity(rows.len());
        let Some(first) = rows.first() else { return Ok(numbers) };
        let mut statement = conn.prepare_cached(&self.sql).map_err(|error| refused(first, &error))?;
        for row in rows {
            for (place, column) in self.columns.iter().enumerate() {
                statement
                    .raw_bind_parameter(place + 1, &row[*column])
                    .map_err(|error| refused(row, &error))?;
            }
            statement.raw_execute().map_err(|error| refused(row, &error))?;
            numbers.push(conn.last_insert_rowid());
        }
        Ok(numbers)
    }

    /// Inserts rows that may refer to each other with one statement, at whose end keys are checked.
    fn insert_together(
        &self,
        conn: &Connection,
        catalog: &Catalog,
        relation: &Relation,
        rows: &[Vec<Scalar>],
    ) -> Result<Vec<i64>, BackendError> {
        let refused = |sql: &str, error: &rusqlite::Error| errors::refusal(catalog, Some(relation), sql, error);
        let mut create = SqlWriter::new();
        create.sql("CREATE TEMP TABLE _ms_proposed (");
        let mut fill = SqlWriter::new();
        fill.sql("INSERT INTO temp._ms_proposed VALUES (");
        let mut copy = SqlWriter::new();
        copy.sql("INSERT INTO ").object(&relation.name).sql(" (");
        names(&mut copy, relation, &self.columns);
        copy.sql(") SELECT ");
        for place in 0..self.columns.len() {
            create.sql(if place > 0 { ", c" } else { "c" }).number(place as i64);
            fill.sql(if place > 0 { ", ?" } else { "?" }).number(place as i64 + 1);
            copy.sql(if place > 0 { ", c" } else { "c" }).number(place as i64);
        }
        create.sql(")");
        fill.sql(")");
        copy.sql(" FROM temp._ms_proposed ORDER BY _rowid_ RETURNING _rowid_");
        let (create, fill, copy) = (create.finish().0, fill.finish().0, copy.finish().0);
        conn.execute_batch(&create).map_err(|error| refused(&create, &error))?;
        let inserted = self.fill_and_copy(conn, rows, &fill, &copy);
        let dropped = conn.execute_batch("DROP TABLE temp._ms_proposed");
        let numbers = inserted.map_err(|error| refused(&copy, &error))?;
        dropped.map_err(|error| refused("DROP TABLE temp._ms_proposed", &error))?;
        Ok(numbers)
    }

    fn fill_and_copy(
        &self,
        conn: &Connection,
        rows: &[Vec<Scalar>],
        fill: &str,
        copy: &str,
    ) -> rusqlite::Result<Vec<i64>> {
        let mut statement = conn.prepare(fill)?;
        for row in rows {
            for (place, column) in self.columns.iter().enumerate() {
                statement.raw_bind_parameter(place + 1, &row[*column])?;
            }
            statement.raw_execute()?;
        }
        drop(statement);
        let mut statement = conn.prepare(copy)?;
        let numbers = statement.query_map([], |row| row.get(0))?;
        numbers.collect()
    }
}

fn names(writer: &mut SqlWriter, relation: &Relation, columns: &[ColumnIndex]) {
    writer.list(", ", columns, |writer, column| {
        writer.ident(&relation.columns[*column].name);
    });
}

/// True if a foreign key of the relation leads back to it.
pub fn refers_to_itself(relation: &Relation) -> bool {
    relation
        .constraints
        .iter()
        .any(|constraint| matches!(&constraint.kind, ConstraintKind::ForeignKey(key) if key.target == relation.name))
}

/// 23502, with the row if it may be shown.
pub fn null_in(relation: &Relation, disclosure: &Disclosure, column: ColumnIndex, row: &[Scalar]) -> BackendError {
    let texts = disclosure.allows_row().then(|| texts(relation, row));
    errors::null_in(relation, &relation.columns[column].name, texts.as_deref()).into()
}

/// The error with the row in its detail, if it may be shown.
pub fn with_failing_row(
    relation: &Relation,
    disclosure: &Disclosure,
    row: &[Scalar],
    error: BackendError,
) -> BackendError {
    match error {
        BackendError::Refused(mut error) if disclosure.allows_row() => {
            error.detail = Some(errors::failing_row(&texts(relation, row)));
            BackendError::Refused(error)
        }
        error => error,
    }
}

/// A row's values in PostgreSQL's text form.
pub fn texts(relation: &Relation, row: &[Scalar]) -> Vec<Option<String>> {
    relation
        .columns
        .iter()
        .zip(row)
        .map(|(column, value)| text(&column.ty, value))
        .collect()
}

/// A value in PostgreSQL's text form; `None` for NULL.
pub fn text(ty: &mainstay_core::types::Type, value: &Scalar) -> Option<String> {
    match ValueRef::from(value) {
        ValueRef::Null => None,
        value => Kind::shown(ty).and_then(|kind| cast::output(&kind, value).ok()),
    }
}

/// The values of generated columns, which a failing row is shown with.
#[derive(Debug)]
pub struct Generated {
    columns: Vec<ColumnIndex>,
    values: Prepared,
}

impl Generated {
    /// Compiles the generated columns of `relation` over a bound row; `None` if it has none.
    pub fn compile(compiled: &Compiled, relation: &Arc<Relation>) -> Result<Option<Self>, DatabaseError> {
        let columns: Vec<ColumnIndex> = (0..relation.columns.len())
            .filter(|column| relation.columns[*column].generated.is_some())
            .collect();
        if columns.is_empty() {
            return Ok(None);
        }
        let mut emitter = Emitter::new(compiled, &relation.owner);
        let rte = RteId(0);
        emitter.declare(
            rte,
            Rte::Bound {
                relation: Arc::clone(relation),
            },
        );
        emitter.writer().sql("SELECT ");
        for (place, column) in columns.iter().enumerate() {
            if place > 0 {
                emitter.writer().sql(", ");
            }
            let ty = relation.columns[*column].ty.clone();
            emitter.expr(&Expr::new(ExprKind::Column { rte, column: *column }, ty))?;
        }
        Ok(Some(Generated {
            columns,
            values: Prepared::from(emitter.finish()),
        }))
    }
}

/// A row with its generated columns filled in, as far as they can be computed.
pub fn completed(
    generated: Option<&Generated>,
    conn: &Connection,
    sources: &Sources<'_>,
    mut row: Vec<Scalar>,
) -> Vec<Scalar> {
    let Some(generated) = generated else { return row };
    let count = generated.columns.len();
    let computed = generated
        .values
        .one(conn, &sources.with_row(&row), |found| scalars(found, 0, count));
    for (column, value) in generated
        .columns
        .iter()
        .zip(computed.ok().flatten().unwrap_or_default())
    {
        row[*column] = value;
    }
    row
}

/// A row that could not be written.
pub struct Failing<'a> {
    pub relation: &'a Relation,
    pub disclosure: &'a Disclosure,
    pub row: &'a [Scalar],
}

impl FailedRow for Failing<'_> {
    fn duplicate(&self, columns: &[ColumnIndex]) -> Option<Vec<Option<String>>> {
        if !self.disclosure.allows_key(columns) {
            return None;
        }
        columns
            .iter()
            .map(|column| Some(text(&self.relation.columns.get(*column)?.ty, self.row.get(*column)?)))
            .collect()
    }

    fn failing(&self) -> Option<Vec<Option<String>>> {
        self.disclosure.allows_row().then(|| texts(self.relation, self.row))
    }
}

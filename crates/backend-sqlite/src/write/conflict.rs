//! `ON CONFLICT`: finding the row that is there, what it must pass, and what becomes of it.
//!
//! Source: PostgreSQL manual, INSERT; `portability.md` §§7, 8 (a row that may not be updated is an error, not a skip).

use std::collections::HashSet;

use mainstay_core::catalog::{Catalog, ColumnIndex, ConstraintKind, PolicyCommand, Relation};
use mainstay_core::error::{BackendError, DatabaseError};
use rusqlite::types::Value as Scalar;
use rusqlite::{Connection, ffi};

use super::checks::{Checks, Moment};
use super::disclosure::Disclosure;
use super::rows::{Failing, Generated, RowWriter, completed, null_in, texts};
use super::statement::{Prepared, scalars};
use super::target::Target;
use crate::emit::binds::{Bind, Sources};
use crate::emit::compiled::Compiled;
use crate::emit::emitter::Scope;
use crate::emit::types::collation;
use crate::emit::writer::SqlWriter;
use crate::emit::{Emitter, Rte};
use crate::errors;
use crate::values::cast::Kind;
use crate::values::numeric::Numeric;

/// What an INSERT does about rows that are there already.
#[derive(Debug)]
pub struct Conflict {
    /// The key's columns; empty: any unique key.
    key: Vec<ColumnIndex>,
    /// Finds the number of the row with the proposed row's key.
    find: Option<Prepared>,
    /// The table's CHECK constraints, which even a row that is not inserted must pass.
    constraints: Option<Constraints>,
    action: Action,
}

#[derive(Debug)]
enum Action {
    Ignore,
    Update(Box<Update>),
}

/// `DO UPDATE`.
#[derive(Debug)]
struct Update {
    columns: Vec<ColumnIndex>,
    /// Whether the row is to be updated, then the new values in the order of `columns`; `None`: always, with the
    /// proposed row's values.
    values: Option<Prepared>,
    /// The existing row must pass.
    existing: Option<Checks>,
    /// The row as it would be must pass.
    updated: Option<Checks>,
    statement: Prepared,
    disclosure: Disclosure,
}

/// What was done with one row.
enum Place {
    Insert,
    /// The existing row's number and the values of the update's columns.
    Update(i64, Vec<Scalar>),
    Nothing,
}

/// The rows of an INSERT with ON CONFLICT: numbers in the order of the rows, and how many were new.
#[derive(Debug, Default)]
pub struct Written {
    pub numbers: Vec<i64>,
    pub inserted: u64,
}

impl Conflict {
    /// `DO NOTHING`. `key`: empty for any unique key.
    pub fn ignore(compiled: &Compiled, target: &Target, key: Vec<ColumnIndex>) -> Result<Self, DatabaseError> {
        let find = (!key.is_empty()).then(|| find(&target.relation, &key));
        Ok(Conflict {
            key,
            find,
            constraints: Constraints::compile(compiled, target)?,
            action: Action::Ignore,
        })
    }

    /// `DO UPDATE`. `values`: see [`Update::values`]; they bind the row's number after its columns.
    pub fn update(
        compiled: &Compiled,
        target: &Target,
        key: Vec<ColumnIndex>,
        columns: Vec<ColumnIndex>,
        values: Option<Prepared>,
    ) -> Result<Self, DatabaseError> {
        let relation = &target.relation;
        let commands = [PolicyCommand::Update, PolicyCommand::Select];
        let update = Update {
            existing: Checks::compile(compiled, target, Moment::Existing, &commands)?,
            updated: Checks::compile(compiled, target, Moment::Updated(&columns), &commands)?,
            statement: set(relation, &columns),
            disclosure: target.disclosure.clone(),
            columns,
            values,
        };
        let find = Some(find(relation, &key));
        Ok(Conflict {
            key,
            find,
            constraints: Constraints::compile(compiled, target)?,
            action: Action::Update(Box::new(update)),
        })
    }

    /// The columns that DO UPDATE sets; `None` for DO NOTHING.
    pub fn updated(&self) -> Option<&[ColumnIndex]> {
        match &self.action {
            Action::Ignore => None,
            Action::Update(update) => Some(&update.columns),
        }
    }

    /// The row that is in the way of a proposed one.
    ///
    /// Errors: 23514 for a proposed row that could never be.
    pub fn existing(
        &self,
        conn: &Connection,
        relation: &Relation,
        row: &[Scalar],
        sources: &Sources<'_>,
    ) -> Result<Option<i64>, BackendError> {
        let Some(find) = &self.find else { return Ok(None) };
        let found: Option<i64> = find.one(conn, &sources.with_row(row), |found| found.get(0))?;
        if let (Some(_), Some(constraints)) = (found, &self.constraints) {
            constraints.run(conn, relation, row, sources)?;
        }
        Ok(found)
    }

    /// True if any unique key counts, which only inserting finds out.
    pub fn is_any(&self) -> bool {
        self.key.is_empty()
    }

    /// What DO UPDATE makes of the row `number` for a proposed row: the values of the columns that it sets, each in its
    /// column's place. `None`: its WHERE leaves the row alone.
    ///
    /// Errors: 42501 for a row that may not be updated.
    pub fn values(
        &self,
        conn: &Connection,
        relation: &Relation,
        row: &[Scalar],
        number: i64,
        sources: &Sources<'_>,
    ) -> Result<Option<Vec<Scalar>>, BackendError> {
        let Action::Update(update) = &self.action else {
            return Ok(None);
        };
        let mut row = row.to_vec();
        row.truncate(relation.columns.len());
        row.push(Scalar::Integer(number));
        let values: Vec<Scalar> = match &update.values {
            None => update.columns.iter().map(|column| row[*column].clone()).collect(),
            Some(values) => {
                let count = update.columns.len();
                let read = values.one(conn, &sources.with_row(&row), |found| {
                    Ok((found.get::<_, Option<bool>>(0)?, scalars(found, 1, count)?))
                })?;
                match read {
                    Some((Some(true), values)) => values,
                    _ => return Ok(None),
                }
            }
        };
        if let Some(existing) = &update.existing {
            existing.run(conn, &sources.with_row(&row))?;
        }
        let mut merged = vec![Scalar::Null; relation.columns.len()];
        for (column, value) in update.columns.iter().zip(values) {
            merged[*column] = value;
        }
        Ok(Some(merged))
    }

    /// Checks every row, then writes every row. Rows have passed their INSERT checks.
    pub fn write(
        &self,
        conn: &Connection,
        catalog: &Catalog,
        relation: &Relation,
        writer: &RowWriter,
        rows: Vec<Vec<Scalar>>,
        sources: &Sources<'_>,
    ) -> Result<Written, BackendError> {
        match &self.action {
            Action::Ignore => self.ignore_conflicts(conn, catalog, relation, writer, rows, sources),
            Action::Update(update) => self.merge(conn, catalog, relation, writer, rows, sources, update),
        }
    }

    fn ignore_conflicts(
        &self,
        conn: &Connection,
        catalog: &Catalog,
        relation: &Relation,
        writer: &RowWriter,
        rows: Vec<Vec<Scalar>>,
        sources: &Sources<'_>,
    ) -> Result<Written, BackendError> {
        let mut written = Written::default();
        for row in rows {
            if self.existing(conn, relation, &row, sources)?.is_some() {
                continue;
            }
            match writer.insert(conn, catalog, relation, sources, std::slice::from_ref(&row)) {
                Ok(numbers) => written.numbers.extend(numbers),
                // Any unique key counts where none is named.
                Err(BackendError::Refused(error)) if self.key.is_empty() && error.sqlstate == "23505" => continue,
                Err(error) => return Err(error),
            }
            written.inserted += 1;
        }
        Ok(written)
    }

    #[allow(clippy::too_many_arguments, reason = "one statement's whole state, used once")]
    fn merge(
        &self,
        conn: &Connection,
        catalog: &Catalog,
        relation: &Relation,
        writer: &RowWriter,
        rows: Vec<Vec<Scalar>>,
        sources: &Sources<'_>,
        update: &Update,
    ) -> Result<Written, BackendError> {
        // A row that its WHERE left alone may be met again; one that was inserted or updated may not.
        let mut touched = HashSet::new();
        let mut places = Vec::with_capacity(rows.len());
        let mut rows = rows;
        for row in &mut rows {
            let key = self.key_of(relation, row);
            if key.as_ref().is_some_and(|key| touched.contains(key)) {
                return Err(second_time().into());
            }
            let place = self.place(conn, relation, row, sources, update)?;
            if !matches!(place, Place::Nothing) {
                touched.extend(key);
            }
            places.push(place);
        }
        let mut written = Written::default();
        for (row, place) in rows.iter().zip(places) {
            match place {
                Place::Nothing => {}
                Place::Insert => {
                    written.numbers.extend(writer.insert(
                        conn,
                        catalog,
                        relation,
                        sources,
                        std::slice::from_ref(row),
                    )?);
                    written.inserted += 1;
                }
                Place::Update(number, values) => {
                    let number = update.run(conn, catalog, relation, number, &values, sources)?;
                    written.numbers.push(number);
                }
            }
        }
        Ok(written)
    }

    /// Finds what is there and checks what would be.
    fn place(
        &self,
        conn: &Connection,
        relation: &Relation,
        row: &mut Vec<Scalar>,
        sources: &Sources<'_>,
        update: &Update,
    ) -> Result<Place, BackendError> {
        let Some(number) = self.existing(conn, relation, row, sources)? else {
            return Ok(Place::Insert);
        };
        row.truncate(relation.columns.len());
        row.push(Scalar::Integer(number));
        let values = match &update.values {
            None => update.columns.iter().map(|column| row[*column].clone()).collect(),
            Some(values) => {
                let count = update.columns.len();
                let read = values.one(conn, &sources.with_row(row), |found| {
                    Ok((found.get::<_, Option<bool>>(0)?, scalars(found, 1, count)?))
                })?;
                match read {
                    Some((Some(true), values)) => values,
                    _ => return Ok(Place::Nothing),
                }
            }
        };
        if let Some(existing) = &update.existing {
            existing.run(conn, &sources.with_row(row))?;
        }
        let mut merged = row.clone();
        for (column, value) in update.columns.iter().zip(&values) {
            merged[*column] = value.clone();
        }
        if let Some(updated) = &update.updated {
            updated.run(conn, &sources.with_row(&merged))?;
        }
        let null = update
            .columns
            .iter()
            .zip(&values)
            .find(|(column, value)| relation.columns[**column].not_null && **value == Scalar::Null);
        match null {
            Some((column, _)) => Err(null_in(relation, &update.disclosure, *column, &merged)),
            None => Ok(Place::Update(number, values)),
        }
    }

    /// The key's values such that equal keys are equal texts; `None` where a null keeps the row from any conflict.
    fn key_of(&self, relation: &Relation, row: &[Scalar]) -> Option<String> {
        let mut key = String::new();
        for column in &self.key {
            let text = super::rows::text(&relation.columns[*column].ty, &row[*column])?;
            let text = match Kind::of(&relation.columns[*column].ty) {
                Some(Kind::Numeric) => Numeric::parse(&text).map_or(text, |number| number.trim_scale().to_string()),
                _ => text,
            };
            key.push_str(&text.len().to_string());
            key.push(':');
            key.push_str(&text);
        }
        Some(key)
    }
}

/// 21000: two proposed rows have one key.
pub fn second_time() -> DatabaseError {
    DatabaseError::new("21000", "ON CONFLICT DO UPDATE command cannot affect row a second time")
        .hint("Ensure that no rows proposed for insertion within the same command have duplicate constrained values.")
}

impl Update {
    fn run(
        &self,
        conn: &Connection,
        catalog: &Catalog,
        relation: &Relation,
        number: i64,
        values: &[Scalar],
        sources: &Sources<'_>,
    ) -> Result<i64, BackendError> {
        let mut row = vec![Scalar::Null; relation.columns.len()];
        for (column, value) in self.columns.iter().zip(values) {
            row[*column] = value.clone();
        }
        row.push(Scalar::Integer(number));
        let mut statement = self.statement.ready(conn, &sources.with_row(&row))?;
        let refused = |error: &rusqlite::Error| {
            errors::refusal_of_row(
                catalog,
                Some(relation),
                Some(&Failing {
                    relation,
                    disclosure: &self.disclosure,
                    row: &row,
                }),
                self.statement.sql(),
                error,
            )
        };
        let mut rows = statement.raw_query();
        let read = rows.next().map_err(|error| refused(&error))?;
        match read {
            Some(row) => row.get(0).map_err(|error| refused(&error)),
            None => Err(refused(&rusqlite::Error::SqliteFailure(
                ffi::Error::new(ffi::SQLITE_INTERNAL),
                None,
            ))),
        }
    }
}

/// `UPDATE … SET … WHERE _rowid_ = ? RETURNING _rowid_`, with the values and the number bound as the row's.
pub fn set(relation: &Relation, columns: &[ColumnIndex]) -> Prepared {
    let mut writer = SqlWriter::new();
    writer.sql("UPDATE ").object(&relation.name).sql(" SET ");
    writer.list(", ", columns, |writer, column| {
        writer
            .ident(&relation.columns[*column].name)
            .sql(" = ")
            .bind(Bind::Row(*column));
    });
    writer
        .sql(" WHERE _rowid_ = ")
        .bind(Bind::Row(relation.columns.len()))
        .sql(" RETURNING _rowid_");
    Prepared::from(writer.finish())
}

/// The row whose key is that of the bound row.
fn find(relation: &Relation, key: &[ColumnIndex]) -> Prepared {
    let mut writer = SqlWriter::new();
    writer.sql("SELECT _rowid_ FROM ").object(&relation.name).sql(" WHERE ");
    writer.list(" AND ", key, |writer, column| {
        let declared = &relation.columns[*column];
        writer.ident(&declared.name);
        if let Some(collation) = collation(&declared.ty).filter(|collation| collation.changes_equality()) {
            writer.sql(" COLLATE ").ident(&collation.name());
        }
        writer.sql(" = ").bind(Bind::Row(*column));
    });
    Prepared::from(writer.finish())
}

/// CHECK constraints over a bound row.
#[derive(Debug)]
struct Constraints {
    statement: Prepared,
    generated: Option<Generated>,
    disclosure: Disclosure,
    names: Vec<mainstay_core::name::Ident>,
}

impl Constraints {
    fn compile(compiled: &Compiled, target: &Target) -> Result<Option<Self>, DatabaseError> {
        let relation = &target.relation;
        let mut emitter = Emitter::new(compiled, &relation.owner);
        let mut names = Vec::new();
        emitter.writer().sql("SELECT CASE");
        for constraint in &relation.constraints {
            let ConstraintKind::Check { expression } = &constraint.kind else {
                continue;
            };
            let bound = compiled.condition(relation, expression)?;
            emitter.writer().sql(" WHEN NOT (");
            let scope = Scope::of(
                bound.rte,
                Rte::Bound {
                    relation: relation.clone(),
                },
            );
            emitter.fragment(scope, |emitter| emitter.expr(&bound.expr))?;
            emitter.writer().sql(") THEN ").number(names.len() as i64);
            names.push(constraint.name.clone());
        }
        emitter.writer().sql(" ELSE -1 END");
        if names.is_empty() {
            return Ok(None);
        }
        let disclosure = target.disclosure.clone();
        Ok(Some(Constraints {
            statement: Prepared::from(emitter.finish()),
            generated: Generated::compile(compiled, relation)?,
            disclosure,
            names,
        }))
    }

    fn run(
        &self,
        conn: &Connection,
        relation: &Relation,
        row: &[Scalar],
        sources: &Sources<'_>,
    ) -> Result<(), BackendError> {
        let failed: Option<i64> = self.statement.one(conn, &sources.with_row(row), |found| found.get(0))?;
        let name = failed
            .and_then(|index| usize::try_from(index).ok())
            .and_then(|index| self.names.get(index));
        let Some(name) = name else { return Ok(()) };
        let message = format!(
            "new row for relation \"{}\" violates check constraint \"{name}\"",
            relation.name.name
        );
        let mut error = DatabaseError::new("23514", message);
        if self.disclosure.allows_row() {
            let row = completed(self.generated.as_ref(), conn, sources, row.to_vec());
            error = error.detail(errors::failing_row(&texts(relation, &row)));
        }
        errors::place(&mut error, relation);
        error.constraint = Some(name.clone());
        Err(error.into())
    }
}

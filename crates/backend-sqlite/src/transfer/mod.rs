//! The embedded engine's side of a move: all rows out, or all rows in.
//!
//! | module | what |
//! |---|---|
//! | [`export`] | rows as text, in the order of the file's row ids, from one snapshot |
//! | [`written`] | what was written during a move; rows by their keys |
//! | [`leaving`] | the source's side of a move that others write beside |
//! | [`import`] | rows from text into the stored form, with the record that lets a move go on |
//!
//! Not here: the order of a move and its proof (`ops`), making the schema (`schema`).

pub mod export;
pub mod import;
mod leaving;
pub mod written;

use std::sync::Arc;

use mainstay_core::backend::BoxFuture;
use mainstay_core::catalog::{Catalog, ColumnIndex, Relation};
use mainstay_core::error::{BackendError, DatabaseError};
use mainstay_core::name::{Ident, QualifiedName};
use mainstay_core::transfer::{Arrival, Export, Import, Leaving, Transfer};
use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension};

use crate::backend::SqliteBackend;
use crate::emit::context::Context;
use crate::emit::input::InputType;
use crate::values::cast::Kind;

/// What a table's own row id may be called: a column of that name hides it.
const ROW_IDS: [&str; 3] = ["rowid", "_rowid_", "oid"];

/// A failure of the file itself; the text is for the log.
fn broken(error: rusqlite::Error) -> BackendError {
    BackendError::Internal(error.to_string())
}

/// A name for the row id that no column has. Errors: all three are taken.
fn row_id(relation: &Relation) -> Result<Ident, BackendError> {
    let free = ROW_IDS.iter().find(|name| relation.column(name).is_none());
    free.map(Ident::new).ok_or_else(|| {
        DatabaseError::unavailable(
            "moving a table with columns rowid, _rowid_ and oid",
            &relation.name.to_string(),
            1,
            Some("another name for one of them"),
        )
        .into()
    })
}

/// The columns at these positions.
fn chosen<'a>(
    relation: &'a Relation,
    columns: &'a [ColumnIndex],
) -> impl Iterator<Item = &'a mainstay_core::catalog::Column> {
    columns.iter().filter_map(|position| relation.columns.get(*position))
}

/// A column with what its input needs.
pub(crate) type Input = (Ident, InputType);

/// What reading texts into these columns needs. Errors: 0A000 for a type that the file does not hold.
fn inputs(catalog: &Catalog, relation: &Relation, columns: &[ColumnIndex]) -> Result<Vec<Input>, DatabaseError> {
    chosen(relation, columns)
        .map(|column| {
            Ok((
                column.name.clone(),
                InputType::new(catalog, &column.ty, column.modifier)?,
            ))
        })
        .collect()
}

/// Texts in their stored form. Errors: those of the types' input, with the column's name.
fn values(
    row: &[Option<&[u8]>],
    inputs: &[Input],
    name: &QualifiedName,
    context: &Context<'_>,
) -> Result<Vec<Value>, DatabaseError> {
    let mut values = Vec::with_capacity(inputs.len());
    for (value, (column, ty)) in row.iter().zip(inputs) {
        let Some(bytes) = value else {
            values.push(Value::Null);
            continue;
        };
        let text = String::from_utf8_lossy(bytes);
        let read = match ty.kind() {
            // A dump has arrays in PostgreSQL's own form.
            Kind::Array(_) if text.starts_with('[') => ty.read_json(&text, context),
            _ => ty.read(&text, context),
        };
        values.push(read.map_err(|mut error| {
            error.detail = Some(format!("Column {column} of a row of {name}."));
            error
        })?);
    }
    Ok(values)
}

/// The move that the file is in the middle of.
fn arrival(connection: &Connection) -> Result<Option<Arrival>, BackendError> {
    let begun: bool = connection
        .query_row(
            "SELECT EXISTS (SELECT 1 FROM sqlite_schema WHERE name = '_ms_move')",
            [],
            |row| row.get(0),
        )
        .map_err(broken)?;
    if !begun {
        return Ok(None);
    }
    let read = |row: &rusqlite::Row<'_>| {
        Ok(Arrival {
            source: row.get(0)?,
            is_open: row.get(1)?,
        })
    };
    connection
        .query_row("SELECT source, is_open FROM _ms_move", [], read)
        .optional()
        .map_err(broken)
}

impl Transfer for SqliteBackend {
    fn export<'a>(&'a self) -> BoxFuture<'a, Result<Box<dyn Export>, BackendError>> {
        Box::pin(async move {
            let export = export::FileExport::begin(Arc::clone(&self.engine.shared)).await?;
            Ok(Box::new(export) as Box<dyn Export>)
        })
    }

    fn import<'a>(&'a self, source: &'a str) -> BoxFuture<'a, Result<Box<dyn Import>, BackendError>> {
        Box::pin(async move {
            let import = import::FileImport::begin(Arc::clone(&self.engine), source).await?;
            Ok(Box::new(import) as Box<dyn Import>)
        })
    }

    fn arrival<'a>(&'a self) -> BoxFuture<'a, Result<Option<Arrival>, BackendError>> {
        Box::pin(async move { self.engine.task(|connection| arrival(connection)).await? })
    }

    fn leaving(&self) -> &dyn Leaving {
        self
    }
}

//! The embedded engine's side of a move: all rows out, or all rows in.
//!
//! | module | what |
//! |---|---|
//! | [`export`] | rows as text, in the order of the file's row ids, from one snapshot |
//! | [`import`] | rows from text into the stored form, with the record that lets a move go on |
//!
//! Not here: the order of a move and its proof (`ops`), making the schema (`schema`).

pub mod export;
pub mod import;

use std::sync::Arc;

use mainstay_core::backend::BoxFuture;
use mainstay_core::catalog::{ColumnIndex, Relation};
use mainstay_core::error::{BackendError, DatabaseError};
use mainstay_core::name::Ident;
use mainstay_core::transfer::{Export, Import, Transfer};
use rusqlite::{Connection, OptionalExtension};

use crate::backend::SqliteBackend;

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

/// The source of the move that the file is in the middle of.
fn unfinished(connection: &Connection) -> Result<Option<String>, BackendError> {
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
    connection
        .query_row("SELECT source FROM _ms_move", [], |row| row.get(0))
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

    fn unfinished<'a>(&'a self) -> BoxFuture<'a, Result<Option<String>, BackendError>> {
        Box::pin(async move { self.engine.task(|connection| unfinished(connection)).await? })
    }
}

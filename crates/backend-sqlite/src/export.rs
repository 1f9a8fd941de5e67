//! What `db dump` and `db diff` read: every object's definition, and rows table by table.
//!
//! Not here: how definitions are spelled (`sql::define`), how rows are written (`sql::dump`).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use mainstay_core::backend::TableRows;
use mainstay_core::catalog::Relation;
use mainstay_core::definition::{Definitions, Position};
use mainstay_core::error::{BackendError, DatabaseError};
use mainstay_core::name::{Ident, QualifiedName};
use mainstay_sql::define;
use rusqlite::types::ValueRef;
use rusqlite::{Connection, Row};

use crate::emit::compiled::Compiled;
use crate::emit::types;
use crate::emit::writer::SqlWriter;
use crate::errors;
use crate::schema::{self, broken};
use crate::values::cast::{self, Kind};

/// Rows that are handed on at once, at most.
const BATCH_ROWS_MAX: usize = 500;

/// Bytes of rows that are handed on at once, about.
const BATCH_BYTES_MAX: usize = 1024 * 1024;

/// Takes rows of the table at that position; `false` ends the reading.
pub type TakeRows<'a> = dyn FnMut(usize, Vec<Vec<Option<String>>>) -> bool + 'a;

/// The catalog's objects and the publications beside it.
pub fn definitions(conn: &Connection, compiled: &Compiled) -> Result<Definitions, BackendError> {
    let mut publications: BTreeMap<Ident, BTreeSet<QualifiedName>> = BTreeMap::new();
    for (name, tables) in schema::publications(conn)? {
        publications.insert(name, tables.into_iter().collect());
    }
    Ok(define::of_catalog(compiled.catalog(), publications))
}

/// Reads the tables in one snapshot, then the sequences. A snapshot that is held already is used.
pub fn export(
    conn: &Connection,
    compiled: &Compiled,
    tables: &[TableRows],
    take: &mut TakeRows<'_>,
) -> Result<BTreeMap<QualifiedName, Position>, BackendError> {
    let nested = !conn.is_autocommit();
    if !nested {
        conn.execute_batch("BEGIN").map_err(broken)?;
    }
    let result = read_all(conn, compiled, tables, take);
    if !nested {
        conn.execute_batch("ROLLBACK").map_err(broken)?;
    }
    result
}

fn read_all(
    conn: &Connection,
    compiled: &Compiled,
    tables: &[TableRows],
    take: &mut TakeRows<'_>,
) -> Result<BTreeMap<QualifiedName, Position>, BackendError> {
    for (position, wanted) in tables.iter().enumerate() {
        let relation = compiled.catalog().relation(&wanted.table).ok_or_else(|| {
            let message = format!("relation \"{}\" does not exist", wanted.table);
            DatabaseError::new("42P01", message)
        })?;
        if !read_table(conn, compiled, relation, wanted, &mut |rows| take(position, rows))? {
            break;
        }
    }
    schema::positions(conn)
}

/// False if nobody wants more.
fn read_table(
    conn: &Connection,
    compiled: &Compiled,
    relation: &Arc<Relation>,
    wanted: &TableRows,
    take: &mut dyn FnMut(Vec<Vec<Option<String>>>) -> bool,
) -> Result<bool, BackendError> {
    let mut kinds = Vec::new();
    let mut sql = SqlWriter::new();
    sql.sql("SELECT ");
    for (position, name) in wanted.columns.iter().enumerate() {
        let (_, column) = relation.column(name).ok_or_else(|| {
            let message = format!(
                "column \"{name}\" of relation \"{}\" does not exist",
                relation.name.name
            );
            DatabaseError::new("42703", message)
        })?;
        kinds.push(Kind::of(&column.ty).ok_or_else(|| {
            BackendError::Internal(format!(
                "column {}.{name} is of a type that is not stored",
                relation.name
            ))
        })?);
        sql.sql(if position > 0 { ", " } else { "" }).ident(name);
    }
    sql.sql(" FROM ").object(&relation.name);
    let order = if wanted.order.is_empty() {
        &wanted.columns
    } else {
        &wanted.order
    };
    for (position, name) in order.iter().enumerate() {
        sql.sql(if position > 0 { ", " } else { " ORDER BY " }).ident(name);
        if let Some(collation) = relation
            .column(name)
            .and_then(|(_, column)| types::collation(&column.ty))
        {
            sql.sql(" COLLATE ").ident(&collation.name());
        }
        sql.sql(" NULLS LAST");
    }
    let failed = |error: rusqlite::Error| errors::refusal(compiled.catalog(), None, sql.text(), &error);
    let mut statement = conn.prepare(sql.text()).map_err(failed)?;
    let mut rows = statement.raw_query();
    let mut batch = Vec::new();
    let mut bytes = 0;
    while let Some(row) = rows.next().map_err(failed)? {
        let row = values(row, &kinds)?;
        bytes += row.iter().flatten().map(String::len).sum::<usize>();
        batch.push(row);
        if batch.len() >= BATCH_ROWS_MAX || bytes >= BATCH_BYTES_MAX {
            bytes = 0;
            if !take(std::mem::take(&mut batch)) {
                return Ok(false);
            }
        }
    }
    Ok(batch.is_empty() || take(batch))
}

fn values(row: &Row<'_>, kinds: &[Kind]) -> Result<Vec<Option<String>>, BackendError> {
    kinds
        .iter()
        .enumerate()
        .map(|(index, kind)| match row.get_ref(index).map_err(broken)? {
            ValueRef::Null => Ok(None),
            value => cast::output(kind, value)
                .map(Some)
                .map_err(|error| BackendError::Internal(error.message)),
        })
        .collect()
}

//! The record of what was written during a move (`_ms_written`), read from a snapshot; rows by their keys.

use mainstay_core::catalog::{Catalog, ColumnIndex, Relation};
use mainstay_core::clock;
use mainstay_core::error::BackendError;
use mainstay_core::name::{Ident, QualifiedName};
use mainstay_core::transfer::{Rows, Written, key};
use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension, params, params_from_iter};

use super::export::push;
use super::{Input, broken, chosen, row_id, values};
use crate::emit::context::Context;
use crate::emit::writer::{SqlWriter, physical_name};
use crate::values::cast::Kind;

/// The last entry of the record; 0 where there is none.
pub fn mark(connection: &Connection) -> Result<String, BackendError> {
    let last: Option<i64> = connection
        .query_row("SELECT max(position) FROM _ms_written", [], |row| row.get(0))
        .optional()
        .map_err(broken)?
        .flatten();
    Ok(last.unwrap_or(0).to_string())
}

/// Which tables were written to.
pub fn written(connection: &Connection, catalog: &Catalog, since: Option<i64>) -> Result<Vec<Written>, BackendError> {
    let mut statement = connection
        .prepare(
            "SELECT name, count(DISTINCT place), count(*) > count(place) FROM _ms_written
             WHERE position > ?1 GROUP BY name ORDER BY name",
        )
        .map_err(broken)?;
    let rows = statement.query_map([since.unwrap_or(0)], |row| {
        Ok((row.get::<_, String>(0)?, row.get::<_, i64>(1)?, row.get::<_, bool>(2)?))
    });
    let mut found = Vec::new();
    for row in rows.map_err(broken)? {
        let (name, rows, is_any) = row.map_err(broken)?;
        let relation = catalog
            .relations
            .values()
            .find(|relation| *physical_name(&relation.name) == *name);
        let relation =
            relation.ok_or_else(|| BackendError::Internal(format!("{name} was written to and is no table")))?;
        found.push(Written {
            relation: relation.name.clone(),
            rows: u64::try_from(rows).unwrap_or(0),
            is_whole: is_any || key(relation).is_none(),
        });
    }
    Ok(found)
}

/// Keys before they were written.
pub fn former_keys(
    connection: &Connection,
    name: &Ident,
    width: usize,
    since: Option<i64>,
) -> Result<Rows, BackendError> {
    let mut statement = connection
        .prepare_cached(
            "SELECT DISTINCT former FROM _ms_written WHERE name = ?1 AND position > ?2 AND former IS NOT NULL",
        )
        .map_err(broken)?;
    let found = statement.query_map(params![&**name, since.unwrap_or(0)], |row| row.get::<_, String>(0));
    let mut rows = Rows::new(width);
    for former in found.map_err(broken)? {
        let texts: Vec<String> = serde_json::from_str(&former.map_err(broken)?)
            .map_err(|error| BackendError::Internal(format!("the record of changes: {error}")))?;
        for text in &texts {
            rows.push(Some(text.as_bytes()));
        }
        rows.end_row();
    }
    Ok(rows)
}

/// The row id and the columns, after a row id if there is one. `written`: only rows of the record (`?1` the table, `?2`
/// the mark), up to a row id.
pub fn select(
    relation: &Relation,
    columns: &[ColumnIndex],
    after: Option<i64>,
    written: Option<Option<i64>>,
) -> Result<String, BackendError> {
    let id = row_id(relation)?;
    let mut writer = SqlWriter::new();
    writer.sql("SELECT ").ident(&id);
    for column in chosen(relation, columns) {
        writer.sql(", ").ident(&column.name);
    }
    writer.sql(" FROM ").object(&relation.name).sql(" WHERE true");
    if let Some(after) = after {
        writer.sql(" AND ").ident(&id).sql(" > ").integer(after);
    }
    if let Some(until) = written {
        writer.sql(" AND ").ident(&id);
        writer.sql(" IN (SELECT place FROM _ms_written WHERE name = ?1 AND position > ?2)");
        if let Some(until) = until {
            writer.sql(" AND ").ident(&id).sql(" <= ").integer(until);
        }
    }
    writer.sql(" ORDER BY ").ident(&id);
    Ok(writer.finish().0)
}

/// The columns of the row with a key.
pub fn select_by_key(relation: &Relation, columns: &[ColumnIndex], key: &[ColumnIndex]) -> String {
    let mut writer = SqlWriter::new();
    writer.sql("SELECT ");
    writer.list(", ", chosen(relation, columns), |writer, column| {
        writer.ident(&column.name);
    });
    writer.sql(" FROM ").object(&relation.name);
    where_key(&mut writer, relation, key);
    writer.finish().0
}

/// ` WHERE a = ? AND b = ?`.
pub fn where_key(writer: &mut SqlWriter, relation: &Relation, key: &[ColumnIndex]) {
    writer.sql(" WHERE ");
    writer.list(" AND ", chosen(relation, key), |writer, column| {
        writer.ident(&column.name).sql(" = ?");
    });
}

/// Runs [`select_by_key`] for every key.
pub fn read_keys(
    connection: &Connection,
    sql: &str,
    kinds: &[Kind],
    name: &QualifiedName,
    inputs: &[Input],
    keys: &Rows,
) -> Result<Rows, BackendError> {
    let mut statement = connection.prepare_cached(sql).map_err(broken)?;
    let context = Context::of_owner(clock::now());
    let mut rows = Rows::new(kinds.len());
    keys.each(|key| {
        let key: Vec<Value> = values(key, inputs, name, &context)?;
        let mut found = statement.query(params_from_iter(key)).map_err(broken)?;
        while let Some(row) = found.next().map_err(broken)? {
            for (position, kind) in kinds.iter().enumerate() {
                push(&mut rows, kind, row.get_ref(position).map_err(broken)?);
            }
            rows.end_row();
        }
        Ok::<(), BackendError>(())
    })?;
    Ok(rows)
}

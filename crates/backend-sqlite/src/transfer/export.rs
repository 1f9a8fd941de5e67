//! Rows out of the file, from one snapshot, in the order of their row ids.
//!
//! The row id is the key that every table has (none is WITHOUT ROWID): reading on after one is a search in the table's
//! own tree, whatever the primary key is.

use std::sync::{Arc, Mutex, PoisonError};

use mainstay_core::backend::BoxFuture;
use mainstay_core::catalog::{ColumnIndex, Relation};
use mainstay_core::error::{BackendError, DatabaseError};
use mainstay_core::name::QualifiedName;
use mainstay_core::transfer::{Bounds, Chunk, Export, Rows, SequencePosition, Written, WrittenSince};
use rusqlite::types::{Value, ValueRef};
use rusqlite::{Connection, params_from_iter};

use super::{broken, chosen, written};
use crate::connection::{self, Purpose, register_collations};
use crate::emit::writer::{SqlWriter, physical_name};
use crate::shared::Shared;
use crate::values::cast::{Kind, write_integer};
use crate::values::vector::Vector;
use crate::values::{boolean, bytea, float};

/// A snapshot of the file on a connection of its own.
pub struct FileExport {
    shared: Arc<Shared>,
    connection: Arc<Mutex<Connection>>,
}

impl FileExport {
    /// Opens the connection and takes the snapshot.
    pub async fn begin(shared: Arc<Shared>) -> Result<Self, BackendError> {
        let own = Arc::clone(&shared);
        let connection = blocking(move || {
            let connection = connection::open(&shared.options, Purpose::Read, &Arc::default()).map_err(broken)?;
            register_collations(&connection, &shared.catalog()).map_err(broken)?;
            connection.execute_batch("BEGIN").map_err(broken)?;
            // A read takes the snapshot; BEGIN alone does not.
            let taken = connection.query_row("SELECT count(*) FROM _ms_meta", [], |row| row.get::<_, i64>(0));
            taken.map_err(broken)?;
            Ok(connection)
        })
        .await?;
        Ok(FileExport {
            shared: own,
            connection: Arc::new(Mutex::new(connection)),
        })
    }

    /// Runs `work` on the connection, off the async threads.
    async fn on_connection<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, BackendError> + Send + 'static,
    ) -> Result<T, BackendError> {
        let connection = Arc::clone(&self.connection);
        blocking(move || work(&connection.lock().unwrap_or_else(PoisonError::into_inner))).await
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, BackendError> + Send + 'static,
) -> Result<T, BackendError> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|error| BackendError::Internal(format!("reading the file for a move: {error}")))?
}

impl Export for FileExport {
    fn read<'a>(
        &'a mut self,
        relation: &'a Relation,
        columns: &'a [ColumnIndex],
        after: Option<&'a str>,
        bounds: Bounds,
    ) -> BoxFuture<'a, Result<Chunk, BackendError>> {
        Box::pin(async move {
            let kinds = kinds(relation, columns)?;
            let after = position(after)?;
            let sql = written::select(relation, columns, after, None)?;
            self.on_connection(move |connection| read(connection, &sql, &kinds, &[], bounds))
                .await
        })
    }

    fn mark<'a>(&'a mut self) -> BoxFuture<'a, Result<String, BackendError>> {
        Box::pin(self.on_connection(written::mark))
    }

    fn written<'a>(&'a mut self, since: &'a str) -> BoxFuture<'a, Result<Vec<Written>, BackendError>> {
        let (catalog, since) = (self.shared.catalog(), position(Some(since)));
        Box::pin(async move {
            let since = since?;
            self.on_connection(move |connection| written::written(connection, &catalog, since))
                .await
        })
    }

    fn former_keys<'a>(
        &'a mut self,
        relation: &'a Relation,
        key: &'a [ColumnIndex],
        since: &'a str,
    ) -> BoxFuture<'a, Result<Rows, BackendError>> {
        let (name, width, since) = (physical_name(&relation.name), key.len(), position(Some(since)));
        Box::pin(async move {
            let since = since?;
            self.on_connection(move |connection| written::former_keys(connection, &name, width, since))
                .await
        })
    }

    fn read_written<'a>(
        &'a mut self,
        relation: &'a Relation,
        columns: &'a [ColumnIndex],
        written: &'a WrittenSince,
        after: Option<&'a str>,
        bounds: Bounds,
    ) -> BoxFuture<'a, Result<Chunk, BackendError>> {
        Box::pin(async move {
            let kinds = kinds(relation, columns)?;
            let (after, until) = (position(after)?, position(written.until.as_deref())?);
            let sql = written::select(relation, columns, after, Some(until))?;
            let parameters = [
                Value::Text(physical_name(&relation.name).to_string()),
                Value::Integer(position(Some(&written.mark))?.unwrap_or(0)),
            ];
            self.on_connection(move |connection| read(connection, &sql, &kinds, &parameters, bounds))
                .await
        })
    }

    fn read_keys<'a>(
        &'a mut self,
        relation: &'a Relation,
        columns: &'a [ColumnIndex],
        key: &'a [ColumnIndex],
        keys: &'a Rows,
    ) -> BoxFuture<'a, Result<Rows, BackendError>> {
        Box::pin(async move {
            let (kinds, catalog) = (kinds(relation, columns)?, self.shared.catalog());
            let inputs = super::inputs(&catalog, relation, key)?;
            let sql = written::select_by_key(relation, columns, key);
            let (name, keys) = (relation.name.clone(), keys.clone());
            self.on_connection(move |connection| written::read_keys(connection, &sql, &kinds, &name, &inputs, &keys))
                .await
        })
    }

    fn count<'a>(&'a mut self, relation: &'a Relation) -> BoxFuture<'a, Result<u64, BackendError>> {
        let mut writer = SqlWriter::new();
        writer.sql("SELECT count(*) FROM ").object(&relation.name);
        let sql = writer.finish().0;
        Box::pin(self.on_connection(move |connection| {
            let count = connection
                .query_row(&sql, [], |row| row.get::<_, i64>(0))
                .map_err(broken)?;
            Ok(u64::try_from(count).unwrap_or(0))
        }))
    }

    fn sequences<'a>(&'a mut self) -> BoxFuture<'a, Result<Vec<SequencePosition>, BackendError>> {
        Box::pin(self.on_connection(|connection| {
            let mut statement = connection
                .prepare("SELECT schema, name, last_value, is_called FROM _ms_sequences ORDER BY schema, name")
                .map_err(broken)?;
            let rows = statement.query_map([], |row| {
                Ok(SequencePosition {
                    name: QualifiedName::new(row.get::<_, String>(0)?, row.get::<_, String>(1)?),
                    last_value: row.get(2)?,
                    is_called: row.get(3)?,
                })
            });
            rows.map_err(broken)?.collect::<Result<_, _>>().map_err(broken)
        }))
    }
}

/// How each column is read. Errors: 0A000 for a type that the file does not hold.
fn kinds(relation: &Relation, columns: &[ColumnIndex]) -> Result<Vec<Kind>, DatabaseError> {
    chosen(relation, columns)
        .map(|column| {
            Kind::of(&column.ty).ok_or_else(|| {
                let what = format!("moving a column of type {}", column.ty);
                let object = format!("column {}.{}", relation.name, column.name);
                DatabaseError::unavailable(&what, &object, 1, None)
            })
        })
        .collect()
}

/// A row id, or a place in the record of changes.
fn position(text: Option<&str>) -> Result<Option<i64>, BackendError> {
    let number = text.map(str::parse).transpose();
    number.map_err(|_| BackendError::Internal("a position that is no number".into()))
}

/// Runs a statement whose first column is the row id.
fn read(
    connection: &Connection,
    sql: &str,
    kinds: &[Kind],
    parameters: &[Value],
    bounds: Bounds,
) -> Result<Chunk, BackendError> {
    let mut statement = connection.prepare_cached(sql).map_err(broken)?;
    let mut found = statement.query(params_from_iter(parameters)).map_err(broken)?;
    let mut rows = Rows::new(kinds.len());
    while let Some(row) = found.next().map_err(broken)? {
        let id: i64 = row.get(0).map_err(broken)?;
        for (position, kind) in kinds.iter().enumerate() {
            push(&mut rows, kind, row.get_ref(position + 1).map_err(broken)?);
        }
        rows.end_row();
        if rows.len() >= bounds.rows || rows.bytes() >= bounds.bytes {
            return Ok(Chunk {
                rows,
                next: Some(id.to_string()),
            });
        }
    }
    Ok(Chunk { rows, next: None })
}

/// Appends a stored value as text.
pub fn push(rows: &mut Rows, kind: &Kind, value: ValueRef<'_>) {
    match value {
        ValueRef::Null => rows.push(None),
        ValueRef::Integer(number) if *kind == Kind::Bool => {
            rows.push(Some(boolean::cast_text(number != 0).as_bytes()));
        }
        ValueRef::Integer(number) => rows.push_with(|out| write_integer(number, out)),
        // A float4 was rounded to single precision when it was stored.
        ValueRef::Real(number) if *kind == Kind::Float4 => rows.push_with(|out| float::write_f32(number as f32, out)),
        ValueRef::Real(number) => rows.push_with(|out| float::write_f64(number, out)),
        ValueRef::Text(text) => rows.push(Some(text)),
        ValueRef::Blob(bytes) if *kind == Kind::Vector => rows.push_with(|out| {
            if let Ok(vector) = Vector::from_bytes(bytes) {
                vector.write(out);
            }
        }),
        ValueRef::Blob(bytes) => rows.push_with(|out| {
            out.extend_from_slice(b"\\x");
            bytea::write_hex(bytes, out);
        }),
    }
}

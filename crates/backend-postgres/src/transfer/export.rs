//! Rows out of the database, from one REPEATABLE READ snapshot, in the order of their places (`ctid`).
//!
//! The place is the key that every table has, and reading on after one starts at its page, whatever the primary key is.
//! A row's place changes only when it is written.
//!
//! Source: PostgreSQL 15 manual, 5.5 (system columns), 13.2.2 (Repeatable Read); release notes of 14, E.x.3.1.6 (range
//! scans of TIDs).

use mainstay_core::backend::BoxFuture;
use mainstay_core::catalog::{ColumnIndex, Relation, RelationKind};
use mainstay_core::error::{BackendError, DatabaseError};
use mainstay_core::name::QualifiedName;
use mainstay_core::transfer::{Bounds, Chunk, Export, Rows, SequencePosition, Written, WrittenSince, key};
use mainstay_core::types::Type;

use super::keys::{self, chosen};
use super::{connect, single, table, text};
use crate::render::sql::Sql;
use crate::wire::{CopyConnection, Target};

const SEQUENCES: &str = "SELECT n.nspname, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind = 'S' AND n.nspname !~ '^pg_' AND n.nspname NOT IN ('information_schema', 'mainstay_move', 'mainstay_leaving')
    ORDER BY 1, 2";

/// A snapshot on a connection of its own.
pub struct TableExport {
    connection: CopyConnection,
}

impl TableExport {
    /// Connects and takes the snapshot.
    pub async fn begin(target: &Target) -> Result<Self, BackendError> {
        let mut connection = connect(target).await?;
        // The snapshot is taken by the first query.
        connection
            .run("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SELECT 1")
            .await?;
        Ok(TableExport { connection })
    }

    /// Runs `COPY (… LIMIT n) TO STDOUT` for a text that lacks its end and gives rows in the order of their places.
    async fn chunk(&mut self, mut sql: Sql, width: usize, bounds: Bounds) -> Result<Chunk, BackendError> {
        sql.push(" LIMIT ")
            .literal(&bounds.rows.to_string())
            .push("::int8) TO STDOUT");
        let mut rows = Rows::new(width);
        let mut last = None;
        let mut is_cut = false;
        let mut seen = 0;
        self.connection
            .copy_out(&sql.finish().0, |line| {
                seen += 1;
                if rows.bytes() >= bounds.bytes {
                    // What comes now is read again by the next chunk.
                    is_cut = true;
                    return Ok(());
                }
                last = Some(text::read_line(line, &mut rows));
                Ok(())
            })
            .await?;
        let ends = !is_cut && seen < bounds.rows;
        Ok(Chunk {
            rows,
            next: if ends { None } else { last },
        })
    }

    /// Runs a whole `COPY (…) TO STDOUT` whose first column is left out.
    async fn all(&mut self, sql: Sql, width: usize) -> Result<Rows, BackendError> {
        let mut rows = Rows::new(width);
        self.connection
            .copy_out(&sql.finish().0, |line| {
                text::read_line(line, &mut rows);
                Ok(())
            })
            .await?;
        Ok(rows)
    }
}

impl Export for TableExport {
    fn read<'a>(
        &'a mut self,
        relation: &'a Relation,
        columns: &'a [ColumnIndex],
        after: Option<&'a str>,
        bounds: Bounds,
    ) -> BoxFuture<'a, Result<Chunk, BackendError>> {
        Box::pin(async move {
            if relation.kind != RelationKind::Table {
                let message = format!("\"{}\" is partitioned or foreign and cannot be moved", relation.name);
                return Err(DatabaseError::new("0A000", message).into());
            }
            let mut sql = select(relation, columns);
            if let Some(after) = after {
                sql.push(" WHERE t.ctid > ").literal(after).push("::tid");
            }
            self.chunk(sql, columns.len(), bounds).await
        })
    }

    fn mark<'a>(&'a mut self) -> BoxFuture<'a, Result<String, BackendError>> {
        Box::pin(async move {
            let answer = self.connection.run("SELECT pg_current_snapshot()::text").await?;
            single(&answer).ok_or_else(|| BackendError::Internal("no snapshot".into()))
        })
    }

    fn written<'a>(&'a mut self, since: &'a str) -> BoxFuture<'a, Result<Vec<Written>, BackendError>> {
        Box::pin(async move {
            let mut sql = Sql::default();
            sql.push("SELECT schema, name, count(DISTINCT coalesce(latter, former))::text, ")
                .push("bool_or(coalesce(latter, former) IS NULL)::text FROM mainstay_leaving.written w WHERE ");
            keys::later(&mut sql, since);
            sql.push(" GROUP BY schema, name ORDER BY schema, name");
            let found = self.connection.run(&sql.finish().0).await?;
            let rows = table(found.last(), 4).into_iter().map(|row| Written {
                relation: QualifiedName::new(row[0].as_str(), row[1].as_str()),
                rows: row[2].parse().unwrap_or(0),
                is_whole: row[3] == "true",
            });
            Ok(rows.collect())
        })
    }

    fn former_keys<'a>(
        &'a mut self,
        relation: &'a Relation,
        key: &'a [ColumnIndex],
        mark: &'a str,
    ) -> BoxFuture<'a, Result<Rows, BackendError>> {
        Box::pin(async move {
            let mut sql = Sql::default();
            sql.push("COPY (SELECT DISTINCT ''");
            for position in 0..key.len() {
                sql.push(", w.former ->> ")
                    .literal(&position.to_string())
                    .push("::int4");
            }
            sql.push(" FROM mainstay_leaving.written w WHERE w.former IS NOT NULL AND ");
            keys::since(&mut sql, relation, mark);
            sql.push(") TO STDOUT");
            self.all(sql, key.len()).await
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
            let key = key(relation).unwrap_or_default();
            let mut sql = select(relation, columns);
            sql.push(" JOIN ");
            keys::written(&mut sql, relation, &key, &written.mark);
            sql.push(" ON ");
            keys::matches(&mut sql, relation, &key);
            sql.push(" WHERE true");
            if let Some(after) = after {
                sql.push(" AND t.ctid > ").literal(after).push("::tid");
            }
            if let Some(until) = &written.until {
                sql.push(" AND t.ctid <= ").literal(until).push("::tid");
            }
            sql.push(" ORDER BY t.ctid");
            self.chunk(sql, columns.len(), bounds).await
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
            let mut sql = select(relation, columns);
            sql.push(" JOIN ");
            keys::recordset(&mut sql, relation, key, keys)?;
            sql.push(" ON ");
            keys::matches(&mut sql, relation, key);
            sql.push(") TO STDOUT");
            self.all(sql, columns.len()).await
        })
    }

    fn count<'a>(&'a mut self, relation: &'a Relation) -> BoxFuture<'a, Result<u64, BackendError>> {
        Box::pin(async move {
            let mut sql = Sql::default();
            sql.push("SELECT count(*)::text FROM ONLY ").name(&relation.name);
            let answer = self.connection.run(&sql.finish().0).await?;
            let count = single(&answer).and_then(|text| text.parse().ok());
            count.ok_or_else(|| BackendError::Internal("count(*) without a number".into()))
        })
    }

    fn sequences<'a>(&'a mut self) -> BoxFuture<'a, Result<Vec<SequencePosition>, BackendError>> {
        Box::pin(async move {
            let names = self.connection.run(SEQUENCES).await?;
            let mut found = Vec::new();
            for row in table(names.last(), 2) {
                let name = QualifiedName::new(row[0].as_str(), row[1].as_str());
                let mut sql = Sql::default();
                sql.push("SELECT last_value, is_called FROM ").name(&name);
                let position = self.connection.run(&sql.finish().0).await?;
                for row in table(position.last(), 2) {
                    found.push(SequencePosition {
                        name: name.clone(),
                        last_value: row[0].parse().unwrap_or(1),
                        is_called: row[1] == "t",
                    });
                }
            }
            Ok(found)
        })
    }
}

/// `COPY (SELECT t.ctid, … FROM ONLY … AS t`; what follows is missing.
fn select(relation: &Relation, columns: &[ColumnIndex]) -> Sql {
    let mut sql = Sql::default();
    sql.push("COPY (SELECT t.ctid");
    for column in chosen(relation, columns) {
        sql.push(", ");
        match column.ty.base() {
            // COPY writes these in another form than `to_json` does.
            Type::Timestamp | Type::Timestamptz => sql.push("to_json(t.").ident(&column.name).push(") #>> '{}'"),
            Type::Array(_) => sql.push("to_json(t.").ident(&column.name).push(")::text"),
            Type::Bool => sql.push("t.").ident(&column.name).push("::text"),
            _ => sql.push("t.").ident(&column.name),
        };
    }
    sql.push(" FROM ONLY ").name(&relation.name).push(" AS t");
    sql
}

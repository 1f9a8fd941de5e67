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
use mainstay_core::transfer::{Bounds, Chunk, Export, Rows, SequencePosition};
use mainstay_core::types::Type;

use super::{connect, single, table, text};
use crate::render::sql::Sql;
use crate::wire::{CopyConnection, Target};

const SEQUENCES: &str = "SELECT n.nspname, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind = 'S' AND n.nspname !~ '^pg_' AND n.nspname NOT IN ('information_schema', 'mainstay_move')
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
            let sql = select(relation, columns, after, bounds.rows);
            let mut rows = Rows::new(columns.len());
            let mut last = None;
            let mut is_cut = false;
            let mut seen = 0;
            self.connection
                .copy_out(&sql, |line| {
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

fn select(relation: &Relation, columns: &[ColumnIndex], after: Option<&str>, rows: usize) -> String {
    let mut sql = Sql::default();
    sql.push("COPY (SELECT ctid");
    for column in columns.iter().filter_map(|position| relation.columns.get(*position)) {
        sql.push(", ");
        match column.ty.base() {
            // COPY writes these in another form than `to_json` does.
            Type::Timestamp | Type::Timestamptz => sql.push("to_json(").ident(&column.name).push(") #>> '{}'"),
            Type::Array(_) => sql.push("to_json(").ident(&column.name).push(")::text"),
            Type::Bool => sql.ident(&column.name).push("::text"),
            _ => sql.ident(&column.name),
        };
    }
    sql.push(" FROM ONLY ").name(&relation.name);
    if let Some(after) = after {
        sql.push(" WHERE ctid > ").literal(after).push("::tid");
    }
    sql.push(" LIMIT ").literal(&rows.to_string()).push("::int8) TO STDOUT");
    sql.finish().0
}

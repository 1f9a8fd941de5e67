//! Rows into the file, through the same input rules as a request's values, in bounded transactions.
//!
//! Foreign keys are off while rows come in (a row may come before the one it refers to) and are checked as a whole at
//! the end. The file has no triggers and no defaults of its own, so nothing else acts.
//! Invariant: rows and the record of how far they were carried are written in one transaction.
//!
//! Source: SQLite documentation, `PRAGMA foreign_keys` (no effect inside a transaction), `PRAGMA foreign_key_check`.

use std::collections::HashMap;
use std::sync::Arc;

use mainstay_core::backend::BoxFuture;
use mainstay_core::catalog::{ColumnIndex, Relation};
use mainstay_core::clock;
use mainstay_core::error::{BackendError, DatabaseError};
use mainstay_core::name::QualifiedName;
use mainstay_core::transfer::{Import, Progress, Reached, Rows, SequencePosition};
use rusqlite::{Connection, TransactionBehavior, params, params_from_iter};

use super::written::where_key;
use super::{Input, arrival, broken, chosen, inputs, values};
use crate::departure::forbid_schema_changes;
use crate::emit::context::Context;
use crate::emit::writer::{SqlWriter, physical_name};
use crate::engine::Engine;
use crate::errors;

/// What a move has to remember. `_ms_move` has one row while a move is under way.
const TABLES: &str = "
CREATE TABLE _ms_move (
    source TEXT NOT NULL, is_prepared INTEGER NOT NULL, is_open INTEGER NOT NULL, departure TEXT, mark TEXT
) STRICT;
CREATE TABLE _ms_move_progress (
    schema TEXT NOT NULL, name TEXT NOT NULL, rows INTEGER NOT NULL, after TEXT, complete INTEGER NOT NULL,
    PRIMARY KEY (schema, name)
) STRICT;";

/// Rows of a table that are named when a foreign key does not hold.
const KEY_FAULTS_MAX: usize = 1;

/// A move into the file.
pub struct FileImport {
    engine: Arc<Engine>,
}

impl FileImport {
    /// Begins a move, or goes on with it. Errors: a move from elsewhere has begun.
    pub async fn begin(engine: Arc<Engine>, source: &str) -> Result<Self, BackendError> {
        let source = source.to_owned();
        let begun = move |connection: &mut Connection| match arrival(connection)?.map(|arrival| arrival.source) {
            None => {
                forbid_schema_changes(connection)?;
                let transaction = connection
                    .transaction_with_behavior(TransactionBehavior::Immediate)
                    .map_err(broken)?;
                transaction.execute_batch(TABLES).map_err(broken)?;
                transaction
                    .execute(
                        "INSERT INTO _ms_move (source, is_prepared, is_open) VALUES (?1, 0, 0)",
                        [&source],
                    )
                    .map_err(broken)?;
                transaction.commit().map_err(broken)
            }
            Some(known) if known == source => Ok(()),
            Some(known) => Err(
                DatabaseError::new("55000", format!("a move from {known} has begun here"))
                    .hint("Finish that one, or begin with an empty database.")
                    .into(),
            ),
        };
        engine.task(begun).await??;
        Ok(FileImport { engine })
    }

    /// Runs `work` in a transaction of the writer's, with foreign keys off.
    async fn transaction<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, BackendError> + Send + 'static,
    ) -> Result<T, BackendError> {
        let run = move |connection: &mut Connection| {
            connection.pragma_update(None, "foreign_keys", false).map_err(broken)?;
            let result = in_transaction(connection, work);
            connection.pragma_update(None, "foreign_keys", true).map_err(broken)?;
            result
        };
        self.engine.task(run).await?
    }
}

fn in_transaction<T>(
    connection: &mut Connection,
    work: impl FnOnce(&Connection) -> Result<T, BackendError>,
) -> Result<T, BackendError> {
    let transaction = connection
        .transaction_with_behavior(TransactionBehavior::Immediate)
        .map_err(broken)?;
    let done = work(&transaction)?;
    transaction.commit().map_err(broken)?;
    Ok(done)
}

impl Import for FileImport {
    fn prepare<'a>(&'a mut self, relations: &'a [&'a Relation]) -> BoxFuture<'a, Result<(), BackendError>> {
        let names: Vec<QualifiedName> = relations.iter().map(|relation| relation.name.clone()).collect();
        Box::pin(self.transaction(move |connection| {
            let is_prepared: bool = connection
                .query_row("SELECT is_prepared FROM _ms_move", [], |row| row.get(0))
                .map_err(broken)?;
            if is_prepared {
                return Ok(());
            }
            for name in &names {
                empty(connection, name)?;
            }
            connection
                .execute("UPDATE _ms_move SET is_prepared = 1", [])
                .map(drop)
                .map_err(broken)
        }))
    }

    fn progress<'a>(&'a mut self) -> BoxFuture<'a, Result<HashMap<QualifiedName, Progress>, BackendError>> {
        Box::pin(self.transaction(|connection| {
            let mut statement = connection
                .prepare("SELECT schema, name, rows, after, complete FROM _ms_move_progress")
                .map_err(broken)?;
            let rows = statement.query_map([], |row| {
                let name = QualifiedName::new(row.get::<_, String>(0)?, row.get::<_, String>(1)?);
                let progress = Progress {
                    rows: u64::try_from(row.get::<_, i64>(2)?).unwrap_or(0),
                    after: row.get(3)?,
                    complete: row.get(4)?,
                };
                Ok((name, progress))
            });
            rows.map_err(broken)?.collect::<Result<_, _>>().map_err(broken)
        }))
    }

    fn reached<'a>(&'a mut self) -> BoxFuture<'a, Result<Option<Reached>, BackendError>> {
        Box::pin(self.transaction(|connection| {
            let read =
                |row: &rusqlite::Row<'_>| Ok((row.get::<_, Option<String>>(0)?, row.get::<_, Option<String>>(1)?));
            let found = connection.query_row("SELECT departure, mark FROM _ms_move", [], read);
            let (departure, mark) = found.map_err(broken)?;
            Ok(departure.zip(mark).map(|(departure, mark)| Reached { departure, mark }))
        }))
    }

    fn reach<'a>(&'a mut self, reached: &'a Reached) -> BoxFuture<'a, Result<(), BackendError>> {
        let Reached { departure, mark } = reached.clone();
        Box::pin(self.transaction(move |connection| {
            connection
                .execute("UPDATE _ms_move SET departure = ?1, mark = ?2", [departure, mark])
                .map(drop)
                .map_err(broken)
        }))
    }

    fn write<'a>(
        &'a mut self,
        relation: &'a Relation,
        columns: &'a [ColumnIndex],
        rows: &'a Rows,
        progress: &'a Progress,
    ) -> BoxFuture<'a, Result<(), BackendError>> {
        Box::pin(async move {
            let catalog = self.engine.shared.catalog();
            let types = inputs(&catalog, relation, columns)?;
            let sql = insert(relation, columns);
            // The rows are read by the writer's thread, which may outlive this call.
            let (rows, progress, name) = (rows.clone(), progress.clone(), relation.name.clone());
            self.transaction(move |connection| {
                add(connection, &sql, &name, &types, &rows).map_err(|error| named(error, &catalog, &sql))?;
                record(connection, &name, &progress)
            })
            .await
        })
    }

    fn remove<'a>(
        &'a mut self,
        relation: &'a Relation,
        key: &'a [ColumnIndex],
        keys: &'a Rows,
    ) -> BoxFuture<'a, Result<(), BackendError>> {
        Box::pin(async move {
            let types = inputs(&self.engine.shared.catalog(), relation, key)?;
            let mut writer = SqlWriter::new();
            writer.sql("DELETE FROM ").object(&relation.name);
            where_key(&mut writer, relation, key);
            let (sql, keys, name) = (writer.finish().0, keys.clone(), relation.name.clone());
            self.transaction(move |connection| {
                let mut statement = connection.prepare_cached(&sql).map_err(broken)?;
                let context = Context::of_owner(clock::now());
                keys.each(|key| {
                    let key = values(key, &types, &name, &context)?;
                    statement.execute(params_from_iter(key)).map(drop).map_err(broken)
                })
            })
            .await
        })
    }

    fn clear<'a>(&'a mut self, relation: &'a Relation) -> BoxFuture<'a, Result<(), BackendError>> {
        let name = relation.name.clone();
        Box::pin(self.transaction(move |connection| {
            empty(connection, &name)?;
            connection
                .execute(
                    "DELETE FROM _ms_move_progress WHERE schema = ?1 AND name = ?2",
                    params![&*name.schema, &*name.name],
                )
                .map(drop)
                .map_err(broken)
        }))
    }

    fn settle<'a>(&'a mut self) -> BoxFuture<'a, Result<(), BackendError>> {
        Box::pin(async move {
            let catalog = self.engine.shared.catalog();
            let faults = self.transaction(key_faults).await?;
            let Some((table, target)) = faults.into_iter().next() else {
                return Ok(());
            };
            let spelled = |stored: &str| {
                let known = catalog.relations.keys().find(|name| *physical_name(name) == *stored);
                known.map_or_else(|| stored.to_owned(), ToString::to_string)
            };
            let (table, target) = (spelled(&table), spelled(&target));
            let message = format!("rows of \"{table}\" refer to rows of \"{target}\" that are not there");
            Err(DatabaseError::new("23503", message).into())
        })
    }

    fn set_sequences<'a>(&'a mut self, positions: &'a [SequencePosition]) -> BoxFuture<'a, Result<(), BackendError>> {
        let positions = positions.to_vec();
        Box::pin(self.transaction(move |connection| {
            let mut statement = connection
                .prepare("UPDATE _ms_sequences SET last_value = ?3, is_called = ?4 WHERE schema = ?1 AND name = ?2")
                .map_err(broken)?;
            for position in &positions {
                let name = &position.name;
                statement
                    .execute(params![
                        &*name.schema,
                        &*name.name,
                        position.last_value,
                        position.is_called
                    ])
                    .map_err(broken)?;
            }
            Ok(())
        }))
    }

    fn restore<'a>(&'a mut self) -> BoxFuture<'a, Result<(), BackendError>> {
        // Foreign keys are off in a transaction of the move and on in every other.
        Box::pin(async { Ok(()) })
    }

    fn open<'a>(&'a mut self) -> BoxFuture<'a, Result<(), BackendError>> {
        Box::pin(self.transaction(|connection| {
            let open = connection.execute("UPDATE _ms_move SET is_open = 1", []);
            open.map(drop).map_err(broken)
        }))
    }

    fn finish<'a>(&'a mut self) -> BoxFuture<'a, Result<(), BackendError>> {
        Box::pin(self.transaction(|connection| {
            connection
                .execute_batch("DROP TABLE _ms_move_progress; DROP TABLE _ms_move;")
                .map_err(broken)
        }))
    }
}

/// Foreign keys that do not hold: the table and the one it refers to, by their names in the file.
fn key_faults(connection: &Connection) -> Result<Vec<(String, String)>, BackendError> {
    let mut statement = connection.prepare("PRAGMA foreign_key_check").map_err(broken)?;
    let faults = statement
        .query_map([], |row| Ok((row.get(0)?, row.get(2)?)))
        .map_err(broken)?;
    faults.take(KEY_FAULTS_MAX).collect::<Result<_, _>>().map_err(broken)
}

fn empty(connection: &Connection, name: &QualifiedName) -> Result<(), BackendError> {
    let mut writer = SqlWriter::new();
    writer.sql("DELETE FROM ").object(name);
    connection.execute(&writer.finish().0, []).map(drop).map_err(broken)
}

fn insert(relation: &Relation, columns: &[ColumnIndex]) -> String {
    let mut writer = SqlWriter::new();
    writer.sql("INSERT INTO ").object(&relation.name);
    if columns.is_empty() {
        writer.sql(" DEFAULT VALUES");
        return writer.finish().0;
    }
    writer.sql(" (");
    writer.list(", ", chosen(relation, columns), |writer, column| {
        writer.ident(&column.name);
    });
    writer.sql(") VALUES (");
    writer.list(", ", columns, |writer, _| {
        writer.sql("?");
    });
    writer.sql(")");
    writer.finish().0
}

/// What stopped a row.
enum Fault {
    Value(DatabaseError),
    Sqlite(rusqlite::Error),
}

fn add(connection: &Connection, sql: &str, name: &QualifiedName, types: &[Input], rows: &Rows) -> Result<(), Fault> {
    let mut statement = connection.prepare_cached(sql).map_err(Fault::Sqlite)?;
    let context = Context::of_owner(clock::now());
    rows.each(|row| {
        let values = values(row, types, name, &context).map_err(Fault::Value)?;
        statement
            .execute(params_from_iter(values))
            .map(drop)
            .map_err(Fault::Sqlite)
    })
}

fn named(fault: Fault, catalog: &mainstay_core::catalog::Catalog, sql: &str) -> BackendError {
    match fault {
        Fault::Value(error) => error.into(),
        Fault::Sqlite(error) => errors::refusal(catalog, None, sql, &error),
    }
}

fn record(connection: &Connection, name: &QualifiedName, progress: &Progress) -> Result<(), BackendError> {
    connection
        .prepare_cached(
            "INSERT INTO _ms_move_progress (schema, name, rows, after, complete) VALUES (?1, ?2, ?3, ?4, ?5)
             ON CONFLICT (schema, name) DO UPDATE
             SET rows = excluded.rows, after = excluded.after, complete = excluded.complete",
        )
        .and_then(|mut statement| {
            statement.execute(params![
                &*name.schema,
                &*name.name,
                i64::try_from(progress.rows).unwrap_or(i64::MAX),
                progress.after,
                progress.complete
            ])
        })
        .map(drop)
        .map_err(broken)
}

//! Rows into the database, chunk by chunk, each in one transaction with the record of how far its relation was carried.
//!
//! While rows come in, foreign keys are away and triggers are off: a row may come before the one it refers to, and
//! nothing may act on a row that has been acted on where it comes from. The keys are added again unchecked, so that
//! nobody waits for the check of rows that come from where they hold, and are checked once the target is served. This needs the ownership of the tables and no other right, unlike `session_replication_role`.
//! What has to be put back is written down in the transaction that takes it away.
//!
//! Source: PostgreSQL 15 manual, ALTER TABLE (DISABLE TRIGGER, ADD CONSTRAINT), COPY (identity columns take the values
//! given), 9.26.8 (`pg_get_constraintdef`; names are qualified where the search path does not find them).

use std::collections::HashMap;

use mainstay_core::backend::BoxFuture;
use mainstay_core::catalog::{ColumnIndex, Relation};
use mainstay_core::error::{BackendError, DatabaseError};
use mainstay_core::name::QualifiedName;
use mainstay_core::transfer::{Arrival, Import, Progress, Reached, Rows, SequencePosition};

use super::keys::{chosen, matches, recordset};
use super::{connect, single, table, text};
use crate::render::sql::Sql;
use crate::wire::{CopyConnection, Target};

/// What a move has to remember; `state` has one row while a move is under way.
const BEGIN_MOVE: &str = "
CREATE SCHEMA mainstay_move;
CREATE TABLE mainstay_move.state (source text NOT NULL, is_prepared boolean NOT NULL,
    is_open boolean NOT NULL DEFAULT false, departure text, mark text);
CREATE TABLE mainstay_move.progress (schema text NOT NULL, name text NOT NULL, rows int8 NOT NULL, after text,
    complete boolean NOT NULL, PRIMARY KEY (schema, name));
CREATE TABLE mainstay_move.restore (position int GENERATED ALWAYS AS IDENTITY, statement text NOT NULL);
CREATE TABLE mainstay_move.validate (relation text NOT NULL, name text NOT NULL, PRIMARY KEY (relation, name));";

/// Takes foreign keys, triggers and forced row security away, and the first time empties the tables listed in
/// `progress`. A key that an earlier [`RESTORE`] put back unchecked is one that is to be checked.
const PREPARE: &str = "DO $move$
DECLARE
    t record;
    part record;
BEGIN
    FOR t IN SELECT format('%I.%I', p.schema, p.name)::regclass AS id FROM mainstay_move.progress p ORDER BY 1 LOOP
        FOR part IN SELECT conname, CASE WHEN EXISTS (SELECT FROM mainstay_move.validate v
                               WHERE v.relation = t.id::text AND v.name = conname)
                           THEN regexp_replace(pg_get_constraintdef(oid), ' NOT VALID$', '')
                           ELSE pg_get_constraintdef(oid) END AS definition,
                           obj_description(oid, 'pg_constraint') AS remark
                    FROM pg_constraint WHERE conrelid = t.id AND contype = 'f' AND conparentid = 0 ORDER BY conname LOOP
            IF part.definition !~ ' NOT VALID$' THEN
                INSERT INTO mainstay_move.validate VALUES (t.id::text, part.conname) ON CONFLICT DO NOTHING;
                part.definition := part.definition || ' NOT VALID';
            END IF;
            INSERT INTO mainstay_move.restore (statement)
            VALUES (format('ALTER TABLE %s ADD CONSTRAINT %I %s', t.id, part.conname, part.definition));
            IF part.remark IS NOT NULL THEN
                INSERT INTO mainstay_move.restore (statement)
                VALUES (format('COMMENT ON CONSTRAINT %I ON %s IS %L', part.conname, t.id, part.remark));
            END IF;
            EXECUTE format('ALTER TABLE %s DROP CONSTRAINT %I', t.id, part.conname);
        END LOOP;
        FOR part IN SELECT tgname, CASE tgenabled WHEN 'R' THEN 'REPLICA ' WHEN 'A' THEN 'ALWAYS ' ELSE '' END AS way
                    FROM pg_trigger WHERE tgrelid = t.id AND NOT tgisinternal AND tgenabled <> 'D' ORDER BY tgname LOOP
            INSERT INTO mainstay_move.restore (statement)
            VALUES (format('ALTER TABLE %s ENABLE %sTRIGGER %I', t.id, part.way, part.tgname));
            EXECUTE format('ALTER TABLE %s DISABLE TRIGGER %I', t.id, part.tgname);
        END LOOP;
        IF (SELECT relforcerowsecurity FROM pg_class WHERE oid = t.id) THEN
            INSERT INTO mainstay_move.restore (statement)
            VALUES (format('ALTER TABLE %s FORCE ROW LEVEL SECURITY', t.id));
            EXECUTE format('ALTER TABLE %s NO FORCE ROW LEVEL SECURITY', t.id);
        END IF;
    END LOOP;
    FOR t IN SELECT string_agg(format('%I.%I', schema, name), ', ') AS names FROM mainstay_move.progress
             WHERE NOT (SELECT is_prepared FROM mainstay_move.state) LOOP
        IF t.names IS NOT NULL THEN
            EXECUTE 'TRUNCATE ONLY ' || t.names;
        END IF;
    END LOOP;
    UPDATE mainstay_move.state SET is_prepared = true;
END
$move$";

/// Puts back what [`PREPARE`] took away.
const RESTORE: &str = "DO $move$
DECLARE
    part record;
BEGIN
    FOR part IN SELECT statement FROM mainstay_move.restore ORDER BY position LOOP
        EXECUTE part.statement;
    END LOOP;
    DELETE FROM mainstay_move.restore;
END
$move$";

/// The planner knows nothing of rows that were copied in.
const ANALYZE: &str = "DO $move$
DECLARE
    part record;
BEGIN
    FOR part IN SELECT format('%I.%I', schema, name)::regclass AS id FROM mainstay_move.progress LOOP
        EXECUTE format('ANALYZE %s', part.id);
    END LOOP;
END
$move$";

/// Checks the foreign keys that were put back unchecked. Nobody is kept from writing meanwhile.
const VALIDATE: &str = "DO $move$
DECLARE
    part record;
BEGIN
    FOR part IN SELECT relation, name FROM mainstay_move.validate ORDER BY relation, name LOOP
        EXECUTE format('ALTER TABLE %s VALIDATE CONSTRAINT %I', part.relation, part.name);
    END LOOP;
END
$move$";

/// A move into the database, on a connection of its own.
pub struct TableImport {
    connection: CopyConnection,
}

/// The move that the database is in the middle of.
pub async fn arrival(connection: &mut CopyConnection) -> Result<Option<Arrival>, BackendError> {
    let begun = connection
        .run("SELECT to_regclass('mainstay_move.state')::text")
        .await?;
    if single(&begun).is_none() {
        return Ok(None);
    }
    let found = connection
        .run("SELECT source, is_open::text FROM mainstay_move.state")
        .await?;
    let row = table(found.last(), 2).into_iter().next();
    Ok(row.map(|row| Arrival {
        source: row[0].clone(),
        is_open: row[1] == "true",
    }))
}

impl TableImport {
    /// Begins a move, or goes on with it. Errors: a move from elsewhere has begun.
    pub async fn begin(target: &Target, source: &str) -> Result<Self, BackendError> {
        let mut connection = connect(target).await?;
        match arrival(&mut connection).await?.map(|arrival| arrival.source) {
            None => {
                let mut sql = Sql::default();
                sql.push("BEGIN;").push(BEGIN_MOVE);
                sql.push("INSERT INTO mainstay_move.state VALUES (")
                    .literal(source)
                    .push(", false); COMMIT");
                connection.run(&sql.finish().0).await?;
            }
            Some(known) if known == source => {}
            Some(known) => {
                return Err(
                    DatabaseError::new("55000", format!("a move from {known} has begun here"))
                        .hint("Finish that one, or begin with an empty database.")
                        .into(),
                );
            }
        }
        Ok(TableImport { connection })
    }

    /// Ends a transaction that failed, and gives the failure back.
    async fn rolled_back<T>(&mut self, error: BackendError) -> Result<T, BackendError> {
        // The first failure is the one to tell.
        let _ = self.connection.run("ROLLBACK").await;
        Err(error)
    }

    async fn transaction(&mut self, sql: Sql) -> Result<(), BackendError> {
        let mut all = Sql::default();
        all.push("BEGIN; ").append(sql).push("; COMMIT");
        match self.connection.run(&all.finish().0).await {
            Ok(_) => Ok(()),
            Err(error) => self.rolled_back(error).await,
        }
    }
}

impl Import for TableImport {
    fn prepare<'a>(&'a mut self, relations: &'a [&'a Relation]) -> BoxFuture<'a, Result<(), BackendError>> {
        Box::pin(async move {
            let mut sql = Sql::default();
            for relation in relations {
                sql.push("INSERT INTO mainstay_move.progress VALUES (")
                    .literal(&relation.name.schema)
                    .push(", ")
                    .literal(&relation.name.name)
                    .push(", 0, NULL, false) ON CONFLICT DO NOTHING; ");
            }
            sql.push(PREPARE);
            self.transaction(sql).await
        })
    }

    fn progress<'a>(&'a mut self) -> BoxFuture<'a, Result<HashMap<QualifiedName, Progress>, BackendError>> {
        Box::pin(async move {
            let found = self
                .connection
                .run("SELECT schema, name, rows, after, complete FROM mainstay_move.progress")
                .await?;
            let rows = table(found.last(), 5).into_iter().map(|row| {
                let progress = Progress {
                    rows: row[2].parse().unwrap_or(0),
                    after: Some(row[3].clone()).filter(|after| !after.is_empty()),
                    complete: row[4] == "t",
                };
                (QualifiedName::new(row[0].as_str(), row[1].as_str()), progress)
            });
            Ok(rows.collect())
        })
    }

    fn reached<'a>(&'a mut self) -> BoxFuture<'a, Result<Option<Reached>, BackendError>> {
        Box::pin(async move {
            let found = self
                .connection
                .run("SELECT departure, mark FROM mainstay_move.state WHERE mark IS NOT NULL")
                .await?;
            let row = table(found.last(), 2).into_iter().next();
            Ok(row.map(|row| Reached {
                departure: row[0].clone(),
                mark: row[1].clone(),
            }))
        })
    }

    fn reach<'a>(&'a mut self, reached: &'a Reached) -> BoxFuture<'a, Result<(), BackendError>> {
        Box::pin(async move {
            let mut sql = Sql::default();
            sql.push("UPDATE mainstay_move.state SET departure = ")
                .literal(&reached.departure)
                .push(", mark = ")
                .literal(&reached.mark);
            self.transaction(sql).await
        })
    }

    fn write<'a>(
        &'a mut self,
        relation: &'a Relation,
        columns: &'a [ColumnIndex],
        rows: &'a Rows,
        progress: &'a Progress,
    ) -> BoxFuture<'a, Result<(), BackendError>> {
        Box::pin(async move {
            self.connection.run("BEGIN").await?;
            let copied = if columns.is_empty() {
                let mut sql = Sql::default();
                sql.push("INSERT INTO ")
                    .name(&relation.name)
                    .push(" SELECT FROM generate_series(1, ");
                sql.literal(&rows.len().to_string()).push("::int8)");
                self.connection.run(&sql.finish().0).await.map(drop)
            } else {
                let mut sql = Sql::default();
                sql.push("COPY ").name(&relation.name).push(" (");
                for (position, column) in chosen(relation, columns).enumerate() {
                    sql.push(if position > 0 { ", " } else { "" }).ident(&column.name);
                }
                sql.push(") FROM STDIN");
                let types: Vec<_> = chosen(relation, columns).map(|column| column.ty.base()).collect();
                let lines = text::lines(rows, &types)?;
                self.connection.copy_in(&sql.finish().0, &lines).await
            };
            if let Err(error) = copied {
                return self.rolled_back(error).await;
            }
            let mut sql = record(relation, progress);
            sql.push("; COMMIT");
            match self.connection.run(&sql.finish().0).await {
                Ok(_) => Ok(()),
                Err(error) => self.rolled_back(error).await,
            }
        })
    }

    fn remove<'a>(
        &'a mut self,
        relation: &'a Relation,
        key: &'a [ColumnIndex],
        keys: &'a Rows,
    ) -> BoxFuture<'a, Result<(), BackendError>> {
        Box::pin(async move {
            let mut sql = Sql::default();
            sql.push("DELETE FROM ONLY ").name(&relation.name).push(" AS t USING ");
            recordset(&mut sql, relation, key, keys)?;
            sql.push(" WHERE ");
            matches(&mut sql, relation, key);
            self.transaction(sql).await
        })
    }

    fn clear<'a>(&'a mut self, relation: &'a Relation) -> BoxFuture<'a, Result<(), BackendError>> {
        Box::pin(async move {
            let mut sql = Sql::default();
            sql.push("TRUNCATE ONLY ").name(&relation.name).push("; ");
            sql.append(record(relation, &Progress::default()));
            self.transaction(sql).await
        })
    }

    fn set_sequences<'a>(&'a mut self, positions: &'a [SequencePosition]) -> BoxFuture<'a, Result<(), BackendError>> {
        Box::pin(async move {
            let mut sql = Sql::default();
            sql.push("SELECT 1");
            for position in positions {
                let mut name = Sql::default();
                name.name(&position.name);
                // Where there is no such sequence the function, which is strict, does nothing.
                sql.push("; SELECT setval(to_regclass(")
                    .literal(&name.finish().0)
                    .push("), ")
                    .literal(&position.last_value.to_string())
                    .push("::int8, ")
                    .push(if position.is_called { "true)" } else { "false)" });
            }
            self.transaction(sql).await
        })
    }

    fn restore<'a>(&'a mut self) -> BoxFuture<'a, Result<(), BackendError>> {
        Box::pin(async move {
            let mut sql = Sql::default();
            sql.push(RESTORE);
            self.transaction(sql).await
        })
    }

    fn settle<'a>(&'a mut self) -> BoxFuture<'a, Result<(), BackendError>> {
        Box::pin(async move {
            let mut sql = Sql::default();
            sql.push(ANALYZE);
            self.transaction(sql).await
        })
    }

    fn open<'a>(&'a mut self) -> BoxFuture<'a, Result<(), BackendError>> {
        Box::pin(async move {
            let mut sql = Sql::default();
            sql.push("UPDATE mainstay_move.state SET is_open = true");
            self.transaction(sql).await
        })
    }

    fn finish<'a>(&'a mut self) -> BoxFuture<'a, Result<(), BackendError>> {
        Box::pin(async move {
            let mut sql = Sql::default();
            sql.push(VALIDATE).push("; DROP SCHEMA mainstay_move CASCADE");
            self.transaction(sql).await
        })
    }
}

fn record(relation: &Relation, progress: &Progress) -> Sql {
    let mut sql = Sql::default();
    sql.push("INSERT INTO mainstay_move.progress VALUES (")
        .literal(&relation.name.schema)
        .push(", ")
        .literal(&relation.name.name)
        .push(", ")
        .literal(&progress.rows.to_string())
        .push("::int8, ");
    match &progress.after {
        Some(after) => sql.literal(after),
        None => sql.push("NULL"),
    };
    sql.push(if progress.complete { ", true)" } else { ", false)" }).push(
        " ON CONFLICT (schema, name) DO UPDATE
          SET rows = excluded.rows, after = excluded.after, complete = excluded.complete",
    );
    sql
}

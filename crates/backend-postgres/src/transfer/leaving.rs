//! The source's side of a move that others write beside.
//!
//! Everything stands in the schema `mainstay_leaving`, and every writer meets it, whoever it is: a trigger per statement
//! asks whether writes are held, a trigger per row records keys. The state's one row is shared by all writers until their
//! transactions end, so changing it waits for those under way and lets no other one pass.
//! It needs the right TRIGGER on the tables, not their ownership.
//!
//! Source: PostgreSQL 15 manual, 13.3.2 (row-level locks), 9.27.9 (`pg_current_snapshot`, `pg_visible_in_snapshot`),
//! CREATE TRIGGER.

use std::time::Duration;

use mainstay_core::backend::BoxFuture;
use mainstay_core::catalog::Relation;
use mainstay_core::error::{BackendError, DatabaseError};
use mainstay_core::transfer::{Departure, Hold, Leaving, Phase, key};

use super::keys::later;
use super::{connect, single, table};
use crate::backend::PostgresBackend;
use crate::migrate::LOCK;
use crate::render::sql::Sql;
use crate::wire::CopyConnection;

/// `written.former` and `.latter` are the key before and after, as JSON arrays of texts; neither: any row of the table.
const BEGIN: &str = "
CREATE SCHEMA mainstay_leaving;
CREATE TABLE mainstay_leaving.state (id text NOT NULL, target text NOT NULL, phase text NOT NULL, hold text,
    held_until timestamptz NOT NULL DEFAULT 'epoch');
CREATE TABLE mainstay_leaving.written (position int8 GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    xid xid8 NOT NULL DEFAULT pg_current_xact_id(), schema text NOT NULL, name text NOT NULL, former jsonb, latter jsonb);
CREATE INDEX ON mainstay_leaving.written (xid);";

/// What a writer's statement asks before it begins. Each table has a function of its own, so that taking it back locks one
/// table at a time, and in the order that writers do.
const GUARD: &str = "() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp AS $guard$
DECLARE
    state mainstay_leaving.state;
BEGIN
    SELECT * INTO state FROM mainstay_leaving.state FOR SHARE;
    IF state.phase = 'moved' THEN
        RAISE EXCEPTION USING ERRCODE = 'MSH02', MESSAGE = format('the database has been moved to %s', state.target);
    ELSIF state.phase = 'held' AND clock_timestamp() < state.held_until THEN
        RAISE EXCEPTION USING ERRCODE = 'MSH01', MESSAGE = format('the database is being moved to %s', state.target);
    END IF;
    RETURN NULL;
END
$guard$; ";

/// What records a row.
const RECORD: &str = "() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp SET TimeZone = 'UTC' SET DateStyle = 'ISO' SET bytea_output = 'hex' AS $record$
DECLARE
    former jsonb;
    latter jsonb;
BEGIN
    IF TG_NARGS > 0 AND TG_OP IN ('UPDATE', 'DELETE') THEN
        SELECT jsonb_agg(to_jsonb(OLD) ->> c ORDER BY n) INTO former FROM unnest(TG_ARGV) WITH ORDINALITY AS a (c, n);
    END IF;
    IF TG_NARGS > 0 AND TG_OP IN ('INSERT', 'UPDATE') THEN
        SELECT jsonb_agg(to_jsonb(NEW) ->> c ORDER BY n) INTO latter FROM unnest(TG_ARGV) WITH ORDINALITY AS a (c, n);
    END IF;
    INSERT INTO mainstay_leaving.written (schema, name, former, latter)
    VALUES (TG_TABLE_SCHEMA, TG_TABLE_NAME, former, latter);
    RETURN NULL;
END
$record$; ";

/// Refuses a transaction that would change the schema of a database that is being moved. Asked under the lock of
/// migrations.
pub const FORBID: &str = "DO $forbid$
DECLARE
    target text;
BEGIN
    IF pg_catalog.to_regclass('mainstay_leaving.state') IS NOT NULL THEN
        EXECUTE 'SELECT target FROM mainstay_leaving.state' INTO target;
        RAISE EXCEPTION USING ERRCODE = '55006',
            MESSAGE = pg_catalog.format('the database is being moved to %s, or has been; its schema cannot be changed', target),
            HINT = 'Finish the move first, or take it back with `mainstay grow --abandon`.';
    END IF;
END
$forbid$;";

/// What a transaction under way may keep waiting, whoever waits behind it.
const WAIT: &str = "SET LOCAL lock_timeout = '5s'; ";

/// How often a table is tried again whose writers do not end.
const TRIES_MAX: u32 = 6;

impl PostgresBackend {
    async fn mover(&self) -> Result<CopyConnection, BackendError> {
        connect(&self.inner.target).await
    }
}

async fn departure(connection: &mut CopyConnection) -> Result<Option<Departure>, BackendError> {
    let begun = connection
        .run("SELECT to_regclass('mainstay_leaving.state')::text")
        .await?;
    if single(&begun).is_none() {
        return Ok(None);
    }
    let found = connection
        .run("SELECT id, target, phase FROM mainstay_leaving.state")
        .await?;
    let row = table(found.last(), 3).into_iter().next();
    Ok(row.map(|row| Departure {
        phase: Phase::parse(&row[2]).unwrap_or(Phase::Recording),
        id: row[0].clone(),
        target: row[1].clone(),
    }))
}

/// Tables whose writes may not be recorded, with their owners.
async fn forbidden(connection: &mut CopyConnection, relations: &[&Relation]) -> Result<Option<String>, BackendError> {
    let mut found = Vec::new();
    for relation in relations {
        let mut name = Sql::default();
        name.name(&relation.name);
        let name = name.finish().0;
        let mut sql = Sql::default();
        sql.push("SELECT pg_get_userbyid(relowner) FROM pg_class WHERE oid = ")
            .literal(&name)
            .push("::regclass AND NOT (has_table_privilege(oid, 'TRIGGER') AND has_table_privilege(oid, 'SELECT'))");
        if let Some(owner) = single(&connection.run(&sql.finish().0).await?) {
            found.push(format!("{} (owner {owner})", relation.name));
        }
    }
    Ok((!found.is_empty()).then(|| found.join(", ")))
}

/// The triggers of one table, unless it has them.
fn triggers(relation: &Relation) -> Sql {
    let mut name = Sql::default();
    name.name(&relation.name);
    let name = name.finish().0;
    let mut sql = Sql::default();
    let (guard, record) = (format!("guard_{}", relation.id), format!("record_{}", relation.id));
    sql.push("DO $triggers$ BEGIN IF EXISTS (SELECT FROM pg_trigger WHERE tgrelid = ")
        .literal(&name)
        .push("::regclass AND tgname = 'mainstay_leaving_guard') THEN RETURN; END IF; ");
    sql.push("CREATE FUNCTION mainstay_leaving.").ident(&guard).push(GUARD);
    sql.push("CREATE FUNCTION mainstay_leaving.")
        .ident(&record)
        .push(RECORD);
    sql.push("CREATE TRIGGER mainstay_leaving_guard BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE ON ")
        .name(&relation.name)
        .push(" FOR EACH STATEMENT EXECUTE FUNCTION mainstay_leaving.")
        .ident(&guard);
    sql.push("(); CREATE TRIGGER mainstay_leaving_rows AFTER INSERT OR UPDATE OR DELETE ON ")
        .name(&relation.name)
        .push(" FOR EACH ROW EXECUTE FUNCTION mainstay_leaving.")
        .ident(&record)
        .push("(");
    for (position, column) in key(relation).unwrap_or_default().into_iter().enumerate() {
        if let Some(column) = relation.columns.get(column) {
            sql.push(if position > 0 { ", " } else { "" }).literal(&column.name);
        }
    }
    sql.push("); CREATE TRIGGER mainstay_leaving_all AFTER TRUNCATE ON ")
        .name(&relation.name)
        .push(" FOR EACH STATEMENT EXECUTE FUNCTION mainstay_leaving.")
        .ident(&record)
        .push("(); END $triggers$");
    sql
}

/// Runs `sql` in a transaction that waits for others no longer than it may, again if it did.
async fn patiently(connection: &mut CopyConnection, sql: Sql) -> Result<Vec<Vec<String>>, BackendError> {
    let mut all = Sql::default();
    all.push("BEGIN; ").push(WAIT).append(sql);
    let all = all.finish().0;
    let mut tries = 0;
    loop {
        match connection.run(&all).await {
            Ok(steps) => {
                let rows = table(steps.last(), 1);
                connection.run("COMMIT").await?;
                return Ok(rows);
            }
            Err(error) => {
                // The first failure is the one to tell.
                let _ = connection.run("ROLLBACK").await;
                tries += 1;
                let is_wait = matches!(&error, BackendError::Refused(error)
                    if matches!(error.sqlstate.as_str(), "55P03" | "40P01"));
                if !is_wait || tries >= TRIES_MAX {
                    return Err(error);
                }
            }
        }
    }
}

fn over() -> BackendError {
    let error = DatabaseError::new("55000", "writes are no longer held: somebody may have written");
    error
        .hint("Run the same command again: it carries what was written.")
        .into()
}

fn milliseconds(sql: &mut Sql, time: Duration) {
    sql.push("clock_timestamp() + interval '1 millisecond' * ")
        .literal(&time.as_millis().to_string())
        .push("::int8");
}

impl Leaving for PostgresBackend {
    fn departure<'a>(&'a self) -> BoxFuture<'a, Result<Option<Departure>, BackendError>> {
        Box::pin(async move { departure(&mut self.mover().await?).await })
    }

    fn depart<'a>(
        &'a self,
        target: &'a str,
        relations: &'a [&'a Relation],
    ) -> BoxFuture<'a, Result<Departure, BackendError>> {
        Box::pin(async move {
            let mut connection = self.mover().await?;
            match departure(&mut connection).await? {
                Some(known) if known.target != target => {
                    let message = format!("the database is being moved to {}", known.target);
                    let hint = "Go on with that move, or take it back with `mainstay grow --abandon`.";
                    return Err(DatabaseError::new("55006", message).hint(hint).into());
                }
                Some(known) if known.phase == Phase::Moved => return Ok(known),
                Some(_) => {
                    let mut sql = Sql::default();
                    sql.push("UPDATE mainstay_leaving.state SET phase = 'recording', hold = NULL");
                    patiently(&mut connection, sql).await?;
                }
                None => {
                    if let Some(tables) = forbidden(&mut connection, relations).await? {
                        let message = format!("permission denied to record writes to {tables}");
                        let hint =
                            "GRANT SELECT, TRIGGER on these tables to the role that moves, or connect as their owner.";
                        return Err(DatabaseError::new("42501", message).hint(hint).into());
                    }
                    let mut sql = Sql::default();
                    sql.push(LOCK).push(BEGIN);
                    sql.push("INSERT INTO mainstay_leaving.state (id, target, phase) VALUES (gen_random_uuid(), ")
                        .literal(target)
                        .push(", 'recording')");
                    patiently(&mut connection, sql).await?;
                }
            }
            for relation in relations {
                patiently(&mut connection, triggers(relation)).await?;
            }
            let departure = departure(&mut connection).await?;
            departure.ok_or_else(|| BackendError::Internal("a move that has just begun is not there".into()))
        })
    }

    fn hold<'a>(&'a self, time: Duration) -> BoxFuture<'a, Result<Hold, BackendError>> {
        Box::pin(async move {
            let mut connection = self.mover().await?;
            let mut sql = Sql::default();
            sql.push("UPDATE mainstay_leaving.state SET phase = 'held', hold = gen_random_uuid(), held_until = ");
            milliseconds(&mut sql, time);
            sql.push(" WHERE phase = 'recording' RETURNING hold");
            let rows = patiently(&mut connection, sql).await?;
            let hold = rows.into_iter().next().and_then(|row| row.into_iter().next());
            hold.map(Hold).ok_or_else(over)
        })
    }

    fn renew<'a>(&'a self, hold: &'a Hold, time: Duration) -> BoxFuture<'a, Result<(), BackendError>> {
        Box::pin(async move {
            let mut connection = self.mover().await?;
            let mut sql = Sql::default();
            sql.push("UPDATE mainstay_leaving.state SET held_until = ");
            milliseconds(&mut sql, time);
            sql.push(" WHERE phase = 'held' AND held_until > clock_timestamp() AND hold = ")
                .literal(&hold.0)
                .push(" RETURNING hold");
            let rows = patiently(&mut connection, sql).await?;
            rows.first().map(drop).ok_or_else(over)
        })
    }

    fn release<'a>(&'a self, hold: &'a Hold) -> BoxFuture<'a, Result<(), BackendError>> {
        Box::pin(async move {
            let mut sql = Sql::default();
            sql.push(
                "UPDATE mainstay_leaving.state SET phase = 'recording', hold = NULL WHERE phase = 'held' AND hold = ",
            )
            .literal(&hold.0);
            patiently(&mut self.mover().await?, sql).await.map(drop)
        })
    }

    fn confirm<'a>(&'a self, hold: &'a Hold, mark: &'a str) -> BoxFuture<'a, Result<(), BackendError>> {
        Box::pin(async move {
            let mut connection = self.mover().await?;
            // Whoever passed a hold whose time was over shares the row until its transaction ends: after this lock all
            // that it wrote is seen.
            let mut lock = Sql::default();
            lock.push("BEGIN; ")
                .push(WAIT)
                .push("SELECT 1 FROM mainstay_leaving.state FOR UPDATE");
            let mut sql = Sql::default();
            sql.push("UPDATE mainstay_leaving.state SET phase = 'moved', hold = NULL WHERE phase = 'held' AND hold = ")
                .literal(&hold.0)
                .push(
                    " AND held_until > clock_timestamp() AND NOT EXISTS (SELECT FROM mainstay_leaving.written w WHERE ",
                );
            later(&mut sql, mark);
            sql.push(") RETURNING phase");
            let lock = lock.finish().0;
            let changed = async {
                connection.run(&lock).await?;
                let changed = connection.run(&sql.finish().0).await?;
                single(&changed).ok_or_else(over)
            };
            let changed = changed.await;
            // Without a change there is nothing to keep, and nobody is to wait for this connection's end.
            let end = connection
                .run(if changed.is_ok() { "COMMIT" } else { "ROLLBACK" })
                .await;
            changed.and(end).map(drop)
        })
    }

    fn abandon<'a>(&'a self) -> BoxFuture<'a, Result<Option<Departure>, BackendError>> {
        Box::pin(async move {
            let mut connection = self.mover().await?;
            let known = departure(&mut connection).await?;
            if known.is_none() {
                return Ok(None);
            }
            // From here on the record is not whole: who goes on with the move begins anew.
            let mut sql = Sql::default();
            sql.push("UPDATE mainstay_leaving.state SET id = gen_random_uuid(), phase = 'recording', hold = NULL");
            patiently(&mut connection, sql).await?;
            let functions = connection
                .run("SELECT proname FROM pg_proc WHERE pronamespace = 'mainstay_leaving'::regnamespace ORDER BY 1")
                .await?;
            for row in table(functions.last(), 1) {
                let mut sql = Sql::default();
                sql.push("DROP FUNCTION mainstay_leaving.")
                    .ident(&row[0])
                    .push(" CASCADE");
                patiently(&mut connection, sql).await?;
            }
            let mut sql = Sql::default();
            sql.push("DROP SCHEMA mainstay_leaving CASCADE");
            patiently(&mut connection, sql).await?;
            Ok(known)
        })
    }
}

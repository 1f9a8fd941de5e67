//! What the mover writes into the file: one short transaction each.

use std::time::Duration;

use mainstay_core::error::{BackendError, DatabaseError};
use mainstay_core::transfer::{Departure, Hold, Phase};
use rusqlite::{Connection, ToSql, Transaction, TransactionBehavior, params};

use super::{State, TABLES, now_ms, state};
use crate::schema::store::stored_version;

/// A failure of the file itself; a lock that was not had in time is worth another try.
fn broken(error: rusqlite::Error) -> BackendError {
    match error.sqlite_error_code() {
        Some(rusqlite::ErrorCode::DatabaseBusy) => BackendError::Busy,
        _ => BackendError::Internal(error.to_string()),
    }
}

fn begin(connection: &mut Connection) -> Result<Transaction<'_>, BackendError> {
    connection
        .transaction_with_behavior(TransactionBehavior::Immediate)
        .map_err(broken)
}

/// The move out of this file.
pub fn departure(connection: &Connection) -> Result<Option<Departure>, BackendError> {
    Ok(state(connection).map_err(broken)?.map(|state| state.departure))
}

/// Whether the process that serves has said that it records.
pub fn is_seen(connection: &Connection) -> Result<bool, BackendError> {
    Ok(state(connection).map_err(broken)?.is_some_and(|state| state.is_seen))
}

/// Begins a move, or goes on with one; a hold that it left behind ends. `catalog_version`: the one that the mover has
/// read. Errors: 55006 for a move to elsewhere.
pub fn depart(connection: &mut Connection, target: &str, catalog_version: u64) -> Result<Departure, BackendError> {
    let transaction = begin(connection)?;
    if stored_version(&transaction).map_err(broken)? != catalog_version {
        let error = DatabaseError::new("55006", "the schema has just been changed");
        return Err(error.hint("Run the same command again.").into());
    }
    match state(&transaction).map_err(broken)? {
        Some(State { departure, .. }) if departure.target != target => {
            let message = format!("the database is being moved to {}", departure.target);
            let hint = "Go on with that move, or take it back with `mainstay grow --abandon`.";
            return Err(DatabaseError::new("55006", message).hint(hint).into());
        }
        Some(State { departure, .. }) if departure.phase == Phase::Moved => return Ok(departure),
        Some(_) => {
            // The process that serves may be another one than the one that saw it.
            let reset = "UPDATE _ms_departure SET phase = 'recording', hold = NULL, edits = edits + 1, is_seen = 0";
            transaction.execute(reset, []).map_err(broken)?;
        }
        None => {
            transaction.execute_batch(TABLES).map_err(broken)?;
            let insert = "INSERT INTO _ms_departure (id, target, phase, held_until, edits, is_seen)
                          VALUES (hex(randomblob(16)), ?1, 'recording', 0, 1, 0)";
            transaction.execute(insert, [target]).map_err(broken)?;
        }
    }
    let departure = departure(&transaction)?;
    transaction.commit().map_err(broken)?;
    departure.ok_or_else(|| BackendError::Internal("a move that has just begun is not there".into()))
}

/// Holds writes. No transaction of others is open while this one commits, and the next one sees it.
pub fn hold(connection: &mut Connection, time: Duration) -> Result<Hold, BackendError> {
    let transaction = begin(connection)?;
    let update =
        "UPDATE _ms_departure SET phase = 'held', hold = hex(randomblob(16)), held_until = ?1, edits = edits + 1
                  WHERE phase = 'recording'";
    let changed = transaction.execute(update, [until(time)]).map_err(broken)?;
    if changed != 1 {
        return Err(over());
    }
    let hold = transaction
        .query_row("SELECT hold FROM _ms_departure", [], |row| row.get(0))
        .map_err(broken)?;
    transaction.commit().map_err(broken)?;
    Ok(Hold(hold))
}

/// Holds them longer.
pub fn renew(connection: &mut Connection, hold: &Hold, time: Duration) -> Result<(), BackendError> {
    let transaction = begin(connection)?;
    let set = "UPDATE _ms_departure SET held_until = ?2, edits = edits + 1 WHERE phase = 'held' AND hold = ?1";
    changed(&transaction, set, params![hold.0, until(time)])?;
    transaction.commit().map_err(broken)
}

/// Lets writes go on, if this hold still stands.
pub fn release(connection: &mut Connection, hold: &Hold) -> Result<(), BackendError> {
    let transaction = begin(connection)?;
    let set = "UPDATE _ms_departure SET phase = 'recording', hold = NULL, edits = edits + 1
               WHERE phase = 'held' AND hold = ?1";
    transaction.execute(set, [&hold.0]).map_err(broken)?;
    transaction.commit().map_err(broken)
}

/// From now on no more writes. Errors: 55000 if there were any after `mark`, or may have been.
pub fn confirm(connection: &mut Connection, hold: &Hold, mark: &str) -> Result<(), BackendError> {
    let transaction = begin(connection)?;
    let set = "UPDATE _ms_departure SET phase = 'moved', hold = NULL, edits = edits + 1
               WHERE phase = 'held' AND hold = ?1
               AND NOT EXISTS (SELECT 1 FROM _ms_written WHERE position > CAST(?2 AS INTEGER))";
    changed(&transaction, set, params![hold.0, mark])?;
    transaction.commit().map_err(broken)
}

/// Takes the move back.
pub fn abandon(connection: &mut Connection) -> Result<Option<Departure>, BackendError> {
    let transaction = begin(connection)?;
    let departure = departure(&transaction)?;
    if departure.is_some() {
        transaction
            .execute_batch("DROP TABLE _ms_written; DROP TABLE _ms_departure;")
            .map_err(broken)?;
    }
    transaction.commit().map_err(broken)?;
    Ok(departure)
}

/// Changes the row. Errors: 55000 if it is not as the statement expects it.
fn changed(transaction: &Transaction<'_>, set: &str, parameters: &[&dyn ToSql]) -> Result<(), BackendError> {
    match transaction.execute(set, parameters).map_err(broken)? {
        1 => Ok(()),
        _ => Err(over()),
    }
}

fn until(time: Duration) -> i64 {
    now_ms().saturating_add(i64::try_from(time.as_millis()).unwrap_or(i64::MAX))
}

fn over() -> BackendError {
    let error = DatabaseError::new("55000", "writes are no longer held: somebody may have written");
    error
        .hint("Run the same command again: it carries what was written.")
        .into()
}

//! A move out of this file while it is served: what the file remembers of it, and what the writer does about it.
//!
//! The mover is another process. It writes a row of `_ms_departure` under SQLite's own lock; the writer of the process
//! that serves sees before its next transaction that the file was written to, reads that row, and from then on puts
//! what every transaction changed into `_ms_written` before it commits. So both agree by the order of their
//! transactions, without talking to each other, and whatever of the two is killed, the file says where they were.
//!
//! | module | what |
//! |---|---|
//! | [`control`] | what the mover writes: begin, hold, confirm, take back |
//! | [`recorder`] | what the writer does: record, hold writes |
//!
//! Not here: reading the record (`transfer`), the order of a move (`ops`).
//!
//! Source: SQLite documentation, `PRAGMA data_version`, `sqlite3_preupdate_hook` (cascaded changes are reported; the
//! hook must not use the connection).

pub mod control;
pub mod recorder;

use std::time::{SystemTime, UNIX_EPOCH};

use mainstay_core::error::{BackendError, DatabaseError};
use mainstay_core::transfer::{Departure, Phase};
use rusqlite::{Connection, OptionalExtension};

/// `_ms_departure` has one row while a move is under way or done. `edits` counts the mover's transactions, so that they
/// are told from those of strangers. `_ms_written` has the changed rows: `place` is the row id (null: any row of the
/// table), `former` the key the row had before, as a JSON array of texts.
const TABLES: &str = "
CREATE TABLE _ms_departure (
    id TEXT NOT NULL, target TEXT NOT NULL, phase TEXT NOT NULL, hold TEXT, held_until INTEGER NOT NULL,
    edits INTEGER NOT NULL, is_seen INTEGER NOT NULL
) STRICT;
CREATE TABLE _ms_written (position INTEGER PRIMARY KEY, name TEXT NOT NULL, place INTEGER, former TEXT) STRICT;";

/// The row of `_ms_departure`.
#[derive(Clone, Debug)]
pub struct State {
    pub departure: Departure,
    /// Milliseconds since 1970.
    held_until: i64,
    edits: i64,
    /// The serving process has seen it and records.
    is_seen: bool,
}

/// What the file says.
pub fn state(connection: &Connection) -> rusqlite::Result<Option<State>> {
    if !is_departing(connection)? {
        return Ok(None);
    }
    connection
        .query_row(
            "SELECT id, target, phase, held_until, edits, is_seen FROM _ms_departure",
            [],
            |row| {
                Ok(State {
                    departure: Departure {
                        id: row.get(0)?,
                        target: row.get(1)?,
                        phase: Phase::parse(&row.get::<_, String>(2)?).unwrap_or(Phase::Recording),
                    },
                    held_until: row.get(3)?,
                    edits: row.get(4)?,
                    is_seen: row.get(5)?,
                })
            },
        )
        .optional()
}

fn is_departing(connection: &Connection) -> rusqlite::Result<bool> {
    connection.query_row(
        "SELECT EXISTS (SELECT 1 FROM sqlite_schema WHERE name = '_ms_departure')",
        [],
        |row| row.get(0),
    )
}

/// Errors: 55006 while the file is being moved or has been. To be asked inside the transaction that would change the
/// schema.
pub fn forbid_schema_changes(connection: &Connection) -> Result<(), BackendError> {
    let state = state(connection).map_err(crate::schema::broken)?;
    let Some(Departure { target, phase, .. }) = state.map(|state| state.departure) else {
        return Ok(());
    };
    let message = match phase {
        Phase::Moved => format!("the database has been moved to {target}; its schema cannot be changed here"),
        _ => format!("the database is being moved to {target}; its schema cannot be changed meanwhile"),
    };
    let error = DatabaseError::new("55006", message);
    Err(error
        .hint("Finish the move first, or take it back with `mainstay grow --abandon`.")
        .into())
}

/// Milliseconds since 1970.
fn now_ms() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(now.as_millis()).unwrap_or(i64::MAX)
}

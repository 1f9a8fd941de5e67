//! The rows that hold the sequences' values: made, renamed and removed with their sequences.
//!
//! Not here: what bounds a sequence (the catalog), taking values (`write`).

use mainstay_core::error::BackendError;
use mainstay_core::name::QualifiedName;
use rusqlite::{Connection, params};

use super::store::broken;

/// Makes a sequence's row: `start` comes next.
pub fn create(conn: &Connection, name: &QualifiedName, start: i64) -> Result<(), BackendError> {
    conn.prepare_cached("INSERT INTO _ms_sequences (schema, name, last_value, is_called) VALUES (?1, ?2, ?3, 0)")
        .and_then(|mut statement| statement.execute(params![&*name.schema, &*name.name, start]))
        .map(drop)
        .map_err(broken)
}

/// Makes `next` the value that comes next.
pub fn restart(conn: &Connection, name: &QualifiedName, next: i64) -> Result<(), BackendError> {
    conn.prepare_cached("UPDATE _ms_sequences SET last_value = ?3, is_called = 0 WHERE schema = ?1 AND name = ?2")
        .and_then(|mut statement| statement.execute(params![&*name.schema, &*name.name, next]))
        .map(drop)
        .map_err(broken)
}

/// Removes a sequence's row.
pub fn remove(conn: &Connection, name: &QualifiedName) -> Result<(), BackendError> {
    conn.execute(
        "DELETE FROM _ms_sequences WHERE schema = ?1 AND name = ?2",
        params![&*name.schema, &*name.name],
    )
    .map(drop)
    .map_err(broken)
}

/// Gives a sequence's row another name.
pub fn rename(conn: &Connection, from: &QualifiedName, to: &QualifiedName) -> Result<(), BackendError> {
    conn.execute(
        "UPDATE _ms_sequences SET schema = ?3, name = ?4 WHERE schema = ?1 AND name = ?2",
        params![&*from.schema, &*from.name, &*to.schema, &*to.name],
    )
    .map(drop)
    .map_err(broken)
}

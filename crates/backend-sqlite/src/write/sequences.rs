//! Moves sequences, in the transaction of the write that takes their values. Their state is in `_ms_sequences`.
//!
//! Not here: making and renaming them (`schema::sequences`).
//!
//! Source: PostgreSQL manual, 9.17. Unlike there, a rollback leaves no gap (`portability.md` §12, difference 3).

use std::sync::Arc;

use mainstay_core::catalog::{Catalog, Privilege, Sequence};
use mainstay_core::error::{BackendError, DatabaseError};
use mainstay_core::name::Ident;
use mainstay_core::policy;
use rusqlite::{Connection, ErrorCode};

const READ: &str = "SELECT last_value, is_called FROM _ms_sequences WHERE schema = ?1 AND name = ?2";
const WRITE: &str = "UPDATE _ms_sequences SET last_value = ?3, is_called = ?4 WHERE schema = ?1 AND name = ?2";

/// Where a sequence stands: its last value, or the next one while it has not been called.
struct State {
    value: i64,
    called: bool,
}

/// Errors: 42501 `permission denied for sequence s` unless `role` holds one of `privileges` on it.
pub fn authorize(
    catalog: &Catalog,
    role: &Ident,
    sequence: &Sequence,
    privileges: &[Privilege],
) -> Result<(), DatabaseError> {
    let allowed = privileges
        .iter()
        .any(|privilege| policy::acl_allows(catalog, role, &sequence.owner, &sequence.acl, *privilege));
    if allowed {
        return Ok(());
    }
    let message = format!("permission denied for sequence {}", sequence.name.name);
    Err(DatabaseError::new("42501", message))
}

/// What `nextval` needs: one of these.
pub const NEXT_PRIVILEGES: [Privilege; 2] = [Privilege::Usage, Privilege::Update];

/// `nextval`. Errors: 2200H at the end.
pub fn next(conn: &Connection, sequence: &Sequence) -> Result<i64, BackendError> {
    let value = read(conn, sequence)?.next(sequence)?;
    write(conn, sequence, value, true, "nextval()")?;
    Ok(value)
}

/// Gives values of sequences one after another to the rows of a statement. A sequence that gives several is read once and
/// written once, which [`put_back`](Taking::put_back) does: it must be called before anything else may look at sequences.
pub struct Taking<'c> {
    conn: &'c Connection,
    /// The sequence whose values are being given, and where it stands.
    open: Option<(Arc<Sequence>, State)>,
}

impl<'c> Taking<'c> {
    pub fn new(conn: &'c Connection) -> Self {
        Taking { conn, open: None }
    }

    pub fn conn(&self) -> &'c Connection {
        self.conn
    }

    /// `nextval`. Errors: 2200H at the end.
    pub fn next(&mut self, sequence: &Arc<Sequence>) -> Result<i64, BackendError> {
        let state = match self.open.take() {
            Some((known, state)) if known.name == sequence.name => state,
            other => {
                self.open = other;
                self.put_back()?;
                read(self.conn, sequence)?
            }
        };
        let value = state.next(sequence)?;
        self.open = Some((Arc::clone(sequence), State { value, called: true }));
        Ok(value)
    }

    /// Writes down how far the sequence has come. Errors: 25006 where nothing may be written.
    pub fn put_back(&mut self) -> Result<(), BackendError> {
        match self.open.take() {
            Some((sequence, state)) => write(self.conn, &sequence, state.value, state.called, "nextval()"),
            None => Ok(()),
        }
    }
}

impl State {
    /// Errors: 2200H.
    fn next(&self, sequence: &Sequence) -> Result<i64, DatabaseError> {
        match self.called {
            true => step(sequence, self.value),
            false => Ok(self.value),
        }
    }
}

/// `currval`, which here is the last value given to anyone. Errors: 55000 before the first.
pub fn current(conn: &Connection, sequence: &Sequence) -> Result<i64, BackendError> {
    let state = read(conn, sequence)?;
    if state.called {
        return Ok(state.value);
    }
    let message = format!(
        "currval of sequence \"{}\" is not yet defined in this session",
        sequence.name.name
    );
    Err(DatabaseError::new("55000", message).into())
}

/// `setval`; with `is_called` false `value` comes next. Errors: 22003 outside the sequence's bounds.
pub fn set(conn: &Connection, sequence: &Sequence, value: i64, is_called: bool) -> Result<(), BackendError> {
    if value < sequence.min || value > sequence.max {
        let message = format!(
            "setval: value {value} is out of bounds for sequence \"{}\" ({}..{})",
            sequence.name.name, sequence.min, sequence.max
        );
        return Err(DatabaseError::new("22003", message).into());
    }
    write(conn, sequence, value, is_called, "setval()")
}

fn step(sequence: &Sequence, last: i64) -> Result<i64, DatabaseError> {
    let next = last.checked_add(sequence.increment);
    let (bound, word, restart) = if sequence.increment > 0 {
        (sequence.max, "maximum", sequence.min)
    } else {
        (sequence.min, "minimum", sequence.max)
    };
    match next {
        Some(value) if (sequence.min..=sequence.max).contains(&value) => Ok(value),
        _ if sequence.cycle => Ok(restart),
        _ => {
            let name = &sequence.name.name;
            Err(DatabaseError::new(
                "2200H",
                format!("nextval: reached {word} value of sequence \"{name}\" ({bound})"),
            ))
        }
    }
}

fn read(conn: &Connection, sequence: &Sequence) -> Result<State, BackendError> {
    let mut statement = conn.prepare_cached(READ).map_err(|error| failed(&error))?;
    statement
        .query_row([&*sequence.name.schema, &*sequence.name.name], |row| {
            Ok(State {
                value: row.get(0)?,
                called: row.get(1)?,
            })
        })
        .map_err(|error| failed(&error))
}

fn write(conn: &Connection, sequence: &Sequence, value: i64, called: bool, function: &str) -> Result<(), BackendError> {
    let mut statement = conn.prepare_cached(WRITE).map_err(|error| failed(&error))?;
    statement
        .execute((&*sequence.name.schema, &*sequence.name.name, value, called))
        .map(|_| ())
        .map_err(|error| match error.sqlite_error_code() {
            Some(ErrorCode::ReadOnly) => {
                let message = format!("cannot execute {function} in a read-only transaction");
                DatabaseError::new("25006", message).into()
            }
            _ => failed(&error),
        })
}

fn failed(error: &rusqlite::Error) -> BackendError {
    BackendError::Internal(format!("a sequence could not be read or moved: {error}"))
}

//! An engine on a throw-away file with one table.

use std::path::Path;
use std::time::Duration;

use mainstay_backend_sqlite::Options;
use mainstay_backend_sqlite::connection::Allowance;
use mainstay_backend_sqlite::engine::{Engine, Tried};
use mainstay_core::catalog::{Catalog, Enforcement};
use mainstay_core::error::BackendError;
use mainstay_core::plan::Outcome;

/// Enough for everything but the tests of time.
pub const PLENTY: Allowance = Allowance {
    time: Duration::from_secs(30),
    cost: None,
};

/// The engine on `path`, with the table `t (id, who)`.
pub fn open(path: &Path) -> Engine {
    open_with(Options::at(path))
}

/// The same with options of its own.
pub fn open_with(options: Options) -> Engine {
    Engine::open(options, |connection| {
        connection
            .execute_batch(
                "CREATE TABLE IF NOT EXISTS t (id INTEGER PRIMARY KEY, who TEXT) STRICT;
                 CREATE TABLE IF NOT EXISTS _ms_meta (name TEXT NOT NULL PRIMARY KEY, value TEXT NOT NULL) STRICT;
                 INSERT OR IGNORE INTO _ms_meta VALUES ('catalog_version', '0');",
            )
            .map_err(|error| BackendError::Internal(error.to_string()))?;
        Ok(Catalog::empty(Enforcement::Catalog))
    })
    .unwrap()
}

/// Runs one statement as a write.
pub async fn write(engine: &Engine, sql: &'static str) -> Result<Outcome, BackendError> {
    write_for(engine, sql, PLENTY).await
}

/// The same within limits.
pub async fn write_for(engine: &Engine, sql: &'static str, allowed: Allowance) -> Result<Outcome, BackendError> {
    let work = Box::new(move |connection: &rusqlite::Connection| {
        let affected = connection
            .prepare_cached(sql)
            .and_then(|mut statement| statement.execute([]));
        match affected {
            Ok(affected) => Ok(Outcome {
                affected: affected as u64,
                ..Outcome::default()
            }),
            Err(error) => {
                let catalog = Catalog::empty(Enforcement::Catalog);
                Err(mainstay_backend_sqlite::errors::refusal(&catalog, None, sql, &error))
            }
        }
    });
    engine.write(0, allowed, false, work).await
}

/// Inserts one row.
pub async fn insert(engine: &Engine, id: i64, who: &str) -> Result<Outcome, BackendError> {
    let who = who.to_owned();
    let work = Box::new(move |connection: &rusqlite::Connection| {
        connection
            .prepare_cached("INSERT INTO t (id, who) VALUES (?1, ?2)")
            .and_then(|mut statement| statement.execute((id, &who)))
            .map(|_| Outcome {
                affected: 1,
                ..Outcome::default()
            })
            .map_err(|error| {
                let catalog = Catalog::empty(Enforcement::Catalog);
                mainstay_backend_sqlite::errors::refusal(&catalog, None, "INSERT", &error)
            })
    });
    engine.write(0, PLENTY, false, work).await
}

/// One number, read on this thread.
pub fn number(engine: &Engine, sql: &str) -> i64 {
    let tried = engine.read_here(None, |reader| {
        reader
            .connection()
            .query_row(sql, [], |row| row.get(0))
            .map_err(|error| BackendError::Internal(error.to_string()))
    });
    match tried {
        Tried::Done(result) => result.unwrap(),
        Tried::TooLong => panic!("the read was long"),
    }
}

/// The SQLSTATE of a refusal.
pub fn sqlstate(error: &BackendError) -> &str {
    match error {
        BackendError::Refused(error) => &error.sqlstate,
        other => panic!("not a refusal: {other:?}"),
    }
}

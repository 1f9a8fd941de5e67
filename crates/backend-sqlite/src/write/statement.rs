//! One statement of a write: its text, its placeholders, and running it on the writer's connection.

use mainstay_core::error::BackendError;
use rusqlite::types::Value as Scalar;
use rusqlite::{CachedStatement, Connection, Row};

use crate::emit::binds::{Bind, BindError, Sources, bind_all};
use crate::routine::running;

/// SQL and what stands behind its placeholders. Connections keep it prepared under its text.
#[derive(Debug)]
pub struct Prepared {
    sql: String,
    binds: Vec<Bind>,
    /// It reads tables and calls routines between its rows.
    scans: bool,
}

impl From<(String, Vec<Bind>)> for Prepared {
    fn from((sql, binds): (String, Vec<Bind>)) -> Self {
        Prepared {
            sql,
            binds,
            scans: false,
        }
    }
}

impl Prepared {
    /// The text.
    pub fn sql(&self) -> &str {
        &self.sql
    }

    /// Says whether it reads tables and calls routines between its rows, which then may not write.
    pub fn scanning(self, scans: bool) -> Self {
        Prepared { scans, ..self }
    }

    /// True if it calls routines that are run.
    pub fn runs_routine(&self) -> bool {
        self.binds.iter().any(|bind| matches!(bind, Bind::Routine(_)))
    }

    /// Runs it and gives its first row's value, if there is a row.
    pub fn one<T>(
        &self,
        conn: &Connection,
        sources: &Sources<'_>,
        read: impl FnOnce(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Option<T>, BackendError> {
        let mut statement = self.ready(conn, sources)?;
        let mut rows = statement.raw_query();
        match rows.next().map_err(|error| self.failed(&error))? {
            Some(row) => read(row).map(Some).map_err(|error| self.failed(&error)),
            None => Ok(None),
        }
    }

    /// Runs it and reads every row.
    pub fn all<T>(
        &self,
        conn: &Connection,
        sources: &Sources<'_>,
        read: impl FnMut(&Row<'_>) -> Result<T, BackendError>,
    ) -> Result<Vec<T>, BackendError> {
        match self.scans {
            true => running::scanning(|| self.each(conn, sources, read)),
            false => self.each(conn, sources, read),
        }
    }

    fn each<T>(
        &self,
        conn: &Connection,
        sources: &Sources<'_>,
        mut read: impl FnMut(&Row<'_>) -> Result<T, BackendError>,
    ) -> Result<Vec<T>, BackendError> {
        let mut statement = self.ready(conn, sources)?;
        let mut rows = statement.raw_query();
        let mut found = Vec::new();
        while let Some(row) = rows.next().map_err(|error| self.failed(&error))? {
            found.push(read(row)?);
        }
        Ok(found)
    }

    /// Prepares it, or takes it from the connection's cache, and binds its placeholders.
    pub fn ready<'c>(&self, conn: &'c Connection, sources: &Sources<'_>) -> Result<CachedStatement<'c>, BackendError> {
        let mut statement = conn.prepare_cached(&self.sql).map_err(|error| self.failed(&error))?;
        bind_all(&mut statement, &self.binds, sources).map_err(|error| self.refused(error))?;
        Ok(statement)
    }

    /// An error of a statement that writes nothing.
    pub fn failed(&self, error: &rusqlite::Error) -> BackendError {
        // No relation is written, so the catalog has no names to add.
        crate::errors::refusal(&EMPTY, None, &self.sql, error)
    }

    fn refused(&self, error: BindError) -> BackendError {
        match error {
            BindError::Refused(refusal) => BackendError::Refused(refusal),
            BindError::Engine(error) => self.failed(&error),
            BindError::Bug(text) => BackendError::Internal(text.to_owned()),
        }
    }
}

static EMPTY: std::sync::LazyLock<mainstay_core::catalog::Catalog> =
    std::sync::LazyLock::new(|| mainstay_core::catalog::Catalog::empty(mainstay_core::catalog::Enforcement::Catalog));

/// The values of a row's columns from `from` on.
pub fn scalars(row: &Row<'_>, from: usize, count: usize) -> rusqlite::Result<Vec<Scalar>> {
    (from..from + count).map(|index| row.get(index)).collect()
}

//! PostgreSQL's side of a move: all rows out, or all rows in, by `COPY`.
//!
//! | module | what |
//! |---|---|
//! | [`export`] | rows as text, in the order of their places in the table, from one snapshot |
//! | [`leaving`] | what is recorded while others write to the source, and holding their writes |
//! | [`keys`] | rows by their keys |
//! | [`import`] | rows in, with the record that lets a move go on |
//! | [`text`] | the lines of COPY's text format; arrays |
//!
//! Not here: the order of a move and its proof (`ops`), making the schema (`migrate`).
//!
//! Source: PostgreSQL 15 manual, COPY (file formats, text format).

mod export;
mod import;
mod keys;
pub mod leaving;
mod text;

use mainstay_core::backend::BoxFuture;
use mainstay_core::error::BackendError;
use mainstay_core::transfer::{Arrival, Export, Import, Leaving, Transfer};

use crate::backend::PostgresBackend;
use crate::bootstrap;
use crate::decode::text_field;
use crate::errors::unreachable;
use crate::wire::{CopyConnection, StepReply, Target};

/// What a session that copies is set to: one form of every value whatever the database's settings, no row left out
/// without an error (`row_security`), rows in the order of their places (`synchronize_seqscans`, no parallel workers),
/// and reading on in the middle of a table instead of passing over its beginning (`enable_seqscan`).
const SETTINGS: &str = "SET search_path = pg_catalog; SET TimeZone = 'UTC'; SET DateStyle = 'ISO'; \
    SET IntervalStyle = 'postgres'; SET extra_float_digits = 1; SET bytea_output = 'hex'; SET row_security = off; \
    SET synchronize_seqscans = off; SET enable_seqscan = off; SET max_parallel_workers_per_gather = 0; \
    SET statement_timeout = 0; SET idle_in_transaction_session_timeout = 0; SET client_min_messages = warning;";

async fn connect(target: &Target) -> Result<CopyConnection, BackendError> {
    let opened = CopyConnection::open(target).await;
    let mut connection = opened.map_err(|error| unreachable(&error))?;
    connection.run(SETTINGS).await?;
    Ok(connection)
}

/// The text in the first column of the first row of the last statement.
fn single(steps: &[StepReply]) -> Option<String> {
    let row = steps.last()?.rows.first()?;
    text_field(row, 0).ok().flatten().map(str::to_owned)
}

/// The texts of a statement's rows; null is empty.
fn table(step: Option<&StepReply>, columns: usize) -> Vec<Vec<String>> {
    let cell = |row: &[u8], index| text_field(row, index).ok().flatten().unwrap_or_default().to_owned();
    let rows = step.map(|step| step.rows.as_slice()).unwrap_or_default();
    rows.iter()
        .map(|row| (0..columns).map(|index| cell(row, index)).collect())
        .collect()
}

impl Transfer for PostgresBackend {
    fn export<'a>(&'a self) -> BoxFuture<'a, Result<Box<dyn Export>, BackendError>> {
        Box::pin(async move {
            let export = export::TableExport::begin(&self.inner.target).await?;
            Ok(Box::new(export) as Box<dyn Export>)
        })
    }

    fn import<'a>(&'a self, source: &'a str) -> BoxFuture<'a, Result<Box<dyn Import>, BackendError>> {
        Box::pin(async move {
            // A database that was left as it is has these only once they are needed, and what they hold moves too.
            let exclusive = self.inner.pool.exclusive().await?;
            bootstrap::make_own_tables(exclusive.connection()).await?;
            exclusive.release();
            self.inner.reload().await?;
            let import = import::TableImport::begin(&self.inner.target, source).await?;
            Ok(Box::new(import) as Box<dyn Import>)
        })
    }

    fn arrival<'a>(&'a self) -> BoxFuture<'a, Result<Option<Arrival>, BackendError>> {
        Box::pin(async move {
            let mut connection = connect(&self.inner.target).await?;
            import::arrival(&mut connection).await
        })
    }

    fn leaving(&self) -> &dyn Leaving {
        self
    }
}

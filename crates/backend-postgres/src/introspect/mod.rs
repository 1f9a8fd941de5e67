//! Reads PostgreSQL's system catalogs into [`Catalog`].
//!
//! Lives here: the queries ([`queries`]), their rows ([`rows`]), types ([`types`]), where a view's columns come from
//! ([`views`]), and putting it together ([`assemble`]).
//! Not here: what the catalog means for a request (`core`, `data`).
//! All queries go out as one burst in one snapshot, so the catalog is of one moment.

mod assemble;
mod queries;
mod routines;
mod rows;
mod types;
mod views;

#[cfg(test)]
mod tests;

pub use assemble::privilege;

use std::collections::{HashMap, HashSet};
use std::hash::{DefaultHasher, Hasher};
use std::sync::Arc;

use mainstay_core::catalog::Catalog;
use mainstay_core::error::{BackendError, DatabaseError};
use mainstay_core::name::Ident;
use serde::de::DeserializeOwned;

use crate::decode::text_field;
use crate::errors::{closed, refused};
use crate::wire::{Connection, StatementText, Step, StepReply};

/// What introspection finds beside the catalog.
#[derive(Clone, Debug, Default)]
pub struct Surroundings {
    /// `ALTER ROLE … SET`: settings to send with every transaction of that role.
    pub role_settings: HashMap<Ident, Vec<(String, String)>>,
    /// Some routine or view mentions `response.headers` or `response.status`.
    pub sets_response: bool,
    pub server: rows::Server,
    /// The same for the same answers of the system catalogs, in whatever order their rows came.
    pub fingerprint: u64,
}

/// Reads everything but the time zones.
pub async fn introspect(connection: &Connection) -> Result<(Catalog, Surroundings), BackendError> {
    let texts: Vec<StatementText> = queries::ALL.iter().map(|sql| StatementText::new(*sql)).collect();
    let steps: Vec<Step<'_>> = texts
        .iter()
        .map(|statement| Step {
            statement,
            parameters: &[],
            formats: &[],
        })
        .collect();
    let parsed = connection.send(&steps).map_err(closed)?.wait().await.map_err(closed)?;
    if let Some(error) = parsed.error {
        return Err(refused(error));
    }
    let answers = Answers { steps: parsed.steps };
    let (catalog, mut surroundings) = assemble::assemble(&answers)?;
    surroundings.fingerprint = answers.fingerprint();
    Ok((catalog, surroundings))
}

/// The database's time zone names. Slow (it reads the zone files), so it is asked once per process.
pub async fn time_zones(connection: &Connection) -> Result<Arc<HashSet<String>>, BackendError> {
    let statement = StatementText::new("SELECT name FROM pg_catalog.pg_timezone_names");
    let step = Step {
        statement: &statement,
        parameters: &[],
        formats: &[],
    };
    let parsed = connection.send(&[step]).map_err(closed)?.wait().await.map_err(closed)?;
    if let Some(error) = parsed.error {
        return Err(refused(error));
    }
    let rows = parsed
        .steps
        .first()
        .map(|step| step.rows.as_slice())
        .unwrap_or_default();
    let names = rows
        .iter()
        .filter_map(|row| text_field(row, 0).ok().flatten().map(str::to_owned))
        .collect();
    Ok(Arc::new(names))
}

/// The answers, by the position of their query in [`queries::ALL`].
struct Answers {
    steps: Vec<StepReply>,
}

impl Answers {
    /// Rows of one query are added up, so that their order does not matter; the system catalogs promise none.
    fn fingerprint(&self) -> u64 {
        let mut whole = DefaultHasher::new();
        for step in &self.steps {
            let rows = step.rows.iter().map(|row| {
                let mut hasher = DefaultHasher::new();
                hasher.write(row);
                hasher.finish()
            });
            whole.write_u64(rows.fold(0, u64::wrapping_add));
        }
        whole.finish()
    }

    /// The rows of query `index`, each a JSON object in its only column.
    fn rows<T: DeserializeOwned>(&self, index: usize) -> Result<Vec<T>, BackendError> {
        let step = self
            .steps
            .get(index)
            .ok_or_else(|| unreadable("an answer is missing"))?;
        step.rows
            .iter()
            .map(|row| {
                let text = text_field(row, 0)
                    .ok()
                    .flatten()
                    .ok_or_else(|| unreadable("a row is null"))?;
                serde_json::from_str(text).map_err(|error| unreadable(&format!("query {index}: {error}")))
            })
            .collect()
    }
}

fn unreadable(what: &str) -> BackendError {
    BackendError::from(DatabaseError::new(
        "XX000",
        format!("the database's catalog cannot be read: {what}"),
    ))
}

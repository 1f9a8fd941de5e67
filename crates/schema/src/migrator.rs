//! Compares the project's migrations with the database's record and applies the rest.

use std::collections::HashMap;
use std::sync::Arc;

use mainstay_core::backend::{AppliedMigration, Backend, CheckedMigration, Migration, QueryMode, Watch};
use mainstay_core::catalog::Enforcement;

use crate::error::Error;
use crate::files::{Only, Project, has_statement, only};

/// Where a migration stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    Applied,
    Pending,
    /// Not applied, and there is nothing in it yet: a file that was just begun.
    Empty,
    /// Applied, but the file's text has changed since.
    Edited,
    /// Applied, but the project has no such file.
    Missing,
    /// For the other kind of engine.
    NotForThisEngine,
}

/// One line of `mainstay migrate status`.
#[derive(Clone, Debug)]
pub struct Status {
    pub version: String,
    pub name: String,
    pub state: State,
}

/// Applies a project's migrations to one database.
pub struct Migrator {
    backend: Arc<dyn Backend>,
    project: Project,
}

impl Migrator {
    /// A migrator of `project` on `backend`.
    pub fn new(backend: Arc<dyn Backend>, project: Project) -> Self {
        Migrator { backend, project }
    }

    /// Every migration that the project or the database knows, by version.
    pub async fn status(&self) -> Result<Vec<Status>, Error> {
        let files = self.project.migrations()?;
        let applied = self.backend.migrations().await?;
        Ok(self.compare(&files, &applied))
    }

    /// The migrations still to apply, in order; files without a statement wait until they have one.
    ///
    /// Errors: `Edited`, `Missing` when the record and the files disagree; `OutOfOrder` unless `include_all`.
    pub async fn pending(&self, include_all: bool) -> Result<Vec<Migration>, Error> {
        let files = self.project.migrations()?;
        let applied = self.backend.migrations().await?;
        let last = applied
            .iter()
            .map(|migration| migration.version.clone())
            .max()
            .unwrap_or_default();
        let mut states = HashMap::new();
        for status in self.compare(&files, &applied) {
            match status.state {
                State::Edited => return Err(Error::Edited(status.version)),
                State::Missing => return Err(Error::Missing(status.version)),
                State::Pending if status.version < last && !include_all => {
                    return Err(Error::OutOfOrder(status.version, last));
                }
                state => states.insert(status.version, state),
            };
        }
        let is_pending = |migration: &Migration| states.get(&migration.version) == Some(&State::Pending);
        Ok(files.into_iter().filter(is_pending).collect())
    }

    /// Applies what is pending, one transaction each, and stops at the first failure. `progress` hears of each before
    /// it begins: position from 1, how many in all, the migration. Returns how many were applied.
    pub async fn up(&self, include_all: bool, progress: impl FnMut(usize, usize, &Migration)) -> Result<usize, Error> {
        self.up_watched(include_all, progress, Arc::new(|_| {})).await
    }

    /// The same; `watch` hears how far long changes of rows have come.
    pub async fn up_watched(
        &self,
        include_all: bool,
        mut progress: impl FnMut(usize, usize, &Migration),
        watch: Watch,
    ) -> Result<usize, Error> {
        let pending = self.pending(include_all).await?;
        for (position, migration) in pending.iter().enumerate() {
            progress(position + 1, pending.len(), migration);
            let done = self.backend.migrate_watched(migration, Arc::clone(&watch)).await;
            done.map_err(|error| Error::Failed {
                version: migration.version.clone(),
                name: migration.name.clone(),
                error,
            })?;
        }
        Ok(pending.len())
    }

    /// Runs the seed files, in order, if no user table has a row. Returns the files run.
    pub async fn seed_if_empty(&self, paths: &[String]) -> Result<usize, Error> {
        let seeds = self.project.seeds(paths)?;
        if seeds.is_empty() || !self.backend.is_empty().await? {
            return Ok(0);
        }
        for (path, text) in &seeds {
            self.backend
                .query(None, text, QueryMode::ReadWrite)
                .await
                .map_err(|error| Error::SeedFailed {
                    path: path.clone(),
                    error,
                })?;
        }
        Ok(seeds.len())
    }

    /// What stands in the way of each migration that has not been applied, without keeping anything.
    pub async fn check(&self) -> Result<Vec<CheckedMigration>, Error> {
        let files = self.project.migrations()?;
        let applied = self.backend.migrations().await?;
        let is_new = |file: &Migration| !applied.iter().any(|record| record.version == file.version);
        let open: Vec<Migration> = files
            .into_iter()
            .filter(|file| self.is_for_this_engine(file) && is_new(file))
            .collect();
        Ok(self.backend.check(&open).await)
    }

    /// The migrations that are for the other kind of engine.
    pub fn left_out(&self) -> Result<Vec<Migration>, Error> {
        let files = self.project.migrations()?;
        Ok(files
            .into_iter()
            .filter(|file| !self.is_for_this_engine(file))
            .collect())
    }

    fn is_for_this_engine(&self, migration: &Migration) -> bool {
        let embedded = self.backend.catalog().enforcement == Enforcement::Catalog;
        match only(&migration.sql) {
            None => true,
            Some(Only::Postgres) => !embedded,
            Some(Only::Embedded) => embedded,
        }
    }

    fn compare(&self, files: &[Migration], applied: &[AppliedMigration]) -> Vec<Status> {
        let recorded: HashMap<&str, &AppliedMigration> = applied
            .iter()
            .map(|migration| (migration.version.as_str(), migration))
            .collect();
        let mut found: Vec<Status> = files
            .iter()
            .map(|file| {
                let state = match recorded.get(file.version.as_str()) {
                    Some(record) if is_edited(file, record) => State::Edited,
                    Some(_) => State::Applied,
                    None if !self.is_for_this_engine(file) => State::NotForThisEngine,
                    None if !has_statement(&file.sql) => State::Empty,
                    None => State::Pending,
                };
                Status {
                    version: file.version.clone(),
                    name: file.name.clone(),
                    state,
                }
            })
            .collect();
        let gone = applied
            .iter()
            .filter(|record| !files.iter().any(|file| file.version == record.version));
        found.extend(gone.map(|record| Status {
            version: record.version.clone(),
            name: record.name.clone(),
            state: State::Missing,
        }));
        found.sort_by(|a, b| a.version.cmp(&b.version));
        found
    }
}

/// Compares without blanks and semicolons: the Supabase command line records the statements apart, not the file.
fn is_edited(file: &Migration, record: &AppliedMigration) -> bool {
    let significant = |text: &str| -> String { text.chars().filter(|c| !c.is_whitespace() && *c != ';').collect() };
    record
        .sql
        .as_ref()
        .is_some_and(|sql| significant(sql) != significant(&file.sql))
}

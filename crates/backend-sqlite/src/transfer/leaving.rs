//! The mover's side, on a file that another process may be serving.

use std::time::{Duration, Instant};

use mainstay_core::backend::BoxFuture;
use mainstay_core::catalog::Relation;
use mainstay_core::error::{BackendError, DatabaseError};
use mainstay_core::transfer::{Departure, Hold, Leaving};
use rusqlite::Connection;

use crate::backend::SqliteBackend;
use crate::connection::{FileLock, OpenError};
use crate::departure::control;

/// How long the process that serves may take to say that it records: it looks every second.
const SEEN_WAIT: Duration = Duration::from_secs(15);

/// How often is looked.
const SEEN_LOOK: Duration = Duration::from_millis(20);

impl SqliteBackend {
    async fn control<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Connection) -> Result<T, BackendError> + Send + 'static,
    ) -> Result<T, BackendError> {
        self.engine.task(work).await?
    }

    /// Waits until the process that serves records, if there is one. One that starts later reads the file first.
    async fn wait_until_seen(&self) -> Result<(), BackendError> {
        let begun = Instant::now();
        loop {
            if self.control(|connection| control::is_seen(connection)).await? {
                return Ok(());
            }
            match FileLock::take(&self.engine.shared.options.path) {
                Ok(_) => return Ok(()),
                Err(OpenError::InUse { .. }) => {}
                Err(error) => return Err(BackendError::Internal(error.to_string())),
            }
            if begun.elapsed() > SEEN_WAIT {
                let message = "the process that has the data file does not record what is written";
                let hint = "It may be an older Mainstay: stop it, or start this version in its place.";
                return Err(DatabaseError::new("55006", message).hint(hint).into());
            }
            tokio::time::sleep(SEEN_LOOK).await;
        }
    }
}

impl Leaving for SqliteBackend {
    fn departure<'a>(&'a self) -> BoxFuture<'a, Result<Option<Departure>, BackendError>> {
        Box::pin(self.control(|connection| control::departure(connection)))
    }

    fn depart<'a>(&'a self, target: &'a str, _: &'a [&'a Relation]) -> BoxFuture<'a, Result<Departure, BackendError>> {
        Box::pin(async move {
            let (target, version) = (target.to_owned(), self.engine.shared.catalog_version());
            let departure = self
                .control(move |connection| control::depart(connection, &target, version))
                .await?;
            self.wait_until_seen().await?;
            Ok(departure)
        })
    }

    fn hold<'a>(&'a self, time: Duration) -> BoxFuture<'a, Result<Hold, BackendError>> {
        Box::pin(self.control(move |connection| control::hold(connection, time)))
    }

    fn renew<'a>(&'a self, hold: &'a Hold, time: Duration) -> BoxFuture<'a, Result<(), BackendError>> {
        let hold = hold.clone();
        Box::pin(self.control(move |connection| control::renew(connection, &hold, time)))
    }

    fn release<'a>(&'a self, hold: &'a Hold) -> BoxFuture<'a, Result<(), BackendError>> {
        let hold = hold.clone();
        Box::pin(self.control(move |connection| control::release(connection, &hold)))
    }

    fn confirm<'a>(&'a self, hold: &'a Hold, mark: &'a str) -> BoxFuture<'a, Result<(), BackendError>> {
        let (hold, mark) = (hold.clone(), mark.to_owned());
        Box::pin(self.control(move |connection| control::confirm(connection, &hold, &mark)))
    }

    fn abandon<'a>(&'a self) -> BoxFuture<'a, Result<Option<Departure>, BackendError>> {
        Box::pin(self.control(control::abandon))
    }
}

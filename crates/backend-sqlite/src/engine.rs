//! One data file with the threads that work on it.
//!
//! Lives here: starting and stopping, handing work to the writer, choosing where a read runs.
//! Not here: what the work is.

use std::sync::{Arc, Mutex};

use mainstay_core::catalog::Catalog;
use mainstay_core::error::BackendError;
use mainstay_core::plan::Outcome;
use rusqlite::Connection;
use tokio::sync::oneshot;

use crate::connection::{self, Allowance, Budget, FileLock, OpenError, Options, Purpose, Spent};
use crate::keeper::Keeper;
use crate::reader::{ReadThreads, Reader, Slots};
use crate::shared::Shared;
use crate::writer::{Request, Work, Writer};

/// Virtual machine steps that a read may take on the thread that asks: a few milliseconds.
const STEPS_HERE_MAX: u64 = 100_000;

/// An open data file.
#[derive(Debug)]
pub struct Engine {
    pub shared: Arc<Shared>,
    writer: Writer,
    threads: ReadThreads,
    keeper: Arc<Keeper>,
    lock: Mutex<Option<FileLock>>,
}

/// What became of a read on the thread that asks.
pub enum Tried<T> {
    Done(Result<T, BackendError>),
    /// It needs more steps than are given here, or there is no connection for this thread.
    TooLong,
}

impl Engine {
    /// Opens the file, makes it if it is not there, and starts the threads. `load` prepares the file and reads its
    /// catalog.
    pub fn open(
        options: Options,
        load: impl FnOnce(&mut Connection) -> Result<Catalog, BackendError>,
    ) -> Result<Self, OpenError> {
        if let Some(folder) = options.path.parent() {
            std::fs::create_dir_all(folder).map_err(|error| OpenError::File {
                path: options.path.clone(),
                reason: error.to_string(),
            })?;
        }
        let lock = match options.is_beside {
            false => FileLock::take(&options.path)?,
            true => FileLock::take_move(&options.path)?,
        };
        let budget = Arc::new(Budget::default());
        let mut writer = connection::open(&options, Purpose::Write, &budget)
            .map_err(|error| OpenError::sqlite(&options.path, &error))?;
        let catalog = load(&mut writer).map_err(|error| {
            let reason = match &error {
                BackendError::Internal(text) => text.clone(),
                other => other.to_string(),
            };
            OpenError::Catalog {
                path: options.path.clone(),
                reason,
            }
        })?;
        let moving = connection::open(&options, Purpose::Checkpoint, &Arc::default())
            .map_err(|error| OpenError::sqlite(&options.path, &error))?;
        let keeper = Keeper::watching(&mut writer).map_err(|error| OpenError::sqlite(&options.path, &error))?;
        let shared = Arc::new(Shared::new(options, catalog));
        let writer = Writer::start(writer, budget, Arc::clone(&shared), Arc::clone(&keeper))?;
        keeper.start(moving, Arc::clone(&shared))?;
        let threads = ReadThreads::start(&shared)?;
        Ok(Engine {
            shared,
            writer,
            threads,
            keeper,
            lock: Mutex::new(Some(lock)),
        })
    }

    /// Runs `work` in a savepoint of the writer's transaction and answers when it is on disk.
    pub async fn write(
        &self,
        catalog_version: u64,
        allowance: Allowance,
        rollback: bool,
        work: Work,
    ) -> Result<Outcome, BackendError> {
        let (answer, answered) = oneshot::channel();
        self.writer.submit(Request {
            work,
            rollback,
            allowance,
            catalog_version,
            answer,
        })?;
        answered.await.map_err(|_| BackendError::Unavailable {
            reason: "the database is closed".into(),
        })?
    }

    /// Gives the writing connection to `task`, outside any transaction.
    pub async fn task<T: Send + 'static>(
        &self,
        task: impl FnOnce(&mut Connection) -> T + Send + 'static,
    ) -> Result<T, BackendError> {
        self.writer.task(task).await
    }

    /// Runs a read on this thread, unless it turns out to be long; whether it costs too much is found out there then.
    pub fn read_here<T>(
        &self,
        cost_max: Option<u64>,
        read: impl FnOnce(&mut Reader) -> Result<T, BackendError>,
    ) -> Tried<T> {
        let mut long = false;
        let steps = connection::steps_of(cost_max).unwrap_or(u64::MAX).min(STEPS_HERE_MAX);
        let result = Slots::on_this_thread(&self.shared, |reader| {
            reader.budget.allow_steps(steps);
            let result = read(reader);
            long = reader.budget.spent() == Some(Spent::Steps);
            result
        });
        match result {
            Some(Err(_)) if long => Tried::TooLong,
            Some(result) => Tried::Done(result),
            None => Tried::TooLong,
        }
    }

    /// Runs a read on a reader thread. Errors: 57014 and `TooCostly` beyond `allowance`, `Busy`.
    pub async fn read_there<T: Send + 'static>(
        &self,
        allowance: Allowance,
        read: impl FnOnce(&mut Reader) -> Result<T, BackendError> + Send + 'static,
    ) -> Result<T, BackendError> {
        self.threads
            .run(&self.shared, move |reader| {
                reader.budget.allow(allowance);
                let result = read(reader);
                let spent = reader.budget.spent();
                reader.budget.lift();
                match spent {
                    Some(spent) if result.is_err() => Err(allowance.refusal(spent)),
                    _ => result,
                }
            })
            .await
    }

    /// Finishes what was taken on and lets go of the file. Blocks; a second call does nothing.
    pub fn close(&self) {
        self.writer.stop();
        self.shared.close();
        self.threads.stop();
        self.keeper.stop();
        self.shared.slots.close();
        if let Ok(mut lock) = self.lock.lock() {
            lock.take();
        }
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.close();
    }
}

//! Reads: short ones on the thread that asks, others on threads of their own.
//!
//! Each thread that asks gets a connection of its own, bound to it. The connection's read transaction stays open until
//! the process's commit counter moves: opening one costs more than reading a row. The connections stand in slots that
//! the writer and the keeper can reach, to release snapshots that keep the log from starting over.
//! Lives here: connections for reading, snapshots, prepared programs kept per connection, reader threads.
//! Not here: what a read does (`read`), whether it is short (`read::program`).
//! Invariant: a read that begins after a write was answered sees that write, on whatever connection.
//!
//! Source: `data-path.md` §4 (2) and (2b).

use std::cell::RefCell;
use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr::NonNull;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, TryLockError};
use std::thread::JoinHandle;
use std::time::Duration;

use mainstay_core::error::BackendError;
use rusqlite::Connection;
use tokio::sync::oneshot;

use crate::connection::{self, Budget, Purpose, register_collations};
use crate::errors;
use crate::read::prepared::Prepared;
use crate::schema::store::stored_version;
use crate::shared::Shared;
use crate::writer::panic_text;

/// Threads that may have a connection of their own; reads of further threads go to the reader threads.
const SLOTS_MAX: usize = 64;

/// Programs whose prepared statements a connection keeps.
const PROGRAMS_MAX: usize = 192;

/// How often a snapshot is taken again while a migration's catalog is not published, and how long is waited between.
const SNAPSHOT_TRIES_MAX: u32 = 200;
const SNAPSHOT_WAIT: Duration = Duration::from_micros(100);

/// A connection for reading with what is prepared on it.
pub struct Reader {
    /// Before `connection`, which its statements point into, so that it is dropped first.
    programs: HashMap<u64, Kept>,
    connection: Owned,
    pub budget: Arc<Budget>,
    /// The commit counter when the open snapshot was asked for.
    held: Option<u64>,
    uses: u64,
    /// Uses at the keeper's last look.
    uses_seen: u64,
    /// The catalog version that collations are registered and programs are prepared for.
    catalog_version: u64,
}

struct Kept {
    prepared: Prepared<'static>,
    used: u64,
}

/// A connection at an address that does not change, so that statements may point at it while their owner moves.
struct Owned(NonNull<Connection>);

impl Owned {
    fn new(connection: Connection) -> Self {
        Owned(NonNull::from(Box::leak(Box::new(connection))))
    }

    fn get(&self) -> &Connection {
        // SAFETY: the pointer came from a leaked box and is freed in `drop` only.
        unsafe { self.0.as_ref() }
    }
}

impl Owned {
    /// The same without a bound on the borrow.
    ///
    /// # Safety
    /// Nothing that borrows from it may outlive `self`.
    unsafe fn get_static(&self) -> &'static Connection {
        // SAFETY: see `get`; the caller keeps the bound.
        unsafe { self.0.as_ref() }
    }
}

impl Drop for Owned {
    fn drop(&mut self) {
        // SAFETY: made from a leaked box in `new`; nobody else frees it.
        drop(unsafe { Box::from_raw(self.0.as_ptr()) });
    }
}

// SAFETY: a connection and its statements may be used by any one thread at a time (SQLITE_THREADSAFE=1). They move and
// are borrowed together: `Reader` owns both and gives out neither beyond a `&mut self` borrow.
unsafe impl Send for Reader {}

impl std::fmt::Debug for Reader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reader")
            .field("held", &self.held)
            .field("uses", &self.uses)
            .finish_non_exhaustive()
    }
}

impl Reader {
    /// Opens a connection for reading.
    pub fn open(shared: &Shared) -> Result<Self, BackendError> {
        let budget = Arc::new(Budget::default());
        let connection = connection::open(&shared.options, Purpose::Read, &budget)
            .map_err(|error| errors::refusal(&shared.catalog(), None, "open a reader", &error))?;
        Ok(Reader {
            programs: HashMap::new(),
            connection: Owned::new(connection),
            budget,
            held: None,
            uses: 0,
            uses_seen: 0,
            catalog_version: 0,
        })
    }

    /// The connection itself, for reads that are not programs.
    pub fn connection(&self) -> &Connection {
        self.connection.get()
    }

    /// Opens a snapshot that has every commit acknowledged so far, unless the open one has. Its tables are those of
    /// [`Reader::catalog_version`].
    ///
    /// Errors: `StaleCatalog` where a migration has been committed and its catalog is not published in time.
    pub fn refresh(&mut self, shared: &Shared) -> Result<(), BackendError> {
        self.uses += 1;
        for _ in 0..SNAPSHOT_TRIES_MAX {
            self.follow_catalog(shared)?;
            // Read before BEGIN: a commit in between is in the snapshot, and costs one refresh too many.
            let commits = shared.commits();
            if self.held == Some(commits) {
                return Ok(());
            }
            self.release();
            let refusal = |error| errors::refusal(&shared.catalog(), None, "BEGIN", &error);
            self.control("BEGIN").map_err(refusal)?;
            // The first read takes the snapshot. A migration's tables are there from its COMMIT on, its catalog a moment
            // later: a plan of the old one must not meet the new tables.
            if stored_version(self.connection.get()).map_err(refusal)? == self.catalog_version {
                self.held = Some(commits);
                return Ok(());
            }
            self.release();
            std::thread::sleep(SNAPSHOT_WAIT);
        }
        Err(BackendError::StaleCatalog)
    }

    /// Errors: `StaleCatalog` for a program that was compiled for other tables than the snapshot's.
    pub fn expect_catalog(&self, version: u64) -> Result<(), BackendError> {
        match version == self.catalog_version {
            true => Ok(()),
            false => Err(BackendError::StaleCatalog),
        }
    }

    /// Lets go of what belongs to an older catalog than the one that is published.
    fn follow_catalog(&mut self, shared: &Shared) -> Result<(), BackendError> {
        let version = shared.catalog_version();
        if version == self.catalog_version {
            return Ok(());
        }
        self.programs.clear();
        // The new catalog is published before the commit counter moves: what is held may be older than its tables.
        self.release();
        register_collations(self.connection.get(), &shared.catalog())
            .map_err(|error| errors::refusal(&shared.catalog(), None, "register collations", &error))?;
        self.catalog_version = version;
        Ok(())
    }

    /// Ends the open snapshot.
    pub fn release(&mut self) {
        if self.held.take().is_none() && self.connection.get().is_autocommit() {
            return;
        }
        if let Err(error) = self.control("COMMIT") {
            tracing::warn!(%error, "cannot end a read snapshot");
        }
    }

    /// The prepared form of a program, made by `prepare` if this connection has none.
    pub fn prepared(
        &mut self,
        program: u64,
        prepare: impl FnOnce(&'static Connection) -> rusqlite::Result<Prepared<'static>>,
    ) -> rusqlite::Result<&mut Prepared<'static>> {
        if !self.programs.contains_key(&program) {
            if self.programs.len() >= PROGRAMS_MAX
                && let Some(oldest) = self
                    .programs
                    .iter()
                    .min_by_key(|(_, kept)| kept.used)
                    .map(|(id, _)| *id)
            {
                self.programs.remove(&oldest);
            }
            // SAFETY: the connection lives until `self` is dropped and stays where it is; `programs`, the only place that
            // keeps what borrows from it, is dropped before it, and is lent out for no longer than `self` is.
            let prepared = prepare(unsafe { self.connection.get_static() })?;
            self.programs.insert(
                program,
                Kept {
                    prepared,
                    used: self.uses,
                },
            );
        }
        let uses = self.uses;
        match self.programs.get_mut(&program) {
            Some(kept) => {
                kept.used = uses;
                Ok(&mut kept.prepared)
            }
            None => Err(rusqlite::Error::QueryReturnedNoRows),
        }
    }

    fn control(&self, statement: &str) -> rusqlite::Result<()> {
        self.connection.get().prepare_cached(statement)?.execute([]).map(|_| ())
    }
}

/// The connections that threads have been given.
#[derive(Debug, Default)]
pub struct Slots {
    list: Mutex<Vec<Arc<Slot>>>,
}

#[derive(Debug, Default)]
struct Slot {
    /// `None` before the first use and after closing.
    reader: Mutex<Option<Reader>>,
}

thread_local! {
    /// This thread's slots: backend id and slot.
    static MINE: RefCell<Vec<(u64, Arc<Slot>)>> = const { RefCell::new(Vec::new()) };
}

impl Slots {
    /// Runs `read` on this thread's connection with a fresh snapshot. `None`: this thread gets no connection.
    pub fn on_this_thread<T>(
        shared: &Shared,
        read: impl FnOnce(&mut Reader) -> Result<T, BackendError>,
    ) -> Option<Result<T, BackendError>> {
        let slot = Slots::mine(shared)?;
        let mut guard = lock(&slot.reader);
        if shared.is_closed() {
            return Some(Err(closed()));
        }
        let reader = match &mut *guard {
            Some(reader) => reader,
            empty => match Reader::open(shared) {
                Ok(reader) => empty.insert(reader),
                Err(error) => return Some(Err(error)),
            },
        };
        Some(run_on(reader, shared, read))
    }

    fn mine(shared: &Shared) -> Option<Arc<Slot>> {
        MINE.with_borrow_mut(|mine| {
            if let Some((_, slot)) = mine.iter().find(|(id, _)| *id == shared.id) {
                return Some(Arc::clone(slot));
            }
            // Slots of backends that are gone are held by this thread alone.
            mine.retain(|(_, slot)| Arc::strong_count(slot) > 1);
            let mut list = lock(&shared.slots.list);
            if list.len() >= SLOTS_MAX {
                // Threads that ended left their slots to the list alone.
                list.retain(|slot| Arc::strong_count(slot) > 1);
            }
            if list.len() >= SLOTS_MAX || shared.is_closed() {
                return None;
            }
            let slot = Arc::new(Slot::default());
            list.push(Arc::clone(&slot));
            mine.push((shared.id, Arc::clone(&slot)));
            Some(slot)
        })
    }

    /// Ends every held snapshot, waiting for reads in progress; those are short.
    pub fn release_all(&self) {
        for slot in lock(&self.list).iter() {
            if let Some(reader) = &mut *lock(&slot.reader) {
                reader.release();
            }
        }
    }

    /// Ends the snapshots of connections that were not used since the last call, and closes those of ended threads.
    pub fn release_idle(&self) {
        let mut list = lock(&self.list);
        list.retain(|slot| Arc::strong_count(slot) > 1);
        for slot in list.iter() {
            let mut guard = match slot.reader.try_lock() {
                Ok(guard) => guard,
                Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
                // In use is not idle.
                Err(TryLockError::WouldBlock) => continue,
            };
            let Some(reader) = &mut *guard else { continue };
            if reader.uses == reader.uses_seen {
                reader.release();
            }
            reader.uses_seen = reader.uses;
        }
    }

    /// Closes every connection.
    pub fn close(&self) {
        for slot in lock(&self.list).drain(..) {
            lock(&slot.reader).take();
        }
    }

    /// Connections that hold a snapshot now.
    pub fn held(&self) -> usize {
        let held = |slot: &&Arc<Slot>| lock(&slot.reader).as_ref().is_some_and(|reader| reader.held.is_some());
        lock(&self.list).iter().filter(held).count()
    }
}

fn run_on<T>(
    reader: &mut Reader,
    shared: &Shared,
    read: impl FnOnce(&mut Reader) -> Result<T, BackendError>,
) -> Result<T, BackendError> {
    let result = catch_unwind(AssertUnwindSafe(|| {
        reader.refresh(shared)?;
        read(reader)
    }))
    .unwrap_or_else(|panic| {
        let text = panic_text(&*panic);
        tracing::error!(panic = text, "a read panicked; the request is refused");
        Err(BackendError::Internal(text.to_owned()))
    });
    if result.is_err() {
        reader.release();
    }
    result
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Panics are caught inside `run_on`, and a reader found here is released before its next use.
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

fn closed() -> BackendError {
    BackendError::Unavailable {
        reason: "the database is closed".into(),
    }
}

type Job = Box<dyn FnOnce(&mut Reader) + Send>;

/// Threads for reads that may be long.
#[derive(Debug)]
pub struct ReadThreads {
    queue: Mutex<Option<SyncSender<Job>>>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

impl ReadThreads {
    /// Starts the threads.
    pub fn start(shared: &Arc<Shared>) -> std::io::Result<Self> {
        let (queue, jobs) = sync_channel::<Job>(shared.options.read_queue);
        let jobs = Arc::new(Mutex::new(jobs));
        let mut threads = Vec::new();
        for _ in 0..shared.options.read_threads.max(1) {
            let (jobs, shared) = (Arc::clone(&jobs), Arc::clone(shared));
            let thread = std::thread::Builder::new()
                .name("sqlite-reader".into())
                .stack_size(crate::routine::running::STACK_BYTES)
                .spawn(move || serve(&jobs, &shared))?;
            threads.push(thread);
        }
        Ok(ReadThreads {
            queue: Mutex::new(Some(queue)),
            threads: Mutex::new(threads),
        })
    }

    /// Runs `read` on one of the threads. Errors: `Busy` if too many wait.
    pub async fn run<T: Send + 'static>(
        &self,
        shared: &Arc<Shared>,
        read: impl FnOnce(&mut Reader) -> Result<T, BackendError> + Send + 'static,
    ) -> Result<T, BackendError> {
        let (answer, answered) = oneshot::channel();
        let state = Arc::clone(shared);
        let job: Job = Box::new(move |reader| {
            if !answer.is_closed() {
                // The client may have gone meanwhile.
                let _ = answer.send(run_on(reader, &state, read));
                // A thread that waits for work must not keep the log from starting over.
                reader.release();
            }
        });
        let sent = match &*lock(&self.queue) {
            Some(queue) => queue.try_send(job).map_err(|error| match error {
                TrySendError::Full(_) => BackendError::Busy,
                TrySendError::Disconnected(_) => closed(),
            }),
            None => Err(closed()),
        };
        sent?;
        answered.await.map_err(|_| closed())?
    }

    /// Finishes what is queued and ends the threads. Blocks.
    pub fn stop(&self) {
        lock(&self.queue).take();
        for thread in lock(&self.threads).drain(..) {
            if thread.join().is_err() {
                tracing::error!("a reader thread ended with a panic");
            }
        }
    }
}

fn serve(jobs: &Mutex<Receiver<Job>>, shared: &Shared) {
    let mut reader: Option<Reader> = None;
    loop {
        // The guard ends with this statement: the lock is held while waiting, not while reading.
        let job = lock(jobs).recv();
        let Ok(job) = job else { return };
        let open = match reader.take() {
            Some(open) => Ok(open),
            None => Reader::open(shared),
        };
        match open {
            Ok(mut open) => {
                job(&mut open);
                reader = Some(open);
            }
            // The job's answer is dropped with it, so whoever asked hears that.
            Err(error) => tracing::error!(%error, "cannot open a connection for reading"),
        }
    }
}

#[cfg(test)]
mod tests {
    use mainstay_core::catalog::Catalog;

    use super::*;
    use crate::connection::Options;
    use crate::schema;

    #[test]
    fn a_snapshot_waits_for_the_catalog_of_its_tables() {
        let folder = tempfile::tempdir().unwrap();
        let options = Options::at(folder.path().join("data.db"));
        let mut writer = connection::open(&options, Purpose::Write, &Arc::default()).unwrap();
        let catalog = schema::open(&mut writer).unwrap();
        let shared = Arc::new(Shared::new(options, catalog.clone()));
        let mut reader = Reader::open(&shared).unwrap();
        reader.refresh(&shared).unwrap();
        reader.expect_catalog(catalog.version).unwrap();

        // A migration's COMMIT has returned; somebody else's commit has moved the counter meanwhile.
        let after = schema::run_script(&mut writer, &Arc::new(catalog.clone()), "CREATE TABLE t (a int)").unwrap();
        assert!(after.version > catalog.version);
        shared.committed();
        let publisher = {
            let (shared, after) = (Arc::clone(&shared), after.clone());
            std::thread::spawn(move || {
                std::thread::sleep(Duration::from_millis(5));
                shared.publish(after);
            })
        };
        reader.refresh(&shared).unwrap();
        assert!(matches!(
            reader.expect_catalog(catalog.version),
            Err(BackendError::StaleCatalog)
        ));
        reader.expect_catalog(after.version).unwrap();
        publisher.join().unwrap();
    }

    #[test]
    fn a_catalog_that_is_never_published_makes_reads_stale() {
        let folder = tempfile::tempdir().unwrap();
        let options = Options::at(folder.path().join("data.db"));
        let mut writer = connection::open(&options, Purpose::Write, &Arc::default()).unwrap();
        let catalog = Arc::new(schema::open(&mut writer).unwrap());
        let shared = Shared::new(options, Catalog::clone(&catalog));
        let mut reader = Reader::open(&shared).unwrap();
        schema::run_script(&mut writer, &catalog, "CREATE TABLE t (a int)").unwrap();
        assert!(matches!(reader.refresh(&shared), Err(BackendError::StaleCatalog)));
    }
}

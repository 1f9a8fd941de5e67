//! Keeps the write-ahead log short and idle snapshots from standing in its way.
//!
//! A thread of its own moves pages from the log into the file beside the writer, so that the writer seldom pays for
//! it. The log can only start over when every page has been moved and no reader holds a snapshot older than that; under
//! steady load this never happens by itself, so above [`LOG_PAGES_MAX`] the writer releases the held snapshots between
//! two batches and moves the rest, which is little by then.
//! Not here: opening connections (`connection`), what a batch is (`writer`).
//!
//! Source: `data-path.md` §4 (2b) and (3); SQLite documentation, "Write-Ahead Logging", 6 (avoiding excessively large
//! WAL files).

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use rusqlite::Connection;
use rusqlite::hooks::Wal;

use crate::shared::Shared;

/// Pages of 4 KiB in the log since the last checkpoint that wake the keeper.
const CHECKPOINT_PAGES: u32 = 1_000;

/// Pages in the log above which the writer sees to it that the log starts over: 64 MiB.
const LOG_PAGES_MAX: u32 = 16_000;

/// Pages to wait before trying again, when a long read kept the log from starting over.
const LOG_PAGES_RETRY: u32 = 4_000;

/// A snapshot unused for one to two of these is released, and what is left in the log is moved.
const TICK: Duration = Duration::from_millis(500);

/// The log's length and the thread that shortens it.
#[derive(Debug)]
pub struct Keeper {
    /// Pages in the log after the last commit.
    pages: Arc<AtomicU32>,
    /// Pages at the last checkpoint.
    moved: AtomicU32,
    /// Pages at which the writer takes part.
    limit: AtomicU32,
    state: Mutex<State>,
    wake: Condvar,
    thread: Mutex<Option<JoinHandle<()>>>,
}

#[derive(Debug, Default)]
struct State {
    wanted: bool,
    stop: bool,
}

impl Keeper {
    /// Watches the log through the writer's connection. The thread starts with [`Keeper::start`].
    pub fn watching(writer: &mut Connection) -> rusqlite::Result<Arc<Self>> {
        let pages = Arc::new(AtomicU32::new(0));
        let seen = Arc::clone(&pages);
        writer.wal_hook(Some(move |_: &mut Wal, count: i32| {
            seen.store(u32::try_from(count).unwrap_or(0), Ordering::Relaxed);
            Ok(())
        }))?;
        Ok(Arc::new(Keeper {
            pages,
            moved: AtomicU32::new(0),
            limit: AtomicU32::new(LOG_PAGES_MAX),
            state: Mutex::default(),
            wake: Condvar::new(),
            thread: Mutex::new(None),
        }))
    }

    /// Starts the thread on a connection of its own.
    pub fn start(self: &Arc<Self>, connection: Connection, shared: Arc<Shared>) -> std::io::Result<()> {
        let keeper = Arc::clone(self);
        let thread = std::thread::Builder::new()
            .name("sqlite-keeper".into())
            .spawn(move || keeper.run(&connection, &shared))?;
        if let Ok(mut place) = self.thread.lock() {
            *place = Some(thread);
        }
        Ok(())
    }

    /// Ends the thread. Blocks for the checkpoint in progress.
    pub fn stop(&self) {
        if let Ok(mut state) = self.state.lock() {
            state.stop = true;
        }
        self.wake.notify_all();
        let thread = self.thread.lock().ok().and_then(|mut place| place.take());
        if thread.is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("the checkpoint thread ended with a panic");
        }
    }

    /// Called on the writer thread between batches.
    pub fn after_commit(&self, writer: &Connection, shared: &Shared) {
        let pages = self.pages.load(Ordering::Relaxed);
        if pages < self.moved.load(Ordering::Relaxed) {
            // The log has started over.
            self.moved.store(0, Ordering::Relaxed);
            self.limit.store(LOG_PAGES_MAX, Ordering::Relaxed);
        }
        if pages >= self.limit.load(Ordering::Relaxed) {
            shared.slots.release_all();
            match checkpoint(writer) {
                Ok(0) => self.limit.store(LOG_PAGES_MAX, Ordering::Relaxed),
                Ok(_) => self.limit.store(pages + LOG_PAGES_RETRY, Ordering::Relaxed),
                Err(error) => tracing::warn!(%error, "cannot move the log into the file"),
            }
            return self.moved.store(pages, Ordering::Relaxed);
        }
        if pages.saturating_sub(self.moved.load(Ordering::Relaxed)) >= CHECKPOINT_PAGES {
            if let Ok(mut state) = self.state.lock() {
                state.wanted = true;
            }
            self.wake.notify_one();
        }
    }

    fn run(&self, connection: &Connection, shared: &Shared) {
        loop {
            let wanted = {
                let Ok(mut state) = self.state.lock() else { return };
                if !state.wanted && !state.stop {
                    let Ok((woken, _)) = self.wake.wait_timeout(state, TICK) else {
                        return;
                    };
                    state = woken;
                }
                if state.stop {
                    return;
                }
                std::mem::take(&mut state.wanted)
            };
            if !wanted {
                shared.slots.release_idle();
            }
            let pages = self.pages.load(Ordering::Relaxed);
            if pages == self.moved.load(Ordering::Relaxed) {
                continue;
            }
            match checkpoint(connection) {
                Ok(_) => self.moved.store(pages, Ordering::Relaxed),
                Err(error) => tracing::warn!(%error, "cannot move the log into the file"),
            }
        }
    }
}

/// Moves what can be moved without waiting for anybody. Returns the pages that are left.
fn checkpoint(connection: &Connection) -> rusqlite::Result<i64> {
    let mut statement = connection.prepare_cached("PRAGMA wal_checkpoint(PASSIVE)")?;
    let (busy, pages, moved) = statement.query_row([], |row| {
        Ok((row.get::<_, bool>(0)?, row.get::<_, i64>(1)?, row.get::<_, i64>(2)?))
    })?;
    // Busy: another checkpoint is at work.
    Ok(if busy { pages.max(1) } else { pages - moved })
}

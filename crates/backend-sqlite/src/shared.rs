//! What the threads of one backend share: the commit counter, the catalog, the connections that hold snapshots.
//!
//! Not here: what a thread does (`writer`, `reader`, `keeper`).

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use mainstay_core::catalog::Catalog;

use crate::connection::Options;
use crate::emit::compiled::Compiled;
use crate::read::zone::Zone;
use crate::reader::Slots;

/// The state behind a `SqliteBackend`.
pub struct Shared {
    /// Tells backends of one process apart.
    pub id: u64,
    pub options: Options,
    /// Raised after every COMMIT and before its answers: a read that begins later sees the commit.
    commits: AtomicU64,
    /// The catalog with what has been analysed against it.
    compiled: RwLock<Arc<Compiled>>,
    /// The catalog's version, so that a hot path need not take the lock.
    catalog_version: AtomicU64,
    pub slots: Slots,
    closed: AtomicBool,
    foreign_writes: AtomicBool,
    moved_to: RwLock<Option<String>>,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared")
            .field("file", &self.options.path)
            .finish_non_exhaustive()
    }
}

static NEXT_ID: AtomicU64 = AtomicU64::new(1);

impl Shared {
    /// The state of a backend that has just opened its file.
    pub fn new(options: Options, mut catalog: Catalog) -> Self {
        catalog.time_zones = Zone::names();
        Shared {
            id: NEXT_ID.fetch_add(1, Ordering::Relaxed),
            options,
            commits: AtomicU64::new(0),
            catalog_version: AtomicU64::new(catalog.version),
            compiled: RwLock::new(Arc::new(Compiled::new(Arc::new(catalog)))),
            slots: Slots::default(),
            closed: AtomicBool::new(false),
            foreign_writes: AtomicBool::new(false),
            moved_to: RwLock::default(),
        }
    }

    /// Commits so far.
    pub fn commits(&self) -> u64 {
        self.commits.load(Ordering::Acquire)
    }

    /// Says that a COMMIT has returned.
    pub fn committed(&self) {
        self.commits.fetch_add(1, Ordering::Release);
    }

    /// The catalog as it is now.
    pub fn catalog(&self) -> Arc<Catalog> {
        Arc::clone(self.compiled().catalog())
    }

    /// The catalog as it is now, with what has been analysed against it.
    pub fn compiled(&self) -> Arc<Compiled> {
        // The lock guards one pointer: a panic cannot have left it half written.
        Arc::clone(&self.compiled.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// The version of [`Shared::catalog`].
    pub fn catalog_version(&self) -> u64 {
        self.catalog_version.load(Ordering::Acquire)
    }

    /// Puts a new catalog in place; called on the writer thread after its migration's COMMIT.
    pub fn publish(&self, mut catalog: Catalog) {
        catalog.time_zones = Zone::names();
        let version = catalog.version;
        let compiled = Arc::new(Compiled::new(Arc::new(catalog)));
        *self.compiled.write().unwrap_or_else(PoisonError::into_inner) = compiled;
        self.catalog_version.store(version, Ordering::Release);
        self.committed();
    }

    /// Says that somebody else has written to the file: held snapshots are old.
    pub fn found_foreign_writes(&self) {
        self.foreign_writes.store(true, Ordering::Relaxed);
        self.committed();
    }

    /// True if somebody else has written to the file.
    pub fn has_foreign_writes(&self) -> bool {
        self.foreign_writes.load(Ordering::Relaxed)
    }

    /// Says where the file has been moved to; `None`: it has not.
    pub fn set_moved(&self, target: Option<&str>) {
        let mut place = self.moved_to.write().unwrap_or_else(PoisonError::into_inner);
        if place.as_deref() != target {
            if let Some(target) = target {
                tracing::warn!(target, "the database has been moved; no more writes are taken here");
            }
            *place = target.map(str::to_owned);
        }
    }

    /// Where the file has been moved to.
    pub fn moved_to(&self) -> Option<String> {
        self.moved_to.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// True once the backend lets go of its file.
    pub fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    /// Refuses everything from now on.
    pub fn close(&self) {
        self.closed.store(true, Ordering::Release);
    }
}

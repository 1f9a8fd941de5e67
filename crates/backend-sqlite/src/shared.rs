//! What the threads of one backend share: the commit counter, the catalog, the connections that hold snapshots.
//!
//! Not here: what a thread does (`writer`, `reader`, `keeper`).

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, RwLock};

use mainstay_core::catalog::Catalog;

use crate::connection::Options;
use crate::reader::Slots;

/// The state behind a `SqliteBackend`.
#[derive(Debug)]
pub struct Shared {
    /// Tells backends of one process apart.
    pub id: u64,
    pub options: Options,
    /// Raised after every COMMIT and before its answers: a read that begins later sees the commit.
    commits: AtomicU64,
    catalog: RwLock<Arc<Catalog>>,
    /// `catalog`'s version, so that a hot path need not take the lock.
    catalog_version: AtomicU64,
    pub slots: Slots,
    closed: AtomicBool,
}

static NEXT_ID: AtomicU64 = AtomicU64::new(1);

impl Shared {
    /// The state of a backend that has just opened its file.
    pub fn new(options: Options, catalog: Catalog) -> Self {
        Shared {
            id: NEXT_ID.fetch_add(1, Ordering::Relaxed),
            options,
            commits: AtomicU64::new(0),
            catalog_version: AtomicU64::new(catalog.version),
            catalog: RwLock::new(Arc::new(catalog)),
            slots: Slots::default(),
            closed: AtomicBool::new(false),
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
        match self.catalog.read() {
            Ok(catalog) => Arc::clone(&catalog),
            // The lock guards one pointer: a panic cannot have left it half written.
            Err(poisoned) => Arc::clone(&poisoned.into_inner()),
        }
    }

    /// The version of [`Shared::catalog`].
    pub fn catalog_version(&self) -> u64 {
        self.catalog_version.load(Ordering::Acquire)
    }

    /// Puts a new catalog in place; called on the writer thread after its migration's COMMIT.
    pub fn publish(&self, catalog: Catalog) {
        let version = catalog.version;
        let catalog = Arc::new(catalog);
        match self.catalog.write() {
            Ok(mut place) => *place = catalog,
            Err(poisoned) => *poisoned.into_inner() = catalog,
        }
        self.catalog_version.store(version, Ordering::Release);
        self.committed();
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

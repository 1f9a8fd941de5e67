//! Opens connections to the data file, each with the same safety settings, and bounds what runs on them.
//!
//! Lives here: pragmas and switches, registration of functions and collations, the [`Budget`] of steps and time that
//! every statement runs under, the lock that keeps a second process away.
//! Not here: who uses a connection and when (`writer`, `reader`).
//!
//! Source: SQLite documentation, "Security" (defense against dark arts), "Write-Ahead Logging", `sqlite3_db_config`,
//! `sqlite3_progress_handler`; `portability.md` §2.6.

use std::fs::{File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use mainstay_core::backend::CostLimits;
use mainstay_core::catalog::Catalog;
use mainstay_core::error::BackendError;
use mainstay_sql::ddl::DefaultGrants;
use rusqlite::config::DbConfig;
use rusqlite::limits::Limit;
use rusqlite::{Connection, OpenFlags, ffi};

use crate::emit;
use crate::emit::types::enum_collation;
use crate::errors;
use crate::routine;
use crate::routine::running::set_deadline;
use crate::values;

/// Virtual machine steps between two looks at a statement's budget.
const STEPS_PER_CHECK: i32 = 1_000;

/// Milliseconds that a connection waits for a lock. Only recovery and checkpoints hold one against us for a moment.
const BUSY_TIMEOUT: Duration = Duration::from_millis(5_000);

/// How long a process beside the one that serves waits between two tries at the lock, and how often it tries.
const BESIDE_WAIT: Duration = Duration::from_micros(100);
const BESIDE_TRIES_MAX: i32 = 300_000;

/// Statements that `prepare_cached` keeps per connection.
const STATEMENT_CACHE: usize = 256;

/// How safe an acknowledged write is against the loss of power.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Synchronous {
    /// An acknowledged write survives the loss of power.
    #[default]
    Full,
    /// The last commits may be lost with the power; the file never breaks.
    Normal,
}

/// How the data file is opened and used.
#[derive(Clone, Debug)]
pub struct Options {
    pub path: PathBuf,
    pub synchronous: Synchronous,
    /// Threads for reads that may be long.
    pub read_threads: usize,
    /// The longest a statement may run, whoever asks; a role's own timeout may be shorter.
    pub statement_timeout: Duration,
    /// What a statement may cost.
    pub cost_limits: CostLimits,
    /// Page cache of the writing connection, KiB.
    pub writer_cache_kib: u32,
    /// Page cache of each reading connection, KiB.
    pub reader_cache_kib: u32,
    /// Writes that may wait; more are told `Busy`.
    pub write_queue: usize,
    /// Reads that may wait for a reader thread; more are told `Busy`.
    pub read_queue: usize,
    /// What new objects are granted by themselves. `None`: as the file has it, closed for a new file.
    pub default_grants: Option<DefaultGrants>,
    /// The largest the file may grow, in pages of 4 KiB. `None`: SQLite's limit.
    pub pages_max: Option<u32>,
    /// Another process may have the file, and writes to it.
    pub is_beside: bool,
}

impl Options {
    /// The defaults for a file.
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Options {
            path: path.into(),
            synchronous: Synchronous::Full,
            read_threads: READ_THREADS,
            statement_timeout: Duration::from_secs(30),
            cost_limits: CostLimits::default(),
            writer_cache_kib: 16 * 1024,
            reader_cache_kib: reader_cache_kib(),
            write_queue: 4_096,
            read_queue: 1_024,
            default_grants: None,
            pages_max: None,
            is_beside: false,
        }
    }
}

/// Threads for reads that may be long.
const READ_THREADS: usize = 2;

/// Page caches of all threads that read, KiB, together.
const READER_CACHES_KIB: u32 = 32 * 1024;
const READER_CACHE_KIB_MIN: u32 = 2 * 1024;
const READER_CACHE_KIB_MAX: u32 = 12 * 1024;

/// The share of each: one thread per processor reads, and the reader threads.
fn reader_cache_kib() -> u32 {
    let threads =
        std::thread::available_parallelism().map_or(1, |count| u32::try_from(count.get()).unwrap_or(u32::MAX));
    (READER_CACHES_KIB / threads.saturating_add(READ_THREADS as u32)).clamp(READER_CACHE_KIB_MIN, READER_CACHE_KIB_MAX)
}

/// Why the data file could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process, or another backend in this one, has the file.
    #[error(
        "the data file `{}` is in use by another Mainstay process; stop that process, or give this one another file",
        path.display()
    )]
    InUse { path: PathBuf },
    #[error("cannot open the data file `{}`: {reason}", path.display())]
    File { path: PathBuf, reason: String },
    #[error("cannot read the catalog of `{}`: {reason}", path.display())]
    Catalog { path: PathBuf, reason: String },
    #[error("cannot start a thread: {0}")]
    Thread(#[from] std::io::Error),
}

impl OpenError {
    /// SQLite's words about the file.
    pub fn sqlite(path: &Path, error: &rusqlite::Error) -> Self {
        OpenError::File {
            path: path.to_owned(),
            reason: error.to_string(),
        }
    }
}

/// Holds the file for this process. SQLite's own locks would let a second process write; its writes would not be seen
/// by snapshots held here.
#[derive(Debug)]
pub struct FileLock {
    // The lock ends when the handle is closed, also after `kill -9`.
    _file: File,
}

impl FileLock {
    /// Takes `<path>.lock`. Errors: `InUse` if somebody has it.
    pub fn take(path: &Path) -> Result<Self, OpenError> {
        FileLock::take_named(path, ".lock")
    }

    /// Takes `<path>.mover`, which one move at a time has. Errors: `InUse` if somebody has it.
    pub fn take_move(path: &Path) -> Result<Self, OpenError> {
        FileLock::take_named(path, ".mover")
    }

    fn take_named(path: &Path, ending: &str) -> Result<Self, OpenError> {
        let mut name = path.as_os_str().to_owned();
        name.push(ending);
        let failed = |error: std::io::Error| OpenError::File {
            path: path.to_owned(),
            reason: error.to_string(),
        };
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(PathBuf::from(name))
            .map_err(failed)?;
        match file.try_lock() {
            Ok(()) => Ok(FileLock { _file: file }),
            Err(TryLockError::WouldBlock) => Err(OpenError::InUse { path: path.to_owned() }),
            Err(TryLockError::Error(error)) => Err(failed(error)),
        }
    }
}

/// What a connection may be used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    Write,
    Read,
    /// Moves pages from the log into the file, nothing else.
    Checkpoint,
}

/// Turns off SQLite's count of its memory: every allocation of every thread would wait for one lock.
fn configure_process() {
    static ONCE: std::sync::Once = std::sync::Once::new();
    ONCE.call_once(|| {
        // SAFETY: the option takes one int; SQLite refuses it (MISUSE) if it is in use already, which only costs speed.
        let result = unsafe { ffi::sqlite3_config(ffi::SQLITE_CONFIG_MEMSTATUS, 0 as std::ffi::c_int) };
        if result != ffi::SQLITE_OK {
            tracing::debug!(result, "SQLite keeps counting its memory");
        }
    });
}

/// Opens a connection with every safety setting in place.
pub fn open(options: &Options, purpose: Purpose, budget: &Arc<Budget>) -> rusqlite::Result<Connection> {
    configure_process();
    let access = match purpose {
        Purpose::Write => OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE,
        // A read-only handle could not build the log's index after a crash; `query_only` below keeps readers out.
        Purpose::Read | Purpose::Checkpoint => OpenFlags::SQLITE_OPEN_READ_WRITE,
    };
    let flags = access | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_EXRESCODE;
    let mut connection = Connection::open_with_flags(&options.path, flags)?;
    match options.is_beside {
        false => connection.busy_timeout(BUSY_TIMEOUT)?,
        // A busy writer leaves the lock free for a moment at a time.
        true => connection.busy_handler(Some(|tries| {
            std::thread::sleep(BESIDE_WAIT);
            tries < BESIDE_TRIES_MAX
        }))?,
    }
    for (switch, on) in [
        (DbConfig::SQLITE_DBCONFIG_DQS_DML, false),
        (DbConfig::SQLITE_DBCONFIG_DQS_DDL, false),
        (DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false),
        // Those that there are keep the indexes of full text search, and are compared with the catalog at the start.
        (DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER, purpose == Purpose::Write),
        (DbConfig::SQLITE_DBCONFIG_ENABLE_VIEW, false),
        (DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true),
        (DbConfig::SQLITE_DBCONFIG_ENABLE_FKEY, true),
        // Otherwise a statement may be compiled anew whenever a bound value changes, once there are statistics.
        (DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true),
    ] {
        connection.set_db_config(switch, on)?;
    }
    // Nothing attaches files; text of users never reaches SQLite, this is the second lock on that door.
    connection.set_limit(Limit::SQLITE_LIMIT_ATTACHED, 0)?;
    connection.set_prepared_statement_cache_capacity(STATEMENT_CACHE);
    // A look at every cell of a page when it comes into the cache, which is most of what a read by key looks at. It keeps
    // damage from being spread by writing.
    connection.pragma_update(None, "cell_size_check", purpose != Purpose::Read)?;
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    let cache = match purpose {
        Purpose::Write => options.writer_cache_kib,
        Purpose::Read => options.reader_cache_kib,
        Purpose::Checkpoint => 256,
    };
    // SQLite reads a negative cache size as KiB.
    connection.pragma_update(None, "cache_size", -i64::from(cache))?;
    connection.pragma_update(
        None,
        "synchronous",
        match options.synchronous {
            Synchronous::Full => "FULL",
            Synchronous::Normal => "NORMAL",
        },
    )?;
    if purpose == Purpose::Write {
        connection.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(()))?;
        if let Some(pages) = options.pages_max {
            connection.pragma_update_and_check(None, "max_page_count", pages, |_| Ok(()))?;
        }
    }
    // Checkpoints are the keeper's business.
    connection.pragma_update_and_check(None, "wal_autocheckpoint", 0, |_| Ok(()))?;
    if purpose == Purpose::Read {
        connection.pragma_update(None, "query_only", true)?;
    }
    if purpose != Purpose::Checkpoint {
        values::register::register(&connection)?;
        emit::functions::register(&connection)?;
        routine::register(&connection)?;
    }
    let watched = Arc::clone(budget);
    connection.progress_handler(STEPS_PER_CHECK, Some(move || watched.is_spent()))?;
    Ok(connection)
}

/// Registers the sort orders of the catalog's enums; again whenever the catalog changes.
pub fn register_collations(connection: &Connection, catalog: &Catalog) -> rusqlite::Result<()> {
    for kind in catalog.enums.values() {
        values::order::register_enum(connection, &enum_collation(&kind.name), &kind.labels)?;
    }
    Ok(())
}

/// Virtual machine steps that are taken for one unit of PostgreSQL's cost. A row that a scan looks at costs PostgreSQL
/// some 0.02 and here some five steps.
const STEPS_PER_COST: u64 = 250;

/// What a request may use.
#[derive(Clone, Copy, Debug)]
pub struct Allowance {
    pub time: Duration,
    /// In PostgreSQL's units.
    pub cost: Option<u64>,
}

impl Allowance {
    /// Bounded by time alone.
    pub fn of_time(time: Duration) -> Self {
        Allowance { time, cost: None }
    }

    /// Why a request was ended that has spent it.
    pub fn refusal(self, spent: Spent) -> BackendError {
        match (spent, self.cost) {
            (Spent::Steps, Some(cost_max)) => BackendError::TooCostly { cost_max },
            _ => errors::timeout().into(),
        }
    }
}

/// The virtual machine steps that a cost stands for.
pub fn steps_of(cost: Option<u64>) -> Option<u64> {
    cost.map(|cost| cost.saturating_mul(STEPS_PER_COST))
}

/// What a statement may still use. Set before it runs, asked by SQLite's progress handler while it runs.
///
/// One thread uses a connection at a time, so the orderings are relaxed; atomics only let the handler be `Send`.
#[derive(Debug)]
pub struct Budget {
    start: Instant,
    /// Nanoseconds after `start`.
    deadline: AtomicU64,
    checks_left: AtomicU64,
    spent: AtomicU8,
}

/// What a budget ran out of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spent {
    Time,
    Steps,
}

const NOT_SPENT: u8 = 0;
const TIME_SPENT: u8 = 1;
const STEPS_SPENT: u8 = 2;

impl Default for Budget {
    fn default() -> Self {
        Budget {
            start: Instant::now(),
            deadline: AtomicU64::new(u64::MAX),
            checks_left: AtomicU64::new(u64::MAX),
            spent: AtomicU8::new(NOT_SPENT),
        }
    }
}

impl Budget {
    /// Allows what `allowance` has from now; steps are counted by the thousand.
    pub fn allow(&self, allowance: Allowance) {
        let (time, steps) = (allowance.time, steps_of(allowance.cost));
        let now = self.start.elapsed().saturating_add(time);
        self.deadline
            .store(u64::try_from(now.as_nanos()).unwrap_or(u64::MAX), Ordering::Relaxed);
        let checks = steps.map_or(u64::MAX, |steps| (steps / STEPS_PER_CHECK.unsigned_abs() as u64).max(1));
        self.checks_left.store(checks, Ordering::Relaxed);
        self.spent.store(NOT_SPENT, Ordering::Relaxed);
        set_deadline(self.start.checked_add(now));
    }

    /// Allows about `steps` virtual machine steps; the clock is not asked, so this costs nothing.
    pub fn allow_steps(&self, steps: u64) {
        self.deadline.store(u64::MAX, Ordering::Relaxed);
        self.checks_left.store(
            (steps / STEPS_PER_CHECK.unsigned_abs() as u64).max(1),
            Ordering::Relaxed,
        );
        self.spent.store(NOT_SPENT, Ordering::Relaxed);
    }

    /// Lifts every bound.
    pub fn lift(&self) {
        self.deadline.store(u64::MAX, Ordering::Relaxed);
        self.checks_left.store(u64::MAX, Ordering::Relaxed);
        self.spent.store(NOT_SPENT, Ordering::Relaxed);
        set_deadline(None);
    }

    /// What ran out, if something did since the last `allow`.
    pub fn spent(&self) -> Option<Spent> {
        match self.spent.load(Ordering::Relaxed) {
            TIME_SPENT => Some(Spent::Time),
            STEPS_SPENT => Some(Spent::Steps),
            _ => None,
        }
    }

    fn is_spent(&self) -> bool {
        if self.spent.load(Ordering::Relaxed) != NOT_SPENT {
            return true;
        }
        let left = self.checks_left.load(Ordering::Relaxed);
        if left == 0 {
            self.spent.store(STEPS_SPENT, Ordering::Relaxed);
            return true;
        }
        if left != u64::MAX {
            self.checks_left.store(left - 1, Ordering::Relaxed);
        }
        let deadline = self.deadline.load(Ordering::Relaxed);
        if deadline != u64::MAX && self.start.elapsed().as_nanos() >= u128::from(deadline) {
            self.spent.store(TIME_SPENT, Ordering::Relaxed);
            return true;
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn opened() -> (tempfile::TempDir, Options) {
        let folder = tempfile::tempdir().unwrap();
        let options = Options::at(folder.path().join("data.db"));
        (folder, options)
    }

    #[test]
    fn a_misspelt_name_is_not_a_string() {
        let (_folder, options) = opened();
        let connection = open(&options, Purpose::Write, &Arc::default()).unwrap();
        assert!(connection.prepare("SELECT \"nosuch\"").is_err());
        assert!(
            connection
                .execute_batch("CREATE TABLE t (a CHECK (a <> \"nosuch\"))")
                .is_err()
        );
    }

    #[test]
    fn a_reader_cannot_write() {
        let (_folder, options) = opened();
        let writer = open(&options, Purpose::Write, &Arc::default()).unwrap();
        writer.execute_batch("CREATE TABLE t (a)").unwrap();
        let reader = open(&options, Purpose::Read, &Arc::default()).unwrap();
        assert!(reader.execute_batch("INSERT INTO t VALUES (1)").is_err());
        assert!(reader.execute_batch("ATTACH DATABASE ':memory:' AS other").is_err());
    }

    #[test]
    fn foreign_keys_act_although_triggers_are_off() {
        let (_folder, options) = opened();
        let connection = open(&options, Purpose::Write, &Arc::default()).unwrap();
        connection
            .execute_batch(
                "CREATE TABLE p (id INTEGER PRIMARY KEY) STRICT;
                 CREATE TABLE c (p INTEGER REFERENCES p (id) ON DELETE CASCADE) STRICT;
                 INSERT INTO p VALUES (1);
                 INSERT INTO c VALUES (1);
                 DELETE FROM p;",
            )
            .unwrap();
        assert_eq!(
            connection
                .query_row("SELECT count(*) FROM c", [], |row| row.get::<_, i64>(0))
                .unwrap(),
            0
        );
        assert!(connection.execute_batch("INSERT INTO c VALUES (2)").is_err());
    }

    #[test]
    fn a_second_opening_is_refused_and_says_why() {
        let (_folder, options) = opened();
        let _held = FileLock::take(&options.path).unwrap();
        let refused = FileLock::take(&options.path).unwrap_err();
        assert!(matches!(refused, OpenError::InUse { .. }), "{refused}");
    }

    #[test]
    fn a_statement_stops_when_its_steps_are_spent() {
        let (_folder, options) = opened();
        let budget = Arc::new(Budget::default());
        let connection = open(&options, Purpose::Write, &budget).unwrap();
        budget.allow_steps(50_000);
        let endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n";
        assert!(connection.query_row(endless, [], |row| row.get::<_, i64>(0)).is_err());
        assert_eq!(budget.spent(), Some(Spent::Steps));
        budget.allow(Allowance::of_time(Duration::from_millis(20)));
        assert!(connection.query_row(endless, [], |row| row.get::<_, i64>(0)).is_err());
        assert_eq!(budget.spent(), Some(Spent::Time));
        let little = Allowance {
            time: Duration::from_secs(600),
            cost: Some(10),
        };
        budget.allow(little);
        assert!(connection.query_row(endless, [], |row| row.get::<_, i64>(0)).is_err());
        assert_eq!(budget.spent(), Some(Spent::Steps));
        assert!(matches!(
            little.refusal(Spent::Steps),
            BackendError::TooCostly { cost_max: 10 }
        ));
        budget.lift();
        assert_eq!(
            connection
                .query_row("SELECT 1", [], |row| row.get::<_, i64>(0))
                .unwrap(),
            1
        );
    }
}

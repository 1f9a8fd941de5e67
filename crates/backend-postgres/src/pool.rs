//! The connections: a few shared ones for reads, more for writes, and single ones for work that needs one alone.
//!
//! A read lane starts with two connections and grows only while all of them are held up by a long query; commits do not
//! overlap within a connection, so the write lane grows whenever all of its connections are busy.
//! After a failed attempt nobody waits: requests get `Unavailable` at once while one task tries again with growing
//! pauses.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LazyLock, Mutex, PoisonError, RwLock};
use std::time::Duration;

use mainstay_core::error::BackendError;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::errors::unreachable;
use crate::options::Options;
use crate::wire::{ConnectError, Connection, StatementText, Step, Target};

/// A read connection without an answer for this long is held up.
const STALLED_MS: u64 = 15;
/// Bursts waiting on one connection, at most.
const QUEUE_MAX: usize = 2_000;
/// Read connections kept open.
const READ_BASE: usize = 2;
/// How long work waits for a connection of its own.
const EXCLUSIVE_WAIT: Duration = Duration::from_secs(10);
const RETRY_FIRST: Duration = Duration::from_millis(50);
const RETRY_MAX: Duration = Duration::from_secs(2);

/// Where nobody chose otherwise, a page found through an index costs about what the next page of a table costs, as on
/// any disk without a moving arm (and as Supabase sets it). With PostgreSQL's default of 4, an embed reads a small table
/// as a whole for every row that it is looked up for.
static PLANNER: LazyLock<StatementText> = LazyLock::new(|| {
    StatementText::new(
        "SELECT pg_catalog.set_config('random_page_cost', '1.1', false) \
         WHERE pg_catalog.current_setting('random_page_cost') = '4'",
    )
});

/// What a shared connection is wanted for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lane {
    Read,
    Write,
}

/// All connections to one database.
pub struct Pool {
    target: Target,
    unnamed_only: bool,
    read: Shared,
    write: Shared,
    idle: Mutex<Vec<Arc<Connection>>>,
    exclusive: Arc<Semaphore>,
    down: Mutex<Option<String>>,
    recovering: AtomicBool,
    closing: AtomicBool,
}

struct Shared {
    connections: RwLock<Vec<Arc<Connection>>>,
    opening: tokio::sync::Mutex<()>,
    base: usize,
    max: usize,
    /// Grow when even the best connection has waited this long.
    grow_after_ms: u64,
}

impl Shared {
    fn new(base: usize, max: usize, grow_after_ms: u64) -> Self {
        Shared {
            connections: RwLock::default(),
            opening: tokio::sync::Mutex::default(),
            base,
            max,
            grow_after_ms,
        }
    }

    fn alive(&self) -> Vec<Arc<Connection>> {
        let list = self.connections.read().unwrap_or_else(PoisonError::into_inner);
        list.iter()
            .filter(|connection| !connection.is_closed())
            .cloned()
            .collect()
    }

    /// The least busy connection, and whether another one is wanted.
    fn best(&self) -> (Option<Arc<Connection>>, bool) {
        let list = self.connections.read().unwrap_or_else(PoisonError::into_inner);
        let alive = || list.iter().filter(|connection| !connection.is_closed());
        let count = alive().count();
        let best = alive().min_by_key(|connection| (connection.stalled_ms() >= STALLED_MS, connection.in_flight()));
        let grow = match best {
            None => true,
            Some(best) => {
                count < self.base.min(self.max)
                    || (count < self.max && best.in_flight() > 0 && best.stalled_ms() >= self.grow_after_ms)
            }
        };
        (best.cloned(), grow)
    }

    fn add(&self, connection: Arc<Connection>) {
        let mut list = self.connections.write().unwrap_or_else(PoisonError::into_inner);
        list.retain(|connection| !connection.is_closed());
        list.push(connection);
    }
}

/// A connection of one's own. Dropped without [`Exclusive::release`] it is closed, and what it had begun rolls back.
pub struct Exclusive {
    connection: Arc<Connection>,
    pool: Arc<Pool>,
    _permit: OwnedSemaphorePermit,
}

impl Exclusive {
    /// The connection.
    pub fn connection(&self) -> &Connection {
        &self.connection
    }

    /// Gives it back; only when no transaction is open on it.
    pub fn release(self) {
        let mut idle = self.pool.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if !self.connection.is_closed() {
            idle.push(self.connection.clone());
        }
    }
}

impl Pool {
    /// A pool without connections.
    pub fn new(target: Target, options: &Options) -> Arc<Self> {
        Arc::new(Pool {
            target,
            unnamed_only: options.transaction_pooler,
            read: Shared::new(READ_BASE, options.read_connections_max.max(1), STALLED_MS),
            write: Shared::new(1, options.write_connections_max.max(1), 0),
            idle: Mutex::default(),
            exclusive: Arc::new(Semaphore::new(options.exclusive_connections_max.max(1))),
            down: Mutex::default(),
            recovering: AtomicBool::new(false),
            closing: AtomicBool::new(false),
        })
    }

    /// Opens one connection that the pool does not keep.
    pub async fn connect(&self) -> Result<Arc<Connection>, ConnectError> {
        let connection = Connection::open(&self.target, self.unnamed_only, None).await?;
        // Behind a pooler in transaction mode the session is not ours to set.
        if !self.unnamed_only {
            let step = Step {
                statement: &PLANNER,
                parameters: &[],
                formats: &[],
            };
            // Without it plans are slower, and a connection that is lost already is found out by whoever uses it.
            if let Ok(reply) = connection.send(&[step]) {
                let _ = reply.wait().await;
            }
        }
        Ok(connection)
    }

    /// A connection to send a burst on. Errors: `Unavailable`, `Busy`.
    pub async fn shared(self: &Arc<Self>, lane: Lane) -> Result<Arc<Connection>, BackendError> {
        let shared = self.lane(lane);
        let (best, grow) = shared.best();
        match best {
            Some(connection) if !grow => within_queue(connection),
            Some(connection) => {
                // The request need not wait for the new connection.
                let pool = self.clone();
                if shared.opening.try_lock().is_ok() {
                    tokio::spawn(async move { pool.grow(lane).await });
                }
                within_queue(connection)
            }
            None => {
                self.check_up()?;
                self.grow(lane).await?;
                let (best, _) = shared.best();
                best.ok_or_else(|| BackendError::Unavailable {
                    reason: "the connection was lost".into(),
                })
            }
        }
    }

    /// A connection for one task alone. Errors: `Unavailable`, `Busy`.
    pub async fn exclusive(self: &Arc<Self>) -> Result<Exclusive, BackendError> {
        let permit = tokio::time::timeout(EXCLUSIVE_WAIT, self.exclusive.clone().acquire_owned())
            .await
            .map_err(|_| BackendError::Busy)?
            .map_err(|_| BackendError::Unavailable {
                reason: "the pool is closed".into(),
            })?;
        let kept = {
            let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
            idle.retain(|connection| !connection.is_closed());
            idle.pop()
        };
        let connection = match kept {
            Some(connection) => connection,
            None => {
                self.check_up()?;
                self.open().await?
            }
        };
        Ok(Exclusive {
            connection,
            pool: self.clone(),
            _permit: permit,
        })
    }

    /// Says goodbye on every connection; queued bursts are still answered.
    pub fn close(&self) {
        self.closing.store(true, Ordering::Release);
        self.exclusive.close();
        for connection in self.read.alive().into_iter().chain(self.write.alive()) {
            connection.close();
        }
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    fn lane(&self, lane: Lane) -> &Shared {
        match lane {
            Lane::Read => &self.read,
            Lane::Write => &self.write,
        }
    }

    /// Opens one more connection for `lane`, unless another task just did.
    async fn grow(self: &Arc<Self>, lane: Lane) -> Result<(), BackendError> {
        let shared = self.lane(lane);
        let _one_at_a_time = shared.opening.lock().await;
        let (_, still_wanted) = shared.best();
        if still_wanted && !self.closing.load(Ordering::Acquire) {
            shared.add(self.open().await?);
        }
        Ok(())
    }

    async fn open(self: &Arc<Self>) -> Result<Arc<Connection>, BackendError> {
        match self.connect().await {
            Ok(connection) => {
                self.set_down(None);
                Ok(connection)
            }
            Err(error) => {
                self.set_down(Some(error.to_string()));
                self.recover();
                Err(unreachable(&error))
            }
        }
    }

    fn check_up(&self) -> Result<(), BackendError> {
        match &*self.down.lock().unwrap_or_else(PoisonError::into_inner) {
            Some(reason) => Err(BackendError::Unavailable { reason: reason.clone() }),
            None => Ok(()),
        }
    }

    fn set_down(&self, reason: Option<String>) {
        *self.down.lock().unwrap_or_else(PoisonError::into_inner) = reason;
    }

    /// Starts the one task that tries until the database is back.
    fn recover(self: &Arc<Self>) {
        if self.recovering.swap(true, Ordering::AcqRel) {
            return;
        }
        let pool = self.clone();
        tokio::spawn(async move {
            let mut pause = RETRY_FIRST;
            while !pool.closing.load(Ordering::Acquire) {
                tokio::time::sleep(pause).await;
                match pool.connect().await {
                    Ok(connection) => {
                        pool.read.add(connection);
                        pool.set_down(None);
                        tracing::info!("the database can be reached again");
                        break;
                    }
                    Err(error) => {
                        pool.set_down(Some(error.to_string()));
                        pause = (pause * 2).min(RETRY_MAX);
                    }
                }
            }
            pool.recovering.store(false, Ordering::Release);
        });
    }
}

fn within_queue(connection: Arc<Connection>) -> Result<Arc<Connection>, BackendError> {
    if connection.in_flight() >= QUEUE_MAX {
        Err(BackendError::Busy)
    } else {
        Ok(connection)
    }
}

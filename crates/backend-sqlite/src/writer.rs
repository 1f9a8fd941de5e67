//! The one thread that writes, with group commit.
//!
//! Requests that wait together run in one transaction, each in a savepoint of its own, and share one COMMIT and its
//! fsync. A request is answered only after that COMMIT; the commit counter is raised in between, so whoever has an
//! answer reads what it says.
//! Lives here: the queue, the batch, what happens to the others when one request fails, times out or panics.
//! Not here: what a request does (`write`), schema changes' contents (`schema`), checkpoints (`keeper`).
//! Invariant: an error answer means that nothing of the request is in the file.
//!
//! Source: `data-path.md` §4 (3); SQLite documentation, "Savepoints", `sqlite3_interrupt` (an interrupted write rolls
//! the whole transaction back), `SQLITE_DBSTATUS_DEFERRED_FKS`.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TryRecvError, TrySendError, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use mainstay_core::error::BackendError;
use mainstay_core::plan::Outcome;
use rusqlite::{Connection, ffi};
use tokio::sync::oneshot;

use crate::connection::{Allowance, Budget, Spent, register_collations};
use crate::departure::recorder::Departing;
use crate::errors;
use crate::foreign_keys;
use crate::keeper::Keeper;
use crate::shared::Shared;

/// Requests in one transaction, at most.
const BATCH_REQUESTS: usize = 512;

/// How long a batch may take in more requests before it commits: the first in it waits no longer than this.
const BATCH_TIME: Duration = Duration::from_millis(4);

/// How often an idle writer looks for foreign writers, and for a move that begins.
const IDLE_LOOK: Duration = Duration::from_secs(1);

/// The longest that a migration or another task of its own may run.
const TASK_TIME: Duration = Duration::from_secs(3_600);

/// What a request does inside its savepoint. It may run again: alone, after it failed (to find out which foreign key
/// it broke), or in a new transaction, after another request took the first one down.
pub type Work = Box<dyn FnMut(&Connection) -> Result<Outcome, BackendError> + Send>;

/// What has the writer to itself, outside any transaction.
pub type Task = Box<dyn FnOnce(&mut Connection) + Send>;

/// One write.
pub struct Request {
    pub work: Work,
    /// Undo it after it succeeded (`Prefer: tx=rollback`).
    pub rollback: bool,
    pub allowance: Allowance,
    /// The catalog that the work was compiled for.
    pub catalog_version: u64,
    pub answer: oneshot::Sender<Result<Outcome, BackendError>>,
}

enum Job {
    Request(Request),
    Task(Task),
    /// Ends the thread after everything queued before it.
    Stop,
}

/// The handle to the writer thread.
#[derive(Debug)]
pub struct Writer {
    queue: SyncSender<Job>,
    thread: std::sync::Mutex<Option<JoinHandle<()>>>,
}

impl Writer {
    /// Starts the thread on `connection`.
    pub fn start(
        connection: Connection,
        budget: Arc<Budget>,
        shared: Arc<Shared>,
        keeper: Arc<Keeper>,
    ) -> std::io::Result<Self> {
        let (queue, jobs) = sync_channel(shared.options.write_queue);
        let thread = std::thread::Builder::new()
            .stack_size(crate::routine::running::STACK_BYTES)
            .name("sqlite-writer".into())
            .spawn(move || {
                let mut worker = Worker {
                    connection,
                    budget,
                    shared,
                    keeper,
                    jobs,
                    foreign_version: None,
                    departing: Departing::default(),
                    collations: 0,
                };
                worker.run();
            })?;
        Ok(Writer {
            queue,
            thread: std::sync::Mutex::new(Some(thread)),
        })
    }

    /// Queues a write. Errors: `Busy` if too many wait, `Unavailable` after `stop`.
    pub fn submit(&self, request: Request) -> Result<(), BackendError> {
        self.queue
            .try_send(Job::Request(request))
            .map_err(|error| refused(&error))
    }

    /// Queues a task that gets the connection to itself, and waits for its answer.
    pub async fn task<T: Send + 'static>(
        &self,
        task: impl FnOnce(&mut Connection) -> T + Send + 'static,
    ) -> Result<T, BackendError> {
        let (answer, answered) = oneshot::channel();
        let task: Task = Box::new(move |connection| {
            // Nobody waits any more if the send fails.
            let _ = answer.send(task(connection));
        });
        self.queue.try_send(Job::Task(task)).map_err(|error| refused(&error))?;
        answered
            .await
            .map_err(|_| BackendError::Internal("a task on the writer did not finish".into()))
    }

    /// Finishes what is queued and ends the thread. Blocks; later calls return at once.
    pub fn stop(&self) {
        let thread = match self.thread.lock() {
            Ok(mut thread) => thread.take(),
            Err(poisoned) => poisoned.into_inner().take(),
        };
        if let Some(thread) = thread {
            // Blocks while the queue is full; if the thread is gone there is nothing to stop.
            let _ = self.queue.send(Job::Stop);
            if thread.join().is_err() {
                tracing::error!("the writer thread ended with a panic");
            }
        }
    }
}

fn refused(error: &TrySendError<Job>) -> BackendError {
    match error {
        TrySendError::Full(_) => BackendError::Busy,
        TrySendError::Disconnected(_) => BackendError::Unavailable {
            reason: "the database is closed".into(),
        },
    }
}

/// A request that ran and waits for the COMMIT.
struct Done {
    request: Request,
    outcome: Result<Outcome, BackendError>,
}

/// How one request ended.
enum Ended {
    /// Released or rolled back to its savepoint; the transaction is as it should be.
    Kept(Result<Outcome, BackendError>),
    /// SQLite rolled the whole transaction back. `fatal`: the others would meet the same fate (full disk).
    TransactionLost { error: BackendError, fatal: bool },
}

struct Worker {
    connection: Connection,
    budget: Arc<Budget>,
    shared: Arc<Shared>,
    keeper: Arc<Keeper>,
    jobs: Receiver<Job>,
    /// `PRAGMA data_version`: moves only when somebody else commits.
    foreign_version: Option<i64>,
    /// A move out of the file.
    departing: Departing,
    /// The catalog version that enum collations are registered for.
    collations: u64,
}

impl Worker {
    fn run(&mut self) {
        self.look_idly();
        loop {
            match self.jobs.recv_timeout(IDLE_LOOK) {
                Ok(Job::Request(first)) => {
                    let mut waiting = vec![first];
                    while !waiting.is_empty() {
                        let after = self.batch(&mut waiting);
                        match after {
                            Some(Job::Stop) => return self.finish(waiting),
                            Some(Job::Task(task)) => {
                                while !waiting.is_empty() {
                                    // A batch that takes in nothing new cannot end with a job.
                                    self.run_batch(&mut waiting, false);
                                }
                                self.run_task(task);
                            }
                            _ => {}
                        }
                    }
                }
                Ok(Job::Task(task)) => self.run_task(task),
                Ok(Job::Stop) | Err(RecvTimeoutError::Disconnected) => return,
                Err(RecvTimeoutError::Timeout) => self.look_idly(),
            }
        }
    }

    fn finish(&mut self, mut waiting: Vec<Request>) {
        while !waiting.is_empty() {
            self.run_batch(&mut waiting, false);
        }
    }

    fn batch(&mut self, waiting: &mut Vec<Request>) -> Option<Job> {
        self.run_batch(waiting, true)
    }

    /// Runs the requests in `waiting` and, if `take_more`, those that arrive meanwhile, in one transaction; answers
    /// them. Requests that must run again are left in `waiting`. Returns a job that is not a request and so ended the
    /// batch.
    fn run_batch(&mut self, waiting: &mut Vec<Request>, take_more: bool) -> Option<Job> {
        self.refresh_collations();
        self.budget.lift();
        if let Err(error) = self.connection.execute_batch("BEGIN IMMEDIATE") {
            for request in waiting.drain(..) {
                answer(
                    request.answer,
                    Err(errors::refusal(&self.shared.catalog(), None, "BEGIN IMMEDIATE", &error)),
                );
            }
            return None;
        }
        // Asked inside the transaction, it takes no lock of its own.
        if let Err(error) = self.look_for_foreign_writers() {
            return self.refuse(waiting, Err(error));
        }
        match self.departing.holds(&self.connection) {
            Ok(None) => {}
            held => return self.refuse(waiting, held),
        }
        let begun = Instant::now();
        let mut queue: std::collections::VecDeque<Request> = waiting.drain(..).collect();
        let mut done: Vec<Done> = Vec::with_capacity(queue.len());
        let mut other = None;
        loop {
            let request = match queue.pop_front() {
                Some(request) => request,
                None => {
                    if !take_more || done.len() >= BATCH_REQUESTS || begun.elapsed() >= BATCH_TIME {
                        break;
                    }
                    match self.jobs.try_recv() {
                        Ok(Job::Request(request)) => request,
                        Ok(job) => {
                            other = Some(job);
                            break;
                        }
                        Err(TryRecvError::Empty | TryRecvError::Disconnected) => break,
                    }
                }
            };
            // The client has gone: doing nothing is always a correct outcome of an unanswered request.
            if request.answer.is_closed() {
                continue;
            }
            let mut request = request;
            match self.run_request(&mut request) {
                Ended::Kept(outcome) => done.push(Done { request, outcome }),
                Ended::TransactionLost { error, fatal } => {
                    self.departing.forget();
                    let public = public_copy(&error);
                    answer(request.answer, Err(error));
                    for lost in done {
                        match lost.outcome {
                            // It had failed by itself and that stands.
                            Err(own) => answer(lost.request.answer, Err(own)),
                            Ok(_) if fatal => answer(lost.request.answer, Err(public())),
                            Ok(_) => waiting.push(lost.request),
                        }
                    }
                    waiting.extend(queue);
                    return other;
                }
            }
        }
        self.commit(done);
        other
    }

    /// Answers those that wait while no writes are taken.
    fn refuse(&mut self, waiting: &mut Vec<Request>, held: rusqlite::Result<Option<bool>>) -> Option<Job> {
        // See `commit`.
        let _ = self.connection.execute_batch("ROLLBACK");
        for request in waiting.drain(..) {
            let error = match &held {
                Ok(is_moved) => BackendError::WritesHeld {
                    is_moved: is_moved.unwrap_or_default(),
                },
                Err(error) => errors::refusal(&self.shared.catalog(), None, "BEGIN IMMEDIATE", error),
            };
            answer(request.answer, Err(error));
        }
        self.departing.forget();
        self.departing.give_way();
        None
    }

    fn commit(&mut self, done: Vec<Done>) {
        let is_kept = |done: &Done| done.outcome.is_ok() && !done.request.rollback;
        if self.shared.options.is_beside && !done.iter().any(is_kept) {
            // Pages that a savepoint gave back are written by a COMMIT all the same, and the process whose file this is
            // would see that somebody has written to it. Rolling back cannot fail.
            let _ = self.connection.execute_batch("ROLLBACK");
            self.departing.forget();
            for Done { request, outcome } in done {
                answer(request.answer, outcome);
            }
            return;
        }
        let recorded = self.departing.record(&self.connection);
        if let Err(error) = recorded.and_then(|()| self.connection.execute_batch("COMMIT")) {
            self.departing.forget();
            if !self.connection.is_autocommit() {
                // Cannot fail: there is a transaction, and rolling back writes nothing.
                let _ = self.connection.execute_batch("ROLLBACK");
            }
            tracing::error!(%error, requests = done.len(), "COMMIT failed; nothing of the batch was written");
            let catalog = self.shared.catalog();
            for Done { request, outcome } in done {
                let failure = errors::refusal(&catalog, None, "COMMIT", &error);
                answer(request.answer, outcome.and(Err(failure)));
            }
            return;
        }
        self.shared.committed();
        for Done { request, outcome } in done {
            answer(request.answer, outcome);
        }
        self.keeper.after_commit(&self.connection, &self.shared);
        self.departing.give_way();
    }

    fn run_request(&mut self, request: &mut Request) -> Ended {
        if request.catalog_version != self.shared.catalog_version() {
            return Ended::Kept(Err(BackendError::StaleCatalog));
        }
        if let Err(error) = self.control("SAVEPOINT request") {
            return self.after_loss(error);
        }
        self.budget.allow(request.allowance);
        let mut result = self.guarded(&mut request.work);
        if result.is_ok() && self.deferred_keys_are_broken() {
            result = Err(foreign_keys::unnamed().into());
        }
        let spent = self.budget.spent();
        self.budget.lift();
        if self.connection.is_autocommit() {
            let error = result
                .err()
                .unwrap_or_else(|| BackendError::Internal("the transaction vanished".into()));
            return Ended::TransactionLost {
                fatal: spent.is_none(),
                error: spent.map_or(error, |spent| request.allowance.refusal(spent)),
            };
        }
        match (spent, &result) {
            (Some(Spent::Time), Err(BackendError::Internal(_))) | (Some(Spent::Steps), Err(_)) => {
                result = spent.map_or(result, |spent| Err(request.allowance.refusal(spent)));
            }
            _ => {}
        }
        if let Err(BackendError::Refused(error)) = &result
            && foreign_keys::is_unnamed(error)
        {
            match self.name_foreign_key(request) {
                Ok(Some(named)) => result = Err(named.into()),
                Ok(None) => {}
                Err(error) => return self.after_loss(error),
            }
        }
        let end = match &result {
            Ok(_) if !request.rollback => "RELEASE request",
            _ => "ROLLBACK TO request; RELEASE request",
        };
        match self.control(end) {
            Ok(()) => Ended::Kept(result),
            Err(error) => self.after_loss(error),
        }
    }

    /// Runs the request again with foreign keys deferred and looks which one is broken.
    fn name_foreign_key(
        &mut self,
        request: &mut Request,
    ) -> rusqlite::Result<Option<mainstay_core::error::DatabaseError>> {
        self.control("ROLLBACK TO request")?;
        self.budget.allow(request.allowance);
        let catalog = self.shared.catalog();
        let work = &mut request.work;
        let named = foreign_keys::diagnose(&mut self.connection, &catalog, |connection| {
            catch_unwind(AssertUnwindSafe(|| work(connection)))
                .unwrap_or_else(|_| Err(BackendError::Internal("a panic while a write ran again".into())))
        });
        self.budget.lift();
        named
    }

    fn guarded(&mut self, work: &mut Work) -> Result<Outcome, BackendError> {
        let connection = &self.connection;
        catch_unwind(AssertUnwindSafe(|| work(connection))).unwrap_or_else(|panic| {
            let text = panic_text(&*panic);
            tracing::error!(
                panic = text,
                "a write panicked; the request is refused and the writer goes on"
            );
            Err(BackendError::Internal(text.to_owned()))
        })
    }

    fn after_loss(&self, error: rusqlite::Error) -> Ended {
        if !self.connection.is_autocommit() {
            // See `commit`.
            let _ = self.connection.execute_batch("ROLLBACK");
        }
        let error = errors::refusal(&self.shared.catalog(), None, "SAVEPOINT", &error);
        Ended::TransactionLost { error, fatal: true }
    }

    /// Transaction control, prepared once.
    fn control(&self, statements: &str) -> rusqlite::Result<()> {
        for statement in statements.split("; ") {
            self.connection.prepare_cached(statement)?.execute([])?;
        }
        Ok(())
    }

    /// True if a deferred foreign key is broken now. COMMIT would say so too late: for the whole batch.
    fn deferred_keys_are_broken(&self) -> bool {
        let (mut current, mut highest) = (0, 0);
        // SAFETY: the handle is this thread's open connection; the two integers outlive the call.
        let code = unsafe {
            ffi::sqlite3_db_status(
                self.connection.handle(),
                ffi::SQLITE_DBSTATUS_DEFERRED_FKS,
                &mut current,
                &mut highest,
                0,
            )
        };
        code == ffi::SQLITE_OK && current != 0
    }

    fn run_task(&mut self, task: Task) {
        self.refresh_collations();
        self.budget.allow(Allowance::of_time(TASK_TIME));
        let connection = &mut self.connection;
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| task(connection))) {
            tracing::error!(panic = panic_text(&*panic), "a task on the writer panicked");
        }
        self.budget.lift();
        if !self.connection.is_autocommit() {
            // See `commit`.
            let _ = self.connection.execute_batch("ROLLBACK");
        }
        // Whatever the task wrote is to be seen.
        self.shared.committed();
        self.keeper.after_commit(&self.connection, &self.shared);
    }

    fn refresh_collations(&mut self) {
        let version = self.shared.catalog_version();
        if self.collations == version {
            return;
        }
        match register_collations(&self.connection, &self.shared.catalog()) {
            Ok(()) => self.collations = version,
            Err(error) => tracing::error!(%error, "cannot register the sort orders of enums"),
        }
    }

    /// Looks outside of a transaction; what fails is tried again.
    fn look_idly(&mut self) {
        if let Err(error) = self.look_for_foreign_writers() {
            tracing::warn!(%error, "cannot look for other writers");
        }
    }

    /// Out-of-band writers are not supported: their rows pass no policy, and snapshots held here do not see them. A mover
    /// writes to the file too, and says so in it: what it says is followed from here on.
    fn look_for_foreign_writers(&mut self) -> rusqlite::Result<()> {
        let version: i64 = self
            .connection
            .prepare_cached("PRAGMA data_version")
            .and_then(|mut statement| statement.query_row([], |row| row.get(0)))?;
        let is_written = self.foreign_version.is_some_and(|known| known != version);
        if self.shared.options.is_beside {
            if is_written {
                self.shared.committed();
            }
        } else if is_written || !self.departing.is_read() {
            let is_explained = self.departing.follow(&mut self.connection, &self.shared.catalog())?;
            self.shared.set_moved(self.departing.moved_to());
            if is_written && !is_explained {
                tracing::error!(
                    file = %self.shared.options.path.display(),
                    "another program has written to the data file; only this process may write to it"
                );
                self.shared.found_foreign_writes();
            }
        }
        self.foreign_version = Some(version);
        Ok(())
    }
}

fn answer(to: oneshot::Sender<Result<Outcome, BackendError>>, result: Result<Outcome, BackendError>) {
    // The client may have gone; the write stands all the same.
    let _ = to.send(result);
}

/// Makes copies of an error for those that fail with it.
fn public_copy(error: &BackendError) -> impl Fn() -> BackendError + use<> {
    let refused = match error {
        BackendError::Refused(error) => Some(error.clone()),
        _ => None,
    };
    move || match &refused {
        Some(error) => BackendError::Refused(error.clone()),
        None => BackendError::Internal("another write in the same transaction broke it".into()),
    }
}

/// The text of a panic.
pub fn panic_text(panic: &(dyn std::any::Any + Send)) -> &str {
    panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("a panic without a text")
}

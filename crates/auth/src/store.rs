//! Statements of the room's own, run as [`Caller::system`] on whichever engine there is.
//!
//! Lives here: keeping prepared statements for the catalog as it is, transactions, reading rows.
//! Not here: what the statements say; each noun keeps its own.

use std::collections::HashMap;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;
use mainstay_core::backend::{Backend, Statement};
use mainstay_core::caller::Caller;
use mainstay_core::error::BackendError;
use mainstay_core::plan::{Input, Outcome, Value};
use mainstay_core::transaction::{Decision, Isolation, Step, Steps, Written};
use serde_json::{Map, Value as Json};
use uuid::Uuid;

use crate::asked::Asked;
use crate::hooks;
use crate::issuing::Issuing;
use crate::messages::Channel;
use crate::messages::lane::Rounds;
use crate::standing::Standing;

/// `undefined_table`.
const UNDEFINED_TABLE: &str = "42P01";
/// `unique_violation`.
const TAKEN: &str = "23505";

/// How often something is tried anew because the catalog changed under it.
const ATTEMPTS: usize = 5;

/// The database, as this room sees it.
#[derive(Clone)]
pub struct Store {
    backend: Arc<dyn Backend>,
    prepared: Arc<Mutex<Prepared>>,
    standing: Arc<Standing>,
    issuing: Arc<Issuing>,
    rounds: Arc<Rounds>,
}

#[derive(Default)]
struct Prepared {
    catalog_version: u64,
    statements: HashMap<&'static str, Statement>,
}

/// True if a table is not there: a database that others made need not have it yet.
pub fn is_undefined_table(error: &BackendError) -> bool {
    matches!(error, BackendError::Refused(error) if error.sqlstate == UNDEFINED_TABLE)
}

impl Store {
    pub fn new(backend: Arc<dyn Backend>, issuing: Issuing) -> Self {
        Store {
            backend,
            prepared: Arc::default(),
            standing: Arc::default(),
            issuing: Arc::new(issuing),
            rounds: Arc::default(),
        }
    }

    /// When messages are handed over.
    pub(crate) fn rounds(&self) -> &Rounds {
        &self.rounds
    }

    /// How access tokens are made.
    pub fn issuing(&self) -> &Issuing {
        &self.issuing
    }

    /// Tries whether a statement can be run, as far as the engine can tell without running it.
    pub fn check(&self, sql: &'static str) -> Result<(), BackendError> {
        self.statement(sql).map(drop)
    }

    /// Whose tokens still hold.
    pub fn standing(&self) -> &Standing {
        &self.standing
    }

    fn statement(&self, sql: &'static str) -> Result<Statement, BackendError> {
        let version = self.backend.catalog().version;
        let mut prepared = self.prepared.lock().unwrap_or_else(PoisonError::into_inner);
        if prepared.catalog_version != version {
            prepared.statements.clear();
            prepared.catalog_version = version;
        }
        if let Some(known) = prepared.statements.get(sql) {
            return Ok(known.clone());
        }
        let made = self.backend.own(sql)?;
        prepared.statements.insert(sql, made.clone());
        Ok(made)
    }

    fn forget(&self) {
        let mut prepared = self.prepared.lock().unwrap_or_else(PoisonError::into_inner);
        prepared.statements.clear();
    }

    /// Runs one statement in a transaction of its own. There is nothing to wait for before it is tried anew: the engines say
    /// that a catalog is stale once a newer one is published.
    pub async fn run(&self, sql: &'static str, values: Vec<Value>) -> Result<Rows, BackendError> {
        let caller = Caller::system();
        for _ in 0..ATTEMPTS {
            let statement = match self.statement(sql) {
                Err(BackendError::StaleCatalog) => continue,
                other => other?,
            };
            match self.backend.run(&caller, &statement, input(values.clone())).await {
                Err(BackendError::StaleCatalog) => self.forget(),
                other => return other.map(Rows),
            }
        }
        Err(BackendError::StaleCatalog)
    }

    /// Runs what `body` says in one transaction. It may be begun more than once, and awaits nothing but
    /// [`Tx::run`].
    pub async fn transact<T, F>(&self, body: impl Fn(Tx) -> F + Clone + Send + 'static) -> Result<T, BackendError>
    where
        T: Send + 'static,
        F: Future<Output = Result<Decision<T>, BackendError>> + Send + 'static,
    {
        let role = Caller::system().role;
        let asked = Asked::now();
        let course = Arc::new(Course {
            standing: Arc::clone(&self.standing),
            rounds: Arc::clone(&self.rounds),
            revoked: Mutex::default(),
            posted: Mutex::default(),
            hook: Mutex::default(),
        });
        for _ in 0..ATTEMPTS {
            let (store, body, own) = (self.clone(), body.clone(), Arc::clone(&course));
            let script = Arc::new(Mutex::new(Written::new(move |steps| {
                body(Tx {
                    store: store.clone(),
                    steps,
                    asked,
                    course: Arc::clone(&own),
                })
            })));
            let ended = self
                .backend
                .transact(&role, Isolation::ReadCommitted, script.clone())
                .await;
            course.end();
            match ended {
                Err(BackendError::StaleCatalog) => self.forget(),
                Err(error) => return Err(course.named(error)),
                Ok(_) => {
                    let result = script.lock().unwrap_or_else(PoisonError::into_inner).take();
                    return result.ok_or_else(|| BackendError::Internal("a transaction left no result".into()));
                }
            }
        }
        Err(BackendError::StaleCatalog)
    }
}

/// What a transaction has told of itself, for when it has ended.
struct Course {
    standing: Arc<Standing>,
    rounds: Arc<Rounds>,
    /// Users of whom it has taken something away: nothing that was known of them counts any more.
    revoked: Mutex<Vec<Uuid>>,
    /// Channels of messages that it has put into the queue.
    posted: Mutex<Vec<Channel>>,
    /// The hook that it is asking. What the database refuses meanwhile is the hook's failure.
    hook: Mutex<Option<String>>,
}

impl Course {
    fn end(&self) {
        for channel in self.posted.lock().unwrap_or_else(PoisonError::into_inner).drain(..) {
            self.rounds.wake(channel);
        }
        for user in self.revoked.lock().unwrap_or_else(PoisonError::into_inner).drain(..) {
            self.standing.revoke(user);
        }
    }

    fn asks(&self, hook: Option<&str>) {
        *self.hook.lock().unwrap_or_else(PoisonError::into_inner) = hook.map(str::to_owned);
    }

    /// The error with which the transaction ended, or its hook's.
    fn named(&self, error: BackendError) -> BackendError {
        let hook = self.hook.lock().unwrap_or_else(PoisonError::into_inner).take();
        match (hook, &error) {
            (Some(uri), BackendError::Refused(_) | BackendError::Internal(_)) => hooks::failed(&uri, &error).end(),
            _ => error,
        }
    }
}

impl Drop for Course {
    /// Nobody waited for the end: the engine lets go of a transaction once it has ended.
    fn drop(&mut self) {
        self.end();
    }
}

/// A transaction that is open.
pub struct Tx {
    store: Store,
    steps: Steps,
    asked: Asked,
    course: Arc<Course>,
}

impl Tx {
    /// Says that a session or a right of the user's ends with this transaction, so that its tokens are refused at once.
    pub fn revoke(&self, user: Uuid) {
        let mut users = self.course.revoked.lock().unwrap_or_else(PoisonError::into_inner);
        users.push(user);
    }

    /// Says that a message of the channel waits for the end of this transaction.
    pub fn posted(&self, channel: Channel) {
        let mut channels = self.course.posted.lock().unwrap_or_else(PoisonError::into_inner);
        channels.push(channel);
    }

    /// The request for which it was begun.
    pub fn asked(&self) -> Asked {
        self.asked
    }

    /// How access tokens are made.
    pub fn issuing(&self) -> &Issuing {
        &self.store.issuing
    }

    /// Runs the statement that calls a hook; what the database refuses is told as that hook's failure.
    pub async fn run_hook(&self, sql: &'static str, values: Vec<Value>, uri: &str) -> Result<Rows, BackendError> {
        self.course.asks(Some(uri));
        let rows = self.run(sql, values).await;
        if rows.is_ok() {
            self.course.asks(None);
        }
        rows
    }

    /// Runs one statement. What the database refuses ends the transaction.
    pub async fn run(&self, sql: &'static str, values: Vec<Value>) -> Result<Rows, BackendError> {
        let step = Step {
            caller: Caller::system(),
            statement: self.store.statement(sql)?,
            input: input(values),
        };
        Ok(Rows(self.steps.run(step).await))
    }
}

fn input(values: Vec<Value>) -> Input {
    Input {
        values,
        ..Input::default()
    }
}

/// True if a value that may be there once was there already.
pub fn is_taken(error: &BackendError) -> bool {
    taken_by(error).is_some()
}

/// The constraint by which a value may be there once, if it was there already. Empty: the engine names none.
pub fn taken_by(error: &BackendError) -> Option<&str> {
    match error {
        BackendError::Refused(error) if error.sqlstate == TAKEN => {
            Some(error.constraint.as_ref().map_or("", |name| name.as_str()))
        }
        _ => None,
    }
}

/// A text value.
pub fn text(value: impl ToString) -> Value {
    Value::Text(value.to_string())
}

/// A text value or null.
pub fn optional(value: Option<impl ToString>) -> Value {
    value.map_or(Value::Null, text)
}

/// A statement's outcome.
#[derive(Debug)]
pub struct Rows(Outcome);

impl Rows {
    /// Every row, read by `read`.
    pub fn all<T>(self, mut read: impl FnMut(&mut Row) -> Result<T, BackendError>) -> Result<Vec<T>, BackendError> {
        self.0
            .cells
            .into_iter()
            .map(|cells| read(&mut Row::new(cells)))
            .collect()
    }

    /// The first row, if there is one.
    pub fn first<T>(self, read: impl FnOnce(&mut Row) -> Result<T, BackendError>) -> Result<Option<T>, BackendError> {
        let first = self.0.cells.into_iter().next();
        first.map(|cells| read(&mut Row::new(cells))).transpose()
    }
}

/// A row's values, taken in the order in which the statement selects them.
pub struct Row(std::vec::IntoIter<Option<String>>);

impl Row {
    fn new(cells: Vec<Option<String>>) -> Self {
        Row(cells.into_iter())
    }

    /// A value that may be null.
    pub fn maybe(&mut self) -> Result<Option<String>, BackendError> {
        self.0.next().ok_or_else(|| misread("a row has too few values"))
    }

    /// A value; null counts as an empty text, as the protocol has it.
    pub fn text(&mut self) -> Result<String, BackendError> {
        Ok(self.maybe()?.unwrap_or_default())
    }

    pub fn uuid(&mut self) -> Result<Uuid, BackendError> {
        self.maybe_uuid()?.ok_or_else(|| misread("an id is null"))
    }

    pub fn maybe_uuid(&mut self) -> Result<Option<Uuid>, BackendError> {
        let text = self.maybe()?;
        text.map(|text| text.parse().map_err(|_| misread("an id is none")))
            .transpose()
    }

    pub fn integer(&mut self) -> Result<i64, BackendError> {
        self.text()?.parse().map_err(|_| misread("a number is none"))
    }

    /// Null counts as false.
    pub fn flag(&mut self) -> Result<bool, BackendError> {
        Ok(matches!(self.maybe()?.as_deref(), Some("t" | "true")))
    }

    /// A `timestamptz`, or a `timestamp` of UTC.
    pub fn time(&mut self) -> Result<Option<Timestamp>, BackendError> {
        self.maybe()?.map(|text| timestamp(&text)).transpose()
    }

    /// A JSON object; null and everything else count as an empty one.
    pub fn object(&mut self) -> Result<Map<String, Json>, BackendError> {
        let Some(text) = self.maybe()? else {
            return Ok(Map::new());
        };
        match serde_json::from_str(&text) {
            Ok(Json::Object(object)) => Ok(object),
            Ok(_) => Ok(Map::new()),
            Err(_) => Err(misread("a JSON value is none")),
        }
    }
}

/// PostgreSQL's text of a time in UTC: `2026-01-01 10:00:00.5+00`.
fn timestamp(text: &str) -> Result<Timestamp, BackendError> {
    let bare = text.strip_suffix("+00").unwrap_or(text).replacen(' ', "T", 1);
    format!("{bare}Z").parse().map_err(|_| misread("a time is none"))
}

fn misread(what: &str) -> BackendError {
    BackendError::Internal(format!("schema auth is not what it should be: {what}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_postgresql_writes_them() {
        let read = |text: &str| timestamp(text).unwrap().to_string();
        assert_eq!(read("2026-01-01 10:00:00+00"), "2026-01-01T10:00:00Z");
        assert_eq!(read("2026-01-01 10:00:00.25"), "2026-01-01T10:00:00.25Z");
        assert!(timestamp("infinity").is_err());
    }
}

//! One database engine: the only place where SQLite and PostgreSQL may differ.

use std::any::Any;
use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex};

use crate::caller::Caller;
use crate::catalog::{Catalog, ColumnIndex, Relation};
use crate::definition::{Definitions, Position};
use crate::error::{BackendError, DatabaseError};
use crate::name::{Ident, QualifiedName};
use crate::plan::{Input, Outcome, Plan};
use crate::transaction::{Ended, Isolation, Script};
use crate::transfer::Transfer;
use crate::trial::{Trial, Verdict};

/// A boxed future that may cross threads.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// A plan spelled in one engine's SQL. Free of values, so it can be kept and shared.
#[derive(Clone)]
pub struct Statement {
    /// The SQL, for snapshots, logs and `EXPLAIN`; several statements are separated by a line of their own.
    pub sql: Arc<str>,
    /// What the engine needs to run it; no other code looks inside.
    pub engine: Arc<dyn Any + Send + Sync>,
    /// Running it may look at [`Caller::request`], beyond its time zone; otherwise nobody need fill that in.
    pub reads_request: bool,
}

impl fmt::Debug for Statement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Statement")
            .field("sql", &self.sql)
            .finish_non_exhaustive()
    }
}

/// Bytes of rows that one statement may answer with. Embeds multiply rows, so few rows can ask for all memory.
pub const ANSWER_BYTES_MAX: usize = 128 * 1024 * 1024;

/// What one statement may cost, by the role that asks. A unit is what PostgreSQL's planner counts in: the reading of a page in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CostLimits {
    /// Of roles that are not in `by_role`; `None`: no limit.
    pub default: Option<u64>,
    pub by_role: BTreeMap<Ident, Option<u64>>,
}

impl CostLimits {
    /// The limit of `role`.
    pub fn of(&self, role: &str) -> Option<u64> {
        match self.by_role.get(role) {
            Some(own) => *own,
            None => self.default,
        }
    }
}

/// One database engine.
pub trait Backend: Send + Sync + 'static {
    /// The catalog as it is now. Cheap: a pointer is cloned.
    fn catalog(&self) -> Arc<Catalog>;

    /// Spells `plan` in this engine's SQL. Pure: no I/O, no clock, no randomness.
    fn render(&self, plan: &Plan) -> Result<Statement, BackendError>;

    /// Prepares a statement of a room's own: one SELECT, INSERT, UPDATE or DELETE in PostgreSQL's text, `$1`, `$2` …
    /// standing for [`Input::values`] and taking the types that PostgreSQL would give them.
    ///
    /// Run, it has the owner's rights whoever the caller is ([`Caller::system`] says so where it happens), row security
    /// does not apply, triggers fire, and its rows are in [`Outcome::cells`]. Pure, as `render` is.
    fn own(&self, sql: &'static str) -> Result<Statement, BackendError>;

    /// Runs `statement` in one transaction as `caller` (role and claims set first).
    ///
    /// Errors: `Busy` and `Unavailable` are worth a retry, `StaleCatalog` a new plan, `Refused` is not; all leave
    /// nothing written.
    fn run<'a>(
        &'a self,
        caller: &'a Caller,
        statement: &'a Statement,
        input: Input,
    ) -> BoxFuture<'a, Result<Outcome, BackendError>>;

    /// Runs the statements that `script` chooses in one transaction, within the time that `role` has for a statement.
    /// Each is judged as [`Backend::run`] judges it. [`Options::rollback`] of the inputs is not looked at;
    /// [`Options::pre_request`] runs before each statement that has it.
    ///
    /// Errors: as of `run`, and those of the script; all leave nothing written.
    ///
    /// [`Options::rollback`]: crate::plan::Options::rollback
    /// [`Options::pre_request`]: crate::plan::Options::pre_request
    fn transact<'a>(
        &'a self,
        role: &'a Ident,
        isolation: Isolation,
        script: Arc<Mutex<dyn Script>>,
    ) -> BoxFuture<'a, Result<Ended, BackendError>>;

    /// A number that is another one as soon as a commit could have changed what `statement` answers to the same caller
    /// and input. `None`: that depends on more than the tables (the time, chance, headers), or the engine cannot tell.
    /// Cheap: no I/O.
    fn validity(&self, statement: &Statement) -> Option<u64> {
        let _ = statement;
        None
    }

    /// Runs SQL text (PostgreSQL's dialect, one or more statements) in one transaction with the owner's rights, or as
    /// `caller`, and returns the last statement's rows as text. For the console, seeds and `mainstay db query`.
    fn query<'a>(
        &'a self,
        caller: Option<&'a Caller>,
        sql: &'a str,
        mode: QueryMode,
    ) -> BoxFuture<'a, Result<QueryResult, BackendError>>;

    /// Says for each condition of `trial` what it makes of each row, to explain an answer. A row stands as it is given,
    /// whoever may see it; what a condition looks up elsewhere is what `caller` may see there. Nothing is written.
    ///
    /// Errors: what keeps the engine from answering at all; a condition's own are in its verdicts.
    fn judge<'a>(
        &'a self,
        caller: &'a Caller,
        trial: &'a Trial,
    ) -> BoxFuture<'a, Result<Vec<Vec<Verdict>>, BackendError>>;

    /// The columns of `relation` that a policy's `condition` compares for equality with what is the same for every row:
    /// an index on one of them helps. Cheap enough for a log, not for every request.
    fn compared(&self, relation: &Relation, condition: &str) -> Vec<ColumnIndex>;

    /// The role whose statements pass row security, to say what there is that a caller does not see. `None`: the
    /// connection has none.
    fn overseer(&self) -> Option<Ident>;

    /// The migrations recorded in `supabase_migrations.schema_migrations`, oldest first.
    fn migrations<'a>(&'a self) -> BoxFuture<'a, Result<Vec<AppliedMigration>, BackendError>>;

    /// Applies one migration and records it, in one transaction; on failure the database is untouched. Afterwards the
    /// new catalog is published.
    fn migrate<'a>(&'a self, migration: &'a Migration) -> BoxFuture<'a, Result<(), MigrationError>>;

    /// The same, telling `watch` how far long changes of rows have come, where the engine knows.
    fn migrate_watched<'a>(
        &'a self,
        migration: &'a Migration,
        watch: Watch,
    ) -> BoxFuture<'a, Result<(), MigrationError>> {
        let _ = watch;
        self.migrate(migration)
    }

    /// Records a migration without running it: the database is already as it says.
    fn record<'a>(&'a self, migration: &'a Migration) -> BoxFuture<'a, Result<(), BackendError>>;

    /// Says whether `migration` could be applied after those before it, without keeping anything.
    fn check<'a>(&'a self, migrations: &'a [Migration]) -> BoxFuture<'a, Vec<CheckedMigration>>;

    /// Removes every user object and every recorded migration, as on a new database.
    fn reset<'a>(&'a self) -> BoxFuture<'a, Result<(), BackendError>>;

    /// True if no user table has a row (then a seed may be run).
    fn is_empty<'a>(&'a self) -> BoxFuture<'a, Result<bool, BackendError>>;

    /// Reads the catalog anew, if the engine can change behind our back.
    fn reload<'a>(&'a self) -> BoxFuture<'a, Result<(), BackendError>>;

    /// Every object with its definition, those of the platform and the engine's own included.
    fn definitions<'a>(&'a self) -> BoxFuture<'a, Result<Definitions, BackendError>>;

    /// Reads tables one after the other with the owner's rights, all of one moment, and then says where the sequences
    /// stand. Memory is bounded by a batch of rows.
    fn export<'a>(
        &'a self,
        tables: &'a [TableRows],
        sink: &'a mut dyn RowSink,
    ) -> BoxFuture<'a, Result<BTreeMap<QualifiedName, Position>, BackendError>>;

    /// Can it answer now? Errors say why not.
    fn health<'a>(&'a self) -> BoxFuture<'a, Result<Health, BackendError>>;

    /// What this engine does when a database is moved.
    fn transfer(&self) -> &dyn Transfer;

    /// Finishes what was acknowledged and lets go of files and connections.
    fn close<'a>(&'a self) -> BoxFuture<'a, ()>;
}

/// How far a change of a table's rows has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Progress {
    pub table: QualifiedName,
    /// Rows.
    pub done: u64,
    /// Rows.
    pub total: u64,
}

/// Hears of progress, on the thread that makes it.
pub type Watch = Arc<dyn Fn(&Progress) + Send + Sync>;

/// May a console statement write?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QueryMode {
    ReadOnly,
    ReadWrite,
}

/// Rows as text, for people.
#[derive(Clone, Debug, Default)]
pub struct QueryResult {
    pub columns: Vec<String>,
    pub rows: Vec<Vec<Option<String>>>,
    /// `SELECT 3`, `INSERT 0 1`, `CREATE TABLE`.
    pub tag: String,
}

/// A migration file.
#[derive(Clone, Debug)]
pub struct Migration {
    /// The 14 digits.
    pub version: String,
    pub name: String,
    pub sql: String,
}

/// A migration that has been applied.
#[derive(Clone, Debug)]
pub struct AppliedMigration {
    pub version: String,
    pub name: String,
    /// The text as it was applied; joined with newlines where the table keeps statements.
    pub sql: Option<String>,
}

/// Why a migration was not applied.
#[derive(Debug, thiserror::Error)]
pub enum MigrationError {
    /// The statement that failed, counted from 1, and the 1-based line it begins at.
    #[error("line {line}: {error}")]
    Statement {
        statement: usize,
        line: u32,
        error: Box<DatabaseError>,
    },
    #[error(transparent)]
    Backend(#[from] BackendError),
}

/// What a dry run says of one migration.
#[derive(Debug)]
pub struct CheckedMigration {
    pub version: String,
    /// Everything that stands in the way; empty if nothing does.
    pub problems: Vec<Problem>,
    /// What is accepted but differs or is kept for PostgreSQL only.
    pub notices: Vec<Problem>,
}

/// One remark on one place in a migration.
#[derive(Clone, Debug)]
pub struct Problem {
    /// 1-based.
    pub line: u32,
    pub error: DatabaseError,
    /// The migration and line whose own problem this one follows from: what should be there was not made.
    pub follows: Option<(String, u32)>,
}

impl Problem {
    /// A problem of its own.
    pub fn new(line: u32, error: DatabaseError) -> Self {
        Problem {
            line,
            error,
            follows: None,
        }
    }
}

/// A sign of life with what an operator wants to know.
#[derive(Clone, Debug)]
pub struct Health {
    /// `SQLite 3.54.1`, `PostgreSQL 15.18`.
    pub engine: String,
    /// Things an operator should know: missing rights, a collation that differs, a table open to the world.
    pub warnings: Vec<String>,
}

/// Rows of one table that are to be read.
#[derive(Clone, Debug)]
pub struct TableRows {
    pub table: QualifiedName,
    pub columns: Vec<Ident>,
    /// Columns to order by, those of the key; none: whatever order is always the same.
    pub order: Vec<Ident>,
}

/// Takes rows as they are read.
pub trait RowSink: Send {
    /// Rows of `tables[table]`, values as PostgreSQL's text output in UTC. Never more than a batch at once.
    fn rows(&mut self, table: usize, rows: Vec<Vec<Option<String>>>) -> Result<(), BackendError>;
}

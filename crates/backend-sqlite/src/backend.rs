//! [`SqliteBackend`]: the embedded engine as a [`Backend`].
//!
//! Not here: what reads (`read`), writes (`write`), the console (`console`) and migrations (`schema`) do.

use std::collections::BTreeMap;
use std::ptr::NonNull;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use mainstay_core::backend::{
    AppliedMigration, Backend, BoxFuture, CheckedMigration, Health, Migration, MigrationError, QueryMode, QueryResult,
    RowSink, Statement, TableRows, Watch,
};
use mainstay_core::caller::Caller;
use mainstay_core::catalog::{Catalog, ColumnIndex, Relation};
use mainstay_core::clock;
use mainstay_core::definition::{Definitions, Position};
use mainstay_core::error::BackendError;
use mainstay_core::name::{Ident, QualifiedName};
use mainstay_core::plan::{Action, Input, Outcome, Plan};
use mainstay_core::policy::Access;
use mainstay_core::transaction::{Ended, Isolation, Script};
use mainstay_core::transfer::Transfer;
use mainstay_core::trial::{Trial, Verdict};
use rusqlite::Connection;

use crate::connection::{Allowance, OpenError, Options};
use crate::emit::binds::Sources;
use crate::emit::context::Context;
use crate::engine::{Engine, Tried};
use crate::errors;
use crate::explain::Explained;
use crate::foreign_keys;
use crate::own::Own;
use crate::read::compile;
use crate::read::prepared::{self, Prepared};
use crate::read::program::{Place, ReadProgram};
use crate::read::run::{self, RunError};
use crate::reader::Reader;
use crate::shared::Shared;
use crate::{console, departure, export, routine, schema, surroundings, transact, write};

/// How long the writer may keep a question after its health waiting.
const HEALTH_WAIT: Duration = Duration::from_secs(5);

/// The longest that an export may take; it holds up nobody.
const EXPORT_TIMEOUT: Duration = Duration::from_secs(7 * 24 * 3600);

/// Batches of rows between the reading thread and whoever takes them, at most.
const EXPORT_BATCHES_MAX: usize = 2;

/// The embedded engine on one data file.
#[derive(Debug)]
pub struct SqliteBackend {
    pub(crate) engine: Arc<Engine>,
}

/// What a [`Statement`] of this engine holds.
pub(crate) enum Program {
    Read(Arc<ReadProgram>),
    Write(Arc<write::Program>),
    Own(Arc<Own>),
    Explained(Arc<Explained>),
}

impl SqliteBackend {
    /// Opens the file, makes it if it is not there. Errors: another process has it, it is no data file, it is of a
    /// newer version.
    pub fn open(options: Options) -> Result<Self, OpenError> {
        let grants = options.default_grants;
        let engine = Engine::open(options, |connection| schema::open_with(connection, grants))?;
        Ok(SqliteBackend {
            engine: Arc::new(engine),
        })
    }

    /// Opens a file that another process may be serving, to read from it and to move it: no rows are written.
    /// Errors: there is no such file, or it is of another version.
    pub fn open_beside(options: Options) -> Result<Self, OpenError> {
        let options = Options {
            is_beside: true,
            ..options
        };
        let engine = Engine::open(options, schema::open_beside)?;
        Ok(SqliteBackend {
            engine: Arc::new(engine),
        })
    }

    fn shared(&self) -> &Shared {
        &self.engine.shared
    }

    /// What a statement of `role` may use.
    fn allowance(&self, role: &str) -> Allowance {
        let options = &self.shared().options;
        let longest = options.statement_timeout;
        let own = self
            .shared()
            .catalog()
            .roles
            .get(role)
            .and_then(|role| role.statement_timeout_ms);
        let time = match own {
            Some(milliseconds) if milliseconds > 0 => longest.min(Duration::from_millis(milliseconds)),
            _ => longest,
        };
        Allowance {
            time,
            cost: self.cost_max(role),
        }
    }

    /// What a statement of `role` may cost.
    fn cost_max(&self, role: &str) -> Option<u64> {
        self.shared().options.cost_limits.of(role)
    }

    /// What the console's statements may use; the owner's have no limit but time.
    fn allowance_of(&self, caller: Option<&Caller>) -> Allowance {
        match caller {
            Some(caller) => self.allowance(&caller.role),
            None => Allowance::of_time(self.allowance("postgres").time),
        }
    }

    async fn read(&self, caller: &Caller, program: &Arc<ReadProgram>, input: Input) -> Result<Outcome, BackendError> {
        if program.catalog_version != self.shared().catalog_version() {
            return Err(BackendError::StaleCatalog);
        }
        let place = match program.runs_routine || input.options.pre_request.is_some() {
            true => Place::ReaderThread,
            false => program.pace.place(),
        };
        if place != Place::ReaderThread {
            let tried = self.engine.read_here(self.cost_max(&caller.role), |reader| {
                if place == Place::Unknown && !self.look_at_plan(reader, program)? {
                    return Ok(None);
                }
                read_on(reader, self.shared(), program, caller, &input).map(Some)
            });
            match tried {
                Tried::Done(Ok(Some(outcome))) => return Ok(outcome),
                Tried::Done(Ok(None)) => program.pace.is_long(),
                Tried::Done(Err(error)) => return Err(error),
                Tried::TooLong => program.pace.ran_long(),
            }
        }
        let (shared, program, caller) = (Arc::clone(&self.engine.shared), Arc::clone(program), caller.clone());
        let allowance = self.allowance(&caller.role);
        self.engine
            .read_there(allowance, move |reader| {
                read_on(reader, &shared, &program, &caller, &input)
            })
            .await
    }

    /// False if the plan says that the program is long.
    fn look_at_plan(&self, reader: &Reader, program: &ReadProgram) -> Result<bool, BackendError> {
        reader.expect_catalog(program.catalog_version)?;
        let short = prepared::is_short(reader.connection(), program)
            .map_err(|error| refusal(self.shared(), program.catalog_version, &program.sql(), &error))?;
        if short {
            program.pace.is_short();
        }
        Ok(short)
    }

    async fn write(
        &self,
        caller: &Caller,
        program: &Arc<write::Program>,
        input: Input,
    ) -> Result<Outcome, BackendError> {
        let allowance = self.allowance(&caller.role);
        if input.options.read_only || !program.needs_writer() {
            return self.call(caller, program, input, allowance).await;
        }
        let rollback = input.options.rollback;
        let (program, asking) = (Arc::clone(program), caller.clone());
        let (version, compiled) = (program.catalog_version(), self.shared().compiled());
        let work =
            Box::new(move |connection: &Connection| write::execute(connection, &compiled, &program, &asking, &input));
        let mut result = self.engine.write(version, allowance, rollback, work).await;
        if let Err(BackendError::Refused(error)) = &mut result {
            foreign_keys::conceal(error, &self.shared().catalog(), &caller.role);
        }
        result
    }

    /// A call that does not write, or must not: it runs like a read.
    async fn call(
        &self,
        caller: &Caller,
        program: &Arc<write::Program>,
        input: Input,
        allowance: Allowance,
    ) -> Result<Outcome, BackendError> {
        let compiled = self.shared().compiled();
        if compiled.catalog().version != program.catalog_version() {
            return Err(BackendError::StaleCatalog);
        }
        // Routines call each other deep and loop without SQLite's steps: a thread of its own bounds both.
        if !program.runs_routine() && input.options.pre_request.is_none() {
            let here = self.engine.read_here(allowance.cost, |reader| {
                reader.expect_catalog(program.catalog_version())?;
                write::execute(reader.connection(), &compiled, program, caller, &input)
            });
            if let Tried::Done(result) = here {
                return result;
            }
        }
        let (program, caller) = (Arc::clone(program), caller.clone());
        self.engine
            .read_there(allowance, move |reader| {
                reader.expect_catalog(program.catalog_version())?;
                write::execute(reader.connection(), &compiled, &program, &caller, &input)
            })
            .await
    }

    /// A room's own statement: a query among the reads, everything else on the writer.
    async fn own(&self, own: &Arc<Own>, input: Input) -> Result<Outcome, BackendError> {
        let version = own.catalog_version();
        if version != self.shared().catalog_version() {
            return Err(BackendError::StaleCatalog);
        }
        let compiled = self.shared().compiled();
        let allowance = Allowance::of_time(self.shared().options.statement_timeout);
        if !own.reads_only() {
            let (own, compiled) = (Arc::clone(own), compiled);
            let work = Box::new(move |connection: &Connection| own.run(connection, &compiled, &input));
            return self.engine.write(version, allowance, false, work).await;
        }
        let here = self.engine.read_here(allowance.cost, |reader| {
            reader.expect_catalog(version)?;
            own.run(reader.connection(), &compiled, &input)
        });
        if let Tried::Done(result) = here {
            return result;
        }
        let own = Arc::clone(own);
        self.engine
            .read_there(allowance, move |reader| {
                reader.expect_catalog(version)?;
                own.run(reader.connection(), &compiled, &input)
            })
            .await
    }

    /// Runs the console's statements: with DDL by themselves, else among other writes.
    async fn script(&self, script: console::Script, caller: Option<Caller>) -> Result<QueryResult, BackendError> {
        let shared = Arc::clone(&self.engine.shared);
        if script.has_ddl() {
            return self
                .engine
                .task(move |connection| script.run_ddl(connection, &shared, caller.as_ref()))
                .await?;
        }
        let version = shared.catalog_version();
        let allowance = self.allowance_of(caller.as_ref());
        let shown: Arc<Mutex<Option<QueryResult>>> = Arc::default();
        let place = Arc::clone(&shown);
        let work = Box::new(move |connection: &Connection| {
            let result = script.run(connection, &shared.compiled(), caller.as_ref())?;
            *place.lock().unwrap_or_else(PoisonError::into_inner) = Some(result);
            Ok(Outcome::default())
        });
        self.engine.write(version, allowance, false, work).await?;
        let result = shown.lock().unwrap_or_else(PoisonError::into_inner).take();
        result.ok_or_else(|| BackendError::Internal("the console's statements left no result".into()))
    }
}

fn read_on(
    reader: &mut Reader,
    shared: &Shared,
    program: &ReadProgram,
    caller: &Caller,
    input: &Input,
) -> Result<Outcome, BackendError> {
    reader.expect_catalog(program.catalog_version)?;
    let connection = NonNull::from(reader.connection());
    let prepared = reader
        .prepared(program.id, |connection| Prepared::new(connection, program))
        .map_err(|error| refusal(shared, program.catalog_version, &program.sql(), &error))?;
    let context = Context::of_caller(caller, clock::now());
    let sources = Sources::of_request(&context, &input.values);
    let mut run = || run::run(program, prepared, &sources, &input.options);
    let refused = |error| match error {
        RunError::Backend(error) => error,
        RunError::Sqlite { error, sql } => refusal(shared, program.catalog_version, &sql, &error),
    };
    if !program.runs_routine && input.options.pre_request.is_none() {
        return run().map_err(refused);
    }
    let compiled = shared.compiled();
    if compiled.catalog().version != program.catalog_version {
        return Err(BackendError::StaleCatalog);
    }
    // SAFETY: `reader` owns the connection, at an address that does not change, and is borrowed until the end.
    let connection = unsafe { connection.as_ref() };
    surroundings::run(connection, &compiled, caller, &input.options, || {
        routine::enter(connection, &compiled, &context, run).map_err(refused)
    })
}

/// An error of a statement that was compiled for a catalog that may be gone by now.
pub(crate) fn refusal(shared: &Shared, version: u64, sql: &str, error: &rusqlite::Error) -> BackendError {
    if version != shared.catalog_version() {
        return BackendError::StaleCatalog;
    }
    errors::refusal(&shared.catalog(), None, sql, error)
}

/// A statement of another engine: a caller's mistake that no client can make.
pub(crate) fn foreign() -> BackendError {
    BackendError::Internal("the statement was rendered by another backend".into())
}

impl Backend for SqliteBackend {
    fn catalog(&self) -> Arc<Catalog> {
        self.shared().catalog()
    }

    fn render(&self, plan: &Plan) -> Result<Statement, BackendError> {
        let compiled = self.shared().compiled();
        if plan.catalog_version != compiled.catalog().version {
            return Err(BackendError::StaleCatalog);
        }
        let mut reads_request = true;
        let (sql, program) = match &plan.action {
            Action::Read(read) => {
                let program = compile::compile(&compiled, plan, read)?;
                reads_request = program.reads_request();
                (Arc::from(program.sql()), Program::Read(Arc::new(program)))
            }
            Action::Insert(_) | Action::Update(_) | Action::Delete(_) | Action::Call(_) => {
                let program = write::compile(&compiled, plan)?;
                (Arc::from(program.sql()), Program::Write(Arc::new(program)))
            }
        };
        let program = match plan.explain {
            Some(explain) => Program::Explained(Arc::new(Explained::new(&sql, plan.catalog_version, explain)?)),
            None => program,
        };
        Ok(Statement {
            sql,
            engine: Arc::new(program),
            reads_request,
        })
    }

    fn own(&self, sql: &'static str) -> Result<Statement, BackendError> {
        let own = Own::compile(&self.shared().compiled(), sql)?;
        Ok(Statement {
            sql: own.sql().into(),
            engine: Arc::new(Program::Own(Arc::new(own))),
            reads_request: false,
        })
    }

    fn run<'a>(
        &'a self,
        caller: &'a Caller,
        statement: &'a Statement,
        input: Input,
    ) -> BoxFuture<'a, Result<Outcome, BackendError>> {
        Box::pin(async move {
            match statement.engine.downcast_ref::<Program>() {
                Some(Program::Read(program)) => self.read(caller, program, input).await,
                Some(Program::Write(program)) => self.write(caller, program, input).await,
                Some(Program::Own(own)) => self.own(own, input).await,
                Some(Program::Explained(explained)) => {
                    let (explained, asking) = (Arc::clone(explained), caller.clone());
                    let compiled = self.shared().compiled();
                    let tell = move |reader: &mut Reader| {
                        reader.expect_catalog(explained.catalog_version)?;
                        let connection = reader.connection();
                        surroundings::run(connection, &compiled, &asking, &input.options, || {
                            explained.tell(connection)
                        })
                    };
                    self.engine.read_there(self.allowance(&caller.role), tell).await
                }
                None => Err(foreign()),
            }
        })
    }

    fn transact<'a>(
        &'a self,
        role: &'a Ident,
        _: Isolation,
        script: Arc<Mutex<dyn Script>>,
    ) -> BoxFuture<'a, Result<Ended, BackendError>> {
        Box::pin(transact::transact(&self.engine, role, self.allowance(role), script))
    }

    fn validity(&self, statement: &Statement) -> Option<u64> {
        match statement.engine.downcast_ref::<Program>() {
            Some(Program::Read(program)) if program.is_repeatable() => Some(self.shared().commits()),
            _ => None,
        }
    }

    fn query<'a>(
        &'a self,
        caller: Option<&'a Caller>,
        sql: &'a str,
        mode: QueryMode,
    ) -> BoxFuture<'a, Result<QueryResult, BackendError>> {
        Box::pin(async move {
            let (shared, sql, caller) = (Arc::clone(&self.engine.shared), sql.to_owned(), caller.cloned());
            match mode {
                QueryMode::ReadOnly => {
                    let allowance = self.allowance_of(caller.as_ref());
                    let read = move |reader: &mut Reader| {
                        console::read(reader.connection(), &shared.compiled(), caller.as_ref(), &sql)
                    };
                    self.engine.read_there(allowance, read).await
                }
                QueryMode::ReadWrite => self.script(console::Script::parse(sql)?, caller).await,
            }
        })
    }

    fn judge<'a>(
        &'a self,
        caller: &'a Caller,
        trial: &'a Trial,
    ) -> BoxFuture<'a, Result<Vec<Vec<Verdict>>, BackendError>> {
        Box::pin(mainstay_sql::trial::judge(self, caller, trial))
    }

    fn compared(&self, relation: &Relation, condition: &str) -> Vec<ColumnIndex> {
        mainstay_sql::trial::compared(relation, condition)
    }

    fn overseer(&self) -> Option<Ident> {
        Some(Access::system().role().clone())
    }

    fn migrations<'a>(&'a self) -> BoxFuture<'a, Result<Vec<AppliedMigration>, BackendError>> {
        Box::pin(async move {
            let allowance = Allowance::of_time(self.shared().options.statement_timeout);
            self.engine
                .read_there(allowance, |reader| schema::migrations(reader.connection()))
                .await
        })
    }

    fn migrate<'a>(&'a self, migration: &'a Migration) -> BoxFuture<'a, Result<(), MigrationError>> {
        Box::pin(async move {
            let (shared, migration) = (Arc::clone(&self.engine.shared), migration.clone());
            self.engine
                .task(move |connection| {
                    let catalog = schema::migrate(connection, &shared.catalog(), &migration)?;
                    shared.publish(catalog);
                    Ok(())
                })
                .await?
        })
    }

    fn migrate_watched<'a>(
        &'a self,
        migration: &'a Migration,
        watch: Watch,
    ) -> BoxFuture<'a, Result<(), MigrationError>> {
        Box::pin(async move {
            let (shared, migration) = (Arc::clone(&self.engine.shared), migration.clone());
            self.engine
                .task(move |connection| {
                    let catalog = schema::migrate_watched(connection, &shared.catalog(), &migration, Some(watch))?;
                    shared.publish(catalog);
                    Ok(())
                })
                .await?
        })
    }

    fn record<'a>(&'a self, migration: &'a Migration) -> BoxFuture<'a, Result<(), BackendError>> {
        Box::pin(async move {
            let migration = migration.clone();
            self.engine
                .task(move |connection| {
                    departure::forbid_schema_changes(connection)?;
                    schema::record(connection, &migration)
                })
                .await?
        })
    }

    fn check<'a>(&'a self, migrations: &'a [Migration]) -> BoxFuture<'a, Vec<CheckedMigration>> {
        Box::pin(async move { schema::check(&self.shared().catalog(), migrations) })
    }

    fn reset<'a>(&'a self) -> BoxFuture<'a, Result<(), BackendError>> {
        Box::pin(async move {
            let shared = Arc::clone(&self.engine.shared);
            self.engine
                .task(move |connection| {
                    let catalog = schema::reset(connection, &shared.catalog())?;
                    shared.publish(catalog);
                    Ok(())
                })
                .await?
        })
    }

    fn is_empty<'a>(&'a self) -> BoxFuture<'a, Result<bool, BackendError>> {
        Box::pin(async move {
            let shared = Arc::clone(&self.engine.shared);
            let allowance = Allowance::of_time(self.shared().options.statement_timeout);
            self.engine
                .read_there(allowance, move |reader| {
                    schema::is_empty(reader.connection(), &shared.catalog())
                })
                .await
        })
    }

    fn reload<'a>(&'a self) -> BoxFuture<'a, Result<(), BackendError>> {
        // Nobody changes this file behind our back, unless we stand beside another process.
        if self.shared().options.is_beside {
            self.shared().committed();
        }
        Box::pin(async { Ok(()) })
    }

    fn definitions<'a>(&'a self) -> BoxFuture<'a, Result<Definitions, BackendError>> {
        Box::pin(async move {
            let shared = Arc::clone(&self.engine.shared);
            let allowance = Allowance::of_time(self.shared().options.statement_timeout);
            self.engine
                .read_there(allowance, move |reader| {
                    export::definitions(reader.connection(), &shared.compiled())
                })
                .await
        })
    }

    fn export<'a>(
        &'a self,
        tables: &'a [TableRows],
        sink: &'a mut dyn RowSink,
    ) -> BoxFuture<'a, Result<BTreeMap<QualifiedName, Position>, BackendError>> {
        Box::pin(async move {
            let (shared, tables) = (Arc::clone(&self.engine.shared), tables.to_vec());
            let (batches, mut coming) = tokio::sync::mpsc::channel(EXPORT_BATCHES_MAX);
            let reading = self
                .engine
                .read_there(Allowance::of_time(EXPORT_TIMEOUT), move |reader| {
                    let mut take = |table, rows| batches.blocking_send((table, rows)).is_ok();
                    export::export(reader.connection(), &shared.compiled(), &tables, &mut take)
                });
            let taking = async {
                while let Some((table, rows)) = coming.recv().await {
                    // Dropping the receiver ends the reading.
                    if let Err(error) = sink.rows(table, rows) {
                        coming.close();
                        return Err(error);
                    }
                }
                Ok(())
            };
            let (read, taken) = tokio::join!(reading, taking);
            taken?;
            read
        })
    }

    fn health<'a>(&'a self) -> BoxFuture<'a, Result<Health, BackendError>> {
        Box::pin(async move {
            // The writer answers once everything before it is done: a writer that hangs is seen here.
            let asked = self
                .engine
                .task(|connection| connection.query_row("SELECT 1", [], |row| row.get::<_, i64>(0)));
            tokio::time::timeout(HEALTH_WAIT, asked)
                .await
                .map_err(|_| BackendError::Busy)??
                .map_err(|error| errors::refusal(&self.shared().catalog(), None, "SELECT 1", &error))?;
            let mut warnings = Vec::new();
            if self.shared().has_foreign_writes() {
                warnings.push("another program has written to the data file; only this process may".to_owned());
            }
            if let Some(target) = self.shared().moved_to() {
                warnings.push(format!("moved to {target}: no writes are taken here; serve from there"));
            }
            Ok(Health {
                engine: format!("SQLite {}", rusqlite::version()),
                warnings,
            })
        })
    }

    fn transfer(&self) -> &dyn Transfer {
        self
    }

    fn close<'a>(&'a self) -> BoxFuture<'a, ()> {
        Box::pin(async move {
            let engine = Arc::clone(&self.engine);
            // Waits for the writer; must not hold up other tasks meanwhile.
            if let Err(error) = tokio::task::spawn_blocking(move || engine.close()).await {
                tracing::error!(%error, "closing the data file panicked");
            }
        })
    }
}

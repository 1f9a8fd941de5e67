//! Statements one after the other: DDL, DML, queries and settings, in the caller's transaction.
//!
//! Not here: where the text comes from and how it is recorded (`migrations`).

use std::cell::RefCell;
use std::sync::Arc;

use jiff::Timestamp;
use mainstay_core::backend::{QueryResult, Watch};
use mainstay_core::catalog::{Catalog, Routine};
use mainstay_core::clock;
use mainstay_core::error::{BackendError, DatabaseError};
use mainstay_core::plan::Outcome;
use mainstay_sql::analyse::Analyser;
use mainstay_sql::ast::{Statement, Transaction};
use mainstay_sql::ddl::{self, Change, Notice};
use mainstay_sql::parse::{self, ParsedStatement};
use mainstay_sql::plpgsql;
use mainstay_sql::session::Session;
use rusqlite::Connection;

use super::carry_out::carry_out;
use super::sequences;
use super::store::{broken, save};
use crate::emit::compiled::Compiled;
use crate::emit::context::Context;
use crate::routine::plpgsql::{Host, run_block};
use crate::{console, foreign_keys, write};

/// Where a script failed.
#[derive(Debug)]
pub struct Failure {
    /// Counted from 1.
    pub statement: usize,
    /// 1-based.
    pub line: u32,
    pub error: BackendError,
}

/// Runs a script with DDL in one transaction and gives the catalog as it is afterwards. For the console and seeds.
///
/// Errors: the failing statement's; then nothing is kept.
pub fn run_script(conn: &mut Connection, catalog: &Arc<Catalog>, text: &str) -> Result<Catalog, BackendError> {
    run_shown(conn, catalog, text).map(|(after, _)| after)
}

/// The same, with what the last statement answers.
///
/// Errors: the failing statement's; then nothing is kept.
pub fn run_shown(
    conn: &mut Connection,
    catalog: &Arc<Catalog>,
    text: &str,
) -> Result<(Catalog, QueryResult), BackendError> {
    let mut shown = QueryResult::default();
    let after = in_transaction(conn, catalog, |conn| {
        let script = finished(conn, catalog, text, None).map_err(|failure| failure.error)?;
        shown = script.last;
        Ok::<_, BackendError>(Arc::unwrap_or_clone(Arc::clone(script.compiled.catalog())))
    })?;
    Ok((after, shown))
}

/// Runs `work` in one transaction, stores the catalog it gives, and commits.
pub(super) fn in_transaction<E: From<BackendError>>(
    conn: &mut Connection,
    before: &Catalog,
    work: impl FnOnce(&mut Connection) -> Result<Catalog, E>,
) -> Result<Catalog, E> {
    conn.execute_batch("BEGIN IMMEDIATE").map_err(broken)?;
    let done = crate::departure::forbid_schema_changes(conn)
        .map_err(E::from)
        .and_then(|()| work(conn));
    let done = done.and_then(|mut after| {
        after.version = before.version + 1;
        ddl::settle(&mut after);
        after.derive_relationships();
        save(conn, Some(before), &after)?;
        conn.execute_batch("COMMIT")
            .map_err(|error| at_commit(conn, &after, &error))?;
        Ok(after)
    });
    if done.is_err() {
        if !conn.is_autocommit() {
            conn.execute_batch("ROLLBACK").map_err(broken)?;
        }
        // A definition that was rewritten in the transaction is still in the connection's memory, and SQLite does not
        // know that: it would answer from columns that are gone again.
        conn.pragma_update(None, "writable_schema", "RESET").map_err(broken)?;
        // Sort orders of types that are gone again do no harm; those that were dropped must be back.
        crate::connection::register_collations(conn, before).map_err(broken)?;
    }
    done
}

/// A deferred foreign key is found broken at the end; which one, the rows tell.
fn at_commit(conn: &Connection, catalog: &Catalog, error: &rusqlite::Error) -> BackendError {
    for relation in catalog.relations.values() {
        for constraint in &relation.constraints {
            if let mainstay_core::catalog::ConstraintKind::ForeignKey(key) = &constraint.kind
                && let Err(found) = super::faults::check_foreign_key(conn, relation, &constraint.name, key)
            {
                return found;
            }
        }
    }
    crate::errors::refusal(catalog, None, "COMMIT", error)
}

/// Runs every statement of `text` on the open transaction.
pub(super) fn run(conn: &mut Connection, catalog: &Catalog, text: &str) -> Result<(Catalog, Vec<Notice>), Failure> {
    run_watched(conn, catalog, text, None)
}

/// The same, telling how far copies of rows have come.
pub(super) fn run_watched(
    conn: &mut Connection,
    catalog: &Catalog,
    text: &str,
    watch: Option<Watch>,
) -> Result<(Catalog, Vec<Notice>), Failure> {
    let script = finished(conn, catalog, text, watch)?;
    let catalog = Arc::unwrap_or_clone(Arc::clone(script.compiled.catalog()));
    Ok((catalog, script.notices))
}

/// A script with all its statements run.
fn finished(conn: &mut Connection, catalog: &Catalog, text: &str, watch: Option<Watch>) -> Result<Script, Failure> {
    let statements = parse::parse(text).map_err(|error| unreadable(text, error))?;
    let mut script = Script::new(catalog, watch);
    for (index, statement) in statements.iter().enumerate() {
        script.statement(conn, statement).map_err(|error| Failure {
            statement: index + 1,
            line: statement.line,
            error,
        })?;
    }
    script.restore_constraints(conn).map_err(|error| Failure {
        statement: statements.len(),
        line: statements.last().map_or(1, |statement| statement.line),
        error,
    })?;
    Ok(script)
}

/// A text that cannot be parsed fails as a whole; the position says where, or else the statement that cannot be read.
fn unreadable(text: &str, error: DatabaseError) -> Failure {
    let pieces = match error.position {
        None => parse::parse_each(text).unwrap_or_default(),
        Some(_) => Vec::new(),
    };
    if let Some((index, piece)) = pieces.iter().enumerate().find(|(_, piece)| piece.parsed.is_err()) {
        return Failure {
            statement: index + 1,
            line: piece.line,
            error: error.into(),
        };
    }
    let before: String = match error.position {
        Some(position) => text.chars().take(position.saturating_sub(1) as usize).collect(),
        None => String::new(),
    };
    let line = before.matches('\n').count() as u32 + 1;
    let statement = parse::parse(before.rsplit_once(';').map_or("", |(head, _)| head)).map_or(1, |list| list.len() + 1);
    Failure {
        statement,
        line,
        error: error.into(),
    }
}

/// A script on its way: the catalog so far, and the settings so far.
struct Script {
    compiled: Arc<Compiled>,
    /// The same catalog without triggers, once it was needed.
    silent: Option<Arc<Compiled>>,
    session: Session,
    now: Timestamp,
    notices: Vec<Notice>,
    watch: Option<Watch>,
    /// What the last statement answers.
    last: QueryResult,
}

impl Script {
    fn new(catalog: &Catalog, watch: Option<Watch>) -> Self {
        Script {
            compiled: Arc::new(Compiled::new(Arc::new(catalog.clone()))),
            silent: None,
            session: Session::default(),
            now: clock::now(),
            notices: Vec::new(),
            watch,
            last: QueryResult::default(),
        }
    }

    fn context(&self) -> Context<'static> {
        Context::of_owner(self.now).with_settings(&self.session)
    }

    fn statement(&mut self, conn: &mut Connection, statement: &ParsedStatement) -> Result<(), BackendError> {
        self.last = QueryResult {
            tag: console::command_tag(&statement.text),
            ..QueryResult::default()
        };
        match &statement.ast {
            Statement::Ddl(_) | Statement::Set(_) | Statement::Unsupported(_) => self.change(conn, statement),
            Statement::Query(query) => {
                if let Some(set) = ddl::setting_of(query) {
                    let set = ParsedStatement {
                        ast: Statement::Set(set),
                        ..statement.clone()
                    };
                    return self.change(conn, &set);
                }
                let typed = Analyser::new(self.compiled.catalog(), &self.session).query(query)?;
                let context = self.context();
                if sequences::call(conn, &self.compiled, &self.session, &context, &typed)?.is_some() {
                    return Ok(());
                }
                self.last = console::select(conn, &self.compiled, &self.session, &context, &typed)?;
                Ok(())
            }
            Statement::Insert(_) | Statement::Update(_) | Statement::Delete(_) => self.write(conn, statement),
            Statement::Do(_) if self.session.is_replica => Err(not_in_replica("DO", statement.line)),
            Statement::Do(body) => self.block(conn, body),
            Statement::Transaction(control) => Ok(refuse_control(control, statement.line)?),
        }
    }

    /// Runs a DO block; its changes of the schema are the script's.
    fn block(&mut self, conn: &mut Connection, body: &str) -> Result<(), BackendError> {
        let routine = Arc::new(plpgsql::block(&self.session, body));
        let context = self.context();
        let savepoint = conn.savepoint().map_err(broken)?;
        let (done, after, notices) = self.run_block(&savepoint, &context, &routine);
        match done {
            Ok(()) => {
                self.compiled = after;
                self.notices.extend(notices);
                savepoint.commit().map_err(broken)
            }
            Err(BackendError::Refused(error)) if foreign_keys::is_unnamed(&error) => {
                savepoint.finish().map_err(broken)?;
                let catalog = Arc::clone(self.compiled.catalog());
                let found = foreign_keys::diagnose(conn, &catalog, |conn| {
                    self.run_block(conn, &context, &routine).0.map(|()| Outcome::default())
                });
                Err(found.map_err(broken)?.unwrap_or(*error).into())
            }
            Err(error) => {
                savepoint.finish().map_err(broken)?;
                Err(error)
            }
        }
    }

    fn run_block(
        &self,
        conn: &Connection,
        context: &Context<'_>,
        routine: &Arc<Routine>,
    ) -> (Result<(), BackendError>, Arc<Compiled>, Vec<Notice>) {
        let notices = RefCell::new(Vec::new());
        let change = |before: &Arc<Compiled>, statement: &ParsedStatement| {
            let mut current = Arc::clone(before);
            let mut made = false;
            for step in ddl::steps(statement) {
                let mut session = self.session.clone();
                if matches!(step.ast, Statement::Insert(_)) {
                    // The rows of a table made by a query, unless it was there already.
                    if made {
                        let typed = Analyser::new(current.catalog(), &session).statement(&step.ast)?;
                        write::run_statement(conn, &current, &session.user, context, &typed)?;
                    }
                    continue;
                }
                let mut catalog = Catalog::clone(current.catalog());
                let changes = ddl::apply(&mut catalog, &mut session, &step)?;
                let after = Arc::new(Compiled::new(Arc::new(catalog)));
                carry_out(conn, current.catalog(), &after, &changes, context, self.watch.as_ref())?;
                made = changes.iter().any(|change| matches!(change, Change::CreateTable(_)));
                current = after;
                notices
                    .borrow_mut()
                    .extend(changes.into_iter().filter_map(|change| match change {
                        Change::Notice(notice) => Some(notice),
                        _ => None,
                    }));
            }
            Ok(current)
        };
        let host = Host {
            compiled: RefCell::new(Arc::clone(&self.compiled)),
            change: &change,
        };
        let done = run_block(conn, context, routine, &host);
        let after = Arc::clone(&host.compiled.borrow());
        (done, after, notices.take())
    }

    fn change(&mut self, conn: &mut Connection, statement: &ParsedStatement) -> Result<(), BackendError> {
        let mut made = false;
        for step in ddl::steps(statement) {
            if matches!(step.ast, Statement::Insert(_)) {
                // The rows of a table made by a query, unless it was there already.
                if made {
                    self.write(conn, &step)?;
                    // `INSERT 0 3` of the rows is `SELECT 3` of the query.
                    let rows = self.last.tag.rsplit(' ').next().unwrap_or("0");
                    self.last.tag = ["SELECT", rows].join(" ");
                }
                continue;
            }
            let mut catalog = Catalog::clone(self.compiled.catalog());
            let changes = ddl::apply(&mut catalog, &mut self.session, &step)?;
            let after = Arc::new(Compiled::new(Arc::new(catalog)));
            let context = self.context();
            let before = Arc::clone(self.compiled.catalog());
            carry_out(conn, &before, &after, &changes, &context, self.watch.as_ref())?;
            made = changes.iter().any(|change| matches!(change, Change::CreateTable(_)));
            self.compiled = after;
            self.silent = None;
            if matches!(&step.ast, Statement::Set(set) if set.name == "session_replication_role") {
                conn.pragma_update(None, "defer_foreign_keys", self.session.is_replica)
                    .map_err(broken)?;
            }
            self.notices
                .extend(changes.into_iter().filter_map(|change| match change {
                    Change::Notice(notice) => Some(notice),
                    _ => None,
                }));
        }
        Ok(())
    }

    /// Foreign keys are as they were declared again; those that wait still do so until the commit.
    fn restore_constraints(&mut self, conn: &Connection) -> Result<(), BackendError> {
        let mut catalog = Catalog::clone(self.compiled.catalog());
        let changes = ddl::restore_constraints(&mut catalog, &mut self.session);
        if changes.is_empty() {
            return Ok(());
        }
        let after = Arc::new(Compiled::new(Arc::new(catalog)));
        let before = Arc::clone(self.compiled.catalog());
        let context = self.context();
        carry_out(conn, &before, &after, &changes, &context, None)?;
        self.compiled = after;
        Ok(())
    }

    /// What writes are made with: without triggers where the session says `replica`.
    fn writing(&mut self) -> Arc<Compiled> {
        if !self.session.is_replica {
            return Arc::clone(&self.compiled);
        }
        let silent = self.silent.get_or_insert_with(|| {
            let mut catalog = Catalog::clone(self.compiled.catalog());
            for relation in catalog.relations.values_mut() {
                if !relation.triggers.is_empty() {
                    Arc::make_mut(relation).triggers.clear();
                }
            }
            Arc::new(Compiled::new(Arc::new(catalog)))
        });
        Arc::clone(silent)
    }

    fn write(&mut self, conn: &mut Connection, statement: &ParsedStatement) -> Result<(), BackendError> {
        if self.session.is_replica && !matches!(statement.ast, Statement::Insert(_)) {
            // The file's own keys would act on the rows that refer to them.
            return Err(not_in_replica("UPDATE and DELETE", statement.line));
        }
        let compiled = self.writing();
        let typed = Analyser::new(compiled.catalog(), &self.session).statement(&statement.ast)?;
        let context = self.context();
        let user = &self.session.user;
        let savepoint = conn.savepoint().map_err(broken)?;
        let done = write::run_statement(&savepoint, &compiled, user, &context, &typed);
        match done {
            Ok(shown) => {
                self.last = shown;
                savepoint.commit().map_err(broken)
            }
            Err(BackendError::Refused(error)) if foreign_keys::is_unnamed(&error) => {
                savepoint.finish().map_err(broken)?;
                let catalog = compiled.catalog();
                let found = foreign_keys::diagnose(conn, catalog, |conn| {
                    write::run_statement(conn, &compiled, user, &context, &typed).map(|_| Outcome::default())
                });
                Err(found.map_err(broken)?.unwrap_or(*error).into())
            }
            Err(error) => {
                savepoint.finish().map_err(broken)?;
                Err(error)
            }
        }
    }
}

/// 0A000 for what `session_replication_role = replica` would make another thing.
fn not_in_replica(what: &str, line: u32) -> BackendError {
    let feature = format!("{what} while session_replication_role is replica");
    let way = Some("SET session_replication_role = origin before it");
    DatabaseError::unavailable(&feature, "", line, way).into()
}

/// The whole script is one transaction already. Errors: 0A000 for what would undo or leave it.
pub fn refuse_control(control: &Transaction, line: u32) -> Result<(), DatabaseError> {
    if matches!(control, Transaction::Begin | Transaction::Commit) {
        return Ok(());
    }
    let way = Some("one migration file for what belongs together");
    Err(DatabaseError::unavailable(
        "ROLLBACK and SAVEPOINT in a script",
        "",
        line,
        way,
    ))
}

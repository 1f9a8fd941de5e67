//! SQL text for people: the console, seeds, `mainstay db query`.
//!
//! Lives here: statements one after another in one transaction, rows as text, command tags.
//! Not here: what a write does (`write`), what DDL does (`schema`).
//!
//! Source: PostgreSQL manual, 55.7 (`CommandComplete`: the tags); psql's text output.

use mainstay_core::backend::QueryResult;
use mainstay_core::caller::Caller;
use mainstay_core::clock;
use mainstay_core::error::{BackendError, DatabaseError};
use mainstay_core::name::Ident;
use mainstay_sql::analyse::Analyser;
use mainstay_sql::ast::{Set, Statement, Transaction};
use mainstay_sql::ddl;
use mainstay_sql::parse::{self, ParsedStatement};
use mainstay_sql::session::Session;
use mainstay_sql::typed::Query;
use rusqlite::Connection;

use crate::emit::binds::{BindError, Sources, bind_all};
use crate::emit::compiled::Compiled;
use crate::emit::context::Context;
use crate::emit::emitter::Emitter;
use crate::errors;
use crate::shared::Shared;
use crate::values::cast::{self, Kind};
use crate::{routine, schema, write as writes};

/// Who runs statements that have no caller.
const OWNER: &str = "postgres";

/// Rows that are shown, at most; the console is no export.
const ROWS_MAX: usize = 100_000;

/// Runs statements that only read.
///
/// Errors: 25006 for one that does not; all of a statement's own.
pub fn read(
    connection: &Connection,
    compiled: &Compiled,
    caller: Option<&Caller>,
    text: &str,
) -> Result<QueryResult, BackendError> {
    let mut session = session_of(caller);
    let mut context = context_of(caller);
    let mut last = QueryResult::default();
    for statement in parse::parse(text)? {
        last = match &statement.ast {
            Statement::Query(query) => {
                let query = Analyser::new(compiled.catalog(), &session).query(query)?;
                select(connection, compiled, &session, &context, &query)?
            }
            Statement::Set(set) => {
                let done = setting(&mut session, set, statement.line)?;
                context = context.with_settings(&session).after(set, compiled.catalog());
                done
            }
            Statement::Transaction(control) => {
                schema::script::refuse_control(control, statement.line)?;
                tag(transaction_tag(control))
            }
            Statement::Unsupported(what) => return Err(unsupported(what)),
            Statement::Insert(_)
            | Statement::Update(_)
            | Statement::Delete(_)
            | Statement::Ddl(_)
            | Statement::Do(_) => {
                let verb = statement
                    .text
                    .split_whitespace()
                    .next()
                    .unwrap_or_default()
                    .to_ascii_uppercase();
                let message = format!("cannot execute {verb} in a read-only transaction");
                return Err(DatabaseError::new("25006", message).into());
            }
        };
    }
    Ok(last)
}

/// Statements that may write.
pub struct Script {
    text: String,
    statements: Vec<ParsedStatement>,
}

impl Script {
    /// Reads the text.
    pub fn parse(text: String) -> Result<Self, BackendError> {
        let statements = parse::parse(&text)?;
        Ok(Script { text, statements })
    }

    /// True if the catalog changes, or foreign keys are to wait for the end: it has a transaction of its own.
    pub fn has_ddl(&self) -> bool {
        self.statements.iter().any(|statement| match &statement.ast {
            Statement::Ddl(_) | Statement::Do(_) => true,
            Statement::Set(set) => set.name == "session_replication_role",
            _ => false,
        })
    }

    /// Runs statements with DDL among them in a transaction of their own, and publishes the new catalog.
    ///
    /// Errors: 42501 for anybody but the owner.
    pub fn run_ddl(
        &self,
        connection: &mut Connection,
        shared: &Shared,
        caller: Option<&Caller>,
    ) -> Result<QueryResult, BackendError> {
        if caller.is_some() {
            return Err(DatabaseError::new("42501", "permission denied: only the owner may change the schema").into());
        }
        let (catalog, shown) = schema::run_shown(connection, &shared.catalog(), &self.text)?;
        shared.publish(catalog);
        Ok(shown)
    }

    /// Runs statements without DDL, in the transaction that is open.
    pub fn run(
        &self,
        connection: &Connection,
        compiled: &Compiled,
        caller: Option<&Caller>,
    ) -> Result<QueryResult, BackendError> {
        each(connection, compiled, caller, &self.statements)
    }
}

fn each(
    connection: &Connection,
    compiled: &Compiled,
    caller: Option<&Caller>,
    statements: &[ParsedStatement],
) -> Result<QueryResult, BackendError> {
    let mut session = session_of(caller);
    let mut context = context_of(caller);
    let mut last = QueryResult::default();
    for statement in statements {
        last = match &statement.ast {
            Statement::Set(set) => {
                let done = setting(&mut session, set, statement.line)?;
                context = context.with_settings(&session).after(set, compiled.catalog());
                done
            }
            Statement::Transaction(control) => {
                schema::script::refuse_control(control, statement.line)?;
                tag(transaction_tag(control))
            }
            Statement::Unsupported(what) => return Err(unsupported(what)),
            Statement::Ddl(_) | Statement::Do(_) => {
                return Err(BackendError::Internal("DDL among statements that have none".into()));
            }
            // A query here may call `nextval` and `setval`, as seeds do.
            Statement::Query(_) | Statement::Insert(_) | Statement::Update(_) | Statement::Delete(_) => {
                let typed = Analyser::new(compiled.catalog(), &session).statement(&statement.ast)?;
                writes::run_statement(connection, compiled, &session.user, &context, &typed)?
            }
        };
    }
    Ok(last)
}

fn session_of(caller: Option<&Caller>) -> Session {
    match caller {
        None => Session::default(),
        Some(caller) => {
            let mut path: Vec<Ident> = caller.request.search_path.to_vec();
            if path.is_empty() {
                path.push(Ident::new("public"));
            }
            Session::new(caller.role.clone(), path)
        }
    }
}

fn context_of(caller: Option<&Caller>) -> Context<'_> {
    match caller {
        Some(caller) => Context::of_caller(caller, clock::now()),
        None => Context::of_owner(clock::now()),
    }
}

/// Runs a query and shows its rows.
pub fn select(
    connection: &Connection,
    compiled: &Compiled,
    session: &Session,
    context: &Context<'_>,
    query: &Query,
) -> Result<QueryResult, BackendError> {
    routine::enter(connection, compiled, context, || {
        selected(connection, compiled, session, context, query)
    })
}

fn selected(
    connection: &Connection,
    compiled: &Compiled,
    session: &Session,
    context: &Context<'_>,
    query: &Query,
) -> Result<QueryResult, BackendError> {
    let role = if context.caller().is_some() {
        session.user.clone()
    } else {
        Ident::new(OWNER)
    };
    let mut emitter = Emitter::new(compiled, &role);
    emitter.statement_query(query)?;
    let (sql, binds) = emitter.finish();
    let failed = |error: rusqlite::Error| errors::refusal(compiled.catalog(), None, &sql, &error);
    let mut statement = connection.prepare(&sql).map_err(failed)?;
    bind_all(&mut statement, &binds, &Sources::of_request(context, &[])).map_err(|error| match error {
        BindError::Refused(error) => BackendError::Refused(error),
        BindError::Engine(error) => failed(error),
        BindError::Bug(text) => BackendError::Internal(text.to_owned()),
    })?;
    let kinds: Vec<Option<Kind>> = query.columns.iter().map(|column| Kind::shown(&column.ty)).collect();
    let mut result = QueryResult {
        columns: query.columns.iter().map(|column| column.name.to_string()).collect(),
        ..QueryResult::default()
    };
    let mut rows = statement.raw_query();
    while let Some(row) = rows.next().map_err(failed)? {
        if result.rows.len() >= ROWS_MAX {
            return Err(DatabaseError::new("54000", format!("more than {ROWS_MAX} rows"))
                .hint("Add a LIMIT.")
                .into());
        }
        let mut cells = Vec::with_capacity(kinds.len());
        for (index, kind) in kinds.iter().enumerate() {
            let value = row.get_ref(index).map_err(failed)?;
            cells.push(match (kind, value) {
                (_, rusqlite::types::ValueRef::Null) => None,
                (Some(kind), value) => {
                    Some(cast::output(kind, value).map_err(|error| BackendError::Internal(error.message))?)
                }
                (None, _) => {
                    let feature = format!("a result of type {}", query.columns[index].ty);
                    return Err(DatabaseError::unavailable(&feature, "", 1, None).into());
                }
            });
        }
        result.rows.push(cells);
    }
    result.tag = format!("SELECT {}", result.rows.len());
    Ok(result)
}

fn setting(session: &mut Session, set: &Set, line: u32) -> Result<QueryResult, BackendError> {
    ddl::set(session, set, line)?;
    Ok(tag(if set.values.is_some() { "SET" } else { "RESET" }))
}

fn transaction_tag(control: &Transaction) -> &'static str {
    match control {
        Transaction::Begin => "BEGIN",
        Transaction::Commit => "COMMIT",
        Transaction::Rollback => "ROLLBACK",
        Transaction::Savepoint(_) => "SAVEPOINT",
        Transaction::Release(_) => "RELEASE",
        Transaction::RollbackTo(_) => "ROLLBACK",
    }
}

/// What PostgreSQL calls a statement when it is done: `CREATE TABLE`, `GRANT`, `DO`.
pub fn command_tag(text: &str) -> String {
    /// Words between a command and its object.
    const BETWEEN: [&str; 9] = [
        "OR",
        "REPLACE",
        "UNIQUE",
        "TEMP",
        "TEMPORARY",
        "UNLOGGED",
        "RECURSIVE",
        "CONSTRAINT",
        "TRUSTED",
    ];
    let is_letter = |c: char| c.is_ascii_alphabetic() || c == '_';
    let words = without_comments(text)
        .split(|c| !is_letter(c))
        .filter(|word| !word.is_empty());
    let mut words = words.map(str::to_ascii_uppercase);
    let Some(first) = words.next() else {
        return String::new();
    };
    let objects = match first.as_str() {
        "CREATE" | "ALTER" | "DROP" => {
            let mut objects = words.filter(|word| !BETWEEN.contains(&word.as_str()));
            let object = objects.next().unwrap_or_default();
            match object.as_str() {
                "DEFAULT" | "EVENT" | "FOREIGN" | "MATERIALIZED" | "TEXT" | "ACCESS" => {
                    let next = objects.next().unwrap_or_default();
                    // Of three words: `TEXT SEARCH CONFIGURATION`.
                    let third = if object == "TEXT" { objects.next() } else { None };
                    [Some(object), Some(next), third]
                        .into_iter()
                        .flatten()
                        .collect::<Vec<_>>()
                        .join(" ")
                }
                _ => object,
            }
        }
        "TRUNCATE" => "TABLE".to_owned(),
        "REFRESH" => "MATERIALIZED VIEW".to_owned(),
        _ => String::new(),
    };
    match objects.is_empty() {
        true => first,
        false => [first, objects].join(" "),
    }
}

/// The text from its first word on.
fn without_comments(mut text: &str) -> &str {
    loop {
        text = text.trim_start();
        let rest = match (text.strip_prefix("--"), text.strip_prefix("/*")) {
            (Some(line), _) => line.split_once('\n'),
            (_, Some(block)) => block.split_once("*/"),
            _ => return text,
        };
        text = rest.map_or("", |(_, rest)| rest);
    }
}

fn tag(text: impl Into<String>) -> QueryResult {
    QueryResult {
        tag: text.into(),
        ..QueryResult::default()
    }
}

fn unsupported(what: &mainstay_sql::ast::Unsupported) -> BackendError {
    DatabaseError::unavailable(&what.feature, &what.object, what.line, what.alternative.as_deref()).into()
}

#[cfg(test)]
mod tests {
    use super::command_tag;

    #[test]
    fn statements_are_called_as_postgresql_calls_them() {
        for (text, tag) in [
            ("create table t (a int)", "CREATE TABLE"),
            (
                "-- a note\n/* and\nmore */ create or replace function f() returns int",
                "CREATE FUNCTION",
            ),
            ("CREATE UNIQUE INDEX ON t (a)", "CREATE INDEX"),
            ("create temp table t()", "CREATE TABLE"),
            ("create trigger x after insert on t", "CREATE TRIGGER"),
            (
                "alter default privileges grant select on tables to anon",
                "ALTER DEFAULT PRIVILEGES",
            ),
            ("grant select, insert on t to anon", "GRANT"),
            ("revoke all on t from anon", "REVOKE"),
            ("do $$ begin end $$", "DO"),
            ("comment on table t is 'x'", "COMMENT"),
            ("truncate t", "TRUNCATE TABLE"),
            ("drop policy p on t", "DROP POLICY"),
            ("refresh materialized view v", "REFRESH MATERIALIZED VIEW"),
            (
                "create text search configuration c (copy = simple)",
                "CREATE TEXT SEARCH CONFIGURATION",
            ),
            ("set a.b = 'c'", "SET"),
            ("", ""),
        ] {
            assert_eq!(command_tag(text), tag, "{text}");
        }
    }
}

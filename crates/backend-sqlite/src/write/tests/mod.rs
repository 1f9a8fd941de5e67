//! A throw-away data file in memory, and statements run on it as somebody.

mod access_paths;
mod calls;
mod plans;
mod policies;
mod rate;
mod statements;
mod triggers;

use std::sync::Arc;

use jiff::Timestamp;
use mainstay_core::backend::QueryResult;
use mainstay_core::caller::Caller;
use mainstay_core::catalog::Catalog;
use mainstay_core::error::{BackendError, DatabaseError};
use mainstay_core::name::Ident;
use mainstay_sql::analyse::Analyser;
use mainstay_sql::parse;
use mainstay_sql::session::Session;
use rusqlite::Connection;

use crate::emit::compiled::Compiled;
use crate::emit::context::Context;
use crate::{emit, schema, values};

pub use statements::answer;

/// A data file in memory with its catalog.
pub struct Database {
    pub conn: Connection,
    pub compiled: Arc<Compiled>,
}

impl Database {
    /// A file with the tables of `script`.
    pub fn with(script: &str) -> Self {
        let mut conn = Connection::open_in_memory().unwrap();
        conn.pragma_update(None, "foreign_keys", true).unwrap();
        values::register::register(&conn).unwrap();
        emit::functions::register(&conn).unwrap();
        crate::routine::register(&conn).unwrap();
        let catalog: Arc<Catalog> = Arc::new(schema::open(&mut conn).unwrap());
        let catalog = schema::run_script(&mut conn, &catalog, script).unwrap();
        Database {
            conn,
            compiled: Arc::new(Compiled::new(Arc::new(catalog))),
        }
    }

    /// Runs one statement as `caller`, or as the owner.
    pub fn run(&self, caller: Option<&Caller>, sql: &str) -> Result<QueryResult, DatabaseError> {
        let role = caller.map_or(Ident::new("postgres"), |caller| caller.role.clone());
        let session = Session::new(role.clone(), vec![Ident::new("public")]);
        let context = match caller {
            Some(caller) => Context::of_caller(caller, Timestamp::now()),
            None => Context::of_owner(Timestamp::now()),
        };
        let mut last = QueryResult::default();
        for statement in parse::parse(sql)? {
            let typed = Analyser::new(self.compiled.catalog(), &session).statement(&statement.ast)?;
            last = super::run_statement(&self.conn, &self.compiled, &role, &context, &typed).map_err(refusal)?;
        }
        Ok(last)
    }

    /// Runs one statement as the owner and gives its rows as `a|b` lines, nulls as `null`.
    pub fn rows(&self, sql: &str) -> Vec<String> {
        lines(&self.run(None, sql).unwrap())
    }

    /// What `work` leaves is undone.
    pub fn undone<T>(&self, work: impl FnOnce() -> T) -> T {
        self.conn.execute_batch("SAVEPOINT test").unwrap();
        let done = work();
        self.conn.execute_batch("ROLLBACK TO test; RELEASE test").unwrap();
        done
    }
}

/// The database's words; any other failure as XX000.
pub fn refusal(error: BackendError) -> DatabaseError {
    match error {
        BackendError::Refused(error) => *error,
        other => DatabaseError::new("XX000", format!("{other:?}")),
    }
}

/// Rows as `a|b` lines, nulls as `null`.
pub fn lines(result: &QueryResult) -> Vec<String> {
    result
        .rows
        .iter()
        .map(|row| {
            let cells: Vec<&str> = row.iter().map(|cell| cell.as_deref().unwrap_or("null")).collect();
            cells.join("|")
        })
        .collect()
}

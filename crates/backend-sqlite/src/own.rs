//! Statements of rooms' own: PostgreSQL's text compiled once per catalog, run with the owner's rights.
//!
//! Not here: statements of people (`console`) and of migrations (`schema`), which are compiled each time.

use mainstay_core::clock;
use mainstay_core::error::{BackendError, DatabaseError};
use mainstay_core::plan::{Input, Outcome};
use mainstay_sql::analyse::Analyser;
use mainstay_sql::parse;
use mainstay_sql::session::Session;
use mainstay_sql::typed::Statement;
use rusqlite::Connection;

use crate::emit::Parameters;
use crate::emit::binds::Sources;
use crate::emit::compiled::Compiled;
use crate::emit::context::Context;
use crate::routine;
use crate::write::script::{self, ScriptProgram};

/// A compiled statement.
pub struct Own {
    program: ScriptProgram,
    catalog_version: u64,
    reads_only: bool,
}

impl Own {
    /// Compiles one statement. Errors: those of its text; 42601 for none or several.
    pub fn compile(compiled: &Compiled, sql: &str) -> Result<Self, BackendError> {
        let statements = parse::parse(sql)?;
        let [statement] = statements.as_slice() else {
            return Err(DatabaseError::new("42601", "a room's own statement is one statement").into());
        };
        let session = Session::default();
        let typed = Analyser::new(compiled.catalog(), &session).statement(&statement.ast)?;
        Ok(Own {
            reads_only: matches!(typed, Statement::Query(_)),
            program: script::compile(compiled, &session.user, &typed, Parameters::Request)?,
            catalog_version: compiled.catalog().version,
        })
    }

    /// The catalog it was compiled for.
    pub fn catalog_version(&self) -> u64 {
        self.catalog_version
    }

    /// True for a query: it runs on a reader, where nothing can be written.
    pub fn reads_only(&self) -> bool {
        self.reads_only
    }

    /// SQLite's text, one statement per line.
    pub fn sql(&self) -> String {
        self.program.sql()
    }

    /// Runs it in the transaction that is open.
    pub fn run(&self, connection: &Connection, compiled: &Compiled, input: &Input) -> Result<Outcome, BackendError> {
        let context = Context::of_owner(clock::now());
        let sources = Sources::of_request(&context, &input.values);
        routine::enter(connection, compiled, &context, || {
            self.program.cells(connection, compiled, &sources)
        })
    }
}

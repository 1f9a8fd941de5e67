//! A routine's body, compiled for the role that runs it.

use std::sync::Arc;

use mainstay_core::catalog::{Routine, Volatility};
use mainstay_core::error::{BackendError, DatabaseError};
use mainstay_core::types::Type;
use mainstay_sql::typed::{Expr, ExprKind, Literal, Statement};
use rusqlite::types::Value as Scalar;

use super::{Running, plpgsql, unavailable};
use crate::emit::Parameters;
use crate::emit::binds::Sources;
use crate::emit::compiled::Compiled;
use crate::emit::emitter::Rights;
use crate::write::script::{self, ScriptProgram};

/// What a routine does when it is run, by its language.
pub enum Body {
    Sql(SqlBody),
    PlPgSql(Box<plpgsql::Program>),
}

impl Body {
    /// Compiles a routine's body. Errors: 42501, 0A000, those of the analyser.
    pub fn compile(compiled: &Compiled, routine: &Arc<Routine>, rights: &Rights) -> Result<Self, DatabaseError> {
        match routine.language.as_str() {
            "sql" => SqlBody::compile(compiled, routine, rights).map(Body::Sql),
            "plpgsql" => {
                let program = plpgsql::Program::compile(compiled, routine, rights)?;
                Ok(Body::PlPgSql(Box::new(program)))
            }
            _ => Err(unavailable(routine)),
        }
    }

    /// Runs it. `arguments` are in their stored form, in declared order.
    pub fn run(
        &self,
        running: &Running<'_>,
        routine: &Routine,
        arguments: &[Scalar],
    ) -> Result<Vec<Vec<Scalar>>, BackendError> {
        match self {
            Body::Sql(body) => body.run(running, routine, arguments),
            Body::PlPgSql(program) => program.run(running, arguments),
        }
    }
}

/// Statements that run one after the other; the last one's rows are the result.
pub struct SqlBody {
    statements: Vec<ScriptProgram>,
}

impl SqlBody {
    fn compile(compiled: &Compiled, routine: &Arc<Routine>, rights: &Rights) -> Result<Self, DatabaseError> {
        let statements = compiled.routine(routine)?;
        let count = statements.len();
        let one_row = !routine.returns.set && routine.returns.ty != Type::Void;
        let compile = |(at, statement): (usize, &Statement)| {
            if let Some(verb) = verb(statement)
                && routine.volatility != Volatility::Volatile
            {
                let message = format!("{verb} is not allowed in a non-volatile function");
                return Err(DatabaseError::new("0A000", message));
            }
            let mut first = None;
            // PostgreSQL stops the last query at its first row.
            if at + 1 == count
                && one_row
                && let Statement::Query(query) = statement
                && query.limit.is_none()
            {
                let mut query = query.clone();
                query.limit = Some(Expr::new(ExprKind::Literal(Literal::Integer(1)), Type::Int8));
                first = Some(Statement::Query(query));
            }
            script::compile_as(
                compiled,
                rights,
                first.as_ref().unwrap_or(statement),
                Parameters::Variables,
            )
        };
        Ok(SqlBody {
            statements: statements.iter().enumerate().map(compile).collect::<Result<_, _>>()?,
        })
    }

    fn run(
        &self,
        running: &Running<'_>,
        routine: &Routine,
        arguments: &[Scalar],
    ) -> Result<Vec<Vec<Scalar>>, BackendError> {
        let sources = Sources::of_request(running.context(), &[]).with_variables(arguments);
        let mut rows = Vec::new();
        for statement in &self.statements {
            rows = execute(running, statement, &sources)?;
        }
        if routine.returns.ty == Type::Void {
            rows.clear();
        }
        Ok(rows)
    }
}

/// Runs one statement of a body and gives its rows.
///
/// Errors: 25006 for one that writes where nothing may.
pub fn execute(
    running: &Running<'_>,
    statement: &ScriptProgram,
    sources: &Sources<'_>,
) -> Result<Vec<Vec<Scalar>>, BackendError> {
    if let Some(verb) = statement.verb() {
        running.check_writable(verb)?;
    }
    running.check_time()?;
    Ok(statement.execute(running.conn(), running.compiled(), sources)?.rows)
}

/// `INSERT`, `UPDATE`, `DELETE`; `None` for a query.
pub fn verb(statement: &Statement) -> Option<&'static str> {
    match statement {
        Statement::Query(_) => None,
        Statement::Insert(_) => Some("INSERT"),
        Statement::Update(_) => Some("UPDATE"),
        Statement::Delete(_) => Some("DELETE"),
    }
}

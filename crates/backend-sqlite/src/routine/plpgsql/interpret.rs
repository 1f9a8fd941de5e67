//! Runs a body: blocks with their handlers, branches, and which statement goes where.
//!
//! Not here: what an expression is compiled to (`code`), each statement's own work (`assign`, `loops`, `statements`,
//! `raise`).

use std::cell::RefCell;
use std::ops::Deref;
use std::sync::Arc;

use mainstay_core::error::{BackendError, DatabaseError};
use mainstay_core::name::Ident;
use mainstay_core::types::Type;
use mainstay_sql::parse::ParsedStatement;
use mainstay_sql::plpgsql::tree::{Block, Case, Condition, Field, Statement, StatementKind};
use mainstay_sql::plpgsql::{conditions, is_trigger};
use rusqlite::types::Value as Scalar;

use super::Program;
use super::code::Want;
use super::frame::Frame;
use crate::emit::compiled::Compiled;
use crate::foreign_keys;
use crate::routine::Running;

type Result<T> = std::result::Result<T, BackendError>;

/// Statements that one call may run.
const STEPS_MAX: u64 = 10_000_000;

/// Statements between two looks at the clock.
const STEPS_PER_LOOK: u64 = 64;

/// Gives the catalog as a statement leaves it.
pub type ChangeCatalog<'h> = dyn Fn(&Arc<Compiled>, &ParsedStatement) -> Result<Arc<Compiled>> + 'h;

/// The script that a DO block stands in: its catalog, and how a statement changes that.
pub struct Host<'h> {
    pub compiled: RefCell<Arc<Compiled>>,
    pub change: &'h ChangeCatalog<'h>,
}

/// The catalog of the moment.
pub(super) enum Current<'r> {
    Request(&'r Compiled),
    Script(Arc<Compiled>),
}

impl Deref for Current<'_> {
    type Target = Compiled;
    fn deref(&self) -> &Compiled {
        match self {
            Current::Request(compiled) => compiled,
            Current::Script(compiled) => compiled,
        }
    }
}

/// How a statement ended.
pub(super) enum Flow {
    Next,
    Exit(Option<Ident>),
    Continue(Option<Ident>),
    Return,
}

/// What RETURN gave.
pub(super) enum Returned {
    Value(Scalar),
    Row { fields: Arc<[Field]>, values: Vec<Scalar> },
    Null,
}

/// One call on its way.
pub(super) struct Interpreter<'r> {
    pub running: &'r Running<'r>,
    pub program: &'r Program,
    /// Of a DO block.
    pub host: Option<&'r Host<'r>>,
    pub frame: Frame,
    pub row_count: u64,
    steps: u64,
    pub returned: Option<Returned>,
    /// Of a set-returning function.
    pub set: Vec<Vec<Scalar>>,
    /// The errors whose handlers are under way, the innermost last.
    pub handled: Vec<DatabaseError>,
}

impl<'r> Interpreter<'r> {
    pub fn new(running: &'r Running<'r>, program: &'r Program, mut frame: Frame) -> Self {
        frame.set(program.function.found, Scalar::Integer(0));
        Interpreter {
            running,
            program,
            host: None,
            frame,
            row_count: 0,
            steps: 0,
            returned: None,
            set: Vec::new(),
            handled: Vec::new(),
        }
    }

    /// The same for a DO block of a script.
    pub fn within(mut self, host: &'r Host<'r>) -> Self {
        self.host = Some(host);
        self
    }

    pub fn compiled(&self) -> Current<'r> {
        match self.host {
            None => Current::Request(self.running.compiled()),
            Some(host) => Current::Script(Arc::clone(&host.compiled.borrow())),
        }
    }

    pub fn name(&self) -> &Ident {
        &self.program.routine.name.name
    }

    /// Runs the body. Errors: 2F005 if it ends without RETURN where one is needed.
    pub fn call(&mut self) -> Result<()> {
        let program = self.program;
        match self.block(&program.function.block)? {
            Flow::Return => Ok(()),
            Flow::Next | Flow::Exit(_) | Flow::Continue(_) => {
                let returns = &program.routine.returns;
                let needs = returns.ty != Type::Void && !returns.set && program.function.outputs.is_empty();
                match (needs, is_trigger(&returns.ty)) {
                    (false, _) => Ok(()),
                    (true, true) => {
                        let message = "control reached end of trigger procedure without RETURN";
                        Err(DatabaseError::new("2F005", message).into())
                    }
                    (true, false) => {
                        let message = "control reached end of function without RETURN";
                        Err(DatabaseError::new("2F005", message).into())
                    }
                }
            }
        }
    }

    /// The rows of a function's result.
    pub fn rows(self) -> Result<Vec<Vec<Scalar>>> {
        let returns = &self.program.routine.returns;
        if returns.set {
            return Ok(self.set);
        }
        if returns.ty == Type::Void {
            // The empty text, not null, as a function in SQL gives.
            return Ok(vec![vec![Scalar::Text(String::new())]]);
        }
        if !self.program.function.outputs.is_empty() {
            return Ok(vec![self.outputs()]);
        }
        Ok(match self.returned {
            Some(Returned::Value(value)) => vec![vec![value]],
            Some(Returned::Row { values, .. }) => vec![values],
            Some(Returned::Null) | None => vec![vec![Scalar::Null; self.program.columns.len()]],
        })
    }

    pub fn outputs(&self) -> Vec<Scalar> {
        let outputs = &self.program.function.outputs;
        outputs.iter().map(|id| self.frame.value(*id).clone()).collect()
    }

    pub fn step(&mut self) -> Result<()> {
        self.steps += 1;
        if self.steps.is_multiple_of(STEPS_PER_LOOK) {
            self.running.check_time()?;
        }
        if self.steps > STEPS_MAX {
            let message = "canceling statement due to statement timeout";
            return Err(DatabaseError::new("57014", message)
                .hint(format!("A call may run {STEPS_MAX} statements on the embedded engine."))
                .into());
        }
        Ok(())
    }

    pub fn statements(&mut self, list: &[Statement]) -> Result<Flow> {
        for statement in list {
            match self.statement(statement)? {
                Flow::Next => {}
                flow => return Ok(flow),
            }
        }
        Ok(Flow::Next)
    }

    fn statement(&mut self, statement: &Statement) -> Result<Flow> {
        self.step()?;
        match &statement.kind {
            StatementKind::Null => {}
            StatementKind::Block(block) => {
                return Ok(match self.block(block)? {
                    Flow::Exit(Some(label)) if block.label.as_ref() == Some(&label) => Flow::Next,
                    flow => flow,
                });
            }
            StatementKind::Assign { target, value } => self.assign(target, value)?,
            StatementKind::If { branches, otherwise } => {
                for (condition, body) in branches {
                    if self.condition(condition)? {
                        return self.statements(body);
                    }
                }
                return self.statements(otherwise);
            }
            StatementKind::Case(case) => return self.case(case),
            StatementKind::Loop(one) => return self.any_loop(one),
            StatementKind::Exit {
                leaves,
                label,
                condition,
            } => {
                let taken = match condition {
                    Some(condition) => self.condition(condition)?,
                    None => true,
                };
                if taken {
                    return Ok(match leaves {
                        true => Flow::Exit(label.clone()),
                        false => Flow::Continue(label.clone()),
                    });
                }
            }
            StatementKind::Return(value) => {
                self.returning(value.as_ref())?;
                return Ok(Flow::Return);
            }
            StatementKind::ReturnNext(value) => self.return_next(value.as_ref())?,
            StatementKind::ReturnQuery(query) => self.return_query(query)?,
            StatementKind::Raise(raise) => self.raise(raise)?,
            StatementKind::Assert { condition, message } => self.assert(condition, message.as_ref())?,
            StatementKind::Perform(query) => {
                let code = self.program.query(&self.compiled(), query, &self.frame.layout)?;
                let done = self.execute(&code)?;
                self.row_count = done.1;
                self.set_found(done.1 > 0);
            }
            StatementKind::Sql(sql) => self.sql(sql)?,
            StatementKind::Diagnostics(items) => self.diagnostics(items)?,
        }
        Ok(Flow::Next)
    }

    fn block(&mut self, block: &Block) -> Result<Flow> {
        for id in &block.declared {
            self.declare(*id)?;
        }
        let Some(handlers) = &block.handlers else {
            return self.statements(&block.body);
        };
        self.control("SAVEPOINT ms_block")?;
        let catalog = self.host.map(|host| Arc::clone(&host.compiled.borrow()));
        let error = match self.statements(&block.body) {
            Ok(flow) => {
                self.control("RELEASE ms_block")?;
                return Ok(flow);
            }
            Err(error) => error,
        };
        if self.running.conn().is_autocommit() {
            // SQLite has undone the whole transaction; there is nothing to go on with.
            return Err(error);
        }
        self.control("ROLLBACK TO ms_block")?;
        self.control("RELEASE ms_block")?;
        if let (Some(host), Some(catalog)) = (self.host, catalog) {
            host.compiled.replace(catalog);
            self.program.forget();
        }
        let BackendError::Refused(refused) = error else {
            return Err(error);
        };
        let caught = handlers.list.iter().find(|handler| {
            handler.conditions.iter().any(|condition| match condition {
                // What this engine cannot do must not be taken for an answer.
                _ if refused.is_unavailable() => false,
                Condition::Others => !matches!(refused.sqlstate.as_str(), "57014" | "P0004"),
                Condition::Code(code) => conditions::catches(code, &refused.sqlstate),
            })
        });
        let Some(handler) = caught else {
            return Err(BackendError::Refused(refused));
        };
        let mut refused = *refused;
        if foreign_keys::is_unnamed(&refused) {
            // Which key it was would take another run of the statement; PostgreSQL's words for it cannot be known here.
            refused.message = "insert or update on table violates foreign key constraint".to_owned();
        }
        self.frame
            .set(handlers.sqlstate, Scalar::Text(refused.sqlstate.clone()));
        self.frame.set(handlers.message, Scalar::Text(refused.message.clone()));
        self.handled.push(refused);
        let flow = self.statements(&handler.body);
        self.handled.pop();
        flow
    }

    fn control(&self, statement: &'static str) -> Result<()> {
        let done = self
            .running
            .conn()
            .prepare_cached(statement)
            .and_then(|mut statement| statement.raw_execute());
        match done {
            Ok(_) => Ok(()),
            Err(error) => Err(BackendError::Internal(format!("{statement}: {error}"))),
        }
    }

    fn case(&mut self, case: &Case) -> Result<Flow> {
        if let Some((operand, variable)) = &case.operand {
            let (value, ty, modifier) = self.value(operand, Want::Any)?;
            self.frame.set_typed(self.program, *variable, ty, modifier, value);
        }
        for (condition, body) in &case.whens {
            if self.condition(condition)? {
                return self.statements(body);
            }
        }
        match &case.otherwise {
            Some(body) => self.statements(body),
            None => Err(DatabaseError::new("20000", "case not found")
                .hint("CASE statement is missing ELSE part.")
                .into()),
        }
    }
}

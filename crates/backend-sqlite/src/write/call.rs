//! Calls of routines over RPC: the arguments from the request, the result as its response.
//!
//! A body of one query that changes nothing is one statement with the arguments bound; any other is run (`routine`).
//! Not here: calls inside queries (`emit`).

use std::rc::Rc;
use std::sync::Arc;

use mainstay_core::backend::ANSWER_BYTES_MAX;
use mainstay_core::catalog::{Routine, Volatility};
use mainstay_core::error::{BackendError, DatabaseError};
use mainstay_core::name::Ident;
use mainstay_core::plan::{self, CallResult, Format, Input, Outcome, Plan, ValueRef};
use mainstay_core::render;
use mainstay_core::types::{Type, TypeModifier};
use mainstay_sql::analyse::result_columns;
use mainstay_sql::typed::{Expr, ExprKind, Query, RoutineRun, Statement};
use rusqlite::Connection;
use rusqlite::types::{ToSqlOutput, Value as Scalar, ValueRef as ScalarRef};

use super::defaults::Fill;
use super::statement::{Prepared, scalars};
use crate::emit::binds::{Bind, BindError, Sources, resolve};
use crate::emit::compiled::Compiled;
use crate::emit::emitter::Argument;
use crate::emit::input::InputType;
use crate::emit::walk::{self, Visitor};
use crate::emit::{Emitter, Parameters};
use crate::read::compile::compile_rows;
use crate::read::program::ReadProgram;
use crate::read::run::{RunError, run_rows};
use crate::routine::{self, Invocation, cells};
use crate::values::cast::{self, Kind};

/// A compiled call.
pub struct CallProgram {
    body: Body,
    result: Shape,
    format: Format,
}

enum Body {
    /// The body as one statement.
    Query(Prepared),
    Run(Run),
}

/// A routine that is run.
struct Run {
    routine: Arc<Routine>,
    /// The role that calls.
    user: Ident,
    arguments: Vec<Given>,
}

/// Where an argument's value comes from.
enum Given {
    /// The request, read by the argument's type.
    Value(Bind),
    Default(Fill),
}

/// What comes back.
enum Shape {
    Void,
    Scalar(Kind),
    ScalarSet(Kind),
    /// And how many columns the routine's rows have.
    Rows(Box<ReadProgram>, usize),
}

/// Compiles a call for the role of `plan`.
///
/// Errors: 42501 without EXECUTE or for what the body uses, 0A000.
pub fn compile(compiled: &Compiled, plan: &Plan, call: &plan::Call) -> Result<CallProgram, BackendError> {
    let routine = &call.routine;
    let result = shape(compiled, plan, call)?;
    let body = match one_query(compiled, routine)? {
        Some(query) => Body::Query(statement(compiled, call, &query, &result)?),
        None => Body::Run(run(compiled, call)?),
    };
    Ok(CallProgram {
        body,
        result,
        format: plan.format,
    })
}

/// The body, if it is one query that changes nothing and whose answer is the routine's.
fn one_query(compiled: &Compiled, routine: &Arc<Routine>) -> Result<Option<Query>, DatabaseError> {
    let gives_row = !routine.returns.set && (routine.returns.relation.is_some() || !routine.returns.columns.is_empty());
    // SQLite computes nothing that nobody reads, and what a routine without a result selects may raise an error.
    if routine.language != *"sql" || gives_row || routine.returns.ty == Type::Void {
        return Ok(None);
    }
    let query = match compiled.routine(routine)?.as_slice() {
        [Statement::Query(query)] => query.clone(),
        _ => return Ok(None),
    };
    struct Found(bool);
    impl Visitor for Found {
        fn expr(&mut self, expr: &Expr) {
            self.0 |= matches!(expr.kind, ExprKind::Sequence(_));
            self.0 |= matches!(&expr.kind, ExprKind::Function { function, .. } if function.name == "set_config");
        }
        fn run(&mut self, run: &RoutineRun) {
            self.0 |= run.routine.volatility == Volatility::Volatile;
        }
    }
    let mut changes = Found(false);
    walk::query(&mut changes, &query);
    Ok((!changes.0).then_some(*query))
}

/// Where one argument comes from: the request's value of that number, or its default's text.
enum Origin<'a> {
    Value(ValueRef),
    Default(&'a str),
}

/// Errors: 42883 for an argument that has neither.
fn origin(call: &plan::Call, index: usize) -> Result<Origin<'_>, DatabaseError> {
    let argument = &call.routine.arguments[index];
    let given = call.arguments.iter().find(|given| given.argument == index);
    match (given, &argument.default) {
        (Some(given), _) => Ok(Origin::Value(given.value)),
        (None, Some(text)) => Ok(Origin::Default(text)),
        (None, None) => {
            let message = format!(
                "function {} lacks its argument \"{}\"",
                call.routine.name, argument.name
            );
            Err(DatabaseError::new("42883", message))
        }
    }
}

/// The body's one query with the arguments in it.
fn statement(compiled: &Compiled, call: &plan::Call, query: &Query, result: &Shape) -> Result<Prepared, BackendError> {
    let routine = &call.routine;
    let role = match routine.security_definer {
        true => &routine.owner,
        false => call.access.role(),
    };
    let mut arguments = Vec::with_capacity(routine.arguments.len());
    for (index, argument) in routine.arguments.iter().enumerate() {
        arguments.push(match origin(call, index)? {
            Origin::Value(value) => Argument::Value(value),
            Origin::Default(text) => Argument::Default(compiled.argument_default(routine, text, &argument.ty)?),
        });
    }
    let arguments: Rc<[Argument]> = Rc::from(arguments);
    let mut emitter = Emitter::new(compiled, role).with_parameters(Parameters::Arguments(Rc::clone(&arguments)));
    if routine.security_definer {
        emitter = emitter.as_definer();
    }
    emitter.writer().sql("SELECT ");
    emitter.writer().sql(match result {
        Shape::Void | Shape::Scalar(_) | Shape::ScalarSet(_) => "c1 FROM (",
        Shape::Rows(..) => "* FROM (",
    });
    emitter.statement_query(query)?;
    emitter.writer().sql(")");
    strict(&mut emitter, routine, &arguments)?;
    if matches!(result, Shape::Scalar(_)) {
        emitter.writer().sql(" LIMIT 1");
    }
    Ok(Prepared::from(emitter.finish()))
}

fn run(compiled: &Compiled, call: &plan::Call) -> Result<Run, BackendError> {
    let routine = &call.routine;
    let user = call.access.role().clone();
    let mut arguments = Vec::with_capacity(routine.arguments.len());
    for (index, argument) in routine.arguments.iter().enumerate() {
        arguments.push(match origin(call, index)? {
            Origin::Value(value) => Given::Value(Bind::Value {
                value,
                input: Arc::new(InputType::new(compiled.catalog(), &argument.ty, TypeModifier::None)?),
            }),
            Origin::Default(text) => {
                let bound = compiled.argument_default(routine, text, &argument.ty)?;
                Given::Default(Fill::of_expression(Emitter::new(compiled, &user), &bound.expr)?)
            }
        });
    }
    Ok(Run {
        routine: Arc::clone(routine),
        user,
        arguments,
    })
}

impl Run {
    fn rows(&self, conn: &Connection, sources: &Sources<'_>) -> Result<Vec<Vec<Scalar>>, BackendError> {
        let mut arguments = Vec::with_capacity(self.arguments.len());
        for argument in &self.arguments {
            arguments.push(match argument {
                Given::Value(bind) => resolved(bind, sources)?,
                Given::Default(fill) => fill.only(conn, sources)?,
            });
        }
        let invocation = Invocation {
            routine: &self.routine,
            user: &self.user,
            definer: false,
            arguments,
        };
        routine::with_current(|running| invocation.run(running))
    }
}

/// The value behind a placeholder.
fn resolved(bind: &Bind, sources: &Sources<'_>) -> Result<Scalar, BackendError> {
    match resolve(bind, sources) {
        Ok(ToSqlOutput::Owned(value)) => Ok(value),
        Ok(ToSqlOutput::Borrowed(value)) => value
            .try_into()
            .map_err(|_| BackendError::Internal("a value of a request is not UTF-8".to_owned())),
        Ok(_) => Err(BackendError::Internal(
            "a value of a request has no stored form".to_owned(),
        )),
        Err(BindError::Refused(error)) => Err(BackendError::Refused(error)),
        Err(BindError::Engine(error)) => Err(BackendError::Internal(error.to_string())),
        Err(BindError::Bug(text)) => Err(BackendError::Internal(text.to_owned())),
    }
}

/// Runs a compiled call.
pub fn execute(
    conn: &Connection,
    compiled: &Compiled,
    program: &CallProgram,
    sources: &Sources<'_>,
    input: &Input,
) -> Result<Outcome, BackendError> {
    let width = match &program.result {
        Shape::Void => 0,
        Shape::Scalar(_) | Shape::ScalarSet(_) => 1,
        Shape::Rows(_, width) => *width,
    };
    let mut bytes = 0;
    let rows = match &program.body {
        Body::Query(query) => query.all(conn, sources, |row| {
            let row = scalars(row, 0, width).map_err(|error| query.failed(&error))?;
            bytes += row.iter().map(weight).sum::<usize>();
            match bytes > ANSWER_BYTES_MAX {
                true => Err(BackendError::AnswerTooLarge),
                false => Ok(row),
            }
        })?,
        Body::Run(run) => run.rows(conn, sources)?,
    };
    let outcome = answer(conn, compiled, program, sources, input, rows)?;
    match input.options.affected_max {
        Some(max) if outcome.rows > max => Err(BackendError::TooManyAffected { affected: outcome.rows }),
        _ => Ok(outcome),
    }
}

/// Bytes that a value takes, about.
fn weight(value: &Scalar) -> usize {
    size_of::<Scalar>()
        + match value {
            Scalar::Text(text) => text.len(),
            Scalar::Blob(bytes) => bytes.len(),
            Scalar::Null | Scalar::Integer(_) | Scalar::Real(_) => 0,
        }
}

/// The rows as what the call gives back.
fn answer(
    conn: &Connection,
    compiled: &Compiled,
    program: &CallProgram,
    sources: &Sources<'_>,
    input: &Input,
    rows: Vec<Vec<Scalar>>,
) -> Result<Outcome, BackendError> {
    match &program.result {
        Shape::Void if input.options.singular => Err(BackendError::NotSingular { rows: 0 }),
        Shape::Void => Ok(Outcome::default()),
        Shape::Scalar(kind) => program.values(kind, rows, false, input),
        Shape::ScalarSet(kind) => program.values(kind, rows, true, input),
        Shape::Rows(read, _) => {
            let text = cells::rows_text(&rows);
            run_rows(read, conn, sources, &text, &input.options).map_err(|error| match error {
                RunError::Backend(error) => error,
                RunError::Sqlite { error, sql } => crate::errors::refusal(compiled.catalog(), None, &sql, &error),
            })
        }
    }
}

impl CallProgram {
    /// Bare values, one of them or an array's elements.
    fn values(
        &self,
        kind: &Kind,
        rows: Vec<Vec<Scalar>>,
        is_set: bool,
        input: &Input,
    ) -> Result<Outcome, BackendError> {
        let mut outcome = Outcome::default();
        if self.format == Format::Raw {
            return Ok(document(kind, rows));
        }
        let csv = self.format == Format::Csv;
        let mut values: Vec<Scalar> = rows.into_iter().filter_map(|row| row.into_iter().next()).collect();
        if values.is_empty() && !is_set {
            values.push(Scalar::Null);
        }
        outcome.rows = values.len() as u64;
        for (index, value) in values.iter().enumerate() {
            if index > 0 {
                outcome.body.push(if csv { b'\n' } else { b',' });
            }
            match ScalarRef::from(value) {
                ScalarRef::Null if csv => render::csv_cell(&mut outcome.body, None),
                value if csv => {
                    let cell = cast::output(kind, value).ok();
                    render::csv_cell(&mut outcome.body, cell.as_deref());
                }
                value => cast::write_json(kind, value, &mut outcome.body),
            }
        }
        if input.options.singular && outcome.rows != 1 {
            return Err(BackendError::NotSingular { rows: outcome.rows });
        }
        Ok(outcome)
    }

    /// The body's statement, or what is run.
    pub fn sql(&self) -> String {
        let mut text = match &self.body {
            Body::Query(query) => query.sql().to_owned(),
            Body::Run(run) => format!("-- runs {}", run.routine.name),
        };
        if let Shape::Rows(read, _) = &self.result {
            text.push('\n');
            text.push_str(&read.sql());
        }
        text
    }

    /// True if the body may write, so that it needs the writer.
    pub fn writes(&self) -> bool {
        match &self.body {
            Body::Query(_) => false,
            Body::Run(run) => run.routine.volatility == Volatility::Volatile,
        }
    }

    /// True if a routine is run.
    pub fn runs_routine(&self) -> bool {
        match &self.body {
            Body::Query(query) => query.runs_routine(),
            Body::Run(_) => true,
        }
    }
}

/// One value as it is: the bytes of a `bytea`, the text of anything else; none for null.
fn document(kind: &Kind, rows: Vec<Vec<Scalar>>) -> Outcome {
    let mut outcome = Outcome {
        rows: 1,
        ..Outcome::default()
    };
    match rows.into_iter().next().and_then(|row| row.into_iter().next()) {
        None | Some(Scalar::Null) => {}
        Some(Scalar::Blob(bytes)) => outcome.body = bytes,
        Some(value) => {
            let text = cast::output(kind, ScalarRef::from(&value)).unwrap_or_default();
            outcome.body = text.into_bytes();
        }
    }
    outcome
}

fn shape(compiled: &Compiled, plan: &Plan, call: &plan::Call) -> Result<Shape, BackendError> {
    let kind = |ty: &Type| {
        Kind::of(ty)
            .ok_or_else(|| DatabaseError::unavailable(&format!("type {ty}"), &call.routine.name.to_string(), 1, None))
    };
    Ok(match &call.result {
        CallResult::Void => Shape::Void,
        CallResult::Scalar => Shape::Scalar(kind(&call.routine.returns.ty)?),
        CallResult::ScalarSet => Shape::ScalarSet(kind(&call.routine.returns.ty)?),
        CallResult::Rows { read, .. } => {
            let width = result_columns(compiled.catalog(), &call.routine).len();
            Shape::Rows(Box::new(compile_rows(compiled, plan, read)?), width)
        }
    })
}

/// A strict routine is not run when an argument is null.
fn strict(emitter: &mut Emitter<'_>, routine: &Routine, arguments: &[Argument]) -> Result<(), DatabaseError> {
    if !routine.strict {
        return Ok(());
    }
    for (index, argument) in routine.arguments.iter().enumerate().take(arguments.len()) {
        emitter.writer().sql(if index == 0 { " WHERE " } else { " AND " });
        emitter.expr(&Expr::new(ExprKind::Parameter(index), argument.ty.clone()))?;
        emitter.writer().sql(" IS NOT NULL");
    }
    Ok(())
}

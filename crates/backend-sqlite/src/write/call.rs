//! Calls of `LANGUAGE sql` routines: the body as one statement with the arguments bound.
//!
//! Not here: calls inside queries, which the analyser puts in place (`emit`).

use std::rc::Rc;

use mainstay_core::error::{BackendError, DatabaseError};
use mainstay_core::name::Ident;
use mainstay_core::plan::{self, CallResult, Format, Input, Outcome, Plan};
use mainstay_core::render;
use mainstay_core::types::Type;
use mainstay_sql::typed::Statement;
use rusqlite::Connection;

use super::statement::Prepared;
use crate::emit::binds::Sources;
use crate::emit::compiled::Compiled;
use crate::emit::emitter::Argument;
use crate::emit::{Emitter, Parameters};
use crate::values::cast::{self, Kind};

/// A compiled call.
pub struct CallProgram {
    body: Body,
    result: Shape,
    format: Format,
    name: Ident,
}

enum Body {
    Query(Prepared),
    Write(Box<super::script::ScriptProgram>),
}

/// What comes back.
enum Shape {
    Void,
    Scalar(Kind),
    ScalarSet(Kind),
}

/// Compiles a call for the role of `plan`.
///
/// Errors: 42501 without EXECUTE or for what the body uses, 0A000 for results that are rows.
pub fn compile(compiled: &Compiled, plan: &Plan, call: &plan::Call) -> Result<CallProgram, BackendError> {
    let routine = &call.routine;
    let caller = call.access.role();
    let role = if routine.security_definer {
        &routine.owner
    } else {
        caller
    };
    let mut arguments = Vec::with_capacity(routine.arguments.len());
    for (index, argument) in routine.arguments.iter().enumerate() {
        let given = call.arguments.iter().find(|given| given.argument == index);
        arguments.push(match (given, &argument.default) {
            (Some(given), _) => Argument::Value(given.value),
            (None, Some(text)) => Argument::Default(compiled.argument_default(routine, text, &argument.ty)?),
            (None, None) => {
                let message = format!("function {} lacks its argument \"{}\"", routine.name, argument.name);
                return Err(DatabaseError::new("42883", message).into());
            }
        });
    }
    let result = shape(call)?;
    let arguments: Rc<[Argument]> = Rc::from(arguments);
    let mut emitter = Emitter::new(compiled, role).with_parameters(Parameters::Arguments(Rc::clone(&arguments)));
    if routine.security_definer {
        emitter = emitter.as_definer();
    }
    let body = match &*compiled.routine(routine)? {
        Statement::Query(query) => {
            emitter.writer().sql("SELECT ");
            if matches!(result, Shape::Void) {
                emitter.writer().sql("count(*) FROM (");
            } else {
                emitter.writer().sql("c1 FROM (");
            }
            emitter.statement_query(query)?;
            emitter.writer().sql(")");
            strict(&mut emitter, routine, &arguments)?;
            if matches!(result, Shape::Scalar(_)) {
                emitter.writer().sql(" LIMIT 1");
            }
            Body::Query(Prepared::from(emitter.finish()))
        }
        write => {
            if !matches!(result, Shape::Void) {
                let feature = "a function that writes and returns a value";
                return Err(DatabaseError::unavailable(feature, &routine.name.to_string(), 1, None).into());
            }
            let parameters = Parameters::Arguments(arguments);
            Body::Write(Box::new(super::script::compile(compiled, role, write, parameters)?))
        }
    };
    Ok(CallProgram {
        body,
        result,
        format: plan.format,
        name: routine.name.name.clone(),
    })
}

/// Runs a compiled call.
pub fn execute(
    conn: &Connection,
    compiled: &Compiled,
    program: &CallProgram,
    sources: &Sources<'_>,
    input: &Input,
) -> Result<Outcome, BackendError> {
    let mut outcome = Outcome::default();
    let query = match &program.body {
        Body::Query(query) => query,
        Body::Write(write) => {
            write.run(conn, compiled, sources)?;
            return Ok(outcome);
        }
    };
    let kind = match &program.result {
        Shape::Void => {
            query.one(conn, sources, |_| Ok(()))?;
            return Ok(outcome);
        }
        Shape::Scalar(kind) | Shape::ScalarSet(kind) => kind,
    };
    let is_set = matches!(program.result, Shape::ScalarSet(_));
    let csv = program.format == Format::Csv;
    if csv {
        render::csv_cell(&mut outcome.body, Some(&program.name));
    }
    let mut values = query.all(conn, sources, |row| {
        let value = row.get_ref(0).map_err(|error| query.failed(&error))?;
        let mut text = Vec::new();
        if csv {
            let cell = match value {
                rusqlite::types::ValueRef::Null => None,
                value => cast::output(kind, value).ok(),
            };
            render::csv_cell(&mut text, cell.as_deref());
        } else {
            cast::write_json(kind, value, &mut text);
        }
        Ok(text)
    })?;
    if values.is_empty() && !is_set {
        values.push(if csv { Vec::new() } else { b"null".to_vec() });
    }
    outcome.rows = values.len() as u64;
    for (index, value) in values.iter().enumerate() {
        if csv {
            outcome.body.push(b'\n');
        } else if index > 0 {
            outcome.body.push(b',');
        }
        outcome.body.extend_from_slice(value);
    }
    if input.options.singular && outcome.rows != 1 {
        return Err(BackendError::NotSingular { rows: outcome.rows });
    }
    Ok(outcome)
}

impl CallProgram {
    /// The body's statement.
    pub fn sql(&self) -> String {
        match &self.body {
            Body::Query(query) => query.sql().to_owned(),
            Body::Write(write) => write.sql(),
        }
    }

    /// True if the body writes, so that it needs the writer.
    pub fn writes(&self) -> bool {
        matches!(self.body, Body::Write(_))
    }
}

fn shape(call: &plan::Call) -> Result<Shape, DatabaseError> {
    let kind = |ty: &Type| {
        Kind::of(ty)
            .ok_or_else(|| DatabaseError::unavailable(&format!("type {ty}"), &call.routine.name.to_string(), 1, None))
    };
    Ok(match &call.result {
        CallResult::Void => Shape::Void,
        CallResult::Scalar => Shape::Scalar(kind(&call.routine.returns.ty)?),
        CallResult::ScalarSet => Shape::ScalarSet(kind(&call.routine.returns.ty)?),
        CallResult::Rows { .. } => {
            let name = call.routine.name.to_string();
            return Err(DatabaseError::unavailable(
                "functions that return rows",
                &name,
                1,
                Some("a view"),
            ));
        }
    })
}

/// A strict routine is not run when an argument is null.
fn strict(
    emitter: &mut Emitter<'_>,
    routine: &mainstay_core::catalog::Routine,
    arguments: &[Argument],
) -> Result<(), DatabaseError> {
    if !routine.strict {
        return Ok(());
    }
    for (index, argument) in routine.arguments.iter().enumerate().take(arguments.len()) {
        emitter.writer().sql(if index == 0 { " WHERE " } else { " AND " });
        let parameter =
            mainstay_sql::typed::Expr::new(mainstay_sql::typed::ExprKind::Parameter(index), argument.ty.clone());
        emitter.expr(&parameter)?;
        emitter.writer().sql(" IS NOT NULL");
    }
    Ok(())
}

//! Runs PL/pgSQL: functions and trigger functions.
//!
//! | module | what |
//! |---|---|
//! | [`code`] | expressions and statements of a body, compiled once per set of variable types |
//! | [`frame`] | variables and their values |
//! | [`assign`] | values, and their assignment |
//! | [`interpret`] [`loops`] [`statements`] | blocks and handlers; loops; SQL and RETURN |
//! | [`raise`] | RAISE, ASSERT |
//!
//! Expressions go through the same analyser and emitter as every query, with variables as parameters; the simplest
//! (constants, variables, `now()`) are taken without SQLite.
//! Not here: the grammar (`mainstay_sql::plpgsql`), which triggers fire (`write::triggers`).
//!
//! Source: PostgreSQL 15 manual, chapter 43; messages as the server words them.

mod assign;
mod code;
mod frame;
mod interpret;
mod loops;
mod raise;
mod statements;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use mainstay_core::catalog::{Relation, Routine, Trigger, TriggerTiming};
use mainstay_core::error::{BackendError, DatabaseError};
use mainstay_core::name::Ident;
use mainstay_core::types::{Type, TypeModifier};
use mainstay_sql::analyse::result_columns;
use mainstay_sql::plpgsql::tree::Field;
use mainstay_sql::plpgsql::{self as language, Function, Shape, fields_of};
use rusqlite::Connection;
use rusqlite::types::Value as Scalar;

use self::code::Code;
use self::frame::{Frame, Layout};
pub use self::interpret::Host;
use self::interpret::{Interpreter, Returned};
use super::body::Body;
use super::{Running, enter, with_current};
use crate::emit::compiled::Compiled;
use crate::emit::context::Context;
use crate::emit::emitter::Rights;
use crate::write::triggers::{Env, Event};

/// A routine's body for those who run it, with what has been compiled of it.
pub struct Program {
    routine: Arc<Routine>,
    function: Arc<Function>,
    rights: Rights,
    /// Columns of the result.
    columns: Vec<Field>,
    /// The variables as a call begins.
    start: Arc<Layout>,
    layouts: Mutex<Vec<Arc<Layout>>>,
    /// By fragment and layout.
    code: Mutex<HashMap<(usize, usize), Arc<Code>>>,
    casts: Mutex<HashMap<Conversion, Arc<Code>>>,
}

/// From one type to another.
type Conversion = (Type, TypeModifier, Type, TypeModifier);

/// What fired a trigger.
pub struct Fired<'a> {
    pub relation: &'a Arc<Relation>,
    pub trigger: &'a Trigger,
    pub event: Event,
    pub old: Option<&'a [Scalar]>,
    pub new: Option<&'a [Scalar]>,
}

/// Runs a trigger function for a statement of `user`: the row that it returned, `None` for null.
///
/// Errors: the body's own; 54001 for triggers that fire each other without end.
pub fn fire(
    env: Env<'_>,
    routine: &Arc<Routine>,
    user: &Ident,
    fired: &Fired<'_>,
) -> Result<Option<Vec<Scalar>>, BackendError> {
    let role = match routine.security_definer {
        true => &routine.owner,
        false => user,
    };
    // `current_user` is who the statement runs as, whoever made the request.
    let body = env.compiled.body(routine, role, true)?;
    let Body::PlPgSql(program) = &*body else {
        return Err(BackendError::Internal("a trigger function is not in PL/pgSQL".into()));
    };
    with_current(|running| running.deeper(|| program.fire(running, fired)))
}

/// Runs a DO block of a script, with its owner's rights. `host` has the catalog afterwards.
pub fn run_block(
    conn: &Connection,
    context: &Context<'_>,
    routine: &Arc<Routine>,
    host: &Host<'_>,
) -> Result<(), BackendError> {
    let compiled = Arc::clone(&host.compiled.borrow());
    let rights = Rights {
        role: routine.owner.clone(),
        definer: true,
    };
    let program = Program::compile(&compiled, routine, &rights)?;
    enter(conn, &compiled, context, || {
        with_current(|running| running.deeper(|| program.run_block(running, host)))
    })
}

impl Program {
    /// Reads a routine's body. Errors: those of its parser, which CREATE FUNCTION has seen before.
    pub fn compile(compiled: &Compiled, routine: &Arc<Routine>, rights: &Rights) -> Result<Self, DatabaseError> {
        let function = language::parse(compiled.catalog(), routine)?;
        let shapes: Vec<Shape> = function.variables.iter().map(frame::first_shape).collect();
        let start = Arc::new(Layout::new(0, shapes));
        Ok(Program {
            routine: Arc::clone(routine),
            function: Arc::new(function),
            rights: rights.clone(),
            columns: match language::is_trigger(&routine.returns.ty) {
                true => Vec::new(),
                false => result_columns(compiled.catalog(), routine),
            },
            layouts: Mutex::new(vec![Arc::clone(&start)]),
            start,
            code: Mutex::default(),
            casts: Mutex::default(),
        })
    }

    /// Calls a function; the rows have the columns of its result.
    pub fn run(&self, running: &Running<'_>, arguments: &[Scalar]) -> Result<Vec<Vec<Scalar>>, BackendError> {
        if self.function.trigger.is_some() {
            return Err(DatabaseError::new("0A000", "trigger functions can only be called as triggers").into());
        }
        let mut frame = Frame::new(&self.start);
        for (variable, value) in self.function.arguments.iter().zip(arguments) {
            frame.set(*variable, value.clone());
        }
        let mut interpreter = Interpreter::new(running, self, frame);
        interpreter.call()?;
        interpreter.rows()
    }

    /// Runs the body of DO.
    fn run_block(&self, running: &Running<'_>, host: &Host<'_>) -> Result<(), BackendError> {
        Interpreter::new(running, self, Frame::new(&self.start))
            .within(host)
            .call()
    }

    /// Drops what has been compiled.
    fn forget(&self) {
        self.code.lock().unwrap_or_else(PoisonError::into_inner).clear();
        self.casts.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    fn fire(&self, running: &Running<'_>, fired: &Fired<'_>) -> Result<Option<Vec<Scalar>>, BackendError> {
        let Some(variables) = &self.function.trigger else {
            return Err(BackendError::Internal(
                "a trigger's function is no trigger function".into(),
            ));
        };
        let relation = fired.relation;
        let mut frame = Frame::new(&self.start);
        let before = fired.trigger.timing == TriggerTiming::Before;
        if fired.trigger.for_each_row {
            let fields = fields_of(relation);
            for (variable, row) in [(variables.new, fired.new), (variables.old, fired.old)] {
                let shape = Shape::Row {
                    ty: Type::Composite(relation.name.clone()),
                    fields: Arc::clone(&fields),
                    is_null: row.is_none(),
                };
                let mut values = match row {
                    Some(row) => row.iter().take(fields.len()).cloned().collect(),
                    None => vec![Scalar::Null; fields.len()],
                };
                if before && variable == variables.new {
                    // Computed after BEFORE triggers.
                    for (value, column) in values.iter_mut().zip(&relation.columns) {
                        if column.generated.is_some() {
                            *value = Scalar::Null;
                        }
                    }
                }
                frame.set_row(self, variable, shape, values);
            }
        }
        let text = |text: &str| Scalar::Text(text.to_owned());
        let operation = match fired.event {
            Event::Insert => "INSERT",
            Event::Update => "UPDATE",
            Event::Delete => "DELETE",
        };
        frame.set(variables.operation, text(operation));
        frame.set(variables.name, text(&fired.trigger.name));
        let when = match fired.trigger.timing {
            TriggerTiming::Before => "BEFORE",
            TriggerTiming::After => "AFTER",
            TriggerTiming::InsteadOf => "INSTEAD OF",
        };
        frame.set(variables.when, text(when));
        let level = match fired.trigger.for_each_row {
            true => "ROW",
            false => "STATEMENT",
        };
        frame.set(variables.level, text(level));
        frame.set(variables.table, text(&relation.name.name));
        frame.set(variables.schema, text(&relation.name.schema));
        let arguments = &fired.trigger.arguments;
        frame.set(variables.count, Scalar::Integer(arguments.len() as i64));
        for (index, variable) in &variables.arguments {
            let value = arguments.get(*index).map_or(Scalar::Null, |argument| text(argument));
            frame.set(*variable, value);
        }
        let mut interpreter = Interpreter::new(running, self, frame);
        interpreter.call()?;
        match interpreter.returned {
            Some(Returned::Row { fields, values }) if fired.trigger.for_each_row => {
                let fits = fields.len() == relation.columns.len()
                    && fields
                        .iter()
                        .zip(&relation.columns)
                        .all(|(field, column)| field.ty == column.ty);
                if !fits {
                    let message = "returned row structure does not match the structure of the triggering table";
                    return Err(DatabaseError::new("42804", message).into());
                }
                Ok(Some(values))
            }
            _ => Ok(None),
        }
    }

    /// The layout of these shapes, one for all that are equal.
    fn layout(&self, shapes: Vec<Shape>) -> Arc<Layout> {
        let mut layouts = self.layouts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = layouts.iter().find(|layout| *layout.shapes == *shapes) {
            return Arc::clone(known);
        }
        let made = Arc::new(Layout::new(layouts.len(), shapes));
        layouts.push(Arc::clone(&made));
        made
    }
}

#[cfg(test)]
mod tests;

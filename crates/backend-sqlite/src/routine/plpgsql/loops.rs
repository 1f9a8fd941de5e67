//! Loops of every kind.

use mainstay_core::error::{BackendError, DatabaseError};
use mainstay_core::name::Ident;
use mainstay_core::types::{Type, TypeModifier};
use mainstay_sql::plpgsql::tree::{Fragment, Loop, LoopKind, Target, VariableId};
use rusqlite::types::Value as Scalar;

use super::code::Want;
use super::interpret::{Flow, Interpreter};
use super::statements::{fields_of, statement_of};
use crate::values::cast::{self, Kind};
use crate::write::script::ScriptProgram;

type Result<T> = std::result::Result<T, BackendError>;

impl Interpreter<'_> {
    /// Runs a loop's body once. `Some`: the loop ends so.
    pub(super) fn turn(&mut self, one: &Loop) -> Result<Option<Flow>> {
        self.step()?;
        let ours = |label: &Option<Ident>| label.is_none() || *label == one.label;
        Ok(match self.statements(&one.body)? {
            Flow::Next => None,
            Flow::Exit(label) if ours(&label) => Some(Flow::Next),
            Flow::Continue(label) if ours(&label) => None,
            flow => Some(flow),
        })
    }

    pub(super) fn any_loop(&mut self, one: &Loop) -> Result<Flow> {
        match &one.kind {
            LoopKind::Forever => loop {
                if let Some(flow) = self.turn(one)? {
                    return Ok(flow);
                }
            },
            LoopKind::While(condition) => {
                while self.condition(condition)? {
                    if let Some(flow) = self.turn(one)? {
                        return Ok(flow);
                    }
                }
                Ok(Flow::Next)
            }
            LoopKind::Integers {
                variable,
                reverse,
                from,
                to,
                by,
            } => self.integers(one, *variable, *reverse, from, to, by.as_ref()),
            LoopKind::Query { targets, query } => self.over_query(one, targets, query),
            LoopKind::Elements { target, array } => self.over_elements(one, target, array),
        }
    }

    pub(super) fn bound(&self, fragment: &Fragment, what: &str) -> Result<i64> {
        match self.value_as(fragment, &Type::Int4, TypeModifier::None)? {
            Scalar::Integer(value) => Ok(value),
            _ => {
                let message = format!("{what} of FOR loop cannot be null");
                Err(DatabaseError::new("22004", message).into())
            }
        }
    }

    pub(super) fn integers(
        &mut self,
        one: &Loop,
        variable: VariableId,
        reverse: bool,
        from: &Fragment,
        to: &Fragment,
        by: Option<&Fragment>,
    ) -> Result<Flow> {
        let mut value = self.bound(from, "lower bound")?;
        let end = self.bound(to, "upper bound")?;
        let step = match by {
            Some(by) => self.bound(by, "BY value")?,
            None => 1,
        };
        if step <= 0 {
            let message = "BY value of FOR loop must be greater than zero";
            return Err(DatabaseError::new("22023", message).into());
        }
        let mut found = false;
        let mut ended = Flow::Next;
        while if reverse { value >= end } else { value <= end } {
            found = true;
            self.frame.set(variable, Scalar::Integer(value));
            if let Some(flow) = self.turn(one)? {
                ended = flow;
                break;
            }
            value = if reverse { value - step } else { value + step };
            if i32::try_from(value).is_err() {
                break;
            }
        }
        self.set_found(found);
        Ok(ended)
    }

    pub(super) fn over_query(&mut self, one: &Loop, targets: &[Target], query: &Fragment) -> Result<Flow> {
        let code = self.program.statement(&self.compiled(), query, &self.frame.layout)?;
        let program = statement_of(&code)?;
        let fields = fields_of(program);
        if !matches!(program, ScriptProgram::Query(_)) && fields.is_empty() {
            return Err(DatabaseError::new("42601", "cannot open statement as cursor").into());
        }
        let (rows, _) = self.execute(&code)?;
        let mut found = false;
        let mut ended = Flow::Next;
        if rows.is_empty() {
            self.move_row(targets, &fields, None)?;
        }
        for row in &rows {
            found = true;
            self.move_row(targets, &fields, Some(row))?;
            if let Some(flow) = self.turn(one)? {
                ended = flow;
                break;
            }
        }
        self.set_found(found);
        Ok(ended)
    }

    pub(super) fn over_elements(&mut self, one: &Loop, target: &Target, array: &Fragment) -> Result<Flow> {
        let (value, ty, _) = self.value(array, Want::Any)?;
        let Type::Array(element) = ty.base().clone() else {
            let message = format!("FOREACH expression must yield an array, not type {ty}");
            return Err(DatabaseError::new("42804", message).into());
        };
        let Scalar::Text(text) = value else {
            return Err(DatabaseError::new("22004", "FOREACH expression must not be null").into());
        };
        let mut query = self
            .running
            .conn()
            .prepare_cached("SELECT value FROM json_each(?1) ORDER BY key")
            .map_err(|error| BackendError::Internal(error.to_string()))?;
        let elements: Vec<Scalar> = query
            .query_map([text], |row| row.get(0))
            .and_then(Iterator::collect)
            .map_err(|error| BackendError::Internal(error.to_string()))?;
        drop(query);
        let kind = Kind::of(&element);
        let mut found = false;
        let mut ended = Flow::Next;
        for value in elements {
            found = true;
            let value = match (&kind, value) {
                // Numbers stand in JSON as such; `numeric` is kept as its text.
                (Some(kind), value) if value != Scalar::Null => element_of(kind, value)?,
                (_, value) => value,
            };
            self.store_value(target, value, (&element, TypeModifier::None))?;
            if let Some(flow) = self.turn(one)? {
                ended = flow;
                break;
            }
        }
        self.set_found(found);
        Ok(ended)
    }
}

/// An array's element in its own stored form.
fn element_of(kind: &Kind, value: Scalar) -> Result<Scalar> {
    let text = match (&value, kind) {
        (Scalar::Integer(_), Kind::Int2 | Kind::Int4 | Kind::Int8 | Kind::Bool) => return Ok(value),
        (Scalar::Real(_), Kind::Float4 | Kind::Float8) => return Ok(value),
        (Scalar::Text(text), _) => text.clone(),
        (Scalar::Integer(number), _) => number.to_string(),
        (Scalar::Real(number), _) => number.to_string(),
        _ => return Ok(value),
    };
    cast::input(kind, &text, &cast::Input::default())
        .map(Scalar::from)
        .map_err(|error| BackendError::Internal(error.message))
}

//! What stands behind each placeholder of an emitted statement, and how it is bound.
//!
//! A statement's SQL holds `?1`, `?2` …; its `Vec<Bind>` says for each where the value comes from. Statements are kept
//! per plan shape, so a [`Bind`] refers to values and never holds one of a request.

use std::sync::Arc;

use mainstay_core::error::DatabaseError;
use mainstay_core::plan::{Value, ValueRef};
use rusqlite::types::{ToSqlOutput, Value as Scalar, ValueRef as ScalarRef};

use super::comparison::prefix_range;
use super::context::{Context, ContextValue};
use super::input::InputType;

/// Where a placeholder's value comes from.
#[derive(Clone, Debug, PartialEq)]
pub enum Bind {
    /// `now()`, `auth.uid()` and their kin: fixed when the request begins.
    Context(ContextValue),
    /// A request's value, read by the type's input function. `Value::Null` is NULL; a list is not allowed here.
    Value { value: ValueRef, input: Arc<InputType> },
    /// A request's list as a JSON array of stored forms, for `json_each(?)`.
    List { value: ValueRef, element: Arc<InputType> },
    /// A request's text as it is: a JSON path's key, a pattern.
    Text(ValueRef),
    /// The least text that a request's LIKE pattern can match.
    PrefixLow(ValueRef),
    /// A value above every text that a request's LIKE pattern can match: a text, or a blob, which is above all texts.
    PrefixHigh(ValueRef),
    /// A request's integer as it is: a limit, an offset, a JSON path's index.
    Integer(ValueRef),
    /// Column of the row that an embed belongs to, as the parent's statement gave it.
    Parent(usize),
    /// Column of the row that is being written.
    Row(usize),
    /// A variable of the routine that runs the statement, in its stored form.
    Variable(usize),
    /// The identity of a routine that the statement calls.
    Routine(u64),
    /// A value that belongs to the statement itself.
    Constant(Scalar),
}

/// Everything that binds may refer to.
#[derive(Clone, Copy)]
pub struct Sources<'a> {
    pub context: &'a Context<'a>,
    pub values: &'a [Value],
    /// For [`Bind::Parent`].
    pub parent: &'a [ScalarRef<'a>],
    /// For [`Bind::Row`].
    pub row: &'a [Scalar],
    /// For [`Bind::Variable`].
    pub variables: &'a [Scalar],
}

impl<'a> Sources<'a> {
    /// A statement that refers to nothing but the request.
    pub fn of_request(context: &'a Context<'a>, values: &'a [Value]) -> Self {
        Sources {
            context,
            values,
            parent: &[],
            row: &[],
            variables: &[],
        }
    }

    /// The same with a row that is being written.
    pub fn with_row(self, row: &'a [Scalar]) -> Self {
        Sources { row, ..self }
    }

    /// The same with a routine's variables.
    pub fn with_variables(self, variables: &'a [Scalar]) -> Self {
        Sources { variables, ..self }
    }

    /// The same with the row that an embed belongs to.
    pub fn with_parent(self, parent: &'a [ScalarRef<'a>]) -> Self {
        Sources { parent, ..self }
    }
}

/// Binds every placeholder of `statement`.
///
/// Errors: what the types' input functions refuse (22P02 …), as PostgreSQL words it.
pub fn bind_all(
    statement: &mut rusqlite::Statement<'_>,
    binds: &[Bind],
    sources: &Sources<'_>,
) -> Result<(), BindError> {
    for (index, bind) in binds.iter().enumerate() {
        statement.raw_bind_parameter(index + 1, resolve(bind, sources)?)?;
    }
    Ok(())
}

/// The value of one placeholder.
pub fn resolve<'a>(bind: &'a Bind, sources: &Sources<'a>) -> Result<ToSqlOutput<'a>, BindError> {
    Ok(match bind {
        Bind::Context(value) => ToSqlOutput::Owned(sources.context.value(value)?),
        Bind::Value { value, input } => match value_at(sources.values, *value)? {
            Value::Null => ToSqlOutput::Owned(Scalar::Null),
            Value::Text(text) => ToSqlOutput::Owned(input.read(text, sources.context)?),
            Value::Integer(number) => ToSqlOutput::Owned(input.read(&number.to_string(), sources.context)?),
            Value::Json(json) => ToSqlOutput::Owned(input.read_json(json, sources.context)?),
            Value::List(_) => return Err(BindError::Bug("a list is bound as one value")),
        },
        Bind::List { value, element } => match value_at(sources.values, *value)? {
            Value::List(items) => ToSqlOutput::Owned(Scalar::Text(element.read_list(items, sources.context)?)),
            Value::Null => ToSqlOutput::Owned(Scalar::Null),
            _ => return Err(BindError::Bug("one value is bound as a list")),
        },
        Bind::Text(value) => match value_at(sources.values, *value)? {
            Value::Text(text) | Value::Json(text) => ToSqlOutput::Borrowed(ScalarRef::Text(text.as_bytes())),
            Value::Null => ToSqlOutput::Owned(Scalar::Null),
            Value::Integer(number) => ToSqlOutput::Owned(Scalar::Text(number.to_string())),
            Value::List(_) => return Err(BindError::Bug("a list is bound as text")),
        },
        Bind::PrefixLow(value) => match value_at(sources.values, *value)? {
            Value::Text(pattern) => ToSqlOutput::Owned(Scalar::Text(prefix_range(pattern).0)),
            _ => ToSqlOutput::Owned(Scalar::Null),
        },
        Bind::PrefixHigh(value) => match value_at(sources.values, *value)? {
            Value::Text(pattern) => {
                ToSqlOutput::Owned(prefix_range(pattern).1.map_or(Scalar::Blob(Vec::new()), Scalar::Text))
            }
            _ => ToSqlOutput::Owned(Scalar::Null),
        },
        Bind::Integer(value) => match value_at(sources.values, *value)? {
            Value::Integer(number) => ToSqlOutput::Owned(Scalar::Integer(*number)),
            Value::Null => ToSqlOutput::Owned(Scalar::Null),
            Value::Text(text) => match text.parse() {
                Ok(number) => ToSqlOutput::Owned(Scalar::Integer(number)),
                Err(_) => return Err(BindError::Bug("a text is bound as an integer")),
            },
            _ => return Err(BindError::Bug("a list is bound as an integer")),
        },
        Bind::Parent(column) => {
            let value = sources
                .parent
                .get(*column)
                .ok_or(BindError::Bug("the parent has fewer columns"))?;
            ToSqlOutput::Borrowed(*value)
        }
        Bind::Row(column) => {
            let value = sources
                .row
                .get(*column)
                .ok_or(BindError::Bug("the row has fewer columns"))?;
            ToSqlOutput::Borrowed(ScalarRef::from(value))
        }
        Bind::Variable(index) => {
            let value = sources
                .variables
                .get(*index)
                .ok_or(BindError::Bug("the routine has fewer variables"))?;
            ToSqlOutput::Borrowed(ScalarRef::from(value))
        }
        // The same bits: `pg_call` turns them back.
        Bind::Routine(id) => ToSqlOutput::Owned(Scalar::Integer(*id as i64)),
        Bind::Constant(value) => ToSqlOutput::Borrowed(ScalarRef::from(value)),
    })
}

fn value_at(values: &[Value], index: ValueRef) -> Result<&Value, BindError> {
    values
        .get(index)
        .ok_or(BindError::Bug("the request has fewer values than its plan"))
}

/// Why a value could not be bound.
#[derive(Debug)]
pub enum BindError {
    /// The value is not one of its type.
    Refused(Box<DatabaseError>),
    /// SQLite would not take it.
    Engine(rusqlite::Error),
    /// Statement and input do not fit each other: our mistake.
    Bug(&'static str),
}

impl From<DatabaseError> for BindError {
    fn from(error: DatabaseError) -> Self {
        BindError::Refused(Box::new(error))
    }
}

impl From<rusqlite::Error> for BindError {
    fn from(error: rusqlite::Error) -> Self {
        BindError::Engine(error)
    }
}

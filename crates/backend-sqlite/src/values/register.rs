//! Registers the library with a connection.
//!
//! Each function is an entry with its name, arguments and result; `FUNCTIONS.md` is the list of all entries, kept in
//! step by a test. How names are made is told in `NAMES.md`.

mod aggregates;
mod arrays;
mod casts;
mod library;
mod operators;
mod records;
mod regexps;
mod statistics;
mod text_search;
mod vector;

pub use aggregates::NAMES as AGGREGATES;
use rusqlite::Connection;
use rusqlite::functions::{Context, FunctionFlags};
use rusqlite::types::{Value, ValueRef};

use super::cast::Stored;
use super::datetime;
use super::datetime::interval::Interval;
use super::errors::{PgError, Result};
use super::json;
use super::jsonb::Json;
use super::numeric::Numeric;

/// The arguments of one call.
pub struct Args<'a, 'b> {
    context: &'a Context<'b>,
}

impl Args<'_, '_> {
    fn len(&self) -> usize {
        self.context.len()
    }

    fn raw(&self, index: usize) -> ValueRef<'_> {
        self.context.get_raw(index)
    }

    fn wrong(&self, index: usize, expected: &str) -> PgError {
        PgError::internal(format!(
            "argument {} is {}, expected {expected}",
            index + 1,
            self.raw(index).data_type()
        ))
    }

    fn is_null(&self, index: usize) -> bool {
        index >= self.len() || matches!(self.raw(index), ValueRef::Null)
    }

    fn text(&self, index: usize) -> Result<&str> {
        self.raw(index).as_str().map_err(|_| self.wrong(index, "text"))
    }

    /// The text, or `None` for NULL and for an argument left out.
    fn text_or_null(&self, index: usize) -> Result<Option<&str>> {
        if self.is_null(index) {
            Ok(None)
        } else {
            self.text(index).map(Some)
        }
    }

    fn int(&self, index: usize) -> Result<i64> {
        self.raw(index).as_i64().map_err(|_| self.wrong(index, "an integer"))
    }

    fn int_or(&self, index: usize, default: i64) -> Result<i64> {
        if self.is_null(index) {
            Ok(default)
        } else {
            self.int(index)
        }
    }

    fn bool(&self, index: usize) -> Result<bool> {
        self.int(index).map(|value| value != 0)
    }

    fn real(&self, index: usize) -> Result<f64> {
        match self.raw(index) {
            ValueRef::Real(value) => Ok(value),
            ValueRef::Integer(value) => Ok(value as f64),
            _ => Err(self.wrong(index, "a float")),
        }
    }

    fn bytes(&self, index: usize) -> Result<&[u8]> {
        self.raw(index).as_bytes().map_err(|_| self.wrong(index, "bytes"))
    }

    fn numeric(&self, index: usize) -> Result<Numeric> {
        numeric_of(self.raw(index)).ok_or_else(|| self.wrong(index, "numeric"))?
    }

    fn json(&self, index: usize) -> Result<Json> {
        json::parse(self.text(index)?)
    }

    fn interval(&self, index: usize) -> Result<Interval> {
        Interval::parse(self.text(index)?)
    }

    fn timestamp(&self, index: usize) -> Result<i64> {
        datetime::read_timestamp(self.text(index)?)
    }

    fn date(&self, index: usize) -> Result<i64> {
        datetime::read_date(self.text(index)?)
    }

    fn time(&self, index: usize) -> Result<i64> {
        datetime::read_time(self.text(index)?)
    }

    fn texts(&self, index: usize) -> Result<Vec<Option<String>>> {
        super::array::texts(self.text(index)?)
    }
}

/// The numeric of a stored value; integers and reals are taken as well. `None` for other storage.
fn numeric_of(value: ValueRef<'_>) -> Option<Result<Numeric>> {
    match value {
        ValueRef::Text(bytes) => Some(match std::str::from_utf8(bytes) {
            Ok(text) => Numeric::parse(text),
            Err(_) => return None,
        }),
        ValueRef::Integer(value) => Some(Ok(Numeric::from(value))),
        ValueRef::Real(value) => Some(Numeric::from_f64(value)),
        _ => None,
    }
}

/// What a function may return.
trait Output {
    fn value(self) -> Value;
}

impl Output for Value {
    fn value(self) -> Value {
        self
    }
}

impl Output for Stored {
    fn value(self) -> Value {
        self.into()
    }
}

impl Output for i64 {
    fn value(self) -> Value {
        Value::Integer(self)
    }
}

impl Output for bool {
    fn value(self) -> Value {
        Value::Integer(i64::from(self))
    }
}

impl Output for f64 {
    fn value(self) -> Value {
        Value::Real(self)
    }
}

impl Output for String {
    fn value(self) -> Value {
        Value::Text(self)
    }
}

impl Output for &str {
    fn value(self) -> Value {
        Value::Text(self.to_owned())
    }
}

impl Output for Vec<u8> {
    fn value(self) -> Value {
        Value::Blob(self)
    }
}

impl Output for Numeric {
    fn value(self) -> Value {
        Value::Text(self.to_string())
    }
}

impl Output for Interval {
    fn value(self) -> Value {
        Value::Text(self.text())
    }
}

impl Output for Json {
    fn value(self) -> Value {
        Value::Text(self.text())
    }
}

impl<T: Output> Output for Option<T> {
    fn value(self) -> Value {
        self.map_or(Value::Null, Output::value)
    }
}

type Call = std::sync::Arc<dyn Fn(&Args<'_, '_>) -> Result<Value> + Send + Sync + 'static>;

/// One registered function.
pub struct Function {
    pub name: String,
    /// As documented: `text, int4 [, int4]`; `…` for any number.
    pub arguments: &'static str,
    pub result: &'static str,
    /// NULL in, NULL out.
    pub is_strict: bool,
    call: Call,
}

impl Function {
    /// Every number of arguments the function takes; -1 for any.
    fn arities(&self) -> Vec<i32> {
        if self.arguments.contains('…') {
            return vec![-1];
        }
        let count = |text: &str| text.split(',').filter(|part| !part.trim().is_empty()).count() as i32;
        let (needed, optional) = self.arguments.split_once('[').unwrap_or((self.arguments, ""));
        let needed = count(needed);
        let optional = count(optional.trim_end_matches(']'));
        (needed..=needed + optional).collect()
    }
}

/// Collects entries.
#[derive(Default)]
struct Registry {
    functions: Vec<Function>,
}

impl Registry {
    /// A strict function.
    fn add<T: Output>(
        &mut self,
        name: impl Into<String>,
        arguments: &'static str,
        result: &'static str,
        call: impl Fn(&Args<'_, '_>) -> Result<T> + Send + Sync + 'static,
    ) {
        self.push(
            name.into(),
            arguments,
            result,
            true,
            std::sync::Arc::new(move |args| call(args).map(Output::value)),
        );
    }

    /// A function that sees NULLs.
    fn add_lenient<T: Output>(
        &mut self,
        name: impl Into<String>,
        arguments: &'static str,
        result: &'static str,
        call: impl Fn(&Args<'_, '_>) -> Result<T> + Send + Sync + 'static,
    ) {
        self.push(
            name.into(),
            arguments,
            result,
            false,
            std::sync::Arc::new(move |args| call(args).map(Output::value)),
        );
    }

    fn push(&mut self, name: String, arguments: &'static str, result: &'static str, is_strict: bool, call: Call) {
        self.functions.push(Function {
            name,
            arguments,
            result,
            is_strict,
            call,
        });
    }
}

/// Every scalar function of the library.
pub fn functions() -> Vec<Function> {
    let mut registry = Registry::default();
    operators::add(&mut registry);
    arrays::add(&mut registry);
    casts::add(&mut registry);
    library::add(&mut registry);
    text_search::add(&mut registry);
    vector::add(&mut registry);
    records::add(&mut registry);
    regexps::add(&mut registry);
    registry.functions
}

/// Registers every function, aggregate and fixed collation. Enums register their own
/// ([`order::register_enum`](super::order::register_enum)).
pub fn register(conn: &Connection) -> rusqlite::Result<()> {
    let flags = FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DETERMINISTIC | FunctionFlags::SQLITE_INNOCUOUS;
    for function in functions() {
        let arities = function.arities();
        let Function {
            name, is_strict, call, ..
        } = function;
        for arity in arities {
            let call = call.clone();
            conn.create_scalar_function(name.as_str(), arity, flags, move |context| {
                if is_strict && (0..context.len()).any(|index| context.get_raw(index) == ValueRef::Null) {
                    return Ok(Value::Null);
                }
                call(&Args { context }).map_err(rusqlite::Error::from)
            })?;
        }
    }
    super::order::register(conn)?;
    aggregates::register(conn)
}

#[cfg(test)]
mod tests;

//! Where a plan's values come from, so that a kept plan can be given the values of the next request.

use mainstay_core::error::DatabaseError;
use mainstay_core::plan::{Quantifier, Value, ValueRef};

use crate::error::Error;
use crate::request::range::{Window, Windows};
use crate::request::syntax::{Operand, RawValue, Slot};

/// The sources of a plan's values, in the order of its [`ValueRef`]s.
#[derive(Clone, Debug, Default)]
pub struct Template {
    supplies: Vec<Supply>,
}

/// Where one value comes from.
#[derive(Clone, Debug, PartialEq)]
enum Supply {
    /// Part of the shape: a JSON path's key, a routine's argument.
    Constant(Value),
    /// A value of the query.
    Slot {
        slot: Slot,
        form: Form,
    },
    /// The limit of the root, or of the embed at this position in [`Windows::embeds`].
    Limit(WindowRef),
    /// The root's limit and one more.
    PageLimit,
    Offset(WindowRef),
}

/// Which window a limit or an offset belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WindowRef {
    Root,
    /// The position in [`Windows::embeds`].
    Embed(usize),
    /// An embed without a window of its own; only the general limit holds.
    General,
}

/// How a query's text becomes a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    Text,
    /// `*` stands for `%`.
    Pattern,
    List,
    /// `{a,b}`
    Array(Quantifier),
    /// The same, with `*` for `%` in each element.
    PatternArray(Quantifier),
}

impl Template {
    /// Adds a value that is part of the shape.
    pub fn constant(&mut self, value: Value) -> ValueRef {
        self.push(Supply::Constant(value))
    }

    /// Adds a value of the query.
    pub fn operand(&mut self, operand: &Operand, form: Form) -> ValueRef {
        self.push(Supply::Slot {
            slot: operand.slot,
            form,
        })
    }

    /// Adds a value beside those of the query, such as a cursor's.
    pub fn slot(&mut self, slot: Slot) -> ValueRef {
        self.push(Supply::Slot { slot, form: Form::Text })
    }

    /// Makes the root's limit one more.
    pub fn page_limit(&mut self, limit: ValueRef) {
        if let Some(supply) = self.supplies.get_mut(limit) {
            *supply = Supply::PageLimit;
        }
    }

    /// Adds a limit.
    pub fn limit(&mut self, window: WindowRef) -> ValueRef {
        self.push(Supply::Limit(window))
    }

    /// Adds an offset.
    pub fn offset(&mut self, window: WindowRef) -> ValueRef {
        self.push(Supply::Offset(window))
    }

    fn push(&mut self, supply: Supply) -> ValueRef {
        self.supplies.push(supply);
        self.supplies.len() - 1
    }

    /// The plan's values for one request. Errors: 22P02 for a malformed array.
    pub fn fill(&self, values: &[RawValue], windows: &Windows, max_rows: Option<u64>) -> Result<Vec<Value>, Error> {
        let window = |at: WindowRef| -> Window {
            let own = match at {
                WindowRef::Root => windows.root,
                WindowRef::Embed(position) => windows
                    .embeds
                    .get(position)
                    .map(|(_, window)| *window)
                    .unwrap_or_default(),
                WindowRef::General => Window::default(),
            };
            own.capped(max_rows)
        };
        self.supplies
            .iter()
            .map(|supply| {
                Ok(match supply {
                    Supply::Constant(value) => value.clone(),
                    Supply::Slot { slot, form } => match values.get(*slot) {
                        Some(value) => form.apply(value)?,
                        None => Value::Null,
                    },
                    Supply::Limit(at) => Value::Integer(integer(window(*at).limit.unwrap_or(u64::MAX))),
                    Supply::PageLimit => Value::Integer(integer(
                        window(WindowRef::Root).limit.unwrap_or(u64::MAX).saturating_add(1),
                    )),
                    Supply::Offset(at) => Value::Integer(integer(window(*at).offset)),
                })
            })
            .collect()
    }
}

fn integer(rows: u64) -> i64 {
    i64::try_from(rows).unwrap_or(i64::MAX)
}

impl Form {
    fn apply(self, value: &RawValue) -> Result<Value, Error> {
        Ok(match (self, value) {
            (Form::Text, RawValue::Text(text)) => Value::Text(text.clone()),
            (Form::Pattern, RawValue::Text(text)) => Value::Text(text.replace('*', "%")),
            (Form::Array(quantifier), RawValue::Text(text)) => Value::List(array(text, quantifier)?),
            (Form::PatternArray(quantifier), RawValue::Text(text)) => {
                Value::List(array(&text.replace('*', "%"), quantifier)?)
            }
            // `in.()` is read as one empty element; it matches nothing.
            (_, RawValue::List(list)) if list.len() == 1 && list[0].is_empty() => Value::List(Vec::new()),
            (_, RawValue::List(list)) => Value::List(list.clone()),
            (Form::List, RawValue::Text(text)) => Value::List(vec![text.clone()]),
        })
    }
}

/// Reads a one-dimensional array literal. A null element can never make `any` true, so it is left out there.
///
/// Source: PostgreSQL manual, 8.15.2. Errors: 22P02, 0A000 for nulls under `all`.
fn array(text: &str, quantifier: Quantifier) -> Result<Vec<String>, Error> {
    let malformed = |detail: &str| -> Error {
        DatabaseError::new("22P02", format!("malformed array literal: \"{text}\""))
            .detail(detail)
            .into()
    };
    let trimmed = text.trim();
    let Some(inside) = trimmed.strip_prefix('{') else {
        return Err(malformed("Array value must start with \"{\" or dimension information."));
    };
    let mut elements = Vec::new();
    let mut rest = inside.trim_start();
    if let Some(after) = rest.strip_prefix('}') {
        return if after.is_empty() {
            Ok(elements)
        } else {
            Err(malformed("Junk after closing right brace."))
        };
    }
    loop {
        let (element, after) = if let Some(quoted) = rest.strip_prefix('"') {
            let (element, after) = quoted_element(quoted).ok_or_else(|| malformed("Unexpected end of input."))?;
            (Some(element), after.trim_start())
        } else {
            let (element, after) = bare_element(rest).ok_or_else(|| malformed("Unexpected end of input."))?;
            if element.is_empty() || element.contains(['{', '"']) {
                return Err(malformed("Unexpected array element."));
            }
            (
                if element.eq_ignore_ascii_case("null") {
                    None
                } else {
                    Some(element)
                },
                after,
            )
        };
        match element {
            Some(element) => elements.push(element),
            None if quantifier == Quantifier::Any => {}
            None => {
                return Err(
                    DatabaseError::new("0A000", "null elements are not available with the all quantifier").into(),
                );
            }
        }
        if let Some(after) = after.strip_prefix(',') {
            rest = after.trim_start();
            continue;
        }
        return match after.strip_prefix('}') {
            Some("") => Ok(elements),
            Some(_) => Err(malformed("Junk after closing right brace.")),
            None => Err(malformed("Unexpected array element.")),
        };
    }
}

fn quoted_element(text: &str) -> Option<(String, &str)> {
    let mut element = String::new();
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Some((element, &text[at + 1..])),
            '\\' => element.push(chars.next()?.1),
            other => element.push(other),
        }
    }
    None
}

fn bare_element(text: &str) -> Option<(String, &str)> {
    let mut element = String::new();
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            ',' | '}' => return Some((element.trim().to_owned(), &text[at..])),
            '\\' => element.push(chars.next()?.1),
            other => element.push(other),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arrays_are_read_as_postgresql_reads_them() {
        let read = |text| array(text, Quantifier::Any).map_err(|error| error.to_string());
        assert_eq!(read("{a, b ,\"c,\\\"d\"}").unwrap(), ["a", "b", "c,\"d"]);
        assert_eq!(read("{}").unwrap(), Vec::<String>::new());
        assert_eq!(read("{1,NULL,\"NULL\"}").unwrap(), ["1", "NULL"]);
        assert_eq!(read("a,b").unwrap_err(), "malformed array literal: \"a,b\"");
        assert!(read("{a").is_err());
        assert!(read("{a}b").is_err());
        assert!(read("{a,}").is_err());
    }

    #[test]
    fn stars_become_percent_signs_only_in_patterns() {
        let text = RawValue::Text("*a*".into());
        assert_eq!(Form::Pattern.apply(&text).unwrap(), Value::Text("%a%".into()));
        assert_eq!(Form::Text.apply(&text).unwrap(), Value::Text("*a*".into()));
    }
}

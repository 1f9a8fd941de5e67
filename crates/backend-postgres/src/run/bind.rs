//! A request's values as parameters in PostgreSQL's text form.

use std::borrow::Cow;

use mainstay_core::error::{BackendError, DatabaseError};
use mainstay_core::plan::{Input, Value, ValueRef};
use mainstay_core::render;

use crate::render::Part;
use crate::render::sql::Param;

/// One statement's parameters.
pub struct Bound<'a> {
    values: Vec<Option<Cow<'a, [u8]>>>,
}

impl<'a> Bound<'a> {
    /// Finds the value of every placeholder. Errors: a plan that does not fit its input (`Internal`).
    pub fn new(part: &Part, input: &'a Input) -> Result<Self, BackendError> {
        let values = part
            .params
            .iter()
            .map(|param| value_of(param, input))
            .collect::<Result<_, _>>()?;
        Ok(Bound { values })
    }

    /// The parameters as a step takes them.
    pub fn parameters(&self) -> Vec<Option<&[u8]>> {
        self.values.iter().map(Option::as_deref).collect()
    }
}

fn value_of<'a>(param: &Param, input: &'a Input) -> Result<Option<Cow<'a, [u8]>>, BackendError> {
    Ok(match param {
        Param::Value(index) => match request_value(input, *index)? {
            Value::Null => None,
            Value::Text(text) | Value::Json(text) => Some(Cow::Borrowed(text.as_bytes())),
            Value::Integer(number) => Some(Cow::Owned(number.to_string().into_bytes())),
            Value::List(items) => Some(Cow::Owned(array_literal(items))),
        },
        Param::List(index) => match request_value(input, *index)? {
            Value::Null => None,
            Value::List(items) => Some(Cow::Owned(array_literal(items))),
            // An array literal written by the caller (`any.{a,b}`, a variadic argument).
            Value::Text(text) | Value::Json(text) => Some(Cow::Borrowed(text.as_bytes())),
            Value::Integer(number) => Some(Cow::Owned(format!("{{{number}}}").into_bytes())),
        },
        Param::Payload => Some(payload(input)?),
        Param::Arguments(members) => Some(Cow::Owned(arguments(members, input)?)),
        Param::CountLimit => {
            let bound = input.options.estimated_rows_exact().saturating_add(1);
            Some(Cow::Owned(bound.to_string().into_bytes()))
        }
        Param::Constant(text) => Some(Cow::Owned(text.clone().into_bytes())),
    })
}

fn request_value(input: &Input, index: ValueRef) -> Result<&Value, BackendError> {
    input
        .values
        .get(index)
        .ok_or_else(|| BackendError::Internal(format!("the plan asks for value {index}")))
}

/// The body as a JSON array: an object is wrapped.
fn payload(input: &Input) -> Result<Cow<'_, [u8]>, BackendError> {
    let bytes = input
        .payload
        .as_deref()
        .ok_or_else(|| BackendError::BadPayload("the request has no body".into()))?;
    // A byte order mark or a NUL would surprise PostgreSQL only later, with a message about encodings.
    if bytes.contains(&0) {
        return Err(DatabaseError::new("22021", "invalid byte sequence for encoding \"UTF8\": 0x00").into());
    }
    match bytes.iter().find(|byte| !byte.is_ascii_whitespace()) {
        Some(b'{') => {
            let mut wrapped = Vec::with_capacity(bytes.len() + 2);
            wrapped.push(b'[');
            wrapped.extend_from_slice(bytes);
            wrapped.push(b']');
            Ok(Cow::Owned(wrapped))
        }
        Some(b'[') => Ok(Cow::Borrowed(bytes)),
        _ => Err(BackendError::BadPayload(
            "the body must be a JSON object or an array of objects".into(),
        )),
    }
}

fn arguments(members: &[(String, ValueRef)], input: &Input) -> Result<Vec<u8>, BackendError> {
    let mut out = vec![b'{'];
    for (position, (name, index)) in members.iter().enumerate() {
        if position > 0 {
            out.push(b',');
        }
        render::json_string(&mut out, name);
        out.push(b':');
        match request_value(input, *index)? {
            Value::Null => out.extend_from_slice(b"null"),
            Value::Text(text) => render::json_string(&mut out, text),
            Value::Integer(number) => render::integer(&mut out, *number),
            Value::Json(text) => out.extend_from_slice(text.as_bytes()),
            Value::List(items) => {
                out.push(b'[');
                for (item_position, item) in items.iter().enumerate() {
                    if item_position > 0 {
                        out.push(b',');
                    }
                    render::json_string(&mut out, item);
                }
                out.push(b']');
            }
        }
    }
    out.push(b'}');
    Ok(out)
}

/// `{"a","b\"c"}`: every element quoted, so that PostgreSQL reads none of them as null or as a nested array.
fn array_literal(items: &[String]) -> Vec<u8> {
    let mut out = vec![b'{'];
    for (position, item) in items.iter().enumerate() {
        if position > 0 {
            out.push(b',');
        }
        out.push(b'"');
        for byte in item.bytes() {
            if matches!(byte, b'"' | b'\\') {
                out.push(b'\\');
            }
            out.push(byte);
        }
        out.push(b'"');
    }
    out.push(b'}');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_become_array_literals_whatever_they_hold() {
        let items = ["a".to_owned(), "x,\"y\\".to_owned(), String::new(), "NULL".to_owned()];
        assert_eq!(
            String::from_utf8(array_literal(&items)).unwrap(),
            r#"{"a","x,\"y\\","","NULL"}"#
        );
    }

    #[test]
    fn an_object_is_wrapped_and_anything_else_refused() {
        let input = |text: &'static str| Input {
            payload: Some(text.into()),
            ..Default::default()
        };
        assert_eq!(&*payload(&input(" {\"a\":1}")).unwrap(), b"[ {\"a\":1}]");
        assert_eq!(&*payload(&input("[]")).unwrap(), b"[]");
        assert!(payload(&input("7")).is_err());
        assert!(payload(&input("")).is_err());
    }
}

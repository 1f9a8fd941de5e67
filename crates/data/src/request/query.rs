//! The query string as decoded pairs, and the parameters with a meaning of their own.
//!
//! Source: WHATWG URL, application/x-www-form-urlencoded parsing; PostgREST's reserved parameters.

use std::borrow::Cow;

use mainstay_core::error::DatabaseError;

use crate::error::Error;

/// Parameters in one request, at most.
const PARAMETERS_MAX: usize = 1_000;

/// One parameter, decoded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parameter<'a> {
    pub name: Cow<'a, str>,
    /// `None`: there was no `=`.
    pub value: Option<Cow<'a, str>>,
}

/// What a parameter means, by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ParameterKind {
    Select,
    Columns,
    OnConflict,
    Order,
    Limit,
    Offset,
    /// `and`, `or`, and so on embeds
    Logic,
    /// A filter, or an argument of a routine.
    Filter,
}

impl Parameter<'_> {
    /// What the name makes of it.
    pub fn kind(&self) -> ParameterKind {
        match &*self.name {
            "select" => return ParameterKind::Select,
            "columns" => return ParameterKind::Columns,
            "on_conflict" => return ParameterKind::OnConflict,
            _ => {}
        }
        match self.name.rsplit('.').next().unwrap_or_default() {
            "order" => ParameterKind::Order,
            "limit" => ParameterKind::Limit,
            "offset" => ParameterKind::Offset,
            "and" | "or" => ParameterKind::Logic,
            _ => ParameterKind::Filter,
        }
    }
}

/// Splits and decodes a query string.
///
/// Errors: `PGRST100` for text that is not UTF-8, 22021 for a NUL character, `MS-DATA-001` for too many parameters.
pub fn parameters(query: &str) -> Result<Vec<Parameter<'_>>, Error> {
    let mut found = Vec::new();
    for pair in query.split(['&', ';']).filter(|pair| !pair.is_empty()) {
        if found.len() == PARAMETERS_MAX {
            return Err(Error::TooMany {
                what: "query parameters",
                max: PARAMETERS_MAX,
            });
        }
        let (name, value) = match pair.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (pair, None),
        };
        found.push(Parameter {
            name: decode(name)?,
            value: value.map(decode).transpose()?,
        });
    }
    Ok(found)
}

/// Decodes `%xx` and `+`; a `%` that begins no pair of digits stays as it is.
pub fn decode(text: &str) -> Result<Cow<'_, str>, Error> {
    if !text.bytes().any(|byte| byte == b'%' || byte == b'+') {
        return checked(Cow::Borrowed(text));
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        match (first, tail) {
            (b'%', [high, low, after @ ..]) if hex(*high).is_some() && hex(*low).is_some() => {
                bytes.push(hex(*high).unwrap_or(0) << 4 | hex(*low).unwrap_or(0));
                rest = after;
                continue;
            }
            (b'+', _) => bytes.push(b' '),
            (other, _) => bytes.push(*other),
        }
        rest = tail;
    }
    let decoded = String::from_utf8(bytes).map_err(|error| Error::QueryParameter {
        message: format!(
            "\"failed to parse query string\" (line 1, column {})",
            error.utf8_error().valid_up_to() + 1
        ),
        details: "invalid UTF-8".into(),
    })?;
    checked(Cow::Owned(decoded))
}

fn checked(text: Cow<'_, str>) -> Result<Cow<'_, str>, Error> {
    if text.contains('\0') {
        return Err(DatabaseError::new("22021", "invalid byte sequence for encoding \"UTF8\": 0x00").into());
    }
    Ok(text)
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit)
        .to_digit(16)
        .and_then(|value| u8::try_from(value).ok())
}

/// The parameters sorted by name and encoded, for `Content-Location`; values of one name are joined by commas.
pub fn canonical(parameters: &[Parameter<'_>]) -> String {
    let mut sorted: Vec<&Parameter<'_>> = parameters.iter().collect();
    sorted.sort_by(|a, b| a.name.cmp(&b.name));
    let mut text = String::new();
    let mut last: Option<&str> = None;
    for parameter in sorted {
        let value = parameter.value.as_deref().unwrap_or_default();
        if last == Some(&parameter.name) {
            text.push(',');
        } else {
            if last.is_some() {
                text.push('&');
            }
            encode(&mut text, &parameter.name);
            text.push('=');
        }
        encode(&mut text, value);
        last = Some(&parameter.name);
    }
    text
}

/// Percent-encodes everything but letters, digits and `-_.~`.
pub fn encode(out: &mut String, text: &str) {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~') {
            out.push(char::from(byte));
        } else {
            out.push('%');
            out.push(char::from(HEX[usize::from(byte >> 4)]));
            out.push(char::from(HEX[usize::from(byte & 15)]));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decoding_is_lenient_but_not_with_broken_text() {
        assert_eq!(decode("a+b%20c%2B%zz%").unwrap(), "a b c+%zz%");
        assert!(matches!(decode("%ff"), Err(Error::QueryParameter { .. })));
        assert!(matches!(decode("%00"), Err(Error::Database(_))));
    }

    #[test]
    fn the_canonical_form_is_sorted_and_joins_equal_names() {
        let parameters = parameters("b=eq.1&a=gt.0&a=lt.5&c").unwrap();
        assert_eq!(canonical(&parameters), "a=gt.0,lt.5&b=eq.1&c=");
    }

    #[test]
    fn ten_thousand_parameters_are_too_many() {
        let query = "id=eq.1&".repeat(10_000);
        assert!(matches!(parameters(&query), Err(Error::TooMany { .. })));
    }
}

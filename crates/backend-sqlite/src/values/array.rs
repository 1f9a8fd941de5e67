//! One-dimensional arrays: stored as a JSON array of the elements' JSON forms.
//!
//! Source: PostgreSQL manual, 8.15 and 9.19. More dimensions are refused.

use std::borrow::Cow;
use std::cmp::Ordering;

use super::cast::{self, Input, Kind, Stored};
use super::errors::{PgError, Result};
use super::numeric::Numeric;
use super::{json, order};

fn malformed(text: &str) -> PgError {
    PgError::new("22P02", format!("malformed array literal: \"{text}\""))
}

/// Splits `{a,"b",NULL}` into its elements. Errors: 22P02, 0A000 for more dimensions.
pub fn split_literal(text: &str) -> Result<Vec<Option<String>>> {
    let body = super::numeric::trim_space(text);
    if body.starts_with('[') {
        return Err(PgError::new(
            "0A000",
            "array bounds (\"[2:4]={…}\") are not available on the embedded engine",
        )
        .hint("Leave them out: the first element is number 1."));
    }
    let inner = body
        .strip_prefix('{')
        .ok_or_else(|| malformed(text).detail("Array value must start with \"{\" or dimension information."))?;
    let mut elements = Vec::new();
    let mut chars = inner.chars().peekable();
    let blank = |c: &char| matches!(c, ' ' | '\t' | '\n' | '\r' | '\x0b' | '\x0c');
    loop {
        while chars.next_if(blank).is_some() {}
        let mut element = String::new();
        let mut quoted = false;
        match chars.peek() {
            None => return Err(malformed(text).detail("Unexpected end of input.")),
            Some('}') if elements.is_empty() => {
                chars.next();
                break;
            }
            Some('{') if !elements.is_empty() => {
                return Err(malformed(text).detail("Unexpected \"{\" character."));
            }
            Some('{') => {
                return Err(PgError::new(
                    "0A000",
                    "not available on the embedded engine: arrays of more dimensions",
                )
                .hint("Use jsonb, or PostgreSQL."));
            }
            Some(c @ ('}' | ',')) => {
                return Err(malformed(text).detail(format!("Unexpected \"{c}\" character.")));
            }
            Some('"') => {
                quoted = true;
                chars.next();
                loop {
                    match chars.next() {
                        None => return Err(malformed(text).detail("Unexpected end of input.")),
                        Some('"') => break,
                        Some('\\') => element.push(chars.next().ok_or_else(|| malformed(text))?),
                        Some(c) => element.push(c),
                    }
                }
                while chars.next_if(blank).is_some() {}
            }
            Some(_) => {
                // Where the last character that is no unescaped blank ends.
                let mut solid = 0;
                while let Some(c) = chars.next_if(|c| !matches!(c, ',' | '}')) {
                    match c {
                        '"' | '{' => {
                            return Err(malformed(text).detail("Unexpected array element."));
                        }
                        '\\' => {
                            element.push(chars.next().ok_or_else(|| malformed(text))?);
                            quoted = true;
                            solid = element.len();
                        }
                        c => {
                            element.push(c);
                            if !blank(&c) {
                                solid = element.len();
                            }
                        }
                    }
                }
                element.truncate(solid);
            }
        }
        let is_null = !quoted && element.eq_ignore_ascii_case("null");
        elements.push(if is_null { None } else { Some(element) });
        match chars.next() {
            Some(',') => {}
            Some('}') => break,
            None => return Err(malformed(text).detail("Unexpected end of input.")),
            Some(_) => return Err(malformed(text).detail("Unexpected array element.")),
        }
    }
    while chars.next_if(blank).is_some() {}
    if chars.peek().is_some() {
        return Err(malformed(text).detail("Junk after closing right brace."));
    }
    Ok(elements)
}

/// Reads `{…}` into the stored form. Errors: as the element type and [`split_literal`].
pub fn parse(element: &Kind, text: &str, input: &Input) -> Result<String> {
    let mut out = Vec::with_capacity(text.len() + 8);
    out.push(b'[');
    for (index, item) in split_literal(text)?.into_iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        match item {
            None => out.extend_from_slice(b"null"),
            Some(item) => write_element(element, &cast::input(element, &item, input)?, &mut out)?,
        }
    }
    out.push(b']');
    Ok(String::from_utf8(out).unwrap_or_default())
}

/// The stored element's value: `None` for null.
pub fn element_value(element: &Kind, item: &str) -> Result<Option<Stored>> {
    if item == "null" {
        return Ok(None);
    }
    let text = match (element, json::kind(item)) {
        (Kind::Json | Kind::Jsonb, _) => item.to_owned(),
        (_, json::Kind::String) => json::unescape(item)?,
        _ => item.to_owned(),
    };
    match element {
        Kind::Interval
        | Kind::Timestamp
        | Kind::Timestamptz
        | Kind::Date
        | Kind::Time
        | Kind::Numeric
        | Kind::Json
        | Kind::Jsonb => Ok(Some(Stored::Text(text))),
        _ => cast::input(element, &text, &Input::default()).map(Some),
    }
}

/// PostgreSQL's `{…}` text of a stored array.
pub fn output(element: &Kind, stored: &str) -> Result<String> {
    let mut out = String::from("{");
    for (index, item) in json::elements(stored).enumerate() {
        if index > 0 {
            out.push(',');
        }
        match element_value(element, item)? {
            None => out.push_str("NULL"),
            Some(value) => {
                let text = cast::output(element, value.as_ref())?;
                let plain = !text.is_empty()
                    && !text.eq_ignore_ascii_case("null")
                    && !text.contains(['"', '\\', '{', '}', ',', ' ', '\t', '\n', '\r', '\x0b', '\x0c']);
                if plain {
                    out.push_str(&text);
                } else {
                    out.push('"');
                    for c in text.chars() {
                        if matches!(c, '"' | '\\') {
                            out.push('\\');
                        }
                        out.push(c);
                    }
                    out.push('"');
                }
            }
        }
    }
    out.push('}');
    Ok(out)
}

/// The elements of a stored `text[]`: strings without quotes, `None` for null. Errors: 22P05.
pub fn texts(stored: &str) -> Result<Vec<Option<String>>> {
    json::elements(stored).map(json::as_text).collect()
}

/// A stored `text[]` of these elements.
pub fn from_texts<'a>(items: impl Iterator<Item = Option<&'a str>>) -> String {
    let mut out = Vec::from(*b"[");
    for (index, item) in items.enumerate() {
        if index > 0 {
            out.push(b',');
        }
        match item {
            None => out.extend_from_slice(b"null"),
            Some(text) => json::write_string(text.as_bytes(), &mut out),
        }
    }
    out.push(b']');
    String::from_utf8(out).unwrap_or_default()
}

/// By what the elements of an array are told apart and ordered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Order {
    /// Texts by their bytes, numbers by value, `false` before `true`.
    #[default]
    Plain,
    Interval,
    Jsonb,
}

impl Order {
    /// The order that a library call names; everything that has none of its own is plain.
    pub fn named(name: &str) -> Order {
        match name {
            "interval" => Order::Interval,
            "jsonb" => Order::Jsonb,
            _ => Order::Plain,
        }
    }

    /// Compares two stored elements, neither null.
    pub fn compare(self, a: &str, b: &str) -> Ordering {
        if a == b {
            return Ordering::Equal;
        }
        match self {
            Order::Jsonb => order::compare_jsonb(a, b),
            Order::Interval => order::compare_intervals(&plain(a), &plain(b)),
            Order::Plain => match (json::kind(a), json::kind(b)) {
                (json::Kind::Number, _) | (_, json::Kind::Number) => compare_numbers(&plain(a), &plain(b)),
                // "Infinity" beside "-Infinity" are numbers too, and their bytes are in the wrong order.
                _ => match (a, b) {
                    ("\"Infinity\"", "\"-Infinity\"") => Ordering::Greater,
                    ("\"-Infinity\"", "\"Infinity\"") => Ordering::Less,
                    _ => plain(a).as_bytes().cmp(plain(b).as_bytes()),
                },
            },
        }
    }
}

/// An element's text without quotes.
pub fn plain(item: &str) -> Cow<'_, str> {
    match item.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) {
        Some(inner) if !inner.contains('\\') => inner.into(),
        Some(_) => json::unescape(item).map_or(Cow::Borrowed(item), Cow::Owned),
        None => item.into(),
    }
}

fn compare_numbers(a: &str, b: &str) -> Ordering {
    if a.contains('e') || b.contains('e') {
        return match (Numeric::parse(a), Numeric::parse(b)) {
            (Ok(a), Ok(b)) => a.compare(&b),
            _ => a.cmp(b),
        };
    }
    super::numeric::compare_text(a, b)
}

/// Compares two stored arrays as PostgreSQL does: element by element, nulls last and equal, then the shorter first.
pub fn compare(order: Order, a: &str, b: &str) -> Ordering {
    compare_by(a, b, |a, b| order.compare(a, b))
}

/// The same with an order for the elements that are not null, which are given as they are stored.
pub fn compare_by(a: &str, b: &str, order: impl Fn(&str, &str) -> Ordering) -> Ordering {
    if a == b {
        return Ordering::Equal;
    }
    let (mut left, mut right) = (json::elements(a), json::elements(b));
    loop {
        let compared = match (left.next(), right.next()) {
            (None, None) => return Ordering::Equal,
            (None, Some(_)) => return Ordering::Less,
            (Some(_), None) => return Ordering::Greater,
            (Some("null"), Some("null")) => Ordering::Equal,
            (Some("null"), Some(_)) => Ordering::Greater,
            (Some(_), Some("null")) => Ordering::Less,
            (Some(x), Some(y)) => order(x, y),
        };
        if compared.is_ne() {
            return compared;
        }
    }
}

/// True if two stored elements are not distinct.
pub fn same(order: Order, a: &str, b: &str) -> bool {
    match (a, b) {
        ("null", "null") => true,
        ("null", _) | (_, "null") => false,
        _ => order.compare(a, b).is_eq(),
    }
}

/// `a @> b`; a null in `b` never matches.
pub fn contains(order: Order, a: &str, b: &str) -> bool {
    json::elements(b).all(|wanted| wanted != "null" && json::elements(a).any(|item| same(order, item, wanted)))
}

/// `a && b`.
pub fn overlaps(order: Order, a: &str, b: &str) -> bool {
    json::elements(a).any(|item| item != "null" && json::elements(b).any(|other| same(order, item, other)))
}

/// `array[low:high]`: what lies inside, counted from 1.
pub fn slice(stored: &str, low: i64, high: i64) -> String {
    let skipped = usize::try_from(low - 1).unwrap_or(0);
    let end = usize::try_from(high).unwrap_or(0);
    build(json::elements(stored).take(end).skip(skipped))
}

/// Each element made anew; nulls stay. Errors: what `change` refuses.
pub fn map(
    element: &Kind,
    stored: &str,
    result: &Kind,
    mut change: impl FnMut(Stored) -> Result<Stored>,
) -> Result<String> {
    let mut out = Vec::with_capacity(stored.len());
    out.push(b'[');
    for (index, item) in json::elements(stored).enumerate() {
        if index > 0 {
            out.push(b',');
        }
        match element_value(element, item)? {
            None => out.extend_from_slice(b"null"),
            Some(value) => write_element(result, &change(value)?, &mut out)?,
        }
    }
    out.push(b']');
    String::from_utf8(out).map_err(|_| PgError::internal("an array is not UTF-8"))
}

/// An element's JSON. Errors: 0A000 for JSON's null, which could not be told from SQL's.
pub fn write_element(kind: &Kind, value: &Stored, out: &mut Vec<u8>) -> Result<()> {
    if let (Kind::Json | Kind::Jsonb, Stored::Text(text)) = (kind, value) {
        check_json(text)?;
    }
    value.write_json(kind, out);
    Ok(())
}

/// Errors: 0A000 for JSON's null as an element.
pub fn check_json(element: &str) -> Result<&str> {
    if json::kind(element) == json::Kind::Null {
        return Err(PgError::new(
            "0A000",
            "not available on the embedded engine: a JSON null in an array of json",
        )
        .hint("Use one jsonb array instead, or PostgreSQL."));
    }
    Ok(element)
}

/// The array of the elements' JSON texts.
pub fn build<'a>(items: impl Iterator<Item = &'a str>) -> String {
    let mut out = String::from("[");
    for (index, item) in items.enumerate() {
        if index > 0 {
            out.push(',');
        }
        out.push_str(item);
    }
    out.push(']');
    out
}

/// `string_to_array`; `delimiter` `None` splits into characters.
pub fn string_to_array(text: &str, delimiter: Option<&str>, null_text: Option<&str>) -> String {
    let parts: Vec<&str> = match delimiter {
        _ if text.is_empty() => Vec::new(),
        None => text
            .char_indices()
            .map(|(at, c)| &text[at..at + c.len_utf8()])
            .collect(),
        Some("") => vec![text],
        Some(delimiter) => text.split(delimiter).collect(),
    };
    from_texts(
        parts
            .into_iter()
            .map(|part| if Some(part) == null_text { None } else { Some(part) }),
    )
}

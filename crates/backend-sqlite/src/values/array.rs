//! One-dimensional arrays: stored as a JSON array of the elements' JSON forms.
//!
//! Source: PostgreSQL manual, 8.15 and 9.19. More dimensions are refused.

use super::cast::{self, Input, Kind, Stored};
use super::errors::{PgError, Result};
use super::json;

fn malformed(text: &str) -> PgError {
    PgError::new("22P02", format!("malformed array literal: \"{text}\""))
}

/// Splits `{a,"b",NULL}` into its elements. Errors: 22P02, 0A000 for more dimensions.
pub fn split_literal(text: &str) -> Result<Vec<Option<String>>> {
    let body = super::numeric::trim_space(text);
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
            Some(item) => cast::input(element, &item, input)?.write_json(element, &mut out),
        }
    }
    out.push(b']');
    Ok(String::from_utf8(out).unwrap_or_default())
}

/// The stored element's value: `None` for null. JSON elements of `json` arrays stay JSON.
pub fn element_value(element: &Kind, item: &str) -> Result<Option<Stored>> {
    if item == "null" && !matches!(element, Kind::Json | Kind::Jsonb) {
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

/// True if two stored elements, neither null, are equal: numbers by value.
pub fn same(a: &str, b: &str) -> bool {
    a == b
        || (json::kind(a) == json::Kind::Number
            && json::kind(b) == json::Kind::Number
            && !a.contains('e')
            && !b.contains('e')
            && super::numeric::compare_text(a, b).is_eq())
}

/// `a @> b`; a null in `b` never matches.
pub fn contains(a: &str, b: &str) -> bool {
    json::elements(b).all(|wanted| wanted != "null" && json::elements(a).any(|item| same(item, wanted)))
}

/// `a && b`.
pub fn overlaps(a: &str, b: &str) -> bool {
    json::elements(a).any(|item| item != "null" && json::elements(b).any(|other| same(item, other)))
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

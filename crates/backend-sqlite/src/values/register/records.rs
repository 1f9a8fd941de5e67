//! JSON as rows and rows as JSON: `json_to_recordset` and its kin, `json_object`, paths as arguments.

use mainstay_core::types::TypeModifier;

use super::super::cast::{self, Input, Kind, Stored};
use super::super::errors::{PgError, Result};
use super::super::jsonb::Json;
use super::super::{array, json};
use super::{Args, Registry};

pub(super) fn add(to: &mut Registry) {
    to.add("pg_srf_json_records", "json(b), text, text", "json", |a| {
        let columns = columns(a.text(1)?)?;
        let (document, function) = (a.text(0)?, a.text(2)?);
        json::check_escapes(document)?;
        let mut rows = Vec::new();
        if function.ends_with("recordset") {
            match json::kind(document) {
                json::Kind::Array => {}
                _ => return Err(PgError::new("22023", format!("cannot call {function} on a non-array"))),
            }
            for element in json::elements(document) {
                if json::kind(element) != json::Kind::Object {
                    let message = format!("argument of {function} must be an array of objects");
                    return Err(PgError::new("22023", message));
                }
                rows.push(row(element, &columns)?);
            }
        } else {
            match json::kind(document) {
                json::Kind::Object => rows.push(row(document, &columns)?),
                json::Kind::Array => {
                    return Err(PgError::new("22023", "cannot call populate_composite on an array"));
                }
                _ => return Err(PgError::new("22023", "cannot call populate_composite on a scalar")),
            }
        }
        Ok(array::build(rows.iter().map(String::as_str)))
    });
    // A null field of a row is nothing at all.
    to.add_lenient("pg_row_field", "text", "text", |a| {
        Ok(a.text_or_null(0)?.map_or_else(String::new, row_field))
    });
    for (name, canonical) in [("pg_fn_json_object", false), ("pg_fn_jsonb_object", true)] {
        to.add(name, "text[] [, text[]]", "json(b)", move |a| object(a, canonical));
    }
    to.add("pg_fn_json_extract_path", "json(b), text…", "json(b)", |a| {
        json::check_escapes(a.text(0)?)?;
        Ok(json::path(a.text(0)?, &steps(a)?).map(str::to_owned))
    });
    to.add("pg_fn_json_extract_path_text", "json(b), text…", "text", |a| {
        json::check_escapes(a.text(0)?)?;
        json::path(a.text(0)?, &steps(a)?).map_or(Ok(None), json::as_text)
    });
    to.add_lenient(
        "pg_fn_jsonb_set_lax",
        "jsonb, text[], jsonb, bool, text",
        "jsonb",
        set_lax,
    );
}

/// A field of a row in the output form of composite types: in quotes if it is empty or holds what means something there.
fn row_field(text: &str) -> String {
    let special = |c: char| matches!(c, '"' | '\\' | '(' | ')' | ',') || c.is_ascii_whitespace() || c == '\u{b}';
    if !text.is_empty() && !text.contains(special) {
        return text.to_owned();
    }
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for c in text.chars() {
        if matches!(c, '"' | '\\') {
            quoted.push(c);
        }
        quoted.push(c);
    }
    quoted.push('"');
    quoted
}

fn steps(a: &Args<'_, '_>) -> Result<Vec<Option<String>>> {
    (1..a.len()).map(|at| Ok(Some(a.text(at)?.to_owned()))).collect()
}

/// One column of a record.
struct Column {
    name: String,
    kind: Kind,
    is_array: bool,
    /// An enum's name and labels.
    labels: Option<(String, Vec<String>)>,
    modifier: TypeModifier,
}

fn columns(text: &str) -> Result<Vec<Column>> {
    type Described = (
        String,
        String,
        bool,
        Option<(String, Vec<String>)>,
        Option<TypeModifier>,
    );
    let broken = |_| PgError::internal("a record's columns are not described");
    let described: Vec<Described> = serde_json::from_str(text).map_err(broken)?;
    let column = |(name, kind, is_array, labels, modifier): Described| {
        let kind = Kind::named(&kind).ok_or_else(|| PgError::internal("no such kind"))?;
        Ok(Column {
            name,
            kind,
            is_array,
            labels,
            modifier: modifier.unwrap_or_default(),
        })
    };
    described.into_iter().map(column).collect()
}

impl Column {
    /// A member as `json_populate_record` reads it; `None` for null.
    fn read(&self, value: &str) -> Result<Option<Stored>> {
        let value = value.trim_matches([' ', '\t', '\n', '\r']);
        if value == "null" {
            return Ok(None);
        }
        if !self.is_array {
            return self.element(value);
        }
        let mut out = vec![b'['];
        match json::kind(value) {
            json::Kind::Array => {
                for (at, item) in json::elements(value).enumerate() {
                    if at > 0 {
                        out.push(b',');
                    }
                    if item.starts_with('[') && !matches!(self.kind, Kind::Json | Kind::Jsonb) {
                        let message = "not available on the embedded engine: arrays of more dimensions";
                        return Err(PgError::new("0A000", message).hint("Use jsonb, or PostgreSQL."));
                    }
                    match self.element(item)? {
                        Some(stored) => array::write_element(&self.kind, &stored, &mut out)?,
                        None => out.extend_from_slice(b"null"),
                    }
                }
                out.push(b']');
                Ok(Some(Stored::Text(
                    String::from_utf8(out).map_err(|_| PgError::internal("an array is not UTF-8"))?,
                )))
            }
            json::Kind::String => {
                let text = json::unescape(value)?;
                for label in array::split_literal(&text)?.iter().flatten() {
                    self.check(label)?;
                }
                let stored = array::parse(&self.kind, &text, &Input::default())?;
                cast::apply_modifier(
                    &Kind::Array(Box::new(self.kind.clone())),
                    self.modifier,
                    Stored::Text(stored),
                )
                .map(Some)
            }
            _ => {
                Err(PgError::new("22P02", "expected JSON array")
                    .hint(format!("See the value of key \"{}\".", self.name)))
            }
        }
    }

    fn element(&self, value: &str) -> Result<Option<Stored>> {
        let text = match (&self.kind, json::kind(value)) {
            (_, json::Kind::Null) => return Ok(None),
            (Kind::Json | Kind::Jsonb, _) => value.to_owned(),
            (_, json::Kind::String) => json::unescape(value)?,
            _ => value.to_owned(),
        };
        self.check(&text)?;
        let stored = cast::input(&self.kind, &text, &Input::default())?;
        match self.modifier {
            TypeModifier::None => Ok(Some(stored)),
            modifier => cast::apply_modifier(&self.kind, modifier, stored).map(Some),
        }
    }

    fn check(&self, label: &str) -> Result<()> {
        match &self.labels {
            Some((name, labels)) if !labels.iter().any(|known| known == label) => Err(PgError::new(
                "22P02",
                format!("invalid input value for enum {name}: \"{label}\""),
            )),
            _ => Ok(()),
        }
    }
}

/// The columns' stored forms as a JSON array.
fn row(object: &str, columns: &[Column]) -> Result<String> {
    let mut out = vec![b'['];
    for (at, column) in columns.iter().enumerate() {
        if at > 0 {
            out.push(b',');
        }
        let stored = match json::field(object, &column.name) {
            Some(value) => column.read(value)?,
            None => None,
        };
        match stored {
            None => out.extend_from_slice(b"null"),
            Some(Stored::Int(number)) => cast::write_integer(number, &mut out),
            Some(Stored::Real(number)) if number.is_finite() => out.extend_from_slice(format!("{number:e}").as_bytes()),
            Some(Stored::Real(number)) => out.extend_from_slice(if number > 0.0 { b"9e999" } else { b"-9e999" }),
            Some(Stored::Text(text)) => json::write_string(text.as_bytes(), &mut out),
            Some(Stored::Blob(_)) => return Err(PgError::internal("bytes in a record")),
        }
    }
    out.push(b']');
    String::from_utf8(out).map_err(|_| PgError::internal("a record is not UTF-8"))
}

/// `json(b)_object`: keys and values in turn, or from two arrays.
fn object(a: &Args<'_, '_>, canonical: bool) -> Result<String> {
    let first = a.texts(0)?;
    let null_key = || PgError::new("22004", "null value not allowed for object key");
    let mut pairs: Vec<(String, Option<String>)> = Vec::new();
    if a.len() > 1 {
        let values = a.texts(1)?;
        if first.len() != values.len() {
            return Err(PgError::new("2202E", "mismatched array dimensions"));
        }
        for (key, value) in first.into_iter().zip(values) {
            pairs.push((key.ok_or_else(null_key)?, value));
        }
    } else {
        if first.len() % 2 == 1 {
            return Err(PgError::new("2202E", "array must have even number of elements"));
        }
        let mut items = first.into_iter();
        while let (Some(key), Some(value)) = (items.next(), items.next()) {
            pairs.push((key.ok_or_else(null_key)?, value));
        }
    }
    if canonical {
        let text = |value: Option<String>| value.map_or("null".to_owned(), |value| json::quote(&value));
        let read: Result<Vec<(String, Json)>> = pairs
            .into_iter()
            .map(|(key, value)| Ok((key, json::parse(&text(value))?)))
            .collect();
        return Ok(Json::object(read?).text());
    }
    let parts: Vec<String> = pairs
        .iter()
        .map(|(key, value)| {
            let value = value.as_ref().map_or("null".to_owned(), |value| json::quote(value));
            format!("{} : {value}", json::quote(key))
        })
        .collect();
    Ok(format!("{{{}}}", parts.join(", ")))
}

/// `jsonb_set_lax`: what a null replacement does is told by the last argument.
fn set_lax(a: &Args<'_, '_>) -> Result<Option<String>> {
    if a.is_null(0) || a.is_null(1) || a.is_null(3) {
        return Ok(None);
    }
    if a.is_null(4) {
        return Err(PgError::new(
            "22023",
            "null_value_treatment must be \"delete_key\", \"return_target\", \"use_json_null\", or \"raise_exception\"",
        ));
    }
    let (document, path, create) = (a.json(0)?, a.texts(1)?, a.bool(3)?);
    if let Some(new) = a.text_or_null(2)? {
        return Ok(Some(document.set_path(&path, &json::parse(new)?, create)?.text()));
    }
    match a.text(4)? {
        "raise_exception" => Err(PgError::new("22004", "JSON value must not be null")
            .detail("Exception was raised because null_value_treatment is \"raise_exception\".")
            .hint(
                "To avoid, either change the null_value_treatment argument or ensure that an SQL NULL is not passed.",
            )),
        "use_json_null" => Ok(Some(document.set_path(&path, &json::parse("null")?, create)?.text())),
        "delete_key" => Ok(Some(document.delete_path(&path)?.text())),
        "return_target" => Ok(Some(document.text())),
        _ => Err(PgError::new(
            "22023",
            "null_value_treatment must be \"delete_key\", \"return_target\", \"use_json_null\", or \"raise_exception\"",
        )),
    }
}

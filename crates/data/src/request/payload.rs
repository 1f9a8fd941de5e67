//! The body of a write: which columns its rows set, and the rows as JSON.
//!
//! Source: PostgREST documentation, "Insert", "Bulk Insert", "Specifying Columns"; RFC 4180; RFC 8259.

use std::collections::BTreeSet;
use std::fmt;

use bytes::Bytes;
use mainstay_core::render;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::media::MediaType;
use super::query;
use crate::error::Error;

/// A body that was understood.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Payload {
    /// A JSON object, or an array of objects.
    pub json: Bytes,
    /// The keys of its objects, sorted; all objects have the same. Empty when the caller named the columns itself.
    pub keys: BTreeSet<String>,
}

/// Brackets within brackets in a body; both engines take this many.
const DEPTH_MAX: usize = 500;

const NOT_JSON: &str = "Empty or invalid json";
const NOT_UNIFORM: &str = "All object keys must match";

/// Reads a body of rows. With `columns_given` only well-formedness is asked of JSON: the caller says what it means.
///
/// Errors: `PGRST102`.
pub fn rows(body: &Bytes, media: &MediaType, columns_given: bool) -> Result<Payload, Error> {
    match media {
        MediaType::Json => json_rows(body, columns_given),
        MediaType::Csv => csv_rows(body),
        MediaType::Form => form_row(body),
        other => Err(Error::Body(format!("Content-Type not acceptable: {}", other.mime()))),
    }
}

fn json_rows(body: &Bytes, columns_given: bool) -> Result<Payload, Error> {
    if is_deeper_than(body, DEPTH_MAX) {
        return Err(Error::TooDeep { what: "the body" });
    }
    match shape_of(body)? {
        JsonShape::Rows { keys } => Ok(Payload {
            json: body.clone(),
            keys,
        }),
        JsonShape::Mixed if columns_given => Ok(Payload {
            json: body.clone(),
            keys: BTreeSet::new(),
        }),
        JsonShape::Mixed => Err(Error::Body(NOT_UNIFORM.into())),
        JsonShape::Other => Ok(Payload {
            json: Bytes::from_static(b"[]"),
            keys: BTreeSet::new(),
        }),
    }
}

/// True if brackets stand within more than `max` others. Looks at brackets outside strings alone.
fn is_deeper_than(text: &[u8], max: usize) -> bool {
    let (mut depth, mut in_string, mut escaped) = (0_usize, false, false);
    for byte in text {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            b'[' | b'{' if !in_string => depth += 1,
            b']' | b'}' if !in_string => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > max {
            return true;
        }
    }
    false
}

/// What a JSON text is made of.
#[derive(Debug, PartialEq, Eq)]
pub enum JsonShape {
    /// An object, or an array of objects with the same keys.
    Rows { keys: BTreeSet<String> },
    /// An array of something else.
    Mixed,
    /// Neither object nor array.
    Other,
}

/// Looks at a JSON text without building its values.
///
/// Errors: `PGRST102` if it is not JSON.
pub fn shape_of(body: &[u8]) -> Result<JsonShape, Error> {
    let mut reader = serde_json::Deserializer::from_slice(body);
    let shape = reader
        .deserialize_any(ShapeVisitor)
        .map_err(|_| Error::Body(NOT_JSON.into()))?;
    reader.end().map_err(|_| Error::Body(NOT_JSON.into()))?;
    if std::str::from_utf8(body).is_err() {
        return Err(Error::Body(NOT_JSON.into()));
    }
    Ok(shape)
}

struct ShapeVisitor;

impl<'de> Visitor<'de> for ShapeVisitor {
    type Value = JsonShape;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<JsonShape, A::Error> {
        Ok(JsonShape::Rows { keys: keys_of(map)? })
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<JsonShape, A::Error> {
        let mut first: Vec<String> = Vec::new();
        let mut rows = 0_usize;
        let mut is_uniform = true;
        while let Some(is_alike) = seq.next_element_seed(RowSeed {
            first: &mut first,
            is_first: rows == 0,
        })? {
            is_uniform &= is_alike;
            rows += 1;
        }
        let keys = first.into_iter().collect();
        Ok(if is_uniform {
            JsonShape::Rows { keys }
        } else {
            JsonShape::Mixed
        })
    }

    fn visit_bool<E>(self, _: bool) -> Result<JsonShape, E> {
        Ok(JsonShape::Other)
    }

    fn visit_i64<E>(self, _: i64) -> Result<JsonShape, E> {
        Ok(JsonShape::Other)
    }

    fn visit_u64<E>(self, _: u64) -> Result<JsonShape, E> {
        Ok(JsonShape::Other)
    }

    fn visit_f64<E>(self, _: f64) -> Result<JsonShape, E> {
        Ok(JsonShape::Other)
    }

    fn visit_str<E>(self, _: &str) -> Result<JsonShape, E> {
        Ok(JsonShape::Other)
    }

    fn visit_unit<E>(self) -> Result<JsonShape, E> {
        Ok(JsonShape::Other)
    }
}

/// Reads one row of an array: is it an object with the keys of the first? Nothing is copied for the rows after it.
struct RowSeed<'s> {
    first: &'s mut Vec<String>,
    is_first: bool,
}

impl<'de> DeserializeSeed<'de> for RowSeed<'_> {
    type Value = bool;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<bool, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for RowSeed<'_> {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<bool, A::Error> {
        if self.is_first {
            *self.first = keys_of(map)?.into_iter().collect();
            return Ok(true);
        }
        // Which of the first row's keys, which are sorted, were seen.
        let mut seen = vec![false; self.first.len()];
        let mut is_alike = true;
        while let Some(position) = map.next_key_seed(KeySeed { known: self.first })? {
            map.next_value::<IgnoredAny>()?;
            match position {
                Some(position) => seen[position] = true,
                None => is_alike = false,
            }
        }
        Ok(is_alike && seen.iter().all(|seen| *seen))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<bool, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(false)
    }

    fn visit_bool<E>(self, _: bool) -> Result<bool, E> {
        Ok(false)
    }

    fn visit_i64<E>(self, _: i64) -> Result<bool, E> {
        Ok(false)
    }

    fn visit_u64<E>(self, _: u64) -> Result<bool, E> {
        Ok(false)
    }

    fn visit_f64<E>(self, _: f64) -> Result<bool, E> {
        Ok(false)
    }

    fn visit_str<E>(self, _: &str) -> Result<bool, E> {
        Ok(false)
    }

    fn visit_unit<E>(self) -> Result<bool, E> {
        Ok(false)
    }
}

/// Reads a key as its position among known ones, which are sorted.
struct KeySeed<'s> {
    known: &'s [String],
}

impl<'de> DeserializeSeed<'de> for KeySeed<'_> {
    type Value = Option<usize>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Option<usize>, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for KeySeed<'_> {
    type Value = Option<usize>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E>(self, key: &str) -> Result<Option<usize>, E> {
        Ok(self.known.binary_search_by(|known| known.as_str().cmp(key)).ok())
    }
}

fn keys_of<'de, A: MapAccess<'de>>(mut map: A) -> Result<BTreeSet<String>, A::Error> {
    let mut keys = BTreeSet::new();
    while let Some(key) = map.next_key::<String>()? {
        map.next_value::<IgnoredAny>()?;
        keys.insert(key);
    }
    Ok(keys)
}

/// The object of an update: the body itself, or the first row of an array.
///
/// Errors: `PGRST102`.
pub fn first_row(json: &Bytes) -> Result<Bytes, Error> {
    if json.iter().find(|byte| !byte.is_ascii_whitespace()) != Some(&b'[') {
        return Ok(json.clone());
    }
    let rows: Vec<&serde_json::value::RawValue> =
        serde_json::from_slice(json).map_err(|_| Error::Body(NOT_JSON.into()))?;
    Ok(rows.first().map_or_else(
        || Bytes::from_static(b"{}"),
        |row| Bytes::copy_from_slice(row.get().as_bytes()),
    ))
}

/// Reads `a,b\n1,2` as `[{"a":"1","b":"2"}]`; the cell `NULL` is null.
fn csv_rows(body: &Bytes) -> Result<Payload, Error> {
    let text = std::str::from_utf8(body).map_err(|_| Error::Body("The body is not valid UTF-8".into()))?;
    let mut records = csv_records(text)?.into_iter();
    let Some(header) = records.next() else {
        return Err(Error::Body("parse error (not enough input)".into()));
    };
    let keys: BTreeSet<String> = header.iter().cloned().collect();
    let mut json = vec![b'['];
    let mut has_rows = false;
    for record in records {
        if record.len() < header.len() {
            return Err(Error::Body("All lines must have same number of fields".into()));
        }
        json.extend_from_slice(if has_rows { b",{" } else { b"{" });
        has_rows = true;
        for (position, (key, cell)) in header.iter().zip(&record).enumerate() {
            if position > 0 {
                json.push(b',');
            }
            render::json_string(&mut json, key);
            json.push(b':');
            if cell == "NULL" {
                json.extend_from_slice(b"null");
            } else {
                render::json_string(&mut json, cell);
            }
        }
        json.push(b'}');
    }
    json.push(b']');
    Ok(Payload {
        json: json.into(),
        keys: if has_rows { keys } else { BTreeSet::new() },
    })
}

/// Splits RFC 4180 text; empty lines are skipped.
fn csv_records(text: &str) -> Result<Vec<Vec<String>>, Error> {
    let mut records = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        if let Some(after) = rest.strip_prefix("\r\n").or_else(|| rest.strip_prefix('\n')) {
            rest = after;
            continue;
        }
        let mut record = Vec::new();
        loop {
            let (cell, after) = csv_cell(rest)?;
            record.push(cell);
            match after.as_bytes().first() {
                Some(b',') => rest = &after[1..],
                _ => {
                    rest = after
                        .strip_prefix("\r\n")
                        .or_else(|| after.strip_prefix('\n'))
                        .unwrap_or(after);
                    rest = rest.strip_prefix('\r').unwrap_or(rest);
                    break;
                }
            }
        }
        records.push(record);
    }
    Ok(records)
}

fn csv_cell(text: &str) -> Result<(String, &str), Error> {
    let Some(mut rest) = text.strip_prefix('"') else {
        let end = text.find([',', '\n', '\r']).unwrap_or(text.len());
        return Ok((text[..end].to_owned(), &text[end..]));
    };
    let mut cell = String::new();
    loop {
        let Some(quote) = rest.find('"') else {
            return Err(Error::Body("parse error (a quoted field is not closed)".into()));
        };
        cell.push_str(&rest[..quote]);
        rest = &rest[quote + 1..];
        match rest.strip_prefix('"') {
            Some(after) => {
                cell.push('"');
                rest = after;
            }
            None if rest.is_empty() || rest.starts_with([',', '\n', '\r']) => return Ok((cell, rest)),
            None => return Err(Error::Body("parse error (text after a quoted field)".into())),
        }
    }
}

/// The pairs of a form.
pub fn form_pairs(body: &Bytes) -> Result<Vec<(String, String)>, Error> {
    let text = std::str::from_utf8(body).map_err(|_| Error::Body("The body is not valid UTF-8".into()))?;
    let parameters = query::parameters(text)?;
    Ok(parameters
        .into_iter()
        .map(|parameter| {
            (
                parameter.name.into_owned(),
                parameter.value.unwrap_or_default().into_owned(),
            )
        })
        .collect())
}

fn form_row(body: &Bytes) -> Result<Payload, Error> {
    let mut pairs = form_pairs(body)?;
    pairs.sort_by(|a, b| a.0.cmp(&b.0));
    pairs.dedup_by(|later, first| later.0 == first.0);
    let mut json = vec![b'{'];
    for (position, (key, value)) in pairs.iter().enumerate() {
        if position > 0 {
            json.push(b',');
        }
        render::json_string(&mut json, key);
        json.push(b':');
        render::json_string(&mut json, value);
    }
    json.push(b'}');
    Ok(Payload {
        json: json.into(),
        keys: pairs.into_iter().map(|(key, _)| key).collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn depth_counts_brackets_outside_strings() {
        assert!(is_deeper_than(b"[[[1]]]", 2));
        assert!(!is_deeper_than(b"[[[1]]]", 3));
        assert!(!is_deeper_than(br#"["[[[[", "\"[[["]"#, 1));
    }

    fn read(media: MediaType, body: &'static str) -> Result<(String, Vec<String>), String> {
        rows(&Bytes::from_static(body.as_bytes()), &media, false)
            .map(|payload| {
                (
                    String::from_utf8(payload.json.to_vec()).unwrap(),
                    payload.keys.into_iter().collect(),
                )
            })
            .map_err(|error| error.to_string())
    }

    #[test]
    fn json_rows_must_have_the_same_keys() {
        let (_, keys) = read(MediaType::Json, r#"[{"b":1,"a":[{}]},{"a":2,"b":null}]"#).unwrap();
        assert_eq!(keys, ["a", "b"]);
        assert_eq!(
            read(MediaType::Json, r#"[{"a":1},{"b":1}]"#),
            Err("All object keys must match".into())
        );
        assert_eq!(
            read(MediaType::Json, r#"[{"a":1},2]"#),
            Err("All object keys must match".into())
        );
        assert_eq!(read(MediaType::Json, "").unwrap_err(), "Empty or invalid json");
        assert_eq!(read(MediaType::Json, "}{ x = 2").unwrap_err(), "Empty or invalid json");
        assert_eq!(read(MediaType::Json, "[]").unwrap().0, "[]");
        assert_eq!(read(MediaType::Json, "5").unwrap().0, "[]");
    }

    #[test]
    fn csv_becomes_text_and_nulls() {
        assert_eq!(
            read(MediaType::Csv, "a,b\n1,\"x,\"\"y\"\"\"\r\nNULL,\n").unwrap().0,
            r#"[{"a":"1","b":"x,\"y\""},{"a":null,"b":""}]"#
        );
        assert_eq!(
            read(MediaType::Csv, "a,b\n1").unwrap_err(),
            "All lines must have same number of fields"
        );
    }

    #[test]
    fn a_form_is_one_row() {
        assert_eq!(read(MediaType::Form, "b=x+y&a=1").unwrap().0, r#"{"a":"1","b":"x y"}"#);
        assert_eq!(
            read(MediaType::PlainText, "x").unwrap_err(),
            "Content-Type not acceptable: text/plain"
        );
    }
}

//! `jsonb`: the tree, its canonical text, equality, order and operators.
//!
//! Stored as the text PostgreSQL prints: keys by length and then bytes, the last of equal keys, numbers as `numeric`,
//! `, ` and `: ` between.
//!
//! Source: PostgreSQL manual, 8.14.3 and 9.16.

use std::cmp::Ordering;

use super::errors::{PgError, Result};
use super::json;
use super::numeric;

/// A JSON value. Numbers are canonical `numeric` text; objects are sorted and without duplicates.
#[derive(Clone, Debug)]
pub enum Json {
    Null,
    Bool(bool),
    Number(String),
    String(String),
    Array(Vec<Json>),
    Object(Vec<(String, Json)>),
}

fn key_order(a: &str, b: &str) -> Ordering {
    a.len().cmp(&b.len()).then_with(|| a.cmp(b))
}

impl Json {
    /// An object from pairs in any order; the last of equal keys wins.
    pub fn object(mut pairs: Vec<(String, Json)>) -> Json {
        pairs.sort_by(|a, b| key_order(&a.0, &b.0));
        let mut kept: Vec<(String, Json)> = Vec::with_capacity(pairs.len());
        for pair in pairs {
            match kept.last_mut() {
                Some(last) if last.0 == pair.0 => *last = pair,
                _ => kept.push(pair),
            }
        }
        Json::Object(kept)
    }

    fn get(&self, key: &str) -> Option<&Json> {
        let Json::Object(pairs) = self else { return None };
        pairs
            .binary_search_by(|pair| key_order(&pair.0, key))
            .ok()
            .map(|index| &pairs[index].1)
    }

    fn is_empty(&self) -> bool {
        match self {
            Json::Array(elements) => elements.is_empty(),
            Json::Object(pairs) => pairs.is_empty(),
            _ => false,
        }
    }

    fn is_container(&self) -> bool {
        matches!(self, Json::Array(_) | Json::Object(_))
    }

    /// Writes the canonical text.
    pub fn write(&self, out: &mut Vec<u8>) {
        match self {
            Json::Null => out.extend_from_slice(b"null"),
            Json::Bool(true) => out.extend_from_slice(b"true"),
            Json::Bool(false) => out.extend_from_slice(b"false"),
            Json::Number(text) => out.extend_from_slice(text.as_bytes()),
            Json::String(text) => json::write_string(text.as_bytes(), out),
            Json::Array(elements) => {
                out.push(b'[');
                for (index, element) in elements.iter().enumerate() {
                    if index > 0 {
                        out.extend_from_slice(b", ");
                    }
                    element.write(out);
                }
                out.push(b']');
            }
            Json::Object(pairs) => {
                out.push(b'{');
                for (index, (key, value)) in pairs.iter().enumerate() {
                    if index > 0 {
                        out.extend_from_slice(b", ");
                    }
                    json::write_string(key.as_bytes(), out);
                    out.extend_from_slice(b": ");
                    value.write(out);
                }
                out.push(b'}');
            }
        }
    }

    /// The canonical text.
    pub fn text(&self) -> String {
        let mut out = Vec::new();
        self.write(&mut out);
        String::from_utf8(out).unwrap_or_default()
    }

    /// A text that equal values share: as [`Json::text`], numbers without trailing zeros.
    pub fn key(&self) -> String {
        self.clone().trimmed().text()
    }

    fn trimmed(self) -> Json {
        match self {
            Json::Number(text) if text.contains('.') => {
                Json::Number(text.trim_end_matches('0').trim_end_matches('.').to_owned())
            }
            Json::Array(elements) => Json::Array(elements.into_iter().map(Json::trimmed).collect()),
            Json::Object(pairs) => Json::Object(pairs.into_iter().map(|(key, value)| (key, value.trimmed())).collect()),
            other => other,
        }
    }

    fn rank(&self) -> u8 {
        match self {
            Json::Null => 0,
            Json::String(_) => 1,
            Json::Number(_) => 2,
            Json::Bool(_) => 3,
            Json::Array(_) => 4,
            Json::Object(_) => 5,
        }
    }

    /// The order of a btree index on `jsonb`.
    pub fn compare(&self, other: &Json) -> Ordering {
        // At the top PostgreSQL keeps a scalar as an array of one, so the empty array sorts before every scalar.
        if let Json::Array(elements) = self
            && !other.is_container()
        {
            return if elements.is_empty() {
                Ordering::Less
            } else {
                Ordering::Greater
            };
        }
        if let Json::Array(elements) = other
            && !self.is_container()
        {
            return if elements.is_empty() {
                Ordering::Greater
            } else {
                Ordering::Less
            };
        }
        self.compare_inner(other)
    }

    fn compare_inner(&self, other: &Json) -> Ordering {
        match (self, other) {
            (Json::Bool(a), Json::Bool(b)) => a.cmp(b),
            (Json::Number(a), Json::Number(b)) => numeric::compare_text(a, b),
            (Json::String(a), Json::String(b)) => a.cmp(b),
            (Json::Array(a), Json::Array(b)) => a.len().cmp(&b.len()).then_with(|| {
                a.iter()
                    .zip(b)
                    .map(|(x, y)| x.compare_inner(y))
                    .find(|order| order.is_ne())
                    .unwrap_or(Ordering::Equal)
            }),
            (Json::Object(a), Json::Object(b)) => a.len().cmp(&b.len()).then_with(|| {
                a.iter()
                    .zip(b)
                    .map(|(x, y)| x.0.cmp(&y.0).then_with(|| x.1.compare_inner(&y.1)))
                    .find(|order| order.is_ne())
                    .unwrap_or(Ordering::Equal)
            }),
            _ => self.rank().cmp(&other.rank()),
        }
    }

    fn equals(&self, other: &Json) -> bool {
        self.compare_inner(other).is_eq()
    }

    /// `self @> other`.
    pub fn contains(&self, other: &Json) -> bool {
        match (self, other) {
            (Json::Array(elements), scalar) if !scalar.is_container() => {
                elements.iter().any(|element| element.equals(scalar))
            }
            _ => self.contains_inner(other),
        }
    }

    fn contains_inner(&self, other: &Json) -> bool {
        match (self, other) {
            (Json::Object(_), Json::Object(wanted)) => wanted
                .iter()
                .all(|(key, value)| self.get(key).is_some_and(|have| have.contains_inner(value))),
            (Json::Array(have), Json::Array(wanted)) => wanted
                .iter()
                .all(|value| have.iter().any(|element| element.contains_inner(value))),
            _ if self.is_container() || other.is_container() => false,
            _ => self.equals(other),
        }
    }

    /// `self ? key`.
    pub fn exists(&self, key: &str) -> bool {
        match self {
            Json::Object(_) => self.get(key).is_some(),
            Json::Array(elements) => elements
                .iter()
                .any(|element| matches!(element, Json::String(text) if text == key)),
            Json::String(text) => text == key,
            _ => false,
        }
    }

    /// `self || other`.
    pub fn concat(self, other: Json) -> Json {
        match (self, other) {
            (Json::Object(mut a), Json::Object(b)) => {
                a.extend(b);
                Json::object(a)
            }
            (a, b) => {
                let as_elements = |value: Json| match value {
                    Json::Array(elements) => elements,
                    other => vec![other],
                };
                let mut elements = as_elements(a);
                elements.extend(as_elements(b));
                Json::Array(elements)
            }
        }
    }

    /// `self - key`, for every key given. Errors: 22023 on a scalar.
    pub fn delete_keys(self, keys: &[&str]) -> Result<Json> {
        match self {
            Json::Object(pairs) => Ok(Json::Object(
                pairs
                    .into_iter()
                    .filter(|(key, _)| !keys.contains(&key.as_str()))
                    .collect(),
            )),
            Json::Array(elements) => Ok(Json::Array(
                elements
                    .into_iter()
                    .filter(|element| !matches!(element, Json::String(text) if keys.contains(&text.as_str())))
                    .collect(),
            )),
            _ => Err(PgError::new("22023", "cannot delete from scalar")),
        }
    }

    /// `self - index`. Errors: 22023 on anything but an array.
    pub fn delete_index(self, index: i64) -> Result<Json> {
        match self {
            Json::Array(mut elements) => {
                let at = if index < 0 {
                    elements.len() as i64 + index
                } else {
                    index
                };
                if let Ok(at) = usize::try_from(at)
                    && at < elements.len()
                {
                    elements.remove(at);
                }
                Ok(Json::Array(elements))
            }
            Json::Object(_) => Err(PgError::new("22023", "cannot delete from object using integer index")),
            _ => Err(PgError::new("22023", "cannot delete from scalar")),
        }
    }

    /// `self #- path`. Errors: 22023, 22P02.
    pub fn delete_path(mut self, path: &[Option<String>]) -> Result<Json> {
        if !self.is_container() {
            return Err(PgError::new("22023", "cannot delete path in scalar"));
        }
        if !self.is_empty() {
            self.change_path(path, 0, &Change::Delete)?;
        }
        Ok(self)
    }

    /// `jsonb_set`. Errors: 22023, 22P02.
    pub fn set_path(mut self, path: &[Option<String>], new: &Json, create: bool) -> Result<Json> {
        if !self.is_container() {
            return Err(PgError::new("22023", "cannot set path in scalar"));
        }
        if create || !self.is_empty() {
            self.change_path(path, 0, &Change::Set { new, create })?;
        }
        Ok(self)
    }

    /// `jsonb_insert`. Errors: 22023, 22P02.
    pub fn insert_path(mut self, path: &[Option<String>], new: &Json, after: bool) -> Result<Json> {
        if !self.is_container() {
            return Err(PgError::new("22023", "cannot set path in scalar"));
        }
        self.change_path(path, 0, &Change::Insert { new, after })?;
        Ok(self)
    }

    fn change_path(&mut self, path: &[Option<String>], level: usize, change: &Change<'_>) -> Result<()> {
        let Some(step) = path.get(level) else { return Ok(()) };
        let Some(step) = step else {
            return Err(PgError::new(
                "22004",
                format!("path element at position {} is null", level + 1),
            ));
        };
        let is_last = level + 1 == path.len();
        match self {
            Json::Object(pairs) => {
                let found = pairs.binary_search_by(|pair| key_order(&pair.0, step));
                match (found, is_last) {
                    (Ok(index), false) => pairs[index].1.change_path(path, level + 1, change)?,
                    (Err(_), false) => {}
                    (Ok(index), true) => match change {
                        Change::Delete => drop(pairs.remove(index)),
                        Change::Set { new, .. } => pairs[index].1 = (*new).clone(),
                        Change::Insert { .. } => {
                            return Err(PgError::new("22023", "cannot replace existing key")
                                .hint("Try using the function jsonb_set to replace key value."));
                        }
                    },
                    (Err(index), true) => match change {
                        Change::Set { new, create: true } | Change::Insert { new, .. } => {
                            pairs.insert(index, (step.clone(), (*new).clone()));
                        }
                        _ => {}
                    },
                }
            }
            Json::Array(elements) => {
                let index = super::integer::INT4.parse(step).map_err(|_| {
                    let message = format!("path element at position {} is not an integer: \"{step}\"", level + 1);
                    PgError::new("22P02", message)
                })?;
                let length = elements.len() as i64;
                // Out of range: before the first or behind the last.
                let at = if index < 0 { length + index } else { index };
                let within = (0..length).contains(&at);
                if !is_last {
                    if within {
                        elements[at as usize].change_path(path, level + 1, change)?;
                    }
                    return Ok(());
                }
                match change {
                    Change::Delete if within => drop(elements.remove(at as usize)),
                    Change::Delete => {}
                    Change::Set { new, .. } if within => elements[at as usize] = (*new).clone(),
                    Change::Set { create: false, .. } => {}
                    Change::Insert { new, after } if within => {
                        elements.insert(at as usize + usize::from(*after), (*new).clone());
                    }
                    Change::Set { new, .. } | Change::Insert { new, .. } => {
                        let place = if at < 0 { 0 } else { elements.len() };
                        elements.insert(place, (*new).clone());
                    }
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// `jsonb_strip_nulls`: drops object fields that are null, at every depth.
    pub fn strip_nulls(self) -> Json {
        match self {
            Json::Object(pairs) => Json::Object(
                pairs
                    .into_iter()
                    .filter(|(_, value)| !matches!(value, Json::Null))
                    .map(|(key, value)| (key, value.strip_nulls()))
                    .collect(),
            ),
            Json::Array(elements) => Json::Array(elements.into_iter().map(Json::strip_nulls).collect()),
            other => other,
        }
    }

    /// `jsonb_pretty`.
    pub fn pretty(&self) -> String {
        let mut out = Vec::new();
        self.write_pretty(0, &mut out);
        String::from_utf8(out).unwrap_or_default()
    }

    fn write_pretty(&self, level: usize, out: &mut Vec<u8>) {
        fn line(level: usize, out: &mut Vec<u8>) {
            out.push(b'\n');
            out.extend(std::iter::repeat_n(b' ', level * 4));
        }
        match self {
            Json::Array(elements) => {
                out.push(b'[');
                for (index, element) in elements.iter().enumerate() {
                    if index > 0 {
                        out.push(b',');
                    }
                    line(level + 1, out);
                    element.write_pretty(level + 1, out);
                }
                line(level, out);
                out.push(b']');
            }
            Json::Object(pairs) => {
                out.push(b'{');
                for (index, (key, value)) in pairs.iter().enumerate() {
                    if index > 0 {
                        out.push(b',');
                    }
                    line(level + 1, out);
                    json::write_string(key.as_bytes(), out);
                    out.extend_from_slice(b": ");
                    value.write_pretty(level + 1, out);
                }
                line(level, out);
                out.push(b'}');
            }
            scalar => scalar.write(out),
        }
    }

    /// The number behind a JSON number, for casts. Errors: 22023 `cannot cast jsonb … to type …`.
    pub fn number(&self, type_name: &str) -> Result<&str> {
        match self {
            Json::Number(text) => Ok(text),
            other => Err(other.cannot_cast(type_name)),
        }
    }

    /// The boolean, for casts. Errors: 22023.
    pub fn boolean(&self) -> Result<bool> {
        match self {
            Json::Bool(value) => Ok(*value),
            other => Err(other.cannot_cast("boolean")),
        }
    }

    fn cannot_cast(&self, type_name: &str) -> PgError {
        let kind = match self {
            Json::Null => "null",
            Json::Bool(_) => "boolean",
            Json::Number(_) => "numeric",
            Json::String(_) => "string",
            Json::Array(_) => "array",
            Json::Object(_) => "object",
        };
        PgError::new("22023", format!("cannot cast jsonb {kind} to type {type_name}"))
    }
}

enum Change<'a> {
    Delete,
    Set { new: &'a Json, create: bool },
    Insert { new: &'a Json, after: bool },
}

/// The stored form of a `jsonb` from any JSON text. Errors: 22P02, 22P05, 22003.
pub fn canonical(text: &str) -> Result<String> {
    json::parse(text).map(|value| value.text())
}

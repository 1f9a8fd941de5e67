//! Reads text and JSON of a request into the stored form of a type, refusing what PostgreSQL refuses.
//!
//! An [`InputType`] is a type with everything its input needs (an enum's labels, a length), looked up once when a
//! statement is rendered. The reading itself is the library's ([`crate::values::cast`]).
//!
//! Source: PostgreSQL manual, 8 (input of each type), 9.16 (`json_to_recordset`).

use std::sync::Arc;

use mainstay_core::catalog::Catalog;
use mainstay_core::error::DatabaseError;
use mainstay_core::types::{Type, TypeModifier};
use rusqlite::types::Value as Scalar;

use super::context::Context;
use crate::values::cast::{self, Kind, Stored};
use crate::values::errors::PgError;
use crate::values::{array, bytea, json};

/// What `json_populate_record` says of a member that is neither an array nor a text; its hint names the member.
pub const EXPECTED_ARRAY: &str = "expected JSON array";

/// A type and what its input function needs to know.
#[derive(Clone, Debug, PartialEq)]
pub struct InputType {
    kind: Kind,
    labels: Option<Labels>,
    /// Coerce to the modifier as an assignment does.
    modifier: TypeModifier,
}

/// An enum, or what an array's elements must be one of.
#[derive(Clone, Debug, PartialEq)]
struct Labels {
    name: Arc<str>,
    labels: Arc<[String]>,
}

impl Labels {
    /// Errors: 22P02 for what is no label.
    fn check(&self, text: &str) -> Result<(), PgError> {
        if self.labels.iter().any(|label| label == text) {
            return Ok(());
        }
        let message = format!("invalid input value for enum {}: \"{text}\"", self.name);
        Err(PgError::new("22P02", message))
    }
}

impl InputType {
    /// Looks up what `ty` needs. Errors: 0A000 for a type that the embedded engine does not store.
    pub fn new(catalog: &Catalog, ty: &Type, modifier: TypeModifier) -> Result<InputType, DatabaseError> {
        let (mut modifier, mut below) = (modifier, ty);
        while let (Type::Domain(name, base), TypeModifier::None) = (below, modifier) {
            modifier = (catalog.domains.get(name)).map_or(modifier, |domain| domain.modifier);
            below = base;
        }
        let element = match ty.base() {
            Type::Array(element) => element.base(),
            scalar => scalar,
        };
        let labels = match element {
            Type::Enum(name) => {
                let found = catalog
                    .enums
                    .get(name)
                    .ok_or_else(|| DatabaseError::new("42704", format!("type \"{}\" does not exist", name.name)))?;
                Some(Labels {
                    name: Arc::from(name.name.as_str()),
                    labels: Arc::from(found.labels.as_slice()),
                })
            }
            _ => None,
        };
        let kind = Kind::of(ty).ok_or_else(|| DatabaseError::unavailable(&format!("type {ty}"), "", 1, None))?;
        Ok(InputType { kind, labels, modifier })
    }

    /// How values of the type are stored.
    pub fn kind(&self) -> &Kind {
        &self.kind
    }

    /// Reads `text` in the type's input syntax. Errors: 22P02, 22003, 22001, 22007, 22008, 22021.
    pub fn read(&self, text: &str, context: &Context<'_>) -> Result<Scalar, DatabaseError> {
        self.parse(text, context).map(Scalar::from).map_err(refused)
    }

    /// Reads one JSON value as `json_to_record` does: null is NULL, a string is unescaped, anything else is taken by its
    /// text; `json` and `jsonb` take any value.
    pub fn read_json(&self, value: &str, context: &Context<'_>) -> Result<Scalar, DatabaseError> {
        self.parse_json(value, context).map_err(refused)
    }

    /// Reads a list of texts into a JSON array of stored forms, for `json_each`.
    pub fn read_list(&self, items: &[String], context: &Context<'_>) -> Result<String, DatabaseError> {
        let mut out = Vec::with_capacity(items.len() * 8 + 2);
        out.push(b'[');
        for (index, item) in items.iter().enumerate() {
            if index > 0 {
                out.push(b',');
            }
            match self.parse(item, context).map_err(refused)? {
                Stored::Int(number) => cast::write_integer(number, &mut out),
                // The shortest form reads back as the same number; infinities are beyond the largest.
                Stored::Real(number) if number.is_finite() => out.extend_from_slice(format!("{number:e}").as_bytes()),
                Stored::Real(number) => out.extend_from_slice(if number > 0.0 { b"9e999" } else { b"-9e999" }),
                Stored::Text(text) => json::write_string(text.as_bytes(), &mut out),
                Stored::Blob(bytes) => json::write_string(bytea::hex(&bytes).as_bytes(), &mut out),
            }
        }
        out.push(b']');
        String::from_utf8(out).map_err(|_| DatabaseError::new("22021", "invalid byte sequence for encoding \"UTF8\""))
    }

    fn parse_json(&self, value: &str, context: &Context<'_>) -> Result<Scalar, PgError> {
        let value = value.trim_matches([' ', '\t', '\n', '\r']);
        if value == "null" {
            return Ok(Scalar::Null);
        }
        match &self.kind {
            Kind::Json => Ok(Scalar::Text(value.to_owned())),
            Kind::Array(element) if value.starts_with('[') => {
                let element = InputType {
                    kind: (**element).clone(),
                    labels: self.labels.clone(),
                    modifier: self.modifier,
                };
                let mut out = vec![b'['];
                for (index, item) in json::elements(value).enumerate() {
                    if index > 0 {
                        out.push(b',');
                    }
                    let document = matches!(element.kind, Kind::Json | Kind::Jsonb);
                    if item.starts_with('[') && !document {
                        return Err(PgError::new(
                            "0A000",
                            "not available on the embedded engine: arrays of more dimensions",
                        )
                        .hint("Use jsonb, or PostgreSQL."));
                    }
                    let stored = element.parse_json(item, context)?;
                    cast::write_json(&element.kind, (&stored).into(), &mut out);
                }
                out.push(b']');
                Ok(Scalar::Text(String::from_utf8(out).unwrap_or_default()))
            }
            Kind::Array(_) if !value.starts_with('"') => Err(PgError::new("22P02", EXPECTED_ARRAY)),
            Kind::Jsonb => self.parse(value, context).map(Scalar::from),
            _ if value.starts_with('"') => self.parse(&json::unescape(value)?, context).map(Scalar::from),
            _ => self.parse(value, context).map(Scalar::from),
        }
    }

    fn parse(&self, text: &str, context: &Context<'_>) -> Result<Stored, PgError> {
        let input = cast::Input {
            now: Some(context.now().as_microsecond()),
        };
        match (&self.labels, &self.kind) {
            (Some(labels), Kind::Array(_)) => {
                for label in array::split_literal(text)?.iter().flatten() {
                    labels.check(label)?;
                }
            }
            (Some(labels), _) => labels.check(text)?,
            (None, _) => {}
        }
        let stored = cast::input(&self.kind, text, &input)?;
        match self.modifier {
            TypeModifier::None => Ok(stored),
            modifier => cast::apply_modifier(&self.kind, modifier, stored),
        }
    }
}

/// The caller's form of a value's error.
pub fn refused(error: PgError) -> DatabaseError {
    let mut refusal = DatabaseError::new(error.code(), error.message.clone());
    refusal.detail = error.detail;
    refusal.hint = error.hint;
    refusal
}

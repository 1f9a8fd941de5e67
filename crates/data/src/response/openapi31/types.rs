//! PostgreSQL's types as JSON Schema: what answers hold, and what is taken.

use mainstay_core::catalog::{Column, RepresentationKind};
use mainstay_core::types::{Type, TypeModifier};
use serde_json::{Value as Json, json};

use super::Writer;
use crate::response::openapi::types::format;

/// Digits of a second's fraction, hours and so on are as PostgreSQL writes them.
const TIME: &str = "([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]";

/// Which way a value goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// In an answer.
    Out,
    /// In a request; narrower than what is read: a number may also be sent as its text.
    In,
}

impl Writer<'_> {
    /// A column's values, with its comment.
    pub(super) fn column(&self, column: &Column, way: Way) -> Json {
        let mut schema = self.value(&column.ty, column.modifier, way);
        if !self.is_required(column) {
            schema = or_null(schema);
        }
        if let (Some(comment), Some(object)) = (&column.comment, schema.as_object_mut()) {
            object.insert("description".into(), json!(comment));
        }
        schema
    }

    /// Null is no value of the column.
    pub(super) fn is_required(&self, column: &Column) -> bool {
        let by_domain = match &column.ty {
            Type::Domain(name, _) => self
                .scope
                .catalog
                .domains
                .get(name)
                .is_some_and(|domain| domain.not_null),
            _ => false,
        };
        column.not_null || by_domain
    }

    /// Values of a type, none of them null.
    pub(super) fn value(&self, ty: &Type, modifier: TypeModifier, way: Way) -> Json {
        let named = |mut schema: Json| {
            schema["format"] = json!(format(ty, false));
            schema
        };
        match ty {
            Type::Bool => json!({ "type": "boolean" }),
            Type::Int2 => json!({ "type": "integer", "minimum": i16::MIN, "maximum": i16::MAX }),
            Type::Int4 => json!({ "type": "integer", "format": "int32", "minimum": i32::MIN, "maximum": i32::MAX }),
            Type::Int8 => json!({ "type": "integer", "format": "int64", "minimum": i64::MIN, "maximum": i64::MAX }),
            Type::Oid => json!({ "type": "integer", "minimum": 0, "maximum": u32::MAX }),
            Type::Float4 | Type::Float8 => number(json!({ "type": "number" })),
            Type::Numeric => {
                let mut schema = json!({ "type": "number" });
                if let (TypeModifier::Numeric { precision, scale }, Way::In) = (modifier, way) {
                    let digits = i32::from(precision) - i32::from(scale);
                    let bound = 10_f64.powi(digits);
                    schema["exclusiveMinimum"] = json!(-bound);
                    schema["exclusiveMaximum"] = json!(bound);
                }
                number(schema)
            }
            Type::Text | Type::Citext => json!({ "type": "string" }),
            Type::Varchar | Type::Bpchar => match modifier {
                TypeModifier::Length(characters) => json!({ "type": "string", "maxLength": characters }),
                _ => json!({ "type": "string" }),
            },
            Type::Uuid => json!({ "type": "string", "format": "uuid" }),
            Type::Timestamptz => json!({ "type": "string", "format": "date-time" }),
            Type::Date => json!({ "type": "string", "format": "date" }),
            Type::Timestamp if way == Way::In => {
                let pattern = format!("^[0-9]{{4}}-(0[1-9]|1[0-2])-(0[1-9]|1[0-9]|2[0-8])T{TIME}$");
                named(json!({ "type": "string", "pattern": pattern }))
            }
            Type::Time if way == Way::In => named(json!({ "type": "string", "pattern": format!("^{TIME}$") })),
            Type::Bytea => json!({ "type": "string", "format": "bytea", "pattern": "^\\\\x([0-9a-f]{2})*$" }),
            Type::Json | Type::Jsonb => json!({ "description": "Any JSON" }),
            Type::Array(element) => json!({ "type": "array", "items": or_null(self.value(element, modifier, way)) }),
            Type::Enum(name) => match self.scope.catalog.enums.get(name) {
                Some(entry) => json!({ "type": "string", "enum": entry.labels }),
                None => json!({ "type": "string" }),
            },
            Type::Domain(name, base) => {
                let shown = |kind: RepresentationKind| kind != RepresentationKind::FromText;
                let representations = &self.scope.catalog.representations;
                if representations.iter().any(|one| one.domain == *name && shown(one.kind)) {
                    return json!({});
                }
                let modifier = match self.scope.catalog.domains.get(name) {
                    Some(domain) => domain.modifier,
                    None => modifier,
                };
                self.value(base, modifier, way)
            }
            Type::Composite(_) | Type::Record => json!({ "type": "object" }),
            Type::Void => json!({ "type": "null" }),
            // What a type that we know by name alone is in JSON is its own affair.
            Type::Other(_) => named(json!({})),
            Type::Unknown => json!({}),
            Type::Timestamp
            | Type::Time
            | Type::Timetz
            | Type::Interval
            | Type::Name
            | Type::Char
            | Type::Tsvector
            | Type::Tsquery
            | Type::Regconfig
            | Type::Vector => named(json!({ "type": "string" })),
        }
    }
}

/// A number, or one of those that JSON has no digits for.
fn number(schema: Json) -> Json {
    json!({ "anyOf": [schema, { "enum": ["NaN", "Infinity", "-Infinity"] }] })
}

/// The same, or null.
pub fn or_null(mut schema: Json) -> Json {
    if let Some(kind) = schema.get("type").and_then(Json::as_str) {
        schema["type"] = json!([kind, "null"]);
    }
    if let Some(labels) = schema.get_mut("enum").and_then(Json::as_array_mut) {
        labels.push(Json::Null);
    }
    if let Some(choices) = schema.get_mut("anyOf").and_then(Json::as_array_mut) {
        choices.push(json!({ "type": "null" }));
    }
    schema
}

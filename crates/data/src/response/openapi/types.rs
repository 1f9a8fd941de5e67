//! PostgreSQL's types as OpenAPI 2 names them.

use mainstay_core::types::Type;
use serde_json::{Map, Value as Json, json};

/// `type`; none for JSON, which may be anything.
pub fn kind(ty: &Type) -> Option<&'static str> {
    match ty.base() {
        Type::Bool => Some("boolean"),
        Type::Int2 | Type::Int4 | Type::Int8 => Some("integer"),
        Type::Numeric | Type::Float4 | Type::Float8 => Some("number"),
        Type::Json | Type::Jsonb => None,
        Type::Array(_) => Some("array"),
        _ => Some("string"),
    }
}

/// `format`: the type as PostgreSQL spells it, integers by their width. `qualified`: types of one's own with their
/// schema.
pub fn format(ty: &Type, qualified: bool) -> String {
    match ty.base() {
        Type::Int2 | Type::Int4 => "int32".into(),
        Type::Int8 => "int64".into(),
        other => spelled(other, qualified),
    }
}

fn spelled(ty: &Type, qualified: bool) -> String {
    match ty {
        Type::Array(element) => format!("{}[]", spelled(element, qualified)),
        Type::Enum(name) | Type::Composite(name) if qualified => name.to_string(),
        Type::Other(name) if qualified && name.schema != *"pg_catalog" => name.to_string(),
        other => other.to_string(),
    }
}

/// Adds `type`, `format` and, for arrays, `items`.
pub fn describe(schema: &mut Map<String, Json>, ty: &Type, qualified: bool) {
    schema.insert("format".into(), json!(format(ty, qualified)));
    if let Some(kind) = kind(ty) {
        schema.insert("type".into(), json!(kind));
    }
    if let Type::Array(element) = ty.base() {
        let mut items = Map::new();
        if let Some(kind) = kind(element) {
            items.insert("type".into(), json!(kind));
        }
        schema.insert("items".into(), Json::Object(items));
    }
}

//! Tables and views in the document: a path, a definition, and parameters to filter by.

use mainstay_core::catalog::{Catalog, Column, Relation, RelationshipKind};
use mainstay_core::types::{Type, TypeModifier};
use serde_json::{Map, Value as Json, json};

use super::{operation, reference, types};

/// The relation's methods.
pub fn path(relation: &Relation) -> Json {
    let name = relation.name.name.as_str();
    let base = || operation(name, relation.comment.as_deref());
    let filters = || {
        relation
            .columns
            .iter()
            .map(|column| reference(&format!("rowFilter.{name}.{}", column.name)))
    };
    let list = |names: &[&str]| names.iter().map(|name| reference(name)).collect::<Vec<_>>();
    let body = format!("body.{name}");
    let mut methods = Map::new();

    let mut get = base();
    let window = [
        "select",
        "order",
        "range",
        "rangeUnit",
        "offset",
        "limit",
        "preferCount",
    ];
    get.insert("parameters".into(), filters().chain(list(&window)).collect());
    let rows = json!({ "type": "array", "items": { "$ref": format!("#/definitions/{name}") } });
    get.insert(
        "responses".into(),
        json!({
            "200": { "description": "OK", "schema": rows },
            "206": { "description": "Partial Content" },
        }),
    );
    methods.insert("get".into(), Json::Object(get));
    if relation.insertable || relation.updatable || relation.deletable {
        let mut write = |method: &str, parameters: Vec<Json>, status: &str, said: &str| {
            let mut operation = base();
            operation.insert("parameters".into(), Json::Array(parameters));
            operation.insert("responses".into(), json!({ status: { "description": said } }));
            methods.insert(method.into(), Json::Object(operation));
        };
        write("post", list(&[&body, "select", "preferPost"]), "201", "Created");
        let patch = filters().chain(list(&[&body, "preferReturn"])).collect();
        write("patch", patch, "204", "No Content");
        let delete = filters().chain(list(&["preferReturn"])).collect();
        write("delete", delete, "204", "No Content");
    }
    Json::Object(methods)
}

/// The relation's row.
pub fn definition(catalog: &Catalog, relation: &Relation) -> Json {
    let mut schema = Map::new();
    if let Some(comment) = &relation.comment {
        schema.insert("description".into(), json!(comment));
    }
    let required: Vec<&str> = relation
        .columns
        .iter()
        .filter(|column| column.not_null)
        .map(|column| column.name.as_str())
        .collect();
    if !required.is_empty() {
        schema.insert("required".into(), json!(required));
    }
    let properties: Map<String, Json> = relation
        .columns
        .iter()
        .enumerate()
        .map(|(index, column)| {
            let is_key = relation.primary_key().contains(&index);
            (column.name.to_string(), property(catalog, relation, column, is_key))
        })
        .collect();
    schema.insert("properties".into(), Json::Object(properties));
    schema.insert("type".into(), json!("object"));
    Json::Object(schema)
}

/// Adds the relation's body and a filter for each of its columns.
pub fn parameters(relation: &Relation, parameters: &mut Map<String, Json>) {
    let name = relation.name.name.as_str();
    parameters.insert(
        format!("body.{name}"),
        json!({
            "name": name,
            "description": name,
            "required": false,
            "in": "body",
            "schema": { "$ref": format!("#/definitions/{name}") },
        }),
    );
    for column in &relation.columns {
        let mut filter = json!({ "name": column.name.as_str(), "required": false, "in": "query", "type": "string" });
        if let Some(comment) = &column.comment {
            filter["description"] = json!(comment);
        }
        parameters.insert(format!("rowFilter.{name}.{}", column.name), filter);
    }
}

fn property(catalog: &Catalog, relation: &Relation, column: &Column, is_key: bool) -> Json {
    let mut schema = Map::new();
    types::describe(&mut schema, &column.ty, true);
    if let Some(description) = description(catalog, relation, column, is_key) {
        schema.insert("description".into(), json!(description));
    }
    if let Some(default) = column.default.as_deref().and_then(|text| default(&column.ty, text)) {
        schema.insert("default".into(), default);
    }
    if let TypeModifier::Length(characters) = column.modifier {
        schema.insert("maxLength".into(), json!(characters));
    }
    if let Type::Enum(name) = column.ty.base()
        && let Some(found) = catalog.enums.get(name)
    {
        schema.insert("enum".into(), json!(found.labels));
    }
    Json::Object(schema)
}

/// The column's comment, and what keys it is of, in the words that tools look for.
fn description(catalog: &Catalog, relation: &Relation, column: &Column, is_key: bool) -> Option<String> {
    let mut notes = Vec::new();
    if is_key {
        notes.push("This is a Primary Key.<pk/>".to_owned());
    }
    let mut targets: Vec<_> = catalog
        .relationships_of(&relation.name)
        .iter()
        .filter_map(|relationship| match &relationship.kind {
            RelationshipKind::ManyToOne { columns, .. }
            | RelationshipKind::OneToOne {
                columns,
                is_parent: false,
                ..
            } => match columns.as_slice() {
                [(near, far)] if *near == column.name => Some((&relationship.to, far)),
                _ => None,
            },
            _ => None,
        })
        .filter(|(to, _)| to.schema == relation.name.schema)
        .collect();
    // Tables before the views that show them.
    targets.sort_by_key(|(to, _)| catalog.relation(to).is_some_and(|target| target.kind.is_view()));
    if let Some((to, far)) = targets.first() {
        let table = &to.name;
        notes.push(format!(
            "This is a Foreign Key to `{table}.{far}`.<fk table='{table}' column='{far}'/>"
        ));
    }
    if notes.is_empty() {
        return column.comment.clone();
    }
    let comment = column
        .comment
        .as_ref()
        .map(|comment| format!("{comment}\n\n"))
        .unwrap_or_default();
    Some(format!("{comment}Note:\n{}", notes.join("\n")))
}

/// A default that is a plain value, as JSON; for textual types any expression, as its text.
fn default(ty: &Type, text: &str) -> Option<Json> {
    if types::kind(ty) != Some("string") {
        return serde_json::from_str(text).ok();
    }
    let spelled = [types::format(ty, true), types::format(ty, false)];
    // The embedded engine keeps a default as it was written: `'13:00'::time`.
    let literal = text.rsplit_once("::").and_then(|(literal, written)| {
        let is_own = spelled.iter().any(|own| own == written) || Type::from_builtin_name(written).as_ref() == Some(ty);
        is_own.then_some(literal)
    });
    let value = literal.map_or(text, |literal| literal.trim_matches('\''));
    // A text with quotes or escapes in it is told by nobody rather than wrongly.
    (!value.contains(['"', '\\'])).then(|| json!(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_are_values_where_they_can_be() {
        assert_eq!(default(&Type::Int4, "42"), Some(json!(42)));
        assert_eq!(default(&Type::Int4, "nextval('s'::regclass)"), None);
        assert_eq!(default(&Type::Text, "'x'::text"), Some(json!("x")));
        assert_eq!(default(&Type::Date, "now()"), Some(json!("now()")));
        assert_eq!(default(&Type::Time, "'13:00:00'::time"), Some(json!("13:00:00")));
        assert_eq!(
            default(&Type::Time, "'13:00:00'::time without time zone"),
            Some(json!("13:00:00"))
        );
        assert_eq!(default(&Type::Bool, "false"), Some(json!(false)));
    }
}

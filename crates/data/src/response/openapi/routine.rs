//! Routines in the document: a path, its arguments as query parameters or as a body.

use mainstay_core::catalog::{Argument, Routine};
use mainstay_core::types::Type;
use serde_json::{Map, Value as Json, json};

use super::{ROWS, is_safe, operation, reference, types};

/// The routine's methods: GET too, if it changes nothing.
pub fn path(routine: &Routine) -> Json {
    let tag = format!("(rpc) {}", routine.name.name);
    let base = |parameters: Vec<Json>| {
        let mut operation = operation(&tag, routine.comment.as_deref());
        operation.insert("produces".into(), json!(ROWS[..3]));
        operation.insert("parameters".into(), Json::Array(parameters));
        operation.insert("responses".into(), json!({ "200": { "description": "OK" } }));
        Json::Object(operation)
    };
    let mut methods = Map::new();
    if is_safe(routine) {
        methods.insert("get".into(), base(routine.arguments.iter().map(in_query).collect()));
    }
    let body = json!({ "name": "args", "required": true, "in": "body", "schema": arguments(routine) });
    methods.insert("post".into(), base(vec![body, reference("preferParams")]));
    Json::Object(methods)
}

/// The body's object.
fn arguments(routine: &Routine) -> Json {
    let mut schema = Map::new();
    schema.insert("type".into(), json!("object"));
    if let Some(comment) = &routine.comment {
        schema.insert("description".into(), json!(comment));
    }
    let properties: Map<String, Json> = routine
        .arguments
        .iter()
        .map(|argument| {
            let mut property = Map::new();
            types::describe(&mut property, &argument.ty, false);
            (argument.name.to_string(), Json::Object(property))
        })
        .collect();
    schema.insert("properties".into(), Json::Object(properties));
    let required: Vec<&str> = routine
        .arguments
        .iter()
        .filter(|argument| argument.default.is_none())
        .map(|argument| argument.name.as_str())
        .collect();
    if !required.is_empty() {
        schema.insert("required".into(), json!(required));
    }
    Json::Object(schema)
}

/// An argument in the query: an array is written `{…}` in one text, a variadic one is repeated.
fn in_query(argument: &Argument) -> Json {
    let mut parameter = json!({
        "name": argument.name.as_str(),
        "required": argument.default.is_none() && !argument.variadic,
        "in": "query",
    });
    if let (true, Type::Array(element)) = (argument.variadic, argument.ty.base()) {
        parameter["type"] = json!("array");
        parameter["collectionFormat"] = json!("multi");
        let mut items = Map::new();
        types::describe(&mut items, element, false);
        parameter["items"] = Json::Object(items);
        return parameter;
    }
    parameter["format"] = json!(types::format(&argument.ty, false));
    parameter["type"] = json!(match types::kind(&argument.ty) {
        None | Some("array") => "string",
        Some(kind) => kind,
    });
    parameter
}

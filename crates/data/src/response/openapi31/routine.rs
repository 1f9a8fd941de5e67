//! Functions: their arguments in the query and in a body, and what they answer.

use mainstay_core::catalog::{Argument, Routine};
use mainstay_core::types::{Type, TypeModifier};
use serde_json::{Map, Value as Json, json};

use super::relation::{answer, is_filter, rows, rows_of};
use super::shared::{self, Kind, responses};
use super::types::{Way, or_null};
use super::{Parts, Writer, component, filter, parameter, segment};
use crate::response::openapi::{is_safe, summary};

impl Writer<'_> {
    /// Adds the path of a name's overloads.
    pub(super) fn routine(&self, overloads: &[&Routine], parts: &mut Parts) {
        let Some(first) = overloads.first() else { return };
        let name = first.name.name.as_str();
        let id = component(name);
        parts.tags.push(json!({ "name": format!("(rpc) {name}") }));
        let mut path = Map::new();
        let safe: Vec<&Routine> = overloads.iter().copied().filter(|routine| is_safe(routine)).collect();
        // A value that takes the whole body has no place in the query.
        if !safe.is_empty() && safe.iter().all(|routine| whole(routine).is_none()) {
            path.insert("get".into(), self.call(&id, &safe, true));
        }
        path.insert("post".into(), self.call(&id, overloads, false));
        parts
            .paths
            .insert(format!("/rpc/{}", segment(name)), Json::Object(path));
    }

    fn call(&self, id: &str, overloads: &[&Routine], is_read: bool) -> Json {
        let name = overloads[0].name.name.as_str();
        let mut operation = Map::new();
        let verb = if is_read { "get" } else { "call" };
        operation.insert("operationId".into(), json!(format!("rpc.{id}.{verb}")));
        operation.insert("tags".into(), json!([format!("(rpc) {name}")]));
        let (first, rest) = summary(overloads[0].comment.as_deref());
        if let Some(first) = first {
            operation.insert("summary".into(), json!(first));
        }
        if let Some(rest) = rest {
            operation.insert("description".into(), json!(rest));
        }
        let mut parameters = Vec::new();
        if is_read {
            parameters.extend(self.in_query(overloads));
            parameters.push(parameter("if-none-match"));
            parameters.extend(shared::profile(self.config, "accept-profile"));
        } else {
            parameters.push(parameter("idempotency-key"));
            parameters.extend(shared::profile(self.config, "content-profile"));
            operation.insert("requestBody".into(), self.request_body(overloads));
        }
        if overloads.iter().all(|routine| routine.returns.set && has_rows(routine)) {
            parameters.extend(["limit", "offset"].map(parameter));
        }
        parameters.push(parameter("prefer-call"));
        operation.insert("parameters".into(), Json::Array(parameters));

        let headers = [
            "Content-Range",
            "ETag",
            "Preference-Applied",
            "Idempotency-Replayed",
            "X-Request-Id",
        ];
        let mut answers = Map::new();
        let is_void = |routine: &&&Routine| routine.returns.ty == Type::Void && !routine.returns.set;
        if overloads.iter().any(|routine| is_void(&routine)) {
            answers.insert("204".into(), answer("Done", None, &headers));
        }
        let results: Vec<Json> = overloads
            .iter()
            .filter(|routine| !is_void(routine))
            .map(|routine| self.result(routine))
            .collect();
        if !results.is_empty() {
            let content = one_of_contents(results);
            answers.insert("200".into(), answer("What it returns", Some(content.clone()), &headers));
            answers.insert("206".into(), answer("Some of what it returns", Some(content), &headers));
        }
        if is_read {
            answers.insert("304".into(), shared::not_modified());
        }
        operation.insert("responses".into(), responses(Kind::Call, answers));
        Json::Object(operation)
    }

    /// Every argument of any overload; needed is what all of them need.
    fn in_query(&self, overloads: &[&Routine]) -> Vec<Json> {
        let mut found: Vec<(&Argument, usize)> = Vec::new();
        for argument in overloads.iter().flat_map(|routine| &routine.arguments) {
            let needed = usize::from(argument.default.is_none() && !argument.variadic);
            match found.iter_mut().find(|(known, _)| known.name == argument.name) {
                Some((_, count)) => *count += needed,
                None => found.push((argument, needed)),
            }
        }
        let declared = found
            .into_iter()
            .filter(|(argument, _)| is_filter(&argument.name))
            .map(|(argument, count)| {
                let mut parameter = json!({
                    "name": argument.name.as_str(), "in": "query", "required": count == overloads.len(),
                });
                match (argument.variadic, argument.ty.base()) {
                    (true, Type::Array(element)) => {
                        parameter["schema"] = json!({ "type": "array", "items": self.in_text(element) });
                        parameter["explode"] = json!(true);
                    }
                    _ => parameter["schema"] = self.in_text(&argument.ty),
                }
                parameter
            });
        declared.collect()
    }

    /// A value in the query: as it is in JSON where that is one word, else its text.
    fn in_text(&self, ty: &Type) -> Json {
        match ty.base() {
            Type::Array(_) => {
                json!({ "type": "string", "pattern": format!("^{}$", filter::value(self.scope.catalog, ty)) })
            }
            Type::Json | Type::Jsonb | Type::Composite(_) => json!({ "type": "string" }),
            Type::Numeric | Type::Float4 | Type::Float8 => json!({ "type": "number" }),
            base => self.value(base, TypeModifier::None, Way::In),
        }
    }

    fn request_body(&self, overloads: &[&Routine]) -> Json {
        let mut content = Map::new();
        let mut objects = Vec::new();
        let mut is_needed = true;
        for routine in overloads {
            match whole(routine) {
                Some(Type::Json | Type::Jsonb) => objects.push(json!({})),
                Some(Type::Bytea) => {
                    content.insert("application/octet-stream".into(), json!({ "schema": {} }));
                }
                Some(_) => {
                    content.insert("text/plain".into(), json!({ "schema": { "type": "string" } }));
                }
                None => {
                    is_needed &= routine.arguments.iter().any(|argument| argument.default.is_none());
                    objects.push(self.arguments(routine));
                }
            }
        }
        match objects.len() {
            0 => {}
            1 => {
                let schema = objects.remove(0);
                content.insert("application/json".into(), json!({ "schema": schema }));
            }
            _ => {
                content.insert("application/json".into(), json!({ "schema": { "anyOf": objects } }));
            }
        }
        json!({ "required": is_needed, "content": content })
    }

    fn arguments(&self, routine: &Routine) -> Json {
        let properties: Map<String, Json> = routine
            .arguments
            .iter()
            .map(|argument| {
                let value = or_null(self.value(&argument.ty, TypeModifier::None, Way::In));
                (argument.name.to_string(), value)
            })
            .collect();
        let required: Vec<&str> = routine
            .arguments
            .iter()
            .filter(|argument| argument.default.is_none() && !argument.variadic)
            .map(|argument| argument.name.as_str())
            .collect();
        let mut object = json!({ "type": "object", "properties": properties, "additionalProperties": false });
        if !required.is_empty() {
            object["required"] = json!(required);
        }
        object
    }

    /// The media types of a routine's result.
    fn result(&self, routine: &Routine) -> Json {
        if let Some(media) = routine.media_type() {
            let media = if media == "*/*" {
                "application/octet-stream".to_owned()
            } else {
                media
            };
            return json!({ media: { "schema": {} } });
        }
        let returns = &routine.returns;
        let relation = returns
            .relation
            .as_ref()
            .and_then(|name| self.scope.catalog.relation(name));
        let row = match relation {
            Some(relation) if returns.set => {
                let is_told = self.scope.relations().iter().any(|told| told.name == relation.name);
                let is_whole =
                    relation.columns.len() == self.columns(relation, mainstay_core::catalog::Privilege::Select).len();
                if is_told && is_whole && relation.name.schema == *self.scope.schema {
                    return rows(&component(&relation.name.name));
                }
                self.loose_row(relation)
            }
            Some(relation) => self.loose_row(relation),
            None if !returns.columns.is_empty() => {
                let properties: Map<String, Json> = returns
                    .columns
                    .iter()
                    .map(|(name, ty)| (name.to_string(), or_null(self.value(ty, TypeModifier::None, Way::Out))))
                    .collect();
                json!({ "type": "object", "properties": properties })
            }
            None => {
                let value = or_null(self.value(&returns.ty, TypeModifier::None, Way::Out));
                return match returns.set {
                    true => rows_of(value),
                    false => json!({ "application/json": { "schema": value }, "text/csv": { "schema": {} } }),
                };
            }
        };
        match returns.set {
            true => rows_of(row),
            false => {
                let row = or_null(row);
                json!({
                    "application/json": { "schema": row },
                    "application/vnd.pgrst.object+json": { "schema": row },
                    "text/csv": { "schema": { "type": "string" } },
                })
            }
        }
    }
}

/// Its results are rows, which have pages; a set of single values is answered whole.
fn has_rows(routine: &Routine) -> bool {
    !routine.returns.columns.is_empty() || matches!(routine.returns.ty, Type::Composite(_) | Type::Record)
}

/// The type of an argument without a name, whose value is the body.
fn whole(routine: &Routine) -> Option<&Type> {
    match routine.arguments.as_slice() {
        [one] if one.name.is_empty() => Some(one.ty.base()),
        _ => None,
    }
}

/// Media types of several results: each with what any of them has.
fn one_of_contents(contents: Vec<Json>) -> Json {
    let mut all: Map<String, Json> = Map::new();
    for content in contents {
        let Json::Object(content) = content else { continue };
        for (media, mut one) in content {
            let schema = one["schema"].take();
            let known = all.entry(media).or_insert_with(|| json!({ "schema": { "anyOf": [] } }));
            if let Some(choices) = known["schema"]["anyOf"].as_array_mut()
                && !choices.contains(&schema)
            {
                choices.push(schema);
            }
        }
    }
    for one in all.values_mut() {
        let Some(choices) = one["schema"]["anyOf"].as_array_mut() else {
            continue;
        };
        match choices.as_mut_slice() {
            [only] => one["schema"] = only.take(),
            // Null is a choice of its own, which more tools understand than a list of types among choices.
            several => {
                for choice in &mut *several {
                    if let Some([kind, _]) = choice["type"].as_array().map(Vec::as_slice) {
                        choice["type"] = kind.clone();
                    }
                }
                choices.push(json!({ "type": "null" }));
            }
        }
    }
    Json::Object(all)
}

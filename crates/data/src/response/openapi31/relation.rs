//! Tables and views: rows, what they are written with, a path with what the caller may do.

use mainstay_core::catalog::{Column, Identity, Privilege, Relation};
use serde_json::{Map, Value as Json, json};

use super::shared::{self, Kind, header, responses};
use super::types::{Way, or_null};
use super::{Parts, Writer, component, filter, parameter, schema, segment};
use crate::request::query::{Parameter, ParameterKind};
use crate::response::openapi::summary;

impl Writer<'_> {
    /// Adds the relation's path and components.
    pub(super) fn relation(&self, relation: &Relation, parts: &mut Parts) {
        let name = relation.name.name.as_str();
        let id = component(name);
        let readable = self.columns(relation, Privilege::Select);
        let insertable = self.writable(relation, Privilege::Insert, relation.insertable);
        let updatable = self.writable(relation, Privilege::Update, relation.updatable);
        let deletes = relation.deletable && self.may(relation, Privilege::Delete);
        let mut tag = json!({ "name": name });
        if let Some(comment) = &relation.comment {
            tag["description"] = json!(comment);
        }
        parts.tags.push(tag);
        if !readable.is_empty() {
            parts.schemas.insert(format!("{id}.Row"), self.row(relation, &readable));
            parts.schemas.insert(format!("{id}.Part"), self.part(&readable));
            for (_, column) in &readable {
                if let Some(filter) = self.filter(column) {
                    parts
                        .parameters
                        .insert(format!("{id}.{}", component(&column.name)), filter);
                }
            }
        }
        self.windows(relation, &id, &readable, parts);

        let mut path = Map::new();
        let filters = self.filters(&id, &readable);
        if !readable.is_empty() {
            path.insert("get".into(), self.read(relation, &id, &filters));
        }
        if !insertable.is_empty() {
            parts
                .schemas
                .insert(format!("{id}.Insert"), self.written(&insertable, true));
            path.insert("post".into(), self.insert(relation, &id, &readable));
        }
        if !updatable.is_empty() {
            parts
                .schemas
                .insert(format!("{id}.Update"), self.written(&updatable, false));
            let body = body(schema(&format!("{id}.Update")), false);
            path.insert(
                "patch".into(),
                self.change(relation, &id, "update", "prefer-update", &filters, Some(body)),
            );
        }
        let key: Vec<&Column> = relation.primary_key().iter().map(|at| &relation.columns[*at]).collect();
        let sets = |column: &&Column| insertable.iter().any(|(_, one)| one.name == column.name);
        if !key.is_empty() && key.iter().all(sets) && !updatable.is_empty() && !readable.is_empty() {
            let by_key: Vec<Json> = key
                .iter()
                .filter(|column| is_filter(&column.name))
                .map(|column| {
                    let value = filter::value(self.scope.catalog, &column.ty);
                    json!({
                        "name": column.name.as_str(), "in": "query", "required": true,
                        "schema": { "type": "string", "pattern": format!("^eq\\.{value}$") },
                    })
                })
                .collect();
            if by_key.len() == key.len() {
                let body = body(schema(&format!("{id}.Insert")), false);
                path.insert(
                    "put".into(),
                    self.change(relation, &id, "put", "prefer-put", &by_key, Some(body)),
                );
            }
        }
        if deletes {
            path.insert(
                "delete".into(),
                self.change(relation, &id, "delete", "prefer-delete", &filters, None),
            );
        }
        if !path.is_empty() {
            parts.paths.insert(format!("/{}", segment(name)), Json::Object(path));
        }
    }

    /// The columns that the caller may write and that take a value.
    fn writable<'r>(
        &self,
        relation: &'r Relation,
        privilege: Privilege,
        is_possible: bool,
    ) -> Vec<(usize, &'r Column)> {
        if !is_possible {
            return Vec::new();
        }
        let takes_value = |at: usize, column: &Column| {
            let shows_column = relation
                .view
                .as_ref()
                .is_none_or(|view| matches!(view.sources.get(at), Some(Some(_))));
            shows_column && column.generated.is_none() && column.identity != Some(Identity::Always)
        };
        let columns = self.columns(relation, privilege).into_iter();
        columns.filter(|(at, column)| takes_value(*at, column)).collect()
    }

    fn row(&self, relation: &Relation, columns: &[(usize, &Column)]) -> Json {
        let mut row = json!({
            "type": "object",
            "required": columns.iter().map(|(_, column)| column.name.as_str()).collect::<Vec<_>>(),
            "properties": self.properties(columns, Way::Out),
        });
        if let Some(comment) = &relation.comment {
            row["description"] = json!(comment);
        }
        row
    }

    /// Some of the columns, beside what was embedded.
    fn part(&self, columns: &[(usize, &Column)]) -> Json {
        json!({
            "type": "object",
            "description": "The columns that were selected, with what was embedded",
            "properties": self.properties(columns, Way::Out),
        })
    }

    fn written(&self, columns: &[(usize, &Column)], is_insert: bool) -> Json {
        let needed = |column: &Column| self.is_required(column) && !column.has_default() && column.sequence.is_none();
        let mut row = json!({
            "type": "object",
            "properties": self.properties(columns, Way::In),
            "additionalProperties": false,
        });
        let required: Vec<&str> = columns
            .iter()
            .filter(|(_, column)| is_insert && needed(column))
            .map(|(_, column)| column.name.as_str())
            .collect();
        if !required.is_empty() {
            row["required"] = json!(required);
        }
        row
    }

    fn properties(&self, columns: &[(usize, &Column)], way: Way) -> Map<String, Json> {
        columns
            .iter()
            .map(|(_, column)| (column.name.to_string(), self.column(column, way)))
            .collect()
    }

    /// A row of a function that may return nothing: every column may be null.
    pub(super) fn loose_row(&self, relation: &Relation) -> Json {
        let columns = relation.columns.iter();
        let properties: Map<String, Json> = columns
            .map(|column| (column.name.to_string(), or_null(self.column(column, Way::Out))))
            .collect();
        json!({ "type": "object", "properties": properties })
    }

    fn filter(&self, column: &Column) -> Option<Json> {
        let mut schema = json!({ "type": "string", "pattern": filter::pattern(self.scope.catalog, &column.ty) });
        if let Some(comment) = &column.comment {
            schema["description"] = json!(comment);
        }
        is_filter(&column.name)
            .then(|| json!({ "name": column.name.as_str(), "in": "query", "required": false, "schema": schema }))
    }

    /// References to the filters of these columns.
    pub(super) fn filters(&self, id: &str, columns: &[(usize, &Column)]) -> Vec<Json> {
        let filters = columns.iter().filter(|(_, column)| is_filter(&column.name));
        filters
            .map(|(_, column)| parameter(&format!("{id}.{}", component(&column.name))))
            .collect()
    }

    /// Adds `select`, `order`, `columns` and `on_conflict` of the relation.
    fn windows(&self, relation: &Relation, id: &str, readable: &[(usize, &Column)], parts: &mut Parts) {
        let names: Vec<&str> = readable.iter().map(|(_, column)| column.name.as_str()).collect();
        let embeds = self.embeds(relation);
        let embeds: Vec<&str> = embeds.iter().map(String::as_str).collect();
        let mut add = |name: &str, description: &str, pattern: Option<String>| {
            if let Some(pattern) = pattern {
                let parameter = json!({
                    "name": name, "in": "query", "required": false, "description": description,
                    "schema": { "type": "string", "pattern": pattern },
                });
                parts.parameters.insert(format!("{id}.-{name}"), parameter);
            }
        };
        let select = "Columns and embedded relations; also aliases, casts and JSON paths, as PostgREST has them";
        add("select", select, filter::select(&names, &embeds));
        let columns: Vec<&Column> = readable.iter().map(|(_, column)| *column).collect();
        let logic = filter::logic(self.scope.catalog, &columns);
        add(
            "and",
            "Filters that must all hold; they may be groups, `or(id.eq.1,id.eq.2)`",
            logic.clone(),
        );
        add("or", "Filters of which one must hold; they may be groups", logic);
        add(
            "order",
            "Columns with `.asc` or `.desc`, `.nullsfirst` or `.nullslast`",
            filter::order(&names),
        );
    }

    /// Relations that can be embedded by name alone, and whose name is no column's.
    fn embeds(&self, relation: &Relation) -> Vec<String> {
        let all = self.scope.catalog.relationships_of(&relation.name);
        let visible = self.scope.relations();
        let mut names: Vec<String> = visible
            .into_iter()
            .filter(|target| all.iter().filter(|one| one.to == target.name).count() == 1)
            .filter(|target| self.may(target, Privilege::Select))
            .map(|target| target.name.name.to_string())
            .filter(|name| relation.column(name).is_none())
            .collect();
        names.sort();
        names
    }

    fn operation(&self, relation: &Relation, id: &str, verb: &str) -> Map<String, Json> {
        let mut operation = Map::new();
        operation.insert("operationId".into(), json!(format!("{id}.{verb}")));
        operation.insert("tags".into(), json!([relation.name.name.as_str()]));
        let (first, rest) = summary(relation.comment.as_deref());
        if let Some(first) = first {
            operation.insert("summary".into(), json!(first));
        }
        if let Some(rest) = rest {
            operation.insert("description".into(), json!(rest));
        }
        operation
    }

    fn read(&self, relation: &Relation, id: &str, filters: &[Json]) -> Json {
        let mut operation = self.operation(relation, id, "read");
        // A column of that name has a filter of that name, and there is one parameter of a name.
        let cursor = relation.column("cursor").is_none().then_some("cursor");
        let window = ["limit", "offset", "range", "range-unit", "if-none-match", "prefer-read"];
        let parameters = filters
            .iter()
            .cloned()
            .chain(self.shown(id, relation, &["select", "order", "and", "or"]))
            .chain(window.into_iter().chain(cursor).map(parameter))
            .chain(shared::profile(self.config, "accept-profile"));
        operation.insert("parameters".into(), parameters.collect());
        let mut answers = Map::new();
        answers.insert("200".into(), answer("The rows", Some(rows(id)), &READ_HEADERS));
        answers.insert(
            "206".into(),
            answer(
                "Some of the rows; the total is in `Content-Range`",
                Some(rows(id)),
                &READ_HEADERS,
            ),
        );
        answers.insert("304".into(), shared::not_modified());
        operation.insert("responses".into(), responses(Kind::Read, answers));
        Json::Object(operation)
    }

    /// References to these parameters of the relation, where there is a column to name in them.
    fn shown(&self, id: &str, relation: &Relation, parameters: &[&str]) -> Vec<Json> {
        let columns = self.columns(relation, Privilege::Select);
        if !columns.iter().any(|(_, column)| filter::is_plain(&column.name)) {
            return Vec::new();
        }
        parameters
            .iter()
            .map(|name| parameter(&format!("{id}.-{name}")))
            .collect()
    }

    fn insert(&self, relation: &Relation, id: &str, readable: &[(usize, &Column)]) -> Json {
        let mut operation = self.operation(relation, id, "insert");
        let mut parameters = self.shown(id, relation, &["select"]);
        let settable: Vec<&str> = self
            .writable(relation, Privilege::Insert, true)
            .into_iter()
            .map(|(_, column)| column.name.as_str())
            .collect();
        if let Some(pattern) = filter::names(&settable) {
            parameters.push(json!({
                "name": "columns", "in": "query", "required": false,
                "description": "The columns to set; other members of the body are not looked at",
                "schema": { "type": "string", "pattern": pattern },
            }));
        }
        let mut uniques: Vec<String> = relation
            .constraints
            .iter()
            .filter_map(|constraint| match &constraint.kind {
                mainstay_core::catalog::ConstraintKind::PrimaryKey { columns }
                | mainstay_core::catalog::ConstraintKind::Unique { columns } => {
                    let names: Vec<&str> = columns.iter().map(|at| relation.columns[*at].name.as_str()).collect();
                    let is_told = |name: &&str| readable.iter().any(|(_, column)| column.name == **name);
                    (names.iter().all(is_told) && names.iter().all(|name| filter::is_plain(name)))
                        .then(|| names.join(","))
                }
                _ => None,
            })
            .collect();
        uniques.sort();
        if !uniques.is_empty() {
            parameters.push(json!({
                "name": "on_conflict", "in": "query", "required": false,
                "description": "With `Prefer: resolution=…`: the unique columns that tell a row is there already",
                "schema": { "enum": uniques },
            }));
        }
        parameters.extend(["idempotency-key", "prefer-insert"].map(parameter));
        parameters.extend(shared::profile(self.config, "content-profile"));
        operation.insert("parameters".into(), Json::Array(parameters));
        operation.insert("requestBody".into(), body(schema(&format!("{id}.Insert")), true));
        let shown = (!readable.is_empty()).then(|| rows(id));
        let mut answers = Map::new();
        answers.insert(
            "201".into(),
            answer(
                "Inserted; the rows with `Prefer: return=representation`",
                shown.clone(),
                &WRITE_HEADERS,
            ),
        );
        answers.insert(
            "200".into(),
            answer(
                "All rows were there already and have been merged",
                shown,
                &WRITE_HEADERS,
            ),
        );
        operation.insert("responses".into(), responses(Kind::Insert, answers));
        Json::Object(operation)
    }

    /// `PATCH`, `PUT` and `DELETE`.
    fn change(
        &self,
        relation: &Relation,
        id: &str,
        verb: &str,
        prefer: &str,
        filters: &[Json],
        body: Option<Json>,
    ) -> Json {
        let is_readable = !self.columns(relation, Privilege::Select).is_empty();
        let mut operation = self.operation(relation, id, verb);
        let mut parameters = filters.to_vec();
        parameters.extend(match verb {
            "put" => self.shown(id, relation, &["select"]),
            _ => self.shown(id, relation, &["select", "and", "or"]),
        });
        parameters.extend(["if-match", "idempotency-key", prefer].map(parameter));
        parameters.extend(shared::profile(self.config, "content-profile"));
        operation.insert("parameters".into(), Json::Array(parameters));
        if let Some(body) = body {
            operation.insert("requestBody".into(), body);
        }
        let shown = is_readable.then(|| rows(id));
        let mut answers = Map::new();
        answers.insert(
            "200".into(),
            answer(
                "The rows, with `Prefer: return=representation`",
                shown.clone(),
                &WRITE_HEADERS,
            ),
        );
        answers.insert("204".into(), answer("Done", None, &WRITE_HEADERS));
        if verb == "put" {
            answers.insert(
                "201".into(),
                answer("The row was not there and is now", shown, &WRITE_HEADERS),
            );
        }
        operation.insert("responses".into(), responses(Kind::Change, answers));
        Json::Object(operation)
    }
}

const READ_HEADERS: [&str; 7] = [
    "Next-Cursor",
    "Link",
    "Content-Range",
    "Content-Location",
    "ETag",
    "Preference-Applied",
    "X-Request-Id",
];
const WRITE_HEADERS: [&str; 6] = [
    "Content-Range",
    "Location",
    "ETag",
    "Preference-Applied",
    "Idempotency-Replayed",
    "X-Request-Id",
];

/// Can rows be filtered by a column of this name? A name with a meaning of its own, or with a dot, is another parameter.
pub fn is_filter(name: &str) -> bool {
    let parameter = Parameter {
        name: name.into(),
        value: None,
    };
    filter::is_plain(name) && parameter.kind() == ParameterKind::Filter
}

/// Rows as the media types write them.
pub fn rows(id: &str) -> Json {
    let row = json!({ "anyOf": [schema(&format!("{id}.Row")), schema(&format!("{id}.Part"))] });
    rows_of(row)
}

/// The same of any row.
pub fn rows_of(row: Json) -> Json {
    json!({
        "application/json": { "schema": { "type": "array", "items": row } },
        "application/vnd.pgrst.object+json": { "schema": row },
        "text/csv": { "schema": { "type": "string" } },
    })
}

/// An answer with these media types and headers.
pub fn answer(description: &str, content: Option<Json>, headers: &[&str]) -> Json {
    let headers: Map<String, Json> = headers.iter().map(|name| ((*name).to_owned(), header(name))).collect();
    let mut answer = json!({ "description": description, "headers": headers });
    if let Some(content) = content {
        answer["content"] = content;
    }
    answer
}

fn body(row: Json, takes_many: bool) -> Json {
    let schema = match takes_many {
        true => json!({ "anyOf": [row, { "type": "array", "items": row }] }),
        false => row,
    };
    let mut content = json!({ "application/json": { "schema": schema } });
    if takes_many {
        content["text/csv"] = json!({ "schema": { "type": "string" } });
    }
    json!({ "required": true, "content": content })
}

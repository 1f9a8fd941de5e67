//! `GET /`: a small OpenAPI 2 document of what the caller may use: paths, methods, columns.
//!
//! Source: OpenAPI Specification 2.0.

use http::StatusCode;
use mainstay_core::catalog::{Catalog, Column, Enforcement, Privilege, Relation};
use mainstay_core::name::Ident;
use mainstay_core::policy;
use mainstay_core::types::Type;
use mainstay_http::Response;
use serde_json::{Map, Value as Json, json};

use super::{profile, typed};
use crate::config::OpenApi;
use crate::error::Error;
use crate::request::Head;
use crate::request::media::MediaType;

/// The document for `role`.
///
/// Errors: `PGRST107`.
pub fn document(
    catalog: &Catalog,
    role: &Ident,
    mode: OpenApi,
    head: &Head,
    head_only: bool,
) -> Result<Response, Error> {
    let is_wanted = |media: &MediaType| matches!(media, MediaType::OpenApi | MediaType::Json | MediaType::Any);
    if !head.accept.iter().any(is_wanted) {
        return Err(Error::MediaType(
            head.accept.iter().map(|media| media.mime().to_owned()).collect(),
        ));
    }
    let mut relations: Vec<&Relation> = catalog
        .relations
        .values()
        .map(|relation| &**relation)
        .filter(|relation| relation.name.schema == head.schema && is_visible(catalog, role, relation, mode))
        .collect();
    relations.sort_by(|a, b| a.name.cmp(&b.name));
    let mut paths = Map::new();
    let mut definitions = Map::new();
    paths.insert(
        "/".into(),
        json!({ "get": operation("Introspection", "OpenAPI description (this document)") }),
    );
    for relation in relations {
        let name = relation.name.name.as_str();
        let summary = relation.comment.clone().unwrap_or_default();
        let mut methods = Map::new();
        methods.insert("get".into(), operation(name, &summary));
        for (is_possible, method) in [
            (relation.insertable, "post"),
            (relation.updatable, "patch"),
            (relation.deletable, "delete"),
        ] {
            if is_possible {
                methods.insert(method.into(), operation(name, &summary));
            }
        }
        paths.insert(format!("/{name}"), Json::Object(methods));
        definitions.insert(name.to_owned(), definition(relation));
    }
    let mut routines: Vec<_> = catalog
        .routines
        .iter()
        .filter(|(name, _)| name.schema == head.schema)
        .collect();
    routines.sort_by(|a, b| a.0.cmp(b.0));
    for (name, overloads) in routines {
        let may_call = overloads
            .iter()
            .any(|routine| policy::authorize_routine(catalog, role, routine).is_ok());
        if may_call {
            let tag = format!("(rpc) {}", name.name);
            paths.insert(format!("/rpc/{}", name.name), json!({ "post": operation(&tag, "") }));
        }
    }
    let document = json!({
        "swagger": "2.0",
        "info": { "title": "Mainstay data API", "description": "", "version": env!("CARGO_PKG_VERSION") },
        "basePath": "/",
        "consumes": ["application/json", "application/vnd.pgrst.object+json", "text/csv"],
        "produces": ["application/json", "application/vnd.pgrst.object+json", "text/csv"],
        "paths": paths,
        "definitions": definitions,
    });
    let mut response = Response::empty(StatusCode::OK);
    typed(&mut response, &MediaType::OpenApi);
    profile(&mut response, head);
    if !head_only {
        response.body = document.to_string().into();
    }
    Ok(response)
}

fn is_visible(catalog: &Catalog, role: &Ident, relation: &Relation, mode: OpenApi) -> bool {
    if mode == OpenApi::IgnorePrivileges {
        return true;
    }
    // On PostgreSQL the catalog may come without grants; the database still refuses what is not granted.
    if catalog.enforcement == Enforcement::Database && relation.acl.is_empty() {
        return true;
    }
    [
        Privilege::Select,
        Privilege::Insert,
        Privilege::Update,
        Privilege::Delete,
    ]
    .into_iter()
    .any(|privilege| policy::any_column_allows(catalog, role, relation, privilege))
}

fn operation(tag: &str, summary: &str) -> Json {
    json!({ "tags": [tag], "summary": summary, "responses": { "200": { "description": "OK" } } })
}

fn definition(relation: &Relation) -> Json {
    let properties: Map<String, Json> = relation
        .columns
        .iter()
        .map(|column| (column.name.to_string(), property(column)))
        .collect();
    let required: Vec<&str> = relation
        .columns
        .iter()
        .filter(|column| column.not_null)
        .map(|column| column.name.as_str())
        .collect();
    json!({ "type": "object", "required": required, "properties": properties })
}

fn property(column: &Column) -> Json {
    let kind = match column.ty.base() {
        Type::Bool => "boolean",
        Type::Int2 | Type::Int4 | Type::Int8 => "integer",
        Type::Float4 | Type::Float8 | Type::Numeric => "number",
        Type::Array(_) => "array",
        _ => "string",
    };
    json!({ "type": kind, "format": column.ty.display(column.modifier), "description": column.comment })
}

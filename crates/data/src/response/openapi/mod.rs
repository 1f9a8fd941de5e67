//! `GET /`: an OpenAPI 2 document of what the caller may use: tables, views and routines, as PostgREST describes them.
//!
//! Lives here: the document's frame and what is common to its paths. Relations: [`relation`], routines: [`routine`],
//! PostgreSQL's types: [`types`].
//!
//! Source: OpenAPI Specification 2.0; PostgREST documentation, "OpenAPI".

pub mod proxy;
mod relation;
mod routine;
pub mod types;

use http::StatusCode;
use mainstay_core::catalog::{Catalog, Enforcement, Privilege, Relation, Routine, Volatility};
use mainstay_core::name::Ident;
use mainstay_core::policy;
use mainstay_http::Response;
use serde_json::{Map, Value as Json, json};

use super::{profile, typed};
use crate::config::{Config, OpenApi};
use crate::error::Error;
use crate::request::Head;
use crate::request::media::MediaType;

pub const TITLE: &str = "PostgREST API";
const DESCRIPTION: &str = "A REST API over the database's schema, as PostgREST speaks it, served by Mainstay";
const JWT: &str = "JWT";
/// The role of the secret key.
const SERVICE_ROLE: &str = "service_role";

/// Media types of rows, in and out.
const ROWS: [&str; 4] = [
    "application/json",
    "application/vnd.pgrst.object+json;nulls=stripped",
    "application/vnd.pgrst.object+json",
    "text/csv",
];

/// The document for `role`.
///
/// Errors: `PGRST107`, and `PGRST126` where `openapi-mode` is `disabled`.
pub fn document(
    catalog: &Catalog,
    role: &Ident,
    config: &Config,
    head: &Head,
    head_only: bool,
) -> Result<Response, Error> {
    let is_wanted = |media: &MediaType| matches!(media, MediaType::OpenApi | MediaType::Json | MediaType::Any);
    if !head.accept.iter().any(is_wanted) {
        return Err(Error::MediaType(
            head.accept.iter().map(|media| media.mime().to_owned()).collect(),
        ));
    }
    let scope = Scope {
        catalog,
        role,
        schema: &head.schema,
        mode: config.openapi,
    };
    let relations = scope.relations();
    let mut paths = Map::new();
    let mut definitions = Map::new();
    let mut parameters = shared_parameters();
    paths.insert(
        "/".into(),
        json!({ "get": {
            "tags": ["Introspection"],
            "summary": "OpenAPI description (this document)",
            "produces": ["application/openapi+json", "application/json"],
            "responses": { "200": { "description": "OK" } },
        } }),
    );
    for relation in relations {
        let name = relation.name.name.as_str();
        paths.insert(format!("/{name}"), relation::path(relation));
        definitions.insert(name.to_owned(), relation::definition(catalog, relation));
        relation::parameters(relation, &mut parameters);
    }
    for routine in scope.routines() {
        paths.insert(format!("/rpc/{}", routine.name.name), routine::path(routine));
    }
    let comment = catalog
        .schemas
        .get(&head.schema)
        .and_then(|schema| schema.comment.as_deref());
    let (title, description) = summary(comment);
    let version = config.version.number();
    let mut document = json!({
        "swagger": "2.0",
        "info": {
            "title": title.unwrap_or(TITLE),
            "description": description.unwrap_or(DESCRIPTION),
            "version": shown_version(role, config),
        },
        "externalDocs": {
            "description": "PostgREST Documentation",
            "url": format!("https://postgrest.org/en/v{version}/references/api.html"),
        },
        "basePath": "/",
        "consumes": ROWS,
        "produces": ROWS,
        "paths": paths,
        "definitions": definitions,
        "parameters": parameters,
    });
    if config.openapi_security {
        document["securityDefinitions"] = json!({ JWT: {
            "type": "apiKey",
            "name": "Authorization",
            "in": "header",
            "description": "Add the token prepending \"Bearer \" (without quotes) to it",
        } });
        document["security"] = json!([{ JWT: [] }]);
    }
    if let Some(proxy) = config.openapi_proxy.as_deref().and_then(proxy::Proxy::parse) {
        document["schemes"] = json!([proxy.scheme]);
        document["host"] = json!(proxy.host);
        document["basePath"] = json!(proxy.path);
    }
    let mut response = Response::empty(StatusCode::OK);
    typed(&mut response, &MediaType::OpenApi);
    profile(&mut response, head);
    if !head_only {
        response.body = document.to_string().into();
    }
    Ok(response)
}

/// The program's version to who holds the secret key; others learn which PostgREST's wire is spoken.
pub fn shown_version(role: &Ident, config: &Config) -> String {
    match role == SERVICE_ROLE {
        true => env!("CARGO_PKG_VERSION").to_owned(),
        false => config.version.number().to_string(),
    }
}

/// Whose document of what it is.
pub struct Scope<'a> {
    pub catalog: &'a Catalog,
    pub role: &'a Ident,
    pub schema: &'a Ident,
    pub mode: OpenApi,
}

impl<'a> Scope<'a> {
    /// The relations that are told, by name.
    pub fn relations(&self) -> Vec<&'a Relation> {
        let mut found: Vec<&Relation> = self
            .catalog
            .relations
            .values()
            .map(|relation| &**relation)
            .filter(|relation| relation.name.schema == *self.schema && self.may_use(relation))
            .collect();
        found.sort_by(|a, b| a.name.cmp(&b.name));
        found
    }

    /// One routine for each name: of overloads the one with the most arguments.
    fn routines(&self) -> Vec<&'a Routine> {
        let overloads = self.overloads().into_iter();
        overloads
            .filter_map(|overloads| overloads.into_iter().max_by_key(|routine| routine.arguments.len()))
            .collect()
    }

    /// The routines that are told, those of one name together, by name.
    pub fn overloads(&self) -> Vec<Vec<&'a Routine>> {
        let mut found: Vec<Vec<&Routine>> = self
            .catalog
            .routines
            .iter()
            .filter(|(name, _)| name.schema == *self.schema)
            .map(|(_, overloads)| {
                let told = overloads.iter().filter(|routine| self.may_call(routine));
                told.map(|routine| &**routine).collect::<Vec<_>>()
            })
            .filter(|overloads| !overloads.is_empty())
            .collect();
        found.sort_by(|a, b| a[0].name.cmp(&b[0].name));
        found
    }

    /// Nobody's privileges on `relation` are looked at.
    pub fn ignores(&self, relation: &Relation) -> bool {
        // On PostgreSQL the catalog may come without grants; the database still refuses what is not granted.
        let is_unknown = self.catalog.enforcement == Enforcement::Database && relation.acl.is_empty();
        self.mode == OpenApi::IgnorePrivileges || is_unknown
    }

    fn may_use(&self, relation: &Relation) -> bool {
        if self.ignores(relation) {
            return true;
        }
        let privileges = [
            Privilege::Select,
            Privilege::Insert,
            Privilege::Update,
            Privilege::Delete,
        ];
        privileges
            .into_iter()
            .any(|privilege| policy::any_column_allows(self.catalog, self.role, relation, privilege))
    }

    /// A routine of a row is a column of the row's relation, not a call.
    fn may_call(&self, routine: &Routine) -> bool {
        if routine.is_procedure || routine.row_argument().is_some() {
            return false;
        }
        let allows = policy::acl_allows(
            self.catalog,
            self.role,
            &routine.owner,
            &routine.acl,
            Privilege::Execute,
        );
        self.mode == OpenApi::IgnorePrivileges || allows
    }
}

/// A comment's first line, and what follows it without the blank lines between.
pub fn summary(comment: Option<&str>) -> (Option<&str>, Option<&str>) {
    let Some(comment) = comment else { return (None, None) };
    match comment.split_once('\n') {
        Some((first, rest)) => {
            let rest = rest.trim_start_matches('\n');
            (Some(first), (!rest.is_empty()).then_some(rest))
        }
        None => (Some(comment), None),
    }
}

/// An operation with its tag, and its summary and description from a comment.
fn operation(tag: &str, comment: Option<&str>) -> Map<String, Json> {
    let mut operation = Map::new();
    operation.insert("tags".into(), json!([tag]));
    let (first, rest) = summary(comment);
    if let Some(first) = first {
        operation.insert("summary".into(), json!(first));
    }
    if let Some(rest) = rest {
        operation.insert("description".into(), json!(rest));
    }
    operation
}

fn reference(parameter: &str) -> Json {
    json!({ "$ref": format!("#/parameters/{parameter}") })
}

/// Parameters that every relation's paths refer to.
fn shared_parameters() -> Map<String, Json> {
    let query = |name: &str, description: &str| json!({ "name": name, "description": description, "required": false, "in": "query", "type": "string" });
    let header = |name: &str, description: &str| json!({ "name": name, "description": description, "required": false, "in": "header", "type": "string" });
    let prefer = |values: &[&str]| {
        let mut parameter = header("Prefer", "Preference");
        if !values.is_empty() {
            parameter["enum"] = json!(values);
        }
        parameter
    };
    let mut unit = header("Range-Unit", "Limiting and Pagination");
    unit["default"] = json!("items");
    let returns = ["return=representation", "return=minimal", "return=none"];
    let resolves = ["resolution=ignore-duplicates", "resolution=merge-duplicates"];
    let all = [
        ("preferParams", prefer(&[])),
        ("preferReturn", prefer(&returns)),
        ("preferCount", prefer(&["count=none"])),
        ("preferPost", prefer(&[returns.as_slice(), &resolves].concat())),
        ("select", query("select", "Filtering Columns")),
        ("on_conflict", query("on_conflict", "On Conflict")),
        ("order", query("order", "Ordering")),
        ("range", header("Range", "Limiting and Pagination")),
        ("rangeUnit", unit),
        ("offset", query("offset", "Limiting and Pagination")),
        ("limit", query("limit", "Limiting and Pagination")),
    ];
    all.into_iter()
        .map(|(name, parameter)| (name.to_owned(), parameter))
        .collect()
}

/// May it be called by GET?
pub fn is_safe(routine: &Routine) -> bool {
    routine.volatility != Volatility::Volatile
}

#[cfg(test)]
mod tests {
    use super::summary;

    #[test]
    fn a_comment_is_a_summary_and_a_description() {
        assert_eq!(summary(Some("one")), (Some("one"), None));
        assert_eq!(summary(Some("one\n\ntwo\nthree")), (Some("one"), Some("two\nthree")));
        assert_eq!(summary(Some("one\n")), (Some("one"), None));
        assert_eq!(summary(None), (None, None));
    }
}

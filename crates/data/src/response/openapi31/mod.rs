//! `GET /openapi.json`: an OpenAPI 3.1 document of what the caller may do, precise enough to test answers against.
//!
//! Lives here: when it is asked for, its frame, the paths that are no relations. Relations: [`relation`]; routines:
//! [`routine`]; PostgreSQL's types as JSON Schema: [`types`]; values and operators of filters as patterns: [`filter`];
//! headers, statuses and errors: [`shared`].
//! Not here: PostgREST's own document at the root ([`openapi`](super::openapi)), whose rules of who sees what these are.
//!
//! Source: OpenAPI Specification 3.1.1; JSON Schema 2020-12.

mod filter;
mod relation;
mod routine;
mod shared;
mod types;

use http::StatusCode;
use mainstay_core::catalog::{Catalog, Privilege, Relation};
use mainstay_core::name::{Ident, QualifiedName};
use mainstay_core::policy;
use mainstay_http::Response;
use serde_json::{Map, Value as Json, json};

use super::openapi::{Scope, TITLE, proxy, shown_version, summary};
use super::{profile, typed};
use crate::conditional;
use crate::config::{Config, OpenApi};
use crate::error::Error;
use crate::request::media::MediaType;
use crate::request::{Head, Resource, query};

/// A relation of this name is read as any other; then the document is at the root, asked for by its media type.
const PATH: &str = "openapi.json";
const MEDIA_TYPE: &str = "application/vnd.oai.openapi+json";
const VERSIONED: &str = "application/vnd.oai.openapi+json;version=3.1";
/// Where the program serves this room; the document's addresses are relative to it.
const MOUNT: &str = "/rest/v1";
const DESCRIPTION: &str = "Tables, views and functions over HTTP, as PostgREST speaks it, served by Mainstay";

/// False for requests that are not about the document, whatever the catalog holds.
pub fn may_be_asked(head: &Head) -> bool {
    match &head.resource {
        Resource::Relation(name) => name == PATH,
        Resource::Root => head.accept.iter().any(is_own),
        Resource::Routine(_) => false,
    }
}

/// True if a request that may be about the document is: no relation of the schema has its name.
pub fn is_asked(catalog: &Catalog, head: &Head) -> bool {
    let own = QualifiedName::new(head.schema.clone(), PATH);
    head.resource == Resource::Root || catalog.relation(&own).is_none()
}

fn is_own(media: &MediaType) -> bool {
    matches!(media, MediaType::Other(text) if text.split(';').next().is_some_and(|essence| essence.trim() == MEDIA_TYPE))
}

/// The document for `role`.
///
/// Errors: `PGRST107`, and `PGRST126` where `openapi-mode` is `disabled`.
pub fn answer(catalog: &Catalog, role: &Ident, config: &Config, head: &Head) -> Result<Response, Error> {
    if config.openapi == OpenApi::Disabled {
        return Err(Error::OpenApiDisabled);
    }
    let is_wanted =
        |media: &&MediaType| matches!(media, MediaType::OpenApi | MediaType::Json | MediaType::Any) || is_own(media);
    let Some(wanted) = head.accept.iter().find(is_wanted) else {
        return Err(Error::MediaType(
            head.accept.iter().map(|media| media.mime().to_owned()).collect(),
        ));
    };
    let media = match is_own(wanted) {
        true => MediaType::Other(VERSIONED.to_owned()),
        false => MediaType::Json,
    };
    let mut response = Response::empty(StatusCode::OK);
    typed(&mut response, &media);
    profile(&mut response, head);
    let text = document(catalog, role, config, head).to_string();
    conditional::tagged(&mut response, text.as_bytes());
    response.body = text.into();
    Ok(response)
}

fn document(catalog: &Catalog, role: &Ident, config: &Config, head: &Head) -> Json {
    let writer = Writer {
        scope: Scope {
            catalog,
            role,
            schema: &head.schema,
            mode: config.openapi,
        },
        config,
    };
    let mut parts = Parts::default();
    let own = QualifiedName::new(head.schema.clone(), PATH);
    // A function may answer in the place of the other document.
    if config.root_spec.is_none() {
        parts.paths.insert("/".into(), shared::root());
    }
    if catalog.relation(&own).is_none() {
        parts.paths.insert(format!("/{PATH}"), shared::this());
    }
    let comment = catalog
        .schemas
        .get(&head.schema)
        .and_then(|schema| schema.comment.as_deref());
    let (title, description) = summary(comment);
    if writer.may_enter() {
        for relation in writer.scope.relations() {
            writer.relation(relation, &mut parts);
        }
        for overloads in writer.scope.overloads() {
            writer.routine(&overloads, &mut parts);
        }
        if catalog
            .relation(&QualifiedName::new(head.schema.clone(), "batch"))
            .is_none()
        {
            parts.paths.insert("/batch".into(), shared::batch());
        }
    }
    shared::schemas(&mut parts.schemas, config);
    parts.parameters.extend(shared::parameters(config));
    let address = config.openapi_proxy.as_deref().and_then(proxy::Proxy::parse);
    let server = match address {
        Some(proxy) => format!("{}://{}{}", proxy.scheme, proxy.host, proxy.path.trim_end_matches('/')),
        None => MOUNT.to_owned(),
    };
    json!({
        "openapi": "3.1.1",
        "jsonSchemaDialect": "https://json-schema.org/draft/2020-12/schema",
        "info": {
            "title": title.unwrap_or(TITLE),
            "description": description.unwrap_or(DESCRIPTION),
            "version": shown_version(role, config),
        },
        "servers": [{ "url": server }],
        "security": [{ "apikey": [] }, { "apikey": [], "bearer": [] }],
        "tags": parts.tags,
        "paths": parts.paths,
        "components": {
            "schemas": parts.schemas,
            "parameters": parts.parameters,
            "responses": shared::refusals(),
            "headers": shared::headers(),
            "securitySchemes": {
                "apikey": {
                    "type": "apiKey", "in": "header", "name": "apikey",
                    "description": "The project's publishable key, or on servers its secret key",
                },
                "bearer": {
                    "type": "http", "scheme": "bearer", "bearerFormat": "JWT",
                    "description": "The token of a signed-in user",
                },
            },
        },
    })
}

/// What the document is made of.
#[derive(Default)]
struct Parts {
    tags: Vec<Json>,
    paths: Map<String, Json>,
    schemas: Map<String, Json>,
    parameters: Map<String, Json>,
}

/// Writes for one caller.
struct Writer<'a> {
    scope: Scope<'a>,
    config: &'a Config,
}

impl Writer<'_> {
    /// May names of the schema be used at all?
    fn may_enter(&self) -> bool {
        let Scope {
            catalog,
            role,
            schema,
            mode,
        } = self.scope;
        let Some(entry) = catalog.schemas.get(schema) else {
            return false;
        };
        mode == OpenApi::IgnorePrivileges
            || policy::acl_allows(catalog, role, &entry.owner, &entry.acl, Privilege::Usage)
    }

    /// The columns of `relation` that the caller holds `privilege` on.
    fn columns<'r>(
        &self,
        relation: &'r Relation,
        privilege: Privilege,
    ) -> Vec<(usize, &'r mainstay_core::catalog::Column)> {
        let columns = relation.columns.iter().enumerate();
        columns
            .filter(|(at, _)| {
                self.scope.ignores(relation)
                    || policy::column_allows(self.scope.catalog, self.scope.role, relation, *at, privilege)
            })
            .collect()
    }

    /// Does the caller hold `privilege` on the whole of it?
    fn may(&self, relation: &Relation, privilege: Privilege) -> bool {
        let Scope { catalog, role, .. } = self.scope;
        self.scope.ignores(relation) || policy::acl_allows(catalog, role, &relation.owner, &relation.acl, privilege)
    }
}

/// A name as a component's: letters, digits and underscores as they are, the rest by number between hyphens.
fn component(name: &str) -> String {
    let mut text = String::with_capacity(name.len());
    for c in name.chars() {
        match c {
            c if c.is_ascii_alphanumeric() || c == '_' => text.push(c),
            c => text.push_str(&format!("-{:X}-", u32::from(c))),
        }
    }
    text
}

/// A name as a segment of a path.
fn segment(name: &str) -> String {
    let mut text = String::new();
    query::encode(&mut text, name);
    text
}

fn schema(name: &str) -> Json {
    json!({ "$ref": format!("#/components/schemas/{name}") })
}

fn parameter(name: &str) -> Json {
    json!({ "$ref": format!("#/components/parameters/{name}") })
}

#[cfg(test)]
mod tests {
    use super::component;

    #[test]
    fn components_are_named_apart() {
        assert_eq!(component("order_items"), "order_items");
        assert_eq!(component("order-items"), "order-2D-items");
        assert_eq!(component("order.items"), "order-2E-items");
        assert_ne!(component("a-2D-"), component("a-"));
    }
}

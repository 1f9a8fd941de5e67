//! Errors as responses: body, headers, and the texts that describe candidates.

use http::{HeaderName, HeaderValue, StatusCode, header};
use mainstay_core::catalog::{Relationship, RelationshipKind};
use mainstay_core::error::{BackendError, DatabaseError, PublicError};
use mainstay_core::name::Ident;
use mainstay_http::Response;
use serde::Deserialize;
use serde_json::{Map, Value as Json, json};

use super::{Error, RaiseProblem};
use std::sync::Arc;

/// Seconds after which a client may try again.
const RETRY_AFTER_S: &str = "1";
const PROXY_STATUS: HeaderName = HeaderName::from_static("proxy-status");

/// What an error's response depends on beside the error.
#[derive(Clone, Copy, Debug)]
pub struct ErrorContext {
    pub is_anonymous: bool,
    /// Code and message alone.
    pub is_minimal: bool,
}

/// The response to an error.
pub fn error_response(error: &Error, context: ErrorContext) -> Response {
    if let Some(raised) = raised_of(error) {
        return match raised {
            Ok(raised) => raised.response(context.is_minimal),
            Err(problem) => error_response(&Error::Raised(problem), context),
        };
    }
    let status = error.status(context.is_anonymous);
    if status.is_server_error() {
        tracing::warn!(code = %error.code(), error = %error, source = ?error, "request failed");
    }
    let mut response = Response::body(status, JSON, error_body(error, context.is_minimal));
    if let Ok(value) = HeaderValue::from_str(&format!("PostgREST; error={}", error.code())) {
        response.headers.insert(PROXY_STATUS, value);
    }
    if status == StatusCode::UNAUTHORIZED {
        response
            .headers
            .insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    if status == StatusCode::SERVICE_UNAVAILABLE || matches!(error, Error::StillRunning) {
        response
            .headers
            .insert(header::RETRY_AFTER, HeaderValue::from_static(RETRY_AFTER_S));
    }
    response
}

const JSON: &str = "application/json; charset=utf-8";

/// The body of an error.
pub fn error_body(error: &Error, is_minimal: bool) -> String {
    body(
        error.code().as_str(),
        &error.message(),
        error.details_json(),
        error.hint(),
        is_minimal,
    )
}

fn body(code: &str, message: &str, details: Json, hint: Option<String>, is_minimal: bool) -> String {
    if is_minimal {
        return json!({ "code": code, "message": message }).to_string();
    }
    json!({ "code": code, "details": details, "hint": hint, "message": message }).to_string()
}

/// A response that a database function raised whole, with `RAISE SQLSTATE 'PGRST'`.
struct Raised {
    message: RaisedMessage,
    detail: RaisedDetail,
}

#[derive(Deserialize)]
struct RaisedMessage {
    code: String,
    message: String,
    details: Option<String>,
    hint: Option<String>,
}

#[derive(Deserialize)]
struct RaisedDetail {
    status: u16,
    headers: Map<String, Json>,
}

fn raised_of(error: &Error) -> Option<Result<Raised, RaiseProblem>> {
    let error: &DatabaseError = match error {
        Error::Database(error) => error,
        Error::Backend(BackendError::Refused(error)) => error,
        _ => return None,
    };
    (error.sqlstate == "PGRST").then(|| {
        let message = serde_json::from_str(&error.message).map_err(|_| RaiseProblem::Message(error.message.clone()))?;
        let detail = error.detail.as_ref().ok_or(RaiseProblem::NoDetail)?;
        let detail = serde_json::from_str(detail).map_err(|_| RaiseProblem::Detail(detail.clone()))?;
        Ok(Raised { message, detail })
    })
}

impl Raised {
    fn response(self, is_minimal: bool) -> Response {
        let status = StatusCode::from_u16(self.detail.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let RaisedMessage {
            code,
            message,
            details,
            hint,
        } = self.message;
        let mut response = Response::body(
            status,
            JSON,
            body(
                &code,
                &message,
                details.map_or(Json::Null, Json::String),
                hint,
                is_minimal,
            ),
        );
        if let Ok(value) = HeaderValue::from_str(&format!("PostgREST; error={code}")) {
            response.headers.insert(PROXY_STATUS, value);
        }
        for (name, value) in self.detail.headers {
            let name = HeaderName::from_bytes(name.as_bytes());
            let value = value.as_str().map(HeaderValue::from_str);
            if let (Ok(name), Some(Ok(value))) = (name, value) {
                response.headers.insert(name, value);
            }
        }
        response
    }
}

/// One candidate of an ambiguous embed.
pub(super) fn relationship(candidate: &Relationship) -> Json {
    let (from, to) = (&candidate.from.name, &candidate.to.name);
    let list = |names: &mut dyn Iterator<Item = &Ident>| {
        let names: Vec<&str> = names.map(|name| name.as_str()).collect();
        format!("({})", names.join(", "))
    };
    let by_key = |constraint: &Ident, columns: &[(Ident, Ident)]| {
        let near = list(&mut columns.iter().map(|(column, _)| column));
        let far = list(&mut columns.iter().map(|(_, column)| column));
        format!("{constraint} using {from}{near} and {to}{far}")
    };
    let (cardinality, text) = match &candidate.kind {
        RelationshipKind::ManyToOne { constraint, columns } => ("many-to-one", by_key(constraint, columns)),
        RelationshipKind::OneToMany { constraint, columns } => ("one-to-many", by_key(constraint, columns)),
        RelationshipKind::OneToOne {
            constraint, columns, ..
        } => ("one-to-one", by_key(constraint, columns)),
        RelationshipKind::ManyToMany {
            junction,
            from_constraint,
            to_constraint,
            from_columns,
            to_columns,
        } => (
            "many-to-many",
            format!(
                "{} using {from_constraint}{} and {to_constraint}{}",
                junction.name,
                list(&mut from_columns.iter().map(|(_, column)| column)),
                list(&mut to_columns.iter().map(|(_, column)| column)),
            ),
        ),
        RelationshipKind::Computed { routine, .. } => ("computed", routine.to_string()),
    };
    json!({ "cardinality": cardinality, "embedding": format!("{from} with {to}"), "relationship": text })
}

/// The spellings that would choose one of the candidates.
pub(super) fn relationship_hint(child: &str, candidates: &[Arc<Relationship>]) -> String {
    let spellings: Vec<String> = candidates
        .iter()
        .map(|candidate| {
            let by = match &candidate.kind {
                RelationshipKind::ManyToMany { junction, .. } => &junction.name,
                RelationshipKind::ManyToOne { constraint, .. }
                | RelationshipKind::OneToMany { constraint, .. }
                | RelationshipKind::OneToOne { constraint, .. } => constraint,
                RelationshipKind::Computed { routine, .. } => &routine.name,
            };
            format!("'{}!{by}'", candidate.to.name)
        })
        .collect();
    format!(
        "Try changing '{child}' to one of the following: {}. Find the desired relationship in the 'details' key.",
        spellings.join(", ")
    )
}

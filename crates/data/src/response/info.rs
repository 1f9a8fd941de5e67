//! `OPTIONS`: what may be done with a resource.

use http::{HeaderValue, StatusCode, header};
use mainstay_core::catalog::{Relation, Routine, Volatility};
use mainstay_http::Response;

/// What may be done with a relation.
pub fn relation(relation: &Relation) -> Response {
    let mut methods = vec!["OPTIONS", "GET", "HEAD"];
    let mut add = |is_possible: bool, method| {
        if is_possible {
            methods.push(method);
        }
    };
    add(relation.insertable, "POST");
    add(
        relation.insertable && relation.updatable && !relation.primary_key().is_empty(),
        "PUT",
    );
    add(relation.updatable, "PATCH");
    add(relation.deletable, "DELETE");
    allow(&methods.join(","))
}

/// How a routine may be called.
pub fn routine(routine: &Routine) -> Response {
    allow(if routine.volatility == Volatility::Volatile {
        "OPTIONS,POST"
    } else {
        "OPTIONS,GET,HEAD,POST"
    })
}

/// What may be done with the root.
pub fn root() -> Response {
    allow("OPTIONS,GET,HEAD")
}

fn allow(methods: &str) -> Response {
    let mut response = Response::empty(StatusCode::OK);
    response
        .headers
        .insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    if let Ok(value) = HeaderValue::from_str(methods) {
        response.headers.insert(header::ALLOW, value);
    }
    response
}

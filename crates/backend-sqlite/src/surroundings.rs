//! What surrounds a request's program: the pre-request function, and what its functions say of the response.
//!
//! Lives here: calling the pre-request function first, on the connection and under the caller of the program; reading
//! `response.headers` and `response.status` afterwards.
//! Not here: `set_config` itself (`routine::running`), what the two settings mean for the response (`data`).
//!
//! Source: PostgREST documentation, "Transactions" (pre-request, response headers, response status code).

use std::sync::Arc;

use mainstay_core::caller::Caller;
use mainstay_core::catalog::{Catalog, Routine};
use mainstay_core::clock;
use mainstay_core::error::{BackendError, DatabaseError};
use mainstay_core::name::QualifiedName;
use mainstay_core::plan::{Options, Outcome};
use mainstay_core::policy;
use rusqlite::Connection;

use crate::emit::compiled::Compiled;
use crate::emit::context::Context;
use crate::routine::{self, Invocation, running};

const HEADERS: &str = "response.headers";
const STATUS: &str = "response.status";

/// Runs `work`, the request's program on `conn`, with what surrounds it. `compiled` is of the program's catalog.
///
/// Errors: those of `work`; 42883, 3F000 and 42501 for a pre-request function that is not there or not the caller's to call,
/// and whatever it raises.
pub fn run(
    conn: &Connection,
    compiled: &Compiled,
    caller: &Caller,
    options: &Options,
    work: impl FnOnce() -> Result<Outcome, BackendError>,
) -> Result<Outcome, BackendError> {
    let (done, mut settings) = running::collecting(|| {
        if let Some(name) = &options.pre_request {
            call(conn, compiled, caller, name)?;
        }
        work()
    });
    let mut outcome = done?;
    let mut take = |wanted: &str| {
        let at = settings.iter().position(|(name, _)| name == wanted)?;
        Some(settings.swap_remove(at).1).filter(|value| !value.is_empty())
    };
    outcome.response_headers = take(HEADERS);
    outcome.response_status = take(STATUS);
    Ok(outcome)
}

fn call(conn: &Connection, compiled: &Compiled, caller: &Caller, name: &QualifiedName) -> Result<(), BackendError> {
    let routine = without_arguments(compiled.catalog(), name).ok_or_else(|| missing(compiled.catalog(), name))?;
    policy::authorize_routine(compiled.catalog(), &caller.role, &routine)?;
    let context = Context::of_caller(caller, clock::now());
    routine::enter(conn, compiled, &context, || {
        routine::with_current(|running| {
            let invocation = Invocation {
                routine: &routine,
                user: &caller.role,
                definer: false,
                arguments: Vec::new(),
            };
            invocation.run(running).map(drop)
        })
    })
}

fn missing(catalog: &Catalog, name: &QualifiedName) -> DatabaseError {
    if !catalog.schemas.contains_key(&name.schema) {
        return DatabaseError::new("3F000", format!("schema \"{}\" does not exist", name.schema));
    }
    DatabaseError::new("42883", format!("function {name}() does not exist"))
        .hint("No function matches the given name and argument types. You might need to add explicit type casts.")
}

fn without_arguments(catalog: &Catalog, name: &QualifiedName) -> Option<Arc<Routine>> {
    let overloads = catalog.routines.get(name)?;
    let found = overloads
        .iter()
        .find(|routine| routine.arguments.is_empty() && !routine.is_procedure);
    found.cloned()
}

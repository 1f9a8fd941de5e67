//! Routines that are run: bodies of several statements, bodies that write, and those whose call cannot be replaced by
//! one query.
//!
//! | module | what |
//! |---|---|
//! | [`body`] | a routine's compiled body and how it runs |
//! | [`plpgsql`] | the interpreter of PL/pgSQL |
//! | [`running`] | what a call finds of the request it belongs to |
//! | [`failure`] | errors on their way through SQLite |
//! | `sequences` | `nextval` and its kin inside queries |
//! | [`cells`] | rows as one text, for `json_each` |
//!
//! A query calls a routine by the registered functions `pg_call(routine, user, definer, arguments …)` and
//! `pg_call_rows(…)`, which run the body on the connection that runs the query: SQLite lets statements begin while
//! others are under way. Whoever runs statements enters [`running::enter`] first.
//! Not here: calls that the analyser puts in place (`emit::subquery`), RPC's arguments and answers (`write::call`).
//! Invariant: a body runs with the rights of its owner (SECURITY DEFINER) or of the role that calls it.
//!
//! Source: PostgreSQL manual, 38.5, CREATE FUNCTION.

pub mod body;
pub mod cells;
pub mod failure;
pub mod plpgsql;
pub mod running;
mod sequences;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use mainstay_core::catalog::Routine;
use mainstay_core::error::{BackendError, DatabaseError};
use mainstay_core::name::Ident;
use mainstay_core::types::Type;
use mainstay_sql::analyse::result_columns;
use rusqlite::Connection;
use rusqlite::functions::{Context, FunctionFlags};
use rusqlite::types::Value as Scalar;

pub use running::{Running, enter, with_current};

/// Arguments of the registered functions before the routine's own: which routine, the role that calls it, and whether
/// that role was set by a SECURITY DEFINER routine.
const LEADING_ARGUMENTS: usize = 3;

/// A call with its arguments in their stored form, defaults filled in.
pub struct Invocation<'a> {
    pub routine: &'a Arc<Routine>,
    /// The role that calls: the routine's own, unless it is a SECURITY DEFINER.
    pub user: &'a Ident,
    /// `user` was set by a SECURITY DEFINER routine rather than by the request.
    pub definer: bool,
    pub arguments: Vec<Scalar>,
}

impl Invocation<'_> {
    /// Runs the routine. The rows have the columns of its result; one that is no set gives exactly one row.
    ///
    /// Errors: the body's own; 54001 for calls too deep in each other.
    pub fn run(self, running: &Running<'_>) -> Result<Vec<Vec<Scalar>>, BackendError> {
        let routine = self.routine;
        let is_null = self.arguments.contains(&Scalar::Null);
        let mut rows = if routine.strict && is_null {
            Vec::new()
        } else {
            let (role, definer) = match routine.security_definer {
                true => (&routine.owner, true),
                false => (self.user, self.definer),
            };
            let compiled = running.compiled();
            let body = compiled.body(routine, role, definer)?;
            running.deeper(|| body.run(running, routine, &self.arguments))?
        };
        if !routine.returns.set {
            rows.truncate(1);
            if rows.is_empty() {
                let width = match routine.returns.ty {
                    Type::Void => 1,
                    _ => result_columns(running.compiled().catalog(), routine).len(),
                };
                rows.push(vec![Scalar::Null; width]);
            }
        }
        Ok(rows)
    }
}

/// Registers `pg_call`, `pg_call_rows` and what goes with them.
pub fn register(conn: &Connection) -> rusqlite::Result<()> {
    // Not innocuous: neither the file's schema nor anything but emitted statements may call a routine.
    let volatile = FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DIRECTONLY;
    conn.create_scalar_function("pg_call", -1, volatile, |context| {
        let rows = called(context).map_err(failure::keep)?;
        Ok(rows
            .into_iter()
            .next()
            .and_then(|row| row.into_iter().next())
            .unwrap_or(Scalar::Null))
    })?;
    conn.create_scalar_function("pg_call_rows", -1, volatile, |context| {
        let rows = called(context).map_err(failure::keep)?;
        Ok(cells::rows_text(&rows))
    })?;
    sequences::register(conn)?;
    running::register(conn)?;
    cells::register(conn)
}

/// Runs the call that a registered function's arguments tell.
fn called(context: &Context<'_>) -> Result<Vec<Vec<Scalar>>, BackendError> {
    let wrong = || BackendError::Internal("a routine is called with wrong arguments".to_owned());
    if context.len() < LEADING_ARGUMENTS {
        return Err(wrong());
    }
    let id: i64 = context.get(0).map_err(|_| wrong())?;
    let user: String = context.get(1).map_err(|_| wrong())?;
    let definer: bool = context.get(2).map_err(|_| wrong())?;
    let arguments = (LEADING_ARGUMENTS..context.len())
        .map(|index| context.get_raw(index).try_into())
        .collect::<Result<Vec<Scalar>, _>>()
        .map_err(|_| wrong())?;
    running::with_current(|running| {
        let routine = running
            .compiled()
            .routine_of(id as u64)
            .ok_or(BackendError::StaleCatalog)?;
        let invocation = Invocation {
            routine: &routine,
            user: &Ident::from(user),
            definer,
            arguments,
        };
        invocation.run(running)
    })
}

/// 0A000 for a routine in a language that nothing here runs.
fn unavailable(routine: &Routine) -> DatabaseError {
    let feature = format!("functions in language {}", routine.language);
    DatabaseError::unavailable(&feature, &routine.name.to_string(), 1, Some("LANGUAGE sql"))
}

//! `nextval`, `currval` and `setval` inside queries.

use std::sync::Arc;

use mainstay_core::catalog::Sequence;
use mainstay_core::error::{BackendError, DatabaseError};
use mainstay_core::name::QualifiedName;
use rusqlite::Connection;
use rusqlite::functions::{Context, FunctionFlags};
use rusqlite::types::{Value as Scalar, ValueRef};

use super::failure;
use super::running::{Running, with_current};
use crate::write::sequences;

/// Registers `pg_nextval`, `pg_currval` and `pg_setval`; each begins with the sequence's schema and name.
pub fn register(conn: &Connection) -> rusqlite::Result<()> {
    let volatile = FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DIRECTONLY;
    conn.create_scalar_function("pg_nextval", 2, volatile, |context| {
        with(context, |running, sequence| {
            running.check_not_read_only("nextval()")?;
            sequences::next(running.conn(), sequence).map(Scalar::Integer)
        })
    })?;
    conn.create_scalar_function("pg_currval", 2, volatile, |context| {
        with(context, |running, sequence| {
            sequences::current(running.conn(), sequence).map(Scalar::Integer)
        })
    })?;
    conn.create_scalar_function("pg_setval", 4, volatile, |context| {
        // Strict: nothing is set to null.
        let (ValueRef::Integer(value), ValueRef::Integer(is_called)) = (context.get_raw(2), context.get_raw(3)) else {
            return Ok(Scalar::Null);
        };
        with(context, |running, sequence| {
            running.check_not_read_only("setval()")?;
            sequences::set(running.conn(), sequence, value, is_called != 0)?;
            Ok(Scalar::Integer(value))
        })
    })
}

fn with(
    context: &Context<'_>,
    work: impl FnOnce(&Running<'_>, &Arc<Sequence>) -> Result<Scalar, BackendError>,
) -> rusqlite::Result<Scalar> {
    let (schema, name): (String, String) = (context.get(0)?, context.get(1)?);
    with_current(|running| {
        let sequence = running
            .compiled()
            .catalog()
            .sequences
            .get(&QualifiedName::new(schema, name.clone()))
            .ok_or_else(|| DatabaseError::new("42P01", format!("relation \"{name}\" does not exist")))?;
        work(running, sequence)
    })
    .map_err(failure::keep)
}

//! The rows that hold the sequences' values: made, renamed and removed with their sequences, and moved by statements
//! that do nothing else.
//!
//! Not here: what bounds a sequence (the catalog), taking values for rows (`write`).

use std::collections::BTreeMap;

use mainstay_core::backend::QueryResult;
use mainstay_core::definition::Position;
use mainstay_core::error::{BackendError, DatabaseError};
use mainstay_core::name::QualifiedName;
use mainstay_sql::session::Session;
use mainstay_sql::typed::{Expr, ExprKind, Query, SequenceCall, SetExpression, Target};
use rusqlite::{Connection, params};

use super::store::broken;
use crate::emit::compiled::Compiled;
use crate::emit::context::Context;
use crate::{console, write};

/// Makes a sequence's row: `start` comes next.
pub fn create(conn: &Connection, name: &QualifiedName, start: i64) -> Result<(), BackendError> {
    conn.prepare_cached("INSERT INTO _ms_sequences (schema, name, last_value, is_called) VALUES (?1, ?2, ?3, 0)")
        .and_then(|mut statement| statement.execute(params![&*name.schema, &*name.name, start]))
        .map(drop)
        .map_err(broken)
}

/// Makes `next` the value that comes next.
pub fn restart(conn: &Connection, name: &QualifiedName, next: i64) -> Result<(), BackendError> {
    conn.prepare_cached("UPDATE _ms_sequences SET last_value = ?3, is_called = 0 WHERE schema = ?1 AND name = ?2")
        .and_then(|mut statement| statement.execute(params![&*name.schema, &*name.name, next]))
        .map(drop)
        .map_err(broken)
}

/// Removes a sequence's row.
pub fn remove(conn: &Connection, name: &QualifiedName) -> Result<(), BackendError> {
    conn.execute(
        "DELETE FROM _ms_sequences WHERE schema = ?1 AND name = ?2",
        params![&*name.schema, &*name.name],
    )
    .map(drop)
    .map_err(broken)
}

/// Gives a sequence's row another name.
pub fn rename(conn: &Connection, from: &QualifiedName, to: &QualifiedName) -> Result<(), BackendError> {
    conn.execute(
        "UPDATE _ms_sequences SET schema = ?3, name = ?4 WHERE schema = ?1 AND name = ?2",
        params![&*from.schema, &*from.name, &*to.schema, &*to.name],
    )
    .map(drop)
    .map_err(broken)
}

/// Where every sequence stands.
pub fn positions(conn: &Connection) -> Result<BTreeMap<QualifiedName, Position>, BackendError> {
    let mut statement = conn
        .prepare("SELECT schema, name, last_value, is_called FROM _ms_sequences")
        .map_err(broken)?;
    let rows = statement
        .query_map([], |row| {
            let name = QualifiedName::new(row.get::<_, String>(0)?, row.get::<_, String>(1)?);
            let position = Position {
                value: row.get(2)?,
                is_called: row.get::<_, i64>(3)? != 0,
            };
            Ok((name, position))
        })
        .map_err(broken)?;
    rows.collect::<rusqlite::Result<_>>().map_err(broken)
}

/// Runs `SELECT setval(…)`, `nextval(…)` or `currval(…)` by itself, with the owner's rights; `None` if the query is
/// anything else.
///
/// Errors: those of the functions; of the query that gives `setval` its value.
pub fn call(
    conn: &Connection,
    compiled: &Compiled,
    session: &Session,
    context: &Context<'_>,
    query: &Query,
) -> Result<Option<QueryResult>, BackendError> {
    let SetExpression::Select(select) = &query.body else {
        return Ok(None);
    };
    let ([target], true, None) = (select.target.as_slice(), select.from.is_empty(), &select.filter) else {
        return Ok(None);
    };
    let ExprKind::Sequence(call) = &target.expr.kind else {
        return Ok(None);
    };
    let value_of = |expr: &Expr| -> Result<Option<String>, BackendError> {
        let mut inner = query.clone();
        if let SetExpression::Select(select) = &mut inner.body {
            select.target = vec![Target {
                name: target.name.clone(),
                expr: expr.clone(),
            }];
        }
        for column in &mut inner.columns {
            column.ty = expr.ty.clone();
        }
        let result = console::select(conn, compiled, session, context, &inner)?;
        Ok(result.rows.into_iter().flatten().next().flatten())
    };
    let value = match &**call {
        SequenceCall::NextVal(sequence) => Some(write::sequences::next(conn, sequence)?),
        SequenceCall::CurrVal(sequence) => Some(write::sequences::current(conn, sequence)?),
        SequenceCall::LastVal => {
            return Err(DatabaseError::new("55000", "lastval is not yet defined in this session").into());
        }
        SequenceCall::SetVal {
            sequence,
            value,
            is_called,
        } => {
            let number = value_of(value)?.and_then(|text| text.parse::<i64>().ok());
            let called = match is_called {
                Some(expr) => value_of(expr)?.map(|text| text.starts_with('t')),
                None => Some(true),
            };
            match (number, called) {
                (Some(number), Some(called)) => {
                    write::sequences::set(conn, sequence, number, called)?;
                    Some(number)
                }
                // The function is strict: a null changes nothing.
                _ => None,
            }
        }
    };
    Ok(Some(QueryResult {
        columns: vec![target.name.to_string()],
        rows: vec![vec![value.map(|value| value.to_string())]],
        tag: "SELECT 1".to_owned(),
    }))
}

//! Conditions that are the same for every row, computed while a statement is compiled.
//!
//! Lives here: what is constant, and asking SQLite for its value on a connection that has no tables.
//! Not here: what follows from it (`relation`, `write::checks`).
//!
//! Source: PostgreSQL manual, 38.7 (the planner computes immutable functions of constants).

use std::sync::{LazyLock, Mutex, PoisonError};

use mainstay_core::catalog::Volatility;
use mainstay_core::name::Ident;
use mainstay_core::types::Type;
use mainstay_sql::analyse::volatility;
use mainstay_sql::typed::{Expr, ExprKind};
use mainstay_sql::walk;
use rusqlite::Connection;

use super::compiled::Compiled;
use super::emitter::Emitter;
use crate::values;

/// Has the function library and nothing else.
static SCRATCH: LazyLock<Option<Mutex<Connection>>> = LazyLock::new(|| {
    let connection = Connection::open_in_memory().ok()?;
    values::register::register(&connection).ok()?;
    super::functions::register(&connection).ok()?;
    Some(Mutex::new(connection))
});

/// True for a condition of constants alone that is true. One that fails is not.
pub fn holds(compiled: &Compiled, expr: &Expr) -> bool {
    if *expr.ty.base() != Type::Bool || !is_constant(expr) {
        return false;
    }
    let mut emitter = Emitter::new(compiled, &Ident::new("postgres")).for_schema();
    emitter.writer().sql("SELECT ");
    if emitter.expr(expr).is_err() {
        return false;
    }
    let (sql, _) = emitter.finish();
    let Some(scratch) = &*SCRATCH else { return false };
    let scratch = scratch.lock().unwrap_or_else(PoisonError::into_inner);
    let value: rusqlite::Result<Option<bool>> = scratch.query_row(&sql, [], |row| row.get(0));
    matches!(value, Ok(Some(true)))
}

fn is_constant(expr: &Expr) -> bool {
    let mut is_constant = true;
    walk::expr(expr, &mut |part| {
        is_constant &= matches!(
            part.kind,
            ExprKind::Literal(_)
                | ExprKind::Cast { .. }
                | ExprKind::Operator { .. }
                | ExprKind::Function { .. }
                | ExprKind::And(_)
                | ExprKind::Or(_)
                | ExprKind::Not(_)
                | ExprKind::IsNull { .. }
                | ExprKind::BooleanTest { .. }
                | ExprKind::DistinctFrom { .. }
                | ExprKind::Case { .. }
                | ExprKind::Coalesce(_)
        );
        is_constant
    });
    is_constant && volatility(expr) == Volatility::Immutable
}

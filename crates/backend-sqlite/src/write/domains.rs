//! Values that a request gives for columns of domains: checked as a cast would, before anything else is asked of the row.
//!
//! Not here: values that SQL computes; their casts are checked where they stand (`emit::domain`).

use std::sync::Arc;

use mainstay_core::catalog::{ColumnIndex, Relation};
use mainstay_core::error::{BackendError, DatabaseError};
use mainstay_core::types::{Type, TypeModifier};
use mainstay_sql::analyse;
use mainstay_sql::typed::{CastContext, Expr, ExprKind, RteId};
use rusqlite::Connection;
use rusqlite::types::Value as Scalar;

use super::statement::Prepared;
use crate::emit::binds::Sources;
use crate::emit::compiled::Compiled;
use crate::emit::{Emitter, Rte};

/// One statement that raises what the domains of a row's columns refuse.
#[derive(Debug)]
pub struct DomainChecks {
    statement: Prepared,
}

impl DomainChecks {
    /// Compiles the checks of these columns; `None` if no domain demands anything of them.
    pub fn compile(
        compiled: &Compiled,
        relation: &Arc<Relation>,
        columns: impl Iterator<Item = ColumnIndex>,
    ) -> Result<Option<Self>, DatabaseError> {
        let catalog = compiled.catalog();
        let mut emitter = Emitter::new(compiled, &relation.owner);
        let rte = RteId(0);
        emitter.declare(
            rte,
            Rte::Bound {
                relation: Arc::clone(relation),
            },
        );
        emitter.writer().sql("SELECT ");
        let mut first = true;
        for column in columns {
            let ty = &relation.columns[column].ty;
            let mut demands = false;
            ty.each_named(&mut |name| {
                demands |= catalog.domains.get(name).is_some_and(|domain| domain.is_constrained());
            });
            if !demands || !matches!(ty, Type::Domain(..)) {
                continue;
            }
            if !std::mem::take(&mut first) {
                emitter.writer().sql(", ");
            }
            let value = Expr::new(ExprKind::Column { rte, column }, ty.base().clone());
            let checked = analyse::cast(catalog, value, ty, TypeModifier::None, CastContext::Assignment)?;
            emitter.expr(&checked)?;
        }
        if first {
            return Ok(None);
        }
        Ok(Some(DomainChecks {
            statement: Prepared::from(emitter.finish()),
        }))
    }

    /// Errors: 23502, 23514 of the first domain that refuses a value of the row.
    pub fn run(&self, conn: &Connection, sources: &Sources<'_>, row: &[Scalar]) -> Result<(), BackendError> {
        self.statement.one(conn, &sources.with_row(row), |_| Ok(()))?;
        Ok(())
    }
}

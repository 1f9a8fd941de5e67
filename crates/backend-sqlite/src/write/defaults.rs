//! Values that the table gives where a row has none: defaults, identities.
//!
//! A default that cannot differ between rows is evaluated once per statement, the others once per row.

use std::sync::Arc;

use mainstay_core::catalog::{Catalog, Column, ColumnIndex, Relation, Sequence, Volatility};
use mainstay_core::error::{BackendError, DatabaseError};
use mainstay_core::name::Ident;
use mainstay_core::types::{Type, TypeModifier};
use mainstay_sql::typed::{
    CastContext, CastMethod, ContextValue, Expr, ExprKind, Literal, RoutineCall, RoutineRun, SequenceCall,
};
use rusqlite::Connection;
use rusqlite::types::Value as Scalar;

use super::sequences::{self, Taking};
use super::statement::Prepared;
use crate::emit::Emitter;
use crate::emit::binds::Sources;
use crate::emit::compiled::Compiled;
use crate::emit::walk::{self, Visitor};
use crate::values::cast::{self, Kind, Stored};

/// How one value comes about.
#[derive(Debug)]
pub enum Fill {
    Constant(Scalar),
    Context(ContextValue),
    RandomUuid,
    NextVal(Arc<Sequence>),
    /// A sequence that the role may not use: an error, but only when a row needs it.
    Forbidden(DatabaseError),
    /// The same for every row of a statement.
    Once(Prepared),
    /// Anew for every row.
    EachRow(Prepared),
}

impl Fill {
    /// What a row without a value gets in `column`; NULL where the table says nothing.
    pub fn of_column(
        compiled: &Compiled,
        role: &Ident,
        relation: &Arc<Relation>,
        column: ColumnIndex,
    ) -> Result<Fill, DatabaseError> {
        let declared = &relation.columns[column];
        if declared.identity.is_some() || declared.default.is_none() {
            let sequence = declared
                .sequence
                .as_ref()
                .and_then(|name| compiled.catalog().sequences.get(name));
            if let Some(sequence) = sequence {
                return Ok(Fill::NextVal(Arc::clone(sequence)));
            }
        }
        let Some(default) = default_text(compiled.catalog(), declared) else {
            return Ok(Fill::Constant(Scalar::Null));
        };
        let bound = compiled.default(relation, default, &declared.ty, declared.modifier)?;
        Fill::of_expression(Emitter::new(compiled, role), &bound.expr)
    }

    /// What an expression over no row comes to. `emitter`: an empty statement.
    pub fn of_expression(mut emitter: Emitter<'_>, expr: &Expr) -> Result<Fill, DatabaseError> {
        if let Some(value) = constant(expr) {
            return Ok(Fill::Constant(value));
        }
        match &expr.kind {
            ExprKind::Context(value) => return Ok(Fill::Context(value.clone())),
            ExprKind::Function { function, .. } if matches!(function.name, "gen_random_uuid" | "uuid_generate_v4") => {
                return Ok(Fill::RandomUuid);
            }
            ExprKind::Sequence(call) => {
                if let SequenceCall::NextVal(sequence) = &**call {
                    let allowed =
                        sequences::authorize(emitter.catalog(), emitter.role(), sequence, &sequences::NEXT_PRIVILEGES);
                    return Ok(match allowed {
                        Ok(()) => Fill::NextVal(Arc::clone(sequence)),
                        Err(refusal) => Fill::Forbidden(refusal),
                    });
                }
            }
            // `nextval` gives int8; the column may be narrower, which its constraint checks.
            ExprKind::Cast { expr: inner, .. } if matches!(inner.kind, ExprKind::Sequence(_)) => {
                return Fill::of_expression(emitter, inner);
            }
            _ => {}
        }
        emitter.writer().sql("SELECT ");
        emitter.fragment(Default::default(), |emitter| emitter.expr(expr))?;
        let prepared = Prepared::from(emitter.finish());
        Ok(if is_volatile(expr) {
            Fill::EachRow(prepared)
        } else {
            Fill::Once(prepared)
        })
    }

    /// The value for the only row there is.
    pub fn only(&self, conn: &Connection, sources: &Sources<'_>) -> Result<Scalar, BackendError> {
        let mut taking = Taking::new(conn);
        let value = self.value(&mut taking, sources, &mut None)?;
        taking.put_back()?;
        Ok(value)
    }

    /// The value for one row, which may be the next of a sequence. `memory` keeps what is the same for all rows.
    pub fn value(
        &self,
        taking: &mut Taking<'_>,
        sources: &Sources<'_>,
        memory: &mut Option<Scalar>,
    ) -> Result<Scalar, BackendError> {
        match self {
            Fill::Constant(value) => return Ok(value.clone()),
            Fill::RandomUuid => return Ok(Scalar::Text(uuid::Uuid::new_v4().to_string())),
            Fill::NextVal(sequence) => return taking.next(sequence).map(Scalar::Integer),
            Fill::Forbidden(refusal) => return Err(refusal.clone().into()),
            Fill::EachRow(prepared) => return evaluate(prepared, taking, sources),
            Fill::Context(_) | Fill::Once(_) => {}
        }
        if let Some(known) = memory {
            return Ok(known.clone());
        }
        let value = match self {
            Fill::Context(value) => sources.context.value(value)?,
            Fill::Once(prepared) => evaluate(prepared, taking, sources)?,
            _ => Scalar::Null,
        };
        *memory = Some(value.clone());
        Ok(value)
    }
}

fn evaluate(prepared: &Prepared, taking: &mut Taking<'_>, sources: &Sources<'_>) -> Result<Scalar, BackendError> {
    // It may ask sequences itself.
    taking.put_back()?;
    Ok(prepared
        .one(taking.conn(), sources, |row| row.get(0))?
        .unwrap_or(Scalar::Null))
}

/// What a column is given where nothing is: its default, or its domain's; a domain may allow no null, so that it is
/// asked. `None`: plain NULL.
pub fn default_text<'c>(catalog: &'c Catalog, column: &'c Column) -> Option<&'c str> {
    match (&column.default, &column.ty) {
        (Some(default), _) => Some(default),
        (None, Type::Domain(name, _)) => {
            let domain = catalog.domains.get(name)?;
            Some(domain.default.as_deref().unwrap_or("NULL"))
        }
        (None, _) => None,
    }
}

/// A constant's stored form, if it takes no SQL to know it.
pub fn constant(expr: &Expr) -> Option<Scalar> {
    match &expr.kind {
        ExprKind::Literal(literal) => Some(match literal {
            Literal::Null => Scalar::Null,
            Literal::Bool(value) => Scalar::Integer(i64::from(*value)),
            Literal::Integer(value) => Scalar::Integer(*value),
            Literal::Float(value) => Scalar::Real(*value),
            Literal::Numeric(text) => Scalar::Text(text.clone()),
            Literal::Text(text) => cast::input(&Kind::of(&expr.ty)?, text, &cast::Input::default())
                .ok()?
                .into(),
        }),
        ExprKind::Cast {
            expr: inner,
            context,
            method,
        } => {
            // What the domain demands is asked by the engine.
            if matches!(expr.ty, Type::Domain(..)) {
                return None;
            }
            let value = constant(inner)?;
            if value == Scalar::Null {
                return Some(value);
            }
            if expr.modifier != TypeModifier::None && *context == CastContext::Explicit && expr.ty.is_textual() {
                return None;
            }
            if matches!(expr.ty.base(), Type::Enum(_)) && !matches!(inner.ty.base(), Type::Enum(_)) {
                return None;
            }
            let (from, to) = (Kind::of(&inner.ty)?, Kind::of(&expr.ty)?);
            let stored = stored(value)?;
            let converted = match method {
                CastMethod::Relabel | CastMethod::ModifierOnly => stored,
                _ if from == to => stored,
                _ if inner.ty.is_integer() && matches!(to, Kind::Int2 | Kind::Int4 | Kind::Int8 | Kind::Numeric)
                    || matches!(from, Kind::Text) =>
                {
                    let text = cast::output(&from, stored.as_ref()).ok()?;
                    cast::input(&to, &text, &cast::Input::default()).ok()?
                }
                _ if inner.ty.is_integer() && matches!(to, Kind::Float8) => match stored {
                    Stored::Int(number) => Stored::Real(number as f64),
                    other => other,
                },
                _ => return None,
            };
            let modified = match expr.modifier {
                TypeModifier::None => converted,
                modifier => cast::apply_modifier(&to, modifier, converted).ok()?,
            };
            Some(modified.into())
        }
        _ => None,
    }
}

fn stored(value: Scalar) -> Option<Stored> {
    Some(match value {
        Scalar::Null => return None,
        Scalar::Integer(value) => Stored::Int(value),
        Scalar::Real(value) => Stored::Real(value),
        Scalar::Text(value) => Stored::Text(value),
        Scalar::Blob(value) => Stored::Blob(value),
    })
}

/// True if the expression may give another value at its next evaluation in one statement.
pub fn is_volatile(expr: &Expr) -> bool {
    struct Found(bool);
    impl Visitor for Found {
        fn expr(&mut self, expr: &Expr) {
            self.0 |= match &expr.kind {
                ExprKind::Function { function, .. } => function.volatility == Volatility::Volatile,
                ExprKind::Sequence(_) => true,
                _ => false,
            };
        }
        fn run(&mut self, run: &RoutineRun) {
            self.0 |= run.routine.volatility == Volatility::Volatile;
        }
        fn enter_routine(&mut self, call: &RoutineCall) {
            self.0 |= call.routine.volatility == Volatility::Volatile;
        }
    }
    let mut found = Found(false);
    walk::expr(&mut found, expr);
    found.0
}

//! Gives an expression another type: constants by their input rules, everything else by a cast.
//!
//! Source: PostgreSQL 15 manual, 10.2 to 10.5.

use mainstay_core::catalog::Catalog;
use mainstay_core::error::DatabaseError;
use mainstay_core::name::QualifiedName;
use mainstay_core::types::{Type, TypeModifier};

use super::Result;
use super::casts::{is_implicit, is_preferred, pathway};
use super::literal;
use crate::typed::{CastContext, CastMethod, Expr, ExprKind, Literal};

/// `expr` as `ty`, if `context` allows the cast; the modifier is not applied. `None`: there is no such cast.
pub fn to_type(catalog: &Catalog, expr: Expr, ty: &Type, context: CastContext) -> Result<Option<Expr>> {
    if expr.ty == *ty {
        return Ok(Some(expr));
    }
    if let Type::Domain(name, base) = ty {
        return to_domain(catalog, expr, name, base, context);
    }
    if expr.ty == Type::Unknown {
        return unknown_to_type(catalog, expr, ty).map(Some);
    }
    if let (ExprKind::Row { .. }, Type::Record) = (&expr.kind, ty) {
        return Ok(Some(Expr {
            ty: Type::Record,
            ..expr
        }));
    }
    let Some(method) = pathway(&expr.ty, ty, context) else {
        return Ok(None);
    };
    if let Some(folded) = fold(&expr, ty) {
        return Ok(Some(folded));
    }
    // A relabelled value keeps its length: `varchar(3)` as text is still at most three characters, but says nothing.
    let position = expr.position;
    let kind = ExprKind::Cast {
        expr: Box::new(expr),
        context,
        method,
    };
    Ok(Some(Expr {
        kind,
        ty: ty.clone(),
        modifier: TypeModifier::None,
        position,
    }))
}

/// `expr` as a domain: first as its base type, brought to the modifier, then checked, which is what a
/// cast to a domain stands for.
fn to_domain(
    catalog: &Catalog,
    expr: Expr,
    name: &QualifiedName,
    base: &Type,
    context: CastContext,
) -> Result<Option<Expr>> {
    let Some(inner) = to_type(catalog, expr, base, context)? else {
        return Ok(None);
    };
    let modifier = catalog
        .domains
        .get(name)
        .map(|domain| domain.modifier)
        .unwrap_or_default();
    let inner = to_modifier(inner, modifier, context);
    let position = inner.position;
    let kind = ExprKind::Cast {
        expr: Box::new(inner),
        context,
        method: CastMethod::Relabel,
    };
    Ok(Some(
        Expr::new(kind, Type::Domain(name.clone(), Box::new(base.clone()))).at(position),
    ))
}

/// A literal or parameter takes the type; anything else of type `unknown` is cast through its text.
fn unknown_to_type(catalog: &Catalog, expr: Expr, ty: &Type) -> Result<Expr> {
    let position = expr.position;
    let kind = match expr.kind {
        ExprKind::Literal(Literal::Text(text)) => {
            let value = literal::input(catalog, &text, ty).map_err(|error| place(error, position))?;
            ExprKind::Literal(value)
        }
        ExprKind::Literal(literal) => ExprKind::Literal(literal),
        ExprKind::Parameter(number) => ExprKind::Parameter(number),
        kind => {
            let inner = Expr {
                kind,
                ty: Type::Text,
                modifier: TypeModifier::None,
                position,
            };
            ExprKind::Cast {
                expr: Box::new(inner),
                context: CastContext::Explicit,
                method: CastMethod::InputOutput,
            }
        }
    };
    Ok(Expr {
        kind,
        ty: ty.clone(),
        modifier: TypeModifier::None,
        position,
    })
}

/// Number constants are converted at once where nothing can be lost.
fn fold(expr: &Expr, ty: &Type) -> Option<Expr> {
    let ExprKind::Literal(value) = &expr.kind else {
        return None;
    };
    let value = match (value, ty) {
        (Literal::Null, _) => Literal::Null,
        (Literal::Integer(number), Type::Int8) => Literal::Integer(*number),
        (Literal::Integer(number), Type::Int4) if i32::try_from(*number).is_ok() => Literal::Integer(*number),
        (Literal::Integer(number), Type::Int2) if i16::try_from(*number).is_ok() => Literal::Integer(*number),
        (Literal::Integer(number), Type::Numeric) => Literal::Numeric(number.to_string()),
        (Literal::Integer(number), Type::Float8) if number.unsigned_abs() <= 1 << 53 => Literal::Float(*number as f64),
        (Literal::Numeric(digits), Type::Float8) => {
            Literal::Float(digits.parse::<f64>().ok().filter(|value| value.is_finite())?)
        }
        (Literal::Text(text), Type::Text | Type::Varchar) if expr.ty.is_textual() && expr.ty != Type::Bpchar => {
            Literal::Text(text.clone())
        }
        _ => return None,
    };
    Some(Expr {
        kind: ExprKind::Literal(value),
        ty: ty.clone(),
        modifier: TypeModifier::None,
        position: expr.position,
    })
}

/// Applies a modifier where the expression does not have it already.
pub fn to_modifier(expr: Expr, modifier: TypeModifier, context: CastContext) -> Expr {
    if modifier == TypeModifier::None || expr.modifier == modifier || expr.is_null_literal() {
        return Expr {
            modifier: if expr.is_null_literal() {
                modifier
            } else {
                expr.modifier
            },
            ..expr
        };
    }
    let (ty, position) = (expr.ty.clone(), expr.position);
    let kind = match expr.kind {
        // One cast does both.
        ExprKind::Cast {
            expr,
            context: inner,
            method,
        } if expr.ty != ty && inner == context => ExprKind::Cast {
            expr,
            context: inner,
            method,
        },
        kind => {
            let inner = Expr {
                kind,
                ty: ty.clone(),
                modifier: expr.modifier,
                position,
            };
            ExprKind::Cast {
                expr: Box::new(inner),
                context,
                method: CastMethod::ModifierOnly,
            }
        }
    };
    Expr {
        kind,
        ty,
        modifier,
        position,
    }
}

/// `expr` as `ty` with a modifier. Errors: 42846 `cannot cast type uuid to integer`.
pub fn cast(catalog: &Catalog, expr: Expr, ty: &Type, modifier: TypeModifier, context: CastContext) -> Result<Expr> {
    let (from, position) = (expr.ty.clone(), expr.position);
    match to_type(catalog, expr, ty, context)? {
        Some(expr) => Ok(to_modifier(expr, modifier, context)),
        None => Err(place(
            DatabaseError::new("42846", format!("cannot cast type {from} to {ty}")),
            position,
        )),
    }
}

/// `expr` as a value for a column. Errors: 42804 `column "c" is of type integer but expression is of type text`.
pub fn assign(catalog: &Catalog, expr: Expr, column: &str, ty: &Type, modifier: TypeModifier) -> Result<Expr> {
    let (from, position) = (expr.ty.clone(), expr.position);
    match to_type(catalog, expr, ty, CastContext::Assignment)? {
        Some(expr) => Ok(to_modifier(expr, modifier, CastContext::Assignment)),
        None => {
            let message = format!("column \"{column}\" is of type {ty} but expression is of type {from}");
            let error = DatabaseError::new("42804", message).hint("You will need to rewrite or cast the expression.");
            Err(place(error, position))
        }
    }
}

/// `expr` as a condition. Errors: 42804 `argument of WHERE must be type boolean, not type integer`.
pub fn condition(catalog: &Catalog, expr: Expr, clause: &str) -> Result<Expr> {
    argument(catalog, expr, clause, &Type::Bool)
}

/// `expr` where a clause wants one type. Errors: 42804.
pub fn argument(catalog: &Catalog, expr: Expr, clause: &str, ty: &Type) -> Result<Expr> {
    let (from, position) = (expr.ty.clone(), expr.position);
    // LIMIT and OFFSET take any number that assignment would take; conditions take nothing but booleans.
    let context = if *ty == Type::Bool {
        CastContext::Implicit
    } else {
        CastContext::Assignment
    };
    match to_type(catalog, expr, ty, context)? {
        Some(expr) => Ok(expr),
        None => {
            let message = format!("argument of {clause} must be type {ty}, not type {from}");
            Err(place(DatabaseError::new("42804", message), position))
        }
    }
}

/// The type that several expressions can all become, by PostgreSQL's rules for UNION, CASE and kin.
///
/// Errors: 42804 `UNION types integer and text cannot be matched`, at the expression that does not fit.
pub fn common_type(exprs: &[&Expr], context: &str) -> Result<Type> {
    let Some((first, rest)) = exprs.split_first() else {
        return Ok(Type::Text);
    };
    if first.ty != Type::Unknown && rest.iter().all(|expr| expr.ty == first.ty) {
        return Ok(first.ty.clone());
    }
    let mut chosen = first.ty.base().clone();
    for expr in rest {
        let next = expr.ty.base();
        if *next == Type::Unknown || *next == chosen {
            continue;
        }
        if chosen == Type::Unknown {
            chosen = next.clone();
        } else if next.category() != chosen.category() {
            let message = format!("{context} types {chosen} and {next} cannot be matched");
            return Err(place(DatabaseError::new("42804", message), expr.position));
        } else if !is_preferred(&chosen) && is_implicit(&chosen, next) && !is_implicit(next, &chosen) {
            chosen = next.clone();
        }
    }
    Ok(if chosen == Type::Unknown { Type::Text } else { chosen })
}

/// `expr` as the common type. Errors: 42846 `CASE could not convert type text to integer`.
pub fn to_common(catalog: &Catalog, expr: Expr, ty: &Type, context: &str) -> Result<Expr> {
    let (from, position) = (expr.ty.clone(), expr.position);
    to_type(catalog, expr, ty, CastContext::Implicit)?.ok_or_else(|| {
        let message = format!("{context} could not convert type {from} to {ty}");
        place(DatabaseError::new("42846", message), position)
    })
}

/// The modifier that all expressions share, or none.
pub fn common_modifier(exprs: &[&Expr]) -> TypeModifier {
    match exprs.split_first() {
        Some((first, rest)) if rest.iter().all(|expr| expr.modifier == first.modifier) => first.modifier,
        _ => TypeModifier::None,
    }
}

/// Adds a position to an error that has none.
pub fn place(error: DatabaseError, position: u32) -> DatabaseError {
    if error.position.is_some() || position == 0 {
        error
    } else {
        error.at(position)
    }
}

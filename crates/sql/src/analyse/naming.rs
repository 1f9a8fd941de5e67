//! The names that PostgreSQL gives to output columns without an alias.
//!
//! Source: PostgreSQL 15 manual, 7.3.2, and what the server answers.

use mainstay_core::name::Ident;

use crate::ast::{Expr, ExprKind, SetExpression, ValueFunction};

/// The name of an output column.
pub fn column_name(expr: &Expr) -> Ident {
    match name(expr) {
        Some((name, _)) => name,
        None => Ident::new("?column?"),
    }
}

/// A name and whether it is a good one: a cast or CASE around a good name keeps it.
fn name(expr: &Expr) -> Option<(Ident, bool)> {
    let good = |text: &str| Some((Ident::new(text), true));
    match &expr.kind {
        ExprKind::Column(names) | ExprKind::Star(names) => names.last().map(|name| (name.clone(), true)),
        ExprKind::Field { expr: inner, field } => match field {
            Some(field) => Some((field.clone(), true)),
            None => name(inner),
        },
        ExprKind::Subscript { expr: inner, .. } | ExprKind::Collate { expr: inner, .. } => name(inner),
        ExprKind::Function(call) => Some((call.name.name.clone(), true)),
        ExprKind::Cast { expr: inner, ty } => match name(inner) {
            Some((found, true)) => Some((found, true)),
            _ => Some((ty.name.clone(), false)),
        },
        ExprKind::Case { otherwise, .. } => match otherwise.as_deref().and_then(name) {
            Some((found, true)) => Some((found, true)),
            _ => Some((Ident::new("case"), false)),
        },
        ExprKind::NullIf { .. } => good("nullif"),
        ExprKind::Coalesce(_) => good("coalesce"),
        ExprKind::Greatest(_) => good("greatest"),
        ExprKind::Least(_) => good("least"),
        ExprKind::Row(_) => good("row"),
        ExprKind::Array(_) | ExprKind::ArraySubquery(_) => good("array"),
        ExprKind::Exists(_) => good("exists"),
        ExprKind::Grouping(_) => good("grouping"),
        ExprKind::Value { function, .. } => good(value_function(*function)),
        ExprKind::ScalarSubquery(query) => match &query.body {
            SetExpression::Select(select) => {
                let first = select.target.first()?;
                Some((first.alias.clone().unwrap_or_else(|| column_name(&first.expr)), true))
            }
            SetExpression::Values(_) => good("column1"),
            _ => None,
        },
        _ => None,
    }
}

fn value_function(function: ValueFunction) -> &'static str {
    match function {
        ValueFunction::CurrentDate => "current_date",
        ValueFunction::CurrentTime => "current_time",
        ValueFunction::CurrentTimestamp => "current_timestamp",
        ValueFunction::LocalTime => "localtime",
        ValueFunction::LocalTimestamp => "localtimestamp",
        ValueFunction::CurrentRole => "current_role",
        ValueFunction::CurrentUser => "current_user",
        ValueFunction::SessionUser => "session_user",
        ValueFunction::CurrentCatalog => "current_catalog",
        ValueFunction::CurrentSchema => "current_schema",
    }
}

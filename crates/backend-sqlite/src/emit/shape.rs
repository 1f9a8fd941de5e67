//! What a query's shape tells without running it.

use std::collections::HashSet;

use mainstay_core::catalog::ConstraintKind;
use mainstay_sql::typed::{Expr, ExprKind, FromItem, Literal, Query, RteId, Select, SetExpression};

use super::walk::{self, Visitor};

/// True if the query can give no second row: an aggregate without groups, `LIMIT 1`, no FROM, or a whole unique key
/// fixed by equality.
pub fn at_most_one_row(query: &Query) -> bool {
    if let Some(Expr {
        kind: ExprKind::Literal(Literal::Integer(limit)),
        ..
    }) = &query.limit
        && *limit <= 1
    {
        return true;
    }
    match &query.body {
        SetExpression::Select(select) => select_gives_one(select),
        SetExpression::Values(rows) => rows.len() <= 1,
        SetExpression::Query(inner) => at_most_one_row(inner),
        SetExpression::Operation { .. } => false,
    }
}

fn select_gives_one(select: &Select) -> bool {
    if select.is_aggregate && select.group_by.is_empty() || select.from.is_empty() {
        return true;
    }
    let [FromItem::Relation { rte, relation, .. }] = select.from.as_slice() else {
        return false;
    };
    let mut fixed = HashSet::new();
    if let Some(filter) = &select.filter {
        fixed_columns(filter, *rte, &mut fixed);
    }
    relation.constraints.iter().any(|constraint| match &constraint.kind {
        ConstraintKind::PrimaryKey { columns } | ConstraintKind::Unique { columns } => {
            columns.iter().all(|column| fixed.contains(column))
        }
        _ => false,
    })
}

/// Columns of `rte` that a conjunction sets equal to something that is not of `rte`.
fn fixed_columns(filter: &Expr, rte: RteId, fixed: &mut HashSet<usize>) {
    match &filter.kind {
        ExprKind::And(parts) => parts.iter().for_each(|part| fixed_columns(part, rte, fixed)),
        ExprKind::Operator { operator, arguments } if operator.name == "=" => {
            if let [left, right] = arguments.as_slice() {
                for (column, other) in [(left, right), (right, left)] {
                    if let ExprKind::Column { rte: of, column } = column.kind
                        && of == rte
                        && !mentions(other, rte)
                    {
                        fixed.insert(column);
                    }
                }
            }
        }
        _ => {}
    }
}

fn mentions(expr: &Expr, rte: RteId) -> bool {
    struct Found(RteId, bool);
    impl Visitor for Found {
        fn expr(&mut self, expr: &Expr) {
            self.1 |= matches!(expr.kind, ExprKind::Column { rte, .. } if rte == self.0);
        }
    }
    let mut found = Found(rte, false);
    walk::expr(&mut found, expr);
    found.1
}

/// True if an item of FROM names columns of any of these entries.
pub fn mentions_any(item: &FromItem, entries: &[RteId]) -> bool {
    struct Found<'e>(&'e [RteId], bool);
    impl Visitor for Found<'_> {
        fn expr(&mut self, expr: &Expr) {
            self.1 |= matches!(expr.kind, ExprKind::Column { rte, .. } if self.0.contains(&rte));
        }
    }
    let mut found = Found(entries, false);
    walk::from_item(&mut found, item);
    found.1
}

/// The one value of a query that is nothing but a value.
pub fn lone_value(query: &Query) -> Option<&Expr> {
    let SetExpression::Select(select) = &query.body else {
        return None;
    };
    let [target] = select.target.as_slice() else {
        return None;
    };
    let bare = select.from.is_empty()
        && select.filter.is_none()
        && select.having.is_none()
        && !select.is_aggregate
        && query.ctes.is_empty()
        && query.limit.is_none()
        && query.offset.is_none();
    bare.then_some(&target.expr)
}

/// True if the query names columns of entries that are not its own.
pub fn refers_outside(query: &Query) -> bool {
    #[derive(Default)]
    struct Found {
        named: HashSet<RteId>,
        own: HashSet<RteId>,
    }
    impl Visitor for Found {
        fn expr(&mut self, expr: &Expr) {
            if let ExprKind::Column { rte, .. } = expr.kind {
                self.named.insert(rte);
            }
        }
        fn entry(&mut self, item: &FromItem) {
            if let FromItem::Relation { rte, .. }
            | FromItem::Subquery { rte, .. }
            | FromItem::Cte { rte, .. }
            | FromItem::Function { rte, .. } = item
            {
                self.own.insert(*rte);
            }
        }
    }
    let mut found = Found::default();
    walk::query(&mut found, query);
    !found.named.is_subset(&found.own)
}

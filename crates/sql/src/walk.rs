//! Walks over typed trees.
//!
//! Lives here: visiting every expression of a tree, subqueries included. Not here: what is looked for.

use crate::typed::{
    Assignment, ConflictAction, Cte, Distinct, Expr, ExprKind, FrameBound, FromItem, InsertSource, Query, Returning,
    SequenceCall, SetExpression, SortKey, Statement, TableFunction, Window,
};

/// Calls `visit` on `expr` and, where it answers true, on what is inside, subqueries included.
pub fn expr<'a>(expr: &'a Expr, visit: &mut dyn FnMut(&'a Expr) -> bool) {
    if visit(expr) {
        children(expr, visit);
    }
}

/// Calls `visit` on every expression directly or indirectly inside `expr`, not on `expr` itself.
pub fn children<'a>(parent: &'a Expr, visit: &mut dyn FnMut(&'a Expr) -> bool) {
    match &parent.kind {
        ExprKind::Literal(_)
        | ExprKind::Parameter(_)
        | ExprKind::Column { .. }
        | ExprKind::Output(_)
        | ExprKind::Context(_)
        | ExprKind::Default => {}
        ExprKind::Cast { expr: inner, .. }
        | ExprKind::Not(inner)
        | ExprKind::IsNull { expr: inner, .. }
        | ExprKind::BooleanTest { expr: inner, .. } => expr(inner, visit),
        ExprKind::Operator { arguments: list, .. }
        | ExprKind::Function { arguments: list, .. }
        | ExprKind::And(list)
        | ExprKind::Or(list)
        | ExprKind::Coalesce(list)
        | ExprKind::Greatest(list)
        | ExprKind::Least(list)
        | ExprKind::Array(list)
        | ExprKind::Row { fields: list, .. } => exprs(list, visit),
        ExprKind::Aggregate(aggregate) => {
            exprs(&aggregate.arguments, visit);
            sort_keys(&aggregate.order, visit);
            exprs(&aggregate.filter, visit);
        }
        ExprKind::Window(window) => window_parts(window, visit),
        ExprKind::DistinctFrom { left, right, .. }
        | ExprKind::NullIf { left, right, .. }
        | ExprKind::QuantifiedArray { left, array: right, .. }
        | ExprKind::Subscript {
            expr: left,
            index: right,
        } => {
            expr(left, visit);
            expr(right, visit);
        }
        ExprKind::Case { whens, otherwise } => {
            for (condition, result) in whens {
                expr(condition, visit);
                expr(result, visit);
            }
            if let Some(otherwise) = otherwise {
                expr(otherwise, visit);
            }
        }
        ExprKind::InList { expr: inner, list, .. } => {
            expr(inner, visit);
            exprs(list, visit);
        }
        ExprKind::QuantifiedSubquery { left, query: inner, .. } => {
            exprs(left, visit);
            query(inner, visit);
        }
        ExprKind::Exists(inner) | ExprKind::ScalarSubquery(inner) | ExprKind::ArraySubquery(inner) => {
            query(inner, visit)
        }
        ExprKind::Like {
            expr: inner,
            pattern,
            escape,
            ..
        } => {
            expr(inner, visit);
            expr(pattern, visit);
            if let Some(escape) = escape {
                expr(escape, visit);
            }
        }
        ExprKind::Routine(call) => query(&call.body, visit),
        ExprKind::Run(run) => exprs(&run.arguments, visit),
        ExprKind::Sequence(call) => {
            if let SequenceCall::SetVal { value, is_called, .. } = call.as_ref() {
                expr(value, visit);
                exprs(is_called, visit);
            }
        }
    }
}

fn exprs<'a>(list: impl IntoIterator<Item = &'a Expr>, visit: &mut dyn FnMut(&'a Expr) -> bool) {
    for item in list {
        expr(item, visit);
    }
}

fn sort_keys<'a>(keys: &'a [SortKey], visit: &mut dyn FnMut(&'a Expr) -> bool) {
    exprs(keys.iter().map(|key| &key.expr), visit);
}

fn window_parts<'a>(window: &'a Window, visit: &mut dyn FnMut(&'a Expr) -> bool) {
    exprs(&window.arguments, visit);
    exprs(&window.filter, visit);
    exprs(&window.partition, visit);
    sort_keys(&window.order, visit);
    if let Some(frame) = &window.frame {
        for bound in [&frame.start, &frame.end] {
            if let FrameBound::Preceding(offset) | FrameBound::Following(offset) = bound {
                expr(offset, visit);
            }
        }
    }
}

/// Calls `visit` on every expression of a query.
pub fn query<'a>(inner: &'a Query, visit: &mut dyn FnMut(&'a Expr) -> bool) {
    ctes(&inner.ctes, visit);
    set_expression(&inner.body, visit);
    sort_keys(&inner.order, visit);
    exprs(&inner.limit, visit);
    exprs(&inner.offset, visit);
}

fn ctes<'a>(list: &'a [Cte], visit: &mut dyn FnMut(&'a Expr) -> bool) {
    for cte in list {
        query(&cte.query, visit);
    }
}

fn set_expression<'a>(body: &'a SetExpression, visit: &mut dyn FnMut(&'a Expr) -> bool) {
    match body {
        SetExpression::Select(select) => {
            exprs(select.target.iter().map(|target| &target.expr), visit);
            from_items(&select.from, visit);
            exprs(&select.filter, visit);
            exprs(&select.group_by, visit);
            exprs(&select.having, visit);
            if let Distinct::On(keys) = &select.distinct {
                exprs(keys, visit);
            }
        }
        SetExpression::Values(rows) => exprs(rows.iter().flatten(), visit),
        SetExpression::Query(inner) => query(inner, visit),
        SetExpression::Operation { left, right, .. } => {
            set_expression(left, visit);
            set_expression(right, visit);
        }
    }
}

/// Calls `visit` on every expression of a FROM list.
pub fn from_items<'a>(items: &'a [FromItem], visit: &mut dyn FnMut(&'a Expr) -> bool) {
    for item in items {
        match item {
            FromItem::Relation { .. } | FromItem::Cte { .. } => {}
            FromItem::Subquery { query: inner, .. } => query(inner, visit),
            FromItem::Function { call, .. } => match call {
                TableFunction::Set { arguments, .. } => exprs(arguments, visit),
                TableFunction::Scalar(inner) => expr(inner, visit),
                TableFunction::Routine(call) => query(&call.body, visit),
                TableFunction::Run(run) => exprs(&run.arguments, visit),
            },
            FromItem::Join { left, right, on, .. } => {
                from_items(std::slice::from_ref(left), visit);
                from_items(std::slice::from_ref(right), visit);
                exprs(on, visit);
            }
        }
    }
}

/// Calls `visit` on every expression of a statement.
pub fn statement<'a>(statement: &'a Statement, visit: &mut dyn FnMut(&'a Expr) -> bool) {
    match statement {
        Statement::Query(inner) => query(inner, visit),
        Statement::Insert(insert) => {
            ctes(&insert.ctes, visit);
            match &insert.source {
                InsertSource::Values(rows) => exprs(rows.iter().flatten(), visit),
                InsertSource::Query(inner) => query(inner, visit),
                InsertSource::Default => {}
            }
            if let Some(conflict) = &insert.on_conflict {
                if let Some(key) = &conflict.key {
                    exprs(&key.expressions, visit);
                    exprs(&key.filter, visit);
                }
                if let ConflictAction::Update {
                    assignments: list,
                    filter,
                    ..
                } = &conflict.action
                {
                    assignments(list, visit);
                    exprs(filter, visit);
                }
            }
            returning(&insert.returning, visit);
        }
        Statement::Update(update) => {
            ctes(&update.ctes, visit);
            assignments(&update.assignments, visit);
            from_items(&update.from, visit);
            exprs(&update.filter, visit);
            returning(&update.returning, visit);
        }
        Statement::Delete(delete) => {
            ctes(&delete.ctes, visit);
            from_items(&delete.from, visit);
            exprs(&delete.filter, visit);
            returning(&delete.returning, visit);
        }
    }
}

fn assignments<'a>(list: &'a [Assignment], visit: &mut dyn FnMut(&'a Expr) -> bool) {
    for assignment in list {
        match assignment {
            Assignment::Single { value, .. } => expr(value, visit),
            Assignment::Multiple { query: inner, .. } => query(inner, visit),
        }
    }
}

fn returning<'a>(returning: &'a Option<Returning>, visit: &mut dyn FnMut(&'a Expr) -> bool) {
    if let Some(returning) = returning {
        exprs(returning.target.iter().map(|target| &target.expr), visit);
    }
}

/// True if both are the same expression, positions aside. Subqueries and volatile calls are never the same.
pub fn same(left: &Expr, right: &Expr) -> bool {
    left.ty == right.ty && left.modifier == right.modifier && same_kind(&left.kind, &right.kind)
}

fn same_list(left: &[Expr], right: &[Expr]) -> bool {
    left.len() == right.len() && left.iter().zip(right).all(|(left, right)| same(left, right))
}

fn same_optional(left: Option<&Expr>, right: Option<&Expr>) -> bool {
    match (left, right) {
        (None, None) => true,
        (Some(left), Some(right)) => same(left, right),
        _ => false,
    }
}

fn same_sort(left: &[SortKey], right: &[SortKey]) -> bool {
    left.len() == right.len()
        && left.iter().zip(right).all(|(left, right)| {
            left.descending == right.descending
                && left.nulls_first == right.nulls_first
                && same(&left.expr, &right.expr)
        })
}

fn same_kind(left: &ExprKind, right: &ExprKind) -> bool {
    use ExprKind as K;
    match (left, right) {
        (K::Literal(left), K::Literal(right)) => left == right,
        (K::Parameter(left), K::Parameter(right)) => left == right,
        (K::Column { rte: left, column: a }, K::Column { rte: right, column: b }) => left == right && a == b,
        (K::Output(left), K::Output(right)) => left == right,
        (K::Context(left), K::Context(right)) => left == right,
        (
            K::Cast {
                expr: left, context: a, ..
            },
            K::Cast {
                expr: right,
                context: b,
                ..
            },
        ) => a == b && same(left, right),
        (
            K::Operator {
                operator: a,
                arguments: left,
            },
            K::Operator {
                operator: b,
                arguments: right,
            },
        ) => std::ptr::eq(*a, *b) && same_list(left, right),
        (
            K::Function {
                function: a,
                arguments: left,
            },
            K::Function {
                function: b,
                arguments: right,
            },
        ) => std::ptr::eq(*a, *b) && same_list(left, right),
        (K::Aggregate(left), K::Aggregate(right)) => {
            std::ptr::eq(left.function, right.function)
                && left.distinct == right.distinct
                && same_list(&left.arguments, &right.arguments)
                && same_sort(&left.order, &right.order)
                && same_optional(left.filter.as_ref(), right.filter.as_ref())
        }
        (K::And(left), K::And(right))
        | (K::Or(left), K::Or(right))
        | (K::Coalesce(left), K::Coalesce(right))
        | (K::Greatest(left), K::Greatest(right))
        | (K::Least(left), K::Least(right))
        | (K::Array(left), K::Array(right)) => same_list(left, right),
        (K::Row { fields: left, .. }, K::Row { fields: right, .. }) => same_list(left, right),
        (K::Not(left), K::Not(right)) => same(left, right),
        (
            K::IsNull { expr: left, negated: a },
            K::IsNull {
                expr: right,
                negated: b,
            },
        ) => a == b && same(left, right),
        (
            K::BooleanTest {
                expr: left,
                value: a,
                negated: c,
            },
            K::BooleanTest {
                expr: right,
                value: b,
                negated: d,
            },
        ) => a == b && c == d && same(left, right),
        (
            K::DistinctFrom {
                left: a,
                right: b,
                negated: e,
                ..
            },
            K::DistinctFrom {
                left: c,
                right: d,
                negated: f,
                ..
            },
        ) => e == f && same(a, c) && same(b, d),
        (K::NullIf { left: a, right: b, .. }, K::NullIf { left: c, right: d, .. })
        | (K::Subscript { expr: a, index: b }, K::Subscript { expr: c, index: d }) => same(a, c) && same(b, d),
        (
            K::Case {
                whens: left,
                otherwise: a,
            },
            K::Case {
                whens: right,
                otherwise: b,
            },
        ) => {
            left.len() == right.len()
                && left
                    .iter()
                    .zip(right)
                    .all(|(left, right)| same(&left.0, &right.0) && same(&left.1, &right.1))
                && same_optional(a.as_deref(), b.as_deref())
        }
        (
            K::InList {
                expr: a,
                list: left,
                negated: c,
                ..
            },
            K::InList {
                expr: b,
                list: right,
                negated: d,
                ..
            },
        ) => c == d && same(a, b) && same_list(left, right),
        (
            K::Like {
                kind: g,
                expr: a,
                pattern: b,
                escape: c,
                negated: h,
            },
            K::Like {
                kind: i,
                expr: d,
                pattern: e,
                escape: f,
                negated: j,
            },
        ) => g == i && h == j && same(a, d) && same(b, e) && same_optional(c.as_deref(), f.as_deref()),
        _ => false,
    }
}

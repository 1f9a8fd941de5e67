//! Walks typed trees: which relations and columns a statement uses, and what else its shape tells.

use mainstay_core::catalog::Volatility;
use mainstay_sql::typed::{
    Assignment, ConflictAction, Cte, Delete, Distinct, Expr, ExprKind, FrameBound, FromItem, Insert, InsertSource,
    Query, RoutineCall, RoutineRun, Select, SequenceCall, SetExpression, SortKey, TableFunction, Update, Window,
};

/// What is met on the way; every method may stay empty.
pub trait Visitor {
    /// Before an expression's parts.
    fn expr(&mut self, _expr: &Expr) {}
    /// Before a FROM item's parts.
    fn entry(&mut self, _item: &FromItem) {}
    /// Before the arguments of a routine that is run.
    fn run(&mut self, _run: &RoutineRun) {}
    /// Before a routine's body.
    fn enter_routine(&mut self, _call: &RoutineCall) {}
    /// After a routine's body.
    fn leave_routine(&mut self, _call: &RoutineCall) {}
}

/// True if an expression names a column, of whatever entry.
pub fn has_columns(node: &Expr) -> bool {
    struct Found(bool);
    impl Visitor for Found {
        fn expr(&mut self, expr: &Expr) {
            self.0 |= matches!(expr.kind, ExprKind::Column { .. });
        }
    }
    let mut found = Found(false);
    expr(&mut found, node);
    found.0
}

/// Walks an expression and everything below it, subqueries included.
pub fn expr(visitor: &mut dyn Visitor, node: &Expr) {
    visitor.expr(node);
    match &node.kind {
        ExprKind::Literal(_)
        | ExprKind::Parameter(_)
        | ExprKind::Column { .. }
        | ExprKind::Output(_)
        | ExprKind::Context(_)
        | ExprKind::Default => {}
        ExprKind::Cast { expr: inner, .. }
        | ExprKind::Not(inner)
        | ExprKind::IsNull { expr: inner, .. }
        | ExprKind::BooleanTest { expr: inner, .. } => expr(visitor, inner),
        ExprKind::Operator { arguments, .. } | ExprKind::Function { arguments, .. } => exprs(visitor, arguments),
        ExprKind::And(parts)
        | ExprKind::Or(parts)
        | ExprKind::Coalesce(parts)
        | ExprKind::Greatest(parts)
        | ExprKind::Least(parts)
        | ExprKind::Array(parts)
        | ExprKind::Row { fields: parts, .. } => exprs(visitor, parts),
        ExprKind::Aggregate(call) => {
            exprs(visitor, &call.arguments);
            keys(visitor, &call.order);
            exprs(visitor, &call.filter);
        }
        ExprKind::Window(call) => window(visitor, call),
        ExprKind::DistinctFrom { left, right, .. } | ExprKind::NullIf { left, right, .. } => {
            expr(visitor, left);
            expr(visitor, right);
        }
        ExprKind::Case { whens, otherwise } => {
            for (condition, value) in whens {
                expr(visitor, condition);
                expr(visitor, value);
            }
            if let Some(value) = otherwise {
                expr(visitor, value);
            }
        }
        ExprKind::InList { expr: inner, list, .. } => {
            expr(visitor, inner);
            exprs(visitor, list);
        }
        ExprKind::QuantifiedSubquery { left, query: inner, .. } => {
            exprs(visitor, left);
            query(visitor, inner);
        }
        ExprKind::QuantifiedArray { left, array, .. } => {
            expr(visitor, left);
            expr(visitor, array);
        }
        ExprKind::Exists(inner) | ExprKind::ScalarSubquery(inner) | ExprKind::ArraySubquery(inner) => {
            query(visitor, inner)
        }
        ExprKind::Like {
            expr: inner,
            pattern,
            escape,
            ..
        } => {
            expr(visitor, inner);
            expr(visitor, pattern);
            if let Some(escape) = escape {
                expr(visitor, escape);
            }
        }
        ExprKind::Subscript { expr: inner, index } => {
            expr(visitor, inner);
            expr(visitor, index);
        }
        ExprKind::Routine(call) => routine(visitor, call),
        ExprKind::Run(call) => run(visitor, call),
        ExprKind::Sequence(call) => {
            if let SequenceCall::SetVal { value, is_called, .. } = &**call {
                expr(visitor, value);
                exprs(visitor, is_called);
            }
        }
    }
}

/// Walks a query with everything below it.
pub fn query(visitor: &mut dyn Visitor, node: &Query) {
    ctes(visitor, &node.ctes);
    body(visitor, &node.body);
    keys(visitor, &node.order);
    exprs(visitor, &node.limit);
    exprs(visitor, &node.offset);
}

/// Walks an `INSERT`.
pub fn insert(visitor: &mut dyn Visitor, node: &Insert) {
    ctes(visitor, &node.ctes);
    match &node.source {
        InsertSource::Values(rows) => rows.iter().for_each(|row| exprs(visitor, row)),
        InsertSource::Query(inner) => query(visitor, inner),
        InsertSource::Default => {}
    }
    if let Some(conflict) = &node.on_conflict {
        if let Some(key) = &conflict.key {
            exprs(visitor, &key.expressions);
            exprs(visitor, &key.filter);
        }
        if let ConflictAction::Update {
            assignments: list,
            filter,
            ..
        } = &conflict.action
        {
            assignments(visitor, list);
            exprs(visitor, filter);
        }
    }
    if let Some(returning) = &node.returning {
        returning.target.iter().for_each(|target| expr(visitor, &target.expr));
    }
}

/// Walks an `UPDATE`.
pub fn update(visitor: &mut dyn Visitor, node: &Update) {
    ctes(visitor, &node.ctes);
    assignments(visitor, &node.assignments);
    node.from.iter().for_each(|item| from_item(visitor, item));
    exprs(visitor, &node.filter);
    if let Some(returning) = &node.returning {
        returning.target.iter().for_each(|target| expr(visitor, &target.expr));
    }
}

/// Walks a `DELETE`.
pub fn delete(visitor: &mut dyn Visitor, node: &Delete) {
    ctes(visitor, &node.ctes);
    node.from.iter().for_each(|item| from_item(visitor, item));
    exprs(visitor, &node.filter);
    if let Some(returning) = &node.returning {
        returning.target.iter().for_each(|target| expr(visitor, &target.expr));
    }
}

/// Walks one entry of FROM.
pub fn from_item(visitor: &mut dyn Visitor, item: &FromItem) {
    visitor.entry(item);
    match item {
        FromItem::Relation { .. } | FromItem::Cte { .. } => {}
        FromItem::Subquery { query: inner, .. } => query(visitor, inner),
        FromItem::Function { call, .. } => match call {
            TableFunction::Set { arguments, .. } => exprs(visitor, arguments),
            TableFunction::Scalar(inner) => expr(visitor, inner),
            TableFunction::Routine(call) => routine(visitor, call),
            TableFunction::Run(call) => run(visitor, call),
        },
        FromItem::Join { left, right, on, .. } => {
            from_item(visitor, left);
            from_item(visitor, right);
            exprs(visitor, on);
        }
    }
}

fn exprs<'a>(visitor: &mut dyn Visitor, nodes: impl IntoIterator<Item = &'a Expr>) {
    nodes.into_iter().for_each(|node| expr(visitor, node));
}

fn keys(visitor: &mut dyn Visitor, order: &[SortKey]) {
    order.iter().for_each(|key| expr(visitor, &key.expr));
}

fn ctes(visitor: &mut dyn Visitor, nodes: &[Cte]) {
    nodes.iter().for_each(|cte| query(visitor, &cte.query));
}

fn routine(visitor: &mut dyn Visitor, call: &RoutineCall) {
    visitor.enter_routine(call);
    query(visitor, &call.body);
    visitor.leave_routine(call);
}

fn run(visitor: &mut dyn Visitor, call: &RoutineRun) {
    visitor.run(call);
    exprs(visitor, &call.arguments);
}

fn assignments(visitor: &mut dyn Visitor, nodes: &[Assignment]) {
    for assignment in nodes {
        match assignment {
            Assignment::Single { value, .. } => expr(visitor, value),
            Assignment::Multiple { query: inner, .. } => query(visitor, inner),
        }
    }
}

fn window(visitor: &mut dyn Visitor, call: &Window) {
    exprs(visitor, &call.arguments);
    exprs(visitor, &call.filter);
    exprs(visitor, &call.partition);
    keys(visitor, &call.order);
    let bounds = call.frame.iter().flat_map(|frame| [&frame.start, &frame.end]);
    for bound in bounds {
        if let FrameBound::Preceding(offset) | FrameBound::Following(offset) = bound {
            expr(visitor, offset);
        }
    }
}

fn body(visitor: &mut dyn Visitor, node: &SetExpression) {
    match node {
        SetExpression::Select(inner) => select(visitor, inner),
        SetExpression::Values(rows) => rows.iter().for_each(|row| exprs(visitor, row)),
        SetExpression::Query(inner) => query(visitor, inner),
        SetExpression::Operation { left, right, .. } => {
            body(visitor, left);
            body(visitor, right);
        }
    }
}

/// Walks one `SELECT`.
pub fn select(visitor: &mut dyn Visitor, node: &Select) {
    if let Distinct::On(parts) = &node.distinct {
        exprs(visitor, parts);
    }
    node.target.iter().for_each(|target| expr(visitor, &target.expr));
    node.from.iter().for_each(|item| from_item(visitor, item));
    exprs(visitor, &node.filter);
    exprs(visitor, &node.group_by);
    exprs(visitor, &node.having);
}

/// How often relations stand in FROM of what is walked.
pub fn relations(walk: impl FnOnce(&mut dyn Visitor)) -> usize {
    struct Count(usize);
    impl Visitor for Count {
        fn entry(&mut self, item: &FromItem) {
            self.0 += usize::from(matches!(item, FromItem::Relation { .. }));
        }
    }
    let mut count = Count(0);
    walk(&mut count);
    count.0
}

/// True if what is walked runs a routine that may write.
pub fn runs_volatile(walk: impl FnOnce(&mut dyn Visitor)) -> bool {
    struct Found(bool);
    impl Visitor for Found {
        fn run(&mut self, run: &RoutineRun) {
            self.0 |= run.routine.volatility == Volatility::Volatile;
        }
    }
    let mut found = Found(false);
    walk(&mut found);
    found.0
}

/// True if the expression has a subquery anywhere.
pub fn has_subquery(node: &Expr) -> bool {
    struct Found(bool);
    impl Visitor for Found {
        fn expr(&mut self, node: &Expr) {
            self.0 |= matches!(
                node.kind,
                ExprKind::Exists(_)
                    | ExprKind::ScalarSubquery(_)
                    | ExprKind::ArraySubquery(_)
                    | ExprKind::QuantifiedSubquery { .. }
            );
        }
        fn enter_routine(&mut self, _: &RoutineCall) {
            self.0 = true;
        }
        fn run(&mut self, _: &RoutineRun) {
            self.0 = true;
        }
    }
    let mut found = Found(false);
    expr(&mut found, node);
    found.0
}

//! Goes through statements as written and through typed trees, so that names and columns can be found in them.
//!
//! Lives here: the ways through every form. Not here: what is done with what is found (`spell`, `dependency`).

use mainstay_core::name::Ident;

use crate::ast;
use crate::typed;

/// A name in a statement as written.
pub(crate) enum Written<'a> {
    Relation {
        name: &'a ast::ObjectName,
        aliased: bool,
    },
    Function(&'a ast::FunctionCall),
    Type(&'a ast::TypeName),
    /// `a.b.c` and where it stands.
    Column(&'a [Ident], u32),
    Star,
    /// An entry of a select list.
    Item(&'a ast::SelectItem),
    NaturalJoin,
    /// A common table expression's name.
    Cte(&'a Ident),
}

type Found<'f, 'a> = &'f mut dyn FnMut(Written<'a>);

/// Every name in a query.
pub(crate) fn query<'a>(query: &'a ast::Query, found: Found<'_, 'a>) {
    with(query.with.as_ref(), found);
    set_expression(&query.body, found);
    sort(&query.order, found);
    for part in [&query.limit, &query.offset].into_iter().flatten() {
        expression(part, found);
    }
}

fn with<'a>(with: Option<&'a ast::With>, found: Found<'_, 'a>) {
    for cte in with.iter().flat_map(|with| &with.ctes) {
        found(Written::Cte(&cte.name));
        query(&cte.query, found);
    }
}

fn set_expression<'a>(body: &'a ast::SetExpression, found: Found<'_, 'a>) {
    match body {
        ast::SetExpression::Select(select) => self::select(select, found),
        ast::SetExpression::Values(rows) => rows.iter().flatten().for_each(|value| expression(value, found)),
        ast::SetExpression::Query(inner) => query(inner, found),
        ast::SetExpression::Operation { left, right, .. } => {
            set_expression(left, found);
            set_expression(right, found);
        }
    }
}

fn select<'a>(select: &'a ast::Select, found: Found<'_, 'a>) {
    if let ast::Distinct::On(keys) = &select.distinct {
        keys.iter().for_each(|key| expression(key, found));
    }
    for item in &select.target {
        found(Written::Item(item));
        expression(&item.expr, found);
    }
    select.from.iter().for_each(|item| from_item(item, found));
    select
        .filter
        .iter()
        .chain(&select.group_by)
        .chain(&select.having)
        .for_each(|part| expression(part, found));
    select.windows.iter().for_each(|part| window(part, found));
}

fn from_item<'a>(item: &'a ast::FromItem, found: Found<'_, 'a>) {
    match item {
        ast::FromItem::Relation { name, alias } => found(Written::Relation {
            name,
            aliased: alias.is_some(),
        }),
        ast::FromItem::Subquery { query: inner, .. } => query(inner, found),
        ast::FromItem::Function { call, .. } => function(call, found),
        ast::FromItem::Join {
            left, right, condition, ..
        } => {
            from_item(left, found);
            from_item(right, found);
            match condition {
                ast::JoinCondition::On(on) => expression(on, found),
                ast::JoinCondition::Natural => found(Written::NaturalJoin),
                ast::JoinCondition::None | ast::JoinCondition::Using { .. } => {}
            }
        }
    }
}

fn sort<'a>(items: &'a [ast::SortItem], found: Found<'_, 'a>) {
    items.iter().for_each(|item| expression(&item.expr, found));
}

fn window<'a>(window: &'a ast::Window, found: Found<'_, 'a>) {
    window.partition.iter().for_each(|part| expression(part, found));
    sort(&window.order, found);
    for bound in window.frame.iter().flat_map(|frame| [&frame.start, &frame.end]) {
        if let ast::FrameBound::Preceding(offset) | ast::FrameBound::Following(offset) = bound {
            expression(offset, found);
        }
    }
}

fn function<'a>(call: &'a ast::FunctionCall, found: Found<'_, 'a>) {
    found(Written::Function(call));
    call.arguments
        .iter()
        .for_each(|argument| expression(&argument.value, found));
    sort(&call.order, found);
    call.filter.iter().for_each(|filter| expression(filter, found));
    call.over.iter().for_each(|over| window(over, found));
}

/// Every name in an expression.
pub(crate) fn expression<'a>(expr: &'a ast::Expr, found: Found<'_, 'a>) {
    use ast::ExprKind as Kind;
    let mut all = |parts: &mut dyn Iterator<Item = &'a ast::Expr>| parts.for_each(|part| expression(part, found));
    match &expr.kind {
        Kind::Null
        | Kind::Bool(_)
        | Kind::Integer(_)
        | Kind::Number(_)
        | Kind::String(_)
        | Kind::Parameter(_)
        | Kind::Value { .. }
        | Kind::Default => {}
        Kind::Column(names) => found(Written::Column(names, expr.position)),
        Kind::Star(_) => found(Written::Star),
        Kind::Field { expr: inner, .. } | Kind::Not(inner) => expression(inner, found),
        Kind::IsNull { expr: inner, .. } | Kind::BooleanTest { expr: inner, .. } => expression(inner, found),
        Kind::Collate { expr: inner, .. } => expression(inner, found),
        Kind::Subscript {
            expr: inner,
            lower,
            upper,
            ..
        } => {
            all(&mut std::iter::once(&**inner)
                .chain(lower.as_deref())
                .chain(upper.as_deref()));
        }
        Kind::Operator { left, right, .. } => all(&mut left.as_deref().into_iter().chain([&**right])),
        Kind::QuantifiedArray { left, right, .. }
        | Kind::DistinctFrom { left, right, .. }
        | Kind::NullIf { left, right } => all(&mut [&**left, &**right].into_iter()),
        Kind::And(parts)
        | Kind::Or(parts)
        | Kind::Coalesce(parts)
        | Kind::Greatest(parts)
        | Kind::Least(parts)
        | Kind::Row(parts)
        | Kind::Array(parts)
        | Kind::Grouping(parts) => all(&mut parts.iter()),
        Kind::InList { expr: inner, list, .. } => all(&mut std::iter::once(&**inner).chain(list)),
        Kind::Like {
            expr: inner,
            pattern,
            escape,
            ..
        } => {
            all(&mut [&**inner, &**pattern].into_iter().chain(escape.as_deref()));
        }
        Kind::Between {
            expr: inner, low, high, ..
        } => all(&mut [&**inner, &**low, &**high].into_iter()),
        Kind::Case {
            operand,
            whens,
            otherwise,
        } => all(&mut operand
            .as_deref()
            .into_iter()
            .chain(whens.iter().flat_map(|(when, then)| [when, then]))
            .chain(otherwise.as_deref())),
        Kind::Cast { expr: inner, ty } => {
            expression(inner, found);
            found(Written::Type(ty));
        }
        Kind::Function(call) => function(call, found),
        Kind::ScalarSubquery(inner) | Kind::Exists(inner) | Kind::ArraySubquery(inner) => query(inner, found),
        Kind::QuantifiedSubquery { left, query: inner, .. } => {
            expression(left, found);
            query(inner, found);
        }
    }
}

/// A place in a typed tree.
pub(crate) enum Typed<'a> {
    Expr(&'a typed::Expr),
    From(&'a typed::FromItem),
    /// A subquery of any kind inside an expression.
    Subquery,
}

type Visit<'f, 'a> = &'f mut dyn FnMut(Typed<'a>);

/// Every place in a typed query.
pub(super) fn typed_query<'a>(query: &'a typed::Query, visit: Visit<'_, 'a>) {
    query.ctes.iter().for_each(|cte| typed_query(&cte.query, visit));
    typed_set(&query.body, visit);
    typed_sort(&query.order, visit);
    query
        .limit
        .iter()
        .chain(&query.offset)
        .for_each(|part| typed_expr(part, visit));
}

fn typed_set<'a>(body: &'a typed::SetExpression, visit: Visit<'_, 'a>) {
    match body {
        typed::SetExpression::Select(select) => {
            if let typed::Distinct::On(keys) = &select.distinct {
                keys.iter().for_each(|key| typed_expr(key, visit));
            }
            select.target.iter().for_each(|target| typed_expr(&target.expr, visit));
            select.from.iter().for_each(|item| typed_from(item, visit));
            let rest = select.filter.iter().chain(&select.group_by).chain(&select.having);
            rest.for_each(|part| typed_expr(part, visit));
        }
        typed::SetExpression::Values(rows) => rows.iter().flatten().for_each(|value| typed_expr(value, visit)),
        typed::SetExpression::Query(inner) => typed_query(inner, visit),
        typed::SetExpression::Operation { left, right, .. } => {
            typed_set(left, visit);
            typed_set(right, visit);
        }
    }
}

fn typed_from<'a>(item: &'a typed::FromItem, visit: Visit<'_, 'a>) {
    visit(Typed::From(item));
    match item {
        typed::FromItem::Relation { .. } | typed::FromItem::Cte { .. } => {}
        typed::FromItem::Subquery { query, .. } => typed_query(query, visit),
        typed::FromItem::Function { call, .. } => match call {
            typed::TableFunction::Set { arguments, .. } => arguments.iter().for_each(|part| typed_expr(part, visit)),
            typed::TableFunction::Scalar(expr) => typed_expr(expr, visit),
            typed::TableFunction::Routine(call) => routine_arguments(&call.body, visit),
            typed::TableFunction::Run(run) => run.arguments.iter().for_each(|part| typed_expr(part, visit)),
        },
        typed::FromItem::Join { left, right, on, .. } => {
            typed_from(left, visit);
            typed_from(right, visit);
            on.iter().for_each(|on| typed_expr(on, visit));
        }
    }
}

/// Of a body in place of a call only the call's arguments belong to the text; they alone have positions.
fn routine_arguments<'a>(body: &'a typed::Query, visit: Visit<'_, 'a>) {
    typed_query(body, &mut |place| {
        if let Typed::Expr(typed::Expr { position: 1.., .. }) = place {
            visit(place);
        }
    });
}

fn typed_sort<'a>(keys: &'a [typed::SortKey], visit: Visit<'_, 'a>) {
    keys.iter().for_each(|key| typed_expr(&key.expr, visit));
}

/// Every place in a typed expression, itself first.
pub(crate) fn typed_expr<'a>(expr: &'a typed::Expr, visit: Visit<'_, 'a>) {
    use typed::ExprKind as Kind;
    visit(Typed::Expr(expr));
    let mut all = |parts: &mut dyn Iterator<Item = &'a typed::Expr>| parts.for_each(|part| typed_expr(part, visit));
    match &expr.kind {
        Kind::Literal(_)
        | Kind::Parameter(_)
        | Kind::Column { .. }
        | Kind::Output(_)
        | Kind::Context(_)
        | Kind::Default => {}
        Kind::Cast { expr: inner, .. }
        | Kind::Not(inner)
        | Kind::IsNull { expr: inner, .. }
        | Kind::BooleanTest { expr: inner, .. } => typed_expr(inner, visit),
        Kind::Operator { arguments, .. } | Kind::Function { arguments, .. } => all(&mut arguments.iter()),
        Kind::Aggregate(call) => {
            all(&mut call.arguments.iter());
            typed_sort(&call.order, visit);
            call.filter.iter().for_each(|filter| typed_expr(filter, visit));
        }
        Kind::Window(call) => {
            all(&mut call.arguments.iter().chain(&call.partition).chain(&call.filter));
            typed_sort(&call.order, visit);
            for bound in call.frame.iter().flat_map(|frame| [&frame.start, &frame.end]) {
                if let typed::FrameBound::Preceding(offset) | typed::FrameBound::Following(offset) = bound {
                    typed_expr(offset, visit);
                }
            }
        }
        Kind::And(parts)
        | Kind::Or(parts)
        | Kind::Coalesce(parts)
        | Kind::Greatest(parts)
        | Kind::Least(parts)
        | Kind::Array(parts)
        | Kind::Row { fields: parts, .. } => all(&mut parts.iter()),
        Kind::DistinctFrom { left, right, .. } | Kind::NullIf { left, right, .. } => {
            all(&mut [&**left, &**right].into_iter());
        }
        Kind::Case { whens, otherwise } => {
            all(&mut whens
                .iter()
                .flat_map(|(when, then)| [when, then])
                .chain(otherwise.as_deref()));
        }
        Kind::InList { expr: inner, list, .. } => all(&mut std::iter::once(&**inner).chain(list)),
        Kind::QuantifiedSubquery { left, query, .. } => {
            all(&mut left.iter());
            visit(Typed::Subquery);
            typed_query(query, visit);
        }
        Kind::QuantifiedArray { left, array, .. } => all(&mut [&**left, &**array].into_iter()),
        Kind::Exists(query) | Kind::ScalarSubquery(query) | Kind::ArraySubquery(query) => {
            visit(Typed::Subquery);
            typed_query(query, visit);
        }
        Kind::Like {
            expr: inner,
            pattern,
            escape,
            ..
        } => {
            all(&mut [&**inner, &**pattern].into_iter().chain(escape.as_deref()));
        }
        Kind::Subscript { expr: inner, index } => all(&mut [&**inner, &**index].into_iter()),
        Kind::Routine(call) => routine_arguments(&call.body, visit),
        Kind::Run(run) => all(&mut run.arguments.iter()),
        Kind::Sequence(call) => {
            if let typed::SequenceCall::SetVal { value, is_called, .. } = &**call {
                all(&mut std::iter::once(value).chain(is_called));
            }
        }
    }
}

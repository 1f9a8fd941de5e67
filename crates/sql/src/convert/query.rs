//! Queries: WITH, set operations, SELECT, FROM.

use mainstay_core::name::Ident;
use pg_query::NodeEnum;
use pg_query::protobuf::{
    self, CteMaterialize, JoinType, LimitOption, LockClauseStrength, Node, SelectStmt, SortByDir, SortByNulls,
};

use super::context::QUERY_LEVELS;
use super::expr::{expression, function_call, optional, window};
use super::names::{alias, idents, relation};
use super::{Context, Converted, items, kind, required};
use crate::ast::{
    Cte, Distinct, FromItem, FunctionCall, JoinCondition, JoinKind, Locking, Query, Select, SelectItem, SetExpression,
    SetOperator, SortItem, With,
};

/// Reads a query.
pub(super) fn query(select: &SelectStmt, ctx: &Context<'_>) -> Converted<Query> {
    ctx.nested(QUERY_LEVELS, -1, || query_parts(select, ctx))
}

fn query_parts(select: &SelectStmt, ctx: &Context<'_>) -> Converted<Query> {
    Ok(Query {
        with: with(select.with_clause.as_ref(), ctx)?,
        body: body(select, ctx)?,
        order: sort_items(&select.sort_clause, ctx)?,
        limit: optional(&select.limit_count, ctx)?,
        offset: optional(&select.limit_offset, ctx)?,
        with_ties: select.limit_option() == LimitOption::WithTies,
        locking: select.locking_clause.iter().filter_map(locking).collect(),
        position: first_position(select, ctx),
    })
}

/// Reads the query of a node that must be one. Errors: 0A000 for a statement that writes.
pub(super) fn subquery(node: &Node, ctx: &Context<'_>) -> Converted<Query> {
    match kind(node)? {
        NodeEnum::SelectStmt(select) => query(select, ctx),
        _ => Err(ctx.refuse("statements that write within a query", -1, Some("separate statements"))),
    }
}

/// Where the first thing of a query stands that has a position.
fn first_position(select: &SelectStmt, ctx: &Context<'_>) -> u32 {
    match select.target_list.first().and_then(|node| node.node.as_ref()) {
        Some(NodeEnum::ResTarget(target)) => ctx.position(target.location),
        _ => 0,
    }
}

pub(super) fn with(clause: Option<&protobuf::WithClause>, ctx: &Context<'_>) -> Converted<Option<With>> {
    let Some(clause) = clause else { return Ok(None) };
    let mut ctes = Vec::with_capacity(clause.ctes.len());
    for node in &clause.ctes {
        let NodeEnum::CommonTableExpr(cte) = kind(node)? else {
            continue;
        };
        if cte.search_clause.is_some() || cte.cycle_clause.is_some() {
            return Err(ctx.refuse("SEARCH and CYCLE", cte.location, None));
        }
        let inner = required(&cte.ctequery)?;
        if !matches!(kind(inner)?, NodeEnum::SelectStmt(_)) {
            return Err(ctx.refuse(
                "statements that write within WITH",
                cte.location,
                Some("separate statements"),
            ));
        }
        ctes.push(Cte {
            name: Ident::new(&cte.ctename),
            columns: idents(&cte.aliascolnames),
            materialized: match cte.ctematerialized() {
                CteMaterialize::Always => Some(true),
                CteMaterialize::Never => Some(false),
                _ => None,
            },
            query: subquery(inner, ctx)?,
            position: ctx.position(cte.location),
        });
    }
    Ok(Some(With {
        recursive: clause.recursive,
        ctes,
    }))
}

fn locking(node: &Node) -> Option<Locking> {
    match node.node.as_ref()? {
        // 1: block, 2: skip locked, 3: nowait.
        NodeEnum::LockingClause(clause) => Some(Locking {
            skips_or_fails: clause.wait_policy > 1,
            clause: match clause.strength() {
                LockClauseStrength::LcsForkeyshare => "FOR KEY SHARE",
                LockClauseStrength::LcsForshare => "FOR SHARE",
                LockClauseStrength::LcsFornokeyupdate => "FOR NO KEY UPDATE",
                _ => "FOR UPDATE",
            },
        }),
        _ => None,
    }
}

fn body(select: &SelectStmt, ctx: &Context<'_>) -> Converted<SetExpression> {
    let operator = match select.op() {
        protobuf::SetOperation::SetopUnion => SetOperator::Union,
        protobuf::SetOperation::SetopIntersect => SetOperator::Intersect,
        protobuf::SetOperation::SetopExcept => SetOperator::Except,
        _ if !select.values_lists.is_empty() => {
            let rows = select.values_lists.iter().map(|row| expressions(items(row), ctx));
            return Ok(SetExpression::Values(rows.collect::<Converted<_>>()?));
        }
        _ => return Ok(SetExpression::Select(Box::new(select_body(select, ctx)?))),
    };
    let side = |side: &Option<Box<SelectStmt>>| match side {
        Some(side) => ctx.nested(1, -1, || operand(side, ctx)),
        None => Err(mainstay_core::error::DatabaseError::new(
            "XX000",
            "the parser left out a query",
        )),
    };
    Ok(SetExpression::Operation {
        operator,
        all: select.all,
        left: Box::new(side(&select.larg)?),
        right: Box::new(side(&select.rarg)?),
    })
}

/// One side of a set operation: bare, or a query of its own when it has more than a body.
fn operand(select: &SelectStmt, ctx: &Context<'_>) -> Converted<SetExpression> {
    let is_bare = select.with_clause.is_none()
        && select.sort_clause.is_empty()
        && select.limit_count.is_none()
        && select.limit_offset.is_none()
        && select.locking_clause.is_empty();
    if is_bare {
        body(select, ctx)
    } else {
        Ok(SetExpression::Query(Box::new(query(select, ctx)?)))
    }
}

fn select_body(select: &SelectStmt, ctx: &Context<'_>) -> Converted<Select> {
    if select.into_clause.is_some() {
        return Err(ctx.refuse("SELECT INTO", -1, Some("CREATE TABLE and INSERT … SELECT")));
    }
    let distinct = match select.distinct_clause.as_slice() {
        [] => Distinct::All,
        // The grammar marks plain DISTINCT by a list with one empty node.
        [only] if only.node.is_none() => Distinct::Distinct,
        keys => Distinct::On(expressions(keys, ctx)?),
    };
    for node in &select.group_clause {
        if let NodeEnum::GroupingSet(set) = kind(node)? {
            return Err(ctx.refuse("GROUPING SETS, ROLLUP and CUBE", set.location, Some("UNION ALL")));
        }
    }
    Ok(Select {
        distinct,
        target: select_items(&select.target_list, ctx)?,
        from: select
            .from_clause
            .iter()
            .map(|node| from_item(node, ctx))
            .collect::<Converted<_>>()?,
        filter: optional(&select.where_clause, ctx)?,
        group_by: expressions(&select.group_clause, ctx)?,
        having: optional(&select.having_clause, ctx)?,
        windows: select
            .window_clause
            .iter()
            .filter_map(|node| match &node.node {
                Some(NodeEnum::WindowDef(definition)) => Some(window(definition, ctx)),
                _ => None,
            })
            .collect::<Converted<_>>()?,
    })
}

pub(super) fn expressions(nodes: &[Node], ctx: &Context<'_>) -> Converted<Vec<crate::ast::Expr>> {
    nodes.iter().map(|node| expression(node, ctx)).collect()
}

pub(super) fn select_items(nodes: &[Node], ctx: &Context<'_>) -> Converted<Vec<SelectItem>> {
    let mut found = Vec::with_capacity(nodes.len());
    for node in nodes {
        if let NodeEnum::ResTarget(target) = kind(node)? {
            found.push(SelectItem {
                expr: expression(required(&target.val)?, ctx)?,
                alias: (!target.name.is_empty()).then(|| Ident::new(&target.name)),
            });
        }
    }
    Ok(found)
}

pub(super) fn sort_items(nodes: &[Node], ctx: &Context<'_>) -> Converted<Vec<SortItem>> {
    let mut found = Vec::with_capacity(nodes.len());
    for node in nodes {
        let NodeEnum::SortBy(sort) = kind(node)? else { continue };
        if sort.sortby_dir() == SortByDir::SortbyUsing {
            return Err(ctx.refuse("ORDER BY … USING", sort.location, Some("ASC or DESC")));
        }
        found.push(SortItem {
            expr: expression(required(&sort.node)?, ctx)?,
            descending: sort.sortby_dir() == SortByDir::SortbyDesc,
            nulls_first: match sort.sortby_nulls() {
                SortByNulls::SortbyNullsFirst => Some(true),
                SortByNulls::SortbyNullsLast => Some(false),
                _ => None,
            },
        });
    }
    Ok(found)
}

/// Reads one entry of FROM or USING.
pub(super) fn from_item(node: &Node, ctx: &Context<'_>) -> Converted<FromItem> {
    match kind(node)? {
        NodeEnum::RangeVar(var) => Ok(FromItem::Relation {
            name: relation(ctx, var),
            alias: alias(var.alias.as_ref()),
        }),
        NodeEnum::RangeSubselect(select) => Ok(FromItem::Subquery {
            query: Box::new(subquery(required(&select.subquery)?, ctx)?),
            alias: alias(select.alias.as_ref()),
            lateral: select.lateral,
            position: 0,
        }),
        NodeEnum::RangeFunction(function) => table_function(function, ctx),
        NodeEnum::JoinExpr(join) => ctx.nested(1, -1, || join_item(join, ctx)),
        NodeEnum::RangeTableSample(sample) => Err(ctx.refuse("TABLESAMPLE", sample.location, None)),
        NodeEnum::RangeTableFunc(table) => Err(ctx.refuse("XMLTABLE", table.location, None)),
        NodeEnum::JsonTable(table) => {
            Err(ctx.refuse("JSON_TABLE", table.location, Some("jsonb_array_elements and ->>")))
        }
        _ => Err(ctx.refuse("this kind of FROM entry", -1, None)),
    }
}

fn table_function(function: &protobuf::RangeFunction, ctx: &Context<'_>) -> Converted<FromItem> {
    if function.is_rowsfrom {
        return Err(ctx.refuse("ROWS FROM", -1, Some("a join of the functions")));
    }
    let mut definitions = Vec::with_capacity(function.coldeflist.len());
    for node in &function.coldeflist {
        if let NodeEnum::ColumnDef(column) = kind(node)?
            && let Some(ty) = &column.type_name
        {
            definitions.push((Ident::new(&column.colname), ctx.type_name(ty)?));
        }
    }
    let Some(node) = function.functions.first().and_then(|pair| items(pair).first()) else {
        return Err(ctx.refuse("this kind of FROM entry", -1, None));
    };
    let (call, location): (FunctionCall, i32) = match kind(node)? {
        NodeEnum::FuncCall(call) => (function_call(call, ctx)?, call.location),
        _ => return Err(ctx.refuse("this kind of function in FROM", -1, Some("a subquery"))),
    };
    Ok(FromItem::Function {
        call: Box::new(call),
        alias: alias(function.alias.as_ref()),
        definitions,
        ordinality: function.ordinality,
        lateral: function.lateral,
        position: ctx.position(location),
    })
}

fn join_item(join: &protobuf::JoinExpr, ctx: &Context<'_>) -> Converted<FromItem> {
    let condition = if join.is_natural {
        JoinCondition::Natural
    } else if !join.using_clause.is_empty() {
        JoinCondition::Using {
            columns: idents(&join.using_clause),
            alias: join.join_using_alias.as_ref().map(|alias| Ident::new(&alias.aliasname)),
        }
    } else {
        match optional(&join.quals, ctx)? {
            Some(condition) => JoinCondition::On(condition),
            None => JoinCondition::None,
        }
    };
    Ok(FromItem::Join {
        kind: match join.jointype() {
            JoinType::JoinLeft => JoinKind::Left,
            JoinType::JoinRight => JoinKind::Right,
            JoinType::JoinFull => JoinKind::Full,
            _ => JoinKind::Inner,
        },
        left: Box::new(from_item(required(&join.larg)?, ctx)?),
        right: Box::new(from_item(required(&join.rarg)?, ctx)?),
        condition,
        alias: alias(join.alias.as_ref()),
        position: 0,
    })
}

//! A condition taken apart: the members of its ANDs and ORs, and what each of them looks at.

use mainstay_core::name::Ident;
use pg_query::NodeEnum;
use pg_query::protobuf::{AExprKind, BoolExprType, Node, SelectStmt, SubLinkType};

use super::ddl::of_expression;
use super::{Converted, kind};

/// How deep a condition is looked into.
const DEPTH_MAX: usize = 60;

/// A member of a condition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leaf {
    /// As the parser's own printer spells it.
    pub text: String,
    pub columns: Vec<ColumnName>,
    /// Its largest parts that name no column and call something: the same for every row.
    pub calls: Vec<String>,
    /// It is a column that must equal something that is the same for every row.
    pub equals: Option<ColumnName>,
}

/// A column's name as it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ColumnName {
    /// `a`, `t.a`, `s.t.a`; a star is left out, so that `t.*` is `t`.
    pub names: Vec<Ident>,
    /// It stands in a subquery, where it may be of one of that one's relations.
    pub is_inside: bool,
}

/// Takes `node` apart.
pub(crate) fn leaves(node: &Node) -> Converted<Vec<Leaf>> {
    let mut found = Vec::new();
    gather(node, 0, &mut found)?;
    Ok(found)
}

fn gather(node: &Node, depth: usize, found: &mut Vec<Leaf>) -> Converted<()> {
    if let NodeEnum::BoolExpr(junction) = kind(node)?
        && junction.boolop() != BoolExprType::NotExpr
        && depth < DEPTH_MAX
    {
        return junction
            .args
            .iter()
            .try_for_each(|member| gather(member, depth + 1, found));
    }
    let mut leaf = Leaf {
        text: of_expression(node)?,
        columns: Vec::new(),
        calls: Vec::new(),
        equals: equality(node),
    };
    columns(node, false, 0, &mut leaf.columns);
    calls(node, 0, &mut leaf.calls)?;
    leaf.calls.retain(|call| *call != leaf.text);
    found.push(leaf);
    Ok(())
}

fn equality(node: &Node) -> Option<ColumnName> {
    let Some(NodeEnum::AExpr(compared)) = &node.node else {
        return None;
    };
    let operator = compared.name.last().and_then(|name| name.node.as_ref());
    let is_equal = matches!(operator, Some(NodeEnum::String(name)) if name.sval == "=");
    let (left, right) = (compared.lexpr.as_deref()?, compared.rexpr.as_deref()?);
    if compared.kind() != AExprKind::AexprOp || !is_equal {
        return None;
    }
    for (column, other) in [(left, right), (right, left)] {
        if let (Some(NodeEnum::ColumnRef(_)), false) = (&column.node, nature(other, 0).varies) {
            let mut found = Vec::new();
            columns(column, false, 0, &mut found);
            return found.pop();
        }
    }
    None
}

fn columns(node: &Node, is_inside: bool, depth: usize, found: &mut Vec<ColumnName>) {
    let is_inside = match &node.node {
        Some(NodeEnum::ColumnRef(column)) => {
            let names = column.fields.iter().filter_map(|field| match &field.node {
                Some(NodeEnum::String(name)) => Some(Ident::new(&name.sval)),
                _ => None,
            });
            let column = ColumnName {
                names: names.collect(),
                is_inside,
            };
            if !found.contains(&column) {
                found.push(column);
            }
            return;
        }
        Some(NodeEnum::SelectStmt(_)) => true,
        _ => is_inside,
    };
    if depth < DEPTH_MAX {
        for child in children(node) {
            columns(child, is_inside, depth + 1, found);
        }
    }
}

fn calls(node: &Node, depth: usize, found: &mut Vec<String>) -> Converted<()> {
    if depth >= DEPTH_MAX {
        return Ok(());
    }
    let nature = nature(node, 0);
    if nature.calls && !nature.varies {
        let text = of_expression(unwrapped(node))?;
        if !found.contains(&text) {
            found.push(text);
        }
        return Ok(());
    }
    children(node)
        .into_iter()
        .try_for_each(|child| calls(child, depth + 1, found))
}

/// What an expression is of.
#[derive(Clone, Copy, Default)]
struct Nature {
    calls: bool,
    /// It names a column, reads a relation, or is no expression at all.
    varies: bool,
}

fn nature(node: &Node, depth: usize) -> Nature {
    let mut nature = match &node.node {
        Some(NodeEnum::FuncCall(_) | NodeEnum::SqlvalueFunction(_)) => Nature {
            calls: true,
            varies: false,
        },
        Some(
            NodeEnum::ColumnRef(_)
            | NodeEnum::RangeVar(_)
            | NodeEnum::SelectStmt(_)
            | NodeEnum::List(_)
            | NodeEnum::ResTarget(_)
            | NodeEnum::CaseWhen(_)
            | NodeEnum::JoinExpr(_)
            | NodeEnum::RangeSubselect(_)
            | NodeEnum::RangeFunction(_)
            | NodeEnum::CommonTableExpr(_)
            | NodeEnum::SortBy(_),
        )
        | None => Nature {
            calls: false,
            varies: true,
        },
        _ => Nature::default(),
    };
    if depth >= DEPTH_MAX {
        nature.varies = true;
    }
    if nature.varies {
        return nature;
    }
    // A subquery that is one value of nothing is that value.
    let inside = match unwrapped(node) {
        inner if !std::ptr::eq(inner, node) => vec![inner],
        _ => children(node),
    };
    for child in inside {
        let below = match &child.node {
            // The whens of a CASE are no expressions themselves.
            Some(NodeEnum::CaseWhen(_)) => children(child)
                .into_iter()
                .map(|part| self::nature(part, depth + 1))
                .fold(Nature::default(), |one, other| Nature {
                    calls: one.calls || other.calls,
                    varies: one.varies || other.varies,
                }),
            _ => self::nature(child, depth + 1),
        };
        nature.calls |= below.calls;
        nature.varies |= below.varies;
    }
    nature
}

/// What stands in `(SELECT x)`; anything else as it is.
fn unwrapped(node: &Node) -> &Node {
    let Some(NodeEnum::SubLink(link)) = &node.node else {
        return node;
    };
    if link.sub_link_type() != SubLinkType::ExprSublink {
        return node;
    }
    let Some(NodeEnum::SelectStmt(select)) = link.subselect.as_ref().and_then(|select| select.node.as_ref()) else {
        return node;
    };
    match (select.target_list.as_slice(), is_plain(select)) {
        ([target], true) => match &target.node {
            Some(NodeEnum::ResTarget(target)) => target.val.as_deref().unwrap_or(node),
            _ => node,
        },
        _ => node,
    }
}

fn is_plain(select: &SelectStmt) -> bool {
    select.from_clause.is_empty()
        && select.where_clause.is_none()
        && select.with_clause.is_none()
        && select.larg.is_none()
        && select.values_lists.is_empty()
        && select.limit_count.is_none()
        && select.limit_offset.is_none()
}

/// The nodes directly inside one, as far as expressions are made of them.
fn children(node: &Node) -> Vec<&Node> {
    let mut found: Vec<&Node> = Vec::new();
    let Some(node) = &node.node else { return found };
    match node {
        NodeEnum::AExpr(it) => found.extend(it.lexpr.as_deref().into_iter().chain(it.rexpr.as_deref())),
        NodeEnum::BoolExpr(it) => found.extend(&it.args),
        NodeEnum::SubLink(it) => found.extend(it.testexpr.as_deref().into_iter().chain(it.subselect.as_deref())),
        NodeEnum::SelectStmt(it) => of_select(it, &mut found),
        NodeEnum::CommonTableExpr(it) => found.extend(it.ctequery.as_deref()),
        NodeEnum::ResTarget(it) => found.extend(it.val.as_deref()),
        NodeEnum::JoinExpr(it) => {
            found.extend(it.larg.as_deref().into_iter().chain(it.rarg.as_deref()));
            found.extend(it.quals.as_deref());
        }
        NodeEnum::RangeSubselect(it) => found.extend(it.subquery.as_deref()),
        NodeEnum::RangeFunction(it) => found.extend(&it.functions),
        NodeEnum::FuncCall(it) => {
            found.extend(&it.args);
            found.extend(it.agg_filter.as_deref());
        }
        NodeEnum::NamedArgExpr(it) => found.extend(it.arg.as_deref()),
        NodeEnum::TypeCast(it) => found.extend(it.arg.as_deref()),
        NodeEnum::CollateClause(it) => found.extend(it.arg.as_deref()),
        NodeEnum::NullTest(it) => found.extend(it.arg.as_deref()),
        NodeEnum::BooleanTest(it) => found.extend(it.arg.as_deref()),
        NodeEnum::CaseExpr(it) => {
            found.extend(it.arg.as_deref());
            found.extend(&it.args);
            found.extend(it.defresult.as_deref());
        }
        NodeEnum::CaseWhen(it) => found.extend(it.expr.as_deref().into_iter().chain(it.result.as_deref())),
        NodeEnum::CoalesceExpr(it) => found.extend(&it.args),
        NodeEnum::MinMaxExpr(it) => found.extend(&it.args),
        NodeEnum::AArrayExpr(it) => found.extend(&it.elements),
        NodeEnum::RowExpr(it) => found.extend(&it.args),
        NodeEnum::AIndirection(it) => found.extend(it.arg.as_deref()),
        NodeEnum::List(it) => found.extend(&it.items),
        NodeEnum::SortBy(it) => found.extend(it.node.as_deref()),
        _ => {}
    }
    found
}

fn of_select<'a>(select: &'a SelectStmt, found: &mut Vec<&'a Node>) {
    if let Some(with) = &select.with_clause {
        found.extend(&with.ctes);
    }
    found.extend(&select.target_list);
    found.extend(&select.from_clause);
    found.extend(select.where_clause.as_deref());
    found.extend(&select.group_clause);
    found.extend(select.having_clause.as_deref());
    found.extend(&select.values_lists);
    found.extend(&select.sort_clause);
    for side in [&select.larg, &select.rarg].into_iter().flatten() {
        of_select(side, found);
    }
}

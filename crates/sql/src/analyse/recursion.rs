//! `WITH RECURSIVE`: in which order its queries are analysed, and what one that refers to itself may look like.
//!
//! Not here: types of its columns (`select`).
//!
//! Source: PostgreSQL 15 manual, 7.8.2; checks in the server's order and words.

use mainstay_core::error::DatabaseError;
use mainstay_core::name::Ident;

use super::Result;
use super::coerce::place;
use super::scope::State;
use crate::ast::{self, FromItem, JoinKind, SetExpression, SetOperator};
use crate::ddl::walk::{self, Written};
use crate::typed;
use crate::walk as typed_walk;

/// Where a walk through a recursive query stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Allowed,
    NonRecursiveTerm,
    Subquery,
    OuterJoin,
    Intersect,
    Except,
}

/// The order in which the queries of a `WITH RECURSIVE` can be analysed: each after those that it names.
///
/// Errors: 0A000 `mutual recursion between WITH items is not implemented`.
pub(super) fn order(with: &ast::With) -> Result<Vec<usize>> {
    let mut left: Vec<(usize, Vec<usize>)> = (0..with.ctes.len())
        .map(|at| {
            let named = |other: &usize| *other != at && names(&with.ctes[at].query, &with.ctes[*other].name);
            (at, (0..with.ctes.len()).filter(named).collect())
        })
        .collect();
    let mut done = Vec::with_capacity(left.len());
    while let Some(first) = left.first() {
        let Some(next) = left.iter().position(|(_, needs)| needs.is_empty()) else {
            let message = "mutual recursion between WITH items is not implemented";
            return Err(place(DatabaseError::new("0A000", message), with.ctes[first.0].position));
        };
        left.swap(0, next);
        let (at, _) = left.remove(0);
        left.iter_mut().for_each(|(_, needs)| needs.retain(|need| *need != at));
        done.push(at);
    }
    Ok(done)
}

/// True if the query of a `WITH RECURSIVE` names itself, which has to be in its form.
///
/// Errors: 42P19, 0A000.
pub(super) fn check(cte: &ast::Cte) -> Result<bool> {
    if !names(&cte.query, &cte.name) {
        return Ok(false);
    }
    let SetExpression::Operation {
        operator: SetOperator::Union,
        left,
        right,
        ..
    } = &cte.query.body
    else {
        let message = format!(
            "recursive query \"{}\" does not have the form non-recursive-term UNION [ALL] recursive-term",
            cte.name
        );
        return Err(place(DatabaseError::new("42P19", message), cte.position));
    };
    let mut check = Check {
        name: &cte.name,
        references: 0,
    };
    check.set(left, Place::NonRecursiveTerm)?;
    check.set(right, Place::Allowed)?;
    for inner in cte.query.with.iter().flat_map(|with| &with.ctes) {
        check.query(&inner.query, Place::Subquery)?;
    }
    let decoration = [
        (!cte.query.order.is_empty()).then_some("ORDER BY"),
        cte.query.offset.as_ref().map(|_| "OFFSET"),
        cte.query.limit.as_ref().map(|_| "LIMIT"),
        (!cte.query.locking.is_empty()).then_some("FOR UPDATE/SHARE"),
    ];
    match decoration.into_iter().flatten().next() {
        Some(clause) => {
            let message = format!("{clause} in a recursive query is not implemented");
            Err(place(DatabaseError::new("0A000", message), cte.position))
        }
        None => Ok(true),
    }
}

impl State<'_> {
    /// Refuses recursive queries that the engine below cannot run: it takes one row after the other, where PostgreSQL
    /// takes all rows of a step at once.
    ///
    /// Errors: 0A000.
    pub(super) fn check_recursive_form(&self, cte: &ast::Cte, right: &SetExpression) -> Result<()> {
        let feature = match right {
            _ if cte.query.with.is_some() => "WITH inside a recursive query",
            SetExpression::Select(select) if !matches!(select.distinct, ast::Distinct::All) => {
                "DISTINCT in a recursive term"
            }
            SetExpression::Select(select) if stands_in(&select.from, &cte.name) => return Ok(()),
            _ => "a recursive term that is not one SELECT from the query itself",
        };
        Err(self.refuse(feature, &cte.name, Some("one SELECT with joins"), cte.position))
    }

    /// The same for what only the analysis of the recursive term shows. Errors: 42P19 for aggregates, 0A000.
    pub(super) fn check_recursive_term(&self, cte: &ast::Cte, right: &typed::SetExpression) -> Result<()> {
        let typed::SetExpression::Select(select) = right else {
            return Ok(());
        };
        let mut aggregate = None;
        let mut has_window = false;
        let shown = select.target.iter().map(|target| &target.expr).chain(&select.having);
        for expr in shown {
            typed_walk::expr(expr, &mut |inner| {
                match &inner.kind {
                    typed::ExprKind::Aggregate(_) => aggregate = aggregate.or(Some(inner.position)),
                    typed::ExprKind::Window(_) => has_window = true,
                    _ => {}
                }
                true
            });
        }
        if let Some(position) = aggregate {
            let message = "aggregate functions are not allowed in a recursive query's recursive term";
            return Err(place(DatabaseError::new("42P19", message), position));
        }
        let feature = match () {
            () if has_window => "window functions in a recursive term",
            () if select.is_aggregate => "GROUP BY in a recursive term",
            () => return Ok(()),
        };
        Err(self.refuse(feature, &cte.name, Some("a query over the result"), cte.position))
    }
}

/// True if `name` stands in FROM itself, joined or not, rather than in a subquery there.
fn stands_in(from: &[FromItem], name: &Ident) -> bool {
    from.iter().any(|item| match item {
        FromItem::Relation { name: found, .. } => found.schema.is_none() && found.name == *name,
        FromItem::Join { left, right, .. } => {
            stands_in(std::slice::from_ref(left), name) || stands_in(std::slice::from_ref(right), name)
        }
        FromItem::Subquery { .. } | FromItem::Function { .. } => false,
    })
}

/// True if a query names the common table expression `name` of the WITH it stands in.
fn names(query: &ast::Query, name: &Ident) -> bool {
    let mut found = false;
    let mut hidden = false;
    walk::query(query, &mut |written| match written {
        Written::Relation { name: relation, .. } => found |= relation.schema.is_none() && relation.name == *name,
        Written::Cte(inner) => hidden |= inner == name,
        _ => {}
    });
    found && !hidden
}

struct Check<'a> {
    name: &'a Ident,
    references: usize,
}

impl Check<'_> {
    fn query(&mut self, query: &ast::Query, place: Place) -> Result<()> {
        if let Some(with) = &query.with {
            let hides = |cte: &ast::Cte| cte.name == *self.name;
            if with.recursive && with.ctes.iter().any(hides) {
                return Ok(());
            }
            for cte in &with.ctes {
                self.query(&cte.query, place)?;
                if cte.name == *self.name {
                    return Ok(());
                }
            }
        }
        self.set(&query.body, place)?;
        let keys = query.order.iter().map(|key| &key.expr);
        self.expressions(keys.chain(&query.limit).chain(&query.offset))
    }

    fn set(&mut self, body: &SetExpression, place: Place) -> Result<()> {
        match body {
            SetExpression::Select(select) => self.select(select, place),
            SetExpression::Values(rows) => self.expressions(rows.iter().flatten()),
            SetExpression::Query(query) => self.query(query, place),
            SetExpression::Operation {
                operator,
                all,
                left,
                right,
            } => {
                let (left_place, right_place) = match (operator, place) {
                    (SetOperator::Intersect, Place::Allowed) if *all => (Place::Intersect, Place::Intersect),
                    (SetOperator::Except, Place::Allowed) if *all => (Place::Except, Place::Except),
                    (SetOperator::Except, Place::Allowed) => (place, Place::Except),
                    _ => (place, place),
                };
                self.set(left, left_place)?;
                self.set(right, right_place)
            }
        }
    }

    fn select(&mut self, select: &ast::Select, place: Place) -> Result<()> {
        if let ast::Distinct::On(keys) = &select.distinct {
            self.expressions(keys)?;
        }
        self.expressions(select.target.iter().map(|item| &item.expr))?;
        select.from.iter().try_for_each(|item| self.from(item, place))?;
        self.expressions(select.filter.iter().chain(&select.group_by).chain(&select.having))
    }

    fn from(&mut self, item: &FromItem, place: Place) -> Result<()> {
        match item {
            FromItem::Relation { name, .. } if name.schema.is_none() && name.name == *self.name => {
                self.reference(place, name.position)
            }
            FromItem::Relation { .. } => Ok(()),
            FromItem::Subquery { query, .. } => self.query(query, place),
            FromItem::Function { call, .. } => self.expressions(call.arguments.iter().map(|argument| &argument.value)),
            FromItem::Join {
                kind,
                left,
                right,
                condition,
                ..
            } => {
                let outer = match place {
                    Place::Allowed => Place::OuterJoin,
                    other => other,
                };
                let (left_place, right_place) = match kind {
                    JoinKind::Inner => (place, place),
                    JoinKind::Left => (place, outer),
                    JoinKind::Right => (outer, place),
                    JoinKind::Full => (outer, outer),
                };
                self.from(left, left_place)?;
                self.from(right, right_place)?;
                match condition {
                    ast::JoinCondition::On(on) => self.expressions([on]),
                    _ => Ok(()),
                }
            }
        }
    }

    /// A reference inside an expression is one in a subquery.
    fn expressions<'e>(&mut self, list: impl IntoIterator<Item = &'e ast::Expr>) -> Result<()> {
        let mut found = None;
        let mut hidden = false;
        for expr in list {
            walk::expression(expr, &mut |written| match written {
                Written::Relation { name, .. } if name.schema.is_none() && name.name == *self.name => {
                    found.get_or_insert(name.position);
                }
                Written::Cte(inner) => hidden |= inner == self.name,
                _ => {}
            });
        }
        match found {
            Some(position) if !hidden => self.reference(Place::Subquery, position),
            _ => Ok(()),
        }
    }

    fn reference(&mut self, place_of: Place, position: u32) -> Result<()> {
        let wrong = match place_of {
            Place::Allowed => {
                self.references += 1;
                match self.references {
                    1 => return Ok(()),
                    _ => "more than once",
                }
            }
            Place::NonRecursiveTerm => "within its non-recursive term",
            Place::Subquery => "within a subquery",
            Place::OuterJoin => "within an outer join",
            Place::Intersect => "within INTERSECT",
            Place::Except => "within EXCEPT",
        };
        let message = format!("recursive reference to query \"{}\" must not appear {wrong}", self.name);
        Err(place(DatabaseError::new("42P19", message), position))
    }
}

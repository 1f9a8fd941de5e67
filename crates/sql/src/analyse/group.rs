//! The grouping rule: in a grouped query every column stands in an aggregate, is grouped by, or depends on a grouped
//! primary key.
//!
//! Source: PostgreSQL 15 manual, SELECT, "GROUP BY clause".

use mainstay_core::error::DatabaseError;

use super::Result;
use super::coerce::place;
use super::scope::State;
use crate::typed::{Aggregate, Distinct, Expr, ExprKind, RteId, Select, SortKey};
use crate::walk;

impl State<'_> {
    /// Errors: 42803 `column "t.a" must appear in the GROUP BY clause or be used in an aggregate function`.
    pub(super) fn check_grouping(&self, select: &Select, keys: &[SortKey]) -> Result<()> {
        let level = self.levels.len().saturating_sub(1);
        let mut check = Check {
            state: self,
            select,
            level,
            error: None,
        };
        for target in &select.target {
            check.expr(&target.expr, false);
        }
        if let Some(having) = &select.having {
            check.expr(having, false);
        }
        for key in keys {
            check.expr(&key.expr, false);
        }
        if let Distinct::On(list) = &select.distinct {
            for key in list {
                check.expr(key, false);
            }
        }
        check.error.map_or(Ok(()), Err)
    }

    /// The innermost level, of those up to `level_max`, whose columns are used: deeper ones are those of subqueries in the
    /// aggregate.
    pub(super) fn deepest_level(&self, aggregate: &Aggregate, level_max: usize) -> Option<usize> {
        let mut deepest = None;
        for argument in aggregate.arguments.iter().chain(&aggregate.filter) {
            walk::expr(argument, &mut |inner| {
                if let ExprKind::Column { rte, .. } = inner.kind {
                    let level = self.entry(rte).map(|entry| entry.level);
                    deepest = deepest.max(level.filter(|level| *level <= level_max));
                }
                true
            });
        }
        deepest
    }
}

struct Check<'c, 's> {
    state: &'c State<'s>,
    select: &'c Select,
    level: usize,
    error: Option<DatabaseError>,
}

impl Check<'_, '_> {
    fn expr(&mut self, expr: &Expr, within_subquery: bool) {
        walk::expr(expr, &mut |inner| self.visit(inner, within_subquery));
    }

    /// True if what is inside `expr` is to be looked at too.
    fn visit(&mut self, expr: &Expr, within_subquery: bool) -> bool {
        if self.error.is_some() || self.select.group_by.iter().any(|key| walk::same(key, expr)) {
            return false;
        }
        match &expr.kind {
            ExprKind::Aggregate(aggregate) => {
                let level_max = if within_subquery { usize::MAX } else { self.level };
                let deepest = self.state.deepest_level(aggregate, level_max);
                deepest.is_some_and(|level| level != self.level)
            }
            ExprKind::Column { rte, column } => {
                self.column(*rte, *column, expr.position, within_subquery);
                false
            }
            ExprKind::ScalarSubquery(query) | ExprKind::ArraySubquery(query) | ExprKind::Exists(query)
                if !within_subquery =>
            {
                walk::query(query, &mut |inner| self.visit(inner, true));
                false
            }
            ExprKind::QuantifiedSubquery { left, query, .. } if !within_subquery => {
                for expr in left {
                    self.expr(expr, false);
                }
                walk::query(query, &mut |inner| self.visit(inner, true));
                false
            }
            _ => true,
        }
    }

    fn column(&mut self, rte: RteId, column: usize, position: u32, within_subquery: bool) {
        let Some(entry) = self.state.entry(rte).filter(|entry| entry.level == self.level) else {
            return;
        };
        let grouped = |wanted: usize| {
            self.select
                .group_by
                .iter()
                .any(|key| matches!(key.kind, ExprKind::Column { rte: r, column: c } if r == rte && c == wanted))
        };
        let key = entry.relation.as_ref().filter(|relation| relation.view.is_none());
        if let Some(relation) = key {
            let key = relation.primary_key();
            if !key.is_empty() && key.iter().all(|column| grouped(*column)) {
                return;
            }
        }
        let name = entry
            .columns
            .get(column)
            .map(|column| column.name.to_string())
            .unwrap_or_default();
        let full = format!("{}.{name}", entry.alias);
        let message = if within_subquery {
            format!("subquery uses ungrouped column \"{full}\" from outer query")
        } else {
            format!("column \"{full}\" must appear in the GROUP BY clause or be used in an aggregate function")
        };
        self.error = Some(place(DatabaseError::new("42803", message), position));
    }
}

//! Set-returning functions in a select list: each row of the query once for every row of the set.
//!
//! PostgreSQL expands them after everything but ORDER BY, DISTINCT and LIMIT, which is what a lateral entry at the end of
//! FROM does where nothing is grouped or numbered. Where the two differ they are refused.
//!
//! Source: PostgreSQL 15 manual, 38.5.8 (SQL functions returning sets).

use mainstay_core::name::Ident;
use mainstay_core::types::TypeModifier;

use super::Result;
use super::call::Resolved;
use super::coerce::place;
use super::functions::SetFunctionEntry;
use super::scope::{Clause, EntryColumn, State};
use crate::typed::{Distinct, Expr, ExprKind, FromItem, OutputColumn, RteId, Select, TableFunction};
use crate::walk;
use mainstay_core::error::DatabaseError;

impl State<'_> {
    /// The value of a set-returning function, row by row. Errors: 0A000 where it cannot be expanded.
    pub(super) fn set_in_select_list(
        &mut self,
        function: &'static SetFunctionEntry,
        resolved: Resolved,
        position: u32,
    ) -> Result<Expr> {
        let Resolved { arguments, ty, .. } = resolved;
        let level = self.level();
        let is_select_list = matches!(
            level.clause,
            Clause::Select | Clause::GroupBy | Clause::OrderBy | Clause::DistinctOn
        );
        let misplaced = !is_select_list || level.inside_aggregate || level.inside_window || function.columns.len() != 1;
        let place_name = match level.clause {
            Clause::Where => Some("WHERE"),
            Clause::Having => Some("HAVING"),
            Clause::JoinOn => Some("JOIN conditions"),
            Clause::Returning => Some("RETURNING"),
            Clause::Limit => Some("LIMIT"),
            Clause::Offset => Some("OFFSET"),
            Clause::Check => Some("check constraints"),
            Clause::Default => Some("DEFAULT expressions"),
            Clause::Generated => Some("column generation expressions"),
            Clause::Index => Some("index expressions"),
            Clause::IndexPredicate => Some("index predicates"),
            Clause::Policy => Some("policy expressions"),
            _ => None,
        };
        if let Some(name) = place_name {
            let message = format!("set-returning functions are not allowed in {name}");
            return Err(place(DatabaseError::new("0A000", message), position));
        }
        let level = self.level();
        let Some(known) = level.sets.as_ref().filter(|_| !misplaced) else {
            let way = Some("call it in FROM");
            return Err(self.refuse(
                "a set-returning function in an expression",
                function.name,
                way,
                position,
            ));
        };
        let again = known.iter().find_map(|item| match item {
            FromItem::Function {
                rte,
                call:
                    TableFunction::Set {
                        function: other,
                        arguments: others,
                    },
                ..
            } if *other == function && same(others, &arguments) => Some(*rte),
            _ => None,
        });
        let column = |rte| Expr::new(ExprKind::Column { rte, column: 0 }, ty.clone()).at(position);
        if let Some(rte) = again {
            return Ok(column(rte));
        }
        if !known.is_empty() {
            let way = Some("call them in FROM");
            return Err(self.refuse(
                "several set-returning functions in a select list",
                function.name,
                way,
                position,
            ));
        }
        let name = Ident::new(function.name);
        let entry = EntryColumn {
            name: name.clone(),
            source: None,
        };
        let rte = self.add_entry(name.clone(), vec![entry], None);
        let output = OutputColumn {
            name: name.clone(),
            ty: ty.clone(),
            modifier: TypeModifier::None,
            source: None,
        };
        let item = FromItem::Function {
            rte,
            alias: name,
            call: TableFunction::Set { function, arguments },
            columns: vec![output],
            ordinality: false,
        };
        if let Some(sets) = &mut self.level().sets {
            sets.push(item);
        }
        Ok(column(rte))
    }

    /// Puts the sets of the select list at the end of FROM. Errors: 0A000 where that would not be the same.
    pub(super) fn expand_sets(&mut self, select: &mut Select) -> Result<()> {
        let sets = self.level().sets.take().unwrap_or_default();
        for item in sets {
            let FromItem::Function { rte, alias, .. } = &item else {
                continue;
            };
            let uses = |expr: &Expr| uses_column(expr, *rte);
            let grouped = (select.group_by.iter())
                .any(|key| matches!(&key.kind, ExprKind::Column { rte: other, .. } if other == rte));
            let way = Some("call it in FROM");
            if self.level().has_windows || select.is_aggregate && !grouped || matches!(select.distinct, Distinct::On(_))
            {
                return Err(self.refuse("a set-returning function beside aggregates or windows", alias, way, 0));
            }
            for target in select.target.iter().filter(|target| uses(&target.expr)) {
                let mut conditional = None;
                walk::expr(&target.expr, &mut |inner| {
                    if matches!(inner.kind, ExprKind::Case { .. }) && uses(inner) {
                        conditional.get_or_insert("CASE");
                    } else if matches!(inner.kind, ExprKind::Coalesce(_)) && uses(inner) {
                        conditional.get_or_insert("COALESCE");
                    }
                    true
                });
                if let Some(form) = conditional {
                    let message = format!("set-returning functions are not allowed in {form}");
                    let hint = "You might be able to move the set-returning function into a LATERAL FROM item.";
                    return Err(place(
                        DatabaseError::new("0A000", message).hint(hint),
                        target.expr.position,
                    ));
                }
            }
            select.from.push(item);
        }
        Ok(())
    }
}

fn same(left: &[Expr], right: &[Expr]) -> bool {
    left.len() == right.len() && left.iter().zip(right).all(|(a, b)| walk::same(a, b))
}

fn uses_column(expr: &Expr, wanted: RteId) -> bool {
    let mut found = false;
    walk::expr(expr, &mut |inner| {
        found |= matches!(inner.kind, ExprKind::Column { rte, .. } if rte == wanted);
        !found
    });
    found
}

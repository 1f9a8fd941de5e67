//! Through which views rows can be written, and why not through others.
//!
//! Source: PostgreSQL manual, CREATE VIEW, "Updatable Views"; 9.26 (`pg_relation_is_updatable`).

use mainstay_core::catalog::{Catalog, ColumnIndex, Relation, TriggerTiming};
use mainstay_core::name::QualifiedName;

use super::{Result, Run, walk};
use crate::analyse::Analyser;
use crate::session::Session;
use crate::typed::{self, ExprKind, FromItem};

/// Whether rows can be written through a view's query by themselves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Updatability {
    /// `columns`: at least one column can be given a value.
    Yes { columns: bool },
    /// The detail of the error that says why not.
    No(&'static str),
}

/// What can be done to the rows of a relation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Writable {
    pub insert: bool,
    pub update: bool,
    pub delete: bool,
}

impl Updatability {
    /// That of a view with this query.
    pub fn of(query: &typed::Query) -> Self {
        let typed::SetExpression::Select(select) = &query.body else {
            return Updatability::No("Views containing UNION, INTERSECT, or EXCEPT are not automatically updatable.");
        };
        if !matches!(select.distinct, typed::Distinct::All) {
            return Updatability::No("Views containing DISTINCT are not automatically updatable.");
        }
        if !select.group_by.is_empty() {
            return Updatability::No("Views containing GROUP BY are not automatically updatable.");
        }
        if select.having.is_some() {
            return Updatability::No("Views containing HAVING are not automatically updatable.");
        }
        if !query.ctes.is_empty() {
            return Updatability::No("Views containing WITH are not automatically updatable.");
        }
        if query.limit.is_some() || query.offset.is_some() {
            return Updatability::No("Views containing LIMIT or OFFSET are not automatically updatable.");
        }
        if select.is_aggregate {
            return Updatability::No("Views that return aggregate functions are not automatically updatable.");
        }
        let mut windows = false;
        for target in &select.target {
            walk::typed_expr(&target.expr, &mut |place| {
                if let walk::Typed::Expr(expr) = place {
                    windows |= matches!(expr.kind, ExprKind::Window(_));
                }
            });
        }
        if windows {
            return Updatability::No("Views that return window functions are not automatically updatable.");
        }
        let [FromItem::Relation { rte, .. }] = select.from.as_slice() else {
            return Updatability::No(
                "Views that do not select from a single table or view are not automatically updatable.",
            );
        };
        let columns = select
            .target
            .iter()
            .any(|target| matches!(&target.expr.kind, ExprKind::Column { rte: from, .. } if from == rte));
        Updatability::Yes { columns }
    }
}

/// What can be done to the rows of `relation`. `triggers`: INSTEAD OF triggers count.
pub fn writable(catalog: &Catalog, relation: &Relation, triggers: bool) -> Result<Writable> {
    writable_columns(catalog, relation, triggers, None, &mut Vec::new())
}

/// The same, where only these columns count.
fn writable_columns(
    catalog: &Catalog,
    relation: &Relation,
    triggers: bool,
    columns: Option<&[ColumnIndex]>,
    outer: &mut Vec<QualifiedName>,
) -> Result<Writable> {
    let everything = Writable {
        insert: true,
        update: true,
        delete: true,
    };
    if relation.view.is_none() {
        return Ok(match relation.kind.is_view() {
            true => Writable::default(),
            false => everything,
        });
    }
    let mut found = Writable::default();
    if triggers {
        for trigger in &relation.triggers {
            if trigger.timing == TriggerTiming::InsteadOf {
                found.insert |= trigger.on_insert;
                found.update |= trigger.on_update;
                found.delete |= trigger.on_delete;
            }
        }
    }
    if found == everything || outer.contains(&relation.name) {
        return Ok(found);
    }
    let session = Session::new(relation.owner.clone(), Vec::new());
    let query = Analyser::new(catalog, &session).view(relation)?;
    let (Updatability::Yes { .. }, typed::SetExpression::Select(select)) = (Updatability::of(&query), &query.body)
    else {
        return Ok(found);
    };
    let [
        FromItem::Relation {
            rte, relation: base, ..
        },
    ] = select.from.as_slice()
    else {
        return Ok(found);
    };
    let below: Vec<ColumnIndex> = select
        .target
        .iter()
        .enumerate()
        .filter(|(index, _)| columns.is_none_or(|columns| columns.contains(index)))
        .filter_map(|(_, target)| match &target.expr.kind {
            ExprKind::Column { rte: from, column } if from == rte => Some(*column),
            _ => None,
        })
        .collect();
    let by_itself = match below.is_empty() {
        true => Writable {
            delete: true,
            ..Writable::default()
        },
        false => everything,
    };
    outer.push(relation.name.clone());
    let of_base = writable_columns(catalog, base, triggers, Some(&below), outer)?;
    outer.pop();
    Ok(Writable {
        insert: found.insert || by_itself.insert && of_base.insert,
        update: found.update || by_itself.update && of_base.update,
        delete: found.delete || by_itself.delete && of_base.delete,
    })
}

impl Run<'_> {
    /// Says anew what can be written through a view.
    pub(super) fn settle_view(&mut self, name: &QualifiedName) -> Result<()> {
        let Some(view) = self.catalog.relations.get(name).cloned() else {
            return Ok(());
        };
        let now = writable(self.catalog, &view, true)?;
        if (view.insertable, view.updatable, view.deletable) != (now.insert, now.update, now.delete) {
            let view = self.relation_mut(name)?;
            (view.insertable, view.updatable, view.deletable) = (now.insert, now.update, now.delete);
        }
        // A row can be deleted through the view's query alone if and only if it is a row of one table.
        let is_row_wise = writable(self.catalog, &view, false)?.delete;
        if view.view.as_ref().is_some_and(|view| view.is_row_wise != is_row_wise)
            && let Some(view) = &mut self.relation_mut(name)?.view
        {
            view.is_row_wise = is_row_wise;
        }
        Ok(())
    }

    /// Says anew of every view what can be written through it, after triggers or views have come or gone.
    pub(super) fn settle_views(&mut self) -> Result<()> {
        let relations = self.catalog.relations.values();
        let views: Vec<QualifiedName> = relations
            .filter(|relation| relation.view.is_some())
            .map(|relation| relation.name.clone())
            .collect();
        views.iter().try_for_each(|view| self.settle_view(view))
    }

    /// True if some view has triggers.
    pub(super) fn has_view_triggers(&self) -> bool {
        let mut relations = self.catalog.relations.values();
        relations.any(|relation| relation.view.is_some() && !relation.triggers.is_empty())
    }
}

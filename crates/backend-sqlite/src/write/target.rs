//! What a write comes to: a table, the table that an updatable view selects from, or a view whose INSTEAD OF triggers
//! take its rows.
//!
//! Source: PostgreSQL manual, CREATE VIEW, "Updatable Views"; 41.5 (rules and privileges); CREATE TRIGGER.

use std::rc::Rc;
use std::sync::Arc;

use mainstay_core::catalog::{CheckOption, ColumnIndex, Privilege, Relation, TriggerTiming};
use mainstay_core::error::DatabaseError;
use mainstay_core::name::Ident;
use mainstay_core::policy;
use mainstay_core::types::Type;
use mainstay_sql::ddl::Updatability;
use mainstay_sql::typed::{Expr, ExprKind, FromItem, Query, RteId, Select, SetExpression};

use super::defaults::Fill;
use super::disclosure::Disclosure;
use crate::emit::compiled::Compiled;
use crate::emit::emitter::Scope;
use crate::emit::privileges::Uses;
use crate::emit::{Emitter, Rte, walk};

/// How deep views may select from views.
const VIEW_DEPTH_MAX: usize = 64;

/// A base table, under whose rights it is written, and how one came to it.
#[derive(Clone)]
pub struct Target {
    /// The base table, or the view that has INSTEAD OF triggers.
    pub relation: Arc<Relation>,
    /// What the statement names: the table or a view.
    pub written: Arc<Relation>,
    /// Whose grants and policies hold on the base table.
    pub role: Ident,
    /// The role that runs the statement.
    pub user: Ident,
    /// What errors may show of the base table's rows.
    pub disclosure: Disclosure,
    /// For each column of `written`, the base table's column; `None` for a view's computed column.
    columns: Vec<Option<ColumnIndex>>,
    /// The views on the way, the outermost first.
    views: Vec<Step>,
}

/// One view on the way.
#[derive(Clone)]
struct Step {
    view: Arc<Relation>,
    query: Arc<Query>,
    /// The entry of what it selects from.
    rte: RteId,
    /// Under whose rights it selects.
    role: Ident,
    /// For each of its columns, the column of what it selects from.
    below: Vec<Option<ColumnIndex>>,
    /// Rows must satisfy its condition after the write.
    checked: bool,
}

impl Target {
    /// Follows views down to the base table or to one whose INSTEAD OF triggers do the write, checking the grants of
    /// each step but the first, which is the caller's business.
    ///
    /// Errors: 55000 for a view that cannot be written, 42501.
    pub fn resolve(
        compiled: &Compiled,
        user: &Ident,
        written: &Arc<Relation>,
        privilege: Privilege,
        columns: &[ColumnIndex],
    ) -> Result<Target, DatabaseError> {
        Target::resolve_for(compiled, user, written, privilege, columns, privilege)
    }

    /// Checks that the views on the way may read what they select from. To read a column of a view asks for the right on
    /// all that the view reads, as a SELECT of it does.
    ///
    /// Errors: 42501.
    pub fn check_reading(&self, emitter: &mut Emitter<'_>) -> Result<(), DatabaseError> {
        self.views.iter().try_for_each(|step| {
            let uses = Uses::of(|visitor| walk::query(visitor, &step.query));
            emitter.under(&step.role, |emitter| {
                emitter.fragment(Scope::default(), |emitter| emitter.check_uses(&uses))
            })
        })
    }

    /// As [`resolve`](Self::resolve), for a right that a write by `event` (INSERT, UPDATE, DELETE) needs besides.
    pub fn resolve_for(
        compiled: &Compiled,
        user: &Ident,
        written: &Arc<Relation>,
        privilege: Privilege,
        columns: &[ColumnIndex],
        event: Privilege,
    ) -> Result<Target, DatabaseError> {
        let mut target = Target {
            relation: Arc::clone(written),
            written: Arc::clone(written),
            role: user.clone(),
            user: user.clone(),
            disclosure: Disclosure::of(compiled.catalog(), user, written),
            columns: (0..written.columns.len()).map(Some).collect(),
            views: Vec::new(),
        };
        let mut cascaded = false;
        while let Some(view) = &target.relation.view {
            if has_instead_of(&target.relation, event) {
                break;
            }
            let verb = verb_of(event);
            if target.views.len() == VIEW_DEPTH_MAX {
                return Err(DatabaseError::new("54001", "stack depth limit exceeded"));
            }
            let query = compiled.view(&target.relation)?;
            if let Updatability::No(reason) = Updatability::of(&query) {
                return Err(not_updatable(&target.relation, event, reason));
            }
            let Some((select, rte, relation)) = simple(&query) else {
                return Err(not_updatable(&target.relation, event, ""));
            };
            let role = if view.security_invoker {
                user.clone()
            } else {
                target.relation.owner.clone()
            };
            let below = |column: ColumnIndex| match select.target.get(column).map(|target| &target.expr.kind) {
                Some(ExprKind::Column { rte: of, column }) if *of == rte => Some(*column),
                _ => None,
            };
            let mut taken = Vec::with_capacity(columns.len());
            for column in columns {
                let Some(at) = target.columns[*column].and_then(below) else {
                    return Err(computed(&target.relation, &written.columns[*column].name, verb));
                };
                if privilege == event && taken.contains(&at) {
                    let name = &relation.columns[at].name;
                    let message = format!("multiple assignments to same column \"{name}\"");
                    return Err(DatabaseError::new("42601", message));
                }
                taken.push(at);
                if !policy::column_allows(compiled.catalog(), &role, relation, at, privilege) {
                    return Err(denied(relation));
                }
            }
            // A row of defaults still needs the right on one column.
            if columns.is_empty()
                && privilege == Privilege::Insert
                && !policy::any_column_allows(compiled.catalog(), &role, relation, privilege)
            {
                return Err(denied(relation));
            }
            if privilege == Privilege::Delete
                && !policy::acl_allows(compiled.catalog(), &role, &relation.owner, &relation.acl, privilege)
            {
                return Err(denied(relation));
            }
            cascaded |= view.check_option == Some(CheckOption::Cascaded);
            let checked = cascaded || view.check_option.is_some();
            target.columns = target.columns.iter().map(|column| column.and_then(below)).collect();
            target.views.push(Step {
                view: Arc::clone(&target.relation),
                query: Arc::clone(&query),
                rte,
                role: role.clone(),
                below: (0..target.relation.columns.len()).map(below).collect(),
                checked,
            });
            target.relation = Arc::clone(relation);
            target.role = role;
        }
        for (index, column) in columns.iter().enumerate() {
            let base = target.base(*column);
            if columns[..index]
                .iter()
                .any(|before| before != column && target.base(*before) == base)
            {
                let name = base
                    .and_then(|base| target.relation.columns.get(base))
                    .map(|column| &column.name);
                let message = format!(
                    "multiple assignments to same column \"{}\"",
                    name.map_or("", |name| name.as_str())
                );
                return Err(DatabaseError::new("42601", message));
            }
        }
        target.disclosure = Disclosure::of(compiled.catalog(), user, &target.relation);
        Ok(target)
    }

    /// A table as its owner writes it.
    pub fn of_owner(compiled: &Compiled, relation: &Arc<Relation>) -> Target {
        Target {
            relation: Arc::clone(relation),
            written: Arc::clone(relation),
            role: relation.owner.clone(),
            user: relation.owner.clone(),
            disclosure: Disclosure::of(compiled.catalog(), &relation.owner, relation),
            columns: (0..relation.columns.len()).map(Some).collect(),
            views: Vec::new(),
        }
    }

    /// The base table's column behind a column of what the statement names.
    pub fn base(&self, column: ColumnIndex) -> Option<ColumnIndex> {
        self.columns.get(column).copied().flatten()
    }

    /// True if the rows go to INSTEAD OF triggers.
    pub fn is_instead(&self) -> bool {
        self.relation.kind.is_view()
    }

    /// What a row that is inserted without a value gets in `column` of the base table: what the type of a view's column
    /// says, the outermost view's first, or the table's default.
    pub fn fill(&self, compiled: &Compiled, column: ColumnIndex) -> Result<Fill, DatabaseError> {
        let catalog = compiled.catalog();
        let mut at = column;
        let mut found = None;
        for step in self.views.iter().rev() {
            let Some(above) = step.below.iter().position(|below| *below == Some(at)) else {
                break;
            };
            at = above;
            let type_default = match &step.view.columns[at].ty {
                Type::Domain(name, _) => catalog.domains.get(name).and_then(|domain| domain.default.as_ref()),
                _ => None,
            };
            if type_default.is_some() {
                found = Some((&step.view, at));
            }
        }
        let (relation, column) = found.unwrap_or((&self.relation, column));
        Fill::of_column(compiled, &self.user, relation, column)
    }

    /// How the columns of what the statement names are reached, given how the base table's are.
    pub fn row(&self, base: Rte) -> Rte {
        self.rows(base).pop().unwrap_or(Rte::Bare {
            relation: Arc::clone(&self.relation),
        })
    }

    /// The conditions that a written row must meet for its view's check option: view, condition, its scope.
    pub fn view_checks(&self, base: Rte) -> Vec<(Arc<Relation>, Expr, Scope)> {
        let mut rows = self.rows(base);
        let mut checks = Vec::new();
        // The row under a view is the one before it.
        rows.pop();
        for step in &self.views {
            let Some(row) = rows.pop() else { break };
            let filter = simple(&step.query).and_then(|(select, ..)| select.filter.clone());
            if let (true, Some(filter)) = (step.checked, filter) {
                checks.push((Arc::clone(&step.view), filter, Scope::of(Some(step.rte), row)));
            }
        }
        checks.reverse();
        checks
    }

    /// What the views ask of the rows that a write finds: the query, under whose rights, its condition and that one's
    /// scope. The innermost comes first.
    pub fn view_filters(&self, base: Rte) -> Vec<(Arc<Query>, Ident, Option<Expr>, Scope)> {
        let rows = self.rows(base);
        let steps = self.views.iter().rev().zip(rows);
        steps
            .map(|(step, row)| {
                let filter = simple(&step.query).and_then(|(select, ..)| select.filter.clone());
                let scope = Scope::of(Some(step.rte), row);
                (Arc::clone(&step.query), step.role.clone(), filter, scope)
            })
            .collect()
    }

    /// The base row, then the row of each view above it.
    fn rows(&self, base: Rte) -> Vec<Rte> {
        let mut rows = vec![base];
        for step in self.views.iter().rev() {
            let Some(below) = rows.last().cloned() else { break };
            let targets: Rc<[Expr]> = match simple(&step.query) {
                Some((select, ..)) => select.target.iter().map(|target| target.expr.clone()).collect(),
                None => Rc::from([]),
            };
            rows.push(Rte::Mapped {
                scope: Rc::new(Scope::of(Some(step.rte), below)),
                columns: targets,
            });
        }
        rows
    }
}

/// True if INSTEAD OF triggers take what is written to the view by `event`.
fn has_instead_of(view: &Relation, event: Privilege) -> bool {
    view.triggers.iter().any(|trigger| {
        trigger.timing == TriggerTiming::InsteadOf
            && match event {
                Privilege::Insert => trigger.on_insert,
                Privilege::Delete => trigger.on_delete,
                _ => trigger.on_update,
            }
    })
}

fn verb_of(event: Privilege) -> &'static str {
    match event {
        Privilege::Insert => "insert into",
        Privilege::Delete => "delete from",
        _ => "update",
    }
}

/// The SELECT of an updatable view's query and what it selects from.
fn simple(query: &Query) -> Option<(&Select, RteId, &Arc<Relation>)> {
    let SetExpression::Select(select) = &query.body else {
        return None;
    };
    match select.from.as_slice() {
        [FromItem::Relation { rte, relation, .. }] => Some((select, *rte, relation)),
        _ => None,
    }
}

/// 55000, with the reason and the way out.
fn not_updatable(view: &Relation, event: Privilege, reason: &'static str) -> DatabaseError {
    let verb = verb_of(event);
    let (doing, command) = match event {
        Privilege::Insert => ("inserting into", "INSERT"),
        Privilege::Delete => ("deleting from", "DELETE"),
        _ => ("updating", "UPDATE"),
    };
    DatabaseError::new("55000", format!("cannot {verb} view \"{}\"", view.name.name))
        .detail(reason)
        .hint(format!(
            "To enable {doing} the view, provide an INSTEAD OF {command} trigger or an unconditional ON {command} DO \
             INSTEAD rule."
        ))
}

fn computed(view: &Relation, column: &Ident, verb: &'static str) -> DatabaseError {
    DatabaseError::new(
        "0A000",
        format!("cannot {verb} column \"{column}\" of view \"{}\"", view.name.name),
    )
    .detail("View columns that are not columns of their base relation are not updatable.")
}

fn denied(relation: &Relation) -> DatabaseError {
    let kind = if relation.kind.is_view() { "view" } else { "table" };
    DatabaseError::new("42501", format!("permission denied for {kind} {}", relation.name.name))
}

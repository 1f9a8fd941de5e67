//! The table behind a write: a table itself, or what an updatable view selects from.
//!
//! Source: PostgreSQL manual, CREATE VIEW, "Updatable Views"; 41.5 (rules and privileges).

use std::rc::Rc;
use std::sync::Arc;

use mainstay_core::catalog::{CheckOption, ColumnIndex, Privilege, Relation};
use mainstay_core::error::DatabaseError;
use mainstay_core::name::Ident;
use mainstay_core::policy;
use mainstay_sql::typed::{Distinct, Expr, ExprKind, FromItem, Query, RteId, Select, SetExpression};

use super::disclosure::Disclosure;
use crate::emit::Rte;
use crate::emit::compiled::Compiled;
use crate::emit::emitter::Scope;

/// How deep views may select from views.
const VIEW_DEPTH_MAX: usize = 64;

/// A base table, under whose rights it is written, and how one came to it.
#[derive(Clone)]
pub struct Target {
    /// The base table.
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
    /// Rows must satisfy its condition after the write.
    checked: bool,
}

impl Target {
    /// Follows views down to the base table, checking the grants of each step but the first, which is the caller's
    /// business.
    ///
    /// Errors: 55000 for a view that cannot be written, 42501.
    pub fn resolve(
        compiled: &Compiled,
        user: &Ident,
        written: &Arc<Relation>,
        privilege: Privilege,
        columns: &[ColumnIndex],
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
            let verb = verb_of(privilege);
            if target.views.len() == VIEW_DEPTH_MAX {
                return Err(DatabaseError::new("54001", "stack depth limit exceeded"));
            }
            let query = compiled.view(&target.relation)?;
            let select = simple(&query).ok_or_else(|| not_simple(&target.relation, verb))?;
            let [FromItem::Relation { rte, relation, .. }] = select.from.as_slice() else {
                return Err(not_simple(&target.relation, verb));
            };
            let role = if view.security_invoker {
                user.clone()
            } else {
                target.relation.owner.clone()
            };
            let below = |column: ColumnIndex| match select.target.get(column).map(|target| &target.expr.kind) {
                Some(ExprKind::Column { rte: of, column }) if of == rte => Some(*column),
                _ => None,
            };
            for column in columns {
                let Some(at) = target.columns[*column].and_then(below) else {
                    return Err(computed(&target.relation, &written.columns[*column].name, verb));
                };
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
                rte: *rte,
                checked,
            });
            target.relation = Arc::clone(relation);
            target.role = role;
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

    /// True if the statement names a view.
    pub fn is_view(&self) -> bool {
        !self.views.is_empty()
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
            let filter = simple(&step.query).and_then(|select| select.filter.clone());
            if let (true, Some(filter)) = (step.checked, filter) {
                checks.push((Arc::clone(&step.view), filter, Scope::of(Some(step.rte), row)));
            }
        }
        checks.reverse();
        checks
    }

    /// The base row, then the row of each view above it.
    fn rows(&self, base: Rte) -> Vec<Rte> {
        let mut rows = vec![base];
        for step in self.views.iter().rev() {
            let Some(below) = rows.last().cloned() else { break };
            let targets: Rc<[Expr]> = match simple(&step.query) {
                Some(select) => select.target.iter().map(|target| target.expr.clone()).collect(),
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

fn verb_of(privilege: Privilege) -> &'static str {
    match privilege {
        Privilege::Insert => "insert into",
        Privilege::Delete => "delete from",
        _ => "update",
    }
}

/// The query's SELECT, if the query has nothing that hides rows from a write.
fn simple(query: &Query) -> Option<&Select> {
    let SetExpression::Select(select) = &query.body else {
        return None;
    };
    let plain = query.ctes.is_empty()
        && query.limit.is_none()
        && query.offset.is_none()
        && select.group_by.is_empty()
        && select.having.is_none()
        && !select.is_aggregate
        && matches!(select.distinct, Distinct::All);
    plain.then_some(select)
}

fn not_simple(view: &Relation, verb: &'static str) -> DatabaseError {
    DatabaseError::new("55000", format!("cannot {verb} view \"{}\"", view.name.name))
        .detail("Views that do not select from a single table or view are not automatically updatable.")
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

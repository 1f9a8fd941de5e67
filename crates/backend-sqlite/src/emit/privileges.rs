//! Checks grants on every relation and column that a fragment names, under the role that stands for it.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use mainstay_core::catalog::{Privilege, Relation, Routine};
use mainstay_core::error::DatabaseError;
use mainstay_core::policy::{self, Needs};
use mainstay_sql::system;
use mainstay_sql::typed::{Expr, ExprKind, FromItem, RoutineCall, RoutineRun, RteId};

use super::emitter::{Emitter, Result};
use super::walk::{self, Visitor};

/// The relations of one fragment, outside routine bodies, with the columns that are read.
#[derive(Default)]
pub struct Uses {
    relations: HashMap<RteId, (Arc<Relation>, BTreeSet<usize>)>,
    /// Columns of entries that are declared outside what was walked.
    columns: HashMap<RteId, BTreeSet<usize>>,
    /// Every entry that is declared in what was walked.
    own: BTreeSet<RteId>,
    routines: Vec<Arc<Routine>>,
    inside_routine: usize,
}

impl Visitor for Uses {
    fn expr(&mut self, expr: &Expr) {
        if let ExprKind::Column { rte, column } = expr.kind {
            self.columns.entry(rte).or_default().insert(column);
        }
    }

    fn entry(&mut self, item: &FromItem) {
        if let FromItem::Relation { rte, .. }
        | FromItem::Subquery { rte, .. }
        | FromItem::Cte { rte, .. }
        | FromItem::Function { rte, .. } = item
        {
            self.own.insert(*rte);
        }
        if let FromItem::Relation { rte, relation, .. } = item
            && self.inside_routine == 0
        {
            self.relations.insert(*rte, (Arc::clone(relation), BTreeSet::new()));
        }
    }

    fn run(&mut self, run: &RoutineRun) {
        if self.inside_routine == 0 {
            self.routines.push(Arc::clone(&run.routine));
        }
    }

    fn enter_routine(&mut self, call: &RoutineCall) {
        if self.inside_routine == 0 {
            self.routines.push(Arc::clone(&call.routine));
        }
        self.inside_routine += 1;
    }

    fn leave_routine(&mut self, _: &RoutineCall) {
        self.inside_routine -= 1;
    }
}

impl Uses {
    /// What `walk` meets.
    pub fn of(walk: impl FnOnce(&mut dyn Visitor)) -> Self {
        let mut uses = Uses::default();
        walk(&mut uses);
        for (rte, (_, columns)) in &mut uses.relations {
            if let Some(used) = uses.columns.get(rte) {
                columns.extend(used);
            }
        }
        uses
    }

    /// Leaves the relation of one entry unchecked.
    pub fn forget(&mut self, rte: RteId) {
        self.relations.remove(&rte);
    }

    /// The columns that are read of an entry declared outside, such as the table that is written.
    pub fn columns_of(&self, rte: RteId) -> Vec<usize> {
        self.columns.get(&rte).into_iter().flatten().copied().collect()
    }

    /// True if columns of entries are named that are neither `rte` nor in what was walked.
    pub fn names_others_than(&self, rte: RteId) -> bool {
        self.columns
            .keys()
            .any(|named| *named != rte && !self.own.contains(named))
    }
}

impl Emitter<'_> {
    /// Checks what a fragment uses under the role that holds now.
    ///
    /// Errors: 42501 as PostgreSQL words it.
    pub fn check_uses(&self, uses: &Uses) -> Result<()> {
        if self.is_idle {
            return Ok(());
        }
        let mut relations: Vec<_> = uses.relations.iter().collect();
        relations.sort_by_key(|(rte, _)| **rte);
        for (_, (relation, columns)) in relations {
            // Everyone may read the system catalogs.
            if system::is_system(relation) {
                continue;
            }
            if self.is_stored() {
                self.check_select(relation, columns)?;
                continue;
            }
            let needs = Needs {
                select: columns.iter().copied().collect(),
                select_any: true,
                ..Needs::default()
            };
            policy::authorize(self.catalog(), &self.role, relation, &needs)?;
        }
        uses.routines.iter().try_for_each(|routine| self.check_execute(routine))
    }

    /// Checks everything below one expression.
    pub(super) fn check_expression(&self, expr: &Expr) -> Result<()> {
        self.check_uses(&Uses::of(|visitor| walk::expr(visitor, expr)))
    }

    /// SELECT on the columns, or on any one where none is named.
    fn check_select(&self, relation: &Relation, columns: &BTreeSet<usize>) -> Result<()> {
        let catalog = self.catalog();
        let allowed = if columns.is_empty() {
            policy::any_column_allows(catalog, &self.role, relation, Privilege::Select)
        } else {
            columns
                .iter()
                .all(|column| policy::column_allows(catalog, &self.role, relation, *column, Privilege::Select))
        };
        if allowed {
            return Ok(());
        }
        let kind = if relation.kind.is_view() { "view" } else { "table" };
        Err(DatabaseError::new(
            "42501",
            format!("permission denied for {kind} {}", relation.name.name),
        ))
    }

    /// Checks that the role that runs the statement may call: views lend no rights to their functions.
    ///
    /// Errors: 42501 `permission denied for function f`.
    pub fn check_execute(&self, routine: &Routine) -> Result<()> {
        if self.is_stored() {
            if policy::acl_allows(
                self.catalog(),
                &self.user,
                &routine.owner,
                &routine.acl,
                Privilege::Execute,
            ) {
                return Ok(());
            }
            return Err(DatabaseError::new(
                "42501",
                format!("permission denied for function {}", routine.name.name),
            ));
        }
        policy::authorize_routine(self.catalog(), &self.user, routine).map(|_| ())
    }
}

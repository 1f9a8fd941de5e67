//! Relations as a role sees them: tables behind their policies, views in place of their names.

use std::sync::Arc;

use mainstay_core::catalog::{ColumnIndex, Policy, PolicyCommand, Relation};
use mainstay_core::error::DatabaseError;
use mainstay_core::name::Ident;
use mainstay_core::policy;
use mainstay_sql::system;
use mainstay_sql::typed::{FromItem, RteId, SetExpression};

use super::documents;
use super::emitter::{Alias, Emitter, Result, Rte, Scope};
use super::privileges::Uses;
use super::query::Names;
use super::walk;

/// The name under which a row's number in its table is reached: `r7._rowid_`.
pub const ROWID: &str = "_rowid_";

/// Which side of a policy a row must pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// Rows that are there.
    Using,
    /// Rows that would be there: WITH CHECK, or USING where that is absent.
    Check,
}

/// What is wanted of a relation in FROM.
#[derive(Clone, Copy)]
pub struct Wanted<'a> {
    /// Policies of all of these commands filter the rows.
    pub commands: &'a [PolicyCommand],
    /// The base table's row number is a column, [`ROWID`].
    pub rowid: bool,
    /// Rows that the statement has written: they passed their checks, and policies and views' conditions hide none.
    pub written: bool,
    /// Columns that the statement's condition holds equal to columns of a bound row: policies read the bound ones, so
    /// that a policy's subquery that asks no more of the row is run once and not for each row.
    pub joined: &'a [(ColumnIndex, ColumnIndex)],
}

/// Reading.
pub const READ: Wanted<'static> = Wanted {
    commands: &[PolicyCommand::Select],
    rowid: false,
    written: false,
    joined: &[],
};

/// Rows that the statement has written, by their numbers.
pub const WRITTEN: Wanted<'static> = Wanted {
    rowid: true,
    written: true,
    ..READ
};

impl Emitter<'_> {
    /// Writes `relation` as the role sees it, under a new alias, and declares `rte` for it. Grants are the caller's
    /// business; inside views they are checked here.
    ///
    /// Errors: 42P17 for a policy that comes back to its own table.
    pub fn secured_relation(&mut self, relation: &Arc<Relation>, rte: RteId, wanted: Wanted<'_>) -> Result<Alias> {
        let alias = self.relation_alias(relation, rte);
        self.marked(rte, |emitter| emitter.write_relation(relation, wanted))?;
        if documents::may_have_keys(relation) {
            self.scope.numbered.insert(rte);
        }
        self.sql(" AS ").alias(alias);
        Ok(alias)
    }

    /// Writes `relation` as the role sees it under an alias that is declared already.
    pub fn secured_as(&mut self, relation: &Arc<Relation>, alias: Alias, wanted: Wanted<'_>) -> Result<()> {
        self.write_relation(relation, wanted)?;
        self.sql(" AS ").alias(alias);
        Ok(())
    }

    /// The alias of an entry for `relation`, which is declared if it was not.
    pub fn relation_alias(&mut self, relation: &Arc<Relation>, rte: RteId) -> Alias {
        let alias = match self.scope.rtes.get(&rte) {
            Some(Rte::Relation { alias, .. }) => *alias,
            _ => self.fresh_alias(),
        };
        self.declare(
            rte,
            Rte::Relation {
                alias,
                relation: Arc::clone(relation),
            },
        );
        alias
    }

    /// The relation without an alias.
    fn write_relation(&mut self, relation: &Arc<Relation>, wanted: Wanted<'_>) -> Result<()> {
        if system::is_system(relation) {
            return self.write_system(relation);
        }
        if relation.view.is_some() {
            return self.write_view(relation, wanted);
        }
        if wanted.written || !policy::row_security_applies(self.catalog(), &self.role, relation) {
            self.writer.object(&relation.name);
            return Ok(());
        }
        let inner = self.fresh_alias();
        let with_rowid = wanted.rowid || documents::may_have_keys(relation);
        self.sql("(SELECT ");
        if with_rowid {
            self.alias(inner).sql("._rowid_ AS _rowid_");
        }
        for (index, column) in relation.columns.iter().enumerate() {
            if index > 0 || with_rowid {
                self.sql(", ");
            }
            self.alias(inner).sql(".");
            self.writer.ident(&column.name);
        }
        if relation.columns.is_empty() && !with_rowid {
            self.sql("NULL");
        }
        self.sql(" FROM ");
        self.writer.object(&relation.name);
        self.sql(" AS ").alias(inner).sql(" WHERE ");
        let row = Rte::Joined {
            alias: inner,
            relation: Arc::clone(relation),
            bound: wanted.joined.into(),
        };
        self.guard(relation, wanted.commands, Side::Using, &row)?;
        self.sql(")");
        Ok(())
    }

    /// A view as a derived table with the view's column names, under its owner's rights or, for a security invoker,
    /// under those of the role that runs the statement.
    fn write_view(&mut self, relation: &Arc<Relation>, wanted: Wanted<'_>) -> Result<()> {
        let Some(view) = &relation.view else { return Ok(()) };
        let role = if view.security_invoker {
            self.user.clone()
        } else {
            relation.owner.clone()
        };
        let query = self.compiled.view(relation)?;
        let names: Vec<Ident> = relation.columns.iter().map(|column| column.name.clone()).collect();
        self.sql("(");
        self.under(&role, |emitter| {
            emitter.fragment(Scope::default(), |emitter| {
                let mut uses = Uses::of(|visitor| walk::query(visitor, &query));
                // A write that reads nothing of the view asks no SELECT on what the view is of.
                if !wanted.commands.contains(&PolicyCommand::Select)
                    && let SetExpression::Select(select) = &query.body
                    && let [FromItem::Relation { rte, .. }] = select.from.as_slice()
                {
                    uses.forget(*rte);
                }
                emitter.check_uses(&uses)?;
                if !wanted.rowid {
                    return emitter.query(&query, Names::Given(&names));
                }
                match &query.body {
                    SetExpression::Select(select) if query.limit.is_none() && query.ctes.is_empty() => {
                        emitter.select_with_rowid(select, Names::Given(&names), wanted)
                    }
                    _ => Err(not_updatable(relation)),
                }
            })
        })?;
        self.sql(")");
        Ok(())
    }

    /// Writes the conjunction of the policies of `commands` for one row, or `1` where none apply to the role.
    pub fn guard(&mut self, relation: &Arc<Relation>, commands: &[PolicyCommand], side: Side, row: &Rte) -> Result<()> {
        if !policy::row_security_applies(self.catalog(), &self.role, relation) {
            self.sql("1");
            return Ok(());
        }
        let mut written: Vec<(Vec<&str>, Vec<&str>)> = Vec::new();
        for command in commands {
            // What a SELECT policy shows, a new row must be in: it has no check of its own.
            let side = if *command == PolicyCommand::Select {
                Side::Using
            } else {
                side
            };
            let parts = self.policies(relation, *command);
            self.check_recursion(relation, &parts)?;
            let texts = (texts_of(&parts.permissive, side), texts_of(&parts.restrictive, side));
            // A policy for ALL is the same condition for every command.
            if written.contains(&texts) {
                continue;
            }
            if !written.is_empty() {
                self.sql(" AND ");
            }
            self.permissive(relation, &parts.permissive, side, row)?;
            for text in &texts.1 {
                self.sql(" AND ");
                self.condition(relation, text, row)?;
            }
            written.push(texts);
        }
        Ok(())
    }

    /// Errors: 42P17 where a policy's subqueries have led back to the relation, and one of its policies has a subquery of
    /// its own, on whichever side: PostgreSQL looks at both.
    fn check_recursion(&self, relation: &Arc<Relation>, parts: &policy::Applicable<'_>) -> Result<()> {
        if !self.guarding.contains(&relation.name) {
            return Ok(());
        }
        for policy in parts.permissive.iter().chain(&parts.restrictive) {
            for text in [&policy.using, &policy.check].into_iter().flatten() {
                if walk::has_subquery(&self.compiled.condition(relation, text)?.expr) {
                    return Err(recursion(relation));
                }
            }
        }
        Ok(())
    }

    /// The policies for one command, as this role falls under them.
    pub fn policies<'p>(&self, relation: &'p Relation, command: PolicyCommand) -> policy::Applicable<'p> {
        let mut parts = policy::applicable(self.catalog(), &self.role, relation, command);
        parts.restrictive.sort_by(|a, b| a.name.cmp(&b.name));
        parts
    }

    /// `(a OR b)`: nothing passes without a permissive policy.
    pub fn permissive(&mut self, relation: &Arc<Relation>, policies: &[&Policy], side: Side, row: &Rte) -> Result<()> {
        let texts = texts_of(policies, side);
        if texts.is_empty() {
            self.sql("0");
            return Ok(());
        }
        if let [only] = texts.as_slice() {
            return self.condition(relation, only, row);
        }
        let is_open = texts.iter().any(|text| self.compiled.always_holds(relation, text));
        let was_idle = self.is_idle;
        self.is_idle |= is_open;
        self.sql("(");
        for (index, text) in texts.iter().enumerate() {
            if index > 0 {
                self.sql(" OR ");
            }
            self.condition(relation, text, row)?;
        }
        self.sql(")");
        self.is_idle = was_idle;
        Ok(())
    }

    /// One policy's expression over `row`, compiled under the role that holds now.
    ///
    /// Errors: 42P17 when the expression's subqueries come back to the relation.
    pub fn condition(&mut self, relation: &Arc<Relation>, text: &str, row: &Rte) -> Result<()> {
        let bound = self.compiled.condition(relation, text)?;
        let with_subquery = walk::has_subquery(&bound.expr);
        let was_idle = self.is_idle;
        self.is_idle |= self.compiled.is_always(&bound.expr);
        if with_subquery {
            if self.guarding.contains(&relation.name) {
                return Err(recursion(relation));
            }
            self.guarding.push(relation.name.clone());
        }
        let written = self.fragment(Scope::of(bound.rte, row.clone()), |emitter| {
            if with_subquery {
                emitter.check_expression(&bound.expr)?;
            }
            emitter.expr(&bound.expr)
        });
        if with_subquery {
            self.guarding.pop();
        }
        self.is_idle = was_idle;
        written
    }
}

/// 42P17.
fn recursion(relation: &Relation) -> DatabaseError {
    let name = &relation.name.name;
    let message = format!("infinite recursion detected in policy for relation \"{name}\"");
    DatabaseError::new("42P17", message)
}

/// The policy's text for one side.
pub fn text_of(policy: &Policy, side: Side) -> Option<&str> {
    match side {
        Side::Using => policy.using.as_deref(),
        Side::Check => policy.check.as_deref().or(policy.using.as_deref()),
    }
}

/// The policies' texts for one side.
pub fn texts_of<'p>(policies: &[&'p Policy], side: Side) -> Vec<&'p str> {
    policies.iter().filter_map(|policy| text_of(policy, side)).collect()
}

/// 55000, for a view that rows cannot be traced through.
pub fn not_updatable(relation: &Relation) -> DatabaseError {
    DatabaseError::new("55000", format!("cannot update view \"{}\"", relation.name.name))
        .detail("Views that do not select from a single table or view are not automatically updatable.")
}

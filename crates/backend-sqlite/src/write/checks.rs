//! What a written row must pass before it is written: policies, views' check options.
//!
//! All conditions of one moment are one statement that answers with the number of the first that is not true, so that
//! the error can name it. It runs before anything of the statement is written, hence policies see the table as before.
//!
//! Source: `portability.md` §8; PostgreSQL manual, CREATE POLICY (which policies apply when).

use std::rc::Rc;
use std::sync::Arc;

use mainstay_core::catalog::{ColumnIndex, PolicyCommand, Relation};
use mainstay_core::error::{BackendError, DatabaseError};
use mainstay_core::name::Ident;
use rusqlite::Connection;
use rusqlite::types::Value as Scalar;

use super::statement::Prepared;
use super::target::Target;
use crate::emit::binds::{Bind, Sources};
use crate::emit::compiled::Compiled;
use crate::emit::privileges::Uses;
use crate::emit::relation::{Side, text_of, texts_of};
use crate::emit::{Emitter, Rte, walk};

/// SQLSTATE `with_check_option_violation`.
const CHECK_OPTION: &str = "44000";

/// Which row is looked at.
#[derive(Clone, Copy)]
pub enum Moment<'a> {
    /// A row that is to be inserted; its values are bound.
    Proposed,
    /// A row that is there, by its number, which is bound after its columns.
    Existing,
    /// A row that is there, with these columns' new values bound.
    Updated(&'a [ColumnIndex]),
}

/// Conditions as one statement.
#[derive(Debug)]
pub struct Checks {
    statement: Prepared,
    failures: Vec<DatabaseError>,
}

impl Checks {
    /// Compiles the policies of `commands` and, for rows to come, the views' check options. `None`: nothing to check.
    pub fn compile(
        compiled: &Compiled,
        target: &Target,
        moment: Moment<'_>,
        commands: &[PolicyCommand],
    ) -> Result<Option<Checks>, DatabaseError> {
        let relation = &target.relation;
        let mut emitter = Emitter::new(compiled, &target.role).for_user(&target.user);
        let alias = emitter.fresh_alias();
        let (row, side) = match moment {
            Moment::Proposed => (
                Rte::Bound {
                    relation: relation.clone(),
                },
                Side::Check,
            ),
            Moment::Existing => (
                Rte::Relation {
                    alias,
                    relation: relation.clone(),
                },
                Side::Using,
            ),
            Moment::Updated(assigned) => (
                Rte::Merged {
                    alias,
                    relation: relation.clone(),
                    assigned: Rc::from(assigned),
                },
                Side::Check,
            ),
        };
        let mut failures = Vec::new();
        emitter.writer().sql("SELECT CASE");
        let mut written: Vec<(Vec<&str>, Vec<&str>)> = Vec::new();
        if emitter.is_guarded(relation) {
            for command in commands {
                let side = if *command == PolicyCommand::Select {
                    Side::Using
                } else {
                    side
                };
                let parts = emitter.policies(relation, *command);
                let both = (texts_of(&parts.permissive, side), texts_of(&parts.restrictive, side));
                // A policy for ALL is the same condition for every command.
                if written.contains(&both) {
                    continue;
                }
                written.push(both);
                let passed = |using: &[&str], check: &[&str]| match moment {
                    Moment::Updated(assigned) => using == check && unmoved(compiled, target, check, assigned),
                    _ => false,
                };
                let using = texts_of(&parts.permissive, Side::Using);
                // One with a subquery is written still: it may lead back to the relation, which is an error.
                let texts = texts_of(&parts.permissive, side);
                let is_open = texts.iter().any(|text| compiled.always_holds(relation, text))
                    && !texts.iter().any(|text| asks_elsewhere(compiled, relation, text));
                if !is_open && !passed(&using, &texts) {
                    when(&mut emitter);
                    emitter.permissive(relation, &parts.permissive, side, &row)?;
                    then(&mut emitter, failures.len());
                    failures.push(violation(target, None, matches!(moment, Moment::Existing)));
                }
                for policy in &parts.restrictive {
                    let Some(text) = text_of(policy, side) else { continue };
                    if passed(policy.using.as_deref().as_slice(), &[text]) {
                        continue;
                    }
                    when(&mut emitter);
                    emitter.condition(relation, text, &row)?;
                    then(&mut emitter, failures.len());
                    failures.push(violation(
                        target,
                        Some(&policy.name),
                        matches!(moment, Moment::Existing),
                    ));
                }
            }
        }
        if !matches!(moment, Moment::Existing) {
            for (view, condition, scope) in target.view_checks(row) {
                when(&mut emitter);
                emitter.fragment(scope, |emitter| emitter.expr(&condition))?;
                then(&mut emitter, failures.len());
                let message = format!("new row violates check option for view \"{}\"", view.name.name);
                failures.push(DatabaseError::new(CHECK_OPTION, message));
            }
        }
        if failures.is_empty() {
            return Ok(None);
        }
        emitter.writer().sql(" ELSE -1 END");
        if !matches!(moment, Moment::Proposed) {
            emitter.writer().sql(" FROM ").object(&relation.name).sql(" AS ");
            emitter.alias(alias).writer().sql(" WHERE ");
            emitter
                .alias(alias)
                .writer()
                .sql("._rowid_ = ")
                .bind(Bind::Row(relation.columns.len()));
        }
        Ok(Some(Checks {
            statement: Prepared::from(emitter.finish()),
            failures,
        }))
    }

    /// Runs the conditions for the row that `sources` binds.
    ///
    /// Errors: 42501 or 44000 of the first that is not true.
    pub fn run(&self, conn: &Connection, sources: &Sources<'_>) -> Result<(), BackendError> {
        let failed: Option<i64> = self.statement.one(conn, sources, |row| row.get(0))?;
        match failed
            .and_then(|index| usize::try_from(index).ok())
            .and_then(|index| self.failures.get(index))
        {
            Some(failure) => Err(failure.clone().into()),
            None => Ok(()),
        }
    }

    /// The same, where a view's check option is judged once its row is written: constraints come before it. `Some`: the
    /// error that follows then.
    ///
    /// Errors: 42501.
    pub fn run_first(&self, conn: &Connection, sources: &Sources<'_>) -> Result<Option<BackendError>, BackendError> {
        match self.run(conn, sources) {
            Ok(()) => Ok(None),
            Err(BackendError::Refused(error)) if error.sqlstate == CHECK_OPTION => {
                Ok(Some(BackendError::Refused(error)))
            }
            Err(error) => Err(error),
        }
    }

    /// The statement, for snapshots.
    pub fn sql(&self) -> &str {
        self.statement.sql()
    }
}

/// Runs the conditions of rows that are to be inserted, and keeps those up to the first that a view refuses. `Some`: the
/// error that follows when they are written.
///
/// Errors: 42501.
pub fn admit(
    checks: Option<&Checks>,
    conn: &Connection,
    sources: &Sources<'_>,
    rows: &mut Vec<Vec<Scalar>>,
) -> Result<Option<BackendError>, BackendError> {
    let Some(checks) = checks else { return Ok(None) };
    for index in 0..rows.len() {
        let refused = checks.run_first(conn, &sources.with_row(&rows[index]))?;
        if refused.is_some() {
            rows.truncate(index + 1);
            return Ok(refused);
        }
    }
    Ok(None)
}

/// True if what an update assigns cannot change the conditions' answers: the rows that are updated have passed them.
fn unmoved(compiled: &Compiled, target: &Target, texts: &[&str], assigned: &[ColumnIndex]) -> bool {
    texts.iter().all(|text| {
        compiled.condition(&target.relation, text).is_ok_and(|bound| {
            let Some(rte) = bound.rte else { return false };
            let named = Uses::of(|visitor| walk::expr(visitor, &bound.expr)).columns_of(rte);
            named
                .iter()
                .all(|column| !assigned.contains(column) && target.relation.columns[*column].generated.is_none())
        })
    })
}

fn asks_elsewhere(compiled: &Compiled, relation: &Arc<Relation>, text: &str) -> bool {
    let bound = compiled.condition(relation, text);
    bound.is_ok_and(|bound| walk::has_subquery(&bound.expr))
}

fn when(emitter: &mut Emitter<'_>) {
    emitter.writer().sql(" WHEN ");
}

fn then(emitter: &mut Emitter<'_>, index: usize) {
    emitter.writer().sql(" IS NOT 1 THEN ").number(index as i64);
}

/// 42501 as PostgreSQL words it; restrictive policies are named.
fn violation(target: &Target, policy: Option<&Ident>, existing: bool) -> DatabaseError {
    let table = &target.relation.name.name;
    let using = if existing { "(USING expression) " } else { "" };
    let message = match policy {
        Some(policy) => {
            format!("new row violates row-level security policy \"{policy}\" {using}for table \"{table}\"")
        }
        None => format!("new row violates row-level security policy {using}for table \"{table}\""),
    };
    DatabaseError::new("42501", message)
}

//! DDL → catalog: what a statement changes, checked by PostgreSQL's rules.
//!
//! Lives here: names chosen and checked as PostgreSQL does, dependencies, grants, refusals, and the list of what an
//! engine has to do ([`Change`]).
//! Not here: how an engine does it (`backend-*`), queries and DML (`analyse`).
//! Invariant: on an error the catalog may be half changed; callers apply to a copy and drop it.
//!
//! Source: PostgreSQL 15 manual, part VI (SQL commands); messages and codes as the server words them.

mod alter;
mod change;
mod comment;
mod constraint;
mod deferral;
mod dependency;
mod derive;
mod domain;
mod drop;
mod enumeration;
mod expression;
mod extension;
mod grant;
mod index;
mod initial;
mod lookup;
mod naming;
mod operator_class;
mod options;
mod policy;
mod publication;
pub(crate) mod quote;
mod relocate;
mod removal;
mod rename;
mod retype;
mod routine;
mod sequence;
mod setting;
mod spell;
mod storage;
mod table;
#[cfg(test)]
mod tests;
mod trigger;
mod truncate;
mod types;
mod updatability;
mod view;
pub(crate) mod walk;

use std::sync::Arc;

use mainstay_core::catalog::{Catalog, Relation};
use mainstay_core::error::DatabaseError;
use mainstay_core::name::QualifiedName;

pub use alter::steps;
pub use change::{Change, Notice, SequenceValue};
pub use deferral::restore as restore_constraints;
pub use initial::{DefaultGrants, complete, initial_catalog, set_default_grants};
pub use quote::{identifier, literal, quote_ident};
pub use retype::Retyped;
pub use setting::{set, setting_of};
pub use updatability::{Updatability, Writable, writable};

/// The name that PostgreSQL gives the sequence of a serial or identity column, if it is free.
pub fn sequence_name(table: &str, column: &str) -> String {
    naming::compose(table, Some(column), "seq")
}

use crate::ast::Statement;
use crate::ast::ddl::DdlStatement;
use crate::parse::ParsedStatement;
use crate::session::Session;

/// Bits of a relation's id that count within one version of the catalog.
const ID_COUNTER_BITS: u32 = 20;

type Result<T> = std::result::Result<T, DatabaseError>;

/// Applies one DDL or SET statement to `catalog` and says what is left for the engine to do.
///
/// Errors: as PostgreSQL words them; 0A000 `not available on the embedded engine: …` for what is outside the subset.
/// After an error the catalog is not to be used.
pub fn apply(catalog: &mut Catalog, session: &mut Session, statement: &ParsedStatement) -> Result<Vec<Change>> {
    match &statement.ast {
        Statement::Set(set) => {
            setting::set(session, set, statement.line)?;
            Ok(vec![Change::Catalog])
        }
        Statement::Ddl(ddl) => {
            if !catalog.roles.get(&session.user).is_some_and(|role| role.superuser) {
                return Err(DatabaseError::new("42501", "permission denied to change the schema")
                    .hint("Only postgres may; write a migration."));
            }
            let mut run = Run {
                catalog,
                session,
                changes: Vec::new(),
                line: statement.line,
            };
            run.statement(ddl)?;
            Ok(run.changes)
        }
        Statement::Unsupported(refused) => Err(DatabaseError::unavailable(
            &refused.feature,
            &refused.object,
            refused.line,
            refused.alternative.as_deref(),
        )),
        _ => Err(DatabaseError::new("XX000", "not a statement that changes the catalog")),
    }
}

/// What holds only within the transaction that is about to commit is forgotten.
pub fn settle(catalog: &mut Catalog) {
    for entry in catalog.enums.values_mut().filter(|entry| !entry.uncommitted.is_empty()) {
        Arc::make_mut(entry).uncommitted.clear();
    }
}

/// One statement on its way into the catalog.
struct Run<'a> {
    catalog: &'a mut Catalog,
    session: &'a mut Session,
    changes: Vec<Change>,
    /// Where the statement begins, 1-based.
    line: u32,
}

impl Run<'_> {
    fn statement(&mut self, statement: &DdlStatement) -> Result<()> {
        let changes_views = matches!(
            statement,
            DdlStatement::CreateTrigger(_) | DdlStatement::CreateView(_) | DdlStatement::Drop(_)
        );
        let had_view_triggers = changes_views && self.has_view_triggers();
        match statement {
            DdlStatement::CreateTable(create) => self.create_table(create)?,
            DdlStatement::CreateIndex(create) => self.create_index(create)?,
            DdlStatement::CreateEnum { name, labels } => self.create_enum(name, labels)?,
            DdlStatement::CreateDomain(create) => self.create_domain(create)?,
            DdlStatement::AlterDomain(alter) => self.alter_domain(alter)?,
            DdlStatement::CreateView(create) => self.create_view(create)?,
            DdlStatement::CreatePolicy(create) => self.create_policy(create)?,
            DdlStatement::AlterPolicy(alter) => self.alter_policy(alter)?,
            DdlStatement::CreateRole(create) => self.create_role(create)?,
            DdlStatement::Grant(grant) => self.grant(grant)?,
            DdlStatement::GrantRole(grant) => self.grant_role(grant)?,
            DdlStatement::DefaultPrivileges(privileges) => self.default_privileges(privileges)?,
            DdlStatement::Comment(comment) => self.comment(comment)?,
            DdlStatement::AlterTable(alter) => self.alter_table(alter)?,
            DdlStatement::Rename(rename) => self.rename(rename)?,
            DdlStatement::Drop(drop) => self.drop(drop)?,
            DdlStatement::CreateSchema {
                name,
                owner,
                if_not_exists,
            } => self.create_schema(name, owner.as_ref(), *if_not_exists)?,
            DdlStatement::CreateExtension {
                name,
                if_not_exists,
                schema,
            } => {
                self.create_extension(name, *if_not_exists, schema.as_ref())?;
            }
            DdlStatement::CreateSequence {
                name,
                if_not_exists,
                options,
            } => {
                self.create_sequence(name, *if_not_exists, options)?;
            }
            DdlStatement::AlterSequence {
                name,
                if_exists,
                options,
            } => {
                self.alter_sequence(name, *if_exists, options)?;
            }
            DdlStatement::CreateFunction(create) => self.create_function(create)?,
            DdlStatement::AlterFunction(alter) => self.alter_function(alter)?,
            DdlStatement::CreateTrigger(create) => self.create_trigger(create)?,
            DdlStatement::Owner {
                kind,
                name,
                arguments,
                owner,
            } => {
                self.owner(*kind, name, arguments.as_deref(), owner)?;
            }
            DdlStatement::Publication(publication) => self.publication(publication)?,
            DdlStatement::DropPublication { names, if_exists } => self.drop_publications(names, *if_exists)?,
            DdlStatement::AlterEnum { name, change } => self.alter_enum(name, change)?,
            DdlStatement::SetSchema(set) => self.set_schema(set)?,
            DdlStatement::AlterRole(alter) => self.alter_role(alter)?,
            DdlStatement::Truncate(truncate) => self.truncate(truncate)?,
            DdlStatement::SetConstraints { names, deferred } => self.set_constraints(names, *deferred)?,
            DdlStatement::CreateTableAs(create) => self.create_table_as(create)?,
        }
        if changes_views && (had_view_triggers || self.has_view_triggers()) {
            self.settle_views()?;
        }
        if self.changes.is_empty() {
            self.changes.push(Change::Catalog);
        }
        Ok(())
    }

    fn notice(&mut self, sqlstate: &str, message: impl Into<String>) {
        let notice = Notice {
            sqlstate: sqlstate.to_owned(),
            message: message.into(),
            line: self.line,
        };
        self.changes.push(Change::Notice(notice));
    }

    /// The refusal of DESIGN §1: what, which object, which line.
    fn refuse(&self, feature: &str, object: &str, alternative: Option<&str>) -> DatabaseError {
        DatabaseError::unavailable(feature, object, self.line, alternative)
    }

    /// The relation, to be changed. Errors: XX000 if it has gone, which would be a bug.
    fn relation_mut(&mut self, name: &QualifiedName) -> Result<&mut Relation> {
        match self.catalog.relations.get_mut(name) {
            Some(relation) => Ok(Arc::make_mut(relation)),
            None => Err(DatabaseError::new("XX000", format!("relation {name} has gone"))),
        }
    }

    /// An identity that no earlier object of this database had: made of the catalog's version, which only grows.
    fn next_id(&self) -> u64 {
        let floor = (self.catalog.version + 1) << ID_COUNTER_BITS;
        let relations = self.catalog.relations.values().map(|relation| relation.id);
        let routines = self.catalog.routines.values().flatten().map(|routine| routine.id);
        relations
            .chain(routines)
            .max()
            .map_or(floor, |highest| floor.max(highest + 1))
    }
}

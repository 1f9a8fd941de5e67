//! `SET CONSTRAINTS`: deferrable foreign keys wait for the end of the transaction, or do so no more.
//!
//! For the rest of the transaction the catalog says what was set; [`restore`] gives back what was declared.

use std::sync::Arc;

use mainstay_core::catalog::{Catalog, ConstraintKind};
use mainstay_core::error::DatabaseError;
use mainstay_core::name::{Ident, QualifiedName};

use super::{Change, Result, Run};
use crate::ast::ObjectName;
use crate::session::Session;

impl Run<'_> {
    pub(super) fn set_constraints(&mut self, names: &[ObjectName], deferred: bool) -> Result<()> {
        let mut found = Vec::new();
        if names.is_empty() {
            found = self.deferrable_keys(|_, _| true);
        }
        for name in names {
            found.extend(self.keys_called(name)?);
        }
        for (table, constraint) in found {
            let Some(before) = set_mode(self.catalog, &table, &constraint, deferred) else {
                continue;
            };
            if before == deferred {
                continue;
            }
            let modes = &mut self.session.constraint_modes;
            if !modes
                .iter()
                .any(|(known, name, _)| *known == table && *name == constraint)
            {
                modes.push((table.clone(), constraint.clone(), before));
            }
            if !deferred {
                self.changes.push(Change::CheckForeignKey {
                    table: table.clone(),
                    constraint,
                    not_valid: false,
                });
            }
            self.changes.push(Change::Redefine { table });
        }
        Ok(())
    }

    /// Deferrable foreign keys, oldest table first.
    fn deferrable_keys(&self, wanted: impl Fn(&QualifiedName, &Ident) -> bool) -> Vec<(QualifiedName, Ident)> {
        let mut relations: Vec<_> = self.catalog.relations.values().collect();
        relations.sort_by_key(|relation| relation.id);
        let mut found = Vec::new();
        for relation in relations {
            for constraint in &relation.constraints {
                let deferrable = matches!(&constraint.kind, ConstraintKind::ForeignKey(key) if key.deferrable);
                if deferrable && wanted(&relation.name, &constraint.name) {
                    found.push((relation.name.clone(), constraint.name.clone()));
                }
            }
        }
        found
    }

    /// The keys of that name in the first schema that has a constraint of it. Errors: 3F000, 42704, 42809.
    fn keys_called(&self, name: &ObjectName) -> Result<Vec<(QualifiedName, Ident)>> {
        let schemas = match &name.schema {
            Some(schema) => vec![self.existing_schema(schema)?],
            None => self.session.search_path.clone(),
        };
        for schema in schemas {
            let known = self.catalog.relations.values().any(|relation| {
                relation.name.schema == schema && relation.constraints.iter().any(|entry| entry.name == name.name)
            });
            if !known {
                continue;
            }
            let keys = self.deferrable_keys(|table, constraint| table.schema == schema && *constraint == name.name);
            if keys.is_empty() {
                let message = format!("constraint \"{}\" is not deferrable", name.name);
                return Err(DatabaseError::new("42809", message));
            }
            return Ok(keys);
        }
        let message = format!("constraint \"{}\" does not exist", name.name);
        Err(DatabaseError::new("42704", message))
    }
}

/// Gives a key another mode and says which it had.
fn set_mode(catalog: &mut Catalog, table: &QualifiedName, constraint: &Ident, deferred: bool) -> Option<bool> {
    let relation = catalog.relations.get_mut(table)?;
    let entry = Arc::make_mut(relation)
        .constraints
        .iter_mut()
        .find(|entry| entry.name == *constraint)?;
    match &mut entry.kind {
        ConstraintKind::ForeignKey(key) => Some(std::mem::replace(&mut key.initially_deferred, deferred)),
        _ => None,
    }
}

/// At the end of a transaction: every key as it was declared. Gives what is left for the engine to do.
pub fn restore(catalog: &mut Catalog, session: &mut Session) -> Vec<Change> {
    let mut changes = Vec::new();
    for (table, constraint, declared) in std::mem::take(&mut session.constraint_modes) {
        if set_mode(catalog, &table, &constraint, declared).is_some_and(|now| now != declared) {
            changes.push(Change::Redefine { table });
        }
    }
    changes
}

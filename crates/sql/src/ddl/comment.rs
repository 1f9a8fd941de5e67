//! `COMMENT ON` and `OWNER TO`.

use std::sync::Arc;

use mainstay_core::error::DatabaseError;

use super::grant::existing_language;
use super::policy::no_policy;
use super::trigger::no_trigger;
use super::{Result, Run};
use crate::ast::ddl::{Comment, CommentTarget, ObjectKind, RoleName};
use crate::ast::{ObjectName, TypeName};

impl Run<'_> {
    pub(super) fn comment(&mut self, comment: &Comment) -> Result<()> {
        let text = comment.text.clone();
        match &comment.on {
            // Kept for PostgreSQL: nothing here shows these, but they must be there.
            // A server only warns of a database that is not there.
            CommentTarget::Database(_) => {}
            CommentTarget::Language(name) => existing_language(name)?,
            CommentTarget::Publication(name) => self.existing_publication(name)?,
            CommentTarget::Extension(name) => {
                if !self.catalog.extensions.contains_key(name) {
                    return Err(DatabaseError::new(
                        "42704",
                        format!("extension \"{name}\" does not exist"),
                    ));
                }
            }
            CommentTarget::Relation {
                kind: ObjectKind::Table | ObjectKind::View,
                name,
            } => {
                let wants_view = matches!(
                    comment.on,
                    CommentTarget::Relation {
                        kind: ObjectKind::View,
                        ..
                    }
                );
                let relation = self.existing_relation(name)?;
                if relation.kind.is_view() != wants_view {
                    let kind = if wants_view { "view" } else { "table" };
                    let message = format!("\"{}\" is not a {kind}", relation.name.name);
                    return Err(DatabaseError::new("42809", message));
                }
                self.relation_mut(&relation.name)?.comment = text;
            }
            CommentTarget::Relation { name, .. } => {
                // Indexes and sequences have no place for one; the name must be right all the same.
                if self.find_index(name).is_none() && self.find_sequence(name).is_none() {
                    return Err(DatabaseError::new(
                        "42P01",
                        format!("relation \"{name}\" does not exist"),
                    ));
                }
            }
            CommentTarget::Column { relation, column } => {
                let relation = self.existing_relation(relation)?;
                let Some((index, _)) = relation.column(column) else {
                    let message = format!(
                        "column \"{column}\" of relation \"{}\" does not exist",
                        relation.name.name
                    );
                    return Err(DatabaseError::new("42703", message));
                };
                self.relation_mut(&relation.name)?.columns[index].comment = text;
            }
            CommentTarget::Constraint { table, constraint } => {
                let relation = self.existing_relation(table)?;
                let found = relation.constraints.iter().position(|entry| entry.name == *constraint);
                let Some(index) = found else {
                    let message = format!(
                        "constraint \"{constraint}\" for table \"{}\" does not exist",
                        relation.name.name
                    );
                    return Err(DatabaseError::new("42704", message));
                };
                self.relation_mut(&relation.name)?.constraints[index].comment = text;
            }
            CommentTarget::Policy { table, policy } => {
                let relation = self.existing_relation(table)?;
                if !relation.policies.iter().any(|entry| entry.name == *policy) {
                    return Err(no_policy(policy, &relation.name.name));
                }
            }
            CommentTarget::Trigger { table, trigger } => {
                let relation = self.existing_relation(table)?;
                let changed = self.relation_mut(&relation.name)?;
                match changed.triggers.iter_mut().find(|entry| entry.name == *trigger) {
                    Some(entry) => entry.comment = text,
                    None => return Err(no_trigger(trigger, &relation.name.name)),
                }
            }
            CommentTarget::Function(function) => {
                let (name, index) = self.existing_routine(&function.name, function.arguments.as_deref())?;
                if let Some(routine) = self.catalog.routines.get_mut(&name).and_then(|all| all.get_mut(index)) {
                    Arc::make_mut(routine).comment = text;
                }
            }
            CommentTarget::Schema(schema) => {
                let schema = self.existing_schema(schema)?;
                if let Some(entry) = self.catalog.schemas.get_mut(&schema) {
                    entry.comment = text;
                }
            }
            CommentTarget::Role(role) => {
                self.existing_role(role)?;
                if let Some(entry) = self.catalog.roles.get_mut(role) {
                    entry.comment = text;
                }
            }
            CommentTarget::Type(name) if self.find_domain(name).is_some() => {
                let found = self.existing_domain(name)?;
                if let Some(entry) = self.catalog.domains.get_mut(&found) {
                    Arc::make_mut(entry).comment = text;
                }
            }
            CommentTarget::Domain(name) => {
                let found = self.existing_domain(name)?;
                if let Some(entry) = self.catalog.domains.get_mut(&found) {
                    Arc::make_mut(entry).comment = text;
                }
            }
            // Kept for PostgreSQL: nothing here shows it.
            CommentTarget::DomainConstraint { domain, constraint } => {
                let found = self.existing_domain(domain)?;
                let known = (self.catalog.domains.get(&found))
                    .is_some_and(|entry| entry.checks.iter().any(|(name, _)| name == constraint));
                if !known {
                    let shown = self.described(&found);
                    let message = format!("constraint \"{constraint}\" for domain {shown} does not exist");
                    return Err(DatabaseError::new("42704", message));
                }
            }
            CommentTarget::Type(name) => {
                let Some(found) = self.find_enum(name) else {
                    return Err(DatabaseError::new("42704", format!("type \"{name}\" does not exist")));
                };
                if let Some(entry) = self.catalog.enums.get_mut(&found) {
                    Arc::make_mut(entry).comment = text;
                }
            }
        }
        Ok(())
    }

    pub(super) fn owner(
        &mut self,
        kind: ObjectKind,
        name: &ObjectName,
        arguments: Option<&[TypeName]>,
        owner: &RoleName,
    ) -> Result<()> {
        let owner = self.role(owner)?;
        match kind {
            // It has no owner of its own here, and no rights that one would give.
            ObjectKind::Publication => self.existing_publication(&name.name)?,
            ObjectKind::Schema => {
                let schema = self.existing_schema(&name.name)?;
                if let Some(entry) = self.catalog.schemas.get_mut(&schema) {
                    entry.owner = owner;
                }
            }
            ObjectKind::Domain => {
                let found = self.existing_domain(name)?;
                if let Some(entry) = self.catalog.domains.get_mut(&found) {
                    Arc::make_mut(entry).owner = owner;
                }
            }
            ObjectKind::Type if self.find_domain(name).is_some() => {
                return self.owner(ObjectKind::Domain, name, None, &RoleName::Named(owner));
            }
            ObjectKind::Type => {
                let Some(found) = self.find_enum(name) else {
                    return Err(DatabaseError::new("42704", format!("type \"{name}\" does not exist")));
                };
                if let Some(entry) = self.catalog.enums.get_mut(&found) {
                    Arc::make_mut(entry).owner = owner;
                }
            }
            ObjectKind::Function => {
                let (found, index) = self.existing_routine(name, arguments)?;
                if let Some(routine) = self.catalog.routines.get_mut(&found).and_then(|all| all.get_mut(index)) {
                    Arc::make_mut(routine).owner = owner;
                }
            }
            ObjectKind::Sequence => {
                let Some(found) = self.find_sequence(name) else {
                    return Err(DatabaseError::new(
                        "42P01",
                        format!("relation \"{name}\" does not exist"),
                    ));
                };
                if let Some(entry) = self.catalog.sequences.get_mut(&found) {
                    Arc::make_mut(entry).owner = owner;
                }
            }
            _ => {
                let relation = self.existing_relation(name)?;
                self.relation_mut(&relation.name)?.owner = owner.clone();
                // A table's own sequences go with it.
                for entry in self.catalog.sequences.values_mut() {
                    if entry
                        .owned_by
                        .as_ref()
                        .is_some_and(|(table, _)| *table == relation.name)
                    {
                        Arc::make_mut(entry).owner = owner.clone();
                    }
                }
            }
        }
        Ok(())
    }
}

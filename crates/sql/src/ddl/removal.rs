//! Taking objects out of the catalog, each with what is a part of it.
//!
//! Not here: what else would have to go (`drop`).

use std::collections::HashSet;

use mainstay_core::catalog::{AclEntry, ConstraintKind, IndexPart, RelationKind};
use mainstay_core::name::{Ident, QualifiedName};

use super::dependency::{self, Object, Place};
use super::{Change, Result, Run};

impl Run<'_> {
    /// Takes one object out of the catalog and says what the engine has to do.
    pub(super) fn take_out(&mut self, object: &Object) -> Result<()> {
        match object {
            Object::Relation(name) => self.take_out_relation(name),
            Object::Column(table, column) => self.take_out_column(table, column),
            Object::Constraint(table, name) => self.take_out_constraint(table, name),
            Object::Index(table, name) => {
                if let Ok(relation) = self.relation_mut(table) {
                    relation.indexes.retain(|index| index.name != *name);
                    self.changes.push(Change::DropIndex {
                        table: table.clone(),
                        name: name.clone(),
                    });
                }
                Ok(())
            }
            Object::Policy(table, name) => {
                if let Ok(relation) = self.relation_mut(table) {
                    relation.policies.retain(|policy| policy.name != *name);
                }
                Ok(())
            }
            Object::Trigger(table, name) => {
                if let Ok(relation) = self.relation_mut(table) {
                    relation.triggers.retain(|trigger| trigger.name != *name);
                }
                Ok(())
            }
            Object::Default(table, column) => {
                if let Ok(relation) = self.relation_mut(table) {
                    for entry in relation.columns.iter_mut().filter(|entry| entry.name == *column) {
                        entry.default = None;
                        entry.sequence = None;
                    }
                }
                Ok(())
            }
            Object::Sequence(name) => {
                if self.catalog.sequences.remove(name).is_some() {
                    self.changes.push(Change::DropSequence(name.clone()));
                }
                Ok(())
            }
            Object::Type(name) => {
                self.catalog.domains.remove(name);
                if self.catalog.enums.remove(name).is_some() {
                    self.changes.push(Change::DropEnum(name.clone()));
                }
                Ok(())
            }
            Object::Routine(name, id) => {
                if let Some(overloads) = self.catalog.routines.get_mut(name) {
                    overloads.retain(|routine| routine.id != *id);
                    if overloads.is_empty() {
                        self.catalog.routines.remove(name);
                    }
                }
                Ok(())
            }
            Object::Schema(name) => {
                if super::initial::is_built_in_schema(name) {
                    return Err(self.refuse("DROP SCHEMA of a built-in schema", name, None));
                }
                self.catalog.schemas.remove(name);
                self.catalog
                    .default_privileges
                    .retain(|entry| entry.schema.as_ref() != Some(name));
                Ok(())
            }
        }
    }

    fn take_out_relation(&mut self, name: &QualifiedName) -> Result<()> {
        let Some(relation) = self.catalog.relations.remove(name) else {
            return Ok(());
        };
        if relation.kind == RelationKind::Table {
            self.changes.push(Change::DropTable(name.clone()));
        }
        self.drop_owned_sequences(name, None);
        Ok(())
    }

    fn drop_owned_sequences(&mut self, table: &QualifiedName, column: Option<&Ident>) {
        let owned: Vec<QualifiedName> = self
            .catalog
            .sequences
            .values()
            .filter(|sequence| {
                sequence.owned_by.as_ref().is_some_and(|(owner, owner_column)| {
                    owner == table && column.is_none_or(|column| column == owner_column)
                })
            })
            .map(|sequence| sequence.name.clone())
            .collect();
        for name in owned {
            self.catalog.sequences.remove(&name);
            self.changes.push(Change::DropSequence(name));
        }
    }

    fn take_out_constraint(&mut self, table: &QualifiedName, name: &Ident) -> Result<()> {
        let Ok(relation) = self.relation_mut(table) else {
            return Ok(());
        };
        let Some(index) = relation.constraints.iter().position(|entry| entry.name == *name) else {
            return Ok(());
        };
        let removed = relation.constraints.remove(index);
        match removed.kind {
            ConstraintKind::PrimaryKey { .. } => {
                self.changes.push(Change::DropIndex {
                    table: table.clone(),
                    name: name.clone(),
                });
                self.changes.push(Change::Redefine { table: table.clone() });
            }
            ConstraintKind::Unique { .. } => {
                self.changes.push(Change::DropIndex {
                    table: table.clone(),
                    name: name.clone(),
                });
            }
            ConstraintKind::Check { .. } | ConstraintKind::ForeignKey(_) => {
                self.changes.push(Change::Redefine { table: table.clone() });
            }
        }
        Ok(())
    }

    fn take_out_column(&mut self, table: &QualifiedName, column: &Ident) -> Result<()> {
        let Some(relation) = self.catalog.relations.get(table).cloned() else {
            return Ok(());
        };
        let Some((position, _)) = relation.column(column) else {
            return Ok(());
        };
        let mut users: HashSet<(bool, usize)> = HashSet::new();
        for stored in dependency::stored(self.catalog)
            .iter()
            .filter(|stored| stored.relation == *table)
        {
            let key = match stored.place {
                Place::Check(index) => (true, index),
                Place::IndexKey(index, _) | Place::Predicate(index) => (false, index),
                _ => continue,
            };
            if stored.uses(self.catalog)?.column(table, column) {
                users.insert(key);
            }
        }
        let gone_constraints: Vec<Ident> = relation
            .constraints
            .iter()
            .enumerate()
            .filter(|(index, constraint)| match &constraint.kind {
                ConstraintKind::PrimaryKey { columns } | ConstraintKind::Unique { columns } => {
                    columns.contains(&position)
                }
                ConstraintKind::ForeignKey(key) => key.columns.contains(&position),
                ConstraintKind::Check { .. } => users.contains(&(true, *index)),
            })
            .map(|(_, constraint)| constraint.name.clone())
            .collect();
        let gone_indexes: Vec<Ident> = relation
            .indexes
            .iter()
            .enumerate()
            .filter(|(index, entry)| {
                users.contains(&(false, *index))
                    || entry
                        .keys
                        .iter()
                        .any(|key| matches!(key.part, IndexPart::Column(at) if at == position))
                    || entry.including.contains(&position)
            })
            .map(|(_, entry)| entry.name.clone())
            .collect();
        for index in &gone_indexes {
            self.changes.push(Change::DropIndex {
                table: table.clone(),
                name: index.clone(),
            });
        }
        for constraint in &gone_constraints {
            let is_key = relation.constraints.iter().any(|entry| {
                entry.name == *constraint
                    && matches!(
                        entry.kind,
                        ConstraintKind::PrimaryKey { .. } | ConstraintKind::Unique { .. }
                    )
            });
            if is_key {
                self.changes.push(Change::DropIndex {
                    table: table.clone(),
                    name: constraint.clone(),
                });
            }
        }
        self.drop_owned_sequences(table, Some(column));
        if relation.columns.len() == 1 {
            return Err(self.refuse("tables without columns", &table.name, Some("one column at least")));
        }
        let shift = |index: usize| if index > position { index - 1 } else { index };
        let changed = self.relation_mut(table)?;
        changed
            .constraints
            .retain(|constraint| !gone_constraints.contains(&constraint.name));
        changed.indexes.retain(|index| !gone_indexes.contains(&index.name));
        changed.columns.remove(position);
        for constraint in &mut changed.constraints {
            let columns = match &mut constraint.kind {
                ConstraintKind::PrimaryKey { columns } | ConstraintKind::Unique { columns } => columns,
                ConstraintKind::ForeignKey(key) => &mut key.columns,
                ConstraintKind::Check { .. } => continue,
            };
            columns.iter_mut().for_each(|index| *index = shift(*index));
        }
        for column in changed.indexes.iter_mut().flat_map(|index| &mut index.including) {
            *column = shift(*column);
        }
        for key in changed.indexes.iter_mut().flat_map(|index| &mut index.keys) {
            if let IndexPart::Column(index) = &mut key.part {
                *index = shift(*index);
            }
        }
        for index in changed.triggers.iter_mut().flat_map(|trigger| &mut trigger.columns) {
            *index = shift(*index);
        }
        changed.acl.retain(|entry| entry.column != Some(position));
        changed
            .acl
            .iter_mut()
            .for_each(|entry: &mut AclEntry| entry.column = entry.column.map(shift));
        self.changes.push(Change::DropColumn {
            table: table.clone(),
            column: column.clone(),
        });
        Ok(())
    }
}

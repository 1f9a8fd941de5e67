//! Constraints: checked, named, and added to a table.

use std::sync::Arc;

use mainstay_core::catalog::{
    ColumnIndex, Constraint, ConstraintKind, ForeignKey, Index, IndexPart, ReferentialAction, Relation,
};
use mainstay_core::error::DatabaseError;
use mainstay_core::name::{Ident, QualifiedName};
use mainstay_core::types::{Type, TypeModifier};

use super::expression::Place;
use super::lookup::relation_exists;
use super::{Change, Result, Run, naming, storage, types};
use crate::ast::ddl::{ConstraintBody, ConstraintDefinition, ForeignKeyDefinition};

impl Run<'_> {
    /// Adds constraints in PostgreSQL's order: checks, then keys with the primary one first, then foreign keys.
    ///
    /// `new_table`: there are no rows to check and the table's definition is still to be written.
    pub(super) fn add_constraints(
        &mut self,
        table: &QualifiedName,
        constraints: &[ConstraintDefinition],
        new_table: bool,
    ) -> Result<()> {
        for entry in constraints
            .iter()
            .filter(|entry| matches!(entry.body, ConstraintBody::Check(_)))
        {
            self.add_check(table, entry, new_table)?;
        }
        let primary = |entry: &&ConstraintDefinition| matches!(entry.body, ConstraintBody::PrimaryKey { .. });
        let unique = |entry: &&ConstraintDefinition| matches!(entry.body, ConstraintBody::Unique { .. });
        if constraints.iter().filter(primary).count() > 1 {
            return Err(multiple_primary_keys(&table.name));
        }
        for entry in constraints.iter().filter(primary) {
            self.add_key(table, entry, new_table)?;
        }
        for entry in constraints.iter().filter(unique) {
            self.add_key(table, entry, new_table)?;
        }
        for entry in constraints {
            match &entry.body {
                ConstraintBody::ForeignKey(key) => self.add_foreign_key(table, entry, key, new_table)?,
                ConstraintBody::UsingIndex { primary, index } => {
                    self.add_key_from_index(table, entry, *primary, index)?;
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn current(&self, table: &QualifiedName) -> Result<Arc<Relation>> {
        self.catalog
            .relations
            .get(table)
            .cloned()
            .ok_or_else(|| DatabaseError::new("XX000", format!("relation {table} has gone")))
    }

    fn add_check(&mut self, table: &QualifiedName, entry: &ConstraintDefinition, new_table: bool) -> Result<()> {
        let ConstraintBody::Check(text) = &entry.body else {
            return Ok(());
        };
        let relation = self.current(table)?;
        let kept = self.kept(text, &relation, Place::Check)?;
        let name = match &entry.name {
            Some(name) if new_table && relation.constraints.iter().any(|other| other.name == *name) => {
                return Err(DatabaseError::new(
                    "42710",
                    format!("check constraint \"{name}\" already exists"),
                ));
            }
            Some(name) => self.given_name(&relation, name)?,
            None => {
                let columns = kept.columns();
                let column = match columns.as_slice() {
                    [only] => Some(relation.columns[*only].name.as_str()),
                    _ => None,
                };
                naming::choose_constraint(self.catalog, &table.schema, &table.name, column, "check")
            }
        };
        let kind = ConstraintKind::Check { expression: kept.text };
        self.push_constraint(table, name.clone(), kind, entry.not_valid && !new_table)?;
        if !new_table {
            self.changes.push(Change::CheckRows {
                table: table.clone(),
                constraint: name,
                not_valid: entry.not_valid,
            });
            self.changes.push(Change::Redefine { table: table.clone() });
        }
        Ok(())
    }

    /// Errors: 42710 `constraint "x" for relation "t" already exists`.
    fn given_name(&self, relation: &Relation, name: &Ident) -> Result<Ident> {
        let name = Ident::new(naming::cut(name, naming::NAME_BYTES_MAX));
        if relation.constraints.iter().any(|constraint| constraint.name == name) {
            let message = format!(
                "constraint \"{name}\" for relation \"{}\" already exists",
                relation.name.name
            );
            return Err(DatabaseError::new("42710", message));
        }
        Ok(name)
    }

    fn push_constraint(
        &mut self,
        table: &QualifiedName,
        name: Ident,
        kind: ConstraintKind,
        not_valid: bool,
    ) -> Result<()> {
        self.relation_mut(table)?.constraints.push(Constraint {
            name,
            kind,
            not_valid,
            comment: None,
        });
        Ok(())
    }

    fn add_key(&mut self, table: &QualifiedName, entry: &ConstraintDefinition, new_table: bool) -> Result<()> {
        let (columns, primary) = match &entry.body {
            ConstraintBody::PrimaryKey { columns } => (columns, true),
            ConstraintBody::Unique { columns } => (columns, false),
            _ => return Ok(()),
        };
        let relation = self.current(table)?;
        let has_primary = relation
            .constraints
            .iter()
            .any(|other| matches!(other.kind, ConstraintKind::PrimaryKey { .. }));
        if primary && has_primary {
            return Err(multiple_primary_keys(&table.name));
        }
        storage::check(storage::Holder::Index("btree"), &entry.storage)?;
        if let Some(column) = entry.including.iter().find(|column| relation.column(column).is_none()) {
            let message = format!("column \"{column}\" named in key does not exist");
            return Err(DatabaseError::new("42703", message));
        }
        let mut indexes: Vec<ColumnIndex> = Vec::new();
        for column in columns {
            let Some((index, found)) = relation.column(column) else {
                let message = match primary && !new_table {
                    // PostgreSQL first makes the column NOT NULL.
                    true => format!("column \"{column}\" of relation \"{}\" does not exist", table.name),
                    false => format!("column \"{column}\" named in key does not exist"),
                };
                return Err(DatabaseError::new("42703", message));
            };
            if indexes.contains(&index) {
                let kind = if primary { "primary key" } else { "unique" };
                let message = format!("column \"{column}\" appears twice in {kind} constraint");
                return Err(DatabaseError::new("42701", message));
            }
            self.check_key_type(&relation, &found.name, &found.ty, true)?;
            indexes.push(index);
        }
        if new_table && !primary {
            // PostgreSQL keeps one of two equal keys in a new table, under the first name it was given.
            let equal = relation.constraints.iter().position(|other| match &other.kind {
                ConstraintKind::PrimaryKey { columns } | ConstraintKind::Unique { columns } => *columns == indexes,
                _ => false,
            });
            if equal.is_some() && entry.name.is_none() {
                return Ok(());
            }
        }
        let name = match &entry.name {
            Some(name) => {
                self.check_name(name)?;
                let name = Ident::new(naming::cut(name, naming::NAME_BYTES_MAX));
                if naming::relation_exists(self.catalog, &table.schema, &name) {
                    return Err(relation_exists(&name));
                }
                self.given_name(&relation, &name)?;
                name
            }
            None if primary => naming::choose_relation(self.catalog, &table.schema, &table.name, None, "pkey", true),
            None => {
                let joined = naming::joined(columns.iter().map(|column| column.as_str()));
                naming::choose_relation(self.catalog, &table.schema, &table.name, Some(&joined), "key", true)
            }
        };
        self.check_case(&QualifiedName::new(table.schema.clone(), name.clone()))?;
        let kind = match primary {
            true => ConstraintKind::PrimaryKey {
                columns: indexes.clone(),
            },
            false => ConstraintKind::Unique {
                columns: indexes.clone(),
            },
        };
        let mut tightened = Vec::new();
        if primary {
            let changed = self.relation_mut(table)?;
            for index in &indexes {
                if !changed.columns[*index].not_null {
                    changed.columns[*index].not_null = true;
                    tightened.push(changed.columns[*index].name.clone());
                }
            }
        }
        self.push_constraint(table, name.clone(), kind, false)?;
        if !new_table {
            for column in tightened {
                self.changes.push(Change::CheckNotNull {
                    table: table.clone(),
                    column,
                });
            }
        }
        self.changes.push(Change::CreateKey {
            table: table.clone(),
            constraint: name,
        });
        if primary && !new_table {
            self.changes.push(Change::Redefine { table: table.clone() });
        }
        Ok(())
    }

    /// Errors: 42704 for a type without an order; 0A000 for one whose equality the embedded engine cannot index.
    pub(super) fn check_key_type(&self, relation: &Relation, column: &Ident, ty: &Type, unique: bool) -> Result<()> {
        if !types::has_order(ty) {
            return Err(DatabaseError::new(
                "42704",
                format!(
                    "data type {} has no default operator class for access method \"btree\"",
                    types::shown(ty, TypeModifier::None)
                ),
            )
            .hint("You must specify an operator class for the index or define a default operator class for the data type."));
        }
        if unique && matches!(ty.base(), Type::Jsonb) {
            let object = format!("{}.{column}", relation.name.name);
            return Err(self.refuse("a key over jsonb", &object, Some("a text column")));
        }
        Ok(())
    }

    fn add_key_from_index(
        &mut self,
        table: &QualifiedName,
        entry: &ConstraintDefinition,
        primary: bool,
        index: &Ident,
    ) -> Result<()> {
        let relation = self.current(table)?;
        let Some(found) = relation.indexes.iter().find(|other| other.name == *index) else {
            return Err(DatabaseError::new("42704", format!("index \"{index}\" does not exist")));
        };
        if !found.unique {
            return Err(
                DatabaseError::new("42809", format!("\"{index}\" is not a unique index"))
                    .detail("Cannot create a primary key or unique constraint using such an index."),
            );
        }
        if found.predicate.is_some() {
            return Err(DatabaseError::new("42809", format!("\"{index}\" is a partial index"))
                .detail("Cannot create a primary key or unique constraint using such an index."));
        }
        let Some(columns) = plain_columns(&relation, found) else {
            return Err(
                DatabaseError::new("42809", format!("index \"{index}\" contains expressions"))
                    .detail("Cannot create a primary key or unique constraint using such an index."),
            );
        };
        let position = relation
            .indexes
            .iter()
            .position(|other| other.name == *index)
            .unwrap_or_default();
        self.relation_mut(table)?.indexes.remove(position);
        self.changes.push(Change::DropIndex {
            table: table.clone(),
            name: index.clone(),
        });
        let body = match primary {
            true => ConstraintBody::PrimaryKey { columns },
            false => ConstraintBody::Unique { columns },
        };
        if let Some(name) = entry.name.as_ref().filter(|name| *name != index) {
            let message =
                format!("ALTER TABLE / ADD CONSTRAINT USING INDEX will rename index \"{index}\" to \"{name}\"");
            self.notice("00000", message);
        }
        let name = Some(entry.name.clone().unwrap_or_else(|| index.clone()));
        self.add_key(
            table,
            &ConstraintDefinition {
                name,
                body,
                not_valid: false,
                storage: Vec::new(),
                including: Vec::new(),
                line: entry.line,
            },
            false,
        )
    }

    fn add_foreign_key(
        &mut self,
        table: &QualifiedName,
        entry: &ConstraintDefinition,
        key: &ForeignKeyDefinition,
        new_table: bool,
    ) -> Result<()> {
        let relation = self.current(table)?;
        let target = self.existing_relation(&key.target)?;
        if target.kind != mainstay_core::catalog::RelationKind::Table {
            let message = format!("referenced relation \"{}\" is not a table", target.name.name);
            return Err(DatabaseError::new("42809", message));
        }
        let columns = referencing(&relation, &key.columns)?;
        let target_columns = self.referenced(&target, key)?;
        if columns.len() != target_columns.len() {
            return Err(DatabaseError::new(
                "42830",
                "number of referencing and referenced columns for foreign key disagree",
            ));
        }
        let unique = target.constraints.iter().any(|constraint| match &constraint.kind {
            ConstraintKind::PrimaryKey { columns } | ConstraintKind::Unique { columns } => {
                same_set(columns, &target_columns)
            }
            _ => false,
        }) || target.indexes.iter().any(|index| {
            index.unique
                && index.predicate.is_none()
                && index_columns(index).is_some_and(|columns| same_set(&columns, &target_columns))
        });
        if !unique {
            let message = format!(
                "there is no unique constraint matching given keys for referenced table \"{}\"",
                target.name.name
            );
            return Err(DatabaseError::new("42830", message));
        }
        let name = match &entry.name {
            Some(name) => self.given_name(&relation, name)?,
            None => {
                let joined = naming::joined(key.columns.iter().map(|column| column.as_str()));
                naming::choose_constraint(self.catalog, &table.schema, &table.name, Some(&joined), "fkey")
            }
        };
        for (column, target_column) in columns.iter().zip(&target_columns) {
            let (from, to) = (&relation.columns[*column], &target.columns[*target_column]);
            self.check_key_pair(&name, from, to, entry.line)?;
        }
        self.check_actions(&relation, &columns, key, &name, entry.line)?;
        let kind = ConstraintKind::ForeignKey(ForeignKey {
            columns,
            target: target.name.clone(),
            target_columns: target_columns
                .iter()
                .map(|index| target.columns[*index].name.clone())
                .collect(),
            on_delete: key.on_delete,
            on_update: key.on_update,
            deferrable: key.deferrable,
            initially_deferred: key.initially_deferred,
        });
        self.push_constraint(table, name.clone(), kind, entry.not_valid && !new_table)?;
        if !new_table {
            self.changes.push(Change::Redefine { table: table.clone() });
            self.changes.push(Change::CheckForeignKey {
                table: table.clone(),
                constraint: name,
                not_valid: entry.not_valid,
            });
        }
        Ok(())
    }

    fn referenced(&self, target: &Relation, key: &ForeignKeyDefinition) -> Result<Vec<ColumnIndex>> {
        if key.target_columns.is_empty() {
            let primary = target.primary_key();
            if primary.is_empty() {
                let message = format!("there is no primary key for referenced table \"{}\"", target.name.name);
                return Err(DatabaseError::new("42704", message));
            }
            return Ok(primary.to_vec());
        }
        referencing(target, &key.target_columns)
    }

    /// Errors: 42804 for types that do not compare; 0A000 for those that only PostgreSQL compares.
    pub(super) fn check_key_pair(
        &self,
        name: &Ident,
        from: &mainstay_core::catalog::Column,
        to: &mainstay_core::catalog::Column,
        line: u32,
    ) -> Result<()> {
        let unavailable = |feature: String, way| Err(DatabaseError::unavailable(&feature, name, line, Some(way)));
        if types::keys_compare(&from.ty, &to.ty) {
            if has_other_texts(&from.ty) {
                let feature = format!("foreign keys over {} columns", from.ty);
                return unavailable(feature, "a bigint or uuid key");
            }
            return Ok(());
        }
        let (from_type, to_type) = (
            types::shown(&from.ty, TypeModifier::None),
            types::shown(&to.ty, TypeModifier::None),
        );
        if types::keys_compare_elsewhere(&from.ty, &to.ty) {
            let feature = format!("a foreign key from {from_type} to {to_type}");
            return unavailable(feature, "the same type on both sides");
        }
        let message = format!("foreign key constraint \"{name}\" cannot be implemented");
        Err(DatabaseError::new("42804", message).detail(format!(
            "Key columns \"{}\" and \"{}\" are of incompatible types: {from_type} and {to_type}.",
            from.name, to.name
        )))
    }

    /// What an action may not do to a generated or defaulted column.
    fn check_actions(
        &self,
        relation: &Relation,
        columns: &[ColumnIndex],
        key: &ForeignKeyDefinition,
        name: &Ident,
        line: u32,
    ) -> Result<()> {
        let sets = |action| matches!(action, ReferentialAction::SetNull | ReferentialAction::SetDefault);
        for column in columns.iter().map(|index| &relation.columns[*index]) {
            if column.generated.is_some() && (sets(key.on_delete) || sets(key.on_update)) {
                let (event, action) = if sets(key.on_delete) {
                    ("DELETE", key.on_delete)
                } else {
                    ("UPDATE", key.on_update)
                };
                let action = if action == ReferentialAction::SetNull {
                    "SET NULL"
                } else {
                    "SET DEFAULT"
                };
                let message =
                    format!("invalid ON {event} action for foreign key constraint containing generated column");
                return Err(DatabaseError::new("42601", message).detail(format!("The action is {action}.")));
            }
            let defaults = [key.on_delete, key.on_update].contains(&ReferentialAction::SetDefault);
            if defaults && column.default.as_ref().is_some_and(|text| text.contains('(')) {
                let feature = "ON DELETE or UPDATE SET DEFAULT with a default that is computed";
                return Err(DatabaseError::unavailable(
                    feature,
                    name,
                    line,
                    Some("a constant default"),
                ));
            }
        }
        Ok(())
    }
}

fn multiple_primary_keys(table: &Ident) -> DatabaseError {
    DatabaseError::new(
        "42P16",
        format!("multiple primary keys for table \"{table}\" are not allowed"),
    )
}

/// Columns of a foreign key by name. Errors: 42703.
fn referencing(relation: &Relation, columns: &[Ident]) -> Result<Vec<ColumnIndex>> {
    let mut found = Vec::new();
    for column in columns {
        match relation.column(column) {
            Some((index, _)) => found.push(index),
            None => {
                let message = format!("column \"{column}\" referenced in foreign key constraint does not exist");
                return Err(DatabaseError::new("42703", message));
            }
        }
    }
    Ok(found)
}

fn same_set(a: &[ColumnIndex], b: &[ColumnIndex]) -> bool {
    a.len() == b.len() && a.iter().all(|index| b.contains(index))
}

/// The columns of an index that has no expressions.
fn index_columns(index: &Index) -> Option<Vec<ColumnIndex>> {
    index
        .keys
        .iter()
        .map(|key| match &key.part {
            IndexPart::Column(column) => Some(*column),
            IndexPart::Expression(_) => None,
        })
        .collect()
}

fn plain_columns(relation: &Relation, index: &Index) -> Option<Vec<Ident>> {
    let columns = index_columns(index)?;
    Some(
        columns
            .into_iter()
            .map(|column| relation.columns[column].name.clone())
            .collect(),
    )
}

/// True if equal values may be kept as different texts, which SQLite's foreign keys would tell apart.
fn has_other_texts(ty: &Type) -> bool {
    match ty.base() {
        Type::Numeric | Type::Interval | Type::Jsonb | Type::Citext => true,
        Type::Array(element) => matches!(element.base(), Type::Float4 | Type::Float8) || has_other_texts(element),
        _ => false,
    }
}

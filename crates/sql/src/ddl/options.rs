//! `ALTER … SET (…)`, `RESET (…)` and what else is told to PostgreSQL's storage of something that is there.

use mainstay_core::catalog::{Index, Relation};
use mainstay_core::error::DatabaseError;
use mainstay_core::name::{Ident, QualifiedName};

use super::storage::{self, Holder};
use super::{Result, Run, types};
use crate::ast::ObjectName;
use crate::ast::ddl::{ColumnStorage, StorageOption};

/// The least that `SET STATISTICS` takes; -1 is the default.
const STATISTICS_MIN: i64 = -1;

impl Run<'_> {
    /// Of a table or view.
    pub(super) fn set_options(&mut self, name: &QualifiedName, options: &[StorageOption], reset: bool) -> Result<()> {
        let is_view = self
            .catalog
            .relations
            .get(name)
            .is_some_and(|relation| relation.kind.is_view());
        match (is_view, reset) {
            (false, false) => storage::check(Holder::Table, options),
            (false, true) => storage::check_reset(options),
            (true, false) => {
                let options = storage::of_view(options)?;
                self.alter_view_options(name, &options)
            }
            (true, true) => {
                storage::check_reset(options)?;
                let Some(view) = &mut self.relation_mut(name)?.view else {
                    return Ok(());
                };
                for option in options {
                    match option.name.as_str() {
                        "security_invoker" => view.security_invoker = false,
                        "check_option" => view.check_option = None,
                        _ => {}
                    }
                }
                Ok(())
            }
        }
    }

    pub(super) fn set_index_options(
        &mut self,
        name: &ObjectName,
        options: &[StorageOption],
        reset: bool,
    ) -> Result<()> {
        let Some((table, index)) = self.find_index(name) else {
            let message = format!("relation \"{name}\" does not exist");
            return Err(DatabaseError::new("42P01", message));
        };
        let relation = self.catalog.relations.get(&table);
        let entry = relation.and_then(|relation| own_index(relation, &index));
        // A key's index is a btree.
        let method = entry.map_or("btree", |entry| entry.method.as_str());
        match reset {
            true => storage::check_reset(options),
            false => storage::check(Holder::Index(method), options),
        }
    }

    pub(super) fn column_storage(
        &mut self,
        table: &QualifiedName,
        column: &Ident,
        storage: &ColumnStorage,
    ) -> Result<()> {
        if let ColumnStorage::Storage(word) = storage
            && !matches!(
                word.to_ascii_lowercase().as_str(),
                "plain" | "external" | "extended" | "main"
            )
        {
            return Err(DatabaseError::new("22023", format!("invalid storage type \"{word}\"")));
        }
        if let ColumnStorage::Statistics(target) = storage
            && *target < STATISTICS_MIN
        {
            let message = format!("statistics target {target} is too low");
            return Err(DatabaseError::new("22023", message));
        }
        if column.is_empty() {
            return Err(DatabaseError::new(
                "0A000",
                "cannot refer to non-index column by number",
            ));
        }
        let position = self.column_position(table, column)?;
        let Some(relation) = self.catalog.relations.get(table) else {
            return Ok(());
        };
        let ty = &relation.columns[position].ty;
        match storage {
            ColumnStorage::Statistics(_) => Ok(()),
            ColumnStorage::Options { options, reset: true } => storage::check_reset(options),
            ColumnStorage::Options { options, .. } => storage::check(Holder::Column, options),
            ColumnStorage::Compression(method) => storage::check_compression(ty, method),
            ColumnStorage::Storage(word) if word.eq_ignore_ascii_case("plain") || storage::is_toastable(ty) => Ok(()),
            ColumnStorage::Storage(_) => {
                let shown = types::shown(ty, mainstay_core::types::TypeModifier::None);
                let message = format!("column data type {shown} can only have storage PLAIN");
                Err(DatabaseError::new("0A000", message))
            }
        }
    }

    /// Rows have no order in the file: nothing to do but to look the index up. Errors: 42704, 0A000.
    pub(super) fn cluster_on(&mut self, table: &QualifiedName, index: &Ident) -> Result<()> {
        let Some(relation) = self.catalog.relations.get(table) else {
            return Ok(());
        };
        let entry = own_index(relation, index);
        let is_key = relation.constraints.iter().any(|constraint| constraint.name == *index);
        if entry.is_none() && !is_key {
            let message = format!("index \"{index}\" for table \"{}\" does not exist", table.name);
            return Err(DatabaseError::new("42704", message));
        }
        let impossible = |message: String| Err(DatabaseError::new("0A000", message));
        match entry {
            Some(entry) if !matches!(entry.method.as_str(), "btree" | "gist") => impossible(format!(
                "cannot cluster on index \"{index}\" because access method does not support clustering"
            )),
            Some(entry) if entry.predicate.is_some() => {
                impossible(format!("cannot cluster on partial index \"{index}\""))
            }
            _ => Ok(()),
        }
    }
}

fn own_index<'a>(relation: &'a Relation, name: &Ident) -> Option<&'a Index> {
    relation.indexes.iter().find(|entry| entry.name == *name)
}

//! `CREATE INDEX`.

use mainstay_core::catalog::{Index, IndexKey, IndexPart, RelationKind};
use mainstay_core::error::DatabaseError;
use mainstay_core::name::{Ident, QualifiedName};
use mainstay_core::types::Type;

use super::expression::Place;
use super::lookup::relation_exists;
use super::{Change, Result, Run, naming, operator_class, storage, table};
use crate::ast::ddl::{CreateIndex, IndexPartDefinition};

/// PostgreSQL 15's operator classes of btree (`pg_opclass`), and those of extensions that projects have.
const BTREE_CLASSES: &[&str] = &[
    "array_ops",
    "bit_ops",
    "bool_ops",
    "bpchar_ops",
    "bpchar_pattern_ops",
    "bytea_ops",
    "char_ops",
    "cidr_ops",
    "date_ops",
    "enum_ops",
    "float4_ops",
    "float8_ops",
    "inet_ops",
    "int2_ops",
    "int4_ops",
    "int8_ops",
    "interval_ops",
    "jsonb_ops",
    "macaddr8_ops",
    "macaddr_ops",
    "money_ops",
    "multirange_ops",
    "name_ops",
    "numeric_ops",
    "oid_ops",
    "oidvector_ops",
    "pg_lsn_ops",
    "range_ops",
    "record_image_ops",
    "record_ops",
    "text_ops",
    "text_pattern_ops",
    "tid_ops",
    "time_ops",
    "timestamp_ops",
    "timestamptz_ops",
    "timetz_ops",
    "tsquery_ops",
    "tsvector_ops",
    "uuid_ops",
    "varbit_ops",
    "varchar_ops",
    "varchar_pattern_ops",
    "xid8_ops",
    "citext_ops",
    "citext_pattern_ops",
    "btree_hstore_ops",
    "ltree_ops",
];

impl Run<'_> {
    pub(super) fn create_index(&mut self, create: &CreateIndex) -> Result<()> {
        let relation = self.existing_relation(&create.table)?;
        let table = relation.name.clone();
        if relation.kind != RelationKind::Table {
            return Err(
                DatabaseError::new("42809", format!("cannot create index on relation \"{}\"", table.name))
                    .detail("This operation is not supported for views."),
            );
        }
        if !storage::INDEX_METHODS.contains(&create.method.as_str()) {
            return Err(DatabaseError::new(
                "42704",
                format!("access method \"{}\" does not exist", create.method),
            ));
        }
        operator_class::check_method(create)?;
        storage::check(storage::Holder::Index(&create.method), &create.options)?;
        let mut keys = Vec::new();
        let mut labels: Vec<Ident> = Vec::new();
        let mut finds_documents = false;
        for key in &create.keys {
            if let Some(class) = &key.operator_class
                && create.method == *"btree"
                && !BTREE_CLASSES.contains(&class.as_str())
            {
                let message = format!("operator class \"{class}\" does not exist for access method \"btree\"");
                return Err(DatabaseError::new("42704", message));
            }
            let (part, label) = match &key.part {
                IndexPartDefinition::Column(column) if table::is_system_column(column) => {
                    let message = "index creation on system columns is not supported";
                    return Err(DatabaseError::new("0A000", message));
                }
                IndexPartDefinition::Column(column) => {
                    let Some((index, found)) = relation.column(column) else {
                        return Err(DatabaseError::new(
                            "42703",
                            format!("column \"{column}\" does not exist"),
                        ));
                    };
                    if key.collated && !found.ty.is_textual() && *found.ty.base() != Type::Citext {
                        let message = format!("collations are not supported by type {}", found.ty);
                        return Err(DatabaseError::new("42804", message));
                    }
                    if create.method == *"btree" && key.operator_class.is_none() {
                        self.check_key_type(&relation, column, &found.ty, create.unique)?;
                    }
                    self.check_operator_class(&create.method, key.operator_class.as_deref(), &found.ty)?;
                    finds_documents |= *found.ty.base() == Type::Tsvector;
                    (IndexPart::Column(index), column.clone())
                }
                IndexPartDefinition::Expression { text, label } => {
                    let kept = self.kept(text, &relation, Place::IndexKey)?;
                    if matches!(kept.expr.ty, Type::Record | Type::Void) {
                        let message = format!("column \"{label}\" has pseudo-type {}", kept.expr.ty);
                        return Err(DatabaseError::new("42P16", message));
                    }
                    self.check_operator_class(&create.method, key.operator_class.as_deref(), &kept.expr.ty)?;
                    finds_documents |= *kept.expr.ty.base() == Type::Tsvector;
                    (IndexPart::Expression(kept.text), label.clone())
                }
            };
            labels.push(free_label(&labels, &label));
            let nulls_first = key.nulls_first.unwrap_or(key.descending);
            keys.push(IndexKey {
                part,
                descending: key.descending,
                nulls_first,
                operator_class: key.operator_class.clone(),
            });
        }
        let mut including = Vec::new();
        for column in &create.including {
            let Some((index, _)) = relation.column(column) else {
                return Err(DatabaseError::new(
                    "42703",
                    format!("column \"{column}\" does not exist"),
                ));
            };
            including.push(index);
            labels.push(free_label(&labels, column));
        }
        let predicate = match &create.predicate {
            Some(text) => Some(self.kept(text, &relation, Place::IndexPredicate)?.text),
            None => None,
        };
        let name = match &create.name {
            // As on a server, what is wrong with the index itself is said before its name is found to be taken.
            Some(name) => {
                self.check_name(name)?;
                let name = Ident::new(naming::cut(name, naming::NAME_BYTES_MAX));
                if naming::relation_exists(self.catalog, &table.schema, &name) {
                    if !create.if_not_exists {
                        return Err(relation_exists(&name));
                    }
                    self.notice("42P07", format!("relation \"{name}\" already exists, skipping"));
                    return Ok(());
                }
                name
            }
            None => {
                let joined = naming::joined(labels.iter().map(|label| label.as_str()));
                naming::choose_relation(self.catalog, &table.schema, &table.name, Some(&joined), "idx", false)
            }
        };
        self.check_case(&QualifiedName::new(table.schema.clone(), name.clone()))?;
        let has_candidates = finds_documents && predicate.is_none() && matches!(create.method.as_str(), "gin" | "gist");
        if create.method != *"btree" && create.method != *"hash" && !has_candidates {
            let message = format!(
                "index \"{name}\" uses {}: kept for PostgreSQL; the embedded engine answers by scan",
                create.method
            );
            self.notice("00000", message);
        }
        if !create.including.is_empty() {
            let message = format!("INCLUDE of index \"{name}\": kept for PostgreSQL; it changes no answer");
            self.notice("00000", message);
        }
        let index = Index {
            name: name.clone(),
            unique: create.unique,
            method: create.method.clone(),
            keys,
            predicate,
            including,
        };
        self.relation_mut(&table)?.indexes.push(index);
        self.changes.push(Change::CreateIndex { table, index: name });
        Ok(())
    }
}

/// A column label of an index, numbered if one before has it.
fn free_label(taken: &[Ident], label: &Ident) -> Ident {
    let mut candidate = label.clone();
    let mut pass = 0;
    while taken.contains(&candidate) {
        pass += 1;
        let digits = pass.to_string();
        let head = naming::cut(label, naming::NAME_BYTES_MAX - digits.len());
        candidate = Ident::from(format!("{head}{digits}"));
    }
    candidate
}

//! `CREATE TABLE`.

use std::sync::Arc;

use mainstay_core::catalog::{Column, DefaultPrivilegeObject, Identity, Relation, RelationKind, RowSecurity, Sequence};
use mainstay_core::error::DatabaseError;
use mainstay_core::name::{Ident, QualifiedName};
use mainstay_core::types::{Type, TypeModifier};

use super::lookup::relation_exists;
use super::types::{ColumnType, qualified_literal};
use super::{Change, Result, Run, naming, storage};
use crate::ast::ddl::{ColumnDefinition, ConstraintBody, ConstraintDefinition, CreateTable, SequenceOptions};

/// The most columns a table may have, as in PostgreSQL.
const COLUMNS_MAX: usize = 1600;

/// A column's definition taken apart: the column, what hangs on it, and what must wait until the table is there.
pub(super) struct NewColumn {
    pub(super) column: Column,
    pub(super) sequence: Option<Sequence>,
    /// CHECK, PRIMARY KEY, UNIQUE and REFERENCES, with the column filled in.
    pub(super) constraints: Vec<ConstraintDefinition>,
    /// The expression's text as it was written.
    pub(super) default: Option<String>,
    pub(super) generated: Option<String>,
}

impl Run<'_> {
    pub(super) fn create_table(&mut self, create: &CreateTable) -> Result<()> {
        if !create.likes.is_empty() {
            return self.create_table_like(create);
        }
        let name = self.new_name(&create.name)?;
        let exists = naming::relation_exists(self.catalog, &name.schema, &name.name);
        if exists && create.if_not_exists {
            self.notice("42P07", format!("relation \"{}\" already exists, skipping", name.name));
            return Ok(());
        }
        storage::check(storage::Holder::Table, &create.storage.options)?;
        storage::check_table_method(create.storage.method.as_deref())?;
        self.check_column_names(create)?;

        let mut table = Relation {
            name: name.clone(),
            kind: RelationKind::Table,
            owner: self.session.user.clone(),
            columns: Vec::new(),
            constraints: Vec::new(),
            indexes: Vec::new(),
            row_security: RowSecurity::default(),
            policies: Vec::new(),
            triggers: Vec::new(),
            acl: Vec::new(),
            view: None,
            insertable: true,
            updatable: true,
            deletable: true,
            comment: None,
            id: self.next_id(),
        };
        let mut constraints = Vec::new();
        let mut texts = Vec::new();
        let mut sequences = Vec::new();
        for definition in &create.columns {
            let new = self.new_column(&name, definition, &sequences)?;
            sequences.extend(new.sequence);
            constraints.extend(new.constraints);
            texts.push((new.default, new.generated));
            table.columns.push(new.column);
        }
        constraints.extend(create.constraints.iter().cloned());
        check_key_columns(&table, &constraints)?;
        // As on a server, what is wrong with the table itself is said before its name is found to be taken.
        if exists {
            return Err(relation_exists(&name.name));
        }
        self.check_case(&name)?;
        self.check_free_row_type(&name)?;
        table.acl = self.default_acl(DefaultPrivilegeObject::Tables, &name.schema);
        self.catalog.relations.insert(name.clone(), Arc::new(table));
        for sequence in sequences {
            self.add_sequence(sequence);
        }
        // Expressions may name any column of the table, so they are read when all are there.
        for (index, (default, generated)) in texts.into_iter().enumerate() {
            self.fill_texts(&name, index, default.as_deref(), generated.as_deref())?;
        }
        self.changes.push(Change::CreateTable(name.clone()));
        self.add_constraints(&name, &constraints, true)?;
        Ok(())
    }

    fn check_column_names(&self, create: &CreateTable) -> Result<()> {
        if create.columns.is_empty() {
            return Err(self.refuse("tables without columns", &create.name.name, Some("one column at least")));
        }
        if create.columns.len() > COLUMNS_MAX {
            return Err(DatabaseError::new(
                "54011",
                format!("tables can have at most {COLUMNS_MAX} columns"),
            ));
        }
        for (index, column) in create.columns.iter().enumerate() {
            if create.columns[..index].iter().any(|other| other.name == column.name) {
                let message = format!("column \"{}\" specified more than once", column.name);
                return Err(DatabaseError::new("42701", message));
            }
            let before = create.columns[..index].iter().map(|other| &other.name);
            self.check_column_name(&create.name.name, &column.name, before)?;
        }
        Ok(())
    }

    /// Refuses a column whose name differs from another's only by case, or that PostgreSQL keeps for itself.
    pub(super) fn check_column_name<'n>(
        &self,
        table: &Ident,
        name: &Ident,
        mut others: impl Iterator<Item = &'n Ident>,
    ) -> Result<()> {
        if is_system_column(name) {
            let message = format!("column name \"{name}\" conflicts with a system column name");
            return Err(DatabaseError::new("42701", message));
        }
        if let Some(other) = others.find(|other| *other != name && other.eq_ignore_ascii_case(name)) {
            let feature = format!("names that differ only by case (\"{other}\")");
            return Err(self.refuse(&feature, &format!("{table}.{name}"), Some("another name")));
        }
        if matches!(name.to_ascii_lowercase().as_str(), "rowid" | "_rowid_" | "oid") && *name != *"oid" {
            return Err(self.refuse(
                "a column called rowid",
                &format!("{table}.{name}"),
                Some("another name"),
            ));
        }
        Ok(())
    }

    /// Reads one column's definition. `pending`: sequences that this statement makes as well.
    pub(super) fn new_column(
        &mut self,
        table: &QualifiedName,
        definition: &ColumnDefinition,
        pending: &[Sequence],
    ) -> Result<NewColumn> {
        let object = format!("{}.{}", table.name, definition.name);
        let resolved = self.column_type(&definition.ty, &object, definition.line)?;
        let (ty, modifier, serial) = match resolved {
            ColumnType::Plain(ty, modifier) => (ty, modifier, false),
            ColumnType::Serial(ty) => (ty, TypeModifier::None, true),
        };
        storage::check_compression(&ty, &definition.compression)?;
        let mut new = NewColumn {
            column: Column {
                name: Ident::new(naming::cut(&definition.name, naming::NAME_BYTES_MAX)),
                ty,
                modifier,
                not_null: false,
                default: None,
                identity: None,
                generated: None,
                sequence: None,
                comment: None,
            },
            sequence: None,
            constraints: Vec::new(),
            default: None,
            generated: None,
        };
        let mut nullable = None;
        let mut identity: Option<(Identity, SequenceOptions)> = None;
        let said_of = |what: &str| format!("{what} for column \"{}\" of table \"{}\"", definition.name, table.name);
        let syntax = |message: String| Err(DatabaseError::new("42601", message));
        for constraint in &definition.constraints {
            match &constraint.body {
                ConstraintBody::Null | ConstraintBody::NotNull => {
                    let null = matches!(constraint.body, ConstraintBody::Null);
                    if nullable.is_some_and(|before| before != null) {
                        return syntax(said_of("conflicting NULL/NOT NULL declarations"));
                    }
                    nullable = Some(null);
                }
                ConstraintBody::Default(text) => {
                    if new.default.is_some() || serial {
                        return syntax(said_of("multiple default values specified"));
                    }
                    new.default = Some(text.clone());
                }
                ConstraintBody::Identity { mode, options } => {
                    if identity.is_some() {
                        return syntax(said_of("multiple identity specifications"));
                    }
                    identity = Some((*mode, options.clone()));
                }
                ConstraintBody::Generated(text) => {
                    if new.generated.is_some() {
                        return syntax(said_of("multiple generation clauses specified"));
                    }
                    new.generated = Some(text.clone());
                }
                _ => new.constraints.push(on_column(constraint, &new.column.name)),
            }
        }
        let identity_given = identity.is_some();
        for (clash, what) in [
            (
                (new.default.is_some() || serial) && identity_given,
                "both default and identity specified",
            ),
            (
                new.default.is_some() && new.generated.is_some(),
                "both default and generation expression specified",
            ),
            (
                identity_given && new.generated.is_some(),
                "both identity and generation expression specified",
            ),
        ] {
            if clash {
                return syntax(said_of(what));
            }
        }
        if nullable == Some(true) && (serial || identity_given) {
            return syntax(said_of("conflicting NULL/NOT NULL declarations"));
        }
        new.column.not_null = nullable == Some(false) || serial || identity_given;
        if serial || identity_given {
            let options = identity
                .as_ref()
                .map(|(_, options)| options.clone())
                .unwrap_or_default();
            let sequence = self.owned_sequence(table, &new.column, &options, pending)?;
            new.column.sequence = Some(sequence.name.clone());
            match identity {
                Some((mode, _)) => new.column.identity = Some(mode),
                None => {
                    new.column.default = Some(format!("nextval({}::regclass)", qualified_literal(&sequence.name)));
                }
            }
            new.sequence = Some(sequence);
        }
        Ok(new)
    }

    /// The sequence of a serial or identity column.
    pub(super) fn owned_sequence(
        &mut self,
        table: &QualifiedName,
        column: &Column,
        options: &SequenceOptions,
        pending: &[Sequence],
    ) -> Result<Sequence> {
        if !matches!(column.ty, Type::Int2 | Type::Int4 | Type::Int8) {
            return Err(DatabaseError::new(
                "22023",
                "identity column type must be smallint, integer, or bigint",
            ));
        }
        let name = match &options.name {
            Some(written) => self.new_name(written)?,
            None => {
                let mut label = "seq".to_owned();
                let mut pass = 0;
                loop {
                    let name = naming::choose_relation(
                        self.catalog,
                        &table.schema,
                        &table.name,
                        Some(&column.name),
                        &label,
                        false,
                    );
                    let name = QualifiedName::new(table.schema.clone(), name);
                    if pending.iter().all(|other| other.name != name) {
                        break name;
                    }
                    pass += 1;
                    label = format!("seq{pass}");
                }
            }
        };
        let mut sequence = self.new_sequence(
            name,
            &SequenceOptions {
                ty: None,
                ..options.clone()
            },
            column.ty.clone(),
        )?;
        sequence.owned_by = Some((table.clone(), column.name.clone()));
        Ok(sequence)
    }

    /// Reads a column's expressions now that the table is in the catalog.
    pub(super) fn fill_texts(
        &mut self,
        table: &QualifiedName,
        index: usize,
        default: Option<&str>,
        generated: Option<&str>,
    ) -> Result<()> {
        let Some(relation) = self.catalog.relations.get(table).cloned() else {
            return Ok(());
        };
        let column = &relation.columns[index];
        if let Some(text) = default {
            let text = self.kept_default(text, &column.name, &column.ty, column.modifier)?;
            // DEFAULT NULL is no default.
            let kept = Some(text).filter(|text| !text.eq_ignore_ascii_case("null"));
            self.relation_mut(table)?.columns[index].default = kept;
        }
        if let Some(text) = generated {
            let text = self.kept_generated(text, &relation, index)?;
            self.relation_mut(table)?.columns[index].generated = Some(text);
        }
        Ok(())
    }
}

/// True for the columns that every table of PostgreSQL's has without their being listed.
pub(super) fn is_system_column(name: &str) -> bool {
    matches!(name, "tableoid" | "xmin" | "cmin" | "xmax" | "cmax" | "ctid")
}

/// Errors: 42703 for a key over a column that the new table does not have.
fn check_key_columns(table: &Relation, constraints: &[ConstraintDefinition]) -> Result<()> {
    for constraint in constraints {
        let (ConstraintBody::PrimaryKey { columns } | ConstraintBody::Unique { columns }) = &constraint.body else {
            continue;
        };
        if let Some(column) = columns.iter().find(|column| table.column(column).is_none()) {
            let message = format!("column \"{column}\" named in key does not exist");
            return Err(DatabaseError::new("42703", message));
        }
    }
    Ok(())
}

/// A column's constraint as the table would have it.
fn on_column(constraint: &ConstraintDefinition, column: &Ident) -> ConstraintDefinition {
    let mut constraint = constraint.clone();
    match &mut constraint.body {
        ConstraintBody::PrimaryKey { columns } | ConstraintBody::Unique { columns } => *columns = vec![column.clone()],
        ConstraintBody::ForeignKey(key) => key.columns = vec![column.clone()],
        _ => {}
    }
    constraint
}

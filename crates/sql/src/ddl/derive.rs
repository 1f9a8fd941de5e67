//! Tables made of others: `CREATE TABLE … AS`, `SELECT … INTO`, `CREATE TABLE (LIKE …)`.
//!
//! Both become the statement that a person would have written, so that names, types and refusals are those of
//! `CREATE TABLE`.

use std::sync::Arc;

use mainstay_core::catalog::{Column, ConstraintKind, Index, IndexPart, Relation, Sequence};
use mainstay_core::error::DatabaseError;
use mainstay_core::name::Ident;
use mainstay_core::types::{Type, TypeModifier};

use super::lookup::relation_exists;
use super::{Result, Run, naming};
use crate::analyse::Analyser;
use crate::ast::ddl::{
    ColumnDefinition, ConstraintBody, ConstraintDefinition, CreateIndex, CreateTable, CreateTableAs,
    IndexKeyDefinition, IndexPartDefinition, Like, SequenceOptions,
};
use crate::ast::{ExprKind as Written, ObjectName, TypeName};
use crate::parse;

impl Run<'_> {
    /// The table alone; its rows come from `INSERT … SELECT` with the same query (see [`super::steps`]).
    pub(super) fn create_table_as(&mut self, create: &CreateTableAs) -> Result<()> {
        let name = self.new_name(&create.name)?;
        let query = Analyser::new(self.catalog, self.session)
            .at_line(self.line)
            .query(&create.query)?;
        if naming::relation_exists(self.catalog, &name.schema, &name.name) {
            if !create.if_not_exists {
                return Err(relation_exists(&name.name));
            }
            self.notice("42P07", format!("relation \"{}\" already exists, skipping", name.name));
            return Ok(());
        }
        if create.columns.len() > query.columns.len() {
            return Err(DatabaseError::new("42601", "too many column names were specified"));
        }
        let mut columns = Vec::new();
        for (index, column) in query.columns.iter().enumerate() {
            let ty = match &column.ty {
                Type::Unknown => Type::Text,
                other => other.clone(),
            };
            columns.push(ColumnDefinition {
                name: create.columns.get(index).unwrap_or(&column.name).clone(),
                ty: self.written_type(&ty, column.modifier)?,
                constraints: Vec::new(),
                compression: String::new(),
                line: self.line,
            });
        }
        self.create_table(&CreateTable {
            name: create.name.clone(),
            if_not_exists: false,
            columns,
            constraints: Vec::new(),
            likes: Vec::new(),
            storage: create.storage.clone(),
        })
    }

    /// A type of the catalog as a statement would name it.
    fn written_type(&self, ty: &Type, modifier: TypeModifier) -> Result<TypeName> {
        let text = format!("NULL::{}", self.spelled_type(ty, modifier));
        match &parse::expression(&text)?.kind {
            Written::Cast { ty, .. } => Ok(ty.clone()),
            _ => Err(DatabaseError::new("XX000", format!("type {ty} cannot be written"))),
        }
    }

    /// `CREATE TABLE` with `LIKE` clauses.
    pub(super) fn create_table_like(&mut self, create: &CreateTable) -> Result<()> {
        let mut plain = CreateTable {
            likes: Vec::new(),
            columns: Vec::new(),
            ..create.clone()
        };
        let name = self.new_name(&create.name)?;
        if create.if_not_exists && naming::relation_exists(self.catalog, &name.schema, &name.name) {
            return self.create_table(&plain);
        }
        let mut indexes = Vec::new();
        let mut comments = Vec::new();
        let mut likes = create.likes.iter().peekable();
        for position in 0..=create.columns.len() {
            while let Some((_, like)) = likes.next_if(|(at, _)| *at == position) {
                if self.find_relation(&like.relation).is_none() && self.find_sequence(&like.relation).is_some() {
                    let message = format!("relation \"{}\" is invalid in LIKE clause", like.relation.name);
                    return Err(
                        DatabaseError::new("42809", message).detail("This operation is not supported for sequences.")
                    );
                }
                let source = self.existing_relation(&like.relation)?;
                for column in &source.columns {
                    plain.columns.push(self.like_column(column, like)?);
                    if like.comments
                        && let Some(comment) = &column.comment
                    {
                        comments.push((column.name.clone(), comment.clone()));
                    }
                }
                plain.constraints.extend(self.like_constraints(&source, like));
                if like.indexes {
                    for index in &source.indexes {
                        indexes.push(like_index(&create.name, &source, index)?);
                    }
                }
            }
            plain.columns.extend(create.columns.get(position).cloned());
        }
        self.create_table(&plain)?;
        for index in &indexes {
            self.create_index(index)?;
        }
        for (column, comment) in comments {
            for entry in &mut self.relation_mut(&name)?.columns {
                if entry.name == column {
                    entry.comment = Some(comment.clone());
                }
            }
        }
        Ok(())
    }

    fn like_column(&self, column: &Column, like: &Like) -> Result<ColumnDefinition> {
        let mut bodies = Vec::new();
        if column.not_null {
            bodies.push(ConstraintBody::NotNull);
        }
        if let Some(text) = column.default.as_ref().filter(|_| like.defaults) {
            bodies.push(ConstraintBody::Default(text.clone()));
        }
        if let Some(text) = column.generated.as_ref().filter(|_| like.generated) {
            bodies.push(ConstraintBody::Generated(text.clone()));
        }
        if let Some(mode) = column.identity.filter(|_| like.identity) {
            let sequence = column
                .sequence
                .as_ref()
                .and_then(|name| self.catalog.sequences.get(name));
            let options = sequence.map(options_of).unwrap_or_default();
            bodies.push(ConstraintBody::Identity { mode, options });
        }
        Ok(ColumnDefinition {
            name: column.name.clone(),
            ty: self.written_type(&column.ty, column.modifier)?,
            constraints: bodies.into_iter().map(|body| self.unnamed(body)).collect(),
            compression: String::new(),
            line: self.line,
        })
    }

    fn unnamed(&self, body: ConstraintBody) -> ConstraintDefinition {
        ConstraintDefinition {
            name: None,
            body,
            not_valid: false,
            storage: Vec::new(),
            including: Vec::new(),
            line: self.line,
        }
    }

    /// Checks keep their names, keys get new ones.
    fn like_constraints(&self, source: &Relation, like: &Like) -> Vec<ConstraintDefinition> {
        let named = |columns: &[usize]| {
            columns
                .iter()
                .map(|index| source.columns[*index].name.clone())
                .collect()
        };
        source
            .constraints
            .iter()
            .filter_map(|constraint| match &constraint.kind {
                ConstraintKind::Check { expression } if like.constraints => Some(ConstraintDefinition {
                    name: Some(constraint.name.clone()),
                    ..self.unnamed(ConstraintBody::Check(expression.clone()))
                }),
                ConstraintKind::PrimaryKey { columns } if like.indexes => {
                    Some(self.unnamed(ConstraintBody::PrimaryKey {
                        columns: named(columns),
                    }))
                }
                ConstraintKind::Unique { columns } if like.indexes => Some(self.unnamed(ConstraintBody::Unique {
                    columns: named(columns),
                })),
                _ => None,
            })
            .collect()
    }
}

fn options_of(sequence: &Arc<Sequence>) -> SequenceOptions {
    SequenceOptions {
        start: Some(sequence.start),
        increment: Some(sequence.increment),
        min: Some(Some(sequence.min)),
        max: Some(Some(sequence.max)),
        cycle: Some(sequence.cycle),
        ..SequenceOptions::default()
    }
}

fn like_index(table: &ObjectName, source: &Relation, index: &Index) -> Result<CreateIndex> {
    let mut keys = Vec::new();
    for key in &index.keys {
        keys.push(IndexKeyDefinition {
            collated: false,
            part: match &key.part {
                IndexPart::Column(column) => IndexPartDefinition::Column(source.columns[*column].name.clone()),
                IndexPart::Expression(text) => IndexPartDefinition::Expression {
                    label: label(text)?,
                    text: text.clone(),
                },
            },
            descending: key.descending,
            nulls_first: Some(key.nulls_first),
            operator_class: key.operator_class.clone(),
        });
    }
    Ok(CreateIndex {
        name: None,
        table: table.clone(),
        if_not_exists: false,
        unique: index.unique,
        method: index.method.clone(),
        keys,
        including: (index.including.iter())
            .map(|column| source.columns[*column].name.clone())
            .collect(),
        options: Vec::new(),
        predicate: index.predicate.clone(),
    })
}

/// What PostgreSQL calls an index's column that is an expression.
fn label(text: &str) -> Result<Ident> {
    let parsed = parse::expression(text)?;
    let mut expr = &*parsed;
    loop {
        expr = match &expr.kind {
            Written::Function(call) => return Ok(call.name.name.clone()),
            Written::Cast { expr: inner, .. } => inner,
            _ => return Ok(Ident::new("expr")),
        };
    }
}

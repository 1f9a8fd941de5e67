//! What the indexes of a relation consist of, as `pg_class` and `pg_attribute` tell it.

use std::sync::Arc;

use mainstay_core::catalog::{ConstraintKind, IndexPart, Relation};
use mainstay_core::name::Ident;
use mainstay_core::types::Type;

use super::Source;
use crate::analyse::{Analyser, column_name};
use crate::parse;
use crate::session::Session;

/// An index with its columns: the keys, then what it includes.
pub(super) struct IndexShape {
    pub name: Ident,
    pub columns: Vec<(Ident, Type)>,
}

/// The names of a relation's indexes, those of its keys first.
pub fn index_names(relation: &Relation) -> impl Iterator<Item = Ident> {
    let keys = relation.constraints.iter().filter(|constraint| {
        matches!(
            constraint.kind,
            ConstraintKind::PrimaryKey { .. } | ConstraintKind::Unique { .. }
        )
    });
    let keys = keys.map(|constraint| constraint.name.clone());
    keys.chain(relation.indexes.iter().map(|index| index.name.clone()))
}

impl Source<'_> {
    /// The indexes of a relation, in the order of [`index_names`].
    pub(super) fn indexes(&self, relation: &Arc<Relation>) -> Vec<IndexShape> {
        let column = |position: &usize| {
            let column = &relation.columns[*position];
            (column.name.clone(), column.ty.clone())
        };
        let mut shapes = Vec::new();
        for constraint in &relation.constraints {
            if let ConstraintKind::PrimaryKey { columns } | ConstraintKind::Unique { columns } = &constraint.kind {
                shapes.push(IndexShape {
                    name: constraint.name.clone(),
                    columns: columns.iter().map(column).collect(),
                });
            }
        }
        for index in &relation.indexes {
            let mut columns: Vec<(Ident, Type)> = Vec::new();
            for key in &index.keys {
                let (name, ty) = match &key.part {
                    IndexPart::Column(position) => column(position),
                    IndexPart::Expression(text) => self.key(relation, text),
                };
                columns.push((free(&columns, name), ty));
            }
            for position in &index.including {
                let (name, ty) = column(position);
                columns.push((free(&columns, name), ty));
            }
            shapes.push(IndexShape {
                name: index.name.clone(),
                columns,
            });
        }
        shapes
    }

    /// The column that an expression makes.
    fn key(&self, relation: &Arc<Relation>, text: &str) -> (Ident, Type) {
        let session = Session::default();
        let ty = Analyser::new(self.catalog, &session)
            .expression(text, Some(relation), None)
            .map_or(Type::Text, |bound| bound.expr.ty);
        let name = parse::expression(text).map_or_else(|_| Ident::new("expr"), |written| column_name(&written));
        match &*name {
            "?column?" => (Ident::new("expr"), ty),
            _ => (name, ty),
        }
    }
}

/// The name with a number behind it if a column before has it.
fn free(taken: &[(Ident, Type)], name: Ident) -> Ident {
    let is_taken = |name: &str| taken.iter().any(|(other, _)| *other == *name);
    if !is_taken(&name) {
        return name;
    }
    let mut number = 1;
    loop {
        let candidate = format!("{name}{number}");
        if !is_taken(&candidate) {
            return Ident::new(&candidate);
        }
        number += 1;
    }
}

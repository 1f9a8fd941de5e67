//! Where a file's rows go: a table that is there, or one that is made for them.

use std::sync::Arc;

use mainstay_core::catalog::{Catalog, Column, ColumnIndex, ConstraintKind, Relation, RelationKind};
use mainstay_core::name::QualifiedName;
use mainstay_core::types::TypeModifier;

use super::Survey;
use crate::error::Error;

/// The column that numbers the records where nothing in the file tells them apart.
pub const NUMBER_COLUMN: &str = "record_number";

/// A table and how a file's columns meet its own.
#[derive(Clone, Debug)]
pub struct Destination {
    pub relation: Arc<Relation>,
    /// For each column of the file, its position in the table.
    pub columns: Vec<ColumnIndex>,
    /// The unique key by which a record is the same as one that is there.
    pub key: Vec<ColumnIndex>,
    /// The column that takes the record's number, if there is one.
    pub number: Option<ColumnIndex>,
}

impl Destination {
    /// Fits a file to a table. `key`: the file's columns that were chosen, by position.
    ///
    /// Errors: a column that the table does not have, one that must not be null and is not in the file, no key.
    pub fn fit(catalog: &Catalog, name: &QualifiedName, survey: &Survey, key: Option<&[usize]>) -> Result<Self, Error> {
        let unfit = |what: String| Err(Error::Unfit(what));
        let Some(relation) = catalog.relation(name) else {
            return unfit(format!("there is no table {name}"));
        };
        if relation.kind != RelationKind::Table {
            return unfit(format!("{name} is no table"));
        }
        let mut columns = Vec::new();
        for column in &survey.columns {
            let found = relation.column(&column.name).or_else(|| relation.column(&column.ident));
            match found {
                Some((_, known)) if known.generated.is_some() => {
                    return unfit(format!(
                        "column {} of {name} is generated and takes no values",
                        known.name
                    ));
                }
                Some((position, _)) if columns.contains(&position) => {
                    return unfit(format!("two columns of the file are column {} of {name}", column.ident));
                }
                Some((position, _)) => columns.push(position),
                None => return unfit(format!("{name} has no column {}", column.ident)),
            }
        }
        let number = relation.column(NUMBER_COLUMN).map(|(position, _)| position);
        let number = number.filter(|position| !columns.contains(position));
        let is_missing = |(position, column): &(usize, &Column)| {
            column.not_null && !column.has_default() && !columns.contains(position) && number != Some(*position)
        };
        if let Some((_, column)) = relation.columns.iter().enumerate().find(is_missing) {
            return unfit(format!(
                "the file has no column {}, which must not be null",
                column.name
            ));
        }
        let given = |position: &ColumnIndex| columns.contains(position) || number == Some(*position);
        let key = match key {
            Some(key) => {
                let chosen: Vec<ColumnIndex> = key
                    .iter()
                    .filter_map(|position| columns.get(*position))
                    .copied()
                    .collect();
                Some(chosen).filter(|chosen| is_unique(relation, chosen))
            }
            None => keys(relation).find(|key| key.iter().all(given)).map(<[_]>::to_vec),
        };
        let Some(key) = key else {
            return unfit(format!(
                "no primary or unique key of {name} is in the file, so a second import could not know its rows"
            ));
        };
        Ok(Destination {
            relation: Arc::clone(relation),
            columns,
            key,
            number,
        })
    }
}

fn keys(relation: &Relation) -> impl Iterator<Item = &[ColumnIndex]> {
    relation
        .constraints
        .iter()
        .filter_map(|constraint| match &constraint.kind {
            ConstraintKind::PrimaryKey { columns } | ConstraintKind::Unique { columns } => Some(columns.as_slice()),
            _ => None,
        })
}

fn is_unique(relation: &Relation, columns: &[ColumnIndex]) -> bool {
    keys(relation).any(|key| key.len() == columns.len() && key.iter().all(|position| columns.contains(position)))
}

/// `CREATE TABLE` for what a file holds, as a migration's text.
pub fn create(name: &QualifiedName, survey: &Survey, file: &str) -> String {
    let mut sql = String::from("-- Imported from ");
    sql.extend(file.chars().filter(|character| !character.is_control()));
    sql.push_str("\ncreate table ");
    quote(&name.schema, &mut sql);
    sql.push('.');
    quote(&name.name, &mut sql);
    sql.push_str(" (\n");
    if survey.key.is_none() {
        sql.push_str("  ");
        quote(NUMBER_COLUMN, &mut sql);
        sql.push_str(" bigint primary key,\n");
    }
    let key = survey.key.as_deref().unwrap_or_default();
    for (position, column) in survey.columns.iter().enumerate() {
        sql.push_str("  ");
        quote(&column.ident, &mut sql);
        sql.push(' ');
        sql.push_str(&column.ty.display(TypeModifier::None));
        if key == [position] {
            sql.push_str(" primary key");
        } else if column.not_null {
            sql.push_str(" not null");
        }
        if position + 1 < survey.columns.len() || key.len() > 1 {
            sql.push(',');
        }
        sql.push('\n');
    }
    if key.len() > 1 {
        sql.push_str("  primary key (");
        for (position, column) in key.iter().filter_map(|column| survey.columns.get(*column)).enumerate() {
            if position > 0 {
                sql.push_str(", ");
            }
            quote(&column.ident, &mut sql);
        }
        sql.push_str(")\n");
    }
    sql.push_str(");\nalter table ");
    quote(&name.schema, &mut sql);
    sql.push('.');
    quote(&name.name, &mut sql);
    sql.push_str(" enable row level security;\n");
    sql
}

/// Appends a quoted identifier.
pub(super) fn quote(name: &str, out: &mut String) {
    out.push('"');
    for character in name.chars() {
        if character == '"' {
            out.push('"');
        }
        out.push(character);
    }
    out.push('"');
}

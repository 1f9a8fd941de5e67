//! Which tables are carried, and each one's counterpart.

use std::sync::Arc;

use mainstay_core::backend::Backend;
use mainstay_core::catalog::{Catalog, ColumnIndex, Relation, RelationKind};
use mainstay_core::transfer::{Export, key};
use mainstay_core::types::Type;

use super::doing;
use crate::error::Error;

/// Schemas that hold no rows of a project: records of ours, and the engine's own.
const NOT_CARRIED: [&str; 4] = [
    "supabase_migrations",
    "mainstay_move",
    "mainstay_leaving",
    "information_schema",
];

/// Schemas that the platform fills; what the target has no place for is left out while it is empty.
const PLATFORM: [&str; 5] = ["auth", "storage", "realtime", "extensions", "_mainstay"];

/// One table of both sides.
#[derive(Clone, Debug)]
pub struct Pair {
    pub source: Arc<Relation>,
    pub target: Arc<Relation>,
    /// Columns that are carried, by their positions on each side.
    pub source_columns: Vec<ColumnIndex>,
    pub target_columns: Vec<ColumnIndex>,
    /// Columns that are compared: those and the generated ones.
    pub source_compared: Vec<ColumnIndex>,
    pub target_compared: Vec<ColumnIndex>,
    /// The columns of [`key`] on each side; empty if there is none.
    pub source_key: Vec<ColumnIndex>,
    pub target_key: Vec<ColumnIndex>,
}

/// What the database holds, if it is not fit to be a target.
pub async fn contents(backend: &dyn Backend) -> Result<Option<String>, Error> {
    let migrations = backend
        .migrations()
        .await
        .map_err(doing("reading the target's migrations"))?;
    if !migrations.is_empty() {
        return Ok(Some(format!("{} applied migration(s)", migrations.len())));
    }
    let catalog = backend.catalog();
    let table = catalog
        .relations
        .values()
        .filter(|relation| is_carried(relation) && !PLATFORM.contains(&relation.name.schema.as_str()))
        .map(|relation| &relation.name)
        .min();
    Ok(table.map(|name| format!("the table {name}")))
}

pub fn is_carried(relation: &Relation) -> bool {
    let schema = relation.name.schema.as_str();
    !relation.kind.is_view() && !NOT_CARRIED.contains(&schema) && !schema.starts_with("pg_")
}

/// The source's tables with their counterparts, in order of name. A table of the platform's that the target does not
/// have stands alone: the second part.
pub type Pairs = (Vec<Pair>, Vec<Arc<Relation>>);

/// Finds each table's counterpart. Errors: `SchemasDiffer`.
pub fn pairs(source: &Catalog, target: &Catalog) -> Result<Pairs, Error> {
    let mut tables: Vec<&Arc<Relation>> = source.relations.values().filter(|table| is_carried(table)).collect();
    tables.sort_by(|a, b| a.name.cmp(&b.name));
    let (mut pairs, mut alone) = (Vec::new(), Vec::new());
    for table in tables {
        if table.kind != RelationKind::Table {
            let what = format!(
                "{} is partitioned or foreign, and only plain tables can be moved",
                table.name
            );
            return Err(Error::SchemasDiffer(what));
        }
        match target.relation(&table.name) {
            Some(counterpart) => pairs.push(pair(table, counterpart)?),
            None if PLATFORM.contains(&table.name.schema.as_str()) => alone.push(Arc::clone(table)),
            None => return Err(Error::SchemasDiffer(format!("the target has no table {}", table.name))),
        }
    }
    Ok((pairs, alone))
}

fn pair(source: &Arc<Relation>, target: &Arc<Relation>) -> Result<Pair, Error> {
    let differ = |what: String| Err(Error::SchemasDiffer(format!("table {}: {what}", source.name)));
    if target.kind != RelationKind::Table {
        return differ("on the target it is no plain table".into());
    }
    let mut pair = Pair {
        source: Arc::clone(source),
        target: Arc::clone(target),
        source_columns: Vec::new(),
        target_columns: Vec::new(),
        source_compared: Vec::new(),
        target_compared: Vec::new(),
        source_key: key(source).unwrap_or_default(),
        target_key: Vec::new(),
    };
    for (here, column) in source.columns.iter().enumerate() {
        let Some((there, counterpart)) = target.column(&column.name) else {
            return differ(format!("the target has no column {}", column.name));
        };
        if !are_same(&column.ty, &counterpart.ty) {
            let (ours, theirs) = (
                column.ty.display(column.modifier),
                counterpart.ty.display(counterpart.modifier),
            );
            return differ(format!("column {} is {ours} here and {theirs} there", column.name));
        }
        if column.generated.is_some() != counterpart.generated.is_some() {
            return differ(format!("column {} is generated on one side only", column.name));
        }
        pair.source_compared.push(here);
        pair.target_compared.push(there);
        if column.generated.is_none() {
            pair.source_columns.push(here);
            pair.target_columns.push(there);
        }
    }
    let names = pair
        .source_key
        .iter()
        .filter_map(|position| source.columns.get(*position));
    pair.target_key = names
        .filter_map(|column| target.column(&column.name).map(|(position, _)| position))
        .collect();
    let missing = target
        .columns
        .iter()
        .find(|column| source.column(&column.name).is_none() && column.not_null && !column.has_default());
    match missing {
        Some(column) => differ(format!(
            "the source has no column {}, which must not be null",
            column.name
        )),
        None => Ok(pair),
    }
}

/// The same type on both sides. PostgreSQL's extensions are built into the embedded engine, wherever they were created;
/// addresses, which Supabase's own tables keep as such, are text in the portable subset, and spelt alike.
fn are_same(here: &Type, there: &Type) -> bool {
    let is_address = |ty: &Type| matches!(ty, Type::Other(name) if name.name.as_str() == "inet");
    let of_extension = |ty: &Type| match ty {
        Type::Other(name) => Some(name.name.to_string()),
        Type::Vector | Type::Citext => Some(ty.internal_name()),
        _ => None,
    };
    here == there
        || (is_address(here) && *there == Type::Text)
        || (is_address(there) && *here == Type::Text)
        || matches!(
            (here, there),
            (Type::Vector | Type::Citext, Type::Other(_)) | (Type::Other(_), Type::Vector | Type::Citext)
        ) && of_extension(here) == of_extension(there)
}

/// How many rows the pairs have. Errors: a table that stands alone is not empty.
pub async fn present((pairs, alone): &Pairs, export: &mut dyn Export) -> Result<u64, Error> {
    for table in alone {
        if count(export, table).await? > 0 {
            return Err(stands_alone(table));
        }
    }
    let mut rows = 0;
    for pair in pairs {
        rows += count(export, &pair.source).await?;
    }
    Ok(rows)
}

/// A table that the target has no place for has rows.
pub fn stands_alone(table: &Relation) -> Error {
    Error::SchemasDiffer(format!(
        "the source has rows in {}, which the target does not have",
        table.name
    ))
}

/// How many rows a relation has.
pub async fn count(export: &mut dyn Export, relation: &Relation) -> Result<u64, Error> {
    export
        .count(relation)
        .await
        .map_err(doing(format!("counting {}", relation.name)))
}

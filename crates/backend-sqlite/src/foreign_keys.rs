//! Which foreign key was broken: SQLite only says that one was.
//!
//! The request runs again with foreign keys deferred, while every changed row is noted; then each note is compared
//! with the keys that lead away from its table and towards it. The cost grows with the rows changed, not with the
//! tables' size (`PRAGMA foreign_key_check` reads whole tables).
//! Not here: rolling back (`writer` does, before and after).
//!
//! Source: `portability.md` §5 and §11; SQLite documentation, "Foreign Key Support" 4.2, `sqlite3_preupdate_hook`.

use std::sync::{Arc, Mutex};

use mainstay_core::catalog::{Catalog, ConstraintKind, ForeignKey, ReferentialAction, Relation};
use mainstay_core::error::{BackendError, DatabaseError};
use mainstay_core::name::{Ident, QualifiedName};
use mainstay_core::plan::Outcome;
use rusqlite::hooks::PreUpdateCase;
use rusqlite::types::Value;
use rusqlite::{Connection, params_from_iter};

use crate::emit::writer::{SqlWriter, physical_name};
use crate::errors::place;
use crate::values::cast::{Kind, output};
use crate::write::disclosure::Disclosure;

/// Changed rows that are looked at; the broken key is nearly always in the first.
const CHANGES_MAX: usize = 10_000;

const UNNAMED: &str = "a foreign key is violated";

/// A broken foreign key of which no more is known yet.
pub fn unnamed() -> DatabaseError {
    DatabaseError::new("23503", UNNAMED)
}

/// True for [`unnamed`].
pub fn is_unnamed(error: &DatabaseError) -> bool {
    error.sqlstate == "23503" && error.constraint.is_none()
}

/// One row that a statement changed.
struct Change {
    /// The table's name in the file.
    table: String,
    old: Option<Vec<Value>>,
    new: Option<Vec<Value>>,
}

/// Runs `again` with foreign keys deferred and names the first key that its changes break. The caller rolls back.
pub fn diagnose(
    connection: &mut Connection,
    catalog: &Catalog,
    again: impl FnOnce(&Connection) -> Result<Outcome, BackendError>,
) -> rusqlite::Result<Option<DatabaseError>> {
    let notes: Arc<Mutex<Vec<Change>>> = Arc::default();
    let noted = Arc::clone(&notes);
    connection.preupdate_hook(Some(move |_, database: &str, table: &str, case: &PreUpdateCase| {
        if database == "main"
            && let Ok(mut notes) = noted.lock()
            && notes.len() < CHANGES_MAX
        {
            notes.push(Change {
                table: table.to_owned(),
                old: old_row(case),
                new: new_row(case),
            });
        }
    }))?;
    connection.pragma_update(None, "defer_foreign_keys", true)?;
    let refused = again(connection).is_err();
    connection.preupdate_hook(None::<fn(rusqlite::hooks::Action, &str, &str, &PreUpdateCase)>)?;
    let notes = notes
        .lock()
        .map(|mut notes| std::mem::take(&mut *notes))
        .unwrap_or_default();
    let mut found = None;
    for change in &notes {
        let Some(relation) = catalog
            .relations
            .values()
            .find(|relation| !relation.kind.is_view() && physical_name(&relation.name).as_str() == change.table)
        else {
            continue;
        };
        found = missing_target(connection, catalog, relation, change)?;
        if found.is_none() {
            found = left_behind(connection, catalog, relation, change, refused)?;
        }
        if found.is_some() {
            break;
        }
    }
    connection.pragma_update(None, "defer_foreign_keys", false)?;
    Ok(found)
}

/// Takes the key's values out of the detail unless `role` may see them.
pub fn conceal(error: &mut DatabaseError, catalog: &Catalog, role: &Ident) {
    if error.sqlstate != "23503" || error.detail.is_none() {
        return;
    }
    let (Some(schema), Some(table)) = (&error.schema, &error.table) else {
        return;
    };
    let child = catalog
        .relations
        .get(&QualifiedName::new(schema.clone(), table.clone()));
    let key = child.and_then(|child| keys_of(child).find(|(name, _)| Some(*name) == error.constraint.as_ref()));
    let (Some(child), Some((_, key))) = (child, key) else {
        error.detail = None;
        return;
    };
    let is_insert = error.message.starts_with("insert");
    let shown = if is_insert {
        Disclosure::of(catalog, role, child).allows_key(&key.columns)
    } else {
        catalog.relations.get(&key.target).is_some_and(|target| {
            let columns: Option<Vec<_>> = key
                .target_columns
                .iter()
                .map(|column| Some(target.column(column)?.0))
                .collect();
            columns.is_some_and(|columns| Disclosure::of(catalog, role, target).allows_key(&columns))
        })
    };
    if !shown {
        error.detail = Some(if is_insert {
            format!("Key is not present in table \"{}\".", key.target.name)
        } else {
            format!("Key is still referenced from table \"{}\".", child.name.name)
        });
    }
}

fn old_row(case: &PreUpdateCase) -> Option<Vec<Value>> {
    let (PreUpdateCase::Delete(old)
    | PreUpdateCase::Update {
        old_value_accessor: old,
        ..
    }) = case
    else {
        return None;
    };
    (0..old.get_column_count())
        .map(|index| old.get_old_column_value(index).ok()?.try_into().ok())
        .collect()
}

fn new_row(case: &PreUpdateCase) -> Option<Vec<Value>> {
    let (PreUpdateCase::Insert(new)
    | PreUpdateCase::Update {
        new_value_accessor: new,
        ..
    }) = case
    else {
        return None;
    };
    (0..new.get_column_count())
        .map(|index| new.get_new_column_value(index).ok()?.try_into().ok())
        .collect()
}

fn keys_of(relation: &Relation) -> impl Iterator<Item = (&Ident, &ForeignKey)> {
    relation
        .constraints
        .iter()
        .filter_map(|constraint| match &constraint.kind {
            ConstraintKind::ForeignKey(key) => Some((&constraint.name, key)),
            _ => None,
        })
}

/// A row that refers to nothing.
fn missing_target(
    connection: &Connection,
    catalog: &Catalog,
    relation: &Relation,
    change: &Change,
) -> rusqlite::Result<Option<DatabaseError>> {
    let Some(row) = &change.new else { return Ok(None) };
    let order = file_order(connection, relation)?;
    for (name, key) in keys_of(relation) {
        let columns: Vec<&Ident> = key
            .columns
            .iter()
            .filter_map(|index| Some(&relation.columns.get(*index)?.name))
            .collect();
        let Some(values) = picked(&order, row, &columns) else {
            continue;
        };
        let Some(target) = catalog.relations.get(&key.target) else {
            continue;
        };
        let targets: Vec<&Ident> = key.target_columns.iter().collect();
        // The row itself may have changed again since; then this note says nothing.
        if values.contains(&Value::Null)
            || has_row(connection, target, &targets, &values)?
            || !has_row(connection, relation, &columns, &values)?
        {
            continue;
        }
        let mut error = DatabaseError::new(
            "23503",
            format!(
                "insert or update on table \"{}\" violates foreign key constraint \"{name}\"",
                relation.name.name
            ),
        )
        .detail(format!(
            "Key ({})=({}) is not present in table \"{}\".",
            joined(&columns),
            texts(relation, &columns, &values),
            target.name.name
        ));
        place(&mut error, relation);
        error.constraint = Some(name.clone());
        return Ok(Some(error));
    }
    Ok(None)
}

/// Rows that still refer to a row that went away. `undone`: the statement failed at once, so the row is back.
fn left_behind(
    connection: &Connection,
    catalog: &Catalog,
    relation: &Relation,
    change: &Change,
    undone: bool,
) -> rusqlite::Result<Option<DatabaseError>> {
    let Some(row) = &change.old else { return Ok(None) };
    let order = file_order(connection, relation)?;
    let mut children: Vec<(&Relation, &Ident, &ForeignKey)> = catalog
        .relations
        .values()
        .flat_map(|child| keys_of(child).map(move |(name, key)| (&**child, name, key)))
        .filter(|(_, _, key)| key.target == relation.name)
        .collect();
    children.sort_by_key(|(child, name, _)| (&child.name, *name));
    for (child, name, key) in children {
        let targets: Vec<&Ident> = key.target_columns.iter().collect();
        let columns: Vec<&Ident> = key
            .columns
            .iter()
            .filter_map(|index| Some(&child.columns.get(*index)?.name))
            .collect();
        let Some(values) = picked(&order, row, &targets) else {
            continue;
        };
        let restricts = key.on_delete == ReferentialAction::Restrict || key.on_update == ReferentialAction::Restrict;
        if values.contains(&Value::Null)
            || !has_row(connection, child, &columns, &values)?
            || (has_row(connection, relation, &targets, &values)? && !(undone && restricts))
        {
            continue;
        }
        let mut error = DatabaseError::new(
            "23503",
            format!(
                "update or delete on table \"{}\" violates foreign key constraint \"{name}\" on table \"{}\"",
                relation.name.name, child.name.name
            ),
        )
        .detail(format!(
            "Key ({})=({}) is still referenced from table \"{}\".",
            joined(&targets),
            texts(relation, &targets, &values),
            child.name.name
        ));
        place(&mut error, child);
        error.constraint = Some(name.clone());
        return Ok(Some(error));
    }
    Ok(None)
}

/// The relation's columns in the order of the file's table.
fn file_order(connection: &Connection, relation: &Relation) -> rusqlite::Result<Vec<String>> {
    connection
        .prepare_cached("SELECT name FROM pragma_table_xinfo(?1) ORDER BY cid")?
        .query_map([physical_name(&relation.name).as_str()], |row| row.get(0))?
        .collect()
}

fn picked(order: &[String], row: &[Value], columns: &[&Ident]) -> Option<Vec<Value>> {
    columns
        .iter()
        .map(|column| row.get(order.iter().position(|name| column.as_str() == name)?).cloned())
        .collect()
}

fn has_row(
    connection: &Connection,
    relation: &Relation,
    columns: &[&Ident],
    values: &[Value],
) -> rusqlite::Result<bool> {
    let mut sql = SqlWriter::new();
    sql.sql("SELECT 1 FROM ").object(&relation.name).sql(" WHERE ");
    sql.list(" AND ", columns.iter().enumerate(), |sql, (index, column)| {
        sql.ident(column)
            .sql(" = ?")
            .number(i64::try_from(index + 1).unwrap_or(i64::MAX));
    });
    connection.prepare_cached(sql.text())?.exists(params_from_iter(values))
}

fn joined(columns: &[&Ident]) -> String {
    columns
        .iter()
        .map(|column| column.as_str())
        .collect::<Vec<_>>()
        .join(", ")
}

fn texts(relation: &Relation, columns: &[&Ident], values: &[Value]) -> String {
    let text = |(column, value): (&&Ident, &Value)| match relation.column(column) {
        Some((_, column)) => Kind::of(&column.ty)
            .and_then(|kind| output(&kind, value.into()).ok())
            .unwrap_or_else(|| "null".to_owned()),
        None => String::new(),
    };
    columns.iter().zip(values).map(text).collect::<Vec<_>>().join(", ")
}

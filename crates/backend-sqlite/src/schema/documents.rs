//! Makes and keeps the candidate indexes of full text search (`emit::documents`).
//!
//! The table of an index is kept by triggers of the file's, the only ones that there are: whatever writes a row, from a
//! request to a foreign key's action, its candidates change in the same transaction. What one does not find is compared
//! with what should be there after every change of the catalog, and when the file is opened.

use std::collections::BTreeMap;
use std::sync::Arc;

use mainstay_core::catalog::{IndexPart, Relation};
use mainstay_core::error::BackendError;
use mainstay_core::name::{Ident, QualifiedName};
use mainstay_sql::typed::{Expr, ExprKind};
use mainstay_sql::walk;
use rusqlite::Connection;

use super::store::broken;
use crate::emit::compiled::Compiled;
use crate::emit::documents::{self, DocumentKey, PREFIX};
use crate::emit::emitter::Scope;
use crate::emit::writer::{SqlWriter, physical_name};
use crate::emit::{Emitter, Rte};
use crate::errors;

type Result<T> = std::result::Result<T, BackendError>;

/// The ends of the names of an index's triggers.
const INSERTED: &str = ":i";
const UPDATED: &str = ":u";
const DELETED: &str = ":d";

/// Names, each with the table that the trigger is on and its text.
type Triggers = BTreeMap<String, (String, String)>;

/// What one index is made of.
struct Wanted {
    /// The table of its rows, in the file.
    of: String,
    fill: String,
    /// Name and definition.
    triggers: Vec<(String, String)>,
}

/// Brings the file's candidate indexes in line with the catalog. Those that are new are filled.
pub fn sync(conn: &Connection, compiled: &Compiled) -> Result<()> {
    let mut wanted = BTreeMap::new();
    for relation in compiled.catalog().relations.values() {
        for key in documents::keys(compiled, relation) {
            wanted.insert(key.table.to_string(), definition(compiled, relation, &key)?);
        }
    }
    let (tables, triggers) = present(conn)?;
    for (name, (of, sql)) in &triggers {
        let is_wanted = wanted.values().any(|index| {
            let mut known = index.triggers.iter();
            index.of == *of && known.any(|(known, text)| known == name && text == sql)
        });
        if !is_wanted {
            drop_object(conn, "DROP TRIGGER ", name)?;
        }
    }
    for name in tables.iter().filter(|name| !wanted.contains_key(*name)) {
        drop_object(conn, "DROP TABLE ", name)?;
    }
    for (name, index) in &wanted {
        if !tables.contains(name) {
            let mut writer = SqlWriter::new();
            writer.sql("CREATE VIRTUAL TABLE ").ident(&Ident::new(name)).sql(
                " USING fts5(words, content='', contentless_delete=1, detail=none, tokenize=\"ascii tokenchars '_'\")",
            );
            execute(conn, compiled, writer.text())?;
            execute(conn, compiled, &index.fill)?;
        }
        for (trigger, sql) in &index.triggers {
            let is_there = triggers
                .get(trigger)
                .is_some_and(|(of, text)| *of == index.of && text == sql);
            if !is_there {
                execute(conn, compiled, sql)?;
            }
        }
    }
    Ok(())
}

/// Takes a table's triggers away, so that its definition can change; `sync` puts them back.
pub fn release(conn: &Connection, table: &QualifiedName) -> Result<()> {
    let table = physical_name(table);
    let (_, triggers) = present(conn)?;
    let of_table = triggers.iter().filter(|(_, (of, _))| **of == *table);
    of_table
        .map(|(name, _)| name)
        .try_for_each(|name| drop_object(conn, "DROP TRIGGER ", name))
}

/// Takes a table's indexes away before its rows get other numbers or values without them; `sync` makes them anew.
pub fn discard(conn: &Connection, relation: &Relation) -> Result<()> {
    release(conn, &relation.name)?;
    let (tables, _) = present(conn)?;
    for index in &relation.indexes {
        let prefix = documents::prefix_of(relation, &index.name);
        for name in tables.iter().filter(|name| name.starts_with(&prefix)) {
            drop_object(conn, "DROP TABLE ", name)?;
        }
    }
    Ok(())
}

/// Takes all of them away.
pub fn remove(conn: &Connection) -> Result<()> {
    let (tables, triggers) = present(conn)?;
    for name in triggers.keys() {
        drop_object(conn, "DROP TRIGGER ", name)?;
    }
    tables
        .iter()
        .try_for_each(|name| drop_object(conn, "DROP TABLE ", name))
}

/// The names of the indexes' tables, and all triggers with the table they are on and their text.
fn present(conn: &Connection) -> Result<(Vec<String>, Triggers)> {
    let mut statement = conn
        .prepare_cached(
            "SELECT type, name, tbl_name, sql FROM sqlite_schema \
             WHERE type = 'trigger' OR (type = 'table' AND rootpage = 0 AND substr(name, 1, length(?1)) = ?1)",
        )
        .map_err(broken)?;
    let mut rows = statement.query([PREFIX]).map_err(broken)?;
    let (mut tables, mut triggers) = (Vec::new(), BTreeMap::new());
    while let Some(row) = rows.next().map_err(broken)? {
        let text = |index| row.get::<_, String>(index).map_err(broken);
        match text(0)?.as_str() {
            "table" => tables.push(text(1)?),
            _ => {
                triggers.insert(text(1)?, (text(2)?, text(3)?));
            }
        }
    }
    Ok((tables, triggers))
}

fn drop_object(conn: &Connection, drop: &'static str, name: &str) -> Result<()> {
    let mut writer = SqlWriter::new();
    writer.sql(drop).ident(&Ident::new(name));
    conn.execute_batch(writer.text()).map_err(broken)
}

fn execute(conn: &Connection, compiled: &Compiled, sql: &str) -> Result<()> {
    conn.execute_batch(sql)
        .map_err(|error| errors::refusal(compiled.catalog(), None, sql, &error))
}

fn definition(compiled: &Compiled, relation: &Arc<Relation>, key: &DocumentKey<'_>) -> Result<Wanted> {
    let triggers = [
        (INSERTED, trigger(compiled, relation, key, INSERTED)?),
        (UPDATED, trigger(compiled, relation, key, UPDATED)?),
        (DELETED, trigger(compiled, relation, key, DELETED)?),
    ];
    let named = triggers.into_iter().map(|(end, sql)| (name_of(key, end), sql));
    let mut fill = Emitter::new(compiled, &relation.owner).for_schema();
    rows(&mut fill, relation, key, None)?;
    Ok(Wanted {
        of: physical_name(&relation.name).to_string(),
        fill: fill.finish().0,
        triggers: named.collect(),
    })
}

fn name_of(key: &DocumentKey<'_>, end: &str) -> String {
    let mut name = key.table.to_string();
    name.push_str(end);
    name
}

fn trigger(compiled: &Compiled, relation: &Arc<Relation>, key: &DocumentKey<'_>, end: &'static str) -> Result<String> {
    let mut emitter = Emitter::new(compiled, &relation.owner).for_schema();
    let writer = emitter.writer();
    writer.sql("CREATE TRIGGER ").ident(&Ident::new(name_of(key, end)));
    match end {
        INSERTED => {
            writer.sql(" AFTER INSERT ON ");
        }
        DELETED => {
            writer.sql(" AFTER DELETE ON ");
        }
        _ => {
            let columns = columns(compiled, relation, key)?;
            writer.sql(" AFTER UPDATE OF ");
            writer.list(", ", &columns, |writer, index| {
                writer.ident(&relation.columns[*index].name);
            });
            writer.sql(" ON ");
        }
    }
    writer.object(&relation.name).sql(" BEGIN ");
    if end != INSERTED {
        writer
            .sql("DELETE FROM ")
            .ident(&key.table)
            .sql(" WHERE rowid = old._rowid_; ");
    }
    if end != DELETED {
        rows(&mut emitter, relation, key, Some("new._rowid_"))?;
        emitter.writer().sql("; ");
    }
    emitter.writer().sql("END");
    Ok(emitter.finish().0)
}

/// `INSERT … SELECT` of the documents of all rows, or of one.
fn rows(
    emitter: &mut Emitter<'_>,
    relation: &Arc<Relation>,
    key: &DocumentKey<'_>,
    only: Option<&'static str>,
) -> Result<()> {
    let writer = emitter.writer();
    writer
        .sql("INSERT INTO ")
        .ident(&key.table)
        .sql(" (rowid, words) SELECT _rowid_, pg_ts_words(");
    document(emitter, relation, key)?;
    emitter.writer().sql(") FROM ").object(&relation.name).sql(" WHERE ");
    if let Some(row) = only {
        emitter.writer().sql("_rowid_ = ").sql(row).sql(" AND ");
    }
    document(emitter, relation, key)?;
    emitter.writer().sql(" IS NOT NULL");
    Ok(())
}

fn document(emitter: &mut Emitter<'_>, relation: &Arc<Relation>, key: &DocumentKey<'_>) -> Result<()> {
    match key.part {
        IndexPart::Column(column) => {
            emitter.writer().ident(&relation.columns[*column].name);
        }
        IndexPart::Expression(text) => {
            let bound = emitter.compiled().value(relation, text)?;
            let row = Rte::Bare {
                relation: Arc::clone(relation),
            };
            emitter.fragment(Scope::of(bound.rte, row), |emitter| emitter.expr(&bound.expr))?;
        }
    }
    Ok(())
}

/// The columns that the document is made of, and those that may be the row's number.
fn columns(compiled: &Compiled, relation: &Arc<Relation>, key: &DocumentKey<'_>) -> Result<Vec<usize>> {
    let mut columns: Vec<usize> = Vec::new();
    match key.part {
        IndexPart::Column(column) => columns.push(*column),
        IndexPart::Expression(text) => columns.extend(named(&compiled.value(relation, text)?.expr)),
    }
    // The file computes generated columns by itself: what is set is what they are made of.
    for column in columns.clone() {
        let column = &relation.columns[column];
        if let Some(text) = &column.generated {
            let bound = compiled.generated(relation, text, &column.ty, column.modifier)?;
            columns.extend(named(&bound.expr));
        }
    }
    columns.extend(relation.primary_key());
    columns.sort_unstable();
    columns.dedup();
    Ok(columns)
}

fn named(expr: &Expr) -> Vec<usize> {
    let mut columns = Vec::new();
    walk::expr(expr, &mut |inner| {
        if let ExprKind::Column { column, .. } = inner.kind {
            columns.push(column);
        }
        true
    });
    columns
}

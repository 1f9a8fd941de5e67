//! System catalogs (`pg_class`, `information_schema.tables` …) as derived tables.
//!
//! Their rows are fixed for a version of the catalog and a role, as statements are, so they are part of the statement: one
//! bound JSON text. What is kept beside the catalog, publications, is read where it is.

use std::sync::Arc;

use mainstay_core::catalog::Relation;
use mainstay_core::error::DatabaseError;
use mainstay_core::render;
use mainstay_sql::system::{self, Cell};
use rusqlite::types::Value as Scalar;

use super::binds::Bind;
use super::emitter::{Emitter, Result};

impl Emitter<'_> {
    /// Writes the relation's rows without an alias.
    pub(super) fn write_system(&mut self, relation: &Arc<Relation>) -> Result<()> {
        match system::rows(self.catalog(), &self.role, relation) {
            Some(rows) => self.rows_of_text(relation, &rows),
            None => self.publications(relation),
        }
    }

    fn rows_of_text(&mut self, relation: &Arc<Relation>, rows: &[Vec<Cell>]) -> Result<()> {
        self.sql("(SELECT ");
        for (index, column) in relation.columns.iter().enumerate() {
            self.sql(if index > 0 { ", value ->> " } else { "value ->> " });
            self.writer.number(index as i64).sql(" AS ").ident(&column.name);
        }
        self.sql(" FROM json_each(");
        self.bind(Bind::Constant(Scalar::Text(json(rows))))?;
        self.sql("))");
        Ok(())
    }

    /// Schema, name and column names of each table.
    fn attributes(&self) -> Vec<Vec<Cell>> {
        let named = |relation: &Arc<Relation>| {
            let columns = relation.columns.iter().map(|column| column.name.to_string());
            vec![
                (&relation.name.schema).into(),
                (&relation.name.name).into(),
                Cell::Names(columns.collect()),
            ]
        };
        self.catalog().relations.values().map(named).collect()
    }

    fn publications(&mut self, relation: &Arc<Relation>) -> Result<()> {
        match relation.name.name.as_str() {
            "pg_publication" => {
                self.sql("(SELECT name AS pubname FROM _ms_objects WHERE kind = 'publication')");
            }
            "pg_publication_tables" => {
                self.sql(
                    "(SELECT listed.name AS pubname, each.value ->> 'schema' AS schemaname, \
                     each.value ->> 'name' AS tablename, \
                     (SELECT known.value ->> 2 FROM json_each(",
                );
                let rows = self.attributes();
                self.bind(Bind::Constant(Scalar::Text(json(&rows))))?;
                self.sql(
                    ") AS known WHERE known.value ->> 0 = each.value ->> 'schema' \
                     AND known.value ->> 1 = each.value ->> 'name') AS attnames, NULL AS rowfilter \
                     FROM _ms_objects AS listed, json_each(listed.body) AS each WHERE listed.kind = 'publication')",
                );
            }
            other => return Err(DatabaseError::unavailable("this system catalog", other, 1, None)),
        }
        Ok(())
    }
}

/// An array of arrays; booleans as the engine stores them, `name[]` as the text that arrays are stored as.
fn json(rows: &[Vec<Cell>]) -> String {
    let mut text = Vec::from(b"[");
    for (index, row) in rows.iter().enumerate() {
        text.extend_from_slice(if index > 0 { b",[" } else { b"[" });
        for (index, cell) in row.iter().enumerate() {
            if index > 0 {
                text.push(b',');
            }
            write_cell(&mut text, cell);
        }
        text.push(b']');
    }
    text.push(b']');
    String::from_utf8(text).unwrap_or_default()
}

fn write_cell(text: &mut Vec<u8>, cell: &Cell) {
    match cell {
        Cell::Null => text.extend_from_slice(b"null"),
        Cell::Bool(value) => text.push(if *value { b'1' } else { b'0' }),
        Cell::Integer(value) => text.extend_from_slice(value.to_string().as_bytes()),
        Cell::Text(value) => render::json_string(text, value),
        Cell::Names(names) => {
            let mut array = Vec::from(b"[");
            for (index, name) in names.iter().enumerate() {
                if index > 0 {
                    array.push(b',');
                }
                render::json_string(&mut array, name);
            }
            array.push(b']');
            render::json_string(text, &String::from_utf8_lossy(&array));
        }
    }
}

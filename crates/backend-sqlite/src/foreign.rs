//! Reads an SQLite file that is none of ours: its tables, keys and rows, for an import.
//!
//! Nothing is written: the file is opened read-only, without functions of ours, and its views and triggers never run.
//! Not here: which PostgreSQL type a column becomes (`ops`).
//!
//! Source: SQLite documentation, `PRAGMA table_xinfo`, `index_list`, `index_xinfo`, `foreign_key_list`; "Datatypes In
//! SQLite" 3.1 (affinity).

use std::path::Path;

use rusqlite::config::DbConfig;
use rusqlite::types::ValueRef;
use rusqlite::{Connection, OpenFlags};

use crate::emit::writer::SqlWriter;
use mainstay_core::error::BackendError;
use mainstay_core::name::Ident;

/// An open file.
pub struct ForeignFile {
    connection: Connection,
}

/// One of its tables.
#[derive(Clone, Debug)]
pub struct ForeignTable {
    pub name: String,
    pub columns: Vec<ForeignColumn>,
    /// Positions of the primary key's columns, in key order.
    pub primary_key: Vec<usize>,
    /// The primary key is one column declared INTEGER: SQLite gives it values by itself.
    pub is_numbered: bool,
    /// Unique keys over columns, without the primary key; partial ones and those over expressions are left out.
    pub unique: Vec<Vec<usize>>,
    /// Other indexes over columns.
    pub indexes: Vec<Vec<usize>>,
    pub foreign_keys: Vec<ForeignKey>,
    pub rows: u64,
    has_row_id: bool,
}

/// One column.
#[derive(Clone, Debug)]
pub struct ForeignColumn {
    pub name: String,
    /// The type as declared, in capitals; may be empty.
    pub declared: String,
    pub not_null: bool,
    /// The default's text.
    pub default: Option<String>,
}

/// A key that refers to another table.
#[derive(Clone, Debug)]
pub struct ForeignKey {
    pub columns: Vec<String>,
    pub table: String,
    /// Empty: the other table's primary key.
    pub target_columns: Vec<String>,
    /// `NO ACTION`, `CASCADE` …
    pub on_delete: String,
    pub on_update: String,
}

/// One value.
#[derive(Clone, Debug, PartialEq)]
pub enum ForeignValue {
    Null,
    Integer(i64),
    Real(f64),
    Text(String),
    Blob(Vec<u8>),
}

/// Rows, and where to go on; `None` at the end.
pub type Page = (Vec<Vec<ForeignValue>>, Option<i64>);

fn broken(error: rusqlite::Error) -> BackendError {
    BackendError::Internal(error.to_string())
}

impl ForeignFile {
    /// Opens the file. Errors: it is no SQLite file, or is one of ours.
    pub fn open(path: &Path) -> Result<Self, BackendError> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(path, flags).map_err(broken)?;
        for (switch, on) in [
            (DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false),
            (DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER, false),
            (DbConfig::SQLITE_DBCONFIG_ENABLE_VIEW, false),
            (DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true),
        ] {
            connection.set_db_config(switch, on).map_err(broken)?;
        }
        connection
            .pragma_update(None, "cell_size_check", true)
            .map_err(broken)?;
        let is_ours: bool = connection
            .query_row(
                "SELECT EXISTS (SELECT 1 FROM sqlite_schema WHERE name = '_ms_objects')",
                [],
                |row| row.get(0),
            )
            .map_err(broken)?;
        if is_ours {
            return Err(BackendError::Internal(
                "this is a Mainstay data file; `mainstay grow` moves one".into(),
            ));
        }
        connection.execute_batch("BEGIN").map_err(broken)?;
        Ok(ForeignFile { connection })
    }

    /// Its tables in order of name, without SQLite's own and virtual ones.
    pub fn tables(&self) -> Result<Vec<ForeignTable>, BackendError> {
        let mut statement = self
            .connection
            .prepare(
                "SELECT name, wr FROM pragma_table_list
                 WHERE schema = 'main' AND type = 'table' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' ORDER BY name",
            )
            .map_err(broken)?;
        let names: Vec<(String, bool)> = statement
            .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))
            .and_then(Iterator::collect)
            .map_err(broken)?;
        let tables = names
            .into_iter()
            .map(|(name, without_row_id)| self.table(name, !without_row_id));
        tables.collect::<rusqlite::Result<_>>().map_err(broken)
    }

    fn table(&self, name: String, has_row_id: bool) -> rusqlite::Result<ForeignTable> {
        let mut statement = self.connection.prepare(
            "SELECT name, upper(type), \"notnull\", dflt_value, pk FROM pragma_table_xinfo(?1) WHERE hidden = 0 ORDER BY cid",
        )?;
        let rows: Vec<(ForeignColumn, usize)> = statement
            .query_map([&name], |row| {
                let column = ForeignColumn {
                    name: row.get(0)?,
                    declared: row.get(1)?,
                    not_null: row.get(2)?,
                    default: row.get(3)?,
                };
                Ok((column, row.get::<_, i64>(4)?.unsigned_abs() as usize))
            })?
            .collect::<rusqlite::Result<_>>()?;
        let mut key: Vec<(usize, usize)> = rows
            .iter()
            .enumerate()
            .filter(|(_, (_, place))| *place > 0)
            .map(|(position, (_, place))| (*place, position))
            .collect();
        key.sort_unstable();
        let columns: Vec<ForeignColumn> = rows.into_iter().map(|(column, _)| column).collect();
        let primary_key: Vec<usize> = key.into_iter().map(|(_, position)| position).collect();
        let is_numbered = has_row_id && matches!(primary_key[..], [only] if columns[only].declared == "INTEGER");
        let (unique, indexes) = self.indexes(&name, &columns)?;
        let mut count = SqlWriter::new();
        count.sql("SELECT count(*) FROM ").ident(&Ident::new(&name));
        let rows: i64 = self.connection.query_row(&count.finish().0, [], |row| row.get(0))?;
        let foreign_keys = self.foreign_keys(&name)?;
        Ok(ForeignTable {
            name,
            columns,
            primary_key,
            is_numbered,
            unique,
            indexes,
            foreign_keys,
            rows: u64::try_from(rows).unwrap_or(0),
            has_row_id,
        })
    }

    #[allow(clippy::type_complexity, reason = "unique keys and other indexes, by columns")]
    fn indexes(&self, table: &str, columns: &[ForeignColumn]) -> rusqlite::Result<(Vec<Vec<usize>>, Vec<Vec<usize>>)> {
        let mut list = self.connection.prepare(
            "SELECT name, \"unique\" FROM pragma_index_list(?1) WHERE origin <> 'pk' AND partial = 0 ORDER BY name",
        )?;
        let found: Vec<(String, bool)> = list
            .query_map([table], |row| Ok((row.get(0)?, row.get(1)?)))?
            .collect::<rusqlite::Result<_>>()?;
        let (mut unique, mut indexes) = (Vec::new(), Vec::new());
        for (index, is_unique) in found {
            let mut parts = self
                .connection
                .prepare("SELECT name FROM pragma_index_info(?1) ORDER BY seqno")?;
            let names: Vec<Option<String>> = parts
                .query_map([&index], |row| row.get(0))?
                .collect::<rusqlite::Result<_>>()?;
            // A part without a name is an expression.
            let position =
                |name: &Option<String>| columns.iter().position(|column| Some(&column.name) == name.as_ref());
            let Some(positions) = names.iter().map(position).collect::<Option<Vec<usize>>>() else {
                continue;
            };
            if is_unique { &mut unique } else { &mut indexes }.push(positions);
        }
        Ok((unique, indexes))
    }

    fn foreign_keys(&self, table: &str) -> rusqlite::Result<Vec<ForeignKey>> {
        let mut statement = self.connection.prepare(
            "SELECT id, \"table\", \"from\", \"to\", on_update, on_delete FROM pragma_foreign_key_list(?1) ORDER BY id, seq",
        )?;
        let mut keys: Vec<(i64, ForeignKey)> = Vec::new();
        let mut rows = statement.query([table])?;
        while let Some(row) = rows.next()? {
            let id: i64 = row.get(0)?;
            if keys.last().is_none_or(|(last, _)| *last != id) {
                let key = ForeignKey {
                    columns: Vec::new(),
                    table: row.get(1)?,
                    target_columns: Vec::new(),
                    on_update: row.get(4)?,
                    on_delete: row.get(5)?,
                };
                keys.push((id, key));
            }
            if let Some((_, key)) = keys.last_mut() {
                key.columns.push(row.get(2)?);
                key.target_columns.extend(row.get::<_, Option<String>>(3)?);
            }
        }
        Ok(keys.into_iter().map(|(_, key)| key).collect())
    }

    /// Up to `rows` rows of `table` after a position, or from the beginning.
    pub fn page(&self, table: &ForeignTable, after: Option<i64>, rows: usize) -> Result<Page, BackendError> {
        self.read(table, after, rows).map_err(broken)
    }

    fn read(&self, table: &ForeignTable, after: Option<i64>, rows: usize) -> rusqlite::Result<Page> {
        let named = |name: &str| {
            table
                .columns
                .iter()
                .any(|column| column.name.eq_ignore_ascii_case(name))
        };
        let row_id = ["rowid", "_rowid_", "oid"]
            .into_iter()
            .find(|name| table.has_row_id && !named(name));
        let mut writer = SqlWriter::new();
        writer.sql("SELECT ");
        match row_id {
            Some(name) => writer.ident(&Ident::new(name)),
            None => writer.sql("0"),
        };
        for column in &table.columns {
            writer.sql(", ").ident(&Ident::new(&column.name));
        }
        writer.sql(" FROM ").ident(&Ident::new(&table.name));
        match row_id {
            Some(name) => {
                let id = Ident::new(name);
                writer
                    .sql(" WHERE ?1 IS NULL OR ")
                    .ident(&id)
                    .sql(" > ?1 ORDER BY ")
                    .ident(&id)
                    .sql(" LIMIT ?2");
            }
            // Such a table is read by its place, which stays what it is in this transaction.
            None => {
                writer.sql(" LIMIT ?2 OFFSET coalesce(?1, 0)");
            }
        }
        let mut statement = self.connection.prepare_cached(&writer.finish().0)?;
        let mut found = Vec::new();
        let mut last = after.unwrap_or(0);
        let mut read = statement.query(rusqlite::params![after, i64::try_from(rows).unwrap_or(i64::MAX)])?;
        while let Some(row) = read.next()? {
            last = if row_id.is_some() { row.get(0)? } else { last + 1 };
            let values = (0..table.columns.len()).map(|position| {
                Ok(match row.get_ref(position + 1)? {
                    ValueRef::Null => ForeignValue::Null,
                    ValueRef::Integer(number) => ForeignValue::Integer(number),
                    ValueRef::Real(number) => ForeignValue::Real(number),
                    ValueRef::Text(text) => ForeignValue::Text(String::from_utf8_lossy(text).into_owned()),
                    ValueRef::Blob(bytes) => ForeignValue::Blob(bytes.to_vec()),
                })
            });
            found.push(values.collect::<rusqlite::Result<Vec<_>>>()?);
        }
        let is_end = found.len() < rows;
        Ok((found, (!is_end).then_some(last)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_keys_and_rows_are_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.db");
        let made = Connection::open(&path).unwrap();
        made.execute_batch(
            "CREATE TABLE a (id INTEGER PRIMARY KEY AUTOINCREMENT, n varchar(9) NOT NULL DEFAULT 'x', UNIQUE (n));
             CREATE TABLE b (x, y TEXT, a_id INT REFERENCES a, PRIMARY KEY (y, x)) WITHOUT ROWID;
             CREATE INDEX b_a ON b (a_id);
             CREATE UNIQUE INDEX partial ON a (n) WHERE id > 5;
             CREATE VIEW v AS SELECT 1;
             INSERT INTO a (n) VALUES ('one'), ('two'), ('three');
             INSERT INTO b VALUES (1, 'k', 1), (2.5, 'l', NULL), (x'00ff', 'm', 3);",
        )
        .unwrap();
        drop(made);
        let file = ForeignFile::open(&path).unwrap();
        let tables = file.tables().unwrap();
        let [a, b] = &tables[..] else { panic!("{tables:?}") };
        assert_eq!(
            (a.name.as_str(), a.rows, a.is_numbered, &a.unique[..]),
            ("a", 3, true, &[vec![1]][..])
        );
        assert_eq!(a.columns[1].default.as_deref(), Some("'x'"));
        assert_eq!(
            (b.primary_key.as_slice(), b.is_numbered, &b.indexes[..]),
            (&[1, 0][..], false, &[vec![2]][..])
        );
        assert_eq!(
            (b.foreign_keys[0].table.as_str(), b.foreign_keys[0].columns[0].as_str()),
            ("a", "a_id")
        );
        for table in [a, b] {
            let mut rows = Vec::new();
            let mut after = None;
            loop {
                let (page, next) = file.page(table, after, 2).unwrap();
                rows.extend(page);
                after = next;
                if after.is_none() {
                    break;
                }
            }
            assert_eq!(rows.len(), 3, "{}", table.name);
        }
        let (rows, _) = file.page(b, None, 9).unwrap();
        assert!(rows.iter().any(|row| row[0] == ForeignValue::Blob(vec![0, 255])));
    }
}

//! What a change of the catalog asks of the file.
//!
//! A table's definition is rewritten in place where its rows stay as they are: constraints, NOT NULL, foreign keys
//! (SQLite's documentation of ALTER TABLE, end of section 7). Only what changes the rows themselves copies them. While
//! a table is copied, other tables' foreign keys to it are taken out of their definitions: with them in place, dropping
//! the old table would delete their rows by cascade (`portability.md` §10, "the rebuild, and its trap").
//! Foreign keys stay on throughout, so that the migration's own statements cascade as they should.

use std::sync::Arc;

use mainstay_core::backend::Watch;
use mainstay_core::catalog::{Catalog, ConstraintKind, IndexPart, Relation, RelationKind, Sequence};
use mainstay_core::error::{BackendError, DatabaseError};
use mainstay_core::name::{Ident, QualifiedName};
use mainstay_sql::analyse::Analyser;
use mainstay_sql::ast::ddl::PublicationAction;
use mainstay_sql::ddl::{self, Change};
use mainstay_sql::parse;
use mainstay_sql::session::Session;
use mainstay_sql::typed::{ExprKind, SequenceCall};
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OptionalExtension, params};

use super::define::{self, KEY_INDEX_PREFIX, Spelling, StoredColumn};
use super::store::broken;
use super::{documents, faults, sequences};
use crate::connection::register_collations;
use crate::emit::compiled::Compiled;
use crate::emit::context::Context;
use crate::emit::documents as emit_documents;
use crate::emit::writer::{SqlWriter, physical_name};
use crate::write::triggers;
use crate::{errors, routine, write};

type Result<T> = std::result::Result<T, BackendError>;

/// Does in the file what one statement did to the catalog. `before` is the catalog without it, `after` with it.
///
/// Errors: those of rows that a new constraint does not allow, as PostgreSQL words them.
pub fn carry_out(
    conn: &Connection,
    before: &Catalog,
    after: &Compiled,
    changes: &[Change],
    context: &Context<'_>,
    watch: Option<&Watch>,
) -> Result<()> {
    let work = Work {
        conn,
        before,
        after,
        watch,
    };
    // Defaults and checks of rows that are there may call routines.
    routine::enter(conn, after, context, || {
        let mut touched: Vec<&QualifiedName> = Vec::new();
        for change in changes {
            work.release_documents(change)?;
            work.one(change, context)?;
            if let Some(table) = table_of(change)
                && !touched.contains(&table)
            {
                touched.push(table);
            }
        }
        for table in touched {
            work.sync_key_indexes(table)?;
        }
        work.sync_carried_keys()?;
        match emit_documents::any(before) || emit_documents::any(after.catalog()) {
            true => documents::sync(conn, after),
            false => Ok(()),
        }
    })
}

/// The table whose foreign keys may need other indexes after the change.
fn table_of(change: &Change) -> Option<&QualifiedName> {
    match change {
        Change::CreateTable(table)
        | Change::RenameTable { to: table, .. }
        | Change::RenameColumn { table, .. }
        | Change::DropColumn { table, .. }
        | Change::Redefine { table }
        | Change::Rebuild { table }
        | Change::Retype { table, .. }
        | Change::MoveTable { to: table, .. }
        | Change::CreateIndex { table, .. }
        | Change::CreateKey { table, .. }
        | Change::DropIndex { table, .. } => Some(table),
        _ => None,
    }
}

pub(super) struct Work<'a> {
    pub(super) conn: &'a Connection,
    pub(super) before: &'a Catalog,
    pub(super) after: &'a Compiled,
    pub(super) watch: Option<&'a Watch>,
}

impl Work<'_> {
    /// The file's triggers name columns, which SQLite would not let go.
    fn release_documents(&self, change: &Change) -> Result<()> {
        let (table, rows_change) = match change {
            Change::RenameTable { from: table, .. }
            | Change::RenameColumn { table, .. }
            | Change::DropColumn { table, .. }
            | Change::Redefine { table } => (table, false),
            Change::Rebuild { table } | Change::Retype { table, .. } | Change::MoveTable { from: table, .. } => {
                (table, true)
            }
            _ => return Ok(()),
        };
        match self.before.relations.get(table) {
            Some(relation) if !emit_documents::may_have_keys(relation) => Ok(()),
            Some(relation) if rows_change => documents::discard(self.conn, relation),
            _ => documents::release(self.conn, table),
        }
    }

    /// Foreign keys whose actions the engine now carries out itself, or no longer does, are spelled anew.
    fn sync_carried_keys(&self) -> Result<()> {
        let before = triggers::carried_keys(self.before);
        let after = self.after.carried_keys();
        let mut tables: Vec<&QualifiedName> = before.symmetric_difference(after).map(|(table, _)| table).collect();
        tables.sort();
        tables.dedup();
        for table in tables {
            if self.before.relations.contains_key(table) && self.after.catalog().relations.contains_key(table) {
                let stored = self.stored(table)?;
                self.redefine(table, &stored)?;
            }
        }
        Ok(())
    }

    fn one(&self, change: &Change, context: &Context<'_>) -> Result<()> {
        match change {
            Change::Catalog | Change::Notice(_) => Ok(()),
            Change::CreateTable(name) => {
                let relation = self.relation(name)?;
                self.execute(&define::table(self.after, &relation, Spelling::default())?)
            }
            Change::DropTable(name) => self.drop_table(name),
            Change::RenameTable { from, to } => {
                let mut writer = SqlWriter::new();
                writer.sql("ALTER TABLE ").object(from).sql(" RENAME TO ").object(to);
                self.execute(writer.text())
            }
            Change::RenameColumn { table, from, to } => {
                let mut writer = SqlWriter::new();
                writer
                    .sql("ALTER TABLE ")
                    .object(table)
                    .sql(" RENAME COLUMN ")
                    .ident(from)
                    .sql(" TO ")
                    .ident(to);
                self.execute(writer.text())
            }
            Change::AddColumn { table, column } => {
                let relation = self.relation(table)?;
                let Some((_, entry)) = relation.column(column) else {
                    return Ok(());
                };
                let mut writer = SqlWriter::new();
                writer
                    .sql("ALTER TABLE ")
                    .object(table)
                    .sql(" ADD COLUMN ")
                    .ident(column)
                    .sql(" ");
                writer.sql(define::storage(&entry.ty));
                self.execute(writer.text())
            }
            Change::FillColumn { table, column } => self.fill(table, column, context),
            Change::DropColumn { table, column } => self.drop_column(table, column, context),
            Change::CheckNotNull { table, column } => {
                faults::check_not_null(self.conn, &*self.relation(table)?, column)
            }
            Change::CheckRows {
                table,
                constraint,
                not_valid,
            } => {
                let checked = faults::check_rows(self.conn, self.after, &self.relation(table)?, constraint);
                unless_not_valid(checked, *not_valid, constraint)
            }
            Change::CheckForeignKey {
                table,
                constraint,
                not_valid,
            } => {
                let relation = self.relation(table)?;
                match key_of(&relation, constraint) {
                    Some(ConstraintKind::ForeignKey(key)) => {
                        let checked = faults::check_foreign_key(self.conn, &relation, constraint, key);
                        unless_not_valid(checked, *not_valid, constraint)
                    }
                    _ => Ok(()),
                }
            }
            Change::Redefine { table } => self.redefine_or_rebuild(table, context),
            Change::Rebuild { table } => self.rebuild(table, &[], context),
            Change::Retype { table, columns } => self.retype(table, columns, context),
            Change::MoveTable { from, to } => self.move_table(from, to),
            Change::Truncate(tables) => self.truncate(tables),
            Change::RelabelEnum { name, renamed } => self.relabel_enum(name, renamed.as_ref(), context),
            Change::DropPublication { name, if_exists } => drop_publication(self.conn, name, *if_exists),
            Change::CreateIndex { table, index } => {
                let relation = self.relation(table)?;
                let Some(entry) = relation.indexes.iter().find(|entry| entry.name == *index) else {
                    return Ok(());
                };
                let Some(sql) = define::index(self.after, &relation, entry)? else {
                    return Ok(());
                };
                let columns: Option<Vec<usize>> = entry
                    .keys
                    .iter()
                    .map(|key| match key.part {
                        IndexPart::Column(column) => Some(column),
                        IndexPart::Expression(_) => None,
                    })
                    .collect();
                self.create_unique(&sql, &relation, index, columns.as_deref())
            }
            Change::CreateKey { table, constraint } => self.create_key(table, constraint),
            Change::DropIndex { table, name } => {
                let mut writer = SqlWriter::new();
                let name = QualifiedName::new(table.schema.clone(), name.clone());
                writer.sql("DROP INDEX IF EXISTS ").object(&name);
                self.execute(writer.text())
            }
            Change::RenameIndex { table, from, to } => self.rename_index(table, from, to),
            Change::CreateSequence(name) => match self.after.catalog().sequences.get(name) {
                Some(sequence) => sequences::create(self.conn, name, sequence.start),
                None => Ok(()),
            },
            Change::DropSequence(name) => sequences::remove(self.conn, name),
            Change::RenameSequence { from, to } => sequences::rename(self.conn, from, to),
            Change::RestartSequence { sequence, next } => sequences::restart(self.conn, sequence, *next),
            Change::CreateEnum(_) | Change::DropEnum(_) | Change::RenameEnum { .. } => {
                register_collations(self.conn, self.after.catalog()).map_err(broken)
            }
            Change::CheckDomain { domain, check } => {
                faults::check_domain(self.conn, self.after, domain, check.as_ref())
            }
            Change::Publication { name, action, tables } => self.publication(name, *action, tables),
        }
    }

    pub(super) fn relation(&self, name: &QualifiedName) -> Result<Arc<Relation>> {
        match self.after.catalog().relations.get(name) {
            Some(relation) => Ok(Arc::clone(relation)),
            None => Err(BackendError::Internal(format!("relation {name} is not in the catalog"))),
        }
    }

    pub(super) fn execute(&self, sql: &str) -> Result<()> {
        self.conn
            .execute_batch(sql)
            .map_err(|error| errors::refusal(self.after.catalog(), None, sql, &error))
    }

    /// The table's columns in the file's order.
    pub(super) fn stored(&self, name: &QualifiedName) -> Result<Vec<StoredColumn>> {
        let mut statement = self
            .conn
            .prepare("SELECT name, type, pk FROM pragma_table_xinfo(?1) ORDER BY cid")
            .map_err(broken)?;
        let columns = statement
            .query_map([physical_name(name).as_str()], |row| {
                Ok(StoredColumn {
                    name: row.get(0)?,
                    storage: row.get(1)?,
                    is_row_id: row.get::<_, i64>(2)? > 0,
                })
            })
            .map_err(broken)?;
        columns.collect::<rusqlite::Result<Vec<_>>>().map_err(broken)
    }

    fn drop_table(&self, name: &QualifiedName) -> Result<()> {
        // Dropping deletes the rows first, and a table's keys to itself would act on that.
        if let Some(relation) = self.before.relations.get(name)
            && refers_to(relation, name)
        {
            let stored = self.stored(name)?;
            let before = Compiled::new(Arc::new(self.before.clone()));
            let spelling = Spelling {
                stored: &stored,
                without_targets: std::slice::from_ref(name),
                ..Spelling::default()
            };
            self.rewrite(name, &define::table(&before, relation, spelling)?)?;
        }
        // Tables that go with it may go after it, and must not be asked for their keys.
        for child in self.before.relations.values() {
            let goes_too = child.name != *name && !self.after.catalog().relations.contains_key(&child.name);
            if !goes_too || !refers_to(child, name) {
                continue;
            }
            let stored = self.stored(&child.name)?;
            if stored.is_empty() {
                continue;
            }
            let before = Compiled::new(Arc::new(self.before.clone()));
            let targets: Vec<QualifiedName> = self.before.relations.keys().cloned().collect();
            let spelling = Spelling {
                stored: &stored,
                without_targets: &targets,
                ..Spelling::default()
            };
            self.rewrite(&child.name, &define::table(&before, child, spelling)?)?;
        }
        let mut writer = SqlWriter::new();
        writer.sql("DROP TABLE ").object(name);
        self.execute(writer.text())?;
        self.publication_without(name)
    }

    /// Gives the new column its default in every row, by the write path's own rules.
    fn fill(&self, table: &QualifiedName, column: &Ident, context: &Context<'_>) -> Result<()> {
        let relation = self.relation(table)?;
        let sequence = relation.column(column).and_then(|(_, column)| column.sequence.as_ref());
        if let Some(sequence) = sequence.and_then(|name| self.after.catalog().sequences.get(name)) {
            return self.number(table, column, sequence);
        }
        if let Some(sequence) = self.default_sequence(&relation, column)? {
            return self.number(table, column, &sequence);
        }
        if self.fill_directly(table, &relation, column, context)? {
            return Ok(());
        }
        let mut text = String::from("UPDATE ");
        text.push_str(&ddl::identifier(&table.schema));
        text.push('.');
        text.push_str(&ddl::identifier(&table.name));
        text.push_str(" SET ");
        text.push_str(&ddl::identifier(column));
        text.push_str(" = DEFAULT");
        // PostgreSQL writes the rows anew; to nobody's triggers is that an UPDATE.
        let mut catalog = Catalog::clone(self.after.catalog());
        if let Some(entry) = catalog.relations.get_mut(table) {
            Arc::make_mut(entry).triggers.clear();
        }
        let silent = Compiled::new(Arc::new(catalog));
        let session = Session::default();
        for statement in parse::parse(&text)? {
            let typed = Analyser::new(silent.catalog(), &session).statement(&statement.ast)?;
            write::run_statement(self.conn, &silent, &session.user, context, &typed)?;
        }
        Ok(())
    }

    /// The sequence of a default that is `nextval(…)` alone.
    fn default_sequence(&self, relation: &Arc<Relation>, column: &Ident) -> Result<Option<Arc<Sequence>>> {
        let Some((_, column)) = relation.column(column) else {
            return Ok(None);
        };
        let Some(text) = &column.default else { return Ok(None) };
        let bound = self.after.default(relation, text, &column.ty, column.modifier)?;
        let mut expr = &bound.expr;
        while let ExprKind::Cast { expr: inner, .. } = &expr.kind {
            expr = inner;
        }
        Ok(match &expr.kind {
            ExprKind::Sequence(call) => match &**call {
                SequenceCall::NextVal(sequence) => Some(Arc::clone(sequence)),
                _ => None,
            },
            _ => None,
        })
    }

    /// Gives every row a value of the sequence, in the rows' own order.
    fn number(&self, table: &QualifiedName, column: &Ident, sequence: &Sequence) -> Result<()> {
        let mut writer = SqlWriter::new();
        writer.sql("SELECT rowid FROM ").object(table).sql(" ORDER BY rowid");
        let mut statement = self.conn.prepare(writer.text()).map_err(broken)?;
        let rows = statement.query_map([], |row| row.get::<_, i64>(0)).map_err(broken)?;
        let rows: Vec<i64> = rows.collect::<rusqlite::Result<_>>().map_err(broken)?;
        let mut writer = SqlWriter::new();
        writer
            .sql("UPDATE ")
            .object(table)
            .sql(" SET ")
            .ident(column)
            .sql(" = ?2 WHERE rowid = ?1");
        let mut update = self.conn.prepare(writer.text()).map_err(broken)?;
        for row in rows {
            let value = write::sequences::next(self.conn, sequence)?;
            update.execute(params![row, value]).map_err(broken)?;
        }
        Ok(())
    }

    fn drop_column(&self, table: &QualifiedName, column: &Ident, context: &Context<'_>) -> Result<()> {
        let stored = self.stored(table)?;
        if stored
            .iter()
            .any(|entry| entry.name == column.as_str() && entry.is_row_id)
        {
            return self.rebuild(table, &[], context);
        }
        if !stored.iter().any(|entry| entry.name == column.as_str()) {
            // A copy of the rows for another change of the same statement has left it out.
            return Ok(());
        }
        // SQLite refuses to drop what a constraint names, so the definition without them comes first.
        self.sync_key_indexes(table)?;
        self.redefine(table, &stored)?;
        let mut writer = SqlWriter::new();
        writer
            .sql("ALTER TABLE ")
            .object(table)
            .sql(" DROP COLUMN ")
            .ident(column);
        self.execute(writer.text())
    }

    pub(super) fn redefine_or_rebuild(&self, table: &QualifiedName, context: &Context<'_>) -> Result<()> {
        let stored = self.stored(table)?;
        let relation = self.relation(table)?;
        let row_id = stored.iter().find(|column| column.is_row_id);
        let still_key = row_id.is_none_or(
            |column| matches!(relation.primary_key(), [only] if relation.columns[*only].name == *column.name.as_str()),
        );
        match still_key {
            true => self.redefine(table, &stored),
            // The row's own id was the key and is no more.
            false => self.rebuild(table, &[], context),
        }
    }

    pub(super) fn redefine(&self, table: &QualifiedName, stored: &[StoredColumn]) -> Result<()> {
        let relation = self.relation(table)?;
        let spelling = Spelling {
            stored,
            ..Spelling::default()
        };
        self.rewrite(table, &define::table(self.after, &relation, spelling)?)
    }

    /// Puts another definition of the same rows in place.
    pub(super) fn rewrite(&self, table: &QualifiedName, sql: &str) -> Result<()> {
        self.conn
            .set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, false)
            .map_err(broken)?;
        let done = self.rewrite_unguarded(table, sql);
        self.conn
            .set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)
            .map_err(broken)?;
        done.map_err(broken)
    }

    fn rewrite_unguarded(&self, table: &QualifiedName, sql: &str) -> rusqlite::Result<()> {
        let version: i64 = self.conn.query_row("PRAGMA schema_version", [], |row| row.get(0))?;
        self.conn.pragma_update(None, "writable_schema", "ON")?;
        let updated = self.conn.execute(
            "UPDATE sqlite_schema SET sql = ?2 WHERE type = 'table' AND name = ?1",
            params![physical_name(table).as_str(), sql],
        );
        // Other connections read the schema anew because of the number, this one because of RESET.
        self.conn.pragma_update(None, "schema_version", version + 1)?;
        self.conn.pragma_update(None, "writable_schema", "RESET")?;
        match updated? {
            1 => Ok(()),
            _ => Err(rusqlite::Error::QueryReturnedNoRows),
        }
    }

    pub(super) fn create_key(&self, table: &QualifiedName, constraint: &Ident) -> Result<()> {
        let relation = self.relation(table)?;
        let Some(ConstraintKind::PrimaryKey { columns } | ConstraintKind::Unique { columns }) =
            key_of(&relation, constraint)
        else {
            return Ok(());
        };
        if let [only] = columns.as_slice() {
            let name = relation.columns[*only].name.as_str();
            let is_row_id = self
                .stored(table)?
                .iter()
                .any(|column| column.is_row_id && column.name == name);
            let primary = matches!(key_of(&relation, constraint), Some(ConstraintKind::PrimaryKey { .. }));
            if is_row_id && primary {
                return Ok(());
            }
        }
        let mut writer = SqlWriter::new();
        writer
            .sql("DROP INDEX IF EXISTS ")
            .object(&define::beside(&relation, constraint));
        self.execute(writer.text())?;
        self.create_unique(
            &define::key(&relation, constraint, columns),
            &relation,
            constraint,
            Some(columns),
        )
    }

    pub(super) fn create_unique(
        &self,
        sql: &str,
        relation: &Relation,
        name: &Ident,
        columns: Option<&[usize]>,
    ) -> Result<()> {
        let Err(error) = self.conn.execute_batch(sql) else {
            return Ok(());
        };
        if error.to_string().contains("UNIQUE constraint failed") {
            return Err(faults::duplicate(self.conn, relation, name, columns).into());
        }
        Err(errors::refusal(self.after.catalog(), Some(relation), sql, &error))
    }

    fn rename_index(&self, table: &QualifiedName, from: &Ident, to: &Ident) -> Result<()> {
        let relation = self.relation(table)?;
        let mut writer = SqlWriter::new();
        writer
            .sql("DROP INDEX IF EXISTS ")
            .object(&define::beside(&relation, from));
        self.execute(writer.text())?;
        if let Some(index) = relation.indexes.iter().find(|index| index.name == *to) {
            if let Some(sql) = define::index(self.after, &relation, index)? {
                self.execute(&sql)?;
            }
            return Ok(());
        }
        self.create_key(table, to)
    }

    /// Makes and removes the indexes that foreign keys have by themselves.
    pub(super) fn sync_key_indexes(&self, table: &QualifiedName) -> Result<()> {
        let Some(relation) = self.after.catalog().relations.get(table) else {
            return Ok(());
        };
        if relation.kind != RelationKind::Table {
            return Ok(());
        }
        let wanted = define::key_indexes(relation);
        let mut statement = self
            .conn
            .prepare(
                "SELECT name FROM sqlite_schema WHERE type = 'index' AND tbl_name = ?1 AND substr(name, 1, ?2) = ?3",
            )
            .map_err(broken)?;
        let present = statement
            .query_map(
                params![
                    physical_name(table).as_str(),
                    KEY_INDEX_PREFIX.len() as i64,
                    KEY_INDEX_PREFIX
                ],
                |row| row.get::<_, String>(0),
            )
            .and_then(|rows| rows.collect::<rusqlite::Result<Vec<_>>>())
            .map_err(broken)?;
        drop(statement);
        for name in present
            .iter()
            .filter(|name| !wanted.iter().any(|(wanted, _)| wanted == *name))
        {
            let mut writer = SqlWriter::new();
            writer.sql("DROP INDEX ").ident(&Ident::new(name));
            self.execute(writer.text())?;
        }
        for (name, sql) in &wanted {
            if !present.contains(name) {
                self.execute(sql)?;
            }
        }
        Ok(())
    }

    /// Keeps the tables of a publication beside the catalog, for the change feed.
    fn publication(&self, name: &Ident, action: PublicationAction, tables: &[QualifiedName]) -> Result<()> {
        let mut listed = read_publication(self.conn, name)?;
        match action {
            PublicationAction::Create => {
                if listed.is_some() {
                    let message = format!("publication \"{name}\" already exists");
                    return Err(DatabaseError::new("42710", message).into());
                }
                listed = Some(tables.to_vec());
            }
            PublicationAction::Replace if listed.is_none() => return Err(no_publication(name)),
            PublicationAction::Replace => listed = Some(tables.to_vec()),
            PublicationAction::Add => {
                let Some(list) = &mut listed else {
                    return Err(no_publication(name));
                };
                for table in tables {
                    if list.contains(table) {
                        let message = format!(
                            "relation \"{}\" is already member of publication \"{name}\"",
                            table.name
                        );
                        return Err(DatabaseError::new("42710", message).into());
                    }
                    list.push(table.clone());
                }
            }
            PublicationAction::Remove => {
                let Some(list) = &mut listed else {
                    return Err(no_publication(name));
                };
                for table in tables {
                    let Some(position) = list.iter().position(|other| other == table) else {
                        let message = format!("relation \"{}\" is not part of the publication", table.name);
                        return Err(DatabaseError::new("42704", message).into());
                    };
                    list.remove(position);
                }
            }
        }
        write_publication(self.conn, name, &listed.unwrap_or_default())
    }

    fn publication_without(&self, table: &QualifiedName) -> Result<()> {
        let name = Ident::new(REALTIME);
        let Some(mut listed) = read_publication(self.conn, &name)? else {
            return Ok(());
        };
        if !listed.contains(table) {
            return Ok(());
        }
        listed.retain(|other| other != table);
        write_publication(self.conn, &name, &listed)
    }
}

/// A constraint `NOT VALID` that rows break is refused: PostgreSQL would take it and let those rows stand.
fn unless_not_valid(checked: Result<()>, not_valid: bool, constraint: &Ident) -> Result<()> {
    match checked {
        Err(BackendError::Refused(_)) if not_valid => {
            let feature = "NOT VALID while rows break the constraint";
            let way = Some("rows that keep it");
            Err(DatabaseError::unavailable(feature, constraint, 1, way).into())
        }
        checked => checked,
    }
}

/// The publication that realtime listens to.
const REALTIME: &str = "supabase_realtime";

/// The tables of a publication; `None` if there is none of that name.
pub fn read_publication(conn: &Connection, name: &Ident) -> Result<Option<Vec<QualifiedName>>> {
    let body: Option<String> = conn
        .query_row(
            "SELECT body FROM _ms_objects WHERE kind = 'publication' AND name = ?1",
            [name.as_str()],
            |row| row.get(0),
        )
        .optional()
        .map_err(broken)?;
    match body {
        None => Ok(None),
        Some(body) => serde_json::from_str(&body)
            .map(Some)
            .map_err(|error| BackendError::Internal(format!("publication {name} cannot be read: {error}"))),
    }
}

/// Makes realtime's publication, without tables, unless it is there.
pub fn ensure_publication(conn: &Connection) -> Result<()> {
    let name = Ident::new(REALTIME);
    match read_publication(conn, &name)? {
        Some(_) => Ok(()),
        None => write_publication(conn, &name, &[]),
    }
}

/// Errors: 42704.
fn drop_publication(conn: &Connection, name: &Ident, if_exists: bool) -> Result<()> {
    let gone = conn
        .execute(
            "DELETE FROM _ms_objects WHERE kind = 'publication' AND name = ?1",
            [name.as_str()],
        )
        .map_err(broken)?;
    if gone == 0 && !if_exists {
        return Err(no_publication(name));
    }
    Ok(())
}

fn no_publication(name: &Ident) -> BackendError {
    DatabaseError::new("42704", format!("publication \"{name}\" does not exist")).into()
}

/// Every publication with its tables.
pub fn publications(conn: &Connection) -> Result<Vec<(Ident, Vec<QualifiedName>)>> {
    let mut statement = conn
        .prepare("SELECT name FROM _ms_objects WHERE kind = 'publication' ORDER BY name")
        .map_err(broken)?;
    let names: rusqlite::Result<Vec<String>> = statement.query_map([], |row| row.get(0)).and_then(Iterator::collect);
    names
        .map_err(broken)?
        .into_iter()
        .map(Ident::from)
        .map(|name| Ok((name.clone(), read_publication(conn, &name)?.unwrap_or_default())))
        .collect()
}

fn write_publication(conn: &Connection, name: &Ident, tables: &[QualifiedName]) -> Result<()> {
    let body = serde_json::to_string(tables)
        .map_err(|error| BackendError::Internal(format!("publication {name} cannot be stored: {error}")))?;
    conn.execute(
        "INSERT INTO _ms_objects (kind, name, body) VALUES ('publication', ?1, ?2)
         ON CONFLICT (kind, name) DO UPDATE SET body = excluded.body",
        params![name.as_str(), body],
    )
    .map(drop)
    .map_err(broken)
}

pub(super) fn refers_to(relation: &Relation, target: &QualifiedName) -> bool {
    relation
        .constraints
        .iter()
        .any(|constraint| matches!(&constraint.kind, ConstraintKind::ForeignKey(key) if key.target == *target))
}

fn key_of<'a>(relation: &'a Relation, constraint: &Ident) -> Option<&'a ConstraintKind> {
    relation
        .constraints
        .iter()
        .find(|entry| entry.name == *constraint)
        .map(|entry| &entry.kind)
}

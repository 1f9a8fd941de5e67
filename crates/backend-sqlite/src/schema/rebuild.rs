//! Changes that copy or rewrite the rows of a table.
//!
//! Lives here: the copy into a table of another shape, new types of columns, another schema's name, new labels of an
//! enum, emptying tables. Not here: changes of a definition alone (`carry_out`).
//! Invariant: while rows are copied, no foreign key acts on them: other tables' keys to the table are out of their
//! definitions, and back afterwards (`portability.md` §10, "the rebuild, and its trap").

use std::sync::Arc;

use mainstay_core::backend::Progress;
use mainstay_core::catalog::{ConstraintKind, IndexPart, Relation, RelationKind};
use mainstay_core::error::{BackendError, DatabaseError};
use mainstay_core::name::{Ident, QualifiedName};
use mainstay_core::types::Type;
use mainstay_sql::ddl::Retyped;
use mainstay_sql::typed::BoundExpression;
use rusqlite::params;

use super::carry_out::{Work, refers_to};
use super::define::{self, Spelling};
use super::store::broken;
use super::{documents, faults};
use crate::connection::register_collations;
use crate::emit::binds::{Bind, BindError, Sources, bind_all};
use crate::emit::compiled::Compiled;
use crate::emit::context::Context;
use crate::emit::emitter::Scope;
use crate::emit::writer::SqlWriter;
use crate::emit::{Emitter, Rte};
use crate::errors;

type Result<T> = std::result::Result<T, BackendError>;

/// The name of a table while its rows are copied.
const COPY: &str = "_ms_copy";
/// Rows copied by one statement; progress is told after each.
const CHUNK_ROWS: i64 = 20_000;

impl Work<'_> {
    /// Copies the rows into a table of the new shape; columns in `retyped` get the values of their expressions.
    pub(super) fn rebuild(&self, table: &QualifiedName, retyped: &[Retyped], context: &Context<'_>) -> Result<()> {
        let relation = self.relation(table)?;
        if let Some(before) = self.before.relations.get(table) {
            documents::discard(self.conn, before)?;
        }
        let itself = std::slice::from_ref(table);
        // Its foreign keys are checked apart, and keys to itself would point to the copy's name.
        let targets: Vec<QualifiedName> = relation
            .constraints
            .iter()
            .filter_map(|constraint| match &constraint.kind {
                ConstraintKind::ForeignKey(key) => Some(key.target.clone()),
                _ => None,
            })
            .collect();
        let plain = Spelling {
            called: Some(COPY),
            without_targets: &targets,
            ..Spelling::default()
        };
        self.execute(&define::table(self.after, &relation, plain)?)?;
        self.copy_rows(table, &relation, retyped, context)?;
        let children: Vec<Arc<Relation>> = self
            .after
            .catalog()
            .relations
            .values()
            .filter(|other| other.kind == RelationKind::Table && other.name != *table && refers_to(other, table))
            .cloned()
            .collect();
        for child in &children {
            self.redefine_without(child, itself)?;
        }
        if let Some(source) = self
            .before
            .relations
            .get(table)
            .filter(|source| refers_to(source, table))
        {
            // Dropping deletes the rows first, and keys of the table to itself would act on that.
            let stored = self.stored(table)?;
            let spelling = Spelling {
                stored: &stored,
                without_targets: itself,
                ..Spelling::default()
            };
            let before = Compiled::new(Arc::new(self.before.clone()));
            self.rewrite(table, &define::table(&before, source, spelling)?)?;
        }
        let mut writer = SqlWriter::new();
        writer.sql("DROP TABLE ").object(table);
        self.execute(writer.text())?;
        let mut writer = SqlWriter::new();
        writer
            .sql("ALTER TABLE ")
            .ident(&Ident::new(COPY))
            .sql(" RENAME TO ")
            .object(table);
        self.execute(writer.text())?;
        self.create_keys_and_indexes(table, &relation)?;
        for child in &children {
            let stored = self.stored(&child.name)?;
            self.redefine(&child.name, &stored)?;
        }
        let stored = self.stored(table)?;
        self.redefine(table, &stored)?;
        self.sync_key_indexes(table)
    }

    fn create_keys_and_indexes(&self, table: &QualifiedName, relation: &Arc<Relation>) -> Result<()> {
        for constraint in &relation.constraints {
            if matches!(
                constraint.kind,
                ConstraintKind::PrimaryKey { .. } | ConstraintKind::Unique { .. }
            ) {
                self.create_key(table, &constraint.name)?;
            }
        }
        for index in &relation.indexes {
            if let Some(sql) = define::index(self.after, relation, index)? {
                let columns: Option<Vec<usize>> = index
                    .keys
                    .iter()
                    .map(|key| match key.part {
                        IndexPart::Column(column) => Some(column),
                        IndexPart::Expression(_) => None,
                    })
                    .collect();
                self.create_unique(&sql, relation, &index.name, columns.as_deref())?;
            }
        }
        Ok(())
    }

    fn redefine_without(&self, relation: &Arc<Relation>, targets: &[QualifiedName]) -> Result<()> {
        let stored = self.stored(&relation.name)?;
        let spelling = Spelling {
            stored: &stored,
            without_targets: targets,
            ..Spelling::default()
        };
        self.rewrite(&relation.name, &define::table(self.after, relation, spelling)?)
    }

    /// Errors: those of the expressions; 23502 and 23514 for rows that the new definition does not allow.
    fn copy_rows(
        &self,
        table: &QualifiedName,
        relation: &Arc<Relation>,
        retyped: &[Retyped],
        context: &Context<'_>,
    ) -> Result<()> {
        let stored = self.stored(table)?;
        let kept: Vec<&Ident> = relation
            .columns
            .iter()
            .filter(|column| column.generated.is_none())
            .filter(|column| stored.iter().any(|entry| entry.name == column.name.as_str()))
            .map(|column| &column.name)
            .collect();
        let before = Compiled::new(Arc::new(self.before.clone()));
        let source = self.before.relations.get(table).unwrap_or(relation);
        let row_id = define::row_id(relation);
        let mut emitter = Emitter::new(&before, &source.owner);
        let writer = emitter.writer();
        writer.sql("INSERT INTO ").ident(&Ident::new(COPY)).sql(" (");
        writer.list(", ", &kept, |writer, column| {
            writer.ident(column);
        });
        writer.sql(") SELECT ");
        for (index, column) in kept.iter().enumerate() {
            if index > 0 {
                emitter.writer().sql(", ");
            }
            let change = retyped.iter().find(|change| change.column == **column);
            match (change, relation.column(column)) {
                (Some(change), Some((position, column))) => {
                    let bound = before.generated(source, &change.using, &column.ty, column.modifier)?;
                    if row_id == Some(position) {
                        // SQLite would invent an id for a null.
                        self.check_values(&before, source, &bound, context, || {
                            faults::null_values(relation, &column.name)
                        })?;
                    }
                    let row = Rte::Bare {
                        relation: Arc::clone(source),
                    };
                    emitter.fragment(Scope::of(bound.rte, row), |emitter| emitter.expr(&bound.expr))?;
                }
                _ => drop(emitter.writer().ident(column)),
            }
        }
        emitter.writer().sql(" FROM ").object(table).sql(" WHERE rowid >= ");
        let (head, binds) = emitter.finish();
        self.in_chunks(table, |low, high| {
            let mut writer = SqlWriter::new();
            writer.number(low).sql(" AND rowid <= ").number(high);
            let mut sql = head.clone();
            sql.push_str(writer.text());
            self.run_bound(&sql, &binds, context)
                .map_err(|failure| self.of_copy(failure, relation, source, &sql))
        })
    }

    /// Errors: `fault` if the expression is null for a row.
    fn check_values(
        &self,
        before: &Compiled,
        source: &Arc<Relation>,
        bound: &BoundExpression,
        context: &Context<'_>,
        fault: impl FnOnce() -> DatabaseError,
    ) -> Result<()> {
        let mut emitter = Emitter::new(before, &source.owner);
        emitter
            .writer()
            .sql("SELECT 1 FROM ")
            .object(&source.name)
            .sql(" WHERE (");
        let row = Rte::Bare {
            relation: Arc::clone(source),
        };
        emitter.fragment(Scope::of(bound.rte, row), |emitter| emitter.expr(&bound.expr))?;
        emitter.writer().sql(") IS NULL LIMIT 1");
        let (sql, binds) = emitter.finish();
        let found = (|| -> std::result::Result<bool, BindError> {
            let mut statement = self.conn.prepare(&sql)?;
            bind_all(&mut statement, &binds, &Sources::of_request(context, &[]))?;
            Ok(statement.raw_query().next()?.is_some())
        })();
        match found {
            Ok(false) => Ok(()),
            Ok(true) => Err(fault().into()),
            Err(failure) => Err(self.of_copy(failure, source, source, &sql)),
        }
    }

    /// Calls `step` for one range of row ids after the other and tells how far it has come.
    fn in_chunks(&self, table: &QualifiedName, mut step: impl FnMut(i64, i64) -> Result<()>) -> Result<()> {
        let mut writer = SqlWriter::new();
        writer.sql("SELECT count(*) FROM ").object(table);
        let total: i64 = self
            .conn
            .query_row(writer.text(), [], |row| row.get(0))
            .map_err(broken)?;
        let mut writer = SqlWriter::new();
        writer
            .sql("SELECT max(r), count(*) FROM (SELECT rowid AS r FROM ")
            .object(table)
            .sql(" WHERE rowid >= ?1 ORDER BY rowid LIMIT ?2)");
        let mut next = self.conn.prepare(writer.text()).map_err(broken)?;
        let mut low = i64::MIN;
        let mut done = 0_i64;
        loop {
            let (high, count): (Option<i64>, i64) = next
                .query_row(params![low, CHUNK_ROWS], |row| Ok((row.get(0)?, row.get(1)?)))
                .map_err(broken)?;
            let Some(high) = high else { return Ok(()) };
            step(low, high)?;
            done += count;
            if let Some(watch) = self.watch {
                watch(&Progress {
                    table: table.clone(),
                    done: done.unsigned_abs(),
                    total: total.unsigned_abs(),
                });
            }
            match high.checked_add(1) {
                Some(next) => low = next,
                None => return Ok(()),
            }
        }
    }

    /// Gives a new column its default in every row, past everything that an UPDATE would set off; false if the default
    /// is none that SQLite computes by itself.
    pub(super) fn fill_directly(
        &self,
        table: &QualifiedName,
        relation: &Arc<Relation>,
        column: &Ident,
        context: &Context<'_>,
    ) -> Result<bool> {
        let Some((_, column)) = relation.column(column) else {
            return Ok(true);
        };
        let Some(text) = &column.default else { return Ok(false) };
        let bound = self.after.default(relation, text, &column.ty, column.modifier)?;
        let mut emitter = Emitter::new(self.after, &relation.owner);
        emitter
            .writer()
            .sql("UPDATE ")
            .object(table)
            .sql(" SET ")
            .ident(&column.name)
            .sql(" = ");
        let written = emitter.fragment(Scope::default(), |emitter| emitter.expr(&bound.expr));
        if written.is_err() {
            return Ok(false);
        }
        emitter.writer().sql(" WHERE rowid >= ");
        let (head, binds) = emitter.finish();
        self.in_chunks(table, |low, high| {
            let mut writer = SqlWriter::new();
            writer.number(low).sql(" AND rowid <= ").number(high);
            let mut sql = head.clone();
            sql.push_str(writer.text());
            self.run_bound(&sql, &binds, context)
                .map_err(|failure| self.of_copy(failure, relation, relation, &sql))
        })?;
        Ok(true)
    }

    fn run_bound(&self, sql: &str, binds: &[Bind], context: &Context<'_>) -> std::result::Result<(), BindError> {
        let mut statement = self.conn.prepare(sql)?;
        bind_all(&mut statement, binds, &Sources::of_request(context, &[]))?;
        statement.raw_execute()?;
        Ok(())
    }

    /// A row that the new definition does not allow, in the words of `ALTER TABLE`.
    fn of_copy(&self, failure: BindError, relation: &Arc<Relation>, source: &Arc<Relation>, sql: &str) -> BackendError {
        let error = match failure {
            BindError::Engine(error) => error,
            BindError::Refused(error) => return BackendError::Refused(error),
            BindError::Bug(text) => return BackendError::Internal(text.to_owned()),
        };
        let text = error.to_string();
        let named = |start: &str| text.split_once(start).map(|(_, name)| name.trim().to_owned());
        if let Some(column) = named("NOT NULL constraint failed: _ms_copy.") {
            return faults::null_values(relation, &Ident::new(&column)).into();
        }
        if let Some(name) = named("CHECK constraint failed: ") {
            let name = Ident::new(&name);
            if relation.constraints.iter().any(|constraint| constraint.name == name) {
                return faults::violated_check(relation, &name).into();
            }
        }
        errors::refusal(self.before, Some(source), sql, &error)
    }

    pub(super) fn retype(&self, table: &QualifiedName, columns: &[Retyped], context: &Context<'_>) -> Result<()> {
        if !columns.iter().all(|change| change.keeps_values) {
            return self.rebuild(table, columns, context);
        }
        self.redefine_or_rebuild(table, context)?;
        // What an index computes of the column may be computed otherwise for the new type.
        let relation = self.relation(table)?;
        for index in &relation.indexes {
            let computes = index.predicate.is_some()
                || index
                    .keys
                    .iter()
                    .any(|key| matches!(key.part, IndexPart::Expression(_)));
            if !computes {
                continue;
            }
            let mut writer = SqlWriter::new();
            writer
                .sql("DROP INDEX IF EXISTS ")
                .object(&define::beside(&relation, &index.name));
            self.execute(writer.text())?;
            if let Some(sql) = define::index(self.after, &relation, index)? {
                self.create_unique(&sql, &relation, &index.name, None)?;
            }
        }
        Ok(())
    }

    /// Gives the table its name in the other schema, and its indexes theirs.
    pub(super) fn move_table(&self, from: &QualifiedName, to: &QualifiedName) -> Result<()> {
        let relation = self.relation(to)?;
        let mut writer = SqlWriter::new();
        writer.sql("ALTER TABLE ").object(from).sql(" RENAME TO ").object(to);
        self.execute(writer.text())?;
        let keys = relation.constraints.iter().map(|constraint| &constraint.name);
        for name in keys.chain(relation.indexes.iter().map(|index| &index.name)) {
            let mut writer = SqlWriter::new();
            writer
                .sql("DROP INDEX IF EXISTS ")
                .object(&QualifiedName::new(from.schema.clone(), name.clone()));
            self.execute(writer.text())?;
        }
        self.create_keys_and_indexes(to, &relation)
    }

    /// Empties tables whatever their keys say: all that refers to them is among them.
    pub(super) fn truncate(&self, tables: &[QualifiedName]) -> Result<()> {
        let mut relations = Vec::new();
        for table in tables {
            relations.push(self.relation(table)?);
        }
        let bound = relations
            .iter()
            .filter(|relation| tables.iter().any(|table| refers_to(relation, table)));
        let bound: Vec<&Arc<Relation>> = bound.collect();
        for relation in &bound {
            self.redefine_without(relation, tables)?;
        }
        for table in tables {
            let mut writer = SqlWriter::new();
            writer.sql("DELETE FROM ").object(table);
            self.execute(writer.text())?;
        }
        for relation in &bound {
            let stored = self.stored(&relation.name)?;
            self.redefine(&relation.name, &stored)?;
        }
        Ok(())
    }

    /// The type's labels are others: rows that have one that was renamed get its new name, checks list the new ones.
    /// Indexes stay: they compare labels as texts (see `define`), and no two labels change places.
    pub(super) fn relabel_enum(
        &self,
        name: &QualifiedName,
        renamed: Option<&(String, String)>,
        context: &Context<'_>,
    ) -> Result<()> {
        register_collations(self.conn, self.after.catalog()).map_err(broken)?;
        let mut users: Vec<Arc<Relation>> = self
            .after
            .catalog()
            .relations
            .values()
            .filter(|relation| relation.kind == RelationKind::Table)
            .filter(|relation| relation.columns.iter().any(|column| holds(&column.ty, name)))
            .cloned()
            .collect();
        users.sort_by_key(|relation| relation.id);
        let tables: Vec<QualifiedName> = users.iter().map(|relation| relation.name.clone()).collect();
        if let Some((from, to)) = renamed {
            for relation in &users {
                self.redefine_without(relation, &tables)?;
            }
            for relation in &users {
                self.relabel_rows(relation, name, from, to)?;
            }
        }
        for relation in &users {
            let computed = relation
                .columns
                .iter()
                .any(|column| column.generated.is_some() && holds(&column.ty, name));
            match computed && renamed.is_some() {
                true => self.rebuild(&relation.name, &[], context)?,
                false => {
                    let stored = self.stored(&relation.name)?;
                    self.redefine(&relation.name, &stored)?;
                }
            }
        }
        Ok(())
    }

    fn relabel_rows(&self, relation: &Arc<Relation>, name: &QualifiedName, from: &str, to: &str) -> Result<()> {
        for column in relation.columns.iter().filter(|column| column.generated.is_none()) {
            let in_list = matches!(column.ty.base(), Type::Array(element) if holds(element, name));
            if !in_list && !holds(&column.ty, name) {
                continue;
            }
            let mut writer = SqlWriter::new();
            writer
                .sql("UPDATE ")
                .object(&relation.name)
                .sql(" SET ")
                .ident(&column.name);
            if in_list {
                writer
                    .sql(" = (SELECT json_group_array(CASE WHEN value = ?1 THEN ?2 ELSE value END) FROM json_each(")
                    .ident(&column.name)
                    .sql(")) WHERE ?1 IN (SELECT value FROM json_each(")
                    .ident(&column.name)
                    .sql("))");
            } else {
                writer.sql(" = ?2 WHERE ").ident(&column.name).sql(" = ?1");
            }
            self.conn
                .execute(writer.text(), [from, to])
                .map_err(|error| errors::refusal(self.after.catalog(), Some(relation), writer.text(), &error))?;
        }
        Ok(())
    }
}

/// True if values of a type are labels of the enum, or lists of them.
fn holds(ty: &Type, name: &QualifiedName) -> bool {
    match ty.base() {
        Type::Enum(own) => own == name,
        Type::Array(element) => holds(element, name),
        _ => false,
    }
}

//! Writes: `INSERT`, `UPDATE`, `DELETE`, with the representation of what they touched in the same statement.

use std::collections::BTreeSet;

use mainstay_core::catalog::{ColumnIndex, Relation, RelationshipKind, RepresentationKind};
use mainstay_core::error::BackendError;
use mainstay_core::plan::{
    Base, Conflict, ConflictAction, Delete, Field, GroupValue, Insert, Missing, OrderTarget, Output, Predicate, Read,
    Returning, Update,
};

use super::read::{KEPT_ROW, Scope};
use super::sql::{Alias, Param, Sql};
use super::{Renderer, ResultKind, Variant, part, wire_formats};
use crate::decode::Shape;

type Result<T> = std::result::Result<T, BackendError>;

/// Adds one to the setting that counts new rows; always true. Statement triggers and row counts cannot tell an upsert's
/// inserted rows from its updated ones, and `xmax` does not exist on views and partitioned tables.
const COUNT_UP: &str = "pg_catalog.set_config('mainstay.inserted', (coalesce(nullif(pg_catalog.current_setting('mainstay.inserted', true), '')::pg_catalog.int4, 0) + 1)::pg_catalog.text, true) IS NOT NULL";
const COUNT_DOWN: &str = "pg_catalog.set_config('mainstay.inserted', (coalesce(nullif(pg_catalog.current_setting('mainstay.inserted', true), '')::pg_catalog.int4, 0) - 1)::pg_catalog.text, true) IS NOT NULL";

impl Renderer {
    pub(super) fn insert_statement(&mut self, insert: &Insert) -> Result<Variant> {
        let relation = &insert.source.relation;
        let target = self.alias('w');
        let body = self.alias('b');
        let merges = insert
            .conflict
            .as_ref()
            .is_some_and(|conflict| conflict.action == ConflictAction::Merge);

        let mut sql = Sql::default();
        sql.push("INSERT INTO ")
            .name(&relation.name)
            .push(" AS ")
            .alias(&target);
        if !insert.columns.is_empty() {
            sql.push("(");
            self.column_list(&mut sql, relation, &insert.columns, None)?;
            sql.push(")");
        }
        sql.push(" SELECT ");
        self.column_list(&mut sql, relation, &insert.columns, Some(&body))?;
        sql.push(" FROM ");
        self.body(&mut sql, relation, &insert.columns, insert.missing, &body)?;
        let mut word = " WHERE ";
        for (column, value) in &insert.must_match {
            let column = column_at(relation, *column)?;
            sql.push(word).column(&body, &column.name).push(" = ");
            self.operand(&mut sql, &column.ty, Param::Value(*value));
            word = " AND ";
        }
        if merges {
            sql.push(word).push(COUNT_UP);
        }
        if let Some(conflict) = &insert.conflict {
            self.on_conflict(&mut sql, relation, conflict, &insert.columns)?;
        }
        self.returning(sql, relation, &target, &insert.returning)
    }

    pub(super) fn update_statement(&mut self, update: &Update) -> Result<Variant> {
        let relation = &update.source.relation;
        if update.columns.is_empty() {
            return self.untouched(relation, &update.returning);
        }
        let target = self.alias('w');
        let body = self.alias('b');
        let mut sql = Sql::default();
        sql.push("UPDATE ")
            .name(&relation.name)
            .push(" AS ")
            .alias(&target)
            .push(" SET ");
        for (index, column) in update.columns.iter().enumerate() {
            let name = &column_at(relation, *column)?.name;
            sql.push(if index > 0 { ", " } else { "" })
                .ident(name)
                .push(" = ")
                .column(&body, name);
        }
        sql.push(" FROM (SELECT * FROM ");
        let inner = self.alias('b');
        self.body(&mut sql, relation, &update.columns, update.missing, &inner)?;
        sql.push(" LIMIT 1) AS ").alias(&body);
        self.write_filter(&mut sql, relation, &target, update.filter.as_ref(), &update.source)?;
        self.returning(sql, relation, &target, &update.returning)
    }

    pub(super) fn delete_statement(&mut self, delete: &Delete) -> Result<Variant> {
        let relation = &delete.source.relation;
        let target = self.alias('w');
        let mut sql = Sql::default();
        sql.push("DELETE FROM ")
            .name(&relation.name)
            .push(" AS ")
            .alias(&target);
        self.write_filter(&mut sql, relation, &target, delete.filter.as_ref(), &delete.source)?;
        self.returning(sql, relation, &target, &delete.returning)
    }

    fn write_filter(
        &mut self,
        sql: &mut Sql,
        relation: &Relation,
        target: &Alias,
        filter: Option<&Predicate>,
        source: &mainstay_core::plan::Source,
    ) -> Result<()> {
        let Some(filter) = filter else { return Ok(()) };
        debug_assert_eq!(relation.name, source.relation.name);
        // A read that stands for the target: only its relation matters to conditions on columns.
        let read = bare_read(source.clone());
        sql.push(" WHERE ");
        self.predicate(
            sql,
            Scope {
                alias: target,
                read: &read,
            },
            filter,
        )
    }

    /// The payload's rows under `alias`, one column per entry of `columns`.
    fn body(
        &mut self,
        sql: &mut Sql,
        relation: &Relation,
        columns: &[ColumnIndex],
        missing: Missing,
        alias: &Alias,
    ) -> Result<()> {
        if columns.is_empty() {
            sql.push("pg_catalog.json_array_elements(")
                .bind(Param::Payload)
                .push("::pg_catalog.json) AS ")
                .alias(alias);
            return Ok(());
        }
        if missing == Missing::Null && self.reads_by_functions(relation, columns) {
            let record = self.alias('v');
            sql.push("(SELECT ");
            for (index, column) in columns.iter().enumerate() {
                let column = column_at(relation, *column)?;
                sql.push(if index > 0 { ", " } else { "" });
                self.read_member(sql, &record, column);
                sql.push(" AS ").ident(&column.name);
            }
            sql.push(" FROM pg_catalog.json_to_recordset(")
                .bind(Param::Payload)
                .push("::pg_catalog.json) AS ")
                .alias(&record);
            self.record_columns(sql, relation, columns)?;
            sql.push(") AS ").alias(alias);
            return Ok(());
        }
        if missing == Missing::Null {
            sql.push("pg_catalog.json_to_recordset(")
                .bind(Param::Payload)
                .push("::pg_catalog.json) AS ")
                .alias(alias);
            return self.record_columns(sql, relation, columns);
        }
        // A member that is absent takes the column's default; one that is null stays null.
        let (element, record) = (self.alias('e'), self.alias('v'));
        sql.push("(SELECT ");
        for (index, column) in columns.iter().enumerate() {
            let column = column_at(relation, *column)?;
            sql.push(if index > 0 { ", " } else { "" });
            let default = default_text(column);
            match default {
                Some(text) => {
                    sql.push("CASE WHEN (")
                        .alias(&element)
                        .push(".value->")
                        .bind(Param::Constant(column.name.to_string()));
                    sql.push("::pg_catalog.text) IS NULL THEN (")
                        .catalog_text(&text)
                        .push(")::")
                        .type_name(&column.ty);
                    sql.push(" ELSE ");
                    self.read_member(sql, &record, column);
                    sql.push(" END AS ").ident(&column.name);
                }
                None => {
                    self.read_member(sql, &record, column);
                    sql.push(" AS ").ident(&column.name);
                }
            }
        }
        sql.push(" FROM pg_catalog.json_array_elements(")
            .bind(Param::Payload)
            .push("::pg_catalog.json) AS ");
        sql.alias(&element)
            .push("(value), pg_catalog.json_to_record(")
            .alias(&element)
            .push(".value) AS ")
            .alias(&record);
        self.record_columns(sql, relation, columns)?;
        sql.push(") AS ").alias(alias);
        Ok(())
    }

    /// `("a" type, …)`. Without modifiers: the assignment applies them and gives the table's own errors.
    fn record_columns(&mut self, sql: &mut Sql, relation: &Relation, columns: &[ColumnIndex]) -> Result<()> {
        sql.push("(");
        for (index, column) in columns.iter().enumerate() {
            let column = column_at(relation, *column)?;
            sql.push(if index > 0 { ", " } else { "" })
                .ident(&column.name)
                .push(" ");
            match self.represented(&column.ty, RepresentationKind::FromJson) {
                Some(_) => sql.push("pg_catalog.json"),
                None => sql.type_name(&column.ty),
            };
        }
        sql.push(")");
        Ok(())
    }

    /// A member of the payload's record as a value of the column.
    fn read_member(&self, sql: &mut Sql, record: &Alias, column: &mainstay_core::catalog::Column) {
        let mut value = Sql::default();
        value.column(record, &column.name);
        match self.represented(&column.ty, RepresentationKind::FromJson) {
            Some(function) => sql.append(super::domains::call(&function, value)),
            None => sql.append(value),
        };
    }

    fn on_conflict(
        &mut self,
        sql: &mut Sql,
        relation: &Relation,
        conflict: &Conflict,
        columns: &[ColumnIndex],
    ) -> Result<()> {
        if conflict.columns.is_empty() {
            return Ok(());
        }
        sql.push(" ON CONFLICT (");
        self.column_list(sql, relation, &conflict.columns, None)?;
        sql.push(")");
        if conflict.action == ConflictAction::Ignore || columns.is_empty() {
            sql.push(" DO NOTHING");
            return Ok(());
        }
        sql.push(" DO UPDATE SET ");
        for (index, column) in columns.iter().enumerate() {
            let name = &column_at(relation, *column)?.name;
            sql.push(if index > 0 { ", " } else { "" })
                .ident(name)
                .push(" = EXCLUDED.")
                .ident(name);
        }
        sql.push(" WHERE ").push(COUNT_DOWN);
        Ok(())
    }

    fn column_list(
        &mut self,
        sql: &mut Sql,
        relation: &Relation,
        columns: &[ColumnIndex],
        alias: Option<&Alias>,
    ) -> Result<()> {
        for (index, column) in columns.iter().enumerate() {
            let name = &column_at(relation, *column)?.name;
            sql.push(if index > 0 { ", " } else { "" });
            match alias {
                Some(alias) => sql.column(alias, name),
                None => sql.ident(name),
            };
        }
        Ok(())
    }

    /// Wraps a write so that it gives back what the request asked for; as it stands if nothing was.
    fn returning(
        &mut self,
        mut write: Sql,
        relation: &Relation,
        target: &Alias,
        returning: &Returning,
    ) -> Result<Variant> {
        if returning.read.is_none() && returning.location.is_empty() {
            return Ok(tag_only(part(write)?));
        }
        let mut needed: BTreeSet<ColumnIndex> = returning.location.iter().copied().collect();
        if let Some(read) = &returning.read {
            needed_columns(read, relation, &mut needed);
        }
        // Only the columns asked for: the role may not be allowed to read the others.
        write.push(" RETURNING ");
        let columns: Vec<ColumnIndex> = needed.into_iter().collect();
        if columns.is_empty() {
            write.push("1");
        }
        self.column_list(&mut write, relation, &columns, Some(target))?;
        let keeps_row = returning.read.as_ref().is_some_and(calls_routines);
        if keeps_row {
            write.push(", ").alias(target).push(" AS ").push(KEPT_ROW);
        }

        let mut sql = Sql::default();
        sql.push("WITH written AS (").append(write).push(") ");
        let mut from = Sql::default();
        let alias = self.alias('t');
        from.push("written AS ").alias(&alias);
        if keeps_row {
            self.kept_row = Some(alias.clone());
        }
        self.representation(sql, relation, &alias, from, returning)
    }

    /// `SELECT <outputs>, <location> FROM <from>`.
    fn representation(
        &mut self,
        mut sql: Sql,
        relation: &Relation,
        alias: &Alias,
        from: Sql,
        returning: &Returning,
    ) -> Result<Variant> {
        if let (Some(handler), Some(read)) = (self.handler.clone(), &returning.read) {
            return self.document_of_rows(sql, Scope { alias, read }, from, &handler);
        }
        let mut location = Sql::default();
        let mut names = Vec::new();
        for column in &returning.location {
            let name = &column_at(relation, *column)?.name;
            location.push(if names.is_empty() { "" } else { ", " });
            location
                .push("(pg_catalog.to_json(")
                .column(alias, name)
                .push(") #>> '{}')");
            names.push(name.clone());
        }
        let shape = match &returning.read {
            Some(read) => self.select(&mut sql, Scope { alias, read }, from, location)?,
            None => {
                sql.push("SELECT ").append(location).push(" FROM ").append(from);
                Shape::default()
            }
        };
        let (formats, expected_oids) = wire_formats(&shape, self.format, names.len());
        Ok(Variant {
            main: part(sql)?,
            count: None,
            explain: None,
            result: ResultKind::Rows(shape),
            formats,
            location: names,
            keys_shown: 0,
            expected_oids,
        })
    }

    /// An update that sets nothing touches nothing.
    fn untouched(&mut self, relation: &Relation, returning: &Returning) -> Result<Variant> {
        let mut from = Sql::default();
        let alias = self.alias('t');
        from.push("(SELECT * FROM ")
            .name(&relation.name)
            .push(" LIMIT 0) AS ")
            .alias(&alias);
        if returning.read.is_none() {
            let mut sql = Sql::default();
            sql.push("SELECT FROM ").append(from);
            return Ok(tag_only(part(sql)?));
        }
        let without_location = Returning {
            read: returning.read.clone(),
            location: Vec::new(),
        };
        self.representation(Sql::default(), relation, &alias, from, &without_location)
    }
}

fn tag_only(main: super::Part) -> Variant {
    Variant {
        main,
        count: None,
        explain: None,
        result: ResultKind::Tag,
        formats: Vec::new(),
        location: Vec::new(),
        keys_shown: 0,
        expected_oids: Vec::new(),
    }
}

fn bare_read(source: mainstay_core::plan::Source) -> Read {
    Read {
        source,
        output: Vec::new(),
        embeds: Vec::new(),
        filter: None,
        order: Vec::new(),
        limit: None,
        offset: None,
        count: mainstay_core::plan::Count::None,
        grouping: None,
        paging: None,
    }
}

fn column_at(relation: &Relation, index: ColumnIndex) -> Result<&mainstay_core::catalog::Column> {
    let missing = || BackendError::Internal(format!("no column {index} in {}", relation.name));
    relation.columns.get(index).ok_or_else(missing)
}

/// The expression that gives a column its default; `None`: null.
fn default_text(column: &mainstay_core::catalog::Column) -> Option<String> {
    if let Some(text) = &column.default {
        return Some(text.clone());
    }
    let sequence = column.sequence.as_ref().filter(|_| column.identity.is_some())?;
    let name = format!(
        "{}.{}",
        super::sql::quoted(&sequence.schema),
        super::sql::quoted(&sequence.name)
    );
    Some(format!(
        "pg_catalog.nextval({}::pg_catalog.regclass)",
        super::sql::literal(&name)
    ))
}

/// The columns of the read's own relation that it looks at, also for joining its embeds.
pub(super) fn needed_columns(read: &Read, relation: &Relation, needed: &mut BTreeSet<ColumnIndex>) {
    for output in &read.output {
        if let Output::Column { field, .. } = output {
            needed.extend(field.base.column());
        }
    }
    let members = read.grouping.iter().flat_map(|grouping| &grouping.members);
    for member in members.filter(|member| member.path.is_empty()) {
        match &member.value {
            GroupValue::Field { field, .. } => needed.extend(field.base.column()),
            GroupValue::Aggregate(aggregate) => {
                needed.extend(aggregate.over.iter().filter_map(|(field, _)| field.base.column()));
            }
            GroupValue::Embed(_) => {}
        }
    }
    for order in &read.order {
        if let OrderTarget::Field(field) = &order.target {
            needed.extend(field.base.column());
        }
    }
    if let Some(filter) = &read.filter {
        predicate_columns(filter, needed);
    }
    for embed in &read.embeds {
        let pairs = match &embed.relationship.kind {
            RelationshipKind::ManyToOne { columns, .. }
            | RelationshipKind::OneToMany { columns, .. }
            | RelationshipKind::OneToOne { columns, .. } => columns,
            RelationshipKind::ManyToMany { from_columns, .. } => from_columns,
            RelationshipKind::Computed { .. } => continue,
        };
        needed.extend(
            pairs
                .iter()
                .filter_map(|(own, _)| relation.column(own).map(|(index, _)| index)),
        );
    }
}

/// True if the read calls a routine with its own rows.
pub(super) fn calls_routines(read: &Read) -> bool {
    let computed = |field: &Field| matches!(field.base, Base::Computed(_));
    let shows = read
        .output
        .iter()
        .any(|output| matches!(output, Output::Column { field, .. } if computed(field)));
    let sorts = read
        .order
        .iter()
        .any(|order| matches!(&order.target, OrderTarget::Field(field) if computed(field)));
    let embeds = read
        .embeds
        .iter()
        .any(|embed| matches!(embed.relationship.kind, RelationshipKind::Computed { .. }));
    shows || sorts || embeds || read.filter.as_ref().is_some_and(|filter| compares(filter, &computed))
}

fn compares(predicate: &Predicate, holds: &dyn Fn(&Field) -> bool) -> bool {
    match predicate {
        Predicate::And(parts) | Predicate::Or(parts) => parts.iter().any(|part| compares(part, holds)),
        Predicate::Not(inner) => compares(inner, holds),
        Predicate::Compare { field, .. }
        | Predicate::Quantified { field, .. }
        | Predicate::In { field, .. }
        | Predicate::Is { field, .. }
        | Predicate::IsDistinct { field, .. }
        | Predicate::FullText { field, .. } => holds(field),
        Predicate::EmbedIsNull(_) => false,
    }
}

fn predicate_columns(predicate: &Predicate, needed: &mut BTreeSet<ColumnIndex>) {
    match predicate {
        Predicate::And(parts) | Predicate::Or(parts) => parts.iter().for_each(|part| predicate_columns(part, needed)),
        Predicate::Not(inner) => predicate_columns(inner, needed),
        Predicate::Compare { field, .. }
        | Predicate::Quantified { field, .. }
        | Predicate::In { field, .. }
        | Predicate::Is { field, .. }
        | Predicate::IsDistinct { field, .. }
        | Predicate::FullText { field, .. } => {
            needed.extend(field.base.column());
        }
        Predicate::EmbedIsNull(_) => {}
    }
}

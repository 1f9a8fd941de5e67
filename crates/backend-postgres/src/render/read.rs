//! Reads: `SELECT` with embeds as correlated subqueries.

use mainstay_core::catalog::{Relation, RelationshipKind};
use mainstay_core::error::{BackendError, DatabaseError};
use mainstay_core::name::Ident;
use mainstay_core::plan::{
    Base, Cardinality, Cast, Count, Embed, Field, Format, Grouping, JsonStep, Order, OrderTarget, Output, Read,
};
use mainstay_core::types::Type;

use super::group::Groups;
use super::keyset;
use super::sql::{Alias, Param, Sql};
use super::{Renderer, ResultKind, Variant, part, wants_count, wire_formats};
use crate::decode::{Cell, Member, Shape};

/// The column that holds the whole row where the rows come out of a common table expression.
pub(super) const KEPT_ROW: &str = "\"mainstay row\"";

/// A read's rows under their alias.
#[derive(Clone, Copy)]
pub(super) struct Scope<'a> {
    pub alias: &'a Alias,
    pub read: &'a Read,
}

/// Where a field's value is shown: at the top a CSV cell takes PostgreSQL's text as it is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    Top,
    Inside,
}

type Result<T> = std::result::Result<T, BackendError>;

impl Renderer {
    pub(super) fn read_statement(&mut self, read: &Read) -> Result<Variant> {
        let alias = self.alias('t');
        let scope = Scope { alias: &alias, read };
        let mut from = Sql::default();
        from.name(&read.source.relation.name).push(" AS ").alias(&alias);

        let has_range = read.limit.is_some() || read.offset.is_some() || keyset::position(read).is_some();
        let needs_count = match read.count {
            Count::Exact => has_range,
            Count::Estimated => true,
            Count::None | Count::Planned => false,
        };
        let count = if needs_count {
            Some(part(self.count(scope, &from, read.count)?)?)
        } else {
            None
        };
        let explain = match read.count {
            Count::Planned | Count::Estimated => {
                let mut sql = Sql::default();
                sql.push("EXPLAIN (FORMAT JSON) SELECT 1 FROM ").append(from.clone());
                self.filters(&mut sql, scope, Sql::default())?;
                Some(part(sql)?)
            }
            Count::None | Count::Exact => None,
        };
        if let Some(handler) = self.handler.clone() {
            let document = self.document_of_rows(Sql::default(), scope, from, &handler)?;
            return Ok(Variant {
                count,
                explain,
                ..document
            });
        }
        let mut main = Sql::default();
        let keys = self.key_texts(scope)?;
        let keys_shown = if keys.is_empty() { 0 } else { read.order.len() };
        let shape = self.select(&mut main, scope, from, keys)?;
        let (formats, expected_oids) = wire_formats(&shape, self.format, keys_shown);
        Ok(Variant {
            main: part(main)?,
            count,
            explain,
            result: ResultKind::Rows(shape),
            formats,
            location: Vec::new(),
            keys_shown,
            expected_oids,
        })
    }

    /// `SELECT <outputs>[, <extra>] FROM <from> WHERE … ORDER BY … LIMIT … OFFSET …`.
    pub(super) fn select(&mut self, sql: &mut Sql, scope: Scope<'_>, from: Sql, extra: Sql) -> Result<Shape> {
        sql.push("SELECT ");
        if let (Some(grouping), true) = (&scope.read.grouping, extra.is_empty()) {
            let groups = self.groups(scope, grouping, from, |renderer, sql| {
                renderer.filters(sql, scope, Sql::default())
            })?;
            return Ok(self.grouped(sql, groups, scope.read, Place::Top));
        }
        let shape = self.outputs(sql, scope, Place::Top)?;
        if !extra.is_empty() {
            if !shape.members.is_empty() {
                sql.push(", ");
            }
            sql.append(extra);
        }
        sql.push(" FROM ").append(from);
        let after = self.after_position(scope)?;
        self.tail(sql, scope, after)?;
        Ok(shape)
    }

    /// `WHERE`, `ORDER BY`, `LIMIT` and `OFFSET`; `joined` is ANDed in front of the filter.
    fn tail(&mut self, sql: &mut Sql, scope: Scope<'_>, joined: Sql) -> Result<()> {
        self.filters(sql, scope, joined)?;
        self.order(sql, scope)?;
        self.range(sql, scope.read);
        Ok(())
    }

    pub(super) fn range(&mut self, sql: &mut Sql, read: &Read) {
        if let Some(limit) = read.limit {
            sql.push(" LIMIT ").bind(Param::Value(limit)).push("::pg_catalog.int8");
        }
        self.offset(sql, read);
    }

    fn offset(&mut self, sql: &mut Sql, read: &Read) {
        if let Some(offset) = read.offset {
            sql.push(" OFFSET ")
                .bind(Param::Value(offset))
                .push("::pg_catalog.int8");
        }
    }

    /// ` WHERE …` from the join condition, the filter and the inner embeds; nothing if there is none of them.
    pub(super) fn filters(&mut self, sql: &mut Sql, scope: Scope<'_>, joined: Sql) -> Result<()> {
        let mut conditions = Vec::new();
        if !joined.is_empty() {
            conditions.push(joined);
        }
        if let Some(filter) = &scope.read.filter {
            let mut condition = Sql::default();
            self.predicate(&mut condition, scope, filter)?;
            conditions.push(condition);
        }
        for embed in scope.read.embeds.iter().filter(|embed| embed.inner) {
            let mut condition = Sql::default();
            self.exists(&mut condition, scope, embed)?;
            conditions.push(condition);
        }
        for (index, condition) in conditions.into_iter().enumerate() {
            sql.push(if index == 0 { " WHERE " } else { " AND " }).append(condition);
        }
        Ok(())
    }

    /// The select list of groups, and where they come from.
    fn grouped(&mut self, sql: &mut Sql, groups: Groups, read: &Read, place: Place) -> Shape {
        let Groups { shown, tail } = groups;
        let shown = Groups {
            shown,
            tail: Sql::default(),
        };
        let shape = self.grouped_outputs(sql, shown, place);
        sql.append(tail);
        self.range(sql, read);
        shape
    }

    /// The groups of an embed's rows.
    pub(super) fn embed_groups(
        &mut self,
        parent: Scope<'_>,
        embed: &Embed,
        scope: Scope<'_>,
        grouping: &Grouping,
    ) -> Result<Groups> {
        let mut source = Sql::default();
        let mut joined = Sql::default();
        self.embed_relations(&mut source, &mut joined, parent, embed, scope.alias)?;
        self.groups(scope, grouping, source, |renderer, sql| {
            renderer.filters(sql, scope, joined)
        })
    }

    pub(super) fn order(&mut self, sql: &mut Sql, scope: Scope<'_>) -> Result<()> {
        let is_past_nulls = keyset::position(scope.read).is_some_and(|position| position.condition.is_past_nulls());
        for (
            index,
            Order {
                target,
                descending,
                nulls_first,
            },
        ) in scope.read.order.iter().enumerate()
        {
            sql.push(if index == 0 { " ORDER BY " } else { ", " });
            self.order_target(sql, scope, target)?;
            sql.push(if *descending { " DESC" } else { " ASC" });
            match nulls_first {
                // An index gives its rows in the usual order alone.
                _ if index == 0 && is_past_nulls => {}
                Some(true) => _ = sql.push(" NULLS FIRST"),
                Some(false) => _ = sql.push(" NULLS LAST"),
                None => {}
            }
        }
        Ok(())
    }

    /// What is sorted by.
    pub(super) fn order_target(&mut self, sql: &mut Sql, scope: Scope<'_>, target: &OrderTarget) -> Result<()> {
        match target {
            OrderTarget::Field(field) => {
                self.field(sql, scope.alias, &scope.read.source.relation, field)?;
            }
            OrderTarget::Related { embed, field } => {
                let embed = embed_at(scope.read, *embed)?;
                let alias = self.alias('t');
                sql.push("(SELECT ");
                self.field(sql, &alias, &embed.read.source.relation, field)?;
                self.embed_source(sql, scope, embed, &alias)?;
                sql.push(" LIMIT 1)");
            }
        }
        Ok(())
    }

    /// Writes the select list.
    fn outputs(&mut self, sql: &mut Sql, scope: Scope<'_>, place: Place) -> Result<Shape> {
        let mut members = Vec::with_capacity(scope.read.output.len());
        for (index, output) in scope.read.output.iter().enumerate() {
            if index > 0 {
                sql.push(", ");
            }
            members.push(match output {
                Output::Column { name, field, cast } => {
                    let cell = self.output_column(sql, scope, field, cast.as_ref(), place)?;
                    Member::value(name, cell)
                }
                Output::Embed { name, embed } => {
                    let embed = embed_at(scope.read, *embed)?;
                    let shape = Box::new(self.embed(sql, scope, embed)?);
                    Member::value(
                        name,
                        match embed.cardinality {
                            Cardinality::One => Cell::Row(shape),
                            Cardinality::Many => Cell::Rows(shape),
                        },
                    )
                }
                Output::Spread { embed } => {
                    let embed = embed_at(scope.read, *embed)?;
                    let shape = self.embed(sql, scope, embed)?;
                    match embed.cardinality {
                        Cardinality::One => Member::SpreadOne(shape),
                        Cardinality::Many => Member::SpreadMany(shape),
                    }
                }
            });
        }
        Ok(Shape {
            members,
            strip_nulls: self.strip_nulls(),
        })
    }

    fn output_column(
        &mut self,
        sql: &mut Sql,
        scope: Scope<'_>,
        field: &Field,
        cast: Option<&Cast>,
        place: Place,
    ) -> Result<Cell> {
        let mut value = Sql::default();
        let mut ty = self.cast_field(&mut value, scope.alias, &scope.read.source.relation, field, cast)?;
        if let (None, Some(own)) = (cast, ty.take_if(|_| cast.is_none())) {
            let (shown, shown_type) = self.shown(value, field, own);
            (value, ty) = (shown, Some(shown_type));
        }
        if place == Place::Top && self.format == Format::Csv {
            sql.append(value);
            return Ok(Cell::Text);
        }
        Ok(self.json_value(sql, value, ty.as_ref()))
    }

    /// Writes `value` so that it arrives in a form we can show as JSON, and says which.
    pub(super) fn json_value(&mut self, sql: &mut Sql, value: Sql, ty: Option<&Type>) -> Cell {
        match ty.and_then(Cell::of_type) {
            Some(Cell::Json | Cell::Jsonb) if self.strip_nulls() => {
                sql.push("pg_catalog.json_strip_nulls(")
                    .append(value)
                    .push("::pg_catalog.json)");
                Cell::Json
            }
            Some(cell) if !self.goes_through_json(&cell) => {
                sql.append(value);
                cell
            }
            _ if self.strip_nulls() => {
                sql.push("pg_catalog.json_strip_nulls(pg_catalog.to_json(")
                    .append(value)
                    .push("))");
                Cell::Json
            }
            _ => {
                sql.push("pg_catalog.to_json(").append(value).push(")");
                Cell::Json
            }
        }
    }

    /// Whether only the server can show the value: in the request's time zone, or without the nulls inside it.
    fn goes_through_json(&self, cell: &Cell) -> bool {
        self.situation.local_time && cell.depends_on_time_zone() || self.strip_nulls() && cell.holds_documents()
    }

    /// `(SELECT ROW(…) …)` or `(SELECT array_agg(…) FROM (SELECT ROW(…) …))`.
    fn embed(&mut self, sql: &mut Sql, scope: Scope<'_>, embed: &Embed) -> Result<Shape> {
        let alias = self.alias('t');
        let inner = Scope {
            alias: &alias,
            read: &embed.read,
        };
        if let Some(grouping) = &embed.read.grouping {
            let groups = self.embed_groups(scope, embed, inner, grouping)?;
            let rows = self.alias('r');
            let is_one = embed.cardinality == Cardinality::One;
            if is_one {
                sql.push("(SELECT ROW(");
            } else {
                sql.push("(SELECT pg_catalog.array_agg(")
                    .alias(&rows)
                    .push(".r) FROM (SELECT ROW(");
            }
            let Groups { shown, tail } = groups;
            let shown = Groups {
                shown,
                tail: Sql::default(),
            };
            let shape = self.grouped_outputs(sql, shown, Place::Inside);
            if is_one {
                sql.push(")").append(tail).push(" LIMIT 1)");
            } else {
                sql.push(") AS r").append(tail);
                self.range(sql, &embed.read);
                sql.push(") AS ").alias(&rows).push(")");
            }
            return Ok(shape);
        }
        match embed.cardinality {
            Cardinality::One => {
                sql.push("(SELECT ROW(");
                let shape = self.outputs(sql, inner, Place::Inside)?;
                sql.push(")");
                self.embed_source(sql, scope, embed, &alias)?;
                self.order(sql, inner)?;
                sql.push(" LIMIT 1");
                self.offset(sql, &embed.read);
                sql.push(")");
                Ok(shape)
            }
            Cardinality::Many => {
                let rows = self.alias('r');
                sql.push("(SELECT pg_catalog.array_agg(")
                    .alias(&rows)
                    .push(".r) FROM (SELECT ROW(");
                let shape = self.outputs(sql, inner, Place::Inside)?;
                sql.push(") AS r");
                self.embed_source(sql, scope, embed, &alias)?;
                self.order(sql, inner)?;
                self.range(sql, &embed.read);
                sql.push(") AS ").alias(&rows).push(")");
                Ok(shape)
            }
        }
    }

    /// ` FROM <relation> AS alias[, <junction>] WHERE <join> AND <filter>`.
    pub(super) fn embed_source(
        &mut self,
        sql: &mut Sql,
        parent: Scope<'_>,
        embed: &Embed,
        alias: &Alias,
    ) -> Result<()> {
        sql.push(" FROM ");
        let mut joined = Sql::default();
        self.embed_relations(sql, &mut joined, parent, embed, alias)?;
        self.filters(
            sql,
            Scope {
                alias,
                read: &embed.read,
            },
            joined,
        )
    }

    /// `<relation> AS alias[, <junction>]`, and the condition that joins them with the parent.
    fn embed_relations(
        &mut self,
        sql: &mut Sql,
        joined: &mut Sql,
        parent: Scope<'_>,
        embed: &Embed,
        alias: &Alias,
    ) -> Result<()> {
        let relation = &embed.read.source.relation;
        if let RelationshipKind::Computed { routine, .. } = &embed.relationship.kind {
            sql.name(routine).push("(");
            self.row(sql, parent.alias, &parent.read.source.relation);
            sql.push(") AS ").alias(alias);
        } else {
            sql.name(&relation.name).push(" AS ").alias(alias);
        }
        match &embed.relationship.kind {
            RelationshipKind::ManyToOne { columns, .. }
            | RelationshipKind::OneToMany { columns, .. }
            | RelationshipKind::OneToOne { columns, .. } => {
                equalities(joined, parent.alias, alias, columns);
            }
            RelationshipKind::ManyToMany {
                junction,
                from_columns,
                to_columns,
                ..
            } => {
                let junction_alias = self.alias('j');
                sql.push(", ").name(junction).push(" AS ").alias(&junction_alias);
                equalities(joined, parent.alias, &junction_alias, from_columns);
                joined.push(" AND ");
                equalities(joined, alias, &junction_alias, to_columns);
            }
            RelationshipKind::Computed { .. } => {}
        }
        Ok(())
    }

    /// `EXISTS (SELECT 1 FROM …)`: the embed has a row for this row of the parent.
    pub(super) fn exists(&mut self, sql: &mut Sql, parent: Scope<'_>, embed: &Embed) -> Result<()> {
        let alias = self.alias('t');
        sql.push("EXISTS (SELECT 1");
        self.embed_source(sql, parent, embed, &alias)?;
        sql.push(")");
        Ok(())
    }

    fn count(&mut self, scope: Scope<'_>, from: &Sql, count: Count) -> Result<Sql> {
        let mut sql = Sql::default();
        debug_assert!(wants_count(count));
        if count == Count::Estimated {
            sql.push("SELECT pg_catalog.count(*) FROM (SELECT 1 FROM ")
                .append(from.clone());
            self.filters(&mut sql, scope, Sql::default())?;
            sql.push(" LIMIT ")
                .bind(Param::CountLimit)
                .push("::pg_catalog.int8) AS c");
        } else {
            sql.push("SELECT pg_catalog.count(*) FROM ").append(from.clone());
            self.filters(&mut sql, scope, Sql::default())?;
        }
        Ok(sql)
    }

    /// Writes a field and says its type.
    pub(super) fn field(&mut self, sql: &mut Sql, alias: &Alias, relation: &Relation, field: &Field) -> Result<Type> {
        let mut value = Sql::default();
        let ty = match &field.base {
            Base::Column(index) => {
                let column = relation
                    .columns
                    .get(*index)
                    .ok_or_else(|| BackendError::Internal(format!("no column {index} in {}", relation.name)))?;
                value.column(alias, &column.name);
                &column.ty
            }
            Base::Computed(computed) => {
                value.name(&computed.routine).push("(");
                self.row(&mut value, alias, relation);
                value.push(")");
                &computed.ty
            }
        };
        if field.path.is_empty() {
            sql.append(value);
            return Ok(ty.clone());
        }
        sql.push("(");
        let base = match ty.base() {
            Type::Json => {
                sql.append(value);
                Type::Json
            }
            Type::Jsonb => {
                sql.append(value);
                Type::Jsonb
            }
            _ => {
                sql.push("pg_catalog.to_jsonb(").append(value).push(")");
                Type::Jsonb
            }
        };
        for (index, step) in field.path.iter().enumerate() {
            let last = index + 1 == field.path.len();
            sql.push(if last && field.as_text { "->>" } else { "->" });
            match step {
                JsonStep::Key(value) => sql.bind(Param::Value(*value)).push("::pg_catalog.text"),
                JsonStep::Index(value) => sql.bind(Param::Value(*value)).push("::pg_catalog.int4"),
            };
        }
        sql.push(")");
        Ok(if field.as_text { Type::Text } else { base })
    }
}

impl Renderer {
    /// The whole row under `alias`, as a routine of the row takes it.
    fn row(&self, sql: &mut Sql, alias: &Alias, relation: &Relation) {
        if self.kept_row.as_ref() == Some(alias) {
            sql.alias(alias).push(".").push(KEPT_ROW);
        } else {
            sql.alias(alias);
        }
        // Through a view or a subquery a row may have lost its name.
        sql.push("::").name(&relation.name);
    }
}

pub(super) fn embed_at(read: &Read, index: usize) -> Result<&Embed> {
    read.embeds
        .get(index)
        .ok_or_else(|| BackendError::Internal(format!("no embed {index}")))
}

/// `a.x = b.y AND …` for pairs (column of a, column of b).
fn equalities(sql: &mut Sql, a: &Alias, b: &Alias, columns: &[(Ident, Ident)]) {
    for (index, (left, right)) in columns.iter().enumerate() {
        if index > 0 {
            sql.push(" AND ");
        }
        sql.column(b, right).push(" = ").column(a, left);
    }
    if columns.is_empty() {
        sql.push("FALSE");
    }
}

/// Words that a cast's name may hold; anything else cannot be a type's name as requests spell it.
pub(super) fn cast_type(sql: &mut Sql, cast: &Cast) -> Result<()> {
    if let Some(ty) = &cast.ty {
        sql.type_name(ty);
        return Ok(());
    }
    let (name, is_array) = match cast.name.strip_suffix("[]") {
        Some(element) => (element, true),
        None => (cast.name.as_str(), false),
    };
    let parts: Vec<&str> = name.split('.').collect();
    let plausible = parts.len() <= 2
        && parts.iter().all(|word| {
            !word.is_empty()
                && word
                    .chars()
                    .all(|c| c.is_alphanumeric() || matches!(c, '_' | '-' | ' ' | '$'))
        });
    if !plausible {
        return Err(DatabaseError::new("42704", format!("type \"{}\" does not exist", cast.name)).into());
    }
    if let (1, Some(builtin)) = (parts.len(), Type::from_builtin_name(name)) {
        sql.type_name(&builtin);
    } else {
        for (index, word) in parts.iter().enumerate() {
            if index > 0 {
                sql.push(".");
            }
            sql.ident(word);
        }
    }
    if is_array {
        sql.push("[]");
    }
    Ok(())
}

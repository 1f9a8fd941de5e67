//! Reads with aggregates: the rows' members in a subquery, grouped outside of it.
//!
//! In a subquery, because a member may hold parameters, and two parameters are never the same expression to
//! PostgreSQL, even where their values are. To-one spreads are joined sideways, so that their rows' fields are at hand.

use std::collections::BTreeSet;

use mainstay_core::catalog::ColumnIndex;
use mainstay_core::error::BackendError;
use mainstay_core::plan::{
    Aggregate, AggregateFunction, EmbedIndex, Field, Format, GroupMember, GroupValue, Grouping, Read,
};
use mainstay_core::types::Type;

use super::Renderer;
use super::read::{KEPT_ROW, Place, Scope, embed_at};
use super::sql::{Alias, Sql};
use super::write::needed_columns;
use crate::decode::{Cell, Member, Shape};

type Result<T> = std::result::Result<T, BackendError>;

/// A grouped read's pieces.
pub(super) struct Groups {
    /// What is shown, by name: the value as it is given, and its type where it is known.
    pub shown: Vec<(String, Sql, Option<Type>)>,
    /// ` FROM (…) AS g GROUP BY … ORDER BY …`
    pub tail: Sql,
}

/// The rows at the end of each path of to-one spreads, by their alias.
type Parts<'r> = Vec<(Vec<EmbedIndex>, Alias, &'r Read)>;

impl Renderer {
    /// Groups the rows of `scope`. `source` writes `<relation> AS alias`, and `filters` the ` WHERE …` of the rows.
    pub(super) fn groups(
        &mut self,
        scope: Scope<'_>,
        grouping: &Grouping,
        source: Sql,
        filters: impl FnOnce(&mut Self, &mut Sql) -> Result<()>,
    ) -> Result<Groups> {
        let mut from = source;
        let parts = self.parts(&mut from, scope, grouping)?;
        let groups = self.alias('g');
        let mut inner = Sql::default();
        inner.push("SELECT ");
        let mut shown = Vec::new();
        let mut keys = Vec::new();
        let mut members = Vec::with_capacity(grouping.members.len());
        for (index, member) in grouping.members.iter().enumerate() {
            let column = Alias::numbered('m', index);
            let mut outside = Sql::default();
            outside.alias(&groups).push(".").alias(&column);
            let mut value = Sql::default();
            let ty = self.member(&mut value, &parts, member)?;
            inner
                .push(if index > 0 { ", " } else { "" })
                .append(value)
                .push(" AS ")
                .alias(&column);
            let (value, ty) = match &member.value {
                GroupValue::Aggregate(aggregate) => aggregated(outside, aggregate, ty)?,
                _ => {
                    keys.push(outside.clone());
                    (outside, ty)
                }
            };
            members.push(value.clone());
            if let Some(name) = &member.name {
                shown.push((name.to_string(), value, ty));
            }
        }
        inner.push(" FROM ").append(from);
        filters(self, &mut inner)?;
        let mut tail = Sql::default();
        tail.push(" FROM (").append(inner).push(") AS ").alias(&groups);
        for (index, key) in keys.into_iter().enumerate() {
            tail.push(if index == 0 { " GROUP BY " } else { ", " }).append(key);
        }
        for (index, order) in grouping.order.iter().enumerate() {
            let value = members
                .get(order.member)
                .ok_or_else(|| BackendError::Internal(format!("no member {} of a group", order.member)))?;
            tail.push(if index == 0 { " ORDER BY " } else { ", " })
                .append(value.clone());
            tail.push(if order.descending { " DESC" } else { " ASC" });
            match order.nulls_first {
                Some(true) => tail.push(" NULLS FIRST"),
                Some(false) => tail.push(" NULLS LAST"),
                None => &mut tail,
            };
        }
        Ok(Groups { shown, tail })
    }

    /// `SELECT <members> FROM (…) GROUP BY …`; the shape of what comes.
    pub(super) fn grouped_outputs(&mut self, sql: &mut Sql, groups: Groups, place: Place) -> Shape {
        let mut members = Vec::with_capacity(groups.shown.len());
        for (index, (name, value, ty)) in groups.shown.into_iter().enumerate() {
            sql.push(if index > 0 { ", " } else { "" });
            let cell = if place == Place::Top && self.format == Format::Csv {
                sql.append(value);
                Cell::Text
            } else {
                self.json_value(sql, value, ty.as_ref())
            };
            members.push(Member::value(&name, cell));
        }
        Shape {
            members,
            strip_nulls: self.strip_nulls(),
        }
    }

    /// Joins every to-one spread that a member is of: ` LEFT JOIN LATERAL (…) AS alias ON TRUE`.
    fn parts<'r>(&mut self, sql: &mut Sql, scope: Scope<'r>, grouping: &Grouping) -> Result<Parts<'r>> {
        let mut parts: Parts<'r> = vec![(Vec::new(), scope.alias.clone(), scope.read)];
        let mut paths: BTreeSet<Vec<EmbedIndex>> = BTreeSet::new();
        for member in &grouping.members {
            for length in 1..=member.path.len() {
                paths.insert(member.path[..length].to_vec());
            }
        }
        // Parents sort before their children.
        for path in paths {
            let (last, before) = path.split_last().ok_or_else(|| internal("an empty path"))?;
            let (_, parent_alias, parent) = part_at(&parts, before)?.clone();
            let embed = embed_at(parent, *last)?;
            let (inner, outer) = (self.alias('t'), self.alias('t'));
            sql.push(if embed.inner {
                " JOIN LATERAL (SELECT "
            } else {
                " LEFT JOIN LATERAL (SELECT "
            });
            for column in columns_of(&embed.read, grouping, &path) {
                let column = embed
                    .read
                    .source
                    .relation
                    .columns
                    .get(column)
                    .ok_or_else(|| internal("a column that is gone"))?;
                sql.column(&inner, &column.name).push(", ");
            }
            sql.push("TRUE AS ").push(KEPT_ROW);
            let parent_scope = Scope {
                alias: &parent_alias,
                read: parent,
            };
            self.embed_source(sql, parent_scope, embed, &inner)?;
            sql.push(") AS ").alias(&outer).push(" ON TRUE");
            parts.push((path, outer, &embed.read));
        }
        Ok(parts)
    }

    /// Writes what a member takes from each row, and says its type.
    fn member(&mut self, sql: &mut Sql, parts: &Parts<'_>, member: &GroupMember) -> Result<Option<Type>> {
        let (_, alias, read) = part_at(parts, &member.path)?;
        let relation = &read.source.relation;
        match &member.value {
            GroupValue::Field { field, cast } => self.cast_field(sql, alias, relation, field, cast.as_ref()),
            GroupValue::Embed(index) => {
                let embed = embed_at(read, *index)?;
                self.embed_as_json(sql, Scope { alias, read }, embed)?;
                Ok(Some(Type::Jsonb))
            }
            GroupValue::Aggregate(Aggregate {
                over: Some((field, cast)),
                ..
            }) => self.cast_field(sql, alias, relation, field, cast.as_ref()),
            GroupValue::Aggregate(_) if member.path.is_empty() => {
                sql.push("TRUE");
                Ok(Some(Type::Bool))
            }
            GroupValue::Aggregate(_) => {
                sql.alias(alias).push(".").push(KEPT_ROW);
                Ok(Some(Type::Bool))
            }
        }
    }
}

/// The columns that a spread's rows must bring: those of members, and those that embeds below are joined by.
fn columns_of(read: &Read, grouping: &Grouping, path: &[EmbedIndex]) -> BTreeSet<ColumnIndex> {
    let mut needed = BTreeSet::new();
    needed_columns(read, &read.source.relation, &mut needed);
    let fields = grouping.members.iter().filter(|member| member.path == path);
    needed.extend(fields.filter_map(|member| field_of(member)?.base.column()));
    needed
}

fn field_of(member: &GroupMember) -> Option<&Field> {
    match &member.value {
        GroupValue::Field { field, .. } => Some(field),
        GroupValue::Aggregate(Aggregate {
            over: Some((field, _)), ..
        }) => Some(field),
        _ => None,
    }
}

fn part_at<'p, 'r>(parts: &'p Parts<'r>, path: &[EmbedIndex]) -> Result<&'p (Vec<EmbedIndex>, Alias, &'r Read)> {
    parts
        .iter()
        .find(|(known, _, _)| known == path)
        .ok_or_else(|| internal("a spread that is not joined"))
}

fn aggregated(value: Sql, aggregate: &Aggregate, ty: Option<Type>) -> Result<(Sql, Option<Type>)> {
    let mut sql = Sql::default();
    let result = ty.and_then(|ty| result_type(aggregate.function, &ty));
    let Some(cast) = &aggregate.cast else {
        call(&mut sql, aggregate.function, value);
        return Ok((sql, result));
    };
    sql.push("CAST(");
    call(&mut sql, aggregate.function, value);
    sql.push(" AS ");
    super::read::cast_type(&mut sql, cast)?;
    sql.push(")");
    Ok((sql, cast.ty.clone()))
}

fn call(sql: &mut Sql, function: AggregateFunction, value: Sql) {
    // By its bare name, as PostgREST has it: aggregates of one's own types are found, and messages say the name.
    sql.push(function.name()).push("(").append(value).push(")");
}

/// The aggregate's result, for types where it is sure. Source: PostgreSQL manual, 9.21.
fn result_type(function: AggregateFunction, ty: &Type) -> Option<Type> {
    Some(match (function, ty.base()) {
        (AggregateFunction::Count, _) => Type::Int8,
        (AggregateFunction::Sum, Type::Int2 | Type::Int4) => Type::Int8,
        (AggregateFunction::Sum | AggregateFunction::Avg, Type::Int8 | Type::Numeric) => Type::Numeric,
        (AggregateFunction::Avg, Type::Int2 | Type::Int4) => Type::Numeric,
        (AggregateFunction::Sum, Type::Float4) => Type::Float4,
        (AggregateFunction::Sum | AggregateFunction::Avg, Type::Float8) => Type::Float8,
        (AggregateFunction::Avg, Type::Float4) => Type::Float8,
        (AggregateFunction::Max | AggregateFunction::Min, Type::Varchar) => Type::Text,
        (
            AggregateFunction::Max | AggregateFunction::Min,
            same @ (Type::Int2
            | Type::Int4
            | Type::Int8
            | Type::Numeric
            | Type::Float4
            | Type::Float8
            | Type::Text
            | Type::Date
            | Type::Timestamp
            | Type::Timestamptz),
        ) => same.clone(),
        _ => return None,
    })
}

fn internal(what: &str) -> BackendError {
    BackendError::Internal(format!("a group has {what}"))
}

//! Reads with aggregates: one statement whose rows are groups.
//!
//! To-one spreads are joined into it. An embed beside an aggregate is grouped by what it shows: by the columns of its
//! row, which is why it must be to-one and have no embeds of its own.

use std::sync::Arc;

use mainstay_core::catalog::{Relation, RelationshipKind};
use mainstay_core::error::DatabaseError;
use mainstay_core::name::Ident;
use mainstay_core::plan::{
    Aggregate, AggregateFunction, Cardinality, Embed, EmbedIndex, GroupMember, GroupValue, Grouping, Output, Read,
};
use mainstay_core::types::{Type, TypeModifier};
use mainstay_sql::analyse;
use mainstay_sql::typed::{CastContext, Expr, ExprKind, RteId};

use super::compile::{Groups, Joined, JoinedEmbed, Parent, Result, Root, finished, joined_member, kind_of, select};
use super::filter::Builder;
use super::program::Member;
use super::run::key_of;
use crate::emit::compiled::Compiled;
use crate::emit::types::collation;

/// The rows at the end of each path of to-one spreads.
struct Part<'r> {
    path: Vec<EmbedIndex>,
    rte: RteId,
    read: &'r Read,
}

/// A statement of groups in the making.
struct Grouper<'a, 'r> {
    builder: Builder<'a>,
    parts: Vec<Part<'r>>,
    joined: Vec<JoinedEmbed<'r>>,
    selected: Vec<Expr>,
    keys: Vec<Expr>,
}

/// Compiles a grouped read.
pub(super) fn node(
    compiled: &Compiled,
    read: &Read,
    grouping: &Grouping,
    root: Root,
    parent: Option<Parent<'_>>,
) -> Result<Joined> {
    let mut builder = Builder::new(compiled, read.source.access.role());
    let rte = builder.declare(&read.source.relation);
    let mut grouper = Grouper {
        builder,
        parts: vec![Part {
            path: Vec::new(),
            rte,
            read,
        }],
        joined: Vec::new(),
        selected: Vec::new(),
        keys: Vec::new(),
    };
    let mut members = Vec::new();
    let mut values = Vec::with_capacity(grouping.members.len());
    for member in &grouping.members {
        let (shown, value) = grouper.member(compiled, member)?;
        members.extend(shown);
        values.push(value);
    }
    let mut order = Vec::with_capacity(grouping.order.len());
    for key in &grouping.order {
        let value = values.get(key.member).cloned().flatten();
        let value = value.ok_or_else(|| DatabaseError::new("XX000", "a group has no such sort key"))?;
        order.push((value, key.descending, key.nulls_first));
    }
    let Grouper {
        mut builder,
        joined,
        selected,
        keys,
        ..
    } = grouper;
    let groups = Groups { keys, order };
    select(&mut builder, read, rte, root, parent, &selected, &joined, Some(&groups))?;
    Ok(finished(builder, members, Vec::new()))
}

/// `GROUP BY … ORDER BY …`.
pub(super) fn tail(builder: &mut Builder<'_>, groups: &Groups) -> Result<()> {
    for (index, key) in groups.keys.iter().enumerate() {
        builder.sql(if index == 0 { " GROUP BY " } else { ", " });
        builder.group_key(key)?;
    }
    for (index, (key, descending, nulls_first)) in groups.order.iter().enumerate() {
        builder.sql(if index == 0 { " ORDER BY " } else { ", " });
        if *key.ty.base() == Type::Json {
            return Err(
                DatabaseError::new("42883", "could not identify an ordering operator for type json")
                    .hint("Use an explicit ordering operator or modify the query."),
            );
        }
        builder.expr(key)?;
        if let Some(collation) = collation(&key.ty) {
            builder.sql(" COLLATE ").ident(&collation.name());
        }
        builder.sql(if *descending { " DESC" } else { "" });
        let nulls_first = nulls_first.unwrap_or(*descending);
        builder.sql(if nulls_first { " NULLS FIRST" } else { " NULLS LAST" });
    }
    Ok(())
}

impl<'r> Grouper<'_, 'r> {
    /// What a member shows, and the value that groups may be sorted by.
    fn member(&mut self, compiled: &Compiled, member: &GroupMember) -> Result<(Option<Member>, Option<Expr>)> {
        let part = self.part(&member.path)?;
        let (rte, read) = (self.parts[part].rte, self.parts[part].read);
        let relation = &read.source.relation;
        let value = match &member.value {
            GroupValue::Field { field, cast } => {
                let value = self.builder.output(rte, relation, field, cast.as_ref())?;
                self.keys.push(value.clone());
                value
            }
            GroupValue::Aggregate(aggregate) => self.aggregate(compiled, aggregate, part)?,
            GroupValue::Embed(index) => {
                let embed = embed_at(read, *index)?;
                let shown = match &member.name {
                    Some(name) => Some(self.embed(name, embed, rte, relation)?),
                    None => None,
                };
                return Ok((shown, None));
            }
        };
        let Some(name) = &member.name else {
            return Ok((None, Some(value)));
        };
        let shown = Member::Column {
            name: name.clone(),
            key: key_of(name),
            column: self.selected.len(),
            kind: kind_of(&value)?,
        };
        self.selected.push(value.clone());
        Ok((Some(shown), Some(value)))
    }

    fn aggregate(&mut self, compiled: &Compiled, aggregate: &Aggregate, part: usize) -> Result<Expr> {
        let catalog = compiled.catalog();
        let Part { rte, read, path } = &self.parts[part];
        let relation = &read.source.relation;
        let argument = match &aggregate.over {
            Some((field, cast)) => Some(self.builder.output(*rte, relation, field, cast.as_ref())?),
            None if path.is_empty() => None,
            // A row that is there has a value in the column that it was joined by.
            None => Some(self.presence(*rte, relation)?),
        };
        debug_assert!(argument.is_some() || aggregate.function == AggregateFunction::Count);
        let value = analyse::aggregate(catalog, aggregate.function.name(), argument)?;
        let Some(cast) = &aggregate.cast else {
            return Ok(value);
        };
        let ty = cast
            .ty
            .clone()
            .ok_or_else(|| DatabaseError::new("42704", format!("type \"{}\" does not exist", cast.name)))?;
        analyse::cast(catalog, value, &ty, TypeModifier::None, CastContext::Explicit)
    }

    /// The column that a joined row was found by.
    fn presence(&self, rte: RteId, relation: &Arc<Relation>) -> Result<Expr> {
        let joined = self.joined.iter().find(|joined| joined.rte == rte);
        let column = joined.and_then(|joined| match &joined.embed.relationship.kind {
            RelationshipKind::ManyToOne { columns, .. } | RelationshipKind::OneToOne { columns, .. } => {
                columns.first().and_then(|(_, far)| relation.column(far))
            }
            _ => None,
        });
        let (column, _) = column.ok_or_else(|| DatabaseError::new("XX000", "a spread has no key"))?;
        Ok(self.builder.column(rte, relation, column))
    }

    /// The rows at `path`, joined if they are not yet.
    fn part(&mut self, path: &[EmbedIndex]) -> Result<usize> {
        if let Some(known) = self.parts.iter().position(|part| part.path == path) {
            return Ok(known);
        }
        let (last, before) = path
            .split_last()
            .ok_or_else(|| DatabaseError::new("XX000", "a group has no rows"))?;
        let parent = self.part(before)?;
        let (parent_rte, parent_read) = (self.parts[parent].rte, self.parts[parent].read);
        let embed = embed_at(parent_read, *last)?;
        let rte = self.builder.declare(&embed.read.source.relation);
        self.joined.push(JoinedEmbed {
            rte,
            embed,
            parent: parent_rte,
            parent_relation: &parent_read.source.relation,
        });
        self.parts.push(Part {
            path: path.to_vec(),
            rte,
            read: &embed.read,
        });
        Ok(self.parts.len() - 1)
    }

    /// An embed that is grouped by its columns.
    fn embed(
        &mut self,
        name: &Ident,
        embed: &'r Embed,
        parent: RteId,
        parent_relation: &'r Arc<Relation>,
    ) -> Result<Member> {
        let plain = |output: &Output| matches!(output, Output::Column { .. });
        let is_plain = embed.cardinality == Cardinality::One
            && embed.read.grouping.is_none()
            && embed.read.embeds.is_empty()
            && !matches!(embed.relationship.kind, RelationshipKind::Computed { .. })
            && embed.read.output.iter().all(plain);
        if !is_plain {
            return Err(DatabaseError::unavailable(
                "an aggregate beside an embed of many rows or with embeds of its own",
                name,
                1,
                Some("a spread"),
            ));
        }
        let rte = self.builder.declare(&embed.read.source.relation);
        self.joined.push(JoinedEmbed {
            rte,
            embed,
            parent,
            parent_relation,
        });
        let first = self.selected.len();
        let member = joined_member(&mut self.builder, name, embed, rte, &mut self.selected)?;
        self.keys.extend(self.selected[first..].iter().cloned());
        // Whether there is a row is a part of what the embed shows.
        let presence = self.presence(rte, &embed.read.source.relation)?;
        let is_there = ExprKind::IsNull {
            expr: Box::new(presence),
            negated: true,
        };
        self.keys.push(Expr::new(is_there, Type::Bool));
        Ok(member)
    }
}

fn embed_at(read: &Read, index: EmbedIndex) -> Result<&Embed> {
    read.embeds
        .get(index)
        .ok_or_else(|| DatabaseError::new("XX000", "a group has no such embed"))
}

//! `Plan::Read` → [`ReadProgram`]: which statements, what they select, in which order their rows come.
//!
//! An embed is a statement of its own, run once per row of its parent with the join's columns bound. What decides
//! whether a parent's row is there at all (`!inner`, null embeds) stands in the parent's statement.
//! Not here: conditions (`filter`), policies and views (`emit`).
//!
//! Source: PostgREST documentation, "Resource Embedding"; `data-path.md` §4 (1).

use std::sync::Arc;

use mainstay_core::catalog::{ColumnIndex, ConstraintKind, Policy, PolicyCommand, Relation, RelationshipKind};
use mainstay_core::error::{BackendError, DatabaseError};
use mainstay_core::name::Ident;
use mainstay_core::plan::{Cardinality, Count, Embed, Format, Order, OrderTarget, Output, Plan, Read, ValueRef};
use mainstay_core::policy::{self, Guard};
use mainstay_core::render;
use mainstay_core::types::Type;
use mainstay_sql::system;
use mainstay_sql::typed::{Expr, RteId};

use super::filter::{Builder, Subject};
use super::group;
use super::keyset;
use super::program::{Child, CountCap, CountPlan, Member, Node, Pace, Query, ReadProgram, any_query};
use super::run::key_of;
use crate::emit::binds::Bind;
use crate::emit::compiled::Compiled;
use crate::emit::emitter::{Alias, Rte};
use crate::emit::relation::{READ, ROWID, WRITTEN, Wanted};
use crate::emit::types::collation;
use crate::emit::walk;
use crate::values::cast::Kind;

/// `count=planned` is exact up to this number of rows.
const PLANNED_ROWS_EXACT: u64 = 1_000;
/// Places of a table that an estimate looks at.
const SAMPLE_ROWS: i64 = 1_000;
/// Row numbers between the first and the last: fewer are counted, with more the arithmetic would overflow.
const SAMPLED_WIDTH_MIN: i64 = 20_000;
const SAMPLED_WIDTH_MAX: i64 = 1_000_000_000_000;
/// Rows of a sample that say something.
const SAMPLE_HITS_MIN: i64 = 20;

/// How deep embeds may stand in each other.
const EMBED_DEPTH_MAX: usize = 32;

/// The placeholder's value is given when the statement is run: the keys of written rows, a count's bound.
pub const GIVEN: Bind = Bind::Parent(usize::MAX);

/// The result of every step here.
pub type Result<T> = std::result::Result<T, DatabaseError>;

/// Compiles a read for the role of `plan`.
pub fn compile(compiled: &Compiled, plan: &Plan, read: &Read) -> std::result::Result<ReadProgram, BackendError> {
    let count = counting(compiled, read)?;
    let page = (read.limit, read.offset);
    Ok(program(
        compiled,
        plan.format,
        node(compiled, read, Root::All, None, 0)?.node,
        count,
        page,
    ))
}

/// Compiles the representation of written rows: `read` over the rows whose numbers are given as a JSON array when it
/// is run, in that order. For a view the numbers are those of the base table's rows.
pub fn compile_returning(
    compiled: &Compiled,
    plan: &Plan,
    read: &Read,
) -> std::result::Result<ReadProgram, BackendError> {
    let node = node(compiled, read, Root::Rows, None, 0)?.node;
    Ok(program(compiled, plan.format, node, CountPlan::None, (None, None)))
}

/// Compiles a read of a routine's rows, which are given as one text when it is run.
pub fn compile_rows(compiled: &Compiled, plan: &Plan, read: &Read) -> std::result::Result<ReadProgram, BackendError> {
    let node = node(compiled, read, Root::Given, None, 0)?.node;
    let count = match read.count {
        Count::None => CountPlan::None,
        _ if read.limit.is_none() && read.offset.is_none() => CountPlan::Rows,
        _ => {
            let mut builder = Builder::new(compiled, read.source.access.role());
            builder.sql("SELECT count(*) FROM ");
            let rte = builder.declare(&read.source.relation);
            given_rows(&mut builder, &read.source.relation, rte);
            builder.conditions(read, rte, &mut true)?;
            let (sql, binds) = builder.finish();
            CountPlan::Query(Query { sql, binds })
        }
    };
    Ok(program(compiled, plan.format, node, count, (read.limit, read.offset)))
}

/// The given rows as a derived table with the row type's columns.
fn given_rows(builder: &mut Builder<'_>, relation: &Arc<Relation>, rte: RteId) -> Alias {
    builder.sql("(SELECT ");
    for (index, column) in relation.columns.iter().enumerate() {
        builder.sql(if index > 0 {
            ", pg_cell(value, "
        } else {
            "pg_cell(value, "
        });
        builder.number(index as i64).sql(") AS ").ident(&column.name);
    }
    if relation.columns.is_empty() {
        builder.sql("NULL");
    }
    builder.sql(" FROM json_each(").bind(GIVEN).sql(")) AS ");
    builder.alias_of(relation, rte)
}

fn program(
    compiled: &Compiled,
    format: Format,
    root: Node,
    count: CountPlan,
    page: (Option<ValueRef>, Option<ValueRef>),
) -> ReadProgram {
    let mut header = Vec::new();
    if format == Format::Csv {
        for (index, name) in root.names().into_iter().enumerate() {
            if index > 0 {
                header.push(b',');
            }
            render::csv_cell(&mut header, Some(name));
        }
    }
    ReadProgram {
        id: ReadProgram::next_id(),
        catalog_version: compiled.catalog().version,
        format,
        page,
        header,
        runs_routine: any_query(&root, &count, &Query::runs_routine),
        root,
        count,
        pace: Pace::default(),
    }
}

/// Which rows a node's statement begins from.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Root {
    All,
    /// Those whose numbers are given.
    Rows,
    /// A routine's rows, which are given.
    Given,
}

/// A compiled node and the parent's columns that its placeholders take.
pub(super) struct Joined {
    node: Node,
    /// (placeholder from 1, column of the parent's relation)
    joins: Vec<(usize, ColumnIndex)>,
}

/// The row that an embed belongs to.
pub(super) struct Parent<'a> {
    relation: &'a Arc<Relation>,
    embed: &'a Embed,
}

fn node(compiled: &Compiled, read: &Read, root: Root, parent: Option<Parent<'_>>, depth: usize) -> Result<Joined> {
    if depth > EMBED_DEPTH_MAX {
        return Err(DatabaseError::new("54001", "stack depth limit exceeded").hint("Embed fewer relations."));
    }
    if let Some(grouping) = &read.grouping {
        return group::node(compiled, read, grouping, root, parent);
    }
    let relation = &read.source.relation;
    let has_junction = parent.as_ref().is_some_and(|parent| parent.embed.junction.is_some());
    let mut children = Vec::with_capacity(read.embeds.len());
    // For each embed its place among the children, or none if it is joined.
    let mut places = Vec::with_capacity(read.embeds.len());
    for (index, embed) in read.embeds.iter().enumerate() {
        if !has_junction
            && read
                .output
                .iter()
                .any(|output| matches!(output, Output::Embed { embed, .. } if *embed == index))
            && is_joined(compiled, read, embed)?
        {
            places.push(None);
            continue;
        }
        places.push(Some(children.len()));
        let child = node(
            compiled,
            &embed.read,
            Root::All,
            Some(Parent { relation, embed }),
            depth + 1,
        )?;
        children.push((child, embed));
    }
    let mut joined: Vec<(RteId, &Embed)> = Vec::new();
    let mut builder = Builder::new(compiled, read.source.access.role());
    let rte = builder.declare(relation);
    let mut selected: Vec<Expr> = Vec::new();
    let mut members = Vec::with_capacity(read.output.len());
    // Plain columns of the relation that are selected already, and where.
    let mut plain: Vec<(ColumnIndex, usize)> = Vec::new();
    for output in &read.output {
        members.push(match output {
            Output::Column { name, field, cast } => {
                let expr = builder.output(rte, relation, field, cast.as_ref())?;
                let kind = kind_of(&expr)?;
                if let (Some(column), true, None) = (field.base.column(), field.path.is_empty(), cast) {
                    plain.push((column, selected.len()));
                }
                selected.push(expr);
                Member::Column {
                    name: name.clone(),
                    key: key_of(name),
                    column: selected.len() - 1,
                    kind,
                }
            }
            Output::Embed { name, embed } => match places[*embed] {
                Some(child) => Member::Embed {
                    name: name.clone(),
                    key: key_of(name),
                    child,
                },
                None => {
                    let embed = &read.embeds[*embed];
                    let rte = builder.declare(&embed.read.source.relation);
                    joined.push((rte, embed));
                    joined_member(&mut builder, name, embed, rte, &mut selected)?
                }
            },
            Output::Spread { embed } => match places[*embed] {
                Some(child) => Member::Spread { child },
                None => return Err(DatabaseError::new("XX000", "a joined embed is spread")),
            },
        });
    }
    let children = children
        .into_iter()
        .map(|(child, embed)| {
            let joins = child
                .joins
                .into_iter()
                .map(|(placeholder, column)| {
                    let known = plain
                        .iter()
                        .find(|(known, _)| *known == column)
                        .map(|(_, place)| *place);
                    let place = known.unwrap_or_else(|| {
                        plain.push((column, selected.len()));
                        selected.push(builder.column(rte, relation, column));
                        selected.len() - 1
                    });
                    (placeholder, place)
                })
                .collect();
            Child {
                node: child.node,
                cardinality: embed.cardinality,
                joins,
            }
        })
        .collect();
    let joined: Vec<JoinedEmbed<'_>> = joined
        .into_iter()
        .map(|(embedded, embed)| JoinedEmbed {
            rte: embedded,
            embed,
            parent: rte,
            parent_relation: relation,
        })
        .collect();
    let keys = select(&mut builder, read, rte, root, parent, &selected, &joined, None)?;
    let mut finished = finished(builder, members, children);
    let first_key = selected.len().max(1);
    finished.node.keys = keys
        .into_iter()
        .enumerate()
        .map(|(index, kind)| (first_key + index, kind))
        .collect();
    Ok(finished)
}

/// The node of a statement that is written.
pub(super) fn finished(builder: Builder<'_>, members: Vec<Member>, children: Vec<Child>) -> Joined {
    let (sql, binds) = builder.finish();
    let joins = binds
        .iter()
        .enumerate()
        .filter_map(|(index, bind)| match bind {
            Bind::Row(column) => Some((index + 1, *column)),
            _ => None,
        })
        .collect();
    Joined {
        node: Node {
            query: Query { sql, binds },
            members,
            children,
            keys: Vec::new(),
        },
        joins,
    }
}

/// An embed that is read by the statement of the rows that it belongs to.
pub(super) struct JoinedEmbed<'a> {
    pub rte: RteId,
    pub embed: &'a Embed,
    pub parent: RteId,
    pub parent_relation: &'a Arc<Relation>,
}

/// What puts rows together, and how the groups are sorted.
pub(super) struct Groups {
    pub keys: Vec<Expr>,
    /// Sort key, descending, nulls first.
    pub order: Vec<(Expr, bool, Option<bool>)>,
}

/// Writes the node's statement. Gives the types of the keys that it selects after everything else.
#[expect(
    clippy::too_many_arguments,
    reason = "the parts of one statement, named at both call sites"
)]
pub(super) fn select(
    builder: &mut Builder<'_>,
    read: &Read,
    rte: RteId,
    root: Root,
    parent: Option<Parent<'_>>,
    selected: &[Expr],
    embeds: &[JoinedEmbed<'_>],
    groups: Option<&Groups>,
) -> Result<Vec<Kind>> {
    builder.sql("SELECT ");
    for (index, expr) in selected.iter().enumerate() {
        if index > 0 {
            builder.sql(", ");
        }
        builder.expr(expr)?;
    }
    if selected.is_empty() {
        builder.sql("1");
    }
    let keys = keyset::select_keys(builder, read, rte)?;
    builder.sql(" FROM ");
    let joined = parent
        .as_ref()
        .map(|parent| bound_columns(parent, &read.source.relation))
        .unwrap_or_default();
    let wanted = match root {
        Root::All | Root::Given => Wanted {
            joined: &joined,
            ..READ
        },
        Root::Rows => WRITTEN,
    };
    if root == Root::Rows {
        builder.sql("json_each(").bind(GIVEN).sql(") AS keys CROSS JOIN ");
    }
    let parent_rte = parent.as_ref().map(|parent| {
        let parent_rte = builder.fresh_rte();
        builder.place(
            parent_rte,
            Rte::Bound {
                relation: Arc::clone(parent.relation),
            },
        );
        parent_rte
    });
    let alias = match (root, &parent, parent_rte) {
        (Root::Given, ..) => given_rows(builder, &read.source.relation, rte),
        (_, Some(parent), Some(parent_rte)) => {
            builder.embedded(parent.embed, (parent.relation, parent_rte), rte, wanted)?
        }
        _ => builder.from(&read.source.relation, rte, wanted)?,
    };
    if root == Root::Rows {
        builder
            .sql(" ON ")
            .alias(alias)
            .sql(".")
            .sql(ROWID)
            .sql(" = keys.value");
    }
    for joined in embeds {
        let embedded = &joined.embed.read;
        builder.sql(" LEFT JOIN ");
        builder.from(&embedded.source.relation, joined.rte, READ)?;
        builder.sql(" ON 1");
        let parent = (joined.parent_relation, joined.parent);
        builder.joined(joined.embed, parent.0, parent.1, joined.rte, None, &mut false)?;
        builder.conditions(embedded, joined.rte, &mut false)?;
    }
    let junction = match &parent {
        Some(Parent { embed, .. }) => builder.junction(embed)?,
        None => None,
    };
    let mut first = true;
    let whole = root == Root::All && parent.is_none();
    if let (Some(Parent { relation, embed }), Some(parent_rte)) = (parent, parent_rte) {
        builder.joined(embed, relation, parent_rte, rte, junction, &mut first)?;
    }
    builder.conditions(read, rte, &mut first)?;
    keyset::after_position(builder, read, rte, &mut first)?;
    match groups {
        Some(groups) => group::tail(builder, groups)?,
        None => order(builder, read, rte, root)?,
    }
    if whole && groups.is_none() && first && read.order.is_empty() && is_bare(read) {
        // Else an index that holds every selected column would decide, and its order is a surprise.
        builder.sql(" ORDER BY ").alias(alias).sql(".").sql(ROWID);
    }
    match (read.limit, read.offset) {
        (None, None) => {}
        (Some(limit), _) => {
            builder.sql(" LIMIT ").bind(Bind::Integer(limit));
        }
        (None, Some(_)) => {
            builder.sql(" LIMIT -1");
        }
    }
    if let Some(offset) = read.offset {
        builder.sql(" OFFSET ").bind(Bind::Integer(offset));
    }
    Ok(keys)
}

/// True if `embed` has at most one row for a row of its parent and nothing of its own to say about it: then it is read
/// by the parent's statement. Running a statement costs as much as finding a row does.
fn is_joined(compiled: &Compiled, parent: &Read, embed: &Embed) -> Result<bool> {
    let read = &embed.read;
    let relation = &read.source.relation;
    let is_plain = embed.cardinality == Cardinality::One
        && read.embeds.is_empty()
        && read.filter.is_none()
        && read.limit.is_none()
        && read.offset.is_none()
        && relation.view.is_none()
        && !read.output.is_empty()
        && read.source.access.role() == parent.source.access.role();
    if !is_plain || !is_unique(embed) {
        return Ok(false);
    }
    if !policy::row_security_applies(compiled.catalog(), read.source.access.role(), relation) {
        return Ok(true);
    }
    // A subquery would keep SQLite from looking the row up where the outer statement stands.
    for policy in &relation.policies {
        for text in policy.using.iter().chain(&policy.check) {
            if walk::has_subquery(&compiled.condition(relation, text)?.expr) {
                return Ok(false);
            }
        }
    }
    Ok(true)
}

/// True if the embed's columns of the join hold a key of its table.
fn is_unique(embed: &Embed) -> bool {
    let (RelationshipKind::ManyToOne { columns, .. } | RelationshipKind::OneToOne { columns, .. }) =
        &embed.relationship.kind
    else {
        return false;
    };
    let relation = &embed.read.source.relation;
    let is_of_join = |key: &ColumnIndex| columns.iter().any(|(_, to)| relation.columns[*key].name == *to);
    relation.constraints.iter().any(|constraint| match &constraint.kind {
        ConstraintKind::PrimaryKey { columns } | ConstraintKind::Unique { columns } => {
            !columns.is_empty() && columns.iter().all(is_of_join)
        }
        _ => false,
    })
}

/// The member of an embed that the parent's statement reads; its columns are appended to `selected`.
pub(super) fn joined_member(
    builder: &mut Builder<'_>,
    name: &Ident,
    embed: &Embed,
    rte: RteId,
    selected: &mut Vec<Expr>,
) -> Result<Member> {
    let relation = &embed.read.source.relation;
    let (RelationshipKind::ManyToOne { columns, .. } | RelationshipKind::OneToOne { columns, .. }) =
        &embed.relationship.kind
    else {
        return Err(DatabaseError::new("XX000", "a joined embed is not to-one"));
    };
    let key = columns.first().and_then(|(_, to)| relation.column(to));
    let (key, _) = key.ok_or_else(|| DatabaseError::new("XX000", "a joined embed has no key"))?;
    let mut presence = None;
    let mut members = Vec::with_capacity(embed.read.output.len());
    for output in &embed.read.output {
        let Output::Column { name, field, cast } = output else {
            return Err(DatabaseError::new("XX000", "a joined embed has embeds"));
        };
        let expr = builder.output(rte, relation, field, cast.as_ref())?;
        let kind = kind_of(&expr)?;
        if field.base.column() == Some(key) && field.path.is_empty() && cast.is_none() {
            presence = Some(selected.len());
        }
        members.push(Member::Column {
            name: name.clone(),
            key: key_of(name),
            column: selected.len(),
            kind,
        });
        selected.push(expr);
    }
    let presence = presence.unwrap_or_else(|| {
        selected.push(builder.column(rte, relation, key));
        selected.len() - 1
    });
    Ok(Member::Joined {
        name: name.clone(),
        key: key_of(name),
        presence,
        members,
    })
}

pub(super) fn kind_of(expr: &Expr) -> Result<Kind> {
    Kind::of(&expr.ty).ok_or_else(|| DatabaseError::unavailable(&format!("type {}", expr.ty), "", 1, None))
}

/// The embed's columns that its join holds equal to columns of the parent's row, where equal values are the same value.
fn bound_columns(parent: &Parent<'_>, relation: &Relation) -> Vec<(ColumnIndex, ColumnIndex)> {
    let (RelationshipKind::ManyToOne { columns, .. }
    | RelationshipKind::OneToMany { columns, .. }
    | RelationshipKind::OneToOne { columns, .. }) = &parent.embed.relationship.kind
    else {
        return Vec::new();
    };
    let found = columns.iter().filter_map(|(from, to)| {
        let (of_parent, from) = parent.relation.column(from)?;
        let (of_embed, to) = relation.column(to)?;
        let is_same = from.ty == to.ty && matches!(to.ty, Type::Int2 | Type::Int4 | Type::Int8 | Type::Uuid);
        (is_same && from.generated.is_none()).then_some((of_embed, of_parent))
    });
    found.collect()
}

fn order(builder: &mut Builder<'_>, read: &Read, rte: RteId, root: Root) -> Result<()> {
    let mut first = true;
    for key in &read.order {
        builder.sql(if first { " ORDER BY " } else { ", " });
        first = false;
        sort_key(builder, read, rte, key)?;
    }
    if root == Root::Rows && first {
        builder.sql(" ORDER BY keys.key");
    }
    Ok(())
}

fn sort_key(builder: &mut Builder<'_>, read: &Read, rte: RteId, key: &Order) -> Result<()> {
    let relation = &read.source.relation;
    let (ty, may_be_null) = match &key.target {
        OrderTarget::Field(field) => {
            let expr = builder.field(rte, relation, field)?;
            builder.expr(&expr)?;
            let is_declared = field
                .base
                .column()
                .is_some_and(|column| relation.columns[column].not_null);
            (
                expr.ty,
                !is_declared || !field.path.is_empty() || relation.kind.is_view(),
            )
        }
        OrderTarget::Related { embed, field } => (builder.related(Subject::of_read(read, rte), *embed, field)?, true),
    };
    if matches!(ty.base(), Type::Json) {
        return Err(
            DatabaseError::new("42883", "could not identify an ordering operator for type json")
                .hint("Use an explicit ordering operator or modify the query."),
        );
    }
    if let Some(collation) = collation(&ty) {
        builder.sql(" COLLATE ").ident(&collation.name());
    }
    builder.sql(if key.descending { " DESC" } else { "" });
    // Said of a column without nulls, it would only keep SQLite from walking the table in the key's order.
    if may_be_null {
        let nulls_first = key.nulls_first.unwrap_or(key.descending);
        builder.sql(if nulls_first { " NULLS FIRST" } else { " NULLS LAST" });
    }
    Ok(())
}

/// How the rows are counted.
///
/// `planned` and `estimated` are exact up to a bound. Beyond it a table that the role reads whole is estimated from a
/// sample of its rows; anything else is counted, because an estimate must not depend on rows that the caller may not see.
fn counting(compiled: &Compiled, read: &Read) -> Result<CountPlan> {
    let cap = match read.count {
        Count::None => return Ok(CountPlan::None),
        _ if read.limit.is_none() && read.offset.is_none() && keyset::position(read).is_none() => {
            return Ok(CountPlan::Rows);
        }
        Count::Exact => return Ok(CountPlan::Query(exact_count(compiled, read)?)),
        Count::Planned => CountCap::Fixed(PLANNED_ROWS_EXACT),
        Count::Estimated => CountCap::Response,
    };
    let mut builder = Builder::new(compiled, read.source.access.role());
    builder.sql("SELECT count(*) FROM (SELECT 1 FROM ");
    matching(&mut builder, read)?;
    builder.sql(" LIMIT ").bind(GIVEN).sql(")");
    let (sql, binds) = builder.finish();
    let otherwise = if is_seen_whole(compiled, read) {
        sampled_count(compiled, read)?
    } else {
        exact_count(compiled, read)?
    };
    Ok(CountPlan::Bounded {
        count: Query { sql, binds },
        otherwise,
        cap,
    })
}

/// True for a table that the role reads without policies.
fn is_bare(read: &Read) -> bool {
    read.source.access.guard() == Guard::Open && !read.source.relation.kind.is_view()
}

/// True for a table none of whose rows are hidden from the role.
fn is_seen_whole(compiled: &Compiled, read: &Read) -> bool {
    let relation = &read.source.relation;
    if relation.kind.is_view() || system::is_system(relation) {
        return false;
    }
    if is_bare(read) {
        return true;
    }
    let role = read.source.access.role();
    let parts = policy::applicable(compiled.catalog(), role, relation, PolicyCommand::Select);
    let always = |policy: &&Policy| {
        policy
            .using
            .as_deref()
            .is_some_and(|text| compiled.always_holds(relation, text))
    };
    parts.restrictive.is_empty() && parts.permissive.iter().any(always)
}

fn exact_count(compiled: &Compiled, read: &Read) -> Result<Query> {
    let mut builder = Builder::new(compiled, read.source.access.role());
    builder.sql("SELECT count(*) FROM ");
    matching(&mut builder, read)?;
    let (sql, binds) = builder.finish();
    Ok(Query { sql, binds })
}

/// An estimate from rows at [`SAMPLE_ROWS`] places of the table, one in each of as many parts of equal width, somewhere
/// in it. A place without a row is one that does not match, so that gaps do no harm. A small table is counted, and so is
/// one of which the sample says next to nothing.
fn sampled_count(compiled: &Compiled, read: &Read) -> Result<Query> {
    let relation = &read.source.relation;
    let mut builder = Builder::new(compiled, read.source.access.role());
    builder
        .sql("WITH RECURSIVE ms_end(low, high) AS (SELECT (SELECT min(_rowid_) FROM ")
        .object(&relation.name)
        .sql("), (SELECT max(_rowid_) FROM ")
        .object(&relation.name)
        .sql(")), ms_span(low, width) AS (SELECT low, high - low + 1 FROM ms_end), ms_part(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM ms_part WHERE i < ")
        .number(SAMPLE_ROWS - 1)
        .sql("), ms_sample(hits) AS (SELECT count(*) FROM ");
    let rte = builder.declare(relation);
    let wanted = Wanted { rowid: true, ..READ };
    let alias = builder.from(relation, rte, wanted)?;
    builder
        .sql(" WHERE ")
        .alias(alias)
        .sql(".")
        .sql(ROWID)
        // The place in a part by Knuth's multiplicative hash of its number.
        .sql(" IN (SELECT low + (i * width + i * 2654435761 % 1000003 * width / 1000003) / ")
        .number(SAMPLE_ROWS)
        .sql(" FROM ms_part, ms_span)");
    builder.conditions(read, rte, &mut false)?;
    builder
        .sql(") SELECT CASE WHEN width BETWEEN ")
        .number(SAMPLED_WIDTH_MIN)
        .sql(" AND ")
        .number(SAMPLED_WIDTH_MAX)
        .sql(" AND (SELECT hits FROM ms_sample) >= ")
        .number(SAMPLE_HITS_MIN)
        .sql(" THEN (SELECT hits FROM ms_sample) * width / ")
        .number(SAMPLE_ROWS)
        .sql(" ELSE (SELECT count(*) FROM ");
    matching(&mut builder, read)?;
    builder.sql(") END FROM ms_span");
    let (sql, binds) = builder.finish();
    Ok(Query { sql, binds })
}

/// The relation and its conditions.
fn matching(builder: &mut Builder<'_>, read: &Read) -> Result<()> {
    let rte = builder.declare(&read.source.relation);
    builder.from(&read.source.relation, rte, READ)?;
    builder.conditions(read, rte, &mut true)
}

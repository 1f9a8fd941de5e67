//! `INSERT`, `UPDATE` and `DELETE`.

use mainstay_core::name::Ident;
use pg_query::NodeEnum;
use pg_query::protobuf::{self, Node, OnConflictAction, OverridingKind, RangeVar};

use super::expr::{expression, optional};
use super::names::relation;
use super::query::{from_item, select_items, subquery, with};
use super::{Context, Converted, kind, required};
use crate::ast::{
    Assignment, ConflictAction, ConflictTarget, Delete, Expr, ExprKind, Insert, ObjectName, OnConflict, Overriding,
    SelectItem, Update,
};

pub(super) fn insert(insert: &protobuf::InsertStmt, ctx: &Context<'_>) -> Converted<Insert> {
    let (table, alias) = target(insert.relation.as_ref(), ctx)?;
    let mut columns = Vec::with_capacity(insert.cols.len());
    for node in &insert.cols {
        if let NodeEnum::ResTarget(column) = kind(node)? {
            no_indirection(column, ctx)?;
            columns.push((Ident::new(&column.name), ctx.position(column.location)));
        }
    }
    Ok(Insert {
        with: with(insert.with_clause.as_ref(), ctx)?,
        table,
        alias,
        columns,
        source: match &insert.select_stmt {
            Some(source) => Some(subquery(source, ctx)?),
            None => None,
        },
        overriding: match insert.r#override() {
            OverridingKind::OverridingUserValue => Some(Overriding::User),
            OverridingKind::OverridingSystemValue => Some(Overriding::System),
            _ => None,
        },
        on_conflict: match &insert.on_conflict_clause {
            Some(clause) => Some(on_conflict(clause, ctx)?),
            None => None,
        },
        returning: returning(insert.returning_clause.as_ref(), ctx)?,
    })
}

pub(super) fn update(update: &protobuf::UpdateStmt, ctx: &Context<'_>) -> Converted<Update> {
    let (table, alias) = target(update.relation.as_ref(), ctx)?;
    Ok(Update {
        with: with(update.with_clause.as_ref(), ctx)?,
        table,
        alias,
        assignments: assignments(&update.target_list, ctx)?,
        from: update
            .from_clause
            .iter()
            .map(|node| from_item(node, ctx))
            .collect::<Converted<_>>()?,
        filter: optional(&update.where_clause, ctx)?,
        returning: returning(update.returning_clause.as_ref(), ctx)?,
    })
}

pub(super) fn delete(delete: &protobuf::DeleteStmt, ctx: &Context<'_>) -> Converted<Delete> {
    let (table, alias) = target(delete.relation.as_ref(), ctx)?;
    Ok(Delete {
        with: with(delete.with_clause.as_ref(), ctx)?,
        table,
        alias,
        using: delete
            .using_clause
            .iter()
            .map(|node| from_item(node, ctx))
            .collect::<Converted<_>>()?,
        filter: optional(&delete.where_clause, ctx)?,
        returning: returning(delete.returning_clause.as_ref(), ctx)?,
    })
}

fn target(var: Option<&RangeVar>, ctx: &Context<'_>) -> Converted<(ObjectName, Option<Ident>)> {
    let Some(var) = var else {
        return Err(mainstay_core::error::DatabaseError::new(
            "XX000",
            "the parser left out a table",
        ));
    };
    Ok((
        relation(ctx, var),
        var.alias.as_ref().map(|alias| Ident::new(&alias.aliasname)),
    ))
}

fn no_indirection(column: &protobuf::ResTarget, ctx: &Context<'_>) -> Converted<()> {
    if column.indirection.is_empty() {
        return Ok(());
    }
    Err(ctx.refuse(
        "assignment to a part of a column",
        column.location,
        Some("assign the whole value"),
    ))
}

fn returning(clause: Option<&protobuf::ReturningClause>, ctx: &Context<'_>) -> Converted<Vec<SelectItem>> {
    let Some(clause) = clause else { return Ok(Vec::new()) };
    if !clause.options.is_empty() {
        return Err(ctx.refuse("RETURNING WITH (newer than PostgreSQL 15)", -1, None));
    }
    select_items(&clause.exprs, ctx)
}

fn assignments(nodes: &[Node], ctx: &Context<'_>) -> Converted<Vec<Assignment>> {
    let mut found: Vec<Assignment> = Vec::with_capacity(nodes.len());
    for node in nodes {
        let NodeEnum::ResTarget(column) = kind(node)? else {
            continue;
        };
        no_indirection(column, ctx)?;
        let name = Ident::new(&column.name);
        let position = ctx.position(column.location);
        let value = required(&column.val)?;
        if let NodeEnum::MultiAssignRef(part) = kind(value)? {
            if part.colno == 1 {
                let value = expression(required(&part.source)?, ctx)?;
                found.push(Assignment::Multiple {
                    columns: vec![(name, position)],
                    value,
                });
            } else if let Some(Assignment::Multiple { columns, .. }) = found.last_mut() {
                columns.push((name, position));
            }
            continue;
        }
        found.push(Assignment::Single {
            column: name,
            value: expression(value, ctx)?,
            position,
        });
    }
    Ok(found)
}

fn on_conflict(clause: &protobuf::OnConflictClause, ctx: &Context<'_>) -> Converted<OnConflict> {
    let target = match &clause.infer {
        None => None,
        Some(infer) if !infer.conname.is_empty() => Some(ConflictTarget::Constraint {
            name: Ident::new(&infer.conname),
            position: ctx.position(infer.location),
        }),
        Some(infer) => {
            let mut elements = Vec::with_capacity(infer.index_elems.len());
            for node in &infer.index_elems {
                let NodeEnum::IndexElem(element) = kind(node)? else {
                    continue;
                };
                elements.push(match &element.expr {
                    Some(expr) => expression(expr, ctx)?,
                    None => Expr {
                        kind: ExprKind::Column(vec![Ident::new(&element.name)]),
                        position: 0,
                    },
                });
            }
            Some(ConflictTarget::Columns {
                elements,
                filter: optional(&infer.where_clause, ctx)?,
                position: ctx.position(infer.location),
            })
        }
    };
    let action = match clause.action() {
        OnConflictAction::OnconflictUpdate => ConflictAction::Update {
            assignments: assignments(&clause.target_list, ctx)?,
            filter: optional(&clause.where_clause, ctx)?,
        },
        _ => ConflictAction::Nothing,
    };
    Ok(OnConflict {
        target,
        action,
        position: ctx.position(clause.location),
    })
}

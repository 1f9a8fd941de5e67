//! Set operations, and casts of whole queries.

use mainstay_core::error::DatabaseError;
use mainstay_core::types::{Type, TypeModifier};

use super::Result;
use super::coerce::{self, common_type, place};
use super::from::column_expr;
use super::scope::{EntryColumn, Level, State};
use crate::ast;
use crate::typed::{
    CastContext, Distinct, Expr, ExprKind, FromItem, OutputColumn, Query, Select, SetExpression, Target,
};

impl State<'_> {
    /// A part of a set operation, each SELECT on a level of its own.
    pub(super) fn set_expression(
        &mut self,
        written: &ast::SetExpression,
        settle: bool,
    ) -> Result<(SetExpression, Vec<OutputColumn>)> {
        match written {
            ast::SetExpression::Select(select) => self.nested(Level::default(), |state| {
                let (select, _, columns) = state.select(select, &[], settle)?;
                Ok((SetExpression::Select(Box::new(select)), columns))
            }),
            ast::SetExpression::Values(rows) => self.values(rows, settle),
            ast::SetExpression::Query(query) => {
                let query = self.nested(Level::default(), |state| state.query(query, settle))?;
                let columns = query.columns.clone();
                Ok((SetExpression::Query(Box::new(query)), columns))
            }
            ast::SetExpression::Operation {
                operator,
                all,
                left,
                right,
            } => self.operation(*operator, *all, left, right),
        }
    }

    fn operation(
        &mut self,
        operator: ast::SetOperator,
        all: bool,
        left: &ast::SetExpression,
        right: &ast::SetExpression,
    ) -> Result<(SetExpression, Vec<OutputColumn>)> {
        let name = operator.sql();
        let (mut left, left_columns) = self.set_expression(left, false)?;
        let (mut right, right_columns) = self.set_expression(right, false)?;
        if left_columns.len() != right_columns.len() {
            let message = format!("each {name} query must have the same number of columns");
            let at = first_expr(&right, 0).map_or(0, |expr| expr.position);
            return Err(place(DatabaseError::new("42601", message), at));
        }
        let mut types = Vec::with_capacity(left_columns.len());
        let mut columns = Vec::with_capacity(left_columns.len());
        for (at, (a, b)) in left_columns.iter().zip(&right_columns).enumerate() {
            let stand_in = |side: &SetExpression, column: &OutputColumn| {
                let position = first_expr(side, at).map_or(0, |expr| expr.position);
                Expr::new(ExprKind::Output(at), column.ty.clone()).at(position)
            };
            let (x, y) = (stand_in(&left, a), stand_in(&right, b));
            let ty = common_type(&[&x, &y], name)?;
            if !all || operator != ast::SetOperator::Union {
                self.equatable(&ty, x.position)?;
            }
            let modifier = if a.modifier == b.modifier && a.ty == b.ty {
                a.modifier
            } else {
                TypeModifier::None
            };
            columns.push(OutputColumn {
                name: a.name.clone(),
                ty: ty.clone(),
                modifier,
                source: None,
            });
            types.push(ty);
        }
        self.coerce_set(&mut left, &left_columns, &types, CastContext::Implicit)?;
        self.coerce_set(&mut right, &right_columns, &types, CastContext::Implicit)?;
        let body = SetExpression::Operation {
            operator,
            all,
            left: Box::new(left),
            right: Box::new(right),
            columns: columns.clone(),
        };
        Ok((body, columns))
    }

    /// Casts a query's columns; one of the type that is wanted without a modifier keeps its own. The caller knows that the
    /// casts exist.
    pub(super) fn coerce_query(
        &mut self,
        query: &mut Query,
        wanted: impl Iterator<Item = (Type, TypeModifier)>,
        context: CastContext,
    ) -> Result<()> {
        let wanted: Vec<(Type, TypeModifier)> = wanted
            .zip(&query.columns)
            .map(|((ty, modifier), column)| match modifier {
                TypeModifier::None if ty == column.ty => (ty, column.modifier),
                modifier => (ty, modifier),
            })
            .collect();
        self.coerce_columns(query, &wanted, context)
    }

    /// Casts a query's columns to types with modifiers.
    pub(super) fn coerce_columns(
        &mut self,
        query: &mut Query,
        wanted: &[(Type, TypeModifier)],
        context: CastContext,
    ) -> Result<()> {
        self.coerce_unknown(&mut query.body, wanted)?;
        for (column, (ty, _)) in query.columns.iter_mut().zip(wanted) {
            if column.ty == Type::Unknown {
                column.ty = ty.clone();
            }
        }
        let done = |(column, (ty, modifier)): (&OutputColumn, &(Type, TypeModifier))| {
            column.ty == *ty && (*modifier == TypeModifier::None || column.modifier == *modifier)
        };
        if query.columns.iter().zip(wanted).all(done) {
            return Ok(());
        }
        let plain = query.order.is_empty() && query.limit.is_none() && query.offset.is_none();
        let direct = match &query.body {
            SetExpression::Select(select) => plain && matches!(select.distinct, Distinct::All),
            SetExpression::Values(_) => plain,
            _ => false,
        };
        if !direct {
            self.wrap(query);
        }
        let cast = |state: &Self, expr: &mut Expr, at: usize| -> Result<()> {
            let (ty, modifier) = &wanted[at];
            let taken = std::mem::replace(expr, Expr::null());
            *expr = coerce::cast(state.catalog, taken, ty, *modifier, context)?;
            Ok(())
        };
        match &mut query.body {
            SetExpression::Select(select) => {
                for (at, target) in select.target.iter_mut().enumerate() {
                    cast(self, &mut target.expr, at)?;
                }
                for (column, target) in query.columns.iter_mut().zip(&select.target) {
                    column.ty = target.expr.ty.clone();
                    column.modifier = target.expr.modifier;
                    column.source = column
                        .source
                        .take()
                        .filter(|_| matches!(target.expr.kind, ExprKind::Column { .. }));
                }
            }
            SetExpression::Values(rows) => {
                for row in rows {
                    for (at, expr) in row.iter_mut().enumerate() {
                        cast(self, expr, at)?;
                    }
                }
                for (column, (ty, modifier)) in query.columns.iter_mut().zip(wanted) {
                    column.ty = ty.clone();
                    column.modifier = *modifier;
                }
            }
            _ => return Err(DatabaseError::new("XX000", "a query could not be cast")),
        }
        Ok(())
    }

    /// Casts one side of a set operation.
    pub(super) fn coerce_set(
        &mut self,
        body: &mut SetExpression,
        columns: &[OutputColumn],
        types: &[Type],
        context: CastContext,
    ) -> Result<()> {
        let wanted: Vec<(Type, TypeModifier)> = types.iter().map(|ty| (ty.clone(), TypeModifier::None)).collect();
        self.coerce_unknown(body, &wanted)?;
        if columns
            .iter()
            .zip(types)
            .all(|(column, ty)| column.ty == *ty || column.ty == Type::Unknown)
        {
            return Ok(());
        }
        let taken = std::mem::replace(body, SetExpression::Values(Vec::new()));
        let columns = columns
            .iter()
            .zip(types)
            .map(|(column, ty)| OutputColumn {
                ty: if column.ty == Type::Unknown {
                    ty.clone()
                } else {
                    column.ty.clone()
                },
                ..column.clone()
            })
            .collect();
        let mut query = Query {
            ctes: Vec::new(),
            recursive: false,
            body: taken,
            order: Vec::new(),
            limit: None,
            offset: None,
            columns,
        };
        self.coerce_columns(&mut query, &wanted, context)?;
        *body = query.body;
        Ok(())
    }

    /// Literals and parameters that are still `unknown` take their type where they stand.
    fn coerce_unknown(&mut self, body: &mut SetExpression, wanted: &[(Type, TypeModifier)]) -> Result<()> {
        let settle = |state: &mut Self, expr: &mut Expr, at: usize| -> Result<()> {
            if expr.ty == Type::Unknown {
                let (ty, _) = &wanted[at];
                state.note_parameter(expr, ty);
                let taken = std::mem::replace(expr, Expr::null());
                *expr = coerce::cast(state.catalog, taken, ty, TypeModifier::None, CastContext::Implicit)?;
            }
            Ok(())
        };
        match body {
            SetExpression::Select(select) => {
                for (at, target) in select.target.iter_mut().enumerate() {
                    settle(self, &mut target.expr, at)?;
                }
            }
            SetExpression::Values(rows) => {
                for row in rows {
                    for (at, expr) in row.iter_mut().enumerate() {
                        settle(self, expr, at)?;
                    }
                }
            }
            SetExpression::Query(query) => {
                self.coerce_unknown(&mut query.body, wanted)?;
                for (column, (ty, _)) in query.columns.iter_mut().zip(wanted) {
                    if column.ty == Type::Unknown {
                        column.ty = ty.clone();
                    }
                }
            }
            SetExpression::Operation { .. } => {}
        }
        Ok(())
    }

    /// Makes `query` a subquery of a SELECT of all its columns, so that casts come after its ORDER BY and DISTINCT.
    fn wrap(&mut self, query: &mut Query) {
        let columns = query.columns.clone();
        let alias = mainstay_core::name::Ident::new("unnamed_subquery");
        let entry = columns
            .iter()
            .map(|column| EntryColumn {
                name: column.name.clone(),
                source: column.source.clone(),
            })
            .collect();
        let rte = self.add_entry(alias.clone(), entry, None);
        let target = columns
            .iter()
            .enumerate()
            .map(|(at, column)| Target {
                name: column.name.clone(),
                expr: column_expr(rte, at, &column.ty, column.modifier),
            })
            .collect();
        let select = Select {
            distinct: Distinct::All,
            target,
            from: Vec::new(),
            filter: None,
            group_by: Vec::new(),
            having: None,
            is_aggregate: false,
        };
        let outer = Query {
            ctes: Vec::new(),
            recursive: false,
            body: SetExpression::Select(Box::new(select)),
            order: Vec::new(),
            limit: None,
            offset: None,
            columns,
        };
        let inner = std::mem::replace(query, outer);
        if let SetExpression::Select(select) = &mut query.body {
            select.from.push(FromItem::Subquery {
                rte,
                alias,
                query: Box::new(inner),
                lateral: false,
            });
        }
    }
}

/// The expression of column `at` in the first row or SELECT of a body.
pub(super) fn first_expr(body: &SetExpression, at: usize) -> Option<&Expr> {
    match body {
        SetExpression::Select(select) => select.target.get(at).map(|target| &target.expr),
        SetExpression::Values(rows) => rows.first().and_then(|row| row.get(at)),
        SetExpression::Query(query) => first_expr(&query.body, at),
        SetExpression::Operation { left, .. } => first_expr(left, at),
    }
}

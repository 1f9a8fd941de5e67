//! Arrays: subscripts, slices, `ARRAY(SELECT …)`. Lists of values (`ARRAY[…]`) are in `expr`.
//!
//! Source: PostgreSQL 15 manual, 8.15 and 4.2.12. One dimension whose subscripts begin at 1.

use mainstay_core::error::DatabaseError;
use mainstay_core::types::Type;

use super::Result;
use super::coerce::{self, place};
use super::expr::literal_expr;
use super::functions::ARRAY_SLICE;
use super::scope::State;
use crate::ast;
use crate::typed::{CastContext, Expr, ExprKind, Literal};

/// A slice's bounds where none are written: they are cut to the array's own.
const FIRST: i64 = 1;
const LAST: i64 = i32::MAX as i64;

impl State<'_> {
    pub(super) fn subscript(&mut self, inner: &ast::Expr, index: &ast::Expr, position: u32) -> Result<Expr> {
        let (inner, index) = (self.expr(inner)?, self.expr(index)?);
        match inner.ty.base().clone() {
            Type::Array(element) => {
                let index = self.bound(index)?;
                let modifier = inner.modifier;
                let kind = ExprKind::Subscript {
                    expr: Box::new(inner),
                    index: Box::new(index),
                };
                Ok(Expr {
                    modifier,
                    ..Expr::new(kind, *element)
                })
            }
            Type::Jsonb => {
                let wanted = if index.ty.is_integer() { Type::Int4 } else { Type::Text };
                self.note_parameter(&index, &wanted);
                let (from, at) = (index.ty.clone(), index.position);
                let Some(index) = coerce::to_type(self.catalog, index, &wanted, CastContext::Implicit)? else {
                    let message = format!("subscript type {from} is not supported");
                    let hint = "jsonb subscript must be coercible to either integer or text.";
                    return Err(place(DatabaseError::new("42804", message).hint(hint), at));
                };
                let kind = ExprKind::Subscript {
                    expr: Box::new(inner),
                    index: Box::new(index),
                };
                Ok(Expr::new(kind, Type::Jsonb))
            }
            // `a[1][2]`: null on an array of one dimension, of which this one would have two.
            _ if matches!(inner.kind, ExprKind::Subscript { .. }) => {
                Err(self.refuse("several subscripts of an array", "", Some("jsonb"), position))
            }
            other => {
                let message = format!("cannot subscript type {other} because it does not support subscripting");
                Err(place(DatabaseError::new("42804", message), position))
            }
        }
    }

    fn bound(&mut self, index: Expr) -> Result<Expr> {
        self.note_parameter(&index, &Type::Int4);
        coerce::argument(self.catalog, index, "array subscript", &Type::Int4).map_err(|error| {
            match error.sqlstate.as_str() {
                "42804" => DatabaseError {
                    message: "array subscript must have type integer".to_owned(),
                    ..error
                },
                _ => error,
            }
        })
    }

    /// `a[low:high]`.
    pub(super) fn slice(
        &mut self,
        inner: &ast::Expr,
        low: Option<&ast::Expr>,
        high: Option<&ast::Expr>,
        position: u32,
    ) -> Result<Expr> {
        let is_of_element = matches!(inner.kind, ast::ExprKind::Subscript { .. });
        let inner = self.expr(inner)?;
        match inner.ty.base() {
            Type::Array(_) if matches!(inner.kind, ExprKind::Function { function, .. } if function.name == ARRAY_SLICE.name) =>
            {
                return Err(self.refuse("several subscripts of an array", "", Some("jsonb"), position));
            }
            Type::Array(_) => {}
            Type::Jsonb => {
                let error = DatabaseError::new("42804", "jsonb subscript does not support slices");
                return Err(place(error, position));
            }
            _ if is_of_element => {
                return Err(self.refuse("several subscripts of an array", "", Some("jsonb"), position));
            }
            other => {
                let message = format!("cannot subscript type {other} because it does not support subscripting");
                return Err(place(DatabaseError::new("42804", message), position));
            }
        }
        let mut bounds = Vec::with_capacity(2);
        for (written, open) in [(low, FIRST), (high, LAST)] {
            bounds.push(match written {
                Some(written) => {
                    let bound = self.expr(written)?;
                    self.bound(bound)?
                }
                None => literal_expr(Literal::Integer(open), Type::Int4),
            });
        }
        let (ty, modifier) = (inner.ty.base().clone(), inner.modifier);
        let mut arguments = vec![inner];
        arguments.append(&mut bounds);
        let kind = ExprKind::Function {
            function: &ARRAY_SLICE,
            arguments,
        };
        Ok(Expr {
            modifier,
            ..Expr::new(kind, ty)
        })
    }

    /// `ARRAY(SELECT …)`.
    pub(super) fn array_subquery(&mut self, query: &ast::Query, position: u32) -> Result<Expr> {
        let query = self.subquery(query)?;
        let [column] = query.columns.as_slice() else {
            let error = DatabaseError::new("42601", "subquery must return only one column");
            return Err(place(error, position));
        };
        let ty = column.ty.clone();
        self.element_type(&ty, position)?;
        Ok(Expr::new(
            ExprKind::ArraySubquery(Box::new(query)),
            Type::Array(Box::new(ty)),
        ))
    }

    /// Errors: 0A000 for elements that are arrays or rows themselves.
    pub(super) fn element_type(&self, ty: &Type, position: u32) -> Result<()> {
        match ty.base() {
            Type::Array(_) => Err(self.refuse("arrays of more than one dimension", "", Some("jsonb"), position)),
            Type::Citext => Err(self.refuse("arrays of citext", "", Some("a cast to text"), position)),
            Type::Record | Type::Composite(_) => Err(self.refuse("arrays of rows", "", Some("jsonb_agg"), position)),
            _ => Ok(()),
        }
    }
}

//! `LANGUAGE sql` routines: their bodies in place of calls, or by themselves for RPC.
//!
//! Inside a body a column's name wins over a parameter's, as in PostgreSQL.

use std::sync::Arc;

use mainstay_core::catalog::Routine;
use mainstay_core::error::DatabaseError;
use mainstay_core::types::{Type, TypeModifier};

use super::Result;
use super::coerce::place;
use super::expr::literal_expr;
use super::scope::{Arguments, Level, State};
use crate::ast;
use crate::parse;
use crate::typed::{CastContext, Expr, ExprKind, Literal, OutputColumn, Query, RoutineCall, SetExpression, Statement};

/// Calls within calls; beyond it a routine calls itself.
const ROUTINE_DEPTH_MAX: usize = 16;

impl State<'_> {
    /// A scalar call as an expression.
    pub fn routine_call(&mut self, routine: &Arc<Routine>, arguments: Vec<Expr>, position: u32) -> Result<Expr> {
        let tests: Vec<Expr> = arguments
            .iter()
            .map(|argument| {
                let kind = ExprKind::IsNull {
                    expr: Box::new(argument.clone()),
                    negated: false,
                };
                Expr::new(kind, Type::Bool)
            })
            .collect();
        let body = self.inline(routine, arguments, position)?;
        let ty = routine.returns.ty.clone();
        let call = RoutineCall {
            routine: routine.clone(),
            body,
        };
        let call = Expr::new(ExprKind::Routine(Box::new(call)), ty.clone()).at(position);
        if !routine.strict || tests.is_empty() {
            return Ok(call);
        }
        let any_null = match <[Expr; 1]>::try_from(tests) {
            Ok([only]) => only,
            Err(tests) => Expr::new(ExprKind::Or(tests), Type::Bool),
        };
        let null = literal_expr(Literal::Null, ty.clone());
        let kind = ExprKind::Case {
            whens: vec![(any_null, null)],
            otherwise: Some(Box::new(call)),
        };
        Ok(Expr::new(kind, ty).at(position))
    }

    /// A call in FROM that gives rows.
    pub fn routine_rows(&mut self, routine: &Arc<Routine>, arguments: Vec<Expr>, position: u32) -> Result<RoutineCall> {
        let body = self.inline(routine, arguments, position)?;
        Ok(RoutineCall {
            routine: routine.clone(),
            body,
        })
    }

    /// The body as a query, for a routine that is one SELECT.
    fn inline(&mut self, routine: &Arc<Routine>, arguments: Vec<Expr>, position: u32) -> Result<Query> {
        let within = |error: DatabaseError| {
            place(
                DatabaseError {
                    position: None,
                    ..error
                },
                position,
            )
        };
        match self.routine_body(routine, arguments).map_err(within)? {
            Statement::Query(query) => Ok(*query),
            _ => Err(self.refuse(
                "a function that writes, called within a query",
                &routine.name.name,
                Some("call it by RPC"),
                position,
            )),
        }
    }

    /// The one statement of a routine's body, its parameters replaced by `arguments`; a query's columns have the
    /// declared types.
    pub fn routine_body(&mut self, routine: &Arc<Routine>, arguments: Vec<Expr>) -> Result<Statement> {
        let name = &routine.name.name;
        if routine.language != *"sql" {
            let feature = format!("LANGUAGE {}", routine.language);
            return Err(self.refuse(&feature, name, Some("LANGUAGE sql"), 0));
        }
        if self.routine_depth >= ROUTINE_DEPTH_MAX {
            return Err(DatabaseError::new("54001", "stack depth limit exceeded"));
        }
        let statements = parse::kept(&routine.body)?;
        let [statement] = statements.as_slice() else {
            return Err(self.refuse("a function of several statements", name, Some("one statement"), 0));
        };
        let values = routine
            .arguments
            .iter()
            .zip(arguments)
            .map(|(argument, value)| (argument.name.clone(), value))
            .collect();
        let level = Level {
            barrier: true,
            arguments: Arc::new(Arguments {
                routine: Some(name.clone()),
                values,
            }),
            ..Level::default()
        };
        let path = std::mem::replace(&mut self.search_path, routine.search_path.clone());
        self.routine_depth += 1;
        let result = self.nested(level, |state| match &statement.ast {
            ast::Statement::Query(query) => {
                let mut query = state.subquery_unsettled(query)?;
                state.returned(routine, &mut query)?;
                Ok(Statement::Query(Box::new(query)))
            }
            ast::Statement::Insert(insert) => Ok(Statement::Insert(Box::new(state.insert(insert)?))),
            ast::Statement::Update(update) => Ok(Statement::Update(Box::new(state.update(update)?))),
            ast::Statement::Delete(delete) => Ok(Statement::Delete(Box::new(state.delete(delete)?))),
            _ => Err(state.refuse("this statement in a function", name, None, 0)),
        });
        self.routine_depth -= 1;
        self.search_path = path;
        result
    }

    /// Casts a body's result to what the routine is declared to return. Errors: 42P13.
    fn returned(&mut self, routine: &Routine, query: &mut Query) -> Result<()> {
        let returns = &routine.returns;
        if returns.ty == Type::Void {
            return Ok(());
        }
        let mismatch = |detail: String| {
            let message = format!("return type mismatch in function declared to return {}", returns.ty);
            DatabaseError::new("42P13", message).detail(detail)
        };
        let columns: Vec<(mainstay_core::name::Ident, Type)> = if !returns.columns.is_empty() {
            returns.columns.clone()
        } else if let Some(relation) = returns.relation.as_ref().and_then(|name| self.catalog.relation(name)) {
            relation
                .columns
                .iter()
                .map(|column| (column.name.clone(), column.ty.clone()))
                .collect()
        } else {
            vec![(routine.name.name.clone(), returns.ty.clone())]
        };
        if columns.len() != query.columns.len() {
            let detail = match columns.len() {
                1 => "Final statement must return exactly one column.".to_owned(),
                _ if columns.len() > query.columns.len() => "Final statement returns too few columns.".to_owned(),
                _ => "Final statement returns too many columns.".to_owned(),
            };
            return Err(mismatch(detail));
        }
        for (have, (_, want)) in query.columns.iter().zip(&columns) {
            let allowed =
                have.ty == Type::Unknown || super::casts::pathway(&have.ty, want, CastContext::Assignment).is_some();
            if !allowed {
                return Err(mismatch(format!("Actual return type is {}.", have.ty)));
            }
        }
        let types: Vec<Type> = columns.iter().map(|(_, ty)| ty.clone()).collect();
        self.coerce_query(query, &types, CastContext::Assignment)?;
        for (column, (name, ty)) in query.columns.iter_mut().zip(columns) {
            *column = OutputColumn {
                name,
                ty,
                modifier: TypeModifier::None,
                source: column.source.clone(),
            };
        }
        if let SetExpression::Select(select) = &mut query.body {
            for (target, column) in select.target.iter_mut().zip(&query.columns) {
                target.name = column.name.clone();
            }
        }
        Ok(())
    }
}

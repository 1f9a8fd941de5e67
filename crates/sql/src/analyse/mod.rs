//! From what was written to what it means: names resolved against a catalog, types by PostgreSQL's rules.
//!
//! Lives here: scopes, star expansion, operator and function resolution, casts, grouping, provenance of columns.
//! Not here: privileges and policies (`mainstay_core::policy` and the engines), DDL (`ddl`), any engine's SQL.
//! Errors have PostgreSQL's SQLSTATE, message and position.
//!
//! Source: PostgreSQL 15 manual, chapters 7, 10 (type conversion) and 11; messages as the server words them.

pub mod aggregates;
pub mod functions;
pub mod kinds;
pub mod operators;

use std::sync::Arc;

use mainstay_core::catalog::{Catalog, Relation, Routine};
use mainstay_core::error::DatabaseError;
use mainstay_core::types::{Type, TypeModifier};

use crate::ast;
use crate::session::Session;
use crate::typed::{BoundExpression, CastContext, Delete, Expr, Insert, Query, Statement, Update};

/// The result of every analysis.
pub type Result<T> = std::result::Result<T, DatabaseError>;

/// Analyses statements and expressions against one catalog.
pub struct Analyser<'a> {
    catalog: &'a Catalog,
    session: &'a Session,
    first_rte: u32,
    parameters: Vec<Type>,
}

impl<'a> Analyser<'a> {
    /// An analyser whose names are looked up by `session`'s search path.
    pub fn new(catalog: &'a Catalog, session: &'a Session) -> Self {
        Analyser { catalog, session, first_rte: 0, parameters: Vec::new() }
    }

    /// Numbers range table entries from `first`, so that several fragments can be one statement.
    pub fn starting_at(mut self, first: u32) -> Self {
        self.first_rte = first;
        self
    }

    /// Declares the types of `$1`, `$2` …; undeclared ones (and `unknown`) take the type of their first use.
    pub fn with_parameters(mut self, types: Vec<Type>) -> Self {
        self.parameters = types;
        self
    }

    /// The number that the next range table entry would get.
    pub fn next_rte(&self) -> u32 {
        self.first_rte
    }

    /// The types of `$1`, `$2` … after analysis.
    pub fn parameters(&self) -> &[Type] {
        &self.parameters
    }

    /// A statement of any kind that reads or writes rows.
    pub fn statement(&mut self, statement: &ast::Statement) -> Result<Statement> {
        Ok(match statement {
            ast::Statement::Query(query) => Statement::Query(Box::new(self.query(query)?)),
            ast::Statement::Insert(insert) => Statement::Insert(Box::new(self.insert(insert)?)),
            ast::Statement::Update(update) => Statement::Update(Box::new(self.update(update)?)),
            ast::Statement::Delete(delete) => Statement::Delete(Box::new(self.delete(delete)?)),
            _ => return Err(DatabaseError::new("0A000", "not a query")),
        })
    }

    /// A query.
    pub fn query(&mut self, _query: &ast::Query) -> Result<Query> {
        let _ = (self.catalog, self.session);
        Err(DatabaseError::new("XX000", "analysis is not built yet"))
    }

    /// An `INSERT`.
    pub fn insert(&mut self, _insert: &ast::Insert) -> Result<Insert> {
        Err(DatabaseError::new("XX000", "analysis is not built yet"))
    }

    /// An `UPDATE`.
    pub fn update(&mut self, _update: &ast::Update) -> Result<Update> {
        Err(DatabaseError::new("XX000", "analysis is not built yet"))
    }

    /// A `DELETE`.
    pub fn delete(&mut self, _delete: &ast::Delete) -> Result<Delete> {
        Err(DatabaseError::new("XX000", "analysis is not built yet"))
    }

    /// An expression's text: a policy, check, default, generated column or index key. `over`: the relation whose
    /// columns it may name (bare or by the relation's name). `expected`: what it is assigned to; the result is cast.
    pub fn expression(
        &mut self,
        _text: &str,
        _over: Option<&Arc<Relation>>,
        _expected: Option<(&Type, TypeModifier)>,
    ) -> Result<BoundExpression> {
        Err(DatabaseError::new("XX000", "analysis is not built yet"))
    }

    /// A view's defining query, with the names that the view's columns have.
    pub fn view(&mut self, _relation: &Relation) -> Result<Query> {
        Err(DatabaseError::new("XX000", "analysis is not built yet"))
    }

    /// The body of a `LANGUAGE sql` routine for a call with values: [`ExprKind::Parameter`](crate::typed::ExprKind)
    /// `n` stands for its argument `n` (from 0) and has that argument's type. A scalar routine's body is a query with
    /// one column of the return type.
    pub fn routine(&mut self, _routine: &Arc<Routine>) -> Result<Statement> {
        Err(DatabaseError::new("XX000", "analysis is not built yet"))
    }
}

/// `left name right` resolved by PostgreSQL's rules; a side of type `unknown` (a literal or a parameter) takes a type.
///
/// Errors: 42883 `operator does not exist: text = integer`, 42725.
pub fn operator(_catalog: &Catalog, _name: &str, _left: Expr, _right: Expr) -> Result<Expr> {
    Err(DatabaseError::new("XX000", "analysis is not built yet"))
}

/// `name(arguments)` of a built-in function. Errors: 42883, 42725.
pub fn function(_catalog: &Catalog, _name: &str, _arguments: Vec<Expr>) -> Result<Expr> {
    Err(DatabaseError::new("XX000", "analysis is not built yet"))
}

/// `expr` as `ty`. Errors: 42846 `cannot cast type uuid to integer`, or 42804 without an assignment or implicit cast.
pub fn cast(
    _catalog: &Catalog,
    _expr: Expr,
    _ty: &Type,
    _modifier: TypeModifier,
    _context: CastContext,
) -> Result<Expr> {
    Err(DatabaseError::new("XX000", "analysis is not built yet"))
}

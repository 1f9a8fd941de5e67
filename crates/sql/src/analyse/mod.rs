//! From what was written to what it means: names resolved against a catalog, types by PostgreSQL's rules.
//!
//! Lives here: scopes, star expansion, operator and function resolution, casts, grouping, provenance of columns.
//! Not here: privileges and policies (`mainstay_core::policy` and the engines), DDL (`ddl`), any engine's SQL.
//! Errors have PostgreSQL's SQLSTATE, message and position.
//!
//! Source: PostgreSQL 15 manual, chapters 7, 10 (type conversion) and 11; messages as the server words them.

pub mod aggregates;
mod array;
mod call;
pub mod casts;
mod coerce;
mod compare;
mod expr;
mod from;
pub mod functions;
mod group;
pub mod kinds;
mod literal;
mod naming;
pub mod operators;
mod record;
mod recursion;
mod resolve;
mod routine;
mod scope;
mod select;
pub mod server;
mod set;
mod sets;
mod special;
pub mod types;
mod volatility;
mod window;
mod write;

use std::collections::HashMap;
use std::sync::Arc;

use mainstay_core::catalog::{Catalog, Relation, Routine, Volatility};
use mainstay_core::error::DatabaseError;
use mainstay_core::name::Ident;
use mainstay_core::types::{Type, TypeModifier};

use crate::ast;
use crate::parse;
use crate::plpgsql::Names;
use crate::session::Session;
use crate::typed::{
    BoundExpression, CastContext, CastMethod, Delete, Expr, ExprKind, Insert, Query, RteId, Statement, Update,
};

pub use naming::column_name;
pub use resolve::has_equality;
pub use routine::result_columns;
pub use scope::Clause;
pub use volatility::volatility;

use scope::{Level, State};

/// The result of every analysis.
pub type Result<T> = std::result::Result<T, DatabaseError>;

/// Analyses statements and expressions against one catalog.
pub struct Analyser<'a> {
    catalog: &'a Catalog,
    session: &'a Session,
    next_rte: u32,
    parameters: Vec<Type>,
    line: u32,
    clause: Clause,
    column: Option<Ident>,
    outside: Option<Arc<Names>>,
    stars: HashMap<u32, Vec<Vec<Ident>>>,
}

impl<'a> Analyser<'a> {
    /// An analyser whose names are looked up by `session`'s search path.
    pub fn new(catalog: &'a Catalog, session: &'a Session) -> Self {
        Analyser {
            catalog,
            session,
            next_rte: 0,
            parameters: Vec::new(),
            line: 1,
            clause: Clause::Where,
            column: None,
            outside: None,
            stars: HashMap::new(),
        }
    }

    /// Numbers range table entries from `first`, so that several fragments can be one statement.
    pub fn starting_at(mut self, first: u32) -> Self {
        self.next_rte = first;
        self
    }

    /// Declares the types of `$1`, `$2` …; undeclared ones (and `unknown`) take the type of their first use.
    pub fn with_parameters(mut self, types: Vec<Type>) -> Self {
        self.parameters = types;
        self
    }

    /// Lets statements see the variables of the PL/pgSQL function they stand in.
    pub fn with_variables(mut self, names: Names) -> Self {
        self.outside = Some(Arc::new(names));
        self
    }

    /// The statement's line in its file, for refusals.
    pub fn at_line(mut self, line: u32) -> Self {
        self.line = line;
        self
    }

    /// Says what [`expression`](Self::expression) is for: decides what is allowed in it and how errors are worded.
    /// `column`: the column that a default or generation expression belongs to.
    pub fn for_clause(mut self, clause: Clause, column: Option<&Ident>) -> Self {
        self.clause = clause;
        self.column = column.cloned();
        self
    }

    /// The number that the next range table entry would get.
    pub fn next_rte(&self) -> u32 {
        self.next_rte
    }

    /// The types of `$1`, `$2` … after analysis.
    pub fn parameters(&self) -> &[Type] {
        &self.parameters
    }

    /// What each star of the last query stands for, by the star's position: columns as the text could name them.
    pub fn stars(&self) -> &HashMap<u32, Vec<Vec<Ident>>> {
        &self.stars
    }

    /// Runs one analysis and keeps what it used up.
    fn run<T>(&mut self, path: &[Ident], work: impl FnOnce(&mut State<'a>) -> Result<T>) -> Result<T> {
        let parameters = std::mem::take(&mut self.parameters);
        let mut state = State::new(self.catalog, path.to_vec(), self.next_rte, parameters);
        state.line = self.line;
        let result = match self.outside.clone() {
            None => work(&mut state),
            outside => {
                let level = Level {
                    outside,
                    ..Level::default()
                };
                state.nested(level, work)
            }
        };
        self.next_rte += state.entries.len() as u32;
        self.parameters = state.parameters;
        self.stars = state.stars;
        result
    }

    /// A statement of any kind that reads or writes rows.
    pub fn statement(&mut self, statement: &ast::Statement) -> Result<Statement> {
        Ok(match statement {
            ast::Statement::Query(query) => Statement::Query(Box::new(self.query(query)?)),
            ast::Statement::Insert(insert) => Statement::Insert(Box::new(self.insert(insert)?)),
            ast::Statement::Update(update) => Statement::Update(Box::new(self.update(update)?)),
            ast::Statement::Delete(delete) => Statement::Delete(Box::new(self.delete(delete)?)),
            _ => {
                return Err(DatabaseError::unavailable(
                    "this statement as a query",
                    "",
                    self.line,
                    None,
                ));
            }
        })
    }

    /// A query.
    pub fn query(&mut self, query: &ast::Query) -> Result<Query> {
        self.run(&self.session.search_path, |state| state.subquery(query))
    }

    /// An `INSERT`.
    pub fn insert(&mut self, insert: &ast::Insert) -> Result<Insert> {
        self.run(&self.session.search_path, |state| state.insert(insert))
    }

    /// An `UPDATE`.
    pub fn update(&mut self, update: &ast::Update) -> Result<Update> {
        self.run(&self.session.search_path, |state| state.update(update))
    }

    /// A `DELETE`.
    pub fn delete(&mut self, delete: &ast::Delete) -> Result<Delete> {
        self.run(&self.session.search_path, |state| state.delete(delete))
    }

    /// An expression's text: a policy, check, default, generated column or index key. `over`: the relation whose
    /// columns it may name (bare or by the relation's name). `expected`: what it is assigned to; the result is cast.
    ///
    /// Errors: those of any expression; 42P17 where the [clause](Self::for_clause) wants an immutable expression.
    pub fn expression(
        &mut self,
        text: &str,
        over: Option<&Arc<Relation>>,
        expected: Option<(&Type, TypeModifier)>,
    ) -> Result<BoundExpression> {
        let written = parse::expression(text)?;
        let (clause, column) = (self.clause, self.column.clone());
        self.run(&self.session.search_path, |state| {
            let level = Level {
                barrier: true,
                outside: state.outside().cloned(),
                clause,
                ..Level::default()
            };
            state.nested(level, |state| {
                let mut rte = None;
                if let Some(relation) = over {
                    let (entry, item) = state.relation_entry(relation, None, &relation.name.name)?;
                    state.offer(vec![item], false)?;
                    rte = Some(entry);
                }
                let expr = state.expr(&written)?;
                let expr = expected_type(state, expr, expected, clause, column.as_ref())?;
                immutable_where_wanted(&expr, clause)?;
                Ok(BoundExpression { expr, rte })
            })
        })
    }

    /// A view's defining query, with the names that the view's columns have.
    pub fn view(&mut self, relation: &Relation) -> Result<Query> {
        let no_view = || DatabaseError::new("42809", format!("\"{}\" is not a view", relation.name.name));
        let view = relation.view.as_ref().ok_or_else(no_view)?;
        let statements = parse::kept(&view.definition)?;
        let [
            parse::ParsedStatement {
                ast: ast::Statement::Query(query),
                ..
            },
        ] = statements.as_slice()
        else {
            return Err(no_view());
        };
        let mut query = self.run(&view.search_path, |state| state.subquery(query))?;
        for (column, named) in query.columns.iter_mut().zip(&relation.columns) {
            column.name = named.name.clone();
        }
        Ok(query)
    }

    /// The statements of a `LANGUAGE sql` body for a call with values: [`ExprKind::Parameter`] `n` stands for its
    /// argument `n` (from 0) and has that argument's type. The last statement's columns are those of the routine's
    /// result; of a scalar routine the first row counts.
    ///
    /// Errors: 42P13 where the last statement does not give what the routine is declared to return.
    pub fn routine_statements(&mut self, routine: &Arc<Routine>) -> Result<Vec<Statement>> {
        let mut next = 0;
        let mut parameter = |ty: &Type| {
            next += 1;
            Expr::new(ExprKind::Parameter(next - 1), ty.clone())
        };
        let arguments = routine
            .arguments
            .iter()
            .map(|argument| match &argument.ty {
                // Each of a row's columns is a parameter of its own.
                Type::Composite(name) => match self.catalog.relation(name) {
                    Some(relation) => row_of(relation, |column| parameter(&relation.columns[column].ty)),
                    None => parameter(&argument.ty),
                },
                ty => parameter(ty),
            })
            .collect();
        self.run(&self.session.search_path, |state| state.body(routine, arguments))
    }
}

/// Casts an expression to what its place wants. Errors: 42804 in the words of the place.
fn expected_type(
    state: &mut State<'_>,
    expr: Expr,
    expected: Option<(&Type, TypeModifier)>,
    clause: Clause,
    column: Option<&Ident>,
) -> Result<Expr> {
    let Some((ty, modifier)) = expected else {
        return state.settle(expr);
    };
    state.note_parameter(&expr, ty);
    let place_name = match clause {
        Clause::Check => "CHECK",
        Clause::Policy => "POLICY",
        _ => "WHERE",
    };
    match (clause, column) {
        (Clause::Default | Clause::Generated, Some(column)) => {
            let what = if clause == Clause::Default {
                "default"
            } else {
                "generation"
            };
            let (from, position) = (expr.ty.clone(), expr.position);
            let Some(expr) = coerce::to_type(state.catalog, expr, ty, CastContext::Assignment)? else {
                let message = format!("column \"{column}\" is of type {ty} but {what} expression is of type {from}");
                let hint = "You will need to rewrite or cast the expression.";
                return Err(coerce::place(DatabaseError::new("42804", message).hint(hint), position));
            };
            Ok(coerce::to_modifier(expr, modifier, CastContext::Assignment))
        }
        _ if *ty == Type::Bool => coerce::condition(state.catalog, expr, place_name),
        _ => coerce::cast(state.catalog, expr, ty, modifier, CastContext::Assignment),
    }
}

/// Errors: 42P17 for an index or generated column over something that may change.
fn immutable_where_wanted(expr: &Expr, clause: Clause) -> Result<()> {
    let message = match clause {
        Clause::Generated => "generation expression is not immutable",
        Clause::Index => "functions in index expression must be marked IMMUTABLE",
        Clause::IndexPredicate => "functions in index predicate must be marked IMMUTABLE",
        _ => return Ok(()),
    };
    match volatility(expr) {
        Volatility::Immutable => Ok(()),
        _ => Err(DatabaseError::new("42P17", message)),
    }
}

/// A reference to a column of a range table entry, for plans.
pub fn column(rte: RteId, column: usize, ty: &Type, modifier: TypeModifier) -> Expr {
    from::column_expr(rte, column, ty, modifier)
}

/// A value given at run time that takes the type of what it meets, for plans.
pub fn parameter(number: usize) -> Expr {
    Expr::new(ExprKind::Parameter(number), Type::Unknown)
}

/// `left name right` resolved by PostgreSQL's rules; a side of type `unknown` (a literal or a parameter) takes a type.
///
/// Errors: 42883 `operator does not exist: text = integer`, 42725.
pub fn operator(catalog: &Catalog, name: &str, left: Expr, right: Expr) -> Result<Expr> {
    resolve::operator(catalog, name, Some(left), right, 0)
}

/// A row of `relation` whose columns are what `column` makes of their positions.
pub fn row_of(relation: &Relation, column: impl FnMut(usize) -> Expr) -> Expr {
    let kind = ExprKind::Row {
        fields: (0..relation.columns.len()).map(column).collect(),
        names: relation.columns.iter().map(|column| column.name.clone()).collect(),
        rte: None,
    };
    Expr::new(kind, Type::Composite(relation.name.clone()))
}

/// A call of a scalar routine. Entries of its body are numbered from `first_rte`. Errors: those of the body.
pub fn routine(catalog: &Catalog, routine: &Arc<Routine>, arguments: Vec<Expr>, first_rte: u32) -> Result<Expr> {
    let mut state = State::new(catalog, Vec::new(), first_rte, Vec::new());
    state.nested(Level::default(), |state| state.routine_call(routine, arguments, 0))
}

/// A call in FROM of a routine that gives a set of rows, in place of the call. Errors: those of the body; 0A000 where it
/// cannot stand in place.
pub fn routine_rows(
    catalog: &Catalog,
    routine: &Arc<Routine>,
    arguments: Vec<Expr>,
    first_rte: u32,
) -> Result<crate::typed::TableFunction> {
    let mut state = State::new(catalog, Vec::new(), first_rte, Vec::new());
    let rows = state.nested(Level::default(), |state| state.routine_rows(routine, arguments, 0))?;
    Ok(rows.0)
}

/// `name(arguments)` of a built-in function. Errors: 42883, 42725.
pub fn function(catalog: &Catalog, name: &str, arguments: Vec<Expr>) -> Result<Expr> {
    let mut state = State::new(catalog, Vec::new(), 0, Vec::new());
    state.function(name, arguments)
}

/// A built-in aggregate of `argument`, or `count(*)`. Errors: 42883.
pub fn aggregate(catalog: &Catalog, name: &str, argument: Option<Expr>) -> Result<Expr> {
    let mut state = State::new(catalog, Vec::new(), 0, Vec::new());
    state.aggregate(name, argument)
}

/// `expr` as `ty`. Errors: 42846 `cannot cast type uuid to integer`.
pub fn cast(catalog: &Catalog, expr: Expr, ty: &Type, modifier: TypeModifier, context: CastContext) -> Result<Expr> {
    coerce::cast(catalog, expr, ty, modifier, context)
}

/// `expr` as PL/pgSQL assigns it: an assignment cast, or through the text form where there is none.
pub fn plpgsql_cast(catalog: &Catalog, expr: Expr, ty: &Type, modifier: TypeModifier) -> Result<Expr> {
    let position = expr.position;
    let cast = match coerce::to_type(catalog, expr.clone(), ty, CastContext::Assignment)? {
        Some(cast) => cast,
        None => Expr::new(
            ExprKind::Cast {
                expr: Box::new(expr),
                context: CastContext::Assignment,
                method: CastMethod::InputOutput,
            },
            ty.clone(),
        )
        .at(position),
    };
    Ok(coerce::to_modifier(cast, modifier, CastContext::Assignment))
}

/// The type that a written type name stands for; see [`types::resolve`].
pub fn type_of(catalog: &Catalog, session: &Session, name: &ast::TypeName, line: u32) -> Result<(Type, TypeModifier)> {
    types::resolve(catalog, &session.search_path, name, line)
}

#[cfg(test)]
mod tests;

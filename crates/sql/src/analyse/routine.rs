//! Routines: their bodies in place of calls where one query can stand for the call, calls to be run elsewhere, and
//! bodies by themselves for whoever runs them.
//!
//! Inside a body a column's name wins over a parameter's, as in PostgreSQL.
//!
//! Source: PostgreSQL 15 manual, 38.5; a body's checks as the server makes and words them.

use std::sync::Arc;

use mainstay_core::catalog::{Routine, Volatility};
use mainstay_core::error::DatabaseError;
use mainstay_core::name::Ident;
use mainstay_core::types::{Type, TypeModifier};

use super::Result;
use super::casts::pathway;
use super::coerce::{self, place};
use super::expr::literal_expr;
use super::scope::{Arguments, Level, State};
use super::special;
use super::volatility::volatility;
use crate::ast;
use crate::ddl::quote;
use crate::parse;
use crate::plpgsql::tree::Field;
use crate::typed::{
    CastContext, Distinct, Expr, ExprKind, Literal, OutputColumn, Query, Returning, RoutineCall, RoutineRun, Select,
    SetExpression, Statement, Target,
};
use crate::walk;

/// Calls within calls that are put in place; what is deeper is run.
const ROUTINE_DEPTH_MAX: usize = 16;

/// How a call becomes part of a query.
enum Form {
    InPlace(Box<Query>),
    Run(RoutineRun),
}

impl State<'_> {
    /// A scalar call as an expression.
    pub fn routine_call(&mut self, routine: &Arc<Routine>, arguments: Vec<Expr>, position: u32) -> Result<Expr> {
        let ty = routine.returns.ty.clone();
        if routine.returns.relation.is_some() || ty == Type::Record {
            return Err(self.refuse(
                "a function that returns a row, in an expression",
                &routine.name.name,
                Some("call it in FROM"),
                position,
            ));
        }
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
        let body = match self.call_form(routine, arguments, position)? {
            Form::InPlace(body) => *body,
            Form::Run(run) => {
                self.no_rows(&run, position)?;
                return Ok(Expr::new(ExprKind::Run(Box::new(run)), ty).at(position));
            }
        };
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

    /// A call in FROM, with the columns it gives.
    pub fn routine_rows(
        &mut self,
        routine: &Arc<Routine>,
        arguments: Vec<Expr>,
        position: u32,
    ) -> Result<(crate::typed::TableFunction, Vec<OutputColumn>)> {
        use crate::typed::TableFunction;
        if routine.returns.ty == Type::Void && routine.returns.set {
            return Err(self.refuse(
                "a function that returns SETOF void, in FROM",
                &routine.name.name,
                None,
                position,
            ));
        }
        let columns = self.columns_of(routine);
        // A row that is null in all its columns still is one row; a set of rows stands in place only as it is.
        let in_place = routine.returns.set && !routine.strict;
        let form = match in_place {
            true => self.call_form(routine, arguments, position)?,
            false => Form::Run(self.run_of(routine, arguments)),
        };
        Ok(match form {
            Form::InPlace(body) => {
                let columns = body.columns.clone();
                let call = RoutineCall {
                    routine: routine.clone(),
                    body: *body,
                };
                (TableFunction::Routine(Box::new(call)), columns)
            }
            Form::Run(run) => {
                self.no_rows(&run, position)?;
                (TableFunction::Run(Box::new(run)), columns)
            }
        })
    }

    /// Errors: 0A000 for a row that would be given to a function which is run.
    fn no_rows(&self, run: &RoutineRun, position: u32) -> Result<()> {
        let mut arguments = run.routine.arguments.iter();
        if !arguments.any(|argument| matches!(argument.ty, Type::Composite(_))) {
            return Ok(());
        }
        let feature = "a function of a row that cannot stand in the place of its call";
        Err(self.refuse(
            feature,
            &run.routine.name.name,
            Some("an argument for each column"),
            position,
        ))
    }

    fn run_of(&self, routine: &Arc<Routine>, arguments: Vec<Expr>) -> RoutineRun {
        RoutineRun {
            routine: routine.clone(),
            arguments,
        }
    }

    /// The columns that a routine gives in FROM.
    pub fn columns_of(&self, routine: &Routine) -> Vec<OutputColumn> {
        result_columns(self.catalog, routine)
            .into_iter()
            .map(|field| OutputColumn {
                name: field.name,
                ty: field.ty,
                modifier: field.modifier,
                source: None,
            })
            .collect()
    }

    /// `row.name`, where that is no column but a function of such a row.
    pub fn row_function(&mut self, row: Expr, name: &Ident, position: u32) -> Result<Option<Expr>> {
        let Type::Composite(relation) = &row.ty else {
            return Ok(None);
        };
        let found = self.search_path.iter().find_map(|schema| {
            let name = mainstay_core::name::QualifiedName::new(schema.clone(), name.clone());
            let mut overloads = self.catalog.routines.get(&name)?.iter();
            overloads.find(|routine| routine.row_argument() == Some(relation))
        });
        match found.cloned() {
            None => Ok(None),
            Some(routine) if routine.returns.set => Err(self.refuse(
                "a set-returning function in an expression",
                &routine.name.name,
                Some("call it in FROM"),
                position,
            )),
            Some(routine) => self.routine_call(&routine, vec![row], position).map(Some),
        }
    }

    /// In place if the body is one query and each argument may be evaluated as often as the body names it. A body that
    /// has become wrong since it was made fails when it is run.
    ///
    /// Errors: those of the body, if the call has rows for arguments and so cannot be run.
    fn call_form(&mut self, routine: &Arc<Routine>, arguments: Vec<Expr>, position: u32) -> Result<Form> {
        let has_rows = arguments
            .iter()
            .any(|argument| matches!(argument.ty, Type::Composite(_) | Type::Record));
        let is_busy = self.routine_depth >= ROUTINE_DEPTH_MAX || self.routines.contains(&routine.id);
        let run = self.run_of(routine, arguments.clone());
        // In place, nobody would read what a routine without a result selects, and SQLite would not compute it.
        let is_void = routine.returns.ty == Type::Void;
        if routine.language != *"sql" || is_busy || is_void || !self.may_repeat(&arguments) {
            return Ok(Form::Run(run));
        }
        let Ok(statements) = parse::inlined(&routine.body) else {
            return Ok(Form::Run(run));
        };
        let [
            parse::ParsedStatement {
                ast: ast::Statement::Query(_),
                ..
            },
        ] = statements.as_slice()
        else {
            return Ok(Form::Run(run));
        };
        let body = match self
            .statements_of(routine, &statements, arguments)
            .map(|mut all| all.pop())
        {
            Ok(Some(Statement::Query(body))) => body,
            Err(error) if has_rows => {
                let error = DatabaseError {
                    position: None,
                    ..error
                };
                return Err(place(error, position));
            }
            _ => return Ok(Form::Run(run)),
        };
        // What may write or differ from call to call is run once for each.
        let mut is_volatile = false;
        walk::query(&body, &mut |expr| {
            is_volatile |= match &expr.kind {
                ExprKind::Function { function, .. } => function.volatility == Volatility::Volatile,
                ExprKind::Run(run) => run.routine.volatility == Volatility::Volatile,
                ExprKind::Sequence(_) => true,
                _ => false,
            };
            true
        });
        Ok(match is_volatile {
            true => Form::Run(run),
            false => Form::InPlace(body),
        })
    }

    /// False for arguments whose second evaluation may differ or would cost a query again, and for those of entries
    /// beside the call, which a query in FROM does not see.
    fn may_repeat(&mut self, arguments: &[Expr]) -> bool {
        let current = self.levels.len().saturating_sub(1);
        let in_from = matches!(self.level().clause, super::scope::Clause::FromFunction);
        arguments.iter().all(|argument| {
            let mut beside = false;
            walk::expr(argument, &mut |inner| {
                if let ExprKind::Column { rte, .. } = inner.kind {
                    beside |= in_from && self.entry(rte).is_some_and(|entry| entry.level == current);
                }
                beside |= matches!(
                    inner.kind,
                    ExprKind::Exists(_) | ExprKind::ScalarSubquery(_) | ExprKind::QuantifiedSubquery { .. }
                );
                true
            });
            !beside && volatility(argument) != Volatility::Volatile
        })
    }

    /// The statements of a `LANGUAGE sql` body, its parameters replaced by `arguments`; the last one gives what the
    /// routine is declared to return.
    ///
    /// Errors: 42P13 where it does not; those of the statements.
    pub fn body(&mut self, routine: &Arc<Routine>, arguments: Vec<Expr>) -> Result<Vec<Statement>> {
        let statements = parse::kept(&routine.body)?;
        self.statements_of(routine, &statements, arguments)
    }

    fn statements_of(
        &mut self,
        routine: &Arc<Routine>,
        statements: &[parse::ParsedStatement],
        arguments: Vec<Expr>,
    ) -> Result<Vec<Statement>> {
        let name = &routine.name.name;
        let values = routine
            .arguments
            .iter()
            .zip(arguments)
            .map(|(argument, value)| (argument.name.clone(), value))
            .collect();
        let arguments = Arc::new(Arguments {
            routine: Some(name.clone()),
            values,
        });
        let path = std::mem::replace(&mut self.search_path, routine.search_path.clone());
        self.routine_depth += 1;
        self.routines.push(routine.id);
        let mut done = Vec::with_capacity(statements.len());
        let mut result = Ok(());
        for (at, statement) in statements.iter().enumerate() {
            let level = Level {
                barrier: true,
                arguments: Arc::clone(&arguments),
                ..Level::default()
            };
            let is_last = at + 1 == statements.len();
            match self.nested(level, |state| state.body_statement(routine, &statement.ast, is_last)) {
                Ok(statement) => done.push(statement),
                Err(error) => {
                    result = Err(error);
                    break;
                }
            }
        }
        self.routines.pop();
        self.routine_depth -= 1;
        self.search_path = path;
        result?;
        if done.is_empty() && routine.returns.ty != Type::Void {
            return Err(no_result(routine));
        }
        Ok(done)
    }

    fn body_statement(&mut self, routine: &Routine, written: &ast::Statement, is_last: bool) -> Result<Statement> {
        let mut statement = match written {
            ast::Statement::Query(query) => Statement::Query(Box::new(self.subquery(query)?)),
            ast::Statement::Insert(insert) => Statement::Insert(Box::new(self.insert(insert)?)),
            ast::Statement::Update(update) => Statement::Update(Box::new(self.update(update)?)),
            ast::Statement::Delete(delete) => Statement::Delete(Box::new(self.delete(delete)?)),
            ast::Statement::Unsupported(refused) => {
                let alternative = refused.alternative.as_deref();
                return Err(self.refuse(&refused.feature, &routine.name.name, alternative, 0));
            }
            _ if is_last && routine.returns.ty != Type::Void => return Err(no_result(routine)),
            ast::Statement::Set(set) if set.local && special::is_settable(&set.name) => {
                let value = match set.values.as_deref() {
                    Some([value]) => value.as_str(),
                    None => "",
                    Some(_) => {
                        let message = format!("SET {} takes only one argument", set.name);
                        return Err(DatabaseError::new("22023", message));
                    }
                };
                let (name, value) = (quote::literal(&set.name), quote::literal(value));
                let text = format!("SELECT pg_catalog.set_config({name}, {value}, true)");
                let statements = parse::inlined(&text)?;
                match statements.first().map(|statement| &statement.ast) {
                    Some(ast::Statement::Query(query)) => Statement::Query(Box::new(self.subquery(query)?)),
                    _ => return Err(self.refuse("this statement in a function", &routine.name.name, None, 0)),
                }
            }
            _ => return Err(self.refuse("this statement in a function", &routine.name.name, None, 0)),
        };
        if is_last {
            self.returned(routine, &mut statement)?;
        }
        Ok(statement)
    }

    /// Casts the last statement's result to what the routine is declared to return. Errors: 42P13.
    fn returned(&mut self, routine: &Routine, statement: &mut Statement) -> Result<()> {
        if routine.returns.ty == Type::Void {
            return Ok(());
        }
        let wanted = result_columns(self.catalog, routine);
        match statement {
            Statement::Query(query) => self.returned_query(routine, &wanted, query),
            Statement::Insert(insert) => self.returned_rows(routine, &wanted, insert.returning.as_mut()),
            Statement::Update(update) => self.returned_rows(routine, &wanted, update.returning.as_mut()),
            Statement::Delete(delete) => self.returned_rows(routine, &wanted, delete.returning.as_mut()),
        }
    }

    fn returned_query(&mut self, routine: &Routine, wanted: &[Field], query: &mut Query) -> Result<()> {
        if let SetExpression::Select(select) = &mut query.body
            && let [Target { expr, .. }] = select.target.as_slice()
            && let (Type::Record, ExprKind::Row { fields, rte: None, .. }) = (&expr.ty, &expr.kind)
            && routine.returns.ty == Type::Record
            && !fields
                .iter()
                .map(|field| &field.ty)
                .eq(wanted.iter().map(|field| &field.ty))
        {
            return Err(self.refuse(
                "a function whose last query gives a ROW(…) of other types than its arguments",
                &routine.name.name,
                Some("the columns instead of ROW(…)"),
                0,
            ));
        }
        if let SetExpression::Select(select) = &mut query.body
            && let Some(columns) = whole_row(routine, &mut select.target)
        {
            if !plain_rows(select, &query.order) {
                return Err(self.refuse(
                    "a function whose last query sorts or compares whole rows",
                    &routine.name.name,
                    Some("list the columns"),
                    0,
                ));
            }
            query.columns = columns;
        }
        check_columns(routine, wanted, query.columns.iter().map(|column| &column.ty))?;
        let types = wanted.iter().map(|field| (field.ty.clone(), field.modifier));
        self.coerce_query(query, types, CastContext::Assignment)?;
        for (column, field) in query.columns.iter_mut().zip(wanted) {
            *column = OutputColumn {
                name: field.name.clone(),
                ty: field.ty.clone(),
                modifier: field.modifier,
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

    fn returned_rows(&mut self, routine: &Routine, wanted: &[Field], returning: Option<&mut Returning>) -> Result<()> {
        let Some(returning) = returning else {
            return Err(no_result(routine));
        };
        if let Some(columns) = whole_row(routine, &mut returning.target) {
            returning.columns = columns;
        }
        check_columns(routine, wanted, returning.columns.iter().map(|column| &column.ty))?;
        for ((target, column), field) in returning.target.iter_mut().zip(&mut returning.columns).zip(wanted) {
            let expr = std::mem::replace(&mut target.expr, Expr::null());
            target.expr = coerce::cast(self.catalog, expr, &field.ty, field.modifier, CastContext::Assignment)?;
            target.name = field.name.clone();
            *column = OutputColumn {
                name: field.name.clone(),
                ty: field.ty.clone(),
                modifier: field.modifier,
                source: column.source.clone(),
            };
        }
        Ok(())
    }
}

/// What a routine's result is made of: the columns of its row type, or one value named after the routine.
pub fn result_columns(catalog: &mainstay_core::catalog::Catalog, routine: &Routine) -> Vec<Field> {
    let returns = &routine.returns;
    let plain = |name: &Ident, ty: &Type| Field {
        name: name.clone(),
        ty: ty.clone(),
        modifier: TypeModifier::None,
    };
    if !returns.columns.is_empty() {
        return returns.columns.iter().map(|(name, ty)| plain(name, ty)).collect();
    }
    match returns.relation.as_ref().and_then(|name| catalog.relation(name)) {
        Some(relation) => relation
            .columns
            .iter()
            .map(|column| Field {
                name: column.name.clone(),
                ty: column.ty.clone(),
                modifier: column.modifier,
            })
            .collect(),
        None => vec![plain(&routine.name.name, &returns.ty)],
    }
}

/// A select list that is one whole row of the routine's row type becomes the row's columns.
fn whole_row(routine: &Routine, target: &mut Vec<Target>) -> Option<Vec<OutputColumn>> {
    let is_row = matches!(routine.returns.ty, Type::Composite(_) | Type::Record);
    let [only] = target.as_slice() else { return None };
    if !is_row || !matches!(only.expr.ty, Type::Composite(_) | Type::Record) {
        return None;
    }
    let ExprKind::Row { fields, names, .. } = &only.expr.kind else {
        return None;
    };
    let columns = fields
        .iter()
        .zip(names)
        .map(|(field, name)| OutputColumn {
            name: name.clone(),
            ty: field.ty.clone(),
            modifier: field.modifier,
            source: None,
        })
        .collect();
    *target = names
        .iter()
        .cloned()
        .zip(fields.clone())
        .map(|(name, expr)| Target { name, expr })
        .collect();
    Some(columns)
}

/// True if nothing refers to the output columns by their places.
fn plain_rows(select: &Select, order: &[crate::typed::SortKey]) -> bool {
    matches!(select.distinct, Distinct::All) && order.iter().all(|key| !matches!(key.expr.kind, ExprKind::Output(_)))
}

/// Errors: 42P13 in PostgreSQL's words.
fn check_columns<'t>(routine: &Routine, wanted: &[Field], have: impl ExactSizeIterator<Item = &'t Type>) -> Result<()> {
    let is_row = matches!(routine.returns.ty, Type::Composite(_) | Type::Record);
    // A literal inside a row is text, if nothing else has decided.
    let settled = |have: &Type| match have {
        Type::Unknown => Type::Text,
        known => known.clone(),
    };
    let allowed = |have: &Type, want: &Type| pathway(&settled(have), want, CastContext::Assignment).is_some();
    let count = have.len();
    if !is_row {
        let [Field { ty: want, .. }] = wanted else {
            return Err(mismatch(routine, "Final statement must return exactly one column."));
        };
        let mut have = have;
        return match (count, have.next()) {
            (1, Some(have)) if allowed(have, want) => Ok(()),
            (1, Some(have)) => Err(mismatch(routine, &format!("Actual return type is {}.", have))),
            _ => Err(mismatch(routine, "Final statement must return exactly one column.")),
        };
    }
    for (at, have) in have.enumerate() {
        let Some(Field { ty: want, .. }) = wanted.get(at) else {
            return Err(mismatch(routine, "Final statement returns too many columns."));
        };
        if !allowed(have, want) {
            let detail = format!(
                "Final statement returns {} instead of {want} at column {}.",
                settled(have),
                at + 1
            );
            return Err(mismatch(routine, &detail));
        }
    }
    match count < wanted.len() {
        true => Err(mismatch(routine, "Final statement returns too few columns.")),
        false => Ok(()),
    }
}

fn no_result(routine: &Routine) -> DatabaseError {
    mismatch(
        routine,
        "Function's final statement must be SELECT or INSERT/UPDATE/DELETE RETURNING.",
    )
}

fn mismatch(routine: &Routine, detail: &str) -> DatabaseError {
    let declared = match &routine.returns.ty {
        Type::Composite(name) => name.name.to_string(),
        other => other.to_string(),
    };
    let message = format!("return type mismatch in function declared to return {declared}");
    DatabaseError::new("42P13", message).detail(detail)
}

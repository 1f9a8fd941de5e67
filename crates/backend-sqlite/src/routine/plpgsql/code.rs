//! Expressions and statements of a body, compiled.

use std::sync::{Arc, PoisonError};

use mainstay_core::error::{BackendError, DatabaseError};
use mainstay_core::types::{Type, TypeModifier};
use mainstay_sql::analyse::{self, Analyser};
use mainstay_sql::ast;
use mainstay_sql::parse;
use mainstay_sql::plpgsql::tree::{Field, Fragment};
use mainstay_sql::plpgsql::{self as language, Names};
use mainstay_sql::session::Session;
use mainstay_sql::typed::{
    ContextValue, Distinct, Expr, ExprKind, FromItem, Query, RteId, Select, SetExpression, Target,
};
use rusqlite::types::Value as Scalar;

use super::Program;
use super::frame::Layout;
use crate::emit::binds::Sources;
use crate::emit::compiled::Compiled;
use crate::emit::privileges::Uses;
use crate::emit::walk;
use crate::emit::{Emitter, Parameters, Rte};
use crate::routine::Running;
use crate::write::defaults::Fill;
use crate::write::script::{self, ScriptProgram};
use crate::write::statement::{Prepared, scalars};

/// What a fragment is compiled to.
pub(super) enum Code {
    Value {
        value: Value,
        ty: Type,
        modifier: TypeModifier,
    },
    /// Several values as one row.
    Row {
        values: Vec<Value>,
        fields: Arc<[Field]>,
    },
    /// Rows with these fields, of which the first counts.
    RowQuery {
        query: Prepared,
        fields: Arc<[Field]>,
    },
    NullRow,
    Statement(Box<ScriptProgram>),
}

/// How one value comes about.
pub(super) enum Value {
    /// A variable as it stands.
    Variable(usize),
    Fill(Fill),
    /// A query of one column; more than one row is 21000.
    Query(Prepared),
}

/// What an expression is for.
#[derive(Clone, Copy)]
pub(super) enum Want<'a> {
    /// A value of whatever type it has.
    Any,
    /// A value of this type.
    As(&'a Type, TypeModifier),
    /// A row, or null.
    Row,
}

impl Program {
    /// An expression's code for the variables as they are.
    pub(super) fn expression(
        &self,
        compiled: &Compiled,
        fragment: &Fragment,
        layout: &Arc<Layout>,
        want: Want<'_>,
    ) -> Result<Arc<Code>, DatabaseError> {
        self.kept(fragment, layout, || {
            self.compile_expression(compiled, fragment, layout, want)
        })
    }

    /// A statement's code for the variables as they are.
    pub(super) fn statement(
        &self,
        compiled: &Compiled,
        fragment: &Fragment,
        layout: &Arc<Layout>,
    ) -> Result<Arc<Code>, DatabaseError> {
        self.kept(fragment, layout, || {
            let statements = parse::kept(&fragment.text)?;
            let Some(statement) = statements.first() else {
                return Err(DatabaseError::new("42601", "the statement is empty"));
            };
            let session = self.session();
            let typed = self
                .analyser(compiled, &session, fragment, layout)
                .statement(&statement.ast)?;
            let program = script::compile_as(compiled, &self.rights, &typed, Parameters::Variables)?;
            Ok(Code::Statement(Box::new(program)))
        })
    }

    /// `PERFORM`'s query.
    pub(super) fn query(
        &self,
        compiled: &Compiled,
        fragment: &Fragment,
        layout: &Arc<Layout>,
    ) -> Result<Arc<Code>, DatabaseError> {
        let mut text = String::from(language::SELECT);
        text.push_str(&fragment.text);
        self.statement(compiled, &fragment.with_text(text), layout)
    }

    fn kept(
        &self,
        fragment: &Fragment,
        layout: &Arc<Layout>,
        make: impl FnOnce() -> Result<Code, DatabaseError>,
    ) -> Result<Arc<Code>, DatabaseError> {
        let key = (fragment.id, layout.id);
        if let Some(found) = self.code.lock().unwrap_or_else(PoisonError::into_inner).get(&key) {
            return Ok(Arc::clone(found));
        }
        // A position in a body is none in the request's statement.
        let made = Arc::new(make().map_err(|error| DatabaseError {
            position: None,
            ..error
        })?);
        let mut code = self.code.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(Arc::clone(code.entry(key).or_insert(made)))
    }

    fn session(&self) -> Session {
        Session::new(self.rights.role.clone(), self.routine.search_path.clone())
    }

    fn analyser<'c>(
        &self,
        compiled: &'c Compiled,
        session: &'c Session,
        fragment: &Fragment,
        layout: &Arc<Layout>,
    ) -> Analyser<'c> {
        Analyser::new(compiled.catalog(), session)
            .at_line(fragment.line)
            .with_variables(Names::new(&self.function, fragment, &layout.shapes))
    }

    fn emitter<'c>(&self, compiled: &'c Compiled) -> Emitter<'c> {
        Emitter::new(compiled, &self.rights.role)
            .with_rights(&self.rights)
            .with_parameters(Parameters::Variables)
    }

    fn compile_expression(
        &self,
        compiled: &Compiled,
        fragment: &Fragment,
        layout: &Arc<Layout>,
        want: Want<'_>,
    ) -> Result<Code, DatabaseError> {
        let mut text = String::from(language::SELECT);
        text.push_str(&fragment.text);
        let statements = parse::kept(&text)?;
        let Some(ast::Statement::Query(written)) = statements.first().map(|statement| &statement.ast) else {
            return Err(DatabaseError::new("42601", "not an expression"));
        };
        let session = self.session();
        let mut query = self.analyser(compiled, &session, fragment, layout).query(written)?;
        if query.columns.len() != 1 {
            let what = match want {
                Want::Any => "query",
                _ => "assignment source",
            };
            let message = format!("{what} returned {} columns", query.columns.len());
            return Err(DatabaseError::new("42601", message));
        }
        if let Want::Row = want
            && let SetExpression::Select(select) = &mut query.body
            && let [only] = select.target.as_mut_slice()
            && let Some(first) = first_row_of(&only.expr)
        {
            only.expr = first;
        }
        let row = match &query.body {
            SetExpression::Select(select) => match select.target.first().map(|target| &target.expr.kind) {
                Some(ExprKind::Row { fields, names, .. }) => Some((fields.clone(), names.clone())),
                _ => None,
            },
            _ => None,
        };
        match (want, row) {
            (Want::Row, Some((fields, names))) => self.row(compiled, query, fields, names),
            (Want::Row, None) => match alone(&query) {
                Some(expr) if expr.is_null_literal() => Ok(Code::NullRow),
                Some(Expr {
                    kind: ExprKind::Cast { expr, .. },
                    ..
                }) if expr.is_null_literal() => Ok(Code::NullRow),
                _ => Err(self.not_a_row(&query)),
            },
            (Want::As(ty, _), Some(_)) if matches!(ty.base(), Type::Text | Type::Varchar) => {
                Err(self.unavailable("a row's text form"))
            }
            (_, _) => {
                if let Some(column) = query.columns.first()
                    && matches!(column.ty.base(), Type::Record | Type::Composite(_))
                    && !matches!(want, Want::Any)
                {
                    return Err(self.unavailable("a row where a value stands"));
                }
                self.value(compiled, &mut query, want)
            }
        }
    }

    fn not_a_row(&self, query: &Query) -> DatabaseError {
        match query.columns.first().map(|column| column.ty.base()) {
            Some(Type::Record | Type::Composite(_)) => self.unavailable("a computed row"),
            _ => DatabaseError::new("42804", "cannot assign non-composite value to a record variable"),
        }
    }

    fn unavailable(&self, feature: &str) -> DatabaseError {
        DatabaseError::unavailable(feature, &self.routine.name.name, 1, None)
    }

    fn row(
        &self,
        compiled: &Compiled,
        mut query: Query,
        exprs: Vec<Expr>,
        names: Vec<mainstay_core::name::Ident>,
    ) -> Result<Code, DatabaseError> {
        let fields: Arc<[Field]> = exprs
            .iter()
            .zip(&names)
            .map(|(expr, name)| Field {
                name: name.clone(),
                ty: match &expr.ty {
                    Type::Unknown => Type::Text,
                    ty => ty.clone(),
                },
                modifier: expr.modifier,
            })
            .collect();
        if alone(&query).is_some() {
            let values = exprs
                .iter()
                .zip(fields.iter())
                .map(|(expr, field)| {
                    let expr = match expr.ty {
                        Type::Unknown => {
                            analyse::plpgsql_cast(compiled.catalog(), expr.clone(), &field.ty, TypeModifier::None)?
                        }
                        _ => expr.clone(),
                    };
                    self.simple(compiled, &expr)
                })
                .collect::<Result<_, DatabaseError>>()?;
            return Ok(Code::Row { values, fields });
        }
        if let SetExpression::Select(select) = &mut query.body {
            select.target = exprs
                .into_iter()
                .zip(names)
                .map(|(expr, name)| Target { name, expr })
                .collect();
        }
        query.columns = fields
            .iter()
            .map(|field| mainstay_sql::typed::OutputColumn {
                name: field.name.clone(),
                ty: field.ty.clone(),
                modifier: field.modifier,
                source: None,
            })
            .collect();
        let mut emitter = self.emitter(compiled);
        emitter.statement_query(&query)?;
        Ok(Code::RowQuery {
            query: Prepared::from(emitter.finish()),
            fields,
        })
    }

    fn value(&self, compiled: &Compiled, query: &mut Query, want: Want<'_>) -> Result<Code, DatabaseError> {
        let Some(column) = query.columns.first().cloned() else {
            return Err(DatabaseError::new("42601", "query has no columns"));
        };
        let cast = |expr: Expr| match want {
            Want::As(ty, modifier) => analyse::plpgsql_cast(compiled.catalog(), expr, ty, modifier),
            _ => Ok(expr),
        };
        let (ty, modifier) = match want {
            Want::As(ty, modifier) => (ty.clone(), modifier),
            _ => (column.ty.clone(), column.modifier),
        };
        if let Some(expr) = alone(query) {
            let value = self.simple(compiled, &cast(expr.clone())?)?;
            return Ok(Code::Value { value, ty, modifier });
        }
        let mut emitter = self.emitter(compiled);
        let alias = emitter.fresh_alias();
        // No query has so many entries.
        let rte = RteId(u32::MAX);
        emitter.declare(rte, Rte::Numbered { alias });
        let of_query = Expr {
            modifier: column.modifier,
            ..Expr::new(ExprKind::Column { rte, column: 0 }, column.ty.clone())
        };
        emitter.writer().sql("SELECT ");
        emitter.expr(&cast(of_query)?)?;
        emitter.writer().sql(" FROM (");
        emitter.statement_query(query)?;
        emitter.writer().sql(") AS ");
        emitter.alias(alias);
        Ok(Code::Value {
            value: Value::Query(Prepared::from(emitter.finish())),
            ty,
            modifier,
        })
    }

    /// An expression over nothing but variables.
    fn simple(&self, compiled: &Compiled, expr: &Expr) -> Result<Value, DatabaseError> {
        if let ExprKind::Parameter(number) = expr.kind {
            return Ok(Value::Variable(number));
        }
        let mut emitter = self.emitter(compiled);
        let uses = Uses::of(|visitor| walk::expr(visitor, expr));
        emitter.check_uses(&uses)?;
        if matches!(expr.kind, ExprKind::Context(ContextValue::CurrentUser)) {
            emitter.writer().sql("SELECT ");
            emitter.expr(expr)?;
            return Ok(Value::Query(Prepared::from(emitter.finish())));
        }
        Fill::of_expression(emitter, expr).map(Value::Fill)
    }

    /// The conversion of a value from one type to another; `None` if it is the same value.
    pub(super) fn conversion(
        &self,
        compiled: &Compiled,
        from: (&Type, TypeModifier),
        to: (&Type, TypeModifier),
    ) -> Result<Option<Arc<Code>>, DatabaseError> {
        let same = from.0 == to.0 && (to.1 == TypeModifier::None || to.1 == from.1);
        if same || *from.0 == Type::Void {
            return Ok(None);
        }
        let key = (from.0.clone(), from.1, to.0.clone(), to.1);
        let known = self
            .casts
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(&key)
            .cloned();
        if known.is_some() {
            return Ok(known);
        }
        let value = Expr {
            modifier: from.1,
            ..Expr::new(ExprKind::Parameter(0), from.0.clone())
        };
        let cast = analyse::plpgsql_cast(compiled.catalog(), value, to.0, to.1)?;
        let made = Arc::new(Code::Value {
            value: self.simple(compiled, &cast)?,
            ty: to.0.clone(),
            modifier: to.1,
        });
        self.casts
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(key, Arc::clone(&made));
        Ok(Some(made))
    }
}

impl Value {
    /// The value over these variables.
    pub(super) fn get(&self, running: &Running<'_>, variables: &[Scalar]) -> Result<Scalar, BackendError> {
        let sources = Sources::of_request(running.context(), &[]).with_variables(variables);
        match self {
            Value::Variable(number) => variables
                .get(*number)
                .cloned()
                .ok_or_else(|| BackendError::Internal("a function has fewer variables".into())),
            Value::Fill(fill) => fill.only(running.conn(), &sources),
            Value::Query(query) => {
                let mut rows = query.all(running.conn(), &sources, |row| {
                    row.get(0).map_err(|error| query.failed(&error))
                })?;
                match rows.len() {
                    0 => Ok(Scalar::Null),
                    1 => Ok(rows.swap_remove(0)),
                    _ => Err(DatabaseError::new("21000", "query returned more than one row").into()),
                }
            }
        }
    }
}

/// The first row of a query with so many columns.
pub(super) fn first_row(
    running: &Running<'_>,
    query: &Prepared,
    count: usize,
    variables: &[Scalar],
) -> Result<Option<Vec<Scalar>>, BackendError> {
    let sources = Sources::of_request(running.context(), &[]).with_variables(variables);
    query.one(running.conn(), &sources, |row| scalars(row, 0, count))
}

/// What COALESCE over rows comes to: which records are null is known when the expression is compiled.
fn first_row_of(expr: &Expr) -> Option<Expr> {
    match &expr.kind {
        ExprKind::Coalesce(parts) if parts.iter().all(is_row_or_null) => {
            let first = parts.iter().find(|part| !is_null_row(part)).or_else(|| parts.last());
            first.map(|first| first_row_of(first).unwrap_or_else(|| first.clone()))
        }
        ExprKind::Cast { expr: inner, .. } if matches!(inner.kind, ExprKind::Row { .. }) && inner.ty == expr.ty => {
            Some((**inner).clone())
        }
        _ => None,
    }
}

fn is_row_or_null(expr: &Expr) -> bool {
    match &expr.kind {
        ExprKind::Row { .. } => true,
        ExprKind::Cast { expr: inner, .. } => is_null_row(inner),
        ExprKind::Coalesce(parts) => parts.iter().all(is_row_or_null),
        _ => expr.is_null_literal(),
    }
}

fn is_null_row(expr: &Expr) -> bool {
    match &expr.kind {
        ExprKind::Cast { expr: inner, .. } => is_null_row(inner),
        ExprKind::Coalesce(parts) => parts.iter().all(is_null_row),
        _ => expr.is_null_literal(),
    }
}

/// The one expression of a query that is nothing else.
fn alone(query: &Query) -> Option<&Expr> {
    let SetExpression::Select(select) = &query.body else {
        return None;
    };
    let Select {
        distinct: Distinct::All,
        target,
        from,
        filter: None,
        group_by,
        having: None,
        is_aggregate: false,
        ..
    } = &**select
    else {
        return None;
    };
    let from: &[FromItem] = from;
    let plain = query.ctes.is_empty()
        && from.is_empty()
        && group_by.is_empty()
        && query.order.is_empty()
        && query.limit.is_none()
        && query.offset.is_none();
    match target.as_slice() {
        [only] if plain && !has_window(&only.expr) => Some(&only.expr),
        _ => None,
    }
}

fn has_window(expr: &Expr) -> bool {
    struct Found(bool);
    impl walk::Visitor for Found {
        fn expr(&mut self, expr: &Expr) {
            self.0 |= matches!(expr.kind, ExprKind::Window(_));
        }
    }
    let mut found = Found(false);
    walk::expr(&mut found, expr);
    found.0
}

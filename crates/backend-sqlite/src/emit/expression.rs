//! Typed expressions → SQLite expressions over stored values.
//!
//! Every expression is written so that it can stand in any place: operators in parentheses, calls as they are.

use mainstay_core::error::DatabaseError;
use mainstay_core::name::QualifiedName;
use mainstay_core::types::{Type, TypeModifier};
use mainstay_sql::analyse::kinds::Implementation;
use mainstay_sql::typed::{CastContext, ContextValue, Expr, ExprKind, Literal, RteId};
use mainstay_sql::walk;
use rusqlite::types::Value as Scalar;

use super::binds::Bind;
use super::emitter::{Argument, Emitter, Parameters, Result, Rte, Scope};
use super::is_compared_singly;
use super::query::Names;
use super::types::{self, suffix};
use crate::values::{array, cast};

/// Parts of a conjunction that are written one after the other.
const JOINED_FLAT_MAX: usize = 64;

impl Emitter<'_> {
    /// Writes one expression.
    ///
    /// Errors: 0A000 for what the embedded engine does not have; 42501 and 42P17 from routines and subqueries.
    pub fn expr(&mut self, expr: &Expr) -> Result<()> {
        if hands_on_collation(expr) {
            self.sql("(");
            self.expr_bare(expr)?;
            self.sql(" COLLATE BINARY)");
            return Ok(());
        }
        self.expr_bare(expr)
    }

    fn expr_bare(&mut self, expr: &Expr) -> Result<()> {
        match &expr.kind {
            ExprKind::Literal(literal) => self.literal(literal, &expr.ty),
            ExprKind::Parameter(index) => self.parameter(*index, expr),
            ExprKind::Column { rte, column } => self.column(*rte, *column),
            ExprKind::Output(index) => {
                self.writer.number(*index as i64 + 1);
                Ok(())
            }
            ExprKind::Cast {
                expr: inner,
                context,
                method,
            } => self.cast(inner, expr, *context, *method),
            ExprKind::Operator { operator, arguments } => self.operator(operator, arguments),
            ExprKind::Function { function, arguments } => self.function(function, arguments),
            ExprKind::Aggregate(call) => self.aggregate(call),
            ExprKind::Window(call) => self.window(call),
            ExprKind::And(parts) => self.joined(parts, " AND "),
            ExprKind::Or(parts) => self.joined(parts, " OR "),
            ExprKind::Not(inner) => {
                self.sql("(NOT ");
                self.expr(inner)?;
                self.sql(")");
                Ok(())
            }
            ExprKind::IsNull { expr: inner, negated } => self.is_null(inner, *negated),
            ExprKind::BooleanTest {
                expr: inner,
                value,
                negated,
            } => {
                self.sql("(");
                self.expr(inner)?;
                self.sql(if *negated { " IS NOT " } else { " IS " });
                self.sql(match value {
                    Some(true) => "1)",
                    Some(false) => "0)",
                    None => "NULL)",
                });
                Ok(())
            }
            ExprKind::DistinctFrom {
                operator,
                left,
                right,
                negated,
            } => self.same(operator, left, right, if *negated { " IS " } else { " IS NOT " }),
            ExprKind::Case { whens, otherwise } => {
                self.sql("CASE");
                for (condition, value) in whens {
                    self.sql(" WHEN ");
                    self.expr(condition)?;
                    self.sql(" THEN ");
                    self.expr(value)?;
                }
                if let Some(value) = otherwise {
                    self.sql(" ELSE ");
                    self.expr(value)?;
                }
                self.sql(" END");
                Ok(())
            }
            ExprKind::Coalesce(parts) => match parts.as_slice() {
                [only] => self.expr(only),
                _ => self.call("coalesce", parts),
            },
            ExprKind::NullIf {
                operator: _,
                left,
                right,
            } => {
                self.sql("nullif(");
                self.compared(left)?;
                self.sql(", ");
                self.expr(right)?;
                self.sql(")");
                Ok(())
            }
            ExprKind::Greatest(parts) => self.extreme(parts, "pg_fn_greatest", "pg_fn_greatest_numeric"),
            ExprKind::Least(parts) => self.extreme(parts, "pg_fn_least", "pg_fn_least_numeric"),
            ExprKind::InList {
                operator: _,
                expr: inner,
                list,
                negated,
            } => {
                let is_column = matches!(inner.kind, ExprKind::Column { .. });
                if self.for_each_row && is_column && is_compared_singly(list.len()) {
                    self.sql(if *negated { "(NOT (" } else { "((" });
                    for (place, item) in list.iter().enumerate() {
                        self.sql(if place > 0 { " OR " } else { "" });
                        self.compared(inner)?;
                        self.sql(" = ");
                        self.expr(item)?;
                    }
                    self.sql("))");
                    return Ok(());
                }
                self.sql("(");
                self.compared(inner)?;
                self.sql(if *negated { " NOT IN (" } else { " IN (" });
                self.exprs(list)?;
                self.sql("))");
                Ok(())
            }
            ExprKind::QuantifiedSubquery {
                operators,
                all,
                left,
                query,
                negated,
            } => self.quantified_subquery(operators, *all, left, query, *negated),
            ExprKind::QuantifiedArray {
                operator,
                all,
                left,
                array,
            } => self.quantified_array(operator, *all, left, array),
            ExprKind::Exists(query) => {
                self.sql("EXISTS (");
                self.query(query, Names::Numbered)?;
                self.sql(")");
                Ok(())
            }
            ExprKind::ScalarSubquery(query) => self.scalar_subquery(query),
            ExprKind::Like {
                kind,
                expr: inner,
                pattern,
                escape,
                negated,
            } => self.like(*kind, inner, pattern, escape.as_deref(), *negated),
            ExprKind::Row { fields, rte, .. } => self.row_or_null(*rte, |emitter| emitter.row_text(fields)),
            ExprKind::Subscript { expr: inner, index } => match inner.ty.base() {
                Type::Array(element) => self.subscript(inner, element, index),
                _ => {
                    // A step of a path, whatever it is written as: no scalar has one.
                    self.sql("pg_jsonb_path(");
                    self.expr(inner)?;
                    self.sql(", json_array(CAST(");
                    self.expr(index)?;
                    self.sql(" AS TEXT)))");
                    Ok(())
                }
            },
            ExprKind::Array(parts) => self.array(parts),
            ExprKind::ArraySubquery(query) => self.array_subquery(query),
            ExprKind::Routine(call) => self.routine(call),
            ExprKind::Run(run) => self.run(run),
            ExprKind::Sequence(call) => self.sequence(call),
            ExprKind::Context(value) => self.context(value),
            ExprKind::Default => Err(DatabaseError::new("42601", "DEFAULT is not allowed in this context")),
        }
    }

    /// Expressions with commas between them.
    pub(super) fn exprs(&mut self, parts: &[Expr]) -> Result<()> {
        for (index, part) in parts.iter().enumerate() {
            if index > 0 {
                self.sql(", ");
            }
            self.expr(part)?;
        }
        Ok(())
    }

    /// A call with the arguments in order.
    pub(super) fn call(&mut self, name: &'static str, arguments: &[Expr]) -> Result<()> {
        self.sql(name).sql("(");
        self.exprs(arguments)?;
        self.sql(")");
        Ok(())
    }

    /// Parts with a word between them. Many are written as a balanced tree: SQLite limits how deep one may be.
    fn joined(&mut self, parts: &[Expr], word: &'static str) -> Result<()> {
        self.sql("(");
        if parts.len() > JOINED_FLAT_MAX {
            let (left, right) = parts.split_at(parts.len() / 2);
            self.joined(left, word)?;
            self.sql(word);
            self.joined(right, word)?;
        } else {
            for (index, part) in parts.iter().enumerate() {
                if index > 0 {
                    self.sql(word);
                }
                self.expr(part)?;
            }
        }
        self.sql(")");
        Ok(())
    }

    /// A constant in its stored form.
    fn literal(&mut self, literal: &Literal, ty: &Type) -> Result<()> {
        match literal {
            Literal::Null => {
                self.sql("NULL");
            }
            Literal::Bool(value) => {
                self.sql(if *value { "1" } else { "0" });
            }
            Literal::Integer(value) if *value < 0 => {
                self.sql("(").writer.number(*value);
                self.sql(")");
            }
            Literal::Integer(value) => {
                self.writer.number(*value);
            }
            Literal::Float(value) if value.is_nan() => {
                let way = Some("numeric, which keeps NaN");
                return Err(DatabaseError::unavailable("NaN of a float", "", 1, way));
            }
            Literal::Float(value) => {
                self.writer.real(*value);
            }
            Literal::Numeric(text) => {
                self.writer.literal(text);
            }
            Literal::Text(text) => return self.text_literal(text, ty),
        }
        Ok(())
    }

    /// A constant whose type's input function has yet to run: it runs now, unless the answer depends on the time.
    fn text_literal(&mut self, text: &str, ty: &Type) -> Result<()> {
        match ty.base() {
            Type::Enum(name) => self.check_label(name, text)?,
            Type::Array(element) => {
                if let Type::Enum(name) = element.base() {
                    let labels = array::split_literal(text).map_err(super::input::refused)?;
                    for label in labels.iter().flatten() {
                        self.check_label(name, label)?;
                    }
                }
            }
            _ => {}
        }
        let Some(kind) = cast::Kind::of(ty) else {
            return Err(DatabaseError::unavailable(&format!("type {ty}"), "", 1, None));
        };
        match cast::input(&kind, text, &cast::Input::default()) {
            Ok(stored) => {
                match Scalar::from(stored) {
                    Scalar::Null => self.writer.sql("NULL"),
                    Scalar::Integer(number) => self.writer.number(number),
                    Scalar::Real(number) => self.writer.real(number),
                    Scalar::Text(text) => self.writer.literal(&text),
                    Scalar::Blob(bytes) => self.writer.blob(&bytes),
                };
                Ok(())
            }
            Err(error) => {
                let timely = matches!(ty.base(), Type::Timestamptz | Type::Timestamp | Type::Date | Type::Time)
                    && cast::input(&kind, text, &cast::Input { now: Some(0) }).is_ok();
                if !timely {
                    return Err(super::input::refused(error));
                }
                self.sql("pg_in_").sql(suffix(ty)?).sql("(");
                self.writer.literal(text);
                self.sql(", ");
                self.bind(Bind::Context(ContextValue::Now))?;
                self.sql(")");
                Ok(())
            }
        }
    }

    /// Errors: 22P02 for what is no label of the enum.
    fn check_label(&self, name: &QualifiedName, text: &str) -> Result<()> {
        let enums = &self.catalog().enums;
        let known = enums
            .get(name)
            .is_some_and(|found| found.labels.iter().any(|label| label == text));
        if known {
            return Ok(());
        }
        let message = format!("invalid input value for enum {}: \"{text}\"", name.name);
        Err(DatabaseError::new("22P02", message))
    }

    fn parameter(&mut self, index: usize, expr: &Expr) -> Result<()> {
        if let Type::Domain(name, base) = &expr.ty {
            // The argument as its base type, cast.
            let value = Expr::new(ExprKind::Parameter(index), base.base().clone());
            let cast =
                mainstay_sql::analyse::cast(self.catalog(), value, base, TypeModifier::None, CastContext::Assignment)?;
            let modifier = (self.catalog().domains.get(name))
                .map(|domain| domain.modifier)
                .unwrap_or_default();
            return self.domain(&Expr { modifier, ..cast }, name);
        }
        match &self.parameters {
            Parameters::Request => {
                let input = self.input(expr)?;
                self.bind(Bind::Value { value: index, input })
            }
            Parameters::Variables => self.bind(Bind::Variable(index)),
            Parameters::Arguments(arguments) => match arguments.get(index).cloned() {
                Some(Argument::Value(value)) => {
                    let input = self.input(expr)?;
                    self.bind(Bind::Value { value, input })
                }
                Some(Argument::Default(bound)) => self.fragment(Scope::default(), |emitter| emitter.expr(&bound.expr)),
                None => Err(DatabaseError::new(
                    "42P02",
                    format!("there is no parameter ${}", index + 1),
                )),
            },
            Parameters::None => {
                let message = format!("there is no parameter ${}", index + 1);
                Err(DatabaseError::new("42P02", message).at(expr.position))
            }
        }
    }

    /// A column, however its entry is reached.
    pub fn column(&mut self, rte: RteId, column: usize) -> Result<()> {
        let Some(entry) = self.scope.rtes.get(&rte).cloned() else {
            return Err(DatabaseError::new(
                "XX000",
                format!("range table entry {} is not in scope", rte.0),
            ));
        };
        self.column_of(&entry, rte, column)
    }

    fn column_of(&mut self, entry: &Rte, rte: RteId, column: usize) -> Result<()> {
        let missing = || DatabaseError::new("XX000", format!("entry {} has no column {column}", rte.0));
        match entry {
            Rte::Relation { alias, relation } => {
                let name = &relation.columns.get(column).ok_or_else(missing)?.name;
                self.alias(*alias).sql(".");
                self.writer.ident(name);
            }
            Rte::Joined { alias, relation, bound } => {
                if let Some((_, of_row)) = bound.iter().find(|(known, _)| *known == column) {
                    return self.bind(Bind::Row(*of_row));
                }
                let name = &relation.columns.get(column).ok_or_else(missing)?.name;
                self.alias(*alias).sql(".");
                self.writer.ident(name);
            }
            Rte::Bound { relation } => {
                let found = relation.columns.get(column).ok_or_else(missing)?;
                if found.generated.is_some() {
                    return self.generated(entry, column);
                }
                self.bind(Bind::Row(column))?;
            }
            Rte::Merged {
                alias,
                relation,
                assigned,
            } => {
                let found = relation.columns.get(column).ok_or_else(missing)?;
                if found.generated.is_some() {
                    return self.generated(entry, column);
                }
                if assigned.contains(&column) {
                    return self.bind(Bind::Row(column));
                }
                self.alias(*alias).sql(".");
                self.writer.ident(&found.name);
            }
            Rte::Bare { relation } => {
                let name = &relation.columns.get(column).ok_or_else(missing)?.name;
                self.writer.ident(name);
            }
            Rte::Numbered { alias } => {
                self.alias(*alias).sql(".c").writer.number(column as i64 + 1);
            }
            Rte::Packed { alias, columns } if column >= *columns => {
                self.sql("(").alias(*alias).sql(".key + 1)");
            }
            Rte::Packed { alias, .. } => {
                self.sql("pg_cell(")
                    .alias(*alias)
                    .sql(".value, ")
                    .writer
                    .number(column as i64);
                self.sql(")");
            }
            Rte::Set { alias, parts, columns } => {
                let values = (*parts).max(1);
                if column == values && column + 1 == *columns {
                    self.sql("(").alias(*alias).sql(".key + 1)");
                } else if *parts > 0 {
                    self.sql("(")
                        .alias(*alias)
                        .sql(".value ->> ")
                        .writer
                        .number(column as i64);
                    self.sql(")");
                } else {
                    self.alias(*alias).sql(".value");
                }
            }
            Rte::Mapped { scope, columns } => {
                let target = columns.get(column).ok_or_else(missing)?.clone();
                let scope = Scope::clone(scope);
                return self.fragment(scope, |emitter| emitter.expr(&target));
            }
        }
        Ok(())
    }

    /// A generated column's expression over the row it belongs to.
    fn generated(&mut self, entry: &Rte, column: usize) -> Result<()> {
        let (Rte::Merged { relation, .. } | Rte::Bound { relation }) = entry else {
            return Ok(());
        };
        let found = &relation.columns[column];
        let text = found.generated.as_deref().unwrap_or("NULL");
        let bound = self.compiled.generated(relation, text, &found.ty, found.modifier)?;
        self.fragment(Scope::of(bound.rte, entry.clone()), |emitter| emitter.expr(&bound.expr))
    }

    /// A value of the request that is bound. Inside SECURITY DEFINER routines `current_user` is the owner.
    fn context(&mut self, value: &ContextValue) -> Result<()> {
        if *value == ContextValue::CurrentUser && self.definer {
            let user = self.user.clone();
            self.writer.literal(&user);
            return Ok(());
        }
        if self.sets_config && matches!(value, ContextValue::Setting { .. }) {
            return Err(set_and_read());
        }
        self.bind(Bind::Context(value.clone()))
    }
}

/// Settings are bound before a statement runs.
pub(super) fn set_and_read() -> DatabaseError {
    let way = Some("two statements");
    DatabaseError::unavailable("set_config and current_setting in one statement", "", 1, way)
}

/// True for a value computed from a comparison that has a collation: SQLite would compare the value by it, because a
/// collation counts for everything that it stands in (`CASE WHEN n > 1 THEN 'a' END = 'A'`, `n` a numeric).
fn hands_on_collation(expr: &Expr) -> bool {
    let computes = matches!(
        expr.kind,
        ExprKind::Case { .. }
            | ExprKind::Cast { .. }
            | ExprKind::Function { .. }
            | ExprKind::Operator { .. }
            | ExprKind::Subscript { .. }
    );
    if !computes || *expr.ty.base() == Type::Bool || expr.ty.is_integer() {
        return false;
    }
    let mut found = false;
    walk::children(expr, &mut |inner| {
        found |= match &inner.kind {
            ExprKind::Operator { operator, arguments } => {
                operator.implementation == Implementation::Compare && arguments.iter().any(is_collated)
            }
            ExprKind::DistinctFrom { left, .. }
            | ExprKind::NullIf { left, .. }
            | ExprKind::InList { expr: left, .. }
            | ExprKind::QuantifiedArray { left, .. } => is_collated(left),
            // A subquery keeps its collations to itself.
            ExprKind::Exists(_) | ExprKind::ScalarSubquery(_) | ExprKind::ArraySubquery(_) => return false,
            ExprKind::QuantifiedSubquery { left, .. } => left.iter().any(is_collated),
            _ => false,
        };
        !found
    });
    found
}

fn is_collated(expr: &Expr) -> bool {
    types::collation(&expr.ty).is_some()
}

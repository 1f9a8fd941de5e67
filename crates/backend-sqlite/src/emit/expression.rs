//! Typed expressions → SQLite expressions over stored values.
//!
//! Every expression is written so that it can stand in any place: operators in parentheses, calls as they are.

use mainstay_core::error::DatabaseError;
use mainstay_core::types::Type;
use mainstay_sql::analyse::kinds::Implementation;
use mainstay_sql::typed::{
    ContextValue, Expr, ExprKind, LikeKind, Literal, OperatorEntry, Query, RoutineCall, RteId, Statement,
};
use rusqlite::types::Value as Scalar;

use super::binds::Bind;
use super::emitter::{Argument, Emitter, Parameters, Result, Rte, Scope};
use super::query::Names;
use super::shape;
use super::types::{self, suffix};
use super::walk;
use crate::values::cast;

/// Parts of a conjunction that are written one after the other.
const JOINED_FLAT_MAX: usize = 64;

impl Emitter<'_> {
    /// Writes one expression.
    ///
    /// Errors: 0A000 for what the embedded engine does not have; 42501 and 42P17 from routines and subqueries.
    pub fn expr(&mut self, expr: &Expr) -> Result<()> {
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
            ExprKind::Row { fields, names, .. } => {
                // A row by itself is only ever shown; its text form is not kept, so JSON stands in.
                self.row_json(fields, names)
            }
            ExprKind::Subscript { expr: inner, index } => {
                let name = match inner.ty.base() {
                    Type::Jsonb => "pg_json_get",
                    Type::Array(element) if matches!(element.base(), Type::Numeric) => "pg_array_get_text",
                    _ => "pg_array_get",
                };
                self.sql(name).sql("(");
                self.expr(inner)?;
                self.sql(", ");
                self.expr(index)?;
                self.sql(")");
                Ok(())
            }
            ExprKind::Array(parts) => {
                self.sql("pg_fn_array_build(");
                for (index, part) in parts.iter().enumerate() {
                    if index > 0 {
                        self.sql(", ");
                    }
                    self.json_of(part, false)?;
                }
                self.sql(")");
                Ok(())
            }
            ExprKind::Routine(call) => self.routine(call),
            ExprKind::Sequence(_) => Err(DatabaseError::unavailable(
                "a sequence function inside a query",
                "",
                1,
                Some("call it by itself, as a default or as a value of INSERT"),
            )),
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
        if let Type::Enum(name) = ty.base() {
            let known = self
                .catalog()
                .enums
                .get(name)
                .is_some_and(|found| found.labels.iter().any(|label| label == text));
            if !known {
                let message = format!("invalid input value for enum {}: \"{text}\"", name.name);
                return Err(DatabaseError::new("22P02", message));
            }
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

    fn parameter(&mut self, index: usize, expr: &Expr) -> Result<()> {
        match &self.parameters {
            Parameters::Request => {
                let input = self.input(expr)?;
                self.bind(Bind::Value { value: index, input })
            }
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
    pub(super) fn column(&mut self, rte: RteId, column: usize) -> Result<()> {
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
            Rte::Set { alias, pair, columns } => {
                let values = if *pair { 2 } else { 1 };
                if column == values && column + 1 == *columns {
                    self.sql("(").alias(*alias).sql(".key + 1)");
                } else if *pair {
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
        self.bind(Bind::Context(value.clone()))
    }

    /// An expression with the collation by which its type is told apart.
    pub(super) fn compared(&mut self, expr: &Expr) -> Result<()> {
        self.expr(expr)?;
        if let Some(collation) = types::collation(&expr.ty).filter(types::Collation::changes_equality) {
            self.sql(" COLLATE ").writer.ident(&collation.name());
        }
        Ok(())
    }

    /// An expression with the collation by which its type is ordered.
    pub(super) fn ordered(&mut self, expr: &Expr) -> Result<()> {
        self.expr(expr)?;
        if let Some(collation) = types::collation(&expr.ty) {
            self.sql(" COLLATE ").writer.ident(&collation.name());
        }
        Ok(())
    }

    fn operator(&mut self, operator: &'static OperatorEntry, arguments: &[Expr]) -> Result<()> {
        match (operator.implementation, arguments) {
            (Implementation::Compare, [left, right]) => self.compare(operator.name, left, right),
            (Implementation::Native(name), [left, right]) => {
                self.sql("(");
                self.expr(left)?;
                self.sql(" ").sql(name).sql(" ");
                self.expr(right)?;
                self.sql(")");
                Ok(())
            }
            (Implementation::Native(name), [only]) if !name.starts_with(char::is_alphabetic) => {
                self.sql("(").sql(name).sql(" ");
                self.expr(only)?;
                self.sql(")");
                Ok(())
            }
            (Implementation::Engine, _) => self.engine_operator(operator, arguments),
            (implementation, _) => self.implementation(operator.name, implementation, arguments),
        }
    }

    /// `= <> < <= > >=`.
    fn compare(&mut self, name: &'static str, left: &Expr, right: &Expr) -> Result<()> {
        self.sql("(");
        let equality = matches!(name, "=" | "<>");
        if equality {
            self.compared(left)?;
        } else {
            self.ordered(left)?;
        }
        self.sql(" ").sql(name).sql(" ");
        self.expr(right)?;
        self.sql(")");
        Ok(())
    }

    /// `left IS right` in the arguments' order.
    fn same(&mut self, operator: &OperatorEntry, left: &Expr, right: &Expr, word: &'static str) -> Result<()> {
        if operator.implementation != Implementation::Compare {
            return Err(unavailable_operator(operator.name));
        }
        self.sql("(");
        self.compared(left)?;
        self.sql(word);
        self.expr(right)?;
        self.sql(")");
        Ok(())
    }

    fn is_null(&mut self, inner: &Expr, negated: bool) -> Result<()> {
        let word = if negated { " IS NOT NULL" } else { " IS NULL" };
        self.sql("(");
        match &inner.kind {
            ExprKind::Row { fields, .. } if !fields.is_empty() => {
                for (index, field) in fields.iter().enumerate() {
                    if index > 0 {
                        self.sql(" AND ");
                    }
                    self.expr(field)?;
                    self.sql(word);
                }
            }
            _ => {
                self.expr(inner)?;
                self.sql(word);
            }
        }
        self.sql(")");
        Ok(())
    }

    /// GREATEST and LEAST, which pass over nulls.
    fn extreme(&mut self, parts: &[Expr], native: &'static str, numeric: &'static str) -> Result<()> {
        match parts.first().map(|part| part.ty.base()) {
            Some(Type::Numeric) => self.call(numeric, parts),
            Some(Type::Interval) => {
                let name = if native == "pg_fn_least" {
                    "pg_fn_least_interval"
                } else {
                    "pg_fn_greatest_interval"
                };
                self.call(name, parts)
            }
            Some(Type::Enum(_) | Type::Jsonb) => Err(DatabaseError::unavailable(
                "GREATEST and LEAST of this type",
                "",
                1,
                Some("use CASE"),
            )),
            _ => self.call(native, parts),
        }
    }

    /// `left op ANY|ALL (query)`.
    fn quantified_subquery(
        &mut self,
        operators: &[&'static OperatorEntry],
        all: bool,
        left: &[Expr],
        query: &Query,
        negated: bool,
    ) -> Result<()> {
        let membership = !all && operators.iter().all(|operator| operator.name == "=");
        if membership {
            self.sql("(");
            if left.len() > 1 {
                self.sql("(");
            }
            for (index, part) in left.iter().enumerate() {
                if index > 0 {
                    self.sql(", ");
                }
                self.compared(part)?;
            }
            if left.len() > 1 {
                self.sql(")");
            }
            self.sql(if negated { " NOT IN (" } else { " IN (" });
            self.query(query, Names::Numbered)?;
            self.sql("))");
            return Ok(());
        }
        let ([operator], [left]) = (operators, left) else {
            return Err(DatabaseError::unavailable(
                "a row compared with ANY or ALL",
                "",
                1,
                Some("use EXISTS"),
            ));
        };
        // Three-valued: one decisive row decides, else one unknown makes it unknown.
        let alias = self.fresh_alias();
        let (decisive, otherwise) = if all {
            ("min(t) = 0 THEN 0", "1")
        } else {
            ("max(t) = 1 THEN 1", "0")
        };
        self.sql(if negated { "(NOT (" } else { "((" });
        self.sql("SELECT CASE WHEN ")
            .sql(decisive)
            .sql(" WHEN count(*) > count(t) THEN NULL ELSE ")
            .sql(otherwise);
        self.sql(" END FROM (SELECT ");
        let right = Expr::new(
            ExprKind::Column {
                rte: SUBQUERY,
                column: 0,
            },
            query.columns[0].ty.clone(),
        );
        let hidden = self.scope.rtes.insert(SUBQUERY, Rte::Numbered { alias });
        self.operator(operator, &[left.clone(), right])?;
        match hidden {
            Some(entry) => self.scope.rtes.insert(SUBQUERY, entry),
            None => self.scope.rtes.remove(&SUBQUERY),
        };
        self.sql(" AS t FROM (");
        self.query(query, Names::Numbered)?;
        self.sql(") AS ").alias(alias).sql(")))");
        Ok(())
    }

    /// `left op ANY|ALL (array)`.
    fn quantified_array(&mut self, operator: &OperatorEntry, all: bool, left: &Expr, array: &Expr) -> Result<()> {
        let part = match operator.name {
            "=" => "eq_",
            "<>" => "ne_",
            "<" => "lt_",
            "<=" => "le_",
            ">" => "gt_",
            ">=" => "ge_",
            name => return Err(unavailable_operator(name)),
        };
        let way = match left.ty.base() {
            Type::Numeric => "numeric(",
            Type::Interval | Type::Jsonb | Type::Enum(_) if part != "eq_" => return Err(unavailable_operator("ANY")),
            _ => "native(",
        };
        self.sql(if all { "pg_array_all_" } else { "pg_array_any_" })
            .sql(part)
            .sql(way);
        self.expr(left)?;
        self.sql(", ");
        self.expr(array)?;
        self.sql(")");
        Ok(())
    }

    /// `(SELECT …)` as a value: 21000 on a second row, unless there can be none.
    fn scalar_subquery(&mut self, query: &Query) -> Result<()> {
        // `(SELECT auth.uid())` is `auth.uid()`.
        if let Some(value) = shape::lone_value(query) {
            return self.expr(value);
        }
        if shape::at_most_one_row(query) {
            self.sql("(");
            self.query(query, Names::Numbered)?;
            self.sql(")");
            return Ok(());
        }
        self.sql("(SELECT pg_one(count(*), c1) FROM (");
        self.query(query, Names::Numbered)?;
        self.sql("))");
        Ok(())
    }

    /// LIKE and its kin. A constant prefix also becomes a range, so that an index is used.
    fn like(
        &mut self,
        kind: LikeKind,
        inner: &Expr,
        pattern: &Expr,
        escape: Option<&Expr>,
        negated: bool,
    ) -> Result<()> {
        let name = match kind {
            LikeKind::Like => "pg_text_like(",
            LikeKind::Ilike => "pg_text_ilike(",
            LikeKind::Similar => "pg_text_similar(",
        };
        let is_column = matches!(inner.kind, ExprKind::Column { .. });
        let ranged = kind == LikeKind::Like && !negated && escape.is_none() && is_column && !self.for_schema;
        self.sql(if negated { "(NOT " } else { "(" });
        if ranged {
            match &pattern.kind {
                ExprKind::Literal(Literal::Text(text)) => {
                    let (low, high) = prefix_range(text);
                    if let (Some(high), false) = (high, low.is_empty()) {
                        self.expr(inner)?;
                        self.sql(" >= ").writer.literal(&low);
                        self.sql(" AND ");
                        self.expr(inner)?;
                        self.sql(" < ").writer.literal(&high);
                        self.sql(" AND ");
                    }
                }
                ExprKind::Parameter(index) if matches!(self.parameters, Parameters::Request) => {
                    let index = *index;
                    self.expr(inner)?;
                    self.sql(" >= ");
                    self.bind(Bind::PrefixLow(index))?;
                    self.sql(" AND ");
                    self.expr(inner)?;
                    self.sql(" < ");
                    self.bind(Bind::PrefixHigh(index))?;
                    self.sql(" AND ");
                }
                _ => {}
            }
        }
        self.sql(name);
        self.expr(inner)?;
        self.sql(", ");
        self.expr(pattern)?;
        if let Some(escape) = escape {
            self.sql(", ");
            self.expr(escape)?;
        }
        self.sql("))");
        Ok(())
    }

    /// A routine's body in place of its call: the first row's value.
    fn routine(&mut self, call: &RoutineCall) -> Result<()> {
        self.check_execute(&call.routine)?;
        self.sql("(");
        self.inside_routine(call, |emitter| {
            emitter.sql("SELECT c1 FROM (");
            emitter.query(&call.body, Names::Numbered)?;
            emitter.sql(") LIMIT 1");
            Ok(())
        })?;
        self.sql(")");
        Ok(())
    }

    /// The arguments stand in the body, where the owner's rights hold; tables that they read would be read with these.
    fn refuse_argument_subqueries(&self, call: &RoutineCall) -> Result<()> {
        let in_call = walk::relations(|visitor| walk::query(visitor, &call.body));
        let in_body = match &*self.compiled.routine(&call.routine)? {
            Statement::Query(query) => walk::relations(|visitor| walk::query(visitor, query)),
            _ => 0,
        };
        if in_call <= in_body {
            return Ok(());
        }
        Err(DatabaseError::unavailable(
            "a subquery as an argument of a SECURITY DEFINER function",
            &call.routine.name.to_string(),
            1,
            Some("a join"),
        ))
    }

    /// Writes a body under the rights that hold inside it, and checks what it uses.
    pub(super) fn inside_routine<T>(
        &mut self,
        call: &RoutineCall,
        write: impl FnOnce(&mut Self) -> Result<T>,
    ) -> Result<T> {
        let uses = super::privileges::Uses::of(|visitor| walk::query(visitor, &call.body));
        if !call.routine.security_definer {
            self.check_uses(&uses)?;
            return write(self);
        }
        self.refuse_argument_subqueries(call)?;
        let owner = call.routine.owner.clone();
        let outer = (
            std::mem::replace(&mut self.user, owner.clone()),
            std::mem::replace(&mut self.definer, true),
        );
        let written = self.under(&owner, |emitter| {
            emitter.check_uses(&uses)?;
            write(emitter)
        });
        (self.user, self.definer) = outer;
        written
    }
}

/// Stands for the derived table of a quantified comparison while that is written.
const SUBQUERY: RteId = RteId(u32::MAX);

/// 0A000 for an operator without a form here.
pub(super) fn unavailable_operator(name: &str) -> DatabaseError {
    DatabaseError::unavailable(&format!("operator {name} for this type"), "", 1, None)
}

/// The texts that match a LIKE pattern lie between its prefix and the prefix's successor, which may not exist.
pub fn prefix_range(pattern: &str) -> (String, Option<String>) {
    let mut prefix = String::new();
    let mut characters = pattern.chars();
    while let Some(character) = characters.next() {
        match character {
            '%' | '_' => break,
            '\\' => match characters.next() {
                Some(escaped) => prefix.push(escaped),
                None => break,
            },
            other => prefix.push(other),
        }
    }
    let mut high: Vec<char> = prefix.chars().collect();
    while let Some(last) = high.pop() {
        let next = match last {
            '\u{D7FF}' => Some('\u{E000}'),
            other => char::from_u32(other as u32 + 1),
        };
        if let Some(next) = next {
            high.push(next);
            return (prefix, Some(high.into_iter().collect()));
        }
    }
    (prefix, None)
}

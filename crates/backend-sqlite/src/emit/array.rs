//! Arrays: elements as JSON texts, subscripts, casts, comparisons with any or all, rows of elements.
//!
//! An array is stored as a JSON array of its elements' JSON forms (`values::array`).

use mainstay_core::error::DatabaseError;
use mainstay_core::name::QualifiedName;
use mainstay_core::types::{Type, TypeModifier};
use mainstay_sql::analyse::kinds::Arg;
use mainstay_sql::typed::{CastContext, Expr, ExprKind, OperatorEntry, Query, RteId};

use super::comparison::unavailable_operator;
use super::emitter::{Emitter, Result, Rte};
use super::query::Names;
use super::types::suffix;

/// Stands for the rows of elements while a condition on each is written.
const ELEMENTS: RteId = RteId(u32::MAX - 1);

impl Emitter<'_> {
    /// A value as an element: its JSON text, NULL for null.
    pub(super) fn element(&mut self, expr: &Expr) -> Result<()> {
        if *expr.ty.base() == Type::Citext {
            return Err(DatabaseError::unavailable(
                "arrays of citext",
                "",
                1,
                Some("a cast to text"),
            ));
        }
        let document = expr.ty.is_json() && !expr.is_null_literal();
        if document {
            self.sql("pg_array_json(");
        }
        self.json_of(expr, false)?;
        if document {
            self.sql(")");
        }
        Ok(())
    }

    /// A call whose single elements travel as JSON; `by_type`: the name of the elements' own order comes last.
    pub(super) fn elements_call(
        &mut self,
        library: &'static str,
        declared: &[Arg],
        arguments: &[Expr],
        by_type: bool,
    ) -> Result<()> {
        self.sql(library).sql("(");
        for (index, (argument, slot)) in arguments.iter().zip(declared).enumerate() {
            if index > 0 {
                self.sql(", ");
            }
            match slot {
                Arg::AnyElement | Arg::AnyNonArray | Arg::AnyCompatible | Arg::AnyEnum => self.element(argument)?,
                _ => self.expr(argument)?,
            }
        }
        if by_type {
            let element = arguments.iter().find_map(|argument| match argument.ty.base() {
                Type::Array(element) => Some(element.base()),
                _ => None,
            });
            match element {
                Some(Type::Interval) => self.sql(", 'interval'"),
                Some(Type::Jsonb) => self.sql(", 'jsonb'"),
                // PostgreSQL finds no equality at run time; it is known now.
                Some(ty @ Type::Json) => {
                    let message = format!("could not identify an equality operator for type {ty}");
                    return Err(DatabaseError::new("42883", message));
                }
                _ => self,
            };
        }
        self.sql(")");
        Ok(())
    }

    /// `ARRAY[…]`; a modifier of the whole has been applied to each part.
    pub(super) fn array(&mut self, parts: &[Expr]) -> Result<()> {
        self.sql("pg_fn_array_build(");
        for (index, part) in parts.iter().enumerate() {
            if index > 0 {
                self.sql(", ");
            }
            self.element(part)?;
        }
        self.sql(")");
        Ok(())
    }

    /// `x[i]` on an array.
    pub(super) fn subscript(&mut self, inner: &Expr, element: &Type, index: &Expr) -> Result<()> {
        let name = suffix(element)?;
        self.sql("pg_array_get_").sql(name).sql("(");
        self.expr(inner)?;
        self.sql(", ");
        self.expr(index)?;
        self.sql(")");
        Ok(())
    }

    /// `ARRAY(SELECT …)`.
    pub(super) fn array_subquery(&mut self, query: &Query) -> Result<()> {
        let alias = self.fresh_alias();
        let ty = query.columns[0].ty.clone();
        self.sql("(SELECT coalesce(pg_agg_array_agg(");
        self.with_elements(Rte::Numbered { alias }, &ty, |emitter, value| emitter.element(value))?;
        self.sql("), '[]') FROM (");
        self.query(query, Names::Numbered)?;
        self.sql(") AS ").alias(alias).sql(")");
        Ok(())
    }

    /// Writes something over the one column of `entry`.
    pub(super) fn with_elements(
        &mut self,
        entry: Rte,
        ty: &Type,
        write: impl FnOnce(&mut Self, &Expr) -> Result<()>,
    ) -> Result<()> {
        let column = ExprKind::Column {
            rte: ELEMENTS,
            column: 0,
        };
        let hidden = self.scope.rtes.insert(ELEMENTS, entry);
        let written = write(self, &Expr::new(column, ty.clone()));
        match hidden {
            Some(entry) => self.scope.rtes.insert(ELEMENTS, entry),
            None => self.scope.rtes.remove(&ELEMENTS),
        };
        written
    }

    /// The rows of an array's elements, `key` from 0 and `value`.
    pub(super) fn unnest(&mut self, array: &Expr) -> Result<()> {
        let Type::Array(element) = array.ty.base() else {
            return Err(DatabaseError::new("XX000", "what is unnested is no array"));
        };
        let is_bytes = *element.base() == Type::Bytea;
        let name = suffix(element)?;
        if is_bytes {
            self.sql("(SELECT key, unhex(value) AS value FROM ");
        }
        self.sql("json_each(pg_srf_unnest(");
        self.expr(array)?;
        self.sql(", '").sql(name).sql("'))");
        if is_bytes {
            self.sql(")");
        }
        Ok(())
    }

    /// The rows of several arrays' elements, as JSON arrays.
    pub(super) fn unnest_many(&mut self, arrays: &[Expr]) -> Result<()> {
        self.sql("json_each(pg_srf_unnest_many(");
        for (index, array) in arrays.iter().enumerate() {
            let Type::Array(element) = array.ty.base() else {
                return Err(DatabaseError::new("XX000", "what is unnested is no array"));
            };
            if index > 0 {
                self.sql(", ");
            }
            self.sql("'").sql(suffix(element)?).sql("', ");
            self.expr(array)?;
        }
        self.sql("))");
        Ok(())
    }

    /// `left op ANY|ALL (array)`.
    pub(super) fn quantified_array(
        &mut self,
        operator: &'static OperatorEntry,
        all: bool,
        left: &Expr,
        array: &Expr,
    ) -> Result<()> {
        let part = match operator.name {
            "=" => Some("eq_"),
            "<>" => Some("ne_"),
            "<" => Some("lt_"),
            "<=" => Some("le_"),
            ">" => Some("gt_"),
            ">=" => Some("ge_"),
            _ => None,
        };
        let way = match left.ty.base() {
            Type::Numeric => Some("numeric("),
            Type::Interval | Type::Jsonb | Type::Citext | Type::Array(_) => None,
            Type::Enum(_) if !matches!(operator.name, "=" | "<>") => None,
            _ => Some("native("),
        };
        let (Some(part), Some(way)) = (part, way) else {
            return self.quantified_elements(operator, all, left, array);
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

    /// The same for any operator: one row for each element. Three-valued: one decisive row decides, else one unknown
    /// makes it unknown.
    fn quantified_elements(
        &mut self,
        operator: &'static OperatorEntry,
        all: bool,
        left: &Expr,
        array: &Expr,
    ) -> Result<()> {
        let Type::Array(element) = array.ty.base() else {
            return Err(unavailable_operator("ANY"));
        };
        if self.for_schema {
            return Err(DatabaseError::unavailable(
                "ANY or ALL of an array by this operator in a constraint or index",
                "",
                1,
                Some("OR or AND"),
            ));
        }
        let alias = self.fresh_alias();
        self.sql("(CASE WHEN ");
        self.expr(array)?;
        self.sql(" IS NOT NULL THEN (SELECT CASE WHEN ")
            .sql(if all { "min(t) = 0 THEN 0" } else { "max(t) = 1 THEN 1" })
            .sql(" WHEN count(*) > count(t) THEN NULL ELSE ")
            .sql(if all { "1" } else { "0" })
            .sql(" END FROM (SELECT ");
        let entry = Rte::Set {
            alias,
            parts: 0,
            columns: 1,
        };
        self.with_elements(entry, element, |emitter, value| {
            emitter.operator(operator, &[left.clone(), value.clone()])
        })?;
        self.sql(" AS t FROM ");
        self.unnest(array)?;
        self.sql(" AS ").alias(alias).sql(")) END)");
        Ok(())
    }

    /// `array_to_string`: every element by its output function.
    pub(super) fn array_to_string(&mut self, arguments: &[Expr]) -> Result<()> {
        self.sql("pg_fn_array_to_string(");
        for (index, argument) in arguments.iter().enumerate() {
            if index > 0 {
                self.sql(", ");
            }
            match argument.ty.base() {
                Type::Array(element) if suffix(element)? != "text" => {
                    let name = suffix(element)?;
                    self.sql("pg_array_texts(");
                    self.expr(argument)?;
                    self.sql(", '").sql(name).sql("')");
                }
                _ => self.expr(argument)?,
            }
        }
        self.sql(")");
        Ok(())
    }

    /// An array as an array of other elements.
    pub(super) fn array_converted(&mut self, inner: &Expr, from: &Type, to: &Type) -> Result<()> {
        let (from, to) = (from.base(), to.base());
        if let Type::Enum(name) = to
            && from != to
        {
            return self.array_of_labels(name, |emitter| emitter.array_converted(inner, from, &Type::Text));
        }
        let (source, target) = (suffix(from)?, suffix(to)?);
        let widens = matches!(
            (source, target),
            ("int2", "int4" | "int8" | "numeric") | ("int4", "int8" | "numeric") | ("int8", "numeric")
        );
        if source == target || widens {
            return self.expr(inner);
        }
        self.sql("pg_array_cast(");
        self.expr(inner)?;
        self.sql(", '").sql(source).sql("', '").sql(target).sql("')");
        Ok(())
    }

    /// Text `{…}` as an array.
    pub(super) fn array_read(&mut self, element: &Type, text: &Expr) -> Result<()> {
        if let Type::Enum(name) = element.base() {
            return self.array_of_labels(name, |emitter| emitter.array_read(&Type::Text, text));
        }
        let name = suffix(element)?;
        self.sql("pg_in_array_").sql(name).sql("(");
        self.expr(text)?;
        self.sql(")");
        Ok(())
    }

    fn array_of_labels(&mut self, name: &QualifiedName, write: impl FnOnce(&mut Self) -> Result<()>) -> Result<()> {
        self.sql("pg_array_enum(");
        write(self)?;
        self.sql(", ").writer.literal(&name.name);
        let labels = self
            .catalog()
            .enums
            .get(name)
            .map(|found| found.labels.as_slice())
            .unwrap_or_default();
        let labels = serde_json::Value::from(labels).to_string();
        self.sql(", ").writer.literal(&labels);
        self.sql(")");
        Ok(())
    }

    /// Begins the call that brings each element of an array to a modifier; false where there is none.
    pub(super) fn array_modifier(&mut self, ty: &Type, modifier: TypeModifier, context: CastContext) -> Result<bool> {
        let Type::Array(element) = ty.base() else {
            return Ok(false);
        };
        let name = match (element.base(), modifier) {
            (Type::Numeric, TypeModifier::Numeric { .. }) => "pg_typmod_array_numeric(",
            (Type::Varchar | Type::Text, TypeModifier::Length(_)) if context == CastContext::Explicit => {
                "pg_trunc_array_varchar("
            }
            (Type::Varchar | Type::Text, TypeModifier::Length(_)) => "pg_typmod_array_varchar(",
            (Type::Time, TypeModifier::Fraction(_)) => "pg_typmod_array_time(",
            (Type::Timestamp, TypeModifier::Fraction(_)) => "pg_typmod_array_timestamp(",
            (Type::Timestamptz, TypeModifier::Fraction(_)) => "pg_typmod_array_timestamptz(",
            (Type::Interval, TypeModifier::Fraction(_)) => "pg_typmod_array_interval(",
            _ => return Ok(false),
        };
        self.sql(name);
        Ok(true)
    }
}

//! Casts, and values as JSON.

use mainstay_core::name::Ident;
use mainstay_core::types::{Type, TypeModifier};
use mainstay_sql::typed::{CastContext, CastMethod, ContextValue, Expr, ExprKind};

use super::binds::Bind;
use super::emitter::{Emitter, Result};
use super::types::suffix;

impl Emitter<'_> {
    /// `inner` as `outer`'s type, then its modifier.
    pub(super) fn cast(&mut self, inner: &Expr, outer: &Expr, context: CastContext, method: CastMethod) -> Result<()> {
        if let Type::Domain(name, _) = &outer.ty
            && inner.ty != outer.ty
        {
            return self.domain(inner, name);
        }
        let modified = outer.modifier != TypeModifier::None
            && (method == CastMethod::ModifierOnly || outer.modifier != inner.modifier || inner.ty != outer.ty);
        if modified {
            match (outer.ty.base(), outer.modifier) {
                (Type::Numeric, TypeModifier::Numeric { .. }) => self.sql("pg_typmod_numeric("),
                (Type::Varchar | Type::Text, TypeModifier::Length(_)) if context == CastContext::Explicit => {
                    self.sql("pg_trunc_varchar(")
                }
                (Type::Varchar | Type::Text, TypeModifier::Length(_)) => self.sql("pg_typmod_varchar("),
                (Type::Time, TypeModifier::Fraction(_)) => self.sql("pg_typmod_time("),
                (Type::Timestamp, TypeModifier::Fraction(_)) => self.sql("pg_typmod_timestamp("),
                (Type::Timestamptz, TypeModifier::Fraction(_)) => self.sql("pg_typmod_timestamptz("),
                (Type::Interval, TypeModifier::Fraction(_)) => self.sql("pg_typmod_interval("),
                (Type::Vector, TypeModifier::Length(_)) => self.sql("pg_typmod_vector("),
                _ if self.array_modifier(&outer.ty, outer.modifier, context)? => self,
                _ => return self.converted(inner, &outer.ty),
            };
        }
        match method {
            CastMethod::Relabel if is_of_oid(inner, outer) => self.converted(inner, &outer.ty)?,
            CastMethod::ModifierOnly | CastMethod::Relabel => self.expr(inner)?,
            CastMethod::Function | CastMethod::InputOutput => self.converted(inner, &outer.ty)?,
        }
        if modified {
            match outer.modifier {
                TypeModifier::Numeric { precision, scale } => {
                    self.sql(", ")
                        .writer
                        .number(i64::from(precision))
                        .sql(", ")
                        .number(i64::from(scale));
                }
                TypeModifier::Length(length) => {
                    self.sql(", ").writer.number(i64::from(length));
                }
                TypeModifier::Fraction(digits) => {
                    self.sql(", ").writer.number(i64::from(digits));
                }
                TypeModifier::None => {}
            }
            self.sql(")");
        }
        Ok(())
    }

    fn between_identifiers(&mut self, function: &'static str, inner: &Expr) -> Result<()> {
        self.sql(function);
        self.expr(inner)?;
        self.sql(")");
        Ok(())
    }

    /// `inner` in the stored form of `to`.
    pub(super) fn converted(&mut self, inner: &Expr, to: &Type) -> Result<()> {
        let (from, to) = (inner.ty.base().clone(), to.base().clone());
        if from == to || inner.is_null_literal() {
            return self.expr(inner);
        }
        let textual = |ty: &Type| {
            matches!(
                ty,
                Type::Text | Type::Varchar | Type::Name | Type::Char | Type::Citext | Type::Unknown
            )
        };
        match (&from, &to) {
            _ if textual(&from) && textual(&to) => self.expr(inner),
            (Type::Enum(_) | Type::Record | Type::Composite(_), _) if textual(&to) => self.expr(inner),
            // The narrower is stored as the wider is.
            (Type::Int2, Type::Int4 | Type::Int8) | (Type::Int4, Type::Int8) | (Type::Float4, Type::Float8) => {
                self.expr(inner)
            }
            (Type::Oid, Type::Int8) => self.expr(inner),
            // The same 32 bits with a sign and without one; only a bigint may not fit.
            (Type::Int2 | Type::Int4, Type::Oid) => self.between_identifiers("pg_cast_int4_oid(", inner),
            (Type::Int8, Type::Oid) => self.between_identifiers("pg_cast_int8_oid(", inner),
            (Type::Oid, Type::Int4) => self.between_identifiers("pg_cast_oid_int4(", inner),
            (_, Type::Enum(name)) => {
                let name = name.clone();
                self.sql("pg_enum_in(");
                self.output_of(inner)?;
                self.sql(", ").writer.literal(&name.name);
                let labels = self
                    .catalog()
                    .enums
                    .get(&name)
                    .map(|found| found.labels.as_slice())
                    .unwrap_or_default();
                let labels = serde_json::Value::from(labels).to_string();
                self.sql(", ").writer.literal(&labels);
                self.sql(")");
                Ok(())
            }
            (Type::Array(_), Type::Vector) | (Type::Vector, Type::Array(_)) => {
                self.sql(if to == Type::Vector {
                    "pg_fn_array_to_vector("
                } else {
                    "pg_fn_vector_to_float4("
                });
                self.expr(inner)?;
                self.sql(")");
                Ok(())
            }
            (Type::Array(from), Type::Array(to)) => self.array_converted(inner, from, to),
            (_, Type::Array(element)) if textual(&from) => self.array_read(element, inner),
            (Type::Array(element), _) if textual(&to) => {
                let element = suffix(element)?;
                self.sql("pg_out_array_").sql(element).sql("(");
                self.expr(inner)?;
                self.sql(")");
                Ok(())
            }
            _ if textual(&from) => self.read_text(&to, |emitter| emitter.expr(inner)),
            _ if textual(&to) => {
                self.sql("pg_cast_").sql(suffix(&from)?).sql("_text(");
                self.expr(inner)?;
                self.sql(")");
                Ok(())
            }
            _ if has_conversion(&from, &to) => {
                self.sql("pg_cast_")
                    .sql(suffix(&from)?)
                    .sql("_")
                    .sql(suffix(&to)?)
                    .sql("(");
                self.expr(inner)?;
                self.sql(")");
                Ok(())
            }
            _ => self.read_text(&to, |emitter| emitter.output_of(inner)),
        }
    }

    /// A type's input function over some text. Times may be `now` or `today`, so they are told the time.
    fn read_text(&mut self, to: &Type, text: impl FnOnce(&mut Self) -> Result<()>) -> Result<()> {
        self.sql("pg_in_").sql(suffix(to)?).sql("(");
        text(self)?;
        let timely = matches!(to, Type::Timestamptz | Type::Timestamp | Type::Date | Type::Time);
        if timely && !self.for_schema {
            self.sql(", ");
            self.bind(Bind::Context(ContextValue::Now))?;
        }
        self.sql(")");
        Ok(())
    }

    /// The output function's text of a value.
    pub(super) fn output_of(&mut self, expr: &Expr) -> Result<()> {
        match expr.ty.base() {
            Type::Text | Type::Varchar | Type::Name | Type::Char | Type::Citext | Type::Unknown | Type::Enum(_) => {
                return self.expr(expr);
            }
            Type::Array(element) => {
                let element = suffix(element)?;
                self.sql("pg_out_array_").sql(element).sql("(");
            }
            // A row is kept in its text form.
            Type::Record | Type::Composite(_) => return self.expr(expr),
            ty => {
                let ty = suffix(ty)?;
                self.sql("pg_out_").sql(ty).sql("(");
            }
        }
        self.expr(expr)?;
        self.sql(")");
        Ok(())
    }

    /// A value as JSON text; NULL stays NULL.
    pub(super) fn json_of(&mut self, expr: &Expr, jsonb: bool) -> Result<()> {
        if let ExprKind::Row { fields, names, rte } = &expr.kind {
            return self.row_or_null(*rte, |emitter| match jsonb {
                true => emitter.row_jsonb(fields, names),
                false => emitter.row_json(fields, names),
            });
        }
        if expr.is_null_literal() {
            self.sql("NULL");
            return Ok(());
        }
        match expr.ty.base() {
            Type::Jsonb => return self.expr(expr),
            Type::Json if !jsonb => return self.expr(expr),
            Type::Array(element) => {
                let element = suffix(element)?;
                self.sql(if jsonb {
                    "pg_to_jsonb_array_"
                } else {
                    "pg_to_json_array_"
                })
                .sql(element)
                .sql("(");
            }
            ty => {
                let ty = suffix(ty)?;
                self.sql(if jsonb { "pg_to_jsonb_" } else { "pg_to_json_" })
                    .sql(ty)
                    .sql("(");
            }
        }
        self.expr(expr)?;
        self.sql(")");
        Ok(())
    }

    /// A row as `row_to_json` prints it: compact.
    pub(super) fn row_json(&mut self, fields: &[Expr], names: &[Ident]) -> Result<()> {
        self.sql("(");
        let mut before = String::from("{");
        for (field, name) in fields.iter().zip(names) {
            before.push_str(&crate::values::json::quote(name));
            before.push(':');
            self.writer.literal(&before);
            self.sql(" || coalesce(");
            self.json_of(field, false)?;
            self.sql(", 'null') || ");
            before.clear();
            before.push(',');
        }
        self.sql(if fields.is_empty() { "'{}')" } else { "'}')" });
        Ok(())
    }

    fn row_jsonb(&mut self, fields: &[Expr], names: &[Ident]) -> Result<()> {
        self.sql("pg_fn_jsonb_build_object(");
        for (index, (field, name)) in fields.iter().zip(names).enumerate() {
            if index > 0 {
                self.sql(", ");
            }
            self.writer.literal(name);
            self.sql(", ");
            self.json_of(field, true)?;
        }
        self.sql(")");
        Ok(())
    }
}

/// True for the pairs that the library converts directly, besides those through text.
fn has_conversion(from: &Type, to: &Type) -> bool {
    let number = |ty: &Type| {
        matches!(
            ty,
            Type::Int2 | Type::Int4 | Type::Int8 | Type::Float4 | Type::Float8 | Type::Numeric
        )
    };
    match (from, to) {
        _ if number(from) && number(to) => true,
        (Type::Bool, Type::Int4) | (Type::Int4, Type::Bool) => true,
        (Type::Json, Type::Jsonb) | (Type::Jsonb, Type::Json) => true,
        (Type::Jsonb, Type::Bool) => true,
        (Type::Jsonb, to) => number(to),
        (Type::Date, Type::Timestamp | Type::Timestamptz)
        | (Type::Timestamp, Type::Date | Type::Timestamptz | Type::Time)
        | (Type::Timestamptz, Type::Date | Type::Timestamp | Type::Time)
        | (Type::Time, Type::Interval)
        | (Type::Interval, Type::Time) => true,
        _ => false,
    }
}

fn is_of_oid(inner: &Expr, outer: &Expr) -> bool {
    (*inner.ty.base() == Type::Oid) != (*outer.ty.base() == Type::Oid)
}

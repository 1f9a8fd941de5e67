//! Calls: library functions, aggregates, windows.

use mainstay_core::error::DatabaseError;
use mainstay_core::types::Type;
use mainstay_sql::analyse::kinds::{Arg, Implementation};
use mainstay_sql::typed::{
    Aggregate, AggregateEntry, Expr, ExprKind, FunctionEntry, Literal, OperatorEntry, SortKey, Window, WindowFunction,
};

use super::binds::Bind;
use super::comparison::unavailable_operator;
use super::context::ContextValue;
use super::emitter::{Emitter, Result};
use super::expression::set_and_read;
use super::types;

impl Emitter<'_> {
    /// A built-in function's call.
    pub(super) fn function(&mut self, function: &'static FunctionEntry, arguments: &[Expr]) -> Result<()> {
        match function.implementation {
            Implementation::Engine => self.engine_function(function, arguments),
            Implementation::Elements(library) => self.elements_call(library, function.arguments, arguments, false),
            Implementation::ElementsByType(library) => self.elements_call(library, function.arguments, arguments, true),
            implementation => self.implementation(function.name, implementation, arguments),
        }
    }

    /// A call spelled by its table entry.
    pub(super) fn implementation(
        &mut self,
        name: &'static str,
        implementation: Implementation,
        arguments: &[Expr],
    ) -> Result<()> {
        match implementation {
            Implementation::Compare
            | Implementation::Engine
            | Implementation::Elements(_)
            | Implementation::ElementsByType(_) => Err(unavailable_operator(name)),
            Implementation::Native(native) | Implementation::Library(native) => self.call(native, arguments),
            Implementation::NegatedLibrary(library) => {
                self.sql("(NOT ");
                self.call(library, arguments)?;
                self.sql(")");
                Ok(())
            }
            Implementation::LibraryOutput(library) => {
                self.sql(library).sql("(");
                for (index, argument) in arguments.iter().enumerate() {
                    if index > 0 {
                        self.sql(", ");
                    }
                    self.output_of(argument)?;
                }
                self.sql(")");
                Ok(())
            }
            Implementation::LibraryJson(library) => self.json_call(library, arguments, false),
            Implementation::LibraryJsonb(library) => self.json_call(library, arguments, true),
            Implementation::ToJson => self.json_of(first(arguments)?, false),
            Implementation::ToJsonb => self.json_of(first(arguments)?, true),
        }
    }

    /// A call whose arguments are JSON texts, but for the keys of objects, which are texts.
    fn json_call(&mut self, library: &'static str, arguments: &[Expr], jsonb: bool) -> Result<()> {
        self.sql(library).sql("(");
        self.json_arguments(library, arguments, jsonb)?;
        self.sql(")");
        Ok(())
    }

    fn json_arguments(&mut self, library: &'static str, arguments: &[Expr], jsonb: bool) -> Result<()> {
        let has_keys = library.contains("_object");
        for (index, argument) in arguments.iter().enumerate() {
            if index > 0 {
                self.sql(", ");
            }
            if has_keys && index % 2 == 0 {
                self.object_key(argument)?;
            } else {
                self.json_of(argument, jsonb)?;
            }
        }
        Ok(())
    }

    /// A value as the key of an object: its text, but times as JSON has them and booleans as words.
    fn object_key(&mut self, key: &Expr) -> Result<()> {
        match key.ty.base() {
            // Stored in JSON's form.
            Type::Timestamp | Type::Timestamptz => self.expr(key),
            Type::Bool => {
                self.sql("CASE ");
                self.expr(key)?;
                self.sql(" WHEN 1 THEN 'true' WHEN 0 THEN 'false' END");
                Ok(())
            }
            Type::Json | Type::Jsonb | Type::Array(_) | Type::Record | Type::Composite(_) => {
                self.sql("pg_json_bad_key(");
                self.json_of(key, false)?;
                self.sql(")");
                Ok(())
            }
            _ => self.output_of(key),
        }
    }

    fn engine_function(&mut self, function: &FunctionEntry, arguments: &[Expr]) -> Result<()> {
        let name = match function.name {
            "array_to_string" => return self.array_to_string(arguments),
            "enum_range" | "enum_first" | "enum_last" => return self.enum_labels(function.name, arguments),
            "substring" => {
                return Err(DatabaseError::unavailable(
                    "substring(… SIMILAR … ESCAPE …)",
                    "",
                    1,
                    Some("substring with a regular expression"),
                ));
            }
            "set_config" => return self.set_config(arguments),
            "random" => "ms_random()",
            "gen_random_uuid" | "uuid_generate_v4" => "ms_random_uuid()",
            "clock_timestamp" => "ms_clock()",
            other => {
                return Err(DatabaseError::unavailable(&format!("function {other}"), "", 1, None));
            }
        };
        if self.for_schema || !arguments.is_empty() {
            return Err(DatabaseError::new(
                "42P17",
                "functions in index expression must be marked IMMUTABLE",
            ));
        }
        self.sql(name);
        Ok(())
    }

    /// A setting of this transaction; what the name and the last argument may be, the analyser has said.
    fn set_config(&mut self, arguments: &[Expr]) -> Result<()> {
        let [name, value, _] = arguments else {
            return Err(unavailable_operator("set_config"));
        };
        let is_setting = |bind: &Bind| matches!(bind, Bind::Context(ContextValue::Setting { .. }));
        if self.for_schema || self.writer.binds().iter().any(is_setting) {
            return Err(set_and_read());
        }
        self.sets_config = true;
        self.sql("pg_set_config(lower(");
        self.expr(name)?;
        self.sql("), ");
        self.expr(value)?;
        self.sql(")");
        Ok(())
    }

    /// The labels of an enum, or the first or last of them. A value counts only as the end of a range.
    fn enum_labels(&mut self, function: &str, arguments: &[Expr]) -> Result<()> {
        let name = arguments.iter().find_map(|argument| match argument.ty.base() {
            Type::Enum(name) => Some(name),
            _ => None,
        });
        let labels = name
            .and_then(|name| self.catalog().enums.get(name))
            .map(|found| found.labels.clone());
        let Some(labels) = labels else {
            return Err(DatabaseError::new("55000", "could not determine actual enum type"));
        };
        let missing = || DatabaseError::new("55000", "the enum has no labels");
        let end = |argument: Option<&Expr>, absent: usize| match argument {
            None => Ok(absent),
            Some(argument) if argument.is_null_literal() => Ok(absent),
            Some(Expr {
                kind: ExprKind::Literal(Literal::Text(text)),
                ..
            }) => labels.iter().position(|label| **label == **text).ok_or_else(missing),
            Some(_) => Err(DatabaseError::unavailable(
                "enum_range with computed bounds",
                "",
                1,
                Some("a comparison"),
            )),
        };
        match function {
            "enum_first" => self.writer.literal(labels.first().ok_or_else(missing)?),
            "enum_last" => self.writer.literal(labels.last().ok_or_else(missing)?),
            _ => {
                let bounds = if arguments.len() > 1 { arguments } else { &[] };
                let (low, high) = (
                    end(bounds.first(), 0)?,
                    end(bounds.get(1), labels.len().saturating_sub(1))?,
                );
                let range = labels.get(low..=high).unwrap_or_default();
                self.writer.literal(&serde_json::Value::from(range).to_string())
            }
        };
        Ok(())
    }

    /// Operators that the table leaves to the engine: those whose sides the library knows the other way round.
    pub(super) fn engine_operator(&mut self, operator: &OperatorEntry, arguments: &[Expr]) -> Result<()> {
        let [left, right] = arguments else {
            return Err(unavailable_operator(operator.name));
        };
        let library = match (operator.name, operator.left, operator.right) {
            ("||", Some(Arg::Bytea), Arg::Bytea) => {
                self.sql("CAST(");
                self.expr(left)?;
                self.sql(" || ");
                self.expr(right)?;
                self.sql(" AS BLOB)");
                return Ok(());
            }
            ("+", Some(Arg::Int4), Arg::Date) => "pg_date_add_int4",
            ("+", Some(Arg::Interval), Arg::Date) => "pg_date_add_interval",
            ("+", Some(Arg::Time), Arg::Date) => "pg_date_add_time",
            ("+", Some(Arg::Interval), Arg::Timestamp) => "pg_timestamp_add_interval",
            ("+", Some(Arg::Interval), Arg::Timestamptz) => "pg_timestamptz_add_interval",
            ("+", Some(Arg::Interval), Arg::Time) => "pg_time_add_interval",
            ("*", Some(Arg::Float8), Arg::Interval) => "pg_interval_mul",
            ("@@", Some(Arg::Tsquery), Arg::Tsvector) => "pg_ts_match",
            _ => return Err(unavailable_operator(operator.name)),
        };
        self.sql(library).sql("(");
        self.expr(right)?;
        self.sql(", ");
        self.expr(left)?;
        self.sql(")");
        Ok(())
    }

    /// An aggregate outside OVER.
    pub(super) fn aggregate(&mut self, call: &Aggregate) -> Result<()> {
        if call.distinct && call.function.name == "string_agg" {
            return self.distinct_string_agg(call);
        }
        if sets_apart(call.function, &call.arguments) {
            self.set_apart(first(&call.arguments)?)?;
            if !call.order.is_empty() {
                self.sql(" ORDER BY ");
                self.sort_keys(&call.order)?;
            }
            self.sql(")");
            self.aggregate_filter(call.filter.as_ref())?;
            self.sql(APART_END);
            return Ok(());
        }
        self.aggregate_name(call.function)?;
        self.sql("(");
        if call.distinct {
            if call.arguments.len() > 1 {
                return Err(DatabaseError::unavailable(
                    "DISTINCT in an aggregate of two arguments",
                    call.function.name,
                    1,
                    Some("a subquery with DISTINCT"),
                ));
            }
            call.arguments
                .iter()
                .filter(|argument| is_row(argument))
                .try_for_each(|argument| types::check_compared(&argument.ty))?;
            self.sql("DISTINCT ");
        }
        self.aggregate_arguments(call.function, &call.arguments)?;
        if call.distinct && matches!(call.function.implementation, Implementation::Elements(_)) {
            self.distinct_element(first(&call.arguments)?)?;
        }
        if !call.order.is_empty() {
            self.sql(" ORDER BY ");
            self.sort_keys(&call.order)?;
        } else if call.distinct && is_ordered(call.function) {
            // PostgreSQL sorts to find duplicates, and its result shows it.
            self.sql(" ORDER BY ");
            self.ordered(first(&call.arguments)?)?;
            self.sql(" NULLS LAST");
        }
        self.sql(")");
        self.aggregate_filter(call.filter.as_ref())
    }

    /// The collation by which JSON texts of the type are told apart.
    fn distinct_element(&mut self, element: &Expr) -> Result<()> {
        match element.ty.base() {
            Type::Numeric => self.sql(" COLLATE pg_numeric"),
            Type::Jsonb => self.sql(" COLLATE pg_jsonb"),
            Type::Interval => {
                return Err(DatabaseError::unavailable(
                    "array_agg(DISTINCT …) of intervals",
                    "",
                    1,
                    Some("a subquery with DISTINCT"),
                ));
            }
            _ => return Ok(()),
        };
        Ok(())
    }

    /// SQLite's DISTINCT takes one argument only, so the delimiter comes in afterwards.
    fn distinct_string_agg(&mut self, call: &Aggregate) -> Result<()> {
        let [value, delimiter] = call.arguments.as_slice() else {
            return Err(unavailable_operator("string_agg"));
        };
        if !matches!(delimiter.kind, ExprKind::Literal(_)) || *value.ty.base() == Type::Bytea {
            return Err(DatabaseError::unavailable(
                "string_agg(DISTINCT …) with a computed delimiter",
                "",
                1,
                Some("a constant delimiter"),
            ));
        }
        self.sql("pg_fn_array_to_string(pg_agg_array_agg(DISTINCT ");
        self.json_of(value, false)?;
        self.sql(" ORDER BY ");
        match call.order.as_slice() {
            [] => self.expr(value)?,
            keys => self.sort_keys(keys)?,
        }
        self.sql(") FILTER (WHERE ");
        self.expr(value)?;
        self.sql(" IS NOT NULL");
        if let Some(filter) = &call.filter {
            self.sql(" AND ");
            self.expr(filter)?;
        }
        self.sql("), ");
        self.expr(delimiter)?;
        self.sql(")");
        Ok(())
    }

    fn aggregate_name(&mut self, function: &AggregateEntry) -> Result<()> {
        match (function.implementation, function.name) {
            (Implementation::Native(name), _)
            | (Implementation::Library(name), _)
            | (Implementation::Elements(name), _)
            | (Implementation::LibraryJson(name), _)
            | (Implementation::LibraryJsonb(name), _) => {
                self.sql(name);
            }
            // Of enums: by the declared order, which the argument's collation brings.
            (Implementation::Engine, "min") => {
                self.sql("min");
            }
            (Implementation::Engine, "max") => {
                self.sql("max");
            }
            (_, name) => return Err(DatabaseError::unavailable(&format!("aggregate {name}"), "", 1, None)),
        }
        Ok(())
    }

    fn aggregate_arguments(&mut self, function: &AggregateEntry, arguments: &[Expr]) -> Result<()> {
        match (function.implementation, arguments) {
            (_, []) => {
                self.sql("*");
                Ok(())
            }
            (Implementation::Elements(_), [only]) => self.element(only),
            (Implementation::LibraryJson(library), _) => self.json_arguments(library, arguments, false),
            (Implementation::LibraryJsonb(library), _) => self.json_arguments(library, arguments, true),
            (Implementation::Engine, [only]) => self.ordered(only),
            (Implementation::Native(_), [only]) if !is_row(only) => self.compared(only),
            _ => self.exprs(arguments),
        }
    }

    fn aggregate_filter(&mut self, filter: Option<&Expr>) -> Result<()> {
        if let Some(filter) = filter {
            self.sql(" FILTER (WHERE ");
            self.expr(filter)?;
            self.sql(")");
        }
        Ok(())
    }

    /// A call with OVER.
    pub(super) fn window(&mut self, call: &Window) -> Result<()> {
        let apart = matches!(call.function, WindowFunction::Aggregate(entry) if sets_apart(entry, &call.arguments));
        match call.function {
            WindowFunction::Aggregate(_) if apart => {
                self.set_apart(first(&call.arguments)?)?;
                self.sql(")");
            }
            WindowFunction::Window(entry) => {
                self.call(entry.name, &call.arguments)?;
            }
            WindowFunction::Aggregate(entry) => {
                self.aggregate_name(entry)?;
                self.sql("(");
                self.aggregate_arguments(entry, &call.arguments)?;
                self.sql(")");
            }
        }
        self.aggregate_filter(call.filter.as_ref())?;
        self.sql(" OVER (");
        if !call.partition.is_empty() {
            self.sql("PARTITION BY ");
            for (index, part) in call.partition.iter().enumerate() {
                if index > 0 {
                    self.sql(", ");
                }
                self.compared(part)?;
            }
            self.sql(" ");
        }
        if !call.order.is_empty() {
            self.sql("ORDER BY ");
            self.sort_keys(&call.order)?;
            self.sql(" ");
        }
        if let Some(frame) = &call.frame {
            self.frame(frame, &call.order)?;
        }
        self.sql(")");
        if apart {
            self.sql(APART_END);
        }
        Ok(())
    }

    /// Begins `json_agg` of rows or arrays: PostgreSQL puts each but the first on a line of its own.
    fn set_apart(&mut self, element: &Expr) -> Result<()> {
        self.sql("('[' || ltrim(substr(pg_agg_json_agg(char(10) || ' ' || ");
        self.json_of(element, false)
    }

    /// Sort keys over expressions or, where they are [`Output`](mainstay_sql::typed::ExprKind::Output), positions.
    pub(super) fn sort_keys(&mut self, keys: &[SortKey]) -> Result<()> {
        for (index, key) in keys.iter().enumerate() {
            if index > 0 {
                self.sql(", ");
            }
            types::check_ordered(&key.expr.ty)?;
            self.expr(&key.expr)?;
            if let Some(collation) = types::collation(&key.expr.ty) {
                self.sql(" COLLATE ").writer.ident(&collation.name());
            }
            if key.descending {
                self.sql(" DESC");
            }
            // SQLite has nulls first when ascending and last when descending; PostgreSQL the other way round.
            if key.nulls_first == key.descending && self.may_be_null(&key.expr) {
                self.sql(if key.nulls_first { " NULLS FIRST" } else { " NULLS LAST" });
            }
        }
        Ok(())
    }
}

/// Ends what [`Emitter::set_apart`] begins. Nulls are not put on lines of their own, wherever they stand.
const APART_END: &str = ", 2), char(10) || ' '))";

fn sets_apart(function: &AggregateEntry, arguments: &[Expr]) -> bool {
    let is_json_agg = matches!(function.implementation, Implementation::LibraryJson("pg_agg_json_agg"));
    is_json_agg && arguments.first().is_some_and(is_structured)
}

fn is_row(expr: &Expr) -> bool {
    matches!(expr.ty.base(), Type::Record | Type::Composite(_))
}

/// True for rows and arrays, which `json_agg` sets apart.
fn is_structured(expr: &Expr) -> bool {
    matches!(expr.kind, ExprKind::Row { .. }) || matches!(expr.ty.base(), Type::Array(_))
}

/// True for the aggregates whose result shows the order of their input.
fn is_ordered(function: &AggregateEntry) -> bool {
    function.name.ends_with("_agg")
}

fn first(arguments: &[Expr]) -> Result<&Expr> {
    arguments
        .first()
        .ok_or_else(|| DatabaseError::new("XX000", "a call lacks its argument"))
}

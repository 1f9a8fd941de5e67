//! The aggregates and window functions of the portable subset, as data.
//!
//! Source: PostgreSQL 15 manual, 9.21 and 9.22; `pg_aggregate`.

use super::kinds::Arg::{self, *};
use super::kinds::Implementation::{self, Engine, Library, Native};

/// One overload of an aggregate. The result is null without rows, but for `count`.
#[derive(Debug, PartialEq, Eq)]
pub struct AggregateEntry {
    pub name: &'static str,
    pub arguments: &'static [Arg],
    pub result: Arg,
    pub implementation: Implementation,
}

/// One overload of a window function that is not an aggregate.
#[derive(Debug, PartialEq, Eq)]
pub struct WindowEntry {
    pub name: &'static str,
    pub arguments: &'static [Arg],
    pub result: Arg,
}

const fn aggregate(
    name: &'static str,
    arguments: &'static [Arg],
    result: Arg,
    implementation: Implementation,
) -> AggregateEntry {
    AggregateEntry {
        name,
        arguments,
        result,
        implementation,
    }
}

const fn window(name: &'static str, arguments: &'static [Arg], result: Arg) -> WindowEntry {
    WindowEntry {
        name,
        arguments,
        result,
    }
}

/// Every aggregate, for those who generate calls.
pub fn all() -> &'static [AggregateEntry] {
    AGGREGATES
}

/// Every window function that is not an aggregate.
pub fn all_windows() -> &'static [WindowEntry] {
    WINDOWS
}

/// The aggregates called `name`.
pub fn aggregates(name: &str) -> impl Iterator<Item = &'static AggregateEntry> {
    AGGREGATES.iter().filter(move |entry| entry.name == name)
}

/// The window functions called `name`.
pub fn windows(name: &str) -> impl Iterator<Item = &'static WindowEntry> {
    WINDOWS.iter().filter(move |entry| entry.name == name)
}

static AGGREGATES: &[AggregateEntry] = &[
    aggregate("count", &[], Int8, Native("count")),
    aggregate("count", &[Any], Int8, Native("count")),
    aggregate("sum", &[Int2], Int8, Library("pg_agg_sum_int4")),
    aggregate("sum", &[Int4], Int8, Library("pg_agg_sum_int4")),
    aggregate("sum", &[Int8], Numeric, Library("pg_agg_sum_int8")),
    aggregate("sum", &[Numeric], Numeric, Library("pg_agg_sum_numeric")),
    aggregate("sum", &[Float4], Float4, Library("pg_agg_sum_float4")),
    aggregate("sum", &[Float8], Float8, Library("pg_agg_sum_float8")),
    aggregate("sum", &[Interval], Interval, Library("pg_agg_sum_interval")),
    aggregate("sum", &[Vector], Vector, Library("pg_agg_sum_vector")),
    aggregate("avg", &[Vector], Vector, Library("pg_agg_avg_vector")),
    aggregate("avg", &[Int2], Numeric, Library("pg_agg_avg_int8")),
    aggregate("avg", &[Int4], Numeric, Library("pg_agg_avg_int8")),
    aggregate("avg", &[Int8], Numeric, Library("pg_agg_avg_int8")),
    aggregate("avg", &[Numeric], Numeric, Library("pg_agg_avg_numeric")),
    aggregate("avg", &[Float4], Float8, Library("pg_agg_avg_float8")),
    aggregate("avg", &[Float8], Float8, Library("pg_agg_avg_float8")),
    aggregate("avg", &[Interval], Interval, Library("pg_agg_avg_interval")),
    aggregate("min", &[Int2], Int2, Native("min")),
    aggregate("min", &[Int4], Int4, Native("min")),
    aggregate("min", &[Int8], Int8, Native("min")),
    aggregate("min", &[Float4], Float4, Native("min")),
    aggregate("min", &[Float8], Float8, Native("min")),
    aggregate("min", &[Numeric], Numeric, Library("pg_agg_min_numeric")),
    aggregate("min", &[Text], Text, Native("min")),
    aggregate("min", &[Bpchar], Bpchar, Native("min")),
    aggregate("min", &[Date], Date, Native("min")),
    aggregate("min", &[Time], Time, Native("min")),
    aggregate("min", &[Timestamp], Timestamp, Native("min")),
    aggregate("min", &[Timestamptz], Timestamptz, Native("min")),
    aggregate("min", &[Interval], Interval, Library("pg_agg_min_interval")),
    aggregate("min", &[Oid], Oid, Native("min")),
    aggregate("min", &[AnyEnum], AnyEnum, Engine),
    aggregate("max", &[Int2], Int2, Native("max")),
    aggregate("max", &[Int4], Int4, Native("max")),
    aggregate("max", &[Int8], Int8, Native("max")),
    aggregate("max", &[Float4], Float4, Native("max")),
    aggregate("max", &[Float8], Float8, Native("max")),
    aggregate("max", &[Numeric], Numeric, Library("pg_agg_max_numeric")),
    aggregate("max", &[Text], Text, Native("max")),
    aggregate("max", &[Bpchar], Bpchar, Native("max")),
    aggregate("max", &[Date], Date, Native("max")),
    aggregate("max", &[Time], Time, Native("max")),
    aggregate("max", &[Timestamp], Timestamp, Native("max")),
    aggregate("max", &[Timestamptz], Timestamptz, Native("max")),
    aggregate("max", &[Interval], Interval, Library("pg_agg_max_interval")),
    aggregate("max", &[Oid], Oid, Native("max")),
    aggregate("max", &[AnyEnum], AnyEnum, Engine),
    aggregate("min", &[Citext], Citext, Engine),
    aggregate("max", &[Citext], Citext, Engine),
    aggregate("min", &[AnyArray], AnyArray, Engine),
    aggregate("max", &[AnyArray], AnyArray, Engine),
    aggregate(
        "array_agg",
        &[AnyNonArray],
        AnyArray,
        Implementation::Elements("pg_agg_array_agg"),
    ),
    aggregate("bool_and", &[Bool], Bool, Native("min")),
    aggregate("every", &[Bool], Bool, Native("min")),
    aggregate("bool_or", &[Bool], Bool, Native("max")),
    aggregate("bit_and", &[Int2], Int2, Library("pg_agg_bit_and")),
    aggregate("bit_and", &[Int4], Int4, Library("pg_agg_bit_and")),
    aggregate("bit_and", &[Int8], Int8, Library("pg_agg_bit_and")),
    aggregate("bit_or", &[Int2], Int2, Library("pg_agg_bit_or")),
    aggregate("bit_or", &[Int4], Int4, Library("pg_agg_bit_or")),
    aggregate("bit_or", &[Int8], Int8, Library("pg_agg_bit_or")),
    aggregate("bit_xor", &[Int2], Int2, Library("pg_agg_bit_xor")),
    aggregate("bit_xor", &[Int4], Int4, Library("pg_agg_bit_xor")),
    aggregate("bit_xor", &[Int8], Int8, Library("pg_agg_bit_xor")),
    aggregate("corr", &[Float8, Float8], Float8, Library("pg_agg_corr")),
    aggregate("covar_pop", &[Float8, Float8], Float8, Library("pg_agg_covar_pop")),
    aggregate("covar_samp", &[Float8, Float8], Float8, Library("pg_agg_covar_samp")),
    aggregate("regr_count", &[Float8, Float8], Int8, Library("pg_agg_regr_count")),
    aggregate("regr_sxx", &[Float8, Float8], Float8, Library("pg_agg_regr_sxx")),
    aggregate("regr_syy", &[Float8, Float8], Float8, Library("pg_agg_regr_syy")),
    aggregate("regr_sxy", &[Float8, Float8], Float8, Library("pg_agg_regr_sxy")),
    aggregate("regr_avgx", &[Float8, Float8], Float8, Library("pg_agg_regr_avgx")),
    aggregate("regr_avgy", &[Float8, Float8], Float8, Library("pg_agg_regr_avgy")),
    aggregate("regr_r2", &[Float8, Float8], Float8, Library("pg_agg_regr_r2")),
    aggregate("regr_slope", &[Float8, Float8], Float8, Library("pg_agg_regr_slope")),
    aggregate(
        "regr_intercept",
        &[Float8, Float8],
        Float8,
        Library("pg_agg_regr_intercept"),
    ),
    aggregate("string_agg", &[Text, Text], Text, Library("pg_agg_string_agg")),
    aggregate("string_agg", &[Bytea, Bytea], Bytea, Engine),
    aggregate(
        "json_agg",
        &[AnyElement],
        Json,
        Implementation::LibraryJson("pg_agg_json_agg"),
    ),
    aggregate(
        "jsonb_agg",
        &[AnyElement],
        Jsonb,
        Implementation::LibraryJsonb("pg_agg_jsonb_agg"),
    ),
    aggregate(
        "json_object_agg",
        &[Any, Any],
        Json,
        Implementation::LibraryJson("pg_agg_json_object_agg"),
    ),
    aggregate(
        "jsonb_object_agg",
        &[Any, Any],
        Jsonb,
        Implementation::LibraryJsonb("pg_agg_jsonb_object_agg"),
    ),
    aggregate("stddev", &[Int2], Numeric, Library("pg_agg_stddev_samp_numeric")),
    aggregate("stddev", &[Int4], Numeric, Library("pg_agg_stddev_samp_numeric")),
    aggregate("stddev", &[Int8], Numeric, Library("pg_agg_stddev_samp_numeric")),
    aggregate("stddev", &[Numeric], Numeric, Library("pg_agg_stddev_samp_numeric")),
    aggregate("stddev", &[Float4], Float8, Library("pg_agg_stddev_samp_float8")),
    aggregate("stddev", &[Float8], Float8, Library("pg_agg_stddev_samp_float8")),
    aggregate("stddev_samp", &[Int2], Numeric, Library("pg_agg_stddev_samp_numeric")),
    aggregate("stddev_samp", &[Int4], Numeric, Library("pg_agg_stddev_samp_numeric")),
    aggregate("stddev_samp", &[Int8], Numeric, Library("pg_agg_stddev_samp_numeric")),
    aggregate(
        "stddev_samp",
        &[Numeric],
        Numeric,
        Library("pg_agg_stddev_samp_numeric"),
    ),
    aggregate("stddev_samp", &[Float4], Float8, Library("pg_agg_stddev_samp_float8")),
    aggregate("stddev_samp", &[Float8], Float8, Library("pg_agg_stddev_samp_float8")),
    aggregate("stddev_pop", &[Int2], Numeric, Library("pg_agg_stddev_pop_numeric")),
    aggregate("stddev_pop", &[Int4], Numeric, Library("pg_agg_stddev_pop_numeric")),
    aggregate("stddev_pop", &[Int8], Numeric, Library("pg_agg_stddev_pop_numeric")),
    aggregate("stddev_pop", &[Numeric], Numeric, Library("pg_agg_stddev_pop_numeric")),
    aggregate("stddev_pop", &[Float4], Float8, Library("pg_agg_stddev_pop_float8")),
    aggregate("stddev_pop", &[Float8], Float8, Library("pg_agg_stddev_pop_float8")),
    aggregate("variance", &[Int2], Numeric, Library("pg_agg_var_samp_numeric")),
    aggregate("variance", &[Int4], Numeric, Library("pg_agg_var_samp_numeric")),
    aggregate("variance", &[Int8], Numeric, Library("pg_agg_var_samp_numeric")),
    aggregate("variance", &[Numeric], Numeric, Library("pg_agg_var_samp_numeric")),
    aggregate("variance", &[Float4], Float8, Library("pg_agg_var_samp_float8")),
    aggregate("variance", &[Float8], Float8, Library("pg_agg_var_samp_float8")),
    aggregate("var_samp", &[Int2], Numeric, Library("pg_agg_var_samp_numeric")),
    aggregate("var_samp", &[Int4], Numeric, Library("pg_agg_var_samp_numeric")),
    aggregate("var_samp", &[Int8], Numeric, Library("pg_agg_var_samp_numeric")),
    aggregate("var_samp", &[Numeric], Numeric, Library("pg_agg_var_samp_numeric")),
    aggregate("var_samp", &[Float4], Float8, Library("pg_agg_var_samp_float8")),
    aggregate("var_samp", &[Float8], Float8, Library("pg_agg_var_samp_float8")),
    aggregate("var_pop", &[Int2], Numeric, Library("pg_agg_var_pop_numeric")),
    aggregate("var_pop", &[Int4], Numeric, Library("pg_agg_var_pop_numeric")),
    aggregate("var_pop", &[Int8], Numeric, Library("pg_agg_var_pop_numeric")),
    aggregate("var_pop", &[Numeric], Numeric, Library("pg_agg_var_pop_numeric")),
    aggregate("var_pop", &[Float4], Float8, Library("pg_agg_var_pop_float8")),
    aggregate("var_pop", &[Float8], Float8, Library("pg_agg_var_pop_float8")),
];

/// Ordered-set aggregates: the direct arguments, then what is sorted.
static ORDERED_SETS: &[AggregateEntry] = &[
    aggregate(
        "percentile_cont",
        &[Float8, Float8],
        Float8,
        Library("pg_agg_percentile_cont"),
    ),
    aggregate(
        "percentile_cont",
        &[Float8, Interval],
        Interval,
        Library("pg_agg_percentile_cont_interval"),
    ),
    aggregate(
        "percentile_disc",
        &[Float8, AnyElement],
        AnyElement,
        Library("pg_agg_percentile_disc"),
    ),
    aggregate("mode", &[AnyElement], AnyElement, Library("pg_agg_mode")),
];

/// The ordered-set aggregates called `name`.
pub fn ordered_sets(name: &str) -> impl Iterator<Item = &'static AggregateEntry> {
    ORDERED_SETS.iter().filter(move |entry| entry.name == name)
}

static WINDOWS: &[WindowEntry] = &[
    window("row_number", &[], Int8),
    window("rank", &[], Int8),
    window("dense_rank", &[], Int8),
    window("percent_rank", &[], Float8),
    window("cume_dist", &[], Float8),
    window("ntile", &[Int4], Int4),
    window("lag", &[AnyElement], AnyElement),
    window("lag", &[AnyElement, Int4], AnyElement),
    window("lag", &[AnyCompatible, Int4, AnyCompatible], AnyCompatible),
    window("lead", &[AnyElement], AnyElement),
    window("lead", &[AnyElement, Int4], AnyElement),
    window("lead", &[AnyCompatible, Int4, AnyCompatible], AnyCompatible),
    window("first_value", &[AnyElement], AnyElement),
    window("last_value", &[AnyElement], AnyElement),
    window("nth_value", &[AnyElement, Int4], AnyElement),
];

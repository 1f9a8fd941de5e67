//! The operators of the portable subset, as data. How one is chosen: `resolve`.
//!
//! To add an operator, add a row; its library function must be registered by the embedded engine. Mixed pairs that
//! PostgreSQL has but that equal a cast and a same-type operator (`date < timestamp`) are left out: the cast is implicit.
//!
//! Source: PostgreSQL 15 manual, chapter 9; `pg_operator`.

use std::collections::HashMap;
use std::sync::LazyLock;

use super::kinds::Arg::{self, *};
use super::kinds::Implementation::{self, Compare, Elements, ElementsByType, Engine, Library, Native, NegatedLibrary};

/// One operator for one pair of types; all are strict and immutable.
#[derive(Debug, PartialEq, Eq)]
pub struct OperatorEntry {
    pub name: &'static str,
    /// `None`: a prefix operator.
    pub left: Option<Arg>,
    pub right: Arg,
    pub result: Arg,
    pub implementation: Implementation,
}

/// The overloads of `name`, prefix and infix.
pub fn overloads(name: &str) -> &'static [&'static OperatorEntry] {
    static BY_NAME: LazyLock<HashMap<&'static str, Vec<&'static OperatorEntry>>> = LazyLock::new(|| {
        let mut map: HashMap<&'static str, Vec<&'static OperatorEntry>> = HashMap::new();
        for entry in ALL.iter() {
            map.entry(entry.name).or_default().push(entry);
        }
        map
    });
    BY_NAME.get(name).map(Vec::as_slice).unwrap_or_default()
}

/// Every operator, for those who generate expressions.
pub fn all() -> &'static [OperatorEntry] {
    &ALL
}

/// The `=` whose arguments are both `argument`.
pub fn equality(argument: Arg) -> Option<&'static OperatorEntry> {
    overloads("=")
        .iter()
        .find(|entry| entry.left == Some(argument) && entry.right == argument)
        .copied()
}

/// Operators that PostgreSQL 15 has for types outside the subset, and for those inside it by no row here.
pub const REFUSED: &[&str] = &[
    "!!", "##", "&&", "&<", "&<|", "&>", "*<", "*<=", "*<>", "*=", "*>", "*>=", "-|-", "<->", "<<=", "<<|", "<@", "<^",
    ">>=", ">^", "?#", "?-", "?-|", "?||", "@-@", "@?", "@@", "@@@", "|&>", "|>>", "~<=~", "~<~", "~=", "~>=~", "~>~",
];

static ALL: LazyLock<Vec<OperatorEntry>> = LazyLock::new(|| {
    let comparisons = COMPARED
        .iter()
        .flat_map(|(left, right)| COMPARISONS.iter().map(|name| infix(name, *left, *right, Bool, Compare)));
    comparisons.chain(rows()).collect()
});

const COMPARISONS: [&str; 6] = ["=", "<>", "<", "<=", ">", ">="];

/// Pairs of types that all six comparisons exist for.
const COMPARED: &[(Arg, Arg)] = &[
    (Bool, Bool),
    (Int2, Int2),
    (Int4, Int4),
    (Int8, Int8),
    (Int2, Int4),
    (Int4, Int2),
    (Int2, Int8),
    (Int8, Int2),
    (Int4, Int8),
    (Int8, Int4),
    (Float4, Float4),
    (Float8, Float8),
    (Float4, Float8),
    (Float8, Float4),
    (Numeric, Numeric),
    (Text, Text),
    (Bpchar, Bpchar),
    (Name, Name),
    (QuotedChar, QuotedChar),
    (Citext, Citext),
    (Uuid, Uuid),
    (Date, Date),
    (Time, Time),
    (Timestamp, Timestamp),
    (Timestamptz, Timestamptz),
    (Interval, Interval),
    (Bytea, Bytea),
    (Jsonb, Jsonb),
    (Oid, Oid),
    (AnyEnum, AnyEnum),
    (AnyArray, AnyArray),
    (Record, Record),
];

const fn infix(
    name: &'static str,
    left: Arg,
    right: Arg,
    result: Arg,
    implementation: Implementation,
) -> OperatorEntry {
    OperatorEntry {
        name,
        left: Some(left),
        right,
        result,
        implementation,
    }
}

const fn prefix(name: &'static str, right: Arg, result: Arg, implementation: Implementation) -> OperatorEntry {
    OperatorEntry {
        name,
        left: None,
        right,
        result,
        implementation,
    }
}

/// Everything but comparisons.
fn rows() -> Vec<OperatorEntry> {
    let mut rows = integers();
    rows.extend([
        infix("+", Float4, Float4, Float4, Library("pg_float4_add")),
        infix("-", Float4, Float4, Float4, Library("pg_float4_sub")),
        infix("*", Float4, Float4, Float4, Library("pg_float4_mul")),
        infix("/", Float4, Float4, Float4, Library("pg_float4_div")),
        infix("+", Float8, Float8, Float8, Library("pg_float8_add")),
        infix("-", Float8, Float8, Float8, Library("pg_float8_sub")),
        infix("*", Float8, Float8, Float8, Library("pg_float8_mul")),
        infix("/", Float8, Float8, Float8, Library("pg_float8_div")),
        infix("+", Float4, Float8, Float8, Library("pg_float8_add")),
        infix("-", Float4, Float8, Float8, Library("pg_float8_sub")),
        infix("*", Float4, Float8, Float8, Library("pg_float8_mul")),
        infix("/", Float4, Float8, Float8, Library("pg_float8_div")),
        infix("+", Float8, Float4, Float8, Library("pg_float8_add")),
        infix("-", Float8, Float4, Float8, Library("pg_float8_sub")),
        infix("*", Float8, Float4, Float8, Library("pg_float8_mul")),
        infix("/", Float8, Float4, Float8, Library("pg_float8_div")),
        infix("^", Float8, Float8, Float8, Library("pg_float8_pow")),
        // Not natively: SQLite computes 0 - x, and PostgreSQL has a negative zero.
        prefix("-", Float4, Float4, Library("pg_float4_neg")),
        prefix("-", Float8, Float8, Library("pg_float8_neg")),
        prefix("+", Float4, Float4, Native("+")),
        prefix("+", Float8, Float8, Native("+")),
        prefix("@", Float4, Float4, Native("abs")),
        prefix("@", Float8, Float8, Native("abs")),
        prefix("|/", Float8, Float8, Library("pg_fn_sqrt_float8")),
        prefix("||/", Float8, Float8, Library("pg_fn_cbrt_float8")),
        infix("+", Numeric, Numeric, Numeric, Library("pg_numeric_add")),
        infix("-", Numeric, Numeric, Numeric, Library("pg_numeric_sub")),
        infix("*", Numeric, Numeric, Numeric, Library("pg_numeric_mul")),
        infix("/", Numeric, Numeric, Numeric, Library("pg_numeric_div")),
        infix("%", Numeric, Numeric, Numeric, Library("pg_numeric_mod")),
        infix("^", Numeric, Numeric, Numeric, Library("pg_numeric_pow")),
        prefix("-", Numeric, Numeric, Library("pg_numeric_neg")),
        prefix("+", Numeric, Numeric, Native("+")),
        prefix("@", Numeric, Numeric, Library("pg_numeric_abs")),
    ]);
    rows.extend(texts());
    rows.extend(times());
    rows.extend(json());
    rows.extend(text_search());
    rows.extend(vectors());
    rows.extend([
        infix("||", Bytea, Bytea, Bytea, Engine),
        infix("@>", AnyArray, AnyArray, Bool, ElementsByType("pg_array_contains")),
        infix("<@", AnyArray, AnyArray, Bool, ElementsByType("pg_array_contained")),
        infix("&&", AnyArray, AnyArray, Bool, ElementsByType("pg_array_overlaps")),
        infix(
            "||",
            AnyCompatibleArray,
            AnyCompatibleArray,
            AnyCompatibleArray,
            Library("pg_array_concat"),
        ),
        infix(
            "||",
            AnyCompatibleArray,
            AnyCompatible,
            AnyCompatibleArray,
            Elements("pg_array_append"),
        ),
        infix(
            "||",
            AnyCompatible,
            AnyCompatibleArray,
            AnyCompatibleArray,
            Elements("pg_array_prepend"),
        ),
    ]);
    rows
}

/// Arithmetic of the three integer types; mixed widths give the wider one.
fn integers() -> Vec<OperatorEntry> {
    const WIDTHS: [Arg; 3] = [Int2, Int4, Int8];
    const NAMES: [(&str, [&str; 3]); 5] = [
        ("+", ["pg_int2_add", "pg_int4_add", "pg_int8_add"]),
        ("-", ["pg_int2_sub", "pg_int4_sub", "pg_int8_sub"]),
        ("*", ["pg_int2_mul", "pg_int4_mul", "pg_int8_mul"]),
        ("/", ["pg_int2_div", "pg_int4_div", "pg_int8_div"]),
        ("%", ["pg_int2_mod", "pg_int4_mod", "pg_int8_mod"]),
    ];
    let mut rows = Vec::new();
    for (name, libraries) in NAMES {
        for (i, left) in WIDTHS.iter().enumerate() {
            for (j, right) in WIDTHS.iter().enumerate() {
                // `%` has no mixed forms.
                if name == "%" && i != j {
                    continue;
                }
                let wide = i.max(j);
                rows.push(infix(name, *left, *right, WIDTHS[wide], Library(libraries[wide])));
            }
        }
    }
    const SINGLE: [[&str; 5]; 3] = [
        [
            "pg_int2_neg",
            "pg_int2_abs",
            "pg_int2_xor",
            "pg_int2_shl",
            "pg_int2_shr",
        ],
        [
            "pg_int4_neg",
            "pg_int4_abs",
            "pg_int4_xor",
            "pg_int4_shl",
            "pg_int4_shr",
        ],
        [
            "pg_int8_neg",
            "pg_int8_abs",
            "pg_int8_xor",
            "pg_int8_shl",
            "pg_int8_shr",
        ],
    ];
    for (width, [neg, abs, xor, shl, shr]) in WIDTHS.into_iter().zip(SINGLE) {
        rows.extend([
            prefix("-", width, width, Library(neg)),
            prefix("+", width, width, Native("+")),
            prefix("@", width, width, Library(abs)),
            prefix("~", width, width, Native("~")),
            infix("&", width, width, width, Native("&")),
            infix("|", width, width, width, Native("|")),
            infix("#", width, width, width, Library(xor)),
            infix("<<", width, Int4, width, Library(shl)),
            infix(">>", width, Int4, width, Library(shr)),
        ]);
    }
    rows
}

fn texts() -> Vec<OperatorEntry> {
    let mut rows = vec![
        infix("||", Text, Text, Text, Native("||")),
        // The other side is cast to text once the operator has been chosen; see `resolve`.
        infix("||", Text, AnyNonArray, Text, Native("||")),
        infix("||", AnyNonArray, Text, Text, Native("||")),
        infix("^@", Text, Text, Bool, Library("pg_fn_starts_with")),
    ];
    // Whatever the pattern is, case does not count.
    for pattern in [Citext, Text] {
        rows.extend([
            infix("~~", Citext, pattern, Bool, Library("pg_text_ilike")),
            infix("!~~", Citext, pattern, Bool, NegatedLibrary("pg_text_ilike")),
            infix("~~*", Citext, pattern, Bool, Library("pg_text_ilike")),
            infix("!~~*", Citext, pattern, Bool, NegatedLibrary("pg_text_ilike")),
            infix("~", Citext, pattern, Bool, Library("pg_iregex")),
            infix("!~", Citext, pattern, Bool, NegatedLibrary("pg_iregex")),
            infix("~*", Citext, pattern, Bool, Library("pg_iregex")),
            infix("!~*", Citext, pattern, Bool, NegatedLibrary("pg_iregex")),
        ]);
    }
    for text in [Text, Name, Bpchar] {
        rows.extend([
            infix("~~", text, Text, Bool, Library("pg_text_like")),
            infix("!~~", text, Text, Bool, NegatedLibrary("pg_text_like")),
            infix("~~*", text, Text, Bool, Library("pg_text_ilike")),
            infix("!~~*", text, Text, Bool, NegatedLibrary("pg_text_ilike")),
            infix("~", text, Text, Bool, Library("pg_regex")),
            infix("!~", text, Text, Bool, NegatedLibrary("pg_regex")),
            infix("~*", text, Text, Bool, Library("pg_iregex")),
            infix("!~*", text, Text, Bool, NegatedLibrary("pg_iregex")),
        ]);
    }
    rows
}

fn times() -> Vec<OperatorEntry> {
    vec![
        infix("+", Date, Int4, Date, Library("pg_date_add_int4")),
        infix("+", Int4, Date, Date, Engine),
        infix("-", Date, Int4, Date, Library("pg_date_sub_int4")),
        infix("-", Date, Date, Int4, Library("pg_date_sub")),
        infix("+", Date, Interval, Timestamp, Library("pg_date_add_interval")),
        infix("+", Interval, Date, Timestamp, Engine),
        infix("-", Date, Interval, Timestamp, Library("pg_date_sub_interval")),
        infix("+", Date, Time, Timestamp, Library("pg_date_add_time")),
        infix("+", Time, Date, Timestamp, Engine),
        infix(
            "+",
            Timestamp,
            Interval,
            Timestamp,
            Library("pg_timestamp_add_interval"),
        ),
        infix("+", Interval, Timestamp, Timestamp, Engine),
        infix(
            "-",
            Timestamp,
            Interval,
            Timestamp,
            Library("pg_timestamp_sub_interval"),
        ),
        infix("-", Timestamp, Timestamp, Interval, Library("pg_timestamp_sub")),
        infix(
            "+",
            Timestamptz,
            Interval,
            Timestamptz,
            Library("pg_timestamptz_add_interval"),
        ),
        infix("+", Interval, Timestamptz, Timestamptz, Engine),
        infix(
            "-",
            Timestamptz,
            Interval,
            Timestamptz,
            Library("pg_timestamptz_sub_interval"),
        ),
        infix("-", Timestamptz, Timestamptz, Interval, Library("pg_timestamptz_sub")),
        infix("+", Time, Interval, Time, Library("pg_time_add_interval")),
        infix("+", Interval, Time, Time, Engine),
        infix("-", Time, Interval, Time, Library("pg_time_sub_interval")),
        infix("-", Time, Time, Interval, Library("pg_time_sub")),
        infix("+", Interval, Interval, Interval, Library("pg_interval_add")),
        infix("-", Interval, Interval, Interval, Library("pg_interval_sub")),
        infix("*", Interval, Float8, Interval, Library("pg_interval_mul")),
        infix("*", Float8, Interval, Interval, Engine),
        infix("/", Interval, Float8, Interval, Library("pg_interval_div")),
        prefix("-", Interval, Interval, Library("pg_interval_neg")),
    ]
}

fn text_search() -> Vec<OperatorEntry> {
    let mut rows = vec![
        infix("@@", Tsvector, Tsquery, Bool, Library("pg_ts_match")),
        infix("@@", Tsquery, Tsvector, Bool, Engine),
        infix("@@", Text, Tsquery, Bool, Library("pg_ts_match_text")),
        infix("@@", Text, Text, Bool, Library("pg_ts_match_texts")),
        infix("||", Tsvector, Tsvector, Tsvector, Library("pg_tsvector_concat")),
        infix("&&", Tsquery, Tsquery, Tsquery, Library("pg_tsquery_and")),
        infix("||", Tsquery, Tsquery, Tsquery, Library("pg_tsquery_or")),
        infix("<->", Tsquery, Tsquery, Tsquery, Library("pg_tsquery_phrase")),
        prefix("!!", Tsquery, Tsquery, Library("pg_tsquery_not")),
        infix("@>", Tsquery, Tsquery, Bool, Library("pg_tsquery_contains")),
        infix("<@", Tsquery, Tsquery, Bool, Library("pg_tsquery_contained")),
        infix("=", Tsvector, Tsvector, Bool, Native("=")),
        infix("<>", Tsvector, Tsvector, Bool, Native("<>")),
    ];
    // Their order is that of PostgreSQL's memory, which nobody asks for.
    rows.extend(["<", "<=", ">", ">="].map(|name| infix(name, Tsvector, Tsvector, Bool, Engine)));
    rows.extend(COMPARISONS.map(|name| infix(name, Tsquery, Tsquery, Bool, Engine)));
    rows
}

/// pgvector's.
fn vectors() -> Vec<OperatorEntry> {
    let mut rows = vec![
        infix("<->", Vector, Vector, Float8, Library("pg_vector_l2_distance")),
        infix(
            "<#>",
            Vector,
            Vector,
            Float8,
            Library("pg_vector_negative_inner_product"),
        ),
        infix("<=>", Vector, Vector, Float8, Library("pg_vector_cosine_distance")),
        infix("<+>", Vector, Vector, Float8, Library("pg_vector_l1_distance")),
        infix("+", Vector, Vector, Vector, Library("pg_vector_add")),
        infix("-", Vector, Vector, Vector, Library("pg_vector_sub")),
        infix("*", Vector, Vector, Vector, Library("pg_vector_mul")),
        infix("||", Vector, Vector, Vector, Library("pg_vector_concat")),
    ];
    const LIBRARIES: [&str; 6] = [
        "pg_vector_eq",
        "pg_vector_ne",
        "pg_vector_lt",
        "pg_vector_le",
        "pg_vector_gt",
        "pg_vector_ge",
    ];
    let comparisons = COMPARISONS.into_iter().zip(LIBRARIES);
    rows.extend(comparisons.map(|(name, library)| infix(name, Vector, Vector, Bool, Library(library))));
    rows
}

fn json() -> Vec<OperatorEntry> {
    let mut rows = Vec::new();
    // They differ over scalars: a `jsonb` one is its own element 0.
    for (json, get, get_text) in [
        (Json, "pg_json_get", "pg_json_get_text"),
        (Jsonb, "pg_jsonb_get", "pg_jsonb_get_text"),
    ] {
        rows.extend([
            infix("->", json, Text, json, Library(get)),
            infix("->", json, Int4, json, Library(get)),
            infix("->>", json, Text, Text, Library(get_text)),
            infix("->>", json, Int4, Text, Library(get_text)),
            infix("#>", json, TextArray, json, Library("pg_json_path")),
            infix("#>>", json, TextArray, Text, Library("pg_json_path_text")),
        ]);
    }
    rows.extend([
        infix("@>", Jsonb, Jsonb, Bool, Library("pg_jsonb_contains")),
        infix("<@", Jsonb, Jsonb, Bool, Library("pg_jsonb_contained")),
        infix("?", Jsonb, Text, Bool, Library("pg_jsonb_exists")),
        infix("?|", Jsonb, TextArray, Bool, Library("pg_jsonb_exists_any")),
        infix("?&", Jsonb, TextArray, Bool, Library("pg_jsonb_exists_all")),
        infix("||", Jsonb, Jsonb, Jsonb, Library("pg_jsonb_concat")),
        infix("-", Jsonb, Text, Jsonb, Library("pg_jsonb_delete")),
        infix("-", Jsonb, Int4, Jsonb, Library("pg_jsonb_delete")),
        infix("-", Jsonb, TextArray, Jsonb, Library("pg_jsonb_delete_keys")),
        infix("#-", Jsonb, TextArray, Jsonb, Library("pg_jsonb_delete_path")),
    ]);
    rows
}

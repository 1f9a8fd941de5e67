//! The functions of the portable subset, as data. How one is chosen: `resolve`.
//!
//! To add a function, add a row; its library function must be registered by the embedded engine. Functions whose value
//! is fixed for a request (`now()`, `auth.uid()`) and sequence functions are in `special`.
//!
//! Source: PostgreSQL 15 manual, chapter 9; `pg_proc`.

use std::collections::{HashMap, HashSet};
use std::sync::LazyLock;

use mainstay_core::catalog::Volatility;
use mainstay_core::types::Type;

use super::kinds::Arg::{self, *};
use super::kinds::Implementation::{
    self, Elements, ElementsByType, Engine, Library, LibraryJson, LibraryJsonb, LibraryOutput, Native, ToJson, ToJsonb,
};

/// One overload of a scalar function.
#[derive(Debug, PartialEq, Eq)]
pub struct FunctionEntry {
    pub name: &'static str,
    pub arguments: &'static [Arg],
    /// The last of `arguments` may be repeated.
    pub variadic: bool,
    /// Names for calls such as `make_interval(days => 3)`; empty if calls by name are not known.
    pub names: &'static [&'static str],
    /// Literals for trailing arguments that may be left out.
    pub defaults: &'static [&'static str],
    pub result: Arg,
    pub volatility: Volatility,
    /// A null argument gives null.
    pub strict: bool,
    pub implementation: Implementation,
}

/// One overload of a set-returning function.
#[derive(Debug, PartialEq, Eq)]
pub struct SetFunctionEntry {
    pub name: &'static str,
    pub arguments: &'static [Arg],
    /// Output columns; a single one takes the alias as its name.
    pub columns: &'static [(&'static str, Arg)],
    pub implementation: Implementation,
}

/// The scalar functions called `name`.
pub fn overloads(name: &str) -> &'static [&'static FunctionEntry] {
    static BY_NAME: LazyLock<HashMap<&'static str, Vec<&'static FunctionEntry>>> = LazyLock::new(|| {
        let mut map: HashMap<&'static str, Vec<&'static FunctionEntry>> = HashMap::new();
        for entry in FUNCTIONS {
            map.entry(entry.name).or_default().push(entry);
        }
        map
    });
    BY_NAME.get(name).map(Vec::as_slice).unwrap_or_default()
}

/// Every scalar function, for those who generate calls.
pub fn all() -> &'static [FunctionEntry] {
    FUNCTIONS
}

/// Every set-returning function.
pub fn all_sets() -> &'static [SetFunctionEntry] {
    SET_FUNCTIONS
}

/// The set-returning functions called `name`.
pub fn set_overloads(name: &str) -> impl Iterator<Item = &'static SetFunctionEntry> {
    SET_FUNCTIONS.iter().filter(move |entry| entry.name == name)
}

/// True for a function that PostgreSQL 15 itself has, whatever its arguments. One that is not in the tables here is
/// refused by name instead of being said not to exist.
///
/// Source: the names in `pg_proc` of the schema `pg_catalog`, without those that SQL cannot call.
pub fn is_server_function(name: &str) -> bool {
    static NAMES: LazyLock<HashSet<&'static str>> =
        LazyLock::new(|| include_str!("server_functions.txt").lines().collect());
    NAMES.contains(name)
}

/// The argument types of PostgreSQL 15's overloads of `name`, for the names in the tables here: calls that fit one of
/// them and none of ours are refused instead of being said not to exist. `None`: a type outside the subset.
///
/// Source: `pg_proc`, with types as `format_type` prints them.
pub fn server_overloads(name: &str) -> impl Iterator<Item = Vec<Option<ServerArgument>>> {
    let lines = include_str!("server_overloads.txt").lines();
    lines.filter_map(move |line| {
        let (found, types) = line.split_once(' ')?;
        let types = types.split(", ").filter(|ty| !ty.is_empty());
        (found == name).then(|| types.map(ServerArgument::of).collect())
    })
}

/// An argument of one of PostgreSQL's overloads.
pub enum ServerArgument {
    Type(Type),
    AnyElement,
    AnyArray,
    AnyEnum,
}

impl ServerArgument {
    fn of(name: &str) -> Option<Self> {
        Some(match name {
            "anyelement" | "anycompatible" | "anynonarray" | "anycompatiblenonarray" | "\"any\"" => {
                ServerArgument::AnyElement
            }
            "anyarray" | "anycompatiblearray" => ServerArgument::AnyArray,
            "anyenum" => ServerArgument::AnyEnum,
            _ => match name.strip_suffix("[]") {
                Some(element) => ServerArgument::Type(Type::Array(Box::new(Type::from_builtin_name(element)?))),
                None => ServerArgument::Type(Type::from_builtin_name(name)?),
            },
        })
    }
}

/// Functions that the subset has of extensions, by extension. They are found under the schema `extensions` as well.
/// Those under no name are PostgreSQL's own by now and need no extension.
pub const EXTENSION_FUNCTIONS: &[(&str, &[&str])] = &[
    ("", &["gen_random_uuid"]),
    ("uuid-ossp", &["uuid_generate_v4", "uuid_nil"]),
    ("pgcrypto", &["digest", "hmac"]),
    (
        "vector",
        &[
            "l2_distance",
            "inner_product",
            "cosine_distance",
            "l1_distance",
            "vector_dims",
            "vector_norm",
            "l2_normalize",
            "subvector",
        ],
    ),
];

/// Functions that PostgreSQL has and the subset leaves out, with what to use instead.
pub const REFUSED: &[(&str, Option<&str>)] = &[
    ("pg_notify", Some("realtime channels")),
    ("jsonb_path_query", Some("-> and ->>")),
    ("jsonb_path_query_array", Some("-> and ->>")),
    ("jsonb_path_query_first", Some("-> and ->>")),
    ("jsonb_path_exists", Some("@> or ?")),
    ("jsonb_path_match", Some("@> or ?")),
    ("jsonb_populate_record", Some("the function in FROM")),
    ("jsonb_populate_recordset", Some("the function in FROM")),
    ("json_populate_record", Some("the function in FROM")),
    ("json_populate_recordset", Some("the function in FROM")),
    ("jsonb_to_record", Some("the function in FROM")),
    ("jsonb_to_recordset", Some("the function in FROM")),
    ("json_to_record", Some("the function in FROM")),
    ("json_to_recordset", Some("the function in FROM")),
    ("xmlparse", None),
    ("dblink", None),
    ("crypt", None),
    ("gen_salt", None),
    ("pgp_sym_encrypt", None),
    ("pgp_sym_decrypt", None),
    ("similarity", None),
    ("word_similarity", None),
    ("unaccent", None),
];

/// Immutable and strict, a plain library call: what most rows are.
const fn plain(name: &'static str, arguments: &'static [Arg], result: Arg, library: &'static str) -> FunctionEntry {
    with(name, arguments, result, Library(library))
}

const fn with(
    name: &'static str,
    arguments: &'static [Arg],
    result: Arg,
    implementation: Implementation,
) -> FunctionEntry {
    FunctionEntry {
        name,
        arguments,
        variadic: false,
        names: &[],
        defaults: &[],
        result,
        volatility: Volatility::Immutable,
        strict: true,
        implementation,
    }
}

impl FunctionEntry {
    const fn stable(mut self) -> Self {
        self.volatility = Volatility::Stable;
        self
    }

    const fn volatile(mut self) -> Self {
        self.volatility = Volatility::Volatile;
        self
    }

    const fn lenient(mut self) -> Self {
        self.strict = false;
        self
    }

    /// Takes any number of its last argument; nulls are for the function to handle.
    const fn variadic(mut self) -> Self {
        self.variadic = true;
        self.strict = false;
        self
    }

    /// Takes any number of its last argument; a null gives null.
    const fn path(mut self) -> Self {
        self.variadic = true;
        self
    }

    const fn named(mut self, names: &'static [&'static str], defaults: &'static [&'static str]) -> Self {
        self.names = names;
        self.defaults = defaults;
        self
    }
}

static FUNCTIONS: &[FunctionEntry] = &[
    // Numbers (9.3).
    plain("abs", &[Int2], Int2, "pg_int2_abs"),
    plain("abs", &[Int4], Int4, "pg_int4_abs"),
    plain("abs", &[Int8], Int8, "pg_int8_abs"),
    plain("abs", &[Numeric], Numeric, "pg_numeric_abs"),
    with("abs", &[Float4], Float4, Native("abs")),
    with("abs", &[Float8], Float8, Native("abs")),
    plain("ceil", &[Numeric], Numeric, "pg_fn_ceil_numeric"),
    plain("ceil", &[Float8], Float8, "pg_fn_ceil_float8"),
    plain("ceiling", &[Numeric], Numeric, "pg_fn_ceil_numeric"),
    plain("ceiling", &[Float8], Float8, "pg_fn_ceil_float8"),
    plain("floor", &[Numeric], Numeric, "pg_fn_floor_numeric"),
    plain("floor", &[Float8], Float8, "pg_fn_floor_float8"),
    plain("round", &[Numeric], Numeric, "pg_fn_round_numeric"),
    plain("round", &[Numeric, Int4], Numeric, "pg_fn_round_numeric"),
    plain("round", &[Float8], Float8, "pg_fn_round_float8"),
    plain("trunc", &[Numeric], Numeric, "pg_fn_trunc_numeric"),
    plain("trunc", &[Numeric, Int4], Numeric, "pg_fn_trunc_numeric"),
    plain("trunc", &[Float8], Float8, "pg_fn_trunc_float8"),
    plain("sign", &[Numeric], Numeric, "pg_fn_sign_numeric"),
    plain("sign", &[Float8], Float8, "pg_fn_sign_float8"),
    plain("sqrt", &[Numeric], Numeric, "pg_fn_sqrt_numeric"),
    plain("sqrt", &[Float8], Float8, "pg_fn_sqrt_float8"),
    plain("cbrt", &[Float8], Float8, "pg_fn_cbrt_float8"),
    plain("exp", &[Numeric], Numeric, "pg_fn_exp_numeric"),
    plain("exp", &[Float8], Float8, "pg_fn_exp_float8"),
    plain("ln", &[Numeric], Numeric, "pg_fn_ln_numeric"),
    plain("ln", &[Float8], Float8, "pg_fn_ln_float8"),
    plain("log", &[Numeric], Numeric, "pg_fn_log_numeric"),
    plain("log", &[Numeric, Numeric], Numeric, "pg_fn_log_numeric"),
    plain("log", &[Float8], Float8, "pg_fn_log_float8"),
    plain("log10", &[Numeric], Numeric, "pg_fn_log_numeric"),
    plain("log10", &[Float8], Float8, "pg_fn_log_float8"),
    plain("power", &[Numeric, Numeric], Numeric, "pg_fn_power_numeric"),
    plain("power", &[Float8, Float8], Float8, "pg_fn_power_float8"),
    plain("pow", &[Numeric, Numeric], Numeric, "pg_fn_power_numeric"),
    plain("pow", &[Float8, Float8], Float8, "pg_fn_power_float8"),
    plain("mod", &[Int2, Int2], Int2, "pg_int2_mod"),
    plain("mod", &[Int4, Int4], Int4, "pg_int4_mod"),
    plain("mod", &[Int8, Int8], Int8, "pg_int8_mod"),
    plain("mod", &[Numeric, Numeric], Numeric, "pg_numeric_mod"),
    plain("div", &[Numeric, Numeric], Numeric, "pg_fn_div_numeric"),
    plain("gcd", &[Int4, Int4], Int4, "pg_fn_gcd_int4"),
    plain("gcd", &[Int8, Int8], Int8, "pg_fn_gcd_int8"),
    plain("lcm", &[Int4, Int4], Int4, "pg_fn_lcm_int4"),
    plain("lcm", &[Int8, Int8], Int8, "pg_fn_lcm_int8"),
    plain("factorial", &[Int8], Numeric, "pg_fn_factorial"),
    plain("scale", &[Numeric], Int4, "pg_fn_scale"),
    plain("min_scale", &[Numeric], Int4, "pg_fn_min_scale"),
    plain("trim_scale", &[Numeric], Numeric, "pg_fn_trim_scale"),
    plain("pi", &[], Float8, "pg_fn_pi"),
    plain("degrees", &[Float8], Float8, "pg_fn_degrees_float8"),
    plain("radians", &[Float8], Float8, "pg_fn_radians_float8"),
    plain("sin", &[Float8], Float8, "pg_fn_sin_float8"),
    plain("cos", &[Float8], Float8, "pg_fn_cos_float8"),
    plain("tan", &[Float8], Float8, "pg_fn_tan_float8"),
    plain("asin", &[Float8], Float8, "pg_fn_asin_float8"),
    plain("acos", &[Float8], Float8, "pg_fn_acos_float8"),
    plain("atan", &[Float8], Float8, "pg_fn_atan_float8"),
    plain("atan2", &[Float8, Float8], Float8, "pg_fn_atan2_float8"),
    plain(
        "width_bucket",
        &[Float8, Float8, Float8, Int4],
        Int4,
        "pg_fn_width_bucket_float8",
    ),
    plain("cot", &[Float8], Float8, "pg_fn_cot_float8"),
    plain("sinh", &[Float8], Float8, "pg_fn_sinh_float8"),
    plain("cosh", &[Float8], Float8, "pg_fn_cosh_float8"),
    plain("tanh", &[Float8], Float8, "pg_fn_tanh_float8"),
    plain(
        "width_bucket",
        &[Numeric, Numeric, Numeric, Int4],
        Int4,
        "pg_fn_width_bucket_numeric",
    ),
    with(
        "width_bucket",
        &[AnyCompatible, AnyCompatibleArray],
        Int4,
        ElementsByType("pg_fn_width_bucket_array"),
    ),
    with("random", &[], Float8, Engine).volatile(),
    with("set_config", &[Text, Text, Bool], Text, Engine).volatile(),
    // Full text (9.13).
    plain("to_tsvector", &[Text], Tsvector, "pg_fn_to_tsvector").stable(),
    plain("to_tsvector", &[Json], Tsvector, "pg_fn_to_tsvector_json").stable(),
    plain("to_tsvector", &[Jsonb], Tsvector, "pg_fn_to_tsvector_json").stable(),
    plain("to_tsvector", &[Regconfig, Text], Tsvector, "pg_fn_to_tsvector_config"),
    plain(
        "to_tsvector",
        &[Regconfig, Json],
        Tsvector,
        "pg_fn_to_tsvector_config_json",
    ),
    plain(
        "to_tsvector",
        &[Regconfig, Jsonb],
        Tsvector,
        "pg_fn_to_tsvector_config_json",
    ),
    plain("to_tsquery", &[Text], Tsquery, "pg_fn_to_tsquery").stable(),
    plain("to_tsquery", &[Regconfig, Text], Tsquery, "pg_fn_to_tsquery_config"),
    plain("plainto_tsquery", &[Text], Tsquery, "pg_fn_plainto_tsquery").stable(),
    plain(
        "plainto_tsquery",
        &[Regconfig, Text],
        Tsquery,
        "pg_fn_plainto_tsquery_config",
    ),
    plain("phraseto_tsquery", &[Text], Tsquery, "pg_fn_phraseto_tsquery").stable(),
    plain(
        "phraseto_tsquery",
        &[Regconfig, Text],
        Tsquery,
        "pg_fn_phraseto_tsquery_config",
    ),
    plain("websearch_to_tsquery", &[Text], Tsquery, "pg_fn_websearch_to_tsquery").stable(),
    plain(
        "websearch_to_tsquery",
        &[Regconfig, Text],
        Tsquery,
        "pg_fn_websearch_to_tsquery_config",
    ),
    plain("get_current_ts_config", &[], Regconfig, "pg_fn_get_current_ts_config").stable(),
    plain("ts_rank", &[Tsvector, Tsquery], Float4, "pg_fn_ts_rank"),
    plain("ts_rank", &[Tsvector, Tsquery, Int4], Float4, "pg_fn_ts_rank"),
    plain(
        "ts_rank",
        &[Float4Array, Tsvector, Tsquery],
        Float4,
        "pg_fn_ts_rank_weighted",
    ),
    plain(
        "ts_rank",
        &[Float4Array, Tsvector, Tsquery, Int4],
        Float4,
        "pg_fn_ts_rank_weighted",
    ),
    plain("ts_rank_cd", &[Tsvector, Tsquery], Float4, "pg_fn_ts_rank_cd"),
    plain("ts_rank_cd", &[Tsvector, Tsquery, Int4], Float4, "pg_fn_ts_rank_cd"),
    plain(
        "ts_rank_cd",
        &[Float4Array, Tsvector, Tsquery],
        Float4,
        "pg_fn_ts_rank_cd_weighted",
    ),
    plain(
        "ts_rank_cd",
        &[Float4Array, Tsvector, Tsquery, Int4],
        Float4,
        "pg_fn_ts_rank_cd_weighted",
    ),
    plain("ts_headline", &[Text, Tsquery], Text, "pg_fn_ts_headline").stable(),
    plain("ts_headline", &[Text, Tsquery, Text], Text, "pg_fn_ts_headline").stable(),
    plain(
        "ts_headline",
        &[Regconfig, Text, Tsquery],
        Text,
        "pg_fn_ts_headline_config",
    ),
    plain(
        "ts_headline",
        &[Regconfig, Text, Tsquery, Text],
        Text,
        "pg_fn_ts_headline_config",
    ),
    plain("setweight", &[Tsvector, QuotedChar], Tsvector, "pg_fn_setweight"),
    plain(
        "setweight",
        &[Tsvector, QuotedChar, TextArray],
        Tsvector,
        "pg_fn_setweight",
    ),
    plain("strip", &[Tsvector], Tsvector, "pg_fn_strip"),
    plain("length", &[Tsvector], Int4, "pg_fn_length_tsvector"),
    plain("numnode", &[Tsquery], Int4, "pg_fn_numnode"),
    plain("querytree", &[Tsquery], Text, "pg_fn_querytree"),
    plain("tsquery_phrase", &[Tsquery, Tsquery], Tsquery, "pg_tsquery_phrase"),
    plain(
        "tsquery_phrase",
        &[Tsquery, Tsquery, Int4],
        Tsquery,
        "pg_tsquery_phrase",
    ),
    plain("ts_filter", &[Tsvector, QuotedCharArray], Tsvector, "pg_fn_ts_filter"),
    plain("ts_delete", &[Tsvector, Text], Tsvector, "pg_fn_ts_delete"),
    plain("ts_delete", &[Tsvector, TextArray], Tsvector, "pg_fn_ts_delete_all"),
    plain("tsvector_to_array", &[Tsvector], TextArray, "pg_fn_tsvector_to_array"),
    plain("array_to_tsvector", &[TextArray], Tsvector, "pg_fn_array_to_tsvector"),
    // pgvector.
    plain("l2_distance", &[Vector, Vector], Float8, "pg_vector_l2_distance"),
    plain("inner_product", &[Vector, Vector], Float8, "pg_vector_inner_product"),
    plain(
        "cosine_distance",
        &[Vector, Vector],
        Float8,
        "pg_vector_cosine_distance",
    ),
    plain("l1_distance", &[Vector, Vector], Float8, "pg_vector_l1_distance"),
    plain("vector_dims", &[Vector], Int4, "pg_fn_vector_dims"),
    plain("vector_norm", &[Vector], Float8, "pg_fn_vector_norm"),
    plain("l2_normalize", &[Vector], Vector, "pg_fn_l2_normalize"),
    plain("subvector", &[Vector, Int4, Int4], Vector, "pg_fn_subvector"),
    // Text (9.4).
    plain("upper", &[Text], Text, "pg_fn_upper"),
    plain("lower", &[Text], Text, "pg_fn_lower"),
    plain("initcap", &[Text], Text, "pg_fn_initcap"),
    plain("length", &[Text], Int4, "pg_fn_length"),
    plain("length", &[Bpchar], Int4, "pg_fn_length"),
    plain("length", &[Bytea], Int4, "pg_fn_length_bytea"),
    plain("char_length", &[Text], Int4, "pg_fn_char_length"),
    plain("char_length", &[Bpchar], Int4, "pg_fn_char_length"),
    plain("character_length", &[Text], Int4, "pg_fn_char_length"),
    plain("character_length", &[Bpchar], Int4, "pg_fn_char_length"),
    plain("octet_length", &[Text], Int4, "pg_fn_octet_length"),
    plain("octet_length", &[Bytea], Int4, "pg_fn_octet_length_bytea"),
    plain("bit_length", &[Text], Int4, "pg_fn_bit_length"),
    plain("substr", &[Text, Int4], Text, "pg_fn_substr"),
    plain("substr", &[Text, Int4, Int4], Text, "pg_fn_substr"),
    plain("substr", &[Bytea, Int4, Int4], Bytea, "pg_fn_substr_bytea"),
    plain("substring", &[Text, Int4], Text, "pg_fn_substring"),
    plain("substring", &[Text, Int4, Int4], Text, "pg_fn_substring"),
    plain("substring", &[Text, Text], Text, "pg_fn_substring_regex"),
    plain("substring", &[Bytea, Int4, Int4], Bytea, "pg_fn_substr_bytea"),
    // Of the extension citext, where case does not count; refused by name.
    with("strpos", &[Citext, Citext], Int4, Engine),
    with("replace", &[Citext, Citext, Citext], Text, Engine),
    with("split_part", &[Citext, Citext, Int4], Text, Engine),
    with("translate", &[Citext, Citext, Text], Text, Engine),
    with("regexp_match", &[Citext, Citext], TextArray, Engine),
    with("regexp_match", &[Citext, Citext, Text], TextArray, Engine),
    with("regexp_replace", &[Citext, Citext, Text], Text, Engine),
    with("regexp_replace", &[Citext, Citext, Text, Text], Text, Engine),
    with("regexp_split_to_array", &[Citext, Citext], TextArray, Engine),
    with("regexp_split_to_array", &[Citext, Citext, Text], TextArray, Engine),
    // SQL's own regular expressions with marks; refused by name.
    with("substring", &[Text, Text, Text], Text, Engine),
    plain("left", &[Text, Int4], Text, "pg_fn_left"),
    plain("right", &[Text, Int4], Text, "pg_fn_right"),
    plain("position", &[Text, Text], Int4, "pg_fn_position"),
    plain("strpos", &[Text, Text], Int4, "pg_fn_strpos"),
    plain("split_part", &[Text, Text, Int4], Text, "pg_fn_split_part"),
    plain("overlay", &[Text, Text, Int4], Text, "pg_fn_overlay"),
    plain("overlay", &[Text, Text, Int4, Int4], Text, "pg_fn_overlay"),
    plain("ltrim", &[Text], Text, "pg_fn_ltrim"),
    plain("ltrim", &[Text, Text], Text, "pg_fn_ltrim"),
    plain("rtrim", &[Text], Text, "pg_fn_rtrim"),
    plain("rtrim", &[Text, Text], Text, "pg_fn_rtrim"),
    plain("btrim", &[Text], Text, "pg_fn_btrim"),
    plain("btrim", &[Text, Text], Text, "pg_fn_btrim"),
    plain("lpad", &[Text, Int4], Text, "pg_fn_lpad"),
    plain("lpad", &[Text, Int4, Text], Text, "pg_fn_lpad"),
    plain("rpad", &[Text, Int4], Text, "pg_fn_rpad"),
    plain("rpad", &[Text, Int4, Text], Text, "pg_fn_rpad"),
    plain("repeat", &[Text, Int4], Text, "pg_fn_repeat"),
    plain("replace", &[Text, Text, Text], Text, "pg_fn_replace"),
    plain("reverse", &[Text], Text, "pg_fn_reverse"),
    plain("translate", &[Text, Text, Text], Text, "pg_fn_translate"),
    plain("starts_with", &[Text, Text], Bool, "pg_fn_starts_with"),
    plain("ascii", &[Text], Int4, "pg_fn_ascii"),
    plain("chr", &[Int4], Text, "pg_fn_chr"),
    plain("md5", &[Text], Text, "pg_fn_md5"),
    plain("md5", &[Bytea], Text, "pg_fn_md5_bytea"),
    plain("quote_ident", &[Text], Text, "pg_fn_quote_ident"),
    plain("quote_literal", &[Text], Text, "pg_fn_quote_literal"),
    plain("quote_literal", &[AnyElement], Text, "pg_fn_quote_literal").stable(),
    plain("quote_nullable", &[Text], Text, "pg_fn_quote_nullable").lenient(),
    plain("quote_nullable", &[AnyElement], Text, "pg_fn_quote_nullable")
        .lenient()
        .stable(),
    plain("to_hex", &[Int4], Text, "pg_fn_to_hex_int4"),
    plain("to_hex", &[Int8], Text, "pg_fn_to_hex_int8"),
    plain("regexp_replace", &[Text, Text, Text], Text, "pg_fn_regexp_replace"),
    plain(
        "regexp_replace",
        &[Text, Text, Text, Text],
        Text,
        "pg_fn_regexp_replace",
    ),
    plain("regexp_match", &[Text, Text], TextArray, "pg_fn_regexp_match"),
    plain("regexp_match", &[Text, Text, Text], TextArray, "pg_fn_regexp_match"),
    plain(
        "regexp_replace",
        &[Text, Text, Text, Int4],
        Text,
        "pg_fn_regexp_replace_at",
    ),
    plain(
        "regexp_replace",
        &[Text, Text, Text, Int4, Int4],
        Text,
        "pg_fn_regexp_replace_at",
    ),
    plain(
        "regexp_replace",
        &[Text, Text, Text, Int4, Int4, Text],
        Text,
        "pg_fn_regexp_replace_at",
    ),
    plain("regexp_count", &[Text, Text], Int4, "pg_fn_regexp_count"),
    plain("regexp_count", &[Text, Text, Int4], Int4, "pg_fn_regexp_count"),
    plain("regexp_count", &[Text, Text, Int4, Text], Int4, "pg_fn_regexp_count"),
    plain("regexp_like", &[Text, Text], Bool, "pg_regex"),
    plain("regexp_like", &[Text, Text, Text], Bool, "pg_fn_regexp_like"),
    plain("regexp_substr", &[Text, Text], Text, "pg_fn_regexp_substr"),
    plain("regexp_substr", &[Text, Text, Int4], Text, "pg_fn_regexp_substr"),
    plain("regexp_substr", &[Text, Text, Int4, Int4], Text, "pg_fn_regexp_substr"),
    plain(
        "regexp_substr",
        &[Text, Text, Int4, Int4, Text],
        Text,
        "pg_fn_regexp_substr",
    ),
    plain(
        "regexp_substr",
        &[Text, Text, Int4, Int4, Text, Int4],
        Text,
        "pg_fn_regexp_substr",
    ),
    plain("regexp_instr", &[Text, Text], Int4, "pg_fn_regexp_instr"),
    plain("regexp_instr", &[Text, Text, Int4], Int4, "pg_fn_regexp_instr"),
    plain("regexp_instr", &[Text, Text, Int4, Int4], Int4, "pg_fn_regexp_instr"),
    plain(
        "regexp_instr",
        &[Text, Text, Int4, Int4, Int4],
        Int4,
        "pg_fn_regexp_instr",
    ),
    plain(
        "regexp_instr",
        &[Text, Text, Int4, Int4, Int4, Text],
        Int4,
        "pg_fn_regexp_instr",
    ),
    plain(
        "regexp_instr",
        &[Text, Text, Int4, Int4, Int4, Text, Int4],
        Int4,
        "pg_fn_regexp_instr",
    ),
    plain(
        "regexp_split_to_array",
        &[Text, Text, Text],
        TextArray,
        "pg_fn_regexp_split_to_array",
    ),
    plain("num_nulls", &[Any], Int4, "pg_fn_num_nulls").variadic(),
    plain("num_nonnulls", &[Any], Int4, "pg_fn_num_nonnulls").variadic(),
    plain(
        "regexp_split_to_array",
        &[Text, Text],
        TextArray,
        "pg_fn_regexp_split_to_array",
    ),
    plain("string_to_array", &[Text, Text], TextArray, "pg_fn_string_to_array").lenient(),
    plain(
        "string_to_array",
        &[Text, Text, Text],
        TextArray,
        "pg_fn_string_to_array",
    )
    .lenient(),
    with("concat", &[Any], Text, LibraryOutput("pg_fn_concat"))
        .variadic()
        .stable(),
    with("concat_ws", &[Text, Any], Text, LibraryOutput("pg_fn_concat_ws"))
        .variadic()
        .stable(),
    with("format", &[Text], Text, LibraryOutput("pg_fn_format"))
        .lenient()
        .stable(),
    with("format", &[Text, Any], Text, LibraryOutput("pg_fn_format"))
        .variadic()
        .stable(),
    // Bytes (9.5).
    plain("sha224", &[Bytea], Bytea, "pg_fn_sha224"),
    plain("sha256", &[Bytea], Bytea, "pg_fn_sha256"),
    plain("sha384", &[Bytea], Bytea, "pg_fn_sha384"),
    plain("sha512", &[Bytea], Bytea, "pg_fn_sha512"),
    plain("encode", &[Bytea, Text], Text, "pg_fn_encode"),
    plain("decode", &[Text, Text], Bytea, "pg_fn_decode"),
    plain("convert_from", &[Bytea, Name], Text, "pg_fn_convert_from"),
    plain("convert_to", &[Text, Name], Bytea, "pg_fn_convert_to"),
    plain("digest", &[Text, Text], Bytea, "pg_fn_digest"),
    plain("digest", &[Bytea, Text], Bytea, "pg_fn_digest"),
    plain("hmac", &[Text, Text, Text], Bytea, "pg_fn_hmac"),
    plain("hmac", &[Bytea, Bytea, Text], Bytea, "pg_fn_hmac"),
    // Identifiers (9.14).
    with("gen_random_uuid", &[], Uuid, Engine).volatile(),
    with("uuid_generate_v4", &[], Uuid, Engine).volatile(),
    // Dates and times (9.9).
    plain(
        "date_trunc",
        &[Text, Timestamptz],
        Timestamptz,
        "pg_fn_date_trunc_timestamptz",
    )
    .stable(),
    plain(
        "date_trunc",
        &[Text, Timestamp],
        Timestamp,
        "pg_fn_date_trunc_timestamp",
    ),
    plain("date_trunc", &[Text, Interval], Interval, "pg_fn_date_trunc_interval"),
    plain(
        "date_trunc",
        &[Text, Timestamptz, Text],
        Timestamptz,
        "pg_fn_date_trunc_zone",
    )
    .stable(),
    plain("extract", &[Text, Date], Numeric, "pg_fn_extract_date"),
    plain("extract", &[Text, Time], Numeric, "pg_fn_extract_time"),
    plain("extract", &[Text, Timestamp], Numeric, "pg_fn_extract_timestamp"),
    plain("extract", &[Text, Timestamptz], Numeric, "pg_fn_extract_timestamptz").stable(),
    plain("extract", &[Text, Interval], Numeric, "pg_fn_extract_interval"),
    plain("date_part", &[Text, Date], Float8, "pg_fn_date_part_date"),
    plain("date_part", &[Text, Time], Float8, "pg_fn_date_part_time"),
    plain("date_part", &[Text, Timestamp], Float8, "pg_fn_date_part_timestamp"),
    plain("date_part", &[Text, Timestamptz], Float8, "pg_fn_date_part_timestamptz").stable(),
    plain("date_part", &[Text, Interval], Float8, "pg_fn_date_part_interval"),
    plain("age", &[Timestamp, Timestamp], Interval, "pg_fn_age_timestamp"),
    plain("age", &[Timestamptz, Timestamptz], Interval, "pg_fn_age_timestamptz"),
    // Relative to the start of today; the caller of the table puts `current_date` in front.
    plain("age", &[Timestamp], Interval, "pg_fn_age_timestamp").stable(),
    plain("age", &[Timestamptz], Interval, "pg_fn_age_timestamptz").stable(),
    plain("to_char", &[Timestamp, Text], Text, "pg_fn_to_char_timestamp").stable(),
    plain("to_char", &[Timestamptz, Text], Text, "pg_fn_to_char_timestamptz").stable(),
    plain("to_char", &[Interval, Text], Text, "pg_fn_to_char_interval").stable(),
    plain("to_char", &[Numeric, Text], Text, "pg_fn_to_char_numeric").stable(),
    plain("to_char", &[Float4, Text], Text, "pg_fn_to_char_float4").stable(),
    plain("to_char", &[Float8, Text], Text, "pg_fn_to_char_float8").stable(),
    plain("to_char", &[Int4, Text], Text, "pg_fn_to_char_int4").stable(),
    plain("to_char", &[Int8, Text], Text, "pg_fn_to_char_int8").stable(),
    plain("to_timestamp", &[Float8], Timestamptz, "pg_fn_to_timestamp_float8"),
    plain("to_timestamp", &[Text, Text], Timestamptz, "pg_fn_to_timestamp").stable(),
    plain("to_date", &[Text, Text], Date, "pg_fn_to_date").stable(),
    plain("make_date", &[Int4, Int4, Int4], Date, "pg_fn_make_date").named(&["year", "month", "day"], &[]),
    plain("make_time", &[Int4, Int4, Float8], Time, "pg_fn_make_time").named(&["hour", "min", "sec"], &[]),
    plain(
        "make_timestamp",
        &[Int4, Int4, Int4, Int4, Int4, Float8],
        Timestamp,
        "pg_fn_make_timestamp",
    )
    .named(&["year", "month", "mday", "hour", "min", "sec"], &[]),
    plain(
        "make_timestamptz",
        &[Int4, Int4, Int4, Int4, Int4, Float8],
        Timestamptz,
        "pg_fn_make_timestamptz",
    )
    .named(&["year", "month", "mday", "hour", "min", "sec"], &[])
    .stable(),
    plain(
        "make_timestamptz",
        &[Int4, Int4, Int4, Int4, Int4, Float8, Text],
        Timestamptz,
        "pg_fn_make_timestamptz",
    )
    .named(&["year", "month", "mday", "hour", "min", "sec", "timezone"], &[])
    .stable(),
    plain(
        "make_interval",
        &[Int4, Int4, Int4, Int4, Int4, Int4, Float8],
        Interval,
        "pg_fn_make_interval",
    )
    .named(
        &["years", "months", "weeks", "days", "hours", "mins", "secs"],
        &["0", "0", "0", "0", "0", "0", "0.0"],
    ),
    plain(
        "timezone",
        &[Text, Timestamptz],
        Timestamp,
        "pg_fn_timezone_timestamptz",
    ),
    plain("timezone", &[Text, Timestamp], Timestamptz, "pg_fn_timezone_timestamp"),
    plain("justify_days", &[Interval], Interval, "pg_fn_justify_days"),
    plain("justify_hours", &[Interval], Interval, "pg_fn_justify_hours"),
    plain("justify_interval", &[Interval], Interval, "pg_fn_justify_interval"),
    plain(
        "date_bin",
        &[Interval, Timestamp, Timestamp],
        Timestamp,
        "pg_fn_date_bin_timestamp",
    ),
    plain(
        "date_bin",
        &[Interval, Timestamptz, Timestamptz],
        Timestamptz,
        "pg_fn_date_bin_timestamptz",
    ),
    plain("isfinite", &[Date], Bool, "pg_fn_isfinite"),
    plain("isfinite", &[Timestamp], Bool, "pg_fn_isfinite"),
    plain("isfinite", &[Timestamptz], Bool, "pg_fn_isfinite"),
    plain("isfinite", &[Interval], Bool, "pg_fn_isfinite"),
    plain("overlaps", &[Time, Time, Time, Time], Bool, "pg_fn_overlaps").lenient(),
    plain(
        "overlaps",
        &[Time, Interval, Time, Interval],
        Bool,
        "pg_fn_overlaps_time_spans",
    )
    .lenient(),
    plain(
        "overlaps",
        &[Time, Interval, Time, Time],
        Bool,
        "pg_fn_overlaps_time_span_first",
    )
    .lenient(),
    plain(
        "overlaps",
        &[Time, Time, Time, Interval],
        Bool,
        "pg_fn_overlaps_time_span_last",
    )
    .lenient(),
    plain(
        "overlaps",
        &[Timestamp, Timestamp, Timestamp, Timestamp],
        Bool,
        "pg_fn_overlaps",
    )
    .lenient(),
    plain(
        "overlaps",
        &[Timestamp, Interval, Timestamp, Interval],
        Bool,
        "pg_fn_overlaps_spans",
    )
    .lenient(),
    plain(
        "overlaps",
        &[Timestamp, Interval, Timestamp, Timestamp],
        Bool,
        "pg_fn_overlaps_spans",
    )
    .lenient(),
    plain(
        "overlaps",
        &[Timestamp, Timestamp, Timestamp, Interval],
        Bool,
        "pg_fn_overlaps_spans",
    )
    .lenient(),
    plain(
        "overlaps",
        &[Timestamptz, Timestamptz, Timestamptz, Timestamptz],
        Bool,
        "pg_fn_overlaps",
    )
    .lenient(),
    plain(
        "overlaps",
        &[Timestamptz, Interval, Timestamptz, Interval],
        Bool,
        "pg_fn_overlaps_spans",
    )
    .lenient(),
    plain(
        "overlaps",
        &[Timestamptz, Interval, Timestamptz, Timestamptz],
        Bool,
        "pg_fn_overlaps_spans",
    )
    .lenient(),
    plain(
        "overlaps",
        &[Timestamptz, Timestamptz, Timestamptz, Interval],
        Bool,
        "pg_fn_overlaps_spans",
    )
    .lenient(),
    with("enum_range", &[AnyEnum], AnyArray, Engine).lenient(),
    with("enum_range", &[AnyEnum, AnyEnum], AnyArray, Engine).lenient(),
    with("enum_first", &[AnyEnum], AnyEnum, Engine).lenient(),
    with("enum_last", &[AnyEnum], AnyEnum, Engine).lenient(),
    with("clock_timestamp", &[], Timestamptz, Engine).volatile(),
    // JSON (9.16).
    with("to_json", &[AnyElement], Json, ToJson).stable(),
    with("to_jsonb", &[AnyElement], Jsonb, ToJsonb).stable(),
    with("row_to_json", &[Record], Json, ToJson).stable(),
    with("array_to_json", &[AnyArray], Json, ToJson).stable(),
    plain("json_typeof", &[Json], Text, "pg_fn_json_typeof"),
    plain("jsonb_typeof", &[Jsonb], Text, "pg_fn_jsonb_typeof"),
    plain("json_array_length", &[Json], Int4, "pg_fn_json_array_length"),
    plain("jsonb_array_length", &[Jsonb], Int4, "pg_fn_jsonb_array_length"),
    plain("jsonb_set", &[Jsonb, TextArray, Jsonb, Bool], Jsonb, "pg_fn_jsonb_set")
        .named(&["jsonb_in", "path", "replacement", "create_if_missing"], &["true"]),
    plain(
        "jsonb_insert",
        &[Jsonb, TextArray, Jsonb, Bool],
        Jsonb,
        "pg_fn_jsonb_insert",
    )
    .named(&["jsonb_in", "path", "replacement", "insert_after"], &["false"]),
    plain(
        "jsonb_set_lax",
        &[Jsonb, TextArray, Jsonb, Bool, Text],
        Jsonb,
        "pg_fn_jsonb_set_lax",
    )
    .named(
        &[
            "jsonb_in",
            "path",
            "replacement",
            "create_if_missing",
            "null_value_treatment",
        ],
        &["true", "'use_json_null'"],
    )
    .lenient(),
    plain("json_object", &[TextArray], Json, "pg_fn_json_object"),
    plain("json_object", &[TextArray, TextArray], Json, "pg_fn_json_object"),
    plain("jsonb_object", &[TextArray], Jsonb, "pg_fn_jsonb_object"),
    plain("jsonb_object", &[TextArray, TextArray], Jsonb, "pg_fn_jsonb_object"),
    plain("json_extract_path", &[Json, Text], Json, "pg_fn_json_extract_path").path(),
    plain("jsonb_extract_path", &[Jsonb, Text], Jsonb, "pg_fn_json_extract_path").path(),
    plain(
        "json_extract_path_text",
        &[Json, Text],
        Text,
        "pg_fn_json_extract_path_text",
    )
    .path(),
    plain(
        "jsonb_extract_path_text",
        &[Jsonb, Text],
        Text,
        "pg_fn_json_extract_path_text",
    )
    .path(),
    plain("jsonb_strip_nulls", &[Jsonb], Jsonb, "pg_fn_jsonb_strip_nulls"),
    plain("json_strip_nulls", &[Json], Json, "pg_fn_json_strip_nulls"),
    plain("jsonb_pretty", &[Jsonb], Text, "pg_fn_jsonb_pretty"),
    with("json_build_object", &[], Json, LibraryJson("pg_fn_json_build_object"))
        .lenient()
        .stable(),
    with(
        "json_build_object",
        &[Any],
        Json,
        LibraryJson("pg_fn_json_build_object"),
    )
    .variadic()
    .stable(),
    with(
        "jsonb_build_object",
        &[],
        Jsonb,
        LibraryJsonb("pg_fn_jsonb_build_object"),
    )
    .lenient()
    .stable(),
    with(
        "jsonb_build_object",
        &[Any],
        Jsonb,
        LibraryJsonb("pg_fn_jsonb_build_object"),
    )
    .variadic()
    .stable(),
    with("json_build_array", &[], Json, LibraryJson("pg_fn_json_build_array"))
        .lenient()
        .stable(),
    with("json_build_array", &[Any], Json, LibraryJson("pg_fn_json_build_array"))
        .variadic()
        .stable(),
    with("jsonb_build_array", &[], Jsonb, LibraryJsonb("pg_fn_jsonb_build_array"))
        .lenient()
        .stable(),
    with(
        "jsonb_build_array",
        &[Any],
        Jsonb,
        LibraryJsonb("pg_fn_jsonb_build_array"),
    )
    .variadic()
    .stable(),
    // Arrays (9.19).
    plain("array_length", &[AnyArray, Int4], Int4, "pg_fn_array_length"),
    plain("cardinality", &[AnyArray], Int4, "pg_fn_cardinality"),
    plain("array_upper", &[AnyArray, Int4], Int4, "pg_fn_array_upper"),
    plain("array_lower", &[AnyArray, Int4], Int4, "pg_fn_array_lower"),
    plain("array_ndims", &[AnyArray], Int4, "pg_fn_array_ndims"),
    plain("array_dims", &[AnyArray], Text, "pg_fn_array_dims"),
    with(
        "array_append",
        &[AnyCompatibleArray, AnyCompatible],
        AnyCompatibleArray,
        Elements("pg_array_append"),
    )
    .lenient(),
    with(
        "array_prepend",
        &[AnyCompatible, AnyCompatibleArray],
        AnyCompatibleArray,
        Elements("pg_array_prepend"),
    )
    .lenient(),
    plain(
        "array_cat",
        &[AnyCompatibleArray, AnyCompatibleArray],
        AnyCompatibleArray,
        "pg_array_concat",
    )
    .lenient(),
    with(
        "array_remove",
        &[AnyCompatibleArray, AnyCompatible],
        AnyCompatibleArray,
        ElementsByType("pg_fn_array_remove"),
    )
    .lenient(),
    with(
        "array_replace",
        &[AnyCompatibleArray, AnyCompatible, AnyCompatible],
        AnyCompatibleArray,
        ElementsByType("pg_fn_array_replace"),
    )
    .lenient(),
    with(
        "array_position",
        &[AnyCompatibleArray, AnyCompatible],
        Int4,
        ElementsByType("pg_fn_array_position"),
    )
    .lenient(),
    with(
        "array_position",
        &[AnyCompatibleArray, AnyCompatible, Int4],
        Int4,
        ElementsByType("pg_fn_array_position_from"),
    )
    .lenient(),
    with(
        "array_positions",
        &[AnyCompatibleArray, AnyCompatible],
        Int4Array,
        ElementsByType("pg_fn_array_positions"),
    )
    .lenient(),
    with(
        "array_fill",
        &[AnyElement, Int4Array],
        AnyArray,
        Elements("pg_fn_array_fill"),
    )
    .lenient(),
    plain("trim_array", &[AnyArray, Int4], AnyArray, "pg_fn_trim_array"),
    with("array_to_string", &[AnyArray, Text], Text, Engine)
        .lenient()
        .stable(),
    with("array_to_string", &[AnyArray, Text, Text], Text, Engine)
        .lenient()
        .stable(),
];

/// `array[low:high]`, which has no name to call it by.
pub static ARRAY_SLICE: FunctionEntry = plain("array slice", &[AnyArray, Int4, Int4], AnyArray, "pg_array_slice");

/// Functions whose columns are told by a definition list or a relation; see `record`.
pub static RECORD_FUNCTIONS: [SetFunctionEntry; 8] = [
    record("json_to_record", &[Json]),
    record("jsonb_to_record", &[Jsonb]),
    record("json_to_recordset", &[Json]),
    record("jsonb_to_recordset", &[Jsonb]),
    record("json_populate_record", &[Json]),
    record("jsonb_populate_record", &[Jsonb]),
    record("json_populate_recordset", &[Json]),
    record("jsonb_populate_recordset", &[Jsonb]),
];

/// `unnest(a, b, …)` in FROM: the arrays side by side.
pub static UNNEST_MANY: SetFunctionEntry = record("unnest", &[]);

const fn record(name: &'static str, arguments: &'static [Arg]) -> SetFunctionEntry {
    SetFunctionEntry {
        name,
        arguments,
        columns: &[],
        implementation: Engine,
    }
}

static SET_FUNCTIONS: &[SetFunctionEntry] = &[
    series(&[Int4, Int4], &[("generate_series", Int4)]),
    series(&[Int4, Int4, Int4], &[("generate_series", Int4)]),
    series(&[Int8, Int8], &[("generate_series", Int8)]),
    series(&[Int8, Int8, Int8], &[("generate_series", Int8)]),
    series(&[Numeric, Numeric], &[("generate_series", Numeric)]),
    series(&[Numeric, Numeric, Numeric], &[("generate_series", Numeric)]),
    series(&[Timestamp, Timestamp, Interval], &[("generate_series", Timestamp)]),
    series(
        &[Timestamptz, Timestamptz, Interval],
        &[("generate_series", Timestamptz)],
    ),
    SetFunctionEntry {
        name: "unnest",
        arguments: &[AnyArray],
        columns: &[("unnest", AnyElement)],
        implementation: Engine,
    },
    set(
        "generate_subscripts",
        &[AnyArray, Int4],
        &[("generate_subscripts", Int4)],
        "pg_srf_subscripts",
    ),
    set(
        "generate_subscripts",
        &[AnyArray, Int4, Bool],
        &[("generate_subscripts", Int4)],
        "pg_srf_subscripts",
    ),
    set(
        "json_array_elements",
        &[Json],
        &[("value", Json)],
        "pg_srf_json_array_elements",
    ),
    set(
        "jsonb_array_elements",
        &[Jsonb],
        &[("value", Jsonb)],
        "pg_srf_jsonb_array_elements",
    ),
    set(
        "json_array_elements_text",
        &[Json],
        &[("value", Text)],
        "pg_srf_json_array_elements_text",
    ),
    set(
        "jsonb_array_elements_text",
        &[Jsonb],
        &[("value", Text)],
        "pg_srf_jsonb_array_elements_text",
    ),
    set(
        "json_object_keys",
        &[Json],
        &[("json_object_keys", Text)],
        "pg_srf_json_object_keys",
    ),
    set(
        "jsonb_object_keys",
        &[Jsonb],
        &[("jsonb_object_keys", Text)],
        "pg_srf_jsonb_object_keys",
    ),
    set(
        "json_each",
        &[Json],
        &[("key", Text), ("value", Json)],
        "pg_srf_json_each",
    ),
    set(
        "jsonb_each",
        &[Jsonb],
        &[("key", Text), ("value", Jsonb)],
        "pg_srf_jsonb_each",
    ),
    set(
        "json_each_text",
        &[Json],
        &[("key", Text), ("value", Text)],
        "pg_srf_json_each_text",
    ),
    set(
        "jsonb_each_text",
        &[Jsonb],
        &[("key", Text), ("value", Text)],
        "pg_srf_jsonb_each_text",
    ),
    set(
        "regexp_split_to_table",
        &[Text, Text],
        &[("regexp_split_to_table", Text)],
        "pg_srf_regexp_split",
    ),
    set(
        "regexp_split_to_table",
        &[Text, Text, Text],
        &[("regexp_split_to_table", Text)],
        "pg_srf_regexp_split",
    ),
    of_citext("regexp_matches", &[Citext, Citext], &[("regexp_matches", TextArray)]),
    of_citext(
        "regexp_matches",
        &[Citext, Citext, Text],
        &[("regexp_matches", TextArray)],
    ),
    of_citext(
        "regexp_split_to_table",
        &[Citext, Citext],
        &[("regexp_split_to_table", Text)],
    ),
    of_citext(
        "regexp_split_to_table",
        &[Citext, Citext, Text],
        &[("regexp_split_to_table", Text)],
    ),
    set(
        "regexp_matches",
        &[Text, Text],
        &[("regexp_matches", TextArray)],
        "pg_srf_regexp_matches",
    ),
    set(
        "regexp_matches",
        &[Text, Text, Text],
        &[("regexp_matches", TextArray)],
        "pg_srf_regexp_matches",
    ),
    set(
        "string_to_table",
        &[Text, Text],
        &[("string_to_table", Text)],
        "pg_srf_string_to_table",
    ),
    set(
        "string_to_table",
        &[Text, Text, Text],
        &[("string_to_table", Text)],
        "pg_srf_string_to_table",
    ),
];

const fn series(arguments: &'static [Arg], columns: &'static [(&'static str, Arg)]) -> SetFunctionEntry {
    SetFunctionEntry {
        name: "generate_series",
        arguments,
        columns,
        implementation: Engine,
    }
}

/// Case does not count in these; refused by name.
const fn of_citext(
    name: &'static str,
    arguments: &'static [Arg],
    columns: &'static [(&'static str, Arg)],
) -> SetFunctionEntry {
    SetFunctionEntry {
        name,
        arguments,
        columns,
        implementation: Engine,
    }
}

const fn set(
    name: &'static str,
    arguments: &'static [Arg],
    columns: &'static [(&'static str, Arg)],
    library: &'static str,
) -> SetFunctionEntry {
    SetFunctionEntry {
        name,
        arguments,
        columns,
        implementation: Library(library),
    }
}

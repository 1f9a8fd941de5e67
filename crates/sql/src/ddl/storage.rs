//! What only PostgreSQL's storage hears: parameters in `WITH (…)`, compression, access methods.
//!
//! None of it changes an answer, so the embedded engine keeps nothing of it; but names and values must be ones that
//! PostgreSQL 15 takes.
//!
//! Source: PostgreSQL 15 manual, CREATE TABLE and CREATE INDEX, "Storage Parameters"; messages as a server words them.

use mainstay_core::catalog::CheckOption;
use mainstay_core::error::DatabaseError;
use mainstay_core::types::Type;

use super::Result;
use crate::ast::ddl::{StorageOption, ViewOptions};

/// What has parameters. Indexes by their access method.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Holder<'a> {
    Table,
    /// The parameters called `toast.…`.
    Toast,
    View,
    Column,
    Index(&'a str),
}

/// The values that a parameter takes.
enum Values {
    Boolean,
    Integer(i64, i64),
    Real(f64, f64),
    Word(&'static [&'static str], &'static str),
}

const INTEGER_MAX: i64 = i32::MAX as i64;
const PERCENT: Values = Values::Integer(10, 100);
const SWITCH_HINT: &str = "Valid values are \"on\", \"off\", and \"auto\".";

/// The parameter `name` of `holder`. `None`: there is none.
fn values(holder: Holder<'_>, name: &str) -> Option<Values> {
    use Values::{Boolean, Integer, Real, Word};
    match holder {
        Holder::Table => Some(match name {
            "fillfactor" => PERCENT,
            "toast_tuple_target" => Integer(128, 8160),
            "parallel_workers" => Integer(0, 1024),
            "user_catalog_table" => Boolean,
            "autovacuum_analyze_threshold" => Integer(0, INTEGER_MAX),
            "autovacuum_analyze_scale_factor" => Real(0.0, 100.0),
            _ => return values(Holder::Toast, name),
        }),
        Holder::Toast => Some(match name {
            "autovacuum_enabled" | "vacuum_truncate" => Boolean,
            "autovacuum_vacuum_threshold" => Integer(0, INTEGER_MAX),
            "autovacuum_vacuum_insert_threshold" | "log_autovacuum_min_duration" => Integer(-1, INTEGER_MAX),
            "autovacuum_vacuum_cost_limit" => Integer(1, 10_000),
            "autovacuum_freeze_min_age" | "autovacuum_multixact_freeze_min_age" => Integer(0, 1_000_000_000),
            "autovacuum_freeze_max_age" => Integer(100_000, 2_000_000_000),
            "autovacuum_multixact_freeze_max_age" => Integer(10_000, 2_000_000_000),
            "autovacuum_freeze_table_age" | "autovacuum_multixact_freeze_table_age" => Integer(0, 2_000_000_000),
            "autovacuum_vacuum_cost_delay"
            | "autovacuum_vacuum_scale_factor"
            | "autovacuum_vacuum_insert_scale_factor" => Real(0.0, 100.0),
            "vacuum_index_cleanup" => Word(
                &["auto", "on", "off", "true", "false", "yes", "no", "1", "0"],
                SWITCH_HINT,
            ),
            _ => return None,
        }),
        Holder::View => Some(match name {
            "security_barrier" | "security_invoker" => Boolean,
            "check_option" => Word(&["local", "cascaded"], "Valid values are \"local\" and \"cascaded\"."),
            _ => return None,
        }),
        Holder::Column => match name {
            "n_distinct" | "n_distinct_inherited" => Some(Real(-1.0, f64::MAX)),
            _ => None,
        },
        Holder::Index(method) => Some(match (method, name) {
            ("btree" | "hash" | "gist" | "spgist", "fillfactor") => PERCENT,
            ("btree", "deduplicate_items") => Boolean,
            ("btree", "vacuum_cleanup_index_scale_factor") => Real(0.0, 1e10),
            ("gist", "buffering") => Word(&["auto", "on", "off"], SWITCH_HINT),
            ("gin", "fastupdate") | ("brin", "autosummarize") => Boolean,
            ("gin", "gin_pending_list_limit") => Integer(64, INTEGER_MAX),
            ("brin", "pages_per_range") => Integer(1, 131_072),
            // pgvector's
            ("hnsw", "m") => Integer(2, 100),
            ("hnsw", "ef_construction") => Integer(4, 1000),
            ("ivfflat", "lists") => Integer(1, 32_768),
            _ => return None,
        }),
    }
}

/// Checks the parameters of a new object, or those that one is given. Errors: 22023, 0A000.
pub(super) fn check(holder: Holder<'_>, options: &[StorageOption]) -> Result<()> {
    let mut own = Vec::new();
    let mut toast = Vec::new();
    for option in options {
        match &option.namespace {
            None if holder == Holder::Table && option.name == *"oids" => {
                if boolean(&option.value).unwrap_or(true) {
                    return Err(DatabaseError::new(
                        "0A000",
                        "tables declared WITH OIDS are not supported",
                    ));
                }
            }
            None => own.push(option),
            Some(space) if holder == Holder::Table && *space == *"toast" => toast.push(option),
            Some(space) => {
                let message = format!("unrecognized parameter namespace \"{space}\"");
                return Err(DatabaseError::new("22023", message));
            }
        }
    }
    each(holder, &own)?;
    each(Holder::Toast, &toast)
}

fn each(holder: Holder<'_>, options: &[&StorageOption]) -> Result<()> {
    for (position, option) in options.iter().enumerate() {
        let name = &option.name;
        let Some(values) = values(holder, name) else {
            let message = format!("unrecognized parameter \"{name}\"");
            return Err(DatabaseError::new("22023", message));
        };
        if options[..position].iter().any(|other| other.name == *name) {
            let message = format!("parameter \"{name}\" specified more than once");
            return Err(DatabaseError::new("22023", message));
        }
        check_value(&values, option)?;
    }
    Ok(())
}

fn check_value(values: &Values, option: &StorageOption) -> Result<()> {
    let (name, given) = (&option.name, &option.value);
    let wrong = |kind: &str| {
        let message = format!("invalid value for {kind} option \"{name}\": {given}");
        Err(DatabaseError::new("22023", message))
    };
    let outside = |min: String, max: String| {
        let message = format!("value {given} out of bounds for option \"{name}\"");
        Err(DatabaseError::new("22023", message).detail(format!("Valid values are between \"{min}\" and \"{max}\".")))
    };
    match values {
        Values::Boolean if boolean(given).is_none() => wrong("boolean"),
        Values::Boolean => Ok(()),
        Values::Integer(min, max) => match integer(given) {
            None => wrong("integer"),
            Some(value) if value < *min || value > *max => outside(min.to_string(), max.to_string()),
            Some(_) => Ok(()),
        },
        Values::Real(min, max) => match real(given) {
            None => wrong("floating point"),
            Some(value) if value < *min || value > *max => outside(format!("{min:.6}"), format!("{max:.6}")),
            Some(_) => Ok(()),
        },
        Values::Word(words, detail) => match words.iter().any(|word| word.eq_ignore_ascii_case(given)) {
            true => Ok(()),
            false => {
                let message = format!("invalid value for enum option \"{name}\": {given}");
                Err(DatabaseError::new("22023", message).detail(*detail))
            }
        },
    }
}

/// A setting's boolean: a word or its beginning, as long as that says which.
fn boolean(text: &str) -> Option<bool> {
    let text = text.to_ascii_lowercase();
    let begins = |word: &str, least: usize| text.len() >= least && word.starts_with(&text);
    match text.as_str() {
        "1" => Some(true),
        "0" => Some(false),
        _ if begins("true", 1) || begins("yes", 1) || begins("on", 2) => Some(true),
        _ if begins("false", 1) || begins("no", 1) || begins("off", 2) => Some(false),
        _ => None,
    }
}

fn integer(text: &str) -> Option<i64> {
    let hexadecimal = text
        .strip_prefix("0x")
        .and_then(|digits| i64::from_str_radix(digits, 16).ok());
    let value = hexadecimal.map(|value| value as f64).or_else(|| real(text))?;
    let rounded = value.round_ties_even();
    (rounded.abs() <= INTEGER_MAX as f64).then_some(rounded as i64)
}

fn real(text: &str) -> Option<f64> {
    text.trim().parse().ok().filter(|value: &f64| !value.is_nan())
}

/// `RESET (…)`, where names do not matter. Errors: 42601 for a value.
pub(super) fn check_reset(options: &[StorageOption]) -> Result<()> {
    if options.iter().any(|option| option.has_value) {
        let message = "RESET must not include values for parameters";
        return Err(DatabaseError::new("42601", message));
    }
    Ok(())
}

/// The parameters of a view. Errors: 22023.
pub(super) fn of_view(options: &[StorageOption]) -> Result<ViewOptions> {
    check(Holder::View, options)?;
    let mut read = ViewOptions::default();
    for option in options {
        match option.name.as_str() {
            "security_invoker" => read.security_invoker = boolean(&option.value),
            "security_barrier" => read.security_barrier = boolean(&option.value),
            _ if option.value.eq_ignore_ascii_case("local") => read.check_option = Some(CheckOption::Local),
            _ => read.check_option = Some(CheckOption::Cascaded),
        }
    }
    Ok(read)
}

/// Access methods of indexes: PostgreSQL's, and those of the extensions that projects use.
pub(super) const INDEX_METHODS: &[&str] = &[
    "btree", "hash", "gin", "gist", "spgist", "brin", "hnsw", "ivfflat", "bloom",
];

/// `USING` of a table. Errors: 42704 and 55000 for anything but `heap`.
pub(super) fn check_table_method(name: Option<&str>) -> Result<()> {
    let Some(name) = name else { return Ok(()) };
    match name {
        "heap" => Ok(()),
        "btree" | "hash" | "gin" | "gist" | "spgist" | "brin" => Err(DatabaseError::new(
            "55000",
            format!("access method \"{name}\" is not of type TABLE"),
        )),
        _ => Err(DatabaseError::new(
            "42704",
            format!("access method \"{name}\" does not exist"),
        )),
    }
}

/// True for types whose values PostgreSQL may compress and keep apart.
pub(super) fn is_toastable(ty: &Type) -> bool {
    matches!(
        ty.base(),
        Type::Text
            | Type::Varchar
            | Type::Bpchar
            | Type::Citext
            | Type::Bytea
            | Type::Numeric
            | Type::Json
            | Type::Jsonb
            | Type::Tsvector
            | Type::Vector
            | Type::Array(_)
    )
}

/// `COMPRESSION name`. `None`: PostgreSQL takes it and nothing is to be kept. Errors: 0A000, 22023.
pub(super) fn check_compression(ty: &Type, method: &str) -> Result<()> {
    match method {
        "default" | "" => Ok(()),
        _ if !is_toastable(ty) => Err(DatabaseError::new(
            "0A000",
            format!("column data type {ty} does not support compression"),
        )),
        "pglz" | "lz4" => Ok(()),
        other => Err(DatabaseError::new(
            "22023",
            format!("invalid compression method \"{other}\""),
        )),
    }
}

//! The function library: `pg_fn_<name>`, guards and set-returning helpers.

use rusqlite::types::{Value, ValueRef};

use super::super::datetime::functions::{self as time, FieldOf};
use super::super::datetime::{
    DAY_US, Zone, check_timestamp, date_text, pattern as time_pattern, time_text, timestamp_text, timestamptz_text,
};
use super::super::errors::{PgError, Result};
use super::super::float::Precision;
use super::super::integer::{INT4, INT8};
use super::super::jsonb::Json;
use super::super::numeric::Numeric;
use super::super::{array, bytea, exponential, float, json, number_pattern, regexp, text};
use super::{Args, Registry};

pub(super) fn add(to: &mut Registry) {
    texts(to);
    patterns(to);
    bytes(to);
    numerics(to);
    floats(to);
    extremes(to);
    times(to);
    documents(to);
    sets(to);
    guards(to);
}

fn texts(to: &mut Registry) {
    to.add("pg_fn_upper", "text", "text", |a| Ok(text::upper(a.text(0)?)));
    to.add("pg_fn_lower", "text", "text", |a| Ok(text::lower(a.text(0)?)));
    to.add("pg_fn_initcap", "text", "text", |a| Ok(text::initcap(a.text(0)?)));
    for name in ["length", "char_length"] {
        to.add(format!("pg_fn_{name}"), "text", "int4", |a| {
            Ok(text::length(a.text(0)?))
        });
    }
    to.add("pg_fn_octet_length", "text", "int4", |a| Ok(a.text(0)?.len() as i64));
    to.add("pg_fn_bit_length", "text", "int4", |a| Ok(a.text(0)?.len() as i64 * 8));
    for name in ["substr", "substring"] {
        to.add(format!("pg_fn_{name}"), "text, int4 [, int4]", "text", |a| {
            let length = if a.len() > 2 { Some(a.int(2)?) } else { None };
            text::substr(a.text(0)?, a.int(1)?, length).map(str::to_owned)
        });
    }
    to.add("pg_fn_left", "text, int4", "text", |a| {
        Ok(text::left(a.text(0)?, a.int(1)?).to_owned())
    });
    to.add("pg_fn_right", "text, int4", "text", |a| {
        Ok(text::right(a.text(0)?, a.int(1)?).to_owned())
    });
    for name in ["position", "strpos"] {
        to.add(format!("pg_fn_{name}"), "text, text", "int4", |a| {
            Ok(text::position(a.text(0)?, a.text(1)?))
        });
    }
    to.add("pg_fn_split_part", "text, text, int4", "text", |a| {
        text::split_part(a.text(0)?, a.text(1)?, a.int(2)?).map(str::to_owned)
    });
    to.add("pg_fn_overlay", "text, text, int4 [, int4]", "text", |a| {
        let length = if a.len() > 3 { Some(a.int(3)?) } else { None };
        text::overlay(a.text(0)?, a.text(1)?, a.int(2)?, length)
    });
    to.add("pg_fn_ltrim", "text [, text]", "text", |a| {
        Ok(text::ltrim(a.text(0)?, set(a)?).to_owned())
    });
    to.add("pg_fn_rtrim", "text [, text]", "text", |a| {
        Ok(text::rtrim(a.text(0)?, set(a)?).to_owned())
    });
    to.add("pg_fn_btrim", "text [, text]", "text", |a| {
        let set = set(a)?;
        Ok(text::rtrim(text::ltrim(a.text(0)?, set), set).to_owned())
    });
    to.add("pg_fn_lpad", "text, int4 [, text]", "text", |a| {
        text::lpad(a.text(0)?, a.int(1)?, fill(a)?)
    });
    to.add("pg_fn_rpad", "text, int4 [, text]", "text", |a| {
        text::rpad(a.text(0)?, a.int(1)?, fill(a)?)
    });
    to.add("pg_fn_replace", "text, text, text", "text", |a| {
        text::replace(a.text(0)?, a.text(1)?, a.text(2)?)
    });
    to.add("pg_fn_repeat", "text, int4", "text", |a| {
        text::repeat(a.text(0)?, a.int(1)?)
    });
    to.add("pg_fn_reverse", "text", "text", |a| {
        Ok(a.text(0)?.chars().rev().collect::<String>())
    });
    to.add("pg_fn_translate", "text, text, text", "text", |a| {
        Ok(text::translate(a.text(0)?, a.text(1)?, a.text(2)?))
    });
    to.add("pg_fn_starts_with", "text, text", "bool", |a| {
        Ok(a.text(0)?.starts_with(a.text(1)?))
    });
    to.add("pg_fn_ascii", "text", "int4", |a| Ok(text::ascii(a.text(0)?)));
    to.add("pg_fn_chr", "int4", "text", |a| text::chr(a.int(0)?));
    to.add("pg_fn_md5", "text", "text", |a| {
        Ok(bytea::hex(&bytea::md5(a.text(0)?.as_bytes())))
    });
    to.add("pg_fn_quote_ident", "text", "text", |a| {
        Ok(mainstay_sql::ddl::quote_ident(a.text(0)?))
    });
    to.add("pg_fn_quote_literal", "text", "text", |a| {
        Ok(text::quote_literal(a.text(0)?))
    });
    to.add_lenient("pg_fn_quote_nullable", "text", "text", |a| {
        Ok(a.text_or_null(0)?
            .map_or_else(|| "NULL".to_owned(), text::quote_literal))
    });
    to.add("pg_fn_to_hex_int4", "int4", "text", |a| {
        Ok(format!("{:x}", a.int(0)? as i32))
    });
    to.add("pg_fn_to_hex_int8", "int8", "text", |a| Ok(format!("{:x}", a.int(0)?)));
    to.add_lenient("pg_fn_concat", "text…", "text", |a| {
        let parts = all_texts(a, 0)?;
        Ok(text::concat_ws("", parts.into_iter()))
    });
    to.add_lenient("pg_fn_concat_ws", "text, text…", "text", |a| {
        let Some(separator) = a.text_or_null(0)? else {
            return Ok(None);
        };
        let parts = all_texts(a, 1)?;
        Ok(Some(text::concat_ws(separator, parts.into_iter())))
    });
    to.add_lenient("pg_fn_format", "text, text…", "text", |a| {
        let Some(pattern) = a.text_or_null(0)? else {
            return Ok(None);
        };
        text::format(pattern, &all_texts(a, 1)?).map(Some)
    });
}

fn all_texts<'a>(a: &'a Args<'_, '_>, from: usize) -> Result<Vec<Option<&'a str>>> {
    (from..a.len()).map(|index| a.text_or_null(index)).collect()
}

fn set<'a>(a: &'a Args<'_, '_>) -> Result<&'a str> {
    if a.len() > 1 { a.text(1) } else { Ok(" ") }
}

fn fill<'a>(a: &'a Args<'_, '_>) -> Result<&'a str> {
    if a.len() > 2 { a.text(2) } else { Ok(" ") }
}

pub(super) fn compile(a: &Args<'_, '_>, flags_at: usize) -> Result<(regexp::Pattern, regexp::Flags)> {
    let flags = if a.len() > flags_at {
        regexp::Flags::parse(a.text(flags_at)?)?
    } else {
        regexp::Flags::default()
    };
    Ok((regexp::Pattern::new(a.text(1)?, flags)?, flags))
}

/// What `substring` and `regexp_match` give of a match: the groups, or the whole where there are none.
fn groups<'a>(source: &'a str, found: &[Option<(usize, usize)>]) -> Vec<Option<&'a str>> {
    let parts = if found.len() > 1 { &found[1..] } else { found };
    parts
        .iter()
        .map(|part| part.map(|(start, end)| &source[start..end]))
        .collect()
}

fn split_by_pattern(a: &Args<'_, '_>, function: &str) -> Result<String> {
    let source = a.text(0)?;
    let (pattern, flags) = compile(a, 2)?;
    if flags.global {
        let message = format!("{function}() does not support the \"global\" option");
        return Err(PgError::new("22023", message));
    }
    let mut parts = Vec::new();
    let (mut from, mut behind) = (0, 0);
    for found in pattern.all(source)? {
        let Some((start, end)) = found.first().copied().flatten() else {
            continue;
        };
        // Empty matches at the ends, and right behind a match, split nothing.
        let splits = start < source.len() && end > behind;
        behind = end;
        if !splits {
            continue;
        }
        parts.push(Some(&source[from..start]));
        from = end;
    }
    parts.push(Some(&source[from..]));
    Ok(array::from_texts(parts.into_iter()))
}

fn patterns(to: &mut Registry) {
    to.add("pg_fn_substring_regex", "text, text", "text", |a| {
        let source = a.text(0)?;
        let found = compile(a, 2)?.0.captures_at(source, 0)?;
        Ok(found.and_then(|found| groups(source, &found).first().copied().flatten().map(str::to_owned)))
    });
    to.add("pg_fn_regexp_replace", "text, text, text [, text]", "text", |a| {
        let (pattern, flags) = compile(a, 3)?;
        pattern.replace(a.text(0)?, a.text(2)?, flags.global)
    });
    to.add("pg_fn_regexp_match", "text, text [, text]", "text[]", |a| {
        let source = a.text(0)?;
        let (pattern, flags) = compile(a, 2)?;
        if flags.global {
            return Err(
                PgError::new("22023", "regexp_match() does not support the \"global\" option")
                    .hint("Use the regexp_matches function instead."),
            );
        }
        Ok(pattern
            .captures_at(source, 0)?
            .map(|found| array::from_texts(groups(source, &found).into_iter())))
    });
    to.add("pg_fn_regexp_split_to_array", "text, text [, text]", "text[]", |a| {
        split_by_pattern(a, "regexp_split_to_array")
    });
    to.add("pg_srf_regexp_split", "text, text [, text]", "text[]", |a| {
        split_by_pattern(a, "regexp_split_to_table")
    });
    to.add("pg_srf_regexp_matches", "text, text [, text]", "json", |a| {
        let source = a.text(0)?;
        let (pattern, flags) = compile(a, 2)?;
        let found = if flags.global {
            pattern.all(source)?
        } else {
            pattern.captures_at(source, 0)?.into_iter().collect()
        };
        let rows: Vec<String> = found
            .iter()
            .map(|found| array::from_texts(groups(source, found).into_iter()))
            .collect();
        Ok(array::from_texts(rows.iter().map(|row| Some(row.as_str()))))
    });
}

fn bytes(to: &mut Registry) {
    for name in ["length_bytea", "octet_length_bytea"] {
        to.add(format!("pg_fn_{name}"), "bytea", "int4", |a| {
            Ok(a.bytes(0)?.len() as i64)
        });
    }
    to.add("pg_fn_md5_bytea", "bytea", "text", |a| {
        Ok(bytea::hex(&bytea::md5(a.bytes(0)?)))
    });
    for name in ["sha224", "sha256", "sha384", "sha512"] {
        to.add(format!("pg_fn_{name}"), "bytea", "bytea", move |a| {
            Ok(bytea::sha(name, a.bytes(0)?))
        });
    }
    to.add("pg_fn_digest", "T, text", "bytea", |a| {
        bytea::digest(a.text(1)?, a.bytes(0)?)
    });
    to.add("pg_fn_hmac", "T, T, text", "bytea", |a| {
        bytea::hmac(a.text(2)?, a.bytes(1)?, a.bytes(0)?)
    });
    to.add("pg_fn_encode", "bytea, text", "text", |a| {
        bytea::encode(a.bytes(0)?, a.text(1)?)
    });
    to.add("pg_fn_decode", "text, text", "bytea", |a| {
        bytea::decode(a.text(0)?, a.text(1)?)
    });
    to.add("pg_fn_substr_bytea", "bytea, int4 [, int4]", "bytea", |a| {
        let bytes = a.bytes(0)?;
        let start = a.int(1)?;
        if a.len() > 2 && a.int(2)? < 0 {
            return Err(PgError::new("22011", "negative substring length not allowed"));
        }
        let end = if a.len() > 2 {
            start.saturating_add(a.int(2)?)
        } else {
            i64::MAX
        };
        let from = (start.max(1) - 1).min(bytes.len() as i64);
        let to = (end.max(1) - 1).clamp(from, (bytes.len() as i64).max(from));
        Ok(bytes.get(from as usize..to as usize).unwrap_or_default().to_vec())
    });
    to.add("pg_bytea_concat", "bytea, bytea", "bytea", |a| {
        Ok([a.bytes(0)?, a.bytes(1)?].concat())
    });
    to.add("pg_fn_convert_from", "bytea, text", "text", |a| {
        utf8_only(a.text(1)?)?;
        let refused = || PgError::new("22021", "invalid byte sequence for encoding \"UTF8\"");
        let decoded = std::str::from_utf8(a.bytes(0)?).map_err(|_| refused())?;
        text::check(decoded).map(str::to_owned)
    });
    to.add("pg_fn_convert_to", "text, text", "bytea", |a| {
        utf8_only(a.text(1)?)?;
        Ok(a.text(0)?.as_bytes().to_vec())
    });
}

fn utf8_only(encoding: &str) -> Result<()> {
    if matches!(encoding.to_ascii_lowercase().as_str(), "utf8" | "utf-8" | "unicode") {
        Ok(())
    } else {
        Err(PgError::new(
            "0A000",
            format!("encoding \"{encoding}\" is not available on the embedded engine"),
        ))
    }
}

fn numerics(to: &mut Registry) {
    to.add("pg_fn_round_numeric", "numeric [, int4]", "numeric", |a| {
        a.numeric(0)?.round(a.int_or(1, 0)?)
    });
    to.add("pg_fn_trunc_numeric", "numeric [, int4]", "numeric", |a| {
        Ok(a.numeric(0)?.trunc(a.int_or(1, 0)?))
    });
    to.add("pg_fn_ceil_numeric", "numeric", "numeric", |a| Ok(a.numeric(0)?.ceil()));
    to.add("pg_fn_floor_numeric", "numeric", "numeric", |a| {
        Ok(a.numeric(0)?.floor())
    });
    to.add("pg_fn_sign_numeric", "numeric", "numeric", |a| Ok(a.numeric(0)?.sign()));
    to.add("pg_fn_sqrt_numeric", "numeric", "numeric", |a| a.numeric(0)?.sqrt());
    to.add("pg_fn_power_numeric", "numeric, numeric", "numeric", |a| {
        a.numeric(0)?.power(&a.numeric(1)?)
    });
    to.add("pg_fn_div_numeric", "numeric, numeric", "numeric", |a| {
        a.numeric(0)?.div_trunc(&a.numeric(1)?)
    });
    to.add("pg_fn_scale", "numeric", "int4", |a| {
        Ok(a.numeric(0)?.scale().map(i64::from))
    });
    to.add("pg_fn_min_scale", "numeric", "int4", |a| {
        Ok(a.numeric(0)?.min_scale().map(i64::from))
    });
    to.add("pg_fn_trim_scale", "numeric", "numeric", |a| {
        Ok(a.numeric(0)?.trim_scale())
    });
    to.add("pg_fn_exp_numeric", "numeric", "numeric", |a| {
        exponential::exp(&a.numeric(0)?)
    });
    to.add("pg_fn_ln_numeric", "numeric", "numeric", |a| {
        exponential::ln(&a.numeric(0)?)
    });
    to.add("pg_fn_log_numeric", "numeric [, numeric]", "numeric", |a| {
        if a.len() > 1 {
            exponential::log(&a.numeric(0)?, &a.numeric(1)?)
        } else {
            exponential::log(&Numeric::from(10), &a.numeric(0)?)
        }
    });
    to.add("pg_fn_to_char_numeric", "numeric, text", "text", |a| {
        number_pattern::numeric(&a.numeric(0)?, a.text(1)?)
    });
    for (name, arguments, is_wide) in [("int4", "int4, text", false), ("int8", "int8, text", true)] {
        to.add(format!("pg_fn_to_char_{name}"), arguments, "text", move |a| {
            number_pattern::integer(a.int(0)?, is_wide, a.text(1)?)
        });
    }
    for (name, arguments, precision) in [
        ("float4", "float4, text", Precision::Single),
        ("float8", "float8, text", Precision::Double),
    ] {
        to.add(format!("pg_fn_to_char_{name}"), arguments, "text", move |a| {
            number_pattern::float(a.real(0)?, precision, a.text(1)?)
        });
    }
    for (width, name, arguments) in [(INT4, "int4", "int4, int4"), (INT8, "int8", "int8, int8")] {
        to.add(format!("pg_fn_gcd_{name}"), arguments, name, move |a| {
            width.gcd(a.int(0)?, a.int(1)?)
        });
        to.add(format!("pg_fn_lcm_{name}"), arguments, name, move |a| {
            width.lcm(a.int(0)?, a.int(1)?)
        });
    }
    to.add("pg_fn_factorial", "int8", "numeric", |a| {
        let n = a.int(0)?;
        if n < 0 {
            return Err(PgError::new("22003", "factorial of a negative number is undefined"));
        }
        if n > FACTORIAL_MAX {
            return Err(PgError::new("22003", "value overflows numeric format"));
        }
        (2..=n).try_fold(Numeric::from(1), |product, factor| product.mul(&Numeric::from(factor)))
    });
}

/// PostgreSQL refuses larger ones, because the result would not fit.
const FACTORIAL_MAX: i64 = 32_177;

fn domain(message: &str) -> PgError {
    PgError::new("22003", message)
}

fn logarithm(value: f64, result: fn(f64) -> f64) -> Result<f64> {
    if value == 0.0 {
        return Err(PgError::new("2201E", "cannot take logarithm of zero"));
    }
    if value < 0.0 {
        return Err(PgError::new("2201E", "cannot take logarithm of a negative number"));
    }
    float::storable(result(value))
}

fn floats(to: &mut Registry) {
    type Pure = fn(f64) -> f64;
    const PURE: [(&str, Pure); 14] = [
        ("round", f64::round_ties_even),
        ("trunc", f64::trunc),
        ("ceil", f64::ceil),
        ("floor", f64::floor),
        ("cbrt", f64::cbrt),
        ("sin", f64::sin),
        ("cos", f64::cos),
        ("tan", f64::tan),
        ("atan", f64::atan),
        ("sign", |x| if x == 0.0 { 0.0 } else { x.signum() }),
        ("cot", |x| 1.0 / x.tan()),
        ("sinh", f64::sinh),
        ("cosh", f64::cosh),
        ("tanh", f64::tanh),
    ];
    for (name, function) in PURE {
        to.add(format!("pg_fn_{name}_float8"), "float8", "float8", move |a| {
            let value = a.real(0)?;
            if value.is_infinite() && matches!(name, "sin" | "cos" | "tan" | "cot") {
                return Err(domain("input is out of range"));
            }
            float::storable(function(value))
        });
    }
    // One division and one product, as PostgreSQL rounds them.
    const DEGREE: f64 = std::f64::consts::PI / 180.0;
    to.add("pg_fn_degrees_float8", "float8", "float8", |a| {
        Precision::Double.div(a.real(0)?, DEGREE)
    });
    to.add("pg_fn_radians_float8", "float8", "float8", |a| {
        Precision::Double.mul(a.real(0)?, DEGREE)
    });
    for (name, function) in [("asin", f64::asin as Pure), ("acos", f64::acos)] {
        to.add(format!("pg_fn_{name}_float8"), "float8", "float8", move |a| {
            let value = a.real(0)?;
            if !(-1.0..=1.0).contains(&value) {
                Err(domain("input is out of range"))
            } else {
                Ok(function(value))
            }
        });
    }
    to.add("pg_fn_sqrt_float8", "float8", "float8", |a| {
        let value = a.real(0)?;
        if value < 0.0 {
            return Err(PgError::new("2201F", "cannot take square root of a negative number"));
        }
        Ok(value.sqrt())
    });
    to.add("pg_fn_exp_float8", "float8", "float8", |a| {
        let value = a.real(0)?;
        let result = value.exp();
        if value.is_finite() && result.is_infinite() {
            return Err(float::overflow());
        }
        if value.is_finite() && result == 0.0 {
            return Err(float::underflow());
        }
        Ok(result)
    });
    to.add("pg_fn_ln_float8", "float8", "float8", |a| {
        logarithm(a.real(0)?, f64::ln)
    });
    to.add("pg_fn_log_float8", "float8", "float8", |a| {
        logarithm(a.real(0)?, f64::log10)
    });
    to.add("pg_fn_power_float8", "float8, float8", "float8", |a| {
        float::power(a.real(0)?, a.real(1)?)
    });
    to.add("pg_fn_atan2_float8", "float8, float8", "float8", |a| {
        Ok(a.real(0)?.atan2(a.real(1)?))
    });
    to.add("pg_fn_pi", "", "float8", |_| Ok(std::f64::consts::PI));
}

fn extremes(to: &mut Registry) {
    type Better = fn(std::cmp::Ordering) -> bool;
    const WORDS: [(&str, Better); 2] = [
        ("greatest", std::cmp::Ordering::is_gt),
        ("least", std::cmp::Ordering::is_lt),
    ];
    type Compare = fn(&Args<'_, '_>, usize, usize) -> Result<std::cmp::Ordering>;
    const KINDS: [(&str, &str, Compare); 3] = [
        ("", "T…", |a, i, j| Ok(compare_storage(a.raw(i), a.raw(j)))),
        ("_numeric", "numeric…", |a, i, j| {
            Ok(a.numeric(i)?.compare(&a.numeric(j)?))
        }),
        ("_interval", "interval…", |a, i, j| {
            Ok(a.interval(i)?.compare(&a.interval(j)?))
        }),
    ];
    for (word, better) in WORDS {
        for (suffix, arguments, compare) in KINDS {
            to.add_lenient(format!("pg_fn_{word}{suffix}"), arguments, "T", move |a| {
                let mut best: Option<usize> = None;
                for index in 0..a.len() {
                    if a.is_null(index) {
                        continue;
                    }
                    best = match best {
                        Some(other) if !better(compare(a, index, other)?) => Some(other),
                        _ => Some(index),
                    };
                }
                best.map_or(Ok(Value::Null), |index| own(a.raw(index)))
            });
        }
    }
}

fn compare_storage(a: ValueRef<'_>, b: ValueRef<'_>) -> std::cmp::Ordering {
    use std::cmp::Ordering;
    match (a, b) {
        (ValueRef::Integer(a), ValueRef::Integer(b)) => a.cmp(&b),
        (ValueRef::Real(a), ValueRef::Real(b)) => a.partial_cmp(&b).unwrap_or(Ordering::Equal),
        (ValueRef::Integer(a), ValueRef::Real(b)) => (a as f64).partial_cmp(&b).unwrap_or(Ordering::Equal),
        (ValueRef::Real(a), ValueRef::Integer(b)) => a.partial_cmp(&(b as f64)).unwrap_or(Ordering::Equal),
        (ValueRef::Text(a), ValueRef::Text(b)) | (ValueRef::Blob(a), ValueRef::Blob(b)) => a.cmp(b),
        _ => Ordering::Equal,
    }
}

fn own(value: ValueRef<'_>) -> Result<Value> {
    Value::try_from(value).map_err(|_| PgError::internal("stored text is not UTF-8"))
}

fn times(to: &mut Registry) {
    fields(to);
    to.add(
        "pg_fn_date_trunc_timestamptz",
        "text, timestamptz",
        "timestamptz",
        |a| time::truncate(a.text(0)?, a.timestamp(1)?, FieldOf::Timestamptz).map(timestamptz_text),
    );
    to.add("pg_fn_date_trunc_timestamp", "text, timestamp", "timestamp", |a| {
        time::truncate(a.text(0)?, a.timestamp(1)?, FieldOf::Timestamp).map(timestamp_text)
    });
    to.add("pg_fn_date_trunc_interval", "text, interval", "interval", |a| {
        time::truncate_interval(a.text(0)?, &a.interval(1)?)
    });
    to.add("pg_fn_date_trunc_zone", "text, timestamptz, text", "timestamptz", |a| {
        let zone = Zone::find(a.text(2)?)?;
        let instant = a.timestamp(1)?;
        let local = instant + zone.offset_at(instant) * 1_000_000;
        let cut = time::truncate(a.text(0)?, local, FieldOf::Timestamptz)?;
        Ok(timestamptz_text(zone.instant(cut)))
    });
    for name in ["timestamp", "timestamptz"] {
        let two: &'static str = if name == "timestamp" {
            "timestamp, timestamp"
        } else {
            "timestamptz, timestamptz"
        };
        to.add(format!("pg_fn_age_{name}"), two, "interval", |a| {
            Ok(time::age(a.timestamp(0)?, a.timestamp(1)?))
        });
    }
    to.add("pg_fn_to_char_timestamp", "timestamp, text", "text", |a| {
        time_pattern::timestamp(a.timestamp(0)?, false, a.text(1)?)
    });
    to.add("pg_fn_to_char_timestamptz", "timestamptz, text", "text", |a| {
        time_pattern::timestamp(a.timestamp(0)?, true, a.text(1)?)
    });
    to.add("pg_fn_to_char_interval", "interval, text", "text", |a| {
        time_pattern::interval(&a.interval(0)?, a.text(1)?)
    });
    to.add("pg_fn_to_timestamp_float8", "float8", "timestamptz", |a| {
        time::from_epoch(a.real(0)?).map(timestamptz_text)
    });
    to.add("pg_fn_to_timestamp", "text, text", "timestamptz", |a| {
        time_pattern::instant(a.text(0)?, a.text(1)?).and_then(|at| check_timestamp(at).map(timestamptz_text))
    });
    to.add("pg_fn_to_date", "text, text", "date", |a| {
        time_pattern::date(a.text(0)?, a.text(1)?).map(date_text)
    });
    to.add("pg_fn_make_date", "int4, int4, int4", "date", |a| {
        time::make_date(a.int(0)?, a.int(1)?, a.int(2)?).map(date_text)
    });
    to.add("pg_fn_make_time", "int4, int4, float8", "time", |a| {
        time::make_time(a.int(0)?, a.int(1)?, a.real(2)?).map(time_text)
    });
    let moment =
        |a: &Args<'_, '_>| time::make_timestamp(a.int(0)?, a.int(1)?, a.int(2)?, a.int(3)?, a.int(4)?, a.real(5)?);
    to.add(
        "pg_fn_make_timestamp",
        "int4, int4, int4, int4, int4, float8",
        "timestamp",
        move |a| moment(a).map(timestamp_text),
    );
    to.add(
        "pg_fn_make_timestamptz",
        "int4, int4, int4, int4, int4, float8 [, text]",
        "timestamptz",
        move |a| {
            let local = moment(a)?;
            Ok(timestamptz_text(if a.len() > 6 {
                Zone::of_argument(a.text(6)?)?.instant(local)
            } else {
                local
            }))
        },
    );
    to.add(
        "pg_fn_make_interval",
        "int4, int4, int4, int4, int4, int4, float8",
        "interval",
        |a| {
            let parts = [a.int(0)?, a.int(1)?, a.int(2)?, a.int(3)?, a.int(4)?, a.int(5)?];
            time::make_interval(parts, a.real(6)?)
        },
    );
    to.add("pg_fn_timezone_timestamptz", "text, timestamptz", "timestamp", |a| {
        let instant = a.timestamp(1)?;
        Ok(timestamp_text(
            instant + Zone::find(a.text(0)?)?.offset_at(instant) * 1_000_000,
        ))
    });
    to.add("pg_fn_timezone_timestamp", "text, timestamp", "timestamptz", |a| {
        Ok(timestamptz_text(Zone::find(a.text(0)?)?.instant(a.timestamp(1)?)))
    });
    to.add("pg_fn_justify_days", "interval", "interval", |a| {
        a.interval(0)?.justify_days()
    });
    to.add("pg_fn_justify_hours", "interval", "interval", |a| {
        a.interval(0)?.justify_hours()
    });
    to.add("pg_fn_justify_interval", "interval", "interval", |a| {
        a.interval(0)?.justify()
    });
    to.add(
        "pg_fn_date_bin_timestamp",
        "interval, timestamp, timestamp",
        "timestamp",
        |a| time::bin(&a.interval(0)?, a.timestamp(1)?, a.timestamp(2)?).map(timestamp_text),
    );
    to.add(
        "pg_fn_date_bin_timestamptz",
        "interval, timestamptz, timestamptz",
        "timestamptz",
        |a| time::bin(&a.interval(0)?, a.timestamp(1)?, a.timestamp(2)?).map(timestamptz_text),
    );
}

fn fields(to: &mut Registry) {
    type Extract = fn(&Args<'_, '_>) -> Result<Numeric>;
    const KINDS: [(&str, &str, Extract); 5] = [
        ("date", "text, date", |a| time::extract_date(a.text(0)?, a.date(1)?)),
        ("time", "text, time", |a| time::extract_time(a.text(0)?, a.time(1)?)),
        ("timestamp", "text, timestamp", |a| {
            time::extract_timestamp(a.text(0)?, a.timestamp(1)?, FieldOf::Timestamp)
        }),
        ("timestamptz", "text, timestamptz", |a| {
            time::extract_timestamp(a.text(0)?, a.timestamp(1)?, FieldOf::Timestamptz)
        }),
        ("interval", "text, interval", |a| {
            time::extract_interval(a.text(0)?, &a.interval(1)?)
        }),
    ];
    for (name, arguments, extract) in KINDS {
        to.add(format!("pg_fn_extract_{name}"), arguments, "numeric", extract);
        if name != "date" {
            to.add(format!("pg_fn_date_part_{name}"), arguments, "float8", move |a| {
                extract(a)?.to_f64()
            });
        }
    }
    // Unlike `extract`, it takes a date for its midnight.
    to.add("pg_fn_date_part_date", "text, date", "float8", |a| {
        time::extract_timestamp(a.text(0)?, a.date(1)? * DAY_US, FieldOf::Timestamp)?.to_f64()
    });
}

fn new_value(a: &Args<'_, '_>, index: usize) -> Result<Json> {
    a.json(index)
}

fn array_length(a: &Args<'_, '_>) -> Result<i64> {
    let document = a.text(0)?;
    match json::kind(document) {
        json::Kind::Array => Ok(json::elements(document).count() as i64),
        json::Kind::Object => Err(PgError::new("22023", "cannot get array length of a non-array")),
        _ => Err(PgError::new("22023", "cannot get array length of a scalar")),
    }
}

fn documents(to: &mut Registry) {
    for name in ["json_typeof", "jsonb_typeof"] {
        to.add(format!("pg_fn_{name}"), "json(b)", "text", |a| {
            Ok(json::kind(a.text(0)?).name())
        });
    }
    for name in ["json_array_length", "jsonb_array_length"] {
        to.add(format!("pg_fn_{name}"), "json(b)", "int4", array_length);
    }
    to.add("pg_fn_jsonb_set", "jsonb, text[], jsonb [, bool]", "jsonb", |a| {
        a.json(0)?
            .set_path(&a.texts(1)?, &new_value(a, 2)?, a.int_or(3, 1)? != 0)
    });
    to.add("pg_fn_jsonb_insert", "jsonb, text[], jsonb [, bool]", "jsonb", |a| {
        a.json(0)?
            .insert_path(&a.texts(1)?, &new_value(a, 2)?, a.int_or(3, 0)? != 0)
    });
    to.add("pg_fn_jsonb_strip_nulls", "jsonb", "jsonb", |a| {
        Ok(a.json(0)?.strip_nulls())
    });
    to.add("pg_fn_json_strip_nulls", "json", "json", |a| {
        strip_json_nulls(a.text(0)?)
    });
    to.add("pg_fn_jsonb_pretty", "jsonb", "text", |a| Ok(a.json(0)?.pretty()));
    to.add("pg_json_bad_key", "json", "text", |_| -> Result<String> {
        let message = "key value must be scalar, not array, composite, or json";
        Err(PgError::new("22023", message))
    });
    to.add_lenient("pg_fn_json_build_object", "text, json…", "json", |a| {
        build_object(a, false)
    });
    to.add_lenient("pg_fn_jsonb_build_object", "text, json…", "jsonb", |a| {
        build_object(a, true)
    });
    to.add_lenient("pg_fn_json_build_array", "json…", "json", |a| {
        let parts: Result<Vec<&str>> = (0..a.len())
            .map(|index| Ok(a.text_or_null(index)?.unwrap_or("null")))
            .collect();
        Ok(format!("[{}]", parts?.join(", ")))
    });
    to.add_lenient("pg_fn_jsonb_build_array", "json…", "jsonb", |a| {
        let parts: Result<Vec<Json>> = (0..a.len())
            .map(|index| json::parse(a.text_or_null(index)?.unwrap_or("null")))
            .collect();
        Ok(Json::Array(parts?))
    });
}

/// `json` keeps its keys' order and their doubles; blanks go, strings are written anew.
fn strip_json_nulls(document: &str) -> Result<String> {
    Ok(match json::kind(document) {
        json::Kind::Object => {
            let parts: Result<Vec<String>> = json::pairs(document)
                .filter(|(_, value)| *value != "null")
                .map(|(key, value)| {
                    Ok(format!(
                        "{}:{}",
                        json::quote(&json::unescape(key)?),
                        strip_json_nulls(value)?
                    ))
                })
                .collect();
            format!("{{{}}}", parts?.join(","))
        }
        json::Kind::Array => {
            let parts: Result<Vec<String>> = json::elements(document).map(strip_json_nulls).collect();
            format!("[{}]", parts?.join(","))
        }
        json::Kind::String => json::quote(&json::unescape(document.trim())?),
        _ => document.trim().to_owned(),
    })
}

fn build_object(a: &Args<'_, '_>, canonical: bool) -> Result<String> {
    if a.len() % 2 == 1 {
        let name = if canonical {
            "jsonb_build_object()"
        } else {
            "json_build_object()"
        };
        return Err(
            PgError::new("22023", "argument list must have even number of elements").hint(format!(
                "The arguments of {name} must consist of alternating keys and values."
            )),
        );
    }
    let mut pairs = Vec::with_capacity(a.len() / 2);
    for index in (0..a.len()).step_by(2) {
        let Some(key) = a.text_or_null(index)? else {
            return Err(if canonical {
                PgError::new("22023", format!("argument {}: key must not be null", index + 1))
            } else {
                PgError::new("22023", format!("argument {} cannot be null", index + 1))
                    .hint("Object keys should be text.")
            });
        };
        pairs.push((key, a.text_or_null(index + 1)?.unwrap_or("null")));
    }
    if canonical {
        let read: Result<Vec<(String, Json)>> = pairs
            .into_iter()
            .map(|(key, value)| Ok((key.to_owned(), json::parse(value)?)))
            .collect();
        return Ok(Json::object(read?).text());
    }
    let parts: Vec<String> = pairs
        .iter()
        .map(|(key, value)| format!("{} : {value}", json::quote(key)))
        .collect();
    Ok(format!("{{{}}}", parts.join(", ")))
}

/// Errors: 22023 where the document is not what the function takes apart; each has words of its own.
fn kind_or(a: &Args<'_, '_>, wanted: json::Kind, name: &str) -> Result<()> {
    if name != "json_array_elements" {
        json::check_escapes(a.text(0)?)?;
    }
    let kind = json::kind(a.text(0)?);
    if kind == wanted {
        return Ok(());
    }
    let message = match (name, kind) {
        ("jsonb_array_elements" | "jsonb_array_elements_text", json::Kind::Object) => {
            "cannot extract elements from an object".to_owned()
        }
        ("jsonb_array_elements" | "jsonb_array_elements_text", _) => "cannot extract elements from a scalar".to_owned(),
        ("json_array_elements" | "json_array_elements_text", json::Kind::Object) => {
            format!("cannot call {name} on a non-array")
        }
        ("json_each" | "json_each_text", json::Kind::Array) => "cannot deconstruct an array as an object".to_owned(),
        ("json_each" | "json_each_text", _) => "cannot deconstruct a scalar".to_owned(),
        ("jsonb_each" | "jsonb_each_text", _) => format!("cannot call {name} on a non-object"),
        (_, json::Kind::Array) => format!("cannot call {name} on an array"),
        _ => format!("cannot call {name} on a scalar"),
    };
    Err(PgError::new("22023", message))
}

fn sets(to: &mut Registry) {
    for name in ["json_array_elements", "jsonb_array_elements"] {
        to.add(format!("pg_srf_{name}"), "json(b)", "text[]", move |a| {
            kind_or(a, json::Kind::Array, name)?;
            Ok(array::from_texts(json::elements(a.text(0)?).map(Some)))
        });
    }
    for name in ["json_array_elements_text", "jsonb_array_elements_text"] {
        to.add(format!("pg_srf_{name}"), "json(b)", "text[]", move |a| {
            kind_or(a, json::Kind::Array, name)?;
            let items: Result<Vec<Option<String>>> = json::elements(a.text(0)?).map(json::as_text).collect();
            Ok(array::from_texts(items?.iter().map(Option::as_deref)))
        });
    }
    for name in ["json_object_keys", "jsonb_object_keys"] {
        to.add(format!("pg_srf_{name}"), "json(b)", "text[]", move |a| {
            kind_or(a, json::Kind::Object, name)?;
            Ok(array::build(json::pairs(a.text(0)?).map(|(key, _)| key)))
        });
    }
    for name in ["json_each", "jsonb_each"] {
        to.add(format!("pg_srf_{name}"), "json(b)", "json", move |a| {
            kind_or(a, json::Kind::Object, name)?;
            let rows: Vec<String> = json::pairs(a.text(0)?)
                .map(|(key, value)| format!("[{key},{}]", json::quote(value)))
                .collect();
            Ok(array::build(rows.iter().map(String::as_str)))
        });
    }
    for name in ["json_each_text", "jsonb_each_text"] {
        to.add(format!("pg_srf_{name}"), "json(b)", "json", move |a| {
            kind_or(a, json::Kind::Object, name)?;
            let rows: Result<Vec<String>> = json::pairs(a.text(0)?)
                .map(|(key, value)| {
                    let value = json::as_text(value)?.map_or_else(|| "null".to_owned(), |text| json::quote(&text));
                    Ok(format!("[{key},{value}]"))
                })
                .collect();
            Ok(array::build(rows?.iter().map(String::as_str)))
        });
    }
}

fn guards(to: &mut Registry) {
    to.add_lenient("pg_raise", "text, text [, text, text]", "never", |a| -> Result<Value> {
        let mut error = PgError::new(a.text(0)?, a.text(1)?);
        error.detail = a.text_or_null(2)?.map(str::to_owned);
        error.hint = a.text_or_null(3)?.map(str::to_owned);
        Err(error)
    });
    to.add_lenient("pg_one", "int8, T", "T", |a| {
        if a.int_or(0, 0)? > 1 {
            return Err(PgError::new(
                "21000",
                "more than one row returned by a subquery used as an expression",
            ));
        }
        own(a.raw(1))
    });
    to.add(
        "pg_fn_width_bucket_numeric",
        "numeric, numeric, numeric, int4",
        "int4",
        |a| {
            let (operand, low, high, count) = (a.numeric(0)?, a.numeric(1)?, a.numeric(2)?, a.int(3)?);
            let refused = |message: &str| Err(PgError::new("2201G", message));
            if count <= 0 {
                return refused("count must be greater than zero");
            }
            if [&operand, &low, &high]
                .into_iter()
                .any(|bound| matches!(bound, Numeric::NaN))
            {
                return refused("operand, lower bound, and upper bound cannot be NaN");
            }
            if low.scale().is_none() || high.scale().is_none() {
                return refused("lower and upper bounds must be finite");
            }
            let direction = low.compare(&high);
            if direction.is_eq() {
                return refused("lower bound cannot equal upper bound");
            }
            let (x, span) = if direction.is_lt() {
                (operand.sub(&low)?, high.sub(&low)?)
            } else {
                (low.sub(&operand)?, low.sub(&high)?)
            };
            let bucket = if x.compare(&Numeric::from(0)).is_lt() {
                0
            } else if x.compare(&span).is_ge() {
                count + 1
            } else {
                // The quotient is rounded first, so that a value just below a bound may count as one above.
                let parts = x.mul(&Numeric::from(count))?.div(&span)?.floor();
                parts.to_integer("integer", 0, i64::from(i32::MAX))? + 1
            };
            INT4.check(Some(bucket))
        },
    );
    to.add(
        "pg_fn_width_bucket_float8",
        "float8, float8, float8, int4",
        "int4",
        |a| {
            let (operand, low, high, count) = (a.real(0)?, a.real(1)?, a.real(2)?, a.int(3)?);
            let refused = |message: &str| Err(PgError::new("2201G", message));
            if count <= 0 {
                return refused("count must be greater than zero");
            }
            if !low.is_finite() || !high.is_finite() {
                return refused("lower and upper bounds must be finite");
            }
            if low == high {
                return refused("lower bound cannot equal upper bound");
            }
            let (x, span) = if low < high {
                (operand - low, high - low)
            } else {
                (low - operand, low - high)
            };
            let bucket = if x < 0.0 {
                0
            } else if x >= span {
                count + 1
            } else {
                (x / span * count as f64) as i64 + 1
            };
            INT4.check(Some(bucket))
        },
    );
}

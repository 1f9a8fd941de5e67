//! Operators: `pg_<type>_<operation>`.

use std::cmp::Ordering;

use super::super::datetime::functions as time;
use super::super::datetime::interval::Interval;
use super::super::datetime::{DAY_US, date_text, time_text, timestamp_text, timestamptz_text};
use super::super::errors::{PgError, Result};
use super::super::float::{self, Precision};
use super::super::integer::{INT2, INT4, INT8};
use super::super::numeric;
use super::super::{json, like, order, regexp};
use super::{Args, Registry};

pub(super) type Comparison = (&'static str, fn(Ordering) -> bool);

pub(super) const COMPARISONS: [Comparison; 6] = [
    ("eq", Ordering::is_eq),
    ("ne", Ordering::is_ne),
    ("lt", Ordering::is_lt),
    ("le", Ordering::is_le),
    ("gt", Ordering::is_gt),
    ("ge", Ordering::is_ge),
];

pub(super) fn add(to: &mut Registry) {
    numbers(to);
    comparisons(to);
    matching(to);
    json_operators(to);
    times(to);
}

fn numbers(to: &mut Registry) {
    for (name, width) in [("int2", INT2), ("int4", INT4), ("int8", INT8)] {
        let ty: &'static str = name;
        let two: &'static str = match name {
            "int2" => "int2, int2",
            "int4" => "int4, int4",
            _ => "int8, int8",
        };
        to.add(format!("pg_{name}_add"), two, ty, move |a| {
            width.add(a.int(0)?, a.int(1)?)
        });
        to.add(format!("pg_{name}_sub"), two, ty, move |a| {
            width.sub(a.int(0)?, a.int(1)?)
        });
        to.add(format!("pg_{name}_mul"), two, ty, move |a| {
            width.mul(a.int(0)?, a.int(1)?)
        });
        to.add(format!("pg_{name}_div"), two, ty, move |a| {
            width.div(a.int(0)?, a.int(1)?)
        });
        to.add(format!("pg_{name}_mod"), two, ty, move |a| {
            width.rem(a.int(0)?, a.int(1)?)
        });
        to.add(format!("pg_{name}_neg"), ty, ty, move |a| width.neg(a.int(0)?));
        to.add(format!("pg_{name}_abs"), ty, ty, move |a| width.abs(a.int(0)?));
        to.add(format!("pg_{name}_xor"), two, ty, move |a| Ok(a.int(0)? ^ a.int(1)?));
        to.add(format!("pg_{name}_shl"), two, ty, move |a| {
            Ok(width.shl(a.int(0)?, a.int(1)?))
        });
        to.add(format!("pg_{name}_shr"), two, ty, move |a| {
            Ok(width.shr(a.int(0)?, a.int(1)?))
        });
    }
    for (name, two, precision) in [
        ("float4", "float4, float4", Precision::Single),
        ("float8", "float8, float8", Precision::Double),
    ] {
        to.add(format!("pg_{name}_add"), two, name, move |a| {
            precision.add(a.real(0)?, a.real(1)?)
        });
        to.add(format!("pg_{name}_sub"), two, name, move |a| {
            precision.sub(a.real(0)?, a.real(1)?)
        });
        to.add(format!("pg_{name}_mul"), two, name, move |a| {
            precision.mul(a.real(0)?, a.real(1)?)
        });
        to.add(format!("pg_{name}_div"), two, name, move |a| {
            precision.div(a.real(0)?, a.real(1)?)
        });
        to.add(format!("pg_{name}_neg"), name, name, |a| Ok(-a.real(0)?));
        to.add(format!("pg_{name}_abs"), name, name, |a| Ok(a.real(0)?.abs()));
    }
    to.add("pg_float8_pow", "float8, float8", "float8", |a| {
        float::power(a.real(0)?, a.real(1)?)
    });
    const TWO: &str = "numeric, numeric";
    to.add("pg_numeric_add", TWO, "numeric", |a| a.numeric(0)?.add(&a.numeric(1)?));
    to.add("pg_numeric_sub", TWO, "numeric", |a| a.numeric(0)?.sub(&a.numeric(1)?));
    to.add("pg_numeric_mul", TWO, "numeric", |a| a.numeric(0)?.mul(&a.numeric(1)?));
    to.add("pg_numeric_div", TWO, "numeric", |a| a.numeric(0)?.div(&a.numeric(1)?));
    to.add("pg_numeric_mod", TWO, "numeric", |a| a.numeric(0)?.rem(&a.numeric(1)?));
    to.add("pg_numeric_pow", TWO, "numeric", |a| {
        a.numeric(0)?.power(&a.numeric(1)?)
    });
    to.add("pg_numeric_neg", "numeric", "numeric", |a| Ok(a.numeric(0)?.neg()));
    to.add("pg_numeric_abs", "numeric", "numeric", |a| Ok(a.numeric(0)?.abs()));
}

fn compare_numerics(a: &Args<'_, '_>) -> Result<Ordering> {
    match (a.text(0), a.text(1)) {
        (Ok(x), Ok(y)) => Ok(numeric::compare_text(x, y)),
        _ => Ok(a.numeric(0)?.compare(&a.numeric(1)?)),
    }
}

fn compare_intervals(a: &Args<'_, '_>) -> Result<Ordering> {
    Ok(a.interval(0)?.compare(&a.interval(1)?))
}

fn compare_jsonb(a: &Args<'_, '_>) -> Result<Ordering> {
    Ok(order::compare_jsonb(a.text(0)?, a.text(1)?))
}

type Compare = fn(&Args<'_, '_>) -> Result<Ordering>;

fn comparisons(to: &mut Registry) {
    const KINDS: [(&str, &str, Compare); 3] = [
        ("numeric", "numeric, numeric", compare_numerics),
        ("interval", "interval, interval", compare_intervals),
        ("jsonb", "jsonb, jsonb", compare_jsonb),
    ];
    for (kind, two, compare) in KINDS {
        to.add(format!("pg_{kind}_cmp"), two, "int4", move |a| Ok(compare(a)? as i64));
        for (name, test) in COMPARISONS {
            to.add(format!("pg_{kind}_{name}"), two, "bool", move |a| Ok(test(compare(a)?)));
        }
    }
    to.add("pg_numeric_key", "numeric", "text", |a| {
        Ok(a.numeric(0)?.trim_scale().to_string())
    });
    to.add("pg_interval_key", "interval", "text", |a| {
        Ok(a.interval(0)?.length().to_string())
    });
    to.add("pg_jsonb_key", "jsonb", "text", |a| Ok(a.json(0)?.key()));
}

/// Runs `test` with the compiled pattern of argument 1, compiled once per statement where it is constant.
fn with_pattern<T>(
    a: &Args<'_, '_>,
    compile: impl Fn(&str) -> Result<regexp::Pattern>,
    test: impl Fn(&regexp::Pattern) -> Result<T>,
) -> Result<T> {
    let internal = |_| PgError::internal("cannot keep a compiled pattern");
    if let Some(pattern) = a.context.get_aux::<regexp::Pattern>(1).map_err(internal)? {
        return test(&pattern);
    }
    let pattern = compile(a.text(1)?)?;
    let pattern = a.context.set_aux(1, pattern).map_err(internal)?;
    test(&pattern)
}

fn escape(a: &Args<'_, '_>) -> Result<Option<char>> {
    if a.len() > 2 {
        like::escape_character(a.text(2)?)
    } else {
        Ok(Some('\\'))
    }
}

fn matching(to: &mut Registry) {
    to.add("pg_text_like", "text, text [, text]", "bool", |a| {
        like::like(a.text(0)?, a.text(1)?, escape(a)?)
    });
    to.add("pg_text_ilike", "text, text [, text]", "bool", |a| {
        like::ilike(a.text(0)?, a.text(1)?, escape(a)?)
    });
    to.add("pg_regex", "text, text", "bool", |a| {
        with_pattern(
            a,
            |source| regexp::Pattern::new(source, regexp::Flags::default()),
            |pattern| pattern.is_match(a.text(0)?),
        )
    });
    to.add("pg_iregex", "text, text", "bool", |a| {
        with_pattern(
            a,
            |source| {
                regexp::Pattern::new(
                    source,
                    regexp::Flags {
                        ignore_case: true,
                        ..Default::default()
                    },
                )
            },
            |pattern| pattern.is_match(a.text(0)?),
        )
    });
    to.add("pg_text_similar", "text, text [, text]", "bool", |a| {
        let escape = escape(a)?;
        with_pattern(
            a,
            |source| like::similar(source, escape),
            |pattern| pattern.is_match(a.text(0)?),
        )
    });
}

fn found<'a>(a: &'a Args<'_, '_>, scalar_is_array: bool) -> Result<Option<&'a str>> {
    let document = a.text(0)?;
    json::check_escapes(document)?;
    let Ok(index) = a.int(1) else {
        return Ok(json::field(document, a.text(1)?));
    };
    // `jsonb` keeps a scalar as an array of one, and shows it here.
    if scalar_is_array && !matches!(json::kind(document), json::Kind::Array | json::Kind::Object) {
        return Ok(if matches!(index, 0 | -1) { Some(document) } else { None });
    }
    Ok(json::element(document, index))
}

fn json_operators(to: &mut Registry) {
    for (ty, scalar_is_array) in [("json", false), ("jsonb", true)] {
        let (key, path): (&'static str, &'static str) = if scalar_is_array {
            ("jsonb, text or int4", "jsonb, text[]")
        } else {
            ("json, text or int4", "json, text[]")
        };
        to.add(format!("pg_{ty}_get"), key, ty, move |a| {
            Ok(found(a, scalar_is_array)?.map(str::to_owned))
        });
        to.add(format!("pg_{ty}_get_text"), key, "text", move |a| {
            found(a, scalar_is_array)?.map_or(Ok(None), json::as_text)
        });
        to.add(format!("pg_{ty}_path"), path, ty, |a| {
            json::check_escapes(a.text(0)?)?;
            Ok(json::path(a.text(0)?, &a.texts(1)?).map(str::to_owned))
        });
        to.add(format!("pg_{ty}_path_text"), path, "text", |a| {
            json::check_escapes(a.text(0)?)?;
            json::path(a.text(0)?, &a.texts(1)?).map_or(Ok(None), json::as_text)
        });
    }
    to.add("pg_jsonb_contains", "jsonb, jsonb", "bool", |a| {
        Ok(a.json(0)?.contains(&a.json(1)?))
    });
    to.add("pg_jsonb_contained", "jsonb, jsonb", "bool", |a| {
        Ok(a.json(1)?.contains(&a.json(0)?))
    });
    to.add("pg_jsonb_exists", "jsonb, text", "bool", |a| {
        Ok(a.json(0)?.exists(a.text(1)?))
    });
    to.add("pg_jsonb_exists_any", "jsonb, text[]", "bool", |a| {
        let document = a.json(0)?;
        Ok(a.texts(1)?.iter().flatten().any(|key| document.exists(key)))
    });
    to.add("pg_jsonb_exists_all", "jsonb, text[]", "bool", |a| {
        let document = a.json(0)?;
        Ok(a.texts(1)?.iter().flatten().all(|key| document.exists(key)))
    });
    to.add("pg_jsonb_concat", "jsonb, jsonb", "jsonb", |a| {
        Ok(a.json(0)?.concat(a.json(1)?))
    });
    to.add("pg_jsonb_delete", "jsonb, text or int4", "jsonb", |a| match a.int(1) {
        Ok(index) => a.json(0)?.delete_index(index),
        Err(_) => a.json(0)?.delete_keys(&[a.text(1)?]),
    });
    to.add("pg_jsonb_delete_keys", "jsonb, text[]", "jsonb", |a| {
        let keys = a.texts(1)?;
        let keys: Vec<&str> = keys.iter().flatten().map(String::as_str).collect();
        a.json(0)?.delete_keys(&keys)
    });
    to.add("pg_jsonb_delete_path", "jsonb, text[]", "jsonb", |a| {
        a.json(0)?.delete_path(&a.texts(1)?)
    });
}

fn times(to: &mut Registry) {
    to.add(
        "pg_timestamptz_add_interval",
        "timestamptz, interval",
        "timestamptz",
        |a| time::add_interval(a.timestamp(0)?, &a.interval(1)?).map(timestamptz_text),
    );
    to.add(
        "pg_timestamptz_sub_interval",
        "timestamptz, interval",
        "timestamptz",
        |a| time::add_interval(a.timestamp(0)?, &a.interval(1)?.neg()?).map(timestamptz_text),
    );
    to.add("pg_timestamp_add_interval", "timestamp, interval", "timestamp", |a| {
        time::add_interval(a.timestamp(0)?, &a.interval(1)?).map(timestamp_text)
    });
    to.add("pg_timestamp_sub_interval", "timestamp, interval", "timestamp", |a| {
        time::add_interval(a.timestamp(0)?, &a.interval(1)?.neg()?).map(timestamp_text)
    });
    to.add("pg_timestamptz_sub", "timestamptz, timestamptz", "interval", |a| {
        Ok(time::subtract(a.timestamp(0)?, a.timestamp(1)?))
    });
    to.add("pg_timestamp_sub", "timestamp, timestamp", "interval", |a| {
        Ok(time::subtract(a.timestamp(0)?, a.timestamp(1)?))
    });
    to.add("pg_date_add_int4", "date, int4", "date", |a| {
        time::add_days(a.date(0)?, a.int(1)?).map(date_text)
    });
    to.add("pg_date_sub_int4", "date, int4", "date", |a| {
        time::add_days(a.date(0)?, a.int(1)?.saturating_neg()).map(date_text)
    });
    to.add("pg_date_sub", "date, date", "int4", |a| Ok(a.date(0)? - a.date(1)?));
    to.add("pg_date_add_interval", "date, interval", "timestamp", |a| {
        time::add_interval(a.date(0)? * DAY_US, &a.interval(1)?).map(timestamp_text)
    });
    to.add("pg_date_sub_interval", "date, interval", "timestamp", |a| {
        time::add_interval(a.date(0)? * DAY_US, &a.interval(1)?.neg()?).map(timestamp_text)
    });
    to.add("pg_date_add_time", "date, time", "timestamp", |a| {
        Ok(timestamp_text(a.date(0)? * DAY_US + a.time(1)?))
    });
    to.add("pg_time_add_interval", "time, interval", "time", |a| {
        Ok(time_text(time::add_to_time(a.time(0)?, &a.interval(1)?)))
    });
    to.add("pg_time_sub_interval", "time, interval", "time", |a| {
        Ok(time_text(time::add_to_time(a.time(0)?, &a.interval(1)?.neg()?)))
    });
    to.add("pg_time_sub", "time, time", "interval", |a| {
        Ok(Interval {
            months: 0,
            days: 0,
            micros: a.time(0)? - a.time(1)?,
        })
    });
    to.add("pg_interval_add", "interval, interval", "interval", |a| {
        a.interval(0)?.add(&a.interval(1)?)
    });
    to.add("pg_interval_sub", "interval, interval", "interval", |a| {
        a.interval(0)?.add(&a.interval(1)?.neg()?)
    });
    to.add("pg_interval_neg", "interval", "interval", |a| a.interval(0)?.neg());
    to.add("pg_interval_mul", "interval, float8", "interval", |a| {
        a.interval(0)?.mul(a.real(1)?)
    });
    to.add("pg_interval_div", "interval, float8", "interval", |a| {
        a.interval(0)?.div(a.real(1)?)
    });
}

//! Arrays: operators, functions, and the forms in which elements travel.
//!
//! Elements that are arguments are JSON texts (`pg_to_json_T(x)`, null for NULL), as they stand in the stored array.

use std::cmp::Ordering;

use rusqlite::types::Value;

use super::super::array::{self, Order};
use super::super::cast::{self, Kind, Stored};
use super::super::errors::{PgError, Result};
use super::super::numeric::Numeric;
use super::super::{bytea, float, json, text};
use super::operators::COMPARISONS;
use super::{Args, Output as _, Registry};

/// Elements of an array that a function makes, at most; PostgreSQL's `MaxArraySize` for the smallest elements.
const ELEMENTS_MAX: i64 = 134_217_727;

pub(super) fn add(to: &mut Registry) {
    operators(to);
    elements(to);
    shapes(to);
    searches(to);
    buckets(to);
    texts(to);
    casts(to);
    sets(to);
}

/// The order that the call's last argument names, if it has `at` + 1 of them.
fn order(a: &Args<'_, '_>, at: usize) -> Result<Order> {
    Ok(a.text_or_null(at)?.map(Order::named).unwrap_or_default())
}

fn operators(to: &mut Registry) {
    to.add("pg_array_contains", "T[], T[] [, text]", "bool", |a| {
        Ok(array::contains(order(a, 2)?, a.text(0)?, a.text(1)?))
    });
    to.add("pg_array_contained", "T[], T[] [, text]", "bool", |a| {
        Ok(array::contains(order(a, 2)?, a.text(1)?, a.text(0)?))
    });
    to.add("pg_array_overlaps", "T[], T[] [, text]", "bool", |a| {
        Ok(array::overlaps(order(a, 2)?, a.text(0)?, a.text(1)?))
    });
    to.add_lenient("pg_array_concat", "T[], T[]", "T[]", |a| {
        Ok(match (a.text_or_null(0)?, a.text_or_null(1)?) {
            (Some(x), Some(y)) => Some(array::build(json::elements(x).chain(json::elements(y)))),
            (one, other) => one.or(other).map(str::to_owned),
        })
    });
    to.add_lenient("pg_array_append", "T[], json", "T[]", |a| {
        let item = a.text_or_null(1)?.unwrap_or("null");
        Ok(array::build(
            json::elements(a.text_or_null(0)?.unwrap_or("[]")).chain([item]),
        ))
    });
    to.add_lenient("pg_array_prepend", "json, T[]", "T[]", |a| {
        let item = a.text_or_null(0)?.unwrap_or("null");
        Ok(array::build(
            std::iter::once(item).chain(json::elements(a.text_or_null(1)?.unwrap_or("[]"))),
        ))
    });
    for (name, test) in COMPARISONS {
        for (word, any) in [("any", true), ("all", false)] {
            to.add_lenient(format!("pg_array_{word}_{name}_native"), "T, T[]", "bool", move |a| {
                quantified(a, any, compare_native, test)
            });
            to.add_lenient(
                format!("pg_array_{word}_{name}_numeric"),
                "numeric, numeric[]",
                "bool",
                move |a| quantified(a, any, compare_numeric, test),
            );
        }
    }
}

/// Three-valued: true or false ends the search, a null element leaves NULL.
fn quantified(
    a: &Args<'_, '_>,
    any: bool,
    compare: impl Fn(&Args<'_, '_>, &str) -> Result<Ordering>,
    test: fn(Ordering) -> bool,
) -> Result<Option<bool>> {
    let Some(elements) = a.text_or_null(1)? else {
        return Ok(None);
    };
    if a.is_null(0) {
        // Nothing to compare with decides, even for NULL.
        return Ok(json::elements(elements).next().is_none().then_some(!any));
    }
    let mut unknown = false;
    for item in json::elements(elements) {
        if item == "null" {
            unknown = true;
        } else if test(compare(a, item)?) == any {
            return Ok(Some(any));
        }
    }
    Ok(if unknown { None } else { Some(!any) })
}

fn compare_native(a: &Args<'_, '_>, item: &str) -> Result<Ordering> {
    use rusqlite::types::ValueRef;
    Ok(match (a.raw(0), json::kind(item)) {
        (ValueRef::Integer(value), json::Kind::Bool) => value.cmp(&i64::from(item == "true")),
        (ValueRef::Integer(value), _) => match item.parse::<i64>() {
            Ok(other) => value.cmp(&other),
            Err(_) => Numeric::from(value).compare(&Numeric::parse(item)?),
        },
        (ValueRef::Real(value), json::Kind::String) => value.total_cmp(&float::parse_f64(&json::unescape(item)?)?),
        (ValueRef::Real(value), _) => {
            let other = float::parse_f64(item)?;
            value.partial_cmp(&other).unwrap_or(Ordering::Equal)
        }
        (ValueRef::Text(value), json::Kind::String) => value.cmp(json::unescape(item)?.as_bytes()),
        (ValueRef::Text(value), _) => value.cmp(item.as_bytes()),
        (ValueRef::Blob(value), _) => value.cmp(bytea::parse(&json::unescape(item)?)?.as_slice()),
        (ValueRef::Null, _) => Ordering::Equal,
    })
}

fn compare_numeric(a: &Args<'_, '_>, item: &str) -> Result<Ordering> {
    let other = if json::kind(item) == json::Kind::String {
        json::unescape(item)?
    } else {
        item.to_owned()
    };
    Ok(a.numeric(0)?.compare(&Numeric::parse(&other)?))
}

fn item_at<'a>(a: &'a Args<'_, '_>) -> Result<Option<&'a str>> {
    let index = a.int(1)?;
    Ok(if index < 1 {
        None
    } else {
        json::element(a.text(0)?, index - 1)
    }
    .filter(|item| *item != "null"))
}

/// An element in SQLite's form: strings as text, integers and booleans native, floats REAL.
fn native(item: &str) -> Result<Value> {
    Ok(match json::kind(item) {
        json::Kind::Null => Value::Null,
        json::Kind::Bool => (item == "true").value(),
        json::Kind::String => json::unescape(item)?.value(),
        json::Kind::Number => match item.parse::<i64>() {
            Ok(value) => value.value(),
            Err(_) => float::parse_f64(item)?.value(),
        },
        _ => item.value(),
    })
}

fn elements(to: &mut Registry) {
    to.add("pg_array_get", "T[], int4", "T", |a| {
        item_at(a)?.map_or(Ok(Value::Null), native)
    });
    for kind in Kind::SCALARS {
        let name = kind.name();
        to.add(
            format!("pg_array_get_{name}"),
            "T[], int4",
            name,
            move |a| match item_at(a)? {
                Some(item) => array::element_value(&kind, item),
                None => Ok(None),
            },
        );
    }
    to.add("pg_array_json", "json", "json", |a| {
        array::check_json(a.text(0)?).map(str::to_owned)
    });
    to.add_lenient("pg_fn_array_build", "json…", "T[]", |a| {
        let items: Result<Vec<&str>> = (0..a.len())
            .map(|index| Ok(a.text_or_null(index)?.unwrap_or("null")))
            .collect();
        Ok(array::build(items?.into_iter()))
    });
}

fn length(a: &Args<'_, '_>) -> Result<Option<i64>> {
    let count = json::elements(a.text(0)?).count() as i64;
    Ok((a.int(1)? == 1 && count > 0).then_some(count))
}

fn shapes(to: &mut Registry) {
    to.add("pg_fn_array_length", "T[], int4", "int4", length);
    to.add("pg_fn_array_upper", "T[], int4", "int4", length);
    to.add("pg_fn_array_lower", "T[], int4", "int4", |a| {
        Ok(length(a)?.map(|_| 1_i64))
    });
    to.add("pg_fn_cardinality", "T[]", "int4", |a| {
        Ok(json::elements(a.text(0)?).count() as i64)
    });
    to.add("pg_fn_array_ndims", "T[]", "int4", |a| {
        Ok(json::elements(a.text(0)?).next().map(|_| 1_i64))
    });
    to.add("pg_fn_array_dims", "T[]", "text", |a| {
        let count = json::elements(a.text(0)?).count();
        Ok((count > 0).then(|| format!("[1:{count}]")))
    });
    to.add("pg_array_slice", "T[], int4, int4", "T[]", |a| {
        Ok(array::slice(a.text(0)?, a.int(1)?, a.int(2)?))
    });
    to.add("pg_fn_trim_array", "T[], int4", "T[]", |a| {
        let document = a.text(0)?;
        let (count, gone) = (json::elements(document).count() as i64, a.int(1)?);
        if !(0..=count).contains(&gone) {
            let message = format!("number of elements to trim must be between 0 and {count}");
            return Err(PgError::new("2202E", message));
        }
        Ok(array::slice(document, 1, count - gone))
    });
    to.add_lenient("pg_fn_array_fill", "json, int4[]", "T[]", |a| {
        let refused = |message: &str| Err(PgError::new("22004", message));
        let Some(dimensions) = a.text_or_null(1)? else {
            return refused("dimension array or low bound array cannot be null");
        };
        let lengths: Vec<&str> = json::elements(dimensions).collect();
        let item = a.text_or_null(0)?.unwrap_or("null");
        match lengths.as_slice() {
            [] => Ok(array::build(std::iter::empty())),
            lengths if lengths.contains(&"null") => refused("dimension values cannot be null"),
            [only] => {
                let length: i64 = only.parse().map_err(|_| PgError::internal("a length that is none"))?;
                if !(0..=ELEMENTS_MAX).contains(&length) {
                    let message = format!("array size exceeds the maximum allowed ({ELEMENTS_MAX})");
                    return Err(PgError::new("54000", message));
                }
                Ok(array::build(std::iter::repeat_n(item, length as usize)))
            }
            _ => Err(PgError::new(
                "0A000",
                "not available on the embedded engine: arrays of more dimensions",
            )
            .hint("Use jsonb, or PostgreSQL.")),
        }
    });
}

/// The first place from `start` on, from 1, at which the wanted element stands.
fn position(document: &str, wanted: &str, start: i64, order: Order) -> Option<i64> {
    let skipped = usize::try_from(start - 1).unwrap_or(0);
    json::elements(document)
        .enumerate()
        .skip(skipped)
        .find(|(_, item)| array::same(order, item, wanted))
        .map(|(at, _)| at as i64 + 1)
}

fn searches(to: &mut Registry) {
    to.add_lenient("pg_fn_array_position", "T[], json [, text]", "int4", |a| {
        let Some(document) = a.text_or_null(0)? else {
            return Ok(None);
        };
        Ok(position(
            document,
            a.text_or_null(1)?.unwrap_or("null"),
            1,
            order(a, 2)?,
        ))
    });
    to.add_lenient("pg_fn_array_position_from", "T[], json, int4 [, text]", "int4", |a| {
        let Some(document) = a.text_or_null(0)? else {
            return Ok(None);
        };
        if a.is_null(2) {
            return Err(PgError::new("22004", "initial position must not be null"));
        }
        let wanted = a.text_or_null(1)?.unwrap_or("null");
        Ok(position(document, wanted, a.int(2)?, order(a, 3)?))
    });
    to.add_lenient("pg_fn_array_positions", "T[], json [, text]", "int4[]", |a| {
        let Some(document) = a.text_or_null(0)? else {
            return Ok(None);
        };
        let (wanted, order) = (a.text_or_null(1)?.unwrap_or("null"), order(a, 2)?);
        let places: Vec<String> = json::elements(document)
            .enumerate()
            .filter(|(_, item)| array::same(order, item, wanted))
            .map(|(at, _)| (at + 1).to_string())
            .collect();
        Ok(Some(array::build(places.iter().map(String::as_str))))
    });
    to.add_lenient("pg_fn_array_remove", "T[], json [, text]", "T[]", |a| {
        let Some(document) = a.text_or_null(0)? else {
            return Ok(None);
        };
        let (gone, order) = (a.text_or_null(1)?.unwrap_or("null"), order(a, 2)?);
        Ok(Some(array::build(
            json::elements(document).filter(|item| !array::same(order, item, gone)),
        )))
    });
    to.add_lenient("pg_fn_array_replace", "T[], json, json [, text]", "T[]", |a| {
        let Some(document) = a.text_or_null(0)? else {
            return Ok(None);
        };
        let (old, new) = (
            a.text_or_null(1)?.unwrap_or("null"),
            a.text_or_null(2)?.unwrap_or("null"),
        );
        let order = order(a, 3)?;
        Ok(Some(array::build(
            json::elements(document).map(|item| if array::same(order, item, old) { new } else { item }),
        )))
    });
}

fn buckets(to: &mut Registry) {
    to.add("pg_fn_width_bucket_array", "json, T[] [, text]", "int4", |a| {
        let (operand, order) = (a.text(0)?, order(a, 2)?);
        let bounds: Vec<&str> = json::elements(a.text(1)?).collect();
        if bounds.contains(&"null") {
            return Err(PgError::new("22004", "thresholds array must not contain NULLs"));
        }
        Ok(bounds.partition_point(|bound| order.compare(bound, operand).is_le()) as i64)
    });
}

fn texts(to: &mut Registry) {
    for name in ["pg_fn_string_to_array", "pg_srf_string_to_table"] {
        to.add_lenient(name, "text, text [, text]", "text[]", |a| {
            let Some(source) = a.text_or_null(0)? else {
                return Ok(None);
            };
            Ok(Some(array::string_to_array(
                source,
                a.text_or_null(1)?,
                a.text_or_null(2)?,
            )))
        });
    }
    to.add_lenient("pg_fn_array_to_string", "text[], text [, text]", "text", |a| {
        let (Some(document), Some(delimiter)) = (a.text_or_null(0)?, a.text_or_null(1)?) else {
            return Ok(None);
        };
        let null_text = a.text_or_null(2)?;
        let items = array::texts(document)?;
        Ok(Some(text::concat_ws(
            delimiter,
            items.iter().map(|item| item.as_deref().or(null_text)),
        )))
    });
}

fn kind_at(a: &Args<'_, '_>, at: usize) -> Result<Kind> {
    let name = a.text(at)?;
    Kind::named(name).ok_or_else(|| PgError::internal(format!("no kind is called {name}")))
}

fn casts(to: &mut Registry) {
    to.add("pg_array_texts", "T[], text", "text[]", |a| {
        let kind = kind_at(a, 1)?;
        array::map(&kind, a.text(0)?, &Kind::Text, |value| {
            cast::output(&kind, value.as_ref()).map(Stored::Text)
        })
    });
    to.add("pg_array_cast", "T[], text, text", "U[]", |a| {
        let (from, into) = (kind_at(a, 1)?, kind_at(a, 2)?);
        array::map(&from, a.text(0)?, &into, |value| cast::convert(&from, &into, value))
    });
    to.add("pg_typmod_array_numeric", "numeric[], int4, int4", "numeric[]", |a| {
        array::map(&Kind::Numeric, a.text(0)?, &Kind::Numeric, |value| match value {
            Stored::Text(value) => Ok(Stored::Text(
                Numeric::parse(&value)?
                    .apply_modifier(a.int(1)?, a.int(2)?)?
                    .to_string(),
            )),
            other => Ok(other),
        })
    });
    for (name, cuts) in [("pg_typmod_array_varchar", false), ("pg_trunc_array_varchar", true)] {
        to.add(name, "text[], int4", "text[]", move |a| {
            let length = a.int(1)?;
            array::map(&Kind::Text, a.text(0)?, &Kind::Text, |value| match value {
                Stored::Text(value) if cuts => Ok(Stored::Text(text::truncate(&value, length).to_owned())),
                Stored::Text(value) => Ok(Stored::Text(text::assign_varchar(&value, length)?.to_owned())),
                other => Ok(other),
            })
        });
    }
    for kind in [Kind::Time, Kind::Timestamp, Kind::Timestamptz, Kind::Interval] {
        to.add(
            format!("pg_typmod_array_{}", kind.name()),
            "T[], int4",
            "T[]",
            move |a| {
                let digits = a.int(1)?;
                array::map(&kind, a.text(0)?, &kind, |value| match value {
                    Stored::Text(value) => cast::round_text(&kind, &value, digits).map(Stored::Text),
                    other => Ok(other),
                })
            },
        );
    }
    to.add("pg_array_enum", "text[], text, text[]", "text[]", |a| {
        let (name, labels) = (a.text(1)?, a.texts(2)?);
        for item in a.texts(0)?.into_iter().flatten() {
            if !labels.iter().flatten().any(|label| *label == item) {
                let message = format!("invalid input value for enum {name}: \"{item}\"");
                return Err(PgError::new("22P02", message));
            }
        }
        Ok(a.text(0)?.to_owned())
    });
}

/// An element as `json_each` is to give it.
fn row_value<'a>(kind: &Kind, item: &'a str) -> std::borrow::Cow<'a, str> {
    match kind {
        _ if item == "null" => item.into(),
        // Digits stay as they are; documents are texts.
        Kind::Numeric if json::kind(item) == json::Kind::Number => format!("\"{item}\"").into(),
        Kind::Json | Kind::Jsonb => json::quote(item).into(),
        // Beyond the largest number; JSON has no other word for it.
        Kind::Float4 | Kind::Float8 if item == "\"Infinity\"" => "9e999".into(),
        Kind::Float4 | Kind::Float8 if item == "\"-Infinity\"" => "-9e999".into(),
        // As hexadecimal digits.
        Kind::Bytea => item.replacen("\\\\x", "", 1).into(),
        _ => item.into(),
    }
}

fn sets(to: &mut Registry) {
    to.add("pg_srf_unnest", "T[], text", "T[]", |a| {
        let kind = kind_at(a, 1)?;
        let items: Vec<_> = json::elements(a.text(0)?).map(|item| row_value(&kind, item)).collect();
        Ok(array::build(items.iter().map(AsRef::as_ref)))
    });
    to.add_lenient("pg_srf_unnest_many", "text, T[]…", "json", |a| {
        let mut columns: Vec<Vec<std::borrow::Cow<'_, str>>> = Vec::new();
        for at in (0..a.len()).step_by(2) {
            let kind = kind_at(a, at)?;
            let items = json::elements(a.text_or_null(at + 1)?.unwrap_or("[]"));
            columns.push(items.map(|item| row_value(&kind, item)).collect());
        }
        let length = columns.iter().map(Vec::len).max().unwrap_or_default();
        let rows: Vec<String> = (0..length)
            .map(|row| {
                let cells = columns
                    .iter()
                    .map(|column| column.get(row).map_or("null", AsRef::as_ref));
                array::build(cells)
            })
            .collect();
        Ok(array::build(rows.iter().map(String::as_str)))
    });
    to.add("pg_srf_subscripts", "T[], int4 [, bool]", "int4[]", |a| {
        let count = length(a)?.unwrap_or(0);
        let reverse = a.len() > 2 && a.bool(2)?;
        let places: Vec<String> = if reverse {
            (1..=count).rev().map(|at| at.to_string()).collect()
        } else {
            (1..=count).map(|at| at.to_string()).collect()
        };
        Ok(array::build(places.iter().map(String::as_str)))
    });
}

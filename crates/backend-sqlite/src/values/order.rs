//! Collations: orders that SQLite's byte order does not give.
//!
//! Source: portability study, §3; they stand in index definitions and compiled queries, never in columns.

use std::cmp::Ordering;
use std::collections::HashMap;

use rusqlite::Connection;

use super::datetime::interval::Interval;
use super::{array, json, numeric, text};

/// Registers `pg_numeric`, `pg_interval`, `pg_jsonb` and the orders of arrays.
pub fn register(conn: &Connection) -> rusqlite::Result<()> {
    conn.create_collation("pg_numeric", numeric::compare_text)?;
    conn.create_collation("pg_interval", compare_intervals)?;
    conn.create_collation("pg_jsonb", compare_jsonb)?;
    conn.create_collation("pg_citext", compare_citext)?;
    for (name, order) in [
        ("pg_array", array::Order::Plain),
        ("pg_array_interval", array::Order::Interval),
        ("pg_array_jsonb", array::Order::Jsonb),
    ] {
        conn.create_collation(name, move |a: &str, b: &str| array::compare(order, a, b))?;
    }
    Ok(())
}

/// Registers (or replaces) the collation `name` that orders an enum's labels as declared, and that of its arrays.
pub fn register_enum(conn: &Connection, name: &str, labels: &[String]) -> rusqlite::Result<()> {
    let places: HashMap<String, usize> = labels
        .iter()
        .enumerate()
        .map(|(place, label)| (label.clone(), place))
        .collect();
    let compare = move |a: &str, b: &str| match (places.get(a), places.get(b)) {
        (Some(a), Some(b)) => a.cmp(b),
        // No label: after all labels, in byte order, so that the order stays total.
        (Some(_), None) => Ordering::Less,
        (None, Some(_)) => Ordering::Greater,
        (None, None) => a.cmp(b),
    };
    let labels = std::sync::Arc::new(compare);
    let elements = std::sync::Arc::clone(&labels);
    conn.create_collation(name, move |a: &str, b: &str| labels(a, b))?;
    let mut of_arrays = name.to_owned();
    of_arrays.push_str(ENUM_ARRAY_SUFFIX);
    conn.create_collation(of_arrays.as_str(), move |a: &str, b: &str| {
        array::compare_by(a, b, |a, b| elements(&array::plain(a), &array::plain(b)))
    })
}

/// What follows an enum's collation in the name of that of its arrays.
pub const ENUM_ARRAY_SUFFIX: &str = "[]";

/// Intervals by length, a month being 30 days. Texts that are none sort by bytes, behind.
pub fn compare_intervals(a: &str, b: &str) -> Ordering {
    match (Interval::parse(a), Interval::parse(b)) {
        (Ok(a), Ok(b)) => a.compare(&b),
        (Ok(_), Err(_)) => Ordering::Less,
        (Err(_), Ok(_)) => Ordering::Greater,
        (Err(_), Err(_)) => a.cmp(b),
    }
}

/// Texts as if all letters were small.
fn compare_citext(a: &str, b: &str) -> Ordering {
    if a == b {
        return Ordering::Equal;
    }
    text::lower(a).as_bytes().cmp(text::lower(b).as_bytes())
}

/// Stored `jsonb` texts in the type's order.
pub fn compare_jsonb(a: &str, b: &str) -> Ordering {
    if a == b {
        return Ordering::Equal;
    }
    match (json::parse(a), json::parse(b)) {
        (Ok(a), Ok(b)) => a.compare(&b),
        (Ok(_), Err(_)) => Ordering::Less,
        (Err(_), Ok(_)) => Ordering::Greater,
        (Err(_), Err(_)) => a.cmp(b),
    }
}

//! The registered functions that are not values' business: what differs at every call, and generated series.
//!
//! Not here: `now()` and its kin, which are bound (`context`).

use mainstay_core::clock;
use mainstay_sql::analyse::kinds::Arg;
use rusqlite::Connection;
use rusqlite::functions::{Context, FunctionFlags};
use rusqlite::types::ValueRef;

use crate::values::datetime::interval::Interval;
use crate::values::errors::PgError;
use crate::values::numeric::Numeric;
use crate::values::{datetime, json};

/// Elements of one generated series, at most: it is made as a whole.
const SERIES_ELEMENTS_MAX: usize = 5_000_000;

/// Registers `ms_random`, `ms_random_uuid`, `ms_clock` and `ms_series_{int8,numeric,timestamp,timestamptz}`.
pub fn register(conn: &Connection) -> rusqlite::Result<()> {
    let volatile = FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_INNOCUOUS;
    conn.create_scalar_function("ms_random_uuid", 0, volatile, |_| Ok(uuid::Uuid::new_v4().to_string()))?;
    conn.create_scalar_function("ms_random", 0, volatile, |_| {
        // 53 random bits are as many as a double holds below one.
        let bits = uuid::Uuid::new_v4().as_u128() as u64 >> 11;
        Ok(bits as f64 / (1_u64 << 53) as f64)
    })?;
    conn.create_scalar_function("ms_clock", 0, volatile, |_| {
        Ok(datetime::timestamptz_text(clock::now().as_microsecond()))
    })?;
    let pure = volatile | FunctionFlags::SQLITE_DETERMINISTIC;
    for arity in [2, 3] {
        conn.create_scalar_function("ms_series_int8", arity, pure, |context| strict(context, int8_series))?;
        conn.create_scalar_function("ms_series_numeric", arity, pure, |context| {
            strict(context, numeric_series)
        })?;
    }
    for name in ["ms_series_timestamp", "ms_series_timestamptz"] {
        let zoned = name.ends_with("tz");
        conn.create_scalar_function(name, 3, pure, move |context| {
            strict(context, |context| timestamp_series(context, zoned))
        })?;
    }
    Ok(())
}

/// The registered name for a series of the type; each gives a JSON array.
pub fn series(element: &Arg) -> Option<&'static str> {
    Some(match element {
        Arg::Int2 | Arg::Int4 | Arg::Int8 => "ms_series_int8",
        Arg::Numeric => "ms_series_numeric",
        Arg::Timestamp => "ms_series_timestamp",
        Arg::Timestamptz => "ms_series_timestamptz",
        _ => return None,
    })
}

fn strict(
    context: &Context<'_>,
    call: impl Fn(&Context<'_>) -> rusqlite::Result<String>,
) -> rusqlite::Result<Option<String>> {
    if (0..context.len()).any(|index| context.get_raw(index) == ValueRef::Null) {
        // A null bound gives no rows.
        return Ok(Some("[]".to_owned()));
    }
    call(context).map(Some)
}

fn zero_step() -> PgError {
    PgError::new("22023", "step size cannot equal zero")
}

fn too_long() -> PgError {
    PgError::new("54000", "a generated series is longer than the embedded engine allows").hint("Generate it in parts.")
}

fn int8_series(context: &Context<'_>) -> rusqlite::Result<String> {
    let (mut at, end): (i64, i64) = (context.get(0)?, context.get(1)?);
    let step: i64 = if context.len() > 2 { context.get(2)? } else { 1 };
    if step == 0 {
        return Err(zero_step().into());
    }
    let mut out = vec![b'['];
    let mut elements = 0;
    while if step > 0 { at <= end } else { at >= end } {
        elements += 1;
        if elements > SERIES_ELEMENTS_MAX {
            return Err(too_long().into());
        }
        if out.len() > 1 {
            out.push(b',');
        }
        crate::values::cast::write_integer(at, &mut out);
        let Some(next) = at.checked_add(step) else { break };
        at = next;
    }
    out.push(b']');
    Ok(String::from_utf8(out).unwrap_or_default())
}

fn number(context: &Context<'_>, index: usize) -> rusqlite::Result<Numeric> {
    let text = match context.get_raw(index) {
        ValueRef::Integer(value) => value.to_string(),
        other => other.as_str()?.to_owned(),
    };
    Ok(Numeric::parse(&text)?)
}

fn finite(value: &Numeric, what: &str) -> crate::values::errors::Result<()> {
    match value {
        Numeric::Finite(_) => Ok(()),
        Numeric::NaN => Err(PgError::new("22023", format!("{what} cannot be NaN"))),
        _ => Err(PgError::new("22023", format!("{what} cannot be infinity"))),
    }
}

fn numeric_series(context: &Context<'_>) -> rusqlite::Result<String> {
    let (mut at, end) = (number(context, 0)?, number(context, 1)?);
    finite(&at, "start value")?;
    finite(&end, "stop value")?;
    let step = if context.len() > 2 {
        number(context, 2)?
    } else {
        Numeric::parse("1")?
    };
    finite(&step, "step size")?;
    let zero = Numeric::parse("0")?;
    let direction = step.compare(&zero);
    if direction.is_eq() {
        return Err(zero_step().into());
    }
    let mut items = Vec::new();
    while if direction.is_gt() {
        at.compare(&end).is_le()
    } else {
        at.compare(&end).is_ge()
    } {
        if items.len() == SERIES_ELEMENTS_MAX {
            return Err(too_long().into());
        }
        items.push(json::quote(&at.to_string()));
        // What does not fit the format is behind the end, which does.
        let Ok(next) = at.add(&step) else { break };
        at = next;
    }
    Ok(array(&items))
}

fn timestamp_series(context: &Context<'_>, zoned: bool) -> rusqlite::Result<String> {
    let mut at = datetime::read_timestamp(context.get_raw(0).as_str()?)?;
    let end = datetime::read_timestamp(context.get_raw(1).as_str()?)?;
    let step = Interval::parse(context.get_raw(2).as_str()?)?;
    let direction = step.compare(&Interval::parse("0")?);
    if direction.is_eq() {
        return Err(zero_step().into());
    }
    let mut items = Vec::new();
    while if direction.is_gt() { at <= end } else { at >= end } {
        if items.len() == SERIES_ELEMENTS_MAX {
            return Err(too_long().into());
        }
        let text = if zoned {
            datetime::timestamptz_text(at)
        } else {
            datetime::timestamp_text(at)
        };
        items.push(json::quote(&text));
        at = datetime::functions::add_interval(at, &step)?;
    }
    Ok(array(&items))
}

fn array(items: &[String]) -> String {
    let mut out = String::with_capacity(items.iter().map(|item| item.len() + 1).sum::<usize>() + 2);
    out.push('[');
    out.push_str(&items.join(","));
    out.push(']');
    out
}

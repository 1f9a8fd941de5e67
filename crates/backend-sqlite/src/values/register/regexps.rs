//! Regular expressions from a place on, by number of match: `regexp_substr` and its kin; spans of time that overlap.
//!
//! Source: PostgreSQL 15 manual, 9.7.3 and 9.9.

use super::super::datetime::functions as time;
use super::super::errors::{PgError, Result};
use super::super::regexp::{self, Groups};
use super::library::compile;
use super::{Args, Registry};

pub(super) fn add(to: &mut Registry) {
    to.add("pg_fn_regexp_count", "text, text [, int4, text]", "int4", |a| {
        let (pattern, flags) = compile(a, 3)?;
        no_global(flags, "regexp_count")?;
        let source = a.text(0)?;
        Ok(pattern.all_from(source, start(a, 2)?)?.len() as i64)
    });
    to.add("pg_fn_regexp_like", "text, text, text", "bool", |a| {
        let (pattern, flags) = compile(a, 2)?;
        no_global(flags, "regexp_like")?;
        pattern.is_match(a.text(0)?)
    });
    to.add(
        "pg_fn_regexp_replace_at",
        "text, text, text, int4 [, int4, text]",
        "text",
        |a| {
            let (pattern, _) = compile(a, 5)?;
            let source = a.text(0)?;
            let number = a.int_or(4, 1)?;
            if number < 0 {
                return Err(invalid("n", number));
            }
            let mut found = pattern.all_from(source, start(a, 3)?)?;
            if number > 0 {
                found = found.into_iter().skip(number as usize - 1).take(1).collect();
            }
            Ok(regexp::replaced(source, a.text(2)?, found))
        },
    );
    to.add(
        "pg_fn_regexp_substr",
        "text, text [, int4, int4, text, int4]",
        "text",
        |a| {
            let (pattern, flags) = compile(a, 4)?;
            no_global(flags, "regexp_substr")?;
            let source = a.text(0)?;
            let found = nth(a, &pattern, 2, 3)?;
            let part = subexpression(a, 5)?;
            Ok(group(found.as_ref(), part).map(|(start, end)| source[start..end].to_owned()))
        },
    );
    to.add(
        "pg_fn_regexp_instr",
        "text, text [, int4, int4, int4, text, int4]",
        "int4",
        |a| {
            let (pattern, flags) = compile(a, 5)?;
            no_global(flags, "regexp_instr")?;
            let source = a.text(0)?;
            let found = nth(a, &pattern, 2, 3)?;
            let end_option = a.int_or(4, 0)?;
            if !(0..=1).contains(&end_option) {
                return Err(invalid("endoption", end_option));
            }
            let part = subexpression(a, 6)?;
            Ok(group(found.as_ref(), part).map_or(0, |(start, end)| {
                let at = if end_option == 1 { end } else { start };
                source[..at].chars().count() as i64 + 1
            }))
        },
    );
    to.add_lenient("pg_fn_num_nulls", "T…", "int4", |a| Ok(nulls(a)));
    to.add_lenient("pg_fn_num_nonnulls", "T…", "int4", |a| Ok(a.len() as i64 - nulls(a)));
    to.add("pg_fn_isfinite", "T", "bool", |_| Ok(true));
    to.add_lenient("pg_fn_overlaps", "T, T, T, T", "bool", |a| {
        // The stored texts sort as the times do.
        let at = |index| a.text_or_null(index);
        Ok(overlaps((at(0)?, at(1)?), (at(2)?, at(3)?)))
    });
    to.add_lenient("pg_fn_overlaps_spans", "T, T, T, T", "bool", |a| {
        Ok(overlaps((instant(a, 0)?, end(a, 0)?), (instant(a, 2)?, end(a, 2)?)))
    });
    for (name, first, last) in [
        ("pg_fn_overlaps_time_spans", true, true),
        ("pg_fn_overlaps_time_span_first", true, false),
        ("pg_fn_overlaps_time_span_last", false, true),
    ] {
        to.add_lenient(name, "time, T, time, T", "bool", move |a| {
            Ok(overlaps(
                (time_of_day(a, 0)?, end_of_day(a, 0, first)?),
                (time_of_day(a, 2)?, end_of_day(a, 2, last)?),
            ))
        });
    }
}

fn invalid(name: &str, value: i64) -> PgError {
    PgError::new("22023", format!("invalid value for parameter \"{name}\": {value}"))
}

fn no_global(flags: regexp::Flags, function: &str) -> Result<()> {
    if flags.global {
        let message = format!("{function}() does not support the \"global\" option");
        return Err(PgError::new("22023", message));
    }
    Ok(())
}

/// The byte at which the search begins; the argument counts characters from 1.
fn start(a: &Args<'_, '_>, at: usize) -> Result<usize> {
    let start = a.int_or(at, 1)?;
    if start < 1 {
        return Err(invalid("start", start));
    }
    let source = a.text(0)?;
    let behind = source.chars().count() as i64 + 1;
    Ok(source
        .char_indices()
        .nth(start as usize - 1)
        // Past the end nothing matches, not even nothing.
        .map_or(source.len() + usize::from(start > behind), |(byte, _)| byte))
}

fn nth(a: &Args<'_, '_>, pattern: &regexp::Pattern, start_at: usize, number_at: usize) -> Result<Option<Groups>> {
    let from = start(a, start_at)?;
    let number = a.int_or(number_at, 1)?;
    if number < 1 {
        return Err(invalid("n", number));
    }
    Ok(pattern.all_from(a.text(0)?, from)?.into_iter().nth(number as usize - 1))
}

fn subexpression(a: &Args<'_, '_>, at: usize) -> Result<usize> {
    let part = a.int_or(at, 0)?;
    usize::try_from(part).map_err(|_| invalid("subexpr", part))
}

fn group(found: Option<&Groups>, part: usize) -> Option<(usize, usize)> {
    found?.get(part).copied().flatten()
}

fn nulls(a: &Args<'_, '_>) -> i64 {
    (0..a.len()).filter(|index| a.is_null(*index)).count() as i64
}

fn instant(a: &Args<'_, '_>, at: usize) -> Result<Option<i64>> {
    if a.is_null(at) {
        Ok(None)
    } else {
        a.timestamp(at).map(Some)
    }
}

fn time_of_day(a: &Args<'_, '_>, at: usize) -> Result<Option<i64>> {
    if a.is_null(at) { Ok(None) } else { a.time(at).map(Some) }
}

/// The end of the span of the day that begins at argument `at`; a length may go past midnight.
fn end_of_day(a: &Args<'_, '_>, at: usize, is_length: bool) -> Result<Option<i64>> {
    if !is_length {
        return time_of_day(a, at + 1);
    }
    Ok(match time_of_day(a, at)? {
        Some(start) if !a.is_null(at + 1) => Some(time::add_to_time(start, &a.interval(at + 1)?)),
        _ => None,
    })
}

/// The end of the span that begins at argument `at`: an instant, or a length from there.
fn end(a: &Args<'_, '_>, at: usize) -> Result<Option<i64>> {
    match (instant(a, at)?, a.text_or_null(at + 1)?) {
        (_, None) => Ok(None),
        (start, Some(_)) => match (a.timestamp(at + 1), start) {
            (Ok(end), _) => Ok(Some(end)),
            (Err(_), Some(start)) => time::add_interval(start, &a.interval(at + 1)?).map(Some),
            (Err(_), None) => Ok(None),
        },
    }
}

/// OVERLAPS as the standard has it: half-open spans, an end and a start may change places, nulls may leave it open.
fn overlaps<T: PartialOrd + Copy>(first: (Option<T>, Option<T>), second: (Option<T>, Option<T>)) -> Option<bool> {
    let ordered = |(start, end): (Option<T>, Option<T>)| match (start, end) {
        (None, end) => end.map(|end| (end, None)),
        (Some(start), Some(end)) if start > end => Some((end, Some(start))),
        (Some(start), end) => Some((start, end)),
    };
    let ((start_1, end_1), (start_2, end_2)) = (ordered(first)?, ordered(second)?);
    if start_1 > start_2 {
        if start_1 < end_2? {
            return Some(true);
        }
        end_1.map(|_| false)
    } else if start_1 < start_2 {
        if start_2 < end_1? {
            return Some(true);
        }
        end_2.map(|_| false)
    } else {
        end_1.and(end_2).map(|_| true)
    }
}

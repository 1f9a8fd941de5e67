//! `to_char` of times, and `to_date` / `to_timestamp` with a pattern.
//!
//! The listed patterns are taken; a letter that begins none of them is copied as PostgreSQL does, and patterns that
//! PostgreSQL knows but this list lacks are refused (0A000).
//!
//! Source: PostgreSQL manual, 9.8.

use super::super::errors::{PgError, Result};
use super::functions::{iso_week, weekday, year_day};
use super::interval::Interval;
use super::{DAY_US, Day, HOUR_US, MINUTE_US, SECOND_US};

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
const DAYS: [&str; 7] = [
    "Sunday",
    "Monday",
    "Tuesday",
    "Wednesday",
    "Thursday",
    "Friday",
    "Saturday",
];

/// Longest first where one begins another.
const PATTERNS: &[&str] = &[
    "A.D.", "A.M.", "AD", "AM", "B.C.", "BC", "CC", "DAY", "DDD", "DD", "DY", "Day", "Dy", "D", "FF1", "FF2", "FF3",
    "FF4", "FF5", "FF6", "FM", "FX", "HH24", "HH12", "HH", "IDDD", "ID", "IW", "IYYY", "IYY", "IY", "I", "J", "MI",
    "MM", "MONTH", "MON", "MS", "Month", "Mon", "OF", "P.M.", "PM", "Q", "RM", "SSSSS", "SSSS", "SS", "SP", "TZH",
    "TZM", "TZ", "TH", "TM", "US", "WW", "W", "Y,YYY", "YYYY", "YYY", "YY", "Y", "a.d.", "a.m.", "ad", "am", "b.c.",
    "bc", "cc", "day", "ddd", "dd", "dy", "d", "ff1", "ff2", "ff3", "ff4", "ff5", "ff6", "fm", "fx", "hh24", "hh12",
    "hh", "iddd", "id", "iw", "iyyy", "iyy", "iy", "i", "j", "mi", "mm", "month", "mon", "ms", "of", "p.m.", "pm", "q",
    "rm", "sssss", "ssss", "ss", "sp", "tzh", "tzm", "tz", "th", "tm", "us", "ww", "w", "y,yyy", "yyyy", "yyy", "yy",
    "y",
];

/// One piece of a pattern.
enum Piece<'a> {
    Field {
        name: &'static str,
        fill: bool,
        suffix: &'a str,
    },
    Text(String),
}

fn pieces(pattern: &str) -> Vec<Piece<'_>> {
    let mut out = Vec::new();
    let mut rest = pattern;
    let mut fill = false;
    while let Some(c) = rest.chars().next() {
        if c == '"' {
            let mut text = String::new();
            let mut chars = rest[1..].chars();
            while let Some(c) = chars.next() {
                match c {
                    '"' => break,
                    '\\' => text.extend(chars.next()),
                    c => text.push(c),
                }
            }
            out.push(Piece::Text(text));
            rest = chars.as_str();
            continue;
        }
        if let Some(after) = rest.strip_prefix("\\\"") {
            out.push(Piece::Text("\"".to_owned()));
            rest = after;
            continue;
        }
        match PATTERNS.iter().find(|name| rest.starts_with(**name)) {
            Some(&("FM" | "fm")) => {
                fill = true;
                rest = &rest[2..];
            }
            Some(&("FX" | "fx" | "TM" | "tm")) => rest = &rest[2..],
            Some(name) if !matches!(*name, "TH" | "th" | "SP" | "sp") => {
                rest = &rest[name.len()..];
                let suffix = if rest.starts_with("TH") || rest.starts_with("th") {
                    &rest[..2]
                } else {
                    ""
                };
                rest = &rest[suffix.len()..];
                out.push(Piece::Field { name, fill, suffix });
                fill = false;
            }
            _ => {
                out.push(Piece::Text(c.to_string()));
                rest = &rest[c.len_utf8()..];
            }
        }
    }
    out
}

/// What is formatted: a point in time or a span.
struct Moment {
    year: i64,
    month: i64,
    day: i64,
    /// Days since 1970-01-01; `None` for a span.
    days: Option<i64>,
    hour: i64,
    minute: i64,
    second: i64,
    micros: i64,
    has_zone: bool,
}

/// `to_char(timestamp)`; `has_zone` for instants. Errors: 0A000.
pub fn timestamp(micros: i64, has_zone: bool, pattern: &str) -> Result<String> {
    let days = micros.div_euclid(DAY_US);
    let time = micros.rem_euclid(DAY_US);
    let day = Day::from_number(days);
    format(
        &Moment {
            year: day.year,
            month: day.month,
            day: day.day,
            days: Some(days),
            hour: time / HOUR_US,
            minute: time / MINUTE_US % 60,
            second: time / SECOND_US % 60,
            micros: time % SECOND_US,
            has_zone,
        },
        pattern,
    )
}

/// `to_char(interval)`. Errors: 0A000 for patterns that need a calendar.
pub fn interval(value: &Interval, pattern: &str) -> Result<String> {
    format(
        &Moment {
            year: value.months / 12,
            month: value.months % 12,
            day: value.days,
            days: None,
            hour: value.micros / HOUR_US,
            minute: value.micros / MINUTE_US % 60,
            second: value.micros / SECOND_US % 60,
            micros: value.micros % SECOND_US,
            has_zone: false,
        },
        pattern,
    )
}

fn unavailable(name: &str) -> PgError {
    PgError::new(
        "0A000",
        format!("to_char pattern \"{name}\" is not available on the embedded engine"),
    )
}

fn cased(word: &str, like: &str) -> String {
    let second_is_upper = like.chars().nth(1).is_some_and(|c| c.is_ascii_uppercase());
    if like.starts_with(|c: char| c.is_ascii_lowercase()) {
        word.to_ascii_lowercase()
    } else if second_is_upper {
        word.to_ascii_uppercase()
    } else {
        word.to_owned()
    }
}

fn ordinal(value: i64, upper: bool) -> &'static str {
    let size = value.abs();
    match (size % 100, size % 10, upper) {
        (11..=13, _, true) => "TH",
        (11..=13, _, false) => "th",
        (_, 1, true) => "ST",
        (_, 1, false) => "st",
        (_, 2, true) => "ND",
        (_, 2, false) => "nd",
        (_, 3, true) => "RD",
        (_, 3, false) => "rd",
        (_, _, true) => "TH",
        (_, _, false) => "th",
    }
}

fn format(at: &Moment, pattern: &str) -> Result<String> {
    let mut out = String::with_capacity(pattern.len() + 8);
    for piece in pieces(pattern) {
        let (name, fill, suffix) = match piece {
            Piece::Text(text) => {
                out.push_str(&text);
                continue;
            }
            Piece::Field { name, fill, suffix } => (name, fill, suffix),
        };
        let calendar = || {
            at.days.ok_or_else(|| {
                PgError::new("22007", "invalid format specification for an interval value")
                    .hint("Intervals are not tied to specific calendar dates.")
            })
        };
        let upper = name.to_ascii_uppercase();
        // A number with its width, or a word.
        let number: Option<(i64, usize)> = match upper.as_str() {
            "YYYY" => Some((at.year, 4)),
            "YYY" => Some((at.year % 1000, 3)),
            "YY" => Some((at.year % 100, 2)),
            "Y" => Some((at.year % 10, 1)),
            "IYYY" => Some((iso_week(calendar()?).0, 4)),
            "IYY" => Some((iso_week(calendar()?).0 % 1000, 3)),
            "IY" => Some((iso_week(calendar()?).0 % 100, 2)),
            "I" => Some((iso_week(calendar()?).0 % 10, 1)),
            "MM" => Some((at.month, 2)),
            "DD" => Some((at.day, 2)),
            "DDD" => Some((year_day(calendar()?), 3)),
            "IDDD" => {
                let (_, week) = iso_week(calendar()?);
                Some(((week - 1) * 7 + (weekday(calendar()?) + 6) % 7 + 1, 3))
            }
            "D" => Some((weekday(calendar()?) + 1, 1)),
            "ID" => Some(((weekday(calendar()?) + 6) % 7 + 1, 1)),
            "WW" => Some(((year_day(calendar()?) - 1) / 7 + 1, 2)),
            "W" => Some(((at.day - 1) / 7 + 1, 1)),
            "IW" => Some((iso_week(calendar()?).1, 2)),
            "Q" if at.month == 0 => continue,
            "Q" => Some(((at.month - 1) / 3 + 1, 1)),
            "CC" => Some((
                if at.days.is_some() {
                    (at.year + 99) / 100
                } else {
                    at.year / 100
                },
                2,
            )),
            "J" => Some((calendar()? + 2_440_588, 1)),
            "HH24" => Some((at.hour, 2)),
            "HH" | "HH12" => {
                let hour = at.hour % 12;
                // PostgreSQL makes room for the sign of the whole hour.
                Some(if hour == 0 {
                    (12, 2 + usize::from(at.hour < 0))
                } else {
                    (hour, 2)
                })
            }
            "MI" => Some((at.minute, 2)),
            "SS" => Some((at.second, 2)),
            "SSSS" | "SSSSS" => Some((at.hour * 3600 + at.minute * 60 + at.second, 1)),
            "MS" | "FF3" => Some((at.micros / 1000, 3)),
            "US" | "FF6" => Some((at.micros, 6)),
            "FF1" => Some((at.micros / 100_000, 1)),
            "FF2" => Some((at.micros / 10_000, 2)),
            "FF4" => Some((at.micros / 100, 4)),
            "FF5" => Some((at.micros / 10, 5)),
            _ => None,
        };
        if let Some((value, width)) = number {
            let width = match (fill, value < 0) {
                (true, _) => 0,
                // The sign takes a place of its own, but for these.
                (false, true) if !matches!(upper.as_str(), "DD" | "MS" | "US") && !upper.starts_with("FF") => width + 1,
                (false, true) => width,
                (false, false) => width,
            };
            out.push_str(&format!("{value:0width$}"));
            if !suffix.is_empty() {
                out.push_str(ordinal(value, suffix == "TH"));
            }
            continue;
        }
        let padded = |word: String, out: &mut String| {
            if fill {
                out.push_str(&word)
            } else {
                out.push_str(&format!("{word:<9}"))
            }
        };
        let is_afternoon = at.hour % 24 >= 12;
        match upper.as_str() {
            "MONTH" | "MON" if at.month < 1 => {}
            "MONTH" => padded(cased(MONTHS[(at.month - 1) as usize], name), &mut out),
            "MON" => out.push_str(&cased(&MONTHS[(at.month - 1) as usize][..3], name)),
            "DAY" => padded(cased(DAYS[weekday(calendar()?) as usize], name), &mut out),
            "DY" => out.push_str(&cased(&DAYS[weekday(calendar()?) as usize][..3], name)),
            "AM" | "PM" => out.push_str(&cased(if is_afternoon { "PM" } else { "AM" }, name)),
            "A.M." | "P.M." => {
                let word = if is_afternoon { "P.M." } else { "A.M." };
                out.push_str(&if name.starts_with(char::is_lowercase) {
                    word.to_lowercase()
                } else {
                    word.to_owned()
                });
            }
            "AD" | "BC" if at.days.is_some() => out.push_str(&cased("AD", name)),
            "A.D." | "B.C." if at.days.is_some() => {
                out.push_str(if name.starts_with(char::is_lowercase) {
                    "a.d."
                } else {
                    "A.D."
                });
            }
            "Y,YYY" => out.push_str(&format!("{},{:03}", at.year / 1000, at.year % 1000)),
            "TZ" if at.has_zone => out.push_str(&cased("UTC", name)),
            "TZ" if at.days.is_some() => {}
            "OF" if at.has_zone => out.push_str("+00"),
            "TZH" if at.has_zone => out.push_str("+00"),
            "TZM" if at.has_zone => out.push_str("00"),
            "OF" if at.days.is_some() => out.push_str("+00"),
            "TZH" if at.days.is_some() => out.push_str("+00"),
            "TZM" if at.days.is_some() => out.push_str("00"),
            _ => return Err(unavailable(name)),
        }
    }
    Ok(out)
}

/// `to_timestamp(text, pattern)` as a local time in microseconds. Errors: 22007, 22008, 0A000.
pub fn read(text: &str, pattern: &str) -> Result<i64> {
    let mut rest = text.trim_start();
    let (mut year, mut month, mut day) = (1i64, 1i64, 1i64);
    let (mut hour, mut minute, mut second, mut micros) = (0i64, 0i64, 0i64, 0i64);
    let (mut afternoon, mut twelve) = (None, false);
    let list = pieces(pattern);
    for (index, piece) in list.iter().enumerate() {
        let name = match piece {
            Piece::Text(literal) => {
                let blank = literal.chars().all(|c| !c.is_alphanumeric());
                if blank {
                    rest = rest.trim_start_matches(|c: char| !c.is_alphanumeric() && c != '-' && c != '+');
                    rest = rest.strip_prefix(literal.as_str()).unwrap_or(rest);
                } else {
                    let skip = literal.chars().count();
                    rest = rest.char_indices().nth(skip).map_or("", |(at, _)| &rest[at..]);
                }
                continue;
            }
            Piece::Field { name, .. } => *name,
        };
        rest = rest.trim_start();
        let upper = name.to_ascii_uppercase();
        let next_is_field = matches!(list.get(index + 1), Some(Piece::Field { .. }));
        let mut take = |width: usize| -> Result<(i64, usize)> {
            let limit = if next_is_field { width } else { 9 };
            let end = rest.bytes().take(limit).take_while(u8::is_ascii_digit).count();
            let value = rest[..end].parse().map_err(|_| {
                let shown: String = rest.chars().take(width).collect();
                PgError::new("22007", format!("invalid value \"{shown}\" for \"{name}\""))
                    .detail("Value must be an integer.")
            })?;
            rest = &rest[end..];
            Ok((value, end))
        };
        match upper.as_str() {
            "YYYY" => year = take(4)?.0,
            "YY" => {
                let value = take(2)?.0;
                year = value + if value < 70 { 2000 } else { 1900 };
            }
            "MM" => month = take(2)?.0,
            "DD" => day = take(2)?.0,
            "HH24" => hour = take(2)?.0,
            "HH12" | "HH" => {
                hour = take(2)?.0;
                twelve = true;
            }
            "MI" => minute = take(2)?.0,
            "SS" => second = take(2)?.0,
            "MS" | "US" => {
                let width = if upper == "MS" { 3 } else { 6 };
                let (value, used) = take(width)?;
                micros = value * 10i64.pow(6u32.saturating_sub(used as u32));
            }
            "AM" | "PM" => {
                let mark = rest.get(..2).unwrap_or_default().to_ascii_lowercase();
                afternoon = Some(mark == "pm");
                rest = rest.get(2..).unwrap_or_default();
            }
            "MON" | "MONTH" => {
                let found = MONTHS
                    .iter()
                    .position(|word| rest.get(..3).is_some_and(|head| head.eq_ignore_ascii_case(&word[..3])));
                let Some(found) = found else {
                    let shown: String = rest.chars().take(3).collect();
                    return Err(
                        PgError::new("22007", format!("invalid value \"{shown}\" for \"{name}\""))
                            .detail("The given value did not match any of the allowed values for this field."),
                    );
                };
                month = found as i64 + 1;
                let full = MONTHS[found].len();
                let long = upper == "MONTH"
                    && rest
                        .get(..full)
                        .is_some_and(|head| head.eq_ignore_ascii_case(MONTHS[found]));
                rest = &rest[if long { full } else { 3 }..];
            }
            _ => return Err(unavailable(name)),
        }
    }
    if twelve && let Some(afternoon) = afternoon {
        hour = hour % 12 + if afternoon { 12 } else { 0 };
    }
    let out_of_range = || PgError::new("22008", format!("date/time field value out of range: \"{text}\""));
    if hour > 23 || minute > 59 || second > 59 {
        return Err(out_of_range());
    }
    let days = super::functions::make_date(year, month, day).map_err(|_| out_of_range())?;
    Ok(days * DAY_US + hour * HOUR_US + minute * MINUTE_US + second * SECOND_US + micros)
}

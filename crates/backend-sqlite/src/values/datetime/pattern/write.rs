//! `to_char` of times.
//!
//! Patterns that PostgreSQL knows and this list lacks are refused (0A000).

use super::super::super::errors::{PgError, Result};
use super::super::functions::{iso_week, weekday, year_day};
use super::super::interval::Interval;
use super::super::{DAY_US, Day, HOUR_US, MINUTE_US, SECOND_US};
use super::{DAYS, MONTHS, Piece, pieces};

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
        let (name, fill, is_bare, suffix) = match piece {
            Piece::Text { c, .. } => {
                out.push(c);
                continue;
            }
            Piece::Field { name: "FX" | "fx", .. } => continue,
            Piece::Field {
                name,
                fill,
                is_translated,
                suffix,
            } => (name, fill, fill || is_translated, suffix),
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
            if let Some(suffix) = suffix {
                out.push_str(ordinal(value, suffix == "TH"));
            }
            continue;
        }
        let padded = |word: String, out: &mut String| {
            if is_bare {
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

//! Patterns of times: `to_char`, `to_date` and `to_timestamp`.
//!
//! | module | what |
//! |---|---|
//! | [`write`] | `to_char` |
//! | [`read`] | `to_date`, `to_timestamp` |
//!
//! Lives here: a pattern as fields and text. A letter that begins no field is text, as in PostgreSQL.
//!
//! Source: PostgreSQL manual, 9.8.

mod read;
mod write;

pub use read::{date, instant};
pub use write::{interval, timestamp};

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
    "FF4", "FF5", "FF6", "FX", "HH24", "HH12", "HH", "IDDD", "ID", "IW", "IYYY", "IYY", "IY", "I", "J", "MI", "MM",
    "MONTH", "MON", "MS", "Month", "Mon", "OF", "P.M.", "PM", "Q", "RM", "SSSSS", "SSSS", "SS", "TZH", "TZM", "TZ",
    "US", "WW", "W", "Y,YYY", "YYYY", "YYY", "YY", "Y", "a.d.", "a.m.", "ad", "am", "b.c.", "bc", "cc", "day", "ddd",
    "dd", "dy", "d", "ff1", "ff2", "ff3", "ff4", "ff5", "ff6", "fx", "hh24", "hh12", "hh", "iddd", "id", "iw", "iyyy",
    "iyy", "iy", "i", "j", "mi", "mm", "month", "mon", "ms", "of", "p.m.", "pm", "q", "rm", "sssss", "ssss", "ss",
    "tzh", "tzm", "tz", "us", "ww", "w", "y,yyy", "yyyy", "yyy", "yy", "y",
];

/// One piece of a pattern.
#[derive(Clone, Copy, Debug)]
enum Piece<'a> {
    Field {
        /// As the pattern spells it.
        name: &'static str,
        /// `FM` stands before it.
        fill: bool,
        /// `TM` stands before it: names are not padded. They are English ones.
        is_translated: bool,
        /// `TH` or `th` behind it.
        suffix: Option<&'a str>,
    },
    Text {
        c: char,
        quoted: bool,
    },
}

/// The pieces of a pattern. `SP` does nothing in PostgreSQL.
fn pieces(pattern: &str) -> Vec<Piece<'_>> {
    let mut out = Vec::new();
    let mut rest = pattern;
    while !rest.is_empty() {
        let (mut fill, mut is_translated) = (false, false);
        if let Some(behind) = rest.strip_prefix("FM").or_else(|| rest.strip_prefix("fm")) {
            fill = true;
            rest = behind;
        } else if let Some(behind) = rest.strip_prefix("TM").or_else(|| rest.strip_prefix("tm")) {
            is_translated = true;
            rest = behind;
        }
        if let Some(name) = PATTERNS.iter().find(|name| rest.starts_with(**name)) {
            rest = &rest[name.len()..];
            let suffix = rest.get(..2).filter(|suffix| matches!(*suffix, "TH" | "th"));
            if suffix.is_some() || rest.starts_with("SP") {
                rest = &rest[2..];
            }
            out.push(Piece::Field {
                name,
                fill,
                is_translated,
                suffix,
            });
            continue;
        }
        let text = |c, quoted| Piece::Text { c, quoted };
        let mut chars = rest.chars();
        match chars.next() {
            Some('"') => {
                while let Some(c) = chars.next() {
                    match c {
                        '"' => break,
                        '\\' => out.push(text(chars.next().unwrap_or('\\'), true)),
                        c => out.push(text(c, true)),
                    }
                }
            }
            Some('\\') if chars.as_str().starts_with('"') => out.extend(chars.next().map(|c| text(c, false))),
            other => out.extend(other.map(|c| text(c, false))),
        }
        rest = chars.as_str();
    }
    out
}

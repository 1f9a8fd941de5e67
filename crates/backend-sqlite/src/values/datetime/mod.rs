//! `date`, `time`, `timestamp`, `timestamptz` and `interval`.
//!
//! Stored as PostgreSQL's JSON text, `timestamptz` in UTC, so that the byte order of the text is the order in time.
//! Inside: days and microseconds since 1970-01-01. Years 0001–9999; the rest is refused (22008).
//!
//! Lives here: the calendar, stored forms, PostgreSQL's text output, time zones. Reading input is [`parse`],
//! intervals are [`interval`], functions are [`functions`], patterns are [`pattern`].
//!
//! Source: PostgreSQL manual, 8.5 and 9.9; portability study, §3.

pub mod functions;
pub mod interval;
pub mod parse;
pub mod pattern;

use jiff::tz::{AmbiguousOffset, TimeZone};

use super::errors::{PgError, Result};
use parse::NoOffset;

/// Microseconds in a day.
pub const DAY_US: i64 = 86_400_000_000;
/// Microseconds in an hour.
pub const HOUR_US: i64 = 3_600_000_000;
/// Microseconds in a minute.
pub const MINUTE_US: i64 = 60_000_000;
/// Microseconds in a second.
pub const SECOND_US: i64 = 1_000_000;

/// 0001-01-01 in days since 1970-01-01.
const FIRST_DAY: i64 = -719_162;
/// 9999-12-31 in days since 1970-01-01.
const LAST_DAY: i64 = 2_932_896;

/// A day of the Gregorian calendar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Day {
    pub year: i64,
    pub month: i64,
    pub day: i64,
}

/// True for leap years.
pub fn is_leap(year: i64) -> bool {
    (year % 4 == 0 && year % 100 != 0) || year % 400 == 0
}

/// How many days the month has.
pub fn month_days(year: i64, month: i64) -> i64 {
    match month {
        2 if is_leap(year) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

impl Day {
    /// Days since 1970-01-01. The year is counted from March, so that the leap day comes last.
    pub fn number(self) -> i64 {
        let year = if self.month <= 2 { self.year - 1 } else { self.year };
        let era = year.div_euclid(400);
        let year_of_era = year.rem_euclid(400);
        let day_of_year = (153 * ((self.month + 9) % 12) + 2) / 5 + self.day - 1;
        era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
    }

    /// The day with that number.
    pub fn from_number(number: i64) -> Day {
        let shifted = number + 719_468;
        let era = shifted.div_euclid(146_097);
        let day_of_era = shifted.rem_euclid(146_097);
        let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let from_march = (5 * day_of_year + 2) / 153;
        let month = if from_march < 10 {
            from_march + 3
        } else {
            from_march - 9
        };
        Day {
            year: year_of_era + era * 400 + i64::from(month <= 2),
            month,
            day: day_of_year - (153 * from_march + 2) / 5 + 1,
        }
    }
}

/// 22008 for a computed time outside what is kept.
pub fn out_of_range(what: &str) -> PgError {
    PgError::new("22008", format!("{what} out of range"))
}

/// `days` if the year is 0001–9999.
pub fn check_date(days: i64) -> Result<i64> {
    if (FIRST_DAY..=LAST_DAY).contains(&days) {
        Ok(days)
    } else {
        Err(out_of_range("date"))
    }
}

/// `micros` if the year is 0001–9999.
pub fn check_timestamp(micros: i64) -> Result<i64> {
    if (FIRST_DAY..=LAST_DAY).contains(&micros.div_euclid(DAY_US)) {
        Ok(micros)
    } else {
        Err(out_of_range("timestamp"))
    }
}

fn push_padded(value: i64, width: usize, out: &mut String) {
    use std::fmt::Write as _;
    // Writing to a String cannot fail.
    let _ = write!(out, "{value:0width$}");
}

fn push_date(days: i64, out: &mut String) {
    let day = Day::from_number(days);
    push_padded(day.year, 4, out);
    out.push('-');
    push_padded(day.month, 2, out);
    out.push('-');
    push_padded(day.day, 2, out);
}

fn push_time(micros: i64, out: &mut String) {
    push_padded(micros / HOUR_US, 2, out);
    out.push(':');
    push_padded(micros / MINUTE_US % 60, 2, out);
    out.push(':');
    push_padded(micros / SECOND_US % 60, 2, out);
    push_fraction(micros % SECOND_US, out);
}

fn push_fraction(micros: i64, out: &mut String) {
    if micros != 0 {
        out.push('.');
        push_padded(micros, 6, out);
        let kept = out.trim_end_matches('0').len();
        out.truncate(kept);
    }
}

/// The stored form of a date.
pub fn date_text(days: i64) -> String {
    let mut out = String::with_capacity(10);
    push_date(days, &mut out);
    out
}

/// The stored form of a time of day.
pub fn time_text(micros: i64) -> String {
    let mut out = String::with_capacity(15);
    push_time(micros, &mut out);
    out
}

/// The stored form of a timestamp without zone.
pub fn timestamp_text(micros: i64) -> String {
    let mut out = String::with_capacity(32);
    push_date(micros.div_euclid(DAY_US), &mut out);
    out.push('T');
    push_time(micros.rem_euclid(DAY_US), &mut out);
    out
}

/// The stored form of an instant.
pub fn timestamptz_text(micros: i64) -> String {
    let mut out = timestamp_text(micros);
    out.push_str("+00:00");
    out
}

/// An instant as JSON shows it in another zone (`Prefer: timezone=`): local time and that zone's offset. Errors: 22023.
pub fn timestamptz_in_zone(stored: &str, zone: &str) -> Result<String> {
    let micros = read_timestamp(stored)?;
    let offset = Zone::find(zone)?.offset_at(micros);
    let mut out = timestamp_text(micros + offset * SECOND_US);
    let size = offset.abs();
    out.push(if offset < 0 { '-' } else { '+' });
    push_padded(size / 3600, 2, &mut out);
    out.push(':');
    push_padded(size / 60 % 60, 2, &mut out);
    if size % 60 != 0 {
        out.push(':');
        push_padded(size % 60, 2, &mut out);
    }
    Ok(out)
}

/// PostgreSQL's text of a stored timestamp: a blank for the `T`.
pub fn timestamp_output(stored: &str) -> String {
    stored.replacen('T', " ", 1)
}

/// PostgreSQL's text of a stored instant: a blank for the `T`, `+00` for `+00:00`.
pub fn timestamptz_output(stored: &str) -> String {
    stored.strip_suffix(":00").unwrap_or(stored).replacen('T', " ", 1)
}

fn digits(bytes: &[u8]) -> Option<i64> {
    if bytes.is_empty() {
        return None;
    }
    bytes.iter().try_fold(0i64, |sum, byte| {
        byte.is_ascii_digit().then(|| sum * 10 + i64::from(byte - b'0'))
    })
}

/// Reads a stored date. Errors: 22007 when the text is none.
pub fn read_date(stored: &str) -> Result<i64> {
    read_date_bytes(stored.as_bytes())
        .filter(|_| stored.len() == 10)
        .ok_or_else(|| parse::bad_syntax("date", stored))
}

fn read_date_bytes(bytes: &[u8]) -> Option<i64> {
    let head = bytes.get(..10)?;
    if head[4] != b'-' || head[7] != b'-' {
        return None;
    }
    let day = Day {
        year: digits(&head[..4])?,
        month: digits(&head[5..7])?,
        day: digits(&head[8..])?,
    };
    Some(day.number())
}

fn read_time_bytes(bytes: &[u8]) -> Option<i64> {
    let head = bytes.get(..8)?;
    if head[2] != b':' || head[5] != b':' {
        return None;
    }
    let mut micros = digits(&head[..2])? * HOUR_US + digits(&head[3..5])? * MINUTE_US + digits(&head[6..])? * SECOND_US;
    if let Some((b'.', fraction)) = bytes[8..].split_first() {
        let mut unit = SECOND_US / 10;
        for byte in fraction {
            micros += i64::from(byte.is_ascii_digit().then(|| byte - b'0')?) * unit;
            unit /= 10;
        }
    } else if bytes.len() > 8 {
        return None;
    }
    Some(micros)
}

/// Reads a stored time of day. Errors: 22007.
pub fn read_time(stored: &str) -> Result<i64> {
    read_time_bytes(stored.as_bytes()).ok_or_else(|| parse::bad_syntax("time", stored))
}

/// Reads a stored timestamp or instant. Errors: 22007.
pub fn read_timestamp(stored: &str) -> Result<i64> {
    let local = stored.strip_suffix("+00:00").unwrap_or(stored).as_bytes();
    let read = || {
        if !matches!(local.get(10), Some(b'T' | b' ')) {
            return None;
        }
        Some(read_date_bytes(local)? * DAY_US + read_time_bytes(&local[11..])?)
    };
    read().ok_or_else(|| parse::bad_syntax("timestamp", stored))
}

/// Rounds a fraction of a second to `digits` places, half away from zero, as `timestamp(n)` does.
pub fn round_fraction(micros: i64, digits: i64) -> i64 {
    let digits = digits.clamp(0, 6) as u32;
    let unit = 10i64.pow(6 - digits);
    let half = unit / 2;
    if micros >= 0 {
        (micros + half) / unit * unit
    } else {
        -((-micros + half) / unit * unit)
    }
}

/// `timestamp(n)`: rounding is about 2000-01-01, PostgreSQL's zero.
pub fn round_timestamp(micros: i64, digits: i64) -> i64 {
    const EPOCH_2000: i64 = 10_957 * DAY_US;
    round_fraction(micros - EPOCH_2000, digits) + EPOCH_2000
}

/// Abbreviations that stand for one offset, with it in seconds; among PostgreSQL's default set.
const ABBREVIATIONS: &[(&str, i64)] = &[
    ("z", 0),
    ("utc", 0),
    ("gmt", 0),
    ("ut", 0),
    ("zulu", 0),
    ("wet", 0),
    ("west", 3600),
    ("bst", 3600),
    ("cet", 3600),
    ("met", 3600),
    ("cest", 7200),
    ("cetdst", 7200),
    ("eet", 7200),
    ("eest", 10_800),
    ("est", -18_000),
    ("edt", -14_400),
    ("cst", -21_600),
    ("cdt", -18_000),
    ("mst", -25_200),
    ("mdt", -21_600),
    ("pst", -28_800),
    ("pdt", -25_200),
    ("akst", -32_400),
    ("akdt", -28_800),
    ("hst", -36_000),
    ("jst", 32_400),
    ("kst", 32_400),
    ("nzst", 43_200),
    ("nzdt", 46_800),
];

/// A time zone.
#[derive(Clone, Debug)]
pub enum Zone {
    /// Seconds east of UTC.
    Fixed(i64),
    Named(TimeZone),
}

impl Zone {
    /// The fixed offset that an abbreviation stands for.
    pub fn abbreviation(name: &str) -> Option<Zone> {
        ABBREVIATIONS
            .iter()
            .find(|(abbreviation, _)| abbreviation.eq_ignore_ascii_case(name))
            .map(|(_, offset)| Zone::Fixed(*offset))
    }

    /// A zone by abbreviation, by name from the time zone database, or as `+05` in the POSIX sense, where west is
    /// positive. Errors: 22023.
    pub fn find(name: &str) -> Result<Zone> {
        if let Some(zone) = Self::abbreviation(name) {
            return Ok(zone);
        }
        let unknown = || PgError::new("22023", format!("time zone \"{name}\" not recognized"));
        let sign_at = name.find(['+', '-']);
        if let Some(at) = sign_at
            && name[..at].bytes().all(|byte| byte.is_ascii_alphabetic())
            && name[at + 1..].starts_with(|c: char| c.is_ascii_digit())
        {
            let east = parse::offset(&name[at..]).map_err(|_| unknown())?;
            return Ok(Zone::Fixed(-east));
        }
        if !name.starts_with(|c: char| c.is_ascii_alphabetic()) {
            return Err(unknown());
        }
        TimeZone::get(name).map(Zone::Named).map_err(|_| unknown())
    }

    /// The zone that `make_timestamptz` is given: a number is counted east, as in a timestamp's text.
    pub fn of_argument(name: &str) -> Result<Zone> {
        if name.starts_with(|c: char| c.is_ascii_digit()) {
            return Err(PgError::new(
                "22023",
                format!("invalid input syntax for type numeric time zone: \"{name}\""),
            )
            .hint("Numeric time zones must have \"-\" or \"+\" as first character."));
        }
        match parse::offset(name) {
            Ok(seconds) => Ok(Zone::Fixed(seconds)),
            Err(NoOffset::Range) => Err(PgError::new(
                "22023",
                format!("numeric time zone \"{name}\" out of range"),
            )),
            Err(NoOffset::Form) => Self::find(name),
        }
    }

    /// Seconds east of UTC at an instant.
    pub fn offset_at(&self, micros: i64) -> i64 {
        match self {
            Zone::Fixed(offset) => *offset,
            Zone::Named(zone) => match jiff::Timestamp::from_microsecond(micros) {
                Ok(instant) => i64::from(zone.to_offset(instant).seconds()),
                Err(_) => 0,
            },
        }
    }

    /// The instant of a local time: before a gap's change the earlier offset, in a fold the later.
    pub fn instant(&self, local: i64) -> i64 {
        let offset = match self {
            Zone::Fixed(offset) => *offset,
            Zone::Named(zone) => {
                let day = Day::from_number(local.div_euclid(DAY_US));
                let time = local.rem_euclid(DAY_US);
                let civil = jiff::civil::DateTime::new(
                    day.year as i16,
                    day.month as i8,
                    day.day as i8,
                    (time / HOUR_US) as i8,
                    (time / MINUTE_US % 60) as i8,
                    (time / SECOND_US % 60) as i8,
                    (time % SECOND_US * 1000) as i32,
                );
                match civil.map(|civil| zone.to_ambiguous_timestamp(civil).offset()) {
                    Ok(AmbiguousOffset::Unambiguous { offset }) => i64::from(offset.seconds()),
                    Ok(AmbiguousOffset::Gap { before, .. }) => i64::from(before.seconds()),
                    Ok(AmbiguousOffset::Fold { after, .. }) => i64::from(after.seconds()),
                    Err(_) => 0,
                }
            }
        };
        local - offset * SECOND_US
    }
}

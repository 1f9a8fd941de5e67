//! Arithmetic, `date_trunc`, `extract`, `age` and the `make_` functions.
//!
//! Instants are taken in UTC, the session zone of the embedded engine.
//!
//! Source: PostgreSQL manual, 9.9.

use bigdecimal::num_bigint::BigInt;

use super::super::errors::{PgError, Result};
use super::super::numeric::{Decimal, Numeric};
use super::interval::Interval;
use super::{DAY_US, Day, HOUR_US, MINUTE_US, SECOND_US, check_date, check_timestamp, month_days, out_of_range};

/// The kinds that have fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FieldOf {
    Date,
    Time,
    Timestamp,
    Timestamptz,
    Interval,
}

impl FieldOf {
    fn name(self) -> &'static str {
        match self {
            FieldOf::Date => "date",
            FieldOf::Time => "time without time zone",
            FieldOf::Timestamp => "timestamp without time zone",
            FieldOf::Timestamptz => "timestamp with time zone",
            FieldOf::Interval => "interval",
        }
    }

    fn unknown(self, unit: &str) -> PgError {
        PgError::new(
            "22023",
            format!("unit \"{unit}\" not recognized for type {}", self.name()),
        )
    }

    fn unsupported(self, unit: &str) -> PgError {
        PgError::new(
            "0A000",
            format!("unit \"{unit}\" not supported for type {}", self.name()),
        )
    }
}

/// A timestamp moved by an interval: months first (to the month's last day at most), then days, then time. Errors: 22008.
pub fn add_interval(micros: i64, by: &Interval) -> Result<i64> {
    let mut days = micros.div_euclid(DAY_US);
    let time = micros.rem_euclid(DAY_US);
    if by.months != 0 {
        let day = Day::from_number(days);
        let months = day.year * 12 + day.month - 1 + by.months;
        let (year, month) = (months.div_euclid(12), months.rem_euclid(12) + 1);
        if !(1..=9999).contains(&year) {
            return Err(out_of_range("timestamp"));
        }
        days = Day {
            year,
            month,
            day: day.day.min(month_days(year, month)),
        }
        .number();
    }
    days += by.days;
    if days.abs() > 100_000_000 {
        return Err(out_of_range("timestamp"));
    }
    check_timestamp(
        (days * DAY_US + time)
            .checked_add(by.micros)
            .ok_or_else(|| out_of_range("timestamp"))?,
    )
}

/// `a - b` of timestamps: days and time.
pub fn subtract(a: i64, b: i64) -> Interval {
    Interval {
        months: 0,
        days: 0,
        micros: a - b,
    }
    .in_days()
}

/// `date + n`. Errors: 22008.
pub fn add_days(days: i64, by: i64) -> Result<i64> {
    check_date(days.saturating_add(by))
}

/// `time + interval`, around the clock.
pub fn add_to_time(micros: i64, by: &Interval) -> i64 {
    (micros + by.micros % DAY_US).rem_euclid(DAY_US)
}

/// `age(a, b)`: in years, months, days and time. Months borrow their own days.
pub fn age(a: i64, b: i64) -> Interval {
    let negative = a < b;
    let (late, early) = if negative { (b, a) } else { (a, b) };
    let (late_day, early_day) = (
        Day::from_number(late.div_euclid(DAY_US)),
        Day::from_number(early.div_euclid(DAY_US)),
    );
    let mut micros = late.rem_euclid(DAY_US) - early.rem_euclid(DAY_US);
    let mut days = late_day.day - early_day.day;
    let mut months = (late_day.year - early_day.year) * 12 + late_day.month - early_day.month;
    if micros < 0 {
        micros += DAY_US;
        days -= 1;
    }
    while days < 0 {
        // The month that is borrowed is the earlier date's.
        days += month_days(early_day.year, early_day.month);
        months -= 1;
    }
    if negative {
        Interval {
            months: -months,
            days: -days,
            micros: -micros,
        }
    } else {
        Interval { months, days, micros }
    }
}

/// Monday of the first ISO week of the year.
fn iso_year_start(year: i64) -> i64 {
    let fourth = Day { year, month: 1, day: 4 }.number();
    fourth - (fourth + 3).rem_euclid(7)
}

/// The ISO year and week of a day.
pub fn iso_week(days: i64) -> (i64, i64) {
    let year = Day::from_number(days - (days + 3).rem_euclid(7) + 3).year;
    (year, (days - iso_year_start(year)) / 7 + 1)
}

/// 0 for Sunday to 6 for Saturday.
pub fn weekday(days: i64) -> i64 {
    (days + 4).rem_euclid(7)
}

/// The number of the day in its year, from 1.
pub fn year_day(days: i64) -> i64 {
    days - Day {
        year: Day::from_number(days).year,
        month: 1,
        day: 1,
    }
    .number()
        + 1
}

fn plain_unit(unit: &str) -> &str {
    match unit {
        "us" | "usec" | "usecs" | "usecond" | "useconds" | "microsecond" | "microseconds" => "microseconds",
        "ms" | "msec" | "msecs" | "msecond" | "mseconds" | "millisecond" | "milliseconds" => "milliseconds",
        "s" | "sec" | "secs" | "second" | "seconds" => "second",
        "m" | "min" | "mins" | "minute" | "minutes" => "minute",
        "h" | "hr" | "hrs" | "hour" | "hours" => "hour",
        "d" | "day" | "days" => "day",
        "w" | "week" | "weeks" => "week",
        "mon" | "mons" | "month" | "months" => "month",
        "qtr" | "quarter" => "quarter",
        "y" | "yr" | "yrs" | "year" | "years" => "year",
        "dec" | "decs" | "decade" | "decades" => "decade",
        "c" | "cent" | "century" | "centuries" => "century",
        "mil" | "mils" | "millennium" | "millennia" => "millennium",
        other => other,
    }
}

/// `date_trunc` of a timestamp or instant. Errors: 22023, 0A000.
pub fn truncate(unit: &str, micros: i64, of: FieldOf) -> Result<i64> {
    let lower = unit.to_ascii_lowercase();
    let days = micros.div_euclid(DAY_US);
    let day = Day::from_number(days);
    let first = |year: i64, month: i64| Ok(Day { year, month, day: 1 }.number() * DAY_US);
    let step = |size: i64| Ok(micros.div_euclid(size) * size);
    match plain_unit(&lower) {
        "microseconds" => Ok(micros),
        "milliseconds" => step(1000),
        "second" => step(SECOND_US),
        "minute" => step(MINUTE_US),
        "hour" => step(HOUR_US),
        "day" => step(DAY_US),
        "week" => check_timestamp((days - (days + 3).rem_euclid(7)) * DAY_US),
        "month" => first(day.year, day.month),
        "quarter" => first(day.year, (day.month - 1) / 3 * 3 + 1),
        "year" => first(day.year, 1),
        "decade" if day.year < 10 => Err(out_of_range("timestamp")),
        "decade" => first(day.year / 10 * 10, 1),
        "century" => first((day.year - 1) / 100 * 100 + 1, 1),
        "millennium" => first((day.year - 1) / 1000 * 1000 + 1, 1),
        "timezone" | "timezone_hour" | "timezone_minute" => Err(of.unsupported(&lower)),
        _ => Err(of.unknown(&lower)),
    }
}

/// `date_trunc` of an interval. Errors: 22023, 0A000.
pub fn truncate_interval(unit: &str, value: &Interval) -> Result<Interval> {
    let lower = unit.to_ascii_lowercase();
    let months = |size: i64| {
        Ok(Interval {
            months: value.months / size * size,
            days: 0,
            micros: 0,
        })
    };
    let time = |size: i64| {
        Ok(Interval {
            micros: value.micros / size * size,
            ..*value
        })
    };
    match plain_unit(&lower) {
        "microseconds" => Ok(*value),
        "milliseconds" => time(1000),
        "second" => time(SECOND_US),
        "minute" => time(MINUTE_US),
        "hour" => time(HOUR_US),
        "day" => Ok(Interval { micros: 0, ..*value }),
        "month" => months(1),
        "quarter" => months(3),
        "year" => months(12),
        "decade" => months(120),
        "century" => months(1200),
        "millennium" => months(12_000),
        "week" => Err(FieldOf::Interval
            .unsupported(&lower)
            .detail("Months usually have fractional weeks.")),
        _ => Err(FieldOf::Interval.unknown(&lower)),
    }
}

fn whole(value: i64) -> Numeric {
    Numeric::from(value)
}

fn scaled(value: impl Into<BigInt>, scale: u32) -> Numeric {
    Numeric::Finite(Decimal::new(value.into(), scale))
}

fn date_field(unit: &str, days: i64) -> Option<Numeric> {
    let day = Day::from_number(days);
    Some(match unit {
        "day" => whole(day.day),
        "month" => whole(day.month),
        "quarter" => whole((day.month - 1) / 3 + 1),
        "year" => whole(day.year),
        "week" => whole(iso_week(days).1),
        "isoyear" => whole(iso_week(days).0),
        "dow" => whole(weekday(days)),
        "isodow" => whole((weekday(days) + 6) % 7 + 1),
        "doy" => whole(year_day(days)),
        "decade" => whole(day.year / 10),
        "century" => whole((day.year + 99) / 100),
        "millennium" => whole((day.year + 999) / 1000),
        _ => return None,
    })
}

fn time_field(unit: &str, micros: i64) -> Option<Numeric> {
    Some(match unit {
        "microseconds" => whole(micros % MINUTE_US),
        "milliseconds" => scaled(micros % MINUTE_US, 3),
        "second" => scaled(micros % MINUTE_US, 6),
        "minute" => whole(micros / MINUTE_US % 60),
        "hour" => whole(micros / HOUR_US),
        _ => return None,
    })
}

fn is_field(unit: &str) -> bool {
    matches!(
        unit,
        "microseconds"
            | "milliseconds"
            | "second"
            | "minute"
            | "hour"
            | "day"
            | "week"
            | "month"
            | "quarter"
            | "year"
            | "decade"
            | "century"
            | "millennium"
            | "dow"
            | "isodow"
            | "doy"
            | "isoyear"
            | "epoch"
            | "julian"
            | "timezone"
            | "timezone_hour"
            | "timezone_minute"
    )
}

fn extract_unit(field: &str) -> String {
    let lower = field.to_ascii_lowercase();
    match lower.as_str() {
        "timezone_h" => "timezone_hour".to_owned(),
        "timezone_m" => "timezone_minute".to_owned(),
        _ => plain_unit(&lower).to_owned(),
    }
}

/// 1970-01-01 as a Julian day.
const JULIAN_1970: i64 = 2_440_588;

/// `extract(field from date)`, `value` in days. Errors: 22023, 0A000.
pub fn extract_date(field: &str, days: i64) -> Result<Numeric> {
    let unit = extract_unit(field);
    match unit.as_str() {
        "epoch" => Ok(whole(days * 86_400)),
        "julian" => Ok(whole(days + JULIAN_1970)),
        other => date_field(other, days).ok_or_else(|| refuse_field(FieldOf::Date, &unit, field)),
    }
}

/// `extract(field from time)`. Errors: 22023, 0A000.
pub fn extract_time(field: &str, micros: i64) -> Result<Numeric> {
    let unit = extract_unit(field);
    match unit.as_str() {
        "epoch" => Ok(scaled(micros, 6)),
        other => time_field(other, micros).ok_or_else(|| refuse_field(FieldOf::Time, &unit, field)),
    }
}

fn refuse_field(of: FieldOf, unit: &str, field: &str) -> PgError {
    let lower = field.to_ascii_lowercase();
    if is_field(unit) {
        of.unsupported(&lower)
    } else {
        of.unknown(&lower)
    }
}

/// `extract(field from timestamp)`, with or without zone. Errors: 22023, 0A000.
pub fn extract_timestamp(field: &str, micros: i64, of: FieldOf) -> Result<Numeric> {
    let unit = extract_unit(field);
    let days = micros.div_euclid(DAY_US);
    let time = micros.rem_euclid(DAY_US);
    match unit.as_str() {
        "epoch" => Ok(scaled(micros, 6)),
        "julian" => {
            let day = whole(days + JULIAN_1970);
            let part = whole(time).div(&whole(DAY_US))?;
            day.add(&part)
        }
        "timezone" | "timezone_hour" | "timezone_minute" if of == FieldOf::Timestamptz => Ok(whole(0)),
        other => date_field(other, days)
            .or_else(|| time_field(other, time))
            .ok_or_else(|| refuse_field(of, &unit, field)),
    }
}

/// `extract(field from interval)`. Errors: 22023, 0A000.
pub fn extract_interval(field: &str, value: &Interval) -> Result<Numeric> {
    let unit = extract_unit(field);
    let years = value.months / 12;
    Ok(match unit.as_str() {
        "epoch" => {
            // A year counts 365.25 days, a month 30.
            let days4 = i128::from(years) * 1461 + i128::from(value.months % 12) * 120 + i128::from(value.days) * 4;
            scaled(days4 * i128::from(DAY_US / 4) + i128::from(value.micros), 6)
        }
        "day" => whole(value.days),
        "month" => whole(value.months % 12),
        "quarter" => whole(value.months % 12 / 3 + 1),
        "year" => whole(years),
        "decade" => whole(years / 10),
        "century" => whole(years / 100),
        "millennium" => whole(years / 1000),
        other => time_field(other, value.micros).ok_or_else(|| refuse_field(FieldOf::Interval, &unit, field))?,
    })
}

/// `make_date`. Errors: 22008.
pub fn make_date(year: i64, month: i64, day: i64) -> Result<i64> {
    let fine = (1..=9999).contains(&year) && (1..=12).contains(&month) && (1..=month_days(year, month)).contains(&day);
    if fine {
        Ok(Day { year, month, day }.number())
    } else {
        Err(PgError::new(
            "22008",
            format!("date field value out of range: {year}-{month:02}-{day:02}"),
        ))
    }
}

fn clock(hour: i64, minute: i64, seconds: f64) -> Option<i64> {
    let micros = (seconds * SECOND_US as f64).round_ties_even();
    let fine = (0..=24).contains(&hour) && (0..60).contains(&minute) && (0.0..=60.0).contains(&seconds);
    let total = hour
        .checked_mul(HOUR_US)?
        .checked_add(minute.checked_mul(MINUTE_US)?)?
        .checked_add(micros as i64)?;
    (fine && total <= DAY_US).then_some(total)
}

/// `make_time`. Errors: 22008.
pub fn make_time(hour: i64, minute: i64, seconds: f64) -> Result<i64> {
    clock(hour, minute, seconds).ok_or_else(|| {
        PgError::new(
            "22008",
            format!(
                "time field value out of range: {hour}:{minute:02}:{:0>2}",
                super::super::float::text_f64(seconds)
            ),
        )
    })
}

/// `make_timestamp`. Errors: 22008.
pub fn make_timestamp(year: i64, month: i64, day: i64, hour: i64, minute: i64, seconds: f64) -> Result<i64> {
    check_timestamp(make_date(year, month, day)? * DAY_US + make_time(hour, minute, seconds)?)
}

/// `make_interval`. Errors: 22008.
pub fn make_interval(parts: [i64; 6], seconds: f64) -> Result<Interval> {
    let [years, months, weeks, days, hours, minutes] = parts;
    if !seconds.is_finite() || seconds.abs() > 9e12 {
        return Err(out_of_range("interval"));
    }
    let micros = (seconds * SECOND_US as f64).round_ties_even() as i64;
    Interval {
        months: years.saturating_mul(12).saturating_add(months),
        days: weeks.saturating_mul(7).saturating_add(days),
        micros: hours
            .saturating_mul(HOUR_US)
            .saturating_add(minutes.saturating_mul(MINUTE_US))
            .saturating_add(micros),
    }
    .checked()
}

/// `to_timestamp(seconds)`. Errors: 22008.
pub fn from_epoch(seconds: f64) -> Result<i64> {
    if !seconds.is_finite() || seconds.abs() > 1e12 {
        return Err(PgError::new(
            "22008",
            format!("timestamp out of range: \"{}\"", super::super::float::text_f64(seconds)),
        ));
    }
    // PostgreSQL counts from 2000, and rounds after the change of zero.
    let since_2000 = ((seconds - 946_684_800.0) * SECOND_US as f64).round_ties_even();
    check_timestamp(since_2000 as i64 + 946_684_800 * SECOND_US)
}

/// `date_bin(stride, value, origin)`. Errors: 22008, 0A000.
pub fn bin(stride: &Interval, value: i64, origin: i64) -> Result<i64> {
    if stride.months != 0 {
        return Err(PgError::new(
            "0A000",
            "timestamps cannot be binned into intervals containing months or years",
        ));
    }
    let size = stride
        .days
        .checked_mul(DAY_US)
        .and_then(|size| size.checked_add(stride.micros))
        .ok_or_else(|| PgError::new("22008", "interval out of range"))?;
    if size <= 0 {
        return Err(PgError::new("22008", "stride must be greater than zero"));
    }
    // Both are within the years that are kept, so their distance fits; the bin before it may not.
    let bins = (value - origin).div_euclid(size);
    let from_origin = bins.checked_mul(size).and_then(|distance| distance.checked_add(origin));
    check_timestamp(from_origin.ok_or_else(|| out_of_range("timestamp"))?)
}

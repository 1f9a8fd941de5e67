//! `interval`: months, days and microseconds, each with its own sign.
//!
//! Source: PostgreSQL manual, 8.5.4 (input), 8.5.5 (output in the `postgres` style), 9.9.

use std::cmp::Ordering;

use super::super::errors::{PgError, Result};
use super::{DAY_US, HOUR_US, MINUTE_US, SECOND_US, push_fraction, push_padded};

/// Days in a month where a length is needed.
const MONTH_DAYS: i64 = 30;

/// A span of time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Interval {
    pub months: i64,
    pub days: i64,
    pub micros: i64,
}

/// What a unit's name stands for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Unit {
    Months(i64),
    Days(i64),
    Micros(i64),
}

/// Fields that a text may name only once.
mod field {
    pub const YEAR: u32 = 1;
    pub const MONTH: u32 = 1 << 1;
    pub const DAY: u32 = 1 << 2;
    pub const HOUR: u32 = 1 << 3;
    pub const MINUTE: u32 = 1 << 4;
    pub const SECOND: u32 = 1 << 5;
    pub const MILLISECOND: u32 = 1 << 6;
    pub const MICROSECOND: u32 = 1 << 7;
    pub const WEEK: u32 = 1 << 8;
    pub const DECADE: u32 = 1 << 9;
    pub const CENTURY: u32 = 1 << 10;
    pub const MILLENNIUM: u32 = 1 << 11;
    pub const ALL_SECONDS: u32 = SECOND | MILLISECOND | MICROSECOND;
    pub const CLOCK: u32 = HOUR | MINUTE | ALL_SECONDS;
}

fn unit(name: &str) -> Option<(Unit, u32)> {
    Some(match name {
        "y" | "yr" | "yrs" | "year" | "years" => (Unit::Months(12), field::YEAR),
        "mon" | "mons" | "month" | "months" => (Unit::Months(1), field::MONTH),
        "dec" | "decs" | "decade" | "decades" => (Unit::Months(120), field::DECADE),
        "c" | "cent" | "century" | "centuries" => (Unit::Months(1200), field::CENTURY),
        "mil" | "mils" | "millennium" | "millennia" => (Unit::Months(12_000), field::MILLENNIUM),
        "w" | "week" | "weeks" => (Unit::Days(7), field::WEEK),
        "d" | "day" | "days" => (Unit::Days(1), field::DAY),
        "h" | "hr" | "hrs" | "hour" | "hours" => (Unit::Micros(HOUR_US), field::HOUR),
        "m" | "min" | "mins" | "minute" | "minutes" => (Unit::Micros(MINUTE_US), field::MINUTE),
        "s" | "sec" | "secs" | "second" | "seconds" => (Unit::Micros(SECOND_US), field::SECOND),
        "ms" | "msec" | "msecs" | "msecond" | "mseconds" | "millisecond" | "milliseconds" => {
            (Unit::Micros(1000), field::MILLISECOND)
        }
        "us" | "usec" | "usecs" | "usecond" | "useconds" | "microsecond" | "microseconds" => {
            (Unit::Micros(1), field::MICROSECOND)
        }
        _ => return None,
    })
}

/// A decimal number: its whole part and the rest, both with the sign.
#[derive(Clone, Copy)]
struct Amount {
    whole: i64,
    rest: f64,
}

fn too_long(text: &str) -> PgError {
    PgError::new("22015", format!("interval field value out of range: \"{text}\""))
}

impl Interval {
    /// 22008 past the type's limits.
    pub fn checked(self) -> Result<Interval> {
        let fits = |value: i64| i32::try_from(value).is_ok();
        if fits(self.months) && fits(self.days) {
            Ok(self)
        } else {
            Err(super::out_of_range("interval"))
        }
    }

    fn add_amount(&mut self, amount: Amount, unit: Unit) -> Option<()> {
        match unit {
            Unit::Months(1) => {
                self.months = self.months.checked_add(amount.whole)?;
                self.add_days(amount.rest * MONTH_DAYS as f64)?;
            }
            Unit::Months(size) => {
                let months = (amount.rest * size as f64).round_ties_even() as i64;
                self.months = self
                    .months
                    .checked_add(amount.whole.checked_mul(size)?)?
                    .checked_add(months)?;
            }
            Unit::Days(size) => {
                self.days = self.days.checked_add(amount.whole.checked_mul(size)?)?;
                self.add_days(amount.rest * size as f64)?;
            }
            Unit::Micros(size) => {
                let micros = (amount.rest * size as f64).round_ties_even() as i64;
                self.micros = self
                    .micros
                    .checked_add(amount.whole.checked_mul(size)?)?
                    .checked_add(micros)?;
            }
        }
        Some(())
    }

    fn add_days(&mut self, days: f64) -> Option<()> {
        let whole = days.trunc();
        self.days = self.days.checked_add(whole as i64)?;
        self.micros = self
            .micros
            .checked_add(((days - whole) * DAY_US as f64).round_ties_even() as i64)?;
        Some(())
    }

    /// Reads the verbose, `HH:MM:SS`, SQL and ISO 8601 forms. Errors: 22007, 22015.
    pub fn parse(text: &str) -> Result<Interval> {
        let bad = || super::parse::bad_syntax("interval", text);
        let body = super::super::numeric::trim_space(text);
        if let Some(iso) = body.strip_prefix('P') {
            return Self::parse_iso(iso, text);
        }
        let mut result = Interval::default();
        let mut rest = body.strip_prefix('@').unwrap_or(body);
        let mut any = false;
        let mut negate = false;
        let mut seen = 0u32;
        let mut once = |fields: u32| {
            let fresh = seen & fields == 0;
            seen |= fields;
            if fresh { Ok(()) } else { Err(bad()) }
        };
        // A number may stand before its unit; the sign of a leading `-` belongs to it alone.
        loop {
            rest = rest.trim_start_matches([' ', '\t', '\n', '\r', ',']);
            let Some(first) = rest.bytes().next() else { break };
            if first.is_ascii_alphabetic() {
                let end = rest.bytes().take_while(u8::is_ascii_alphabetic).count();
                if !any || !rest[..end].eq_ignore_ascii_case("ago") || negate {
                    return Err(bad());
                }
                negate = true;
                rest = &rest[end..];
                continue;
            }
            if negate {
                return Err(bad());
            }
            let negative = first == b'-';
            let unsigned = rest.strip_prefix(['+', '-']).unwrap_or(rest);
            let end = unsigned
                .bytes()
                .take_while(|byte| byte.is_ascii_digit() || matches!(byte, b'.' | b':' | b'-'))
                .count();
            let (token, after) = unsigned.split_at(end);
            if token.is_empty() {
                return Err(bad());
            }
            any = true;
            rest = after;
            let sign = if negative { -1 } else { 1 };
            if token.contains(':') {
                once(field::CLOCK)?;
                let micros = clock(token).ok_or_else(bad)?.ok_or_else(|| too_long(text))?;
                result.micros = result.micros.checked_add(sign * micros).ok_or_else(|| too_long(text))?;
                continue;
            }
            if let Some((years, months)) = token.split_once('-') {
                // The months are looked at before what follows them: a date is out of range, if its month is.
                let (months, more) = months.split_at(months.bytes().take_while(u8::is_ascii_digit).count());
                let is_word = rest.starts_with(|c: char| c.is_ascii_alphabetic());
                let (Ok(years), Ok(months), false) = (years.parse::<i64>(), months.parse::<i64>(), is_word) else {
                    return Err(bad());
                };
                once(field::YEAR | field::MONTH)?;
                if !(0..12).contains(&months) {
                    return Err(too_long(text));
                }
                if !more.is_empty() {
                    return Err(bad());
                }
                let total = years
                    .checked_mul(12)
                    .and_then(|years| years.checked_add(months))
                    .ok_or_else(|| too_long(text))?;
                result.months += sign * total;
                continue;
            }
            let amount = amount(token, negative).ok_or_else(bad)?.ok_or_else(|| too_long(text))?;
            rest = rest.trim_start_matches([' ', '\t', '\n', '\r']);
            let end = rest.bytes().take_while(u8::is_ascii_alphabetic).count();
            let name = rest[..end].to_ascii_lowercase();
            let (size, named) = if end == 0 {
                // `1 10:20:30` means days before a clock.
                if rest
                    .bytes()
                    .next()
                    .is_some_and(|byte| byte.is_ascii_digit() || matches!(byte, b'-' | b'+'))
                    && rest.contains(':')
                {
                    (Unit::Days(1), field::DAY)
                } else {
                    (Unit::Micros(SECOND_US), field::SECOND)
                }
            } else if name == "ago" {
                (Unit::Micros(SECOND_US), field::SECOND)
            } else {
                rest = &rest[end..];
                unit(&name).ok_or_else(bad)?
            };
            once(if named == field::SECOND && amount.rest != 0.0 {
                field::ALL_SECONDS
            } else {
                named
            })?;
            result.add_amount(amount, size).ok_or_else(|| too_long(text))?;
        }
        if !any {
            return Err(bad());
        }
        if negate {
            result = Interval {
                months: -result.months,
                days: -result.days,
                micros: result.micros.checked_neg().ok_or_else(|| too_long(text))?,
            };
        }
        result.checked().map_err(|_| too_long(text))
    }

    fn parse_iso(body: &str, text: &str) -> Result<Interval> {
        let bad = || super::parse::bad_syntax("interval", text);
        let mut result = Interval::default();
        let mut rest = body;
        let mut in_time = false;
        if rest.is_empty() {
            return Err(bad());
        }
        while !rest.is_empty() {
            if let Some(after) = rest.strip_prefix('T') {
                if in_time {
                    return Err(bad());
                }
                in_time = true;
                rest = after;
                continue;
            }
            let negative = rest.starts_with('-');
            let unsigned = rest.strip_prefix(['+', '-']).unwrap_or(rest);
            let end = unsigned
                .bytes()
                .take_while(|byte| byte.is_ascii_digit() || *byte == b'.')
                .count();
            let (token, after) = unsigned.split_at(end);
            let amount = amount(token, negative).ok_or_else(bad)?.ok_or_else(|| too_long(text))?;
            let unit = match (after.bytes().next(), in_time) {
                (Some(b'Y'), false) => Unit::Months(12),
                (Some(b'M'), false) => Unit::Months(1),
                (Some(b'W'), false) => Unit::Days(7),
                (Some(b'D'), false) => Unit::Days(1),
                (Some(b'H'), true) => Unit::Micros(HOUR_US),
                (Some(b'M'), true) => Unit::Micros(MINUTE_US),
                (Some(b'S'), true) => Unit::Micros(SECOND_US),
                _ => return Err(bad()),
            };
            result.add_amount(amount, unit).ok_or_else(|| too_long(text))?;
            rest = &after[1..];
        }
        result.checked().map_err(|_| too_long(text))
    }

    /// PostgreSQL's text, which is also the stored form.
    pub fn text(&self) -> String {
        let mut out = String::new();
        let mut after_negative = false;
        let mut part = |value: i64, name: &str, out: &mut String| {
            if value == 0 {
                return;
            }
            if !out.is_empty() {
                out.push(' ');
            }
            if after_negative && value > 0 {
                out.push('+');
            }
            out.push_str(&format!("{value} {name}{}", if value == 1 { "" } else { "s" }));
            after_negative = value < 0;
        };
        part(self.months / 12, "year", &mut out);
        part(self.months % 12, "mon", &mut out);
        part(self.days, "day", &mut out);
        if out.is_empty() || self.micros != 0 {
            if !out.is_empty() {
                out.push(' ');
            }
            if self.micros < 0 {
                out.push('-');
            } else if after_negative {
                out.push('+');
            }
            let size = self.micros.unsigned_abs();
            push_padded((size / HOUR_US as u64) as i64, 2, &mut out);
            out.push(':');
            push_padded((size / MINUTE_US as u64 % 60) as i64, 2, &mut out);
            out.push(':');
            push_padded((size / SECOND_US as u64 % 60) as i64, 2, &mut out);
            push_fraction((size % SECOND_US as u64) as i64, &mut out);
        }
        out
    }

    /// The length with a month as 30 days, in microseconds.
    pub fn length(&self) -> i128 {
        (i128::from(self.months) * i128::from(MONTH_DAYS) + i128::from(self.days)) * i128::from(DAY_US)
            + i128::from(self.micros)
    }

    /// The type's order.
    pub fn compare(&self, other: &Interval) -> Ordering {
        self.length().cmp(&other.length())
    }

    /// `self + other`. Errors: 22008.
    pub fn add(&self, other: &Interval) -> Result<Interval> {
        let micros = self
            .micros
            .checked_add(other.micros)
            .ok_or_else(|| super::out_of_range("interval"))?;
        Interval {
            months: self.months + other.months,
            days: self.days + other.days,
            micros,
        }
        .checked()
    }

    /// `-self`. Errors: 22008.
    pub fn neg(&self) -> Result<Interval> {
        let micros = self
            .micros
            .checked_neg()
            .ok_or_else(|| super::out_of_range("interval"))?;
        Interval {
            months: -self.months,
            days: -self.days,
            micros,
        }
        .checked()
    }

    /// `self * factor`: fractions of months become days, fractions of days time. Errors: 22008.
    pub fn mul(&self, factor: f64) -> Result<Interval> {
        let bad = || super::out_of_range("interval");
        let months = self.months as f64 * factor;
        let days = self.days as f64 * factor;
        if !months.is_finite() || !days.is_finite() || months.abs() > 2e9 || days.abs() > 2e9 {
            return Err(bad());
        }
        self.spread(months, days, self.micros as f64 * factor)
    }

    /// `self / divisor`. Errors: 22012, 22008.
    pub fn div(&self, divisor: f64) -> Result<Interval> {
        if divisor == 0.0 {
            return Err(PgError::division_by_zero());
        }
        self.spread(
            self.months as f64 / divisor,
            self.days as f64 / divisor,
            self.micros as f64 / divisor,
        )
    }

    fn spread(&self, months: f64, days: f64, micros: f64) -> Result<Interval> {
        // PostgreSQL rounds remainders to the microsecond before they cascade.
        let tidy = |value: f64| (value * 1_000_000.0).round_ties_even() / 1_000_000.0;
        let whole_months = months.trunc();
        let whole_days = days.trunc();
        let month_rest_days = tidy((months - whole_months) * MONTH_DAYS as f64);
        let mut seconds = tidy((days - whole_days + month_rest_days - month_rest_days.trunc()) * 86_400.0);
        let mut extra_days = month_rest_days.trunc();
        if seconds.abs() >= 86_400.0 {
            extra_days += (seconds / 86_400.0).trunc();
            seconds -= (seconds / 86_400.0).trunc() * 86_400.0;
        }
        let total = (micros + seconds * SECOND_US as f64).round_ties_even();
        if !total.is_finite() || total.abs() > 9.2e18 {
            return Err(super::out_of_range("interval"));
        }
        Interval {
            months: whole_months as i64,
            days: whole_days as i64 + extra_days as i64,
            micros: total as i64,
        }
        .checked()
    }

    /// `justify_hours`: 24 hours become a day. Errors: 22008.
    pub fn justify_hours(self) -> Result<Interval> {
        self.in_days().checked()
    }

    /// 24 hours as a day, whatever the sum.
    pub(super) fn in_days(self) -> Interval {
        let mut result = self;
        result.days += result.micros / DAY_US;
        result.micros %= DAY_US;
        if result.days > 0 && result.micros < 0 {
            result.days -= 1;
            result.micros += DAY_US;
        } else if result.days < 0 && result.micros > 0 {
            result.days += 1;
            result.micros -= DAY_US;
        }
        result
    }

    /// `justify_days`: 30 days become a month. Errors: 22008.
    pub fn justify_days(self) -> Result<Interval> {
        let mut result = self;
        result.months += result.days / MONTH_DAYS;
        result.days %= MONTH_DAYS;
        let mut result = result.checked()?;
        if result.months > 0 && result.days < 0 {
            result.months -= 1;
            result.days += MONTH_DAYS;
        } else if result.months < 0 && result.days > 0 {
            result.months += 1;
            result.days -= MONTH_DAYS;
        }
        Ok(result)
    }

    /// `justify_interval`: both, with one sign throughout. Errors: 22008.
    pub fn justify(self) -> Result<Interval> {
        let mut result = self;
        result.days += result.micros / DAY_US;
        result.micros %= DAY_US;
        result.months += result.days / MONTH_DAYS;
        result.days %= MONTH_DAYS;
        let mut result = result.checked()?;
        if result.months > 0 && (result.days < 0 || (result.days == 0 && result.micros < 0)) {
            result.months -= 1;
            result.days += MONTH_DAYS;
        } else if result.months < 0 && (result.days > 0 || (result.days == 0 && result.micros > 0)) {
            result.months += 1;
            result.days -= MONTH_DAYS;
        }
        if result.days > 0 && result.micros < 0 {
            result.days -= 1;
            result.micros += DAY_US;
        } else if result.days < 0 && result.micros > 0 {
            result.days += 1;
            result.micros -= DAY_US;
        }
        Ok(result)
    }
}

/// `Some(None)`: a number too large.
fn amount(token: &str, negative: bool) -> Option<Option<Amount>> {
    let (whole, rest) = token.split_once('.').unwrap_or((token, ""));
    if (whole.is_empty() && rest.is_empty()) || rest.contains(['.', '-']) || whole.contains('-') {
        return None;
    }
    if !rest.is_empty() && !rest.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let whole = if whole.is_empty() { Ok(0) } else { whole.parse::<i64>() };
    let Ok(whole) = whole else { return Some(None) };
    let rest: f64 = if rest.is_empty() {
        0.0
    } else {
        format!("0.{rest}").parse().ok()?
    };
    Some(Some(if negative {
        Amount {
            whole: -whole,
            rest: -rest,
        }
    } else {
        Amount { whole, rest }
    }))
}

/// `HH:MM[:SS[.f]]`, or `MM:SS.f` when there is a point after the second part.
fn clock(token: &str) -> Option<Option<i64>> {
    let (clock, fraction) = token.split_once('.').unwrap_or((token, ""));
    let parts: Option<Vec<i64>> = clock
        .split(':')
        .map(|part| {
            part.bytes()
                .all(|byte| byte.is_ascii_digit())
                .then(|| part.parse::<i64>().ok())
                .flatten()
        })
        .collect();
    let fraction = if fraction.is_empty() {
        0
    } else {
        super::parse::fraction_micros(fraction)
    };
    let (hours, minutes, seconds) = match parts?.as_slice() {
        [hours, minutes] if !token.contains('.') => (*hours, *minutes, 0),
        [minutes, seconds] => (0, *minutes, *seconds),
        [hours, minutes, seconds] => (*hours, *minutes, *seconds),
        _ => return None,
    };
    if minutes > 59 || seconds > 60 {
        return Some(None);
    }
    Some(
        hours
            .checked_mul(HOUR_US)
            .and_then(|hours| hours.checked_add(minutes * MINUTE_US + seconds * SECOND_US + fraction)),
    )
}

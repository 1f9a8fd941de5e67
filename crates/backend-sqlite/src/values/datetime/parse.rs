//! Reading dates and times: ISO 8601 and RFC 3339, offsets, zone names, and the special words.
//!
//! What PostgreSQL takes beyond these (`03/01/2024`, `Mar 1 2024`, BC, infinity) is refused; the list of differences
//! says so.

use super::super::errors::{PgError, Result};
use super::{DAY_US, Day, HOUR_US, MINUTE_US, SECOND_US, Zone, month_days};

/// 22007 for a text that is no value of the type.
pub fn bad_syntax(type_name: &str, text: &str) -> PgError {
    PgError::new(
        "22007",
        format!("invalid input syntax for type {type_name}: \"{text}\""),
    )
}

fn field_overflow(text: &str) -> PgError {
    PgError::new("22008", format!("date/time field value out of range: \"{text}\""))
}

/// The fields that a text named.
#[derive(Clone, Debug, Default)]
struct Fields {
    /// Days since 1970-01-01.
    date: Option<i64>,
    /// Microseconds since midnight; 24:00:00 is allowed.
    time: Option<i64>,
    zone: Option<Zone>,
    /// The month has no such day, or the year is out of range.
    is_no_day: bool,
    /// `now`: an instant that needs nothing else.
    instant: Option<i64>,
}

fn take_digits(text: &str) -> (&str, &str) {
    let end = text.bytes().take_while(u8::is_ascii_digit).count();
    text.split_at(end)
}

fn number(digits: &str) -> Option<i64> {
    if digits.len() > 9 { None } else { digits.parse().ok() }
}

/// Why a text is no offset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoOffset {
    Form,
    Range,
}

/// Seconds east of UTC from `+5`, `-0330`, `+05:30`, `+05:30:15`; nothing behind a colon is zero, as in PostgreSQL.
pub fn offset(text: &str) -> std::result::Result<i64, NoOffset> {
    let negative = text.starts_with('-');
    let body = text.strip_prefix(['+', '-']).ok_or(NoOffset::Form)?;
    let part = |text: &str| match text {
        "" => Ok(0),
        digits => number(digits).ok_or(NoOffset::Range),
    };
    let (first, mut rest) = take_digits(body);
    let (mut hours, mut minutes, mut seconds) = (part(first)?, 0, 0);
    if let Some(behind) = rest.strip_prefix(':') {
        let (digits, behind) = take_digits(behind);
        (minutes, rest) = (part(digits)?, behind);
        if let Some(behind) = rest.strip_prefix(':') {
            let (digits, behind) = take_digits(behind);
            (seconds, rest) = (part(digits)?, behind);
        }
    } else if rest.is_empty() && first.len() > 2 {
        (hours, minutes) = (hours / 100, hours % 100);
    }
    if hours > 15 || minutes > 59 || seconds > 59 {
        return Err(NoOffset::Range);
    }
    if !rest.is_empty() {
        return Err(NoOffset::Form);
    }
    let total = hours * 3600 + minutes * 60 + seconds;
    Ok(if negative { -total } else { total })
}

/// Microseconds from the digits behind the point, rounded half to even as a double.
pub(super) fn fraction_micros(digits: &str) -> i64 {
    let fraction: f64 = format!("0.{digits}").parse().unwrap_or(0.0);
    (fraction * 1_000_000.0).round_ties_even() as i64
}

struct Reader<'a> {
    text: &'a str,
    rest: &'a str,
    type_name: &'static str,
    now: Option<i64>,
}

impl<'a> Reader<'a> {
    fn bad(&self) -> PgError {
        bad_syntax(self.type_name, self.text)
    }

    fn skip_blank(&mut self) {
        self.rest = self.rest.trim_start_matches([' ', '\t', '\n', '\r', '\x0b', '\x0c']);
    }

    fn read(mut self) -> Result<Fields> {
        let mut fields = Fields::default();
        self.skip_blank();
        if self.rest.starts_with(|c: char| c.is_ascii_alphabetic()) && !self.special(&mut fields)? {
            return Err(self.bad());
        }
        self.skip_blank();
        while !self.rest.is_empty() {
            let next = self.rest.as_bytes()[0];
            if next.is_ascii_digit() {
                self.digits(&mut fields)?;
            } else if fields.zone.is_none() && self.begins_offset(next, &fields) {
                self.offset(&mut fields)?;
            } else if next.is_ascii_alphabetic() && fields.zone.is_none() && fields.instant.is_none() {
                self.zone_name(&mut fields)?;
            } else {
                return Err(self.bad());
            }
            self.skip_blank();
        }
        Ok(fields)
    }

    /// True for the sign of an offset. Right behind a date a minus would be one more part of it.
    fn begins_offset(&self, next: u8, fields: &Fields) -> bool {
        let read = self.text.len() - self.rest.len();
        let is_behind_blank = read > 0 && self.text.as_bytes()[read - 1] == b' ';
        match next {
            b'+' => fields.time.is_some() || fields.date.is_some(),
            b'-' => fields.time.is_some() || (fields.date.is_some() && is_behind_blank),
            _ => false,
        }
    }

    /// `now`, `today`, `tomorrow`, `yesterday`, `epoch`; false if the text begins with none of them.
    fn special(&mut self, fields: &mut Fields) -> Result<bool> {
        let end = self.rest.bytes().take_while(u8::is_ascii_alphabetic).count();
        let word = self.rest[..end].to_ascii_lowercase();
        let days = match word.as_str() {
            "now" => None,
            "today" => Some(0),
            "tomorrow" => Some(1),
            "yesterday" => Some(-1),
            "epoch" => {
                fields.instant = Some(0);
                self.rest = &self.rest[end..];
                return Ok(true);
            }
            "infinity" if self.rest.len() == end => return Err(field_overflow(self.text)),
            _ => return Ok(false),
        };
        let now = self.now.ok_or_else(|| self.bad())?;
        match days {
            None => fields.instant = Some(now),
            Some(days) => fields.date = Some(now.div_euclid(DAY_US) + days),
        }
        self.rest = &self.rest[end..];
        Ok(true)
    }

    fn digits(&mut self, fields: &mut Fields) -> Result<()> {
        let (head, after) = take_digits(self.rest);
        match after.as_bytes().first() {
            Some(b':') if fields.time.is_none() => self.time(fields),
            Some(b'-') if fields.date.is_none() => self.date(head, &after[1..], fields),
            _ if fields.date.is_none() && (head.len() == 8 || head.len() >= 6 && self.type_name != "time") => {
                // The last four are month and day, whatever comes before them: PostgreSQL, `DecodeNumberField`.
                let (year, day) = head.split_at(head.len() - 4);
                let (month, day) = (number(&day[..2]), number(&day[2..]));
                let (Some(month), Some(day)) = (month, day) else {
                    return Err(self.bad());
                };
                let year = match (year.len(), number(year)) {
                    (2, Some(year)) => year + if year < 70 { 2000 } else { 1900 },
                    (_, Some(year)) => year,
                    (_, None) => return Err(field_overflow(self.text)),
                };
                self.rest = after;
                self.finish_date(Day { year, month, day }, fields)
            }
            _ if fields.date.is_some() && fields.time.is_none() && matches!(head.len(), 4 | 6) => {
                let seconds = if head.len() == 6 { &head[4..] } else { "0" };
                let (hours, minutes) = (number(&head[..2]), number(&head[2..4]));
                let mut rest = after;
                let mut micros = 0;
                if head.len() == 6
                    && let Some(behind) = after.strip_prefix('.')
                {
                    let (fraction, behind) = take_digits(behind);
                    micros = fraction_micros(fraction);
                    rest = behind;
                }
                self.rest = rest;
                let (Some(hours), Some(minutes), Some(seconds)) = (hours, minutes, number(seconds)) else {
                    return Err(self.bad());
                };
                if self.type_name == "time" {
                    let done = self.finish_time(hours, minutes, seconds, micros, fields);
                    return done.map_err(|_| self.bad());
                }
                // Written together, PostgreSQL asks none of them for its range.
                fields.time = Some(hours * HOUR_US + minutes * MINUTE_US + seconds * SECOND_US + micros);
                Ok(())
            }
            _ => Err(self.bad()),
        }
    }

    fn date(&mut self, year: &str, after: &'a str, fields: &mut Fields) -> Result<()> {
        let (month, after) = take_digits(after);
        let after = after.strip_prefix('-').ok_or_else(|| self.bad())?;
        let (day, after) = take_digits(after);
        if year.len() < 3 || month.is_empty() || month.len() > 2 || day.is_empty() || day.len() > 2 {
            return Err(self.bad());
        }
        let (Some(year), Some(month), Some(day)) = (number(year), number(month), number(day)) else {
            return Err(field_overflow(self.text));
        };
        self.rest = after;
        self.finish_date(Day { year, month, day }, fields)
    }

    fn finish_date(&mut self, day: Day, fields: &mut Fields) -> Result<()> {
        // PostgreSQL reads no ISO 8601 text into a time of day, unless it names a zone of the database.
        if self.type_name == "time" && !self.text.contains('/') && self.rest.starts_with(['T', 't']) {
            return Err(self.bad());
        }
        // A day alone is no time, whatever day it is.
        if self.type_name == "time" && self.rest.trim_start().is_empty() {
            return Err(self.bad());
        }
        if !(1..=12).contains(&day.month) || !(1..=31).contains(&day.day) {
            return Err(field_overflow(self.text).hint("Perhaps you need a different \"datestyle\" setting."));
        }
        // Reported last: what is wrong in the rest of the text goes first.
        fields.is_no_day = !(1..=9999).contains(&day.year) || day.day > month_days(day.year, day.month);
        fields.date = Some(day.number());
        // The `T` of ISO 8601.
        if let Some(after) = self.rest.strip_prefix(['T', 't'])
            && after.starts_with(|c: char| c.is_ascii_digit())
        {
            self.rest = after;
        }
        Ok(())
    }

    fn time(&mut self, fields: &mut Fields) -> Result<()> {
        let (hours, after) = take_digits(self.rest);
        let after = after.strip_prefix(':').ok_or_else(|| self.bad())?;
        let (minutes, mut after) = take_digits(after);
        let mut seconds = "0";
        let mut micros = 0;
        if let Some(behind) = after.strip_prefix(':') {
            (seconds, after) = take_digits(behind);
            if let Some(behind) = after.strip_prefix('.') {
                let (fraction, behind) = take_digits(behind);
                micros = fraction_micros(fraction);
                after = behind;
            }
        }
        if minutes.is_empty() || seconds.is_empty() || minutes.len() > 2 || seconds.len() > 2 {
            return Err(self.bad());
        }
        let (Some(hours), Some(minutes), Some(seconds)) = (number(hours), number(minutes), number(seconds)) else {
            return Err(field_overflow(self.text));
        };
        self.rest = after;
        let trimmed = self.rest.trim_start_matches(' ');
        let half = trimmed.get(..2).map(str::to_ascii_lowercase);
        let hours = match half.as_deref() {
            Some(mark @ ("am" | "pm")) if !trimmed[2..].starts_with(|c: char| c.is_ascii_alphabetic()) => {
                if !(1..=12).contains(&hours) {
                    return Err(field_overflow(self.text));
                }
                self.rest = &trimmed[2..];
                hours % 12 + if mark == "pm" { 12 } else { 0 }
            }
            _ => hours,
        };
        self.finish_time(hours, minutes, seconds, micros, fields)
    }

    fn finish_time(&self, hours: i64, minutes: i64, seconds: i64, micros: i64, fields: &mut Fields) -> Result<()> {
        let total = hours * HOUR_US + minutes * MINUTE_US + seconds * SECOND_US + micros;
        if minutes > 59 || seconds > 60 || total > DAY_US || (hours > 24) {
            return Err(field_overflow(self.text));
        }
        fields.time = Some(total);
        Ok(())
    }

    fn offset(&mut self, fields: &mut Fields) -> Result<()> {
        let end = 1 + self.rest[1..]
            .bytes()
            .take_while(|byte| byte.is_ascii_digit() || *byte == b':')
            .count();
        let (text, after) = self.rest.split_at(end);
        let seconds = match offset(text) {
            Ok(seconds) if text.len() > 1 => seconds,
            _ if text.len() > 1 => {
                return Err(PgError::new(
                    "22009",
                    format!("time zone displacement out of range: \"{}\"", self.text),
                ));
            }
            _ => return Err(self.bad()),
        };
        fields.zone = Some(Zone::Fixed(seconds));
        self.rest = after;
        Ok(())
    }

    fn zone_name(&mut self, fields: &mut Fields) -> Result<()> {
        let end = self
            .rest
            .bytes()
            .take_while(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'/' | b'_' | b'-' | b'+'))
            .count();
        let (name, after) = self.rest.split_at(end);
        let zone = match Zone::abbreviation(name) {
            Some(zone) => zone,
            None if name.contains('/') => Zone::find(name).map_err(|_| {
                PgError::new(
                    "22023",
                    format!("time zone \"{}\" not recognized", name.to_ascii_lowercase()),
                )
            })?,
            None => Zone::find(name).map_err(|_| self.bad())?,
        };
        fields.zone = Some(zone);
        self.rest = after;
        Ok(())
    }
}

fn read(type_name: &'static str, text: &str, now: Option<i64>) -> Result<Fields> {
    Reader {
        text,
        rest: text,
        type_name,
        now,
    }
    .read()
}

fn in_range(micros: i64, text: &str) -> Result<i64> {
    super::check_timestamp(micros).map_err(|_| field_overflow(text))
}

/// Reads a date into days since 1970-01-01; a time of day in the text is left out. Errors: 22007, 22008.
pub fn date(text: &str, now: Option<i64>) -> Result<i64> {
    let fields = read("date", text, now)?;
    if fields.is_no_day {
        return Err(field_overflow(text));
    }
    if let Some(instant) = fields.instant {
        return Ok(instant.div_euclid(DAY_US));
    }
    fields.date.ok_or_else(|| bad_syntax("date", text))
}

/// What PostgreSQL says of a word that it takes for a zone and does not know: letters, then digits and several dashes, such
/// as a `uuid`. With one dash it may be a zone in POSIX's form.
fn zone_not_recognized(text: &str) -> Option<PgError> {
    let word = text.trim().to_ascii_lowercase();
    let letters = word.bytes().take_while(u8::is_ascii_alphabetic).count();
    let rest = &word[letters..];
    let is_one = letters > 0
        && rest.starts_with(|c: char| c.is_ascii_digit() || c == '-')
        && rest
            .bytes()
            .all(|c| c.is_ascii_alphanumeric() || b"+-/_.:".contains(&c));
    (is_one && rest.matches('-').count() > 1)
        .then(|| PgError::new("22023", format!("time zone \"{word}\" not recognized")))
}

/// Reads a time of day into microseconds. Errors: 22007, 22008.
pub fn time(text: &str, now: Option<i64>) -> Result<i64> {
    let fields = read("time", text, now).map_err(|error| zone_not_recognized(text).unwrap_or(error))?;
    if let Some(instant) = fields.instant {
        // `epoch` is no time of day.
        return if now.is_some() {
            Ok(instant.rem_euclid(DAY_US))
        } else {
            Err(bad_syntax("time", text))
        };
    }
    let time = fields.time.ok_or_else(|| bad_syntax("time", text))?;
    // A named zone has an offset only on a day.
    if fields.date.is_none() && matches!(fields.zone, Some(Zone::Named(_))) {
        return Err(bad_syntax("time", text));
    }
    if fields.is_no_day {
        Err(field_overflow(text))
    } else {
        Ok(time)
    }
}

/// Reads a timestamp; a zone in the text has no meaning. Errors: 22007, 22008.
pub fn timestamp(text: &str, now: Option<i64>) -> Result<i64> {
    let fields = read("timestamp", text, now)?;
    if fields.is_no_day {
        return Err(field_overflow(text));
    }
    if let Some(instant) = fields.instant {
        return Ok(instant);
    }
    let date = fields.date.ok_or_else(|| bad_syntax("timestamp", text))?;
    in_range(date * DAY_US + fields.time.unwrap_or(0), text)
}

/// Reads an instant; without a zone the text means UTC. Errors: 22007, 22008, 22009, 22023.
pub fn timestamptz(text: &str, now: Option<i64>) -> Result<i64> {
    let fields = read("timestamp with time zone", text, now)?;
    if fields.is_no_day {
        return Err(field_overflow(text));
    }
    if let Some(instant) = fields.instant {
        return Ok(instant);
    }
    let date = fields
        .date
        .ok_or_else(|| bad_syntax("timestamp with time zone", text))?;
    let local = date * DAY_US + fields.time.unwrap_or(0);
    in_range(fields.zone.map_or(local, |zone| zone.instant(local)), text)
}

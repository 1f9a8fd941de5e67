//! `to_date` and `to_timestamp` with a pattern.
//!
//! Fields are taken as PostgreSQL takes them: blanks before a field go, one separator of the pattern stands for one or
//! none of the text, other text of the pattern for as many characters. What the pattern does not say is the least value;
//! that is year 0, which is refused here as all years outside 1 to 9999.

use super::super::super::errors::{PgError, Result};
use super::super::functions::weekday;
use super::super::{DAY_US, Day, HOUR_US, MINUTE_US, SECOND_US, is_leap, month_days, round_timestamp};
use super::{DAYS, MONTHS, Piece, pieces};

/// Days from -4713-11-24, where `J` begins, to 1970-01-01.
const JULIAN_EPOCH: i64 = 2_440_588;
/// Hours of an offset from UTC, at most.
const OFFSET_HOURS_MAX: i64 = 15;
const ROMAN: [&str; 12] = ["xii", "xi", "x", "ix", "viii", "vii", "vi", "v", "iv", "iii", "ii", "i"];

/// What the fields of a text said; 0 for what none said.
#[derive(Default)]
struct Fields {
    hour: i64,
    is_half_day: bool,
    afternoon: i64,
    minute: i64,
    second: i64,
    of_day: i64,
    millis: i64,
    micros: i64,
    /// Digits of the fraction that `FF1` to `FF6` keep.
    digits: Option<i64>,
    weekday: i64,
    day: i64,
    year_day: i64,
    month: i64,
    year: i64,
    /// Digits of the year's field.
    year_width: usize,
    before_christ: i64,
    week: i64,
    month_week: i64,
    century: i64,
    julian: i64,
    zone_sign: i64,
    zone_hours: i64,
    zone_minutes: i64,
    /// Fields of the ISO week calendar, or of the other one.
    is_iso: Option<bool>,
}

/// Where the reading is.
struct Reader<'a> {
    text: &'a str,
    at: usize,
    /// Characters that were passed over beyond those that the pattern stands for.
    skipped: i64,
    exact: bool,
}

/// `to_timestamp(text, pattern)` in microseconds since 1970. Errors: 22007, 22008, 22009, 0A000.
pub fn instant(text: &str, pattern: &str) -> Result<i64> {
    let fields = read(text, pattern)?;
    let (days, micros) = fields.moment(text)?;
    let local = days * DAY_US + micros;
    let offset = fields.zone_sign * (fields.zone_hours * HOUR_US + fields.zone_minutes * MINUTE_US);
    Ok(match fields.digits {
        Some(digits) => round_timestamp(local - offset, digits),
        None => local - offset,
    })
}

/// `to_date(text, pattern)` in days since 1970. Errors: as [`instant`].
pub fn date(text: &str, pattern: &str) -> Result<i64> {
    Ok(read(text, pattern)?.moment(text)?.0)
}

fn bad(message: String) -> PgError {
    PgError::new("22007", message)
}

fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t'..=b'\r')
}

fn is_separator(byte: u8) -> bool {
    byte.is_ascii_punctuation()
}

/// True for a field whose text consists of digits.
fn is_number(name: &str) -> bool {
    !matches!(
        name.to_ascii_uppercase().as_str(),
        "A.D."
            | "A.M."
            | "AD"
            | "AM"
            | "B.C."
            | "BC"
            | "DAY"
            | "DY"
            | "FX"
            | "MONTH"
            | "MON"
            | "OF"
            | "P.M."
            | "PM"
            | "RM"
            | "TZH"
            | "TZ"
    )
}

/// The calendar that a field belongs to: the ISO week calendar, the other one, or none.
fn is_iso(upper: &str) -> Option<bool> {
    match upper {
        "IDDD" | "ID" | "IW" | "IYYY" | "IYY" | "IY" | "I" => Some(true),
        "DDD" | "DD" | "D" | "MM" | "MONTH" | "MON" | "RM" | "WW" | "W" | "Y,YYY" | "YYYY" | "YYY" | "YY" | "Y" => {
            Some(false)
        }
        _ => None,
    }
}

fn read(text: &str, pattern: &str) -> Result<Fields> {
    let list = pieces(pattern);
    let mut fields = Fields::default();
    let mut reader = Reader {
        text,
        at: 0,
        skipped: 0,
        exact: false,
    };
    for (index, piece) in list.iter().enumerate() {
        if reader.at >= text.len() {
            break;
        }
        let is_exactness = matches!(piece, Piece::Field { name: "FX" | "fx", .. });
        if !reader.exact && !is_exactness && (index == 0 || matches!(piece, Piece::Field { .. })) {
            reader.skip_spaces();
        }
        match *piece {
            Piece::Text { c, quoted } => reader.text(c, quoted),
            Piece::Field { .. } if is_exactness => reader.exact = true,
            Piece::Field { name, fill, suffix, .. } => {
                let next_is_digit = match list.get(index + 1) {
                    None => false,
                    Some(Piece::Field { name, .. }) => is_number(name),
                    Some(Piece::Text { c, .. }) => c.is_ascii_digit(),
                };
                let takes_all = fill || suffix.is_some() || !next_is_digit;
                fields.field(&mut reader, name, takes_all)?;
                if suffix.is_some() && is_number(name) && !name.to_ascii_uppercase().starts_with("TZ") {
                    reader.pass(2);
                }
            }
        }
        if !reader.exact && matches!(piece, Piece::Field { .. }) {
            reader.skipped = 0;
            reader.skip_spaces();
        }
    }
    Ok(fields)
}

impl Reader<'_> {
    fn byte(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn skip_spaces(&mut self) {
        while self.byte().is_some_and(is_space) {
            self.at += 1;
            self.skipped += 1;
        }
    }

    /// Passes over so many characters.
    fn pass(&mut self, count: usize) {
        for c in self.text[self.at..].chars().take(count) {
            self.at += c.len_utf8();
        }
    }

    /// Text of the pattern.
    fn text(&mut self, c: char, quoted: bool) {
        let is_loose = !quoted && c.is_ascii() && (is_space(c as u8) || is_separator(c as u8));
        if self.exact {
            self.pass(1);
        } else if is_loose {
            self.skipped -= 1;
            if self.byte().is_some_and(|byte| is_space(byte) || is_separator(byte)) {
                self.at += 1;
                self.skipped += 1;
            }
        } else if self.skipped > 0 {
            self.skipped -= 1;
        } else {
            self.pass(1);
        }
    }

    /// An integer, and how many characters it took with the blanks before it.
    fn number(&mut self, name: &str, width: usize, takes_all: bool) -> Result<(i64, usize)> {
        let begin = self.at;
        while self.byte().is_some_and(is_space) {
            self.at += 1;
        }
        let rest = &self.text.as_bytes()[self.at..];
        let shown = || String::from_utf8_lossy(&rest[..rest.len().min(width)]).into_owned();
        let hint = "If your source string is not fixed-width, try using the \"FM\" modifier.";
        let window = if takes_all {
            rest
        } else if rest.len() < width {
            return Err(bad(format!("source string too short for \"{name}\" formatting field"))
                .detail(format!(
                    "Field requires {width} characters, but only {} remain.",
                    rest.len()
                ))
                .hint(hint));
        } else {
            &rest[..width]
        };
        let sign = usize::from(matches!(window.first(), Some(b'+' | b'-')));
        let digits = window[sign..].iter().take_while(|byte| byte.is_ascii_digit()).count();
        let used = if digits == 0 { 0 } else { sign + digits };
        if takes_all && used == 0 {
            self.at = begin;
        }
        if !takes_all && used > 0 && used < width {
            return Err(bad(format!("invalid value \"{}\" for \"{name}\"", shown()))
                .detail(format!(
                    "Field requires {width} characters, but only {used} could be parsed."
                ))
                .hint(hint));
        }
        self.at += used;
        if self.at == begin {
            return Err(
                bad(format!("invalid value \"{}\" for \"{name}\"", shown())).detail("Value must be an integer.")
            );
        }
        let figures = std::str::from_utf8(&window[..used]).unwrap_or_default();
        let value = match figures {
            "" => Some(0),
            figures => figures.parse::<i64>().ok(),
        };
        let value = value.filter(|value| i32::try_from(*value).is_ok()).ok_or_else(|| {
            PgError::new(
                "22008",
                format!("value for \"{name}\" in source string is out of range"),
            )
            .detail("Value must be in the range -2147483648 to 2147483647.")
        })?;
        Ok((value, self.at - begin))
    }

    /// Which of `words` stands here, whatever its case.
    fn word(&mut self, name: &str, words: &[&str]) -> Result<i64> {
        let rest = &self.text.as_bytes()[self.at..];
        let found = words.iter().position(|word| {
            rest.get(..word.len())
                .is_some_and(|head| head.eq_ignore_ascii_case(word.as_bytes()))
        });
        let Some(found) = found else {
            let shown = self.text[self.at..]
                .split(|c: char| c.is_ascii() && is_space(c as u8))
                .next()
                .unwrap_or_default();
            return Err(bad(format!("invalid value \"{shown}\" for \"{name}\""))
                .detail("The given value did not match any of the allowed values for this field."));
        };
        self.at += words[found].len();
        Ok(found as i64)
    }
}

/// Sets a field that may have been set before. Errors: 22007 when it was something else.
fn set(field: &mut i64, value: i64, name: &str) -> Result<()> {
    if *field != 0 && *field != value {
        return Err(
            bad(format!("conflicting values for \"{name}\" field in formatting string"))
                .detail("This value contradicts a previous setting for the same field type."),
        );
    }
    *field = value;
    Ok(())
}

/// A year of fewer than four digits is one near 2020.
fn near_2020(year: i64) -> i64 {
    year + match year {
        ..70 => 2000,
        70..100 => 1900,
        100..520 => 2000,
        520..1000 => 1000,
        _ => 0,
    }
}

impl Fields {
    fn field(&mut self, reader: &mut Reader<'_>, name: &'static str, takes_all: bool) -> Result<()> {
        let upper = name.to_ascii_uppercase();
        if let Some(iso) = is_iso(&upper)
            && *self.is_iso.get_or_insert(iso) != iso
        {
            return Err(bad("invalid combination of date conventions".to_owned())
                .hint("Do not mix Gregorian and ISO week date conventions in a formatting template."));
        }
        let width = match upper.as_str() {
            "HH24" | "HH12" | "HH" | "TZH" | "TZM" => 2,
            "MS" => 3,
            "US" => 6,
            "IDDD" => 3,
            "ID" => 1,
            "FF1" | "FF2" | "FF3" | "FF4" | "FF5" | "FF6" => usize::from(upper.as_bytes()[2] - b'0'),
            other => other.len(),
        };
        let mut number = |field: &mut i64| -> Result<usize> {
            let (value, used) = reader.number(name, width, takes_all)?;
            set(field, value, name).map(|()| used)
        };
        let fraction = |used: usize, digits: u32| 10i64.pow(digits.saturating_sub(used.max(1) as u32));
        match upper.as_str() {
            "A.M." | "P.M." | "AM" | "PM" => {
                let words: &[&str] = if width == 4 { &["a.m.", "p.m."] } else { &["am", "pm"] };
                let value = reader.word(name, words)?;
                set(&mut self.afternoon, value, name)?;
                self.is_half_day = true;
            }
            "HH" | "HH12" => {
                number(&mut self.hour)?;
                self.is_half_day = true;
            }
            "HH24" => {
                number(&mut self.hour)?;
            }
            "MI" => {
                number(&mut self.minute)?;
            }
            "SS" => {
                number(&mut self.second)?;
            }
            "MS" => {
                let used = number(&mut self.millis)?;
                self.millis *= fraction(used, 3);
            }
            "US" | "FF1" | "FF2" | "FF3" | "FF4" | "FF5" | "FF6" => {
                if upper != "US" {
                    self.digits = Some(width as i64);
                }
                let used = number(&mut self.micros)?;
                self.micros *= fraction(used, 6);
            }
            "SSSS" | "SSSSS" => {
                number(&mut self.of_day)?;
            }
            "TZ" | "OF" => {
                return Err(PgError::new(
                    "0A000",
                    format!("formatting field \"{name}\" is only supported in to_char"),
                ));
            }
            "TZH" => {
                let before = reader.at.checked_sub(1).and_then(|at| reader.text.as_bytes().get(at));
                self.zone_sign = match reader.byte() {
                    Some(sign @ (b'+' | b'-' | b' ')) => {
                        reader.at += 1;
                        if sign == b'-' { -1 } else { 1 }
                    }
                    // The minus may have been taken for a separator.
                    _ if reader.skipped > 0 && before == Some(&b'-') => -1,
                    _ => 1,
                };
                let (value, _) = reader.number(name, width, takes_all)?;
                set(&mut self.zone_hours, value, name)?;
            }
            "TZM" => {
                if self.zone_sign == 0 {
                    self.zone_sign = 1;
                }
                number(&mut self.zone_minutes)?;
            }
            "A.D." | "B.C." | "AD" | "BC" => {
                let words: &[&str] = if width == 4 { &["a.d.", "b.c."] } else { &["ad", "bc"] };
                let value = reader.word(name, words)?;
                set(&mut self.before_christ, value, name)?;
            }
            "MONTH" => {
                let value = reader.word(name, &MONTHS)?;
                set(&mut self.month, value + 1, name)?;
            }
            "MON" => {
                let value = reader.word(name, &MONTHS.map(|word| &word[..3]))?;
                set(&mut self.month, value + 1, name)?;
            }
            "RM" => {
                let value = reader.word(name, &ROMAN)?;
                set(&mut self.month, 12 - value, name)?;
            }
            "MM" => {
                number(&mut self.month)?;
            }
            "DAY" | "DY" => {
                let value = if upper == "DAY" {
                    reader.word(name, &DAYS)?
                } else {
                    reader.word(name, &DAYS.map(|word| &word[..3]))?
                };
                set(&mut self.weekday, value, name)?;
                self.weekday += 1;
            }
            "DDD" | "IDDD" => {
                number(&mut self.year_day)?;
            }
            "DD" => {
                number(&mut self.day)?;
            }
            "D" => {
                number(&mut self.weekday)?;
            }
            "ID" => {
                number(&mut self.weekday)?;
                // Sunday is 1 there and 7 here.
                self.weekday = if self.weekday + 1 > 7 { 1 } else { self.weekday + 1 };
            }
            "WW" | "IW" => {
                number(&mut self.week)?;
            }
            "W" => {
                number(&mut self.month_week)?;
            }
            "Q" => {
                number(&mut 0)?;
            }
            "CC" => {
                number(&mut self.century)?;
            }
            "J" => {
                number(&mut self.julian)?;
            }
            "Y,YYY" => {
                self.year_width = 4;
                let value = thousands(reader).ok_or_else(|| bad("invalid input string for \"Y,YYY\"".to_owned()))?;
                set(&mut self.year, value, name)?;
            }
            "YYYY" | "IYYY" => {
                self.year_width = 4;
                number(&mut self.year)?;
            }
            _ => {
                self.year_width = upper.len();
                if number(&mut self.year)? < 4 {
                    self.year = near_2020(self.year);
                }
            }
        }
        Ok(())
    }

    /// Days since 1970 and microseconds of the day.
    fn moment(&self, text: &str) -> Result<(i64, i64)> {
        let out_of_range = || PgError::new("22008", format!("date/time field value out of range: \"{text}\""));
        let (mut hour, mut minute, mut second) = (self.of_day / 3600, self.of_day / 60 % 60, self.of_day % 60);
        for (part, said) in [
            (&mut second, self.second),
            (&mut minute, self.minute),
            (&mut hour, self.hour),
        ] {
            if said != 0 {
                *part = said;
            }
        }
        if self.is_half_day {
            if !(1..=12).contains(&hour) {
                return Err(bad(format!("hour \"{hour}\" is invalid for the 12-hour clock"))
                    .hint("Use the 24-hour clock, or give an hour between 1 and 12."));
            }
            hour = hour % 12 + 12 * self.afternoon;
        }
        let days = self.days(&out_of_range)?;
        let micros = self.millis * 1000 + self.micros;
        let fits = (0..24).contains(&hour) && (0..60).contains(&minute) && (0..60).contains(&second);
        if !fits || !(0..SECOND_US).contains(&micros) {
            return Err(out_of_range());
        }
        if self.zone_sign != 0
            && !((0..=OFFSET_HOURS_MAX).contains(&self.zone_hours) && (0..60).contains(&self.zone_minutes))
        {
            return Err(PgError::new(
                "22009",
                format!("time zone displacement out of range: \"{text}\""),
            ));
        }
        let Some(days) = days else {
            return Err(PgError::new(
                "0A000",
                "years before 1 and after 9999 are not available on the embedded engine",
            ));
        };
        Ok((days, hour * HOUR_US + minute * MINUTE_US + second * SECOND_US + micros))
    }

    /// The year, as 0 for 1 BC, and whether any field says it.
    fn whole_year(&self) -> (i64, bool) {
        let century = if self.before_christ != 0 {
            -self.century
        } else {
            self.century
        };
        if self.year != 0 && century != 0 && self.year_width <= 2 {
            let of_century = self.year % 100;
            return match (of_century, century >= 0) {
                (0, true) => (century * 100, true),
                (0, false) => (century * 100 + 1, true),
                (_, true) => (of_century + (century - 1) * 100, true),
                (_, false) => ((century + 1) * 100 - of_century + 1, true),
            };
        }
        if self.year != 0 {
            let year = if self.before_christ != 0 { -self.year } else { self.year };
            return (year + i64::from(year < 0), true);
        }
        match century {
            0 => (0, false),
            1.. => ((century - 1) * 100 + 1, true),
            _ => (century * 100 + 1, true),
        }
    }

    /// Days since 1970; `None` outside the years that are kept.
    fn days(&self, out_of_range: &dyn Fn() -> PgError) -> Result<Option<i64>> {
        let (year, has_year) = self.whole_year();
        let mut at = Day { year, month: 1, day: 1 };
        let is_kept = |year: i64| (1..=9999).contains(&year);
        if self.julian != 0 {
            at = Day::from_number(self.julian - JULIAN_EPOCH);
        }
        let mut year_day = self.year_day;
        if self.week != 0 {
            if self.is_iso == Some(true) {
                let monday = iso_week_begin(at.year, self.week);
                at = Day::from_number(match self.weekday {
                    0 => monday,
                    1 => monday + 6,
                    day => monday + day - 2,
                });
            } else {
                year_day = (self.week - 1) * 7 + 1;
            }
        }
        let mut has_parts = (false, false);
        let day = if self.month_week != 0 {
            (self.month_week - 1) * 7 + 1
        } else {
            self.day
        };
        if day != 0 {
            at.day = day;
            has_parts.1 = true;
        }
        if self.month != 0 {
            at.month = self.month;
            has_parts.0 = true;
        }
        if year_day != 0 && (at.month <= 1 || at.day <= 1) {
            if at.year == 0 && self.before_christ == 0 {
                return Err(bad("cannot calculate day of year without year information".to_owned()));
            }
            if self.is_iso == Some(true) {
                at = Day::from_number(iso_week_begin(at.year, 1) - 1 + year_day);
            } else {
                let month = (1..=12)
                    .find(|month| year_day <= days_before(at.year, month + 1))
                    .unwrap_or(13);
                if at.month <= 1 {
                    at.month = month;
                }
                if at.day <= 1 {
                    at.day = year_day - days_before(at.year, month);
                }
            }
            has_parts = (true, true);
        }
        let is_iso_week = self.week != 0 && self.is_iso == Some(true);
        let is_whole = self.julian != 0 || is_iso_week || (has_year && has_parts == (true, true));
        if !(1..=12).contains(&at.month) || !(1..=31).contains(&at.day) {
            return Err(out_of_range());
        }
        if is_whole && at.day > month_days(at.year, at.month) {
            return Err(out_of_range());
        }
        Ok(is_kept(at.year).then(|| at.number()))
    }
}

/// Days of the year before a month, 13 for the next year.
fn days_before(year: i64, month: i64) -> i64 {
    const BEFORE: [i64; 13] = [0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334, 365];
    BEFORE[(month - 1).clamp(0, 12) as usize] + i64::from(month > 2 && is_leap(year))
}

/// The Monday that begins a week of the ISO calendar.
fn iso_week_begin(year: i64, week: i64) -> i64 {
    let fourth = Day { year, month: 1, day: 4 }.number();
    fourth - (weekday(fourth) + 6) % 7 + (week - 1) * 7
}

/// `12,345` as C's `scanf` takes it.
fn thousands(reader: &mut Reader<'_>) -> Option<i64> {
    let high = scanned(reader, 10)?;
    (reader.byte() == Some(b',')).then(|| reader.at += 1)?;
    Some(high * 1000 + scanned(reader, 3)?)
}

/// An integer of at most `width` characters, blanks before it passed over.
fn scanned(reader: &mut Reader<'_>, width: usize) -> Option<i64> {
    while reader.byte().is_some_and(is_space) {
        reader.at += 1;
    }
    let begin = reader.at;
    let rest = &reader.text.as_bytes()[begin..];
    let rest = &rest[..rest.len().min(width)];
    let sign = usize::from(matches!(rest.first(), Some(b'+' | b'-')));
    reader.at += sign + rest[sign..].iter().take_while(|byte| byte.is_ascii_digit()).count();
    reader.text[begin..reader.at].parse().ok()
}

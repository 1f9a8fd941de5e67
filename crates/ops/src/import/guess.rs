//! Guesses a column's type from every value it has.
//!
//! A type is only taken if every value of the whole file is one of its texts, so nothing can fail for its type later.
//! A number with a leading zero is a text: it is a post code or a telephone number.
//!
//! Source: PostgreSQL 15 manual, chapter 8 (input of each type).

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};

use mainstay_core::types::Type;

use super::Cell;

/// Values that are remembered to find out whether a column is unique; beyond that many it is not said to be.
const UNIQUE_VALUES_MAX: usize = 4_000_000;

/// Types that are guessed, the first that fits is taken.
const CANDIDATES: [Type; 10] = [
    Type::Bool,
    Type::Int4,
    Type::Int8,
    Type::Numeric,
    Type::Date,
    Type::Timestamp,
    Type::Timestamptz,
    Type::Uuid,
    Type::Jsonb,
    Type::Text,
];

/// What is known of a column after some of its values.
#[derive(Clone, Debug)]
pub struct Guess {
    pub name: String,
    /// The name in the database.
    pub ident: String,
    pub nulls: u64,
    pub values: u64,
    /// For each of [`CANDIDATES`]: may it still be this?
    fits: [bool; 10],
    has_nested: bool,
    /// Hashes of the values so far and the lines they are on, as long as all differ.
    seen: Option<HashMap<u64, u64>>,
    /// The first value, for people.
    pub example: String,
}

impl Guess {
    /// A column without values.
    pub fn new(name: &str, ident: String) -> Self {
        Guess {
            name: name.to_owned(),
            ident,
            nulls: 0,
            values: 0,
            fits: [true; 10],
            has_nested: false,
            seen: Some(HashMap::new()),
            example: String::new(),
        }
    }

    /// Takes a value into account. In a file that has strings (`is_typed`), a string is no number and no boolean.
    pub fn add(&mut self, cell: &Cell, line: u64, is_typed: bool) {
        let text = match cell {
            Cell::Null => {
                self.nulls += 1;
                return;
            }
            Cell::Text(text) | Cell::Json(text) => text,
        };
        self.values += 1;
        if self.values == 1 {
            self.example = text.chars().take(40).collect();
        }
        let is_string = matches!(cell, Cell::Text(_)) && is_typed;
        if matches!(cell, Cell::Json(_)) && text.starts_with(['{', '[']) {
            self.has_nested = true;
        }
        for (fits, ty) in self.fits.iter_mut().zip(&CANDIDATES) {
            if *fits {
                *fits = match ty {
                    Type::Bool | Type::Int4 | Type::Int8 | Type::Numeric if is_string => false,
                    Type::Jsonb if is_typed => true,
                    ty => accepts(ty, text),
                };
            }
        }
        let mut hasher = DefaultHasher::new();
        text.hash(&mut hasher);
        if let Some(seen) = &mut self.seen
            && (seen.len() >= UNIQUE_VALUES_MAX || seen.insert(hasher.finish(), line).is_some())
        {
            self.seen = None;
        }
    }

    /// The narrowest type that every value has; `text` where there is none.
    pub fn ty(&self) -> Type {
        if self.values == 0 {
            return Type::Text;
        }
        let fitting = CANDIDATES.iter().zip(&self.fits).find(|(ty, fits)| {
            // A text that may stand in a JSON column is still a text, unless an object or a list stands beside it.
            **fits && (self.has_nested || **ty != Type::Jsonb || self.example.starts_with(['{', '[']))
        });
        fitting.map_or(Type::Text, |(ty, _)| ty.clone())
    }

    /// True if every record has a value and no two have the same.
    pub fn is_unique(&self) -> bool {
        self.nulls == 0 && self.values > 0 && self.seen.is_some()
    }
}

/// Whether `text` is a value of `ty`, as far as that can be said without the database; true for types not known here.
pub fn accepts(ty: &Type, text: &str) -> bool {
    match ty.base() {
        Type::Bool => matches!(
            text.to_ascii_lowercase().as_str(),
            "true" | "false" | "t" | "f" | "yes" | "no"
        ),
        Type::Int2 => is_integer(text) && text.parse::<i16>().is_ok(),
        Type::Int4 => is_integer(text) && text.parse::<i32>().is_ok(),
        Type::Int8 => is_integer(text) && text.parse::<i64>().is_ok(),
        Type::Numeric => is_number(text),
        Type::Date => is_date(text),
        Type::Timestamp => date_and_time(text).is_some_and(|has_zone| !has_zone),
        Type::Timestamptz => date_and_time(text).is_some_and(|has_zone| has_zone),
        Type::Uuid => is_uuid(text),
        Type::Json => serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok(),
        Type::Jsonb => text.starts_with(['{', '[']) && serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok(),
        _ => true,
    }
}

fn is_integer(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    !digits.is_empty()
        && digits.bytes().all(|byte| byte.is_ascii_digit())
        && (digits == "0" || !digits.starts_with('0'))
        && text != "-0"
}

fn is_number(text: &str) -> bool {
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (text, None),
    };
    let (whole, fraction) = match mantissa.split_once('.') {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (mantissa, None),
    };
    let all_digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let exponent_digits = |text: &str| {
        let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
        all_digits(digits) && digits.len() <= 3
    };
    (is_integer(whole) || whole == "-0") && fraction.is_none_or(all_digits) && exponent.is_none_or(exponent_digits)
}

fn is_date(text: &str) -> bool {
    let bytes = text.as_bytes();
    if bytes.len() != 10 || bytes[4] != b'-' || bytes[7] != b'-' {
        return false;
    }
    let number = |range: std::ops::Range<usize>| -> Option<u32> {
        let part = text.get(range)?;
        part.bytes()
            .all(|byte| byte.is_ascii_digit())
            .then(|| part.parse().ok())?
    };
    let (Some(year), Some(month), Some(day)) = (number(0..4), number(5..7), number(8..10)) else {
        return false;
    };
    let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let days = match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        4 | 6 | 9 | 11 => 30,
        2 if is_leap => 29,
        2 => 28,
        _ => return false,
    };
    year >= 1 && (1..=days).contains(&day)
}

/// Whether a date and time is one with a zone; `None` if it is no date and time.
fn date_and_time(text: &str) -> Option<bool> {
    let (date, rest) = text.split_at_checked(10)?;
    if !is_date(date) {
        return None;
    }
    let rest = rest.strip_prefix(['T', 't', ' '])?;
    let (clock, zone) = match rest.find(['Z', 'z', '+', '-']) {
        Some(at) => rest.split_at(at),
        None => (rest, ""),
    };
    let (time, fraction) = clock.trim_end().split_once('.').unwrap_or((clock.trim_end(), "0"));
    if fraction.is_empty() || fraction.len() > 9 || !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let parts: Vec<&str> = time.split(':').collect();
    let limits = [23, 59, 59];
    let good = (2..=3).contains(&parts.len())
        && parts
            .iter()
            .zip(limits)
            .all(|(part, limit)| part.len() == 2 && part.parse::<u32>().is_ok_and(|number| number <= limit));
    if !good {
        return None;
    }
    match zone {
        "" => Some(false),
        "Z" | "z" => Some(true),
        offset => {
            let digits: String = offset.chars().skip(1).filter(|character| *character != ':').collect();
            let good = matches!(digits.len(), 2 | 4)
                && digits.bytes().all(|byte| byte.is_ascii_digit())
                && digits[..2].parse::<u32>().is_ok_and(|hours| hours <= 15);
            good.then_some(true)
        }
    }
}

fn is_uuid(text: &str) -> bool {
    text.len() == 36
        && text.bytes().enumerate().all(|(position, byte)| match position {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guessed(values: &[&str]) -> Type {
        let mut guess = Guess::new("c", "c".into());
        for (line, value) in values.iter().enumerate() {
            guess.add(&Cell::Text((*value).into()), line as u64, false);
        }
        guess.ty()
    }

    #[test]
    fn the_narrowest_type_of_all_values_is_taken() {
        for (values, ty) in [
            (&["1", "-2", "0"][..], Type::Int4),
            (&["1", "3000000000"], Type::Int8),
            (&["1", "99999999999999999999"], Type::Numeric),
            (&["1", "1.50"], Type::Numeric),
            (&["0123", "1"], Type::Text),
            (&["true", "f"], Type::Bool),
            (&["1", "true"], Type::Text),
            (&["2024-02-29"], Type::Date),
            (&["2023-02-29"], Type::Text),
            (&["2024-02-29 10:00", "2024-02-29T10:00:00.123456"], Type::Timestamp),
            (
                &["2024-02-29T10:00:00Z", "2024-02-29 10:00:00+02:00"],
                Type::Timestamptz,
            ),
            (&["2024-02-29T10:00:00Z", "2024-02-29T10:00:00"], Type::Text),
            (&["2024-02-29T25:00:00Z"], Type::Text),
            (&["a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"], Type::Uuid),
            (&["{\"a\":1}", "[1]"], Type::Jsonb),
            (&["{broken"], Type::Text),
            (&["1e5", "-0.5"], Type::Numeric),
            (&[], Type::Text),
        ] {
            assert_eq!(guessed(values), ty, "{values:?}");
        }
    }

    #[test]
    fn strings_of_json_are_no_numbers() {
        let mut guess = Guess::new("c", "c".into());
        guess.add(&Cell::Text("1".into()), 1, true);
        assert_eq!(guess.ty(), Type::Text);
        let mut guess = Guess::new("c", "c".into());
        guess.add(&Cell::Json("1".into()), 1, true);
        assert_eq!(guess.ty(), Type::Int4);
        guess.add(&Cell::Json("[1]".into()), 1, true);
        assert_eq!(guess.ty(), Type::Jsonb);
        guess.add(&Cell::Text("x".into()), 1, true);
        assert_eq!(guess.ty(), Type::Jsonb);
    }

    #[test]
    fn unique_is_what_has_no_null_and_no_pair() {
        let mut guess = Guess::new("c", "c".into());
        guess.add(&Cell::Text("1".into()), 1, false);
        guess.add(&Cell::Text("2".into()), 2, false);
        assert!(guess.is_unique());
        let mut with_null = guess.clone();
        with_null.add(&Cell::Null, 3, false);
        assert!(!with_null.is_unique());
        guess.add(&Cell::Text("1".into()), 3, false);
        assert!(!guess.is_unique());
    }
}

//! `to_char` of numbers.
//!
//! | module | what |
//! |---|---|
//! | [`picture`] | a pattern as pieces |
//! | [`write`] | digits, signs and blanks by a pattern |
//!
//! All patterns of the manual but `L`, whose sign depends on a locale (refused, 0A000). `D` and `G` are point and comma.
//!
//! Source: PostgreSQL manual, 9.8, table 9.30; blanks, signs and zeros as PostgreSQL 15 prints them.

mod picture;
mod write;

use super::errors::{PgError, Result};
use super::float::Precision;
use super::numeric::{Decimal, Numeric};
use picture::Description;
use write::Digits;

/// `to_char(numeric, pattern)`. Errors: 0A000, 42601; 22003 for roman figures of what is no integer.
pub fn numeric(value: &Numeric, source: &str) -> Result<String> {
    let (pieces, mut description) = picture::read(source)?;
    let digits = if description.roman {
        Digits::whole(roman(value.to_integer(
            "integer",
            i64::from(i32::MIN),
            i64::from(i32::MAX),
        )?))
    } else if description.exponent {
        Digits::whole(match value {
            Numeric::Finite(decimal) => scientific(decimal, description.behind),
            _ => blocks(&description),
        })
    } else {
        let shifted = match description.shift {
            0 => value.clone(),
            shift => value.mul(&Numeric::from(10).power(&Numeric::from(shift as i64))?)?,
        };
        description.before += description.shift;
        let text = shifted.round(description.behind as i64)?.to_string();
        signed(&text, &description)
    };
    Ok(write::write(&pieces, &description, digits))
}

/// `to_char(int4, pattern)` and, where `is_wide`, `to_char(int8, pattern)`.
pub fn integer(value: i64, is_wide: bool, source: &str) -> Result<String> {
    let (pieces, mut description) = picture::read(source)?;
    let digits = if description.roman {
        let number = i32::try_from(value).map_err(|_| PgError::out_of_range("integer"))?;
        Digits::whole(roman(i64::from(number)))
    } else if description.exponent {
        Digits::whole(if is_wide {
            scientific(&Decimal::new(value.into(), 0), description.behind)
        } else {
            float_scientific(value as f64, description.behind)
        })
    } else {
        let shifted = 10i64
            .checked_pow(description.shift as u32)
            .and_then(|factor| value.checked_mul(factor));
        let shifted = match shifted {
            Some(shifted) if is_wide || i32::try_from(shifted).is_ok() => shifted,
            _ if is_wide => return Err(PgError::out_of_range("bigint")),
            _ => {
                return Err(PgError::new(
                    "0A000",
                    "to_char pattern \"V\" past the range of integer is not available on the embedded engine",
                ));
            }
        };
        description.before += description.shift;
        let mut text = shifted.to_string();
        if description.behind > 0 {
            text.push('.');
            text.push_str(&"0".repeat(description.behind));
        }
        signed(&text, &description)
    };
    Ok(write::write(&pieces, &description, digits))
}

/// `to_char` of a float; digits beyond its precision are not printed.
pub fn float(value: f64, precision: Precision, source: &str) -> Result<String> {
    let (pieces, mut description) = picture::read(source)?;
    let digits = if description.roman {
        Digits::whole(roman(i64::from(value.round_ties_even() as i32)))
    } else if description.exponent {
        Digits::whole(if value.is_finite() {
            float_scientific(value, description.behind)
        } else {
            blocks(&description)
        })
    } else {
        let factor = 10f64.powi(description.shift as i32);
        let (value, kept) = match precision {
            Precision::Single => (f64::from(value as f32 * factor as f32), 6),
            Precision::Double => (value * factor, 15),
        };
        description.before += description.shift;
        let whole = plain(value.abs(), 0).len();
        // So many digits hold; those of the whole part come first.
        description.behind = description.behind.min(usize::saturating_sub(kept, whole));
        signed(&plain(value, description.behind), &description)
    };
    Ok(write::write(&pieces, &description, digits))
}

fn plain(value: f64, places: usize) -> String {
    if value.is_nan() {
        "NaN".to_owned()
    } else if value.is_infinite() {
        if value > 0.0 { "Infinity" } else { "-Infinity" }.to_owned()
    } else {
        format!("{value:.places$}")
    }
}

/// Sign and digits, padded or, where the pattern has no room for them, blocked out.
fn signed(text: &str, description: &Description) -> Digits {
    let (is_negative, text) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let whole = text.find('.').unwrap_or(text.len());
    let text = if whole > description.before {
        let mut blocked = "#".repeat(description.before);
        blocked.push('.');
        blocked.push_str(&"#".repeat(description.behind));
        blocked
    } else {
        text.to_owned()
    };
    Digits {
        text,
        is_negative: Some(is_negative),
        blanks: description.before.saturating_sub(whole),
    }
}

/// What stands for a value without an exponent.
fn blocks(description: &Description) -> String {
    let mut text = format!(" {}", "#".repeat(description.before + description.behind + 5));
    if description.before + 1 < text.len() {
        text.replace_range(description.before + 1..description.before + 2, ".");
    }
    text
}

/// One digit before the point, `places` behind it, rounded half away from zero, and the exponent.
fn scientific(value: &Decimal, places: usize) -> String {
    let exponent = value.exponent();
    let scaled = value.times_power_of_ten(-exponent).rounded(places as i64);
    let text = scaled.to_string();
    let blank = if text.starts_with('-') { "" } else { " " };
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{blank}{text}e{sign}{:02}", exponent.abs())
}

fn float_scientific(value: f64, places: usize) -> String {
    let text = format!("{value:.places$e}");
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let blank = if mantissa.starts_with('-') { "" } else { " " };
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{blank}{mantissa}e{sign}{:02}", exponent.abs())
}

/// Roman figures of 1 to 3999; others are blocked out.
fn roman(number: i64) -> String {
    const FIGURES: [(i64, &str); 13] = [
        (1000, "M"),
        (900, "CM"),
        (500, "D"),
        (400, "CD"),
        (100, "C"),
        (90, "XC"),
        (50, "L"),
        (40, "XL"),
        (10, "X"),
        (9, "IX"),
        (5, "V"),
        (4, "IV"),
        (1, "I"),
    ];
    if !(1..=3999).contains(&number) {
        return "#".repeat(15);
    }
    let mut rest = number;
    let mut text = String::new();
    for (value, figure) in FIGURES {
        while rest >= value {
            text.push_str(figure);
            rest -= value;
        }
    }
    text
}

//! Quoted literals as values of a type: the input rules that can be checked without an engine.
//!
//! Lives here: integers, numeric, floats, boolean, uuid, enums, one-dimensional array text. Not here: dates, times,
//! json, intervals, bytea; their text is kept and the engine's input functions run on it.
//!
//! Source: PostgreSQL 15 manual, chapter 8.

use mainstay_core::catalog::Catalog;
use mainstay_core::error::DatabaseError;
use mainstay_core::name::QualifiedName;
use mainstay_core::types::Type;

use crate::typed::Literal;

/// `text` as a constant of `ty`. Errors: 22P02 `invalid input syntax for type integer: "x"`, 22003 out of range.
pub fn input(catalog: &Catalog, text: &str, ty: &Type) -> Result<Literal, DatabaseError> {
    Ok(match ty.base() {
        Type::Int2 => integer(text, ty, i64::from(i16::MIN), i64::from(i16::MAX))?,
        Type::Int4 => integer(text, ty, i64::from(i32::MIN), i64::from(i32::MAX))?,
        Type::Int8 => integer(text, ty, i64::MIN, i64::MAX)?,
        Type::Numeric => numeric(text).map(Literal::Numeric).ok_or_else(|| invalid(ty, text))?,
        Type::Float4 | Type::Float8 => Literal::Float(float(text, ty)?),
        Type::Bool => Literal::Bool(boolean(text).ok_or_else(|| invalid(ty, text))?),
        Type::Uuid => Literal::Text(uuid(text).ok_or_else(|| invalid(ty, text))?.into()),
        Type::Enum(name) => {
            check_label(catalog, name, text)?;
            Literal::Text(text.into())
        }
        Type::Array(element) => {
            if let Type::Enum(name) = element.base() {
                // What is malformed is for the engine's input function to say.
                for label in array(text).unwrap_or_default().iter().flatten() {
                    check_label(catalog, name, label)?;
                }
            }
            Literal::Text(text.into())
        }
        // The type keeps one byte.
        Type::Char => match text.chars().next() {
            Some(first) if first.is_ascii() => Literal::Text(text[..1].into()),
            None => Literal::Text(text.into()),
            Some(_) => {
                return Err(DatabaseError::unavailable(
                    "\"char\" beyond ASCII",
                    text,
                    1,
                    Some("text"),
                ));
            }
        },
        _ => Literal::Text(text.into()),
    })
}

fn check_label(catalog: &Catalog, name: &QualifiedName, text: &str) -> Result<(), DatabaseError> {
    let known = catalog
        .enums
        .get(name)
        .is_none_or(|found| found.labels.iter().any(|label| label == text));
    if !known {
        let message = format!("invalid input value for enum {}: \"{text}\"", name.name);
        return Err(DatabaseError::new("22P02", message));
    }
    let unsafe_yet = catalog
        .enums
        .get(name)
        .is_some_and(|found| found.uncommitted.iter().any(|label| label == text));
    if unsafe_yet {
        let message = format!("unsafe use of new value \"{text}\" of enum type {}", name.name);
        return Err(
            DatabaseError::new("55P04", message).hint("New enum values must be committed before they can be used.")
        );
    }
    Ok(())
}

fn invalid(ty: &Type, text: &str) -> DatabaseError {
    DatabaseError::new("22P02", format!("invalid input syntax for type {ty}: \"{text}\""))
}

fn trim(text: &str) -> &str {
    text.trim_matches(|c: char| matches!(c, ' ' | '\t' | '\n' | '\r' | '\x0B' | '\x0C'))
}

fn integer(text: &str, ty: &Type, least: i64, greatest: i64) -> Result<Literal, DatabaseError> {
    let trimmed = trim(text);
    let digits = trimmed.strip_prefix(['-', '+']).unwrap_or(trimmed);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(invalid(ty, text));
    }
    match trimmed.parse::<i64>() {
        Ok(value) if (least..=greatest).contains(&value) => Ok(Literal::Integer(value)),
        _ => Err(DatabaseError::new(
            "22003",
            format!("value \"{text}\" is out of range for type {ty}"),
        )),
    }
}

/// Most digits that a numeric has before and after its point (PostgreSQL manual, table 8.2).
const NUMERIC_WHOLE_DIGITS_MAX: i64 = 131_072;
const NUMERIC_FRACTION_DIGITS_MAX: i64 = 16_383;

/// The canonical text of a numeric: no leading zeros, an exponent worked out, the scale kept.
pub(crate) fn numeric(text: &str) -> Option<String> {
    let trimmed = trim(text);
    if trimmed.eq_ignore_ascii_case("nan") {
        return Some("NaN".to_owned());
    }
    let (negative, rest) = match trimmed.as_bytes().first()? {
        b'-' => (true, &trimmed[1..]),
        b'+' => (false, &trimmed[1..]),
        _ => (false, trimmed),
    };
    if rest.eq_ignore_ascii_case("infinity") || rest.eq_ignore_ascii_case("inf") {
        return Some(if negative { "-Infinity" } else { "Infinity" }.to_owned());
    }
    let (mantissa, exponent) = match rest.find(['e', 'E']) {
        Some(at) => (&rest[..at], rest[at + 1..].parse::<i64>().ok()?),
        None => (rest, 0),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let all_digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() && fraction.is_empty() || !all_digits(whole) || !all_digits(fraction) {
        return None;
    }
    if exponent.abs() > NUMERIC_WHOLE_DIGITS_MAX {
        return None;
    }
    let digits = format!("{whole}{fraction}");
    let scale = fraction.len() as i64 - exponent;
    if scale > NUMERIC_FRACTION_DIGITS_MAX || digits.len() as i64 - scale > NUMERIC_WHOLE_DIGITS_MAX {
        return None;
    }
    let (mut whole, fraction) = if scale <= 0 {
        (format!("{digits}{}", "0".repeat(-scale as usize)), String::new())
    } else {
        let scale = scale as usize;
        let padded = format!("{}{digits}", "0".repeat((scale + 1).saturating_sub(digits.len())));
        let (whole, fraction) = padded.split_at(padded.len() - scale);
        (whole.to_owned(), fraction.to_owned())
    };
    whole = match whole.trim_start_matches('0') {
        "" => "0".to_owned(),
        rest => rest.to_owned(),
    };
    let is_zero = whole == "0" && fraction.bytes().all(|byte| byte == b'0');
    let sign = if negative && !is_zero { "-" } else { "" };
    Some(if fraction.is_empty() {
        format!("{sign}{whole}")
    } else {
        format!("{sign}{whole}.{fraction}")
    })
}

fn float(text: &str, ty: &Type) -> Result<f64, DatabaseError> {
    let trimmed = trim(text);
    let out_of_range = || DatabaseError::new("22003", format!("\"{text}\" is out of range for type {ty}"));
    let unsigned = trimmed.strip_prefix(['-', '+']).unwrap_or(trimmed).to_ascii_lowercase();
    let sign = if trimmed.starts_with('-') { -1.0 } else { 1.0 };
    match unsigned.as_str() {
        "nan" => return Ok(f64::NAN),
        "inf" | "infinity" => return Ok(sign * f64::INFINITY),
        _ => {}
    }
    if !unsigned.starts_with(|c: char| c.is_ascii_digit() || c == '.') {
        return Err(invalid(ty, text));
    }
    let value: f64 = unsigned.parse().map_err(|_| invalid(ty, text))?;
    let narrow = *ty.base() == Type::Float4;
    let kept = if narrow { f64::from(value as f32) } else { value };
    let nonzero = unsigned
        .split(['e'])
        .next()
        .is_some_and(|digits| digits.bytes().any(|b| (b'1'..=b'9').contains(&b)));
    if kept.is_infinite() || kept == 0.0 && nonzero {
        return Err(out_of_range());
    }
    Ok(sign * kept)
}

/// Accepts what PostgreSQL does: any unique beginning of true, false, yes, no, on, off; 1 and 0.
fn boolean(text: &str) -> Option<bool> {
    let word = trim(text).to_ascii_lowercase();
    let begins = |full: &str| !word.is_empty() && full.starts_with(word.as_str());
    match word.as_str() {
        "1" | "on" => Some(true),
        "0" | "of" | "off" => Some(false),
        _ if begins("true") || begins("yes") => Some(true),
        _ if begins("false") || begins("no") => Some(false),
        _ => None,
    }
}

/// Lower case with hyphens. Accepts capitals, braces and hyphens after any four digits.
fn uuid(text: &str) -> Option<String> {
    let inner = match text.strip_prefix('{') {
        Some(rest) => rest.strip_suffix('}')?,
        None => text,
    };
    let mut digits = String::with_capacity(32);
    let mut previous_hyphen = true;
    for c in inner.chars() {
        if c == '-' {
            if previous_hyphen || !digits.len().is_multiple_of(4) || digits.len() == 32 {
                return None;
            }
            previous_hyphen = true;
            continue;
        }
        if !c.is_ascii_hexdigit() {
            return None;
        }
        previous_hyphen = false;
        digits.push(c.to_ascii_lowercase());
    }
    if digits.len() != 32 {
        return None;
    }
    let parts = [
        &digits[..8],
        &digits[8..12],
        &digits[12..16],
        &digits[16..20],
        &digits[20..],
    ];
    Some(parts.join("-"))
}

/// The elements of one-dimensional array text, `{a,"b c",NULL}`.
/// Errors: 22P02 `malformed array literal: "x"`; 0A000 for more dimensions.
pub fn array(text: &str) -> Result<Vec<Option<String>>, DatabaseError> {
    let malformed = || DatabaseError::new("22P02", format!("malformed array literal: \"{text}\""));
    let inner = trim(text)
        .strip_prefix('{')
        .and_then(|rest| rest.strip_suffix('}'))
        .ok_or_else(malformed)?;
    let mut elements = Vec::new();
    let mut chars = inner.chars().peekable();
    if trim(inner).is_empty() {
        return Ok(elements);
    }
    loop {
        while chars.peek().is_some_and(|c| c.is_ascii_whitespace()) {
            chars.next();
        }
        let mut element = String::new();
        let quoted = chars.peek() == Some(&'"');
        if quoted {
            chars.next();
            loop {
                match chars.next().ok_or_else(malformed)? {
                    '"' => break,
                    '\\' => element.push(chars.next().ok_or_else(malformed)?),
                    c => element.push(c),
                }
            }
            while chars.peek().is_some_and(|c| c.is_ascii_whitespace()) {
                chars.next();
            }
        } else {
            while let Some(c) = chars.peek().copied().filter(|c| *c != ',') {
                chars.next();
                match c {
                    '{' | '}' => {
                        return Err(DatabaseError::new("0A000", "arrays of more than one dimension"));
                    }
                    '"' => return Err(malformed()),
                    '\\' => element.push(chars.next().ok_or_else(malformed)?),
                    c => element.push(c),
                }
            }
            element.truncate(element.trim_end().len());
            if element.is_empty() {
                return Err(malformed());
            }
        }
        let is_null = !quoted && element.eq_ignore_ascii_case("null");
        elements.push((!is_null).then_some(element));
        match chars.next() {
            None => return Ok(elements),
            Some(',') => {}
            Some(_) => return Err(malformed()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numeric_text_is_canonical() {
        let seen = |text| numeric(text).unwrap();
        assert_eq!(seen(" 007.50 "), "7.50");
        assert_eq!(seen("-0.00"), "0.00");
        assert_eq!(seen(".5"), "0.5");
        assert_eq!(seen("1e3"), "1000");
        assert_eq!(seen("1.25e-3"), "0.00125");
        assert_eq!(numeric("1e"), None);
        assert_eq!(numeric("."), None);
        assert_eq!(numeric("1 2"), None);
    }

    #[test]
    fn booleans_and_uuids_take_what_postgresql_takes() {
        assert_eq!(boolean(" TRU "), Some(true));
        assert_eq!(boolean("of"), Some(false));
        assert_eq!(boolean("o"), None);
        let canonical = "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11";
        assert_eq!(uuid("{A0EEBC999C0B4EF8BB6D6BB9BD380A11}").as_deref(), Some(canonical));
        assert_eq!(
            uuid("a0ee-bc99-9c0b-4ef8-bb6d-6bb9-bd38-0a11").as_deref(),
            Some(canonical)
        );
        assert_eq!(uuid("a0eebc99"), None);
    }

    #[test]
    fn array_text_has_quotes_and_nulls() {
        let seen = array(r#"{a, "b, c" ,NULL,"NULL"}"#).unwrap();
        assert_eq!(seen, [Some("a".into()), Some("b, c".into()), None, Some("NULL".into())]);
        assert!(array("{a,}").is_err());
        assert!(array("{{a}}").is_err());
    }
}

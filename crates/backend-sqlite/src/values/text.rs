//! Text: length rules and the string functions.
//!
//! Positions and lengths count characters. U+0000 is refused, as PostgreSQL does. Case mapping is Unicode's simple one.
//!
//! Source: PostgreSQL manual, 8.3 and 9.4.

use super::errors::{PgError, Result};

/// Bytes a computed text may have; PostgreSQL's own limit on a value is 1 GB.
const TEXT_BYTES_MAX: usize = 256 * 1024 * 1024;

/// Refuses U+0000. Errors: 22021.
pub fn check(text: &str) -> Result<&str> {
    match memchr::memchr(0, text.as_bytes()) {
        None => Ok(text),
        Some(_) => Err(PgError::new(
            "22021",
            "invalid byte sequence for encoding \"UTF8\": 0x00",
        )),
    }
}

/// The byte where character `count` begins, or the end.
fn byte_of(text: &str, count: usize) -> usize {
    text.char_indices().nth(count).map_or(text.len(), |(at, _)| at)
}

fn count(text: &str) -> usize {
    if text.is_ascii() {
        text.len()
    } else {
        text.chars().count()
    }
}

/// `char_length`.
pub fn length(text: &str) -> i64 {
    count(text) as i64
}

/// Assignment to `varchar(n)`: excess spaces are cut, anything else is refused. Errors: 22001.
pub fn assign_varchar(text: &str, length_max: i64) -> Result<&str> {
    let at = byte_of(text, length_max.max(0) as usize);
    if text[at..].bytes().all(|byte| byte == b' ') {
        Ok(&text[..at])
    } else {
        Err(PgError::new(
            "22001",
            format!("value too long for type character varying({length_max})"),
        ))
    }
}

/// An explicit cast to `varchar(n)` cuts.
pub fn truncate(text: &str, length_max: i64) -> &str {
    &text[..byte_of(text, length_max.max(0) as usize)]
}

fn map_char(c: char, mut mapped: impl Iterator<Item = char>) -> char {
    match (mapped.next(), mapped.next()) {
        (Some(only), None) => only,
        _ => c,
    }
}

fn upper_char(c: char) -> char {
    map_char(c, c.to_uppercase())
}

fn lower_char(c: char) -> char {
    // U+0130 has no simple lower case of one character but "i" in C libraries.
    if c == '\u{130}' {
        'i'
    } else {
        map_char(c, c.to_lowercase())
    }
}

/// `upper`.
pub fn upper(text: &str) -> String {
    text.chars().map(upper_char).collect()
}

/// `lower`.
pub fn lower(text: &str) -> String {
    text.chars().map(lower_char).collect()
}

/// `initcap`: a letter after anything but a letter or a digit is made upper case, the others lower.
pub fn initcap(text: &str) -> String {
    let mut inside = false;
    text.chars()
        .map(|c| {
            let mapped = if inside { lower_char(c) } else { upper_char(c) };
            inside = c.is_alphanumeric();
            mapped
        })
        .collect()
}

/// `substr(text, start[, length])`; the part before character 1 counts towards the length. Errors: 22011.
pub fn substr(text: &str, start: i64, length: Option<i64>) -> Result<&str> {
    if length.is_some_and(|length| length < 0) {
        return Err(PgError::new("22011", "negative substring length not allowed"));
    }
    let end = length.map(|length| start.saturating_add(length));
    let skip = start.max(1) - 1;
    let from = byte_of(text, skip as usize);
    let to = match end {
        None => text.len(),
        Some(end) if end <= start.max(1) => from,
        Some(end) => from + byte_of(&text[from..], (end - 1 - skip) as usize),
    };
    Ok(&text[from..to])
}

/// `position(needle in text)`, from 1; 0 when absent.
pub fn position(text: &str, needle: &str) -> i64 {
    text.find(needle).map_or(0, |at| count(&text[..at]) as i64 + 1)
}

/// `left`; a negative length leaves that many characters off the end.
pub fn left(text: &str, length: i64) -> &str {
    let keep = if length < 0 {
        (count(text) as i64).saturating_add(length).max(0)
    } else {
        length
    };
    &text[..byte_of(text, keep as usize)]
}

/// `right`; a negative length leaves that many characters off the front.
pub fn right(text: &str, length: i64) -> &str {
    let total = count(text) as i64;
    let skip = if length < 0 {
        length.saturating_neg().min(total)
    } else {
        (total - length).max(0)
    };
    &text[byte_of(text, skip as usize)..]
}

/// `split_part`; negative fields count from the end. Errors: 22023 for field 0.
pub fn split_part<'a>(text: &'a str, delimiter: &str, field: i64) -> Result<&'a str> {
    if field == 0 {
        return Err(PgError::new("22023", "field position must not be zero"));
    }
    if text.is_empty() {
        return Ok("");
    }
    if delimiter.is_empty() {
        return Ok(if matches!(field, 1 | -1) { text } else { "" });
    }
    let found = if field > 0 {
        text.split(delimiter).nth((field - 1) as usize)
    } else {
        let parts = text.matches(delimiter).count() as i64 + 1;
        let index = parts + field;
        if index < 0 {
            None
        } else {
            text.split(delimiter).nth(index as usize)
        }
    };
    Ok(found.unwrap_or(""))
}

/// `ltrim`.
pub fn ltrim<'a>(text: &'a str, set: &str) -> &'a str {
    text.trim_start_matches(|c| set.contains(c))
}

/// `rtrim`.
pub fn rtrim<'a>(text: &'a str, set: &str) -> &'a str {
    text.trim_end_matches(|c| set.contains(c))
}

fn too_large() -> PgError {
    PgError::new("54000", "requested length too large")
}

fn padding(text: &str, length: i64, fill: &str) -> Result<std::result::Result<String, usize>> {
    let length = length.max(0) as usize;
    let have = count(text);
    if have >= length || fill.is_empty() {
        return Ok(Err(length.min(have)));
    }
    if length.saturating_mul(4) > TEXT_BYTES_MAX {
        return Err(too_large());
    }
    Ok(Ok(fill.chars().cycle().take(length - have).collect()))
}

/// `lpad`; a longer text is cut on the right.
pub fn lpad(text: &str, length: i64, fill: &str) -> Result<String> {
    Ok(match padding(text, length, fill)? {
        Ok(pad) => pad + text,
        Err(keep) => text[..byte_of(text, keep)].to_owned(),
    })
}

/// `rpad`; a longer text is cut on the right.
pub fn rpad(text: &str, length: i64, fill: &str) -> Result<String> {
    Ok(match padding(text, length, fill)? {
        Ok(pad) => format!("{text}{pad}"),
        Err(keep) => text[..byte_of(text, keep)].to_owned(),
    })
}

/// `replace`.
pub fn replace(text: &str, from: &str, to: &str) -> Result<String> {
    if from.is_empty() {
        return Ok(text.to_owned());
    }
    if to.len() > from.len() && (text.len() / from.len()).saturating_mul(to.len()) > TEXT_BYTES_MAX {
        let exact = text.len() + text.matches(from).count() * (to.len() - from.len());
        if exact > TEXT_BYTES_MAX {
            return Err(too_large());
        }
    }
    Ok(text.replace(from, to))
}

/// `repeat`. Errors: 54000.
pub fn repeat(text: &str, times: i64) -> Result<String> {
    let times = times.max(0) as usize;
    if text.len().saturating_mul(times) > TEXT_BYTES_MAX {
        Err(too_large())
    } else {
        Ok(text.repeat(times))
    }
}

/// `overlay(text placing new from start for length)`. Errors: 22011.
pub fn overlay(text: &str, new: &str, start: i64, length: Option<i64>) -> Result<String> {
    let length = length.unwrap_or_else(|| count(new) as i64);
    if start <= 0 {
        return Err(PgError::new("22011", "negative substring length not allowed"));
    }
    let head = substr(text, 1, Some(start - 1))?;
    let tail = substr(text, start.saturating_add(length), None)?;
    Ok(format!("{head}{new}{tail}"))
}

/// `translate`: characters of `from` become those of `to` at the same place, or go.
pub fn translate(text: &str, from: &str, to: &str) -> String {
    let to: Vec<char> = to.chars().collect();
    text.chars()
        .filter_map(|c| match from.chars().position(|other| other == c) {
            None => Some(c),
            Some(index) => to.get(index).copied(),
        })
        .collect()
}

/// `ascii`: the first character's code, 0 for the empty text.
pub fn ascii(text: &str) -> i64 {
    text.chars().next().map_or(0, |c| i64::from(u32::from(c)))
}

/// `chr`. Errors: 54000.
pub fn chr(code: i64) -> Result<String> {
    if code == 0 {
        return Err(PgError::new("54000", "null character not permitted"));
    }
    if code < 0 {
        return Err(PgError::new("22023", "character number must be positive"));
    }
    let refused = || PgError::new("54000", format!("requested character too large for encoding: {code}"));
    let code32 = u32::try_from(code).map_err(|_| refused())?;
    match char::from_u32(code32) {
        Some(c) => Ok(c.to_string()),
        None if code32 <= 0x10_FFFF => Err(PgError::new(
            "54000",
            format!("requested character not valid for encoding: {code}"),
        )),
        None => Err(refused()),
    }
}

/// `quote_literal`.
pub fn quote_literal(text: &str) -> String {
    let prefix = if text.contains('\\') { "E" } else { "" };
    format!("{prefix}'{}'", text.replace('\\', "\\\\").replace('\'', "''"))
}

/// `concat_ws`; `None` arguments are left out.
pub fn concat_ws<'a>(separator: &str, parts: impl Iterator<Item = Option<&'a str>>) -> String {
    let mut out = String::new();
    for (index, part) in parts.flatten().enumerate() {
        if index > 0 {
            out.push_str(separator);
        }
        out.push_str(part);
    }
    out
}

fn format_error(message: &str) -> PgError {
    PgError::new("22023", message)
}

/// Reads the digits at the front of `rest`.
fn leading_number(rest: &str) -> Option<(usize, &str)> {
    let end = rest.bytes().take_while(u8::is_ascii_digit).count();
    rest[..end].parse().ok().map(|number| (number, &rest[end..]))
}

/// Takes `3$` off the front of `rest`, as an index from 0. Errors: 22023 for argument 0.
fn chosen_argument(rest: &mut &str) -> Result<Option<usize>> {
    let Some((number, after)) = leading_number(rest) else {
        return Ok(None);
    };
    let Some(after) = after.strip_prefix('$') else {
        return Ok(None);
    };
    *rest = after;
    number
        .checked_sub(1)
        .map(Some)
        .ok_or_else(|| format_error("format specifies argument 0, but arguments are numbered from 1"))
}

/// `format`: `%s`, `%I`, `%L`, `%%`, with position, `-` and width. Errors: 22023, 22004.
pub fn format(pattern: &str, arguments: &[Option<&str>]) -> Result<String> {
    let mut out = String::with_capacity(pattern.len());
    let mut rest = pattern;
    let mut next = 0usize;
    let fetch = |index: usize| -> Result<Option<&str>> {
        arguments
            .get(index)
            .copied()
            .ok_or_else(|| format_error("too few arguments for format()"))
    };
    while let Some(at) = rest.find('%') {
        out.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        if rest.is_empty() {
            return Err(format_error("unterminated format() type specifier").hint("For a single \"%\" use \"%%\"."));
        }
        if let Some(after) = rest.strip_prefix('%') {
            out.push('%');
            rest = after;
            continue;
        }
        let chosen = chosen_argument(&mut rest)?;
        let mut left_aligned = false;
        while let Some(after) = rest.strip_prefix('-') {
            left_aligned = true;
            rest = after;
        }
        let mut width = 0usize;
        if let Some(after) = rest.strip_prefix('*') {
            rest = after;
            let width_at = chosen_argument(&mut rest)?.unwrap_or(next);
            // The value is the argument behind the width's, unless it is chosen too.
            next = width_at + 1;
            let asked = fetch(width_at)?.map_or(Ok(0), |text| super::integer::INT4.parse(text))?;
            left_aligned |= asked < 0;
            width = asked.unsigned_abs() as usize;
        } else if let Some((number, after)) = leading_number(rest) {
            width = number;
            rest = after;
        }
        let Some(kind) = rest.chars().next() else {
            return Err(format_error("unterminated format() type specifier").hint("For a single \"%\" use \"%%\"."));
        };
        rest = &rest[kind.len_utf8()..];
        if !matches!(kind, 's' | 'I' | 'L') {
            return Err(
                format_error(&format!("unrecognized format() type specifier \"{kind}\""))
                    .hint("For a single \"%\" use \"%%\"."),
            );
        }
        let value_at = chosen.unwrap_or(next);
        let value = fetch(value_at)?;
        next = value_at + 1;
        let text = match (kind, value) {
            ('s', value) => value.unwrap_or("").to_owned(),
            ('I', Some(value)) => mainstay_sql::ddl::quote_ident(value),
            ('I', None) => {
                return Err(PgError::new(
                    "22004",
                    "null values cannot be formatted as an SQL identifier",
                ));
            }
            (_, Some(value)) => quote_literal(value),
            (_, None) => "NULL".to_owned(),
        };
        let missing = width.saturating_sub(count(&text));
        if missing > TEXT_BYTES_MAX {
            return Err(too_large());
        }
        let pad = " ".repeat(missing);
        if left_aligned {
            out.push_str(&text);
            out.push_str(&pad);
        } else {
            out.push_str(&pad);
            out.push_str(&text);
        }
    }
    out.push_str(rest);
    Ok(out)
}

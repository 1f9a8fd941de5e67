//! `LIKE`, `ILIKE` and `SIMILAR TO` with PostgreSQL's meaning.
//!
//! Source: PostgreSQL manual, 9.7.1 and 9.7.2.

use super::errors::{PgError, Result};
use super::regexp::{Flags, Pattern};
use super::text;

/// `text LIKE pattern`. `escape` is `None` when there is none. Errors: 22025.
pub fn like(text: &str, pattern: &str, escape: Option<char>) -> Result<bool> {
    let (t, p) = (text.as_bytes(), pattern.as_bytes());
    let mut mark = [0u8; 4];
    let mark: &[u8] = escape.map_or(&[], |c| c.encode_utf8(&mut mark).as_bytes());
    let is_escape = |at: usize| !mark.is_empty() && p[at..].starts_with(mark);
    let (mut at, mut pat) = (0, 0);
    // Where to go on after a mismatch: the pattern behind the last `%`, and the text it was last tried at.
    let mut retry: Option<(usize, usize)> = None;
    // Only wildcards since the last `%`: PostgreSQL looks at what follows them even at the text's end.
    let mut in_wildcards = false;
    while at < t.len() {
        let mut matched = false;
        if pat < p.len() {
            if is_escape(pat) {
                let literal = pat + mark.len();
                if literal >= p.len() {
                    return Err(unfinished());
                }
                let width = char_width(p[literal]);
                if t[at..].starts_with(&p[literal..(literal + width).min(p.len())]) {
                    at += width;
                    pat = literal + width;
                    matched = true;
                    in_wildcards = false;
                }
            } else if p[pat] == b'%' {
                pat += 1;
                retry = Some((pat, at));
                matched = true;
                in_wildcards = true;
            } else if p[pat] == b'_' {
                at += char_width(t[at]);
                pat += 1;
                matched = true;
            } else if p[pat] == t[at] {
                at += 1;
                pat += 1;
                matched = true;
                in_wildcards = false;
            }
        }
        if matched {
            if pat == p.len() && retry.is_some_and(|(behind, _)| behind == pat) {
                return Ok(true);
            }
            continue;
        }
        match retry {
            None => return Ok(false),
            Some((behind, from)) => {
                let mut next = from + char_width(t[from]);
                // Jump to the next place where the pattern's first byte stands.
                if behind < p.len() && !matches!(p[behind], b'%' | b'_') && !is_escape(behind) {
                    match memchr::memchr(p[behind], t.get(next..).unwrap_or_default()) {
                        Some(skip) => next += skip,
                        None => return Ok(false),
                    }
                }
                retry = Some((behind, next));
                (at, pat) = (next, behind);
                in_wildcards = false;
            }
        }
    }
    let mut rest = pat;
    while p.get(rest) == Some(&b'%') && !is_escape(rest) {
        rest += 1;
    }
    if in_wildcards && is_escape(rest) && rest + mark.len() >= p.len() {
        return Err(unfinished());
    }
    Ok(rest == p.len())
}

fn unfinished() -> PgError {
    PgError::new("22025", "LIKE pattern must not end with escape character")
}

fn char_width(first: u8) -> usize {
    match first {
        0..0x80 => 1,
        0x80..0xe0 => 2,
        0xe0..0xf0 => 3,
        _ => 4,
    }
}

/// `text ILIKE pattern`: both are made lower case first. Errors: 22025.
pub fn ilike(text: &str, pattern: &str, escape: Option<char>) -> Result<bool> {
    if text.is_ascii() && pattern.is_ascii() {
        return like(&text.to_ascii_lowercase(), &pattern.to_ascii_lowercase(), escape);
    }
    like(&text::lower(text), &text::lower(pattern), escape)
}

/// The character of an `ESCAPE` clause; the empty text means none. Errors: 22025.
pub fn escape_character(text: &str) -> Result<Option<char>> {
    let mut chars = text.chars();
    match (chars.next(), chars.next()) {
        (first, None) => Ok(first),
        _ => Err(PgError::new("22025", "invalid escape string").hint("Escape string must be empty or one character.")),
    }
}

/// The regular expression of a `SIMILAR TO` pattern. Errors: 2201B, 22025.
pub fn similar(pattern: &str, escape: Option<char>) -> Result<Pattern> {
    let mut out = String::from("^(?:");
    let mut chars = pattern.chars().peekable();
    let mut in_bracket = false;
    while let Some(c) = chars.next() {
        if Some(c) == escape {
            let literal = chars
                .next()
                .ok_or_else(|| PgError::new("22025", "invalid escape string"))?;
            out.push('\\');
            out.push(literal);
            continue;
        }
        if in_bracket {
            if c == ']' {
                in_bracket = false;
            }
            if c == '\\' {
                out.push('\\');
            }
            out.push(c);
            continue;
        }
        match c {
            '[' => {
                in_bracket = true;
                out.push('[');
                if chars.next_if_eq(&'^').is_some() {
                    out.push('^');
                }
                if chars.next_if_eq(&']').is_some() {
                    out.push(']');
                }
            }
            '%' => out.push_str(".*"),
            '_' => out.push('.'),
            '(' => out.push_str("(?:"),
            '\\' | '.' | '^' | '$' => {
                out.push('\\');
                out.push(c);
            }
            c => out.push(c),
        }
    }
    out.push_str(")$");
    Pattern::new(&out, Flags::default())
}

//! `to_char` of numbers.
//!
//! Taken: `9 0 . D , G FM MI S` and text. Other patterns PostgreSQL knows (`PR PL SG L TH V EEEE RN`) are refused (0A000).
//!
//! Source: PostgreSQL manual, 9.8, table 9.30; blanks, signs and zeros as PostgreSQL 15 prints them.

use super::errors::{PgError, Result};
use super::numeric::Numeric;

/// One piece of a pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Nine,
    Zero,
    Point,
    Group,
    Minus,
    Sign,
    Text(String),
}

struct Pattern {
    pieces: Vec<Piece>,
    fill: bool,
}

fn read(source: &str) -> Result<Pattern> {
    const REFUSED: [&str; 8] = ["PR", "PL", "SG", "TH", "EEEE", "RN", "V", "L"];
    let mut pieces = Vec::new();
    let mut fill = false;
    let mut rest = source;
    while let Some(c) = rest.chars().next() {
        let upper: String = rest.chars().take(4).collect::<String>().to_ascii_uppercase();
        let (piece, width) = match c {
            '9' => (Some(Piece::Nine), 1),
            '0' => (Some(Piece::Zero), 1),
            '.' | 'D' | 'd' => (Some(Piece::Point), 1),
            ',' | 'G' | 'g' => (Some(Piece::Group), 1),
            '"' => {
                let end = rest[1..].find('"').map_or(rest.len(), |at| at + 2);
                (Some(Piece::Text(rest[1..end].trim_end_matches('"').to_owned())), end)
            }
            _ if upper.starts_with("FM") => {
                fill = true;
                (None, 2)
            }
            _ if upper.starts_with("MI") => (Some(Piece::Minus), 2),
            _ if REFUSED.iter().any(|name| upper.starts_with(name)) => {
                return Err(PgError::new(
                    "0A000",
                    format!("to_char pattern \"{source}\" is not available on the embedded engine"),
                ));
            }
            'S' | 's' => (Some(Piece::Sign), 1),
            other => (Some(Piece::Text(other.to_string())), other.len_utf8()),
        };
        pieces.extend(piece);
        rest = &rest[width..];
    }
    if pieces.iter().filter(|piece| **piece == Piece::Point).count() > 1 {
        return Err(PgError::new("42601", "multiple decimal points"));
    }
    if pieces.iter().filter(|piece| **piece == Piece::Sign).count() > 1 {
        return Err(PgError::new("42601", "cannot use \"S\" twice"));
    }
    Ok(Pattern { pieces, fill })
}

/// True if a `0` keeps digits behind the point.
fn is_fraction_kept(pieces: &[Piece]) -> bool {
    pieces.contains(&Piece::Zero)
}

/// `to_char(value, pattern)`. Errors: 0A000, 42601.
pub fn to_char(value: &Numeric, source: &str) -> Result<String> {
    let Pattern { pieces, fill } = read(source)?;
    let point = pieces
        .iter()
        .position(|piece| *piece == Piece::Point)
        .unwrap_or(pieces.len());
    let is_digit = |piece: &&Piece| matches!(piece, Piece::Nine | Piece::Zero);
    let before = pieces[..point].iter().filter(is_digit).count();
    let after = pieces[point..].iter().filter(is_digit).count();
    let rounded = value.round(after as i64);
    let text = rounded.abs().to_string();
    let is_finite = matches!(value, Numeric::Finite(_));
    let negative = is_finite && rounded.compare(&Numeric::from(0)).is_lt();
    let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
    let whole = if whole == "0" && before > 0 && after > 0 {
        ""
    } else {
        whole
    };
    let overflows = !is_finite || whole.len() > before;
    // With FM nothing but a point would be left of zero, so its 0 stays.
    let is_bare =
        fill && whole.is_empty() && fraction.bytes().all(|digit| digit == b'0') && !is_fraction_kept(&pieces[point..]);
    let whole = if is_bare { "0" } else { whole };
    let whole: String = if overflows {
        "#".repeat(before)
    } else {
        whole.to_owned()
    };
    let fraction: String = if overflows {
        "#".repeat(after)
    } else {
        fraction.to_owned()
    };

    // Digits of the whole part from here on are printed: the number's, and all behind the first `0`.
    let first_zero = pieces[..point]
        .iter()
        .filter(is_digit)
        .position(|piece| *piece == Piece::Zero);
    let lead = before.saturating_sub(whole.len());
    let start = first_zero.map_or(lead, |zero| zero.min(lead));
    // With FM, zeros behind the last `0` of the fraction go.
    let kept = if fill {
        let last_zero = pieces[point..]
            .iter()
            .filter(is_digit)
            .enumerate()
            .filter(|(_, piece)| **piece == Piece::Zero)
            .last();
        fraction
            .trim_end_matches('0')
            .len()
            .max(last_zero.map_or(0, |(at, _)| at + 1))
    } else {
        after
    };

    let has_minus = pieces.contains(&Piece::Minus);
    let sign_at = pieces.iter().position(|piece| *piece == Piece::Sign);
    let sign_is_last = sign_at.is_some_and(|at| pieces[..at].iter().any(|piece| is_digit(&piece)));
    let mut pending_sign = if has_minus || sign_is_last {
        None
    } else if sign_at.is_some() {
        Some(if negative { "-" } else { "+" })
    } else if negative {
        Some("-")
    } else if fill {
        None
    } else {
        Some(" ")
    };

    let mut out = String::with_capacity(source.len() + 2);
    let (mut whole_at, mut fraction_at) = (0, 0);
    let mut behind_point = false;
    for piece in &pieces {
        match piece {
            Piece::Nine | Piece::Zero if !behind_point => {
                if whole_at >= start {
                    out.push_str(pending_sign.take().unwrap_or(""));
                    out.push(match whole_at.checked_sub(lead) {
                        Some(at) => char::from(whole.as_bytes().get(at).copied().unwrap_or(b'0')),
                        None => '0',
                    });
                } else if !fill {
                    out.push(' ');
                }
                whole_at += 1;
            }
            Piece::Nine | Piece::Zero => {
                out.push_str(pending_sign.take().unwrap_or(""));
                if fraction_at < kept {
                    out.push(char::from(
                        fraction.as_bytes().get(fraction_at).copied().unwrap_or(b'0'),
                    ));
                }
                fraction_at += 1;
            }
            Piece::Point if after == 0 && !overflows => behind_point = true,
            Piece::Point => {
                out.push_str(pending_sign.take().unwrap_or(""));
                out.push('.');
                behind_point = true;
            }
            Piece::Group => {
                if whole_at > start || (behind_point && !fill) {
                    out.push(',');
                } else if !fill {
                    out.push(' ');
                }
            }
            Piece::Minus => {
                if negative {
                    out.push('-');
                } else if !fill {
                    out.push(' ');
                }
            }
            Piece::Sign if sign_is_last => out.push(if negative { '-' } else { '+' }),
            Piece::Sign => {}
            Piece::Text(text) => out.push_str(text),
        }
    }
    Ok(out)
}

//! Digits, signs and blanks by a pattern.

use super::picture::{Description, Key, Piece, SignPlace};

/// A number's digits.
pub(super) struct Digits {
    /// ASCII: `123.45`, `###.##`, or what is written as it is (an exponent, roman figures).
    pub text: String,
    /// `None` where the sign is part of the text.
    pub is_negative: Option<bool>,
    /// Places of the pattern before the first digit.
    pub blanks: usize,
}

impl Digits {
    /// A text that stands for itself.
    pub fn whole(text: String) -> Self {
        Digits {
            text,
            is_negative: None,
            blanks: 0,
        }
    }
}

struct Writer<'a> {
    out: String,
    digits: &'a [u8],
    /// The next of `digits`.
    at: usize,
    /// Places of the pattern written so far.
    places: usize,
    /// The last of `digits` that `FM` keeps; `None` keeps all.
    last_kept: Option<usize>,
    /// A digit has been written since the last place that was blank.
    in_number: bool,
    sign_is_written: bool,
    /// One more than the places after which a sign behind the number is due.
    end: usize,
    /// The digits have run out: PostgreSQL's text ends here, whatever the pattern goes on with.
    is_over: bool,
    sign: SignPlace,
    is_negative: bool,
    brackets: bool,
    blanks: usize,
}

/// The number by the pattern.
pub(super) fn write(pieces: &[Piece], description: &Description, digits: Digits) -> String {
    if pieces.is_empty() {
        return String::new();
    }
    if description.exponent {
        return digits.text;
    }
    if description.roman {
        return write_roman(pieces, description.fill, &digits.text);
    }
    let is_negative = digits.is_negative.unwrap_or(false);
    let mut writer = Writer {
        out: String::new(),
        digits: digits.text.as_bytes(),
        at: 0,
        places: 0,
        last_kept: last_kept(description, &digits),
        in_number: false,
        sign_is_written: false,
        end: 0,
        is_over: false,
        sign: description.sign,
        is_negative,
        brackets: description.brackets && (is_negative || !description.fill),
        blanks: digits.blanks,
    };
    if description.plus || description.minus {
        // `MI`, `PL` and `SG` write it where they stand; `PL` alone leaves a minus to the number.
        writer.sign_is_written = description.minus;
    } else {
        writer.sign_is_written = !is_negative && description.fill && description.sign == SignPlace::None;
        if description.sign == SignPlace::Before && description.before == description.before_sign {
            writer.sign = SignPlace::Behind;
        }
    }
    writer.end = description.behind + description.before + usize::from(description.has_point);
    if digits.blanks > 0 {
        writer.end += 1;
    }
    if !writer.sign_is_written && digits.blanks == 0 {
        writer.end += 1;
    }
    for piece in pieces {
        match piece {
            Piece::Text(c) => writer.out.push(*c),
            Piece::Key(key) => writer.key(*key, description, &digits.text),
        }
        if writer.is_over {
            break;
        }
    }
    writer.out
}

/// With `FM` zeros at the end of the fraction go, but those under a `0` stay.
fn last_kept(description: &Description, digits: &Digits) -> Option<usize> {
    if !description.fill || !description.has_point {
        return None;
    }
    let point = digits.text.find('.')?;
    let behind = digits.text[point..].trim_end_matches('0').len().max(1);
    let mut last = point + behind - 1;
    if description.last_zero > digits.blanks {
        last = last.max((digits.text.len() - 1).min(description.last_zero - digits.blanks));
    }
    Some(last)
}

impl Writer<'_> {
    fn key(&mut self, key: Key, description: &Description, number: &str) {
        match key {
            Key::Nine | Key::Zero | Key::Point => self.place(key, description),
            Key::Group => {
                if self.in_number {
                    self.out.push(',');
                } else if !description.fill {
                    self.out.push(' ');
                }
            }
            Key::Ordinal { upper } if !number.starts_with('#') && !self.is_negative && !description.has_point => {
                self.out.push_str(ordinal(number, upper));
            }
            Key::Minus => self.written_if(self.is_negative, '-', description.fill),
            Key::Plus => self.written_if(!self.is_negative, '+', description.fill),
            Key::PlusOrMinus => self.out.push(if self.is_negative { '-' } else { '+' }),
            _ => {}
        }
    }

    fn written_if(&mut self, holds: bool, sign: char, fill: bool) {
        if holds {
            self.out.push(sign);
        } else if !fill {
            self.out.push(' ');
        }
    }

    /// The zero before the point of a fraction, for which a pattern of nines has a blank.
    fn is_bare_zero(&self, description: &Description) -> bool {
        description.first_zero.is_none()
            && self.at == 0
            && self.digits.first() == Some(&b'0')
            && description.behind != 0
    }

    fn point_is_last(&self) -> bool {
        self.last_kept.is_some_and(|last| self.digits.get(last) == Some(&b'.'))
    }

    fn sign(&self) -> char {
        if self.is_negative { '-' } else { '+' }
    }

    fn place(&mut self, key: Key, description: &Description) {
        self.in_number = false;
        let is_first_zero = description.first_zero == Some(self.places);
        if !self.sign_is_written
            && (self.places >= self.blanks || is_first_zero)
            && (!self.is_bare_zero(description) || self.point_is_last())
        {
            self.open_sign(description.fill);
        }
        let zeros_begun = description.first_zero.is_some_and(|first| first <= self.places);
        if self.places < self.blanks {
            if zeros_begun {
                self.out.push('0');
                self.in_number = true;
            } else if !description.fill {
                self.out.push(' ');
            }
        } else {
            self.digit(key, description);
        }
        if !self.is_over && self.places + 2 == self.end && self.last_kept != Some(self.at) {
            if self.sign_is_written && self.brackets {
                self.out.push(if self.is_negative { '>' } else { ' ' });
            } else if self.sign == SignPlace::Behind {
                self.out.push(self.sign());
            }
        }
        self.places += 1;
    }

    fn open_sign(&mut self, fill: bool) {
        match self.sign {
            SignPlace::Before => self.out.push(self.sign()),
            SignPlace::Behind => return,
            SignPlace::None if self.brackets => self.out.push(if self.is_negative { '<' } else { ' ' }),
            SignPlace::None if self.is_negative => self.out.push('-'),
            SignPlace::None if !fill => self.out.push(' '),
            SignPlace::None => {}
        }
        self.sign_is_written = true;
    }

    fn digit(&mut self, key: Key, description: &Description) {
        match self.digits.get(self.at) {
            Some(b'.') => {
                if !self.point_is_last() || description.fill {
                    self.out.push('.');
                }
            }
            next => {
                let is_kept = self.last_kept.is_none_or(|last| self.at <= last) || key == Key::Zero;
                if is_kept && self.is_bare_zero(description) {
                    if !description.fill {
                        self.out.push(' ');
                    } else if self.point_is_last() {
                        self.out.push('0');
                    }
                } else if is_kept {
                    match next {
                        Some(next) => self.out.push(char::from(*next)),
                        None => self.is_over = true,
                    }
                    self.in_number = true;
                }
            }
        }
        if self.at < self.digits.len() {
            self.at += 1;
        }
    }
}

fn write_roman(pieces: &[Piece], fill: bool, figures: &str) -> String {
    let mut out = String::new();
    for piece in pieces {
        match piece {
            Piece::Text(c) => out.push(*c),
            Piece::Key(Key::Roman { upper }) => {
                let text = if *upper {
                    figures.to_owned()
                } else {
                    figures.to_ascii_lowercase()
                };
                out.push_str(&if fill { text } else { format!("{text:>15}") });
            }
            Piece::Key(Key::Group | Key::Minus | Key::Plus) if !fill => out.push(' '),
            // PostgreSQL ends the text where the sign would stand.
            Piece::Key(Key::PlusOrMinus) => break,
            Piece::Key(_) => {}
        }
    }
    out
}

/// The ending of an ordinal number.
fn ordinal(number: &str, upper: bool) -> &'static str {
    let mut last = number.bytes().rev();
    let (ones, tens) = (last.next(), last.next());
    match (tens, ones, upper) {
        (Some(b'1'), _, true) => "TH",
        (Some(b'1'), _, false) => "th",
        (_, Some(b'1'), true) => "ST",
        (_, Some(b'1'), false) => "st",
        (_, Some(b'2'), true) => "ND",
        (_, Some(b'2'), false) => "nd",
        (_, Some(b'3'), true) => "RD",
        (_, Some(b'3'), false) => "rd",
        (_, _, true) => "TH",
        (_, _, false) => "th",
    }
}

//! A number pattern as pieces, and what they say together.

use super::super::errors::{PgError, Result};

/// One element of a pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Key {
    Nine,
    Zero,
    /// `.` and `D`.
    Point,
    /// `,` and `G`.
    Group,
    /// `MI`
    Minus,
    /// `PL`
    Plus,
    /// `SG`
    PlusOrMinus,
    /// `S`
    Sign,
    /// `PR`
    Brackets,
    /// `RN`
    Roman {
        upper: bool,
    },
    /// `TH`
    Ordinal {
        upper: bool,
    },
    /// `EEEE`
    Exponent,
    /// `FM`
    Fill,
    /// `B`
    Blank,
    /// `V`
    Shift,
    /// `L`, which depends on a locale.
    Currency,
    /// `C` and `SP`, which PostgreSQL reads and does nothing with.
    Idle,
}

pub(super) enum Piece {
    Key(Key),
    Text(char),
}

/// Longest first where one begins another; both all upper and all lower case count.
const KEYS: [(&str, Key); 22] = [
    ("9", Key::Nine),
    ("0", Key::Zero),
    (".", Key::Point),
    ("D", Key::Point),
    (",", Key::Group),
    ("G", Key::Group),
    ("MI", Key::Minus),
    ("PL", Key::Plus),
    ("PR", Key::Brackets),
    ("SG", Key::PlusOrMinus),
    ("SP", Key::Idle),
    ("S", Key::Sign),
    ("RN", Key::Roman { upper: true }),
    ("rn", Key::Roman { upper: false }),
    ("TH", Key::Ordinal { upper: true }),
    ("th", Key::Ordinal { upper: false }),
    ("EEEE", Key::Exponent),
    ("FM", Key::Fill),
    ("B", Key::Blank),
    ("C", Key::Idle),
    ("L", Key::Currency),
    ("V", Key::Shift),
];

/// Where `S` stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum SignPlace {
    #[default]
    None,
    Before,
    Behind,
}

/// What the elements say together.
#[derive(Clone, Debug, Default)]
pub(super) struct Description {
    /// Digits before the point and behind it.
    pub before: usize,
    pub behind: usize,
    /// How many digits stand before the first `0`, if that is before the point.
    pub first_zero: Option<usize>,
    /// How many digits stand up to and with the last `0`.
    pub last_zero: usize,
    pub sign: SignPlace,
    /// Digits before the `S`.
    pub before_sign: usize,
    /// Digits behind `V`.
    pub shift: usize,
    pub has_point: bool,
    pub fill: bool,
    pub minus: bool,
    pub plus: bool,
    pub brackets: bool,
    pub roman: bool,
    pub exponent: bool,
    has_shift: bool,
    blank: bool,
}

impl Description {
    /// Takes one more element in. Errors: 42601, 0A000.
    fn take(&mut self, key: Key) -> Result<()> {
        let refuse = |message: &str| Err(PgError::new("42601", message));
        if self.exponent && key != Key::Exponent {
            return refuse("\"EEEE\" must be the last pattern used");
        }
        match key {
            Key::Nine => {
                if self.brackets {
                    return refuse("\"9\" must be ahead of \"PR\"");
                }
                *(if self.has_shift {
                    &mut self.shift
                } else if self.has_point {
                    &mut self.behind
                } else {
                    &mut self.before
                }) += 1;
            }
            Key::Zero => {
                if self.brackets {
                    return refuse("\"0\" must be ahead of \"PR\"");
                }
                if self.has_point {
                    self.behind += 1;
                } else {
                    self.first_zero.get_or_insert(self.before);
                    self.before += 1;
                }
                self.last_zero = self.before + self.behind;
            }
            Key::Blank => self.blank |= self.before == 0 && self.behind == 0,
            Key::Point => {
                if self.has_point {
                    return refuse("multiple decimal points");
                }
                if self.has_shift {
                    return refuse("cannot use \"V\" and decimal point together");
                }
                self.has_point = true;
            }
            Key::Fill => self.fill = true,
            Key::Sign => {
                if self.sign != SignPlace::None {
                    return refuse("cannot use \"S\" twice");
                }
                if self.plus || self.minus || self.brackets {
                    return refuse("cannot use \"S\" and \"PL\"/\"MI\"/\"SG\"/\"PR\" together");
                }
                self.before_sign = self.before;
                self.sign = if self.has_point {
                    SignPlace::Behind
                } else {
                    SignPlace::Before
                };
            }
            Key::Minus | Key::Plus | Key::PlusOrMinus => {
                if self.sign != SignPlace::None {
                    return refuse(match key {
                        Key::Minus => "cannot use \"S\" and \"MI\" together",
                        Key::Plus => "cannot use \"S\" and \"PL\" together",
                        _ => "cannot use \"S\" and \"SG\" together",
                    });
                }
                self.minus |= key != Key::Plus;
                self.plus |= key != Key::Minus;
            }
            Key::Brackets => {
                if self.sign != SignPlace::None || self.plus || self.minus {
                    return refuse("cannot use \"PR\" and \"S\"/\"PL\"/\"MI\"/\"SG\" together");
                }
                self.brackets = true;
            }
            Key::Roman { .. } => self.roman = true,
            Key::Shift => {
                if self.has_point {
                    return refuse("cannot use \"V\" and decimal point together");
                }
                self.has_shift = true;
            }
            Key::Exponent => {
                if self.exponent {
                    return refuse("cannot use \"EEEE\" twice");
                }
                let signs = self.sign != SignPlace::None || self.brackets || self.minus || self.plus;
                if signs || self.blank || self.fill || self.roman || self.has_shift {
                    return Err(PgError::new("42601", "\"EEEE\" is incompatible with other formats")
                        .detail("\"EEEE\" may only be used together with digit and decimal point patterns."));
                }
                self.exponent = true;
            }
            Key::Currency => {
                return Err(PgError::new(
                    "0A000",
                    "to_char pattern \"L\" is not available on the embedded engine",
                ));
            }
            Key::Group | Key::Ordinal { .. } | Key::Idle => {}
        }
        Ok(())
    }
}

/// Reads a pattern. Errors: 42601, 0A000.
pub(super) fn read(source: &str) -> Result<(Vec<Piece>, Description)> {
    let mut pieces = Vec::new();
    let mut description = Description::default();
    let mut rest = source;
    'next: while let Some(c) = rest.chars().next() {
        for (name, key) in KEYS {
            let lower = name.to_ascii_lowercase();
            // What has a spelling for each case is listed twice.
            let is_cased = matches!(key, Key::Roman { .. } | Key::Ordinal { .. });
            if rest.starts_with(name) || (!is_cased && rest.starts_with(&lower)) {
                description.take(key)?;
                pieces.push(Piece::Key(key));
                rest = &rest[name.len()..];
                continue 'next;
            }
        }
        let mut chars = rest.chars();
        chars.next();
        if c == '"' {
            while let Some(inner) = chars.next() {
                match inner {
                    '"' => break,
                    '\\' => pieces.push(Piece::Text(chars.next().unwrap_or('\\'))),
                    other => pieces.push(Piece::Text(other)),
                }
            }
        } else if c == '\\' && rest[1..].starts_with('"') {
            chars.next();
            pieces.push(Piece::Text('"'));
        } else {
            pieces.push(Piece::Text(c));
        }
        rest = chars.as_str();
    }
    Ok((pieces, description))
}

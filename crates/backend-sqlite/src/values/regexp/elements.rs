//! Escapes and bracket expressions.

use super::super::errors::{PgError, Result};
use super::parse::{Item, Parser};
use super::syntax::{Node, Place};
use super::{invalid, unavailable};

/// The characters of words, in the syntax of the linear-time engine.
const WORD: &str = "\\p{Alphabetic}\\p{Nd}_";

impl Parser<'_> {
    fn hex(&mut self, digits: usize) -> Result<char> {
        let mut value = 0u32;
        for _ in 0..digits {
            let digit = self.chars.next().and_then(|c| c.to_digit(16));
            value = value * 16 + digit.ok_or_else(bad_escape)?;
        }
        char::from_u32(value).filter(|c| *c != '\0').ok_or_else(bad_escape)
    }

    /// A character named by an escape, where `c` followed the backslash.
    fn character_escape(&mut self, c: char) -> Result<Option<char>> {
        Ok(Some(match c {
            'a' => '\u{7}',
            'b' => '\u{8}',
            'B' => '\\',
            'e' => '\u{1b}',
            'f' => '\u{c}',
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            'v' => '\u{b}',
            'u' => self.hex(4)?,
            'U' => self.hex(8)?,
            'x' => {
                let mut value = 0u32;
                let mut any = false;
                while let Some(digit) = self.chars.next_if(char::is_ascii_hexdigit) {
                    value = value.saturating_mul(16).saturating_add(digit.to_digit(16).unwrap_or(0));
                    any = true;
                }
                if !any {
                    return Err(bad_escape());
                }
                char::from_u32(value).ok_or_else(|| unavailable("escapes of what is no character"))?
            }
            'c' => {
                let control = self.chars.next().ok_or_else(bad_escape)?;
                char::from_u32(u32::from(control) & 31).unwrap_or(control)
            }
            '0' => self.octal("0")?,
            c if !c.is_ascii_alphanumeric() => c,
            _ => return Ok(None),
        }))
    }

    /// The character of one to three octal digits, of which some were read.
    fn octal(&mut self, read: &str) -> Result<char> {
        let mut value = 0u32;
        let mut count = 0;
        for digit in read.chars() {
            value = value * 8 + digit.to_digit(8).ok_or_else(bad_escape)?;
            count += 1;
        }
        while count < 3 {
            let next = self.chars.peek().and_then(|c| c.to_digit(8));
            let Some(digit) = next.filter(|digit| value * 8 + digit <= 0xff) else {
                break;
            };
            self.chars.next();
            value = value * 8 + digit;
            count += 1;
        }
        char::from_u32(value).ok_or_else(bad_escape)
    }

    /// `\1` and its like: a group's content, or a character in octal.
    fn back_reference(&mut self, first: char) -> Result<Item> {
        let mut ahead = self.chars.clone();
        let mut digits = String::from(first);
        while let Some(digit) = ahead.next_if(char::is_ascii_digit) {
            digits.push(digit);
        }
        let number = digits.parse::<usize>().unwrap_or(usize::MAX);
        if digits.len() > 1 && number > self.opened {
            let mut buffer = [0; 4];
            let c = self.octal(first.encode_utf8(&mut buffer))?;
            return self.literal(c);
        }
        self.chars = ahead;
        if self.in_look || !self.closed.contains(&number) {
            return Err(invalid("invalid backreference number"));
        }
        Ok(Item::Atom(Node::Back(number)))
    }

    pub(super) fn escape(&mut self) -> Result<Item> {
        let c = self.chars.next().ok_or_else(bad_escape)?;
        let place = |place| Ok(Item::Constraint(Node::Place(place)));
        match c {
            'd' => self.class("[0-9]".to_owned()),
            // These two match newlines in every mode.
            'D' => self.class("[^0-9]".to_owned()),
            'w' => self.class(format!("[{WORD}]")),
            'W' => self.class(format!("[^{WORD}]")),
            's' => self.class("\\s".to_owned()),
            'S' => self.class("\\S".to_owned()),
            'm' => place(Place::WordBegin),
            'M' => place(Place::WordEnd),
            'y' => place(Place::WordEdge),
            'Y' => place(Place::NoWordEdge),
            'A' => place(Place::TextBegin),
            'Z' => place(Place::TextEnd),
            '1'..='9' => self.back_reference(c),
            c => {
                let character = self.character_escape(c)?.ok_or_else(bad_escape)?;
                self.literal(character)
            }
        }
    }

    pub(super) fn bracket(&mut self) -> Result<Item> {
        let unbalanced = || invalid("brackets [] not balanced");
        let mut body = String::new();
        let negated = self.chars.next_if_eq(&'^').is_some();
        let mut first = true;
        // The last single character, while it may still begin a range.
        let mut last: Option<char> = None;
        loop {
            let c = self.chars.next().ok_or_else(unbalanced)?;
            let single = match c {
                ']' if !first => break,
                '[' if self.chars.peek() == Some(&':') => {
                    self.chars.next();
                    let mut name = String::new();
                    loop {
                        match self.chars.next().ok_or_else(unbalanced)? {
                            ':' => break,
                            c => name.push(c),
                        }
                    }
                    if self.chars.next() != Some(']') {
                        return Err(unbalanced());
                    }
                    if body.is_empty() && !negated && matches!(name.as_str(), "<" | ">") {
                        if self.chars.next() != Some(']') {
                            return Err(invalid("invalid character class"));
                        }
                        let place = if name == "<" { Place::WordBegin } else { Place::WordEnd };
                        return Ok(Item::Constraint(Node::Place(place)));
                    }
                    body.push_str(named_class(&name).ok_or_else(|| invalid("invalid character class"))?);
                    last = None;
                    first = false;
                    continue;
                }
                '[' if matches!(self.chars.peek(), Some('.' | '=')) => {
                    return Err(invalid("invalid collating element"));
                }
                '\\' => {
                    let escaped = self.chars.next().ok_or_else(unbalanced)?;
                    let class = match escaped {
                        'd' => Some("0-9"),
                        'w' => Some(WORD),
                        's' => Some("\\s"),
                        _ => None,
                    };
                    if let Some(class) = class {
                        body.push_str(class);
                        last = None;
                        first = false;
                        continue;
                    }
                    self.character_escape(escaped)?.ok_or_else(bad_escape)?
                }
                '-' if last.is_some() && self.chars.peek().is_some_and(|next| *next != ']') => {
                    let mut high = self.chars.next().ok_or_else(unbalanced)?;
                    if high == '\\' {
                        let escaped = self.chars.next().ok_or_else(unbalanced)?;
                        high = self.character_escape(escaped)?.ok_or_else(bad_escape)?;
                    }
                    if last.is_some_and(|low| low > high) {
                        return Err(invalid("invalid character range"));
                    }
                    body.push('-');
                    push_class_char(&mut body, high);
                    last = None;
                    continue;
                }
                c => c,
            };
            push_class_char(&mut body, single);
            last = Some(single);
            first = false;
        }
        let (mark, newline) = match (negated, self.flags.newline_stops) {
            (true, true) => ("^", "\\n"),
            (true, false) => ("^", ""),
            (false, _) => ("", ""),
        };
        self.class(format!("[{mark}{body}{newline}]"))
    }
}

fn bad_escape() -> PgError {
    invalid("invalid escape \\ sequence")
}

fn named_class(name: &str) -> Option<&'static str> {
    Some(match name {
        "alpha" => "\\p{Alphabetic}",
        "alnum" => "\\p{Alphabetic}\\p{Nd}",
        "upper" => "\\p{Uppercase}",
        "lower" => "\\p{Lowercase}",
        "digit" => "0-9",
        "xdigit" => "0-9A-Fa-f",
        "space" => "\\s",
        "blank" => " \\t",
        "punct" => "!-/:-@\\[-`{-~\\p{P}\\p{S}",
        "cntrl" => "\\p{Cc}",
        "graph" => "[\\S&&[^\\p{Cc}]]",
        "print" => "\\P{Cc}",
        "word" => WORD,
        "ascii" => "\\x00-\\x7F",
        _ => return None,
    })
}

fn push_class_char(body: &mut String, c: char) {
    if c == '\0' {
        body.push_str("\\x00");
        return;
    }
    if c.is_ascii_punctuation() {
        body.push('\\');
    }
    body.push(c);
}

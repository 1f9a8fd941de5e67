//! `tsvector`: lexemes in order, with their positions and weights.
//!
//! Source: PostgreSQL 15 manual, 8.11.1 and 12.4.1.

use std::fmt;

use super::super::errors::{PgError, Result};
use super::entry::{self, Syntax};
use super::sort::sort;
use super::{POSITION_MAX, POSITIONS_MAX, VECTOR_BYTES_MAX, WORD_BYTES_MAX};

/// A position, 1 to 16,383, with its weight, 0 for D to 3 for A.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark(u16);

impl Mark {
    pub fn new(position: u16, weight: u8) -> Self {
        Mark(u16::from(weight) << 14 | position & POSITION_MAX)
    }

    pub fn position(self) -> u16 {
        self.0 & POSITION_MAX
    }

    pub fn weight(self) -> u8 {
        (self.0 >> 14) as u8
    }

    /// Both as one number: the weight above the position.
    pub fn raw(self) -> u16 {
        self.0
    }
}

/// The weight that a letter stands for.
pub fn weight_of(letter: char) -> Option<u8> {
    match letter.to_ascii_uppercase() {
        'A' => Some(3),
        'B' => Some(2),
        'C' => Some(1),
        'D' => Some(0),
        _ => None,
    }
}

/// One word of a document. Words without marks have been stripped of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lexeme {
    pub word: String,
    pub marks: Vec<Mark>,
}

/// A document: each word once, in the order of their bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TsVector {
    words: Vec<Lexeme>,
}

impl TsVector {
    /// From words in order, each once.
    pub fn of(words: Vec<Lexeme>) -> Self {
        TsVector { words }
    }

    /// `array_to_tsvector`: the words without positions. Errors: 22004, 2200F.
    pub fn from_words(words: Vec<Option<String>>) -> Result<Self> {
        let mut found = Vec::with_capacity(words.len());
        for word in words {
            let Some(word) = word else {
                return Err(PgError::new("22004", "lexeme array may not contain nulls"));
            };
            if word.is_empty() {
                return Err(PgError::new("2200F", "lexeme array may not contain empty strings"));
            }
            let marks = Vec::new();
            found.push(Lexeme { word, marks });
        }
        found.sort_by(|a, b| a.word.cmp(&b.word));
        found.dedup();
        Ok(TsVector { words: found })
    }

    /// Refuses a document that PostgreSQL could not store. Errors: 54000.
    pub fn measured(self) -> Result<Self> {
        let mut bytes = 0;
        for lexeme in &self.words {
            bytes += lexeme.word.len();
            if !lexeme.marks.is_empty() {
                bytes = bytes.next_multiple_of(2) + 2 + 2 * lexeme.marks.len();
            }
        }
        if bytes > VECTOR_BYTES_MAX {
            let message = format!("string is too long for tsvector ({bytes} bytes, max {VECTOR_BYTES_MAX} bytes)");
            return Err(PgError::new("54000", message));
        }
        Ok(self)
    }

    /// Reads PostgreSQL's text form. Errors: 42601, 54000.
    pub fn parse(text: &str) -> Result<Self> {
        let mut words: Vec<Lexeme> = Vec::new();
        let mut at = 0;
        let mut in_order = true;
        let mut bytes = 0;
        while let Some(entry) = entry::read(text, at, Syntax::Document)? {
            at = entry.end;
            let (word, marks) = (entry.word, entry.marks);
            if word.len() > WORD_BYTES_MAX {
                let message = format!("word is too long ({} bytes, max {WORD_BYTES_MAX} bytes)", word.len());
                return Err(PgError::new("54000", message));
            }
            if bytes > VECTOR_BYTES_MAX {
                let message = format!("string is too long for tsvector ({bytes} bytes, max {VECTOR_BYTES_MAX} bytes)");
                return Err(PgError::new("54000", message));
            }
            bytes += word.len();
            in_order &= words.last().is_none_or(|last| last.word < word);
            in_order &= marks.len() <= POSITIONS_MAX;
            in_order &= marks.windows(2).all(|pair| pair[0].position() < pair[1].position());
            words.push(Lexeme { word, marks });
        }
        if !in_order {
            sort(&mut words, &|a, b| a.word.cmp(&b.word));
            words = merged(words);
        }
        TsVector { words }.measured()
    }

    pub fn words(&self) -> &[Lexeme] {
        &self.words
    }

    /// The place of the first word that is not less than `word`.
    pub fn first_from(&self, word: &str) -> usize {
        self.words.partition_point(|lexeme| lexeme.word.as_str() < word)
    }

    /// `strip`: no positions.
    pub fn strip(mut self) -> Self {
        for lexeme in &mut self.words {
            lexeme.marks.clear();
        }
        self
    }

    /// `setweight`: one weight for all positions, of the listed words only if there is a list.
    pub fn set_weight(mut self, weight: u8, only: Option<&[String]>) -> Self {
        for lexeme in &mut self.words {
            if only.is_none_or(|only| only.contains(&lexeme.word)) {
                for mark in &mut lexeme.marks {
                    *mark = Mark::new(mark.position(), weight);
                }
            }
        }
        self
    }

    /// `ts_delete`: without the listed words.
    pub fn without(mut self, words: &[String]) -> Self {
        self.words.retain(|lexeme| !words.contains(&lexeme.word));
        self
    }

    /// `ts_filter`: the positions of these weights (bits), and the words that have any.
    pub fn filter(mut self, weights: u8) -> Self {
        for lexeme in &mut self.words {
            lexeme.marks.retain(|mark| weights & 1 << mark.weight() != 0);
        }
        self.words.retain(|lexeme| !lexeme.marks.is_empty());
        self
    }

    /// `||`: the other's positions come after the last of this one's.
    pub fn concat(self, other: TsVector) -> Result<Self> {
        let last = |words: &[Lexeme]| {
            words
                .iter()
                .flat_map(|lexeme| &lexeme.marks)
                .map(|mark| mark.position())
                .max()
        };
        let shift = last(&self.words).unwrap_or(0);
        let moved = |marks: &mut Vec<Mark>, has_room: usize| {
            let mut moved: Vec<Mark> = Vec::new();
            for mark in marks.drain(..).take(has_room) {
                let position = (mark.position().saturating_add(shift)).min(POSITION_MAX);
                if moved.last().is_some_and(|last| last.position() == POSITION_MAX) {
                    break;
                }
                moved.push(Mark::new(position, mark.weight()));
            }
            moved
        };
        let mut words: Vec<Lexeme> = Vec::with_capacity(self.words.len() + other.words.len());
        let (mut left, mut right) = (self.words.into_iter().peekable(), other.words.into_iter().peekable());
        loop {
            let take_left = match (left.peek(), right.peek()) {
                (None, None) => break,
                (Some(_), None) => true,
                (None, Some(_)) => false,
                (Some(l), Some(r)) => l.word <= r.word,
            };
            if !take_left {
                if let Some(mut lexeme) = right.next() {
                    lexeme.marks = moved(&mut lexeme.marks, POSITIONS_MAX);
                    words.push(lexeme);
                }
                continue;
            }
            let Some(mut lexeme) = left.next() else { break };
            if let Some(mut same) = right.next_if(|other| other.word == lexeme.word) {
                let full = lexeme.marks.last().is_some_and(|last| last.position() == POSITION_MAX);
                if lexeme.marks.is_empty() {
                    lexeme.marks = moved(&mut same.marks, POSITIONS_MAX);
                } else if !full {
                    let room = POSITIONS_MAX.saturating_sub(lexeme.marks.len());
                    lexeme.marks.extend(moved(&mut same.marks, room));
                }
            }
            words.push(lexeme);
        }
        TsVector { words }.measured()
    }
}

/// Words that come more than once, in order, made one: their positions in order, of equal ones the greatest weight.
fn merged(words: Vec<Lexeme>) -> Vec<Lexeme> {
    let mut done: Vec<Lexeme> = Vec::with_capacity(words.len());
    for lexeme in words {
        match done.last_mut().filter(|last| last.word == lexeme.word) {
            Some(last) => last.marks.extend(lexeme.marks),
            None => done.push(lexeme),
        }
    }
    for lexeme in &mut done {
        sort(&mut lexeme.marks, &|a, b| a.position().cmp(&b.position()));
        let mut marks: Vec<Mark> = Vec::with_capacity(lexeme.marks.len());
        for mark in &lexeme.marks {
            let full = marks.len() == POSITIONS_MAX
                || marks.len() > 1 && marks.last().is_some_and(|last| last.position() == POSITION_MAX);
            if full {
                break;
            }
            match marks.last_mut().filter(|last| last.position() == mark.position()) {
                Some(last) if mark.weight() > last.weight() => *last = *mark,
                Some(_) => {}
                None => marks.push(*mark),
            }
        }
        lexeme.marks = marks;
    }
    done
}

/// Writes a word in quotes.
pub fn write_word(word: &str, out: &mut String) {
    out.push('\'');
    for c in word.chars() {
        if matches!(c, '\'' | '\\') {
            out.push(c);
        }
        out.push(c);
    }
    out.push('\'');
}

impl fmt::Display for TsVector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = String::new();
        for lexeme in &self.words {
            if !out.is_empty() {
                out.push(' ');
            }
            write_word(&lexeme.word, &mut out);
            for (index, mark) in lexeme.marks.iter().enumerate() {
                out.push(if index == 0 { ':' } else { ',' });
                out.push_str(&mark.position().to_string());
                match mark.weight() {
                    3 => out.push('A'),
                    2 => out.push('B'),
                    1 => out.push('C'),
                    _ => {}
                }
            }
        }
        f.write_str(&out)
    }
}

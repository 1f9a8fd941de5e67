//! Text → query: the syntax of `tsquery`, `to_tsquery` and its sisters, and of web searches.
//!
//! Source: PostgreSQL 15 manual, 8.11.2 and 12.3.2.

use super::super::errors::{PgError, Result};
use super::config::Config;
use super::entry::{self, Syntax, is_operator};
use super::letters::{is_alphanumeric, is_space};
use super::lexemes::lexemes;
use super::query::{Item, Operand, TsQuery};
use super::{VECTOR_BYTES_MAX, WORD_BYTES_MAX};

/// Operators that wait for their right side at one level of parentheses; PostgreSQL's `STACKDEPTH`.
const WAITING_MAX: usize = 32;
/// Parentheses within parentheses.
const NESTING_MAX: usize = 10_000;

/// What a query's words become.
#[derive(Clone, Copy)]
enum Words {
    AsTheyAre,
    /// Lexemes of a configuration; those of one word are joined by the operator.
    Lexemes(Config, fn() -> Item),
}

impl TsQuery {
    /// `tsquery`'s input: words as they are. Errors: 42601, 22023, 54000.
    pub fn parse(text: &str) -> Result<Self> {
        Reader::new(text, Words::AsTheyAre).standard()
    }

    /// `to_tsquery`. Errors: as [`parse`](Self::parse).
    pub fn normalized(config: Config, text: &str) -> Result<Self> {
        Reader::new(text, Words::Lexemes(config, || Item::Phrase(1))).standard()
    }

    /// `plainto_tsquery`: all words.
    pub fn plain(config: Config, text: &str) -> Result<Self> {
        Reader::new(text, Words::Lexemes(config, || Item::And)).whole()
    }

    /// `phraseto_tsquery`: the words one after the other.
    pub fn phrase(config: Config, text: &str) -> Result<Self> {
        Reader::new(text, Words::Lexemes(config, || Item::Phrase(1))).whole()
    }

    /// `websearch_to_tsquery`: what people type. Refuses nothing but words that are too long.
    pub fn web(config: Config, text: &str) -> Result<Self> {
        Reader::new(text, Words::Lexemes(config, || Item::Phrase(1))).web()
    }
}

/// Operators that wait for their right side.
type Waiting = Vec<Item>;

struct Reader<'a> {
    text: &'a str,
    at: usize,
    words: Words,
    items: Vec<Item>,
    bytes: usize,
}

impl<'a> Reader<'a> {
    fn new(text: &'a str, words: Words) -> Self {
        Reader {
            text,
            at: 0,
            words,
            items: Vec::new(),
            bytes: 0,
        }
    }

    fn peek(&self) -> Option<char> {
        self.text[self.at..].chars().next()
    }

    fn skip(&mut self) {
        self.at += self.peek().map_or(0, char::len_utf8);
    }

    fn wrong(&self) -> PgError {
        PgError::new("42601", format!("syntax error in tsquery: \"{}\"", self.text))
    }

    fn whole(mut self) -> Result<TsQuery> {
        if !self.text.is_empty() {
            let text = self.text;
            self.word(text, 0, false)?;
        }
        Ok(TsQuery::of(self.items))
    }

    fn standard(mut self) -> Result<TsQuery> {
        let mut levels: Vec<Waiting> = vec![Vec::new()];
        let mut first = true;
        let mut wants_operand = true;
        loop {
            let Some(waiting) = levels.last_mut() else {
                return Err(self.wrong());
            };
            match (self.text[self.at..].chars().next(), wants_operand) {
                (Some('!'), true) => {
                    self.at += 1;
                    self.items.extend(released(waiting, &Item::Not));
                    wait(waiting, Item::Not)?;
                    first = false;
                }
                (Some('('), true) => {
                    self.at += 1;
                    if levels.len() > NESTING_MAX {
                        return Err(PgError::new("54001", "stack depth limit exceeded"));
                    }
                    levels.push(Vec::new());
                    first = false;
                }
                (Some(':'), true) => return Err(self.wrong()),
                (Some(c), _) if is_space(c) => self.skip(),
                (_, true) => match entry::read(self.text, self.at, Syntax::Query)? {
                    Some(found) => {
                        self.at = found.end;
                        let (weights, prefix) = self.modifiers();
                        self.word(&found.word, weights, prefix)?;
                        wants_operand = false;
                    }
                    None if first => break,
                    None => {
                        let message = format!("no operand in tsquery: \"{}\"", self.text);
                        return Err(PgError::new("42601", message));
                    }
                },
                (Some(')'), false) => {
                    self.at += 1;
                    self.items.extend(released(waiting, &Item::Or));
                    levels.pop();
                    if levels.is_empty() {
                        return Err(self.wrong());
                    }
                }
                (None, false) => break,
                (Some(c), false) => {
                    let operator = match c {
                        '&' => Item::And,
                        '|' => Item::Or,
                        _ => self.phrase_operator()?,
                    };
                    if !matches!(operator, Item::Phrase(_)) {
                        self.at += 1;
                    }
                    self.items.extend(released(waiting, &operator));
                    wait(waiting, operator)?;
                    wants_operand = true;
                    first = false;
                }
            }
        }
        if levels.len() != 1 {
            return Err(self.wrong());
        }
        if let Some(waiting) = levels.last_mut() {
            self.items.extend(released(waiting, &Item::Or));
        }
        Ok(TsQuery::of(self.items))
    }

    /// `:*AB` behind a word.
    fn modifiers(&mut self) -> (u8, bool) {
        let (mut weights, mut prefix) = (0, false);
        if self.peek() != Some(':') {
            return (weights, prefix);
        }
        self.at += 1;
        while let Some(c) = self.peek() {
            match super::vector::weight_of(c) {
                Some(weight) => weights |= 1 << weight,
                None if c == '*' => prefix = true,
                None => break,
            }
            self.at += 1;
        }
        (weights, prefix)
    }

    /// `<->` or `<n>`.
    fn phrase_operator(&mut self) -> Result<Item> {
        let rest = &self.text[self.at..];
        let inner = rest.strip_prefix('<').ok_or_else(|| self.wrong())?;
        if let Some(behind) = inner.strip_prefix("->") {
            self.at = self.text.len() - behind.len();
            return Ok(Item::Phrase(1));
        }
        let digits = inner.bytes().take_while(u8::is_ascii_digit).count();
        if digits == 0 {
            return Err(self.wrong());
        }
        let distance = inner[..digits]
            .parse::<u16>()
            .ok()
            .filter(|distance| *distance <= TsQuery::DISTANCE_MAX)
            .ok_or_else(|| {
                let limit = TsQuery::DISTANCE_MAX;
                PgError::new(
                    "22023",
                    format!("distance in phrase operator must be an integer value between zero and {limit} inclusive"),
                )
            })?;
        let behind = inner[digits..].strip_prefix('>').ok_or_else(|| self.wrong())?;
        self.at = self.text.len() - behind.len();
        Ok(Item::Phrase(distance))
    }

    fn web(mut self) -> Result<TsQuery> {
        let mut waiting: Waiting = Vec::new();
        let mut first = true;
        let mut wants_operand = true;
        loop {
            match (self.peek(), wants_operand) {
                (Some('-'), true) => {
                    self.at += 1;
                    self.items.extend(released(&mut waiting, &Item::Not));
                    wait(&mut waiting, Item::Not)?;
                    first = false;
                }
                (Some('"'), true) => {
                    let inner = &self.text[self.at + 1..];
                    let length = inner.find('"').unwrap_or(inner.len());
                    self.at = (self.at + 1 + length + 1).min(self.text.len());
                    self.word(&inner[..length], 0, false)?;
                    wants_operand = false;
                }
                (Some(c), true) if is_operator(c) => {
                    self.at += 1;
                    first = false;
                }
                (Some(c), _) if is_space(c) => self.skip(),
                (_, true) => match entry::read(self.text, self.at, Syntax::WebSearch)? {
                    Some(found) => {
                        self.at = found.end;
                        self.word(&found.word, 0, false)?;
                        wants_operand = false;
                    }
                    None if first => break,
                    None => {
                        self.items.push(Item::Stop);
                        break;
                    }
                },
                (None, false) => break,
                (Some(c), false) => {
                    let operator = if self.is_or() {
                        self.at += 2;
                        Item::Or
                    } else if is_operator(c) {
                        self.at += 1;
                        continue;
                    } else {
                        Item::And
                    };
                    self.items.extend(released(&mut waiting, &operator));
                    wait(&mut waiting, operator)?;
                    wants_operand = true;
                    first = false;
                }
            }
        }
        self.items.extend(released(&mut waiting, &Item::Or));
        Ok(TsQuery::of(self.items))
    }

    /// True where the word `or` stands for itself and something follows.
    fn is_or(&self) -> bool {
        let rest = &self.text[self.at..];
        if !rest.get(..2).is_some_and(|word| word.eq_ignore_ascii_case("or")) {
            return false;
        }
        let mut behind = rest[2..].chars();
        match behind.next() {
            None => false,
            Some(c) if matches!(c, '-' | '_') || is_alphanumeric(c) => false,
            Some(_) => behind.any(|c| !is_space(c)),
        }
    }

    /// An operand: the word itself, or the lexemes that it holds.
    fn word(&mut self, word: &str, weights: u8, prefix: bool) -> Result<()> {
        let Words::Lexemes(config, operator) = self.words else {
            return self.operand(word.to_owned(), weights, prefix);
        };
        let found = lexemes(config, word, &mut 0);
        if found.is_empty() {
            self.items.push(Item::Stop);
            return Ok(());
        }
        let mut position = 0;
        for (index, lexeme) in found.into_iter().enumerate() {
            // Stop words between two lexemes leave their places.
            if index > 0 {
                while position + 1 < lexeme.position {
                    self.items.push(Item::Stop);
                    self.items.push(operator());
                    position += 1;
                }
            }
            position = lexeme.position;
            self.operand(lexeme.word, weights, prefix)?;
            if index > 0 {
                self.items.push(operator());
            }
        }
        Ok(())
    }

    fn operand(&mut self, word: String, weights: u8, prefix: bool) -> Result<()> {
        let too_big = |what: &str| PgError::new("54000", format!("{what} in tsquery: \"{}\"", self.text));
        if word.len() > WORD_BYTES_MAX {
            return Err(too_big("word is too long"));
        }
        if self.bytes >= VECTOR_BYTES_MAX {
            return Err(too_big("value is too big"));
        }
        self.bytes += word.len() + 1;
        self.items.push(Item::Word(Operand { word, weights, prefix }));
        Ok(())
    }
}

/// The operators that an operator of this priority does not wait for.
fn released(waiting: &mut Waiting, operator: &Item) -> Vec<Item> {
    let mut done = Vec::new();
    while let Some(top) = waiting.last() {
        let stays = match operator {
            // Not binds to its right.
            Item::Not => operator.priority() >= top.priority(),
            _ => operator.priority() > top.priority(),
        };
        if stays {
            break;
        }
        done.extend(waiting.pop());
    }
    done
}

fn wait(waiting: &mut Waiting, operator: Item) -> Result<()> {
    if waiting.len() == WAITING_MAX {
        // PostgreSQL's code is XX000, which here would stand for a bug.
        return Err(PgError::new("54000", "tsquery stack too small"));
    }
    waiting.push(operator);
    Ok(())
}

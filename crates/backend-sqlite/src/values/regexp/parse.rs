//! PostgreSQL's syntax of regular expressions.

use std::iter::Peekable;
use std::str::Chars;
use std::sync::Arc;

use super::super::errors::Result;
use super::syntax::{Node, Place, Set};
use super::{Flags, invalid, unavailable};

/// Highest count in `{m,n}`.
const REPEAT_MAX: u32 = 255;
/// Quantifiers that may match nothing, at most. A few thousand in a row are too many for PostgreSQL, too.
const NULLABLE_MAX: usize = 1_000;
/// How deep parentheses are nested, at most.
const DEPTH_MAX: usize = 250;

pub(super) struct Parsed {
    pub root: Arc<Node>,
    /// Capturing parentheses.
    pub groups: usize,
    pub ignore_case: bool,
}

/// Reads an expression with its directors and embedded options. Errors: 2201B, 0A000.
pub(super) fn parse(source: &str, mut flags: Flags) -> Result<Parsed> {
    let mut body = source;
    if let Some(rest) = body.strip_prefix("***=") {
        flags.literal = true;
        body = rest;
    } else if let Some(rest) = body.strip_prefix("***:") {
        flags.literal = false;
        body = rest;
    }
    if !flags.literal
        && let Some(rest) = body.strip_prefix("(?")
        && let Some((letters, rest)) = rest.split_once(')')
        && !letters.is_empty()
        && letters.bytes().all(|byte| byte.is_ascii_alphabetic())
    {
        for letter in letters.chars() {
            flags.apply(letter)?.ok_or_else(|| invalid("invalid embedded option"))?;
        }
        body = rest;
    }
    if flags.literal {
        let one = |c| Set::of(c, flags.ignore_case).map(|set| Arc::new(Node::One(set)));
        let parts = body.chars().map(one).collect::<Result<Vec<_>>>()?;
        return Ok(Parsed {
            root: Arc::new(Node::Concat(parts)),
            groups: 0,
            ignore_case: flags.ignore_case,
        });
    }
    let mut parser = Parser {
        chars: body.chars().peekable(),
        flags,
        opened: 0,
        closed: Vec::new(),
        depth: 0,
        in_look: false,
        nullable: 0,
    };
    let root = parser.alternatives()?;
    if parser.chars.peek().is_some() {
        return Err(invalid("parentheses () not balanced"));
    }
    Ok(Parsed {
        root: Arc::new(root),
        groups: parser.opened,
        ignore_case: flags.ignore_case,
    })
}

pub(super) struct Parser<'a> {
    pub(super) chars: Peekable<Chars<'a>>,
    pub(super) flags: Flags,
    /// Capturing parentheses opened so far.
    pub(super) opened: usize,
    /// The numbers of those that are closed.
    pub(super) closed: Vec<usize>,
    depth: usize,
    pub(super) in_look: bool,
    /// Quantifiers so far that may match nothing.
    nullable: usize,
}

/// An element of a branch.
pub(super) enum Item {
    /// A quantifier may follow.
    Atom(Node),
    Constraint(Node),
    Nothing,
}

impl Parser<'_> {
    /// Branches up to a closing parenthesis or the end.
    fn alternatives(&mut self) -> Result<Node> {
        let first = self.branch()?;
        if self.chars.peek() != Some(&'|') {
            return Ok(first);
        }
        let mut branches = vec![Arc::new(first)];
        while self.chars.next_if_eq(&'|').is_some() {
            branches.push(Arc::new(self.branch()?));
        }
        Ok(Node::Alternate(branches))
    }

    fn branch(&mut self) -> Result<Node> {
        let mut parts: Vec<Arc<Node>> = Vec::new();
        while let Some(c) = self.chars.next_if(|c| !matches!(c, '|' | ')')) {
            match self.item(c)? {
                Item::Nothing => {}
                Item::Constraint(node) => parts.push(Arc::new(node)),
                Item::Atom(node) => {
                    let node = self.quantified(node)?;
                    parts.push(Arc::new(node));
                }
            }
        }
        Ok(Node::Concat(parts))
    }

    fn item(&mut self, c: char) -> Result<Item> {
        Ok(match c {
            '\\' => self.escape()?,
            '[' => self.bracket()?,
            '(' => self.open()?,
            '*' | '+' | '?' => return Err(invalid("quantifier operand invalid")),
            '{' if self.chars.peek().is_some_and(char::is_ascii_digit) => {
                return Err(invalid("quantifier operand invalid"));
            }
            '^' if self.flags.newline_anchors => Item::Constraint(Node::Place(Place::LineBegin)),
            '^' => Item::Constraint(Node::Place(Place::TextBegin)),
            '$' if self.flags.newline_anchors => Item::Constraint(Node::Place(Place::LineEnd)),
            '$' => Item::Constraint(Node::Place(Place::TextEnd)),
            '.' if self.flags.newline_stops => self.class("[^\\n]".to_owned())?,
            '.' => self.class("(?s:.)".to_owned())?,
            c if self.flags.expanded && c.is_ascii_whitespace() => Item::Nothing,
            '#' if self.flags.expanded => {
                while self.chars.next_if(|c| *c != '\n').is_some() {}
                Item::Nothing
            }
            c => self.literal(c)?,
        })
    }

    pub(super) fn literal(&self, c: char) -> Result<Item> {
        Ok(Item::Atom(Node::One(Set::of(c, self.flags.ignore_case)?)))
    }

    pub(super) fn class(&self, text: String) -> Result<Item> {
        Ok(Item::Atom(Node::One(Set::class(text, self.flags.ignore_case)?)))
    }

    /// What follows an opening parenthesis.
    fn open(&mut self) -> Result<Item> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(unavailable("parentheses nested this deep"));
        }
        let mut look = None;
        let mut captures = !self.in_look;
        if self.chars.next_if_eq(&'?').is_some() {
            captures = false;
            match self.chars.next() {
                Some(':') => {}
                Some('#') => {
                    self.chars
                        .find(|c| *c == ')')
                        .ok_or_else(|| invalid("parentheses () not balanced"))?;
                    self.depth -= 1;
                    return Ok(Item::Nothing);
                }
                Some(c @ ('=' | '!')) => look = Some((true, c == '!')),
                Some('<') if matches!(self.chars.peek(), Some('=' | '!')) => {
                    look = Some((false, self.chars.next() == Some('!')));
                }
                _ => return Err(invalid("quantifier operand invalid")),
            }
        }
        let number = if captures {
            self.opened += 1;
            Some(self.opened)
        } else {
            None
        };
        let outside = self.in_look;
        self.in_look |= look.is_some();
        let inner = self.alternatives()?;
        self.in_look = outside;
        if self.chars.next() != Some(')') {
            return Err(invalid("parentheses () not balanced"));
        }
        self.depth -= 1;
        Ok(match (look, number) {
            (Some((ahead, negative)), _) => Item::Constraint(Node::Look {
                ahead,
                negative,
                inner: Arc::new(inner),
            }),
            (None, Some(number)) => {
                self.closed.push(number);
                Item::Atom(Node::Group(number, Arc::new(inner)))
            }
            (None, None) => Item::Atom(inner),
        })
    }

    /// The atom with the quantifier that follows it, if one does.
    fn quantified(&mut self, atom: Node) -> Result<Node> {
        if self.flags.expanded {
            while self.chars.next_if(char::is_ascii_whitespace).is_some() {}
        }
        let (min, max, is_exact) = match self.chars.peek() {
            Some('*') => (0, None, false),
            Some('+') => (1, None, false),
            Some('?') => (0, Some(1), false),
            Some('{') => {
                let mut ahead = self.chars.clone();
                ahead.next();
                if !ahead.peek().is_some_and(char::is_ascii_digit) {
                    return Ok(atom);
                }
                self.chars.next();
                let (min, max, is_exact) = self.bound()?;
                return self.repeated(atom, min, max, is_exact);
            }
            _ => return Ok(atom),
        };
        self.chars.next();
        self.repeated(atom, min, max, is_exact)
    }

    fn repeated(&mut self, atom: Node, min: u32, max: Option<u32>, is_exact: bool) -> Result<Node> {
        let shorter = self.chars.next_if_eq(&'?').is_some();
        if min == 0 {
            self.nullable += 1;
            if self.nullable > NULLABLE_MAX {
                return Err(unavailable("regular expressions with so many quantifiers"));
            }
        }
        // `a**` is no expression, and so is a constraint's `^*`.
        match self.chars.peek() {
            Some('*' | '+' | '?') => return Err(invalid("quantifier operand invalid")),
            Some('{') => {
                let mut ahead = self.chars.clone();
                ahead.next();
                if ahead.peek().is_some_and(char::is_ascii_digit) {
                    return Err(invalid("quantifier operand invalid"));
                }
            }
            _ => {}
        }
        Ok(Node::Repeat {
            inner: Arc::new(atom),
            min,
            max,
            longer: if is_exact { None } else { Some(!shorter) },
        })
    }

    fn number(&mut self) -> Option<u32> {
        let mut digits = String::new();
        while let Some(digit) = self.chars.next_if(char::is_ascii_digit) {
            digits.push(digit);
        }
        digits.parse().ok()
    }

    fn bound(&mut self) -> Result<(u32, Option<u32>, bool)> {
        let bad = || invalid("invalid repetition count(s)");
        let min = self.number().filter(|count| *count <= REPEAT_MAX).ok_or_else(bad)?;
        let (mut max, mut is_exact) = (Some(min), true);
        if self.chars.next_if_eq(&',').is_some() {
            is_exact = false;
            max = self.number();
            if max.is_some_and(|max| max > REPEAT_MAX || max < min) {
                return Err(bad());
            }
        }
        if self.chars.next() != Some('}') {
            return Err(bad());
        }
        Ok((min, max, is_exact))
    }
}

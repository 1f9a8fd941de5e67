//! The tree of a regular expression, and the same in the syntax of the linear-time engine.

use std::sync::Arc;

use super::super::errors::Result;
use super::unavailable;

/// Characters of which one matches.
#[derive(Clone, Debug)]
pub(super) struct Set {
    /// In the syntax of the linear-time engine.
    text: String,
    /// Sorted, both ends included; with either case where case does not count.
    ranges: Arc<[(char, char)]>,
}

impl Set {
    /// One character.
    pub fn of(c: char, ignore_case: bool) -> Result<Self> {
        let text = escaped(c);
        if ignore_case && c.is_alphabetic() {
            return Set::class(text, true);
        }
        Ok(Set {
            text,
            ranges: Arc::from([(c, c)]),
        })
    }

    /// What a text in the syntax of the linear-time engine stands for: a character, a class, a bracket expression.
    pub fn class(text: String, ignore_case: bool) -> Result<Self> {
        use regex_syntax::hir::{Class, HirKind};
        let hir = regex_syntax::ParserBuilder::new()
            .case_insensitive(ignore_case)
            .build()
            .parse(&text)
            .map_err(|_| unavailable("bracket expressions like this"))?;
        let ranges: Vec<(char, char)> = match hir.kind() {
            HirKind::Class(Class::Unicode(class)) => class
                .ranges()
                .iter()
                .map(|range| (range.start(), range.end()))
                .collect(),
            HirKind::Literal(literal) => {
                let c = std::str::from_utf8(&literal.0)
                    .ok()
                    .and_then(|text| text.chars().next());
                c.into_iter().map(|c| (c, c)).collect()
            }
            _ => Vec::new(),
        };
        let text = if ignore_case { format!("(?i:{text})") } else { text };
        Ok(Set {
            text,
            ranges: ranges.into(),
        })
    }

    pub fn contains(&self, c: char) -> bool {
        let at = self.ranges.partition_point(|(_, last)| *last < c);
        self.ranges.get(at).is_some_and(|(first, _)| *first <= c)
    }
}

fn escaped(c: char) -> String {
    match c {
        '\0' => "\\x00".to_owned(),
        c if c.is_ascii_punctuation() && !matches!(c, '_' | '<' | '>') => format!("\\{c}"),
        c => c.to_string(),
    }
}

/// A condition on a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    TextBegin,
    TextEnd,
    LineBegin,
    LineEnd,
    WordBegin,
    WordEnd,
    WordEdge,
    NoWordEdge,
}

/// What a quantifier prefers; `None` for `{m}`, which leaves it to its operand.
pub(super) type Preference = Option<bool>;

#[derive(Debug)]
pub(super) enum Node {
    Empty,
    One(Set),
    Place(Place),
    Look {
        ahead: bool,
        negative: bool,
        inner: Arc<Node>,
    },
    /// Capturing parentheses, numbered from 1.
    Group(usize, Arc<Node>),
    Concat(Vec<Arc<Node>>),
    Alternate(Vec<Arc<Node>>),
    Repeat {
        inner: Arc<Node>,
        min: u32,
        max: Option<u32>,
        /// True: the longer match.
        longer: Preference,
    },
    /// What the group of that number holds.
    Back(usize),
}

/// The expression in the syntax of the linear-time engine; `None` where it has none.
pub(super) fn linear(node: &Node) -> Option<String> {
    let mut out = String::new();
    write(node, &mut out).then_some(out)
}

fn write(node: &Node, out: &mut String) -> bool {
    match node {
        Node::Empty => out.push_str("(?:)"),
        Node::One(set) => out.push_str(&set.text),
        Node::Place(place) => out.push_str(match place {
            Place::TextBegin => "\\A",
            Place::TextEnd => "\\z",
            Place::LineBegin => "(?m:^)",
            Place::LineEnd => "(?m:$)",
            Place::WordBegin => "\\b{start}",
            Place::WordEnd => "\\b{end}",
            Place::WordEdge => "\\b",
            Place::NoWordEdge => "\\B",
        }),
        Node::Look { .. } | Node::Back(_) => return false,
        Node::Group(_, inner) => {
            out.push('(');
            if !write(inner, out) {
                return false;
            }
            out.push(')');
        }
        Node::Concat(parts) => {
            out.push_str("(?:");
            if !parts.iter().all(|part| write(part, out)) {
                return false;
            }
            out.push(')');
        }
        Node::Alternate(branches) => {
            out.push_str("(?:");
            for (at, branch) in branches.iter().enumerate() {
                if at > 0 {
                    out.push('|');
                }
                if !write(branch, out) {
                    return false;
                }
            }
            out.push(')');
        }
        Node::Repeat {
            inner,
            min,
            max,
            longer,
        } => {
            out.push_str("(?:");
            if !write(inner, out) {
                return false;
            }
            out.push(')');
            match (min, max) {
                (0, None) => out.push('*'),
                (1, None) => out.push('+'),
                (0, Some(1)) => out.push('?'),
                (min, None) => out.push_str(&format!("{{{min},}}")),
                (min, Some(max)) => out.push_str(&format!("{{{min},{max}}}")),
            }
            if *longer == Some(false) {
                out.push('?');
            }
        }
    }
    true
}

/// True where taking the first alternative and the nearest repetition finds what PostgreSQL finds: without alternatives,
/// and with no more than one quantifier, whose operand is one character.
pub(super) fn is_plain(node: &Node) -> bool {
    let mut quantifiers = 0;
    is_made_plainly(node, &mut quantifiers) && quantifiers < 2
}

fn is_made_plainly(node: &Node, quantifiers: &mut u32) -> bool {
    match node {
        Node::Empty | Node::One(_) | Node::Place(_) => true,
        Node::Look { .. } | Node::Back(_) | Node::Alternate(_) => false,
        Node::Group(_, inner) => is_made_plainly(inner, quantifiers),
        Node::Concat(parts) => parts.iter().all(|part| is_made_plainly(part, quantifiers)),
        Node::Repeat { inner, max, .. } => {
            *quantifiers += 1;
            *max != Some(0) && matches!(**inner, Node::One(_))
        }
    }
}

//! Regular expressions with PostgreSQL's meaning.
//!
//! | module | what |
//! |---|---|
//! | [`parse`] [`elements`] | PostgreSQL's syntax → a tree |
//! | [`syntax`] | the tree; the same in the syntax of the linear-time engine |
//! | [`plan`] | which part prefers the longer match and which the shorter |
//! | [`program`] | parts as automata: where a match may end |
//! | [`dissect`] | the match, and what its groups hold |
//!
//! Whether and where something matches is found by a linear-time engine. How far it reaches is PostgreSQL's own rule: the
//! match that begins first, and of those the longest or the shortest, as the expression's first quantifier prefers; then
//! the same for each part from left to right. Back references and lookaround are answered by the automata alone, in a
//! bounded number of steps.
//!
//! Source: PostgreSQL 15 manual, 9.7.3.

mod dissect;
mod elements;
mod parse;
mod plan;
mod program;
mod syntax;

use super::errors::{PgError, Result};
use dissect::Matcher;
use plan::Tree;

/// Bytes of a compiled expression.
const COMPILED_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Where a match and its groups begin and end, in bytes; the whole match comes first.
pub type Groups = Vec<Option<(usize, usize)>>;

/// A compiled regular expression.
#[derive(Debug)]
pub struct Pattern {
    /// Finds where a match begins; `None` for what it does not know.
    linear: Option<regex::Regex>,
    tree: Tree,
    /// The linear-time engine's match is PostgreSQL's.
    is_plain: bool,
}

/// What the flags of `regexp_replace` and friends say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flags {
    pub ignore_case: bool,
    pub global: bool,
    /// `.` and bracket expressions stop at newlines.
    pub newline_stops: bool,
    /// `^` and `$` match at newlines.
    pub newline_anchors: bool,
    pub expanded: bool,
    pub literal: bool,
}

impl Flags {
    /// Reads flag letters. Errors: 22023; 0A000 for the syntaxes of `b` and `e`.
    pub fn parse(letters: &str) -> Result<Flags> {
        let mut flags = Flags::default();
        for letter in letters.chars() {
            match letter {
                'g' => flags.global = true,
                letter => flags
                    .apply(letter)?
                    .ok_or_else(|| PgError::new("22023", format!("invalid regular expression option: \"{letter}\"")))?,
            }
        }
        Ok(flags)
    }

    /// Takes one letter in; `None` if there is no such option. Errors: 0A000.
    fn apply(&mut self, letter: char) -> Result<Option<()>> {
        match letter {
            'i' => self.ignore_case = true,
            'c' => self.ignore_case = false,
            'n' | 'm' => (self.newline_stops, self.newline_anchors) = (true, true),
            's' => (self.newline_stops, self.newline_anchors) = (false, false),
            'p' => (self.newline_stops, self.newline_anchors) = (true, false),
            'w' => (self.newline_stops, self.newline_anchors) = (false, true),
            'x' => self.expanded = true,
            't' => self.expanded = false,
            'q' => self.literal = true,
            'b' | 'e' => {
                return Err(unavailable("basic and extended regular expressions (flags b and e)"));
            }
            _ => return Ok(None),
        }
        Ok(Some(()))
    }
}

fn invalid(reason: &str) -> PgError {
    PgError::new("2201B", format!("invalid regular expression: {reason}"))
}

fn unavailable(feature: &str) -> PgError {
    PgError::new("0A000", format!("{feature} are not available on the embedded engine"))
}

impl Pattern {
    /// Compiles PostgreSQL's syntax. Errors: 2201B; 0A000 for what is too large here.
    pub fn new(source: &str, flags: Flags) -> Result<Pattern> {
        let parsed = parse::parse(source, flags)?;
        let linear = match syntax::linear(&parsed.root) {
            None => None,
            Some(text) => Some(
                regex::RegexBuilder::new(&text)
                    .size_limit(COMPILED_BYTES_MAX)
                    .build()
                    .map_err(|_| unavailable("regular expressions of this size"))?,
            ),
        };
        let is_plain = linear.is_some() && syntax::is_plain(&parsed.root);
        let tree = Tree::new(&parsed.root, parsed.groups, parsed.ignore_case)?;
        Ok(Pattern { linear, tree, is_plain })
    }

    /// True if the expression matches anywhere. Errors: 0A000 past the limit of steps.
    pub fn is_match(&self, text: &str) -> Result<bool> {
        match &self.linear {
            Some(linear) => Ok(linear.is_match(text)),
            None => Ok(self.captures_at(text, 0)?.is_some()),
        }
    }

    /// The first match at or after byte `from`: the whole and each group. Errors: as [`Pattern::is_match`].
    pub fn captures_at(&self, text: &str, from: usize) -> Result<Option<Groups>> {
        self.next(&mut Matcher::new(&self.tree, text), text, from)
    }

    fn next(&self, matcher: &mut Matcher<'_>, text: &str, from: usize) -> Result<Option<Groups>> {
        if from > text.len() {
            return Ok(None);
        }
        let Some(linear) = &self.linear else {
            return matcher.first(from);
        };
        if self.is_plain {
            let place = |group: regex::Match<'_>| (group.start(), group.end());
            let found = linear.captures_at(text, from);
            return Ok(found.map(|found| found.iter().map(|group| group.map(place)).collect()));
        }
        match linear.find_at(text, from) {
            None => Ok(None),
            Some(found) => matcher.first(found.start()),
        }
    }

    /// Every match, left to right; an empty match moves on by one character.
    pub fn all(&self, text: &str) -> Result<Vec<Groups>> {
        self.all_from(text, 0)
    }

    /// The same from byte `from` on.
    pub fn all_from(&self, text: &str, mut from: usize) -> Result<Vec<Groups>> {
        let mut found = Vec::new();
        let mut matcher = Matcher::new(&self.tree, text);
        while let Some(groups) = self.next(&mut matcher, text, from)? {
            let Some(Some((start, end))) = groups.first().copied() else {
                break;
            };
            found.push(groups);
            from = if end > start {
                end
            } else {
                end + text[end..].chars().next().map_or(1, char::len_utf8)
            };
        }
        Ok(found)
    }

    /// `regexp_replace`: `\1`…`\9`, `\&` and `\\` in the replacement.
    pub fn replace(&self, text: &str, replacement: &str, global: bool) -> Result<String> {
        let matches = if global {
            self.all(text)?
        } else {
            self.captures_at(text, 0)?.into_iter().collect()
        };
        Ok(replaced(text, replacement, matches))
    }
}

/// `text` with the replacement in place of these matches.
pub fn replaced(text: &str, replacement: &str, matches: Vec<Groups>) -> String {
    let mut out = String::with_capacity(text.len());
    let mut from = 0;
    for groups in matches {
        let Some(Some((start, end))) = groups.first().copied() else {
            continue;
        };
        out.push_str(&text[from..start]);
        let mut rest = replacement;
        while let Some(at) = rest.find('\\') {
            out.push_str(&rest[..at]);
            let mut after = rest[at + 1..].chars();
            let group = |index: usize| {
                groups
                    .get(index)
                    .copied()
                    .flatten()
                    .map_or("", |(start, end)| &text[start..end])
            };
            match after.next() {
                Some('&') => out.push_str(group(0)),
                Some(digit @ '1'..='9') => out.push_str(group(digit as usize - '0' as usize)),
                Some('\\') | None => out.push('\\'),
                Some(other) => {
                    out.push('\\');
                    out.push(other);
                }
            }
            rest = after.as_str();
        }
        out.push_str(rest);
        from = end;
    }
    out.push_str(&text[from..]);
    out
}

//! Does a document match a query: `@@`.
//!
//! Queries are worked off in postfix order, without recursion. Parts below a phrase give positions, the others a truth
//! value of three kinds: words without positions make a phrase neither true nor false.
//!
//! Source: PostgreSQL 15 manual, 9.13, 12.4.2.

use super::query::{Item, Operand, TsQuery};
use super::vector::{Lexeme, TsVector};

/// A truth value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Truth {
    No,
    Yes,
    /// It depends on positions that nobody knows.
    Maybe,
}

/// Where a part of a query matches.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Places {
    truth: Truth,
    /// In order, each once; where matches end.
    positions: Vec<u16>,
    /// It matches everywhere but at the positions.
    everywhere_else: bool,
    /// From a match's first word to its last.
    width: u32,
}

impl Places {
    const NOWHERE: Places = Places {
        truth: Truth::No,
        positions: Vec::new(),
        everywhere_else: false,
        width: 0,
    };

    const UNKNOWN: Places = Places {
        truth: Truth::Maybe,
        positions: Vec::new(),
        everywhere_else: false,
        width: 0,
    };
}

/// What a query's words are looked up in.
pub trait Words {
    /// True if there is such a word.
    fn has(&self, index: usize, operand: &Operand) -> bool;

    /// Where the word is, in order and each once; `None`: it is there, but nobody knows where.
    fn positions(&self, index: usize, operand: &Operand) -> Option<Vec<u16>>;
}

impl TsVector {
    /// The words that an operand means, by its word or its beginning.
    pub fn found(&self, operand: &Operand) -> &[Lexeme] {
        let words = self.words();
        let first = self.first_from(&operand.word);
        let is_meant = |lexeme: &&Lexeme| {
            if operand.prefix {
                lexeme.word.starts_with(&operand.word)
            } else {
                lexeme.word == operand.word
            }
        };
        let most = if operand.prefix { usize::MAX } else { 1 };
        let count = words[first..].iter().take(most).take_while(is_meant).count();
        &words[first..first + count]
    }
}

impl Words for TsVector {
    fn has(&self, _: usize, operand: &Operand) -> bool {
        self.found(operand).iter().any(|lexeme| {
            operand.weights == 0
                || lexeme.marks.is_empty()
                || lexeme
                    .marks
                    .iter()
                    .any(|mark| operand.weights & 1 << mark.weight() != 0)
        })
    }

    fn positions(&self, _: usize, operand: &Operand) -> Option<Vec<u16>> {
        let mut positions = Vec::new();
        for lexeme in self.found(operand) {
            if lexeme.marks.is_empty() {
                return None;
            }
            let wanted = lexeme
                .marks
                .iter()
                .filter(|mark| operand.weights == 0 || operand.weights & 1 << mark.weight() != 0);
            positions.extend(wanted.map(|mark| mark.position()));
        }
        positions.sort_unstable();
        positions.dedup();
        Some(positions)
    }
}

/// `document @@ query`.
pub fn matches(document: &TsVector, query: &TsQuery) -> bool {
    execute(document, query)
}

/// True if the words satisfy the query. An empty query is not satisfied.
pub fn execute(words: &impl Words, query: &TsQuery) -> bool {
    let settings = settings(query);
    let mut truths: Vec<Truth> = Vec::new();
    let mut places: Vec<Places> = Vec::new();
    for (index, item) in query.items().iter().enumerate() {
        if settings[index] != Setting::Plain {
            let found = place(words, index, item, &mut places);
            if settings[index] == Setting::Below {
                places.push(found);
            } else {
                // From here on only the truth counts, and what is not known is not so.
                truths.push(if found.truth == Truth::Yes {
                    Truth::Yes
                } else {
                    Truth::No
                });
            }
            continue;
        }
        let truth = match item {
            Item::Word(operand) => {
                if words.has(index, operand) {
                    Truth::Yes
                } else {
                    Truth::No
                }
            }
            Item::Not => match truths.pop() {
                Some(Truth::Yes) => Truth::No,
                Some(Truth::No) => Truth::Yes,
                _ => Truth::Maybe,
            },
            _ => {
                let (right, left) = (truths.pop(), truths.pop());
                let either = |wanted: Truth| left == Some(wanted) || right == Some(wanted);
                let decides = if matches!(item, Item::Or) {
                    Truth::Yes
                } else {
                    Truth::No
                };
                if either(decides) {
                    decides
                } else if either(Truth::Maybe) {
                    Truth::Maybe
                } else if decides == Truth::Yes {
                    Truth::No
                } else {
                    Truth::Yes
                }
            }
        };
        truths.push(truth);
    }
    truths.pop().is_some_and(|truth| truth != Truth::No)
}

/// How an item of a query is worked off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Setting {
    /// Above all phrases: only the truth counts.
    Plain,
    /// Below a phrase: places count.
    Below,
    /// The topmost phrase.
    Top,
}

fn settings(query: &TsQuery) -> Vec<Setting> {
    let items = query.items();
    let mut settings = vec![Setting::Plain; items.len()];
    if !items.iter().any(|item| matches!(item, Item::Phrase(_))) {
        return settings;
    }
    let starts = query.starts();
    let mut at = items.len();
    while at > 0 {
        at -= 1;
        if matches!(items[at], Item::Phrase(_)) {
            settings[starts[at]..at].fill(Setting::Below);
            settings[at] = Setting::Top;
            at = starts[at];
        }
    }
    settings
}

/// One step below a phrase.
fn place(words: &impl Words, index: usize, item: &Item, done: &mut Vec<Places>) -> Places {
    match item {
        Item::Word(operand) => match words.positions(index, operand) {
            None => Places::UNKNOWN,
            Some(positions) if positions.is_empty() => Places::NOWHERE,
            Some(positions) => Places {
                truth: Truth::Yes,
                positions,
                everywhere_else: false,
                width: 0,
            },
        },
        Item::Stop => Places::NOWHERE,
        Item::Not => {
            let Some(inner) = done.pop() else {
                return Places::NOWHERE;
            };
            match inner.truth {
                Truth::Maybe => inner,
                Truth::No => Places {
                    truth: Truth::Yes,
                    everywhere_else: true,
                    positions: Vec::new(),
                    width: inner.width,
                },
                Truth::Yes if inner.positions.is_empty() => Places {
                    width: inner.width,
                    ..Places::NOWHERE
                },
                Truth::Yes => Places {
                    everywhere_else: !inner.everywhere_else,
                    ..inner
                },
            }
        }
        Item::And | Item::Phrase(_) => {
            let (Some(right), Some(left)) = (done.pop(), done.pop()) else {
                return Places::NOWHERE;
            };
            both(item, &left, &right)
        }
        Item::Or => {
            let (Some(right), Some(left)) = (done.pop(), done.pop()) else {
                return Places::NOWHERE;
            };
            either(left, right)
        }
    }
}

/// Which positions of two lists go on.
#[derive(Clone, Copy)]
struct Emit {
    left_only: bool,
    right_only: bool,
    both: bool,
}

fn both(item: &Item, left: &Places, right: &Places) -> Places {
    if left.truth == Truth::No || right.truth == Truth::No {
        return Places::NOWHERE;
    }
    if left.truth == Truth::Maybe || right.truth == Truth::Maybe {
        return Places::UNKNOWN;
    }
    let (left_shift, right_shift, width) = match item {
        Item::Phrase(distance) => {
            // PostgreSQL keeps the distance in 16 bits with a sign.
            let distance = u32::from(*distance);
            (distance + right.width, 0, distance + left.width + right.width)
        }
        _ => aligned(left, right),
    };
    let (emit, everywhere_else) = match (left.everywhere_else, right.everywhere_else) {
        (true, true) => (
            Emit {
                left_only: true,
                right_only: true,
                both: true,
            },
            true,
        ),
        (true, false) => (
            Emit {
                left_only: false,
                right_only: true,
                both: false,
            },
            false,
        ),
        (false, true) => (
            Emit {
                left_only: true,
                right_only: false,
                both: false,
            },
            false,
        ),
        (false, false) => (
            Emit {
                left_only: false,
                right_only: false,
                both: true,
            },
            false,
        ),
    };
    let positions = merge(left, left_shift, right, right_shift, emit);
    done(positions, everywhere_else, width)
}

fn either(mut left: Places, mut right: Places) -> Places {
    if left.truth == Truth::No && right.truth == Truth::No {
        return Places::NOWHERE;
    }
    if left.truth == Truth::Maybe || right.truth == Truth::Maybe {
        return Places::UNKNOWN;
    }
    for side in [&mut left, &mut right] {
        if side.truth == Truth::No {
            side.width = 0;
        }
    }
    let (left_shift, right_shift, width) = aligned(&left, &right);
    let (emit, everywhere_else) = match (left.everywhere_else, right.everywhere_else) {
        (true, true) => (
            Emit {
                left_only: false,
                right_only: false,
                both: true,
            },
            true,
        ),
        (true, false) => (
            Emit {
                left_only: true,
                right_only: false,
                both: false,
            },
            true,
        ),
        (false, true) => (
            Emit {
                left_only: false,
                right_only: true,
                both: false,
            },
            true,
        ),
        (false, false) => (
            Emit {
                left_only: true,
                right_only: true,
                both: true,
            },
            false,
        ),
    };
    let positions = merge(&left, left_shift, &right, right_shift, emit);
    done(positions, everywhere_else, width)
}

/// The narrower side is moved to the right end of the wider one.
fn aligned(left: &Places, right: &Places) -> (u32, u32, u32) {
    let width = left.width.max(right.width);
    (width - left.width, width - right.width, width)
}

fn done(positions: Vec<u16>, everywhere_else: bool, width: u32) -> Places {
    let truth = if everywhere_else || !positions.is_empty() {
        Truth::Yes
    } else {
        Truth::No
    };
    Places {
        truth,
        positions,
        everywhere_else,
        width,
    }
}

fn merge(left: &Places, left_shift: u32, right: &Places, right_shift: u32, emit: Emit) -> Vec<u16> {
    let mut out = Vec::new();
    let (mut l, mut r) = (0, 0);
    loop {
        let left_at = left.positions.get(l).map(|position| u32::from(*position) + left_shift);
        let right_at = right
            .positions
            .get(r)
            .map(|position| u32::from(*position) + right_shift);
        let (position, wanted) = match (left_at, right_at) {
            (None, None) => return out,
            (Some(position), None) => {
                l += 1;
                (position, emit.left_only)
            }
            (None, Some(position)) => {
                r += 1;
                (position, emit.right_only)
            }
            (Some(left), Some(right)) if left < right => {
                l += 1;
                (left, emit.left_only)
            }
            (Some(left), Some(right)) if left > right => {
                r += 1;
                (right, emit.right_only)
            }
            (Some(position), Some(_)) => {
                l += 1;
                r += 1;
                (position, emit.both)
            }
        };
        // A position that has been cut to nothing is none.
        if wanted && position > 0 {
            // Positions are kept in 14 bits when they are looked at again.
            out.push((position & u32::from(super::POSITION_MAX)) as u16);
        }
    }
}

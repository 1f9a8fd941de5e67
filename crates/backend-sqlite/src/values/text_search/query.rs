//! `tsquery`: words joined by not, and, or and followed-by.
//!
//! A query is kept in postfix order, operands before their operator, so that nothing here recurses: a query may nest as
//! deep as its text is long.
//!
//! Source: PostgreSQL 15 manual, 8.11.2 and 12.4.2.

use std::collections::BTreeSet;
use std::fmt;

use super::vector::write_word;

/// A part of a query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Item {
    Word(Operand),
    /// The place of a stop word; gone from every finished query.
    Stop,
    Not,
    And,
    Or,
    /// The right side follows the left by so many positions.
    Phrase(u16),
}

/// A word that is searched for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operand {
    pub word: String,
    /// Bit 3 for A to bit 0 for D; none set: any weight.
    pub weights: u8,
    /// Words that begin so.
    pub prefix: bool,
}

impl Item {
    /// How tightly an operator binds.
    pub fn priority(&self) -> u8 {
        match self {
            Item::Or => 1,
            Item::And => 2,
            Item::Phrase(_) => 3,
            Item::Not => 4,
            Item::Word(_) | Item::Stop => 5,
        }
    }

    /// How many operands it takes.
    fn arity(&self) -> usize {
        match self {
            Item::Word(_) | Item::Stop => 0,
            Item::Not => 1,
            Item::And | Item::Or | Item::Phrase(_) => 2,
        }
    }
}

/// A query; one without items matches nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TsQuery {
    items: Vec<Item>,
}

impl TsQuery {
    /// The greatest distance of a phrase.
    pub const DISTANCE_MAX: u16 = super::POSITION_MAX + 1;

    /// From items in postfix order; the places of stop words are taken out, and the operators they leave alone.
    pub fn of(items: Vec<Item>) -> Self {
        if items.contains(&Item::Stop) {
            TsQuery {
                items: without_stops(items),
            }
        } else {
            TsQuery { items }
        }
    }

    pub fn items(&self) -> &[Item] {
        &self.items
    }

    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// The operands.
    pub fn operands(&self) -> impl Iterator<Item = &Operand> {
        self.items.iter().filter_map(|item| match item {
            Item::Word(operand) => Some(operand),
            _ => None,
        })
    }

    /// For every item, the place where the part it is the top of begins.
    pub fn starts(&self) -> Vec<usize> {
        let mut starts = Vec::with_capacity(self.items.len());
        for (at, item) in self.items.iter().enumerate() {
            let mut start = at;
            for _ in 0..item.arity() {
                // The operand that ends right before.
                start = starts.get(start.wrapping_sub(1)).copied().unwrap_or(0);
            }
            starts.push(start);
        }
        starts
    }

    /// `&&`, `||` and `<->`: joins two queries. An empty one leaves the other.
    pub fn join(mut self, other: TsQuery, operator: Item) -> Self {
        if self.is_empty() {
            return other;
        }
        if other.is_empty() {
            return self;
        }
        self.items.extend(other.items);
        self.items.push(operator);
        self
    }

    /// `!!`.
    pub fn negate(mut self) -> Self {
        if !self.is_empty() {
            self.items.push(Item::Not);
        }
        self
    }

    /// `@>`: every word of the other is a word of this one.
    pub fn contains(&self, other: &TsQuery) -> bool {
        let words =
            |query: &TsQuery| -> BTreeSet<String> { query.operands().map(|found| found.word.clone()).collect() };
        words(self).is_superset(&words(other))
    }

    /// `querytree`: the part that an index could use. `None`: there is none.
    pub fn indexable(&self) -> Option<TsQuery> {
        let mut done: Vec<Option<Vec<Item>>> = Vec::new();
        for item in &self.items {
            let joined = match item {
                Item::Word(_) | Item::Stop => Some(vec![item.clone()]),
                Item::Not => {
                    done.pop();
                    None
                }
                Item::And | Item::Or | Item::Phrase(_) => {
                    let (right, left) = (done.pop().flatten(), done.pop().flatten());
                    match (left, right) {
                        (Some(mut left), Some(right)) => {
                            left.extend(right);
                            left.push(item.clone());
                            Some(left)
                        }
                        (one, other) if *item != Item::Or => one.or(other),
                        _ => None,
                    }
                }
            };
            done.push(joined);
        }
        done.pop().flatten().map(|items| TsQuery { items })
    }
}

/// A part of a query while stop words are taken out of it.
struct Kept {
    items: Option<Vec<Item>>,
    /// What a phrase to the left and to the right of the part must add to its distance.
    left: u32,
    right: u32,
}

/// Takes the places of stop words out. Words that stood around one in a phrase keep their distance.
fn without_stops(items: Vec<Item>) -> Vec<Item> {
    let mut done: Vec<Kept> = Vec::new();
    for item in items {
        let kept = match item {
            Item::Word(_) => Kept {
                items: Some(vec![item]),
                left: 0,
                right: 0,
            },
            Item::Stop => Kept {
                items: None,
                left: 0,
                right: 0,
            },
            Item::Not => match done.pop() {
                Some(mut inner) => {
                    if let Some(items) = &mut inner.items {
                        items.push(Item::Not);
                    }
                    inner
                }
                None => continue,
            },
            operator => {
                let (Some(right), Some(left)) = (done.pop(), done.pop()) else {
                    continue;
                };
                joined(operator, left, right)
            }
        };
        done.push(kept);
    }
    done.pop().and_then(|kept| kept.items).unwrap_or_default()
}

fn joined(operator: Item, left: Kept, right: Kept) -> Kept {
    let distance = match operator {
        Item::Phrase(distance) => Some(u32::from(distance)),
        _ => None,
    };
    match (left.items, right.items, distance) {
        (None, None, Some(distance)) => {
            let all = left.left + distance + right.left;
            Kept {
                items: None,
                left: all,
                right: all,
            }
        }
        (None, None, None) => {
            let all = left.left.max(right.left);
            Kept {
                items: None,
                left: all,
                right: all,
            }
        }
        (None, items, Some(distance)) => Kept {
            items,
            left: left.left + distance + right.left,
            right: right.right,
        },
        (None, items, None) => Kept {
            items,
            left: right.left,
            right: right.right,
        },
        (items, None, Some(distance)) => Kept {
            items,
            left: left.left,
            right: left.right + distance + right.right,
        },
        (items, None, None) => Kept {
            items,
            left: left.left,
            right: left.right,
        },
        (Some(mut items), Some(others), distance) => {
            items.extend(others);
            let operator = match distance {
                // PostgreSQL keeps distances in 16 bits.
                Some(distance) => Item::Phrase((distance + left.right + right.left) as u16),
                None => operator,
            };
            items.push(operator);
            let (left, right) = match distance {
                Some(_) => (left.left, right.right),
                None => (0, 0),
            };
            Kept {
                items: Some(items),
                left,
                right,
            }
        }
    }
}

impl fmt::Display for TsQuery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Text of each part and the operator at its top.
        let mut done: Vec<(String, &Item)> = Vec::new();
        for item in &self.items {
            let text = match item {
                Item::Word(operand) => operand_text(operand),
                Item::Stop => String::new(),
                Item::Not => match done.pop() {
                    Some((inner, top)) if top.priority() < item.priority() => format!("!( {inner} )"),
                    Some((inner, _)) => format!("!{inner}"),
                    None => String::new(),
                },
                _ => {
                    let (Some((right, right_top)), Some((left, left_top))) = (done.pop(), done.pop()) else {
                        continue;
                    };
                    let in_phrase = matches!(item, Item::Phrase(_)) && matches!(right_top, Item::Phrase(_));
                    let mut text = if left_top.priority() < item.priority() {
                        format!("( {left} )")
                    } else {
                        left
                    };
                    match item {
                        Item::And => text.push_str(" & "),
                        Item::Or => text.push_str(" | "),
                        Item::Phrase(1) => text.push_str(" <-> "),
                        Item::Phrase(distance) => {
                            text.push_str(" <");
                            text.push_str(&(*distance as i16).to_string());
                            text.push_str("> ");
                        }
                        _ => {}
                    }
                    if right_top.priority() < item.priority() || in_phrase {
                        text.push_str("( ");
                        text.push_str(&right);
                        text.push_str(" )");
                    } else {
                        text.push_str(&right);
                    }
                    text
                }
            };
            done.push((text, item));
        }
        f.write_str(done.first().map_or("", |(text, _)| text))
    }
}

fn operand_text(operand: &Operand) -> String {
    let mut text = String::with_capacity(operand.word.len() + 6);
    write_word(&operand.word, &mut text);
    if operand.weights != 0 || operand.prefix {
        text.push(':');
        if operand.prefix {
            text.push('*');
        }
        for (bit, letter) in [(3, 'A'), (2, 'B'), (1, 'C'), (0, 'D')] {
            if operand.weights & 1 << bit != 0 {
                text.push(letter);
            }
        }
    }
    text
}

//! How well a document matches: `ts_rank` and `ts_rank_cd`.
//!
//! The arithmetic is PostgreSQL's: single precision where it keeps `float4`, double in between.
//!
//! Source: PostgreSQL 15 manual, 12.3.3.

use super::super::errors::{PgError, Result};
use super::POSITION_MAX;
use super::matching::{Words, execute};
use super::query::{Item, Operand, TsQuery};
use super::sort::sort;
use super::vector::{Mark, TsVector};

/// Weights of D, C, B and A.
pub type Weights = [f32; 4];

/// The weights where none are given.
pub const WEIGHTS: Weights = [0.1, 0.2, 0.4, 1.0];

/// What the rank is divided by, as bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Normalization(pub i32);

impl Normalization {
    const LOG_LENGTH: i32 = 1;
    const LENGTH: i32 = 2;
    const EXTENT_DISTANCE: i32 = 4;
    const UNIQUE: i32 = 8;
    const LOG_UNIQUE: i32 = 16;
    const SELF_PLUS_ONE: i32 = 32;

    fn has(self, bit: i32) -> bool {
        self.0 & bit != 0
    }
}

/// Weights from an array; negative ones stand for the default. Errors: 2202E, 22004, 22023.
pub fn weights_of(given: &[Option<f32>]) -> Result<Weights> {
    if given.len() < WEIGHTS.len() {
        return Err(PgError::new("2202E", "array of weight is too short"));
    }
    if given.iter().any(Option::is_none) {
        return Err(PgError::new("22004", "array of weight must not contain nulls"));
    }
    let mut weights = WEIGHTS;
    for (weight, given) in weights.iter_mut().zip(given.iter().flatten()) {
        if *given >= 0.0 {
            *weight = *given;
        }
        if *weight > 1.0 {
            return Err(PgError::new("22023", "weight out of range"));
        }
    }
    Ok(weights)
}

/// `ts_rank`.
pub fn rank(weights: &Weights, document: &TsVector, query: &TsQuery, normalization: Normalization) -> f32 {
    let unique = document.words().len();
    if unique == 0 || query.is_empty() {
        return 0.0;
    }
    let mut rank = match query.items().last() {
        Some(Item::And | Item::Phrase(_)) => of_all(weights, document, query),
        _ => of_any(weights, document, query),
    };
    if rank < 0.0 {
        rank = 1e-20;
    }
    let length = length(document);
    if normalization.has(Normalization::LOG_LENGTH) {
        rank = (f64::from(rank) / (f64::from(length + 1).ln() / 2f64.ln())) as f32;
    }
    if normalization.has(Normalization::LENGTH) && length > 0 {
        rank /= length as f32;
    }
    if normalization.has(Normalization::UNIQUE) {
        rank /= unique as f32;
    }
    if normalization.has(Normalization::LOG_UNIQUE) {
        rank = (f64::from(rank) / (((unique + 1) as f64).ln() / 2f64.ln())) as f32;
    }
    if normalization.has(Normalization::SELF_PLUS_ONE) {
        rank /= rank + 1.0;
    }
    rank
}

/// The number of positions; a word without any counts as one.
fn length(document: &TsVector) -> i32 {
    document
        .words()
        .iter()
        .map(|lexeme| lexeme.marks.len().max(1) as i32)
        .sum()
}

/// The operands in the order of their words, each word once.
fn distinct(query: &TsQuery) -> Vec<&Operand> {
    let mut operands: Vec<&Operand> = query.operands().collect();
    // PostgreSQL has them in prefix order before it sorts.
    operands.reverse();
    sort(&mut operands, &|a, b| a.word.cmp(&b.word));
    operands.dedup_by(|b, a| a.word == b.word);
    operands
}

/// How much a pair of words at a distance counts.
fn nearness(distance: i32) -> f32 {
    if distance > 100 {
        1e-30
    } else {
        (1.0 / (1.005 + 0.05 * (f64::from(distance) / 1.5 - 2.0).exp())) as f32
    }
}

fn of_all(weights: &Weights, document: &TsVector, query: &TsQuery) -> f32 {
    /// Marks of a word, or the stand-in for a word without any.
    struct Seen<'a> {
        marks: &'a [Mark],
        stands_in: bool,
    }
    let operands = distinct(query);
    if operands.len() < 2 {
        return of_any(weights, document, query);
    }
    let stand_in = [Mark::new(POSITION_MAX, 0)];
    let mut seen: Vec<Option<Seen<'_>>> = Vec::new();
    let mut rank: f32 = -1.0;
    for operand in &operands {
        let mut last = None;
        for lexeme in document.found(operand) {
            let stands_in = lexeme.marks.is_empty();
            let marks = if stands_in { &stand_in[..] } else { &lexeme.marks[..] };
            for other in seen.iter().flatten() {
                for here in marks {
                    for there in other.marks {
                        let mut distance = (i32::from(here.position()) - i32::from(there.position())).abs();
                        if distance == 0 && !stands_in && !other.stands_in {
                            continue;
                        }
                        if distance == 0 {
                            distance = i32::from(POSITION_MAX) + 1;
                        }
                        let pair = weights[usize::from(here.weight())]
                            * weights[usize::from(there.weight())]
                            * nearness(distance);
                        let gain = f64::from(pair).sqrt() as f32;
                        rank = if rank < 0.0 {
                            gain
                        } else {
                            (1.0 - (1.0 - f64::from(rank)) * (1.0 - f64::from(gain))) as f32
                        };
                    }
                }
            }
            last = Some(Seen { marks, stands_in });
        }
        seen.push(last);
    }
    rank
}

fn of_any(weights: &Weights, document: &TsVector, query: &TsQuery) -> f32 {
    let operands = distinct(query);
    let stand_in = [Mark::new(0, 0)];
    let mut rank: f32 = 0.0;
    for operand in &operands {
        for lexeme in document.found(operand) {
            let marks = if lexeme.marks.is_empty() {
                &stand_in[..]
            } else {
                &lexeme.marks[..]
            };
            let (mut sum, mut best, mut best_at): (f32, f32, usize) = (0.0, -1.0, 0);
            for (index, mark) in marks.iter().enumerate() {
                let weight = weights[usize::from(mark.weight())];
                sum += weight / square(index);
                if weight > best {
                    best = weight;
                    best_at = index;
                }
            }
            let gain = best + sum - best / square(best_at);
            // The sum of all 1/n².
            rank = (f64::from(rank) + f64::from(gain) / 1.644_934_066_85) as f32;
        }
    }
    if !operands.is_empty() {
        rank /= operands.len() as f32;
    }
    rank
}

fn square(index: usize) -> f32 {
    ((index + 1) * (index + 1)) as f32
}

/// One word of the document that the query asks for.
struct Occurrence {
    mark: Mark,
    /// The place of the word in the document.
    entry: usize,
    /// Places of the operands in the query.
    operands: Vec<usize>,
}

/// What of the query has been seen between two places of the document.
struct Window {
    /// Positions by the operand's place, in order; `None`: not seen.
    positions: Vec<Option<Vec<u16>>>,
    backwards: bool,
}

impl Window {
    fn new(items: usize, backwards: bool) -> Self {
        Window {
            positions: vec![None; items],
            backwards,
        }
    }

    fn add(&mut self, occurrence: &Occurrence) {
        for operand in &occurrence.operands {
            let positions = self.positions[*operand].get_or_insert_default();
            if positions.last() != Some(&occurrence.mark.position()) {
                positions.push(occurrence.mark.position());
            }
        }
    }
}

impl Words for Window {
    fn has(&self, index: usize, _: &Operand) -> bool {
        self.positions[index].is_some()
    }

    fn positions(&self, index: usize, _: &Operand) -> Option<Vec<u16>> {
        let mut positions = self.positions[index].clone().unwrap_or_default();
        if self.backwards {
            positions.reverse();
        }
        Some(positions)
    }
}

/// `ts_rank_cd`: by how close together the words stand.
pub fn cover_density(weights: &Weights, document: &TsVector, query: &TsQuery, normalization: Normalization) -> f32 {
    let occurrences = occurrences(document, query);
    if occurrences.is_empty() {
        return 0.0;
    }
    let costs = weights.map(|weight| 1.0 / f64::from(weight));
    let mut rank = 0.0;
    let mut nearness_sum = 0.0;
    let mut previous_middle = 0.0;
    let mut covers = 0;
    let mut from = 0;
    while let Some((first, last)) = cover(&occurrences, query, &mut from) {
        let cost: f64 = occurrences[first..=last]
            .iter()
            .map(|occurrence| costs[usize::from(occurrence.mark.weight())])
            .sum();
        let words = (last - first) as i32;
        let (start, end) = (occurrences[first].mark.position(), occurrences[last].mark.position());
        let mut noise = i32::from(end) - i32::from(start) - words;
        if noise < 0 {
            noise = words / 2;
        }
        rank += f64::from(words + 1) / cost / f64::from(1 + noise);
        let middle = f64::from(i32::from(end) + i32::from(start)) / 2.0;
        if covers > 0 && middle > previous_middle {
            nearness_sum += 1.0 / (middle - previous_middle);
        }
        previous_middle = middle;
        covers += 1;
    }
    let unique = document.words().len();
    let length = length(document);
    if normalization.has(Normalization::LOG_LENGTH) && unique > 0 {
        rank /= f64::from(length + 1).ln();
    }
    if normalization.has(Normalization::LENGTH) && length > 0 {
        rank /= f64::from(length);
    }
    if normalization.has(Normalization::EXTENT_DISTANCE) && covers > 0 && nearness_sum > 0.0 {
        rank /= f64::from(covers) / nearness_sum;
    }
    if normalization.has(Normalization::UNIQUE) && unique > 0 {
        rank /= unique as f64;
    }
    if normalization.has(Normalization::LOG_UNIQUE) && unique > 0 {
        rank /= ((unique + 1) as f64).ln() / 2f64.ln();
    }
    if normalization.has(Normalization::SELF_PLUS_ONE) {
        rank /= rank + 1.0;
    }
    rank as f32
}

/// Every position that the query asks for, in order.
fn occurrences(document: &TsVector, query: &TsQuery) -> Vec<Occurrence> {
    let mut found: Vec<(Mark, usize, usize)> = Vec::new();
    for (index, item) in query.items().iter().enumerate() {
        let Item::Word(operand) = item else { continue };
        let first = document.first_from(&operand.word);
        for (offset, lexeme) in document.found(operand).iter().enumerate() {
            let wanted = |mark: &&Mark| operand.weights == 0 || operand.weights & 1 << mark.weight() != 0;
            found.extend(
                lexeme
                    .marks
                    .iter()
                    .filter(wanted)
                    .map(|mark| (*mark, first + offset, index)),
            );
        }
    }
    found.sort_by_key(|(mark, entry, _)| (mark.position(), mark.weight(), *entry));
    let mut occurrences: Vec<Occurrence> = Vec::new();
    for (mark, entry, operand) in found {
        match occurrences
            .last_mut()
            .filter(|last| last.mark == mark && last.entry == entry)
        {
            Some(last) => last.operands.push(operand),
            None => occurrences.push(Occurrence {
                mark,
                entry,
                operands: vec![operand],
            }),
        }
    }
    occurrences
}

/// The next shortest stretch that satisfies the query, as first and last place; `from` is moved behind its beginning.
fn cover(occurrences: &[Occurrence], query: &TsQuery, from: &mut usize) -> Option<(usize, usize)> {
    loop {
        let mut window = Window::new(query.items().len(), false);
        let last = (*from..occurrences.len()).find(|at| {
            window.add(&occurrences[*at]);
            execute(&window, query)
        })?;
        let mut window = Window::new(query.items().len(), true);
        let first = (*from..=last).rev().find(|at| {
            window.add(&occurrences[*at]);
            execute(&window, query)
        });
        if let Some(first) = first {
            *from = first + 1;
            return Some((first, last));
        }
        *from += 1;
    }
}

//! Matching: the automata run over a text, and a match taken apart into what its groups hold.

use std::collections::HashMap;
use std::rc::Rc;

use super::super::errors::Result;
use super::plan::{Kind, Part, Tree};
use super::program::{Instruction, Program};
use super::syntax::Place;
use super::{Groups, unavailable};

/// Steps of the automata for a text, at most, and so many more for each of its bytes.
const STEPS_MAX: usize = 20_000_000;
const STEPS_PER_BYTE: usize = 100;

pub(super) struct Matcher<'t> {
    tree: &'t Tree,
    text: &'t str,
    /// Where the match under way ends; no part reaches beyond.
    stop: usize,
    /// Steps that are left.
    steps: usize,
    groups: Groups,
    /// Where parts may end, by part and begin; holds for one `stop`.
    ends: HashMap<(usize, usize), Rc<[usize]>>,
    ahead: HashMap<(usize, usize), bool>,
    behind: HashMap<usize, Rc<[bool]>>,
}

/// Which instructions are under way.
struct Threads {
    list: Vec<usize>,
    /// The round in which an instruction was last added.
    added: Vec<usize>,
    round: usize,
    has_match: bool,
}

impl Threads {
    fn new(program: &Program) -> Self {
        Threads {
            list: Vec::new(),
            added: vec![0; program.instructions.len()],
            round: 0,
            has_match: false,
        }
    }

    fn clear(&mut self) {
        self.list.clear();
        self.round += 1;
        self.has_match = false;
    }
}

impl<'t> Matcher<'t> {
    pub fn new(tree: &'t Tree, text: &'t str) -> Self {
        Matcher {
            tree,
            text,
            stop: text.len(),
            steps: STEPS_MAX + STEPS_PER_BYTE * text.len(),
            groups: vec![None; tree.groups + 1],
            ends: HashMap::new(),
            ahead: HashMap::new(),
            behind: HashMap::new(),
        }
    }

    /// The first match that begins at byte `from` or later. Errors: 0A000 past the limit of steps.
    pub fn first(&mut self, from: usize) -> Result<Option<Groups>> {
        if self.tree.root.refers_back() {
            return self.first_referring(from);
        }
        let found = self.first_between(from, self.text.len())?;
        Ok(found.then(|| self.groups.clone()))
    }

    fn first_between(&mut self, from: usize, to: usize) -> Result<bool> {
        for begin in (from..=to).filter(|at| self.text.is_char_boundary(*at)) {
            if self.begins_at(begin)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// With back references PostgreSQL tries what may match first, then goes on behind it; once the text's last place is
    /// behind a failed try, it is not tried.
    fn first_referring(&mut self, from: usize) -> Result<Option<Groups>> {
        let mut from = from;
        loop {
            let Some(close) = self.earliest_end(from)? else {
                return Ok(None);
            };
            if self.first_between(from, close)? {
                return Ok(Some(self.groups.clone()));
            }
            match self.text[close..].chars().next() {
                Some(c) if close + c.len_utf8() < self.text.len() => from = close + c.len_utf8(),
                _ => return Ok(None),
            }
        }
    }

    /// Where the match ends first that begins at `from` or later, back references taken for what they might be.
    fn earliest_end(&mut self, from: usize) -> Result<Option<usize>> {
        let program = &self.tree.root.program;
        let (mut now, mut next) = (Threads::new(program), Threads::new(program));
        let text = self.text;
        let mut at = from;
        now.clear();
        self.follow(program, 0, at, &mut now)?;
        while !now.has_match {
            let Some(c) = text[at..].chars().next() else {
                return Ok(None);
            };
            at += c.len_utf8();
            next.clear();
            self.advance(program, c, at, &now, &mut next)?;
            self.follow(program, 0, at, &mut next)?;
            std::mem::swap(&mut now, &mut next);
        }
        Ok(Some(at))
    }

    fn begins_at(&mut self, begin: usize) -> Result<bool> {
        let tree = self.tree;
        self.stop = self.text.len();
        let only_first = tree.root.prefers_shorter() && !tree.root.refers_back();
        let mut ends = self.run(&tree.root.program, begin, only_first)?;
        if !tree.root.prefers_shorter() {
            ends.reverse();
        }
        for end in ends {
            self.stop = end;
            self.ends.clear();
            self.groups.fill(None);
            if self.dissect(&tree.root, begin, end)? {
                self.groups[0] = Some((begin, end));
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Where matches of the program that begin at `begin` end, up to the stop.
    fn run(&mut self, program: &Program, begin: usize, only_first: bool) -> Result<Vec<usize>> {
        let mut found = Vec::new();
        let (mut now, mut next) = (Threads::new(program), Threads::new(program));
        now.clear();
        self.follow(program, 0, begin, &mut now)?;
        let mut at = begin;
        loop {
            if now.has_match {
                found.push(at);
                if only_first {
                    break;
                }
            }
            if at >= self.stop || now.list.is_empty() {
                break;
            }
            let Some(c) = self.text[at..].chars().next() else { break };
            let behind = at + c.len_utf8();
            next.clear();
            self.advance(program, c, behind, &now, &mut next)?;
            std::mem::swap(&mut now, &mut next);
            at = behind;
        }
        Ok(found)
    }

    fn spend(&mut self, steps: usize) -> Result<()> {
        match self.steps.checked_sub(steps) {
            Some(left) => {
                self.steps = left;
                Ok(())
            }
            None => Err(unavailable("regular expressions that take this many steps")),
        }
    }

    fn advance(&mut self, program: &Program, c: char, behind: usize, now: &Threads, next: &mut Threads) -> Result<()> {
        self.spend(now.list.len() + 1)?;
        for at in &now.list {
            if let Instruction::One(set) = &program.instructions[*at]
                && set.contains(c)
            {
                self.follow(program, at + 1, behind, next)?;
            }
        }
        Ok(())
    }

    /// Adds an instruction, and what it leads to without a character.
    fn follow(&mut self, program: &Program, from: usize, at: usize, threads: &mut Threads) -> Result<()> {
        let mut open = vec![from];
        while let Some(index) = open.pop() {
            if threads.added[index] == threads.round {
                continue;
            }
            threads.added[index] = threads.round;
            match &program.instructions[index] {
                Instruction::One(_) => threads.list.push(index),
                Instruction::Match => threads.has_match = true,
                Instruction::Jump(to) => open.push(*to),
                Instruction::Split(one, other) => open.extend([*other, *one]),
                Instruction::Place(place) => {
                    if self.holds(*place, at) {
                        open.push(index + 1);
                    }
                }
                Instruction::Look(number) => {
                    if self.sees(*number, at)? {
                        open.push(index + 1);
                    }
                }
            }
        }
        Ok(())
    }

    fn holds(&self, place: Place, at: usize) -> bool {
        let before = self.text[..at].chars().next_back();
        let behind = self.text[at..].chars().next();
        let is_word = |c: Option<char>| c.is_some_and(|c| c == '_' || c.is_alphanumeric());
        let (word_before, word_behind) = (is_word(before), is_word(behind));
        match place {
            Place::TextBegin => before.is_none(),
            Place::TextEnd => behind.is_none(),
            Place::LineBegin => before.is_none_or(|c| c == '\n'),
            Place::LineEnd => behind.is_none_or(|c| c == '\n'),
            Place::WordBegin => !word_before && word_behind,
            Place::WordEnd => word_before && !word_behind,
            Place::WordEdge => word_before != word_behind,
            Place::NoWordEdge => word_before == word_behind,
        }
    }

    /// Lookaround sees all of the text, whatever is being matched.
    fn sees(&mut self, number: usize, at: usize) -> Result<bool> {
        let look = &self.tree.shared.looks[number];
        let found = if look.ahead {
            match self.ahead.get(&(number, at)) {
                Some(known) => *known,
                None => {
                    let stop = std::mem::replace(&mut self.stop, self.text.len());
                    let ends = self.run(&look.program, at, true);
                    self.stop = stop;
                    let found = !ends?.is_empty();
                    self.ahead.insert((number, at), found);
                    found
                }
            }
        } else {
            let ends = match self.behind.get(&number) {
                Some(known) => Rc::clone(known),
                None => {
                    let ends: Rc<[bool]> = self.all_ends(&look.program)?.into();
                    self.behind.insert(number, Rc::clone(&ends));
                    ends
                }
            };
            ends[at]
        };
        Ok(found != look.negative)
    }

    /// For each byte, whether a match that begins anywhere ends there.
    fn all_ends(&mut self, program: &Program) -> Result<Vec<bool>> {
        let mut found = vec![false; self.text.len() + 1];
        let (mut now, mut next) = (Threads::new(program), Threads::new(program));
        now.clear();
        self.follow(program, 0, 0, &mut now)?;
        found[0] = now.has_match;
        let text = self.text;
        for (at, c) in text.char_indices() {
            let behind = at + c.len_utf8();
            next.clear();
            self.advance(program, c, behind, &now, &mut next)?;
            self.follow(program, 0, behind, &mut next)?;
            std::mem::swap(&mut now, &mut next);
            found[behind] = now.has_match;
        }
        Ok(found)
    }

    fn ends(&mut self, part: &Part, begin: usize) -> Result<Rc<[usize]>> {
        if let Some(known) = self.ends.get(&(part.id, begin)) {
            return Ok(Rc::clone(known));
        }
        let ends: Rc<[usize]> = self.run(&part.program, begin, false)?.into();
        self.ends.insert((part.id, begin), Rc::clone(&ends));
        Ok(ends)
    }

    fn may_match(&mut self, part: &Part, begin: usize, end: usize) -> Result<bool> {
        Ok(self.ends(part, begin)?.binary_search(&end).is_ok())
    }

    fn forget(&mut self, part: &Part) {
        for group in &part.groups {
            self.groups[*group] = None;
        }
    }

    /// Divides a match of the part among its own parts; false only where a back reference is in the way.
    fn dissect(&mut self, part: &Part, begin: usize, end: usize) -> Result<bool> {
        let fits = match &part.kind {
            Kind::Whole => true,
            Kind::Back { group, min, max } => self.repeats(*group, (*min, *max), begin, end),
            Kind::Wrap(inner) => self.dissect(inner, begin, end)?,
            Kind::Alternate(branches) => self.any(branches, begin, end)?,
            Kind::Concat(first, second) => self.divide(first, second, begin, end)?,
            Kind::Iterate { part, min, max } => self.iterate(part, (*min, *max), begin, end)?,
        };
        if fits && let Some(group) = part.group {
            self.groups[group] = Some((begin, end));
        }
        Ok(fits)
    }

    fn any(&mut self, branches: &[Part], begin: usize, end: usize) -> Result<bool> {
        for branch in branches {
            if self.may_match(branch, begin, end)? && self.dissect(branch, begin, end)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn divide(&mut self, first: &Part, second: &Part, begin: usize, end: usize) -> Result<bool> {
        let ends = self.ends(first, begin)?;
        let count = ends.partition_point(|middle| *middle <= end);
        for at in 0..count {
            let middle = if first.prefers_shorter() {
                ends[at]
            } else {
                ends[count - 1 - at]
            };
            if !self.may_match(second, middle, end)? {
                continue;
            }
            if self.dissect(first, begin, middle)? && self.dissect(second, middle, end)? {
                return Ok(true);
            }
            self.forget(first);
            self.forget(second);
        }
        Ok(false)
    }

    /// The text is what the group holds, so many times.
    fn repeats(&self, group: usize, (min, max): (u32, Option<u32>), begin: usize, end: usize) -> bool {
        let Some((from, to)) = self.groups[group] else {
            return false;
        };
        let held: Vec<char> = self.text[from..to].chars().collect();
        if held.is_empty() {
            return begin == end;
        }
        let here: Vec<char> = self.text[begin..end].chars().collect();
        let count = here.len() / held.len();
        if !here.len().is_multiple_of(held.len()) || count < min as usize || max.is_some_and(|max| count > max as usize)
        {
            return false;
        }
        let same = |a: char, b: char| a == b || (self.tree.ignore_case && a.to_lowercase().eq(b.to_lowercase()));
        here.chunks(held.len())
            .all(|chunk| chunk.iter().zip(&held).all(|(a, b)| same(*a, *b)))
    }

    /// A match of repetitions. Each is as long (or short) as it can be; the last is what groups hold.
    fn iterate(&mut self, part: &Part, (min, max): (u32, Option<u32>), begin: usize, end: usize) -> Result<bool> {
        let may_be_none = min == 0 && begin == end;
        if may_be_none && part.prefers_shorter() {
            return Ok(true);
        }
        let least = min.max(1) as usize;
        let length = self.text[begin..end].chars().count();
        let most = max.map_or(length, |max| length.min(max as usize)).max(least);
        self.forget(part);
        // One empty repetition goes before none, so that groups hold it.
        Ok(self.repetitions(part, (least, most), (begin, end), 1)? || may_be_none)
    }

    /// Matches the repetition of that number and those behind it.
    fn repetitions(
        &mut self,
        part: &Part,
        bounds: (usize, usize),
        (begin, end): (usize, usize),
        number: usize,
    ) -> Result<bool> {
        let (least, most) = bounds;
        self.spend(if number > DEPTH_MAX { usize::MAX } else { 1 })?;
        let ends = self.ends(part, begin)?;
        let count = ends.partition_point(|middle| *middle <= end);
        for at in 0..count {
            let middle = if part.prefers_shorter() {
                ends[at]
            } else {
                ends[count - 1 - at]
            };
            let is_last = middle == end;
            // Empty repetitions only fill up the least number.
            let missing = least.saturating_sub(number);
            let left = self.text[middle..end].chars().count();
            if middle == begin && !is_last && (number >= least || missing < left) {
                continue;
            }
            let may_be = if is_last { number >= least } else { number < most };
            if !may_be {
                continue;
            }
            self.forget(part);
            if !self.dissect(part, begin, middle)? {
                continue;
            }
            if is_last || self.repetitions(part, bounds, (middle, end), number + 1)? {
                return Ok(true);
            }
        }
        self.forget(part);
        Ok(false)
    }
}

/// Repetitions of a part that refers back or may be left out, at most.
const DEPTH_MAX: usize = 2_000;

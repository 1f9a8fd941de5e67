//! Which part of an expression prefers the longer match and which the shorter, and which parts must be told apart.
//!
//! PostgreSQL looks at a part as a whole as long as nothing in it captures, refers back or prefers otherwise: what such
//! a part matches is the longest (or shortest) that all of it can. That is seen in what later groups hold, so the parts
//! here are the same.

use std::sync::Arc;

use super::super::errors::Result;
use super::program::{Program, Shared};
use super::syntax::{Node, Preference};

/// Prefers the longer match; the shorter; has parts that prefer otherwise; captures; refers back.
const LONGER: u8 = 1;
const SHORTER: u8 = 2;
const MIXED: u8 = 4;
const CAPTURES: u8 = 8;
const BACK: u8 = 16;

/// What a part passes on to the one that it belongs to.
fn passed_on(flags: u8) -> u8 {
    let both = LONGER | SHORTER;
    (flags & (MIXED | CAPTURES | BACK)) | if flags & both == both { MIXED } else { 0 }
}

/// The flags of two parts in a row: the first preference counts.
fn combined(first: u8, second: u8) -> u8 {
    let preference = match first & (LONGER | SHORTER) {
        0 => second & (LONGER | SHORTER),
        own => own,
    };
    passed_on(first | second) | preference
}

fn must_be_told_apart(flags: u8) -> bool {
    flags & (MIXED | CAPTURES | BACK) != 0
}

/// A part.
#[derive(Debug)]
pub(super) struct Part {
    pub kind: Kind,
    flags: u8,
    /// The group that holds what the part matches.
    pub group: Option<usize>,
    /// The groups in it, its own among them.
    pub groups: Vec<usize>,
    pub program: Program,
    /// Tells parts apart in a matcher's memory.
    pub id: usize,
}

#[derive(Debug)]
pub(super) enum Kind {
    Whole,
    Back {
        group: usize,
        min: u32,
        max: Option<u32>,
    },
    Concat(Box<Part>, Box<Part>),
    Alternate(Vec<Part>),
    Iterate {
        part: Box<Part>,
        min: u32,
        max: Option<u32>,
    },
    Wrap(Box<Part>),
}

impl Part {
    pub fn prefers_shorter(&self) -> bool {
        self.flags & SHORTER != 0
    }

    pub fn refers_back(&self) -> bool {
        self.flags & BACK != 0
    }
}

/// An expression ready to be matched.
#[derive(Debug)]
pub(super) struct Tree {
    pub root: Part,
    pub groups: usize,
    pub ignore_case: bool,
    /// What lookaround looks for.
    pub shared: Shared,
}

impl Tree {
    /// Errors: 0A000 for what is too large.
    pub fn new(root: &Arc<Node>, groups: usize, ignore_case: bool) -> Result<Tree> {
        let mut planner = Planner {
            shared: Shared::default(),
            inners: vec![None; groups + 1],
            parts: 0,
        };
        let root = planner.alternatives(root)?.part;
        Ok(Tree {
            root,
            groups,
            ignore_case,
            shared: planner.shared,
        })
    }
}

struct Planner {
    shared: Shared,
    /// What each group is made of, for references to it.
    inners: Vec<Option<Arc<Node>>>,
    parts: usize,
}

/// A part on its way, with what it is made of.
struct Made {
    part: Part,
    node: Arc<Node>,
}

impl Planner {
    fn part(&mut self, kind: Kind, flags: u8, node: Arc<Node>) -> Result<Made> {
        let groups = match &kind {
            Kind::Whole | Kind::Back { .. } => Vec::new(),
            Kind::Concat(first, second) => [first.groups.as_slice(), &second.groups].concat(),
            Kind::Alternate(parts) => parts.iter().flat_map(|part| part.groups.iter().copied()).collect(),
            Kind::Iterate { part, .. } | Kind::Wrap(part) => part.groups.clone(),
        };
        self.parts += 1;
        Ok(Made {
            part: Part {
                kind,
                flags,
                group: None,
                groups,
                program: Program::new(&node, &mut self.shared)?,
                id: self.parts,
            },
            node,
        })
    }

    fn concat(&mut self, first: Made, second: Made, flags: u8) -> Result<Made> {
        let node = Arc::new(Node::Concat(vec![first.node, second.node]));
        self.part(Kind::Concat(Box::new(first.part), Box::new(second.part)), flags, node)
    }

    fn alternatives(&mut self, node: &Arc<Node>) -> Result<Made> {
        let Node::Alternate(branches) = &**node else {
            return self.branch(node);
        };
        let mut flags = LONGER;
        let (mut parts, mut nodes) = (Vec::with_capacity(branches.len()), Vec::new());
        for branch in branches {
            let made = self.branch(branch)?;
            flags |= passed_on(flags | made.part.flags);
            parts.push(made.part);
            nodes.push(made.node);
        }
        let kind = if must_be_told_apart(flags) {
            Kind::Alternate(parts)
        } else {
            Kind::Whole
        };
        self.part(kind, flags, Arc::new(Node::Alternate(nodes)))
    }

    fn branch(&mut self, node: &Arc<Node>) -> Result<Made> {
        match &**node {
            Node::Concat(items) => self.items(items),
            _ => self.items(std::slice::from_ref(node)),
        }
    }

    /// Parts from left to right: what need not be told apart, then what must be, then the rest.
    fn items(&mut self, items: &[Arc<Node>]) -> Result<Made> {
        let mut before: Vec<Arc<Node>> = Vec::new();
        let mut flags = 0;
        for (at, item) in items.iter().enumerate() {
            let (atom, min, max, longer) = match &**item {
                Node::Repeat {
                    inner,
                    min,
                    max,
                    longer,
                } => (inner, *min, *max, *longer),
                _ => (item, 1, Some(1), None),
            };
            let preference = preference(longer);
            let made = self.atom(atom)?;
            if max == Some(0) {
                continue;
            }
            let atom_flags = made.as_ref().map_or(0, |made| made.part.flags);
            let is_special = matches!(**atom, Node::Group(..) | Node::Back(_));
            let all = flags | preference | atom_flags;
            if !is_special && !must_be_told_apart(passed_on(all)) {
                before.push(Arc::clone(item));
                flags = all;
                continue;
            }
            let made = match made {
                Some(made) => made,
                None => self.part(Kind::Whole, 0, Arc::clone(atom))?,
            };
            let quantified = self.quantified(made, item, (min, max), preference)?;
            let rest = &items[at + 1..];
            return self.assembled(before, flags, quantified, combined(preference, atom_flags), rest);
        }
        self.part(Kind::Whole, flags, Arc::new(Node::Concat(before)))
    }

    /// The part of an atom that has parts; `None` for a character or a condition.
    fn atom(&mut self, atom: &Arc<Node>) -> Result<Option<Made>> {
        match &**atom {
            Node::Group(number, inner) => {
                let mut made = self.alternatives(inner)?;
                if made.part.group.is_some() {
                    // `((x))`
                    let (flags, node) = (made.part.flags, Arc::clone(&made.node));
                    made = self.part(Kind::Wrap(Box::new(made.part)), flags, node)?;
                }
                made.part.flags |= CAPTURES;
                made.part.group = Some(*number);
                made.part.groups.push(*number);
                self.inners[*number] = Some(Arc::clone(&made.node));
                Ok(Some(made))
            }
            Node::Concat(_) | Node::Alternate(_) => self.alternatives(atom).map(Some),
            Node::Back(number) => {
                // Whatever the group might hold, wherever that stands.
                let inner = self.inners[*number].clone().unwrap_or_else(|| Arc::new(Node::Empty));
                let kind = Kind::Back {
                    group: *number,
                    min: 1,
                    max: Some(1),
                };
                self.part(kind, BACK, without_conditions(&inner)).map(Some)
            }
            _ => Ok(None),
        }
    }

    fn quantified(
        &mut self,
        atom: Made,
        item: &Arc<Node>,
        (min, max): (u32, Option<u32>),
        preference: u8,
    ) -> Result<Made> {
        let own = atom.part.flags & (LONGER | SHORTER | MIXED);
        let flags = combined(preference, atom.part.flags);
        // A reference counts its repetitions itself, but not one in parentheses.
        let is_reference = match &**item {
            Node::Repeat { inner, .. } => matches!(**inner, Node::Back(_)),
            other => matches!(other, Node::Back(_)),
        };
        if let Kind::Back { group, .. } = atom.part.kind
            && is_reference
        {
            let node = repeated(&atom.node, min, max);
            return self.part(Kind::Back { group, min, max }, atom.part.flags | flags, node);
        }
        if (min, max) == (1, Some(1)) && (preference == 0 || own == 0 || preference == own) {
            return Ok(atom);
        }
        if atom.part.flags & (CAPTURES | BACK) == 0 {
            return self.part(Kind::Whole, flags, Arc::clone(item));
        }
        if min > 0 && atom.part.flags & BACK == 0 {
            // Only the last repetition is held.
            let first = repeated(&atom.node, min - 1, max.map(|max| max - 1));
            let first = self.part(Kind::Whole, flags & (LONGER | SHORTER), first)?;
            return self.concat(first, atom, flags);
        }
        let node = repeated(&atom.node, min, max);
        let part = Box::new(atom.part);
        self.part(Kind::Iterate { part, min, max }, flags, node)
    }

    fn assembled(
        &mut self,
        before: Vec<Arc<Node>>,
        mut flags: u8,
        quantified: Made,
        from_atom: u8,
        rest: &[Arc<Node>],
    ) -> Result<Made> {
        let before_flags = flags;
        let has_before = !before.is_empty();
        let second = if rest.is_empty() {
            flags |= combined(flags, quantified.part.flags);
            quantified
        } else {
            let rest = self.items(rest)?;
            let both = from_atom | combined(from_atom, rest.part.flags);
            flags |= combined(flags, both);
            if !has_before {
                return self.concat(quantified, rest, flags);
            }
            let are_whole = matches!((&quantified.part.kind, &rest.part.kind), (Kind::Whole, Kind::Whole));
            let together = passed_on(quantified.part.flags | rest.part.flags);
            if are_whole && !must_be_told_apart(together) {
                let node = Arc::new(Node::Concat(vec![quantified.node, rest.node]));
                let flags = combined(quantified.part.flags, rest.part.flags);
                self.part(Kind::Whole, flags, node)?
            } else {
                self.concat(quantified, rest, both)?
            }
        };
        if !has_before {
            return Ok(second);
        }
        let before = self.part(Kind::Whole, before_flags, Arc::new(Node::Concat(before)))?;
        self.concat(before, second, flags)
    }
}

fn preference(longer: Preference) -> u8 {
    match longer {
        None => 0,
        Some(true) => LONGER,
        Some(false) => SHORTER,
    }
}

fn repeated(inner: &Arc<Node>, min: u32, max: Option<u32>) -> Arc<Node> {
    Arc::new(Node::Repeat {
        inner: Arc::clone(inner),
        min,
        max,
        longer: None,
    })
}

fn without_conditions(node: &Arc<Node>) -> Arc<Node> {
    let each = |nodes: &[Arc<Node>]| nodes.iter().map(without_conditions).collect();
    match &**node {
        Node::Place(_) | Node::Look { .. } => Arc::new(Node::Empty),
        Node::Group(_, inner) => without_conditions(inner),
        Node::Concat(parts) => Arc::new(Node::Concat(each(parts))),
        Node::Alternate(branches) => Arc::new(Node::Alternate(each(branches))),
        Node::Repeat { inner, min, max, .. } => repeated(&without_conditions(inner), *min, *max),
        Node::Empty | Node::One(_) | Node::Back(_) => Arc::clone(node),
    }
}

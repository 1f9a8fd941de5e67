//! Parts of an expression as automata: where a match that begins at a place may end.

use std::sync::Arc;

use super::super::errors::Result;
use super::syntax::{Node, Place, Set};
use super::unavailable;

/// Instructions of all programs of an expression, at most.
const INSTRUCTIONS_MAX: usize = 200_000;

#[derive(Clone, Debug)]
pub(super) enum Instruction {
    One(Set),
    Split(usize, usize),
    Jump(usize),
    Place(Place),
    /// The number of the lookaround.
    Look(usize),
    Match,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Program {
    pub instructions: Vec<Instruction>,
}

/// A condition on what stands before or behind a place.
#[derive(Debug)]
pub(super) struct Look {
    pub ahead: bool,
    pub negative: bool,
    pub program: Program,
}

/// What the programs of an expression share.
#[derive(Debug, Default)]
pub(super) struct Shared {
    pub looks: Vec<Look>,
    instructions: usize,
    /// The trees of `looks`, so that one that is met again is made once.
    known: Vec<Arc<Node>>,
}

impl Program {
    /// Errors: 0A000 for an expression that is too large.
    pub fn new(node: &Arc<Node>, shared: &mut Shared) -> Result<Program> {
        let mut program = Program::default();
        program.add(node, shared)?;
        program.push(Instruction::Match, shared)?;
        Ok(program)
    }

    fn push(&mut self, instruction: Instruction, shared: &mut Shared) -> Result<usize> {
        shared.instructions += 1;
        if shared.instructions > INSTRUCTIONS_MAX {
            return Err(unavailable("regular expressions of this size"));
        }
        self.instructions.push(instruction);
        Ok(self.instructions.len() - 1)
    }

    fn add(&mut self, node: &Arc<Node>, shared: &mut Shared) -> Result<()> {
        match &**node {
            Node::Empty => {}
            Node::One(set) => drop(self.push(Instruction::One(set.clone()), shared)?),
            Node::Place(place) => drop(self.push(Instruction::Place(*place), shared)?),
            Node::Look { ahead, negative, inner } => {
                let number = match shared.known.iter().position(|known| Arc::ptr_eq(known, node)) {
                    Some(number) => number,
                    None => {
                        let program = Program::new(inner, shared)?;
                        shared.looks.push(Look {
                            ahead: *ahead,
                            negative: *negative,
                            program,
                        });
                        shared.known.push(Arc::clone(node));
                        shared.looks.len() - 1
                    }
                };
                self.push(Instruction::Look(number), shared)?;
            }
            Node::Group(_, inner) => self.add(inner, shared)?,
            Node::Concat(parts) => {
                for part in parts {
                    self.add(part, shared)?;
                }
            }
            Node::Alternate(branches) => {
                let mut ends = Vec::with_capacity(branches.len());
                for (at, branch) in branches.iter().enumerate() {
                    if at + 1 == branches.len() {
                        self.add(branch, shared)?;
                        break;
                    }
                    let split = self.push(Instruction::Split(0, 0), shared)?;
                    self.add(branch, shared)?;
                    ends.push(self.push(Instruction::Jump(0), shared)?);
                    self.instructions[split] = Instruction::Split(split + 1, self.instructions.len());
                }
                let end = self.instructions.len();
                for jump in ends {
                    self.instructions[jump] = Instruction::Jump(end);
                }
            }
            Node::Repeat { inner, min, max, .. } => self.repeat(inner, *min, *max, shared)?,
            // The plan has put what the group is made of in its place.
            Node::Back(_) => {}
        }
        Ok(())
    }

    fn repeat(&mut self, inner: &Arc<Node>, min: u32, max: Option<u32>, shared: &mut Shared) -> Result<()> {
        for _ in 0..min {
            self.add(inner, shared)?;
        }
        match max {
            None => {
                let split = self.push(Instruction::Split(0, 0), shared)?;
                self.add(inner, shared)?;
                self.push(Instruction::Jump(split), shared)?;
                self.instructions[split] = Instruction::Split(split + 1, self.instructions.len());
            }
            Some(max) => {
                let mut splits = Vec::new();
                for _ in min..max {
                    splits.push(self.push(Instruction::Split(0, 0), shared)?);
                    self.add(inner, shared)?;
                }
                let end = self.instructions.len();
                for split in splits {
                    self.instructions[split] = Instruction::Split(split + 1, end);
                }
            }
        }
        Ok(())
    }
}

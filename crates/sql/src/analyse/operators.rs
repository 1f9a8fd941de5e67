//! The operators of the portable subset, as data. How one is chosen: `resolve`.

use super::kinds::{Arg, Implementation};

/// One operator for one pair of types; all are strict and immutable.
#[derive(Debug, PartialEq, Eq)]
pub struct OperatorEntry {
    pub name: &'static str,
    /// `None`: a prefix operator.
    pub left: Option<Arg>,
    pub right: Arg,
    pub result: Arg,
    pub implementation: Implementation,
}

//! The aggregates and window functions of the portable subset, as data.

use super::kinds::{Arg, Implementation};

/// One overload of an aggregate.
#[derive(Debug, PartialEq, Eq)]
pub struct AggregateEntry {
    pub name: &'static str,
    pub arguments: &'static [Arg],
    pub result: Arg,
    pub implementation: Implementation,
}

/// One overload of a window function that is not an aggregate.
#[derive(Debug, PartialEq, Eq)]
pub struct WindowEntry {
    pub name: &'static str,
    pub arguments: &'static [Arg],
    pub result: Arg,
}

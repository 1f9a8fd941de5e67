//! The functions of the portable subset, as data. How one is chosen: `resolve`.

use mainstay_core::catalog::Volatility;

use super::kinds::{Arg, Implementation};

/// One overload of a scalar function.
#[derive(Debug, PartialEq, Eq)]
pub struct FunctionEntry {
    pub name: &'static str,
    pub arguments: &'static [Arg],
    /// The last of `arguments` may be repeated.
    pub variadic: bool,
    /// Names for calls such as `make_interval(days => 3)`; empty if calls by name are not known.
    pub names: &'static [&'static str],
    /// Literals for trailing arguments that may be left out.
    pub defaults: &'static [&'static str],
    pub result: Arg,
    pub volatility: Volatility,
    /// A null argument gives null.
    pub strict: bool,
    pub implementation: Implementation,
}

/// One overload of a set-returning function.
#[derive(Debug, PartialEq, Eq)]
pub struct SetFunctionEntry {
    pub name: &'static str,
    pub arguments: &'static [Arg],
    /// Output columns; a single one takes the alias as its name.
    pub columns: &'static [(&'static str, Arg)],
    pub implementation: Implementation,
}

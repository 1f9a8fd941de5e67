//! `cargo xtask bench`.

use crate::{Arguments, Error, Result};
use std::process::ExitCode;

pub fn run(_arguments: &mut Arguments) -> Result<ExitCode> {
    Err(Error::new("the bench is not written yet"))
}

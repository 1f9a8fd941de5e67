//! `boolean`: stored as INTEGER 0 or 1.
//!
//! Source: PostgreSQL manual, 8.6.

use super::errors::{PgError, Result};
use super::numeric::trim_space;

/// Reads `true yes on 1` and `false no off 0`, in any case, and their unique prefixes. Errors: 22P02.
pub fn parse(text: &str) -> Result<bool> {
    let body = trim_space(text);
    let is_prefix_of = |word: &str, least: usize| {
        body.len() >= least
            && word
                .get(..body.len())
                .is_some_and(|head| head.eq_ignore_ascii_case(body))
    };
    if is_prefix_of("true", 1) || is_prefix_of("yes", 1) || is_prefix_of("on", 2) || body == "1" {
        Ok(true)
    } else if is_prefix_of("false", 1) || is_prefix_of("no", 1) || is_prefix_of("off", 2) || body == "0" {
        Ok(false)
    } else {
        Err(PgError::syntax("boolean", text))
    }
}

/// The output function's text; the cast to text gives [`cast_text`] instead.
pub fn output(value: bool) -> &'static str {
    if value { "t" } else { "f" }
}

/// `value::text`.
pub fn cast_text(value: bool) -> &'static str {
    if value { "true" } else { "false" }
}

//! Errors of a routine on their way through SQLite, which keeps only a function's text.
//!
//! The error itself stays in thread-local state; the text that SQLite carries is a mark with its number. Where SQLite's
//! error comes up again, the mark is exchanged for the error. A mark is taken once and fits one error only.

use std::cell::{Cell, RefCell};
use std::fmt;

use mainstay_core::error::BackendError;

/// Stands around the number.
const MARK: char = '\u{3}';

thread_local! {
    static KEPT: RefCell<Option<(u64, BackendError)>> = const { RefCell::new(None) };
    static NUMBER: Cell<u64> = const { Cell::new(0) };
}

#[derive(Debug)]
struct Mark(u64);

impl fmt::Display for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{MARK}{}{MARK}", self.0)
    }
}

impl std::error::Error for Mark {}

/// Keeps `error` and gives what SQLite is told instead.
pub fn keep(error: BackendError) -> rusqlite::Error {
    let number = NUMBER.get().wrapping_add(1);
    NUMBER.set(number);
    KEPT.set(Some((number, error)));
    rusqlite::Error::UserFunctionError(Box::new(Mark(number)))
}

/// The error behind a text that SQLite reports, if a routine of this thread raised it.
pub fn take(text: &str) -> Option<BackendError> {
    let start = text.find(MARK)?;
    let number: u64 = text[start + MARK.len_utf8()..].split(MARK).next()?.parse().ok()?;
    KEPT.with_borrow_mut(|kept| match kept {
        Some((known, _)) if *known == number => kept.take().map(|(_, error)| error),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use mainstay_core::error::DatabaseError;

    use super::*;

    #[test]
    fn an_error_comes_back_once_and_only_for_its_own_mark() {
        let refused = || BackendError::from(DatabaseError::new("P0001", "no").hint("h"));
        let first = keep(refused()).to_string();
        let second = keep(refused()).to_string();
        assert!(take(&first).is_none());
        match take(&second) {
            Some(BackendError::Refused(error)) => {
                assert_eq!((error.sqlstate.as_str(), error.hint.as_deref()), ("P0001", Some("h")))
            }
            other => panic!("{other:?}"),
        }
        assert!(take(&second).is_none());
        assert!(take("no such table: t").is_none());
    }
}

//! Errors with a SQLSTATE that survive the way through SQLite.
//!
//! SQLite keeps only the text of a function's error. [`PgError::encode`] puts code, message, detail and hint into
//! that text behind a private mark, and [`decode`] takes them out again.
//!
//! Source: PostgreSQL manual, appendix A (codes).

use std::fmt;

/// Stands before every encoded error and between its parts.
const MARK: char = '\u{1}';
/// Stands for itself (`e`) or a mark (`m`) inside the parts.
const ESCAPE: char = '\u{2}';

/// What a value or a function refuses, in PostgreSQL's words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PgError {
    /// Five ASCII characters.
    pub sqlstate: [u8; 5],
    pub message: String,
    pub detail: Option<String>,
    pub hint: Option<String>,
}

/// The result of every function here.
pub type Result<T> = std::result::Result<T, PgError>;

impl PgError {
    /// An error with a code and a message.
    pub fn new(sqlstate: &str, message: impl Into<String>) -> Self {
        let mut code = *b"XX000";
        if sqlstate.len() == code.len() {
            code.copy_from_slice(sqlstate.as_bytes());
        }
        PgError {
            sqlstate: code,
            message: message.into(),
            detail: None,
            hint: None,
        }
    }

    /// Adds the detail line.
    pub fn detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into());
        self
    }

    /// Adds the hint line.
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The code as text.
    pub fn code(&self) -> &str {
        std::str::from_utf8(&self.sqlstate).unwrap_or("XX000")
    }

    /// 22P02 for a text that is no value of the type.
    pub fn syntax(type_name: &str, text: &str) -> Self {
        PgError::new(
            "22P02",
            format!("invalid input syntax for type {type_name}: \"{text}\""),
        )
    }

    /// 22003 for a text whose number the type cannot hold.
    pub fn text_out_of_range(type_name: &str, text: &str) -> Self {
        PgError::new(
            "22003",
            format!("value \"{text}\" is out of range for type {type_name}"),
        )
    }

    /// 22003 for a computed number the type cannot hold.
    pub fn out_of_range(type_name: &str) -> Self {
        PgError::new("22003", format!("{type_name} out of range"))
    }

    /// 22012.
    pub fn division_by_zero() -> Self {
        PgError::new("22012", "division by zero")
    }

    /// A wrong call that the compiler should never have emitted.
    pub fn internal(message: impl Into<String>) -> Self {
        PgError::new("XX000", message)
    }

    /// The text that is handed to SQLite.
    pub fn encode(&self) -> String {
        let detail = self.detail.as_deref().unwrap_or_default();
        let hint = self.hint.as_deref().unwrap_or_default();
        let clean = |text: &str| {
            text.replace(ESCAPE, "\u{2}e")
                .replace(MARK, "\u{2}m")
                .replace('\0', " ")
        };
        format!(
            "{MARK}{}{MARK}{}{MARK}{}{MARK}{}{MARK}",
            self.code(),
            clean(&self.message),
            clean(detail),
            clean(hint)
        )
    }
}

impl fmt::Display for PgError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for PgError {}

/// Carries a [`PgError`] through SQLite: its text is the encoded form.
#[derive(Debug)]
struct Encoded(PgError);

impl fmt::Display for Encoded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.encode())
    }
}

impl std::error::Error for Encoded {}

impl From<PgError> for rusqlite::Error {
    fn from(error: PgError) -> Self {
        rusqlite::Error::UserFunctionError(Box::new(Encoded(error)))
    }
}

/// The error behind a text that SQLite reports, if one of our functions raised it. SQLite may put text around it.
pub fn decode(text: &str) -> Option<PgError> {
    let start = text.find(MARK)?;
    let mut parts = text[start + 1..].split(MARK);
    let code = parts.next().filter(|code| code.len() == 5 && code.is_ascii())?;
    let plain = |part: &str| part.replace("\u{2}m", "\u{1}").replace("\u{2}e", "\u{2}");
    let mut error = PgError::new(code, plain(parts.next()?));
    error.detail = parts.next().filter(|part| !part.is_empty()).map(plain);
    error.hint = parts.next().filter(|part| !part.is_empty()).map(plain);
    Some(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_survives_encoding() {
        let error = PgError::syntax("integer", "abc").detail("d").hint("h");
        assert_eq!(decode(&error.encode()), Some(error));
        let odd = PgError::new("22P02", "a\u{1}b\u{2}mc");
        assert_eq!(decode(&odd.encode()), Some(odd));
        let bare = PgError::division_by_zero();
        assert_eq!(decode(&bare.encode()), Some(bare));
        assert_eq!(decode("no such table: t"), None);
    }
}

//! What can go wrong, in two audiences: a public shape for the caller, a source chain for the log.

use std::fmt;

use serde::Serialize;

use crate::name::Ident;

/// A stable public code: a SQLSTATE, a code of a protocol we speak (`PGRST116`), or ours (`MS-<ROOM>-<number>`).
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(transparent)]
pub struct Code(std::borrow::Cow<'static, str>);

impl Code {
    /// A code known at compile time.
    pub const fn fixed(code: &'static str) -> Self {
        Code(std::borrow::Cow::Borrowed(code))
    }

    /// A code that came from the database, such as a SQLSTATE.
    pub fn dynamic(code: String) -> Self {
        Code(std::borrow::Cow::Owned(code))
    }

    /// The code's text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// An error as a caller may see it. The wire shape is `{code, message, details, hint}`.
pub trait PublicError: std::error::Error {
    fn code(&self) -> Code;
    /// What is wrong, in the caller's words.
    fn message(&self) -> String {
        self.to_string()
    }
    fn details(&self) -> Option<String> {
        None
    }
    /// What to do about it.
    fn hint(&self) -> Option<String> {
        None
    }
}

/// An error with a SQLSTATE: what PostgreSQL says, or what the embedded engine says in its stead.
///
/// Source: PostgreSQL manual, appendix A (codes) and 55.8 (error fields).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DatabaseError {
    /// Five characters.
    pub sqlstate: String,
    pub message: String,
    pub detail: Option<String>,
    pub hint: Option<String>,
    /// 1-based character position in the statement's text, where known.
    pub position: Option<u32>,
    pub schema: Option<Ident>,
    pub table: Option<Ident>,
    pub column: Option<Ident>,
    pub constraint: Option<Ident>,
}

impl DatabaseError {
    /// An error with a code and a message, nothing else.
    pub fn new(sqlstate: &str, message: impl Into<String>) -> Self {
        DatabaseError {
            sqlstate: sqlstate.to_owned(),
            message: message.into(),
            ..Default::default()
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

    /// Adds the 1-based character position.
    pub fn at(mut self, position: u32) -> Self {
        self.position = Some(position);
        self
    }

    /// The refusal of a statement that only PostgreSQL can run (SQLSTATE 0A000).
    ///
    /// Shape: `not available on the embedded engine: <feature> (<object>, line n); use PostgreSQL, or <alternative>`.
    pub fn unavailable(feature: &str, object: &str, line: u32, alternative: Option<&str>) -> Self {
        let place = if object.is_empty() {
            format!("line {line}")
        } else {
            format!("{object}, line {line}")
        };
        let otherwise = alternative.map(|text| format!(", or {text}")).unwrap_or_default();
        DatabaseError::new(
            "0A000",
            format!("not available on the embedded engine: {feature} ({place}); use PostgreSQL{otherwise}"),
        )
    }

    /// True if it says that the embedded engine does not have something that PostgreSQL has.
    pub fn is_unavailable(&self) -> bool {
        self.sqlstate == "0A000" && self.message.contains("available on the embedded engine")
    }
}

impl fmt::Display for DatabaseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for DatabaseError {}

/// What a [`Backend`](crate::backend::Backend) can answer instead of rows. Each leaves nothing written.
#[derive(Debug, thiserror::Error)]
pub enum BackendError {
    /// The statement was refused: constraint, privilege, policy, bad value, timeout.
    #[error("{0}")]
    Refused(Box<DatabaseError>),
    /// More rows were changed than `Prefer: max-affected` allows (rows affected).
    #[error("{affected} rows affected, more than allowed")]
    TooManyAffected { affected: u64 },
    /// A singular response was asked for and the statement gave another number of rows.
    #[error("{rows} rows where exactly one was asked for")]
    NotSingular { rows: u64 },
    /// PUT: the row in the body is not the row in the URL.
    #[error("the payload does not match the filters")]
    PutMismatch,
    /// No connection to the database; worth a retry.
    #[error("the database is not reachable")]
    Unavailable { reason: String },
    /// Waited too long for a connection or for the writer; worth a retry.
    #[error("the database is busy")]
    Busy,
    /// The database takes no writes: it is being moved into another one and holds them for a moment, or has been moved.
    /// Reads go on.
    #[error("{}", held(*.is_moved))]
    WritesHeld { is_moved: bool },
    /// The catalog changed since the plan was made; plan again.
    #[error("the catalog has changed")]
    StaleCatalog,
    /// The statement costs more than its role may spend; nothing was written.
    #[error("the query costs more than {cost_max}, which is the most for its role")]
    TooCostly { cost_max: u64 },
    /// The rows take more than [`ANSWER_BYTES_MAX`](crate::backend::ANSWER_BYTES_MAX). A write may have been done.
    #[error("the answer is larger than {} MiB", crate::backend::ANSWER_BYTES_MAX / (1024 * 1024))]
    AnswerTooLarge,
    /// The request's body could not be read as rows of the table.
    #[error("{0}")]
    BadPayload(String),
    /// A bug or a broken installation; the text is for the log only.
    #[error("internal database failure")]
    Internal(String),
}

fn held(is_moved: bool) -> &'static str {
    match is_moved {
        false => "the database is being moved and takes no writes for a moment",
        true => "the database has been moved and takes no more writes here",
    }
}

impl From<DatabaseError> for BackendError {
    fn from(error: DatabaseError) -> Self {
        BackendError::Refused(Box::new(error))
    }
}

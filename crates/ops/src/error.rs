//! What can stand in the way of an operator's work.

use std::path::PathBuf;
use std::time::Duration;

use mainstay_core::error::{BackendError, Code, PublicError};
use mainstay_core::name::QualifiedName;

/// The public codes of this crate. Listed in `docs/errors.md`.
pub mod codes {
    use mainstay_core::error::Code;

    /// The target of a move holds something already.
    pub const NOT_EMPTY: Code = Code::fixed("MS-OPS-001");
    /// Source and target do not have the same tables and columns.
    pub const SCHEMAS_DIFFER: Code = Code::fixed("MS-OPS-002");
    /// After the move the two sides are not equal.
    pub const ROWS_DIFFER: Code = Code::fixed("MS-OPS-003");
    /// The database is the target of a move that has not come to its end.
    pub const UNFINISHED: Code = Code::fixed("MS-OPS-004");
    /// After the move some reads are answered differently.
    pub const READS_DIFFER: Code = Code::fixed("MS-OPS-006");
    /// A file to import is not what its name says, at some line.
    pub const BAD_FILE: Code = Code::fixed("MS-OPS-007");
    /// A file's columns and a table's do not fit.
    pub const UNFIT: Code = Code::fixed("MS-OPS-008");
    /// Rows of a file were refused by the table.
    pub const ROWS_REFUSED: Code = Code::fixed("MS-OPS-009");
    /// The source is being moved to elsewhere, or has been moved.
    pub const LEAVING: Code = Code::fixed("MS-OPS-010");
    /// Writes would have been held for too long.
    pub const HELD_TOO_LONG: Code = Code::fixed("MS-OPS-011");
    /// An engine refused.
    pub const DATABASE: Code = Code::fixed("MS-OPS-005");
}

/// Everything this crate can refuse.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("{target} is not empty: it has {what}")]
    NotEmpty { target: String, what: String },
    #[error("the two schemas differ: {0}")]
    SchemasDiffer(String),
    #[error("after the move the two sides differ in {}", list(.0))]
    RowsDiffer(Vec<QualifiedName>),
    #[error("after the move {differing} of {reads} reads are answered differently")]
    ReadsDiffer { differing: usize, reads: usize },
    #[error("a move from {0} into this database has not come to its end")]
    Unfinished(String),
    #[error("the source {} {target}", if *.is_moved { "has been moved to" } else { "is being moved to" })]
    Leaving { target: String, is_moved: bool },
    #[error("writes were held for {} s and the move was not done", .0.as_secs())]
    HeldTooLong(Duration),
    #[error("{}{}: {what}", path.display(), place(*line, *line))]
    File { path: PathBuf, line: u64, what: String },
    #[error("{0}")]
    Unfit(String),
    #[error("{}{}: {error}", path.display(), place(*first, *last))]
    Rows {
        path: PathBuf,
        first: u64,
        last: u64,
        error: BackendError,
    },
    #[error("{doing}: {error}")]
    Database { doing: String, error: BackendError },
}

/// `, line 7`, `, lines 7 to 9`; nothing for a file as a whole.
fn place(first: u64, last: u64) -> String {
    match (first, last) {
        (0, _) => String::new(),
        (first, last) if first == last => format!(", line {first}"),
        (first, last) => format!(", lines {first} to {last}"),
    }
}

fn list(names: &[QualifiedName]) -> String {
    let names: Vec<String> = names.iter().map(ToString::to_string).collect();
    names.join(", ")
}

impl PublicError for Error {
    fn code(&self) -> Code {
        match self {
            Error::NotEmpty { .. } => codes::NOT_EMPTY,
            Error::SchemasDiffer(_) => codes::SCHEMAS_DIFFER,
            Error::RowsDiffer(_) => codes::ROWS_DIFFER,
            Error::ReadsDiffer { .. } => codes::READS_DIFFER,
            Error::Unfinished(_) => codes::UNFINISHED,
            Error::Leaving { .. } => codes::LEAVING,
            Error::HeldTooLong(_) => codes::HELD_TOO_LONG,
            Error::File { .. } => codes::BAD_FILE,
            Error::Unfit(_) => codes::UNFIT,
            Error::Rows { .. } => codes::ROWS_REFUSED,
            Error::Database { .. } => codes::DATABASE,
        }
    }

    fn details(&self) -> Option<String> {
        match self {
            Error::Database {
                error: BackendError::Refused(error),
                ..
            }
            | Error::Rows {
                error: BackendError::Refused(error),
                ..
            } => {
                let detail = error
                    .detail
                    .as_deref()
                    .map(|text| format!(": {text}"))
                    .unwrap_or_default();
                Some(format!("SQLSTATE {}{detail}", error.sqlstate))
            }
            Error::Database {
                error: BackendError::Unavailable { reason } | BackendError::Internal(reason),
                ..
            } => Some(reason.clone()),
            _ => None,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Error::NotEmpty { .. } => Some("Give a database without tables; nothing was changed in this one.".into()),
            Error::SchemasDiffer(_) => Some(
                "Both sides must come from the same migrations: `mainstay migrate status` says where each stands."
                    .into(),
            ),
            Error::RowsDiffer(_) => Some(
                "Somebody wrote to the target, or to the source past its record (another program in the file, \
                 `session_replication_role`). Writes go on. Run the same command again: it carries these tables anew."
                    .into(),
            ),
            Error::ReadsDiffer { .. } => Some(
                "All rows are there and equal, but a policy, a grant or a view acts otherwise; the reads are shown above. \
                 The target stays marked as unfinished."
                    .into(),
            ),
            Error::Leaving { is_moved: false, .. } => {
                Some("Go on with that move, or take it back with `mainstay grow --abandon`.".into())
            }
            Error::Leaving { is_moved: true, .. } => Some(
                "Serve from there. `mainstay grow --abandon` lets writes go on here; they are not carried.".into(),
            ),
            Error::HeldTooLong(_) => Some(
                "Nothing is lost and writes go on. Run the same command again at a quieter time; a large table without \
                 a primary key that is written to takes this long."
                    .into(),
            ),
            Error::Unfinished(_) => Some("Run `mainstay grow` again: it goes on where it stopped.".into()),
            Error::Database {
                error: BackendError::Refused(error),
                ..
            } => error.hint.clone(),
            Error::File { .. } => Some("Nothing was written. Correct the file.".into()),
            Error::Unfit(_) => Some("Nothing was written. --into names another table, --key and --type choose otherwise.".into()),
            Error::Rows { .. } => Some(
                "Rows before these were written. Correct the file and import it again: rows that are there are \
                 overwritten with the same values."
                    .into(),
            ),
            Error::Database { .. } => Some("Run the same command again: it goes on where it stopped.".into()),
        }
    }
}

//! What can be wrong with migrations.

use std::path::PathBuf;

use mainstay_core::backend::MigrationError;
use mainstay_core::error::{BackendError, Code, PublicError};

/// The public codes of this crate. Listed in `docs/errors.md`.
pub mod codes {
    use mainstay_core::error::Code;

    /// A file could not be read or written.
    pub const FILE: Code = Code::fixed("MS-SCHEMA-001");
    /// A file in the migrations folder is not named `<14 digits>_name.sql`.
    pub const BAD_NAME: Code = Code::fixed("MS-SCHEMA-002");
    /// Two migrations have the same version.
    pub const DUPLICATE: Code = Code::fixed("MS-SCHEMA-003");
    /// An applied migration's text is not what the file says now.
    pub const EDITED: Code = Code::fixed("MS-SCHEMA-004");
    /// A migration failed; nothing of it was kept.
    pub const FAILED: Code = Code::fixed("MS-SCHEMA-005");
    /// A migration is older than one that has been applied.
    pub const OUT_OF_ORDER: Code = Code::fixed("MS-SCHEMA-006");
    /// The database has a migration that the project has not.
    pub const MISSING: Code = Code::fixed("MS-SCHEMA-007");
    /// The server was started with migrations still to apply.
    pub const PENDING: Code = Code::fixed("MS-SCHEMA-008");
    /// The seed failed; nothing of it was kept.
    pub const SEED_FAILED: Code = Code::fixed("MS-SCHEMA-009");
}

/// Everything this crate can refuse.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("cannot use {path}")]
    File { path: PathBuf, source: std::io::Error },
    #[error("migration file `{0}` is not named <14 digits>_name.sql")]
    BadName(String),
    #[error("a migration needs a name")]
    NoName,
    #[error("two migrations have version {0}")]
    Duplicate(String),
    #[error("migration {0} was applied with another text than its file has now")]
    Edited(String),
    #[error("migration {version}_{name} failed: {error}")]
    Failed {
        version: String,
        name: String,
        error: MigrationError,
    },
    #[error("migration {0} is older than the last one applied, {1}")]
    OutOfOrder(String, String),
    #[error("the database has migration {0}, which is not in the project")]
    Missing(String),
    #[error("{0} migration(s) have not been applied")]
    Pending(usize),
    #[error("the seed {path} failed: {error}")]
    SeedFailed { path: PathBuf, error: BackendError },
    #[error(transparent)]
    Backend(#[from] BackendError),
}

impl PublicError for Error {
    fn code(&self) -> Code {
        match self {
            Error::File { .. } => codes::FILE,
            Error::BadName(_) | Error::NoName => codes::BAD_NAME,
            Error::Duplicate(_) => codes::DUPLICATE,
            Error::Edited(_) => codes::EDITED,
            Error::Failed { .. } => codes::FAILED,
            Error::OutOfOrder(..) => codes::OUT_OF_ORDER,
            Error::Missing(_) => codes::MISSING,
            Error::Pending(_) => codes::PENDING,
            Error::SeedFailed { .. } => codes::SEED_FAILED,
            Error::Backend(_) => codes::FAILED,
        }
    }

    fn details(&self) -> Option<String> {
        match self {
            Error::File { source, .. } => Some(source.to_string()),
            Error::Failed {
                error: MigrationError::Statement { statement, error, .. },
                ..
            } => {
                let detail = error
                    .detail
                    .as_deref()
                    .map(|text| format!(": {text}"))
                    .unwrap_or_default();
                Some(format!("statement {statement}, SQLSTATE {}{detail}", error.sqlstate))
            }
            Error::SeedFailed {
                error: BackendError::Refused(error),
                ..
            } => Some(format!("SQLSTATE {}: {}", error.sqlstate, error.message)),
            Error::Failed {
                error: MigrationError::Backend(error),
                ..
            }
            | Error::Backend(error) => match error {
                BackendError::Unavailable { reason } | BackendError::Internal(reason) => Some(reason.clone()),
                BackendError::Refused(error) => Some(format!("SQLSTATE {}", error.sqlstate)),
                _ => None,
            },
            _ => None,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Error::Failed {
                error: MigrationError::Backend(BackendError::Refused(error)),
                ..
            } if error.hint.is_some() => error.hint.clone(),
            Error::BadName(_) | Error::NoName => {
                Some("`mainstay migrate new NAME` makes a file with the right name.".into())
            }
            Error::Edited(_) => Some(
                "A file is frozen once it is applied: put its text back and write a new migration. On a database you \
                 may lose, stop `dev`, and `mainstay db reset --yes` applies everything anew."
                    .into(),
            ),
            Error::Failed {
                error: MigrationError::Statement { error, .. },
                ..
            } => error.hint.clone(),
            Error::OutOfOrder(..) => Some("Give the migration a later version, or apply it with --include-all.".into()),
            Error::Duplicate(_) => Some("Rename one of the two files; `ls` shows them side by side.".into()),
            Error::Missing(_) => {
                Some("Bring the file back; on a database you may lose, `mainstay db reset --yes`.".into())
            }
            Error::Pending(_) => Some("Run `mainstay migrate up`, or start with --migrate.".into()),
            _ => None,
        }
    }
}

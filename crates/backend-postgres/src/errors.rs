//! What can go wrong with PostgreSQL, as rooms see it.

use mainstay_core::error::{BackendError, Code, DatabaseError, PublicError};

use crate::wire::{Closed, ConnectError, ServerError};

/// The codes of [`OpenError`].
pub mod codes {
    use mainstay_core::error::Code;

    pub const BAD_URL: Code = Code::fixed("MS-PG-001");
    pub const UNREACHABLE: Code = Code::fixed("MS-PG-002");
    pub const REFUSED: Code = Code::fixed("MS-PG-003");
    pub const TLS: Code = Code::fixed("MS-PG-004");
    pub const TOO_OLD: Code = Code::fixed("MS-PG-005");
    pub const MISSING_RIGHTS: Code = Code::fixed("MS-PG-006");
    pub const CATALOG: Code = Code::fixed("MS-PG-007");
}

/// Why a PostgreSQL database cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error("the database URL cannot be read: {0}")]
    BadUrl(String),
    #[error("the database cannot be reached: {0}")]
    Unreachable(String),
    #[error("the database refused the connection: {}", .0.message)]
    Refused(Box<DatabaseError>),
    #[error("the connection cannot be encrypted as sslmode demands: {0}")]
    Tls(String),
    #[error("PostgreSQL {0} is too old; Mainstay needs 15 or newer")]
    TooOld(String),
    #[error("role \"{role}\" may not prepare this database: {}", .error.message)]
    MissingRights { role: String, error: Box<DatabaseError> },
    #[error("the database's catalog cannot be read: {0}")]
    Catalog(#[source] BackendError),
}

impl PublicError for OpenError {
    fn code(&self) -> Code {
        match self {
            OpenError::BadUrl(_) => codes::BAD_URL,
            OpenError::Unreachable(_) => codes::UNREACHABLE,
            OpenError::Refused(_) => codes::REFUSED,
            OpenError::Tls(_) => codes::TLS,
            OpenError::TooOld(_) => codes::TOO_OLD,
            OpenError::MissingRights { .. } => codes::MISSING_RIGHTS,
            OpenError::Catalog(_) => codes::CATALOG,
        }
    }

    fn hint(&self) -> Option<String> {
        Some(match self {
            OpenError::BadUrl(_) => "Write it as postgres://user:password@host:5432/database.".into(),
            OpenError::Unreachable(_) => "Is the server running, and do host and port match?".into(),
            OpenError::Refused(error) => return error.hint.clone(),
            OpenError::Tls(_) => "Use sslmode=prefer for a server without TLS, or install its certificate.".into(),
            OpenError::TooOld(_) => return None,
            OpenError::MissingRights { role, .. } => format!(
                "Connect once as a superuser so that the roles anon, authenticated and service_role and the schema auth \
                 are created, or create them yourself and run: GRANT anon, authenticated, service_role TO \"{role}\";"
            ),
            OpenError::Catalog(_) => return None,
        })
    }
}

impl From<ConnectError> for OpenError {
    fn from(error: ConnectError) -> Self {
        match error {
            ConnectError::BadUrl(text) => OpenError::BadUrl(text),
            ConnectError::Tls(text) => OpenError::Tls(text),
            ConnectError::Refused(error) => OpenError::Refused(error),
            ConnectError::Unreachable(text) => OpenError::Unreachable(text),
        }
    }
}

/// The connection ended before the answer came.
pub fn closed(_: Closed) -> BackendError {
    BackendError::Unavailable {
        reason: "the connection was lost".into(),
    }
}

/// No connection came about.
pub fn unreachable(error: &ConnectError) -> BackendError {
    BackendError::Unavailable {
        reason: error.to_string(),
    }
}

/// The state that stands for an answer of which the rest was thrown away.
pub const ANSWER_TOO_LARGE: &str = "MSA01";

/// The server's refusal. The guard of a move says with two states of ours that writes are held. What ends the connection, or says that the server is going down or full, is worth a retry.
pub fn refused(error: ServerError) -> BackendError {
    let state = error.error.sqlstate.as_str();
    if let "MSH01" | "MSH02" = state {
        return BackendError::WritesHeld {
            is_moved: state == "MSH02",
        };
    }
    if state == ANSWER_TOO_LARGE {
        return BackendError::AnswerTooLarge;
    }
    let is_about_connection =
        error.fatal || matches!(state, "57P01" | "57P02" | "57P03" | "53300") || state.starts_with("08");
    if is_about_connection {
        return BackendError::Unavailable {
            reason: error.error.message,
        };
    }
    BackendError::Refused(Box::new(error.error))
}

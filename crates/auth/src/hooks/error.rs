//! What can go wrong with a hook, and a hook's own refusal.

use http::StatusCode;
use mainstay_core::error::{BackendError, DatabaseError};

/// The SQLSTATE under which a hook's failure leaves a transaction; of a class that nobody else has.
const SQLSTATE: &str = "MSAH0";

/// Why a hook gave no answer that can be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HookError {
    /// The hook refuses, in its own words.
    #[error("{message}")]
    Rejected { status: StatusCode, message: String },
    #[error("{0}")]
    PasswordRejected(String),
    #[error("{0}")]
    FactorRejected(String),
    /// It could not be run. What the database says of it is for the log.
    #[error("Error running hook URI: {uri}")]
    Failed {
        uri: String,
        /// Empty: the database gave none.
        sqlstate: String,
        reason: String,
    },
    #[error("Payload size exceeded size limit of {} bytes", super::ANSWER_BYTES_MAX)]
    TooLarge,
    #[error("Failed to reach hook within maximum time of 5.000000 seconds")]
    OutOfTime,
    /// It could not be reached; why not is for the log.
    #[error("Failed to reach hook after maximum retries")]
    OutOfAttempts { reason: String },
    #[error("Service currently unavailable due to hook")]
    Unavailable,
    #[error("Invalid JSON response. The hook's content type is not application/json")]
    NotJson,
    /// A hook by HTTP answered with a status that is no answer.
    #[error("{message}")]
    BadStatus { status: StatusCode, message: String },
    /// The answer is not what this hook answers.
    #[error("{0}")]
    BadAnswer(String),
}

impl HookError {
    pub fn status(&self) -> StatusCode {
        match self {
            HookError::Rejected { status, .. } => *status,
            HookError::PasswordRejected(_) => StatusCode::BAD_REQUEST,
            HookError::FactorRejected(_) => StatusCode::FORBIDDEN,
            HookError::Failed { .. }
            | HookError::BadAnswer(_)
            | HookError::BadStatus { .. }
            | HookError::Unavailable => StatusCode::INTERNAL_SERVER_ERROR,
            HookError::NotJson => StatusCode::BAD_REQUEST,
            HookError::TooLarge | HookError::OutOfTime | HookError::OutOfAttempts { .. } => {
                StatusCode::UNPROCESSABLE_ENTITY
            }
        }
    }

    /// The published code.
    pub fn name(&self) -> &'static str {
        match self {
            HookError::PasswordRejected(_) => "invalid_credentials",
            HookError::FactorRejected(_) => "mfa_verification_rejected",
            HookError::TooLarge => "hook_payload_over_size_limit",
            HookError::OutOfTime => "hook_timeout",
            HookError::OutOfAttempts { .. } => "hook_timeout_after_retry",
            HookError::NotJson => "hook_payload_invalid_content_type",
            _ if self.status() == StatusCode::INTERNAL_SERVER_ERROR => "unexpected_failure",
            _ => "unknown",
        }
    }

    /// True if the same event again would come to the same: the hook has it, or wants nothing of it.
    pub fn is_final(&self) -> bool {
        match self {
            HookError::Rejected { status, .. } | HookError::BadStatus { status, .. } => {
                // Secrets, addresses and loads are mended.
                status.is_client_error() && !matches!(status.as_u16(), 401 | 403 | 404 | 408 | 425 | 429)
            }
            HookError::TooLarge | HookError::NotJson | HookError::BadAnswer(_) => true,
            HookError::PasswordRejected(_) | HookError::FactorRejected(_) => true,
            HookError::Failed { .. }
            | HookError::OutOfTime
            | HookError::OutOfAttempts { .. }
            | HookError::Unavailable => false,
        }
    }

    /// What a log says of it. Never the hook's own words, nor what the database says of it: they may repeat what the hook
    /// was told, an address or a code.
    pub fn logged(&self) -> String {
        match self {
            HookError::Rejected { status, .. } => format!("the hook refuses with {}", status.as_u16()),
            HookError::PasswordRejected(_) | HookError::FactorRejected(_) => "the hook rejects".into(),
            HookError::Failed { sqlstate, .. } => format!("{self} {sqlstate}"),
            HookError::OutOfAttempts { reason } => format!("{self}: {reason}"),
            other => other.to_string(),
        }
    }

    /// A hook's refusal, `{"error": {"http_code": …, "message": …}}`. A status that is none of an error's counts as 500,
    /// as one that is missing does; an error without a message is none.
    pub fn in_answer(answer: &serde_json::Map<String, serde_json::Value>) -> Option<Self> {
        let error = answer.get("error")?.as_object()?;
        let message = error.get("message")?.as_str().filter(|text| !text.is_empty())?;
        let status = error
            .get("http_code")
            .and_then(serde_json::Value::as_u64)
            .and_then(|code| u16::try_from(code).ok())
            .filter(|code| (400..600).contains(code))
            .and_then(|code| StatusCode::from_u16(code).ok());
        Some(HookError::Rejected {
            status: status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR),
            message: message.to_owned(),
        })
    }

    /// The error that ends a transaction, and that [`HookError::ended`] knows again.
    pub fn end(self) -> BackendError {
        let kind = match &self {
            HookError::Rejected { status, .. } => status.as_str(),
            HookError::Failed { .. } => "failed",
            HookError::TooLarge => "too large",
            // Only functions are asked in a transaction.
            HookError::BadAnswer(_)
            | HookError::BadStatus { .. }
            | HookError::OutOfTime
            | HookError::OutOfAttempts { .. }
            | HookError::Unavailable
            | HookError::NotJson => "bad answer",
            HookError::PasswordRejected(_) => "password",
            HookError::FactorRejected(_) => "factor",
        };
        let error = match &self {
            HookError::Failed { uri, sqlstate, reason } => {
                DatabaseError::new(SQLSTATE, uri).hint(format!("{sqlstate} {reason}"))
            }
            other => DatabaseError::new(SQLSTATE, other.to_string()),
        };
        error.detail(kind).into()
    }

    /// The hook's failure that ended a transaction, if one did.
    pub fn ended(error: &BackendError) -> Option<Self> {
        let BackendError::Refused(error) = error else {
            return None;
        };
        if error.sqlstate != SQLSTATE {
            return None;
        }
        let message = error.message.clone();
        Some(match error.detail.as_deref()? {
            "failed" => {
                let hint = error.hint.as_deref().unwrap_or_default();
                let (sqlstate, reason) = hint.split_once(' ').unwrap_or_default();
                HookError::Failed {
                    uri: message,
                    sqlstate: sqlstate.to_owned(),
                    reason: reason.to_owned(),
                }
            }
            "too large" => HookError::TooLarge,
            "bad answer" => HookError::BadAnswer(message),
            "password" => HookError::PasswordRejected(message),
            "factor" => HookError::FactorRejected(message),
            status => HookError::Rejected {
                status: status.parse().unwrap_or(StatusCode::INTERNAL_SERVER_ERROR),
                message,
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_has_the_status_that_the_hook_gives_it() {
        let read =
            |text: &str| HookError::in_answer(serde_json::from_str::<serde_json::Value>(text).unwrap().as_object()?);
        let rejected = |status: u16| {
            Some(HookError::Rejected {
                status: StatusCode::from_u16(status).unwrap(),
                message: "no".into(),
            })
        };
        for (answer, found) in [
            (r#"{"error":{"http_code":403,"message":"no"}}"#, rejected(403)),
            (r#"{"error":{"message":"no"}}"#, rejected(500)),
            (r#"{"error":{"http_code":200,"message":"no"}}"#, rejected(500)),
            (r#"{"error":{"http_code":99999,"message":"no"}}"#, rejected(500)),
            (r#"{"error":{"http_code":"403","message":"no"}}"#, rejected(500)),
            (r#"{"error":{"http_code":403,"message":""}}"#, None),
            (r#"{"error":{"http_code":403}}"#, None),
            (r#"{"error":"no"}"#, None),
            ("{}", None),
        ] {
            assert_eq!(read(answer), found, "{answer}");
        }
    }

    #[test]
    fn what_may_be_mended_is_tried_again() {
        let refused = |status: u16| HookError::BadStatus {
            status: StatusCode::from_u16(status).unwrap(),
            message: "no".into(),
        };
        for (status, is_final) in [
            (302, false),
            (400, true),
            (401, false),
            (404, false),
            (418, true),
            (429, false),
        ] {
            assert_eq!(refused(status).is_final(), is_final, "{status}");
        }
        assert!(!refused(500).is_final() && HookError::NotJson.is_final() && !HookError::OutOfTime.is_final());
    }

    #[test]
    fn a_failure_is_known_again_after_it_ended_a_transaction() {
        for error in [
            HookError::Rejected {
                status: StatusCode::FORBIDDEN,
                message: "no".into(),
            },
            HookError::Failed {
                uri: "pg-functions://postgres/public/f".into(),
                sqlstate: "22012".into(),
                reason: "division by zero".into(),
            },
            HookError::TooLarge,
            HookError::BadAnswer("what".into()),
            HookError::PasswordRejected("no".into()),
            HookError::FactorRejected("no".into()),
        ] {
            assert_eq!(HookError::ended(&error.clone().end()), Some(error));
        }
        assert_eq!(HookError::ended(&DatabaseError::new("23505", "no").into()), None);
    }
}

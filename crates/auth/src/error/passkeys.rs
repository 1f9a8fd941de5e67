//! What passkeys can refuse. Codes and texts are the published ones.

use http::StatusCode;

/// Why there is no passkey, or no session for one.
#[derive(Debug, thiserror::Error)]
pub enum PasskeyError {
    #[error("Passkeys are disabled")]
    Disabled,
    #[error("SSO users cannot register passkeys")]
    SsoManaged,
    #[error("AAL2 session is required to manage passkeys when MFA is enabled")]
    NeedsAal2,
    #[error("Maximum number of passkeys reached")]
    TooMany,
    #[error("Passkey not found")]
    NotFound,
    #[error("Challenge not found or already used")]
    ChallengeNotFound,
    #[error("Challenge has expired")]
    ChallengeExpired,
    /// It is no answer of an authenticator.
    #[error("Invalid credential response")]
    Unreadable,
    /// Of a passkey that is not known, too.
    #[error("Credential verification failed")]
    Wrong,
    #[error("This credential is already registered")]
    Exists,
    #[error("Email not confirmed")]
    EmailNotConfirmed,
    #[error("Phone not confirmed")]
    PhoneNotConfirmed,
}

impl PasskeyError {
    pub fn status(&self) -> StatusCode {
        match self {
            PasskeyError::Disabled | PasskeyError::NotFound => StatusCode::NOT_FOUND,
            PasskeyError::NeedsAal2 | PasskeyError::EmailNotConfirmed | PasskeyError::PhoneNotConfirmed => {
                StatusCode::FORBIDDEN
            }
            PasskeyError::SsoManaged | PasskeyError::TooMany | PasskeyError::Exists => StatusCode::UNPROCESSABLE_ENTITY,
            PasskeyError::ChallengeNotFound
            | PasskeyError::ChallengeExpired
            | PasskeyError::Unreadable
            | PasskeyError::Wrong => StatusCode::BAD_REQUEST,
        }
    }

    pub fn name(&self) -> &'static str {
        match self {
            PasskeyError::Disabled => "passkey_disabled",
            PasskeyError::SsoManaged | PasskeyError::NotFound => "validation_failed",
            PasskeyError::NeedsAal2 => "insufficient_aal",
            PasskeyError::TooMany => "too_many_passkeys",
            PasskeyError::ChallengeNotFound => "webauthn_challenge_not_found",
            PasskeyError::ChallengeExpired => "webauthn_challenge_expired",
            PasskeyError::Unreadable | PasskeyError::Wrong => "webauthn_verification_failed",
            PasskeyError::Exists => "webauthn_credential_exists",
            PasskeyError::EmailNotConfirmed => "email_not_confirmed",
            PasskeyError::PhoneNotConfirmed => "phone_not_confirmed",
        }
    }
}

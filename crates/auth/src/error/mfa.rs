//! What second factors can refuse. Codes and texts are the published ones.

use http::StatusCode;
use uuid::Uuid;

use crate::factors::Kind;

/// Why a factor was not enrolled, challenged, verified or unenrolled.
#[derive(Debug, thiserror::Error)]
pub enum MfaError {
    #[error("Anonymous user not allowed to perform these actions")]
    Anonymous,
    #[error("factor_id must be an UUID")]
    BadFactorId,
    #[error("Factor not found")]
    FactorNotFound,
    #[error("A factor with the friendly name {0:?} for this user already exists")]
    NameTaken(String),
    #[error("Maximum number of verified factors reached, unenroll to continue")]
    TooManyFactors,
    #[error("AAL2 required to enroll a new factor")]
    EnrollNeedsAal2,
    #[error("AAL2 required to unenroll verified factor")]
    UnenrollNeedsAal2,
    #[error("MFA enroll is disabled for {}", .0.spoken())]
    EnrollDisabled(Kind),
    #[error("MFA verification is disabled for {}", .0.spoken())]
    VerifyDisabled(Kind),
    #[error("MFA factor with the provided challenge ID not found")]
    ChallengeNotFound,
    #[error("Challenge and verify IP addresses mismatch.")]
    AddressMismatch,
    #[error("MFA challenge {0} has expired, verify against another challenge or create a new challenge.")]
    ChallengeExpired(Uuid),
    #[error("Invalid TOTP code entered")]
    WrongCode,
    #[error("Invalid MFA Phone code entered")]
    WrongPhoneCode,
    #[error("A verified phone factor already exists, unenroll the existing factor to continue")]
    PhoneFactorExists,
    #[error("Failed to validate WebAuthn MFA response")]
    WrongKey,
    #[error("A verified recovery codes factor already exists, regenerate its codes to replace them")]
    RecoveryCodesExist,
    #[error("Recovery codes cannot be the only factor, verify another one first")]
    RecoveryCodesSole,
    #[error("AAL2 required to {0} recovery codes")]
    RecoveryCodesNeedAal2(&'static str),
    #[error("Invalid recovery code entered")]
    WrongRecoveryCode,
    #[error("Too many failed attempts, wait or use another factor")]
    RecoveryCodesLocked { retry_seconds: u64 },
}

impl MfaError {
    pub fn status(&self) -> StatusCode {
        match self {
            MfaError::BadFactorId | MfaError::FactorNotFound => StatusCode::NOT_FOUND,
            MfaError::Anonymous | MfaError::EnrollNeedsAal2 | MfaError::RecoveryCodesNeedAal2(_) => {
                StatusCode::FORBIDDEN
            }
            MfaError::RecoveryCodesLocked { .. } => StatusCode::TOO_MANY_REQUESTS,
            MfaError::NameTaken(_)
            | MfaError::TooManyFactors
            | MfaError::UnenrollNeedsAal2
            | MfaError::EnrollDisabled(_)
            | MfaError::VerifyDisabled(_)
            | MfaError::ChallengeNotFound
            | MfaError::AddressMismatch
            | MfaError::ChallengeExpired(_)
            | MfaError::WrongCode
            | MfaError::WrongPhoneCode
            | MfaError::PhoneFactorExists
            | MfaError::WrongKey
            | MfaError::RecoveryCodesExist
            | MfaError::RecoveryCodesSole
            | MfaError::WrongRecoveryCode => StatusCode::UNPROCESSABLE_ENTITY,
        }
    }

    /// How long to wait before the next try.
    pub fn retry_seconds(&self) -> Option<u64> {
        match self {
            MfaError::RecoveryCodesLocked { retry_seconds } => Some(*retry_seconds),
            _ => None,
        }
    }

    pub fn name(&self) -> &'static str {
        match self {
            MfaError::Anonymous => "no_authorization",
            MfaError::BadFactorId => "validation_failed",
            MfaError::FactorNotFound | MfaError::ChallengeNotFound => "mfa_factor_not_found",
            MfaError::NameTaken(_) => "mfa_factor_name_conflict",
            MfaError::TooManyFactors => "too_many_enrolled_mfa_factors",
            MfaError::EnrollNeedsAal2 | MfaError::UnenrollNeedsAal2 | MfaError::RecoveryCodesNeedAal2(_) => {
                "insufficient_aal"
            }
            MfaError::EnrollDisabled(Kind::Totp) => "mfa_totp_enroll_not_enabled",
            MfaError::EnrollDisabled(Kind::Phone) => "mfa_phone_enroll_not_enabled",
            MfaError::EnrollDisabled(Kind::WebAuthn) => "mfa_webauthn_enroll_not_enabled",
            MfaError::EnrollDisabled(Kind::RecoveryCode) => "mfa_recovery_codes_enroll_not_enabled",
            MfaError::VerifyDisabled(Kind::Totp) => "mfa_totp_verify_not_enabled",
            MfaError::VerifyDisabled(Kind::Phone) => "mfa_phone_verify_not_enabled",
            MfaError::VerifyDisabled(Kind::WebAuthn) => "mfa_webauthn_verify_not_enabled",
            MfaError::VerifyDisabled(Kind::RecoveryCode) => "mfa_recovery_codes_verify_not_enabled",
            MfaError::AddressMismatch => "mfa_ip_address_mismatch",
            MfaError::ChallengeExpired(_) => "mfa_challenge_expired",
            MfaError::WrongCode | MfaError::WrongPhoneCode | MfaError::WrongKey | MfaError::WrongRecoveryCode => {
                "mfa_verification_failed"
            }
            MfaError::PhoneFactorExists | MfaError::RecoveryCodesExist => "mfa_verified_factor_exists",
            MfaError::RecoveryCodesSole => "mfa_recovery_codes_sole_factor",
            MfaError::RecoveryCodesLocked { .. } => "mfa_recovery_codes_locked",
        }
    }
}

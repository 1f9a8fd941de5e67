//! Everything the room can refuse. Codes and texts are the published ones: clients' code switches on them.

mod mfa;
mod passkeys;

use http::StatusCode;
use mainstay_core::error::{BackendError, Code, PublicError};

use crate::hooks::HookError;
pub use mfa::MfaError;
pub use passkeys::PasskeyError;

/// What the room answers instead of what was asked for.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("Could not parse request body as JSON: {0}")]
    BadJson(String),
    #[error("{0}")]
    Validation(String),
    #[error("Unable to validate email address: invalid format")]
    EmailInvalid,
    #[error("Signups not allowed for this instance")]
    SignupDisabled,
    #[error("Email {0} are disabled")]
    EmailDisabled(&'static str),
    #[error("Phone {0} are disabled")]
    PhoneDisabled(&'static str),
    #[error("Anonymous sign-ins are disabled")]
    AnonymousDisabled,
    #[error("User already registered")]
    UserAlreadyExists,
    #[error("A user with this email address has already been registered")]
    EmailExists,
    #[error("A user with this phone number has already been registered")]
    PhoneExists,
    #[error("{message}")]
    WeakPassword {
        message: String,
        reasons: Vec<&'static str>,
    },
    #[error("Invalid login credentials")]
    InvalidCredentials,
    #[error("unsupported_grant_type")]
    UnsupportedGrant,
    #[error("Email not confirmed")]
    EmailNotConfirmed,
    /// At sign-in.
    #[error("User is banned")]
    Banned,
    #[error("This endpoint requires a valid Bearer token")]
    NoAuthorization,
    #[error("{0}")]
    BadJwt(String),
    #[error("User not allowed")]
    NotAdmin,
    #[error("Updating app_metadata requires admin privileges")]
    AppMetadata,
    /// The token's user.
    #[error("User from sub claim in JWT does not exist")]
    TokenUserNotFound,
    /// The token's session.
    #[error("Session from session_id claim in JWT does not exist")]
    TokenSessionNotFound,
    /// The token's user, banned.
    #[error("User is banned")]
    TokenUserBanned,
    /// An administrator's.
    #[error("User not found")]
    UserNotFound,
    #[error("Invalid Refresh Token: Refresh Token Not Found")]
    RefreshTokenNotFound,
    #[error("Invalid Refresh Token: Already Used")]
    RefreshTokenAlreadyUsed,
    #[error("Invalid Refresh Token: No Valid Session Found")]
    RefreshSessionNotFound,
    #[error("Invalid Refresh Token: Session Expired{0}")]
    SessionExpired(&'static str),
    #[error("Invalid Refresh Token: User Banned")]
    RefreshBanned,
    #[error("New password should be different from the old password.")]
    SamePassword,
    #[error("Password update requires reauthentication")]
    ReauthenticationNeeded,
    #[error("AAL2 session is required to update email or password when MFA is enabled.")]
    InsufficientAal,
    #[error("Updating email, phone, password of a SSO account only possible via SSO")]
    SsoManaged,
    #[error("{0} needs a message to be sent, and no provider is configured")]
    NoProvider(&'static str),
    #[error(transparent)]
    Mfa(#[from] MfaError),
    #[error(transparent)]
    Passkey(#[from] PasskeyError),
    #[error("Request rate limit reached")]
    TooManyRequests { retry_seconds: u64 },
    #[error("Unsupported provider: {0}")]
    UnsupportedProvider(&'static str),
    #[error("Provider is not enabled")]
    ProviderDisabled,
    #[error("{0}")]
    Web3Disabled(&'static str),
    #[error("Unsupported chain")]
    Web3Unsupported,
    #[error("the provider cannot be reached")]
    ProviderUnreachable,
    #[error("{0}")]
    BadOAuthState(&'static str),
    #[error("{0}")]
    BadOAuthCallback(&'static str),
    /// In the provider's own words (RFC 6749 §4.1.2.1).
    #[error("{description}")]
    ProviderRefused { error: String, description: String },
    #[error("Unable to exchange external code")]
    ProviderExchange,
    #[error("Error getting user profile from external provider")]
    ProviderProfile,
    #[error("Error getting user email from external provider")]
    ProviderEmail,
    #[error("Unverified email with {0}. Verify the email with {0} in order to sign in")]
    ProviderEmailUnverified(String),
    #[error("Multiple accounts with the same email address in the same linking domain detected")]
    MultipleAccounts,
    #[error("{0}")]
    IdentityExists(&'static str),
    #[error("Identity doesn't exist")]
    IdentityNotFound,
    #[error("User must have at least 1 identity after unlinking")]
    SingleIdentity,
    #[error("Unable to unlink identity due to email conflict")]
    EmailConflict,
    #[error("identity_id must be an UUID")]
    BadIdentityId,
    #[error("Manual linking is disabled")]
    ManualLinkingDisabled,
    #[error("OAuth server is disabled")]
    OAuthServerDisabled,
    /// Of an application that sends a user.
    #[error("{0}")]
    OAuthClientUnknown(&'static str),
    /// An administrator's.
    #[error("OAuth client not found")]
    OAuthClientNotFound,
    #[error("authorization not found")]
    AuthorizationNotFound,
    #[error("No active grant found for this client")]
    ConsentNotFound,
    #[error("Dynamic client registration is not enabled")]
    DynamicRegistrationDisabled,
    /// An application acts for the user, and this is the user's own affair.
    #[error("An OAuth client may not do this for a user")]
    ClientMayNot,
    /// An application has not proved who it is (RFC 6749 §5.2).
    #[error("Invalid client credentials")]
    InvalidClient,
    /// In the shape of RFC 6749 §5.2: its `error`, and a description.
    #[error("{1}")]
    OAuth(&'static str, &'static str),
    #[error("invalid flow state, no valid flow state found")]
    FlowStateNotFound,
    #[error("invalid flow state, flow state has expired")]
    FlowStateExpired,
    #[error("code challenge does not match previously saved code verifier")]
    BadCodeVerifier,
    /// A link that is unknown, used, too old or for something else.
    #[error("Email link is invalid or has expired")]
    LinkExpired,
    /// A code that is wrong, used, too old or for something else.
    #[error("Token has expired or is invalid")]
    CodeExpired,
    #[error("Nonce has expired or is invalid")]
    BadNonce,
    #[error("email rate limit exceeded")]
    TooManyMails { retry_seconds: u64 },
    #[error("For security purposes, you can only request this after {retry_seconds} seconds.")]
    TooEarly { retry_seconds: u64 },
    #[error("SMS rate limit exceeded")]
    TooManyTexts { retry_seconds: u64 },
    #[error("For security purposes, you can only request this after {retry_seconds} seconds.")]
    TextTooEarly { retry_seconds: u64 },
    #[error("{0} cannot be sent: no provider is configured")]
    NoTexts(&'static str),
    #[error("Phone not confirmed")]
    PhoneNotConfirmed,
    #[error("Please verify your email first.")]
    VerifyFirst,
    #[error("User with this email not found")]
    AddressNotFound,
    #[error("user_id must be an UUID")]
    BadUserId,
    #[error("{0} is not served here")]
    NotServed(String),
    #[error("this path does not take {0}")]
    MethodNotAllowed(String),
    #[error("captcha protection: request disallowed ({0})")]
    CaptchaFailed(String),
    /// Of a page: it was not made for this browser, or comes from somebody else's page.
    #[error("The form was not made for this browser")]
    FormRefused,
    #[error("captcha verification process failed")]
    CaptchaUnknown,
    #[error("Unable to perform password strength check with HaveIBeenPwned.org.")]
    LeaksUnknown,
    #[error(transparent)]
    Hook(HookError),
    #[error("the database is being moved and takes no writes")]
    WritesHeld,
    #[error("the database is not available")]
    Unavailable(#[source] BackendError),
    #[error("{what}")]
    Database {
        what: &'static str,
        #[source]
        source: BackendError,
    },
    #[error("Unexpected failure, please check server logs for more information")]
    Unexpected(String),
}

/// What the database refused, for which no route has a better word.
impl From<BackendError> for Error {
    fn from(source: BackendError) -> Self {
        Error::of_database("Database error querying schema", source)
    }
}

impl Error {
    /// A failure of the database, `what` being what was done.
    pub fn of_database(what: &'static str, source: BackendError) -> Self {
        if let Some(error) = HookError::ended(&source) {
            return Error::Hook(error);
        }
        match source {
            BackendError::Unavailable { .. } | BackendError::Busy | BackendError::StaleCatalog => {
                Error::Unavailable(source)
            }
            BackendError::WritesHeld { .. } => Error::WritesHeld,
            source => Error::Database { what, source },
        }
    }

    /// A provider's refusal, as far as its words may stand in an address.
    pub fn provider_refused(error: &str, description: &str) -> Self {
        let is_word = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
        let name: String = error
            .bytes()
            .filter(|byte| is_word(*byte))
            .take(64)
            .map(char::from)
            .collect();
        let told: String = description
            .chars()
            .filter(|letter| !letter.is_control())
            .take(200)
            .collect();
        Error::ProviderRefused {
            description: match told.is_empty() {
                true => "The provider refused".to_owned(),
                false => told,
            },
            error: match name.is_empty() {
                true => "server_error".to_owned(),
                false => name,
            },
        }
    }

    /// The HTTP status.
    ///
    /// Never 5xx for what a caller did: clients take 500–504 and 520–530 for trouble on the way, and try again.
    pub fn status(&self) -> StatusCode {
        match self {
            Error::BadJson(_)
            | Error::Validation(_)
            | Error::EmailInvalid
            | Error::EmailDisabled(_)
            | Error::PhoneDisabled(_)
            | Error::InvalidCredentials
            | Error::UnsupportedGrant
            | Error::EmailNotConfirmed
            | Error::Banned
            | Error::RefreshTokenNotFound
            | Error::RefreshTokenAlreadyUsed
            | Error::RefreshSessionNotFound
            | Error::SessionExpired(_)
            | Error::RefreshBanned
            | Error::UnsupportedProvider(_)
            | Error::ProviderDisabled
            | Error::Web3Unsupported
            | Error::BadOAuthState(_)
            | Error::BadOAuthCallback(_)
            | Error::ProviderRefused { .. }
            | Error::OAuthClientUnknown(_)
            | Error::OAuth(..)
            | Error::BadCodeVerifier
            | Error::CaptchaFailed(_)
            | Error::PhoneNotConfirmed
            | Error::ReauthenticationNeeded => StatusCode::BAD_REQUEST,
            Error::NoAuthorization | Error::InvalidClient | Error::InsufficientAal => StatusCode::UNAUTHORIZED,
            Error::BadJwt(_)
            | Error::NotAdmin
            | Error::DynamicRegistrationDisabled
            | Error::ClientMayNot
            | Error::AppMetadata
            | Error::FormRefused
            | Error::TokenUserNotFound
            | Error::TokenSessionNotFound
            | Error::LinkExpired
            | Error::CodeExpired
            | Error::TokenUserBanned => StatusCode::FORBIDDEN,
            Error::UserNotFound
            | Error::BadIdentityId
            | Error::OAuthServerDisabled
            | Error::OAuthClientNotFound
            | Error::AuthorizationNotFound
            | Error::ConsentNotFound
            | Error::ManualLinkingDisabled
            | Error::AddressNotFound
            | Error::BadUserId
            | Error::FlowStateNotFound
            | Error::NotServed(_) => StatusCode::NOT_FOUND,
            Error::MethodNotAllowed(_) => StatusCode::METHOD_NOT_ALLOWED,
            Error::SignupDisabled
            | Error::Web3Disabled(_)
            | Error::AnonymousDisabled
            | Error::UserAlreadyExists
            | Error::EmailExists
            | Error::PhoneExists
            | Error::WeakPassword { .. }
            | Error::SamePassword
            | Error::SsoManaged
            | Error::ProviderEmailUnverified(_)
            | Error::IdentityExists(_)
            | Error::IdentityNotFound
            | Error::SingleIdentity
            | Error::EmailConflict
            | Error::FlowStateExpired
            | Error::BadNonce
            | Error::NoTexts(_)
            | Error::VerifyFirst
            | Error::NoProvider(_) => StatusCode::UNPROCESSABLE_ENTITY,
            Error::Hook(error) => error.status(),
            Error::Mfa(error) => error.status(),
            Error::Passkey(error) => error.status(),
            Error::TooManyRequests { .. }
            | Error::TooManyMails { .. }
            | Error::TooEarly { .. }
            | Error::TooManyTexts { .. }
            | Error::TextTooEarly { .. } => StatusCode::TOO_MANY_REQUESTS,
            Error::WritesHeld | Error::Unavailable(_) => StatusCode::SERVICE_UNAVAILABLE,
            Error::ProviderUnreachable
            | Error::ProviderExchange
            | Error::ProviderProfile
            | Error::ProviderEmail
            | Error::MultipleAccounts
            | Error::CaptchaUnknown
            | Error::LeaksUnknown
            | Error::Database { .. }
            | Error::Unexpected(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// Seconds after which the same may be asked again.
    pub fn retry_seconds(&self) -> Option<u64> {
        match self {
            Error::TooManyRequests { retry_seconds }
            | Error::TooManyMails { retry_seconds }
            | Error::TooManyTexts { retry_seconds }
            | Error::TextTooEarly { retry_seconds }
            | Error::TooEarly { retry_seconds } => Some(*retry_seconds),
            Error::Mfa(error) => error.retry_seconds(),
            _ => None,
        }
    }

    /// The published code.
    pub fn name(&self) -> &'static str {
        match self {
            Error::BadJson(_) => "bad_json",
            Error::Validation(_) | Error::EmailInvalid | Error::BadUserId => "validation_failed",
            Error::SignupDisabled => "signup_disabled",
            Error::EmailDisabled(_) | Error::NoProvider(_) => "email_provider_disabled",
            Error::PhoneDisabled(_) | Error::NoTexts(_) => "phone_provider_disabled",
            Error::AnonymousDisabled => "anonymous_provider_disabled",
            Error::UserAlreadyExists => "user_already_exists",
            Error::EmailExists => "email_exists",
            Error::PhoneExists => "phone_exists",
            Error::WeakPassword { .. } => "weak_password",
            Error::InvalidCredentials | Error::UnsupportedGrant => "invalid_credentials",
            Error::EmailNotConfirmed | Error::VerifyFirst => "email_not_confirmed",
            Error::Banned | Error::RefreshBanned | Error::TokenUserBanned => "user_banned",
            Error::NoAuthorization => "no_authorization",
            Error::BadJwt(_) => "bad_jwt",
            Error::NotAdmin | Error::AppMetadata => "not_admin",
            Error::TokenUserNotFound | Error::UserNotFound | Error::AddressNotFound => "user_not_found",
            Error::TokenSessionNotFound | Error::RefreshSessionNotFound => "session_not_found",
            Error::RefreshTokenNotFound => "refresh_token_not_found",
            Error::RefreshTokenAlreadyUsed => "refresh_token_already_used",
            Error::SessionExpired(_) => "session_expired",
            Error::SamePassword => "same_password",
            Error::ReauthenticationNeeded => "reauthentication_needed",
            Error::InsufficientAal => "insufficient_aal",
            Error::SsoManaged => "user_sso_managed",
            Error::CaptchaFailed(_) => "captcha_failed",
            Error::FormRefused => "validation_failed",
            Error::Hook(error) => error.name(),
            Error::Mfa(error) => error.name(),
            Error::Passkey(error) => error.name(),
            Error::UnsupportedProvider(_) | Error::BadIdentityId => "validation_failed",
            Error::ProviderDisabled => "provider_disabled",
            Error::Web3Disabled(_) => "web3_provider_disabled",
            Error::Web3Unsupported => "web3_unsupported_chain",
            Error::BadOAuthState(_) => "bad_oauth_state",
            Error::BadOAuthCallback(_) | Error::ProviderRefused { .. } => "bad_oauth_callback",
            Error::ProviderEmailUnverified(_) => "provider_email_needs_verification",
            Error::IdentityExists(_) => "identity_already_exists",
            Error::IdentityNotFound => "identity_not_found",
            Error::SingleIdentity => "single_identity_not_deletable",
            Error::EmailConflict => "email_conflict_identity_not_deletable",
            Error::ManualLinkingDisabled => "manual_linking_disabled",
            Error::OAuthServerDisabled => "feature_disabled",
            Error::OAuthClientUnknown(_) | Error::OAuthClientNotFound => "oauth_client_not_found",
            Error::AuthorizationNotFound => "oauth_authorization_not_found",
            Error::ConsentNotFound => "oauth_consent_not_found",
            Error::DynamicRegistrationDisabled => "oauth_dynamic_client_registration_disabled",
            Error::ClientMayNot => "no_authorization",
            Error::InvalidClient => "invalid_credentials",
            // Clients of this shape read `error`; the code is for the header.
            Error::OAuth(..) => "validation_failed",
            Error::ProviderUnreachable
            | Error::ProviderExchange
            | Error::ProviderProfile
            | Error::ProviderEmail
            | Error::MultipleAccounts => "unexpected_failure",
            Error::FlowStateNotFound => "flow_state_not_found",
            Error::FlowStateExpired => "flow_state_expired",
            Error::BadCodeVerifier => "bad_code_verifier",
            Error::LinkExpired | Error::CodeExpired => "otp_expired",
            Error::TooManyTexts { .. } | Error::TextTooEarly { .. } => "over_sms_send_rate_limit",
            Error::PhoneNotConfirmed => "phone_not_confirmed",
            Error::BadNonce => "reauthentication_not_valid",
            Error::TooManyMails { .. } | Error::TooEarly { .. } => "over_email_send_rate_limit",
            Error::TooManyRequests { .. } => "over_request_rate_limit",
            Error::NotServed(_) => "feature_disabled",
            Error::MethodNotAllowed(_) => "validation_failed",
            Error::WritesHeld
            | Error::CaptchaUnknown
            | Error::LeaksUnknown
            | Error::Unavailable(_)
            | Error::Database { .. }
            | Error::Unexpected(_) => "unexpected_failure",
        }
    }

    /// Logs what only an operator may know. Passwords and tokens are in none of it.
    pub fn log(&self) {
        match self {
            Error::Database { what, source } => {
                let reason = match source {
                    BackendError::Internal(reason) => reason.clone(),
                    BackendError::Refused(error) => format!("{} {}", error.sqlstate, error.message),
                    other => other.to_string(),
                };
                tracing::error!(reason, "auth: {what}");
            }
            Error::Unavailable(source) => tracing::warn!(%source, "auth: the database is not available"),
            Error::Unexpected(reason) => tracing::error!(reason, "auth: unexpected failure"),
            Error::Hook(HookError::Failed { uri, sqlstate, reason }) => {
                tracing::error!(hook = uri, sqlstate, reason, "auth: a hook failed");
            }
            _ => tracing::debug!(code = self.name(), "auth: refused"),
        }
    }
}

impl PublicError for Error {
    fn code(&self) -> Code {
        Code::fixed(self.name())
    }
}

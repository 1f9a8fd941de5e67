//! Everything that can be wrong before a room sees the request.

use http::{HeaderValue, StatusCode};

use mainstay_core::error::{Code, PublicError};

use crate::limits::retry_after;
use crate::message::Response;

/// The public codes of this crate. Listed in `docs/errors.md`.
pub mod codes {
    use mainstay_core::error::Code;

    /// The server has no secret to verify tokens with.
    pub const SECRET_MISSING: Code = Code::fixed("PGRST300");
    /// The token cannot be decoded or its signature does not match.
    pub const BAD_TOKEN: Code = Code::fixed("PGRST301");
    /// A token is required.
    pub const TOKEN_REQUIRED: Code = Code::fixed("PGRST302");
    /// The token's claims do not hold.
    pub const BAD_CLAIMS: Code = Code::fixed("PGRST303");
    /// No API key where one is required.
    pub const KEY_REQUIRED: Code = Code::fixed("MS-HTTP-001");
    /// The API key is not one of this project's.
    pub const BAD_KEY: Code = Code::fixed("MS-HTTP-002");
    /// The body is larger than the limit.
    pub const BODY_TOO_LARGE: Code = Code::fixed("MS-HTTP-003");
    /// The body did not arrive in time or broke off.
    pub const BODY_INCOMPLETE: Code = Code::fixed("MS-HTTP-004");
    /// Nothing is served at this path.
    pub const NOT_FOUND: Code = Code::fixed("MS-HTTP-005");
    /// This path does not take this method.
    pub const METHOD_NOT_ALLOWED: Code = Code::fixed("MS-HTTP-006");
    /// The request line or a header is longer than the limit, or sent twice where one is allowed.
    pub const BAD_HEADER: Code = Code::fixed("MS-HTTP-007");
    /// A bug in Mainstay; the log has the rest under the request id.
    pub const INTERNAL: Code = Code::fixed("MS-HTTP-008");
    /// The answer is only for callers on this machine or with the secret key.
    pub const LOOPBACK_ONLY: Code = Code::fixed("MS-HTTP-009");
    /// Too many bytes of answers wait for slow clients.
    pub const TOO_MUCH_WAITING: Code = Code::fixed("MS-HTTP-010");
    /// Whether the session of the token has ended could not be found out.
    pub const SESSION_UNREAD: Code = Code::fixed("MS-HTTP-012");
    /// More requests than the caller's limit allows.
    pub const TOO_MANY_REQUESTS: Code = Code::fixed("MS-HTTP-011");
}

/// What a token can do wrong. Texts are PostgREST's, because clients show them.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    #[error("Empty JWT is sent in Authorization header")]
    Empty,
    #[error("Expected 3 parts in JWT; got {0}")]
    Parts(usize),
    #[error("No suitable key or wrong key type")]
    NoKey,
    #[error("Wrong or unsupported encoding algorithm")]
    Algorithm(&'static str),
    #[error("JWT cryptographic operation failed")]
    Crypto,
    #[error("JWT couldn't be decoded")]
    Undecodable,
    #[error("JWT expired")]
    Expired,
    #[error("JWT not yet valid")]
    NotYetValid,
    #[error("JWT issued at future")]
    IssuedInFuture,
    #[error("JWT not in audience")]
    Audience,
    #[error("JWT not from an accepted issuer")]
    Issuer,
    #[error("Parsing claims failed")]
    Claims,
    #[error("The JWT '{0}' claim must be a number")]
    NotANumber(&'static str),
    #[error("The JWT 'aud' claim must be a string or an array of strings")]
    AudienceType,
    /// Signed out, or ended by a new password or an administrator.
    #[error("JWT session has ended")]
    SessionEnded,
    #[error("JWT user is banned")]
    UserBanned,
    /// An administrator has given the user another one since.
    #[error("JWT role is not the user's any more")]
    RoleChanged,
}

impl TokenError {
    fn is_about_claims(&self) -> bool {
        match self {
            TokenError::Expired
            | TokenError::NotYetValid
            | TokenError::IssuedInFuture
            | TokenError::Audience
            | TokenError::Issuer
            | TokenError::Claims
            | TokenError::NotANumber(_)
            | TokenError::AudienceType
            | TokenError::SessionEnded
            | TokenError::UserBanned
            | TokenError::RoleChanged => true,
            TokenError::Empty
            | TokenError::Parts(_)
            | TokenError::NoKey
            | TokenError::Algorithm(_)
            | TokenError::Crypto
            | TokenError::Undecodable => false,
        }
    }
}

/// Everything this crate can refuse.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    #[error("Server lacks JWT secret")]
    SecretMissing,
    #[error("{0}")]
    Token(TokenError),
    #[error("Anonymous access is disabled")]
    TokenRequired,
    #[error("No API key found in request")]
    KeyRequired,
    #[error("Invalid API key")]
    BadKey,
    #[error("the request body is larger than {limit_bytes} bytes")]
    BodyTooLarge { limit_bytes: usize },
    #[error("the request body did not arrive whole")]
    BodyIncomplete,
    #[error("nothing is served at this path")]
    NotFound,
    #[error("this path does not take {0}")]
    MethodNotAllowed(String),
    #[error("header `{0}` is not acceptable: {1}")]
    BadHeader(&'static str, &'static str),
    #[error("internal error")]
    Internal,
    #[error("only for callers on this machine or with the secret key")]
    LoopbackOnly,
    #[error("too many large answers are still being sent")]
    TooMuchWaiting,
    #[error("the session of the token could not be looked up")]
    SessionUnread,
    #[error("too many requests")]
    TooManyRequests { retry_seconds: u64 },
}

impl Error {
    /// The HTTP status of the answer.
    pub fn status(&self) -> StatusCode {
        match self {
            Error::SecretMissing | Error::Internal => StatusCode::INTERNAL_SERVER_ERROR,
            Error::Token(_) | Error::TokenRequired | Error::KeyRequired | Error::BadKey => StatusCode::UNAUTHORIZED,
            Error::BodyTooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            Error::BodyIncomplete => StatusCode::REQUEST_TIMEOUT,
            Error::NotFound => StatusCode::NOT_FOUND,
            Error::MethodNotAllowed(_) => StatusCode::METHOD_NOT_ALLOWED,
            Error::BadHeader(..) => StatusCode::BAD_REQUEST,
            Error::LoopbackOnly => StatusCode::FORBIDDEN,
            Error::TooMuchWaiting | Error::SessionUnread => StatusCode::SERVICE_UNAVAILABLE,
            Error::TooManyRequests { .. } => StatusCode::TOO_MANY_REQUESTS,
        }
    }

    /// The whole answer, with `WWW-Authenticate` where RFC 6750 §3 asks for it.
    pub fn response(&self) -> Response {
        let mut response = Response::error(self.status(), self);
        let challenge = match self {
            Error::Token(error) => Some(format!("Bearer error=\"invalid_token\", error_description=\"{error}\"")),
            Error::TokenRequired | Error::KeyRequired | Error::BadKey => Some("Bearer".to_owned()),
            _ => None,
        };
        if let Some(value) = challenge.and_then(|text| HeaderValue::from_str(&text).ok()) {
            response.headers.insert(http::header::WWW_AUTHENTICATE, value);
        }
        match self {
            Error::TooMuchWaiting | Error::SessionUnread => retry_after(&mut response.headers, 1),
            Error::TooManyRequests { retry_seconds } => retry_after(&mut response.headers, *retry_seconds),
            _ => {}
        }
        response
    }
}

impl PublicError for Error {
    fn code(&self) -> Code {
        match self {
            Error::SecretMissing => codes::SECRET_MISSING,
            Error::Token(error) if error.is_about_claims() => codes::BAD_CLAIMS,
            Error::Token(_) => codes::BAD_TOKEN,
            Error::TokenRequired => codes::TOKEN_REQUIRED,
            Error::KeyRequired => codes::KEY_REQUIRED,
            Error::BadKey => codes::BAD_KEY,
            Error::BodyTooLarge { .. } => codes::BODY_TOO_LARGE,
            Error::BodyIncomplete => codes::BODY_INCOMPLETE,
            Error::NotFound => codes::NOT_FOUND,
            Error::MethodNotAllowed(_) => codes::METHOD_NOT_ALLOWED,
            Error::BadHeader(..) => codes::BAD_HEADER,
            Error::Internal => codes::INTERNAL,
            Error::LoopbackOnly => codes::LOOPBACK_ONLY,
            Error::TooMuchWaiting => codes::TOO_MUCH_WAITING,
            Error::SessionUnread => codes::SESSION_UNREAD,
            Error::TooManyRequests { .. } => codes::TOO_MANY_REQUESTS,
        }
    }

    fn details(&self) -> Option<String> {
        match self {
            Error::Token(TokenError::NoKey) => Some("None of the keys was able to decode the JWT".into()),
            Error::Token(TokenError::Algorithm(detail)) => Some((*detail).into()),
            _ => None,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Error::KeyRequired => {
                Some("Send the project's key in the header `apikey`; `mainstay keys` prints it.".into())
            }
            Error::BadKey => Some("`mainstay keys` prints this project's keys.".into()),
            Error::TooManyRequests { retry_seconds } => Some(format!("Try again in {retry_seconds} s.")),
            Error::TooMuchWaiting => Some("Ask for fewer rows with `limit`, or try again.".into()),
            _ => None,
        }
    }
}

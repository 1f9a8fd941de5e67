//! Why a request of the server's own got no answer.

/// What went wrong. The texts hold neither the URL nor anything of the request: both may hold secrets.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OutgoingError {
    #[error("the URL cannot be asked: {0}")]
    BadUrl(&'static str),
    #[error("a header cannot be sent")]
    BadHeader,
    #[error("the host has no address")]
    Unresolved,
    /// Private, or not encrypted.
    #[error("the address may not be asked; `[mainstay.outgoing] allow` names networks that may")]
    Forbidden,
    #[error("nothing answers at the address")]
    Unreachable,
    #[error("the connection could not be encrypted: {0}")]
    Tls(String),
    #[error("the answer took too long")]
    OutOfTime,
    #[error("the answer is larger than {bytes_max} bytes")]
    TooLarge { bytes_max: usize },
    #[error("the answer is no HTTP")]
    Broken,
    #[error("the answer is not what was expected: {0}")]
    Unreadable(&'static str),
}

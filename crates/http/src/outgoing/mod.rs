//! Requests that the server itself sends: to identity providers, to hooks, to senders of messages.
//!
//! Bounded in time and size; redirects are answers like any other and never followed; only addresses that the
//! [`Guard`] permits are connected to. Unencrypted requests go to networks that the settings allow, and nowhere else.
//! No proxy of the environment is used: the guard would see its address instead of the host's.
//! Not here: what is asked and what the answers mean.

mod call;
mod connect;
mod error;
mod guard;

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, StatusCode, Uri};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use serde::de::DeserializeOwned;

pub use call::{Call, form, with_query};
pub use error::OutgoingError;
pub use guard::Guard;

use connect::Connector;

/// How long a connection is kept for the next request.
const KEPT_IDLE: Duration = Duration::from_secs(30);
/// Connections to one host that are kept.
const KEPT_MAX: usize = 4;

/// Sends requests. Cheap to clone; clones share their connections.
#[derive(Clone)]
pub struct Outgoing {
    client: Client<Connector, Full<Bytes>>,
}

/// An answer, read whole.
#[derive(Clone, Debug)]
pub struct Reply {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Reply {
    /// The body as JSON. Errors: `Unreadable`, without a word of the body.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, OutgoingError> {
        serde_json::from_slice(&self.body)
            .map_err(|_| OutgoingError::Unreadable("the body is not the JSON that was expected"))
    }
}

impl Outgoing {
    pub fn new(guard: Guard) -> Self {
        Outgoing::of(Connector::new(guard))
    }

    fn of(connector: Connector) -> Self {
        let client = Client::builder(TokioExecutor::new())
            .pool_idle_timeout(KEPT_IDLE)
            .pool_max_idle_per_host(KEPT_MAX)
            .build(connector);
        Outgoing { client }
    }

    /// Sends `call` and reads the answer, whatever its status is.
    pub async fn send(&self, call: Call) -> Result<Reply, OutgoingError> {
        let (time_max, bytes_max) = (call.time_max, call.bytes_max);
        let request = call.into_request()?;
        tokio::time::timeout(time_max, self.exchange(request, bytes_max))
            .await
            .unwrap_or(Err(OutgoingError::OutOfTime))
    }

    async fn exchange(&self, request: http::Request<Full<Bytes>>, bytes_max: usize) -> Result<Reply, OutgoingError> {
        let answer = self.client.request(request).await.map_err(|error| cause(&error))?;
        let (parts, body) = answer.into_parts();
        let body =
            Limited::new(body, bytes_max)
                .collect()
                .await
                .map_err(|error| match error.is::<LengthLimitError>() {
                    true => OutgoingError::TooLarge { bytes_max },
                    false => OutgoingError::Broken,
                })?;
        Ok(Reply {
            status: parts.status,
            headers: parts.headers,
            body: body.to_bytes(),
        })
    }
}

/// Our own reason, where the connection failed.
fn cause(error: &(dyn std::error::Error + 'static)) -> OutgoingError {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(own) = error.downcast_ref::<OutgoingError>() {
            return own.clone();
        }
        next = error.source();
    }
    OutgoingError::Broken
}

/// A URL that may be asked: absolute, `https` or `http`, without a user's name.
fn checked(url: &str) -> Result<Uri, OutgoingError> {
    let uri: Uri = url.parse().map_err(|_| OutgoingError::BadUrl("it is no URL"))?;
    if !matches!(uri.scheme_str(), Some("https" | "http")) {
        return Err(OutgoingError::BadUrl("it is neither https nor http"));
    }
    let authority = uri.authority().ok_or(OutgoingError::BadUrl("it has no host"))?;
    if authority.host().is_empty() {
        return Err(OutgoingError::BadUrl("it has no host"));
    }
    if authority.as_str().contains('@') {
        return Err(OutgoingError::BadUrl("it has a user's name"));
    }
    Ok(uri)
}

#[cfg(test)]
mod tests;

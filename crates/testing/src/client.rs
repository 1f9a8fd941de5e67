//! Sends requests to one server with one set of headers.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Method, Request};
use http_body_util::{BodyExt, Full};
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper_util::client::legacy::Client as HyperClient;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::Value;

use crate::answer::Answer;

/// How long a server may take to answer a head alone.
const HEAD_ANSWERED: Duration = Duration::from_secs(20);

/// A body of so many bytes that never comes.
struct Awaited(u64);

impl Body for Awaited {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Pending
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.0)
    }
}

/// A caller of the API.
#[derive(Clone)]
pub struct Client {
    http: HyperClient<HttpConnector, Full<Bytes>>,
    base: String,
    headers: Vec<(String, String)>,
}

impl Client {
    /// A client of `base` (such as `http://127.0.0.1:4000`) without credentials.
    pub fn new(base: &str) -> Self {
        let http = HyperClient::builder(TokioExecutor::new()).build_http();
        Client {
            http,
            base: base.to_owned(),
            headers: Vec::new(),
        }
    }

    /// The same client with one more header on every request.
    pub fn with(&self, name: &str, value: &str) -> Self {
        let mut client = self.clone();
        client.headers.push((name.to_owned(), value.to_owned()));
        client
    }

    /// The same client with a bearer token.
    pub fn bearer(&self, token: &str) -> Self {
        self.with("authorization", &format!("Bearer {token}"))
    }

    /// Sends a request and reads the answer whole. `path` begins with `/` and is sent as it is.
    pub async fn send(&self, method: Method, path: &str, headers: &[(&str, &str)], body: impl Into<Bytes>) -> Answer {
        self.try_send(method, path, headers, body)
            .await
            .unwrap_or_else(|error| panic!("no answer: {error}"))
    }

    /// Like [`Client::send`], for tests in which the server may be gone.
    pub async fn try_send(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> Result<Answer, String> {
        let request = self.request(method, path, headers, Full::new(body.into()))?;
        let answer = self.http.request(request).await.map_err(|error| format!("{error:?}"))?;
        read(answer).await
    }

    /// Sends the head of a request alone. It says that a body of `bytes` follows, which never comes.
    pub async fn send_head(&self, method: Method, path: &str, headers: &[(&str, &str)], bytes: u64) -> Answer {
        let http = HyperClient::builder(TokioExecutor::new()).build_http();
        let answered = async {
            let request = self.request(method, path, headers, Awaited(bytes))?;
            read(http.request(request).await.map_err(|error| format!("{error:?}"))?).await
        };
        let answered = tokio::time::timeout(HEAD_ANSWERED, answered).await;
        let answered = answered.unwrap_or_else(|_| Err("the server waits for the body".to_owned()));
        answered.unwrap_or_else(|error| panic!("no answer: {error}"))
    }

    fn request<B>(&self, method: Method, path: &str, headers: &[(&str, &str)], body: B) -> Result<Request<B>, String> {
        let mut request = Request::builder().method(method).uri(format!("{}{path}", self.base));
        let own = self.headers.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        for (name, value) in own.chain(headers.iter().copied()) {
            let value = HeaderValue::from_bytes(value.as_bytes()).map_err(|error| error.to_string())?;
            request = request.header(name, value);
        }
        request.body(body).map_err(|error| error.to_string())
    }

    /// `GET` below `/rest/v1/`.
    pub async fn get(&self, path: &str) -> Answer {
        self.send(Method::GET, &format!("/rest/v1/{path}"), &[], Bytes::new())
            .await
    }

    /// A write below `/rest/v1/` with a JSON body.
    pub async fn write(&self, method: Method, path: &str, headers: &[(&str, &str)], body: &Value) -> Answer {
        let mut all = vec![("content-type", "application/json")];
        all.extend_from_slice(headers);
        self.send(method, &format!("/rest/v1/{path}"), &all, body.to_string())
            .await
    }

    /// `POST` below `/rest/v1/`, asking for the representation.
    pub async fn insert(&self, path: &str, body: &Value) -> Answer {
        self.write(Method::POST, path, &[("prefer", "return=representation")], body)
            .await
    }
}

async fn read(answer: http::Response<Incoming>) -> Result<Answer, String> {
    let (parts, body) = answer.into_parts();
    let body = body.collect().await.map_err(|error| error.to_string())?.to_bytes();
    Ok(Answer {
        status: parts.status,
        headers: parts.headers,
        body,
    })
}

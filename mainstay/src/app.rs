//! Sends each request to its room, and adds to every answer what all answers have.
//!
//! Lives here: paths to rooms, the caller, limits on the body, CORS, the request's id, its log line and its counters.
//! Not here: what a room answers; sockets and their timeouts ([`server`](crate::server)).

use std::io::Write;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header, request};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use mainstay_auth::AuthRoom;
use mainstay_core::backend::Backend;
use mainstay_core::caller::Caller;
use mainstay_core::clock;
use mainstay_core::error::BackendError;
use mainstay_core::name::Ident;
use mainstay_core::render;
use mainstay_data::{DataRoom, why};
use mainstay_http::cors::Cors;
use mainstay_http::limits::Quota;
use mainstay_http::{Authenticated, Authenticator, Error, Limits, Request, Response, STAND_IN};

use crate::dev::{self, Dev};
use crate::log::Log;
use crate::metrics::{Metrics, Room};
use crate::outbox::{self, Outbox};
use crate::site::Site;

/// How long a body may take to arrive.
const BODY_TIMEOUT: Duration = Duration::from_secs(30);

/// Bytes of a path with its query; longer ones are answered with 414.
const URI_BYTES_MAX: usize = 64 * 1024;

/// Bytes that a log line begins with room for.
const LINE_ROOM: usize = 256;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Everything that answers requests.
pub struct App {
    pub backend: Arc<dyn Backend>,
    pub data: DataRoom,
    /// `None`: switched off.
    pub auth: Option<AuthRoom>,
    pub authenticator: Authenticator,
    pub cors: Cors,
    pub limits: Limits,
    pub site: Option<Site>,
    pub dev: Option<Dev>,
    pub metrics: Metrics,
    pub log: Log,
    pub log_requests: bool,
    pub body_bytes_max: usize,
    pub trace_header: Option<HeaderName>,
    pub ids: RequestIds,
    pub outbox: Outbox,
    /// The clock of the limits begins here.
    pub started: Instant,
}

/// Makes request ids: a start that differs per process, then a count.
pub struct RequestIds {
    start: u64,
    next: AtomicU64,
}

impl Default for RequestIds {
    fn default() -> Self {
        use std::hash::{BuildHasher, Hasher};
        let start = std::hash::RandomState::new().build_hasher().finish();
        RequestIds {
            start,
            next: AtomicU64::new(0),
        }
    }
}

impl RequestIds {
    fn next(&self) -> String {
        // Multiplying by an odd constant spreads ids without repeating one.
        let count = self.next.fetch_add(1, Ordering::Relaxed);
        format!("{:016x}", self.start ^ count.wrapping_mul(0x9E37_79B9_7F4A_7C15))
    }
}

/// What the log line says beyond the answer itself.
struct Handled {
    room: Room,
    role: Option<Ident>,
    response: Response,
}

impl App {
    /// Answers one request. Never fails: what goes wrong is an answer too.
    pub async fn answer<B>(&self, peer: SocketAddr, request: http::Request<B>) -> Response
    where
        B: hyper::body::Body<Data = Bytes> + Unpin,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let began = Instant::now();
        self.metrics.in_flight.inc();
        let id = self.ids.next();
        let (mut parts, body) = request.into_parts();
        let mut handled = match self.cors.preflight(&parts.method, &parts.headers) {
            Some(response) => Handled {
                room: Room::None,
                role: None,
                response,
            },
            None => self.dispatch(peer, &mut parts, body).await,
        };
        handled.response.body = match self.outbox.admit(std::mem::take(&mut handled.response.body)) {
            Ok(body) => body,
            Err(outbox::Full) => {
                handled.response = Error::TooMuchWaiting.response();
                std::mem::take(&mut handled.response.body)
            }
        };
        // Pages are looked at, not asked: what scripts of other origins could read there is somebody's account.
        if handled.room != Room::Dev && below(parts.uri.path(), "/auth/v1/pages").is_none() {
            self.cors.apply(&parts.headers, &mut handled.response.headers);
        }
        if let Ok(value) = HeaderValue::from_str(&id) {
            handled.response.headers.entry(REQUEST_ID).or_insert(value);
        }
        if let Some(name) = &self.trace_header
            && let Some(value) = parts.headers.get(name)
        {
            handled.response.headers.insert(name.clone(), value.clone());
        }
        self.metrics.in_flight.dec();
        self.record(&id, &parts, &handled, began.elapsed());
        handled.response
    }

    async fn dispatch<B>(&self, peer: SocketAddr, parts: &mut request::Parts, body: B) -> Handled
    where
        B: hyper::body::Body<Data = Bytes> + Unpin,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let uri = parts.uri.clone();
        let path = uri.path();
        if uri
            .path_and_query()
            .is_some_and(|uri| uri.as_str().len() > URI_BYTES_MAX)
        {
            let mut response = Error::BadHeader("request line", "it is too long").response();
            response.status = StatusCode::URI_TOO_LONG;
            return Handled {
                room: Room::None,
                role: None,
                response,
            };
        }
        if let Some(rest) = below(path, "/rest/v1") {
            return self.rest(peer, parts, rest, body).await;
        }
        if let (Some(auth), Some(rest)) = (&self.auth, below(path, "/auth/v1")) {
            // In a box, like all that is long and rare: a future is as large as the largest that it may wait for.
            return Box::pin(self.auth(auth, peer, parts, rest, body)).await;
        }
        // RFC 8414 §3.1 puts the issuer's path behind.
        if let (Some(auth), Some(rest)) = (&self.auth, path.strip_suffix("/auth/v1"))
            && matches!(
                rest,
                "/.well-known/oauth-authorization-server" | "/.well-known/openid-configuration"
            )
        {
            return Box::pin(self.auth(auth, peer, parts, rest, body)).await;
        }
        let plain = |room, response| Handled {
            room,
            role: None,
            response,
        };
        if path == "/metrics" || path.starts_with("/health/") {
            return plain(Room::Health, self.health(peer, parts).await);
        }
        if let (Some(dev), Some(rest)) = (&self.dev, below(path, "/dev/v1")) {
            let response = match self.read(parts, rest, body).await {
                Ok(request) => {
                    let response = dev.answer(peer, &request).await;
                    parts.headers = request.headers;
                    response
                }
                Err(error) => error.response(),
            };
            return plain(Room::Dev, response);
        }
        match &self.site {
            Some(site) => plain(
                Room::Site,
                Box::pin(site.answer(&parts.method, path, &parts.headers)).await,
            ),
            None => plain(Room::None, Error::NotFound.response()),
        }
    }

    async fn rest<B>(&self, peer: SocketAddr, parts: &mut request::Parts, path: &str, body: B) -> Handled
    where
        B: hyper::body::Body<Data = Bytes> + Unpin,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let refused = |error: Error, quota: &Quota| {
            let mut response = error.response();
            quota.apply(&mut response.headers);
            Handled {
                room: Room::Rest,
                role: None,
                response,
            }
        };
        // Who asks is settled before the body is read: a stranger's megabytes are not worth waiting for.
        let query_key = parts.uri.query().and_then(query_key);
        let asked = Instant::now();
        let who = self
            .authenticator
            .authenticate(&parts.headers, query_key, clock::now_seconds());
        let authentication = asked.elapsed();
        let mut quota = self.count(peer, &parts.headers, who.as_ref());
        if let Some(error) = quota.refusal() {
            self.metrics.limited.inc();
            return refused(error, &quota);
        }
        let who = match who {
            Ok(who) => who,
            Err(error) => return refused(error, &quota),
        };
        if let Some(auth) = &self.auth
            && let Err(error) = auth.admits(&who).await
        {
            return refused(error, &quota);
        }
        let explained = match self.explained(peer, &parts.headers, &who.caller) {
            Ok(explained) => explained,
            Err(error) => return refused(error, &quota),
        };
        let mut request = match self.read(parts, path, body).await {
            Ok(request) => request,
            Err(error) => return refused(error, &quota),
        };
        request.authentication = authentication;
        let mut response = match explained {
            None => self.data.handle(&who.caller, &request).await,
            Some(caller) => tokio::time::timeout(why::EXPLAIN_TIME_MAX, Box::pin(self.data.explain(&caller, &request)))
                .await
                .unwrap_or_else(|_| self.data.out_of_time(&who.caller)),
        };
        // How many requests a batch is, is known once it has been read.
        self.limits
            .count_more(&mut quota, response.requests.saturating_sub(1), self.started.elapsed());
        quota.apply(&mut response.headers);
        parts.headers = request.headers;
        Handled {
            room: Room::Rest,
            role: Some(who.caller.role),
            response,
        }
    }

    async fn auth<B>(
        &self,
        auth: &AuthRoom,
        peer: SocketAddr,
        parts: &mut request::Parts,
        path: &str,
        body: B,
    ) -> Handled
    where
        B: hyper::body::Body<Data = Bytes> + Unpin,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        // Whoever signs in need not be anybody yet: the room decides what a broken credential means.
        let query_key = parts.uri.query().and_then(query_key);
        let who = self
            .authenticator
            .authenticate(&parts.headers, query_key, clock::now_seconds());
        let role = who.as_ref().ok().map(|who| who.caller.role.clone());
        let quota = self.count(peer, &parts.headers, who.as_ref());
        let address = self.limits.client(peer.ip(), &parts.headers);
        let from = mainstay_auth::From {
            address,
            // Whoever is on this machine has other ways.
            is_counted: !self.limits.is_exempt(address) && !dev::is_from_here(peer, &parts.headers),
        };
        let mut response = match quota.refusal() {
            Some(error) => {
                self.metrics.limited.inc();
                error.response()
            }
            None => match auth.turned_away(&who, &parts.method, path, &parts.headers) {
                Some(response) => response,
                None => match self.read(parts, path, body).await {
                    Ok(request) => {
                        let response = auth.handle(&who, &request, from).await;
                        parts.headers = request.headers;
                        response
                    }
                    Err(error) => error.response(),
                },
            },
        };
        quota.apply(&mut response.headers);
        Handled {
            room: Room::Auth,
            role,
            response,
        }
    }

    /// For whom the answer is to be explained instead of given: only those who may see every row may ask. For others the
    /// preference and the header are like any that mean nothing. Errors: `MS-HTTP-007`, and those of tokens.
    fn explained(&self, peer: SocketAddr, headers: &HeaderMap, caller: &Caller) -> Result<Option<Caller>, Error> {
        let may_ask = || {
            self.authenticator.holds_secret(headers, clock::now_seconds())
                || self.dev.is_some() && dev::is_own(peer, headers)
        };
        if !why::is_wanted(headers) || !may_ask() {
            return Ok(None);
        }
        match headers.get(STAND_IN) {
            None => Ok(Some(caller.clone())),
            Some(text) => {
                let text = text
                    .to_str()
                    .map_err(|_| Error::BadHeader(STAND_IN, "it is not ASCII text"))?;
                self.authenticator.stand_in(text, clock::now_seconds()).map(Some)
            }
        }
    }

    /// Counts a request against its caller's limits.
    fn count(&self, peer: SocketAddr, headers: &HeaderMap, who: Result<&Authenticated, &Error>) -> Quota {
        let anon_role = self.authenticator.anon_role.as_deref();
        self.limits
            .count(peer.ip(), headers, who, anon_role, self.started.elapsed())
    }

    /// Reads the body. The request takes the headers along; whoever needs them afterwards puts them back.
    async fn read<B>(&self, parts: &mut request::Parts, path: &str, body: B) -> Result<Request, Error>
    where
        B: hyper::body::Body<Data = Bytes> + Unpin,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let too_large = Error::BodyTooLarge {
            limit_bytes: self.body_bytes_max,
        };
        if declared_length(&parts.headers).is_some_and(|length| length > self.body_bytes_max as u64) {
            return Err(too_large);
        }
        let body = if body.is_end_stream() {
            Bytes::new()
        } else {
            match tokio::time::timeout(BODY_TIMEOUT, Limited::new(body, self.body_bytes_max).collect()).await {
                Ok(Ok(collected)) => collected.to_bytes(),
                Ok(Err(error)) if error.is::<LengthLimitError>() => return Err(too_large),
                Ok(Err(_)) | Err(_) => return Err(Error::BodyIncomplete),
            }
        };
        Ok(Request {
            method: parts.method.clone(),
            path: if path.is_empty() {
                "/".to_owned()
            } else {
                path.to_owned()
            },
            query: parts.uri.query().map(str::to_owned),
            headers: std::mem::take(&mut parts.headers),
            body,
            authentication: std::time::Duration::ZERO,
        })
    }

    async fn health(&self, peer: SocketAddr, parts: &request::Parts) -> Response {
        if !matches!(parts.method, Method::GET | Method::HEAD) {
            return Error::MethodNotAllowed(parts.method.to_string()).response();
        }
        match parts.uri.path() {
            "/health/live" => Response::body(StatusCode::OK, "application/json", r#"{"status":"ok"}"#),
            "/health/ready" => match self.backend.health().await {
                Ok(_) => Response::body(StatusCode::OK, "application/json", r#"{"status":"ok"}"#),
                Err(error) => {
                    tracing::warn!(%error, "not ready");
                    let mut response = Response::body(
                        StatusCode::SERVICE_UNAVAILABLE,
                        "application/json",
                        r#"{"status":"unavailable"}"#,
                    );
                    response
                        .headers
                        .insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
                    response
                }
            },
            "/metrics"
                if dev::is_from_here(peer, &parts.headers)
                    || self.authenticator.is_service(&parts.headers, clock::now_seconds()) =>
            {
                if let Some(auth) = &self.auth {
                    self.metrics.hashed(auth.hashes());
                }
                Response::body(
                    StatusCode::OK,
                    "application/openmetrics-text; version=1.0.0; charset=utf-8",
                    self.metrics.text(),
                )
            }
            "/metrics" => Error::LoopbackOnly.response(),
            _ => Error::NotFound.response(),
        }
    }

    /// One line per request: id, method, path, status, duration, rows, role. Never the query: it may hold secrets.
    fn record(&self, id: &str, parts: &request::Parts, handled: &Handled, took: Duration) {
        let (status, rows) = (handled.response.status.as_u16(), handled.response.rows.unwrap_or(0));
        self.metrics.answered(handled.room, status, took, rows);
        if !self.log_requests || !self.log.has_info() {
            return;
        }
        let (method, path, role) = (&parts.method, parts.uri.path(), handled.role.as_deref().unwrap_or("-"));
        let milliseconds = took.as_secs_f64() * 1000.0;
        let mut line: Vec<u8> = Vec::with_capacity(LINE_ROOM);
        // Writing to a vector cannot fail.
        let _ = if self.log.is_json {
            let head = write!(line, "{{\"request\":\"{id}\",\"method\":\"{method}\",\"path\":");
            render::json_string(&mut line, path);
            head.and_then(|()| {
                write!(
                    line,
                    ",\"status\":{status},\"ms\":{milliseconds:.3},\"rows\":{rows},\"role\":"
                )
            })
            .map(|()| render::json_string(&mut line, role))
            .and_then(|()| line.write_all(b"}\n"))
        } else {
            writeln!(
                line,
                "{status} {method:6} {path}  {milliseconds:.2} ms  {rows} rows  {role}  {id}"
            )
        };
        self.log.write(&line);
    }
}

/// Says why a backend cannot answer, for the log and for `doctor`.
pub fn reason(error: &BackendError) -> String {
    match error {
        BackendError::Unavailable { reason } | BackendError::Internal(reason) => reason.clone(),
        other => other.to_string(),
    }
}

fn below<'a>(path: &'a str, prefix: &str) -> Option<&'a str> {
    let rest = path.strip_prefix(prefix)?;
    (rest.is_empty() || rest.starts_with('/')).then_some(rest)
}

fn query_key(query: &str) -> Option<&str> {
    query.split('&').find_map(|pair| pair.strip_prefix("apikey="))
}

fn declared_length(headers: &HeaderMap) -> Option<u64> {
    headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_ends_at_a_slash() {
        assert_eq!(below("/rest/v1/orders", "/rest/v1"), Some("/orders"));
        assert_eq!(below("/rest/v1", "/rest/v1"), Some(""));
        assert_eq!(below("/rest/v11", "/rest/v1"), None);
    }

    #[test]
    fn ids_do_not_repeat() {
        let ids = RequestIds::default();
        let made: std::collections::HashSet<String> = (0..10_000).map(|_| ids.next()).collect();
        assert_eq!(made.len(), 10_000);
    }
}

//! Listens, speaks HTTP/1.1 and HTTP/2 (also without TLS), and stops without losing a request.

use std::cell::RefCell;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, header};
use http_body_util::{Either, Full};
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::TcpListener;
use tokio_util::sync::ReusableBoxFuture;
use tower::{Layer, ServiceExt};
use tower_http::compression::predicate::{And, NotForContentType, Predicate, SizeAbove};
use tower_http::compression::{CompressionBody, CompressionLayer};

use crate::app::App;

/// How long a client may take to send the head of a request.
const HEADER_TIMEOUT: Duration = Duration::from_secs(15);

/// Bytes of a request's head that are read at most.
const HEADER_BYTES_MAX: usize = 256 * 1024;

/// How long requests in flight may take to finish when the server stops.
const STOP_TIMEOUT: Duration = Duration::from_secs(30);

/// Answers smaller than this many bytes are not worth compressing.
const COMPRESS_BYTES_MIN: u64 = 1024;

/// Connections at once; more wait in the kernel's queue.
const CONNECTIONS_MAX: usize = 10_000;

/// Serves `app` until `stop` resolves, then lets the requests in flight finish.
pub async fn serve(app: Arc<App>, listener: TcpListener, stop: impl Future<Output = ()>) {
    let graceful = GracefulShutdown::new();
    let slots = Arc::new(tokio::sync::Semaphore::new(CONNECTIONS_MAX));
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT)
        .max_buf_size(HEADER_BYTES_MAX)
        .pipeline_flush(true);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_header_list_size(HEADER_BYTES_MAX as u32)
        .keep_alive_interval(Some(Duration::from_secs(30)));
    tokio::pin!(stop);
    loop {
        let Ok(slot) = slots.clone().acquire_owned().await else {
            break;
        };
        let (stream, peer) = tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    // Out of file descriptors, most likely: waiting is all that helps.
                    tracing::warn!(%error, "a connection could not be accepted");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    continue;
                }
            },
            () = &mut stop => break,
        };
        // Answers are written whole, so waiting to fill a packet only delays them.
        let _ = stream.set_nodelay(true);
        let connection = builder
            .serve_connection(TokioIo::new(stream), service(app.clone(), peer))
            .into_owned();
        let connection = graceful.watch(connection);
        let app = app.clone();
        tokio::spawn(async move {
            app.metrics.connections.inc();
            if let Err(error) = connection.await {
                tracing::debug!(%error, "a connection broke off");
            }
            app.metrics.connections.dec();
            drop(slot);
        });
    }
    drop(listener);
    tracing::info!("stopping: waiting for requests in flight");
    if tokio::time::timeout(STOP_TIMEOUT, graceful.shutdown()).await.is_err() {
        tracing::warn!("some requests were still in flight after {} s", STOP_TIMEOUT.as_secs());
    }
}

/// An answer's `Content-Range` while the answer is being compressed.
#[derive(Clone)]
struct RowRange(HeaderValue);

/// The service of one connection.
fn service(
    app: Arc<App>,
    peer: SocketAddr,
) -> impl hyper::service::Service<
    http::Request<Incoming>,
    Response = http::Response<Body>,
    Error = Infallible,
    Future = Answering,
> + Clone {
    hyper::service::service_fn(move |request: http::Request<Incoming>| {
        let app = app.clone();
        let accepted = request.headers().get(header::ACCEPT_ENCODING).cloned();
        Answering::of(async move {
            let answer = app.answer(peer, request).await;
            let mut response = http::Response::new(Full::new(answer.body));
            *response.status_mut() = answer.status;
            *response.headers_mut() = answer.headers;
            Ok::<_, Infallible>(match accepted {
                None => {
                    vary(&mut response);
                    response.map(Either::Left)
                }
                Some(accepted) => Box::pin(compressed(accepted, response))
                    .await
                    .map(|body| Either::Right(Box::pin(body))),
            })
        })
    })
}

/// An answer's body. What compresses is in a box: it has room for the state of every encoder, and answers are moved
/// several times.
type Body = Either<Full<Bytes>, Pin<Box<CompressionBody<Full<Bytes>>>>>;

type Answer = Result<http::Response<Body>, Infallible>;

/// Places for answers that are kept by a thread.
const PLACES_MAX: usize = 64;

thread_local! {
    /// Places where this thread has made answers, to make others in. They are large, and memory that was just used is
    /// near.
    static PLACES: RefCell<Vec<ReusableBoxFuture<'static, Answer>>> = const { RefCell::new(Vec::new()) };
}

/// An answer that is being made, in a place of its own: the futures around it are moved several times before they are
/// polled.
struct Answering {
    /// `None` once it is made.
    place: Option<ReusableBoxFuture<'static, Answer>>,
}

impl Answering {
    fn of(answer: impl Future<Output = Answer> + Send + 'static) -> Self {
        let place = PLACES.with_borrow_mut(Vec::pop);
        Answering {
            place: Some(match place {
                Some(mut place) => {
                    place.set(answer);
                    place
                }
                None => ReusableBoxFuture::new(answer),
            }),
        }
    }
}

impl Future for Answering {
    type Output = Answer;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Answer> {
        let Some(place) = &mut self.place else {
            return Poll::Pending;
        };
        let answer = ready!(place.poll(cx));
        // One that is not made to its end is dropped with what it holds.
        if let Some(place) = self.place.take() {
            PLACES.with_borrow_mut(|places| {
                if places.len() < PLACES_MAX {
                    places.push(place);
                }
            });
        }
        Poll::Ready(answer)
    }
}

/// What is worth compressing.
fn compressible() -> And<SizeAbove, NotForContentType> {
    SizeAbove::new(COMPRESS_BYTES_MIN).and(NotForContentType::IMAGES)
}

/// Says what the compression layer says of answers that it would compress for another client: they depend on what the
/// client accepts.
fn vary(response: &mut http::Response<Full<Bytes>>) {
    let is_fixed = |name| response.headers().contains_key(name);
    let is_byte_range = response
        .headers()
        .get(header::CONTENT_RANGE)
        .is_some_and(|value| !is_row_range(value));
    if !is_fixed(header::CONTENT_ENCODING) && !is_byte_range && compressible().should_compress(response) {
        response
            .headers_mut()
            .append(header::VARY, HeaderValue::from_static("accept-encoding"));
    }
}

/// The answer as a client that accepts `accepted` gets it.
async fn compressed(
    accepted: HeaderValue,
    mut response: http::Response<Full<Bytes>>,
) -> http::Response<CompressionBody<Full<Bytes>>> {
    hide_row_range(&mut response);
    let mut request = http::Request::new(());
    request.headers_mut().insert(header::ACCEPT_ENCODING, accepted);
    let mut response = Some(response);
    let inner = tower::service_fn(move |_: http::Request<()>| {
        // Asked once.
        let response = response.take().unwrap_or_default();
        std::future::ready(Ok::<_, Infallible>(response))
    });
    let layer = CompressionLayer::new().compress_when(compressible());
    match layer.layer(inner).oneshot(request).await {
        Ok(mut response) => {
            tag_coding(&mut response);
            show_row_range(response)
        }
        Err(never) => match never {},
    }
}

/// A strong tag names bytes, so that of a compressed answer says how they are compressed (RFC 9110, 8.8.3.3).
fn tag_coding<B>(response: &mut http::Response<B>) {
    let headers = response.headers();
    let (Some(coding), Some(tag)) = (headers.get(header::CONTENT_ENCODING), headers.get(header::ETAG)) else {
        return;
    };
    let named = tag
        .as_bytes()
        .strip_suffix(b"\"")
        .map(|start| [start, b"-", coding.as_bytes(), b"\""].concat());
    if let Some(Ok(named)) = named.map(|named| HeaderValue::from_bytes(&named)) {
        response.headers_mut().insert(header::ETAG, named);
    }
}

/// The compression layer leaves answers with `Content-Range` alone, because compressed bytes are not those of a byte
/// range. A range of rows says nothing about bytes, so it is put aside and put back.
fn hide_row_range<B>(response: &mut http::Response<B>) {
    if response.headers().get(header::CONTENT_RANGE).is_some_and(is_row_range)
        && let Some(value) = response.headers_mut().remove(header::CONTENT_RANGE)
    {
        response.extensions_mut().insert(RowRange(value));
    }
}

fn is_row_range(value: &HeaderValue) -> bool {
    !value.as_bytes().starts_with(b"bytes")
}

fn show_row_range<B>(mut response: http::Response<B>) -> http::Response<B> {
    if let Some(RowRange(value)) = response.extensions_mut().remove() {
        response.headers_mut().insert(header::CONTENT_RANGE, value);
    }
    response
}

/// Resolves when the process is asked to stop: Ctrl-C or SIGTERM.
pub async fn stop_signal() {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        let Ok(mut terminate) = signal(SignalKind::terminate()) else {
            return std::future::pending().await;
        };
        tokio::select! {
            _ = tokio::signal::ctrl_c() => {}
            _ = terminate.recv() => {}
        }
    }
    #[cfg(not(unix))]
    let _ = tokio::signal::ctrl_c().await;
}

//! Connects to a host: looks its name up, keeps the addresses that the [`Guard`] permits, and speaks TLS.
//!
//! Invariant: what is checked is what is connected to. A name is looked up once for a connection, and nothing after the
//! check looks it up again.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::time::Duration;

use http::Uri;
use hyper_util::client::legacy::connect::{Connected, Connection};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tower::Service;

use super::error::OutgoingError;
use super::guard::Guard;

/// How long a connection may take to be made, encryption included.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// A connection, encrypted or not.
pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

impl Connection for Box<dyn Stream> {
    fn connected(&self) -> Connected {
        Connected::new()
    }
}

type Addresses = Pin<Box<dyn Future<Output = io::Result<Vec<SocketAddr>>> + Send>>;
/// Looks up a host's addresses.
pub type Resolver = Arc<dyn Fn(String, u16) -> Addresses + Send + Sync>;

/// What connects.
#[derive(Clone)]
pub struct Connector {
    pub guard: Arc<Guard>,
    pub resolver: Resolver,
    /// `None`: whom this machine believes.
    pub tls: Option<Arc<ClientConfig>>,
}

impl Connector {
    pub fn new(guard: Guard) -> Self {
        Connector {
            guard: Arc::new(guard),
            resolver: Arc::new(|host, port| {
                Box::pin(async move { Ok(tokio::net::lookup_host((host.as_str(), port)).await?.collect()) })
            }),
            tls: None,
        }
    }

    async fn connect(self, uri: Uri) -> Result<TokioIo<Box<dyn Stream>>, OutgoingError> {
        let is_encrypted = uri.scheme_str() == Some("https");
        let host = uri.host().unwrap_or_default();
        let bare = host
            .strip_prefix('[')
            .and_then(|host| host.strip_suffix(']'))
            .unwrap_or(host);
        let port = uri.port_u16().unwrap_or(if is_encrypted { 443 } else { 80 });
        let found = (self.resolver)(bare.to_owned(), port)
            .await
            .map_err(|_| OutgoingError::Unresolved)?;
        if found.is_empty() {
            return Err(OutgoingError::Unresolved);
        }
        let permitted: Vec<SocketAddr> = found
            .into_iter()
            .filter(|address| match is_encrypted {
                true => self.guard.permits(address.ip()),
                false => self.guard.allows(address.ip()),
            })
            .collect();
        if permitted.is_empty() {
            return Err(OutgoingError::Forbidden);
        }
        let stream = TcpStream::connect(permitted.as_slice())
            .await
            .map_err(|_| OutgoingError::Unreachable)?;
        // Requests are small and wait for their answers.
        let _ = stream.set_nodelay(true);
        if !is_encrypted {
            return Ok(TokioIo::new(Box::new(stream)));
        }
        let name = ServerName::try_from(bare.to_owned()).map_err(|_| OutgoingError::BadUrl("its host is no name"))?;
        let tls = match self.tls {
            Some(tls) => tls,
            None => machine_tls()?,
        };
        let stream = TlsConnector::from(tls)
            .connect(name, stream)
            .await
            .map_err(|error| OutgoingError::Tls(error.to_string()))?;
        Ok(TokioIo::new(Box::new(stream)))
    }
}

impl Service<Uri> for Connector {
    type Response = TokioIo<Box<dyn Stream>>;
    type Error = OutgoingError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, OutgoingError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), OutgoingError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let connector = self.clone();
        Box::pin(async move {
            tokio::time::timeout(CONNECT_TIMEOUT, connector.connect(uri))
                .await
                .unwrap_or(Err(OutgoingError::OutOfTime))
        })
    }
}

/// Believes the machine's own list of authorities, read once.
fn machine_tls() -> Result<Arc<ClientConfig>, OutgoingError> {
    static CONFIG: OnceLock<Result<Arc<ClientConfig>, OutgoingError>> = OnceLock::new();
    let made = CONFIG.get_or_init(|| {
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        tls(roots)
    });
    made.clone()
}

/// Believes `roots`.
pub fn tls(roots: RootCertStore) -> Result<Arc<ClientConfig>, OutgoingError> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| OutgoingError::Tls(error.to_string()))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

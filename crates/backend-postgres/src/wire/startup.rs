//! Opens a connection: address, TLS, sign-in.
//!
//! Source: PostgreSQL 15 manual, 55.2.1 (start-up), 55.3 (SASL); libpq's `sslmode`.

use std::collections::HashMap;
use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::{BufMut, BytesMut};
use mainstay_core::error::DatabaseError;
use postgres_protocol::authentication::sasl::{ChannelBinding, SCRAM_SHA_256, ScramSha256};
use postgres_protocol::message::backend::Message;
use postgres_protocol::message::frontend;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_postgres::Config;
use tokio_postgres::config::{Host, SslMode};
use tokio_postgres::tls::{MakeTlsConnect, TlsConnect};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::reply::server_error;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const PORT_DEFAULT: u16 = 5432;

/// Where the database is and as whom we sign in.
#[derive(Clone)]
pub struct Target {
    config: Config,
    tls: Option<MakeRustlsConnect>,
    ssl_mode: SslMode,
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Target")
            .field("hosts", &self.config.get_hosts())
            .finish_non_exhaustive()
    }
}

/// Why no connection came about.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    #[error("the database URL cannot be read: {0}")]
    BadUrl(String),
    #[error("no TLS: {0}")]
    Tls(String),
    #[error("the server refused the connection: {}", .0.message)]
    Refused(Box<DatabaseError>),
    #[error("cannot reach the database: {0}")]
    Unreachable(String),
}

impl From<io::Error> for ConnectError {
    fn from(error: io::Error) -> Self {
        ConnectError::Unreachable(error.to_string())
    }
}

pub(super) type ReadHalf = Box<dyn AsyncRead + Send + Unpin>;
pub(super) type WriteHalf = Box<dyn AsyncWrite + Send + Unpin>;

/// A connection that is signed in and idle.
pub(super) struct Opened {
    pub reader: ReadHalf,
    pub writer: WriteHalf,
    pub parameters: HashMap<String, String>,
    /// Bytes that came after the greeting.
    pub rest: BytesMut,
}

impl Target {
    /// Reads a `postgres://` URL. Beyond what the driver knows, `sslmode` may be `verify-ca` or `verify-full`; both
    /// check the certificate and the host name. `prefer` and `require` encrypt without checking, as libpq does.
    pub fn parse(url: &str) -> Result<Self, ConnectError> {
        let (url, verify) = without_verify_modes(url);
        let config: Config = url.parse().map_err(|error: tokio_postgres::Error| {
            let cause = std::error::Error::source(&error)
                .map(|cause| format!(": {cause}"))
                .unwrap_or_default();
            ConnectError::BadUrl(format!("{error}{cause}"))
        })?;
        if config.get_channel_binding() == tokio_postgres::config::ChannelBinding::Require {
            return Err(ConnectError::BadUrl("channel_binding=require is not supported".into()));
        }
        let ssl_mode = if verify {
            SslMode::Require
        } else {
            config.get_ssl_mode()
        };
        let tls = if ssl_mode == SslMode::Disable {
            None
        } else {
            Some(tls_connector(verify)?)
        };
        Ok(Target { config, tls, ssl_mode })
    }

    /// The role we sign in as.
    pub fn user(&self) -> &str {
        self.config.get_user().unwrap_or("postgres")
    }

    pub(super) async fn open(&self) -> Result<Opened, ConnectError> {
        let limit = self.config.get_connect_timeout().copied().unwrap_or(CONNECT_TIMEOUT);
        match tokio::time::timeout(limit, self.open_any_host()).await {
            Ok(result) => result,
            Err(_) => Err(ConnectError::Unreachable(format!(
                "no answer within {} s",
                limit.as_secs()
            ))),
        }
    }

    async fn open_any_host(&self) -> Result<Opened, ConnectError> {
        let mut last = ConnectError::BadUrl("no host".into());
        let hosts = self.config.get_hosts();
        let fallback = [Host::Tcp("localhost".into())];
        let hosts = if hosts.is_empty() { &fallback[..] } else { hosts };
        for (index, host) in hosts.iter().enumerate() {
            let ports = self.config.get_ports();
            let port = ports.get(index).or(ports.first()).copied().unwrap_or(PORT_DEFAULT);
            match self.open_host(host, port).await {
                Ok(opened) => return Ok(opened),
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    async fn open_host(&self, host: &Host, port: u16) -> Result<Opened, ConnectError> {
        match host {
            Host::Tcp(name) => {
                let mut stream = TcpStream::connect((name.as_str(), port)).await?;
                stream.set_nodelay(true)?;
                let Some(tls) = &self.tls else {
                    return self.sign_in_plain(stream).await;
                };
                if !asks_tls(&mut stream).await? {
                    if self.ssl_mode == SslMode::Require {
                        return Err(ConnectError::Tls(
                            "the server does not offer TLS and sslmode demands it".into(),
                        ));
                    }
                    return self.sign_in_plain(stream).await;
                }
                let mut maker = tls.clone();
                let Ok(connect) = MakeTlsConnect::<TcpStream>::make_tls_connect(&mut maker, name);
                let stream = connect
                    .connect(stream)
                    .await
                    .map_err(|error| ConnectError::Tls(error.to_string()))?;
                let (reader, writer) = tokio::io::split(stream);
                self.sign_in(Box::new(reader), Box::new(writer)).await
            }
            #[cfg(unix)]
            Host::Unix(folder) => {
                let path = folder.join(format!(".s.PGSQL.{port}"));
                let (reader, writer) = tokio::net::UnixStream::connect(path).await?.into_split();
                self.sign_in(Box::new(reader), Box::new(writer)).await
            }
        }
    }

    async fn sign_in_plain(&self, stream: TcpStream) -> Result<Opened, ConnectError> {
        let (reader, writer) = stream.into_split();
        self.sign_in(Box::new(reader), Box::new(writer)).await
    }

    async fn sign_in(&self, mut reader: ReadHalf, mut writer: WriteHalf) -> Result<Opened, ConnectError> {
        let mut out = BytesMut::new();
        let user = self.user();
        let mut parameters = vec![
            ("user", user),
            ("database", self.config.get_dbname().unwrap_or(user)),
            ("client_encoding", "UTF8"),
            ("DateStyle", "ISO"),
            (
                "application_name",
                self.config.get_application_name().unwrap_or("mainstay"),
            ),
        ];
        if let Some(options) = self.config.get_options() {
            parameters.push(("options", options));
        }
        frontend::startup_message(parameters, &mut out)?;
        writer.write_all(&out).await?;

        let mut input = BytesMut::with_capacity(4096);
        let mut known = HashMap::new();
        let mut scram: Option<ScramSha256> = None;
        loop {
            let message = next_message(&mut reader, &mut input).await?;
            out.clear();
            match message {
                Message::AuthenticationCleartextPassword => {
                    frontend::password_message(self.password()?, &mut out)?;
                }
                Message::AuthenticationMd5Password(body) => {
                    let hash =
                        postgres_protocol::authentication::md5_hash(user.as_bytes(), self.password()?, body.salt());
                    frontend::password_message(hash.as_bytes(), &mut out)?;
                }
                Message::AuthenticationSasl(_) => {
                    // Channel binding would need the certificate's digest, which the TLS stream does not show.
                    let exchange = ScramSha256::new(self.password()?, ChannelBinding::unsupported());
                    frontend::sasl_initial_response(SCRAM_SHA_256, exchange.message(), &mut out)?;
                    scram = Some(exchange);
                }
                Message::AuthenticationSaslContinue(body) => {
                    let Some(exchange) = scram.as_mut() else {
                        return Err(unexpected());
                    };
                    exchange.update(body.data())?;
                    frontend::sasl_response(exchange.message(), &mut out)?;
                }
                Message::AuthenticationSaslFinal(body) => {
                    let Some(exchange) = scram.as_mut() else {
                        return Err(unexpected());
                    };
                    exchange.finish(body.data())?;
                }
                Message::AuthenticationOk | Message::BackendKeyData(_) | Message::NoticeResponse(_) => {}
                Message::ParameterStatus(body) => {
                    known.insert(body.name()?.to_owned(), body.value()?.to_owned());
                }
                Message::ReadyForQuery(_) => {
                    return Ok(Opened {
                        reader,
                        writer,
                        parameters: known,
                        rest: input,
                    });
                }
                Message::ErrorResponse(_) => return Err(unexpected()),
                _ => {
                    return Err(ConnectError::Unreachable(
                        "the server asks for an unknown way to sign in".into(),
                    ));
                }
            }
            if !out.is_empty() {
                writer.write_all(&out).await?;
            }
        }
    }

    fn password(&self) -> Result<&[u8], ConnectError> {
        self.config
            .get_password()
            .ok_or_else(|| ConnectError::BadUrl("the server asks for a password and the URL has none".into()))
    }
}

fn unexpected() -> ConnectError {
    ConnectError::Unreachable("the server does not follow the protocol".into())
}

/// Reads one message; an error message of the server becomes `Refused`.
async fn next_message(reader: &mut ReadHalf, input: &mut BytesMut) -> Result<Message, ConnectError> {
    loop {
        if input.first() == Some(&b'E') && input.len() >= 5 {
            let length = u32::from_be_bytes([input[1], input[2], input[3], input[4]]) as usize;
            if input.len() > length {
                return Err(ConnectError::Refused(Box::new(server_error(&input[5..=length]).error)));
            }
        } else if let Some(message) = Message::parse(input)? {
            return Ok(message);
        }
        if reader.read_buf(input).await? == 0 {
            return Err(ConnectError::Unreachable("the server closed the connection".into()));
        }
    }
}

async fn asks_tls(stream: &mut TcpStream) -> Result<bool, ConnectError> {
    let mut out = BytesMut::with_capacity(8);
    out.put_i32(8);
    out.put_i32(80_877_103);
    stream.write_all(&out).await?;
    Ok(stream.read_u8().await? == b'S')
}

/// Takes `sslmode=verify-ca` and `verify-full` out of the URL; true if one was there.
fn without_verify_modes(url: &str) -> (String, bool) {
    for mode in ["verify-full", "verify-ca"] {
        let pair = format!("sslmode={mode}");
        if url.contains(&pair) {
            return (url.replace(&pair, "sslmode=require"), true);
        }
    }
    (url.to_owned(), false)
}

fn tls_connector(verify: bool) -> Result<MakeRustlsConnect, ConnectError> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = rustls::ClientConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .map_err(|error| ConnectError::Tls(error.to_string()))?;
    let config = if verify {
        let mut roots = rustls::RootCertStore::empty();
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        builder.with_root_certificates(roots).with_no_client_auth()
    } else {
        let verifier = Arc::new(unverified::AnyCertificate::new(provider));
        builder
            .dangerous()
            .with_custom_certificate_verifier(verifier)
            .with_no_client_auth()
    };
    Ok(MakeRustlsConnect::new(config))
}

/// `sslmode=prefer` and `require`: encrypted, the other side not checked.
mod unverified {
    use std::sync::Arc;

    use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
    use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
    use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
    use rustls::{DigitallySignedStruct, Error, SignatureScheme};

    #[derive(Debug)]
    pub struct AnyCertificate {
        provider: Arc<CryptoProvider>,
    }

    impl AnyCertificate {
        pub fn new(provider: Arc<CryptoProvider>) -> Self {
            AnyCertificate { provider }
        }
    }

    impl ServerCertVerifier for AnyCertificate {
        fn verify_server_cert(
            &self,
            _end_entity: &CertificateDer<'_>,
            _intermediates: &[CertificateDer<'_>],
            _server_name: &ServerName<'_>,
            _ocsp_response: &[u8],
            _now: UnixTime,
        ) -> Result<ServerCertVerified, Error> {
            Ok(ServerCertVerified::assertion())
        }

        fn verify_tls12_signature(
            &self,
            message: &[u8],
            cert: &CertificateDer<'_>,
            signed: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, Error> {
            verify_tls12_signature(message, cert, signed, &self.provider.signature_verification_algorithms)
        }

        fn verify_tls13_signature(
            &self,
            message: &[u8],
            cert: &CertificateDer<'_>,
            signed: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, Error> {
            verify_tls13_signature(message, cert, signed, &self.provider.signature_verification_algorithms)
        }

        fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
            self.provider.signature_verification_algorithms.supported_schemes()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn verify_modes_are_ours_and_the_rest_the_drivers() {
        let strict = Target::parse("postgres://a:b@db.example/x?sslmode=verify-full").unwrap();
        assert_eq!(strict.ssl_mode, SslMode::Require);
        assert_eq!(
            Target::parse("postgres://a@h/x?sslmode=disable").unwrap().ssl_mode,
            SslMode::Disable
        );
        assert!(matches!(
            Target::parse("postgres://a@h/x?sslmode=sometimes"),
            Err(ConnectError::BadUrl(_))
        ));
        assert!(matches!(Target::parse("nonsense"), Err(ConnectError::BadUrl(_))));
    }
}

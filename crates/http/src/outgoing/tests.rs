//! Requests to servers on this machine, each of which counts its connections.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::connect::{Stream, tls};
use super::*;

/// A server that gives everybody one answer.
struct Host {
    address: SocketAddr,
    connections: Arc<AtomicUsize>,
}

impl Host {
    async fn start(answer: &'static str, acceptor: Option<TlsAcceptor>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let connections = Arc::new(AtomicUsize::new(0));
        let counted = connections.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                counted.fetch_add(1, Ordering::SeqCst);
                let acceptor = acceptor.clone();
                tokio::spawn(async move {
                    let mut stream: Box<dyn Stream> = match acceptor {
                        None => Box::new(stream),
                        Some(acceptor) => match acceptor.accept(stream).await {
                            Ok(stream) => Box::new(stream),
                            Err(_) => return,
                        },
                    };
                    let mut request = [0_u8; 4096];
                    let _ = stream.read(&mut request).await;
                    let _ = stream.write_all(answer.as_bytes()).await;
                    // An answer that says nothing is one that never comes.
                    if answer.is_empty() {
                        std::future::pending::<()>().await;
                    }
                    let _ = stream.shutdown().await;
                });
            }
        });
        Host { address, connections }
    }

    fn url(&self, scheme: &str, host: &str) -> String {
        format!("{scheme}://{host}:{}/path", self.address.port())
    }

    fn count(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

fn local() -> Guard {
    Guard::new(vec!["127.0.0.0/8".parse().unwrap()])
}

/// A connector to which every name is `addresses`.
fn resolving(guard: Guard, addresses: &'static [&'static str]) -> Connector {
    let mut connector = Connector::new(guard);
    connector.resolver = Arc::new(move |_, port| {
        let found = addresses
            .iter()
            .map(|address| SocketAddr::new(address.parse().unwrap(), port))
            .collect();
        Box::pin(std::future::ready(Ok(found)))
    });
    connector
}

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 7\r\n\r\n{\"a\":1}";

#[tokio::test]
async fn what_is_allowed_is_asked() {
    let host = Host::start(OK, None).await;
    let reply = Outgoing::new(local())
        .send(Call::get(&host.url("http", "127.0.0.1")))
        .await
        .unwrap();
    assert_eq!((reply.status.as_u16(), &reply.body[..]), (200, &br#"{"a":1}"#[..]));
    assert_eq!(reply.json::<serde_json::Value>().unwrap()["a"], 1);
    assert!(reply.json::<Vec<u8>>().is_err());
}

#[tokio::test]
async fn this_machine_is_not_reached_under_any_of_its_names() {
    let host = Host::start(OK, None).await;
    let outgoing = Outgoing::new(Guard::default());
    for name in [
        "127.0.0.1",
        "localhost",
        "127.1",
        "2130706433",
        "0x7f000001",
        "0177.0.0.1",
        "0.0.0.0",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "[64:ff9b::127.0.0.1]",
        "[::1]",
    ] {
        for scheme in ["http", "https"] {
            let refused = outgoing.send(Call::get(&host.url(scheme, name))).await.unwrap_err();
            // Some spellings are no address to some resolvers.
            assert!(
                matches!(refused, OutgoingError::Forbidden | OutgoingError::Unresolved),
                "{scheme} {name}: {refused:?}"
            );
        }
    }
    assert_eq!(host.count(), 0);
}

#[tokio::test]
async fn a_name_is_judged_by_its_addresses() {
    let host = Host::start(OK, None).await;
    // Pointed at this machine by whoever owns the name, also beside a harmless address: only that one is tried.
    for addresses in [
        &["127.0.0.1"][..],
        &["::ffff:127.0.0.1"],
        &["127.0.0.1", "10.0.0.1", "169.254.169.254"],
    ] {
        let outgoing = Outgoing::of(resolving(Guard::default(), addresses));
        for scheme in ["http", "https"] {
            let refused = outgoing
                .send(Call::get(&host.url(scheme, "rebound.example")))
                .await
                .unwrap_err();
            assert_eq!(refused, OutgoingError::Forbidden, "{scheme} {addresses:?}");
        }
    }
    let outgoing = Outgoing::of(resolving(local(), &["10.0.0.1", "127.0.0.1"]));
    assert!(
        outgoing
            .send(Call::get(&host.url("http", "mixed.example")))
            .await
            .is_ok()
    );
    assert_eq!(host.count(), 1);
    assert_eq!(
        Outgoing::of(resolving(local(), &[]))
            .send(Call::get("https://nobody.example/"))
            .await
            .unwrap_err(),
        OutgoingError::Unresolved
    );
}

#[tokio::test]
async fn the_internet_is_not_asked_without_encryption() {
    let outgoing = Outgoing::of(resolving(Guard::default(), &["8.8.8.8"]));
    let refused = outgoing.send(Call::get("http://public.example/")).await.unwrap_err();
    assert_eq!(refused, OutgoingError::Forbidden);
}

#[tokio::test]
async fn redirects_are_answers() {
    let target = Host::start(OK, None).await;
    let moved = format!(
        "HTTP/1.1 302 Found\r\nlocation: {}\r\ncontent-length: 0\r\n\r\n",
        target.url("http", "127.0.0.1")
    );
    let host = Host::start(moved.leak(), None).await;
    let reply = Outgoing::new(local())
        .send(Call::get(&host.url("http", "127.0.0.1")))
        .await
        .unwrap();
    assert_eq!(reply.status.as_u16(), 302);
    assert_eq!(target.count(), 0);
}

#[tokio::test]
async fn answers_are_bounded() {
    let outgoing = Outgoing::new(local());
    let ask = async |answer: &'static str| {
        let host = Host::start(answer, None).await;
        let call = Call::get(&host.url("http", "127.0.0.1"))
            .within(Duration::from_secs(1))
            .at_most(6);
        outgoing.send(call).await.unwrap_err()
    };
    assert_eq!(ask(OK).await, OutgoingError::TooLarge { bytes_max: 6 });
    let chunked = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n7\r\n1234567\r\n0\r\n\r\n";
    assert_eq!(ask(chunked).await, OutgoingError::TooLarge { bytes_max: 6 });
    assert_eq!(ask("").await, OutgoingError::OutOfTime);
    assert_eq!(ask("SSH-2.0-x\r\n").await, OutgoingError::Broken);
    assert_eq!(
        ask("HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\n12").await,
        OutgoingError::Broken
    );
}

#[tokio::test]
async fn nobody_listens() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let refused = Outgoing::new(local())
        .send(Call::get(&format!("http://127.0.0.1:{port}/")))
        .await;
    assert_eq!(refused.unwrap_err(), OutgoingError::Unreachable);
}

#[tokio::test]
async fn the_other_side_is_who_it_says() {
    // Made for these tests: an authority that nobody else believes, and a certificate for `outgoing.test`.
    let pem = |text: &'static str| CertificateDer::from_pem_slice(text.as_bytes()).unwrap();
    let key = PrivateKeyDer::from_pem_slice(include_bytes!("testdata/server.key.pem")).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let server = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![pem(include_str!("testdata/server.pem"))], key)
        .unwrap();
    let host = Host::start(OK, Some(TlsAcceptor::from(Arc::new(server)))).await;
    let outgoing = |roots| {
        let mut connector = resolving(local(), &["127.0.0.1"]);
        connector.tls = Some(tls(roots).unwrap());
        Outgoing::of(connector)
    };
    let mut roots = rustls::RootCertStore::empty();
    let stranger = outgoing(roots.clone());
    roots.add(pem(include_str!("testdata/authority.pem"))).unwrap();
    let friend = outgoing(roots);
    let reply = friend
        .send(Call::get(&host.url("https", "outgoing.test")))
        .await
        .unwrap();
    assert_eq!(reply.status.as_u16(), 200);
    for (who, name) in [(&friend, "other.test"), (&stranger, "outgoing.test")] {
        let refused = who.send(Call::get(&host.url("https", name))).await.unwrap_err();
        assert!(matches!(refused, OutgoingError::Tls(_)), "{name}: {refused:?}");
    }
}

//! The TLS server on loopback, and clients of it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use bytes::Bytes;
use http::{Request, StatusCode, header};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use mcp_webhook::{Limits, ServeError, serve};
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::{PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_util::sync::CancellationToken;

pub(crate) const H1: &[u8] = b"http/1.1";
pub(crate) const H2: &[u8] = b"h2";

/// Short where the defaults would make tests wait, and long enough for a busy machine; a test that waits for a limit has its
/// own.
pub(crate) fn mk_limits() -> Limits {
    Limits {
        connections: 64,
        handshake: Duration::from_secs(10),
        head: Duration::from_secs(10),
        idle: Duration::from_secs(30),
        linger: Duration::from_secs(2),
        drain: Duration::from_secs(10),
    }
}

/// A running server.
pub(crate) struct TestServer {
    pub(crate) address: SocketAddr,
    connector: [(&'static [u8], TlsConnector); 2],
    shutdown: CancellationToken,
    task: JoinHandle<Result<(), ServeError>>,
}

impl TestServer {
    pub(crate) async fn start(router: Router, limits: Limits) -> Self {
        let key = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let provider = Arc::new(aws_lc_rs::default_provider());
        let mut tls = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(
                vec![key.cert.der().clone()],
                PrivateKeyDer::try_from(key.signing_key.serialize_der()).unwrap(),
            )
            .unwrap();
        tls.alpn_protocols = vec![H2.to_vec(), H1.to_vec()];
        let mut roots = RootCertStore::empty();
        roots.add(key.cert.der().clone()).unwrap();
        let connector = [H1, H2].map(|alpn| {
            let mut config = ClientConfig::builder_with_provider(Arc::clone(&provider))
                .with_safe_default_protocol_versions()
                .unwrap()
                .with_root_certificates(roots.clone())
                .with_no_client_auth();
            config.alpn_protocols = vec![alpn.to_vec()];
            (alpn, TlsConnector::from(Arc::new(config)))
        });

        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let shutdown = CancellationToken::new();
        let until = shutdown.clone().cancelled_owned();
        let task = tokio::spawn(serve(listener, Arc::new(tls), router, limits, until));
        Self { address, connector, shutdown, task }
    }

    pub(crate) fn shut_down(&self) {
        self.shutdown.cancel();
    }

    /// How serving ended, within a bound.
    pub(crate) async fn ended(self) -> Result<(), ServeError> {
        tokio::time::timeout(Duration::from_secs(20), self.task).await.expect("the server ends").unwrap()
    }

    /// What connects to it.
    pub(crate) fn client(&self, alpn: &[u8]) -> Client {
        let (alpn, connector) = self.connector.iter().find(|(offered, _)| *offered == alpn).unwrap();
        Client { address: self.address, alpn, connector: connector.clone() }
    }
}

#[derive(Clone)]
pub(crate) struct Client {
    address: SocketAddr,
    alpn: &'static [u8],
    connector: TlsConnector,
}

impl Client {
    /// A TLS connection on which nothing has been said.
    pub(crate) async fn tls(&self) -> std::io::Result<TlsStream<TcpStream>> {
        let stream = TcpStream::connect(self.address).await?;
        stream.set_nodelay(true)?;
        self.connector.connect(ServerName::try_from("localhost").unwrap(), stream).await
    }

    pub(crate) async fn connect(&self) -> std::io::Result<Connected> {
        let io = TokioIo::new(self.tls().await?);
        // The tasks end with their connections, which end with `Connected`.
        if self.alpn == H2 {
            let (sender, connection) =
                http2::handshake(TokioExecutor::new(), io).await.map_err(std::io::Error::other)?;
            tokio::spawn(connection);
            Ok(Connected::H2(sender))
        } else {
            let (sender, connection) = http1::handshake(io).await.map_err(std::io::Error::other)?;
            tokio::spawn(connection);
            Ok(Connected::H1(sender))
        }
    }
}

/// An HTTP connection, which repeats nothing by itself.
pub(crate) enum Connected {
    H1(http1::SendRequest<Full<Bytes>>),
    H2(http2::SendRequest<Full<Bytes>>),
}

impl Connected {
    /// Whether the server has not said that it wants no more.
    pub(crate) async fn is_open(&mut self) -> bool {
        match self {
            Self::H1(sender) => sender.ready().await.is_ok(),
            Self::H2(sender) => sender.ready().await.is_ok(),
        }
    }

    /// Status, whether the connection is to be closed, and the body.
    pub(crate) async fn post(
        &mut self,
        path: &str,
        body: impl Into<Bytes>,
    ) -> hyper::Result<(StatusCode, bool, Bytes)> {
        let body = Full::new(body.into());
        let response = match self {
            Self::H1(sender) => {
                let request = Request::post(path).header(header::HOST, "localhost");
                sender.send_request(request.body(body).unwrap()).await?
            }
            Self::H2(sender) => {
                let request = Request::post(format!("https://localhost{path}"));
                sender.send_request(request.body(body).unwrap()).await?
            }
        };
        let status = response.status();
        let closing = response.headers().get(header::CONNECTION).is_some_and(|value| value == "close");
        Ok((status, closing, response.into_body().collect().await?.to_bytes()))
    }
}

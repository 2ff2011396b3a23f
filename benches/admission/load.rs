//! The asking process: connections as the API server makes them, HTTP/1.1 kept alive over TLS.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use mcp_crds::kind::Kind;
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use crate::measure::Samples;
use crate::objects;
use crate::rules::is_allowed;

/// How many objects there are reviews of, none of them in the catalog.
const OBJECTS: usize = 2_500;
/// One object in so many is a server, the others are tools.
const SERVER_EVERY: usize = 20;

/// Every request, ready to be sent: for each object the mutating one and then the validating one.
pub(crate) fn requests(servers: usize) -> anyhow::Result<Vec<Vec<u8>>> {
    let mut requests = Vec::with_capacity(OBJECTS * 2);
    for index in 0..OBJECTS {
        let kind = if index % SERVER_EVERY == 0 { Kind::Server } else { Kind::Tool };
        let name = format!("new-{index:05}");
        let object = objects::typical(kind, &name, &objects::server_name(index % servers));
        requests.push(request("/mutate", kind, &object)?);
        requests.push(request("/validate", kind, &objects::defaulted(kind, object))?);
    }
    Ok(requests)
}

fn request(path: &str, kind: Kind, object: &serde_json::Value) -> anyhow::Result<Vec<u8>> {
    let body = serde_json::to_vec(&objects::review(kind, &objects::stored(kind, object)))?;
    let mut request = format!(
        "POST {path}?timeout=5s HTTP/1.1\r\nHost: localhost\r\nUser-Agent: kube-apiserver-admission\r\n\
         Content-Length: {}\r\nAccept: application/json, */*\r\nContent-Type: application/json\r\n\
         Accept-Encoding: gzip\r\n\r\n",
        body.len()
    )
    .into_bytes();
    request.extend(body);
    Ok(request)
}

/// Where a server is, and how to trust it.
#[derive(Clone)]
pub(crate) struct Peer {
    pub(crate) port: u16,
    tls: Arc<ClientConfig>,
}

impl Peer {
    pub(crate) fn new(port: u16, certificate: &str) -> anyhow::Result<Self> {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(certificate.as_bytes())?)?;
        let mut tls = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
        tls.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self { port, tls: Arc::new(tls) })
    }

    pub(crate) fn connect(&self) -> anyhow::Result<Connection> {
        let stream = TcpStream::connect(("127.0.0.1", self.port))?;
        stream.set_nodelay(true)?;
        let tls = ClientConnection::new(Arc::clone(&self.tls), ServerName::try_from("localhost")?)?;
        Ok(Connection { stream: StreamOwned::new(tls, stream), answer: vec![0; 64 << 10] })
    }
}

/// A connection that is kept.
pub(crate) struct Connection {
    stream: StreamOwned<ClientConnection, TcpStream>,
    answer: Vec<u8>,
}

impl Connection {
    /// Asks, and waits for the whole answer. Everything that is asked here is allowed; anything else is an error.
    pub(crate) fn ask(&mut self, request: &[u8]) -> anyhow::Result<()> {
        self.stream.write_all(request)?;
        self.stream.flush()?;
        let mut filled = 0;
        loop {
            let free = self.answer.get_mut(filled..).context("an answer larger than the buffer")?;
            let read = self.stream.read(free)?;
            ensure!(read > 0, "the connection was closed");
            filled += read;
            let answer = self.answer.get(..filled).unwrap_or_default();
            let Some(head) = answer.windows(4).position(|end| end == b"\r\n\r\n") else { continue };
            let (head, body) = answer.split_at(head + 4);
            if body.len() < content_length(head)? {
                continue;
            }
            if !head.starts_with(b"HTTP/1.1 200") || !is_allowed(body) {
                bail!("refused: {}", String::from_utf8_lossy(answer));
            }
            return Ok(());
        }
    }
}

fn content_length(head: &[u8]) -> anyhow::Result<usize> {
    let head = std::str::from_utf8(head)?;
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
    Ok(length.context("no content-length")?.trim().parse()?)
}

/// Asks as fast as answers come, on so many connections, and returns how many were answered.
pub(crate) fn closed_loop(
    peer: &Peer,
    requests: &[Vec<u8>],
    connections: usize,
    lasting: Duration,
) -> anyhow::Result<usize> {
    let next = AtomicUsize::new(0);
    let until = Instant::now() + lasting;
    thread::scope(|scope| {
        let asking = || -> anyhow::Result<usize> {
            let mut connection = peer.connect()?;
            let mut answered = 0;
            while Instant::now() < until {
                let index = next.fetch_add(1, Ordering::Relaxed) % requests.len();
                connection.ask(requests.get(index).context("a request")?)?;
                answered += 1;
            }
            Ok(answered)
        };
        let asking: Vec<_> = (0..connections).map(|_| scope.spawn(asking)).collect();
        asking
            .into_iter()
            .map(|thread| thread.join().map_err(|_| anyhow::anyhow!("a client panicked"))?)
            .sum()
    })
}

/// Asks at random times that are fixed beforehand, `rate` a second on average, and returns the seconds from each of those
/// times to its answer. A request that could not be sent in time, because earlier ones still waited, has waited as well.
pub(crate) fn open_loop(
    peer: &Peer,
    requests: &[Vec<u8>],
    rate: f64,
    lasting: Duration,
    seed: u64,
) -> anyhow::Result<Samples> {
    const CONNECTIONS: usize = 32;
    let mut random = StdRng::seed_from_u64(seed);
    let mut due = Vec::new();
    let mut at = 0.05;
    while at < lasting.as_secs_f64() {
        due.push(Duration::from_secs_f64(at));
        at -= (1.0 - random.random::<f64>()).ln() / rate;
    }
    let connected: Vec<Connection> = (0..CONNECTIONS).map(|_| peer.connect()).collect::<Result<_, _>>()?;
    let next = AtomicUsize::new(0);
    let start = Instant::now();
    thread::scope(|scope| {
        let (due, next) = (&due, &next);
        let asking = |mut connection: Connection| -> anyhow::Result<Vec<f64>> {
            let mut took = Vec::new();
            loop {
                let index = next.fetch_add(1, Ordering::Relaxed);
                let Some(due) = due.get(index) else { return Ok(took) };
                thread::sleep((start + *due).saturating_duration_since(Instant::now()));
                connection.ask(requests.get(index % requests.len()).context("a request")?)?;
                took.push(start.elapsed().saturating_sub(*due).as_secs_f64());
            }
        };
        let asking: Vec<_> =
            connected.into_iter().map(|connection| scope.spawn(move || asking(connection))).collect();
        let mut all = Vec::new();
        for thread in asking {
            all.extend(thread.join().map_err(|_| anyhow::anyhow!("a client panicked"))??);
        }
        Ok(all.into_iter().collect())
    })
}

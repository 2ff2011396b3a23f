//! What a Service does for the webhook: it hands connections to replicas in turn, to those alone that say they are ready.
//!
//! Like a real one it tries nothing twice: a replica that refuses a connection while it is listed costs the caller its
//! request.

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

/// Between two questions to `/readyz`.
const PERIOD: Duration = Duration::from_millis(100);

/// How long such a question may take.
const PATIENCE: Duration = Duration::from_secs(1);

/// A port, and the replicas behind it. Dropping this closes it.
#[derive(Debug)]
pub(crate) struct Endpoints {
    /// Where it listens, on 127.0.0.1.
    pub(crate) port: u16,
    members: Members,
    tasks: Mutex<JoinSet<()>>,
}

type Members = Arc<Mutex<Vec<Arc<Member>>>>;

#[derive(Debug)]
struct Member {
    webhook: SocketAddr,
    ready: AtomicBool,
}

impl Endpoints {
    /// Opens a port with nothing behind it.
    pub(crate) async fn open() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let members = Members::default();
        let mut tasks = JoinSet::new();
        tasks.spawn(accept(listener, Arc::clone(&members)));
        Self { port, members, tasks: Mutex::new(tasks) }
    }

    /// Puts a replica behind the port, for as long as it says that it is ready.
    pub(crate) fn add(&self, webhook: SocketAddr, admin: SocketAddr) {
        let member = Arc::new(Member { webhook, ready: AtomicBool::new(false) });
        self.members.lock().unwrap().push(Arc::clone(&member));
        self.tasks.lock().unwrap().spawn(async move {
            loop {
                let answer = timeout(PATIENCE, get(admin, "/readyz")).await;
                let ready = matches!(answer, Ok(Ok((200, _))));
                member.ready.store(ready, Ordering::Relaxed);
                sleep(PERIOD).await;
            }
        });
    }

    /// How many replicas it hands connections to.
    pub(crate) fn ready(&self) -> usize {
        self.members.lock().unwrap().iter().filter(|member| member.ready.load(Ordering::Relaxed)).count()
    }
}

async fn accept(listener: TcpListener, members: Members) {
    let mut connections = JoinSet::new();
    let turn = AtomicUsize::new(0);
    loop {
        let Ok((mut from, _)) = listener.accept().await else { continue };
        let next = turn.fetch_add(1, Ordering::Relaxed);
        let to = {
            let members = members.lock().unwrap();
            let ready: Vec<_> = members.iter().filter(|m| m.ready.load(Ordering::Relaxed)).collect();
            ready.get(next % ready.len().max(1)).map(|member| member.webhook)
        };
        while connections.try_join_next().is_some() {}
        let Some(to) = to else { continue };
        connections.spawn(async move {
            if let Ok(mut to) = TcpStream::connect(to).await {
                let _ = copy_bidirectional(&mut from, &mut to).await;
            }
        });
    }
}

/// Asks a plain HTTP server; gives the status and the body.
pub(crate) async fn get(address: SocketAddr, path: &str) -> io::Result<(u16, String)> {
    let mut stream = TcpStream::connect(address).await?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await?;
    let answer = String::from_utf8_lossy(&answer);
    let (head, body) = answer.split_once("\r\n\r\n").ok_or(io::ErrorKind::UnexpectedEof)?;
    let code = head.split_whitespace().nth(1).and_then(|code| code.parse().ok());
    Ok((code.ok_or(io::ErrorKind::InvalidData)?, body.to_owned()))
}

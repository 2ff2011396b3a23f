//! One address for several gateways, as a Service is one: each new connection goes to the next.

use std::net::SocketAddr;
use std::path::PathBuf;

use tempfile::TempDir;
use tokio::io::{AsyncRead, AsyncWrite, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream, UnixListener};
use tokio::task::JoinSet;

/// An address with gateways behind it, and a Unix socket for whoever prefers one. Dropping this closes both.
#[derive(Debug)]
pub(crate) struct Balancer {
    pub(crate) address: SocketAddr,
    pub(crate) socket: PathBuf,
    _folder: TempDir,
    _tasks: JoinSet<()>,
}

impl Balancer {
    pub(crate) async fn open(gateways: Vec<SocketAddr>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let folder = tempfile::tempdir().expect("a folder");
        let socket = folder.path().join("socket");
        let local = UnixListener::bind(&socket).expect("a socket");
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            for gateway in gateways.into_iter().cycle() {
                tokio::select! {
                    Ok((client, _)) = listener.accept() => connections.spawn(join(client, gateway)),
                    Ok((client, _)) = local.accept() => connections.spawn(join(client, gateway)),
                    else => return,
                };
            }
        });
        Self { address, socket, _folder: folder, _tasks: tasks }
    }
}

async fn join(mut client: impl AsyncRead + AsyncWrite + Unpin, gateway: SocketAddr) {
    if let Ok(mut server) = TcpStream::connect(gateway).await {
        // Either side may go away.
        let _ = copy_bidirectional(&mut client, &mut server).await;
    }
}

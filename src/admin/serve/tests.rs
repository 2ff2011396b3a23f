//! Over a real socket: what a peer sees while the server ends, and what it cannot use up.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::routing::get;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::{Notify, oneshot};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::*;

const SOON: Duration = Duration::from_secs(5);

struct Server {
    address: SocketAddr,
    close: oneshot::Sender<()>,
    task: JoinHandle<Result<(), Infallible>>,
}

async fn start(router: Router, bounds: Bounds) -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (close, closed) = oneshot::channel::<()>();
    let task = tokio::spawn(serve(listener, router, bounds, async {
        let _ = closed.await;
    }));
    Server { address, close, task }
}

/// Sends a request on a connection that is kept, and reads the whole answer.
async fn ask(stream: &mut TcpStream, path: &str) -> io::Result<String> {
    stream.write_all(format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n").as_bytes()).await?;
    let mut answer = Vec::new();
    let mut buffer = [0; 1024];
    loop {
        let read = stream.read(&mut buffer).await?;
        answer.extend_from_slice(&buffer[..read]);
        let text = String::from_utf8_lossy(&answer).into_owned();
        if read == 0 && !text.ends_with("done") {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if text.ends_with("done") {
            return Ok(text);
        }
    }
}

#[tokio::test]
async fn a_request_that_has_begun_is_answered_after_the_server_was_closed() {
    let (arrived, go_on) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let handler = {
        let (arrived, go_on) = (Arc::clone(&arrived), Arc::clone(&go_on));
        move || {
            let (arrived, go_on) = (Arc::clone(&arrived), Arc::clone(&go_on));
            async move {
                arrived.notify_one();
                go_on.notified().await;
                "done"
            }
        }
    };
    let server = start(Router::new().route("/", get(handler)), Bounds::default()).await;
    let mut idle = TcpStream::connect(server.address).await.unwrap();
    let mut busy = TcpStream::connect(server.address).await.unwrap();
    let asked = tokio::spawn(async move { ask(&mut busy, "/").await });
    arrived.notified().await;

    server.close.send(()).unwrap();
    let idle_end = timeout(SOON, idle.read(&mut [0; 1])).await.unwrap();
    assert!(matches!(idle_end, Ok(0) | Err(_)), "an idle connection is closed");
    assert!(!server.task.is_finished(), "a request is under way");
    go_on.notify_one();
    assert!(timeout(SOON, asked).await.unwrap().unwrap().unwrap().starts_with("HTTP/1.1 200"));
    timeout(SOON, server.task).await.unwrap().unwrap().unwrap();
    assert!(TcpStream::connect(server.address).await.is_err(), "nobody listens");
}

#[tokio::test]
async fn under_load_no_accepted_request_is_lost() {
    let answered = Arc::new(AtomicUsize::new(0));
    let begun = Arc::new(AtomicUsize::new(0));
    let handler = {
        let begun = Arc::clone(&begun);
        move || {
            let begun = Arc::clone(&begun);
            async move {
                begun.fetch_add(1, Ordering::SeqCst);
                tokio::task::yield_now().await;
                "done"
            }
        }
    };
    let server = start(Router::new().route("/", get(handler)), Bounds::default()).await;
    let address = server.address;
    let clients: Vec<_> = (0..16)
        .map(|_| {
            let answered = Arc::clone(&answered);
            tokio::spawn(async move {
                let Ok(mut stream) = TcpStream::connect(address).await else { return };
                // Until the server says goodbye between two requests.
                while ask(&mut stream, "/").await.is_ok() {
                    answered.fetch_add(1, Ordering::SeqCst);
                }
            })
        })
        .collect();
    while answered.load(Ordering::SeqCst) < 500 {
        tokio::task::yield_now().await;
    }
    server.close.send(()).unwrap();
    timeout(SOON, server.task).await.unwrap().unwrap().unwrap();
    for client in clients {
        timeout(SOON, client).await.unwrap().unwrap();
    }
    assert_eq!(answered.load(Ordering::SeqCst), begun.load(Ordering::SeqCst), "what began was answered");
}

#[tokio::test]
async fn a_connection_beyond_the_bound_waits_for_its_turn() {
    let router = Router::new().route("/", get(|| async { "done" }));
    let server = start(router, Bounds { connections: 1, ..Bounds::default() }).await;
    let mut first = TcpStream::connect(server.address).await.unwrap();
    ask(&mut first, "/").await.unwrap();
    let mut second = TcpStream::connect(server.address).await.unwrap();
    let asked = tokio::spawn(async move { ask(&mut second, "/").await });
    tokio::task::yield_now().await;
    ask(&mut first, "/").await.unwrap();
    assert!(!asked.is_finished());
    drop(first);
    timeout(SOON, asked).await.unwrap().unwrap().unwrap();
}

#[tokio::test]
async fn a_head_that_does_not_arrive_is_given_up() {
    let bounds = Bounds { head: Duration::from_millis(50), ..Bounds::default() };
    let server = start(Router::new(), bounds).await;
    let mut slow = TcpStream::connect(server.address).await.unwrap();
    slow.write_all(b"GET / HTTP/1.1\r\nHost: lo").await.unwrap();
    let mut rest = Vec::new();
    let ended = timeout(SOON, slow.read_to_end(&mut rest)).await.expect("the connection was closed");
    assert!(ended.is_err() || !String::from_utf8_lossy(&rest).contains("200"));
}

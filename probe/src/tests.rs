//! Servers of every sort, asked over real connections.

use std::sync::Arc;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, Method, Response, header};
use futures::{StreamExt as _, stream};
use parking_lot::Mutex;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::*;

const MCP: Mcp = Mcp { name: "mcp-tests" };

/// A request as it arrived.
#[derive(Clone, Debug)]
struct Asked {
    method: Method,
    headers: HeaderMap,
    message: Value,
}

impl Asked {
    fn what(&self) -> &str {
        self.message["method"].as_str().unwrap_or(self.method.as_str())
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }
}

type Answer = Arc<dyn Fn(&Asked) -> Response<Body> + Send + Sync>;

/// A server at `/mcp`, and what it was asked. Ends when it is dropped.
struct Server {
    target: Target,
    asked: Arc<Mutex<Vec<Asked>>>,
    _task: JoinSet<()>,
}

impl Server {
    async fn new(answer: impl Fn(&Asked) -> Response<Body> + Send + Sync + 'static) -> Self {
        let asked: Arc<Mutex<Vec<Asked>>> = Arc::default();
        let state = (Arc::clone(&asked), Arc::new(answer) as Answer);
        Self::of(Router::new().route("/mcp", axum::routing::any(handle)).with_state(state), asked).await
    }

    async fn of(router: Router, asked: Arc<Mutex<Vec<Asked>>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/mcp", listener.local_addr().unwrap());
        let mut task = JoinSet::new();
        task.spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { target: Target { url: url.into(), may_be_sse: false }, asked, _task: task }
    }

    async fn ask(&self) -> Result<Found, Failure> {
        MCP.ask(&self.target).await
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().iter().map(|asked| asked.what().to_owned()).collect()
    }
}

async fn handle(
    State((asked, answer)): State<(Arc<Mutex<Vec<Asked>>>, Answer)>,
    method: Method,
    headers: HeaderMap,
    body: Bytes,
) -> Response<Body> {
    let message = serde_json::from_slice(&body).unwrap_or(Value::Null);
    let one = Asked { method, headers, message };
    let response = answer(&one);
    asked.lock().push(one);
    response
}

fn plain(status: u16, text: impl Into<Body>) -> Response<Body> {
    Response::builder().status(status).body(text.into()).unwrap()
}

fn json_text(status: u16, text: &Value) -> Response<Body> {
    let response = Response::builder().status(status).header(header::CONTENT_TYPE, "application/json");
    response.body(text.to_string().into()).unwrap()
}

fn result(asked: &Asked, result: Value) -> Response<Body> {
    json_text(200, &json!({ "jsonrpc": "2.0", "id": asked.message["id"], "result": result }))
}

fn error(asked: &Asked, status: u16, code: i64, message: &str) -> Response<Body> {
    let error = json!({ "code": code, "message": message });
    json_text(status, &json!({ "jsonrpc": "2.0", "id": asked.message["id"], "error": error }))
}

fn events(text: String) -> Response<Body> {
    let response = Response::builder().header(header::CONTENT_TYPE, "text/event-stream; charset=utf-8");
    response.body(text.into()).unwrap()
}

fn tools(count: usize) -> Value {
    json!((0..count).map(|number| json!({ "name": format!("tool-{number}") })).collect::<Vec<_>>())
}

fn modern(asked: &Asked) -> Response<Body> {
    match asked.what() {
        "server/discover" => result(
            asked,
            json!({
                "supportedVersions": [MODERN], "capabilities": { "tools": {} },
                "_meta": { "io.modelcontextprotocol/serverInfo": { "name": "weather", "version": "1.2" } },
            }),
        ),
        "tools/list" => match asked.message.pointer("/params/cursor").and_then(Value::as_str) {
            None => result(asked, json!({ "tools": tools(2), "nextCursor": "" })),
            Some("") => result(asked, json!({ "tools": tools(3), "nextCursor": "last" })),
            Some(_) => result(asked, json!({ "tools": tools(1) })),
        },
        _ => error(asked, 404, -32601, "no such method"),
    }
}

/// A server of before, which knows sessions.
fn legacy(asked: &Asked) -> Response<Body> {
    let knows = asked.header("mcp-session-id") == Some("secret");
    match asked.what() {
        "initialize" => {
            let mut response = result(
                asked,
                json!({
                    "protocolVersion": "2025-06-18", "capabilities": { "tools": {} },
                    "serverInfo": { "name": "old", "version": "0.1" },
                }),
            );
            response.headers_mut().insert("mcp-session-id", "secret".parse().unwrap());
            response
        }
        "notifications/initialized" if knows => plain(202, ""),
        "tools/list" if knows => result(asked, json!({ "tools": tools(4) })),
        "DELETE" if knows => plain(204, ""),
        _ => plain(400, "Bad Request: no valid session ID provided"),
    }
}

fn found(name: &str, version: &str, protocol: &str, tools: usize) -> Found {
    Found {
        name: Some(name.to_owned()),
        version: Some(version.to_owned()),
        protocol: protocol.to_owned(),
        tools,
    }
}

#[tokio::test]
async fn a_server_of_the_newest_revision_is_asked_in_it_page_by_page() {
    let server = Server::new(modern).await;
    assert_eq!(server.ask().await, Ok(found("weather", "1.2", "2026-07-28", 6)));
    assert_eq!(server.asked(), ["server/discover", "tools/list", "tools/list", "tools/list"]);
    for asked in server.asked.lock().iter() {
        assert_eq!(asked.header("mcp-protocol-version"), Some(MODERN));
        assert_eq!(asked.header("mcp-method"), Some(asked.what()));
        assert_eq!(asked.header("accept"), Some("application/json, text/event-stream"));
        let meta = &asked.message["params"]["_meta"];
        assert_eq!(meta["io.modelcontextprotocol/protocolVersion"], MODERN);
        assert!(meta["io.modelcontextprotocol/clientCapabilities"].is_object());
    }
}

#[tokio::test]
async fn an_older_server_is_asked_as_clients_did_before_and_its_session_is_ended() {
    let server = Server::new(legacy).await;
    assert_eq!(server.ask().await, Ok(found("old", "0.1", "2025-06-18", 4)));
    assert_eq!(
        server.asked(),
        ["server/discover", "initialize", "notifications/initialized", "tools/list", "DELETE"]
    );
    for asked in &server.asked.lock()[2..] {
        assert_eq!(asked.header("mcp-protocol-version"), Some("2025-06-18"));
        assert_eq!(asked.header("mcp-method"), None);
    }
}

#[tokio::test]
async fn whatever_a_server_answers_that_does_not_know_the_newest_revision_it_is_asked_as_before() {
    let refusals: [fn(&Asked) -> Response<Body>; 8] = [
        |_| plain(400, ""),
        |_| plain(404, "not found"),
        |_| plain(405, ""),
        |_| plain(500, "<html>"),
        |_| plain(202, ""),
        |_| plain(200, "hello"),
        |asked| error(asked, 200, -32601, "method not found"),
        |asked| result(asked, json!({ "supportedVersions": ["2027-01-01"], "capabilities": {} })),
    ];
    for refuse in refusals {
        let server = Server::new(move |asked| match asked.what() {
            "server/discover" => refuse(asked),
            _ => legacy(asked),
        })
        .await;
        assert_eq!(server.ask().await.map(|found| found.tools), Ok(4));
    }
}

#[tokio::test]
async fn a_session_that_was_made_of_a_request_that_was_refused_is_ended_too() {
    let server = Server::new(|asked| match asked.what() {
        "server/discover" => {
            let mut response = plain(400, "");
            response.headers_mut().insert("mcp-session-id", "by-accident".parse().unwrap());
            response
        }
        "DELETE" => plain(200, ""),
        _ => legacy(asked),
    })
    .await;
    assert!(server.ask().await.is_ok());
    let asked = server.asked.lock();
    let ended = asked.iter().filter(|asked| asked.what() == "DELETE");
    let ended: Vec<_> = ended.map(|asked| asked.header("mcp-session-id").unwrap()).collect();
    assert_eq!(ended, ["by-accident", "secret"]);
}

#[tokio::test]
async fn an_answer_may_be_a_stream_with_other_messages_before_it() {
    let server = Server::new(|asked| {
        let response = modern(asked);
        let id = &asked.message["id"];
        match asked.what() {
            "server/discover" => response,
            _ => events(format!(
                "id: 0\ndata:\n\n: keep-alive\n\ndata: {{\"jsonrpc\":\"2.0\",\"method\":\"notifications/message\"}}\n\n\
                 data: {{\"jsonrpc\":\"2.0\",\"id\":99,\"method\":\"ping\"}}\n\n\
                 event: message\ndata: {{\"jsonrpc\":\"2.0\",\ndata: \"id\":{id},\"result\":{{\"tools\":[{{}}]}}}}\n\n"
            )),
        }
    })
    .await;
    assert_eq!(server.ask().await.map(|found| found.tools), Ok(1));
}

#[tokio::test]
async fn a_server_without_tools_is_not_asked_for_them() {
    let server = Server::new(|asked| match asked.what() {
        "server/discover" => result(asked, json!({ "supportedVersions": [MODERN], "capabilities": {} })),
        _ => plain(500, ""),
    })
    .await;
    let found = server.ask().await.unwrap();
    assert_eq!((found.name, found.version, found.tools), (None, None, 0));
    assert_eq!(server.asked(), ["server/discover"]);
}

/// What a server says that answers everything alike.
async fn said_to(answer: impl Fn(&Asked) -> Response<Body> + Send + Sync + 'static) -> String {
    Server::new(answer).await.ask().await.unwrap_err().to_string()
}

#[tokio::test]
async fn what_is_not_mcp_is_said_to_be_not() {
    let said = said_to(|_| plain(404, "404 page not found\n")).await;
    assert_eq!(said, "answered initialize with status 404: 404 page not found");
    let said = said_to(|_| plain(401, "")).await;
    assert_eq!(said, "answered initialize with status 401");
    let said = said_to(|_| plain(200, "<html>\u{1b}[0m")).await;
    assert!(
        said.starts_with("answered initialize with something that is not MCP: it begins with \"<html>"),
        "{said}"
    );
    let said = said_to(|asked| error(asked, 200, -32603, "out of\nmemory")).await;
    assert_eq!(said, "answered initialize with error -32603: out of memory");
    let said = said_to(|asked| error(asked, 400, -32600, "no")).await;
    assert_eq!(said, "answered initialize with error -32600: no");
    let said = said_to(|asked| result(asked, json!({ "protocolVersion": 1 }))).await;
    assert!(said.contains("is not MCP: invalid type: integer `1`"), "{said}");
    let said = said_to(|_| json_text(200, &json!({ "jsonrpc": "2.0", "id": 77, "result": {} }))).await;
    assert!(said.ends_with("is not MCP: it is no answer to the request"), "{said}");
    let said = said_to(|_| events(": nothing\n\n".to_owned())).await;
    assert!(said.ends_with("is not MCP: the stream ended without it"), "{said}");
}

#[tokio::test]
async fn an_error_after_the_beginning_is_that_of_the_revision_that_is_spoken() {
    let said = said_to(|asked| match asked.what() {
        "tools/list" => error(asked, 200, -32000, "database is gone"),
        _ => modern(asked),
    })
    .await;
    assert_eq!(said, "answered tools/list with error -32000: database is gone");
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let other = Server::new(modern).await;
    let to = other.target.url.to_string();
    let said = said_to(move |_| {
        let response = Response::builder().status(307).header(header::LOCATION, to.as_str());
        response.body(Body::empty()).unwrap()
    })
    .await;
    assert!(said.contains("with status 307: it leads to http://127.0.0.1:"), "{said}");
    assert!(other.asked().is_empty());
}

#[tokio::test]
async fn an_answer_without_end_is_not_read_to_its_end() {
    for kind in ["application/json", "text/event-stream"] {
        let said = said_to(move |_| {
            let body = Body::from_stream(stream::repeat_with(|| {
                Ok::<_, std::io::Error>(Bytes::from(vec![b' '; 65536]))
            }));
            Response::builder().header(header::CONTENT_TYPE, kind).body(body).unwrap()
        })
        .await;
        assert!(said.ends_with("is not MCP: it is longer than 17 MiB"), "{said}");
    }
}

#[tokio::test]
async fn pages_without_end_are_not_read_to_their_end() {
    let server = Server::new(|asked| match asked.what() {
        "tools/list" => result(asked, json!({ "tools": tools(1), "nextCursor": "again" })),
        _ => modern(asked),
    })
    .await;
    let said = server.ask().await.unwrap_err().to_string();
    assert!(said.ends_with("its tools fill more than 50 pages"), "{said}");
    assert_eq!(server.asked().len(), 51);
}

#[tokio::test]
async fn nobody_there_is_unreachable_and_is_asked_once() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/mcp", listener.local_addr().unwrap());
    drop(listener);
    let target = Target { url: url.into(), may_be_sse: true };
    let failure = MCP.ask(&target).await.unwrap_err();
    assert!(matches!(failure, Failure::Unreachable(_)), "{failure}");
    assert!(failure.to_string().contains("refused"), "{failure}");
}

#[tokio::test]
async fn a_connection_that_is_closed_at_once_is_unreachable() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/mcp", listener.local_addr().unwrap());
    let mut task = JoinSet::new();
    task.spawn(async move {
        loop {
            drop(listener.accept().await.unwrap());
        }
    });
    let failure = MCP.ask(&Target { url: url.into(), may_be_sse: false }).await.unwrap_err();
    assert!(matches!(failure, Failure::Unreachable(_)), "{failure}");
}

/// A server that speaks the older HTTP with SSE at `/mcp`, and takes messages where `endpoint` says.
async fn older(endpoint: &'static str) -> Server {
    let (told, heard) = mpsc::unbounded_channel::<Asked>();
    let heard = Arc::new(Mutex::new(Some(heard)));
    let asked: Arc<Mutex<Vec<Asked>>> = Arc::default();
    let stream = move || {
        let heard = heard.lock().take().expect("one stream");
        let first = stream::once(async move { format!("event: endpoint\ndata: {endpoint}\n\n") });
        let rest = stream::unfold(heard, |mut heard| async {
            let asked = heard.recv().await?;
            let answer = match asked.what() {
                "initialize" => json!({
                    "protocolVersion": "2024-11-05", "capabilities": { "tools": {} },
                    "serverInfo": { "name": "oldest", "version": "0" },
                }),
                "tools/list" => json!({ "tools": tools(7) }),
                _ => return Some((String::new(), heard)),
            };
            let answer = json!({ "jsonrpc": "2.0", "id": asked.message["id"], "result": answer });
            Some((format!("event: message\ndata: {answer}\n\n"), heard))
        });
        let body = Body::from_stream(first.chain(rest).map(Ok::<_, std::io::Error>));
        async { Response::builder().header(header::CONTENT_TYPE, "text/event-stream").body(body).unwrap() }
    };
    let messages = {
        let asked = Arc::clone(&asked);
        move |headers: HeaderMap, body: Bytes| {
            let message = serde_json::from_slice(&body).unwrap();
            let one = Asked { method: Method::POST, headers, message };
            asked.lock().push(one.clone());
            let sent = told.send(one).is_ok();
            async move { plain(if sent { 202 } else { 404 }, "Accepted") }
        }
    };
    let router = Router::new()
        .route("/mcp", axum::routing::get(stream))
        .route("/messages", axum::routing::post(messages));
    let mut server = Server::of(router, asked).await;
    server.target.may_be_sse = true;
    server
}

#[tokio::test]
async fn a_server_that_may_be_of_the_oldest_sort_is_asked_so_in_the_end() {
    let server = older("/messages?session=1").await;
    assert_eq!(server.ask().await, Ok(found("oldest", "0", "2024-11-05", 7)));
    assert_eq!(server.asked(), ["initialize", "notifications/initialized", "tools/list"]);

    // And only where it may be one.
    let mut server = older("/messages").await;
    server.target.may_be_sse = false;
    let said = server.ask().await.unwrap_err().to_string();
    assert_eq!(said, "answered initialize with status 405");
}

#[tokio::test]
async fn messages_go_to_no_other_host() {
    let server = older("http://169.254.169.254/latest").await;
    let said = server.ask().await.unwrap_err().to_string();
    assert_eq!(said, "answered initialize with status 405");
    assert!(server.asked().is_empty());
    let http = Http::new("http://here:80/mcp", MCP.name).unwrap();
    for elsewhere in ["http://there/x", "//there/x", "https://here:81/", "x", "", "http://here:80@there/"] {
        assert!(http.at(elsewhere).is_err(), "{elsewhere}");
    }
    for same in ["/messages?a=b", "http://here:80/messages"] {
        assert!(http.at(same).is_ok(), "{same}");
    }
}

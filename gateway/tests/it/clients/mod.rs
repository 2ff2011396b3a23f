//! Clients that this project did not write, on three replicas behind one address, to which each new connection comes in turn.

mod rust;

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use axum::Router;
use axum::routing::post;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::process::Command;
use tokio::time::timeout;

use super::support::backend::Backend;
use super::support::balancer::Balancer;
use super::support::gateway::{Gateway, Objects, tool};
use super::support::redis::Redis;
use super::support::wait;

/// How long one may take; the first one of all installs the SDK.
const BOUND: Duration = Duration::from_secs(600);

/// What clients subscribe to.
const NOTE: &str = "note://one";

struct Served {
    url: String,
    balancer: Balancer,
    gateways: Vec<Gateway>,
    objects: Objects,
    _parts: (Backend, Redis),
}

impl Served {
    /// Changes the note and the tools, once a gateway has the stream on which it is to tell of that.
    async fn change(&self) {
        wait::until("a stream is open", async || {
            for gateway in &self.gateways {
                if gateway.metric("mcp_gateway_streams_open").await.is_some_and(|open| open > 0.0) {
                    return Ok(());
                }
            }
            Err("none is".to_owned())
        })
        .await;
        self.objects.write("note", &note("another note"));
        self.objects.write("added", &tool("added", &json!({"description": "Is new."})));
    }
}

fn object(kind: &str, name: &str, spec: Value) -> Value {
    json!({
        "apiVersion": "mcp.example.com/v1alpha1", "kind": kind,
        "metadata": {"name": name, "namespace": "tests"}, "spec": spec,
    })
}

fn note(text: &str) -> Value {
    object("MCPResource", "note", json!({"content": {"uri": NOTE, "text": text}}))
}

async fn serve() -> Served {
    let echo = |body: String| async move { ([("content-type", "application/json")], body) };
    let backend = Backend::serve(Router::new().fallback(post(echo))).await;
    let schema = json!({"type": "object", "properties": {"word": {"type": "string"}}, "required": ["word"]});
    let objects = Objects::new(&[
        tool("echo", &json!({"description": "Says it again.", "inputSchema": schema})),
        object(
            "MCPPrompt",
            "greet",
            json!({
                "description": "Greets.", "template": "Hello, {{name}}!",
                "variables": [{"name": "name", "description": "Who.", "required": true}],
            }),
        ),
        object(
            "MCPResource",
            "pages",
            json!({"operations": [
                {"ingressPath": "/pages/{id}", "service": {"name": "backend", "port": 80, "path": "/pages/{id}"}, "uri": "page://{id}"},
            ]}),
        ),
    ]);
    objects.write("note", &note("a note"));
    let redis = Redis::start().await;
    let mut gateways = Vec::new();
    for _ in 0..3 {
        gateways.push(Gateway::start(&objects, backend.address, &["--redis", &redis.address()], &[]).await);
    }
    let balancer = Balancer::open(gateways.iter().map(|gateway| gateway.address).collect()).await;
    Served {
        url: format!("http://{}/mcp", balancer.address),
        balancer,
        gateways,
        objects,
        _parts: (backend, redis),
    }
}

fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/clients").join(name)
}

/// Runs a client, and gives the lines of its output; `said` is told of each, by how many there are.
async fn run(mut client: Command, input: &str, said: impl AsyncFn(usize)) -> Vec<String> {
    client.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    let mut running = client.spawn().expect("start a client");
    let mut pipe = running.stdin.take().expect("a pipe");
    let mut output = BufReader::new(running.stdout.take().expect("a pipe")).lines();
    let mut errors = running.stderr.take().expect("a pipe");
    let talk = async {
        pipe.write_all(input.as_bytes()).await.expect("its input");
        drop(pipe);
        let mut lines = Vec::new();
        while let Some(line) = output.next_line().await.expect("its output") {
            lines.push(line);
            said(lines.len()).await;
        }
        lines
    };
    let mut complaint = String::new();
    let ended =
        timeout(BOUND, async { tokio::join!(talk, errors.read_to_string(&mut complaint), running.wait()) });
    let (lines, _, status) = ended.await.expect("it comes to its end");
    assert!(status.expect("it ran").success(), "{lines:#?}\n{complaint}");
    lines
}

/// Which revision of the protocol a client speaks, and so how it subscribes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Generation {
    Modern,
    Legacy,
}

/// Asks by one of the scripts all that there is to ask, and subscribes to what then changes.
async fn talk(name: &str, arguments: &[&str], generation: Generation, not_found: i64) {
    let served = serve().await;
    let (version, subscribe) = match generation {
        Generation::Modern => {
            let wanted = json!({"toolsListChanged": true, "resourceSubscriptions": [NOTE]});
            ("2026-07-28", ("subscriptions/listen", json!({"notifications": wanted})))
        }
        Generation::Legacy => ("2025-11-25", ("resources/subscribe", json!({"uri": NOTE}))),
    };
    let requests = [
        ("tools/list", json!({})),
        ("tools/call", json!({"name": "echo", "arguments": {"word": "again"}})),
        ("tools/call", json!({"name": "echo", "arguments": {"word": 1}})),
        ("prompts/list", json!({})),
        ("prompts/get", json!({"name": "greet", "arguments": {"name": "Ada"}})),
        ("resources/list", json!({})),
        ("resources/templates/list", json!({})),
        ("resources/read", json!({"uri": NOTE})),
        ("resources/read", json!({"uri": "note://none"})),
        subscribe,
        ("notifications/resources/updated", json!({})),
        ("notifications/tools/list_changed", json!({})),
    ];
    let line = |(method, params): &(&str, Value)| json!({"method": method, "params": params}).to_string();
    let input = requests.iter().map(line).collect::<Vec<String>>().join("\n");
    let mut client = Command::new(script(name));
    client.args(arguments).arg(&served.url);
    // The first line says that it is connected; the others are answers.
    let subscribed = 1 + 10;
    let said = run(client, &input, async |lines| {
        if lines == subscribed {
            served.change().await;
        }
    });
    let said: Vec<Value> =
        said.await.iter().map(|line| serde_json::from_str(line).expect("a line of JSON")).collect();
    let (connected, answers) = said.split_first().expect("it connects");
    assert_eq!(connected["protocolVersion"], version, "{connected}");
    assert_eq!(connected["server"]["name"], "main");
    assert_eq!(answers.len(), requests.len(), "{said:#?}");
    let at = |number: usize, pointer: &str| {
        answers[number].pointer(pointer).cloned().unwrap_or_else(|| panic!("{}", answers[number]))
    };
    assert_eq!(at(0, "/result/tools/0/name"), "echo");
    assert_eq!(at(1, "/result/structuredContent/word"), "again");
    assert_eq!(at(2, "/result/isError"), true);
    assert_eq!(at(3, "/result/prompts/0/arguments/0/name"), "name");
    assert_eq!(at(4, "/result/messages/0/content/text"), "Hello, Ada!");
    assert_eq!(at(5, "/result/resources/0/uri"), NOTE);
    assert_eq!(at(6, "/result/resourceTemplates/0/uriTemplate"), "page://{id}");
    assert_eq!(at(7, "/result/contents/0/text"), "a note");
    assert_eq!(at(8, "/error/code"), not_found);
    if generation == Generation::Modern {
        assert_eq!(at(9, "/result/toolsListChanged"), true);
        assert_eq!(at(9, "/result/resourceSubscriptions/0"), NOTE);
    }
    assert_eq!(at(10, "/result/uri"), NOTE);
    at(11, "/result");
}

#[tokio::test]
async fn the_python_sdk() {
    talk("python.sh", &["--mode", "auto"], Generation::Modern, -32602).await;
    talk("python.sh", &["--mode", "legacy"], Generation::Legacy, -32002).await;
}

#[tokio::test]
async fn the_second_typescript_sdk() {
    talk("typescript.sh", &["--mode", "auto"], Generation::Modern, -32602).await;
    // It tells -32002 as -32602.
    talk("typescript.sh", &["--mode", "legacy"], Generation::Legacy, -32602).await;
}

#[tokio::test]
async fn the_first_typescript_sdk() {
    talk("typescript-v1.sh", &[], Generation::Legacy, -32002).await;
}

/// It has no command that subscribes: each asks once, and ends.
#[tokio::test]
async fn the_inspector() {
    let served = serve().await;
    let ask = async |arguments: &[&str]| {
        let mut client = Command::new(script("inspector.sh"));
        client.arg(&served.url).args(["--transport", "http"]).args(arguments);
        let said = run(client, "", async |_| ()).await.join("\n");
        serde_json::from_str::<Value>(&said).unwrap_or_else(|_| panic!("{said}"))
    };
    let listed = ask(&["--method", "tools/list"]).await;
    assert_eq!(listed["tools"][0]["name"], "echo", "{listed}");
    let called = ask(&["--method", "tools/call", "--tool-name", "echo", "--tool-arg", "word=again"]).await;
    assert_eq!(called["structuredContent"]["word"], "again", "{called}");
    let read = ask(&["--method", "resources/read", "--uri", "note://one"]).await;
    assert_eq!(read["contents"][0]["text"], "a note", "{read}");
    let got = ask(&["--method", "prompts/get", "--prompt-name", "greet", "--prompt-args", "name=Ada"]).await;
    assert_eq!(got["messages"][0]["content"]["text"], "Hello, Ada!", "{got}");
}

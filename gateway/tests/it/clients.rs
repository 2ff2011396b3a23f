//! Clients that this project did not write, on three replicas behind one address, to which each new connection comes in turn.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use axum::Router;
use axum::routing::post;
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;
use tokio::time::timeout;

use super::support::backend::Backend;
use super::support::balancer::Balancer;
use super::support::gateway::{Gateway, Objects, tool};
use super::support::redis::Redis;

/// How long one may take; the first one of all installs the SDK.
const BOUND: Duration = Duration::from_secs(600);

struct Served {
    url: String,
    _parts: (Balancer, Vec<Gateway>, Backend, Redis, Objects),
}

async fn serve() -> Served {
    let echo = |body: String| async move { ([("content-type", "application/json")], body) };
    let backend = Backend::serve(Router::new().fallback(post(echo))).await;
    let object = |kind: &str, name: &str, spec: Value| {
        json!({
            "apiVersion": "mcp.example.com/v1alpha1", "kind": kind,
            "metadata": {"name": name, "namespace": "tests"}, "spec": spec,
        })
    };
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
        object("MCPResource", "note", json!({"content": {"uri": "note://one", "text": "a note"}})),
        object(
            "MCPResource",
            "pages",
            json!({"operations": [
                {"ingressPath": "/pages/{id}", "service": {"name": "backend", "port": 80, "path": "/pages/{id}"}, "uri": "page://{id}"},
            ]}),
        ),
    ]);
    let redis = Redis::start().await;
    let mut gateways = Vec::new();
    for _ in 0..3 {
        gateways.push(Gateway::start(&objects, backend.address, &["--redis", &redis.address()], &[]).await);
    }
    let balancer = Balancer::open(gateways.iter().map(|gateway| gateway.address).collect()).await;
    Served {
        url: format!("http://{}/mcp", balancer.address),
        _parts: (balancer, gateways, backend, redis, objects),
    }
}

fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/clients").join(name)
}

/// Runs a client, and gives its output.
async fn run(mut client: Command, input: &str) -> String {
    client.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    let mut running = client.spawn().expect("start a client");
    let mut pipe = running.stdin.take().expect("a pipe");
    pipe.write_all(input.as_bytes()).await.expect("its input");
    drop(pipe);
    let ended =
        timeout(BOUND, running.wait_with_output()).await.expect("it comes to its end").expect("it ran");
    let (said, complaint) = (String::from_utf8_lossy(&ended.stdout), String::from_utf8_lossy(&ended.stderr));
    assert!(ended.status.success(), "{said}\n{complaint}");
    said.into_owned()
}

/// Asks by one of the scripts all that there is to ask.
async fn talk(name: &str, arguments: &[&str], version: &str, not_found: i64, more: &[(&str, Value)]) {
    let served = serve().await;
    let mut requests = vec![
        ("tools/list", json!({})),
        ("tools/call", json!({"name": "echo", "arguments": {"word": "again"}})),
        ("tools/call", json!({"name": "echo", "arguments": {"word": 1}})),
        ("prompts/list", json!({})),
        ("prompts/get", json!({"name": "greet", "arguments": {"name": "Ada"}})),
        ("resources/list", json!({})),
        ("resources/templates/list", json!({})),
        ("resources/read", json!({"uri": "note://one"})),
        ("resources/read", json!({"uri": "note://none"})),
    ];
    requests.extend(more.iter().cloned());
    let line = |(method, params): &(&str, Value)| json!({"method": method, "params": params}).to_string();
    let input: Vec<String> = requests.iter().map(line).collect();
    let mut client = Command::new(script(name));
    client.args(arguments).arg(&served.url);
    let said = run(client, &input.join("\n")).await;
    let mut lines = said.lines().map(|line| serde_json::from_str::<Value>(line).expect("a line of JSON"));
    let connected = lines.next().expect("it connects");
    assert_eq!(connected["protocolVersion"], version, "{connected}");
    assert_eq!(connected["server"]["name"], "main");
    let answers: Vec<Value> = lines.collect();
    assert_eq!(answers.len(), requests.len(), "{said}");
    let at = |number: usize, pointer: &str| {
        answers[number].pointer(pointer).cloned().unwrap_or_else(|| panic!("{}", answers[number]))
    };
    assert_eq!(at(0, "/result/tools/0/name"), "echo");
    assert_eq!(at(1, "/result/structuredContent/word"), "again");
    assert_eq!(at(2, "/result/isError"), true);
    assert_eq!(at(3, "/result/prompts/0/arguments/0/name"), "name");
    assert_eq!(at(4, "/result/messages/0/content/text"), "Hello, Ada!");
    assert_eq!(at(5, "/result/resources/0/uri"), "note://one");
    assert_eq!(at(6, "/result/resourceTemplates/0/uriTemplate"), "page://{id}");
    assert_eq!(at(7, "/result/contents/0/text"), "a note");
    assert_eq!(at(8, "/error/code"), not_found);
    for answer in answers.iter().skip(9) {
        assert!(answer.get("result").is_some(), "{answer}");
    }
}

#[tokio::test]
async fn the_python_sdk() {
    talk("python.sh", &["--mode", "auto"], "2026-07-28", -32602, &[]).await;
    talk("python.sh", &["--mode", "legacy"], "2025-11-25", -32002, &[]).await;
}

#[tokio::test]
async fn the_second_typescript_sdk() {
    talk("typescript.sh", &["--mode", "auto"], "2026-07-28", -32602, &[]).await;
    // It tells -32002 as -32602.
    talk("typescript.sh", &["--mode", "legacy"], "2025-11-25", -32602, &[]).await;
}

#[tokio::test]
async fn the_first_typescript_sdk() {
    let subscribe = ("resources/subscribe", json!({"uri": "note://one"}));
    talk("typescript-v1.sh", &[], "2025-11-25", -32002, &[subscribe]).await;
}

#[tokio::test]
async fn the_inspector() {
    let served = serve().await;
    let ask = async |arguments: &[&str]| {
        let mut client = Command::new(script("inspector.sh"));
        client.arg(&served.url).args(["--transport", "http"]).args(arguments);
        let said = run(client, "").await;
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

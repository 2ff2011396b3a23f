//! The one HTTP service behind the objects of the conformance suite (`tests/conformance`). It speaks MCP's own results
//! where a plain HTTP answer could not say the same, and knows nothing of sessions, versions or JSON-RPC ids.
//!
//! `conformance-service ADDRESS DIR`: DIR is where the gateway's manifests are, to which it adds one, or takes one away,
//! when it is asked to change what is offered.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a fixture fails by panicking")]

use std::convert::Infallible;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Path as UrlPath, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures::stream;
use http::header;
use serde_json::{Value, json};

/// A red pixel.
const PNG: &str =
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8DwHwAFBQIAX8jx0gAAAABJRU5ErkJggg==";
/// No sound at all.
const WAV: &str = "UklGRiQAAABXQVZFZm10IBAAAAABAAEAQB8AAEAfAAABAAgAZGF0YQAAAAA=";

#[tokio::main]
async fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let (address, directory) = (arguments[1].parse::<SocketAddr>().unwrap(), PathBuf::from(&arguments[2]));
    let router = Router::new()
        .route("/text", get(|| async { "This is a simple text response for testing." }))
        .route("/image", get(|| async { blob("image/png", PNG) }))
        .route("/audio", get(|| async { blob("audio/wav", WAV) }))
        .route(
            "/failure",
            get(|| async { (http::StatusCode::INTERNAL_SERVER_ERROR, "it fails, as it should") }),
        )
        .route("/echo", post(|body: Bytes| async { ([(header::CONTENT_TYPE, "application/json")], body) }))
        .route("/template/{id}", get(template))
        .route("/call", post(call))
        .route("/prompt", post(prompt))
        .with_state(Arc::new(directory));
    let listener = tokio::net::TcpListener::bind(address).await.unwrap();
    axum_serve(listener, router).await;
}

/// Accepts for ever; each connection is served on a task of its own, which ends with the process.
async fn axum_serve(listener: tokio::net::TcpListener, router: Router) {
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        let service = hyper_util::service::TowerToHyperService::new(router.clone());
        let stream = hyper_util::rt::TokioIo::new(stream);
        tokio::spawn(hyper::server::conn::http1::Builder::new().serve_connection(stream, service));
    }
}

fn blob(media_type: &'static str, base64: &str) -> Response {
    ([(header::CONTENT_TYPE, media_type)], STANDARD.decode(base64).unwrap()).into_response()
}

async fn template(UrlPath(id): UrlPath<String>) -> Response {
    let body = json!({"id": id, "templateTest": true, "data": format!("Data for ID: {id}")});
    ([(header::CONTENT_TYPE, "application/json")], body.to_string()).into_response()
}

fn result(result: &Value) -> Response {
    ([(header::CONTENT_TYPE, "application/vnd.mcp.result+json")], result.to_string()).into_response()
}

fn error(code: i64, message: &str, data: Value) -> Response {
    let body = json!({"code": code, "message": message, "data": data});
    ([(header::CONTENT_TYPE, "application/vnd.mcp.error+json")], body.to_string()).into_response()
}

fn text(text: &str) -> Value {
    json!({"content": [{"type": "text", "text": text}]})
}

/// Messages 50 ms apart, of which the last is the result.
fn events(messages: Vec<Value>) -> Response {
    let events = stream::unfold(messages.into_iter().enumerate(), |mut messages| async move {
        let (n, message) = messages.next()?;
        if n > 0 {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Some((Ok::<_, Infallible>(format!("data: {message}\n\n")), messages))
    });
    ([(header::CONTENT_TYPE, "text/event-stream")], Body::from_stream(events)).into_response()
}

async fn call(State(directory): State<Arc<PathBuf>>, body: Bytes) -> Response {
    let params: Value = serde_json::from_slice(&body).unwrap();
    let arguments = &params["arguments"];
    match params["name"].as_str().unwrap() {
        "test_embedded_resource" => result(&json!({"content": [{"type": "resource", "resource": {
            "uri": "test://embedded-resource", "mimeType": "text/plain", "text": "This is an embedded resource content.",
        }}]})),
        "test_multiple_content_types" => result(&json!({"content": [
            {"type": "text", "text": "Multiple content types test:"},
            {"type": "image", "data": PNG, "mimeType": "image/png"},
            {"type": "resource", "resource": {
                "uri": "test://mixed-content-resource", "mimeType": "application/json", "text": "{\"test\":\"data\",\"value\":123}",
            }},
        ]})),
        "test_tool_with_logging" | "test_logging_tool" => {
            let log = |data: &str| json!({"jsonrpc": "2.0", "method": "notifications/message", "params": {"level": "info", "data": data}});
            events(vec![
                log("Tool execution started"),
                log("Tool processing data"),
                log("Tool execution completed"),
                text("Tool with logging executed successfully"),
            ])
        }
        "test_tool_with_progress" => {
            let token = &params["_meta"]["progressToken"];
            let progress = |progress: u8| {
                json!({"jsonrpc": "2.0", "method": "notifications/progress",
                       "params": {"progressToken": token, "progress": progress, "total": 100}})
            };
            let mut messages = Vec::new();
            if !token.is_null() {
                messages.extend([progress(0), progress(50), progress(100)]);
            }
            messages.push(text("Tool with progress executed successfully"));
            events(messages)
        }
        "test_trigger_tool_change" => {
            toggle(&directory, "changed-tool.yaml", CHANGED_TOOL);
            result(&text("the tools have changed"))
        }
        "test_trigger_prompt_change" => {
            toggle(&directory, "changed-prompt.yaml", CHANGED_PROMPT);
            result(&text("the prompts have changed"))
        }
        "test_missing_capability" => match declares(&params, "sampling") {
            true => result(&text("the client declares sampling")),
            false => error(
                -32021,
                "the client does not declare sampling",
                json!({"requiredCapabilities": {"sampling": {}}}),
            ),
        },
        "test_streaming_elicitation" => match answers(&params, &["user_name"]) {
            Some(_) => result(&text("done")),
            None => events(vec![needs(json!({"user_name": ask_name()}), None)]),
        },
        name => rounds(name, &params, arguments),
    }
}

/// Whether the client declares a capability, where the request says at all.
fn declares(params: &Value, capability: &str) -> bool {
    let declared = &params["_meta"]["io.modelcontextprotocol/clientCapabilities"];
    declared.get(capability).is_some()
}

fn needs(requests: Value, state: Option<&str>) -> Value {
    let mut result = json!({"resultType": "input_required", "inputRequests": requests});
    if let Some(state) = state {
        result["requestState"] = state.into();
    }
    result
}

/// The answers to all of these, where each is one.
fn answers<'p>(params: &'p Value, keys: &[&str]) -> Option<Vec<&'p Value>> {
    keys.iter().map(|key| params["inputResponses"].get(key).filter(|answer| answer.is_object())).collect()
}

fn elicit(message: &str, properties: &Value, required: &[&str]) -> Value {
    let schema = json!({"type": "object", "properties": properties, "required": required});
    json!({"method": "elicitation/create", "params": {"message": message, "requestedSchema": schema}})
}

fn ask_name() -> Value {
    elicit("What is your name?", &json!({"name": {"type": "string"}}), &["name"])
}

fn sample(prompt: &str, max_tokens: u32) -> Value {
    let messages = json!([{"role": "user", "content": {"type": "text", "text": prompt}}]);
    json!({"method": "sampling/createMessage", "params": {"messages": messages, "maxTokens": max_tokens}})
}

/// Tools that need input first.
fn rounds(name: &str, params: &Value, arguments: &Value) -> Response {
    let state = params["requestState"].as_str();
    let done = |said: &str| result(&text(said));
    let ask = |key: &str, request: Value, state: Option<&str>| result(&needs(json!({key: request}), state));
    let one = |key: &str| answers(params, &[key]).map(|answers| answers[0].clone());
    match name {
        "test_sampling" => match one("completion") {
            Some(answer) => {
                done(&format!("LLM response: {}", answer["content"]["text"].as_str().unwrap_or_default()))
            }
            None => ask("completion", sample(arguments["prompt"].as_str().unwrap(), 100), None),
        },
        "test_elicitation" => match one("user") {
            Some(answer) => {
                done(&format!("User response: action={}, content={}", answer["action"], answer["content"]))
            }
            None => {
                let properties = json!({
                    "username": {"type": "string", "description": "User's response"},
                    "email": {"type": "string", "description": "User's email address"},
                });
                ask(
                    "user",
                    elicit(arguments["message"].as_str().unwrap(), &properties, &["username", "email"]),
                    None,
                )
            }
        },
        "test_elicitation_sep1034_defaults" | "test_elicitation_sep1330_enums" => match one("form") {
            Some(answer) => done(&format!(
                "Elicitation completed: action={}, content={}",
                answer["action"], answer["content"]
            )),
            None => {
                let form = if name.ends_with("enums") { enums() } else { defaults() };
                ask("form", elicit("Please fill in the form", &form, &[]), None)
            }
        },
        "test_input_required_result_elicitation" => match one("user_name") {
            Some(answer) => {
                done(&format!("Hello, {}!", answer["content"]["name"].as_str().unwrap_or("nobody")))
            }
            None => ask("user_name", ask_name(), None),
        },
        "test_input_required_result_sampling" => match one("capital_question") {
            Some(answer) => done(&answer["content"].to_string()),
            None => ask("capital_question", sample("What is the capital of France?", 100), None),
        },
        "test_input_required_result_list_roots" => match one("client_roots") {
            Some(answer) => done(&format!("the roots are {}", answer["roots"])),
            None => ask("client_roots", json!({"method": "roots/list", "params": {}}), None),
        },
        "test_input_required_result_request_state" | "test_input_required_result_tampered_state" => {
            const STATE: &str = "f3a1c09e55d2";
            let confirm = elicit("Please confirm", &json!({"ok": {"type": "boolean"}}), &["ok"]);
            match (one("confirm"), state) {
                (Some(_), Some(STATE)) => done("state-ok"),
                (_, Some(given)) if given != STATE => {
                    error(-32602, "requestState is not what was given", json!({}))
                }
                _ => ask("confirm", confirm, Some(STATE)),
            }
        }
        "test_input_required_result_multiple_inputs" => {
            match answers(params, &["user_name", "greeting", "client_roots"]).filter(|_| state == Some("all"))
            {
                Some(_) => done("everything is answered"),
                None => {
                    let requests = json!({
                        "user_name": ask_name(),
                        "greeting": sample("Generate a greeting", 50),
                        "client_roots": {"method": "roots/list", "params": {}},
                    });
                    result(&needs(requests, Some("all")))
                }
            }
        }
        "test_input_required_result_multi_round" => match (one("step1"), one("step2"), state) {
            (_, Some(_), Some("two")) => done("both steps are done"),
            (Some(_), _, Some("one")) => {
                let color = json!({"color": {"type": "string"}});
                ask("step2", elicit("Step 2: What is your favorite color?", &color, &["color"]), Some("two"))
            }
            _ => {
                let step =
                    elicit("Step 1: What is your name?", &json!({"name": {"type": "string"}}), &["name"]);
                ask("step1", step, Some("one"))
            }
        },
        "test_input_required_result_capabilities" => match declares(params, "sampling") {
            true => ask("greeting", sample("Generate a greeting", 50), None),
            false => ask("user_name", ask_name(), None),
        },
        other => error(-32602, "there is no such tool", json!({"tool": other})),
    }
}

fn defaults() -> Value {
    json!({
        "name": {"type": "string", "default": "John Doe"},
        "age": {"type": "integer", "default": 30},
        "score": {"type": "number", "default": 95.5},
        "status": {"type": "string", "enum": ["active", "inactive", "pending"], "default": "active"},
        "verified": {"type": "boolean", "default": true},
    })
}

fn enums() -> Value {
    let titled = |name: &str| {
        json!([{"const": "value1", "title": format!("First {name}")}, {"const": "value2", "title": format!("Second {name}")},
               {"const": "value3", "title": format!("Third {name}")}])
    };
    json!({
        "untitledSingle": {"type": "string", "enum": ["option1", "option2", "option3"]},
        "titledSingle": {"type": "string", "oneOf": titled("Option")},
        "legacyEnum": {"type": "string", "enum": ["opt1", "opt2", "opt3"], "enumNames": ["Option One", "Option Two", "Option Three"]},
        "untitledMulti": {"type": "array", "items": {"type": "string", "enum": ["option1", "option2", "option3"]}},
        "titledMulti": {"type": "array", "items": {"anyOf": titled("Choice")}},
    })
}

async fn prompt(body: Bytes) -> Response {
    let params: Value = serde_json::from_slice(&body).unwrap();
    let user = |content: Value| json!({"role": "user", "content": content});
    let said = |text: &str| user(json!({"type": "text", "text": text}));
    match params["name"].as_str().unwrap() {
        "test_prompt_with_embedded_resource" => {
            let resource = json!({"uri": params["arguments"]["resourceUri"], "mimeType": "text/plain",
                                  "text": "Embedded resource content for testing."});
            let embedded = user(json!({"type": "resource", "resource": resource}));
            result(&json!({"messages": [embedded, said("Please process the embedded resource above.")]}))
        }
        "test_prompt_with_image" => {
            let image = user(json!({"type": "image", "data": PNG, "mimeType": "image/png"}));
            result(&json!({"messages": [image, said("Please analyze the image above.")]}))
        }
        "test_input_required_result_prompt" => match answers(&params, &["user_context"]) {
            Some(answers) => result(&json!({"messages": [said(&answers[0]["content"].to_string())]})),
            None => {
                let context = json!({"context": {"type": "string"}});
                let request = elicit("What context should the prompt use?", &context, &["context"]);
                result(&needs(json!({"user_context": request}), None))
            }
        },
        other => error(-32602, "there is no such prompt", json!({"prompt": other})),
    }
}

/// Adds a manifest, or takes it away.
fn toggle(directory: &Path, name: &str, manifest: &str) {
    let path = directory.join(name);
    if path.exists() {
        std::fs::remove_file(path).unwrap();
    } else {
        let aside = directory.join(format!("{name}.new"));
        std::fs::write(&aside, manifest).unwrap();
        std::fs::rename(aside, path).unwrap();
    }
}

const CHANGED_TOOL: &str = "
apiVersion: mcp.example.com/v1alpha1
kind: MCPTool
metadata: {name: changed-tool, labels: {mcp-server: conformance}}
spec:
  description: Comes and goes
  service: {name: conformance-service, port: 80, path: /echo}
";

const CHANGED_PROMPT: &str = "
apiVersion: mcp.example.com/v1alpha1
kind: MCPPrompt
metadata: {name: changed-prompt, labels: {mcp-server: conformance}}
spec:
  description: Comes and goes
  template: Here today
";

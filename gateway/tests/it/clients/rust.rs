//! The Rust SDK, in this process.

use rmcp::model::{
    CallToolRequestParams, ClientConfig, GetPromptRequestParams, JsonObject, ProtocolVersion,
    ReadResourceRequestParams, ResourceUpdatedNotificationParam, ServerNotification, SubscribeRequestParams,
    SubscriptionFilter,
};
use rmcp::service::{NotificationContext, Peer, RunningService, Service, ServiceError};
use rmcp::transport::streamable_http_client::StreamableHttpClientTransportConfig;
use rmcp::transport::{StreamableHttpClientTransport, UnixSocketHttpClient};
use rmcp::{ClientHandler, ClientLifecycleMode, ClientServiceExt as _, RoleClient};
use serde::Serialize;
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::{NOTE, Served, serve};
use crate::support::wait;

/// Connects; each of its requests is a connection of its own, and so goes to the next gateway.
async fn connect<S: Service<RoleClient>>(
    served: &Served,
    service: S,
    lifecycle: ClientLifecycleMode,
) -> RunningService<RoleClient, S> {
    let http = UnixSocketHttpClient::new(served.balancer.socket.to_str().expect("a path"), &served.url);
    let config = StreamableHttpClientTransportConfig::with_uri(served.url.as_str());
    let transport = StreamableHttpClientTransport::with_client(http, config);
    service.serve_with_lifecycle(transport, lifecycle).await.expect("it connects")
}

/// Asks all that there is to ask.
async fn ask(client: &Peer<RoleClient>, version: &ProtocolVersion, not_found: i32) {
    let server = client.peer_info().expect("it is connected");
    assert_eq!(&server.protocol_version, version);
    assert_eq!(server.server_info.as_ref().expect("it says who it is").name, "main");

    let tools = client.list_all_tools().await.expect("tools");
    assert_eq!(at(&tools, "/0/name"), "echo");
    let echo = |word: Value| {
        let call = CallToolRequestParams::new("echo").with_arguments(arguments("word", word));
        async { client.call_tool(call).await.expect("a result") }
    };
    assert_eq!(at(&echo(json!("again")).await, "/structuredContent/word"), "again");
    assert_eq!(echo(json!(1)).await.is_error, Some(true));

    let prompts = client.list_all_prompts().await.expect("prompts");
    assert_eq!(at(&prompts, "/0/arguments/0/name"), "name");
    let greet = GetPromptRequestParams::new("greet").with_arguments(arguments("name", json!("Ada")));
    let prompt = client.get_prompt(greet).await.expect("a prompt");
    assert_eq!(at(&prompt, "/messages/0/content/text"), "Hello, Ada!");

    let resources = client.list_all_resources().await.expect("resources");
    assert_eq!(at(&resources, "/0/uri"), NOTE);
    let templates = client.list_all_resource_templates().await.expect("templates");
    assert_eq!(at(&templates, "/0/uriTemplate"), "page://{id}");
    let read = client.read_resource(ReadResourceRequestParams::new(NOTE)).await.expect("a resource");
    assert_eq!(at(&read, "/contents/0/text"), "a note");
    match client.read_resource(ReadResourceRequestParams::new("note://none")).await {
        Err(ServiceError::McpError(error)) => assert_eq!(error.code.0, not_found, "{error:?}"),
        other => panic!("{other:?}"),
    }
}

fn arguments(name: &str, value: Value) -> JsonObject {
    JsonObject::from_iter([(name.to_owned(), value)])
}

#[track_caller]
fn at(answer: &impl Serialize, pointer: &str) -> Value {
    let answer = serde_json::to_value(answer).expect("JSON");
    answer.pointer(pointer).cloned().unwrap_or_else(|| panic!("{answer}"))
}

/// What may be told of a change, in any order.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Told {
    Tools,
    Resource(String),
}

impl Told {
    fn of_a_change() -> Vec<Self> {
        vec![Self::Tools, Self::Resource(NOTE.to_owned())]
    }
}

#[tokio::test]
async fn the_rust_sdk() {
    let served = serve().await;
    let preferred_versions = vec![ProtocolVersion::V_2026_07_28];
    let lifecycle = ClientLifecycleMode::Auto { preferred_versions, legacy_version: None };
    let client = connect(&served, ClientConfig::default(), lifecycle).await;
    ask(&client, &ProtocolVersion::V_2026_07_28, -32602).await;

    let wanted = SubscriptionFilter::builder().tools_list_changed().resource_subscription(NOTE).build();
    let mut subscription = client.listen(wanted.clone()).await.expect("a subscription");
    assert_eq!(*subscription.acknowledged(), wanted);
    served.change().await;
    let mut told = Vec::new();
    for _ in 0..2 {
        let next = timeout(wait::BOUND, subscription.next()).await.expect("it is told in time");
        told.push(match next.expect("a notification") {
            Some(ServerNotification::ToolListChangedNotification(_)) => Told::Tools,
            Some(ServerNotification::ResourceUpdatedNotification(updated)) => {
                Told::Resource(updated.params.uri)
            }
            other => panic!("{other:?}"),
        });
    }
    told.sort();
    assert_eq!(told, Told::of_a_change());
    subscription.cancel().await.expect("it ends");
    client.cancel().await.expect("it ends");
}

/// Passes on what it is told.
struct Listener(mpsc::Sender<Told>);

impl ClientHandler for Listener {
    async fn on_resource_updated(
        &self,
        params: ResourceUpdatedNotificationParam,
        _: NotificationContext<RoleClient>,
    ) {
        self.0.send(Told::Resource(params.uri)).await.expect("somebody listens");
    }

    async fn on_tool_list_changed(&self, _: NotificationContext<RoleClient>) {
        self.0.send(Told::Tools).await.expect("somebody listens");
    }
}

#[tokio::test]
async fn the_rust_sdk_in_a_session() {
    let served = serve().await;
    let (sender, mut receiver) = mpsc::channel(8);
    let client = connect(&served, Listener(sender), ClientLifecycleMode::Initialize).await;
    ask(&client, &ProtocolVersion::V_2025_11_25, -32002).await;

    #[expect(deprecated, reason = "a session has no other way")]
    client.subscribe(SubscribeRequestParams::new(NOTE)).await.expect("it subscribes");
    served.change().await;
    let mut told = Vec::new();
    for _ in 0..2 {
        let next = timeout(wait::BOUND, receiver.recv()).await.expect("it is told in time");
        told.extend(next);
    }
    told.sort();
    assert_eq!(told, Told::of_a_change());
    client.cancel().await.expect("it ends");
}

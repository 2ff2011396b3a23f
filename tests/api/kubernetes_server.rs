//! The Kubernetes MCP server on a real API server, asked by clients that this project did not write.

use std::path::Path;

use futures::future::join_all;
use mcp_operator::probe::{Mcp, Target};
use serde_json::{Value, json};

use crate::support::cluster::Cluster;
use crate::support::kubernetes_server::{Server, binary, kubeconfig_of};
use crate::support::namespace::Namespace;
use crate::support::sdk::{Conversation, Generation, Sdk};
use crate::support::wait;

/// Who the samples' server acts as.
const ACCOUNT: &str = "kubernetes-mcp";

fn call(tool: &'static str, arguments: Value) -> (&'static str, Value) {
    ("tools/call", json!({ "name": tool, "arguments": arguments }))
}

fn read(uri: &str) -> (&'static str, Value) {
    ("resources/read", json!({ "uri": uri }))
}

fn prompt(name: &str, arguments: Value) -> (&'static str, Value) {
    ("prompts/get", json!({ "name": name, "arguments": arguments }))
}

/// The text of a tool's result or of a prompt, or an error's.
fn text(answer: &Value) -> &str {
    let places = [
        "/result/content/0/text",
        "/result/messages/0/content/text",
        "/result/contents/0/text",
        "/error/message",
    ];
    let found = places.iter().find_map(|place| answer.pointer(place)?.as_str());
    found.unwrap_or_else(|| panic!("no text in {answer}"))
}

async fn ask(server: &Server, requests: &[(&str, Value)]) -> Conversation {
    Sdk::Python.ask(Generation::Newest, &[&server.url()], &[], requests).await
}

/// Makes the samples' service account with its roles in a namespace, and gives a kubeconfig of it.
async fn with_the_samples_rights(ns: &Namespace) -> std::path::PathBuf {
    ns.kubectl(&["apply", "--filename", "-"], &rights(ns)).await.ok();
    kubeconfig_of(ns, ACCOUNT).await
}

/// The sample, for this namespace; what belongs to no namespace gets a name of its own.
fn rights(ns: &Namespace) -> String {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/samples/kubernetes-server-rbac.yaml");
    let sample = std::fs::read_to_string(file).expect("a sample");
    let nodes = format!("kubernetes-mcp-nodes-{}", ns.name);
    sample.replace("mcp-system", &ns.name).replace("kubernetes-mcp-nodes", &nodes)
}

async fn talk(ns: &Namespace, sdk: Sdk, generation: Generation, server: &[&str], variables: &[(&str, &str)]) {
    let transport = if server.len() == 1 && server[0].starts_with("http") { "http" } else { "stdio" };
    let pod = format!("{sdk:?}-{generation:?}-{transport}").to_lowercase();
    let pods = format!("k8s://namespace/{}/pods", ns.name);
    let requests = [
        ("tools/list", json!({})),
        ("resources/list", json!({})),
        ("resources/templates/list", json!({})),
        ("prompts/list", json!({})),
        call("create-pod", json!({ "name": pod, "image": "nginx:1.29", "limits": { "memory": "64Mi" } })),
        read(&pods),
        read("k8s://cluster/nodes"),
        prompt("troubleshoot-pod", json!({ "name": pod })),
        prompt("optimize-resources", json!({})),
        call("delete-pod", json!({ "name": pod })),
        call("delete-pod", json!({ "name": pod })),
        call("create-pod", json!({ "name": pod, "image": "nginx", "limits": { "memory": "much" } })),
        prompt("troubleshoot-pod", json!({ "name": pod })),
        read("k8s://cluster/secrets"),
    ];
    let said = sdk.ask(generation, server, variables, &requests).await;
    let expected = match generation {
        Generation::Newest => "2026-07-28",
        Generation::Initialize => "2025-11-25",
    };
    assert_eq!((said.server["name"].as_str(), said.protocol_version.as_str()), (Some("test"), expected));

    let names = |answer: &Value, kind: &str, key: &str| -> Vec<String> {
        let items = answer["result"][kind].as_array().unwrap_or_else(|| panic!("no {kind} in {answer}"));
        items.iter().map(|item| item[key].as_str().unwrap().to_owned()).collect()
    };
    let answers = &said.answers;
    assert_eq!(names(&answers[0], "tools", "name"), ["create-pod", "get-pod-logs", "delete-pod"]);
    assert_eq!(names(&answers[1], "resources", "uri"), ["k8s://cluster/nodes"]);
    assert_eq!(names(&answers[2], "resourceTemplates", "uriTemplate"), ["k8s://namespace/{namespace}/pods"]);
    assert_eq!(names(&answers[3], "prompts", "name"), ["troubleshoot-pod", "optimize-resources"]);
    let made = &answers[4]["result"]["structuredContent"];
    assert_eq!(made["name"], json!(pod), "{}", answers[4]);
    assert!(text(&answers[5]).contains(&format!(r#""name":"{pod}""#)), "{}", answers[5]);
    assert_eq!(text(&answers[6]), r#"{"complete":true,"nodes":[]}"#);
    assert!(
        text(&answers[7]).contains("- main: image nginx:1.29; requests memory 64Mi; limits memory 64Mi"),
        "{}",
        answers[7]
    );
    // Other conversations go on in this namespace.
    assert!(
        text(&answers[8]).contains(&format!("| {pod} | main | - | - | - | 64Mi | 64Mi |")),
        "{}",
        answers[8]
    );
    assert_eq!(answers[9]["result"]["structuredContent"]["uid"], made["uid"], "{}", answers[9]);
    assert_eq!(answers[10]["result"]["isError"], true);
    assert!(text(&answers[10]).starts_with("Kubernetes found nothing: pods \""), "{}", answers[10]);
    assert_eq!(answers[11]["result"]["isError"], true);
    assert!(text(&answers[11]).contains("quantities must match the regular expression"), "{}", answers[11]);
    assert!(text(&answers[12]).contains("Kubernetes found nothing"), "{}", answers[12]);
    assert!(
        text(&answers[13]).contains("no such resource: there are k8s://cluster/nodes and"),
        "{}",
        answers[13]
    );
}

#[tokio::test]
async fn the_official_clients_are_served_over_both_transports_and_in_both_generations() {
    let cluster = Cluster::shared().await;
    let ns = cluster.namespace("mcp-k8s").await;
    let kubeconfig = with_the_samples_rights(&ns).await;
    let server = Server::start(&ns, &kubeconfig, &[("MCP_SERVER_NAME", "test")]);
    server.until_ready().await;
    let url = server.url();
    let command = binary().display().to_string();
    let (path, name) = (kubeconfig.display().to_string(), ns.name.clone());
    let variables = [
        ("KUBECONFIG", path.as_str()),
        ("POD_NAMESPACE", name.as_str()),
        ("MCP_SERVER_NAME", "test"),
        ("MCP_TRANSPORT", "stdio"),
    ];
    for sdk in Sdk::ALL {
        for generation in [Generation::Newest, Generation::Initialize] {
            talk(&ns, sdk, generation, &[&url], &[]).await;
            talk(&ns, sdk, generation, &[&command], &variables).await;
        }
    }
    ns.kubectl(&["delete", "--ignore-not-found", "--filename", "-"], &rights(&ns)).await.ok();
}

#[tokio::test]
async fn the_prober_finds_out_who_it_is() {
    let cluster = Cluster::shared().await;
    let ns = cluster.namespace("mcp-k8s").await;
    let server = Server::start_ready(&ns, ns.cluster.kubeconfig()).await;
    let ask = async |url: String, may_be_sse| {
        Mcp { name: "tests" }.ask(&Target { url: url.into(), may_be_sse }).await
    };
    for may_be_sse in [false, true] {
        let found = ask(server.url(), may_be_sse).await.expect("an answer");
        assert_eq!(
            (found.name.as_deref(), found.protocol.as_str(), found.tools),
            (Some("mcp-k8s-server"), "2026-07-28", 3)
        );
    }
    let elsewhere = ask(format!("http://{}/elsewhere", server.address), true).await.unwrap_err().to_string();
    assert_eq!(elsewhere, "answered initialize with status 404: nothing is here: MCP is at /mcp");
}

#[tokio::test]
async fn what_is_not_permitted_names_the_role_that_permits_it() {
    let cluster = Cluster::shared().await;
    let ns = cluster.namespace("mcp-k8s").await;
    ns.kubectl(&["create", "serviceaccount", "nobody"], "").await.ok();
    let server = Server::start_ready(&ns, &kubeconfig_of(&ns, "nobody").await).await;
    let requests = [
        call("create-pod", json!({ "name": "web", "image": "nginx" })),
        call("get-pod-logs", json!({ "name": "web" })),
        call("delete-pod", json!({ "name": "web" })),
        read(&format!("k8s://namespace/{}/pods", ns.name)),
        read("k8s://cluster/nodes"),
        prompt("troubleshoot-pod", json!({ "name": "web" })),
        prompt("optimize-resources", json!({})),
    ];
    let said = ask(&server, &requests).await;
    let mut rules = Vec::new();
    for answer in &said.answers {
        let refusal = text(answer);
        assert!(
            refusal
                .contains(&format!("Kubernetes refused: system:serviceaccount:{}:nobody may not ", ns.name)),
            "{refusal}"
        );
        let (_, rest) = refusal.split_once("with the rule ").expect("a rule");
        let (rule, kind) = rest.split_once(", bound to it by a ").expect("a rule");
        if !kind.starts_with("ClusterRoleBinding") {
            rules.push(format!("  - {rule}\n"));
        }
    }
    assert_eq!(rules.len(), 6);

    // What they say is YAML, and it is enough.
    let role = format!(
        "apiVersion: rbac.authorization.k8s.io/v1\nkind: Role\nmetadata: {{ name: said }}\nrules:\n{}",
        rules.concat()
    );
    ns.kubectl(&["create", "--filename", "-"], &role).await.ok();
    let account = format!("--serviceaccount={}:nobody", ns.name);
    ns.kubectl(&["create", "rolebinding", "said", "--role=said", &account], "").await.ok();
    wait::until("the roles permit it", async || {
        let said = ask(&server, &requests[..1]).await;
        match &said.answers[0]["result"]["isError"] {
            Value::Bool(false) => Ok(()),
            _ => Err(said.answers[0].to_string()),
        }
    })
    .await;
    let said = ask(&server, &requests[1..4]).await;
    for answer in &said.answers[..2] {
        assert_eq!(answer["result"]["isError"], false, "{answer}");
    }
    assert!(said.answers[2]["result"].is_object(), "{}", said.answers[2]);
}

#[tokio::test]
async fn a_pod_with_a_user_of_its_own_meets_the_restricted_standard_and_others_are_refused_in_its_words() {
    let cluster = Cluster::shared().await;
    let ns = cluster.namespace("mcp-k8s").await;
    let label = "pod-security.kubernetes.io/enforce=restricted";
    ns.kubectl(&["label", "namespace", &ns.name, label], "").await.ok();
    let server = Server::start_ready(&ns, ns.cluster.kubeconfig()).await;
    let said = ask(
        &server,
        &[
            call("create-pod", json!({ "name": "root", "image": "nginx" })),
            call("create-pod", json!({ "name": "user", "image": "nginx", "runAsUser": 1000 })),
        ],
    )
    .await;
    let refusal = text(&said.answers[0]);
    assert!(
        refusal.contains(r#"Kubernetes refused: pods "root" is forbidden: violates PodSecurity "restricted"#),
        "{refusal}"
    );
    assert!(!refusal.contains("Role"), "{refusal}");
    assert_eq!(said.answers[1]["result"]["isError"], false, "{}", said.answers[1]);
}

#[tokio::test]
async fn at_the_signal_it_turns_unready_serves_on_and_ends_well() {
    let cluster = Cluster::shared().await;
    let ns = cluster.namespace("mcp-k8s").await;
    let mut server = Server::start(&ns, ns.cluster.kubeconfig(), &[("MCP_DRAIN_DELAY", "2")]);
    server.until_ready().await;
    server.signal("TERM");
    wait::until("it is not ready", async || match server.get("/ready").await? {
        (503, reason) if reason == "ending\n" => Ok(()),
        other => Err(format!("{other:?}")),
    })
    .await;
    assert_eq!(server.get("/health").await, Ok((200, "ok\n".to_owned())));
    assert_eq!(server.ended().await, 0);
}

#[tokio::test]
async fn an_api_server_that_is_away_is_said_to_be_and_does_not_end_it() {
    let cluster = Cluster::own().await;
    let ns = cluster.namespace("mcp-k8s").await;
    let server = Server::start_ready(&ns, ns.cluster.kubeconfig()).await;
    cluster.tell("stop-apiserver").await;
    let late = Server::start(&ns, ns.cluster.kubeconfig(), &[]);
    wait::until("one that was started meanwhile says what it waits for", async || {
        match late.get("/ready").await? {
            (503, reason) if reason.contains("could not be asked to get /version") => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })
    .await;
    let said = ask(&server, &[call("delete-pod", json!({ "name": "web" }))]).await;
    let refusal = text(&said.answers[0]);
    let expected =
        format!("the Kubernetes API server could not be asked to delete pods in namespace {}", ns.name);
    assert!(refusal.starts_with(&expected), "{refusal}");
    assert_eq!(server.get("/ready").await.map(|(code, _)| code), Ok(200));

    cluster.tell("start-apiserver").await;
    late.until_ready().await;
    let said = ask(&server, &[call("delete-pod", json!({ "name": "web" }))]).await;
    assert!(text(&said.answers[0]).starts_with("Kubernetes found nothing"), "{:?}", said.answers);
    cluster.done().await;
}

#[tokio::test]
async fn many_clients_at_a_time_are_all_answered() {
    let cluster = Cluster::shared().await;
    let ns = cluster.namespace("mcp-k8s").await;
    let server = Server::start_ready(&ns, ns.cluster.kubeconfig()).await;
    let body = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {
        "name": "delete-pod", "arguments": { "name": "web" },
    } });
    let requests = (0..40).map(|_| post(&server, &body));
    for (code, answer) in join_all(requests).await {
        assert_eq!(code, 200, "{answer}");
        assert!(answer.contains("Kubernetes found nothing"), "{answer}");
    }
    assert!(server.logged("panicked").is_empty());
}

/// One POST on a connection of its own.
async fn post(server: &Server, body: &Value) -> (u16, String) {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let body = body.to_string();
    let request = format!(
        "POST /mcp HTTP/1.1\r\nHost: {}\r\nContent-Type: application/json\r\nAccept: application/json, \
         text/event-stream\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
        server.address,
        body.len()
    );
    let mut stream = tokio::net::TcpStream::connect(server.address).await.expect("a connection");
    stream.write_all(request.as_bytes()).await.expect("a request");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("an answer");
    let code = answer.split_whitespace().nth(1).and_then(|code| code.parse().ok()).expect("a status");
    (code, answer)
}

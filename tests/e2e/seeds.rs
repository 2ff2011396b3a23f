//! The samples as they stand: what has an image becomes ready, and clients that nobody here wrote use its tools.

use std::time::Duration;

use serde_json::{Value, json};

use crate::installed::Installed;
use crate::support::cluster::{path, script};
use crate::support::namespace::Namespace;
use crate::support::object;
use crate::support::sdk::{Generation, Sdk};
use crate::support::wait;

const SEEDS: &str = "config/samples/seeds";

/// Images of the samples that their users would bring. Here they are the sample server too, under these names.
const BROUGHT: [&str; 2] =
    ["docker.io/library/ollama-mcp:latest", "docker.io/your-registry/mcp-k8s-server:v1.0.0"];

/// The seeds' servers that have images: namespace, name, how many pods, and the name that they give to clients.
const SERVERS: [(&str, &str, u64, &str); 4] = [
    ("default", "basic-mcpserver", 1, "basic-kubernetes-server"),
    ("default", "advanced-mcpserver", 2, "production-k8s-server"),
    ("default", "example-mcp", 1, "example-mcp"),
    ("mcp-system", "production-mcpserver", 3, "production-k8s-server"),
];

/// The seeds' servers without an image, and how many pods they have. All of them serve what is labelled for one.
const GATEWAYS: [(&str, u64); 2] = [("main", 2), ("full", 3)];

/// The longest that images take to run on a busy machine.
const BOUND: Duration = Duration::from_secs(180);

/// The other samples' servers that speak HTTP, with all that they need.
const SAMPLES: [&str; 4] = ["cluster-tools", "library", "probed", "public"];

async fn until_ready(namespace: &Namespace, server: &str) -> Value {
    wait::within(BOUND, format_args!("{}/{server} is ready", namespace.name), async || {
        let found = namespace.get("MCPServer", server).await;
        match object::condition(&found, "Ready") {
            Some(("True", "Available")) if found["status"]["phase"] == "Ready" => Ok(found),
            _ => Err(format!("{:#}", found["status"])),
        }
    })
    .await
}

fn call(tool: &'static str, arguments: Value) -> (&'static str, Value) {
    ("tools/call", json!({ "name": tool, "arguments": arguments }))
}

/// The text of a tool's result.
fn text(answer: &Value) -> &str {
    let found = answer.pointer("/result/content/0/text").and_then(Value::as_str);
    found.unwrap_or_else(|| panic!("no text in {answer}"))
}

async fn url(namespace: &Namespace, server: &str) -> String {
    format!("http://{}/mcp", namespace.address(server).await)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_seeds_and_the_samples_are_applied_unchanged_and_used_by_the_official_clients() {
    let installed = Installed::shared().await;
    installed.load(&script("hack/image.sh", &[&["stand-in"], BROUGHT.as_slice()].concat())).await;
    let default = Namespace::existing(&installed, "default").await;
    let system = Namespace::named(&installed, "mcp-system").await;
    let seeds = path(SEEDS).display().to_string();
    let applied = installed.kubectl(&["apply", "--filename", &seeds], "").await.ok();
    assert!(applied.lines().all(|line| line.ends_with(" created")), "{applied}");
    installed.apply("config/samples/redis").await;
    installed.apply("config/samples").await;

    for (namespace, name, pods, _) in SERVERS {
        let namespace = if namespace == "default" { &default } else { &system };
        let ready = until_ready(namespace, name).await;
        assert_eq!(ready["status"]["readyReplicas"], pods, "{name}: {:#}", ready["status"]);
        let status = &ready["status"];
        assert_eq!(
            status["url"],
            json!(format!(
                "http://{name}.{}.svc.cluster.local:{}/mcp",
                namespace.name, ready["spec"]["port"]
            )),
        );
    }
    for name in SAMPLES {
        until_ready(&system, name).await;
    }
    for (name, pods) in GATEWAYS {
        let status = &until_ready(&system, name).await["status"];
        assert_eq!(status["readyReplicas"], pods, "{name}: {status:#}");
        let counts = [&status["tools"], &status["prompts"], &status["resources"]];
        assert_eq!(counts, [&json!(2), &json!(1), &json!(2)], "{name}: {status:#}");
        wait::within(BOUND, format_args!("{name} says that Redis answers"), async || {
            let found = system.get("MCPServer", name).await;
            match object::condition(&found, "RedisReady") {
                Some(("True", "Connected")) => Ok(()),
                _ => Err(format!("{:#}", found["status"])),
            }
        })
        .await;
        let list = [("tools/list", json!({}))];
        for sdk in Sdk::ALL {
            for generation in [Generation::Newest, Generation::Initialize] {
                let said = sdk.ask(generation, &[&url(&system, name).await], &[], &list).await;
                assert_eq!(tools(&said.answers[0]), ["github-search", "my-tool"], "{sdk:?} asks {name}");
            }
        }
    }

    // What the seeds' own account may not do, it says; what it may do, it does.
    let logs = [("tools/list", json!({})), call("get-pod-logs", json!({ "name": pod_of(&default).await }))];
    let said =
        Sdk::Python.ask(Generation::Newest, &[&url(&default, "basic-mcpserver").await], &[], &logs).await;
    assert_eq!(said.answers[1]["result"]["isError"], true, "{:?}", said.answers);
    assert!(text(&said.answers[1]).contains("system:serviceaccount:default:default may not"));
    let binding =
        ["create", "rolebinding", "viewer", "--clusterrole=view", "--serviceaccount=default:default"];
    default.kubectl(&binding, "").await.ok();
    for (namespace, name, _, known_as) in SERVERS {
        let namespace = if namespace == "default" { &default } else { &system };
        let url = url(namespace, name).await;
        for sdk in Sdk::ALL {
            let said = sdk.ask(Generation::Newest, &[&url], &[], &logs).await;
            assert_eq!(said.server["name"], known_as, "{sdk:?} asks {name}");
            assert_eq!(tools(&said.answers[0]), ["create-pod", "get-pod-logs", "delete-pod"]);
            if namespace.name == "default" {
                assert_eq!(said.answers[1]["result"]["isError"], false, "{}", said.answers[1]);
                assert!(!text(&said.answers[1]).is_empty());
            }
        }
    }

    let url = url(&system, "cluster-tools").await;
    for sdk in Sdk::ALL {
        for generation in [Generation::Newest, Generation::Initialize] {
            pods_are_made_read_and_deleted(&system, sdk, generation, &url).await;
        }
    }

    default.kubectl(&["delete", "rolebinding", "viewer"], "").await.ok();
    installed.kubectl(&["delete", "--filename", &seeds], "").await.ok();
    let samples = path("config/samples").display().to_string();
    installed.kubectl(&["delete", "--kustomize", &samples], "").await.ok();
    // The operator has found their Redis where their pods have.
    let held = system.list("Event").await.into_iter().find(|event| event["reason"] == "KeysNotRemoved");
    assert_eq!(held, None);
    let redis = path("config/samples/redis").display().to_string();
    installed.kubectl(&["delete", "--kustomize", &redis], "").await.ok();
    wait::until("nothing is left of the servers", async || {
        let left = [default.list("Deployment").await, system.list("Deployment").await].concat();
        if left.is_empty() { Ok(()) } else { Err(format!("{} Deployments", left.len())) }
    })
    .await;
}

/// The only pod of a seed.
async fn pod_of(namespace: &Namespace) -> String {
    crate::support::pods::of(namespace, "basic-mcpserver").await["metadata"]["name"]
        .as_str()
        .unwrap()
        .to_owned()
}

fn tools(answer: &Value) -> Vec<&str> {
    let listed = answer["result"]["tools"].as_array().unwrap_or_else(|| panic!("no tools in {answer}"));
    listed.iter().filter_map(|tool| tool["name"].as_str()).collect()
}

/// A pod that a client has made runs to its end, and what it said can be read.
async fn pods_are_made_read_and_deleted(namespace: &Namespace, sdk: Sdk, generation: Generation, url: &str) {
    let pod = format!("{sdk:?}-{generation:?}").to_lowercase();
    let image = concat!("mcp-operator:", env!("CARGO_PKG_VERSION"));
    let made = json!({ "name": pod, "image": image, "args": ["version"], "restartPolicy": "Never" });
    let said = sdk.ask(generation, &[url], &[], &[call("create-pod", made)]).await;
    assert_eq!(said.answers[0]["result"]["isError"], false, "{}", said.answers[0]);
    namespace.until("Pod", &pod, "it has ended", |found| found["status"]["phase"] == "Succeeded").await;
    let requests = [call("get-pod-logs", json!({ "name": pod })), call("delete-pod", json!({ "name": pod }))];
    let said = sdk.ask(generation, &[url], &[], &requests).await;
    assert!(text(&said.answers[0]).contains(env!("CARGO_PKG_VERSION")), "{}", said.answers[0]);
    assert_eq!(said.answers[1]["result"]["isError"], false, "{}", said.answers[1]);
    namespace.until_gone("Pod", &pod).await;
}

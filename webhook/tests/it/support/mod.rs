//! Reviews to ask, and answers to look into.

mod answer;
mod server;

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Body;
use http::{Request, StatusCode, header};
use http_body_util::BodyExt;
use mcp_crds::catalog::{Catalog, Entry};
use mcp_crds::kind::{GROUP, Kind, VERSION};
use mcp_webhook::{Admission, Metrics, router};
use parking_lot::{Mutex, RwLock};
use prometheus_client::registry::Registry;
use serde_json::{Value, json};
use tower::ServiceExt;

pub(crate) use answer::Answer;
pub(crate) use server::{Client, H1, H2, TestServer, mk_limits};

pub(crate) const UID: &str = "705ab4f5-6393-11e8-b7cc-42010a800002";
pub(crate) const MUTATE: &str = "/mutate";
pub(crate) const VALIDATE: &str = "/validate";

/// A review of an object of one of our kinds, as the API server sends it.
pub(crate) fn mk_review(operation: &str, kind: Kind, object: Value) -> Value {
    let name = object["metadata"]["name"].clone();
    json!({
        "kind": "AdmissionReview",
        "apiVersion": "admission.k8s.io/v1",
        "request": {
            "uid": UID,
            "kind": {"group": GROUP, "version": VERSION, "kind": kind.as_str()},
            "resource": {"group": GROUP, "version": VERSION, "resource": kind.plural()},
            "requestKind": {"group": GROUP, "version": VERSION, "kind": kind.as_str()},
            "requestResource": {"group": GROUP, "version": VERSION, "resource": kind.plural()},
            "name": name,
            "namespace": "default",
            "operation": operation,
            "userInfo": {"username": "kubernetes-admin", "groups": ["system:masters", "system:authenticated"]},
            "object": object,
            "oldObject": null,
            "dryRun": false,
            "options": {"kind": "CreateOptions", "apiVersion": "meta.k8s.io/v1", "fieldManager": "kubectl"}
        }
    })
}

pub(crate) fn mk_create(kind: Kind, object: Value) -> Value {
    mk_review("CREATE", kind, object)
}

pub(crate) fn mk_update(kind: Kind, old: Value, new: Value) -> Value {
    let mut review = mk_review("UPDATE", kind, new);
    review["request"]["oldObject"] = old;
    review
}

pub(crate) fn mk_dry_run(mut review: Value) -> Value {
    review["request"]["dryRun"] = json!(true);
    review
}

/// A `kubectl scale` of an MCPServer.
pub(crate) fn mk_scale(server: &str, from: i64, to: i64) -> Value {
    let scale = |replicas: i64| {
        let mut scale = json!({
            "apiVersion": "autoscaling/v1", "kind": "Scale",
            "metadata": {"name": server, "namespace": "default"},
            "spec": {}, "status": {"replicas": from}
        });
        // Go leaves out a zero.
        if replicas != 0 {
            scale["spec"]["replicas"] = json!(replicas);
        }
        scale
    };
    let mut review = mk_update(Kind::Server, scale(from), scale(to));
    review["request"]["kind"] = json!({"group": "autoscaling", "version": "v1", "kind": "Scale"});
    review["request"]["subResource"] = json!("scale");
    review
}

/// A tool that every rule accepts.
pub(crate) fn mk_tool(name: &str) -> Value {
    json!({
        "apiVersion": "mcp.example.com/v1alpha1",
        "kind": "MCPTool",
        "metadata": {"name": name, "namespace": "default", "labels": {"app": "search"}},
        "spec": {
            "description": "Searches.",
            "service": {"name": "search", "port": 8080, "path": "/search"},
            "inputSchema": {
                "type": "object",
                "properties": {"query": {"type": "string"}, "limit": {"type": "integer", "minimum": 1}},
                "required": ["query"]
            }
        }
    })
}

/// A server that every rule accepts, and that selects what [`mk_tool`] makes.
pub(crate) fn mk_server(name: &str) -> Value {
    json!({
        "apiVersion": "mcp.example.com/v1alpha1",
        "kind": "MCPServer",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {"toolSelector": {"matchLabels": {"app": "search"}}}
    })
}

/// A server with one mistake.
pub(crate) fn mk_wrong(name: &str) -> Value {
    let mut server = mk_server(name);
    server["spec"]["port"] = json!(0);
    server
}

/// A server that runs one process.
pub(crate) fn mk_stdio(name: &str, replicas: i64) -> Value {
    let mut server = mk_server(name);
    server["spec"] = json!({
        "transport": "stdio", "image": "example.com/mcp:1", "command": ["mcp"], "replicas": replicas
    });
    server
}

/// The webhooks, with a catalog to look into, and a clock to turn.
pub(crate) struct Webhooks {
    pub(crate) router: Router,
    pub(crate) catalog: Arc<RwLock<Catalog>>,
    pub(crate) clock: Arc<Mutex<Instant>>,
    registry: Registry,
}

impl Webhooks {
    pub(crate) fn new() -> Self {
        let clock = Arc::new(Mutex::new(Instant::now()));
        let now = Arc::clone(&clock);
        Self::with_clock(clock, move || *now.lock())
    }

    /// Webhooks with a bug: whatever asks for the time panics.
    pub(crate) fn panicking() -> Self {
        Self::with_clock(Arc::new(Mutex::new(Instant::now())), || panic!("the clock is broken"))
    }

    fn with_clock(clock: Arc<Mutex<Instant>>, now: impl Fn() -> Instant + Send + Sync + 'static) -> Self {
        let catalog = Arc::new(RwLock::new(Catalog::default()));
        let metrics = Metrics::default();
        let mut registry = Registry::default();
        metrics.register(&mut registry);
        let router = router(Admission::new(Arc::clone(&catalog), metrics, Arc::new(now)));
        Self { router, catalog, clock, registry }
    }

    /// Shows the catalog a stored server, as the watch would.
    pub(crate) fn know_server(&self, mut server: Value) {
        mcp_crds::default::apply(Kind::Server, &mut server, None);
        self.catalog.write().apply(Entry::read(Kind::Server, "default", &server));
    }

    pub(crate) fn pass(&self, time: Duration) {
        *self.clock.lock() += time;
    }

    /// What `/metrics` would show.
    pub(crate) fn metrics(&self) -> String {
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &self.registry).unwrap();
        text
    }

    pub(crate) async fn post(&self, path: &str, body: impl Into<Body>) -> (StatusCode, Vec<u8>) {
        let request =
            Request::post(path).header(header::CONTENT_TYPE, "application/json").body(body.into()).unwrap();
        let response = self.router.clone().oneshot(request).await.unwrap();
        let status = response.status();
        (status, response.into_body().collect().await.unwrap().to_bytes().to_vec())
    }

    /// Asks what must be answered with a well-formed review.
    pub(crate) async fn ask(&self, path: &str, review: &Value) -> Answer {
        let (status, body) = self.post(path, review.to_string()).await;
        assert_eq!(status, StatusCode::OK, "{}", String::from_utf8_lossy(&body));
        Answer::parse(&body, review["request"]["uid"].as_str().unwrap())
    }

    /// Both webhooks in the API server's order, with the patch applied between them. The refusal, or the object
    /// as it would be stored.
    pub(crate) async fn admit(&self, review: &Value) -> Result<Value, Answer> {
        let answer = self.ask(MUTATE, review).await;
        if !answer.allowed() {
            return Err(answer);
        }
        let mut review = review.clone();
        review["request"]["object"] = answer.patched(&review["request"]["object"]);
        let answer = self.ask(VALIDATE, &review).await;
        if answer.allowed() { Ok(review["request"]["object"].clone()) } else { Err(answer) }
    }
}

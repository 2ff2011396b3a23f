//! An operator without watches, and an API server that records what it is asked.

use std::collections::{BTreeMap, VecDeque};
use std::convert::Infallible;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

use http::{Request, Response};
use http_body_util::BodyExt;
use kube::client::Body;
use kube::core::Status;
use parking_lot::Mutex;
use serde_json::Value;

use crate::children::{ChildKey, ChildKind};
use crate::reconcile::fixture::{NOW, at, entry, mk_deployment, sight};
use crate::reconcile::*;
use crate::recorder::{Occurrences, recorder};

/// A request, as far as it matters.
#[derive(Debug, Clone)]
pub(super) struct Call {
    pub(super) method: String,
    pub(super) path: String,
    pub(super) query: String,
    pub(super) body: Value,
}

impl Call {
    pub(super) fn line(&self) -> String {
        let path = self.path.rsplit("/namespaces/team/").next().unwrap_or_default();
        format!("{} {path}", self.method)
    }
}

#[derive(Default)]
struct Server {
    calls: Vec<Call>,
    /// Answers to the next requests whose path ends so; all other writes succeed.
    answers: VecDeque<(&'static str, u16, Value)>,
    /// What requests are never answered: those whose path ends so.
    silent: Option<&'static str>,
    /// What the Deployment's controller has reported.
    pods: Option<Value>,
}

/// An operator with its stores, and the API server that it talks to.
pub(super) struct Cluster {
    pub(super) context: Context,
    server: Arc<Mutex<Server>>,
    pub(super) now: Arc<AtomicI64>,
    pub(super) leads: Arc<AtomicBool>,
    /// The children as they are stored.
    stored: BTreeMap<ChildKey, Value>,
    versions: u64,
    told: Occurrences,
}

impl Cluster {
    pub(super) fn new() -> Self {
        let server = Arc::new(Mutex::new(Server::default()));
        let client = Client::new(
            tower::service_fn({
                let server = Arc::clone(&server);
                move |request| answer(Arc::clone(&server), request)
            }),
            "team",
        );
        let (recorder, told) = recorder();
        let (now, leads) = (Arc::new(AtomicI64::new(NOW)), Arc::new(AtomicBool::new(true)));
        let context = Context {
            client,
            catalog: Arc::default(),
            children: Arc::default(),
            probes: Arc::default(),
            pods: Arc::default(),
            redis: Arc::default(),
            removals: Arc::default(),
            gateway_image: "mcp-gateway:1".into(),
            recorder,
            may_write: {
                let leads = Arc::clone(&leads);
                Arc::new(move || leads.load(Ordering::Relaxed))
            },
            clock: {
                let now = Arc::clone(&now);
                Arc::new(move || at(now.load(Ordering::Relaxed)))
            },
            written: Written::default(),
        };
        Self { context, server, now, leads, stored: BTreeMap::new(), versions: 1000, told }
    }

    pub(super) fn with(document: &Value) -> Self {
        let cluster = Self::new();
        cluster.store(Kind::Server, document);
        cluster
    }

    pub(super) fn store(&self, kind: Kind, document: &Value) {
        self.context.catalog.write().apply(entry(kind, document));
    }

    /// The watches show what was written: children, and the status of the server.
    pub(super) fn watch(&mut self, calls: &[Call]) {
        for call in calls {
            let path: Vec<&str> = call.path.rsplit('/').collect();
            if call.method == "DELETE" {
                let kind = ChildKind::ALL.into_iter().find(|kind| kind.resource().plural == path[1]);
                self.delete(kind.unwrap(), path[0]);
            } else if let Some(kind) = Kind::from_name(call.body["kind"].as_str().unwrap_or_default()) {
                let mut document = self.document(kind, call.body["metadata"]["name"].as_str().unwrap());
                document["status"] = call.body["status"].clone();
                self.store(kind, &document);
            } else {
                self.show(stored(call));
            }
        }
    }

    /// A watch shows a child. It is a later version of what was there.
    pub(super) fn show(&mut self, mut object: Value) {
        self.versions += 1;
        object["metadata"]["resourceVersion"] = self.versions.to_string().into();
        let sight = sight(&object);
        self.stored.insert(sight.key.clone(), object);
        self.context.children.apply(sight);
    }

    /// A watch shows a child that somebody has changed.
    pub(super) fn change(&mut self, kind: ChildKind, name: &str, change: impl FnOnce(&mut Value)) {
        let mut object = self.child(kind, name).clone();
        change(&mut object);
        self.show(object);
    }

    /// A watch shows that somebody has deleted a child.
    pub(super) fn delete(&mut self, kind: ChildKind, name: &str) {
        let object = self.stored.remove(&key(kind, name)).unwrap();
        self.context.children.delete(&sight(&object));
    }

    /// What was told since the last look, as reason and note.
    pub(super) fn told(&mut self) -> Vec<(&'static str, String)> {
        std::iter::from_fn(|| self.told.try_recv().ok()).map(|told| (told.reason, told.note)).collect()
    }

    pub(super) fn child(&self, kind: ChildKind, name: &str) -> &Value {
        &self.stored[&key(kind, name)]
    }

    /// The Deployment's pods have come.
    pub(super) fn start_pods(&mut self) {
        let wanted = self.child(ChildKind::Deployment, "main")["spec"]["replicas"].as_i64().unwrap_or(1);
        let wanted = i32::try_from(wanted).unwrap();
        let status = mk_deployment(wanted, wanted)["status"].clone();
        self.server.lock().pods = Some(status.clone());
        self.change(ChildKind::Deployment, "main", |deployment| deployment["status"] = status);
    }

    pub(super) fn document(&self, kind: Kind, name: &str) -> Value {
        let catalog = self.context.catalog.read();
        serde_json::from_str(&catalog.get(&ObjectKey::new(kind, "team", name)).unwrap().document).unwrap()
    }

    pub(super) fn answer(&self, path: &'static str, code: u16, body: Value) {
        self.server.lock().answers.push_back((path, code, body));
    }

    pub(super) fn never_answer(&self, path: &'static str) {
        self.server.lock().silent = Some(path);
    }

    /// A pass over the server, and the requests that it made.
    pub(super) async fn pass(&self) -> (Result<Outcome, Error>, Vec<Call>) {
        self.pass_over(Kind::Server, "main").await
    }

    pub(super) async fn pass_over(&self, kind: Kind, name: &str) -> (Result<Outcome, Error>, Vec<Call>) {
        let outcome = reconcile(&ObjectKey::new(kind, "team", name), &self.context).await;
        (outcome, std::mem::take(&mut self.server.lock().calls))
    }

    /// Passes until one makes no request; the watches show what each wrote.
    pub(super) async fn settle(&mut self) {
        for _ in 0..5 {
            let (outcome, calls) = self.pass().await;
            outcome.unwrap();
            if calls.is_empty() {
                return;
            }
            self.watch(&calls);
            if self.stored.contains_key(&key(ChildKind::Deployment, "main")) {
                self.start_pods();
            }
        }
        panic!("passes do not come to rest");
    }
}

fn key(kind: ChildKind, name: &str) -> ChildKey {
    ChildKey { kind, namespace: "team".into(), name: name.into() }
}

/// What the API server would make of an applied object.
pub(super) fn stored(call: &Call) -> Value {
    let mut object = call.body.clone();
    let kind = object["kind"].as_str().unwrap_or_default().to_lowercase();
    let metadata = object["metadata"].as_object_mut().unwrap();
    metadata.insert("namespace".to_owned(), "team".into());
    metadata.insert("uid".to_owned(), format!("uid-of-{kind}").into());
    metadata.insert("resourceVersion".to_owned(), "0".into());
    metadata.insert("generation".to_owned(), 1.into());
    metadata.insert("creationTimestamp".to_owned(), at(NOW).to_string().into());
    if let Some(requests) = object.pointer_mut("/spec/template/spec/containers/0/resources/requests") {
        requests["memory"] = "256Mi".into();
    }
    object
}

async fn answer(server: Arc<Mutex<Server>>, request: Request<Body>) -> Result<Response<Body>, Infallible> {
    let (head, body) = request.into_parts();
    let bytes = body.collect().await.unwrap().to_bytes();
    let call = Call {
        method: head.method.to_string(),
        path: head.uri.path().to_owned(),
        query: head.uri.query().unwrap_or_default().to_owned(),
        body: serde_json::from_slice(&bytes).unwrap_or_default(),
    };
    server.lock().calls.push(call.clone());
    if server.lock().silent.is_some_and(|path| call.path.ends_with(path)) {
        std::future::pending::<()>().await;
    }
    let mut server = server.lock();
    let planned = server.answers.iter().position(|(path, _, _)| call.path.ends_with(path));
    let (code, body) = match planned.and_then(|planned| server.answers.remove(planned)) {
        Some((_, code, body)) => (code, body),
        None if call.method == "PATCH" => {
            let mut object = stored(&call);
            if let (Some(pods), "Deployment") = (&server.pods, object["kind"].as_str().unwrap_or_default()) {
                object["status"] = pods.clone();
                if object["spec"].get("replicas").is_none() {
                    object["spec"]["replicas"] = pods["replicas"].clone();
                }
            }
            (200, object)
        }
        None if call.method == "DELETE" => (200, failure(200, "", "")),
        None => (404, failure(404, "NotFound", "not found")),
    };
    Ok(Response::builder().status(code).body(Body::from(body.to_string().into_bytes())).unwrap())
}

pub(super) fn failure(code: u16, reason: &str, message: &str) -> Value {
    serde_json::to_value(Status::failure(message, reason).with_code(code)).unwrap()
}

pub(super) fn lines(calls: &[Call]) -> Vec<String> {
    calls.iter().map(Call::line).collect()
}

//! An operator without watches, and an API server that records what it is asked.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

use http::{Request, Response};
use http_body_util::BodyExt;
use kube::client::Body;
use kube::core::Status;
use kube::runtime::reflector::{self, store::Writer};
use kube::runtime::watcher::Event;
use parking_lot::Mutex;
use serde_json::Value;

use crate::reconcile::fixture::{NOW, at, entry, mk_deployment};
use crate::reconcile::*;

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
    /// What the Deployment's controller has reported.
    pods: Option<Value>,
}

/// An operator with its stores, and the API server that it talks to.
pub(super) struct Cluster {
    pub(super) context: Context,
    server: Arc<Mutex<Server>>,
    pub(super) now: Arc<AtomicI64>,
    pub(super) leads: Arc<AtomicBool>,
    deployments: Writer<Deployment>,
    pub(super) services: Writer<Service>,
    config_maps: Writer<ConfigMap>,
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
        let (deployment_store, deployments) = reflector::store();
        let (service_store, services) = reflector::store();
        let (config_map_store, config_maps) = reflector::store();
        let (now, leads) = (Arc::new(AtomicI64::new(NOW)), Arc::new(AtomicBool::new(true)));
        let context = Context {
            client,
            catalog: Arc::default(),
            children: Children {
                deployments: deployment_store,
                services: service_store,
                config_maps: config_map_store,
            },
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
        Self { context, server, now, leads, deployments, services, config_maps }
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
            let object = stored(call);
            match call.body["kind"].as_str().unwrap() {
                "Deployment" => self.watch_deployment(object),
                "Service" => self.watch_service(object),
                "ConfigMap" => {
                    self.config_maps
                        .apply_watcher_event(&Event::Apply(serde_json::from_value(object).unwrap()));
                }
                kind => {
                    let kind = Kind::from_name(kind).unwrap();
                    let mut document = self.document(kind, call.body["metadata"]["name"].as_str().unwrap());
                    document["status"] = call.body["status"].clone();
                    self.store(kind, &document);
                }
            }
        }
    }

    pub(super) fn watch_deployment(&mut self, object: Value) {
        self.deployments.apply_watcher_event(&Event::Apply(serde_json::from_value(object).unwrap()));
    }

    pub(super) fn watch_service(&mut self, object: Value) {
        self.services.apply_watcher_event(&Event::Apply(serde_json::from_value(object).unwrap()));
    }

    /// The Deployment's pods have come.
    pub(super) fn start_pods(&mut self) {
        let key = reflector::ObjectRef::new("main").within("team");
        let mut deployment = (*self.context.children.deployments.get(&key).unwrap()).clone();
        let wanted = deployment.spec.as_ref().unwrap().replicas;
        deployment.status = mk_deployment(wanted.unwrap_or(1), wanted.unwrap_or(1)).status;
        self.server.lock().pods = Some(serde_json::to_value(&deployment.status).unwrap());
        self.deployments.apply_watcher_event(&Event::Apply(deployment));
    }

    pub(super) fn document(&self, kind: Kind, name: &str) -> Value {
        let catalog = self.context.catalog.read();
        serde_json::from_str(&catalog.get(&ObjectKey::new(kind, "team", name)).unwrap().document).unwrap()
    }

    pub(super) fn answer(&self, path: &'static str, code: u16, body: Value) {
        self.server.lock().answers.push_back((path, code, body));
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
            self.start_pods();
        }
        panic!("passes do not come to rest");
    }
}

/// What the API server would make of an applied object.
pub(super) fn stored(call: &Call) -> Value {
    let mut object = call.body.clone();
    let kind = object["kind"].as_str().unwrap_or_default().to_lowercase();
    let metadata = object["metadata"].as_object_mut().unwrap();
    metadata.insert("namespace".to_owned(), "team".into());
    metadata.insert("uid".to_owned(), format!("uid-of-{kind}").into());
    metadata.insert("resourceVersion".to_owned(), "200".into());
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
    let mut server = server.lock();
    server.calls.push(call.clone());
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

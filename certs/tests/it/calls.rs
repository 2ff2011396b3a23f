//! Which calls a pass makes, pinned on an API server of two pages.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use http::{Method, Request, Response, StatusCode};
use http_body_util::BodyExt as _;
use jiff::Timestamp;
use kube::Client;
use kube::client::Body;
use mcp_certs::rotation::Change;
use mcp_certs::{CertResolver, Config, Contents, Next, PassError, Policy, Rotator, follow, service_names};
use serde_json::{Value, json};
use tokio::sync::watch;

const SECRETS: &str = "/api/v1/namespaces/operators/secrets";
const SECRET: &str = "/api/v1/namespaces/operators/secrets/cert";
const VALIDATING: &str = "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations/hooks";
const MUTATING: &str = "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations/hooks";

/// Objects by path, and the requests that were made.
#[derive(Default)]
struct ApiServer {
    objects: BTreeMap<String, Value>,
    version: u64,
    calls: Vec<String>,
    /// Run before each write is looked at: what somebody else does in between.
    meanwhile: Option<fn(&mut ApiServer)>,
    lists: u64,
}

type Shared = Arc<Mutex<ApiServer>>;

fn status(code: u16, reason: &str) -> (u16, Value) {
    (
        code,
        json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code, "reason": reason, "message": reason}),
    )
}

impl ApiServer {
    fn put(&mut self, path: &str, mut object: Value) -> Value {
        self.version += 1;
        object["metadata"]["resourceVersion"] = json!(self.version.to_string());
        self.objects.insert(path.to_owned(), object.clone());
        object
    }

    fn answer(&mut self, method: &Method, path: &str, query: &str, body: &[u8]) -> (u16, Value) {
        if query.contains("fieldSelector") {
            // Lists only: a watch has always expired, so the next thing is another list.
            self.lists += 1;
            let items: Vec<_> =
                self.objects.iter().filter(|(at, _)| at.starts_with(path)).map(|(_, it)| it).collect();
            let list = json!({"kind": "List", "apiVersion": "v1", "metadata": {"resourceVersion": "1"}, "items": items});
            let (_, expired) = status(410, "Expired");
            let event = json!({"type": "ERROR", "object": expired});
            return (200, if query.contains("watch=") { event } else { list });
        }
        let short = path.rsplit('/').nth(1).unwrap_or_default().trim_end_matches("webhookconfigurations");
        self.calls.push(format!("{method} {short}"));
        if method != Method::GET
            && let Some(meanwhile) = self.meanwhile.take()
        {
            meanwhile(self);
        }
        let current = self.objects.get(path).cloned();
        match (method.as_str(), current) {
            ("GET", Some(object)) => (200, object),
            ("POST", _) if self.objects.contains_key(SECRET) => status(409, "AlreadyExists"),
            ("POST", _) => (201, self.put(SECRET, serde_json::from_slice(body).unwrap())),
            ("PUT", Some(current)) => {
                let sent: Value = serde_json::from_slice(body).unwrap();
                if sent["metadata"]["resourceVersion"] == current["metadata"]["resourceVersion"] {
                    (200, self.put(path, sent))
                } else {
                    status(409, "Conflict")
                }
            }
            ("PATCH", Some(mut current)) => {
                let patch: json_patch::Patch = serde_json::from_slice(body).unwrap();
                match json_patch::patch(&mut current, &patch) {
                    Ok(()) => (200, self.put(path, current)),
                    Err(_) => status(422, "Invalid"),
                }
            }
            _ => status(404, "NotFound"),
        }
    }
}

fn client(server: &Shared) -> Client {
    let server = server.clone();
    let service = tower::service_fn(move |request: Request<Body>| {
        let server = server.clone();
        async move {
            let (parts, body) = request.into_parts();
            let body = body.collect().await.unwrap().to_bytes();
            let query = parts.uri.query().unwrap_or_default();
            let (code, answer) = server.lock().unwrap().answer(&parts.method, parts.uri.path(), query, &body);
            let response = Response::builder().status(StatusCode::from_u16(code).unwrap());
            Ok::<_, Infallible>(response.body(Body::from(answer.to_string().into_bytes())).unwrap())
        }
    });
    Client::new(service, "default")
}

fn config() -> Config {
    Config {
        namespace: "operators".into(),
        secret: "cert".into(),
        validating: Some("hooks".into()),
        mutating: Some("hooks".into()),
        policy: Policy::new(service_names("webhook", "operators").unwrap()),
    }
}

/// An API server with both configurations, as the manifests ship them.
fn mk_server() -> Shared {
    let mut server = ApiServer::default();
    for (path, kind) in
        [(VALIDATING, "ValidatingWebhookConfiguration"), (MUTATING, "MutatingWebhookConfiguration")]
    {
        let webhook = |name: &str| {
            json!({
                "name": name, "sideEffects": "None", "admissionReviewVersions": ["v1"],
                "clientConfig": {"service": {"namespace": "operators", "name": "webhook"}},
            })
        };
        server.put(
            path,
            json!({
                "apiVersion": "admissionregistration.k8s.io/v1", "kind": kind, "metadata": {"name": "hooks"},
                "webhooks": [webhook("a.example.com"), webhook("b.example.com")],
            }),
        );
    }
    Arc::new(Mutex::new(server))
}

struct Replica {
    rotator: Rotator,
    state: watch::Receiver<mcp_certs::RotationState>,
    gate: watch::Sender<bool>,
}

fn mk_replica(server: &Shared, leading: bool) -> Replica {
    let (gate, writer) = watch::channel(leading);
    let (rotator, state) = Rotator::new(client(server), config(), writer).unwrap();
    Replica { rotator, state, gate }
}

impl Replica {
    async fn pass(&mut self) -> Result<Next, PassError> {
        self.rotator.pass(Timestamp::now()).await
    }

    async fn settle(&mut self) {
        for _ in 0..8 {
            if let Next::After(_) = self.pass().await.unwrap() {
                return;
            }
        }
        panic!("does not settle");
    }
}

fn calls(server: &Shared) -> Vec<String> {
    std::mem::take(&mut server.lock().unwrap().calls)
}

const READS: [&str; 3] = ["GET validating", "GET mutating", "GET secrets"];

fn bundle(server: &Shared, path: &str, index: usize) -> Value {
    server.lock().unwrap().objects[path]["webhooks"][index]["clientConfig"]["caBundle"].clone()
}

#[tokio::test]
async fn a_leader_creates_then_fills_then_rests() {
    let server = mk_server();
    let mut leader = mk_replica(&server, true);
    leader.pass().await.unwrap();
    // The path of a create ends with the collection.
    assert_eq!(calls(&server), [&READS[..], &["POST operators"]].concat());
    assert!(!leader.state.borrow().trusted);
    leader.pass().await.unwrap();
    assert_eq!(calls(&server), [&READS[..], &["PATCH validating", "PATCH mutating"]].concat());
    let next = leader.pass().await.unwrap();
    assert!(matches!(next, Next::After(pause) if pause > Duration::ZERO));
    assert_eq!(calls(&server), READS, "a steady state is not written");
    assert!(leader.state.borrow().trusted);

    let ca = server.lock().unwrap().objects[SECRET]["data"]["ca.crt"].clone();
    for (path, index) in [(VALIDATING, 0), (VALIDATING, 1), (MUTATING, 0), (MUTATING, 1)] {
        assert_eq!(bundle(&server, path, index), ca);
    }
    let secret = server.lock().unwrap().objects[SECRET].clone();
    assert_eq!(secret["type"], "kubernetes.io/tls");
}

/// Takes the bundle from a configuration's webhook, or gives it another.
fn set_bundle(server: &Shared, path: &str, index: usize, bundle: Option<&str>) {
    let mut server = server.lock().unwrap();
    let mut hooks = server.objects[path].clone();
    let client = hooks["webhooks"][index]["clientConfig"].as_object_mut().unwrap();
    match bundle {
        Some(bundle) => drop(client.insert("caBundle".to_owned(), json!(bundle))),
        None => drop(client.remove("caBundle")),
    }
    server.put(path, hooks);
}

#[tokio::test]
async fn a_replica_that_does_not_lead_creates_and_fills_what_is_empty() {
    let server = mk_server();
    let mut other = mk_replica(&server, false);
    assert_eq!(other.pass().await.unwrap(), Next::Wrote);
    calls(&server);
    assert_eq!(other.pass().await.unwrap(), Next::Wrote);
    assert_eq!(calls(&server), [&READS[..], &["PATCH validating", "PATCH mutating"]].concat());
    other.settle().await;
    assert!(other.state.borrow().trusted);
}

#[tokio::test]
async fn a_replica_that_does_not_lead_changes_no_trust() {
    let server = mk_server();
    let mut other = mk_replica(&server, false);
    other.settle().await;
    // One webhook of the first trusts another CA, and the other nobody; the second configuration trusts nobody.
    set_bundle(&server, VALIDATING, 0, Some("Z2FyYmFnZQ=="));
    for (path, index) in [(VALIDATING, 1), (MUTATING, 0), (MUTATING, 1)] {
        set_bundle(&server, path, index, None);
    }
    calls(&server);
    other.settle().await;
    assert_eq!(calls(&server), [&READS[..], &["PATCH mutating"], &READS[..]].concat());
    assert_eq!(bundle(&server, VALIDATING, 0), "Z2FyYmFnZQ==");

    other.gate.send(true).unwrap();
    assert_eq!(other.pass().await.unwrap(), Next::Wrote);
    assert_eq!(bundle(&server, VALIDATING, 0), bundle(&server, MUTATING, 0));
}

#[tokio::test]
async fn who_loses_the_race_to_create_adopts() {
    let server = mk_server();
    server.lock().unwrap().meanwhile = Some(|server| {
        let made = Change::Bootstrap.apply(&Contents::default(), &config().policy, Timestamp::now()).unwrap();
        server.put(SECRET, secret_of(&made));
    });
    let mut loser = mk_replica(&server, true);
    assert_eq!(loser.pass().await.unwrap(), Next::Contended);
    let before = server.lock().unwrap().objects[SECRET].clone();
    loser.settle().await;
    assert_eq!(server.lock().unwrap().objects[SECRET], before);
}

fn secret_of(contents: &Contents) -> Value {
    let secret = k8s_openapi::api::core::v1::Secret {
        data: Some(BTreeMap::from([
            ("tls.crt".to_owned(), k8s_openapi::ByteString(contents.tls_crt.clone())),
            ("tls.key".to_owned(), k8s_openapi::ByteString(contents.tls_key.clone())),
            ("ca.crt".to_owned(), k8s_openapi::ByteString(contents.ca_crt.clone())),
            ("ca.key".to_owned(), k8s_openapi::ByteString(contents.ca_key.clone())),
        ])),
        ..Default::default()
    };
    let mut secret = serde_json::to_value(secret).unwrap();
    secret["metadata"] = json!({"name": "cert", "namespace": "operators"});
    secret
}

#[tokio::test]
async fn an_update_of_what_changed_in_between_is_refused_and_foreign_entries_stay() {
    let server = mk_server();
    let mut leader = mk_replica(&server, true);
    leader.settle().await;
    {
        let mut server = server.lock().unwrap();
        let mut secret = server.objects[SECRET].clone();
        secret["data"]["tls.key"] = json!("Z2FyYmFnZQ==");
        secret["data"]["other"] = json!("AAAA");
        secret["type"] = json!("Opaque");
        server.put(SECRET, secret);
        server.meanwhile = Some(|server| {
            let secret = server.objects[SECRET].clone();
            server.put(SECRET, secret);
        });
    }
    assert_eq!(leader.pass().await.unwrap(), Next::Contended);
    leader.settle().await;
    let secret = server.lock().unwrap().objects[SECRET].clone();
    assert_eq!((&secret["data"]["other"], &secret["type"]), (&json!("AAAA"), &json!("Opaque")));
    assert_ne!(secret["data"]["tls.key"], json!("Z2FyYmFnZQ=="));
}

#[tokio::test]
async fn only_what_was_wiped_is_filled() {
    let server = mk_server();
    let mut leader = mk_replica(&server, true);
    leader.settle().await;
    let before = bundle(&server, MUTATING, 1);
    {
        let mut server = server.lock().unwrap();
        let mut hooks = server.objects[MUTATING].clone();
        hooks["webhooks"][1]["clientConfig"].as_object_mut().unwrap().remove("caBundle");
        server.put(MUTATING, hooks);
    }
    calls(&server);
    leader.pass().await.unwrap();
    assert_eq!(calls(&server), [&READS[..], &["PATCH mutating"]].concat());
    assert_eq!(bundle(&server, MUTATING, 1), before);
}

#[tokio::test]
async fn webhooks_that_move_in_between_are_not_mixed_up() {
    let server = mk_server();
    let mut leader = mk_replica(&server, true);
    leader.pass().await.unwrap();
    server.lock().unwrap().meanwhile = Some(|server| {
        let mut hooks = server.objects[VALIDATING].clone();
        hooks["webhooks"].as_array_mut().unwrap().truncate(1);
        server.put(VALIDATING, hooks);
    });
    assert!(matches!(leader.pass().await, Err(PassError::Bundle(_))));
    assert_eq!(bundle(&server, VALIDATING, 0), Value::Null);
    leader.settle().await;
    assert!(bundle(&server, VALIDATING, 0).is_string());
}

#[tokio::test]
async fn a_missing_configuration_is_reported_and_filled_when_it_comes() {
    let server = mk_server();
    let hooks = server.lock().unwrap().objects.remove(MUTATING).unwrap();
    let mut leader = mk_replica(&server, true);
    leader.settle().await;
    assert_eq!(leader.state.borrow().missing, ["MutatingWebhookConfiguration/hooks"]);
    assert!(!leader.state.borrow().trusted);
    server.lock().unwrap().put(MUTATING, hooks);
    leader.settle().await;
    assert!(leader.state.borrow().missing.is_empty() && leader.state.borrow().trusted);
}

#[tokio::test]
async fn an_immutable_secret_is_an_error_and_no_write() {
    let server = mk_server();
    let mut leader = mk_replica(&server, true);
    let immutable = json!({"metadata": {"name": "cert"}, "immutable": true, "data": {"tls.crt": "AAAA"}});
    server.lock().unwrap().put(SECRET, immutable);
    let error = leader.pass().await.unwrap_err();
    assert_eq!(error.to_string(), "certificate's secret is immutable and has to be deleted");
    assert_eq!(calls(&server), READS);
}

#[tokio::test(start_paused = true)]
async fn run_gets_to_a_served_and_trusted_certificate() {
    let server = mk_server();
    let Replica { rotator, mut state, gate: _gate } = mk_replica(&server, true);
    let resolver = CertResolver::new();
    let (follower, mut served) = follow(client(&server), "operators", "cert", resolver);
    let both = async {
        state.wait_for(|state| state.trusted).await.unwrap();
        let served = served.wait_for(|served| served.is_loaded()).await.unwrap().clone();
        assert!(served.not_after.unwrap() > Timestamp::now());
        assert_eq!(served.ca_bundle.len(), 1);
    };
    tokio::select! {
        ended = rotator.run() => panic!("{ended:?}"),
        ended = follower.run() => panic!("{ended:?}"),
        done = tokio::time::timeout(Duration::from_secs(600), both) => done.unwrap(),
    }
    let lists = server.lock().unwrap().lists;
    assert!(lists >= 4, "{lists} lists of {SECRETS} and the configurations");
}

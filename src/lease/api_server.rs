//! An API server that keeps one Lease, for tests.

use std::sync::Arc;

use http::{Method, Request, Response, StatusCode};
use http_body_util::BodyExt;
use k8s_openapi::api::coordination::v1::Lease;
use kube::client::Body;
use parking_lot::Mutex;

#[derive(Default)]
struct Store {
    lease: Option<Lease>,
    version: u64,
    calls: Vec<Method>,
    /// Answer every request with this instead.
    outage: Option<Outage>,
}

/// How the server is away.
#[derive(Clone, Copy)]
pub(crate) enum Outage {
    Silence,
    Status(StatusCode),
}

/// The server. All clones are one.
#[derive(Clone, Default)]
pub(crate) struct ApiServer(Arc<Mutex<Store>>);

impl ApiServer {
    pub(crate) fn client(&self) -> kube::Client {
        let server = self.clone();
        kube::Client::new(
            tower::service_fn(move |request| {
                let server = server.clone();
                async move { Ok::<_, std::convert::Infallible>(server.answer(request).await) }
            }),
            "default",
        )
    }

    async fn answer(&self, request: Request<Body>) -> Response<Body> {
        let path = "/apis/coordination.k8s.io/v1/namespaces/mcp-operator-system/leases";
        assert!(request.uri().path().starts_with(path), "{}", request.uri());
        let method = request.method().clone();
        let body = request.into_body().collect().await.unwrap().to_bytes();
        let outage = {
            let mut store = self.0.lock();
            store.calls.push(method.clone());
            store.outage
        };
        match outage {
            Some(Outage::Silence) => std::future::pending().await,
            Some(Outage::Status(code)) => status(code, "InternalError"),
            None => self.0.lock().serve(&method, &body),
        }
    }

    pub(crate) fn lease(&self) -> Lease {
        self.0.lock().lease.clone().expect("there is a lease")
    }

    pub(crate) fn holder(&self) -> String {
        self.0.lock().lease.clone().and_then(|lease| lease.spec?.holder_identity).unwrap_or_default()
    }

    pub(crate) fn calls(&self) -> Vec<Method> {
        std::mem::take(&mut self.0.lock().calls)
    }

    pub(crate) fn outage(&self, outage: Option<Outage>) {
        self.0.lock().outage = outage;
    }

    /// Someone deletes the Lease.
    pub(crate) fn delete(&self) {
        self.0.lock().lease = None;
    }

    /// Someone else changes the object.
    pub(crate) fn edit(&self, edit: impl FnOnce(&mut Lease)) {
        let mut store = self.0.lock();
        let mut lease = store.lease.clone().expect("there is a lease");
        edit(&mut lease);
        store.put(lease);
    }
}

impl Store {
    fn serve(&mut self, method: &Method, body: &[u8]) -> Response<Body> {
        if *method == Method::GET {
            return match &self.lease {
                Some(lease) => json(StatusCode::OK, lease),
                None => status(StatusCode::NOT_FOUND, "NotFound"),
            };
        }
        let lease: Lease = serde_json::from_slice(body).unwrap();
        match (method, &self.lease) {
            (&Method::POST, Some(_)) => status(StatusCode::CONFLICT, "AlreadyExists"),
            (&Method::PUT, None) => status(StatusCode::NOT_FOUND, "NotFound"),
            (&Method::PUT, Some(known))
                if known.metadata.resource_version != lease.metadata.resource_version =>
            {
                status(StatusCode::CONFLICT, "Conflict")
            }
            _ => json(StatusCode::OK, &self.put(lease)),
        }
    }

    fn put(&mut self, mut lease: Lease) -> Lease {
        self.version += 1;
        lease.metadata.resource_version = Some(self.version.to_string());
        self.lease.insert(lease).clone()
    }
}

fn json(code: StatusCode, body: &impl serde::Serialize) -> Response<Body> {
    Response::builder().status(code).body(Body::from(serde_json::to_vec(body).unwrap())).unwrap()
}

fn status(code: StatusCode, reason: &str) -> Response<Body> {
    json(
        code,
        &serde_json::json!({"kind": "Status", "status": "Failure", "reason": reason, "code": code.as_u16()}),
    )
}

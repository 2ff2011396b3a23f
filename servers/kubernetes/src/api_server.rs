//! An API server of one page, for tests.

use std::convert::Infallible;
use std::sync::{Arc, Mutex};

use http::{Request, Response};
use http_body_util::BodyExt as _;
use kube::Client;
use kube::client::Body;
use serde_json::{Value, json};

use crate::kubernetes::Kubernetes;

/// A request as it arrived: method, path with query, body.
pub(crate) type Asked = (String, String, Value);

/// What was asked, in order.
#[derive(Clone, Default)]
pub(crate) struct Calls(Arc<Mutex<Vec<Asked>>>);

impl Calls {
    pub(crate) fn all(&self) -> Vec<Asked> {
        self.0.lock().unwrap().clone()
    }
}

/// A client for an API server that answers so, by method and path with query.
pub(crate) fn answering(
    answer: impl Fn(&str, &str) -> (u16, Vec<u8>) + Send + Sync + 'static,
) -> (Kubernetes, Calls) {
    let calls = Calls::default();
    let asked = calls.clone();
    let answer = Arc::new(answer);
    let service = tower::service_fn(move |request: Request<Body>| {
        let (asked, answer) = (asked.clone(), Arc::clone(&answer));
        async move {
            let (parts, body) = request.into_parts();
            let body = body.collect().await.unwrap().to_bytes();
            let path = parts.uri.path_and_query().unwrap().as_str().to_owned();
            let body = serde_json::from_slice(&body).unwrap_or(Value::Null);
            let (code, text) = answer(parts.method.as_str(), &path);
            asked.0.lock().unwrap().push((parts.method.to_string(), path, body));
            Ok::<_, Infallible>(Response::builder().status(code).body(Body::from(text)).unwrap())
        }
    });
    let client = Client::new(service, "default");
    (Kubernetes::new(client, "own".parse().unwrap()), calls)
}

/// An answer in JSON.
pub(crate) fn ok(value: &Value) -> (u16, Vec<u8>) {
    (200, value.to_string().into_bytes())
}

/// An error as API servers write it.
pub(crate) fn error(code: u16, message: &str) -> (u16, Vec<u8>) {
    let status = json!({
        "kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code, "reason": "Because", "message": message,
    });
    (code, status.to_string().into_bytes())
}

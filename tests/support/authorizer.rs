//! What an API server asks before it lets somebody do something: all of it, also what is in no request, such as whether an
//! apply may create.
//!
//! It is asked first, and has no opinion, so that the API server's own authorizer decides.

use std::collections::BTreeSet;
use std::fmt;
use std::future::ready;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::routing::post;
use bytes::Bytes;
use http::header::CONTENT_TYPE;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

/// A question about a resource.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Question {
    /// The API group, empty for the core group.
    pub(crate) group: String,
    /// The resource, with its subresource after a slash.
    pub(crate) resource: String,
    /// What is to be done.
    pub(crate) verb: String,
    /// Where; empty for all namespaces, and outside of them.
    pub(crate) namespace: String,
    /// The object, where the request names one.
    pub(crate) name: String,
}

impl fmt::Display for Question {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { group, resource, verb, namespace, name } = self;
        write!(f, "{verb} {resource}.{group} {namespace}/{name}")
    }
}

/// Is asked, and remembers. Dropping it closes it.
pub(crate) struct Authorizer {
    questions: Arc<Mutex<BTreeSet<Question>>>,
    folder: TempDir,
    _serving: JoinSet<()>,
}

impl Authorizer {
    /// One that remembers what is asked about a user.
    ///
    /// # Panics
    /// Where no port or no file can be had.
    pub(crate) async fn of(user: String) -> Self {
        let questions = Arc::<Mutex<BTreeSet<Question>>>::default();
        let asked = Arc::clone(&questions);
        let answer = move |review: Bytes| {
            let review: Value = serde_json::from_slice(&review).expect("a SubjectAccessReview");
            if review["spec"]["user"] == user.as_str() {
                asked.lock().unwrap().extend(question(&review["spec"]["resourceAttributes"]));
            }
            let no_opinion = json!({
                "apiVersion": "authorization.k8s.io/v1",
                "kind": "SubjectAccessReview",
                "status": { "allowed": false },
            });
            ready(([(CONTENT_TYPE, "application/json")], no_opinion.to_string()))
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let mut serving = JoinSet::new();
        serving.spawn(async move {
            let router = Router::new().route("/", post(answer));
            axum::serve(listener, router).await.expect("serve");
        });
        let config = json!({
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{ "name": "tests", "cluster": { "server": format!("http://{address}/") } }],
            "users": [{ "name": "tests", "user": {} }],
            "contexts": [{ "name": "tests", "context": { "cluster": "tests", "user": "tests" } }],
            "current-context": "tests",
        });
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join("authorizer"), config.to_string()).expect("write a file");
        Self { questions, folder, _serving: serving }
    }

    /// The flags of an API server that asks it.
    pub(crate) fn flags(&self) -> Vec<String> {
        let config = self.folder.path().join("authorizer");
        vec![
            "--authorization-mode=Webhook".to_owned(),
            "--authorization-webhook-version=v1".to_owned(),
            format!("--authorization-webhook-config-file={}", config.display()),
        ]
    }

    /// What was asked so far.
    pub(crate) fn questions(&self) -> BTreeSet<Question> {
        self.questions.lock().unwrap().clone()
    }
}

fn question(attributes: &Value) -> Option<Question> {
    let text = |key: &str| attributes[key].as_str().unwrap_or_default().to_owned();
    let resource = Some(text("resource")).filter(|resource| !resource.is_empty())?;
    let subresource = text("subresource");
    Some(Question {
        group: text("group"),
        resource: if subresource.is_empty() { resource } else { format!("{resource}/{subresource}") },
        verb: text("verb"),
        namespace: text("namespace"),
        name: text("name"),
    })
}

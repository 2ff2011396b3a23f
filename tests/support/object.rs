//! Objects as the API server speaks of them: JSON, status codes, causes, warnings.

use std::time::Duration;

use http::{Method, Request};
use kube::Client;
use kube::client::Body;
use mcp_crds::kind::{GROUP, Kind, VERSION};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use super::rules::Cause;
use super::wait;

/// Who makes objects by server-side apply.
const FIELD_MANAGER: &str = "tests";

/// How an object is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verb {
    /// `POST`.
    Create,
    /// `PUT`.
    Replace,
    /// Server-side apply, taking over fields of others.
    Apply,
}

/// How the API server answers.
#[derive(Debug)]
pub(crate) struct Reply {
    /// The HTTP status.
    pub(crate) code: u16,
    /// The object, or a `Status`.
    pub(crate) body: Value,
    /// The texts of the `Warning` headers.
    pub(crate) warnings: Vec<String>,
}

impl Reply {
    /// The object as it is stored.
    ///
    /// # Panics
    /// Where it was refused.
    #[track_caller]
    pub(crate) fn accepted(self) -> Value {
        assert!((200..300).contains(&self.code), "{}: {:#}", self.code, self.body);
        self.body
    }

    /// The causes of a refusal as invalid.
    ///
    /// # Panics
    /// Where it was not refused so.
    #[track_caller]
    pub(crate) fn refused(&self) -> Vec<Cause> {
        self.causes().unwrap_or_else(|problem| panic!("{problem}"))
    }

    /// The causes of a refusal as invalid, or what came instead. A cause whose reason is not the one that its message
    /// begins with is no cause.
    pub(crate) fn causes(&self) -> Result<Vec<Cause>, String> {
        if (self.code, &self.body["reason"]) != (422, &json!("Invalid")) {
            return Err(format!("{}: {:#}", self.code, without_noise(self.body.clone())));
        }
        let causes = self.body["details"]["causes"].as_array().into_iter().flatten();
        let read = |cause: &Value| {
            let text = |key: &str| cause[key].as_str().unwrap_or_default();
            Cause::read(&format!("{}: {}", text("field"), text("message")))
                .filter(|read| read.field == text("field") && read.reason == text("reason"))
                .ok_or_else(|| format!("{cause:#}"))
        };
        causes.map(read).collect()
    }
}

/// The path of a kind's objects in a namespace.
fn path(kind: &str, namespace: &str) -> String {
    let (prefix, plural) = match kind {
        "ConfigMap" => ("api/v1".to_owned(), "configmaps"),
        "Event" => ("api/v1".to_owned(), "events"),
        "Pod" => ("api/v1".to_owned(), "pods"),
        "ResourceQuota" => ("api/v1".to_owned(), "resourcequotas"),
        "Secret" => ("api/v1".to_owned(), "secrets"),
        "Service" => ("api/v1".to_owned(), "services"),
        "ServiceAccount" => ("api/v1".to_owned(), "serviceaccounts"),
        "Deployment" => ("apis/apps/v1".to_owned(), "deployments"),
        "Lease" => ("apis/coordination.k8s.io/v1".to_owned(), "leases"),
        "Ingress" => ("apis/networking.k8s.io/v1".to_owned(), "ingresses"),
        "NetworkPolicy" => ("apis/networking.k8s.io/v1".to_owned(), "networkpolicies"),
        "HorizontalPodAutoscaler" => ("apis/autoscaling/v2".to_owned(), "horizontalpodautoscalers"),
        "PodDisruptionBudget" => ("apis/policy/v1".to_owned(), "poddisruptionbudgets"),
        "Role" => ("apis/rbac.authorization.k8s.io/v1".to_owned(), "roles"),
        "RoleBinding" => ("apis/rbac.authorization.k8s.io/v1".to_owned(), "rolebindings"),
        other => {
            let kind = Kind::from_name(other).unwrap_or_else(|| panic!("no path is known for {other}"));
            (format!("apis/{GROUP}/{VERSION}"), kind.plural())
        }
    };
    format!("/{prefix}/namespaces/{namespace}/{plural}")
}

/// An object's name.
pub(crate) fn name(object: &Value) -> &str {
    object["metadata"]["name"].as_str().unwrap_or_default()
}

/// Sends an object that has a namespace.
///
/// # Panics
/// Where no answer comes.
pub(crate) async fn send(client: &Client, verb: Verb, object: &Value, dry_run: bool) -> Reply {
    let sent = try_send(client, verb, object, dry_run).await;
    sent.unwrap_or_else(|error| panic!("{} {}: {error}", object["kind"], name(object)))
}

/// Sends an object that has a namespace to an API server that may not be there.
///
/// # Errors
/// Where no answer comes.
pub(crate) async fn try_send(
    client: &Client,
    verb: Verb,
    object: &Value,
    dry_run: bool,
) -> Result<Reply, kube::Error> {
    let kind = object["kind"].as_str().expect("a kind");
    let namespace = object["metadata"]["namespace"].as_str().expect("a namespace");
    // A Scale is the server's.
    let (kind, subresource) = if kind == "Scale" { ("MCPServer", "/scale") } else { (kind, "") };
    let all = path(kind, namespace);
    let one = format!("{all}/{}{subresource}", name(object));
    let (method, path, content_type, mut query) = match verb {
        Verb::Create => (Method::POST, all, "application/json", Vec::new()),
        Verb::Replace => (Method::PUT, one, "application/json", Vec::new()),
        Verb::Apply => {
            let force = vec!["force=true".to_owned()];
            (Method::PATCH, one, "application/apply-patch+yaml", force)
        }
    };
    query.push(format!("fieldManager={FIELD_MANAGER}"));
    query.push("fieldValidation=Strict".to_owned());
    if dry_run {
        query.push("dryRun=All".to_owned());
    }
    try_request(client, method, &format!("{path}?{}", query.join("&")), content_type, Some(object)).await
}

/// Sends a merge patch.
pub(crate) async fn patch(client: &Client, kind: &str, namespace: &str, name: &str, patch: &Value) -> Reply {
    let path = format!("{}/{name}?fieldManager={FIELD_MANAGER}", path(kind, namespace));
    request(client, Method::PATCH, &path, "application/merge-patch+json", Some(patch)).await
}

/// Deletes an object.
pub(crate) async fn delete(client: &Client, kind: &str, namespace: &str, name: &str) -> Reply {
    let path = format!("{}/{name}", path(kind, namespace));
    request(client, Method::DELETE, &path, "application/json", None).await
}

/// An object, where it is there.
pub(crate) async fn find(client: &Client, kind: &str, namespace: &str, name: &str) -> Option<Value> {
    let path = format!("{}/{name}", path(kind, namespace));
    let reply = request(client, Method::GET, &path, "application/json", None).await;
    (reply.code != 404).then(|| reply.accepted())
}

/// All objects of a kind in a namespace.
pub(crate) async fn list(client: &Client, kind: &str, namespace: &str) -> Vec<Value> {
    let reply = request(client, Method::GET, &path(kind, namespace), "application/json", None).await;
    let mut list = reply.accepted();
    list["items"].as_array_mut().map(std::mem::take).unwrap_or_default()
}

/// Sends a request.
///
/// # Panics
/// Where no answer comes.
pub(crate) async fn request(
    client: &Client,
    method: Method,
    path: &str,
    content_type: &str,
    body: Option<&Value>,
) -> Reply {
    try_request(client, method, path, content_type, body)
        .await
        .unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Sends a request to an API server that may not be there. One that has just started asks for patience, and gets it.
///
/// # Errors
/// Where no answer comes.
pub(crate) async fn try_request(
    client: &Client,
    method: Method,
    path: &str,
    content_type: &str,
    body: Option<&Value>,
) -> Result<Reply, kube::Error> {
    let end = Instant::now() + wait::BOUND;
    loop {
        let reply = request_once(client, method.clone(), path, content_type, body).await?;
        match reply.body.pointer("/details/retryAfterSeconds").and_then(Value::as_u64) {
            Some(seconds) if reply.code == 429 && Instant::now() < end => {
                sleep(Duration::from_secs(seconds)).await;
            }
            _ => return Ok(reply),
        }
    }
}

async fn request_once(
    client: &Client,
    method: Method,
    path: &str,
    content_type: &str,
    body: Option<&Value>,
) -> Result<Reply, kube::Error> {
    let bytes = body.map(|body| body.to_string().into_bytes()).unwrap_or_default();
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header("accept", "application/json")
        .header("content-type", content_type)
        .body(Body::from(bytes))
        .expect("a request");
    let response = client.send(request).await?;
    let warnings = response.headers().get_all("warning").iter();
    let warnings =
        warnings.filter_map(|value| warning(std::str::from_utf8(value.as_bytes()).ok()?)).collect();
    let code = response.status().as_u16();
    let bytes = response.into_body().collect_bytes().await?;
    let body = serde_json::from_slice(&bytes)
        .unwrap_or_else(|_| Value::String(String::from_utf8_lossy(&bytes).into_owned()));
    Ok(Reply { code, body, warnings })
}

/// The text of a header such as `299 - "text"`.
fn warning(header: &str) -> Option<String> {
    let quoted = header.strip_prefix("299 - \"")?.strip_suffix('"')?;
    let mut text = String::new();
    let mut characters = quoted.chars();
    while let Some(character) = characters.next() {
        text.push(if character == '\\' { characters.next()? } else { character });
    }
    Some(text)
}

/// The object without what a reader of a failed test does not need.
pub(crate) fn without_noise(mut object: Value) -> Value {
    if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.remove("managedFields");
    }
    object
}

/// A condition's status and reason.
pub(crate) fn condition<'a>(object: &'a Value, name: &str) -> Option<(&'a str, &'a str)> {
    let conditions = object["status"]["conditions"].as_array()?;
    let found = conditions.iter().find(|condition| condition["type"] == name)?;
    Some((found["status"].as_str()?, found["reason"].as_str()?))
}

/// A condition's message.
pub(crate) fn message<'a>(object: &'a Value, name: &str) -> &'a str {
    let conditions = object["status"]["conditions"].as_array().into_iter().flatten();
    let mut found = conditions.filter(|condition| condition["type"] == name);
    found.next().and_then(|condition| condition["message"].as_str()).unwrap_or_default()
}

/// A value that is a text.
///
/// # Panics
/// Where it is none.
#[track_caller]
#[allow(dead_code, reason = "tests without pods compare values")]
pub(crate) fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("no text: {value}")).to_owned()
}

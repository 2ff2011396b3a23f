//! Namespaces: one a test, so that tests do not meet.

use std::net::{IpAddr, SocketAddr};
use std::process::{Command, Stdio};
use std::thread;

use k8s_openapi::api::core::v1::Namespace as CoreNamespace;
use kube::api::{DeleteParams, ObjectMeta, PostParams};
use kube::{Api, Client};
use mcp_crds::kind::Kind;
use mcp_operator::children::ChildKind;
use serde_json::{Value, json};

use super::cluster::{Cluster, binary};
use super::evidence;
use super::followed::Followed;
use super::object::{self, Reply, Verb};
use super::wait;

/// What a test's namespaces are known by.
pub(crate) const LABEL: &str = "mcp.example.com/tests";

/// A namespace of a test, and the client to work in it.
pub(crate) struct Namespace {
    /// Its name.
    pub(crate) name: String,
    /// Where it is.
    pub(crate) cluster: Cluster,
    client: Client,
    /// Whether it was made here.
    ours: bool,
}

impl Namespace {
    /// A new namespace whose name begins so, worked in by this client.
    ///
    /// # Panics
    /// Where it is refused.
    pub(crate) async fn make(cluster: &Cluster, client: &Client, prefix: &str) -> Self {
        let generate_name = Some(format!("{prefix}-"));
        Self::create_namespace(cluster, client, ObjectMeta { generate_name, ..ObjectMeta::default() }).await
    }

    /// A new namespace of this name, for manifests that say where they belong.
    ///
    /// # Panics
    /// Where it is refused, as when there is one.
    #[allow(dead_code, reason = "tests without pods say where objects belong")]
    pub(crate) async fn named(cluster: &Cluster, name: &str) -> Self {
        let name = Some(name.to_owned());
        let client = cluster.client().await;
        Self::create_namespace(cluster, &client, ObjectMeta { name, ..ObjectMeta::default() }).await
    }

    async fn create_namespace(cluster: &Cluster, client: &Client, metadata: ObjectMeta) -> Self {
        let labels = Some([(LABEL.to_owned(), "true".to_owned())].into());
        let metadata = ObjectMeta { labels, ..metadata };
        let namespace = CoreNamespace { metadata, ..CoreNamespace::default() };
        let api: Api<CoreNamespace> = Api::all(client.clone());
        let made = api.create(&PostParams::default(), &namespace).await.expect("make a namespace");
        let name = made.metadata.name.expect("a name");
        Self { name, cluster: cluster.clone(), client: client.clone(), ours: true }
    }

    /// One that is there.
    pub(crate) async fn existing(cluster: &Cluster, name: &str) -> Self {
        Self { name: name.to_owned(), cluster: cluster.clone(), client: cluster.client().await, ours: false }
    }

    /// Deletes a namespace with all that is in it. Nothing is there that would do what finalizers wait for.
    pub(crate) async fn empty(cluster: &Cluster, name: &str) {
        let client = cluster.client().await;
        let api: Api<CoreNamespace> = Api::all(client.clone());
        api.delete(name, &DeleteParams::default()).await.expect("delete a namespace");
        let namespace = Self { name: name.to_owned(), cluster: cluster.clone(), client, ours: false };
        for server in namespace.list(Kind::Server.as_str()).await {
            if server.pointer("/metadata/finalizers").is_some() {
                let patch = json!({ "metadata": { "finalizers": null } });
                namespace.patch(Kind::Server.as_str(), object::name(&server), &patch).await;
            }
        }
    }

    /// Sends any request.
    ///
    /// # Panics
    /// Where no answer comes.
    pub(crate) async fn request(
        &self,
        method: http::Method,
        path: &str,
        content_type: &str,
        body: Option<&Value>,
    ) -> Reply {
        object::request(&self.client, method, path, content_type, body).await
    }

    /// Sends an object, and says how the API server answers.
    pub(crate) async fn send(&self, verb: Verb, object: &Value) -> Reply {
        object::send(&self.client, verb, &self.with_namespace(object), false).await
    }

    /// Sends an object to an API server that may not be there.
    ///
    /// # Errors
    /// Where no answer comes.
    pub(crate) async fn try_send(&self, verb: Verb, object: &Value) -> Result<Reply, String> {
        let sent = object::try_send(&self.client, verb, &self.with_namespace(object), false).await;
        sent.map_err(|error| error.to_string())
    }

    /// Likewise as a dry run.
    pub(crate) async fn dry_run(&self, verb: Verb, object: &Value) -> Reply {
        object::send(&self.client, verb, &self.with_namespace(object), true).await
    }

    /// Makes an object, and gives it as it is stored.
    ///
    /// # Panics
    /// Where it is refused.
    #[track_caller]
    pub(crate) fn create(&self, object: &Value) -> impl Future<Output = Value> {
        let created = self.send(Verb::Create, object);
        async { created.await.accepted() }
    }

    /// Makes an object, or changes the stored one by server-side apply, and gives it as it is stored.
    ///
    /// # Panics
    /// Where it is refused.
    pub(crate) async fn apply(&self, object: &Value) -> Value {
        self.send(Verb::Apply, object).await.accepted()
    }

    /// Makes an object, and goes on trying while the API server or the webhooks are away.
    ///
    /// # Panics
    /// Where it is refused, or they do not come back.
    pub(crate) async fn create_in_the_end(&self, object: &Value) -> Value {
        wait::until(format_args!("{} is admitted", object::name(object)), async || {
            let reply = self.try_send(Verb::Create, object).await?;
            if reply.code == 500 { Err(reply.body.to_string()) } else { Ok(reply.accepted()) }
        })
        .await
    }

    /// Changes a stored object by a merge patch.
    pub(crate) async fn patch(&self, kind: &str, name: &str, patch: &Value) -> Reply {
        object::patch(&self.client, kind, &self.name, name, patch).await
    }

    /// A stored object.
    pub(crate) async fn find(&self, kind: &str, name: &str) -> Option<Value> {
        object::find(&self.client, kind, &self.name, name).await
    }

    /// A stored object.
    ///
    /// # Panics
    /// Where there is none.
    pub(crate) async fn get(&self, kind: &str, name: &str) -> Value {
        let found = self.find(kind, name).await;
        found.unwrap_or_else(|| panic!("{kind} {}/{name} is not there", self.name))
    }

    /// All stored objects of a kind.
    pub(crate) async fn list(&self, kind: &str) -> Vec<Value> {
        object::list(&self.client, kind, &self.name).await
    }

    /// Deletes an object; it may stay for its finalizers.
    pub(crate) async fn delete(&self, kind: &str, name: &str) -> Reply {
        object::delete(&self.client, kind, &self.name, name).await
    }

    /// Waits until the object is as `look` wants it, and gives it.
    ///
    /// # Panics
    /// Where it does not become so.
    pub(crate) async fn until(
        &self,
        kind: &str,
        name: &str,
        what: &str,
        look: impl Fn(&Value) -> bool,
    ) -> Value {
        wait::until(format_args!("{kind} {}/{name}: {what}", self.name), async || {
            match self.find(kind, name).await {
                Some(found) if look(&found) => Ok(found),
                Some(found) => Err(format!("{:#}", object::without_noise(found))),
                None => Err("it is not there".to_owned()),
            }
        })
        .await
    }

    /// Follows a child by a watch, from its present version on.
    ///
    /// # Panics
    /// Where it is not there.
    pub(crate) async fn follow(&self, kind: ChildKind, name: &str) -> Followed {
        Followed::begin(&self.client, kind, &self.get(kind.as_str(), name).await).await
    }

    /// Waits until there is no such object.
    ///
    /// # Panics
    /// Where it does not go.
    pub(crate) async fn until_gone(&self, kind: &str, name: &str) {
        wait::until(format_args!("{kind} {}/{name} is gone", self.name), async || {
            match self.find(kind, name).await {
                None => Ok(()),
                Some(found) => Err(format!("{:#}", object::without_noise(found))),
            }
        })
        .await;
    }

    /// Where a Service answers, for whoever can reach the cluster's own addresses.
    ///
    /// # Panics
    /// Where there is no such Service.
    #[allow(dead_code, reason = "only a cluster with a node serves these addresses")]
    pub(crate) async fn address(&self, service: &str) -> SocketAddr {
        let found = self.get("Service", service).await;
        let address = found["spec"]["clusterIP"].as_str().and_then(|address| address.parse::<IpAddr>().ok());
        let port = found["spec"]["ports"][0]["port"].as_u64().and_then(|port| u16::try_from(port).ok());
        let (Some(address), Some(port)) = (address, port) else { panic!("no address: {found:#}") };
        SocketAddr::new(address, port)
    }

    /// Runs kubectl in this namespace.
    pub(crate) async fn kubectl(&self, arguments: &[&str], input: &str) -> super::cluster::Kubectl {
        let arguments: Vec<&str> = ["--namespace", &self.name].iter().chain(arguments).copied().collect();
        self.cluster.kubectl(&arguments, input).await
    }

    fn with_namespace(&self, object: &Value) -> Value {
        let mut object = object.clone();
        object["metadata"]["namespace"] = json!(self.name);
        object
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        let said = if thread::panicking() { self.cluster.said_of(&self.name) } else { String::new() };
        if !said.is_empty() {
            eprintln!("what was logged about {}:\n{said}", self.name);
        }
        if thread::panicking() && self.cluster.has_node() {
            eprintln!("{}", evidence::of(&self.cluster, &self.name));
        }
        // One of the tests' own goes with its cluster, but pods would take the node's room until then.
        if self.ours && (self.cluster.is_foreign() || self.cluster.has_node()) {
            let mut delete = Command::new(binary());
            delete.args(["kubectl", "delete", "namespace", "--wait=false", &self.name]);
            delete.env("KUBECONFIG", self.cluster.kubeconfig()).stdout(Stdio::null());
            let _ = delete.status();
        }
    }
}

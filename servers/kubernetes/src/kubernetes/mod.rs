//! What is asked of Kubernetes, bounded in time, in size, and in how much is asked at once.

mod log;
mod usage;

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use futures::AsyncReadExt;
use k8s_openapi::api::core::v1::{Event, Node, Pod};
use kube::api::{DeleteParams, ListParams, LogParams, PostParams};
use kube::core::NamespaceResourceScope;
use kube::{Api, Client, Resource};
use serde::de::DeserializeOwned;
use tokio::sync::Semaphore;
use tokio::time::timeout;

use self::log::Tail;
use crate::name::{ContainerName, Namespace, PodName};
use crate::refusal::{Attempt, Refusal};

pub use log::Log;
pub use usage::{ContainerUsage, PodUsage};

/// How long one call may take, waiting for its turn included.
pub const DEADLINE: Duration = Duration::from_secs(20);
/// How many calls are under way at a time; the next wait for their turn.
pub const CALLS: usize = 32;
/// How many objects a list holds at most.
pub const MOST_OBJECTS: usize = 500;
/// How many of them are asked for at a time.
const PAGE: u32 = 100;
/// How many bytes of a log are kept: the last ones.
pub const LOG_BYTES: usize = 256 * 1024;
/// How many bytes of a log are read, from the first line that was asked for: lines may be long.
pub const LOG_BYTES_READ: usize = 16 * 1024 * 1024;

/// Objects, or what was made of them, in the API server's order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listing<T> {
    /// At most [`MOST_OBJECTS`].
    pub items: Vec<T>,
    /// Whether there were more.
    pub is_cut: bool,
}

/// Which part of a log is asked for.
#[derive(Clone, Debug, Default)]
pub struct LogRequest {
    /// Whose; may be missing where the pod has one container.
    pub container: Option<ContainerName>,
    /// How many lines, from the end.
    pub lines: u32,
    /// No line that is older than this, in seconds.
    pub since_seconds: Option<u32>,
    /// The log of the container that ran before this one.
    pub previous: bool,
    /// Each line with the time at which it was written.
    pub timestamps: bool,
}

/// The API server, as this process's service account sees it. All clones are one.
#[derive(Clone)]
pub struct Kubernetes {
    client: Client,
    namespace: Namespace,
    turns: Arc<Semaphore>,
}

impl std::fmt::Debug for Kubernetes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Kubernetes").field("namespace", &self.namespace).finish_non_exhaustive()
    }
}

impl Kubernetes {
    /// Asks through `client`, in `namespace` where a caller names none.
    #[must_use]
    pub fn new(client: Client, namespace: Namespace) -> Self {
        Self { client, namespace, turns: Arc::new(Semaphore::new(CALLS)) }
    }

    /// The namespace that is meant: the one given, else the server's own.
    #[must_use]
    pub fn namespace_or_own(&self, given: Option<Namespace>) -> Namespace {
        given.unwrap_or_else(|| self.namespace.clone())
    }

    /// Whether the API server answers.
    ///
    /// # Errors
    /// Where it does not.
    pub async fn answers(&self) -> Result<(), Refusal> {
        let attempt = Attempt { verb: "get", group: "", resource: "/version", namespace: None };
        self.ask(&attempt, self.client.apiserver_version()).await.map(drop)
    }

    /// Makes a pod, and gives it as it is stored.
    ///
    /// # Errors
    /// [`Refusal`].
    pub async fn create_pod(&self, namespace: &Namespace, pod: &Pod) -> Result<Pod, Refusal> {
        let attempt = pods("create", namespace);
        self.ask(&attempt, self.pods_in(namespace).create(&PostParams::default(), pod)).await
    }

    /// Reads a pod.
    ///
    /// # Errors
    /// [`Refusal`].
    pub async fn pod(&self, namespace: &Namespace, name: &PodName) -> Result<Pod, Refusal> {
        self.ask(&pods("get", namespace), self.pods_in(namespace).get(name.as_str())).await
    }

    /// Deletes a pod, and gives it as it was last; nothing where it went at once.
    ///
    /// # Errors
    /// [`Refusal`].
    pub async fn delete_pod(
        &self,
        namespace: &Namespace,
        name: &PodName,
        grace_period_seconds: Option<u32>,
    ) -> Result<Option<Pod>, Refusal> {
        let parameters = DeleteParams { grace_period_seconds, ..DeleteParams::default() };
        let api = self.pods_in(namespace);
        let deleted = self.ask(&pods("delete", namespace), api.delete(name.as_str(), &parameters)).await?;
        Ok(deleted.left())
    }

    /// What `each` makes of the pods of a namespace.
    ///
    /// # Errors
    /// [`Refusal`].
    pub async fn pods<T>(
        &self,
        namespace: &Namespace,
        each: impl Fn(Pod) -> T,
    ) -> Result<Listing<T>, Refusal> {
        self.list(&pods("list", namespace), &self.pods_in(namespace), each).await
    }

    /// What `each` makes of the nodes.
    ///
    /// # Errors
    /// [`Refusal`].
    pub async fn nodes<T>(&self, each: impl Fn(Node) -> T) -> Result<Listing<T>, Refusal> {
        let attempt = Attempt { verb: "list", group: "", resource: "nodes", namespace: None };
        self.list(&attempt, &Api::all(self.client.clone()), each).await
    }

    /// The events about a pod, in no order; of very many, some.
    ///
    /// # Errors
    /// [`Refusal`].
    pub async fn events(&self, namespace: &Namespace, pod: &Pod) -> Result<Vec<Event>, Refusal> {
        let attempt = attempt("list", "events", namespace);
        let uid = pod.metadata.uid.as_deref().unwrap_or_default();
        let parameters =
            ListParams::default().fields(&format!("involvedObject.uid={uid}")).limit(MOST_OBJECTS as u32);
        let api: Api<Event> = self.api(namespace);
        Ok(self.ask(&attempt, api.list(&parameters)).await?.items)
    }

    /// The end of a container's log.
    ///
    /// # Errors
    /// [`Refusal`].
    pub async fn log(
        &self,
        namespace: &Namespace,
        name: &PodName,
        request: &LogRequest,
    ) -> Result<Log, Refusal> {
        let attempt = attempt("get", "pods/log", namespace);
        let parameters = LogParams {
            container: request.container.clone().map(String::from),
            tail_lines: Some(i64::from(request.lines)),
            since_seconds: request.since_seconds.map(i64::from),
            previous: request.previous,
            timestamps: request.timestamps,
            limit_bytes: Some(LOG_BYTES_READ as i64),
            ..LogParams::default()
        };
        let api = self.pods_in(namespace);
        let read = async {
            let mut stream = std::pin::pin!(api.log_stream(name.as_str(), &parameters).await?);
            let mut tail = Tail::new(LOG_BYTES, LOG_BYTES_READ);
            let mut buffer = vec![0; 64 * 1024];
            while !tail.is_full() {
                match stream.read(&mut buffer).await.map_err(kube::Error::ReadEvents)? {
                    0 => break,
                    length => tail.push(buffer.get(..length).unwrap_or_default()),
                }
            }
            Ok(tail.into_log())
        };
        self.ask(&attempt, read).await
    }

    /// What the containers of a namespace use now; nothing where the cluster does not measure.
    ///
    /// # Errors
    /// [`Refusal`].
    pub async fn usage(&self, namespace: &Namespace) -> Result<Option<Vec<PodUsage>>, Refusal> {
        let attempt = Attempt {
            verb: "list",
            group: usage::GROUP,
            resource: "pods",
            namespace: Some(namespace.as_str()),
        };
        let request = http::Request::get(usage::path(namespace)).body(Vec::new());
        let asked =
            async { self.client.request::<usage::List>(request.map_err(kube::Error::HttpError)?).await };
        match self.ask(&attempt, asked).await {
            Ok(list) => Ok(Some(list.items)),
            // An API that nobody serves is a path that is not found.
            Err(Refusal::NotFound(_)) => Ok(None),
            Err(refusal) => Err(refusal),
        }
    }

    fn pods_in(&self, namespace: &Namespace) -> Api<Pod> {
        self.api(namespace)
    }

    fn api<K>(&self, namespace: &Namespace) -> Api<K>
    where
        K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>,
    {
        Api::namespaced(self.client.clone(), namespace.as_str())
    }

    /// Page after page, so that what is in memory at a time is one page and what was made of the others.
    async fn list<K, T>(
        &self,
        attempt: &Attempt<'_>,
        api: &Api<K>,
        each: impl Fn(K) -> T,
    ) -> Result<Listing<T>, Refusal>
    where
        K: Clone + DeserializeOwned + std::fmt::Debug,
    {
        let mut items = Vec::new();
        let mut parameters = ListParams::default().limit(PAGE);
        loop {
            let page = self.ask(attempt, api.list(&parameters)).await?;
            items.extend(page.items.into_iter().map(&each));
            let next = page.metadata.continue_.filter(|token| !token.is_empty());
            match next {
                None if items.len() <= MOST_OBJECTS => return Ok(Listing { items, is_cut: false }),
                Some(token) if items.len() < MOST_OBJECTS => parameters = parameters.continue_token(&token),
                _ => {
                    items.truncate(MOST_OBJECTS);
                    return Ok(Listing { items, is_cut: true });
                }
            }
        }
    }

    async fn ask<T>(
        &self,
        attempt: &Attempt<'_>,
        call: impl Future<Output = kube::Result<T>>,
    ) -> Result<T, Refusal> {
        let in_turn = async {
            // Never closed.
            let _turn = self.turns.acquire().await;
            call.await
        };
        match timeout(DEADLINE, in_turn).await {
            Ok(answer) => answer.map_err(|error| Refusal::of(attempt, &error)),
            Err(_) => Err(Refusal::TooSlow { attempt: attempt.to_string(), within: DEADLINE }),
        }
    }
}

fn pods<'a>(verb: &'static str, namespace: &'a Namespace) -> Attempt<'a> {
    attempt(verb, "pods", namespace)
}

fn attempt<'a>(verb: &'static str, resource: &'static str, namespace: &'a Namespace) -> Attempt<'a> {
    Attempt { verb, group: "", resource, namespace: Some(namespace.as_str()) }
}

//! The operator as users have it: installed by `kubectl apply -k`, two pods of its own image, with its own permissions and
//! certificates.

use std::ops::Deref;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use futures::FutureExt;
use mcp_operator::permissions;
use tokio::sync::{OnceCell, OwnedRwLockReadGuard, OwnedRwLockWriteGuard, RwLock};

use crate::support::cluster::{Cluster, path};
use crate::support::namespace::Namespace;
use crate::support::{operator, wait};

/// How many of its pods there are.
pub(crate) const REPLICAS: u64 = 2;

/// Read by each test, and written by one that wants the machine to itself.
static MACHINE: LazyLock<Arc<RwLock<()>>> = LazyLock::new(Arc::default);

/// A cluster with nodes and an operator. Tests that have one run beside each other, see [`Installed::alone`].
pub(crate) struct Installed {
    cluster: Cluster,
    beside: OwnedRwLockReadGuard<()>,
}

impl Deref for Installed {
    type Target = Cluster;

    fn deref(&self) -> &Cluster {
        &self.cluster
    }
}

impl Installed {
    /// That of all tests, for those that leave the operator, the node and other namespaces alone. A test keeps it to its end.
    ///
    /// # Panics
    /// Where it could not be started.
    pub(crate) async fn shared() -> Self {
        static SHARED: OnceCell<Option<Cluster>> = OnceCell::const_new();
        let start = async || Self::own().await.cluster;
        let shared = SHARED.get_or_init(|| AssertUnwindSafe(start()).catch_unwind().map(Result::ok)).await;
        let shared =
            shared.clone().expect("the shared cluster, which failed in the first test that wanted it");
        Self::beside(shared).await
    }

    /// One of a test's own, for what others would notice. It ends with the test.
    ///
    /// # Panics
    /// Where it cannot be started.
    pub(crate) async fn own() -> Self {
        Self::on(Cluster::with_node().await).await
    }

    /// On a cluster in which there may be something already.
    ///
    /// # Panics
    /// Where it does not become ready.
    pub(crate) async fn on(cluster: Cluster) -> Self {
        let installed = Self::beside(cluster).await;
        installed.apply("config/default").await;
        installed.until_ready().await;
        installed
    }

    async fn beside(cluster: Cluster) -> Self {
        Self { cluster, beside: Arc::clone(&MACHINE).read_owned().await }
    }

    /// The cluster once no other test runs, and until what comes with it is dropped: for programs of others that give a busy
    /// machine no more time than an idle one.
    pub(crate) async fn alone(self) -> (Cluster, OwnedRwLockWriteGuard<()>) {
        let Self { cluster, beside } = self;
        drop(beside);
        (cluster, Arc::clone(&MACHINE).write_owned().await)
    }

    /// Applies a directory of the repository that has a kustomization.
    ///
    /// # Panics
    /// Where it is refused.
    pub(crate) async fn apply(&self, directory: &str) -> String {
        self.kubectl(&["apply", "--kustomize", &path(directory).display().to_string()], "").await.ok()
    }

    /// Waits until all of the operator's pods are ready, and no other is left, and the API server asks them.
    ///
    /// # Panics
    /// Where that does not come about.
    pub(crate) async fn until_ready(&self) {
        let namespace = self.operator().await;
        let what = "the operator is ready";
        wait::within(Duration::from_secs(120), what, async || {
            let found = namespace.find("Deployment", permissions::NAME).await.ok_or("it is not there")?;
            let status = &found["status"];
            let all = |field: &str| status[field] == REPLICAS;
            let current = status["observedGeneration"] == found["metadata"]["generation"];
            if current && ["replicas", "updatedReplicas", "readyReplicas"].into_iter().all(all) {
                Ok(())
            } else {
                Err(format!("{status:#}"))
            }
        })
        .await;
        operator::until_asked(&namespace).await;
    }

    /// Where the operator is.
    pub(crate) async fn operator(&self) -> Namespace {
        Namespace::existing(self, permissions::NAMESPACE).await
    }
}

//! The operator against a real API server on this machine.

mod calls;
mod creation;
mod operator;
mod plain;
mod resident;
mod servers;

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, bail};
use futures::{StreamExt as _, TryStreamExt as _};
use k8s_openapi::api::core::v1::Namespace;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{ApiResource, DynamicObject, PostParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::runtime::{conditions, wait};
use kube::{Api, Client, Config};
use mcp_crds::crd;
use mcp_crds::kind::{API_VERSION, GROUP, Kind, VERSION};
use serde_json::{Value, json};
use tempfile::TempDir;

use calls::Audit;
use operator::Operator;

/// How many objects are created side by side.
const CONCURRENCY: usize = 8;

/// Measures what creating an object costs through the API server.
pub(crate) fn creation() -> anyhow::Result<()> {
    run(async || creation::measure(ControlPlane::start().await?).await)
}

/// Measures the operator's memory while objects are added.
pub(crate) fn memory() -> anyhow::Result<()> {
    run(async || resident::measure(ControlPlane::start().await?).await)
}

/// Measures what servers cost, so many at once, and with what is done to a thousand of them the rest of a life.
pub(crate) fn servers(numbers: &[usize]) -> anyhow::Result<()> {
    run(async || servers::measure(numbers).await)
}

fn run(measure: impl AsyncFnOnce() -> anyhow::Result<()>) -> anyhow::Result<()> {
    mcp_operator::runtime::install_crypto_provider();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(measure())
}

/// A control plane of its own; it ends with this value.
pub(crate) struct ControlPlane {
    child: Child,
    directory: TempDir,
    pub(crate) client: Client,
}

impl ControlPlane {
    async fn start() -> anyhow::Result<Self> {
        Self::start_in(TempDir::new()?, &[]).await
    }

    /// One that logs what it is asked.
    async fn audited() -> anyhow::Result<(Self, Audit)> {
        let directory = TempDir::new()?;
        let (audit, flags) = Audit::new(directory.path())?;
        Ok((Self::start_in(directory, &flags).await?, audit))
    }

    async fn start_in(directory: TempDir, flags: &[String]) -> anyhow::Result<Self> {
        let built = Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/hack/control-plane.sh"))
            .arg("build")
            .output()?;
        let binary = String::from_utf8(built.stdout)?;
        let kubeconfig = directory.path().join("kubeconfig");
        let mut child = Command::new(binary.trim())
            .args(["control-plane", "--exit-with-stdin", "--timeout", "5m", "--kubeconfig"])
            .arg(&kubeconfig)
            .args(flags.iter().map(|flag| format!("--apiserver-flag={flag}")))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("the control plane could not be started")?;
        let mut ready = String::new();
        BufReader::new(child.stdout.take().context("the output")?).read_line(&mut ready)?;
        if !ready.starts_with("ready ") {
            bail!("the control plane did not start");
        }
        let config = Kubeconfig::read_from(&kubeconfig)?;
        let config = Config::from_custom_kubeconfig(config, &KubeConfigOptions::default()).await?;
        let plane = Self { child, directory, client: Client::try_from(config)? };
        for kind in Kind::ALL {
            plane.define(kind).await?;
        }
        Ok(plane)
    }

    async fn define(&self, kind: Kind) -> anyhow::Result<()> {
        let definitions: Api<CustomResourceDefinition> = Api::all(self.client.clone());
        let definition = definitions.create(&PostParams::default(), &crd::definition(kind)).await?;
        let name = definition.metadata.name.unwrap_or_default();
        let established = wait::await_condition(definitions, &name, conditions::is_crd_established());
        tokio::time::timeout(Duration::from_secs(30), established).await??;
        Ok(())
    }

    /// Starts the operator, and waits until it is ready.
    async fn operator(&self) -> anyhow::Result<Operator> {
        Operator::start(self.directory.path()).await
    }

    async fn namespace(&self, name: &str, labels: Value) -> anyhow::Result<()> {
        let namespace: Namespace =
            serde_json::from_value(json!({"metadata": {"name": name, "labels": labels}}))?;
        Api::all(self.client.clone()).create(&PostParams::default(), &namespace).await?;
        Ok(())
    }

    fn api(&self, kind: Kind, namespace: &str) -> Api<DynamicObject> {
        let resource = ApiResource {
            group: GROUP.into(),
            version: VERSION.into(),
            api_version: API_VERSION.into(),
            kind: kind.as_str().into(),
            plural: kind.plural().into(),
        };
        Api::namespaced_with(self.client.clone(), namespace, &resource)
    }

    /// Creates objects, several at once.
    async fn create(&self, objects: impl IntoIterator<Item = (Kind, Value)>) -> anyhow::Result<()> {
        futures::stream::iter(objects)
            .map(|(kind, object)| async move {
                let api = self.api(kind, crate::objects::NAMESPACE);
                api.create(&PostParams::default(), &serde_json::from_value(object)?).await?;
                anyhow::Ok(())
            })
            .buffer_unordered(CONCURRENCY)
            .try_collect()
            .await
    }
}

impl Drop for ControlPlane {
    fn drop(&mut self) {
        // It ends when its standard input closes; what cannot be waited for is gone.
        drop(self.child.stdin.take());
        drop(self.child.wait());
    }
}

//! The operator's own binary, installed as a cluster has it or as a developer runs it.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::ops::Deref;
use std::panic::AssertUnwindSafe;
use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicU16, Ordering};
use std::thread;

use futures::FutureExt;
use k8s_openapi::api::admissionregistration::v1::{
    MutatingWebhookConfiguration, ValidatingWebhookConfiguration, WebhookClientConfig,
};
use kube::Api;
use kube::api::PostParams;
use mcp_operator::permissions;
use mcp_operator::webhook_configuration::{self, Address};
use serde_json::{Value, json};
use tokio::sync::OnceCell;

use super::cluster::Cluster;
use super::endpoints::{Endpoints, get};
use super::manifest::{Manifest, mk_tool};
use super::namespace::Namespace;
use super::object::Verb;
use super::process::Guarded;
use super::wait;

/// The webhook's Service, as the manifests call it.
pub(crate) const SERVICE: &str = "mcp-operator-webhook";

/// What the replicas of one operator have in common.
pub(crate) struct Installation {
    /// Where their Secret and Lease are.
    pub(crate) namespace: Namespace,
    /// What stands in front of them; nothing where there is one replica and the API server has its URL.
    pub(crate) endpoints: Option<Endpoints>,
    configuration: String,
    kubeconfig: PathBuf,
    flags: BTreeMap<String, String>,
    variables: BTreeMap<String, String>,
}

/// A replica. Dropping it ends it.
#[derive(Debug)]
pub(crate) struct Operator {
    process: Guarded,
    /// Where it serves health and metrics.
    pub(crate) admin: SocketAddr,
    /// Where it serves admission.
    pub(crate) webhook: SocketAddr,
}

impl Installation {
    fn new(namespace: Namespace, endpoints: Option<Endpoints>) -> Self {
        let configuration = namespace.name.clone();
        let kubeconfig = namespace.cluster.kubeconfig().to_owned();
        let (flags, variables) = (BTreeMap::new(), BTreeMap::new());
        Self { namespace, endpoints, configuration, kubeconfig, flags, variables }
    }

    /// On a developer's machine: the one replica registers its webhooks by their URL, and removes them at its end.
    pub(crate) async fn outside(cluster: &Cluster) -> Self {
        Self::new(cluster.namespace("operator").await, None).with([("--ca-propagation-wait", "1s")])
    }

    /// As the manifests do it: the webhook configurations are there before any replica, and name a Service.
    ///
    /// There is no network of Services here, so this one is another name for this host; the configurations differ from the
    /// shipped ones in its port.
    pub(crate) async fn inside(cluster: &Cluster) -> Self {
        let namespace = cluster.namespace("operator").await;
        let endpoints = Endpoints::open().await;
        let service = json!({
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": { "name": SERVICE },
            "spec": { "type": "ExternalName", "externalName": "localhost" },
        });
        namespace.create(&service).await;
        let installed = Self::new(namespace, Some(endpoints));
        installed.configure_webhooks().await;
        installed.with([("--ca-propagation-wait", "1s")])
    }

    /// What `kubectl apply -k` has installed: its replicas run here, as the service account that is in the manifests.
    ///
    /// As there is no network of Services, that of the webhook becomes another name for this host, at another port.
    pub(crate) async fn shipped(cluster: &Cluster) -> Self {
        let namespace = Namespace::existing(cluster, permissions::NAMESPACE).await;
        let endpoints = Endpoints::open().await;
        let local = json!([{ "op": "replace", "path": "/spec",
            "value": { "type": "ExternalName", "externalName": "localhost" } }]);
        let port = json!([{ "op": "replace", "path": "/webhooks/0/clientConfig/service/port",
            "value": endpoints.port }]);
        for (kind, name, patch) in [
            ("service", SERVICE, &local),
            ("mutatingwebhookconfiguration", permissions::NAME, &port),
            ("validatingwebhookconfiguration", permissions::NAME, &port),
        ] {
            let patch = patch.to_string();
            namespace.kubectl(&["patch", kind, name, "--type=json", "--patch", &patch], "").await.ok();
        }
        let kubeconfig = as_service_account(&namespace, permissions::NAME).await;
        let mut installed = Self::new(namespace, Some(endpoints));
        permissions::NAME.clone_into(&mut installed.configuration);
        installed.kubeconfig = kubeconfig;
        installed.with([("--ca-propagation-wait", "1s")]).with_long_leases()
    }

    /// With these flags and their values for every replica that is started from now on.
    pub(crate) fn with<const N: usize>(mut self, flags: [(&str, &str); N]) -> Self {
        self.flags.extend(flags.map(|(flag, value)| (flag.to_owned(), value.to_owned())));
        self
    }

    /// With this variable for every replica that is started from now on.
    pub(crate) fn with_variable(mut self, name: &str, value: &str) -> Self {
        self.variables.insert(name.to_owned(), value.to_owned());
        self
    }

    /// With the Secret and the Lease in another namespace, which may not be there.
    pub(crate) fn with_namespace(self, name: &str) -> Self {
        self.with([("--namespace", name)])
    }

    /// With leases that are short enough for a test to see one run out.
    pub(crate) fn with_short_leases(self) -> Self {
        self.with([("--lease-duration", "6s"), ("--renew-deadline", "5s"), ("--retry-period", "500ms")])
    }

    /// With leases that a replica keeps however busy the machine is, and while an API server restarts.
    pub(crate) fn with_long_leases(self) -> Self {
        self.with([("--lease-duration", "120s"), ("--renew-deadline", "100s"), ("--retry-period", "1s")])
    }

    /// The name of both webhook configurations.
    pub(crate) fn configuration(&self) -> &str {
        &self.configuration
    }

    async fn configure_webhooks(&self) {
        let address = Address::Service { namespace: self.namespace.name.clone(), name: SERVICE.to_owned() };
        let port = self.endpoints.as_ref().map(|endpoints| i32::from(endpoints.port));
        let at_port = |config: &mut WebhookClientConfig| {
            config.service.as_mut().expect("a Service").port = port;
        };
        let client = self.namespace.cluster.client().await;
        let mut mutating = webhook_configuration::mutating(self.configuration(), &address);
        mutating.webhooks.iter_mut().flatten().for_each(|webhook| at_port(&mut webhook.client_config));
        let api: Api<MutatingWebhookConfiguration> = Api::all(client.clone());
        api.create(&PostParams::default(), &mutating).await.expect("make a webhook configuration");
        let mut validating = webhook_configuration::validating(self.configuration(), &address);
        validating.webhooks.iter_mut().flatten().for_each(|webhook| at_port(&mut webhook.client_config));
        let api: Api<ValidatingWebhookConfiguration> = Api::all(client);
        api.create(&PostParams::default(), &validating).await.expect("make a webhook configuration");
    }

    /// Starts a replica, which may not be ready for a while.
    pub(crate) fn start(&self) -> Operator {
        let (webhook, admin) = (free_port(), free_port());
        let mut command = Command::new(env!("CARGO_BIN_EXE_mcp-operator"));
        command
            .env("KUBECONFIG", &self.kubeconfig)
            .envs(&self.variables)
            .arg("run")
            .args(["--mutating-configuration", self.configuration()])
            .args(["--validating-configuration", self.configuration()])
            .args(["--webhook-address", "127.0.0.1", "--webhook-port", &webhook.port().to_string()])
            .args(["--admin-address", "127.0.0.1", "--admin-port", &admin.port().to_string()])
            .args(["--log-format", "text", "--log-level", "info"])
            .args(self.flags.iter().flat_map(|(flag, value)| [flag, value]));
        match &self.endpoints {
            Some(endpoints) => {
                endpoints.add(webhook, admin);
                command.args(["--drain-delay", "1s"]);
            }
            None => {
                command.args(["--webhook-url", &format!("https://{webhook}")]);
            }
        }
        if !self.flags.contains_key("--namespace") {
            command.args(["--namespace", &self.namespace.name]);
        }
        let process = Guarded::start(&command);
        self.namespace.cluster.show_on_failure(&process.output);
        Operator { process, admin, webhook }
    }

    /// Starts a replica, and waits until it is ready and asked.
    ///
    /// # Panics
    /// Where it does not become so.
    pub(crate) async fn start_ready(&self) -> Operator {
        let operator = self.start();
        operator.until_ready().await;
        if let Some(endpoints) = &self.endpoints {
            // And until it is sent requests.
            wait::until("an endpoint is ready", async || match endpoints.ready() {
                0 => Err("none is".to_owned()),
                _ => Ok(()),
            })
            .await;
        }
        self.until_asked().await;
        operator
    }

    /// Waits until the API server asks both webhooks: it follows each of their configurations by a watch of its own.
    ///
    /// # Panics
    /// Where it does not.
    pub(crate) async fn until_asked(&self) {
        until_asked(&self.namespace).await;
    }
}

impl Operator {
    /// Waits until it says that it is ready.
    ///
    /// # Panics
    /// Where it does not.
    pub(crate) async fn until_ready(&self) {
        wait::until("the operator is ready", async || {
            if let Some(code) = self.process.exit_code() {
                panic!("the operator ended with {code}\n{}", self.process.output.end("", 40));
            }
            match self.get("/readyz").await? {
                (200, _) => Ok(()),
                (code, missing) => Err(format!("{code}: {missing}")),
            }
        })
        .await;
    }

    /// Asks its admin port; gives the status and the body.
    ///
    /// # Errors
    /// Where it does not answer.
    pub(crate) async fn get(&self, path: &str) -> Result<(u16, String), String> {
        get(self.admin, path).await.map_err(|error| error.to_string())
    }

    /// The value of a metric's only series, or of the one with exactly these labels.
    ///
    /// # Errors
    /// Where it does not answer, or has no such series.
    pub(crate) async fn metric(&self, series: &str) -> Result<f64, String> {
        let (_, text) = self.get("/metrics").await?;
        let found = text.lines().find_map(|line| line.strip_prefix(series)?.trim().parse().ok());
        found.ok_or_else(|| format!("no {series} in\n{text}"))
    }

    /// Whether it holds the lease.
    ///
    /// # Errors
    /// Where it does not say.
    pub(crate) async fn leads(&self) -> Result<bool, String> {
        Ok(self.metric("mcp_operator_leader ").await? > 0.0)
    }

    /// Asks it to end, and waits until it has.
    ///
    /// # Panics
    /// Where it does not, or not well.
    pub(crate) async fn terminate(mut self) {
        self.process.signal("TERM");
        let code = self.ended().await;
        assert_eq!(code, 0, "how the operator ended");
    }

    /// Kills it, and waits until it has ended.
    pub(crate) async fn kill(mut self) {
        self.process.signal("KILL");
        self.ended().await;
    }

    /// Sends it a signal, by its name without `SIG`.
    pub(crate) fn signal(&mut self, name: &str) {
        self.process.signal(name);
    }

    /// Its exit code, once it has ended by itself.
    ///
    /// # Panics
    /// Where it does not.
    pub(crate) async fn ended(&self) -> i32 {
        tokio::time::timeout(wait::BOUND, self.process.ended()).await.expect("the operator ends")
    }

    /// The lines of its log in which `text` occurs.
    pub(crate) fn logged(&self, text: &str) -> Vec<String> {
        self.process.output.containing(text)
    }
}

impl Drop for Operator {
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("the operator at {}:\n{}", self.admin, self.process.output.end("", 40));
        }
    }
}

/// The cluster of [`Cluster::shared`], with one operator that answers admission and reconciles.
pub(crate) struct Shared {
    cluster: Cluster,
    _installed: Installation,
    _operator: Operator,
}

impl Deref for Shared {
    type Target = Cluster;

    fn deref(&self) -> &Cluster {
        &self.cluster
    }
}

impl Shared {
    /// The one of this process.
    ///
    /// # Panics
    /// Where it could not be started.
    pub(crate) async fn get() -> &'static Self {
        static SHARED: OnceCell<Option<Shared>> = OnceCell::const_new();
        let shared = SHARED.get_or_init(|| AssertUnwindSafe(Self::start()).catch_unwind().map(Result::ok));
        shared.await.as_ref().expect("the shared cluster, which failed in the first test that wanted it")
    }

    async fn start() -> Self {
        let cluster = Cluster::shared().await;
        let installed = Installation::outside(&cluster).await;
        let operator = installed.start_ready().await;
        Self { cluster, _installed: installed, _operator: operator }
    }
}

/// Waits until the API server asks both webhooks about what is made in this namespace.
///
/// # Panics
/// Where it does not.
pub(crate) async fn until_asked(namespace: &Namespace) {
    let right = mk_tool("probe");
    let wrong = mk_tool("probe")
        .with("/spec/inputSchema", json!({ "type": "object", "properties": { "a": { "type": "strin" } } }));
    wait::until("the webhooks are asked", async || {
        let filled_in = namespace.dry_run(Verb::Create, &right).await;
        let refused = namespace.dry_run(Verb::Create, &wrong).await;
        // Nobody else does either.
        let asked = (filled_in.body["spec"]["name"] == "probe", refused.code == 422);
        if asked == (true, true) { Ok(()) } else { Err(format!("(mutating, validating): {asked:?}")) }
    })
    .await;
}

/// A kubeconfig that is no more than a service account's token.
async fn as_service_account(namespace: &Namespace, name: &str) -> PathBuf {
    let admin = namespace.cluster.kubeconfig();
    let token = namespace.kubectl(&["create", "token", name], "").await.ok();
    let text = std::fs::read_to_string(admin).expect("read the kubeconfig");
    let mut config: Value = serde_saphyr::from_str(&text).expect("a kubeconfig");
    config["users"][0]["user"] = json!({ "token": token.trim() });
    let path = admin.with_file_name(format!("kubeconfig-{name}"));
    std::fs::write(&path, config.to_string()).expect("write a kubeconfig");
    path
}

/// A port of 127.0.0.1 that nobody listens on, and that the kernel gives to nobody who asks for any.
pub(crate) fn free_port() -> SocketAddr {
    const FIRST: u16 = 10_000;
    const COUNT: u16 = 20_000;
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let process = u16::try_from(std::process::id() % u32::from(COUNT)).unwrap_or_default();
    loop {
        let number = NEXT.fetch_add(1, Ordering::Relaxed).wrapping_add(process.wrapping_mul(31)) % COUNT;
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, FIRST + number));
        if TcpListener::bind(address).is_ok() {
            return address;
        }
    }
}

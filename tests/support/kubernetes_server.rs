//! The Kubernetes MCP server as a process, acting as a service account or as whoever the cluster's kubeconfig names.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::{fs, thread};

use k8s_openapi::api::authentication::v1::{TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1::ServiceAccount;
use kube::Api;
use kube::api::PostParams;
use kube::config::{AuthInfo, Kubeconfig};

use super::binary;
use super::endpoints::get;
use super::namespace::Namespace;
use super::operator::free_port;
use super::process::Guarded;
use super::wait;

/// Its binary; built where that is missing.
///
/// # Panics
/// Where it cannot be built.
pub(crate) fn binary() -> &'static Path {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(|| binary::of("mcp-k8s-server"))
}

/// A server over HTTP. Dropping it ends it.
#[derive(Debug)]
pub(crate) struct Server {
    process: Guarded,
    /// Where it listens.
    pub(crate) address: SocketAddr,
}

impl Server {
    /// Starts one whose own namespace is this one, and which acts as whoever the kubeconfig names.
    pub(crate) fn start(namespace: &Namespace, kubeconfig: &Path, variables: &[(&str, &str)]) -> Self {
        let address = free_port();
        let mut command = Command::new(binary());
        command
            .env("KUBECONFIG", kubeconfig)
            .env("POD_NAMESPACE", &namespace.name)
            .env("MCP_TRANSPORT", "streamable-http")
            .env("MCP_PORT", address.port().to_string())
            .envs(variables.iter().copied());
        Self { process: Guarded::start(&command), address }
    }

    /// Likewise, and waits until it is ready.
    ///
    /// # Panics
    /// Where it does not become so.
    pub(crate) async fn start_ready(namespace: &Namespace, kubeconfig: &Path) -> Self {
        let server = Self::start(namespace, kubeconfig, &[]);
        server.until_ready().await;
        server
    }

    /// Waits until it says that it is ready.
    ///
    /// # Panics
    /// Where it does not.
    pub(crate) async fn until_ready(&self) {
        wait::until("the Kubernetes MCP server is ready", async || {
            if let Some(code) = self.process.exit_code() {
                panic!("the server ended with {code}\n{}", self.process.output.end("", 40));
            }
            match self.get("/ready").await? {
                (200, _) => Ok(()),
                (code, missing) => Err(format!("{code}: {missing}")),
            }
        })
        .await;
    }

    /// Asks it by GET; gives the status and the body.
    ///
    /// # Errors
    /// Where it does not answer.
    pub(crate) async fn get(&self, path: &str) -> Result<(u16, String), String> {
        get(self.address, path).await.map_err(|error| error.to_string())
    }

    /// Where MCP is.
    pub(crate) fn url(&self) -> String {
        format!("http://{}/mcp", self.address)
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
        tokio::time::timeout(wait::BOUND, self.process.ended()).await.expect("the server ends")
    }

    /// The lines of its log in which `text` occurs.
    pub(crate) fn logged(&self, text: &str) -> Vec<String> {
        self.process.output.containing(text)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("the Kubernetes MCP server at {}:\n{}", self.address, self.process.output.end("", 40));
        }
    }
}

/// A kubeconfig by which a process is this service account.
///
/// # Panics
/// Where there is no such account.
pub(crate) async fn kubeconfig_of(namespace: &Namespace, account: &str) -> PathBuf {
    let accounts: Api<ServiceAccount> = Api::namespaced(namespace.cluster.client().await, &namespace.name);
    let wanted = TokenRequest { spec: TokenRequestSpec::default(), ..TokenRequest::default() };
    let made =
        accounts.create_token_request(account, &PostParams::default(), &wanted).await.expect("a token");
    let mut kubeconfig = Kubeconfig::read_from(namespace.cluster.kubeconfig()).expect("read the kubeconfig");
    let token = made.status.expect("a token").token;
    for user in &mut kubeconfig.auth_infos {
        user.auth_info = Some(AuthInfo { token: Some(token.clone().into()), ..AuthInfo::default() });
    }
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{}-{account}.json", namespace.name));
    // JSON is YAML.
    fs::write(&path, serde_json::to_vec(&kubeconfig).expect("a kubeconfig")).expect("write a kubeconfig");
    path
}

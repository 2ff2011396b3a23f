//! Gateways as processes beside the cluster, each as the service account that the operator gave its server; and what their
//! catalogs say.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::thread;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use mcp_crds::snapshot::{self, INDEX_KEY, Index, LoadError, Snapshot, shard_key, shard_name};
use serde_json::{Value, json};

use super::endpoints::get;
use super::kubernetes_server::kubeconfig_of;
use super::namespace::Namespace;
use super::operator::free_port;
use super::process::Guarded;
use super::{binary, wait};

/// Names and descriptions of tools.
pub(crate) type Tools = BTreeMap<String, String>;

/// Where a gateway is asked.
#[derive(Debug)]
pub(crate) struct Endpoint {
    address: SocketAddr,
    client: Client<HttpConnector, Full<Bytes>>,
}

/// A gateway. Dropping it ends it.
#[derive(Debug)]
pub(crate) struct Gateway {
    process: Guarded,
    endpoint: Endpoint,
}

impl Deref for Gateway {
    type Target = Endpoint;

    fn deref(&self) -> &Endpoint {
        &self.endpoint
    }
}

impl Gateway {
    /// Starts one for a server, as the account of its pods, and waits until it is ready.
    ///
    /// # Panics
    /// Where it does not become so.
    pub(crate) async fn start_ready(ns: &Namespace, server: &str) -> Self {
        Self::start_ready_with(ns, server, &[]).await
    }

    /// Likewise, with more arguments.
    ///
    /// # Panics
    /// Where it does not become so.
    pub(crate) async fn start_ready_with(ns: &Namespace, server: &str, more: &[&str]) -> Self {
        static BINARY: OnceLock<PathBuf> = OnceLock::new();
        let binary = BINARY.get_or_init(|| binary::of("mcp-gateway"));
        let kubeconfig = kubeconfig_of(ns, &format!("{server}-gateway")).await;
        let gateway = Self::start(binary, &kubeconfig, ns, server, more);
        wait::until("the gateway is ready", async || {
            if let Some(code) = gateway.process.exit_code() {
                panic!("the gateway ended with {code}\n{}", gateway.process.output.end("", 40));
            }
            match get(gateway.address, "/ready").await.map_err(|error| error.to_string())? {
                (200, _) => Ok(()),
                (code, missing) => Err(format!("{code}: {missing}")),
            }
        })
        .await;
        gateway
    }

    fn start(binary: &Path, kubeconfig: &Path, ns: &Namespace, server: &str, more: &[&str]) -> Self {
        let address = free_port();
        let mut command = Command::new(binary);
        command
            .env("KUBECONFIG", kubeconfig)
            .args(["serve", "--catalog", server, "--namespace", &ns.name])
            .args(["--address", "127.0.0.1", "--port", &address.port().to_string(), "--admin-port", "0"])
            .args(more);
        let process = Guarded::start(&command);
        Self { process, endpoint: Endpoint::new(address) }
    }
}

impl Endpoint {
    /// At `/mcp` of this address.
    pub(crate) fn new(address: SocketAddr) -> Self {
        Self { address, client: Client::builder(TokioExecutor::new()).build_http() }
    }

    /// Asks by the newest revision of MCP, and gives the result.
    ///
    /// # Errors
    /// Where there is none.
    pub(crate) async fn ask(&self, method: &str, params: Value) -> Result<Value, String> {
        let mut params = params;
        params["_meta"] = json!({
            "io.modelcontextprotocol/protocolVersion": "2026-07-28",
            "io.modelcontextprotocol/clientCapabilities": {},
            "io.modelcontextprotocol/clientInfo": { "name": "tests", "version": "1" },
        });
        let message = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
        let mut headers = vec![("mcp-protocol-version", "2026-07-28"), ("mcp-method", method)];
        headers.extend(params["name"].as_str().map(|name| ("mcp-name", name)));
        let answer = self.post(&headers, &message).await?;
        let body: Value = serde_json::from_slice(answer.body()).map_err(|error| error.to_string())?;
        if body["result"].is_object() { Ok(body["result"].clone()) } else { Err(body.to_string()) }
    }

    /// Posts a message, and gives the whole answer.
    ///
    /// # Errors
    /// Where none comes.
    pub(crate) async fn post(
        &self,
        headers: &[(&str, &str)],
        message: &Value,
    ) -> Result<Response<Bytes>, String> {
        let mut request = Request::post(format!("http://{}/mcp", self.address))
            .header("content-type", "application/json")
            .header("accept", "application/json, text/event-stream");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Full::from(message.to_string())).expect("a request");
        let answer = self.client.request(request).await.map_err(|error| error.to_string())?;
        let (head, body) = answer.into_parts();
        let body = body.collect().await.map_err(|error| error.to_string())?.to_bytes();
        Ok(Response::from_parts(head, body))
    }

    /// Begins a session, as clients of the older revisions of MCP do.
    ///
    /// # Errors
    /// Where it begins none.
    pub(crate) async fn begin_session(&self) -> Result<(), String> {
        let params = json!({
            "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": { "name": "tests", "version": "1" },
        });
        let message = json!({ "jsonrpc": "2.0", "id": 1, "method": "initialize", "params": params });
        let answer = self.post(&[], &message).await?;
        let begun = answer.headers().contains_key("mcp-session-id");
        if begun { Ok(()) } else { Err(answer.status().to_string()) }
    }

    /// The tools that it lists.
    ///
    /// # Errors
    /// Where it lists none.
    pub(crate) async fn tools(&self) -> Result<Tools, String> {
        let listed = self.ask("tools/list", json!({})).await?;
        let tool = |tool: &Value| {
            let text = |key: &str| tool[key].as_str().unwrap_or_default().to_owned();
            (text("name"), text("description"))
        };
        Ok(listed["tools"].as_array().into_iter().flatten().map(tool).collect())
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("the gateway at {}:\n{}", self.endpoint.address, self.process.output.end("", 40));
        }
    }
}

/// The catalog of a server, as its ConfigMaps have it.
///
/// # Errors
/// Where it is not all there.
pub(crate) async fn catalog(ns: &Namespace, server: &str) -> Result<Snapshot, String> {
    let config_maps = ns.list("ConfigMap").await;
    let data = |name: &str, key: &str| {
        let found = config_maps.iter().find(|found| found["metadata"]["name"] == name)?;
        found["data"][key].as_str()
    };
    let index = data(&snapshot::name(server), INDEX_KEY).ok_or("there is no index")?;
    let index = Index::parse(index).map_err(|error| error.to_string())?;
    let loaded = index.load(|shard| data(&shard_name(server, shard), &shard_key(shard)));
    loaded.map_err(|error: LoadError| error.to_string())
}

/// The tools of a catalog.
pub(crate) fn tools(snapshot: &Snapshot) -> Tools {
    let tools = snapshot.tools.iter();
    tools.map(|tool| (tool.name.clone(), tool.description.clone().unwrap_or_default())).collect()
}

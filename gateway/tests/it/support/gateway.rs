//! Gateways, each a process.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};
use tempfile::TempDir;

use super::client::Client;
use super::process::Guarded;
use super::wait;

/// Objects in files. Dropping this removes them.
#[derive(Debug)]
pub(crate) struct Objects {
    folder: TempDir,
}

impl Objects {
    /// An MCPServer that selects everything, and these.
    pub(crate) fn new(objects: &[Value]) -> Self {
        let this = Self { folder: tempfile::tempdir().expect("a folder") };
        this.write("server", &server(&json!({})));
        for (number, object) in objects.iter().enumerate() {
            this.write(&format!("object-{number}"), object);
        }
        this
    }

    /// Writes a file, at once for who reads it.
    pub(crate) fn write(&self, name: &str, object: &Value) {
        let aside = self.folder.path().join(format!("{name}.new"));
        std::fs::write(&aside, object.to_string()).expect("write an object");
        std::fs::rename(aside, self.folder.path().join(format!("{name}.json"))).expect("rename it");
    }

    pub(crate) fn remove(&self, name: &str) {
        std::fs::remove_file(self.folder.path().join(format!("{name}.json"))).expect("remove an object");
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }
}

/// An MCPServer with this `config`.
pub(crate) fn server(config: &Value) -> Value {
    json!({
        "apiVersion": "mcp.example.com/v1alpha1", "kind": "MCPServer",
        "metadata": {"name": "main", "namespace": "tests"},
        "spec": {"toolSelector": {}, "config": config},
    })
}

/// An MCPTool that calls `backend`, with more in its spec.
pub(crate) fn tool(name: &str, more: &Value) -> Value {
    let mut spec =
        json!({"name": name, "service": {"name": "backend", "port": 80, "path": format!("/{name}")}});
    for (key, value) in more.as_object().expect("an object") {
        match (spec.get_mut(key).and_then(Value::as_object_mut), value.as_object()) {
            (Some(there), Some(more)) => there.extend(more.clone()),
            _ => spec[key] = value.clone(),
        }
    }
    let object = name.to_lowercase().replace(['_', '.'], "-");
    json!({
        "apiVersion": "mcp.example.com/v1alpha1", "kind": "MCPTool",
        "metadata": {"name": object, "namespace": "tests"}, "spec": spec,
    })
}

/// A gateway. Dropping this ends it.
#[derive(Debug)]
pub(crate) struct Gateway {
    pub(crate) process: Guarded,
    pub(crate) address: SocketAddr,
    pub(crate) admin: SocketAddr,
}

impl Gateway {
    /// Serves objects, whose Service `backend` is there; with more arguments and variables.
    pub(crate) async fn start(
        objects: &Objects,
        backend: SocketAddr,
        more: &[&str],
        variables: &[(&str, &str)],
    ) -> Self {
        let mut command = Command::new(PathBuf::from(env!("CARGO_BIN_EXE_mcp-gateway")));
        command.arg("serve").arg("--manifests").arg(objects.path());
        command.args(["--port", "0", "--admin-port", "0", "--service", &format!("backend={backend}")]);
        command.args(more).envs(variables.iter().copied());
        Self::run(&command).await
    }

    async fn run(command: &Command) -> Self {
        let process = Guarded::start(command);
        let (address, admin) = wait::until("the gateway serves", async || {
            if let Some(code) = process.exit_code() {
                panic!("the gateway ended with {code}\n{}", process.output.end("", 40));
            }
            let lines = process.output.containing(r#""message":"serving""#);
            let line = lines.first().ok_or("it says nothing")?;
            let said: Value = serde_json::from_str(line).map_err(|error| error.to_string())?;
            let at = |name: &str| {
                let text = said[name].as_str()?.trim_start_matches("http://").trim_end_matches("/mcp");
                text.parse::<SocketAddr>().ok()
            };
            at("url").zip(at("admin")).ok_or_else(|| line.clone())
        })
        .await;
        let this = Self { process, address, admin };
        this.until_ready().await;
        this
    }

    pub(crate) async fn until_ready(&self) {
        let client = self.client();
        wait::until("the gateway is ready", async || match client.get("/ready", &[]).await {
            Ok(answer) if answer.status == 200 => Ok(()),
            other => Err(format!("{other:?}")),
        })
        .await;
    }

    pub(crate) fn client(&self) -> Client {
        Client::new(self.address)
    }

    /// What `/metrics` says about a family without labels.
    pub(crate) async fn metric(&self, name: &str) -> Option<f64> {
        let text = Client::new(self.admin).get("/metrics", &[]).await.expect("metrics").body;
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '))?;
        line.trim().parse().ok()
    }

    /// What a path of the admin server answers, as JSON.
    pub(crate) async fn admin(&self, path: &str) -> Value {
        let answer = Client::new(self.admin).get(path, &[]).await.expect("an answer");
        serde_json::from_str(&answer.body).expect("JSON")
    }

    /// What it holds in memory, in KiB.
    pub(crate) fn resident(&self) -> u64 {
        let pid = self.pid();
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("a process");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("a line");
        line.trim().trim_end_matches(" kB").parse().expect("a number")
    }

    /// Its own id, not the guard's: whoever listens where it does.
    fn pid(&self) -> u32 {
        let wanted = format!(":{:04X} 00000000:0000 0A", self.address.port());
        let tcp = std::fs::read_to_string("/proc/net/tcp").expect("sockets");
        let line = tcp.lines().find(|line| line.contains(&wanted)).expect("its socket");
        let inode = line.split_whitespace().nth(9).expect("an inode");
        let socket = PathBuf::from(format!("socket:[{inode}]"));
        let holds = |pid: &u32| {
            let files = std::fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
            files.filter_map(|file| std::fs::read_link(file.path()).ok()).any(|link| link == socket)
        };
        let processes = std::fs::read_dir("/proc").expect("processes").flatten();
        let mut pids = processes.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        pids.find(holds).expect("its process")
    }
}

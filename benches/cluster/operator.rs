//! The operator's process.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};

/// A running operator; it ends with this value.
pub(crate) struct Operator {
    child: Child,
    admin: u16,
    log: PathBuf,
}

impl Operator {
    /// Starts one, for the API server of the kubeconfig in a directory, which also takes its log.
    pub(crate) async fn start(directory: &Path) -> anyhow::Result<Self> {
        let (webhook, admin) = (free_port()?, free_port()?);
        let log = directory.join(format!("operator-{admin}.log"));
        let child = Command::new(env!("CARGO_BIN_EXE_mcp-operator"))
            .args(["run", "--webhook-address=127.0.0.1", "--admin-address=127.0.0.1", "--log-level=warn"])
            .args([format!("--webhook-port={webhook}"), format!("--admin-port={admin}")])
            // The API server has the same cores, and answers late while thousands of objects are made.
            .args(["--lease-duration=120s", "--renew-deadline=100s"])
            .arg(format!("--webhook-url=https://127.0.0.1:{webhook}"))
            .args(["--log-format=json"])
            .env("KUBECONFIG", directory.join("kubeconfig"))
            .stdin(Stdio::null())
            .stderr(File::create(&log)?)
            .spawn()?;
        let operator = Self { child, admin, log };
        let started = Instant::now();
        while operator.get("/readyz").is_err() {
            ensure!(
                started.elapsed() < Duration::from_secs(120),
                "the operator does not become ready: {}",
                operator.logged()?
            );
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        Ok(operator)
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Its warnings and errors.
    pub(crate) fn logged(&self) -> anyhow::Result<String> {
        Ok(std::fs::read_to_string(&self.log)?)
    }

    /// The sum of a metric over all its labels that hold `labels`.
    pub(crate) fn metric(&self, name: &str, labels: &str) -> anyhow::Result<f64> {
        let text = self.get("/metrics")?;
        let lines = text.lines().filter(|line| line.starts_with(name) && line.contains(labels));
        lines.map(|line| Ok(line.rsplit(' ').next().unwrap_or_default().parse::<f64>()?)).sum()
    }

    /// Waits until nothing has been left to do for some seconds.
    pub(crate) async fn settled(&self) -> anyhow::Result<()> {
        let mut quiet = 0;
        let started = Instant::now();
        while quiet < 5 {
            ensure!(started.elapsed() < Duration::from_secs(900), "the operator does not come to rest");
            tokio::time::sleep(Duration::from_secs(1)).await;
            let busy = self.metric("mcp_operator_queue_depth", "ready")?
                + self.metric("mcp_operator_queue_depth", "running")?;
            quiet = if busy == 0.0 { quiet + 1 } else { 0 };
        }
        Ok(())
    }

    fn get(&self, path: &str) -> anyhow::Result<String> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.admin))?;
        stream.set_read_timeout(Some(Duration::from_secs(10)))?;
        write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        let (head, body) = answer.split_once("\r\n\r\n").context("no answer")?;
        if !head.starts_with("HTTP/1.1 200") {
            bail!("{path}: {body}");
        }
        Ok(body.to_owned())
    }

    /// Ends it as Kubernetes would, and waits until it is gone.
    pub(crate) fn end(mut self) -> anyhow::Result<()> {
        Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status()?;
        self.child.wait()?;
        Ok(())
    }
}

impl Drop for Operator {
    fn drop(&mut self) {
        // Where it is gone already there is nothing to end.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn free_port() -> anyhow::Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

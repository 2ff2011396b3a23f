//! Processes that end with the benchmark, each on its core.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};

/// The core of what is measured.
pub(crate) const SERVER: &str = "0";
/// The core of everything else.
pub(crate) const LOAD: &str = "1";

/// A process that listens. Dropping this ends it.
pub(crate) struct Server {
    child: Child,
    pub(crate) address: SocketAddr,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub(crate) fn free_port() -> anyhow::Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

impl Server {
    /// Starts a program on a core, and waits until it listens on the port.
    pub(crate) fn start(core: &str, port: u16, program: &[&str]) -> anyhow::Result<Self> {
        let mut command = Command::new("taskset");
        command.arg("-c").arg(core).args(program).stdin(Stdio::null()).stdout(Stdio::null());
        let log = std::env::var_os("BENCH_LOG").is_some();
        command.stderr(if log { Stdio::inherit() } else { Stdio::null() });
        let child = command.spawn().context("taskset")?;
        let mut server = Self { child, address: SocketAddr::from(([127, 0, 0, 1], port)) };
        let end = Instant::now() + Duration::from_secs(60);
        while TcpStream::connect(server.address).is_err() {
            if Instant::now() > end || server.child.try_wait()?.is_some() {
                bail!("{program:?} does not listen");
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        Ok(server)
    }

    /// One of this program's own servers.
    pub(crate) fn own(core: &str, kind: &str, more: &[&str]) -> anyhow::Result<Self> {
        let (own, port) = (std::env::current_exe()?, free_port()?);
        let (own, text) = (own.display().to_string(), port.to_string());
        let mut program = vec![own.as_str(), "serve", kind, &text];
        program.extend(more);
        Self::start(core, port, &program)
    }

    /// The gateway, with these objects and with its Service `backend` there.
    pub(crate) fn gateway(objects: &Path, backend: SocketAddr, more: &[&str]) -> anyhow::Result<Self> {
        let port = free_port()?;
        let (objects, text) = (objects.display().to_string(), port.to_string());
        let service = format!("backend={backend}");
        let mut program =
            vec![env!("CARGO_BIN_EXE_mcp-gateway"), "serve", "--manifests", &objects, "--port", &text];
        program.extend(["--admin-port", "0", "--service", &service, "--log-level", "warn"]);
        program.extend(more);
        let server = Self::start(SERVER, port, &program)?;
        let end = Instant::now() + Duration::from_secs(60);
        while !server.get("/ready")?.starts_with("HTTP/1.1 200") {
            if Instant::now() > end {
                bail!("the gateway is not ready");
            }
        }
        Ok(server)
    }

    /// The whole answer to a GET, as text.
    pub(crate) fn get(&self, path: &str) -> anyhow::Result<String> {
        use std::io::{Read as _, Write as _};
        let mut stream = TcpStream::connect(self.address)?;
        write!(stream, "GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")?;
        let mut text = String::new();
        stream.read_to_string(&mut text)?;
        Ok(text)
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What it has spent of CPU time in all its threads.
    pub(crate) fn cpu_time(&self) -> anyhow::Result<Duration> {
        let mut nanoseconds = 0;
        for task in std::fs::read_dir(format!("/proc/{}/task", self.pid()))? {
            // The first number of three, in nanoseconds.
            let text = std::fs::read_to_string(task?.path().join("schedstat"))?;
            nanoseconds += text.split(' ').next().unwrap_or_default().parse::<u64>()?;
        }
        Ok(Duration::from_nanos(nanoseconds))
    }

    /// What it holds in memory, in KiB.
    pub(crate) fn resident(&self) -> anyhow::Result<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS")?;
        Ok(line.trim().trim_end_matches(" kB").parse()?)
    }
}

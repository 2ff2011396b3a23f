//! A real Redis: Debian's `redis-server`, on a port of its own, keeping nothing.

use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::Command;
use std::sync::OnceLock;

use rcgen::{CertificateParams, KeyPair};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::process::Guarded;
use super::wait;

/// Where the program is; it is installed where it is missing.
fn program() -> &'static str {
    static PROGRAM: OnceLock<String> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        // The tests of several packages start one.
        let folders = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors();
        let mut scripts = folders.map(|folder| folder.join("hack/redis-server.sh"));
        let script = scripts.find(|script| script.exists()).expect("the script");
        let output = Command::new(script).output().expect("run the script");
        let complaint = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "there is no redis-server: {complaint}");
        String::from_utf8(output.stdout).expect("a path").trim().to_owned()
    })
}

/// A Redis. Dropping this ends it.
#[derive(Debug)]
pub(crate) struct Redis {
    process: Guarded,
    pub(crate) port: u16,
    folder: TempDir,
    arguments: Vec<String>,
    plain: bool,
}

impl Redis {
    pub(crate) async fn start() -> Self {
        let mut redis = Self::prepared(&[]);
        redis.arguments.extend(["--port".to_owned(), redis.port.to_string()]);
        redis.again().await;
        redis
    }

    /// With a password, and over TLS alone. [`Self::authority`] is whom to trust.
    pub(crate) async fn secured(password: &str) -> Self {
        let mut redis = Self::prepared(&["--requirepass", password, "--tls-auth-clients", "no"]);
        let key = KeyPair::generate().expect("a key");
        let certificate = CertificateParams::new(["localhost".to_owned()]).expect("a name");
        let certificate = certificate.self_signed(&key).expect("a certificate");
        std::fs::write(redis.folder.path().join("tls.crt"), certificate.pem()).expect("write it");
        std::fs::write(redis.folder.path().join("tls.key"), key.serialize_pem()).expect("write it");
        let (port, at) =
            (redis.port.to_string(), |name: &str| redis.folder.path().join(name).display().to_string());
        let more = [
            "--port",
            "0",
            "--tls-port",
            &port,
            "--tls-cert-file",
            &at("tls.crt"),
            "--tls-key-file",
            &at("tls.key"),
        ];
        let more: Vec<String> = more.into_iter().map(str::to_owned).collect();
        redis.arguments.extend(more);
        redis.plain = false;
        redis.again().await;
        redis
    }

    fn prepared(more: &[&str]) -> Self {
        let port = TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address").port();
        let folder = tempfile::tempdir().expect("a folder");
        let mut arguments: Vec<String> =
            ["--bind", "127.0.0.1", "--save", "", "--appendonly", "no"].map(str::to_owned).into();
        arguments.extend(["--dir".to_owned(), folder.path().display().to_string()]);
        arguments.extend(more.iter().map(|argument| (*argument).to_owned()));
        // Nothing runs yet.
        let process = Guarded::start(&Command::new("true"));
        Self { process, port, folder, arguments, plain: true }
    }

    /// Starts it, with nothing in it, on the port that it had.
    pub(crate) async fn again(&mut self) {
        self.process = Guarded::start(Command::new(program()).args(&self.arguments));
        wait::until("redis answers", async || {
            if let Some(code) = self.process.exit_code() {
                return Err(format!("it ended with {code}: {}", self.process.output.end("", 20)));
            }
            if self.plain {
                self.ask("PING").await.map(|_| ())
            } else {
                TcpStream::connect(self.at()).await.map(|_| ()).map_err(|error| error.to_string())
            }
        })
        .await;
    }

    /// Ends it at once.
    pub(crate) async fn kill(&mut self) {
        self.process.signal("KILL");
        self.process.ended().await;
    }

    /// From here on it accepts connections, and answers nothing.
    pub(crate) async fn pause(&mut self) {
        let said = self.ask("INFO server").await.expect("it answers");
        let pid = said.lines().find_map(|line| line.strip_prefix("process_id:")).expect("its id").to_owned();
        self.process.signal("STOP");
        wait::until("redis stands still", async || {
            let status =
                fs::read_to_string(format!("/proc/{pid}/status")).map_err(|error| error.to_string())?;
            if status.contains("\nState:\tT") { Ok(()) } else { Err(status) }
        })
        .await;
    }

    pub(crate) fn resume(&mut self) {
        self.process.signal("CONT");
    }

    fn at(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.port))
    }

    pub(crate) fn address(&self) -> String {
        self.at().to_string()
    }

    pub(crate) fn authority(&self) -> String {
        self.folder.path().join("tls.crt").display().to_string()
    }

    /// Asks it one command of its own line protocol, and gives how the answer begins.
    pub(crate) async fn ask(&self, command: &str) -> Result<String, String> {
        ask(self.at(), command).await
    }
}

/// Asks the Redis at an address one command of its own line protocol, and gives how the answer begins.
pub(crate) async fn ask(redis: SocketAddr, command: &str) -> Result<String, String> {
    let asked = async {
        let mut stream = TcpStream::connect(redis).await?;
        stream.write_all(format!("{command}\r\n").as_bytes()).await?;
        let mut answer = vec![0; 64 << 10];
        let read = stream.read(&mut answer).await?;
        answer.truncate(read);
        Ok(String::from_utf8_lossy(&answer).into_owned())
    };
    asked.await.map_err(|error: std::io::Error| error.to_string())
}

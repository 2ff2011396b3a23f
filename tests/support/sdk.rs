//! MCP clients that this project did not write: the official SDKs, run by the scripts in tests/clients.

use std::path::Path;
use std::process::Stdio;

use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

/// How long one may take; the first one of all installs the SDK.
const BOUND: std::time::Duration = std::time::Duration::from_secs(300);

/// Which SDK.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sdk {
    /// `mcp` from PyPI.
    Python,
    /// `@modelcontextprotocol/client` from npm.
    TypeScript,
}

/// Which revision of the protocol it asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Generation {
    /// The newest, or what the server speaks.
    Newest,
    /// The newest that begins with `initialize`.
    Initialize,
}

/// What a server answered.
#[derive(Debug)]
pub(crate) struct Conversation {
    /// The server's name and version.
    pub(crate) server: Value,
    /// The revision that was agreed on.
    pub(crate) protocol_version: String,
    /// The answer to each request: `{"result": …}` or `{"error": …}`.
    pub(crate) answers: Vec<Value>,
}

impl Sdk {
    /// Both.
    pub(crate) const ALL: [Self; 2] = [Self::Python, Self::TypeScript];

    /// Asks a server, which is a URL or a command to start. Requests are methods with their params.
    ///
    /// # Panics
    /// Where it is not answered.
    pub(crate) async fn ask(
        self,
        generation: Generation,
        server: &[&str],
        variables: &[(&str, &str)],
        requests: &[(&str, Value)],
    ) -> Conversation {
        let script = match self {
            Self::Python => "python.sh",
            Self::TypeScript => "typescript.sh",
        };
        let mode = match generation {
            Generation::Newest => "auto",
            Generation::Initialize => "legacy",
        };
        let mut command =
            Command::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients").join(script));
        command
            .args(["--mode", mode, "--"])
            .args(server)
            .envs(variables.iter().copied())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        let mut running = command.spawn().expect("start a client");
        let lines: Vec<String> = requests
            .iter()
            .map(|(method, params)| json!({ "method": method, "params": params }).to_string())
            .collect();
        let mut input = running.stdin.take().expect("a pipe");
        let asked = async move {
            let written = input.write_all(lines.join("\n").as_bytes()).await;
            drop(input);
            written
        };
        let ended =
            tokio::time::timeout(BOUND, async { tokio::join!(asked, running.wait_with_output()).1 }).await;
        let ended =
            ended.unwrap_or_else(|_| panic!("{self:?} asks {server:?} without end")).expect("a client ran");
        let complaint = String::from_utf8_lossy(&ended.stderr).into_owned();
        assert!(ended.status.success(), "{self:?} asks {server:?}: {complaint}");
        let mut lines = String::from_utf8_lossy(&ended.stdout)
            .lines()
            .map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("{self:?} said {line}")))
            .collect::<Vec<Value>>()
            .into_iter();
        let connected = lines.next().unwrap_or_else(|| panic!("{self:?} said nothing: {complaint}"));
        let answers: Vec<Value> = lines.collect();
        assert_eq!(answers.len(), requests.len(), "{self:?} asks {server:?}: {complaint}");
        Conversation {
            server: connected["server"].clone(),
            protocol_version: connected["protocolVersion"].as_str().unwrap_or_default().to_owned(),
            answers,
        }
    }
}

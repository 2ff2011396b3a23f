//! What the operator asks of the API server, from the API server's own audit log.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use serde_json::Value;

/// Everything that the administrator asks but Leases, which only say that somebody lives. Without the beginnings of
/// requests; one that lasts, such as a watch, is still logged twice: when it is answered, and when it ends.
const POLICY: &str = "\
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
- level: None
  resources: [{group: coordination.k8s.io}]
- level: Metadata
  users: [local-cluster-admin]
- level: None
";

/// The audit log of an API server.
pub(crate) struct Audit {
    log: PathBuf,
}

impl Audit {
    /// An audit log in a directory, and the flags with which an API server keeps it.
    pub(crate) fn new(directory: &Path) -> anyhow::Result<(Self, [String; 2])> {
        let (policy, log) = (directory.join("audit-policy.yaml"), directory.join("audit.log"));
        std::fs::write(&policy, POLICY)?;
        let flags = [
            format!("--audit-policy-file={}", policy.display()),
            format!("--audit-log-path={}", log.display()),
        ];
        Ok((Self { log }, flags))
    }

    /// What the operator has asked so far.
    pub(crate) fn of_operator(&self) -> anyhow::Result<Calls> {
        let mut calls = BTreeMap::<(String, String), u64>::new();
        for line in std::fs::read_to_string(&self.log)?.lines() {
            let event: Value = serde_json::from_str(line).context("a line of the audit log")?;
            let text = |at: &str| event.pointer(at).and_then(Value::as_str).unwrap_or_default();
            let ends = text("/verb") == "watch" && text("/stage") == "ResponseComplete";
            if !text("/userAgent").starts_with("mcp-operator/") || ends {
                continue;
            }
            let mut what = text("/objectRef/resource").to_owned();
            if let Some(part) = event.pointer("/objectRef/subresource").and_then(Value::as_str) {
                write!(what, "/{part}")?;
            }
            match event.pointer("/responseStatus/code").and_then(Value::as_u64) {
                Some(code) if code >= 400 => write!(what, " ({code})")?,
                _ => {}
            }
            *calls.entry((text("/verb").to_owned(), what)).or_default() += 1;
        }
        Ok(Calls(calls))
    }
}

/// Requests by verb and by what they were about.
#[derive(Debug, Default)]
pub(crate) struct Calls(BTreeMap<(String, String), u64>);

impl Calls {
    pub(crate) fn since(mut self, before: &Self) -> Self {
        for (what, count) in &mut self.0 {
            *count -= before.0.get(what).copied().unwrap_or_default();
        }
        self.0.retain(|_, count| *count > 0);
        self
    }

    pub(crate) fn all(&self) -> u64 {
        self.0.values().sum()
    }

    /// Those that change something, or try to.
    pub(crate) fn writes(&self) -> u64 {
        let writes =
            self.0.iter().filter(|((verb, _), _)| !matches!(verb.as_str(), "get" | "list" | "watch"));
        writes.map(|(_, count)| count).sum()
    }

    /// Writes that are not about the operator itself: outside a cluster it makes its namespace and its webhook configurations.
    pub(crate) fn writes_about_servers(mut self) -> u64 {
        let own = |what: &str| what.contains("webhookconfigurations") || what.starts_with("namespaces");
        self.0.retain(|(_, what), _| !own(what));
        self.writes()
    }

    /// How many there are for each of so many servers: by verb, and of each by what it was about.
    pub(crate) fn for_each_of(&self, servers: usize) -> String {
        #[expect(clippy::cast_precision_loss, reason = "counts are small")]
        let each = |count: u64| count as f64 / servers as f64;
        let mut verbs = BTreeMap::<&str, Vec<(&str, u64)>>::new();
        for ((verb, what), count) in &self.0 {
            verbs.entry(verb).or_default().push((what, *count));
        }
        let shown = verbs.into_iter().map(|(verb, parts)| {
            let all = each(parts.iter().map(|(_, count)| count).sum());
            let parts = parts.iter().map(|(what, count)| format!("{what} {:.3}", each(*count)));
            format!("{verb} {all:.3} ({})", parts.collect::<Vec<_>>().join(", "))
        });
        shown.collect::<Vec<_>>().join("; ")
    }
}

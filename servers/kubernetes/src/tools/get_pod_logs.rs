//! `get-pod-logs`.

use rmcp::model::{CallToolResult, ContentBlock};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use super::{CallError, arguments};
use crate::kubernetes::{Kubernetes, LOG_BYTES, LOG_BYTES_READ, Log, LogRequest};
use crate::name::{ContainerName, Namespace, PodName};

/// How many lines there are where nobody says how many.
const DEFAULT_LINES: u32 = 100;
/// How many lines there are at most.
const MOST_LINES: u32 = 5000;

/// Which log.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct GetPodLogs {
    /// Name of the pod.
    pub name: PodName,
    /// Namespace of the pod; the server's own where it is missing.
    #[serde(default)]
    #[schemars(with = "Namespace")]
    pub namespace: Option<Namespace>,
    /// Name of the container; needed where the pod has more than one.
    #[serde(default)]
    #[schemars(with = "ContainerName")]
    pub container: Option<ContainerName>,
    /// How many lines, from the end.
    #[serde(default = "default_lines")]
    #[schemars(range(min = 1, max = MOST_LINES))]
    pub tail_lines: u32,
    /// Only lines that were written in the last so many seconds.
    #[serde(default)]
    #[schemars(with = "u32", range(min = 1))]
    pub since_seconds: Option<u32>,
    /// The log of the container that ran before the present one: what a container said before it crashed.
    #[serde(default)]
    pub previous: bool,
    /// Begin each line with the time at which it was written.
    #[serde(default)]
    pub timestamps: bool,
}

const fn default_lines() -> u32 {
    DEFAULT_LINES
}

impl GetPodLogs {
    fn check(&self) -> Result<(), CallError> {
        if !(1..=MOST_LINES).contains(&self.tail_lines) {
            return Err(CallError::Argument(format!("tailLines: must be between 1 and {MOST_LINES}")));
        }
        if self.since_seconds == Some(0) {
            return Err(CallError::Argument("sinceSeconds: must be at least 1".to_owned()));
        }
        Ok(())
    }
}

pub(super) async fn call(kubernetes: &Kubernetes, given: Value) -> Result<CallToolResult, CallError> {
    let wanted: GetPodLogs = arguments(given)?;
    wanted.check()?;
    let namespace = kubernetes.namespace_or_own(wanted.namespace);
    let request = LogRequest {
        container: wanted.container,
        lines: wanted.tail_lines,
        since_seconds: wanted.since_seconds,
        previous: wanted.previous,
        timestamps: wanted.timestamps,
    };
    let log = kubernetes.log(&namespace, &wanted.name, &request).await?;
    let remark = remark(&log);
    let texts = [Some(log.text).filter(|text| !text.is_empty()), remark];
    Ok(CallToolResult::success(texts.into_iter().flatten().map(ContentBlock::text).collect()))
}

/// What the log's text does not show.
fn remark(log: &Log) -> Option<String> {
    if log.lacks_end {
        Some(format!(
            "These lines are longer than {} MiB, and the last of them are not here: ask for fewer.",
            LOG_BYTES_READ / 1024 / 1024
        ))
    } else if log.lacks_beginning {
        Some(format!("These are the last {} KiB of the lines that were asked for.", LOG_BYTES / 1024))
    } else if log.text.is_empty() {
        Some("The log is empty: the container has written nothing, or has not been started.".to_owned())
    } else {
        None
    }
}

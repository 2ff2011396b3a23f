//! What of Kubernetes' texts a person needs, and stays the same while the same thing goes wrong.

use std::borrow::Cow;

/// How long a quoted text may be, in bytes.
const MAX_QUOTED: usize = 300;

/// A text on one line, without control characters.
fn in_one_line(text: &str) -> String {
    let words: Vec<&str> =
        text.split(|c: char| c.is_whitespace() || c.is_control()).filter(|it| !it.is_empty()).collect();
    words.join(" ")
}

/// A text on one line, without control characters and without more than a person reads.
pub(super) fn on_one_line(text: &str) -> String {
    beginning(&in_one_line(text)).into_owned()
}

/// The beginning of a line, as much of it as a person reads.
pub(super) fn beginning(line: &str) -> Cow<'_, str> {
    if line.len() <= MAX_QUOTED {
        return line.into();
    }
    let end = (0..=MAX_QUOTED).rev().find(|end| line.is_char_boundary(*end)).unwrap_or_default();
    format!("{}…", line.get(..end).unwrap_or_default()).into()
}

/// The end of a line, as much of it as a person reads, from the beginning of a word: what went wrong stands behind what was
/// being done.
pub(super) fn ending(line: &str) -> Cow<'_, str> {
    let Some(cut) = line.len().checked_sub(MAX_QUOTED).filter(|cut| *cut > 0) else { return line.into() };
    let start = (cut..=line.len()).find(|start| line.is_char_boundary(*start)).unwrap_or_default();
    let end = line.get(start..).unwrap_or_default();
    format!("…{}", end.split_once(' ').map_or(end, |(_, words)| words)).into()
}

/// The last line that is not empty.
pub(super) fn last_line(text: &str) -> Option<String> {
    text.lines().rev().map(on_one_line).find(|line| !line.is_empty())
}

/// Without the beginning that names a pod: `pods "main-7d9f-x2x7v" is forbidden: …`.
pub(super) fn without_pod(text: &str) -> String {
    let rest = text.strip_prefix("pods \"").and_then(|rest| rest.split_once("\" is forbidden: "));
    on_one_line(rest.map_or(text, |(_, rest)| rest))
}

/// Without the end in which the kubelet names pod and container: ` (pod: "…", container: …)`.
pub(super) fn without_container(text: &str) -> String {
    on_one_line(text.split_once(" (pod: ").map_or(text, |(text, _)| text))
}

/// Without what the kubelet wraps around the answer of the container runtime. Whole, as its end says what went wrong.
pub(super) fn of_pull(text: &str) -> String {
    let text = text.split_once("ErrImagePull: ").map_or(text, |(_, text)| text);
    let text = text
        .split_once(" desc = ")
        .filter(|(code, _)| code.starts_with("rpc error"))
        .map_or(text, |(_, text)| text);
    in_one_line(text)
}

/// Why an image cannot be pulled, in few words, and the field to change. It takes the whole of what is said.
pub(super) fn image_detail(said: &str) -> (Cow<'_, str>, &'static str) {
    let lower = said.to_lowercase();
    let says = |texts: &[&str]| texts.iter().any(|text| lower.contains(text));
    if says(&["pull policy of never"]) {
        ("it is not on the node".into(), "spec.imagePullPolicy, or load the image")
    } else if says(&[
        "unauthorized",
        "denied",
        "forbidden",
        "authorization failed",
        "authentication required",
        "no basic auth",
    ]) {
        ("the registry denies it, or has no such image".into(), "spec.image or spec.imagePullSecrets")
    } else if says(&[
        "no such host",
        "dial tcp",
        "i/o timeout",
        "connection refused",
        "server misbehaving",
        "tls: ",
    ]) {
        (ending(said.rsplit(": ").next().unwrap_or(said)), "spec.image, or mend the way to the registry")
    } else if says(&["not found", "manifest unknown", "no match for platform"]) {
        ("the registry has no such image".into(), "spec.image")
    } else {
        (ending(said), "spec.image or spec.imagePullSecrets")
    }
}

/// What the container runtime says about a process that cannot be started, from where it speaks of the process.
pub(super) fn of_start(text: &str) -> String {
    let text = text.find("exec: ").and_then(|at| text.get(at..)).unwrap_or(text);
    on_one_line(text.trim_end().trim_end_matches(": unknown"))
}

/// What the scheduler says about the nodes: its first sentence, whole. Those after it say what it tried in order to make
/// room.
pub(super) fn of_scheduling(text: &str) -> String {
    let text = text.split_once(". ").map_or(text, |(text, _)| text);
    in_one_line(text.trim_end().trim_end_matches('.'))
}

/// The fields that keep pods from nodes, by what the scheduler says, of which it takes the whole.
pub(super) fn fields_for(said: &str) -> String {
    const FIELDS: [(&str, &str); 7] = [
        ("Insufficient", "spec.resources.requests"),
        ("node affinity", "spec.nodeSelector or spec.affinity"),
        ("taint", "spec.tolerations"),
        ("topology spread", "spec.topologySpreadConstraints"),
        ("affinity rules", "spec.affinity"),
        ("olume", "spec.volumes"),
        ("claim", "spec.volumes"),
    ];
    let mut fields: Vec<&str> = Vec::new();
    for (text, field) in FIELDS {
        if said.contains(text) && !fields.contains(&field) {
            fields.push(field);
        }
    }
    if fields.is_empty() {
        "spec.resources.requests, spec.nodeSelector or spec.tolerations, or add a node".to_owned()
    } else {
        fields.join(" or ")
    }
}

//! The rules of admission, one module a concern.
//!
//! [`object`] runs every rule that needs only the object; rules across objects are [`crate::catalog`]'s. The webhooks,
//! the controller (for objects that came past them) and `mcp-operator check` all call these, so that they cannot differ.

mod applied;
pub mod cron;
pub mod depth;
pub mod duration;
pub mod image;
pub mod name;
mod nearest;
pub mod path;
pub mod prompt;
pub mod quantity;
pub mod resource;
pub mod schema;
pub mod selector;
pub mod server;
pub mod service;
pub mod structural;
pub mod template;
pub mod tool;
pub mod uri;

use serde_json::Value;

use crate::field::{FieldError, FieldPath, Findings};
use crate::kind::Kind;
use crate::node::Node;

/// What is being done to an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    /// It is new.
    Create,
    /// It replaces a stored one.
    Update,
}

/// Runs every rule that needs only the object, on an object to which [`crate::default::apply`] has been applied.
#[must_use]
pub fn object(kind: Kind, operation: Operation, object: &Value) -> Findings {
    let mut findings = Findings::default();
    structural::check(kind, object, &mut findings);
    let node = Node::root(object);
    match kind {
        Kind::Server => {
            if operation == Operation::Create {
                check_object_name(&node, &mut findings);
            }
            server::check(&node, &mut findings);
        }
        Kind::Tool => {
            check_mcp_name(&node, &mut findings);
            tool::check(&node, &mut findings);
        }
        Kind::Prompt => {
            check_mcp_name(&node, &mut findings);
            prompt::check(&node, &mut findings);
        }
        Kind::Resource => {
            check_mcp_name(&node, &mut findings);
            resource::check(&node, &mut findings);
        }
    }
    depth::check(object, &mut findings);
    findings
}

/// S15: a Service of the server's name must be possible. What has only a `generateName` is named by the API server
/// after admission; a prefix that can never lead to a valid name is refused by it.
fn check_object_name(object: &Node<'_>, findings: &mut Findings) {
    let Some(metadata) = object.get("metadata") else { return };
    let Some(name) = metadata.get("name") else { return };
    if let Some(text) = name.as_str().filter(|text| !text.is_empty() && !name::is_dns_1035_label(text)) {
        let detail = "must name a Service too: at most 63 lower-case letters, digits and hyphens, a letter first and no hyphen last";
        findings.error(FieldError::invalid_str(&name.path, text, detail));
    }
}

/// T1, and its likes for prompts and resources.
fn check_mcp_name(object: &Node<'_>, findings: &mut Findings) {
    let Some(spec) = object.get("spec").filter(|spec| spec.value.is_object()) else { return };
    match spec.get("name") {
        None => {
            let is_generated = object
                .get("metadata")
                .is_some_and(|metadata| metadata.has("generateName") && !metadata.has("name"));
            let detail = if is_generated {
                "MCP clients call it by this name, and metadata.name, its default, is generated only later"
            } else {
                "MCP clients call it by this name"
            };
            findings.error(FieldError::required(FieldPath::of(["spec", "name"]), detail));
        }
        Some(name) => {
            if let Some(text) = name.as_str().filter(|text| !name::is_mcp_name(text)) {
                let detail = "must be 1 to 128 letters, digits, underscores, hyphens and dots";
                findings.error(FieldError::invalid_str(&name.path, text, detail));
            }
        }
    }
}

/// What would take minutes if it were done badly takes seconds at most. A machine may stand still for a while, but hardly three times.
#[cfg(test)]
fn assert_soon(work: impl Fn()) {
    let took = || {
        let began = std::time::Instant::now();
        work();
        began.elapsed()
    };
    let soon = std::iter::repeat_with(took).take(3).any(|took| took.as_secs() < 10);
    assert!(soon, "it took ten seconds or more, three times");
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_spec_that_is_no_object_is_that_one_error() {
        for kind in Kind::ALL {
            for spec in [json!([]), json!("text"), json!(7)] {
                let findings =
                    super::object(kind, Operation::Create, &json!({"metadata": {"name": "a"}, "spec": spec}));
                let errors: Vec<_> = findings.errors.iter().map(ToString::to_string).collect();
                assert_eq!(errors, [format!("spec: Invalid value: {spec}: must be an object")], "{kind}");
            }
        }
    }
}

//! The prompts: facts of the cluster, gathered and put before a model together with what stands out in them.

mod findings;
mod markdown;
mod optimize_resources;
mod quantity;
mod troubleshoot_pod;

use std::str::FromStr;

use rmcp::model::{GetPromptResult, JsonObject, Prompt, PromptArgument, PromptMessage, Role};
use serde_json::Value;

use crate::kubernetes::Kubernetes;
use crate::name::InvalidName;
use crate::refusal::Refusal;

/// Why a prompt cannot be given.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PromptError {
    /// There is none of that name.
    #[error("no such prompt: there are troubleshoot-pod and optimize-resources")]
    Unknown,
    /// An argument is missing.
    #[error("argument {0} is missing")]
    Missing(&'static str),
    /// An argument is not what it must be.
    #[error("argument {name}: {reason}")]
    Argument {
        /// Which.
        name: String,
        /// Why not.
        reason: String,
    },
    /// Kubernetes did not say what the prompt is about.
    #[error(transparent)]
    Refused(#[from] Refusal),
}

/// Every prompt, in a fixed order.
#[must_use]
pub fn all() -> Vec<Prompt> {
    let argument = |name: &str, description: &str, required: bool| {
        PromptArgument::new(name).with_description(description).with_required(required)
    };
    let namespace = || argument("namespace", "Its namespace; the server's own where it is missing.", false);
    vec![
        Prompt::new(
            "troubleshoot-pod",
            Some("Finds out why a pod does not work: its state, events and logs, with what stands out in them."),
            Some(vec![argument("name", "Name of the pod.", true), namespace()]),
        )
        .with_title("Troubleshoot a pod"),
        Prompt::new(
            "optimize-resources",
            Some("Compares what the containers of a namespace are promised, may use and use, and asks for better values."),
            Some(vec![argument("namespace", "The namespace; the server's own where it is missing.", false)]),
        )
        .with_title("Optimize resources"),
    ]
}

/// Gives a prompt.
///
/// # Errors
/// [`PromptError`].
pub async fn get(
    kubernetes: &Kubernetes,
    name: &str,
    arguments: Option<JsonObject>,
) -> Result<GetPromptResult, PromptError> {
    let arguments = Arguments(arguments.unwrap_or_default());
    let (description, text) = match name {
        "troubleshoot-pod" => {
            arguments.only(&["name", "namespace"])?;
            let name = arguments.parse("name")?.ok_or(PromptError::Missing("name"))?;
            let namespace = kubernetes.namespace_or_own(arguments.parse("namespace")?);
            let facts = troubleshoot_pod::gather(kubernetes, &namespace, &name).await?;
            (format!("Why pod {name} in namespace {namespace} does not work"), facts.text())
        }
        "optimize-resources" => {
            arguments.only(&["namespace"])?;
            let namespace = kubernetes.namespace_or_own(arguments.parse("namespace")?);
            let facts = optimize_resources::gather(kubernetes, &namespace).await?;
            (format!("Better requests and limits in namespace {namespace}"), facts.text())
        }
        _ => return Err(PromptError::Unknown),
    };
    let message = PromptMessage::new_text(Role::User, text);
    Ok(GetPromptResult::new(vec![message]).with_description(description))
}

/// A prompt's arguments, all of them text.
struct Arguments(JsonObject);

impl Arguments {
    fn only(&self, known: &[&str]) -> Result<(), PromptError> {
        match self.0.keys().find(|name| !known.contains(&name.as_str())) {
            None => Ok(()),
            Some(name) => Err(PromptError::Argument {
                name: name.clone(),
                reason: format!("there is no such argument; there are {}", known.join(", ")),
            }),
        }
    }

    /// An empty text is what clients send for a field that was left out.
    fn parse<T: FromStr<Err = InvalidName>>(&self, name: &'static str) -> Result<Option<T>, PromptError> {
        let wrong = |reason: String| PromptError::Argument { name: name.to_owned(), reason };
        match self.0.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) if text.is_empty() => Ok(None),
            Some(Value::String(text)) => {
                text.parse().map(Some).map_err(|error: InvalidName| wrong(error.to_string()))
            }
            Some(_) => Err(wrong("must be a text".to_owned())),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::name::PodName;

    fn arguments(value: Value) -> Arguments {
        Arguments(value.as_object().unwrap().clone())
    }

    #[test]
    fn what_was_left_out_is_missing() {
        for given in [json!({}), json!({ "name": "" }), json!({ "name": null })] {
            assert_eq!(arguments(given).parse::<PodName>("name"), Ok(None));
        }
    }

    #[test]
    fn what_is_wrong_is_named() {
        let error = arguments(json!({ "name": "A" })).parse::<PodName>("name").unwrap_err().to_string();
        assert!(error.starts_with("argument name: \"A\" is not a valid name"), "{error}");
        assert_eq!(
            arguments(json!({ "pod": "a" })).only(&["name"]).unwrap_err().to_string(),
            "argument pod: there is no such argument; there are name"
        );
    }
}

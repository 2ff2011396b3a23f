//! What Kubernetes refused, in a sentence that says what to change.

use std::fmt;
use std::time::Duration;

use kube::core::Status;

/// What was asked of the API server, in the words of RBAC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attempt<'a> {
    /// The verb, such as `get`.
    pub verb: &'static str,
    /// The API group; empty for the core group.
    pub group: &'static str,
    /// The resource with its subresource, such as `pods/log`.
    pub resource: &'static str,
    /// The namespace, where the resource has one.
    pub namespace: Option<&'a str>,
}

impl fmt::Display for Attempt<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.verb, self.resource)?;
        if !self.group.is_empty() {
            write!(f, ".{}", self.group)?;
        }
        match self.namespace {
            Some(namespace) => write!(f, " in namespace {namespace}"),
            None => Ok(()),
        }
    }
}

/// Why Kubernetes did not do what it was asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The service account has no right to it.
    #[error("Kubernetes refused: {0}")]
    NotPermitted(String),
    /// There is no such object.
    #[error("Kubernetes found nothing: {0}")]
    NotFound(String),
    /// Anything else that the API server had to say: an object that it does not take, a quota, an admission policy.
    #[error("Kubernetes refused: {0}")]
    Refused(String),
    /// The API server was not reached, or answered something else.
    #[error("the Kubernetes API server could not be asked to {attempt}: {reason}")]
    NotAsked {
        /// What it was to do.
        attempt: String,
        /// Why not.
        reason: String,
    },
    /// The API server took too long.
    #[error("the Kubernetes API server did not {attempt} within {} s", within.as_secs())]
    TooSlow {
        /// What it was to do.
        attempt: String,
        /// How long it had.
        within: Duration,
    },
}

impl Refusal {
    /// What an error of the client means.
    #[must_use]
    pub fn of(attempt: &Attempt<'_>, error: &kube::Error) -> Self {
        match error {
            kube::Error::Api(status) => Self::by_status(attempt, status),
            // Its text already holds those of its sources.
            other => Self::NotAsked { attempt: attempt.to_string(), reason: chain(other) },
        }
    }

    fn by_status(attempt: &Attempt<'_>, status: &Status) -> Self {
        let message = match (status.message.as_str(), status.reason.as_str()) {
            ("", "") => format!("status {}", status.code),
            ("", reason) => reason.to_owned(),
            (message, _) => message.to_owned(),
        };
        match status.code {
            401 => Self::NotPermitted(format!(
                "the API server does not know this server, whose credentials are wrong or have expired: {message}"
            )),
            403 => match unauthorized_user(&message) {
                Some(user) => Self::NotPermitted(not_permitted(attempt, user)),
                None => Self::Refused(message),
            },
            404 => Self::NotFound(match attempt.namespace {
                Some(namespace) => format!("{message} in namespace {namespace}"),
                None => message,
            }),
            _ => Self::Refused(message),
        }
    }
}

/// Who may not, where the message is an authorizer's. Admission also answers 403, and no Role helps against it.
fn unauthorized_user(message: &str) -> Option<&str> {
    let (_, rest) = message.split_once("User \"")?;
    let (user, rest) = rest.split_once('"')?;
    rest.trim_start().starts_with("cannot ").then_some(user)
}

fn not_permitted(attempt: &Attempt<'_>, user: &str) -> String {
    let Attempt { verb, group, resource, namespace } = attempt;
    let rule = format!(r#"apiGroups: ["{group}"], resources: ["{resource}"], verbs: ["{verb}"]"#);
    match namespace {
        Some(namespace) => format!(
            "{user} may not {attempt}. A Role in namespace {namespace} with the rule {{{rule}}}, bound to it by a \
             RoleBinding there, would allow it"
        ),
        None => format!(
            "{user} may not {attempt}. A ClusterRole with the rule {{{rule}}}, bound to it by a ClusterRoleBinding, would \
             allow it"
        ),
    }
}

/// An error with its sources, each said once.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(source) = next {
        let said = source.to_string();
        if !text.contains(&said) {
            text.push_str(": ");
            text.push_str(&said);
        }
        next = source.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOG: Attempt<'_> =
        Attempt { verb: "get", group: "", resource: "pods/log", namespace: Some("shop") };
    const NODES: Attempt<'_> = Attempt { verb: "list", group: "", resource: "nodes", namespace: None };

    fn refusal(attempt: &Attempt<'_>, code: u16, message: &str) -> String {
        let status = Status { code, message: message.to_owned(), ..Status::default() };
        Refusal::of(attempt, &kube::Error::Api(status.boxed())).to_string()
    }

    #[test]
    fn a_missing_right_says_who_lacks_which_and_what_gives_it() {
        let message = r#"pods "web" is forbidden: User "system:serviceaccount:shop:mcp" cannot get resource "pods/log" in API group "" in the namespace "shop""#;
        assert_eq!(
            refusal(&LOG, 403, message),
            "Kubernetes refused: system:serviceaccount:shop:mcp may not get pods/log in namespace shop. A Role in namespace \
             shop with the rule {apiGroups: [\"\"], resources: [\"pods/log\"], verbs: [\"get\"]}, bound to it by a \
             RoleBinding there, would allow it"
        );
        let message = r#"nodes is forbidden: User "jane" cannot list resource "nodes" in API group "" at the cluster scope"#;
        let said = refusal(&NODES, 403, message);
        assert!(said.contains("jane may not list nodes. A ClusterRole with"), "{said}");
    }

    #[test]
    fn what_admission_refuses_no_role_would_allow() {
        let message =
            r#"pods "web" is forbidden: violates PodSecurity "restricted:latest": runAsNonRoot != true"#;
        assert_eq!(refusal(&LOG, 403, message), format!("Kubernetes refused: {message}"));
        let message = r#"pods "web" is forbidden: exceeded quota: small, requested: pods=1, used: pods=2, limited: pods=2"#;
        assert_eq!(refusal(&LOG, 403, message), format!("Kubernetes refused: {message}"));
    }

    #[test]
    fn other_answers_are_passed_on() {
        assert_eq!(
            refusal(&LOG, 404, "pods \"web\" not found"),
            "Kubernetes found nothing: pods \"web\" not found in namespace shop"
        );
        assert_eq!(refusal(&LOG, 500, ""), "Kubernetes refused: status 500");
        assert!(refusal(&LOG, 401, "Unauthorized").contains("does not know this server"));
    }

    #[test]
    fn an_api_server_that_is_away_is_said_to_be() {
        let error = kube::Error::Service("connection refused".into());
        assert_eq!(
            Refusal::of(&NODES, &error).to_string(),
            "the Kubernetes API server could not be asked to list nodes: ServiceError: connection refused"
        );
    }
}

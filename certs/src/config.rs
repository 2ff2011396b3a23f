//! What an operator's flags say about its certificates.

use std::time::Duration;

use rustls::pki_types::{InvalidDnsNameError, ServerName};

/// Everything the rotation needs to know. [`crate::Rotator::new`] calls [`Policy::validate`].
#[derive(Clone, Debug)]
pub struct Config {
    /// Namespace of the Secret.
    pub namespace: String,
    /// Name of the Secret, `mcp-operator-webhook-cert` in the shipped manifests.
    pub secret: String,
    /// The ValidatingWebhookConfiguration whose `caBundle` keys are filled, if there is one.
    pub validating: Option<String>,
    /// The MutatingWebhookConfiguration whose `caBundle` keys are filled, if there is one.
    pub mutating: Option<String>,
    /// What certificates look like and when they are replaced.
    pub policy: Policy,
}

/// The part of the configuration that decisions depend on.
#[derive(Clone, Debug)]
pub struct Policy {
    /// Names and addresses the leaf has to be valid for: the Service's, or the host of `--webhook-url`.
    pub names: Vec<ServerName<'static>>,
    /// How long a CA is valid, counted from its issue.
    pub ca_lifetime: Duration,
    /// How long a leaf is valid; cut short where its CA ends sooner.
    pub leaf_lifetime: Duration,
    /// How long after a change every API server and every replica is assumed to have seen it.
    ///
    /// An API server's cache of webhook configurations cannot be observed, so this is a wait and not a check.
    pub propagation: Duration,
}

impl Policy {
    /// The default lifetimes for the given names: a CA of 365 days, a leaf of 90, a propagation wait of 60 s.
    #[must_use]
    pub fn new(names: Vec<ServerName<'static>>) -> Self {
        const DAY: u64 = 24 * 60 * 60;
        Self {
            names,
            ca_lifetime: Duration::from_secs(365 * DAY),
            leaf_lifetime: Duration::from_secs(90 * DAY),
            propagation: Duration::from_secs(60),
        }
    }

    /// Refuses what could never settle.
    ///
    /// # Errors
    /// See [`ConfigError`].
    pub fn validate(&self) -> Result<(), ConfigError> {
        if self.names.is_empty() {
            return Err(ConfigError::NoNames);
        }
        for (what, lifetime) in [("ca", self.ca_lifetime), ("leaf", self.leaf_lifetime)] {
            // Times in certificates are whole seconds; below this, rounding alone could make a new one due at once.
            if lifetime < MIN_LIFETIME || lifetime > MAX_LIFETIME {
                return Err(ConfigError::Lifetime { what, lifetime });
            }
            // Replacement starts with a third of the lifetime left, and has to end within it.
            if lifetime / 3 <= self.propagation {
                return Err(ConfigError::Propagation { what, lifetime, propagation: self.propagation });
            }
        }
        Ok(())
    }
}

/// The shortest lifetime that [`Policy::validate`] accepts.
pub const MIN_LIFETIME: Duration = Duration::from_secs(6);

/// The longest lifetime that [`Policy::validate`] accepts, about a hundred years.
pub const MAX_LIFETIME: Duration = Duration::from_secs(100 * 365 * 24 * 60 * 60);

/// The names under which an API server, or a person with `curl`, calls a Service.
///
/// API servers use the first, `NAME.NAMESPACE.svc`.
///
/// # Errors
/// Fails where the parts do not make up a DNS name.
pub fn service_names(
    service: &str,
    namespace: &str,
) -> Result<Vec<ServerName<'static>>, InvalidDnsNameError> {
    ["svc", "svc.cluster.local"]
        .into_iter()
        .map(|domain| ServerName::try_from(format!("{service}.{namespace}.{domain}")))
        .collect()
}

/// Why a configuration is refused.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum ConfigError {
    /// A leaf without a name verifies for nobody.
    #[error("no name or address to issue a certificate for")]
    NoNames,
    /// Outside of [`MIN_LIFETIME`] to [`MAX_LIFETIME`].
    #[error("{what} lifetime {lifetime:?} must be between {MIN_LIFETIME:?} and {MAX_LIFETIME:?}")]
    Lifetime {
        /// `ca` or `leaf`.
        what: &'static str,
        /// The lifetime asked for.
        lifetime: Duration,
    },
    /// Certificates would expire while their replacement waits.
    #[error(
        "propagation wait {propagation:?} must be shorter than a third of the {what} lifetime {lifetime:?}"
    )]
    Propagation {
        /// `ca` or `leaf`.
        what: &'static str,
        /// The lifetime asked for.
        lifetime: Duration,
        /// The wait asked for.
        propagation: Duration,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mk_policy() -> Policy {
        Policy::new(service_names("webhook", "operators").unwrap())
    }

    #[test]
    fn accepts_the_defaults() {
        assert_eq!(mk_policy().validate(), Ok(()));
    }

    #[test]
    fn rejects_a_policy_without_names() {
        assert_eq!(Policy::new(Vec::new()).validate(), Err(ConfigError::NoNames));
    }

    #[test]
    fn rejects_lifetimes_that_end_before_the_wait_does() {
        let leaf = Policy { leaf_lifetime: Duration::from_secs(180), ..mk_policy() };
        assert!(matches!(leaf.validate(), Err(ConfigError::Propagation { what: "leaf", .. })));
        let ca = Policy { ca_lifetime: Duration::from_secs(100), ..mk_policy() };
        assert!(matches!(ca.validate(), Err(ConfigError::Propagation { what: "ca", .. })));
    }

    #[test]
    fn rejects_lifetimes_that_x509_cannot_express() {
        let short =
            Policy { ca_lifetime: Duration::from_secs(1), propagation: Duration::ZERO, ..mk_policy() };
        assert!(matches!(short.validate(), Err(ConfigError::Lifetime { .. })));
        let long = Policy { ca_lifetime: Duration::MAX, ..mk_policy() };
        assert!(matches!(long.validate(), Err(ConfigError::Lifetime { .. })));
    }

    #[test]
    fn the_first_name_is_the_one_api_servers_use() {
        let names = service_names("webhook", "operators").unwrap();
        assert_eq!(names.first().unwrap().to_str(), "webhook.operators.svc");
    }
}

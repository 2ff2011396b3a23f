//! The two webhook configurations: what the API server asks the operator about.
//!
//! In a cluster the manifests ship them, generated from here, and the operator only fills in the CA. Outside of one
//! (`--webhook-url`) the operator makes its own, and removes them at exit.

use std::fmt;

use k8s_openapi::api::admissionregistration::v1::{
    MatchCondition, MutatingWebhook, MutatingWebhookConfiguration, RuleWithOperations, ServiceReference,
    ValidatingWebhook, ValidatingWebhookConfiguration, WebhookClientConfig,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::{DeleteParams, Patch, PatchParams};
use kube::{Api, Client};
use mcp_crds::kind::{GROUP, Kind, VERSION};

/// How long the API server waits for an answer, in seconds.
const TIMEOUT_SECONDS: i32 = 5;

/// Who writes a configuration that is the operator's own.
const FIELD_MANAGER: &str = "mcp-operator";

/// Where the API server finds the webhooks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Address {
    /// A Service in the cluster.
    Service {
        /// Its namespace.
        namespace: String,
        /// Its name.
        name: String,
    },
    /// `https://HOST:PORT`, from the API server's point of view.
    Url(String),
}

impl Address {
    fn client_config(&self, path: &str) -> WebhookClientConfig {
        match self {
            Self::Service { namespace, name } => WebhookClientConfig {
                service: Some(ServiceReference {
                    namespace: namespace.clone(),
                    name: name.clone(),
                    path: Some(path.to_owned()),
                    port: Some(443),
                }),
                ..WebhookClientConfig::default()
            },
            Self::Url(base) => WebhookClientConfig {
                url: Some(format!("{}{path}", base.trim_end_matches('/'))),
                ..WebhookClientConfig::default()
            },
        }
    }
}

/// The configuration of the webhook that fills in defaults, and refuses what is wrong with every error at once.
#[must_use]
pub fn mutating(name: &str, address: &Address) -> MutatingWebhookConfiguration {
    MutatingWebhookConfiguration {
        metadata: metadata(name),
        webhooks: Some(vec![MutatingWebhook {
            name: format!("mutate.{GROUP}"),
            admission_review_versions: vec!["v1".to_owned()],
            client_config: address.client_config("/mutate"),
            failure_policy: Some("Fail".to_owned()),
            match_conditions: Some(vec![not_being_deleted()]),
            rules: Some(vec![rule()]),
            side_effects: "None".to_owned(),
            timeout_seconds: Some(TIMEOUT_SECONDS),
            ..MutatingWebhook::default()
        }]),
    }
}

/// The configuration of the webhook that checks what all mutators together made of an object.
#[must_use]
pub fn validating(name: &str, address: &Address) -> ValidatingWebhookConfiguration {
    ValidatingWebhookConfiguration {
        metadata: metadata(name),
        webhooks: Some(vec![ValidatingWebhook {
            name: format!("validate.{GROUP}"),
            admission_review_versions: vec!["v1".to_owned()],
            client_config: address.client_config("/validate"),
            failure_policy: Some("Fail".to_owned()),
            match_conditions: Some(vec![not_being_deleted()]),
            rules: Some(vec![rule()]),
            side_effects: "None".to_owned(),
            timeout_seconds: Some(TIMEOUT_SECONDS),
            ..ValidatingWebhook::default()
        }]),
    }
}

fn metadata(name: &str) -> ObjectMeta {
    let labels = [("app.kubernetes.io/name", "mcp-operator"), ("app.kubernetes.io/component", "webhook")];
    ObjectMeta {
        name: Some(name.to_owned()),
        labels: Some(labels.map(|(key, value)| (key.to_owned(), value.to_owned())).into()),
        ..ObjectMeta::default()
    }
}

/// Nothing may stop a deletion, or the removal of a finalizer.
fn not_being_deleted() -> MatchCondition {
    MatchCondition {
        name: "not-being-deleted".to_owned(),
        expression: "!has(object.metadata.deletionTimestamp)".to_owned(),
    }
}

/// Only our own kinds, so that a dead operator blocks nothing else in the cluster.
fn rule() -> RuleWithOperations {
    let kinds = Kind::ALL.map(|kind| kind.plural().to_owned());
    RuleWithOperations {
        api_groups: Some(vec![GROUP.to_owned()]),
        api_versions: Some(vec![VERSION.to_owned()]),
        operations: Some(vec!["CREATE".to_owned(), "UPDATE".to_owned()]),
        resources: Some(kinds.into_iter().chain(["mcpservers/scale".to_owned()]).collect()),
        scope: Some("Namespaced".to_owned()),
    }
}

/// Configurations of an operator that runs outside a cluster.
#[derive(Clone)]
pub struct Own {
    client: Client,
    mutating: MutatingWebhookConfiguration,
    validating: ValidatingWebhookConfiguration,
}

impl fmt::Debug for Own {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = (name(&self.mutating.metadata), name(&self.validating.metadata));
        f.debug_tuple("Own").field(&names.0).field(&names.1).finish()
    }
}

impl Own {
    /// Configurations of these names, at this address.
    #[must_use]
    pub fn new(client: Client, mutating_name: &str, validating_name: &str, address: &Address) -> Self {
        Self {
            client,
            mutating: mutating(mutating_name, address),
            validating: validating(validating_name, address),
        }
    }

    /// Makes both, or makes those that an earlier run left behind its own. The CA is filled in later.
    ///
    /// # Errors
    /// Where the API server refuses, or does not answer.
    pub async fn register(&self) -> Result<(), kube::Error> {
        let params = PatchParams::apply(FIELD_MANAGER).force();
        self.mutating_api()
            .patch(name(&self.mutating.metadata), &params, &Patch::Apply(&self.mutating))
            .await?;
        self.validating_api()
            .patch(name(&self.validating.metadata), &params, &Patch::Apply(&self.validating))
            .await?;
        Ok(())
    }

    /// Removes both.
    ///
    /// # Errors
    /// Where the API server refuses, or does not answer. That they are not there is none.
    pub async fn remove(&self) -> Result<(), kube::Error> {
        let params = DeleteParams::default();
        let mutating = self.mutating_api().delete(name(&self.mutating.metadata), &params).await.map(drop);
        let validating =
            self.validating_api().delete(name(&self.validating.metadata), &params).await.map(drop);
        for removed in [mutating, validating] {
            match removed {
                Err(kube::Error::Api(status)) if status.is_not_found() => {}
                other => other?,
            }
        }
        Ok(())
    }

    fn mutating_api(&self) -> Api<MutatingWebhookConfiguration> {
        Api::all(self.client.clone())
    }

    fn validating_api(&self) -> Api<ValidatingWebhookConfiguration> {
        Api::all(self.client.clone())
    }
}

fn name(metadata: &ObjectMeta) -> &str {
    metadata.name.as_deref().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_joined_with_the_webhooks_path() {
        let configuration = mutating("m", &Address::Url("https://127.0.0.1:9443/".to_owned()));
        let webhooks = configuration.webhooks.unwrap();
        assert_eq!(webhooks[0].client_config.url.as_deref(), Some("https://127.0.0.1:9443/mutate"));
    }

    #[test]
    fn the_shipped_configurations_have_no_ca_key() {
        let address = Address::Service { namespace: "ns".to_owned(), name: "webhook".to_owned() };
        for json in [
            serde_json::to_string(&mutating("m", &address)).unwrap(),
            serde_json::to_string(&validating("v", &address)).unwrap(),
        ] {
            assert!(!json.contains("caBundle"), "{json}");
            assert!(json.contains("mcpservers/scale"));
        }
    }
}

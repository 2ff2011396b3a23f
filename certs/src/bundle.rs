//! The `caBundle` keys of the two webhook configurations.
//!
//! Only that key is written. A JSON patch is used and not server-side apply: applying a list entry means sending its
//! required fields as well, and so owning them, which would be taken from whoever applies the manifests. The patch
//! tests the version that was read, so it changes exactly what was looked at, whatever happened to the order of the
//! webhooks, and a replica that acts on old news changes nothing.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use json_patch::jsonptr::PointerBuf;
use json_patch::{AddOperation, Patch as JsonPatch, PatchOperation, TestOperation};
use k8s_openapi::api::admissionregistration::v1::{
    MutatingWebhookConfiguration, ValidatingWebhookConfiguration, WebhookClientConfig,
};
use kube::api::{Patch, PatchParams};
use kube::{Api, Client, Resource};
use serde::de::DeserializeOwned;

use crate::config::Config;
use crate::rotation::Configured;
use crate::store::{FIELD_MANAGER, Outcome};
use crate::trust::CaBundle;

/// Reads and fills the configurations that a [`Config`] names.
#[derive(Clone)]
pub struct WebhookConfigurations {
    validating: Option<Named<ValidatingWebhookConfiguration>>,
    mutating: Option<Named<MutatingWebhookConfiguration>>,
}

impl WebhookConfigurations {
    /// The configurations that `config` names.
    #[must_use]
    pub fn new(client: &Client, config: &Config) -> Self {
        Self {
            validating: config.validating.as_deref().map(|name| Named::new(client, name)),
            mutating: config.mutating.as_deref().map(|name| Named::new(client, name)),
        }
    }

    /// What the API server has now, not what a cache has.
    ///
    /// # Errors
    /// [`BundleError::Read`] where the API server cannot be reached or refuses. A configuration that does not exist is
    /// no error but [`Configured::Missing`].
    pub async fn read(&self) -> Result<Vec<ReadConfiguration>, BundleError> {
        let mut all = Vec::new();
        if let Some(named) = &self.validating {
            all.push(named.read().await?);
        }
        if let Some(named) = &self.mutating {
            all.push(named.read().await?);
        }
        Ok(all)
    }

    /// Makes every webhook of the configuration trust `bundle` and nothing else, if it still is what was read.
    ///
    /// Nothing is sent where that is so already.
    ///
    /// # Errors
    /// [`BundleError::Patch`] where the API server cannot be reached or refuses. An API server says `Invalid` both for
    /// a change in between and for a value it does not take, so the former may be reported as an error too.
    pub async fn fill(&self, seen: &ReadConfiguration, bundle: &CaBundle) -> Result<Outcome, BundleError> {
        let Some(patch) = seen.patch(bundle) else { return Ok(Outcome::Written) };
        match (seen.kind, &self.validating, &self.mutating) {
            (ConfigurationKind::Validating, Some(named), _) => named.patch(patch).await,
            (ConfigurationKind::Mutating, _, Some(named)) => named.patch(patch).await,
            _ => Ok(Outcome::Changed),
        }
    }
}

impl std::fmt::Debug for WebhookConfigurations {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WebhookConfigurations")
            .field("validating", &self.validating.as_ref().map(|named| &named.name))
            .field("mutating", &self.mutating.as_ref().map(|named| &named.name))
            .finish()
    }
}

/// Which of the two kinds a configuration is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConfigurationKind {
    /// A ValidatingWebhookConfiguration.
    Validating,
    /// A MutatingWebhookConfiguration.
    Mutating,
}

impl std::fmt::Display for ConfigurationKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Validating => "ValidatingWebhookConfiguration",
            Self::Mutating => "MutatingWebhookConfiguration",
        })
    }
}

/// One configuration as it was read.
#[derive(Clone, Debug)]
pub struct ReadConfiguration {
    kind: ConfigurationKind,
    name: String,
    version: String,
    configured: Configured,
}

impl ReadConfiguration {
    /// What its webhooks hold.
    #[must_use]
    pub fn configured(&self) -> &Configured {
        &self.configured
    }

    /// The patch that fills what holds something else, `None` where nothing does.
    fn patch(&self, bundle: &CaBundle) -> Option<JsonPatch> {
        let value = STANDARD.encode(bundle.to_pem());
        let fill = |index: usize| {
            let path = ["webhooks", &index.to_string(), "clientConfig", "caBundle"];
            // `add` also replaces.
            let fill = AddOperation { path: PointerBuf::from_tokens(path), value: value.clone().into() };
            PatchOperation::Add(fill)
        };
        let differs = |pem: &[u8]| !CaBundle::from_pem(pem).holds_the_same(bundle);
        let mut fills = self
            .configured
            .bundles()
            .enumerate()
            .filter(|(_, pem)| differs(pem))
            .map(|(i, _)| fill(i))
            .peekable();
        fills.peek()?;
        let unchanged = TestOperation {
            path: PointerBuf::from_tokens(["metadata", "resourceVersion"]),
            value: self.version.clone().into(),
        };
        Some(JsonPatch(std::iter::once(PatchOperation::Test(unchanged)).chain(fills).collect()))
    }
}

impl std::fmt::Display for ReadConfiguration {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.kind, self.name)
    }
}

/// What the two kinds have in common.
pub(crate) trait WebhookConfiguration:
    Resource<DynamicType = (), Scope = k8s_openapi::ClusterResourceScope>
    + Clone
    + std::fmt::Debug
    + DeserializeOwned
{
    /// Which one it is.
    const KIND: ConfigurationKind;

    /// How each webhook is called.
    fn client_configs(self) -> Vec<WebhookClientConfig>;
}

impl WebhookConfiguration for ValidatingWebhookConfiguration {
    const KIND: ConfigurationKind = ConfigurationKind::Validating;

    fn client_configs(self) -> Vec<WebhookClientConfig> {
        self.webhooks.into_iter().flatten().map(|webhook| webhook.client_config).collect()
    }
}

impl WebhookConfiguration for MutatingWebhookConfiguration {
    const KIND: ConfigurationKind = ConfigurationKind::Mutating;

    fn client_configs(self) -> Vec<WebhookClientConfig> {
        self.webhooks.into_iter().flatten().map(|webhook| webhook.client_config).collect()
    }
}

#[derive(Clone)]
struct Named<K> {
    api: Api<K>,
    name: String,
}

impl<K: WebhookConfiguration> Named<K> {
    fn new(client: &Client, name: &str) -> Self {
        Self { api: Api::all(client.clone()), name: name.to_owned() }
    }

    async fn read(&self) -> Result<ReadConfiguration, BundleError> {
        let found =
            self.api.get_opt(&self.name).await.map_err(|source| self.error(BundleError::Read, source))?;
        let version = found.as_ref().and_then(|it| it.meta().resource_version.clone()).unwrap_or_default();
        let configured = found.map_or(Configured::Missing, |found| {
            let bundles =
                found.client_configs().into_iter().map(|client| client.ca_bundle.unwrap_or_default().0);
            Configured::Bundles(bundles.collect())
        });
        Ok(ReadConfiguration { kind: K::KIND, name: self.name.clone(), version, configured })
    }

    async fn patch(&self, patch: JsonPatch) -> Result<Outcome, BundleError> {
        let params = PatchParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PatchParams::default() };
        match self.api.patch(&self.name, &params, &Patch::<()>::Json(patch)).await {
            Ok(_) => Ok(Outcome::Written),
            Err(kube::Error::Api(status)) if status.is_conflict() || status.is_not_found() => {
                Ok(Outcome::Changed)
            }
            Err(source) => Err(self.error(BundleError::Patch, source)),
        }
    }

    fn error(&self, make: fn(String, kube::Error) -> BundleError, source: kube::Error) -> BundleError {
        make(format!("{}/{}", K::KIND, self.name), source)
    }
}

/// Why a webhook configuration could not be read or filled.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BundleError {
    /// Reading failed.
    #[error("cannot read {0}")]
    Read(String, #[source] kube::Error),
    /// Patching failed.
    #[error("cannot fill the caBundle of {0}")]
    Patch(String, #[source] kube::Error),
}

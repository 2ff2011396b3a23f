//! From a document to a server of which everything that can fail has been tried.

use mcp_crds::field::FieldError;
use mcp_crds::kind::Kind;
use mcp_crds::snapshot::{self, Snapshot};
use mcp_crds::v1alpha1::{MCPServer, MCPServerSpec};
use mcp_crds::validate::{self, Operation};
use mcp_crds::{config, default, field};
use serde_json::Value;

use super::identity::Identity;

/// The cluster's DNS domain, as nearly every cluster has it.
pub(crate) const CLUSTER_DOMAIN: &str = "cluster.local";

/// A server that keeps every rule. There is no other way to one than [`ValidServer::new`].
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ValidServer {
    identity: Identity,
    spec: MCPServerSpec,
    config_json: Option<String>,
    gateway: Option<snapshot::Server>,
}

/// Why a server is not valid: every error, in Kubernetes' form, bounded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Invalid(pub(super) String);

impl ValidServer {
    /// Tries everything on a server as it is stored. The webhooks have done so too, unless it came past them, or keeps a
    /// rule that is newer than itself.
    ///
    /// What looks across objects is not among it: of two tools with one name the older is served, and the other's status
    /// says so.
    pub(super) fn new(identity: &Identity, object: &Value) -> Result<Self, Invalid> {
        let mut object = object.clone();
        let errors = errors(Kind::Server, &mut object);
        if !errors.is_empty() {
            return Err(Invalid(sentence(&errors)));
        }
        let gateway = match object.pointer("/spec/image") {
            None | Some(Value::Null) => Some(Snapshot::of(&object, CLUSTER_DOMAIN)),
            Some(_) => None,
        };
        let gateway = gateway.transpose().map_err(|error| Invalid(field::on_one_line(&error.to_string())))?;
        let server: MCPServer = serde_json::from_value(object).map_err(|error| {
            Invalid(format!(
                "the object is not what the CustomResourceDefinition says: {}",
                field::on_one_line(&error.to_string())
            ))
        })?;
        let config = Some(&server.spec.config).filter(|config| !config.is_empty());
        let config_json = config.map(config::json).transpose();
        let config_json = config_json.map_err(|error| Invalid(format!("spec.config: {error}")))?;
        Ok(Self {
            identity: identity.clone(),
            spec: server.spec,
            config_json,
            gateway: gateway.map(|snapshot| snapshot.server),
        })
    }

    /// Which server it is.
    pub(crate) const fn identity(&self) -> &Identity {
        &self.identity
    }

    /// Its spec, with defaults.
    pub(crate) const fn spec(&self) -> &MCPServerSpec {
        &self.spec
    }

    /// What the gateway has to know, where it serves in place of an image.
    pub(crate) const fn gateway(&self) -> Option<&snapshot::Server> {
        self.gateway.as_ref()
    }

    /// `config.json`, where there are settings.
    pub(crate) fn config_json(&self) -> Option<&str> {
        self.config_json.as_deref()
    }
}

/// Every rule that a stored object breaks, whoever asks: what the catalog calls valid is what passes call valid. The object gets
/// its defaults.
pub(crate) fn errors(kind: Kind, object: &mut Value) -> Vec<FieldError> {
    default::apply(kind, object, None);
    // As if it were new: a name that cannot name a Service is not refused on an update.
    validate::object(kind, Operation::Create, object).errors
}

/// How many errors a condition's message holds; the rest is counted.
const MAX_ERRORS: usize = 20;

/// All errors, as a `Status` would say them.
pub(super) fn sentence(errors: &[FieldError]) -> String {
    let shown: Vec<String> = errors.iter().take(MAX_ERRORS).map(FieldError::to_string).collect();
    match (shown.as_slice(), errors.len().saturating_sub(MAX_ERRORS)) {
        ([one], 0) => one.clone(),
        (_, 0) => format!("[{}]", shown.join(", ")),
        (_, more) => format!("[{}] and {more} more", shown.join(", ")),
    }
}

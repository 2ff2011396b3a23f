//! From a document to a server of which everything that can fail has been tried.

use std::collections::BTreeMap;

use mcp_crds::field::{FieldError, FieldPath, Findings, Segment};
use mcp_crds::kind::Kind;
use mcp_crds::snapshot::{self, Snapshot};
use mcp_crds::v1alpha1::{ConfigValue, MCPServer, MCPServerSpec};
use mcp_crds::validate::{self, Operation};
use mcp_crds::{default, field};
use serde_json::Value;

use super::build::RESERVED_VOLUMES;
use super::build::config::{CONFIG_JSON, MAX_CONFIG_MAP};
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
        default::apply(Kind::Server, &mut object, None);
        // As if it were new: a name that cannot name a Service is not refused on an update.
        let mut findings = validate::object(Kind::Server, Operation::Create, &object);
        check_volumes(&object, &mut findings);
        if !findings.errors.is_empty() {
            return Err(Invalid(sentence(&findings.errors)));
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
        let config_json = config_json(&server.spec.config).map_err(|error| Invalid(error.to_string()))?;
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

/// `volumes` goes to the API server as it is written; only its names meet the operator's own.
fn check_volumes(object: &Value, findings: &mut Findings) {
    let volumes = object.pointer("/spec/volumes").and_then(Value::as_array);
    for (index, volume) in volumes.into_iter().flatten().enumerate() {
        if let Some(name) =
            volume.get("name").and_then(Value::as_str).filter(|name| RESERVED_VOLUMES.contains(name))
        {
            let field = FieldPath::of(["spec", "volumes"])
                .join(Segment::Index(index))
                .join(Segment::Field("name".to_owned()));
            findings.error(FieldError::duplicate(field, name, "the operator has a volume of this name"));
        }
    }
}

fn config_json(config: &BTreeMap<String, ConfigValue>) -> Result<Option<String>, FieldError> {
    if config.is_empty() {
        return Ok(None);
    }
    let field = || FieldPath::of(["spec", "config"]);
    let json = serde_json::to_string_pretty(config).map_err(|error| {
        FieldError::forbidden(field(), format_args!("cannot be written as JSON: {error}"))
    })?;
    if CONFIG_JSON.len() + json.len() > MAX_CONFIG_MAP {
        let detail = format_args!("{} bytes as JSON, and a ConfigMap holds {MAX_CONFIG_MAP}", json.len());
        return Err(FieldError::too_long(field(), detail));
    }
    Ok(Some(json))
}

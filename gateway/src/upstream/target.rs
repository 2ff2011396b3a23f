//! A place at a backend.

use std::sync::Arc;

use http::uri::{PathAndQuery, Scheme, Uri};
use mcp_crds::snapshot::Operation;
use mcp_crds::v1alpha1::{self, Payload, ServiceRef};

use super::{Backend, Failure};
use crate::catalog::Backends;
use crate::pattern::Pattern;

/// A place at a backend.
#[derive(Debug, Clone)]
pub struct Target {
    /// The backend.
    pub backend: Arc<Backend>,
    /// The path, with placeholders, and with a query where the object gives one.
    pub path: Pattern,
    /// What is sent as the body.
    pub payload: Payload,
    scheme: Scheme,
}

impl PartialEq for Target {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.backend, &other.backend)
            && self.path == other.path
            && self.payload == other.payload
            && self.scheme == other.scheme
    }
}

impl Target {
    /// The place that a tool or prompt names; `None` where there is none such.
    pub(crate) fn build(service: &ServiceRef, backends: &mut Backends<'_>) -> Option<Self> {
        Some(Self {
            backend: backends.get(&service.name, u16::try_from(service.port).ok()?)?,
            path: Pattern::path(&service.path)?,
            payload: service.payload,
            scheme: match service.scheme {
                v1alpha1::Scheme::Http => Scheme::HTTP,
                v1alpha1::Scheme::Https => Scheme::HTTPS,
            },
        })
    }

    /// The place that an operation names; `None` where there is none such.
    pub(crate) fn operation(operation: &Operation, backends: &mut Backends<'_>) -> Option<Self> {
        Some(Self {
            backend: backends.get(&operation.service, operation.port)?,
            path: Pattern::path(&operation.path)?,
            payload: Payload::Arguments,
            scheme: Scheme::HTTP,
        })
    }

    /// The URI of a request to it.
    pub(crate) fn uri(&self, path: String) -> Result<Uri, Failure> {
        let wrong = |reason: &dyn std::fmt::Display| Failure::Request(reason.to_string());
        let path = PathAndQuery::from_maybe_shared(path).map_err(|error| wrong(&error))?;
        Uri::builder()
            .scheme(self.scheme.clone())
            .authority(self.backend.authority().clone())
            .path_and_query(path)
            .build()
            .map_err(|error| wrong(&error))
    }
}

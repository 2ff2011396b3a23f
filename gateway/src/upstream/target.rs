//! A place at a backend.

use std::borrow::Cow;
use std::sync::Arc;

use http::HeaderValue;
use http::uri::{Authority, PathAndQuery, Scheme, Uri};
use mcp_crds::snapshot::Operation;
use mcp_crds::v1alpha1::{self, Payload, ServiceRef};

use super::connection::Idle;
use super::{Backend, Failure};
use crate::catalog::Backends;
use crate::pattern::{Pattern, Values};

/// A place at a backend.
#[derive(Debug, Clone)]
pub struct Target {
    /// The backend.
    pub backend: Arc<Backend>,
    /// The path, with placeholders, and with a query where the object gives one.
    pub path: Pattern,
    /// The path of every request, where it has no placeholders.
    pub(super) plain: Option<PathAndQuery>,
    /// What is sent as the body.
    pub payload: Payload,
    scheme: Scheme,
    host: HeaderValue,
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
        let backend = backends.get(&service.name, u16::try_from(service.port).ok()?)?;
        let scheme = match service.scheme {
            v1alpha1::Scheme::Http => Scheme::HTTP,
            v1alpha1::Scheme::Https => Scheme::HTTPS,
        };
        Self::new(backend, scheme, &service.path, service.payload)
    }

    /// The place that an operation names; `None` where there is none such.
    pub(crate) fn operation(operation: &Operation, backends: &mut Backends<'_>) -> Option<Self> {
        let backend = backends.get(&operation.service, operation.port)?;
        Self::new(backend, Scheme::HTTP, &operation.path, Payload::Arguments)
    }

    fn new(backend: Arc<Backend>, scheme: Scheme, path: &str, payload: Payload) -> Option<Self> {
        let path = Pattern::path(path)?;
        let plain = path.expand(|_| None).ok().filter(|_| path.is_plain());
        // Whoever calls what has a path that no request can have is told so; it stops nothing else.
        let plain = plain.and_then(|path| PathAndQuery::from_maybe_shared(path).ok());
        Some(Self { host: host(backend.authority(), &scheme)?, backend, path, plain, payload, scheme })
    }

    /// The path with its placeholders filled in.
    pub(crate) fn fill(&self, values: &Values<'_, '_>) -> Result<String, Failure> {
        let path = self.path.expand(|name| values.get(name).map(|value| Cow::Owned(value.to_owned())));
        path.map_err(|error| Failure::Request(error.to_string()))
    }

    /// What `Host` says in a request to it.
    pub(crate) const fn host(&self) -> &HeaderValue {
        &self.host
    }

    /// Connections that were kept for it.
    pub(super) fn kept(&self) -> &Arc<Idle> {
        self.backend.kept(self.scheme == Scheme::HTTPS)
    }

    /// Where to connect to.
    pub(super) fn origin(&self) -> Result<Uri, Failure> {
        let uri = Uri::builder().scheme(self.scheme.clone()).authority(self.backend.authority().clone());
        uri.path_and_query("/").build().map_err(|error| Failure::Request(error.to_string()))
    }
}

/// The port is said where it is not the scheme's own.
fn host(authority: &Authority, scheme: &Scheme) -> Option<HeaderValue> {
    let own = if *scheme == Scheme::HTTPS { 443 } else { 80 };
    let text = match authority.port_u16() {
        Some(port) if port == own => authority.host(),
        _ => authority.as_str(),
    };
    HeaderValue::from_str(text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_says_its_port_where_that_is_not_the_schemes_own() {
        for (authority, scheme, expected) in [
            ("backend.ns.svc:80", Scheme::HTTP, "backend.ns.svc"),
            ("backend.ns.svc:443", Scheme::HTTPS, "backend.ns.svc"),
            ("backend.ns.svc:443", Scheme::HTTP, "backend.ns.svc:443"),
            ("[::1]:8080", Scheme::HTTP, "[::1]:8080"),
        ] {
            assert_eq!(host(&authority.parse().unwrap(), &scheme).unwrap(), expected);
        }
    }
}

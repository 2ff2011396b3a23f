//! Where Services are.

use std::collections::HashMap;
use std::str::FromStr;

use http::uri::Authority;
use thiserror::Error;

/// Where Services are.
#[derive(Debug, Clone)]
pub enum Directory {
    /// In a cluster: by DNS.
    Cluster {
        /// The namespace of the server, and so of every Service that it calls.
        namespace: String,
        /// Mostly `cluster.local`.
        domain: String,
    },
    /// Without one: on this machine at the port that the object names, as `kubectl port-forward` puts it there, or where
    /// one was told.
    Local(HashMap<String, Service>),
}

/// Where one Service is, as the command line says it: `NAME=HOST` or `NAME=HOST:PORT`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Service {
    /// Its name.
    pub name: String,
    host: String,
    port: Option<u16>,
}

/// The text is no [`Service`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("must be NAME=HOST or NAME=HOST:PORT")]
pub struct InvalidService;

impl FromStr for Service {
    type Err = InvalidService;

    fn from_str(text: &str) -> Result<Self, InvalidService> {
        let (name, address) =
            text.split_once('=').filter(|(name, _)| !name.is_empty()).ok_or(InvalidService)?;
        let authority: Authority = address.parse().map_err(|_| InvalidService)?;
        if authority.as_str().contains('@') || authority.host().is_empty() {
            return Err(InvalidService);
        }
        Ok(Self { name: name.to_owned(), host: authority.host().to_owned(), port: authority.port_u16() })
    }
}

impl Directory {
    /// Without a cluster, and with these Services elsewhere.
    pub fn local(services: impl IntoIterator<Item = Service>) -> Self {
        Self::Local(services.into_iter().map(|service| (service.name.clone(), service)).collect())
    }

    /// Where a port of a Service is; `None` where its name cannot be one.
    #[must_use]
    pub fn authority(&self, service: &str, port: u16) -> Option<Authority> {
        let text = match self {
            Self::Cluster { namespace, domain } => format!("{service}.{namespace}.svc.{domain}:{port}"),
            Self::Local(services) => match services.get(service) {
                Some(Service { host, port: own, .. }) => format!("{host}:{}", own.unwrap_or(port)),
                None => format!("127.0.0.1:{port}"),
            },
        };
        text.parse().ok().filter(|authority: &Authority| !authority.as_str().contains('@'))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn in_a_cluster_it_is_a_name() {
        let directory = Directory::Cluster { namespace: "ns".into(), domain: "cluster.local".into() };
        assert_eq!(directory.authority("docs", 80).unwrap(), "docs.ns.svc.cluster.local:80");
        assert_eq!(directory.authority("x@evil.example", 80), None);
        assert_eq!(directory.authority("a/b", 80), None);
    }

    #[test]
    fn without_one_it_is_here_or_where_one_said() {
        let directory = Directory::local([
            "docs=10.0.0.1".parse().unwrap(),
            "search=example.com:8443".parse().unwrap(),
            "six=[::1]:9".parse().unwrap(),
        ]);
        let authority = |service| directory.authority(service, 80).unwrap().to_string();
        assert_eq!(authority("docs"), "10.0.0.1:80");
        assert_eq!(authority("search"), "example.com:8443");
        assert_eq!(authority("six"), "[::1]:9");
        assert_eq!(authority("other"), "127.0.0.1:80");
        for wrong in ["docs", "=x", "docs=", "docs=a b", "docs=a@b", "docs=http://x"] {
            assert_eq!(wrong.parse::<Service>(), Err(InvalidService), "{wrong}");
        }
    }
}

//! Whom a browser may let in.
//!
//! A page that a person has open must not reach this server with that person's network: it would by a DNS name of its own
//! that it points at the server's address. Browsers say in `Origin` which page asks, so a request with an origin that is not
//! listed is refused wherever it arrives. `Host` is looked at too where the server listens on loopback alone; in a cluster
//! it has many names (a Service's, an Ingress's, the pod's address), of which it cannot know all.

use std::net::IpAddr;

/// Which `Host` and `Origin` are let in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Trusted {
    /// Names or addresses, with or without a port; all where there is none.
    pub hosts: Vec<String>,
    /// With scheme and port; none where there is none.
    pub origins: Vec<String>,
}

impl Trusted {
    /// What is let in by a server that listens on `address`: `hosts`, or where none is given what the address implies.
    #[must_use]
    pub fn new(address: IpAddr, hosts: Vec<String>, origins: Vec<String>) -> Self {
        let hosts = if hosts.is_empty() && address.is_loopback() {
            ["localhost", "127.0.0.1", "::1"].map(str::to_owned).to_vec()
        } else {
            hosts
        };
        Self { hosts, origins: origins.into_iter().map(with_port).collect() }
    }
}

/// An origin without a port means its scheme's.
fn with_port(origin: String) -> String {
    let origin = origin.trim_end_matches('/').to_owned();
    let Some((scheme, rest)) = origin.split_once("://") else { return origin };
    let after_address = rest.rsplit_once(']').map_or(rest, |(_, after)| after);
    match scheme {
        _ if after_address.contains(':') => origin,
        "https" => format!("{origin}:443"),
        "http" => format!("{origin}:80"),
        _ => origin,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn on_loopback_only_loopback_is_let_in() {
        let trusted = Trusted::new("127.0.0.1".parse().unwrap(), Vec::new(), Vec::new());
        assert_eq!(trusted.hosts, ["localhost", "127.0.0.1", "::1"]);
        let trusted = Trusted::new("::".parse().unwrap(), Vec::new(), Vec::new());
        assert!(trusted.hosts.is_empty());
        let trusted = Trusted::new("::1".parse().unwrap(), vec!["mcp.example".to_owned()], Vec::new());
        assert_eq!(trusted.hosts, ["mcp.example"]);
    }

    #[test]
    fn an_origin_has_one_port() {
        for (origin, expected) in [
            ("https://a.example", "https://a.example:443"),
            ("http://a.example/", "http://a.example:80"),
            ("http://a.example:8080", "http://a.example:8080"),
            ("http://[::1]", "http://[::1]:80"),
            ("http://[::1]:8080", "http://[::1]:8080"),
            ("null", "null"),
        ] {
            assert_eq!(with_port(origin.to_owned()), expected);
        }
    }
}

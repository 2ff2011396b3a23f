//! Who may speak to the server through a browser: `Host` and `Origin`.
//!
//! A page can make its visitor's browser send requests here, under a name of its own (DNS rebinding) or from its own
//! origin. What no browser sends is let through: that is what networks and tokens are for.

use std::net::{IpAddr, Ipv4Addr};

use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use http::uri::Authority;
use http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use mcp_crds::snapshot::Server;

use crate::gateway::Gateway;

/// The origin of the page that made a browser send a request; `None` where none did. `local` is the address at which the
/// connection was accepted.
///
/// # Errors
/// The answer to a request that a browser was tricked into.
#[expect(clippy::result_large_err, reason = "the error is the answer, which is sent as it is")]
pub(crate) fn origin<'r>(
    gateway: &Gateway,
    server: &Server,
    local: Option<IpAddr>,
    request: &'r Request,
) -> Result<Option<&'r HeaderValue>, Response> {
    check(server, local, request.uri(), request.headers()).map_err(|sentence| {
        gateway.metrics.refused("origin");
        (StatusCode::FORBIDDEN, format!("{sentence}\n")).into_response()
    })
}

fn check<'h>(
    server: &Server,
    local: Option<IpAddr>,
    uri: &Uri,
    headers: &'h HeaderMap,
) -> Result<Option<&'h HeaderValue>, &'static str> {
    const HOST: &str = "Host is none of this server's names";
    let mut hosts = headers.get_all(header::HOST).iter();
    let is_known = match (hosts.next(), hosts.next()) {
        (Some(host), None) => host.to_str().is_ok_and(|host| {
            is_plainly_host(server, host) || host.parse().is_ok_and(|host| is_host(server, &host))
        }),
        (None, None) => uri.authority().is_some_and(|host| is_host(server, host)),
        _ => false,
    };
    if !is_known {
        return Err(HOST);
    }
    let mut page = None;
    for origin in headers.get_all(header::ORIGIN) {
        let allowed = origin.to_str().is_ok_and(|origin| is_allowed(server, local, origin));
        if !allowed {
            return Err("Origin is not allowed; allowedOrigins in the server's config names those that are");
        }
        page = Some(origin);
    }
    Ok(page)
}

/// Whether a `Host` is one of the server's names, or any address.
fn is_host(server: &Server, host: &Authority) -> bool {
    !host.as_str().contains('@') && (address(host.host()).is_some() || is_own(server, None, host.host()))
}

/// Whether a `Host` is one at first sight, as nearly all are. All of these are one by [`is_host`] as well.
fn is_plainly_host(server: &Server, host: &str) -> bool {
    let name = match host.split_once(':') {
        Some((name, port)) if !port.starts_with('+') && port.parse::<u16>().is_ok() => name,
        Some(_) => return false,
        None => host,
    };
    name.parse::<Ipv4Addr>().is_ok() || server.hosts.iter().any(|own| own == name)
}

fn is_allowed(server: &Server, local: Option<IpAddr>, origin: &str) -> bool {
    let listed = server
        .allowed_origins
        .iter()
        .any(|allowed| allowed.trim_end_matches('/').eq_ignore_ascii_case(origin));
    let of_host = || {
        let uri: Uri = origin.parse().ok()?;
        let is_web = matches!(uri.scheme_str(), Some("http" | "https")) && !origin.contains('@');
        Some(is_web && uri.host().is_some_and(|host| is_own(server, local, host)))
    };
    listed || of_host().unwrap_or(false)
}

/// Whether a host is one by which this server is known.
fn is_own(server: &Server, local: Option<IpAddr>, host: &str) -> bool {
    if let Some(address) = address(host) {
        return address.is_loopback() || local.is_some_and(|local| local.to_canonical() == address);
    }
    let host = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
    host == "localhost" || server.hosts.iter().any(|own| is_name(own, &host))
}

/// The address that a host is, where it is none by name. A name is what somebody can rebind to this server; an address
/// leads here because it is one of ours, such as the Service's, which a pod is never told.
fn address(host: &str) -> Option<IpAddr> {
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    bare.parse::<IpAddr>().ok().map(|address| address.to_canonical())
}

/// `own` may begin with `*.`, which stands for one label.
fn is_name(own: &str, host: &str) -> bool {
    match own.strip_prefix("*.") {
        Some(parent) => host.split_once('.').is_some_and(|(label, rest)| !label.is_empty() && rest == parent),
        None => own == host,
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderName;

    use super::*;

    fn mk_server() -> Server {
        serde_json::from_value(serde_json::json!({
            "name": "main", "namespace": "ns", "path": "/mcp", "pathPrefix": "/",
            "hosts": ["main", "main.ns.svc", "mcp.example.com", "*.wild.example"],
            "allowedOrigins": ["https://app.example.com"],
            "requestTimeoutMs": 1, "maxConcurrentRequests": 1,
        }))
        .unwrap()
    }

    fn verdict(pairs: &[(HeaderName, &str)]) -> Result<(), &'static str> {
        let pairs = pairs.iter().map(|(name, value)| (name.clone(), HeaderValue::try_from(*value).unwrap()));
        let mut headers = HeaderMap::new();
        pairs.for_each(|(name, value)| {
            headers.append(name, value);
        });
        let local = Some("10.1.2.3".parse().unwrap());
        check(&mk_server(), local, &Uri::from_static("/mcp"), &headers).map(|_| ())
    }

    #[test]
    fn hosts() {
        for host in [
            "main",
            "main:8080",
            "MAIN.ns.svc",
            "mcp.example.com.",
            "a.wild.example",
            "localhost:1234",
            "127.0.0.1",
            "127.8.8.8:80",
            "[::1]:80",
            "10.1.2.3:8080",
            "[::ffff:10.1.2.3]",
            "10.96.0.17:8080",
            "[fd00::17]:80",
        ] {
            assert_eq!(verdict(&[(header::HOST, host)]), Ok(()), "{host}");
        }
        for host in [
            "evil.example",
            "main.evil.example",
            "localhost.evil.example",
            "wild.example",
            "a.b.wild.example",
            "10.1.2.4.evil.example",
            "evil@main",
            "",
            "main, evil",
        ] {
            let host = [(header::HOST, host)];
            assert!(verdict(&host).is_err(), "{host:?}");
        }
        assert!(verdict(&[]).is_err());
        assert!(verdict(&[(header::HOST, "main"), (header::HOST, "main")]).is_err());
    }

    #[test]
    fn what_is_plainly_a_host_is_one() {
        let server = mk_server();
        let both = |host: &str| {
            let parsed = host.parse().is_ok_and(|host| is_host(&server, &host));
            (is_plainly_host(&server, host), parsed)
        };
        for host in ["main", "main:8080", "mcp.example.com", "10.1.2.3", "10.1.2.3:65535", "*.wild.example"] {
            assert_eq!(both(host), (true, true), "{host}");
        }
        for host in ["MAIN", "mcp.example.com.", "a.wild.example", "localhost:1", "[::1]:80"] {
            assert_eq!(both(host), (false, true), "{host}");
        }
        for host in
            ["main:65536", "main:+1", "main:", "main:x", "evil", "evil@main", "10.1.2", "10.1.2.3:80:80", ""]
        {
            assert!(!both(host).0, "{host}");
        }
    }

    #[test]
    fn origins() {
        for origin in ["http://localhost:5173", "https://mcp.example.com", "https://app.example.com"] {
            assert_eq!(verdict(&[(header::HOST, "main"), (header::ORIGIN, origin)]), Ok(()), "{origin}");
        }
        for origin in [
            "null",
            "https://evil.example",
            "http://app.example.com",
            "ftp://main",
            "main",
            "",
            "http://main@evil",
            "http://10.1.2.4",
        ] {
            assert!(verdict(&[(header::HOST, "main"), (header::ORIGIN, origin)]).is_err(), "{origin}");
        }
    }
}

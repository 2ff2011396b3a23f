//! Which request is for whom. The endpoint's path and the Ingress's prefix are the catalog's, and so may change while the
//! process runs.

use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use http::{Method, StatusCode, header};
use mcp_crds::snapshot::Server;

use crate::catalog::Catalog;
use crate::gateway::Gateway;
use crate::{cors, ingress, mcp, security};

/// Answers a request that came to this address: for `/health`, `/ready`, the endpoint, or an operation of a resource.
#[expect(
    clippy::manual_async_fn,
    reason = "an async function would hold the request twice, and be moved with both"
)]
pub fn answer(
    gateway: Arc<Gateway>,
    local: Option<IpAddr>,
    mut request: Request,
) -> impl Future<Output = Response> + Send {
    async move {
        match request.uri().path() {
            "/health" => of_reader(request.method(), || "ok\n"),
            "/ready" => of_reader(request.method(), || ready(&gateway)),
            _ => route(&gateway, local, &mut request).await,
        }
    }
}

fn of_reader<R: IntoResponse>(method: &Method, answer: impl FnOnce() -> R) -> Response {
    match *method {
        Method::GET | Method::HEAD => answer().into_response(),
        _ => (StatusCode::METHOD_NOT_ALLOWED, [(header::ALLOW, "GET, HEAD")]).into_response(),
    }
}

fn ready(gateway: &Gateway) -> (StatusCode, &'static str) {
    if gateway.drain.is_begun() {
        (StatusCode::SERVICE_UNAVAILABLE, "shutting down\n")
    } else if gateway.live.get().is_none() {
        (StatusCode::SERVICE_UNAVAILABLE, "not ready, waiting for:\ncatalog\n")
    } else {
        (StatusCode::OK, "ok\n")
    }
}

async fn route(gateway: &Arc<Gateway>, local: Option<IpAddr>, request: &mut Request) -> Response {
    let Some(catalog) = gateway.live.get() else {
        return (StatusCode::SERVICE_UNAVAILABLE, "the server has not loaded its catalog yet\n")
            .into_response();
    };
    let origin = match security::origin(gateway, &catalog.server, local, request) {
        Ok(origin) => origin.cloned(),
        Err(refusal) => return refusal,
    };
    let mut response = route_to(gateway, &catalog, request).await;
    if let Some(origin) = origin {
        cors::allow(response.headers_mut(), origin);
    }
    response
}

async fn route_to(gateway: &Arc<Gateway>, catalog: &Arc<Catalog>, request: &mut Request) -> Response {
    match Place::of(&catalog.server, request.uri().path()) {
        Place::Endpoint => match *request.method() {
            Method::POST => mcp::post(gateway, catalog, request).await,
            Method::GET => mcp::get(gateway, request.headers()).await,
            Method::DELETE => mcp::delete(gateway, request.headers()).await,
            Method::OPTIONS if cors::is_preflight(request) => {
                cors::preflight(request.headers(), &[Method::POST, Method::GET, Method::DELETE])
            }
            _ => (StatusCode::METHOD_NOT_ALLOWED, [(header::ALLOW, "POST, GET, DELETE")]).into_response(),
        },
        Place::Operation(path) => {
            let path = path.to_owned();
            // Seldom used, and large.
            Box::pin(ingress::proxy(gateway, catalog, &path, request)).await
        }
    }
}

/// What a path leads to.
#[derive(Debug, PartialEq, Eq)]
enum Place<'a> {
    Endpoint,
    /// What is left of the path without the Ingress's prefix.
    Operation(&'a str),
}

impl<'a> Place<'a> {
    fn of(server: &Server, path: &'a str) -> Self {
        if path == server.path {
            return Self::Endpoint;
        }
        let rest = without_prefix(&server.path_prefix, path);
        if rest == server.path { Self::Endpoint } else { Self::Operation(rest) }
    }
}

/// The path below a prefix of whole segments; the path itself where it is not below.
fn without_prefix<'a>(prefix: &str, path: &'a str) -> &'a str {
    let prefix = prefix.trim_end_matches('/');
    match path.strip_prefix(prefix) {
        Some("") => "/",
        Some(rest) if rest.starts_with('/') => rest,
        _ => path,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place<'a>(server_path: &str, prefix: &str, path: &'a str) -> Place<'a> {
        let server = serde_json::from_value(serde_json::json!({
            "name": "main", "namespace": "ns", "path": server_path, "pathPrefix": prefix, "hosts": [],
            "allowedOrigins": [], "requestTimeoutMs": 1, "maxConcurrentRequests": 1,
        }));
        Place::of(&server.unwrap(), path)
    }

    #[test]
    fn a_prefix_is_of_whole_segments() {
        use Place::{Endpoint, Operation};
        for (server_path, prefix, path, expected) in [
            ("/mcp", "/", "/mcp", Endpoint),
            ("/mcp", "/", "/mcp/", Operation("/mcp/")),
            ("/mcp", "/", "/docs", Operation("/docs")),
            ("/mcp", "/team", "/team/mcp", Endpoint),
            ("/mcp", "/team", "/mcp", Endpoint),
            ("/mcp", "/team/", "/team/docs/1", Operation("/docs/1")),
            ("/mcp", "/team", "/teams/docs", Operation("/teams/docs")),
            ("/mcp", "/mcp", "/mcp", Endpoint),
            ("/mcp", "/mcp", "/mcp/docs", Operation("/docs")),
            ("/", "/team", "/team", Endpoint),
        ] {
            assert_eq!(place(server_path, prefix, path), expected, "{server_path} {prefix} {path}");
        }
    }
}

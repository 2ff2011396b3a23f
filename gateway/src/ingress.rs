//! HTTP operations of resources, proxied at their `ingressPath`: streaming both ways, hop-by-hop headers removed.

use std::mem;
use std::sync::Arc;
use std::time::Duration;

use axum::BoxError;
use axum::body::Body;
use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures::stream::{self, Stream, StreamExt as _};
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderName, Method, StatusCode, header};
use http_body_util::{BodyDataStream, BodyExt as _};
use tokio::time::{Instant, timeout};

use crate::body::Passed;
use crate::catalog::Catalog;
use crate::cors;
use crate::gateway::Gateway;
use crate::upstream::{Failure, ResponseBody};

/// Headers that are about one connection (RFC 9110, section 7.6.1).
const HOP_BY_HOP: [HeaderName; 8] = [
    header::CONNECTION,
    header::PROXY_AUTHENTICATE,
    header::PROXY_AUTHORIZATION,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    HeaderName::from_static("keep-alive"),
];

/// What a client says to this server alone: no token of its is passed on.
const PRIVATE: [HeaderName; 3] = [header::AUTHORIZATION, header::COOKIE, header::HOST];

/// Answers a request for an operation, which is looked up by `path`.
pub async fn proxy(gateway: &Arc<Gateway>, catalog: &Catalog, path: &str, request: &mut Request) -> Response {
    let (route, values) = match catalog.route(request.method(), path) {
        Ok(found) => found,
        Err(others) if others.is_empty() => return (StatusCode::NOT_FOUND, "not found\n").into_response(),
        Err(others) if cors::is_preflight(request) => return cors::preflight(request.headers(), &others),
        Err(others) => return not_allowed(&others),
    };
    let Some(ticket) = gateway.requests.enter(catalog.server.max_concurrent_requests) else {
        gateway.metrics.refused("requests");
        let headers = [(header::RETRY_AFTER, "1")];
        return (StatusCode::SERVICE_UNAVAILABLE, headers, "the server is busy; try again later\n")
            .into_response();
    };
    let path = route.target.fill(&values).and_then(|mut path| {
        if let Some(query) = request.uri().query() {
            path.push(if path.contains('?') { '&' } else { '?' });
            path.push_str(query);
        }
        Ok(PathAndQuery::from_maybe_shared(path)?)
    });
    let path = match path {
        Ok(path) => path,
        Err(failure) => return failed(gateway, &failure),
    };
    let timeout = Duration::from_millis(catalog.server.request_timeout_ms);
    let until = Instant::now() + gateway.bounds.body_time;
    let (body, mut passing) = Passed::new(mem::take(request.body_mut()), gateway.bounds.body_bytes, until);
    let mut outgoing = http::Request::new(Body::new(body));
    *outgoing.method_mut() = request.method().clone();
    *outgoing.uri_mut() = path.into();
    *outgoing.headers_mut() = forwarded(mem::take(request.headers_mut()), &PRIVATE);
    match gateway.upstream.pass(&route.target, outgoing, &mut passing, timeout).await {
        Err(failure) => match passing.wrong() {
            Some(error) => {
                gateway.metrics.refused_body(error);
                error.into_response()
            }
            None => failed(gateway, &failure),
        },
        Ok((response, permit)) => {
            let (mut parts, body) = response.into_parts();
            parts.headers = forwarded(parts.headers, &[]);
            let frames = lively(body.into_data_stream(), timeout, Arc::clone(gateway), (ticket, permit));
            Response::from_parts(parts, Body::from_stream(frames))
        }
    }
}

/// A backend's answer as it comes, for which nobody waits longer than `patience` at a time. `held` is dropped at its end.
fn lively<H: Send>(
    body: BodyDataStream<ResponseBody>,
    patience: Duration,
    gateway: Arc<Gateway>,
    held: H,
) -> impl Stream<Item = Result<Bytes, BoxError>> + Send {
    stream::unfold(Some((body, gateway, held)), move |state| async move {
        let (mut body, gateway, held) = state?;
        match timeout(patience, body.next()).await {
            Ok(frame) => Some((frame?.map_err(BoxError::from), Some((body, gateway, held)))),
            Err(_) => {
                let failure = Failure::Timeout(patience);
                gateway.metrics.backend_failed(&failure);
                Some((Err(failure.into()), None))
            }
        }
    })
}

fn not_allowed(others: &[Method]) -> Response {
    let allow = others.iter().map(Method::as_str).collect::<Vec<_>>().join(", ");
    (StatusCode::METHOD_NOT_ALLOWED, [(header::ALLOW, allow)], "method not allowed\n").into_response()
}

fn failed(gateway: &Gateway, failure: &Failure) -> Response {
    gateway.metrics.backend_failed(failure);
    let status = match failure {
        Failure::Busy { .. } | Failure::Open(_) => StatusCode::SERVICE_UNAVAILABLE,
        Failure::Timeout(_) => StatusCode::GATEWAY_TIMEOUT,
        Failure::Request(_) => StatusCode::BAD_REQUEST,
        _ => StatusCode::BAD_GATEWAY,
    };
    (status, format!("{failure}\n")).into_response()
}

/// The headers that go on, without those that `Connection` names.
fn forwarded(mut headers: HeaderMap, without: &[HeaderName]) -> HeaderMap {
    let named: Vec<HeaderName> = headers
        .get_all(header::CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| name.trim().parse().ok())
        .collect();
    for name in named.iter().chain(&HOP_BY_HOP).chain(without) {
        headers.remove(name);
    }
    headers
}

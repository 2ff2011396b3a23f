//! What lets a browser's page read answers: the headers of CORS, for the origins that may speak to the server at all.

use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};

/// What of an answer a page may see beside what every page may.
const EXPOSED: HeaderValue = HeaderValue::from_static("mcp-session-id, retry-after");

/// How long a browser may keep what it was told before its request, in seconds. The request itself is judged again.
const MAX_AGE: HeaderValue = HeaderValue::from_static("7200");

/// Whether a browser asks what its page may send.
pub(crate) fn is_preflight(request: &Request) -> bool {
    request.method() == Method::OPTIONS
        && request.headers().contains_key(header::ORIGIN)
        && request.headers().contains_key(header::ACCESS_CONTROL_REQUEST_METHOD)
}

/// What a page may send: these methods, and whatever headers it names. Those of arguments have names of their tools' own.
pub(crate) fn preflight(asked: &HeaderMap, methods: &[Method]) -> Response {
    let mut response = StatusCode::NO_CONTENT.into_response();
    let headers = response.headers_mut();
    let methods = methods.iter().map(Method::as_str).collect::<Vec<_>>().join(", ");
    if let Ok(methods) = HeaderValue::try_from(methods) {
        headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, methods);
    }
    if let Some(names) = asked.get(header::ACCESS_CONTROL_REQUEST_HEADERS) {
        headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, names.clone());
    }
    headers.insert(header::ACCESS_CONTROL_MAX_AGE, MAX_AGE);
    response
}

/// Lets the page at `origin` read an answer, and a cache keep it for that page alone.
pub(crate) fn allow(headers: &mut HeaderMap, origin: HeaderValue) {
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    headers.append(header::ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED);
    headers.append(header::VARY, HeaderValue::from_static("Origin"));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_page_may_send_is_what_it_asks_for_and_the_path_knows() {
        let names = HeaderValue::from_static("mcp-param-city, mcp-name");
        let asked = HeaderMap::from_iter([(header::ACCESS_CONTROL_REQUEST_HEADERS, names.clone())]);
        let response = preflight(&asked, &[Method::GET, Method::PUT]);
        assert_eq!(response.status(), StatusCode::NO_CONTENT);
        assert_eq!(response.headers()[header::ACCESS_CONTROL_ALLOW_METHODS], "GET, PUT");
        assert_eq!(response.headers()[header::ACCESS_CONTROL_ALLOW_HEADERS], names);
    }

    #[test]
    fn what_a_backend_says_of_origins_is_replaced_and_what_it_varies_by_stays() {
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
        headers.insert(header::VARY, HeaderValue::from_static("Accept"));
        allow(&mut headers, HeaderValue::from_static("https://app.example.com"));
        let all = |name| headers.get_all(name).iter().collect::<Vec<_>>();
        assert_eq!(all(header::ACCESS_CONTROL_ALLOW_ORIGIN), ["https://app.example.com"]);
        assert_eq!(all(header::VARY), ["Accept", "Origin"]);
    }
}

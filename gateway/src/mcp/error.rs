//! The errors of the protocol, with their codes and statuses in one table.

use http::StatusCode;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::message::Id;
use super::protocol::{Generation, Version};
use crate::json::{Object, array, string};
use crate::redis::Away;

const PARSE: i64 = -32700;
const INVALID_REQUEST: i64 = -32600;
const METHOD_NOT_FOUND: i64 = -32601;
const INVALID_PARAMS: i64 = -32602;
const INTERNAL: i64 = -32603;
const LEGACY_RESOURCE_NOT_FOUND: i64 = -32002;
const HEADER_MISMATCH: i64 = -32020;
const MISSING_CAPABILITY: i64 = -32021;
const UNSUPPORTED_VERSION: i64 = -32022;

/// A JSON-RPC error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RpcError {
    code: i64,
    message: String,
    /// JSON.
    data: Option<String>,
    /// Where it is another than the code's own.
    status: Option<StatusCode>,
}

impl From<Away> for RpcError {
    fn from(Away: Away) -> Self {
        let message = "the server cannot keep what belongs to sessions now; try again later";
        Self { status: Some(StatusCode::SERVICE_UNAVAILABLE), ..Self::new(INTERNAL, message) }
    }
}

impl RpcError {
    fn new(code: i64, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), data: None, status: None }
    }

    /// The body is no JSON.
    pub(super) fn parse(reason: impl std::fmt::Display) -> Self {
        Self::new(PARSE, format!("the body is no JSON: {reason}"))
    }

    /// The body is JSON, and no message.
    pub(super) fn invalid_request(reason: impl Into<String>) -> Self {
        Self::new(INVALID_REQUEST, reason)
    }

    /// There is no such method in this generation.
    pub(super) fn method_not_found(method: &str) -> Self {
        Self::new(METHOD_NOT_FOUND, format!("there is no method {method:?}"))
    }

    /// What is asked for is not there, or is asked for wrongly.
    pub(super) fn invalid_params(reason: impl Into<String>) -> Self {
        Self::new(INVALID_PARAMS, reason)
    }

    /// `_meta` lacks what every modern request carries.
    pub(super) fn invalid_meta(reason: impl Into<String>) -> Self {
        Self { status: Some(StatusCode::BAD_REQUEST), ..Self::new(INVALID_PARAMS, reason) }
    }

    /// Something went wrong that the caller has no part in.
    pub(super) fn internal(reason: impl Into<String>) -> Self {
        Self::new(INTERNAL, reason)
    }

    /// There is no such resource.
    pub(super) fn resource_not_found(uri: &str, generation: Generation) -> Self {
        let code = if generation.is_modern() { INVALID_PARAMS } else { LEGACY_RESOURCE_NOT_FOUND };
        let data = Object::new().string("uri", uri).finish();
        Self { data: Some(data), ..Self::new(code, format!("there is no resource {uri:?}")) }
    }

    /// A header does not say what the body says.
    pub(super) fn header_mismatch(reason: impl Into<String>) -> Self {
        Self::new(HEADER_MISMATCH, reason)
    }

    /// The client would have to be able to do something.
    pub(super) fn missing_capability(capability: &str) -> Self {
        let required = Object::new().raw(capability, "{}").finish();
        let data = Object::new().raw("requiredCapabilities", &required).finish();
        let message = format!("the client does not declare the capability {capability}, which this needs");
        Self { data: Some(data), ..Self::new(MISSING_CAPABILITY, message) }
    }

    /// The version is not spoken here.
    pub(super) fn unsupported_version(requested: &str) -> Self {
        let supported = array(Version::ALL.map(|version| string(version.as_str())));
        let data = Object::new().raw("supported", &supported).string("requested", requested).finish();
        let message = format!("protocol version {requested:?} is not supported");
        Self { data: Some(data), ..Self::new(UNSUPPORTED_VERSION, message) }
    }

    /// With another status than the code's own.
    pub(super) fn with_status(self, status: StatusCode) -> Self {
        Self { status: Some(status), ..self }
    }

    /// The error that a backend gave.
    pub(super) fn read(text: &str) -> Option<Self> {
        #[derive(Deserialize)]
        struct Given<'a> {
            code: i64,
            message: String,
            #[serde(borrow)]
            data: Option<&'a RawValue>,
        }
        let given: Given<'_> = serde_json::from_str(text).ok()?;
        let data = given.data.map(|data| data.get().to_owned());
        Some(Self { code: given.code, message: given.message, data, status: None })
    }

    /// The status of the response that carries it.
    pub(super) fn status(&self, generation: Generation) -> StatusCode {
        if let Some(status) = self.status {
            return status;
        }
        match (self.code, generation) {
            (PARSE | INVALID_REQUEST, _) => StatusCode::BAD_REQUEST,
            (METHOD_NOT_FOUND, Generation::Modern) => StatusCode::NOT_FOUND,
            (HEADER_MISMATCH | MISSING_CAPABILITY | UNSUPPORTED_VERSION, _) => StatusCode::BAD_REQUEST,
            _ => StatusCode::OK,
        }
    }

    /// The response that carries it, as a message. It has no `id` where that of the request is not known.
    pub(super) fn response(&self, id: Option<&Id>) -> String {
        let mut message = Object::new();
        message.string("jsonrpc", "2.0");
        if let Some(id) = id {
            message.raw("id", id.as_json());
        }
        message.raw("error", &self.text()).finish()
    }

    /// The error object.
    pub(super) fn text(&self) -> String {
        let mut error = Object::new();
        error.raw("code", &self.code.to_string()).string("message", &self.message);
        if let Some(data) = &self.data {
            error.raw("data", data);
        }
        error.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_have_their_statuses() {
        use Generation::{Legacy, Modern};
        for (error, modern, legacy) in [
            (RpcError::parse("x"), 400, 400),
            (RpcError::invalid_request("x"), 400, 400),
            (RpcError::method_not_found("x"), 404, 200),
            (RpcError::invalid_params("x"), 200, 200),
            (RpcError::invalid_meta("x"), 400, 400),
            (RpcError::internal("x"), 200, 200),
            (RpcError::header_mismatch("x"), 400, 400),
            (RpcError::missing_capability("sampling"), 400, 400),
            (RpcError::unsupported_version("v1"), 400, 400),
        ] {
            assert_eq!(error.status(Modern).as_u16(), modern, "{error:?}");
            assert_eq!(error.status(Legacy).as_u16(), legacy, "{error:?}");
        }
    }

    #[test]
    fn a_resource_is_missed_with_the_code_of_the_generation() {
        let text = |generation| RpcError::resource_not_found("a:b", generation).text();
        assert!(text(Generation::Modern).contains(r#""code":-32602,"#), "{}", text(Generation::Modern));
        assert!(text(Generation::Legacy).contains(r#""code":-32002,"#), "{}", text(Generation::Legacy));
        assert!(text(Generation::Modern).ends_with(r#""data":{"uri":"a:b"}}"#));
    }

    #[test]
    fn what_a_backend_gave_is_passed_on() {
        let text = r#"{"code":-32021,"message":"m","data":{"b":1.0,"a":[]}}"#;
        let error = RpcError::read(text).unwrap();
        assert_eq!(error.text(), text);
        assert_eq!(error.status(Generation::Modern), StatusCode::BAD_REQUEST);
        assert_eq!(RpcError::read(r#"{"code":"x"}"#), None);
    }
}

//! JSON-RPC messages, as they come in.

use std::borrow::Cow;

use bytes::Bytes;
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use super::RpcError;
use super::protocol;

/// How long the text of a request's id may be, in bytes.
const MAX_ID: usize = 1024;

/// The id of a request, as its text: a string or an integer.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Id(Box<str>);

impl Id {
    fn read(text: &str) -> Option<Self> {
        let is_string = text.starts_with('"');
        let is_integer = || {
            let digits = text.strip_prefix('-').unwrap_or(text);
            !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
        };
        (text.len() <= MAX_ID && (is_string || is_integer())).then(|| Self(text.into()))
    }

    /// The id that a `requestId` gives.
    pub(super) fn of(value: &RawValue) -> Option<Self> {
        Self::read(value.get())
    }

    /// The id that this JSON is.
    pub(super) fn from_json(text: &str) -> Option<Self> {
        Self::read(text)
    }

    /// The id as JSON.
    pub(super) fn as_json(&self) -> &str {
        &self.0
    }
}

impl From<String> for Id {
    /// The id that is this string.
    fn from(text: String) -> Self {
        Self(crate::json::string(&text).into())
    }
}

/// The `params` of a message: the text of an object.
#[derive(Debug, Clone, Default)]
pub(super) struct Params(Bytes);

impl Params {
    /// The text; that of an empty object where there are no params.
    pub(super) fn text(&self) -> &str {
        std::str::from_utf8(&self.0).ok().filter(|text| !text.is_empty()).unwrap_or("{}")
    }

    /// The text, as it is sent on.
    pub(super) fn bytes(&self) -> Bytes {
        if self.0.is_empty() { Bytes::from_static(b"{}") } else { self.0.clone() }
    }

    /// A part of the text, as it is sent on. The text of an empty object where there is none.
    pub(super) fn part(&self, part: Option<&RawValue>) -> Bytes {
        part.map_or(Bytes::from_static(b"{}"), |part| self.0.slice_ref(part.get().as_bytes()))
    }

    /// Reads the members that a method knows.
    pub(super) fn read<'a, T: Deserialize<'a>>(&'a self) -> Result<T, RpcError> {
        serde_json::from_str(self.text())
            .map_err(|error| RpcError::invalid_params(format!("params: {error}")))
    }
}

impl From<String> for Params {
    /// `text` is that of an object.
    fn from(text: String) -> Self {
        Self(text.into())
    }
}

/// What one message is.
#[derive(Debug, Clone)]
pub(super) enum Message {
    /// It wants an answer.
    Request { id: Id, method: String, params: Params },
    /// It wants none.
    Notification { method: String, params: Params },
    /// It is one: the text of `result` or `error`, as it was named.
    Response { id: Id, result: Result<Params, Params> },
}

#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(borrow)]
    jsonrpc: Option<Cow<'a, str>>,
    #[serde(borrow, default, deserialize_with = "present")]
    id: Option<&'a RawValue>,
    #[serde(borrow)]
    method: Option<Cow<'a, str>>,
    #[serde(borrow)]
    params: Option<&'a RawValue>,
    #[serde(borrow)]
    result: Option<&'a RawValue>,
    #[serde(borrow)]
    error: Option<&'a RawValue>,
}

/// A member that is there, be it `null`: a request whose id is `null` is wrong, and no notification.
fn present<'de: 'a, 'a, D: Deserializer<'de>>(deserializer: D) -> Result<Option<&'a RawValue>, D::Error> {
    <&RawValue>::deserialize(deserializer).map(Some)
}

/// A body: one message or, in 2025-03-26, several.
#[derive(Debug)]
pub(super) enum Body {
    One(Message),
    Batch(Vec<Result<Message, RpcError>>),
}

/// How many messages a batch may have.
pub(super) const MAX_BATCH: usize = 50;

impl Body {
    /// Reads a body.
    pub(super) fn parse(body: &Bytes) -> Result<Self, RpcError> {
        let text = std::str::from_utf8(body).map_err(RpcError::parse)?;
        if !text.trim_ascii_start().starts_with('[') {
            return Message::parse(body, text).map(Self::One);
        }
        let messages: Vec<&RawValue> = serde_json::from_str(text).map_err(RpcError::parse)?;
        if messages.is_empty() || messages.len() > MAX_BATCH {
            let reason =
                format!("a batch has 1 to {MAX_BATCH} messages, and this one has {}", messages.len());
            return Err(RpcError::invalid_request(reason));
        }
        Ok(Self::Batch(messages.iter().map(|message| Message::parse(body, message.get())).collect()))
    }
}

impl Message {
    /// Reads one message; `text` is a part of `body`.
    fn parse(body: &Bytes, text: &str) -> Result<Self, RpcError> {
        let envelope: Envelope<'_> = serde_json::from_str(text).map_err(|error| {
            // JSON that is not what an envelope is is a wrong request, and no wrong JSON.
            if error.is_data() {
                RpcError::invalid_request(format!("the body is no JSON-RPC message: {error}"))
            } else {
                RpcError::parse(error)
            }
        })?;
        if envelope.jsonrpc.as_deref() != Some("2.0") {
            return Err(RpcError::invalid_request("jsonrpc must be \"2.0\""));
        }
        let id = match envelope.id {
            None => None,
            Some(id) => Some(Id::read(id.get()).ok_or_else(|| {
                RpcError::invalid_request("id must be a string of at most 1024 bytes, or an integer")
            })?),
        };
        let params = |value: Option<&RawValue>| match value.map(RawValue::get) {
            None => Ok(Params::default()),
            Some(text) if text.starts_with('{') => Ok(Params(body.slice_ref(text.as_bytes()))),
            Some(_) => Err(RpcError::invalid_request("params must be an object")),
        };
        match (envelope.method, id) {
            (Some(method), Some(id)) => {
                Ok(Self::Request { id, method: method.into_owned(), params: params(envelope.params)? })
            }
            (Some(method), None) => {
                Ok(Self::Notification { method: method.into_owned(), params: params(envelope.params)? })
            }
            (None, Some(id)) => {
                let result = match (envelope.result, envelope.error) {
                    (Some(result), None) => Ok(params(Some(result))?),
                    (None, Some(error)) => Err(params(Some(error))?),
                    _ => {
                        return Err(RpcError::invalid_request(
                            "a message has a method, a result or an error",
                        ));
                    }
                };
                Ok(Self::Response { id, result })
            }
            (None, None) => Err(RpcError::invalid_request("a message has a method, a result or an error")),
        }
    }
}

/// What of a request's `_meta` means something to the gateway.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Meta<'a> {
    #[serde(borrow, rename = "io.modelcontextprotocol/protocolVersion")]
    pub(super) version: Option<Cow<'a, str>>,
    #[serde(borrow, rename = "io.modelcontextprotocol/clientCapabilities")]
    pub(super) capabilities: Option<&'a RawValue>,
    #[serde(default, rename = "io.modelcontextprotocol/logLevel")]
    pub(super) log_level: Option<protocol::LogLevel>,
    #[serde(borrow)]
    pub(super) traceparent: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub(super) tracestate: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub(super) baggage: Option<Cow<'a, str>>,
}

impl Meta<'_> {
    /// What it says about the trace to which the request belongs.
    pub(super) fn trace(&self, name: &str) -> Option<&str> {
        match name {
            "traceparent" => self.traceparent.as_deref(),
            "tracestate" => self.tracestate.as_deref(),
            "baggage" => self.baggage.as_deref(),
            _ => None,
        }
    }
}

/// The `_meta` of params; `None` where there is none, or one that cannot be read.
pub(super) fn meta(params: &Params) -> Option<Meta<'_>> {
    #[derive(Deserialize)]
    struct WithMeta<'a> {
        #[serde(borrow, rename = "_meta")]
        meta: Option<Meta<'a>>,
    }
    serde_json::from_str::<WithMeta<'_>>(params.text()).ok()?.meta
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parse(text: &str) -> Result<Body, RpcError> {
        Body::parse(&Bytes::copy_from_slice(text.as_bytes()))
    }

    #[track_caller]
    fn code(text: &str) -> i64 {
        let error = parse(text).expect_err("it is refused").text();
        serde_json::from_str::<serde_json::Value>(&error).unwrap()["code"].as_i64().unwrap()
    }

    #[test]
    fn a_request_keeps_its_id_and_params_as_they_are_written() {
        let text = r#" {"params": {"a":1.0 }, "id":"\u0041", "method":"m", "jsonrpc":"2.0", "x":[]}"#;
        let Ok(Body::One(Message::Request { id, method, params })) = parse(text) else { panic!("a request") };
        assert_eq!((id.as_json(), method.as_str(), params.text()), (r#""\u0041""#, "m", r#"{"a":1.0 }"#));
    }

    #[test]
    fn what_is_no_json_is_told_from_what_is_no_message() {
        for text in ["", "{", "nonsense", "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"m\"} x", "\u{feff}{}"] {
            assert_eq!(code(text), -32700, "{text}");
        }
        for text in [
            "{}",
            "1",
            "[]",
            r#"{"jsonrpc":"1.0","id":1,"method":"m"}"#,
            r#"{"jsonrpc":"2.0","id":1}"#,
            r#"{"jsonrpc":"2.0","id":{},"method":"m"}"#,
            r#"{"jsonrpc":"2.0","id":1.5,"method":"m"}"#,
            r#"{"jsonrpc":"2.0","id":null,"method":"m"}"#,
            r#"{"jsonrpc":"2.0","id":null,"result":{}}"#,
            r#"{"jsonrpc":"2.0","id":1,"method":"m","params":[]}"#,
            r#"{"jsonrpc":"2.0","id":1,"method":7}"#,
            r#"{"jsonrpc":"2.0","id":1,"result":{},"error":{}}"#,
        ] {
            assert_eq!(code(text), -32600, "{text}");
        }
    }

    #[test]
    fn a_batch_is_bounded() {
        let notification = r#"{"jsonrpc":"2.0","method":"n"}"#;
        let batch = |count: usize| format!("[{}]", vec![notification; count].join(","));
        assert!(matches!(parse(&batch(MAX_BATCH)), Ok(Body::Batch(messages)) if messages.len() == MAX_BATCH));
        assert_eq!(code(&batch(MAX_BATCH + 1)), -32600);
    }

    #[test]
    fn depth_is_no_matter_of_the_stack() {
        let deep = format!(
            r#"{{"jsonrpc":"2.0","id":1,"method":"m","params":{{"a":{}{}}}}}"#,
            "[".repeat(1_000_000),
            "]".repeat(1_000_000)
        );
        assert!(parse(&deep).is_ok());
    }

    #[test]
    fn meta_is_read() {
        let text = r#"{"jsonrpc":"2.0","id":1,"method":"m","params":{"_meta":{"progressToken":7,"io.modelcontextprotocol/protocolVersion":"v"}}}"#;
        let Ok(Body::One(Message::Request { params, .. })) = parse(text) else { panic!("a request") };
        let meta = meta(&params).unwrap();
        assert_eq!(meta.version.as_deref(), Some("v"));
        assert!(meta.capabilities.is_none());
    }

    proptest! {
        #[test]
        fn anything_is_answered(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            let _ = Body::parse(&Bytes::from(bytes));
        }

        #[test]
        fn anything_like_a_message_is_answered(
            text in "\\{(\"(jsonrpc|id|method|params|result|error)\":(\"2.0\"|1|\\{\\}|null|\\[\\]|true),?){0,6}\\}"
        ) {
            if let Ok(Body::One(message)) = parse(&text) {
                let is_request = matches!(message, Message::Request { .. });
                prop_assert!(!is_request || text.contains("\"id\""));
            }
        }
    }
}

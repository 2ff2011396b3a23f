//! JSON-RPC messages, as they come in.

use std::borrow::Cow;
use std::sync::Arc;

use bytes::Bytes;
use serde::de::value::MapDeserializer;
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use smallvec::SmallVec;

use super::RpcError;
use super::protocol;
use crate::json::{Members, Object, Text};

/// How long the text of a request's id may be, in bytes.
const MAX_ID: usize = 1024;

/// How many members `params` may have. Each is kept by itself for as long as its request lasts.
const MAX_MEMBERS: usize = 1000;

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

/// The `params` of a message: the members of an object in their order, each value as it was written.
#[derive(Debug, Clone, Default)]
pub(super) struct Params(Arc<[(Name, Bytes)]>);

/// The name of a member.
type Name = Cow<'static, str>;

/// Those that the most of requests have, which need not be copied.
const USUAL: [&str; 4] = ["name", "arguments", "_meta", "uri"];

impl Params {
    /// `members` are parts of `body`, of which nothing is copied.
    fn of(body: &Bytes, members: &Members<'_>) -> Result<Self, RpcError> {
        if members.0.len() > MAX_MEMBERS {
            let reason = format!("params has {} members, of at most {MAX_MEMBERS}", members.0.len());
            return Err(RpcError::invalid_request(reason));
        }
        let member = |(name, value): &(Cow<'_, str>, &RawValue)| {
            let usual = USUAL.iter().find(|usual| *usual == name);
            let name = usual.map_or_else(|| name.to_string().into(), |usual| Name::Borrowed(usual));
            (name, body.slice_ref(value.get().as_bytes()))
        };
        Ok(Self(members.0.iter().map(member).collect()))
    }

    /// Refuses what has a member twice: who takes the first of two would get another value than who takes the last.
    pub(super) fn check_unambiguous(&self) -> Result<(), RpcError> {
        let mut names: SmallVec<[&str; 8]> = self.0.iter().map(|(name, _)| &**name).collect();
        names.sort_unstable();
        match names.windows(2).find(|pair| pair.first() == pair.last()) {
            Some([name, _]) => {
                Err(RpcError::invalid_params(format!("params: member {name:?} is there twice")))
            }
            _ => Ok(()),
        }
    }

    /// A member's value as its text; none where that is `null`.
    pub(super) fn get(&self, name: &str) -> Option<&Bytes> {
        let member = self.0.iter().find(|(own, _)| own == name);
        member.map(|(_, value)| value).filter(|value| *value != "null")
    }

    /// The text of `arguments`; that of an empty object where there are none.
    pub(super) fn arguments(&self) -> Bytes {
        self.get("arguments").cloned().unwrap_or_else(|| Bytes::from_static(b"{}"))
    }

    /// A member's value.
    pub(super) fn member<'a, T: Deserialize<'a>>(&'a self, name: &str) -> Result<Option<T>, RpcError> {
        let value = self.get(name).map(|value| serde_json::from_slice(value)).transpose();
        value.map_err(|error| RpcError::invalid_params(format!("params.{name}: {error}")))
    }

    /// Reads the members that a method knows.
    pub(super) fn read<'a, T: Deserialize<'a>>(&'a self) -> Result<T, RpcError> {
        let member = |(name, value): &'a (Name, Bytes)| {
            serde_json::from_slice::<&RawValue>(value).map(|value| (&**name, value))
        };
        let members = self.0.iter().map(member).collect::<Result<Vec<_>, _>>();
        let read = members.and_then(|members| T::deserialize(MapDeserializer::new(members.into_iter())));
        read.map_err(|error| RpcError::invalid_params(format!("params: {error}")))
    }

    /// The object as text.
    pub(super) fn text(&self) -> Bytes {
        let mut object =
            Object::with_capacity(self.0.iter().map(|(name, value)| name.len() + value.len() + 4).sum());
        for (name, value) in &*self.0 {
            object.raw(name, std::str::from_utf8(value).unwrap_or("null"));
        }
        object.finish().into()
    }

    /// These params with some of their members in place of their own, or without them.
    pub(super) fn with<const N: usize>(&self, others: [(&str, Option<String>); N]) -> Self {
        let is_other = |name: &str| others.iter().any(|(other, _)| *other == name);
        let own = self.0.iter().filter(|(name, _)| !is_other(name)).cloned().collect::<Vec<_>>();
        let others = others
            .iter()
            .filter_map(|(name, value)| Some(((*name).to_owned().into(), value.clone()?.into())));
        Self(own.into_iter().chain(others).collect())
    }
}

/// What a client answers: the text of an object.
#[derive(Debug, Clone)]
pub(super) struct Answer(Box<str>);

impl Answer {
    pub(super) fn text(&self) -> &str {
        &self.0
    }
}

impl From<Box<str>> for Answer {
    /// `text` is that of an object.
    fn from(text: Box<str>) -> Self {
        Self(text)
    }
}

/// What one message is.
#[derive(Debug, Clone)]
pub(super) enum Message {
    /// It wants an answer.
    Request { id: Id, method: String, params: Params },
    /// It wants none.
    Notification { method: String, params: Params },
    /// It is one: `result` or `error`, as it was named.
    Response { id: Id, result: Result<Answer, Answer> },
}

#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(borrow)]
    jsonrpc: Option<Text<'a>>,
    #[serde(borrow, default, deserialize_with = "present")]
    id: Option<&'a RawValue>,
    #[serde(borrow)]
    method: Option<Text<'a>>,
    #[serde(borrow)]
    params: Option<Members<'a>>,
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
        let params = || envelope.params.map_or(Ok(Params::default()), |members| Params::of(body, &members));
        let answer = |value: &RawValue| match value.get() {
            text if text.starts_with('{') => Ok(Answer(text.into())),
            _ => Err(RpcError::invalid_request("a result or an error is an object")),
        };
        match (envelope.method, id) {
            (Some(method), Some(id)) => {
                Ok(Self::Request { id, method: method.0.into_owned(), params: params()? })
            }
            (Some(method), None) => {
                Ok(Self::Notification { method: method.0.into_owned(), params: params()? })
            }
            (None, Some(id)) => {
                let result = match (envelope.result, envelope.error) {
                    (Some(result), None) => Ok(answer(result)?),
                    (None, Some(error)) => Err(answer(error)?),
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
    pub(super) version: Option<Text<'a>>,
    #[serde(borrow, rename = "io.modelcontextprotocol/clientCapabilities")]
    pub(super) capabilities: Option<&'a RawValue>,
    #[serde(default, rename = "io.modelcontextprotocol/logLevel")]
    pub(super) log_level: Option<protocol::LogLevel>,
    #[serde(borrow)]
    pub(super) traceparent: Option<Text<'a>>,
    #[serde(borrow)]
    pub(super) tracestate: Option<Text<'a>>,
    #[serde(borrow)]
    pub(super) baggage: Option<Text<'a>>,
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
    params.member("_meta").ok()?
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
        assert_eq!((id.as_json(), method.as_str()), (r#""\u0041""#, "m"));
        assert_eq!(
            (params.get("a").unwrap(), params.text()),
            (&Bytes::from("1.0"), Bytes::from(r#"{"a":1.0}"#))
        );
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

    fn params(text: &str) -> Params {
        match parse(&format!(r#"{{"jsonrpc":"2.0","id":1,"method":"m","params":{text}}}"#)) {
            Ok(Body::One(Message::Request { params, .. })) => params,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_member_of_params_is_there_once() {
        for text in [r#"{"name":"a","name":"b"}"#, r#"{"x":1,"a":0,"\u0078":2}"#] {
            assert!(params(text).check_unambiguous().is_err(), "{text}");
        }
        assert_eq!(params(r#"{"a":1,"b":1,"A":1}"#).check_unambiguous(), Ok(()));
    }

    #[test]
    fn the_members_of_params_are_bounded() {
        let many = |count: usize| format!("{{{}}}", vec!["\"a\":0"; count].join(","));
        assert_eq!(params(&many(MAX_MEMBERS)).0.len(), MAX_MEMBERS);
        let text = many(MAX_MEMBERS + 1);
        assert_eq!(code(&format!(r#"{{"jsonrpc":"2.0","id":1,"method":"m","params":{text}}}"#)), -32600);
    }

    #[test]
    fn params_are_changed_and_read() {
        let params = params(r#"{"a":[1],"b":null,"c":"x"}"#);
        let changed = params.with([("c", None), ("a", Some("2".to_owned())), ("d", Some("{}".to_owned()))]);
        assert_eq!(changed.text(), r#"{"b":null,"a":2,"d":{}}"#);
        #[derive(Debug, Deserialize)]
        struct Read<'a> {
            a: u8,
            b: Option<u8>,
            #[serde(borrow)]
            d: &'a RawValue,
        }
        let read: Read<'_> = changed.read().unwrap();
        assert_eq!((read.a, read.b, read.d.get()), (2, None, "{}"));
        assert!(params.read::<Read<'_>>().unwrap_err().text().contains("params: "));
        assert!((params.get("b"), params.member::<u8>("b")) == (None, Ok(None)));
        assert!(params.member::<u8>("c").unwrap_err().text().contains("params.c: "));
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

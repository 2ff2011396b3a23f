//! JSON-RPC, as far as a client that only asks needs it.

use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::{Failure, shown};

/// How much of what is no message is shown, in bytes.
const MOST_SHOWN: usize = 60;

/// A request.
pub(super) fn request(id: u64, method: &str, params: &Value) -> Vec<u8> {
    json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params }).to_string().into_bytes()
}

/// A notification.
pub(super) fn notification(method: &str) -> Vec<u8> {
    json!({ "jsonrpc": "2.0", "method": method }).to_string().into_bytes()
}

#[derive(Deserialize)]
struct Message<'a> {
    #[serde(default)]
    id: Option<Value>,
    #[serde(default, borrow)]
    result: Option<&'a RawValue>,
    #[serde(default)]
    error: Option<ErrorObject>,
}

#[derive(Deserialize)]
struct ErrorObject {
    code: i64,
    #[serde(default)]
    message: String,
}

/// The answer to a request. Nothing where the message is another one: servers may say other things first.
///
/// # Errors
/// Where it is no message, or says that something went wrong.
pub(super) fn answer(method: &'static str, id: u64, text: &[u8]) -> Result<Option<Box<RawValue>>, Failure> {
    let not_mcp = |reason: &str| Failure::NotMcp { method, reason: shown::text(reason) };
    if text.trim_ascii_start().first() != Some(&b'{') {
        let beginning = String::from_utf8_lossy(text.get(..MOST_SHOWN).unwrap_or(text)).into_owned();
        return Err(not_mcp(&format!("it begins with {beginning:?}")));
    }
    let message: Message<'_> = serde_json::from_slice(text).map_err(|error| not_mcp(&error.to_string()))?;
    let is_ours = message.id == Some(json!(id));
    match (message.result, message.error) {
        (Some(result), None) if is_ours => Ok(Some(result.to_owned())),
        // An error about a request that could not be read has no id.
        (None, Some(error)) if is_ours || matches!(message.id, None | Some(Value::Null)) => {
            Err(Failure::Error { method, code: error.code, text: shown::text(&error.message) })
        }
        _ => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer_to_1(text: &str) -> Result<Option<String>, Failure> {
        answer("m", 1, text.as_bytes()).map(|found| found.map(|result| result.get().to_owned()))
    }

    #[test]
    fn only_the_answer_to_the_request_is_one() {
        assert_eq!(
            answer_to_1(r#"{"jsonrpc":"2.0","id":1,"result":{"a":1}}"#),
            Ok(Some(r#"{"a":1}"#.to_owned()))
        );
        for other in [
            r#"{"jsonrpc":"2.0","id":2,"result":{}}"#,
            r#"{"jsonrpc":"2.0","id":"1","result":{}}"#,
            r#"{"jsonrpc":"2.0","method":"notifications/message","params":{}}"#,
            r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#,
            r#"{"jsonrpc":"2.0","id":2,"error":{"code":1,"message":"x"}}"#,
            "{}",
        ] {
            assert_eq!(answer_to_1(other), Ok(None), "{other}");
        }
    }

    #[test]
    fn an_error_is_one_also_without_an_id() {
        for text in [
            r#"{"jsonrpc":"2.0","id":1,"error":{"code":-32601,"message":"no such\nmethod"}}"#,
            r#"{"jsonrpc":"2.0","id":null,"error":{"code":-32601,"message":"no such method"}}"#,
            r#"{"jsonrpc":"2.0","error":{"code":-32601,"message":"no such method"}}"#,
        ] {
            let expected = Failure::Error { method: "m", code: -32601, text: "no such method".to_owned() };
            assert_eq!(answer_to_1(text), Err(expected), "{text}");
        }
    }

    #[test]
    fn what_is_no_message_is_said_to_be_none() {
        for text in ["", "<html>", "[]", "1", r#"{"id":1,"error":"x"}"#] {
            assert!(matches!(answer_to_1(text), Err(Failure::NotMcp { .. })), "{text}");
        }
    }
}

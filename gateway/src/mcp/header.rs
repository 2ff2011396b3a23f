//! Headers in which modern clients repeat what a request is about.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, HeaderName};
use serde_json::Value;

use super::RpcError;
use super::protocol::{METHOD_HEADER, NAME_HEADER};
use crate::catalog::ParamHeader;

/// Checks that a header is there and says the same.
fn check(headers: &HeaderMap, header: &HeaderName, expected: &str) -> Result<(), RpcError> {
    let given = value(headers, header)?.ok_or_else(|| missing(header))?;
    if given == expected {
        return Ok(());
    }
    Err(RpcError::header_mismatch(format!("header {header} says {given:?}, and the body says {expected:?}")))
}

/// Checks `Mcp-Method`.
pub(super) fn check_method(headers: &HeaderMap, method: &str) -> Result<(), RpcError> {
    check(headers, &METHOD_HEADER, method)
}

/// Checks `Mcp-Name`.
pub(super) fn check_name(headers: &HeaderMap, name: &str) -> Result<(), RpcError> {
    check(headers, &NAME_HEADER, name)
}

/// Checks the headers of arguments that are annotated with `x-mcp-header`.
pub(super) fn check_params(
    headers: &HeaderMap,
    annotated: &[ParamHeader],
    arguments: &Value,
) -> Result<(), RpcError> {
    for ParamHeader { header, path } in annotated {
        let argument = path.iter().try_fold(arguments, |value, name| value.get(name));
        let given = value(headers, header)?;
        match (argument.filter(|value| !value.is_null()), given) {
            (None, None) => {}
            (None, Some(_)) => {
                let reason = format!("header {header} is there, and its argument is not");
                return Err(RpcError::header_mismatch(reason));
            }
            (Some(_), None) => return Err(missing(header)),
            (Some(argument), Some(given)) => {
                if !says(argument, &given) {
                    let reason = format!("header {header} says {given:?}, and the argument is {argument}");
                    return Err(RpcError::header_mismatch(reason));
                }
            }
        }
    }
    Ok(())
}

fn missing(header: &HeaderName) -> RpcError {
    RpcError::header_mismatch(format!("header {header} is missing"))
}

/// Whether a header's text is this argument. Integers are compared as numbers.
fn says(argument: &Value, text: &str) -> bool {
    match argument {
        Value::String(argument) => argument == text,
        Value::Bool(argument) => text == if *argument { "true" } else { "false" },
        Value::Number(argument) => match (argument.as_i128(), text.parse::<i128>()) {
            (Some(argument), Ok(given)) => argument == given,
            _ => argument.as_f64().is_some_and(|argument| text.parse() == Ok(argument)),
        },
        Value::Null | Value::Array(_) | Value::Object(_) => false,
    }
}

/// A header's value, decoded where it is written in base64; `None` where it is not there.
fn value<'h>(headers: &'h HeaderMap, header: &HeaderName) -> Result<Option<Cow<'h, str>>, RpcError> {
    let invalid = || RpcError::header_mismatch(format!("header {header} has a value that is not allowed"));
    let mut values = headers.get_all(header).iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(RpcError::header_mismatch(format!("header {header} is there twice")));
    }
    let text = value.to_str().map_err(|_| invalid())?;
    let encoded = text.strip_prefix("=?base64?").and_then(|text| text.strip_suffix("?="));
    match encoded {
        None => Ok(Some(Cow::Borrowed(text))),
        Some(encoded) => {
            let bytes = STANDARD.decode(encoded).map_err(|_| invalid())?;
            String::from_utf8(bytes).map(|text| Some(Cow::Owned(text))).map_err(|_| invalid())
        }
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use serde_json::json;

    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let pair = |(name, value): &(&'static str, &str)| {
            (HeaderName::from_static(name), HeaderValue::from_bytes(value.as_bytes()).unwrap())
        };
        pairs.iter().map(pair).collect()
    }

    #[test]
    fn a_name_is_compared_as_it_is_or_decoded() {
        assert!(check_name(&headers(&[("mcp-name", "search")]), "search").is_ok());
        assert!(check_name(&headers(&[("mcp-name", "=?base64?w7w=?=")]), "ü").is_ok());
        for wrong in ["Search", "=?base64?w7w?=", "=?base64?/w==?=", "\u{fc}"] {
            assert!(check_name(&headers(&[("mcp-name", wrong)]), "search").is_err(), "{wrong}");
        }
        assert!(check_name(&HeaderMap::new(), "search").is_err());
        let mut twice = headers(&[("mcp-name", "search")]);
        twice.append("mcp-name", HeaderValue::from_static("search"));
        assert!(check_name(&twice, "search").is_err());
    }

    #[test]
    fn annotated_arguments_are_repeated_where_they_are_given() {
        let annotated = |path: &[&str]| ParamHeader {
            header: HeaderName::from_static("mcp-param-x"),
            path: path.iter().map(|name| (*name).to_owned()).collect(),
        };
        let check = |given: Option<&str>, arguments: Value| {
            let headers = given.map_or_else(HeaderMap::new, |given| headers(&[("mcp-param-x", given)]));
            check_params(&headers, &[annotated(&["a", "b"])], &arguments).is_ok()
        };
        assert!(check(None, json!({})) && check(None, json!({"a": {"b": null}})));
        assert!(check(Some("x"), json!({"a": {"b": "x"}})));
        assert!(check(Some("042"), json!({"a": {"b": 42}})));
        assert!(check(Some("true"), json!({"a": {"b": true}})));
        assert!(!check(None, json!({"a": {"b": "x"}})));
        assert!(!check(Some("y"), json!({"a": {"b": "x"}})));
        assert!(!check(Some("x"), json!({})));
        assert!(!check(Some("1"), json!({"a": {"b": true}})));
    }
}

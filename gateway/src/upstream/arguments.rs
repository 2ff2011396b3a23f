//! How a call's arguments become a request: placeholders of the path take theirs first; for `GET` and `DELETE` the rest
//! becomes the query, for the others the JSON body.

use std::borrow::Cow;
use std::collections::BTreeMap;

use bytes::Bytes;
use http::Method;
use http::uri::{InvalidUri, PathAndQuery};
use mcp_crds::v1alpha1::Payload;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::value::RawValue;
use thiserror::Error;

use super::Target;
use crate::json::Members;
use crate::pattern::ExpandError;

/// Arguments of which no request can be made.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ArgumentError {
    /// The path cannot be filled in.
    #[error(transparent)]
    Placeholder(#[from] ExpandError),
    /// A placeholder is given something that is no text.
    #[error("{0}: must be a string, a number or a boolean, since it is a part of the path of the request")]
    NotScalar(String),
    /// The path with its query is none.
    #[error("the path of the request: {0}")]
    Path(String),
}

impl From<InvalidUri> for ArgumentError {
    fn from(error: InvalidUri) -> Self {
        Self::Path(error.to_string())
    }
}

/// What of a request follows from the arguments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outgoing {
    /// The path with its query.
    pub path: PathAndQuery,
    /// The body; empty where the method has none.
    pub body: Bytes,
}

/// Maps arguments, the text of an object, to a request. `params` gives the text of the whole call, for targets that take that.
/// Arguments of which the path takes none are sent as they were written, and not copied.
///
/// # Errors
/// Where a placeholder of the path is not given, or is given what cannot be in a path; or where no request can have the path, as
/// it is too long.
pub fn map(
    target: &Target,
    method: &Method,
    defaults: &BTreeMap<String, String>,
    arguments: &Bytes,
    params: impl FnOnce() -> Bytes,
) -> Result<Outgoing, ArgumentError> {
    let has_body = !matches!(*method, Method::GET | Method::DELETE);
    if let (Some(path), true) = (&target.plain, has_body) {
        let body = match target.payload {
            Payload::Params => params(),
            Payload::Arguments => arguments.clone(),
        };
        return Ok(Outgoing { path: path.clone(), body });
    }
    let arguments = std::str::from_utf8(arguments).ok().and_then(|text| Members::parse(text).ok());
    let arguments = arguments.unwrap_or_default();
    let mut values: BTreeMap<&str, Cow<'_, str>> = BTreeMap::new();
    for name in target.path.placeholders() {
        if let Some(value) = arguments.get(name).filter(|value| value.get() != "null") {
            let text = scalar(value).ok_or_else(|| ArgumentError::NotScalar(name.to_owned()))?;
            values.insert(name, text);
        }
    }
    let mut path = target.path.expand(|name| {
        values.get(name).cloned().or_else(|| defaults.get(name).map(|text| Cow::Borrowed(text.as_str())))
    })?;
    let is_taken = |name: &str| target.path.placeholders().any(|placeholder| placeholder == name);
    let rest = arguments.0.iter().filter(|(name, _)| !is_taken(name));
    let body = match (has_body, target.payload) {
        (false, _) => {
            for (name, value) in rest {
                push_query(&mut path, name, value);
            }
            Bytes::new()
        }
        (true, Payload::Params) => params(),
        (true, Payload::Arguments) => Members(rest.cloned().collect()).text().into(),
    };
    Ok(Outgoing { path: PathAndQuery::from_maybe_shared(path)?, body })
}

/// Arrays repeat the key, objects are JSON, null is nothing.
fn push_query(path: &mut String, name: &str, value: &RawValue) {
    if let Ok(elements) = serde_json::from_str::<Vec<&RawValue>>(value.get()) {
        for element in elements {
            push_pair(path, name, element);
        }
    } else {
        push_pair(path, name, value);
    }
}

fn push_pair(path: &mut String, name: &str, value: &RawValue) {
    if value.get() == "null" {
        return;
    }
    let text = scalar(value).unwrap_or(Cow::Borrowed(value.get()));
    path.push(if path.contains('?') { '&' } else { '?' });
    path.extend(utf8_percent_encode(name, NON_ALPHANUMERIC));
    path.push('=');
    path.extend(utf8_percent_encode(&text, NON_ALPHANUMERIC));
}

/// A string without its quotes, a number or boolean as it was written; `None` for anything else.
fn scalar(value: &RawValue) -> Option<Cow<'_, str>> {
    match value.get().as_bytes().first()? {
        b'"' => serde_json::from_str::<String>(value.get()).ok().map(Cow::Owned),
        b'{' | b'[' | b'n' => None,
        _ => Some(Cow::Borrowed(value.get())),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::upstream::Directory;

    fn mk_target(path: &str, payload: &str) -> Target {
        let service = serde_json::json!({"name": "s", "port": 80, "path": path, "payload": payload});
        let service = serde_json::from_value(service).unwrap();
        let directory = Directory::local([]);
        Target::build(&service, &mut crate::catalog::tests::backends(&directory)).expect("a target")
    }

    fn mapped(method: &Method, path: &str, arguments: &str) -> Result<(String, String), String> {
        let target = mk_target(path, "arguments");
        let arguments = Bytes::copy_from_slice(arguments.as_bytes());
        match map(&target, method, &BTreeMap::new(), &arguments, Bytes::new) {
            Ok(Outgoing { path, body }) => Ok((path.to_string(), String::from_utf8(body.to_vec()).unwrap())),
            Err(error) => Err(error.to_string()),
        }
    }

    #[track_caller]
    fn assert_mapped(method: &Method, path: &str, arguments: &str, expected: (&str, &str)) {
        let (path, body) = mapped(method, path, arguments).expect("a request");
        assert_eq!((path.as_str(), body.as_str()), expected);
    }

    #[test]
    fn the_body_is_what_the_path_leaves() {
        let arguments = r#"{"q":"x","id":7,"n":1.0,"big":123456789012345678901234567890}"#;
        let rest = r#"{"q":"x","n":1.0,"big":123456789012345678901234567890}"#;
        assert_mapped(&Method::POST, "/a/{id}", arguments, ("/a/7", rest));
        assert_mapped(&Method::PUT, "/", "{}", ("/", "{}"));
        let spaced = r#"{ "a": 1.0 }"#;
        assert_mapped(&Method::POST, "/?v=1", spaced, ("/?v=1", spaced));
    }

    #[test]
    fn the_query_is_what_the_path_leaves() {
        let arguments = r#"{"id":"a b","tag":["x","y&z"],"o":{"k":[1]},"n":null,"t":true,"e":[]}"#;
        let expected = "/a/a%20b?v=1&tag=x&tag=y%26z&o=%7B%22k%22%3A%5B1%5D%7D&t=true";
        assert_mapped(&Method::GET, "/a/{id}?v=1", arguments, (expected, ""));
        assert_mapped(&Method::DELETE, "/a", r#"{"a":1}"#, ("/a?a=1", ""));
    }

    #[test]
    fn a_placeholder_takes_a_scalar_and_nothing_else() {
        for arguments in [r#"{"id":{}}"#, r#"{"id":[1]}"#] {
            assert!(
                mapped(&Method::POST, "/{id}", arguments).unwrap_err().starts_with("id: must be a string")
            );
        }
        for arguments in ["{}", r#"{"id":null}"#] {
            assert!(mapped(&Method::POST, "/{id}", arguments).unwrap_err().contains("is needed"));
        }
    }

    #[test]
    fn a_default_fills_a_placeholder() {
        let target = mk_target("/{id}", "arguments");
        let defaults = BTreeMap::from([("id".to_owned(), "first".to_owned())]);
        let mapped = map(&target, &Method::GET, &defaults, &Bytes::from("{}"), Bytes::new);
        assert_eq!(mapped.unwrap().path, "/first");
    }

    #[test]
    fn the_whole_of_params_is_sent_where_it_is_asked_for() {
        let target = mk_target("/", "params");
        let params = Bytes::from(r#"{"name":"t","arguments":{"a":1},"_meta":{"progressToken":1}}"#);
        let arguments = Bytes::from(r#"{"a":1}"#);
        let mapped = map(&target, &Method::POST, &BTreeMap::new(), &arguments, || params.clone());
        assert_eq!(mapped.unwrap().body, params);
    }

    #[test]
    fn a_path_that_no_request_can_have_is_told_of() {
        for path in ["/rows?where=age>30", "/a<b"] {
            let error = mapped(&Method::POST, path, "{}").unwrap_err();
            assert_eq!(error, "the path of the request: invalid uri character", "{path}");
        }
        let long = format!(r#"{{"id":"{}"}}"#, "x".repeat(70_000));
        let error = mapped(&Method::POST, "/a/{id}", &long).unwrap_err();
        assert_eq!(error, "the path of the request: uri too long");
    }

    proptest! {
        #[test]
        fn whatever_is_given_the_path_is_a_path(name in "\\PC{1,6}", value in "\\PC{0,12}|[\r\n\u{0} ]{1,4}") {
            let arguments = serde_json::json!({"id": value, name: value}).to_string();
            if let Ok((path, _)) = mapped(&Method::GET, "/a/{id}/b", &arguments) {
                let path = path.split('?').next().unwrap_or_default();
                prop_assert_eq!(path.matches('/').count(), 3);
                prop_assert!(path.starts_with("/a/") && path.ends_with("/b"));
            }
        }
    }
}

//! `x-mcp-header`: the annotation that makes an argument a header of the request, from MCP 2026-07-28 on.
//!
//! Clients over HTTP drop a tool that breaks the rules for it, so they are rules of admission.

use std::collections::HashMap;

use serde_json::{Map, Value};

use crate::field::{FieldError, FieldPath, Path};
use crate::validate::name::{HTTP_TOKEN, is_http_token};

/// The keyword.
pub(super) const KEYWORD: &str = "x-mcp-header";

/// The types of arguments that can be written as a header. `number` is not among them.
const TYPES: [&str; 3] = ["boolean", "integer", "string"];

/// How a walk came to a subschema.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    /// It began there.
    Root,
    /// Through `properties` alone: the schema of one argument, or of a part of one.
    Properties,
    /// Otherwise.
    Other,
}

/// The headers of one tool's arguments so far.
#[derive(Debug, Default)]
pub(super) struct Headers {
    /// By lower-case name.
    seen: HashMap<String, FieldPath>,
}

impl Headers {
    /// Checks the annotation `value` at `path`, in `schema`.
    pub(super) fn check(
        &mut self,
        value: &Value,
        schema: &Map<String, Value>,
        way: Way,
        path: &Path<'_>,
    ) -> Result<(), FieldError> {
        let Some(name) = value.as_str().filter(|name| is_http_token(name)) else {
            return Err(FieldError::invalid(path, value, HTTP_TOKEN));
        };
        if way != Way::Properties {
            return Err(FieldError::invalid(
                path,
                value,
                "only an argument that is reached through properties alone can be a header",
            ));
        }
        if !schema.get("type").and_then(Value::as_str).is_some_and(|named| TYPES.contains(&named)) {
            return Err(FieldError::invalid(
                path,
                value,
                "only an argument of type string, integer or boolean can be a header",
            ));
        }
        match self.seen.get(&name.to_ascii_lowercase()) {
            Some(first) => {
                let detail = format!("{first} has this name; upper and lower case are the same");
                Err(FieldError::duplicate(path, name, detail).depending_on([first.clone()]))
            }
            None => {
                self.seen.insert(name.to_ascii_lowercase(), path.to_owned());
                Ok(())
            }
        }
    }
}

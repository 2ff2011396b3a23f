//! What kubectl's table shows of an object and cannot find in it by a path.

use mcp_crds::catalog::ObjectKey;
use mcp_crds::default;
use mcp_crds::kind::Kind;
use serde_json::Value;

use super::Error;

/// Columns of the table.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Summary {
    /// Names of a prompt's variables.
    pub(super) variables: Option<String>,
    /// A resource's URI, the first of them.
    pub(super) uri: Option<String>,
}

impl Summary {
    /// Reads leniently: a part of the wrong shape counts as absent.
    pub(super) fn of(key: &ObjectKey, document: &str) -> Result<Self, Error> {
        let parse = || serde_json::from_str::<Value>(document).map_err(Error::Document);
        Ok(match key.id.kind {
            Kind::Prompt => Self { variables: variables(&parse()?), uri: None },
            Kind::Resource => Self { variables: None, uri: uri(&parse()?, &key.id.name) },
            Kind::Server | Kind::Tool => Self::default(),
        })
    }
}

fn variables(prompt: &Value) -> Option<String> {
    let variables = prompt.pointer("/spec/variables")?.as_array()?;
    let names: Vec<&str> = variables.iter().filter_map(|variable| variable.get("name")?.as_str()).collect();
    Some(names.join(", ")).filter(|names| !names.is_empty())
}

fn uri(resource: &Value, object_name: &str) -> Option<String> {
    let spec = resource.get("spec")?;
    if let Some(uri) = spec.pointer("/content/uri") {
        return Some(uri.as_str()?.to_owned());
    }
    let name = spec.get("name").and_then(Value::as_str).unwrap_or(object_name);
    let operations = spec.get("operations")?.as_array()?;
    let of_operation = |operation: &Value| {
        let method = operation.get("method").and_then(Value::as_str).unwrap_or("GET");
        let own = operation.get("uri").and_then(Value::as_str).map(str::to_owned);
        let path = operation.get("ingressPath").and_then(Value::as_str)?;
        (method == "GET").then(|| own.unwrap_or_else(|| default::operation_uri(name, path)))
    };
    let mut uris = operations.iter().filter_map(of_operation);
    let first = uris.next()?;
    Some(match uris.count() {
        0 => first,
        more => format!("{first} and {more} more"),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn variables_are_listed_in_their_order() {
        let prompt = json!({"spec": {"variables": [{"name": "b"}, {"name": "a"}]}});
        assert_eq!(variables(&prompt).as_deref(), Some("b, a"));
        assert_eq!(variables(&json!({"spec": {}})), None);
    }

    #[test]
    fn a_resource_is_read_by_its_contents_uri_or_its_first_get() {
        assert_eq!(
            uri(&json!({"spec": {"content": {"uri": "config://a"}}}), "x").as_deref(),
            Some("config://a")
        );
        let operations = json!({"spec": {"name": "docs", "operations": [
            {"method": "POST", "ingressPath": "/docs"},
            {"method": "GET", "ingressPath": "/docs/{id}"},
            {"ingressPath": "/all", "uri": "docs://all"},
        ]}});
        assert_eq!(uri(&operations, "x").as_deref(), Some("resource://docs/docs/{id} and 1 more"));
        assert_eq!(uri(&json!({"spec": {"operations": [{"method": "PUT", "ingressPath": "/"}]}}), "x"), None);
    }
}

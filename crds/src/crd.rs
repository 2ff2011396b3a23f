//! The CustomResourceDefinitions, made from the types.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::CustomResourceExt;
use serde_json::Value;

use crate::kind::Kind;
use crate::v1alpha1::{MCPPrompt, MCPResource, MCPServer, MCPTool};

/// Fields of an MCPServer whose types are Kubernetes' own. Their descriptions are cut to the first sentence, which
/// keeps the CRD small enough for client-side `kubectl apply`.
const IMPORTED: [&str; 11] = [
    "affinity",
    "env",
    "envFrom",
    "imagePullSecrets",
    "networkPolicy",
    "securityContext",
    "tolerations",
    "toolSelector",
    "topologySpreadConstraints",
    "volumeMounts",
    "conditions",
];

/// The CustomResourceDefinition of a kind.
#[must_use]
pub fn definition(kind: Kind) -> CustomResourceDefinition {
    let mut crd = match kind {
        Kind::Server => MCPServer::crd(),
        Kind::Tool => MCPTool::crd(),
        Kind::Prompt => MCPPrompt::crd(),
        Kind::Resource => MCPResource::crd(),
    };
    for version in &mut crd.spec.versions {
        let Some(schema) = version.schema.as_mut().and_then(|schema| schema.open_api_v3_schema.as_mut())
        else {
            continue;
        };
        // Through JSON: one walk instead of one for each of the schema's 40 fields.
        if let Ok(mut json) = serde_json::to_value(&*schema) {
            tidy(&mut json, false);
            if let Ok(tidied) = serde_json::from_value(json) {
                *schema = tidied;
            }
        }
    }
    crd
}

/// The OpenAPI schema of a kind, as JSON.
#[must_use]
pub fn schema(kind: Kind) -> Value {
    let version = definition(kind).spec.versions.into_iter().next();
    let schema = version.and_then(|version| version.schema).and_then(|schema| schema.open_api_v3_schema);
    serde_json::to_value(schema).unwrap_or_default()
}

fn tidy(schema: &mut Value, imported: bool) {
    let Some(object) = schema.as_object_mut() else { return };
    // A null then means what it means for a built-in kind: not given.
    object.remove("nullable");
    if let Some(Value::String(description)) = object.get_mut("description") {
        *description = if imported { first_sentence(description) } else { description.replace('\n', " ") };
    }
    if let Some(Value::Object(properties)) = object.get_mut("properties") {
        for (name, property) in properties {
            tidy(property, imported);
            if IMPORTED.contains(&name.as_str()) {
                for below in ["properties", "items", "additionalProperties"] {
                    if let Some(part) = property.get_mut(below) {
                        if below == "properties" {
                            part.as_object_mut()
                                .into_iter()
                                .flat_map(|o| o.values_mut())
                                .for_each(|p| tidy(p, true));
                        } else {
                            tidy(part, true);
                        }
                    }
                }
            }
        }
    }
    for below in ["items", "additionalProperties"] {
        if let Some(part) = object.get_mut(below) {
            tidy(part, imported);
        }
    }
}

fn first_sentence(text: &str) -> String {
    let line = text.split("\n\n").next().unwrap_or_default().replace('\n', " ");
    match line.split_once(". ") {
        Some((sentence, _)) => format!("{sentence}."),
        None => line,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_crd_is_small_enough_for_client_side_apply() {
        for kind in Kind::ALL {
            let bytes = serde_json::to_string(&definition(kind)).unwrap().len();
            assert!(bytes < 200 * 1024, "{kind}: {bytes} bytes");
        }
    }

    #[test]
    fn no_schema_is_nullable() {
        for kind in Kind::ALL {
            assert!(!schema(kind).to_string().contains("nullable"), "{kind}");
        }
    }

    #[test]
    fn every_field_of_a_spec_is_described() {
        for kind in Kind::ALL {
            let schema = schema(kind);
            for (name, field) in schema.pointer("/properties/spec/properties").unwrap().as_object().unwrap() {
                assert!(
                    field["description"].as_str().is_some_and(|text| text.len() > 10),
                    "{kind}.spec.{name}"
                );
            }
        }
    }
}

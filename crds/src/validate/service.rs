//! The Service that a tool, a prompt or an operation calls.

use super::name::{DNS_LABEL, is_dns_label};
use super::path::PathTemplate;
use crate::field::{FieldError, Findings};
use crate::node::Node;

/// T2, and what P6 and R4 take from it: the Service's name and path. Returns the path, where it is one.
pub fn check<'a>(service: &'a Node<'a>, findings: &mut Findings) -> Option<PathTemplate<'a>> {
    if let Some(name) = service.get_str("name")
        && !is_dns_label(name)
    {
        findings.error(FieldError::invalid_str(&service.path.field("name"), name, DNS_LABEL));
    }
    let path = service.get_str("path")?;
    match PathTemplate::parse(path) {
        Ok(template) => Some(template),
        Err(error) => {
            findings.error(FieldError::invalid_str(&service.path.field("path"), path, error));
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn errors(service: Value) -> Vec<String> {
        let object = json!({"spec": {"service": service}});
        let mut findings = Findings::default();
        let root = Node::root(&object);
        let spec = root.get("spec").expect("a spec");
        check(&spec.get("service").expect("a service"), &mut findings);
        findings.errors.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn what_is_a_service() {
        for service in [
            json!({"name": "backend-svc", "port": 8080, "path": "/api/tool"}),
            json!({"name": "1st", "port": 8080, "path": "/{id}/{id}/{any name}"}),
            json!({"name": "a"}),
            // Of the wrong type, which is for the schema to say.
            json!({"name": 1, "path": 2}),
            json!([]),
        ] {
            assert_eq!(errors(service.clone()), Vec::<String>::new(), "{service}");
        }
    }

    #[test]
    fn every_error_is_told() {
        assert_eq!(
            errors(json!({"name": "Backend.svc", "path": "api/{}"})),
            [
                format!("spec.service.name: Invalid value: \"Backend.svc\": {DNS_LABEL}"),
                "spec.service.path: Invalid value: \"api/{}\": must begin with /".to_owned(),
            ]
        );
        assert_eq!(
            errors(json!({"name": "a", "path": "/{id"})),
            [
                "spec.service.path: Invalid value: \"/{id\": must have each { closed by a } before the next one"
            ]
        );
    }
}

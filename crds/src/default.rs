//! What is filled in where an object says nothing.
//!
//! Static defaults stand in the CRD's schema, so that they hold without a webhook; here they are filled in from it.
//! The rest needs the object: requests by transport, the name of a tool, the finalizer.

use serde_json::{Map, Value, json};

use crate::kind::Kind;
use crate::v1alpha1::Transport;
use crate::validate::quantity::Quantity;
use crate::validate::structural;

/// The finalizer of servers with `redis`, for what lies outside the cluster's objects.
pub const FINALIZER: &str = "mcp.example.com/finalizer";

/// The URI of a resource's operation that is given none.
#[must_use]
pub fn operation_uri(resource: &str, ingress_path: &str) -> String {
    format!("resource://{resource}{ingress_path}")
}

/// CPU and memory that a server's container asks for where its author asked for nothing.
#[must_use]
pub const fn requests(transport: Transport) -> [(&'static str, &'static str); 2] {
    match transport {
        Transport::Stdio => [("cpu", "50m"), ("memory", "64Mi")],
        Transport::Http => [("cpu", "100m"), ("memory", "128Mi")],
        Transport::StreamableHttp => [("cpu", "200m"), ("memory", "256Mi")],
    }
}

/// Fills in every default. `old` is the stored object on an update: where the transport changed, requests that still
/// equal the old transport's defaults become the new one's.
///
/// A second pass changes nothing, and a value of the wrong type is left as it is.
pub fn apply(kind: Kind, object: &mut Value, old: Option<&Value>) {
    structural::fill_defaults(kind, object);
    if kind == Kind::Server {
        fill_requests(object, old);
        add_finalizer(object);
    } else {
        fill_name(object);
    }
}

fn fill_name(object: &mut Value) {
    let name = object.pointer("/metadata/name").and_then(Value::as_str).filter(|name| !name.is_empty());
    let Some(name) = name.map(str::to_owned) else { return };
    if let Some(Value::Object(spec)) = object.get_mut("spec") {
        spec.entry("name").or_insert(Value::String(name));
    }
}

fn transport(object: &Value) -> Option<Transport> {
    Transport::from_name(object.pointer("/spec/transport")?.as_str()?)
}

fn fill_requests(object: &mut Value, old: Option<&Value>) {
    let Some(transport) = transport(object) else { return };
    let before = old.and_then(self::transport).filter(|before| *before != transport);
    let stale = before.map(requests);
    let Some(Value::Object(spec)) = object.get_mut("spec") else { return };
    let Value::Object(resources) = spec.entry("resources").or_insert_with(|| json!({})) else { return };
    let limits = resources.get("limits").cloned().unwrap_or_default();
    let Value::Object(wanted) = resources.entry("requests").or_insert_with(|| json!({})) else { return };
    for (resource, default) in requests(transport) {
        let of_old = stale.and_then(|stale| stale.into_iter().find(|(name, _)| *name == resource));
        fill_request(wanted, resource, default, of_old.map(|(_, request)| request), limits.get(resource));
    }
}

fn fill_request(
    wanted: &mut Map<String, Value>,
    resource: &str,
    default: &str,
    of_old: Option<&str>,
    limit: Option<&Value>,
) {
    let given = wanted.get(resource);
    let still_old = given.is_some_and(|given| of_old.is_some_and(|old| equal(given, &Value::from(old))));
    if given.is_some() && !still_old {
        return;
    }
    // A limit below the default would refuse the pod.
    let request =
        limit.filter(|limit| below(limit, default)).cloned().unwrap_or_else(|| Value::from(default));
    wanted.insert(resource.to_owned(), request);
}

fn equal(a: &Value, b: &Value) -> bool {
    matches!((Quantity::from_json(a), Quantity::from_json(b)), (Ok(a), Ok(b)) if a == b)
}

fn below(limit: &Value, default: &str) -> bool {
    match (Quantity::from_json(limit), default.parse::<Quantity>()) {
        (Ok(limit), Ok(default)) => limit < default,
        _ => false,
    }
}

fn add_finalizer(object: &mut Value) {
    let wants = object.pointer("/spec/redis").is_some_and(Value::is_object);
    let deleting = object.pointer("/metadata/deletionTimestamp").is_some_and(|time| !time.is_null());
    if !wants || deleting {
        return;
    }
    let Some(Value::Object(metadata)) = object.get_mut("metadata") else { return };
    if let Value::Array(finalizers) = metadata.entry("finalizers").or_insert_with(|| json!([]))
        && !finalizers.iter().any(|finalizer| finalizer == FINALIZER)
    {
        finalizers.push(FINALIZER.into());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mk_server(spec: Value) -> Value {
        json!({"metadata": {"name": "s"}, "spec": spec})
    }

    fn defaulted(spec: Value) -> Value {
        let mut object = mk_server(spec);
        apply(Kind::Server, &mut object, None);
        object
    }

    #[test]
    fn requests_follow_the_transport() {
        for (transport, cpu, memory) in
            [("stdio", "50m", "64Mi"), ("http", "100m", "128Mi"), ("streamable-http", "200m", "256Mi")]
        {
            let object = defaulted(json!({"transport": transport}));
            assert_eq!(
                object["spec"]["resources"]["requests"],
                json!({"cpu": cpu, "memory": memory}),
                "{transport}"
            );
            assert_eq!(object["spec"]["resources"].get("limits"), None);
        }
    }

    #[test]
    fn a_given_request_stays_and_the_other_is_filled_in() {
        let object = defaulted(json!({"resources": {"requests": {"cpu": 1}}}));
        assert_eq!(object["spec"]["resources"]["requests"], json!({"cpu": 1, "memory": "256Mi"}));
    }

    #[test]
    fn a_limit_below_the_default_request_becomes_the_request() {
        let object = defaulted(json!({"resources": {"limits": {"cpu": "150m", "memory": "1Gi"}}}));
        assert_eq!(object["spec"]["resources"]["requests"], json!({"cpu": "150m", "memory": "256Mi"}));
    }

    #[test]
    fn a_change_of_transport_recomputes_only_what_still_equals_the_old_default() {
        let old = defaulted(json!({"transport": "streamable-http"}));
        let mut new = old.clone();
        new["spec"]["transport"] = "stdio".into();
        new["spec"]["resources"]["requests"]["memory"] = "300Mi".into();
        apply(Kind::Server, &mut new, Some(&old));
        assert_eq!(new["spec"]["resources"]["requests"], json!({"cpu": "50m", "memory": "300Mi"}));
    }

    #[test]
    fn static_defaults_come_from_the_crd() {
        let spec = &defaulted(json!({"redis": {"serviceName": "redis"}}))["spec"];
        for (pointer, expected) in [
            ("/transport", json!("streamable-http")),
            ("/port", json!(8080)),
            ("/path", json!("/mcp")),
            ("/replicas", json!(1)),
            ("/imagePullPolicy", json!("IfNotPresent")),
            ("/redis/port", json!(6379)),
            ("/redis/database", json!(0)),
            ("/redis/tls", json!(false)),
        ] {
            assert_eq!(spec.pointer(pointer), Some(&expected), "{pointer}");
        }
        assert_eq!(spec.get("ingress"), None);
    }

    #[test]
    fn only_a_server_with_redis_gets_the_finalizer() {
        assert_eq!(
            defaulted(json!({"redis": {"serviceName": "r"}}))["metadata"]["finalizers"],
            json!([FINALIZER])
        );
        assert_eq!(defaulted(json!({}))["metadata"].get("finalizers"), None);
    }

    #[test]
    fn a_tool_is_called_by_its_objects_name() {
        let mut tool =
            json!({"metadata": {"name": "search"}, "spec": {"service": {"name": "s", "port": 80}}});
        apply(Kind::Tool, &mut tool, None);
        assert_eq!(tool["spec"]["name"], "search");
        assert_eq!(tool["spec"]["method"], "POST");
        assert_eq!(tool["spec"]["inputSchema"], json!({}));
        assert_eq!(tool["spec"]["service"]["path"], "/");
    }

    #[test]
    fn values_of_the_wrong_type_are_left_as_they_are() {
        for spec in [
            json!("text"),
            json!({"resources": 3}),
            json!({"resources": {"requests": []}}),
            json!({"redis": "r"}),
        ] {
            let object = defaulted(spec.clone());
            for (field, value) in spec.as_object().into_iter().flatten() {
                assert_eq!(&object["spec"][field], value);
            }
        }
    }

    #[test]
    fn a_null_is_dropped_where_the_api_server_drops_it() {
        let spec =
            json!({"image": null, "config": {"A": null, "B": "b"}, "resources": {"requests": {"cpu": null}}});
        let object = defaulted(spec);
        assert_eq!(object["spec"].get("image"), None);
        assert_eq!(object["spec"]["config"], json!({"B": "b"}));
        assert_eq!(object["spec"]["resources"]["requests"]["cpu"], "200m");
    }
}

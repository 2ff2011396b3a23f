//! The rules of an MCPServer.

use std::collections::HashMap;
use std::fmt;

use serde_json::Value;

use super::cron::Schedule;
use super::duration::{DurationError, parse_positive_duration};
use super::image::check_reference;
use super::name::{
    DNS_NAME, DNS_SUBDOMAIN, ENV_NAME, HOST, is_dns_name, is_dns_subdomain, is_env_name, is_host,
};
use super::path::{PROBES, check_plain};
use super::quantity::{Quantity, QuantityError};
use super::selector;
use crate::field::{FieldError, FieldPath, Findings, MAX_QUOTED_CHARS, Path, Segment};
use crate::node::Node;
use crate::{config, labels, volumes};

/// The rules of a server that need nothing but the server (S3–S14, S17–S20), and what is suspicious about one.
pub fn check(object: &Node<'_>, findings: &mut Findings) {
    let Some(spec) = object.get("spec").filter(|spec| spec.value.is_object()) else { return };
    if spec.get_str("transport") == Some("stdio") {
        check_stdio(&spec, findings);
    }
    check_image(&spec, findings);
    check_schedule(&spec, findings);
    check_autoscaling(&spec, findings);
    check_config(&spec, findings);
    check_env(&spec, findings);
    check_resources(&spec, findings);
    check_security_context(&spec, findings);
    if let Some(selector) = spec.get("toolSelector") {
        selector::check(&selector, findings);
    }
    check_names(&spec, findings);
    check_paths(&spec, findings);
    check_disruption_budget(&spec, findings);
    check_pod_labels(&spec, findings);
    check_volumes(&spec, findings);
    check_config_size(&spec, findings);
}

/// S3, S4 and S6: a process that speaks over its own standard input can be had once, and comes in an image.
fn check_stdio(spec: &Node<'_>, findings: &mut Findings) {
    const ONCE: &str = "stdio transport does not support multiple replicas";
    let transport = || [spec.path.field("transport").to_owned()];
    let mut check_count = |path: &Path<'_>, parent: Option<&Value>, field: &str| {
        let count =
            parent.and_then(|parent| parent.get(field)).filter(|count| integer(count).is_some_and(|n| n > 1));
        if let Some(count) = count {
            findings.error(FieldError::invalid(&path.field(field), count, ONCE).depending_on(transport()));
        }
    };
    check_count(&spec.path, Some(spec.value), "replicas");
    check_count(&spec.path.field("autoscaling"), spec.value.get("autoscaling"), "maxReplicas");
    if !spec.has("image") {
        let error = FieldError::required(
            &spec.path.field("image"),
            "stdio transport needs an image, whose process the operator starts",
        );
        findings.error(error.depending_on(transport()));
    } else if spec.get("command").is_none_or(|command| command.value.as_array().is_some_and(Vec::is_empty)) {
        let text =
            "without it the image's entrypoint cannot be wrapped: the server is not reachable over HTTP";
        findings.warn(&spec.path.field("command"), text);
    }
}

/// S7.
fn check_image(spec: &Node<'_>, findings: &mut Findings) {
    let path = spec.path.field("image");
    if let Some(image) = spec.get_str("image") {
        match check_reference(image) {
            Err(error) => findings.error(FieldError::invalid_str(&path, image, error)),
            Ok(reference) if reference.floats() => {
                findings.warn(
                    &path,
                    "without a tag other than latest, or a digest, pods may come to run different images",
                );
            }
            Ok(_) => {}
        }
    }
    if spec.has("image") && spec.has("redis") {
        findings.warn(
            &spec.path.field("redis"),
            "only the gateway uses it, which does not run where there is an image",
        );
    }
}

/// S8.
fn check_schedule(spec: &Node<'_>, findings: &mut Findings) {
    let Some(text) = spec.get_str("schedule") else { return };
    let path = spec.path.field("schedule");
    match text.parse::<Schedule>() {
        Err(error) => findings.error(FieldError::invalid_str(&path, text, error)),
        Ok(schedule) if schedule.never_fires() => {
            findings.warn(&path, "names no date that exists, so it never comes due")
        }
        Ok(_) => {}
    }
}

/// S5.
fn check_autoscaling(spec: &Node<'_>, findings: &mut Findings) {
    let Some(autoscaling) = spec.get("autoscaling") else { return };
    let Some(min) = autoscaling.get("minReplicas") else { return };
    let Some(max) = autoscaling.value.get("maxReplicas").and_then(integer) else { return };
    if integer(min.value).is_some_and(|min| min > max) {
        let error = FieldError::invalid(
            &min.path,
            min.value,
            format_args!("must not be above maxReplicas, which is {max}"),
        );
        findings.error(error.depending_on([autoscaling.path.field("maxReplicas").to_owned()]));
    }
}

/// S9. An image's settings are its own: then what the gateway would refuse is only suspicious.
fn check_config(spec: &Node<'_>, findings: &mut Findings) {
    let Some(config) = spec.get("config") else { return };
    for (key, entry) in config.entries() {
        if key.is_empty() {
            findings.error(FieldError::invalid_str(&entry.path, key, "must not have an empty key"));
        }
        let Some(complaint) = gateway_complaint(key, entry.value) else { continue };
        if spec.has("image") {
            findings.warn(&entry.path, format_args!("the gateway would refuse it: {complaint}"));
        } else {
            let error = FieldError::invalid(&entry.path, entry.value, complaint);
            findings.error(error.depending_on([spec.path.field("image").to_owned()]));
        }
    }
}

/// Why the gateway could not work with a setting.
fn gateway_complaint(key: &str, value: &Value) -> Option<String> {
    match (key, value) {
        ("requestTimeout", Value::String(text)) => {
            parse_positive_duration(text).err().map(|error| error.to_string())
        }
        ("requestTimeout", _) => integer(value).map(|_| DurationError::MissingUnit.to_string()),
        ("maxConcurrentRequests", _) if !is_positive_integer(value) => {
            Some("must be a positive integer".to_owned())
        }
        _ => None,
    }
}

/// A JSON integer or a string of digits, above zero; what the schema refuses already is not refused again.
fn is_positive_integer(value: &Value) -> bool {
    match value {
        Value::String(digits) => {
            digits.bytes().all(|b| b.is_ascii_digit()) && digits.parse::<u64>().is_ok_and(|number| number > 0)
        }
        _ => integer(value).is_none_or(|number| number > 0),
    }
}

/// A JSON integer. `3.0` is one to the API server as well.
fn integer(value: &Value) -> Option<i64> {
    let whole = |float: &f64| float.fract() == 0.0;
    value.as_i64().or_else(|| value.as_f64().filter(whole).map(|float| float as i64))
}

/// S10.
fn check_env(spec: &Node<'_>, findings: &mut Findings) {
    let Some(env) = spec.get("env") else { return };
    let mut places: HashMap<&str, usize> = HashMap::new();
    for (i, value) in env.value.as_array().into_iter().flatten().enumerate() {
        let variable = Node { value, path: env.path.index(i) };
        check_env_value(&variable, findings);
        let Some(name) = value.get("name").and_then(Value::as_str) else { continue };
        let path = variable.path.field("name");
        if !is_env_name(name) {
            findings.error(FieldError::invalid_str(&path, name, ENV_NAME));
        }
        let first = *places.entry(name).or_insert(i);
        if first != i {
            let error = FieldError::duplicate(&path, name, format_args!("is set by env[{first}] already"));
            findings.error(error.depending_on([env.path.index(first).field("name").to_owned()]));
        }
        if matches!(name, "MCP_PORT" | "MCP_TRANSPORT") {
            findings.warn(
                &path,
                format_args!("overrides {name}, which the operator sets from the server's own fields"),
            );
        }
    }
}

/// S10: a value, or one source of it.
fn check_env_value(variable: &Node<'_>, findings: &mut Findings) {
    const SOURCES: [&str; 4] = ["fieldRef", "resourceFieldRef", "configMapKeyRef", "secretKeyRef"];
    let Some(source) = variable.get("valueFrom") else { return };
    if variable.has("value") {
        let error = FieldError::forbidden(&source.path, "may not be given together with value");
        findings.error(error.depending_on([variable.path.field("value").to_owned()]));
    }
    if source.value.is_object() {
        let given = SOURCES.iter().filter(|name| source.has(name)).count();
        let names = SOURCES.join(", ");
        match given {
            0 => findings.error(FieldError::required(&source.path, format_args!("must have one of {names}"))),
            1 => {}
            _ => findings
                .error(FieldError::forbidden(&source.path, format_args!("may have only one of {names}"))),
        }
    }
}

/// S11.
fn check_resources(spec: &Node<'_>, findings: &mut Findings) {
    let Some(resources) = spec.get("resources") else { return };
    let mut bounds: HashMap<&str, (Quantity, &Value)> = HashMap::new();
    for list in ["limits", "requests"] {
        let Some(amounts) = resources.get(list) else { continue };
        for (name, value) in amounts.value.as_object().into_iter().flatten() {
            let path = amounts.path.key(name);
            let amount = match Quantity::from_json(value) {
                Ok(amount) => amount,
                // For the schema to say.
                Err(QuantityError::Type) => continue,
                Err(error) => {
                    findings.error(FieldError::invalid(&path, value, error));
                    continue;
                }
            };
            if amount.is_negative() {
                findings.error(FieldError::invalid(&path, value, "must not be negative"));
            } else if list == "limits" {
                bounds.insert(name, (amount, value));
            } else if let Some((limit, written)) = bounds.get(name.as_str())
                && amount > *limit
            {
                let detail = format_args!("must not be above its limit, which is {}", Written(written));
                let limit = resources.path.field("limits").key(name).to_owned();
                findings.error(FieldError::invalid(&path, value, detail).depending_on([limit]));
            }
        }
    }
}

/// A quantity as its author wrote it, where that is short.
struct Written<'a>(&'a Value);

impl fmt::Display for Written<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Value::String(text) if text.len() <= MAX_QUOTED_CHARS => f.write_str(text),
            Value::String(_) => f.write_str("lower"),
            number => write!(f, "{number}"),
        }
    }
}

/// S12.
fn check_security_context(spec: &Node<'_>, findings: &mut Findings) {
    let Some(context) = spec.get("securityContext") else { return };
    if context.value.get("runAsUser").and_then(integer) == Some(0) {
        let path = context.path.field("runAsUser");
        if context.get_bool("runAsNonRoot") == Some(true) {
            let error =
                FieldError::invalid(&path, &Value::from(0), "must not be root, since runAsNonRoot is true");
            findings.error(error.depending_on([context.path.field("runAsNonRoot").to_owned()]));
        } else {
            findings.warn(&path, "the container runs as root");
        }
    }
    if context.get_bool("privileged") == Some(true) {
        findings
            .warn(&context.path.field("privileged"), "the container can do to its node whatever root can");
    }
}

/// S14: names of other objects, and hosts.
fn check_names(spec: &Node<'_>, findings: &mut Findings) {
    type Check = (&'static [&'static str], fn(&str) -> bool, &'static str);
    const CHECKS: [Check; 4] = [
        (&["serviceAccount"], is_dns_subdomain, DNS_SUBDOMAIN),
        (&["redis", "serviceName"], is_dns_name, DNS_NAME),
        (&["ingress", "host"], is_host, HOST),
        (&["ingress", "tlsSecretName"], is_dns_subdomain, DNS_SUBDOMAIN),
    ];
    for (fields, is_valid, detail) in CHECKS {
        if let Some((path, name)) = string_at(fields, spec.value)
            && !is_valid(name)
        {
            findings.error(FieldError::invalid_str(path, name, detail));
        }
    }
}

/// S14: paths.
fn check_paths(spec: &Node<'_>, findings: &mut Findings) {
    const PATHS: [&[&str]; 4] =
        [&["path"], &["ingress", "pathPrefix"], &["probes", "livenessPath"], &["probes", "readinessPath"]];
    for fields in PATHS {
        if let Some((path, text)) = string_at(fields, spec.value)
            && let Err(error) = check_plain(text)
        {
            findings.error(FieldError::invalid_str(path, text, error));
        }
    }
    if let Some(path) = spec.get_str("path").filter(|path| PROBES.contains(path)) {
        findings.error(FieldError::invalid_str(
            &spec.path.field("path"),
            path,
            "is taken by the server's own probes",
        ));
    }
}

/// A string somewhere under `spec`, and where.
fn string_at<'a>(fields: &[&str], spec: &'a Value) -> Option<(FieldPath, &'a str)> {
    let text = fields.iter().try_fold(spec, |value, field| value.get(field))?.as_str()?;
    let segments = fields.iter().map(|field| Segment::Field((*field).to_owned()));
    Some((segments.fold(FieldPath::of(["spec"]), FieldPath::join), text))
}

/// S17.
fn check_disruption_budget(spec: &Node<'_>, findings: &mut Findings) {
    let Some(budget) = spec.get("podDisruptionBudget") else { return };
    if budget.has("minAvailable") && budget.has("maxUnavailable") {
        let error =
            FieldError::forbidden(&budget.path, "give either minAvailable or maxUnavailable, and not both");
        let fields = ["minAvailable", "maxUnavailable"];
        findings.error(error.depending_on(fields.map(|field| budget.path.field(field).to_owned())));
    }
}

/// S18.
fn check_pod_labels(spec: &Node<'_>, findings: &mut Findings) {
    let Some(pod_labels) = spec.get("podLabels") else { return };
    for (key, label) in pod_labels.entries() {
        if labels::RESERVED.contains(&key) {
            findings.error(FieldError::forbidden(&label.path, "is a label that the operator sets"));
        }
    }
}

/// S19. The rest of a volume goes to the API server as it is written.
fn check_volumes(spec: &Node<'_>, findings: &mut Findings) {
    let Some(volumes) = spec.get("volumes") else { return };
    for (i, volume) in volumes.value.as_array().into_iter().flatten().enumerate() {
        let Some(name) = volume.get("name").and_then(Value::as_str) else { continue };
        if volumes::RESERVED.contains(&name) {
            let path = volumes.path.index(i);
            let detail = "the operator has a volume of this name";
            findings.error(FieldError::duplicate(&path.field("name"), name, detail));
        }
    }
}

/// S20.
fn check_config_size(spec: &Node<'_>, findings: &mut Findings) {
    let Some(config) = spec.get("config").filter(|config| config.value.is_object()) else { return };
    let Ok(json) = config::json(config.value) else { return };
    if !config::fits(&json) {
        let most = config::MAX_CONFIG_MAP;
        let detail = format_args!("{} bytes as JSON, and a ConfigMap holds {most}", json.len());
        findings.error(FieldError::too_long(&config.path, detail));
    }
}

#[cfg(test)]
mod tests;

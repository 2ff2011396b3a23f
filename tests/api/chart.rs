//! The chart and the overlays: two ways to the same objects.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

use crate::support::cluster::binary;

const NAMESPACE: &str = mcp_operator::permissions::NAMESPACE;

/// Objects by kind, namespace and name.
type Objects = BTreeMap<String, Value>;

fn run(command: &mut Command) -> String {
    let Output { status, stdout, stderr } =
        command.current_dir(env!("CARGO_MANIFEST_DIR")).output().expect("it runs");
    assert!(status.success(), "{command:?}: {}", String::from_utf8_lossy(&stderr));
    String::from_utf8(stdout).expect("text")
}

fn objects(text: &str) -> Objects {
    let documents: Vec<Value> = serde_saphyr::from_multiple(text).expect("YAML");
    let named = documents.into_iter().filter(|document| !document.is_null()).map(|document| {
        let (kind, metadata) = (&document["kind"], &document["metadata"]);
        (format!("{kind} {}/{}", metadata["namespace"], metadata["name"]), document)
    });
    named.collect()
}

fn helm(arguments: &[&str]) -> Objects {
    let tool = Path::new(env!("CARGO_MANIFEST_DIR")).join("hack/tool.sh");
    let helm = run(Command::new(tool).arg("helm"));
    let chart = ["template", "mcp-operator", "charts/mcp-operator", "--namespace", NAMESPACE];
    objects(&run(Command::new(helm.trim()).args(chart).args(arguments)))
}

/// What these kustomizations render, without the namespace: that is made by whoever installs a chart.
fn kustomize(overlays: &[&str]) -> Objects {
    let mut all = Objects::new();
    for overlay in overlays {
        all.extend(objects(&run(Command::new(binary()).args(["kubectl", "kustomize", overlay]))));
    }
    all.retain(|_, object| object["kind"] != "Namespace");
    all
}

#[track_caller]
fn assert_same(chart: &Objects, overlay: &Objects) {
    assert!(overlay.len() > 15);
    assert_eq!(chart.keys().collect::<Vec<_>>(), overlay.keys().collect::<Vec<_>>());
    for (name, object) in overlay {
        let differences = json_patch::diff(&chart[name], object);
        assert!(differences.is_empty(), "the chart's {name} becomes the overlay's by\n{differences}");
    }
}

#[test]
fn the_chart_renders_what_the_default_is() {
    assert_same(&helm(&["--set", "crds.keep=false"]), &kustomize(&["config/default"]));
}

#[test]
fn with_cert_manager_too() {
    let chart = helm(&["--set", "crds.keep=false,certificate.mode=cert-manager"]);
    assert_same(&chart, &kustomize(&["config/overlays/cert-manager"]));
}

#[test]
fn in_production_too() {
    let chart = helm(&["--set", "crds.keep=false", "--values", "charts/mcp-operator/values-production.yaml"]);
    assert_same(&chart, &kustomize(&["config/overlays/production"]));
}

#[test]
fn with_monitoring_too() {
    let chart = helm(&["--set", "crds.keep=false,monitoring.enabled=true"]);
    assert_same(&chart, &kustomize(&["config/default", "config/prometheus", "config/grafana"]));
}

#[test]
fn in_another_namespace_nothing_is_left_in_the_first() {
    let monitored = "networkPolicy.enabled=true,monitoring.enabled=true,certificate.mode=cert-manager";
    for (name, object) in helm(&["--namespace", "elsewhere", "--set", monitored]) {
        assert!(!object.to_string().contains(NAMESPACE), "{name}: {object:#}");
        let kept = object["metadata"]["annotations"]["helm.sh/resource-policy"] == "keep";
        assert_eq!(kept, object["kind"] == "CustomResourceDefinition", "{name}");
    }
}

#[test]
fn the_gateways_image_is_beside_the_operators_unless_it_is_said() {
    let image = |values: &str| {
        let mut objects = helm(&["--set", values]).into_values();
        let deployment = objects.find(|object| object["kind"] == "Deployment").expect("one");
        let variables = &deployment["spec"]["template"]["spec"]["containers"][0]["env"];
        let mut variables = variables.as_array().expect("variables").iter();
        let found = variables.find(|variable| variable["name"] == "MCP_OPERATOR_GATEWAY_IMAGE");
        found.expect("the gateway's image")["value"].as_str().expect("text").to_owned()
    };
    let version = mcp_operator::VERSION;
    let registry = "image.repository=registry.example.com:5000/mcp/operator";
    assert_eq!(image(registry), format!("registry.example.com:5000/mcp/mcp-gateway:{version}"));
    let own = format!("{registry},gateway.image.repository=docker.io/team/gateway,gateway.image.tag=v2");
    assert_eq!(image(&own), "docker.io/team/gateway:v2");
}

#[test]
fn the_version_is_the_same_everywhere() {
    let version = mcp_operator::VERSION;
    let image = |objects: Objects| {
        let deployment = objects.into_values().find(|object| object["kind"] == "Deployment").expect("one");
        deployment["spec"]["template"]["spec"]["containers"][0]["image"].clone()
    };
    assert_eq!(image(helm(&[])), format!("mcp-operator:{version}"));
    assert_eq!(image(kustomize(&["config/default"])), format!("mcp-operator:{version}"));
}

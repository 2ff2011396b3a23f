//! The Deployment: one container, `mcp-server`, and what surrounds it.

use std::collections::BTreeMap;

use k8s_openapi::api::apps::v1::{Deployment, DeploymentSpec};
use k8s_openapi::api::core::v1::{
    Capabilities, ConfigMapVolumeSource, Container, ContainerPort, EmptyDirVolumeSource, EnvVar,
    EnvVarSource, ObjectFieldSelector, PodSecurityContext, PodSpec, PodTemplateSpec, ResourceRequirements,
    SeccompProfile, SecurityContext, TopologySpreadConstraint, Volume, VolumeMount,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta};
use mcp_crds::v1alpha1::{self, Resources, Transport};
use mcp_crds::validate::name::is_env_identifier;
use mcp_crds::volumes;
use serde_json::Value;

use super::config::{CONFIG_JSON, config_map_name};
use super::digest::fingerprint;
use super::service::PORT;
use super::{Intent, gateway, json, labels, metadata, object_at, probes};
use crate::children::ChildKind;
use crate::reconcile::validate::ValidServer;

/// Name of the server's container.
pub const CONTAINER: &str = "mcp-server";
/// Where the container sees its ConfigMap.
pub const CONFIG_DIRECTORY: &str = "/etc/mcp";
const TMP: &str = "/tmp";

/// The Deployment of a server, which runs its image, or the gateway's where it has none.
pub(super) fn build(server: &ValidServer, gateway_image: &str, has_config_map: bool) -> Intent {
    let name = &server.identity().name;
    let spec = server.spec();
    let mounts = Mounts::new(server, has_config_map);
    let mut deployment = Deployment {
        metadata: metadata(server, name),
        spec: Some(DeploymentSpec {
            replicas: spec.autoscaling.is_none().then_some(spec.replicas),
            selector: pod_selector(name),
            template: PodTemplateSpec {
                metadata: Some(pod_metadata(server)),
                spec: Some(pod(server, gateway_image, mounts.mounts)),
            },
            ..DeploymentSpec::default()
        }),
        status: None,
    };
    if spec.autoscaling.is_some() {
        let annotations = deployment.metadata.annotations.get_or_insert_default();
        annotations.insert(labels::REPLICAS_FROM.to_owned(), "autoscaler".to_owned());
    }
    let mut deployment = json(&deployment);
    // As the user wrote them, so that the API server judges also what is newer than the types here.
    let volumes: Vec<Value> = mounts.volumes.iter().map(json).chain(spec.volumes.iter().cloned()).collect();
    if !volumes.is_empty()
        && let Some(pod) = object_at(&mut deployment, &["spec", "template", "spec"])
    {
        pod.insert("volumes".to_owned(), Value::Array(volumes));
    }
    let intent = Intent::new(ChildKind::Deployment, server, name, deployment);
    match &spec.autoscaling {
        Some(autoscaling) => intent.autoscaled(autoscaling.min_replicas),
        None => intent,
    }
}

pub(super) fn pod_selector(name: &str) -> LabelSelector {
    LabelSelector { match_labels: Some(labels::selector(name)), match_expressions: None }
}

fn pod_metadata(server: &ValidServer) -> ObjectMeta {
    let spec = server.spec();
    let mut pod_labels = spec.pod_labels.clone();
    pod_labels.extend(labels::labels(&server.identity().name, spec.transport));
    let mut annotations = spec.pod_annotations.clone();
    if let Some(config) = server.config_json() {
        annotations.insert(labels::CONFIG.to_owned(), fingerprint(config.as_bytes()));
    }
    ObjectMeta {
        labels: Some(pod_labels),
        annotations: Some(annotations).filter(|annotations| !annotations.is_empty()),
        ..ObjectMeta::default()
    }
}

fn pod(server: &ValidServer, gateway_image: &str, mounts: Vec<VolumeMount>) -> PodSpec {
    let spec = server.spec();
    let (image, account) = match &spec.image {
        Some(image) => (image.as_str(), spec.service_account.clone()),
        None => (gateway_image, Some(gateway::service_account(server))),
    };
    PodSpec {
        init_containers: probes::needs_binary(spec).then(|| vec![probes::install(spec, gateway_image)]),
        containers: vec![container(server, image, mounts)],
        service_account_name: account,
        image_pull_secrets: given(&spec.image_pull_secrets),
        node_selector: Some(spec.node_selector.clone()).filter(|selector| !selector.is_empty()),
        tolerations: given(&spec.tolerations),
        affinity: spec.affinity.clone(),
        topology_spread_constraints: given(&spread(server)),
        security_context: Some(PodSecurityContext {
            seccomp_profile: Some(SeccompProfile {
                type_: "RuntimeDefault".to_owned(),
                localhost_profile: None,
            }),
            ..PodSecurityContext::default()
        }),
        ..PodSpec::default()
    }
}

/// The user's constraints; else over nodes, as far as that goes. Also for a single pod, to which it means nothing: another
/// number of pods is no other shape, and must not roll those that run.
fn spread(server: &ValidServer) -> Vec<TopologySpreadConstraint> {
    let spec = server.spec();
    if !spec.topology_spread_constraints.is_empty() || spec.transport == Transport::Stdio {
        return spec.topology_spread_constraints.clone();
    }
    vec![TopologySpreadConstraint {
        max_skew: 1,
        topology_key: "kubernetes.io/hostname".to_owned(),
        when_unsatisfiable: "ScheduleAnyway".to_owned(),
        label_selector: Some(pod_selector(&server.identity().name)),
        ..TopologySpreadConstraint::default()
    }]
}

fn container(server: &ValidServer, image: &str, mounts: Vec<VolumeMount>) -> Container {
    let spec = server.spec();
    let (liveness_probe, readiness_probe) = probes::build(spec);
    let is_gateway = server.gateway().is_some();
    let mut ports = vec![ContainerPort {
        name: Some(PORT.to_owned()),
        container_port: spec.port,
        protocol: Some("TCP".to_owned()),
        ..ContainerPort::default()
    }];
    if is_gateway {
        ports.extend(gateway::ports(spec));
    }
    let (command, args) = if is_gateway {
        (None, Some(gateway::ARGUMENTS.map(str::to_owned).into()))
    } else {
        (given(&spec.command), given(&spec.args))
    };
    Container {
        name: CONTAINER.to_owned(),
        image: Some(image.to_owned()),
        image_pull_policy: Some(spec.image_pull_policy.clone()),
        command,
        args,
        // A process that speaks over its standard input would end where that is closed.
        stdin: (spec.transport == Transport::Stdio).then_some(true),
        ports: Some(ports),
        env: Some(environment(server)),
        env_from: given(&spec.env_from),
        resources: spec.resources.as_ref().map(resources),
        security_context: Some(spec.security_context.clone().unwrap_or_else(default_security_context)),
        volume_mounts: given(&mounts),
        // So that the end of a crashed process's log is in the pod's status, where the reason of a condition comes from.
        termination_message_policy: Some("FallbackToLogsOnError".to_owned()),
        liveness_probe,
        readiness_probe,
        ..Container::default()
    }
}

/// What the operator sets, then `config`, then `env`: of two with one name the later stays. Kubernetes lets all of
/// them win over `envFrom`.
fn environment(server: &ValidServer) -> Vec<EnvVar> {
    let spec = server.spec();
    let mut operators = vec![
        literal("MCP_TRANSPORT", spec.transport.as_str()),
        literal("MCP_PORT", &spec.port.to_string()),
        literal("MCP_SERVER_NAME", &server.identity().name),
        // Where the file is, if there is one: an image need not be told twice.
        literal("MCP_CONFIG_FILE", &format!("{CONFIG_DIRECTORY}/{CONFIG_JSON}")),
        field("POD_NAME", "metadata.name"),
        field("POD_NAMESPACE", "metadata.namespace"),
    ];
    if server.gateway().is_some() {
        operators.extend(gateway::environment(server));
    }
    let config = spec.config.iter().filter(|(key, _)| is_env_identifier(key));
    let config = config.map(|(key, value)| literal(key, &value.to_string()));
    let all: Vec<EnvVar> = operators.into_iter().chain(config).chain(spec.env.iter().cloned()).collect();
    let last: BTreeMap<String, usize> =
        all.iter().enumerate().map(|(index, var)| (var.name.clone(), index)).collect();
    let stays = |(index, var): (usize, EnvVar)| (last.get(&var.name) == Some(&index)).then_some(var);
    all.into_iter().enumerate().filter_map(stays).collect()
}

/// A variable whose value is a field of the pod.
pub(super) fn field(name: &str, path: &str) -> EnvVar {
    EnvVar {
        name: name.to_owned(),
        value: None,
        value_from: Some(EnvVarSource {
            field_ref: Some(ObjectFieldSelector { field_path: path.to_owned(), api_version: None }),
            ..EnvVarSource::default()
        }),
    }
}

/// A variable whose value reaches the process as it stands: in a manifest, `$(NAME)` would be replaced.
pub(super) fn literal(name: &str, value: &str) -> EnvVar {
    EnvVar { name: name.to_owned(), value: Some(value.replace('$', "$$")), value_from: None }
}

pub(super) fn resources(resources: &Resources) -> ResourceRequirements {
    let quantities = |quantities: &BTreeMap<String, v1alpha1::Quantity>| {
        let quantities: BTreeMap<String, Quantity> =
            quantities.iter().map(|(name, quantity)| (name.clone(), Quantity(quantity.0.clone()))).collect();
        Some(quantities).filter(|quantities| !quantities.is_empty())
    };
    ResourceRequirements {
        requests: quantities(&resources.requests),
        limits: quantities(&resources.limits),
        ..ResourceRequirements::default()
    }
}

pub(super) fn default_security_context() -> SecurityContext {
    SecurityContext {
        run_as_user: Some(1000),
        run_as_non_root: Some(true),
        allow_privilege_escalation: Some(false),
        capabilities: Some(Capabilities { drop: Some(vec!["ALL".to_owned()]), add: None }),
        read_only_root_filesystem: Some(true),
        ..SecurityContext::default()
    }
}

/// What the operator mounts beside the user's own. Where the user mounts something at the same place, that stays.
struct Mounts {
    volumes: Vec<Volume>,
    mounts: Vec<VolumeMount>,
}

impl Mounts {
    fn new(server: &ValidServer, has_config_map: bool) -> Self {
        let spec = server.spec();
        let mut all = Self { volumes: Vec::new(), mounts: spec.volume_mounts.clone() };
        if has_config_map {
            let name = config_map_name(&server.identity().name);
            let config_map = Some(ConfigMapVolumeSource { name, ..ConfigMapVolumeSource::default() });
            let volume = Volume { name: volumes::CONFIG.to_owned(), config_map, ..Volume::default() };
            all.add(volume, CONFIG_DIRECTORY, Some(true));
        }
        if server.gateway().is_some() {
            all.add(gateway::catalog_volume(server), gateway::CATALOG_DIRECTORY, Some(true));
            if let Some(volume) = gateway::redis_volume(server) {
                all.add(volume, gateway::REDIS_DIRECTORY, Some(true));
            }
        }
        if probes::needs_binary(spec) {
            all.add(probes::volume(), probes::DIRECTORY, Some(true));
        }
        if spec.security_context.is_none() {
            let empty_dir = Some(EmptyDirVolumeSource::default());
            let volume = Volume { name: volumes::TMP.to_owned(), empty_dir, ..Volume::default() };
            all.add(volume, TMP, None);
        }
        all
    }

    fn add(&mut self, volume: Volume, mount_path: &str, read_only: Option<bool>) {
        if self.mounts.iter().any(|mount| mount.mount_path.trim_end_matches('/') == mount_path) {
            return;
        }
        self.mounts.push(mount(&volume.name, mount_path, read_only));
        self.volumes.push(volume);
    }
}

pub(super) fn mount(volume: &str, path: &str, read_only: Option<bool>) -> VolumeMount {
    VolumeMount { name: volume.to_owned(), mount_path: path.to_owned(), read_only, ..VolumeMount::default() }
}

/// A list, where there is anything in it: an empty one would be an intent of its own.
fn given<T: Clone>(list: &[T]) -> Option<Vec<T>> {
    (!list.is_empty()).then(|| list.to_vec())
}

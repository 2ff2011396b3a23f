//! What is particular to pods that run the gateway: how it is told what to serve, and where.

use k8s_openapi::api::core::v1::{
    ConfigMapProjection, ContainerPort, EnvVar, KeyToPath, ProjectedVolumeSource, SecretVolumeSource, Volume,
    VolumeProjection,
};
use mcp_crds::snapshot::{self, INDEX_KEY, MAX_SHARDS, shard_key};
use mcp_crds::v1alpha1::{MCPServerSpec, Redis};
use mcp_crds::volumes;

use super::access;
use super::deployment::{field, literal};
use crate::reconcile::validate::ValidServer;

/// Where the catalog is mounted.
pub(super) const CATALOG_DIRECTORY: &str = "/etc/mcp-catalog";

/// Where the password of Redis is mounted, and the file there.
pub(super) const REDIS_DIRECTORY: &str = "/etc/mcp-redis";
const PASSWORD: &str = "password";

/// Whoever the container runs as may read the password; it is in nobody else's pod.
const READABLE: i32 = 0o444;

/// Name of the port for metrics, which no Service leads to.
pub(super) const ADMIN: &str = "admin";

/// Longer than endpoints take to learn that a pod is going. With [`DRAIN_TIMEOUT`] it is less than the 30 seconds that a
/// pod has to end.
const DRAIN_DELAY: &str = "5s";
const DRAIN_TIMEOUT: &str = "20s";

/// The arguments that make the binary serve.
pub(super) const ARGUMENTS: [&str; 1] = ["serve"];

/// Settings that are no matter of taste. All others are read from the catalog, so that their change rolls no pod.
pub(super) fn environment(server: &ValidServer) -> Vec<EnvVar> {
    let spec = server.spec();
    let mut environment = vec![
        literal("MCP_GATEWAY_CATALOG", &server.identity().name),
        field("MCP_GATEWAY_NAMESPACE", "metadata.namespace"),
        literal("MCP_GATEWAY_CATALOG_DIR", CATALOG_DIRECTORY),
        literal("MCP_GATEWAY_PORT", &spec.port.to_string()),
        literal("MCP_GATEWAY_ADMIN_PORT", &admin_port(spec).to_string()),
        literal("MCP_GATEWAY_DRAIN_DELAY", DRAIN_DELAY),
        literal("MCP_GATEWAY_DRAIN_TIMEOUT", DRAIN_TIMEOUT),
    ];
    environment.extend(spec.redis.iter().flat_map(|spec| redis(server, spec)));
    environment
}

fn redis(server: &ValidServer, redis: &Redis) -> Vec<EnvVar> {
    let mut environment = vec![
        literal("MCP_GATEWAY_SERVER_UID", &server.identity().uid),
        literal("MCP_GATEWAY_REDIS", &format!("{}:{}", redis.service_name, redis.port)),
        literal("MCP_GATEWAY_REDIS_DATABASE", &redis.database.to_string()),
    ];
    if redis.tls {
        environment.push(literal("MCP_GATEWAY_REDIS_TLS", "true"));
    }
    if redis.password_secret_ref.is_some() {
        let file = format!("{REDIS_DIRECTORY}/{PASSWORD}");
        environment.push(literal("MCP_GATEWAY_REDIS_PASSWORD_FILE", &file));
    }
    environment
}

/// 9090, unless the server itself is there.
pub(crate) const fn admin_port(spec: &MCPServerSpec) -> u16 {
    if spec.port == 9090 { 9091 } else { 9090 }
}

pub(super) fn ports(spec: &MCPServerSpec) -> Vec<ContainerPort> {
    vec![ContainerPort {
        name: Some(ADMIN.to_owned()),
        container_port: admin_port(spec).into(),
        protocol: Some("TCP".to_owned()),
        ..ContainerPort::default()
    }]
}

/// Every ConfigMap that the catalog may ever need, so that the pods stay as they are whatever is served.
pub(super) fn catalog_volume(server: &ValidServer) -> Volume {
    let name = &server.identity().name;
    let projection = |config_map: String, key: String| VolumeProjection {
        config_map: Some(ConfigMapProjection {
            name: config_map,
            items: Some(vec![KeyToPath { path: key.clone(), key, mode: None }]),
            optional: Some(true),
        }),
        ..VolumeProjection::default()
    };
    let index = projection(snapshot::name(name), INDEX_KEY.to_owned());
    let shards = (0..MAX_SHARDS).map(|shard| projection(snapshot::shard_name(name, shard), shard_key(shard)));
    Volume {
        name: volumes::CATALOG.to_owned(),
        projected: Some(ProjectedVolumeSource {
            sources: Some(std::iter::once(index).chain(shards).collect()),
            default_mode: None,
        }),
        ..Volume::default()
    }
}

/// The password of Redis, where it asks for one: as a file, which follows the Secret while the pods run. A Secret that is
/// missing keeps no pod from starting, as a Redis that is away does not.
pub(super) fn redis_volume(server: &ValidServer) -> Option<Volume> {
    let password = server.spec().redis.as_ref()?.password_secret_ref.as_ref()?;
    let item = KeyToPath { key: password.key.clone(), path: PASSWORD.to_owned(), mode: None };
    Some(Volume {
        name: volumes::REDIS.to_owned(),
        secret: Some(SecretVolumeSource {
            secret_name: Some(password.name.clone()),
            items: Some(vec![item]),
            default_mode: Some(READABLE),
            optional: Some(true),
        }),
        ..Volume::default()
    })
}

/// Who the pods are: whom the user names, or the one that may read the catalog.
pub(super) fn service_account(server: &ValidServer) -> String {
    let given = server.spec().service_account.clone();
    given.unwrap_or_else(|| access::name(&server.identity().name))
}

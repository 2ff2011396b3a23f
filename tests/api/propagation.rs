//! From the write of a catalog's ConfigMaps to what three gateways serve, without an operator between.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use futures::future::join_all;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::Api;
use kube::api::{ObjectMeta, Patch, PatchParams};
use mcp_crds::kind::Kind;
use mcp_crds::snapshot::{self, INDEX_KEY, Snapshot, shard_key, shard_name};
use rand::rngs::StdRng;
use rand::seq::IteratorRandom as _;
use rand::{Rng as _, SeedableRng as _};
use serde_json::{Value, json};

use crate::support::cluster::Cluster;
use crate::support::endpoints::get;
use crate::support::gateway::{Endpoint, Tools};
use crate::support::operator::free_port;
use crate::support::process::Guarded;
use crate::support::{binary, wait};

const CHANGES: usize = 1_000;

/// A gateway for the catalog `main` of a namespace, as whoever the cluster's kubeconfig names.
struct Gateway {
    process: Guarded,
    address: SocketAddr,
    endpoint: Endpoint,
}

impl Gateway {
    async fn start(binary: &Path, cluster: &Cluster, namespace: &str) -> Self {
        let address = free_port();
        let mut command = Command::new(binary);
        command.env("KUBECONFIG", cluster.kubeconfig()).args([
            "serve",
            "--catalog",
            "main",
            "--namespace",
            namespace,
        ]);
        command.args(["--address", "127.0.0.1", "--admin-port", "0", "--port", &address.port().to_string()]);
        let gateway = Self { process: Guarded::start(&command), address, endpoint: Endpoint::new(address) };
        wait::until("the gateway is ready", async || {
            if let Some(code) = gateway.process.exit_code() {
                panic!("the gateway ended with {code}\n{}", gateway.process.output.end("", 40));
            }
            match get(gateway.address, "/ready").await.map_err(|error| error.to_string())? {
                (200, _) => Ok(()),
                (code, missing) => Err(format!("{code}: {missing}")),
            }
        })
        .await;
        gateway
    }

    /// How long it takes until this is served.
    async fn until(&self, tools: &Tools) -> Duration {
        let begun = Instant::now();
        loop {
            if self.endpoint.tools().await.is_ok_and(|served| served == *tools) {
                return begun.elapsed();
            }
            assert!(begun.elapsed() < wait::BOUND, "{tools:?} is not served");
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
}

/// Writes the ConfigMaps as the operator does: what is others, the index last.
async fn write(api: &Api<ConfigMap>, tools: &Tools, written: &mut BTreeMap<String, String>) {
    let mut server = json!({"metadata": {"name": "main", "namespace": "ns"}, "spec": {}});
    mcp_crds::default::apply(Kind::Server, &mut server, None);
    let object = |(name, description): (&String, &String)| {
        let spec = json!({"name": name, "description": description, "service": {"name": "s", "port": 80}});
        let mut tool = json!({"metadata": {"name": name}, "spec": spec});
        mcp_crds::default::apply(Kind::Tool, &mut tool, None);
        tool
    };
    let objects: Vec<Value> = tools.iter().map(object).collect();
    let offered = objects.iter().map(|tool| (Kind::Tool, tool));
    let encoded =
        Snapshot::compile(&server, "cluster.local", offered).expect("a snapshot").encode().expect("room");
    let shards =
        encoded.shards.iter().map(|(shard, text)| (shard_name("main", *shard), shard_key(*shard), text));
    let index = (snapshot::name("main"), INDEX_KEY.to_owned(), &encoded.index);
    for (name, key, text) in shards.chain([index]) {
        if written.get(&name) == Some(text) {
            continue;
        }
        let config_map = ConfigMap {
            metadata: ObjectMeta { name: Some(name.clone()), ..ObjectMeta::default() },
            data: Some([(key, text.clone())].into()),
            ..ConfigMap::default()
        };
        let apply = PatchParams::apply("tests").force();
        api.patch(&name, &apply, &Patch::Apply(&config_map)).await.expect("write a ConfigMap");
        written.insert(name, text.clone());
    }
}

#[tokio::test]
async fn a_change_is_served_by_every_replica_in_a_moment() {
    let cluster = Cluster::own().await;
    let ns = cluster.namespace("propagation").await;
    let api: Api<ConfigMap> = Api::namespaced(cluster.client().await, &ns.name);
    let (mut tools, mut written) = (Tools::new(), BTreeMap::new());
    write(&api, &tools, &mut written).await;
    let binary = binary::of("mcp-gateway");
    let mut gateways = Vec::new();
    for _ in 0..3 {
        gateways.push(Gateway::start(&binary, &cluster, &ns.name).await);
    }
    let seed = rand::random();
    let mut random = StdRng::seed_from_u64(seed);
    let mut took = Vec::with_capacity(CHANGES);
    for change in 0..CHANGES {
        let known = tools.keys().choose(&mut random).cloned();
        match known {
            Some(name) if random.random_bool(0.2) => {
                tools.remove(&name);
            }
            known => {
                let name =
                    known.filter(|_| random.random_bool(0.6)).unwrap_or_else(|| format!("tool-{change}"));
                tools.insert(name, format!("as of change {change}"));
            }
        }
        write(&api, &tools, &mut written).await;
        let each = join_all(gateways.iter().map(|gateway| gateway.until(&tools))).await;
        took.extend(each.into_iter().max());
    }
    took.sort();
    let (median, p99) = (took[CHANGES / 2], took[CHANGES * 99 / 100]);
    println!(
        "{CHANGES} changes, 3 gateways, seed {seed}: from the write to all, median {median:?}, p99 {p99:?}"
    );
    cluster.done().await;
}

//! The official conformance suite against three replicas in pods, through their Service, with Redis.

use std::collections::BTreeSet;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::Value;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use crate::gateway::until_ready;
use crate::installed::Installed;
use crate::outside::create_service;
use crate::support::binary;
use crate::support::cluster::path;
use crate::support::manifest::{Manifest, mk_gateway};
use crate::support::namespace::Namespace;
use crate::support::object::{self, condition};
use crate::support::operator::free_port;
use crate::support::process::Guarded;

/// How often a folder is compared with what was applied of it.
const LOOK: Duration = Duration::from_millis(50);

fn manifests(folder: &Path) -> BTreeSet<PathBuf> {
    let files = fs::read_dir(folder).expect("a folder").flatten().map(|entry| entry.path());
    files.filter(|file| file.extension().is_some_and(|extension| extension == "yaml")).collect()
}

/// Applies files that are added to a folder, and deletes what was in those that are taken away, for ever: the suite's fixture
/// changes what is offered by changing files.
async fn mirror(ns: &Namespace, folder: &Path) -> ! {
    let (known, mut applied) = (manifests(folder), Vec::<(PathBuf, Value)>::new());
    loop {
        let found = manifests(folder);
        for file in &found {
            if !known.contains(file) && !applied.iter().any(|(own, _)| own == file) {
                let text = fs::read_to_string(file).expect("a manifest");
                let object = serde_saphyr::from_str(&text).expect("YAML");
                ns.apply(&object).await;
                applied.push((file.clone(), object));
            }
        }
        let gone = applied.iter().position(|(file, _)| !found.contains(file));
        if let Some((_, object)) = gone.map(|gone| applied.remove(gone)) {
            ns.delete(object["kind"].as_str().expect("a kind"), object::name(&object)).await.accepted();
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// Passes connections on, for ever: what the suite asks about names in `Host`, it asks of servers on its own machine alone.
async fn relay(listener: TcpListener, to: SocketAddr) -> ! {
    let mut connections = JoinSet::new();
    loop {
        let (mut client, _) = listener.accept().await.expect("a connection");
        connections.spawn(async move {
            let mut server = TcpStream::connect(to).await?;
            tokio::io::copy_bidirectional(&mut client, &mut server).await
        });
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn three_replicas_with_redis_do_what_the_protocol_asks() {
    let installed = Installed::shared().await;
    let ns = installed.namespace("conformance").await;
    ns.kubectl(&["apply", "-f", &path("config/samples/redis/redis.yaml").display().to_string()], "")
        .await
        .ok();

    let folder = tempfile::tempdir().expect("a folder");
    for file in manifests(&path("tests/conformance/objects")) {
        fs::copy(&file, folder.path().join(file.file_name().expect("a name"))).expect("copy");
    }
    let port = free_port().port();
    let mut service = Command::new(binary::of("examples/conformance-service"));
    service.arg(format!("0.0.0.0:{port}")).arg(folder.path());
    let _service = Guarded::start(&service);
    create_service(&ns, "conformance-service", port).await;

    let objects = manifests(&path("tests/conformance/objects"));
    // As in the file of the server, beside those of what it offers, and with three replicas.
    for file in objects.iter().filter(|file| !file.ends_with("server.yaml")) {
        ns.kubectl(&["apply", "-f", &file.display().to_string()], "").await.ok();
    }
    let server = mk_gateway("conformance").with("/spec/replicas", 3);
    ns.create(&server.with("/spec/redis/serviceName", "mcp-redis")).await;
    until_ready(&ns, "conformance", 3).await;
    ns.until("MCPServer", "conformance", "Redis answers", |found| {
        condition(found, "RedisReady") == Some(("True", "Connected"))
    })
    .await;

    // The suite gives a change half a second to a second and a half until it is told.
    let _alone = installed.alone().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}/mcp", listener.local_addr().expect("an address"));
    let service = ns.address("conformance").await;
    let mut suite = tokio::process::Command::new(path("hack/conformance.sh"));
    suite.args(["--url", &url]).stdin(Stdio::null()).kill_on_drop(true);
    let ran = tokio::select! {
        ran = suite.output() => ran.expect("run the suite"),
        never = mirror(&ns, folder.path()) => never,
        never = relay(listener, service) => never,
    };
    let said = String::from_utf8_lossy(&ran.stdout);
    assert!(ran.status.success(), "{said}{}", String::from_utf8_lossy(&ran.stderr));
    // Each set's own line begins with its number; the others name a scenario.
    let sums = said.lines().filter(|line| line.starts_with(|first: char| first.is_ascii_digit()));
    let sums: Vec<&str> = sums.collect();
    assert!(sums.len() == 2 && sums.iter().all(|sum| sum.ends_with(" passed, 0 failed")), "{said}");
}

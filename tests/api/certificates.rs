//! The webhook's certificate: issued once, trusted, repaired and replaced, and never the reason for a refusal.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::Method;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::support::cluster::Cluster;
use crate::support::load::Load;
use crate::support::manifest::{Manifest, mk_server, mk_tool};
use crate::support::object::Verb;
use crate::support::operator::{Installation, Operator, SERVICE};
use crate::support::wait;

const SECRET: &str = "mcp-operator-webhook-cert";

fn name(installed: &Installation) -> String {
    format!("{SERVICE}.{}.svc", installed.namespace.name)
}

fn decode(object: &Value, key: &str) -> Vec<u8> {
    STANDARD.decode(object["data"][key].as_str().unwrap_or_default()).expect("base64")
}

fn certificates(pem: &[u8]) -> Vec<Vec<u8>> {
    CertificateDer::pem_slice_iter(pem).flatten().map(|certificate| certificate.to_vec()).collect()
}

fn first_certificate(pem: &[u8]) -> Option<Vec<u8>> {
    certificates(pem).into_iter().next()
}

/// The certificate that a replica shows to a client that trusts the Secret's CA.
async fn served(installed: &Installation, webhook: SocketAddr) -> Result<Vec<u8>, String> {
    let secret = installed.namespace.get("Secret", SECRET).await;
    let mut roots = RootCertStore::empty();
    for ca in CertificateDer::pem_slice_iter(&decode(&secret, "ca.crt")) {
        roots.add(ca.map_err(|error| error.to_string())?).map_err(|error| error.to_string())?;
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let stream = TcpStream::connect(webhook).await.map_err(|error| error.to_string())?;
    let host = ServerName::try_from(name(installed)).expect("a name");
    let stream = TlsConnector::from(Arc::new(config)).connect(host, stream).await;
    let stream = stream.map_err(|error| error.to_string())?;
    let shown = stream.get_ref().1.peer_certificates().and_then(<[_]>::first);
    shown.map(|certificate| certificate.to_vec()).ok_or_else(|| "none".to_owned())
}

/// Waits until a replica serves what is in the Secret, and gives it.
async fn until_served(installed: &Installation, operator: &Operator) -> Vec<u8> {
    wait::until("the replica serves the Secret's certificate", async || {
        let secret = installed.namespace.get("Secret", SECRET).await;
        let stored = first_certificate(&decode(&secret, "tls.crt")).ok_or("the Secret has none")?;
        let served = served(installed, operator.webhook).await?;
        if served == stored { Ok(served) } else { Err("another one".to_owned()) }
    })
    .await
}

/// The `caBundle` of both webhook configurations.
async fn bundles(installed: &Installation) -> [Value; 2] {
    let mut bundles = [Value::Null, Value::Null];
    for (bundle, kind) in bundles.iter_mut().zip(CONFIGURATIONS) {
        let path = format!("{kind}/{}", installed.configuration());
        let found =
            installed.namespace.request(Method::GET, &path, "application/json", None).await.accepted();
        *bundle = found["webhooks"][0]["clientConfig"]["caBundle"].clone();
    }
    bundles
}

const CONFIGURATIONS: [&str; 2] = [
    "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations",
    "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations",
];

/// Sets or takes away the `caBundle` of both.
async fn set_bundles(installed: &Installation, bundle: Option<&str>) {
    for kind in CONFIGURATIONS {
        let path = format!("{kind}/{}", installed.configuration());
        let at = "/webhooks/0/clientConfig/caBundle";
        let patch = match bundle {
            Some(bundle) => json!([{ "op": "add", "path": at, "value": bundle }]),
            None => json!([{ "op": "remove", "path": at }]),
        };
        let patched =
            installed.namespace.request(Method::PATCH, &path, "application/json-patch+json", Some(&patch));
        patched.await.accepted();
    }
}

#[tokio::test]
async fn two_replicas_that_start_at_once_use_one_certificate() {
    let cluster = Cluster::own().await;
    for _ in 0..3 {
        let installed = Installation::inside(&cluster).await;
        let replicas = [installed.start(), installed.start()];
        for replica in &replicas {
            replica.until_ready().await;
        }
        let certificates =
            [until_served(&installed, &replicas[0]).await, until_served(&installed, &replicas[1]).await];
        assert_eq!(certificates[0], certificates[1]);
        let [validating, mutating] = bundles(&installed).await;
        assert!(validating.is_string() && validating == mutating);
        for replica in replicas {
            replica.terminate().await;
        }
        remove(&installed).await;
    }
    cluster.done().await;
}

/// Takes the configurations of an operator away that ended, and would refuse everything.
async fn remove(installed: &Installation) {
    for kind in CONFIGURATIONS {
        let path = format!("{kind}/{}", installed.configuration());
        installed.namespace.request(Method::DELETE, &path, "application/json", None).await.accepted();
    }
}

#[tokio::test]
async fn a_ca_bundle_that_somebody_wipes_is_filled_again() {
    let cluster = Cluster::own().await;
    let installed = Installation::inside(&cluster).await;
    let operator = installed.start_ready().await;
    let before = bundles(&installed).await;
    for wiped in [None, Some("")] {
        set_bundles(&installed, wiped).await;
        wait::until("both are filled again", async || {
            let now = bundles(&installed).await;
            if now == before { Ok(()) } else { Err(format!("{now:?}")) }
        })
        .await;
    }
    let ns = cluster.namespace("bundle").await;
    ns.create_in_the_end(&mk_server("weather")).await;
    operator.terminate().await;
    cluster.done().await;
}

#[tokio::test]
async fn a_secret_that_is_garbage_or_gone_is_made_again() {
    let cluster = Cluster::own().await;
    let installed = Installation::inside(&cluster).await;
    let operator = installed.start_ready().await;
    let ns = cluster.namespace("secret").await;
    let mut seen = vec![until_served(&installed, &operator).await];

    let garbage = STANDARD.encode("garbage");
    let everything = json!({ "data": { "tls.crt": garbage, "tls.key": garbage, "ca.crt": garbage } });
    installed.namespace.patch("Secret", SECRET, &everything).await.accepted();
    seen.push(until_another(&installed, &operator, &seen).await);
    ns.create_in_the_end(&mk_tool("garbage")).await;
    installed.namespace.delete("Secret", SECRET).await.accepted();
    until_another(&installed, &operator, &seen).await;
    ns.create_in_the_end(&mk_tool("gone")).await;
    operator.terminate().await;
    cluster.done().await;
}

async fn until_another(installed: &Installation, operator: &Operator, before: &[Vec<u8>]) -> Vec<u8> {
    wait::until("the replica serves another certificate, the Secret's", async || {
        let secret = installed.namespace.find("Secret", SECRET).await.ok_or("there is no Secret")?;
        let stored = first_certificate(&decode(&secret, "tls.crt")).ok_or("the Secret has none")?;
        let served = served(installed, operator.webhook).await?;
        if served == stored && !before.contains(&served) { Ok(served) } else { Err("not yet".to_owned()) }
    })
    .await
}

#[tokio::test]
async fn certificates_that_rotate_every_few_seconds_fail_no_admission() {
    let cluster = Cluster::own().await;
    let lifetimes = [("--leaf-lifetime", "8s"), ("--ca-lifetime", "16s")];
    let installed = Installation::inside(&cluster).await.with(lifetimes).with_long_leases();
    let operator = installed.start_ready().await;
    let ns = cluster.namespace("rotation").await;
    let load = Load::start(&ns, 50).await;
    let (mut leaves, mut cas) = (BTreeSet::new(), BTreeSet::new());
    wait::until("four leaves and three CAs were used", async || {
        let secret = installed.namespace.get("Secret", SECRET).await;
        cas.extend(certificates(&decode(&secret, "ca.crt")));
        // Where the Secret is ahead of the replica by a moment, it is seen the next time.
        leaves.extend(served(&installed, operator.webhook).await.ok());
        match (leaves.len(), cas.len()) {
            (4.., 3..) => Ok(()),
            counts => Err(format!("{counts:?}")),
        }
    })
    .await;
    load.stop().await.assert_none_failed(300);
    operator.terminate().await;
    cluster.done().await;
}

/// What cert-manager would put into the Secret, and into the configurations.
fn issue(installed: &Installation) -> (Value, String) {
    let ca_key = KeyPair::generate().expect("a key");
    let mut ca = CertificateParams::default();
    ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let ca_certificate = ca.self_signed(&ca_key).expect("a CA");
    let key = KeyPair::generate().expect("a key");
    let leaf = CertificateParams::new([name(installed)]).expect("a name");
    let leaf = leaf.signed_by(&key, &Issuer::new(ca, ca_key)).expect("a leaf");
    let ca = STANDARD.encode(ca_certificate.pem());
    let secret = json!({
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": { "name": SECRET },
        "type": "kubernetes.io/tls",
        "data": {
            "tls.crt": STANDARD.encode(leaf.pem()),
            "tls.key": STANDARD.encode(key.serialize_pem()),
            "ca.crt": ca,
        },
    });
    (secret, ca)
}

#[tokio::test]
async fn in_cert_manager_mode_the_secret_is_followed_and_nothing_is_written() {
    let cluster = Cluster::own().await;
    let installed = Installation::inside(&cluster).await.with([("--cert-mode", "cert-manager")]);
    let operator = installed.start();
    wait::until("it says that it waits for the certificate", async || {
        match operator.get("/readyz").await? {
            (503, missing) if missing.contains("certificate") => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })
    .await;

    let (secret, ca) = issue(&installed);
    installed.namespace.create(&secret).await;
    set_bundles(&installed, Some(&ca)).await;
    operator.until_ready().await;
    let first = until_served(&installed, &operator).await;
    let ns = cluster.namespace("manager").await;
    ns.create_in_the_end(&mk_tool("search")).await;
    let causes = ns.send(Verb::Create, &mk_server("weather").with("/spec/schedule", "daily")).await.refused();
    assert_eq!(causes.len(), 1);

    // A renewal, under another CA.
    let (secret, ca) = issue(&installed);
    installed.namespace.apply(&secret).await;
    set_bundles(&installed, Some(&ca)).await;
    until_another(&installed, &operator, &[first]).await;
    let stored = installed.namespace.get("Secret", SECRET).await;
    assert_eq!(stored["data"], secret["data"], "nobody else has written it");
    assert_eq!(bundles(&installed).await, [json!(ca), json!(ca)]);
    operator.terminate().await;
    cluster.done().await;
}

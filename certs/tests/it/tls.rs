//! Handshakes against a certificate that changes under them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use jiff::Timestamp;
use mcp_certs::rotation::Change;
use mcp_certs::{CaBundle, CertResolver, Contents, LeafError, Policy, server_config, service_names};
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::CertificateDer;
use rustls::{ClientConfig, RootCertStore};
use tokio_rustls::{TlsAcceptor, TlsConnector};

fn policy() -> Policy {
    Policy::new(service_names("webhook", "operators").unwrap())
}

fn mk_contents(at: Timestamp) -> Contents {
    Change::Bootstrap.apply(&Contents::default(), &policy(), at).unwrap()
}

fn next_leaf(contents: &Contents) -> Contents {
    Change::SwitchLeaf.apply(contents, &policy(), Timestamp::now()).unwrap()
}

fn load(resolver: &CertResolver, contents: &Contents) -> Result<(), LeafError> {
    resolver.load(&contents.tls_crt, &contents.tls_key, Timestamp::now()).map(drop)
}

fn mk_client(trusted: &[u8], alpn: &[u8]) -> TlsConnector {
    let mut roots = RootCertStore::empty();
    CaBundle::from_pem(trusted).iter().for_each(|ca| roots.add(ca.der().clone()).unwrap());
    let mut config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![alpn.to_vec()];
    TlsConnector::from(Arc::new(config))
}

/// The leaf and the protocol that a client got.
async fn handshake(
    resolver: &Arc<CertResolver>,
    client: &TlsConnector,
) -> std::io::Result<(CertificateDer<'static>, Option<Vec<u8>>)> {
    let (ours, theirs) = tokio::io::duplex(16 * 1024);
    let acceptor = TlsAcceptor::from(server_config(resolver.clone()).unwrap());
    let name = policy().names.first().unwrap().clone();
    let (client, server) = tokio::join!(client.connect(name, ours), acceptor.accept(theirs));
    let (client, _) = (client?, server?);
    let (_, session) = client.get_ref();
    let leaf = session.peer_certificates().unwrap().first().unwrap().clone();
    Ok((leaf, session.alpn_protocol().map(<[u8]>::to_vec)))
}

#[tokio::test]
async fn handshakes_fail_until_something_is_loaded() {
    let resolver = CertResolver::new();
    let contents = mk_contents(Timestamp::now());
    let client = mk_client(&contents.ca_crt, b"h2");
    assert!(handshake(&resolver, &client).await.is_err());
    load(&resolver, &contents).unwrap();
    assert!(handshake(&resolver, &client).await.is_ok());
}

#[tokio::test]
async fn both_versions_of_http_are_spoken() {
    let resolver = CertResolver::new();
    let contents = mk_contents(Timestamp::now());
    load(&resolver, &contents).unwrap();
    for alpn in [&b"h2"[..], b"http/1.1"] {
        let (_, spoken) = handshake(&resolver, &mk_client(&contents.ca_crt, alpn)).await.unwrap();
        assert_eq!(spoken.as_deref(), Some(alpn));
    }
}

#[tokio::test]
async fn bad_material_is_refused_and_the_last_good_stays() {
    let resolver = CertResolver::new();
    let good = mk_contents(Timestamp::now());
    load(&resolver, &good).unwrap();
    let client = mk_client(&good.ca_crt, b"h2");
    let (served, _) = handshake(&resolver, &client).await.unwrap();

    let other = next_leaf(&good);
    let expired = mk_contents("2001-01-01T00:00:00Z".parse().unwrap());
    let mismatch = Contents { tls_key: other.tls_key.clone(), ..good.clone() };
    let garbage = b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n".to_vec();
    assert!(matches!(load(&resolver, &mismatch), Err(LeafError::KeyMismatch)));
    assert!(matches!(load(&resolver, &expired), Err(LeafError::Expired)));
    assert!(matches!(load(&resolver, &Contents::default()), Err(LeafError::NoCertificate)));
    let not_x509 = Contents { tls_crt: garbage, ..good.clone() };
    assert!(matches!(load(&resolver, &not_x509), Err(LeafError::NotX509)));
    let no_key = Contents { tls_key: b"x".to_vec(), ..good.clone() };
    assert!(matches!(load(&resolver, &no_key), Err(LeafError::KeyPem)));

    assert_eq!(handshake(&resolver, &client).await.unwrap().0, served);
    load(&resolver, &other).unwrap();
    assert_ne!(handshake(&resolver, &client).await.unwrap().0, served);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_handshake_fails_while_certificates_are_swapped() {
    let resolver = CertResolver::new();
    let first = mk_contents(Timestamp::now());
    load(&resolver, &first).unwrap();
    let done = Arc::new(AtomicBool::new(false));
    let swapper = tokio::task::spawn_blocking({
        let (resolver, first, done) = (resolver.clone(), first.clone(), done.clone());
        move || {
            let leaves: Vec<_> = (0..8).map(|_| next_leaf(&first)).collect();
            let mut swaps = 0;
            while !done.load(Ordering::Relaxed) {
                leaves.iter().for_each(|leaf| load(&resolver, leaf).unwrap());
                swaps += leaves.len();
            }
            swaps
        }
    });
    let client = mk_client(&first.ca_crt, b"h2");
    let mut seen = Vec::new();
    for _ in 0..150 {
        let (leaf, _) = handshake(&resolver, &client).await.unwrap();
        if !seen.contains(&leaf) {
            seen.push(leaf);
        }
    }
    done.store(true, Ordering::Relaxed);
    assert!(swapper.await.unwrap() > 8);
    assert!(seen.len() > 1, "no swap happened between handshakes");
}

#[test]
fn debug_shows_no_key() {
    let resolver = CertResolver::new();
    load(&resolver, &mk_contents(Timestamp::now())).unwrap();
    assert_eq!(format!("{resolver:?}"), "CertResolver { loaded: true, .. }");
}

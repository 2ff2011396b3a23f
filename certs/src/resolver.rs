//! Serves the current certificate to every handshake, and takes the next one without touching a listener.

use std::fmt;
use std::sync::Arc;

use arc_swap::ArcSwapOption;
use jiff::Timestamp;
use rustls::ServerConfig;
use rustls::server::{ClientHello, NoServerSessionStorage, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use crate::certificate::{Certificate, provider};
use crate::leaf::{Leaf, LeafError};

/// Holds the certificate that is served. Reading it takes no lock.
///
/// Once something was loaded, something is served: what is bad never takes the place of what is good.
#[derive(Default)]
pub struct CertResolver {
    current: ArcSwapOption<CertifiedKey>,
}

impl CertResolver {
    /// A resolver that refuses handshakes until something is loaded.
    #[must_use]
    pub fn new() -> Arc<Self> {
        Arc::new(Self::default())
    }

    /// Serves the given leaf from the next handshake on, and returns its certificate.
    ///
    /// A leaf that is not valid yet is taken: the replica that writes the Secret decides by its clock, and the
    /// published CAs follow the Secret.
    ///
    /// # Errors
    /// See [`LeafError`]; what was served before is still served then.
    pub fn load(&self, tls_crt: &[u8], tls_key: &[u8], now: Timestamp) -> Result<Certificate, LeafError> {
        let leaf = Leaf::from_pem(tls_crt, tls_key)?;
        if leaf.certificate().not_after() <= now {
            return Err(LeafError::Expired);
        }
        self.current.store(Some(leaf.certified()));
        Ok(leaf.certificate().clone())
    }
}

impl ResolvesServerCert for CertResolver {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.current.load_full()
    }
}

impl fmt::Debug for CertResolver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CertResolver").field("loaded", &self.current.load().is_some()).finish_non_exhaustive()
    }
}

/// What a listener needs: TLS 1.2 and 1.3, HTTP/2 and HTTP/1.1, no client certificates.
///
/// Sessions are not resumed, so that every connection is made with the certificate of its time.
///
/// # Errors
/// Fails only where the cryptography provider lacks those versions.
pub fn server_config(resolver: Arc<CertResolver>) -> Result<Arc<ServerConfig>, rustls::Error> {
    let mut config = ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])?
        .with_no_client_auth()
        .with_cert_resolver(resolver);
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    Ok(Arc::new(config))
}

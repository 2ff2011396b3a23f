//! Whom a client trusts.

use hyper_rustls::ConfigBuilderExt as _;
use rustls::{ClientConfig, RootCertStore};

/// Trusts the certificate authorities of this machine. Where there are none, as in an image with nothing in it, nobody is
/// trusted, and plain HTTP still works. It needs the process's own provider of cryptography.
#[must_use]
pub fn client_config() -> ClientConfig {
    ClientConfig::builder()
        .with_native_roots()
        .unwrap_or_else(|_| ClientConfig::builder().with_root_certificates(RootCertStore::empty()))
        .with_no_client_auth()
}

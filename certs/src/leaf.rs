//! A leaf as it is served: a chain and the private key that belongs to it.

use std::fmt;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;

use crate::certificate::{Certificate, provider};

/// A chain with its private key, ready to be served.
///
/// The key belongs to the first certificate of the chain; a value that breaks this cannot be made.
#[derive(Clone)]
pub struct Leaf {
    certificate: Certificate,
    certified: Arc<CertifiedKey>,
}

impl Leaf {
    /// Reads `tls.crt` and `tls.key` as a Secret holds them.
    ///
    /// # Errors
    /// See [`LeafError`]. Validity is not looked at: what has expired is a well-formed leaf.
    pub fn from_pem(tls_crt: &[u8], tls_key: &[u8]) -> Result<Self, LeafError> {
        let chain = CertificateDer::pem_slice_iter(tls_crt)
            .collect::<Result<Vec<_>, _>>()
            .map_err(LeafError::CertificatePem)?;
        let first = chain.first().cloned().ok_or(LeafError::NoCertificate)?;
        let certificate = Certificate::from_der(first).ok_or(LeafError::NotX509)?;
        // The error is dropped on purpose: what a parser says about a private key may quote it.
        let key = PrivateKeyDer::from_pem_slice(tls_key).map_err(|_| LeafError::KeyPem)?;
        let key = provider().key_provider.load_private_key(key).map_err(|_| LeafError::Key)?;
        let certified = CertifiedKey::new(chain, key);
        certified.keys_match().map_err(|_| LeafError::KeyMismatch)?;
        Ok(Self { certificate, certified: Arc::new(certified) })
    }

    /// The first certificate of the chain.
    #[must_use]
    pub fn certificate(&self) -> &Certificate {
        &self.certificate
    }

    /// The chain, the leaf first.
    #[must_use]
    pub fn chain(&self) -> &[CertificateDer<'static>] {
        &self.certified.cert
    }

    /// What rustls serves.
    pub(crate) fn certified(&self) -> Arc<CertifiedKey> {
        Arc::clone(&self.certified)
    }
}

impl fmt::Debug for Leaf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Leaf").field("certificate", &self.certificate).finish_non_exhaustive()
    }
}

/// Why a chain and a key cannot be served.
///
/// No variant carries anything of the private key.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LeafError {
    /// `tls.crt` is no PEM.
    #[error("tls.crt is not valid PEM")]
    CertificatePem(#[source] rustls::pki_types::pem::Error),
    /// `tls.crt` is empty, or holds other things.
    #[error("tls.crt holds no certificate")]
    NoCertificate,
    /// The first certificate does not parse.
    #[error("tls.crt does not start with an x.509 certificate")]
    NotX509,
    /// `tls.key` is empty or no PEM.
    #[error("tls.key holds no private key in pem form")]
    KeyPem,
    /// The key is of a kind that cannot be used.
    #[error("tls.key is not a usable private key")]
    Key,
    /// The key is another certificate's.
    #[error("tls.key does not belong to the certificate in tls.crt")]
    KeyMismatch,
    /// Refused by the resolver: it would replace a certificate that may still verify.
    #[error("certificate in tls.crt has expired")]
    Expired,
}

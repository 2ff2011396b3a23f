//! The facts of one certificate that decisions are made on, and who vouches for it.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use rustls::RootCertStore;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier as _;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};

/// A certificate that parses, with what a decision needs to know about it.
///
/// Two are equal when their encodings are.
#[derive(Clone)]
pub struct Certificate {
    der: CertificateDer<'static>,
    not_before: Timestamp,
    not_after: Timestamp,
    ca: bool,
    public_key: Vec<u8>,
}

impl Certificate {
    /// Reads the encoded certificate; `None` where it is not X.509, or its times are beyond the year 9999.
    #[must_use]
    pub fn from_der(der: CertificateDer<'static>) -> Option<Self> {
        let (rest, parsed) = x509_parser::parse_x509_certificate(&der).ok()?;
        if !rest.is_empty() {
            return None;
        }
        let validity = parsed.validity();
        let not_before = Timestamp::from_second(validity.not_before.timestamp()).ok()?;
        let not_after = Timestamp::from_second(validity.not_after.timestamp()).ok()?;
        let (ca, public_key) = (parsed.is_ca(), parsed.public_key().raw.to_vec());
        Some(Self { der, not_before, not_after, ca, public_key })
    }

    /// The encoded certificate.
    #[must_use]
    pub fn der(&self) -> &CertificateDer<'static> {
        &self.der
    }

    /// The first moment of validity.
    #[must_use]
    pub fn not_before(&self) -> Timestamp {
        self.not_before
    }

    /// The end of validity.
    #[must_use]
    pub fn not_after(&self) -> Timestamp {
        self.not_after
    }

    /// Whether it may sign others.
    #[must_use]
    pub fn is_ca(&self) -> bool {
        self.ca
    }

    /// The SubjectPublicKeyInfo, to be compared with a private key's.
    pub(crate) fn public_key(&self) -> &[u8] {
        &self.public_key
    }

    /// Whether `now` lies within the validity.
    #[must_use]
    pub fn is_valid_at(&self, now: Timestamp) -> bool {
        self.not_before <= now && now < self.not_after
    }

    /// When it is to be replaced: after two thirds of its validity.
    #[must_use]
    pub fn due_at(&self) -> Timestamp {
        let validity = self.not_after.as_second() - self.not_before.as_second();
        let used = SignedDuration::from_secs(validity / 3 * 2 + validity % 3 * 2 / 3);
        // The sum lies between two valid times, so the fallback is never taken.
        self.not_before.checked_add(used).unwrap_or(self.not_after)
    }

    /// Whether `now` lies within the validity and a replacement is not due.
    #[must_use]
    pub fn is_fresh_at(&self, now: Timestamp) -> bool {
        self.not_before <= now && now < self.due_at()
    }

    /// Whether a client that trusts this CA alone accepts the chain for every one of the names.
    ///
    /// The judge is the verifier that clients made of rustls use. It takes a trusted CA as given, whereas API
    /// servers also refuse one that has expired, so that is checked as well.
    #[must_use]
    pub fn vouches_for(
        &self,
        chain: &[CertificateDer<'static>],
        names: &[ServerName<'static>],
        now: Timestamp,
    ) -> bool {
        let Some((leaf, intermediates)) = chain.split_first() else { return false };
        let Ok(seconds) = u64::try_from(now.as_second()) else { return false };
        if !self.ca || !self.is_valid_at(now) || names.is_empty() {
            return false;
        }
        let mut roots = RootCertStore::empty();
        if roots.add(self.der.clone()).is_err() {
            return false;
        }
        let Ok(verifier) = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider()).build()
        else {
            return false;
        };
        let at = UnixTime::since_unix_epoch(Duration::from_secs(seconds));
        names.iter().all(|name| verifier.verify_server_cert(leaf, intermediates, name, &[], at).is_ok())
    }
}

impl PartialEq for Certificate {
    fn eq(&self, other: &Self) -> bool {
        self.der == other.der
    }
}

impl Eq for Certificate {}

impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Certificate")
            .field("not_before", &self.not_before)
            .field("not_after", &self.not_after)
            .field("ca", &self.ca)
            .finish_non_exhaustive()
    }
}

/// The one cryptography provider of this crate, named so that no process-wide default is needed.
pub(crate) fn provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}

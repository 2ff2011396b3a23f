//! The CAs that somebody trusts: the Secret's `ca.crt` and a webhook's `caBundle`.

use std::collections::VecDeque;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;

use crate::certificate::Certificate;

/// How many CAs a bundle holds at most; beyond this the oldest go.
///
/// A rotation needs two. More come together only where rotations were interrupted by damage, and the bound keeps a
/// `caBundle` that somebody filled with the Internet's CAs from being copied into the Secret.
pub const MAX_CAS: usize = 8;

/// Distinct CA certificates, the oldest first.
///
/// The last one is the CA that signs next.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CaBundle(VecDeque<Certificate>);

impl CaBundle {
    /// Takes every CA out of a PEM text, up to the first section that is malformed.
    ///
    /// What is no CA, such as a leaf that was put there by mistake, is left out; so nothing fails, and a text without
    /// a CA gives an empty bundle.
    #[must_use]
    pub fn from_pem(pem: &[u8]) -> Self {
        let mut bundle = Self::default();
        CertificateDer::pem_slice_iter(pem)
            .map_while(Result::ok)
            .filter_map(Certificate::from_der)
            .for_each(|ca| bundle.push(ca));
        bundle
    }

    /// The bundle of one CA.
    #[must_use]
    pub fn of(ca: Certificate) -> Self {
        let mut bundle = Self::default();
        bundle.push(ca);
        bundle
    }

    /// Appends a CA as the newest, unless the bundle has it or it is none.
    pub fn push(&mut self, ca: Certificate) {
        if ca.is_ca() && !self.0.contains(&ca) {
            self.0.push_back(ca);
        }
        while self.0.len() > MAX_CAS {
            self.0.pop_front();
        }
    }

    /// The CAs of both, those of `newer` being the newest.
    #[must_use]
    pub fn union(&self, newer: &Self) -> Self {
        let mut all = Self(self.iter().filter(|ca| !newer.contains(ca)).cloned().collect());
        newer.iter().for_each(|ca| all.push(ca.clone()));
        all
    }

    /// The CA that signs next.
    #[must_use]
    pub fn newest(&self) -> Option<&Certificate> {
        self.0.back()
    }

    /// Whether the CA is one of these.
    #[must_use]
    pub fn contains(&self, ca: &Certificate) -> bool {
        self.0.contains(ca)
    }

    /// Whether both hold the same CAs, in any order.
    #[must_use]
    pub fn holds_the_same(&self, other: &Self) -> bool {
        self.len() == other.len() && self.iter().all(|ca| other.contains(ca))
    }

    /// The CAs, the oldest first.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &Certificate> {
        self.0.iter()
    }

    /// How many CAs.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether nobody is trusted.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The form that `ca.crt` and `caBundle` take, before base64.
    #[must_use]
    pub fn to_pem(&self) -> Vec<u8> {
        const COLUMNS: usize = 64;
        let mut pem = String::new();
        for ca in self.iter() {
            pem.push_str("-----BEGIN CERTIFICATE-----");
            for (column, letter) in STANDARD.encode(ca.der()).chars().enumerate() {
                if column % COLUMNS == 0 {
                    pem.push('\n');
                }
                pem.push(letter);
            }
            pem.push_str("\n-----END CERTIFICATE-----\n");
        }
        pem.into_bytes()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use jiff::Timestamp;

    use super::*;
    use crate::config::service_names;
    use crate::issuer::SigningCa;

    fn mk_ca() -> SigningCa {
        SigningCa::issue(Duration::from_secs(3600), Timestamp::now()).unwrap()
    }

    #[test]
    fn pem_is_read_back_in_order() {
        let mut bundle = CaBundle::of(mk_ca().certificate().clone());
        bundle.push(mk_ca().certificate().clone());
        assert_eq!(CaBundle::from_pem(&bundle.to_pem()), bundle);
    }

    #[test]
    fn what_is_no_ca_is_left_out() {
        let ca = mk_ca();
        let names = service_names("webhook", "operators").unwrap();
        let leaf = ca.issue_leaf(&names, Duration::from_secs(60), Timestamp::now()).unwrap();
        assert!(CaBundle::from_pem(&leaf.certificate).is_empty());
        assert!(CaBundle::from_pem(b"garbage").is_empty());
        assert!(
            CaBundle::from_pem(b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n").is_empty()
        );
    }

    #[test]
    fn a_malformed_tail_keeps_what_came_before() {
        let bundle = CaBundle::of(mk_ca().certificate().clone());
        let mut pem = bundle.to_pem();
        pem.extend_from_slice(b"-----BEGIN CERTIFICATE-----\n%%%%\n");
        assert_eq!(CaBundle::from_pem(&pem), bundle);
    }

    #[test]
    fn the_same_cas_in_another_order_are_the_same() {
        let (a, b) =
            (CaBundle::of(mk_ca().certificate().clone()), CaBundle::of(mk_ca().certificate().clone()));
        assert!(a.union(&b).holds_the_same(&b.union(&a)));
        assert!(!a.holds_the_same(&a.union(&b)));
        assert_eq!(a.union(&b).newest(), b.newest());
        assert_eq!(a.union(&a).len(), 1);
    }

    #[test]
    fn a_bundle_is_bounded_and_keeps_the_newest() {
        let mut bundle = CaBundle::default();
        let cas: Vec<_> = (0..MAX_CAS + 3).map(|_| mk_ca().certificate().clone()).collect();
        cas.iter().cloned().for_each(|ca| bundle.push(ca));
        assert_eq!(bundle.len(), MAX_CAS);
        assert_eq!(bundle.newest(), cas.last());
    }
}

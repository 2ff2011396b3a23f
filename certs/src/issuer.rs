//! Issues CAs and leaves: ECDSA on P-256, as every API server accepts it.
//!
//! Time is a parameter. Keys and serial numbers are drawn from the cryptography provider.

use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use jiff::Timestamp;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyPair, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, PublicKeyData as _, SanType, SerialNumber,
};
use rustls::pki_types::ServerName;

use crate::certificate::{Certificate, provider};

/// The most that a certificate's validity starts before its issue, for clients whose clock is behind.
const MAX_BACKDATE: i64 = 5 * 60;

/// A CA with its private key.
///
/// The key belongs to the certificate; a value that breaks this cannot be made.
pub struct SigningCa {
    certificate: Certificate,
    key: KeyPair,
}

impl SigningCa {
    /// Issues a new CA that is valid from now (less a little for clock skew) for the given lifetime.
    ///
    /// Each has a name of its own, so that verifiers that look for an issuer by name find the right one while two
    /// are trusted.
    ///
    /// # Errors
    /// See [`IssueError`].
    pub fn issue(lifetime: Duration, now: Timestamp) -> Result<Self, IssueError> {
        let serial = random_serial()?;
        let name: String = serial.iter().take(4).map(|byte| format!("{byte:02x}")).collect();
        let mut params = CertificateParams::default();
        params.distinguished_name = common_name(format!("mcp-operator webhook CA {name}"));
        params.serial_number = Some(SerialNumber::from_slice(&serial));
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        Validity::starting(now, lifetime)?.apply(&mut params)?;
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(IssueError::Generate)?;
        let signed = params.self_signed(&key).map_err(IssueError::Generate)?;
        let certificate = Certificate::from_der(signed.der().clone()).ok_or(IssueError::Unreadable)?;
        Ok(Self { certificate, key })
    }

    /// Brings a CA and its key back together, as a Secret holds them.
    ///
    /// # Errors
    /// [`IssueError::Key`] where the key is none, [`IssueError::KeyMismatch`] where it is another certificate's.
    pub fn from_parts(certificate: Certificate, key_pem: &[u8]) -> Result<Self, IssueError> {
        let pem = std::str::from_utf8(key_pem).map_err(|_| IssueError::Key)?;
        // The error is dropped on purpose: what a parser says about a private key may quote it.
        let key = KeyPair::from_pem(pem).map_err(|_| IssueError::Key)?;
        if key.subject_public_key_info() != certificate.public_key() {
            return Err(IssueError::KeyMismatch);
        }
        Ok(Self { certificate, key })
    }

    /// The CA's certificate, which is public.
    #[must_use]
    pub fn certificate(&self) -> &Certificate {
        &self.certificate
    }

    /// The private key for the Secret, in PKCS#8 PEM.
    pub(crate) fn key_pem(&self) -> Vec<u8> {
        self.key.serialize_pem().into_bytes()
    }

    /// Issues a leaf with a new key that serves all the names, and that ends with this CA at the latest.
    ///
    /// # Errors
    /// See [`IssueError`].
    pub fn issue_leaf(
        &self,
        names: &[ServerName<'static>],
        lifetime: Duration,
        now: Timestamp,
    ) -> Result<IssuedLeaf, IssueError> {
        let mut params = CertificateParams::default();
        params.subject_alt_names = names.iter().map(subject_alt_name).collect::<Result<_, _>>()?;
        params.distinguished_name = common_name("mcp-operator webhook".to_owned());
        params.serial_number = Some(SerialNumber::from_slice(&random_serial()?));
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.use_authority_key_identifier_extension = true;
        Validity::starting(now, lifetime)?.within(&self.certificate).apply(&mut params)?;
        let issuer =
            Issuer::from_ca_cert_der(self.certificate.der(), &self.key).map_err(IssueError::Generate)?;
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(IssueError::Generate)?;
        let signed = params.signed_by(&key, &issuer).map_err(IssueError::Generate)?;
        Ok(IssuedLeaf { certificate: signed.pem().into_bytes(), key: key.serialize_pem().into_bytes() })
    }
}

impl fmt::Debug for SigningCa {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigningCa").field("certificate", &self.certificate).finish_non_exhaustive()
    }
}

/// A leaf in the form that a Secret takes.
pub struct IssuedLeaf {
    /// `tls.crt`.
    pub certificate: Vec<u8>,
    /// `tls.key`, PKCS#8.
    pub(crate) key: Vec<u8>,
}

impl fmt::Debug for IssuedLeaf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IssuedLeaf").finish_non_exhaustive()
    }
}

/// From and until when, in whole Unix seconds as certificates have it.
struct Validity {
    issued: i64,
    not_before: i64,
    not_after: i64,
}

impl Validity {
    fn starting(now: Timestamp, lifetime: Duration) -> Result<Self, IssueError> {
        let seconds = i64::try_from(lifetime.as_secs()).map_err(|_| IssueError::Time)?;
        let now = now.as_second();
        // Backdating by a share of the lifetime keeps a certificate of seconds from being due when it is issued.
        let not_before = now.checked_sub(MAX_BACKDATE.min(seconds / 10)).ok_or(IssueError::Time)?;
        let not_after = now.checked_add(seconds).ok_or(IssueError::Time)?;
        Ok(Self { issued: now, not_before, not_after })
    }

    fn within(self, ca: &Certificate) -> Self {
        Self {
            issued: self.issued,
            not_before: self.not_before.max(ca.not_before().as_second()),
            not_after: self.not_after.min(ca.not_after().as_second()),
        }
    }

    fn apply(&self, params: &mut CertificateParams) -> Result<(), IssueError> {
        if self.issued >= self.not_after || Timestamp::from_second(self.not_after).is_err() {
            return Err(IssueError::Time);
        }
        let epoch = rcgen::date_time_ymd(1970, 1, 1);
        let since =
            |seconds: i64| u64::try_from(seconds).map(Duration::from_secs).map_err(|_| IssueError::Time);
        params.not_before = epoch + since(self.not_before)?;
        params.not_after = epoch + since(self.not_after)?;
        Ok(())
    }
}

fn common_name(name: String) -> DistinguishedName {
    let mut distinguished = DistinguishedName::new();
    distinguished.push(DnType::CommonName, name);
    distinguished
}

fn subject_alt_name(name: &ServerName<'static>) -> Result<SanType, IssueError> {
    match name {
        ServerName::DnsName(dns) => {
            let name = dns.as_ref().try_into().map_err(IssueError::Generate)?;
            Ok(SanType::DnsName(name))
        }
        ServerName::IpAddress(ip) => Ok(SanType::IpAddress(IpAddr::from(*ip))),
        _ => Err(IssueError::Name),
    }
}

/// Sixteen random bytes that read as a positive number (RFC 5280, 4.1.2.2).
fn random_serial() -> Result<[u8; 16], IssueError> {
    let mut serial = [0; 16];
    provider().secure_random.fill(&mut serial).map_err(|_| IssueError::Random)?;
    if let Some(first) = serial.first_mut() {
        *first = (*first & 0x7f) | 0x40;
    }
    Ok(serial)
}

/// Why nothing was issued.
///
/// No variant carries anything of a private key.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IssueError {
    /// The validity would be empty, or beyond what X.509 expresses.
    #[error("validity is empty or out of range")]
    Time,
    /// A name is neither a DNS name nor an address.
    #[error("name is neither a dns name nor an address")]
    Name,
    /// The provider has no randomness to give.
    #[error("no randomness available")]
    Random,
    /// `ca.key` is missing or no key of a kind that can sign.
    #[error("ca.key is not a usable private key")]
    Key,
    /// `ca.key` belongs to another CA.
    #[error("ca.key does not belong to the newest certificate in ca.crt")]
    KeyMismatch,
    /// There is no CA to sign with.
    #[error("ca.crt holds no ca")]
    NoCa,
    /// Generating or signing failed.
    #[error("cannot generate or sign a certificate")]
    Generate(#[source] rcgen::Error),
    /// What was just signed does not parse.
    #[error("issued certificate is unreadable")]
    Unreadable,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::config::service_names;
    use crate::leaf::Leaf;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn secs(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn read(issued: &IssuedLeaf) -> Leaf {
        Leaf::from_pem(&issued.certificate, &issued.key).unwrap()
    }

    #[test]
    fn a_leaf_is_accepted_for_names_and_addresses_by_those_who_trust_its_ca() {
        let mut names = service_names("webhook", "operators").unwrap();
        names.push(ServerName::try_from("192.0.2.7").unwrap());
        names.push(ServerName::try_from("2001:db8::1").unwrap());
        let (ca, other) = (SigningCa::issue(secs(100), at(1000)), SigningCa::issue(secs(100), at(1000)));
        let (ca, other) = (ca.unwrap(), other.unwrap());
        let leaf = read(&ca.issue_leaf(&names, secs(50), at(1000)).unwrap());
        assert!(ca.certificate().vouches_for(leaf.chain(), &names, at(1000)));
        assert!(!other.certificate().vouches_for(leaf.chain(), &names, at(1000)));
        assert!(!ca.certificate().vouches_for(leaf.chain(), &names, at(1051)));
        let elsewhere = service_names("webhook", "elsewhere").unwrap();
        assert!(!ca.certificate().vouches_for(leaf.chain(), &elsewhere, at(1000)));
    }

    #[test]
    fn a_leaf_ends_with_its_ca_at_the_latest() {
        let ca = SigningCa::issue(secs(100), at(1000)).unwrap();
        let names = service_names("webhook", "operators").unwrap();
        let leaf = read(&ca.issue_leaf(&names, secs(5000), at(1060)).unwrap());
        assert_eq!(leaf.certificate().not_after(), ca.certificate().not_after());
        assert!(matches!(ca.issue_leaf(&names, secs(50), at(1100)), Err(IssueError::Time)));
    }

    #[test]
    fn long_lived_certificates_start_five_minutes_ago() {
        let ca = SigningCa::issue(secs(365 * 24 * 3600), at(1_000_000)).unwrap();
        assert_eq!(ca.certificate().not_before(), at(1_000_000 - 300));
    }

    #[test]
    fn serials_and_names_differ() {
        let (a, b) = (random_serial().unwrap(), random_serial().unwrap());
        assert_ne!(a, b);
        assert!(a.first().is_some_and(|first| (0x40..0x80).contains(first)));
    }

    #[test]
    fn a_key_of_another_ca_is_refused() {
        let (a, b) = (SigningCa::issue(secs(100), at(1000)), SigningCa::issue(secs(100), at(1000)));
        let (a, b) = (a.unwrap(), b.unwrap());
        let again = SigningCa::from_parts(a.certificate().clone(), &a.key_pem());
        assert_eq!(again.unwrap().certificate(), a.certificate());
        let mixed = SigningCa::from_parts(a.certificate().clone(), &b.key_pem());
        assert!(matches!(mixed, Err(IssueError::KeyMismatch)));
        let garbage = SigningCa::from_parts(a.certificate().clone(), b"\xff");
        assert!(matches!(garbage, Err(IssueError::Key)));
    }

    #[test]
    fn debug_shows_no_key() {
        let ca = SigningCa::issue(secs(100), at(1000)).unwrap();
        let names = service_names("webhook", "operators").unwrap();
        let issued = ca.issue_leaf(&names, secs(50), at(1000)).unwrap();
        for shown in [format!("{ca:?}"), format!("{issued:?}"), format!("{:?}", read(&issued))] {
            assert!(!shown.contains("PRIVATE"), "{shown}");
            assert!(!shown.contains("key"), "{shown}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn what_was_just_issued_is_valid_and_not_due(
            now in 600_000_i64..200_000_000_000,
            nanos in 0_i32..1_000_000_000,
            lifetime in 6_u64..3_000_000_000,
        ) {
            let now = Timestamp::new(now, nanos).unwrap();
            let ca = SigningCa::issue(secs(lifetime), now).unwrap();
            let names = service_names("webhook", "operators").unwrap();
            let leaf = read(&ca.issue_leaf(&names, secs(lifetime), now).unwrap());
            prop_assert!(ca.certificate().is_fresh_at(now));
            prop_assert!(leaf.certificate().is_fresh_at(now));
            prop_assert!(ca.certificate().vouches_for(leaf.chain(), &names, now));
            prop_assert!(ca.certificate().due_at() < ca.certificate().not_after());
        }
    }
}

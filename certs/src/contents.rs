//! What the Secret holds, before anything is made of it.

use std::fmt;

/// The four entries of the Secret, as bytes that may be anything.
///
/// An entry that is missing is empty here. `Debug` shows sizes only.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Contents {
    /// `tls.crt`: the chain that is served, the leaf first.
    pub tls_crt: Vec<u8>,
    /// `tls.key`: the leaf's private key.
    pub tls_key: Vec<u8>,
    /// `ca.crt`: every CA that is to be trusted, the one that signs next being the last.
    pub ca_crt: Vec<u8>,
    /// `ca.key`: the private key of the last CA in `ca.crt`; absent where somebody else issues.
    pub ca_key: Vec<u8>,
}

impl Contents {
    /// Key of the chain in the Secret's data.
    pub const TLS_CRT: &str = "tls.crt";
    /// Key of the leaf's private key in the Secret's data.
    pub const TLS_KEY: &str = "tls.key";
    /// Key of the trusted CAs in the Secret's data.
    pub const CA_CRT: &str = "ca.crt";
    /// Key of the signing CA's private key in the Secret's data.
    pub const CA_KEY: &str = "ca.key";
}

impl fmt::Debug for Contents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Contents");
        for (name, entry) in [
            ("tls_crt", &self.tls_crt),
            ("tls_key", &self.tls_key),
            ("ca_crt", &self.ca_crt),
            ("ca_key", &self.ca_key),
        ] {
            shown.field(name, &format_args!("{} bytes", entry.len()));
        }
        shown.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_no_entry() {
        let contents = Contents { tls_key: b"topsecret".to_vec(), ..Contents::default() };
        let shown = format!("{contents:?} {contents:#?}");
        assert!(!shown.contains("topsecret") && !shown.contains("116"), "{shown}");
        assert!(shown.contains("tls_key: 9 bytes"), "{shown}");
    }
}

//! Fingerprints of what is written, for annotations and revisions.

use aws_lc_rs::digest::{SHA256, digest};

/// The first 64 bits of the SHA-256 of `bytes`, as 16 hexadecimal digits.
///
/// They stand in annotations, so they must stay the same from one release to the next.
pub(crate) fn fingerprint(bytes: &[u8]) -> String {
    let digest = digest(&SHA256, bytes);
    digest.as_ref().iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fingerprint_is_the_beginning_of_the_sha_256() {
        assert_eq!(fingerprint(b""), "e3b0c44298fc1c14");
        assert_eq!(fingerprint(b"abc"), "ba7816bf8f01cfea");
    }
}

//! A secret of the process, and what is sealed with it: HMAC-SHA-256 (RFC 2104) over parts that cannot run
//! into each other.

use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// Bytes of a seal.
pub const SEAL: usize = 32;

/// A secret by which this house knows its own words again. Made once, from 32 bytes of chance.
#[derive(Clone)]
pub struct Secret(Hmac<Sha256>);

impl Secret {
    /// The secret of these bytes. Whoever knows them can make seals.
    ///
    /// # Panics
    /// Never: HMAC takes keys of any length.
    #[must_use]
    pub fn new(bytes: &[u8; 32]) -> Self {
        Self(Hmac::new_from_slice(bytes).expect("HMAC takes keys of any length"))
    }

    /// The seal over these parts. `purpose` is told apart from every other, so that what is sealed for one
    /// thing is nothing to another.
    #[must_use]
    pub fn seal(&self, purpose: &str, parts: &[&[u8]]) -> [u8; SEAL] {
        self.mac(purpose, parts).finalize().into_bytes().into()
    }

    /// Whether `seal` is the one over these parts; told in a time that says nothing of where it differs.
    #[must_use]
    pub fn is_seal(&self, seal: &[u8], purpose: &str, parts: &[&[u8]]) -> bool {
        self.mac(purpose, parts).verify_slice(seal).is_ok()
    }

    fn mac(&self, purpose: &str, parts: &[&[u8]]) -> Hmac<Sha256> {
        let mut mac = self.0.clone();
        for part in std::iter::once(purpose.as_bytes()).chain(parts.iter().copied()) {
            mac.update(&(part.len() as u64).to_be_bytes());
            mac.update(part);
        }
        mac
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_do_not_run_into_each_other() {
        let secret = Secret::new(&[1; 32]);
        let seal = secret.seal("a", &[b"bc", b"d"]);
        for (purpose, parts) in [
            ("a", &[&b"b"[..], b"cd"][..]),
            ("a", &[b"bcd"]),
            ("a", &[b"bc", b"d", b""]),
            ("ab", &[b"c", b"d"]),
            ("a", &[b"d", b"bc"]),
        ] {
            assert!(!secret.is_seal(&seal, purpose, parts), "{purpose} {parts:?}");
        }
        assert!(secret.is_seal(&seal, "a", &[b"bc", b"d"]));
        assert!(!Secret::new(&[2; 32]).is_seal(&seal, "a", &[b"bc", b"d"]));
        assert!(!secret.is_seal(&seal[..31], "a", &[b"bc", b"d"]));
        assert!(!secret.is_seal(b"", "a", &[b"bc", b"d"]));
    }
}

//! Algorithms of signatures (RFC 7518 section 3, RFC 8037) and the set of those that a configuration lets pass.

use aws_lc_rs::digest::{self, SHA256, SHA384, SHA512};
use aws_lc_rs::signature::{self, EcdsaVerificationAlgorithm, RsaParameters};

/// How a token is signed. `none` has no variant: a token that nobody signed cannot be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Algorithm {
    /// ECDSA on P-256 with SHA-256.
    Es256,
    /// ECDSA on P-384 with SHA-384.
    Es384,
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    Rs256,
    /// RSASSA-PKCS1-v1_5 with SHA-384.
    Rs384,
    /// RSASSA-PKCS1-v1_5 with SHA-512.
    Rs512,
    /// RSASSA-PSS with SHA-256.
    Ps256,
    /// RSASSA-PSS with SHA-384.
    Ps384,
    /// RSASSA-PSS with SHA-512.
    Ps512,
    /// Ed25519 (RFC 8037); Ed448 is not taken.
    EdDsa,
    /// HMAC with SHA-256, by a secret that was configured; no key of a set on the network serves for it.
    Hs256,
}

impl Algorithm {
    /// All of them, as an error names them.
    pub const ALL: [Self; 10] = [
        Self::Es256,
        Self::Es384,
        Self::Rs256,
        Self::Rs384,
        Self::Rs512,
        Self::Ps256,
        Self::Ps384,
        Self::Ps512,
        Self::EdDsa,
        Self::Hs256,
    ];

    /// The word of the IANA registry "JSON Web Signature and Encryption Algorithms".
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Es256 => "ES256",
            Self::Es384 => "ES384",
            Self::Rs256 => "RS256",
            Self::Rs384 => "RS384",
            Self::Rs512 => "RS512",
            Self::Ps256 => "PS256",
            Self::Ps384 => "PS384",
            Self::Ps512 => "PS512",
            Self::EdDsa => "EdDSA",
            Self::Hs256 => "HS256",
        }
    }

    /// The algorithm of that word, in the case of the registry; `Ed25519` (RFC 9864) is another word for `EdDSA`.
    #[must_use]
    pub fn read(word: &str) -> Option<Self> {
        if word == "Ed25519" {
            return Some(Self::EdDsa);
        }
        Self::ALL.into_iter().find(|algorithm| algorithm.as_str() == word)
    }

    /// How RSA verifies by it.
    pub(super) const fn rsa(self) -> Option<&'static RsaParameters> {
        Some(match self {
            Self::Rs256 => &signature::RSA_PKCS1_2048_8192_SHA256,
            Self::Rs384 => &signature::RSA_PKCS1_2048_8192_SHA384,
            Self::Rs512 => &signature::RSA_PKCS1_2048_8192_SHA512,
            Self::Ps256 => &signature::RSA_PSS_2048_8192_SHA256,
            Self::Ps384 => &signature::RSA_PSS_2048_8192_SHA384,
            Self::Ps512 => &signature::RSA_PSS_2048_8192_SHA512,
            _ => return None,
        })
    }

    /// How ECDSA verifies by it, the name of its curve, and the bytes of a coordinate.
    pub(super) const fn ec(
        self,
    ) -> Option<(&'static EcdsaVerificationAlgorithm, &'static str, usize)> {
        match self {
            Self::Es256 => Some((&signature::ECDSA_P256_SHA256_FIXED, "P-256", 32)),
            Self::Es384 => Some((&signature::ECDSA_P384_SHA384_FIXED, "P-384", 48)),
            _ => None,
        }
    }

    /// The hash of `at_hash` beside it (OpenID Connect Core 1.0 section 3.1.3.6); Ed25519 hashes with SHA-512 itself.
    pub(crate) fn digest(self) -> &'static digest::Algorithm {
        match self {
            Self::Es256 | Self::Rs256 | Self::Ps256 | Self::Hs256 => &SHA256,
            Self::Es384 | Self::Rs384 | Self::Ps384 => &SHA384,
            Self::Rs512 | Self::Ps512 | Self::EdDsa => &SHA512,
        }
    }
}

/// A set of algorithms.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Algorithms(u16);

impl Algorithms {
    /// The set without any: nothing passes.
    pub const NONE: Self = Self(0);

    /// What passes where a configuration names nothing: all that have public keys. Keys say which one is theirs.
    pub const PUBLIC: Self = Self((1 << Algorithm::Hs256 as u16) - 1);

    /// The set with that one too.
    #[must_use]
    pub const fn with(self, algorithm: Algorithm) -> Self {
        Self(self.0 | 1 << algorithm as u16)
    }

    /// Whether it is in the set.
    #[must_use]
    pub const fn has(self, algorithm: Algorithm) -> bool {
        self.0 & 1 << algorithm as u16 != 0
    }

    /// Those of the set, in the order of [`Algorithm::ALL`].
    pub fn iter(self) -> impl Iterator<Item = Algorithm> {
        Algorithm::ALL.into_iter().filter(move |algorithm| self.has(*algorithm))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words() {
        for algorithm in Algorithm::ALL {
            assert_eq!(Algorithm::read(algorithm.as_str()), Some(algorithm));
            assert_eq!(Algorithms::PUBLIC.has(algorithm), algorithm != Algorithm::Hs256);
        }
        assert_eq!(Algorithm::read("Ed25519"), Some(Algorithm::EdDsa));
        for word in ["none", "None", "NONE", "", "es256", "RS1", "HS512", "Ed448", "ES256K"] {
            assert_eq!(Algorithm::read(word), None, "{word}");
        }
        let two = Algorithms::NONE.with(Algorithm::EdDsa).with(Algorithm::Es256);
        assert_eq!(two.iter().collect::<Vec<_>>(), [Algorithm::Es256, Algorithm::EdDsa]);
    }
}

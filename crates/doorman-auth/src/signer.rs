//! Issuers of the tests: they make keys, publish them, and sign whatever they are told to.

use aws_lc_rs::hmac;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair,
    KeyPair, RSA_PKCS1_SHA256, RSA_PKCS1_SHA384, RSA_PKCS1_SHA512, RSA_PSS_SHA256, RSA_PSS_SHA384,
    RSA_PSS_SHA512, RsaKeyPair,
};
use serde_json::{Value, json};

use crate::base64url::text;
use crate::jwt::Algorithm;

/// A private key.
pub(crate) enum Signer {
    Ec(Algorithm, EcdsaKeyPair),
    Ed(Ed25519KeyPair),
    Rsa(Box<RsaKeyPair>),
    Secret(Vec<u8>),
}

impl Signer {
    pub(crate) fn new(algorithm: Algorithm) -> Self {
        match algorithm {
            Algorithm::Es256 => Self::Ec(
                algorithm,
                EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).expect("a key"),
            ),
            Algorithm::Es384 => Self::Ec(
                algorithm,
                EcdsaKeyPair::generate(&ECDSA_P384_SHA384_FIXED_SIGNING).expect("a key"),
            ),
            Algorithm::EdDsa => Self::Ed(Ed25519KeyPair::generate().expect("a key")),
            Algorithm::Hs256 => Self::Secret((0..32).collect()),
            _ => Self::Rsa(Box::new(RsaKeyPair::generate(KeySize::Rsa2048).expect("a key"))),
        }
    }

    pub(crate) fn sign(&self, algorithm: Algorithm, message: &[u8]) -> Vec<u8> {
        let random = SystemRandom::new();
        match self {
            Self::Ec(_, key) => key.sign(&random, message).expect("a signature").as_ref().to_vec(),
            Self::Ed(key) => key.sign(message).as_ref().to_vec(),
            Self::Secret(secret) => {
                let key = hmac::Key::new(hmac::HMAC_SHA256, secret);
                hmac::sign(&key, message).as_ref().to_vec()
            }
            Self::Rsa(key) => {
                let encoding: &'static dyn aws_lc_rs::signature::RsaEncoding = match algorithm {
                    Algorithm::Rs384 => &RSA_PKCS1_SHA384,
                    Algorithm::Rs512 => &RSA_PKCS1_SHA512,
                    Algorithm::Ps256 => &RSA_PSS_SHA256,
                    Algorithm::Ps384 => &RSA_PSS_SHA384,
                    Algorithm::Ps512 => &RSA_PSS_SHA512,
                    _ => &RSA_PKCS1_SHA256,
                };
                let mut signature = vec![0; key.public_modulus_len()];
                key.sign(encoding, &random, message, &mut signature).expect("a signature");
                signature
            }
        }
    }

    /// The public half as a JSON Web Key, without `kid`, `alg` and `use`.
    pub(crate) fn key(&self) -> Value {
        match self {
            Self::Ec(algorithm, key) => {
                let point = &key.public_key().as_ref()[1..];
                let (x, y) = point.split_at(point.len() / 2);
                let curve = if *algorithm == Algorithm::Es256 { "P-256" } else { "P-384" };
                json!({"kty": "EC", "crv": curve, "x": text(x), "y": text(y)})
            }
            Self::Ed(key) => {
                json!({"kty": "OKP", "crv": "Ed25519", "x": text(key.public_key().as_ref())})
            }
            Self::Rsa(key) => {
                let (n, e) = rsa_numbers(key.public_key().as_ref());
                json!({"kty": "RSA", "n": text(n), "e": text(e)})
            }
            Self::Secret(secret) => json!({"kty": "oct", "k": text(secret)}),
        }
    }

    /// A token of that header and those claims, as they are.
    pub(crate) fn token(&self, algorithm: Algorithm, header: &str, claims: &[u8]) -> String {
        let signed = format!("{}.{}", text(header.as_bytes()), text(claims));
        let signature = self.sign(algorithm, signed.as_bytes());
        format!("{signed}.{}", text(&signature))
    }

    /// An ordinary token.
    pub(crate) fn issue(&self, algorithm: Algorithm, id: Option<&str>, claims: &Value) -> String {
        let mut header = json!({"alg": algorithm.as_str(), "typ": "JWT"});
        if let Some(id) = id {
            header["kid"] = id.into();
        }
        self.token(algorithm, &header.to_string(), claims.to_string().as_bytes())
    }
}

/// Modulus and exponent of an RSAPublicKey (RFC 8017 appendix A.1.1), without the zero of a signed number.
fn rsa_numbers(der: &[u8]) -> (&[u8], &[u8]) {
    let (inner, _) = element(der);
    let (n, rest) = element(inner);
    let (e, _) = element(rest);
    let bare = |number: &[u8]| usize::from(number[0] == 0);
    (&n[bare(n)..], &e[bare(e)..])
}

/// What is in an element of DER, and what is behind it.
fn element(der: &[u8]) -> (&[u8], &[u8]) {
    let (length, start) = match der[1] {
        short @ 0..=0x7F => (usize::from(short), 2),
        0x81 => (usize::from(der[2]), 3),
        _ => (usize::from(der[2]) << 8 | usize::from(der[3]), 4),
    };
    (&der[start..start + length], &der[start + length..])
}

/// A set of these keys, each with its name.
pub(crate) fn set_of(keys: &[(&str, &Signer)]) -> String {
    let keys: Vec<Value> = keys
        .iter()
        .map(|(id, signer)| {
            let mut key = signer.key();
            if !id.is_empty() {
                key["kid"] = (*id).into();
            }
            key
        })
        .collect();
    json!({ "keys": keys }).to_string()
}

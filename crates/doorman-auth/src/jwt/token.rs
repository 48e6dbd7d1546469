//! A token's compact form taken apart (RFC 7515 section 7.1): header, claims and signature, before anything of it is
//! believed.

use serde_json::{Map, Value};

use super::algorithm::Algorithm;
use super::key::KEY_ID_BYTES_MAX;
use crate::outcome::Refusal;
use crate::{base64url, json};

/// Longest token, in bytes: as long as a whole head may be elsewhere. Common ones have 500 to 2,000.
pub const TOKEN_BYTES_MAX: usize = 16 * 1024;

/// A token whose header was read and whose claims were not.
pub(super) struct Token<'a> {
    pub(super) algorithm: Algorithm,
    pub(super) key_id: Option<Box<str>>,
    /// What is signed: both parts and the dot between them.
    pub(super) signed: &'a [u8],
    pub(super) claims: &'a [u8],
    pub(super) signature: Vec<u8>,
}

impl<'a> Token<'a> {
    /// Takes the three parts apart.
    ///
    /// Of the header `alg`, `kid` and `crit` count. `jku`, `jwk`, `x5u` and `x5c` say where a key is to be had, and
    /// whoever listens to them takes the key from the one who is to be verified (RFC 8725 section 3.10).
    ///
    /// # Errors
    /// It is too long, has not three parts, its header cannot be read or has an extension that has to be understood
    /// (RFC 7515 section 4.1.11), or it is signed in a way that has no variant here.
    pub(super) fn read(text: &'a [u8]) -> Result<Self, Refusal> {
        if text.len() > TOKEN_BYTES_MAX {
            return Err(Refusal::CredentialsTooLong);
        }
        let mut parts = text.split(|byte| *byte == b'.');
        let (Some(header), Some(claims), Some(signature), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(Refusal::MalformedCredentials);
        };
        let signed = text.get(..header.len() + 1 + claims.len());
        let signed = signed.ok_or(Refusal::MalformedCredentials)?;
        let header = part(header)?;
        let algorithm = json::text(&header, "alg").ok_or(Refusal::MalformedCredentials)?;
        let algorithm = Algorithm::read(algorithm).ok_or(Refusal::BadAlgorithm)?;
        if header.contains_key("crit") {
            return Err(Refusal::MalformedCredentials);
        }
        let key_id = match header.get("kid") {
            None => None,
            Some(Value::String(id)) if id.len() <= KEY_ID_BYTES_MAX => Some(id.as_str().into()),
            Some(_) => return Err(Refusal::MalformedCredentials),
        };
        let signature = base64url::read(signature).ok_or(Refusal::MalformedCredentials)?;
        Ok(Self { algorithm, key_id, signed, claims, signature })
    }

    /// The claims. Only what is signed is worth reading.
    pub(super) fn claims(&self) -> Result<Map<String, Value>, Refusal> {
        part(self.claims)
    }
}

fn part(digits: &[u8]) -> Result<Map<String, Value>, Refusal> {
    let text = base64url::read(digits).ok_or(Refusal::MalformedCredentials)?;
    json::object(&text).map_err(|_| Refusal::MalformedCredentials)
}

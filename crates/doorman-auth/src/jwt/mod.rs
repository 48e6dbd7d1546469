//! Signed tokens (RFC 7519, as JWS of RFC 7515) that clients show: verified, and turned into an identity.
//!
//! One decision shaped it: nothing that a token says about itself decides how it is verified. Algorithms are those of
//! the configuration, keys say what they are for, and a token only names one of each (RFC 8725). What a verified
//! token says is remembered by its hash, so that the price of a signature is paid once on a core.
//!
//! The cryptography is aws-lc-rs, which the house uses for TLS. Only the compact form is taken; tokens that are
//! encrypted (RFC 7516) are not.

mod algorithm;
mod cache;
mod claims;
mod key;
mod source;
#[cfg(test)]
mod tests;
mod token;

use std::sync::Arc;

use doorman_http::{Fields, Now, RequestHead};

pub use algorithm::{Algorithm, Algorithms};
pub use cache::{Cache, TOKENS_DEFAULT, TOKENS_MAX};
pub use claims::{KEPT_MAX, LEEWAY, Required, Rules, VALUE_BYTES_MAX, VALUES_BYTES_MAX};
pub(crate) use claims::{date, is_for};
pub use key::{
    JWKS_BYTES_MAX, KEY_ID_BYTES_MAX, KEYS_MAX, KEYS_TRIED_MAX, KeySet, KeySetError,
    SECRET_BYTES_MAX, SECRET_BYTES_MIN,
};
use serde_json::{Map, Value};
pub use source::{
    BACKOFF, BACKOFF_MAX, FETCH_MAX, KEEP, KeySource, Keys, REFRESH, REFRESH_MIN, Standing,
    WANTED_EVERY,
};
pub use token::TOKEN_BYTES_MAX;
use token::Token;

use crate::outcome::{Identity, Outcome, Refusal, Via};

/// A token names a key that isn't in the set: the issuer may have a new one. Ask [`KeySource::want`]; if it says no, or
/// the new set doesn't know the key either, refuse with [`Refusal::UnknownKey`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeysWanted;

/// Where a token stands in a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// In a field, behind a scheme and a space (`Authorization: Bearer TOKEN`, RFC 6750 section 2.1), or alone.
    Field {
        /// The field's name.
        name: Box<[u8]>,
        /// The scheme, in any case; `None`: the value is the token.
        scheme: Option<Box<[u8]>>,
    },
    /// In a cookie of that name.
    Cookie(Box<[u8]>),
}

impl Place {
    /// `Authorization: Bearer TOKEN`.
    #[must_use]
    pub fn bearer() -> Self {
        Self::Field { name: b"Authorization"[..].into(), scheme: Some(b"Bearer"[..].into()) }
    }

    /// The token of a request.
    ///
    /// # Errors
    /// There is none, or the field is there twice: an origin could believe the other one.
    pub fn token<'a>(&'a self, head: &'a RequestHead) -> Result<&'a [u8], Refusal> {
        let value = match self {
            Self::Cookie(name) => sole_cookie(&head.fields, name)?,
            Self::Field { name, scheme } => {
                let value = sole(head.fields.all_named(name))?;
                match scheme {
                    None => value,
                    Some(scheme) => behind(value, scheme).ok_or(Refusal::NoCredentials)?,
                }
            }
        };
        if value.is_empty() { Err(Refusal::NoCredentials) } else { Ok(value) }
    }
}

fn sole<'a>(mut values: impl Iterator<Item = &'a [u8]>) -> Result<&'a [u8], Refusal> {
    let value = values.next().ok_or(Refusal::NoCredentials)?;
    if values.next().is_some() { Err(Refusal::DuplicateCredentials) } else { Ok(value) }
}

/// The one cookie of that name in all lines of `Cookie`.
pub(crate) fn sole_cookie<'a>(fields: &'a Fields, name: &[u8]) -> Result<&'a [u8], Refusal> {
    let pairs =
        fields.all(doorman_http::FieldId::Cookie).flat_map(|line| line.split(|b| *b == b';'));
    sole(pairs.filter_map(|pair| {
        let equals = pair.iter().position(|byte| *byte == b'=')?;
        let (found, value) = pair.split_at(equals);
        (found.trim_ascii() == name).then(|| value[1..].trim_ascii())
    }))
}

/// What stands behind a scheme and its spaces (RFC 9110 section 11.4).
fn behind<'a>(value: &'a [u8], scheme: &[u8]) -> Option<&'a [u8]> {
    let (found, rest) = value.split_at_checked(scheme.len())?;
    let is_it = found.eq_ignore_ascii_case(scheme) && rest.first() == Some(&b' ');
    is_it.then(|| rest.trim_ascii())
}

/// Verifies the tokens of one gate.
#[derive(Clone, Debug)]
pub struct Verifier {
    /// What may have been signed with.
    pub algorithms: Algorithms,
    /// What its claims must say.
    pub rules: Rules,
}

/// A token that is good, with what it says.
pub(crate) struct Good {
    pub(crate) algorithm: Algorithm,
    pub(crate) claims: Map<String, Value>,
    pub(crate) identity: Identity,
    expires: u64,
}

/// Why a token isn't good.
pub(crate) enum Bad {
    Refused(Refusal),
    Unknown,
}

impl From<Refusal> for Bad {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl Verifier {
    /// Says whether the token is good now, with the keys of now; `None` is [`KeySource::keys`] without keys.
    ///
    /// A token that `cache` remembers costs its hash: about 1 ns for two bytes.
    pub fn check(&self, token: &[u8], keys: Option<&Keys>, cache: &mut Cache, now: Now) -> Outcome {
        let Some(keys) = keys.filter(|keys| now.instant < keys.until) else {
            return Outcome::Refuse(Refusal::Unavailable);
        };
        if token.len() > TOKEN_BYTES_MAX {
            return Outcome::Refuse(Refusal::CredentialsTooLong);
        }
        let seconds = now.unix_seconds();
        let hash = match cache.look(token, keys.generation, seconds) {
            Ok(identity) => return Outcome::Pass(Arc::clone(identity)),
            Err(hash) => hash,
        };
        match self.verify(token, &keys.set, Via::Jwt, seconds) {
            Ok(good) => {
                let identity = Arc::new(good.identity);
                cache.remember(hash, good.expires, Arc::clone(&identity), seconds);
                Outcome::Pass(identity)
            }
            Err(Bad::Refused(refusal)) => Outcome::Refuse(refusal),
            Err(Bad::Unknown) => Outcome::Ask(KeysWanted),
        }
    }

    /// The whole of it: form, key, signature, claims, in this order. Claims are read only of what is signed.
    pub(crate) fn verify(
        &self,
        token: &[u8],
        keys: &KeySet,
        via: Via,
        seconds: u64,
    ) -> Result<Good, Bad> {
        let token = Token::read(token)?;
        let algorithm = token.algorithm;
        if !self.algorithms.has(algorithm) {
            return Err(Refusal::BadAlgorithm.into());
        }
        let candidates = keys.candidates(token.key_id.as_deref(), algorithm);
        if candidates.is_empty() {
            return Err(Bad::Unknown);
        }
        let signs = |key: &&key::Key| key.verifies(algorithm, token.signed, &token.signature);
        if !candidates.iter().any(signs) {
            return Err(Refusal::BadSignature.into());
        }
        let claims = token.claims()?;
        let accepted = self.rules.check(&claims, via, seconds)?;
        Ok(Good { algorithm, claims, identity: accepted.identity, expires: accepted.expires })
    }
}

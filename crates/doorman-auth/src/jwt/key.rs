//! Keys that tokens are verified with: JSON Web Key Sets (RFC 7517, RFC 7518 section 6, RFC 8037 section 2), or one
//! secret.
//!
//! One decision shaped it: what a key may verify is settled when it is read, from its kind, its curve, its `alg`, and
//! what the configuration lets pass. A token then picks among keys that fit its algorithm and can never turn one key
//! into another kind of key (RFC 8725 section 3.1).

use std::collections::BTreeMap;
use std::fmt;

use aws_lc_rs::hmac;
use aws_lc_rs::signature::{ED25519, ParsedPublicKey, RsaPublicKeyComponents};
use serde_json::{Map, Value};

use super::algorithm::{Algorithm, Algorithms};
use crate::{base64url, json};

/// Longest key set that is read, in bytes: [`KEYS_MAX`] keys of RSA with 4096 bits are within it.
pub const JWKS_BYTES_MAX: usize = 8 * 1024 * 1024;

/// Most keys of a set. Issuers have two to ten; one that lists a key for each of its tenants has thousands.
pub const KEYS_MAX: usize = 10_000;

/// Longest `kid`, in bytes. It is a name to look up by and nothing else.
pub const KEY_ID_BYTES_MAX: usize = 256;

/// Most keys that one token is tried with: several keys may have one name (RFC 7517 section 4.5), and each costs a
/// verification that anybody can ask for.
pub const KEYS_TRIED_MAX: usize = 4;

/// Shortest secret of HS256, in bytes (RFC 7518 section 3.2): a shorter one can be guessed from one token.
pub const SECRET_BYTES_MIN: usize = 32;

/// Longest secret of HS256, in bytes.
pub const SECRET_BYTES_MAX: usize = 4096;

/// Bytes of an RSA modulus: 2048 bits (RFC 7518 section 3.3) to 8192, which takes sixteen times as long.
const MODULUS_BYTES: std::ops::RangeInclusive<usize> = 256..=1024;

/// Longest RSA exponent, in bytes; all that are in use have three.
const EXPONENT_BYTES_MAX: usize = 4;

/// Keys of one issuer.
#[derive(Default)]
pub struct KeySet {
    keys: Vec<Key>,
    /// Keys by `kid`, as places in `keys`; those without one stand under `None`.
    by_id: BTreeMap<Option<Box<str>>, Vec<usize>>,
    skipped: usize,
}

impl fmt::Debug for KeySet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { keys, by_id: _, skipped } = self;
        f.debug_struct("KeySet").field("keys", &keys.len()).field("skipped", skipped).finish()
    }
}

/// Why a text is no set of keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeySetError {
    /// It is longer than [`JWKS_BYTES_MAX`].
    TooLong,
    /// It is no JSON object, or a name comes twice in an object.
    Json,
    /// It has no list `keys` (RFC 7517 section 5.1).
    NoList,
    /// It has more than [`KEYS_MAX`] keys.
    TooMany,
    /// None of its keys is usable here; so many were skipped.
    NoneUsable(usize),
    /// A secret that is shorter than [`SECRET_BYTES_MIN`] or longer than [`SECRET_BYTES_MAX`].
    Secret(usize),
}

impl fmt::Display for KeySetError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong => write!(f, "the key set is longer than {JWKS_BYTES_MAX} bytes"),
            Self::Json => f.write_str("the key set is no JSON object, or has a name twice in one"),
            Self::NoList => f.write_str(
                "the key set has no list `keys`: is this the URL of the keys, not of the discovery document?",
            ),
            Self::TooMany => write!(f, "the key set has more than {KEYS_MAX} keys"),
            Self::NoneUsable(skipped) => write!(
                f,
                "no key of the set is usable ({skipped} skipped): compare `kty`, `alg` and `use` with `algorithms`"
            ),
            Self::Secret(length) => write!(
                f,
                "the secret has {length} bytes: HS256 takes {SECRET_BYTES_MIN} to {SECRET_BYTES_MAX}"
            ),
        }
    }
}

impl std::error::Error for KeySetError {}

impl KeySet {
    /// Reads a JSON Web Key Set. Keys that are of another kind, for another use, malformed, or for no algorithm of
    /// `algorithms` are skipped and counted. Symmetric keys (`oct`) are always skipped: what is on the network is no
    /// secret.
    ///
    /// # Errors
    /// The text is no key set, is out of bounds, or has no usable key. Whoever has an older set keeps that.
    pub fn read(text: &[u8], algorithms: Algorithms) -> Result<Self, KeySetError> {
        if text.len() > JWKS_BYTES_MAX {
            return Err(KeySetError::TooLong);
        }
        let members = json::object(text).map_err(|_| KeySetError::Json)?;
        let Some(Value::Array(listed)) = members.get("keys") else {
            return Err(KeySetError::NoList);
        };
        if listed.len() > KEYS_MAX {
            return Err(KeySetError::TooMany);
        }
        let mut set = Self::default();
        for key in listed {
            match key.as_object().and_then(|members| Key::read(members, algorithms)) {
                Some(key) => set.push(key),
                None => set.skipped += 1,
            }
        }
        if set.keys.is_empty() { Err(KeySetError::NoneUsable(set.skipped)) } else { Ok(set) }
    }

    /// The set of one secret, for HS256 alone. Its bytes are taken as they are, without a line end behind them.
    ///
    /// # Errors
    /// It is too short to be a secret, or too long.
    pub fn secret(bytes: &[u8]) -> Result<Self, KeySetError> {
        if !(SECRET_BYTES_MIN..=SECRET_BYTES_MAX).contains(&bytes.len()) {
            return Err(KeySetError::Secret(bytes.len()));
        }
        let mut set = Self::default();
        set.push(Key {
            id: None,
            algorithms: Algorithms::NONE.with(Algorithm::Hs256),
            material: Material::Secret(Box::new(hmac::Key::new(hmac::HMAC_SHA256, bytes))),
        });
        Ok(set)
    }

    /// Keys that are usable.
    #[must_use]
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// Keys that were not usable.
    #[must_use]
    pub fn skipped(&self) -> usize {
        self.skipped
    }

    /// Keys that a token with this `kid` and algorithm may be signed with, at most [`KEYS_TRIED_MAX`]: those of that
    /// name, else those without a name. A token without a `kid` is tried with all keys, if they are that few.
    pub(super) fn candidates(&self, id: Option<&str>, algorithm: Algorithm) -> Vec<&Key> {
        let fits = |key: &&Key| key.algorithms.has(algorithm);
        let named = |id: Option<&str>| {
            let places = self.by_id.get(&id.map(Box::from)).map_or(&[][..], Vec::as_slice);
            let keys = places.iter().filter_map(|place| self.keys.get(*place));
            keys.filter(fits).take(KEYS_TRIED_MAX).collect::<Vec<_>>()
        };
        if id.is_some() {
            let found = named(id);
            return if found.is_empty() { named(None) } else { found };
        }
        let all: Vec<&Key> = self.keys.iter().filter(fits).take(KEYS_TRIED_MAX + 1).collect();
        if all.len() > KEYS_TRIED_MAX { Vec::new() } else { all }
    }

    fn push(&mut self, key: Key) {
        self.by_id.entry(key.id.clone()).or_default().push(self.keys.len());
        self.keys.push(key);
    }
}

/// One key.
pub(super) struct Key {
    id: Option<Box<str>>,
    /// What it may verify.
    algorithms: Algorithms,
    material: Material,
}

enum Material {
    /// ECDSA or Ed25519: what one key can verify by is one algorithm.
    Curve(ParsedPublicKey),
    /// RSA can verify by six, so it is made ready when it is used: that costs a tenth of the verification, and a set of
    /// ten thousand keys stays small.
    Rsa(RsaPublicKeyComponents<Box<[u8]>>),
    Secret(Box<hmac::Key>),
}

impl Key {
    /// Whether the signature is by this key, in this way.
    pub(super) fn verifies(&self, algorithm: Algorithm, message: &[u8], signature: &[u8]) -> bool {
        if !self.algorithms.has(algorithm) {
            return false;
        }
        match &self.material {
            Material::Curve(key) => key.verify_sig(message, signature).is_ok(),
            Material::Rsa(key) => algorithm
                .rsa()
                .is_some_and(|parameters| key.verify(parameters, message, signature).is_ok()),
            // In constant time.
            Material::Secret(key) => hmac::verify(key, message, signature).is_ok(),
        }
    }

    /// A key of a set; `None`: it is of no use here.
    fn read(members: &Map<String, Value>, algorithms: Algorithms) -> Option<Self> {
        // A member of the wrong type is no reason to take a key as if it were not there.
        let optional = |name: &str| match members.get(name) {
            None => Some(None),
            Some(Value::String(text)) => Some(Some(text.as_str())),
            Some(_) => None,
        };
        if optional("use")?.is_some_and(|purpose| purpose != "sig") || !may_verify(members) {
            return None;
        }
        let id = optional("kid")?;
        if id.is_some_and(|id| id.len() > KEY_ID_BYTES_MAX) {
            return None;
        }
        let own = optional("alg")?.map(Algorithm::read);
        let algorithms = match own {
            None => algorithms,
            Some(own) => {
                let own = own?;
                if !algorithms.has(own) {
                    return None;
                }
                Algorithms::NONE.with(own)
            }
        };
        let (can, material) = match json::text(members, "kty")? {
            "EC" => curve(members)?,
            "OKP" => edwards(members)?,
            "RSA" => rsa(members)?,
            _ => return None,
        };
        let algorithms = can.iter().filter(|algorithm| algorithms.has(*algorithm));
        let algorithms = algorithms.fold(Algorithms::NONE, Algorithms::with);
        let key = Self { id: id.map(Box::from), algorithms, material };
        (algorithms != Algorithms::NONE).then_some(key)
    }
}

/// Whether `key_ops` (RFC 7517 section 4.3), if there is one, names verifying.
fn may_verify(members: &Map<String, Value>) -> bool {
    match members.get("key_ops") {
        None => true,
        Some(Value::Array(operations)) => operations.iter().any(|operation| operation == "verify"),
        Some(_) => false,
    }
}

fn bytes(members: &Map<String, Value>, name: &str) -> Option<Vec<u8>> {
    base64url::read(json::text(members, name)?.as_bytes())
}

/// RFC 7518 section 6.2.1. That the point is on the curve is checked with it.
fn curve(members: &Map<String, Value>) -> Option<(Algorithms, Material)> {
    let name = json::text(members, "crv")?;
    let all = Algorithm::ALL.into_iter();
    let (algorithm, (verification, _, size)) = all
        .filter_map(|algorithm| Some((algorithm, algorithm.ec()?)))
        .find(|(_, (_, curve, _))| *curve == name)?;
    let (x, y) = (bytes(members, "x")?, bytes(members, "y")?);
    if x.len() != size || y.len() != size {
        return None;
    }
    // An uncompressed point (SEC 1 section 2.3.3).
    let point = [&[4], x.as_slice(), y.as_slice()].concat();
    let key = ParsedPublicKey::new(verification, point).ok()?;
    Some((Algorithms::NONE.with(algorithm), Material::Curve(key)))
}

/// RFC 8037 section 2.
fn edwards(members: &Map<String, Value>) -> Option<(Algorithms, Material)> {
    let x = bytes(members, "x").filter(|x| x.len() == 32)?;
    if json::text(members, "crv")? != "Ed25519" {
        return None;
    }
    let key = ParsedPublicKey::new(&ED25519, x).ok()?;
    Some((Algorithms::NONE.with(Algorithm::EdDsa), Material::Curve(key)))
}

/// RFC 7518 section 6.3.1. Some writers put the zero of a signed number ahead.
fn rsa(members: &Map<String, Value>) -> Option<(Algorithms, Material)> {
    let number = |name: &str| {
        let bytes = bytes(members, name)?;
        let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
        bytes.get(zeros..).map(Box::<[u8]>::from)
    };
    let (n, e) = (number("n")?, number("e")?);
    let is_odd = |number: &[u8]| number.last().is_some_and(|last| last & 1 == 1);
    let is_sound = is_odd(&n) && is_odd(&e) && *e != [1] && e.len() <= EXPONENT_BYTES_MAX;
    if !MODULUS_BYTES.contains(&n.len()) || !is_sound {
        return None;
    }
    let can = Algorithm::ALL.into_iter().filter(|algorithm| algorithm.rsa().is_some());
    let can = can.fold(Algorithms::NONE, Algorithms::with);
    let key = RsaPublicKeyComponents { n, e };
    // What no RSA can be is told now and not at each token.
    key.to_parsed_public_key(Algorithm::Rs256.rsa()?).ok()?;
    Some((can, Material::Rsa(key)))
}

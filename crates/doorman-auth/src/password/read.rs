//! Hashes from text.

use std::fmt;

use argon2::{Algorithm, Params, Version};
use base64ct::{Base64Unpadded, Encoding};
use sha2::{Digest, Sha256};

use super::crypt64::{SHA256_ORDER, SHA512_ORDER, decode_bcrypt, decode_sha};
use super::{
    ARGON2_LANES_MAX, ARGON2_MEMORY_MAX, ARGON2_PASSES_MAX, ARGON2_WORK_MAX, BCRYPT_COST_MAX, Kind,
    PasswordHash, SHA_CRYPT_ROUNDS_MAX,
};

/// Longest text of a hash, bytes: room for 48 bytes of salt and 64 of digest.
const TEXT_MAX: usize = 256;
const SALT_MAX: usize = 48;
const DIGEST_MAX: usize = 64;
/// Shorter digests could be met by chance.
const DIGEST_MIN: usize = 16;

/// Why a text is no hash that is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HashError {
    /// A kind that is broken too fast; its name.
    Weak(&'static str),
    /// It has no mark of any kind: DES crypt, or the password itself.
    Plain,
    /// A kind that is not known.
    Unknown,
    /// Malformed: what is wrong.
    Malformed(&'static str),
    /// It costs more than is allowed: which cost, and what the most is.
    Cost(&'static str, u64),
}

impl fmt::Display for HashError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Weak(kind) => {
                write!(f, "a hash of the kind {kind} is weak: make a new one with `doorman hash`")
            }
            Self::Plain => f.write_str(
                "no hash, or one of DES crypt, is weak: make a new one with `doorman hash`",
            ),
            Self::Unknown => f.write_str(
                "a hash of a kind that is not known; known are argon2id, argon2i, argon2d, bcrypt ($2y$) and \
                 SHA-crypt ($5$, $6$): make a new one with `doorman hash`",
            ),
            Self::Malformed(what) => {
                write!(f, "the hash is malformed ({what}): copy it again, or make a new one with `doorman hash`")
            }
            Self::Cost(what, most) => {
                write!(f, "the hash has more {what} than the {most} that are allowed: make a new one with `doorman hash`")
            }
        }
    }
}

impl std::error::Error for HashError {}

pub(super) fn read(text: &str) -> Result<PasswordHash, HashError> {
    if text.len() > TEXT_MAX {
        return Err(HashError::Malformed("too long"));
    }
    let (kind, digest) = if let Some(rest) = text.strip_prefix("$argon2") {
        argon2(rest)?
    } else if let Some(rest) = strip_any(text, &["$2y$", "$2b$", "$2a$"]) {
        bcrypt(rest)?
    } else if let Some(rest) = text.strip_prefix("$5$") {
        let (rounds, salt, digest) = sha_crypt(rest)?;
        let digest = decode_sha(digest, &SHA256_ORDER).ok_or(HashError::Malformed("its digest"))?;
        (Kind::Sha256Crypt { rounds, salt: salt.into() }, Box::from(digest))
    } else if let Some(rest) = text.strip_prefix("$6$") {
        let (rounds, salt, digest) = sha_crypt(rest)?;
        let digest = decode_sha(digest, &SHA512_ORDER).ok_or(HashError::Malformed("its digest"))?;
        (Kind::Sha512Crypt { rounds, salt: salt.into() }, Box::from(digest))
    } else {
        return Err(other(text));
    };
    let mut mark = [0; 16];
    mark.copy_from_slice(&Sha256::digest(text)[..16]);
    Ok(PasswordHash { kind, digest, mark })
}

/// What is not taken, by its mark.
fn other(text: &str) -> HashError {
    let weak = [
        ("$apr1$", "apr1 (MD5)"),
        ("$1$", "MD5-crypt"),
        ("{SHA}", "{SHA} (SHA-1 without a salt)"),
        ("{SSHA}", "{SSHA} (SHA-1)"),
        ("$2x$", "$2x$ (bcrypt with a flaw)"),
    ];
    match weak.iter().find(|(mark, _)| text.starts_with(mark)) {
        Some((_, name)) => HashError::Weak(name),
        None if text.starts_with('$') || text.starts_with('{') => HashError::Unknown,
        None => HashError::Plain,
    }
}

fn strip_any<'a>(text: &'a str, prefixes: &[&str]) -> Option<&'a str> {
    prefixes.iter().find_map(|prefix| text.strip_prefix(prefix))
}

/// `id$v=19$m=65536,t=3,p=4$salt$digest`, the PHC string format; without `v` it is version 16.
fn argon2(rest: &str) -> Result<(Kind, Box<[u8]>), HashError> {
    let mut parts = rest.split('$');
    let mut part = || parts.next().ok_or(HashError::Malformed("a part is missing"));
    let algorithm = match part()? {
        "id" => Algorithm::Argon2id,
        "i" => Algorithm::Argon2i,
        "d" => Algorithm::Argon2d,
        _ => return Err(HashError::Unknown),
    };
    let mut costs = part()?;
    let mut version = Version::V0x10;
    if let Some(written) = costs.strip_prefix("v=") {
        version = match written {
            "16" => Version::V0x10,
            "19" => Version::V0x13,
            _ => return Err(HashError::Malformed("its version is neither 16 nor 19")),
        };
        costs = part()?;
    }
    let params = argon2_costs(costs)?;
    let salt = base64(part()?, 8..=SALT_MAX, "its salt")?;
    let digest = base64(part()?, DIGEST_MIN..=DIGEST_MAX, "its digest")?;
    if parts.next().is_some() {
        return Err(HashError::Malformed("there is more behind its digest"));
    }
    Ok((Kind::Argon2 { algorithm, version, params, salt }, digest))
}

fn argon2_costs(costs: &str) -> Result<Params, HashError> {
    let malformed = HashError::Malformed("its costs are not m=NUMBER,t=NUMBER,p=NUMBER");
    let mut each = costs.split(',');
    let mut cost = |name: &str| {
        let value = each.next().and_then(|cost| cost.strip_prefix(name)).ok_or(malformed)?;
        number(value).ok_or(malformed)
    };
    let (memory, passes, lanes) = (cost("m=")?, cost("t=")?, cost("p=")?);
    if each.next().is_some() {
        return Err(malformed);
    }
    for (what, found, most) in [
        ("memory (KiB)", u64::from(memory), u64::from(ARGON2_MEMORY_MAX)),
        ("passes", u64::from(passes), u64::from(ARGON2_PASSES_MAX)),
        ("lanes", u64::from(lanes), u64::from(ARGON2_LANES_MAX)),
        ("memory (KiB) times passes", u64::from(memory) * u64::from(passes), ARGON2_WORK_MAX),
    ] {
        if found > most {
            return Err(HashError::Cost(what, most));
        }
    }
    Params::new(memory, passes, lanes, None)
        .map_err(|_| HashError::Malformed("its costs are lower than Argon2 allows"))
}

/// Base64 without padding, so many bytes.
fn base64(
    text: &str,
    len: std::ops::RangeInclusive<usize>,
    what: &'static str,
) -> Result<Box<[u8]>, HashError> {
    let bytes = Base64Unpadded::decode_vec(text).map_err(|_| HashError::Malformed(what))?;
    if !len.contains(&bytes.len()) {
        return Err(HashError::Malformed(what));
    }
    Ok(bytes.into())
}

/// `10$` and 22 characters of salt and 31 of digest.
fn bcrypt(rest: &str) -> Result<(Kind, Box<[u8]>), HashError> {
    let (cost, rest) = rest.split_once('$').ok_or(HashError::Malformed("its cost"))?;
    if cost.len() != 2 || !cost.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(HashError::Malformed("its cost"));
    }
    let cost: u32 = cost.parse().map_err(|_| HashError::Malformed("its cost"))?;
    if cost < 4 {
        return Err(HashError::Malformed("its cost is lower than 4"));
    }
    if cost > BCRYPT_COST_MAX {
        return Err(HashError::Cost("cost", u64::from(BCRYPT_COST_MAX)));
    }
    let (salt, digest) =
        rest.as_bytes().split_at_checked(22).ok_or(HashError::Malformed("its salt"))?;
    let salt = decode_bcrypt::<16>(salt).ok_or(HashError::Malformed("its salt"))?;
    let digest = decode_bcrypt::<23>(digest).ok_or(HashError::Malformed("its digest"))?;
    Ok((Kind::Bcrypt { cost, salt }, Box::from(digest)))
}

/// `rounds=5000$salt$digest`; without `rounds` they are 5000.
fn sha_crypt(rest: &str) -> Result<(u32, &[u8], &[u8]), HashError> {
    let mut rounds = sha_crypt::Params::RECOMMENDED_ROUNDS;
    let mut rest = rest;
    if let Some(costs) = rest.strip_prefix("rounds=") {
        let (written, salted) = costs.split_once('$').ok_or(HashError::Malformed("its salt"))?;
        rounds = number(written).ok_or(HashError::Malformed("its rounds"))?;
        rest = salted;
    }
    // crypt(3) would take a lower number for 1000, and write that; so no hash has one.
    if rounds < sha_crypt::Params::ROUNDS_MIN {
        return Err(HashError::Malformed("its rounds are fewer than 1000"));
    }
    if rounds > SHA_CRYPT_ROUNDS_MAX {
        return Err(HashError::Cost("rounds", u64::from(SHA_CRYPT_ROUNDS_MAX)));
    }
    let (salt, digest) = rest.split_once('$').ok_or(HashError::Malformed("its digest"))?;
    if salt.len() > 16 || !salt.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(HashError::Malformed("its salt"));
    }
    Ok((rounds, salt.as_bytes(), digest.as_bytes()))
}

/// A decimal number as hashes hold it: no sign, no zero ahead.
fn number(text: &str) -> Option<u32> {
    let plain = text.bytes().all(|byte| byte.is_ascii_digit());
    let valid = plain && (text == "0" || !text.starts_with('0'));
    if valid { text.parse().ok() } else { None }
}

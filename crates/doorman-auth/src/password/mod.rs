//! Hashes of passwords, as they stand in files: read, checked against a password, made.
//!
//! One decision shaped this: a hash that a graphics card turns back in an afternoon is refused when it is
//! read, with the way to a better one, and not silently taken. And what a hash costs is bounded when it is
//! read: an operator's file is trusted with whom it lets in, not with all of the machine's memory.

mod crypt64;
mod read;

use std::fmt;

use argon2::{Algorithm, Argon2, Params, Version};
use base64ct::{Base64Unpadded, Encoding};
use subtle::ConstantTimeEq;

pub use read::HashError;

/// Longest password that is checked, bytes. SHA-crypt hashes it once for each of its own bytes and again in
/// every round, so that a longer one would let a client choose what a check costs.
pub const PASSWORD_MAX: usize = 256;
/// Most memory that an Argon2 hash may ask for, KiB: 256 MiB.
pub const ARGON2_MEMORY_MAX: u32 = 256 * 1024;
/// Most passes of an Argon2 hash over its memory.
pub const ARGON2_PASSES_MAX: u32 = 100;
/// Most memory times passes, KiB: 4 GiB, some four seconds of one core.
pub const ARGON2_WORK_MAX: u64 = 4 * 1024 * 1024;
/// Most lanes of an Argon2 hash.
pub const ARGON2_LANES_MAX: u32 = 16;
/// Highest cost of a bcrypt hash: 2 to the 16 rounds are some four seconds of one core.
pub const BCRYPT_COST_MAX: u32 = 16;
/// Most rounds of a SHA-crypt hash: some seconds of one core.
pub const SHA_CRYPT_ROUNDS_MAX: u32 = 5_000_000;

/// What new hashes cost: 19 MiB, two passes, one lane; what OWASP's password storage cheat sheet names first
/// for Argon2id.
const NEW_MEMORY: u32 = 19 * 1024;
const NEW_PASSES: u32 = 2;

/// A hash of a password.
#[derive(Clone, PartialEq, Eq)]
pub struct PasswordHash {
    kind: Kind,
    /// What the password has to come to.
    digest: Box<[u8]>,
    /// A digest of the hash as it was written: what tells it from one that has been changed.
    mark: [u8; 16],
}

#[derive(Clone, PartialEq, Eq)]
enum Kind {
    Argon2 { algorithm: Algorithm, version: Version, params: Params, salt: Box<[u8]> },
    Bcrypt { cost: u32, salt: [u8; 16] },
    Sha256Crypt { rounds: u32, salt: Box<[u8]> },
    Sha512Crypt { rounds: u32, salt: Box<[u8]> },
}

impl PasswordHash {
    /// Reads a hash: Argon2 in PHC form, bcrypt (`$2y$`, `$2b$`, `$2a$`), or SHA-crypt (`$5$`, `$6$`).
    ///
    /// # Errors
    /// It is of another kind, or malformed, or costs more than the bounds of this module.
    pub fn read(text: &str) -> Result<Self, HashError> {
        read::read(text)
    }

    /// Whether the password is the one. Takes as long for a wrong one as for the right one, and that is
    /// long: run it where no request waits.
    ///
    /// A bcrypt hash knows no more than the first 72 bytes of a password; that lies in bcrypt.
    #[must_use]
    pub fn verify(&self, password: &[u8]) -> bool {
        if password.len() > PASSWORD_MAX {
            return false;
        }
        match &self.kind {
            Kind::Argon2 { algorithm, version, params, salt } => {
                let mut found = vec![0; self.digest.len()];
                let argon2 = Argon2::new(*algorithm, *version, params.clone());
                let hashed = argon2.hash_password_into(password, salt, &mut found);
                hashed.is_ok() && same(&found, &self.digest)
            }
            Kind::Bcrypt { cost, salt } => {
                // The NUL behind a password is part of it, and 72 bytes are all that bcrypt reads.
                let key: Vec<u8> = password.iter().copied().chain([0]).take(72).collect();
                same(&bcrypt::bcrypt(*cost, *salt, &key)[..bcrypt_len()], &self.digest)
            }
            Kind::Sha256Crypt { rounds, salt } => match sha_crypt::Params::new(*rounds) {
                Ok(params) => same(&sha_crypt::sha256_crypt(password, salt, params), &self.digest),
                Err(_) => false,
            },
            Kind::Sha512Crypt { rounds, salt } => match sha_crypt::Params::new(*rounds) {
                Ok(params) => same(&sha_crypt::sha512_crypt(password, salt, params), &self.digest),
                Err(_) => false,
            },
        }
    }

    /// A digest of the hash as it was written: another hash has another one.
    #[must_use]
    pub const fn mark(&self) -> &[u8; 16] {
        &self.mark
    }

    /// What a check costs, as a word: two hashes with equal ones take equally long.
    #[must_use]
    pub fn cost(&self) -> String {
        match &self.kind {
            Kind::Argon2 { algorithm, params, .. } => {
                let (m, t, p) = (params.m_cost(), params.t_cost(), params.p_cost());
                format!("{} m={m} t={t} p={p}", algorithm.as_str())
            }
            Kind::Bcrypt { cost, .. } => format!("bcrypt cost={cost}"),
            Kind::Sha256Crypt { rounds, .. } => format!("sha256-crypt rounds={rounds}"),
            Kind::Sha512Crypt { rounds, .. } => format!("sha512-crypt rounds={rounds}"),
        }
    }

    /// Most memory that a check takes, bytes.
    #[must_use]
    pub const fn memory(&self) -> u64 {
        match &self.kind {
            Kind::Argon2 { params, .. } => params.m_cost() as u64 * 1024,
            Kind::Bcrypt { .. } => 8 * 1024,
            Kind::Sha256Crypt { .. } | Kind::Sha512Crypt { .. } => 4 * 1024,
        }
    }
}

/// A hash may be shown by its cost; the rest of it is nobody's business.
impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PasswordHash({})", self.cost())
    }
}

/// Bytes of a bcrypt digest that a hash holds: it has always left the last one out.
const fn bcrypt_len() -> usize {
    23
}

/// Whether they are the same, told in a time that says nothing of where they differ.
fn same(found: &[u8], expect: &[u8]) -> bool {
    found.ct_eq(expect).into()
}

/// Why no hash can be made of a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MakeError {
    /// It is empty.
    Empty,
    /// It is longer than [`PASSWORD_MAX`].
    TooLong,
    /// It holds a control character, which cannot be sent (RFC 7617 section 2).
    Control,
}

impl fmt::Display for MakeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("the password is empty; choose one"),
            Self::TooLong => {
                write!(f, "the password is longer than {PASSWORD_MAX} bytes; choose a shorter one")
            }
            Self::Control => f.write_str(
                "the password holds a control character, which no client can send; choose one without",
            ),
        }
    }
}

impl std::error::Error for MakeError {}

/// A new Argon2id hash of the password, for a file. `salt` is fresh chance. Takes some tens of
/// milliseconds and 19 MiB.
///
/// # Errors
/// No client could ever send this password.
pub fn make(password: &str, salt: &[u8; 16]) -> Result<String, MakeError> {
    if password.is_empty() {
        return Err(MakeError::Empty);
    }
    if password.len() > PASSWORD_MAX {
        return Err(MakeError::TooLong);
    }
    if password.chars().any(char::is_control) {
        return Err(MakeError::Control);
    }
    let params =
        Params::new(NEW_MEMORY, NEW_PASSES, 1, None).expect("constants within Argon2's own bounds");
    let mut digest = [0; 32];
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
        .hash_password_into(password.as_bytes(), salt, &mut digest)
        .expect("lengths within Argon2's own bounds");
    Ok(format!(
        "$argon2id$v=19$m={NEW_MEMORY},t={NEW_PASSES},p=1${}${}",
        Base64Unpadded::encode_string(salt),
        Base64Unpadded::encode_string(&digest)
    ))
}

/// A hash that no password comes to, at the cost of new ones: for files that hold none.
pub(crate) fn nobody() -> PasswordHash {
    let kind = Kind::Argon2 {
        algorithm: Algorithm::Argon2id,
        version: Version::V0x13,
        params: Params::new(NEW_MEMORY, NEW_PASSES, 1, None)
            .expect("constants within Argon2's own bounds"),
        salt: Box::from(*b"nobody's salt..."),
    };
    PasswordHash { kind, digest: Box::from([0; 32]), mark: [0; 16] }
}

#[cfg(test)]
mod tests;

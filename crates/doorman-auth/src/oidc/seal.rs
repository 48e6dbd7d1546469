//! What a browser keeps for us and must neither read nor change: sealed with AES-256-GCM.
//!
//! One decision shaped it: each seal has a key of its own, made by HMAC-SHA-256 from a master key and a salt of 128
//! random bits. Under one key a random nonce of 96 bits may be used for 2^32 messages (NIST SP 800-38D section 8.3),
//! which a busy site seals in weeks; so made, it never comes near.
//!
//! A seal names its master key, so that keys can be changed: the first seals, all open. It is bound to what it is for,
//! so nothing that was sealed for one purpose, cookie or client opens as another.

use std::fmt;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::hmac;

/// Bytes of a master key. They must be as good as random.
pub const SEAL_KEY_BYTES: usize = 32;

/// Most master keys: one that seals, and those before it whose cookies still go around.
pub const SEAL_KEYS_MAX: usize = 8;

/// Random bytes that a seal takes.
pub const SEAL_CHANCE_BYTES: usize = SALT_BYTES + NONCE_LEN;

const SALT_BYTES: usize = 16;
const ID_BYTES: usize = 4;
const TAG_BYTES: usize = 16;

/// The form of a seal. Another form has another number.
const FORM: u8 = 1;

/// Bytes that a seal adds.
pub(super) const SEAL_BYTES: usize = 1 + ID_BYTES + SALT_BYTES + NONCE_LEN + TAG_BYTES;

/// Master keys of seals. They are never printed.
#[derive(Clone)]
pub struct SealKeys(Vec<SealKey>);

impl fmt::Debug for SealKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SealKeys").field(&self.0.len()).finish()
    }
}

#[derive(Clone)]
struct SealKey {
    id: [u8; ID_BYTES],
    master: hmac::Key,
}

/// Why keys are none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SealKeysError(usize);

impl fmt::Display for SealKeysError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "there are {} keys of sessions: 1 to {SEAL_KEYS_MAX} are taken", self.0)
    }
}

impl std::error::Error for SealKeysError {}

impl SealKeys {
    /// Keys of which the first seals and all open.
    ///
    /// # Errors
    /// There is none, or there are more than [`SEAL_KEYS_MAX`].
    pub fn new(keys: &[[u8; SEAL_KEY_BYTES]]) -> Result<Self, SealKeysError> {
        if !(1..=SEAL_KEYS_MAX).contains(&keys.len()) {
            return Err(SealKeysError(keys.len()));
        }
        let key = |bytes: &[u8; SEAL_KEY_BYTES]| {
            let master = hmac::Key::new(hmac::HMAC_SHA256, bytes);
            let mut id = [0; ID_BYTES];
            // An id is no salt: those have another length.
            id.copy_from_slice(&hmac::sign(&master, b"id").as_ref()[..ID_BYTES]);
            SealKey { id, master }
        };
        Ok(Self(keys.iter().map(key).collect()))
    }

    /// Seals for a purpose. `None`: it is longer than any seal may be (never, for what is bounded before).
    pub(super) fn seal(
        &self,
        purpose: &[u8],
        plain: &[u8],
        chance: &[u8; SEAL_CHANCE_BYTES],
    ) -> Option<Vec<u8>> {
        let key = self.0.first()?;
        let (salt, nonce) = chance.split_at(SALT_BYTES);
        let mut sealed = Vec::with_capacity(plain.len() + SEAL_BYTES);
        sealed.push(FORM);
        sealed.extend_from_slice(&key.id);
        sealed.extend_from_slice(chance);
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        let mut text = plain.to_vec();
        let tag = key.with(salt)?.seal_in_place_separate_tag(nonce, Aad::from(purpose), &mut text);
        sealed.extend_from_slice(&text);
        sealed.extend_from_slice(tag.ok()?.as_ref());
        Some(sealed)
    }

    /// What was sealed for this purpose with one of the keys.
    pub(super) fn open(&self, purpose: &[u8], sealed: &[u8]) -> Option<Vec<u8>> {
        let (&form, rest) = sealed.split_first()?;
        let (id, rest) = rest.split_at_checked(ID_BYTES)?;
        let (salt, rest) = rest.split_at_checked(SALT_BYTES)?;
        let (nonce, rest) = rest.split_at_checked(NONCE_LEN)?;
        if form != FORM {
            return None;
        }
        self.0.iter().filter(|key| key.id == id).find_map(|key| {
            let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
            let mut text = rest.to_vec();
            let length =
                key.with(salt)?.open_in_place(nonce, Aad::from(purpose), &mut text).ok()?.len();
            text.truncate(length);
            Some(text)
        })
    }
}

impl SealKey {
    fn with(&self, salt: &[u8]) -> Option<LessSafeKey> {
        let key = hmac::sign(&self.master, salt);
        UnboundKey::new(&AES_256_GCM, key.as_ref()).ok().map(LessSafeKey::new)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn keys(bytes: &[u8]) -> SealKeys {
        let keys: Vec<[u8; SEAL_KEY_BYTES]> = bytes.iter().map(|byte| [*byte; 32]).collect();
        SealKeys::new(&keys).expect("keys")
    }

    #[test]
    fn keys_are_changed_one_after_another() {
        let sealed = keys(&[1]).seal(b"p", b"text", &[9; SEAL_CHANCE_BYTES]).expect("a seal");
        assert_eq!(sealed.len(), 4 + SEAL_BYTES);
        assert_eq!(keys(&[2, 1]).open(b"p", &sealed).as_deref(), Some(&b"text"[..]));
        assert_eq!(keys(&[2, 3]).open(b"p", &sealed), None);
        let newer = keys(&[2, 1]).seal(b"p", b"text", &[9; SEAL_CHANCE_BYTES]).expect("a seal");
        assert_eq!(keys(&[2]).open(b"p", &newer).as_deref(), Some(&b"text"[..]));
        assert_eq!(keys(&[1]).open(b"p", &newer), None);
        assert_eq!(keys(&[1]).open(b"q", &sealed), None, "another purpose");
        assert_eq!(SealKeys::new(&[]).err(), Some(SealKeysError(0)));
        assert_eq!(SealKeys::new(&[[0; 32]; 9]).err(), Some(SealKeysError(9)));
        assert_eq!(format!("{:?}", keys(&[1, 2])), "SealKeys(2)");
    }

    #[test]
    fn what_is_cut_does_not_open() {
        let keys = keys(&[1]);
        let sealed = keys.seal(b"p", b"text", &[9; SEAL_CHANCE_BYTES]).expect("a seal");
        for length in 0..sealed.len() {
            assert_eq!(keys.open(b"p", &sealed[..length]), None, "{length}");
        }
    }

    proptest! {
        #[test]
        fn what_is_sealed_opens_and_nothing_near_it(
            plain: Vec<u8>,
            chance: [u8; SEAL_CHANCE_BYTES],
            bit: prop::sample::Index,
        ) {
            let keys = keys(&[1, 2]);
            let mut sealed = keys.seal(b"p", &plain, &chance).expect("a seal");
            prop_assert_eq!(keys.open(b"p", &sealed), Some(plain));
            let bit = bit.index(sealed.len() * 8);
            sealed[bit / 8] ^= 1 << (bit % 8);
            prop_assert_eq!(keys.open(b"p", &sealed), None);
        }
    }
}

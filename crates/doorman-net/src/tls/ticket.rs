//! Session tickets: resumption without a memory of sessions, safe to share by every core, listener and reload.
//!
//! The keys are our own rather than rustls' `Ticketer`, for two reasons: that one reads the system clock, and it binds
//! a ticket to nothing, so that a session of one listener could be resumed at another with stricter settings. Here a
//! ticket is sealed with AES-256-GCM under the current key, with the realm of its listener as associated data, and
//! opened with the current or the previous key in the same realm only.
//!
//! ```text
//! ticket = key name (16) | nonce (12) | ciphertext | tag (16)
//!
//! a key's life:   made ──── seals and opens ──── 6 h ──── opens only ──── 12 h, gone
//! ```
//!
//! Nonces are random: at 50,000 tickets a second for six hours (2^30 of them) the chance that two of a key are equal is
//! 2^-37, and no counter has to be shared between cores.

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use rustls::server::{ProducesTickets, StoresServerSessions};
use rustls::time_provider::TimeProvider;

use super::session::Sessions;

/// How long a key seals tickets, in seconds: six hours. It opens them for twice as long.
pub const TICKET_KEY_SECONDS: u64 = 6 * 60 * 60;

/// How long a key opens tickets, in seconds, and the lifetime told to clients.
pub(super) const TICKET_SECONDS: u32 = 12 * 60 * 60;

/// The longest ticket that is looked at, in bytes. Ours are about 120; room is left for a client's certificate chain.
const TICKET_BYTES_MAX: usize = 16 * 1024;

const KEY_NAME_BYTES: usize = 16;
const TAG_BYTES: usize = 16;
const KEY_BYTES: usize = 32;

/// What a realm's identity is reduced to.
pub(super) const REALM_BYTES: usize = 32;

/// The keys that seal session tickets: one value for the whole process, kept over reloads.
pub struct TicketKeys {
    clock: Arc<dyn TimeProvider>,
    sessions: Arc<Sessions>,
    /// Read once or twice in a handshake of 200 µs; written four times a day.
    keys: RwLock<Keys>,
}

struct Keys {
    current: Key,
    previous: Option<Key>,
}

struct Key {
    name: [u8; KEY_NAME_BYTES],
    cipher: LessSafeKey,
    made: u64,
}

impl TicketKeys {
    /// Makes the first key.
    ///
    /// # Errors
    ///
    /// When there is no randomness or no time. The caller must not start then.
    pub fn new(clock: Arc<dyn TimeProvider>) -> Result<Arc<Self>, TicketKeysError> {
        let now = clock.current_time().ok_or(TicketKeysError::Time)?.as_secs();
        let keys = Keys { current: Key::new(now)?, previous: None };
        let sessions = Sessions::new(Arc::clone(&clock));
        Ok(Arc::new(Self { clock, sessions, keys: RwLock::new(keys) }))
    }

    /// Rotates the keys when their time has come, and forgets those that nothing opens any more.
    ///
    /// Handshakes do this by themselves. Call it now and then (once in ten minutes) so that an idle proxy forgets its
    /// old keys too.
    ///
    /// # Errors
    ///
    /// When there is no randomness or no time. No tickets are made then, and handshakes go on without.
    pub fn rotate(&self) -> Result<(), TicketKeysError> {
        let now = self.now()?;
        let fresh = {
            let keys = self.read();
            keys.current.seals(now) && keys.previous.as_ref().is_none_or(|key| key.opens(now))
        };
        if fresh {
            return Ok(());
        }
        let next = Key::new(now)?;
        let mut keys = self.keys.write().unwrap_or_else(PoisonError::into_inner);
        if !keys.current.seals(now) {
            let old = std::mem::replace(&mut keys.current, next);
            keys.previous = Some(old);
        }
        keys.previous.take_if(|key| !key.opens(now));
        Ok(())
    }

    /// A ticketer for one realm: its tickets are opened only by a ticketer of the same identity.
    pub(super) fn realm(self: &Arc<Self>, identity: [u8; REALM_BYTES]) -> Arc<dyn ProducesTickets> {
        Arc::new(Realm { keys: Arc::clone(self), identity })
    }

    /// Sessions that are resumed once, of one realm; instead of tickets, where early data is taken.
    pub(super) fn sessions(&self, identity: [u8; REALM_BYTES]) -> Arc<dyn StoresServerSessions> {
        self.sessions.realm(identity)
    }

    fn now(&self) -> Result<u64, TicketKeysError> {
        Ok(self.clock.current_time().ok_or(TicketKeysError::Time)?.as_secs())
    }

    fn read(&self) -> RwLockReadGuard<'_, Keys> {
        self.keys.read().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for TicketKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TicketKeys").finish_non_exhaustive()
    }
}

impl Key {
    fn new(now: u64) -> Result<Self, TicketKeysError> {
        let mut name = [0; KEY_NAME_BYTES];
        let mut secret = [0; KEY_BYTES];
        aws_lc_rs::rand::fill(&mut name).map_err(|_| TicketKeysError::Randomness)?;
        aws_lc_rs::rand::fill(&mut secret).map_err(|_| TicketKeysError::Randomness)?;
        let key = UnboundKey::new(&AES_256_GCM, &secret);
        secret.fill(0);
        // Keeps the compiler from dropping the line above as a dead store.
        std::hint::black_box(&secret);
        let cipher = LessSafeKey::new(key.map_err(|_| TicketKeysError::Randomness)?);
        Ok(Self { name, cipher, made: now })
    }

    fn seals(&self, now: u64) -> bool {
        now.saturating_sub(self.made) < TICKET_KEY_SECONDS
    }

    fn opens(&self, now: u64) -> bool {
        now.saturating_sub(self.made) < u64::from(TICKET_SECONDS)
    }
}

/// The ticketer of one listener's settings.
#[derive(Debug)]
struct Realm {
    keys: Arc<TicketKeys>,
    identity: [u8; REALM_BYTES],
}

impl ProducesTickets for Realm {
    fn enabled(&self) -> bool {
        true
    }

    fn lifetime(&self) -> u32 {
        TICKET_SECONDS
    }

    fn encrypt(&self, plain: &[u8]) -> Option<Vec<u8>> {
        self.keys.rotate().ok()?;
        let mut nonce = [0; NONCE_LEN];
        aws_lc_rs::rand::fill(&mut nonce).ok()?;
        let keys = self.keys.read();
        let Key { name, cipher, .. } = &keys.current;
        let prefix = KEY_NAME_BYTES + NONCE_LEN;
        let mut ticket = Vec::with_capacity(prefix + plain.len() + TAG_BYTES);
        ticket.extend_from_slice(name);
        ticket.extend_from_slice(&nonce);
        ticket.extend_from_slice(plain);
        let tag = cipher
            .seal_in_place_separate_tag(
                Nonce::assume_unique_for_key(nonce),
                Aad::from(&self.identity),
                &mut ticket[prefix..],
            )
            .ok()?;
        ticket.extend_from_slice(tag.as_ref());
        (ticket.len() <= TICKET_BYTES_MAX).then_some(ticket)
    }

    fn decrypt(&self, ticket: &[u8]) -> Option<Vec<u8>> {
        if ticket.len() > TICKET_BYTES_MAX {
            return None;
        }
        let (name, rest) = ticket.split_first_chunk::<KEY_NAME_BYTES>()?;
        let (nonce, sealed) = rest.split_first_chunk::<NONCE_LEN>()?;
        let now = self.keys.now().ok()?;
        let keys = self.keys.read();
        let key = std::iter::once(&keys.current)
            .chain(&keys.previous)
            .find(|key| key.name == *name && key.opens(now))?;
        let mut plain = sealed.to_vec();
        let length = key
            .cipher
            .open_in_place(
                Nonce::assume_unique_for_key(*nonce),
                Aad::from(&self.identity),
                &mut plain,
            )
            .ok()?
            .len();
        plain.truncate(length);
        Some(plain)
    }
}

/// Why there are no ticket keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TicketKeysError {
    /// The operating system gave no random bytes.
    Randomness,
    /// The clock gave no time.
    Time,
}

impl fmt::Display for TicketKeysError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Randomness => "no random bytes for the keys of session tickets",
            Self::Time => "no time for the keys of session tickets",
        })
    }
}

impl std::error::Error for TicketKeysError {}

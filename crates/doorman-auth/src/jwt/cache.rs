//! Tokens that were found good, so that the next request with the same one costs a hash and a look.
//!
//! One decision shaped it: a core has its own and holds it by `&mut`, so a look needs no lock and no atomic; a client
//! that meets every core has its token verified once on each. It is a table of fixed size in sets of four places. A
//! token is known by a keyed hash of 128 bits of all its bytes, so no token is kept, and nobody without the key can
//! make another one that hashes alike.

use std::fmt;
use std::sync::Arc;

use crate::outcome::Identity;
use crate::sip::SipKey;

/// Places of a set: a token may stand in any of them.
const WAYS: usize = 4;

/// Tokens where nothing is written. With identities of the usual 200 bytes that is 1 MiB on each core.
pub const TOKENS_DEFAULT: usize = 4096;

/// Most tokens of a cache. Each may hold 8 KiB of claims (see [`super::VALUES_BYTES_MAX`]).
pub const TOKENS_MAX: usize = 1 << 20;

/// Good tokens of one core and one gate.
pub struct Cache {
    key: SipKey,
    /// Keys that they were verified with; see [`super::Keys::generation`].
    generation: u64,
    sets: Box<[[Option<Entry>; WAYS]]>,
    /// Which place of a full set goes next.
    turn: usize,
}

struct Entry {
    hash: u128,
    /// Seconds since the Unix epoch.
    expires: u64,
    identity: Arc<Identity>,
}

impl fmt::Debug for Cache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tokens = self.sets.iter().flatten().flatten().count();
        f.debug_struct("Cache").field("tokens", &tokens).finish_non_exhaustive()
    }
}

/// A token's hash, made once for a look and for what is remembered after it.
#[derive(Clone, Copy)]
pub(super) struct Hash(u128);

impl Cache {
    /// A cache of about so many tokens: a power of two between 4 and [`TOKENS_MAX`]. `chance` is 128 random bits of the
    /// process, which nobody else knows.
    #[must_use]
    pub fn new(tokens: usize, chance: [u64; 2]) -> Self {
        let sets = tokens.clamp(WAYS, TOKENS_MAX).next_power_of_two() / WAYS;
        Self {
            key: SipKey(chance[0], chance[1]),
            generation: 0,
            sets: (0..sets).map(|_| [const { None }; WAYS]).collect(),
            turn: 0,
        }
    }

    /// Whom a good token is about, if it is remembered, its keys are still those, and its time isn't over.
    #[inline]
    pub(super) fn look(
        &mut self,
        token: &[u8],
        generation: u64,
        seconds: u64,
    ) -> Result<&Arc<Identity>, Hash> {
        if self.generation != generation {
            self.sets.fill_with(|| [const { None }; WAYS]);
            self.generation = generation;
        }
        let hash = self.key.hash(token);
        let set = self.set(hash);
        let is_it = |entry: &&Entry| entry.hash == hash && seconds < entry.expires;
        let found = self.sets[set].iter().flatten().find(is_it);
        found.map(|entry| &entry.identity).ok_or(Hash(hash))
    }

    /// Remembers a token. What is over makes room first, then whose turn it is.
    pub(super) fn remember(
        &mut self,
        Hash(hash): Hash,
        expires: u64,
        identity: Arc<Identity>,
        seconds: u64,
    ) {
        let set = self.set(hash);
        let places = &mut self.sets[set];
        let is_free = |place: &Option<Entry>| {
            place.as_ref().is_none_or(|entry| entry.expires <= seconds || entry.hash == hash)
        };
        let place = places.iter().position(is_free).unwrap_or_else(|| {
            self.turn = self.turn.wrapping_add(1);
            self.turn % WAYS
        });
        places[place] = Some(Entry { hash, expires, identity });
    }

    fn set(&self, hash: u128) -> usize {
        let bits = hash as usize;
        bits & (self.sets.len() - 1)
    }
}

//! What a stored response's freshness is made of (RFC 9111 section 4.2), worked out once when it is
//! stored: to serve it, nothing of its head is read again.
//!
//! Inside of one process a response ages by the monotonic clock, so no jump of the wall clock makes
//! it older or younger. The wall clock counts twice: against `Date` when the response comes, and
//! over a restart.

use doorman_http::{Instant, Now};

use crate::control::SECONDS_MAX;

/// Age, lifetime and prohibitions of a stored response. All spans are seconds, at most 2^31.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Meta {
    /// When the response came.
    pub(crate) received: Now,
    /// `corrected_initial_age` (section 4.2.3).
    pub(crate) initial_age: u32,
    pub(crate) lifetime: u32,
    /// Seconds past the lifetime in which it may be served while it is fetched anew.
    pub(crate) stale_while_revalidate: u32,
    /// Seconds past the lifetime in which it may be served when the origin fails.
    pub(crate) stale_if_error: u32,
    pub(crate) status: u16,
    pub(crate) flags: Flags,
}

/// Properties of a stored response, as bits: they go to disk as they are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Flags(u16);

impl Flags {
    /// It must be validated before each use (section 5.2.2.4).
    pub(crate) const NO_CACHE: Self = Self(1);
    /// It must never be served stale: `must-revalidate`, `proxy-revalidate`.
    pub(crate) const NEVER_STALE: Self = Self(1 << 1);
    /// A client's `max-stale` does not apply: `s-maxage` says so, too (section 5.2.2.10).
    pub(crate) const NO_MAX_STALE: Self = Self(1 << 2);
    /// Requests with cookies may use it.
    pub(crate) const SHARED_WITH_COOKIES: Self = Self(1 << 3);
    /// Requests with `Authorization` may use it (section 3.5).
    pub(crate) const SHARED_WITH_AUTHORIZATION: Self = Self(1 << 4);
    /// It has been made stale before its time.
    pub(crate) const MADE_STALE: Self = Self(1 << 5);
    /// It does not change while it is fresh (RFC 8246).
    pub(crate) const IMMUTABLE: Self = Self(1 << 6);
    /// Its lifetime is a guess (section 4.2.2).
    pub(crate) const GUESSED: Self = Self(1 << 7);
    /// It has a validator.
    pub(crate) const HAS_VALIDATOR: Self = Self(1 << 8);
    const ALL: Self = Self((1 << 9) - 1);

    pub(crate) const fn has(self, flag: Self) -> bool {
        self.0 & flag.0 != 0
    }

    pub(crate) const fn set(&mut self, flag: Self, on: bool) {
        if on {
            self.0 |= flag.0;
        }
    }
}

impl Meta {
    /// Bytes of [`Meta::to_bytes`].
    pub const BYTES: usize = 32;

    /// `current_age` (section 4.2.3), in seconds: what `Age` says.
    #[must_use]
    #[inline]
    pub fn age(&self, now: Now) -> u32 {
        let resident = now.instant.since(self.received.instant).as_secs();
        let resident = u32::try_from(resident).unwrap_or(SECONDS_MAX);
        self.initial_age.saturating_add(resident).min(SECONDS_MAX)
    }

    /// `freshness_lifetime` (section 4.2.1), in seconds.
    #[must_use]
    #[inline]
    pub const fn lifetime(&self) -> u32 {
        self.lifetime
    }

    /// Seconds that it stays fresh; not above zero when it is stale.
    #[must_use]
    #[inline]
    pub fn ttl(&self, now: Now) -> i64 {
        let ttl = i64::from(self.lifetime) - i64::from(self.age(now));
        if self.flags.has(Flags::MADE_STALE) { ttl.min(0) } else { ttl }
    }

    /// Whether it is fresh: its lifetime is greater than its age (section 4.2).
    #[must_use]
    #[inline]
    pub fn is_fresh(&self, now: Now) -> bool {
        self.ttl(now) > 0
    }

    /// Seconds for which it is of any use: until it is neither fresh nor inside of a window in which
    /// it may be served stale. What has a validator may be of use longer.
    #[must_use]
    pub fn useful_seconds(&self, now: Now) -> u32 {
        let windows = self.stale_while_revalidate.max(self.stale_if_error);
        let end = self.ttl(now) + i64::from(windows);
        u32::try_from(end.max(0)).unwrap_or(SECONDS_MAX)
    }

    /// The status of the response.
    #[must_use]
    pub const fn status(&self) -> u16 {
        self.status
    }

    /// Whether the response has a validator, so that it can be validated instead of fetched.
    #[must_use]
    pub const fn has_validator(&self) -> bool {
        self.flags.has(Flags::HAS_VALIDATOR)
    }

    /// Whether it must be validated before each use, however fresh it is.
    #[must_use]
    pub const fn is_always_validated(&self) -> bool {
        self.flags.has(Flags::NO_CACHE)
    }

    /// Whether its lifetime is a guess from `Last-Modified` (section 4.2.2).
    #[must_use]
    pub const fn is_guessed(&self) -> bool {
        self.flags.has(Flags::GUESSED)
    }

    /// When the response came, in seconds since the Unix epoch, by the wall clock of then.
    #[must_use]
    pub const fn received_unix(&self) -> u64 {
        self.received.unix_seconds()
    }

    /// Makes it stale from now on, as a soft purge does. The windows in which it may be served stale
    /// stay open as long as they would have.
    pub const fn make_stale(&mut self) {
        self.flags.set(Flags::MADE_STALE, true);
    }

    /// Whether it was made stale before its time.
    #[must_use]
    pub const fn was_made_stale(&self) -> bool {
        self.flags.has(Flags::MADE_STALE)
    }

    /// A response of an earlier process, as it is now: it has aged by the wall clock. When that shows
    /// a time before the response came, nobody knows how old it is, and it is stale.
    #[must_use]
    pub fn recovered(self, now: Now) -> Self {
        let passed = now.unix_nanos.checked_sub(self.received.unix_nanos);
        let seconds = passed.unwrap_or(0) / 1_000_000_000;
        let seconds = u32::try_from(seconds).unwrap_or(SECONDS_MAX);
        let mut flags = self.flags;
        flags.set(Flags::MADE_STALE, passed.is_none());
        let initial_age = self.initial_age.saturating_add(seconds).min(SECONDS_MAX);
        Self { received: now, initial_age, flags, ..self }
    }

    /// The same in bytes, to be read by [`Meta::from_bytes`] of this process or a later one.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; Self::BYTES] {
        let mut bytes = [0; Self::BYTES];
        bytes[..8].copy_from_slice(&self.received.unix_nanos.to_le_bytes());
        bytes[8..12].copy_from_slice(&self.initial_age.to_le_bytes());
        bytes[12..16].copy_from_slice(&self.lifetime.to_le_bytes());
        bytes[16..20].copy_from_slice(&self.stale_while_revalidate.to_le_bytes());
        bytes[20..24].copy_from_slice(&self.stale_if_error.to_le_bytes());
        bytes[24..26].copy_from_slice(&self.status.to_le_bytes());
        bytes[26..28].copy_from_slice(&self.flags.0.to_le_bytes());
        bytes
    }

    /// What [`Meta::to_bytes`] wrote; `None` for anything that it does not write. The monotonic part
    /// is not in the bytes: it is of no use before [`Meta::recovered`].
    #[must_use]
    pub fn from_bytes(bytes: &[u8; Self::BYTES]) -> Option<Self> {
        let (head, rest) = bytes.split_first_chunk::<8>()?;
        let (words, tail) = rest.as_chunks::<4>();
        let [initial_age, lifetime, stale_while_revalidate, stale_if_error, last, zero] = *words
        else {
            return None;
        };
        let span = |word| Some(u32::from_le_bytes(word)).filter(|&span| span <= SECONDS_MAX);
        let [a, b, c, d] = last;
        let (status, flags) = (u16::from_le_bytes([a, b]), Flags(u16::from_le_bytes([c, d])));
        let known = flags.0 & !Flags::ALL.0 == 0 && (200..600).contains(&status);
        if !known || zero != [0; 4] || !tail.is_empty() {
            return None;
        }
        Some(Self {
            received: Now { instant: Instant(0), unix_nanos: u64::from_le_bytes(*head) },
            initial_age: span(initial_age)?,
            lifetime: span(lifetime)?,
            stale_while_revalidate: span(stale_while_revalidate)?,
            stale_if_error: span(stale_if_error)?,
            status,
            flags,
        })
    }
}

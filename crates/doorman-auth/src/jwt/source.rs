//! When keys of an issuer are fetched, and how long they are believed.
//!
//! ```text
//!             fetched                 refresh is over, or a token names a key that nobody knows
//!   none ---------------> fresh ------------------------------------------> fetching
//!    ^ |                    ^                                              |        |
//!    | | failed: backoff    +------------------- fetched ------------------+        | failed: backoff
//!    | +-> none             |                                                       v
//!    +------ keep is over --+---------------------------------------------------- stale (still used)
//! ```
//!
//! One decision shaped it: old keys verify until others replace them, so an issuer that is down for an hour costs
//! nothing; but not for ever, so an issuer that is gone, or kept from us, does not vouch for anybody next month.

use std::sync::Arc;
use std::time::Duration;

use doorman_http::Instant;

use super::key::KeySet;

/// Least time between two fetches that unknown keys ask for: whoever makes up names of keys gets no more out of us.
pub const WANTED_EVERY: Duration = Duration::from_secs(30);

/// How long a set is used at most after it was fetched for the last time, where nothing is written.
pub const KEEP: Duration = Duration::from_secs(24 * 3600);

/// How often a set is fetched, where nothing is written.
pub const REFRESH: Duration = Duration::from_secs(3600);

/// Least time between two fetches that succeed, whatever the answer's `Cache-Control` says.
pub const REFRESH_MIN: Duration = Duration::from_secs(60);

/// Wait after the first fetch that failed; it doubles with each more, up to [`BACKOFF_MAX`].
pub const BACKOFF: Duration = Duration::from_secs(1);

/// Longest wait after fetches that failed.
pub const BACKOFF_MAX: Duration = Duration::from_secs(60);

/// Longest time that one fetch is waited for before another one may begin.
pub const FETCH_MAX: Duration = Duration::from_secs(30);

/// Keys as requests see them: a snapshot, cheap to clone.
#[derive(Clone, Debug)]
pub struct Keys {
    /// The set.
    pub set: Arc<KeySet>,
    /// Until when it may be used; after that tokens are refused.
    pub until: Instant,
    /// Another number for each set. What was verified with keys of another number is forgotten.
    pub generation: u64,
}

impl Keys {
    /// Keys of a file or a secret, which are good until the configuration changes. `generation` must be another one
    /// than that of any keys before on the same cache, and not 0.
    #[must_use]
    pub const fn fixed(set: Arc<KeySet>, generation: u64) -> Self {
        Self { set, until: Instant(u64::MAX), generation }
    }
}

/// How keys are, in one word, for metrics and `explain`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Never fetched: tokens cannot be verified yet.
    None,
    /// As fetched.
    Fresh,
    /// The last fetch failed; the keys before it are used.
    Stale,
    /// Too old to be used: tokens are refused.
    Over,
}

impl Standing {
    /// The word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Fresh => "fresh",
            Self::Stale => "stale",
            Self::Over => "over",
        }
    }
}

/// The keys of one issuer over time. The shell fetches; this says when, and what is believed meanwhile.
#[derive(Debug)]
pub struct KeySource {
    refresh: Duration,
    keep: Duration,
    keys: Option<Keys>,
    fetched: Instant,
    /// When the next fetch is due by itself.
    due: Instant,
    /// Since when one is under way.
    fetching: Option<Instant>,
    /// When an unknown key may next ask for a fetch.
    wanted_from: Instant,
    failures: u32,
    generation: u64,
}

impl KeySource {
    /// A source without keys, whose first fetch is due at once. `refresh` is at least [`REFRESH_MIN`], and `keep` at
    /// least `refresh`. Generations count from `generation`, so that a source that takes another's place goes on
    /// behind it.
    #[must_use]
    pub fn new(refresh: Duration, keep: Duration, generation: u64, now: Instant) -> Self {
        let refresh = refresh.max(REFRESH_MIN);
        Self {
            refresh,
            keep: keep.max(refresh),
            keys: None,
            fetched: now,
            due: now,
            fetching: None,
            wanted_from: now,
            failures: 0,
            generation,
        }
    }

    /// Another source of the same keys, which are fetched at another pace: it begins with the keys that are there, and
    /// its first fetch is due at once.
    #[must_use]
    pub fn paced(&self, refresh: Duration, keep: Duration, now: Instant) -> Self {
        let Self { keys, fetched, generation, .. } = self;
        let begun = Self::new(refresh, keep, *generation, now);
        Self { keys: keys.clone(), fetched: *fetched, ..begun }
    }

    /// Whether a fetch is under way.
    #[must_use]
    pub fn is_fetching(&self, now: Instant) -> bool {
        self.fetching.is_some_and(|since| now < since + FETCH_MAX)
    }

    /// When to fetch next. If that is not later than now, [`Self::begin`] and fetch.
    #[must_use]
    pub fn due(&self) -> Instant {
        self.fetching.map_or(self.due, |since| self.due.max(since + FETCH_MAX))
    }

    /// A token names a key that isn't in the set. Whether a fetch shall begin for it, now; at most one in
    /// [`WANTED_EVERY`].
    #[must_use]
    pub fn want(&mut self, now: Instant) -> bool {
        let is_early =
            now < self.wanted_from || now < self.fetched + WANTED_EVERY && self.keys.is_some();
        // While fetches fail, their own waits count and not how much is asked for.
        let is_backing_off = self.failures > 0 && now < self.due;
        if is_early || self.is_fetching(now) || is_backing_off {
            return false;
        }
        self.due = now;
        true
    }

    /// A fetch begins.
    pub fn begin(&mut self, now: Instant) {
        self.fetching = Some(now);
        self.wanted_from = now + WANTED_EVERY;
    }

    /// A fetch succeeded. `max_age` is what the answer's `Cache-Control` allows, which makes the next one come
    /// earlier than `refresh`, never later. Gives the keys to hand to requests.
    pub fn fetched(&mut self, set: KeySet, max_age: Option<Duration>, now: Instant) -> Keys {
        self.fetching = None;
        self.failures = 0;
        self.fetched = now;
        self.due = now + max_age.unwrap_or(self.refresh).clamp(REFRESH_MIN, self.refresh);
        self.generation = self.generation.wrapping_add(1).max(1);
        let keys = Keys { set: Arc::new(set), until: now + self.keep, generation: self.generation };
        self.keys = Some(keys.clone());
        keys
    }

    /// A fetch failed, or what came is no key set. The keys before it stay.
    pub fn failed(&mut self, now: Instant) {
        self.fetching = None;
        let wait = BACKOFF.saturating_mul(1 << self.failures.min(16)).min(BACKOFF_MAX);
        self.failures = self.failures.saturating_add(1);
        self.due = now + wait;
    }

    /// The keys to verify with, if there are any and they are not too old.
    #[must_use]
    pub fn keys(&self, now: Instant) -> Option<&Keys> {
        self.keys.as_ref().filter(|keys| now < keys.until)
    }

    /// How old the keys are; `None`: there are none.
    #[must_use]
    pub fn age(&self, now: Instant) -> Option<Duration> {
        self.keys.as_ref().map(|_| now.since(self.fetched))
    }

    /// How the keys are.
    #[must_use]
    pub fn standing(&self, now: Instant) -> Standing {
        match (&self.keys, self.failures) {
            (None, _) => Standing::None,
            (Some(keys), _) if now >= keys.until => Standing::Over,
            (Some(_), 0) => Standing::Fresh,
            (Some(_), _) => Standing::Stale,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: [u8; 32] = [7; 32];

    fn at(seconds: u64) -> Instant {
        Instant(seconds * 1_000_000_000)
    }

    fn set() -> KeySet {
        KeySet::secret(&SECRET).expect("a secret")
    }

    fn source() -> KeySource {
        KeySource::new(REFRESH, KEEP, 0, at(100))
    }

    #[test]
    fn keys_are_fetched_at_once_and_then_by_refresh() {
        let mut source = source();
        assert_eq!(source.due(), at(100));
        assert_eq!(source.standing(at(100)), Standing::None);
        source.begin(at(100));
        assert_eq!(source.due(), at(130), "another one only if this one hangs");
        let first = source.fetched(set(), None, at(101));
        assert_eq!((source.due(), first.until), (at(101 + 3600), at(101 + 86_400)));
        assert_eq!(source.standing(at(102)), Standing::Fresh);
        assert_eq!(source.age(at(111)), Some(Duration::from_secs(10)));
        let second = source.fetched(set(), Some(Duration::from_secs(600)), at(3701));
        assert_eq!(source.due(), at(4301));
        assert_ne!(first.generation, second.generation);
        for (max_age, wait) in [(0, 60), (59, 60), (4000, 3600)] {
            source.fetched(set(), Some(Duration::from_secs(max_age)), at(5000));
            assert_eq!(source.due(), at(5000 + wait), "{max_age}");
        }
    }

    #[test]
    fn fetches_that_fail_wait_longer_each_time() {
        let mut source = source();
        let mut now = 100;
        for wait in [1, 2, 4, 8, 16, 32, 60, 60, 60] {
            source.begin(at(now));
            source.failed(at(now));
            assert_eq!(source.due(), at(now + wait));
            assert!(!source.want(at(now)), "wishes do not shorten a wait");
            now += wait;
        }
        for _ in 0..100 {
            source.failed(at(now));
        }
        assert_eq!(source.due(), at(now + 60));
        assert_eq!(source.standing(at(now)), Standing::None);
    }

    #[test]
    fn old_keys_are_good_until_replaced_and_not_for_ever() {
        let mut source = source();
        source.fetched(set(), None, at(100));
        source.failed(at(3700));
        assert_eq!(source.standing(at(3701)), Standing::Stale);
        assert!(source.keys(at(100 + 86_399)).is_some());
        assert!(source.keys(at(100 + 86_400)).is_none());
        assert_eq!(source.standing(at(100 + 86_400)), Standing::Over);
        source.fetched(set(), None, at(200_000));
        assert_eq!(source.standing(at(200_000)), Standing::Fresh);
        assert!(source.keys(at(200_001)).is_some());
    }

    #[test]
    fn unknown_keys_ask_at_most_so_often() {
        let mut source = source();
        source.begin(at(100));
        assert!(!source.want(at(101)), "one is under way");
        source.fetched(set(), None, at(102));
        assert!(!source.want(at(103)), "the set is new");
        assert!(source.want(at(132)));
        assert_eq!(source.due(), at(132));
        source.begin(at(132));
        source.fetched(set(), None, at(133));
        let wanted = (133..433).filter(|now| {
            let wanted = source.want(at(*now));
            if wanted {
                source.begin(at(*now));
                source.fetched(set(), None, at(*now));
            }
            wanted
        });
        assert_eq!(wanted.count(), 9);
    }

    #[test]
    fn another_pace_begins_with_the_keys_that_are_there() {
        let mut source = source();
        source.begin(at(100));
        let keys = source.fetched(set(), None, at(100));
        let mut paced = source.paced(Duration::from_secs(600), KEEP, at(200));
        assert_eq!(paced.keys(at(200)).map(|keys| keys.generation), Some(keys.generation));
        assert_eq!((paced.due(), paced.age(at(200))), (at(200), Some(Duration::from_secs(100))));
        assert_eq!(paced.fetched(set(), None, at(201)).generation, keys.generation + 1);
        assert_eq!(paced.due(), at(801));
    }

    #[test]
    fn a_fetch_that_hangs_is_given_up() {
        let mut source = source();
        source.begin(at(100));
        assert!(source.is_fetching(at(129)) && !source.is_fetching(at(130)));
        assert!(!source.want(at(129)));
        assert!(source.want(at(130)));
    }
}

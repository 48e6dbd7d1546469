//! What earlier answers linked, to be told to the next client before its answer is there (RFC 8297).
//!
//! What shaped it: a link may be one user's, such as the picture of who has signed in, and must not be
//! told to another. So each link of an answer that may be one user's is told only after two clients
//! were given it. For that, and so that what one core learns is told by all, there is one table for the
//! process, in parts with a lock each: it is held while a few links are copied, only for requests
//! for pages, and never across a wait.
//!
//! A URL is known by a hash with a secret seed, so that nobody can make one that is told the links of
//! another. Each part is a clock: the hand passes what was asked for since it came by last.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use doorman_cache::KeySeed;
use doorman_http::Instant;

/// Links of one URL that are kept: more would keep a client from what it needs first.
pub(crate) const LINKS_MAX: usize = 16;
/// Bytes of all links of one URL: a 103 is to fit into the first packets of a connection, whose page is
/// still to come. With the number of URLs this bounds the table to some 10 MiB.
const BYTES_MAX: usize = 2 * 1024;
/// For how long a link is told after an answer had it: a page that changes without being asked for in
/// between has clients fetch something for nothing, at most for so long.
const LIFE: Duration = Duration::from_secs(3600);
/// Parts of the table.
const PARTS: usize = 16;
/// URLs of each part: 4,096 pages in all, which are the front doors of large sites.
const PART_URLS: usize = 256;

/// The table.
pub(crate) struct Hints {
    seed: KeySeed,
    parts: [Mutex<Part>; PARTS],
}

/// A URL, as the table knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct HintKey(u128);

/// A client, as far as the table tells them apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ClientMark(u64);

impl ClientMark {
    /// Who has the same 64 bits of an IPv6 address is taken for the same. So are all whose address is
    /// not known: they never make two.
    pub(crate) fn of(client: Option<IpAddr>) -> Self {
        Self(match client {
            None => 0,
            Some(IpAddr::V4(v4)) => 0xFFFF_0000_0000 | u64::from(v4.to_bits()),
            Some(IpAddr::V6(v6)) => match v6.to_ipv4_mapped() {
                Some(v4) => return Self::of(Some(IpAddr::V4(v4))),
                None => u64::try_from(v6.to_bits() >> 64).unwrap_or_default(),
            },
        })
    }
}

/// Whose an answer is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Whose {
    /// Everybody's.
    All,
    /// This client's, it may be.
    One(ClientMark),
}

/// A request whose answer is learned from.
pub(crate) struct Hinting {
    pub(crate) known: Arc<Hints>,
    pub(crate) key: HintKey,
    /// Whether its client may be told what is known, and was not yet.
    pub(crate) is_open: bool,
    pub(crate) user: User,
}

/// By what a request says who its user is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum User {
    /// By nothing.
    Unknown,
    /// By cookies, it may be.
    Cookies,
    /// By `Authorization` or a certificate.
    Named,
}

#[derive(Default)]
struct Part {
    places: HashMap<HintKey, usize>,
    entries: Vec<Entry>,
    hand: usize,
}

struct Entry {
    key: HintKey,
    links: Vec<Known>,
    until: Instant,
    /// Whether it was asked for since the hand came by.
    is_used: bool,
}

struct Known {
    text: Box<[u8]>,
    whose: Whose,
}

impl Hints {
    /// An empty table; the words are to be secret.
    pub(crate) fn new([low, high]: [u64; 2]) -> Arc<Self> {
        let parts = std::array::from_fn(|_| Mutex::default());
        Arc::new(Self { seed: KeySeed::new(low, high), parts })
    }

    /// The key of what these bytes say.
    pub(crate) fn key(&self, bytes: &[u8]) -> HintKey {
        HintKey(self.seed.hash(bytes))
    }

    /// Hands out the links that may be told to anybody.
    pub(crate) fn tell(&self, key: HintKey, now: Instant, mut each: impl FnMut(&[u8])) {
        let mut part = self.part(key);
        let Some(&place) = part.places.get(&key) else { return };
        let Some(entry) = part.entries.get_mut(place).filter(|entry| entry.until > now) else {
            return;
        };
        entry.is_used = true;
        entry
            .links
            .iter()
            .filter(|link| link.whose == Whose::All)
            .for_each(|link| each(&link.text));
    }

    /// Takes in what an answer links: these from now on, and no others. What is beyond the bounds is left
    /// out.
    pub(crate) fn learn<'a>(
        &self,
        key: HintKey,
        links: impl Iterator<Item = &'a [u8]>,
        whose: Whose,
        now: Instant,
    ) {
        let mut part = self.part(key);
        let place = part.places.get(&key).copied();
        let old = place.and_then(|place| part.entries.get(place)).filter(|old| old.until > now);
        let mut fresh: Vec<Known> = Vec::new();
        let mut bytes = 0;
        for text in links {
            if fresh.iter().any(|known| *known.text == *text) {
                continue;
            }
            bytes += text.len();
            if fresh.len() == LINKS_MAX || bytes > BYTES_MAX {
                break;
            }
            let before = old.and_then(|old| old.links.iter().find(|known| *known.text == *text));
            let whose = before.map_or(whose, |before| together(before.whose, whose));
            fresh.push(Known { text: text.into(), whose });
        }
        match place {
            None if fresh.is_empty() => {}
            None => part.insert(Entry { key, links: fresh, until: now + LIFE, is_used: false }),
            Some(place) => {
                if let Some(entry) = part.entries.get_mut(place) {
                    (entry.links, entry.until) = (fresh, now + LIFE);
                }
            }
        }
    }

    fn part(&self, key: HintKey) -> std::sync::MutexGuard<'_, Part> {
        let index = usize::try_from(key.0 % PARTS as u128).unwrap_or_default();
        // Every change leaves a part whole, whoever panicked while it held the lock.
        self.parts[index].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whose a link is that stood in an answer of each.
fn together(before: Whose, now: Whose) -> Whose {
    match (before, now) {
        (Whose::One(first), Whose::One(second)) if first == second => before,
        _ => Whose::All,
    }
}

impl Part {
    /// Puts an entry where there is room, or in the place of one that nobody has asked for.
    fn insert(&mut self, entry: Entry) {
        let key = entry.key;
        if self.entries.len() < PART_URLS {
            self.places.insert(key, self.entries.len());
            self.entries.push(entry);
            return;
        }
        // Once around takes every mark away, so the second round ends at the latest.
        for _ in 0..=PART_URLS {
            let place = self.hand;
            self.hand = (place + 1) % PART_URLS;
            let Some(old) = self.entries.get_mut(place) else { continue };
            if std::mem::take(&mut old.is_used) {
                continue;
            }
            self.places.remove(&old.key);
            *old = entry;
            self.places.insert(key, place);
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: u64 = 60_000_000_000;

    fn client(address: &str) -> Whose {
        Whose::One(ClientMark::of(Some(address.parse().unwrap())))
    }

    fn hints() -> (Arc<Hints>, HintKey) {
        let hints = Hints::new([1, 2]);
        let key = hints.key(b"/");
        (hints, key)
    }

    fn learn(hints: &Hints, key: HintKey, links: &[&str], whose: Whose, at: u64) {
        hints.learn(key, links.iter().map(|link| link.as_bytes()), whose, Instant(at));
    }

    #[track_caller]
    fn check(hints: &Hints, key: HintKey, at: u64, expect: &[&str]) {
        let mut told = Vec::new();
        hints.tell(key, Instant(at), |link| told.push(String::from_utf8(link.to_vec()).unwrap()));
        assert_eq!(told, expect);
    }

    #[test]
    fn what_everybody_may_have_is_told_at_once() {
        let (hints, key) = hints();
        check(&hints, key, 0, &[]);
        learn(&hints, key, &["<a>", "<b>", "<a>"], Whose::All, 0);
        check(&hints, key, 1, &["<a>", "<b>"]);
        check(&hints, hints.key(b"/other"), 1, &[]);
        // The last answer counts.
        learn(&hints, key, &["<c>"], Whose::All, 1);
        check(&hints, key, 2, &["<c>"]);
        learn(&hints, key, &[], Whose::All, 2);
        check(&hints, key, 3, &[]);
    }

    #[test]
    fn what_may_be_one_users_is_told_when_two_were_given_it() {
        let (hints, key) = hints();
        for _ in 0..3 {
            learn(&hints, key, &["<css>", "<ann>"], client("192.0.2.1"), 0);
            check(&hints, key, 1, &[]);
        }
        learn(&hints, key, &["<css>", "<bob>"], client("192.0.2.2"), 1);
        check(&hints, key, 2, &["<css>"]);
        learn(&hints, key, &["<css>", "<ann>"], client("192.0.2.1"), 2);
        check(&hints, key, 3, &["<css>"]);
        // What anybody may have is everybody's, whoever was given it before or is afterwards.
        learn(&hints, key, &["<ann>"], Whose::All, 3);
        learn(&hints, key, &["<ann>"], client("192.0.2.9"), 3);
        check(&hints, key, 4, &["<ann>"]);
    }

    #[test]
    fn clients_are_told_apart_by_their_network() {
        let pair = |first: &str, second: &str, same: bool| {
            let (hints, key) = hints();
            learn(&hints, key, &["<a>"], client(first), 0);
            learn(&hints, key, &["<a>"], client(second), 0);
            let told: &[&str] = if same { &[] } else { &["<a>"] };
            check(&hints, key, 1, told);
        };
        pair("192.0.2.1", "192.0.2.1", true);
        pair("192.0.2.1", "192.0.2.2", false);
        pair("192.0.2.1", "::ffff:192.0.2.1", true);
        pair("2001:db8::1", "2001:db8::2:1", true);
        pair("2001:db8::1", "2001:db8:0:1::1", false);
        let (hints, key) = hints();
        let unknown = Whose::One(ClientMark::of(None));
        learn(&hints, key, &["<a>"], unknown, 0);
        learn(&hints, key, &["<a>"], unknown, 0);
        check(&hints, key, 1, &[]);
    }

    #[test]
    fn links_are_told_for_an_hour() {
        let (hints, key) = hints();
        learn(&hints, key, &["<a>"], Whose::All, 0);
        check(&hints, key, 59 * MINUTE, &["<a>"]);
        check(&hints, key, 60 * MINUTE, &[]);
        // What was forgotten is no proof that two were given it.
        learn(&hints, key, &["<a>"], client("192.0.2.1"), 61 * MINUTE);
        check(&hints, key, 62 * MINUTE, &[]);
    }

    #[test]
    fn links_and_bytes_are_bounded() {
        let (hints, key) = hints();
        let many: Vec<String> = (0..50).map(|n| format!("<{n}>")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        learn(&hints, key, &many, Whose::All, 0);
        check(&hints, key, 1, &many[..LINKS_MAX]);
        let long = format!("<{}>", "x".repeat(BYTES_MAX - 5));
        learn(&hints, key, &[&long, "<a>", "<b>"], Whose::All, 0);
        check(&hints, key, 1, &[&long, "<a>"]);
    }

    /// However many URLs there are, there are no more entries, and what is asked for stays.
    #[test]
    fn what_nobody_asks_for_goes() {
        let (hints, key) = hints();
        learn(&hints, key, &["<a>"], Whose::All, 0);
        for n in 0..20 * PARTS * PART_URLS {
            learn(&hints, hints.key(&n.to_le_bytes()), &["<x>"], Whose::All, 0);
            if n % PART_URLS == 0 {
                check(&hints, key, 1, &["<a>"]);
            }
        }
        for part in &hints.parts {
            let part = part.lock().unwrap();
            assert_eq!((part.entries.len(), part.places.len()), (PART_URLS, PART_URLS));
        }
    }
}

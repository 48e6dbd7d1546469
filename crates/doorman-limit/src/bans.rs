//! Clients that did wrong too often, and are turned away for a time.
//!
//! Signals of a client are counted as requests are: by a [`Table`], so many in a time. Who is past it is banned. Bans
//! lie in a table of a fixed size, eight places to a bucket, and two words a ban; when all eight are taken, the one
//! that would end first goes. Nobody banned means one look at one word; else a check is a walk over two cache lines.
//!
//! The two words of a place cannot be written at once. So the first holds the key xor the second: who reads the halves
//! of two bans reads a key that is neither's, and finds nothing. Who writes takes a mutex: clients are banned seldom.

use std::fmt;
use std::num::NonZeroU32;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use doorman_http::Instant;

use crate::key::Key;
use crate::names::Names;
use crate::rate::{Rate, RateError, Taken};
use crate::table::Table;

/// Most bans that may be kept at once: 16 MiB.
pub const BANS_MAX: usize = 1 << 20;

/// Places that a key may have.
const WAYS: usize = 8;

/// When a client is banned, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BanRule {
    /// The signals that are let pass; `None`: not one is.
    rate: Option<Rate>,
    length: Duration,
}

/// Why a rule is none: see [`RateError`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BanRuleError(RateError);

impl fmt::Display for BanRuleError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            RateError::TooFast => {
                "so many signals in so short a time cannot be counted: give fewer, or a longer time"
            }
            RateError::TooSlow => "signals can be counted for a year at most: give a shorter time",
        })
    }
}

impl std::error::Error for BanRuleError {}

impl BanRule {
    /// Bans for `length` with the `signals`-th signal within `per`.
    ///
    /// Signals are counted by a meter that leaks `signals` in `per`, as a limit does, not in windows: who gives them
    /// all at once is banned with exactly that many; who spreads them evenly over `per` with at most twice as many; and
    /// who keeps below the rate of `signals` in `per` never is.
    ///
    /// # Errors
    /// If signals come closer than they can be counted, or `per` is longer than a year.
    pub fn new(signals: NonZeroU32, per: Duration, length: Duration) -> Result<Self, BanRuleError> {
        let rate = NonZeroU32::new(signals.get() - 1)
            .map(|burst| Rate::new(signals, per, burst))
            .transpose()
            .map_err(BanRuleError)?;
        Ok(Self { rate, length })
    }
}

/// What a signal led to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "whoever is banned from now on is told to the operator"]
pub enum Signalled {
    /// It is counted, and so many more at once lead to no ban.
    Counted(u32),
    /// The client is banned until then.
    Banned(Instant),
}

/// A ban.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ban {
    /// Who.
    pub key: Key,
    /// Who, for operators; not of all, if there are more than [`crate::NAMES_MAX`].
    pub name: Option<Box<str>>,
    /// Until when.
    pub until: Instant,
}

#[derive(Debug, Default)]
struct Slot {
    /// The key xor `until`.
    check: AtomicU64,
    /// Nanoseconds at which it ends; 0: free.
    until: AtomicU64,
}

impl Slot {
    /// Whose it is, and until when.
    fn read(&self) -> (u64, u64) {
        let until = self.until.load(Ordering::Acquire);
        (self.check.load(Ordering::Acquire) ^ until, until)
    }

    fn write(&self, key: u64, until: u64) {
        self.until.store(until, Ordering::Release);
        self.check.store(key ^ until, Ordering::Release);
    }
}

/// Bans, and the signals that lead to them, of one operator's rule.
#[derive(Debug)]
pub struct Bans {
    signals: Table,
    buckets: Box<[[Slot; WAYS]]>,
    /// No ban ends later.
    latest: AtomicU64,
    writers: Mutex<()>,
    names: Names,
}

impl Bans {
    /// Room for so many bans, at most [`BANS_MAX`], and for the signals of so many clients.
    #[must_use]
    pub fn new(bans: usize, clients: usize) -> Self {
        let buckets = bans.clamp(1, BANS_MAX).div_ceil(WAYS);
        Self {
            signals: Table::new(clients),
            buckets: (0..buckets).map(|_| Default::default()).collect(),
            latest: AtomicU64::new(0),
            writers: Mutex::default(),
            names: Names::default(),
        }
    }

    /// Until when a client is banned. One look at one word if nobody is.
    #[must_use]
    pub fn check(&self, key: Key, now: Instant) -> Option<Instant> {
        if self.latest.load(Ordering::Acquire) <= now.0 {
            return None;
        }
        let (_, until) =
            self.bucket(key).iter().map(Slot::read).find(|slot| slot.0 == key.number())?;
        (until > now.0).then_some(Instant(until))
    }

    /// Counts a signal of a client, and bans him if it is one too many. `name` is called only if he is.
    ///
    /// Who is banned begins anew when his ban is over. A signal of somebody who is banned already leaves his ban as it
    /// is.
    pub fn signal(
        &self,
        key: Key,
        rule: &BanRule,
        now: Instant,
        name: impl FnOnce() -> String,
    ) -> Signalled {
        if let Some(until) = self.check(key, now) {
            return Signalled::Banned(until);
        }
        if let Some(rate) = &rule.rate
            && let Taken::Pass(debt) = self.signals.take(key, rate, 1, now)
        {
            return Signalled::Counted(rate.level(debt).left);
        }
        let until = now + rule.length;
        self.ban(key, until, now, name);
        self.signals.reset(key);
        Signalled::Banned(until)
    }

    /// Bans a client until then; an earlier ban of his gives way. It is none if `until` is not ahead.
    pub fn ban(&self, key: Key, until: Instant, now: Instant, name: impl FnOnce() -> String) {
        if until <= now {
            return;
        }
        let writes = self.writers.lock();
        let slots = self.bucket(key).iter();
        // His own ban before all, then the one that ends first; one that is over ends before every other.
        let order = |slot: &&Slot| {
            let (whose, ends) = slot.read();
            (whose != key.number(), ends)
        };
        if let Some(slot) = slots.min_by_key(order) {
            slot.write(key.number(), until.0);
        }
        // Behind the ban: who sees the one sees the other.
        self.latest.fetch_max(until.0, Ordering::AcqRel);
        drop(writes);
        self.names.note(key, name);
    }

    /// Lifts a client's ban. Tells whether there was one; it may have been over.
    pub fn lift(&self, key: Key) -> bool {
        let _writes = self.writers.lock();
        let slot = self.bucket(key).iter().find(|slot| slot.read().0 == key.number());
        slot.inspect(|slot| slot.write(0, 0)).is_some()
    }

    /// Lifts all bans, and forgets all signals.
    pub fn lift_all(&self) {
        let writes = self.writers.lock();
        self.latest.store(0, Ordering::Release);
        self.buckets.iter().flatten().for_each(|slot| slot.write(0, 0));
        drop(writes);
        self.signals.reset_all();
    }

    /// The bans in force, those that end last first; no more than `most`. It walks over the whole table: for a page,
    /// not for a path.
    #[must_use]
    pub fn list(&self, most: usize, now: Instant) -> Vec<Ban> {
        let mut found: Vec<_> = self.live(now).collect();
        found.sort_unstable_by_key(|&(key, until)| (std::cmp::Reverse(until), key));
        found.truncate(most);
        let ban = |(key, until)| Ban { key, name: self.names.name(key), until: Instant(until) };
        found.into_iter().map(ban).collect()
    }

    /// Bans in force. It walks over the whole table, unless nobody is banned.
    #[must_use]
    pub fn count(&self, now: Instant) -> usize {
        if self.latest.load(Ordering::Acquire) <= now.0 { 0 } else { self.live(now).count() }
    }

    fn live(&self, now: Instant) -> impl Iterator<Item = (Key, u64)> + '_ {
        let slots = self.buckets.iter().flatten().map(Slot::read);
        let slots = slots.filter(move |slot| slot.1 > now.0);
        slots.filter_map(|(key, until)| Key::from_number(key).map(|key| (key, until)))
    }

    fn bucket(&self, key: Key) -> &[Slot; WAYS] {
        &self.buckets[crate::table::below(key.number(), self.buckets.len())]
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicBool;

    use doorman_http::mix;

    use super::*;

    fn key(number: u64) -> Key {
        Key::from_number(mix(number + 1)).expect("not zero")
    }

    fn at(seconds: u64) -> Instant {
        Instant(0) + Duration::from_secs(seconds)
    }

    fn rule(signals: u32, per: u64, length: u64) -> BanRule {
        let signals = NonZeroU32::new(signals).expect("positive");
        BanRule::new(signals, Duration::from_secs(per), Duration::from_secs(length))
            .expect("a rule")
    }

    fn signal(bans: &Bans, rule: &BanRule, now: Instant) -> Signalled {
        bans.signal(key(1), rule, now, || "192.0.2.1".to_owned())
    }

    #[test]
    fn who_does_wrong_too_often_is_banned_for_a_time() {
        let bans = Bans::new(100, 100);
        let three = rule(3, 60, 600);
        let start = at(1_000);
        assert_eq!(signal(&bans, &three, start), Signalled::Counted(1));
        assert_eq!(signal(&bans, &three, start), Signalled::Counted(0));
        assert_eq!(bans.check(key(1), start), None);
        assert_eq!(signal(&bans, &three, start), Signalled::Banned(at(1_600)));
        assert_eq!(signal(&bans, &three, at(1_599)), Signalled::Banned(at(1_600)));
        assert_eq!(bans.check(key(1), at(1_599)), Some(at(1_600)));
        assert_eq!(bans.check(key(2), at(1_599)), None);
        let ban = Ban { key: key(1), name: Some("192.0.2.1".into()), until: at(1_600) };
        assert_eq!(bans.list(10, at(1_599)), [ban]);
        // It is over, and he begins anew.
        assert_eq!(bans.check(key(1), at(1_600)), None);
        assert_eq!((bans.list(10, at(1_600)), bans.count(at(1_600))), (vec![], 0));
        assert_eq!(signal(&bans, &three, at(1_600)), Signalled::Counted(1));
    }

    #[test]
    fn bans_come_as_the_rule_says() {
        // Signals in a minute of who spreads them evenly, and which of them is the one too many.
        for (signals, each, expect) in [
            (1, 1_000, Some(1)),
            (2, 0, Some(2)),
            (20, 0, Some(20)),
            (20, 1_500, Some(38)),
            (20, 3_001, None),
        ] {
            let bans = Bans::new(100, 100);
            let rule = rule(signals, 60, 600);
            let banned = (0..1_000).find(|n| {
                let now = at(1_000) + Duration::from_millis(each) * *n;
                matches!(signal(&bans, &rule, now), Signalled::Banned(_))
            });
            assert_eq!(banned.map(|n| n + 1), expect, "{signals} {each}");
        }
        let two = NonZeroU32::new(2).unwrap();
        for per in [Duration::ZERO, Duration::from_hours(24 * 3_660)] {
            assert!(BanRule::new(two, per, Duration::ZERO).is_err());
        }
    }

    #[test]
    fn bans_are_lifted() {
        let bans = Bans::new(100, 100);
        for n in 0..20 {
            bans.ban(key(n), at(100 + n), at(0), String::new);
        }
        bans.ban(key(3), at(50), at(0), String::new);
        assert_eq!(bans.check(key(3), at(0)), Some(at(50)), "the new ban holds");
        assert_eq!(bans.count(at(0)), 20);
        assert_eq!(
            bans.list(2, at(0)).iter().map(|ban| ban.key).collect::<Vec<_>>(),
            [key(19), key(18)]
        );
        assert!(bans.lift(key(3)) && !bans.lift(key(3)));
        assert_eq!(bans.check(key(3), at(0)), None);
        bans.lift_all();
        assert_eq!(bans.count(at(0)), 0);
        // A ban that would be over is none.
        bans.ban(key(1), at(5), at(5), String::new);
        assert_eq!(bans.count(at(0)), 0);
    }

    #[test]
    fn a_flood_of_bans_is_bounded_and_the_first_to_end_goes() {
        let bans = Bans::new(64, 1);
        for n in 0..10_000 {
            bans.ban(key(n), at(1_000 + n), at(0), String::new);
        }
        let count = bans.count(at(0));
        assert!((32..=64).contains(&count), "{count}");
        for n in 9_995..10_000 {
            assert_eq!(bans.check(key(n), at(0)), Some(at(1_000 + n)), "{n}");
        }
    }

    /// Cores ban and lift in one bucket while others look: nobody is ever banned who never was.
    #[test]
    fn torn_bans_are_never_believed() {
        let bans = Bans::new(8, 1);
        let done = AtomicBool::new(false);
        std::thread::scope(|scope| {
            for writer in 0..2 {
                let (bans, done) = (&bans, &done);
                scope.spawn(move || {
                    for round in 0..20_000 {
                        let n = (round * 7 + writer) % 32;
                        bans.ban(key(n), at(1_000 + n + 32 * (round % 100)), at(0), String::new);
                    }
                    done.store(true, Ordering::Relaxed);
                });
            }
            let mut found = 0;
            while !done.load(Ordering::Relaxed) || found == 0 {
                for n in 0..32 {
                    if let Some(until) = bans.check(key(n), at(0)) {
                        assert_eq!((until.0 / 1_000_000_000 - 1_000) % 32, n);
                        found += 1;
                    }
                }
                for n in 32..64 {
                    assert_eq!(bans.check(key(n), at(0)), None);
                }
            }
        });
    }
}

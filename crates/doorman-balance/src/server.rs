//! What all cores know of one server: how much it does now, and what stands against using it.
//!
//! Only atomics, so that the value can be shared by every core's balancer and outlive a reload. What
//! a pick looks at lies together at the front.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use doorman_http::Instant;

use crate::anomaly::Tally;
use crate::group::{Group, Settings, Shared};
use crate::health::Health;
use crate::keys;
use crate::outcome::{Admin, Ejected, Outcome, Probe, Standing};
use crate::pace::{Manner, Pace};
use crate::view::PARTS;

/// Rest after the first refused connection: long enough for the next picks to go elsewhere, short
/// enough that a server that merely restarted is soon back.
pub const REST_FIRST: Duration = Duration::from_secs(1);
/// The rest doubles with every refusal in a row up to this; more would leave a server that came
/// back unused for longer than an operator understands.
pub const REST_LONGEST: Duration = Duration::from_secs(10);

/// Place of a server in its upstream's list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ServerId(pub u32);

impl ServerId {
    /// The place as an index.
    #[must_use]
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

/// No override of the weight.
const AS_WRITTEN: u64 = u64::MAX;

/// One server, shared by all cores and kept over a reload. On cache lines of its own: two busy
/// servers must not slow each other down.
#[derive(Debug)]
#[repr(C, align(64))]
pub struct ServerState {
    in_flight: AtomicU32,
    /// The file's word in the lower half, the override in the upper: one value, so that neither is
    /// lost when both change at once.
    admin: AtomicU8,
    probe: AtomicU8,
    ejected_why: AtomicU8,
    /// Nanoseconds of the monotonic clock; 0: not ejected.
    ejected_until: AtomicU64,
    /// Nanoseconds of the monotonic clock; 0: not resting.
    rests_until: AtomicU64,
    picks: AtomicU64,
    /// How long it takes to answer, for methods that look at it.
    pub(crate) pace: Pace,
    /// Open connections to it, over all cores. Apart, because those who open them hold it.
    connections: Arc<AtomicU32>,
    /// What [`ServerState::bytes`] would be if it had been here from the start: by it the one with
    /// the fewest is found.
    level: AtomicU64,
    /// Bytes moved, both ways.
    bytes: AtomicU64,
    /// How much of its weight counts, in parts: less than all while its answers are anomalous.
    pub(crate) part: AtomicU32,
    pub(crate) tally: Tally,
    /// Its key as a number.
    identity: u64,
    refusals: AtomicU32,
    weight: AtomicU64,
    slow_since: AtomicU64,
    probed_at: AtomicU64,
    ejected_at: AtomicU64,
    group: Arc<Shared>,
    health: Health,
}

impl ServerState {
    /// A server that nobody has asked yet, in a group of its own.
    #[must_use]
    pub fn new() -> Arc<Self> {
        Group::new(Settings::default()).server("")
    }

    pub(crate) fn of(group: Arc<Shared>, key: &str) -> Self {
        Self {
            pace: Pace::default(),
            connections: Arc::default(),
            bytes: AtomicU64::new(0),
            level: AtomicU64::new(0),
            part: AtomicU32::new(PARTS),
            tally: Tally::default(),
            identity: keys::identity(key),
            in_flight: AtomicU32::new(0),
            admin: AtomicU8::new(0),
            probe: AtomicU8::new(0),
            ejected_why: AtomicU8::new(0),
            ejected_until: AtomicU64::new(0),
            rests_until: AtomicU64::new(0),
            picks: AtomicU64::new(0),
            refusals: AtomicU32::new(0),
            weight: AtomicU64::new(AS_WRITTEN),
            slow_since: AtomicU64::new(0),
            probed_at: AtomicU64::new(0),
            ejected_at: AtomicU64::new(0),
            group,
            health: Health::default(),
        }
    }

    /// Requests that it works on now, over all cores.
    #[must_use]
    pub fn in_flight(&self) -> u32 {
        self.in_flight.load(Ordering::Relaxed)
    }

    /// How often it was picked since the process started.
    #[must_use]
    pub fn picks(&self) -> u64 {
        self.picks.load(Ordering::Relaxed)
    }

    /// Bytes that it has moved, both ways; counted only for methods that look at them.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Counts bytes that were moved.
    pub fn moved(&self, bytes: u64) {
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        self.level.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(crate) fn level(&self) -> u64 {
        self.level.load(Ordering::Relaxed)
    }

    /// Puts a server that has just come on one level with the others, so that it is not given
    /// everything until it has caught up.
    pub(crate) fn lift(&self, level: u64) {
        self.level.fetch_max(level, Ordering::Relaxed);
    }

    /// Open connections to it, over all cores: for those who open and close them to count.
    #[must_use]
    pub const fn connections(&self) -> &Arc<AtomicU32> {
        &self.connections
    }

    /// How long it takes to answer lately; `None` if that is not known, or no method looks at it.
    #[must_use]
    pub fn latency(&self, now: Instant) -> Option<Duration> {
        self.pace.seconds(now).and_then(|seconds| Duration::try_from_secs_f32(seconds).ok())
    }

    pub(crate) fn note_time(&self, after: Duration, manner: Manner, now: Instant) {
        self.pace.note(after, manner, now);
    }

    /// What names it, as a number.
    pub(crate) const fn identity(&self) -> u64 {
        self.identity
    }

    /// How much of its weight counts, as a part of 1: less than 1 while it fails more requests than
    /// the others do.
    #[must_use]
    pub fn part(&self) -> f64 {
        f64::from(self.part.load(Ordering::Relaxed)) / f64::from(PARTS)
    }

    /// Overrides what the file says about using it; `None`: the file's word counts.
    pub fn set_admin(&self, admin: impl Into<Option<Admin>>) {
        let over = admin.into().map_or(0, |admin| admin as u8 + 1);
        self.change_admin(|both| (both & 0x0F) | (over << 4));
    }

    /// What the file says, from the plan that is in force.
    pub(crate) fn write_admin(&self, admin: Admin) {
        self.change_admin(|both| (both & 0xF0) | admin as u8);
    }

    fn change_admin(&self, change: impl Fn(u8) -> u8) {
        let step = |both: u8| Some(change(both)).filter(|&next| next != both);
        if self.admin.fetch_update(Ordering::Relaxed, Ordering::Relaxed, step).is_ok() {
            self.group.touch();
        }
    }

    /// Whether it is to be used: the override if there is one, else what the file says.
    #[must_use]
    pub fn admin(&self) -> Admin {
        let both = self.admin.load(Ordering::Relaxed);
        let admin = if both >> 4 == 0 { both } else { (both >> 4) - 1 };
        match admin {
            0 => Admin::Ready,
            1 => Admin::Drain,
            _ => Admin::Down,
        }
    }

    /// Overrides the file's weight; `None`: the file's counts.
    pub fn set_weight(&self, weight: Option<u32>) {
        let next = weight.map_or(AS_WRITTEN, u64::from);
        if self.weight.swap(next, Ordering::Relaxed) != next {
            self.group.touch();
        }
    }

    /// The override of its weight.
    #[must_use]
    pub fn weight(&self) -> Option<u32> {
        u32::try_from(self.weight.load(Ordering::Relaxed)).ok()
    }

    /// What active checks have found; `now` is kept as the moment if that is a change.
    pub fn set_probe(&self, probe: Probe, now: Instant) {
        if self.probe.swap(probe as u8, Ordering::Relaxed) != probe as u8 {
            self.probed_at.store(now.0, Ordering::Relaxed);
            self.group.touch();
        }
    }

    /// What active checks have found.
    #[must_use]
    pub fn probe(&self) -> Probe {
        match self.probe.load(Ordering::Relaxed) {
            0 => Probe::Unknown,
            1 => Probe::Up,
            _ => Probe::Down,
        }
    }

    /// Takes it out until then; a moment that has passed takes it in again.
    pub fn eject(&self, until: Instant, why: Ejected, now: Instant) {
        if self.ejected_until.swap(until.0, Ordering::Relaxed) != until.0 {
            self.ejected_why.store(why as u8, Ordering::Relaxed);
            self.ejected_at.store(now.0, Ordering::Relaxed);
            self.group.touch();
        }
    }

    /// From now on its part grows from little to all, for as long as the group's settings say.
    pub fn begin_slow_start(&self, now: Instant) {
        if self.slow_since.swap(now.0, Ordering::Relaxed) != now.0 {
            self.group.touch();
        }
    }

    /// What its requests and checks have come to.
    #[must_use]
    pub const fn health(&self) -> &Health {
        &self.health
    }

    /// How it stands.
    #[must_use]
    pub fn standing(&self, now: Instant) -> Standing {
        let instant = |at: &AtomicU64| Instant(at.load(Ordering::Relaxed));
        match self.admin() {
            Admin::Down => return Standing::Down,
            Admin::Drain => return Standing::Draining,
            Admin::Ready => {}
        }
        if self.probe() == Probe::Down {
            return Standing::ProbedDown { since: instant(&self.probed_at) };
        }
        let until = instant(&self.ejected_until);
        if until > now {
            let why = match self.ejected_why.load(Ordering::Relaxed) {
                0 => Ejected::Failures,
                1 => Ejected::Errors,
                _ => Ejected::Latency,
            };
            return Standing::Ejected { since: instant(&self.ejected_at), until, why };
        }
        let until = instant(&self.rests_until);
        if until > now {
            return Standing::Resting { until };
        }
        let since = instant(&self.slow_since);
        let until = since + self.group.slow_start();
        if since.0 != 0 && until > now {
            return Standing::SlowStart { since, until };
        }
        Standing::Ready
    }

    /// Whether a request may be sent to it that is bound to it.
    pub(crate) fn takes_bound(&self, now: Instant) -> bool {
        self.admin() != Admin::Down && self.is_well(now)
    }

    /// Whether a request may be sent to it that is bound to nobody.
    pub(crate) fn takes_new(&self, now: Instant) -> bool {
        self.admin() == Admin::Ready && self.is_well(now)
    }

    /// Whether neither checks nor its answers stand against it.
    fn is_well(&self, now: Instant) -> bool {
        self.probe() != Probe::Down
            && self.ejected_until.load(Ordering::Relaxed) <= now.0
            && !self.is_resting(now)
    }

    /// Whether it refused a connection so lately that others go first.
    #[must_use]
    pub fn is_resting(&self, now: Instant) -> bool {
        self.rests_until.load(Ordering::Relaxed) > now.0
    }

    /// Takes note of how a try ended. Refusals during a rest do not lengthen it: they come from
    /// requests that were on their way when it began.
    pub fn report(&self, outcome: Outcome, now: Instant) {
        match outcome {
            Outcome::Refused => self.refused(now),
            // Whatever became of the request: a connection stood.
            Outcome::Reached | Outcome::Answered { .. } | Outcome::Failed | Outcome::TimedOut => {
                // Read first: a store each request would pass the line from core to core.
                if self.refusals.load(Ordering::Relaxed) != 0 {
                    self.refusals.store(0, Ordering::Relaxed);
                    self.rests_until.store(0, Ordering::Relaxed);
                    self.group.touch();
                }
            }
        }
    }

    fn refused(&self, now: Instant) {
        let until = self.rests_until.load(Ordering::Relaxed);
        if until > now.0 {
            return;
        }
        let before = self.refusals.load(Ordering::Relaxed);
        let rest = REST_FIRST.saturating_mul(1 << before.min(16)).min(REST_LONGEST);
        // One core wins when several see the same refusal; the others' rest is the same.
        let next = (now + rest).0;
        let (relaxed, at) = (Ordering::Relaxed, &self.rests_until);
        if at.compare_exchange(until, next, relaxed, relaxed).is_ok() {
            self.refusals.store(before.saturating_add(1), Ordering::Relaxed);
            self.group.touch();
        }
    }

    /// Counts one more request, unless `max` are under way already.
    pub(crate) fn reserve(&self, max: Option<u32>) -> bool {
        let max = max.unwrap_or(u32::MAX);
        let step = |n: u32| (n < max).then(|| n + 1);
        let reserved =
            self.in_flight.fetch_update(Ordering::Relaxed, Ordering::Relaxed, step).is_ok();
        if reserved {
            self.picks.fetch_add(1, Ordering::Relaxed);
        }
        reserved
    }

    /// Counts one request less.
    fn release(&self) {
        self.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A place at a server, given back on drop: hold it until the response has ended.
#[derive(Debug)]
#[must_use = "dropping it frees the server's place"]
pub struct Lease {
    server: ServerId,
    counts_bytes: bool,
    state: Arc<ServerState>,
}

impl Lease {
    pub(crate) fn new(server: ServerId, state: Arc<ServerState>) -> Self {
        Self { server, counts_bytes: false, state }
    }

    /// The same, which counts what is moved.
    pub(crate) fn counting_bytes(mut self, counts: bool) -> Self {
        self.counts_bytes = counts;
        self
    }

    /// Counts bytes that were moved, if anybody looks at them.
    pub fn moved(&self, bytes: u64) {
        if self.counts_bytes {
            self.state.moved(bytes);
        }
    }

    /// Which server.
    #[must_use]
    pub const fn server(&self) -> ServerId {
        self.server
    }

    /// Its state.
    #[must_use]
    pub fn state(&self) -> &ServerState {
        &self.state
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.state.release();
    }
}

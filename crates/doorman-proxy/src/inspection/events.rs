//! The last things that rules found, for people who look.
//!
//! A ring in memory, shared by all cores: bounded in number and in bytes, so that a flood of attacks
//! costs the oldest events and nothing else. Its lock is taken only by requests of which there is
//! something to tell, and held for a push.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Events that are kept.
const EVENTS_MAX: usize = 1_000;

/// Bytes that they may hold together: some 8 KiB for each on the average, which is twenty rules.
const BYTES_MAX: usize = 8 << 20;

/// Findings of one event; more are counted.
pub(crate) const FINDINGS_MAX: usize = 64;

/// Bytes of a path or a host that an event keeps.
pub(crate) const TEXT_MAX: usize = 1_024;

/// A request of which rules have found something.
#[derive(Debug)]
pub struct Event {
    /// The request's id.
    pub id: [u8; 36],
    /// When it came, nanoseconds since the epoch.
    pub unix_nanos: u64,
    /// Who asked.
    pub client: Option<IpAddr>,
    /// Site and route.
    pub place: Option<(Box<str>, Box<str>)>,
    /// Its method.
    pub method: Box<str>,
    /// Host and port as the client wrote them.
    pub host: Box<[u8]>,
    /// Its path, without the query.
    pub path: Box<[u8]>,
    /// Status that the client got.
    pub status: u16,
    /// What became of it, by the word of [`super::WafAction`].
    pub action: &'static str,
    /// `block` or `detect`.
    pub mode: &'static str,
    /// The rule that refused, or would have; 0: a bound did, and no rule.
    pub refused_by: Option<u32>,
    /// The phase in which that was.
    pub phase: Option<u8>,
    /// Sums of the rules' scores.
    pub scores: Scores,
    /// Rules that matched, in order, at most 64.
    pub findings: Vec<Finding>,
    /// How many more there were.
    pub more: usize,
    /// What kept rules from being run to their end; a closed set of words.
    pub faults: Vec<&'static str>,
    /// Time that it took the core, nanoseconds.
    pub nanos: u64,
}

/// Sums of the rules' own scores, and from where on they refuse.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Scores {
    /// Of the request.
    pub inbound: i64,
    /// Of the response.
    pub outbound: i64,
    /// Of the request, with the levels that are run and do not count.
    pub inbound_run: i64,
    /// Of the response, with them.
    pub outbound_run: i64,
    /// The highest level that counts, and the highest that is run, 1 to 4; 0: no rule was run.
    pub levels: (u8, u8),
    /// From where on requests are refused, if the rules score.
    pub inbound_threshold: Option<i64>,
    /// From where on responses are.
    pub outbound_threshold: Option<i64>,
}

impl Scores {
    /// Whether there is any.
    #[must_use]
    pub const fn is_any(&self) -> bool {
        self.inbound != 0 || self.outbound != 0
    }
}

/// A rule that matched.
#[derive(Clone, Debug)]
pub struct Finding {
    /// Its number.
    pub rule: u32,
    /// Its phase, 1 to 5.
    pub phase: u8,
    /// What it says.
    pub msg: Box<str>,
    /// What it tells of the request.
    pub data: Box<str>,
    /// How grave a match is, by its word.
    pub severity: Option<&'static str>,
    /// Its tags.
    pub tags: Vec<Arc<str>>,
    /// Where it matched, such as `ARGS:q`.
    pub variable: Box<str>,
    /// Where else it did.
    pub others: Vec<Box<str>>,
    /// An excerpt of what was there, after transformations.
    pub value: Box<[u8]>,
    /// The same before them.
    pub raw: Box<[u8]>,
    /// What it added to a score.
    pub score: i64,
    /// File and line of the rule.
    pub place: Box<str>,
}

impl Event {
    fn bytes(&self) -> usize {
        let finding = |one: &Finding| {
            let texts = one.msg.len() + one.data.len() + one.variable.len() + one.value.len();
            let others: usize =
                one.others.iter().map(|name| size_of::<Box<str>>() + name.len()).sum();
            size_of::<Finding>()
                + texts
                + others
                + one.raw.len()
                + one.place.len()
                + one.tags.len() * size_of::<Arc<str>>()
        };
        let findings: usize = self.findings.iter().map(finding).sum();
        size_of::<Self>() + self.host.len() + self.path.len() + self.method.len() + findings
    }
}

/// The last events of the process.
#[derive(Debug, Default)]
pub struct Events {
    ring: Mutex<Ring>,
}

#[derive(Debug, Default)]
struct Ring {
    /// The oldest first.
    events: VecDeque<Arc<Event>>,
    bytes: usize,
    /// All there ever were.
    count: u64,
}

impl Events {
    pub(crate) fn push(&self, event: Arc<Event>) {
        let mut ring = self.ring();
        ring.count += 1;
        ring.bytes += event.bytes();
        ring.events.push_back(event);
        while ring.events.len() > EVENTS_MAX || ring.bytes > BYTES_MAX {
            let Some(oldest) = ring.events.pop_front() else { break };
            ring.bytes = ring.bytes.saturating_sub(oldest.bytes());
        }
    }

    /// The newest ones, newest first, at most `most`.
    #[must_use]
    pub fn last(&self, most: usize) -> Vec<Arc<Event>> {
        self.ring().events.iter().rev().take(most).cloned().collect()
    }

    /// The event of a request; of several of one id the newest.
    #[must_use]
    pub fn of(&self, id: &str) -> Option<Arc<Event>> {
        let ring = self.ring();
        ring.events.iter().rev().find(|event| event.id == id.as_bytes()).cloned()
    }

    /// How many there have been since the process began.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.ring().count
    }

    fn ring(&self) -> MutexGuard<'_, Ring> {
        self.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(n: usize, path: usize) -> Arc<Event> {
        let mut id = [b'0'; 36];
        id[..8].copy_from_slice(format!("{n:08}").as_bytes());
        Arc::new(Event {
            id,
            unix_nanos: 0,
            client: None,
            place: None,
            method: "GET".into(),
            host: Box::default(),
            path: vec![b'x'; path].into(),
            status: 403,
            action: "block",
            mode: "block",
            refused_by: None,
            phase: None,
            scores: Scores::default(),
            findings: Vec::new(),
            more: 0,
            faults: Vec::new(),
            nanos: 0,
        })
    }

    #[test]
    fn the_oldest_go_first() {
        let events = Events::default();
        for n in 0..EVENTS_MAX + 5 {
            events.push(event(n, 10));
        }
        assert_eq!(events.last(usize::MAX).len(), EVENTS_MAX);
        let id = |n| String::from_utf8(event(n, 0).id.to_vec()).unwrap();
        assert!(events.of(&id(4)).is_none() && events.of(&id(5)).is_some());
        assert_eq!(events.last(1)[0].id, event(EVENTS_MAX + 4, 0).id);
        assert_eq!(events.count(), EVENTS_MAX as u64 + 5);
    }

    #[test]
    fn they_are_bounded_in_bytes() {
        let events = Events::default();
        for n in 0..20 {
            events.push(event(n, BYTES_MAX / 10));
        }
        let kept = events.last(usize::MAX);
        assert!(kept.len() < 10 && !kept.is_empty(), "{}", kept.len());
        let bytes: usize = kept.iter().map(|event| event.bytes()).sum();
        assert_eq!(events.ring().bytes, bytes);
    }
}

//! How often: rates of requests by key.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use doorman_http::Instant;
use doorman_limit::{
    Heavy, Key, KeyMaker, Level, Rate, Secret, Table, Taken, rate_limit, rate_limit_policy,
    retry_after,
};

use super::{KeyPart, key, name};
use crate::exchange::Exchange;
use crate::stop::Fault;

/// What all cores know of a limit; it outlives plans.
#[derive(Debug)]
pub struct LimitBooks {
    pub(crate) table: Table,
    refused: AtomicU64,
    shadowed: AtomicU64,
}

impl LimitBooks {
    pub(crate) fn new(keys: usize) -> Self {
        let table = Table::new(keys);
        Self { table, refused: AtomicU64::new(0), shadowed: AtomicU64::new(0) }
    }

    /// Requests that were refused.
    #[must_use]
    pub fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }

    /// Requests that would have been.
    #[must_use]
    pub fn shadowed(&self) -> u64 {
        self.shadowed.load(Ordering::Relaxed)
    }
}

/// A limit of a route.
#[derive(Clone)]
pub(crate) struct PlanLimit {
    /// Its name, for people, metrics and answers.
    pub(crate) name: Arc<str>,
    pub(crate) rate: Rate,
    pub(crate) books: Arc<LimitBooks>,
    pub(crate) secret: Secret,
    pub(crate) parts: Box<[KeyPart]>,
    pub(crate) status: u16,
    /// Whether it is only told of.
    pub(crate) shadow: bool,
    /// Whether answers say how a client stands.
    pub(crate) fields: bool,
}

/// Limits of a route, and what answers say that they grant.
#[derive(Default)]
pub(crate) struct PlanLimits {
    pub(crate) list: Vec<PlanLimit>,
    policy: Option<Arc<str>>,
}

impl PlanLimits {
    pub(crate) fn new(list: Vec<PlanLimit>) -> Self {
        let mut policy = String::new();
        for limit in list.iter().filter(|limit| limit.is_told()) {
            rate_limit_policy(&mut policy, &limit.name, &limit.rate);
        }
        let policy = (!policy.is_empty()).then(|| policy.into());
        Self { list, policy }
    }
}

impl PlanLimit {
    /// Whether answers say how a client stands.
    const fn is_told(&self) -> bool {
        self.fields && !self.shadow
    }

    /// Whether it counts by who somebody is.
    pub(crate) fn is_own(&self) -> bool {
        self.parts.iter().any(|part| matches!(part, KeyPart::User | KeyPart::Claim(_)))
    }
}

/// A limit as people see it.
#[derive(Clone)]
pub struct LimitSeen(pub(crate) PlanLimit);

impl LimitSeen {
    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// What it grants.
    #[must_use]
    pub const fn rate(&self) -> &Rate {
        &self.0.rate
    }

    /// What is counted.
    #[must_use]
    pub const fn books(&self) -> &Arc<LimitBooks> {
        &self.0.books
    }

    /// Whether nothing is refused by it.
    #[must_use]
    pub const fn is_shadow(&self) -> bool {
        self.0.shadow
    }

    /// Keys of which something is taken.
    #[must_use]
    pub fn keys(&self, now: Instant) -> usize {
        self.0.books.table.count(now)
    }

    /// The keys that use most of it.
    #[must_use]
    pub fn top(&self, n: usize, now: Instant) -> Vec<Heavy> {
        self.0.books.table.top(n, &self.0.rate, now)
    }

    /// The key of a client, if it counts by addresses and nothing else, or everybody together.
    #[must_use]
    pub fn key_of(&self, client: IpAddr) -> Option<Key> {
        match &*self.0.parts {
            [] => Some(Key::ALL),
            [KeyPart::ClientIp(prefixes)] => {
                let mut maker = KeyMaker::new(self.0.secret);
                maker.client(client, *prefixes);
                Some(maker.key())
            }
            _ => None,
        }
    }

    /// How a key stands.
    #[must_use]
    pub fn show(&self, key: Key, now: Instant) -> Level {
        self.0.books.table.show(key, &self.0.rate, now)
    }

    /// Gives a key its whole burst back.
    pub fn reset(&self, key: Key) -> bool {
        self.0.books.table.reset(key)
    }

    /// Gives every key its whole burst back.
    pub fn reset_all(&self) {
        self.0.books.table.reset_all();
    }
}

/// Takes one from each limit, in their order. One that refuses ends it: those behind it are not charged.
pub(super) fn check(limits: &PlanLimits, exchange: &mut Exchange) -> Result<(), Fault> {
    if limits.list.is_empty() {
        return Ok(());
    }
    let now = exchange.started().instant;
    let mut told = String::new();
    let mut refused = None;
    for limit in &limits.list {
        let key = key(limit.secret, &limit.parts, exchange);
        let taken = limit.books.table.take(key, &limit.rate, 1, now);
        if limit.is_told() {
            rate_limit(&mut told, &limit.name, limit.rate.level(taken.debt()));
        }
        let Taken::Wait { wait, .. } = taken else { continue };
        limit.books.table.refused(key, || name(&limit.parts, exchange));
        if limit.shadow {
            limit.books.shadowed.fetch_add(1, Ordering::Relaxed);
            continue;
        }
        limit.books.refused.fetch_add(1, Ordering::Relaxed);
        let seconds = u32::try_from(retry_after(wait)).unwrap_or(u32::MAX);
        refused = Some(Fault::Limited(Arc::clone(&limit.name), limit.status, seconds));
        break;
    }
    if let Some(policy) = limits.policy.as_ref().filter(|_| !told.is_empty()) {
        let marks = exchange.marks();
        marks.shared(b"ratelimit-policy", Arc::clone(policy));
        marks.field(b"ratelimit", told);
    }
    refused.map_or(Ok(()), Err)
}

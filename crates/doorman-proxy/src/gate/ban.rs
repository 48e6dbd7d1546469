//! Who is kept out for some time, and what leads to it.

use std::sync::Arc;

use doorman_http::Instant;
use doorman_limit::{Ban, BanRule, Bans, Key, KeyMaker, Prefixes, Secret, Signalled, retry_after};

use super::network;
use crate::exchange::Exchange;
use crate::record::{End, Record};
use crate::stop::Fault;

/// What a client may be known by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BanSign {
    /// 404.
    NotFound,
    /// Credentials that are not good.
    AuthFailure,
    /// A rule refused it.
    WafBlock,
    /// It was above a bound.
    Limit,
    /// It was no request.
    Malformed,
    /// A proof that is not good.
    ChallengeFailure,
    /// An answer with a status from one to another.
    Status(u16, u16),
}

/// The signs of a rule.
#[derive(Clone, Debug, Default)]
pub(crate) struct Signs(pub(crate) Box<[BanSign]>);

impl Signs {
    /// Whether an exchange that is over is one of these.
    fn any(&self, record: &Record) -> bool {
        self.0.iter().any(|sign| match sign {
            BanSign::NotFound => record.status == 404,
            BanSign::AuthFailure => record.auth_failed,
            BanSign::WafBlock => record.end == End::WafBlock,
            BanSign::Limit => {
                matches!(record.end, End::Limited | End::Crowded | End::TooManyConnections)
            }
            BanSign::Malformed => record.end == End::ClientMalformed,
            BanSign::ChallengeFailure => record.proof_failed,
            BanSign::Status(first, last) => (*first..=*last).contains(&record.status),
        })
    }

    /// Whether what is not there is one.
    pub(crate) fn has_not_found(&self) -> bool {
        self.0.iter().any(|sign| match sign {
            BanSign::NotFound => true,
            BanSign::Status(first, last) => (*first..=*last).contains(&404),
            _ => false,
        })
    }

    /// Whether it may be known of what is no request.
    pub(crate) fn has_malformed(&self) -> bool {
        self.0.contains(&BanSign::Malformed)
    }
}

/// A rule that bans.
#[derive(Clone)]
pub(crate) struct PlanBan {
    /// What it says, for people.
    pub(crate) name: Arc<str>,
    pub(crate) rule: BanRule,
    pub(crate) signs: Signs,
    pub(crate) prefixes: Prefixes,
    pub(crate) secret: Secret,
    pub(crate) bans: Arc<Bans>,
}

impl PlanBan {
    /// Keeps a banned client out.
    pub(super) fn check(&self, exchange: &Exchange) -> Result<(), Fault> {
        self.until(exchange).map_or(Ok(()), |seconds| Err(Fault::Banned(seconds)))
    }

    /// For how many seconds the client of a request is kept out; `None`: it is not.
    pub(crate) fn until(&self, exchange: &Exchange) -> Option<u32> {
        let now = exchange.started().instant;
        let until = self.bans.check(self.key(exchange.client()?), now)?;
        Some(seconds(until, now))
    }

    /// Counts an exchange that is over, if it is a sign.
    pub(crate) fn watch(&self, record: &Record) {
        let Some(client) = record.client.filter(|_| record.end != End::Banned) else { return };
        if !self.signs.any(record) {
            return;
        }
        let name = || network(client, self.prefixes);
        // Who is banned is listed; the log has the requests that led to it.
        let _: Signalled = self.bans.signal(self.key(client), &self.rule, record.ended, name);
    }

    fn key(&self, client: std::net::IpAddr) -> Key {
        let mut maker = KeyMaker::new(self.secret);
        maker.client(client, self.prefixes);
        maker.key()
    }
}

/// Seconds until a ban is over, at least one.
fn seconds(until: Instant, now: Instant) -> u32 {
    u32::try_from(retry_after(until.since(now))).unwrap_or(u32::MAX)
}

/// A rule that bans, as people see it.
#[derive(Clone)]
pub struct BanRules(pub(crate) PlanBan);

impl BanRules {
    /// What it says.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// Who is banned, those first who are for longest; at most so many.
    #[must_use]
    pub fn list(&self, most: usize, now: Instant) -> Vec<Ban> {
        self.0.bans.list(most, now)
    }

    /// How many are.
    #[must_use]
    pub fn count(&self, now: Instant) -> usize {
        self.0.bans.count(now)
    }

    /// The key of a client.
    #[must_use]
    pub fn key(&self, client: std::net::IpAddr) -> Key {
        self.0.key(client)
    }

    /// Lets a client in again; tells whether it was kept out.
    pub fn lift(&self, key: Key) -> bool {
        self.0.bans.lift(key)
    }

    /// Lets everybody in again.
    pub fn lift_all(&self) {
        self.0.bans.lift_all();
    }
}

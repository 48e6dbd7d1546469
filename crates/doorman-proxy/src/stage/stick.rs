//! Keeping a client on its server: what its request says of it, and what the response has to say.
//!
//! With cookies of ours nothing is remembered: a client's server is in its cookie, sealed, so that it
//! is known on every core, after a restart, and on every machine that has the key. What nobody sealed,
//! or sealed for another upstream, or too long ago, counts as nothing: the client gets a server as a
//! new one does, and a new cookie.

mod tell;

use doorman_balance::{Lease, ServerId, ServerState, Standing};
use doorman_http::{FieldId, Fields, Instant, KeyHash, RequestHead, Response, ResponseHead};
use doorman_net::Net;

use crate::exchange::{Exchange, Otherwise, Tie};
use crate::house::CorePlan;
use crate::plan::{By, Learning, Numbered, Place, PlanServer, PlanSticky};
use crate::record::Sticky;
use crate::stage::{cookies, key};
use crate::stop::Fault;

pub(crate) use tell::tell;

/// A session is noted again once this part of its life has passed: most requests only look.
const RENEW_PARTS: u32 = 8;

/// What a request said of its server.
pub(crate) struct Stuck<'a> {
    sticky: &'a PlanSticky,
    said: Said,
    /// Whether neither the client nor the table need be told again.
    fresh: bool,
    /// The session that it is of, if that was learned.
    session: Option<u64>,
}

/// Which server a request named.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Said {
    Nothing,
    Gone,
    Server(ServerId),
}

impl Said {
    fn of(server: Option<ServerId>) -> Self {
        server.map_or(Self::Gone, Self::Server)
    }
}

/// Finds the client's server, and ties the request to it; `None` if the upstream keeps no clients.
pub(crate) fn tie<'a, N: Net>(
    plan: &'a CorePlan<N>,
    upstream: usize,
    exchange: &mut Exchange,
) -> Option<Stuck<'a>> {
    let upstream = &plan.plan.upstreams[upstream];
    let key = upstream.key.as_ref().and_then(|key| key::of(key, exchange));
    exchange.tie = Tie { key, ..Tie::default() };
    let sticky = upstream.sticky.as_ref()?;
    let now = exchange.started();
    let stuck =
        bind(sticky, &upstream.servers, &mut exchange.head, now.instant, now.unix_seconds());
    exchange.tie.otherwise = sticky.otherwise;
    exchange.tie.server = match stuck.said {
        Said::Server(server) => Some(server),
        Said::Nothing | Said::Gone => None,
    };
    Some(stuck)
}

fn bind<'a>(
    sticky: &'a PlanSticky,
    servers: &[PlanServer],
    head: &mut RequestHead,
    now: Instant,
    unix: u64,
) -> Stuck<'a> {
    let mut stuck = Stuck { sticky, said: Said::Nothing, fresh: false, session: None };
    match &sticky.by {
        By::Cookie(numbered) => {
            (stuck.said, stuck.fresh) = read(numbered, &mut head.fields, unix);
        }
        By::AppCookie { name, routes, beside } => {
            let mut values = cookies::values(&head.fields, name.as_bytes());
            let named = values.find_map(|value| routes.server(value));
            drop(values);
            let (said, _) = read(beside, &mut head.fields, unix);
            stuck.said = named.map_or(said, Said::Server);
        }
        By::Value { place, routes, keys } => {
            let Some(value) = place.of_request(head) else { return stuck };
            // Who refuses rather than moves is asked even when it is down.
            let strict = sticky.otherwise.0 == Otherwise::Refuse;
            let takes = |at: u32| {
                let up = servers.get(at as usize).is_some_and(|server| is_up(&server.state, now));
                (up || strict).then_some(ServerId(at))
            };
            let key = || KeyHash::of(0, value);
            let server = routes.server(value);
            let server = server.or_else(|| keys.as_ref()?.first(key(), takes));
            stuck.said = Said::of(server);
        }
        By::Learned(learning) => {
            let Some(value) = learning.lookup.of_request(head) else { return stuck };
            let key = learning.sessions.key(value);
            let Some((number, left)) = learning.sessions.find(key, now) else { return stuck };
            stuck.said = Said::of(learning.server(number));
            stuck.fresh = left >= learning.life - learning.life / RENEW_PARTS;
            stuck.session = Some(key);
        }
    }
    stuck
}

/// What our cookie says, and whether it is fresh. It is taken off: it is between the client and us.
fn read(numbered: &Numbered, fields: &mut Fields, unix: u64) -> (Said, bool) {
    match cookies::take(&numbered.cookie, fields, unix).flatten() {
        None => (Said::Nothing, false),
        Some(known) => (Said::of(numbered.server(known.number)), known.fresh),
    }
}

impl Place {
    /// What stands there in a request; `None` if nothing does.
    fn of_request<'a>(&'a self, head: &'a RequestHead) -> Option<&'a [u8]> {
        let value = match self {
            Self::Cookie(name) => head.cookie(name.as_bytes()),
            Self::Header(name) => head.fields.first_named(name.as_bytes()),
            Self::Query(name) => head.query_parameter(name.as_bytes()),
        };
        value.filter(|value| !value.is_empty())
    }

    /// What stands there in a response.
    fn of_response<'a>(&'a self, head: &'a ResponseHead) -> Option<&'a [u8]> {
        let value = match self {
            Self::Cookie(name) => set(&head.fields, name.as_bytes()).map(|(value, _)| value),
            Self::Header(name) => head.fields.first_named(name.as_bytes()),
            Self::Query(_) => None,
        };
        value.filter(|value| !value.is_empty())
    }
}

/// The value and the attributes of a cookie that a response sets, the last one of its name.
fn set<'a>(fields: &'a Fields, name: &[u8]) -> Option<(&'a [u8], &'a [u8])> {
    let lines = fields.all(FieldId::SetCookie).filter_map(|line| {
        let end = line.iter().position(|byte| *byte == b';').unwrap_or(line.len());
        let (pair, attributes) = line.split_at(end);
        Some((cookies::value_of(pair.trim_ascii_start(), name)?, attributes))
    });
    lines.last()
}

fn is_up(server: &ServerState, now: Instant) -> bool {
    let standing = server.standing(now);
    matches!(standing, Standing::Ready | Standing::SlowStart { .. } | Standing::Draining)
}

impl Tie {
    /// Whether a server that was picked may take the request. `bound` is what cores share of the
    /// client's own.
    pub(crate) fn allows(
        &self,
        lease: &Lease,
        bound: Option<&ServerState>,
        now: Instant,
    ) -> Result<(), Fault> {
        let (Some(server), (down, full)) = (self.server, self.otherwise) else { return Ok(()) };
        if lease.server() == server {
            return Ok(());
        }
        let is_up = bound.is_some_and(|bound| is_up(bound, now));
        match if is_up { full } else { down } {
            Otherwise::Choose => Ok(()),
            Otherwise::Refuse if is_up => Err(Fault::Bound("is full")),
            Otherwise::Refuse => Err(Fault::Bound("is down")),
        }
    }
}

/// Tells the client, or the table, where the client belongs from now on, if that is news.
pub(crate) fn mark(stuck: Option<&Stuck<'_>>, exchange: &mut Exchange, response: &mut Response) {
    let Some(stuck) = stuck else { return };
    let started = exchange.started();
    let Some(server) = exchange.record().lease.as_ref().map(Lease::server) else { return };
    let mut word = match stuck.said {
        Said::Nothing => Sticky::New,
        Said::Server(own) if own == server => Sticky::Hit,
        Said::Server(_) | Said::Gone => Sticky::Moved,
    };
    let now = started.unix_seconds();
    let tied = match &stuck.sticky.by {
        By::Cookie(Numbered { cookie, .. }) if word == Sticky::Hit && stuck.fresh => {
            cookies::take_back(&mut response.head.fields, cookie.name.as_bytes());
            true
        }
        By::Cookie(numbered) => {
            let fields = &mut response.head.fields;
            cookies::take_back(fields, numbered.cookie.name.as_bytes());
            if let Some(number) = numbered.number(server) {
                let value = numbered.cookie.set(number, exchange.head.scheme, now);
                fields.push_id(FieldId::SetCookie, &value);
            }
            true
        }
        By::AppCookie { name, routes, beside } => {
            let fields = &mut response.head.fields;
            cookies::take_back(fields, beside.cookie.name.as_bytes());
            let number = beside.number(server);
            let value = match set(fields, name.as_bytes()) {
                // The server names itself.
                Some((value, _)) if routes.server(value) == Some(server) => None,
                Some((_, attributes)) => {
                    number.map(|number| beside.cookie.set_with(number, now, &[attributes]))
                }
                None if word == Sticky::Moved => {
                    number.map(|number| beside.cookie.set(number, exchange.head.scheme, now))
                }
                None if word == Sticky::New => return,
                None => None,
            };
            value.iter().for_each(|value| fields.push_id(FieldId::SetCookie, value));
            true
        }
        By::Value { .. } => stuck.said != Said::Nothing,
        By::Learned(learning) => {
            let named = learning.from.of_response(&response.head);
            let key = named.map(|session| learning.sessions.key(session));
            if key.is_some() && key != stuck.session {
                word = Sticky::New;
            }
            learn(learning, key, stuck, (word, server), started.instant)
        }
    };
    if tied {
        exchange.record().sticky = Some(word);
    }
}

/// Notes where a session belongs: one that the response names, or the request's own when it moved or
/// was noted long ago. Tells whether there is a session.
fn learn(
    learning: &Learning,
    named: Option<u64>,
    stuck: &Stuck<'_>,
    (word, server): (Sticky, ServerId),
    now: Instant,
) -> bool {
    let known = stuck.session;
    let Some(key) = named.or(known) else { return false };
    if (named.is_some() || word != Sticky::Hit || !stuck.fresh)
        && let Some(number) = learning.number(server)
    {
        learning.sessions.learn(key, number, learning.life, now);
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_response_sets() {
        let mut fields = Fields::new();
        for line in ["a=1", "sid=x; Path=/; Max-Age=5", "sid = y;HttpOnly", "sidx=z; Path=/"] {
            fields.push_id(FieldId::SetCookie, line.as_bytes());
        }
        assert_eq!(set(&fields, b"sid"), Some((&b"y"[..], &b";HttpOnly"[..])));
        assert_eq!(set(&fields, b"a"), Some((&b"1"[..], &b""[..])));
        assert_eq!(set(&fields, b"b"), None);
    }
}

//! What keeps the clients of an upstream on their servers, ready to run.

use std::collections::HashMap;
use std::sync::Arc;

use doorman_balance::{Group, Keys, Member, Method, ServerId};
use doorman_config::{SessionPlace, Sticky, StickyBy, Upstream, WhenDown};
use doorman_net::seal::SealKey;

use super::compile::Faults;
use super::{Ground, PlanCookie, PlanServer, Sessions};
use crate::exchange::Otherwise;

/// What keeps clients on their servers.
pub(crate) struct PlanSticky {
    pub(crate) by: By,
    /// What happens when a client's server is down, and when it is full.
    pub(crate) otherwise: (Otherwise, Otherwise),
}

/// By what a client's server is known.
pub(crate) enum By {
    /// A cookie of ours.
    Cookie(Numbered),
    /// The application's cookie of that name, and ours beside it.
    AppCookie { name: Box<str>, routes: Routes, beside: Numbered },
    /// A value that the client sends, which names its server or is its key.
    Value { place: Place, routes: Routes, keys: Option<Arc<Keys>> },
    /// A session that a server named.
    Learned(Learning),
}

/// Where a message names a session.
pub(crate) enum Place {
    Cookie(Box<str>),
    Header(Box<str>),
    Query(Box<str>),
}

/// A cookie that holds the number of a server.
pub(crate) struct Numbered {
    pub(crate) cookie: PlanCookie,
    /// In the plan's order.
    numbers: Box<[u64]>,
    servers: HashMap<u64, ServerId>,
}

/// Servers by the names that the operator gave them, as they stand behind sessions.
pub(crate) struct Routes {
    separator: u8,
    servers: HashMap<Box<[u8]>, ServerId>,
}

/// How sessions are learned.
pub(crate) struct Learning {
    /// Where responses name them.
    pub(crate) from: Place,
    /// Where requests name them.
    pub(crate) lookup: Place,
    pub(crate) sessions: Arc<Sessions>,
    /// Seconds that one is remembered.
    pub(crate) life: u32,
    /// The numbers of servers in the table, in the plan's order.
    numbers: Box<[u32]>,
}

/// Signs in a value behind which the name of a server may begin; more are not looked at.
const SEPARATORS_MAX: usize = 8;

impl PlanSticky {
    pub(super) fn compile(
        ground: &Ground,
        upstream: &Upstream,
        group: &Group,
        servers: &[PlanServer],
        faults: &mut Faults,
    ) -> Option<Self> {
        let sticky = upstream.sticky.as_ref()?;
        let whose = upstream.name.value.as_str();
        let routes = || Routes::new(sticky, servers);
        let mut key = || ground.seal_key(sticky.span, faults);
        let value = |place| By::Value { place, routes: routes(), keys: keys(group, servers) };
        let by = match &sticky.by {
            StickyBy::Cookie(name) => {
                let key = key()?;
                let cookie = PlanCookie::of_upstream(Arc::clone(&key), name, whose, sticky);
                By::Cookie(Numbered::new(cookie, &key, whose, servers))
            }
            StickyBy::AppCookie(name) => {
                let key = key()?;
                let cookie = PlanCookie::beside(Arc::clone(&key), name, whose);
                let beside = Numbered::new(cookie, &key, whose, servers);
                By::AppCookie { name: name.as_str().into(), routes: routes(), beside }
            }
            StickyBy::Query(name) => value(Place::Query(name.as_str().into())),
            StickyBy::Header(name) => value(Place::Header(name.as_str().into())),
            StickyBy::Learn(from) => {
                let sessions = ground.sessions(whose, sticky.entries.value);
                let numbers = sessions.numbers(servers.iter().map(|server| &*server.name));
                By::Learned(Learning {
                    from: Place::of(from),
                    lookup: Place::of(sticky.lookup.as_ref().map_or(from, |place| &place.value)),
                    sessions,
                    life: u32::try_from(sticky.expire.value.as_secs()).unwrap_or(u32::MAX),
                    numbers: numbers.into_boxed_slice(),
                })
            }
        };
        Some(Self { by, otherwise: otherwise(sticky) })
    }

    /// The sessions that it learns.
    pub(super) const fn sessions(&self) -> Option<&Arc<Sessions>> {
        match &self.by {
            By::Learned(learning) => Some(&learning.sessions),
            _ => None,
        }
    }
}

impl Place {
    fn of(written: &SessionPlace) -> Self {
        match written {
            SessionPlace::Cookie(name) => Self::Cookie(name.as_str().into()),
            SessionPlace::Header(name) => Self::Header(name.as_str().into()),
            SessionPlace::Query(name) => Self::Query(name.as_str().into()),
        }
    }
}

impl Numbered {
    fn new(cookie: PlanCookie, key: &SealKey, upstream: &str, servers: &[PlanServer]) -> Self {
        let number = |server: &PlanServer| number(key, upstream, &server.name);
        let numbers: Box<[u64]> = servers.iter().map(number).collect();
        let servers = numbers.iter().copied().zip((0..).map(ServerId)).collect();
        Self { cookie, numbers, servers }
    }

    /// The server of that number; `None`: it is in this plan no more.
    pub(crate) fn server(&self, number: u64) -> Option<ServerId> {
        self.servers.get(&number).copied()
    }

    /// The number of a server.
    pub(crate) fn number(&self, server: ServerId) -> Option<u64> {
        self.numbers.get(server.index()).copied()
    }
}

impl Routes {
    fn new(sticky: &Sticky, servers: &[PlanServer]) -> Self {
        let separator = sticky.separator.value.bytes().next().unwrap_or(b'.');
        let named = (0..).map(ServerId).zip(servers).filter(|(_, server)| is_name(&server.name));
        let servers = named.map(|(id, server)| (server.name.as_bytes().into(), id)).collect();
        Self { separator, servers }
    }

    /// The server that a value names: behind a separator, the first that fits, or as a whole.
    pub(crate) fn server(&self, value: &[u8]) -> Option<ServerId> {
        let signs = value.iter().enumerate().filter(|(_, byte)| **byte == self.separator);
        let ends = signs.take(SEPARATORS_MAX).filter_map(|(at, _)| value.get(at + 1..));
        std::iter::once(value).chain(ends).find_map(|name| self.servers.get(name)).copied()
    }
}

/// Whether a server has a name of its own. One that goes by its address is not asked for by it:
/// nobody outside is to know addresses, nor to try them.
fn is_name(name: &str) -> bool {
    name.bytes().next().is_some_and(|byte| byte.is_ascii_alphabetic()) && !name.contains([':', '/'])
}

impl Learning {
    /// The server of that number in the table; `None`: it is in this plan no more.
    pub(crate) fn server(&self, number: u32) -> Option<ServerId> {
        let at = self.numbers.iter().position(|other| *other == number)?;
        u32::try_from(at).ok().map(ServerId)
    }

    /// The number of a server in the table.
    pub(crate) fn number(&self, server: ServerId) -> Option<u32> {
        self.numbers.get(server.index()).copied()
    }
}

/// Which server each value belongs to that names none.
fn keys(group: &Group, servers: &[PlanServer]) -> Option<Arc<Keys>> {
    let member = |server: &PlanServer| Member::new(Arc::clone(&server.state), server.weight);
    let members: Vec<Member> = servers.iter().map(member).collect();
    group.keys(Method::Hash, &members)
}

/// A number that nobody without the key can make of a server's name, nor a name of it.
fn number(key: &SealKey, upstream: &str, server: &str) -> u64 {
    u64::from_be_bytes(key.seal(&[b"number", upstream.as_bytes(), server.as_bytes()]))
}

fn otherwise(sticky: &Sticky) -> (Otherwise, Otherwise) {
    let of = |written| match written {
        WhenDown::Choose => Otherwise::Choose,
        WhenDown::Refuse => Otherwise::Refuse,
    };
    (of(sticky.when_down.value), of(sticky.when_full.value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_names_a_server_as_httpd_reads_it() {
        let servers = ["web-1", "web.2", "2"].iter().zip(0..);
        let servers = servers.map(|(name, id)| (name.as_bytes().into(), ServerId(id))).collect();
        let routes = Routes { separator: b'.', servers };
        let check = |value: &str, expect: Option<u32>| {
            assert_eq!(routes.server(value.as_bytes()), expect.map(ServerId), "{value}");
        };
        check("web-1", Some(0));
        check("A0B1.web-1", Some(0));
        check("a.b.web-1", Some(0));
        check("a.web.2", Some(1));
        check("a.b.2", Some(2));
        check("a.web-3", None);
        check("a.", None);
        check("", None);
        check("web-1.a", None);
        check(&format!("{}web-1", "a.".repeat(9)), None);
    }

    #[test]
    fn addresses_are_no_names() {
        for (name, expect) in [
            ("web-1", true),
            ("a.b_c", true),
            ("10.0.0.1:80", false),
            ("3000", false),
            ("app.internal:80", false),
            ("unix:/run/app", false),
            ("https://app.internal", false),
            ("[::1]:80", false),
        ] {
            assert_eq!(is_name(name), expect, "{name}");
        }
    }
}

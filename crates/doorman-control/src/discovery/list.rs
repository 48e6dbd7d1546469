//! Lists of servers: what a look yields, put in order and bounded.

use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

/// Where a server is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Place {
    /// An address and a port.
    Ip(IpAddr, u16),
    /// A name that is looked up for each connection, and a port.
    Name(String, u16),
    /// A Unix socket.
    Unix(PathBuf),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ip(IpAddr::V6(ip), port) => write!(f, "[{ip}]:{port}"),
            Self::Ip(ip, port) => write!(f, "{ip}:{port}"),
            Self::Name(name, port) => write!(f, "{name}:{port}"),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// Whether TLS is spoken to a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Secure {
    /// As its `discover` line says.
    AsWritten,
    /// No.
    No,
    /// Yes.
    Yes,
}

/// A server that was found.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Endpoint {
    /// Its tier among the others, 0 first: the order of priorities of SRV records, or what a file says.
    pub tier: u32,
    /// Where it is.
    pub place: Place,
    /// Whether TLS is spoken to it.
    pub secure: Secure,
    /// Its part of the load, 1 to 65,535.
    pub weight: u32,
    /// The host that its certificate must be for, and that it is asked for with `host upstream`; `None`: what it is
    /// reached by.
    pub known_as: Option<String>,
    /// Its name in logs and metrics; `None`: its place.
    pub name: Option<String>,
}

impl Endpoint {
    /// A server about which nothing more is said.
    #[must_use]
    pub const fn plain(place: Place) -> Self {
        Self { tier: 0, place, secure: Secure::AsWritten, weight: 1, known_as: None, name: None }
    }

    /// What it is called.
    #[must_use]
    pub fn title(&self) -> String {
        self.name.clone().unwrap_or_else(|| match self.secure {
            Secure::Yes => format!("https://{}", self.place),
            Secure::AsWritten | Secure::No => self.place.to_string(),
        })
    }
}

/// What a look found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The servers.
    pub endpoints: Vec<Endpoint>,
    /// How long the answer counts; `None`: until something changes.
    pub ttl: Option<Duration>,
}

/// Why a look found nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble {
    /// In words.
    pub why: String,
    /// How long that counts, as the DNS server says.
    pub ttl: Option<Duration>,
}

impl Trouble {
    /// Trouble about which nobody said how long it lasts.
    pub(super) fn new(why: impl Into<String>) -> Self {
        Self { why: why.into(), ttl: None }
    }
}

/// A list in its order, each place once, of at most `most` servers; and how many there were.
///
/// The order is by tier and address, not by how they came, so that two answers with the same servers are the same list,
/// and of too many always the same are taken.
#[must_use]
pub fn order(mut endpoints: Vec<Endpoint>, most: usize) -> (Vec<Endpoint>, usize) {
    // The best tier of a place that comes twice counts, and then its largest weight.
    endpoints.sort_by(|a, b| {
        (&a.place, a.secure, a.tier, std::cmp::Reverse(a.weight)).cmp(&(
            &b.place,
            b.secure,
            b.tier,
            std::cmp::Reverse(b.weight),
        ))
    });
    endpoints.dedup_by(|a, b| a.place == b.place && a.secure == b.secure);
    endpoints.sort();
    let mut names = std::collections::HashSet::new();
    endpoints.retain(|one| names.insert(one.title()));
    let found = endpoints.len();
    endpoints.truncate(most);
    (endpoints, found)
}

/// What came and what went between two lists, by title: those behind the bound in words are only counted.
#[must_use]
pub fn difference(before: &[Endpoint], after: &[Endpoint]) -> String {
    const NAMED_MAX: usize = 5;
    let only = |one: &[Endpoint], other: &[Endpoint]| -> Vec<String> {
        let known: std::collections::HashSet<&Endpoint> = other.iter().collect();
        one.iter().filter(|end| !known.contains(end)).map(Endpoint::title).collect()
    };
    let (came, went) = (only(after, before), only(before, after));
    let say = |sign: &str, list: &[String]| {
        let mut words: Vec<String> =
            list.iter().take(NAMED_MAX).map(|title| format!("{sign}{title}")).collect();
        if list.len() > NAMED_MAX {
            words.push(format!("{sign}{} more", list.len() - NAMED_MAX));
        }
        words
    };
    let words: Vec<String> = [say("+", &came), say("-", &went)].concat();
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(last: u8, tier: u32, weight: u32) -> Endpoint {
        Endpoint { tier, weight, ..Endpoint::plain(Place::Ip([10, 0, 0, last].into(), 80)) }
    }

    #[test]
    fn lists_are_in_order_and_bounded() {
        let check = |list: &[Endpoint], most: usize, expect: &[Endpoint], found: usize| {
            assert_eq!(order(list.to_vec(), most), (expect.to_vec(), found), "{list:?}");
        };
        check(&[], 9, &[], 0);
        check(&[ip(2, 0, 1), ip(1, 0, 1)], 9, &[ip(1, 0, 1), ip(2, 0, 1)], 2);
        check(&[ip(1, 0, 1), ip(1, 0, 1)], 9, &[ip(1, 0, 1)], 1);
        check(&[ip(1, 1, 9), ip(1, 0, 1), ip(1, 0, 3)], 9, &[ip(1, 0, 3)], 1);
        check(&[ip(3, 0, 1), ip(1, 1, 1), ip(2, 0, 1)], 2, &[ip(2, 0, 1), ip(3, 0, 1)], 3);
        let many: Vec<_> = (0..=255).map(|last| ip(last, 0, 1)).rev().collect();
        check(&many, 1, &[ip(0, 0, 1)], 256);
    }

    #[test]
    fn two_servers_have_two_names() {
        let named = |last: u8| Endpoint { name: Some("a".to_owned()), ..ip(last, 0, 1) };
        assert_eq!(order(vec![named(1), named(2)], 9).0, [named(1)]);
    }

    #[test]
    fn differences_in_words() {
        let check = |before: &[Endpoint], after: &[Endpoint], expect: &str| {
            assert_eq!(difference(before, after), expect);
        };
        check(&[], &[ip(1, 0, 1)], "+10.0.0.1:80");
        check(
            &[ip(1, 0, 1), ip(2, 0, 1)],
            &[ip(2, 0, 1), ip(3, 0, 1)],
            "+10.0.0.3:80 -10.0.0.1:80",
        );
        check(&[ip(1, 0, 1)], &[ip(1, 0, 2)], "+10.0.0.1:80 -10.0.0.1:80");
        let many: Vec<_> = (1..=8).map(|last| ip(last, 0, 1)).collect();
        assert!(difference(&[], &many).ends_with("+10.0.0.5:80 +3 more"));
    }
}

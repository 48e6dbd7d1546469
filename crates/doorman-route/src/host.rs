//! Which site a host belongs to: one table for each listener.

use std::net::{IpAddr, Ipv6Addr};

use crate::SiteIndex;
use crate::hash::Map;

/// Which hosts an address takes. Over all sites of a listener the more exact pattern wins,
/// whatever their order: a name, then the longest wildcard, then any.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum HostPattern {
    /// Every host, and requests that name none.
    Any,
    /// One name. Case and a final dot count for nothing.
    Name(Box<str>),
    /// `*.example.com`, given as `example.com`: every name below it, at any depth, but not the
    /// name itself. Deeper than a certificate's wildcard reaches (one label, RFC 6125 section
    /// 6.4.3): which certificate answers is settled before, and a name that nobody else takes is
    /// better answered by its own family than by a site for every host.
    Wildcard(Box<str>),
    /// An address as host.
    Ip(IpAddr),
}

impl HostPattern {
    /// The form that look-ups use: lower case, no final dot.
    pub(crate) fn normal(&self) -> Self {
        let lower = |name: &str| name.trim_end_matches('.').to_ascii_lowercase().into_boxed_str();
        match self {
            Self::Name(name) => Self::Name(lower(name)),
            Self::Wildcard(suffix) => Self::Wildcard(lower(suffix)),
            other => other.clone(),
        }
    }

    /// Whether `host` (lower case, brackets around IPv6) is taken; `self` is in normal form.
    pub(crate) fn matches(&self, host: &[u8]) -> bool {
        match self {
            Self::Any => true,
            Self::Name(name) => name.as_bytes() == host,
            Self::Wildcard(suffix) => host
                .strip_suffix(suffix.as_bytes())
                .is_some_and(|front| front.len() > 1 && front.ends_with(b".")),
            Self::Ip(ip) => address(host) == Some(*ip),
        }
    }
}

/// The address that a host is, if it is one.
fn address(host: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(host).ok()?;
    match text.strip_prefix('[') {
        Some(rest) => rest.strip_suffix(']')?.parse::<Ipv6Addr>().ok().map(IpAddr::V6),
        None => text.parse().ok().filter(IpAddr::is_ipv4),
    }
}

/// The hosts of one listener.
#[derive(Debug, Default)]
pub(crate) struct Hosts {
    names: Map<Box<[u8]>, SiteIndex>,
    suffixes: Map<Box<[u8]>, SiteIndex>,
    addresses: Map<IpAddr, SiteIndex>,
    any: Option<SiteIndex>,
    /// Bytes of the longest wildcard: bounds how many parts of a host are looked up.
    suffix_max: usize,
}

impl Hosts {
    /// Adds a pattern in normal form.
    ///
    /// # Errors
    /// The site that has taken it before.
    pub(crate) fn add(&mut self, host: &HostPattern, site: SiteIndex) -> Result<(), SiteIndex> {
        let before = match host {
            HostPattern::Any => self.any.replace(site),
            HostPattern::Name(name) => self.names.insert(name.as_bytes().into(), site),
            HostPattern::Ip(ip) => self.addresses.insert(*ip, site),
            HostPattern::Wildcard(suffix) => {
                self.suffix_max = self.suffix_max.max(suffix.len());
                self.suffixes.insert(suffix.as_bytes().into(), site)
            }
        };
        // A site may name one host twice; that says nothing new.
        before.filter(|&before| before != site).map_or(Ok(()), Err)
    }

    /// The site that takes `host`: lower case, without port and final dot, may be empty.
    pub(crate) fn find(&self, host: &[u8]) -> Option<SiteIndex> {
        if let Some(site) = self.names.get(host) {
            return Some(*site);
        }
        let ip = if self.addresses.is_empty() { None } else { address(host) };
        ip.and_then(|ip| self.addresses.get(&ip))
            .or_else(|| self.longest_suffix(host))
            .copied()
            .or(self.any)
    }

    fn longest_suffix(&self, host: &[u8]) -> Option<&SiteIndex> {
        if self.suffix_max == 0 {
            return None;
        }
        // From the left the parts get shorter, so the first hit is the longest.
        let start = host.len().saturating_sub(self.suffix_max + 1);
        (start.max(1)..host.len())
            .filter(|&dot| host[dot] == b'.')
            .find_map(|dot| self.suffixes.get(&host[dot + 1..]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_more_exact_host_wins() {
        let mut hosts = Hosts::default();
        let patterns = [
            HostPattern::Any,
            HostPattern::Name("Example.COM.".into()),
            HostPattern::Wildcard("example.com".into()),
            HostPattern::Wildcard("EU.example.com".into()),
            HostPattern::Ip("::1".parse().unwrap()),
            HostPattern::Ip("127.0.0.1".parse().unwrap()),
        ];
        for (site, pattern) in patterns.iter().enumerate() {
            hosts.add(&pattern.normal(), SiteIndex(site)).unwrap();
        }
        for (host, site) in [
            ("example.com", 1),
            ("a.example.com", 2),
            ("b.a.example.com", 2),
            ("eu.example.com", 2),
            ("a.eu.example.com", 3),
            ("b.a.eu.example.com", 3),
            ("xeu.example.com", 2),
            ("notexample.com", 0),
            ("a.notexample.com", 0),
            (".example.com", 0),
            ("com", 0),
            ("", 0),
            ("[::1]", 4),
            ("[0:0:0:0:0:0:0:1]", 4),
            ("[::2]", 0),
            ("127.0.0.1", 5),
            ("::1", 0),
        ] {
            assert_eq!(hosts.find(host.as_bytes()), Some(SiteIndex(site)), "{host}");
            let most = patterns.iter().map(HostPattern::normal).position(|pattern| {
                pattern != HostPattern::Any && pattern.matches(host.as_bytes())
            });
            assert_eq!(most.is_some(), site != 0, "{host}");
        }
    }

    #[test]
    fn a_host_belongs_to_one_site() {
        let mut hosts = Hosts::default();
        let name = HostPattern::Name("a".into());
        assert_eq!(hosts.add(&name, SiteIndex(3)), Ok(()));
        assert_eq!(hosts.add(&name, SiteIndex(3)), Ok(()));
        assert_eq!(hosts.add(&name, SiteIndex(4)), Err(SiteIndex(3)));
        assert_eq!(hosts.find(b"b"), None);
    }
}

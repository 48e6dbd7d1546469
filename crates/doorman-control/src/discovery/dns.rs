//! Looking names up. The library speaks DNS; what an answer means is decided here from values, and how long it
//! counts in the ledger: nothing is cached.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolverConfig};
use hickory_resolver::lookup::Lookup;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::net::{DnsError, NetError};
use hickory_resolver::proto::op::ResponseCode;
use hickory_resolver::proto::rr::{RData, RecordType};
use hickory_resolver::{ResolverBuilder, TokioResolver};

use super::Family;
use super::list::{Answer, Endpoint, Place, Trouble};

/// The wait for one answer of one DNS server; lost datagrams are sent again after it.
const ANSWER: Duration = Duration::from_secs(2);
/// How often a question is put after the first time.
const AGAIN: usize = 1;
/// Targets of SRV records whose addresses are looked up: each is a question or two.
const TARGETS_MAX: usize = 256;

/// Whom to ask.
pub(super) struct Resolver(TokioResolver);

impl Resolver {
    /// One that asks these servers; none: those of the system.
    ///
    /// # Errors
    /// The system's list of DNS servers cannot be read.
    pub(super) fn new(servers: &[SocketAddr]) -> Result<Self, Trouble> {
        let fail = |error: NetError| Trouble::new(format!("no DNS servers: {error}"));
        let mut builder: ResolverBuilder<TokioRuntimeProvider> = if servers.is_empty() {
            TokioResolver::builder_tokio().map_err(fail)?
        } else {
            let servers = servers.iter().map(|server| {
                let mut ways = vec![ConnectionConfig::udp(), ConnectionConfig::tcp()];
                ways.iter_mut().for_each(|way| way.port = server.port());
                NameServerConfig::new(server.ip(), true, ways)
            });
            let config = ResolverConfig::from_name_servers(servers.collect());
            TokioResolver::builder_with_config(config, TokioRuntimeProvider::default())
        };
        let options = builder.options_mut();
        options.timeout = ANSWER;
        options.attempts = AGAIN;
        options.cache_size = 0;
        builder.build().map(Self).map_err(fail)
    }

    /// The addresses of a name, each with this port.
    pub(super) async fn dns(
        &self,
        name: &str,
        port: u16,
        family: Family,
        known: impl Fn(IpAddr) -> bool,
    ) -> Result<Answer, Trouble> {
        let found = self.addresses(name, family, known).await?;
        let endpoint = |ip: IpAddr| Endpoint {
            known_as: Some(name.to_owned()),
            ..Endpoint::plain(Place::Ip(ip, port))
        };
        let endpoints = found.ips.into_iter().map(endpoint).collect();
        Ok(Answer { endpoints, ttl: Some(found.ttl) })
    }

    /// The servers of a service (RFC 2782).
    pub(super) async fn srv(
        &self,
        name: &str,
        family: Family,
        known: impl Fn(IpAddr) -> bool,
    ) -> Result<Answer, Trouble> {
        let lookup = self.0.lookup(name, RecordType::SRV).await.map_err(|e| trouble(&e))?;
        let (records, mut ttl) = services(&lookup);
        let mut endpoints = Vec::new();
        for (service, tier) in tiers(records) {
            let found = self.addresses(&service.target, family, &known).await;
            // One target without an address is left out as one without a record is; but an answer that did not come
            // says nothing, and with it the whole list would.
            let found = match found {
                Ok(found) => found,
                Err(trouble) if trouble.ttl.is_some() => continue,
                Err(trouble) => {
                    return Err(Trouble::new(format!("{}: {}", service.target, trouble.why)));
                }
            };
            ttl = ttl.min(found.ttl);
            endpoints.extend(found.ips.into_iter().map(|ip| Endpoint {
                tier,
                // A weight of 0 is a very small one (RFC 2782), and ours begin with 1.
                weight: u32::from(service.weight).max(1),
                known_as: Some(service.target.clone()),
                ..Endpoint::plain(Place::Ip(ip, service.port))
            }));
        }
        if endpoints.is_empty() {
            return Err(Trouble { why: "no server has an address".to_owned(), ttl: Some(ttl) });
        }
        Ok(Answer { endpoints, ttl: Some(ttl) })
    }

    async fn addresses(
        &self,
        name: &str,
        family: Family,
        known: impl Fn(IpAddr) -> bool,
    ) -> Result<Found, Trouble> {
        let look = async |kind: RecordType, wanted: bool| {
            if !wanted {
                return Err(Missing::No);
            }
            let lookup = match kind {
                RecordType::AAAA => self.0.ipv6_lookup(name).await,
                _ => self.0.ipv4_lookup(name).await,
            };
            lookup.map(|lookup| addresses_of(&lookup)).map_err(|error| missing(&error))
        };
        let (v4, v6) = tokio::join!(
            look(RecordType::A, family != Family::Ipv6),
            look(RecordType::AAAA, family != Family::Ipv4)
        );
        merge(v4, v6, known)
    }
}

/// Addresses, and how long they count.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Found {
    ips: Vec<IpAddr>,
    ttl: Duration,
}

/// Why there are no addresses of a family.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Missing {
    /// Nobody asked.
    No,
    /// The DNS server says that there are none, and for how long.
    None(Trouble),
    /// It is not known.
    Unknown(Trouble),
}

/// Both families together. Where one is not known it is left out, unless servers of it are in use: those would go for
/// no other reason than that an answer did not come.
fn merge(
    v4: Result<Found, Missing>,
    v6: Result<Found, Missing>,
    known: impl Fn(IpAddr) -> bool,
) -> Result<Found, Trouble> {
    let any_v4 = known(IpAddr::from([0, 0, 0, 0]));
    let any_v6 = known(IpAddr::from([0_u16; 8]));
    match (v4, v6) {
        (Ok(mut one), Ok(other)) => {
            one.ips.extend(other.ips);
            one.ttl = one.ttl.min(other.ttl);
            Ok(one)
        }
        (Ok(_), Err(Missing::Unknown(trouble))) if any_v6 => Err(trouble),
        (Err(Missing::Unknown(trouble)), Ok(_)) if any_v4 => Err(trouble),
        (Ok(found), Err(_)) | (Err(_), Ok(found)) => Ok(found),
        (Err(Missing::Unknown(trouble)), _) | (_, Err(Missing::Unknown(trouble))) => Err(trouble),
        (Err(Missing::None(trouble)), _) | (_, Err(Missing::None(trouble))) => Err(trouble),
        (Err(Missing::No), Err(Missing::No)) => Err(Trouble::new("nothing was asked")),
    }
}

fn addresses_of(lookup: &Lookup) -> Found {
    let ips = lookup.answers().iter().filter_map(|record| match &record.data {
        RData::A(ip) => Some(IpAddr::V4(ip.0)),
        RData::AAAA(ip) => Some(IpAddr::V6(ip.0)),
        _ => None,
    });
    Found { ips: ips.collect(), ttl: ttl_of(lookup) }
}

fn ttl_of(lookup: &Lookup) -> Duration {
    let least = lookup.answers().iter().map(|record| record.ttl).min();
    Duration::from_secs(u64::from(least.unwrap_or(0)))
}

/// A server of a service.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Service {
    priority: u16,
    weight: u16,
    port: u16,
    target: String,
}

fn services(lookup: &Lookup) -> (Vec<Service>, Duration) {
    let services = lookup.answers().iter().filter_map(|record| match &record.data {
        // "." says that there is no such service (RFC 2782).
        RData::SRV(srv) if !srv.target.is_root() && srv.port > 0 => Some(Service {
            priority: srv.priority,
            weight: srv.weight,
            port: srv.port,
            target: srv.target.to_ascii().trim_end_matches('.').to_ascii_lowercase(),
        }),
        _ => None,
    });
    (services.collect(), ttl_of(lookup))
}

/// Services with their tiers: the lowest priority is the first tier, the next the second. Of too many the best.
fn tiers(mut services: Vec<Service>) -> Vec<(Service, u32)> {
    services.sort_by(|a, b| (a.priority, &a.target, a.port).cmp(&(b.priority, &b.target, b.port)));
    services.truncate(TARGETS_MAX);
    let mut tiered: Vec<(Service, u32)> = Vec::with_capacity(services.len());
    for service in services {
        let tier = match tiered.last() {
            None => 0,
            Some((before, tier)) if before.priority == service.priority => *tier,
            Some((_, tier)) => tier + 1,
        };
        tiered.push((service, tier));
    }
    tiered
}

fn trouble(error: &NetError) -> Trouble {
    match missing(error) {
        Missing::None(trouble) | Missing::Unknown(trouble) => trouble,
        Missing::No => Trouble::new("nothing was asked"),
    }
}

/// What an error says: that there is nothing (RFC 2308), or that nothing is known.
fn missing(error: &NetError) -> Missing {
    match error {
        NetError::Dns(DnsError::NoRecordsFound(none)) => {
            let why = match none.response_code {
                ResponseCode::NXDomain => "no such name",
                ResponseCode::NoError => "the name has no such records",
                _ => {
                    let why = format!("the DNS server answers {}", none.response_code);
                    return Missing::Unknown(Trouble::new(why));
                }
            };
            let ttl =
                none.negative_ttl.map_or(Duration::ZERO, |ttl| Duration::from_secs(ttl.into()));
            Missing::None(Trouble { why: why.to_owned(), ttl: Some(ttl) })
        }
        NetError::Dns(DnsError::ResponseCode(code)) => {
            Missing::Unknown(Trouble::new(format!("the DNS server answers {code}")))
        }
        NetError::Timeout => Missing::Unknown(Trouble::new("no DNS server answers in time")),
        other => Missing::Unknown(Trouble::new(format!("asking DNS failed: {other}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(ips: &[&str], ttl: u64) -> Result<Found, Missing> {
        let ips = ips.iter().map(|ip| ip.parse().unwrap()).collect();
        Ok(Found { ips, ttl: Duration::from_secs(ttl) })
    }

    fn none() -> Result<Found, Missing> {
        Err(Missing::None(Trouble { why: "none".to_owned(), ttl: Some(Duration::ZERO) }))
    }

    fn unknown() -> Result<Found, Missing> {
        Err(Missing::Unknown(Trouble::new("unknown")))
    }

    #[test]
    fn families_together() {
        let check = |v4: Result<Found, Missing>, v6, known: &str, expect: &str| {
            let known = |ip: IpAddr| known.contains(if ip.is_ipv4() { '4' } else { '6' });
            let told = match merge(v4, v6, known) {
                Ok(found) => format!("{} {}", found.ips.len(), found.ttl.as_secs()),
                Err(trouble) => trouble.why,
            };
            assert_eq!(told, expect);
        };
        check(found(&["10.0.0.1"], 9), found(&["::1", "::2"], 3), "", "3 3");
        check(found(&["10.0.0.1"], 9), none(), "46", "1 9");
        check(none(), found(&["::1"], 9), "46", "1 9");
        check(none(), none(), "", "none");
        // What does not answer is left out where nothing is in use that it would take away.
        check(found(&["10.0.0.1"], 9), unknown(), "4", "1 9");
        check(found(&["10.0.0.1"], 9), unknown(), "46", "unknown");
        check(unknown(), found(&["::1"], 9), "6", "1 9");
        check(unknown(), found(&["::1"], 9), "4", "unknown");
        check(unknown(), none(), "", "unknown");
        check(none(), unknown(), "", "unknown");
        check(Err(Missing::No), found(&["::1"], 9), "", "1 9");
        check(Err(Missing::No), none(), "", "none");
    }

    #[test]
    fn priorities_become_tiers() {
        let service = |priority: u16, target: &str| Service {
            priority,
            weight: 0,
            port: 80,
            target: target.to_owned(),
        };
        let list = vec![service(20, "b"), service(10, "c"), service(10, "a"), service(65_535, "d")];
        let tiers: Vec<_> = tiers(list).into_iter().map(|(s, tier)| (s.target, tier)).collect();
        let expect = [("a", 0), ("c", 0), ("b", 1), ("d", 2)];
        assert_eq!(tiers, expect.map(|(target, tier)| (target.to_owned(), tier)));
        let many = (0..1000).map(|at| service(7, &format!("{at:04}"))).collect();
        assert_eq!(super::tiers(many).len(), TARGETS_MAX);
    }
}

//! Servers that are found at run time, from the configuration to the thread that looks, and from its lists to plans.

use std::sync::Arc;
use std::time::Duration;

use doorman_config::{Config, DiscoverSource, Family, Scheme, ServerAddress, ServerHost};
use doorman_control::discovery::ledger::Pace;
use doorman_control::discovery::list::{Endpoint, Place, Secure};
use doorman_control::discovery::{self, Discovery, Settings, Source, Wanted};
use doorman_proxy::plan::{Found, Lists, WantedSource, wanted_sources};

/// How long a start or a reload waits for the first look at what is new. A DNS server that answers does so in
/// milliseconds; of one that does not nobody waits for the end: its servers come when it answers.
pub(super) const PATIENCE: Duration = Duration::from_secs(2);

/// What a configuration wants to be looked at.
pub(super) fn settings(config: &Config) -> Settings {
    let wanted = wanted_sources(config).into_iter().map(|(key, source)| (key, wanted(source)));
    Settings {
        resolvers: config.global.resolvers.iter().map(|server| server.value).collect(),
        wanted: wanted.collect(),
    }
}

/// What both want, for as long as it is not decided which of them counts. Where they differ `next` is asked.
pub(super) fn both(now: Settings, next: &Settings) -> Settings {
    let mut both = next.clone();
    for (key, wanted) in now.wanted {
        both.wanted.entry(key).or_insert(wanted);
    }
    both
}

fn wanted(written: WantedSource) -> Wanted {
    Wanted {
        source: match written.source {
            DiscoverSource::Dns { name, port } => Source::Dns(name, port),
            DiscoverSource::Srv { name } => Source::Srv(name),
            DiscoverSource::File(path) => Source::File(path),
        },
        family: match written.family {
            Family::Any => discovery::Family::Any,
            Family::Ipv4 => discovery::Family::Ipv4,
            Family::Ipv6 => discovery::Family::Ipv6,
        },
        pace: Pace {
            every: written.every,
            least: written.ttl.0,
            most: written.ttl.1,
            keep: written.keep,
        },
        most: written.most,
    }
}

/// All lists as plans take them.
pub(super) fn lists(discovery: &Discovery) -> Lists {
    let found = discovery.found().into_iter();
    found.map(|(key, list)| (key, list.iter().map(self::found).collect::<Arc<[_]>>())).collect()
}

fn found(endpoint: &Endpoint) -> Found {
    let host = match &endpoint.place {
        Place::Ip(ip, port) => ServerHost::Ip { ip: *ip, port: *port },
        Place::Name(name, port) => ServerHost::Name { name: name.clone(), port: *port },
        Place::Unix(path) => ServerHost::Unix(path.clone()),
    };
    let scheme = if endpoint.secure == Secure::Yes { Scheme::Https } else { Scheme::Http };
    Found {
        address: ServerAddress { scheme, host },
        is_as_written: endpoint.secure == Secure::AsWritten,
        weight: endpoint.weight,
        tier: endpoint.tier,
        known_as: endpoint.known_as.clone(),
        name: endpoint.name.clone(),
    }
}

//! Servers that were found at run time, as a plan takes them in.
//!
//! A plan is made of a configuration and of the lists that lie on its ground when it is made. Nothing here looks
//! anything up: whoever does so puts the lists there and has the plan made anew.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use doorman_config::{
    Config, DiscoverSource, Family, Scheme, Server, ServerAddress, ServerHost, Setting, Spanned,
    Upstream,
};

use super::Ground;

/// A server that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Where it is; the scheme of its `discover` line is not in it yet if `is_as_written`.
    pub address: ServerAddress,
    /// Whether its `discover` line says if TLS is spoken, and not the list.
    pub is_as_written: bool,
    /// Its part of the load.
    pub weight: u32,
    /// Its tier.
    pub tier: u32,
    /// The host that its certificate is for, if not the one that it is reached by.
    pub known_as: Option<String>,
    /// Its name, if not its address.
    pub name: Option<String>,
}

/// Lists by the keys of their sources.
pub type Lists = HashMap<String, Arc<[Found]>>;

/// The lists that plans are made with.
#[derive(Debug, Default)]
pub(super) struct Findings(Mutex<Lists>);

impl Ground {
    /// Puts the lists there with which plans are made from now on.
    pub fn find(&self, lists: Lists) {
        *self.findings.0.lock().unwrap_or_else(PoisonError::into_inner) = lists;
    }

    fn found(&self, upstream: &Upstream, source: &DiscoverSource) -> Option<Arc<[Found]>> {
        let lists = self.findings.0.lock().unwrap_or_else(PoisonError::into_inner);
        lists.get(&key(&upstream.name.value, source)).cloned()
    }
}

/// A source that a configuration names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WantedSource {
    /// Where servers are found.
    pub source: DiscoverSource,
    /// Which addresses of a name count.
    pub family: Family,
    /// A fixed time between two looks.
    pub every: Option<Duration>,
    /// The least and the longest time that an answer counts.
    pub ttl: (Duration, Duration),
    /// How long a list counts after the last look that went well.
    pub keep: Duration,
    /// Servers that are taken of a list.
    pub most: usize,
}

/// The key of a source. Two upstreams that name the same one are told apart.
fn key(upstream: &str, source: &DiscoverSource) -> String {
    format!("{upstream} {source}")
}

/// All sources that a configuration names, by their keys.
#[must_use]
pub fn wanted_sources(config: &Config) -> BTreeMap<String, WantedSource> {
    let mut wanted = BTreeMap::new();
    for upstream in &config.upstreams {
        for (source, every) in names(upstream) {
            let times = (Duration::from_secs(1), Duration::from_secs(300));
            let keep = Duration::from_secs(24 * 3600);
            let key = key(&upstream.name.value, &source);
            let family = Family::Any;
            let one =
                WantedSource { source, family, every: Some(every), ttl: times, keep, most: 1024 };
            wanted.insert(key, one);
        }
        for line in &upstream.discover {
            let one = WantedSource {
                source: line.source.value.clone(),
                family: line.family.value,
                every: None,
                ttl: (line.ttl_least.value, line.ttl_most.value),
                keep: line.keep.value,
                most: line.most.value as usize,
            };
            wanted.insert(key(&upstream.name.value, &line.source.value), one);
        }
    }
    wanted
}

/// Whether servers of an upstream may come and go by themselves.
#[must_use]
pub fn is_discovered(upstream: &Upstream) -> bool {
    !upstream.discover.is_empty() || upstream.resolve.is_some()
}

impl super::Plan {
    /// Whether a server of an upstream that discovers them is not there now.
    pub(crate) fn has_discovered_away(&self, upstream: &str, server: &str) -> bool {
        let mut written = self.config.upstreams.iter();
        if !written.any(|one| one.name.value == upstream && is_discovered(one)) {
            return false;
        }
        let mut known = self.upstreams.iter().filter(|one| *one.name == *upstream);
        !known.any(|one| one.servers.iter().any(|known| *known.name == *server))
    }
}

/// Names in `server` lines that stand for all of their addresses.
fn names(upstream: &Upstream) -> impl Iterator<Item = (DiscoverSource, Duration)> + '_ {
    let every = upstream.resolve.as_ref().map(|every| every.value);
    upstream.servers.iter().filter_map(move |server| Some((source_of(server)?, every?)))
}

fn source_of(server: &Server) -> Option<DiscoverSource> {
    match &server.address.value.host {
        ServerHost::Name { name, port } => {
            Some(DiscoverSource::Dns { name: name.clone(), port: *port })
        }
        ServerHost::Ip { .. } | ServerHost::Unix(_) => None,
    }
}

/// A server of an upstream, from its block or from a list.
pub(super) struct Listed {
    pub(super) server: Server,
    /// The host that its certificate is for, and that it is asked for with `host upstream`; `None`: what it is
    /// reached by.
    pub(super) known_as: Option<String>,
}

/// All servers of an upstream. Of two that have the same name or the same address the first counts.
pub(super) fn servers(ground: &Ground, upstream: &Upstream) -> Vec<Listed> {
    let mut all = Vec::new();
    for server in &upstream.servers {
        let list = source_of(server)
            .filter(|_| upstream.resolve.is_some())
            .and_then(|source| ground.found(upstream, &source));
        match list {
            // Until its name is looked up it is what it would be without.
            None => all.push(Listed { server: server.clone(), known_as: None }),
            Some(list) => all.extend(list.iter().map(|found| resolved(server, found))),
        }
    }
    for line in &upstream.discover {
        let list = ground.found(upstream, &line.source.value);
        let listed = list.iter().flat_map(|list| list.iter()).map(|found| {
            let scheme = found.is_as_written.then_some(line.scheme.value);
            plain(found, scheme, &line.source)
        });
        all.extend(listed);
    }
    let mut names = HashSet::new();
    let mut places = HashSet::new();
    all.retain(|one| {
        // Not in one expression: each must have seen every server.
        let is_new = names.insert(one.server.name.clone());
        places.insert(one.server.address.value.clone()) && is_new
    });
    all
}

/// An address of a name in a `server` line, with all that the line says.
fn resolved(server: &Server, found: &Found) -> Listed {
    let written = &server.address;
    let address = ServerAddress { scheme: written.value.scheme, ..found.address.clone() };
    let is_named = server.name != written.value.to_string();
    let name = if is_named { format!("{}@{address}", server.name) } else { address.to_string() };
    let address = Spanned::new(address, written.span);
    Listed { server: Server { address, name, ..server.clone() }, known_as: found.known_as.clone() }
}

/// A server about which only its list says something.
fn plain(found: &Found, scheme: Option<Scheme>, line: &Spanned<DiscoverSource>) -> Listed {
    let scheme = scheme.unwrap_or(found.address.scheme);
    let address = ServerAddress { scheme, ..found.address.clone() };
    let name = found.name.clone().unwrap_or_else(|| address.to_string());
    let mut server = Server::plain(name, Spanned::new(address, line.span));
    server.weight = Setting::written(found.weight, line.span);
    server.tier = Setting::written(found.tier, line.span);
    Listed { server, known_as: found.known_as.clone() }
}

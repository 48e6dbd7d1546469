//! Which certificate answers which server name.
//!
//! The table is made whole and never changes; a reload makes another. A handshake folds the name on its stack and looks
//! it up at most twice, in this order:
//!
//! ```text
//! a name:    exact -> wildcard (one label) -> local authority on demand -> default -> refused
//! no name:   certificates for addresses -> default -> refused
//! ```
//!
//! The default is only what the operator named as such. The first certificate of a list would tell a scanner that
//! knows nothing but the address whose sites are here.

use std::collections::HashMap;
use std::collections::hash_map::Entry as Place;
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use rustls::SignatureScheme;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::time_provider::TimeProvider;

use super::authority::{LEAF_NAMES_MAX, LocalCa};
use super::certificate::Certificate;
use super::leaf::{LeafSlot, LeavesOnDemand};
use super::name::{CertificateName, Folded};

/// Where certificates for some names come from.
#[derive(Clone)]
pub enum CertificateSource {
    /// A loaded certificate. It is served for `names`, or for its own names when there are none.
    Loaded {
        /// The certificate.
        certificate: Arc<Certificate>,
        /// The names to serve it for.
        names: Vec<CertificateName>,
    },
    /// Certificates of the local authority, one for each host name, one for all addresses of the table together (the
    /// first hundred in order, since all are sent in each handshake).
    Local {
        /// The authority.
        authority: Arc<LocalCa>,
        /// The names to make them for.
        names: Vec<CertificateName>,
    },
    /// A certificate of the local authority for any host name that a client presents and `allow` takes (it is given the
    /// name in lower case and without a trailing dot), and one for `addresses` when it presents none.
    LocalAny {
        /// The authority.
        authority: Arc<LocalCa>,
        /// Says whether a certificate may be made for a name. It runs in handshakes and must not block.
        allow: Arc<dyn Fn(&str) -> bool + Send + Sync>,
        /// The addresses of the listener.
        addresses: Vec<IpAddr>,
    },
}

impl fmt::Debug for CertificateSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Loaded { certificate, names } => f
                .debug_struct("Loaded")
                .field("certificate", certificate)
                .field("names", names)
                .finish(),
            Self::Local { names, .. } => {
                f.debug_struct("Local").field("names", names).finish_non_exhaustive()
            }
            Self::LocalAny { addresses, .. } => {
                f.debug_struct("LocalAny").field("addresses", addresses).finish_non_exhaustive()
            }
        }
    }
}

/// The certificates of one listener, by name.
#[derive(Debug)]
pub struct Certificates {
    clock: Arc<dyn TimeProvider>,
    exact: HashMap<Box<str>, Entry>,
    wildcard: HashMap<Box<str>, Entry>,
    on_demand: Option<LeavesOnDemand>,
    nameless: Option<Entry>,
    default: Option<Entry>,
    /// Sorted by name, each name once.
    expiries: Vec<(String, u64)>,
}

/// What answers one name.
#[derive(Debug)]
enum Entry {
    /// Best kind of key first, never empty.
    Loaded(Vec<Arc<Certificate>>),
    Local(LeafSlot),
}

/// What was found for a name, before a key is chosen.
enum Found<'a> {
    Entry(ServedBy, &'a Entry),
    OnDemand(&'a LeavesOnDemand),
}

impl Certificates {
    /// Makes the table. Where several sources have the same name, certificates of different key kinds are all kept, of
    /// the same kind the first is, and loaded ones go before the local authority's. `default` (certificates of
    /// different key kinds, often none or one) answers names that no source has.
    #[must_use]
    pub fn new(
        sources: Vec<CertificateSource>,
        default: Vec<Arc<Certificate>>,
        clock: Arc<dyn TimeProvider>,
    ) -> Self {
        let mut table = Self {
            clock,
            exact: HashMap::new(),
            wildcard: HashMap::new(),
            on_demand: None,
            nameless: None,
            default: None,
            expiries: Vec::new(),
        };
        let mut addresses = Vec::new();
        let mut addresses_authority = None;
        for source in sources {
            match source {
                CertificateSource::Loaded { certificate, names } => table.load(&certificate, names),
                CertificateSource::Local { authority, names } => {
                    for name in names {
                        if let CertificateName::Address(_) = name {
                            addresses.push(name);
                            addresses_authority.get_or_insert_with(|| Arc::clone(&authority));
                        } else {
                            table.make(&authority, name);
                        }
                    }
                }
                CertificateSource::LocalAny { authority, allow, addresses: own } => {
                    addresses.extend(own.into_iter().map(CertificateName::Address));
                    addresses_authority.get_or_insert_with(|| Arc::clone(&authority));
                    table.on_demand.get_or_insert_with(|| LeavesOnDemand::new(authority, allow));
                }
            }
        }
        addresses.sort();
        addresses.dedup();
        addresses.truncate(LEAF_NAMES_MAX);
        if let Some(authority) = addresses_authority.filter(|_| !addresses.is_empty()) {
            table.nameless.get_or_insert_with(|| Entry::Local(LeafSlot::new(authority, addresses)));
        }
        for certificate in default {
            let label =
                certificate.facts().names.first().map_or("default".into(), ToString::to_string);
            table.expiries.push((label, certificate.facts().not_after));
            Entry::add(&mut table.default, certificate);
        }
        table.join_expiries();
        table
    }

    fn load(&mut self, certificate: &Arc<Certificate>, names: Vec<CertificateName>) {
        let names = if names.is_empty() { certificate.facts().names.clone() } else { names };
        for name in names {
            self.expiries.push((name.to_string(), certificate.facts().not_after));
            let place = match name {
                CertificateName::Exact(host) => self.exact.entry(host),
                CertificateName::Wildcard(rest) => self.wildcard.entry(rest),
                CertificateName::Address(_) => {
                    Entry::add(&mut self.nameless, Arc::clone(certificate));
                    continue;
                }
            };
            match place {
                Place::Occupied(mut entry) => entry.get_mut().join(Arc::clone(certificate)),
                Place::Vacant(entry) => {
                    entry.insert(Entry::Loaded(vec![Arc::clone(certificate)]));
                }
            }
        }
    }

    fn make(&mut self, authority: &Arc<LocalCa>, name: CertificateName) {
        let slot = |name| Entry::Local(LeafSlot::new(Arc::clone(authority), vec![name]));
        match &name {
            CertificateName::Exact(host) => {
                self.exact.entry(host.clone()).or_insert_with(|| slot(name));
            }
            CertificateName::Wildcard(rest) => {
                self.wildcard.entry(rest.clone()).or_insert_with(|| slot(name));
            }
            CertificateName::Address(_) => {}
        }
    }

    /// One line for each name, with its earliest end.
    fn join_expiries(&mut self) {
        self.expiries.sort();
        self.expiries.dedup_by(|later, earlier| later.0 == earlier.0);
    }

    /// The end of life, in unix seconds, of the certificates of each name (the earliest, where there are several).
    /// Sorted by name. Certificates of the local authority renew themselves and are left out.
    pub fn expiries(&self) -> impl Iterator<Item = (&str, u64)> {
        self.expiries.iter().map(|(name, not_after)| (name.as_str(), *not_after))
    }

    /// Whether a handshake with this server name, or with none, finds a certificate.
    #[must_use]
    pub fn answers(&self, server_name: Option<&str>) -> bool {
        match server_name.map(Folded::new) {
            None => self.find(None).is_some(),
            Some(Ok(name)) => self.find(Some(name.as_str())).is_some(),
            Some(Err(_)) => self.default.is_some(),
        }
    }

    /// What a handshake with this server name, or with none, would be served, and why.
    #[must_use]
    pub fn describe(&self, server_name: Option<&str>) -> Option<Served> {
        let folded = server_name.map(Folded::new);
        let found = match &folded {
            None => self.find(None)?,
            Some(Ok(name)) => self.find(Some(name.as_str()))?,
            Some(Err(_)) => Found::Entry(ServedBy::Default, self.default.as_ref()?),
        };
        Some(match found {
            Found::OnDemand(_) => {
                let name = folded?.ok()?.as_str().into();
                Served {
                    by: ServedBy::OnDemand,
                    certificates: Vec::new(),
                    local: vec![CertificateName::Exact(name)],
                }
            }
            Found::Entry(by, Entry::Loaded(certificates)) => {
                Served { by, certificates: certificates.clone(), local: Vec::new() }
            }
            Found::Entry(by, Entry::Local(slot)) => {
                Served { by, certificates: Vec::new(), local: slot.names().to_vec() }
            }
        })
    }

    /// `name` is folded.
    fn find(&self, name: Option<&str>) -> Option<Found<'_>> {
        let default = || self.default.as_ref().map(|entry| Found::Entry(ServedBy::Default, entry));
        let Some(name) = name else {
            let nameless = self.nameless.as_ref();
            return nameless.map(|entry| Found::Entry(ServedBy::Address, entry)).or_else(default);
        };
        if let Some(entry) = self.exact.get(name) {
            return Some(Found::Entry(ServedBy::Exact, entry));
        }
        let parent = name.split_once('.').map(|(_, parent)| parent);
        if let Some(entry) = parent.and_then(|parent| self.wildcard.get(parent)) {
            return Some(Found::Entry(ServedBy::Wildcard, entry));
        }
        match &self.on_demand {
            Some(leaves) if leaves.allows(name) => Some(Found::OnDemand(leaves)),
            _ => default(),
        }
    }

    /// The chain and key for a server name and the signature schemes that the client can verify.
    pub(super) fn choose(
        &self,
        server_name: Option<&str>,
        schemes: &[SignatureScheme],
    ) -> Option<Arc<CertifiedKey>> {
        let now = || self.clock.current_time().map(|time| time.as_secs());
        let folded = match server_name.map(Folded::new) {
            Some(Err(_)) => return self.default.as_ref()?.choose(schemes, now),
            Some(Ok(name)) => Some(name),
            None => None,
        };
        let name = folded.as_ref().map(Folded::as_str);
        match self.find(name)? {
            Found::Entry(_, entry) => entry.choose(schemes, now),
            Found::OnDemand(leaves) => leaves.certified(name?, now()?),
        }
    }

    #[cfg(test)]
    pub(super) fn cached(&self) -> usize {
        self.on_demand.as_ref().map_or(0, LeavesOnDemand::cached)
    }
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.choose(hello.server_name(), hello.signature_schemes())
    }
}

impl Entry {
    fn add(place: &mut Option<Self>, certificate: Arc<Certificate>) {
        match place {
            Some(entry) => entry.join(certificate),
            None => *place = Some(Self::Loaded(vec![certificate])),
        }
    }

    /// Adds a loaded certificate, unless there is one of its key kind already.
    fn join(&mut self, certificate: Arc<Certificate>) {
        match self {
            Self::Local(_) => *self = Self::Loaded(vec![certificate]),
            Self::Loaded(held) => {
                let kind = certificate.facts().key;
                if let Err(place) = held.binary_search_by_key(&kind, |held| held.facts().key) {
                    held.insert(place, certificate);
                }
            }
        }
    }

    fn choose(
        &self,
        schemes: &[SignatureScheme],
        now: impl FnOnce() -> Option<u64>,
    ) -> Option<Arc<CertifiedKey>> {
        match self {
            Self::Local(slot) => slot.certified(now()?),
            Self::Loaded(held) => {
                // When the client can verify none, rustls ends the handshake with the alert for that.
                let suited = held.iter().find(|certificate| certificate.suits(schemes));
                suited.or(held.first()).map(|certificate| Arc::clone(certificate.certified()))
            }
        }
    }
}

/// What answers a server name.
#[derive(Clone, Debug)]
pub struct Served {
    /// Which part of the table matched.
    pub by: ServedBy,
    /// The loaded certificates, the one that most clients get first. Empty when the local authority answers.
    pub certificates: Vec<Arc<Certificate>>,
    /// The names in the certificate that the local authority makes. Empty when loaded ones answer.
    pub local: Vec<CertificateName>,
}

/// Which part of the table matched a server name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ServedBy {
    /// The name itself.
    Exact,
    /// A wildcard one label above it.
    Wildcard,
    /// The local authority makes certificates for any name.
    OnDemand,
    /// There was no name, and there are certificates for addresses.
    Address,
    /// Nothing matched, and there is a default.
    Default,
}

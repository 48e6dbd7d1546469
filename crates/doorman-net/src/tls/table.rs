//! Which certificate answers which server name.
//!
//! The table is made whole and never changes; a reload makes another. A handshake folds the name on its stack and looks
//! it up at most twice, in this order:
//!
//! ```text
//! a name:    exact -> wildcard (one label) -> got on demand -> local authority on demand -> default -> refused
//!            (a name whose own certificate has not come yet is refused where a default would be served)
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
use super::demand::{Demanded, OnDemand};
use super::keyring::CertificateSlot;
use super::leaf::{LeafSlot, LeavesOnDemand};
use super::name::{CertificateName, Folded};

/// Where certificates for some names come from.
#[derive(Clone)]
pub enum CertificateSource {
    /// A certificate that comes and changes by itself. While there is none, a wildcard's is served, or the handshake is
    /// refused: the default belongs to names that nobody wrote down.
    Kept {
        /// Where it is put.
        slot: Arc<CertificateSlot>,
        /// The name to serve it for.
        name: CertificateName,
    },
    /// Certificates of names that clients ask for, as far as somebody gets them.
    OnDemand {
        /// Where they are put.
        from: Arc<OnDemand>,
        /// Only names below this one, at any depth; `None`: all.
        under: Option<Box<str>>,
    },
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

impl CertificateSource {
    /// The certificates that it has now. Those of the local authority are left out: nobody says anything about them.
    #[must_use]
    pub fn present(&self) -> Vec<Arc<Certificate>> {
        match self {
            Self::Loaded { certificate, .. } => vec![Arc::clone(certificate)],
            Self::Kept { slot, .. } => slot.certificate().into_iter().collect(),
            Self::OnDemand { from, .. } => from.certificates(),
            Self::Local { .. } | Self::LocalAny { .. } => Vec::new(),
        }
    }

    /// Whether it has, or may get, a certificate whose authority can be asked over OCSP.
    #[must_use]
    pub fn may_be_stapled(&self) -> bool {
        match self {
            Self::Loaded { certificate, .. } => certificate.facts().responder.is_some(),
            Self::Kept { .. } | Self::OnDemand { .. } => true,
            Self::Local { .. } | Self::LocalAny { .. } => false,
        }
    }
}

impl fmt::Debug for CertificateSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kept { name, .. } => {
                f.debug_struct("Kept").field("name", name).finish_non_exhaustive()
            }
            Self::OnDemand { under, .. } => {
                f.debug_struct("OnDemand").field("under", under).finish_non_exhaustive()
            }
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
    /// Those that come by themselves.
    kept: Vec<(String, Arc<CertificateSlot>)>,
    /// Names that clients may ask for.
    demanded: Option<Demanded>,
}

/// What answers one name.
#[derive(Debug)]
enum Entry {
    /// Best kind of key first, never empty.
    Loaded(Vec<Arc<Certificate>>),
    Local(LeafSlot),
    Kept(Arc<CertificateSlot>),
}

/// What was found for a name, before a key is chosen.
enum Found<'a> {
    Entry(ServedBy, &'a Entry),
    OnDemand(&'a LeavesOnDemand),
    Demanded(Arc<CertificateSlot>),
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
            kept: Vec::new(),
            demanded: None,
        };
        let mut addresses = Vec::new();
        let mut addresses_authority = None;
        for source in sources {
            match source {
                CertificateSource::Kept { slot, name } => table.keep(slot, name),
                CertificateSource::OnDemand { from, under } => {
                    let fresh = || Demanded { from, under: Vec::new() };
                    table.demanded.get_or_insert_with(fresh).under.push(under);
                }
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

    fn keep(&mut self, slot: Arc<CertificateSlot>, name: CertificateName) {
        self.kept.push((name.to_string(), Arc::clone(&slot)));
        match name {
            CertificateName::Exact(host) => {
                self.exact.entry(host).or_insert(Entry::Kept(slot));
            }
            CertificateName::Wildcard(rest) => {
                self.wildcard.entry(rest).or_insert(Entry::Kept(slot));
            }
            CertificateName::Address(_) => {
                self.nameless.get_or_insert(Entry::Kept(slot));
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

    /// The same for certificates that come by themselves, as far as they are there, in no order.
    pub fn kept_expiries(&self) -> impl Iterator<Item = (&str, u64)> {
        self.kept
            .iter()
            .filter_map(|(name, slot)| Some((name.as_str(), slot.certificate()?.facts().not_after)))
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
            None => match self.find(None) {
                Some(found) => found,
                None => return self.nameless.as_ref().map(|_| Served::awaited(ServedBy::Address)),
            },
            Some(Ok(name)) => match self.find(Some(name.as_str())) {
                Some(found) => found,
                None => return self.awaited(name.as_str()),
            },
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
            Found::Demanded(slot) => {
                let certificates = vec![slot.certificate()?];
                Served { by: ServedBy::OnDemand, certificates, local: Vec::new() }
            }
            Found::Entry(by, Entry::Loaded(certificates)) => {
                Served { by, certificates: certificates.clone(), local: Vec::new() }
            }
            Found::Entry(by, Entry::Kept(slot)) => {
                Served { by, certificates: vec![slot.certificate()?], local: Vec::new() }
            }
            Found::Entry(by, Entry::Local(slot)) => {
                Served { by, certificates: Vec::new(), local: slot.names().to_vec() }
            }
        })
    }

    /// What a name will be served once it has come. `name` is folded.
    fn awaited(&self, name: &str) -> Option<Served> {
        let by = if self.exact.contains_key(name) { ServedBy::Exact } else { ServedBy::Wildcard };
        let (_, parent) = name.split_once('.').unwrap_or_default();
        let is_known = by == ServedBy::Exact || self.wildcard.contains_key(parent);
        let served = Served::awaited;
        let is_demanded = self.demanded.as_ref().is_some_and(|demanded| demanded.covers(name));
        is_known.then(|| served(by)).or_else(|| is_demanded.then(|| served(ServedBy::OnDemand)))
    }

    /// Whoever could be asked for a certificate of this server name, with the name folded.
    pub(super) fn demanded(&self, server_name: Option<&str>) -> Option<(Arc<OnDemand>, Box<str>)> {
        let demanded = self.demanded.as_ref()?;
        let name = Folded::new(server_name?).ok()?;
        let is_open = demanded.covers(name.as_str()) && self.find(Some(name.as_str())).is_none();
        is_open.then(|| (Arc::clone(&demanded.from), name.as_str().into()))
    }

    /// `name` is folded.
    fn find(&self, name: Option<&str>) -> Option<Found<'_>> {
        let default = || self.default.as_ref().map(|entry| Found::Entry(ServedBy::Default, entry));
        let Some(name) = name else {
            return match &self.nameless {
                // What is still to come is not the default's to answer.
                Some(entry) => entry.is_filled().then_some(Found::Entry(ServedBy::Address, entry)),
                None => default(),
            };
        };
        let exact = self.exact.get(name);
        if let Some(entry) = exact.filter(|entry| entry.is_filled()) {
            return Some(Found::Entry(ServedBy::Exact, entry));
        }
        let parent = name.split_once('.').map(|(_, parent)| parent);
        let wildcard = parent.and_then(|parent| self.wildcard.get(parent));
        if let Some(entry) = wildcard.filter(|entry| entry.is_filled()) {
            return Some(Found::Entry(ServedBy::Wildcard, entry));
        }
        if exact.or(wildcard).is_some() {
            return None;
        }
        if let Some(demanded) = self.demanded.as_ref().filter(|demanded| demanded.covers(name)) {
            return demanded.from.slot(name).map(Found::Demanded);
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
            Found::Demanded(slot) => slot.stapled(now),
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
            Self::Local(_) | Self::Kept(_) => *self = Self::Loaded(vec![certificate]),
            Self::Loaded(held) => {
                let kind = certificate.facts().key;
                if let Err(place) = held.binary_search_by_key(&kind, |held| held.facts().key) {
                    held.insert(place, certificate);
                }
            }
        }
    }

    /// Whether it has a certificate to serve. One that has had one always has.
    fn is_filled(&self) -> bool {
        !matches!(self, Self::Kept(slot) if !slot.is_filled())
    }

    fn choose(
        &self,
        schemes: &[SignatureScheme],
        now: impl FnOnce() -> Option<u64>,
    ) -> Option<Arc<CertifiedKey>> {
        match self {
            Self::Kept(slot) => slot.stapled(now),
            Self::Local(slot) => slot.certified(now()?),
            Self::Loaded(held) => {
                // When the client can verify none, rustls ends the handshake with the alert for that.
                let suited = held.iter().find(|certificate| certificate.suits(schemes));
                suited.or(held.first()).map(|certificate| certificate.stapled(now))
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

impl Served {
    /// What is still to come.
    const fn awaited(by: ServedBy) -> Self {
        Self { by, certificates: Vec::new(), local: Vec::new() }
    }
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

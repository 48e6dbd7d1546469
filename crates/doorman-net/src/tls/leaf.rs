//! Leaves of the local authority while they are in use: renewed in the handshake that finds them old.
//!
//! A renewal costs about as much as half a handshake and happens every five days, so it needs no task of its own.
//! Names from the configuration have a slot each, which nothing can evict; names that clients make up share a bounded
//! cache of two generations, where a hit in the old one is moved to the young one, and a full young one becomes the
//! old.

use std::collections::HashMap;
use std::fmt;
use std::net::IpAddr;
use std::sync::{Arc, PoisonError, RwLock};

use rustls::sign::CertifiedKey;

use super::authority::{Leaf, LocalCa};
use super::name::CertificateName;

/// The most leaves of one generation for names that clients present; there are two generations. Each takes about 2 KiB,
/// so a flood of made-up names costs 2 MiB and the CPU of its own handshakes.
pub(super) const GENERATION_MAX: usize = 512;

/// The leaf of names that are known beforehand.
pub(super) struct LeafSlot {
    authority: Arc<LocalCa>,
    names: Vec<CertificateName>,
    leaf: RwLock<Option<Leaf>>,
}

impl LeafSlot {
    pub(super) fn new(authority: Arc<LocalCa>, names: Vec<CertificateName>) -> Self {
        Self { authority, names, leaf: RwLock::new(None) }
    }

    pub(super) fn names(&self) -> &[CertificateName] {
        &self.names
    }

    /// The leaf at `now`, issued if need be. `None` when none could be issued.
    pub(super) fn certified(&self, now: u64) -> Option<Arc<CertifiedKey>> {
        let held = fresh(self.leaf.read().unwrap_or_else(PoisonError::into_inner).as_ref(), now);
        if held.is_some() {
            return held;
        }
        let mut slot = self.leaf.write().unwrap_or_else(PoisonError::into_inner);
        // Another core may have been faster.
        if let Some(certified) = fresh(slot.as_ref(), now) {
            return Some(certified);
        }
        let leaf = self.authority.leaf(&self.names, now).ok()?;
        let certified = Arc::clone(&leaf.certified);
        *slot = Some(leaf);
        Some(certified)
    }
}

impl fmt::Debug for LeafSlot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LeafSlot").field("names", &self.names).finish_non_exhaustive()
    }
}

fn fresh(leaf: Option<&Leaf>, now: u64) -> Option<Arc<CertifiedKey>> {
    leaf.filter(|leaf| leaf.is_fresh(now)).map(|leaf| Arc::clone(&leaf.certified))
}

/// Leaves for whatever name a client presents, as far as `allow` says so.
pub(super) struct LeavesOnDemand {
    authority: Arc<LocalCa>,
    allow: Arc<dyn Fn(&str) -> bool + Send + Sync>,
    cache: RwLock<Generations>,
}

#[derive(Default)]
struct Generations {
    young: HashMap<Box<str>, Leaf>,
    old: HashMap<Box<str>, Leaf>,
}

impl LeavesOnDemand {
    pub(super) fn new(
        authority: Arc<LocalCa>,
        allow: Arc<dyn Fn(&str) -> bool + Send + Sync>,
    ) -> Self {
        Self { authority, allow, cache: RwLock::default() }
    }

    /// Whether a leaf would be made for this folded name. An address is not a server name (RFC 6066 section 3), and
    /// neither is a name whose last label is all digits (RFC 1123 section 2.1).
    pub(super) fn allows(&self, name: &str) -> bool {
        let last = name.rsplit('.').next().unwrap_or(name);
        name.parse::<IpAddr>().is_err()
            && !last.bytes().all(|byte| byte.is_ascii_digit())
            && (self.allow)(name)
    }

    /// The leaf for a folded name that is allowed, issued if need be. `None` when none could be issued.
    pub(super) fn certified(&self, name: &str, now: u64) -> Option<Arc<CertifiedKey>> {
        let held = {
            let cache = self.cache.read().unwrap_or_else(PoisonError::into_inner);
            fresh(cache.young.get(name), now)
        };
        if held.is_some() {
            return held;
        }
        let old = {
            let mut cache = self.cache.write().unwrap_or_else(PoisonError::into_inner);
            cache.old.remove(name).filter(|leaf| leaf.is_fresh(now))
        };
        // Issued outside the lock: a flood of new names on one core must not hold up the others. That two cores may
        // issue for the same name at once is cheaper.
        let leaf = match old {
            Some(leaf) => leaf,
            None => self.authority.leaf(&[CertificateName::Exact(name.into())], now).ok()?,
        };
        let certified = Arc::clone(&leaf.certified);
        self.cache.write().unwrap_or_else(PoisonError::into_inner).keep(name, leaf);
        Some(certified)
    }

    #[cfg(test)]
    pub(super) fn cached(&self) -> usize {
        let cache = self.cache.read().unwrap_or_else(PoisonError::into_inner);
        cache.young.len() + cache.old.len()
    }
}

impl Generations {
    fn keep(&mut self, name: &str, leaf: Leaf) {
        if self.young.len() >= GENERATION_MAX {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(name.into(), leaf);
    }
}

impl fmt::Debug for LeavesOnDemand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LeavesOnDemand").finish_non_exhaustive()
    }
}

//! Compiled patterns as one worker uses them: with the caches that searching needs, and with those
//! that are known only once a transaction is.

use std::collections::HashMap;
use std::fmt;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::Arc;

use super::named::Shared;
use crate::regex::{Cache, Groups, OverBudget, Regex};

/// Patterns made of expanded macros that are kept; all are let go when there are more.
const EXPANDED_MAX: usize = 64;

/// Hashes addresses: they are nobody's to choose, so mixing their bits is enough.
pub(crate) type ByPlace = BuildHasherDefault<PlaceHasher>;

#[derive(Debug, Default)]
pub(crate) struct PlaceHasher(u64);

impl Hasher for PlaceHasher {
    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.write_u64(u64::from(*byte)));
    }

    fn write_u64(&mut self, number: u64) {
        // The multiplier is 2^64 divided by the golden ratio (Knuth, volume 3, section 6.4).
        self.0 = (self.0.rotate_left(29) ^ number).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    }

    fn write_usize(&mut self, number: usize) {
        self.write_u64(number as u64);
    }

    fn finish(&self) -> u64 {
        // The table takes the lowest bits and the highest seven; the middle ones are mixed best.
        self.0.rotate_left(26)
    }
}

/// Caches of patterns, and patterns that were made on the way.
#[derive(Default)]
pub(crate) struct Patterns {
    /// By address; the pattern is kept with its cache, so that no other can have its address.
    caches: HashMap<usize, (Arc<Regex>, Cache), ByPlace>,
    /// By expanded text; `None` is one that says nothing.
    expanded: HashMap<Vec<u8>, Option<Arc<Regex>>>,
    /// Which names that transactions begin with a pattern means: there is one for each pattern that
    /// rules select names of TX by.
    shared: Vec<Meant>,
}

/// Which of some names a pattern means, by their places.
struct Meant {
    regex: Arc<Regex>,
    /// Both are kept, so that no others can have their addresses.
    names: Arc<Shared>,
    /// The places of those that it may mean, in order.
    places: Arc<[usize]>,
    /// Those of them on which the search was given up.
    given_up: Arc<[usize]>,
}

impl Patterns {
    /// The places of those of some names, which never change, that a pattern means, in order; and of those on
    /// which the search is given up, which are among them.
    pub(crate) fn meant(
        &mut self,
        regex: &Arc<Regex>,
        names: &Arc<Shared>,
    ) -> (Arc<[usize]>, Arc<[usize]>) {
        let is_it =
            |meant: &Meant| Arc::ptr_eq(&meant.regex, regex) && Arc::ptr_eq(&meant.names, names);
        let known = self.shared.iter().position(is_it).unwrap_or_else(|| {
            let (mut places, mut given_up) = (Vec::new(), Vec::new());
            for (place, name) in names.names().enumerate() {
                match self.is_match(regex, name) {
                    Ok(false) => {}
                    Ok(true) => places.push(place),
                    Err(_) => {
                        places.push(place);
                        given_up.push(place);
                    }
                }
            }
            let (regex, names) = (Arc::clone(regex), Arc::clone(names));
            let (places, given_up) = (places.into(), given_up.into());
            self.shared.push(Meant { regex, names, places, given_up });
            self.shared.len() - 1
        });
        let known = &self.shared[known];
        (Arc::clone(&known.places), Arc::clone(&known.given_up))
    }

    pub(crate) fn is_match(&mut self, regex: &Arc<Regex>, hay: &[u8]) -> Result<bool, OverBudget> {
        regex.is_match(self.cache(regex), hay)
    }

    pub(crate) fn groups(
        &mut self,
        regex: &Arc<Regex>,
        hay: &[u8],
    ) -> Result<Option<Groups>, OverBudget> {
        regex.groups(self.cache(regex), hay)
    }

    /// The pattern of an expanded text, if it is one.
    pub(crate) fn expanded(&mut self, text: &[u8], steps_max: u32) -> Option<Arc<Regex>> {
        if let Some(known) = self.expanded.get(text) {
            return known.clone();
        }
        if self.expanded.len() >= EXPANDED_MAX {
            for regex in self.expanded.drain().filter_map(|(_, regex)| regex) {
                self.caches.remove(&address(&regex));
            }
        }
        let regex = Regex::new(text, steps_max).ok().map(Arc::new);
        self.expanded.insert(text.to_vec(), regex.clone());
        regex
    }

    fn cache(&mut self, regex: &Arc<Regex>) -> &mut Cache {
        let fresh = || (Arc::clone(regex), regex.cache());
        &mut self.caches.entry(address(regex)).or_insert_with(fresh).1
    }
}

fn address(regex: &Arc<Regex>) -> usize {
    Arc::as_ptr(regex).addr()
}

impl fmt::Debug for Patterns {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { caches, expanded, .. } = self;
        write!(f, "Patterns({} caches, {} expanded)", caches.len(), expanded.len())
    }
}

//! Compiled patterns as one worker uses them: with the caches that searching needs, and with those
//! that are known only once a transaction is.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use crate::regex::{Cache, Groups, OverBudget, Regex};

/// Patterns made of expanded macros that are kept; all are let go when there are more.
const EXPANDED_MAX: usize = 64;

/// Caches of patterns, and patterns that were made on the way.
#[derive(Default)]
pub(crate) struct Patterns {
    /// By address; the pattern is kept with its cache, so that no other can have its address.
    caches: HashMap<usize, (Arc<Regex>, Cache)>,
    /// By expanded text; `None` is one that says nothing.
    expanded: HashMap<Vec<u8>, Option<Arc<Regex>>>,
}

impl Patterns {
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
        let Self { caches, expanded } = self;
        write!(f, "Patterns({} caches, {} expanded)", caches.len(), expanded.len())
    }
}

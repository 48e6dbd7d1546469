//! What is stored, for those who look into stores from outside and purge them: which stores there are,
//! under which keys a URL may be stored, and whose a stored response is.

use std::sync::Arc;

use doorman_cache::{KeyRules, Part, UrlKey, tell};
use doorman_http::target::TargetError;
use doorman_store::Store;

use super::{Plan, PlanCache};
use crate::pressure::Squeeze;

/// Whose a stored response is, and what tells it from the others of its URL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Variant<'p> {
    /// Site, route and upstream by name; `None`: the plan has them no more.
    pub place: Option<[&'p str; 3]>,
    /// What counted of the request that it was fetched for.
    pub parts: Vec<Part>,
}

impl Plan {
    /// The stores that routes use, each once, in the order of the configuration.
    pub fn stores(&self) -> impl Iterator<Item = &Arc<Store>> {
        let mut used: Vec<&Arc<Store>> = Vec::new();
        for (.., cache) in self.caches() {
            if !used.iter().any(|known| Arc::ptr_eq(known, &cache.store)) {
                used.push(&cache.store);
            }
        }
        let at = |store: &Arc<Store>| {
            self.config.stores.iter().position(|written| written.name.value == store.name())
        };
        used.sort_by_key(|store| at(store));
        used.into_iter()
    }

    /// Gives the stores the bounds that they have in the configuration. What is too much then goes
    /// before this returns.
    pub fn bound_stores(&self) {
        for store in self.stores() {
            let mut written = self.config.stores.iter();
            let Some(written) = written.find(|written| written.name.value == store.name()) else {
                continue;
            };
            let (memory, max_object) = (written.memory.value, written.max_object.value);
            if (store.memory(), store.max_object()) != (memory, max_object) {
                store.set_limits(memory, max_object);
            }
            if let (Some(disk), Some(written)) = (store.disk(), &written.disk) {
                disk.set_limit(written.value.bytes);
            }
            store.set_evict(super::stores::method(written));
        }
    }

    /// Gives the stores less memory than that, each step half of what the one before gives.
    pub fn squeeze_stores(&self, step: Squeeze) {
        for store in self.stores() {
            let mut written = self.config.stores.iter();
            let Some(written) = written.find(|written| written.name.value == store.name()) else {
                continue;
            };
            let (memory, max_object) =
                (written.memory.value >> step as u32, written.max_object.value);
            if (store.memory(), store.max_object()) != (memory, max_object) {
                store.set_limits(memory, max_object);
            }
        }
    }

    /// Every key under which a response for a URL may be in a store: routes that use it may leave
    /// different parts of queries out.
    ///
    /// # Errors
    /// It is no absolute `http` or `https` URL, or what is wrong with it.
    pub fn keys(&self, store: &Store, url: &str) -> Result<Vec<UrlKey>, TargetError> {
        let plain = KeyRules::default();
        let mut rules = vec![&plain];
        for (.., cache) in self.caches() {
            if std::ptr::eq(&raw const *cache.store, store) && !rules.contains(&&cache.keys) {
                rules.push(&cache.keys);
            }
        }
        let mut keys = Vec::with_capacity(rules.len());
        for rules in rules {
            let key = UrlKey::parse(url, rules, store.seed())?;
            if !keys.contains(&key) {
                keys.push(key);
            }
        }
        Ok(keys)
    }

    /// Reads what tells a stored response from the others of its URL.
    #[must_use]
    pub fn variant(&self, selector: &[u8]) -> Variant<'_> {
        let place = tell(selector, None).place;
        let mut own = self
            .caches()
            .filter_map(|(site, route, cache)| Some((site, route, cache, cache.upstream(place)?)));
        match own.next() {
            None => Variant { place: None, parts: tell(selector, None).parts },
            Some((site, route, cache, upstream)) => {
                let upstream = self.upstreams.get(upstream).map_or("", |upstream| &*upstream.name);
                Variant {
                    place: Some([site, route, upstream]),
                    parts: tell(selector, Some(&cache.chosen)).parts,
                }
            }
        }
    }

    /// What routes keep, with the names of site and route.
    fn caches(&self) -> impl Iterator<Item = (&str, &str, &PlanCache)> {
        self.sites.iter().flat_map(|site| {
            let routes = site.routes.iter();
            routes.filter_map(|route| Some((&*site.name, &*route.name, route.cache.as_ref()?)))
        })
    }
}

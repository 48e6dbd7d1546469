//! What all cores share of an upstream: its servers' states, and a number that moves when one of
//! them changes.
//!
//! A core keeps what it has worked out of the states (who may be picked, with which weight) and
//! compares this number before each pick. So whoever changes a state needs to know no core, and a
//! pick pays one load for all of health, drains and overrides together.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use crate::keys::{self, Keys};
use crate::{Member, Method, ServerState};

/// What an upstream's configuration says about all of its servers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// How long a server that came back takes to get all of its part; nothing: it gets it at once.
    pub slow_start: Duration,
    /// When no server is well, the ill ones are used.
    pub fail_open: bool,
    /// A server that fails more requests than the others do gets less.
    pub mitigate: bool,
}

/// An upstream, kept over reloads by its name.
#[derive(Debug, Default)]
pub struct Group {
    shared: Arc<Shared>,
    servers: Mutex<Known>,
    /// The last layout of keys, while a plan or a core holds it.
    keys: Mutex<Weak<Keys>>,
}

/// What each server's state knows of its group.
#[derive(Debug, Default)]
pub(crate) struct Shared {
    generation: AtomicU64,
    slow_start_nanos: AtomicU64,
    fail_open: AtomicBool,
    mitigate: AtomicBool,
    pub(crate) judge_at: AtomicU64,
}

/// How many servers are kept without a look at who is gone.
const ROOM_MIN: usize = 16;

/// States by key. Weak: a server that no plan and no request knows any more is forgotten.
#[derive(Debug, Default)]
struct Known {
    states: HashMap<Box<str>, Weak<ServerState>>,
    /// How many there may be before those who are gone are looked for.
    room: usize,
}

impl Group {
    /// A group of no servers yet.
    #[must_use]
    pub fn new(settings: Settings) -> Arc<Self> {
        let group = Arc::<Self>::default();
        group.settle(settings);
        group
    }

    /// Takes over what the configuration says from now on.
    pub fn settle(&self, settings: Settings) {
        let nanos = u64::try_from(settings.slow_start.as_nanos()).unwrap_or(u64::MAX);
        let slow = self.shared.slow_start_nanos.swap(nanos, Ordering::Relaxed);
        let open = self.shared.fail_open.swap(settings.fail_open, Ordering::Relaxed);
        let mitigate = self.shared.mitigate.swap(settings.mitigate, Ordering::Relaxed);
        if (slow, open, mitigate) != (nanos, settings.fail_open, settings.mitigate) {
            self.touch();
        }
    }

    /// The state of a server, the same for all who ask by this key while anybody holds it. Not for
    /// the path of a request.
    #[must_use]
    pub fn server(&self, key: &str) -> Arc<ServerState> {
        let mut servers = self.servers.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(state) = servers.states.get(key).and_then(Weak::upgrade) {
            return state;
        }
        // Whoever is gone goes when they are as many as those who are there: many servers that come at once are not
        // looked through for each of them.
        if servers.states.len() >= servers.room {
            servers.states.retain(|_, state| state.strong_count() > 0);
            servers.room = 2 * servers.states.len() + ROOM_MIN;
        }
        let state = Arc::new(ServerState::of(Arc::clone(&self.shared), key));
        servers.states.insert(key.into(), Arc::downgrade(&state));
        state
    }

    /// Which server each key belongs to, the same value for all who ask with the same servers while
    /// anybody holds it; `None` if the method does not look at keys. Takes long with many servers: not
    /// for the path of a request.
    #[must_use]
    pub fn keys(&self, method: Method, members: &[Member]) -> Option<Arc<Keys>> {
        if !method.uses_key() {
            return None;
        }
        let mut last = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = last.upgrade().filter(|k| k.of() == keys::fingerprint(method, members))
        {
            return Some(known);
        }
        let made = Arc::new(Keys::new(method, members)?);
        *last = Arc::downgrade(&made);
        Some(made)
    }

    /// Moves whenever it may have changed who can be picked.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.shared.generation()
    }

    /// Makes every core work out anew who can be picked.
    pub fn touch(&self) {
        self.shared.touch();
    }

    pub(crate) const fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }
}

impl Shared {
    pub(crate) fn generation(&self) -> u64 {
        // Pairs with `touch`: who sees the number sees the change that it was moved for.
        self.generation.load(Ordering::Acquire)
    }

    pub(crate) fn touch(&self) {
        self.generation.fetch_add(1, Ordering::Release);
    }

    pub(crate) fn slow_start(&self) -> Duration {
        Duration::from_nanos(self.slow_start_nanos.load(Ordering::Relaxed))
    }

    pub(crate) fn mitigates(&self) -> bool {
        self.mitigate.load(Ordering::Relaxed)
    }

    pub(crate) fn fail_open(&self) -> bool {
        self.fail_open.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Admin, Ejected, Probe};
    use doorman_http::Instant;

    #[test]
    fn a_state_is_kept_while_somebody_holds_it() {
        let group = Group::new(Settings::default());
        let one = group.server("a");
        assert!(Arc::ptr_eq(&one, &group.server("a")));
        assert!(!Arc::ptr_eq(&one, &group.server("b")));
        one.set_admin(Admin::Down);
        drop(one);
        assert_eq!(group.server("a").admin(), Admin::Ready, "nobody held it: forgotten");
        let held: Vec<_> = (0..100).map(|n| group.server(&n.to_string())).collect();
        drop(held);
        (0..1000).for_each(|n| drop(group.server(&format!("new {n}"))));
        let kept = group.servers.lock().unwrap().states.len();
        assert!(kept <= ROOM_MIN, "who is gone takes room: {kept}");
    }

    #[test]
    fn each_change_moves_the_generation_and_a_repetition_does_not() {
        let group = Group::new(Settings::default());
        let state = group.server("a");
        let mut last = group.generation();
        let mut moved = || {
            let now = group.generation();
            std::mem::replace(&mut last, now) != now
        };
        let now = Instant(1);
        let until = Instant(9);
        let steps: [&dyn Fn(); 6] = [
            &|| state.set_admin(Admin::Drain),
            &|| state.set_weight(Some(7)),
            &|| state.set_probe(Probe::Down, now),
            &|| state.eject(until, Ejected::Errors, now),
            &|| state.begin_slow_start(now),
            &|| group.settle(Settings { fail_open: true, ..Settings::default() }),
        ];
        for (at, step) in steps.iter().enumerate() {
            step();
            assert!(moved(), "step {at}");
            step();
            assert!(!moved(), "step {at} again");
        }
        group.touch();
        assert!(moved());
    }
}

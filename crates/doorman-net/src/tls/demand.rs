//! Certificates for names that nobody wrote down: who asks for one is heard, and waits a moment for it.
//!
//! A handshake never orders anything. It drops the name into a bounded channel and waits for news; whoever keeps
//! certificates decides. When the channel or the waiting room is full, the handshake is refused.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use arc_swap::{ArcSwap, ArcSwapOption};
use tokio::sync::Notify;
use tokio::sync::mpsc::{Receiver, Sender, channel};

use super::certificate::Certificate;
use super::keyring::CertificateSlot;

/// Names that wait to be looked at. More than these at one moment are made up.
const WANTED_MAX: usize = 64;
/// Handshakes that wait for a certificate, over all cores: each holds a connection and a few KiB.
const WAITING_MAX: usize = 256;

/// The certificates of names that clients ask for.
#[derive(Default)]
pub struct OnDemand {
    slots: ArcSwap<HashMap<Box<str>, Arc<CertificateSlot>>>,
    /// Names that were refused lately.
    refused: ArcSwap<HashSet<Box<str>>>,
    wanted: ArcSwapOption<Sender<Box<str>>>,
    news: Notify,
    waiting: AtomicUsize,
}

impl OnDemand {
    /// Hears of names from now on.
    #[must_use]
    pub fn hear(&self) -> Receiver<Box<str>> {
        let (sender, receiver) = channel(WANTED_MAX);
        self.wanted.store(Some(Arc::new(sender)));
        receiver
    }

    /// A name has a certificate.
    pub fn put(&self, name: &str, certificate: Arc<Certificate>) {
        if let Some(slot) = self.slot(name) {
            slot.put(certificate);
        } else {
            let slot = Arc::new(CertificateSlot::default());
            slot.put(certificate);
            self.slots.rcu(|held| {
                let mut held = HashMap::clone(held);
                held.insert(name.into(), Arc::clone(&slot));
                held
            });
        }
        self.news.notify_waiters();
    }

    /// Lets go of the names that are not wanted any more.
    pub fn keep(&self, wanted: impl Fn(&str) -> bool) {
        self.slots.rcu(|held| {
            let mut held = HashMap::clone(held);
            held.retain(|name, _| wanted(name));
            held
        });
    }

    /// These names are refused at once from now on, and no others.
    pub fn refuse(&self, names: HashSet<Box<str>>) {
        self.refused.store(Arc::new(names));
        self.news.notify_waiters();
    }

    /// The slot of a folded name, if it has a certificate.
    #[must_use]
    pub fn slot(&self, name: &str) -> Option<Arc<CertificateSlot>> {
        self.slots.load().get(name).cloned()
    }

    /// All certificates.
    #[must_use]
    pub fn certificates(&self) -> Vec<Arc<Certificate>> {
        self.slots.load().values().filter_map(|slot| slot.certificate()).collect()
    }

    /// Says that somebody asks for a folded name, and waits for its certificate, or for the word that there is none.
    /// The caller sets the bound on time.
    pub(crate) async fn wait(&self, name: &str) {
        let seat = Seat::take(&self.waiting);
        if !seat.is_free {
            return;
        }
        let mut is_said = false;
        loop {
            // Registered before the look, or news in between would be lost.
            let mut news = std::pin::pin!(self.news.notified());
            news.as_mut().enable();
            if self.slot(name).is_some() || self.refused.load().contains(name) {
                return;
            }
            if !is_said {
                let wanted = self.wanted.load_full();
                if wanted.is_none_or(|wanted| wanted.try_send(name.into()).is_err()) {
                    return;
                }
                is_said = true;
            }
            news.await;
        }
    }
}

/// A place in the waiting room, given back however the wait ends.
struct Seat<'a> {
    taken: &'a AtomicUsize,
    is_free: bool,
}

impl<'a> Seat<'a> {
    fn take(taken: &'a AtomicUsize) -> Self {
        let is_free = taken.fetch_add(1, Ordering::Relaxed) < WAITING_MAX;
        Self { taken, is_free }
    }
}

impl Drop for Seat<'_> {
    fn drop(&mut self) {
        self.taken.fetch_sub(1, Ordering::Relaxed);
    }
}

impl fmt::Debug for OnDemand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OnDemand")
            .field("certificates", &self.slots.load().len())
            .finish_non_exhaustive()
    }
}

/// The names of a listener that may be asked for: below a name, or all.
#[derive(Clone, Debug)]
pub(super) struct Demanded {
    pub(super) from: Arc<OnDemand>,
    pub(super) under: Vec<Option<Box<str>>>,
}

impl Demanded {
    /// Whether a folded name is one of them. An address is no server name (RFC 6066 section 3), nor is a name whose
    /// last label is all digits (RFC 1123 section 2.1), nor one of a single label.
    pub(super) fn covers(&self, name: &str) -> bool {
        let Some((_, last)) = name.rsplit_once('.') else { return false };
        let below = |under: &str| {
            name.strip_suffix(under).is_some_and(|rest| rest.len() > 1 && rest.ends_with('.'))
        };
        !last.bytes().all(|byte| byte.is_ascii_digit())
            && name.parse::<IpAddr>().is_err()
            && self.under.iter().any(|under| under.as_ref().is_none_or(|under| below(under)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_may_be_asked_for() {
        let demanded = |under: &[Option<&str>]| Demanded {
            from: Arc::default(),
            under: under.iter().map(|under| under.map(Into::into)).collect(),
        };
        let check = |under: &[Option<&str>], name: &str, expect: bool| {
            assert_eq!(demanded(under).covers(name), expect, "{under:?} {name}");
        };
        check(&[None], "a.test", true);
        check(&[None], "a", false);
        check(&[None], "10.0.0.1", false);
        check(&[None], "a.1", false);
        check(&[Some("a.test")], "x.a.test", true);
        check(&[Some("a.test")], "x.y.a.test", true);
        check(&[Some("a.test")], "a.test", false);
        check(&[Some("a.test")], ".a.test", false);
        check(&[Some("a.test")], "xa.test", false);
        check(&[Some("a.test"), Some("b.test")], "x.b.test", true);
        check(&[], "x.b.test", false);
    }
}

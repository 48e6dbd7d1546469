//! One fetch for a response that many wait for: who leads, who stands in line, and what becomes of
//! the line.
//!
//! ```text
//! lead -> fill        those in line whose requests the response was made for read it as it comes;
//!                     the others lead or wait for a response of their own
//!      -> refuse      all of them go on by themselves, at once; a marker keeps others from waiting
//!      -> fail        all of them are told, at once
//!      -> (dropped)   the next in line leads
//! ```
//!
//! Those in line wait by wakers. They are told outcomes through their seats, so nothing is lost when
//! a waker fires for another reason, and one who leaves passes on what he had been given.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use doorman_cache::{Meta, NotStored, PackedHead, UrlKey};
use doorman_http::{Instant, Now};

use crate::chooser::Chooser;
use crate::fill::{keep, lock};
use crate::object::Object;
use crate::store::Store;
use crate::tier::OnDisk;

/// Requests in one line; whoever comes later goes on by himself.
pub const LINE_MAX: usize = 65_536;

/// How many times its patience one waits at most, behind one who is slow and others who overtake him.
const PATIENCES: u32 = 3;

/// How long one waits.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Patience {
    /// How long before somebody overtakes.
    each: Duration,
    /// When it is to be looked whether somebody must.
    pub(crate) until: Instant,
    /// When it is over in any case.
    last: Instant,
}

impl Patience {
    pub(crate) fn new(each: Duration, now: Now) -> Self {
        Self { each, until: now.instant + each, last: now.instant + each.saturating_mul(PATIENCES) }
    }

    /// When to look again, if somebody has overtaken at `overtaken`; `None`: now it is the turn of this
    /// one.
    pub(crate) fn later(&self, overtaken: Option<Instant>, now: Instant) -> Option<Instant> {
        let next = overtaken? + self.each;
        (now < next && now < self.last).then(|| next.min(self.last))
    }
}

/// How much of a fetch a purge has undone since it began.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Undone {
    No,
    /// Its response is stored stale.
    Soft,
    /// Its response is not stored.
    Hard,
}

/// A fetch under way, as its shard knows it.
pub(crate) struct Busy {
    pub(crate) id: u64,
    pub(crate) key: Arc<Key>,
    pub(crate) selector: Box<[u8]>,
    /// Nobody may wait for it.
    pub(crate) is_alone: bool,
    pub(crate) undone: Undone,
    /// Its response is found: there is no line any more.
    pub(crate) is_published: bool,
    /// When one in line last had enough of waiting and went to fetch for himself.
    pub(crate) overtaken: Option<Instant>,
    pub(crate) line: BTreeMap<u64, Arc<Seat>>,
}

/// A key that outlives the request that asked for it.
#[derive(Debug)]
pub(crate) struct Key {
    pub(crate) hash: u128,
    pub(crate) bytes: Box<[u8]>,
}

impl Key {
    pub(crate) fn of(key: &UrlKey) -> Arc<Self> {
        Arc::new(Self { hash: key.hash(), bytes: key.bytes().into() })
    }
}

/// Where one waits, and what he is told.
#[derive(Default)]
pub(crate) struct Seat(Mutex<State>);

#[derive(Default)]
struct State {
    waker: Option<Waker>,
    told: Option<Told>,
    has_left: bool,
}

pub(crate) enum Told {
    /// The response, and the purges that its fetch comes after.
    Published(Arc<Object>, u64),
    Refused,
    /// Refused for what the request of the one who led had of its own.
    RefusedPersonal,
    Failed,
    Next(Lead),
}

impl Seat {
    /// Tells the one who sits here, and gives back what could not be told because he has left.
    pub(crate) fn tell(&self, told: Told) -> Option<Told> {
        let mut state = lock(&self.0);
        if state.has_left {
            return Some(told);
        }
        state.told = Some(told);
        let waker = state.waker.take();
        drop(state);
        if let Some(waker) = waker {
            waker.wake();
        }
        None
    }
}

/// What came of asking for a lead.
#[derive(Debug)]
#[must_use]
pub enum Led {
    /// Fetch it: others wait.
    Lead(Lead),
    /// Fetch it, and nobody waits: the URL is marked as uncacheable, or its line is full.
    Alone(Lead),
    /// Somebody fetches it.
    Wait(Wait),
    /// It has come meanwhile.
    Found(Arc<Object>),
    /// It is on disk.
    Disk(OnDisk),
}

/// What came of waiting.
#[derive(Debug)]
#[must_use]
pub enum Waited {
    /// The response, whole or still coming. If it cannot be read any more, because it proved too
    /// large meanwhile, it is a miss.
    Object(Arc<Object>),
    /// The response has gone to disk meanwhile.
    Disk(OnDisk),
    /// Whoever led is gone: fetch it, others wait.
    Lead(Lead),
    /// The response was not stored, and could be about somebody else: fetch your own.
    Uncacheable(Lead),
    /// The fetch failed. Asking again would most likely fail, too.
    Failed,
    /// The deadline has passed: fetch your own.
    TimedOut(Lead),
}

/// The right, and the duty, to fetch a response. Dropped without a result, it goes to the next in
/// line.
#[must_use]
pub struct Lead {
    pub(crate) store: Arc<Store>,
    pub(crate) key: Arc<Key>,
    /// Under which the fetch is found in its shard.
    pub(crate) busy: u64,
    pub(crate) id: u64,
    /// The purges that this fetch comes after.
    pub(crate) began: u64,
    /// What the response is to replace.
    pub(crate) instead_of: Option<Arc<Object>>,
    pub(crate) is_alone: bool,
    /// Of one that is alone: where those wait who would wait for the same.
    pub(crate) beside: u64,
    pub(crate) is_over: bool,
}

impl fmt::Debug for Lead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let url = doorman_cache::url_of(&self.key.bytes);
        f.debug_struct("Lead").field("url", &url).field("alone", &self.is_alone).finish()
    }
}

impl Lead {
    /// Whether nobody can wait for it.
    #[must_use]
    pub const fn is_alone(&self) -> bool {
        self.is_alone
    }

    /// The response is not stored. All in line go on by themselves, at once, and for `keep` from
    /// `now` on nobody waits for a response for this URL; with no time at all there is no marker.
    pub fn refuse(self, why: NotStored, keep: Duration, now: Now) {
        self.refused(why, (false, keep), now);
    }

    /// The same for a response to a personal request ([`Chooser::is_personal`]), which says nothing
    /// of others: only such requests do not wait, and of those in line who are not personal one leads.
    pub fn refuse_personal(self, why: NotStored, keep: Duration, now: Now) {
        self.refused(why, (true, keep), now);
    }

    fn refused(mut self, why: NotStored, (is_personal, keep): (bool, Duration), now: Now) {
        let mark = (!keep.is_zero()).then(|| (is_personal, now.instant + keep));
        let store = Arc::clone(&self.store);
        store.refuse_key(&self.key, why, now);
        let told = || if is_personal { Told::RefusedPersonal } else { Told::Refused };
        store.end_lead(&mut self, mark, told);
    }

    /// The fetch failed. All in line are told at once, to serve something stale or the same failure:
    /// one after another would wait for the same dead origin.
    pub fn fail(mut self) {
        let store = Arc::clone(&self.store);
        store.end_lead(&mut self, None, || Told::Failed);
    }

    /// `object`, which is stored, is the answer after all: those in line get it.
    pub fn answer(mut self, object: &Arc<Object>) {
        let store = Arc::clone(&self.store);
        let began = self.began;
        store.end_lead(&mut self, None, || Told::Published(Arc::clone(object), began));
    }

    /// A validation found that `object` still holds (RFC 9111 section 4.3.4): it is stored anew with
    /// an updated head, shares the body, and goes to those in line, too. What is returned answers
    /// the request in any case; it is not stored if a purge came between, or if `object` is in the
    /// index no more.
    pub fn freshen(mut self, object: &Arc<Object>, head: PackedHead, meta: Meta) -> Arc<Object> {
        let fresh = (!object.is_filling()).then(|| object.with_head(head, meta)).flatten();
        let Some(fresh) = fresh.map(Arc::new) else {
            self.answer(object);
            return Arc::clone(object);
        };
        let store = Arc::clone(&self.store);
        store.replace(&mut self, object, &fresh);
        fresh
    }
}

impl Drop for Lead {
    fn drop(&mut self) {
        if !self.is_over {
            self.is_over = true;
            Store::pass_on(self);
        }
    }
}

/// A place in line. Dropping it leaves the line.
#[must_use]
pub struct Wait {
    pub(crate) store: Arc<Store>,
    pub(crate) key: UrlKey,
    pub(crate) busy: u64,
    pub(crate) id: u64,
    pub(crate) ticket: u64,
    pub(crate) seat: Arc<Seat>,
    pub(crate) patience: Patience,
    pub(crate) instead_of: Option<Arc<Object>>,
    /// The purges that this wait comes after.
    pub(crate) since: u64,
}

impl fmt::Debug for Wait {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wait").field("key", &self.key).finish_non_exhaustive()
    }
}

impl Wait {
    /// When to look again: whoever waits sees to it that [`Wait::poll`] is called then, which may move it.
    /// Of many who wait behind a slow fetch one at a time goes to fetch for himself, and what he gets is
    /// for all of them.
    #[must_use]
    pub const fn deadline(&self) -> Instant {
        self.patience.until
    }

    /// What came of it. `chooser` is the one that the place was asked for with. A response that was
    /// not made for such requests leads to another place in line, or to a lead. After `Ready` it must
    /// not be asked again.
    pub fn poll(&mut self, cx: &Context<'_>, chooser: &Chooser<'_>, now: Now) -> Poll<Waited> {
        loop {
            let told = {
                let mut state = lock(&self.seat.0);
                let mut told = state.told.take();
                if told.is_none() {
                    if now.instant < self.patience.until {
                        let old = keep(&mut state.waker, cx);
                        drop(state);
                        drop(old);
                        return Poll::Pending;
                    }
                    drop(state);
                    if let Some(later) = self.store.overtake(self, now.instant) {
                        self.patience.until = later;
                        continue;
                    }
                    state = lock(&self.seat.0);
                    told = state.told.take();
                }
                // Whatever is told from now on goes to somebody else.
                state.has_left = true;
                told
            };
            let object = match told {
                None => {
                    self.store.leave(self);
                    return Poll::Ready(Waited::TimedOut(self.alone(chooser)));
                }
                Some(Told::RefusedPersonal) if !chooser.is_personal() => None,
                Some(Told::Refused | Told::RefusedPersonal) => {
                    return Poll::Ready(Waited::Uncacheable(self.alone(chooser)));
                }
                Some(Told::Failed) => return Poll::Ready(Waited::Failed),
                Some(Told::Next(lead)) => return Poll::Ready(Waited::Lead(lead)),
                Some(Told::Published(object, began)) => Some((object, began)),
            };
            let fits = |(object, began): &(Arc<Object>, u64)| {
                // Whoever came after a purge must not be given what was asked for before it.
                let undone = self.store.purges.undone_between(object, *began, self.since);
                chooser.matches(object.selector()) && !object.is_cut() && undone != Undone::Hard
            };
            if let Some((object, _)) = object.filter(fits) {
                object.touch();
                return Poll::Ready(Waited::Object(object));
            }
            let instead_of = self.instead_of.take();
            match self.store.lead_until(&self.key, chooser, instead_of, self.patience, now) {
                Led::Lead(lead) => return Poll::Ready(Waited::Lead(lead)),
                Led::Alone(lead) => return Poll::Ready(Waited::Uncacheable(lead)),
                Led::Found(object) => return Poll::Ready(Waited::Object(object)),
                Led::Disk(on_disk) => return Poll::Ready(Waited::Disk(on_disk)),
                // Another line: the old seat, which has nothing more to tell, goes with `wait`.
                Led::Wait(mut wait) => std::mem::swap(self, &mut wait),
            }
        }
    }

    fn alone(&mut self, chooser: &Chooser<'_>) -> Lead {
        self.store.alone(&self.key, chooser, self.instead_of.take())
    }
}

impl Drop for Wait {
    fn drop(&mut self) {
        let told = {
            let mut state = lock(&self.seat.0);
            if state.has_left {
                return;
            }
            state.has_left = true;
            state.told.take()
        };
        // A lead that was given to one who leaves goes to the next in line as it is dropped here,
        // outside of the lock.
        if told.is_none() {
            self.store.leave(self);
        }
    }
}

//! Requests at once: so many have a place, so many more wait for one, and the rest is refused.
//!
//! ```text
//! enter --place free, nobody waits--> Place --drop--> to the first who waits, else free
//!       --room in the line----------> Waiting --called--> Place
//!       --neither-------------------> Full
//! ```
//!
//! How many have a place and how many wait is one word, so cores agree on it without a lock, and a request that need
//! not wait swaps it once. The mutex of the line is taken only by who waits, and by who leaves while somebody waits. A
//! place is handed to the first in line as it is: nobody can overtake, and whoever goes away before he takes it hands
//! it on.
//!
//! Nothing here waits or knows a clock. The shell polls [`Waiting::poll_place`], and drops it when its time is up.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use crate::key::Key;

/// How many, at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PlacesBounds {
    /// Requests that have a place.
    pub places: u32,
    /// Requests that wait for one.
    pub queue: u32,
}

/// What became of a request.
#[derive(Debug)]
#[must_use = "a place that is not kept is given back at once"]
pub enum Entered {
    /// It has a place.
    Place(Place),
    /// It may wait for one. For how long is for the shell to say.
    Wait(Waiting),
    /// Everything is taken, the line too.
    Full,
}

/// Places that all cores share. The bounds come with each request, so a reload changes them without a loss: who has a
/// place keeps it, and no more are handed on than the last request allowed.
#[derive(Debug, Default)]
pub struct Places {
    /// Requests with a place in the lower half, requests that wait in the upper.
    word: AtomicU64,
    /// Places that there are, as the last request said.
    most: AtomicU32,
    line: Mutex<Line>,
}

/// Tickets in order.
#[derive(Debug, Default)]
struct Line {
    next: u64,
    waiters: BTreeMap<u64, Option<Waker>>,
    /// Tickets that have a place and have not fetched it.
    called: BTreeSet<u64>,
}

const ONE_WAITS: u64 = 1 << 32;

const fn active(word: u64) -> u64 {
    word & (ONE_WAITS - 1)
}

const fn waiting(word: u64) -> u64 {
    word >> 32
}

impl Places {
    /// Asks for a place.
    pub fn enter(self: &Arc<Self>, bounds: PlacesBounds) -> Entered {
        let mut wakers = Vec::new();
        let entered = self.enter_at(bounds, None, &mut wakers);
        wakers.into_iter().for_each(Waker::wake);
        entered
    }

    /// The wakers are for the caller to wake, once he holds no mutex: a waker runs code of the runtime.
    fn enter_at(
        self: &Arc<Self>,
        bounds: PlacesBounds,
        home: Option<Home>,
        wakers: &mut Vec<Waker>,
    ) -> Entered {
        if self.most.load(Ordering::Relaxed) != bounds.places {
            self.most.store(bounds.places, Ordering::Relaxed);
        }
        if self.step(|word| is_free(word, bounds).then_some(word + 1)) {
            return Entered::Place(Place { places: Arc::clone(self), home });
        }
        let mut line = self.lock();
        let room = |word| waiting(word) < u64::from(bounds.queue);
        let joined = self.step(|word| room(word).then_some(word + ONE_WAITS));
        if !joined {
            return Entered::Full;
        }
        let ticket = line.next;
        line.next += 1;
        line.waiters.insert(ticket, None);
        // Somebody may have left before he could see us in the word, or a reload made more places.
        let may = |word| active(word) < u64::from(bounds.places) && waiting(word) > 0;
        while self.step(|word| may(word).then(|| word + 1 - ONE_WAITS)) {
            wakers.extend(line.call_first());
        }
        drop(line);
        Entered::Wait(Waiting { places: Arc::clone(self), ticket, home, fetched: false })
    }

    /// Requests that have a place.
    #[must_use]
    pub fn active(&self) -> u32 {
        u32::try_from(active(self.word.load(Ordering::Relaxed))).unwrap_or(u32::MAX)
    }

    /// Requests that wait.
    #[must_use]
    pub fn waiting(&self) -> u32 {
        u32::try_from(waiting(self.word.load(Ordering::Relaxed))).unwrap_or(u32::MAX)
    }

    fn is_idle(&self) -> bool {
        self.word.load(Ordering::SeqCst) == 0
    }

    /// Somebody gives a place back.
    fn leave(&self) {
        if self.step(|word| (waiting(word) == 0).then(|| word - 1)) {
            return;
        }
        let mut line = self.lock();
        let most = u64::from(self.most.load(Ordering::Relaxed));
        let hands_on = |word| waiting(word) > 0 && active(word) <= most;
        let waker = if self.step(|word| hands_on(word).then(|| word - ONE_WAITS)) {
            line.call_first()
        } else {
            self.word.fetch_sub(1, Ordering::SeqCst);
            None
        };
        drop(line);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Swaps the word; false if `next` wants none.
    fn step(&self, next: impl FnMut(u64) -> Option<u64>) -> bool {
        self.word.fetch_update(Ordering::SeqCst, Ordering::SeqCst, next).is_ok()
    }

    /// Nothing that runs under the mutex can leave the line half changed.
    fn lock(&self) -> MutexGuard<'_, Line> {
        lock(&self.line)
    }
}

/// Nobody who comes overtakes somebody who waits.
const fn is_free(word: u64, bounds: PlacesBounds) -> bool {
    active(word) < bounds.places as u64 && waiting(word) == 0
}

impl Line {
    /// Gives the first who waits a place, which is counted already.
    fn call_first(&mut self) -> Option<Waker> {
        let (ticket, waker) = self.waiters.pop_first()?;
        self.called.insert(ticket);
        waker
    }
}

/// A place, as long as it is kept.
#[derive(Debug)]
#[must_use = "dropping it gives the place back"]
pub struct Place {
    places: Arc<Places>,
    home: Option<Home>,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.places.leave();
        if let Some(home) = &self.home {
            home.clear();
        }
    }
}

/// A request in the line. Dropping it leaves the line, or hands on the place that it was given.
#[derive(Debug)]
#[must_use = "dropping it leaves the line"]
pub struct Waiting {
    places: Arc<Places>,
    ticket: u64,
    home: Option<Home>,
    fetched: bool,
}

impl Waiting {
    /// The place, once it is this one's turn. Not to be polled once it gave one.
    pub fn poll_place(&mut self, cx: &mut Context<'_>) -> Poll<Place> {
        let mut line = self.places.lock();
        if line.called.remove(&self.ticket) {
            self.fetched = true;
            let (places, home) = (Arc::clone(&self.places), self.home.clone());
            return Poll::Ready(Place { places, home });
        }
        if let Some(waker) = line.waiters.get_mut(&self.ticket)
            && waker.as_ref().is_none_or(|known| !known.will_wake(cx.waker()))
        {
            *waker = Some(cx.waker().clone());
        }
        Poll::Pending
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        if !self.fetched {
            let mut line = self.places.lock();
            let was_called = line.called.remove(&self.ticket);
            if line.waiters.remove(&self.ticket).is_some() {
                self.places.word.fetch_sub(ONE_WAITS, Ordering::SeqCst);
            }
            drop(line);
            if was_called {
                self.places.leave();
            }
        }
        if let Some(home) = &self.home {
            home.clear();
        }
    }
}

/// Parts of [`KeyedPlaces`], so that cores seldom meet.
const PARTS: usize = 64;

type Part = HashMap<Key, Arc<Places>, BuildHasherDefault<ByItself>>;

/// Places for each key of its own. It holds what is used and nothing else: a key goes with its last request, so there
/// are never more keys than requests under way. Each step takes the mutex of one of 64 parts for a look into a map.
#[derive(Debug)]
pub struct KeyedPlaces {
    parts: [Mutex<Part>; PARTS],
}

impl Default for KeyedPlaces {
    fn default() -> Self {
        Self { parts: std::array::from_fn(|_| Mutex::default()) }
    }
}

impl KeyedPlaces {
    /// Asks for a place of a key.
    pub fn enter(self: &Arc<Self>, key: Key, bounds: PlacesBounds) -> Entered {
        let mut part = self.part(key);
        let places = part.entry(key).or_default();
        let home = Home { all: Arc::clone(self), key };
        let mut wakers = Vec::new();
        // Under the part's mutex: else the key might be forgotten between the look and the entry.
        let entered = places.enter_at(bounds, Some(home), &mut wakers);
        // With bounds of zero a key may have come for nothing.
        if places.is_idle() {
            part.remove(&key);
        }
        drop(part);
        wakers.into_iter().for_each(Waker::wake);
        entered
    }

    /// Requests of a key that have a place.
    #[must_use]
    pub fn active(&self, key: Key) -> u32 {
        self.part(key).get(&key).map_or(0, |places| places.active())
    }

    /// Keys that have a place or wait for one.
    #[must_use]
    pub fn keys(&self) -> usize {
        self.parts.iter().map(|part| lock(part).len()).sum()
    }

    fn part(&self, key: Key) -> MutexGuard<'_, Part> {
        lock(&self.parts[(key.number() >> 58) as usize])
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Where a key's places are kept.
#[derive(Clone, Debug)]
struct Home {
    all: Arc<KeyedPlaces>,
    key: Key,
}

impl Home {
    /// Forgets the key if nobody has a place or waits. A key is entered under the same mutex, so nobody is forgotten
    /// who has just come.
    fn clear(&self) {
        let mut part = self.all.part(self.key);
        if part.get(&self.key).is_some_and(|places| places.is_idle()) {
            part.remove(&self.key);
        }
    }
}

/// Keys are hashes, and secret ones.
#[derive(Clone, Copy, Debug, Default)]
struct ByItself(u64);

impl Hasher for ByItself {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        self.0 = bytes.iter().fold(self.0, |hash, &byte| hash << 8 | u64::from(byte));
    }

    fn write_u64(&mut self, number: u64) {
        self.0 = number;
    }
}

#[cfg(test)]
mod tests;

//! Which stored response goes when there is no room: S3-FIFO (Yang and others, SOSP 2023), or the one
//! that was not asked for the longest.
//!
//! S3-FIFO needs nothing on a hit but a small counter that goes up, which lies in the entry itself, so
//! that hits take no lock here. What is new waits in a small queue; what was not asked for again before
//! its end leaves, and only a fingerprint of it stays for a while, by which it is known when it comes
//! back: then it goes to the main queue, where what is asked for is put back to the front.
//!
//! An entry costs 16 bytes here and the size of `E`, and 5 to 10 for the fingerprint of one that left.

mod ghost;
mod list;
mod lru;
mod s3;

pub use list::Slot;
use lru::Lru;
use s3::S3Fifo;

/// Highest value of an entry's counter: two bits.
pub const USES_MAX: u8 = 3;

/// Something that can be stored, with its counter. The counter may be changed by others at any time:
/// what is lost by that is a bit of precision.
pub trait Entry {
    /// How often it was asked for since it was stored or since the counter was set: at most
    /// [`USES_MAX`].
    fn uses(&self) -> u8;

    /// Sets the counter.
    fn set_uses(&self, uses: u8);

    /// A hash of what it is found by, the same whenever that is stored again.
    fn hash(&self) -> u64;
}

/// How room is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Method {
    /// By S3-FIFO.
    #[default]
    S3Fifo,
    /// The one goes that was not asked for the longest. Each hit must be told ([`Eviction::touch`]).
    Lru,
}

/// What is stored, in the order in which it will go.
#[derive(Debug)]
pub struct Eviction<E>(Queues<E>);

#[derive(Debug)]
enum Queues<E> {
    S3Fifo(S3Fifo<E>),
    Lru(Lru<E>),
}

impl<E: Entry> Eviction<E> {
    /// Nothing stored, and room for so many bytes.
    #[must_use]
    pub fn new(method: Method, budget: u64) -> Self {
        Self(match method {
            Method::S3Fifo => Queues::S3Fifo(S3Fifo::new(budget)),
            Method::Lru => Queues::Lru(Lru::new(budget)),
        })
    }

    /// Takes in an entry that costs so many bytes, whether there is room or not: the caller calls
    /// [`Eviction::evict`] until there is. What is returned names it while it is stored. `None`, and
    /// nothing is taken in, if there are four thousand million entries.
    pub fn insert(&mut self, entry: E, bytes: u64) -> Option<Slot> {
        match &mut self.0 {
            Queues::S3Fifo(queues) => queues.insert(entry, bytes),
            Queues::Lru(queue) => queue.insert(entry, bytes),
        }
    }

    /// Takes an entry out if what is at `slot` is still `the` one: slots are used again.
    pub fn remove(&mut self, slot: Slot, the: impl FnOnce(&E) -> bool) -> Option<E> {
        match &mut self.0 {
            Queues::S3Fifo(queues) => queues.remove(slot, the),
            Queues::Lru(queue) => queue.remove(slot, the),
        }
    }

    /// Says that an entry was asked for, for the method that must be told.
    pub fn touch(&mut self, slot: Slot, the: impl FnOnce(&E) -> bool) {
        if let Queues::Lru(queue) = &mut self.0 {
            queue.touch(slot, the);
        }
    }

    /// The next entry that goes if more is stored than there is room for; it is taken out. Looks at a
    /// bounded number of entries, whatever they are.
    #[must_use]
    pub fn evict(&mut self) -> Option<E> {
        if self.bytes() <= self.budget() {
            return None;
        }
        match &mut self.0 {
            Queues::S3Fifo(queues) => queues.evict(),
            Queues::Lru(queue) => queue.evict(),
        }
    }

    /// Bytes of all entries.
    #[must_use]
    pub const fn bytes(&self) -> u64 {
        match &self.0 {
            Queues::S3Fifo(queues) => queues.bytes(),
            Queues::Lru(queue) => queue.bytes(),
        }
    }

    /// Number of entries.
    #[must_use]
    pub const fn len(&self) -> usize {
        match &self.0 {
            Queues::S3Fifo(queues) => queues.len(),
            Queues::Lru(queue) => queue.len(),
        }
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes that there is room for.
    #[must_use]
    pub const fn budget(&self) -> u64 {
        match &self.0 {
            Queues::S3Fifo(queues) => queues.budget(),
            Queues::Lru(queue) => queue.budget(),
        }
    }

    /// Changes the room; if it is less than before, the caller evicts.
    pub const fn set_budget(&mut self, budget: u64) {
        match &mut self.0 {
            Queues::S3Fifo(queues) => queues.set_budget(budget),
            Queues::Lru(queue) => queue.set_budget(budget),
        }
    }
}

#[cfg(test)]
mod tests;

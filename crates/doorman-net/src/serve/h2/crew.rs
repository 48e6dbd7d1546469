//! The work on the streams of a connection: futures by slot, polled by the connection's task.
//!
//! A task for each stream would cost a request its setup and its turns in the scheduler. Here a wake
//! sets a bit, the first one wakes the connection's task, and one turn of that task polls all whose
//! bits are set and writes what they said.

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Wake, Waker};

/// Which streams are to be polled.
pub(super) struct Ready {
    words: Box<[AtomicU64]>,
    /// Who polls them. A task's waker stays the same.
    task: OnceLock<Waker>,
}

impl Ready {
    fn new(slots: usize) -> Self {
        let words = (0..slots.div_ceil(64)).map(|_| AtomicU64::new(0)).collect();
        Self { words, task: OnceLock::new() }
    }

    /// Says which task polls the streams.
    pub(super) fn register(&self, waker: &Waker) {
        self.task.get_or_init(|| waker.clone());
    }

    /// Wakes the connection's task.
    pub(super) fn wake_task(&self) {
        if let Some(task) = self.task.get() {
            task.wake_by_ref();
        }
    }

    /// Sets a slot's bit; whether its word was empty.
    fn set(&self, slot: usize) -> bool {
        let word = self.words.get(slot / 64);
        word.is_some_and(|word| word.fetch_or(1 << (slot % 64), Ordering::AcqRel) == 0)
    }
}

/// Wakes one slot.
struct Bell {
    ready: Arc<Ready>,
    slot: usize,
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        // A word that is not empty has woken the task already.
        if self.ready.set(self.slot) {
            self.ready.wake_task();
        }
    }
}

struct Place<T> {
    work: Option<Work<T>>,
    waker: Waker,
}

struct Work<T> {
    stream: T,
    future: Pin<Box<dyn Future<Output = ()>>>,
}

/// The streams' work, by slot.
pub(super) struct Crew<T> {
    ready: Arc<Ready>,
    places: Vec<Place<T>>,
    /// Whose turn is first. It moves on, so that the room in the output goes round.
    first: usize,
}

impl<T: Copy> Crew<T> {
    /// With room for so many streams at once.
    pub(super) fn new(slots: usize) -> Self {
        Self { ready: Arc::new(Ready::new(slots)), places: Vec::new(), first: 0 }
    }

    pub(super) const fn ready(&self) -> &Arc<Ready> {
        &self.ready
    }

    /// Takes on work, to be polled in this turn.
    pub(super) fn add(
        &mut self,
        slot: usize,
        stream: T,
        future: Pin<Box<dyn Future<Output = ()>>>,
    ) {
        while self.places.len() <= slot {
            let bell = Bell { ready: Arc::clone(&self.ready), slot: self.places.len() };
            self.places.push(Place { work: None, waker: Waker::from(Arc::new(bell)) });
        }
        if let Some(place) = self.places.get_mut(slot) {
            place.work = Some(Work { stream, future });
        }
        self.ready.set(slot);
    }

    /// Lets a stream's work be polled in this turn.
    pub(super) fn call(&self, slot: usize) {
        self.ready.set(slot);
    }

    /// Stops a stream's work, and whatever it began.
    pub(super) fn dismiss(&mut self, slot: usize) {
        if let Some(place) = self.places.get_mut(slot) {
            place.work = None;
        }
    }

    /// Stops all work.
    pub(super) fn dismiss_all(&mut self) {
        self.places.clear();
    }

    /// Whether somebody is to be polled.
    pub(super) fn is_called(&self) -> bool {
        self.ready.words.iter().any(|word| word.load(Ordering::Acquire) != 0)
    }

    /// Polls once each whose bit is set, and names those whose work has ended.
    pub(super) fn poll(&mut self, mut ended: impl FnMut(T)) {
        let words = self.ready.words.len();
        let first = self.first % (words * 64).max(1);
        let mut next = None;
        // The first word twice: the part at and behind the first slot, and at last the part ahead.
        for turn in 0..=words {
            let at = (first / 64 + turn) % words.max(1);
            let ahead = (1u64 << (first % 64)) - 1;
            let mask = match turn {
                0 => !ahead,
                _ if turn == words => ahead,
                _ => u64::MAX,
            };
            let Some(word) = self.ready.words.get(at) else { return };
            if word.load(Ordering::Acquire) & mask == 0 {
                continue;
            }
            let mut bits = word.fetch_and(!mask, Ordering::AcqRel) & mask;
            while bits != 0 {
                let slot = at * 64 + bits.trailing_zeros() as usize;
                bits &= bits - 1;
                next.get_or_insert(slot + 1);
                self.poll_one(slot, &mut ended);
            }
        }
        if let Some(next) = next {
            self.first = next;
        }
    }

    fn poll_one(&mut self, slot: usize, ended: &mut impl FnMut(T)) {
        let Some(Place { work, waker }) = self.places.get_mut(slot) else { return };
        let Some(running) = work else { return };
        // A fault of ours in one request is no reason to take all others of the connection down with it: the work is
        // dropped, and letting go of the stream resets it. The hook has told of it.
        let mut cx = Context::from_waker(waker);
        let poll = AssertUnwindSafe(|| running.future.as_mut().poll(&mut cx));
        if catch_unwind(poll).is_ok_and(|polled| polled.is_pending()) {
            return;
        }
        let stream = running.stream;
        *work = None;
        ended(stream);
    }
}

#[cfg(test)]
mod tests {
    use std::cell::{Cell, RefCell};
    use std::future::poll_fn;
    use std::rc::Rc;
    use std::sync::atomic::AtomicUsize;
    use std::task::Poll;

    use super::*;

    #[derive(Default)]
    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn who_was_called_is_polled_once_a_turn_and_the_first_one_changes() {
        let count = Arc::new(Count::default());
        let polled = Rc::new(RefCell::new(Vec::new()));
        let wakers = Rc::new(RefCell::new(vec![Waker::noop().clone(); 200]));
        let mut crew = Crew::new(200);
        crew.ready().register(&Waker::from(Arc::clone(&count)));
        for slot in [3, 64, 130] {
            let (polled, wakers) = (Rc::clone(&polled), Rc::clone(&wakers));
            let work = poll_fn(move |cx| {
                polled.borrow_mut().push(slot);
                wakers.borrow_mut()[slot] = cx.waker().clone();
                Poll::Pending
            });
            crew.add(slot, slot, Box::pin(work));
        }
        assert!(crew.is_called());
        let mut turn = || {
            crew.poll(|_| panic!("none ends"));
            assert!(!crew.is_called());
            std::mem::take(&mut *polled.borrow_mut())
        };
        assert_eq!(turn(), [3, 64, 130]);
        assert_eq!(turn(), [] as [usize; 0]);
        for slot in [130, 64, 64] {
            wakers.borrow()[slot].wake_by_ref();
        }
        assert_eq!(count.0.load(Ordering::Relaxed), 2, "once a word");
        assert_eq!(turn(), [64, 130]);
        for slot in [3, 64, 130] {
            wakers.borrow()[slot].wake_by_ref();
        }
        assert_eq!(turn(), [130, 3, 64], "the turn goes round");
    }

    #[test]
    fn work_that_ends_is_named_and_gone_and_calls_for_it_are_nothing() {
        let mut crew = Crew::new(1);
        crew.add(0, 0, Box::pin(async {}));
        let mut ended = Vec::new();
        crew.poll(|slot| ended.push(slot));
        crew.call(0);
        crew.poll(|slot| ended.push(slot));
        assert_eq!(ended, [0]);
    }

    #[test]
    fn a_panic_ends_its_own_stream_and_no_other() {
        let mut crew = Crew::new(3);
        let polled = Rc::new(Cell::new(0));
        for slot in 0..3 {
            let polled = Rc::clone(&polled);
            let work = poll_fn(move |_| {
                assert_ne!(slot, 1, "a fault of ours");
                polled.set(polled.get() + 1);
                Poll::Pending
            });
            crew.add(slot, slot, Box::pin(work));
        }
        let mut ended = Vec::new();
        crew.poll(|slot| ended.push(slot));
        assert_eq!((ended.as_slice(), polled.get()), (&[1][..], 2));
        for slot in 0..3 {
            crew.call(slot);
        }
        crew.poll(|_| panic!("none ends"));
        assert_eq!(polled.get(), 4);
    }
}

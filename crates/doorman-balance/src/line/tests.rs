use std::sync::atomic::AtomicUsize;
use std::task::Wake;

use proptest::prelude::*;

use super::*;

const WIDE: LineBounds = LineBounds { requests: 100, bytes: 1 << 20 };

/// Counts how often it is woken.
#[derive(Default)]
struct Bell(AtomicUsize);

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

fn is_called(waiting: &Waiting) -> bool {
    waiting.poll_called(&mut Context::from_waker(Waker::noop())).is_ready()
}

#[test]
fn the_first_looks_at_once_and_the_others_in_their_order() {
    let line = Arc::new(Line::default());
    let [a, b, c] = [0; 3].map(|_| line.join(WIDE, 0).unwrap());
    assert_eq!(line.len(), 3);
    assert!(is_called(&a), "nobody stood before it");
    assert!(!is_called(&a) && !is_called(&b) && !is_called(&c));
    line.call_next();
    assert!(!is_called(&b) && is_called(&a), "the first is called first, again and again");
    assert!(!is_called(&a));
    drop(a);
    assert!(is_called(&b) && !is_called(&c), "who leaves calls the next");
    // One call for each that became free: the third is called while the second still looks.
    line.call_next();
    line.call_next();
    assert!(is_called(&c) && is_called(&b));
    drop((b, c));
    assert_eq!((line.len(), line.joined(), line.bytes()), (0, 3, 0));
}

#[test]
fn a_call_that_comes_during_a_look_is_kept() {
    let line = Arc::new(Line::default());
    let first = line.join(WIDE, 0).unwrap();
    assert!(is_called(&first));
    line.call_next();
    assert!(is_called(&first), "it looks once more");
    assert!(!is_called(&first));
}

#[test]
fn the_call_of_one_who_leaves_goes_on() {
    let line = Arc::new(Line::default());
    let first = line.join(WIDE, 0).unwrap();
    let bell = Arc::new(Bell::default());
    let second = line.join(WIDE, 0).unwrap();
    let waker = Waker::from(Arc::clone(&bell));
    assert!(second.poll_called(&mut Context::from_waker(&waker)).is_pending());
    drop(first);
    assert_eq!(bell.0.load(Ordering::SeqCst), 1);
    assert!(second.is_first() && is_called(&second));
}

#[test]
fn a_line_is_bounded_in_number_and_in_bytes() {
    let line = Arc::new(Line::default());
    let bounds = LineBounds { requests: 2, bytes: 100 };
    let first = line.join(bounds, 60).unwrap();
    assert!(line.join(bounds, 41).is_none());
    let second = line.join(bounds, 40).unwrap();
    assert!(line.join(bounds, 0).is_none(), "two are there");
    assert_eq!(line.bytes(), 100);
    drop(first);
    assert!(line.join(LineBounds { requests: 2, bytes: 10 }, 0).is_some(), "it holds no byte");
    drop(second);
    assert!(line.join(LineBounds { requests: 0, bytes: 10 }, 0).is_none());
    assert_eq!((line.len(), line.bytes()), (0, 0));
}

#[test]
fn a_line_closes_once() {
    let line = Line::default();
    assert_eq!(line.closes(), None);
    line.close_at(Instant(7));
    line.close_at(Instant(3));
    assert_eq!(line.closes(), Some(Instant(7)));
}

/// One place, many threads, each of which waits for it, uses it, and at times gives up: whoever waits
/// gets it in the end, nobody has it together with another, and the line is empty then (RXU-07).
#[test]
fn no_call_is_lost_over_threads_rxu_07() {
    struct Unpark(std::thread::Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let line = Arc::new(Line::default());
    let free = AtomicU32::new(2);
    let take = || {
        let step = |n: u32| n.checked_sub(1);
        free.fetch_update(Ordering::Relaxed, Ordering::Relaxed, step).is_ok()
    };
    let give = || {
        free.fetch_add(1, Ordering::Relaxed);
        line.call_next();
    };
    std::thread::scope(|scope| {
        for thread in 0..8u32 {
            let (line, take, give) = (&line, &take, &give);
            scope.spawn(move || {
                let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
                let mut cx = Context::from_waker(&waker);
                for round in 0..2_000u32 {
                    if line.is_empty() && take() {
                        give();
                        continue;
                    }
                    let waiting = line.join(WIDE, 1).unwrap();
                    if (round + thread).is_multiple_of(7) {
                        let _ = waiting.poll_called(&mut cx);
                        continue;
                    }
                    loop {
                        while waiting.poll_called(&mut cx).is_pending() {
                            std::thread::park();
                        }
                        if take() {
                            break;
                        }
                    }
                    drop(waiting);
                    give();
                }
            });
        }
    });
    assert_eq!((line.len(), line.bytes(), free.load(Ordering::Relaxed)), (0, 0, 2));
}

proptest! {
    /// Requests join, places become free, requests give up, in any order: who waits is served in order,
    /// and never does somebody wait while a place is free and nobody has been called to it.
    #[test]
    fn nobody_waits_beside_a_free_place(steps in prop::collection::vec((0u8..4, 0usize..8), 1..200)) {
        let line = Arc::new(Line::default());
        let mut free = 3u32;
        let mut waiting: Vec<(u32, Waiting)> = Vec::new();
        let mut served = Vec::new();
        let mut names = 0..;
        for (what, which) in steps {
            match what {
                0 => {
                    let name = names.next().unwrap();
                    if line.is_empty() && free > 0 {
                        free -= 1;
                    } else {
                        waiting.push((name, line.join(WIDE, 1).unwrap()));
                    }
                }
                1 if free < 3 => {
                    free += 1;
                    line.call_next();
                }
                2 if !waiting.is_empty() => drop(waiting.remove(which % waiting.len())),
                _ => {}
            }
            // Everybody who was called looks; whoever comes first on its core looks first.
            let mut again = true;
            while std::mem::take(&mut again) {
                for at in 0..waiting.len() {
                    let at = (at + which) % waiting.len();
                    if is_called(&waiting[at].1) {
                        again = true;
                        if free > 0 {
                            free -= 1;
                            let (name, place) = waiting.remove(at);
                            served.push(name);
                            drop(place);
                            break;
                        }
                    }
                }
            }
            prop_assert!(waiting.is_empty() || free == 0, "{} wait, {free} free", waiting.len());
            prop_assert_eq!(line.len() as usize, waiting.len());
        }
        prop_assert!(served.is_sorted(), "{:?}", served);
    }
}

use std::sync::atomic::AtomicUsize;
use std::task::Wake;

use proptest::prelude::*;

use super::*;

/// Counts how often it is woken.
#[derive(Default)]
struct Bell(AtomicUsize);

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

fn bounds(places: u32, queue: u32) -> PlacesBounds {
    PlacesBounds { places, queue }
}

fn place(entered: Entered) -> Place {
    let Entered::Place(place) = entered else { panic!("{entered:?}") };
    place
}

fn wait(entered: Entered) -> Waiting {
    let Entered::Wait(waiting) = entered else { panic!("{entered:?}") };
    waiting
}

fn key(number: u64) -> Key {
    Key::from_number(number).expect("not zero")
}

#[test]
fn places_go_round_in_order() {
    let places = Arc::new(Places::default());
    let two = bounds(1, 2);
    let first = place(places.enter(two));
    let mut second = wait(places.enter(two));
    let mut third = wait(places.enter(two));
    assert!(matches!(places.enter(two), Entered::Full));
    assert_eq!((places.active(), places.waiting()), (1, 2));
    let bells = [Arc::new(Bell::default()), Arc::new(Bell::default())];
    let wakers = bells.clone().map(Waker::from);
    let mut contexts = wakers.each_ref().map(Context::from_waker);
    assert!(second.poll_place(&mut contexts[0]).is_pending());
    assert!(third.poll_place(&mut contexts[1]).is_pending());
    drop(first);
    assert_eq!((bells[0].0.load(Ordering::SeqCst), bells[1].0.load(Ordering::SeqCst)), (1, 0));
    // Nobody overtakes, though nobody has fetched the place yet.
    assert!(third.poll_place(&mut contexts[1]).is_pending());
    let more = wait(places.enter(two));
    assert_eq!((places.active(), places.waiting()), (1, 2));
    // Who goes away before he fetches his place hands it on.
    drop(second);
    assert_eq!(bells[1].0.load(Ordering::SeqCst), 1);
    let Poll::Ready(held) = third.poll_place(&mut contexts[1]) else { panic!("it is its turn") };
    drop(third);
    drop(more);
    assert_eq!((places.active(), places.waiting()), (1, 0));
    drop(held);
    assert!(places.is_idle());
}

#[test]
fn bounds_may_change_while_it_is_used() {
    let places = Arc::new(Places::default());
    let mut held: Vec<_> = (0..3).map(|_| place(places.enter(bounds(3, 0)))).collect();
    assert!(matches!(places.enter(bounds(2, 0)), Entered::Full));
    held.pop();
    assert!(matches!(places.enter(bounds(2, 0)), Entered::Full));
    let mut waiting = wait(places.enter(bounds(2, 1)));
    // More places: who waits gets one as soon as the next request comes, and before that one.
    let second = wait(places.enter(bounds(3, 2)));
    let Poll::Ready(got) = waiting.poll_place(&mut Context::from_waker(Waker::noop())) else {
        panic!("there is a place")
    };
    // Fewer: what is given back is handed on only below the new bound.
    assert!(matches!(places.enter(bounds(1, 1)), Entered::Full));
    held.push(got);
    for left in [2, 1] {
        drop(held.pop());
        assert_eq!((places.active(), places.waiting()), (left, 1));
    }
    drop(held.pop());
    assert_eq!((places.active(), places.waiting()), (1, 0));
    drop((waiting, second));
    assert!(places.is_idle());
    assert!(matches!(places.enter(bounds(0, 0)), Entered::Full));
}

#[test]
fn keys_have_places_of_their_own_and_go_with_the_last() {
    let all = Arc::new(KeyedPlaces::default());
    let one = place(all.enter(key(1), bounds(1, 1)));
    let other = place(all.enter(key(2), bounds(1, 1)));
    let mut second = wait(all.enter(key(1), bounds(1, 1)));
    assert!(matches!(all.enter(key(1), bounds(1, 1)), Entered::Full));
    assert_eq!((all.active(key(1)), all.active(key(3)), all.keys()), (1, 0, 2));
    drop(other);
    assert_eq!(all.keys(), 1);
    drop(one);
    assert_eq!((all.active(key(1)), all.keys()), (1, 1));
    let Poll::Ready(held) = second.poll_place(&mut Context::from_waker(Waker::noop())) else {
        panic!("it is its turn")
    };
    drop(second);
    drop(held);
    assert_eq!(all.keys(), 0);
    assert!(matches!(all.enter(key(1), bounds(0, 0)), Entered::Full));
    assert_eq!(all.keys(), 0);
}

/// Cores come and go, wait and give up: never more than the bounds, and nothing is left behind.
#[test]
fn cores_never_have_more_places_than_there_are() {
    let all = Arc::new(KeyedPlaces::default());
    let held: [AtomicUsize; 3] = Default::default();
    let got = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for seed in 0..4_u64 {
            let (all, held, got) = (&all, &held, &got);
            scope.spawn(move || {
                for round in 0..20_000 {
                    let dice = doorman_http::mix(seed << 32 | round);
                    let number = dice % 3;
                    let count = &held[usize::try_from(number).unwrap()];
                    let use_it = |place: Place| {
                        assert!(count.fetch_add(1, Ordering::SeqCst) < 2, "too many");
                        got.fetch_add(1, Ordering::SeqCst);
                        count.fetch_sub(1, Ordering::SeqCst);
                        drop(place);
                    };
                    match all.enter(key(number + 1), bounds(2, 3)) {
                        Entered::Place(place) => use_it(place),
                        Entered::Wait(mut waiting) => {
                            for _ in 0..dice >> 8 & 15 {
                                let mut context = Context::from_waker(Waker::noop());
                                if let Poll::Ready(place) = waiting.poll_place(&mut context) {
                                    use_it(place);
                                    break;
                                }
                            }
                        }
                        Entered::Full => {}
                    }
                }
            });
        }
    });
    assert!(got.load(Ordering::SeqCst) > 1_000);
    assert_eq!(all.keys(), 0);
}

proptest! {
    /// Against a model: a list of who has a place and a list of who waits.
    #[test]
    fn it_is_a_line(steps in prop::collection::vec((0u8..4, 0usize..8), 1..200)) {
        let places = Arc::new(Places::default());
        let two = bounds(2, 3);
        let mut held = Vec::new();
        let mut line: Vec<Waiting> = Vec::new();
        for (step, at) in steps {
            match step {
                0 => match places.enter(two) {
                    Entered::Place(place) => held.push(place),
                    Entered::Wait(waiting) => line.push(waiting),
                    Entered::Full => prop_assert_eq!((places.active(), places.waiting()), (2, 3)),
                },
                1 if at < held.len() => drop(held.remove(at)),
                2 if at < line.len() => drop(line.remove(at)),
                _ => {}
            }
            let mut context = Context::from_waker(Waker::noop());
            let mut still = Vec::new();
            for mut waiting in line.drain(..) {
                match waiting.poll_place(&mut context) {
                    Poll::Ready(place) => {
                        prop_assert!(still.is_empty(), "it overtook somebody");
                        held.push(place);
                    }
                    Poll::Pending => still.push(waiting),
                }
            }
            line = still;
            prop_assert!(held.len() <= 2 && line.len() <= 3);
            prop_assert!(line.is_empty() || held.len() == 2, "a place is free and somebody waits");
            prop_assert_eq!(places.active() as usize, held.len());
            prop_assert_eq!(places.waiting() as usize, line.len());
        }
    }
}

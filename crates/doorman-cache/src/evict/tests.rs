use std::cell::Cell;
use std::collections::HashMap;
use std::rc::Rc;

use proptest::prelude::*;

use super::*;

#[derive(Debug)]
struct Object {
    name: u64,
    uses: Cell<u8>,
}

impl Entry for Rc<Object> {
    fn uses(&self) -> u8 {
        self.uses.get()
    }

    fn set_uses(&self, uses: u8) {
        self.uses.set(uses);
    }

    fn hash(&self) -> u64 {
        doorman_http::mix(self.name + 1)
    }
}

fn object(name: u64) -> Rc<Object> {
    Rc::new(Object { name, uses: Cell::new(0) })
}

/// A store of objects by name.
struct Store {
    eviction: Eviction<Rc<Object>>,
    stored: HashMap<u64, (Slot, Rc<Object>)>,
}

impl Store {
    fn new(method: Method, budget: u64) -> Self {
        Self { eviction: Eviction::new(method, budget), stored: HashMap::new() }
    }

    /// Asks for an object; says whether it was there.
    fn ask(&mut self, name: u64, bytes: u64) -> bool {
        if let Some((slot, object)) = self.stored.get(&name) {
            object.set_uses((object.uses() + 1).min(USES_MAX));
            self.eviction.touch(*slot, |at| Rc::ptr_eq(at, object));
            return true;
        }
        let object = object(name);
        let slot = self.eviction.insert(Rc::clone(&object), bytes).unwrap();
        self.stored.insert(name, (slot, object));
        self.make_room();
        false
    }

    /// Asks for objects of ten bytes.
    fn ask_all(&mut self, names: impl IntoIterator<Item = u64>) {
        for name in names {
            self.ask(name, 10);
        }
    }

    fn make_room(&mut self) {
        while let Some(gone) = self.eviction.evict() {
            let (_, stored) = self.stored.remove(&gone.name).expect("each comes out once");
            assert!(Rc::ptr_eq(&stored, &gone));
        }
        assert!(self.eviction.bytes() <= self.eviction.budget());
        assert_eq!(self.eviction.len(), self.stored.len());
    }

    fn has(&self, name: u64) -> bool {
        self.stored.contains_key(&name)
    }
}

#[test]
fn what_is_asked_for_outlives_a_scan() {
    let mut store = Store::new(Method::S3Fifo, 1_000);
    for _ in 0..2 {
        store.ask_all(0..50);
    }
    store.ask_all(1_000..5_000);
    assert!((0..50).all(|name| store.has(name)));
    assert_eq!(store.stored.len(), 100);
}

#[test]
fn what_comes_back_soon_goes_to_the_main_queue() {
    let mut store = Store::new(Method::S3Fifo, 1_000);
    store.ask_all(0..150);
    assert!(!store.has(49), "left, and only its fingerprint is there");
    store.ask(49, 10);
    store.ask_all(1_000..1_200);
    assert!(store.has(49));
}

#[test]
fn a_large_object_pushes_nothing_out_when_it_comes_first() {
    let mut store = Store::new(Method::S3Fifo, 1_000);
    store.ask_all(0..100);
    store.ask(500, 900);
    assert!(!store.has(500));
    assert!((0..100).all(|name| store.has(name)));
    store.ask(500, 900);
    assert!(store.has(500), "asked for a second time");
    let mut empty = Store::new(Method::S3Fifo, 1_000);
    empty.ask(500, 900);
    assert!(empty.has(500), "there is room");
    empty.ask(501, 1_001);
    assert!(empty.has(500) && !empty.has(501), "larger than all the room");
}

#[test]
fn the_one_that_was_not_asked_for_the_longest_goes() {
    let mut store = Store::new(Method::Lru, 30);
    store.ask_all([1, 2, 3, 1, 4]);
    assert!(store.has(1) && !store.has(2) && store.has(3) && store.has(4));
}

#[test]
fn one_eviction_looks_at_a_bounded_number() {
    let mut eviction = Eviction::new(Method::S3Fifo, 0);
    let all: Vec<_> = (0..10_000).map(object).collect();
    for object in &all {
        eviction.insert(Rc::clone(object), 1).unwrap();
        object.set_uses(USES_MAX);
    }
    for n in 1..100 {
        assert!(eviction.evict().is_some());
        let changed = all.iter().filter(|object| object.uses() != USES_MAX).count();
        assert!(changed <= n * 130, "{changed} after {n}");
    }
}

#[test]
fn a_slot_that_is_used_again_is_not_taken_for_the_old_one() {
    for method in [Method::S3Fifo, Method::Lru] {
        let mut eviction = Eviction::new(method, 100);
        let (one, other) = (object(1), object(2));
        let slot = eviction.insert(Rc::clone(&one), 1).unwrap();
        assert!(eviction.remove(slot, |at| Rc::ptr_eq(at, &one)).is_some());
        assert_eq!(eviction.insert(Rc::clone(&other), 1), Some(slot));
        assert!(eviction.remove(slot, |at| Rc::ptr_eq(at, &one)).is_none());
        assert_eq!((eviction.len(), eviction.bytes()), (1, 1));
        assert!(eviction.remove(slot, |at| Rc::ptr_eq(at, &other)).is_some());
        assert!(eviction.remove(slot, |_| true).is_none());
        assert!(eviction.is_empty());
    }
}

#[test]
fn sizes_that_do_not_add_up_are_bounded() {
    for method in [Method::S3Fifo, Method::Lru] {
        let mut eviction = Eviction::new(method, u64::MAX - 1);
        for name in 0..4 {
            eviction.insert(object(name), u64::MAX).unwrap();
        }
        while eviction.evict().is_some() {}
        assert!(eviction.bytes() <= eviction.budget());
    }
}

#[derive(Clone, Debug)]
enum Step {
    Ask(u64, u64),
    Remove(u64),
    Budget(u64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        20 => (0..60u64, 0..40u64).prop_map(|(name, bytes)| Step::Ask(name, bytes * bytes)),
        3 => (0..60u64).prop_map(Step::Remove),
        1 => (0..5_000u64).prop_map(Step::Budget),
    ]
}

proptest! {
    /// After room was made nothing is stored beyond it; everything that went in comes out once, or is
    /// still there; the sums are right.
    #[test]
    fn the_books_are_right(
        method in prop_oneof![Just(Method::S3Fifo), Just(Method::Lru)],
        steps in prop::collection::vec(step(), 0..400),
    ) {
        let mut store = Store::new(method, 2_000);
        let mut sizes = HashMap::new();
        for step in steps {
            match step {
                Step::Ask(name, bytes) => {
                    if !store.ask(name, bytes) {
                        sizes.insert(name, bytes);
                    }
                }
                Step::Remove(name) => {
                    if let Some((slot, object)) = store.stored.remove(&name) {
                        let removed = store.eviction.remove(slot, |at| Rc::ptr_eq(at, &object));
                        prop_assert!(removed.is_some_and(|removed| Rc::ptr_eq(&removed, &object)));
                    }
                }
                Step::Budget(budget) => {
                    store.eviction.set_budget(budget);
                    store.make_room();
                }
            }
            prop_assert_eq!(store.eviction.len(), store.stored.len());
            prop_assert_eq!(store.eviction.bytes(), store.stored.keys().map(|name| sizes[name]).sum::<u64>());
        }
        // What costs nothing may stay; all else goes.
        store.eviction.set_budget(0);
        store.make_room();
        prop_assert_eq!(store.eviction.bytes(), 0);
        prop_assert!(store.stored.keys().all(|name| sizes[name] == 0));
    }
}

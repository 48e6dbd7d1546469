//! What a hit costs in the store: looking for one of 100,000 objects of 1 KiB, and reading it; by one
//! thread, and by each of two at a time.
//!
//! Run `cargo bench -p doorman-store --bench look`.

#![expect(clippy::disallowed_methods, reason = "a benchmark reads the clock")]
#![expect(clippy::print_stdout, reason = "a benchmark prints")]

use std::hint::black_box;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant as Clock};

use doorman_cache::evict;
use doorman_cache::{
    Admission, Asked, CacheRules, Chosen, KeySeed, PackedHead, UrlKey, Vary, admit,
};
use doorman_http::{Method, Now, RequestHead, ResponseHead, mix};
use doorman_store::{Chooser, Found, Led, Parts, Settings, Store};

const OBJECTS: u64 = 100_000;
const LOOKS: u32 = 2_000_000;

fn main() {
    let store = filled();
    let keys: Vec<UrlKey> = (0..OBJECTS).map(|n| key(&store, mix(n + 1) % OBJECTS)).collect();
    println!("nanoseconds");
    for threads in [1, 2] {
        let look = each(threads, || looks(&store, &keys, |_| {}));
        println!("look, {threads} threads              {look:>6.1}");
        let read = each(threads, || {
            looks(&store, &keys, |found| {
                if let Found::Hit(object) = found {
                    black_box(object.whole());
                    black_box(object.read(0..u64::MAX).map(|mut reader| {
                        let waker = std::task::Waker::noop();
                        reader.poll_next(&mut std::task::Context::from_waker(waker))
                    }));
                }
            })
        });
        println!("look and read, {threads} threads     {read:>6.1}");
    }
}

/// Nanoseconds of one look, as the slowest of several threads has it.
fn each(threads: usize, work: impl Fn() -> f64 + Sync) -> f64 {
    thread::scope(|scope| {
        let threads: Vec<_> = (0..threads).map(|_| scope.spawn(&work)).collect();
        threads.into_iter().filter_map(|thread| thread.join().ok()).fold(0.0, f64::max)
    })
}

fn looks(store: &Store, keys: &[UrlKey], then: impl Fn(&Found)) -> f64 {
    let (request, chosen, now) = (RequestHead::default(), Chosen::default(), Now::default());
    let chooser = Chooser { place: 1, chosen: &chosen, request: &request };
    let start = Clock::now();
    for key in keys.iter().cycle().take(LOOKS as usize) {
        let found = store.look(black_box(key), &chooser, now);
        then(&found);
        drop(black_box(found));
    }
    start.elapsed().as_secs_f64() * 1e9 / f64::from(LOOKS)
}

fn key(store: &Store, n: u64) -> UrlKey {
    let bytes = format!("www.example\0\0https\0/images/{n:016x}.png");
    UrlKey::from_bytes(bytes.as_bytes(), store.seed()).expect("a key")
}

fn filled() -> Arc<Store> {
    let settings = Settings {
        name: "look".into(),
        memory: 1 << 30,
        max_object: 1 << 20,
        evict: evict::Method::S3Fifo,
    };
    let store = Store::open(settings, KeySeed::new(0x5EED, 0xD00D));
    let (request, chosen, now) = (RequestHead::default(), Chosen::default(), Now::default());
    let chooser = Chooser { place: 1, chosen: &chosen, request: &request };
    let rules = CacheRules::default();
    let mut head = ResponseHead::new(200);
    head.fields.push(b"Cache-Control", b"max-age=86400");
    let asked = Asked::of(&request, &rules);
    let Admission::Store(meta) = admit(&Method::Get, &asked, &head, &rules, now, now) else {
        panic!("not admitted");
    };
    let selector = chooser.selector(&Vary::default());
    for n in 0..OBJECTS {
        let key = key(&store, n);
        let Led::Lead(lead) = store.lead(&key, &chooser, None, Duration::ZERO, now) else {
            panic!("{n} is there already");
        };
        let head = PackedHead::pack(&head).expect("a small head");
        let parts = Parts { selector: &selector, tags: &[], head, meta };
        let mut filling = lead.fill(parts, Some(1_024), u64::MAX, now).expect("room");
        filling.push(&[0x5A; 1_024]);
        filling.finish().expect("stored");
    }
    store
}

//! What a hit costs in this room: the key of a request, the selector that is compared, and the head that is
//! unpacked; and what it costs to make room for what is new.
//!
//! Run `cargo bench -p doorman-cache --bench hit`. Each number is the median of several rounds.

#![expect(clippy::disallowed_methods, reason = "a benchmark reads the clock")]
#![expect(clippy::print_stdout, reason = "a benchmark prints")]

use std::cell::Cell;
use std::hint::black_box;
use std::rc::Rc;
use std::time::Instant as Clock;

use doorman_cache::evict::{Entry, Eviction, Method};
use doorman_cache::{Chosen, KeyRules, KeySeed, PackedHead, UrlKey, Vary, is_selected, selector};
use doorman_http::{FieldId, RequestHead, ResponseHead};

const TIMES: u32 = 1_000_000;
const ROUNDS: usize = 9;

fn main() {
    let request = request();
    let (rules, seed) = (KeyRules::default(), KeySeed::new(0x5EED, 0xD00D));
    let mut key = UrlKey::default();
    println!("nanoseconds");
    println!(
        "key of a URL of 60 bytes        {:>6.1}",
        cost(|| key.set(black_box(&request), &rules, &seed))
    );
    let sorted = KeyRules { sort_query: true, ..KeyRules::default() };
    println!(
        "the same with a sorted query    {:>6.1}",
        cost(|| key.set(black_box(&request), &sorted, &seed))
    );

    let chosen = Chosen::default();
    let mut scratch = Vec::new();
    let mut unusual = request.clone();
    unusual
        .fields
        .rewrite(FieldId::AcceptEncoding, |_| Some(b"br;q=1.0, gzip;q=0.8, *;q=0.1".to_vec()));
    for (name, vary, request) in [
        ("", "", &request),
        (", Vary: Accept-Encoding", "Accept-Encoding", &request),
        (", and an unusual one", "Accept-Encoding", &unusual),
    ] {
        let mut head = ResponseHead::new(200);
        head.fields.push(b"Vary", vary.as_bytes());
        let vary = Vary::of(&head).expect("a list");
        let mut stored = Vec::new();
        selector(1, &chosen, vary.names(), request, &mut stored);
        let compare = || {
            let same = is_selected(&stored, 1, &chosen, black_box(request), &mut scratch);
            assert!(black_box(same));
        };
        println!("selector{name:<24}{:>6.1}", cost(compare));
    }

    println!("insert and evict, of a million   {:>5.1}", eviction());

    let packed = PackedHead::pack(&response()).expect("a head that can be packed");
    let mut head = ResponseHead::new(200);
    println!(
        "unpack 12 fields of {} bytes   {:>6.1}",
        packed.size(),
        cost(|| black_box(&packed).unpack(black_box(&mut head)))
    );
    let mut disk = Vec::new();
    packed.to_disk(&mut disk);
    println!(
        "read them from a disk           {:>6.1}",
        cost(|| drop(black_box(PackedHead::from_disk(black_box(&disk)))))
    );
}

/// Nanoseconds to take one in and let one go, among a million of which every other was asked for.
fn eviction() -> f64 {
    let mut eviction = Eviction::new(Method::S3Fifo, 1_000_000);
    let mut next = 0;
    let mut insert = || {
        next += 1;
        let entry = Stored(Rc::new((next, Cell::new(0))));
        let uses = entry.clone();
        eviction.insert(entry, 1);
        uses.set_uses(u8::from(next % 2 == 0));
        while eviction.evict().is_some() {}
    };
    (0..2_000_000).for_each(|_| insert());
    cost(insert)
}

#[derive(Clone)]
struct Stored(Rc<(u64, Cell<u8>)>);

impl Entry for Stored {
    fn uses(&self) -> u8 {
        self.0.1.get()
    }

    fn set_uses(&self, uses: u8) {
        self.0.1.set(uses);
    }

    fn hash(&self) -> u64 {
        doorman_http::mix(self.0.0)
    }
}

fn request() -> RequestHead {
    let mut request = RequestHead::default();
    for (name, value) in [
        ("Host", "www.example.com"),
        ("User-Agent", "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"),
        ("Accept", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"),
        ("Accept-Language", "en-GB,en;q=0.5"),
        ("Accept-Encoding", "gzip, deflate, br, zstd"),
        ("Referer", "https://www.example.com/"),
    ] {
        request.fields.push(name.as_bytes(), value.as_bytes());
    }
    request.set_target(b"/assets/app/main.2f8c1a.js?v=20260714&l=en").expect("a target");
    request
}

fn response() -> ResponseHead {
    let mut head = ResponseHead::new(200);
    for (name, value) in [
        ("Server", "nginx"),
        ("Date", "Tue, 14 Jul 2026 09:12:33 GMT"),
        ("Content-Type", "application/javascript; charset=utf-8"),
        ("Last-Modified", "Mon, 13 Jul 2026 16:00:00 GMT"),
        ("ETag", "\"6894a1f0-2f8c1\""),
        ("Cache-Control", "public, max-age=31536000, immutable"),
        ("Expires", "Wed, 14 Jul 2027 09:12:33 GMT"),
        ("Vary", "Accept-Encoding"),
        ("Access-Control-Allow-Origin", "*"),
        ("X-Content-Type-Options", "nosniff"),
        ("Strict-Transport-Security", "max-age=63072000; includeSubDomains"),
        ("Accept-Ranges", "bytes"),
    ] {
        head.fields.push(name.as_bytes(), value.as_bytes());
    }
    head
}

/// The median of the rounds, in nanoseconds.
fn cost(mut work: impl FnMut()) -> f64 {
    let mut rounds: Vec<_> = (0..ROUNDS)
        .map(|_| {
            let begun = Clock::now();
            for _ in 0..TIMES {
                work();
            }
            begun.elapsed().as_nanos() as f64 / f64::from(TIMES)
        })
        .collect();
    rounds.sort_unstable_by(f64::total_cmp);
    rounds[ROUNDS / 2]
}

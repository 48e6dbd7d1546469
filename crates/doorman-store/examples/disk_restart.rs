//! Measures how long a store on disk takes to come back: `cargo run --release -p doorman-store
//! --example disk_restart -- DIRECTORY [OBJECTS]`.
//!
//! Writes objects of 200 bytes to the directory, which must be empty, one million of them by
//! default (that takes about 700 MB), and opens the store again: as it was closed, and as it is
//! after a kill. The page cache is warm; a cold disk adds the time to read the tables.

#![expect(clippy::disallowed_methods, reason = "a program that measures reads the clock")]

use std::path::PathBuf;
use std::thread::{scope, yield_now};
use std::time::Instant;

use bytes::Bytes;
use doorman_http::Now;
use doorman_store::disk::{Disk, Entry, Forget, Keep, Location, Owner, Settings, Variant, Worker};

/// An index that knows nothing and keeps nothing.
struct Nobody;

impl Owner for Nobody {
    fn written(&self, _: u64, _: u128, _: Option<Location>) -> bool {
        true
    }

    fn evicted(&self, _: u128, _: Variant, _: Location) -> Keep {
        Keep::Drop
    }

    fn moved(&self, _: u128, _: Variant, _: Location, _: Option<Location>) {}
}

fn main() {
    let mut arguments = std::env::args().skip(1);
    let directory = PathBuf::from(arguments.next().expect("the directory is the first argument"));
    let objects = arguments.next().map_or(1_000_000, |count| count.parse().expect("a number"));
    let settings = Settings { directory, bytes: 2 << 30 };

    let (disk, workers) = Disk::open(&settings, &mut |_| {}).expect("the directory can be used");
    let start = Instant::now();
    run(workers, || {
        for at in 0..objects {
            write(&disk, at);
        }
        // One in a hundred is purged, so that marks are read too.
        for at in (0..objects).step_by(100) {
            drop(disk.forget(disk.variant(&key(at), &[7; 12], b""), None, Forget::Hard));
        }
        disk.close();
    });
    let stats = disk.stats();
    println!("wrote {objects} objects, {} MB, in {:?}", stats.bytes / 1_000_000, start.elapsed());
    drop((disk, stats));

    for how in ["closed", "killed"] {
        let start = Instant::now();
        let (mut count, mut bytes) = (0_u64, 0);
        let (disk, workers) = Disk::open(&settings, &mut |object| {
            count += 1;
            bytes += object.key.len() + object.selector.len() + object.meta.len();
        })
        .expect("the directory can be used");
        let took = start.elapsed();
        println!("after it was {how}: {count} objects, {bytes} bytes of keys, in {took:?}");
        // Without a close, as by a kill: the newest segment is left without its table.
        drop((disk, workers));
    }
}

fn run(workers: Vec<Worker>, then: impl FnOnce()) {
    scope(|scope| {
        for worker in workers {
            scope.spawn(move || worker.run(&Nobody, &Now::default));
        }
        then();
    });
}

fn key(at: u64) -> Vec<u8> {
    format!("www.example.org\0https\0/articles/{at}/an-ordinary-title.html").into_bytes()
}

fn write(disk: &Disk, at: u64) {
    let entry = Entry {
        token: at,
        hash: at.into(),
        key: &key(at),
        selector: &[7; 12],
        vary: b"",
        tags: &[b"articles"],
        meta: &[3; 56],
        head: b"200 content-type: text/html",
        stale: false,
    };
    let body = Bytes::from_static(&[b'x'; 200]);
    while !disk.offer(&entry, vec![body.clone()]) {
        yield_now();
    }
}

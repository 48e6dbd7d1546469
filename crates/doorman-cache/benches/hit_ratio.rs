//! How many requests are answered from a cache that is smaller than what is asked for: S3-FIFO against LRU, on
//! traces that a seed makes.
//!
//! Run `cargo bench -p doorman-cache --bench hit_ratio`.

#![expect(clippy::print_stdout, reason = "a benchmark prints")]

use doorman_cache::evict::Method;

#[path = "../tests/traces/mod.rs"]
mod traces;

use traces::{Trace, hit_ratio, scans, zipf};

const OBJECTS: u32 = 200_000;
const REQUESTS: u32 = 1_000_000;

fn main() {
    println!(
        "The room is a share of the bytes of all that is asked for more than once; the last column is what no"
    );
    println!("amount of room could better: every request but each object's first.");
    println!(
        "{:<20} {:>8} {:>9} {:>9} {:>9} {:>9}",
        "trace", "room", "LRU", "S3-FIFO", "points", "most"
    );
    for alpha in [0.8, 0.9, 1.0, 1.1] {
        table(&zipf(1, alpha, OBJECTS, REQUESTS));
    }
    for alpha in [0.8, 0.9, 1.0, 1.1] {
        table(&scans(2, alpha, OBJECTS, REQUESTS, 20_000, 10_000));
    }
}

fn table(trace: &Trace) {
    let all = trace.popular_bytes();
    let most = hit_ratio(trace, Method::Lru, u64::MAX) * 100.0;
    for share in [1, 2, 5, 10, 20, 40] {
        let budget = all * share / 100;
        let lru = hit_ratio(trace, Method::Lru, budget) * 100.0;
        let s3 = hit_ratio(trace, Method::S3Fifo, budget) * 100.0;
        println!(
            "{:<20} {share:>6} % {lru:>8.2}% {s3:>8.2}% {:>+9.2} {most:>8.2}%",
            trace.name,
            s3 - lru
        );
    }
}

//! How fast contents are coded and decoded, and how small they become: by coding and level, over a page, a
//! list of records and a script, in pieces of 16 KiB as they come from an origin.
//!
//! Run `cargo bench -p doorman-transform --bench code`. Each number is the best of several rounds: what
//! disturbs a round only ever slows it.

#![expect(clippy::disallowed_methods, reason = "a benchmark reads the clock")]
#![expect(clippy::print_stdout, reason = "a benchmark prints")]

use std::hint::black_box;
use std::time::Instant as Clock;

use doorman_http::coding::Coding;
use doorman_transform::{Bounds, Coder, Coders, Decoder, Level, Wants};

mod content;

/// Bytes in one pull from an origin.
const PIECE: usize = 16 * 1024;
/// Time for the rounds of one number, seconds.
const SECONDS: f64 = 0.4;

fn main() {
    let levels = [
        (Coding::Gzip, &[1, 4, 5, 6, 9][..]),
        (Coding::Brotli, &[1, 4, 5, 6, 9]),
        (Coding::Zstd, &[1, 3, 6, 9]),
    ];
    let only: Vec<String> = std::env::args().skip(1).filter(|arg| !arg.starts_with('-')).collect();
    println!("coding  level  contents     KiB   MiB/s   ratio  decoded MiB/s");
    for (coding, levels) in levels {
        if !only.is_empty() && !only.iter().any(|only| only == coding.token()) {
            continue;
        }
        for &number in levels {
            let level = Level::of(coding, number).expect("a level of the coding");
            for (name, bytes) in contents() {
                row(coding, level, name, &bytes);
            }
        }
    }
}

fn contents() -> [(&'static str, Vec<u8>); 4] {
    [
        ("page", content::html(100 * 1024)),
        ("records", content::json(1024 * 1024)),
        ("script", content::script(300 * 1024)),
        ("small page", content::html(8 * 1024)),
    ]
}

fn row(coding: Coding, level: Level, name: &str, bytes: &[u8]) {
    let coders = Coders::new();
    let hint = Some(bytes.len() as u64);
    let mut coded = Vec::new();
    let speed = best(bytes.len(), || {
        coded.clear();
        code(coders.take(coding, level, hint), black_box(bytes), &mut coded);
    });
    let mut back = Vec::new();
    let decoded = best(bytes.len(), || {
        back.clear();
        decode(coding, black_box(&coded), &mut back);
    });
    assert!(back == bytes, "what was coded must be what is decoded");
    println!(
        "{:<7} {:>5}  {name:<10} {:>5}  {speed:>6.1}  {:>6.2}  {decoded:>13.1}",
        coding.token(),
        level.number(),
        bytes.len() / 1024,
        bytes.len() as f64 / coded.len() as f64,
    );
}

fn code(mut coder: Coder, bytes: &[u8], out: &mut Vec<u8>) {
    for piece in bytes.chunks(PIECE) {
        coder.push(piece, out);
    }
    coder.finish(out);
}

fn decode(coding: Coding, coded: &[u8], out: &mut Vec<u8>) {
    let mut decoder = Decoder::new(coding, Bounds { ratio: 1000, max: u64::MAX });
    for mut piece in coded.chunks(PIECE) {
        loop {
            let step = decoder.push(piece, out, 64 * 1024).expect("what we coded");
            piece = &piece[step.taken..];
            if step.wants == Wants::Input {
                break;
            }
        }
    }
    decoder.finish().expect("a whole body");
}

/// The highest speed, MiB/s.
fn best(bytes: usize, mut work: impl FnMut()) -> f64 {
    let begin = Clock::now();
    let mut least = f64::MAX;
    while begin.elapsed().as_secs_f64() < SECONDS {
        let start = Clock::now();
        work();
        least = least.min(start.elapsed().as_secs_f64());
    }
    bytes as f64 / least / 1024.0 / 1024.0
}

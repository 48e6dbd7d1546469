//! What images cost and what they save: time, and bytes out for bytes in.
//!
//! Run `cargo bench -p doorman-optimize --bench image`. Each time is the best of a few rounds, on one
//! core.

#![expect(clippy::disallowed_methods, reason = "a benchmark reads the clock")]
#![expect(clippy::print_stdout, reason = "a benchmark prints")]

#[path = "../tests/image/pictures.rs"]
#[expect(dead_code, reason = "tests need more of it")]
mod pictures;

use std::time::{Duration, Instant as Clock};

use doorman_optimize::image::{Bounds, Format, Quality, Want, optimize};
use pictures::{Scans, badge, gif, graphic, jpeg, photo, png, webp_lossy};

const ROUNDS: usize = 3;
const BOUNDS: Bounds = Bounds { max_pixels: 40_000_000, max_bytes: 20 << 20, max_memory: 1 << 30 };

fn main() {
    // A megapixel each.
    let (photo, graphic, badge) = (photo(1200, 834), graphic(1200, 834), badge(1000, 1000));
    let sources = [
        ("photograph, JPEG 85", jpeg(&photo, 85, Scans::Baseline)),
        ("photograph, progressive 85", jpeg(&photo, 85, Scans::Progressive)),
        ("photograph, PNG", png(&photo)),
        ("graphic, PNG", png(&graphic)),
        ("badge with alpha, PNG", png(&badge)),
        ("graphic, GIF", gif(&[&graphic])),
        ("photograph, WebP 85", webp_lossy(&photo, 85.0)),
    ];
    println!("{:<28}{:<8}{:>6}{:>11}{:>11}{:>7}{:>9}", "of", "to", "width", "in", "out", "", "ms");
    for (name, bytes) in &sources {
        for (format, quality) in
            [(Format::Jpeg, 80), (Format::Png, 80), (Format::WebP, 80), (Format::Avif, 60)]
        {
            for max_width in [None, Some(640)] {
                let want =
                    Want { format, max_width, max_height: None, quality: Quality::new(quality) };
                line(name, bytes, &want);
            }
        }
    }
}

fn line(name: &str, bytes: &[u8], want: &Want) {
    let mut best = Duration::MAX;
    let mut result = None;
    for _ in 0..ROUNDS {
        let start = Clock::now();
        result = Some(optimize(bytes, want, &BOUNDS));
        best = best.min(start.elapsed());
        if best > Duration::from_secs(2) {
            break;
        }
    }
    let width = want.max_width.map_or_else(|| "-".to_owned(), |width| width.to_string());
    let (out, part) = match result {
        Some(Ok(made)) => {
            (made.bytes.len().to_string(), format!("{} %", made.bytes.len() * 100 / bytes.len()))
        }
        Some(Err(refusal)) => (refusal.word().to_owned(), String::new()),
        None => return,
    };
    println!(
        "{name:<28}{:<8}{width:>6}{:>11}{out:>11}{part:>7}{:>9.1}",
        want.format.word(),
        bytes.len(),
        best.as_secs_f64() * 1000.0
    );
}

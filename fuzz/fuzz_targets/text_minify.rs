//! Style sheets, scripts, JSON and SVG: whatever is made of them is smaller, and final.

#![no_main]

use doorman_optimize::text::{Bounds, Refusal, css, js, json, svg};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &[u8]| {
    let bounds = Bounds { size: 1 << 16, depth: 64 };
    for minify in [css, js, json, svg] {
        if let Ok(made) = minify(text, &bounds) {
            assert!(made.len() < text.len());
            assert_eq!(minify(&made, &bounds), Err(Refusal::NotSmaller));
        }
    }
});

//! Images: no panic, and what is made is smaller, is of the format that was asked for and reads back
//! with the size that it says.
#![no_main]

use doorman_optimize::image::{Bounds, Format, Probe, Quality, Want, optimize, sniff};
use libfuzzer_sys::fuzz_target;

const FORMATS: [Format; 4] = [Format::WebP, Format::Png, Format::Jpeg, Format::Avif];
/// Small enough for some thousand images a second; what is large is refused by other code.
const BOUNDS: Bounds = Bounds { max_pixels: 1 << 14, max_bytes: 1 << 16, max_memory: 64 << 20 };

fuzz_target!(|input: &[u8]| {
    let Some((&first, bytes)) = input.split_first() else { return };
    let probe = Probe::of(bytes);
    let want = Want {
        format: FORMATS[usize::from(first) % FORMATS.len()],
        max_width: if first & 4 == 0 { None } else { Some(16) },
        max_height: if first & 8 == 0 { None } else { Some(9) },
        quality: Quality::new(first),
    };
    let Ok(made) = optimize(bytes, &want, &BOUNDS) else { return };
    let probe = probe.expect("what was read before");
    assert!(made.bytes.len() < bytes.len());
    assert!(u64::from(made.width) * u64::from(made.height) <= u64::from(probe.width) * u64::from(probe.height));
    if want.format != Format::Avif {
        assert_eq!(sniff(&made.bytes), Some(want.format));
        let read = Probe::of(&made.bytes).expect("what was written");
        assert_eq!((read.width, read.height), (made.width, made.height));
        assert!(read.orientation.is_upright() && !read.animated);
    }
});

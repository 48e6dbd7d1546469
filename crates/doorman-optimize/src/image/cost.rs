//! What an image would take, in bytes of memory, before it is decoded.
//!
//! Each number is what one pixel takes, measured as the most that was held at once and rounded up.
//! Too large a number refuses an image that would have fitted, too small a one breaks the bound, so
//! they are generous.

use super::raster::Size;
use super::{Format, Probe, jpeg};

/// Tables, rows, a profile.
const FIXED: u64 = 8 << 20;
/// What lossless WebP keeps beside its pixels: two sets of up to 2600 histograms of up to 9 KiB.
const HISTOGRAMS: u64 = 48 << 20;

/// An upper bound of the memory that is held at once, beside the original.
pub(super) fn memory(bytes: &[u8], probe: &Probe, wanted: Format, made: Size) -> u64 {
    let source = probe.size().pixels();
    let decoding = source * decoding(bytes, probe);
    // Both sizes, the colours multiplied by their alpha, and what is scaled in one direction only.
    let scaling = 12 * source + 4 * made.pixels();
    let scaling = if made == probe.size() { 0 } else { scaling };
    // A lossy WebP that would become an exact one is not told from a lossless one here.
    let is_exact = probe.format != Format::Jpeg;
    let encoding = match wanted {
        Format::Jpeg => 20 * made.pixels(),
        Format::Png => 16 * made.pixels(),
        Format::WebP if is_exact => 60 * made.pixels() + HISTOGRAMS,
        Format::WebP => 20 * made.pixels(),
        Format::Avif => 72 * made.pixels(),
        Format::Gif => 0,
    };
    FIXED + decoding.max(scaling).max(encoding)
}

fn decoding(bytes: &[u8], probe: &Probe) -> u64 {
    match probe.format {
        Format::Jpeg => {
            let outline = jpeg::Outline::read(bytes);
            if outline.is_ok_and(|outline| outline.is_progressive) { 16 } else { 6 }
        }
        Format::Png => 9,
        Format::Gif => 10,
        Format::WebP => 14,
        Format::Avif => 0,
    }
}

//! GIF (version 89a) that stands still: its blocks, and decoding.

use std::num::NonZeroU64;

use gif::{ColorOutput, DecodeOptions, MemoryLimit};

use super::numbers::two_low;
use super::orientation::Orientation;
use super::profile::Colours;
use super::raster::{Layout, Raster, Size};
use super::{Format, Picture, Probe, Refusal};

/// Signature, size, flags.
const HEADER_BYTES: usize = 13;
/// Blocks that are walked over in search of a second frame.
const BLOCKS_MAX: usize = 4096;

pub(super) fn probe(bytes: &[u8]) -> Result<Probe, Refusal> {
    let width = two_low(bytes, 6).ok_or(Refusal::Corrupt)?;
    let height = two_low(bytes, 8).ok_or(Refusal::Corrupt)?;
    if width == 0 || height == 0 {
        // Browsers take the size of the first frame instead.
        return Err(Refusal::Unsupported);
    }
    Ok(Probe {
        format: Format::Gif,
        width: u32::from(width),
        height: u32::from(height),
        animated: is_animated(bytes)?,
        has_alpha: true,
        orientation: Orientation::default(),
    })
}

/// Whether a second frame begins. A file that is cut before that does not move.
fn is_animated(bytes: &[u8]) -> Result<bool, Refusal> {
    let mut at = HEADER_BYTES + colours_bytes(*bytes.get(10).ok_or(Refusal::Corrupt)?);
    let mut frames = 0;
    for _ in 0..BLOCKS_MAX {
        match bytes.get(at) {
            Some(0x21) => at = behind_blocks(bytes, at + 2),
            Some(0x2c) if frames > 0 => return Ok(true),
            Some(0x2c) => {
                frames += 1;
                let flags = *bytes.get(at + 9).ok_or(Refusal::Corrupt)?;
                at = behind_blocks(bytes, at + 11 + colours_bytes(flags));
            }
            _ => return Ok(false),
        }
    }
    Err(Refusal::TooCostly)
}

/// Bytes of the table of colours that flags announce.
fn colours_bytes(flags: u8) -> usize {
    if flags & 0x80 == 0 { 0 } else { 3 << ((flags & 7) + 1) }
}

/// Where a chain of blocks, each behind its length, has ended with an empty one.
fn behind_blocks(bytes: &[u8], start: usize) -> usize {
    let mut at = start;
    while let Some(&length) = bytes.get(at) {
        at += 1 + usize::from(length);
        if length == 0 {
            break;
        }
    }
    at
}

/// The one frame on its canvas, which is transparent where the frame is not.
pub(super) fn decode(bytes: &[u8], probe: &Probe) -> Result<Picture, Refusal> {
    let size = Size { width: probe.width, height: probe.height };
    let limit = NonZeroU64::new(4 * size.pixels()).ok_or(Refusal::Corrupt)?;
    let mut options = DecodeOptions::new();
    options.set_color_output(ColorOutput::RGBA);
    options.set_memory_limit(MemoryLimit::Bytes(limit));
    options.check_frame_consistency(true);
    let mut decoder = options.read_info(bytes).map_err(|_| Refusal::Corrupt)?;
    if decoder.icc_profile().is_some() {
        return Err(Refusal::Profile);
    }
    let frame = decoder.read_next_frame().map_err(|_| Refusal::Corrupt)?.ok_or(Refusal::Corrupt)?;
    let mut data = vec![0; 4 * probe.width as usize * probe.height as usize];
    let left = 4 * usize::from(frame.left);
    let row_bytes = 4 * usize::from(frame.width);
    if row_bytes == 0 {
        return Err(Refusal::Corrupt);
    }
    let rows = data.chunks_exact_mut(4 * probe.width as usize).skip(usize::from(frame.top));
    for (row, pixels) in rows.zip(frame.buffer.chunks_exact(row_bytes)) {
        row.get_mut(left..left + row_bytes).ok_or(Refusal::Corrupt)?.copy_from_slice(pixels);
    }
    let raster = Raster::new(size, Layout::Rgba, data).ok_or(Refusal::Corrupt)?.without_alpha();
    Ok(Picture { raster, colours: Colours::Srgb, is_exact: true, is_subsampled: false })
}

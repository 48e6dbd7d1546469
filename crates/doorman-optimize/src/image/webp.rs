//! WebP (RFC 9649): its chunks, decoding, encoding.
//!
//! It is read by a decoder that has no unsafe code. The C library writes, which is not told
//! anything but pixels and numbers of ours, and never reads what came from a network.

use std::io::Cursor;

use image_webp::WebPDecoder;
use webp::{Encoder, PixelLayout, WebPConfig};

use super::numbers::{four_low, three_low, two_low};
use super::orientation::{self, Orientation};
use super::profile::{self, Colours, PROFILE_BYTES_MAX};
use super::raster::{Layout, Raster, Size};
use super::{Format, Picture, Probe, Quality, Refusal};

/// Bytes ahead of the first chunk.
const HEADER_BYTES: usize = 12;
/// Chunks of one image. It has six kinds, each once.
const CHUNKS_MAX: usize = 64;
/// Fourteen bits.
const SIDE_MAX: u32 = 16_383;
const FLAG_ANIMATION: u8 = 0x02;
const FLAG_ALPHA: u8 = 0x10;
const FLAG_PROFILE: u8 = 0x20;
/// Effort of 0 to 6: for lossy ones the library's own choice. Without loss it is tried beside the lossy
/// one, so it may take less.
const LOSSY_METHOD: i32 = 4;
const LOSSLESS_METHOD: i32 = 3;
const LOSSLESS_EFFORT: f32 = 60.0;

/// What the chunks say.
#[derive(Debug, Default)]
struct Outline {
    canvas: Option<(u32, u32)>,
    frame: Option<(u32, u32)>,
    is_animated: bool,
    is_lossless: bool,
    has_alpha: bool,
    orientation: Option<Orientation>,
}

pub(super) fn probe(bytes: &[u8]) -> Result<Probe, Refusal> {
    let outline = Outline::read(bytes)?;
    let (width, height) = outline.canvas.or(outline.frame).ok_or(Refusal::Corrupt)?;
    Ok(Probe {
        format: Format::WebP,
        width,
        height,
        animated: outline.is_animated,
        has_alpha: outline.has_alpha,
        orientation: outline.orientation.unwrap_or_default(),
    })
}

pub(super) fn decode(bytes: &[u8], probe: &Probe) -> Result<Picture, Refusal> {
    let outline = Outline::read(bytes)?;
    let size = Size { width: probe.width, height: probe.height };
    // The decoder believes the frame's size before it compares it to the canvas.
    if outline.frame != Some((size.width, size.height)) {
        return Err(Refusal::Corrupt);
    }
    let mut decoder = WebPDecoder::new(Cursor::new(bytes)).map_err(|_| Refusal::Corrupt)?;
    decoder.set_memory_limit(PROFILE_BYTES_MAX);
    if decoder.is_animated() {
        return Err(Refusal::Animated);
    }
    let layout = if decoder.has_alpha() { Layout::Rgba } else { Layout::Rgb };
    let icc = decoder.icc_profile().map_err(|_| Refusal::Profile)?;
    let mut data = vec![0; decoder.output_buffer_size().ok_or(Refusal::TooManyPixels)?];
    decoder.read_image(&mut data).map_err(|_| Refusal::Corrupt)?;
    let raster = Raster::new(size, layout, data).ok_or(Refusal::Corrupt)?.without_alpha();
    let colours = profile::colours(icc, layout)?;
    Ok(Picture { raster, colours, is_exact: outline.is_lossless, is_subsampled: true })
}

/// Lossy, and where the source has lost nothing without loss too: the smaller one.
pub(super) fn encode(picture: &Picture, quality: Quality) -> Result<Vec<u8>, Refusal> {
    let Raster { size, layout, .. } = picture.raster;
    if size.width > SIDE_MAX || size.height > SIDE_MAX {
        return Err(Refusal::Unsupported);
    }
    let wide;
    let (data, pixels) = match layout {
        Layout::Grey => {
            if picture.colours != Colours::Srgb {
                return Err(Refusal::Profile);
            }
            wide = picture.raster.data.iter().flat_map(|&grey| [grey; 3]).collect::<Vec<u8>>();
            (&wide, PixelLayout::Rgb)
        }
        Layout::Rgb => (&picture.raster.data, PixelLayout::Rgb),
        Layout::Rgba => (&picture.raster.data, PixelLayout::Rgba),
    };
    let encoder = Encoder::new(data, pixels, size.width, size.height);
    let encoded = |config: WebPConfig| {
        let memory = encoder.encode_advanced(&config).map_err(|_| Refusal::TooCostly)?;
        Ok(memory.to_vec())
    };
    let mut best = encoded(lossy(quality)?)?;
    if picture.is_exact {
        let exact = encoded(lossless()?)?;
        if exact.len() <= best.len() {
            best = exact;
        }
    }
    match &picture.colours {
        Colours::Srgb => Ok(best),
        Colours::Icc(profile) => with_profile(&best, profile, size, layout).ok_or(Refusal::Profile),
    }
}

fn lossy(quality: Quality) -> Result<WebPConfig, Refusal> {
    let mut config = WebPConfig::new().map_err(|()| Refusal::Unsupported)?;
    config.quality = f32::from(quality.value());
    config.method = LOSSY_METHOD;
    config.thread_level = 0;
    Ok(config)
}

fn lossless() -> Result<WebPConfig, Refusal> {
    let mut config = WebPConfig::new().map_err(|()| Refusal::Unsupported)?;
    config.lossless = 1;
    config.quality = LOSSLESS_EFFORT;
    config.method = LOSSLESS_METHOD;
    config.thread_level = 0;
    Ok(config)
}

/// The same file with a profile ahead of its pixels (section 2.7): the first chunk tells that there
/// is one.
fn with_profile(file: &[u8], profile: &[u8], size: Size, layout: Layout) -> Option<Vec<u8>> {
    let (kind, body) = (file.get(HEADER_BYTES..HEADER_BYTES + 4)?, file.get(HEADER_BYTES..)?);
    let (flags, pixels) = match kind {
        b"VP8X" => (*body.get(8)?, body.get(18..)?),
        _ => (if layout == Layout::Rgba { FLAG_ALPHA } else { 0 }, body),
    };
    let mut chunks = b"WEBPVP8X\x0a\0\0\0".to_vec();
    chunks.extend_from_slice(&[flags | FLAG_PROFILE, 0, 0, 0]);
    for side in [size.width, size.height] {
        chunks.extend_from_slice(side.checked_sub(1)?.to_le_bytes().get(..3)?);
    }
    chunks.extend_from_slice(b"ICCP");
    chunks.extend_from_slice(&u32::try_from(profile.len()).ok()?.to_le_bytes());
    chunks.extend_from_slice(profile);
    if profile.len() % 2 == 1 {
        chunks.push(0);
    }
    chunks.extend_from_slice(pixels);
    let mut out = b"RIFF".to_vec();
    out.extend_from_slice(&u32::try_from(chunks.len()).ok()?.to_le_bytes());
    out.extend_from_slice(&chunks);
    Some(out)
}

impl Outline {
    fn read(bytes: &[u8]) -> Result<Self, Refusal> {
        let mut outline = Self::default();
        let mut at = HEADER_BYTES;
        for _ in 0..CHUNKS_MAX {
            let Some(name) = bytes.get(at..).and_then(<[u8]>::first_chunk::<4>) else {
                return Ok(outline);
            };
            let length = four_low(bytes, at + 4).ok_or(Refusal::Corrupt)?;
            let length = usize::try_from(length).map_err(|_| Refusal::Corrupt)?;
            // The data of the last chunk may be cut, which is for the decoder to find.
            let data = bytes.get(at + 8..).ok_or(Refusal::Corrupt)?;
            outline.chunk(name, data.get(..length).unwrap_or(data))?;
            at = at.saturating_add(8).saturating_add(length).saturating_add(length % 2);
        }
        Err(Refusal::TooCostly)
    }

    fn chunk(&mut self, name: &[u8; 4], data: &[u8]) -> Result<(), Refusal> {
        match name {
            b"VP8X" if self.canvas.is_none() => {
                let flags = *data.first().ok_or(Refusal::Corrupt)?;
                self.is_animated |= flags & FLAG_ANIMATION != 0;
                self.has_alpha |= flags & FLAG_ALPHA != 0;
                let width = three_low(data, 4).ok_or(Refusal::Corrupt)? + 1;
                let height = three_low(data, 7).ok_or(Refusal::Corrupt)? + 1;
                self.canvas = Some((width, height));
            }
            b"VP8 " if self.frame.is_none() => {
                let side = |at| two_low(data, at).map(|side| u32::from(side & 0x3fff));
                self.frame =
                    side(6).zip(side(8)).filter(|&(width, height)| width > 0 && height > 0);
            }
            b"VP8L" if self.frame.is_none() => {
                let bits = four_low(data, 1).ok_or(Refusal::Corrupt)?;
                self.frame = Some(((bits & 0x3fff) + 1, (bits >> 14 & 0x3fff) + 1));
                self.has_alpha |= bits >> 28 & 1 == 1;
                self.is_lossless = true;
            }
            // A second one: decoders differ in which of them they take.
            b"VP8X" | b"VP8 " | b"VP8L" => return Err(Refusal::Corrupt),
            b"ANIM" | b"ANMF" => self.is_animated = true,
            b"EXIF" => {
                let exif = data.strip_prefix(b"Exif\0\0").unwrap_or(data);
                self.orientation.get_or_insert_with(|| orientation::read(exif));
            }
            _ => {}
        }
        Ok(())
    }
}

//! JPEG (ITU-T T.81): its segments, decoding, encoding.
//!
//! The segments are read here before the decoder sees them, because they say what it would cost:
//! a progressive image may pass over all of its pixels as often as it likes, in a few bytes each.

use jpeg_encoder::{ColorType, Encoder, SamplingFactor};
use zune_jpeg::JpegDecoder;
use zune_jpeg::zune_core::bytestream::ZCursor;
use zune_jpeg::zune_core::colorspace::ColorSpace;
use zune_jpeg::zune_core::options::DecoderOptions;

use super::numbers::two;
use super::orientation::{self, Orientation};
use super::profile::{self, Colours};
use super::raster::{Layout, Raster, Size};
use super::{Format, Picture, Probe, Quality, Refusal};

/// Scans of one image. Common encoders write ten, and those that search for the best fifteen.
const SCANS_MAX: usize = 32;
/// Segments ahead of the first scan. A long profile takes some tens.
const SEGMENTS_MAX: usize = 512;

const EXIF: &[u8] = b"Exif\0\0";
const XMP: &[u8] = b"http://ns.adobe.com/xap/1.0/\0";
const ICC: &[u8] = b"ICC_PROFILE\0";
const ADOBE: &[u8] = b"Adobe";
/// Marks of an image that carries a second one, to be multiplied with it on bright screens.
const GAIN_MAP: &[u8] = b"urn:iso:std:iso:ts:21496:-1";
const GAIN_MAP_WORDS: [&[u8]; 2] = [b"hdrgm:", b"HDRGainMap"];

/// What the segments ahead of the first scan say.
#[derive(Debug, Default)]
pub(super) struct Outline {
    width: u16,
    height: u16,
    components: u8,
    pub(super) is_progressive: bool,
    /// Whether colours have fewer samples than brightness.
    is_subsampled: bool,
    orientation: Option<Orientation>,
    has_gain_map: bool,
    adobe_transform: Option<u8>,
    are_ids_letters: bool,
    profile: Vec<(u8, Vec<u8>)>,
    /// Where the first scan begins.
    scan_at: usize,
}

pub(super) fn probe(bytes: &[u8]) -> Result<Probe, Refusal> {
    let outline = Outline::read(bytes)?;
    Ok(Probe {
        format: Format::Jpeg,
        width: u32::from(outline.width),
        height: u32::from(outline.height),
        animated: false,
        has_alpha: false,
        orientation: outline.orientation.unwrap_or_default(),
    })
}

pub(super) fn decode(bytes: &[u8]) -> Result<Picture, Refusal> {
    let outline = Outline::read(bytes)?;
    if outline.has_gain_map {
        return Err(Refusal::Profile);
    }
    count_scans(bytes.get(outline.scan_at..).unwrap_or_default())?;
    let layout = if outline.components == 1 { Layout::Grey } else { Layout::Rgb };
    let colours = profile::colours(outline.icc()?, layout)?;
    let space = if layout == Layout::Grey { ColorSpace::Luma } else { ColorSpace::RGB };
    let options = DecoderOptions::new_safe()
        .set_strict_mode(true)
        .set_max_width(usize::from(outline.width))
        .set_max_height(usize::from(outline.height))
        .jpeg_set_max_scans(SCANS_MAX)
        .jpeg_set_out_colorspace(space);
    let mut decoder = JpegDecoder::new_with_options(ZCursor::new(bytes), options);
    let data = decoder.decode().map_err(|_| Refusal::Corrupt)?;
    let size = Size { width: u32::from(outline.width), height: u32::from(outline.height) };
    let raster = Raster::new(size, layout, data).ok_or(Refusal::Corrupt)?;
    Ok(Picture { raster, colours, is_exact: false, is_subsampled: outline.is_subsampled })
}

pub(super) fn encode(picture: &Picture, quality: Quality) -> Result<Vec<u8>, Refusal> {
    let raster = &picture.raster;
    let kind = match raster.layout {
        Layout::Grey => ColorType::Luma,
        Layout::Rgb => ColorType::Rgb,
        Layout::Rgba => return Err(Refusal::Unsupported),
    };
    let side = |side: u32| u16::try_from(side).map_err(|_| Refusal::Unsupported);
    let mut out = Vec::new();
    let mut encoder = Encoder::new(&mut out, quality.value());
    encoder.set_progressive(true);
    encoder.set_optimized_huffman_tables(true);
    encoder.set_chroma_subsampling_method(jpeg_encoder::ChromaSubsamplingMethod::Average);
    encoder.set_sampling_factor(if picture.is_subsampled {
        SamplingFactor::F_2_2
    } else {
        SamplingFactor::F_1_1
    });
    if let Colours::Icc(profile) = &picture.colours {
        encoder.add_icc_profile(profile).map_err(|_| Refusal::Profile)?;
    }
    encoder
        .encode(&raster.data, side(raster.size.width)?, side(raster.size.height)?, kind)
        .map_err(|_| Refusal::Unsupported)?;
    Ok(out)
}

impl Outline {
    pub(super) fn read(bytes: &[u8]) -> Result<Self, Refusal> {
        let mut outline = Self::default();
        let mut at = 2;
        for _ in 0..SEGMENTS_MAX {
            let marker = marker_at(bytes, &mut at).ok_or(Refusal::Corrupt)?;
            let length = two(bytes, at).map(usize::from).ok_or(Refusal::Corrupt)?;
            let segment = bytes.get(at + 2..at + length).ok_or(Refusal::Corrupt)?;
            match marker {
                // Baseline, extended and progressive with Huffman codes.
                0xc0..=0xc2 => outline.frame(marker, segment)?,
                // Lossless and hierarchical ones, and all with arithmetic coding.
                0xc3 | 0xc5..=0xcb | 0xcd..=0xcf => return Err(Refusal::Unsupported),
                0xda if outline.components > 0 => {
                    outline.scan_at = at + length;
                    return outline.checked();
                }
                0xda | 0xd0..=0xd9 | 0x01 | 0x00 => return Err(Refusal::Corrupt),
                0xe0..=0xef => outline.application(marker, segment),
                _ => {}
            }
            at += length;
        }
        Err(Refusal::TooCostly)
    }

    fn frame(&mut self, marker: u8, segment: &[u8]) -> Result<(), Refusal> {
        let (precision, rest) = segment.split_first().ok_or(Refusal::Corrupt)?;
        let height = two(rest, 0).ok_or(Refusal::Corrupt)?;
        let width = two(rest, 2).ok_or(Refusal::Corrupt)?;
        let components = *rest.get(4).ok_or(Refusal::Corrupt)?;
        let described = rest.get(5..5 + 3 * usize::from(components)).ok_or(Refusal::Corrupt)?;
        if self.components > 0 || components == 0 {
            return Err(Refusal::Corrupt);
        }
        // A height that only comes behind the first scan is read by hardly anybody.
        if *precision != 8 || width == 0 || height == 0 {
            return Err(Refusal::Unsupported);
        }
        // Four are CMYK or YCCK, whose colours nobody but their profile knows.
        if components != 1 && components != 3 {
            return Err(Refusal::Unsupported);
        }
        let samplings = || described.chunks_exact(3).map(|component| component[1]);
        self.is_subsampled =
            samplings().skip(1).any(|sampling| Some(sampling) != samplings().next());
        self.are_ids_letters = described.chunks_exact(3).all(|component| component[0] > b'9');
        (self.width, self.height, self.components) = (width, height, components);
        self.is_progressive = marker == 0xc2;
        Ok(())
    }

    fn application(&mut self, marker: u8, segment: &[u8]) {
        match marker {
            0xe1 => {
                if let Some(exif) = segment.strip_prefix(EXIF) {
                    self.orientation.get_or_insert_with(|| orientation::read(exif));
                } else if segment.starts_with(XMP) {
                    let names = |word: &&[u8]| segment.windows(word.len()).any(|at| at == *word);
                    self.has_gain_map |= GAIN_MAP_WORDS.iter().any(names);
                }
            }
            0xe2 => {
                self.has_gain_map |= segment.starts_with(GAIN_MAP);
                if let Some([number, _, part @ ..]) = segment.strip_prefix(ICC) {
                    self.profile.push((*number, part.to_vec()));
                }
            }
            0xee if segment.starts_with(ADOBE) => self.adobe_transform = segment.get(11).copied(),
            _ => {}
        }
    }

    /// Three components are taken for YCbCr unless a segment of Adobe or their letters say otherwise,
    /// and which of the two counts is not the same for all decoders.
    fn checked(self) -> Result<Self, Refusal> {
        let is_rgb = self.are_ids_letters || self.adobe_transform == Some(0);
        if self.components == 3 && is_rgb { Err(Refusal::Unsupported) } else { Ok(self) }
    }

    /// The profile, which comes in numbered parts.
    fn icc(&self) -> Result<Option<Vec<u8>>, Refusal> {
        let mut parts: Vec<_> = self.profile.iter().collect();
        parts.sort_by_key(|(number, _)| *number);
        if !parts.iter().zip(1..=u8::MAX).all(|((number, _), expected)| *number == expected) {
            return Err(Refusal::Corrupt);
        }
        let profile: Vec<u8> = parts.into_iter().flat_map(|(_, part)| part).copied().collect();
        Ok(if profile.is_empty() { None } else { Some(profile) })
    }
}

/// The marker at a place, which may be filled up by any number of bytes of ones; moves behind it.
fn marker_at(bytes: &[u8], at: &mut usize) -> Option<u8> {
    if *bytes.get(*at)? != 0xff {
        return None;
    }
    while *bytes.get(*at)? == 0xff {
        *at += 1;
    }
    let marker = *bytes.get(*at)?;
    *at += 1;
    Some(marker)
}

/// Walks over the scans to the end of the image: coded data, which holds no marker but those of
/// restarts, and segments between them, which are passed over by their length.
fn count_scans(bytes: &[u8]) -> Result<(), Refusal> {
    let mut scans = 1;
    let mut at = 0;
    while let Some(found) = bytes.get(at..).and_then(|rest| rest.iter().position(|&b| b == 0xff)) {
        at += found;
        let marker = marker_at(bytes, &mut at).ok_or(Refusal::Corrupt)?;
        match marker {
            0xd9 => return Ok(()),
            // A byte of ones in coded data, and restarts.
            0x00 | 0xd0..=0xd7 => continue,
            0xda => scans += 1,
            _ => {}
        }
        if scans > SCANS_MAX {
            return Err(Refusal::TooCostly);
        }
        at += two(bytes, at).map(usize::from).ok_or(Refusal::Corrupt)?;
    }
    Err(Refusal::Corrupt)
}

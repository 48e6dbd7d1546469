//! PNG (W3C, third edition): its chunks, decoding, encoding, and packing anew without any loss.

use std::borrow::Cow;
use std::collections::HashMap;
use std::io::Cursor;

use png::{
    BitDepth, ColorType, Decoder, DeflateCompression, Encoder, Filter, Info, Limits,
    Transformations,
};

use super::numbers::four;
use super::orientation::{self, Orientation};
use super::profile::{self, Colours, PROFILE_BYTES_MAX};
use super::raster::{Layout, Raster, Size};
use super::{Format, Picture, Probe, Refusal};

/// Chunks ahead of the pixels. Programs write a dozen.
const CHUNKS_MAX: usize = 1024;
const SIGNATURE_BYTES: usize = 8;
/// What the decoder may hold beside the pixels: a profile, and a few rows of the widest image.
const DECODER_BYTES_MAX: usize = PROFILE_BYTES_MAX + (4 << 20);
/// The gamma that sRGB is written down with, and how far from it nobody sees a difference.
const SRGB_GAMMA: u32 = 45_455;
const GAMMA_ERROR_MAX: u32 = 500;
/// Of sRGB: white, red, green, blue, in hundred thousandths.
const SRGB_CHROMATICITIES: [u32; 8] =
    [31_270, 32_900, 64_000, 33_000, 30_000, 60_000, 15_000, 6_000];
const CHROMATICITY_ERROR_MAX: u32 = 500;
/// Of a palette; more do not go into a byte.
const PALETTE_MAX: usize = 256;
/// zlib's best.
const LEVEL: DeflateCompression = DeflateCompression::Level(9);

/// What the chunks ahead of the pixels say.
#[derive(Debug, Default)]
struct Outline {
    width: u32,
    height: u32,
    colour_type: u8,
    is_animated: bool,
    /// As it is written: the decoder changes its form.
    transparency: Option<Vec<u8>>,
    orientation: Option<Orientation>,
    has_cicp: bool,
    has_profile: bool,
    says_srgb: bool,
    is_gamma_srgb: Option<bool>,
    are_chromaticities_srgb: Option<bool>,
}

pub(super) fn probe(bytes: &[u8]) -> Result<Probe, Refusal> {
    let outline = Outline::read(bytes)?;
    Ok(Probe {
        format: Format::Png,
        width: outline.width,
        height: outline.height,
        animated: outline.is_animated,
        has_alpha: outline.transparency.is_some() || outline.colour_type & 4 != 0,
        orientation: outline.orientation.unwrap_or_default(),
    })
}

/// As eight bits of each colour. What has sixteen loses the lower half of them.
pub(super) fn decode(bytes: &[u8]) -> Result<Picture, Refusal> {
    let frame = Frame::read(bytes, Transformations::EXPAND | Transformations::STRIP_16)?;
    let (layout, data) = match frame.info.color_type {
        _ if frame.info.bit_depth != BitDepth::Eight => return Err(Refusal::Unsupported),
        ColorType::Grayscale => (Layout::Grey, frame.data),
        ColorType::Rgb => (Layout::Rgb, frame.data),
        ColorType::Rgba => (Layout::Rgba, frame.data),
        ColorType::GrayscaleAlpha => {
            let pixels = frame.data.chunks_exact(2);
            let data = pixels.flat_map(|pixel| [pixel[0], pixel[0], pixel[0], pixel[1]]).collect();
            (Layout::Rgba, data)
        }
        ColorType::Indexed => return Err(Refusal::Unsupported),
    };
    let size = Size { width: frame.info.width, height: frame.info.height };
    let raster = Raster::new(size, layout, data).ok_or(Refusal::Corrupt)?.without_alpha();
    // A profile of greys does not fit colours, which is what grey with alpha has become.
    let colours = profile::colours(frame.profile, layout)?;
    Ok(Picture { raster, colours, is_exact: true, is_subsampled: false })
}

pub(super) fn encode(picture: &Picture) -> Result<Vec<u8>, Refusal> {
    let Raster { size, layout, data } = &picture.raster;
    let mut info = Info::with_size(size.width, size.height);
    info.bit_depth = BitDepth::Eight;
    info.color_type = match layout {
        Layout::Grey => ColorType::Grayscale,
        Layout::Rgb => ColorType::Rgb,
        Layout::Rgba => ColorType::Rgba,
    };
    if let Colours::Icc(profile) = &picture.colours {
        info.icc_profile = Some(Cow::Borrowed(profile));
    }
    smallest(&info, data)
}

/// The same pixels in fewer bytes: better filters and the best compression, and a palette where
/// there are few colours.
pub(super) fn pack(bytes: &[u8]) -> Result<Vec<u8>, Refusal> {
    let frame = Frame::read(bytes, Transformations::IDENTITY)?;
    let layout = match frame.info.color_type {
        ColorType::Grayscale | ColorType::GrayscaleAlpha => Layout::Grey,
        ColorType::Rgb | ColorType::Rgba | ColorType::Indexed => Layout::Rgb,
    };
    let mut info = frame.info;
    if let Colours::Icc(profile) = profile::colours(frame.profile, layout)? {
        info.icc_profile = Some(Cow::Owned(profile));
    }
    smallest(&info, &frame.data)
}

/// With a palette if there are few colours, and whichever is smaller of with and without filters.
fn smallest(info: &Info<'_>, data: &[u8]) -> Result<Vec<u8>, Refusal> {
    match Indexed::of(info, data) {
        Some(indexed) => smaller(&indexed.info(info), &indexed.data),
        None => smaller(info, data),
    }
}

fn smaller(info: &Info<'_>, data: &[u8]) -> Result<Vec<u8>, Refusal> {
    let plain = written(info, data, Filter::NoFilter)?;
    let filtered = written(info, data, Filter::Adaptive)?;
    Ok(if filtered.len() < plain.len() { filtered } else { plain })
}

fn written(info: &Info<'_>, data: &[u8], filter: Filter) -> Result<Vec<u8>, Refusal> {
    let mut out = Vec::new();
    let mut encoder =
        Encoder::with_info(&mut out, info.clone()).map_err(|_| Refusal::Unsupported)?;
    encoder.set_deflate_compression(LEVEL);
    encoder.set_filter(filter);
    let mut writer = encoder.write_header().map_err(|_| Refusal::Unsupported)?;
    writer.write_image_data(data).map_err(|_| Refusal::Unsupported)?;
    writer.finish().map_err(|_| Refusal::Unsupported)?;
    Ok(out)
}

/// Pixels as numbers into a palette.
struct Indexed {
    depth: BitDepth,
    palette: Vec<u8>,
    alphas: Vec<u8>,
    data: Vec<u8>,
}

impl Indexed {
    /// `None` if there are more colours than a palette holds, or if the image has a kind of pixels
    /// for which that is not looked at.
    fn of(info: &Info<'_>, data: &[u8]) -> Option<Self> {
        let bytes = match (info.color_type, info.bit_depth) {
            (ColorType::Rgb, BitDepth::Eight) if info.trns.is_none() => 3,
            (ColorType::Rgba, BitDepth::Eight) => 4,
            _ => return None,
        };
        let mut numbers = HashMap::new();
        for pixel in data.chunks_exact(bytes) {
            numbers.entry(colour(pixel)).or_insert(0);
            if numbers.len() > PALETTE_MAX {
                return None;
            }
        }
        // Those with alpha first: the alphas of the others need not be written.
        let mut colours: Vec<[u8; 4]> = numbers.keys().copied().collect();
        colours.sort_unstable_by_key(|colour| (colour[3] == u8::MAX, *colour));
        for (number, colour) in (0_u8..=u8::MAX).zip(&colours) {
            numbers.insert(*colour, number);
        }
        let depth = match colours.len() {
            0..=2 => BitDepth::One,
            3..=4 => BitDepth::Two,
            5..=16 => BitDepth::Four,
            _ => BitDepth::Eight,
        };
        let bits = depth as usize;
        let row_bytes = bytes * info.width as usize;
        let mut packed = Vec::with_capacity(data.len() / bytes);
        for row in data.chunks_exact(row_bytes) {
            for pixels in row.chunks(bytes * (8 / bits)) {
                let mut byte = 0;
                for (at, pixel) in pixels.chunks_exact(bytes).enumerate() {
                    let number = numbers.get(&colour(pixel)).copied().unwrap_or_default();
                    byte |= number << (8 - bits * (at + 1));
                }
                packed.push(byte);
            }
        }
        let alphas = colours.iter().map(|colour| colour[3]).take_while(|&alpha| alpha != u8::MAX);
        let palette = colours.iter().flat_map(|colour| [colour[0], colour[1], colour[2]]).collect();
        Some(Self { depth, alphas: alphas.collect(), palette, data: packed })
    }

    fn info<'a>(&'a self, of: &Info<'a>) -> Info<'a> {
        let mut info = Info::with_size(of.width, of.height);
        info.color_type = ColorType::Indexed;
        info.bit_depth = self.depth;
        info.palette = Some(Cow::Borrowed(&self.palette));
        info.trns = if self.alphas.is_empty() { None } else { Some(Cow::Borrowed(&self.alphas)) };
        info.icc_profile = of.icc_profile.clone();
        info
    }
}

/// What nobody sees has no colour.
fn colour(pixel: &[u8]) -> [u8; 4] {
    match *pixel {
        [red, green, blue] => [red, green, blue, u8::MAX],
        [_, _, _, 0] => [0; 4],
        [red, green, blue, alpha] => [red, green, blue, alpha],
        _ => [0; 4],
    }
}

/// An image as the decoder gives it.
struct Frame {
    /// Only what belongs to the pixels: nothing that tells about them.
    info: Info<'static>,
    profile: Option<Vec<u8>>,
    data: Vec<u8>,
}

impl Frame {
    fn read(bytes: &[u8], transformations: Transformations) -> Result<Self, Refusal> {
        let outline = Outline::read(bytes)?;
        let has_profile = outline.checked_colours()?;
        let limits = Limits { bytes: DECODER_BYTES_MAX };
        let mut decoder = Decoder::new_with_limits(Cursor::new(bytes), limits);
        decoder.set_ignore_text_chunk(true);
        decoder.set_ignore_iccp_chunk(!has_profile);
        decoder.set_transformations(transformations);
        let mut reader = decoder.read_info().map_err(refusal)?;
        let length = reader.output_buffer_size().ok_or(Refusal::TooManyPixels)?;
        let mut data = vec![0; length];
        let frame = reader.next_frame(&mut data).map_err(refusal)?;
        data.truncate(frame.buffer_size());
        let read = reader.info();
        let profile = read.icc_profile.as_deref().map(<[u8]>::to_vec);
        // A profile that cannot be read is passed over by the decoder, and may be by browsers.
        if (frame.width, frame.height) != (outline.width, outline.height)
            || has_profile != profile.is_some()
        {
            return Err(Refusal::Corrupt);
        }
        let mut info = Info::with_size(frame.width, frame.height);
        (info.color_type, info.bit_depth) = (frame.color_type, frame.bit_depth);
        info.palette = read.palette.as_deref().map(|palette| Cow::Owned(palette.to_vec()));
        info.trns = outline.transparency.map(Cow::Owned);
        Ok(Self { info, profile, data })
    }
}

fn refusal(error: png::DecodingError) -> Refusal {
    match error {
        png::DecodingError::LimitsExceeded => Refusal::TooCostly,
        _ => Refusal::Corrupt,
    }
}

impl Outline {
    fn read(bytes: &[u8]) -> Result<Self, Refusal> {
        let mut outline = Self::default();
        let mut at = SIGNATURE_BYTES;
        for number in 0..CHUNKS_MAX {
            let length = four(bytes, at).ok_or(Refusal::Corrupt)?;
            let length = usize::try_from(length).map_err(|_| Refusal::Corrupt)?;
            let name: &[u8; 4] =
                bytes.get(at + 4..).and_then(<[u8]>::first_chunk).ok_or(Refusal::Corrupt)?;
            if (number == 0) != (name == b"IHDR") {
                return Err(Refusal::Corrupt);
            }
            if name == b"IDAT" {
                return Ok(outline);
            }
            let data = bytes.get(at + 8..at + 8 + length).ok_or(Refusal::Corrupt)?;
            outline.chunk(name, data)?;
            at += 12 + length;
        }
        Err(Refusal::TooCostly)
    }

    fn chunk(&mut self, name: &[u8; 4], data: &[u8]) -> Result<(), Refusal> {
        match name {
            b"IHDR" => {
                self.width = four(data, 0).filter(|&width| width > 0).ok_or(Refusal::Corrupt)?;
                self.height = four(data, 4).filter(|&height| height > 0).ok_or(Refusal::Corrupt)?;
                self.colour_type = *data.get(9).ok_or(Refusal::Corrupt)?;
            }
            b"acTL" => self.is_animated = true,
            b"tRNS" => self.transparency = Some(data.to_vec()),
            b"eXIf" => self.orientation = Some(orientation::read(data)),
            b"cICP" => self.has_cicp = data != [1, 13, 0, 1],
            b"iCCP" => self.has_profile = true,
            b"sRGB" => self.says_srgb = true,
            b"gAMA" => {
                let gamma = four(data, 0).ok_or(Refusal::Corrupt)?;
                self.is_gamma_srgb = Some(gamma.abs_diff(SRGB_GAMMA) <= GAMMA_ERROR_MAX);
            }
            b"cHRM" => {
                let near = |(at, expected): (usize, u32)| {
                    four(data, at).is_some_and(|x| x.abs_diff(expected) <= CHROMATICITY_ERROR_MAX)
                };
                let mut all = (0..).step_by(4).zip(SRGB_CHROMATICITIES);
                self.are_chromaticities_srgb = Some(all.all(near));
            }
            _ => {}
        }
        Ok(())
    }

    /// Whether the profile is what counts. Colours that are described by anything else than it
    /// must be those of sRGB (section 4.3: the order in which chunks of colours count).
    fn checked_colours(&self) -> Result<bool, Refusal> {
        if self.has_cicp {
            return Err(Refusal::Profile);
        }
        if self.has_profile || self.says_srgb {
            return Ok(self.has_profile);
        }
        let is_srgb =
            self.is_gamma_srgb.unwrap_or(true) && self.are_chromaticities_srgb.unwrap_or(true);
        if is_srgb { Ok(false) } else { Err(Refusal::Profile) }
    }
}
